"""NumPy's own functions (`np.exp(t)`, `np.dot(w.T, X) + b`) led to ours, by NEP 13 and NEP 18.

A NumPy function called with a Tensor is led to one of ours and recorded; or its result has no derivative by nature (a
truth value, a count, an index), and it computes on the values; or it is refused, and the error says what to write
instead. `docs/numpy_coverage.md` lists every function, from these tables.
"""

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
from .arranging import concatenate
from .inputs import as_array, one_axis, value_of
from .numpy_alternatives import ALTERNATIVES, IN_PLACE
from .pointwise import add, divide, logaddexp, maximum, minimum, multiply, where
from .reductions import all, any, cummax, cummin, cumprod, cumsum, logcumsumexp, logsumexp, max, min, prod, sum
from .selecting import getitem
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
_REDUCEAT = (np.add, np.multiply, np.maximum, np.minimum, np.logaddexp)
# what leaves a reduction as it is, and what joins a starting value to it
_START: dict[Any, tuple[float, Callable[..., Any]]] = {
    sum: (0.0, add), prod: (1.0, multiply), max: (-np.inf, maximum), min: (np.inf, minimum),
    logsumexp: (-np.inf, logaddexp),
}
# functions whose result has no derivative by nature: computed on the values
_ON_VALUES = (
    "allclose", "array_equal", "array_equiv", "argpartition", "argwhere", "count_nonzero", "digitize", "flatnonzero",
    "isclose", "isneginf", "isposinf", "iscomplexobj", "isrealobj", "isreal", "iscomplex", "nanargmax",
    "nanargmin", "ndim", "nonzero", "searchsorted", "shape", "size", "result_type", "zeros_like", "ones_like",
    "empty_like", "isin",
    "array2string", "array_repr", "array_str", "min_scalar_type", "can_cast", "common_type", "lexsort", "shares_memory",
    "may_share_memory", "einsum_path", "diag_indices_from", "tril_indices_from", "triu_indices_from",
    "save", "savez", "savez_compressed", "savetxt",
)
_VALUE_UFUNCS = (np.logical_and, np.logical_or, np.logical_xor, np.logical_not, np.signbit, np.spacing,
                 np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert)


def install(families: Iterable[ModuleType]) -> None:
    """Lead NumPy's functions to ours of the same name, and to what a family's NUMPY says."""
    for family in families:
        for name in family.__all__:
            function, theirs = getattr(family, name), getattr(np, name, None)
            if isinstance(theirs, np.ufunc):
                UFUNCS[theirs] = function
            elif (theirs is not None and hasattr(theirs, "__wrapped__")) or theirs in (np.where, np.concatenate, np.dot):
                FUNCTIONS[theirs] = function
        for theirs, function in getattr(family, "NUMPY", {}).items():
            (UFUNCS if isinstance(theirs, np.ufunc) else FUNCTIONS)[theirs] = function
    FUNCTIONS[np.full_like] = _full_like
    FUNCTIONS[np.imag] = lambda val: np.zeros_like(value_of(val))[()]
    for counting in (np.bincount, np.histogram, np.histogram2d, np.histogramdd):
        FUNCTIONS.setdefault(counting, _counting(counting))
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


def _counting(function: Any) -> Callable[..., Any]:
    """Counts have no derivative; weights would have one, and edges taken from the data too: those are refused."""
    name = function.__name__

    def compute(*args: Any, **kwargs: Any) -> Any:
        given = dict(zip(_parameters(function), args, strict=False)) | kwargs
        if type(given.get("weights")) is Tensor:
            raise UnsupportedError(f"np.{name}: weights of recorded values. Write (weights * mask).sum() for the mask of each "
                                   "bin, or pass weights.numpy() for the numbers alone.")
        return on_values(function)(*args, **kwargs)

    return compute


def full_name(function: Any) -> str:
    """A NumPy function as users write it: np.linalg.inv, np.fft.fft, np.exp."""
    name = getattr(function, "__name__", repr(function))
    if isinstance(function, np.ufunc):
        return f"np.{name}"
    place = function.__module__.removeprefix("numpy").strip(".")
    if place.startswith("lib."):
        place = {"lib.scimath": "emath"}.get(place, place)
    return f"np.{place}.{name}" if place and not place.startswith("_") else f"np.{name}"


def alternative(name: str) -> str:
    """What to write instead of a NumPy function that is not supported: a sentence, or "" where nothing is near."""
    if name in ALTERNATIVES or name in IN_PLACE:
        return ALTERNATIVES.get(name) or IN_PLACE[name]
    plain, _, method = name.removeprefix("np.").partition(".")
    if method in ("reduce", "accumulate", "reduceat") and hasattr(np, plain):
        return f"Combine the entries in a loop: y = x[0], then y = np.{plain}(y, v) for each v of x[1:]."
    skip = {*_ON_VALUES, *(ufunc.__name__ for ufunc in _VALUE_UFUNCS)}
    known = sorted({f.__name__ for f in [*UFUNCS, *FUNCTIONS]} - skip)
    near = difflib.get_close_matches(name.rpartition(".")[2], known, n=3, cutoff=0.75)
    return f"Nearest that works: {', '.join('np.' + n for n in near)}." if near else ""


