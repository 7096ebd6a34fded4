"""Sums, products, extremes and moments along axes. `axis` is a tuple of axes, or None for all of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..tensor import Primitive
from .indexing import scatter
from .pointwise import comparison, equal, exp, where
from .shapes import Shape, broadcast_to, concatenate, flip, linear, reshape, transpose

Axes = tuple[int, ...] | None

_add: Any = np.add.reduce


def kept_shape(shape: Shape, axis: Axes) -> Shape:
    """The shape that keepdims=True gives."""
    if axis is None:
        return (1,) * len(shape)
    reduced = {i % len(shape) for i in axis} if shape else set()
    return tuple(1 if i in reduced else n for i, n in enumerate(shape))


def count(shape: Shape, axis: Axes) -> int:
    """How many entries are reduced to one."""
    return math.prod(shape if axis is None else (shape[i] for i in axis))


def keep(y: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    """y with the reduced axes put back with size 1, so that it broadcasts against x."""
    return y if keepdims else reshape(y, shape=kept_shape(x.shape, axis))


def spread(g: Any, _x: Any, axis: Axes, keepdims: bool) -> Any:
    """Every summand gets the gradient of its sum; where there is one sum, the engine spreads it."""
    if axis is None and not keepdims:
        return g
    return broadcast_to(keep(g, _x, axis, keepdims), shape=_x.shape)


def _mean(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    if x.dtype.kind != "f" or x.dtype.itemsize < 4 or not x.size:
        return x.mean(axis=axis, keepdims=keepdims)
    return _add(x, axis=axis, keepdims=keepdims) / count(x.shape, axis)


sum_ = linear("sum", lambda x, axis=None, keepdims=False: _add(x, axis=axis, keepdims=keepdims),
              lambda g, _y, _x, axis=None, keepdims=False: spread(g, _x, axis, keepdims), symbol="Σ")
mean = linear("mean", _mean,
              lambda g, _y, _x, axis=None, keepdims=False: spread(g / count(_x.shape, axis), _x, axis, keepdims))


def _share_of_ties(g: Any, y: Any, x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """Entries that tie for the extreme share its gradient equally."""
    hit = equal(x, keep(y, x, axis, keepdims))
    return keep(g, x, axis, keepdims) / _add(hit, axis=axis, keepdims=True, dtype=x.dtype) * hit


max_ = Primitive("max", lambda x, axis=None, keepdims=False: np.maximum.reduce(x, axis=axis, keepdims=keepdims),
                 _share_of_ties)
min_ = Primitive("min", lambda x, axis=None, keepdims=False: np.minimum.reduce(x, axis=axis, keepdims=keepdims),
                 _share_of_ties)
argmax = comparison("argmax", np.argmax)
argmin = comparison("argmin", np.argmin)
any_ = comparison("any", np.any)
all_ = comparison("all", np.all)


def _var_rule(g: Any, _y: Any, x: Any, axis: Axes = None, keepdims: bool = False, ddof: float = 0) -> Any:
    centred = x - mean(x, axis=axis, keepdims=True)
    return keep(g, x, axis, keepdims) * (2 / (count(x.shape, axis) - ddof)) * centred


def _std_rule(g: Any, y: Any, x: Any, axis: Axes = None, keepdims: bool = False, ddof: float = 0) -> Any:
    centred = x - mean(x, axis=axis, keepdims=True)
    y = keep(y, x, axis, keepdims)
    safe = where(equal(y, 0), 1.0, y)  # equal values: slope 0
    return keep(g, x, axis, keepdims) * (centred / (safe * (count(x.shape, axis) - ddof)))


var = Primitive("var", lambda x, axis=None, keepdims=False, ddof=0: np.var(x, axis=axis, keepdims=keepdims, ddof=ddof),
                _var_rule)
std = Primitive("std", lambda x, axis=None, keepdims=False, ddof=0: np.std(x, axis=axis, keepdims=keepdims, ddof=ddof),
                _std_rule)

# ---------------------------------------------------------------- running sums and products, along the last axis


def _shifted(x: Any, by: int, fill: float) -> Any:
    """x moved `by` places to the right along the last axis, the gap filled."""
    gap = np.full(x.shape[:-1] + (min(by, x.shape[-1]),), fill, x.dtype)
    return concatenate(gap, x[..., : max(x.shape[-1] - by, 0)], axis=x.ndim - 1)


def _products_before(x: Any) -> Any:
    """Entry i: the product of the entries before i, in log₂ n doubling steps that divide by nothing."""
    y, step = _shifted(x, 1, 1.0), 1
    while step < x.shape[-1]:
        y, step = y * _shifted(y, step, 1.0), 2 * step
    return y


def _recurrence_from_the_end(g: Any, a: Any) -> Any:
    """S with S_i = g_i + a_i S_{i+1} along the last axis, in log₂ n doubling steps."""
    n, step, last = g.shape[-1], 1, g.ndim - 1
    while step < n:
        g = concatenate(g[..., :-step] + a[..., :-step] * g[..., step:], g[..., n - step :], axis=last)
        a = concatenate(a[..., :-step] * a[..., step:], a[..., n - step :], axis=last)
        step *= 2
    return g


def _following(x: Any) -> Any:
    """x moved one place to the left along the last axis; the last entry stays, and is never used."""
    return concatenate(x[..., 1:], x[..., -1:], axis=x.ndim - 1)


def _prod_rule(g: Any, _y: Any, x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """g times the product of all other entries, exact also where entries are zero."""
    ndim = len(x.shape)
    if not ndim:
        return g
    reduced = tuple(range(ndim)) if axis is None else tuple(i % ndim for i in axis)
    others = tuple(i for i in range(ndim) if i not in reduced)
    order = others + reduced
    flat = reshape(transpose(x, axes=order),
                   shape=tuple(x.shape[i] for i in others) + (count(x.shape, axis),))
    after = flip(_products_before(flip(flat, axis=(-1,))), axis=(-1,))
    rest = reshape(_products_before(flat) * after, shape=tuple(x.shape[i] for i in order))
    rest = transpose(rest, axes=tuple(order.index(i) for i in range(ndim)))
    return keep(g, x, axis, keepdims) * rest


prod = Primitive("prod", lambda x, axis=None, keepdims=False: np.multiply.reduce(x, axis=axis, keepdims=keepdims),
                 _prod_rule, symbol="Π")

cumsum: Primitive = linear("cumsum", lambda x: np.add.accumulate(x, axis=-1),
                lambda g, _y, _x: flip(cumsum(flip(g, axis=(-1,))), axis=(-1,)))


def _cumprod_rule(g: Any, _y: Any, x: Any) -> Any:
    return _products_before(x) * _recurrence_from_the_end(g, _following(x))


cumprod = Primitive("cumprod", lambda x: np.multiply.accumulate(x, axis=-1), _cumprod_rule)


def _running_extreme_rule(g: Any, y: Any, x: Any) -> Any:
    """The gradient goes to the entry that set the record (the latest, where several equal it)."""
    places = np.arange(x.shape[-1])
    source = np.maximum.accumulate(np.where(equal(x, y), places, 0), axis=-1)
    leading = np.ix_(*[np.arange(n) for n in x.shape[:-1]], np.arange(1))[:-1]
    return scatter(g, index=(*leading, source), shape=x.shape)


cummax = Primitive("cummax", lambda x: np.maximum.accumulate(x, axis=-1), _running_extreme_rule)
cummin = Primitive("cummin", lambda x: np.minimum.accumulate(x, axis=-1), _running_extreme_rule)


def _logcumsumexp_rule(g: Any, y: Any, x: Any) -> Any:
    safe = where(equal(y, -math.inf), 0.0, y)  # −inf − (−inf) is nan, and the weight of nothing is 0
    return exp(x - safe) * _recurrence_from_the_end(g, exp(y - _following(safe)))


logcumsumexp = Primitive("logcumsumexp", lambda x: np.logaddexp.accumulate(x, axis=-1), _logcumsumexp_rule)

# ---------------------------------------------------------------- softmax and its kin


def _highest(x: Any, axis: Axes) -> Any:
    return np.maximum.reduce(x, axis=axis, keepdims=True)  # np.max, without its overhead


def _log_of_sum(shifted: Any, axis: Axes) -> Any:
    """log Σ exp of entries of which the largest is 0; where the others vanish beside its 1, log1p of their sum."""
    e = np.exp(shifted)
    total = _add(e, axis=axis, keepdims=True)
    if not np.fmin.reduce(total, axis=None, initial=2.0) < 1.5:
        return np.log(total)
    alone = (total < 1.5) & (total >= 1)
    return np.where(alone, np.log1p(_add(e * (shifted < 0), axis=axis, keepdims=True)), np.log(total))


def _logsumexp(x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    top = np.max(x, axis=axis, keepdims=True)
    shift = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):  # all entries -inf: log 0 = -inf is right
        y = _log_of_sum(x - shift, axis) + shift
    return y if keepdims else y.reshape(np.max(x, axis=axis).shape)


def _logsumexp_rule(g: Any, y: Any, x: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The softmax: exp(x − y), divided by its sum, because the rounding of a large y would scale it."""
    y = keep(y, x, axis, keepdims)
    e = exp(x - where(equal(y, -math.inf), 0.0, y))
    total = sum_(e, axis=axis, keepdims=True)
    return keep(g, x, axis, keepdims) * (e / where(equal(total, 0), 1.0, total))


