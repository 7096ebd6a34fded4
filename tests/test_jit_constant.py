"""Constant arguments: the same numbers as without, known by identity, protected from changes; what is computed once."""

from __future__ import annotations

import copy
import gc
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.containers import flatten
from tinygrad_edu.errors import TraceError
from tinygrad_edu.program import layouts, precompute

rng = np.random.default_rng(0)
WITHOUT = [(), ("precompute",), ("layouts",), ("precompute", "layouts"), ("plan_memory",), ("fuse", "simplify", "share")]


def same(found: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    for x, y in zip(flatten(found)[0], flatten(wanted)[0], strict=True):
        assert np.shape(x) == np.shape(y)
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def data(m: int = 40, n: int = 3) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(m, n)), rng.integers(0, 3, m)


def cost(W: Any, X: Any, y: Any) -> Any:
    X = (X - X.mean(axis=0)) / np.sqrt(np.mean((X - X.mean(axis=0)) ** 2, axis=0))
    target = np.where(y[:, None] == np.arange(3), 1.0, 0.0)
    return np.mean((tg.softmax(X @ W, axis=1) - target) ** 2) + 0.1 * np.sum((X.T @ X) * (W @ W.T))


# ---------------------------------------------------------------- the same numbers

@pytest.mark.parametrize("without", WITHOUT, ids=str)
@pytest.mark.parametrize("f", [cost, tg.grad(cost), tg.value_and_grad(cost), tg.hessian(cost),
                               lambda W, X, y: tg.grad(cost, argnums=(0, 1))(W, X, y)],
                         ids=["value", "gradient", "both", "hessian", "by-the-constant"])
def test_values_and_derivatives(f: Callable[..., Any], without: tuple[str, ...]) -> None:
    X, y = data()
    step, plain = tg.jit(f, constant=(1, 2), without=without), tg.jit(f)
    for _ in range(4):
        W = rng.normal(size=(3, 3))
        same(step(W, X, y), f(W, X, y))
        same(step(W, X, y), plain(W, X, y))
    assert step.cache_info()[:2] == (7, 1)


def test_what_is_left_is_what_varies() -> None:
    X, y = data()
    step = tg.jit(tg.value_and_grad(cost), constant=(1, 2))
    step(np.ones((3, 3)), X, y)
    text = step.source
    assert [str(x.name) for x in step.program.inputs] == ["W"]
    assert "equal(" not in text and "where" not in text and "sqrt" not in text


def test_what_is_held_stands_in_the_order_of_the_program() -> None:
    """Names in sets come in another order in every process; the printed code must not."""
    from tinygrad_edu.program.constants import with_constants
    from tinygrad_edu.program.precompute import precompute
    from tinygrad_edu.program.record import record

    def f(w: Any, x: Any) -> Any:
        return sum(w * np.sin(k * x) for k in range(2, 12))

    program = record(f, (np.arange(1.0, 4.0), np.arange(1.0, 4.0)), {}).program
    held = precompute(with_constants(program, {program.inputs[1].name: np.arange(1.0, 4.0)}))
    made = [str(line.name) for line in program.lines if line.name in held.constants]
    assert len(made) == 10 and [str(name) for name in held.constants if name not in program.constants][-10:] == made


def test_nothing_is_computed_differently_where_only_the_place_differs() -> None:
    X, y = data()
    for f in (lambda W, X, y: X @ W, lambda W, X, y: np.exp(W) * np.sum(X) + y[0], lambda W, X, y: np.sum((X * 2) @ W)):
        W = rng.normal(size=(3, 3))
        step, plain = tg.jit(f, constant=("X", "y")), tg.jit(f)
        for _ in range(2):
            np.testing.assert_array_equal(step(W, X, y), plain(W, X, y))


def test_a_training_step_with_donated_parameters() -> None:
    X, y = data()

    def step(params: Any, rate: Any, X: Any, y: Any) -> Any:
        value, g = tg.value_and_grad(cost)(params[0], X, y)
        return value, [params[0] - rate * g]

    fast, slow = tg.jit(step, donate="params", constant=("X", "y")), tg.jit(step, donate="params")
    ours = wanted = [rng.normal(size=(3, 3))]
    for _ in range(5):
        (value, ours), (right, wanted) = fast(ours, 0.1, X, y), slow(wanted, 0.1, X, y)
        same((value, ours), (right, wanted))


