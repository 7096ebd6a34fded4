"""Passes over a program: small functions, program to program, that keep its meaning and leave less to read."""

from __future__ import annotations

from dataclasses import replace
from operator import is_
from typing import Any

import numpy as np
from numpy import ndarray

from ..rules.pointwise import identity
from ..tensor import Primitive
from .program import Line, Name, Program, evaluate, names_in, renamed, reworded


def _with(program: Program, lines: list[Line], by: dict[str, Any]) -> Program:
    """The program with these lines, and names replaced in its outputs; itself if nothing is new."""
    if not by and len(lines) == len(program.lines) and all(map(is_, lines, program.lines)):
        return program
    return replace(program, lines=tuple(lines), outputs={k: renamed(v, by) for k, v in program.outputs.items()})


def fold_constants(program: Program) -> Program:
    """Compute once what depends on no input and is a single number; it becomes a literal."""
    by: dict[str, Any] = {}
    lines = []
    for line in program.lines:
        if by:
            line = reworded(line, by)
        if line.shape == () and line.operands and not line.uses():
            value = evaluate(line.op, line.operands, line.params)
            by[line.name] = np.asarray(value)[()]
        else:
            lines.append(line)
    return _with(program, lines, by)


def share(program: Program) -> Program:
    """Compute the same thing once: a line equal to an earlier one is dropped, and its name replaced."""
    by: dict[str, Any] = {}
    seen: dict[Any, Line | dict[Any, Name]] = {}  # for an operation and first operand the only line so far, or all by meaning
    lines = []
    for line in program.lines:
        if by:
            line = reworded(line, by)
        begins = line.op, line.operands[0] if line.operands and type(line.operands[0]) is Name else None
        others = seen.setdefault(begins, line)
        if others is not line:
            if isinstance(others, Line):
                others = seen[begins] = {_meaning(others): others.name}
            first = others.setdefault(_meaning(line), line.name)
            if first is not line.name and not line.named and line.op.kind != "draw":
                by[line.name] = first
                continue
        lines.append(line)
    return _with(program, lines, by)


def _meaning(line: Line) -> Any:
    """What equal lines have in common."""
    if line.meaning is None:
        params = [(k, _key(v)) for k, v in line.params.items()] if line.params else ()
        operands = tuple([x if type(x) is Name else _key(x) for x in line.operands])
        line.meaning = line.op, operands, tuple(params) if len(params) < 2 else tuple(sorted(params)), np.dtype(line.dtype)
    return line.meaning


def _key(x: Any) -> Any:
    if type(x) is Name or x is None:
        return x  # text has a key of another kind
    if type(x) is int:
        return int, x  # 1, 1.0 and True are equal
    if type(x) is tuple and _INT.issuperset(map(type, x)):
        return tuple, x
    if isinstance(x, (tuple, list)):
        return (type(x).__name__, *(_key(item) for item in x))
    if isinstance(x, slice):
        return "slice", repr(x)
    if isinstance(x, ndarray):
        return "array", x.shape, str(x.dtype), x.tobytes()
    if isinstance(x, _PLAIN):
        return type(x).__name__, repr(x)
    return "object", id(x)  # repr() of an object may leave out what it differs in


_INT = frozenset({int})
_PLAIN = (int, float, complex, str, bytes, type(None), np.generic, np.dtype, type)


def drop_unused(program: Program) -> Program:
    """Leave out lines and constants that no output needs."""
    needed: set[str] = set()
    for out in program.outputs.values():
        needed.update(names_in(out))
    needed.update(str(update.value) for update in program.updates)
    kept = []
    for line in reversed(program.lines):
        if line.name in needed or line.op.kind in ("draw", "check"):  # a generator moves on, whoever needs the draw
            kept.append(line)
            needed.update(line.uses())
    if len(kept) == len(program.lines) and needed.issuperset(program.constants):
        return program
    kept.reverse()
    constants = {name: value for name, value in program.constants.items() if name in needed}
    return replace(program, lines=tuple(kept), constants=constants)


def forward_names(program: Program) -> Program:
    """Read through lines that only repeat another value, unless a person named them."""
    if identity.name not in program.operations:
        return program
    by: dict[str, Any] = {}
    lines = []
    for line in program.lines:
        if by:
            line = reworded(line, by)
        (same,) = line.operands if line.op is identity and len(line.operands) == 1 else (None,)
        if isinstance(same, Name) and not line.named:
            by[line.name] = same
        else:
            lines.append(line)
    return _with(program, lines, by)


def tidied(program: Program) -> Program:
    """All passes that change no number: fold constants, read through repetitions, share, drop what is unused."""
    for step in (fold_constants, forward_names, share, drop_unused):
        program = step(program)
    return program


__all__ = ["Primitive", "drop_unused", "fold_constants", "forward_names", "share", "tidied"]
