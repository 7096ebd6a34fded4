"""Which digit is it? Softmax regression, and a network with one hidden layer, on handwritten digits.

    z = x W + b (1, 10)        a = softmax(z)        J = −1/m Σ ln a_y        ∂J/∂Z = 1/m (A − Y)

Ten outputs that add up to 1, one for each digit; the largest is the answer (M85 to M87). The 1797 digits of 8 × 8 pixels
come with scikit-learn. Examples are rows here, as in `nn`, PyTorch and scikit-learn: X is (m, 64), and every formula of
the notes is transposed (M113). A quarter of the digits is held out of the training, and only looked at when it is over.

Run: python examples/13_digits.py [--splits N] [--plot DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from figures import save
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import data, nn, plots


def digits(seed: int = 0):
    """Three quarters of the digits for training and one for the end, X (m, 64) from 0 to 1 and Y (m,)."""
    X, Y = data.digits()
    return data.split(X / 16, Y, (0.75, 0.25), rng=seed, stratify=True)


# ---------------------------------------------------------------- softmax regression


def cost(p, X, Y):
    """J = −1/m Σ ln a_y with a = softmax(x W + b)."""
    return tg.cross_entropy(X @ p["W"] + p["b"], Y)


def by_hand(p, X, Y):
    """J and its derivatives: dZ = A − Y, dW = 1/m Xᵀ dZ, db = 1/m Σ dZ."""
    m = len(X)
    E = np.exp(X @ p["W"] + p["b"])
    A = E / E.sum(axis=1, keepdims=True)
    dZ = A - tg.one_hot(Y, 10)
    return -np.mean(np.log(A[np.arange(m), Y])), {"W": X.T @ dZ / m, "b": dZ.sum(axis=0) / m}


@tg.jit(donate=("p",))
def step(p, X, Y, learning_rate):
    """One step of gradient descent on all examples."""
    J, d = tg.value_and_grad(cost)(p, X, Y)
    return {name: p[name] - learning_rate * d[name] for name in p}, J


def softmax_regression(X, Y, steps: int = 1000, learning_rate: float = 1.0):
    """The parameters after so many steps from zeros, and the costs on the way."""
    p, costs = {"W": np.zeros((64, 10)), "b": np.zeros(10)}, []
    for _ in range(steps):
        p, J = step(p, X, Y, learning_rate)
        costs.append(float(J))
    return {name: w.copy() for name, w in p.items()}, costs  # what is donated is one place for all runs


# ---------------------------------------------------------------- a network


def network(hidden: int = 64, seed: int = 0):
    """64 pixels, hidden ReLU units, 10 outputs, which the cost takes the softmax of."""
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Linear(64, hidden, rng=rng), nn.ReLU(), nn.Linear(hidden, 10, rng=rng))


def network_by_hand(p, X, Y):
    """The derivatives of the network's cost, by the names of its parameters; W is (units, inputs), as in PyTorch."""
    m = len(X)
    Z1 = X @ p["0.weight"].T + p["0.bias"]
    A1 = np.maximum(Z1, 0)
    E = np.exp(A1 @ p["2.weight"].T + p["2.bias"])
    dZ2 = (E / E.sum(axis=1, keepdims=True) - tg.one_hot(Y, 10)) / m
    dZ1 = dZ2 @ p["2.weight"] * (Z1 > 0)
    return {"0.weight": dZ1.T @ X, "0.bias": dZ1.sum(axis=0), "2.weight": dZ2.T @ A1, "2.bias": dZ2.sum(axis=0)}


def train(model, X, Y, epochs: int = 30, size: int = 32, learning_rate: float = 0.1, momentum: float = 0.9, seed: int = 0):
    """Mini-batch gradient descent with momentum; the model gets the parameters. Returns the mean cost of each epoch."""

    @tg.jit(donate=("p", "v"))
    def step(p, v, x, y, learning_rate):
        J, d = tg.value_and_grad(lambda p: tg.cross_entropy(nn.functional_call(model, p, x), y))(p)
        v = {name: momentum * v[name] + d[name] for name in p}
        return {name: p[name] - learning_rate * v[name] for name in p}, v, J

    p = model.parameter_dict()
    v, costs = {name: np.zeros_like(w) for name, w in p.items()}, []
    batches = data.batches(X, Y, size=size, rng=seed)
    for epoch in range(epochs):
        found = []
        for x, y in batches:
            p, v, J = step(p, v, x, y, learning_rate * (1 - epoch / epochs))
            found.append(float(J))
        costs.append(float(np.mean(found)))
    model.load_state_dict(p)
    return costs


def answers(scores) -> np.ndarray:
    """The digit with the largest output."""
    return np.argmax(scores, axis=1)


