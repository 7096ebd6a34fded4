"""What goes wrong in training, each on a small network, with numbers and figures.

1. Equal weights at the start: units that are equal stay equal, and a layer is worth one unit.
2. Dead ReLUs: biases far below 0, where a step that is too large can put them, and units are off for good.
3. Saturation: weights that are too large, and tanh is flat almost everywhere.
4. Linear layers: however many there are, they are one.
5. Weights without a penalty: every point of the training set is learned, and its noise with it.

Learning rates and costs are in 10_learning_speed.py, vanishing and exploding δ in 11_vanishing_gradients.py.

Run: python examples/pathologies.py [--plot DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import Tensor


def quadrants(m: int = 50, seed: int = 1):
    """X (2, m), and Y (1, m), 1 where the two coordinates have the same sign: no straight line tells them apart."""
    X = np.random.default_rng(seed).standard_normal((2, m))
    return X, (X[:1] * X[1:] > 0).astype(float)


def forward(p, X, activation):
    """Z1, A1, Z2, A2 of one hidden layer and a sigmoid unit."""
    Z1 = p["W1"] @ X + p["b1"]
    A1 = activation(Z1)
    Z2 = p["W2"] @ A1 + p["b2"]
    return Z1, A1, Z2, tg.sigmoid(Z2)


def cost(p, X, Y, activation, penalty: float = 0.0):
    """J = 1/m Σ L + λ/2m (‖W1‖² + ‖W2‖²); biases are not penalised."""
    Z2 = forward(p, X, activation)[2]
    J = tg.binary_cross_entropy_with_logits(Z2, Y)
    return J + penalty / (2 * X.shape[1]) * (np.sum(p["W1"] ** 2) + np.sum(p["W2"] ** 2)) if penalty else J


def descend(p, X, Y, activation, steps: int, learning_rate: float = 0.5, penalty: float = 0.0, watch=None):
    """p := p − α dp, `steps` times; `watch(p)` before every step."""
    slope = tg.value_and_grad(lambda p: cost(p, X, Y, activation, penalty))
    for _ in range(steps):
        if watch:
            watch(p)
        _, d = slope(p)
        p = {name: p[name] - learning_rate * d[name] for name in p}
    return p


def flow(p, X, Y, activation):
    """gradient_flow of the network."""
    p = {name: Tensor(value, name=name) for name, value in p.items()}
    Z1, _, Z2, _ = forward(p, X, activation)
    Z1.name, Z2.name = "Z1", "Z2"
    return tg.gradient_flow(tg.binary_cross_entropy_with_logits(Z2, Y))


# ---------------------------------------------------------------- 1. equal weights


def symmetric_start(kind: str, hidden: int = 4, seed: int = 0):
    """Parameters that are all 0, weights that are all 0.3, or random weights."""
    rng = np.random.default_rng(seed)

    def weights(*shape):
        return np.full(shape, {"zeros": 0.0, "constant 0.3": 0.3}[kind]) if kind != "random" else rng.standard_normal(shape)

    return {"W1": weights(hidden, 2), "b1": np.zeros((hidden, 1)), "W2": weights(1, hidden), "b2": np.zeros((1, 1))}


def trained_from(kind: str, activation, steps: int = 200):
    """The parameters after training, J, and W1 before every step, (steps, hidden, 2)."""
    X, Y = quadrants()
    history = []
    p = descend(symmetric_start(kind), X, Y, activation, steps, watch=lambda p: history.append(p["W1"]))
    return p, float(cost(p, X, Y, activation)), np.array(history)


STARTS = [("zeros", "tanh", np.tanh), ("zeros", "sigmoid", tg.sigmoid), ("constant 0.3", "tanh", np.tanh),
          ("constant 0.3", "sigmoid", tg.sigmoid), ("random", "tanh", np.tanh), ("random", "sigmoid", tg.sigmoid)]


def tell_symmetry() -> None:
    print("1. equal weights at the start: 2-4-1, 200 steps")
    print("   start         hidden    J after   largest |W1|   rows of W1 differ by")
    for kind, name, activation in STARTS:
        p, J, _ = trained_from(kind, activation)
        apart = np.ptp(p["W1"], axis=0).max()
        print(f"   {kind:<13} {name:<8} {J:8.4f}   {np.abs(p['W1']).max():12.4f}   {apart:19.4g}")
    X, Y = quadrants()
    print(flow(symmetric_start("constant 0.3"), X, Y, np.tanh))


def plot_symmetry(figure):
    """The first weight of each of the four hidden units, step by step."""
    shown = [STARTS[i] for i in (0, 1, 2, 4)]
    for ax, (kind, name, activation) in zip(figure.subplots(1, 4), shown, strict=True):
        _, J, history = trained_from(kind, activation)
        for unit, width in enumerate((7, 5, 3, 1)):  # equal lines show as one line of many colours
            width = 1.5 if kind == "random" else width
            ax.plot(history[:, unit, 0], color=f"C{unit}", linewidth=width, label=f"unit {unit + 1}")
        ax.set(title=f"{kind}, {name}\nJ = {J:.3f} after 200 steps", xlabel="step")
        if kind == "zeros" and name == "tanh":
            ax.set_ylim(-1, 1)
    figure.axes[0].set_ylabel("first weight of each unit")
    figure.axes[-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


# ---------------------------------------------------------------- 2. dead ReLUs


def random_start(deviation: float = 1.0, hidden: int = 20, seed: int = 0):
    """Random weights of the given standard deviation (divided by √n), biases 0."""
    rng = np.random.default_rng(seed)
    return {"W1": deviation * rng.standard_normal((hidden, 2)) / np.sqrt(2), "b1": np.zeros((hidden, 1)),
            "W2": deviation * rng.standard_normal((1, hidden)) / np.sqrt(hidden), "b2": np.zeros((1, 1))}


def count_dead(p, X) -> int:
    """The hidden units whose z is at most 0 for every example."""
    return int(np.sum(np.all(p["W1"] @ X + p["b1"] <= 0, axis=1)))


@cache  # the text and the figure show the same run
def train_hidden(activation, bias: float = 0.0, learning_rate: float = 0.5, steps: int = 2000):
    """The parameters after training with hidden biases that start there, with J and the number of units off, at every step."""
    X, Y = quadrants(200, 0)
    costs, off = [], []

    def watch(p):
        costs.append(float(cost(p, X, Y, activation)))
        off.append(count_dead(p, X))

    p = random_start()
    p["b1"] = p["b1"] + bias
    p = descend(p, X, Y, activation, steps, learning_rate, watch=watch)
    watch(p)
    return p, np.array(costs), np.array(off)


REVIVALS = [("ReLU", tg.relu, 0.0), ("ReLU", tg.relu, -4.0), ("leaky ReLU", tg.leaky_relu, -4.0), ("ELU", tg.elu, -4.0)]


def tell_dead_units() -> None:
    print("\n2. dead ReLUs: 2-20-1, 2000 steps")
    print("   hidden       biases start at   units off for every example, first and last   J at last")
    for name, activation, bias in REVIVALS:
        _, costs, off = train_hidden(activation, bias)
        print(f"   {name:<11} {bias:16.0f}   {off[0]:35d} {off[-1]:9d}   {costs[-1]:9.4f}")
    p, _, off = train_hidden(tg.relu, learning_rate=20.0, steps=150)
    print(f"   150 steps with a learning rate of 20 turn {off[-1]} of 20 units off that were on at first")
    X, Y = quadrants(200, 0)
    print(flow(p, X, Y, tg.relu))


def plot_dead_units(figure):
    """J, and how many of the twenty units are off for every example, step by step."""
    left, right = figure.subplots(1, 2)
    for (name, activation, bias), color in zip(REVIVALS, ("C7", "C3", "C1", "C0"), strict=True):
        _, costs, off = train_hidden(activation, bias)
        label = f"{name}, biases start at {bias:.0f}"
        left.plot(costs, color=color, label=label)
        right.plot(off, color=color, label=label)
    left.set(title="cost", xlabel="step", ylabel="J", ylim=(-0.03, 1.65))
    right.set(title="units off for every example", xlabel="step", ylabel="units of 20", ylim=(-0.5, 20.5))
    left.legend(fontsize=8, loc="upper right")
    return figure


# ---------------------------------------------------------------- 3. saturation

DEVIATIONS = (0.3, 1.0, 10.0)


def saturated_network(deviation: float, layers: int = 5, units: int = 50, m: int = 200, seed: int = 0):
    """The flow through tanh layers with weights of that deviation (divided by √n), and A of the last layer but one."""
    rng = np.random.default_rng(seed)
    outputs = [rng.standard_normal((units, m))]
    for number in range(1, layers + 1):
        W = Tensor(deviation * rng.standard_normal((units, units)) / np.sqrt(units), name=f"W{number}")
        Z = W @ outputs[-1]
        Z.name = f"Z{number}"
        outputs.append(np.tanh(Z))
    return tg.gradient_flow(0.5 * np.mean((outputs[-1] - 0.5) ** 2)), outputs[-2].data


def tell_saturation() -> None:
    print("\n3. saturation: five tanh layers of 50 units")
    for deviation in DEVIATIONS:
        layers = saturated_network(deviation)[0].layers
        print(f"   weights {deviation:4.1f}/√n   flat: {', '.join(f'{x.saturation:.0%} of {x.name}' for x in layers)}")
    print(saturated_network(DEVIATIONS[-1])[0])


def plot_saturation(figure):
    """Where the outputs of the fourth layer lie, and what share of each layer is flat."""
    *columns, last = figure.subplots(1, 4)
    for ax, deviation, color in zip(columns, DEVIATIONS, ("C0", "C2", "C3"), strict=True):
        found, A = saturated_network(deviation)
        ax.hist(A.ravel(), bins=np.linspace(-1, 1, 41), color=color)
        ax.set(title=f"weights {deviation:g}/√n", xlabel="tanh(z) in layer 4", yticks=[])
        last.plot([x.number for x in found.layers], [x.saturation for x in found.layers], "o-", color=color,
                  label=f"weights {deviation:g}/√n")
    columns[0].set_ylabel("how often")
    last.set(title="share with a flat tanh", xlabel="layer", xticks=range(1, 6), ylim=(-0.03, 1.03))
    last.legend(fontsize=8)
    return figure


# ---------------------------------------------------------------- 4. linear layers


def collapse_linear(weights, biases):
    """W′ and b′ of the one layer that linear layers amount to: W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2)."""
    W, b = np.eye(weights[0].shape[1]), np.zeros((weights[0].shape[1], 1))
    for next_W, next_b in zip(weights, biases, strict=True):
        W, b = next_W @ W, next_W @ b + next_b
    return W, b


def linear_network(X, weights, biases):
    """The last Z of layers without activation."""
    Z = X
    for W, b in zip(weights, biases, strict=True):
        Z = W @ Z + b
    return Z


def random_layers(depth: int, n_in: int = 3, units: int = 5, n_out: int = 2, seed: int = 0):
    """Weights and biases of `depth` layers."""
    rng = np.random.default_rng(seed)
    sizes = [n_in, *[units] * (depth - 1), n_out]
    pairs = list(pairwise(sizes))
    return [rng.standard_normal((n, k)) / np.sqrt(k) for k, n in pairs], [rng.standard_normal((n, 1)) for _, n in pairs]


def train_layers(activation, X, Y, depth: int = 4, units: int = 8, steps: int = 1500, learning_rate: float = 0.3):
    """Weights and biases of a deep network for Y (1, m) with a sigmoid unit at its end."""
    weights, biases = random_layers(depth, X.shape[0], units, 1, seed=3)

    def J(weights, biases):  # noqa: N802
        return tg.binary_cross_entropy_with_logits(deep_network(X, weights, biases, activation), Y)

    slope = tg.grad(J, argnums=(0, 1))
    for _ in range(steps):
        dW, db = slope(weights, biases)
        weights = [W - learning_rate * d for W, d in zip(weights, dW, strict=True)]
        biases = [b - learning_rate * d for b, d in zip(biases, db, strict=True)]
    return weights, biases


def deep_network(X, weights, biases, activation):
    """The last Z, with the activation after all layers but the last."""
    A = X
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        A = activation(W @ A + b)
    return weights[-1] @ A + biases[-1]


def none(z):
    """No activation: the layer is linear."""
    return z


def tell_linear_layers() -> None:
    print("\n4. linear layers are one layer")
    X = np.random.default_rng(1).standard_normal((3, 6))
    rows = []
    for depth in (2, 5, 10):
        weights, biases = random_layers(depth)
        W, b = collapse_linear(weights, biases)
        rows.append((f"{depth} layers", linear_network(X, weights, biases), W @ X + b))
    side_by_side("the last Z of linear layers, and W′X + b′", *rows, columns=("layers", "one layer"))
    X, Y = quadrants(200, 0)
    for name, activation in (("without activation", none), ("with tanh", np.tanh)):
        layers = train_layers(activation, X, Y)
        right = np.mean((deep_network(X, *layers, activation) > 0) == Y)
        print(f"   four layers {name}: {right:.0%} of the points right")


def plot_boundary(ax, z_of, X, Y, reach: float = 3.0) -> None:
    """The regions where z is above and below 0, and the points."""
    x1, x2 = np.meshgrid(np.linspace(-reach, reach, 200), np.linspace(-reach, reach, 200))
    z = np.asarray(z_of(np.array([x1.ravel(), x2.ravel()]))).reshape(x1.shape)
    ax.contourf(x1, x2, z, levels=[-np.inf, 0, np.inf], colors=["#cfe3f5", "#f8d9c8"])
    ax.scatter(*X, c=Y[0], cmap="coolwarm", s=12)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="x₁")


def plot_linear_layers(figure):
    """The boundary of four layers without activation, of logistic regression, and of four layers with tanh."""
    X, Y = quadrants(200, 0)
    cases = [("four layers, no activation", none, 4), ("logistic regression", none, 1), ("four layers with tanh", np.tanh, 4)]
    for ax, (title, activation, depth) in zip(figure.subplots(1, 3), cases, strict=True):
        layers = train_layers(activation, X, Y, depth)
        plot_boundary(ax, lambda x, layers=layers, g=activation: deep_network(x, *layers, g), X, Y)
        right = np.mean((deep_network(X, *layers, activation) > 0) == Y)
        ax.set_title(f"{title}\n{right:.0%} right")
    figure.axes[0].set_ylabel("x₂")
    return figure


# ---------------------------------------------------------------- 5. no penalty for large weights

PENALTIES = (0.0, 0.1, 2.0)


def noisy_bow(m: int = 60, seed: int = 5):
    """Points above and below a parabola, labels of one in eight turned round."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2.5, 2.5, (2, m))
    Y = X[1:] > 0.5 * X[:1] ** 2 - 1
    return X, (Y ^ (rng.uniform(size=Y.shape) < 0.125)).astype(float)


