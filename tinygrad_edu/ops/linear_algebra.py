"""Linear algebra with NumPy's names: `tg.linalg.inv`, `np.linalg.inv`. Stacks of matrices wherever NumPy takes them.

The functions are recorded and have derivatives of every order; `docs/linear_algebra.md` says what happens for singular
matrices and repeated eigenvalues. A matrix of which NumPy reads one triangle (Cholesky, symmetric eigenvalues) gets its
gradient in that triangle.
"""

from __future__ import annotations

import builtins
import math
from typing import Any, NamedTuple

import numpy as np

from ..errors import ShapeError, UnsupportedError, name_of, variable_names
from ..rules import linear_algebra as rules
from ..tensor import Tensor, leaf
from . import arranging, products
from .arranging import concatenate, roll
from .inputs import Axis, as_array, floating, one_axis, value_of
from .pointwise import absolute, divide, multiply, sign
from .reductions import max, min, sum
from .selecting import getitem
from .shapes import matrix_transpose, moveaxis, reshape, transpose

# names that NumPy has at the top too; `tg.linalg` is this module
__all__ = ["cross", "kron", "vecdot"]


class EigResult(NamedTuple):
    """What eig gives."""

    eigenvalues: Any
    eigenvectors: Any


class EighResult(NamedTuple):
    """What eigh gives."""

    eigenvalues: Any
    eigenvectors: Any


class QRResult(NamedTuple):
    """What qr gives."""

    Q: Any
    R: Any


class SlogdetResult(NamedTuple):
    """What slogdet gives."""

    sign: Any
    logabsdet: Any


class SVDResult(NamedTuple):
    """What svd gives."""

    U: Any
    S: Any
    Vh: Any


def _matrix(a: Any, where: str) -> Any:
    a = floating(a, where)
    if a.ndim < 2:
        name = name_of(a, variable_names(), "the array")
        raise ShapeError(f"{where}: {name} has shape {tuple(a.shape)}, and a matrix is needed, or a stack of matrices. Use "
                         ".reshape(n, n).")
    return a


def _square(a: Any, where: str, instead: str) -> Any:
    a = _matrix(a, where)
    if a.shape[-1] != a.shape[-2]:
        name = name_of(a, variable_names(), "A")
        raise ShapeError(f"{where}: {name} has shape {tuple(a.shape)}, and the matrix must be square. "
                         + instead.replace("A", name))
    return a


# ---------------------------------------------------------------- inverse, solution, determinant