def _unsupported(name: str) -> UnsupportedError:
    """name : as users write it, np.fft.fft."""
    if "vectorized" in name:
        return UnsupportedError("np.frompyfunc: a Python function applied entry by entry gives an array of objects. Call the "
                                "function on the whole Tensor, or join results with np.stack([f(x) for x in t]).")
    near = alternative(name)
    return UnsupportedError(f"{name}: no derivative rule for Tensors.{' ' if near else ''}{near} For the numbers alone use "
                            f"{name}(t.numpy()).")


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
    if method == "at":
        raise InPlaceError(f"np.{name}.at: changes an array in place. Write x = x + tg.assign(zeros, index, values), or "
                           "pick with x[index] and add.")
    function = UFUNCS.get(ufunc)
    if method == "__call__":
        if function is None:
            raise _unsupported(f"np.{name}")
        return function(*_with_dtype(name, inputs, kwargs), **_own_keywords(ufunc, function, kwargs))
    if method == "outer" and function is not None and ufunc.nin == 2:
        a, b = (as_array(x) for x in _with_dtype(f"{name}.outer", inputs, kwargs))
        _refuse_keywords(f"{name}.outer", kwargs)
        return function(reshape(a, (*a.shape, *(1,) * b.ndim)), b)
    if method == "reduceat" and ufunc in _REDUCEAT:
        return _reduceat(ufunc, *inputs, **kwargs)
    table = _REDUCE if method == "reduce" else _ACCUMULATE if method == "accumulate" else {}
    if ufunc not in table:
        if ufunc in _VALUE_UFUNCS:
            return on_values(getattr(ufunc, method))(*inputs, **kwargs)
        raise _unsupported(f"np.{name}.{method}")
    axis = kwargs.pop("axis", 0)
    kept = {"keepdims": True} if kwargs.pop("keepdims", False) else {}
    kwargs = {k: v for k, v in kwargs.items() if v is not None and v is not np._NoValue}
    (x,) = _with_dtype(f"{name}.{method}", inputs, kwargs, over_where=True)
    if method == "reduce" and kwargs.keys() & {"initial", "where"}:
        return _reduce_some(table[ufunc], x, axis, kept, kwargs.pop("initial", None), kwargs.pop("where", True))
    _refuse_keywords(f"{name}.{method}", kwargs)
    return table[ufunc](x, axis, **kept)


_NO_EFFECT: dict[str, Any] = {"casting": ("same_kind", "unsafe"), "order": ("K", "C", "A"), "subok": (True, False)}


def _with_dtype(name: str, inputs: tuple[Any, ...], kwargs: dict[str, Any], over_where: bool = False) -> tuple[Any, ...]:
    """The operands in the dtype asked for, as NumPy casts them; takes away the keywords that change nothing here."""
    for key, harmless in _NO_EFFECT.items():
        if isinstance(kwargs.get(key), (str, bool)) and kwargs[key] in harmless:
            del kwargs[key]
    if kwargs.get("where") is True and not over_where:
        del kwargs["where"]
    if kwargs.get("dtype", "") is None:
        del kwargs["dtype"]
    elif "dtype" in kwargs and np.dtype(kwargs["dtype"]).kind == "f":
        dtype = kwargs.pop("dtype")
        return tuple(astype(x, dtype) for x in map(as_array, inputs))
    return inputs


