"""Deep networks from building blocks, for any number of layers L.

Block l forwards    A[l−1]  →  Z[l] = W[l] A[l−1] + b[l],  A[l] = g(Z[l]),  and a cache of what the way back needs.
Block l backwards   dA[l] and the cache  →  dZ[l] = dA[l] ⊙ g′(Z[l]),
                                            dW[l] = dZ[l] A[l−1]ᵀ/m,   db[l] = Σ dZ[l]/m  (over the columns),
                                            dA[l−1] = W[l]ᵀ dZ[l].

The chain starts at dA[L] = −Y/A + (1 − Y)/(1 − A) for a sigmoid unit, and at dZ[L] = A − Y for ten softmax units.
Here dZ and dA are derivatives of the sum of the losses, as in the notes; autodiff's, of the mean, are m times smaller.

Run: python examples/05_deep_network.py [--iterations N]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import Tensor

ACTIVATIONS = {  # name: g, which takes arrays and Tensors, and g′
    "identity": (lambda z: z, np.ones_like),
    "sigmoid": (tg.sigmoid, lambda z: tg.sigmoid(z) * (1 - tg.sigmoid(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (tg.relu, lambda z: np.where(z > 0, 1.0, 0.0)),
    "leaky relu": (tg.leaky_relu, lambda z: np.where(z > 0, 1.0, 0.01)),
}

DIGITS = ("111101101101111", "010110010010111", "111001111100111", "111001111001111", "101101111001001",
          "111100111001111", "111100111101111", "111001001001001", "111101111101111", "111101111001111")


def digits(m: int, seed: int, noise: float = 0.25) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noisy digits of 3×5 pixels: X (15, m), which of the ten one-hot (10, m), and whether odd (1, m)."""
    rng = np.random.default_rng(seed)
    which = rng.integers(0, 10, m)
    pictures = np.array([[float(pixel) for pixel in digit] for digit in DIGITS]).T
    return pictures[:, which] + noise * rng.standard_normal((15, m)), np.eye(10)[:, which], which.reshape(1, m) % 2


# ---------------------------------------------------------------- the blocks


def forward_block(A_prev, W, b, g):
    """One layer; the cache keeps its input, its weights and its net input."""
    Z = W @ A_prev + b
    return g(Z), (A_prev, W, Z)


def through_weights(dZ, cache):
    """From dZ of a layer to dA of the layer before, dW, db."""
    A_prev, W, _ = cache
    m = A_prev.shape[1]
    dW = (1 / m) * dZ @ A_prev.T
    db = (1 / m) * np.sum(dZ, axis=1, keepdims=True)
    dA_prev = W.T @ dZ
    return dA_prev, dW, db


def backward_block(dA, cache, g_prime):
    """From dA of a layer to dA of the layer before, dW, db; and the dZ met on the way."""
    dZ = dA * g_prime(cache[2])
    return *through_weights(dZ, cache), dZ


# ---------------------------------------------------------------- the network


