"""Turning, repeating, padding, joining, splitting and cutting out."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Callable
from math import isfinite
from operator import index
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import ShapeError, UnsupportedError
from ..rules import indexing, pointwise, shapes
from .inputs import Axis, as_array, axes_of, one_axis, value_of
from .selecting import getitem, take
from .shapes import _new_axes, atleast_1d, atleast_2d, atleast_3d, broadcast_to, copy, moveaxis, ravel, reshape, swapaxes

__all__ = [
    "append", "array_split", "column_stack", "concatenate", "diag", "diagonal", "dstack", "flip", "fliplr", "flipud",
    "hsplit", "hstack", "meshgrid", "pad", "repeat", "roll", "rot90", "split", "stack", "tile", "tril", "triu", "vsplit",
    "vstack",
]


def flip(x: Any, axis: Axis = None) -> Any:
    """Reverse the order of entries along an axis, several, or all (None).

    >>> import tinygrad_edu as tg
    >>> tg.flip(tg.Tensor([1.0, 2.0]))
    Tensor([2., 1.])
    """
    x = as_array(x, "flip")
    axes = axes_of(x, axis, "flip")
    return shapes.flip(x, axis=tuple(range(x.ndim)) if axes is None else axes)


def flipud(x: Any) -> Any:
    """Reverse the rows.

    >>> import tinygrad_edu as tg
    >>> tg.flipud(tg.Tensor([[1.0], [2.0]])).numpy().tolist()
    [[2.0], [1.0]]
    """
    return flip(x, 0)


def fliplr(x: Any) -> Any:
    """Reverse the columns.

    >>> import tinygrad_edu as tg
    >>> tg.fliplr(tg.Tensor([[1.0, 2.0]])).numpy().tolist()
    [[2.0, 1.0]]
    """
    return flip(x, 1)


def rot90(x: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """Turn by k quarter turns in the plane of two axes, from the first towards the second.

    >>> import tinygrad_edu as tg
    >>> tg.rot90(tg.Tensor([[1.0, 2.0], [3.0, 4.0]])).numpy().tolist()
    [[2.0, 4.0], [1.0, 3.0]]
    """
    x = as_array(x, "rot90")
    i, j = axes
    try:
        k = index(k) % 4
    except TypeError:
        raise TypeError(f"rot90: k={k!r}: quarter turns are counted in whole numbers. Write k={round(k)}."
                        if isinstance(k, float) and isfinite(k) else f"rot90: k={k!r} is not a whole number.") from None
    if k == 0:
        return x
    if k == 2:
        return flip(x, (i, j))
    return swapaxes(flip(x, j), i, j) if k == 1 else flip(swapaxes(x, i, j), j)


def roll(x: Any, shift: Any, axis: Axis = None) -> Any:
    """Shift entries along axes; what leaves at the end comes in at the front. None rolls the flattened array.

    >>> import tinygrad_edu as tg
    >>> tg.roll(tg.Tensor([1.0, 2.0, 3.0]), 1)
    Tensor([3., 1., 2.])
    """
    x = as_array(x, "roll")
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    moves = (shift,) * len(axes) if not np.ndim(shift) else tuple(shift)
    if len(axes) == 1:
        axes = axes * len(moves)
    return shapes.roll(x, shift=tuple(int(s) for s in moves), axis=tuple(one_axis(x, i, "roll") for i in axes))


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each entry (or slice along the axis) several times in a row.

    >>> import tinygrad_edu as tg
    >>> tg.repeat(tg.Tensor([1.0, 2.0]), 2)
    Tensor([1., 1., 2., 2.])
    """
    x = as_array(x, "repeat")
    if axis is None:
        x, axis = ravel(x), 0
    i = one_axis(x, axis, "repeat")
    return take(x, np.repeat(np.arange(x.shape[i]), value_of(repeats)), i)


def tile(x: Any, reps: Any) -> Any:
    """The whole array side by side, reps times along each axis.

    >>> import tinygrad_edu as tg
    >>> tg.tile(tg.Tensor([1.0, 2.0]), 2)
    Tensor([1., 2., 1., 2.])
    """
    x = as_array(x, "tile")
    times = (int(reps),) if not np.ndim(reps) else tuple(int(r) for r in reps)
    ndim = builtins.max(x.ndim, len(times))
    times = (1,) * (ndim - len(times)) + times
    sizes = (1,) * (ndim - x.ndim) + tuple(x.shape)
    apart = reshape(x, tuple(k for n in sizes for k in (1, n)))
    apart = broadcast_to(apart, tuple(k for r, n in zip(times, sizes, strict=True) for k in (r, n)))
    return reshape(apart, tuple(r * n for r, n in zip(times, sizes, strict=True)))


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Any:
    """Grow at the edges, pad_width = (before, after) for each axis; mode constant, edge, reflect, symmetric or wrap.

    >>> import tinygrad_edu as tg
    >>> tg.pad(tg.Tensor([1.0, 2.0]), 1, mode="edge")
    Tensor([1., 1., 2., 2.])
    """
    x = as_array(x, "pad")
    width = tuple((int(a), int(b)) for a, b in np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)))
    if mode == "constant":
        y = shapes.pad(x, width=width)
        if isinstance(constant_values, (int, float)):
            if not constant_values:
                return y
            inside = tuple(slice(a, a + n) for (a, _), n in zip(width, x.shape, strict=True))
            border = np.full(y.shape, constant_values, x.dtype)
            border[inside] = 0
            return y + border
        raise UnsupportedError("pad: constant_values must be one number. Use concatenate for different borders.")
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise UnsupportedError(f"pad: mode {mode!r} is not recorded. Use constant, edge, reflect, symmetric or wrap.")
    if not np.any(width):
        return copy(x)
    for i, (before, after) in enumerate(width):
        if before or after:
            x = take(x, np.pad(np.arange(x.shape[i]), (before, after), mode=mode), i)  # type: ignore[call-overload]
    return x


