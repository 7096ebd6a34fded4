"""Values that know where they came from, for what a Tensor does not record.

Comparisons, index arrays and whatever else has no derivative are plain arrays in the engine, and the record of a
function would only hold their numbers. While a function is traced, values are `Traced` arrays: every NumPy call on one
remembers the call, so that `Z > 0` becomes a line of the program. A traced value refuses to decide a branch.
"""

from __future__ import annotations

import ast
import functools
import linecache
import logging
import math
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import TraceError, UnsupportedError
from ..rules import indexing, pointwise, products, shapes
from ..tensor import Primitive, Tensor, next_id
from .stand_ins import LARGE, computed, reduced, stands_in

_PACKAGE = str(Path(__file__).resolve().parent.parent)
_NUMPY = str(Path(np.__file__).resolve().parent)


class Counted(threading.local):
    """Values of the function being traced whose number of entries follows from numbers: masks, and what was selected.

    Their shapes may be read without a trace, len(x[x > 0]), so a program checks them even where it does not need them.
    """

    values: list[Any] | None = None
    refused: Exception | None = None  # what the user's code was refused and may have caught

    def add(self, value: Any) -> None:
        if self.values is not None and type(value) is Traced:
            self.values.append(value)

    def masks(self, index: Any) -> None:
        if self.values is not None:
            for part in arrays_in(index):
                if part.dtype == bool:
                    self.add(part)


counted = Counted()


