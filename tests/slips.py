"""Slips of the pen: backward passes with one line written wrong, and what should be said of each.

A network is its forward pass and its right backward pass, in the words of the notes. A slip replaces lines of the
backward pass by wrong ones, those with the same left side; `said` is the explanation a teacher would give, for the
gradients that come out wrong. Two of the explanations are beyond a search for one altered step: they are misses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_edu as tg


@dataclass(frozen=True)
class Network:
    """sizes : inputs, examples, outputs. parameters : name to shape. hand : the gradients that are handed in."""

    title: str
    sizes: tuple[int, int, int]
    parameters: dict[str, tuple[int, ...]]
    forward: str
    backward: str
    hand: str
    one_hot: bool = False


@dataclass(frozen=True)
class Slip:
    """network : its key in NETWORKS. wrong : the wrong lines. said : names of gradients to what is said of them."""

    network: str
    wrong: str
    said: dict[str, str]


TWO_LAYERS = """
Z1 = W1 @ X + b1
A1 = np.tanh(Z1)
Z2 = W2 @ A1 + b2
A2 = tg.sigmoid(Z2)
J = -(1 / m) * np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
"""
TWO_LAYERS_BACK = """
dA2 = -Y / A2 + (1 - Y) / (1 - A2)
dZ2 = dA2 * A2 * (1 - A2)
dW2 = (1 / m) * dZ2 @ A1.T
db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
dA1 = W2.T @ dZ2
dZ1 = dA1 * (1 - A1**2)
dW1 = (1 / m) * dZ1 @ X.T
db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True)
"""
NETWORKS = {
    "logistic": Network("logistic regression", (3, 5, 1), {"w": (3, 1), "b": ()}, """
Z = w.T @ X + b
A = tg.sigmoid(Z)
J = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
""", """
dA = -(Y / A - (1 - Y) / (1 - A))
dZ = A - Y
dw = (1 / m) * X @ dZ.T
db = (1 / m) * np.sum(dZ)
""", "dw db"),
    "two": Network("2 layers", (3, 6, 1), {"W1": (4, 3), "b1": (4, 1), "W2": (1, 4), "b2": (1, 1)}, TWO_LAYERS,
                   TWO_LAYERS_BACK, "dW1 db1 dW2 db2"),
    "square": Network("2 layers, square", (4, 4, 4), {"W1": (4, 4), "b1": (4, 1), "W2": (4, 4), "b2": (4, 1)}, TWO_LAYERS,
                      TWO_LAYERS_BACK, "dW1 db1 dW2 db2"),
    "four": Network("4 layers", (3, 6, 2), {"W1": (5, 3), "b1": (5, 1), "W2": (4, 5), "b2": (4, 1), "W3": (4, 4),
                                            "b3": (4, 1), "W4": (2, 4), "b4": (2, 1)}, """
Z1 = W1 @ X + b1
A1 = tg.relu(Z1)
Z2 = W2 @ A1 + b2
A2 = np.tanh(Z2)
Z3 = W3 @ A2 + b3
A3 = tg.leaky_relu(Z3)
Z4 = W4 @ A3 + b4
A4 = tg.sigmoid(Z4)
J = -(1 / m) * np.sum(Y * np.log(A4) + (1 - Y) * np.log(1 - A4))
""", """
dZ4 = A4 - Y
dW4 = (1 / m) * dZ4 @ A3.T
db4 = (1 / m) * np.sum(dZ4, axis=1, keepdims=True)
dZ3 = W4.T @ dZ4 * np.where(Z3 > 0, 1, 0.01)
dW3 = (1 / m) * dZ3 @ A2.T
db3 = (1 / m) * np.sum(dZ3, axis=1, keepdims=True)
dZ2 = W3.T @ dZ3 * (1 - A2**2)
dW2 = (1 / m) * dZ2 @ A1.T
db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
dZ1 = W2.T @ dZ2 * (Z1 > 0)
dW1 = (1 / m) * dZ1 @ X.T
db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True)
""", "dW1 db1 dW2 db2 dW3 db3 dW4 db4"),
    "softmax": Network("softmax", (4, 6, 3), {"W1": (5, 4), "b1": (5, 1), "W2": (3, 5), "b2": (3, 1)}, """
