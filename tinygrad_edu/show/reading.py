"""Reading a program into formulas: its lines as sums of the algebra, shortened, and checked on numbers.

Named values are cut points. Every line of the backward pass becomes a sum in terms of them; several forms of it are
tried, and the shortest one that gives the engine's numbers is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ..program.passes import drop_unused, share
from ..program.program import Line, Name, Program, names_in
from ..rules.pointwise import sigmoid
from .example_axis import examples_of
from .simplify import OPPOSITE, RELATIONS, Algebra, Atom, Sum, cost, exact
from .write import Writer

LONG = 9.0  # names in an unnamed part that is used more than once: longer ones get a line of their own
LONGEST = 60.0  # names in any unnamed part
_ARITHMETIC = {"negative", "positive", "square", "add", "subtract", "multiply", "divide", "constant_power"}


@dataclass(frozen=True)
class Written:
    """The formulas of a program by name, as text and in LaTeX, what symbols stand for, and what was not verified."""

    lines: dict[str, str]
    in_latex: dict[str, str]
    remarks: list[str]
    unverified: list[str]


class Reader:
    """One program on its way to formulas."""

    def __init__(self, program: Program, arguments: list[Any], convention: str, inline: bool,
                 guards: bool = False) -> None:
        self.program = program = share(drop_unused(program))
        self.convention, self.inline, self.guards = convention, inline, guards
        with np.errstate(all="ignore"):
            self.values = program.run(*arguments, everything=True)
        self.shapes: dict[str, tuple[int, ...]] = {x.name: x.shape for x in program.inputs}
        self.shapes |= {str(name): np.shape(value) for name, value in program.constants.items()}
        self.shapes |= {str(line.name): line.shape for line in program.lines}
        self.examples = examples_of(program, self.shapes)
        algebra = self.algebra = Algebra()
        self.count_used = False
        if self.examples.count:
            taken = set(self.shapes)
            symbol = self.examples.symbol
            while symbol in taken:
                symbol = {"m": "N", "N": "n_examples"}.get(symbol, symbol + "_")
            self.examples.symbol = symbol
            self.m = algebra.atom("name", (), (), text=symbol, kind="symbol")
            algebra.counts.append((self.m, self.examples.count))
            self.values[symbol] = np.float64(self.examples.count)
            if self.examples.along != self.examples.count and "m" not in taken and self.examples.along > 1:
                algebra.counts.append((algebra.atom("name", (), (), text="m", kind="symbol"), self.examples.along))
                self.values["m"] = np.float64(self.examples.along)
        self.whole = {k: v for k, v in program.numbers.items() if isinstance(v, int) and v > 1 and k not in self.shapes}
        self.letters: dict[str, float] = {
            k: float(v) for k, v in program.numbers.items()
            if isinstance(v, float) and v not in (0.0, 1.0, 2.0, 0.5) and k not in self.shapes}
        for k, v in self.letters.items():
            self.values[k] = np.float64(v)
        root = next(iter(program.outputs.values()))
        self.scale: dict[str, float] = {}
        self.numbers = dict(self.values)  # with gradients in the convention
        for key, name in program.gradients.items():
            if convention == "course" and self.examples.count and str(name) in self.examples.per_example:
                self.scale[key] = float(self.examples.count)
                if key in self.numbers:
                    self.numbers[key] = self.numbers[key] * np.float64(self.examples.count)
        self.root_gradient = next((k for k, v in program.gradients.items() if v == root), None)
        self.uses: dict[str, int] = {}
        self.users: dict[str, list[Line]] = {}  # by what forward lines
        for line in program.lines:
            if line.kind == "forward":
                for x in {x for x in line.operands if isinstance(x, Name)}:
                    self.users.setdefault(x, []).append(line)
            for name in line.uses():
                self.uses[name] = self.uses.get(name, 0) + 1
        self.sums: dict[str, Sum] = {}
        self.aside: dict[str, Sum] = {}  # unnamed parts with a line of their own
        self.inputs = {x.name for x in program.inputs} | set(program.constants)
        self.wanted = {str(program.gradients[k]) for k in program.outputs if k in program.gradients}
        self.ones: set[str] = set()

    # -- names, numbers

    def named(self, name: str) -> Sum:
        """A value by its name, as a cut point."""
        kind = "data" if name in self.inputs and name not in self.wanted else "value"
        return self.algebra.name(name, self.shapes[name], kind=kind)

    def gradient(self, key: str) -> Sum:
        """∂J/∂ of a value, by the name of its gradient: in the course's convention the name stands for m times that."""
        atom = self.algebra.name(key, self.shapes[key], kind="gradient")
        if key in self.scale:
            return self.algebra.divide(atom, self.algebra.of(self.m))
        return atom

    def operand(self, x: Any, divisor: bool = False) -> Sum:
        if isinstance(x, Name):
            return self.sums[x]
        return self.number(x, divisor)

    def number(self, x: Any, divisor: bool = False) -> Sum:
        """A literal, in terms of m and the numbers the function has names for."""
        algebra = self.algebra
        value = float(x)
        if not math.isfinite(value) or not value:
            return algebra.number(x)
        for symbol, count in algebra.counts:
            if divisor and value in (count, 2 * count, count / 2):
                return algebra.scale(algebra.of(symbol), exact(value / count))
            for k in (1, -1, 2, -2, 0.5, -0.5):
                if count > 2 and value == k / count and not (count == 4 and k != 1):
                    return algebra.scale(algebra.power(algebra.of(symbol), -1), exact(k))
        for letter, size in self.whole.items():  # 1/√d
            for power in (Fraction(1, 2), Fraction(-1, 2)):
                if value == float(size) ** float(power) and not value.is_integer():
                    self.values[letter] = self.numbers[letter] = np.float64(size)
                    return algebra.power(self.letter(letter), power)
        count = self.examples.count
        for letter, number in self.letters.items():
            for k in (1, -1, 2, -2, 0.5, -0.5):
                if math.isclose(value, k * number, rel_tol=1e-14):
                    return algebra.scale(self.letter(letter), exact(k))
                if count and math.isclose(value, k * number / count, rel_tol=1e-14):
                    return algebra.scale(algebra.divide(self.letter(letter), algebra.of(self.m)), exact(k))
        return algebra.number(x)

    def letter(self, text: str) -> Sum:
        return self.algebra.name(text, (), kind="symbol")

    # -- lines

    def read(self) -> None:
        """A sum for every line: its name where it has one, else what it is made of."""
        for x in self.program.inputs:
            self.sums[x.name] = self.named(x.name)
        for name in self.program.constants:
            self.sums[name] = self.named(name)
        self.formula: dict[str, Sum] = {}
        for line in self.program.lines:
            if line.name == self.root_gradient:
                self.sums[line.name] = self.algebra.number(1, line.shape)
                if self.program.gradients[str(line.name)] in self.inputs:
                    self.formula[str(line.name)] = self.sums[line.name]
                continue
            made = self.made(line)
            if made.shape != line.shape:
                made = Sum(made.terms, line.shape)
            if line.kind == "forward":
                self._forward(line, made)
            else:
                self._backward(line, made)

    def _forward(self, line: Line, made: Sum) -> None:
        if not line.named:
            length = cost(made)
            if (self.uses.get(line.name, 0) > 1 and length > LONG and self._single(made) is None) or length > LONGEST:
                self.aside[line.name] = made
                self.sums[line.name] = self.named(line.name)
                return
            self.sums[line.name] = made
            return
        self.sums[line.name] = self.named(line.name)
        atom = self._single(made)
        if atom is not None and atom.head not in ("name", "paren", "view"):
            (own,) = self.sums[line.name].terms
            self.algebra.known.setdefault(atom.serial, own[1][0][0])

    def _backward(self, line: Line, made: Sum) -> None:
        key = str(line.name)
        if line.named and key in self.program.gradients:
            self.formula[key] = made
            trivial = len(made.terms) == 1 and made.terms[0][0] in (1, -1) and not made.terms[0][1]
            self.sums[key] = made if trivial else self.gradient(key)
            return
        length = cost(made)
        if ((self.uses.get(line.name, 0) > 1 and length > LONG) or length > LONGEST) and cost(self.best([made])) > LONG:
            self.formula[key] = made
            self.aside[key] = made
            self.sums[key] = self.gradient(key)
            return
        self.sums[key] = made

    def _single(self, s: Sum) -> Atom | None:
        if len(s.terms) == 1 and s.terms[0][0] == 1 and len(s.terms[0][1]) == 1 and s.terms[0][1][0][1] == 1:
            return s.terms[0][1][0][0]
        return None

    def made(self, line: Line) -> Sum:
        """What a line is made of."""
        translate = _TRANSLATIONS.get(line.op.name)
        if translate is not None and not any(isinstance(x, Name) for v in line.params.values() for x in names_in(v)):
            found = translate(self, line)
            if found is not None:
                return found
        return self.generic(line)

    def generic(self, line: Line) -> Sum:
        operands = [self.operand(x) for x in line.operands]
        kinds = "".join("b" if self._is_condition(o) else self._kind(x) for o, x in zip(operands, line.operands, strict=True))
        return self.algebra.call(line.op.name, operands, line.shape, op=line.op, settings=dict(line.params), kinds=kinds)

    def _kind(self, x: Any) -> str:
        return np.asarray(self.values[x]).dtype.kind if isinstance(x, Name) else "f"

    def _is_condition(self, s: Sum) -> bool:
        atom = self._single(s)
        return atom is not None and atom.head in RELATIONS

    # -- short forms

    def best(self, forms: Sequence[Sum]) -> Sum:
        """The shortest of some forms and of what the algebra makes of them; as recorded where nothing is gained."""
        algebra, candidates = self.algebra, list(forms)
        for s in forms:
            candidates.append(self._factored(s))
            open_ = algebra.expanded(s)
            if open_ is not None:
                candidates += [open_, self._factored(open_)]
        return min(candidates, key=cost)

    def _factored(self, s: Sum) -> Sum:
        """Common factors in front; but 1/m stays with every matrix product, as it is written by hand."""
        found = self.algebra.factored(s)
        if len(found.terms) == 1 and len(s.terms) > 1:
            front = [a for a, _ in found.terms[0][1] if a.head != "paren"]
            sums = any(a.head in ("matmul", "sum") for _, p in s.terms for a, _ in p)
            if sums and all(a.head == "name" and not a.shape for a in front):
                return s if front or len(found.terms[0][1]) > 1 else found
        return found

    def agrees(self, s: Sum, key: str) -> bool:
        """Whether a formula gives the engine's numbers."""
        wanted = np.asarray(self.numbers[key])
        try:
            with np.errstate(all="ignore"):
                got = self.algebra.value(s, self.numbers)
        except Exception:
            return False
        if got.shape != wanted.shape:
            return False
        with np.errstate(all="ignore"):
            finite = np.isfinite(wanted)
            size = float(np.max(np.abs(wanted[finite]), initial=0.0))
            near = np.abs(got - wanted) <= (1e-4 if wanted.dtype.itemsize < 8 else 1e-9) * max(size, 1e-12)
        return bool(np.all(np.where(finite, near, (got == wanted) | (np.isnan(got) & np.isnan(wanted)))))

    def written(self) -> Written:
        """All lines, output to inputs."""
        self.read()
        algebra, program = self.algebra, self.program
        chosen: dict[str, Sum] = {}
        unverified: list[str] = []
        for key, recorded in self.formula.items():
            goal = recorded
            if key in self.scale:
                m = algebra.of(self.m)  # in every term, where it meets its inverse
                goal = algebra.add(*[algebra.multiply(Sum([t], recorded.shape), m, recorded.shape) for t in recorded.terms],
                                   shape=recorded.shape) if recorded.terms else recorded
            plain = self.pick(goal, key, chosen)
            if plain is None:
                plain = goal
                if not self.agrees(goal, key):
                    unverified.append(key)
            chosen[key] = plain
        order = [key for key in self._order() if key in chosen]
        order += [key for key in chosen if key not in order]
        text, in_latex = Writer(), Writer(in_latex=True)
        lines = {key: text.sum(chosen[key])[0] for key in order}
        latex = {key: in_latex.sum(chosen[key])[0] for key in order}
        forward = {key: s for key, s in self.aside.items() if key not in chosen}
        for key in order:  # what an unnamed value with a line for its gradient is
            owner = str(program.gradients.get(key, ""))
            if owner in self.sums and owner not in forward and not self._has_name(owner):
                forward[owner] = self.sums[owner]
        used = {a.params["text"] for key in order for a in atoms_of(chosen[key]) if a.head == "name"}
        waiting = [key for key in forward if key in used or f"d{key}" in chosen]
        for key in waiting:  # grows as it is read
            waiting += [a.params["text"] for a in atoms_of(forward[key])
                        if a.head == "name" and a.params["text"] in forward and a.params["text"] not in waiting]
        for key in sorted(waiting, key=list(forward).index):
            lines[key], latex[key] = text.sum(forward[key])[0], in_latex.sum(forward[key])[0]
            used |= {a.params["text"] for a in atoms_of(forward[key]) if a.head == "name"}
        return Written(lines, latex, self._remarks(used, lines, unverified), unverified)

    def pick(self, goal: Sum, key: str, chosen: dict[str, Sum]) -> Sum | None:
        """The form that is shown, checked against the numbers; None where no form agrees."""
        forms = [goal]
        within = goal
        if self.inline:
            within = self._inlined(goal, set(chosen), chosen)
            forms = [within]
        short = self.best(forms)
        options = [short]
        if not self.inline:
            activation = self._activation_gradient(key)
            if activation is not None and activation in chosen:
                once = sum(a.params.get("text") == activation for a in _occurrences(short)) == 1
                inner = self.best([self._inlined(goal, {activation}, chosen)])
                if cost(inner) <= cost(short) or (once and len(inner.terms) == 1 and cost(inner) <= cost(short) + 3):
                    options.insert(0, inner)
        relaxed = []
        for option in options:
            for change in (self._ones, self._without_ties):
                changed = change(option)
                if changed is not None:
                    changed = self.best([changed])
                    if cost(changed) < cost(option):
                        relaxed.append(changed)
        for option in [*sorted(relaxed, key=cost), *options, *forms, goal]:
            if self.agrees(option, key):
                return option
        return None

    def _inlined(self, s: Sum, keys: set[str], chosen: dict[str, Sum]) -> Sum:
        def by(a: Atom) -> Sum | None:
            if a.head == "name" and a.params.get("kind") == "gradient" and a.params["text"] in keys:
                inner = chosen[a.params["text"]]
                return inner
            return None

        return self.algebra.substituted(s, by)

    def _ones(self, s: Sum) -> Sum | None:
        """Sums over axes of given data that come out as 1 everywhere: the classes of a one-hot target."""
        hit = False

        def by(a: Atom) -> Sum | None:
            nonlocal hit
            if a.head != "sum":
                return None
            names = [b for b in atoms_of(self.algebra.of(a)) if b.head == "name"]
            if not names or any(b.params.get("kind") != "data" and b.params["text"] not in self.inputs for b in names):
                held = {b.head for b in atoms_of(self.algebra.of(a))}
                if "indicator" not in held or any(b.params.get("kind") == "gradient" for b in names):
                    return None
            with np.errstate(all="ignore"):
                value = self.algebra.value(self.algebra.of(a), self.numbers)
            if value.size and np.all(value == 1):
                hit = True
                text = Writer().sum(self.algebra.of(a))[0]
                self.ones.add(text)
                return self.algebra.number(1, a.shape)
            return None

        changed = self.algebra.substituted(s, by)
        return changed if hit else None

    def _without_ties(self, s: Sum) -> Sum | None:
        """½ (1[a > b] + 1[a ≥ b]) is 1[a > b] where nothing ties."""
        hit = False

        def by(a: Atom) -> Sum | None:
            nonlocal hit
            if a.head == "indicator":
                inner = self._single(a.operands[0])
                strict = {"greater_equal": "greater", "less_equal": "less"}.get(inner.head) if inner is not None else None
                if strict is not None and inner is not None:
                    hit = True
                    return self.algebra.indicator(self.algebra.call(strict, inner.operands, inner.shape))
            return None

        changed = self.algebra.substituted(s, by)
        return changed if hit else None

    def _activation_gradient(self, key: str) -> str | None:
        """For dZ, where A = g(Z) is an activation and Z is used there alone: dA."""
        current = self.program.gradients.get(key)
        heads: list[str] = []
        while current is not None:
            users = self.users.get(current, [])
            if len(users) != 1 or len(heads) > 6 or {x for x in users[0].operands if isinstance(x, Name)} != {current}:
                return None
            (user,) = users
            heads.append(user.op.name)
            if user.op.kind != "pointwise" and user.op.name not in ("softmax", "log_softmax"):
                return None
            if user.named:
                break
            current = user.name
        if set(heads) <= _ARITHMETIC:
            return None
        return next((k for k, v in self.program.gradients.items() if v == user.name), None)

    def _order(self) -> list[str]:
        """Inner values from the last to the first; an input after the last value that is made of it."""
        position: dict[str, int] = {}
        forward = [line for line in self.program.lines if line.kind == "forward"]
        into: dict[str, int] = {}  # a value -> the position of the first named value made of it, in the order of making
        for i in range(len(forward) - 1, -1, -1):
            line = forward[i]
            position[line.name] = i
            at = i if line.named else into.get(line.name, i)
            for x in line.uses():
                into[x] = at
        def rank(key: str) -> Any:
            owner = self.program.gradients[key]
            if owner in self.inputs:
                return -into.get(owner, -1), 1, [x.name for x in self.program.inputs].index(owner)
            return -position.get(owner, -1), 0, 0

        return sorted(self.program.gradients, key=rank)

    def _has_name(self, name: str) -> bool:
        s = self.sums[name]
        atom = self._single(s)
        return atom is not None and atom.head == "name" and atom.params["text"] == name

    def _remarks(self, used: set[str], lines: dict[str, str], unverified: list[str]) -> list[str]:
        remarks = []
        scaled = [k for k in lines if k in self.scale]
        if self.examples.count and (self.examples.symbol in used or scaled):
            several = self.examples.count != self.examples.along
            remark = f"{self.examples.symbol} = {self.examples.count} {'entries' if several else 'examples'}"
            if several and "m" in used and self.examples.symbol != "m":
                remark = f"m = {self.examples.along} examples, {remark}"
            if scaled:
                own = self.program.gradients[scaled[-1]] if scaled[-1] in self.program.gradients else scaled[-1][1:]
                which = f" ({', '.join(scaled)})" if len(scaled) > 1 else ""
                remark += f"; per example{which}, {scaled[-1]} means {self.examples.symbol} · ∂J/∂{own}"
            remarks.append(remark)
        for text in sorted(self.ones):
            remarks.append(f"{text} = 1 for these data")
        if unverified:
            remarks.append(f"{', '.join(unverified)}: as recorded; at these numbers no shorter form agrees with the engine")
        return remarks


