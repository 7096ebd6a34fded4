"""Derivatives by hand beside derivatives by autodiff: the check at the end of every example here."""

from __future__ import annotations

from typing import Any

import numpy as np


def side_by_side(title: str, *rows: tuple[str, Any, Any], columns: tuple[str, str] = ("hand", "autodiff")) -> None:
    """Assert that in every row (name, by hand, by autodiff) the two agree to 1e-12, shapes included; print the table.

    Of an array the first entry is printed, and the largest difference of all its entries.
    """
    lines = []
    for name, hand, autodiff in rows:
        hand, autodiff = np.asarray(hand), np.asarray(autodiff)
        assert hand.shape == autodiff.shape, f"{name}: {columns[0]} {hand.shape}, {columns[1]} {autodiff.shape}"
        np.testing.assert_allclose(autodiff, hand, rtol=1e-12, atol=1e-12, err_msg=name)
        first = (0,) * hand.ndim
        shape = "×".join(map(str, hand.shape)) or "number"
        lines.append((name, shape, hand[first], autodiff[first], np.max(np.abs(hand - autodiff))))
    wide = max(len("quantity"), *(len(line[0]) for line in lines))
    left, right = columns
    print(f"\n{title}")
    print(f"  {'quantity':<{wide}}  {'shape':>8}  {left:>14}  {right:>14}  {'difference':>10}")
    for name, shape, hand, autodiff, difference in lines:
        print(f"  {name:<{wide}}  {shape:>8}  {hand:14.9f}  {autodiff:14.9f}  {difference:10.1e}")
