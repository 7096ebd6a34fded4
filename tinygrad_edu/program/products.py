"""Products of matrices, fewer and larger: BLAS takes one of a thousand rows faster than a hundred of ten."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..rules.products import matmul
from ..rules.shapes import reshape, transpose
from ..tensor import Primitive
from .algebra import ADD, with_lines
from .expand import ADD_REDUCE
from .places import COPY, FEWEST, Namer
from .program import Line, Name, Program
from .puts import sums_of
from .stacks import Stacks, inserted

# ---------------------------------------------------------------- sums of products


def join_products(program: Program) -> Program:
    """A sum of products of matrices is one product of what lies side by side: Σ Aₜᵀ Gₜ = Aᵀ G."""
    if not program.operations.issuperset({ADD.name, matmul.name, transpose.name}):
        return program
    products = {line.name for line in program.lines if line.op is matmul}
    sums = [(root, terms) for root, terms in sums_of(program)
            if len(products.intersection(terms)) >= FEWEST]
    if not sums:
        return program
    stacks, uses = Stacks(program), program.uses
    dropped: set[str] = set()
    by: dict[str, Any] = {}
    for root, terms in sums:
        pairs = [(x, *_factors(x, stacks, uses)) for x in terms]
        pairs = [(x, a, g) for x, a, g in pairs if a is not None]
        kinds = {(stacks.shapes[a], stacks.shapes[g], stacks.dtypes[a], stacks.dtypes[g]) for _, a, g in pairs}
        if len(pairs) < FEWEST or len(kinds) != 1:
            continue
        rest = [x for x in terms if x not in {p[0] for p in pairs}]
        order = _knownorder_of([g for _, _, g in pairs], stacks)
        pairs = [pairs[i] for i in order]
        left, right = [a for _, a, _ in pairs], [g for _, _, g in pairs]
        before = stacks.state()
        a, g = _stacked_or_copied(left, stacks), _stacked_or_copied(right, stacks)
        position = max(stacks.position.get(str(root.name), 0) - 1, *[stacks.position.get(str(x), -1) for x in (a, g)])
        if a is None or g is None or position >= stacks.first_use.get(str(root.name), position + 1):
            stacks.restore(before)  # also where an array that holds the factors is made after the sum is needed
            continue
        n = len(pairs)
        (rows, k), (_, m) = stacks.shapes[left[0]], stacks.shapes[right[0]]

        def add(letter: str, op: Primitive, operands: Any, shape: tuple[int, ...], root: Line = root,
                at: int = position) -> Name:
            params = {"shape": shape} if op is reshape else {}
            return stacks.add(at, Line(stacks.fresh(letter), op, operands, params, shape, root.dtype, root.kind))

        tall = [add("tall", reshape, (x,), (n * rows, width)) for x, width in ((a, k), (g, m))]
        turned = add("tall", transpose, (tall[0],), (k, n * rows))
        total = add("product", matmul, (turned, tall[1]), (k, m))
        for x in rest:
            total = add("sum", ADD, (total, x), root.shape)
        by[str(root.name)] = total
        dropped.add(str(root.name))
    return inserted(program, stacks, dropped, by) if by else program


def _factors(x: Any, stacks: Stacks, uses: dict[str, int]) -> tuple[Any, Any]:
    """A and G of a term Aᵀ G that only this sum reads."""
    line = stacks.line_of.get(x) if isinstance(x, Name) else None
    if line is None or line.op is not matmul or uses.get(x) != 1:
        return None, None
    left, right = line.operands
    turned = stacks.line_of.get(left) if isinstance(left, Name) else None
    if turned is None or turned.op is not transpose or not isinstance(right, Name) or len(stacks.shapes[right]) != 2:
        return None, None
    source = turned.operands[0]
    if not isinstance(source, Name) or len(stacks.shapes[source]) != 2:
        return None, None
    return source, right


def _knownorder_of(names: Sequence[Any], stacks: Stacks) -> list[int]:
    """The order in which values already lie in an array, or the reverse of the one they come in."""
    wanted = {str(x): i for i, x in enumerate(names)}
    for key in stacks.of:
        if len(key) == len(names) and set(key) == set(wanted):
            return [wanted[x] for x in key]
    return list(range(len(names)))[::-1]


def _stacked_or_copied(names: Sequence[Any], stacks: Stacks) -> Any:
    """An array that holds these along its first axis; what cannot be written there is copied."""
    found = stacks.stack(names)
    if isinstance(found, Name):
        return found
    if not all(isinstance(x, Name) for x in names) or len(set(names)) < len(names):
        return None
    return stacks.place(names, stacks.shapes[names[0]], stacks.dtypes[names[0]])


# ---------------------------------------------------------------- products of stacks of matrices


def flat_products(program: Program) -> Program:
    """X W with X (t, m, k) and one W as a product of matrices; Σₜ Xₜᵀ Gₜ likewise."""
    if matmul.name not in program.operations:
        return program
    shapes, fresh = program.kinds[0], Namer(program)
    lines: list[Line] = []
    changed = False
    for line in program.lines:
        made = _flat_product(line, shapes, fresh) if line.op is matmul else (
            _flat_sum(line, program, fresh) if line.op is ADD_REDUCE else None)
        if made is None:
            lines.append(line)
        else:
            lines += made
            changed = True
    return with_lines(program, lines) if changed else program


def _flat_product(line: Line, shapes: dict[str, tuple[int, ...]], fresh: Namer) -> list[Line] | None:
    a, b = line.operands
    if not isinstance(a, Name) or not isinstance(b, Name) or len(shapes[a]) < 3 or len(shapes[b]) != 2:
        return None
    rows, k = math.prod(shapes[a][:-1]), shapes[a][-1]
    tall, product, m = fresh("tall"), fresh("product"), shapes[b][1]
    return [Line(tall, reshape, (a,), {"shape": (rows, k)}, (rows, k), line.dtype, line.kind),
            Line(product, matmul, (tall, b), {}, (rows, m), line.dtype, line.kind),
            Line(line.name, reshape, (product,), {"shape": line.shape}, line.shape, line.dtype, line.kind, line.named)]


def _flat_sum(line: Line, program: Program, fresh: Namer) -> list[Line] | None:
    shapes, line_of = program.kinds[0], program.line_of
    inner = line_of.get(line.operands[0]) if isinstance(line.operands[0], Name) else None
    if inner is None or inner.op is not matmul or len(inner.shape) != 3 or line.params.get("axis") != (0,) or (
            line.params.get("keepdims") or program.uses[inner.name] != 1):
        return None
    left, g = inner.operands
    turned = line_of.get(left) if isinstance(left, Name) else None
    if turned is None or turned.op is not transpose or turned.params.get("axes") != (0, 2, 1) or not isinstance(g, Name) or (
            len(shapes[g]) != 3):
        return None
    a = turned.operands[0]
    t, rows, k = shapes[a]
    m = shapes[g][2]
    if shapes[g][:2] != (t, rows):
        return None
    names = [fresh("tall") for _ in range(3)]
    return [Line(names[0], reshape, (a,), {"shape": (t * rows, k)}, (t * rows, k), line.dtype, line.kind),
            Line(names[1], reshape, (g,), {"shape": (t * rows, m)}, (t * rows, m), line.dtype, line.kind),
            Line(names[2], transpose, (names[0],), {}, (k, t * rows), line.dtype, line.kind),
            Line(line.name, matmul, (names[2], names[1]), {}, (k, m), line.dtype, line.kind, line.named)]


# ---------------------------------------------------------------- factors that are transposed


def copied_weights(program: Program) -> Program:
    """A transposed factor of many products is written out once: BLAS takes rows without gaps faster."""
    count: dict[str, int] = {}
    for line in program.lines:
        if line.op is matmul and isinstance(line.operands[1], Name):
            count[line.operands[1]] = count.get(line.operands[1], 0) + 1
    if not any(n > FEWEST for n in count.values()):
        return program
    shapes, line_of = program.kinds[0], program.line_of
    fresh = Namer(program)
    copies: dict[str, Name] = {}
    lines: list[Line] = []
    for line in program.lines:
        if line.op is matmul and isinstance(line.operands[1], Name):
            b = line.operands[1]
            turned = line_of.get(b)
            if turned is not None and turned.op is transpose and count[b] > FEWEST and len(shapes[b]) == 2:
                if b not in copies:
                    copies[b] = fresh("rows")
                    lines.append(Line(copies[b], COPY, (b,), {}, shapes[b], turned.dtype, line.kind))
                line = line.but(operands=(line.operands[0], copies[b]))
        lines.append(line)
    return with_lines(program, lines) if copies else program


# ---------------------------------------------------------------- products that are transposed


def turn_products(program: Program) -> Program:
    """(A B)ᵀ is Bᵀ Aᵀ, and a sum likewise: no copy of a result, and as many rows as it has for BLAS's threads to divide."""
    made = program.line_of
    if not any(_is_turn(line) and line.operands[0] in made and made[line.operands[0]].op in (matmul, ADD)
               for line in program.lines):
        return program
    return _Turning(program).program()


