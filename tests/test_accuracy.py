"""Values and derivatives against 60-digit references: a part of what docs/accuracy.md measures, with its bounds pinned.

The references are the textbook's definitions in mpmath (docs/accuracy_cases.py), with no care for rounding.
"""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor

pytest.importorskip("mpmath", reason="the references need mpmath, of the extra `test`")
DOCS = Path(__file__).resolve().parent.parent / "docs"
sys.path.insert(0, str(DOCS))

import accuracy_cases as cases  # noqa: E402

BOUND = {np.float64: 1e-13, np.float32: 2e-6}
POINTS = 7


@pytest.mark.parametrize("name", cases.CASES)
def test_values_and_derivatives_are_exact_to_1e_13(name: str) -> None:
    """To 1e-13 in float64, first and second derivatives too; to 2e-6 in float32."""
    case = cases.CASES[name]
    for dtype, orders in ((np.float64, (0, 1, 2) if case.entrywise else (0, 1)), (np.float32, (0, 1))):
        for order in orders:
            worst = cases.measure(case, order, POINTS, dtype)
            assert worst.points, f"no point of the grid is well conditioned for derivative {order}"
            assert worst.error <= BOUND[dtype], f"derivative {order} in {np.dtype(dtype)}: {worst.error:.1e} at {worst.row}"


def _quick(case: Any, dtype: Any) -> list[tuple[float, ...]]:
    """The extreme arguments whose references are computed quickly."""
    rows = cases.extreme_rows(case, dtype)
    quick = [row for row in rows if all(math.isnan(v) or abs(v) <= 1000 for v in row)]
    return quick[:: 1 if case.entrywise else 3]


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", cases.CASES)
def test_extreme_arguments_are_right(name: str, dtype: Any) -> None:
    """At ±400, ±1000, tiny and denormal arguments: right, or explained in the table of what is not."""
    _, wrong = cases.stability(cases.CASES[name], dtype, rows=_quick(cases.CASES[name], dtype))
    assert not [w for w in wrong if not w.why]


def test_every_smooth_primitive_is_measured() -> None:
    assert not cases.missing(), f"add to docs/accuracy_cases.py (or to EXACT there): {cases.missing()}"


def test_the_page_holds_the_bounds_and_explains_the_rest() -> None:
    text = (DOCS / "accuracy.md").read_text(encoding="utf-8")
    measured = re.findall(r"^\| `([^`]+)` \| \[.*?\] \| ([^\n]*) \|$", text, re.MULTILINE)
    assert {name for name, _ in measured} == set(cases.CASES), "run: python docs/make_accuracy.py"
    for name, cells in measured:
        found = [float(cell.strip().rstrip("*") or 0) for cell in cells.split("|")]
        assert max(found[:3]) <= 1e-13 and max(found[3:]) <= 2e-6, name
    assert "Not explained" not in text


# ---------------------------------------------------------------- what was found, one test each

def test_small_losses_keep_their_digits() -> None:
    """log(1 + small) of a confident prediction, which log of the rounded sum would give as 0."""
    z = [[40.0, 0.0, -1.0], [0.0, 1.0, 2.0]]
    losses = tg.cross_entropy(z, [0, 0], reduction="none")
    small = math.exp(-40) + math.exp(-41)
    np.testing.assert_allclose(losses[0], small, rtol=1e-15)
    np.testing.assert_allclose(tg.log_softmax(z)[0, 0], -small, rtol=1e-15)
    np.testing.assert_allclose(tg.logsumexp([[0.0, -40.0, -41.0], [-40.0, -41.0, 0.0]], 1), [small, small], rtol=1e-15)
    assert tg.cross_entropy(np.array(z, np.float32), [0, 0], reduction="none")[0] > 0
    assert tg.logsumexp([[-np.inf, -np.inf]], 1) == -np.inf and np.isnan(tg.logsumexp([np.nan, 0.0]))
    assert tg.log_softmax([[3.0]]) == 0 and tg.log_softmax(5.0, None) == 0


def test_the_slope_of_logsumexp_is_free_of_a_large_value() -> None:
    """exp(x − y) has the rounding of y; the softmax has not."""
    x = np.array([1e5, 1e5 - 1, 1e5 - 2], np.float32)
    slope = tg.grad(tg.logsumexp)(x)
    np.testing.assert_allclose(slope, tg.softmax(np.array([2.0, 1.0, 0.0])), rtol=2e-7)
    np.testing.assert_array_equal(tg.grad(tg.logsumexp)([1e300, 1e300]), [0.5, 0.5])
    np.testing.assert_array_equal(tg.grad(tg.logsumexp)([-np.inf, -np.inf]), [0, 0])
    H = tg.hessian(tg.logsumexp)(np.array([0.3, -0.2, 1.0]))
    s = tg.softmax(np.array([0.3, -0.2, 1.0]))
    np.testing.assert_allclose(H, np.diag(s) - np.outer(s, s), rtol=1e-13, atol=1e-16)


def test_gelu_in_its_tanh_form_keeps_its_left_tail() -> None:
    x = np.array([-3.7721729278564453], np.float32)
    exact = tg.gelu(x.astype(np.float64), approximate="tanh")
    np.testing.assert_allclose(tg.gelu(x, approximate="tanh"), exact, rtol=1e-6)
    np.testing.assert_allclose(exact, 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3.0))), rtol=1e-3)
    far = Tensor([-1e300, 1e300, -np.inf, np.inf])
    y = tg.gelu(far, approximate="tanh")
    y.backward(np.ones(4))
    np.testing.assert_array_equal(y.numpy(), [0, 1e300, 0, np.inf])
    np.testing.assert_array_equal(far.grad, [0, 1, 0, 1])


def test_the_angle_of_a_far_point_has_a_slope() -> None:
    """a² + b² would overflow, or vanish."""
    for scale in (1e200, 1e-200):
        slopes = tg.grad(tg.arctan2, argnums=(0, 1))(3 * scale, 4 * scale)
        np.testing.assert_allclose(slopes, np.array([4, -3]) / 25 / scale, rtol=1e-14)


def test_the_cross_entropy_of_a_small_probability() -> None:
    assert tg.binary_cross_entropy(1e-300, 0.0) == 1e-300
    np.testing.assert_allclose(tg.binary_cross_entropy([1e-10, 1e-10], [0.0, 0.0]), 1e-10 + 0.5e-20, rtol=1e-15)


def test_the_error_of_a_far_logit_vanishes() -> None:
    for dtype in (np.float32, np.float64):
        z = np.array([-1e30, -800, 800, 1e30], dtype)
        for y, wanted in ((0.0, [0, 0, 1, 1]), (1.0, [-1, -1, 0, 0]), (0.25, [-0.25, -0.25, 0.75, 0.75])):
            t = Tensor(z)
            tg.binary_cross_entropy_with_logits(t, np.full(4, y, dtype), reduction="sum").backward()
            np.testing.assert_allclose(t.grad, wanted, rtol=1e-7, atol=float(np.finfo(dtype).tiny))
