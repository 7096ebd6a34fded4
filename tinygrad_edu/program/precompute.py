"""What follows from constant arguments alone is computed once, when the function is compiled, and held.

Xᵀ X of a least-squares fit, X − mean(X), the one-hot labels of a training set, the windows of its images. What is held is
what the rest of the program reads, not what it was made of. It takes memory for as long as the function is kept: where that
would be much more than the constants themselves have, an operation stays in the program.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..rules.indexing import is_basic
from .algebra import reworded, with_lines
from .program import Line, Name, Program, names_in, value_of

SMALL = 8 << 20  # bytes that are always worth holding: computing costs more than reading them from a large cache
TIMES = 2  # a larger value may take so many times the memory of the constants it is made of


def precompute(program: Program) -> Program:
    """Values that depend only on constants become constants."""
    if not program.fixed:
        return program
    sources = _known(program)
    held, kept = _to_hold(program, sources)
    if len(kept) == len(program.lines):
        return program
    values = _values(program, held)
    numbers = {name: value for name, value in values.items() if not np.ndim(value)}
    arrays = {Name(name): value for name, value in values.items() if np.ndim(value)}
    program = replace(program, constants=program.constants | arrays, fixed=program.fixed | {*arrays})
    return with_lines(program, [reworded(line, numbers) for line in kept], numbers)


def _known(program: Program) -> dict[str, frozenset[str]]:
    """For every value that follows from constants, those it is made of."""
    found = {str(name): frozenset([str(name)]) for name in program.constants if name in program.fixed | program.derived}
    for line in program.lines:
        uses = [*line.uses()]
        if line.op.kind != "draw" and all(name in found for name in uses):
            found[str(line.name)] = frozenset().union(*[found[name] for name in uses])
    return found


def _to_hold(program: Program, sources: Mapping[str, frozenset[str]]) -> tuple[set[str], list[Line]]:
    """The names of the values to hold, the latest ones that follow from constants; and the lines that are left."""
    sizes = {str(name): value.nbytes for name, value in program.constants.items()}
    room = SMALL + TIMES * sum(sizes[name] for name in program.fixed if name in sizes)
    needed = {name for out in program.outputs.values() for name in names_in(out)} | {u.value for u in program.updates}
    held: set[str] = set()
    kept: list[Line] = []
    for line in reversed(program.lines):
        made_of = sources.get(str(line.name))
        if made_of is not None:
            size = math.prod(line.shape) * np.dtype(line.dtype).itemsize
            if line.op.kind == "check" or line.name not in needed:  # the recording has checked these very numbers
                continue
            if size <= min(room, max(SMALL, TIMES * sum(sizes[x] for x in made_of))) and not _is_view(line):
                held.add(str(line.name))
                room -= size
                continue
        kept.append(line)
        needed.update(line.uses())
    return held, kept[::-1]


def _is_view(line: Line) -> bool:
    """Whether a line makes another view of its operand, which takes no time in the program."""
    if not line.shape or not line.operands or not isinstance(line.operands[0], Name):
        return False
    return line.op.name in ("identity", "transpose", "reshape", "broadcast_to") or (
        line.op.name == "getitem" and is_basic(line.params["index"]))


def _values(program: Program, held: set[str]) -> dict[str, Any]:
    """Compute what is to be held."""
    wanted, needed = [], set(held)
    for line in reversed(program.lines):
        if line.name in needed:
            wanted.append(line)
            needed.update(line.uses())
    values: dict[str, Any] = {str(name): value for name, value in program.constants.items()}
    with np.errstate(all="ignore"):
        for line in reversed(wanted):
            value = value_of(line, values)
            values[str(line.name)] = value if not line.shape else np.asarray(value, line.dtype)
    for name in held:
        if isinstance(values[name], np.ndarray):
            values[name].flags.writeable = False
    return {str(line.name): values[line.name] for line in program.lines if line.name in held}  # in order, in every process


__all__ = ["precompute"]