class _Turning:
    def __init__(self, program: Program) -> None:
        self.before = program
        self.shapes, self.dtypes = program.kinds
        self.uses, self.line_of = program.uses, program.line_of
        self.fresh = Namer(program)
        self.lines: list[Line] = []

    def program(self) -> Program:
        for line in self.before.lines:
            source = line.operands[0] if _is_turn(line) else None
            if source is not None and line.shape[0] >= line.shape[1] and self._turns(source):
                last = self._turned(source, line.name)
                self.lines.append(replace(last, named=line.named))
            else:
                self.lines.append(line)
        return with_lines(self.before, self.lines)

    def _turns(self, x: Any) -> bool:
        """Whether a value that nothing else needs is a product of matrices, or a sum of such."""
        line = self.line_of.get(str(x)) if isinstance(x, Name) else None
        if line is None or line.named or self.uses[str(x)] != 1 or len(line.shape) != 2:
            return False
        if line.op is matmul:
            return all(isinstance(y, Name) and len(self.shapes[y]) == 2 for y in line.operands)
        return line.op is ADD and all(isinstance(y, Name) and self.shapes[y] == line.shape and self._turns(y)
                                      for y in line.operands)

    def _turned(self, x: Name, name: Name) -> Line:
        """The line that makes xᵀ under this name; what it needs is written before."""
        line = self.line_of[x]
        operands = []
        for y in line.operands:
            if line.op is ADD:
                self.lines.append(self._turned(y, self.fresh("turned")))
                operands.append(self.lines[-1].name)
            elif (made := self.line_of.get(y)) is not None and _is_turn(made):
                operands.append(made.operands[0])
            else:
                turned = self.fresh("turned")
                self.lines.append(Line(turned, transpose, (y,), {}, self.shapes[y][::-1], self.dtypes[y], line.kind))
                operands.append(turned)
        return replace(line, name=name, operands=tuple(operands if line.op is ADD else operands[::-1]), shape=line.shape[::-1])


def _is_turn(line: Line) -> bool:
    return line.op is transpose and len(line.shape) == 2 and tuple(line.params.get("axes") or (1, 0)) == (1, 0)


__all__ = ["copied_weights", "flat_products", "join_products", "turn_products"]
