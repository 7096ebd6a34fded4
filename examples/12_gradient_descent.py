"""Gradient descent and its kin: all examples for a step, one, or a few.

    J(β₀, β₁) = ½ Σ ((β₀ + β₁ x) − y)²        ∇J = ⟨Σ r, Σ r x⟩  with  r = β₀ + β₁ x − y        ω₁ = ω₀ − α ∇J

∇J points where J grows fastest, so a step goes against it. Batch gradient descent sums over all N examples, stochastic
gradient descent takes one of them, and mini-batch gradient descent n of them: less noise than one, less memory than all.
The line through 150 irises shows the three on a map of J (M114 to M121), with rates too small, good and too large; then a
network on handwritten digits, its step compiled by `tg.jit` and not.

Run: python examples/12_gradient_descent.py [--plot DIR]
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from figures import save
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import data, nn, plots

# ---------------------------------------------------------------- a line through points


def half_squares(beta, x, y):
    """J(β) = ½ Σ ((β₀ + β₁ x) − y)²."""
    return 0.5 * np.sum(((beta[0] + beta[1] * x) - y) ** 2)


def half_mean(beta, x, y):
    """The same per example: one learning rate does for batches of every size."""
    return half_squares(beta, x, y) / x.shape[0]


def by_hand(beta, x, y):
    """∇J of half_squares: ⟨Σ r, Σ r x⟩."""
    r = beta[0] + beta[1] * x - y
    return np.array([np.sum(r), np.sum(r * x)])


gradient = tg.jit(tg.value_and_grad(half_mean))


def irises():
    """Widths x and lengths y of the petals of 150 irises, in cm (Fisher 1936) (twelve without scikit-learn)."""
    try:
        X, _ = data.iris()
    except ImportError:
        print("scikit-learn is not installed: twelve irises")
        return (np.array([0.2, 0.2, 0.4, 0.3, 1.4, 1.5, 1.3, 1.5, 2.5, 1.9, 2.1, 1.8]),
                np.array([1.4, 1.3, 1.7, 1.4, 4.7, 4.5, 4.0, 4.6, 6.0, 5.1, 5.9, 5.6]))
    return X[:, 3].copy(), X[:, 2].copy()


def bottom(x, y):
    """β where ∇J = 0, by the normal equations MᵀM β = Mᵀy."""
    M = np.stack([np.ones_like(x), x], axis=1)
    return np.linalg.solve(M.T @ M, M.T @ y)


def largest_useful_rate(x) -> float:
    """2/λ, λ the largest curvature of J per example: with a larger rate each step overshoots by more than the last."""
    hessian = tg.hessian(lambda beta: half_mean(beta, x, 0 * x))(np.zeros(2))
    return float(2 / np.linalg.eigvalsh(hessian)[-1])


def random_point():
    """Where every descent here starts."""
    return np.random.default_rng(SEED).uniform(-1, 5, 2)


def descend(x, y, learning_rate: float, epochs: int, size: int | None = None, seed: int = 0):
    """Gradient descent by batches of that size, by default of all examples. Returns the path of β, (updates + 1, 2).

    Every epoch has each example once, in an order of its own; the last batch may be smaller.
    """
    beta = random_point()
    path = [beta]
    for xs, ys in batches_of(x, y, size, epochs, seed):
        _, slope = gradient(beta, xs, ys)
        beta = beta - learning_rate * slope
        path.append(beta)
    return np.array(path)


def batches_of(x, y, size: int | None, epochs: int, seed: int = 0):
    """The batches of so many epochs."""
    batches = data.batches(x, y, size=size or len(x), rng=seed)
    for _ in range(epochs):
        yield from batches


SEED = 4
KINDS = {"batch, n = N": None, "mini-batch, n = 10": 10, "stochastic, n = 1": 1}


def tell_by_hand(x, y) -> None:
    three = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])
    slope = tg.grad(half_squares)
    zero, beta = np.zeros(2), np.array([0.4, 1.7])
    apart = sum(slope(beta, x[i : i + 1], y[i : i + 1]) for i in range(len(x)))
    side_by_side("∇J by hand and by autodiff",
                 ("(1,2), (2,4), (3,6), β = 0: all", by_hand(zero, *three), slope(zero, *three)),
                 ("    the first alone", by_hand(zero, *(a[:1] for a in three)), slope(zero, *(a[:1] for a in three))),
                 ("    ∂J/∂β₁, all", by_hand(zero, *three)[1], slope(zero, *three)[1]),
                 (f"{len(x)} irises", by_hand(beta, x, y), slope(beta, x, y)),
                 ("    their gradients one by one, added", by_hand(beta, x, y), apart))
    print(f"\n∇J = {slope(zero, *three)} on three points, {slope(zero, *(a[:1] for a in three))} of the first of them")
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    steepest = [tg.jvp(lambda b: half_squares(b, *three), (zero,), (np.array([np.cos(a), np.sin(a)]),))[1] for a in angles]
    uphill = np.degrees(np.arctan2(*slope(zero, *three)[::-1])) % 360
    print(f"of 360 directions J grows fastest at {np.degrees(angles[np.argmax(steepest)]):.0f}°; ∇J points to {uphill:.1f}°")


def tell_rates(x, y) -> None:
    limit, best = largest_useful_rate(x), bottom(x, y)
    print(f"\nthe learning rate: 200 steps on all irises from a random point; the largest that can work is 2/λ = {limit:.4f}")
    for name, rate in rates(x).items():
        path = descend(x, y, rate, 200)
        first, last = (max(0.0, half_mean(beta, x, y) - half_mean(best, x, y)) for beta in (path[0], path[-1]))
        print(f"  {name:<10} α = {rate:.4f}   J above its least: {first:.2g} at first, {last:.2g} at last")
    path = descend(x, y, rates(x)["good"], 600)
    print(f"  the bottom by the normal equations ({best[0]:.6f}, {best[1]:.6f}); 600 steps with the good rate end "
          f"{np.max(np.abs(path[-1] - best)):.1e} from it")


def rates(x) -> dict[str, float]:
    """Learning rates that are too small, good, and too large."""
    limit = largest_useful_rate(x)
    return {"too small": limit / 200, "good": 0.9 * limit, "too large": 1.02 * limit}


def tell_kinds(x, y) -> None:
    N, best, rate = len(x), bottom(x, y), 0.1 * largest_useful_rate(x)
    print(f"\nbatch, mini-batch, stochastic: 40 epochs, α = {rate:.4f}")
    print("  kind                 updates an epoch   after 1 epoch, from the bottom   at last")
    for name, size in KINDS.items():
        path = descend(x, y, rate, 40, size)
        each = (len(path) - 1) // 40
        print(f"  {name:<20} {each:16d}   {np.linalg.norm(path[each] - best):30.4f}   {np.linalg.norm(path[-1] - best):.4f}")
        assert each == -(-N // (size or N))  # ⌈N/n⌉
    same_order = [descend(x, y, rate, 3, size, seed=4) for size in (N, 1)]
    hand = [run_by_hand(x, y, rate, 3, size, seed=4) for size in (N, 1)]
    same = [bool(np.array_equal(*pair)) for pair in zip(same_order, hand, strict=True)]
    print(f"  n = N is batch descent: {same[0]};  n = 1 is the stochastic one: {same[1]} (every digit of every β)")
    order = np.concatenate([numbers for numbers, _ in batches_of(np.arange(N), y, 10, 2)]).reshape(2, N)
    print(f"  each epoch has every example once: {bool(np.all(np.sort(order) == np.arange(N)))}, in another order: "
          f"{not np.array_equal(*order)}")


def run_by_hand(x, y, rate: float, epochs: int, size: int, seed: int):
    """The loops of the notes: all examples, or one after the other, in the orders that `batches` has."""
    beta = random_point()
    path = [beta]
    for xs, ys in batches_of(x, y, size, epochs, seed):
        if size == 1:
            slope = tg.grad(lambda beta, x=xs[0], y=ys[0]: 0.5 * ((beta[0] + beta[1] * x) - y) ** 2)(beta)
        else:
            slope = gradient(beta, xs, ys)[1]
        beta = beta - rate * slope
        path.append(beta)
    return np.array(path)


SIZES = (1, 2, 5, 10, 25, 50, 100)


def noise(x, y, beta, draws: int = 2000, seed: int = 1):
    """The variance of the mean gradient of n random examples, measured, and as drawing without putting back predicts it."""
    r = beta[0] + beta[1] * x - y
    slopes = np.stack([r, r * x], axis=1)  # of each example
    N, rng = len(x), np.random.default_rng(seed)
    one = slopes.var(axis=0).sum()
    sizes = [n for n in SIZES if n < N]
    measured = []
    for n in sizes:
        means = np.array([slopes[rng.choice(N, n, replace=False)].mean(axis=0) for _ in range(draws)])
        measured.append(means.var(axis=0).sum())
    return sizes, np.array(measured), np.array([one / n * (N - n) / (N - 1) for n in sizes])


def tell_noise(x, y) -> None:
    print("\nthe noise of a mini-batch's mean gradient, 2000 draws: its variance falls like 1/n (and to 0 at n = N)")
    print("  n          " + "".join(f"{n:>9}" for n in noise(x, y, np.zeros(2), 2)[0]))
    _, measured, predicted = noise(x, y, np.array([2.0, 1.0]))
    print("  measured   " + "".join(f"{v:9.4f}" for v in measured))
    print("  predicted  " + "".join(f"{v:9.4f}" for v in predicted))
    print(f"  largest deviation {np.max(np.abs(measured / predicted - 1)):.0%}")


# ---------------------------------------------------------------- a network: memory and time


def network():
    """A network for handwritten digits, and the step of its training on a batch: parameters in, parameters and cost out."""
    model = nn.Sequential(nn.Linear(64, 32, rng=0), nn.Tanh(), nn.Linear(32, 10, rng=1))

    def step(params, x, y):
        def cost(p):
            return tg.cross_entropy(nn.functional_call(model, p, x), y)

        J, slopes = tg.value_and_grad(cost)(params)
        return {name: params[name] - 0.1 * slopes[name] for name in params}, J

    return model.parameter_dict(), step


def handwritten():
    """X (1797, 64) from 0 to 1 and Y (1797,): scikit-learn's digits, or as many random images without it."""
    try:
        X, Y = data.digits()
    except ImportError:
        rng = np.random.default_rng(0)
        return rng.uniform(size=(1797, 64)), rng.integers(0, 10, 1797)
    return X / 16, Y


