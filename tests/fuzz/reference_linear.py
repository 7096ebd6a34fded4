"""np.linalg in extended precision, which NumPy lacks: its results, with the same signs and order, refined by iteration.

Each function gives NumPy's own result for float32 and float64.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np

from .reference import FUNCTIONS, _float

LONG = np.longdouble


def _t(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


def _eye(a: Any) -> Any:
    return np.eye(a.shape[-1], dtype=LONG)


def _diagonal(a: Any) -> Any:
    return np.diagonal(a, 0, -2, -1)


def _start(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """NumPy's result on the rounded arguments, in extended precision."""
    found = function(*[np.asarray(a, np.float64) for a in args], **kwargs)
    return tuple(np.asarray(x, LONG) for x in found) if isinstance(found, tuple) else np.asarray(found, LONG)


def inv(a: Any) -> Any:
    a = _float(a)
    if a.dtype != LONG:
        return np.linalg.inv(a)
    x = _start(np.linalg.inv, a)
    for _ in range(2):  # Newton's iteration
        x = x @ (2 * _eye(a) - a @ x)
    return x


def solve(a: Any, b: Any) -> Any:
    a, b = _float(a), _float(b)
    if LONG not in (a.dtype, b.dtype):
        return np.linalg.solve(a, b)
    return inv(np.asarray(a, LONG)) @ b


def det(a: Any) -> Any:
    a = _float(a)
    if a.dtype != LONG:
        return np.linalg.det(a)
    if not a.shape[-1]:
        return np.ones(a.shape[:-2], LONG)[()]
    return sum((-1) ** j * a[..., 0, j] * det(np.delete(a[..., 1:, :], j, -1)) for j in range(a.shape[-1]))  # Laplace


def slogdet(a: Any) -> Any:
    d = det(a)
    return (np.linalg.slogdet(a)) if np.asarray(a).dtype != LONG else (np.sign(d), np.log(np.abs(d)))


def cholesky(a: Any, *, upper: bool = False) -> Any:
    a = _float(a)
    if a.dtype != LONG:
        return np.linalg.cholesky(a, upper=upper)
    a = _t(a) if upper else a
    out = np.zeros(a.shape, LONG)
    for j in range(a.shape[-1]):
        for i in range(j, a.shape[-1]):
            rest = a[..., i, j] - np.sum(out[..., i, :j] * out[..., j, :j], -1)
            out[..., i, j] = np.sqrt(rest) if i == j else rest / out[..., j, j]
    return _t(out) if upper else out


def eigh(a: Any, UPLO: str = "L") -> Any:
    a = _float(a)
    if a.dtype != LONG:
        return np.linalg.eigh(a, UPLO)
    half = np.tril(a, -1) if UPLO == "L" else _t(np.triu(a, 1))
    a = half + _t(half) + _diagonal(a)[..., None] * _eye(a)
    x = _start(np.linalg.eigh, a, UPLO=UPLO)[1]  # the signs differ between the triangles
    for _ in range(3):  # Ogita and Aishima 2018
        r, s = _eye(a) - _t(x) @ x, _t(x) @ a @ x
        values = _diagonal(s) / (1 - _diagonal(r))
        gap = values[..., None, :] - values[..., :, None] + _eye(a)
        e = np.where(_eye(a) > 0, r / 2, (s + values[..., None, :] * r) / gap)
        x = x + x @ e
    return values, x


def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return eigh(a, UPLO)[0]


def eig(a: Any) -> Any:
    a = _float(a)
    if a.dtype != LONG:
        return np.linalg.eig(a)
    x = _start(np.linalg.eig, a)[1]
    for _ in range(4):
        b = inv(x) @ a @ x
        values = _diagonal(b)
        gap = values[..., None, :] - values[..., :, None] + _eye(a)
        x = x + x @ np.where(_eye(a) > 0, 0, b / gap)
        x = x / np.sqrt(np.sum(x * x, -2, keepdims=True))
    return values, x


def eigvals(a: Any) -> Any:
    return eig(a)[0]


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    a = _float(a)
    if a.dtype != LONG:
        return np.linalg.svd(a, full_matrices, compute_uv)
    if a.shape[-2] < a.shape[-1]:
        right, s, left = _tall_svd(_t(a))
        u, v = _t(left), _t(right)
    else:
        u, s, v = _tall_svd(a)
    # NumPy's signs
    sign = np.sign(np.sum(u * _start(np.linalg.svd, a, full_matrices=False)[0], -2))
    return (u * sign[..., None, :], s, v * sign[..., :, None]) if compute_uv else s


