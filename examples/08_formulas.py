"""The backward pass as formulas: recorded, shortened, and written as in the notes.

    tg.formulas(cost, W1, b1, W2, b2, X, Y, wrt=(0, 1, 2, 3), convention="course")

prints dZ2 = A2 − Y, dW2 = 1/m · dZ2 A1ᵀ and so on. Nothing of this is stored anywhere: the function is run once, the
chain rule is recorded, and what was recorded is shortened. Below, the printed lines of four functions are typed in
as NumPy and compared with autodiff.

In "math" dZ is ∂J/∂Z, so the 1/m of the mean stands in dZ. In "course" dZ is m · ∂J/∂Z for what every example has its
own of, and the 1/m stands where examples are summed, in dW and db.

Run: python examples/08_formulas.py
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from side_by_side import side_by_side

import tinygrad_edu as tg


def logistic(w, b, X, Y):
    """The cost of logistic regression, m examples in columns."""
    Z = w.T @ X + b
    A = tg.sigmoid(Z)
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def two_layers(W1, b1, W2, b2, X, Y):
    """One hidden layer of tanh units."""
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = tg.sigmoid(Z2)
    return -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))


def softmax_regression(W, b, X, Y):
    """Several classes, one-hot targets in columns."""
    Z = W @ X + b
    A = tg.softmax(Z, axis=0)
    return -np.mean(np.sum(Y * np.log(A), axis=0))


def attention(Q, K, V, T):
    """softmax(QKᵀ/√d) V against a target, by squared error: a function that is in no notes."""
    d = Q.shape[1]
    S = Q @ K.T / np.sqrt(d)
    P = tg.softmax(S, axis=1)
    O = P @ V  # noqa: E741
    return np.sum((O - T) ** 2) / 2


def logistic_by_hand(w, b, X, Y):
    """The lines printed for `logistic`, typed in."""
    m = X.shape[1]
    A = tg.sigmoid(w.T @ X + b)
    dZ = A - Y
    dw = 1 / m * X @ dZ.T
    db = 1 / m * np.sum(dZ)
    return dw, db


def two_layers_by_hand(W1, b1, W2, b2, X, Y):
    """The lines printed for `two_layers`, typed in."""
    m = X.shape[1]
    A1 = np.tanh(W1 @ X + b1)
    A2 = tg.sigmoid(W2 @ A1 + b2)
    dZ2 = A2 - Y
    dW2 = 1 / m * dZ2 @ A1.T
    db2 = 1 / m * np.sum(dZ2, axis=1, keepdims=True)
    dZ1 = W2.T @ dZ2 * (1 - A1**2)
    dW1 = 1 / m * dZ1 @ X.T
    db1 = 1 / m * np.sum(dZ1, axis=1, keepdims=True)
    return dW1, db1, dW2, db2


def softmax_by_hand(W, b, X, Y):
    """The lines printed for `softmax_regression`, typed in."""
    m = X.shape[1]
    dZ = tg.softmax(W @ X + b, axis=0) - Y
    return 1 / m * dZ @ X.T, 1 / m * np.sum(dZ, axis=1, keepdims=True)


def attention_by_hand(Q, K, V, T):
    """The lines printed for `attention`, typed in."""
    d = Q.shape[1]
    P = tg.softmax(Q @ K.T / np.sqrt(d), axis=1)
    dO = P @ V - T
    dP = dO @ V.T
    dS = P * (dP - np.sum(dP * P, axis=1, keepdims=True))
    return 1 / np.sqrt(d) * dS @ K, 1 / np.sqrt(d) * dS.T @ Q, P.T @ dO


def show(title, f, by_hand, arguments, wrt):
    """Print the formulas of f, then the typed-in lines beside autodiff."""
    print(f"\n{title}\n")
    print(tg.formulas(f, *arguments, wrt=wrt, convention="course"))
    names = [f"d{f.__code__.co_varnames[i]}" for i in wrt]
    rows = zip(names, by_hand(*arguments), tg.grad(f, argnums=wrt)(*arguments), strict=True)
    side_by_side("the same lines, typed in", *rows)


def main(argv: Sequence[str] | None = None) -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(argv)
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((3, 8)), (rng.random((1, 8)) > 0.5).astype(float)
    small = [rng.standard_normal((3, 1)), 0.1, X, Y]
    net = [*(rng.standard_normal(shape) for shape in ((4, 3), (4, 1), (1, 4), (1, 1))), X, Y]
    classes = [rng.standard_normal((4, 3)), rng.standard_normal((4, 1)), X, np.eye(4)[:, rng.integers(0, 4, 8)]]
    heads = [rng.standard_normal(shape) for shape in ((4, 3), (5, 3), (5, 2), (4, 2))]

    show("logistic regression", logistic, logistic_by_hand, small, (0, 1))
    print("\nthe same as autodiff has it: the 1/m of the mean in dZ\n")
    print(tg.formulas(logistic, *small, wrt=("w", "b")))
    show("two layers", two_layers, two_layers_by_hand, net, (0, 1, 2, 3))
    show("softmax", softmax_regression, softmax_by_hand, classes, (0, 1))
    show("attention", attention, attention_by_hand, heads, (0, 1, 2))

    print("\nin LaTeX\n")
    print(tg.formulas(two_layers, *net, wrt=(0, 1, 2, 3), convention="course").latex())


if __name__ == "__main__":
    main()
