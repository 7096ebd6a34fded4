"""Autoencoders: squeeze a picture through a few numbers and bring it back. A linear one is PCA, a nonlinear one does better
(M131); and layers trained one after the other before the whole is (M133).

    H = W₁ X        X̂ = W₂ H        J = 1/(2m) Σ ‖x̂⁽ⁱ⁾ − x⁽ⁱ⁾‖²
    dX̂ = X̂ − X      dW₂ = 1/m dX̂ Hᵀ      dH = W₂ᵀ dX̂      dW₁ = 1/m dH Xᵀ

No labels are used. Without nonlinearities nothing of rank k can do better than the k principal components (Eckart and Young
1936), whose error is known from the singular values of X: gradient descent gets there, and not below. With tanh layers around
the same narrow middle the pictures come back better, also those held out.

The hand formulas have examples in columns, as the notes do; the nonlinear network is made of nn layers and has rows.

Run: python examples/18_autoencoder.py [--plot DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from figures import save
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import data, nn, optim

WIDTH = 8  # numbers in the middle
HIDDEN = 64  # units of the tanh layers around it


def pictures():
    """Digits as rows (m, 64), pixels from 0 to 1 less the mean picture: for training, held out; what they show; the mean."""
    X, Y = data.digits()
    (train, y_train), (test, y_test) = data.split(X / 16, Y, (0.8, 0.2), rng=0, stratify=True)
    mean = train.mean(axis=0)
    return train - mean, test - mean, y_train, y_test, mean


def half_error(X, found) -> float:
    """J: half the squared length of the difference, in the mean over the rows."""
    return float(0.5 * np.mean(np.sum((found - X) ** 2, axis=1)))


# ---------------------------------------------------------------- linear


def linear_cost(W1, W2, X):
    """J of a linear autoencoder, examples in columns."""
    return 0.5 / X.shape[1] * np.sum((W2 @ (W1 @ X) - X) ** 2)


def linear_by_hand(W1, W2, X):
    """J, dW1 and dW2."""
    m = X.shape[1]
    H = W1 @ X
    difference = W2 @ H - X
    return 0.5 / m * np.sum(difference**2), 1 / m * (W2.T @ difference) @ X.T, 1 / m * difference @ H.T


def principal_components(X, k: int = WIDTH):
    """The k directions (64, k) that keep most of the columns of X, and the J that is left: half the squares of the other
    singular values, by m."""
    U, s, _ = np.linalg.svd(X, full_matrices=False)
    return U[:, :k], float(0.5 * np.sum(s[k:] ** 2) / X.shape[1])


def train_linear(X, k: int = WIDTH, updates: int = 1500, seed: int = 0):
    """Adam on all of X (columns). Returns W1, W2, and J at each update."""
    rng = np.random.default_rng(seed)
    params = (0.1 * rng.standard_normal((k, len(X))), 0.1 * rng.standard_normal((len(X), k)))
    slope = tg.jit(tg.value_and_grad(linear_cost, argnums=(0, 1)))
    rate = optim.cosine_annealing_lr(0.02, T_max=updates)
    adam = optim.functional(optim.Adam, lr=rate)
    state, costs = adam.init(params), []
    for _ in range(updates):
        J, slopes = slope(*params, X)
        params, state = adam.update(params, slopes, state)
        costs.append(float(J))
    return *params, costs


# ---------------------------------------------------------------- nonlinear


def nonlinear(k: int = WIDTH, seed: int = 0):
    """64 – 64 – k – 64 – 64 with tanh around a linear middle: encoder and decoder."""
    rng = np.random.default_rng(seed)
    return nn.Sequential(
        nn.Sequential(nn.Linear(64, HIDDEN, rng=rng), nn.Tanh(), nn.Linear(HIDDEN, k, rng=rng)),
        nn.Sequential(nn.Linear(k, HIDDEN, rng=rng), nn.Tanh(), nn.Linear(HIDDEN, 64, rng=rng)),
    )


def train(model, X, epochs: int, learning_rate: float = 0.005, size: int = 100, seed: int = 0, targets=None):
    """Adam on mini-batches of rows: what comes out should be what went in, or the targets. Returns the mean J of each epoch."""
    targets = X if targets is None else targets

    def cost(params, x, y):
        return 0.5 / x.shape[0] * np.sum((nn.functional_call(model, params, x) - y) ** 2)

    params = model.parameter_dict()
    slope = tg.jit(tg.value_and_grad(cost))
    batches = data.batches(X, targets, size, rng=seed, drop_last=True)
    adam = optim.functional(optim.Adam, lr=optim.cosine_annealing_lr(learning_rate, T_max=epochs * len(batches)))
    state, costs = adam.init(params), []
    for _ in range(epochs):
        total = 0.0
        for x, y in batches:
            J, slopes = slope(params, x, y)
            params, state = adam.update(params, slopes, state)
            total += float(J)
        costs.append(total / len(batches))
    model.load_state_dict(params)
    return costs


def through(model, X):
    """What the model makes of X, as plain numbers."""
    with tg.no_grad():
        return np.asarray(model(X))


# ---------------------------------------------------------------- layer by layer


SIZES = (64, 48, 32, 24, 16, WIDTH)  # ten layers, encoder and decoder together


def deep(seed: int = 0):
    """Encoder and decoder of sigmoid layers, which are hard to train from the start: δ gets smaller layer by layer."""
    rng = np.random.default_rng(seed)
    down = [nn.Linear(a, b, rng=rng) for a, b in pairwise(SIZES)]
    up = [nn.Linear(b, a, rng=rng) for a, b in pairwise(SIZES)][::-1]
    layers = [part for layer in [*down, *up] for part in (layer, nn.Sigmoid())]
    return nn.Sequential(*layers[:-1]), down, up


def pretrain(down, up, X, epochs: int):
    """Greedy: each pair of layers learns to bring back what the layers before make of X; then the next pair."""
    for i, (encode, decode) in enumerate(zip(down, up[::-1], strict=True)):
        last = [] if i == 0 else [nn.Sigmoid()]  # the outermost decoder is linear: pixels are not between 0 and 1
        train(nn.Sequential(encode, nn.Sigmoid(), decode, *last), X, epochs, 0.02)
        X = through(nn.Sequential(encode, nn.Sigmoid()), X)


# ---------------------------------------------------------------- figures


def draw_pictures(figure, found) -> None:
    """Held-out digits and what comes back, and the cost of the linear autoencoder."""
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    shown = [int(np.flatnonzero(found["labels"] == digit)[0]) for digit in range(10)]
    rows = np.concatenate([np.clip(found[name][shown] + found["mean"], 0, 1) for name in ("original", "PCA", "tanh")])
    tg.plots.image_grid(rows, columns=10, image_shape=(8, 8), ax=left)
    left.set_title(f"held out (top), back from {WIDTH} numbers by PCA (middle), by tanh layers (bottom)", fontsize=11)
    tg.plots.cost_curve(np.array(found["costs"]) - found["least"], ylabel="J less that of PCA", ax=right)
    right.set_title("a linear autoencoder ends where PCA is")


def draw_codes(figure, found) -> None:
    """The digits as two numbers."""
    for ax, name in zip(figure.subplots(1, 2), ("PCA", "tanh"), strict=True):
        codes = found[f"{name} in two numbers"]
        dots = ax.scatter(*codes.T, c=found["labels"], cmap="tab10", s=14, vmin=-0.5, vmax=9.5)
        for digit in range(10):
            ax.text(*np.median(codes[found["labels"] == digit], axis=0), str(digit), fontsize=15, weight="bold", ha="center",
                    va="center", bbox={"boxstyle": "circle,pad=0.15", "color": "white", "alpha": 0.7})
        ax.set(title=f"{name}: every held-out digit as two numbers", xlabel="first", ylabel="second")
    figure.colorbar(dots, ax=ax, ticks=range(10), label="digit (not used in training)")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save the plots")
    options = parser.parse_args(argv)

    X, X_test, _, labels, mean = pictures()
    rng = np.random.default_rng(1)
    W1, W2 = rng.standard_normal((3, 64)), rng.standard_normal((64, 3))
    columns = np.ascontiguousarray(X[:50].T)
    J, slopes = tg.value_and_grad(linear_cost, argnums=(0, 1))(W1, W2, columns)
    hand = linear_by_hand(W1, W2, columns)
    side_by_side("linear autoencoder, 50 digits", ("J", hand[0], J), ("dW1", hand[1], slopes[0]), ("dW2", hand[2], slopes[1]))

    U, least = principal_components(X.T)
    W1, W2, costs = train_linear(np.ascontiguousarray(X.T))
    J = float(linear_cost(W1, W2, X.T))
    same = np.linalg.svd(U.T @ np.linalg.qr(W2)[0], compute_uv=False).min()
    print(f"\n{len(X)} digits of 64 pixels through {WIDTH} numbers, {len(X_test)} held out; J: half a picture's squared error")
    print(f"  least J that is linear, by PCA  {least:.6f}")
    print(f"  J of the linear autoencoder     {J:.6f}, {100 * (J / least - 1):.4f}% above")
    print(f"  the same directions: the smallest cosine between the two spaces is {same:.6f}")

    model = nonlinear()
    train(model, X, epochs=80)
    by_pca, by_tanh = X_test @ U @ U.T, through(model, X_test)
    print("\n                    J training   J held out")
    rows = (("PCA", X @ U @ U.T, by_pca), ("linear autoencoder", X @ W1.T @ W2.T, X_test @ W1.T @ W2.T),
            ("tanh autoencoder", through(model, X), by_tanh))
    for name, seen, unseen in rows:
        print(f"  {name:<18} {half_error(X, seen):10.4f} {half_error(X_test, unseen):12.4f}")
    saved = 1 - half_error(X_test, by_tanh) / half_error(X_test, by_pca)
    print(f"held out, the tanh autoencoder has {saved:.0%} less error than PCA, with as many numbers in the middle")

    print(f"\nten sigmoid layers, {' – '.join(map(str, SIZES))} and back: 60 epochs at once, or 20 of each pair and 40 of all")
    at_once, _, _ = deep()
    train(at_once, X, 60, 0.02)
    layered, down, up = deep()
    pretrain(down, up, X, 20)
    before = half_error(X_test, through(layered, X_test))
    train(layered, X, 40, 0.02)
    flat = half_error(X_test, np.zeros_like(X_test))
    together, after = (half_error(X_test, through(model, X_test)) for model in (at_once, layered))
    print(f"  J held out: the mean picture for all {flat:.3f}; trained at once {together:.3f};")
    print(f"  layer by layer {before:.3f}, and then as a whole {after:.3f}")
    print("Deep belief networks stack restricted Boltzmann machines in this way. Those are trained by sampling, not by a")
    print("gradient through a graph, so autoencoders stand in their place here.")

    if options.plot:
        two = nonlinear(2, seed=1)
        train(two, X, epochs=80)
        found = {"original": X_test, "PCA": by_pca, "tanh": by_tanh, "mean": mean, "labels": labels, "costs": costs,
                 "least": least, "PCA in two numbers": X_test @ principal_components(X.T, 2)[0],
                 "tanh in two numbers": through(two[0], X_test)}
        save(options.plot, {"autoencoder": (lambda figure: draw_pictures(figure, found), (11, 4.4)),
                            "codes": (lambda figure: draw_codes(figure, found), (10.5, 4.8))})


if __name__ == "__main__":
    main()
