"""σ(−z) from the exponential of σ(z)."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.program.jit import jit


def both(z):
    return tg.sigmoid(z), tg.sigmoid(-z)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("turned", [False, True])
def test_large_and_small_arguments(dtype, turned):
    z = np.concatenate([np.linspace(-30, 30, 101), [0.0, -0.0, 80, -80, 700, -700, 1e4, -1e4, np.inf, -np.inf, np.nan]]).astype(
        dtype)
    f = (lambda z: both(-z)[::-1]) if turned else both
    shared, plain = jit(f), jit(f, without=("share_exponentials",))
    with np.errstate(over="ignore"):
        for g in (shared, plain):
            g(z)
        got, expected = shared(z), plain(z)
    assert next(iter(shared.entries.values())).made.source.count("exp(") < next(
        iter(plain.entries.values())).made.source.count("exp(")
    tiny = np.finfo(dtype).tiny
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=4 * np.finfo(dtype).eps, atol=2 * tiny)


def test_derivatives():
    z = np.linspace(-9, 9, 50)
    for f in (lambda z: tg.sum(tg.silu(z) * tg.sigmoid(-z)), lambda z: tg.sum(tg.gelu(z, approximate="tanh"))):
        both_ways = [jit(tg.value_and_grad(f), without=w) for w in ((), ("share_exponentials",))]
        for g in both_ways:
            g(z)
        (a, da), (b, db) = (g(z) for g in both_ways)
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(da, db, rtol=1e-11, atol=1e-15)


def test_one_of_them_alone_stays():
    for f in (tg.sigmoid, lambda z: tg.sigmoid(-z), lambda z: tg.sigmoid(z) * tg.sigmoid(2 * z)):
        sources = []
        for without in ((), ("share_exponentials",)):
            step = jit(f, without=without)
            step(np.linspace(-1, 1, 5))
            sources.append(next(iter(step.entries.values())).made.source)
        assert sources[0] == sources[1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", [
    lambda z: (tg.softplus(z), tg.sigmoid(z)),
    lambda z: (tg.sigmoid(-z), tg.softplus(z), tg.sigmoid(z)),
    lambda z: (tg.sigmoid(z), tg.log_sigmoid(z)),
    lambda z: (tg.softplus(-z), tg.sigmoid(z), tg.sigmoid(-z)),
    lambda z: tg.value_and_grad(lambda z: tg.sum(tg.softplus(z) * np.where(np.isfinite(z), 1.0, 0.0).astype(z.dtype)))(z)[1:],
], ids=["after", "before", "log", "turned", "slope"])
def test_softplus_and_sigmoid_have_one_exponential(f, dtype):
    z = np.concatenate([np.linspace(-30, 30, 101), [0.0, -0.0, 80, -80, 87, 88, -88, 700, -708, 709, 1e4, -1e4]]).astype(dtype)
    shared, plain = jit(f), jit(f, without=("share_exponentials",))
    for g in (shared, plain):
        g(z)
    limits = np.finfo(dtype)
    for eager, a, b in zip(f(z), shared(z), plain(z), strict=True):
        np.testing.assert_allclose(a, b, rtol=6 * limits.eps, atol=2 * limits.tiny)
        np.testing.assert_allclose(a, np.asarray(eager), rtol=6 * limits.eps, atol=2 * limits.tiny)
    assert next(iter(shared.entries.values())).made.source.count("exp(") == 1


def test_softplus_of_what_is_not_finite():
    z = np.array([np.inf, -np.inf, np.nan])
    for f in (tg.softplus, tg.log_sigmoid, tg.sigmoid, lambda z: tg.softplus(z) + tg.sigmoid(z)):
        step = jit(f)
        step(z)
        np.testing.assert_array_equal(step(z), np.asarray(f(z)))


def test_gelu_and_its_derivative_have_one_exponential():
    step = jit(tg.value_and_grad(lambda x: tg.sum(tg.gelu(x, approximate="tanh"))))
    x = np.concatenate([np.linspace(-30, 30, 61), [1e200, -1e200]])
    step(x)
    (value, slope), (wanted, expected) = step(x), tg.value_and_grad(lambda x: tg.sum(tg.gelu(x, approximate="tanh")))(x)
    np.testing.assert_allclose(value, wanted, rtol=1e-14)
    np.testing.assert_allclose(slope, expected, rtol=1e-13, atol=1e-290)
    assert next(iter(step.entries.values())).made.source.count(" exp(") == 1
