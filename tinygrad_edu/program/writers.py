"""How one operation is written: NumPy's own call, with the memory its result goes to.

A writer gets the emitter, the line and its position, and gives the text of the statement; None where it has none, and the
primitive's own function is called. It asks the emitter for the name of a function (`_function`), the text of an operand
(`_operand`) and the place of the result (`out`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..rules.products import ZEROED
from .big_products import way_to_split
from .blocks import bits_of, choice, chosen, name_of_dtype
from .expand import LESS_ONE, LOG_OF_TOTAL, PICK, near_one, near_zero, ufunc_of
from .places import ADD_AT, COPY
from .program import Line, Name, names_in
from .scale import ORDINARY

Emitter = Any  # emit.Emitter, which imports this file
INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "greater": ">", "less": "<", "greater_equal": ">=",
         "less_equal": "<=", "equal": "==", "not_equal": "!="}


class OtherShapeError(Exception):
    """A value's shape depends on numbers, and is another this time."""


class OtherNumberError(OtherShapeError):
    """A number for which the passes' algebra would not do: a learning rate of 0."""


def of_shape(x: Any, shape: tuple[int, ...]) -> Any:
    if np.shape(x) != shape:
        raise OtherShapeError(f"shape {np.shape(x)} where {shape} was recorded")
    return x


@functools.lru_cache(1000)
def shape_text(shape: tuple[int, ...]) -> str:
    return f"({shape[0]},)" if len(shape) == 1 else f"({', '.join(map(str, shape))})"


def write_ufunc(e: Emitter, line: Line, i: int) -> str | None:
    ufunc = ufunc_of(line.op)
    assert ufunc is not None
    operands = [e._operand(x, line) for x in line.operands]
    same = [isinstance(x, Name) and e.shapes[x] == line.shape for x in line.operands] if line.shape else []
    if any(same) and not all(same):
        operands = [_without_axes(e, x, line) or text for x, text in zip(line.operands, operands, strict=True)]
    called = ufunc.__name__
    if not line.shape and called in INFIX and any(isinstance(x, Name) for x in line.operands):
        return f"{line.name} = {operands[0]} {INFIX[called]} {operands[1]}"
    if not line.shape and ufunc is np.negative:
        return f"{line.name} = -{operands[0]}"
    e.calls += 1
    if ufunc is np.multiply and operands[0] == operands[1] and line.dtype != bool:
        called, operands = "square", operands[:1]
    name = e._function(called, f"np.{called}")
    out = e.out(line, i, line.operands)
    if out is None:
        return f"{line.name} = {name}({', '.join(operands)})"
    how = f"out={out}" if ufunc is np.maximum or ufunc is np.minimum else out
    return f"{name}({', '.join(operands)}, {how})"


def _without_axes(e: Emitter, x: Any, line: Line) -> str | None:
    """An array of one entry, where it does not change the shape: NumPy takes it faster without axes."""
    if not isinstance(x, Name) or str(x) not in e.static or e.shapes[x] in ((), line.shape) or math.prod(e.shapes[x]) != 1:
        return None
    name = f"{x}_number"
    text = f"{name} = {x}.reshape(())"
    if text not in e.prologue:
        e.prologue.append(text)
    return name


def write_reduction(e: Emitter, line: Line, i: int) -> str | None:
    ufunc, _, _ = line.op.name.partition(".")
    x, axis, keepdims = line.operands[0], line.params.get("axis"), line.params.get("keepdims", False)
    if not isinstance(x, Name):
        return None
    e.calls += 1
    name = e._function(f"{ufunc}_reduce", f"np.{ufunc}.reduce")
    axis = axis[0] if axis is not None and len(axis) == 1 else axis
    out = e.out(line, i)
    if out is None:
        kept = ", keepdims=True" if keepdims else ""
        return f"{line.name} = {name}({x}, {axis!r}{kept})"
    kept = ", True" if keepdims else ""
    return f"{name}({x}, {axis!r}, None, {out}{kept})"


def _matmul(e: Emitter, line: Line, i: int) -> str | None:
    a, b = line.operands
    if not isinstance(a, Name) or not isinstance(b, Name) or (not line.shape and len(e.shapes[a]) > 1):
        return None
    same = e.dtypes[a] == e.dtypes[b] == e.dtypes[line.name] and e.dtypes[a].kind == "f"
    e.calls += 1
    flat = len(e.shapes[a]) <= 2 and len(e.shapes[b]) <= 2
    large = len(line.shape) == 2 and math.prod(line.shape) >= ZEROED and 1 not in (*e.shapes[a], *e.shapes[b])
    name = e._function("dot", "np.dot") if flat and not large else e._function("matmul", "np.matmul")
    out = e.out(line, i) if same and line.shape else None
    way = way_to_split(e.shapes[a], e.shapes[b], line.dtype) if out is not None and e.split else None
    if way is not None:
        shape = (*e.shapes[a], e.shapes[b][1])
        split = e._function(f"dot_{'_'.join(map(str, shape))}",
                            f"SplitProduct({way!r}, *{shape}, {e._np(name_of_dtype(line.dtype))})")
        return f"{split}({a}, {b}, {out})"
    return f"{line.name} = {name}({a}, {b})" if out is None else f"{name}({a}, {b}, {out})"


