"""x − (s·x + y) as (1 − s)·x − y: a number more, and a pass over the arrays less.

A training step with weight decay is of this form, with s the learning rate times the decay.
"""

from __future__ import annotations

from typing import Any

from .algebra import ADD, MULTIPLY, SUBTRACT, dtypes_of, shapes_of, with_lines
from .program import Line, Name, Program


def collect(program: Program) -> Program:
    """Collect what multiplies the same array in a sum, where that saves arithmetic on arrays."""
    made = program.line_of
    if not any((line.op is ADD or line.op is SUBTRACT) and line.shape and len(line.uses()) == 2 and any(
            x in made and made[x].op in (MULTIPLY, ADD) for x in line.operands) for line in program.lines):
        return program
    return _Collecting(program).program()


class _Collecting:
    def __init__(self, program: Program) -> None:
        self.before = program
        self.shapes, self.dtypes = shapes_of(program), dtypes_of(program)
        self.uses, self.line_of = program.uses, program.line_of
        self.taken = {*self.shapes}
        self.gone: set[str] = set()

    def program(self) -> Program:
        lines: list[Line] = []
        for line in self.before.lines:
            new = self._collected(line) if line.op is ADD or line.op is SUBTRACT else None
            if new is None:
                lines.append(line)
            else:
                lines += new
        if not self.gone:
            return self.before
        return with_lines(self.before, [line for line in lines if line.name not in self.gone])

    def _collected(self, line: Line) -> list[Line] | None:
        """The lines that take one sum's place; None where nothing is collected."""
        if not line.shape or not all(isinstance(x, Name) for x in line.operands):
            return None
        x, y = line.operands
        found = self._apart(x, y)
        if found is None and line.op is ADD:
            x, y = y, x
            found = self._apart(x, y)
        if found is None or self.shapes[x] != line.shape or self.dtypes[x] != line.dtype:
            return None
        factors, rest, gone = found
        new: list[Line] = []
        factor: Any = factors[0]
        for other in factors[1:]:
            factor = self._scalar(new, MULTIPLY, other, factor, line)
        factor = self._scalar(new, line.op, 1, factor, line)
        if rest is None:
            self.gone |= gone
            return [*new, Line(line.name, MULTIPLY, (factor, x), {}, line.shape, line.dtype, line.kind, line.named)]
        scaled = self._fresh(f"{line.name}_scaled")
        new.append(Line(scaled, MULTIPLY, (factor, x), {}, line.shape, line.dtype, line.kind))
        for other in factors[1:]:
            part = self._fresh(f"{line.name}_rest")
            new.append(Line(part, MULTIPLY, (other, rest), {}, line.shape, line.dtype, line.kind))
            rest = part
        self.gone |= gone
        return [*new, Line(line.name, line.op, (scaled, rest), {}, line.shape, line.dtype, line.kind, line.named)]

    def _apart(self, x: Name, y: Name) -> tuple[list[Any], Name | None, set[str]] | None:
        """y as t·(s·x + rest): ([s, t], rest, the lines that are not needed any more)."""
        line = self._single(y, x)
        if line is None:
            return None
        if line.op is MULTIPLY:
            scalar, array = self._product(line)
            if array == x:
                return [scalar], None, {y}
            if array is None:
                return None
            inner = self._single(array, x)
            found = self._sum(inner, x) if inner is not None else None
            return None if found is None else ([found[0], scalar], found[1], {y, array, found[2]})
        found = self._sum(line, x)
        return None if found is None else ([found[0]], found[1], {y, found[2]})

    def _sum(self, line: Line, x: Name) -> tuple[Any, Name, str] | None:
        """s·x + rest: s, rest, the name of s·x."""
        if line.op is not ADD:
            return None
        for term, rest in (line.operands, line.operands[::-1]):
            inner = self._single(term, x) if isinstance(term, Name) else None
            if inner is not None and inner.op is MULTIPLY and isinstance(rest, Name) and self.shapes[rest] == line.shape:
                scalar, array = self._product(inner)
                if array == x:
                    return scalar, rest, str(term)
        return None

    def _single(self, name: Name, x: Name) -> Line | None:
        """The line of a value of x's shape and dtype that is used once and is nobody's result."""
        line = self.line_of.get(name)
        if line is None or self.uses.get(name) != 1 or name in self.gone or line.shape != self.shapes[x] or (
                line.dtype != self.dtypes[x]):
            return None
        return line

    def _product(self, line: Line) -> tuple[Any, Name | None]:
        """The number and the array of a product; the array is None where it is none of that kind."""
        for s, array in (line.operands, line.operands[::-1]):
            plain = isinstance(s, (int, float)) and not isinstance(s, bool)
            if (plain or (isinstance(s, Name) and self.shapes[s] == ())) and isinstance(array, Name) and self.shapes[
                    array] == line.shape:
                return s, array
        return None, None

    def _scalar(self, new: list[Line], op: Any, a: Any, b: Any, line: Line) -> Any:
        """A number made of two: at once where both are known."""
        if not isinstance(a, Name) and not isinstance(b, Name):
            return op.forward(a, b)
        name = self._fresh("factor")
        dtype = next((self.dtypes[x] for x in (a, b) if isinstance(x, Name) and self.dtypes[x] is not None), line.dtype)
        new.append(Line(name, op, (a, b), {}, (), dtype, line.kind))
        self.shapes[name], self.dtypes[name] = (), dtype
        return name

    def _fresh(self, wanted: str) -> Name:
        name, k = wanted, 2
        while name in self.taken:
            name, k = f"{wanted}_{k}", k + 1
        self.taken.add(name)
        return Name(name)


__all__ = ["collect"]
