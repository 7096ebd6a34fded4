"""Programs of single numbers, printed as plain Python on floats.

Where every value is one float64, an operation on Python floats costs a tenth of a NumPy call. The step is printed as
expressions: a value that is used once stands where it is used. What repeats, as the rounds of a loop do, is printed as a
loop again (`rounds`). The arithmetic and its order are the recorded ones, so results are the same to the last digit. Where
Python raises and NumPy gives inf or nan (1/0, log 0, exp 1000), the step is evaluated again, by the primitives on NumPy
numbers. Products and sums that overflow give inf without NumPy's warning.
"""

from __future__ import annotations

import keyword
import math
import re
import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import rounds
from .emit import Code
from .numbers import Kind, Nodes, read, short_chains
from .program import Program
from .rolled import Rolled
from .spellings import ATOM, SIGN

LONGEST = 60  # operations in one expression, so that neither readers nor Python's parser are asked too much
DEEPEST = 20  # brackets in brackets


class Printer:
    """Nodes on their way to source: straight lines, with loops in between."""

    def __init__(self, nodes: Nodes, title: str, roll: bool = True) -> None:
        self.nodes, self.title = nodes, title
        loops: list[list[Any]] = rounds.find_rounds(nodes.operands, [id(k) for k in nodes.kinds], nodes.count) if roll else []
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
        self.backwards: list[tuple[int, str, str, int | None]] = []  # what loops go through: see _without_copies
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
                one.join()
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
        self._without_copies(results)
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


    def _without_copies(self, results: str) -> None:
        """A loop that goes through a list from its end, and is the last to need it, goes through the list itself.

        For each such loop: its line, the list, its text for the values, and how many values the list is cut to before.
        """
        cuts = []
        for at, name, text, length in self.backwards:
            used = re.compile(rf"\b{re.escape(name)}\b")
            if len(used.findall(self.body[at])) == 1 and not any(map(used.search, (*self.body[at + 1 :], results))):
                self.body[at] = self.body[at].replace(text, f"{self.function('reversed', reversed)}({name})")
                if length is not None:
                    cuts.append((at, f"del {name}[{length}:]"))
        for at, text in reversed(cuts):
            self.body.insert(at, text)


MANY = 8  # results from which they are made into NumPy numbers all at once


class _Hold(NamedTuple):
    value: Any

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hold) and other.value is self.value


def _number_text(x: Any) -> str:
    return repr(x) if isinstance(x, bool) or math.isfinite(x) else f'float("{x}")'


class Exactly:
    """The program on NumPy numbers, one primitive after another; made when it is needed first."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.nodes: Nodes | None = None

    def __call__(self, *given: Any) -> list[Any]:
        if self.nodes is None:
            self.nodes = read(self.program)
            assert self.nodes is not None
        return self.nodes.run(*given)


def scalar_code(program: Program, without: Iterable[str] = ()) -> Code | None:
    """The program as Python on floats; None where it is not one of single numbers."""
    nodes = read(program)
    if nodes is None or not nodes.kinds[nodes.count :]:
        return None
    if "short_chains" not in without and len(nodes.kinds) >= rounds.LEAST_OPERATIONS:
        nodes = short_chains(nodes)
    printer = Printer(nodes, program.name, "loops" not in without)
    text = printer.source()
    held = {name: x.value if isinstance(x, _Hold) else x for name, x in printer.functions.items()}
    return Code(text, {"exact": Exactly(program), **held}, 0, 0, 0, stateless=True)


__all__ = ["Printer", "scalar_code"]
