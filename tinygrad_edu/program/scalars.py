"""Programs of single numbers, printed as plain Python on floats.

Where every value is one float64, an operation on Python floats costs a tenth of a NumPy call. The step is printed as
expressions: a value that is used once stands where it is used. What repeats, as the rounds of a loop do, is printed as a
loop again (`rounds`). The arithmetic and its order are the recorded ones, so results are the same to the last digit. Where
Python raises and NumPy gives inf or nan (1/0, log 0, exp 1000), the step is evaluated again, by the primitives on NumPy
numbers.
"""

from __future__ import annotations

import keyword
import math
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..rules import pointwise
from ..tensor import Primitive
from .emit import Code
from .expand import ufunc_of
from .program import Name, Program, evaluate
from .rolled import Rolled
from .rounds import LEAST_OPERATIONS, Rounds, find_rounds

# ---------------------------------------------------------------- how operations are spelled

# How tightly parts of an expression bind, as in Python's grammar.
CHOICE, AND, NOT, COMPARISON, SUM, PRODUCT, SIGN, ATOM = range(8)


class Spelling(NamedTuple):
    """An operation on floats in Python.

    text : the expression, with {0}, {1} for the operands. binds : how tightly it does. needs : how tightly each operand
    must, so that it goes without brackets. twice : whether operands are read more than once, and so must have a name.
    imports : what it calls, name -> function.
    """

    text: str
    binds: int
    needs: tuple[int, ...]
    twice: bool = False
    imports: tuple[tuple[str, Callable[..., Any]], ...] = ()


def _infix(sign: str, binds: int) -> Spelling:
    left = binds + 1 if binds == COMPARISON else binds
    return Spelling(f"{{0}} {sign} {{1}}", binds, (left, binds + 1))


def _function(name: str, function: Callable[..., Any], count: int = 1) -> Spelling:
    places = ", ".join(f"{{{i}}}" for i in range(count))
    return Spelling(f"{name}({places})", ATOM, (CHOICE,) * count, imports=((name, function),))


def _choice(text: str, *needs: int) -> Spelling:
    return Spelling(text, CHOICE, needs, twice=True)


SPELLINGS: dict[Primitive, Spelling] = {
    pointwise.add: _infix("+", SUM), pointwise.subtract: _infix("-", SUM),
    pointwise.multiply: _infix("*", PRODUCT), pointwise.divide: _infix("/", PRODUCT),
    pointwise.negative: Spelling("-{0}", SIGN, (SIGN,)),
    pointwise.reciprocal: Spelling("1.0 / {0}", PRODUCT, (SIGN,)),
    pointwise.square: Spelling("{0} * {0}", PRODUCT, (PRODUCT,), twice=True),
    pointwise.greater: _infix(">", COMPARISON), pointwise.greater_equal: _infix(">=", COMPARISON),
    pointwise.less: _infix("<", COMPARISON), pointwise.less_equal: _infix("<=", COMPARISON),
    pointwise.equal: _infix("==", COMPARISON), pointwise.not_equal: _infix("!=", COMPARISON),
    # the one that is not chosen is not computed
    pointwise.gate: Spelling("{0} if {1} else 0.0", CHOICE, (AND, AND)),
    pointwise.where: Spelling("{1} if {0} else {2}", CHOICE, (AND, AND, AND)),
    pointwise.relu: _choice("0.0 if {0} <= 0.0 else {0}", COMPARISON + 1),  # nan stays nan
    pointwise.maximum: _choice("{0} if {0} > {1} or {0} != {0} else {1}", COMPARISON + 1, COMPARISON + 1),
    pointwise.minimum: _choice("{0} if {0} < {1} or {0} != {0} else {1}", COMPARISON + 1, COMPARISON + 1),
    **{getattr(pointwise, name): _function(name, getattr(pointwise, name).scalar) for name in (
        "absolute", "sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh",
        "tanh", "arcsinh", "arccosh", "arctanh", "erf") if getattr(pointwise, name).scalar is not None},
}
_LOGIC: dict[Any, Spelling] = {  # of truth values
    np.bitwise_and: _infix("and", AND), np.logical_and: _infix("and", AND),
    np.invert: Spelling("not {0}", NOT, (NOT,)), np.logical_not: Spelling("not {0}", NOT, (NOT,)),
}
_SAME = (pointwise.identity, pointwise.positive)


# ---------------------------------------------------------------- the program, by numbers


@dataclass(eq=False)
class Kind:
    """An operation with its parameters, and how it is written."""

    op: Primitive
    params: dict[str, Any]
    truth: bool  # whether it gives true or false
    spelling: Spelling