def inv(a: Any) -> Any:
    """The inverse of each square matrix, shape (..., n, n). dA = −A⁻ᵀ g A⁻ᵀ (Giles 2008).

    Raises ShapeError for a matrix that is not square, LinearAlgebraError for a singular one.

    >>> import tinygrad_edu as tg
    >>> tg.linalg.inv(tg.Tensor([[2.0, 0.0], [0.0, 4.0]])).numpy().tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    return rules.inv(_square(a, "inv", "Use np.linalg.pinv(A)."))


def solve(a: Any, b: Any) -> Any:
    """The x with a @ x = b. b of shape (n,) is one right side; else its last two axes are a matrix of right sides.

    dB = A⁻ᵀ g and dA = −dB Xᵀ (Giles 2008).

    >>> import tinygrad_edu as tg
    >>> tg.linalg.solve(tg.Tensor([[2.0, 0.0], [0.0, 4.0]]), [1.0, 1.0])
    Tensor([0.5 , 0.25])
    """
    a, b = _square(a, "solve", "Use np.linalg.lstsq(A, b)[0]."), floating(b, "solve")
    size = b.shape[0] if b.ndim == 1 else b.shape[-2] if b.ndim else None
    if size != a.shape[-1]:
        names = variable_names()
        raise ShapeError(f"solve: {name_of(a, names, 'A')} {tuple(a.shape)} and {name_of(b, names, 'b')} {tuple(b.shape)}: "
                         f"the right side needs {a.shape[-1]} rows."
                         + (" A stack of vectors is solved as b[..., None]." if b.ndim and b.shape[-1] == a.shape[-1] else ""))
    if b.ndim > 1:
        return rules.solve(a, b)
    x = rules.solve(a, reshape(b, (size, 1)))
    return reshape(x, tuple(x.shape[:-1]))


def det(a: Any) -> Any:
    """The determinant of each square matrix. Its derivative is the matrix of cofactors, right for a singular one too.

    >>> import tinygrad_edu as tg
    >>> tg.grad(tg.linalg.det)([[1.0, 2.0], [2.0, 4.0]]).round(12).tolist()
    [[4.0, -2.0], [-2.0, 1.0]]
    """
    return rules.det(_square(a, "det", "np.linalg.det(A.T @ A) is the squared volume."))


def slogdet(a: Any) -> Any:
    """Sign and logarithm of the absolute value of the determinant, which do not overflow. d log|det A| = A⁻ᵀ.

    >>> import tinygrad_edu as tg
    >>> sign, log = tg.linalg.slogdet(tg.Tensor([[1.0, 0.0], [0.0, 1.0]]))
    >>> log
    Tensor(0.0)
    """
    a = _square(a, "slogdet", "np.linalg.slogdet(A.T @ A) is that of the squared volume.")
    return SlogdetResult(rules.det_sign(a), rules.logabsdet(a))


def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """The pseudo-inverse of each matrix (..., m, n), shape (..., n, m); singular values up to rcond times the largest
    count as 0. The derivative is that at constant rank (Golub and Pereyra 1973).

    With `hermitian` the lower triangle alone is read.

    >>> import tinygrad_edu as tg
    >>> tg.linalg.pinv(tg.Tensor([[2.0], [0.0]])).numpy().tolist()
    [[0.5, 0.0]]
    """
    if hermitian:
        a = _square(a, "pinv", "Leave out hermitian=True.")
        a = rules.mirror(a)
    a = _matrix(a, "pinv")
    if rcond is None and rtol is not None:
        rcond = rtol
    if not builtins.all(a.shape[-2:]):
        return matrix_transpose(a)
    return rules.pinv(a, **({} if rcond is None else {"rcond": value_of(rcond)}))


def lstsq(a: Any, b: Any, rcond: float | None = None) -> Any:
    """The x of least ‖a x − b‖ (and of least ‖x‖ where several), with the residuals, the rank and the singular values.

    x is pinv(a) @ b. a of shape (m, n), b (m,) or (m, k). The rank is a plain number.

    >>> import tinygrad_edu as tg
    >>> x, residuals, rank, s = tg.linalg.lstsq(tg.Tensor([[1.0], [1.0]]), [1.0, 3.0])
    >>> x.numpy().round(12).tolist(), residuals.numpy().round(12).tolist(), rank
    ([2.0], [2.0], 1)
    """
    a, b = _matrix(a, "lstsq"), floating(b, "lstsq")
    if a.ndim != 2 or b.ndim not in (1, 2) or a.shape[0] != b.shape[0]:
        raise ShapeError(f"lstsq: shapes {tuple(a.shape)} and {tuple(b.shape)}; they must be (m, n) and (m,) or (m, k). For "
                         "stacks of matrices use np.linalg.pinv(A) @ b.")
    m, n = a.shape
    precision = float(np.finfo(a.dtype).eps)
    rcond = precision * builtins.max(m, n) if rcond is None else precision if rcond < 0 else float(rcond)
    x = products.matmul(pinv(a, rcond), b)
    s = svdvals(a)
    held = value_of(s)
    rank = len(held[held > rcond * np.max(held, initial=0)])  # a count of entries: compiled functions check it
    misses = products.matmul(a, x) - b
    residuals = sum(misses * misses, 0, keepdims=b.ndim == 1) if rank == n < m else np.zeros(0, x.dtype)
    return x, residuals, rank, s


def matrix_power(a: Any, n: int) -> Any:
    """The n-th power of each square matrix, n a whole number: by squaring; of the inverse for n < 0.

    >>> import tinygrad_edu as tg
    >>> tg.linalg.matrix_power(tg.Tensor([[1.0, 1.0], [0.0, 1.0]]), 3).numpy().tolist()
    [[1.0, 3.0], [0.0, 1.0]]
    """
    if not isinstance(n, (int, np.integer)):
        raise TypeError(f"matrix_power: the exponent {n!r} must be a whole number. For x**y of each entry use np.power.")
    a = _square(a, "matrix_power", "np.linalg.matrix_power(A.T @ A, n) has a square matrix.")
    n = int(n)
    if n < 0:
        a, n = inv(a), -n
    if not n:
        unit = np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape).copy()
        return leaf(unit, requires_grad=False, why="constants") if type(a) is Tensor else unit
    y: Any = None
    while True:
        n, odd = divmod(n, 2)
        if odd:
            y = a if y is None else products.matmul(y, a)
        if not n:
            return y
        a = products.matmul(a, a)


def tensorinv(a: Any, ind: int = 2) -> Any:
    """The inverse of a as a linear map from its last axes to its first `ind`.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.linalg.tensorinv(tg.Tensor(np.eye(6).reshape(6, 2, 3)), ind=1).shape
    (2, 3, 6)
    """
    a = floating(a, "tensorinv")
    if ind <= 0:
        raise ValueError(f"tensorinv: ind={ind}: at least one axis must be the map's result.")
    first, last = tuple(a.shape[:ind]), tuple(a.shape[ind:])
    if math.prod(first) != math.prod(last):
        raise ShapeError(f"tensorinv: shape {tuple(a.shape)}: the first {ind} axes have {math.prod(first)} entries, the others "
                         f"{math.prod(last)}; they must be as many.")
    return reshape(inv(reshape(a, (math.prod(first), math.prod(last)))), last + first)


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """The x with tensordot(a, x, x.ndim) = b; `axes` of a are moved to the end first.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.linalg.tensorsolve(tg.Tensor(np.eye(6).reshape(6, 2, 3)), np.ones(6)).shape
    (2, 3)
    """
    a, b = floating(a, "tensorsolve"), floating(b, "tensorsolve")
    if axes is not None:
        moved = [one_axis(a, int(i), "tensorsolve") for i in axes]
        a = transpose(a, [i for i in range(a.ndim) if i not in moved] + moved)
    shape = tuple(a.shape[b.ndim :])
    n = math.prod(shape)
    if a.size != n * n or b.size != n:
        raise ShapeError(f"tensorsolve: shapes {tuple(a.shape)} and {tuple(b.shape)}: a must have the shape of b, followed by "
                         "that of the solution, with as many entries in both.")
    return reshape(solve(reshape(a, (n, n)), reshape(b, (n,))), shape)


# ---------------------------------------------------------------- factorisations


def cholesky(a: Any, *, upper: bool = False) -> Any:
    """The lower triangular L with L Lᵀ = a, of each symmetric positive definite matrix; with `upper` its transpose.

    Only the lower triangle of a is read (the upper one with `upper`), and gets the gradient (Murray 2016).

    >>> import tinygrad_edu as tg
    >>> tg.linalg.cholesky(tg.Tensor([[4.0, 2.0], [2.0, 5.0]])).numpy().tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    a = _square(a, "cholesky", "A.T @ A is square, and positive definite if the columns are independent.")
    return matrix_transpose(rules.cholesky(matrix_transpose(a))) if upper else rules.cholesky(a)


