"""A network with one hidden layer, which can draw the curved boundary that logistic regression cannot.

    X = A⁽⁰⁾ (2, m)  →  Z1 = W1 X + b1,  A1 = tanh(Z1)  →  Z2 = W2 A1 + b2,  A2 = σ(Z2) = ŷ     J = −(1/m) Σ [...]

Six lines of backprop, by hand, next to one word, `backward`; equal at every step of the training.

Run: python examples/04_shallow_network.py [--iterations N] [--plot DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import Tensor

NAMES = ("W1", "b1", "W2", "b2")


def flower(m: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points along the eight petals of a flower, a little blurred: X (2, m), and Y (1, m) by petal."""
    rng = np.random.default_rng(seed)
    label_of_petal = np.array([1, 0, 0, 1, 0, 1, 1, 0])
    angle = rng.uniform(0, 2 * np.pi, m)
    Y = label_of_petal[(angle // (np.pi / 4)).astype(int)].reshape(1, m)
    radius = 4 * np.abs(np.sin(4 * angle)) + 0.2 * rng.standard_normal(m)
    angle = angle + 0.12 * rng.standard_normal(m)
    return np.array([radius * np.cos(angle), radius * np.sin(angle)]), Y.astype(float)


def initialise(n_x: int, n_hidden: int, n_y: int, seed: int = 2) -> dict[str, np.ndarray]:
    """W1 (n1, n0), b1 (n1, 1), W2 (n2, n1), b2 (n2, 1). Small and random: equal units would stay equal for ever."""
    rng = np.random.default_rng(seed)
    return {"W1": 0.01 * rng.standard_normal((n_hidden, n_x)), "b1": np.zeros((n_hidden, 1)),
            "W2": 0.01 * rng.standard_normal((n_y, n_hidden)), "b2": np.zeros((n_y, 1))}


def forward(W1, b1, W2, b2, X):
    """Z1, A1, Z2, A2: all columns at once; column i is what example i alone would give."""
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = tg.sigmoid(Z2)
    return Z1, A1, Z2, A2


def cost(W1, b1, W2, b2, X, Y):
    A2 = forward(W1, b1, W2, b2, X)[-1]
    return -(1 / X.shape[1]) * np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))


def by_hand(parameters: dict[str, np.ndarray], X, Y):
    """J and its derivatives as the notes write them: dZ without the 1/m, which goes into dW and db."""
    W1, b1, W2, b2 = (parameters[name] for name in NAMES)
    m = X.shape[1]
    _, A1, _, A2 = forward(W1, b1, W2, b2, X)
    J = -(1 / m) * np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
    dZ2 = A2 - Y
    dW2 = (1 / m) * dZ2 @ A1.T
    db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
    dZ1 = W2.T @ dZ2 * (1 - A1**2)  # tanh′ = 1 − tanh²
    dW1 = (1 / m) * dZ1 @ X.T
    db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True)
    return J, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


def by_autodiff(parameters: dict[str, np.ndarray], X, Y):
    """The same from the cost alone."""
    leaves = {name: Tensor(parameters[name], name=name) for name in NAMES}
    J = cost(**leaves, X=X, Y=Y)
    J.backward()
    return J.data, {name: leaf.grad for name, leaf in leaves.items()}


def step(parameters, derivatives, learning_rate: float):
    """W := W − α dW, b := b − α db."""
    return {name: parameters[name] - learning_rate * derivatives[name] for name in NAMES}


def train(X, Y, iterations: int, derivatives=by_autodiff, n_hidden: int = 4, learning_rate: float = 1.2, report=None):
    """Repeat { forward, backward, update }; `report(i, J)` before every update. Returns parameters and costs."""
    parameters = initialise(X.shape[0], n_hidden, Y.shape[0])
    costs = []
    for i in range(iterations):
        J, gradients = derivatives(parameters, X, Y)
        costs.append(float(J))
        if report:
            report(i, J)
        parameters = step(parameters, gradients, learning_rate)
    return parameters, costs


