"""Operations that are alike and do not wait for each other, done at once: what a loop repeats on other slices.

tanh of x[0], x[1], ... is tanh of x, if the steps of the loop need nothing of each other for it. NumPy's calls cost about a
microsecond each, however small the array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..rules.indexing import getitem
from ..rules.products import matmul
from ..rules.shapes import transpose
from .algebra import reworded, with_lines
from .expand import ufunc_of
from .places import FEWEST, PLACE
from .program import Line, Name, Program
from .stacks import Stacks, inserted


def batch_alike(program: Program) -> Program:
    """Operations of one kind on values that lie side by side, none waiting for another, are done at once."""
    for _ in range(6):
        after = _batched_once(program)
        if after is program:
            break
        program = after
    return program


def _batched_once(program: Program) -> Program:
    similar: dict[Any, list[Line]] = {}
    for line in program.lines:
        if line.shape and (len(line.shape) == 1 if line.op is matmul else not line.params and ufunc_of(line.op) is not None):
            similar.setdefault((line.op.name, line.shape), []).append(line)
    if all(len(lines) < FEWEST for lines in similar.values()):
        return program
    stacks = Stacks(program)
    groups: dict[Any, list[Line]] = {}
    several = {line.name for lines in similar.values() if len(lines) >= FEWEST for line in lines} - stacks.placed
    for line in program.lines:
        if line.name in several and (line.op is not matmul or _is_vector_product(line, stacks)):
            groups.setdefault(_kind(line, stacks), []).append(line)
    if all(len(members) < FEWEST for members in groups.values()):
        return program
    dropped: set[str] = set()
    by: dict[str, Any] = {}
    for members in groups.values():
        if len(members) < FEWEST:
            continue
        names = {str(line.name) for line in members}
        if names & stacks.fixed or names & stacks.placed or any(x in names for line in members for x in line.uses()):
            continue
        members = [reworded(line, by) for line in members]  # what they are made of may be done at once already
        latest = max([stacks.after(line.operands) for line in members])
        earliest = min(stacks.first_use.get(str(line.name), len(program.lines)) for line in members)
        if latest >= earliest:
            continue
        ordered = _inorder_of(members, stacks)
        before = stacks.state()
        operands: list[Any] = []
        line_is_product = ordered[0].op is matmul
        for column in zip(*[line.operands for line in ordered], strict=True):
            found = stacks.stack(column)
            if isinstance(found, tuple):
                found = found[1] if line_is_product or len(stacks.shapes[found[1]]) <= len(ordered[0].shape) else None
            elif isinstance(found, Name) and ordered[0].op is not matmul and stacks.shapes[found]:
                found = stacks.with_axes(found, len(ordered[0].shape) + 1)
            if found is None:
                break
            operands.append(found)
        shape = (len(ordered), *ordered[0].shape)
        if ordered[0].op is matmul and len(operands) == 2:
            operands = _rows_times(operands, stacks, max(latest, *[stacks.position.get(str(x), -1) for x in operands]))
        if len(operands) < len(ordered[0].operands) or (ordered[0].op is not matmul and np.broadcast_shapes(
                *[stacks.shapes[x] if isinstance(x, Name) else () for x in operands]) != shape):
            stacks.restore(before)
            continue
        position = max(latest, *[stacks.position.get(str(x), -1) for x in operands if isinstance(x, Name)])
        if position >= earliest:
            stacks.restore(before)
            continue
        model = ordered[0]
        whole = stacks.add(position, Line(stacks.fresh("all"), model.op, tuple(operands), {}, shape, model.dtype, model.kind))
        for t, line in enumerate(ordered):
            part = stacks.add(position, Line(stacks.fresh("one"), getitem, (whole,), {"index": t}, line.shape, line.dtype,
                                             line.kind))
            by[str(line.name)] = part
            dropped.add(str(line.name))
    return inserted(program, stacks, dropped, by) if by else program


def _is_vector_product(line: Line, stacks: Stacks) -> bool:
    """Whether a line is A v with a matrix A."""
    a, b = line.operands
    return isinstance(a, Name) and isinstance(b, Name) and len(stacks.shapes[a]) == 2 and len(stacks.shapes[b]) == 1


def _rows_times(operands: Sequence[Any], stacks: Stacks, position: int) -> list[Any]:
    """V Aᵀ for the rows v of V, which A v were one by one."""
    a, rows = operands
    if not isinstance(a, Name) or not isinstance(rows, Name) or len(stacks.shapes[a]) != 2 or len(stacks.shapes[rows]) != 2:
        return []
    shape = stacks.shapes[a][::-1]
    return [rows, stacks.add(position, Line(stacks.fresh("turned"), transpose, (a,), {}, shape, stacks.dtypes[a]))]


def _kind(line: Line, stacks: Stacks) -> Any:
    """What operations must have in common: the function, shape, dtype, and where their operands come from."""
    def of(x: Any) -> Any:
        if not isinstance(x, Name):
            return repr(x)
        source = stacks.line_of.get(x)
        if source is None:
            return ("constant", stacks.shapes[x]) if str(x) in stacks.known else str(x)
        if source.op is getitem:
            inner = stacks.line_of.get(source.operands[0])
            index = source.params["index"]
            return "part", "i" if type(index) is int else repr(index), inner.op.name if inner is not None else ""
        return source.op.name, source.shape
    return line.op.name, line.shape, np.dtype(line.dtype), tuple([of(x) for x in line.operands])


def _inorder_of(members: Sequence[Line], stacks: Stacks) -> list[Line]:
    """Members in the order in which an operand's values lie in an array already, or were made."""
    for i, x in enumerate(members[0].operands):
        if not isinstance(x, Name):
            continue
        column = [line.operands[i] for line in members]
        found = [stacks.line_of.get(y) if isinstance(y, Name) else None for y in column]
        parts = [line for line in found if line is not None and line.op is getitem and type(line.params["index"]) is int]
        if len(parts) == len(members) and len({str(line.operands[0]) for line in parts}) == 1:
            return _sorted_by([line.params["index"] for line in parts], members)
        if all(isinstance(y, Name) for y in column) and len(set(column)) == len(column):
            sources = [_base(y, stacks) for y in column]
            held = [stacks.where.get(s) for s in sources]
            if all(place is not None for place in held) and len({place[0] for place in held if place is not None}) == 1:
                return _sorted_by([place[1] for place in held if place is not None], members)
            return _sorted_by([stacks.position.get(s, -1) for s in sources], members)
    return list(members)