def peak_memory(X, Y, size: int) -> float:
    """The most memory that one step holds on a batch of that size, in kilobytes."""
    params, step = network()
    step(params, X[:size], Y[:size])
    tracemalloc.start()
    step(params, X[:size], Y[:size])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1024


def seconds_an_epoch(step, params, X, Y, size: int = 10, epochs: int = 3) -> tuple[float, dict]:
    """The shortest of some epochs, and the parameters after them. Smaller last batches are dropped."""
    params, _ = step(params, X[:size], Y[:size])  # compiles what is compiled
    batches, times = data.batches(X, Y, size=size, rng=0, drop_last=True), []
    for _ in range(epochs):
        start = time.perf_counter()
        for x, y in batches:
            params, _ = step(params, x, y)
        times.append(time.perf_counter() - start)
    return min(times), params


def tell_network() -> None:
    X, Y = handwritten()
    print(f"\na network 64-32-10 on {len(X)} digits: peak memory of a step")
    print("  " + ",   ".join(f"n = {size}: {peak_memory(X, Y, size):.0f} kB" for size in (1, 10, 100, len(X))))
    params, step = network()
    eager, first = seconds_an_epoch(step, params, X, Y)
    compiled, second = seconds_an_epoch(tg.jit(step, donate=("params",)), params, X, Y)
    apart = max(float(np.max(np.abs(first[name] - second[name]))) for name in first)
    print(f"an epoch of mini-batches of 10: {1000 * eager:.0f} ms; compiled {1000 * compiled:.0f} ms, "
          f"{eager / compiled:.1f} times as fast; parameters differ by {apart:.0e}")
    assert apart < 1e-12