def test_numbers_among_the_constants() -> None:
    f = tg.jit(lambda w, settings: w * settings["rate"] + settings["scale"] * np.sum(settings["x"]), constant="settings")
    x = np.ones(3)
    assert f(1.0, {"rate": 0.5, "scale": 2.0, "x": x}) == 6.5
    assert f(2.0, {"rate": 0.5, "scale": 2.0, "x": x}) == 7.0
    assert f.cache_info().hits == 1
    assert f(2.0, {"rate": 0.25, "scale": 2.0, "x": x}) == 6.5
    assert f(2.0, {"rate": -0.0, "scale": 2.0, "x": x}) == 6.0
    assert np.signbit(tg.jit(lambda w, c: w * c, constant="c")(1.0, -0.0))
    assert f.cache_info().misses == 3


def test_float32_stays() -> None:
    X = rng.normal(size=(5, 4)).astype(np.float32)
    f = tg.jit(lambda w, X, half: (X * half) @ w, constant=("X", "half"))
    for _ in range(3):
        assert f(np.ones(4, np.float32), X, 0.5).dtype == np.float32
    np.testing.assert_array_equal(f(np.ones(4, np.float32), X, 0.5), (X * np.float32(0.5)) @ np.ones(4, np.float32))


def test_constants_that_are_returned() -> None:
    X = np.arange(6.0).reshape(2, 3)
    for settings in ({}, {"copy": False}):
        f = tg.jit(lambda w, X: (X, X.T, X * 2, np.sum(X), w + 1), constant="X", **settings)
        for w in (1.0, 2.0):
            found = f(w, X)
            same(found, (X, X.T, X * 2, np.sum(X), w + 1))
        if not settings:
            found[0][...] = 7
            found[2][...] = 7
            same(f(1.0, X), (X, X.T, X * 2, np.sum(X), 2.0))
    assert f(1.0, X)[2].flags.writeable is False


def test_a_mask_that_selects() -> None:
    X, y = data()
    f = tg.jit(lambda w, X, y: np.sum(X[y == 1] * w), constant=("X", "y"))
    for w in (1.0, 2.0):
        assert f(w, X, y) == pytest.approx(np.sum(X[y == 1] * w))
    assert len(f.program.lines) <= 2


# ---------------------------------------------------------------- which arrays

def test_another_array_is_another_signature() -> None:
    f = tg.jit(lambda w, X: w * np.sum(X), constant="X", cache_size=3)
    arrays = [np.full(3, float(i)) for i in range(6)]
    for x in arrays:
        for w in (1.0, 2.0):
            assert f(w, x) == 3 * w * x[0]
    assert f.cache_info() == (6, 6, 3, 3)
    for x in (np.full(3, 5.0), np.zeros((3,), np.float32), np.zeros((4,))):  # equal, too
        f(1.0, x)
    assert f.cache_info().misses == 9


def test_ids_that_are_used_again() -> None:
    """A new array may lie where an old one lay: the numbers are those of the new one."""
    f = tg.jit(lambda w, X: w * np.sum(X), constant="X", cache_size=2)
    for i in range(60):
        assert f(1.0, np.full(3, float(i))) == 3 * i


def test_keyword_arguments_and_positions() -> None:
    X, y = data()
    W = np.ones((3, 3))
    for constant in (("X", "y"), (1, 2), (-2, -1), "y", 1):
        f = tg.jit(cost, constant=constant)
        for _ in range(3):
            same(f(W, X, y), cost(W, X, y))
    f = tg.jit(cost, constant=("X", "y"))
    for _ in range(3):
        same(f(W, X=X, y=y), cost(W, X, y))
    assert f.cache_info()[:2] == (2, 1)

    @tg.jit(constant="X")
    def total(X: Any) -> Any:
        return np.sum(X)

    assert total(X) == total(X) == pytest.approx(np.sum(X))
    assert total(y) == np.sum(y)


@dataclass
class Sheet:
    X: Any
    labels: Any
    kind: str = "rows"


@pytest.mark.parametrize("nest", [lambda X, y: {"X": X, "y": y}, lambda X, y: [X, y], lambda X, y: (X, (None, y)),
                                  lambda X, y: {"deep": [{"X": X}, y, "text", 3]}, Sheet])
def test_nested_data(nest: Callable[..., Any]) -> None:
    X, y = data()
    y = y.astype(float)

    def f(W: Any, held: Any) -> Any:
        arrays = (held.X, held.labels) if isinstance(held, Sheet) else [x for x in flatten(held)[0] if hasattr(x, "shape")]
        return cost(W, arrays[0], arrays[1])

    step = tg.jit(f, constant="held")
    for _ in range(3):
        W = rng.normal(size=(3, 3))
        same(step(W, nest(X, y)), cost(W, X, y))  # another container, the same arrays
    assert step.cache_info()[:2] == (2, 1)
    other = X + 1
    same(step(W, nest(other, y)), cost(W, other, y))
    assert step.cache_info().misses == 2
    assert not X.flags.writeable and not other.flags.writeable


