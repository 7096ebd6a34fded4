"""Values that know where they came from, for what a Tensor does not record.

Comparisons, index arrays and whatever else has no derivative are plain arrays in the engine, and the record of a
function would only hold their numbers. While a function is traced, values are `Traced` arrays: every NumPy call on one
remembers the call, so that `Z > 0` becomes a line of the program. A traced value refuses to decide a branch.
"""

from __future__ import annotations

import functools
import linecache
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import UnsupportedError
from ..rules import pointwise
from ..tensor import Primitive, Tensor

_PACKAGE = str(Path(__file__).resolve().parent.parent)
_NUMPY = str(Path(np.__file__).resolve().parent)


class Traced(ndarray):
    """An array that remembers the call that made it.

    source : (function, operands, params) of a NumPy call, the array it is a view of, or None where unknown.
    """

    is_traced = True  # how the rooms below know one
    source: Any

    def __array_finalize__(self, obj: Any) -> None:
        self.source = obj if type(obj) is Traced else None

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(type(x) is Tensor for x in inputs):
            return NotImplemented  # recorded there, with this array as its operand
        plain = [_plain(x) for x in inputs]
        out = kwargs.get("out")
        if out is not None:
            kwargs["out"] = tuple(_plain(x) for x in out)
            getattr(ufunc, method)(*plain, **kwargs)
            for x in out:
                if type(x) is Traced:
                    x.source = None  # changed in place: it stands for something else now
            return out[0] if len(out) == 1 else out
        value = getattr(ufunc, method)(*plain, **{k: _plain(v) for k, v in kwargs.items()})
        if ufunc.nout > 1 or method == "at":
            return value
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        return traced(value, (function, inputs, kwargs))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if any(t is Tensor for t in types):
            return NotImplemented
        value = func(*[_plain(x) for x in args], **{k: _plain(v) for k, v in kwargs.items()})
        return traced(value, (func, args, kwargs)) if isinstance(value, (ndarray, np.generic)) else value

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        return traced(np.asarray(self).astype(dtype, *args, **kwargs), (as_type, (self,), {"dtype": np.dtype(dtype)}))

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        value = np.asarray(self).reshape(*shape, **kwargs)
        return traced(value, (np.reshape, (self,), {"shape": value.shape})) if not kwargs else value

    def copy(self, *args: Any, **kwargs: Any) -> Any:
        return traced(np.asarray(self), self)

    def __bool__(self) -> bool:
        _refuse("bool")
        return bool(np.asarray(self))

    def __float__(self) -> float:
        _refuse("float")
        return float(np.asarray(self)[()])

    def __int__(self) -> int:
        _refuse("int")
        return int(np.asarray(self)[()])

    def __index__(self) -> int:
        _refuse("an index")
        return np.asarray(self)[()].__index__()

    def item(self, *args: Any) -> Any:
        _refuse("a number")
        return np.asarray(self).item(*args)

    def __reduce__(self) -> Any:
        return np.array(self).__reduce__()


def _as_function(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: function(self, *args, **kwargs)


for _function in (np.sum, np.mean, np.max, np.min, np.argmax, np.argmin, np.any, np.all, np.argsort):
    setattr(Traced, _function.__name__.removeprefix("a") if _function in (np.max, np.min) else _function.__name__,
            _as_function(_function))


def as_type(x: Any, dtype: Any) -> Any:
    """x.astype(dtype), as a function."""
    return x.astype(dtype)


def _plain(x: Any) -> Any:
    if type(x) is Traced:
        x = x.view(ndarray)
        return x if x.ndim else x[()]
    if type(x) in (tuple, list):
        return type(x)(_plain(item) for item in x)
    return x


def traced(value: Any, source: Any) -> Traced:
    """A copy of a value that knows its source. It owns its data, so that a plain view of it has it as its base."""
    value = np.asarray(value)
    out = ndarray.__new__(Traced, value.shape, value.dtype)
    out[...] = value
    out.source = source
    return out


def origin(x: Any) -> Traced | None:
    """The traced value behind an operand; becoming a constant made a plain view of it."""
    if type(x) is Traced:
        return x
    base = x.base if type(x) is ndarray else None
    while type(base) is ndarray:  # a view of a view
        base = base.base
    if type(base) is Traced and base.shape == x.shape and base.strides == x.strides and base.ctypes.data == x.ctypes.data:
        return base
    return None


def _refuse(what: str) -> None:
    """Raise if the user's code asks for the number, or by way of a Tensor; the engine and NumPy may look."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_NUMPY):
        frame = frame.f_back
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        if frame.f_code.co_name not in ("__bool__", "__float__", "__int__", "__index__", "item"):
            return
        if frame.f_code.co_name in ("__float__", "__int__"):
            what = frame.f_code.co_name.strip("_")
        frame = frame.f_back
    if frame is None:
        return
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    where = f"{frame.f_code.co_name}, line {frame.f_lineno}" + (f": {line}" if line else "")
    remedy = ("np.where(condition, a, b), which keeps both branches" if what == "bool"
              else "the Tensor itself, or .numpy() for a fixed number")
    meant = "a condition" if what == "bool" else what
    raise UnsupportedError(f"{where} — uses a value that depends on the arguments as {meant}; the formulas recorded would "
                           f"hold for these numbers only. Use {remedy}.")


@functools.cache
def as_primitive(function: Any) -> Primitive:
    """A NumPy function without derivative, as a primitive."""
    if isinstance(function, Primitive):
        return function
    name = getattr(function, "__name__", "function")
    if isinstance(function, np.ufunc):
        own = getattr(pointwise, name, None)
        if isinstance(own, Primitive):
            return own
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        name = f"{owner.__name__}.{name}"
    return Primitive(name, function)


def arrays_in(x: Any) -> Iterator[Traced]:
    """The traced arrays in the operands of a NumPy call."""
    if type(x) is Tensor:
        x = x.value
    if isinstance(x, ndarray):
        found = origin(x)
        if found is not None:
            yield found
    elif isinstance(x, (tuple, list)):
        for item in x:
            yield from arrays_in(item)
    elif isinstance(x, dict):
        yield from arrays_in(tuple(x.values()))


def note(op: Primitive, args: tuple[Any, ...], params: dict[str, Any], y: Any) -> Any:
    """A call without a derivative rule, or on plain arrays: its result remembers it, where an operand does."""
    if type(y) is Traced or not isinstance(y, (ndarray, np.generic)):
        return y
    return traced(y, (op, args, params)) if any(True for _ in arrays_in((args, params))) else y
