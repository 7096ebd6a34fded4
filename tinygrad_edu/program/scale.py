"""A factor moved to where it costs least: what is linear may be scaled before as well as after.

A training step multiplies every gradient by the learning rate. All of them come linearly from the slope of the cost,
which is small and is multiplied by 1/m anyway; scaled there, the gradients arrive as the update itself.

0 times inf is nan, and what is scaled early may become too small: a call with a rate of 0, or one far from 1, runs uncompiled,
and half precision, whose range is short, is left alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..tensor import Primitive
from .algebra import DIVIDE, MULTIPLY, NEGATIVE, reworded, with_lines
from .donate import FLAT
from .program import Line, Name, Program, names_in

# a factor in whose place another order of multiplying leaves the range of the dtype, and 0
ORDINARY = Primitive("ordinary", lambda x, low, high: np.int64(low < abs(x) < high), kind="check")
RANGES = {np.dtype(np.float32): (1e-12, 1e12), np.dtype(np.float64): (1e-100, 1e100)}
_VIEWS = {"transpose", "reshape", "getitem", "broadcast_to", "sum_to", "sum", "add.reduce", "identity"}


def _is_scalar(x: Any, shapes: dict[str, tuple[int, ...]]) -> bool:
    return not isinstance(x, Name) or shapes[x] == ()


def _linear_in(line: Line, name: Name) -> bool:
    """Whether a line's result is a multiple of what is multiplied into this operand, whichever way it enters."""
    op = line.op.name
    if op in _VIEWS:
        return True
    if line.op is FLAT or line.op is NEGATIVE or op in ("add", "subtract", "concatenate", "stack"):
        return True  # in all operands together
    if op in ("matmul", "multiply"):
        return line.uses().count(name) == 1
    if op == "gate" or line.op is DIVIDE:
        return line.operands[0] == name and line.uses().count(name) == 1
    return False


_TOGETHER = {"add", "subtract", "concatenate", "stack", "flat"}


def scale_early(program: Program) -> Program:
    """Multiply by a number where an array is multiplied by a number anyway, instead of everything made of that array."""
    shapes, dtypes = program.kinds
    products = [line for line in program.lines if line.op is MULTIPLY]
    scalings = {line.name: _factor(line, shapes) for line in products if line.shape}
    scalings = {name: factor for name, factor in scalings.items() if isinstance(factor, Name)}
    if not scalings or not any(_number_times(line) for line in products):
        return program
    position = program.position
    demand = _demanded(program, scalings)
    for factor in dict.fromkeys(demand.values()):
        roots = {name for name, s in demand.items() if s == factor and _number_times(program.lines[position[name]])}
        if factor in position:  # it must be known where it is needed
            roots = {name for name in roots if position[factor] < position[name]}
        roots = {name for name in roots if dtypes.get(factor) == dtypes[name] and dtypes[name] in RANGES}
        carried = _carried(program, roots, demand, scalings, shapes, factor) if roots else None
        if carried is not None:
            return _rewritten(program, factor, roots, carried, shapes)
    return program


def _carried(program: Program, roots: set[str], demand: dict[str, Any], scalings: dict[Name, Any],
             shapes: dict[str, tuple[int, ...]], factor: Any) -> set[str] | None:
    """The scalings that are not needed if the roots are scaled; None where too much would be scaled, or twice."""
    scaled, found = {*roots}, set[str]()
    for line in program.lines:
        carrying = [x for x in line.operands if type(x) is Name and x in scaled]
        if not carrying:
            continue
        name = line.name
        if name in roots:
            return None
        if scalings.get(name) == factor and carrying == [_scaled(line, shapes)]:
            found.add(name)
            continue
        whole = len(carrying) == len(line.operands) if line.op.name in _TOGETHER else len(carrying) == 1
        if not whole or demand.get(name) != factor or not _linear_in(line, carrying[0]):
            return None
        scaled.add(name)
    return found


def _factor(line: Line, shapes: dict[str, tuple[int, ...]]) -> Any:
    """The scalar operand of a product of a scalar and an array."""
    a, b = line.operands
    if _is_scalar(a, shapes) and isinstance(b, Name) and shapes[b] == line.shape:
        return a
    if _is_scalar(b, shapes) and isinstance(a, Name) and shapes[a] == line.shape:
        return b
    return None


def _scaled(line: Line, shapes: dict[str, tuple[int, ...]]) -> Any:
    a, b = line.operands
    return b if _is_scalar(a, shapes) else a


def _demanded(program: Program, scalings: dict[Name, Any]) -> dict[str, Any]:
    """For a value the one scalar that everything made of it is multiplied by."""
    shapes, dtypes = program.kinds
    demand: dict[str, Any] = {}
    wanted: dict[str, Any] = {}  # by what was seen to read a value
    otherwise: set[str] = {name for out in program.outputs.values() for name in names_in(out)}  # values read in another way
    otherwise |= {u.value for u in program.updates}
    for line in reversed(program.lines):
        own = wanted.get(line.name) if line.shape and line.name not in otherwise else None
        if own is not None:
            demand[line.name] = own
            if _number_times(line):  # another number costs nothing
                own = None
        if own is None and line.name not in scalings:
            otherwise.update(line.uses())
            continue
        for x in dict.fromkeys(line.uses()):
            factor = scalings[line.name] if line.name in scalings and _scaled(line, shapes) == x else (
                own if own is not None and _linear_in(line, x) else None)
            # float32 times a number of float64 is float64
            if factor is None or dtypes[line.name] != dtypes[x] or wanted.setdefault(x, factor) != factor:
                otherwise.add(x)
    return demand


def _number_times(line: Line) -> bool:
    """Whether a line multiplies by a number: another one costs nothing."""
    return line.op is MULTIPLY and sum(not isinstance(x, Name) for x in line.operands) == 1


def _rewritten(program: Program, factor: Any, roots: set[str], scalings: set[str],
               shapes: dict[str, tuple[int, ...]]) -> Program:
    taken, dtypes = {*shapes}, program.kinds[1]
    lines: list[Line] = []
    by: dict[str, Any] = {}
    products: dict[Any, Name] = {}
    for line in program.lines:
        line = reworded(line, by)
        if line.name in roots:
            (number,) = [x for x in line.operands if not isinstance(x, Name)]
            key = repr(number)
            if key not in products:
                name, k = "rate", 2
                while name in taken:
                    name, k = f"rate_{k}", k + 1
                taken.add(name)
                products[key] = Name(name)
                lines.append(Line(products[key], MULTIPLY, (factor, float(number)), {}, (), dtypes.get(factor) or line.dtype))
                low, high = RANGES[dtypes[line.name]]
                check = Name(f"{products[key]}_ordinary")
                while check in taken:
                    check = Name(f"{check}_")
                taken.add(check)
                lines.append(Line(check, ORDINARY, (products[key],), {"low": low, "high": high}, (), np.dtype(np.int64)))
            line = line.but(operands=tuple(x if isinstance(x, Name) else products[key] for x in line.operands))
        elif line.name in scalings:
            by[line.name] = _scaled(line, shapes)
            continue
        lines.append(line)
    updates = tuple(replace(u, value=by.get(str(u.value), u.value)) for u in program.updates)
    return replace(with_lines(program, lines, by), updates=updates)


__all__ = ["ORDINARY", "scale_early"]
