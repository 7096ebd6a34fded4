"""Maxima of windows are taken before what treats a window's entries alike: fewer entries to add to, the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg


def network(order: str, padding: int) -> Any:
    def cost(x: Any, w: Any, b: Any) -> Any:
        h = tg.conv2d(x, w, b, padding=1)
        if order == "relu after":
            h = tg.relu(tg.max_pool2d(h, 2, padding=padding))
        elif order == "relu before":
            h = tg.max_pool2d(tg.relu(h), 2, padding=padding)
        else:
            h = tg.max_pool2d(h, 3, 2, padding=padding)
        return tg.mean(h * h * np.arange(1.0, h.shape[1] + 1).reshape(1, -1, 1, 1))

    return cost


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("order", ["relu after", "relu before", "overlapping"])
def test_the_same_numbers(order: str, padding: int) -> None:
    rng = np.random.default_rng(3)
    eager = tg.value_and_grad(network(order, padding), argnums=(0, 1, 2))
    compiled = tg.jit(eager)
    plain = tg.jit(eager, without=("pool_first",))
    for _ in range(3):
        args = rng.normal(size=(4, 3, 8, 8)), rng.normal(size=(5, 3, 3, 3)), rng.normal(size=5)
        for f in (compiled, plain):
            value, slopes = f(*args)
            expected, wanted = eager(*args)
            np.testing.assert_allclose(value, expected, rtol=1e-12)
            for got, want in zip(slopes, wanted, strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("order", ["relu after", "relu before"])
def test_the_bias_is_added_to_the_maxima(order: str) -> None:
    rng = np.random.default_rng(3)
    args = rng.normal(size=(4, 3, 8, 8)), rng.normal(size=(5, 3, 3, 3)), rng.normal(size=5)
    compiled = tg.jit(tg.value_and_grad(network(order, 0), argnums=(0, 1, 2)))
    compiled(*args)
    operations = {line.name: line for line in compiled.program.lines}
    operations = {line.name: line for line in compiled.program.lines}
    pool = next(line for line in compiled.program.lines if line.op.name == "max_pool")
    assert operations[pool.operands[0]].op.name == "convolution"


def test_what_else_reads_the_sum_keeps_it() -> None:
    def cost(x: Any, b: Any) -> Any:
        h = x + tg.reshape(b, (1, -1, 1, 1))
        return tg.sum(tg.max_pool2d(h, 2) ** 2) + tg.sum(h**3)

    rng = np.random.default_rng(3)
    args = rng.normal(size=(2, 3, 4, 4)), rng.normal(size=3)
    eager = tg.value_and_grad(cost, argnums=(0, 1))
    compiled = tg.jit(eager)
    compiled(*args)
    for got, want in zip(compiled(*args)[1], eager(*args)[1], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
