"""What the passes' algebra leaves alone: infinities, zeros, confident losses, and parameters of a step that fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

rng = np.random.default_rng(0)


# ---------------------------------------------------------------- a learning rate of 0, infinite gradients, short ranges

def descent(w: Any, x: Any, rate: Any) -> Any:
    return w - rate * tg.grad(lambda w: np.mean(np.tanh(x @ w)))(w)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("donate", [(), ("w",)])
def test_a_rate_moved_early_changes_no_meaning(dtype: Any, donate: Any) -> None:
    w, x = np.ones((3, 2), dtype), np.ones((4, 3), dtype)
    step = tg.jit(descent, donate=donate)
    step(w, x, dtype(0.1))
    assert ("raise OtherNumberError" in step.source) == (dtype is not np.float16)
    infinite = np.array([[1, np.inf, 0]] * 4, dtype)
    with np.errstate(all="ignore"):
        for rate in (0.0, 1e-3, -1.0, np.inf, 1e-300, 0.1):
            for data in (x, infinite, x * dtype(np.nan)):
                found, wanted = step(w, data, dtype(rate)), descent(w, data, dtype(rate))
                np.testing.assert_allclose(found, wanted, rtol=1e-3 if dtype is np.float16 else 1e-5)


def test_half_precision_keeps_small_updates() -> None:
    """0.001 / 1000 is a number of half precision with four bits only."""
    def descent(w: Any, x: Any, rate: Any) -> Any:
        return w - rate * tg.grad(lambda w: np.mean(np.square(x @ w)))(w)

    w, x = np.zeros(3, np.float16) + np.float16(0.01), rng.normal(size=(1000, 3)).astype(np.float16)
    step = tg.jit(descent)
    for rate in (np.float16(0.001), np.float16(0.002)):
        np.testing.assert_allclose(step(w, x, rate), descent(w, x, rate), rtol=1e-3)


# ---------------------------------------------------------------- confident rows

CONFIDENT = {
    "log_softmax": lambda z, y: tg.log_softmax(z, axis=1), "log_softmax 0": lambda z, y: tg.log_softmax(z, axis=0),
    "log_softmax of all": lambda z, y: tg.log_softmax(z, axis=(0, 1)), "cross_entropy": lambda z, y: tg.cross_entropy(z, y),
    "losses": lambda z, y: tg.cross_entropy(z, y, reduction="none"),
    "value": lambda z, y: tg.value_and_grad(tg.cross_entropy)(z, y)[0],
    "one class": lambda z, y: tg.log_softmax(z[:, :1], axis=1), "one row": lambda z, y: tg.log_softmax(z[0], axis=0),
}


@pytest.mark.parametrize("f", CONFIDENT.values(), ids=CONFIDENT)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [1, 5, 40, 100])
def test_a_confident_loss_is_not_0(f: Any, dtype: Any, scale: float) -> None:
    z = (rng.normal(size=(30, 4)) * scale).astype(dtype)
    y, compiled = z.argmax(1), tg.jit(f)
    y[:3] = 0
    compiled(z[::-1].copy(), y)
    np.testing.assert_allclose(compiled(z, y), f(z, y), rtol=3e-12 if dtype is np.float64 else 1e-4, atol=0)


def test_a_loss_far_below_the_rounding_of_1() -> None:
    z, y = np.array([[50.0, 0.0], [0.0, 60.0]]), np.array([0, 1])
    losses = tg.jit(lambda z, y: tg.cross_entropy(z, y, reduction="none"))
    losses(z[::-1].copy(), y)
    np.testing.assert_allclose(losses(z, y), np.exp([-50.0, -60.0]), rtol=1e-14)


# ---------------------------------------------------------------- a donated step that fails

def adam(params: Any, m: Any, v: Any, t: float, X: Any, y: Any) -> Any:
    g = tg.grad(lambda p: tg.cross_entropy(np.tanh(X @ p["W"] + p["b"]) @ p["U"], y))(params)
    m = {k: 0.9 * m[k] + 0.1 * g[k] for k in m}
    v = {k: 0.99 * v[k] + 0.01 * g[k] ** 2 for k in v}
    return {k: params[k] - 0.01 * m[k] / (1 - 0.9**t) / (np.sqrt(v[k] / (1 - 0.99**t)) + 1e-8) for k in params}, m, v


@pytest.mark.parametrize("without", [(), ("flatten",), ("fuse", "collect"), ("plan_memory",)])
def test_a_wrong_label_leaves_the_parameters_alone(without: Any) -> None:
    start = {"W": rng.normal(size=(4, 5)), "b": np.zeros(5), "U": rng.normal(size=(5, 3))}
    step = tg.jit(adam, donate=("params", "m", "v"), without=without)
    zeros = [{k: np.zeros_like(x) for k, x in start.items()} for _ in range(2)]
    X, y = rng.normal(size=(7, 4)), rng.integers(0, 3, 7)
    held = step(start, *zeros, 1.0, X, y)
    held = step(*held, 2.0, X, y)
    before = [{k: x.copy() for k, x in part.items()} for part in held]
    with pytest.raises(ValueError, match="3 classes"):
        step(*held, 3.0, X, y + 5)
    for part, was in zip(held, before, strict=True):
        for k in was:
            np.testing.assert_array_equal(part[k], was[k])
    wanted = adam(*before, 3.0, X, y)
    for part, right in zip(step(*held, 3.0, X, y), wanted, strict=True):
        for k in right:
            np.testing.assert_allclose(part[k], right[k], rtol=1e-12)


@pytest.mark.parametrize("order", [0, 1])
def test_an_update_that_fails_leaves_the_other_undone(order: int) -> None:
    def f(a: Any, b: Any, M: Any, x: Any) -> Any:
        plain, solved = (a, b) if order else (b, a)
        plain, solved = plain - 0.1 * x, solved + np.linalg.solve(M, plain * x)
        return (plain, solved) if order else (solved, plain)

    step, one = tg.jit(f, donate=("a", "b")), np.ones(3)
    a, b = step(*step(one, one, np.eye(3), one), np.eye(3), one)
    before = a.copy(), b.copy()
    with pytest.raises(np.linalg.LinAlgError):
        step(a, b, np.zeros((3, 3)), one)
    np.testing.assert_array_equal(a, before[0])
    np.testing.assert_array_equal(b, before[1])


def test_a_mask_of_another_count_leaves_the_parameters_alone() -> None:
    def f(w: Any, x: Any) -> Any:
        return w - 0.1 * np.mean(x[x > 0]) * w

    step, x = tg.jit(f, donate=("w",)), np.array([1.0, -2.0, 3.0])
    w = step(step(np.ones(3), x), x)
    for data in (np.abs(x), -np.abs(x) + 1.5, x):
        wanted, held = f(w.copy(), data), w
        w = step(w, data)
        np.testing.assert_allclose(w, wanted, rtol=1e-12)
        assert w is held or not np.shares_memory(w, held)
