"""A loop of a program of single numbers, printed as a `for` statement.

What a later part reads is kept in a list; what comes from before the loop is iterated over; what the next round reads
stays in its variable.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from .rounds import Carried, Each, Fixed, Rounds, Same
from .spellings import ATOM, PRODUCT, SIGN, SUM

LONGEST, DEEPEST = 30, 12  # operations and brackets in one expression
AGAIN = 3  # operations that are quicker than a list


class _Again(NamedTuple):
    """A value computed once more: an operation like it, and its operands."""

    node: int
    operands: tuple[Any, ...]

    def leaves(self) -> Iterator[Any]:
        for x in self.operands:
            if type(x) is _Again:
                yield from x.leaves()
            else:
                yield x

    def reads(self) -> set[tuple[int, ...]]:
        return {x.values for x in self.leaves() if type(x) is Each}


class Rolled:
    """One loop on its way to source, for the Printer (of scalars.py) of the whole program.

    kept : the places whose values of all rounds are needed later, with the name of their list. variable : what the value
    of a place is called in the round, and afterwards that of the last round. derived : values from before the loop that
    are quicker computed again, from others that are iterated over, than kept: the operation and what it reads.
    """

    def __init__(self, printer: Any, loop: Rounds) -> None:
        self.printer, self.loop = printer, loop
        self.kept: dict[int, str] = {}
        self.before: dict[int, int] = {}  # places whose list begins with a value from before the loop: which
        self.needed: set[int] = set()  # places with a value that is read after the loop
        self.variable: dict[int, str] = {}
        self.names = [self._base(j) for j in range(loop.period)]
        self.derived: dict[tuple[int, ...], _Again] = {}
        self._derive()

    def _derive(self) -> None:
        """Find what takes a few operations on floats to compute again; a list of its own costs about as many."""
        sequences = list(dict.fromkeys(x.values for reads in self.loop.reads for x in reads if type(x) is Each))
        for values in sequences:
            others = {v for v in sequences if v != values and v not in self.derived}
            again = self._again(values, others, AGAIN)
            if again is not None and not any(values in other.reads() for other in self.derived.values()):
                self.derived[values] = again
        self.lists = len(sequences) - len(self.derived)

    def _again(self, values: tuple[int, ...], others: set[tuple[int, ...]], most: int) -> _Again | None:
        nodes = self.printer.nodes
        kind = nodes.kinds[values[0]] if min(values) >= nodes.count else None
        if kind is None or not most or kind.spelling.binds not in (SUM, PRODUCT, SIGN) or any(
                nodes.kinds[i] is not kind for i in values):
            return None
        operands: list[Any] = []
        for k in range(len(nodes.operands[values[0]])):
            mine = tuple([nodes.operands[i][k] for i in values])
            if mine.count(mine[0]) == len(mine):
                operands.append(Fixed(mine[0]))
            elif mine in others:
                operands.append(Each(mine))
            else:
                inner = self._again(mine, others, most - 1)
                if inner is None or kind.spelling.twice:
                    return None
                operands.append(inner)
        return _Again(values[0], tuple(operands)) if any(type(x) is not Fixed for x in operands) else None

    def outside(self) -> Iterator[int]:
        """The values it reads from before, as it is printed."""
        for x in self._leaves():
            if type(x) is Fixed:
                yield x.value
            elif type(x) is Each and x.values not in self.derived:
                yield from x.values
            elif type(x) is Carried:
                yield from x.first

    def _base(self, j: int) -> str:
        """The user's name for a place, without the number of the round."""
        nodes, loop = self.printer.nodes, self.loop
        i = loop.start + j + (loop.count - 1) * loop.period
        name = nodes.names[i]
        return name.rstrip("0123456789_") or name if nodes.named[i] else ""

    def look(self, i: int) -> None:
        """Note that a value is read from outside."""
        r, j = divmod(i - self.loop.start, self.loop.period)
        self.needed.add(j)
        if r != self.loop.count - 1:
            self.kept.setdefault(j, "")

    def join(self) -> None:
        """Let a list that a loop goes through begin with what the loop reads next to the list's first value."""
        for values in {x.values for x in self._leaves() if type(x) is Each and x.values not in self.derived}:
            for i, beside in ((values[0], values[1]), (values[-1], values[-2])):
                inside = self.printer.loop_at(beside)
                if inside is not None and i < inside.loop.start <= beside < inside.loop.start + inside.loop.period:
                    inside.before.setdefault(beside - inside.loop.start, i)

    def _leaves(self) -> Iterator[Any]:
        for reads in (*[again.leaves() for again in self.derived.values()], *self.loop.reads):
            yield from reads

    def name(self) -> None:
        """Give everything its name that is read outside."""
        for j in sorted(self.needed):
            self.variable[j] = self.printer.fresh(self.names[j] or "v")
        for j in sorted(self.kept):
            self.kept[j] = self.printer.fresh(f"{self.variable[j]}s")

    def value(self, i: int) -> str:
        """A value as it is read outside."""
        r, j = divmod(i - self.loop.start, self.loop.period)
        return self.variable[j] if r == self.loop.count - 1 else f"{self.kept[j]}[{r + (j in self.before)}]"

    # -- the loop

    def write(self) -> None:
        loop, printer = self.loop, self.printer
        self._expressions()
        sequences: dict[tuple[int, ...], str] = {}
        fixed: dict[int, str] = {}
        carried: dict[Carried, str] = {}
        shifts: list[tuple[str, str]] = []
        for x in self._leaves():
            if type(x) is Each and x.values not in sequences and x.values not in self.derived:
                sequences[x.values] = printer.fresh(self._sequence_name(x.values))
            elif type(x) is Fixed and x.value not in fixed:
                fixed[x.value] = self._invariant(x.value)
            elif type(x) is Carried and x not in carried:
                self._register(x, carried, shifts)
        self._sequences, self._fixed, self._carried = sequences, fixed, carried
        for j in sorted(self.kept):
            printer.body.append(f"{self.kept[j]} = [{printer.read(self.before[j]) if j in self.before else ''}]")
        printer.body.append(self._head())
        for values, again in self.derived.items():
            name = printer.fresh(self._sequence_name(values))
            printer.body.append(f"    {name} = {self._again_text(again)[0]}")
            sequences[values] = name
        for j in range(loop.period):
            if self.stored[j]:
                self._texts[j], self._binds[j] = self._expression(j)
                printer.body.append(f"    {self.variable[j]} = {self._texts[j]}")
                if j in self.kept:
                    printer.body.append(f"    {self.kept[j]}.append({self.variable[j]})")
            else:
                self._texts[j], self._binds[j] = self._expression(j)
        if shifts:
            left, right = ", ".join(a for a, _ in shifts), ", ".join(b for _, b in shifts)
            printer.body.append(f"    {left} = {right}")

    def _expressions(self) -> None:
        """Decide which values get a variable, and which stand where they are used."""
        loop, printer = self.loop, self.printer
        kinds = printer.nodes.kinds
        users: list[list[int]] = [[] for _ in range(loop.period)]
        self.carriers = {x.place for reads in loop.reads for x in reads if type(x) is Carried}
        for j, reads in enumerate(loop.reads):
            for x in reads:
                if type(x) is Same:
                    users[x.place].append(j)
        self.stored = [True] * loop.period
        weight, depth = [0] * loop.period, [0] * loop.period
        for j, reads in enumerate(loop.reads):
            inner = [x.place for x in reads if type(x) is Same and not self.stored[x.place]]
            heavy = 1 + sum([weight[k] for k in inner])
            deep = 1 + max([depth[k] for k in inner], default=0)
            if len(users[j]) == 1 and j not in self.needed and j not in self.carriers and heavy < LONGEST and deep < DEEPEST:
                user = kinds[loop.start + users[j][0]]
                if user is not None and not user.spelling.twice:
                    self.stored[j] = False
                    weight[j], depth[j] = heavy, deep
        self.where = list(range(loop.period))  # the statement a value is computed in
        for j in reversed(range(loop.period)):
            if not self.stored[j]:
                self.where[j] = self.where[users[j][0]]
            elif j not in self.variable:
                self.variable[j] = printer.fresh(self.names[j] or "v")
        self._texts: list[str] = [""] * loop.period
        self._binds = [0] * loop.period

    def _register(self, x: Carried, carried: dict[Carried, str], shifts: list[tuple[str, str]]) -> None:
        """A variable for a value of an earlier round: the value's own, if nobody needs the old one once the new is there."""
        printer, loop = self.printer, self.loop
        variable, last = self.variable[x.place], len(x.first)
        readers = [self.where[j] for j, reads in enumerate(loop.reads) if x in reads]
        others = {y for reads in loop.reads for y in reads if type(y) is Carried and y.place == x.place and len(y.first) == 1}
        if last == 1 and others == {x} and max(readers) <= x.place:
            printer.body.append(f"{variable} = {printer.read(x.first[0])}")
            carried[x] = variable
            return
        names = [printer.fresh(f"{variable}_{k}_before" if last > 1 else f"{variable}_before") for k in range(1, last + 1)]
        for name, first in zip(names, reversed(x.first), strict=True):
            printer.body.append(f"{name} = {printer.read(first)}")
        carried[x] = names[-1]
        shifts += [(b, a) for a, b in zip([variable, *names], names, strict=False)]

    def _invariant(self, i: int) -> str:
        """A value that all rounds read; from a list only once."""
        printer = self.printer
        text: str = printer.read(i)
        if "[" in text:
            name: str = printer.fresh("fixed")
            printer.body.append(f"{name} = {text}")
            return name
        return text

    def _again_text(self, again: _Again) -> tuple[str, int]:
        texts = []
        for x in again.operands:
            if type(x) is _Again:
                texts.append(self._again_text(x))
            elif type(x) is Each:
                texts.append((self._sequences[x.values], ATOM))
            else:
                text = self._fixed[x.value]
                texts.append((text, SIGN if text[0] == "-" else ATOM))
        written: tuple[str, int] = self.printer.written(again.node, texts)
        return written

    def _expression(self, j: int) -> tuple[str, int]:
        printer, loop = self.printer, self.loop
        texts: list[tuple[str, int]] = []
        for x in loop.reads[j]:
            if type(x) is Same:
                texts.append((self.variable[x.place], ATOM) if self.stored[x.place] else
                             (self._texts[x.place], self._binds[x.place]))
            elif type(x) is Carried:
                texts.append((self._carried[x], ATOM))
            elif type(x) is Each:
                texts.append((self._sequences[x.values], ATOM))
            elif type(x) is Fixed:
                text = self._fixed[x.value]
                texts.append((text, SIGN if text[0] == "-" else ATOM))
        written: tuple[str, int] = printer.written(loop.start + j, texts)
        return written

    # -- what it goes through

    def _sequence_name(self, values: Sequence[int]) -> str:
        printer = self.printer
        i = values[-1] if values[-1] >= 0 else values[0]
        if i < 0:
            return "number"
        inside = printer.loop_at(i)
        if inside is not None:
            j = (i - inside.loop.start) % inside.loop.period
            return f"{inside.variable.get(j) or inside.names[j] or 'v'}_k"  # none of what is computed again
        name = printer.nodes.names[i]
        return f"{name.rstrip('0123456789_') or name}_k"

    def _head(self) -> str:
        count, sequences = self.loop.count, self._sequences
        if not sequences:
            name = self.printer.fresh("_")
            self.printer.taken.discard(name)
            repeat = self.printer.function("repeat", itertools.repeat)  # unlike range, it makes no numbers
            return f"for {name} in {repeat}(None, {count}):"
        texts = [self._sequence(values) for values in sequences]
        if len(texts) == 1:
            return f"for {next(iter(sequences.values()))} in {texts[0]}:"
        return f"for {', '.join(sequences.values())} in {self.printer.function('zip', zip)}({', '.join(texts)}):"

    def _sequence(self, values: tuple[int, ...]) -> str:
        """Values one after another: slices of lists, and what lies between them."""
        printer = self.printer
        places, inside = list(values), [printer.loop_at(i) for i in values]
        for k, beside in ((0, 1), (len(values) - 1, len(values) - 2)):
            one = inside[beside]
            if one is not None and inside[k] is not one and one.before.get(values[beside] - one.loop.start) == values[k]:
                places[k], inside[k] = values[beside] - one.loop.period, one  # as if of a round before the first
        parts: list[str] = []
        k, pieces = 0, 0
        while k < len(values):
            run = self._run(places, k, inside)
            if run > 1:
                parts.append(f"*{self._slice(places, k, run, inside[k])}")
                pieces += 1
            else:
                parts.append(printer.read(values[k]))
            k += run
        if len(parts) == 1 and pieces == 1:
            return parts[0][1:]
        return f"[{', '.join(parts)}]" if pieces else f"({', '.join(parts)},)"  # a tuple of numbers is made once

    @staticmethod
    def _run(places: Sequence[int], k: int, inside: Sequence[Rolled | None]) -> int:
        """How many values from the k-th on are those of one place in a loop, in equal steps."""
        one = inside[k]
        if one is None or k + 1 >= len(places):
            return 1
        step = places[k + 1] - places[k]
        if not step or step % one.loop.period:
            return 1
        end = k + 1
        while end < len(places) and places[end] - places[end - 1] == step and inside[end] is one:
            end += 1
        return end - k

    def _slice(self, places: Sequence[int], k: int, run: int, inside: Rolled) -> str:
        loop = inside.loop
        first, j = divmod(places[k] - loop.start, loop.period)
        first, count = first + (j in inside.before), loop.count + (j in inside.before)
        step = (places[k + 1] - places[k]) // loop.period
        stop = first + step * run
        name = inside.kept[j]
        if step == 1 and run == count:
            return name
        start_text = str(first) if first != (0 if step > 0 else count - 1) else ""
        stop_text = str(stop) if 0 <= stop < count else ""
        text = f"{name}[{start_text}:{stop_text}{'' if step == 1 else f':{step}'}]"
        if step == -1 and run == first + 1:
            self.printer.backwards.append((len(self.printer.body), name, text, first + 1 if first < count - 1 else None))
        return text


__all__ = ["Rolled"]