def atoms_of(s: Sum) -> list[Atom]:
    """All atoms in a sum, inside others too."""
    found: list[Atom] = []
    seen: set[int] = set()
    waiting = [a for _, p in s.terms for a, _ in p]
    while waiting:
        a = waiting.pop()
        if a.serial not in seen:
            seen.add(a.serial)
            found.append(a)
            waiting += [b for o in a.operands for _, p in o.terms for b, _ in p]
    return found


def _occurrences(s: Sum) -> list[Atom]:
    """All atoms in a sum, as often as they are written."""
    found = [a for _, p in s.terms for a, _ in p]
    for a in found:  # grows as it is read
        found += [b for o in a.operands for _, p in o.terms for b, _ in p]
    return found


# ---------------------------------------------------------------- how each operation is read

Translation = Callable[[Reader, Line], Sum | None]


def _axes(line: Line, shape: tuple[int, ...]) -> tuple[int, ...]:
    axis = line.params.get("axis")
    axis = (axis,) if isinstance(axis, int) else axis
    return tuple(range(len(shape))) if axis is None else tuple(sorted(i % len(shape) for i in axis))


def _sum(r: Reader, line: Line) -> Sum:
    x = r.operand(line.operands[0])
    return r.algebra.total(x, _axes(line, x.shape), bool(line.params.get("keepdims")), line.shape)