class Network:
    """L layers, sizes (n⁽⁰⁾ = n_x, n⁽¹⁾, …, n⁽ᴸ⁾) and one activation per layer, "softmax" only for the last.

    `parameters` holds W1 (n⁽¹⁾, n⁽⁰⁾), b1 (n⁽¹⁾, 1), W2, … as arrays.
    """

    def __init__(self, sizes: Sequence[int], activations: Sequence[str], seed: int = 0) -> None:
        if len(activations) != len(sizes) - 1:
            raise ValueError(f"Network: {len(sizes) - 1} layers, but {len(activations)} activations are given.")
        self.sizes, self.activations, self.L = tuple(sizes), tuple(activations), len(activations)
        rng = np.random.default_rng(seed)
        self.parameters = {}
        for layer in range(1, self.L + 1):
            n, n_prev = sizes[layer], sizes[layer - 1]
            self.parameters[f"W{layer}"] = rng.standard_normal((n, n_prev)) * np.sqrt(1 / n_prev)
            self.parameters[f"b{layer}"] = np.zeros((n, 1))

    def summary(self) -> str:
        """A table of layers and shapes; the input layer is shown, but not counted."""
        rows = [f"L = {self.L}", f"  {'layer':>5}  {'units':>5}  {'activation':<10}  {'W':>9}  {'b':>7}  {'Z, A':>8}"]
        rows.append(f"  {0:>5}  {self.sizes[0]:>5}  {'(input)':<10}  {'':>9}  {'':>7}  {f'({self.sizes[0]}, m)':>8}")
        for layer in range(1, self.L + 1):
            n, n_prev = self.sizes[layer], self.sizes[layer - 1]
            rows.append(f"  {layer:>5}  {n:>5}  {self.activations[layer - 1]:<10}  {f'({n}, {n_prev})':>9}  "
                        f"{f'({n}, 1)':>7}  {f'({n}, m)':>8}")
        count = sum(p.size for p in self.parameters.values())
        return "\n".join([*rows, f"  {count} parameters"])

    def forward(self, X, parameters=None):
        """A⁽ᴸ⁾ and the caches of the blocks; of arrays or, when the parameters are Tensors, recorded."""
        parameters = parameters or self.parameters
        A, caches = X, []
        for layer, name in enumerate(self.activations, start=1):
            g = ACTIVATIONS[name][0] if name != "softmax" else lambda Z: tg.softmax(Z, axis=0)
            A, cache = forward_block(A, parameters[f"W{layer}"], parameters[f"b{layer}"], g)
            caches.append(cache)
        return A, caches

    def cost(self, A, Y):
        """Cross-entropy: of one probability per example, or of ten that add to one."""
        if self.activations[-1] == "softmax":
            return -(1 / Y.shape[1]) * np.sum(Y * np.log(A))
        return -(1 / Y.shape[1]) * np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))

    def by_hand(self, X, Y):
        """J and all derivatives, block by block from the last: dW1, db1, dZ1, dA1, …"""
        A, caches = self.forward(X)
        J, d = self.cost(A, Y), {}
        if self.activations[-1] != "softmax":
            d[f"dA{self.L}"] = -Y / A + (1 - Y) / (1 - A)
        for layer in range(self.L, 0, -1):
            cache, name = caches[layer - 1], self.activations[layer - 1]
            if name == "softmax":
                dZ = A - Y
                dA_prev, dW, db = through_weights(dZ, cache)
            else:
                dA_prev, dW, db, dZ = backward_block(d[f"dA{layer}"], cache, ACTIVATIONS[name][1])
            d[f"dZ{layer}"], d[f"dW{layer}"], d[f"db{layer}"] = dZ, dW, db
            if layer > 1:
                d[f"dA{layer - 1}"] = dA_prev
        return J, d

    def by_autodiff(self, X, Y):
        """The same from the cost; dZ and dA in the notes' convention, times m."""
        leaves = {name: Tensor(value, name=name) for name, value in self.parameters.items()}
        A, caches = self.forward(X, leaves)
        J = self.cost(A, Y)
        J.backward()
        m, d = X.shape[1], {f"d{name}": leaf.grad for name, leaf in leaves.items()}
        outputs = [cache[0] for cache in caches[1:]] + [A]  # A of a layer is the input in the next one's cache
        for layer, (cache, output) in enumerate(zip(caches, outputs, strict=True), start=1):
            d[f"dZ{layer}"] = m * cache[2].grad
            if self.activations[layer - 1] != "softmax":
                d[f"dA{layer}"] = m * output.grad
        return J.data, d

    def train(self, X, Y, iterations: int, learning_rate: float, report=None) -> None:
        """Gradient descent on autodiff's derivatives; `report(i, J)` before every update."""
        for i in range(iterations):
            J, d = self.by_autodiff(X, Y)
            if report:
                report(i, J)
            for name in self.parameters:
                self.parameters[name] = self.parameters[name] - learning_rate * d[f"d{name}"]

    def predict(self, X):
        """Whether A > 0.5, (1, m); of several outputs the number of the largest, (m,)."""
        A, _ = self.forward(X)
        return np.argmax(A, axis=0) if A.shape[0] > 1 else np.where(A > 0.5, 1, 0)


def compare(title: str, network: Network, X, Y) -> None:
    """Every derivative of every block, by hand and by autodiff."""
    J, hand = network.by_hand(X, Y)
    J_autodiff, autodiff = network.by_autodiff(X, Y)
    assert hand.keys() == autodiff.keys()
    side_by_side(title, ("J", J, J_autodiff), *((name, hand[name], autodiff[name]) for name in hand))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=1000)
    iterations = parser.parse_args(argv).iterations

    print("how deep is deep")
    for what, sizes in (("logistic regression", (3, 1)), ("1 hidden layer", (3, 4, 1)),
                        ("2 hidden layers", (3, 5, 5, 1)), ("5 hidden layers", (3, 5, 5, 5, 5, 5, 1))):
        network = Network(sizes, ["tanh"] * (len(sizes) - 2) + ["sigmoid"])
        print(f"  {what:<20} n = {network.sizes}, L = {network.L}")

    X, which, odd = digits(400, seed=0)
    X_test, which_test, odd_test = digits(400, seed=1)
    every = max(1, iterations // 5)

    def report(i, J):
        if i % every == 0:
            print(f"  iteration {i:4d}  cost {J:.6f}")

    network = Network((15, 12, 10, 8, 1), ("relu", "leaky relu", "tanh", "sigmoid"))
    print(f"\nis the digit odd?  {network.summary()}")
    compare("every block, from the last to the first", network, X, odd)
    print(f"\ntraining, {iterations} iterations")
    network.train(X, odd, iterations, 0.3, report)
    print(f"held-out accuracy {np.mean(network.predict(X_test) == odd_test):.1%}")

    network = Network((15, 12, 10), ("tanh", "softmax"))
    print(f"\nwhich digit is it?  {network.summary()}")
    compare("softmax: the chain starts at dZ = A − Y", network, X, which)
    print(f"\ntraining, {iterations} iterations")
    network.train(X, which, iterations, 0.5, report)
    print(f"held-out accuracy {np.mean(network.predict(X_test) == which_test.argmax(axis=0)):.1%}")


if __name__ == "__main__":
    main()
