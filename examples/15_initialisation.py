"""Where to start: weights of zeros, small ones, Xavier's and He's, and what they do to A and δ, layer by layer.

    z = W a + b  with n inputs        Var(z) = n Var(w) E[a²]        so  Var(w) = 1/n keeps the size of z, 2/n with ReLU
    δ⁽ˡ⁾ = W⁽ˡ⁺¹⁾ᵀ δ⁽ˡ⁺¹⁾ ⊙ g′(Z⁽ˡ⁾)          the same holds backwards, with the outputs for n

Zeros do not work: all units of a layer are equal, get the same derivatives, and stay equal for ever, but for rounding
(M70). Small random weights make them differ (M71), but in a deep network every layer makes the values smaller, and δ
too. Xavier's and He's weights have the size that keeps both. Five hidden layers of 100 units on handwritten digits.

Run: python examples/15_initialisation.py [--plot DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from figures import save
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import Tensor, data, plots
from tinygrad_edu.nn import init

LAYERS, UNITS = 5, 100
ACTIVATIONS = {"tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2), "ReLU": (tg.relu, lambda z: (z > 0).astype(float))}
KINDS = {
    "zeros": lambda shape, rng: init.zeros(shape),
    "small, 0.01": lambda shape, rng: init.normal(shape, std=0.01, rng=rng),
    "Xavier, 2/(n+k)": lambda shape, rng: init.xavier_normal(shape, rng=rng),
    "He, 2/n": lambda shape, rng: init.kaiming_normal(shape, nonlinearity="relu", rng=rng),
}


def digits():
    """1437 digits in columns, standardised, X (64, m) and Y (m,), and 360 held out; random numbers without scikit-learn."""
    try:
        X, Y = data.digits()
    except ImportError:
        print("scikit-learn is not installed: random numbers for digits")
        rng = np.random.default_rng(0)
        X, Y = rng.standard_normal((1797, 64)), rng.integers(0, 10, 1797)
    (X, Y), (X_test, Y_test) = data.split(X, Y, (0.8, 0.2), rng=0, stratify=True)
    X, X_test = data.standardise(X, X_test)
    return (X.T.copy(), Y), (X_test.T.copy(), Y_test)


def start(kind: str, seed: int = 0) -> dict[str, np.ndarray]:
    """W1 ... W6 and b1 ... b6: weights of that kind, biases 0."""
    rng = np.random.default_rng(seed)
    sizes = [64, *[UNITS] * LAYERS, 10]
    p = {}
    for i in range(1, len(sizes)):
        p[f"W{i}"] = KINDS[kind]((sizes[i], sizes[i - 1]), rng)
        p[f"b{i}"] = np.zeros((sizes[i], 1))
    return p


def forward(p, X, activation: str):
    """Z and A of every layer; the last Z is what softmax takes."""
    g = ACTIVATIONS[activation][0]
    A, Zs, As = X, [], [X]
    for i in range(1, LAYERS + 2):
        Z = p[f"W{i}"] @ A + p[f"b{i}"]
        if type(Z) is Tensor:
            Z.name = f"Z{i}"
        A = g(Z) if i <= LAYERS else Z
        Zs.append(Z)
        As.append(A)
    return Zs, As


def cost(p, X, Y, activation: str):
    """J = −1/m Σ ln a_y."""
    return tg.cross_entropy(forward(p, X, activation)[0][-1], Y, axis=0)


def by_hand(p, X, Y, activation: str):
    """δ = ∂J/∂Z of every layer, and all dW and db."""
    Zs, As = forward(p, X, activation)
    slope, m = ACTIVATIONS[activation][1], X.shape[1]
    E = np.exp(Zs[-1] - Zs[-1].max(axis=0))
    delta = (E / E.sum(axis=0) - tg.one_hot(Y, 10).T) / m
    deltas, d = {}, {}
    for i in range(LAYERS + 1, 0, -1):
        deltas[i] = delta
        d[f"W{i}"], d[f"b{i}"] = delta @ As[i - 1].T, delta.sum(axis=1, keepdims=True)
        if i > 1:
            delta = p[f"W{i}"].T @ delta * slope(Zs[i - 2])
    return deltas, d


def flow(p, X, Y, activation: str):
    """What gradient_flow finds in the recorded network."""
    return tg.gradient_flow(cost({name: Tensor(value, name=name) for name, value in p.items()}, X, Y, activation))


def check(X, Y) -> None:
    for activation, kind in (("tanh", "Xavier, 2/(n+k)"), ("ReLU", "He, 2/n")):
        p = start(kind)
        deltas, hand = by_hand(p, X, Y, activation)
        autodiff = tg.grad(cost)(p, X, Y, activation)
        layers = flow(p, X, Y, activation).layers
        side_by_side(f"{activation}, {kind}", *((f"δ of layer {i}", deltas[i], layers[i - 1].delta) for i in (6, 3, 1)),
                     *((f"d{name}", hand[name], autodiff[name]) for name in ("W6", "W3", "W1", "b1")))


# ---------------------------------------------------------------- zeros


@tg.jit(donate=("p",), static_argnums=3)
def step(p, X, Y, activation, learning_rate):
    """One step of gradient descent, and J before it."""
    J, d = tg.value_and_grad(lambda p: cost(p, X, Y, activation))(p)
    return {name: p[name] - learning_rate * d[name] for name in p}, J


def tell_zeros(X, Y) -> None:
    print("\nzeros, or one number for all: 200 steps on 200 digits")
    print("  start          hidden    largest |W1|   the rows of W1 differ by   J")
    X, Y = X[:, :200].copy(), Y[:200]
    for value in (0.0, 0.01):
        for activation in ACTIVATIONS:
            p = {name: np.full_like(w, value) if name[0] == "W" else w for name, w in start("zeros").items()}
            for _ in range(200):
                p, J = step(p, X, Y, activation, 0.1)
            apart = float(np.ptp(p["W1"], axis=0).max())
            print(f"  all {value:<10} {activation:<8} {np.abs(p['W1']).max():13.4f}   {apart:24.4g}   {float(J):.4f}")
    p, _ = trained("small, 0.01", "tanh", X, Y, 1)
    print(f"  small, 0.01    tanh     {np.abs(p['W1']).max():13.4f}   {np.ptp(p['W1'], axis=0).max():24.4g}   (one epoch)")


# ---------------------------------------------------------------- layer by layer


def sizes(kind: str, activation: str, X, Y):
    """The mean square of A in every hidden layer, what n Var(w) E[a²] predicts of Z, what Z has, and mean |δ|."""
    p = start(kind)
    Zs, As = forward(p, X, activation)
    predicted = [p[f"W{i}"].shape[1] * p[f"W{i}"].var() * np.mean(As[i - 1] ** 2) for i in range(1, LAYERS + 2)]
    measured = [np.mean(Z**2) for Z in Zs]
    return (np.sqrt([np.mean(A**2) for A in As[1:-1]]), np.array(predicted), np.array(measured),
            np.array([layer.delta_mean for layer in flow(p, X, Y, activation).layers]))


def tell_sizes(X, Y) -> None:
    for title, which in (("the size of A, √E[a²], in the hidden layers", 0), ("mean |δ|, from the first layer to the last", 3)):
        print(f"\n{title}")
        for activation in ACTIVATIONS:
            for kind in KINDS:
                values = sizes(kind, activation, X, Y)[which]
                print(f"  {activation:<5} {kind:<16} " + " ".join(f"{v:9.2g}" for v in values))
    _, predicted, measured, _ = sizes("He, 2/n", "ReLU", X, Y)
    print("\nn Var(w) E[a²], and E[z²] as it is, ReLU, He: "
          + ",  ".join(f"{a:.2f} {b:.2f}" for a, b in zip(predicted, measured, strict=True)))


# ---------------------------------------------------------------- training


def trained(kind: str, activation: str, X, Y, epochs: int = 8, learning_rate: float = 0.05):
    """The parameters after some epochs of mini-batches of 32, and the costs of the steps."""
    p, costs = start(kind), []
    batches = data.batches(X, Y, size=32, rng=0, axis=1)
    for _ in range(epochs):
        for x, y in batches:
            p, J = step(p, np.ascontiguousarray(x), y, activation, learning_rate)
            costs.append(float(J))
    return {name: w.copy() for name, w in p.items()}, costs  # what is donated is one place for all runs


def train_all(X, Y):
    """(parameters, costs) by activation and kind."""
    return {(activation, kind): trained(kind, activation, X, Y) for activation in ACTIVATIONS for kind in KINDS}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save the plots")
    options = parser.parse_args(argv)
    (X, Y), (X_test, Y_test) = digits()
    check(X[:, :300].copy(), Y[:300])
    tell_zeros(X, Y)
    tell_sizes(X, Y)
    runs = train_all(X, Y)
    print(f"\nafter 8 epochs of mini-batches, α = 0.05 (ln 10 = {np.log(10):.3f} is guessing)")
    for (activation, kind), (p, costs) in runs.items():
        right = np.mean(np.argmax(forward(p, X_test, activation)[0][-1], axis=0) == Y_test)
        print(f"  {activation:<5} {kind:<16} J {np.mean(costs[-40:]):8.4f}   {right:6.1%} of the held-out digits")
    if options.plot:
        save(options.plot, {"initialisation": (lambda figure: plot_sizes(figure, X, Y, runs), (13, 7))})


def plot_sizes(figure, X, Y, runs) -> None:
    """A and δ by layer, and the costs, for each kind of start."""
    for row, activation in zip(figure.subplots(2, 3), ACTIVATIONS, strict=True):
        for ax, which, what in ((row[0], 0, "√E[a²]"), (row[1], 3, "mean |δ|")):
            curves = {}
            for kind in KINDS:
                values = sizes(kind, activation, X, Y)[which]
                shown = kind if values[0] > 0 else f"{kind}: 0, below the scale"
                curves[shown] = (np.arange(1, len(values) + 1), values)
            plots.cost_curve(curves, xlabel="layer", ylabel=what, title=f"{activation}: {what} by layer", ax=ax)
            ax.set_xticks(range(1, LAYERS + 2))
            if which or row[0] is not figure.axes[0]:
                ax.get_legend().remove()
        costs = {kind: runs[activation, kind][1] for kind in KINDS}
        plots.cost_curve(costs, smooth=20, title=f"{activation}: training", ax=row[2])
        row[2].get_legend().remove()


if __name__ == "__main__":
    main()