def _mean(r: Reader, line: Line) -> Sum:
    x = r.operand(line.operands[0])
    axes = tuple(i for i in _axes(line, x.shape) if x.shape[i] != 1)
    if not axes:
        return r.algebra.view(x, line.shape)
    c, p = r.algebra.as_term(x)
    front = tuple((a, e) for a, e in p if not a.shape)
    rest = Sum([(Fraction(1), tuple((a, e) for a, e in p if a.shape))], x.shape)
    if not rest.terms[0][1]:
        return Sum(x.terms, line.shape)
    rest = r.algebra._opened(rest)
    every = all(n == 1 or i in axes for i, n in enumerate(x.shape))
    made = r.algebra.call("mean", [rest], line.shape, axes=axes, every=every)
    return r.algebra.multiply(Sum([(c, front)], line.shape), made, line.shape)


def _einsum(r: Reader, line: Line) -> Sum | None:
    """A product of two matrices, where it is one."""
    inputs, output = line.params["inputs"], line.params["output"]
    if len(inputs) != 2 or any(len(i) != 2 for i in (*inputs, output)):
        return None
    (left, right), operands = inputs, [r.operand(x) for x in line.operands]
    shared = set(left) & set(right)
    if len(shared) != 1 or shared & set(output):
        return None
    if output[0] in right:
        left, right, operands = right, left, operands[::-1]
    a, b = operands
    a = a if left[0] == output[0] else r.algebra.transposed(a)
    b = b if right[1] == output[1] else r.algebra.transposed(b)
    return r.algebra.matmul(a, b, line.shape)


