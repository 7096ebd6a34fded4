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
    shapes, dtypes = shapes_of(program), dtypes_of(program)
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
        best = max(fitting, key=lambda part: sum(_follows(program, program.outputs[key], n) for key, n in zip(
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


def _follows(program: Program, out: Any, name: Name) -> bool:
    """Whether a result is made of an input directly."""
    line = next((line for line in program.lines if line.name == out), None)
    return line is not None and name in line.operands


# ---------------------------------------------------------------- one buffer for all

def flattened(program: Program, donated: Sequence[Sequence[tuple[Name, str]]], flat: bool = True) -> Program:
    """Say which inputs are updated in place, and update them together where one formula holds for all."""
    updates = [(name, program.outputs[key]) for group in donated for name, key in group]
    outputs = dict(program.outputs)
    for group in donated:
        for name, key in group:
            outputs[key] = name  # what is returned is the updated array itself
    if not flat:
        return replace(program, outputs=outputs, updates=tuple(Update(n, v) for n, v in updates if n != v))
    return _Flattening(program, donated, outputs).program()


class _Flattening:
    def __init__(self, program: Program, donated: Sequence[Sequence[tuple[Name, str]]], outputs: dict[str, Any]) -> None:
        self.before, self.outputs = program, outputs
        self.shapes, self.dtypes = shapes_of(program), dtypes_of(program)
        self.line_of = {line.name: line for line in program.lines}
        self.taken = {*self.shapes}
        counts = [len(group) for group in donated]
        usual = max(set(counts), key=counts.count) if counts else 0
        self.groups = [group for group in donated if len(group) == usual]
        self.single = [pair for group in donated if len(group) != usual for pair in group]
        self.place = {str(name): (g, k) for g, group in enumerate(self.groups) for k, (name, _) in enumerate(group)}
        self.result = {str(program.outputs[key]): (g, k) for g, group in enumerate(self.groups)
                       for k, (_, key) in enumerate(group)}
        self.count = usual
        self.same: dict[str, Any] = {}  # what only repeats another value
        for line in program.lines:
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
            made = self._together(members, lines, flats) if len(members) > 1 and self.usable(members) else None
            if made is None:
                for group in self.groups:
                    updates += [Update(group[k][0], self.before.outputs[group[k][1]]) for k in members]
                    flats += [self._flat(group, members)]
            else:
                updates += made
        return replace(self.before, lines=tuple(lines), outputs=self.outputs, flats=tuple(flats),
                       updates=tuple(u for u in updates if u.target != u.value))

    def usable(self, members: Sequence[int]) -> bool:
        return all(isinstance(self.before.outputs[key], Name) and self.before.outputs[key] in self.line_of
                   for group in self.groups for key in (group[k][1] for k in members))

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
        """The formula of the k-th arrays' updates: equal formulas can be computed together."""
        return tuple((self._formula(self.before.outputs[group[k][1]], k, self.shapes[group[k][0]], [], top=True),
                      str(self.dtypes[group[k][0]])) for group in self.groups)

    def _formula(self, name: Any, k: int, shape: tuple[int, ...], leaves: list[Name], top: bool = False) -> Any:
        if not isinstance(name, Name):
            return "number", repr(name)
        name = self.same.get(name, name)
        if name in self.place and self.place[name][1] == k:
            return "argument", self.place[name][0]
        if name in self.result and self.result[name][1] == k and not top:
            return "result", self.result[name][0]
        if self.shapes[name] == () and shape != ():
            return "scalar", str(name)
        line = self.line_of.get(name)
        if line is not None and is_entrywise(line) and line.shape == shape and line.op.name not in ("gate", "where"):
            return (line.op.name, *[self._formula(x, k, shape, leaves) for x in line.operands])
        if self.shapes[name] != shape:
            leaves.append(Name("?"))
            return "other", str(name)
        if name not in leaves:
            leaves.append(name)
        return "leaf", leaves.index(name)

    def _in_order(self, k: int) -> list[int]:
        """The arguments, each after those whose new values its own new value is made of (Adam's weights after its means)."""
        def mentioned(formula: Any) -> set[int]:
            if formula[0] == "result":
                return {formula[1]}
            return set().union(*[mentioned(x) for x in formula[1:] if type(x) is tuple])

        needs = {g: mentioned(self._formula(self.before.outputs[group[k][1]], k, self.shapes[group[k][0]], [], top=True)) - {g}
                 for g, group in enumerate(self.groups)}
        order: list[int] = []
        while len(order) < len(needs):
            found = [g for g in needs if g not in order and needs[g] <= {*order}]
            order += found or [g for g in needs if g not in order]
        return order

    def _together(self, members: Sequence[int], lines: list[Line], flats: list[Flat]) -> list[Update] | None:
        """Lines that compute the updates of several arrays at once, on flat buffers."""
        own: list[Flat] = [self._flat(group, members) for group in self.groups]
        results: dict[int, Name] = {}
        new: list[Line] = []
        made: dict[Any, Any] = {}
        size = sum(math.prod(self.shapes[self.groups[0][k][0]]) for k in members)
        for g in self._in_order(members[0]):
            group = self.groups[g]
            leaves_of = []
            for k in members:
                leaves: list[Name] = []
                self._formula(self.before.outputs[group[k][1]], k, self.shapes[group[k][0]], leaves, top=True)
                if Name("?") in leaves:
                    return None
                leaves_of.append(leaves)
            gathered: dict[int, Name] = {}

            def build(name: Any, k: int, shape: tuple[int, ...], leaves: list[Name], leaves_of: Any, gathered: Any, g: int,
                      top: bool = False) -> Any:
                if not isinstance(name, Name):
                    return name
                name = self.same.get(name, name)
                if name in self.place and self.place[name][1] == k:
                    return own[self.place[name][0]].name
                if name in self.result and self.result[name][1] == k and not top:
                    return results.get(self.result[name][0])
                if self.shapes[name] == () and shape != ():
                    return name
                line = self.line_of.get(name)
                if line is not None and is_entrywise(line) and line.shape == shape:
                    operands = tuple(build(x, k, shape, leaves, leaves_of, gathered, g) for x in line.operands)
                    if any(x is None for x in operands):
                        return None
                    key = (line.op.name, *[str(x) for x in operands])
                    if key not in made:
                        made[key] = self._fresh("all1")
                        new.append(Line(made[key], line.op, operands, {}, (size,), line.dtype, line.kind))
                    return made[key]
                i = leaves.index(name)
                key = ("flat", *[str(each[i]) for each in leaves_of])
                if key not in made:
                    made[key] = self._fresh("gradients")
                    new.append(Line(made[key], FLAT, tuple(each[i] for each in leaves_of), {}, (size,), self.dtypes[name]))
                return made[key]

            k = members[0]
            built = build(self.before.outputs[group[k][1]], k, self.shapes[group[k][0]], leaves_of[0], leaves_of, gathered, g,
                          top=True)
            if built is None or not isinstance(built, Name):
                return None
            results[g] = built
        lines += new
        flats += own
        return [Update(flat.name, results[g]) for g, flat in enumerate(own)]


__all__ = ["FLAT", "Flat", "Update", "flattened", "matched", "uses_of"]
