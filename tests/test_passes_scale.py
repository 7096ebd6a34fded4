"""A number moved to where it costs least: once, where everything made of an array is multiplied by it in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.containers import flatten

rng = np.random.default_rng(0)
W, X = rng.normal(size=(4, 3)), rng.normal(size=(5, 4))


def compare(f: Callable[..., Any], *args: Any, tolerance: float = 1e-12, **settings: Any) -> tuple[Any, Any]:
    """f eager, compiled, and without the pass, on its arguments and on others; the two programs."""
    programs = []
    others = [x * 0.7 if isinstance(x, (float, np.ndarray, np.floating)) else x for x in args]
    for without in ((), ("scale_early",)):
        step = tg.jit(f, without=without, **settings)
        step(*args)
        for given in (args, others):
            for x, y in zip(flatten(step(*given))[0], flatten(f(*given))[0], strict=True):
                x, y = np.asarray(x), np.asarray(y)
                assert x.shape == y.shape and x.dtype == y.dtype
                np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)
        programs.append(step.program)
    return programs[0], programs[1]


def scalings(program: Any) -> int:
    """Products of a number that is not known beforehand and an array."""
    shape = {str(x.name): x.shape for x in program.inputs} | {str(line.name): line.shape for line in program.lines}
    return sum(line.op.name == "multiply" and line.shape != () and any(shape.get(str(x), (1,)) == () for x in line.operands)
               for line in program.lines)


def loss(w: Any, x: Any) -> Any:
    return np.mean(np.tanh(x @ w) ** 2)


def test_the_learning_rate_goes_where_the_mean_is_taken() -> None:
    def step(w: Any, x: Any, rate: Any) -> Any:
        return w - rate * tg.grad(loss)(w, x)

    on, off = compare(step, W, X, 0.1)
    assert scalings(on) == scalings(off) == 1
    assert next(line for line in on.lines if "rate" in map(str, line.operands)).shape == ()
    assert next(line for line in off.lines if "rate" in map(str, line.operands)).shape == (4, 3)
    compare(step, W, X, 0.1, donate=("w",))


def deep(ps: Any, x: Any) -> Any:
    for p in ps:
        x = np.tanh(x @ p)
    return np.mean(x**2)


def test_all_gradients_arrive_scaled() -> None:
    ps = [rng.normal(size=(4, 4)) for _ in range(2)]

    def step(ps: Any, x: Any, rate: Any) -> Any:
        value, g = tg.value_and_grad(deep)(ps, x)
        return value, [p - rate * d for p, d in zip(ps, g, strict=True)]

    on, off = compare(step, ps, X, 0.1)
    assert (scalings(on), scalings(off)) == (1, 2)
    compare(step, ps, X, 0.1, donate=("ps",))


@pytest.mark.parametrize("f", [
    lambda w, x, rate: (w - rate * tg.grad(loss)(w, x), tg.grad(loss)(w, x)),
    lambda w, x, rate: (lambda g: (w - rate * g, g))(tg.grad(loss)(w, x)),
    lambda w, x, rate: (lambda g: w - rate * g + g * g)(tg.grad(loss)(w, x)),
    lambda w, x, rate: (lambda g: w - rate * g * np.sum(g * g))(tg.grad(loss)(w, x)),
    lambda w, x, rate: (lambda g: w - rate * g / np.sqrt(np.sum(g * g)))(tg.grad(loss)(w, x)),
    lambda w, x, rate: (lambda g: w - rate * np.clip(g, -0.01, 0.01))(tg.grad(loss)(w, x)),
    lambda w, x, rate: (lambda g: w - rate * np.sign(g))(tg.grad(loss)(w, x)),
    lambda w, x, rate: (lambda g: w - rate * (g + 0.1))(tg.grad(loss)(w, x)),
    lambda w, x, rate: (lambda g: w - rate * (g + w))(tg.grad(loss)(w, x)),
    lambda w, x, rate: (lambda g: w - rate * (rate * g))(tg.grad(loss)(w, x)),
    lambda w, x, rate: (lambda g: w - rate * g - rate * rate * g)(tg.grad(loss)(w, x)),
    lambda w, x, rate: (lambda g: w - rate * g - rate * (2 * g))(tg.grad(loss)(w, x)),
    lambda w, x, rate: (lambda g: w - rate * (g @ g.T) @ w)(tg.grad(loss)(w, x)),
    lambda w, x, rate: (lambda g: w - rate * (g * g))(tg.grad(loss)(w, x)),
    lambda w, x, rate: (lambda g: w - rate * np.where(w > 0, g, 0.0))(tg.grad(loss)(w, x)),
    lambda w, x, rate: (lambda g: w - rate * tg.relu(g))(tg.grad(loss)(w, x)),
    lambda w, x, rate: (lambda g: w - rate * (1 / g))(tg.grad(loss)(w, x) + 1),
    lambda w, x, rate: rate * np.sum(2.0 * x) + np.sum(rate * (2.0 * x)),
    lambda w, x, rate: rate * np.concatenate([2.0 * x, 3.0 * x]),
    lambda w, x, rate: rate * np.concatenate([2.0 * x, x]),
    lambda w, x, rate: rate * np.stack([2.0 * x, 3.0 * x]) + rate * np.stack([x, x]),
    lambda w, x, rate: rate * (2.0 * x - 3.0 * x),
    lambda w, x, rate: rate * (2.0 * x - 3.0),
    lambda w, x, rate: (lambda d: (rate * d) * (rate * d))(2.0 * x),
    lambda w, x, rate: (lambda d: rate * (d * np.exp(d)))(2.0 * x),
    lambda w, x, rate: (lambda d: rate * (d / np.exp(x)))(2.0 * x),
    lambda w, x, rate: (lambda d: rate * (np.exp(x) / d))(2.0 * x),
    lambda w, x, rate: (lambda d: rate * (d * np.exp(x)).T)(2.0 * x),
    lambda w, x, rate: (lambda d: rate * (d @ d.T))(2.0 * x),
    lambda w, x, rate: (lambda d: rate * (d.T @ x))(2.0 * x),
    lambda w, x, rate: (lambda d: rate * (d.T @ d))(2.0 * x),
    lambda w, x, rate: (lambda d: rate * d[0] + d[0])(2.0 * x),
    lambda w, x, rate: (lambda d: rate * d[0] + rate * d[1])(2.0 * x),
    lambda w, x, rate: (lambda d: rate * np.sum(d, axis=0) + 2 * rate * np.sum(d, axis=0))(2.0 * x),
    lambda w, x, rate: (lambda r: r * (2.0 * x))(np.sum(2.0 * x) * rate),
    lambda w, x, rate: (lambda d: (rate * d) * np.sum(d))(2.0 * x),
], ids=range(36))
def test_the_numbers_stay(f: Callable[..., Any]) -> None:
    for rate in (0.1, -3.0, 0.0):
        compare(f, W, X, rate, tolerance=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [0.1, np.float32(0.1), np.float64(0.1), np.array(0.1), np.array(0.1, np.float32)], ids=repr)
def test_the_dtype_stays(dtype: Any, rate: Any) -> None:
    compare(lambda w, x, rate: rate * tg.grad(loss)(w, x), W.astype(dtype), X.astype(dtype), rate, tolerance=1e-6)


def test_two_rates_and_a_rate_made_on_the_way() -> None:
    def step(ps: Any, x: Any, a: Any, b: Any) -> Any:
        g = tg.grad(deep)(ps, x)
        return [ps[0] - a * g[0], ps[1] - b * g[1]]

    ps = [rng.normal(size=(4, 4)) for _ in range(2)]
    compare(step, ps, X, 0.1, 0.3)

    def decaying(ps: Any, x: Any, a: Any, t: Any) -> Any:
        g = tg.grad(deep)(ps, x)
        rate = a / (1 + t)
        return [p - rate * d for p, d in zip(ps, g, strict=True)], rate

    compare(decaying, ps, X, 0.1, 3.0)

    def of_the_gradient(ps: Any, x: Any, a: Any) -> Any:
        g = tg.grad(deep)(ps, x)
        rate = a / (1 + sum(np.sum(d * d) for d in g))
        return [p - rate * d for p, d in zip(ps, g, strict=True)]

    compare(of_the_gradient, ps, X, 0.1, tolerance=1e-11)


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (1,), (0,)])
def test_small_and_empty(shape: tuple[int, ...]) -> None:
    compare(lambda x, rate: rate * tg.grad(lambda x: np.sum(np.tanh(x) * 0.5))(x), rng.normal(size=shape), 0.1)
    compare(lambda x, rate: rate * (2.0 * x), rng.normal(size=shape), 0.1)


def test_nan_and_infinity_keep_their_places() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0])
    f = lambda x, rate: rate * np.sum(2.0 * np.stack([x, x]), axis=0)  # noqa: E731
    step = tg.jit(f)
    step(x, 0.5)
    np.testing.assert_array_equal(step(x, 0.5), f(x, 0.5))