def _sum_to(r: Reader, line: Line) -> Sum:
    x, target = r.operand(line.operands[0]), line.shape
    extra = len(x.shape) - len(target)
    axes = tuple(i for i, n in enumerate(x.shape) if n != 1 and (i < extra or target[i - extra] == 1))
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    if not extra or axes != tuple(range(len(axes))) or len(axes) != extra:
        return r.algebra.view(r.algebra.total(x, axes, True, kept), target)
    return r.algebra.total(x, axes, False, target)


def _reshape(r: Reader, line: Line) -> Sum:
    return r.algebra.view(r.operand(line.operands[0]), line.shape)


def _broadcast(r: Reader, line: Line) -> Sum:
    return Sum(r.operand(line.operands[0]).terms, line.shape)


def _transpose(r: Reader, line: Line) -> Sum | None:
    x = r.operand(line.operands[0])
    ndim, axes = len(x.shape), line.params.get("axes")
    if ndim < 2:
        return x
    turned = (*range(ndim - 2), ndim - 1, ndim - 2)
    given = tuple(reversed(range(ndim))) if axes is None else tuple(axes)
    if given == tuple(range(ndim)):
        return x
    if given == turned:
        return r.algebra.transposed(x)
    return r.algebra.call("permute_dims", [x], line.shape, op=line.op, settings={"axes": given})


