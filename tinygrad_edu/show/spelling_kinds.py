"""The kinds of entries that the tables of `spelling` and its families are made of: code, literals, calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ..program import Line

# How strongly Python's operators bind.
CHOICE, COMPARE, OR, AND, SUM, PRODUCT, SIGN, POWER, CALL, ATOM = 1, 4, 5, 7, 9, 10, 11, 12, 13, 14


class Code(NamedTuple):
    """An expression and how strongly it holds together."""

    text: str
    strength: int = ATOM

    def within(self, need: int) -> str:
        """The text, in parentheses where its place asks for something stronger."""
        return self.text if self.strength >= need else f"({self.text})"


@dataclass
class Call:
    """One line of a program on its way to an expression.

    operands : their code. shapes, dtypes : of the operands, () and None for a Python number. helper : asks for a function
    of HELPERS and says how it is called. spell : writes a parameter, an index for example.
    """

    line: Line
    operands: Sequence[Code]
    shapes: Sequence[tuple[int, ...]]
    dtypes: Sequence[Any]
    helper: Callable[[str], str]
    spell: Callable[[Any], str]
    shape_of: Callable[[tuple[int, ...]], str]
    plain_broadcast: bool = False

    def __getitem__(self, i: int) -> str:
        return self.operands[i].text

    def of(self, i: int, need: int) -> str:
        return self.operands[i].within(need)

    @property
    def params(self) -> dict[str, Any]:
        return self.line.params

    @property
    def is_number(self) -> bool:
        """Whether the result is a single float64, for which the engine takes Python's math."""
        return self.line.shape == () and self.line.dtype == np.float64

    def all_texts(self) -> list[str]:
        return [code.text for code in self.operands]


Spelling = Callable[[Call], Code]

# ---------------------------------------------------------------- literals


def number(x: Any, exact_type: bool = False) -> Code:
    """A number that Python reads back to the same bits. exact_type : keep a NumPy scalar's type."""
    if isinstance(x, (bool, np.bool_)):
        return Code(str(bool(x)))
    if isinstance(x, np.generic):
        written = number(x.item()) if x.dtype.itemsize != 4 or x.dtype.kind != "f" else _shortest(x)
        if exact_type:
            return Code(f"np.{x.dtype.name}({written.text})", CALL)
        return written
    if isinstance(x, int):
        return Code(str(x), SIGN if x < 0 else ATOM)
    if math.isnan(x):
        return Code("np.nan", CALL)
    if math.isinf(x):
        return Code("np.inf", CALL) if x > 0 else Code("-np.inf", SIGN)
    if abs(x) == math.pi:
        return Code("np.pi", CALL) if x > 0 else Code("-np.pi", SIGN)
    text = repr(x)
    return Code(text, SIGN if text[0] == "-" else ATOM)


def _shortest(x: Any) -> Code:
    text = str(x)
    if "nan" in text or "inf" in text:
        return number(float(x))
    return Code(text, SIGN if text[0] == "-" else ATOM)


def literal_array(x: ndarray) -> str:
    """An array as code that makes it again, bit for bit."""
    dtype = "" if x.dtype in (np.float64, np.int64, np.bool_) else f", dtype=np.{x.dtype.name}"
    shape = f"{x.size}" if x.ndim == 1 else str(x.shape)
    if not x.size:
        return f"np.zeros({shape}{dtype or _kind(x)})"
    if x.size > 2:
        first = x.flat[0]
        if x.tobytes() == np.full(x.shape, first).tobytes():
            filled = {0.0: "np.zeros", 1.0: "np.ones"}.get(float(first)) if math.copysign(1, first) > 0 else None
            return f"{filled}({shape}{dtype or _kind(x)})" if filled else f"np.full({shape}, {number(first).text}{dtype})"
        if x.dtype == np.int64 and np.array_equal(x.reshape(-1), np.arange(x.size)):
            return f"np.arange({x.size})" + (f".reshape({', '.join(map(str, x.shape))})" if x.ndim > 1 else "")

    def rows(part: Any) -> str:
        if part.ndim:
            return "[" + ", ".join(rows(item) for item in part) + "]"
        return number(part[()]).text

    return f"np.array({rows(x)}{dtype})"


def _kind(x: ndarray) -> str:
    return {"b": ", dtype=bool", "i": ", dtype=int"}.get(x.dtype.kind, "")


def index_text(index: Any, spell: Callable[[Any], str]) -> str:
    """What stands between the brackets of an index."""
    if isinstance(index, tuple):
        if not index:
            return "()"
        return ", ".join(index_text(i, spell) for i in index)
    if isinstance(index, slice):
        parts = ["" if p is None else str(p) for p in (index.start, index.stop)]
        return ":".join(parts) + ("" if index.step is None else f":{index.step}")
    if index is Ellipsis:
        return "..."
    return spell(index)


# ---------------------------------------------------------------- kinds of entries


def infix(sign: str, strength: int, left: int, right: int) -> Spelling:
    """a sign b."""
    return lambda c: Code(f"{c.of(0, left)} {sign} {c.of(1, right)}", strength)


def prefix(sign: str) -> Spelling:
    """sign a."""
    return lambda c: Code(f"{sign}{c.of(0, POWER)}", SIGN)


def function(name: str) -> Spelling:
    """name(a, b, ...)."""
    return lambda c: Code(f"{name}({', '.join(c.all_texts())})", CALL)


def settled(name: str, *settings: str) -> Spelling:
    """A function with the parameters that are set, as name=value."""
    def spelling(c: Call) -> Code:
        given = [f"{key}={_setting(c, key)}" for key in settings if not _is_default(key, c.params.get(key))]
        return Code(f"{name}({', '.join([*c.all_texts(), *given])})", CALL)
    return spelling


def _is_default(key: str, value: Any) -> bool:
    return value is None or (key == "keepdims" and value is False) or (key == "ddof" and value == 0)


def _setting(c: Call, key: str) -> str:
    value = c.params[key]
    if isinstance(value, tuple) and len(value) == 1 and key == "axis":
        value = value[0]
    return c.spell(value)


def from_math(name: str) -> Spelling:
    """NumPy's function for arrays, and Python's math for one number, as the engine does."""
    def spelling(c: Call) -> Code:
        called = c.helper(f"{name}:number") if c.is_number and not c.params else f"np.{name}"
        return Code(f"{called}({c[0]})", CALL)
    return spelling


def helper(name: str, *settings: str, number_differs: bool = False) -> Spelling:
    """A function of HELPERS, printed above."""
    def spelling(c: Call) -> Code:
        called = c.helper(f"{name}:number" if number_differs and c.is_number else name)
        given = [f"{key}={_setting(c, key)}" for key in settings if key in c.params and not _is_default(key, c.params[key])]
        return Code(f"{called}({', '.join([*c.all_texts(), *given])})", CALL)
    return spelling
