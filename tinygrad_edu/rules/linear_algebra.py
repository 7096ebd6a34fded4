"""Inverses, determinants, factorisations and norms, for matrices and stacks of them (the last two axes).

Sources of the rules: M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008): inverse, solution, determinant, eigenvalues, singular values. I. Murray, "Differentiation of the
Cholesky decomposition" (2016). J. Townsend, "Differentiating the singular value decomposition" (2016). S. Walter and
L. Lehmann, "Algorithmic differentiation of linear algebra functions" (2010): QR. G. Golub and V. Pereyra, "The
differentiation of pseudo-inverses" (1973).

A factorisation is one operation, its factors stacked in one array, so that it is computed once. Eigenvalues and
singular values are then read off by an operation of their own, whose rule needs no derivative of the vectors: it holds
for repeated values too, where the vectors have no derivative, and nan says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..tensor import Primitive
from .pointwise import absolute, constant_power, equal, gate, pointwise, sign, where, zero
from .reductions import Axes, keep, sum_
from .shapes import linear, reshape

ROUNDING = 16  # values closer than this many rounding errors count as equal


def _kind_of(y: Any, x: Any) -> Any:
    """y as the kind of array that x is: a traced one remains traced."""
    return y.view(type(x)) if isinstance(x, np.ndarray) else y


def _real(x: Any, name: str) -> Any:
    """Refuse the complex step, which needs functions that are analytic."""
    if x.dtype.kind == "c":
        raise UnsupportedError(f"{name}: real numbers only.")
    return x


def _as_matrix(g: Any) -> Any:
    """A number for each matrix of a stack, ready to scale the matrices."""
    return reshape(g, shape=(*g.shape, 1, 1))


# ---------------------------------------------------------------- triangles

tril: Primitive = linear("tril", lambda x, k=0: np.tril(x, k), lambda g, _y, _x, k=0: tril(g, k=k))


def _mirror(x: Any, UPLO: str = "L") -> Any:
    if UPLO == "L":
        return np.tril(x) + np.swapaxes(np.tril(x, -1), -1, -2)
    return np.triu(x) + np.swapaxes(np.triu(x, 1), -1, -2)


def _to_triangle(s: Any, UPLO: str = "L") -> Any:
    if UPLO == "L":
        return np.tril(s) + np.swapaxes(np.triu(s, 1), -1, -2)
    return np.triu(s) + np.swapaxes(np.tril(s, -1), -1, -2)


# The symmetric matrix whose lower (or upper) triangle is read, and its derivative: an entry below the diagonal stands for
# itself and for its mirror image. So a matrix of which one triangle is read gets its gradient in that triangle.
mirror: Primitive = linear("mirror", _mirror, lambda g, _y, _x, UPLO="L": to_triangle(g, UPLO=UPLO))
to_triangle: Primitive = linear("to_triangle", _to_triangle, lambda g, _y, _s, UPLO="L": mirror(g, UPLO=UPLO))

# ---------------------------------------------------------------- inverse, solution, determinant

# Giles 2.2.3 and 2.3.1: for Y = A⁻¹, dA = −Yᵀ g Yᵀ; for A Y = B, dB = A⁻ᵀ g and dA = −dB Yᵀ
inv = Primitive("inv", np.linalg.inv, lambda g, y, _a: -(y.mT @ g @ y.mT), symbol="{0}⁻¹")
solve: Primitive = Primitive("solve", np.linalg.solve, lambda g, y, a, _b: -(solve(a.mT, g) @ y.mT),
                             lambda g, _y, a, _b: solve(a.mT, g))


def _all_but_one(s: Any) -> tuple[Any, Any, Any]:
    """For each entry of the last axis the product of those before it, of those after it, and of both: none is divided."""
    ones = np.ones((*s.shape[:-1], 1), s.dtype)
    before = np.cumprod(np.concatenate([ones, s[..., :-1]], -1), -1)[..., : s.shape[-1]]
    after = np.cumprod(np.concatenate([ones, s[..., :0:-1]], -1), -1)[..., : s.shape[-1]][..., ::-1]
    return before, after, before * after


def _all_but_two(s: Any) -> Any:
    """For each pair of entries the product of the others; 0 on the diagonal."""
    n = s.shape[-1]
    before, after, _ = _all_but_one(s)
    later = np.where(np.tri(n, dtype=bool), np.ones_like(s[..., None]), s[..., None, :])
    between = np.roll(np.cumprod(later, -1), 1, -1)
    upper = np.triu(before[..., :, None] * between * after[..., None, :], 1)
    return upper + np.swapaxes(upper, -1, -2)


def _cofactors(a: Any) -> Any:
    """det(A) A⁻ᵀ, from the singular values: for each, the product of the others."""
    u, s, vh = np.linalg.svd(_real(a, "cofactors"))
    others = _all_but_one(s)[2] * np.rint(np.linalg.det(u) * np.linalg.det(vh))[..., None]
    return _kind_of((u * others[..., None, :]) @ vh, a)


def _cofactor_slope(x: Any, a: Any) -> Any:
    """How ⟨x, cofactors(A)⟩ changes with A: from the singular values too, for each pair the product of the others."""
    u, s, vh = np.linalg.svd(_real(a, "cofactors"))
    others = _all_but_two(s) * np.rint(np.linalg.det(u) * np.linalg.det(vh))[..., None, None]
    turned = np.swapaxes(u, -1, -2) @ x @ np.swapaxes(vh, -1, -2)
    along = others @ np.diagonal(turned, axis1=-2, axis2=-1)[..., None]
    inner = np.eye(s.shape[-1], dtype=s.dtype) * along - others * np.swapaxes(turned, -1, -2)
    return _kind_of(u @ inner @ vh, a)


def _one_over_det(a: Any) -> Any:
    """1 / det(A); nan for a matrix that is singular as far as rounding can tell."""
    s = np.linalg.svd(_real(a, "det"), compute_uv=False)
    smallest, largest = np.min(s, -1, initial=np.inf), np.max(s, -1, initial=0)
    singular = smallest <= ROUNDING * a.shape[-1] * np.finfo(s.dtype).eps * largest
    return 1 / np.where(singular, np.nan, np.linalg.det(a))


def _inner(a: Any, b: Any) -> Any:
    """The sum of the products of entries, for each matrix."""
    return _as_matrix(sum_(a * b, axis=(a.ndim - 2, a.ndim - 1)))


def _cofactor_slope_rule(g: Any, y: Any, x: Any, a: Any) -> Any:
    """From det(A) y = ⟨x, C⟩ C − C xᵀ C, with C = cofactors(A): divided by det(A), so nan for a singular matrix."""
    c = cofactors(a)
    mixed = _inner(x, c) * g + _inner(g, c) * x - g @ c.mT @ x - x @ c.mT @ g
    return (cofactor_slope(mixed, a) - _inner(g, y) * c) * _as_matrix(one_over_det(a))


# Giles 2.2.4, d det = det(A) A⁻ᵀ, as cofactors, which exist for a singular matrix too
cofactors = Primitive("cofactors", _cofactors, lambda g, _y, a: cofactor_slope(g, a))
cofactor_slope: Primitive = Primitive("cofactor_slope", _cofactor_slope, lambda g, _y, _x, a: cofactor_slope(g, a),
                                      _cofactor_slope_rule)
one_over_det: Primitive = Primitive("one_over_det", _one_over_det, lambda g, y, a: -_as_matrix(g * y) * inv(a).mT)
det = Primitive("det", np.linalg.det, lambda g, _y, a: _as_matrix(g) * cofactors(a), symbol="|{0}|")
det_sign = Primitive("det_sign", lambda a: np.linalg.slogdet(a)[0], zero)
logabsdet = Primitive("logabsdet", lambda a: np.linalg.slogdet(_real(a, "slogdet"))[1],
                      lambda g, _y, a: _as_matrix(g) * inv(a).mT)


def _pinv_rule(g: Any, y: Any, a: Any, rcond: Any = None) -> Any:
    """Golub and Pereyra's derivative at constant rank; for an invertible matrix all but the last term are 0."""
    gt = g.mT
    outside = y.mT @ y @ gt
    outside = outside - outside @ y @ a
    inside = gt @ y @ y.mT
    return outside + (inside - a @ (y @ inside)) - y.mT @ g @ y.mT


