"""Logistic regression on photographs: which of two pictures was this patch cut from?

Data   X = [x⁽¹⁾ … x⁽ᵐ⁾] is (n_x, m), one column per image of 64·64·3 = 12288 numbers; Y is (1, m), zeros and ones.
Model  Z = wᵀX + b,  A = σ(Z).   Cost  J = −(1/m) Σ [Y log A + (1 − Y) log(1 − A)].

The derivatives are taken three times: in the loop over examples, in the vectorised form dZ = A − Y, dw = X dZᵀ/m,
db = Σ dZ/m, and by autodiff, which was told none of this.

Run: python examples/02_logistic_regression.py [--iterations N] [--plot DIR]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from side_by_side import side_by_side

from tinygrad_edu import Tensor

SIDE = 64


# ---------------------------------------------------------------- data


def photographs() -> tuple[np.ndarray, np.ndarray]:
    """Patches (m, 64, 64, 3) of scikit-learn's two photographs, and labels (1, m): 0 china.jpg, 1 flower.jpg.

    The patches do not overlap, so that no pixel of a test patch was seen in training.
    """
    from sklearn.datasets import load_sample_images

    patches, labels = [], []
    for label, image in enumerate(load_sample_images().images):
        for top in range(0, image.shape[0] - SIDE + 1, SIDE):
            for left in range(0, image.shape[1] - SIDE + 1, SIDE):
                patches.append(image[top : top + SIDE, left : left + SIDE])
                labels.append(label)
    return np.array(patches), np.array(labels).reshape(1, -1)


def generated(m: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The same shapes without scikit-learn: noisy images, brighter towards the top (0) or towards the bottom (1)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(m).reshape(1, -1) % 2
    ramp = np.linspace(-1, 1, SIDE).reshape(1, SIDE, 1, 1) * (2 * labels.reshape(m, 1, 1, 1) - 1)
    images = 128 + 25 * ramp + 40 * rng.standard_normal((m, SIDE, SIDE, 3))
    return np.clip(images, 0, 255).astype(np.uint8), labels


def load() -> tuple[str, np.ndarray, np.ndarray]:
    """Photographs if scikit-learn is installed, else generated images; with a line that says which."""
    try:
        images, labels = photographs()
    except ImportError:
        return "generated images (scikit-learn is not installed)", *generated()
    return "patches of china.jpg (0) and flower.jpg (1)", images, labels


def flatten_images(images: np.ndarray) -> np.ndarray:
    """(m, height, width, channels) to (n_x, m): column j is image j, unrolled."""
    return images.reshape(images.shape[0], -1).T


def train_test_split(X, Y, test_share: float = 0.25, seed: int = 0):
    """Shuffle the columns and keep some aside: X_train, Y_train, X_test, Y_test."""
    m = X.shape[1]
    order = np.random.default_rng(seed).permutation(m)
    test, train = np.split(order, [round(test_share * m)])
    # np.take lays its result out row by row; X[:, train] of a transposed X does not, and is ten times slower in X @ ...
    return np.take(X, train, axis=1), np.take(Y, train, axis=1), np.take(X, test, axis=1), np.take(Y, test, axis=1)


# ---------------------------------------------------------------- model


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def initialise(n_x: int):
    """Zeros are fine here: one unit has no twin to stay equal to. The first cost is then ln 2, whatever the data."""
    return np.zeros((n_x, 1)), 0.0


def cost(w, b, X, Y):
    """J, with the notes' own line; w and b may be arrays or Tensors."""
    m = X.shape[1]
    A = sigmoid(np.dot(w.T, X) + b)
    return (-1 / m) * np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def loop(w, b, X, Y):
    """The loop over examples, one column of X at a time: J, dw, db."""
    m = X.shape[1]
    J, dw, db = 0.0, np.zeros_like(w), 0.0
    for i in range(m):
        x, y = X[:, i : i + 1], Y[0, i]
        z = np.dot(w.T, x)[0, 0] + b
        a = sigmoid(z)
        J += -(y * np.log(a) + (1 - y) * np.log(1 - a))
        dz = a - y
        dw += x * dz
        db += dz
    return J / m, dw / m, db / m


def vectorised(w, b, X, Y):
    """The same without a loop: J, dw, db."""
    m = X.shape[1]
    A = sigmoid(np.dot(w.T, X) + b)
    J = (-1 / m) * np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    dZ = A - Y
    dw = (1 / m) * np.dot(X, dZ.T)
    db = (1 / m) * np.sum(dZ)
    return J, dw, db


def autodiff(w, b, X, Y):
    """The same from the cost alone: J, dw, db."""
    w, b = Tensor(w), Tensor(b)
    J = cost(w, b, X, Y)
    J.backward()
    return J.data, w.grad, b.grad


def train(X, Y, derivatives=autodiff, iterations: int = 1000, learning_rate: float = 0.002, report=None):
    """Gradient descent from zeros; `report(i, J)` is called before every update. Returns w, b and the costs."""
    w, b = initialise(X.shape[0])
    costs = []
    for i in range(iterations):
        J, dw, db = derivatives(w, b, X, Y)
        costs.append(float(J))
        if report:
            report(i, J)
        w = w - learning_rate * dw
        b = b - learning_rate * db
    return w, b, costs