@dataclass
class Nodes:
    """A program of single numbers. A value is known by its place; ~k is the k-th literal.

    The inputs come first and have no kind. operands : of each value, places. outputs : places, or objects that are handed
    out as they are.
    """

    count: int  # of inputs
    kinds: list[Kind | None] = field(default_factory=list)
    operands: list[tuple[int, ...]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    named: list[bool] = field(default_factory=list)
    literals: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)

    def truth(self, i: int) -> bool:
        """Whether a value is true or false rather than a number."""
        kind = self.kinds[i] if i >= 0 else None
        return kind.truth if kind is not None else i < 0 and isinstance(self.literals[~i], (bool, np.bool_))

    def run(self, *given: Any) -> list[Any]:
        """Evaluate by the primitives on NumPy numbers, one by one."""
        values: list[Any] = [np.float64(x) for x in given]
        literals = [x if isinstance(x, (bool, np.bool_)) else np.float64(x) for x in self.literals]
        for kind, operands in zip(self.kinds[self.count :], self.operands[self.count :], strict=True):
            assert kind is not None
            y = kind.op(*[values[i] if i >= 0 else literals[~i] for i in operands], **kind.params)
            values.append(np.bool_(y) if kind.truth else np.float64(y))
        return [(values[i] if i >= 0 else literals[~i]) if type(i) is int else i.value for i in self.outputs]


class _Kept(NamedTuple):
    value: Any  # an object among the results


class _RefusedError(Exception):
    """The program is not one of single numbers."""


_FLOAT, _BOOL = np.dtype(np.float64), np.dtype(bool)
_ONE = (pointwise.multiply, pointwise.divide)


