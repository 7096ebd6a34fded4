"""What a compiled step costs: calls, memory, arithmetic, time line by line, and the distance to the machine's limit."""

from __future__ import annotations

import ast
import functools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from .algebra import dtypes_of, shapes_of
from .blocks import inner_lines
from .compiled import Compiled
from .emit import namespace, run_text
from .program import Line, Name, Program

ENOUGH = 0.2  # seconds that a profile takes at least
_MATRIX_PRODUCTS = {"matmul", "convolution", "transposed_convolution", "filter_gradient", "einsum"}


@dataclass(frozen=True)
class TimedLine:
    """One statement of the step: its text, and the seconds it takes in one call, at best."""

    text: str
    seconds: float


@dataclass(frozen=True)
class Machine:
    """What one processor core, or the BLAS, was measured to do: operations and bytes in a second."""

    flops: float
    bandwidth: float


@dataclass(frozen=True)
class Report:
    """The costs of one compiled signature.

    operations : recorded operations that are left. calls : NumPy calls in a step. before, after : bytes that arrays in
    between take without a plan, in every step, and with it, once. products, others : floating-point operations in matrix
    products and in everything else. traffic : bytes of the arguments and results, which every step reads or writes.
    compiled_in : seconds from the recording to the code. lines, seconds, machine : with profile=True only.
    """

    title: str
    operations: int
    calls: int
    before: int
    after: int
    products: float
    others: float
    traffic: int
    compiled_in: float
    lines: tuple[TimedLine, ...] = ()
    seconds: float | None = None
    machine: Machine | None = None

    @property
    def limit(self) -> float | None:
        """Seconds below which no program can come: the products at the measured peak, and all arguments and results moved."""
        if self.machine is None:
            return None
        return self.products / self.machine.flops + self.traffic / self.machine.bandwidth

    def rows(self) -> list[tuple[str, str]]:
        """What the report says, as pairs of text."""
        found = [
            ("operations", f"{self.operations}"), ("NumPy calls per step", f"{self.calls}"),
            ("memory for what lies between", f"{_bytes(self.before)} in every step → {_bytes(self.after)} once"),
            ("floating-point operations", f"{_count(self.products)} in matrix products, {_count(self.others)} in the rest"),
            ("arguments and results", _bytes(self.traffic)), ("compiled in", _seconds(self.compiled_in)),
        ]
        if self.seconds is not None and self.limit is not None and self.machine is not None:
            ratio = f", {self.seconds / self.limit:.1f} times" if self.limit else ""
            found += [
                ("one step takes", _seconds(self.seconds)),
                ("the machine's limit", f"{_seconds(self.limit)}{ratio} ({_count(self.machine.flops)}/s in products, "
                                        f"{_bytes(self.machine.bandwidth)}/s copied)"),
            ]
        return found

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(name) for name, _ in rows)
        text = [self.title, *[f"  {name:<{width}}  {value}" for name, value in rows]]
        total = sum(line.seconds for line in self.lines) or 1.0
        text += [f"  {_seconds(line.seconds):>8} {line.seconds / total:5.0%}  {line.text}" for line in self.lines]
        return "\n".join(text)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        total = sum(line.seconds for line in self.lines) or 1.0
        rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in self.rows())
        lines = "".join(f"<tr><td style='text-align:right'>{_seconds(line.seconds)}</td><td>{line.seconds / total:.0%}</td>"
                        f"<td><code>{escape(line.text)}</code></td></tr>" for line in self.lines)
        return f"<b>{escape(self.title)}</b><table>{rows}</table>" + (f"<table>{lines}</table>" if lines else "")


def report_of(made: Compiled, title: str, arrays: Sequence[Any] | None, profile: bool) -> Report:
    """The report of a compiled signature; arrays: its flattened arguments, or None for numbers drawn at random."""
    program = made.program
    products, others = flops_of(program)
    shapes, dtypes = shapes_of(program), dtypes_of(program)
    outside = [*[str(x.name) for x in program.inputs], *[str(x) for x in program.outputs.values() if isinstance(x, Name)]]
    traffic = sum(math.prod(shapes[x]) * np.dtype(dtypes[x]).itemsize for x in outside if dtypes.get(x) is not None)
    found: dict[str, Any] = {}
    if profile:
        given = list(arrays) if arrays is not None else list(_some_numbers(program))
        seconds, lines = _timed(made, given)
        found = {"seconds": seconds, "lines": lines, "machine": machine(traffic, _usual_dtype(program))}
    code = made.code
    return Report(title, len(list(_all_lines(program))), code.calls, code.unplanned, code.memory, products, others, traffic,
                  made.seconds, **found)


def _all_lines(program: Program) -> Iterator[Line]:
    inner = list(inner_lines(program))
    yield from (line for line in program.lines if line.op.name not in ("blocked", "part"))
    yield from inner


def flops_of(program: Program) -> tuple[float, float]:
    """Floating-point operations in matrix products, and in everything else: one for each entry read or written."""
    shapes = shapes_of(program) | {line.name: tuple(line.shape) for line in inner_lines(program)}
    products = others = 0.0
    for line in _all_lines(program):
        operands = [math.prod(shapes.get(x, ())) for x in line.operands if isinstance(x, Name)]
        if line.op.name == "matmul" and isinstance(line.operands[0], Name):
            depth = shapes.get(line.operands[0], (1,))[-1:] or (1,)
            products += 2.0 * math.prod(line.shape) * depth[0]
        elif line.op.name in _MATRIX_PRODUCTS and operands:
            products += 2.0 * math.prod(line.shape) * max(1.0, min(operands))
        elif line.op.name not in ("transpose", "reshape", "getitem", "identity", "broadcast_to"):
            others += max([math.prod(line.shape), *operands])
    return products, others


