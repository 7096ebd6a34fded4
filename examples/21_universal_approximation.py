"""One hidden layer can follow any continuous function as closely as one likes (M105): how wide, and why.

The constructive step. A sigmoid with a large weight w is a step: σ(w (x − s)) is 0 left of s and 1 right of it. A sum of
steps, each of them as high as f rises from one place to the next, is a staircase along f. With n steps over an interval of
length b − a it is off by about half a stair, ½ |f′| (b − a)/n: twice the units, half the error. Weights and biases are
written down, not learned.

    ŷ(x) = f(a) + Σ (f(xᵢ₊₁) − f(xᵢ)) σ(w (x − sᵢ)),   sᵢ halfway between xᵢ and xᵢ₊₁

Learning does far better: three tanh units that find their places follow sin as closely as some fifty steps. That there is
such a network says nothing of whether descent finds it: three starts are shown, and the best of them.

    A = tanh(W₁ x + b₁)   ŷ = W₂ A + b₂   J = 1/(2m) Σ (ŷ − y)²
    dŷ = (ŷ − y)/m   dW₂ = dŷ Aᵀ   db₂ = Σ dŷ   dZ = W₂ᵀ dŷ ⊙ (1 − A²)   dW₁ = dZ xᵀ   db₁ = Σ dZ

Run: python examples/21_universal_approximation.py [--plot DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from figures import save
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import optim

FROM, TO = -np.pi, np.pi
STAIRS = (5, 10, 20, 40, 80, 160)
WIDTHS = (1, 2, 3, 5, 10, 20)
EVERYWHERE = np.linspace(FROM, TO, 4001).reshape(1, -1)


def wavy(x):
    """A function that is less simple than sin."""
    return np.sin(3 * x) * np.exp(-0.2 * x**2) + 0.3 * np.abs(x)


FUNCTIONS = {"sin x": np.sin, "sin 3x · exp(−x²/5) + 0.3 |x|": wavy}


# ---------------------------------------------------------------- the constructive step


def staircase(f, n: int, sharpness: float = 40.0):
    """Weights of n steep sigmoid units that follow f: W1 (n, 1), b1 (n, 1), W2 (1, n), b2 (1, 1). Nothing is learned."""
    places = np.linspace(FROM, TO, n + 1)
    steps = (places[:-1] + places[1:]) / 2
    w = sharpness * n / (TO - FROM)  # a step takes a tenth or so of the distance to the next
    heights = np.diff(f(places))
    return np.full((n, 1), w), (-w * steps).reshape(-1, 1), heights.reshape(1, -1), np.array([[f(places[0])]])


def sigmoid_network(W1, b1, W2, b2, x):
    """W2 σ(W1 x + b1) + b2."""
    return W2 @ tg.sigmoid(W1 @ x + b1) + b2


def half_a_stair(f, n: int) -> float:
    """½ max |f′| (b − a)/n, with f′ by autodiff."""
    return float(0.5 * np.max(np.abs(tg.elementwise_grad(f)(EVERYWHERE))) * (TO - FROM) / n)


# ---------------------------------------------------------------- learned


def network(p, x):
    """W2 tanh(W1 x + b1) + b2."""
    return p["W2"] @ np.tanh(p["W1"] @ x + p["b1"]) + p["b2"]


def cost(p, x, y):
    """J = 1/(2m) Σ (ŷ − y)²."""
    return 0.5 * np.mean((network(p, x) - y) ** 2)


compiled_slope = tg.jit(tg.grad(cost))  # for networks of any width: recorded anew for each


def by_hand(p, x, y):
    """The gradient of J, by the formulas above."""
    A = np.tanh(p["W1"] @ x + p["b1"])
    d = (p["W2"] @ A + p["b2"] - y) / x.shape[1]
    dZ = p["W2"].T @ d * (1 - A**2)
    return {"W1": dZ @ x.T, "b1": np.sum(dZ, axis=1, keepdims=True), "W2": d @ A.T, "b2": np.sum(d, axis=1, keepdims=True)}


def start(units: int, rng):
    """Random weights: the bends of the tanh units lie spread over the interval."""
    W1 = rng.standard_normal((units, 1)) * 1.5
    return {"W1": W1, "b1": -W1 * rng.uniform(FROM, TO, (units, 1)), "W2": rng.standard_normal((1, units)) / np.sqrt(units),
            "b2": np.zeros((1, 1))}


def train(f, units: int, seed: int = 0, updates: int = 2500):
    """Adam on 100 points; returns the parameters."""
    x = np.linspace(FROM, TO, 100).reshape(1, -1)
    y = f(x)
    p = start(units, np.random.default_rng(seed))
    adam = optim.functional(optim.Adam, lr=optim.cosine_annealing_lr(0.03, T_max=updates))
    state = adam.init(p)
    for _ in range(updates):
        p, state = adam.update(p, compiled_slope(p, x, y), state)
    return p


def largest_error(found, f) -> float:
    """max |ŷ − f| over 4001 points, also between those that were learned from."""
    return float(np.max(np.abs(found - f(EVERYWHERE))))


def staircase_error(f, n: int) -> float:
    """The same of n steps."""
    return largest_error(sigmoid_network(*staircase(f, n), EVERYWHERE), f)


# ---------------------------------------------------------------- figures


def draw(figure, stairs, learned) -> None:
    """Staircases, learned curves, and the largest error of both against the width."""
    left, middle, right = figure.subplots(1, 3)
    x = EVERYWHERE.reshape(-1)
    left.plot(x, wavy(x), "k", linewidth=3, alpha=0.3, label="f")
    for n, color in ((10, "C1"), (40, "C3")):
        left.plot(x, sigmoid_network(*staircase(wavy, n), EVERYWHERE).reshape(-1), color=color, linewidth=1, label=f"{n} steps")
    left.set(title="steep sigmoids, written down", xlabel="x")
    left.legend()
    middle.plot(x, wavy(x), "k", linewidth=3, alpha=0.3, label="f")
    for n, color in ((2, "C1"), (5, "C2"), (20, "C0")):
        p = train(wavy, n, seed=learned[wavy][n][1])
        middle.plot(x, network(p, EVERYWHERE).reshape(-1), color=color, linewidth=1.2, label=f"{n} tanh units")
    middle.set(title="tanh units, learned", xlabel="x")
    middle.legend()
    for (name, f), marker in zip(FUNCTIONS.items(), ("o", "s"), strict=True):
        right.loglog(STAIRS, stairs[f], f"{marker}-", color="C1", label=f"steps: {name}", fillstyle="none")
        right.loglog(WIDTHS, [learned[f][n][0][learned[f][n][1]] for n in WIDTHS], f"{marker}-", color="C0",
                     label=f"learned: {name}", fillstyle="none")
    right.loglog(STAIRS, 4 / np.array(STAIRS), ":", color="0.4", label="∝ 1/n")
    right.set(title="largest error", xlabel="hidden units n", ylabel="max |ŷ − f|", ylim=(1e-4, 2))
    right.legend(fontsize=8, loc="lower right")
    right.grid(alpha=0.3)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save the plot")
    options = parser.parse_args(argv)

    rng = np.random.default_rng(0)
    p, x = start(5, rng), rng.standard_normal((1, 12))
    hand, autodiff = by_hand(p, x, np.sin(x)), tg.grad(cost)(p, x, np.sin(x))
    side_by_side("five tanh units at twelve points", *((f"d{name}", hand[name], autodiff[name]) for name in hand))

    stairs = {}
    for name, f in FUNCTIONS.items():
        stairs[f] = [staircase_error(f, n) for n in STAIRS]
        print(f"\nsteps along {name}")
        print("  steep sigmoids   largest error   half a stair")
        for n, error in zip(STAIRS, stairs[f], strict=True):
            print(f"  {n:14d}   {error:13.4f}   {half_a_stair(f, n):12.4f}")

    learned = {}
    for name, f in FUNCTIONS.items():
        print(f"\nlearned, {name}")
        print("  tanh units   largest error, best of three starts   (all three)")
        learned[f] = {}
        for n in WIDTHS:
            errors = [largest_error(network(train(f, n, seed), EVERYWHERE), f) for seed in range(3)]
            learned[f][n] = errors, int(np.argmin(errors))
            print(f"  {n:10d}   {min(errors):13.5f}                         ({', '.join(f'{e:.4f}' for e in errors)})")
    enough = next(n for n in WIDTHS if min(learned[np.sin][n][0]) < 0.05)
    steps = next(n for n in range(1, 500) if staircase_error(np.sin, n) < 0.05)
    print(f"\nsin is followed to 0.05 by {enough} tanh units, and needs {steps} steps")
    if options.plot:
        save(options.plot, {"universal_approximation": (lambda figure: draw(figure, stairs, learned), (13, 4.2))})


if __name__ == "__main__":
    main()
