"""Why deep (M100): as many parameters in few wide layers or in many narrow ones, where it matters and where it does not.

Edges, then parts, then faces; sounds, phonemes, words: what is made of parts is described in layers. Three ways to see it.

1. Circuits. Parity, x₁ XOR x₂ XOR ... XOR xₙ, by pairs takes 3 (n − 1) units in log₂ n stages. A single layer of ANDs and
   an OR needs an AND for every odd pattern, 2ⁿ⁻¹. (Units that count do it flat with n: not all that is deep must be.)
2. Folds. Two ReLU units fold [0, 1] onto itself: relu(2x) − relu(4x − 2). Each layer folds once more, so k layers make a
   line of 2ᵏ pieces; a single layer of n units has n bends (Telgarsky 2016). This is about what can be, not about what is
   learned: from random starts descent does not find the folds.
3. Learned, with as many parameters each: rings in a cube, where the first layers can make ‖x‖² and the next a wave of it,
   are learned by the deep network and not by the wide one. A product of four numbers, and the digits, are learned as well
   by one wide layer, or better.

    Z⁽ˡ⁾ = W⁽ˡ⁾ A⁽ˡ⁻¹⁾ + b⁽ˡ⁾      δ⁽ᴸ⁾ = (Ŷ − Y)/m      δ⁽ˡ⁾ = W⁽ˡ⁺¹⁾ᵀ δ⁽ˡ⁺¹⁾ ⊙ [Z⁽ˡ⁾ > 0]
    dW⁽ˡ⁾ = δ⁽ˡ⁾ A⁽ˡ⁻¹⁾ᵀ      db⁽ˡ⁾ = Σ δ⁽ˡ⁾

Run: python examples/22_deep_vs_wide.py [--plot DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from figures import save
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import data, optim

DEPTHS = (1, 2, 4)  # hidden layers
SEEDS = (0, 1, 2)


# ---------------------------------------------------------------- circuits: units that fire or not


def fires(z):
    """1 where z > 0, else 0."""
    return (z > 0).astype(float)


def parity_by_pairs(x):
    """The parity of the columns of x (n, m), n a power of 2, and how many units it took: two and one for each XOR."""
    units = 0
    while len(x) > 1:
        a, b = x[0::2], x[1::2]
        some, both = fires(a + b - 0.5), fires(a + b - 1.5)
        x = fires(some - both - 0.5)
        units += 3 * len(x)
    return x, units


def parity_of_ands(x):
    """The same by one layer of ANDs, one for each pattern with an odd number of ones, and an OR."""
    n = len(x)
    patterns = np.array([p for p in np.ndindex(*(2,) * n) if sum(p) % 2])
    ands = fires((2 * patterns - 1) @ x - patterns.sum(axis=1, keepdims=True) + 0.5)
    return fires(ands.sum(axis=0, keepdims=True) - 0.5), len(patterns) + 1


def parity_by_counting(x):
    """The same by units that fire from 1, 2, ... n ones on, added with signs + − + −."""
    n = len(x)
    counts = fires(x.sum(axis=0, keepdims=True) - np.arange(1, n + 1).reshape(-1, 1) + 0.5)
    signs = (-1.0) ** np.arange(n)
    return fires(signs.reshape(1, -1) @ counts - 0.5), n + 1


# ---------------------------------------------------------------- networks of ReLU units, one example a column


def network(params, X):
    """ReLU in the hidden layers, none in the last."""
    A = X
    for i, (W, b) in enumerate(params, 1):
        Z = W @ A + b
        A = tg.relu(Z) if i < len(params) else Z
    return A


def squares(Z, Y):
    """1/(2m) Σ (Ŷ − Y)²."""
    return 0.5 / Y.shape[1] * np.sum((Z - Y) ** 2)


def softmax_cost(Z, Y):
    """−1/m Σ Σ Y ln softmax(Z)."""
    return -np.mean(np.sum(Y * tg.log_softmax(Z, axis=0), axis=0))


def by_hand(params, X, Y):
    """dW and db of every layer, for `squares`."""
    A, Z = [X], []
    for W, b in params:
        Z.append(W @ A[-1] + b)
        A.append(np.maximum(Z[-1], 0))
    delta = (Z[-1] - Y) / X.shape[1]
    slopes = []
    for i in reversed(range(len(params))):
        slopes.append((delta @ A[i].T, np.sum(delta, axis=1, keepdims=True)))
        if i:
            delta = params[i][0].T @ delta * (Z[i - 1] > 0)
    return slopes[::-1]


def count(sizes) -> int:
    """Weights and biases of a network with so many units in each layer, the input included."""
    return sum(b * (a + 1) for a, b in pairwise(sizes))


def layers(inputs: int, outputs: int, depth: int, parameters: int) -> list[int]:
    """The sizes of a network with so many equal hidden layers, and about as many parameters, at most 3% more."""
    width = 1
    while count([inputs, *[width + 1] * depth, outputs]) <= 1.03 * parameters:
        width += 1
    return [inputs, *[width] * depth, outputs]


def start(sizes, rng):
    """He's weights, small biases."""
    return [(rng.standard_normal((b, a)) * np.sqrt(2 / a), 0.1 * rng.standard_normal((b, 1))) for a, b in pairwise(sizes)]