def _binary(name: str) -> Translation:
    def read(r: Reader, line: Line) -> Sum:
        a = r.operand(line.operands[0])
        b = r.operand(line.operands[1], divisor=name == "divide")
        if name == "add":
            return r.algebra.add(a, b, shape=line.shape)
        if name == "subtract":
            return r.algebra.add(a, r.algebra.negative(b), shape=line.shape)
        if name == "multiply":
            return r.algebra.multiply(a, b, line.shape)
        return r.algebra.divide(a, b, line.shape)

    return read


def _power_of(exponent: Any) -> Translation:
    def read(r: Reader, line: Line) -> Sum:
        return r.algebra.power(r.operand(line.operands[0]), line.params.get("exponent", exponent))

    return read


def _power(r: Reader, line: Line) -> Sum | None:
    exponent = line.operands[1]
    return None if isinstance(exponent, Name) else r.algebra.power(r.operand(line.operands[0]), exponent)


def _relation(name: str) -> Translation:
    def read(r: Reader, line: Line) -> Sum:
        return r.algebra.call(name, [r.operand(x) for x in line.operands], line.shape)

    return read


def _gate(r: Reader, line: Line) -> Sum:
    g, condition = (r.operand(x) for x in line.operands)
    return r.algebra.multiply(g, _indicator(r, condition), line.shape)


