"""Medians and quantiles, covariances, and what leaves out the entries that are not a number."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..errors import ShapeError, UnsupportedError
from ..rules.selecting import order_statistic
from ..tensor import Tensor
from .arranging import concatenate, diag, stack
from .inputs import Axis, as_array, axes_of, floating, value_of
from .pointwise import divide, isinf, isnan, sqrt, where
from .products import matmul
from .reductions import cumprod, cumsum, max, mean, min, prod, sum
from .shapes import atleast_2d, expand_dims, moveaxis, reshape

__all__ = [
    "corrcoef", "cov", "median", "nan_to_num", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmin", "nanprod", "nanstd",
    "nansum", "nanvar", "percentile", "quantile",
]

# ---------------------------------------------------------------- places in increasing order


def _in_one_row(x: Any, axis: Axis, where: str) -> tuple[Any, tuple[int, ...]]:
    """x with the reduced axes joined as its last one; and these axes."""
    axes = axes_of(x, axis, where)
    axes = tuple(range(x.ndim)) if axes is None else axes
    rest = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    if axes != tuple(range(x.ndim - len(axes), x.ndim)):
        x = moveaxis(x, axes, tuple(range(-len(axes), 0)))
    size = math.prod(x.shape[len(rest):])
    if not size:
        raise ShapeError(f"{where}: there is no entry to choose from along axis {axis} of shape {tuple(x.shape)}.")
    return reshape(x, (*rest, size)), axes


def median(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The middle entry in increasing order, the mean of the two middle ones of an even number, along axes or of all (None).

    Ties for the middle share the gradient equally. One nan makes the median nan.

    Raises ShapeError where there is no entry.

    >>> import tinygrad_edu as tg
    >>> tg.grad(tg.median)([5.0, 1.0, 3.0, 9.0])
    array([0.5, 0. , 0.5, 0. ])
    """
    rows, axes = _in_one_row(floating(x, "median"), axis, "median")
    n = rows.shape[-1]
    y = order_statistic(rows, k=n // 2)
    if n % 2 == 0:
        y = mean(stack([order_statistic(rows, k=n // 2 - 1), y]), 0)
    return expand_dims(y, axes) if keepdims else y


_BETWEEN = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Any:
    """The value that a part q of the entries lies below, along axes or of all (None).

    q : a number in [0, 1], or an array of them, whose axes come first in the result. method : what to take between two
    entries: "linear" (between them in proportion), "lower", "higher", "midpoint" or "nearest". Ties share the gradient
    equally. One nan makes the quantile nan.

    Raises ValueError, ShapeError, and UnsupportedError for NumPy's other methods and a Tensor q.

    >>> import tinygrad_edu as tg
    >>> tg.grad(lambda x: tg.quantile(x, 0.25))([5.0, 1.0, 3.0])
    array([0. , 0.5, 0.5])
    """
    return _quantile(x, q, axis, method, keepdims, "quantile", 1.0)


def percentile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Any:
    """The value that q per cent of the entries lie below: quantile(x, q / 100).

    >>> import tinygrad_edu as tg
    >>> tg.percentile(tg.Tensor([5.0, 1.0, 3.0]), 50)
    Tensor(3.0)
    """
    return _quantile(x, q, axis, method, keepdims, "percentile", 100.0)


def _quantile(x: Any, q: Any, axis: Axis, method: str, keepdims: bool, name: str, whole: float) -> Any:
    x = floating(x, name)
    if method not in _BETWEEN:
        raise UnsupportedError(f"{name}: method={method!r} is not recorded. Choose one of {', '.join(_BETWEEN)}.")
    if type(q) is Tensor and q.requires_grad:
        raise UnsupportedError(f"{name}: q is a Tensor whose gradient is wanted, and has none here. Pass q.detach().")
    parts = np.asarray(value_of(q), float) / whole
    if not ((parts >= 0) & (parts <= 1)).all():
        raise ValueError(f"{name}: q={q} is outside of [0, {whole:g}].")
    rows, axes = _in_one_row(x, axis, name)
    found = []
    for part in parts.reshape(-1).tolist():
        at = part * (rows.shape[-1] - 1)
        low, high = math.floor(at), math.ceil(at)
        share = {"linear": at - low, "lower": 0.0, "higher": 1.0, "midpoint": 0.5, "nearest": float(np.rint(at)) - low}[method]
        share = share if high > low else 0.0
        below = order_statistic(rows, k=low if share < 1 else high)
        if 0 < share < 1:
            above = order_statistic(rows, k=high)
            below = below + (above - below) * share if share < 0.5 else above - (above - below) * (1 - share)
        found.append(expand_dims(below, axes) if keepdims else below)
    if not parts.ndim:
        return found[0]
    if not found:
        raise ShapeError(f"{name}: q holds no number.")
    y = stack(found)
    return reshape(y, (*parts.shape, *y.shape[1:]))


# ---------------------------------------------------------------- entries that are not a number


def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """x with numbers in the place of nan, inf and −inf (by default 0, the largest and the lowest number of the type).

    What is put in has no gradient. copy=False is refused by NumPy's own meaning of it, a change in place.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.nan_to_num(tg.Tensor([1.0, np.nan, -np.inf]), neginf=-5)
    Tensor([ 1.,  0., -5.])
    """
    x = as_array(x, "nan_to_num")
    if not copy and type(x) is Tensor:
        raise UnsupportedError("nan_to_num: copy=False would change a recorded value. Write x = np.nan_to_num(x).")
    if x.dtype.kind not in "fc":
        return x + 0
    limits = np.finfo(x.dtype)
    y = where(isnan(x), nan, x)
    if not (type(posinf) is type(neginf) is float and posinf == math.inf == -neginf):
        infinite, above = isinf(x), value_of(x) > 0
        y = where(np.logical_and(infinite, above), float(limits.max) if posinf is None else posinf, y)
        y = where(np.logical_and(infinite, np.logical_not(above)), float(limits.min) if neginf is None else neginf, y)
    return y


def _without_nan(x: Any, other: float, where_: str) -> tuple[Any, Any]:
    """x with another number for nan, and where numbers are."""
    x = floating(x, where_)
    gone = isnan(x)
    return where(gone, other, x), np.logical_not(gone)


def nansum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The sum along an axis, several, or all (None), nan being left out.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.nansum(tg.Tensor([1.0, np.nan, 3.0]))
    Tensor(4.0)
    """
    return sum(_without_nan(x, 0.0, "nansum")[0], axis, keepdims)


def nanprod(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The product along an axis, several, or all (None), nan being left out.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.nanprod(tg.Tensor([1.0, np.nan, 3.0]))
    Tensor(3.0)
    """
    return prod(_without_nan(x, 1.0, "nanprod")[0], axis, keepdims)


def _counted(there: Any, axis: Axis, keepdims: bool, dtype: Any, name: str, ddof: float = 0) -> Any:
    """How many numbers there are, less ddof; nan, with NumPy's warning, where that is none."""
    count = there.sum(axis=axis if axis is None or isinstance(axis, int) else tuple(axis), keepdims=keepdims) - ddof
    enough = np.greater(count, 0)
    if not np.asarray(enough).all():
        warnings.warn(f"{name}: no number to take it of; the result is nan there.", RuntimeWarning, stacklevel=4)
    return np.where(enough, count, np.nan).astype(dtype)[()]


def nanmean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean of the numbers along an axis, several, or all (None), nan being left out.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.nanmean(tg.Tensor([1.0, np.nan, 3.0]))
    Tensor(2.0)
    """
    y, there = _without_nan(x, 0.0, "nanmean")
    return divide(sum(y, axis, keepdims), _counted(there, axis, keepdims, y.dtype, "nanmean"))


def nanvar(x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """The variance of the numbers along an axis, several, or all (None), nan being left out: divided by their number − ddof.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.nanvar(tg.Tensor([1.0, np.nan, 3.0]))
    Tensor(1.0)
    """
    y, there = _without_nan(x, 0.0, "nanvar")
    middle = divide(sum(y, axis, True), np.maximum(there.sum(axis=axis, keepdims=True), 1).astype(y.dtype))
    apart = where(there, y - middle, 0.0)
    return divide(sum(apart * apart, axis, keepdims), _counted(there, axis, keepdims, y.dtype, "nanvar", ddof))


def nanstd(x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """The standard deviation of the numbers along an axis, several, or all (None), nan being left out.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.nanstd(tg.Tensor([1.0, np.nan, 3.0]))
    Tensor(1.0)
    """
    variance = nanvar(x, axis, ddof, keepdims)
    flat = value_of(variance) == 0  # the derivative of std is 0 there
    return where(flat, 0.0, sqrt(where(flat, 1.0, variance)))


def _extreme(x: Any, axis: Axis, keepdims: bool, choose: Any, worst: float, name: str) -> Any:
    y, there = _without_nan(x, worst, name)
    some = there.any(axis=axis if axis is None or isinstance(axis, int) else tuple(axis), keepdims=keepdims)
    if not np.asarray(some).all():
        warnings.warn(f"{name}: no number to take it of; the result is nan there.", RuntimeWarning, stacklevel=3)
    return where(some, choose(y, axis, keepdims), np.nan)


def nanmax(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The largest number along an axis, several, or all (None), nan being left out.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.nanmax(tg.Tensor([1.0, np.nan, 3.0]))
    Tensor(3.0)
    """
    return _extreme(x, axis, keepdims, max, -math.inf, "nanmax")


def nanmin(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The smallest number along an axis, several, or all (None), nan being left out.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.nanmin(tg.Tensor([1.0, np.nan, 3.0]))
    Tensor(1.0)
    """
    return _extreme(x, axis, keepdims, min, math.inf, "nanmin")


def nancumsum(x: Any, axis: int | None = None) -> Any:
    """The running sum along an axis, nan counting as 0; None flattens first.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.nancumsum(tg.Tensor([1.0, np.nan, 3.0]))
    Tensor([1., 1., 4.])
    """
    return cumsum(_without_nan(x, 0.0, "nancumsum")[0], axis)


def nancumprod(x: Any, axis: int | None = None) -> Any:
    """The running product along an axis, nan counting as 1; None flattens first.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.nancumprod(tg.Tensor([2.0, np.nan, 3.0]))
    Tensor([2., 2., 6.])
    """
    return cumprod(_without_nan(x, 1.0, "nancumprod")[0], axis)


# ---------------------------------------------------------------- covariances


def cov(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None) -> Any:
    """The covariances of variables: rows of m (and y) are variables, columns observations; with rowvar=False the reverse.

    Divided by n − 1, by n with bias=True, by n − ddof where ddof is given. One variable gives one number.

    >>> import tinygrad_edu as tg
    >>> tg.cov(tg.Tensor([[1.0, 2.0, 3.0], [1.0, 0.0, -1.0]])).numpy().tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    x = _variables(m, rowvar)
    if y is not None:
        x = concatenate([x, _variables(y, rowvar)], 0)
    count = x.shape[1] - ((0 if bias else 1) if ddof is None else ddof)
    if count <= 0:
        raise ShapeError(f"cov: {x.shape[1]} observations are too few for a division by {count}. Give more, or bias=True.")
    centred = x - mean(x, 1, True)
    c = matmul(centred, centred.T) / count
    return c if x.shape[0] > 1 else reshape(c, ())


def _variables(m: Any, rowvar: bool) -> Any:
    x = floating(m, "cov")
    if x.ndim > 2:
        raise ShapeError(f"cov: shape {tuple(x.shape)}. Give a vector or a matrix.")
    x = atleast_2d(x)
    return x if rowvar or as_array(m).ndim < 2 else x.T


def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Any:
    """The correlations of variables: their covariances divided by both standard deviations.

    Arguments as for cov: m variables give (m, m), one gives a number.

    >>> import tinygrad_edu as tg
    >>> tg.corrcoef(tg.Tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])).numpy().round(3).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    c = cov(x, y, rowvar)
    if not c.ndim:
        return c / c
    s = sqrt(diag(c))
    r = c / reshape(s, (-1, 1)) / reshape(s, (1, -1))
    rounded = value_of(r)
    return r - (rounded - np.clip(rounded, -1.0, 1.0))  # no more than 1, as NumPy's; the slope there stays what it is