def _sorted_by(keys: Sequence[int], members: Sequence[Line]) -> list[Line]:
    return [m for _, m in sorted(zip(keys, members, strict=True), key=lambda pair: pair[0])]


def _base(x: str, stacks: Stacks) -> str:
    """The value that a part was taken of."""
    line = stacks.line_of.get(x)
    return str(line.operands[0]) if line is not None and line.op is getitem else str(x)


def whole_again(program: Program) -> Program:
    """What stacks all the entries of an array in order is that array."""
    if "stack" not in program.operations and PLACE.name not in program.operations:
        return program
    shapes, line_of = program.kinds[0], program.line_of
    by: dict[str, Any] = {}
    lines: list[Line] = []
    for line in program.lines:
        line = reworded(line, by)
        stacked = (line.op.name == "stack" and line.params.get("axis") == 0) or (
            line.op is PLACE and line.params["indices"] == tuple(range(len(line.operands))))
        parts = [line_of.get(x) if isinstance(x, Name) else None for x in line.operands] if stacked else []
        found = [part for part in parts if part is not None and part.op is getitem]
        if found and len(found) == len(parts) and [part.params["index"] for part in found] == list(range(len(parts))):
            whole = {part.operands[0] for part in found}
            if len(whole) == 1 and shapes[next(iter(whole))] == line.shape and not line.named:
                by[str(line.name)] = whole.pop()
                continue
        lines.append(line)
    updates = tuple(replace(u, value=by.get(str(u.value), u.value)) for u in program.updates)
    return replace(with_lines(program, lines, by), updates=updates)


__all__ = ["batch_alike", "whole_again"]
