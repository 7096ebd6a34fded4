"""NumPy's own functions (`np.exp(t)`, `np.dot(w.T, X) + b`) led to ours, by NEP 13 and NEP 18."""

from __future__ import annotations

import builtins
import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import InPlaceError, UnsupportedError
from ..tensor import Tensor
from .inputs import as_array, value_of
from .reductions import all, any, cummax, cummin, cumprod, cumsum, logcumsumexp, logsumexp, max, min, prod, sum
from .shapes import astype, broadcast_to, reshape

UFUNCS: dict[Any, Callable[..., Any]] = {}
FUNCTIONS: dict[Any, Callable[..., Any]] = {}
_REDUCE: dict[Any, Callable[..., Any]] = {
    np.add: sum, np.multiply: prod, np.maximum: max, np.minimum: min, np.logaddexp: logsumexp,
    np.logical_or: any, np.logical_and: all,
}
_ACCUMULATE: dict[Any, Callable[..., Any]] = {
    np.add: cumsum, np.multiply: cumprod, np.maximum: cummax, np.minimum: cummin, np.logaddexp: logcumsumexp,
}
# functions whose result has no derivative by nature: computed on the values
_ON_VALUES = (
    "allclose", "array_equal", "array_equiv", "argpartition", "argwhere", "count_nonzero", "digitize", "flatnonzero",
    "isclose", "isneginf", "isposinf", "iscomplexobj", "isrealobj", "isreal", "iscomplex", "nanargmax",
    "nanargmin", "ndim", "nonzero", "searchsorted", "shape", "size", "result_type", "zeros_like", "ones_like",
    "empty_like", "isin",
    "array2string", "array_repr", "array_str", "min_scalar_type", "can_cast",
)
_VALUE_UFUNCS = (np.logical_and, np.logical_or, np.logical_xor, np.logical_not, np.signbit, np.spacing, np.nextafter,
                 np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.frexp)


def install(families: Iterable[ModuleType]) -> None:
    """Lead NumPy's functions to ours of the same name, and to what a family's NUMPY says."""
    for family in families:
        for name in family.__all__:
            function, theirs = getattr(family, name), getattr(np, name, None)
            if isinstance(theirs, np.ufunc):
                UFUNCS[theirs] = function
            elif (theirs is not None and hasattr(theirs, "__wrapped__")) or theirs in (np.where, np.concatenate, np.dot):
                FUNCTIONS[theirs] = function
        FUNCTIONS.update(getattr(family, "NUMPY", {}))
    FUNCTIONS[np.full_like] = _full_like
    for name in _ON_VALUES:
        FUNCTIONS.setdefault(getattr(np, name), on_values(getattr(np, name)))
    for ufunc in _VALUE_UFUNCS:
        UFUNCS[ufunc] = on_values(ufunc)


def _full_like(x: Any, fill_value: Any, dtype: Any = None, shape: Any = None) -> Any:
    """NumPy's full_like; a Tensor as the fill is recorded."""
    size = value_of(x).shape if shape is None else shape
    if type(fill_value) is not Tensor:
        return np.full(size, fill_value, dtype or x.dtype)
    return broadcast_to(fill_value if dtype is None else astype(fill_value, dtype), size)


def on_values(function: Any) -> Callable[..., Any]:
    def compute(*args: Any, **kwargs: Any) -> Any:
        return function(*[value_of(a) for a in args], **{k: value_of(v) for k, v in kwargs.items()})

    return compute


def _nearest(name: str) -> str:
    skip = {*_ON_VALUES, *(ufunc.__name__ for ufunc in _VALUE_UFUNCS)}
    known = sorted({f.__name__ for f in [*UFUNCS, *FUNCTIONS]} - skip)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.75)
    return f" Nearest that works: {', '.join('np.' + n for n in near)}." if near else ""


def _unsupported(name: str) -> UnsupportedError:
    return UnsupportedError(f"np.{name}: no derivative rule for Tensors.{_nearest(name.rpartition('.')[2])} For the "
                            f"numbers alone use np.{name}(t.numpy()).")


