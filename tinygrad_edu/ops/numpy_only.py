"""NumPy functions composed of ours, reached under NumPy's own names only: `np.linspace(0, t, 5)`, `np.block([[A, B]])`.

They have no second spelling in this package. Arguments and results are NumPy's; what NumPy offers beyond that is refused.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ShapeError, UnsupportedError
from ..tensor import Tensor
from .arranging import append, concatenate, diag, flip, roll, split, stack
from .inputs import Axis, as_array, axes_of, one_axis, operand, value_of
from .pointwise import divide, floor_divide, multiply, power, remainder, subtract, trunc, where
from .products import matmul
from .reductions import cumprod, cumsum, sum
from .selecting import getitem, sliding_window_view, take
from .shapes import astype, copy, expand_dims, moveaxis, ravel, reshape

__all__: list[str] = []

# ---------------------------------------------------------------- ufuncs with two results, and of vectors


def _divmod(a: Any, b: Any) -> Any:
    return floor_divide(a, b), remainder(a, b)


def _modf(x: Any) -> Any:
    whole = trunc(x)
    finite = np.logical_not(np.isinf(value_of(x)))  # of ∞, the fraction is 0
    return subtract(where(finite, x, 0.0), where(finite, whole, 0.0)), whole


def _ldexp(x: Any, exponent: Any) -> Any:
    if type(exponent) is Tensor:
        raise UnsupportedError("np.ldexp: the exponent is an integer and has no derivative. Write x * 2.0**e for a Tensor e.")
    x, exponent = as_array(x), np.asanyarray(exponent)[()]
    half = exponent // 2  # 2^e in two steps, each of which stays in range where the result does
    one = x.dtype.type(1)
    return x * np.ldexp(one, half) * np.ldexp(one, exponent - half)


def _frexp(x: Any) -> Any:
    _, exponent = np.frexp(value_of(x))
    return _ldexp(x, -exponent), exponent


def _matvec(a: Any, b: Any) -> Any:
    return getitem(matmul(a, expand_dims(b, -1)), (..., 0))


def _vecmat(a: Any, b: Any) -> Any:
    return getitem(matmul(expand_dims(a, -2), b), (..., 0, slice(None)))


# ---------------------------------------------------------------- running sums, steps and polynomials


def _cumulative(running: Callable[..., Any], start: float, name: str) -> Callable[..., Any]:
    def function(x: Any, axis: int | None = None, include_initial: bool = False) -> Any:
        x = as_array(x, name)
        if axis is None:
            if x.ndim != 1:
                raise ValueError(f"{name}: shape {tuple(x.shape)} has several axes or none. Give axis=.")
            axis = 0
        y = running(x, axis)
        if not include_initial:
            return y
        first = np.full([1 if i == one_axis(x, axis, name) else n for i, n in enumerate(x.shape)], start, x.dtype)
        return concatenate([first, y], axis)

    return function


def _ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    x = ravel(as_array(ary, "ediff1d"))
    parts = [subtract(x[1:], x[:-1])]
    if to_begin is not None:
        parts.insert(0, ravel(as_array(to_begin)))
    if to_end is not None:
        parts.append(ravel(as_array(to_end)))
    return concatenate(parts) if len(parts) > 1 else parts[0]


def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = as_array(y, "trapezoid")
    axis = one_axis(y, axis, "trapezoid")
    before, after = ((slice(None),) * axis + (part,) for part in (slice(None, -1), slice(1, None)))
    if x is not None:
        x = as_array(x, "trapezoid")
        dx = subtract(x[1:], x[:-1]) if x.ndim == 1 else subtract(getitem(x, after), getitem(x, before))
        if x.ndim == 1:
            dx = reshape(dx, (-1,) + (1,) * (y.ndim - 1 - axis))
    return sum(multiply(dx, getitem(y, after) + getitem(y, before)) * 0.5, axis)


def _vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    x = as_array(x, "vander")
    n = x.shape[0] if N is None else N
    columns = [power(x, k) for k in range(n)]
    return stack(columns if increasing else columns[::-1], 1)


def _polyval(p: Any, x: Any) -> Any:
    """Horner's scheme, highest power first."""
    p, x = as_array(p, "polyval"), as_array(x, "polyval")
    y = x * 0.0
    for i in range(p.shape[0]):
        y = y * x + p[i]
    return y


