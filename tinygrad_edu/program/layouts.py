"""The memory order of constant matrices, chosen for the products that read them: a copy in the other order, made once.

A product with a vector, y = M x, reads M once, at the speed of memory, if the numbers of each sum lie next to each other;
where the sums are long and few, and the numbers of each lie far apart, BLAS takes up to three times as long. In products of
matrices, which write their results row by row, an operand in row order is as fast as the other way round, or faster. The
bounds below are where measured gains exceed a tenth: matrices of 20 × 100 000 to 2000 × 2000 in float64 and float32,
with 1 to 64 rows or columns on the other side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy import ndarray

from ..rules.products import matmul
from .algebra import shapes_of, with_lines
from .big_products import THIN, way_to_split
from .blocks import aligned
from .places import Namer
from .program import Line, Name, Program

LARGE = 1 << 20  # bytes: below, a matrix stays in the cache between its products, in any order
TWICE = 24 << 20  # bytes of a matrix up to which products of matrices gain more than a second copy costs the cache
BEYOND = 4_000_000  # bytes of a matrix that a vector is multiplied with
LONG = 16  # how many times longer than the result the sums are
FEW = 100  # terms of a sum that make an operand on the left worth copying
PIECE = 256  # columns of a turned matrix that are copied at a time


@dataclass
class Use:
    """A product's large operand: a constant, perhaps transposed, and the order the constant should have for it, if any."""

    name: Name
    turned: bool
    order: str | None
    by_vector: bool


def layouts(program: Program) -> Program:
    """Products read constant matrices in the order that suits them."""
    if not program.fixed:
        return program
    uses = _uses(program)
    wanted: dict[str, set[str]] = {}
    for u in uses.values():
        if u.order is not None:
            wanted.setdefault(u.name, set()).add(u.order)
    for u in uses.values():
        if u.by_vector and len(wanted.get(u.name, ())) == 1:  # one copy for all: it stays in the cache
            (u.order,) = wanted[u.name]
    fresh = Namer(program)
    copies: dict[tuple[str, str], ndarray] = {}
    found: dict[Name, ndarray] = {}
    names: dict[tuple[str, str, bool], Name] = {}
    lines: list[Line] = []
    for line in program.lines:
        operands = list(line.operands)
        for side in (0, 1) if line.op is matmul else ():
            use = uses.get((str(line.name), side))
            if use is None or use.order is None or _has_order(program.constants[use.name], use.order):
                continue
            own, key = (str(use.name), use.order), (str(use.name), use.order, use.turned)
            if own not in copies:
                copies[own] = _copied(program.constants[use.name], use.order)
            if key not in names:
                names[key] = fresh(f"{use.name}_{'rows' if use.order == 'C' else 'columns'}")
                found[names[key]] = copies[own].T if use.turned else copies[own]
            operands[side] = names[key]
        lines.append(replace(line, operands=tuple(operands)) if operands != [*line.operands] else line)
    if not found:
        return program
    return replace(with_lines(program, lines), constants=program.constants | found, fixed=program.fixed | {*map(str, found)})


def _uses(program: Program) -> dict[tuple[str, int], Use]:
    """The constant matrices among the operands of products, by the product's name and the side."""
    shapes = shapes_of(program)
    line_of = {str(line.name): line for line in program.lines}
    found: dict[tuple[str, int], Use] = {}
    for line in program.lines:
        if line.op is not matmul or not all(isinstance(x, Name) for x in line.operands) or np.dtype(line.dtype).kind != "f":
            continue
        for side, x in enumerate(line.operands):
            name, turned = _constant(x, line_of, program)
            other = shapes[line.operands[1 - side]]
            if name is not None and len(other) <= 2:
                order = _best_order(side, shapes[x], other, line.dtype)
                own = order if order is None or not turned else "CF"["FC".index(order)]
                flags = program.constants[name].flags
                if own is None and not flags.c_contiguous and not flags.f_contiguous:  # np.dot copies it in every call
                    own = "C"
                found[str(line.name), side] = Use(name, turned, own, len(other) < 2 or 1 in other)
    return found


def _constant(x: Any, line_of: dict[str, Line], program: Program) -> tuple[Name | None, bool]:
    """The constant matrix that an operand is, and whether it is the transpose of it."""
    turned = False
    while isinstance(x, Name):
        if x in program.fixed and x in program.constants:
            return (x, turned) if program.constants[x].ndim == 2 else (None, False)
        line = line_of.get(x)
        if line is None or line.op.name != "transpose" or len(line.shape) != 2 or line.params.get("axes") not in (None, (1, 0)):
            break
        turned = not turned
        x = line.operands[0]
    return None, False


def _copied(matrix: ndarray, order: str) -> ndarray:
    turned = order == "F"
    source = matrix.T if turned else matrix
    copy = aligned(source.shape, matrix.dtype)
    for i in range(0, source.shape[1], PIECE):  # a few rows of memory at a time, or every number read misses the cache
        copy[:, i : i + PIECE] = source[:, i : i + PIECE]
    copy.flags.writeable = False
    return copy.T if turned else copy


def _has_order(matrix: ndarray, order: str) -> bool:
    return bool(matrix.flags.c_contiguous if order == "C" else matrix.flags.f_contiguous)


def _best_order(side: int, shape: tuple[int, ...], other: tuple[int, ...], dtype: Any) -> str | None:
    """The order in which a product reads its large operand fastest; None where it makes no clear difference."""
    terms, results = shape[::-1] if side == 0 else shape
    count = math.prod(other) // max(terms, 1)  # rows or columns on the other side
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if count == 1:
        return "CF"[side] if size >= BEYOND and terms >= LONG * results else None
    if size < LARGE or not 2 <= count <= THIN:
        return None
    if side == 0:
        return "C" if terms >= FEW and size <= TWICE else None
    single = np.dtype(dtype).itemsize == 4 and size <= TWICE
    return "C" if single or way_to_split(other, shape, dtype) == "terms" else None  # whose halves are rows, see big_products


__all__ = ["layouts"]