Z1 = W1 @ X + b1
A1 = tg.sigmoid(Z1)
Z2 = W2 @ A1 + b2
A2 = tg.softmax(Z2, axis=0)
J = -(1 / m) * np.sum(Y * np.log(A2))
""", """
dA2 = -Y / A2
dZ2 = A2 - Y
dW2 = (1 / m) * dZ2 @ A1.T
db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
dZ1 = W2.T @ dZ2 * A1 * (1 - A1)
dW1 = (1 / m) * dZ1 @ X.T
db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True)
""", "dW1 db1 dW2 db2", one_hot=True),
    "L2": Network("2 layers with L2", (3, 5, 1), {"W1": (4, 3), "b1": (4, 1), "W2": (1, 4), "b2": (1, 1)}, """
Z1 = W1 @ X + b1
A1 = np.tanh(Z1)
Z2 = W2 @ A1 + b2
A2 = tg.sigmoid(Z2)
cross = -(1 / m) * np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
J = cross + lam / (2 * m) * (np.sum(W1**2) + np.sum(W2**2))
""", """
dZ2 = A2 - Y
dW2 = (1 / m) * dZ2 @ A1.T + lam / m * W2
db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
dZ1 = W2.T @ dZ2 * (1 - A1**2)
dW1 = (1 / m) * dZ1 @ X.T + lam / m * W1
db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True)
""", "dW1 db1 dW2 db2"),
    "MSE": Network("squared error", (3, 5, 2), {"W": (2, 3), "b": (2, 1)}, """
