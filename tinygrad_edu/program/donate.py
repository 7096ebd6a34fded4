"""Arrays that are given to be updated: the results that take their place, and one flat buffer for all of them.

A training step makes new parameters of old ones, entry by entry, by the same formula for every array. With the parameters
as views of one flat buffer, and the gradients written straight into another, the update is a few NumPy calls however
many parameters there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..calculus import flatten
from ..errors import TraceError
from ..tensor import Primitive
from .algebra import dtypes_of, is_entrywise, shapes_of, uses_of
from .places import COPY
from .program import Line, Name, Program

# the operands, each flattened, one after the other
FLAT = Primitive("flat", lambda *xs: np.concatenate([np.reshape(x, -1) for x in xs]))


@dataclass(frozen=True)
class Flat:
    """A flat buffer: its name, its dtype, and the inputs that are views of it, in order."""

    name: Name
    dtype: Any
    members: tuple[Name, ...]


@dataclass(frozen=True)
class Update:
    """At the end of a step, `value` takes the place of what `target` (an input, or a flat buffer) held."""

    target: Name
    value: Name


def matched(arguments: Sequence[Sequence[Name]], program: Program, rebuild: Callable[[Sequence[Any]], Any],
            titles: Sequence[str]) -> list[list[tuple[Name, str]]]:
    """For every donated argument its inputs, each with the result that takes its place."""
    shapes, dtypes = program.kinds
    line_of = program.line_of
    keys = list(program.outputs)
    taken: set[str] = set()
    found = []
    for names, title in zip(arguments, titles, strict=True):
        wanted = [(shapes[n], dtypes[n]) for n in names]
        fitting = [part for part in _parts(rebuild(keys)) if len(part) == len(names) and not taken & set(part) and all(
            isinstance(program.outputs[key], Name) for key in part) and [
            (shapes[program.outputs[key]], dtypes[program.outputs[key]]) for key in part] == wanted]
        if not fitting:
            raise TraceError(f"jit: donate={title!r}, but no part of the result has the shapes of {title} "
                             f"({', '.join(str(s) for s, _ in wanted[:4])}{', ...' if len(wanted) > 4 else ''}) to take its "
                             "place. Return the updated arrays nested as the argument, for example (J, params).")
        best = fitting[0]
        if len(fitting) > 1:
            best = min(fitting, key=lambda part: sum(_distance(line_of, program.outputs[key], n) for key, n in zip(
                part, names, strict=True)))
        taken |= set(best)
        found.append(list(zip(names, best, strict=True)))
    return found


def _parts(nest: Any) -> list[list[str]]:
    """The leaves of every sub-nest of a result, the whole first."""
    own = flatten(nest)[0]
    parts = [own]
    if isinstance(nest, dict):
        nest = list(nest.values())
    if isinstance(nest, (tuple, list)):
        for item in nest:
            parts += _parts(item)
    return parts


FAR = 8  # operations between an array and what takes its place


def _distance(line_of: dict[str, Line], out: Any, name: Name) -> int:
    """How many entrywise operations lie between an input and a result that is made of it."""
    reached = {str(out)}
    for distance in range(FAR):
        if name in reached:
            return distance
        lines = [line_of[x] for x in reached if x in line_of]
        reached = {str(x) for line in lines if is_entrywise(line) or line.op.name == "identity" for x in line.operands
                   if isinstance(x, Name)}
    return FAR


# ---------------------------------------------------------------- one buffer for all

def flattened(program: Program, donated: Sequence[Sequence[tuple[Name, str]]], flat: bool = True) -> Program:
    """Say which inputs are updated in place, and update them together where one formula holds for all."""
    program = _old_values_kept(program, donated)
    updates = [(name, program.outputs[key]) for group in donated for name, key in group]
    outputs = dict(program.outputs)
    for group in donated:
        for name, key in group:
            outputs[key] = name  # what is returned is the updated array itself
    if not flat:
        return replace(program, outputs=outputs, updates=tuple(Update(n, v) for n, v in updates if n != v))
    return _Flattening(program, donated, outputs).program()


def _old_values_kept(program: Program, donated: Sequence[Sequence[tuple[Name, str]]]) -> Program:
    """Copies of the arrays that are updated in place and returned as they were, too."""
    given = {str(name): name for group in donated for name, _ in group}
    taking = {key for group in donated for _, key in group}
    old = {key: out for key, out in program.outputs.items() if key not in taking and isinstance(out, Name) and out in given}
    if not old:
        return program
    shapes, dtypes = shapes_of(program), dtypes_of(program)
    names = {str(out): Name(f"{out}_before") for out in old.values()}
    while any(name in shapes for name in names.values()):
        names = {out: Name(f"{name}_") for out, name in names.items()}
    copies = [Line(name, COPY, (given[out],), {}, shapes[out], dtypes[out]) for out, name in names.items()]
    outputs = program.outputs | {key: names[str(out)] for key, out in old.items()}
    return replace(program, lines=(*copies, *program.lines), outputs=outputs)


class _Flattening:
    def __init__(self, program: Program, donated: Sequence[Sequence[tuple[Name, str]]], outputs: dict[str, Any]) -> None:
        self.before, self.outputs = program, outputs
        self.shapes, self.dtypes = program.kinds
        self.line_of = program.line_of
        self.taken = {*self.shapes}
        counts = [len(group) for group in donated]
        usual = max(set(counts), key=counts.count) if counts else 0
        self.groups = [group for group in donated if len(group) == usual]
        self.single = [pair for group in donated if len(group) != usual for pair in group]
        self.place = {str(name): (g, k) for g, group in enumerate(self.groups) for k, (name, _) in enumerate(group)}
        self.result = {str(program.outputs[key]): (g, k) for g, group in enumerate(self.groups)
                       for k, (_, key) in enumerate(group)}
        self.count = usual
        self.formulas: dict[tuple[int, int], _Formula] = {}
        self.kinds: dict[Any, int] = {}
        self.same: dict[str, Any] = {}  # what only repeats another value
        for line in program.lines if "identity" in program.operations else ():
            if line.op.name == "identity" and len(line.operands) == 1 and isinstance(line.operands[0], Name):
                self.same[line.name] = self.same.get(line.operands[0], line.operands[0])

    def program(self) -> Program:
        lines = list(self.before.lines)
        updates = [Update(name, self.before.outputs[key]) for name, key in self.single]
        flats: list[Flat] = []
        classes: dict[Any, list[int]] = {}
        for k in range(self.count):
            classes.setdefault(self._key(k), []).append(k)
        for members in classes.values():
            made = self._together(members, lines, flats) if len(members) > 1 else None
            if made is None:
                for group in self.groups:
                    updates += [Update(group[k][0], self.before.outputs[group[k][1]]) for k in members]
                    flats += [self._flat(group, members)]
            else:
                updates += made
        return replace(self.before, lines=tuple(lines), outputs=self.outputs, flats=tuple(flats),
                       updates=tuple(u for u in updates if u.target != u.value))

    def _flat(self, group: Sequence[tuple[Name, str]], members: Sequence[int]) -> Flat:
        names = tuple(group[k][0] for k in members)
        return Flat(self._fresh("flat_" + str(names[0]).rpartition("_")[0]), self.dtypes[names[0]], names)

    def _fresh(self, wanted: str) -> Name:
        name, i = wanted.strip("_"), 2
        while name in self.taken:
            name, i = f"{wanted.strip('_')}_{i}", i + 1
        self.taken.add(name)
        return Name(name)

    def _key(self, k: int) -> Any:
        """The formulas of the k-th arrays' updates: equal formulas can be computed together."""
        formulas = [self._formula(g, k) for g in range(len(self.groups))]
        if not all(formula.usable for formula in formulas):
            return "alone", k
        return tuple((formula.steps[-1][1], self.dtypes[self.groups[g][k][0]]) for g, formula in enumerate(formulas))

    def _formula(self, g: int, k: int) -> _Formula:
        """How the new value of the k-th array of an argument is made, down to what is not made entry by entry."""
        if (g, k) in self.formulas:
            return self.formulas[g, k]
        name, key = self.groups[g][k]
        shape, top = self.shapes[name], self._plain(self.before.outputs[key])
        formula = self.formulas[g, k] = _Formula([], [], self.dtypes[name] is not None)
        number: dict[Any, int] = {}  # value -> the number of its kind, the same for what is made alike
        waiting = [top]
        while waiting:
            x = waiting.pop()
            own = _literal(x)
            if own in number:
                continue
            kind, line = self._kind(x, k, shape, x == top), self.line_of.get(x)
            if kind is None and line is not None:
                operands = [self._plain(y) for y in line.operands]
                missing = [y for y in operands if _literal(y) not in number]
                if missing and len(formula.steps) + len(waiting) < LONGEST:
                    waiting += [x, *reversed(missing)]
                    continue
                formula.usable = formula.usable and not missing
                kind = line.op.name, line.dtype, *[number.get(_literal(y)) for y in operands]
            elif kind == ("leaf",):
                kind = "leaf", len(formula.leaves), self.dtypes[x]
                formula.leaves.append(x)
            formula.usable = formula.usable and kind is not None and kind[0] != "other"
            number[own] = self.kinds.setdefault(kind, len(self.kinds))
            formula.steps.append((x, number[own], kind))
        return formula

    def _plain(self, x: Any) -> Any:
        return self.same.get(x, x) if isinstance(x, Name) else x

    def _kind(self, x: Any, k: int, shape: tuple[int, ...], top: bool) -> Any:
        """What a value is to the update of the k-th arrays; None where it is made entry by entry of other values."""
        if not isinstance(x, Name):
            return "number", repr(x)
        if x in self.place and self.place[x][1] == k:
            return "argument", self.place[x][0]
        if x in self.result and self.result[x][1] == k and not top:
            return "result", self.result[x][0]
        if self.shapes[x] == () and shape != ():
            return "scalar", str(x)
        line = self.line_of.get(x)
        if line is not None and is_entrywise(line) and line.shape == shape and line.op.name not in ("gate", "where"):
            return None
        return ("leaf",) if self.shapes[x] == shape else ("other", str(x))

    def _in_order(self, k: int) -> list[int]:
        """The arguments, each after those whose new values its own new value is made of (Adam's weights after its means)."""
        needs = {g: {kind[1] for _, _, kind in self._formula(g, k).steps if kind[0] == "result"} - {g}
                 for g in range(len(self.groups))}
        order: list[int] = []
        while len(order) < len(needs):
            found = [g for g in needs if g not in order and needs[g] <= {*order}]
            order += found or [g for g in needs if g not in order]
        return order

    def _together(self, members: Sequence[int], lines: list[Line], flats: list[Flat]) -> list[Update] | None:
        """Lines that compute the updates of several arrays at once, on flat buffers."""
        if not all(self._formula(g, k).usable for g in range(len(self.groups)) for k in members):
            return None
        own: list[Flat] = [self._flat(group, members) for group in self.groups]
        results: dict[int, Any] = {}
        new: list[Line] = []
        made: dict[Any, Name] = {}
        size = sum(math.prod(self.shapes[self.groups[0][k][0]]) for k in members)
        for g in self._in_order(members[0]):
            value: dict[int, Any] = {}  # kind of a value -> what holds it for all members
            for x, number, kind in self._formula(g, members[0]).steps:
                if kind[0] == "number" or kind[0] == "scalar":
                    value[number] = x
                elif kind[0] == "argument":
                    value[number] = own[kind[1]].name
                elif kind[0] == "result":
                    if kind[1] not in results:
                        return None
                    value[number] = results[kind[1]]
                elif kind[0] == "leaf":
                    parts = tuple(self._formula(g, k).leaves[kind[1]] for k in members)
                    key: Any = ("flat", *map(str, parts))
                    if key not in made:
                        made[key] = self._fresh("gradients")
                        new.append(Line(made[key], FLAT, parts, {}, (size,), self.dtypes[x]))
                    value[number] = made[key]
                else:
                    line = self.line_of[x]
                    operands = tuple(value[i] for i in kind[2:])
                    key = (line.op.name, line.dtype, *map(repr, operands))
                    if key not in made:
                        made[key] = self._fresh("all1")
                        new.append(Line(made[key], line.op, operands, {}, (size,), line.dtype, line.kind))
                    value[number] = made[key]
            results[g] = value[number]
            if not isinstance(results[g], Name):
                return None
        lines += new
        flats += own
        return [Update(flat.name, results[g]) for g, flat in enumerate(own)]


LONGEST = 2000  # steps in the formula of an update; a longer one is computed for each array by itself


@dataclass
class _Formula:
    """How an update is made: its steps in order, each a value, the number of its kind and its kind; and its leaves."""

    steps: list[tuple[Any, int, Any]]
    leaves: list[Name]
    usable: bool


def _literal(x: Any) -> Any:
    """A value, or a number by its text: 1 and 1.0 are not the same."""
    return x if isinstance(x, Name) else ("number", repr(x))


__all__ = ["FLAT", "Flat", "Update", "flattened", "matched", "uses_of"]