def _joinable(xs: Any, where: str) -> list[Any]:
    items = [as_array(x, where) for x in xs]
    if not items:
        raise ValueError(f"{where}: nothing to join. Give at least one array.")
    return items


def concatenate(xs: Any, axis: int | None = 0) -> Any:
    """Join along an existing axis; None flattens each first. Each operand gets its part of the gradient.

    Raises ShapeError where shapes differ in another axis.

    >>> import tinygrad_edu as tg
    >>> tg.concatenate([tg.Tensor([1.0]), [2.0, 3.0]])
    Tensor([1., 2., 3.])
    """
    items = _joinable(xs, "concatenate")
    if axis is None:
        items, axis = [ravel(x) for x in items], 0
    if not items[0].ndim:
        raise ShapeError("concatenate: single numbers have no axis to join along. Use stack.")
    i = one_axis(items[0], axis, "concatenate")
    for x in items[1:]:
        if x.ndim != items[0].ndim or builtins.any(
            n != m for j, (n, m) in enumerate(zip(x.shape, items[0].shape, strict=True)) if j != i
        ):
            raise ShapeError(f"concatenate: shapes {tuple(items[0].shape)} and {tuple(x.shape)} differ in more than axis "
                             f"{i}, along which they are joined.")
    return shapes.concatenate(*items, axis=i)


def stack(xs: Any, axis: int = 0) -> Any:
    """Join along a new axis; all shapes must be equal.

    >>> import tinygrad_edu as tg
    >>> tg.stack([tg.Tensor(1.0), 2.0])
    Tensor([1., 2.])
    """
    items = _joinable(xs, "stack")
    if builtins.any(x.shape != items[0].shape for x in items):
        raise ShapeError(f"stack: the shapes differ: {', '.join(str(tuple(x.shape)) for x in items)}. Use concatenate, "
                         "or bring them to one shape.")
    (i,) = _new_axes((axis,), items[0].ndim + 1, "stack")
    return shapes.stack(*items, axis=i)


def vstack(xs: Any) -> Any:
    """Join row-wise: vectors become rows.

    >>> import tinygrad_edu as tg
    >>> tg.vstack([tg.Tensor([1.0, 2.0]), [3.0, 4.0]]).shape
    (2, 2)
    """
    return concatenate([atleast_2d(x) for x in xs], 0)


def hstack(xs: Any) -> Any:
    """Join along the second axis (the first, for vectors).

    >>> import tinygrad_edu as tg
    >>> tg.hstack([tg.Tensor([1.0, 2.0]), [3.0]])
    Tensor([1., 2., 3.])
    """
    items = [atleast_1d(x) for x in xs]
    return concatenate(items, 0 if items and items[0].ndim == 1 else 1)


def dstack(xs: Any) -> Any:
    """Join along the third axis.

    >>> import tinygrad_edu as tg
    >>> tg.dstack([tg.Tensor([1.0, 2.0]), [3.0, 4.0]]).shape
    (1, 2, 2)
    """
    return concatenate([atleast_3d(x) for x in xs], 2)


