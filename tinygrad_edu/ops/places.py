"""Entries by their places: the largest few, and putting, adding, inserting and leaving out by index."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import InPlaceError, ShapeError
from ..rules import indexing
from ..tensor import Tensor
from .arranging import concatenate
from .assignment import assign
from .inputs import as_array, one_axis, operand, value_of
from .pointwise import where
from .selecting import getitem, take, take_along_axis
from .shapes import astype, broadcast_to, expand_dims, moveaxis, ravel

__all__ = [
    "delete", "digitize", "insert", "partition", "put_along_axis", "scatter", "scatter_add", "searchsorted", "select", "topk",
]

# ---------------------------------------------------------------- in part in order


def partition(x: Any, kth: Any, axis: int | None = -1, kind: Any = "introselect") -> Any:
    """The entries so arranged that the kth stands where sorting would put it, smaller ones before, larger ones after.

    kth : an integer or several. axis : None flattens first. Gradients go back in place. A new Tensor, also as a method.

    >>> import tinygrad_edu as tg
    >>> tg.partition(tg.Tensor([5.0, 1.0, 3.0]), 1)
    Tensor([1., 3., 5.])
    """
    x = as_array(x, "partition")
    if axis is None:
        x, axis = ravel(x), 0
    i = one_axis(x, axis, "partition")
    return take_along_axis(x, np.argpartition(value_of(x), kth, axis=i, kind=kind), i)


def topk(x: Any, k: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Any, ndarray]:
    """The k largest (or smallest) entries along an axis, in order, and their indices: (values, indices), as PyTorch's topk.

    Of ties the first come first; nan counts as the largest. `sorted` is PyTorch's, and the result is sorted either way.

    Raises ShapeError where the axis has fewer than k entries.

    >>> import tinygrad_edu as tg
    >>> values, indices = tg.topk(tg.Tensor([5.0, 1.0, 3.0]), 2)
    >>> values, indices.tolist()
    (Tensor([5., 3.]), [0, 2])
    """
    x = as_array(x, "topk")
    if not x.ndim:
        raise ShapeError("topk: a single number has no entries to choose from. Give an array of one axis or more.")
    i = one_axis(x, axis, "topk")
    n = x.shape[i]
    if not 0 <= k <= n:
        raise ShapeError(f"topk: {k} of the {n} entries along axis {i} of shape {tuple(x.shape)}. Ask for {n} or fewer.")
    v = value_of(x)
    if largest:  # a stable sort of the reversed array, read from its end, leaves ties in their order
        order = np.subtract(n - 1, np.flip(np.argsort(np.flip(v, i), axis=i, stable=True), i))
    else:
        order = np.argsort(v, axis=i, stable=True)
    indices = np.take(order, np.arange(k), axis=i)
    return take_along_axis(x, indices, i), indices


def searchsorted(a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
    """The places in the increasing vector a where v would be inserted: plain integers, without derivative.

    >>> import tinygrad_edu as tg
    >>> int(tg.searchsorted([1.0, 2.0, 3.0], tg.Tensor(2.5)))
    2
    """
    return np.searchsorted(value_of(a), value_of(v), side=side, sorter=value_of(sorter))


def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """The number of the bin that each entry falls into: plain integers, without derivative.

    >>> import tinygrad_edu as tg
    >>> tg.digitize(tg.Tensor([0.5, 2.5]), [1.0, 2.0]).tolist()
    [0, 2]
    """
    return np.digitize(value_of(x), value_of(bins), right=right)


# ---------------------------------------------------------------- putting in and adding


def _places(x: Any, axis: int, index: Any, where: str, broadcast: bool = False) -> tuple[int, tuple[Any, ...]]:
    """The axis, and an index for every axis: x[...] matched entry by entry with `index` along one."""
    chosen = np.asanyarray(value_of(index))
    if chosen.dtype.kind not in "iu":
        raise IndexError(f"{where}: indices of dtype {chosen.dtype}. Use integers.")
    if chosen.ndim != x.ndim:
        raise ShapeError(f"{where}: indices of shape {chosen.shape} for data of shape {tuple(x.shape)}: they need as many "
                         "axes. Use np.expand_dims(indices, axis).")
    i = one_axis(x, axis, where)
    sizes = [n if broadcast else m for n, m in zip(x.shape, chosen.shape, strict=True)]
    for j, (n, m) in enumerate(zip(x.shape, chosen.shape, strict=True)):
        if j != i and (m > n or (broadcast and m not in (1, n))):
            raise ShapeError(f"{where}: indices of shape {chosen.shape} do not fit data of shape {tuple(x.shape)} in axis {j}.")
    at = [np.arange(size).reshape(tuple(size if j == k else 1 for j in range(x.ndim))) for k, size in enumerate(sizes)]
    return i, (*at[:i], chosen, *at[i + 1 :])


def put_along_axis(x: Any, indices: Any, values: Any, axis: int = -1) -> Any:
    """A copy of x with the values at the indices, matched entry by entry along one axis: take_along_axis the other way.

    (NumPy's own changes x in place.) A place named twice is refused.

    Raises InPlaceError, ShapeError, IndexError.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([[1.0, 3.0], [4.0, 2.0]])
    >>> tg.put_along_axis(x, x.argmax(axis=1, keepdims=True), 0.0, axis=1).numpy().tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    x = as_array(x, "put_along_axis")
    return assign(x, _places(x, axis, indices, "put_along_axis", broadcast=True)[1], values)


def scatter(x: Any, axis: int, index: Any, src: Any) -> Any:
    """A copy of x with src[i, j, ...] at x[index[i, j, ...], j, ...] (here for axis 0): PyTorch's scatter.

    index : integers, with as many axes as x, and none longer than x's but along `axis`. src : of index's shape or larger, or
    a number. A place named twice is refused, as which value stays would be arbitrary: see scatter_add.

    Raises InPlaceError, ShapeError, IndexError.

    >>> import tinygrad_edu as tg
    >>> tg.scatter(tg.zeros(4), 0, [3, 0], tg.Tensor([1.0, 2.0]))
    Tensor([2., 0., 0., 1.])
    """
    x = as_array(x, "scatter")
    _, places = _places(x, axis, index, "scatter")
    return assign(x, places, _source(src, np.shape(value_of(index)), "scatter"))


def scatter_add(x: Any, axis: int, index: Any, src: Any) -> Any:
    """A copy of x with src[i, j, ...] added at x[index[i, j, ...], j, ...] (here for axis 0): PyTorch's scatter_add.

    Places named several times collect all that is added there, and each of these gets the place's gradient.

    Raises ShapeError, IndexError.

    >>> import tinygrad_edu as tg
    >>> tg.scatter_add(tg.zeros(3), 0, [2, 0, 2], tg.Tensor([1.0, 2.0, 3.0]))
    Tensor([2., 0., 4.])
    """
    x = as_array(x, "scatter_add")
    i, places = _places(x, axis, index, "scatter_add")
    chosen = places[i]
    if chosen.size and not (-x.shape[i] <= np.min(chosen) and np.max(chosen) < x.shape[i]):
        raise IndexError(f"scatter_add: an index is out of bounds for axis {i} of shape {tuple(x.shape)}.")
    added = as_array(_source(src, chosen.shape, "scatter_add"))
    if added.shape != chosen.shape:
        added = broadcast_to(added, chosen.shape)
    if type(added) is not Tensor and x.dtype.kind == "f" and added.dtype.kind != "c":  # as np.add.at: x keeps its type
        added = added.astype(x.dtype)
    return x + indexing.scatter(added, index=places, shape=tuple(x.shape))


def _source(src: Any, shape: tuple[int, ...], where: str) -> Any:
    """The part of src that an index of this shape uses."""
    src = operand(src, where)
    if not hasattr(src, "shape") or not src.ndim or tuple(src.shape) == shape:
        return src
    if src.ndim != len(shape) or any(n < m for n, m in zip(src.shape, shape, strict=True)):
        raise ShapeError(f"{where}: src of shape {tuple(src.shape)} is smaller than the indices, {shape}.")
    return getitem(src, tuple(slice(0, m) for m in shape))


def _put_along_axis_in_place(arr: Any, indices: Any, values: Any, axis: int) -> None:
    raise InPlaceError("np.put_along_axis: changes an array in place. Write x = tg.put_along_axis(x, indices, values, axis).")


# ---------------------------------------------------------------- choosing, inserting and leaving out


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """Entry by entry the first choice whose condition is true; the default where none is.

    >>> import numpy as np, tinygrad_edu as tg
    >>> x = tg.Tensor([-1.0, 0.5, 3.0])
    >>> tg.select([x < 0, x > 1], [0.0, x * 2], x)
    Tensor([0. , 0.5, 6. ])
    """
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(f"select: {len(condlist)} conditions and {len(choicelist)} choices. Give one choice for each "
                         "condition.")
    choicelist = [operand(choice, "select") for choice in choicelist]
    y = operand(default, "select")
    dtype = np.result_type(*[x.dtype if hasattr(x, "dtype") else x for x in (y, *choicelist)])
    if dtype.kind == "f":  # the type of them all, whichever are chosen among first
        y, *choicelist = [x if type(x) is Tensor else np.asarray(x, dtype)[()] for x in (y, *choicelist)]
    for condition, choice in zip(reversed(list(condlist)), reversed(list(choicelist)), strict=True):
        condition = value_of(condition)
        if np.asarray(condition).dtype != bool:
            raise TypeError(f"select: a condition of dtype {np.asarray(condition).dtype}. Use a comparison.")
        y = where(condition, choice, y)
    return y


def delete(x: Any, obj: Any, axis: int | None = None) -> Any:
    """x without the slices that obj names (an integer, a slice, integers or a mask) along an axis; None flattens first.

    >>> import tinygrad_edu as tg
    >>> tg.delete(tg.Tensor([1.0, 2.0, 3.0]), 1)
    Tensor([1., 3.])
    """
    x = as_array(x, "delete")
    if axis is None:
        x, axis = ravel(x), 0
    i = one_axis(x, axis, "delete")
    return take(x, np.delete(np.arange(x.shape[i]), value_of(obj)), i)


def insert(x: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """x with values inserted before the places that obj names along an axis; None flattens first.

    obj : an integer, a slice, or integers, places in x as it is. values : broadcast to the slices that are inserted.

    >>> import tinygrad_edu as tg
    >>> tg.insert(tg.Tensor([1.0, 2.0]), 1, tg.Tensor(9.0))
    Tensor([1., 9., 2.])
    """
    x, values = as_array(x, "insert"), as_array(values, "insert")
    if x.dtype.kind == "f":  # as NumPy: x keeps its type
        values = astype(values, x.dtype)
    if axis is None:
        x, axis = ravel(x), 0
    i = one_axis(x, axis, "insert")
    n, obj = x.shape[i], value_of(obj)
    if isinstance(obj, slice):
        at = np.arange(n)[obj]
    else:
        at = np.asarray(obj)
        at = np.flatnonzero(at) if at.dtype == bool else at.astype(np.intp) if not at.size else at
    if values.ndim < x.ndim:
        values = expand_dims(values, tuple(range(x.ndim - values.ndim)))
    if at.size == 1:
        if not at.ndim:
            values = moveaxis(values, 0, i)
        count = values.shape[i]
        order = np.insert(np.arange(n), int(at.reshape(-1)[0]), n + np.arange(count))
    else:
        count = at.size
        order = np.insert(np.arange(n), at, n + np.arange(count))
    values = broadcast_to(values, (*x.shape[:i], count, *x.shape[i + 1 :]))
    return take(concatenate([x, values], i), order, i)


NUMPY = {np.put_along_axis: _put_along_axis_in_place}
