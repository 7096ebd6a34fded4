"""Which values of a program share memory, how long each is needed, and what can be written over what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from ..rules import TABLE
from ..rules.indexing import is_basic
from ..tensor import Primitive
from .blocks import part_writes_over
from .donate import FLAT, Flat
from .expand import GATE, LOG_OF_TOTAL, ufunc_of
from .fuse import BLOCKED, PART
from .places import ADD_AT, COPY, PLACE
from .program import Line, Name, Program, names_in


class Lifetimes:
    """What the emitter knows of the memory of values before it writes a line.

    root : for every value the one whose memory it is a view of. lies_in : all memory it may be a view of, where that is not
    its root alone. last : the position of the last line that reads a root's memory. preplaced : values that their lines write
    straight into a part of a larger array. over : new values of updated arrays that are written over the old ones; moved : the
    updates that take a copy at the end.
    """

    program: Program
    copy: bool
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, Any]
    line_of: dict[str, Line]
    results: Set[Name]
    owned: set[str]
    flat_of: dict[str, Flat]

    def _roots(self) -> None:
        """For every value the one whose memory it is a view of."""
        self.root: dict[str, str] = {str(x.name): str(x.name) for x in self.program.inputs}
        self.root |= {str(name): str(name) for name in self.program.constants}
        self.root |= {str(flat.name): str(flat.name) for flat in self.program.flats}
        self.root |= {name: str(flat.name) for name, flat in self.flat_of.items()}
        self.lies_in: dict[str, set[str]] = {}  # value -> all memory it may be a view of, where that is not its root alone
        self.contiguous = {str(x.name): str(x.name) in self.owned for x in self.program.inputs}
        self.contiguous |= {str(name): bool(value.flags.c_contiguous) for name, value in self.program.constants.items()}
        for line in self.program.lines:
            name = line.name
            renamed = line.op.name in _RENAMED and isinstance(line.operands[0], Name)
            viewed = renamed and self._is_view(line)
            self.root[name] = self.root[line.operands[0]] if viewed else name
            self.contiguous[name] = not viewed or (line.op.name == "reshape")
            if renamed or may_view(line):
                found = self._may_lie_in(line)
                if len(found) > 1:
                    self.lies_in[name] = found

    def _may_lie_in(self, line: Line) -> set[str]:
        """All memory that a value may be a view of: a reshape makes a copy or a view, a user's function anything."""
        root = self.root[line.name]
        if line.op.name in ("reshape", "getitem") and isinstance(line.operands[0], Name) and line.shape:
            sources: Sequence[Name] = line.operands[:1]
        elif root is line.name:
            sources = [x for x in line.uses() if self.shapes[x]] if may_view(line) else []
        else:
            return {root, *self.lies_in.get(line.operands[0], ())}
        return {root}.union(*[self.lies_in.get(x) or (self.root[x],) for x in sources])

    def _read(self, name: str, i: int, last: dict[str, int]) -> None:
        """A value is read at line i, and with it whatever memory it lies in."""
        for root in self.lies_in.get(name, ()) or (self.root[name],):
            last[root] = i

    def _is_view(self, line: Line) -> bool:
        op, source = line.op.name, line.operands[0]
        if not line.shape:
            return False
        if op in ("transpose", "identity"):
            return True
        if op == "getitem":
            return is_basic(line.params["index"])
        if op == "reshape":
            return self.contiguous[source]
        return op == "broadcast_to" and self.shapes[source] != ()

    def _lifetimes(self) -> None:
        self.last: dict[str, int] = {}
        for i, line in enumerate(self.program.lines):
            for name in line.uses():
                if name in self.lies_in:
                    self._read(name, i, self.last)
                else:
                    self.last[self.root[name]] = i
        read_by_lines = self.last.copy()
        end = len(self.program.lines)
        for name in self.results:
            self._read(name, end, self.last)
        for update in self.program.updates:
            self._read(update.value, end, self.last)
        self.returned_roots = {self.root[name] for name in self.results} if self.copy else set()
        self._updates_in_place(read_by_lines)
        self.preplaced: dict[str, tuple[str, int]] = {}  # value -> (flat memory, where in it)
        for line in self.program.lines:
            if line.op is FLAT or (line.op is PLACE and str(line.name) not in self.returned_roots):
                start = 0
                for k, x in enumerate(line.operands):
                    x = self._same_memory(x) if line.op is FLAT else x
                    own = x in self.line_of and self.root[x] == x and x not in self.preplaced and self.shapes[x] != ()
                    if own and x not in self.returned_roots and (line.op is FLAT or self._fits(x, line, k)):
                        for part in self._written(x):
                            self.preplaced[part] = (str(line.name), start if line.op is FLAT else k)
                            self.last[part] = max(self.last.get(part, 0), self.last.get(str(line.name), 0))
                        self.last[str(line.name)] = self.last[str(x)]
                    start += math.prod(self.shapes[x])

    def _same_memory(self, x: Name) -> Name:
        """A value whose entries lie in the same order: a row for the column that is its transpose."""
        while x in self.line_of and self.line_of[x].op.name in ("transpose", "reshape") and self.root[x] != x:
            line = self.line_of[x]
            source = line.operands[0]
            if line.op.name == "transpose" and not (len(line.shape) == 2 and 1 in line.shape):
                break
            if source not in self.line_of or self.shapes[source] == ():
                break
            x = source
        return x

    def _written(self, x: str) -> list[str]:
        """A value, and what it is made of by adding to a part of it in place."""
        found = [str(x)]
        while self.line_of[found[-1]].op is ADD_AT:
            base = self.line_of[found[-1]].operands[0]
            if base not in self.line_of or self.root[base] != base or base in self.preplaced or (
                    self.program.uses.get(base) != 1) or (
                    ufunc_of(self.line_of[base].op) is None and self.line_of[base].op is not ADD_AT):
                break
            found.append(str(base))
        return found

    def _fits(self, x: Name, line: Line, k: int) -> bool:
        """Whether an operation can write its result into a part of a larger array: products need rows without gaps."""
        if self.line_of[x].op.name != "matmul":
            return (ufunc_of(self.line_of[x].op) is not None or self.line_of[x].op.name.endswith(".reduce")
                    or self.line_of[x].op is ADD_AT or (self.line_of[x].op is PLACE and line.op is PLACE))
        return type(line.params["indices"][k]) is int

    def _updates_in_place(self, reads: dict[str, int]) -> None:
        """Which new values can be written over the old ones by the very line that makes them."""
        self.over: dict[str, str] = {}  # value -> the target whose memory it is written to
        self.moved: list[Any] = []  # the updates that take a copy at the end
        if not self.program.updates:
            return
        index = self.program.position.copy()
        settled = last_that_may_fail(self.program)
        for name in self.results - self.owned:  # old values that are returned
            self._read(name, len(self.program.lines), reads)
        for update in self.program.updates:
            value, target = str(update.value), str(update.target)
            made = self.line_of.get(value)
            plain = made is not None and self.root[value] == value and ufunc_of(made.op) is not None and not made.params
            if made is not None and made.op is PART:
                plain = part_writes_over(self, made, target)
                index[value] = index[str(made.operands[0])]
            last_read = reads.get(self.root[target], -1)
            if plain and self.shapes[value] and value not in self.over and last_read <= index[value] and settled < index[
                    value] and self.shapes[value] == self.shapes[target] and self._is_whole(target):
                self.over[value] = target
                self._lend(value, target, max(reads.get(self.root[target], -1), settled + 1), index)
            else:
                self.moved.append(update)

    def _lend(self, value: str, target: str, read: int, index: Mapping[str, int]) -> None:
        """What a new value is made of is written over the old one too, if nothing reads the old one after that."""
        while self.line_of[value].op is not PART:
            found = [str(x) for x in self.line_of[value].operands if isinstance(x, Name) and x in self.line_of
                     and self.program.uses.get(x) == 1 and self.shapes[x] == self.shapes[target] and
                     self.dtypes[x] == self.dtypes[target] and self.root[x] == x and index[x] >= read and x not in self.over
                     and ufunc_of(self.line_of[x].op) is not None and not self.line_of[x].params]
            if not found:
                return
            value = min(found, key=lambda x: index[x])
            self.over[value] = target

    def _is_whole(self, target: str) -> bool:
        """Whether nothing else lies in the memory of a target, so that what reads that memory reads the target."""
        return self.root[target] == target or len(self.flat_of[target].members) == 1 or not any(
            self.flat_of[target] is self.flat_of.get(str(u.target)) and str(u.target) != target for u in self.program.updates)