pinv = Primitive("pinv", lambda a, rcond=None: np.linalg.pinv(_real(a, "pinv"), rcond), _pinv_rule, symbol="{0}⁺")

# ---------------------------------------------------------------- Cholesky and QR


def _cholesky_rule(g: Any, y: Any, _a: Any) -> Any:
    """Murray's L⁻ᵀ Φ(Lᵀ g) L⁻¹, where Φ takes the lower triangle and half of the diagonal."""
    p = y.mT @ g
    half = 0.5 * (tril(p) + tril(p, k=-1))
    return to_triangle(solve(y.mT, solve(y.mT, half).mT).mT)


cholesky = Primitive("cholesky", lambda a: np.linalg.cholesky(_real(a, "cholesky")), _cholesky_rule)


def _qr(a: Any) -> Any:
    """Q, and below it Rᵀ, of a matrix with at least as many rows as columns."""
    q, r = np.linalg.qr(_real(a, "qr"))
    return _kind_of(np.concatenate([q, np.swapaxes(r, -1, -2)], -2), a)


def _independent(r: Any) -> Any:
    """R; nan for a matrix with a diagonal entry that is 0 as far as rounding can tell: its columns are dependent."""
    d = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
    small = d <= ROUNDING * r.shape[-1] * np.finfo(r.dtype).eps * np.max(d, -1, initial=0, keepdims=True)
    return np.where(np.any(small, -1)[..., None, None], np.nan, r)


