"""Regions: entrywise work on large arrays, block by block, gives the numbers that it gives line by line."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.program import fuse as fusing
from tinygrad_edu.program import workers
from tinygrad_edu.program.compiled import optimised
from tinygrad_edu.program.fuse import BLOCKED, cut, fuse, split_of
from tinygrad_edu.program.jit import jit
from tinygrad_edu.program.program import Program
from tinygrad_edu.program.trace import trace


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays of a hundred entries count as large, so that tests are quick and blocks many."""
    monkeypatch.setattr(fusing, "ENTRIES", 64)
    monkeypatch.setattr(fusing, "LARGE", 1)
    monkeypatch.setattr(fusing, "SAVED", 1)
    monkeypatch.setattr(fusing, "BLOCK", 256)
    monkeypatch.setattr(fusing, "THREAD_BLOCK", 768)
    monkeypatch.setattr(fusing, "WIDEST_ROW", 512)
    monkeypatch.setattr(fusing, "WORTH_A_THREAD", 1.0)


ALSO = ("sums_as_products",)  # which adds in another order outside of regions


def leaves(x: object) -> list[np.ndarray]:
    if isinstance(x, (tuple, list)):
        return [leaf for item in x for leaf in leaves(item)]
    return [np.asarray(x)]


def compare(f, *args, exact: bool = True, threads: int = 2, fused: bool = True):
    """f compiled with and without regions, called twice with other numbers the second time."""
    plain, blocked = jit(f, without=("fuse", *ALSO)), jit(f, without=ALSO, threads=threads)
    alone = jit(f, without=ALSO, threads=1)
    for g in (plain, blocked, alone):
        g(*args)  # recorded
    entry = next(iter(blocked.entries.values()))
    assert ("in_blocks" in entry.made.source) == fused, entry.made.source
    for k in range(2):
        given = [x * x.dtype.type(1 + k) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in args]
        expected, got, single = leaves(plain(*given)), leaves(blocked(*given)), leaves(alone(*given))
        for a, b, c in zip(expected, got, single, strict=True):
            assert a.shape == b.shape and a.dtype == b.dtype == c.dtype
            if threads == 2 and fused:
                tolerance = 1e-5 if a.dtype == np.float32 else 1e-12
                np.testing.assert_allclose(b, c, rtol=tolerance, atol=tolerance * np.max(np.abs(c), initial=1))
            if exact and a.ndim:
                np.testing.assert_array_equal(a, b)
            else:
                tolerance = 1e-5 if a.dtype == np.float32 else 1e-12
                np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance * np.max(np.abs(a), initial=1))
    return entry.made.source


def chain(x, a, b):
    u = x * a + b
    return (tg.silu(u) * tg.sigmoid(x) + tg.softplus(x)).sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [64, 65, 127, 1000, 1001])
def test_flat_regions(small_blocks, dtype, n):
    rng = np.random.default_rng(n)
    arrays = [rng.normal(size=n).astype(dtype) for _ in range(3)]
    source = compare(lambda *xs: tg.value_and_grad(lambda t: chain(*t))(xs), *arrays)
    assert source.count("in_threads(") == 1


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0), (7,), (1, 1)])
def test_small_and_empty_arrays_stay_as_they_are(small_blocks, shape):
    x = np.full(shape, 0.5)
    compare(lambda *xs: tg.value_and_grad(lambda t: chain(*t))(xs), x, x, x, fused=False)


