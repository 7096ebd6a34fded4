"""Products regrouped so that less waits: backwards through a loop, every step waits for the one after it.

A gradient comes late; the slopes it is multiplied by were known when the loop went forward. (late · a) · b does two
multiplications after the waiting, late · (a · b) one, and all the a · b of the loop can be done at once (alike.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..rules.indexing import getitem
from .algebra import MULTIPLY, with_lines
from .expand import ufunc_of
from .places import ADD_AT, PLACE, Namer, order_of
from .program import Line, Name, Program

FAR = 30  # lines between what is known early and where it is used, for a regrouping to make sense


def known_first(program: Program) -> Program:
    """(late · a) · b as late · (a · b), where a and b are known long before: what does not wait can be done together."""
    if len(program.lines) <= FAR or MULTIPLY.name not in program.operations:
        return program
    fresh = Namer(program)
    lines: list[Line] = []
    changed = False
    for line in program.lines:
        made = _regrouped(line, program) if line.op is MULTIPLY and line.shape else None
        if made is not None:
            late, a, b = made
            name = fresh("known")
            lines.append(Line(name, MULTIPLY, (a, b), {}, line.shape, line.dtype, line.kind))
            line = line.but(operands=(late, name))
            changed = True
        lines.append(line)
    return with_lines(program, lines) if changed else program


def _regrouped(line: Line, program: Program) -> Any:
    line_of, position = program.line_of, program.position
    here = position[str(line.name)]

    def early(x: Any) -> bool:
        return isinstance(x, Name) and _known_before(here - FAR, x, line_of, position)

    for inner_name, b in (line.operands, line.operands[::-1]):
        inner = line_of.get(inner_name) if isinstance(inner_name, Name) else None
        if inner is None or inner.op is not MULTIPLY or not _like(inner_name, line, line_of) or (
                not early(b) or not _like(b, line, line_of)) or program.uses[inner_name] != 1:
            continue
        for a, late in (inner.operands, inner.operands[::-1]):
            if early(a) and not early(late) and _like(a, line, line_of) and _like(late, line, line_of):
                return late, a, b
    return None


def _like(x: Any, line: Line, line_of: dict[str, Line]) -> bool:
    """Whether a value that the program makes has the shape and the dtype of a line's."""
    found = line_of.get(x) if isinstance(x, Name) else None
    return found is not None and found.shape == line.shape and found.dtype == line.dtype


def _known_before(here: int, x: Name, line_of: dict[str, Line], position: dict[str, int], depth: int = 3) -> bool:
    """Whether a value could be computed before a line: with what it is made of, looking through short chains."""
    line = line_of.get(x)
    if line is None or position[x] < here:
        return here > -1
    return depth > 0 and (ufunc_of(line.op) is not None or line.op is getitem) and all(
        _known_before(here, y, line_of, position, depth - 1) for y in line.operands if type(y) is Name) and here > -1


def place_products(program: Program) -> Program:
    """(parts in their places) ⊙ w as the products of the parts in their places, where that leaves what waits no more to do.

    A part late · k takes its piece of w into the factor k, which is known long before. What lies outside the parts is 0,
    also where w is not finite.
    """
    if PLACE.name not in program.operations:
        return program
    uses, position, line_of = program.uses, program.position, program.line_of
    fresh = Namer(program)
    done: dict[str, Line] = {}
    lines: list[Line] = []
    for line in program.lines:
        made = _placed_product(line, line_of, position, uses, fresh) if line.op is MULTIPLY and line.shape else None
        if made is not None:
            lines += made
            done[str(line.name)] = made[-1]
            continue
        base = done.get(str(line.operands[0])) if line.op is ADD_AT else None
        if base is not None and uses[str(base.name)] == 1 and _apart(base, line.params["index"]):
            indices, values = (*base.params["indices"], line.params["index"]), (*base.operands, line.operands[1])
            pairs = sorted(zip(indices, values, strict=True), key=lambda pair: order_of(pair[0]))
            lines.append(replace(line, op=PLACE, operands=tuple(x for _, x in pairs), params={
                "indices": tuple(i for i, _ in pairs), "shape": line.shape}))
            continue
        lines.append(line)
    return with_lines(program, lines) if done else program


def _apart(base: Line, index: Any) -> bool:
    """Whether a place overlaps none of those that are taken."""
    filled = np.zeros(base.shape, bool)
    for taken in base.params["indices"]:
        filled[taken] = True
    return not np.any(filled[index])


def _placed_product(line: Line, line_of: dict[str, Line], position: dict[str, int], uses: dict[str, int],
                    fresh: Namer) -> list[Line] | None:
    here = position[str(line.name)]

    def early(x: Any) -> bool:
        return isinstance(x, Name) and x in line_of and _known_before(here - FAR, x, line_of, position)

    for x, w in (line.operands, line.operands[::-1]):
        place = line_of.get(x) if isinstance(x, Name) else None
        if place is None or place.op is not PLACE or uses[x] != 1 or not early(w) or line_of[w].shape != line.shape:
            continue
        found = []
        for part in place.operands:
            inner = line_of.get(part)
            if inner is None or inner.op is not MULTIPLY or uses[part] != 1:
                return None
            for late, k in (inner.operands, inner.operands[::-1]):
                if early(k) and not early(late) and _like(k, inner, line_of) and _like(late, inner, line_of) and _like(
                        w, line, line_of):
                    found.append((inner, late, k))
                    break
            else:
                return None
        new: list[Line] = []
        parts = []
        for (inner, late, k), index in zip(found, place.params["indices"], strict=True):
            piece, known, part = fresh("piece"), fresh("known"), fresh("part")
            new += [Line(piece, getitem, (w,), {"index": index}, inner.shape, inner.dtype, line.kind),
                    Line(known, MULTIPLY, (k, piece), {}, inner.shape, inner.dtype, line.kind),
                    Line(part, MULTIPLY, (late, known), {}, inner.shape, inner.dtype, line.kind)]
            parts.append(part)
        return [*new, replace(line, op=PLACE, operands=tuple(parts), params=place.params)]
    return None


__all__ = ["known_first", "place_products"]