def array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    if method == "__call__" and not kwargs:
        function = UFUNCS.get(ufunc)
        if function is not None:
            return function(*inputs)
    name = ufunc.__name__
    out = kwargs.pop("out", None)
    if out is not None and builtins.any(o is not None for o in out):
        raise InPlaceError(f"np.{name}: out= would write over recorded values. Write y = np.{name}(...) instead"
                           + (" (x += t with an array x does this: write x = x + t)." if name in (
                               "add", "subtract", "multiply", "divide") and type(out[0]) is ndarray
                              and builtins.any(out[0] is x for x in inputs) else "."))
    if method == "__call__":
        function = UFUNCS.get(ufunc)
        if function is None:
            raise _unsupported(name)
        _refuse_keywords(name, kwargs)
        return function(*inputs)
    if method == "at":
        raise InPlaceError(f"np.{name}.at: changes an array in place. Write x = x + tg.assign(zeros, index, values), or "
                           "pick with x[index] and add.")
    if method == "outer" and ufunc in UFUNCS and not kwargs:
        a, b = as_array(inputs[0]), as_array(inputs[1])
        return UFUNCS[ufunc](reshape(a, (*a.shape, *(1,) * b.ndim)), b)
    table = _REDUCE if method == "reduce" else _ACCUMULATE if method == "accumulate" else {}
    if ufunc not in table:
        raise _unsupported(f"{name}.{method}")
    axis = kwargs.pop("axis", 0)
    kept = {"keepdims": True} if kwargs.pop("keepdims", False) else {}
    _refuse_keywords(f"{name}.{method}", {k: v for k, v in kwargs.items() if v is not None and v is not np._NoValue})
    return table[ufunc](inputs[0], axis, **kept)


def _refuse_keywords(name: str, kwargs: dict[str, Any]) -> None:
    if kwargs:
        shown = ", ".join(f"{k}={v!r}" if isinstance(v, (int, float, str, type)) else f"{k}=..." for k, v in kwargs.items())
        raise UnsupportedError(f"np.{name}: {shown} cannot be recorded. Leave it out; use np.where to choose entries and "
                               ".astype for the dtype.")


def array_function(self: Tensor, func: Any, types: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    function = FUNCTIONS.get(func)
    if function is None:
        place = func.__module__.split(".")
        raise _unsupported(f"{place[1]}.{func.__name__}" if place[1:2] in (["linalg"], ["fft"]) else func.__name__)
    kwargs = {k: v for k, v in kwargs.items() if k == "axis" or (v is not None and v is not np._NoValue)}
    name = func.__name__
    if "out" in kwargs:
        raise InPlaceError(f"np.{name}: out= would write over recorded values. Write y = np.{name}(...) instead.")
    code = function.__code__
    if code.co_flags & 0x08:  # takes any keyword
        return function(*args, **kwargs)
    known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if not code.co_flags & 0x04:  # no *args: from where NumPy's order of arguments differs, they become keywords
        theirs = _parameters(func)
        for i in range(1, builtins.min(len(args), len(theirs))):
            if theirs[i] in _LATER and known[i : i + 1] != (theirs[i],):
                named = dict(zip(theirs[i:], args[i:], strict=False))
                kwargs |= {k: v for k, v in named.items() if k == "axis" or (v is not None and v is not np._NoValue)}
                args = args[:i]
                break
        if "out" in kwargs:
            raise InPlaceError(f"np.{name}: out= would write over recorded values. Write y = np.{name}(...) instead.")
    if kwargs and not args and next(iter(kwargs)) not in known:  # np.diag(v=t): the first argument, by NumPy's name
        args = (kwargs.pop(next(iter(kwargs))),)
    if func is np.reshape and len(args) > 2:
        args, kwargs["order"] = args[:2], args[2]
    if func in _STARRED and _STARRED[func] in kwargs:
        args = (*args, kwargs.pop(_STARRED[func]))
    for keyword, harmless in _HARMLESS.items():
        if keyword not in known and keyword in kwargs and (harmless is None or kwargs[keyword] in harmless):
            del kwargs[keyword]
    _refuse_keywords(name, {k: v for k, v in kwargs.items() if k not in known})
    return function(*args, **kwargs)


@functools.cache
def _parameters(func: Any) -> tuple[str, ...]:
    """The names of a NumPy function's parameters, in order."""
    return tuple(inspect.signature(func).parameters)


# parameters that NumPy has in places where we have others, or none
_LATER = {"dtype", "out", "order", "initial", "where", "returned", "kind", "stable", "keepdims"}
_STARRED = {np.reshape: "shape", np.transpose: "axes"}  # NumPy's keyword for what comes in our *shape and *axes
_HARMLESS: dict[str, Any] = {
    "order": ("C", "K", "A"), "optimize": None, "copy": (True,), "subok": (True, False), "returned": (False,),
}