def _qr_rule(g: Any, y: Any, _a: Any) -> Any:
    """Walter and Lehmann: (g_Q + Q sym(R g_Rᵀ − g_Qᵀ Q)) R⁻ᵀ, where sym mirrors the lower triangle."""
    m = _a.shape[-2]
    q, r, gq, gr = y[..., :m, :], y[..., m:, :].mT, g[..., :m, :], g[..., m:, :].mT
    p = r @ gr.mT - gq.mT @ q
    return solve(independent(r), (gq + q @ mirror(p)).mT).mT


qr = Primitive("qr", _qr, _qr_rule)
independent = Primitive("independent", _independent, lambda g, _y, _r: g)

# ---------------------------------------------------------------- eigenvalues and singular values


def _inverse_gaps(w: Any, squared: bool = False) -> Any:
    """1 / (w_j − w_i), or of the squares, with 0 on the diagonal; nan where two values are equal up to rounding."""
    n = w.shape[-1]
    right, left = w[..., None, :], w[..., :, None]
    gaps = right - left
    largest = np.max(np.abs(w), -1, initial=0, keepdims=True)[..., None]
    gaps = np.where(np.abs(gaps) <= ROUNDING * n * np.finfo(w.dtype).eps * largest, np.nan, gaps)
    out = 1 / (gaps * (right + left) if squared else gaps)
    return np.where(np.eye(n, dtype=bool), np.zeros_like(w[..., None]), out)


def _inverse_gaps_rule(g: Any, y: Any, w: Any, squared: bool = False) -> Any:
    h = g * y * y
    slope = sum_(h, axis=(h.ndim - 1,)) - sum_(h, axis=(h.ndim - 2,))
    return 2 * w * slope if squared else slope


inverse_gaps = Primitive("inverse_gaps", _inverse_gaps, _inverse_gaps_rule)


def _eigh(a: Any, UPLO: str = "L") -> Any:
    """The eigenvalues in the first row, the eigenvectors as columns below."""
    w, v = np.linalg.eigh(_real(a, "eigh"), UPLO)  # type: ignore[call-overload]
    return _kind_of(np.concatenate([w[..., None, :], v], -2), a)


def _eigh_rule(g: Any, y: Any, _a: Any, UPLO: str = "L") -> Any:
    """Giles 3.1 for a symmetric matrix: V (diag(g_w) + F ∘ Vᵀ g_V) Vᵀ with F_ij = 1/(w_j − w_i)."""
    w, v, gw, gv = y[..., 0, :], y[..., 1:, :], g[..., :1, :], g[..., 1:, :]
    return to_triangle((v * gw + v @ (inverse_gaps(w) * (v.mT @ gv))) @ v.mT, UPLO=UPLO)


def _eigh_values_rule(g: Any, _y: Any, factors: Any, _a: Any, UPLO: str = "L") -> Any:
    v = factors[..., 1:, :]
    return to_triangle((v * g[..., None, :]) @ v.mT, UPLO=UPLO)


