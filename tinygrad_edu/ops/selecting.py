"""Picking entries, sorting them, and putting others in their place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import ShapeError, name_of, variable_names
from ..rules import indexing
from ..tensor import Tensor
from .assignment import piece
from .inputs import Axis, as_array, one_axis, plain_index, value_of
from .shapes import moveaxis, ravel

__all__ = [
    "argsort", "getitem", "sliding_window_view", "sort", "take", "take_along_axis",
]


_FILLED = frozenset((indexing.assign, indexing.assign_each))


def getitem(x: Any, index: Any) -> Any:
    """x[index], for every kind of index NumPy has; entries picked twice collect both gradients.

    >>> import tinygrad_edu as tg
    >>> tg.grad(lambda x: x[[0, 0, 1]].sum())([5.0, 6.0, 7.0])
    array([2., 1., 0.])
    """
    basic = type(index) is int or indexing.is_basic(index)
    if not basic:
        index = plain_index(index)
        basic = indexing.is_basic(index)
    try:
        if basic and type(x) is Tensor and x.op in _FILLED:
            found = piece(x, index)
            if found is not None:
                return found
        return (indexing.getitem if basic else indexing.gather)(x, index=index)
    except IndexError as error:
        name = name_of(x, variable_names(), "the Tensor")
        raise IndexError(f"index: {name} has shape {tuple(x.shape)}: {str(error).strip()}.") from None


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The slices of x at the indices along an axis; None takes from the flattened array.

    >>> import tinygrad_edu as tg
    >>> tg.take(tg.Tensor([5.0, 6.0]), [1, 1, 0])
    Tensor([6., 6., 5.])
    """
    x = as_array(x, "take")
    if axis is None:
        x, axis = ravel(x) if x.ndim != 1 else x, 0
    i = one_axis(x, axis, "take")
    chosen = np.asanyarray(value_of(indices))
    if type(x) is not Tensor:
        if getattr(chosen, "is_traced", False) and type(x) is ndarray:
            x = x.view(type(chosen))  # NumPy asks x alone who is to take from it
        return np.take(x, chosen, axis=i)
    fixed = not chosen.ndim and not getattr(chosen, "is_traced", False)
    return getitem(x, (*(slice(None),) * i, int(chosen) if fixed else chosen))


def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Any:
    """x at the indices, matched entry by entry along one axis (as argsort and argmax with keepdims give them).

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([[1.0, 3.0], [4.0, 2.0]])
    >>> tg.take_along_axis(x, x.argmax(axis=1, keepdims=True), axis=1).numpy().tolist()
    [[3.0], [4.0]]
    """
    x, chosen = as_array(x, "take_along_axis"), np.asanyarray(value_of(indices))
    if chosen.dtype.kind not in "iu":
        raise IndexError(f"take_along_axis: indices of dtype {chosen.dtype}. Use integers.")
    if chosen.ndim != x.ndim:
        raise ShapeError(f"take_along_axis: indices of shape {chosen.shape} for data of shape {tuple(x.shape)}: they need "
                         "as many axes. Use np.expand_dims(indices, axis).")
    i = one_axis(x, axis, "take_along_axis")
    if type(x) is not Tensor:
        return np.take_along_axis(x, chosen, i)
    index = [np.arange(n).reshape(tuple(n if j == k else 1 for j in range(x.ndim))) for k, n in enumerate(x.shape)]
    index[i] = chosen
    return getitem(x, tuple(index))


def argsort(x: Any, axis: int | None = -1, kind: Any = None, stable: bool | None = None) -> Any:
    """The places of the entries in increasing order: a plain integer array.

    >>> import tinygrad_edu as tg
    >>> tg.argsort(tg.Tensor([3.0, 1.0])).tolist()
    [1, 0]
    """
    x = as_array(x, "argsort")
    if axis is not None:
        axis = one_axis(x, axis, "argsort")
    return np.argsort(value_of(x), axis=axis, kind=kind, stable=stable)


def sort(x: Any, axis: int | None = -1, kind: Any = None, stable: bool | None = None) -> Any:
    """The entries in increasing order along an axis; None sorts the flattened array. Gradients go back in place.

    The order of ties is always stable; `kind` and `stable` are NumPy's, and change nothing.
    A new Tensor, also as a method: t.sort() returns it and leaves t as it was, where NumPy's sorts in place.

    >>> import tinygrad_edu as tg
    >>> tg.sort(tg.Tensor([3.0, 1.0]))
    Tensor([1., 3.])
    """
    x = as_array(x, "sort")
    if axis is None:
        x, axis = ravel(x), 0
    axis = one_axis(x, axis, "sort")
    return take_along_axis(x, argsort(x, axis, stable=True), axis)


def sliding_window_view(x: Any, window_shape: Any, axis: Axis = None) -> Any:
    """Every window of the given size along the axes (all, by default), its entries in new last axes.

    Overlapping windows share entries, whose gradients are summed. On Tensors the result is a copy, not a view.

    >>> import tinygrad_edu as tg
    >>> tg.sliding_window_view(tg.Tensor([1.0, 2.0, 3.0]), 2).numpy().tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    x = as_array(x, "sliding_window_view")
    sizes = (int(window_shape),) if isinstance(window_shape, (int, np.integer)) else tuple(map(int, window_shape))
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if len(sizes) != len(axes):
        raise ValueError(f"sliding_window_view: {len(sizes)} window sizes for {len(axes)} axes. Give one size per axis.")
    for size, i in zip(sizes, [one_axis(x, i, "sliding_window_view") for i in axes], strict=True):
        if not 0 < size <= x.shape[i]:
            raise ShapeError(f"sliding_window_view: a window of {size} does not fit axis {i} of shape {tuple(x.shape)}.")
        places = np.arange(x.shape[i] - size + 1)[:, None] + np.arange(size)
        x = moveaxis(take(x, places, i), i + 1, -1)
    return x


# what NumPy keeps elsewhere or under another name
NUMPY = {np.lib.stride_tricks.sliding_window_view: sliding_window_view}
