"""Differences of neighbours, the derivative they approximate, and the line through samples."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..tensor import Tensor
from .arranging import concatenate
from .inputs import Axis, as_array, axes_of, floating, one_axis, operand, value_of
from .pointwise import greater, greater_equal, isnan, less, remainder, where
from .selecting import getitem, take
from .shapes import astype, broadcast_to, reshape

__all__ = ["diff", "gradient", "interp"]


def _along(i: int, part: Any) -> tuple[Any, ...]:
    """The index of a part of axis i, all of the others."""
    return (*(slice(None),) * i, part)


def diff(x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Each entry's successor minus the entry, along an axis, n times over; the axis gets n shorter.

    prepend, append : numbers or arrays joined before and after, along the axis.

    >>> import tinygrad_edu as tg
    >>> tg.diff(tg.Tensor([1.0, 4.0, 9.0]))
    Tensor([3., 5.])
    """
    x = as_array(x, "diff")
    if n < 0:
        raise ValueError(f"diff: n={n}. Give a number of times from 0 on.")
    if not x.ndim:
        raise ShapeError("diff: a single number has no neighbours. Give an array of one axis or more.")
    i = one_axis(x, axis, "diff")
    parts = []
    for part in (prepend, x, append):
        if part is not None:
            if type(part) in (int, float) and x.dtype.kind == "f":
                part = x.dtype.type(part)  # a Python number never widens float32
            part = as_array(part, "diff")
            parts.append(part if part.ndim else broadcast_to(part, (*x.shape[:i], 1, *x.shape[i + 1 :])))
    if len(parts) > 1:
        x = concatenate(parts, i)
    for _ in range(n):
        after, before = getitem(x, _along(i, slice(1, None))), getitem(x, _along(i, slice(None, -1)))
        x = after != before if x.dtype == bool else after - before
    return x


def gradient(f: Any, *varargs: Any, axis: Axis = None, edge_order: int = 1) -> Any:
    """The derivative of sampled values f by differences: central inside, one-sided at the ends, as np.gradient.

    varargs : nothing (spacing 1), one spacing for all axes, or one for each axis: a number, or the coordinates of the
    samples, an array as long as the axis. axis : one, several, or all (None). edge_order : 1 or 2, the order of the formula
    at the ends. Several axes give a tuple. Derivatives reach f, the spacings and the coordinates.

    Raises ShapeError where there are fewer than edge_order + 1 samples or coordinates do not fit.

    >>> import tinygrad_edu as tg
    >>> tg.gradient(tg.Tensor([1.0, 4.0, 9.0]), 0.5)
    Tensor([ 6.,  8., 10.])
    """
    f = floating(f, "gradient")
    axes = list(range(f.ndim)) if axis is None else _in_order(f, axis)
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order={edge_order!r}. Choose 1 or 2.")
    if len(varargs) not in (0, 1, len(axes)):
        raise TypeError(f"gradient: {len(varargs)} spacings for {len(axes)} axes. Give none, one for all, or one for "
                        "each axis.")
    spacings = [1.0] * len(axes) if not varargs else list(varargs) * (len(axes) if len(varargs) == 1 else 1)
    if len(varargs) == 1 and len(axes) > 1 and as_array(varargs[0]).ndim:
        raise ShapeError("gradient: coordinates are given for one axis, and there are several. Give them for each axis.")
    found = []
    for i, h in zip(axes, spacings, strict=True):
        h, size = operand(h, "gradient"), f.shape[i]
        if size < edge_order + 1:
            raise ShapeError(f"gradient: axis {i} of shape {tuple(f.shape)} has {size} samples; edge_order={edge_order} needs "
                             f"{edge_order + 1} or more.")
        if np.ndim(value_of(h)) > 1 or (np.ndim(value_of(h)) == 1 and h.shape[0] != size):
            raise ShapeError(f"gradient: coordinates of shape {tuple(h.shape)} for axis {i} of shape {tuple(f.shape)}. Give a "
                             f"number, or an array of {size} coordinates.")
        if np.ndim(value_of(h)):
            steps = diff(h)
            if type(h) is not Tensor and size > 1 and (steps == steps[0]).all():
                h = steps[0]
            else:
                h = reshape(steps, tuple(size - 1 if j == i else 1 for j in range(f.ndim)))
        found.append(astype(_slopes(f, i, h, edge_order), f.dtype))  # NumPy's: the coordinates do not widen it
    return found[0] if len(found) == 1 else tuple(found)