eigh = Primitive("eigh", _eigh, _eigh_rule)
eigh_values = Primitive("eigh_values", lambda factors, _a, UPLO="L": factors[..., 0, :], None, _eigh_values_rule)


def _eig(a: Any) -> Any:
    """The eigenvalues in the first row, the eigenvectors as columns of length 1 below."""
    w, v = np.linalg.eig(_real(a, "eig"))
    if w.dtype.kind == "c" and not np.any(w.imag):  # newer versions of NumPy give complex numbers always
        w, v = w.real.copy(), v.real.copy()
    if w.dtype.kind == "c":
        raise UnsupportedError(
            f"eig: a matrix of shape {tuple(a.shape)} has complex eigenvalues, which are not recorded. For a symmetric "
            "matrix use np.linalg.eigh; for the numbers alone np.linalg.eig(a.numpy()).")
    return _kind_of(np.concatenate([w[..., None, :], v], -2), a)


def _left_vectors(v: Any) -> Any:
    """V⁻ᵀ; nan where the eigenvectors span no basis as far as rounding can tell: the matrix is defective."""
    try:
        inverse = np.linalg.inv(v)
    except np.linalg.LinAlgError:  # one of them is singular: one at a time
        inverse = np.full_like(v, np.nan)
        for place in np.ndindex(v.shape[:-2]):
            try:
                inverse[place] = np.linalg.inv(v[place])
            except np.linalg.LinAlgError:
                continue
    error = np.finfo(v.dtype).eps * np.max(np.abs(inverse), (-2, -1), initial=0, keepdims=True)
    return np.where(error > 1e-3, np.nan, np.swapaxes(inverse, -1, -2))


def _eig_rule(g: Any, y: Any, _a: Any) -> Any:
    """Giles 3.1: V⁻ᵀ (diag(g_w) + F ∘ Vᵀ g_V) Vᵀ; of g_V, the part along each vector changes its length, which is 1."""
    w, v, gw, gv = y[..., 0, :], y[..., 1:, :], g[..., :1, :], g[..., 1:, :]
    across = gv - v * sum_(v * gv, axis=(v.ndim - 2,), keepdims=True)
    return left_vectors(v) @ ((v * gw).mT + (inverse_gaps(w) * (v.mT @ across)) @ v.mT)


def _eig_values_rule(g: Any, _y: Any, factors: Any, _a: Any) -> Any:
    v = factors[..., 1:, :]
    return left_vectors(v) @ (v * g[..., None, :]).mT


eig = Primitive("eig", _eig, _eig_rule)
eig_values = Primitive("eig_values", lambda factors, _a: factors[..., 0, :], None, _eig_values_rule)
left_vectors = Primitive("left_vectors", _left_vectors, lambda g, y, _v: -(y @ g.mT @ y))


def _svd(a: Any) -> Any:
    """U, below it the row of singular values, below it V, all with as many columns as there are singular values."""
    u, s, vh = np.linalg.svd(_real(a, "svd"), full_matrices=False)
    return _kind_of(np.concatenate([u, s[..., None, :], np.swapaxes(vh, -1, -2)], -2), a)


def _one_over_singular(s: Any, shape: tuple[int, int]) -> Any:
    """1 / s; nan for a singular value that is 0 as far as rounding can tell."""
    small = ROUNDING * max(shape) * np.finfo(s.dtype).eps * np.max(s, -1, initial=0, keepdims=True)
    return 1 / np.where(s <= small, np.nan, s)


def _svd_rule(g: Any, y: Any, _a: Any) -> Any:
    """Townsend 2016: U ((J + Jᵀ) S + S (K + Kᵀ) + diag(g_S)) Vᵀ with J = F ∘ Uᵀ g_U, K = F ∘ Vᵀ g_V and
    F_ij = 1/(s_j² − s_i²); for a tall or wide matrix, also what moves U or V out of the space that it spans."""
    m, n = _a.shape[-2:]
    u, s, v = y[..., :m, :], y[..., m, :], y[..., m + 1 :, :]
    gu, gs, gv = g[..., :m, :], g[..., m : m + 1, :], g[..., m + 1 :, :]
    gaps, row = inverse_gaps(s, squared=True), s[..., None, :]
    j, k = gaps * (u.mT @ gu), gaps * (v.mT @ gv)
    left = u @ ((j + j.mT) * row + row.mT * (k + k.mT)) + u * gs
    if m > n:
        left = left + (gu - u @ (u.mT @ gu)) * one_over_singular(s, shape=(m, n))[..., None, :]
    total = left @ v.mT
    if n > m:
        total = total + (u * one_over_singular(s, shape=(m, n))[..., None, :]) @ (gv - v @ (v.mT @ gv)).mT
    return total


