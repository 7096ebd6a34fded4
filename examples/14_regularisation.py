"""A network that learns its examples by heart, and three ways to keep it from that.

    J = 1/m Σ L + λ/2m Σ ‖W⁽ˡ⁾‖²        dW = (from backprop) + λ/m W        W := (1 − αλ/m) W − α (from backprop)

300 handwritten digits to learn from, and one label in five is wrong, as labels are. A network with 100 hidden units gets them
all right in the end, the wrong ones too, and that is bad for digits that it has not seen. An L2 penalty keeps the
weights small (M72 to M76), dropout switches hidden units off at random, and early stopping ends the training when the cost of
digits set apart for it (validation) rises.

Run: python examples/14_regularisation.py [--epochs N] [--plot DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from figures import save
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import data, nn, plots

WRONG = 0.2  # the share of wrong labels


def digits(m: int = 300):
    """m digits to learn from, some with wrong labels; 300 for validation; the others for the end. Pairs X (m, 64), Y (m,)."""
    X, Y = data.digits()
    (X_train, Y_train), validation, test = data.split(X / 16, Y, (m, 300, len(X) - 300 - m), rng=0, stratify=True)
    rng = np.random.default_rng(3)
    wrong = rng.uniform(size=m) < WRONG
    Y_train = np.where(wrong, (Y_train + rng.integers(1, 10, m)) % 10, Y_train)
    return (X_train, Y_train), validation, test


def network(dropout: float = 0.0):
    """64-100-10 with ReLU; with dropout, this share of hidden units is switched off at random in every step."""
    rng = np.random.default_rng(0)
    layers = [nn.Linear(64, 100, rng=rng), nn.ReLU(), nn.Dropout(dropout, rng=0), nn.Linear(100, 10, rng=rng)]
    return nn.Sequential(*layers)


def cost(model, p, x, y, m: int, penalty: float = 0.0, rng=None):
    """J of a batch, with λ/2m ‖W‖² of all m examples; biases are not penalised."""
    J = tg.cross_entropy(nn.functional_call(model, p, x, rng=rng), y)
    return J + penalty / (2 * m) * nn.l2(p) if penalty else J


@dataclass
class Run:
    """A training: costs and shares right of training and test digits, and costs of validation digits, at some epochs."""

    name: str
    epochs: list[int] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    test: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)  # of the training digits, with their wrong labels
    right_test: list[float] = field(default_factory=list)
    size: float = 0.0  # ‖W‖ in the end

    def best(self) -> int:
        """Where the cost of the validation digits is least: early stopping takes the parameters of then."""
        return int(np.argmin(self.validation))


def train(name: str, sets, penalty: float = 0.0, dropout: float = 0.0, epochs: int = 200, size: int = 50) -> Run:
    """Mini-batch gradient descent with momentum 0.9, the rate falling from 0.05 to a tenth of it."""
    (X, Y), validation, test = sets
    model = network(dropout)

    @tg.jit(donate=("p", "v"))
    def step(p, v, x, y, rng, learning_rate):
        d = tg.grad(lambda p: cost(model, p, x, y, len(X), penalty, rng))(p)
        v = {name: 0.9 * v[name] + d[name] for name in p}
        return {name: p[name] - learning_rate * v[name] for name in p}, v

    @tg.jit
    def scores(p, x):
        return nn.functional_call(model, p, x)

    run, p = Run(name), model.parameter_dict()
    v = {name: np.zeros_like(w) for name, w in p.items()}
    rng, batches = np.random.default_rng(1), data.batches(X, Y, size, rng=0)
    for epoch in range(epochs):
        for x, y in batches:
            p, v = step(p, v, x, y, rng, 0.05 * (1 - 0.9 * epoch / epochs))
        if epoch % 4 == 3:
            model.eval()
            for (xs, ys), costs, shares in (((X, Y), run.train, run.right), (validation, run.validation, []),
                                            (test, run.test, run.right_test)):
                z = scores(p, xs)
                costs.append(float(tg.cross_entropy(z, ys)))
                shares.append(float(np.mean(np.argmax(z, axis=1) == ys)))
            run.epochs.append(epoch + 1)
            model.train()
    run.size = float(np.sqrt(nn.l2(p)))
    return run


RUNS = {"nothing": {}, "L2, λ = 1": {"penalty": 1.0}, "L2, λ = 5": {"penalty": 5.0}, "dropout 0.7": {"dropout": 0.7}}


# ---------------------------------------------------------------- by hand


def by_hand(p, x, y, penalty: float, kept=1.0):
    """The derivatives with penalty, kept (m, 100) being 0 for units switched off and 1/(1 − share) for the others."""
    m = len(x)
    Z1 = x @ p["0.weight"].T + p["0.bias"]
    A1 = np.maximum(Z1, 0) * kept
    E = np.exp(A1 @ p["3.weight"].T + p["3.bias"])
    dZ2 = (E / E.sum(axis=1, keepdims=True) - tg.one_hot(y, 10)) / m
    dZ1 = dZ2 @ p["3.weight"] * kept * (Z1 > 0)
    return {"0.weight": dZ1.T @ x + penalty / m * p["0.weight"], "0.bias": dZ1.sum(axis=0),
            "3.weight": dZ2.T @ A1 + penalty / m * p["3.weight"], "3.bias": dZ2.sum(axis=0)}


def check(X, Y) -> None:
    model, m = network(), len(X)
    p = model.parameter_dict()
    plain = tg.grad(lambda p: cost(model, p, X, Y, m))(p)
    penalised = tg.grad(lambda p: cost(model, p, X, Y, m, 3.0))(p)
    hand = by_hand(p, X, Y, 3.0)
    value = 3.0 / (2 * m) * sum(np.sum(p[name] ** 2) for name in ("0.weight", "3.weight"))
    side_by_side("J with λ/2m ‖W‖², λ = 3",
                 ("the penalty", value, 3.0 / (2 * m) * nn.l2(p)), *((f"d {name}", hand[name], penalised[name]) for name in p))
    rate, W = 0.05, p["0.weight"]
    side_by_side("an update, α = 0.05: penalty in J, and weight decay",
                 ("W", (1 - rate * 3.0 / m) * W - rate * plain["0.weight"], W - rate * penalised["0.weight"]),
                 columns=("decay", "penalty"))
    model = network(0.5)
    kept = np.where(np.random.default_rng(2).random((m, 100)) >= 0.5, 2.0, 0.0)
    seen = tg.dropout(np.ones((m, 100)), 0.5, rng=np.random.default_rng(2))
    same = tg.grad(lambda p: cost(model, p, X, Y, m, 0.0, np.random.default_rng(2)))(p)
    hand = by_hand(p, X, Y, 0.0, kept)
    side_by_side("dropout 0.5 from the same generator", ("units kept, times 2", kept, seen),
                 *((f"d {name}", hand[name], same[name]) for name in p))


# ---------------------------------------------------------------- the text


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save the plots")
    options = parser.parse_args(argv)
    try:
        sets = digits()
    except ImportError:
        print('the digits come with scikit-learn, which is not installed: pip install "tinygrad-edu[examples]"')
        return
    (X, Y), validation, test = sets
    print(f"{len(X)} digits to learn from, {WRONG:.0%} of the labels wrong; {len(validation[0])} for validation; "
          f"{len(test[0])} held out")
    check(X, Y)
    runs = [train(name, sets, epochs=options.epochs, **how) for name, how in RUNS.items()]
    print(f"\nafter {options.epochs} epochs")
    print("                     ‖W‖   cost: training   held out   right: training labels   held out")
    for run in runs:
        print(line(run, -1, f"{run.size:6.2f}"))
    plain = runs[0]
    early = plain.best()
    print(line(plain, early, "").replace("nothing  ", "stop early"))
    print(f"early stopping: the cost of the validation digits is least after {plain.epochs[early]} epochs, "
          f"{plain.validation[early]:.3f}; at last it is {plain.validation[-1]:.3f}")
    if options.plot:
        plot(options.plot, runs)


def line(run: Run, i: int, size: str) -> str:
    return (f"  {run.name:<14} {size:>7}   {run.train[i]:14.3f}   {run.test[i]:8.3f}   {run.right[i]:22.1%}   "
            f"{run.right_test[i]:8.1%}")


def plot(directory: Path, runs: list[Run]) -> None:
    save(directory, {"regularisation": (lambda figure: plot_runs(figure, runs), (13, 3.9))})


def plot_runs(figure, runs: list[Run]) -> None:
    """Costs of training and held-out digits, run by run."""
    axes = figure.subplots(1, len(runs), sharey=True)
    for ax, run in zip(axes, runs, strict=True):
        curves = {"training": (run.epochs, run.train), "validation": (run.epochs, run.validation),
                  "held out": (run.epochs, run.test)}
        plots.cost_curve(curves, xlabel="epoch", ylabel="cost", title=f"{run.name}: {run.right_test[-1]:.0%} right", ax=ax)
        early = run.best()
        if run is runs[0]:
            ax.axvline(run.epochs[early], color="0.3", linewidth=1, linestyle=":")
            ax.annotate(f"stop here: {run.right_test[early]:.0%}", (run.epochs[early], 0.02), (6, 0),
                        xycoords=("data", "axes fraction"), textcoords="offset points")
        else:
            ax.set_ylabel("")
            ax.get_legend().remove()


if __name__ == "__main__":
    main()
