"""Sums, means, products, extremes and spreads along axes, and their running forms."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..rules import reductions
from ..tensor import Primitive, Tensor
from .arranging import diagonal
from .inputs import Axis, as_array, axes_of, floating, one_axis, value_of
from .shapes import moveaxis, ravel, reshape, transpose

_REDUCTION_DOC = """{summary} along an axis, several, or all (None).

    axis : int, negative int, tuple or None; keepdims : leave reduced axes with size 1. {slope}

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([[1.0, 2.0], [3.0, 5.0]])
    >>> tg.{name}(x, axis=1).shape, tg.{name}(x, axis=0, keepdims=True).shape
    ((2,), (1, 2))
    """

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "average", "cummax", "cummin", "cumprod", "cumsum", "logcumsumexp",
    "logsumexp", "max", "mean", "min", "prod", "ptp", "squared_norm", "std", "sum", "trace", "var",
]


def _truth(keepdims: Any, where: str) -> None:
    if not isinstance(keepdims, (bool, np.bool_)):
        raise TypeError(f"{where}: keepdims={keepdims!r}: write keepdims=True or keepdims=False; for the dtype use .astype.")


def _reduction(name: str, op: Primitive, summary: str, slope: str = "") -> Any:
    def function(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        if type(x) is not Tensor:
            x = as_array(x, name)
        if axis is None and keepdims is False:
            return op(x)
        _truth(keepdims, name)
        params: dict[str, Any] = {} if axis is None else {"axis": axes_of(x, axis, name)}
        if keepdims:
            params["keepdims"] = True
        return op(x, **params)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = _REDUCTION_DOC.format(summary=summary, slope=slope, name=name)
    return function


sum = _reduction("sum", reductions.sum_, "The sum", "Every summand gets the gradient of its sum.")
mean = _reduction("mean", reductions.mean, "The mean of n entries", "Every entry gets 1/n of the gradient.")
max = amax = _reduction("max", reductions.max_, "The largest entry", "Ties share the gradient equally.")
min = amin = _reduction("min", reductions.min_, "The smallest entry", "Ties share the gradient equally.")
prod = _reduction("prod", reductions.prod, "The product", "The derivative is the product of the others, exact at zeros.")
any = _reduction("any", reductions.any_, "Whether any entry is true,", "No derivative.")
all = _reduction("all", reductions.all_, "Whether all entries are true,", "No derivative.")
_logsumexp = _reduction("logsumexp", reductions.logsumexp, "log Σ exp(x)")


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """log Σ exp(x) along an axis, several, or all (None), without overflow. Its derivative is the softmax.

    >>> import tinygrad_edu as tg
    >>> print(tg.logsumexp([1000.0, 1000.0]))
    1000.6931471805599
    """
    return _logsumexp(floating(x, "logsumexp"), axis, keepdims)


def _moment(name: str, op: Primitive, summary: str) -> Any:
    def function(x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False, correction: float | None = None
                 ) -> Any:
        x = as_array(x, name)
        _truth(keepdims, name)
        ddof = ddof if correction is None else correction
        params: dict[str, Any] = {} if axis is None else {"axis": axes_of(x, axis, name)}
        if keepdims:
            params["keepdims"] = True
        if ddof:
            params["ddof"] = ddof
        return op(x, **params)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{summary} along an axis, several, or all (None), divided by n − ddof (NumPy's ddof=0).

    >>> import tinygrad_edu as tg
    >>> tg.check_gradients(tg.{name}, [1.0, 2.0, 4.0]).ok
    True
    """
    return function


var = _moment("var", reductions.var, "The variance")
std = _moment("std", reductions.std, "The standard deviation (derivative 0 where all entries are equal)")


def _arg(name: str, op: Primitive, which: str) -> Any:
    def function(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
        x = as_array(x, name)
        return op(x, **({} if axis is None else {"axis": one_axis(x, axis, name)}), **({"keepdims": True} if keepdims else {}))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The index of the {which} entry (the first of several): a plain integer or array of them.

    >>> import tinygrad_edu as tg
    >>> int(tg.{name}(tg.Tensor([2.0, 2.0])))
    0
    """
    return function


argmax = _arg("argmax", reductions.argmax, "largest")
argmin = _arg("argmin", reductions.argmin, "smallest")


def _running(name: str, op: Primitive, summary: str) -> Any:
    def function(x: Any, axis: int | None = None) -> Any:
        x = as_array(x, name)
        if axis is None:
            return op(ravel(x))
        i = one_axis(x, axis, name)
        return op(x) if i == x.ndim - 1 else moveaxis(op(moveaxis(x, i, -1)), -1, i)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The running {summary} along an axis; None flattens first. The result has x's shape.

    >>> import tinygrad_edu as tg
    >>> tg.check_gradients(tg.{name}, [1.0, 3.0, 2.0]).ok
    True
    """
    return function


cumsum = _running("cumsum", reductions.cumsum, "sum")
cumprod = _running("cumprod", reductions.cumprod, "product, exact at zeros,")
cummax = _running("cummax", reductions.cummax, "maximum")
cummin = _running("cummin", reductions.cummin, "minimum")
logcumsumexp = _running("logcumsumexp", reductions.logcumsumexp, "log Σ exp")


def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Largest minus smallest entry along an axis, several, or all (None).

    >>> import tinygrad_edu as tg
    >>> tg.ptp(tg.Tensor([1.0, 4.0]))
    Tensor(3.0)
    """
    return max(x, axis, keepdims) - min(x, axis, keepdims)


def average(x: Any, axis: Axis = None, weights: Any = None, keepdims: bool = False) -> Any:
    """The weighted mean Σ w x / Σ w; weights have x's shape, or one entry for each place along the axis (or the axes).

    Raises ShapeError where the weights do not fit, ZeroDivisionError where they sum to zero.

    >>> import tinygrad_edu as tg
    >>> tg.average(tg.Tensor([1.0, 4.0]), weights=[1, 2])
    Tensor(3.0)
    """
    x = as_array(x, "average")
    if weights is None:
        return mean(x, axis, keepdims)
    w = as_array(weights, "average")
    axes = axes_of(x, axis, "average")
    if w.shape != x.shape:
        given = () if axis is None else (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
        if axes is None or tuple(w.shape) != tuple(x.shape[i] for i in given):
            raise ShapeError(f"average: weights of shape {tuple(w.shape)} for data of shape {tuple(x.shape)}. Give the "
                             "data's shape, or one weight for each place along the axis.")
        w = transpose(w, sorted(range(len(given)), key=lambda i: given[i] % x.ndim))
        w = reshape(w, tuple(n if i in axes else 1 for i, n in enumerate(x.shape)))
    weighted = x * w
    total = sum(w if w.dtype == weighted.dtype else w.astype(weighted.dtype), axis, keepdims)
    if np.any(np.equal(value_of(total), 0)):
        raise ZeroDivisionError("average: the weights sum to zero. Give weights of which some count, or use sum.")
    return sum(weighted, axis, keepdims) / total


def squared_norm(x: Any) -> Any:
    """‖x‖² = Σ x², the sum of the squares of all entries: the penalty of L2 regularisation. Derivative 2x.

    >>> import tinygrad_edu as tg
    >>> tg.grad(tg.squared_norm)([3.0, 4.0])
    array([6., 8.])
    """
    return reductions.squared_norm(floating(x, "squared_norm"))


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of a diagonal of the matrix, or of each matrix in a stack.

    >>> import tinygrad_edu as tg
    >>> tg.trace(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor(5.0)
    """
    return sum(diagonal(x, offset, axis1, axis2), -1)
