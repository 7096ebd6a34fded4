"""Programs line by line: each line's function is drawn from the table, and its operands from what is there already.

The value of each line is computed by NumPy at once, so that operands are drawn where a function is defined, smooth and
of moderate size, and every program that is made runs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import tinygrad_edu as tg

from .program import Program, Step, literal
from .reference import NAMESPACE, Reference

LARGEST = 80.0  # entries beyond make differences coarse
MOST_ENTRIES = 60


class RejectedError(Exception):
    """This line does not fit here: another is drawn."""


class Draws:
    """Where the choices come from: a seed. (A test puts hypothesis in its place, which then shrinks programs too.)"""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def below(self, n: int) -> int:
        return int(self.random.random() * n)

    def choice(self, items: Sequence[Any]) -> Any:
        return items[self.below(len(items))]

    def chance(self, percent: int) -> bool:
        return self.below(100) >= 100 - percent

    def array_seed(self) -> int:
        return self.below(1 << 30)


Entry = Callable[["Builder", str], None]
# name: (the function that writes a line with it, weight)
TABLE: dict[str, Entry] = {}


def entry(*names: str) -> Callable[[Entry], Entry]:
    """Put a way of writing lines into the table under these names of functions."""

    def put(write: Entry) -> Entry:
        for name in names:
            assert name not in TABLE, name
            TABLE[name] = write
        return write

    return put


class Builder:
    """A program in the making."""

    def __init__(self, draws: Draws, names: Sequence[str] | None = None) -> None:
        fill()
        self.draws = draws
        self.names = list(names or TABLE)
        self.dtypes = draws.choice([["float64"]] * 6 + [["float32"]] * 2 + [["float64", "float32"]])
        self.ties = draws.chance(12)
        self.inputs: dict[str, Any] = {}
        self.constants: dict[str, Any] = {}
        self.layouts: dict[str, str] = {}
        self.steps: list[Step] = []
        self.variables: list[str] = []
        self.space: dict[str, Any] = dict(NAMESPACE)
        self.count = 0
        self.refused: list[tuple[Step, Exception]] = []

    # -- choices

    def below(self, n: int) -> int:
        return self.draws.below(n)

    def choice(self, items: Sequence[Any]) -> Any:
        return self.draws.choice(items)

    def chance(self, percent: int) -> bool:
        return self.draws.chance(percent)

    def sample(self, items: Sequence[Any], n: int) -> list[Any]:
        left, out = list(items), []
        for _ in range(n):
            out.append(left.pop(self.below(len(left))))
        return out

    def number(self, low: float = -2.0, high: float = 2.0) -> float:
        return round(low + (high - low) * (1 + self.below(998)) / 1000, 3)

    def shape(self, least: int = 0, most: int = 3) -> tuple[int, ...]:
        ndim = least + self.below(most - least + 1)
        while True:
            shape = tuple(0 if self.chance(2) else self.choice((1, 2, 2, 3, 3, 4)) for _ in range(ndim))
            if math.prod(shape) <= 48:
                return shape

    # -- what there is

    def value(self, name: str) -> Any:
        return self.space[name]

    def ndim(self, name: str) -> int:
        return int(np.ndim(self.space[name]))

    def axis(self, name: str) -> int:
        """One axis, counted from the front or from the end."""
        n = self.ndim(name)
        if not n:
            raise RejectedError
        i = self.below(n)
        return i - n if self.chance(35) else i

    def axes(self, name: str, none: bool = True, empty: bool = True) -> Any:
        """None, an axis, or a tuple of axes."""
        n, kind = self.ndim(name), self.below(10)
        if none and kind < 3:
            return None
        if not n or (empty and kind == 9 and self.chance(30)):
            return ()
        if kind < 8:
            return self.axis(name)
        return tuple(i - n if self.chance(30) else i for i in self.sample(range(n), 1 + self.below(n)))

    def numbers(self, shape: tuple[int, ...], low: float | None, high: float | None, dtype: str) -> Any:
        """Numbers in the range (about [−2, 2] where it is open), as plain as can be printed."""
        rng = np.random.default_rng(self.draws.array_seed())
        a = -2.0 if low is None and high is None else high - 3.0 if low is None else low  # type: ignore[operator]
        b = 2.0 if low is None and high is None else low + 3.0 if high is None else high  # type: ignore[operator]
        if self.ties and low is None and high is None:
            x = rng.integers(-1, 3, shape).astype(float)
        else:
            x = np.round(a + (b - a) * rng.uniform(0.02, 0.98, shape), 4)
        return np.asarray(x, dtype)[()]

    def new(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def input(self, shape: tuple[int, ...], low: float | None = None, high: float | None = None, like: str | None = None
              ) -> str:
        """A new input, at times an unusual view of its numbers; `like` a variable whose dtype it takes."""
        dtype = self.choice(self.dtypes) if like is None else str(self.space[like].dtype)
        x, name = self.numbers(shape, low, high, dtype), self.new("x")
        if type(x) is np.ndarray:
            x, self.layouts[name] = self.layout(x)
        self.inputs[name] = self.space[name] = x
        self.variables.append(name)
        return name

    def layout(self, x: Any) -> tuple[Any, str]:
        kind = self.below(12)
        if kind == 0 and x.ndim > 1:
            return np.asfortranarray(x), "Fortran order"
        if kind == 1:
            wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
            wide[..., ::2] = x
            return wide[..., ::2], "every other entry of a wider array"
        if kind == 2:
            return np.ascontiguousarray(x[::-1])[::-1], "backwards"
        if kind == 3:
            x.flags.writeable = False
            return x, "read-only"
        if kind == 4:
            return np.broadcast_to(x[:1], x.shape), "one row repeated, by broadcast_to"
        return x, ""

    def constant(self, x: Any) -> str:
        name = self.new("c")
        self.constants[name] = self.space[name] = x
        return name

    def variable(self, fits: Callable[[Any], bool] = lambda x: True, shape: Callable[[], tuple[int, ...]] | None = None,
                 low: float | None = None, high: float | None = None) -> str:
        """A variable that fits, brought into the range; a new input of the shape if there is none."""
        if self.variables and not (len(self.inputs) < 5 and self.chance(12)):
            for _ in range(5):
                recent = self.variables[-1] if self.chance(80) else self.choice(self.variables)
                if fits(self.space[recent]):
                    return self.within(recent, low, high)
        for _ in range(5):
            size = (shape or self.shape)()
            if fits(np.zeros(size)[()]):
                return self.input(size, low, high)
        raise RejectedError

    def matrix(self, square: bool = False, batched: bool = True, low: float | None = None, high: float | None = None) -> str:
        """A variable of two axes or more."""

        def shape() -> tuple[int, ...]:
            a, b = self.shape(2, 2)
            return (*(self.shape(0, 1) if batched and self.chance(30) else ()), a, a if square else b)

        def fits(x: Any) -> bool:
            return np.ndim(x) >= 2 and (batched or np.ndim(x) == 2) and (not square or x.shape[-1] == x.shape[-2])

        return self.variable(fits, shape, low, high)

    def within(self, name: str, low: float | None, high: float | None) -> str:
        """The variable itself where its values are in the range, else a smooth function of it that is."""
        if low is None and high is None:
            return name
        x = np.asarray(self.space[name])
        if not x.size or ((low is None or x.min() >= low) and (high is None or x.max() <= high)):
            return name
        if low is not None and high is not None:
            middle, half = (low + high) / 2, (high - low) / 2
            largest = float(np.abs(x).max())  # where tanh rounds to 1, its slope has lost its digits
            inner = name if largest <= 2.5 else f"{round(2.5 / largest, 3)} * {name}"
            return self.emit("tanh", f"np.tanh({inner}) * {round(0.95 * half, 4)} + {round(middle, 4)}", (name,))
        if low is not None:
            return self.emit("softplus", f"tg.softplus({name}) + {low}", (name,))
        return self.emit("softplus", f"{high} - tg.softplus({name})", (name,))

    def partner(self, name: str, low: float | None = None, high: float | None = None, numbers: bool = True) -> str:
        """An operand that broadcasts with the variable: itself, another, a new input, a constant of any kind."""
        x = self.space[name]
        shape = np.shape(x)
        kind = self.below(20)
        if kind < 2:
            return self.within(name, low, high)
        if kind < 10 and self.variables:
            for _ in range(6):
                other = self.choice(self.variables)
                try:
                    if math.prod(np.broadcast_shapes(shape, np.shape(self.space[other]))) <= MOST_ENTRIES:
                        return self.within(other, low, high)
                except ValueError:
                    continue
        if kind < 13 and len(self.inputs) < 6:
            return self.input(self.broadcastable(shape), low, high)
        if kind < 16 and numbers:
            return self.literal_number(low, high)
        return self.array_constant(self.broadcastable(shape), low, high)

    def literal_number(self, low: float | None = None, high: float | None = None) -> str:
        a = -2.0 if low is None and high is None else high - 3.0 if low is None else low  # type: ignore[operator]
        b = 2.0 if low is None and high is None else low + 3.0 if high is None else high  # type: ignore[operator]
        kind, x = self.below(8), self.number(a, b)
        if kind == 0 and math.ceil(a) < b:
            return repr(math.ceil(a))
        if kind == 1:
            return f"np.float64({x})"
        if kind == 2:
            return f"np.float32({x})"
        if kind == 3 and math.ceil(a) < b:
            return f"np.int64({math.ceil(a)})"
        return repr(x)

    def array_constant(self, shape: tuple[int, ...], low: float | None = None, high: float | None = None) -> str:
        kind = self.below(6)
        x = self.numbers(shape, low, high, "float64")
        if kind == 0 and low is None and high is None:
            return self.constant(np.asarray(np.round(x), "int64")[()])
        if kind == 1 and 0 < np.size(x) <= 8:
            return repr(np.asarray(x).tolist())
        if kind == 2:
            return self.constant(np.asarray(x, "float32")[()])
        if kind == 3 and low is None and high is None and np.ndim(x):
            return self.constant(x > 0)
        return self.constant(x)

    def broadcastable(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that broadcasts with this one."""
        kind = self.below(8)
        if kind == 0:
            return ()
        if kind == 1 and math.prod(shape) * 2 <= MOST_ENTRIES and len(shape) < 4:
            return (self.choice((1, 2)), *shape)
        out = tuple(1 if self.chance(20) else n for n in shape)
        return out[self.below(len(out) + 1):] if self.chance(30) else out

    # -- writing

    def uses(self, text: str) -> tuple[str, ...]:
        """The variables and constants in a piece of text."""
        return tuple(w for w in dict.fromkeys(_words(text)) if w in self.constants or w in self.known)

    @property
    def known(self) -> set[str]:
        return set(self.variables)

    def emit(self, function: str, text: str, operands: Sequence[str] = (), plain: str | None = None, targets: int = 1,
             rough: bool = False, exact: bool = True) -> str:
        """Write a line, or raise RejectedError where NumPy refuses it or its value is of no use."""
        names = tuple(self.new("v") for _ in range(targets))
        step = Step(function, names, text, plain or text, self.uses(" ".join((text, plain or ""))), rough, exact)
        try:
            with np.errstate(all="ignore"):
                result = eval(step.plain, self.space)  # noqa: S307 - the text is ours
        except (ValueError, TypeError, IndexError) as error:  # LinAlgError and AxisError among them
            self.refused.append((step, error))
            raise RejectedError from None
        parts = list(result) if targets > 1 else [result]
        if len(parts) != targets:
            raise RejectedError
        for x in parts:
            x = np.asarray(x)
            if x.size > MOST_ENTRIES or x.ndim > 5:
                raise RejectedError
            if x.dtype.kind != "f" or x.dtype.itemsize > 8 or (x.size and not np.abs(x).max() <= LARGEST):
                raise RejectedError
        for name, x in zip(names, parts, strict=True):
            self.space[name] = x
        self.variables += names
        self.steps.append(step)
        return names[0]

    def call(self, name: str, *operands: str, rest: str = "", exact: bool = True, spellings: Sequence[str] = (),
             targets: int = 1, rough: bool = False, tail: str | None = None) -> str:
        """name(operands, rest) in one of its spellings: np., tg., or a method of the first operand.

        tail : the arguments after the first where the method takes others than the function."""
        arguments = ", ".join((*operands, *([rest] if rest else [])))
        plain = f"tg.{name}({arguments})"
        ways = [*spellings]
        if hasattr(np, name) and NUMPY_NAMES.get(name, True):
            ways.append(f"np.{name}({arguments})")
        if hasattr(tg, name):
            ways.append(plain)
        if name in METHODS and operands and operands[0] in self.known:
            after = ", ".join((*operands[1:], *([rest] if rest else []))) if tail is None else tail
            ways.append(f"{operands[0]}.{name}({after})")
        return self.emit(name, self.choice(ways), operands, plain, targets, rough, exact)

    # -- whole programs

    def build(self, seed: int | None = None) -> Program:
        """Up to fifteen lines, and one to three outputs."""
        length, tries = 2 + self.below(7) + (self.below(8) if self.chance(40) else 0), 0
        while len(self.steps) < length and tries < 60:
            tries += 1
            name = self.choice(self.names)
            before = len(self.steps)
            try:
                TABLE[name](self, name)
            except RejectedError:
                if len(self.steps) == before:
                    continue
        if not self.steps or not any(t in self.variables for s in self.steps for t in s.targets):
            self.emit("multiply", f"{self.input((2,))} * 2.0")
        made = [t for step in self.steps for t in step.targets if t in self.known]
        outputs = [made[-1]]
        while len(outputs) < 3 and self.chance(25):
            other = self.choice(self.variables)
            if other not in outputs:
                outputs.append(other)
        unused = [self.input(self.shape())] if self.chance(5) else []
        program = Program(dict(self.inputs), dict(self.constants), tuple(self.steps), tuple(outputs), self.chance(50), seed,
                          self.layouts).live()
        for name in unused:
            program.inputs[name] = self.inputs[name]
        if self.refused:
            last, error = self.refused[-1]
            wrong = Program(dict(self.inputs), dict(self.constants), (*self.steps, last), last.targets, False, seed).live()
            program = replace(program, refused=(wrong, error))
        if not program.inputs:
            raise RejectedError
        return program


def _words(text: str) -> list[str]:
    out, word = [], ""
    for c in text:
        if c.isalnum() or c == "_":
            word += c
        else:
            if word:
                out.append(word)
            word = ""
    return [*out, word] if word else out


METHODS = {name for name in dir(tg.Tensor) if not name.startswith("_") and callable(getattr(tg.Tensor, name, None))
           and not isinstance(getattr(tg.Tensor, name), property)}
# np.name is another thing, or cannot be led here
NUMPY_NAMES: dict[str, bool] = {}


def fill() -> None:
    """Import what fills the table."""
    from . import table, table_linear, table_networks, table_selecting  # noqa: F401


def generate(seed: int, names: Sequence[str] | None = None) -> Program:
    """The program of a seed, the same on every machine."""
    return Builder(Draws(seed), names).build(seed)


__all__ = ["TABLE", "Builder", "Draws", "Reference", "RejectedError", "entry", "fill", "generate", "literal"]