@cache
def train_with_penalty(penalty: float, steps: int = 6000):
    """The parameters of a network with 30 tanh units."""
    X, Y = noisy_bow()
    return descend(random_start(2.0, 30), X, Y, np.tanh, steps, 0.5, penalty)


def size_of_weights(p) -> float:
    """√(‖W1‖² + ‖W2‖²), Frobenius norms."""
    return float(np.sqrt(np.sum(p["W1"] ** 2) + np.sum(p["W2"] ** 2)))


def share_right(p, X, Y) -> float:
    """The share of points on the right side of the boundary."""
    return float(np.mean((forward(p, X, np.tanh)[2] > 0) == Y))


def tell_penalty() -> None:
    print("\n5. weights with and without a penalty: 60 points, one in eight with the wrong label, 30 tanh units")
    X, Y = noisy_bow()
    X_new, Y_new = noisy_bow(4000, seed=6)
    p = random_start(1.0, 30)
    plain = tg.grad(lambda p: cost(p, X, Y, np.tanh))(p)
    penalised = tg.grad(lambda p: cost(p, X, Y, np.tanh, 2.0))(p)
    side_by_side("dW = (from backprop) + λ/m W, λ = 2",
                 *((f"d{name}", plain[name] + 2.0 / 60 * p[name] * (name[0] == "W"), penalised[name]) for name in p))
    for penalty in PENALTIES:
        p = train_with_penalty(penalty)
        print(f"   λ = {penalty:3.1f}   ‖W‖ = {size_of_weights(p):6.2f}   right: {share_right(p, X, Y):.0%} of the points, "
              f"{share_right(p, X_new, Y_new):.1%} of 4000 new ones")