def _in_order(f: Any, axis: Any) -> list[int]:
    given = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    axes_of(f, given, "gradient")  # checks them
    return [int(i) % f.ndim for i in given]


def _slopes(f: Any, i: int, h: Any, edge_order: int) -> Any:
    """Differences along axis i; h is one spacing, or the spacings along the axis."""
    def at(start: int | None, stop: int | None) -> Any:
        return getitem(f, _along(i, slice(start, stop)))

    def step(start: int, stop: int | None) -> Any:
        return getitem(h, _along(i, slice(start, stop))) if uneven else h

    uneven = np.ndim(value_of(h)) > 0

    h1, h2 = step(0, -1), step(1, None)  # before and after an inner sample
    parts = []
    if f.shape[i] > 2:
        if uneven:
            parts.append(at(None, -2) * (-h2 / (h1 * (h1 + h2))) + at(1, -1) * ((h2 - h1) / (h1 * h2))
                         + at(2, None) * (h1 / (h2 * (h1 + h2))))
        else:
            parts.append((at(2, None) - at(None, -2)) / (2.0 * h))
    first, last = step(0, 1), step(-1, None)
    if edge_order == 1:
        parts = [(at(1, 2) - at(0, 1)) / first, *parts, (at(-1, None) - at(-2, -1)) / last]
    else:
        second, before = step(1, 2), step(-2, -1)
        left = (at(0, 1) * (-(2.0 * first + second) / (first * (first + second)))
                + at(1, 2) * ((first + second) / (first * second))
                + at(2, 3) * (-first / (second * (first + second))))
        right = (at(-3, -2) * (last / (before * (before + last))) + at(-2, -1) * (-(before + last) / (before * last))
                 + at(-1, None) * ((2.0 * last + before) / (last * (before + last))))
        parts = [left, *parts, right]
    return concatenate(parts, i)


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """The straight lines through the samples fp at the increasing places xp, at x, as np.interp.

    x : any shape. xp, fp : vectors of equal length. left, right : the values below xp[0] and above xp[-1], by default fp[0]
    and fp[-1]. period : of x, which xp is brought to, in any order; then left and right are not used. The result has x's
    shape. Derivatives reach x (at a sample, the slope to its right), xp, fp, left and right.

    Raises ShapeError where xp and fp are no vectors of equal length.

    >>> import tinygrad_edu as tg
    >>> y = tg.interp(tg.Tensor(1.5), [1.0, 2.0], [10.0, 30.0])
    >>> y
    Tensor(20.0)
    """
    x, xp, fp = floating(x, "interp"), floating(xp, "interp"), floating(fp, "interp")
    if xp.ndim != 1 or fp.ndim != 1 or xp.shape != fp.shape:
        raise ShapeError(f"interp: xp has shape {tuple(xp.shape)}, fp {tuple(fp.shape)}. They must be vectors of equal length.")
    if not xp.shape[0]:
        raise ShapeError("interp: there is no sample. Give one or more.")
    if period is not None:
        if not builtins.abs(float(value_of(period))) > 0:
            raise ValueError("interp: period=0. Give a length.")
        period = period if type(period) is Tensor else builtins.abs(period)
        x, xp = remainder(x, period), remainder(xp, period)
        order = np.argsort(value_of(xp), kind="stable")
        xp, fp = getitem(xp, order), getitem(fp, order)
        xp = concatenate([getitem(xp, slice(-1, None)) - period, xp, getitem(xp, slice(0, 1)) + period])
        fp = concatenate([getitem(fp, slice(-1, None)), fp, getitem(fp, slice(0, 1))])
        left = right = None
    last = xp.shape[0] - 1
    first_x, last_x = getitem(xp, 0), getitem(xp, last)
    y = where(isnan(x), x, getitem(fp, last))  # at the last place
    if last:
        j = np.clip(np.searchsorted(value_of(xp), value_of(x), side="right") - 1, 0, last - 1)
        inside = np.logical_and(greater_equal(x, first_x), less(x, last_x))
        x1, y1 = take(xp, j), take(fp, j)
        gap = where(inside, take(xp, j + 1) - x1, 1.0)
        slope = (take(fp, j + 1) - y1) / gap
        y = where(inside, slope * where(inside, x - x1, 0.0) + y1, y)
    y = where(less(x, first_x), getitem(fp, 0) if left is None else left, y)
    return where(greater(x, last_x), getitem(fp, last) if right is None else right, y)