def _convolve(a: Any, v: Any, mode: str = "full") -> Any:
    a, v = as_array(a, "convolve"), as_array(v, "convolve")
    if a.ndim > 1 or v.ndim > 1:
        raise ShapeError(f"convolve: {tuple(a.shape)} and {tuple(v.shape)}: NumPy's convolve is for vectors. For images use "
                         "conv2d.")
    a, v = ravel(a), ravel(v)
    if not a.size or not v.size:
        raise ValueError("convolve: an operand has no entries.")
    if mode not in ("full", "same", "valid"):
        raise ValueError(f'convolve: mode={mode!r}: write mode="full", "same" or "valid".')
    if v.size > a.size:
        a, v = v, a
    n, m = a.size, v.size
    gap = np.zeros(m - 1, a.dtype)
    full = matmul(sliding_window_view(concatenate([gap, a, gap]), m), flip(v))
    if mode == "full":
        return full
    return full[(m - 1) // 2 : (m - 1) // 2 + n] if mode == "same" else full[m - 1 : n]


def _correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    a, v = as_array(a, "correlate"), as_array(v, "correlate")
    if v.size > a.size:  # NumPy exchanges them and reverses the result
        return flip(_correlate(v, a, mode))
    return _convolve(a, flip(ravel(v)), mode)


# ---------------------------------------------------------------- points between two ends


def _linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, axis: int = 0) -> Any:
    start, stop = operand(start, "linspace"), operand(stop, "linspace")
    dtype = np.result_type(1.0, *[x.dtype if hasattr(x, "dtype") else x for x in (start, stop)])
    start, stop = (astype(x, dtype) if type(x) is Tensor else np.asarray(x, dtype)[()] for x in (start, stop))
    steps = num - 1 if endpoint else num
    at = np.arange(num) / builtins.max(steps, 1)
    ndim = builtins.max(start.ndim, stop.ndim)
    at = at.reshape((-1,) + (1,) * ndim).astype(dtype)
    y = start * (1 - at) + stop * at  # weights of the ends, so that both ends are exact
    return moveaxis(y, 0, axis) if axis % (ndim + 1) else y


def _logspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, axis: int = 0) -> Any:
    return power(base, _linspace(start, stop, num, endpoint, axis))


def _geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, axis: int = 0) -> Any:
    start, stop = as_array(start, "geomspace"), as_array(stop, "geomspace")
    if not np.all(value_of(start) * value_of(stop) > 0):
        raise UnsupportedError("np.geomspace: the ends need the same sign, and none may be 0. Use np.linspace otherwise.")
    ratio = divide(stop, start)
    steps = _linspace(0 * ratio, 1 + 0 * ratio, num, endpoint, axis)
    return expand_dims(start, axis) * power(expand_dims(ratio, axis), steps)


# ---------------------------------------------------------------- choosing and arranging


def _choose(a: Any, choices: Any, mode: str = "raise") -> Any:
    choices = [choices[i] for i in range(len(choices))]
    index = np.asanyarray(value_of(a))
    if index.dtype.kind not in "iub":
        raise TypeError(f"choose: places of dtype {index.dtype}. Use integers: a.astype(int).")
    n = len(choices)
    if mode != "raise":
        index = np.clip(index, 0, n - 1) if mode == "clip" else index % n
    elif index.size and not (index.min() >= 0 and index.max() < n):
        raise ValueError(f"choose: places run from {index.min()} to {index.max()}, and there are {n} choices.")
    y = choices[-1]
    for k in range(n - 2, -1, -1):
        y = where(index == k, choices[k], y)
    shape = np.broadcast_shapes(index.shape, *[np.shape(value_of(c)) for c in choices])
    return y if tuple(y.shape) == shape else y + np.zeros(shape)


