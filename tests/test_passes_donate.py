"""Donated arguments: what takes whose place, one buffer for all, and numbers as without donating, whoever holds what."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.containers import flatten

rng = np.random.default_rng(0)
WITHOUT = [(), ("flatten",), ("plan_memory",), ("scale_early",), ("fuse", "collect")]


def same(found: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    for x, y in zip(flatten(found)[0], flatten(wanted)[0], strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert x.shape == y.shape and x.dtype == y.dtype
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def steps(f: Callable[..., Any], start: Sequence[Any], donate: Sequence[str], *rest: Any, count: int = 4) -> Any:
    """f again and again on what it returned, donated and eager; with every pass that has to do with it left out, too."""
    for without in WITHOUT[::-1]:
        step = tg.jit(f, donate=donate, without=without)
        ours = wanted = tuple(start)
        for _ in range(count):
            found, right = step(*ours, *rest), f(*wanted, *rest)
            same(found, right)
            ours, wanted = found[:len(start)], right[:len(start)]
    return step


def momentum(p: Any, v: Any) -> Any:
    v = 0.9 * v + np.cos(p)
    return p - 0.1 * v, v


P, Q = rng.normal(size=3), rng.normal(size=3)


# ---------------------------------------------------------------- who takes whose place

@pytest.mark.parametrize("donate", [("p", "v"), ("v", "p"), ("p",), ("v",)])
def test_a_result_takes_the_place_of_what_it_is_made_of(donate: tuple[str, ...]) -> None:
    step = steps(momentum, (P, Q), donate)
    assert "copyto(" not in step.source.split("def step")[1].split(":", 2)[2].split("\n", 2)[2]  # written over, not copied


@pytest.mark.parametrize("f", [
    lambda p, q: (q, p),
    lambda p, q: (q + 1, p * 2),
    lambda p, q: (p, q),
    lambda p, q: (p + q, p - q),
    lambda p, q: (np.flip(q), np.flip(p)),
    lambda p, q: (np.reshape(np.reshape(q, (3, 1)), 3), p * 1),
    lambda p, q: (p, p),
    lambda p, q: (q, q),
    lambda p, q: (p - 0.1 * q, p - 0.1 * q),
    lambda p, q: (np.concatenate([p[1:], q[:1]]), np.concatenate([q[1:], p[:1]])),
], ids=["swapped", "swapped-new", "kept", "both", "flipped", "reshaped", "first", "second", "the-same", "rotated"])
@pytest.mark.parametrize("donate", [("p", "q"), ("q", "p")])
def test_updates_that_read_each_others_old_values(f: Callable[..., Any], donate: tuple[str, ...]) -> None:
    steps(f, (P, Q), donate)


def test_nothing_takes_its_place() -> None:
    step = tg.jit(lambda p: p[1:] * 2, donate=("p",))
    with pytest.raises(tg.errors.TraceError, match=r"no part of the result has the shapes of p \(\(3,\)\)"):
        step(P)
    with pytest.raises(tg.errors.TraceError, match="no part of the result"):
        tg.jit(lambda p: p.astype(np.float32), donate=("p",))(P)


# ---------------------------------------------------------------- who else holds what

@pytest.mark.parametrize("f", [
    lambda p, x: (p - 0.1 * x, p),
    lambda p, x: (p - 0.1 * x, p[1:]),
    lambda p, x: (p - 0.1 * x, p.reshape(3, 1), np.flip(p)),
    lambda p, x: (p - 0.1 * x, p, p * 2, np.sum(p)),
    lambda p, x: (np.sin(p) - 0.1 * np.sin(p) * x, np.broadcast_to(p, (2, 3))),
], ids=["itself", "part", "views", "often", "spread"])
def test_old_values_are_returned_as_they_were(f: Callable[..., Any]) -> None:
    steps(f, (P,), ("p",), Q)


def test_new_values_are_returned_too() -> None:
    def f(p: Any, x: Any) -> Any:
        new = p - 0.1 * x
        return new, new[1:], new * 2, new.sum(), new

    step = steps(f, (P,), ("p",), Q)
    first, part, _, _, again = step(P, Q)
    assert not np.shares_memory(first, part) and not np.shares_memory(first, again)


def test_new_values_that_are_summed() -> None:
    steps(lambda p, x: (lambda new: (new, np.sum(new)))(np.sin(p) * np.cos(x)), (P,), ("p",), Q)
    steps(lambda p, x: (lambda new: (new, np.sum(new * new)))(np.sin(p) * np.cos(x)), (P,), ("p",), Q)
    steps(lambda p, q: (lambda new: (new, np.sin(new) * q, np.sum(new)))(np.sin(p) * np.cos(q)), (P, Q), ("p", "q"))


def test_the_caller_swaps_what_was_returned() -> None:
    f = lambda p, q: (np.sin(p) + 1, np.cos(q) * 3)  # noqa: E731
    step = tg.jit(f, donate=("p", "q"))
    ours = wanted = (P, Q)
    for _ in range(5):
        ours, wanted = step(*ours)[::-1], f(*wanted)[::-1]
        same(ours, wanted)


@pytest.mark.parametrize("view", [lambda p: p, lambda p: p[:], lambda p: p[::-1], lambda p: p.reshape(3, 1)[:, 0],
                                  lambda p: p[1:], lambda p: p[0:1]])
def test_another_argument_is_a_view_of_the_donated_one(view: Callable[[Any], Any]) -> None:
    def f(p: Any, anchor: Any) -> Any:
        new = p - 0.1 * np.sum(anchor) * p
        return new, np.sum(new) * anchor

    step = tg.jit(f, donate=("p",))
    p, wanted = P, P
    for _ in range(4):
        p, out = step(p, view(p))
        wanted, right = f(wanted, view(wanted))
        same((p, out), (wanted, right))
        other = step(P, view(p))  # another array to update, and a view of the last one
        same(other, f(P, view(wanted)))
        p, _ = step(wanted, Q[:len(view(p))])
        wanted, _ = f(wanted, Q[:len(view(wanted))])


def test_what_was_given_is_left_alone() -> None:
    p, v = P.copy(), Q.copy()
    step = tg.jit(momentum, donate=("p", "v"))
    for _ in range(3):
        step(p, v)
    np.testing.assert_array_equal(p, P)
    np.testing.assert_array_equal(v, Q)


def test_results_that_lie_in_the_functions_memory_come_back() -> None:
    f = lambda x: np.tanh(x[::-1] * 2) + x * np.sum(x)  # noqa: E731
    step = tg.jit(f, copy=False)
    x = wanted = P
    for _ in range(5):
        x, wanted = step(x), f(wanted)
        same(x, wanted)
        x = x[::-1]
        wanted = wanted[::-1]


# ---------------------------------------------------------------- one buffer for all

def of_each(update: Callable[..., Any]) -> Callable[..., Any]:
    def step(ps: Any, x: Any) -> Any:
        value, g = tg.value_and_grad(lambda ps: sum(
            np.sum(np.sin(np.cumsum(p.reshape(-1)))) * (i + 1) for i, p in enumerate(ps)))(ps)
        return [update(p, d, x) for p, d in zip(ps, g, strict=True)], value
    return step


SHAPES = [(3,), (2, 4), (1, 1), (5,)]


@pytest.mark.parametrize("update", [
    lambda p, d, x: p - 0.1 * d,
    lambda p, d, x: p - x * d,
    lambda p, d, x: p - 0.1 * np.where(d > 0.3, 0.3, d),
    lambda p, d, x: p - 0.1 * tg.relu(d),
    lambda p, d, x: p - 0.1 * np.clip(d, -0.2, 0.2),
    lambda p, d, x: p - 0.1 * np.sign(d) * np.abs(p),
    lambda p, d, x: p * p * (1.5 - 0.5 * p * p) - x * d / (np.abs(d) + 1),
    lambda p, d, x: p - 0.1 * (d + x) * d,
], ids=["descent", "rate", "where", "relu", "clip", "sign", "powers", "scalar-twice"])
def test_one_formula_for_all(update: Callable[..., Any]) -> None:
    start = [rng.normal(size=s) for s in SHAPES]
    step = steps(of_each(update), (start,), ("ps",), 0.05)
    (flat,) = step.program.flats
    assert len(flat.members) == len(SHAPES)
    assert [str(u.target) for u in step.program.updates] == [str(flat.name)]


@pytest.mark.parametrize("update", [
    lambda p, d, x: p - d / np.sum(d * d),  # a number for each array
    lambda p, d, x: p - 0.1 * d.reshape(-1)[::-1].reshape(d.shape),
    lambda p, d, x: p - 0.1 * d if p.ndim == 1 else p - 0.2 * d,
    lambda p, d, x: np.cos(p) if p.size > 4 else p,
    lambda p, d, x: d,
    lambda p, d, x: p,
    lambda p, d, x: np.zeros(p.shape),
], ids=["own-number", "turned", "two-formulas", "some-kept", "replaced", "kept", "constant"])
def test_other_formulas(update: Callable[..., Any]) -> None:
    start = [rng.normal(size=s) for s in SHAPES]
    step = steps(of_each(update), (start,), ("ps",), 0.05)
    assert len(step.program.flats) >= 1


def test_two_formulas_have_two_buffers() -> None:
    f = of_each(lambda p, d, x: p - 0.1 * d if p.ndim == 1 else p - 0.2 * d)
    step = steps(f, ([rng.normal(size=s) for s in SHAPES],), ("ps",), 0.05)
    assert sorted(len(flat.members) for flat in step.program.flats) == [2, 2]


def test_arrays_of_two_precisions() -> None:
    start = [rng.normal(size=n).astype(dtype) for n, dtype in ((3, np.float64), (3, np.float32), (4, np.float64),
                                                               (2, np.float32))]
    step = steps(of_each(lambda p, d, x: p - 0.125 * d), (start,), ("ps",), 0.05)
    assert sorted(str(flat.dtype) for flat in step.program.flats) == ["float32", "float64"]


def test_one_array_s_update_is_made_of_another_s() -> None:
    def f(ps: Any) -> Any:
        a, b, c = ps
        return [a - 0.1 * b, b - 0.1 * c, c - 0.1 * a], np.sum(a)

    steps(f, ([P, Q, P + Q],), ("ps",))

    def chained(ps: Any) -> Any:
        a, b, c = ps
        a = a - 0.1 * b
        b = b - 0.1 * c * a
        return [a, b, c - 0.1 * a * b], np.sum(a)

    steps(chained, ([P, Q, P + Q],), ("ps",))


def test_a_gradient_that_is_returned_too() -> None:
    def f(ps: Any) -> Any:
        g = tg.grad(lambda ps: sum(np.sum(np.sin(p) ** 2) for p in ps))(ps)
        return [p - 0.1 * d for p, d in zip(ps, g, strict=True)], g

    steps(f, ([P, rng.normal(size=(2, 2))],), ("ps",))


def test_the_gradients_are_the_same_array() -> None:
    def f(ps: Any, x: Any) -> Any:
        return [p - 0.1 * np.sin(x) for p in ps], np.sum(x)

    step = steps(f, ([P, Q],), ("ps",), rng.normal(size=3))
    assert len(step.program.flats) == 1


def adam(p: Any, m: Any, v: Any, t: Any) -> Any:
    g = tg.grad(lambda p: sum(np.sum(np.sin(a) ** 2) for a in p))(p)
    t = t + 1.0
    m = [0.9 * a + 0.1 * d for a, d in zip(m, g, strict=True)]
    v = [0.99 * a + 0.01 * d * d for a, d in zip(v, g, strict=True)]
    p = [a - 0.01 / (1 - 0.9**t) * b / (np.sqrt(c / (1 - 0.99**t)) + 1e-8) for a, b, c in zip(p, m, v, strict=True)]
    return p, m, v, t


@pytest.mark.parametrize("donate", ["pmv", "vmp", "mpv", "p", "mv", "pmvt"])
def test_adam(donate: str) -> None:
    start = [rng.normal(size=s) for s in SHAPES]
    zeros = [np.zeros(s) for s in SHAPES]
    t = np.array(0.0) if "t" in donate else 0.0
    step = steps(adam, (start, zeros, zeros, t), tuple(donate))
    if set(donate) >= {"p", "m", "v"}:
        assert sum(line.op.name == "sqrt" and line.shape != () for line in step.program.lines) == 1


def test_a_deep_formula_takes_little_time() -> None:
    def f(ps: Any) -> Any:
        out = []
        for p in ps:
            for _ in range(100):
                p = p * (1.5 - 0.5 * p * p)
            out.append(p)
        return out, np.sum(out[0])

    start = ([0.1 * P, 0.1 * Q],)
    begun = time.perf_counter()
    step = tg.jit(f, donate=("ps",))
    step(*start)
    assert time.perf_counter() - begun < 5
    same(step(*start), f(*start))
    assert len(step.program.flats) == 1


def test_empty_and_single_entries() -> None:
    start = [np.zeros((0,)), np.zeros((2, 0)), np.ones((1,)), np.array(0.5)]
    steps(of_each(lambda p, d, x: p - 0.1 * d), (start,), ("ps",), 0.05)


def test_nan_and_infinity_stay_where_they_are() -> None:
    start = [np.array([np.nan, 1.0]), np.array([np.inf, -np.inf, 0.0])]
    step = tg.jit(lambda ps, x: [p - x * np.cos(p) for p in ps], donate=("ps",))
    with np.errstate(all="ignore"):
        ours = step(start, 0.1)
        for _ in range(2):
            ours = step(ours, 0.1)
    np.testing.assert_array_equal(np.isfinite(ours[0]), [False, True])
    np.testing.assert_array_equal(np.isfinite(ours[1]), [False, False, True])