class _Reader:
    """A Program on its way to Nodes: equal lines are shared, what is known is computed, what is unused left out."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.nodes = Nodes(len(program.inputs))
        self.place: dict[str, int] = {}
        self.literal: dict[Any, int] = {}
        self.known: dict[Any, int] = {}  # (kind, operands) -> place
        self.kind: dict[Any, Kind] = {}
        self.true: set[int] = set()  # the places of truth values

    def read(self) -> Nodes:
        program, nodes = self.program, self.nodes
        if program.constants or program.flats or program.updates:
            raise _RefusedError
        for x in program.inputs:
            if x.shape != () or x.dtype is None or np.dtype(x.dtype) != _FLOAT:
                raise _RefusedError
            self.place[x.name] = self.add(None, (), str(x.name), True)
        for line in program.lines:
            if line.shape != ():
                raise _RefusedError
        for line in program.lines:
            self.line(line)
        for out in program.outputs.values():
            if isinstance(out, Name):
                nodes.outputs.append(self.place[out])
            else:
                nodes.outputs.append(_Kept(getattr(out, "value", out)))
        return _used(nodes)

    def add(self, kind: Kind | None, operands: tuple[int, ...], name: str, named: bool) -> int:
        nodes = self.nodes
        nodes.kinds.append(kind)
        nodes.operands.append(operands)
        nodes.names.append(name)
        nodes.named.append(named)
        place = len(nodes.kinds) - 1
        if kind is not None and kind.truth:
            self.true.add(place)
        return place

    def line(self, line: Any) -> None:
        place, op = self.place, line.op
        operands = tuple([place[x] if type(x) is Name else self.number(x) for x in line.operands])
        if op in _SAME and operands[0] >= 0:
            place[line.name] = operands[0]
            return
        if op in _ONE:  # x · 1 and x / 1 are x
            a, b = operands
            if b < 0 <= a and self.nodes.literals[~b] == 1 and a not in self.true:
                place[line.name] = a
                return
            if a < 0 <= b and op is pointwise.multiply and self.nodes.literals[~a] == 1 and b not in self.true:
                place[line.name] = b
                return
        kind = self.kind_of(op, line.params, line.dtype, operands)
        if operands and max(operands) < 0:
            literals = [self.nodes.literals[~i] for i in operands]
            place[line.name] = self.number(evaluate(op, literals, line.params))
            return
        key = (kind, operands)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self.add(kind, operands, str(line.name), line.named)
        place[line.name] = found

    def number(self, x: Any) -> int:
        """The place of a literal."""
        if not isinstance(x, (float, int, np.bool_, np.floating, np.integer)):
            raise _RefusedError
        if isinstance(x, (np.bool_, bool)):
            x = bool(x)
        elif isinstance(x, np.floating) and x.dtype.itemsize > 8:
            raise _RefusedError
        else:
            try:
                x = float(x)
            except OverflowError:
                raise _RefusedError from None
        key = (type(x), repr(x))
        if key not in self.literal:
            self.literal[key] = ~len(self.nodes.literals)
            self.nodes.literals.append(x)
            if type(x) is bool:
                self.true.add(self.literal[key])
        return self.literal[key]

    def kind_of(self, op: Primitive, params: dict[str, Any], dtype: Any, operands: tuple[int, ...]) -> Kind:
        truths = tuple([i in self.true for i in operands]) if self.true else ()
        key = (op, dtype, truths) if not params else (op, dtype, truths, repr(params))
        found = self.kind.get(key)
        if found is None:
            found = self.kind[key] = self.new_kind(op, params, np.dtype(dtype), tuple([i in self.true for i in operands]))
        return found

    def new_kind(self, op: Primitive, params: dict[str, Any], dtype: Any, truths: tuple[bool, ...]) -> Kind:
        if op.kind == "draw" or dtype not in (_FLOAT, _BOOL) or not all(_is_setting(v) for v in params.values()) or not truths:
            raise _RefusedError
        truth = dtype == _BOOL
        logic = _LOGIC.get(ufunc_of(op)) if all(truths) and truth and not params else None
        own = pointwise.where if op.forward is np.where else op
        spelling = logic or (SPELLINGS.get(own) if not params else None)
        if params and op is pointwise.relu:
            spelling = SPELLINGS[op]
        expected = (False,) * len(truths)
        if own is pointwise.where:
            expected = (True, False, False)
        elif op is pointwise.gate:
            expected = (False, True)
        if spelling is None or (logic is None and truths != expected):
            spelling = _held(op, params, truth, len(truths))
        return Kind(op, params, truth, spelling)


def _is_setting(x: Any) -> bool:
    return x is None or (isinstance(x, (bool, int, float, str)) and not isinstance(x, Name)) or (
        type(x) is tuple and all(_is_setting(item) for item in x))


def _held(op: Primitive, params: dict[str, Any], truth: bool, count: int) -> Spelling:
    """A primitive without a spelling, as a function of floats."""

    def call(*operands: Any) -> Any:
        y = op(*[np.bool_(x) if type(x) is bool else np.float64(x) for x in operands], **params)
        return bool(y) if truth else float(y)

    name = "".join(c if c.isalnum() else "_" for c in op.name)
    call.__name__ = name
    return _function(name, call, count)


def _used(nodes: Nodes) -> Nodes:
    """Without what no output needs, inputs excepted."""
    needed = bytearray(len(nodes.kinds))
    for i in nodes.outputs:
        if type(i) is int and i >= 0:
            needed[i] = True
    operands = nodes.operands
    for i in range(len(operands) - 1, nodes.count - 1, -1):
        if needed[i]:
            for a in operands[i]:
                if a >= 0:
                    needed[a] = True
    keep = [i for i in range(len(operands)) if i < nodes.count or needed[i]]
    new = [0] * len(operands)
    for k, i in enumerate(keep):
        new[i] = k
    return Nodes(nodes.count, [nodes.kinds[i] for i in keep],
                 [tuple([new[a] if a >= 0 else a for a in operands[i]]) for i in keep],
                 [nodes.names[i] for i in keep], [nodes.named[i] for i in keep], nodes.literals,
                 [(new[i] if i >= 0 else i) if type(i) is int else i for i in nodes.outputs])


def short_chains(nodes: Nodes) -> Nodes:
    """(x · a) · b as x · (a · b), where x is the last to be known: one operation less for the next round to wait for.

    May move the last digit. x · a must not be read elsewhere.
    """
    size = len(nodes.kinds)
    uses = [0] * size
    for mine in nodes.operands:
        for a in mine:
            if a >= 0:
                uses[a] += 1
    for out in nodes.outputs:
        if type(out) is int and out >= 0:
            uses[out] += 2
    made = Nodes(nodes.count, literals=nodes.literals)
    level: list[int] = []  # how many operations must be done before
    new: list[int] = []
    once: list[bool] = []

    def add(kind: Kind | None, operands: tuple[int, ...], name: str, named: bool, single: bool) -> int:
        made.kinds.append(kind)
        made.operands.append(operands)
        made.names.append(name)
        made.named.append(named)
        level.append(1 + max([level[a] for a in operands if a >= 0], default=0))
        once.append(single)
        return len(level) - 1

    for i, kind in enumerate(nodes.kinds):
        mine = tuple([new[a] if a >= 0 else a for a in nodes.operands[i]])
        if kind is not None and kind.op is pointwise.multiply and not kind.truth and mine[0] != mine[1]:
            for inner, b in (mine, mine[::-1]):
                if inner < 0 or made.kinds[inner] is not kind or not once[inner]:
                    continue
                x, a = sorted(made.operands[inner], key=lambda k: -level[k] if k >= 0 else 0)
                waits = level[x] if x >= 0 else 0
                if waits > max([level[k] for k in (a, b) if k >= 0], default=0) and not (a < 0 and b < 0):
                    product = add(kind, (a, b), f"{nodes.names[i]}_slope", False, True)
                    mine = (x, product)
                    break
        new.append(add(kind, mine, nodes.names[i], nodes.named[i], uses[i] == 1))
    made.outputs = [(new[i] if i >= 0 else i) if type(i) is int else i for i in nodes.outputs]
    return _used(made)


def read(program: Program) -> Nodes | None:
    """The program by numbers; None where some value is not a single float64, or truth value."""
    try:
        return _Reader(program).read()
    except _RefusedError:
        return None


# ---------------------------------------------------------------- printing

LONGEST = 60  # operations in one expression, so that neither readers nor Python's parser are asked too much
DEEPEST = 20  # brackets in brackets


class Printer:
    """Nodes on their way to source: straight lines, with loops in between."""

    def __init__(self, nodes: Nodes, title: str, roll: bool = True) -> None:
        self.nodes, self.title = nodes, title
        loops: list[list[Rounds]] = find_rounds(nodes.operands, [id(k) for k in nodes.kinds], nodes.count) if roll else []
        self.taken = {*nodes.names, "given", "build", "step", "number", "exact", "results", "np"}
        self.functions: dict[str, Any] = {}
        self.function_name: dict[Any, str] = {}
        self.body: list[str] = []
        size = len(nodes.kinds)
        self.text: list[Any] = [None] * size  # of each value, as it is read
        self.binds = [ATOM] * size
        self.weight = [0] * size
        self.depth = [0] * size
        self.patterns: dict[Kind, str] = {}
        self.where = [-1] * size  # the loop that a value is computed in
        self.rolled = [min([Rolled(self, loop) for loop in same], key=lambda one: one.lists) for same in loops]
        self.literal_text = [_number_text(x) for x in nodes.literals]

    def fresh(self, wanted: str) -> str:
        name, k = wanted, 2
        while name in self.taken or keyword.iskeyword(name):
            name, k = f"{wanted}_{k}", k + 1
        self.taken.add(name)
        return name

    def function(self, wanted: str, what: Any) -> str:
        if what not in self.function_name:
            self.function_name[what] = self.fresh(wanted)
            self.functions[self.function_name[what]] = what
        return self.function_name[what]

    # -- expressions

    def read(self, a: int) -> str:
        """A value where it is read."""
        if a < 0:
            return self.literal_text[~a]
        text: str | None = self.text[a]
        if text is not None:
            return text
        inside = self.loop_at(a)
        return self.nodes.names[a] if inside is None else inside.value(a)

    def loop_at(self, i: int) -> Rolled | None:
        """The loop that a value is computed in."""
        k = self.where[i] if i >= 0 else -1
        return self.rolled[k] if k >= 0 else None

    def written(self, i: int, operands: Sequence[tuple[str, int]]) -> tuple[str, int]:
        """The text of an operation, and how tightly it binds, from those of its operands."""
        kind = self.nodes.kinds[i]
        assert kind is not None
        spelling = kind.spelling
        pattern = self.patterns.get(kind)
        if pattern is None:
            pattern = spelling.text
            for name, function in spelling.imports:
                pattern = pattern.replace(f"{name}(", f"{self.function(name, function)}(", 1)
            self.patterns[kind] = pattern
        texts = [text if bound >= need else f"({text})" for (text, bound), need in zip(operands, spelling.needs, strict=True)]
        return pattern.format(*texts), spelling.binds

    # -- straight lines

    def straight(self, start: int, stop: int, once: Sequence[bool], user: Sequence[int]) -> None:
        """Lines for the values from start to stop; those used once are kept for the expression that uses them."""
        kinds, names, operands, text = self.nodes.kinds, self.nodes.names, self.nodes.operands, self.text
        binds, weight, depth, read, body = self.binds, self.weight, self.depth, self.read, self.body
        for i in range(start, stop):
            mine = operands[i]
            texts = []
            heavy, deep = 1, 0
            for a in mine:
                written = read(a)
                if a >= 0:
                    texts.append((written, binds[a]))
                    heavy += weight[a]
                    inner = depth[a] + (binds[a] != ATOM)
                    deep = inner if inner > deep else deep
                else:
                    texts.append((written, SIGN if written[0] == "-" else ATOM))
            written, bound = self.written(i, texts)
            if once[i] and heavy < LONGEST and deep < DEEPEST and not kinds[user[i]].spelling.twice:  # type: ignore[union-attr]
                text[i], binds[i], weight[i], depth[i] = written, bound, heavy, deep
            else:
                body.append(f"{names[i]} = {written}")

    def source(self) -> str:
        nodes = self.nodes
        size = len(nodes.kinds)
        uses, user = [0] * size, [0] * size
        for i in range(nodes.count, size):
            for a in nodes.operands[i]:
                if a >= 0:
                    uses[a] += 1
                    user[a] = i
        results = [out for out in nodes.outputs if type(out) is int and out >= 0]
        for out in results:
            uses[out] += 2
        for k, one in enumerate(self.rolled):
            self.where[one.loop.start : one.loop.stop] = [k] * (one.loop.stop - one.loop.start)
        once = [uses[i] == 1 and self.where[user[i]] == -1 for i in range(size)]
        if self.rolled:
            straight = [a for i in range(nodes.count, size) if self.where[i] < 0 for a in nodes.operands[i]]
            for a in {a for reads in (straight, results, *[one.outside() for one in self.rolled]) for a in reads}:
                inside = self.loop_at(a)
                if inside is not None:
                    inside.look(a)
            for one in self.rolled:
                one.name()
        at = nodes.count
        for one in self.rolled:
            self.straight(at, one.loop.start, once, user)
            one.write()
            at = one.loop.stop
        self.straight(at, size, once, user)
        return self.whole()

    def whole(self) -> str:
        nodes = self.nodes
        numbers = [i for i in nodes.outputs if type(i) is int and not nodes.truth(i)]
        parts = []
        for out in nodes.outputs:
            if type(out) is not int:
                parts.append(self.function("held", _Hold(out.value)))
            elif nodes.truth(out):
                parts.append(f"{self.function('bool_', np.bool_)}({self.read(out)})")
            else:
                parts.append(self.read(out))
        if len(numbers) == len(parts) >= MANY:
            pack = self.function("pack", struct.Struct(f"{len(parts)}d").pack)
            results = f"list({self.function('frombuffer', np.frombuffer)}({pack}({', '.join(parts)})))"
        else:
            float64 = self.function("float64", np.float64)
            parts = [f"{float64}({p})" if type(out) is int and not nodes.truth(out) else p
                     for p, out in zip(parts, nodes.outputs, strict=True)]
            results = f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        arguments = nodes.names[: nodes.count]
        if len(arguments) == 1:
            taken = [f"{arguments[0]} = float(given[0])"]
        elif arguments:
            taken = [f"{', '.join(arguments)} = map(float, given)"]
        else:
            taken = []
        lines = [f"def build({', '.join(['exact', *self.functions])}):", "    def step(*given):", "        try:"]
        lines += [f"            {text}" for text in (*taken, *self.body, f"return {results}")]
        lines += ["        except (ZeroDivisionError, OverflowError, ValueError):  # where NumPy gives inf or nan",
                  "            return exact(*given)", "", "    return step", ""]
        return "\n".join(lines)


MANY = 8  # results from which they are made into NumPy numbers all at once


class _Hold(NamedTuple):
    value: Any

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hold) and other.value is self.value


def _number_text(x: Any) -> str:
    return repr(x) if isinstance(x, bool) or math.isfinite(x) else f'float("{x}")'


def scalar_code(program: Program, without: Iterable[str] = ()) -> Code | None:
    """The program as Python on floats; None where it is not one of single numbers."""
    nodes = read(program)
    if nodes is None or not nodes.kinds[nodes.count :]:
        return None
    if "short_chains" not in without and len(nodes.kinds) >= LEAST_OPERATIONS:
        nodes = short_chains(nodes)
    printer = Printer(nodes, program.name, "loops" not in without)
    text = printer.source()
    held = {name: x.value if isinstance(x, _Hold) else x for name, x in printer.functions.items()}
    return Code(text, {"exact": nodes.run, **held}, 0, 0, 0, stateless=True)


__all__ = ["SPELLINGS", "Nodes", "Printer", "Spelling", "read", "scalar_code"]