def _compress(condition: Any, a: Any, axis: int | None = None) -> Any:
    x, chosen = as_array(a, "compress"), np.flatnonzero(np.asanyarray(value_of(condition)))
    return take(ravel(x), chosen, 0) if axis is None else take(x, chosen, axis)


def _extract(condition: Any, arr: Any) -> Any:
    return _compress(np.ravel(value_of(condition)), arr)


def _piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    x = as_array(x, "piecewise")
    masks = value_of(condlist)
    masks = (np.stack([np.asanyarray(value_of(mask)) for mask in masks]) if isinstance(masks, (list, tuple)) and masks
             else np.asanyarray(masks)).astype(bool)
    if masks.ndim == x.ndim:
        masks = masks[None]
    pieces = list(funclist)
    if len(pieces) not in (len(masks), len(masks) + 1):
        raise ValueError(f"piecewise: {len(masks)} conditions and {len(pieces)} functions. Give as many, or one more for the "
                         "rest.")
    if len(pieces) == len(masks):
        pieces.append(0.0)
    places, values = [], []
    free = np.ones(x.shape, bool)  # the last condition that holds counts
    for mask, piece in zip(reversed([~np.any(masks, 0), *masks]), reversed([pieces[-1], *pieces[:-1]]), strict=True):
        index = np.flatnonzero(mask & free)
        free = free & ~mask
        if index.size:
            part = getitem(ravel(x), index)
            value = as_array(piece(part, *args, **kw) if callable(piece) else piece)
            places.append(index)
            value = value if value.shape == (index.size,) else value + np.zeros_like(index, x.dtype)
            values.append(astype(value, x.dtype) if type(value) is Tensor else value.astype(x.dtype))
    order = np.argsort(np.concatenate(places)) if places else np.zeros(0, int)
    return reshape(getitem(concatenate(values), order), x.shape) if places else copy(x)


def _block(arrays: Any) -> Any:
    def depth(a: Any) -> int:
        return 1 + builtins.max(map(depth, a)) if isinstance(a, list) else 0

    levels = depth(arrays)
    leaves: list[Any] = []

    def gather(a: Any) -> None:
        if isinstance(a, list):
            for item in a:
                gather(item)
        else:
            leaves.append(as_array(a, "block"))

    gather(arrays)
    ndim = builtins.max(levels, *[x.ndim for x in leaves], 1)

    def join(a: Any, level: int) -> Any:
        if isinstance(a, list):
            return concatenate([join(item, level + 1) for item in a], ndim - levels + level)
        x = as_array(a, "block")
        return reshape(x, (1,) * (ndim - x.ndim) + tuple(x.shape))

    y = join(arrays, 0)
    return y if levels or as_array(arrays).ndim else reshape(y, ())


def _unstack(x: Any, axis: int = 0) -> Any:
    x = as_array(x, "unstack")
    before = (slice(None),) * one_axis(x, axis, "unstack")
    return tuple(getitem(x, (*before, i)) for i in range(x.shape[axis]))


def _dsplit(ary: Any, indices_or_sections: Any) -> Any:
    if as_array(ary).ndim < 3:
        raise ShapeError(f"dsplit: shape {tuple(as_array(ary).shape)} has no third axis. Use hsplit.")
    return split(ary, indices_or_sections, 2)


def _diagflat(v: Any, k: int = 0) -> Any:
    return diag(ravel(as_array(v, "diagflat")), k)


def _resize(a: Any, new_shape: Any) -> Any:
    x = ravel(as_array(a, "resize"))
    shape = (int(new_shape),) if isinstance(new_shape, (int, np.integer)) else tuple(int(n) for n in new_shape)
    n = math.prod(shape)
    return reshape(getitem(x, np.arange(n) % x.size), shape) if x.size else reshape(append(x, np.zeros(n, x.dtype)), shape)


