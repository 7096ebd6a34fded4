"""Slightly other numbers, to record a function on a second time: what it decided by the numbers themselves shows."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy import ndarray

from ..tensor import Tensor


def shuffled(x: Any) -> Any:
    """The same numbers in another order, moved a little: what was decided by the order shows."""
    value = np.asarray(x.value if type(x) is Tensor else x)
    if value.size > FEW and value.dtype.kind == "f":
        return _times_factors(_pieces_shuffled(value), new=True)
    if not value.ndim:
        return nudged(x)
    if value.dtype.kind in "iub" and 0 < value.size <= FEW:
        return _moved(value)
    other = nudged(x)
    if value.size > FEW:
        return _pieces_shuffled(other)
    return other.reshape(-1)[_permutation(value.size)].reshape(value.shape)


def nudged(x: Any) -> Any:
    if isinstance(x, float) and not isinstance(x, np.floating):
        return x * 0.9990234375 if x else 0.0009765625
    value = np.asarray(x.value if type(x) is Tensor else x)
    if value.dtype.kind == "f":
        other = _times_factors(value)
        return other if isinstance(x, ndarray) else other[()]  # a list of 0-dimensional arrays is no list of numbers
    other = np.roll(value.reshape(-1), 1)
    if value.dtype.kind in "iu" and other.size and np.all(other == other[0]):  # no order to tell them by
        other[0] = other[0] - 1 if other[0] > 0 else other[0] + 1
    return other.reshape(value.shape)


def _moved(value: Any) -> Any:
    """The same integers in another order, with another one in every place as far as they allow; all equal, others."""
    flat = value.reshape(-1)
    order = flat.argsort(kind="stable")
    ordered = flat[order]
    ends = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    if not ends.size:
        return value if value.dtype.kind == "b" else value - 1 if flat[0] > 0 else value + 1
    longest = np.diff(ends, prepend=0, append=flat.size).max()
    other = np.empty_like(flat)
    other[order] = np.roll(ordered, -longest)  # of a value in most places, the first places change
    return other.reshape(value.shape)


FEW = 4096  # entries up to which every one has a factor and a place of its own
_factors = 1 - 1e-3 * np.random.default_rng(0).random(FEW)


@functools.lru_cache(32)
def _permutation(n: int) -> Any:
    return _drawn_permutation(n).astype(np.int16)  # in short, as they are kept


def _drawn_permutation(n: int) -> Any:
    order = np.random.default_rng(1).permutation(n)
    return order if np.any(order != np.arange(n)) else order[::-1]


def _times_factors(value: Any, new: bool = False) -> Any:
    """Entries a little smaller, each by another factor, or by one of many; 0 everywhere becomes something else."""
    size = value.size
    if size <= FEW:
        factors = _factors[:size].astype(value.dtype).reshape(value.shape)
        return np.asarray(value * factors if value.any() else 1e-3 * factors, value.dtype)
    n = _piece(size)
    factors = _factors[:n].astype(value.dtype)
    out = value if new else np.array(value, order=_order(value))
    flat = out.reshape(-1, order=_order(value))
    if not (flat[:FEW].any() or flat.any()):
        flat[...] = 1e-3
    flat[: size // n * n].reshape(-1, n)[...] *= factors
    flat[size // n * n :] *= factors[: size % n]
    return out


def _pieces_shuffled(value: Any) -> Any:
    """A large array cut into pieces: these in another order, each from its end to its beginning."""
    layout = _order(value)
    flat, n = value.reshape(-1, order=layout), _piece(value.size)
    count, rest = divmod(flat.size, n)
    out = np.empty(value.shape, value.dtype, layout)
    new = out.reshape(-1, order=layout)
    new[:rest] = flat[count * n :][::-1]
    pieces, places, order = new[rest:].reshape(count, n), flat[: count * n].reshape(count, n), _drawn_permutation(count)
    for k in range(0, count, 256):  # not all at once: fresh memory takes longer than the numbers
        pieces[k : k + 256] = places[order[k : k + 256], ::-1]
    return out


def _order(value: Any) -> Any:
    """The order in which an array's entries lie."""
    return "F" if value.flags.fnc else "C"


def _piece(size: int) -> int:
    """A length of pieces that goes into no axis of an array of this size, so that no row or column is treated as one."""
    lengths = (1009, 1013, 1019) if size > 1 << 20 else (211, 223, 227)
    return next((n for n in lengths if size % n), lengths[0])


__all__ = ["nudged", "shuffled"]
