"""Backprop written by hand in NumPy, as a lecture shows it: the reference for speed and for numbers.

The networks of single numbers (W1, W8) are plain Python floats: an array would only slow them down.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..workloads import Data
from . import more_by_hand as more
from .base import STEPS, Case, Engine
from .formulas import sigmoid, softmax_cost

Costs = Callable[..., tuple[Any, list[Any]]]  # (data, *params) -> cost, gradients


def logistic_regression(d: Data, w: Any, b: Any) -> tuple[Any, list[Any]]:
    m = d.X.shape[1]
    A = sigmoid(w.T @ d.X + b)
    J = -np.sum(d.Y * np.log(A) + (1 - d.Y) * np.log(1 - A)) / m
    dZ = A - d.Y
    return J, [d.X @ dZ.T / m, np.sum(dZ, axis=1, keepdims=True) / m]


def shallow_network(d: Data, W1: Any, b1: Any, W2: Any, b2: Any) -> tuple[Any, list[Any]]:
    m = d.X.shape[1]
    A1 = np.tanh(W1 @ d.X + b1)
    A2 = sigmoid(W2 @ A1 + b2)
    J = -np.sum(d.Y * np.log(A2) + (1 - d.Y) * np.log(1 - A2)) / m
    dZ2 = A2 - d.Y
    dZ1 = W2.T @ dZ2 * (1 - A1**2)
    return J, [dZ1 @ d.X.T / m, np.sum(dZ1, axis=1, keepdims=True) / m,
               dZ2 @ A1.T / m, np.sum(dZ2, axis=1, keepdims=True) / m]


def deep_network(d: Data, *params: Any) -> tuple[Any, list[Any]]:
    m, layers = d.X.shape[1], len(params) // 2
    caches = [d.X]
    for k in range(layers):
        Z = params[2 * k] @ caches[-1] + params[2 * k + 1]
        caches.append(np.maximum(Z, 0) if k < layers - 1 else sigmoid(Z))
    A = caches[-1]
    J = -np.sum(d.Y * np.log(A) + (1 - d.Y) * np.log(1 - A)) / m
    gradients: list[Any] = []
    dZ = A - d.Y
    for k in range(layers - 1, -1, -1):
        gradients = [dZ @ caches[k].T / m, np.sum(dZ, axis=1, keepdims=True) / m, *gradients]
        if k:
            dZ = params[2 * k].T @ dZ * (caches[k] > 0)
    return J, gradients


def minibatch_network(d: Data, *params: Any) -> tuple[Any, list[Any]]:
    layers = len(params) // 2
    caches = [d.X]
    for k in range(layers):
        Z = caches[-1] @ params[2 * k] + params[2 * k + 1]
        caches.append(np.maximum(Z, 0))
    J, dZ = softmax_cost(Z, d.y)
    J = J + d.decay / 2 * sum(np.sum(W**2) for W in params[0::2])
    gradients: list[Any] = []
    for k in range(layers - 1, -1, -1):
        W = params[2 * k]
        gradients = [caches[k].T @ dZ + d.decay * W, dZ.sum(axis=0), *gradients]
        if k:
            dZ = dZ @ W.T * (caches[k] > 0)
    return J, gradients


def elementwise_chain(d: Data, x: Any, a: Any, b: Any) -> tuple[Any, list[Any]]:
    c, k = math.sqrt(2 / math.pi), 0.044715
    u = x * a + b
    t = np.tanh(c * (u + k * u * u * u))
    gelu, s = 0.5 * u * (1 + t), sigmoid(x)
    J = np.sum(gelu * s + np.log1p(np.exp(x)))
    du = s * (0.5 * (1 + t) + 0.5 * u * (1 - t * t) * c * (1 + 3 * k * u * u))
    return J, [du * a + gelu * s * (1 - s) + s, du * x, du]


def windows(x: Any, k: int) -> Any:
    """Every k x k window of images (m, channels, h, w), one per row."""
    m, channels, h, w = x.shape
    view = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
    return view.reshape(m * (h - k + 1) * (w - k + 1), channels * k * k)


def add_windows(rows: Any, shape: tuple[int, ...], k: int) -> Any:
    """The derivative of `windows`: each pixel collects from the windows it is in."""
    m, channels, h, w = shape
    parts = rows.reshape(m, h - k + 1, w - k + 1, channels, k, k)
    x = np.zeros(shape, rows.dtype)
    for i in range(k):
        for j in range(k):
            x[:, :, i : i + h - k + 1, j : j + w - k + 1] += parts[..., i, j].transpose(0, 3, 1, 2)
    return x


def block_forward(x: Any, W: Any, b: Any) -> tuple[Any, tuple[Any, ...]]:
    """Convolution, ReLU, max pooling by 2; the result and what backward needs."""
    m, filters, k = len(x), len(W), W.shape[-1]
    side = x.shape[2] - k + 1
    rows = windows(x, k)
    Z = (rows @ W.reshape(filters, -1).T + b).reshape(m, side, side, filters).transpose(0, 3, 1, 2)
    A = np.maximum(Z, 0)
    quads = A.reshape(m, filters, side // 2, 2, side // 2, 2)
    top = quads.max(axis=(3, 5), keepdims=True)
    return top[:, :, :, 0, :, 0], (rows, A, quads == top)


def block_backward(g: Any, cache: tuple[Any, ...], W: Any) -> tuple[Any, Any, Any]:
    """The derivatives by the filters, the biases, and the rows of windows."""
    rows, A, hit = cache
    dA = (g[:, :, :, None, :, None] * hit).reshape(A.shape)
    dZ = (dA * (A > 0)).transpose(0, 2, 3, 1).reshape(-1, len(W))
    return (dZ.T @ rows).reshape(W.shape), dZ.sum(axis=0), dZ @ W.reshape(len(W), -1)


def convolutional_network(d: Data, W1: Any, b1: Any, W2: Any, b2: Any, W3: Any, b3: Any) -> tuple[Any, list[Any]]:
    P1, cache1 = block_forward(d.X, W1, b1)
    P2, cache2 = block_forward(P1, W2, b2)
    flat = P2.reshape(len(d.X), -1)
    J, dZ3 = softmax_cost(flat @ W3 + b3, d.y)
    dW2, db2, drows = block_backward((dZ3 @ W3.T).reshape(P2.shape), cache2, W2)
    dW1, db1, _ = block_backward(add_windows(drows, P1.shape, 5), cache1, W1)
    return J, [dW1, db1, dW2, db2, flat.T @ dZ3, dZ3.sum(axis=0)]


def lstm(d: Data, Wx: Any, Wh: Any, b: Any) -> tuple[Any, list[Any]]:
    n = d.hidden
    h = c = np.zeros((d.m, n), Wx.dtype)
    caches = []
    for x in d.X:
        z = x @ Wx.T + h @ Wh.T + b
        i, f, o = sigmoid(z[:, :n]), sigmoid(z[:, n : 2 * n]), sigmoid(z[:, 3 * n :])
        g = np.tanh(z[:, 2 * n : 3 * n])
        c_next = f * c + i * g
        t = np.tanh(c_next)
        caches.append((x, h, c, i, f, g, o, t))
        h, c = o * t, c_next
    J = np.sum(h**2)
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dh, dc = 2 * h, np.zeros_like(c)
    for x, h, c, i, f, g, o, t in reversed(caches):
        dc = dc + dh * o * (1 - t**2)
        dz = np.concatenate([dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * t * o * (1 - o)], 1)
        dWx += dz.T @ x
        dWh += dz.T @ h
        db += dz.sum(axis=0)
        dh, dc = dz @ Wh, dc * f
    return J, [dWx, dWh, db]


def scalar_chain(d: Data, a: float, b: float) -> tuple[float, list[float]]:
    y, before = d.start, []
    for _ in range(d.links):
        before.append(y)
        y = math.sin(y) * a + b
    g, da, db = 1.0, 0.0, 0.0
    for v in reversed(before):
        da += g * math.sin(v)
        db += g
        g *= a * math.cos(v)
    return y, [da, db]


def scalar_network(d: Data, params: list[Any]) -> tuple[float, list[Any]]:
    """One example at a time, one number at a time."""
    weights, biases, m = params[0::2], params[1::2], len(d.X)
    last = len(weights) - 1
    dW = [[[2 * d.decay * w for w in row] for row in W] for W in weights]
    db = [[2 * d.decay * v for v in b] for b in biases]
    J = d.decay * (sum(w * w for W in weights for row in W for w in row) + sum(v * v for b in biases for v in b))
    for x, target in zip(d.X, d.y, strict=True):
        caches = [x]
        for k, (W, b) in enumerate(zip(weights, biases, strict=True)):
            a = caches[-1]
            z = [sum([w * v for w, v in zip(row, a, strict=True)], shift) for row, shift in zip(W, b, strict=True)]
            caches.append([v if v > 0 else 0.0 for v in z] if k < last else z)
        margin = 1 - target * caches[-1][0]
        if margin <= 0:
            continue
        J += margin / m
        dz = [-target / m]
        for k in range(last, -1, -1):
            a, W = caches[k], weights[k]
            for j, g in enumerate(dz):
                db[k][j] += g
                row = dW[k][j]
                for i, v in enumerate(a):
                    row[i] += g * v
            if k:
                dz = [sum([W[j][i] * g for j, g in enumerate(dz)]) if v > 0 else 0.0 for i, v in enumerate(a)]
    return J, [g for pair in zip(dW, db, strict=True) for g in pair]


def hessian_vector_product(d: Data, W1: Any, b1: Any, W2: Any, b2: Any) -> list[Any]:
    """Pearlmutter's method (1994): the derivative, in the direction, of every line of backprop."""
    V1, c1, V2, c2 = d.direction
    m, rows = len(d.y), np.arange(len(d.y))
    Z1 = d.X @ W1 + b1
    on = Z1 > 0
    A1 = Z1 * on
    Z2 = A1 @ W2 + b2
    E = np.exp(Z2 - Z2.max(axis=1, keepdims=True))
    P = E / E.sum(axis=1, keepdims=True)
    dZ2 = P.copy()
    dZ2[rows, d.y] -= 1
    dZ2 /= m
    RA1 = (d.X @ V1 + c1) * on
    RZ2 = RA1 @ W2 + A1 @ V2 + c2
    RdZ2 = P * (RZ2 - np.sum(P * RZ2, axis=1, keepdims=True)) / m
    RdZ1 = (RdZ2 @ W2.T + dZ2 @ V2.T) * on
    return [d.X.T @ RdZ1 + d.decay * V1, RdZ1.sum(axis=0), A1.T @ RdZ2 + RA1.T @ dZ2 + d.decay * V2, RdZ2.sum(axis=0)]


