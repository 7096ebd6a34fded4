"""Which values of a program lie side by side in one array, or can be made to.

What a loop does step by step can be done at once where the values of its steps are the entries of one array: an argument
that the loop goes along, the array that gradients are written into, or one that the steps write their results into.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from ..rules.indexing import getitem, is_basic
from ..rules.products import matmul
from ..rules.shapes import transpose
from .algebra import dtypes_of, reworded, shapes_of
from .expand import ufunc_of
from .places import PLACE, Namer
from .program import Line, Name, Program, names_in, renamed


class Stacks:
    """Which values lie side by side in one array."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.line_of, self.position = program.line_of.copy(), program.position.copy()
        self.shapes, self.dtypes = shapes_of(program), dtypes_of(program)
        self.fresh = Namer(program)
        self.of: dict[tuple[str, ...], Name] = {}  # values -> the array that holds them along its first axis
        self.where: dict[str, tuple[Name, int]] = {}  # value -> the array that holds it, and its place there
        self.placed: set[str] = set()
        self.constants: dict[Name, Any] = {}  # new ones
        self.known = {str(name): program.constants[name] for name in program.constants if name in program.derived}
        self.fixed = {str(name) for out in program.outputs.values() for name in names_in(out)}
        self.new: list[tuple[int, Line]] = []  # (position after which it comes, line)
        for line in program.lines:
            if line.op is PLACE:
                self.placed |= {str(x) for x in line.operands}
                if line.params["indices"] == tuple(range(len(line.operands))) and line.shape[0] == len(line.operands):
                    self.of[tuple(str(x) for x in line.operands)] = line.name
                    self.where |= {str(x): (line.name, i) for i, x in enumerate(line.operands)}

    @cached_property
    def first_use(self) -> dict[str, int]:
        """The position of the first line that reads a value; that after the last for results."""
        found: dict[str, int] = {}
        for i, line in enumerate(self.program.lines):
            for name in line.uses():
                found.setdefault(name, i)
        for result in self.fixed:
            found.setdefault(result, len(self.program.lines))
        return found

    def state(self) -> Any:
        """What to go back to if a plan fails."""
        return len(self.new), set(self.placed), dict(self.of), dict(self.where)

    def restore(self, state: Any) -> None:
        """Take back the lines that were added since."""
        count, self.placed, self.of, self.where = state
        del self.new[count:]

    def after(self, names: Sequence[Any]) -> int:
        """The position of the last line that makes one of these."""
        return max([self._made(x) for x in names if type(x) is Name], default=-1)

    def _made(self, x: str) -> int:
        """The position from which a value, or what it is a part of, is known."""
        line = self.line_of.get(x)
        while line is not None and line.op is getitem and is_basic(line.params["index"]):
            x = line.operands[0]
            line = self.line_of.get(x)
        return self.position.get(x, -1)

    def add(self, position: int, line: Line) -> Name:
        self.new.append((position, line))
        self.line_of[str(line.name)] = line
        self.position[str(line.name)] = position
        self.shapes[str(line.name)], self.dtypes[str(line.name)] = line.shape, line.dtype
        return line.name

    def stack(self, names: Sequence[Any]) -> Any:
        """An array with these values along a new first axis: known, a view of one, or one they can be written into."""
        if all(x is names[0] or (not isinstance(x, Name) and repr(x) == repr(names[0])) or x == names[0] for x in names):
            x = names[0]
            return x if not isinstance(x, Name) or self.shapes[x] == () else ("same", x)
        if not all(isinstance(x, Name) for x in names) or len(set(names)) < len(names):
            return None
        key = tuple(str(x) for x in names)
        if key in self.of:
            return self.of[key]
        held = [self.where.get(x) for x in key]
        if all(place is not None for place in held):
            return self._rows([place for place in held if place is not None], key)
        if all(x in self.known for x in key) and len({(self.known[x].shape, self.known[x].dtype) for x in key}) == 1:
            name = self.fresh("stack")
            self.constants[name] = np.stack([self.known[x] for x in key])
            self.shapes[name], self.dtypes[name] = self.constants[name].shape, self.constants[name].dtype
            self.of[key] = name
            return name
        lines = [self.line_of.get(x) for x in key]
        if all(line is not None and line.op is getitem for line in lines):
            return self._stack_of_parts([line for line in lines if line is not None], key)
        shape, dtype = self.shapes[key[0]], self.dtypes[key[0]]
        writable = all(line is not None and line.shape == shape and line.dtype == dtype and x not in self.placed
                       and x not in self.fixed and (ufunc_of(line.op) is not None or line.op is matmul)
                       for x, line in zip(key, lines, strict=True))
        if not writable or shape == ():
            return None
        return self.place(names, shape, dtype)

    def place(self, names: Sequence[Any], shape: tuple[int, ...], dtype: Any) -> Name:
        name = self.fresh("stack")
        whole = (len(names), *shape)
        line = Line(name, PLACE, tuple(names), {"indices": tuple(range(len(names))), "shape": whole}, whole, dtype)
        self.add(max(self.position.get(str(x), -1) for x in names), line)
        self.placed |= {str(x) for x in names}
        self.of[tuple(str(x) for x in names)] = name
        self.where |= {str(x): (name, i) for i, x in enumerate(names)}
        return name

    def _stack_of_parts(self, lines: Sequence[Line], key: tuple[str, ...]) -> Any:
        """The same part of each of several values, or consecutive entries of one."""
        bases, indices = [line.operands[0] for line in lines], [line.params["index"] for line in lines]
        if all(type(i) is int for i in indices):
            return self._rows(list(zip(bases, indices, strict=True)), key)
        if all(repr(i) == repr(indices[0]) for i in indices) and is_basic(indices[0]) and len(set(bases)) == len(bases):
            whole = self.stack(bases)
            if isinstance(whole, Name):
                index = indices[0] if type(indices[0]) is tuple else (indices[0],)
                return self._part(whole, (slice(None), *index), key)
        if len(set(bases)) == 1 and all(type(i) is tuple for i in indices):
            return self._steps_along(bases[0], indices, key)
        return None

    def _steps_along(self, base: Name, indices: Sequence[tuple[Any, ...]], key: tuple[str, ...]) -> Any:
        """x[:, 0], x[:, 1], ...: the axis that is stepped along, brought to the front."""
        first = indices[0]
        if any(len(i) != len(first) or any(type(p) not in (int, slice) for p in i) for i in indices):
            return None
        stepped = [a for a in range(len(first)) if any(repr(i[a]) != repr(first[a]) for i in indices)]
        if len(stepped) != 1 or any(type(i[stepped[0]]) is not int for i in indices):
            return None
        places = [i[stepped[0]] for i in indices]
        step = places[1] - places[0]
        if places[0] < 0 or step < 1 or places != [places[0] + t * step for t in range(len(places))]:
            return None
        steps = slice(places[0], places[-1] + 1, step if step > 1 else None)
        part = self._part(base, tuple(steps if a == stepped[0] else p for a, p in enumerate(first)), ("", *key))
        axis = sum(type(p) is slice for p in first[: stepped[0]])
        if not axis:
            self.of[key] = part
            return part
        order = (axis, *[a for a in range(len(self.shapes[part])) if a != axis])
        shape = tuple(self.shapes[part][a] for a in order)
        self.of[key] = self.add(self.position[str(part)], Line(self.fresh("turned"), transpose, (part,), {"axes": order}, shape,
                                                               self.dtypes[part]))
        return self.of[key]

    def _rows(self, places: Sequence[tuple[Name, int]], key: tuple[str, ...]) -> Any:
        """Entries of one array, evenly spaced and in order."""
        whole, first = places[0]
        step = places[1][1] - first
        if step < 1 or first < 0 or any(array != whole or i != first + t * step for t, (array, i) in enumerate(places)):
            return None
        if len(places) == self.shapes[whole][0]:
            return whole
        last = first + (len(places) - 1) * step + 1
        return self._part(whole, slice(first, last) if step == 1 else slice(first, last, step), key)

    def with_axes(self, whole: Name, count: int) -> Name:
        """A stack with axes of one entry after its first, so that it has this many: NumPy spreads from the last axis on."""
        missing = count - len(self.shapes[whole])
        return self._part(whole, (slice(None), *[None] * missing), ("", whole, str(count))) if missing > 0 else whole

    def _part(self, whole: Name, index: Any, key: tuple[str, ...]) -> Name:
        shape = np.broadcast_to(np.empty(()), self.shapes[whole])[index].shape
        line = Line(self.fresh("part"), getitem, (whole,), {"index": index}, shape, self.dtypes[whole])
        self.of[key] = self.add(self.position.get(str(whole), -1), line)
        return line.name


def inserted(program: Program, stacks: Stacks, dropped: set[str], by: dict[str, Any]) -> Program:
    """The program with the new lines at their places and others left out."""
    at: dict[int, list[Line]] = {}
    for position, line in stacks.new:
        at.setdefault(position, []).append(line)
    lines = [reworded(line, by) for line in at.get(-1, ())]
    renamed_ones = by.keys()
    for i, line in enumerate(program.lines):
        if line.name not in dropped:
            lines.append(line if renamed_ones.isdisjoint(line.uses()) else reworded(line, by))
        if i in at:
            lines += [reworded(new, by) for new in at[i]]
    outputs = {k: renamed(v, by) for k, v in program.outputs.items()}
    updates = tuple(replace(u, value=by.get(str(u.value), u.value)) for u in program.updates)
    new = {name for _, line in stacks.new for name in line.uses()}
    constants = program.constants | {name: value for name, value in stacks.constants.items() if name in new}
    return replace(program, lines=tuple(lines), outputs=outputs, updates=updates, constants=constants,
                   derived=program.derived | {str(name) for name in stacks.constants})


__all__ = ["Stacks", "inserted"]