def plot_penalty(figure):
    """The boundary for three penalties."""
    X, Y = noisy_bow()
    for ax, penalty in zip(figure.subplots(1, 3), PENALTIES, strict=True):
        p = train_with_penalty(penalty)
        plot_boundary(ax, lambda x, p=p: forward(p, x, np.tanh)[2], X, Y, 2.6)
        ax.set_title(f"λ = {penalty:g}, ‖W‖ = {size_of_weights(p):.1f}")
    figure.axes[0].set_ylabel("x₂")
    return figure


# ---------------------------------------------------------------- all of them

FIGURES = {
    "symmetry": (plot_symmetry, (13, 3.4)), "dead_relu": (plot_dead_units, (9.5, 3.6)),
    "saturation": (plot_saturation, (13, 3.2)), "linear_layers": (plot_linear_layers, (10.5, 3.9)),
    "penalty": (plot_penalty, (10.5, 3.8)),
}


def plot(directory: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("\nno plot: matplotlib is not installed (pip install matplotlib)")
        return
    directory.mkdir(parents=True, exist_ok=True)
    for name, (draw, size) in FIGURES.items():
        draw(Figure(figsize=size, layout="constrained")).savefig(directory / f"{name}.png", dpi=120)
    print(f"\nthe plots, in {directory}: {', '.join(f'{name}.png' for name in FIGURES)}")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save the plots")
    options = parser.parse_args(argv)
    for tell in (tell_symmetry, tell_dead_units, tell_saturation, tell_linear_layers, tell_penalty):
        tell()
    if options.plot:
        plot(options.plot)


if __name__ == "__main__":
    main()