@pytest.mark.parametrize("shape", [(40, 7), (1, 300), (3, 5, 20), (2, 1000), (300, 1), (1, 1, 200), (2, 3, 4, 50)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_shapes_and_orders_of_memory(small_blocks, shape, order):
    rng = np.random.default_rng(1)
    x, y = (np.asarray(rng.normal(size=shape), order=order) for _ in range(2))
    row, column = rng.normal(size=shape[-1]), rng.normal(size=(*shape[:-1], 1))

    def f(x, y, row, column):
        def cost(x, y, row, column):
            h = tg.tanh(x * row + y) * column + tg.exp(-y * y)
            return (h * h + tg.relu(x - row)).sum()
        return tg.value_and_grad(lambda t: cost(*t))((x, y, row, column))

    compare(f, x, y, row, column, exact=False)


def test_slices_with_steps(small_blocks):
    big = np.random.default_rng(2).normal(size=(60, 40))
    compare(lambda x, y: (tg.tanh(x) * y + x, (x * y).sum(axis=0)), big[::2, ::-1], big[1::2], exact=False)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_in_blocks_of_rows(small_blocks, dtype):
    z = np.random.default_rng(3).normal(size=(50, 11)).astype(dtype)
    v = np.random.default_rng(4).normal(size=(50, 11)).astype(dtype)
    source = compare(lambda z: tg.value_and_grad(lambda z: (tg.softmax(z, axis=1) * v).sum())(z), z)
    assert source.count("in_threads(") == 1  # the sums of rows are made and used in the loop
    layer = lambda z: (z - z.mean(axis=1, keepdims=True)) / tg.sqrt(((z - z.mean(axis=1, keepdims=True)) ** 2).mean(  # noqa: E731
        axis=1, keepdims=True) + 1e-5)
    assert compare(layer, z).count("in_threads(") == 1


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
def test_reductions_at_the_edge(small_blocks, axis, keepdims, name):
    x = np.random.default_rng(5).normal(size=(41, 13))
    compare(lambda x: getattr(tg, name)(tg.exp(x) * x, axis=axis, keepdims=keepdims), x, exact=name in ("max", "min"))
    compare(lambda x: tg.tanh(getattr(tg, name)(tg.exp(x) * x, axis=axis, keepdims=keepdims)) * x if keepdims else getattr(
        tg, name)(x * x, axis=axis), x, exact=False)


def test_norms_and_products_of_vectors(small_blocks):
    x, y = np.random.default_rng(6).normal(size=(2, 500))
    compare(lambda x, y: (tg.squared_norm(tg.sin(x)), (x * y) @ (x + y), tg.sqrt(tg.squared_norm(x * y))), x, y, exact=False)


def test_masks_integers_and_mixed_dtypes(small_blocks):
    rng = np.random.default_rng(7)
    x, y, k = rng.normal(size=300), rng.normal(size=300).astype(np.float32), rng.integers(0, 5, 300)

    def f(x, y, k):
        mask = x > 0.5
        return tg.where(mask, x * y, y), tg.where(mask, 0.0, x), tg.where(mask, x, 1.5), (x > y), x * k + k, tg.where(
            k > 2, y * y, 0.0)

    compare(f, x, y, k)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [5, 50, 5000])
def test_a_gate_is_exact_for_infinities_and_nan(dtype, n, small_blocks):
    rng = np.random.default_rng(8)
    g = rng.normal(size=n).astype(dtype)
    g[:: 3], g[1] = np.inf, np.nan
    x = rng.normal(size=n).astype(dtype)
    x[1] = -1.0

    def f(x, g):
        y, pull = tg.vjp(tg.relu, x)
        return y, pull(g)[0]

    for without in ((), ("fuse",)):
        step = jit(f, without=without)
        step(x, g)
        got = step(x, g)[1]
        expected = np.where(x > 0, g, 0)
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == dtype and not np.signbit(got[x <= 0]).any()


@pytest.mark.parametrize("n", [10, 4000])
def test_choices_outside_regions_are_exact(n):
    rng = np.random.default_rng(9)
    x, y = rng.normal(size=(2, n))
    x[0], y[1], y[2] = np.nan, np.inf, -0.0

    def f(x, y):
        return tg.where(x > 0, x, y), tg.where(x > 0, x, 0.0), tg.where(x > 0, 0.0, y), tg.where(x > y, y, -0.0)

    step = jit(f)
    step(x, y)
    for got, expected in zip(step(x, y), f(x, y), strict=True):
        np.testing.assert_array_equal(np.asarray(got).view(np.int64), np.asarray(expected).view(np.int64))


@pytest.mark.parametrize("momentum", [False, True])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_training_step_updates_over_the_old_parameters(small_blocks, momentum, threads):
    rng = np.random.default_rng(10)
    X, y = rng.normal(size=(20, 30)), rng.normal(size=20)
    start = [rng.normal(size=(30, 10)), rng.normal(size=(10, 8)), rng.normal(size=(8,))]

    def cost(params):
        W, V, w = params
        return tg.mean((tg.tanh(tg.tanh(X @ W) @ V) @ w - y) ** 2) + 1e-3 * sum(tg.squared_norm(p) for p in params)

    def step(params, velocity, rate):
        value, slopes = tg.value_and_grad(cost)(params)
        if momentum:
            velocity = [0.9 * v + s for v, s in zip(velocity, slopes, strict=True)]
            slopes = velocity
        return value, [p - rate * s for p, s in zip(params, slopes, strict=True)], velocity

    def trained(**options):
        fast = jit(step, donate=("params", "velocity"), **options)
        params, velocity = [p.copy() for p in start], [0 * p for p in start]
        for _ in range(5):
            value, params, velocity = fast(params, velocity, 0.05)
        return [value, *params, *velocity], fast

    expected, _ = trained(without=("fuse", "scale_early", "simplify"))
    got, fast = trained(threads=threads)
    assert "in_blocks" in next(iter(fast.entries.values())).made.source
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-13)


