"""One exponential for σ(z), σ(−z) and softplus(z) = log(1 + eᶻ): the derivatives of each need another of them.

σ(−z) is e⁻ᶻ/(1 + e⁻ᶻ), exact to the last digits where 1 − σ(z) is not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..rules import pointwise
from .algebra import ADD, DIVIDE, MULTIPLY, NEGATIVE, with_lines
from .expand import largest_exponent
from .passes import share
from .program import Line, Name, Program

# no exponential is taken larger, so that e/(1 + e) is 1 in the end, not inf · 0; its reciprocal is a normal number
LARGEST = {np.dtype(np.float32): 2.0**126, np.dtype(np.float64): 2.0**1022}


def share_exponentials(program: Program) -> Program:
    """Compute one exponential, and one division, for a sigmoid and what else needs its exponential."""
    if DIVIDE.name not in program.operations or not any(line.op.forward is np.exp for line in program.lines):
        return program
    return _both_from_one(_beside_softplus(program))


def _beside_softplus(program: Program) -> Program:
    """σ(z) as e/(1 + e) and σ(−z) as 1/(1 + e), where softplus(z) computes e = exp(min(z, largest exponent))."""
    if pointwise.minimum.name not in program.operations:
        return program
    line_of, dtypes = program.line_of, program.kinds[1]
    softplus: dict[str, tuple[Line, Line, bool]] = {}  # z -> the lines of min(±z, largest) and of e, whether −z is meant
    for e in program.lines:
        near = line_of.get(str(e.operands[0])) if e.op.forward is np.exp else None
        if near is not None and near.op is pointwise.minimum and isinstance(near.operands[0], Name) and np.dtype(
                e.dtype) in LARGEST and near.operands[1] == largest_exponent(e.dtype):
            z, turned = _unsigned(near.operands[0], line_of)
            softplus.setdefault(z, (near, e, turned))
    sigmoids: dict[str, tuple[str, bool]] = {}  # the line of σ(±z) -> z, whether −z is meant
    for line in program.lines if softplus else ():
        parts = _sigmoid(line, line_of)
        if parts is not None and parts[2] in softplus and dtypes.get(parts[2]) == line.dtype:
            sigmoids[str(line.name)] = parts[2:]
    if not sigmoids:
        return program
    taken = {*dtypes}
    lines: list[Line] = []

    def made(op: Any, operands: Any, like: Line, wanted: str) -> Name:
        name, k = Name(wanted), 2
        while name in taken:
            name, k = Name(f"{wanted}_{k}"), k + 1
        taken.add(name)
        lines.append(Line(name, op, operands, {}, like.shape, like.dtype, like.kind))
        return name

    parts_of: dict[str, tuple[Name, Name]] = {}  # z -> e, 1 + e
    for line in program.lines:
        if str(line.name) in sigmoids:
            z, turned = sigmoids[str(line.name)]
            near, e, e_turned = softplus[z]
            if z not in parts_of:
                inner = made(NEGATIVE, (Name(z),), line, f"{z}_minus") if e_turned else Name(z)
                inner = made(near.op, (inner, near.operands[1]), line, near.name)
                inner = made(e.op, (inner,), line, e.name)  # the same lines again: these may be needed before those
                parts_of[z] = inner, made(ADD, (inner, 1), line, f"{e.name}_total")
            inner, total = parts_of[z]
            line = replace(line, op=DIVIDE, operands=(inner if turned == e_turned else 1, total), params={})
        lines.append(line)
    return share(with_lines(program, lines))


def _both_from_one(program: Program) -> Program:
    """σ(−z) without another exponential and another division, where the program has σ(z) too."""
    line_of, dtypes = program.line_of, program.kinds[1]
    found: dict[str, tuple[Line, Line, Line, bool]] = {}  # z -> the lines of σ(z): e⁻ᶻ, 1 + e⁻ᶻ, their reciprocal
    pairs: dict[str, tuple[Line, Line, Line]] = {}  # σ(−z) -> those lines of σ(z)
    for line in program.lines:
        parts = _sigmoid(line, line_of) if line.op is DIVIDE else None
        if parts is None or np.dtype(line.dtype) not in LARGEST:
            continue
        exponential, total, z, mirrored = parts
        if z in found and found[z][3] != mirrored:
            pairs[str(line.name)] = found[z][:3]
        elif z not in found and dtypes.get(z) == line.dtype:
            found[z] = exponential, total, line, mirrored
    if not pairs:
        return program
    taken = {*dtypes}
    limited: dict[str, Name] = {}  # e⁻ᶻ -> the same, not too large
    for exponential, _, _ in pairs.values():
        name, k = Name(f"{exponential.name}_finite"), 2
        while name in taken:
            name, k = Name(f"{exponential.name}_finite_{k}"), k + 1
        taken.add(name)
        limited.setdefault(str(exponential.name), name)
    totals = {str(total.name): exponential for exponential, total, _ in pairs.values()}
    lines: list[Line] = []
    for line in program.lines:
        if str(line.name) in totals:
            e = totals[str(line.name)].name
            line = replace(line, operands=tuple(limited[e] if x == e else x for x in line.operands))
        elif str(line.name) in pairs:
            exponential, _, sigmoid = pairs[str(line.name)]
            line = replace(line, op=MULTIPLY, operands=(limited[exponential.name], sigmoid.name), params={})
        lines.append(line)
        if str(line.name) in limited:
            lines.append(Line(limited[str(line.name)], pointwise.minimum, (line.name, LARGEST[np.dtype(line.dtype)]), {},
                              line.shape, line.dtype, line.kind))
    return with_lines(program, lines)


def _sigmoid(line: Line, line_of: dict[str, Line]) -> tuple[Line, Line, str, bool] | None:
    """(e, 1 + e, z, mirrored) where the line is 1/(1 + e) with e = exp(−z), or exp(z) if mirrored."""
    total = _made_by(line, DIVIDE, 1, line_of, first=True)
    exponential = _made_by(total, ADD, 1, line_of) if total is not None else None
    if total is None or exponential is None or exponential.op.forward is not np.exp or not line.shape:
        return None
    inner: Any = exponential.operands[0]
    if not isinstance(inner, Name):
        return None
    z, turned = _unsigned(inner, line_of)
    return exponential, total, z, not turned


def _unsigned(x: Name, line_of: dict[str, Line]) -> tuple[str, bool]:
    """(z, True) where x is −z, otherwise (x, False)."""
    minus = line_of.get(x)
    if minus is not None and minus.op.forward is NEGATIVE.forward and isinstance(minus.operands[0], Name):
        return str(minus.operands[0]), True
    return str(x), False


def _made_by(line: Line, op: Any, number: float, line_of: dict[str, Line], first: bool = False) -> Line | None:
    """The line of the other operand, where a line combines a value with this number."""
    if line.op is not op:
        return None
    for a, b in (line.operands, line.operands[::-1]):
        if not isinstance(a, Name) and np.ndim(a) == 0 and a == number and isinstance(b, Name):
            return line_of.get(b)
        if first:
            return None
    return None


__all__ = ["share_exponentials"]
