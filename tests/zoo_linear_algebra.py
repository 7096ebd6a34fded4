"""Samples of the primitives in rules/linear_algebra.py."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from zoo import Sample, draw, text

SQUARES: tuple[tuple[int, ...], ...] = ((1, 1), (2, 2), (3, 3), (2, 3, 3), (2, 1, 2, 2), (0, 0), (0, 2, 2))
TALL: tuple[tuple[int, ...], ...] = ((2, 2), (3, 2), (3, 1), (2, 3, 2), (0, 3, 2), (3, 0))
ANY: tuple[tuple[int, ...], ...] = (*TALL, (2, 3), (1, 3), (2, 2, 3), (0, 3))
# primitives of matrices, which single numbers are not
OF_MATRICES = {
    "tril", "mirror", "to_triangle", "inv", "solve", "cofactors", "cofactor_slope", "one_over_det", "det", "det_sign",
    "logabsdet", "pinv", "cholesky", "qr", "independent", "inverse_gaps", "eigh", "eigh_values", "eig", "eig_values",
    "left_vectors", "svd", "svd_values", "one_over_singular", "nonzero_part",
}


def regular(key: Any, shape: tuple[int, ...]) -> Any:
    """Matrices far from singular, with real eigenvalues and singular values that lie apart."""
    n = min(shape[-2:])
    x = 0.15 * np.asarray(draw(key, shape))
    x[..., range(n), range(n)] += 1.0 + 1.2 * np.arange(n)
    return x


def positive(key: Any, shape: tuple[int, ...]) -> Any:
    """Lower triangles of positive definite matrices; what lies above is not read, and different."""
    return regular(key, shape) + np.triu(np.ones(shape), 1)


def _by_minors(a: Any) -> Any:
    """Cofactors by definition: signed determinants of what remains without a row and a column."""
    n = a.shape[-1]
    out = np.zeros(a.shape)
    for i, j in np.ndindex(n, n):
        minor = np.delete(np.delete(a, i, -2), j, -1)
        out[..., i, j] = (-1) ** (i + j) * np.linalg.det(minor)
    return out


def _cofactor_slope(x: Any, a: Any) -> Any:
    """From det(A) A⁻ᵀ by the product rule."""
    c = np.linalg.inv(a).mT
    return np.linalg.det(a)[..., None, None] * (np.sum(x * c, (-2, -1), keepdims=True) * c - c @ x.mT @ c)


def _symmetric(a: Any, UPLO: str) -> Any:
    half = np.tril(a) if UPLO == "L" else np.triu(a)
    return half + np.swapaxes(half, -1, -2) * (1 - np.eye(a.shape[-1]))


def _eigenvalues_first(a: Any, UPLO: str = "L") -> Any:
    w, v = np.linalg.eigh(_symmetric(a, UPLO), UPLO)
    return np.concatenate([w[..., None, :], v], -2)


def _stacked_qr(a: Any) -> Any:
    q, r = np.linalg.qr(a)
    return np.concatenate([q, r.mT], -2)


def _stacked_svd(a: Any) -> Any:
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return np.concatenate([u, s[..., None, :], vh.mT], -2)


def _stacked_eig(a: Any) -> Any:
    w, v = (x.real for x in np.linalg.eig(a))
    return np.concatenate([w[..., None, :], v], -2)


def _gaps(w: Any, squared: bool = False) -> Any:
    w = w * w if squared else w
    out = np.zeros((*w.shape, w.shape[-1]))
    for *place, i, j in np.ndindex(*out.shape):
        out[(*place, i, j)] = 0.0 if i == j else 1 / (w[(*place, j)] - w[(*place, i)])
    return out


def _norm(x: Any, ord: float = 2, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: A002 - NumPy's name
    return np.linalg.vector_norm(x, ord=ord, axis=axis, keepdims=keepdims)


def _samples() -> Iterator[Sample]:
    for shape in (*SQUARES, (2, 3), (3, 2)):
        for k in (0, -1, 1):
            yield Sample("tril", f"{text([shape])}-{k}", (draw("tril", shape),), {"k": k} if k else {},
                         lambda x, k=0: np.tril(np.ones(x.shape[-2:]), k) * x)
    for shape in SQUARES:
        label, a = text([shape]), regular("square", shape)
        for params in ({}, {"UPLO": "U"}):
            side = f"{label}{'-U' if params else ''}"
            yield Sample("mirror", side, (a,), params, lambda x, UPLO="L": _symmetric(x, UPLO))
            yield Sample("to_triangle", side, (a,), params, lambda x, UPLO="L": (
                (x + x.mT) * (np.tri(x.shape[-1], k=-1) if UPLO == "L" else np.tri(x.shape[-1], k=-1).T)
                + x * np.eye(x.shape[-1])))
        yield Sample("inv", label, (a,), numpy=lambda a: np.linalg.solve(a, np.eye(a.shape[-1])))
        yield Sample("cofactors", label, (a,), numpy=_by_minors if shape[-1] else np.array)
        yield Sample("cofactor_slope", label, (draw("slope", shape), a), numpy=_cofactor_slope)
        yield Sample("one_over_det", label, (a,), numpy=lambda a: np.linalg.det(np.linalg.inv(a)))
        yield Sample("det", label, (a,), numpy=lambda a: np.prod(np.linalg.eigvals(a), -1).real)
        yield Sample("det_sign", label, (a,), numpy=lambda a: np.sign(np.linalg.det(a)))
        yield Sample("logabsdet", label, (a,), numpy=lambda a: np.log(np.abs(np.linalg.det(a))))
        p = positive("positive", shape)
        yield Sample("cholesky", label, (p,), numpy=lambda a: np.linalg.cholesky(_symmetric(a, "L")))
        yield Sample("eigh", label, (p,), numpy=_eigenvalues_first)
        yield Sample("eigh", f"{label}-U", (p,), {"UPLO": "U"}, _eigenvalues_first)
        yield Sample("eig", label, (a,), numpy=_stacked_eig)
        yield Sample("left_vectors", label, (a,), numpy=lambda v: np.linalg.inv(v).mT)
        yield Sample("independent", label, (a,), numpy=lambda r: r * 1.0)
        # the factors count as constants, so differences see nothing: test_linear_algebra checks these through eigh, eig
        for name, reference, x in (("eigh", _eigenvalues_first, p), ("eig", _stacked_eig, a)):
            yield Sample(f"{name}_values", label, (reference(x), x), numpy=lambda factors, a: factors[..., 0, :],
                         constants=(0,), smooth=False)
    for a_shape, b_shape in (((1, 1), (1, 1)), ((2, 2), (2, 1)), ((3, 3), (3, 2)), ((2, 3, 3), (3, 2)), ((3, 3), (2, 3, 1)),
                             ((2, 1, 2, 2), (3, 2, 1)), ((2, 2), (2, 0)), ((0, 0), (0, 2)), ((0, 2, 2), (2, 1))):
        yield Sample("solve", text([a_shape, b_shape]), (regular("square", a_shape), draw("right", b_shape)),
                     numpy=lambda a, b: np.linalg.inv(a) @ b)
    for shape in TALL:
        yield Sample("qr", text([shape]), (regular("tall", shape),), numpy=_stacked_qr)
    for shape in ANY:
        label, a = text([shape]), regular("matrix", shape)
        yield Sample("svd", label, (a,), numpy=_stacked_svd)
        yield Sample("svd_values", label, (_stacked_svd(a), a), numpy=lambda factors, a: factors[..., a.shape[-2], :],
                     constants=(0,), smooth=False)
        if a.size:
            yield Sample("pinv", label, (a,), numpy=lambda a: (
                np.linalg.inv(a.mT @ a) @ a.mT if a.shape[-2] >= a.shape[-1] else a.mT @ np.linalg.inv(a @ a.mT)))
    yield Sample("pinv", "0x2x2", (np.zeros((0, 2, 2)),), numpy=np.array)
    yield Sample("pinv", "rcond", (regular("matrix", (3, 2)),), {"rcond": 1e-8}, lambda a, rcond: np.linalg.inv(a.T @ a) @ a.T)
    for shape in ((1,), (3,), (2, 3), (2, 1, 2), (0,), (0, 3), (2, 0)):
        w = np.sort(draw("values", shape, 0.5, 3.0), -1) if math.prod(shape) else np.zeros(shape)
        yield Sample("inverse_gaps", text([shape]), (w,), numpy=_gaps)
        yield Sample("inverse_gaps", f"{text([shape])}-squared", (w,), {"squared": True}, _gaps)
        yield Sample("one_over_singular", text([shape]), (w,), {"shape": (4, 3)}, lambda s, shape: 1 / s)
        yield Sample("nonzero_part", text([shape]), (w,), {"shape": (4, 3)}, lambda s, shape: 1.0 * s)
    yield Sample("nonzero_part", "zero", (np.array([2.0, 1e-17, 0.0]),), {"shape": (3, 3)},
                 lambda s, shape: np.array([2.0, 0.0, 0.0]), smooth=False)
    for shape, params in (((), {}), ((3,), {}), ((2, 3), {}), ((2, 3), {"axis": (1,)}),
                          ((2, 3), {"axis": (0,), "keepdims": True}), ((2, 3, 4), {"axis": (0, 2)}),
                          ((2, 3), {"keepdims": True}), ((0,), {}), ((0, 3), {"axis": (1,)}), ((2, 3), {"axis": ()})):
        for order in (2, 3.0, 1.5):
            label = f"{text([shape])}-{order}-{','.join(f'{k}={v}' for k, v in params.items())}".replace(" ", "")
            own = {} if order == 2 else {"ord": order}
            yield Sample("vector_norm", label, (draw("norm", shape),), {**own, **params}, _norm)
    yield Sample("vector_norm", "-1.0", (draw("norm", (4,)),), {"ord": -1.0}, _norm)
    for shape in ((), (3,), (2, 3), (0,)):
        a, b = draw("ratio", shape), draw("over", shape, 0.5, 2.0)
        yield Sample("ratio", text([shape]), (a, b), numpy=np.divide)
        yield Sample("nan_for_zero", text([shape]), (b,), numpy=np.positive)
    yield Sample("ratio", "broadcast", (draw("ratio", (2, 3)), draw("over", (2, 1), 0.5, 2.0)), numpy=np.divide)


SAMPLES: list[Sample] = list(_samples())