def _trim_zeros(filt: Any, trim: str = "fb") -> Any:
    x = as_array(filt, "trim_zeros")
    if x.ndim != 1:
        raise ShapeError(f"trim_zeros: shape {tuple(x.shape)}. Give a vector.")
    places = np.flatnonzero(value_of(x))
    if not places.size:
        return x[:0]
    start = places[0] if "f" in trim.lower() else 0
    return x[int(start) : int(places[-1]) + 1 if "b" in trim.lower() else x.shape[0]]


def _unwrap(p: Any, discont: float | None = None, axis: int = -1, period: float = 2 * math.pi) -> Any:
    """p plus multiples of the period, which are constant between jumps."""
    value = value_of(p)
    turns = np.rint((np.unwrap(value, discont, axis, period=period) - value) / period)
    return p + (turns * period).astype(value.dtype)


def _unique(ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
            axis: int | None = None) -> Any:
    """The distinct entries in order, each taken from where it first stands, and gets the gradient there."""
    x = as_array(ar, "unique")
    unique: Any = np.unique
    _, first, *rest = unique(value_of(x), True, return_inverse, return_counts, axis)
    y = getitem(ravel(x), first) if axis is None else take(x, first, axis)
    results = (y, *((first,) if return_index else ()), *rest)
    return results if len(results) > 1 else y


def _unique_values(x: Any) -> Any:
    return _unique(x)


def _fftshift(sign: int) -> Callable[..., Any]:
    def function(x: Any, axes: Axis = None) -> Any:
        x = as_array(x, "fftshift")
        places = tuple(range(x.ndim)) if axes is None else axes_of(x, axes, "fftshift") or ()
        return roll(x, tuple(x.shape[i] // 2 if sign > 0 else -(x.shape[i] // 2) for i in places), places)

    return function


def _apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    x = as_array(arr, "apply_along_axis")
    last = moveaxis(x, axis, -1)
    rest = tuple(last.shape[:-1])
    rows = reshape(last, (math.prod(rest), last.shape[-1]))
    y = stack([as_array(func1d(rows[i], *args, **kwargs)) for i in range(rows.shape[0])])
    y = reshape(y, rest + tuple(y.shape[1:]))
    at = one_axis(x, axis, "apply_along_axis")
    extra = y.ndim - len(rest)
    return y if not extra else moveaxis(y, tuple(range(len(rest), y.ndim)), tuple(range(at, at + extra)))


def _apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    x = as_array(a, "apply_over_axes")
    places: Any = [axes] if isinstance(axes, (int, np.integer)) else axes
    for i in places:
        y = as_array(func(x, i))
        x = y if y.ndim == x.ndim else expand_dims(y, i)
    return x


def _real_if_close(a: Any, tol: float = 100) -> Any:
    return copy(a)


NUMPY: dict[Any, Callable[..., Any]] = {
    np.divmod: _divmod, np.modf: _modf, np.ldexp: _ldexp, np.frexp: _frexp, np.fix: trunc,
    np.ediff1d: _ediff1d, np.trapezoid: _trapezoid, np.vander: _vander, np.polyval: _polyval, np.convolve: _convolve,
    np.correlate: _correlate, np.linspace: _linspace, np.logspace: _logspace, np.geomspace: _geomspace,
    np.choose: _choose, np.compress: _compress, np.extract: _extract, np.piecewise: _piecewise, np.block: _block,
    np.dsplit: _dsplit, np.diagflat: _diagflat, np.resize: _resize, np.trim_zeros: _trim_zeros, np.unwrap: _unwrap,
    np.unique: _unique, np.fft.fftshift: _fftshift(1), np.fft.ifftshift: _fftshift(-1),
    np.apply_along_axis: _apply_along_axis, np.apply_over_axes: _apply_over_axes, np.real_if_close: _real_if_close,
}
# what younger versions of NumPy have
for _name, _function in (
    ("matvec", _matvec), ("vecmat", _vecmat), ("cumulative_sum", _cumulative(cumsum, 0.0, "cumulative_sum")),
    ("cumulative_prod", _cumulative(cumprod, 1.0, "cumulative_prod")), ("unstack", _unstack),
    ("unique_values", _unique_values),
):
    if hasattr(np, _name):
        NUMPY[getattr(np, _name)] = _function
