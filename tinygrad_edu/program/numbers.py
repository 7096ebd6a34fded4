"""A program of single numbers in small: values by their places, equal ones shared, what is known computed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..rules import pointwise
from ..tensor import Primitive
from .expand import ufunc_of
from .program import Name, Program, evaluate
from .spellings import LOGIC, SPELLINGS, Spelling, called, with_parameters


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


class Kept(NamedTuple):
    value: Any  # an object among the results


class _RefusedError(Exception):
    """The program is not one of single numbers."""


_FLOAT, _BOOL = np.dtype(np.float64), np.dtype(bool)
_SAME = (pointwise.identity, pointwise.positive)
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
                nodes.outputs.append(Kept(getattr(out, "value", out)))
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
        logic = LOGIC.get(ufunc_of(op)) if all(truths) and truth and not params else None
        own = pointwise.where if op.forward is np.where else op
        spelling = logic or (with_parameters(op, params) if params else SPELLINGS.get(own))
        expected = (False,) * len(truths)
        if own is pointwise.where:
            expected = (True, False, False)
        elif op is pointwise.gate:
            expected = (False, True)
        if spelling is None or (logic is None and truths != expected):
            spelling = called(op, params, truth, len(truths))
        return Kind(op, params, truth, spelling)


def _is_setting(x: Any) -> bool:
    return x is None or (isinstance(x, (bool, int, float, str)) and not isinstance(x, Name)) or (
        type(x) is tuple and all(_is_setting(item) for item in x))


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


__all__ = ["Kept", "Kind", "Nodes", "read", "short_chains"]
