"""Entrywise lines on large arrays gathered into regions, which run block by block so that what lies between stays in cache.

An array that does not fit into the cache is fetched from memory by every operation on it. A region takes some rows of all
its arrays at a time, does everything with them, and goes on to the next rows: values that only the region needs exist for
one block at a time. Sums over what a region computes are taken along, a partial sum for every block.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..tensor import Primitive
from .algebra import is_entrywise
from .program import Line, Name, Program, names_in, renamed, value_of
from .workers import threads_allowed

Shape = tuple[int, ...]

ENTRIES = 32768  # of the smallest array that is looked at
LARGE = 400 << 10  # bytes of the smallest array for which blocks were measured to pay
SAVED = 3 << 20  # bytes that need not be written to memory and read from it again
BLOCK = 128 << 10  # bytes of one array in a block: some ten of them fit into the second-level cache
SHARED = 16 << 20  # bytes that the operations of a region write, from which waking other threads pays
THREAD_BLOCK = 512 << 10  # and where threads share the work: longer calls, so that they seldom wait for each other
EVEN = 4  # threads that find equal work
WIDEST_ROW = 512 << 10
WORTH_A_THREAD = 6e5  # nanoseconds of work

_COSTLY = {"exp": 0.6, "log": 0.6, "log1p": 0.8, "expm1": 0.8, "tanh": 0.5, "sin": 1.0, "cos": 1.0, "arctan": 1.5, "power": 4.0,
           "sqrt": 0.5, "divide": 0.4, "where": 0.6}


@dataclass(frozen=True, eq=False)
class Region:
    """What a blocked line does.

    inputs : the names that `lines` have for the blocked line's operands. outputs : the names of values used later.
    shape : of the arrays. split : how many leading axes are cut into blocks together. step : how many rows (entries of the
    leading axes) a block has. threads : how many threads may share the blocks. summed : how many rows are summed at a time,
    the same for any number of threads.
    """

    inputs: tuple[Name, ...]
    lines: tuple[Line, ...]
    outputs: tuple[Name, ...]
    shape: Shape
    split: int
    step: int
    threads: int
    summed: int

    @property
    def rows(self) -> int:
        return math.prod(self.shape[: self.split])

    def __repr__(self) -> str:
        return f"<{len(self.lines)} lines on {'×'.join(map(str, self.shape))}>"


def _run(*operands: Any, region: Region) -> dict[str, Any]:
    values: dict[str, Any] = dict(zip(region.inputs, operands, strict=True))
    for line in region.lines:
        values[line.name] = value_of(line, values)
    return values


BLOCKED = Primitive("blocked", _run)
PART = Primitive("part", lambda values, of: values[of])  # one of a region's values


# ---------------------------------------------------------------- how arrays are cut


def split_of(shape: Shape, itemsize: int) -> int:
    """How many leading axes to cut together: one, more where a row would be too wide or there is but one row."""
    for split in range(1, len(shape)):
        if math.prod(shape[:split]) > 1 and math.prod(shape[split:]) * itemsize <= WIDEST_ROW:
            return split
    return len(shape)


def cut(shape: Shape, whole: Shape, split: int) -> str | None:
    """How an operand of this shape goes with blocks of the whole: "rows" of it, or "all" of it for every block, or None."""
    if len(shape) > len(whole):
        return None
    padded = (1,) * (len(whole) - len(shape)) + tuple(shape)
    if padded[:split] == whole[:split]:
        return "rows"
    return "all" if all(n == 1 for n in padded[:split]) else None


def reduced_axes(line: Line, shape: Shape) -> tuple[int, ...]:
    """The axes along which a reduction of an array of this shape goes."""
    axis = line.params.get("axis")
    if axis is None:
        return tuple(range(len(shape)))
    return tuple(sorted(a % len(shape) for a in ((axis,) if isinstance(axis, int) else axis)))


def is_total(line: Line) -> bool:
    """Whether a line multiplies and sums all entries: a squared norm, or the product of two vectors."""
    return line.op.name == "squared_norm" or (line.op.name == "matmul" and line.shape == ())


def crosses(line: Line, shape: Shape, split: int) -> bool | None:
    """Whether a reduction joins rows of several blocks; None where it joins some of the leading axes only."""
    if is_total(line):
        return True
    axes = reduced_axes(line, shape)
    if set(range(split)) <= set(axes):
        return True
    return False if axes and min(axes) >= split else None


# ---------------------------------------------------------------- which lines go together


class _Grouping:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.shapes, self.dtypes = program.kinds
        self.line_of = program.line_of
        self.kept = {str(name) for out in program.outputs.values() for name in names_in(out)}
        self.kept |= {str(update.value) for update in program.updates}
        self.users: dict[str, list[Line]] = {}
        for line in program.lines:
            for name in dict.fromkeys(line.uses()):
                self.users.setdefault(str(name), []).append(line)
        self.splits: dict[Shape, int] = {}
        self.kind: dict[str, Shape] = {}  # line -> the shape of the arrays in its region
        self.turn: dict[str, int] = {}  # and how many regions must have run before it
        self.after: dict[str, int] = {}  # the same of lines in no region
        self.inside: set[str] = set()  # values that lines of the same region can use

    def groups(self) -> list[list[Line]]:
        """Lines that can run in one loop; no group waits for another that waits for it."""
        for line in self.program.lines:
            shape = self._shape_of_region(line)
            if shape is None:
                self.after[str(line.name)] = max((self._need(str(x)) for x in line.uses()), default=0)
                continue
            name = str(line.name)
            self.kind[name] = shape
            self.turn[name] = max((self.turn[x] if self._joins(str(x), shape) else self._need(str(x)) for x in line.uses()),
                                  default=0)
            if is_entrywise(line) or (line.params.get("keepdims") and not crosses(
                    line, self.shapes[line.operands[0]], self.splits[shape])):
                self.inside.add(name)
        self._postpone()
        return self._connected()

    def _need(self, name: str) -> int:
        return self.turn[name] + 1 if name in self.turn else self.after.get(name, 0)

    def _joins(self, name: str, shape: Shape) -> bool:
        return self.kind.get(name) == shape and name in self.inside

    def _shape_of_region(self, line: Line) -> Shape | None:
        names = [x for x in line.operands if isinstance(x, Name)]
        if len(names) < len(list(line.uses())) or any(self.dtypes[x] is None or self.dtypes[x].kind not in "fbiu" for x in (
                *names, line.name)):
            return None
        if is_entrywise(line):
            shape = tuple(line.shape)
            if math.prod(shape) >= ENTRIES:
                return shape if self._fits(line, shape) else None
            for x in names:  # one number for every row
                if x in self.inside and self._fits(line, self.kind[x]) and cut(
                        shape, self.kind[x], self.splits[self.kind[x]]) == "rows" and len(shape) == len(self.kind[x]):
                    return self.kind[x]
            return None
        if not names:
            return None
        shape = self.shapes[names[0]]
        if math.prod(shape) < ENTRIES or not self._fits(line, shape):
            return None
        if line.op.name == "matmul":
            return shape if all(self.shapes[x] == shape and self.dtypes[x].kind == "f" for x in names) and len(
                shape) == 1 and len(names) == 2 else None
        if line.op.name == "squared_norm":
            return shape if self.dtypes[names[0]].kind == "f" else None
        if line.op.name not in ("add.reduce", "maximum.reduce", "minimum.reduce") or self.dtypes[names[0]].kind not in "fb":
            return None
        return shape if crosses(line, shape, self.splits[shape]) is not None else None

    def _fits(self, line: Line, shape: Shape) -> bool:
        """Whether all operands can be cut as arrays of this shape are."""
        if shape not in self.splits:
            self.splits[shape] = split_of(shape, np.dtype(line.dtype).itemsize)
        split = self.splits[shape]
        if is_entrywise(line) and cut(tuple(line.shape), shape, split) != "rows":
            return False
        return all(cut(self.shapes[x], shape, split) is not None if isinstance(x, Name) else np.ndim(x) == 0 and not isinstance(
            x, (str, bytes, complex)) for x in line.operands)

    def _postpone(self) -> None:
        """A line moves to the region that needs it, where what it is made of is there anyway."""
        lines = self.program.lines
        for line in reversed(lines):
            name = str(line.name)
            if name not in self.inside or name in self.kept:
                continue
            users = self.users.get(name, ())
            if not users or any(self.kind.get(str(u.name)) != self.kind[name] for u in users):
                continue
            turn = min(self.turn[str(u.name)] for u in users)
            if turn > self.turn[name] and all(self._stays(str(x), turn) for x in line.uses() if self.shapes[x] == line.shape):
                self.turn[name] = turn

    def _stays(self, name: str, turn: int) -> bool:
        """Whether a value is in memory anyway when the regions before this turn have run."""
        if name not in self.line_of or name in self.kept:
            return True
        if name not in self.turn or name not in self.inside:
            return any(self._need(str(u.name)) > turn for u in self.users[name])
        return self.turn[name] >= turn or any(self.turn.get(str(u.name), -1) >= turn for u in self.users[name])

    def _connected(self) -> list[list[Line]]:
        """The lines of one turn and shape, apart where they have no array in common."""
        parent: dict[Any, Any] = {}

        def find(x: Any) -> Any:
            while parent.setdefault(x, x) != x:
                parent[x] = parent[parent[x]]
                x = parent[x]
            return x

        for line in self.program.lines:
            if line.name not in self.turn:
                continue
            own = (self.kind[line.name], self.turn[line.name])
            for x in line.uses():
                if math.prod(self.shapes[x]) >= ENTRIES or self._joins(str(x), own[0]):
                    parent[find((*own, str(x)))] = find((*own, str(line.name)))
        found: dict[Any, list[Line]] = {}
        for line in self.program.lines:
            if line.name in self.turn:
                found.setdefault(find((self.kind[line.name], self.turn[line.name], str(line.name))), []).append(line)
        return list(found.values())


def _saved(grouping: _Grouping, group: Sequence[Line]) -> int:
    """The bytes that a region leaves in the cache: values of its own, and what it reads more than once."""
    inside = {str(line.name) for line in group}
    reads: dict[str, int] = {}
    for line in group:
        for x in line.uses():
            reads[str(x)] = reads.get(str(x), 0) + 1
    total = 0
    for name, count in reads.items():
        size = math.prod(grouping.shapes[name]) * grouping.dtypes[name].itemsize
        own = name in inside and name not in grouping.kept and all(u.name in inside for u in grouping.users[name])
        total += size * (count + 1 if own else count if name in inside else count - 1)
    return total


def _work(lines: Iterable[Line], shapes: Mapping[str, Shape], dtypes: Mapping[str, Any]) -> tuple[int, float]:
    """The bytes of the largest array that lines read or write, and roughly the nanoseconds that they compute."""
    largest, time = 0, 0.0
    for line in lines:
        sizes = [math.prod(shapes[x]) * dtypes[x].itemsize for x in line.uses()]
        size = max(*sizes, math.prod(line.shape) * np.dtype(line.dtype).itemsize, 0)
        largest = max(largest, size)
        time += size / 4 * _COSTLY.get(line.op.name, 0.15)
    return largest, time


# ---------------------------------------------------------------- the pass


def fuse(program: Program, threads: int | None = None) -> Program:
    """Gather entrywise lines on large arrays, and reductions of them, into lines that run block by block.

    No number changes but sums over blocks. `threads` (default: as many as allowed) may share a region with enough work.
    """
    shapes, dtypes = program.kinds
    if not any(math.prod(shape) * dtype.itemsize >= LARGE for shape, dtype in {*zip(
            shapes.values(), dtypes.values(), strict=True)} if dtype is not None):
        return program
    allowed = threads_allowed() if threads is None else threads
    grouping = _Grouping(program)
    units: dict[str, int] = {}  # line -> its unit
    members: list[tuple[list[Line], float]] = []
    for group in grouping.groups():
        largest, time = _work(group, grouping.shapes, grouping.dtypes)
        if largest >= LARGE and (_saved(grouping, group) >= SAVED or (time > 2 * WORTH_A_THREAD and allowed > 1)):
            for line in group:
                units[str(line.name)] = len(members)
            members.append((group, time))
    if not members:
        return program
    taken = {*grouping.shapes}
    lines: list[Line] = []
    for unit in _in_order(program, units, [group for group, _ in members]):
        if isinstance(unit, Line):
            lines.append(unit)
            continue
        group, time = members[unit]
        k = 1
        while f"region{k}" in taken:
            k += 1
        taken.add(f"region{k}")
        lines += _blocked(Name(f"region{k}"), group, grouping, max(1, min(allowed, int(time / WORTH_A_THREAD))))
    return replace(program, lines=tuple(lines))


def _in_order(program: Program, units: Mapping[str, int], groups: Sequence[Sequence[Line]]) -> list[Line | int]:
    """Lines and groups, each after what it needs, otherwise in the old order; draws keep theirs."""
    index = {str(line.name): i for i, line in enumerate(program.lines)}
    key = {str(line.name): index[str((groups[units[line.name]][-1] if line.name in units else line).name)]
           for line in program.lines}
    item: dict[int, Line | int] = {key[str(line.name)]: units.get(str(line.name), line) for line in program.lines}
    needs: dict[int, set[int]] = {k: set() for k in item}
    drawn: int | None = None
    for line in program.lines:
        own = key[str(line.name)]
        needs[own].update(key[x] for x in line.uses() if x in key and key[x] != own)
        if line.op.kind == "draw":
            if drawn is not None:
                needs[own].add(drawn)
            drawn = own
    users: dict[int, list[int]] = {}
    for k, before in needs.items():
        for b in before:
            users.setdefault(b, []).append(k)
    waiting = {k: len(before) for k, before in needs.items()}
    ready = [k for k, n in waiting.items() if not n]
    heapq.heapify(ready)
    ordered: list[Line | int] = []
    while ready:
        k = heapq.heappop(ready)
        ordered.append(item[k])
        for user in users.get(k, ()):
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, user)
    assert len(ordered) == len(item)
    return ordered


def _blocked(name: Name, group: Sequence[Line], grouping: _Grouping, threads: int) -> list[Line]:
    """The line that runs a group, and the lines that name its values."""
    inside = {str(line.name) for line in group}
    inputs = tuple(dict.fromkeys(x for line in group for x in line.uses() if x not in inside))
    outputs = tuple(line.name for line in group if line.name in grouping.kept or any(
        u.name not in inside for u in grouping.users.get(str(line.name), ())))
    shape = grouping.kind[str(group[0].name)]
    split = grouping.splits[shape]
    itemsize = max(np.dtype(line.dtype).itemsize for line in group)
    row = math.prod(shape[split:]) * itemsize
    rows = math.prod(shape[:split])
    if math.prod(shape) * len(group) * itemsize < SHARED:
        threads = 1
    sums = max(1, round(rows / max(1, BLOCK // row)))  # blocks of nearly equal length,
    together = max(1, THREAD_BLOCK // BLOCK)
    if sums > together:
        sums += -sums % (together * EVEN)  # as many for every thread,
    summed = -(-rows // sums)
    whole_lines = 64 // math.gcd(64, row // itemsize)
    summed += -summed % whole_lines  # which begin where a line of the cache does
    step = summed * together if threads > 1 else summed
    region = Region(inputs, tuple(group), outputs, shape, split, step, min(threads, -(-rows // step)), summed)
    kind = group[-1].kind
    lines = [Line(name, BLOCKED, inputs, {"region": region}, (), np.float64, kind)]
    for line in group:
        if line.name in outputs:
            lines.append(Line(line.name, PART, (name,), {"of": str(line.name)}, line.shape, line.dtype, line.kind, line.named))
    return lines


def body(line: Line) -> list[Line]:
    """The lines of a region, with the names that its operands have now."""
    region: Region = line.params["region"]
    by = {str(formal): x for formal, x in zip(region.inputs, line.operands, strict=True) if formal != x}
    return [replace(x, operands=tuple(renamed(y, by) for y in x.operands)) for x in region.lines] if by else list(region.lines)


__all__ = ["BLOCKED", "PART", "Region", "body", "crosses", "cut", "fuse", "is_total", "reduced_axes", "split_of"]
