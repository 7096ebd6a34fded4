"""One neuron: inputs, weights, a bias, the net input z, an activation f.

    x = (0.9, 0.2, 0.3),  w = (2, 3, −1),  b = 0.5:   z = 1.8 + 0.6 − 0.3 + 0.5 = 2.6,   a = f(z) = σ(2.6) ≈ 0.93

The neuron is the unit of logistic regression under other names: its weights are the coefficients, its inputs the
variables, its bias the constant.

Run: python examples/06_neuron.py [--plot DIR]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import Tensor

X, W, B = (0.9, 0.2, 0.3), (2.0, 3.0, -1.0), 0.5


class Neuron:
    """Weights (n,) or (n, 1), a bias and an activation; called on inputs (n, m), one column per example."""

    def __init__(self, weights, bias, activation=tg.sigmoid) -> None:
        self.weights = weights.col() if isinstance(weights, Tensor) else np.reshape(weights, (-1, 1))
        self.bias, self.activation = bias, activation

    def net_input(self, x):
        """z = Σ wᵢ xᵢ + b, (1, m)."""
        return self.weights.T @ x + self.bias

    def __call__(self, x):
        """a = f(z), (1, m)."""
        return self.activation(self.net_input(x))


class LogisticRegression:
    """The statistician's names: P(y = 1 | x) = σ(constant + Σ coefficientᵢ variableᵢ), variables in rows (m, n)."""

    def __init__(self, coefficients, constant) -> None:
        self.coefficients, self.constant = np.reshape(coefficients, -1), constant

    def probability(self, variables):
        """P(y = 1 | x) for each row, (m,)."""
        return 1 / (1 + np.exp(-(variables @ self.coefficients + self.constant)))


def by_hand(x, w, b, y=None) -> dict[str, np.ndarray]:
    """z, a, and the derivatives of a; with a label y also those of the loss L, called dz, dw, db."""
    x, w = np.reshape(x, (-1, 1)), np.reshape(w, (-1, 1))
    z = (w.T @ x).item() + b
    a = 1 / (1 + np.exp(-z))
    slope = a * (1 - a)
    found = {"z": z, "a": a, "da/dz": slope, "da/dw": slope * x, "da/db": slope, "da/dx": slope * w}
    if y is not None:
        dz = a - y
        found |= {f"dz (y={y})": dz, f"dw (y={y})": dz * x, f"db (y={y})": dz}
    return found


def by_autodiff(x, w, b, y=None) -> dict[str, np.ndarray]:
    """The same, recorded number by number as the drawing of a neuron shows it."""
    x, w = Tensor(np.reshape(x, (-1, 1)), name="x"), Tensor(np.reshape(w, (-1, 1)), name="w")
    b = Tensor(b, name="b")
    z = (w * x).sum() + b
    a = tg.sigmoid(z)
    a.backward()
    found = {"z": z.data, "a": a.data, "da/dz": z.grad, "da/dw": w.grad, "da/db": b.grad, "da/dx": x.grad}
    if y is not None:
        for leaf in (x, w, b):
            leaf.zero_grad()
        L = -(y * np.log(a) + (1 - y) * np.log(1 - a))
        L.backward()
        found |= {f"dz (y={y})": z.grad, f"dw (y={y})": w.grad, f"db (y={y})": b.grad}
    return found


def drawing():
    """The picture of the neuron: inputs times weights, and the bias, into Σ, the net input z; through f to a."""
    x1, x2, x3 = (Tensor(x) for x in X)
    w1, w2, w3 = (Tensor(w) for w in W)
    b = Tensor(B)
    terms = np.stack([w1 * x1, w2 * x2, w3 * x3, b])
    z = terms.sum()
    a = tg.sigmoid(z)
    a.backward()
    return tg.draw(a)


def against_scikit_learn(seed: int = 0):
    """Probabilities (200,) of a neuron with the numbers that scikit-learn fitted, and scikit-learn's own; or None."""
    try:
        from sklearn.linear_model import LogisticRegression as Theirs
    except ImportError:
        return None
    rng = np.random.default_rng(seed)
    variables = rng.standard_normal((200, 3))
    y = (variables @ W + B + rng.standard_normal(200) > 0).astype(int)
    theirs = Theirs().fit(variables, y)
    return Neuron(theirs.coef_[0], theirs.intercept_[0])(variables.T)[0], theirs.predict_proba(variables)[:, 1]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save neuron.svg (default: a temporary one)")
    directory = parser.parse_args(argv).plot or Path(tempfile.mkdtemp(prefix="neuron_"))

    hand = by_hand(X, W, B, y=1) | by_hand(X, W, B, y=0)
    autodiff = by_autodiff(X, W, B, y=1) | by_autodiff(X, W, B, y=0)
    side_by_side("the neuron, and its loss for an example with y = 1 and one with y = 0",
                 *((name, hand[name], autodiff[name]) for name in hand))

    inputs = np.random.default_rng(0).standard_normal((3, 100))
    side_by_side("two names for one thing, at 100 inputs",
                 ("P(y=1|x)", LogisticRegression(W, B).probability(inputs.T), Neuron(W, B)(inputs)[0]),
                 columns=("regression", "neuron"))
    pair = against_scikit_learn()
    if pair is None:
        print("\n(with scikit-learn installed, its LogisticRegression would be compared here)")
    else:
        neuron, theirs = pair
        side_by_side("a LogisticRegression fitted by scikit-learn, and a neuron with its numbers",
                     ("P(y=1|x)", theirs, neuron), columns=("scikit-learn", "neuron"))

    directory.mkdir(parents=True, exist_ok=True)
    drawing().save(directory / "neuron.svg")
    print(f"\nthe picture: {directory / 'neuron.svg'}")


if __name__ == "__main__":
    main()
