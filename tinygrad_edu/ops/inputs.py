"""What every front door does first: bring an argument into the form the primitives know."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.exceptions import AxisError

from ..tensor import Tensor, constant, leaf

Axis = int | Sequence[int] | None


def operand(x: Any, where: str = "operand") -> Any:
    """A Tensor as it is; anything else as a constant of real numbers. Lists of Tensors are joined."""
    if type(x) is Tensor:
        return x
    if isinstance(x, (list, tuple)) and _holds_tensor(x):
        from .arranging import stack

        return stack([operand(item, where) for item in x])
    return constant(x, where)


def _holds_tensor(items: Any) -> bool:
    return builtins.any(type(x) is Tensor or (isinstance(x, (list, tuple)) and _holds_tensor(x)) for x in items)


def as_array(x: Any, where: str = "operand") -> Any:
    """An operand with shape and dtype: Python numbers become arrays."""
    x = operand(x, where)
    return x if hasattr(x, "shape") else np.asarray(x)[()]


def floating(x: Any, where: str) -> Any:
    """An operand of floating-point numbers; integers become float64."""
    if type(x) is Tensor:
        return x if x.value.dtype.kind in "fc" else leaf(x.value.astype(np.float64), requires_grad=False, why="integer")
    x = as_array(x, where)
    return x if x.dtype.kind in "fc" else x.astype(np.float64)


def value_of(x: Any) -> Any:
    """The plain array behind an operand, for functions without derivatives."""
    if type(x) is Tensor:
        return x.value
    if isinstance(x, (list, tuple)):
        return type(x)(value_of(item) for item in x)
    return x


_OF_NUMBERS = ("sum", "prod", "max", "min")  # which take a single number for an array of one


def axes_of(x: Any, axis: Axis, where: str) -> tuple[int, ...] | None:
    """Axes as a sorted tuple of non-negative integers; None stays None."""
    if axis is None:
        return None
    if type(axis) is int and -x.ndim <= axis < x.ndim:
        return (axis % x.ndim,)
    if type(axis) is int and axis in (0, -1) and not x.ndim and where in _OF_NUMBERS:
        return None  # so does NumPy
    if isinstance(axis, Tensor) or not isinstance(axis, (int, np.integer, Iterable)):
        other = {"max": " The larger of two values is maximum(a, b).", "min": " The smaller of two values is minimum(a, b)."}
        shown = "a Tensor" if isinstance(axis, Tensor) else repr(axis)
        raise TypeError(f"{where}: the axis is {shown}. Axes are whole numbers.{other.get(where, '')}")
    given = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    out = []
    for i in given:
        i = int(i)
        if not -x.ndim <= i < x.ndim:
            raise AxisError(f"{where}: axis {i} is out of bounds for shape {tuple(x.shape)}. "
                            f"Axes run from {-x.ndim} to {x.ndim - 1}." if x.ndim else
                            f"{where}: axis {i} given, but a single number has no axes.")
        out.append(i % x.ndim)
    if len(set(out)) < len(out):
        raise ValueError(f"{where}: axis {tuple(given)} names an axis twice. Name each once.")
    return tuple(sorted(out))


def one_axis(x: Any, axis: int, where: str) -> int:
    axes = axes_of(x, axis, where)
    assert axes is not None
    return axes[0]


def plain_index(index: Any) -> Any:
    """An index of plain integers, slices and private copies of index arrays."""
    if type(index) is tuple:
        return tuple(plain_index(i) for i in index)
    if index is None or index is Ellipsis or type(index) is int:
        return index
    if isinstance(index, slice):
        return slice(*[None if i is None else int(i) for i in (index.start, index.stop, index.step)])
    if isinstance(index, np.integer):
        return int(index)
    if type(index) is bool or type(index) is np.bool_:
        return np.bool_(index)
    array = np.array(value_of(index), subok=True)  # an index that is traced stays so
    if not array.size and array.dtype.kind == "f" and not isinstance(index, ndarray):
        array = array.astype(np.intp)  # []
    if type(index) is Tensor and array.dtype.kind == "f":
        raise IndexError("index: a Tensor of floats is no index. Use .astype(int), or a comparison for a mask.")
    return array if array.ndim else array[()]