def _triangle(UPLO: str) -> dict[str, str]:
    side = str(UPLO).upper()
    if side not in ("L", "U"):
        raise ValueError(f"eigh: UPLO={UPLO!r}: write 'L' to read the lower triangle, or 'U' for the upper one.")
    return {"UPLO": "U"} if side == "U" else {}


def _symmetric(a: Any, where: str) -> Any:
    return _square(a, where, "Use np.linalg.svd(A, full_matrices=False).")


def eigh(a: Any, UPLO: str = "L") -> Any:
    """Eigenvalues, increasing, and eigenvectors, the columns, of each symmetric matrix, of which one triangle is read.

    That triangle gets the gradient. Eigenvectors of a repeated eigenvalue have no derivative: it is nan; the derivative
    of the eigenvalues does not need them.

    >>> import tinygrad_edu as tg
    >>> w, V = tg.linalg.eigh(tg.Tensor([[2.0, 0.0], [0.0, 1.0]]))
    >>> w
    Tensor([1., 2.])
    """
    a, side = _symmetric(a, "eigh"), _triangle(UPLO)
    factors = rules.eigh(a, **side)
    return EighResult(rules.eigh_values(factors, a, **side), getitem(factors, (Ellipsis, slice(1, None), slice(None))))


def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """The eigenvalues, increasing, of each symmetric matrix, of which one triangle is read. ∂λ/∂A = v vᵀ.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.grad(lambda A: np.linalg.eigvalsh(A).sum())(np.eye(2)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return eigh(_symmetric(a, "eigvalsh"), UPLO).eigenvalues


def eig(a: Any) -> Any:
    """Eigenvalues and eigenvectors, columns of length 1, of each square matrix whose eigenvalues are all real.

    Raises UnsupportedError where eigenvalues are complex. Where eigenvectors are repeated the derivative is nan.

    >>> import tinygrad_edu as tg
    >>> w, V = tg.linalg.eig(tg.Tensor([[2.0, 1.0], [0.0, 1.0]]))
    >>> w
    Tensor([2., 1.])
    """
    a = _square(a, "eig", "Use np.linalg.svd(A, full_matrices=False).")
    factors = rules.eig(a)
    return EigResult(rules.eig_values(factors, a), getitem(factors, (Ellipsis, slice(1, None), slice(None))))


def eigvals(a: Any) -> Any:
    """The eigenvalues of each square matrix, all of which must be real.

    >>> import tinygrad_edu as tg
    >>> tg.linalg.eigvals(tg.Tensor([[2.0, 1.0], [0.0, 1.0]]))
    Tensor([2., 1.])
    """
    return eig(_square(a, "eigvals", "Use np.linalg.svdvals(A).")).eigenvalues


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """U, S, Vh with a = U diag(S) Vh, of each matrix (..., m, n), the singular values S decreasing (Townsend 2016).

    With full_matrices, NumPy's default, U and Vh are square; the columns that fill up the larger one are not determined
    by a and have no derivative, so for m ≠ n write full_matrices=False. Vectors of a repeated singular value have no
    derivative: it is nan; the derivative of the singular values does not need them.

    >>> import tinygrad_edu as tg
    >>> U, S, Vh = tg.linalg.svd(tg.Tensor([[3.0, 0.0], [0.0, 2.0], [0.0, 0.0]]), full_matrices=False)
    >>> S
    Tensor([3., 2.])
    """
    a = _matrix(a, "svd")
    if hermitian:
        raise UnsupportedError("svd: hermitian=True is not recorded. Leave it out, or use np.linalg.eigh(A).")
    if not compute_uv:
        return svdvals(a)
    m, n = a.shape[-2:]
    if full_matrices and m != n:
        if type(a) is not Tensor:
            return SVDResult(*np.linalg.svd(a))
        raise UnsupportedError(
            f"svd: a of shape {tuple(a.shape)}: with full_matrices=True, the default, {'U' if m > n else 'Vh'} has "
            f"{builtins.abs(m - n)} {'columns' if m > n else 'rows'} more than a determines, which have no derivative. Use "
            "np.linalg.svd(a, full_matrices=False).")
    factors = rules.svd(a)
    parts = [getitem(factors, (Ellipsis, rows, slice(None))) for rows in (slice(0, m), slice(m + 1, None))]
    return SVDResult(parts[0], rules.svd_values(factors, a), matrix_transpose(parts[1]))


def svdvals(x: Any) -> Any:
    """The singular values of each matrix, decreasing. ∂σ/∂A = u vᵀ.

    >>> import tinygrad_edu as tg
    >>> tg.linalg.svdvals(tg.Tensor([[3.0, 0.0], [0.0, 2.0]]))
    Tensor([3., 2.])
    """
    return svd(_matrix(x, "svdvals"), full_matrices=False).S


def qr(a: Any, mode: str = "reduced") -> Any:
    """Q with orthonormal columns and R upper triangular, a = Q R, of each matrix (..., m, n) (Walter and Lehmann 2010).

    mode : "reduced", Q (m, k) and R (k, n) with k = min(m, n); "r", R alone; "complete" where it is the same, m ≤ n. The
    derivative is nan where the first k columns are dependent.

    >>> import tinygrad_edu as tg
    >>> Q, R = tg.linalg.qr(tg.Tensor([[2.0], [0.0]]))
    >>> abs(R).numpy().tolist()
    [[2.0]]
    """
    a = _matrix(a, "qr")
    m, n = a.shape[-2:]
    if mode not in ("reduced", "complete", "r"):
        raise UnsupportedError(f'qr: mode={mode!r} is not recorded. Use mode="reduced", "complete" or "r".')
    if mode == "complete" and m > n:
        if type(a) is not Tensor:
            return QRResult(*np.linalg.qr(a, "complete"))
        raise UnsupportedError(
            f'qr: a of shape {tuple(a.shape)}: with mode="complete", Q has {m - n} columns more than a determines, which have '
            'no derivative. Use mode="reduced".')
    whole = (Ellipsis, slice(None))
    factors = rules.qr(a if m >= n else getitem(a, (*whole, slice(0, m))))
    q = getitem(factors, (Ellipsis, slice(0, m), slice(None)))
    r = matrix_transpose(getitem(factors, (Ellipsis, slice(m, None), slice(None))))
    if m < n:  # the first m columns decide Q
        r = concatenate([r, products.matmul(matrix_transpose(q), getitem(a, (*whole, slice(m, None))))], -1)
    return r if mode == "r" else QRResult(q, r)


# ---------------------------------------------------------------- norms


def _settings(x: Any, axes: tuple[int, ...], keepdims: bool) -> dict[str, Any]:
    """What is not the default: all axes, not kept."""
    return ({} if len(axes) == x.ndim else {"axis": axes}) | ({"keepdims": True} if keepdims else {})


def _vector_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if ord is None or ord == 2:
        return rules.vector_norm(x, **_settings(x, axes, keepdims))
    if isinstance(ord, str):
        raise ValueError(f"norm: order {ord!r} for vectors. Vectors have the orders inf, -inf, 0 and any number; "
                         "'fro' and 'nuc' are for matrices, axis=(i, j).")
    if ord == math.inf:
        return max(absolute(x), axes, keepdims)
    if ord == -math.inf:
        return min(absolute(x), axes, keepdims)
    if ord == 0:  # how many are not 0
        return sum(absolute(sign(x)), axes, keepdims)
    if ord == 1:
        return sum(absolute(x), axes, keepdims)
    return rules.vector_norm(x, ord=float(ord), **_settings(x, axes, keepdims))


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, int], keepdims: bool) -> Any:
    if ord is None or (isinstance(ord, str) and ord in ("fro", "f")):
        return rules.vector_norm(x, **_settings(x, tuple(sorted(axes)), keepdims))
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    x = moveaxis(x, axes, (-2, -1))
    if not isinstance(ord, str) and builtins.abs(ord) in (1, math.inf):
        sums = sum(absolute(x), -2 if builtins.abs(ord) == 1 else -1)
        y = max(sums, -1) if ord > 0 else min(sums, -1)
    elif (isinstance(ord, str) and ord == "nuc") or ord in (2, -2):
        s = rules.nonzero_part(svdvals(x), shape=tuple(x.shape[-2:]))
        y = sum(s, -1) if ord == "nuc" else max(s, -1) if ord == 2 else min(s, -1)
    else:
        raise ValueError(f"norm: order {ord!r} for matrices. Matrices have the orders 'fro', 'nuc', 1, -1, 2, -2, inf and "
                         "-inf.")
    return reshape(y, shape) if keepdims else y


def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """The norm of a vector or matrix, or of each along the given axis or pair of axes; None takes the entries of x.

    ord : for vectors inf, -inf, 0, or a number p for (Σ |x|^p)^(1/p), 2 by default; for matrices 'fro' (the default),
    'nuc', 2 and -2 (singular values), 1 and -1 (columns), inf and -inf (rows). The slope at 0 is 0; ties share.

    >>> import tinygrad_edu as tg
    >>> tg.linalg.norm(tg.Tensor([3.0, 4.0]))
    Tensor(5.0)
    """
    x = floating(x, "norm")
    if axis is None and (ord is None or (x.ndim == 2 and isinstance(ord, str) and ord in ("fro", "f"))):
        return rules.vector_norm(x, **_settings(x, tuple(range(x.ndim)), keepdims))
    given = range(x.ndim) if axis is None else (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    axes = tuple(one_axis(x, int(i), "norm") for i in given)
    if len(set(axes)) < len(axes):
        raise ValueError(f"norm: axis={axis} names an axis twice. Name each once.")
    if len(axes) == 1:
        return _vector_norm(x, ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, ord, (axes[0], axes[1]), keepdims)
    raise ValueError(f"norm: {len(axes)} axes. Name one axis for vectors or two for matrices, or use "
                     "np.linalg.vector_norm(x, axis=...).")


def vector_norm(x: Any, *, axis: Axis = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """The norm of the entries along an axis, several, or all (None), taken as one vector.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.linalg.vector_norm(tg.Tensor(np.ones((2, 2))))
    Tensor(2.0)
    """
    x = floating(x, "vector_norm")
    given = range(x.ndim) if axis is None else (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    return _vector_norm(x, ord, tuple(sorted(one_axis(x, int(i), "vector_norm") for i in given)), keepdims)


def matrix_norm(x: Any, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """The norm of each matrix, in the last two axes; orders as in norm.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.linalg.matrix_norm(tg.Tensor(np.ones((2, 2))))
    Tensor(2.0)
    """
    x = _matrix(x, "matrix_norm")
    return _matrix_norm(x, ord, (x.ndim - 2, x.ndim - 1), keepdims)


def cond(x: Any, p: Any = None) -> Any:
    """The condition number of each matrix: the norm times that of the inverse; for p None and 2 the ratio of the extreme
    singular values.

    >>> import tinygrad_edu as tg
    >>> tg.linalg.cond(tg.Tensor([[4.0, 0.0], [0.0, 2.0]]))
    Tensor(2.0)
    """
    x = _matrix(x, "cond")
    if not builtins.all(x.shape[-2:]):
        raise ShapeError(f"cond: shape {tuple(x.shape)}: a matrix without entries has no condition number. Give some.")
    if p is None or (not isinstance(p, str) and p in (2, -2)):
        s = svdvals(x)
        largest, smallest = getitem(s, (Ellipsis, 0)), getitem(s, (Ellipsis, -1))
        with np.errstate(divide="ignore", invalid="ignore"):
            return divide(smallest, largest) if p == -2 else divide(largest, smallest)
    x = _square(x, "cond", "Other orders than 2 need the inverse: use p=2.")
    return matrix_norm(x, ord=p) * matrix_norm(inv(x), ord=p)


def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """The rank of each matrix: a plain integer, without derivative.

    >>> import numpy as np, tinygrad_edu as tg
    >>> int(tg.linalg.matrix_rank(tg.Tensor(np.ones((3, 3)))))
    1
    """
    return np.linalg.matrix_rank(value_of(A), value_of(tol), hermitian, **({} if rtol is None else {"rtol": value_of(rtol)}))


# ---------------------------------------------------------------- products, diagonals


def kron(a: Any, b: Any) -> Any:
    """The Kronecker product: every entry of a times the whole of b, side by side.

    Along every axis the result's size is the product of both: (m, n) and (p, q) give (mp, nq).

    >>> import tinygrad_edu as tg
    >>> tg.kron(tg.Tensor([1.0, 10.0]), [1.0, 2.0])
    Tensor([ 1.,  2., 10., 20.])
    """
    a, b = as_array(a, "kron"), as_array(b, "kron")
    ndim = builtins.max(a.ndim, b.ndim)
    first, second = ((1,) * (ndim - x.ndim) + tuple(x.shape) for x in (a, b))
    tables = multiply(reshape(a, tuple(k for n in first for k in (n, 1))), reshape(b, tuple(k for n in second for k in (1, n))))
    return reshape(tables, tuple(n * k for n, k in zip(first, second, strict=True)))


def _cross(a: Any, b: Any) -> Any:
    """Along the last axis of both: a moved ahead times b moved behind, less the other way round."""
    ahead, behind = ([roll(x, step, -1) for x in (a, b)] for step in (-1, 1))
    return ahead[0] * behind[1] - behind[0] * ahead[1]


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """The cross product of vectors of 3 entries: along the last axes, or those named; `axisc` is the result's.

    >>> import tinygrad_edu as tg
    >>> tg.cross(tg.Tensor([1.0, 0.0, 0.0]), [0.0, 1.0, 0.0])
    Tensor([0., 0., 1.])
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = as_array(a, "cross"), as_array(b, "cross")
    if not a.ndim or not b.ndim:
        raise ShapeError("cross: a single number has no cross product. Give vectors of 3 entries.")
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ShapeError(f"cross: vectors of {a.shape[-1]} and {b.shape[-1]} entries; both need 3. In the plane it is the "
                         "number a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0].")
    y = _cross(a, b)
    return moveaxis(y, -1, axisc)


