"""Large arrays of one number, held as that number alone: stand-ins for data when a function is recorded once more.

A second recording asks whether the same operations come again, with the same settings and constants, where the
arguments have other numbers. Which numbers does not matter, so large arguments are replaced by arrays whose entries
all lie in one place (their strides are zero), and what is computed of them is computed of one entry. Their values are
not those that NumPy would give (a sum with a small array takes that array's first entry for all), nobody sees them:
where anything differs, or fails, the recording is made again on numbers proper.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy import ndarray

from ..tensor import Tensor

LARGE = 1 << 16  # bytes from which an array has a stand-in, and from which a copy costs more than the operation on it


class _Mode(threading.local):
    on = False


_mode = _Mode()


@contextmanager
def standing_in(on: bool = True) -> Iterator[None]:
    """Within, large arrays of one number are stand-ins; elsewhere, np.broadcast_to(x, shape) is what NumPy says."""
    before, _mode.on = _mode.on, on
    try:
        yield
    finally:
        _mode.on = before


def stands_in(x: Any) -> bool:
    """Whether an array is a stand-in."""
    return x.nbytes >= LARGE and _mode.on and not any(x.strides)


def one_number(x: Any) -> Any:
    """An argument's stand-in: of a large array of floats one of its entries, moved a little; None for others."""
    value = x.value if type(x) is Tensor else x
    if not isinstance(value, ndarray) or value.nbytes < LARGE or value.dtype.kind != "f":
        return None
    middle = value[tuple([n // 2 for n in value.shape])]
    return np.broadcast_to(middle * value.dtype.type(0.9990234375) + value.dtype.type(1e-3), value.shape)


def computed(ufunc: Any, operands: Sequence[Any]) -> tuple[Any, tuple[int, ...]] | None:
    """What a ufunc makes of operands some of which are stand-ins, as a number and a shape; None: compute it properly."""
    if ufunc is np.matmul:
        a, b = operands
        if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
            return None
        value = np.matmul(a[..., :1, :], b[..., :1])
        return value[(0,) * value.ndim], (*value.shape[:-2], a.shape[-2], b.shape[-1])
    if ufunc.signature is not None:
        return None
    numbers = []
    shape: tuple[int, ...] = ()
    for x in operands:
        if not isinstance(x, ndarray):
            numbers.append(x)
            continue
        if x.shape != shape:
            shape = np.broadcast_shapes(shape, x.shape) if shape else x.shape
        numbers.append(x[(0,) * x.ndim])
    return ufunc(*numbers), shape


def reduced(ufunc: Any, x: Any, axis: Any, keepdims: bool) -> tuple[Any, tuple[int, ...]] | None:
    """The same for a sum, a maximum or a minimum of a stand-in."""
    x = x.view(ndarray)
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if ufunc not in (np.add, np.maximum, np.minimum) or x.dtype.kind != "f" or not all(-x.ndim <= i < x.ndim for i in axes):
        return None
    gone = {i % x.ndim for i in axes}
    value = x[(0,) * x.ndim]
    shape = tuple([1 if i in gone else n for i, n in enumerate(x.shape) if keepdims or i not in gone])
    return value * value.dtype.type(math.prod([x.shape[i] for i in gone])) if ufunc is np.add else value, shape


__all__ = ["LARGE", "computed", "one_number", "reduced", "standing_in", "stands_in"]