Z = W @ X + b
A = tg.sigmoid(Z)
J = 1 / (2 * m) * np.sum((A - Y)**2)
""", """
dA = A - Y
dZ = dA * A * (1 - A)
dW = (1 / m) * dZ @ X.T
db = (1 / m) * np.sum(dZ, axis=1, keepdims=True)
""", "dW db"),
}


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def recorded(network: str, seed: int = 0) -> dict[str, Any]:
    """The variables after the forward pass of a network on random data, J among them; Tensors carry their names."""
    net = NETWORKS[network]
    n_x, m, n_y = net.sizes
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_x, m))
    Y = np.eye(n_y)[:, rng.integers(0, n_y, m)] if net.one_hot else (rng.random((n_y, m)) < 0.5).astype(float)
    if not net.one_hot:
        Y[:, :2] = [0, 1]  # both kinds, or half of the slips would not show
    held = {"np": np, "tg": tg, "X": X, "Y": Y, "m": m, "lam": 0.7, "sigmoid": sigmoid}
    held |= {name: tg.Tensor(rng.normal(size=shape), name=name) for name, shape in net.parameters.items()}
    exec(net.forward, held)  # noqa: S102 - the text above
    for name, value in held.items():
        if type(value) is tg.Tensor and value.name is None:
            value.name = name
    return held


def by_hand(network: str, held: dict[str, Any], wrong: str = "") -> dict[str, Any]:
    """What the backward pass in plain NumPy gives, with some lines replaced by wrong ones."""
    net = NETWORKS[network]
    lines = dict(line.split(" = ", 1) for line in net.backward.strip().split("\n"))
    for line in filter(None, wrong.split("\n")):
        left, right = line.split(" = ", 1)
        assert left in lines and lines[left] != right
        lines[left] = right
    plain = {name: value.data if type(value) is tg.Tensor else value for name, value in held.items()}
    exec("\n".join(f"{left} = {right}" for left, right in lines.items()), plain)  # noqa: S102 - the text above
    return {name: plain[name] for name in lines}


SLIPS = [
    # logistic regression
    Slip("logistic", "dw = X @ dZ.T", {"dw": "times m = 5: the factor 1/m is left out"}),
    Slip("logistic", "db = np.sum(dZ)", {"db": "times m = 5: the factor 1/m is left out"}),
    Slip("logistic", "dZ = Y - A", {"dw db": "with the sign of dZ turned"}),
    Slip("logistic", "dZ = A", {"dw db": "with A in place of A − Y in dZ"}),
    Slip("logistic", "dZ = Z - Y", {"dw db": "with Z − Y in place of A − Y in dZ"}),
    Slip("logistic", "dZ = (A - Y) * A * (1 - A)", {"dw db": "with the factor (A ⊙ (1 − A)) applied twice in dZ"}),
    Slip("logistic", "dZ = 2 * (A - Y)", {"dw db": "with dZ multiplied by 2: a factor 2 is too much"}),
    Slip("logistic", "dZ = dA * (1 - A)", {"dw db": "with the factor A left out of dZ"}),
    Slip("logistic", "dZ = dA", {"dw db": "with the factor (A ⊙ (1 − A)) left out of dZ"}),
    Slip("logistic", "dw = (1 / m) * X * dZ",
         {"dw": "dw has shape (3, 5), and w (3, 1): it is not summed over axis 1. Use "
          "np.sum(dw, axis=1, keepdims=True)."}),
    Slip("logistic", "dw = (1 / m) * (X @ dZ.T).T", {"dw": "dw has shape (1, 3), and w (3, 1). Did you mean dw.T?"}),
    Slip("logistic", "db = (1 / m) * dZ", {"db": "db has shape (1, 5), and b (): it is not summed. Use np.sum(db)."}),
    Slip("logistic", "db = np.mean(dZ) / m", {"db": "times 1/m = 1/5: 1/m is in it once too often"}),
    Slip("logistic", "dA = -(Y / A - 1 / (1 - A))\ndZ = dA * A * (1 - A)",
         {"dw db": "with the factor (1 − Y) left out of dA"}),
    Slip("logistic", "dA = -(Y / A + (1 - Y) / (1 - A))\ndZ = dA * A * (1 - A)",
         {"dw db": "with the sign of the term 1/m · (1 − Y) / (1 − A) of dA turned"}),
    Slip("logistic", "dA = -Y / A\ndZ = dA * A * (1 - A)",
         {"dw db": "with the term 1/m · (1 − Y) / (1 − A) left out of dA"}),
    Slip("logistic", "dZ = A * (1 - Y)", {"dw db": "with the term −1/m · Y / A left out of dA"}),
    # two layers
    Slip("two", "dZ1 = dA1", {"dW1 db1": "with the factor (1 − A1²) left out of dZ1"}),
    Slip("two", "dZ1 = dA1 * (1 - A1**2)**2", {"dW1 db1": "with the factor (1 − A1²) applied twice in dZ1"}),
    Slip("two", "dZ1 = dA1 * (1 - A1)", {"dW1 db1": "with 1 − A1 in place of 1 − A1² in dZ1"}),
    Slip("two", "dZ1 = dA1 * (1 - Z1**2)", {"dW1 db1": "with Z1 in place of A1 in dZ1"}),
    Slip("two", "dZ1 = dA1 * A1 * (1 - A1)",
         {"dW1 db1": "with A1 ⊙ (1 − A1), the slope of sigmoid, in place of 1 − A1² in dZ1"}),
    Slip("two", "dZ1 = dA1 * (1 - np.tanh(A1)**2)",
         {"dW1 db1": "with the slope of tanh taken at A1 in place of Z1 in dZ1"}),
    Slip("two", "dZ1 = dA1 * (1 + A1**2)", {"dW1 db1": "with 1 + A1² in place of 1 − A1² in dZ1"}),
    Slip("two", "dZ1 = dA1 * (Z1 > 0)", {"dW1 db1": "with Z1 > 0, the slope of relu, in place of 1 − A1² in dZ1"}),
    Slip("two", "dW2 = dZ2 @ A1.T", {"dW2": "times m = 6: the factor 1/m is left out"}),
    Slip("two", "dW1 = dZ1 @ X.T", {"dW1": "times m = 6: the factor 1/m is left out"}),
    Slip("two", "dW2 = (1 / m) * dZ2 @ Z1.T", {"dW2": "with Z1 in place of A1"}),
    Slip("two", "dW1 = (1 / m) * dA1 @ X.T", {"dW1": "with dA1 in place of dZ1"}),
    Slip("two", "dW2 = (1 / m) * dA2 @ A1.T", {"dW2": "with dA2 in place of dZ2"}),
    Slip("two", "db1 = (1 / m) * dZ1",
         {"db1": "db1 has shape (4, 6), and b1 (4, 1): it is not summed over axis 1. Use "
          "np.sum(db1, axis=1, keepdims=True)."}),
    Slip("two", "db1 = (1 / m) * np.sum(dZ1, axis=1)",
         {"db1": "db1 has shape (4,), and b1 (4, 1). Use db1.reshape(4, 1), or keepdims=True in "
          "np.sum(..., axis=1)."}),
    Slip("two", "db1 = (1 / m) * np.sum(dZ1)",
         {"db1": "db1 has shape (), and b1 (4, 1): it is summed over all axes, without "
          "keepdims=True. Use np.sum(..., axis=1, keepdims=True)."}),
    Slip("two", "db1 = (1 / m) * np.sum(dZ1, axis=0, keepdims=True)",
         {"db1": "db1 has shape (1, 6), and b1 (4, 1): it is summed over axis 0. Use "
          "np.sum(..., axis=1, keepdims=True)."}),
    Slip("two", "db1 = (1 / m) * np.mean(dZ1, axis=1, keepdims=True)",
         {"db1": "times 1/m = 1/6: 1/m is in it once too often"}),
    Slip("two", "db1 = (1 / m) * dZ1[:, :1]", {"db1": "with the first entry of axis 1 in place of the sum over it"}),
    Slip("two", "dZ2 = dA2 * A2", {"dW1 db1 dW2 db2": "with the factor (1 − A2) left out of dZ2"}),
    Slip("two", "dZ2 = dA2", {"dW1 db1 dW2 db2": "with the factor (A2 ⊙ (1 − A2)) left out of dZ2"}),
    Slip("two", "dZ2 = dA2 * (1 - A2**2)",
         {"dW1 db1 dW2 db2": "with 1 − A2², the slope of tanh, in place of A2 ⊙ (1 − A2) in dZ2"}),
    Slip("two", "dA2 = -Y / A2 + 1 / (1 - A2)", {"dW1 db1 dW2 db2": "with the factor (1 − Y) left out of dA2"}),
    Slip("two", "dA2 = Y / A2 + (1 - Y) / (1 - A2)",
         {"dW1 db1 dW2 db2": "with the sign of the term −1/m · Y / A2 of dA2 turned"}),
    Slip("two", "dA1 = (W2 - 0.1 * dW2).T @ dZ2",
         {"dW1 db1": "with W2 already updated, W2 − 0.1 · dW2, in place of W2 in dA1: compute all "
          "gradients before any update"}),
    Slip("two", "dA1 = dW2.T @ dZ2", {"dW1 db1": "with dW2 in place of W2 in dA1"}),
    Slip("two", "dA1 = W2.T @ dA2", {"dW1 db1": "with dA2 in place of dZ2 in dA1"}),
    Slip("two", "dW1 = (1 / 4) * dZ1 @ X.T",
         {"dW1": "times m / 4 = 6/4: it is divided by 4, the size of axis 0 of W1, in place of m"}),
    Slip("two", "dW1 = (1 / (m - 1)) * dZ1 @ X.T",
         {"dW1": "times m / (m − 1) = 6/5: it is divided by m − 1 in place of m"}),
    Slip("two", "dZ1 = dA1 * (1 - A1**3)", {"dW1 db1": "with 1 − A1³ in place of 1 − A1² in dZ1"}),
    Slip("two", "dW1 = 0.01 * (1 / m) * dZ1 @ X.T", {"dW1": "times 0.01"}),
    Slip("two", "dW1 = -(1 / m) * dZ1 @ X.T", {"dW1": "with its sign turned"}),
    Slip("two", "dZ1 = dA1 / (1 - A1**2)", {"dW1 db1": "with dA1 / (1 − A1²) in place of dA1 ⊙ (1 − A1²) in dZ1"}),
    Slip("two", "dZ1 = dA1 + (1 - A1**2)", {"dW1 db1": "with dA1 + (1 − A1²) in place of dA1 ⊙ (1 − A1²) in dZ1"}),
    Slip("two", "dW1 = (1 / m**2) * dZ1 @ X.T", {"dW1": "times 1/m = 1/6: 1/m is in it once too often"}),
    Slip("two", "dZ1 = dA1 * np.cosh(Z1)**-2 * 2", {"dW1 db1": "with dZ1 multiplied by 2: a factor 2 is too much"}),
    Slip("two", "dZ2 = dA2 * Z2 * (1 - Z2)", {"dW1 db1 dW2 db2": "with Z2 in place of A2 in dZ2"}),
    Slip("two", "dZ2 = dA2 * A2 - A2**2",
         {"dW1 db1 dW2 db2": "with dA2 ⊙ A2 − A2² in place of dA2 ⊙ (A2 ⊙ (1 − A2)) in dZ2"}),
    # two layers, 4-4-4
    Slip("square", "dA1 = W2 @ dZ2", {"dW1 db1": "with W2 in place of W2ᵀ in dA1"}),
    Slip("square", "dA1 = W1.T @ dZ2", {"dW1 db1": "with W1 in place of W2 in dA1"}),
    Slip("square", "dA1 = W2.T * dZ2", {"dW1 db1": "with W2ᵀ ⊙ dZ2 in place of W2ᵀ @ dZ2 in dA1"}),
    Slip("square", "dW1 = (1 / m) * X @ dZ1.T", {"dW1": "with X @ dZ1ᵀ in place of dZ1 @ Xᵀ"}),
    Slip("square", "dW1 = (1 / m) * dZ1 @ X", {"dW1": "with X in place of Xᵀ"}),
    Slip("square", "dW1 = (1 / m) * dZ1 * X", {"dW1": "with dZ1 ⊙ X in place of dZ1 @ Xᵀ"}),
    Slip("square", "dW1 = (1 / m) * dZ2 @ X.T", {"dW1": "with dZ2 in place of dZ1"}),
    Slip("square", "dW1 = (1 / m) * dZ1 @ A1.T", {"dW1": "with A1 in place of X"}),
    Slip("square", "dW2 = (1 / m) * dZ2 @ X.T", {"dW2": "with X in place of A1"}),
    Slip("square", "db2 = (1 / m) * np.sum(dZ2, axis=0, keepdims=True).T",
         {"db2": "with the sum over axis 0 in place of axis 1"}),
    # four layers
    Slip("four", "dZ1 = W2.T @ dZ2", {"dW1 db1": "with the factor (Z1 > 0) left out of dZ1"}),
    Slip("four", "dZ1 = W2.T @ dZ2 * A1", {"dW1 db1": "with A1 in place of Z1 > 0 in dZ1"}),
    Slip("four", "dZ2 = W3.T @ dZ3", {"dW1 db1 dW2 db2": "with the factor (1 − A2²) left out of dZ2"}),
    Slip("four", "dZ2 = W3.T @ dZ3 * A2 * (1 - A2)",
         {"dW1 db1 dW2 db2": "with A2 ⊙ (1 − A2), the slope of sigmoid, in place of 1 − A2² in dZ2"}),
    Slip("four", "dZ3 = W4.T @ dZ4 * (Z3 > 0)",
         {"dW1 db1 dW2 db2 dW3 db3": "with Z3 > 0, the slope of relu, in place of where(Z3 > 0, 1, 0.01) in dZ3"}),
    Slip("four", "dZ3 = W4.T @ dZ4 * np.where(Z3 > 0, 0.01, 1)",
         {"dW1 db1 dW2 db2 dW3 db3": "with where(Z3 > 0, 0.01 · dA3, dA3) in place of where(Z3 > 0, dA3, 0.01 · "
          "dA3) in dZ3"}),
    Slip("four", "dZ4 = Y - A4", {"dW1 db1 dW2 db2 dW3 db3 dW4 db4": "with the sign of dZ4 turned"}),
    Slip("four", "dZ4 = (A4 - Y) / m",
         {"dW1 db1 dW2 db2 dW3 db3 dW4 db4": "with dZ4 multiplied by 1/m = 1/6: 1/m is in it once too often"}),
    Slip("four", "dZ2 = W3 @ dZ3 * (1 - A2**2)", {"dW1 db1 dW2 db2": "with W3 in place of W3ᵀ in dA2"}),
    Slip("four", "dW3 = (1 / m) * dZ3 @ Z2.T", {"dW3": "with Z2 in place of A2"}),
    Slip("four", "dW3 = (1 / m) * dZ3 @ A3.T", {"dW3": "with A3 in place of A2"}),
    Slip("four", "dW2 = (1 / m) * dZ3 @ A1.T", {"dW2": "with dZ3 in place of dZ2"}),
    Slip("four", "dZ3 = W4.T @ dZ4\ndZ2 = W3.T @ dZ3\ndZ1 = W2.T @ dZ2",
         {"dW1 db1": "with the factor 0.01 left out of dZ3 and with the factor (1 − A2²) left out "
          "of dZ2 and with the factor (Z1 > 0) left out of dZ1",
          "dW2 db2": "with the factor 0.01 left out of dZ3 and with the factor (1 − A2²) left out of dZ2",
          "dW3 db3": "with the factor 0.01 left out of dZ3"}),
    Slip("four", "db3 = np.sum(dZ3, axis=1, keepdims=True)\ndW2 = dZ2 @ A1.T\ndZ1 = W2.T @ dZ2",
         {"dW1 db1": "with the factor (Z1 > 0) left out of dZ1",
          "dW2 db3": "times m = 6: the factor 1/m is left out"}),
    Slip("four", "dZ1 = W2.T @ dZ3 * (Z1 > 0)", {"dW1 db1": "with dZ3 in place of dZ2 in dA1"}),
    # softmax
    Slip("softmax", "dZ2 = A2", {"dW1 db1 dW2 db2": "with A2 in place of A2 − Y in dZ2"}),
    Slip("softmax", "dZ2 = dA2 * A2 * (1 - A2)",
         {"dW1 db1 dW2 db2": "with A2 ⊙ (1 − A2), the slope of sigmoid, in place of the Jacobian of softmax "
          "in dZ2"}),
    Slip("softmax", "dZ2 = dA2", {"dW1 db1 dW2 db2": "with the Jacobian of softmax left out of dZ2"}),
    Slip("softmax", "dZ2 = Y - A2", {"dW1 db1 dW2 db2": "with the sign of dZ2 turned"}),
    Slip("softmax", "dZ2 = A2 + Y", {"dW1 db1 dW2 db2": "with A2 + Y in place of A2 − Y in dZ2"}),
    Slip("softmax", "dZ2 = Z2 - Y", {"dW1 db1 dW2 db2": "with Z2 − Y in place of A2 − Y in dZ2"}),
    Slip("softmax", "dZ2 = -Y * (1 - A2)",
         {"dW1 db1 dW2 db2": "with A2 ⊙ (1 − A2), the slope of sigmoid, in place of the Jacobian of softmax "
          "in dZ2"}),
    Slip("softmax", "dZ1 = W2.T @ dZ2 * (1 - A1**2)",
         {"dW1 db1": "with 1 − A1², the slope of tanh, in place of A1 ⊙ (1 − A1) in dZ1"}),
    Slip("softmax", "dZ1 = W2.T @ dZ2 * sigmoid(A1) * (1 - sigmoid(A1))",
         {"dW1 db1": "with the slope of sigmoid taken at A1 in place of Z1 in dZ1"}),
    Slip("softmax", "dZ1 = W2.T @ dZ2 * Z1 * (1 - Z1)", {"dW1 db1": "with Z1 in place of A1 in dZ1"}),
    Slip("softmax", "dZ1 = W2.T @ dZ2 * (1 - A1)", {"dW1 db1": "with the factor A1 left out of dZ1"}),
    Slip("softmax", "dZ1 = W2.T @ dZ2", {"dW1 db1": "with the factor (A1 ⊙ (1 − A1)) left out of dZ1"}),
    Slip("softmax", "dZ2 = np.exp(Z2) - Y", {"dW1 db1 dW2 db2": "with exp(Z2) − Y in place of A2 − Y in dZ2"}),
    Slip("softmax", "dZ2 = sigmoid(Z2) - Y", {"dW1 db1 dW2 db2": "with σ(Z2) − Y in place of A2 − Y in dZ2"}),
    Slip("softmax", "dZ2 = np.exp(Z2)/np.exp(Z2).sum(axis=1,keepdims=True) - Y",
         {"dW1 db1 dW2 db2": "with softmax(Z2, axis=1) − Y in place of A2 − Y in dZ2"}),
    Slip("softmax", "dZ2 = (A2 - Y) * A2 * (1 - A2)",
         {"dW1 db1 dW2 db2": "with the factor (A2 ⊙ (1 − A2)) too much in dZ2"}),
    # with an L2 term
    Slip("L2", "dW2 = (1 / m) * dZ2 @ A1.T", {"dW2": "without the term 0.14 · W2"}),
    Slip("L2", "dW2 = (1 / m) * dZ2 @ A1.T\ndW1 = (1 / m) * dZ1 @ X.T",
         {"dW1 dW2": "with the part of J that comes from Σ(W1²) + Σ(W2²) left out"}),
    Slip("L2", "dW2 = (1 / m) * dZ2 @ A1.T + lam * W2",
         {"dW2": "with the term 0.14 · W2 multiplied by m = 5: the factor 1/m is left out"}),
    Slip("L2", "dW1 = (1 / m) * dZ1 @ X.T + lam / (2 * m) * W1",
         {"dW1": "with the term 0.14 · W1 multiplied by ½: a factor 2 is left out"}),
    Slip("L2", "dW1 = (1 / m) * dZ1 @ X.T - lam / m * W1", {"dW1": "with the sign of the term 0.14 · W1 turned"}),
    Slip("L2", "db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True) + lam / m * b1",
         {"db1": "plus 0.14 · b1: an L2 term, as dW1 has it; J has none for b1"}),
    Slip("L2", "dW1 = (1 / m) * dZ1 @ X.T + lam / m * W1**2",
         {"dW1": "with the factor W1 applied twice in the term 0.14 · W1"}),
    Slip("L2", "dW1 = (1 / m) * dZ1 @ X.T + lam / m * np.sign(W1)",
         {"dW1": "with sign(W1) in place of W1 in the term 0.14 · W1"}),
    Slip("L2", "dW1 = (1 / m) * dZ1 @ X.T + lam / m * np.sum(W1**2)",
         {"dW1": "with Σ(W1²) in place of W1 in the term 0.14 · W1"}),
    # squared error
    Slip("MSE", "dZ = dA", {"dW db": "with the factor (A ⊙ (1 − A)) left out of dZ"}),
    Slip("MSE", "dA = Y - A", {"dW db": "with the sign of dZ turned"}),
    Slip("MSE", "dA = 2 * (A - Y)", {"dW db": "with dZ multiplied by 2: a factor 2 is too much"}),
    Slip("MSE", "dZ = dA * Z * (1 - Z)", {"dW db": "with Z in place of A in dZ"}),
    Slip("MSE", "dA = (A - Y)**2", {"dW db": "with the factor (A − Y) applied twice in dA"}),
    Slip("MSE", "dZ = dA * (1 - A**2)", {"dW db": "with 1 − A², the slope of tanh, in place of A ⊙ (1 − A) in dZ"}),
    Slip("MSE", "dA = A", {"dW db": "with A in place of A − Y in dA"}),
    Slip("MSE", "dA = Z - Y", {"dW db": "with Z − Y in place of A − Y in dA"}),
    Slip("MSE", "dA = A * Y", {"dW db": "with A ⊙ Y in place of A − Y in dA"}),
    Slip("MSE", "dA = -Y / A + (1 - Y) / (1 - A)", {"dW db": "with the factor (A ⊙ (1 − A)) left out of dZ"}),
    Slip("MSE", "dA = np.abs(A - Y)", {"dW db": "with |A − Y| in place of A − Y in dA"}),
]

# beyond a search for one altered step: precedence lost, and one number for a whole matrix
MISSED = ("dZ2 = dA2 * A2 - A2**2", "dW1 = (1 / m) * dZ1 @ X.T + lam / m * np.sum(W1**2)")


def table() -> str:
    """The table of the page on `compare`."""
    lines = ["| network | the line as written | gradients | what `compare` says they equal |", "|---|---|---|---|"]
    for slip in SLIPS:
        wrong = slip.wrong.replace("\n", "; ").replace("|", "\\|")
        for i, (names, said) in enumerate(slip.said.items()):
            said = said.replace("|", "\\|")
            said = f"*(not found)* {said}" if slip.wrong in MISSED else said
            first = f"{NETWORKS[slip.network].title} | `{wrong}`" if not i else " |"
            lines.append(f"| {first} | {names} | {said} |")
    return "\n".join(lines)


def hit_rate() -> str:
    """How many are found, in words."""
    hits = len(SLIPS) - len(MISSED)
    return f"{hits} of {len(SLIPS)}, {hits / len(SLIPS):.1%}"


if __name__ == "__main__":
    print(table(), hit_rate(), sep="\n\n")