def _some_numbers(program: Program) -> Iterator[Any]:
    """Arguments of the recorded shapes: normal numbers, zeros for labels, open masks."""
    rng = np.random.default_rng(0)
    for x in program.inputs:
        if x.dtype is None:
            yield np.random.default_rng(0)
        elif np.dtype(x.dtype).kind == "f":
            yield np.asarray(rng.standard_normal(x.shape), x.dtype)[()]
        else:
            yield np.full(x.shape, np.dtype(x.dtype).kind == "b", x.dtype)[()]


# ---------------------------------------------------------------- time


class _Clock:
    """Notes, after every statement, the time since the one before."""

    def __init__(self, count: int) -> None:
        self.best = [math.inf] * count
        self.last = 0.0

    def start(self) -> None:
        self.last = time.perf_counter()

    def tick(self, k: int) -> None:
        now = time.perf_counter()
        self.best[k] = min(self.best[k], now - self.last)
        self.last = time.perf_counter()


def _timed(made: Compiled, arrays: Sequence[Any]) -> tuple[float, tuple[TimedLine, ...]]:
    """The best time of a step, and of each of its statements."""
    with np.errstate(all="ignore"):
        step, best = made.step.another(), math.inf
        rounds, end = 0, time.perf_counter() + ENOUGH / 2
        while rounds < 3 or (rounds < 10_000 and time.perf_counter() < end):
            start = time.perf_counter()
            step(*arrays)
            best, rounds = min(best, time.perf_counter() - start), rounds + 1
        tree = ast.parse(made.code.text)
        inner = next(x for x in ast.walk(tree) if isinstance(x, ast.FunctionDef) and x.name == "step")
        texts: list[str] = []
        inner.body = [ast.parse("clock.start()").body[0], *_ticking(inner.body, texts)]
        clock = _Clock(len(texts))
        space = {**namespace(), "clock": clock}
        text = ast.unparse(ast.fix_missing_locations(tree))
        timed = run_text(text, f"{made.step.name} timed", space)["build"](**made.code.held)
        for _ in range(max(3, min(rounds, 300))):
            timed(*arrays)
    return best, tuple(TimedLine(text, seconds) for text, seconds in zip(texts, clock.best, strict=True)
                       if math.isfinite(seconds))


def _ticking(body: list[ast.stmt], texts: list[str]) -> list[ast.stmt]:
    """The statements, each followed by a look at the clock."""
    out: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, ast.With):
            statement.body = _ticking(statement.body, texts)
            out.append(statement)
        elif isinstance(statement, ast.Return):
            out.append(statement)
        else:
            text = " ".join(ast.unparse(statement).split())
            texts.append(text if len(text) <= 100 else f"{text[:97]}...")
            out += [statement, ast.parse(f"clock.tick({len(texts) - 1})").body[0]]
    return out


def _usual_dtype(program: Program) -> str:
    """The floating-point type of most lines."""
    kinds = [np.dtype(line.dtype).name for line in _all_lines(program) if np.dtype(line.dtype).kind == "f"]
    return max(set(kinds), key=kinds.count) if kinds else "float64"


def machine(size: int = 1 << 25, dtype: str = "float64") -> Machine:
    """What this machine does at best: a product of 700×700 matrices, and copying; measured once for every size, rounded up.

    Arrays of `size` bytes are copied, because small ones stay in the cache.
    """
    return _measured(1 << max(14, min(25, (size - 1).bit_length())), dtype)


@functools.cache
def _measured(size: int, dtype: str) -> Machine:
    a = np.ones((700, 700), dtype)
    out = np.empty_like(a)
    product = _best(lambda: np.dot(a, a, out), 0.05)
    source, target = np.ones(size >> 1, np.uint8), np.empty(size >> 1, np.uint8)
    copied = _best(lambda: np.copyto(target, source), 0.03)
    return Machine(2 * 700**3 / product, size / copied)


def _best(f: Any, least: float) -> float:
    best, end = math.inf, time.perf_counter() + least
    while True:
        start = time.perf_counter()
        f()
        now = time.perf_counter()
        best = min(best, now - start)
        if now > end:
            return best


# ---------------------------------------------------------------- numbers for people


def _bytes(n: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if n < 1024:
            return f"{n:.0f} {unit}" if unit == "B" or n >= 100 else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:.1f} GiB"


def _count(n: float) -> str:
    for unit in ("", " thousand", " million", " billion"):
        if n < 1000:
            return f"{n:.3g}{unit}"
        n /= 1000
    return f"{n:.3g} trillion"


def _seconds(s: float) -> str:
    if s < 1e-3:
        return f"{s * 1e9:.0f} ns" if s < 1e-6 else f"{s * 1e6:.1f} µs"
    return f"{s * 1e3:.2f} ms" if s < 1 else f"{s:.2f} s"


__all__ = ["Machine", "Report", "TimedLine", "flops_of", "machine", "report_of"]
