"""Picking entries, and its mirror image, putting them back: what was picked twice receives both gradients."""

from __future__ import annotations

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


def _assign(x: Any, values: Any, index: Any) -> Any:
    out = np.array(x)
    out[index] = values
    return out if out.ndim else out[()]


def _kept(g: Any, index: Any) -> Any:
    mask = np.ones(g.shape, bool)
    mask[index] = False
    return g * mask


# x with x[index] = values; the rules of repeated indices are settled by the front door, which forbids them
assign = linear("assign", _assign, lambda g, _y, _x, _values, index: _kept(g, index),
                lambda g, _y, _x, _values, index: (getitem if is_basic(index) else gather)(g, index=index))
