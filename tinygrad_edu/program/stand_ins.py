"""Large arrays of one number, held as that number alone: stand-ins for data when a function is recorded once more.

A second recording asks whether the same operations come again, with the same settings and constants, where the
arguments have other numbers. Which numbers does not matter, so large arguments are replaced by arrays whose entries
all lie in one place (their strides are zero), and what is computed of them is computed of one entry. Their values are
not those that NumPy would give (a sum with a small array takes that array's first entry for all), nobody sees them:
where anything differs, or fails, the recording is made again on numbers proper.
"""

from __future__ import annotations

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
def standing_in() -> Iterator[None]:
    """Within, large arrays of one number are stand-ins; elsewhere, np.broadcast_to(x, shape) is what NumPy says."""
    _mode.on = True
    try:
        yield
    finally:
        _mode.on = False


def stands_in(x: Any) -> bool:
    """Whether a large array is a stand-in."""
    return not any(x.strides) and _mode.on


def one_number(x: Any) -> Any:
    """An argument's stand-in: of a large array of floats one of its entries, moved a little; None for others."""
    value = x.value if type(x) is Tensor else x
    if not isinstance(value, ndarray) or value.nbytes < LARGE or value.dtype.kind != "f":
        return None
    middle = value[tuple([n // 2 for n in value.shape])]
    return np.broadcast_to(middle * value.dtype.type(0.9990234375) + value.dtype.type(1e-3), value.shape)


def computed(ufunc: Any, operands: Sequence[Any]) -> Any:
    """What a ufunc makes of operands some of which stand in for others; None where it has to be computed properly."""
    if ufunc is np.matmul:
        a, b = operands
        if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
            return None
        value = np.matmul(a[..., :1, :], b[..., :1])
        shape = (*value.shape[:-2], a.shape[-2], b.shape[-1])
    elif ufunc.signature is None:
        shape = np.broadcast_shapes(*[np.shape(x) for x in operands])
        value = ufunc(*[x[(0,) * x.ndim] if isinstance(x, ndarray) and x.ndim else x for x in operands])
    else:
        return None
    return np.broadcast_to(value, shape)


__all__ = ["LARGE", "computed", "one_number", "standing_in", "stands_in"]