def _svd_values_rule(g: Any, _y: Any, factors: Any, _a: Any) -> Any:
    m = _a.shape[-2]
    return (factors[..., :m, :] * g[..., None, :]) @ factors[..., m + 1 :, :].mT


svd = Primitive("svd", _svd, _svd_rule)
svd_values = Primitive("svd_values", lambda factors, _a: factors[..., _a.shape[-2], :], None, _svd_values_rule)
one_over_singular = Primitive("one_over_singular", _one_over_singular, lambda g, y, _s, shape: -g * y * y)


def _nonzero_part(s: Any, shape: tuple[int, int]) -> Any:
    """The singular values, exactly 0 where they are 0 as far as rounding can tell."""
    small = ROUNDING * max(shape) * np.finfo(s.dtype).eps * np.max(s, -1, initial=0, keepdims=True)
    return np.where(s <= small, np.zeros_like(s), s)


# for norms: a singular value is an absolute value, and has slope 0 at 0
nonzero_part = Primitive("nonzero_part", _nonzero_part, lambda g, y, _s, shape: gate(g, y > 0))

# ---------------------------------------------------------------- norms


def _vector_norm(x: Any, ord: float = 2, axis: Axes = None, keepdims: bool = False) -> Any:  # noqa: A002 - NumPy's name
    """(Σ |x|^p)^(1/p); scaled by the entry that counts most where the plain sum would overflow or vanish."""
    size = np.abs(_real(x, "norm"))
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        y = np.sum(size**ord, axis=axis, keepdims=True) ** (1 / ord)
        if abs(ord) > 1:
            limits, p = np.finfo(y.dtype), 1 / abs(ord)
            if not np.all((y > float(limits.tiny) ** p * 1e4) & (y < float(limits.max) ** p / 1e4)):
                extreme, start = (np.max, 0) if ord > 0 else (np.min, np.inf)
                top = extreme(size, axis=axis, keepdims=True, initial=start)
                top = np.where((top > 0) & np.isfinite(top), top, 1)
                y = top * np.sum((size / top) ** ord, axis=axis, keepdims=True) ** (1 / ord)
    return y if keepdims else np.squeeze(y, axis)[()]


def _vector_norm_rule(g: Any, y: Any, x: Any, ord: float = 2, axis: Axes = None, keepdims: bool = False) -> Any:  # noqa: A002
    """g x / ‖x‖, and sign(x) (|x| / ‖x‖)^(p − 1) for other orders; 0 at 0."""
    g, y = keep(g, x, axis, keepdims), keep(y, x, axis, keepdims)
    if ord == 2:
        return g * ratio(x, y)
    share = ratio(absolute(x), y)
    if ord < 1:  # the power is infinite for an entry 0, and has no meaning for a norm 0
        flat = equal(x, 0) | equal(y, 0)
        return g * where(flat, 0.0, sign(x) * constant_power(where(flat, 1.0, share), exponent=ord - 1))
    return g * (sign(x) * constant_power(share, exponent=ord - 1))


def _ratio(a: Any, b: Any) -> Any:
    return np.where(b == 0, a, a / np.where(b == 0, 1, b))


# a / b, but 0 where both are 0; its slope there is nan
ratio: Primitive = pointwise("ratio", _ratio, lambda g, _y, _a, b: g / nan_for_zero(b),
                  lambda g, y, _a, b: -g * y / nan_for_zero(b))
nan_for_zero: Primitive = pointwise("nan_for_zero", lambda x: np.where(x == 0, np.nan, x), lambda g, _y, _x: g)
vector_norm = Primitive("vector_norm", _vector_norm, _vector_norm_rule, symbol="‖{0}‖")
