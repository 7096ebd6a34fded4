"""x − (s·x + y) as (1 − s)·x − y."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.program.collect import collect
from tinygrad_edu.program.jit import jit
from tinygrad_edu.program.trace import trace

X, Y = np.random.default_rng(0).normal(size=(2, 4, 3))


@pytest.mark.parametrize(("f", "before", "after"), [
    (lambda x, y: x - (0.25 * x + y), 3, 2),
    (lambda x, y: x - (y + x * 0.25), 3, 2),
    (lambda x, y: x + (0.25 * x + y), 3, 2),
    (lambda x, y: (0.25 * x + y) + x, 3, 2),
    (lambda x, y: x - 0.1 * (0.25 * x + y), 4, 3),
    (lambda x, y: x - 0.25 * x, 2, 1),
    (lambda x, y: x - (0.25 * y + y), 3, 2),  # the inner sum
    (lambda x, y: x * y - (0.25 * x + y), 4, 4),
    (lambda x, y: x - (tg.sum(y) * x + y), 4, 4),  # a line of numbers more, a line of arrays less
])
def test_forms(f, before, after):
    program = trace(f, X, Y, wrt=())
    collected = collect(program)
    assert (len(program.lines), len(collected.lines)) == (before, after)
    expected, got = program.run(X, Y), collected.run(X, Y)
    assert list(expected) == list(got)
    for key in expected:
        np.testing.assert_allclose(got[key], expected[key], rtol=1e-12, atol=1e-13)


def test_what_is_used_elsewhere_stays():
    def f(x, y):
        decay = 0.25 * x
        total = decay + y
        return tg.sum(x - total) + tg.sum(total * decay)

    program = trace(f, X, Y)
    np.testing.assert_allclose(collect(program).run(X, Y)["dx"], program.run(X, Y)["dx"], rtol=1e-12)
    assert len(collect(program).lines) == len(program.lines)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weight_decay(dtype):
    start = [X.astype(dtype), Y.astype(dtype)[0]]

    def step(params, rate, decay):
        value, slopes = tg.value_and_grad(lambda ps: sum(tg.sum(tg.sin(p)) for p in ps) + decay / 2 * sum(
            tg.squared_norm(p) for p in ps))(params)
        return value, [p - rate * s for p, s in zip(params, slopes, strict=True)]

    results = []
    for without in ((), ("collect",)):
        fast, params = jit(step, donate=("params",), without=without), [p.copy() for p in start]
        for _ in range(4):
            value, params = fast(params, 0.1, 0.5)
        results.append([value, *[p.copy() for p in params]])
        source = next(iter(fast.entries.values())).made.source
        assert (" = 1 - " in source) == (not without)
        assert "copyto(gradients" not in source
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5 if dtype == np.float32 else 1e-12)
        assert np.asarray(a).dtype == dtype