def compare_every_step(X, Y, steps: int = 100, learning_rate: float = 1.2) -> float:
    """Train by hand, and at every step compare all derivatives with autodiff's; the largest difference of all."""
    parameters = initialise(X.shape[0], 4, 1)
    worst = 0.0
    for _ in range(steps):
        J, hand = by_hand(parameters, X, Y)
        J_autodiff, autodiff = by_autodiff(parameters, X, Y)
        np.testing.assert_allclose(J_autodiff, J, rtol=1e-12, atol=1e-12)
        for name in NAMES:
            np.testing.assert_allclose(autodiff[name], hand[name], rtol=1e-12, atol=1e-12, err_msg=name)
            worst = max(worst, float(np.max(np.abs(autodiff[name] - hand[name]))))
        parameters = step(parameters, hand, learning_rate)
    return worst


def accuracy(parameters, X, Y) -> float:
    """The share of points on the right side of the boundary A2 = 0.5."""
    A2 = forward(*(parameters[name] for name in NAMES), X)[-1]
    return float(np.mean((A2 > 0.5) == Y))


def best_straight_line(X, Y) -> float:
    """The accuracy of the best of all straight lines, by trying 180 directions and every place for each."""
    best = 0.0
    for angle in np.linspace(0, 2 * np.pi, 180, endpoint=False):
        order = np.argsort(X[0] * np.cos(angle) + X[1] * np.sin(angle))
        wrong = np.cumsum(2 * Y[0, order] - 1)  # moving the line past a point labelled 1 costs one, 0 gains one
        best = max(best, float((Y.sum() - min(0.0, wrong.min())) / Y.size))
    return best


def plot(directory: Path, parameters, X, Y, costs) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("\nno plot: matplotlib is not installed (pip install matplotlib)")
        return
    directory.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    x1, x2 = np.meshgrid(np.linspace(-5, 5, 200), np.linspace(-5, 5, 200))
    A2 = forward(*(parameters[name] for name in NAMES), np.array([x1.ravel(), x2.ravel()]))[-1].reshape(x1.shape)
    left.contourf(x1, x2, A2, levels=[0, 0.5, 1], colors=["#cfe3f5", "#f8d9c8"])
    left.scatter(*X, c=Y[0], cmap="coolwarm", s=12)
    left.set(title="four tanh units draw this boundary", xlabel="x₁", ylabel="x₂", aspect="equal")
    right.plot(costs)
    right.set(title="training", xlabel="iteration", ylabel="cost J")
    figure.savefig(directory / "shallow_network.png", dpi=120)
    print(f"\nthe plot: {directory / 'shallow_network.png'}")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=5000)
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save the plot")
    options = parser.parse_args(argv)

    X, Y = flower()
    parameters = {name: 50 * value for name, value in initialise(2, 4, 1).items()}  # not tiny, to have numbers to see
    J, hand = by_hand(parameters, X, Y)
    J_autodiff, autodiff = by_autodiff(parameters, X, Y)
    print(f"data: X {X.shape}, Y {Y.shape}; a 2-layer network: 2 inputs (not counted), 4 tanh units, 1 sigmoid unit")
    side_by_side("one backward pass", ("J", J, J_autodiff),
                 *((f"d{name}", hand[name], autodiff[name]) for name in NAMES))
    worst = compare_every_step(X, Y)
    print(f"\n100 steps of training, every derivative compared at every step: largest difference {worst:.1e}")

    print(f"\ntraining, {options.iterations} iterations")
    every = max(1, options.iterations // 10)

    def report(i, J):
        if i % every == 0:
            print(f"  iteration {i:5d}  cost {J:.6f}")

    parameters, costs = train(X, Y, options.iterations, report=report)
    print(f"accuracy {accuracy(parameters, X, Y):.1%}; the best straight line reaches {best_straight_line(X, Y):.1%}")
    if options.plot:
        plot(options.plot, parameters, X, Y, costs)


if __name__ == "__main__":
    main()
