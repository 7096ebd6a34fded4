"""Why deep networks of sigmoid units hardly learn: δ gets smaller with every layer on its way back.

    δ⁽ᴸ⁾ = (A⁽ᴸ⁾ − Y) ⊙ g′(Z⁽ᴸ⁾)        δ⁽ˡ⁾ = W⁽ˡ⁺¹⁾ᵀ δ⁽ˡ⁺¹⁾ ⊙ g′(Z⁽ˡ⁾)

Each layer multiplies by g′, and σ′ is at most ¼. Ten layers of thirty units, first by hand, then by autodiff, which
keeps dJ/dZ of every layer; then what `gradient_flow` says of it, and what helps: tanh, ReLU with larger weights.
Weights that are too large make δ explode instead.

Run: python examples/11_vanishing_gradients.py [--plot DIR]
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import Tensor

UNITS, EXAMPLES, LAYERS = 30, 64, 10
ACTIVATIONS = {"sigmoid": tg.sigmoid, "tanh": np.tanh, "relu": tg.relu}
SLOPES = {
    "sigmoid": lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "relu": lambda z: (z > 0).astype(float),
}
NARROW, HE, WIDE = 1 / np.sqrt(UNITS), np.sqrt(2 / UNITS), 1.0  # standard deviations of the weights
CASES = {
    "sigmoid, weights 1/√n": ("sigmoid", NARROW),
    "tanh, weights 1/√n": ("tanh", NARROW),
    "ReLU, weights √(2/n)": ("relu", HE),
    "ReLU, weights 1": ("relu", WIDE),
}


def start(deviation: float, layers: int = LAYERS, seed: int = 0):
    """X (30, 64) and square weight matrices with the given standard deviation."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((UNITS, EXAMPLES))
    return X, [deviation * rng.standard_normal((UNITS, UNITS)) for _ in range(layers)]


def by_hand(activation: str, X, weights, target: float = 0.5):
    """δ of every layer, first to last, for J = ½ Σ (A − target)²."""
    A, Zs = X, []
    for W in weights:
        Zs.append(W @ A)
        A = ACTIVATIONS[activation](Zs[-1])
    slope = SLOPES[activation]
    deltas = [(A - target) * slope(Zs[-1])]
    for W, Z in zip(weights[:0:-1], Zs[-2::-1], strict=True):
        deltas.append(W.T @ deltas[-1] * slope(Z))
    return deltas[::-1]


def record(activation: str, X, weights, target: float = 0.5):
    """J, and the net inputs Z of every layer."""
    A, Zs = X, []
    for number, W in enumerate(weights, 1):
        Z = Tensor(W, name=f"W{number}") @ A
        Z.name = f"Z{number}"
        Zs.append(Z)
        A = ACTIVATIONS[activation](Z)
    return 0.5 * np.sum((A - target) ** 2), Zs


def by_autodiff(activation: str, X, weights):
    """The same: backward() leaves dJ/dZ in every Z."""
    J, Zs = record(activation, X, weights)
    J.backward()
    return [Z.grad for Z in Zs]


def norms(activation: str, deviation: float) -> list[float]:
    """‖δ‖ of every layer, first to last."""
    J, _ = record(activation, *start(deviation))
    return [layer.delta_norm for layer in tg.gradient_flow(J).layers]


def plot(directory: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("\nno plot: matplotlib is not installed (pip install matplotlib)")
        return
    directory.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(10.5, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for (name, case), color in zip(CASES.items(), ("C0", "C1", "C2", "C3"), strict=True):
        left.semilogy(range(1, LAYERS + 1), norms(*case), "o-", color=color, label=name)
    left.set(title="‖δ‖ layer by layer; it flows from right to left", xlabel="layer", ylabel="‖δ‖", xticks=range(1, LAYERS + 1))
    left.set_ylim(1e-7, 1e20)
    left.legend(fontsize=9)
    left.grid(alpha=0.3)
    z = np.linspace(-6, 6, 601)
    for (name, g), label in zip(ACTIVATIONS.items(), ("σ′, at most ¼", "tanh′, at most 1", "ReLU′"), strict=True):
        right.plot(z, tg.elementwise_grad(g)(z), color=f"C{list(ACTIVATIONS).index(name)}", label=label)
    right.set(title="the slope each layer multiplies by", xlabel="z", ylim=(-0.03, 1.25))
    right.legend(loc="upper left", fontsize=9)
    right.grid(alpha=0.3)
    figure.savefig(directory / "vanishing_gradients.png", dpi=120)

    J, _ = record("sigmoid", *start(NARROW))
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    tg.gradient_flow(J).plot(ax=figure.subplots())
    figure.savefig(directory / "gradient_flow.png", dpi=120)
    print(f"\nthe plots: {directory / 'vanishing_gradients.png'}, {directory / 'gradient_flow.png'}")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save the plots")
    options = parser.parse_args(argv)

    print(f"{LAYERS} layers of {UNITS} units, {EXAMPLES} examples, J = ½ Σ (A − 0.5)²")
    for activation, deviation in (("sigmoid", NARROW), ("tanh", NARROW), ("relu", HE)):
        X, weights = start(deviation)
        hand, autodiff = by_hand(activation, X, weights), by_autodiff(activation, X, weights)
        side_by_side(f"{activation}: δ by the recursion, and dJ/dZ by autodiff",
                     *((f"δ of layer {i}", hand[i - 1], autodiff[i - 1]) for i in (10, 9, 5, 1)))

    found = {name: norms(*case) for name, case in CASES.items()}
    print("\n‖δ‖, from the last layer back to the first")
    print("  layer  " + "  ".join(f"{name:>22}" for name in found))
    for i in reversed(range(LAYERS)):
        print(f"  {i + 1:5d}  " + "  ".join(f"{values[i]:>22.2e}" for values in found.values()))
    print("  10 / 1 " + "  ".join(f"{values[-1] / values[0]:>22.2e}" for values in found.values()))

    z = np.linspace(-20, 20, 4001)
    slope = tg.elementwise_grad(tg.sigmoid)(z)
    print(f"\nσ′ is largest at z = {abs(z[slope.argmax()]):.0f}, where it is {slope.max()}")
    print(f"nine layers multiply by at most (¼)⁹ = 1/{4**9} and by what the weights do\n")
    J, _ = record("sigmoid", *start(NARROW))
    print(tg.gradient_flow(J))
    J, _ = record("relu", *start(WIDE))
    print("\nReLU, weights 1")
    for text in tg.gradient_flow(J).warnings:
        print(textwrap.fill(text, 110, initial_indent="! ", subsequent_indent="  "))
    if options.plot:
        plot(options.plot)


if __name__ == "__main__":
    main()