def _linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """np.linalg.cross: one axis for all."""
    return cross(x1, x2, axis=axis)


def vecdot(x1: Any, x2: Any, axis: int = -1) -> Any:
    """The inner product of vectors along an axis of both.

    The result has the broadcast shape without that axis. Raises ShapeError where the vectors' sizes differ.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.vecdot(tg.Tensor(np.ones((2, 3))), [1.0, 2.0, 3.0])
    Tensor([6., 6.])
    """
    x1, x2 = as_array(x1, "vecdot"), as_array(x2, "vecdot")
    a, b = (moveaxis(x, axis, -1) if x.ndim else x for x in (x1, x2))
    if not a.ndim or not b.ndim or a.shape[-1] != b.shape[-1]:
        raise ShapeError(f"vecdot: shapes {tuple(x1.shape)} and {tuple(x2.shape)} along axis {axis}: the vectors need as many "
                         "entries.")
    return sum(multiply(a, b), -1)


def outer(x1: Any, x2: Any) -> Any:
    """All products of an entry of x1 and an entry of x2, two vectors.

    >>> import tinygrad_edu as tg
    >>> tg.linalg.outer(tg.Tensor([1.0, 2.0]), [3.0, 4.0, 5.0]).shape
    (2, 3)
    """
    x1, x2 = as_array(x1, "outer"), as_array(x2, "outer")
    if x1.ndim != 1 or x2.ndim != 1:
        raise ShapeError(f"np.linalg.outer: shapes {tuple(x1.shape)} and {tuple(x2.shape)}; both must be vectors. Use "
                         "np.outer, which takes the entries of any array.")
    return products.outer(x1, x2)


