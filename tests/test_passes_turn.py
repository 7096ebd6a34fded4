"""Products that are transposed are made the other way round."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg

rng = np.random.default_rng(0)
X, G, H = rng.normal(size=(30, 3)), rng.normal(size=(30, 8)), rng.normal(size=(3, 8))


def step_of(f, *args, without=()):
    step = tg.jit(f, without=without)
    step(*args)
    step(*args)
    return step


def turned(f, *args) -> bool:
    """Whether the pass does something, which changes no meaning."""
    on, off = step_of(f, *args), step_of(f, *args, without=("turn_products",))
    found, wanted, eager = on(*args), off(*args), f(*args)
    for a, b, c in zip(*[x if isinstance(x, tuple) else (x,) for x in (found, wanted, eager)], strict=True):
        c = np.asarray(c)
        assert a.shape == b.shape == c.shape and a.dtype == b.dtype == c.dtype
        tolerance = 1e-12 if c.dtype == np.float64 else 1e-5
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(a, c, rtol=tolerance, atol=tolerance)
    return str(on.program) != str(off.program)


@pytest.mark.parametrize("f", [
    lambda x, g, h: (x.T @ g).T,
    lambda x, g, h: (x.T @ g + h.T.T @ (g.T @ g)).T,
    lambda x, g, h: np.tanh((x.T @ g).T) + 1,
    lambda x, g, h: ((x.T @ g).T, np.sum(x)),
    lambda x, g, h: tg.grad(lambda w: np.sum(np.sin(x @ w.T)))(h.T),  # weights as PyTorch keeps them
], ids=["product", "sum", "used", "result", "gradient"])
def test_products_are_turned(f):
    assert turned(f, X, G, H)
    step = step_of(f, X, G, H)
    assert ".copy()" not in step.source


@pytest.mark.parametrize("f", [
    lambda x, g, h: (g.T @ x).T,  # three rows are fewer than eight
    lambda x, g, h: (lambda y: (y.T, y))(x.T @ g),  # the product itself is needed
    lambda x, g, h: (lambda y: y.T @ y)(x.T @ g),
    lambda x, g, h: (x.T @ g * 2.0).T,
    lambda x, g, h: np.stack([x.T @ g, h]).transpose(2, 1, 0),
], ids=["rows", "kept", "twice", "scaled", "stack"])
def test_others_stay(f):
    assert not turned(f, X, G, H)


def test_mixed_precision_and_donated_weights():
    assert turned(lambda x, g: (x.T @ g).T, X.astype(np.float32), G)
    w = rng.normal(size=(8, 3))

    def descent(w, x, y):
        return w - 0.01 * tg.grad(lambda w: np.mean((x @ w.T - y) ** 2))(w)

    weights = dict.fromkeys(((), ("turn_products",)), w)
    for without in weights:
        step = tg.jit(descent, donate=("w",), without=without)
        for _ in range(5):
            weights[without] = step(weights[without], X, G)
    np.testing.assert_allclose(*weights.values(), rtol=1e-12)
