"""The further workloads by hand, as a lecture shows them: cost and gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..more_data import Data
from .formulas import sigmoid, softmax_cost


def attention_block(d: Data, Wq: Any, Wk: Any, Wv: Any, Wo: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> tuple[Any, list[Any]]:
    m, steps, n = d.X.shape
    size = n // d.heads

    def heads(x: Any) -> Any:
        return x.reshape(m, steps, d.heads, size).transpose(0, 2, 1, 3)

    def joined(x: Any) -> Any:
        return x.transpose(0, 2, 1, 3).reshape(m * steps, n)

    X = d.X.reshape(m * steps, n)
    Q, K, V = heads(X @ Wq), heads(X @ Wk), heads(X @ Wv)
    S = Q @ K.swapaxes(2, 3) * size**-0.5
    E = np.exp(S - S.max(axis=3, keepdims=True))
    P = E / E.sum(axis=3, keepdims=True)
    Z = joined(P @ V)
    H = X + Z @ Wo
    A = np.maximum(H @ W1 + b1, 0)
    error = H + A @ W2 + b2 - d.Y.reshape(m * steps, n)
    J = np.sum(error**2) / (m * steps)

    dout = error * (2 / (m * steps))
    dA = dout @ W2.T * (A > 0)
    dH = dout + dA @ W1.T
    dZ = heads(dH @ Wo.T)
    dP = dZ @ V.swapaxes(2, 3)
    dS = P * (dP - np.sum(P * dP, axis=3, keepdims=True)) * size**-0.5
    dQ, dK, dV = joined(dS @ K), joined(dS.swapaxes(2, 3) @ Q), joined(P.swapaxes(2, 3) @ dZ)
    return J, [X.T @ dQ, X.T @ dK, X.T @ dV, Z.T @ dH, H.T @ dA, dA.sum(axis=0), A.T @ dout, dout.sum(axis=0)]


def batch_norm_network(d: Data, *params: Any) -> tuple[Any, list[Any]]:
    A, m = d.X, len(d.X)
    caches = []
    for k in range(0, len(params) - 2, 3):
        W, scale, shift = params[k : k + 3]
        Z = A @ W
        deviation = np.sqrt(Z.var(axis=0) + 1e-5)
        N = (Z - Z.mean(axis=0)) / deviation
        caches.append((A, deviation, N))
        A = np.maximum(N * scale + shift, 0)
    J, dZ = softmax_cost(A @ params[-2] + params[-1], d.y)
    gradients = [A.T @ dZ, dZ.sum(axis=0)]
    W = params[-2]
    for k in range(len(params) - 5, -1, -3):
        dY = dZ @ W.T * (A > 0)
        A, deviation, N = caches.pop()
        W, scale, _ = params[k : k + 3]
        dscale, dshift = np.sum(dY * N, axis=0), dY.sum(axis=0)
        dZ = scale / deviation * (dY - dshift / m - N * (dscale / m))
        gradients = [A.T @ dZ, dscale, dshift, *gradients]
    return J, gradients


def gru(d: Data, Ur: Any, Wr: Any, br: Any, Uz: Any, Wz: Any, bz: Any, Un: Any, Wn: Any, bn: Any, Wo: Any, bo: Any
        ) -> tuple[Any, list[Any]]:
    h, J = np.zeros((d.m, d.hidden)), 0.0
    count = len(d.X) * d.m
    caches = []
    for x, y in zip(d.X, d.Y, strict=True):
        r = sigmoid(x @ Ur + h @ Wr + br)
        z = sigmoid(x @ Uz + h @ Wz + bz)
        n = np.tanh(x @ Un + (r * h) @ Wn + bn)
        before, h = h, (1 - z) * n + z * h
        error = h @ Wo + bo - y
        J += np.sum(error**2) / count
        caches.append((x, before, r, z, n, h, error))
    dUr, dWr, dbr = np.zeros_like(Ur), np.zeros_like(Wr), np.zeros_like(br)
    dUz, dWz, dbz = np.zeros_like(Uz), np.zeros_like(Wz), np.zeros_like(bz)
    dUn, dWn, dbn = np.zeros_like(Un), np.zeros_like(Wn), np.zeros_like(bn)
    dWo, dbo = np.zeros_like(Wo), np.zeros_like(bo)
    dh = np.zeros_like(h)
    for x, before, r, z, n, h, error in reversed(caches):
        dy = error * (2 / count)
        dWo += h.T @ dy
        dbo += dy.sum(axis=0)
        dh = dh + dy @ Wo.T
        dn = dh * (1 - z) * (1 - n**2)
        drh = dn @ Wn.T
        dr = drh * before * r * (1 - r)
        dz = dh * (before - n) * z * (1 - z)
        dUr += x.T @ dr
        dWr += before.T @ dr
        dbr += dr.sum(axis=0)
        dUz += x.T @ dz
        dWz += before.T @ dz
        dbz += dz.sum(axis=0)
        dUn += x.T @ dn
        dWn += (r * before).T @ dn
        dbn += dn.sum(axis=0)
        dh = dh * z + drh * r + dr @ Wr.T + dz @ Wz.T
    return J, [dUr, dWr, dbr, dUz, dWz, dbz, dUn, dWn, dbn, dWo, dbo]


def gaussian_mixture(d: Data, logits: Any, means: Any, logs: Any) -> tuple[Any, list[Any]]:
    m, size = d.X.shape
    scales = np.exp(-logs)
    Z = (d.X[:, None, :] - means) * scales
    weights = np.exp(logits - logits.max())
    weights /= weights.sum()
    inside = -0.5 * np.sum(Z**2, axis=2) - logs.sum(axis=1) - 0.5 * size * math.log(2 * math.pi) + np.log(weights)
    most = inside.max(axis=1, keepdims=True)
    E = np.exp(inside - most)
    total = E.sum(axis=1, keepdims=True)
    J = -np.sum(most + np.log(total)) / m
    R = E / total  # whose point each is, and how surely
    N = R.sum(axis=0) / m
    RZ = R[:, :, None] * Z
    return J, [weights - N, -scales * RZ.sum(axis=0) / m, N[:, None] - np.sum(RZ * Z, axis=0) / m]


def logistic_rows(d: Data, w: Any, b: Any) -> tuple[Any, list[Any]]:
    m = len(d.y)
    a = sigmoid(d.X @ w + b)
    J = -np.sum(d.y * np.log(a) + (1 - d.y) * np.log(1 - a)) / m + d.decay / 2 * np.sum(w**2)
    dz = (a - d.y) / m
    return J, [d.X.T @ dz + d.decay * w, dz.sum()]


def tanh_network(d: Data, *params: Any) -> tuple[Any, list[Any]]:
    m = d.X.shape[1]
    caches = [d.X]
    for k in range(0, len(params) - 2, 2):
        caches.append(np.tanh(params[k] @ caches[-1] + params[k + 1]))
    error = params[-2] @ caches[-1] + params[-1] - d.Y
    J = np.sum(error**2) / m
    gradients: list[Any] = []
    dZ = 2 * error / m
    for k in range(len(params) - 2, -1, -2):
        A = caches.pop()
        gradients = [dZ @ A.T, np.sum(dZ, axis=1, keepdims=True), *gradients]
        if k:
            dZ = params[k].T @ dZ * (1 - A**2)
    return J, gradients


def autoencoder(d: Data, *params: Any) -> tuple[Any, list[Any]]:
    m = len(d.X)
    caches = [d.X]
    for k in range(0, len(params), 2):
        caches.append(sigmoid(caches[-1] @ params[k] + params[k + 1]))
    error = caches[-1] - d.X
    J = np.sum(error**2) / m
    gradients: list[Any] = []
    dA = 2 * error / m
    for k in range(len(params) - 2, -1, -2):
        A = caches.pop()
        dZ = dA * A * (1 - A)
        gradients = [caches[-1].T @ dZ, dZ.sum(axis=0), *gradients]
        if k:
            dA = dZ @ params[k].T
    return J, gradients


def factorisation(d: Data, U: Any, V: Any, b: Any, c: Any) -> tuple[Any, list[Any]]:
    m = len(d.y)
    Us, Vs = U[d.users], V[d.items]
    error = np.sum(Us * Vs, axis=1) + b[d.users] + c[d.items] - d.y
    J = np.sum(error**2) / m + d.decay / 2 * (np.sum(U**2) + np.sum(V**2))
    g = 2 * error / m
    dU, dV, db, dc = d.decay * U, d.decay * V, np.zeros_like(b), np.zeros_like(c)
    np.add.at(dU, d.users, g[:, None] * Vs)
    np.add.at(dV, d.items, g[:, None] * Us)
    np.add.at(db, d.users, g)
    np.add.at(dc, d.items, g)
    return J, [dU, dV, db, dc]


def adam_step(d: Data, W1: Any, b1: Any, W2: Any, b2: Any) -> tuple[Any, list[Any]]:
    A = np.tanh(d.X @ W1 + b1)
    J, dZ2 = softmax_cost(A @ W2 + b2, d.y)
    dZ1 = dZ2 @ W2.T * (1 - A**2)
    return J, [d.X.T @ dZ1, dZ1.sum(axis=0), A.T @ dZ2, dZ2.sum(axis=0)]


def bodies(d: Data, x: Any) -> tuple[Any, list[Any]]:
    apart = x[:, None] - x[None]
    inverse = 1 / np.sqrt(np.sum(apart * apart, axis=2) + 0.01)
    energies = d.X[:, None] * d.X * inverse
    return -0.5 * np.sum(energies), [np.sum((energies * inverse**2)[:, :, None] * apart, axis=1)]