def _indicator(r: Reader, condition: Sum) -> Sum:
    return r.algebra.indicator(condition)


def _where(r: Reader, line: Line) -> Sum:
    algebra = r.algebra
    condition, yes, no = (r.operand(x) for x in line.operands)
    if not r.guards and _guards(r, condition) and not isinstance(line.operands[1], Name):
        return no
    same, yes, no = _shared(algebra, yes, no)
    relation = r._single(condition)
    numbers = [len(s.terms) == 0 or (len(s.terms) == 1 and not s.terms[0][1]) for s in (yes, no)]
    if all(numbers) or not yes.terms or not no.terms:
        made = algebra.number(0, line.shape)
        if yes.terms:
            made = algebra.add(made, algebra.multiply(yes, algebra.indicator(condition)))
        if no.terms:
            opposite = OPPOSITE.get(relation.head) if relation is not None else None
            other = (algebra.call(opposite, relation.operands, relation.shape) if opposite and relation is not None
                     else algebra.call("invert", [condition], condition.shape))
            made = algebra.add(made, algebra.multiply(no, algebra.indicator(other)))
    else:
        made = algebra.call("select", [condition, yes, no], np.broadcast_shapes(condition.shape, yes.shape, no.shape))
    return algebra.multiply(same, made, line.shape)


