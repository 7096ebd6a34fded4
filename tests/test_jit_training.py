"""Compiled training steps: donated arguments take every update, whatever their shapes and whichever waits for which."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.rules.indexing import scatter

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((40, 3)), rng.standard_normal(40)


def loss(params: Any, x: Any, y: Any) -> Any:
    return np.mean((x @ params["w"] + params["b"] - y) ** 2)


def start() -> dict[str, Any]:
    return {"w": np.full(3, 0.5), "b": np.array(0.25)}


def descend(params: Any, x: Any, y: Any) -> Any:
    value, g = tg.value_and_grad(loss)(params, x, y)
    return value, {name: params[name] - 0.1 * g[name] for name in params}


@pytest.mark.parametrize("without", [(), ("flatten",), ("plan_memory",), ("scalars",)])
def test_a_donated_number_is_updated_too(without: tuple[str, ...]) -> None:
    compiled = tg.jit(descend, donate=("params",), without=without)
    ours, wanted = start(), start()
    for _ in range(6):
        value, ours = compiled(ours, X, Y)
        expected, wanted = descend(wanted, X, Y)
        assert value == pytest.approx(expected, rel=1e-12)
        assert np.allclose(ours["w"], wanted["w"], rtol=1e-12) and float(ours["b"]) == pytest.approx(float(wanted["b"]))


def adam(params: Any, ms: Any, vs: Any, t: Any, x: Any, y: Any) -> Any:
    value, g = tg.value_and_grad(lambda p: np.mean((np.tanh(x @ p[0] + p[1]) @ p[2] - y) ** 2))(params)
    t = t + 1.0
    ms = tuple([0.9 * m + 0.1 * d for m, d in zip(ms, g, strict=True)])
    vs = tuple([0.99 * v + 0.01 * d**2 for v, d in zip(vs, g, strict=True)])
    params = tuple([p - 0.01 / (1 - 0.9**t) * m / (np.sqrt(v / (1 - 0.99**t)) + 1e-8)
                    for p, m, v in zip(params, ms, vs, strict=True)])
    return value, params, ms, vs, t


def test_adam_is_one_update_on_flat_buffers() -> None:
    weights = (rng.standard_normal((3, 8)), np.zeros(8), rng.standard_normal(8))
    zeros = tuple(0 * w for w in weights)
    compiled = tg.jit(adam, donate=("params", "ms", "vs"))
    ours: tuple[Any, ...] = (weights, zeros, zeros, 0.0)
    wanted: tuple[Any, ...] = ours
    for _ in range(5):
        ours, wanted = compiled(*ours, X, Y)[1:], adam(*wanted, X, Y)[1:]
    for group, its in zip(ours[:3], wanted[:3], strict=True):
        for got, right in zip(group, its, strict=True):
            assert np.allclose(got, right, rtol=1e-11, atol=1e-13)
    assert ours[3] == wanted[3] == 5
    assert sum(line.op.name == "sqrt" and line.shape != () for line in compiled.program.lines) == 1  # for all three arrays


def test_a_sum_of_products_of_an_argument_s_entries() -> None:
    """The entries of an argument, stacked, are the argument itself: nothing makes it, so it has no place among the lines."""
    def cost(w: Any, u: Any, x: Any) -> Any:
        h = np.zeros((2, 3))
        for t in range(5):
            h = np.tanh(x[t] @ w + h @ u)
        return np.sum(h**2)

    w, u, x = rng.standard_normal((4, 3)), rng.standard_normal((3, 3)), rng.standard_normal((5, 2, 4))
    f = tg.value_and_grad(cost, argnums=(0, 1))
    compiled = tg.jit(f)
    compiled(w, u, x)
    (value, (dw, du)), (right, (rw, ru)) = compiled(w, u, x), f(w, u, x)
    assert value == pytest.approx(right, rel=1e-12)
    assert np.allclose(dw, rw, rtol=1e-11) and np.allclose(du, ru, rtol=1e-11)


def test_what_was_recorded_is_let_go() -> None:
    def f(x: Any) -> Any:
        return [np.sum(np.exp(x * k)) for k in range(20)], np.tanh(x)

    x = rng.standard_normal(50_000)
    compiled = tg.jit(f)
    compiled(x[:10])
    gc.collect()
    tracemalloc.start()
    compiled(x)
    compiled(x)
    gc.collect()
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert now < 4 * x.nbytes  # the planned memory, not the forty arrays of the recording


@pytest.mark.parametrize(("shape", "places"), [((30, 16), (200,)), ((7, 3, 5), (11, 4)), ((5, 100), (4,)), ((1, 300), (2,))])
def test_scattered_rows_are_added_in_order(shape: tuple[int, ...], places: tuple[int, ...]) -> None:
    index = rng.integers(-shape[0], shape[0], places)
    values = rng.standard_normal(places + shape[1:])
    wanted = np.zeros(shape)
    np.add.at(wanted, index, values)
    assert np.array_equal(scatter(values, index=index, shape=shape), wanted)
    assert np.array_equal(scatter(np.asfortranarray(values), index=index, shape=shape), wanted)
