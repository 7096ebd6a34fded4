"""Assertions about gradients, for tests and for grading: what they raise or return holds the whole table.

In a test: `assert_gradients(f, x)` holds autodiff against numerical differentiation, `assert_matches(J, dW1=dW1)` a
gradient by hand against autodiff. In a grader: `grade(J, points={"dW1": 3, "db1": 1}, dW1=dW1, db1=db1)` gives points
for each parameter, and the reason where they are lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .checking import check_gradients
from .show.alterations import SECONDS
from .show.compare import FOLLOWS, ComparedRow, Comparison, compare

__all__ = ["Grade", "assert_gradients", "assert_matches", "grade"]


def assert_gradients(f: Callable[..., Any], *inputs: Any, tolerance: float = 1e-6, max_entries: int = 100, seed: int = 0,
                     ) -> None:
    """Raise AssertionError unless the gradient of f agrees with numerical differentiation at these inputs.

    inputs : float64 numbers or arrays, in containers too; f may return any shape. tolerance, max_entries, seed : as for
    check_gradients, which does the work; its table is the message.

    >>> import numpy as np, tinygrad_edu as tg
    >>> from tinygrad_edu.testing import assert_gradients
    >>> assert_gradients(lambda W, x: tg.tanh(W @ x), np.ones((2, 3)), np.array([0.1, 0.2, 0.3]))
    """
    __tracebackhide__ = True
    found = check_gradients(f, *inputs, tolerance=tolerance, max_entries=max_entries, seed=seed)
    if not found.ok:
        raise AssertionError(f"assert_gradients: {found!r}")


def assert_matches(J: Any, *args: Any, convention: str = "auto", tolerance: float | None = None, seconds: float = SECONDS,
                   **hand: Any) -> None:
    """Raise AssertionError unless every gradient by hand is right; the message says which is not, and why.

    J, args, convention, tolerance, seconds, hand : as for compare.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import assert_matches
    >>> a, b = tg.Tensor(2.0), tg.Tensor(3.0)
    >>> assert_matches(a * b, da=3.0, db=2.0)
    >>> assert_matches(a * a * b, da=6.0)
    Traceback (most recent call last):
    AssertionError: assert_matches:
        shape  verdict  max |diff|  relative error
    da  ()     wrong       6.0e+00         5.0e-01
        da equals the correct value without the term b · a.
        or: da equals the correct value times ½: a factor 2 is left out.
    """
    __tracebackhide__ = True
    found = compare(J, *args, convention=convention, tolerance=tolerance, seconds=seconds, **hand)
    if not found.ok:
        raise AssertionError(f"assert_matches:\n{found}")


@dataclass(frozen=True)
class Grade:
    """Points for gradients by hand: `earned` of `possible`, `points` by name, and the table of compare().

    Printed, it is what a student gets back.
    """

    points: dict[str, tuple[float, float]]
    comparison: Comparison

    @property
    def earned(self) -> float:
        """All points earned."""
        return math.fsum(earned for earned, _ in self.points.values())

    @property
    def possible(self) -> float:
        """All points that could be earned."""
        return math.fsum(possible for _, possible in self.points.values())

    def __str__(self) -> str:
        wide = max(map(len, self.points), default=0)
        lines = [f"{self.earned:g} of {self.possible:g} points"]
        for name, (earned, possible) in self.points.items():
            row = self.comparison[name]
            said = f"  {row.diagnosis}" if row.diagnosis else ""
            lines.append(f"  {name.ljust(wide)}  {earned:g}/{possible:g}  {row.verdict}{'.' if said else ''}{said}")
        return "\n".join([*lines, *self.comparison.remarks])

    __repr__ = __str__


def grade(J: Any, *args: Any, points: float | Mapping[str, float] = 1, follow_through: float = 1.0, convention: str = "auto",
          tolerance: float | None = None, seconds: float = SECONDS, **hand: Any) -> Grade:
    """Points for each gradient by hand: all of them where it is right.

    J, args, convention, tolerance, seconds, hand : as for compare. points : for every gradient, or by name; a name
    without points is checked and counts nothing. follow_through : the share of the points for a gradient that is wrong
    only because another wrong one that was given went into it; 1 by default, as an error counts once.

    Raises what compare raises, and KeyError where points name a gradient that is not given.

    >>> import numpy as np, tinygrad_edu as tg
    >>> from tinygrad_edu.testing import grade
    >>> x, w = np.array([1.0, 2.0]), tg.Tensor([0.5, -1.0])
    >>> z = w * x
    >>> J = (z**2).sum()
    >>> print(grade(J, points={"dz": 1, "dw": 2}, dz=z.data, dw=z.data * x))
    2 of 3 points
      dz  0/1  wrong.  dz equals the correct value times ½: a factor 2 is left out.
      dw  2/2  follows.  dw follows from dz, which is wrong: this step is right.
    """
    found = compare(J, *args, convention=convention, tolerance=tolerance, seconds=seconds, **hand)
    if isinstance(points, Mapping):
        missing = [name for name in points if name not in {row.name for row in found.rows}]
        if missing:
            raise KeyError(f"grade: points for {', '.join(missing)}, but no such gradient was given. Pass {missing[0]}=...")
    earned: dict[str, tuple[float, float]] = {}
    for row in found.rows:
        possible = float(points.get(row.name, 0) if isinstance(points, Mapping) else points)
        earned[row.name] = (possible * _share(row, follow_through), possible)
    return Grade(earned, found)


def _share(row: ComparedRow, follow_through: float) -> float:
    return 1.0 if row.ok else follow_through if row.verdict == FOLLOWS else 0.0
