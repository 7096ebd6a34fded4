"""Picking entries, and its mirror image, putting them back: what was picked twice receives both gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..tensor import Primitive
from .shapes import linear


def is_basic(index: Any) -> bool:
    """Whether an index is made of integers, slices, None and Ellipsis only, so that no entry is picked twice."""
    parts = index if type(index) is tuple else (index,)
    return all(type(p) is slice or type(p) is int or p is None or p is Ellipsis for p in parts)


def _put(values: Any, index: Any, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, values.dtype)
    out[index] = values
    return out


def _scatter(values: Any, index: Any, shape: tuple[int, ...]) -> Any:
    if len(shape) > 1 and type(index) is np.ndarray and index.dtype.kind in "iu" and type(values) is np.ndarray and (
            values.dtype == np.float64 and values.size > 256):
        # rows: the same additions in the same order as below, four times faster
        width = math.prod(shape[1:])
        places = np.where(index < 0, index + shape[0], index).reshape(-1, 1) * width + np.arange(width)
        return np.bincount(places.ravel(), values.ravel(), math.prod(shape)).reshape(shape)
    out = np.zeros(shape, values.dtype)
    np.add.at(out, index, values)
    return out


# x[index] with integers and slices, where no entry is picked twice; and with arrays of places or a mask
getitem: Primitive = linear("getitem", lambda x, index: x[index],
                            lambda g, _y, _x, index: put(g, index=index, shape=_x.shape), symbol="{0}[{index}]")
gather: Primitive = linear("gather", lambda x, index: x[index],
                           lambda g, _y, _x, index: scatter(g, index=index, shape=_x.shape), symbol="{0}[{index}]")
# zeros of `shape` with `values` put, or added, at `index`
put: Primitive = linear("put", _put, lambda g, _y, _values, index, shape: getitem(g, index=index))
scatter: Primitive = linear("scatter", _scatter, lambda g, _y, _values, index, shape: gather(g, index=index))


def writable(x: Any, *values: Any) -> Any:
    """A private copy of x to put values into; where one of these is traced, or complex, so is the copy."""
    out = np.array(x, subok=True)
    for v in values:
        if getattr(v, "is_traced", False) and type(out) is np.ndarray:
            out = out.view(type(v))
        if out.dtype.kind == "f" and getattr(v, "dtype", out.dtype).kind == "c":
            out = out.astype(v.dtype)
    return out


def _assign(x: Any, values: Any, index: Any) -> Any:
    out = writable(x, values)
    out[index] = values
    return out if out.ndim or type(out) is not np.ndarray else out[()]


# x with x[index] = values; the rules of repeated indices are settled by the front door, which forbids them
assign: Primitive = linear("assign", _assign, lambda g, _y, _x, _values, index: assign(g, 0.0, index=index),
                lambda g, _y, _x, _values, index: (getitem if is_basic(index) else gather)(g, index=index))


def _assign_each(x: Any, *values: Any, index: tuple[Any, ...], kept: tuple[Any, ...]) -> Any:
    out = writable(x, *values)
    for i, v in zip(index, values, strict=True):
        out[i] = v
    return out if out.ndim or type(out) is not np.ndarray else out[()]


def _assign_each_rule(g: Any, _y: Any, _x: Any, *_values: Any, which: int, index: tuple[Any, ...], kept: tuple[Any, ...]
                      ) -> Any:
    if not which:  # of x, what none of them wrote over
        return assign_each(g, *(0.0,) * len(index), index=index, kept=kept)
    own, left = index[which - 1], kept[which - 1]
    part = (getitem if is_basic(own) else gather)(g, index=own)
    return part if left is None else part * left


# x with x[index[0]] = values[0], x[index[1]] = values[1], and so on: what a loop filled in. kept[k] is the mask of what
# later ones left of values[k], None where they left all
assign_each: Primitive = linear("assign_each", _assign_each, _assign_each_rule, variadic=True)