# ---------------------------------------------------------------- figures


def plot(directory: Path) -> None:
    x, y = irises()
    save(directory, {"descents": (lambda figure: plot_kinds(figure, x, y), (12, 4.4)),
                     "rates": (lambda figure: plot_rates(figure, x, y), (13, 4.2))})


def plot_kinds(figure, x, y) -> None:
    """The three kinds over the contours, and the noise of mini-batches."""
    rate, best = 0.1 * largest_useful_rate(x), bottom(x, y)
    left, middle, right = figure.subplots(1, 3, width_ratios=(4, 4, 3))
    paths = {name: descend(x, y, rate, 40, size) for name, size in reversed(KINDS.items())}
    epochs = {"batch, n = N": 40, "mini-batch, n = 10": 4, "stochastic, n = 1": 1}
    shown = {name: path[: 1 + epochs[name] * (len(path) // 40)] for name, path in paths.items()}
    plots.contour(lambda beta: half_mean(beta, x, y), shown, minimum=best, names=("β₀", "β₁"), resolution=60, ax=left,
                  title="batch: 40 epochs, mini-batch: 4, stochastic: 1")
    least = half_mean(best, x, y)
    costs = {name: [float(half_mean(beta, x, y) - least) for beta in path[:: len(path) // 40]] for name, path in paths.items()}
    plots.cost_curve(costs, xlabel="epoch", ylabel="J above its least", title="after every epoch", ax=middle)
    sizes, measured, predicted = noise(x, y, np.array([2.0, 1.0]))
    right.loglog(sizes, measured, "o", color="#0072B2", label="measured")
    right.loglog(sizes, predicted, "-", color="#000000", linewidth=1, label="1/n, without putting back")
    right.set(title="noise of the mean gradient", xlabel="n", ylabel="variance")
    right.legend()
    right.grid(alpha=0.3)


def plot_rates(figure, x, y) -> None:
    """One path with its points named, paths of three rates, and their costs."""
    one, left, right = figure.subplots(1, 3)
    best = bottom(x, y)
    paths = {f"{name}, α = {rate:.3g}": descend(x, y, rate, 200) for name, rate in rates(x).items()}
    plots.contour(lambda beta: half_mean(beta, x, y), descend(x, y, rates(x)["good"], 20), minimum=best, names=("β₀", "β₁"),
                  resolution=60, ax=one, title="20 steps from a random point")
    shown = {name: path[:25] if "too large" in name else path for name, path in paths.items()}
    plots.contour(lambda beta: half_mean(beta, x, y), shown, minimum=best, names=("β₀", "β₁"), resolution=60, ax=left,
                  title="200 steps (too large: 24)")
    least = float(half_mean(best, x, y))
    plots.cost_curve({name: [float(half_mean(beta, x, y)) - least for beta in path] for name, path in paths.items()},
                     xlabel="step", ylabel="J above its least", ax=right,
                     title=f"the limit is 2/λ = {largest_useful_rate(x):.3f}")


# ---------------------------------------------------------------- the text


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save the plots")
    options = parser.parse_args(argv)
    x, y = irises()
    tell_by_hand(x, y)
    tell_rates(x, y)
    tell_kinds(x, y)
    tell_noise(x, y)
    tell_network()
    if options.plot:
        plot(options.plot)


if __name__ == "__main__":
    main()