_RENAMED = {"transpose", "identity", "getitem", "reshape", "broadcast_to"}  # results that may be another name of an operand's
_NEVER_FAIL = {"matmul", "transpose", "reshape", "identity", "broadcast_to", "sum", "mean", "sum_to", "where", "concatenate",
               "stack", "squared_norm", "log_of_total"}


def may_fail(line: Line) -> bool:
    """Whether the numbers may make a line raise: a label out of range, a singular matrix, a mask of another count."""
    op = line.op
    if ufunc_of(op) is not None or op.name.endswith(".reduce") or op in (FLAT, PLACE, ADD_AT, COPY, BLOCKED, PART, GATE):
        return False
    if op.name == "getitem":
        return not is_basic(line.params["index"])
    return op.name not in _NEVER_FAIL or (TABLE.get(op.name) is not op and op is not LOG_OF_TOTAL)


def last_that_may_fail(program: Program) -> int:
    """The position of the last line that the numbers may make raise; -1 where there is none."""
    safe: set[Primitive] = set()  # operations found to be
    for line in reversed(program.lines):
        if line.op not in safe:
            if may_fail(line):
                return program.position[line.name]
            if line.op.name != "getitem":  # where it depends on the index
                safe.add(line.op)
    return -1


_VIEWS = {"eig_values", "eigh_values", "svd_values", "einsum", "flip", "getitem", "identity", "reshape", "transpose", "fold",
          "unfold", "max_pool", "window_sum", "resample", "resample_back", "independent", "mirror", "broadcast_to"}


def may_view(line: Line) -> bool:
    """Whether a call's result may share memory with an operand: of the engine's few do, of others nobody knows."""
    op = line.op
    if op.name not in _VIEWS and TABLE.get(op.name) is op:
        return False
    if not line.shape or ufunc_of(op) is not None or op.kind == "draw" or op.name.endswith(".reduce") or op is COPY:
        return False
    if TABLE.get(op.name) is op:
        return op.name in _VIEWS
    module = str(getattr(op.forward, "__module__", ""))
    return not module.startswith(__package__) or module.endswith(".traced")


def updates_last(program: Program) -> Program:
    """Lines that make new values of updated inputs, and that nothing else needs, come last: the old values are read first."""
    last = {str(u.value) for u in program.updates}
    if not last:
        return program
    needed: set[str] = {name for out in program.outputs.values() for name in names_in(out)}
    late: set[str] = set()
    for line in reversed(program.lines):
        if line.name in last and line.name not in needed:
            late.add(line.name)
        else:
            needed.update(line.uses())
    if all(line.name in late for line in program.lines[len(program.lines) - len(late):]):
        return program
    return replace(program, lines=(*[x for x in program.lines if x.name not in late],
                                   *[x for x in program.lines if x.name in late]))


__all__ = ["Lifetimes", "may_view", "updates_last"]
