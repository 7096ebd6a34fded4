"""Sums of products that were spread out first, as products of matrices: Σⱼ aᵢⱼ bⱼₖ needs no array of all i, j and k."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..rules.products import matmul
from ..rules.shapes import reshape, transpose
from .algebra import ADD, DIVIDE, LONGEST_SUM, MULTIPLY, NEGATIVE, dtypes_of, shapes_of, with_lines
from .program import Line, Name, Program, names_in

_FORWARDS = frozenset({NEGATIVE.forward, ADD.forward, MULTIPLY.forward, DIVIDE.forward})  # what is taken out of a sum
LEAST = 64  # multiplications in a product of a batch: below, calling BLAS costs more than the sum


def contract(program: Program) -> Program:
    """Take factors out of sums along whose axes they do not vary, and sum the products of the rest by BLAS.

    Σ c·x is c·Σ x for numbers, signs, and arrays spread along the axes of the sum; Σ a·b over an axis of both, where a or b
    is spread along another, is a product of matrices, for each entry of the axes that both keep. Sums are rounded in another
    order.
    """
    made = program.line_of
    if not any(made[x].op.forward in _FORWARDS for line in program.lines if line.op.name == "add.reduce"
               for x in line.uses() if x in made):
        return program
    work = _Work(program)
    lines: list[Line] = []
    for line in program.lines:
        if line.op.name == "add.reduce":
            lines += work.sum(line)
        else:
            lines.append(line)
    return with_lines(program, lines)


@dataclass
class _Factor:
    """What multiplies a sum; `x` None is a change of sign. `over` divides by it."""

    x: Any
    shape: tuple[int, ...] = ()
    over: bool = False


class _Work:
    def __init__(self, program: Program) -> None:
        self.shapes, self.dtypes = shapes_of(program), dtypes_of(program)
        self.not_for_sums = _not_for_sums(program)
        self.line_of = program.line_of
        self.taken = {*self.shapes}
        self.lines: list[Line] = []

    def sum(self, line: Line) -> list[Line]:
        """The lines that take a sum's place."""
        x, axes, keep = line.operands[0], line.params.get("axis"), line.params.get("keepdims", False)
        if not isinstance(x, Name) or np.dtype(line.dtype) not in LONGEST_SUM or self.dtypes[x] != line.dtype:
            return [line]
        whole = self.shapes[x]
        axes = tuple(range(len(whole))) if axes is None else axes
        self.lines, self.of = [], line
        factors: list[_Factor] = []
        while (found := self._factor(x, whole, axes, keep)) is not None:
            x = found[0]
            factors.append(found[1])
        total = self._product(x, whole, axes, keep)
        if total is None and not factors:
            return [line]
        if total is None:
            own = self.shapes[x]
            shape = tuple(1 if i in axes else n for i, n in enumerate(own) if keep or i not in axes)
            total = self._line(line.op, (x,), shape, line.params)
        shape = self.shapes[total]
        for f in reversed(factors):
            if f.x is None:
                total = self._line(NEGATIVE, (total,), shape)
                continue
            shape = np.broadcast_shapes(shape, f.shape)
            total = self._line(DIVIDE, (total, f.x), shape) if f.over else self._line(MULTIPLY, (f.x, total), shape)
        if shape != tuple(line.shape):
            return [line]
        last = self.lines[-1]
        return [*self.lines[:-1], replace(last, name=line.name, kind=line.kind, named=line.named)]

    def _line(self, op: Any, operands: Any, shape: tuple[int, ...], params: Any = None) -> Name:
        k = 1
        while f"w{k}" in self.taken:
            k += 1
        name = Name(f"w{k}")
        self.taken.add(str(name))
        self.shapes[str(name)], self.dtypes[str(name)] = tuple(shape), np.dtype(self.of.dtype)
        self.lines.append(Line(name, op, tuple(operands), dict(params or {}), tuple(shape), self.of.dtype, self.of.kind))
        return name

    def _only(self, x: Any) -> Line | None:
        """The line that makes x, if only sums read it in the end."""
        line = self.line_of.get(x) if isinstance(x, Name) and x not in self.not_for_sums else None
        return line if line is not None and line.dtype == self.of.dtype else None

    def _factor(self, x: Any, whole: tuple[int, ...], axes: tuple[int, ...], keep: bool) -> tuple[Any, _Factor] | None:
        """One factor that does not vary along the axes, and what is left to be summed."""
        inner = self._only(x)
        if inner is None or self.shapes[x] != whole:
            return None
        if inner.op.forward is NEGATIVE.forward:
            return (inner.operands[0], _Factor(None)) if isinstance(inner.operands[0], Name) else None
        if inner.op is ADD and inner.operands[0] == inner.operands[1] and isinstance(inner.operands[0], Name):
            return inner.operands[0], _Factor(2.0)
        if inner.op is MULTIPLY:
            tries = [(inner.operands[0], inner.operands[1], False), (inner.operands[1], inner.operands[0], False)]
        elif inner.op is DIVIDE:
            tries = [(inner.operands[1], inner.operands[0], True)]
        else:
            return None
        for factor, rest, over in tries:
            if not isinstance(rest, Name) or self.dtypes[rest] != self.of.dtype or len(self.shapes[rest]) != len(whole) or any(
                    self.shapes[rest][i] != whole[i] for i in axes):
                continue
            if not isinstance(factor, Name):
                if np.ndim(factor) == 0:
                    return rest, _Factor(factor, (), over)
                continue
            if self.dtypes[factor] != self.of.dtype:
                continue
            shape = (1,) * (len(whole) - len(self.shapes[factor])) + tuple(self.shapes[factor])
            if any(shape[i] != 1 for i in axes) or math.prod(shape) >= math.prod(whole):
                continue
            narrow = tuple(n for i, n in enumerate(shape) if keep or i not in axes)
            if narrow != self.shapes[factor] and self.shapes[factor]:
                factor = self._line(reshape, (factor,), narrow, {"shape": narrow})
            return rest, _Factor(factor, self.shapes[factor], over)
        return None

    def _product(self, x: Any, whole: tuple[int, ...], axes: tuple[int, ...], keep: bool) -> Name | None:
        """Σ a·b as a product of matrices, if its axes allow it."""
        inner = self._only(x)
        if inner is None or inner.op is not MULTIPLY or len(axes) != 1:
            return None
        a, b = inner.operands
        if not all(isinstance(y, Name) and self.dtypes[y] == self.of.dtype for y in (a, b)):
            return None
        whole, (k,) = self.shapes[x], axes
        full = [(1,) * (len(whole) - len(self.shapes[y])) + tuple(self.shapes[y]) for y in (a, b)]
        in_a, in_b = ([i for i, n in enumerate(shape) if n != 1] for shape in full)
        if k not in in_a or k not in in_b:
            return None
        both = [i for i in in_a if i in in_b and i != k]
        rows, columns = [i for i in in_a if i not in in_b], [i for i in in_b if i not in in_a]
        if len(rows) > 1 or len(columns) > 1 or not rows + columns or not 1 < whole[k] <= LONGEST_SUM[np.dtype(self.of.dtype)]:
            return None
        if whole[k] * math.prod(whole[i] for i in rows + columns) < LEAST:
            return None
        left = self._matrix(a, in_a, [*both, *(rows or [-1]), k], whole)
        right = self._matrix(b, in_b, [*both, k, *(columns or [-1])], whole)
        order = [*both, *(rows or [-1]), *(columns or [-1])]
        total = self._line(matmul, (left, right), tuple(whole[i] if i >= 0 else 1 for i in order))
        turn = [order.index(i) for i in sorted(i for i in order if i >= 0)]
        turn += [i for i in range(len(order)) if i not in turn]
        if turn != list(range(len(order))):
            total = self._line(transpose, (total,), tuple(self.shapes[total][i] for i in turn), {"axes": tuple(turn)})
        wanted = tuple(1 if i == k else n for i, n in enumerate(whole) if keep or i != k)
        if self.shapes[total] != wanted:
            total = self._line(reshape, (total,), wanted, {"shape": wanted})
        return total

    def _matrix(self, x: Any, own: list[int], order: list[int], whole: tuple[int, ...]) -> Name:
        """x with its axes in this order; -1 is an axis of one entry."""
        have = [*own, *([-1] if -1 in order else [])]
        shape = tuple(whole[i] if i >= 0 else 1 for i in have)
        if shape != self.shapes[x]:
            x = self._line(reshape, (x,), shape, {"shape": shape})
        turn = tuple(have.index(i) for i in order)
        if turn != tuple(range(len(turn))):
            x = self._line(transpose, (x,), tuple(shape[i] for i in turn), {"axes": turn})
        return x  # type: ignore[no-any-return]


def _not_for_sums(program: Program) -> set[str]:
    """The values that something reads but sums, and products and signs that nothing reads but sums."""
    found = {str(name) for out in program.outputs.values() for name in names_in(out)}
    for line in reversed(program.lines):
        op = line.op
        passed_on = line.name not in found and op.forward in _FORWARDS and (
            op is MULTIPLY or op is DIVIDE or op.forward is NEGATIVE.forward or (
                op is ADD and line.operands[0] == line.operands[1]))
        if not passed_on and op.name != "add.reduce":
            found.update(line.uses())
    return found


__all__ = ["contract"]