def _choose(e: Emitter, line: Line, i: int) -> str | None:
    """g where a gate is open and zero elsewhere, or one of two numbers: exactly, also for infinities, by their bits."""
    found = chosen(e, line)
    if found is None or not line.shape:
        return None
    gate = not isinstance(found[2], Name) and found[2] == 0
    if not gate and math.prod(line.shape) < 2048:
        return None  # np.where takes several nanoseconds an entry, but is a single call
    out = e.out(line, i, (found[1],) if gate else ())
    fresh = "" if out is not None else f"{line.name} = {e._function('empty', 'np.empty')}({shape_text(line.shape)}, " \
        f"{e._np(name_of_dtype(line.dtype))}); "
    calls = choice(e, line, found, lambda x: bits_of(e, str(x)), lambda x: e._operand(x, line), bits_of(e, str(line.name)))
    e.calls += len(calls)
    return fresh + "; ".join(calls)


def _less_one(e: Emitter, line: Line, i: int) -> str | None:
    x, index = line.operands
    e.calls += 2
    e.check_labels([index])
    rows = e._function(f"rows{line.shape[0]}", f"np.arange({line.shape[0]})")
    out = e.out(line, i, (x,))
    if out is None:
        first = f"{line.name} = {x}.copy()"
    else:
        over = e.prologue and e.prologue[-1] == f"{out} = {x}"
        first = "" if over else f"{e._function('copyto', 'np.copyto')}({out}, {x})"
    return "; ".join(part for part in (first, f"{line.name}[{rows}, {index}] -= 1") if part)


def _pick(e: Emitter, line: Line, i: int) -> str | None:
    x, index = line.operands
    e.calls += 1
    e.check_labels([index])
    rows = e._function(f"rows{line.shape[0]}", f"np.arange({line.shape[0]})")
    return f"{line.name} = {x}[{rows}, {index}]"


def _log_of_total(e: Emitter, line: Line, i: int) -> str | None:
    """log, and a second look at the rows where it is near 0."""
    total, shifted = line.operands
    if not isinstance(total, Name) or not isinstance(shifted, Name):
        return None
    e.calls += 2
    log, least = e._function("log", "np.log"), e._function("minimum_reduce", "np.minimum.reduce")
    near = e._function("near_one", e._object(near_one))
    out = e.out(line, i, (total,))
    first = f"{line.name} = {log}({total})" if out is None else f"{log}({total}, {out})"
    e.body.append(first)
    return f"if {least}({line.name}, None) < {near_zero(line.dtype)}: {near}({line.name}, {shifted}, {line.params['axis']!r})"


def _ordinary(e: Emitter, line: Line, i: int) -> str:
    other = e._function("OtherNumberError", e._object(OtherNumberError))
    return f"if not {line.params['low']!r} < abs({line.operands[0]}) < {line.params['high']!r}: raise {other}"


def _reshape(e: Emitter, line: Line, i: int) -> str | None:
    x = line.operands[0]
    return f"{line.name} = {x}.reshape({shape_text(line.shape)})" if isinstance(x, Name) and line.shape else None


def _getitem(e: Emitter, line: Line, i: int) -> str | None:
    number = "[()]" if not line.shape else ""
    if any(e.dtypes[name] == np.bool_ for name in names_in(line.params["index"])):
        shaped = e._function("shaped", e._object(of_shape))
        return f"{line.name} = {shaped}({line.operands[0]}[{e._index(line.params['index'])}], {shape_text(line.shape)})"
    return f"{line.name} = {line.operands[0]}[{e._index(line.params['index'])}]{number}"


def _add_at(e: Emitter, line: Line, i: int) -> str | None:
    x, value = line.operands
    if not isinstance(x, Name):
        return None
    e.calls += 1
    out = e.out(line, i, (x,))
    if out is None:
        return f"{line.name} = {x}.copy(); {line.name}[{e._index(line.params['index'])}] += {value}"
    same = str(line.name) in e.preplaced and e.preplaced.get(str(x)) == e.preplaced[str(line.name)]
    over = same or (bool(e.prologue) and e.prologue[-1] == f"{out} = {x}")
    part = f"{out}_part"
    e.prologue.append(f"{part} = {out}[{e.place_of(line.params['index'], line.shape)}]")
    add = e._function("add", "np.add")
    first = "" if over else f"{e._function('copyto', 'np.copyto')}({out}, {x}); "
    return f"{first}{add}({part}, {value}, {part})"


def _copy(e: Emitter, line: Line, i: int) -> str | None:
    out = e.out(line, i)
    e.calls += 1
    if out is None:
        return f"{line.name} = {line.operands[0]}.copy()"
    return f"{e._function('copyto', 'np.copyto')}({out}, {line.operands[0]})"


WRITERS: Mapping[str, Callable[[Emitter, Line, int], str | None]] = {
    "gate": _choose, "where": _choose, "matmul": _matmul, ADD_AT.name: _add_at, COPY.name: _copy,
    LESS_ONE.name: _less_one, PICK.name: _pick, "reshape": _reshape, "getitem": _getitem, "gather": _getitem,
    LOG_OF_TOTAL.name: _log_of_total, ORDINARY.name: _ordinary,
}


__all__ = ["INFIX", "WRITERS", "OtherShapeError", "of_shape", "shape_text", "write_reduction", "write_ufunc"]