def test_one_array_updated_by_the_region_that_reads_it(small_blocks):
    target = np.random.default_rng(11).normal(size=400)

    def step(p, rate):
        value, slope = tg.value_and_grad(lambda p: tg.sum(tg.log1p(tg.exp(-p * target)) + p * p))(p)
        return value, p - rate * slope

    results = []
    for options in ({"without": ("fuse",)}, {"threads": 1}, {"threads": 2}):
        fast, p = jit(step, donate=("p",), **options), np.ones(400)
        for _ in range(6):
            value, p = fast(p, 0.1)
        results.append((value, p.copy()))
    for value, p in results[1:]:
        np.testing.assert_allclose(value, results[0][0], rtol=1e-12)
        np.testing.assert_allclose(p, results[0][1], rtol=1e-12)
    assert results[1][0] != 400


@pytest.mark.parametrize("shape", [(5000,), (77, 9)])
def test_the_number_of_threads_changes_no_digit(small_blocks, shape):
    arrays = np.random.default_rng(12).normal(size=(3, *shape)).astype(np.float32)
    f = tg.value_and_grad(lambda t: chain(*t) + tg.squared_norm(t[0] * t[1]) + tg.sum(tg.max(t[2] * t[0], axis=0)))
    found = []
    for threads in (1, 2, 3, 4, 4, 4):
        step = jit(f, threads=threads)
        step(tuple(arrays))
        value, slopes = step(tuple(arrays))
        found.append([float(value), *[s.tobytes() for s in slopes]])
    assert all(other == found[0] for other in found)


def random_program(rng: np.random.Generator) -> Program:
    """A function of random entrywise operations, reductions and products on two shapes, traced."""
    shape = (int(rng.integers(12, 30)), int(rng.integers(6, 12)))

    def f(a, b, c):
        values = [a, b, tg.tanh(c)]
        for _ in range(14):
            x, y = (values[int(k)] for k in rng.integers(0, len(values), 2))
            kind = rng.integers(0, 9)
            if kind == 0:
                values.append(x * y)
            elif kind == 1:
                values.append(tg.tanh(x) + y)
            elif kind == 2:
                values.append(x - x.mean(axis=1, keepdims=True))
            elif kind == 3:
                values.append(y / (1 + x.max(axis=0) ** 2))
            elif kind == 4:
                values.append(tg.relu(x) * tg.sum(tg.sin(y)))
            elif kind == 5:
                values.append(tg.tanh((x @ tg.transpose(y)) * 0.1) @ x)
            elif kind == 6:
                values.append(tg.softmax(x, axis=1) - y)
            elif kind == 7:
                values.append(tg.where(x > y, x, 0.5))
            else:
                values.append(tg.transpose(tg.tanh(tg.transpose(x))))
        return sum(tg.sum(tg.tanh(v)) for v in values[-4:])

    return trace(f, *rng.normal(size=(3, *shape)))


