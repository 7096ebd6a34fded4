"""Composite operations written out: the engine's own arithmetic, to the bit, on hard numbers too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.program.compiled import LATER, PASSES
from tinygrad_edu.program.expand import EXPANSIONS, expand
from tinygrad_edu.program.record import record

rng = np.random.default_rng(0)
ALGEBRA = tuple(dict.fromkeys(name for name, _, moves in (*PASSES, *LATER) if moves)) + ("scalars",)
HARD = np.array([[0.0, -0.0, 1.0, -1.0], [30.0, -30.0, 800.0, -800.0], [np.inf, -np.inf, np.nan, 1e-300]])
Z, Y = rng.normal(size=(5, 4)) * 3, (rng.random((5, 4)) > 0.5).astype(float)
CLASSES = np.array([0, 3, 1, 1, 2])

CASES: dict[str, Callable[..., Any]] = {
    "sigmoid": tg.sigmoid, "softplus": tg.softplus, "log_sigmoid": tg.log_sigmoid, "relu": tg.relu, "silu": tg.silu,
    "gelu": tg.gelu, "square": np.square, "x**2": lambda x: x**2, "x**0.5": lambda x: np.abs(x) ** 0.5, "x**1": lambda x: x**1,
    "x**3": lambda x: x**3, "clip": lambda x: np.clip(x, -1, 2), "mean": np.mean, "mean0": lambda x: np.mean(x, axis=0),
    "mean1": lambda x: np.mean(x, axis=-1, keepdims=True), "sum": np.sum, "sum1": lambda x: np.sum(x, axis=(0, 1)),
    "max": lambda x: np.max(x, axis=1), "min": lambda x: np.min(x, axis=0, keepdims=True),
    "softmax": lambda x: tg.softmax(x, axis=1), "softmax0": lambda x: tg.softmax(x, axis=0),
    "log_softmax": lambda x: tg.log_softmax(x, axis=1),
}


def bits(f: Callable[..., Any], *args: Any, ulps: int = 0) -> Any:
    """Without algebra, compiled numbers are the eager ones to the bit, with this pass and without."""
    with np.errstate(all="ignore"):
        wanted = f(*args)
        for without in (ALGEBRA, (*ALGEBRA, "expand")):
            step = tg.jit(f, without=without)
            step(*args)
            found = step(*args)
            assert np.asarray(found).dtype == np.asarray(wanted).dtype and np.shape(found) == np.shape(wanted)
            if ulps:
                tolerance = ulps * np.finfo(np.asarray(wanted).dtype).eps
                np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
            else:
                np.testing.assert_array_equal(found, wanted)
    return step


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_values_to_the_bit(name: str, dtype: Any) -> None:
    for x in (Z, Z[:1], Z[:, :1], np.zeros((1, 1))):
        bits(CASES[name], x.astype(dtype), ulps=4)
    if name != "x**0.5":
        bits(CASES[name], np.clip(HARD, -800, 800)[:2].astype(dtype), ulps=4)


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "log_sigmoid", "relu", "silu", "gelu", "square", "clip"])
def test_infinities_and_nan(name: str) -> None:
    bits(CASES[name], HARD, ulps=4)


@pytest.mark.parametrize("name", CASES)
def test_slopes(name: str) -> None:
    f = CASES[name]
    bits(tg.grad(lambda x: np.sum(f(x) * np.cos(np.arange(np.size(f(x)))).reshape(np.shape(f(x))))), Z, ulps=32)


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("max", "min", "softmax", "softmax0", "log_softmax", "mean1")])
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_empty_arrays(name: str, shape: tuple[int, ...]) -> None:
    if name in ("mean", "mean0") or (name == "sum1" and len(shape) == 1):
        return
    bits(CASES[name], np.zeros(shape))


def test_cross_entropies() -> None:
    bits(lambda z, y: tg.binary_cross_entropy_with_logits(z, y), Z, Y, ulps=16)
    bits(lambda z, y: tg.grad(lambda z: np.mean(tg.binary_cross_entropy_with_logits(z, y)))(z), Z, Y, ulps=16)
    bits(lambda z, y: tg.cross_entropy(z, y), Z, CLASSES, ulps=16)
    bits(lambda z, y: tg.grad(lambda z: tg.cross_entropy(z, y))(z), Z, CLASSES, ulps=64)
    large = np.array([[1000.0, 0.0, -1000.0, 3.0]] * 5)
    bits(lambda z, y: tg.cross_entropy(z, y), large, CLASSES, ulps=16)
    bits(lambda z, y: tg.binary_cross_entropy_with_logits(z, y), large, Y, ulps=16)


def test_what_the_parts_are() -> None:
    recorded = record(lambda z: tg.softmax(z, axis=1), (Z,), {})
    assert [line.op.name for line in expand(recorded.program).lines] == [
        "maximum.reduce", "subtract", "exp", "add.reduce", "divide"]
    recorded = record(lambda z: tg.softmax(z * 2, axis=1), (Z,), {})
    names = [line.op.name for line in expand(recorded.program).lines]
    assert names[0] == "multiply" and "softmax" not in names


def test_results_of_another_shape_or_dtype_stay_one_call() -> None:
    recorded = record(lambda x: x ** np.array([1.0, 2.0, 3.0, 4.0]), (Z,), {})
    assert len(expand(recorded.program).lines) == len(recorded.program.lines)
    bits(lambda x: np.mean(x, axis=0), np.arange(6).reshape(2, 3))
    bits(lambda x: np.sum(x > 0), Z)
    bits(lambda x: np.sum(x > 0, axis=1), Z)
    bits(lambda x: np.mean(x > 0, axis=1), Z)


def test_an_operation_of_the_users_with_a_name_in_the_table() -> None:
    """What it is called does not make it what the table says."""
    own = tg.primitive(lambda g, y, x: 3 * g, name="sigmoid")(lambda x: 3 * x)
    step = bits(lambda x: own(x) + tg.relu(x), Z)
    np.testing.assert_array_equal(step(Z), 3 * Z + np.maximum(Z, 0))


def test_a_part_that_is_shared() -> None:
    """Cross-entropy and its slope use one exponential."""
    f = tg.value_and_grad(lambda z, y: np.mean(tg.binary_cross_entropy_with_logits(z, y)))
    step = tg.jit(f)
    step(Z, Y)
    names = [line.op.name for line in step.program.lines]
    alone = tg.jit(f, without=("expand",))
    alone(Z, Y)
    assert names.count("exp") == 2
    assert "binary_cross_entropy_with_logits" in [line.op.name for line in alone.program.lines]
    np.testing.assert_allclose(step(Z, Y)[1], alone(Z, Y)[1], rtol=1e-13)


def test_every_expansion_is_tried_here() -> None:
    named = {"sigmoid", "softplus", "log_sigmoid", "binary_cross_entropy_with_logits", "sigmoid_error", "relu", "silu",
             "gelu_tanh", "gelu_tanh_slope", "mean", "sum", "sum_to", "softmax", "log_softmax", "class_cross_entropy",
             "constant_power", "square", "clip", "max", "min"}
    assert set(EXPANSIONS) <= named
    bits(lambda x: tg.grad(lambda b: np.sum(np.sin(Z + b)))(x), np.zeros((1, 4)), ulps=16)  # sum_to