def matmul(x1: Any, x2: Any) -> Any:
    """The matrix product x1 @ x2.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.linalg.matmul(tg.Tensor(np.ones((2, 3))), np.ones(3))
    Tensor([3., 3.])
    """
    return products.matmul(x1, x2)


def tensordot(x1: Any, x2: Any, *, axes: Any = 2) -> Any:
    """The sum over pairs of axes: an int (that many last of x1 and first of x2), or two lists of axes.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.linalg.tensordot(tg.Tensor(np.ones((2, 3, 4))), np.ones((3, 4, 5))).shape
    (2, 5)
    """
    return products.tensordot(x1, x2, axes)


def diagonal(x: Any, *, offset: int = 0) -> Any:
    """A diagonal of each matrix, in the last two axes.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.linalg.diagonal(tg.Tensor(np.ones((5, 2, 3)))).shape
    (5, 2)
    """
    return arranging.diagonal(_matrix(x, "diagonal"), offset, -2, -1)


def trace(x: Any, *, offset: int = 0) -> Any:
    """The sum of a diagonal of each matrix, in the last two axes.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.linalg.trace(tg.Tensor(np.ones((2, 3, 3))))
    Tensor([3., 3.])
    """
    return sum(diagonal(x, offset=offset), -1)


def multi_dot(arrays: Any) -> Any:
    """The product of several matrices, in the order of the fewest multiplications; first and last may be vectors.

    >>> import numpy as np, tinygrad_edu as tg
    >>> np.linalg.multi_dot([tg.Tensor(np.ones((2, 3))), np.ones((3, 4)), np.ones(4)])
    Tensor([12., 12.])
    """
    items = [as_array(x, "multi_dot") for x in arrays]
    if len(items) < 2:
        raise ValueError(f"multi_dot: {len(items)} matrices given. Give at least two.")
    row, column = items[0].ndim == 1, items[-1].ndim == 1
    if row:
        items[0] = reshape(items[0], (1, -1) if items[0].size else (1, 0))
    if column:
        items[-1] = reshape(items[-1], (-1, 1) if items[-1].size else (0, 1))
    if builtins.any(x.ndim != 2 for x in items):
        raise ShapeError("multi_dot: shapes " + ", ".join(str(tuple(x.shape)) for x in items) + "; all must be matrices, the "
                         "first and the last may be vectors. Use @ for stacks of matrices.")
    y = _product_of(items, _best_splits([items[0].shape[0], *[x.shape[1] for x in items]]))
    return reshape(y, tuple(n for n, drop in zip(y.shape, (row, column), strict=True) if not drop))