def test_places_in_a_nest_count() -> None:
    f = tg.jit(lambda w, held: w * (held[0] - held[1])[0], constant="held")
    a, b = np.ones(2), np.zeros(2)
    assert f(1.0, [a, b]) == 1.0
    assert f(1.0, [b, a]) == -1.0
    g = tg.jit(lambda w, held: w if held[0] is None else -w, constant="held")
    assert g(1.0, (None, a)) == 1.0
    assert g(1.0, (a, None)) == -1.0


# ---------------------------------------------------------------- changes

def test_writing_to_a_constant_raises() -> None:
    X = np.ones((3, 2))
    f = tg.jit(lambda w, X: w * np.sum(X), constant="X")
    assert f(1.0, X) == 6.0
    for write in (lambda: X.__setitem__(0, 2.0), lambda: np.add(X, 1, out=X), lambda: X.fill(0), lambda: X.sort(),
                  lambda: X[1:].__setitem__(0, 1.0), lambda: X.T.__iadd__(1)):
        with pytest.raises(ValueError, match="read-only"):
            write()
    assert f(1.0, X) == 6.0


def test_made_writable_again_it_is_recorded_anew() -> None:
    X = np.ones(3)
    f, g = (tg.jit(lambda w, X: w * np.sum(X), constant="X") for _ in range(2))
    for step in (f, g):
        assert step(1.0, X) == step(1.0, X) == 3.0
    X.flags.writeable = True
    X[0] = 5
    assert f(1.0, X) == f(1.0, X) == 7.0
    assert g(1.0, X) == g(1.0, X) == 7.0  # though f has made it read-only by now
    assert not X.flags.writeable
    assert len(f.entries) == 1


def test_views() -> None:
    f = tg.jit(lambda w, X: w * np.sum(X), constant="X")
    base = np.arange(12.0)
    for view in (base[:6], base.reshape(3, 4), base.reshape(3, 4).T, base[::2], np.broadcast_to(base, (2, 12))):
        with pytest.raises(TraceError, match=r"view of memory that can be written to elsewhere.*X = np.array\(X\)"):
            f(1.0, view)
    assert base.flags.writeable
    assert f(1.0, np.array(base[:6])) == 15.0
    alone = np.arange(6.0).reshape(2, 3).T  # nobody else holds the memory
    assert f(1.0, alone) == 15.0
    assert not alone.base.flags.writeable
    base.flags.writeable = False
    assert f(1.0, base[:6]) == 15.0
    assert f(1.0, np.frombuffer(np.arange(3.0).tobytes())) == 3.0
    with pytest.raises(TraceError, match="view of memory"):
        f(1.0, np.frombuffer(bytearray(np.arange(3.0).tobytes())))


def test_what_is_no_constant() -> None:
    f = tg.jit(lambda w, X: w * np.sum(X), constant="X")
    for x, what in (([1.0, 2.0], "a list of numbers"), (tg.Tensor(np.ones(2), requires_grad=False), "a Tensor"),
                    (np.random.default_rng(0), "a Generator"), (np.ma.array([1.0]), "a MaskedArray")):
        with tg.no_grad(), pytest.raises(TraceError, match=f"constant='X' holds {what}.*np.array"):
            f(1.0, x)


def test_names_that_mean_nothing() -> None:
    X = np.ones(3)
    with pytest.raises(ValueError, match=r"constant names 'Z', which is no argument of <lambda> \(w, X\)"):
        tg.jit(lambda w, X: w * X, constant="Z")(1.0, X)
    with pytest.raises(ValueError, match="constant names 5"):
        tg.jit(lambda w, X: w * X, constant=5)(1.0, X)
    with pytest.raises(ValueError, match="'w' is both constant and donated"):
        tg.jit(lambda w, X: w * X, constant=(0, 1), donate="w")(X, X)
    assert X.flags.writeable


# ---------------------------------------------------------------- around it

def test_inside_derivatives_and_other_compiled_functions() -> None:
    X, y = data()
    W = rng.normal(size=(3, 3))
    inner = tg.jit(cost, constant=("X", "y"))
    same(tg.grad(inner)(W, X, y), tg.grad(cost)(W, X, y))
    outer = tg.jit(lambda W, X, y: 2 * inner(W, X, y))
    for _ in range(2):
        same(outer(W, X, y), 2 * cost(W, X, y))
    labels = tg.jit(lambda y: np.sum(y), constant="y")
    total = tg.jit(lambda y: labels(y) + 1)
    assert total(y) == np.sum(y) + 1
    assert total(y + 1) == np.sum(y) + len(y) + 1