@pytest.mark.parametrize("seed", range(25))
def test_random_programs_keep_their_meaning(small_blocks, seed):
    rng = np.random.default_rng(seed)
    program = optimised(random_program(rng))
    fused = fuse(program, 2)
    assert any(line.op is BLOCKED for line in fused.lines)
    made: set[str] = {str(x.name) for x in fused.inputs} | {str(name) for name in fused.constants}
    for line in fused.lines:  # everything is made before it is used
        assert all(name in made for name in line.uses()), line
        made.add(str(line.name))
    args = [rng.normal(size=x.shape) for x in program.inputs]
    expected, got = program.run(*args), fused.run(*args)
    for key in expected:
        np.testing.assert_array_equal(expected[key], got[key])


@pytest.mark.parametrize("seed", range(12))
def test_random_functions_compiled(small_blocks, seed):
    rng = np.random.default_rng(100 + seed)
    shape = (int(rng.integers(12, 30)), int(rng.integers(6, 12)))
    choices = rng.integers(0, 5, 10)
    picks = rng.integers(0, 100, (10, 2))

    def cost(params):
        values = [*params, params[0] * params[1]]
        for kind, (i, j) in zip(choices, picks, strict=True):
            x, y = values[i % len(values)], values[j % len(values)]
            values.append([lambda x, y: x * y, lambda x, y: tg.relu(x) - y, lambda x, y: tg.softmax(x, axis=1) * y,
                           lambda x, y: x / (1 + (y * y).sum(axis=0)), lambda x, y: tg.exp(-x * x) + y.mean(
                               axis=1, keepdims=True)][kind](x, y))
        return tg.sum(tg.tanh(values[-1] + values[-2]))

    compare(tg.value_and_grad(cost), list(rng.normal(size=(3, *shape))), exact=False)


def test_draws_keep_their_order(small_blocks):
    def f(generator, x):
        a = tg.exp(x) * generator.normal(size=300)
        b = generator.normal(size=300)
        return (tg.tanh(a) * b).sum() + (a * x).sum(), generator.normal()

    step = jit(f)
    x = np.linspace(0, 1, 300)
    step(np.random.default_rng(1), x)
    got, expected = step(np.random.default_rng(2), x), f(np.random.default_rng(2), x)
    np.testing.assert_allclose(np.asarray(got, float), [float(v) for v in expected], rtol=1e-12)


# ---------------------------------------------------------------- how arrays are cut


@pytest.mark.parametrize(("shape", "itemsize", "split"), [
    ((1000,), 8, 1), ((1000, 10), 8, 1), ((1, 10**6), 8, 2), ((3, 10**6), 8, 2), ((4, 512, 512), 4, 2), ((1, 1, 70000), 4, 3),
    ((64, 3, 100, 100), 4, 1)])
def test_how_many_axes_are_cut(shape, itemsize, split):
    assert split_of(shape, itemsize) == split


@pytest.mark.parametrize(("shape", "whole", "split", "how"), [
    ((100, 5), (100, 5), 1, "rows"), ((100, 1), (100, 5), 1, "rows"), ((5,), (100, 5), 1, "all"), ((1, 5), (100, 5), 1, "all"),
    ((), (100, 5), 1, "all"), ((5, 5), (4, 5, 5), 2, None), ((4, 1, 5), (4, 5, 5), 2, None), ((2, 100, 5), (100, 5), 1, None),
    ((4, 5, 1), (4, 5, 5), 2, "rows")])
def test_how_an_operand_is_cut(shape, whole, split, how):
    assert cut(shape, whole, split) == how