@cache
def slope_of(cost):
    """The gradient of a cost of the network, compiled once for all trainings."""
    return tg.jit(tg.grad(lambda params, x, y: cost(network(params, x), y)))


def train(sizes, cost, X, Y, updates: int, learning_rate: float = 0.005, seed: int = 0, size: int = 128):
    """Adam on mini-batches of columns; returns the parameters."""
    rng = np.random.default_rng(seed)
    params = start(sizes, rng)
    slope = slope_of(cost)
    adam = optim.functional(optim.Adam, lr=optim.cosine_annealing_lr(learning_rate, T_max=updates))
    state, done = adam.init(params), 0
    while done < updates:
        for x, y in data.batches(X, Y, size, axis=1, rng=rng, drop_last=True):
            params, state = adam.update(params, slope(params, x, y), state)
            done += 1
    return params


# ---------------------------------------------------------------- folds


def folds(k: int):
    """The weights of k layers of two units that fold [0, 1] k times: 2ᵏ pieces."""
    first = (np.array([[2.0], [4.0]]), np.array([[0.0], [-2.0]]))
    again = (np.array([[2.0, -2.0], [4.0, -4.0]]), np.array([[0.0], [-2.0]]))
    return [first, *[again] * (k - 1), (np.array([[1.0, -1.0]]), np.array([[0.0]]))]


def pieces(f) -> int:
    """Of how many straight pieces f consists on [0, 1]: one more than the jumps of its slope, by autodiff."""
    x = (np.arange(2**14) + 0.5).reshape(1, -1) / 2**14
    slopes = tg.grad(lambda x: np.sum(f(x)))(x)
    return int(np.sum(np.abs(np.diff(slopes)) > 1e-6)) + 1


# ---------------------------------------------------------------- tasks


def rings(rng, m: int):
    """Points in the cube [−1, 1]³ and cos 2π‖x‖², less its mean 0.07 and divided by its spread 0.69."""
    X = rng.uniform(-1, 1, (3, m))
    return X, (np.cos(2 * np.pi * np.sum(X**2, axis=0, keepdims=True)) - 0.07) / 0.69


def product(rng, m: int):
    """Points in [−1, 1]⁴ and the product of their coordinates, 9 times as large, so that its spread is 1."""
    X = rng.uniform(-1, 1, (4, m))
    return X, 9 * np.prod(X, axis=0, keepdims=True)


def squared_error(params, X, Y) -> float:
    return float(np.mean((network(params, X) - Y) ** 2))


def learned(task, depth: int, parameters: int, updates: int = 2500):
    """Held-out squared errors, one for each seed, and the sizes; the mean for every answer would be off by 1."""
    rng = np.random.default_rng(0)
    (X, Y), held_out = task(rng, 4000), task(rng, 4000)
    sizes = layers(len(X), 1, depth, parameters)
    return [squared_error(train(sizes, squares, X, Y, updates, seed=seed), *held_out) for seed in SEEDS], sizes


def learned_digits(depth: int, parameters: int, updates: int = 600):
    """Held-out errors, shares of wrong answers, one for each seed, and the sizes."""
    X, Y = data.digits()
    (X, Y), (X_test, Y_test) = data.split(X, Y, (0.8, 0.2), rng=0, stratify=True)
    X, X_test = data.standardise(X, X_test)
    sizes = layers(64, 10, depth, parameters)
    X, Y = np.ascontiguousarray(X.T), data.one_hot(Y, columns=True)
    found = [network(train(sizes, softmax_cost, X, Y, updates, seed=seed), X_test.T).argmax(axis=0) for seed in SEEDS]
    return [float(np.mean(guess != Y_test)) for guess in found], sizes


# ---------------------------------------------------------------- figures


