"""The backward pass by the formulas one would derive by hand, as lines of a program: dZ2 = A2 − Y, dW2 = dZ2 A1ᵀ / m.

`formulas` finds the short form of every gradient and checks it on the numbers; here each becomes code again, and the
code is run and compared once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from ..program import Line, Name, Program
from ..program.algebra import dtypes_of, shapes_of
from ..program.passes import drop_unused
from ..program.program import renamed
from ..rules import TABLE as PRIMITIVES
from ..rules import pointwise
from ..tensor import Primitive
from .reading import Reader, atoms_of
from .simplify import RELATIONS, Atom, Product, Sum
from .source_passes import Examples, divisors_of, examples_with
from .write import arranged, ordered

LONGEST = 4000  # lines of a program that is shortened: nobody reads more formulas


class _Hand(Reader):
    """Finds the formulas, and keeps them; assumes nothing of the data but what the code can check."""

    def __init__(self, program: Program, arguments: list[Any]) -> None:
        super().__init__(program, arguments, "course" if divisors_of(program) else "math", False)
        self.found: dict[str, Sum] = {}
        self.assumed: dict[tuple[str, tuple[int, ...]], None] = {}  # (Y, axes): the sums of Y are 1

    def pick(self, goal: Sum, key: str, chosen: dict[str, Sum]) -> Sum | None:
        short = super().pick(goal, key, chosen)
        self.found[key] = goal if short is None else short
        return short

    def _without_ties(self, s: Sum) -> Sum | None:
        return None  # a unit exactly at its kink is not rare: weights and biases may begin at 0

    def _ones(self, s: Sum) -> Sum | None:
        changed = super()._ones(s)
        if changed is None:
            return None
        left = {a.serial for a in atoms_of(changed)}
        assumed = []
        for a in atoms_of(s):
            if a.head == "sum" and a.serial not in left:
                inner = self._single(a.operands[0])
                if inner is None or inner.head != "name" or inner.shape != a.operands[0].shape or (
                        inner.params["text"] not in self.inputs):
                    return None
                assumed.append((str(inner.params["text"]), tuple(a.params["axes"])))
        self.assumed |= dict.fromkeys(assumed)
        return changed


@dataclass
class Short:
    """A program whose backward pass is by hand. assumed : (Y, axes) whose sums are 1, which the code is to check."""

    program: Program
    examples: Examples | None
    count: int  # how many examples there are, 0 where there is no mean over examples
    assumed: list[tuple[str, tuple[int, ...]]]

    def checks(self) -> list[str]:
        """The checks as code."""
        return [f"assert np.allclose(np.sum({name}, axis={axes[0] if len(axes) == 1 else axes}), 1)"
                for name, axes in self.assumed]


def short_backward(program: Program, arguments: Sequence[Any]) -> Short | None:
    """The program with its backward pass by hand, in the course's convention.

    None where that does not give the recorded gradients to 1e-12, or to 1e-4 in float32, and for very long programs.
    """
    if len(program.lines) > LONGEST:
        return None
    with np.errstate(all="ignore"):
        try:
            hand = _Hand(program, list(arguments))
            hand.written()
            symbol, count = Name(hand.examples.symbol), hand.examples.count
            scaled = count if hand.convention == "course" else 0
            made = _Lines(hand, symbol).program()
            given = Line(symbol, PRIMITIVES["identity"], (count,), {}, (), np.dtype(np.int64), "backward", True)
            whole = replace(made, lines=(given, *made.lines))
            if not _agrees(whole, program, arguments):
                return None
            examples = examples_with(program, count, symbol)
            if examples is None or examples.argument is None:
                return Short(drop_unused(whole), None, scaled, list(hand.assumed))
            return Short(made, examples, scaled, list(hand.assumed))
        except (ValueError, KeyError, TypeError, ArithmeticError, IndexError, AttributeError):
            return None  # a form for which there is no code here; the recorded lines are shown


def _agrees(made: Program, program: Program, arguments: Sequence[Any]) -> bool:
    wanted, got = program.run(*arguments), made.run(*arguments)
    for key, value in wanted.items():
        a, b = np.asarray(got[key]), np.asarray(value)
        size = float(np.max(np.abs(b), initial=0.0))
        digits = 1e-12 if b.dtype.itemsize >= 8 else 1e-4
        if a.shape != b.shape or not np.all(np.abs(a - b) <= digits * max(size, 1e-6)):
            return False
    return True


_PLAIN = {"bitwise_and": np.logical_and, "bitwise_or": np.logical_or, "invert": np.logical_not}
_RELATIONS = {name: getattr(pointwise, name) if hasattr(pointwise, name) else Primitive(name, _PLAIN[name])
              for name in RELATIONS}


class _Lines:
    """Sums on their way to lines."""

    def __init__(self, hand: _Hand, count: Name) -> None:
        self.hand, self.count = hand, count
        self.lines: list[Line] = []
        self.numbers: list[Line] = []  # those the function has in variables
        self.shapes: dict[Any, tuple[int, ...]] = dict(shapes_of(hand.program))
        self.dtypes: dict[Any, Any] = dict(dtypes_of(hand.program))
        self.shapes[count], self.dtypes[count] = (), np.dtype(np.int64)
        self.atoms: dict[int, Any] = {}
        self.dtype: Any = np.dtype(float)
        self.recorded = {str(key): Name(f"{key}_recorded") for key in hand.found}

    def program(self) -> Program:
        """The forward lines as they are; the recorded backward lines where a formula reads them; the formulas."""
        hand, program = self.hand, self.hand.program
        older = [replace(line, name=self.recorded.get(line.name, line.name), named=line.kind == "forward" and line.named,
                         operands=tuple(renamed(x, self.recorded) for x in line.operands),
                         params={k: renamed(v, self.recorded) for k, v in line.params.items()}) for line in program.lines]
        outputs = dict(program.outputs)
        for key, s in hand.found.items():
            self.dtype = np.dtype(program_dtype(program, key))
            person = any(line.name == key and line.named for line in program.lines)
            value: Any = self.full(s)
            if isinstance(value, Name) and self.dtypes[value].kind == "b":
                value = self.both("multiply", 1.0, value)
            scaled = key in hand.scale
            if key in outputs and scaled:
                value = self.line("divide", (value, self.count), s.shape)
            self.lines.append(Line(Name(key), PRIMITIVES["identity"], (value,), {}, s.shape, self.dtype, "backward",
                                   person or key in outputs))
            if key in outputs:
                outputs[key] = Name(key)
        made = replace(program, lines=(*older, *self.numbers, *self.lines), outputs=outputs)
        return drop_unused(_joined(made))

    # -- sums and terms

    def line(self, op: str | Primitive, operands: Sequence[Any], shape: tuple[int, ...], params: dict[str, Any] | None = None,
             dtype: Any = None) -> Name:
        name = Name(f"by_hand_{len(self.lines)}")
        primitive = op if isinstance(op, Primitive) else PRIMITIVES[op]
        dtype = self.dtype if dtype is None else dtype
        self.lines.append(Line(name, primitive, tuple(operands), params or {}, tuple(shape), dtype, "backward"))
        self.shapes[name], self.dtypes[name] = tuple(shape), dtype
        return name

    def shape(self, *operands: Any) -> tuple[int, ...]:
        return np.broadcast_shapes(*(self.shapes[x] if isinstance(x, Name) else () for x in operands))

    def both(self, op: str, a: Any, b: Any) -> Any:
        if not isinstance(a, Name) and not isinstance(b, Name):
            return {"add": a + b, "subtract": a - b, "multiply": a * b, "divide": a / b}[op]
        if op != "multiply" or all(not isinstance(x, Name) or self.dtypes[x].kind == "f" for x in (a, b)):
            a, b = (int(x) if isinstance(x, float) and x == int(x) else x for x in (a, b))
        conditions = [isinstance(x, Name) and self.dtypes[x].kind == "b" for x in (a, b)]
        if all(conditions) and op in ("add", "subtract"):  # truth values would be joined by or
            a = self.line("multiply", (1.0, a), self.shape(a))
        dtype = np.dtype(bool) if all(conditions) and op == "multiply" else None
        return self.line(op, (a, b), self.shape(a, b), dtype=dtype)

    def full(self, s: Sum) -> Any:
        """A sum in its whole shape, which its atoms may not have."""
        value = self.sum(s)
        if self.shape(value) != s.shape:
            value = self.line("broadcast_to", (value,), s.shape, {"shape": s.shape})
        return value

    def sum(self, s: Sum) -> Any:
        if not s.terms:
            return 0.0
        terms = [self.term(c, p) for c, p in ordered(s.terms)]
        terms.sort(key=lambda t: t[0] < 0 and any(sign > 0 for sign, _ in terms[:2]) and t is terms[0])
        (sign, total), *rest = terms
        if sign < 0:
            total = -total if not isinstance(total, Name) else self.line("negative", (total,), self.shape(total))
        for sign, value in rest:
            total = self.both("add" if sign > 0 else "subtract", total, value)
        return total

    def term(self, c: Any, p: Product) -> tuple[int, Any]:
        sign, c = (-1, -c) if c < 0 else (1, c)
        if sign < 0:  # −(Y − A) is A − Y
            for i, (a, e) in enumerate(p):
                if a.head == "paren" and e == 1 and len({k < 0 for k, _ in a.operands[0].terms}) == 2:
                    inner = a.operands[0]
                    turned = Atom("paren", (Sum([(-k, q) for k, q in inner.terms], inner.shape),), {}, a.shape, -1)
                    sign, p = 1, (*p[:i], (turned, 1), *p[i + 1 :])
                    break
        above: Any = c.numerator if isinstance(c, Fraction) else float(c)
        below = c.denominator if isinstance(c, Fraction) else 1
        if below != 1 and all(e > 0 for _, e in p) and Fraction(repr(float(c))) == c and len(repr(float(c))) <= 6:
            above, below = float(c), 1
        factors = arranged(p)
        tops = [self.power(a, e) for a, e in factors if e > 0]
        bottoms: list[Any] = [self.power(a, -e) for a, e in factors if e < 0]
        if below != 1 and bottoms and isinstance(bottoms[0], Name) and not self.shapes[bottoms[0]]:
            bottoms[0] = self.both("multiply", below, bottoms[0])
        elif below != 1:
            bottoms.append(below)
        first: list[Any] = [above] if above != 1 or not tops else []
        if isinstance(above, int) and first and not tops and not bottoms:
            first = [float(above)]
        made: Any = None
        for x in (*first, *tops):
            made = x if made is None else self.both("multiply", made, x)
        for x in bottoms:
            made = self.both("divide", made, x)
        return sign, made

    def power(self, a: Atom, e: Any) -> Any:
        base = self.atom(a)
        if e == 1:
            return base
        if not isinstance(base, Name):
            return float(base) ** float(e)
        shape = self.shape(base)
        if e == 2:
            return self.line("square", (base,), shape)
        if e == Fraction(1, 2):
            return self.line("sqrt", (base,), shape)
        return self.line("constant_power", (base,), shape, {"exponent": int(e) if e == int(e) else float(e)})

    # -- atoms

    def atom(self, a: Atom) -> Any:
        if a.serial < 0:
            return self.sum(a.operands[0])
        if a.serial not in self.atoms:
            self.atoms[a.serial] = self._atom(a)
        return self.atoms[a.serial]

    def _atom(self, a: Atom) -> Any:
        head = a.head
        if head == "name":
            text = a.params["text"]
            if text not in self.shapes:  # a number that the function has in a variable
                number = self.hand.values[text].item()
                number = int(number) if number == int(number) else number
                self.shapes[text], self.dtypes[text] = (), np.dtype(float)
                self.numbers.append(Line(Name(text), PRIMITIVES["identity"], (number,), {}, (), np.dtype(float), "backward",
                                         True))
            return Name(text)
        if head == "paren":
            return self.sum(a.operands[0])
        if head == "indicator":
            return self.full(a.operands[0])
        inner = [self.full(o) for o in a.operands]
        if head in ("view", "reshape"):
            return self.reshaped(inner[0], a.shape)
        if head == "transpose":
            n = len(a.operands[0].shape)
            axes = None if n == 2 else (*range(n - 2), n - 1, n - 2)
            return self.line("transpose", inner, a.shape, {} if axes is None else {"axes": axes})
        if head in ("sum", "mean"):
            shape, axes = a.operands[0].shape, tuple(a.params["axes"])
            kept = tuple(1 if i in axes else n for i, n in enumerate(shape))
            keepdims = a.shape == kept and a.shape != ()
            made = kept if keepdims else tuple(n for i, n in enumerate(shape) if i not in axes)
            whole = a.shape == () and all(n == 1 or i in axes for i, n in enumerate(shape))
            if whole:
                made = ()
            params = {"axis": None if whole else axes, "keepdims": keepdims}
            return self.reshaped(self.line(head, inner, made, params), a.shape)
        if head in ("matmul", "matmul_vector"):
            made_of = inner[0]
            for x in inner[1:]:
                made_of = self.product(made_of, x)
            return self.reshaped(made_of, a.shape)
        if head in RELATIONS:
            if head in _PLAIN:
                inner = [x if self.dtypes.get(x, np.dtype(float)).kind == "b" else self.line(
                    _RELATIONS["not_equal"], (x, 0), self.shape(x), dtype=np.dtype(bool)) for x in inner]
            inner = [int(x) if isinstance(x, float) and x == int(x) else x for x in inner]
            return self.line(_RELATIONS[head], inner, a.shape, dtype=np.dtype(bool))
        if head == "select":
            return self.line("where", inner, a.shape)
        settings = {k: renamed(v, self.recorded) for k, v in a.params.get("settings", {}).items()}
        return self.line(a.params["op"], inner, a.shape, settings)

    def product(self, a: Any, b: Any) -> Any:
        left, right = self.shape(a), self.shape(b)
        shape = np.matmul(np.empty((*left, 0))[..., 0], np.empty((*right, 0))[..., 0]).shape if 0 in (*left, *right) else (
            np.broadcast_shapes(left[:-2], right[:-2]) + left[-2:-1] + right[-1:] if len(right) > 1 else left[:-1])
        return self.line("matmul", (a, b), shape)

    def reshaped(self, x: Any, shape: tuple[int, ...]) -> Any:
        if self.shape(x) == shape or not isinstance(x, Name):
            return x
        return self.line("reshape", (x,), shape, {"shape": shape})


def program_dtype(program: Program, key: str) -> Any:
    """The dtype of a gradient of a program."""
    return next((line.dtype for line in program.lines if line.name == key), np.dtype(float))


def _joined(program: Program) -> Program:
    """`dZ = by_hand_7` gives the line its name, where nothing else reads it."""
    uses: dict[str, int] = {}
    for line in program.lines:
        for used in line.uses():
            uses[used] = uses.get(used, 0) + 1
    lines: list[Line] = []
    for line in program.lines:
        (same,) = line.operands if line.op is PRIMITIVES["identity"] and len(line.operands) == 1 else (None,)
        if lines and isinstance(same, Name) and same == lines[-1].name and same.startswith("by_hand_") and uses[same] == 1:
            line = replace(lines.pop(), name=line.name, named=line.named)
        lines.append(line)
    return replace(program, lines=tuple(lines))
