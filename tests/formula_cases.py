"""Functions whose gradients are written out as formulas: those of the notes, and others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinygrad_edu as tg


def _numbers(*shapes: Any, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) if shape != () else float(rng.normal()) for shape in shapes]


def _labels(shape: tuple[int, ...]) -> Any:
    return (np.random.default_rng(1).random(shape) > 0.5).astype(float)


def _one_hot(classes: int, m: int) -> Any:
    return np.eye(classes)[:, np.random.default_rng(2).integers(0, classes, m)]


@dataclass(frozen=True)
class Case:
    """A function, its arguments, and what to differentiate by."""

    function: Callable[..., Any]
    arguments: list[Any]
    wrt: Any = None
    options: dict[str, Any] = field(default_factory=dict)


# ---------------------------------------------------------------- of the notes


def computation_graph(a: Any, b: Any, c: Any) -> Any:
    u = b * c
    v = a + u
    J = 3 * v
    return J


def logistic_example(w: Any, b: Any, x: Any, y: Any) -> Any:
    z = w @ x + b
    a = tg.sigmoid(z)
    L = -(y * np.log(a) + (1 - y) * np.log(1 - a))
    return L


def logistic_two_inputs(w1: Any, x1: Any, w2: Any, x2: Any, b: Any, y: Any) -> Any:
    z = w1 * x1 + w2 * x2 + b
    a = tg.sigmoid(z)
    L = -(y * np.log(a) + (1 - y) * np.log(1 - a))
    return L


def logistic_mean(w: Any, b: Any, X: Any, Y: Any) -> Any:
    Z = np.dot(w.T, X) + b
    A = tg.sigmoid(Z)
    J = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    return J


def logistic_sum(w: Any, b: Any, X: Any, Y: Any) -> Any:
    m = X.shape[1]
    Z = np.dot(w.T, X) + b
    A = 1 / (1 + np.exp(-Z))
    cost = -1 / m * np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    return cost


def logistic_dot(w: Any, b: Any, X: Any, Y: Any) -> Any:
    m = X.shape[1]
    Z = np.dot(w.T, X) + b
    A = tg.sigmoid(Z)
    cost = -(np.dot(Y, np.log(A).T) + np.dot(1 - Y, np.log(1 - A).T)) / m
    return np.squeeze(cost)


def _cross_entropy(A: Any, Y: Any) -> Any:
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def two_layers(activation: Callable[[Any], Any]) -> Callable[..., Any]:
    def cost(W1: Any, b1: Any, W2: Any, b2: Any, X: Any, Y: Any) -> Any:
        Z1 = W1 @ X + b1
        A1 = activation(Z1)
        Z2 = W2 @ A1 + b2
        A2 = tg.sigmoid(Z2)
        return _cross_entropy(A2, Y)

    return cost


def layers(parameters: dict[str, Any], X: Any, Y: Any) -> Any:
    A, L = X, len(parameters) // 2
    for layer in range(1, L + 1):
        Z = parameters[f"W{layer}"] @ A + parameters[f"b{layer}"]
        A = np.tanh(Z) if layer < L else tg.sigmoid(Z)
    return tg.binary_cross_entropy(A, Y)


def softmax_likelihood(W: Any, b: Any, X: Any, Y: Any) -> Any:
    Z = W @ X + b
    A = tg.softmax(Z, axis=0)
    return -np.mean(np.sum(Y * np.log(A), axis=0))


def softmax_layers(W1: Any, b1: Any, W2: Any, b2: Any, X: Any, Y: Any) -> Any:
    m = X.shape[1]
    Z1 = W1 @ X + b1
    A1 = tg.relu(Z1)
    Z2 = W2 @ A1 + b2
    A2 = tg.softmax(Z2, axis=0)
    return -1 / m * np.sum(Y * np.log(A2))


def with_penalty(W1: Any, b1: Any, W2: Any, b2: Any, X: Any, Y: Any, λ: Any) -> Any:
    m = X.shape[1]
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = tg.sigmoid(Z2)
    return _cross_entropy(A2, Y) + λ / (2 * m) * (np.sum(W1**2) + np.sum(W2**2))


def squared_error(W1: Any, b1: Any, W2: Any, b2: Any, X: Any, Y: Any) -> Any:
    m = X.shape[1]
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = tg.sigmoid(Z2)
    return 1 / (2 * m) * np.sum((A2 - Y) ** 2)


def bilinear(y: Any, A: Any, x: Any) -> Any:
    α = y @ A @ x
    return α


def bilinear_columns(y: Any, A: Any, x: Any) -> Any:
    α = y.T @ A @ x
    return α


def quadratic(x: Any, A: Any) -> Any:
    α = x @ A @ x
    return α


def quadratic_columns(x: Any, A: Any) -> Any:
    α = x.T @ A @ x
    return α


# ---------------------------------------------------------------- others


def batch_normalisation(X: Any, gamma: Any, beta: Any, T: Any) -> Any:
    mu = np.mean(X, axis=0)
    var = np.mean((X - mu) ** 2, axis=0)
    Xhat = (X - mu) / np.sqrt(var + 1e-5)
    out = gamma * Xhat + beta
    return np.sum((out - T) ** 2) / 2


def layer_normalisation(x: Any, gamma: Any, beta: Any, T: Any) -> Any:
    mu = np.mean(x, axis=1, keepdims=True)
    sigma = np.sqrt(np.mean((x - mu) ** 2, axis=1, keepdims=True) + 1e-5)
    xhat = (x - mu) / sigma
    out = gamma * xhat + beta
    return np.sum((out - T) ** 2) / 2


def attention(Q: Any, K: Any, V: Any, T: Any) -> Any:
    d = Q.shape[1]
    S = Q @ K.T / np.sqrt(d)
    P = tg.softmax(S, axis=1)
    out = P @ V
    return np.sum((out - T) ** 2) / 2


def rnn_step(Wh: Any, Wx: Any, b: Any, h: Any, x: Any, t: Any) -> Any:
    z = Wh @ h + Wx @ x + b
    h_next = np.tanh(z)
    return np.sum((h_next - t) ** 2) / 2


def lstm_cell(Wf: Any, Wi: Any, Wg: Any, Wo: Any, x: Any, c: Any, t: Any) -> Any:
    f = tg.sigmoid(Wf @ x)
    i = tg.sigmoid(Wi @ x)
    g = np.tanh(Wg @ x)
    o = tg.sigmoid(Wo @ x)
    c_next = f * c + i * g
    h = o * np.tanh(c_next)
    return np.sum((h - t) ** 2) / 2


def gaussian_likelihood(mu: Any, s: Any, y: Any) -> Any:
    return np.mean(0.5 * np.log(2 * np.pi * s) + (y - mu) ** 2 / (2 * s))


def rosenbrock(x: Any, y: Any) -> Any:
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def convolution(x: Any, k: Any, t: Any) -> Any:
    windows = tg.sliding_window_view(x, 3)
    y = windows @ k
    return np.sum((y - t) ** 2) / 2


def cosine_similarity(u: Any, v: Any) -> Any:
    return (u @ v) / (np.sqrt(u @ u) * np.sqrt(v @ v))


def triplet_loss(anchor: Any, same: Any, other: Any) -> Any:
    near = np.sum((anchor - same) ** 2)
    far = np.sum((anchor - other) ** 2)
    return np.maximum(near - far + 1.0, 0)


def linear_regression(w: Any, b: Any, X: Any, y: Any) -> Any:
    e = X @ w + b - y
    return np.mean(e**2)


def ridge(w: Any, X: Any, y: Any) -> Any:
    return np.sum((X @ w - y) ** 2) + 0.1 * np.sum(w**2)


def classes_in_rows(W: Any, b: Any, X: Any, y: Any) -> Any:
    Z = X @ W.T + b
    return tg.cross_entropy(Z, y)


def absolute_error(w: Any, X: Any, y: Any) -> Any:
    return np.mean(np.abs(X @ w - y))


def largest_entries(X: Any) -> Any:
    M = np.max(X, axis=1)
    return np.sum(M * M) / 2


def contraction(A: Any, B: Any) -> Any:
    C = np.einsum("ij,jk->ik", A, B)
    return np.sum(C * C) / 2


_X, _Y = _numbers((3, 7))[0], _labels((1, 7))
_NET = _numbers((4, 3), (4, 1), (1, 4), (1, 1), seed=3)
_WEIGHTS = ("W1", "b1", "W2", "b2")
_DEEP = dict(zip([f"{k}{i}" for i in range(1, 5) for k in "Wb"],
                 map(tg.Tensor, _numbers(*[s for n, p in ((5, 3), (4, 5), (2, 4), (1, 2)) for s in ((n, p), (n, 1))])),
                 strict=True))

CASES: dict[str, Case] = {
    "computation_graph": Case(computation_graph, [5, 3, 2]),
    "computation_graph_inline": Case(computation_graph, [5, 3, 2], None, {"inline": True}),
    "logistic_example": Case(logistic_example, [*_numbers((2,), ()), *_numbers((2,), seed=4), 1.0], ("w", "b")),
    "logistic_two_inputs": Case(logistic_two_inputs, [*_numbers(*[()] * 5), 0.0], ("w1", "w2", "b")),
    "logistic_mean": Case(logistic_mean, [*_numbers((3, 1), ()), _X, _Y], ("w", "b")),
    "logistic_sum": Case(logistic_sum, [*_numbers((3, 1), ()), _X, _Y], ("w", "b")),
    "logistic_dot": Case(logistic_dot, [*_numbers((3, 1), ()), _X, _Y], ("w", "b")),
    "two_layers_tanh": Case(two_layers(np.tanh), [*_NET, _X, _Y], _WEIGHTS),
    "two_layers_sigmoid": Case(two_layers(tg.sigmoid), [*_NET, _X, _Y], _WEIGHTS),
    "two_layers_relu": Case(two_layers(tg.relu), [*_NET, _X, _Y], _WEIGHTS),
    "two_layers_leaky_relu": Case(two_layers(tg.leaky_relu), [*_NET, _X, _Y], _WEIGHTS),
    "four_layers": Case(layers, [_DEEP, _X, _Y]),
    "softmax_likelihood": Case(softmax_likelihood, [*_numbers((4, 3), (4, 1)), _X, _one_hot(4, 7)], ("W", "b")),
    "softmax_layers": Case(softmax_layers, [*_numbers((4, 3), (4, 1), (5, 4), (5, 1)), _X, _one_hot(5, 7)], _WEIGHTS),
    "with_penalty": Case(with_penalty, [*_NET, _X, _Y, 0.7], _WEIGHTS),
    "squared_error": Case(squared_error, [*_NET, _X, _Y], _WEIGHTS),
    "bilinear": Case(bilinear, _numbers((3,), (3, 4), (4,))),
    "bilinear_columns": Case(bilinear_columns, _numbers((3, 1), (3, 4), (4, 1))),
    "quadratic": Case(quadratic, _numbers((3,), (3, 3))),
    "quadratic_columns": Case(quadratic_columns, _numbers((3, 1), (3, 3))),
    "batch_normalisation": Case(batch_normalisation, _numbers((5, 3), (3,), (3,), (5, 3)), ("X", "gamma", "beta")),
    "layer_normalisation": Case(layer_normalisation, _numbers((5, 3), (3,), (3,), (5, 3)), ("x", "gamma", "beta")),
    "attention": Case(attention, _numbers((4, 3), (5, 3), (5, 2), (4, 2)), ("Q", "K", "V")),
    "rnn_step": Case(rnn_step, _numbers((3, 3), (3, 2), (3, 1), (3, 1), (2, 1), (3, 1)), ("Wh", "Wx", "b", "h")),
    "lstm_cell": Case(lstm_cell, _numbers(*[(3, 2)] * 4, (2,), (3,), (3,)), ("Wf", "Wi", "Wg", "Wo", "x", "c")),
    "gaussian_likelihood": Case(gaussian_likelihood, [_numbers((6,))[0], np.linspace(0.5, 2, 6), _numbers((6,), seed=5)[0]],
                                ("mu", "s")),
    "rosenbrock": Case(rosenbrock, [0.7, -0.3]),
    "convolution": Case(convolution, _numbers((8,), (3,), (6,)), ("x", "k")),
    "cosine_similarity": Case(cosine_similarity, _numbers((4,), (4,))),
    "triplet_loss": Case(triplet_loss, [np.ones(3), np.zeros(3), np.array([1.0, 0.5, 1.0])]),
    "linear_regression": Case(linear_regression, _numbers((3,), (), (6, 3), (6,)), ("w", "b")),
    "ridge": Case(ridge, _numbers((3,), (6, 3), (6,)), "w"),
    "classes_in_rows": Case(classes_in_rows, [*_numbers((4, 3), (4,), (7, 3)), np.array([0, 3, 1, 1, 2, 0, 3])], ("W", "b")),
    "absolute_error": Case(absolute_error, _numbers((3,), (6, 3), (6,)), "w"),
    "largest_entries": Case(largest_entries, _numbers((3, 4))),
    "contraction": Case(contraction, _numbers((3, 4), (4, 2))),
}
