"""Algebra: where it fires, what it leaves alone, and the numbers it must keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

X = np.random.default_rng(0).normal(size=(4, 3))


def both(f: Callable[..., Any], name: str, *args: Any, tolerance: float = 1e-12) -> tuple[Any, Any]:
    """f compiled with and without a pass: their numbers are the eager ones."""
    with np.errstate(all="ignore"):
        wanted = f(*args)
        found = []
        for without in ((), (name,)):
            step = tg.jit(f, without=without)
            step(*args)
            got = step(*args)
            np.testing.assert_allclose(got, wanted, rtol=tolerance)
            assert np.asarray(got).dtype == np.asarray(wanted).dtype
            assert np.shape(got) == np.shape(wanted)
            found.append(step.program)
    return found[0], found[1]


def ops(program: Any) -> list[str]:
    return [line.op.name for line in program.lines]


# ---------------------------------------------------------------- simplify

@pytest.mark.parametrize(("f", "after"), [
    (lambda x: x * 1 + 2, ["add"]),
    (lambda x: x / 1 + 2, ["add"]),
    (lambda x: np.negative(-x) + 2, ["add"]),
    (lambda x: x + (-tg.exp(x)), ["exp", "subtract"]),
    (lambda x: (-tg.exp(x)) + x, ["exp", "subtract"]),
    (lambda x: x - (-tg.exp(x)), ["exp", "add"]),
    (lambda x: 2.0 * (3.0 * tg.exp(x)), ["exp", "multiply"]),
    (lambda x: (tg.exp(x) / 4.0) * 3.0, ["exp", "multiply"]),
    (lambda x: tg.exp(x.T.T), ["exp"]),
], ids=["times-one", "over-one", "minus-minus", "plus-minus", "minus-plus", "minus-minus-b", "factors", "divided", "turned"])
def test_simplify_fires(f: Callable[..., Any], after: list[str]) -> None:
    on, off = both(f, "simplify", X)
    assert ops(on) == after
    assert len(ops(off)) > len(after)


@pytest.mark.parametrize("f", [
    lambda x: 1e200 * (1e200 * (x * 1e-150 * 1e-150)),
    lambda x: 1e-200 * (1e-200 * x),
    lambda x: 3.0 * (x / 0.0),
    lambda x: 3.0 * (x / 1e-310),
    lambda x: 0.0 * (2.0 * x),
    lambda x: np.inf * (0.5 * x),
], ids=["overflow", "underflow", "by-zero", "by-next-to-zero", "times-zero", "times-inf"])
def test_factors_that_are_too_large_or_small_together(f: Callable[..., Any]) -> None:
    both(f, "simplify", X)


@pytest.mark.parametrize("f", [
    lambda x: 3.1 * (np.float64(0.1) * x),
    lambda x: np.float64(3.1) * (x / 7.0),
    lambda x: np.float64(1.0) * x,
    lambda x: x / np.float64(1.0) + 1,
], ids=["factor", "divisor", "one", "over-one"])
def test_a_number_of_float64_widens_float32(f: Callable[..., Any]) -> None:
    both(f, "simplify", X.astype(np.float32), tolerance=1e-15)


def test_signs_of_unsigned_numbers() -> None:
    small = np.arange(4, dtype=np.uint8)
    both(lambda a, u: a + (-u), "simplify", np.arange(4), small)
    both(lambda a, u: a - (-u), "simplify", np.arange(4), small)
    both(lambda u: np.negative(-u), "simplify", small)


def test_an_inner_product_used_twice_stays() -> None:
    on, _ = both(lambda x: (2.0 * (3.0 * tg.exp(x)), 3.0 * tg.exp(x))[0] + (3.0 * tg.exp(x)) ** 2, "simplify", X)
    assert ops(on).count("multiply") == 3


def test_infinities_and_nan_keep_their_places() -> None:
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0])
    both(lambda x: np.negative(-x) + 0.5 * (4.0 * x), "simplify", x)
    both(lambda x: x + (-x), "simplify", x)


def test_transposes_that_are_not_each_others_inverse() -> None:
    x = np.random.default_rng(1).normal(size=(2, 3, 4))
    on, _ = both(lambda x: tg.exp(np.transpose(np.transpose(x, (1, 2, 0)), (1, 2, 0))), "simplify", x)
    assert ops(on).count("transpose") == 2
    on, _ = both(lambda x: tg.exp(np.transpose(np.transpose(x, (1, 2, 0)), (2, 0, 1))), "simplify", x)
    assert ops(on).count("transpose") == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_less_one_hot(dtype: Any) -> None:
    def slope(z: Any, y: Any) -> Any:
        return tg.grad(lambda z: tg.cross_entropy(z, y))(z)

    y = np.array([0, 2, 2, 1])
    tolerance = 1e-6 if dtype == np.float32 else 1e-12
    on, off = both(slope, "simplify", X.astype(dtype), y, tolerance=tolerance)
    assert "less_one" in ops(on) and "one_hot" not in ops(on)
    assert "one_hot" in ops(off)


# ---------------------------------------------------------------- spread_late

def test_spread_late_computes_where_it_is_small() -> None:
    def f(x: Any, row: Any) -> Any:
        spread = np.broadcast_to(row, x.shape)
        return x * tg.exp(spread * 2.0)

    on, off = both(f, "spread_late", X, X[0])
    assert {line.op.name: line.shape for line in on.lines}["exp"] == (3,)
    assert {line.op.name: line.shape for line in off.lines}["exp"] == (4, 3)


def test_spread_values_that_give_the_shape_stay_spread() -> None:
    on, _ = both(lambda row: np.broadcast_to(row, (4, 3)) + 1.0, "spread_late", X[0])
    assert on.lines[-1].shape == (4, 3)
    both(lambda a, b: np.broadcast_to(a, (4, 3)) * np.broadcast_to(b, (4, 3)), "spread_late", X[0], X[:, :1])
    both(lambda a: np.broadcast_to(a, (3, 3)) + np.broadcast_to(a, (3, 3)).T, "spread_late", X[0])
    both(lambda a: tg.where(np.broadcast_to(a > 0, (4, 3)), np.broadcast_to(a, (4, 3)), 0.0), "spread_late", X[0])
    both(lambda a: np.broadcast_to(a, (0, 3)) * 2.0, "spread_late", X[0])


def test_the_slope_of_a_mean_is_one_number() -> None:
    on, off = both(lambda x: tg.grad(lambda x: np.mean(tg.exp(x), axis=0).sum())(x), "spread_late", X)
    assert ops(on) == ["exp", "multiply"]
    assert not on.constants and len(off.constants) == 1


# ---------------------------------------------------------------- sums_as_products

@pytest.mark.parametrize(("axis", "keepdims", "shape", "fires"), [
    (1, False, (4, 3), True), (0, False, (4, 3), True), (1, True, (4, 3), True), (0, True, (4, 3), True),
    (None, False, (4, 3), True), ((0, 1), False, (4, 3, 2), True), ((1, 2), False, (4, 3, 2), True),
    (1, False, (4, 3, 2), False), (1, False, (4, 1), False), (0, False, (1, 3), False), (None, True, (4, 3), False),
    (0, False, (0, 3), False), (1, False, (3, 0), False), (None, False, (0,), False),
])
def test_sums_as_products(axis: Any, keepdims: bool, shape: tuple[int, ...], fires: bool) -> None:
    x = np.random.default_rng(2).normal(size=shape)
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 2e-5)):
        on, off = both(lambda x: np.sum(tg.exp(x), axis=axis, keepdims=keepdims), "sums_as_products", x.astype(dtype),
                       tolerance=tolerance)
        assert ("matmul" in ops(on)) == fires
        assert "matmul" not in ops(off)


def test_a_sum_of_a_product_is_one_product_of_vectors() -> None:
    on, _ = both(lambda x, y: np.sum(tg.exp(x) * tg.sin(y)), "sums_as_products", X, X + 1)
    assert "multiply" not in ops(on)
    on, _ = both(lambda x, y: (lambda p: np.sum(p) + p[0, 0])(tg.exp(x) * tg.sin(y)), "sums_as_products", X, X + 1)
    assert "multiply" in ops(on)
    both(lambda x: np.sum(tg.exp(x) * tg.exp(x)), "sums_as_products", X)

    def returned(x: Any) -> Any:
        product = tg.exp(x) * tg.sin(x)
        return np.stack([product * 0 + np.sum(product), product])

    both(returned, "sums_as_products", X)


def test_whole_numbers_and_long_sums_are_added_as_they_are() -> None:
    on, _ = both(lambda x: np.sum(x, axis=1), "sums_as_products", np.arange(12).reshape(4, 3))
    assert "matmul" not in ops(on)
    on, _ = both(lambda x: np.sum(tg.exp(x), axis=1), "sums_as_products", np.full((2, 5000), 1e-3, np.float32),
                 tolerance=1e-5)
    assert "matmul" not in ops(on)


# ---------------------------------------------------------------- share

class Scale:
    """A setting whose text does not show what it is."""

    def __init__(self, by: float) -> None:
        self.by = by

    def __repr__(self) -> str:
        return "Scale"


def test_settings_that_read_alike_are_not_the_same() -> None:
    scaled = tg.primitive(lambda g, y, x, how: g * how.by, name="scaled_by_a_setting")(lambda x, how: x * how.by)
    two, three = Scale(2.0), Scale(3.0)
    both(lambda x: scaled(x, how=two) + scaled(x, how=three), "share", X)