@pytest.mark.parametrize("n", [1_000_000, 1_234_567, 3_000_000])
@pytest.mark.parametrize("threads", [2, 4])
def test_threads_find_equal_work(n, threads):
    x = np.linspace(-1, 1, n, dtype=np.float32)
    step = jit(lambda x: (np.tanh(np.exp(-x * x) * x) + np.log1p(x * x)) * np.exp(np.sin(x)), threads=threads)
    step(x)
    made = next(iter(step.entries.values())).made
    (region,) = [line.params["region"] for line in made.program.lines if line.op is fusing.BLOCKED]
    assert region.threads == threads
    blocks = -(-region.rows // region.step)
    assert blocks % threads == 0 and region.rows - (blocks - 1) * region.step > 0.8 * region.step


def test_planned_memory_is_small():
    x = np.ones(1_000_000, np.float32)
    f = tg.value_and_grad(lambda t: chain(*t))
    plain, blocked = jit(f, without=("fuse",)), jit(f, threads=1)
    for step in (plain, blocked):
        step((x, x, x))
    memory = [next(iter(step.entries.values())).made.code.memory for step in (plain, blocked)]
    assert memory[1] < memory[0] / 8


# ---------------------------------------------------------------- threads


def test_errors_and_warnings_come_through(small_blocks):
    x = np.linspace(-1, 1, 400)
    step = jit(lambda x: tg.log(x) * tg.exp(x), threads=3)
    with np.errstate(invalid="ignore"):
        step(np.abs(x) + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.isnan(step(x)).sum() == 200
    for _ in range(20):
        with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
            step(x)
    np.testing.assert_allclose(step(np.abs(x)), np.log(np.abs(x)) * np.exp(np.abs(x)))


def test_many_callers_at_once(small_blocks):
    f = jit(lambda x: (tg.tanh(x) * x + tg.exp(-x * x), tg.sum(x * x)), threads=3)
    f(np.ones(4000))
    wrong: list[object] = []

    def call(k: int) -> None:
        x = np.full(4000, float(k))
        for _ in range(50):
            y, s = f(x)
            if not (y == np.tanh(x) * x + np.exp(-x * x)).all() or s != 4000.0 * k * k:
                wrong.append((k, y, s))

    threads = [threading.Thread(target=call, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_how_many_threads_are_allowed(monkeypatch):
    monkeypatch.setenv("TINYGRAD_EDU_THREADS", "3")
    assert workers.threads_allowed() == 3
    monkeypatch.setenv("TINYGRAD_EDU_THREADS", "many")
    with pytest.raises(ValueError, match="TINYGRAD_EDU_THREADS='many'"):
        workers.threads_allowed()
    monkeypatch.setenv("TINYGRAD_EDU_THREADS", "0")
    with pytest.raises(ValueError, match="number of threads"):
        workers.threads_allowed()
    monkeypatch.delenv("TINYGRAD_EDU_THREADS")
    assert 1 <= workers.threads_allowed() <= workers.MOST
    for wrong in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match="threads="):
            jit(lambda x: x, threads=wrong)


SCRIPT = """
import os, sys
import numpy as np
import tinygrad_edu as tg
x = np.random.default_rng(0).normal(size=1_000_000).astype(np.float32)
f = tg.jit(lambda x: (tg.tanh(tg.exp(-x * x) * x) + tg.log1p(x * x)), threads=3)
f(x)
y = f(x)
from tinygrad_edu.program import workers
assert workers._threads, "no threads were needed"
{rest}
"""


@pytest.mark.parametrize("rest", [
    "print('done')",
    "pid = os.fork()\nif not pid:\n    os._exit(0 if (f(x) == y).all() else 1)\n"
    "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0\nassert (f(x) == y).all(); print('done')",
    "import atexit; atexit.register(lambda: print('done' if (f(x) == y).all() else 'wrong'))",
    "import threading; threading.Thread(target=lambda: [f(x) for _ in range(20)]).start(); print('done')"],
    ids=["end", "fork", "atexit", "thread"])
def test_processes_end_and_fork(rest):
    if "fork" in rest and not hasattr(os, "fork"):
        pytest.skip("no fork here")
    ran = subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", SCRIPT.format(rest=rest)], timeout=60,
                         capture_output=True, text=True, check=False)
    assert ran.returncode == 0 and ran.stdout.strip() == "done" and not ran.stderr, ran.stderr
