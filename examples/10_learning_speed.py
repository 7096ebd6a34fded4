"""How fast a network learns: the cost it is given, and the learning rate.

One sigmoid unit, input x = 1, wanted answer y = 0, starts with an answer that is badly wrong. With squared errors

    C = 1/(2n) Σ (y − a)²        ∂C/∂w = 1/n Σ (a − y) σ′(z) x

the factor σ′(z) is small just there, so the worst answer is the slowest to change. With the cross-entropy

    C = −1/n Σ [y ln a + (1 − y) ln(1 − a)]        ∂C/∂w = 1/n Σ (a − y) x

σ′(z) cancels, and the slope is proportional to the error. Then the learning rate α on a bowl with a known bottom: too
small and it creeps, too large (above 2/λ, λ the largest curvature) and every step overshoots by more than the last.

`gradient_flow` says the same in words: saturated.

Run: python examples/10_learning_speed.py [--plot DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import Tensor

STARTS = ((0.6, 0.9), (2.0, 2.0))


# ---------------------------------------------------------------- two costs for one sigmoid unit


def squared_error(a, y):
    """C = 1/(2n) Σ (y − a)²."""
    return 0.5 * np.mean((y - a) ** 2)


def cross_entropy(a, y):
    """C = −1/n Σ [y ln a + (1 − y) ln(1 − a)]."""
    return -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))


COSTS = {"squared error": squared_error, "cross-entropy": cross_entropy}


def by_hand(cost, w, b, x, y):
    """∂C/∂w (n_x, 1) and ∂C/∂b of a unit with weights w (n_x, 1), inputs x (n_x, n) and answers y (1, n)."""
    a = 1 / (1 + np.exp(-(w.T @ x + b)))
    n = x.shape[1]
    delta = (a - y) * a * (1 - a) if cost is squared_error else a - y  # σ′ = a (1 − a) stays, or cancels
    return x @ delta.T / n, np.sum(delta) / n


def by_autodiff(cost, w, b, x, y):
    """The same from the cost alone."""
    return tg.grad(lambda w, b: cost(tg.sigmoid(w.T @ x + b), y), argnums=(0, 1))(w, b)


def race(cost, w: float, b: float, learning_rate: float = 0.15, epochs: int = 300):
    """Descend from (w, b) with x = 1, y = 0. Returns the answers a after 0, 1, ..., epochs updates, and the first ∂C/∂w."""
    slope = tg.grad(lambda w, b: cost(tg.sigmoid(w * 1.0 + b), 0.0), argnums=(0, 1))
    answers, first = [], None
    for _ in range(epochs):
        answers.append(float(tg.sigmoid(w + b)))
        dw, db = slope(w, b)
        first = float(dw) if first is None else first
        w, b = w - learning_rate * dw, b - learning_rate * db
    answers.append(float(tg.sigmoid(w + b)))
    return np.array(answers), first


def until_below_half(answers) -> int:
    """The number of updates after which a < 0.5."""
    return int(np.argmax(answers < 0.5))


# ---------------------------------------------------------------- the learning rate, on a line through points


def line(m: int = 20):
    """M (m, 2) with rows (1, x), and y (m,) on the line 1 + 2x, for x from 0 to 1."""
    x = np.linspace(0, 1, m)
    return np.stack([np.ones(m), x], axis=1), 1 + 2 * x


def half_squares(beta, M, y):
    """J(β) = ½ Σ (β₀ + β₁ x − y)²."""
    return 0.5 * np.sum((M @ beta - y) ** 2)


def largest_useful_rate(M) -> float:
    """2/λ, where λ is the largest eigenvalue of the Hessian: beyond it a step overshoots by more than it corrects."""
    hessian = tg.hessian(lambda beta: half_squares(beta, M, 0.0))(np.zeros(M.shape[1]))
    return float(2 / np.linalg.eigvalsh(hessian)[-1])


def descend(learning_rate: float, M, y, steps: int = 200):
    """The path of β from 0, (steps + 1, 2), and J along it."""
    beta = np.zeros(2)
    path, costs = [beta], []
    slope = tg.value_and_grad(half_squares)
    for _ in range(steps):
        J, gradient = slope(beta, M, y)
        costs.append(float(J))
        beta = beta - learning_rate * gradient
        path.append(beta)
    costs.append(float(half_squares(beta, M, y)))
    return np.array(path), np.array(costs)


# ---------------------------------------------------------------- figures


def plot(directory: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("\nno plot: matplotlib is not installed (pip install matplotlib)")
        return
    directory.mkdir(parents=True, exist_ok=True)
    plot_race(Figure(figsize=(9.5, 3.8), layout="constrained")).savefig(directory / "mse_against_cross_entropy.png", dpi=120)
    plot_rates(Figure(figsize=(11, 4.2), layout="constrained")).savefig(directory / "learning_rates.png", dpi=120)
    print(f"\nthe plots: {directory / 'mse_against_cross_entropy.png'}, {directory / 'learning_rates.png'}")


def plot_race(figure):
    """The answer a of the unit, epoch by epoch, for both costs from both starts."""
    for ax, (w, b) in zip(figure.subplots(1, 2, sharey=True), STARTS, strict=True):
        for (name, cost), color, above in zip(COSTS.items(), ("C1", "C0"), (4, -30), strict=True):
            answers, _ = race(cost, w, b)
            ax.plot(answers, color=color, label=name)
            half = until_below_half(answers)
            ax.plot(half, answers[half], "o", color=color)
            ax.annotate(f"epoch {half}", (half, answers[half]), (8, above), textcoords="offset points", color=color)
        ax.axhline(0.5, color="0.8", zorder=0, linewidth=1)
        ax.set(title=f"from w = {w}, b = {b}: a = {answers[0]:.2f}, wanted 0", xlabel="epoch", ylim=(-0.02, 1.02))
        ax.legend()
    figure.axes[0].set_ylabel("answer a")
    return figure


def plot_rates(figure):
    """The paths of three learning rates over the contours of J, and J step by step."""
    M, y = line()
    limit = largest_useful_rate(M)
    left, right = figure.subplots(1, 2)
    b0, b1 = np.meshgrid(np.linspace(-1.2, 4.2, 160), np.linspace(-0.7, 3.2, 160))
    J = 0.5 * np.sum((np.stack([b0, b1], axis=-1) @ M.T - y) ** 2, axis=-1)
    left.contour(b0, b1, J, levels=np.geomspace(0.02, 200, 14), colors="0.8", linewidths=0.8)
    styles = [("too small", 0.001, "C2", 200), ("good", 0.05, "C0", 200), ("too large", 1.01 * limit, "C3", 8)]
    for name, rate, color, shown in styles:
        path, costs = descend(rate, M, y)
        left.plot(*path[: shown + 1].T, ".-", color=color, markersize=4, linewidth=1, label=f"{name}, α = {rate:.3g}")
        right.semilogy(np.maximum(costs, 1e-16), color=color, label=f"{name}, α = {rate:.3g}")
    left.plot(1, 2, "k*", markersize=11, label="the bottom, β = (1, 2)")
    left.set(title="paths from β = (0, 0)  (too large: 8 steps)", xlabel="β₀", ylabel="β₁", xlim=(-1.2, 4.2), ylim=(-0.7, 3.2))
    left.legend(loc="lower right", fontsize=8)
    right.set(title=f"cost; the limit is α = 2/λ = {limit:.4f}", xlabel="step", ylabel="J")
    right.legend(loc="center right")
    return figure


# ---------------------------------------------------------------- the text


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save the plots")
    options = parser.parse_args(argv)

    rng = np.random.default_rng(0)
    w, b, x = rng.standard_normal((3, 1)), 0.5, rng.standard_normal((3, 8))
    y = (rng.uniform(size=(1, 8)) > 0.5).astype(float)
    for name, cost in COSTS.items():
        hand, autodiff = by_hand(cost, w, b, x, y), by_autodiff(cost, w, b, x, y)
        side_by_side(f"{name}: slopes at eight examples", ("∂C/∂w", hand[0], autodiff[0]), ("∂C/∂b", hand[1], autodiff[1]))

    print("\nthe race: x = 1, wanted y = 0, learning rate 0.15, 300 epochs")
    print("  cost             start (w, b)   a at first   first |∂C/∂w|   a < 0.5 after    a at last")
    for name, cost in COSTS.items():
        for start in STARTS:
            answers, first = race(cost, *start)
            print(f"  {name:<16} {start!s:<14} {answers[0]:10.4f}   {abs(first):14.4f}   "
                  f"{until_below_half(answers):6d} epochs   {answers[-1]:10.4f}")
    print("With squared errors the worse start has the smaller slope, and needs six times as long; with cross-entropy the")
    print("worse start has the larger slope.")

    w, b = Tensor(2.0), Tensor(2.0)
    z = w * 1.0 + b
    a = tg.sigmoid(z)
    for cost in COSTS.values():
        print()
        print(tg.gradient_flow(cost(a, 0.0)))

    M, y = line()
    beta = np.array([0.3, -0.2])
    side_by_side("the line: slope of ½ Σ (β₀ + β₁x − y)²",
                 ("∂J/∂β", M.T @ (M @ beta - y), tg.grad(half_squares)(beta, M, y)),
                 ("Hessian", M.T @ M, tg.hessian(half_squares)(beta, M, y)))
    limit = largest_useful_rate(M)
    print(f"\nthe learning rate: 200 steps from β = (0, 0); the largest that can work is 2/λ = {limit:.6f}")
    for name, rate in (("too small", 0.001), ("good", 0.05), ("too large", 1.01 * limit)):
        path, costs = descend(rate, M, y)
        b0, b1 = path[-1]
        print(f"  {name:<10} α = {rate:.6f}   J from {costs[0]:.1f} to {costs[-1]:.3g},  β = ({b0:.4g}, {b1:.4g})")
    if options.plot:
        plot(options.plot)


if __name__ == "__main__":
    main()