def _tall_svd(a: Any) -> Any:
    v = _t(_start(np.linalg.svd, a, full_matrices=False)[2])
    gram = _t(a) @ a
    for _ in range(3):
        r, g = _eye(gram) - _t(v) @ v, _t(v) @ gram @ v
        values = _diagonal(g) / (1 - _diagonal(r))
        gap = values[..., None, :] - values[..., :, None] + _eye(gram)
        v = v + v @ np.where(_eye(gram) > 0, r / 2, (g + values[..., None, :] * r) / gap)
    s = np.sqrt(values)
    return a @ v / s[..., None, :], s, _t(v)


def svdvals(a: Any) -> Any:
    return svd(a, False, False)


def qr(a: Any, mode: str = "reduced") -> Any:
    a = _float(a)
    if a.dtype != LONG:
        return np.linalg.qr(a, mode)
    k = min(a.shape[-2:])
    square = a[..., :, :k]
    first = _start(np.linalg.qr, a)
    lower = cholesky(_t(square) @ square)
    sign = np.sign(_diagonal(first[1]))
    q = square @ inv(_t(lower)) * sign[..., None, :]
    r = _t(q) @ a
    r = np.where(np.tri(*r.shape[-2:], -1) > 0, 0, r)
    return r if mode == "r" else (q, r)


def pinv(a: Any) -> Any:
    a = _float(a)
    if a.dtype != LONG:
        return np.linalg.pinv(a)
    return inv(_t(a) @ a) @ _t(a) if a.shape[-2] >= a.shape[-1] else _t(a) @ inv(a @ _t(a))


def matrix_power(a: Any, n: int) -> Any:
    a = _float(a)
    if a.dtype != LONG:
        return np.linalg.matrix_power(a, n)
    out, base = _eye(a) + 0 * a, inv(a) if n < 0 else a
    for _ in range(abs(n)):
        out = out @ base
    return out


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: A002 - NumPy's name
    x = _float(x)
    pair = x.ndim == 2 if axis is None else isinstance(axis, tuple) and len(axis) == 2
    if x.dtype != LONG or not (pair and ord in (2, -2, "nuc")):
        return np.linalg.norm(x, ord, axis, keepdims)
    i, j = (0, 1) if axis is None else (axis[0] % x.ndim, axis[1] % x.ndim)
    s = svdvals(np.moveaxis(x, (i, j), (-2, -1)))
    y = {2: np.max, -2: np.min, "nuc": np.sum}[ord](s, -1)
    return np.expand_dims(y, (i, j)) if keepdims else y


def cond(a: Any, p: Any = None) -> Any:
    a = _float(a)
    if a.dtype != LONG:
        return np.linalg.cond(a, p)
    if p in (None, 2, -2):
        s = svdvals(a)
        return (s[..., 0] / s[..., -1]) ** (-1 if p == -2 else 1)
    return norm(a, p, (-2, -1)) * norm(inv(a), p, (-2, -1))


def multi_dot(arrays: Any) -> Any:
    out = arrays[0]
    for a in arrays[1:]:
        out = out @ a
    return out


def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    return (pinv(a) @ b,) if _float(a).dtype == LONG or _float(b).dtype == LONG else np.linalg.lstsq(a, b)


def tensorinv(a: Any, ind: int = 2) -> Any:
    shape = a.shape[ind:] + a.shape[:ind]
    n = int(np.prod(a.shape[:ind]))
    return inv(a.reshape(n, -1)).reshape(shape)


def tensorsolve(a: Any, b: Any) -> Any:
    return solve(a.reshape(b.size, -1), b.reshape(-1)).reshape(a.shape[b.ndim:])


class Linalg(types.SimpleNamespace):
    def __getattr__(self, name: str) -> Any:
        return getattr(np.linalg, name)


FUNCTIONS["linalg"] = Linalg(**{  # type: ignore[assignment]
    f.__name__: f for f in (inv, solve, det, slogdet, cholesky, eigh, eigvalsh, eig, eigvals, svd, svdvals, qr, pinv,
                            matrix_power, norm, cond, multi_dot, lstsq, tensorinv, tensorsolve)})
