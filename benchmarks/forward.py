"""The forward passes, written once for every engine that records ordinary array code.

`e` is the engine: it lends the functions whose names or forms differ (`e.tanh`, `e.relu`, ...). Operators, slices,
`.T` and `.reshape` are the same everywhere.
"""

from __future__ import annotations

from typing import Any

from .workloads import Data


def logistic_regression(e: Any, d: Data, w: Any, b: Any) -> Any:
    """Cost of A = σ(wᵀ X + b), from the values before σ."""
    return e.binary_cross_entropy(w.T @ d.X + b, d.Y)


def shallow_network(e: Any, d: Data, W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    """Cost of A2 = σ(W2 tanh(W1 X + b1) + b2)."""
    return e.binary_cross_entropy(W2 @ e.tanh(W1 @ d.X + b1) + b2, d.Y)


def deep_network(e: Any, d: Data, *params: Any) -> Any:
    """Cost of ReLU layers with one sigmoid at the end, examples in columns."""
    A = d.X
    for k in range(0, len(params) - 2, 2):
        A = e.relu(params[k] @ A + params[k + 1])
    return e.binary_cross_entropy(params[-2] @ A + params[-1], d.Y)


def minibatch_network(e: Any, d: Data, *params: Any) -> Any:
    """Softmax cross-entropy of ReLU layers, examples in rows, plus weight decay."""
    A, squares = d.X, 0.0
    for k in range(0, len(params), 2):
        Z = A @ params[k] + params[k + 1]
        A = e.relu(Z)
        squares = squares + e.squared_norm(params[k])
    return e.cross_entropy(Z, d.y) + d.decay / 2 * squares


def elementwise_chain(e: Any, d: Data, x: Any, a: Any, b: Any) -> Any:
    """The sum of gelu(a x + b) σ(x) + softplus(x), gelu in its tanh form."""
    return e.sum(e.gelu(x * a + b) * e.sigmoid(x) + e.softplus(x))


def convolutional_network(e: Any, d: Data, W1: Any, b1: Any, W2: Any, b2: Any, W3: Any, b3: Any) -> Any:
    """Two blocks of convolution, max pooling and ReLU, then a linear layer."""
    h = e.convolution_block(e.convolution_block(d.X, W1, b1), W2, b2)
    return e.cross_entropy(h.reshape(len(d.X), -1) @ W3 + b3, d.y)


def scalar_chain(e: Any, d: Data, a: Any, b: Any) -> Any:
    """The last link of y <- a sin(y) + b."""
    y = e.number(d.start)
    for _ in range(d.links):
        y = e.sin(y) * a + b
    return y


def lstm(e: Any, d: Data, Wx: Any, Wh: Any, b: Any) -> Any:
    """The squared last state, from primitives."""
    n = d.hidden
    h = c = e.zeros((d.m, n), d.X)
    WhT = Wh.T
    inputs = d.X @ Wx.T + b  # of all steps in one product: it does not wait for the state
    for t in range(len(d.X)):
        z = inputs[t] + h @ WhT
        c = e.sigmoid(z[:, n : 2 * n]) * c + e.sigmoid(z[:, :n]) * e.tanh(z[:, 2 * n : 3 * n])
        h = e.sigmoid(z[:, 3 * n :]) * e.tanh(c)
    return e.sum(h**2)


def scalar_network(e: Any, d: Data, *leaves: Any) -> Any:
    """Hinge loss with weight decay, every weight a number of its own; leaves in the order of d.params."""
    rest, layers = iter(leaves), []
    for W in d.params[0::2]:
        rows = [[next(rest) for _ in range(W.shape[1])] for _ in range(W.shape[0])]
        layers.append((rows, [next(rest) for _ in range(W.shape[0])]))
    last = len(layers) - 1
    relu = e.scalar_relu
    losses = []
    for x, target in zip(d.X, d.y, strict=True):
        a = x
        for k, (rows, biases) in enumerate(layers):
            a = [sum([w * v for w, v in zip(row, a, strict=True)], b) for row, b in zip(rows, biases, strict=True)]
            if k < last:
                a = [relu(v) for v in a]
        losses.append(relu(1 + -target * a[0]))
    return sum(losses) * (1.0 / len(losses)) + d.decay * sum([w * w for w in leaves])