class Traced(ndarray):
    """An array that remembers the call that made it.

    source : (function, operands, params) of a NumPy call, the array it is a view of, or None where unknown.
    """

    is_traced = True  # how the rooms below know one
    source: Any = None
    at: int = 0  # when it was made of Tensors, which may be assigned into later; 0 where no such question comes up
    viewed: Any = None  # the array whose memory it would share in NumPy, where this is a copy
    changed: str = ""  # where it was written to, which no source tells

    def __array_finalize__(self, obj: Any) -> None:
        if type(obj) is Traced:
            self.source, self.changed = obj, obj.changed

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs and ufunc.nout == 1:  # by far the most, by the shortest way
            operands: list[Any] = []
            one = False
            for x in inputs:
                kind = type(x)
                if kind is Traced:
                    operands.append(x.view(ndarray) if x.shape else x.view(ndarray)[()])
                    one = one or stands_in(x)
                elif kind is Tensor:
                    return NotImplemented
                else:
                    operands.append(_plain(x))
            if one and (found := computed(ufunc, operands)) is not None:
                return of_one_number(*found, (ufunc, inputs, kwargs))
            value = ufunc(*operands)
            if type(value) is ndarray or isinstance(value, np.generic):
                return traced(value, (ufunc, inputs, kwargs), new=True)
            return noted(ufunc, value, inputs, kwargs)
        if any(type(x) is Tensor for x in inputs):
            return NotImplemented  # recorded there, with this array as its operand
        x, reduction = inputs[0], method == "reduce" and kwargs.keys() <= {"axis", "keepdims"}
        if reduction and type(x) is Traced and stands_in(x) and (
                found := reduced(ufunc, x, kwargs.get("axis", 0), kwargs.get("keepdims", False))) is not None:
            return of_one_number(*found, (ufunc.reduce, inputs, {"axis": 0, **kwargs}))
        plain, settings = [_plain(x) for x in inputs], {k: _plain(v) for k, v in kwargs.items()}
        out = kwargs.get("out")
        if out is not None:
            _only_traced(out)
            settings["out"] = _writable(out)
            getattr(ufunc, method)(*plain, **settings)
            changed_in_place(out)
            return out[0] if len(out) == 1 else out
        if method == "at":
            _only_traced(inputs[0])
            _writable(inputs[0])
        value = getattr(ufunc, method)(*plain, **settings)
        if method == "at":
            changed_in_place(inputs[0])
            return value
        if method == "reduce":
            kwargs = {"axis": 0, **kwargs}
            if not set(kwargs) <= {"axis", "keepdims"}:
                return noted(_special_reduction(ufunc), value, inputs, kwargs)
        return noted(ufunc if method == "__call__" else getattr(ufunc, method), value, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if any(t is Tensor for t in types):
            return NotImplemented
        if func in _IN_PLACE:
            _only_traced((*args, *kwargs.values())[0])
            _writable((*args, *kwargs.values())[0])
        _only_traced(kwargs.get("out"))
        _writable(kwargs.get("out"))
        value = func(*[_plain(x) for x in args], **{k: _plain(v) for k, v in kwargs.items()})
        if func in _IN_PLACE:
            changed_in_place((*args, *kwargs.values())[0])
        if kwargs.get("out") is not None:
            changed_in_place(kwargs["out"])
            return kwargs["out"]
        if func in _OF_SHAPES:
            if func in _TEXTS:
                refuse_text()
            return value
        if func is np.transpose and type(args[0]) is Traced and args[0].nbytes >= LARGE:
            turned = ndarray.transpose(args[0], *args[1:], *kwargs.values())
            turned.source = (func, args, kwargs)
            return turned
        value = noted(func, value, args, kwargs)
        if func in _OF_OTHER_LENGTH and (func is not np.where or len(args) == 1):
            for part in value if isinstance(value, tuple) else (value,):
                counted.add(part)
        return value

    def __getitem__(self, index: Any) -> Any:
        index = tuple(index) if type(index) is list and any(type(p) is slice for p in index) else index
        value = super().__getitem__(_plain(index))
        op = indexing.getitem if indexing.is_basic(index) else indexing.gather
        counted.masks(index)
        if not isinstance(value, Traced):
            return traced(value, (op, (self,), {"index": index}))
        value.source = (op, (self,), {"index": index})
        return value

    def __setitem__(self, index: Any, values: Any) -> None:
        _writable(self)[_plain(index)] = _plain(values)
        changed_in_place(self)

    @property
    def mT(self) -> Any:  # noqa: N802
        return np.swapaxes(self, -1, -2)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    @property
    def T(self) -> Any:  # noqa: N802
        return self.transpose()

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        return traced(np.asarray(self).astype(dtype, *args, **kwargs), (as_type, (self,), {"dtype": np.dtype(dtype)}))

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        if kwargs:
            return np.reshape(self, shape[0] if len(shape) == 1 else shape, **kwargs)
        value = np.asarray(self).reshape(*shape)
        return traced(value, (shapes.reshape, (self,), {"shape": value.shape}))

    def transpose(self, *axes: Any) -> Any:
        value = np.asarray(self).transpose(*axes)
        order = tuple(axes[0] if len(axes) == 1 else axes) if axes and axes[0] is not None else tuple(range(self.ndim))[::-1]
        return traced(value, (shapes.transpose, (self,), {"axes": tuple(i % self.ndim for i in order)}))

    def flatten(self, order: Any = "C") -> Any:
        return np.ravel(self, order)

    def copy(self, *args: Any, **kwargs: Any) -> Any:
        return traced(np.asarray(self), self)

    def tolist(self) -> Any:
        _refuse("numbers")
        return np.asarray(self).tolist()

    def sort(self, *args: Any, **kwargs: Any) -> None:
        _writable(self).sort(*args, **kwargs)
        changed_in_place(self)

    def partition(self, *args: Any, **kwargs: Any) -> None:
        _writable(self).partition(*args, **kwargs)
        changed_in_place(self)

    def fill(self, value: Any) -> None:
        _writable(self).fill(_plain(value))
        changed_in_place(self)

    def setflags(self, write: Any = None, align: Any = None, uic: Any = None) -> None:
        if write:
            raise in_place_error(_users_line())
        super().setflags(write=write, align=align, uic=uic)

    def __repr__(self) -> str:
        refuse_text()
        return repr(np.asarray(self))

    def __str__(self) -> str:
        refuse_text()
        return str(np.asarray(self))

    def __format__(self, spec: str) -> str:
        refuse_text()
        return format(np.asarray(self)[()], spec)

    def tobytes(self, *args: Any, **kwargs: Any) -> bytes:
        _refuse("bytes")
        return np.asarray(self).tobytes(*args, **kwargs)

    def _flat(self) -> Any:
        return np.ravel(self)

    flat: Any = property(_flat)

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


for _name in ("sum", "mean", "max", "min", "argmax", "argmin", "any", "all", "argsort", "argpartition", "clip", "conj",
              "cumprod", "cumsum", "diagonal", "dot", "nonzero", "prod", "ravel", "repeat", "round", "searchsorted", "squeeze",
              "std", "swapaxes", "take", "trace", "var", "choose", "ptp"):
    setattr(Traced, _name, _as_function(getattr(np, _name)))
# functions that change their first argument, and functions of shapes and types
_IN_PLACE = (np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal)
_OF_SHAPES = (np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.min_scalar_type, np.common_type, np.iscomplexobj,
              np.isrealobj, np.may_share_memory, np.shares_memory, np.array_repr, np.array_str, np.array2string,
              *_IN_PLACE)


_TEXTS = (np.array_repr, np.array_str, np.array2string)
# functions whose result has as many entries as numbers say
_OF_OTHER_LENGTH = (np.unique, np.nonzero, np.flatnonzero, np.argwhere, np.where, np.extract, np.compress, np.repeat,
                    np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d, np.delete, np.trim_zeros, np.bincount)


def _only_traced(out: Any) -> None:
    """Refuse to write what depends on the arguments into an array that cannot remember it."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_NUMPY):
        frame = frame.f_back
    if frame is None or frame.f_code.co_filename.startswith(_PACKAGE):
        return  # a primitive's own array, which its call accounts for
    for x in out if isinstance(out, (tuple, list)) else (out,):
        if isinstance(x, ndarray) and type(x) is not Traced:
            raise TraceError(f"jit: {_users_line()} — writes what depends on the arguments into another array, which cannot be "
                             "recorded. Make a new one: np.bincount or tg.one_hot for counts, y = np.add(...) instead of out=.")


def in_place_error(where: str) -> TraceError:
    return TraceError(f"jit: {where} — changes an array in place that depends on the arguments, which cannot be recorded. "
                      "Make a new one: np.where(labels == -1, 0, labels) instead of labels[labels == -1] = 0; a Tensor's "
                      "entries can be assigned.")


def read_only_error(error: Exception) -> TraceError | None:
    """What to say where NumPy refused to write to an array, as arguments are while they are recorded."""
    if "read-only" not in str(error) or not isinstance(error, (ValueError, TypeError)):
        return None
    where, trace = None, error.__traceback__
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if not filename.startswith((_NUMPY, _PACKAGE)) and not filename.endswith(".pyx"):
            where = trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next
    return None if where is None else in_place_error(_line_of(*where))


def _writable(x: Any) -> Any:
    """The array itself, to be written to; not the caller's own, as which large arguments are recorded."""
    if type(x) in (tuple, list):
        return type(x)(_writable(item) for item in x)
    if type(x) is not Traced:
        return x
    if not x.flags.writeable:
        raise in_place_error(_users_line())
    return x.view(ndarray)


def changed_in_place(x: Any) -> None:
    """An array that has been written to stands for something else now, and so does what it is a view of."""
    if type(x) in (tuple, list):
        for item in x:
            changed_in_place(item)
    while type(x) is Traced:
        if not x.changed:
            x.changed = _users_line()
        source = x.source
        if type(x.base) is not Traced and type(source) is tuple and source[0] in _VIEWING:  # NumPy would have made a view
            x = source[1][0] if source[1] else None
        else:
            x = x.base if x.viewed is None else x.viewed


_VIEWING = frozenset({shapes.reshape, shapes.transpose, np.reshape, np.transpose, np.ravel, np.swapaxes, np.moveaxis,
                      np.squeeze, np.expand_dims, np.atleast_1d, np.atleast_2d, np.diagonal, np.flip, np.rot90,
                      np.broadcast_to})


def _users_line() -> str:
    """The line of the user's code that is being run."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith((_NUMPY, _PACKAGE)):
        frame = frame.f_back
    return "a function of the engine" if frame is None else _line_of(frame, frame.f_lineno)


def _line_of(frame: FrameType, number: int) -> str:
    line = linecache.getline(frame.f_code.co_filename, number).strip()
    return f"{frame.f_code.co_name}, line {number}" + (f": {line}" if line else "")


def as_type(x: Any, dtype: Any) -> Any:
    """x.astype(dtype), as a function."""
    return x.astype(dtype)


def _plain(x: Any) -> Any:
    if type(x) is Traced:
        x = x.view(ndarray)
        return x if x.ndim else x[()]
    if type(x) is tuple or type(x) is list:
        return type(x)(_plain(item) for item in x)
    if type(x) is dict:
        return {key: _plain(item) for key, item in x.items()}
    return x


def noted(function: Any, value: Any, inputs: Any, params: Any) -> Any:
    """What a call gave, remembering the call; of several results each remembers which it was."""
    if isinstance(value, (ndarray, np.generic, bool, int, float)):
        return traced(value, (function, inputs, params), new=isinstance(function, np.ufunc))
    if isinstance(value, (tuple, list)):
        parts = [noted(_result_of(function, i), item, inputs, params) for i, item in enumerate(value)]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


@functools.cache
def _special_reduction(ufunc: Any) -> Primitive:
    """A reduction with a dtype, a start or a mask."""
    return Primitive(f"{ufunc.__name__}.reduce.as", ufunc.reduce)


@functools.cache
def _result_of(function: Any, i: int) -> Primitive:
    op = as_primitive(function)
    return Primitive(f"{op.name}_{i}", lambda *args, **params: op.forward(*args, **params)[i])


new_array = ndarray.__new__


class Owned(ndarray):
    """The array whose memory a Traced one took over; of a type of its own, or plain views would have it as their base."""


def traced_argument(value: Any, own: bool) -> Traced:
    """An argument. A large array of the caller's is not copied, and not written to."""
    if own or value.nbytes < LARGE or not value.flags.forc:
        small = traced(value, None, new=own)
        if value.dtype.kind != "f":  # np.asarray(labels)[0] = 1; floats are Tensors, which refuse it
            small.flags.writeable = False
        return small
    out: Traced = value.view(Owned).view(Traced)
    out.source = None
    out.flags.writeable = False
    return out


def traced(value: Any, source: Any, new: bool = False) -> Traced:
    """A copy of a value that knows its source. A plain view of it has it as its base.

    new : nobody else holds the value, so that its memory may be taken over instead.
    """
    if not isinstance(value, (ndarray, np.generic)):
        value = np.asarray(value)
    if new and type(value) is ndarray and value.nbytes >= LARGE and value.base is None:
        out = value.view(Owned).view(Traced)
        out.source = source
        return out
    if stands_in(value):
        return of_one_number(value[(0,) * value.ndim], value.shape, source)
    if value.nbytes >= LARGE and not value.flags.c_contiguous:  # quickly read and written in the order of its memory
        copy = np.empty_like(value)
        copy[...] = value
        out = copy.view(Owned).view(Traced)
    else:
        out = new_array(Traced, value.shape, value.dtype)
        ndarray.__setitem__(out, ..., value)
    out.source = source
    base = value.base
    if base is not None:
        while type(base) is ndarray:  # a view of a view
            base = base.base
        if type(base) is Traced:
            out.viewed = base
    return out


def of_one_number(value: Any, shape: tuple[int, ...], source: Any) -> Traced:
    """A stand-in, or a small array of equal entries."""
    number = np.array(value, ndmin=1)
    if number.itemsize * math.prod(shape) < LARGE:
        out = new_array(Traced, shape, number.dtype)
        ndarray.fill(out, value)
    else:
        out = new_array(Traced, shape, number.dtype, number.view(Owned), 0, (0,) * len(shape))
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


def is_part_of_traced(x: Any) -> bool:
    """Whether an array is a view of a traced value's memory, but not of all of it as it lies."""
    base = x
    while type(base) is ndarray:
        base = base.base
    return type(base) is Traced and x.size > 0


def _refuse(what: str) -> None:
    """Raise if the user's code asks for the number, or by way of a Tensor; the engine and NumPy may look."""
    frame: FrameType | None = sys._getframe(2)
    by_numpy = False
    while frame is not None and frame.f_code.co_filename.startswith(_NUMPY):
        frame, by_numpy = frame.f_back, True
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        if frame.f_code.co_name in ("__repr__", "__str__", "__format__"):
            return refuse_text()
        if frame.f_code.co_name not in ("__bool__", "__float__", "__int__", "__index__", "item") and not (
                what in _SIZES and frame.f_code.co_filename.startswith(_OPS)):
            return
        if frame.f_code.co_name in ("__float__", "__int__"):
            what = frame.f_code.co_name.strip("_")
        frame = frame.f_back
    if frame is None:
        return
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    where = f"{frame.f_code.co_name}, line {frame.f_lineno}" + (f": {line}" if line else "")
    remedy = ("np.where(condition, a, b), which keeps both branches" if what == "bool"
              else "the Tensor or array itself; a number that decides shapes or rounds must not be computed from arrays")
    meant = "a condition" if what == "bool" else what
    error = UnsupportedError(f"{where} — uses a value that depends on the arguments as {meant}; the formulas recorded would "
                             f"hold for these numbers only. Use {remedy}.")
    if counted.values is not None and not by_numpy:
        counted.refused = error
    raise error


_SIZES = ("int", "an index")  # what decides shapes and places, so that np.roll(x, y[0]) may not look either
_OPS = str(Path(__file__).resolve().parent.parent / "ops")
_TEXT_METHODS = ("__repr__", "__str__", "__format__")
_LIBRARIES = (sysconfig.get_paths()["stdlib"], str(Path(logging.__file__).parent.parent), "<frozen")


def refuse_text() -> None:
    """Raise if the user's code makes a text of numbers that depend on the arguments, other than to print it at once.

    Debuggers, loggers and error messages may.
    """
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith((_NUMPY, _PACKAGE)):
        if frame.f_code.co_filename.startswith(_PACKAGE) and frame.f_code.co_name not in (
                *_TEXT_METHODS, "__array_function__", "array_function", "compute", "_refuse", "item",
                "__float__"):
            return
        frame = frame.f_back
    if frame is None or frame.f_code.co_filename.startswith(_LIBRARIES) or "-packages" in frame.f_code.co_filename:
        return
    if counted.refused is not None:
        return  # for NumPy's message about that
    if not _prints(frame.f_code.co_filename, frame.f_lineno):
        raise TraceError(f"jit: {_users_line()} — makes a text of numbers that depend on the arguments, which would be the "
                         "same in every later call. Return the value, and make the text of what the compiled function returns.")


def _prints(filename: str, number: int) -> bool:
    """Whether a line is part of a call of print that stands alone."""
    if linecache.getline(filename, number).strip().startswith("print("):
        return True
    try:
        tree = ast.parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError):
        return False
    return any(isinstance(x, ast.Call) and isinstance(x.func, ast.Name) and x.func.id == "print"
               and x.lineno <= number <= (x.end_lineno or 0) for x in ast.walk(tree))


@functools.cache
def as_primitive(function: Any) -> Primitive:
    """A NumPy function without derivative, as a primitive."""
    if isinstance(function, Primitive):
        return function
    name = getattr(function, "__name__", "function")
    if isinstance(function, np.ufunc):
        own = products.matmul if function is np.matmul else getattr(pointwise, name, None)
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
    if op is indexing.gather:
        counted.masks(params.get("index"))
    if not isinstance(y, (ndarray, np.generic)):
        return y
    known = same = False
    for x in args:
        value = x.value if type(x) is Tensor else x
        known = known or type(value) is Traced
        same = same or value is y
    if not known and not any(True for _ in arrays_in((args, params))):
        return y
    if type(y) is Traced and not same and _is_new(op, y):
        y.source, y.changed = (op, args, params), ""  # whatever its function did inside
        out = y
    else:
        out = traced(y, (op, args, params), new=op.blocked or op is indexing.put)
    out.at = next_id()
    return out


def _is_new(op: Primitive, y: Traced) -> bool:
    """Whether a primitive's result is its own; of large arrays a transpose is a view, like x[i]."""
    return y.base is None or type(y.base) is Owned or (op is shapes.transpose and y.nbytes >= LARGE)
