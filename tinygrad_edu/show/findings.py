"""What the search behind `compare` looks for and finds: alterations, the numbers they are held against, slips in factors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..tensor import Tensor
from .notation import (
    number_text,
)

# ---------------------------------------------------------------- an alteration, and what it is held against

@dataclass(frozen=True)
class Alteration:
    """One way to go wrong: a node's gradient gets `change` on top.

    rank : how far-fetched it is. phrase : says it, given the name of the gradient whose line it stands in. solve :
    the change counts with a factor that the numbers have to tell; `accept` says which factors are meant, and how.
    """

    node: Tensor
    change: Any
    rank: float
    phrase: Callable[[str], str]
    accept: Callable[[float], Alteration | None] | None = None


@dataclass(frozen=True)
class Place:
    """Where an alteration is: in the gradient of that name, perhaps in one term of it."""

    name: str
    term: str = ""

    def inside(self, own: str, word: str = "in") -> str:
        """" in dZ1", or nothing where the sentence is about dZ1 anyway."""
        named = "" if own == self.name else f" {'of' if self.term else word} {self.name}"
        return f" {word} {self.term}{named}" if self.term else named

    def of(self, own: str) -> str:
        """" of dZ1", likewise."""
        return self.inside(own, "of")


@dataclass
class Target:
    """A gradient by hand, in the engine's convention and shape, and what belongs in its place."""

    name: str
    node: Tensor
    hand: Any
    reference: Any
    tolerance: float
    noise: float
    wrong: bool

    def equals(self, value: Any) -> bool:
        """Whether the hand's numbers are these, up to rounding."""
        return close(self.hand, value, self.tolerance, self.noise)


def close(a: Any, b: Any, tolerance: float, noise: float) -> bool:
    """Whether two arrays agree: entry by entry relative to the entry, and a thousandth of that relative to the largest."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape:
        return False
    finite = np.isfinite(b)
    if not np.array_equal(finite, np.isfinite(a)):
        return False
    if not finite.all():
        if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
            return False
        a, b = a[finite], b[finite]
    if not a.size:
        return True
    size = np.abs(b)
    allowed = tolerance * size + 1e-3 * tolerance * size.max() + 50 * noise
    return bool(np.all(np.abs(a - b) <= allowed))


@dataclass(frozen=True)
class Finding:
    """An alteration and the targets whose numbers it gives, each with the factor that remains."""

    alteration: Alteration
    explained: dict[str, float]
    spoiled: tuple[str, ...]  # right ones that it would have made wrong

    @property
    def score(self) -> float:
        """More for what is explained; less for what remains, and for what contradicts it."""
        return self._weighed(0.3)

    @property
    def exact(self) -> float:
        """The same, of what is explained to the last digit."""
        return self._weighed(0.0)

    def _weighed(self, with_factor: float) -> float:
        explained = sum(1.0 if s == 1.0 else with_factor for s in self.explained.values())
        return max(explained - 0.5 * len(self.spoiled), 0.3 * explained)


# ---------------------------------------------------------------- factors that are slips of the pen

@dataclass(frozen=True)
class Factors:
    """The factors people forget or write twice: −1, 2, the number of examples, and the sizes of the axes."""

    examples: int
    sizes: Mapping[int, str]

    def spoken(self, s: float) -> tuple[str, str] | None:
        """(times what, why) of a factor, or None where it is nobody's slip."""
        if s == 0 or not math.isfinite(s):
            return None
        size, sign = abs(s), s < 0
        found = self._size(size)
        if found is None:
            return None
        times, why = found
        if sign:
            times = f"−{times}" if times != "1" else "−1"
            why = "the sign is turned" + (f", and {why}" if why else "")
        return times, why

    def _size(self, s: float) -> tuple[str, str] | None:
        def near(x: float) -> bool:
            return abs(s - x) <= 1e-6 * x

        if near(1):
            return "1", ""
        m = self.examples
        if m > 1:
            for k, more in ((1.0, ""), (2.0, "2 "), (0.5, "½ ")):
                if near(m * k):
                    return f"{more}m = {number_text(m * k)}", "the factor 1/m is left out" + (
                        f", and a factor {more}is too much" if more else "")
                if near(k / m):
                    return f"{more.strip() or 1}/m = {number_text(k)}/{m}", "1/m is in it once too often" + (
                        f", and a factor {more}too" if more else "")
            if near(m * m):
                return f"m² = {m * m}", "the factor 1/m is left out twice"
            if near(1 / (m * m)):
                return f"1/m² = 1/{m * m}", "1/m is in it twice too often"
        for base in (2, 10):
            if near(1 / math.log(base)):
                return f"1/ln {base} = {s:.5g}", f"it belongs to a logarithm to base {base}"
        if near(2):
            return "2", "a factor 2 is too much"
        if near(0.5):
            return "½", "a factor 2 is left out"
        if m > 2 and near(m / (m - 1)):
            return f"m / (m − 1) = {m}/{m - 1}", "it is divided by m − 1 in place of m"
        for n, what in self.sizes.items():
            if n > 1 and n != m > 1 and near(m / n):
                return f"m / {n} = {m}/{n}", f"it is divided by {n}, {what}, in place of m"
            if n > 2 and near(n):
                return str(n), f"{n} is {what}"
            if n > 2 and near(1 / n):
                return f"1/{n}", f"{n} is {what}"
        return None


def ratio(unit: Any, total: Any) -> float | None:
    """s with total = s · unit, or None where there is none."""
    unit, total = np.asarray(unit, float).ravel(), np.asarray(total, float).ravel()
    if unit.shape != total.shape or not unit.size:
        return None
    square = float(unit @ unit)
    if not square or not math.isfinite(square):
        return None
    s = float(unit @ total) / square
    if not math.isfinite(s):
        return None
    rest = np.abs(total - s * unit)
    return s if float(rest.max()) <= 1e-7 * max(float(np.abs(total).max()), abs(s) * float(np.abs(unit).max())) else None