def _softmax(x: Any, axis: Axes) -> Any:
    e = np.exp(x - _highest(x, axis)) if x.size else np.exp(x)
    return e / _add(e, axis=axis, keepdims=True)


def _log_softmax(x: Any, axis: Axes) -> Any:
    if not x.size:
        return np.exp(x)
    shifted = x - _highest(x, axis)
    return shifted - _log_of_sum(shifted, axis)


logsumexp = Primitive("logsumexp", _logsumexp, _logsumexp_rule)
softmax = Primitive("softmax", _softmax, lambda g, y, _x, axis: y * (g - sum_(g * y, axis=axis, keepdims=True)))
log_softmax = Primitive("log_softmax", _log_softmax,
                        lambda g, y, _x, axis: g - exp(y) * sum_(g, axis=axis, keepdims=True))

# ---------------------------------------------------------------- costs


def _squared_norm(x: Any) -> Any:
    x = x.reshape(-1)
    return x.dtype.type(np.dot(x, x))


squared_norm = Primitive("squared_norm", _squared_norm, lambda g, _y, x: 2 * g * x, symbol="‖{0}‖²")


def _one_hot(target: Any, classes: int, axis: int, dtype: Any) -> Any:
    """Ones at the target classes along the axis, zeros elsewhere."""
    out = np.zeros((*target.shape, classes), dtype)
    out.reshape(-1, classes)[np.arange(target.size), target.reshape(-1)] = 1
    return out if axis == target.ndim else np.moveaxis(out, -1, axis)


