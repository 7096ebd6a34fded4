"""The gradient of an array that was read slice by slice: its parts written side by side, not added up.

Backwards, every x[t] gives an array of the shape of x that is zero but for one slice, and all of these are added: T arrays of
T slices each. The slices do not overlap, so one array takes them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..rules.indexing import is_basic
from .algebra import ADD, with_lines
from .places import ADD_AT, PLACE, Namer, order_of
from .program import Line, Name, Program, names_in


def _terms(root: Line, program: Program) -> list[Any]:
    """The terms of a sum of several, as written from left to right."""
    out: list[Any] = []
    waiting: list[Any] = [*reversed(root.operands)]
    while waiting:
        x = waiting.pop()
        line = program.line_of.get(x) if isinstance(x, Name) else None
        if line is not None and _is_part(line, root, program):
            waiting += [*reversed(line.operands)]
        else:
            out.append(x)
    return out


def _is_part(line: Line, root: Line, program: Program) -> bool:
    """Whether a line is a sum that only another sum of its kind reads."""
    return line.op is ADD and line.shape == root.shape and line.dtype == root.dtype and program.uses[line.name] == 1


def sums_of(program: Program) -> list[tuple[Line, list[Any]]]:
    """The sums that are not part of a larger one, with their terms."""
    line_of = program.line_of
    sums = [line for line in program.lines if line.op is ADD]
    inner = {x for line in sums for x in line.operands
             if isinstance(x, Name) and x in line_of and _is_part(line_of[x], line, program)}
    return [(line, _terms(line, program)) for line in sums if line.shape and line.name not in inner]


def gather_puts(program: Program) -> Program:
    """A sum of arrays that are zero but for a slice: every part is written, or added, into its slice of one array."""
    if "put" not in program.operations:
        return program
    shapes, uses, line_of = program.kinds[0], program.uses, program.line_of
    replaced: dict[str, list[Line]] = {}
    fresh = Namer(program)
    for root, terms in sums_of(program):
        puts = [line_of[x] for x in terms if _is_put(x, line_of, uses)]
        if not puts:
            continue
        others = [x for x in terms if not _is_put(x, line_of, uses)]
        if any(not isinstance(x, Name) or shapes.get(x) != root.shape for x in others):
            continue
        replaced[str(root.name)] = _gathered(root, puts, others, fresh)
    for line in program.lines:  # one put alone is written into its place too
        if line.op.name == "put" and is_basic(line.params["index"]) and str(line.name) not in replaced and (
                isinstance(line.operands[0], Name)) and not any(True for _ in names_in(line.params["index"])):
            replaced[str(line.name)] = [replace(line, op=PLACE, params={"indices": (line.params["index"],),
                                                                        "shape": line.shape})]
    if not replaced:
        return program
    return with_lines(program, [new for line in program.lines for new in replaced.get(str(line.name), [line])])


def _is_put(x: Any, line_of: dict[str, Line], uses: dict[str, int]) -> bool:
    line = line_of.get(x) if isinstance(x, Name) else None
    return line is not None and line.op.name == "put" and uses[x] == 1 and is_basic(line.params["index"]) and isinstance(
        line.operands[0], Name)


def _gathered(root: Line, puts: Sequence[Line], others: Sequence[Any], fresh: Namer) -> list[Line]:
    lines: list[Line] = []
    base: Any = None
    for x in others:
        if base is None:
            base = x
        else:
            name = fresh("sum")
            lines.append(Line(name, ADD, (base, x), {}, root.shape, root.dtype, root.kind))
            base = name
    later = list(puts)
    if base is None:
        filled = np.zeros(root.shape, bool)
        apart, later = [], []
        for line in puts:
            part = filled[line.params["index"]]
            if np.any(part):
                later.append(line)
            else:
                filled[line.params["index"]] = True
                apart.append(line)
        apart.sort(key=lambda line: order_of(line.params["index"]))
        base = fresh("whole")
        lines.append(Line(base, PLACE, tuple(line.operands[0] for line in apart), {
            "indices": tuple(line.params["index"] for line in apart), "shape": root.shape}, root.shape, root.dtype, root.kind))
    for line in later:
        name = fresh("sum")
        lines.append(Line(name, ADD_AT, (base, line.operands[0]), {"index": line.params["index"]}, root.shape, root.dtype,
                          root.kind))
        base = name
    lines[-1] = replace(lines[-1], name=root.name, named=root.named)
    return lines


__all__ = ["gather_puts", "sums_of"]