def plot(directory: Path) -> None:
    x = np.linspace(0, 1, 2001).reshape(1, -1)

    def draw_folds(figure) -> None:
        for ax, k in zip(figure.subplots(1, 3, sharey=True), (1, 2, 5), strict=True):
            ax.plot(x[0], network(folds(k), x)[0], color="C0")
            found = pieces(partial(network, folds(k)))
            ax.set(title=f"{k} layer{'s' * (k > 1)}, {2 * k} units: {found} pieces", xlabel="x")

    def draw_rings(figure) -> None:
        rng = np.random.default_rng(0)
        X, Y = rings(rng, 4000)
        side = np.linspace(-1, 1, 121)
        grid = np.stack([*(part.ravel() for part in np.meshgrid(side, side)), np.zeros(121**2)])
        images = {"cos 2π‖x‖², at x₃ = 0": (np.cos(2 * np.pi * np.sum(grid**2, axis=0)) - 0.07) / 0.69}
        for depth in DEPTHS:
            sizes = layers(3, 1, depth, 1000)
            images[f"{depth} hidden × {sizes[1]} units, {count(sizes)} parameters"] = network(
                train(sizes, squares, X, Y, 2500), grid)[0]
        for ax, (title, values) in zip(figure.subplots(1, len(images)), images.items(), strict=True):
            shown = ax.imshow(values.reshape(121, 121), extent=(-1, 1, -1, 1), vmin=-1.6, vmax=1.4, cmap="cividis",
                              origin="lower")
            ax.set_title(title, fontsize=10)
            ax.set(xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        figure.colorbar(shown, ax=ax, shrink=0.8)

    save(directory, {"folds": (draw_folds, (11, 3.2)), "rings": (draw_rings, (14, 3.6))})


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save the plots")
    options = parser.parse_args(argv)

    rng = np.random.default_rng(0)
    params = start([3, 5, 4, 4, 1], rng)
    X, Y = rings(rng, 20)
    hand, autodiff = by_hand(params, X, Y), tg.grad(lambda params: squares(network(params, X), Y))(params)
    side_by_side("a network of three hidden layers, twenty points",
                 *((f"d{name}{i + 1}", hand[i][j], autodiff[i][j]) for i in range(4) for j, name in enumerate("Wb")))

    print("\nparity of n numbers 0 or 1: units needed; all 2ⁿ patterns are answered rightly")
    print("   n   by pairs   one layer of ANDs   one layer that counts")
    for n in (2, 4, 8):
        patterns = np.array(list(np.ndindex(*(2,) * n)), dtype=float).T
        answers, needed = zip(*(way(patterns) for way in (parity_by_pairs, parity_of_ands, parity_by_counting)), strict=True)
        assert all(np.array_equal(answer[0], patterns.sum(axis=0) % 2) for answer in answers)
        print(f"  {n:2d}   {needed[0]:8d}   {needed[1]:17d}   {needed[2]:21d}")

    print("\nfolds: straight pieces, counted by the slopes that autodiff gives")
    print("  layers   units   parameters   pieces   most pieces of one layer with as many parameters")
    for k in (1, 2, 3, 4, 5, 6):
        parameters = count([1, *[2] * k, 1])
        print(f"  {k:6d}   {2 * k:5d}   {parameters:10d}   {pieces(partial(network, folds(k))):6d}   "
              f"{layers(1, 1, 1, parameters)[1] + 1:6d}")
    x = np.linspace(0, 1, 1001).reshape(1, -1)
    zigzag = network(folds(6), x)
    sizes = [1, *[2] * 6, 1]
    errors = [squared_error(train(sizes, squares, x, zigzag, 600, seed=seed), x, zigzag) for seed in SEEDS]
    print(f"  six layers of two units learning those 64 pieces from random starts: squared errors "
          f"{', '.join(f'{e:.3f}' for e in errors)}; a constant has {zigzag.var():.3f}")

    print("\nlearned, as many parameters each: mean and all of three seeds")
    for title, task, parameters in (("rings in a cube, squared error held out", rings, 1000),
                                    ("a product of four numbers, squared error held out", product, 500),
                                    ("digits, wrong answers held out", learned_digits, 2500)):
        print(f"  {title}")
        for depth in DEPTHS:
            found, sizes = learned_digits(depth, parameters) if task is learned_digits else learned(task, depth, parameters)
            print(f"    {depth} hidden × {sizes[1]:3d} units, {count(sizes)} parameters   {np.mean(found):.3f}   "
                  f"({', '.join(f'{e:.3f}' for e in found)})")
    if options.plot:
        plot(options.plot)


if __name__ == "__main__":
    main()