one_hot = comparison("one_hot", _one_hot)


def _class_cross_entropy(z: Any, target: Any, axis: int) -> Any:
    shifted = z - _highest(z, (axis,))
    if z.ndim == 2 and axis == 1:  # the usual case, with less ado
        return _log_of_sum(shifted, (1,)).reshape(-1) - shifted[np.arange(len(target)), target]
    chosen = np.take_along_axis(shifted, np.expand_dims(target, axis), axis)
    losses = _log_of_sum(shifted, (axis,)) - chosen
    return losses.reshape(target.shape)


def _class_cross_entropy_rule(g: Any, _y: Any, z: Any, target: Any, axis: int) -> Any:
    """Softmax, less one at the target classes."""
    p = softmax(z, axis=(axis,))
    if type(p) is type(g) is np.ndarray and p.ndim == 2 and axis == 1:
        p[np.arange(len(p)), target] -= 1
        p *= g.reshape(-1, 1)
        return p
    return keep(g, z, (axis,), False) * (p - one_hot(target, classes=z.shape[axis], axis=axis, dtype=z.dtype))


# −log softmax(z) of the target class; target holds class numbers, one for each entry of z's other axes
class_cross_entropy = Primitive("class_cross_entropy", _class_cross_entropy, _class_cross_entropy_rule)