def _own_keywords(ufunc: Any, function: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keywords of a ufunc of vectors and matrices (axis of np.vecdot) that ours knows too."""
    known = _names(function) if ufunc.signature is not None else ()
    _refuse_keywords(ufunc.__name__, {k: v for k, v in kwargs.items() if k not in known})
    return kwargs


def _reduce_some(function: Any, x: Any, axis: Any, kept: dict[str, Any], initial: Any, mask: Any) -> Any:
    """A reduction of the entries where the mask holds, joined with a starting value."""
    x = as_array(x)
    if function not in _START:  # any and all: of values
        theirs = np.any if function is any else np.all
        return theirs(value_of(x), axis=axis, where=value_of(mask), **kept)
    neutral, join = _START[function]
    if mask is not True:
        if initial is None and function in (max, min):
            raise ValueError(f"np.{function.__name__}: where= may leave nothing to choose from. Give initial= too.")
        x = where(value_of(mask), x, x.dtype.type(neutral))
    if not x.size and initial is not None:
        x = broadcast_to(x.dtype.type(neutral), tuple(n or 1 for n in x.shape))
    y = function(x, axis, **kept)
    return y if initial is None else join(y, initial)


def _reduceat(ufunc: Any, x: Any, indices: Any, axis: int = 0, **kwargs: Any) -> Any:
    """Reductions of x[i:j] for neighbours i, j of the indices; x[i] where j is not beyond i."""
    (x,) = _with_dtype(f"{ufunc.__name__}.reduceat", (x,), kwargs)
    _refuse_keywords(f"{ufunc.__name__}.reduceat", {k: v for k, v in kwargs.items() if v is not None})
    if axis is None:
        raise UnsupportedError(f"np.{ufunc.__name__}.reduceat: axis=None cannot be recorded. Give one axis.")
    x, starts = as_array(x), [int(i) for i in np.ravel(value_of(indices))]
    at = one_axis(x, axis, "reduceat")
    before, n = (slice(None),) * at, x.shape[at]
    if builtins.any(not 0 <= i < n for i in starts):
        raise IndexError(f"np.{ufunc.__name__}.reduceat: indices {starts} for axis {axis} of size {n}.")
    parts = []
    for i, j in zip(starts, [*starts[1:], n], strict=True):
        part = getitem(x, (*before, slice(i, j if j > i else i + 1)))
        parts.append(_REDUCE[ufunc](part, at, keepdims=True))
    return concatenate(parts, at)


def _refuse_keywords(name: str, kwargs: dict[str, Any]) -> None:
    if kwargs:
        shown = ", ".join(f"{k}={v!r}" if isinstance(v, (int, float, str, type)) else f"{k}=..." for k, v in kwargs.items())
        raise UnsupportedError(f"np.{name}: {shown} cannot be recorded. Leave it out; use np.where to choose entries and "
                               ".astype for the dtype.")


def array_function(self: Tensor, func: Any, types: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    function = FUNCTIONS.get(func)
    if function is None:
        name = full_name(func)
        if name in IN_PLACE:
            raise InPlaceError(f"{name}: changes an array in place. {IN_PLACE[name]}")
        raise _unsupported(name)
    kwargs = {k: v for k, v in kwargs.items() if k in _NONE_COUNTS or (v is not None and v is not np._NoValue)}
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
    if kwargs and not args:  # np.diag(v=t): the first argument, by NumPy's name
        first = _parameters(func)[0]
        first = first if first in kwargs else next(iter(kwargs))
        if first not in known:
            args = (kwargs.pop(first),)
    if func is np.reshape and len(args) > 2:
        args, kwargs["order"] = args[:2], args[2]
    if func in _STARRED and _STARRED[func] in kwargs:
        args = (*args, kwargs.pop(_STARRED[func]))
    if kwargs and not kwargs.keys() <= {*known}:
        for keyword, harmless in _HARMLESS.items():
            if keyword not in known and keyword in kwargs and (harmless is None or kwargs[keyword] in harmless):
                del kwargs[keyword]
        if "dtype" in kwargs and "dtype" not in known and np.dtype(kwargs["dtype"]).kind == "f":
            if func in _DTYPE_BEFORE and args:
                args = (astype(args[0], kwargs.pop("dtype")), *args[1:])
            elif func in _DTYPE_AFTER and kwargs.get("casting", "same_kind") in ("same_kind", "unsafe"):
                dtype, _ = kwargs.pop("dtype"), kwargs.pop("casting", None)
                return astype(function(*args, **kwargs), dtype)
        if kwargs.keys() & {"initial", "where"} and args and (function in _START or func in (np.mean, np.any, np.all)):
            return _some_entries(func, function, known, args, kwargs)
    _refuse_keywords(name, {k: v for k, v in kwargs.items() if k not in known})
    return function(*args, **kwargs)


def _some_entries(func: Any, function: Any, known: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """np.sum and its kin with where= and initial=."""
    initial, mask = kwargs.pop("initial", None), kwargs.pop("where", True)
    _refuse_keywords(func.__name__, {k: v for k, v in kwargs.items() if k not in known})
    given = dict(zip(known, args, strict=False)) | kwargs
    x, axis = as_array(given["x"]), given.get("axis")
    kept = {"keepdims": True} if given.get("keepdims") else {}
    if func is not np.mean:
        return _reduce_some(function, x, axis, kept, initial, mask)
    chosen: Any = np.broadcast_to(np.asarray(value_of(mask), bool), x.shape)
    count = chosen.sum(axis, keepdims=bool(kept))
    return divide(_reduce_some(sum, x, axis, kept, None, mask), count.astype(x.dtype))


def _names(function: Any) -> tuple[str, ...]:
    code = function.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]  # type: ignore[no-any-return]


@functools.cache
def _parameters(func: Any) -> tuple[str, ...]:
    """The names of a NumPy function's parameters, in order."""
    return tuple(inspect.signature(func).parameters)


_NONE_COUNTS = ("axis", "where")  # as keywords; elsewhere None is NumPy's way to say nothing
# parameters that NumPy has in places where we have others, or none
_LATER = {"dtype", "out", "order", "initial", "where", "returned", "kind", "stable", "keepdims"}
_STARRED = {np.reshape: "shape", np.transpose: "axes"}  # NumPy's keyword for what comes in our *shape and *axes
_DTYPE_BEFORE = {np.sum, np.prod, np.mean, np.std, np.var, np.cumsum, np.cumprod, np.trace}
_DTYPE_AFTER = {np.concatenate, np.stack, np.vstack, np.hstack}
_HARMLESS: dict[str, Any] = {
    "order": ("C", "K", "A"), "optimize": None, "copy": (True,), "subok": (True, False), "returned": (False,),
}