def share_right(scores, Y) -> float:
    return float(np.mean(answers(scores) == Y))


# ---------------------------------------------------------------- the text


def check(X, Y) -> None:
    rng = np.random.default_rng(1)
    p = {"W": 0.1 * rng.standard_normal((64, 10)), "b": 0.1 * rng.standard_normal(10)}
    J, hand = by_hand(p, X, Y)
    J_autodiff, autodiff = tg.value_and_grad(cost)(p, X, Y)
    columns = tg.grad(lambda W: tg.cross_entropy(W @ X.T + p["b"][:, None], Y, axis=0))(p["W"].T.copy())
    side_by_side(f"softmax regression, {len(X)} digits", ("J", J, J_autodiff), ("dW", hand["W"], autodiff["W"]),
                 ("db", hand["b"], autodiff["b"]), ("dW in columns, transposed", hand["W"], columns.T))
    model = network()
    p = model.parameter_dict()
    hand = network_by_hand(p, X, Y)
    autodiff = tg.grad(lambda p: tg.cross_entropy(nn.functional_call(model, p, X), Y))(p)
    side_by_side("the network", *((f"d {name}", hand[name], autodiff[name]) for name in p))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=5, help="how many random splits into training and held-out digits")
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save the plots")
    options = parser.parse_args(argv)
    try:
        (X, Y), (X_test, Y_test) = digits()
    except ImportError:
        print('the digits come with scikit-learn, which is not installed: pip install "tinygrad-edu[examples]"')
        return
    print(f"{len(X)} digits to learn from, {len(X_test)} held out")
    check(X, Y)

    print("\nheld-out digits that are told right, in random splits")
    print("  split   softmax regression   network 64-64-10")
    found = []
    for seed in range(options.splits):
        (X, Y), (X_test, Y_test) = digits(seed)
        p, costs = softmax_regression(X, Y)
        model = network(seed=seed)
        network_costs = train(model, X, Y, seed=seed)
        scores = X_test @ p["W"] + p["b"], model(X_test).numpy()
        found.append([share_right(z, Y_test) for z in scores])
        print(f"  {seed + 1:5d}   {found[-1][0]:18.1%}   {found[-1][1]:16.1%}")
        if seed == 0:
            first = p, costs, model, network_costs, scores[1], X_test, Y_test
    print(f"   mean   {np.mean(found, axis=0)[0]:18.1%}   {np.mean(found, axis=0)[1]:16.1%}")

    p, costs, model, network_costs, scores, X_test, Y_test = first
    print(f"\nsplit 1: cost of softmax regression {costs[0]:.4f} (ln 10 = {np.log(10):.4f}) to {costs[-1]:.4f} in {len(costs)} "
          f"steps; of the network {network_costs[0]:.4f} to {network_costs[-1]:.4f} in {len(network_costs)} epochs")
    outputs = tg.softmax(scores, axis=1)
    print(f"outputs add up to 1: largest deviation {np.max(np.abs(outputs.sum(axis=1) - 1)):.0e}")
    wrong = np.flatnonzero(answers(scores) != Y_test)
    print("the network is wrong about " + ", ".join(
        f"a {Y_test[i]} (says {answers(scores)[i]}, {outputs[i].max():.0%} sure)" for i in wrong[:6]))
    if options.plot:
        plot(options.plot, first)


def plot(directory: Path, found) -> None:
    save(directory, {"digits": (lambda figure: plot_digits(figure, *found), (13, 4.6)),
                     "softmax_weights": (lambda figure: plot_weights(figure, found[0]), (8, 3.4))})


def plot_digits(figure, p, costs, model, network_costs, scores, X_test, Y_test) -> None:
    """The costs, the confusion matrix, and digits that the network is wrong about."""
    left, middle, right = figure.subplots(1, 3, width_ratios=(4, 5, 4))
    batches = -(-1348 // 32)
    plots.cost_curve({"softmax regression": costs, "network": (batches * np.arange(1, len(network_costs) + 1), network_costs)},
                     title="training", ax=left)
    plots.confusion_matrix(Y_test, scores, ax=middle)
    middle.set_title(f"network: {middle.get_title()}")
    wrong = np.flatnonzero(answers(scores) != Y_test)[:9]
    if len(wrong):
        plots.image_grid(X_test[wrong], [f"{Y_test[i]}, not {answers(scores)[i]}" for i in wrong], image_shape=(8, 8),
                         columns=3, title="what it is wrong about", ax=right)


def plot_weights(figure, p) -> None:
    """What each output of softmax regression looks for."""
    plots.filters(p["W"].T, image_shape=(8, 8), columns=5, labels=range(10), ax=figure.subplots(),
                  title="softmax regression: light pixels speak for the digit, dark ones against it")


if __name__ == "__main__":
    main()