def test_copies_keep_the_setting() -> None:
    X = np.ones(3)
    f = copy.deepcopy(tg.jit(lambda w, X: w * np.sum(X), constant="X"))
    f(1.0, X)
    assert not X.flags.writeable


def test_threads() -> None:
    X, y = data(200, 3)
    step = tg.jit(tg.value_and_grad(cost), constant=(1, 2))
    found: dict[int, Any] = {}

    def work(k: int) -> None:
        for _ in range(20):
            found[k] = step(np.full((3, 3), k / 7), X, y)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k in range(4):
        same(found[k], tg.value_and_grad(cost)(np.full((3, 3), k / 7), X, y))
    assert step.cache_info().misses == 1


def test_memory_is_given_back() -> None:
    X = rng.normal(size=(300, 30))
    f = tg.jit(lambda w, X: (X - X.mean(axis=0)) @ w, constant="X")
    f(np.ones(30), X)
    watched = weakref.ref(X)
    held = weakref.ref(next(v for k, v in f.program.constants.items()))
    del X
    gc.collect()
    assert watched() is not None
    f.cache_clear()
    gc.collect()
    assert watched() is None and held() is None


def test_the_report_takes_all_arguments_or_none() -> None:
    X, y = data()
    f = tg.jit(cost, constant=("X", "y"))
    f(np.ones((3, 3)), X, y)
    assert f.report(np.ones((3, 3)), X, y, profile=True).seconds > 0
    assert f.report(profile=True).seconds > 0


# ---------------------------------------------------------------- what is computed once

def compiled(f: Callable[..., Any], *args: Any, constant: Any = "X", **settings: Any) -> Any:
    step = tg.jit(f, constant=constant, **settings)
    step(*args)
    return step


def names(step: Any) -> list[str]:
    return [line.op.name for line in step.program.lines]


def test_only_what_is_read_is_held() -> None:
    X = rng.normal(size=(50, 4))
    step = compiled(lambda w, X: ((X - X.mean(axis=0)).T @ (X - X.mean(axis=0))) @ w, np.ones(4), X)
    assert names(step) == ["matmul"]
    assert sorted(v.shape for v in step.program.constants.values()) == [(4, 4)]
    assert all(not v.flags.writeable for v in step.program.constants.values())
    assert "X" not in step.source.split("build(")[1].split(")")[0]


def test_a_value_that_blows_up_stays_in_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precompute, "SMALL", 10_000)
    X, w = rng.normal(size=100), rng.normal(size=100)
    step = compiled(lambda w, X: np.sum(np.exp(X[:, None] - X[None, :]) * w), w, X, without=("fuse",))
    assert "exp" in names(step)
    same(step(w, X), np.sum(np.exp(X[:, None] - X[None, :]) * w))
    monkeypatch.setattr(precompute, "SMALL", 100_000)
    step = compiled(lambda w, X: np.sum(np.exp(X[:, None] - X[None, :]) * w), w, X, without=("fuse",))
    assert "exp" not in names(step)


def test_the_memory_for_all_of_them_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precompute, "SMALL", 0)
    X = rng.normal(size=100)

    def f(w: Any, X: Any) -> Any:
        for k in range(1, 10):
            w = w * np.exp(X / k)
        return w

    step = compiled(f, np.ones(100), X, without=("fuse",))
    made = [v for name, v in step.program.constants.items() if name != "X"]
    assert len(made) == 2  # twice the memory of X
    same(step(np.ones(100), X), f(np.ones(100), X))


def test_draws_and_captured_arrays_are_no_constants() -> None:
    X, around = np.ones(4), np.arange(4.0)
    f = compiled(lambda w, X, g: around * w + X * 2 + g.normal(size=4), 1.0, X, np.random.default_rng(0))
    assert names(f).count("normal") == 1
    around[0] = 1.0
    wanted = around + 2 + np.random.default_rng(1).normal(size=4)
    same(f(1.0, X, np.random.default_rng(1)), wanted)


def test_without_constants_nothing_changes() -> None:
    f = tg.jit(lambda w, X: np.sum(np.ones((3, 3)) * 2 * w + X))
    f(1.0, np.ones((3, 3)))
    assert not f.program.fixed


# ---------------------------------------------------------------- memory order

def order_of(step: Any) -> dict[str, str]:
    return {str(name): "C" if v.flags.c_contiguous else "F" for name, v in step.program.constants.items() if v.ndim == 2}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LARGE", "BEYOND", "FEW"):
        monkeypatch.setattr(layouts, name, 1)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("start", ["C", "F"])
