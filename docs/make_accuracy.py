"""Write docs/accuracy.md by measuring against mpmath: python docs/make_accuracy.py (needs mpmath; takes about a minute)."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import accuracy_cases as cases

PAGE = Path(__file__).with_name("accuracy.md")
POINTS = 48

HEAD = """# Accuracy

Every function of one number, activation, loss and reduction of the logsumexp family, measured against its definition computed
with {digits} digits (mpmath). This page is written by `python docs/make_accuracy.py`; the tests hold the same bounds on fewer
points.

```python
import tinygrad_edu as tg

print(tg.grad(tg.log_sigmoid)(-800.0), tg.cross_entropy([[40.0, 0.0, -1.0]], [0]))  # 1, and 5.8e-18 where 0 would do
```

## Well-conditioned arguments

The largest relative error over {points} points of the interval (of every column, where there are several), of the value, the
first derivative and the second. A point counts where the result changes at most {condition:g} times as much, relatively, as the
argument: elsewhere the rounding of the argument itself is larger than any error here. The bound is 1e-13 in float64 and 2e-6
in float32; one rounding is 1.1e-16 and 6e-8.

Where a cell is marked *, the rule is the textbook's: 1 − y² of tanh, y (1 − y) of the sigmoid, A − Y of the cross-entropy. In
the tail, where such a slope goes to 0, it cancels, and is exact to one rounding of the largest slope, not of its own; the cell
measures against the largest.
"""

STABILITY = """## Extreme arguments

Values and derivatives at ±400, ±1000, the smallest and the largest magnitudes (±1e-300, ±1e300, the denormal ±5e-324;
in float32 ±1e-30, ±1e30, ±1.4e-45), ±∞ and nan, and for functions of several arguments at combinations of them. The
reference at ±∞ is the limit; outside the domain of a function its value is nan, and no derivative is asked for.
Functions of one number are tried on arrays and on single numbers. An entry is right when it is the reference to 1e-13
(2e-5 in float32), rounded: inf where the reference overflows, 0 where it underflows.
"""


def shown(row: tuple[float, ...]) -> str:
    return ", ".join(f"{v:g}" for v in row)


def errors() -> str:
    """The table of the largest errors."""
    head = "| function | arguments | float64: value | 1st | 2nd | float32: value | 1st |\n|---|---|---|---|---|---|---|\n"
    lines = []
    for case in cases.CASES.values():
        spans = " × ".join(dict.fromkeys(f"[{low:g}, {high:g}]" for low, high in case.columns))
        cells = []
        for dtype, orders in ((np.float64, (0, 1, 2)), (np.float32, (0, 1))):
            for order in orders:
                if order == 2 and not case.entrywise:
                    cells.append("")
                    continue
                worst = cases.measure(case, order, POINTS, dtype)
                star = "*" if order in cases.TEXTBOOK.get(case.name, ()) else ""
                cells.append(f"{worst.error:.1e}{star}" if worst.error else "0")
        lines.append(f"| `{case.name}` | {spans} | " + " | ".join(cells) + " |")
    return head + "\n".join(lines)


def stability() -> str:
    """What was compared at extreme arguments, and what is not right."""
    counts, wrong = [], []
    for case in cases.CASES.values():
        found = []
        for dtype in (np.float64, np.float32):
            compared, bad = cases.stability(case, dtype)
            found.append((compared, len(bad)))
            wrong += bad
        if found[0][0]:
            counts.append(f"| `{case.name}` | " + " | ".join(f"{n - bad} of {n}" for n, bad in found) + " |")
    table = "| function | right in float64 | in float32 |\n|---|---|---|\n" + "\n".join(counts)
    reasons: dict[str, list[str]] = {}
    for w in wrong:
        reasons.setdefault(w.why or "not explained", []).append(
            f"| `{w.case}` | {w.dtype} | {w.what} at ({shown(w.row)}) | {w.found:g} | {w.wanted:g} |")
    parts = [f"**{why[0].upper()}{why[1:]}.**\n\n| function | dtype | what | found | reference |\n|---|---|---|---|---|\n"
             + "\n".join(lines) for why, lines in reasons.items()]
    return table + "\n\n### What is not right, and why\n\n" + "\n\n".join(parts)


def page() -> str:
    """The whole page."""
    head = HEAD.format(digits=cases.DIGITS, points=POINTS, condition=cases.CONDITION)
    return "\n".join([head, errors(), "", STABILITY, stability(), ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