def hessian(d: Data, w: Any) -> list[Any]:
    A = sigmoid(d.X @ w)
    return [(d.X * (A * (1 - A) / len(d.X))[:, None]).T @ d.X]


class ByHand(Engine):
    """NumPy and pencil."""

    title = "NumPy by hand"
    version = np.__version__

    def build(self, workload: str, d: Data) -> Case:
        if workload in _TRAINING:
            return self._train(_TRAINING[workload], d)
        run = self._other(workload, d)
        return Case(run, lambda: [np.asarray(x) for x in run()])

    def _train(self, costs: Costs, d: Data) -> Case:
        params = [p.copy() for p in d.params]
        update = self.updater(params, d)

        def step() -> None:
            _, gradients = costs(d, *params)
            update(gradients)

        def outcome() -> list[Any]:
            J, gradients = costs(d, *params)
            for _ in range(STEPS):
                step()
            return [J, *gradients, *[p.copy() for p in params]]

        return Case(step, outcome)

    def _other(self, workload: str, d: Data) -> Callable[[], Sequence[Any]]:
        if workload == "W1":
            d.X, d.y = d.X.tolist(), d.y.tolist()
            params = [p.tolist() for p in d.params]
            return lambda: _joined(scalar_network(d, params))
        if workload == "W8":
            a, b = (float(p) for p in d.params)
            return lambda: _joined(scalar_chain(d, a, b))
        if workload in _GRADIENT:
            return lambda: _joined(_GRADIENT[workload](d, *d.params))
        if workload == "W11":
            (x,) = d.params
            return lambda: [x * x + x, 2 * x + 1]
        function: Callable[..., list[Any]] = hessian_vector_product if workload == "W10a" else hessian
        return lambda: function(d, *d.params)


def _joined(result: tuple[Any, list[Any]]) -> list[Any]:
    J, gradients = result
    return [J, *gradients]


_TRAINING: dict[str, Costs] = {
    "W2": logistic_regression, "W3": shallow_network, "W4": deep_network, "W5": minibatch_network,
    "W7": convolutional_network, "W12": more.attention_block, "W13": more.batch_norm_network, "W14": more.gru,
    "W15": more.gaussian_mixture, "W16": more.logistic_rows, "W17": more.tanh_network, "W18": more.autoencoder,
    "W19": more.factorisation, "W20": more.adam_step,
}
_GRADIENT: dict[str, Costs] = {"W6": elementwise_chain, "W9": lstm, "W21": more.bodies}

ENGINE = ByHand()
