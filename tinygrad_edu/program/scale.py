"""A factor moved to where it costs least: what is linear may be scaled before as well as after.

A training step multiplies every gradient by the learning rate. All of them come linearly from the slope of the cost,
which is small and is multiplied by 1/m anyway; scaled there, the gradients arrive as the update itself.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from .algebra import DIVIDE, MULTIPLY, NEGATIVE, dtypes_of, reworded, shapes_of, with_lines
from .donate import FLAT
from .program import Line, Name, Program, names_in

_VIEWS = {"transpose", "reshape", "getitem", "broadcast_to", "sum_to", "sum", "add.reduce", "identity"}


def _is_scalar(x: Any, shapes: dict[str, tuple[int, ...]]) -> bool:
    return not isinstance(x, Name) or shapes[x] == ()


def _linear_in(line: Line, name: str, shapes: dict[str, tuple[int, ...]]) -> bool:
    """Whether a line's result is a multiple of what is multiplied into this operand, whichever way it enters."""
    op = line.op.name
    if op in _VIEWS:
        return True
    if line.op is FLAT or line.op in (NEGATIVE,) or op in ("add", "subtract", "concatenate", "stack"):
        return True  # in all operands together
    count = sum(x == name for x in line.operands if isinstance(x, Name))
    if op in ("matmul", "multiply"):
        return count == 1
    if op == "gate" or line.op is DIVIDE:
        return line.operands[0] == name and count == 1
    return False


_TOGETHER = {"add", "subtract", "concatenate", "stack", "flat"}


def scale_early(program: Program) -> Program:
    """Multiply by a number before the linear operations that lead to it, where that makes smaller arrays to multiply."""
    shapes = shapes_of(program)
    users: dict[str, list[Line]] = {}
    for line in program.lines:
        for used in dict.fromkeys(line.uses()):
            users.setdefault(used, []).append(line)
    fixed = {str(name) for out in program.outputs.values() for name in names_in(out)}
    fixed |= {str(u.value) for u in program.updates}
    line_of = {str(line.name): line for line in program.lines}
    position = {str(line.name): i for i, line in enumerate(program.lines)}

    demand: dict[str, Any] = {}  # value -> the scalar that everything made of it is multiplied by
    gone: set[str] = set()  # scale lines that become what they scaled
    for line in reversed(program.lines):
        name = str(line.name)
        found = _demanded(line, users.get(name, ()), demand, shapes) if name not in fixed and line.shape else None
        if found is not None:
            demand[name] = found
    # an operand of a sum is scaled only if all are; what is not scaled itself pulls the demand down
    changed = True
    while changed:
        changed = False
        for line in program.lines:
            name = str(line.name)
            if name not in demand:
                continue
            passes_on = _operands_that_carry(line, demand, shapes)
            if passes_on is None:
                continue
            if line.op.name in _TOGETHER and not all(demand.get(x) == demand[name] for x in passes_on):
                for x in passes_on:  # scaled after the sum
                    if x in demand:
                        del demand[x]
                        changed = True
    roots: dict[str, Any] = {}
    for line in program.lines:
        name = str(line.name)
        if name in demand and not _scaled_by_operands(line, demand, shapes):
            roots[name] = demand[name]
    before = sum(math.prod(line.shape) for line in program.lines if _is_scale(line, shapes) and demand.get(
        str(_scaled(line, shapes))) == _factor(line, shapes))
    after = sum(math.prod(shapes[name]) for name in roots if not _is_number_times(line_of[name]))
    if not roots or after >= before:
        return program
    for s in set(roots.values()):  # the factor must be known where it is needed
        if isinstance(s, Name) and s in position and any(position[s] > position[name] for name, t in roots.items() if t == s):
            return program
    return _rewritten(program, demand, roots, shapes, gone)


def _is_scale(line: Line, shapes: dict[str, tuple[int, ...]]) -> bool:
    return line.op is MULTIPLY and bool(line.shape) and _factor(line, shapes) is not None


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


def _demanded(line: Line, using: Any, demand: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> Any:
    """The one scalar that all uses of a value multiply it by, or None."""
    name, found = str(line.name), None
    for user in using:
        if _is_scale(user, shapes) and _scaled(user, shapes) == name and isinstance(_factor(user, shapes), Name):
            wanted = _factor(user, shapes)
        elif _linear_in(user, name, shapes) and str(user.name) in demand:
            wanted = demand[str(user.name)]
        else:
            return None
        if found is not None and wanted != found:
            return None
        found = wanted
    return found


def _operands_that_carry(line: Line, demand: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> list[str] | None:
    if line.op.name not in _TOGETHER:
        return None
    return [str(x) if isinstance(x, Name) else "" for x in line.operands]


def _scaled_by_operands(line: Line, demand: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> bool:
    """Whether a line's result comes scaled because an operand does."""
    wanted = demand[str(line.name)]
    return any(isinstance(x, Name) and demand.get(x) == wanted and _linear_in(line, x, shapes) for x in line.operands)


def _is_number_times(line: Line) -> bool:
    return line.op is MULTIPLY and any(not isinstance(x, Name) for x in line.operands)


def _rewritten(program: Program, demand: dict[str, Any], roots: dict[str, Any], shapes: dict[str, tuple[int, ...]],
               gone: set[str]) -> Program:
    taken = {*shapes}
    dtypes = dtypes_of(program)
    lines: list[Line] = []
    by: dict[str, Any] = {}
    products: dict[Any, Name] = {}

    def fresh(wanted: str) -> Name:
        name, k = wanted, 2
        while name in taken:
            name, k = f"{wanted}_{k}", k + 1
        taken.add(name)
        return Name(name)

    for line in program.lines:
        line = reworded(line, by)
        name = str(line.name)
        if name in roots:
            s = by.get(roots[name], roots[name])
            numbers = [x for x in line.operands if not isinstance(x, Name)] if line.op is MULTIPLY else []
            if len(numbers) == 1:
                key = (str(s), repr(numbers[0]))
                if key not in products:
                    products[key] = fresh("rate")
                    lines.append(Line(products[key], MULTIPLY, (s, float(numbers[0])), {}, (), dtypes.get(s, line.dtype)))
                operands = tuple(products[key] if not isinstance(x, Name) else x for x in line.operands)
                lines.append(replace(line, operands=operands))
            else:
                inner = fresh(f"{name}_unscaled")
                lines.append(replace(line, name=inner, named=False))
                lines.append(Line(line.name, MULTIPLY, (s, inner), {}, line.shape, line.dtype, line.kind))
            continue
        if _is_scale(line, shapes):
            x = _scaled(line, shapes)
            if demand.get(x) is not None and demand[x] == _factor(line, shapes):
                by[name] = x
                continue
        lines.append(line)
    updates = tuple(replace(u, value=by.get(str(u.value), u.value)) for u in program.updates)
    return replace(with_lines(program, lines, by), updates=updates)


__all__ = ["scale_early"]
