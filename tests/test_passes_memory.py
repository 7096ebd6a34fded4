"""The memory plan: who writes where, for how long, and that nobody reads what has been written over."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.containers import flatten

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))


def compare(f: Callable[..., Any], *args: Any, **settings: Any) -> Any:
    """f compiled with the plan, without it, and handing out its memory: the eager numbers, call after call."""
    others = [x * 0.5 + 0.25 if isinstance(x, np.ndarray) else x for x in args]
    wanted = [flatten(f(*given))[0] for given in (args, others, args)]
    for kwargs in ({}, {"without": ("plan_memory",)}, {"copy": False}):
        step = tg.jit(f, **kwargs, **settings)
        step(*args)
        kept: list[Any] = []
        for given, right in zip((args, others, args), wanted, strict=True):
            before = [np.array(x) for x in flatten(given)[0]]
            found = flatten(step(*given))[0]
            for x, y in zip(found, right, strict=True):
                if y is None or isinstance(y, str):
                    assert x == y
                    continue
                assert np.shape(x) == np.shape(y) and np.asarray(x).dtype == np.asarray(y).dtype
                np.testing.assert_allclose(x, y, rtol=1e-11, atol=1e-12)
            for x, b in zip(flatten(given)[0], before, strict=True):
                np.testing.assert_array_equal(x, b)
            if kwargs != {"copy": False}:
                arrays = [x for x in found if isinstance(x, np.ndarray)]
                apart(arrays, [*[x for x, _ in kept], *flatten(given)[0]])
                kept += [(x, x.copy()) for x in arrays]
        for x, was in kept:
            np.testing.assert_array_equal(x, was)  # later calls left them alone
    step = tg.jit(f, **settings)
    step(*args)
    return step


def apart(results: list[Any], others: list[Any]) -> None:
    for i, x in enumerate(results):
        for y in [*results[i + 1 :], *others]:
            assert not (isinstance(y, np.ndarray) and np.shares_memory(x, y))


def body(step: Any) -> str:
    return str(step.source.split("def step")[1])


def slots(step: Any) -> int:
    return len(re.findall(r"memory\(\d+", step.source))


# ---------------------------------------------------------------- memory used again

def test_a_chain_runs_in_one_place() -> None:
    def f(x: Any) -> Any:
        for _ in range(10):
            x = np.tanh(x * 1.5)
        return np.sum(x)

    step = compare(f, X)
    code = next(iter(step.entries.values())).made.code
    assert slots(step) == 1
    assert code.memory <= 128 < code.unplanned


def test_what_is_still_needed_is_not_written_over() -> None:
    def f(x: Any) -> Any:
        a = np.exp(x)
        b = a * 2
        c = b - a
        return np.sum(c * b + a)

    step = compare(f, X)
    assert slots(step) == 3  # all three are needed at once; c times b is written over one of them


def test_places_of_other_sizes() -> None:
    def f(x: Any) -> Any:
        row = np.exp(np.sum(x, axis=0))
        wide = np.tanh(x @ x.T)
        again = np.sin(x * row)
        return np.sum(wide @ again) + np.sum(row)

    compare(f, X)


@pytest.mark.parametrize("f", [
    lambda x, y: (x + y).T @ np.exp(x),
    lambda x, y: np.exp(x + y)[1:] * np.exp(x + y)[:-1],
    lambda x, y: (lambda a: a.T.T + a)(np.exp(x)),
    lambda x, y: (lambda a: (a.reshape(12) * 2).reshape(3, 4) @ a)(np.exp(x)),
    lambda x, y: (lambda a: np.sin(a[::2]) * np.sin(a[1::2]))(np.exp(x)),
    lambda x, y: (lambda a: a + a[::-1])(np.exp(x)),
    lambda x, y: (lambda a: a * a.reshape(3, 4).T)(np.exp(x)),
    lambda x, y: (lambda a: a + np.broadcast_to(a[0], a.shape))(np.exp(x)),
    lambda x, y: (lambda a: a - a[:, :1] - np.sum(a, axis=1, keepdims=True))(np.exp(x)),
    lambda x, y: (lambda a: np.where(a > 1, a, -a) * a)(np.exp(x)),
    lambda x, y: (lambda a: tg.relu(a - 1) + a)(np.exp(x)),
    lambda x, y: (lambda a: np.flip(a) * a + np.roll(a, 1, axis=0))(np.exp(x)),
    lambda x, y: (lambda a: np.concatenate([a, a * 2]) @ a.T)(np.exp(x)),
    lambda x, y: (lambda a: np.maximum(a, y) - np.minimum(a, y))(np.exp(x)),
    lambda x, y: (lambda a: a[[0, 0, 1]] + a[1:])(np.exp(x)),
    lambda x, y: (lambda a: np.sort(a, axis=0) - a)(np.exp(x)),
    lambda x, y: np.cumsum(np.exp(x), axis=0) * np.exp(y),
    lambda x, y: np.outer(np.exp(x)[:, 0], np.exp(y)[0]) + np.exp(x * y),
], ids=range(18))
def test_views_and_operands_that_are_written_over(f: Callable[..., Any]) -> None:
    compare(f, X, Y)
    compare(lambda x, y: tg.value_and_grad(lambda t: np.sum(np.sin(f(*t))))((x, y)), X, Y)


def test_views_are_made_once() -> None:
    step = compare(lambda x: np.sum(np.exp(x).T @ np.sin(x)), X)
    assert ".T" in step.source.split("def step")[0]
    assert ".T" not in body(step)
    step = compare(lambda x: np.sum(x.T @ np.sin(x)), X)  # an argument is another array in every call
    assert ".T" in body(step)


# ---------------------------------------------------------------- results

@pytest.mark.parametrize("f", [
    lambda x: x, lambda x: x.T, lambda x: x[1:], lambda x: (x, x), lambda x: x.reshape(12),
    lambda x: np.broadcast_to(x[0], (2, 3)),
    lambda x: (lambda a: (a, a))(np.exp(x)), lambda x: (lambda a: (a, a.T, a[0], a.reshape(-1)))(np.exp(x)),
    lambda x: (lambda a: (a.T, a[1:] * 2, np.sum(a)))(np.exp(x)), lambda x: (lambda a: (np.flip(a), a))(np.exp(x)),
    lambda x: {"a": np.exp(x), "b": [x, (np.exp(x), 3, None, "text")]}, lambda x: np.zeros((2, 2)), lambda x: 3.0,
    lambda x: (np.ones(3), x[0, 0], x.sum()), lambda x: (), lambda x: (lambda a: (a[0], a[1], a[0]))(np.exp(x)),
    lambda x: np.stack([np.exp(x[0]), np.exp(x[1])]), lambda x: [np.tanh(x[t]) for t in range(4)],
    lambda x: (lambda a: (a[0, 0], a[0, :0]))(np.exp(x)),
], ids=range(19))
def test_results_are_the_callers_own(f: Callable[..., Any]) -> None:
    compare(f, X)


def test_a_constant_that_is_returned() -> None:
    held = np.arange(3.0)
    step = compare(lambda x: (held, np.sum(x) * held), X)
    assert not np.shares_memory(step(X)[0], held)


# ---------------------------------------------------------------- parts of larger arrays

def test_gradients_are_written_into_their_slices() -> None:
    f = tg.grad(lambda x: sum(np.sum(np.tanh(x[t]) * (t + 1.0) ** 2 * x[0]) for t in range(4)))
    compare(f, X)


def test_parts_that_cover_only_some_of_it() -> None:
    step = compare(tg.grad(lambda x: np.sum(np.exp(x[1]) * np.sin(x[2]))), X)
    assert np.all(step(X)[[0, 3]] == 0)
    inner = compare(lambda x: np.sum(tg.grad(lambda x: np.sum(np.exp(x[1, :2]) * np.sin(x[2, 1:])))(x) @ x.T), X)
    assert "fill(0)" in inner.source or "zeros" in inner.source


def test_single_entries_of_an_array() -> None:
    compare(tg.grad(lambda x: np.exp(x[0, 0]) * x[1, 2] + np.sin(x[3, 1])), X)
    compare(tg.value_and_grad(lambda x: np.sum(np.exp(x[0]) * x[1, 2]) * x[3, 1]), X)


def test_updates_are_written_over_the_old_values() -> None:
    def step(p: Any, x: Any) -> Any:
        return p - 0.1 * np.cos(p) * x

    fast = tg.jit(step, donate=("p",))
    p, wanted = X, X
    for _ in range(3):
        p, wanted = fast(p, Y), step(wanted, Y)
        np.testing.assert_allclose(p, wanted, rtol=1e-12)
    assert body(fast).count("copyto") == 1  # what is given in its stead


def test_an_update_that_is_read_afterwards_is_copied_at_the_end() -> None:
    def step(p: Any, x: Any) -> Any:
        new = p - 0.1 * x
        return new, np.sum(new * p)

    fast = tg.jit(step, donate=("p",))
    p, wanted = X, X
    for _ in range(3):
        (p, a), (wanted, b) = fast(p, Y), step(wanted, Y)
        np.testing.assert_allclose(p, wanted, rtol=1e-12)
        np.testing.assert_allclose(a, b, rtol=1e-12)


# ---------------------------------------------------------------- names

@pytest.mark.parametrize("name", ["memory", "allocate", "aligned", "build", "step", "copyto", "exp", "n1", "held1", "id",
                                  "own_memory", "float", "slice", "start", "part", "math",
                                  "max", "SplitProduct", "x_given"])
def test_variables_called_like_what_the_code_needs(name: str) -> None:
    text = "def f({0}):\n    {1} = np.exp({0})\n    {2} = np.tanh({1} * 2)\n    return np.sum({2} @ {2}.T) + np.sum({1})"
    for names in ((name, "u", "v"), ("x", name, "v"), ("x", "u", name)):
        space: dict[str, Any] = {"np": np}
        exec(text.format(*names), space)  # noqa: S102
        compare(space["f"], X)
        compare(tg.value_and_grad(space["f"]), X)


# ---------------------------------------------------------------- random programs

OPERATIONS: list[Callable[..., Any]] = [
    lambda a, b: a + b,
    lambda a, b: a * np.tanh(b),
    lambda a, b: np.exp(-a * a),
    lambda a, b: a - b[::-1],
    lambda a, b: a * b[:, :1],
    lambda a, b: np.where(a > 0, a, b),
    lambda a, b: (a @ b.T) @ (0.1 * a),
    lambda a, b: a / (1 + np.sum(b * b)),
    lambda a, b: a.reshape(3, 4).T * b,
    lambda a, b: a - np.mean(b, axis=0),
    lambda a, b: np.concatenate([a[:2], b[2:]]),
    lambda a, b: tg.sigmoid(a),
    lambda a, b: a[[1, 0, 3, 2]] * 0.5,
]


def random_function(seed: int) -> Callable[..., Any]:
    """Straight-line code of (4, 3) arrays in which most values are read several times, as they are and through views."""
    draw = np.random.default_rng(seed)
    count = int(draw.integers(3, 14))
    plan = [(int(draw.integers(13)), int(draw.integers(2 + i)), int(draw.integers(2 + i))) for i in range(count)]
    wanted = [int(i) for i in draw.integers(2 + len(plan), size=int(draw.integers(1, 5)))]
    endings = [int(draw.integers(5)) for _ in wanted]

    def f(x: Any, y: Any) -> Any:
        made = [x, y]
        for how, i, j in plan:
            made.append(OPERATIONS[how](made[i], made[j]))
        ends = [lambda a: a, lambda a: a[1], lambda a: np.sum(a), lambda a: a.T, lambda a: a * 2]
        return [ends[e](made[i]) for i, e in zip(wanted, endings, strict=True)]

    return f


@pytest.mark.parametrize("start", range(0, 45, 15))
def test_random_programs(start: int) -> None:
    for seed in range(start, start + 15):
        f = random_function(seed)
        compare(f, X, Y)
        compare(tg.value_and_grad(lambda x, y, f=f: sum(np.sum(np.sin(r)) for r in f(x, y)), argnums=(0, 1)), X, Y)


@pytest.mark.parametrize("start", range(0, 20, 10))
def test_random_updates(start: int) -> None:
    """Donated arrays that are updated by random formulas of each other's old values."""
    for seed in range(start, start + 10):
        f = random_function(1000 + seed)

        def update(p: Any, q: Any, f: Callable[..., Any] = f, seed: int = seed) -> Any:
            results = f(p, q)
            total = sum(np.sum(r) for r in results)
            new = [np.tanh(p - 0.1 * total), np.tanh(q + r if (r := results[0]).shape == q.shape else q * p)]
            return new[seed % 2], new[1 - seed % 2], results

        for without in ((), ("flatten",), ("plan_memory",)):
            step = tg.jit(update, donate=("p", "q"), without=without)
            ours = wanted = (X, Y)
            for _ in range(3):
                found, right = step(*ours), update(*wanted)
                for a, b in zip(flatten(found)[0], flatten(right)[0], strict=True):
                    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)
                ours, wanted = found[:2], right[:2]


def test_a_reshaped_value_is_written_over() -> None:
    w, b = rng.normal(size=(3, 5)), rng.normal(size=5)
    x = rng.normal(size=(6, 4, 3))
    step = compare(lambda x, w, b: np.sum(np.tanh((x @ w + b) * 2), axis=0), x, w, b)
    assert slots(step) == 1  # the product of matrices, with a bias, doubled, its tanh
    compare(lambda x, w: (lambda z: z - z[0])((x @ w).reshape(4, 6, 5)) * 2, x, w)  # a part of it is read, too
    compare(lambda x, w: (lambda z: z.reshape(4, 6, 5) - z.reshape(4, 6, 5)[::-1])(np.tanh(x @ w)) * 2, x, w)
    compare(lambda x, w: (lambda z: (z.reshape(24, 5) * 2, np.tanh(z).sum()))(np.tanh(x @ w)), x, w)