def test_products_with_a_vector_sum_along_memory(start: Any, dtype: Any) -> None:
    X = np.array(rng.normal(size=(600, 4)), dtype, order=start)
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    for f, w in ((lambda w, X: w @ X, 600), (lambda w, X: X.T @ w, 600), (lambda w, X: w.reshape(1, -1) @ X, 600)):
        v = rng.normal(size=w).astype(dtype)
        step = compiled(f, v, X)
        assert (step.program.constants.keys() == {"X"}) == (start == "F")
        for _ in range(2):
            same(step(v, X), f(v, X), tolerance)
        plain = compiled(f, v, X, without=("layouts",))
        assert plain.program.constants.keys() == {"X"}
    for f in (lambda w, X: X @ w, lambda w, X: w @ X.T):  # as fast both ways
        assert compiled(f, np.ones(4, dtype), X).program.constants.keys() == {"X"}


@pytest.mark.usefixtures("small")
def test_one_copy_for_all_products_that_may_read_it() -> None:
    X = rng.normal(size=(600, 4))

    def f(w: Any, X: Any) -> Any:
        return np.sin(w @ X) @ X.T

    step = compiled(f, np.ones(600), X)
    assert len({v.ctypes.data for v in step.program.constants.values()}) == 1
    assert "X" not in step.program.constants and order_of(step)["X_columns1"] == "F"
    same(step(np.ones(600), X), f(np.ones(600), X))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_of_matrices_read_rows(dtype: Any) -> None:
    X = np.array(rng.normal(size=(60, 40)), dtype)
    G, W = (rng.normal(size=(60, 5)).astype(dtype), rng.normal(size=(5, 40)).astype(dtype))
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    for f, other, copied in ((lambda G, X: X.T @ G, G, True), (lambda W, X: W @ X.T, W, dtype == np.float32),
                             (lambda W, X: X @ W.T, W, False), (lambda G, X: G.T @ X, G, False)):
        step = compiled(f, other, X)
        assert (step.program.constants.keys() != {"X"}) == copied
        for value in step.program.constants.values():
            assert not value.flags.writeable
        for _ in range(2):
            same(step(other, X), f(other, X), tolerance)


@pytest.mark.usefixtures("small")
def test_matrices_beyond_the_cache_are_not_held_twice_for_products_of_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "TWICE", 1000)
    X, G = rng.normal(size=(60, 40)), rng.normal(size=(60, 5))
    assert compiled(lambda G, X: X.T @ G, G, X).program.constants.keys() == {"X"}


def test_long_thin_products_split_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from tinygrad_edu.program import big_products

    monkeypatch.setattr(big_products, "LEAST_BYTES", 1)
    monkeypatch.setattr(big_products, "LONG", 64)
    monkeypatch.setattr(layouts, "LARGE", 1)
    if big_products._blas() is None:
        pytest.skip("NumPy's BLAS cannot be told its number of threads")
    W, X = rng.normal(size=(9, 200)), np.asfortranarray(rng.normal(size=(200, 11)))

    def f(W: Any, X: Any) -> Any:
        return np.sum(np.tanh(W @ X) ** 2)

    step = compiled(tg.value_and_grad(f), W, X, constant=1, threads=2)
    assert "SplitProduct('terms'" in step.source
    assert order_of(step)["X_rows1"] == "C"
    for _ in range(2):
        same(step(W, X), tg.value_and_grad(f)(W, X), 1e-11)


def test_small_matrices_stay_as_they_are() -> None:
    X = rng.normal(size=(600, 20))
    step = compiled(lambda w, X: np.sin(w @ X) @ X.T, np.ones(600), X)
    assert step.program.constants.keys() == {"X"}


def test_a_matrix_with_gaps_is_written_out() -> None:
    X = np.arange(24.0).reshape(4, 6)[:, :3]
    step = compiled(lambda w, X: X @ w, np.ones(3), X)
    (held,) = step.program.constants.values()
    assert held.flags.c_contiguous and not X.flags.c_contiguous
    same(step(np.ones(3), X), X @ np.ones(3))


@pytest.mark.usefixtures("small")
def test_what_was_computed_once_has_its_order_too() -> None:
    X = rng.normal(size=(600, 4))
    step = compiled(lambda w, X: w @ (X - 1), np.ones(600), X)
    (held,) = step.program.constants.values()
    assert held.flags.f_contiguous
    same(step(np.ones(600), X), np.ones(600) @ (X - 1))
