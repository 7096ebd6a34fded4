"""Sums of spread products become products of matrices, and factors leave the sums they do not vary in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

rng = np.random.default_rng(0)
A, B, C = rng.standard_normal((20, 30)), rng.standard_normal((30, 40)), rng.standard_normal((20, 30, 5))
V = rng.standard_normal(30)

# what is computed, its arguments, and whether a product of matrices is found
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...], bool]] = {
    "matrices": (lambda a, b: np.sum(a[:, :, None] * b[None], axis=1), (A, B), True),
    "matrices, kept": (lambda a, b: np.sum(a[:, :, None] * b[None], axis=1, keepdims=True), (A, B), True),
    "matrices, turned": (lambda a, b: np.sum(b[None] * a[:, :, None], axis=-2), (A, B), True),
    "a batch": (lambda a, c: np.sum(a[:, :, None] * c, axis=1), (A, C), True),
    "a batch along the middle": (lambda a, c: np.sum(a[:, :, None] * c, axis=0), (A, C), True),
    "a batch, kept": (lambda a, c: np.sum(c * a[:, :, None], axis=0, keepdims=True), (A, C), True),
    "a vector": (lambda v, b: np.sum(v[:, None] * b, axis=0), (V, B), True),
    "number, sign, scale": (lambda a, c, v: np.sum(-(2.5 * a[:, :, None]) * c / v[0], axis=1), (A, C, V), True),
    "a scale for each sum": (lambda a, c, v: np.sum((a[:, :, None] * c) * v[:, None], axis=0), (A, C, V), True),
    "a scale, kept": (lambda c, v: np.sum(c * v[:20, None, None], axis=(1, 2), keepdims=True), (C, V), False),
    "twice": (lambda a, c: np.sum(a[:, :, None] * c + a[:, :, None] * c, axis=1), (A, C), True),
    "two axes": (lambda a, c: np.sum(a[:, :, None] * c, axis=(0, 1)), (A, C), False),
    "entry by entry": (lambda a: np.sum(a * np.tanh(a), axis=1), (A,), False),
    "used elsewhere": (lambda a, b: ((t := a[:, :, None] * b[None]), np.sum(t, axis=1)), (A, B), False),
    "one factor alone along the axis": (lambda a, b: np.sum(a[:, :, None] * b[None], axis=2), (A, B), False),
    "few": (lambda v: np.sum(v[:2, None] * v[None, :2, ], axis=0), (V,), False),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values(name: str, dtype: Any) -> None:
    f, args, found = CASES[name]
    args = tuple(x.astype(dtype) for x in args)
    compiled, plain = tg.jit(f), tg.jit(f, without=("contract",))
    for g in (compiled, plain):
        g(*args)
    for got, other, wanted in zip(*[r if type(r) is tuple else (r,) for r in (compiled(*args), plain(*args), f(*args))],
                                  strict=True):
        assert got.shape == wanted.shape and got.dtype == wanted.dtype
        scale = np.max(np.abs(wanted))
        for x in (got, other):
            assert np.max(np.abs(x - wanted)) <= (1e-12 if dtype == np.float64 else 1e-5) * scale
    made = [line.op.name for line in compiled.program.lines]
    assert ("matmul" in made and max(np.prod(line.shape) for line in compiled.program.lines) <= 3000) or not found


def test_gradients_of_a_product_written_by_spreading() -> None:
    """Forward and backward are three products of matrices: nothing of three dimensions is made."""
    def cost(a: Any, b: Any) -> Any:
        return np.sum(np.tanh(np.sum(a[:, :, None] * b[None], axis=1)) ** 2)

    f = tg.value_and_grad(cost, argnums=(0, 1))
    compiled = tg.jit(f)
    compiled(A, B)
    value, (da, db) = compiled(A, B)
    wanted, (wa, wb) = f(A, B)
    assert np.allclose(value, wanted, rtol=1e-12)
    assert np.allclose(da, wa, rtol=1e-11, atol=1e-12) and np.allclose(db, wb, rtol=1e-11, atol=1e-12)
    assert all(np.prod(line.shape) < 20 * 30 * 40 for line in compiled.program.lines)