def column_stack(xs: Any) -> Any:
    """Join vectors as columns.

    >>> import tinygrad_edu as tg
    >>> tg.column_stack([tg.Tensor([1.0, 2.0]), [3.0, 4.0]]).numpy().tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    items = [as_array(x, "column_stack") for x in xs]
    return concatenate([reshape(x, (-1, 1)) if x.ndim < 2 else x for x in items], 1)


def append(x: Any, values: Any, axis: int | None = None) -> Any:
    """x followed by values; None flattens both.

    Along an axis, x and values have the same shape but for that axis, or ShapeError is raised.

    >>> import tinygrad_edu as tg
    >>> tg.append(tg.Tensor([1.0]), 2.0)
    Tensor([1., 2.])
    """
    return concatenate([x, values], axis)


def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut into parts: a number of nearly equal ones, or at the given places.

    >>> import tinygrad_edu as tg
    >>> [part.shape for part in tg.array_split(tg.Tensor([1.0, 2.0, 3.0]), 2)]
    [(2,), (1,)]
    """
    x = as_array(x, "split")
    i = one_axis(x, axis, "split")
    n = x.shape[i]
    if isinstance(indices_or_sections, (int, np.integer)):
        parts = int(indices_or_sections)
        if parts < 1:
            raise ValueError(f"split: {parts} parts. Ask for at least one.")
        sizes = [n // parts + (k < n % parts) for k in range(parts)]
        cuts = [0, *np.cumsum(sizes).tolist()]
    else:
        cuts = [0, *[int(c) for c in value_of(indices_or_sections)], n]
    before = (slice(None),) * i
    return [getitem(x, (*before, slice(a, b))) for a, b in itertools.pairwise(cuts)]


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut into a number of equal parts, or at the given places.

    Raises ValueError where the axis does not divide into equal parts.

    >>> import tinygrad_edu as tg
    >>> [part.shape for part in tg.split(tg.Tensor([1.0, 2.0, 3.0]), [1])]
    [(1,), (2,)]
    """
    x = as_array(x, "split")
    if isinstance(indices_or_sections, (int, np.integer)) and x.ndim:
        n = x.shape[one_axis(x, axis, "split")]
        if indices_or_sections < 1 or n % indices_or_sections:
            raise ValueError(f"split: axis {axis} of size {n} does not divide into {indices_or_sections} equal parts. "
                             "Use array_split for nearly equal ones.")
    return array_split(x, indices_or_sections, axis)


def hsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Cut along the second axis (the first, for vectors).

    >>> import tinygrad_edu as tg
    >>> len(tg.hsplit(tg.Tensor([1.0, 2.0]), 2))
    2
    """
    return split(x, indices_or_sections, 1 if as_array(x).ndim > 1 else 0)


def vsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Cut along the first axis.

    >>> import tinygrad_edu as tg
    >>> len(tg.vsplit(tg.Tensor([[1.0], [2.0]]), 2))
    2
    """
    return split(x, indices_or_sections, 0)


def meshgrid(*xs: Any, indexing: str = "xy") -> tuple[Any, ...]:
    """Coordinate tables of vectors: one array for each, all of the grid's shape.

    >>> import tinygrad_edu as tg
    >>> [grid.shape for grid in tg.meshgrid(tg.Tensor([1.0, 2.0]), [1.0, 2.0, 3.0])]
    [(3, 2), (3, 2)]
    """
    vectors = [ravel(x) for x in xs]
    if indexing not in ("xy", "ij"):
        raise ValueError(f'meshgrid: indexing={indexing!r}: write "xy" or "ij".')
    place = list(range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        place[:2] = 1, 0
    sizes = [0] * len(vectors)
    for axis, v in zip(place, vectors, strict=True):
        sizes[axis] = v.shape[0]
    return tuple(
        broadcast_to(reshape(v, tuple(v.shape[0] if i == axis else 1 for i in range(len(sizes)))), sizes)
        for axis, v in zip(place, vectors, strict=True)
    )


def _diagonal_index(rows: int, columns: int, offset: int) -> tuple[ndarray, ndarray]:
    n = builtins.max(0, builtins.min(rows + builtins.min(offset, 0), columns - builtins.max(offset, 0)))
    along = np.arange(n)
    return along - builtins.min(offset, 0), along + builtins.max(offset, 0)


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of each matrix in the plane of two axes, as a new last axis.

    >>> import tinygrad_edu as tg
    >>> tg.diagonal(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([1., 4.])
    """
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    return getitem(x, (Ellipsis, *_diagonal_index(x.shape[-2], x.shape[-1], offset)))


def diag(x: Any, k: int = 0) -> Any:
    """A matrix with the vector x on its k-th diagonal; of a matrix, its k-th diagonal.

    >>> import tinygrad_edu as tg
    >>> tg.diag(tg.Tensor([1.0, 2.0])).numpy().tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    x = as_array(x, "diag")
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(f"diag: shape {tuple(x.shape)}; give a vector or a matrix. For stacks of matrices use diagonal.")
    n = x.shape[0] + builtins.abs(k)
    return indexing.scatter(x, index=_diagonal_index(n, n, k), shape=(n, n))


def _triangle(x: Any, keep: Callable[..., Any], k: int, where: str) -> Any:
    x = as_array(x, where)
    if x.ndim < 2:
        raise ShapeError(f"{where}: shape {tuple(x.shape)} is no matrix. Use .reshape first.")
    return pointwise.where(keep(np.ones(x.shape[-2:], bool), k), x, 0.0)


def tril(x: Any, k: int = 0) -> Any:
    """The entries on and below the k-th diagonal, zeros elsewhere.

    >>> import tinygrad_edu as tg
    >>> tg.tril(tg.Tensor([[1.0, 2.0], [3.0, 4.0]])).numpy().tolist()
    [[1.0, 0.0], [3.0, 4.0]]
    """
    return _triangle(x, np.tril, k, "tril")


def triu(x: Any, k: int = 0) -> Any:
    """The entries on and above the k-th diagonal, zeros elsewhere.

    >>> import tinygrad_edu as tg
    >>> tg.triu(tg.Tensor([[1.0, 2.0], [3.0, 4.0]])).numpy().tolist()
    [[1.0, 2.0], [0.0, 4.0]]
    """
    return _triangle(x, np.triu, k, "triu")