def _best_splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to split the product of the i-th to j-th matrix (Cormen et al., matrix chains)."""
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            cost[i, j], split[i, j] = builtins.min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j))
    return split


def _product_of(items: list[Any], split: dict[tuple[int, int], int]) -> Any:
    """The product in that order, without recursion: what is ready is multiplied."""
    ready = {(i, i): x for i, x in enumerate(items)}
    waiting = [(0, len(items) - 1)]
    while waiting:
        i, j = waiting[-1]
        parts = [(i, split[i, j]), (split[i, j] + 1, j)] if i < j else []
        missing = [part for part in parts if part not in ready]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        if parts:
            ready[i, j] = products.matmul(ready[parts[0]], ready[parts[1]])
    return ready[0, len(items) - 1]


NUMPY = {
    np.cross: cross, np.linalg.cross: _linalg_cross, np.linalg.matrix_transpose: matrix_transpose,
    **{getattr(np.linalg, function.__name__): function for function in (
        inv, solve, det, slogdet, pinv, lstsq, matrix_power, tensorinv, tensorsolve, cholesky, eigh, eigvalsh, eig, eigvals,
        svd, svdvals, qr, norm, vector_norm, matrix_norm, cond, matrix_rank, vecdot, outer, matmul, tensordot, diagonal,
        trace, multi_dot)},
}