def predict(w, b, X):
    """1 where A > 0.5, and 0 elsewhere: also at 0.5 itself. Shape (1, m)."""
    A = sigmoid(np.dot(w.T, X) + b)
    return np.where(A > 0.5, 1, 0)


def accuracy(w, b, X, Y) -> float:
    """The share of examples predicted right."""
    return float(np.mean(predict(w, b, X) == Y))


# ---------------------------------------------------------------- why vectorise


def time_loop_and_dot(n_x: int = SIDE * SIDE * 3, seed: int = 0) -> tuple[float, float, float, float]:
    """z = wᵀx + b number by number and with np.dot: both values, then both times in seconds (the best of five)."""
    rng = np.random.default_rng(seed)
    w, x, b = rng.standard_normal(n_x), rng.standard_normal(n_x), 0.5
    times = []
    for _ in range(5):
        start = time.perf_counter()
        z = 0.0
        for i in range(n_x):
            z += w[i] * x[i]
        z += b
        middle = time.perf_counter()
        z_dot = np.dot(w, x) + b
        times.append((middle - start, time.perf_counter() - middle))
    slow, fast = (min(column) for column in zip(*times, strict=True))
    return float(z), float(z_dot), slow, fast


# ---------------------------------------------------------------- plots


def one_feature(m: int = 40, seed: int = 1):
    """A data set of one number per example, whose cost is a bowl over the plane of (w, b) and can be drawn."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((1, m))
    Y = (X + 0.8 * rng.standard_normal((1, m)) > 0.3).astype(float)
    return X, Y


def path_on_bowl(X, Y, start=(-3.0, 3.0), learning_rate: float = 2.0, steps: int = 40):
    """The points (w, b) that gradient descent visits, (steps + 1, 2), and the cost at each."""
    w, b = np.array([[start[0]]]), start[1]
    points, costs = [(start[0], start[1])], [float(cost(w, b, X, Y))]
    for _ in range(steps):
        _, dw, db = autodiff(w, b, X, Y)
        w, b = w - learning_rate * dw, b - learning_rate * db
        points.append((float(w[0, 0]), float(b)))
        costs.append(float(cost(w, b, X, Y)))
    return np.array(points), costs


def plot(directory: Path, costs: Sequence[float]) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("\nno plot: matplotlib is not installed (pip install matplotlib)")
        return
    directory.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(costs)
    left.set(title="photographs", xlabel="iteration", ylabel="cost J")
    X, Y = one_feature()
    points, _ = path_on_bowl(X, Y)
    w, b = np.meshgrid(np.linspace(-4, 6, 80), np.linspace(-5, 4, 80))
    A = sigmoid(w[..., None] * X + b[..., None])
    J = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A), axis=-1)
    right.contour(w, b, J, levels=20)
    right.plot(*points.T, "o-", color="tab:red", markersize=3)
    right.set(title="J(w, b) is a bowl: downhill from anywhere", xlabel="w", ylabel="b")
    figure.savefig(directory / "logistic_regression.png", dpi=120)
    print(f"\nthe plots: {directory / 'logistic_regression.png'}")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save the plots")
    options = parser.parse_args(argv)

    what, images, Y = load()
    X = flatten_images(images) / 255.0
    X_train, Y_train, X_test, Y_test = train_test_split(X, Y)
    print(f"{what}: images {images.shape} -> X {X.shape}")
    print(f"m_train = {X_train.shape[1]}, m_test = {X_test.shape[1]}, n_x = {X.shape[0]}")

    w, b = initialise(X.shape[0])
    w += 1e-3 * np.random.default_rng(0).standard_normal(w.shape)  # anywhere but zero, where much would be equal
    by_loop, by_vector, by_autodiff = (f(w, b, X_train, Y_train) for f in (loop, vectorised, autodiff))
    names = ("J", "dw", "db")
    side_by_side("the loop over examples", *zip(names, by_loop, by_autodiff, strict=True), columns=("loop", "autodiff"))
    side_by_side("the vectorised form", *zip(names, by_vector, by_autodiff, strict=True),
                 columns=("vectorised", "autodiff"))

    z, z_dot, slow, fast = time_loop_and_dot()
    print(f"\none z = wᵀx + b of {SIDE * SIDE * 3} terms: loop {slow * 1e3:.2f} ms, np.dot {fast * 1e3:.3f} ms, "
          f"difference {abs(z - z_dot):.0e}")

    print(f"\ntraining, {options.iterations} iterations of gradient descent on autodiff's derivatives")
    every = max(1, options.iterations // 10)

    def report(i, J):
        if i % every == 0:
            print(f"  iteration {i:4d}  cost {J:.6f}")

    w, b, costs = train(X_train, Y_train, iterations=options.iterations, report=report)
    print(f"  iteration {options.iterations:4d}  cost {cost(w, b, X_train, Y_train):.6f}")
    w_hand, b_hand, _ = train(X_train, Y_train, vectorised, options.iterations)
    side_by_side("parameters after training", ("w", w_hand, w), ("b", b_hand, b))

    print(f"\naccuracy on the {X_train.shape[1]} training images  {accuracy(w, b, X_train, Y_train):.1%}")
    print(f"accuracy on the {X_test.shape[1]} held-out images  {accuracy(w, b, X_test, Y_test):.1%}")
    if options.plot:
        plot(options.plot, costs)


if __name__ == "__main__":
    main()
