"""The functions of networks: values, derivatives of two orders, kinks, extreme arguments, errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor

Function = Callable[[Any], Any]
ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


# name: (our function, the definition written out in NumPy)
DEFINITIONS: dict[str, tuple[Function, Function]] = {
    "celu": (lambda x: tg.celu(x, 2.0), lambda x: np.where(x > 0, x, 2 * (np.exp(x / 2) - 1))),
    "selu": (tg.selu, lambda x: SCALE * np.where(x > 0, x, ALPHA * (np.exp(x) - 1))),
    "mish": (tg.mish, lambda x: x * np.tanh(np.log(1 + np.exp(x)))),
    "softsign": (tg.softsign, lambda x: x / (1 + abs(x))),
    "hard_tanh": (lambda x: tg.hard_tanh(x, -0.5, 2.25), lambda x: np.clip(x, -0.5, 2.25)),
    "relu6": (tg.relu6, lambda x: np.clip(x, 0, 6)),
    "hard_sigmoid": (tg.hard_sigmoid, lambda x: np.clip(x + 3, 0, 6) / 6),
    "hard_swish": (tg.hard_swish, lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "hardshrink": (lambda x: tg.hardshrink(x, 0.75), lambda x: np.where(abs(x) > 0.75, x, 0)),
    "softshrink": (lambda x: tg.softshrink(x, 0.75), lambda x: np.sign(x) * np.maximum(abs(x) - 0.75, 0)),
    "tanhshrink": (tg.tanhshrink, lambda x: x - np.tanh(x)),
    "elu": (lambda x: tg.elu(x, 1.5), lambda x: np.where(x > 0, x, 1.5 * (np.exp(x) - 1))),
    "prelu": (lambda x: tg.prelu(x, 0.3), lambda x: np.where(x > 0, x, 0.3 * x)),
}
ARGUMENTS = np.array([-7.3, -3.2, -2.1, -0.9, -0.31, 0.04, 0.2, 0.9, 1.7, 2.9, 5.1, 8.3])
EVERY = pytest.mark.parametrize("name", DEFINITIONS)


@EVERY
def test_values_are_those_of_the_definition(name: str) -> None:
    ours, definition = DEFINITIONS[name]
    for x in (ARGUMENTS, ARGUMENTS.reshape(3, 4), ARGUMENTS[::2], np.zeros((0, 3)), np.float64(0.7)):
        plain, recorded = ours(x), ours(Tensor(x))
        np.testing.assert_allclose(plain, definition(x), rtol=1e-12, atol=1e-13)
        np.testing.assert_array_equal(recorded.data, plain)
        assert recorded.requires_grad and recorded.shape == np.shape(x) and np.asarray(plain).dtype == np.float64


@EVERY
def test_derivatives_of_two_orders(name: str) -> None:
    ours, _ = DEFINITIONS[name]
    assert tg.check_gradients(ours, ARGUMENTS).ok
    assert tg.check_gradients(tg.elementwise_grad(ours), ARGUMENTS).ok


@EVERY
def test_float32_stays_and_integers_become_floats(name: str) -> None:
    ours, _ = DEFINITIONS[name]
    x = ARGUMENTS.astype(np.float32)
    value, slope = tg.value_and_grad(lambda x: ours(x).sum())(x)
    assert ours(x).dtype == value.dtype == slope.dtype == np.float32
    np.testing.assert_allclose(slope, tg.grad(lambda x: ours(x).sum())(x.astype(float)), rtol=1e-5, atol=1e-6)
    assert ours([1, 2]).dtype == np.float64


@EVERY
def test_nan_stays_nan(name: str) -> None:
    assert np.isnan(DEFINITIONS[name][0](np.array([np.nan, 1.0]))).tolist() == [True, False]


@pytest.mark.parametrize(("function", "x", "slope"), [
    pytest.param(tg.relu6, 0.0, 0.0, id="relu6-0"), pytest.param(tg.relu6, 6.0, 0.0, id="relu6-6"),
    pytest.param(tg.hard_tanh, -1.0, 0.0, id="hard_tanh-low"), pytest.param(tg.hard_tanh, 1.0, 0.0, id="hard_tanh-high"),
    pytest.param(tg.hard_sigmoid, -3.0, 0.0, id="hard_sigmoid-low"),
    pytest.param(tg.hard_sigmoid, 3.0, 0.0, id="hard_sigmoid-high"),
    pytest.param(tg.hard_swish, -3.0, 0.0, id="hard_swish-low"), pytest.param(tg.hard_swish, 3.0, 1.0, id="hard_swish-high"),
    pytest.param(tg.hardshrink, 0.5, 0.0, id="hardshrink"), pytest.param(tg.softshrink, -0.5, 0.0, id="softshrink"),
    pytest.param(tg.selu, 0.0, SCALE * ALPHA, id="selu"), pytest.param(lambda x: tg.celu(x, 2.0), 0.0, 1.0, id="celu"),
    pytest.param(lambda x: tg.prelu(x, 0.3), 0.0, 0.3, id="prelu"), pytest.param(tg.softsign, 0.0, 1.0, id="softsign"),
    pytest.param(lambda x: tg.elu(x, 1.5), 0.0, 1.5, id="elu"),
])
def test_slopes_at_kinks(function: Function, x: float, slope: float) -> None:
    assert tg.grad(function)(x) == slope
    assert tg.grad(lambda x: function(x).sum())(np.array([x, x])).tolist() == [slope, slope]


TINY = math.exp(-400)
STABLE = [  # function, x, value, slope
    ("celu", -400.0, -1.0, TINY), ("celu", 1e300, 1e300, 1.0), ("elu", -400.0, -1.0, TINY), ("elu", -40.0, -1.0, math.exp(-40)),
    ("selu", -400.0, -SCALE * ALPHA, SCALE * ALPHA * TINY), ("selu", 400.0, SCALE * 400, SCALE),
    ("mish", -400.0, -400 * TINY, -399 * TINY), ("mish", 400.0, 400.0, 1.0),
    ("mish", -1e300, 0.0, 0.0), ("mish", 1e300, 1e300, 1.0),
    ("softsign", 400.0, 400 / 401, 1 / 401**2),
    ("softsign", -1e8, -1e8 / (1e8 + 1), (1e8 + 1) ** -2), ("softsign", 1e300, 1.0, 0.0),
    ("hard_sigmoid", -400.0, 0.0, 0.0), ("hard_sigmoid", 1e300, 1.0, 0.0), ("hard_swish", -400.0, 0.0, 0.0),
    ("hard_swish", 400.0, 400.0, 1.0), ("relu6", 1e300, 6.0, 0.0), ("tanhshrink", 400.0, 399.0, 1.0),
    ("tanhshrink", 1e-8, 1e-24 / 3, 1e-16), ("tanhshrink", -1e-100, -1e-300 / 3, 1e-200), ("softshrink", 1e300, 1e300, 1.0),
    ("hardshrink", -math.inf, -math.inf, 1.0), ("hard_tanh", math.inf, 1.0, 0.0), ("celu", -math.inf, -1.0, 0.0),
    ("selu", math.inf, math.inf, SCALE), ("tanhshrink", math.inf, math.inf, 1.0), ("tanhshrink", 0.0, 0.0, 0.0),
]


@pytest.mark.parametrize(("name", "x", "value", "slope"), STABLE)
def test_stable_at_extreme_arguments(name: str, x: float, value: float, slope: float) -> None:
    """For one number and in an array alike, to the last digits also where the slope is tiny."""
    got = tg.value_and_grad(getattr(tg, name))(x)
    np.testing.assert_allclose(got, (value, slope), rtol=2e-14 if abs(x) > 30 else 1e-13, atol=0)
    got, slopes = tg.vjp(getattr(tg, name), np.array([x, 0.5]))
    np.testing.assert_allclose((got[0], slopes(np.ones(2))[0][0]), (value, slope), rtol=1e-13, atol=0)


def test_tanhshrink_is_exact_where_the_difference_cancels() -> None:
    """Against the Taylor series, and across the change of formulas at 1."""
    for x in (1e-6, 1e-4, 1e-3):
        series = x**3 / 3 - 2 * x**5 / 15 + 17 * x**7 / 315
        assert tg.tanhshrink(x) == pytest.approx(series, rel=1e-15)
    below, above = tg.tanhshrink(np.array([np.nextafter(1, 0), 1.0]))
    assert above - below < 1e-15


def test_prelu_has_a_weight_for_each_channel() -> None:
    rng = np.random.default_rng(0)
    for shape in ((5, 3), (2, 3, 4), (3,)):
        x, w = rng.normal(size=shape), rng.normal(size=3)
        along = w.reshape(-1, *(1,) * (len(shape) - 2)) if len(shape) > 1 else w
        np.testing.assert_array_equal(tg.prelu(x, w), np.where(x > 0, x, along * x))
        assert tg.check_gradients(tg.prelu, x, w).ok
    assert tg.prelu(Tensor(np.ones((2, 3), np.float32)), [0.1, 0.2, 0.3]).dtype == np.float32
    w = Tensor(0.5)
    tg.prelu(np.array([1.0, -2.0, -3.0]), w).sum().backward()
    assert w.grad == -5.0


@pytest.mark.parametrize("axis", [-1, 0, 1, -2])
def test_glu_gates_one_half_with_the_other(axis: int) -> None:
    x = np.random.default_rng(1).normal(size=(4, 6, 2))
    a, b = np.split(x, 2, axis)
    np.testing.assert_allclose(tg.glu(x, axis), a * sigmoid(b), rtol=1e-13)
    assert tg.check_gradients(lambda x: tg.glu(x, axis), x).ok


@pytest.mark.parametrize("axis", [-1, 0, (0, 2), None])
def test_softmin_is_softmax_of_the_opposite(axis: Any) -> None:
    x = np.random.default_rng(2).normal(size=(2, 3, 4)) * 400
    y = tg.softmin(x, axis)
    e = np.exp(-x + np.min(x, axis=axis, keepdims=True))
    np.testing.assert_allclose(y, e / e.sum(axis=axis, keepdims=True), rtol=1e-12)
    assert tg.check_gradients(lambda x: tg.softmin(x, axis), x / 400).ok


@pytest.mark.parametrize(("call", "message"), [
    (lambda: tg.glu(np.ones((2, 3))),
     "glu: x has shape (2, 3), and axis 1 of odd size 3 has no two halves. Make it even: one half is the value, the "
     "other its gate."),
    (lambda: tg.prelu(np.ones((2, 3)), [0.1, 0.2]),
     "prelu: x has shape (2, 3), weight (2,). Give one number, or one for each channel: shape (3,)."),
    (lambda: tg.hard_tanh(1.0, 2, 1), "hard_tanh: min_val=2 is not below max_val=1. Give the lower bound first."),
    (lambda: tg.softshrink(1.0, -1),
     "softshrink: lambd=-1 is negative. It says how far x is moved towards 0: give 0 or more."),
    (lambda: tg.celu(1.0, 0), "celu: alpha=0 divides by zero. Use a positive alpha, or relu, its limit."),
])
def test_errors_say_what_to_type(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == message


def test_they_print_as_numpy_code() -> None:
    """Code that stands alone and gives the engine's numbers, on other arguments too."""
    def f(x: Any) -> Any:
        return tg.sum(tg.mish(x) + tg.selu(x) * tg.celu(x, 2.0) + tg.softsign(x) * tg.hard_swish(x) + tg.tanhshrink(x)
                      + tg.softshrink(x) * tg.hardshrink(x) + tg.hard_tanh(x) + tg.relu6(x) * tg.prelu(x, 0.2))

    namespace: dict[str, Any] = {}
    exec(str(tg.numpy_source(f, ARGUMENTS)), namespace)  # noqa: S102
    for x in (ARGUMENTS, ARGUMENTS[::-1] / 3):
        J, dx = namespace["f_and_gradients"](x)
        value, slope = tg.value_and_grad(f)(x)
        np.testing.assert_array_equal((J, *dx), (value, *slope))