def _shared(algebra: Algebra, a: Sum, b: Sum) -> tuple[Sum, Sum, Sum]:
    """What two branches have in common as a factor, and the rest of each."""
    if not a.terms or not b.terms:
        whole = a if a.terms else b
        one, zero = algebra.number(1, whole.shape), algebra.number(0, whole.shape)
        return (whole, one, zero) if a.terms else (whole, zero, one)
    (c, p), (k, q) = algebra.as_term(a), algebra.as_term(b)
    common = [(x, e) for x, e in p if dict(q).get(x) == e]
    inverse = [(x, -e) for x, e in common]
    return (Sum([(Fraction(1), tuple(common))], np.broadcast_shapes(a.shape, b.shape)),
            Sum([(c, algebra.product([*p, *inverse]))], a.shape), Sum([(k, algebra.product([*q, *inverse]))], b.shape))


def _guards(r: Reader, condition: Sum) -> bool:
    """Whether a condition only keeps a rule from dividing by zero: x = 0, isnan(x)."""
    heads = {a.head for a in atoms_of(condition) if a.head in RELATIONS}
    return bool(heads) and heads <= {"equal", "isnan", "bitwise_and"}


def _matmul(r: Reader, line: Line) -> Sum:
    return r.algebra.matmul(r.operand(line.operands[0]), r.operand(line.operands[1]), line.shape)


def _squared_norm(r: Reader, line: Line) -> Sum:
    x = r.algebra.power(r.operand(line.operands[0]), 2)
    return r.algebra.total(x, tuple(range(len(x.shape))), False, ())


def _sigmoid_error(r: Reader, line: Line) -> Sum:
    z, y = (r.operand(x) for x in line.operands)
    a = r.algebra.call("sigmoid", [z], z.shape, op=sigmoid, settings={}, kinds="f")
    return r.algebra.add(a, r.algebra.negative(y), shape=line.shape)


def _same(r: Reader, line: Line) -> Sum:
    return r.operand(line.operands[0])


_TRANSLATIONS: dict[str, Translation] = {
    **{name: _binary(name) for name in ("add", "subtract", "multiply", "divide")},
    **{name: _relation(name) for name in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "isnan",
                                          "bitwise_and", "bitwise_or", "invert")},
    "negative": lambda r, line: r.algebra.negative(r.operand(line.operands[0])),
    "positive": _same, "identity": _same, "astype": lambda r, line: _same(r, line) if line.dtype.kind == "f" else None,
    "square": _power_of(2), "reciprocal": _power_of(-1), "sqrt": _power_of(Fraction(1, 2)), "constant_power": _power_of(1),
    "power": _power, "gate": _gate, "where": _where, "reshape": _reshape, "broadcast_to": _broadcast, "sum_to": _sum_to,
    "sum": _sum, "mean": _mean, "transpose": _transpose, "matmul": _matmul, "squared_norm": _squared_norm,
    "sigmoid_error": _sigmoid_error, "einsum": _einsum, "add.reduce": _sum, "add.reduce.as": _sum, "as_type": _same,
    "ratio": _binary("divide"),
}
