"""The forward passes of the further workloads, for every engine that records ordinary array code: see forward.py."""

from __future__ import annotations

import math
from typing import Any

from .more_data import Data


def attention_block(e: Any, d: Data, Wq: Any, Wk: Any, Wv: Any, Wo: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    """Squared error of self-attention with heads and a ReLU layer, each added to what it reads."""
    m, steps, n = d.X.shape
    size = n // d.heads

    def heads(x: Any) -> Any:
        return e.transpose(x.reshape((m, steps, d.heads, size)), (0, 2, 1, 3))

    Q, K, V = heads(d.X @ Wq), heads(d.X @ Wk), heads(d.X @ Wv)
    P = e.softmax(Q @ e.transpose(K, (0, 1, 3, 2)) * size**-0.5)
    H = d.X + e.transpose(P @ V, (0, 2, 1, 3)).reshape((m, steps, n)) @ Wo
    out = H + e.relu(H @ W1 + b1) @ W2 + b2
    return e.sum((out - d.Y) ** 2) / (m * steps)


def batch_norm_network(e: Any, d: Data, *params: Any) -> Any:
    """Softmax cross-entropy of a ReLU network, every hidden product normalised over the examples."""
    A, m = d.X, len(d.X)
    for k in range(0, len(params) - 2, 3):
        W, scale, shift = params[k : k + 3]
        Z = A @ W
        Z = Z - e.sum(Z, axis=0) / m
        A = e.relu(Z / e.sqrt(e.sum(Z**2, axis=0) / m + 1e-5) * scale + shift)
    return e.cross_entropy(A @ params[-2] + params[-1], d.y)


def gru(e: Any, d: Data, Ur: Any, Wr: Any, br: Any, Uz: Any, Wz: Any, bz: Any, Un: Any, Wn: Any, bn: Any, Wo: Any, bo: Any
        ) -> Any:
    """Mean squared error of what is read out at every step."""
    h, J = e.zeros((d.m, d.hidden), d.X), 0.0
    for t in range(len(d.X)):
        x = d.X[t]
        r = e.sigmoid(x @ Ur + h @ Wr + br)
        z = e.sigmoid(x @ Uz + h @ Wz + bz)
        n = e.tanh(x @ Un + (r * h) @ Wn + bn)
        h = (1 - z) * n + z * h
        J = J + e.sum((h @ Wo + bo - d.Y[t]) ** 2)
    return J / (len(d.X) * d.m)


def gaussian_mixture(e: Any, d: Data, logits: Any, means: Any, logs: Any) -> Any:
    """Minus the mean log-likelihood of a mixture of Gaussians with axes of their own."""
    Z = (d.X[:, None, :] - means) * e.exp(-logs)
    inside = -0.5 * e.sum(Z**2, axis=2) - e.sum(logs, axis=1) - 0.5 * means.shape[1] * math.log(2 * math.pi)
    return -e.sum(e.logsumexp(inside + (logits - e.logsumexp(logits)))) / len(d.X)


def logistic_rows(e: Any, d: Data, w: Any, b: Any) -> Any:
    """Cost of σ(Xw + b), plus weight decay."""
    return e.binary_cross_entropy(d.X @ w + b, d.y) + d.decay / 2 * e.squared_norm(w)


def tanh_network(e: Any, d: Data, *params: Any) -> Any:
    """Mean squared error of layers of tanh, examples in columns."""
    A = d.X
    for k in range(0, len(params) - 2, 2):
        A = e.tanh(params[k] @ A + params[k + 1])
    return e.sum((params[-2] @ A + params[-1] - d.Y) ** 2) / d.Y.shape[1]


def autoencoder(e: Any, d: Data, *params: Any) -> Any:
    """Mean squared error of the input rebuilt by sigmoid layers."""
    A = d.X
    for k in range(0, len(params), 2):
        A = e.sigmoid(A @ params[k] + params[k + 1])
    return e.sum((A - d.X) ** 2) / len(d.X)


def factorisation(e: Any, d: Data, U: Any, V: Any, b: Any, c: Any) -> Any:
    """Mean squared error of ratings told from factors of users and items, plus weight decay."""
    error = e.sum(U[d.users] * V[d.items], axis=1) + b[d.users] + c[d.items] - d.y
    return e.sum(error**2) / len(d.y) + d.decay / 2 * (e.squared_norm(U) + e.squared_norm(V))


def adam_step(e: Any, d: Data, W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    """Softmax cross-entropy of a tanh network."""
    return e.cross_entropy(e.tanh(d.X @ W1 + b1) @ W2 + b2, d.y)


def bodies(e: Any, d: Data, x: Any) -> Any:
    """The energy of masses that attract each other, a little blunted where they meet."""
    apart = x[:, None] - x[None]
    squares = e.sum(apart * apart, axis=2) + 0.01
    return -0.5 * e.sum(d.X[:, None] * d.X / e.sqrt(squares))
