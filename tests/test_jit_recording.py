"""How a function is recorded twice: on what other numbers, without copies of large arrays, and with names found on the way."""

from __future__ import annotations

import functools
import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import TraceError
from tinygrad_edu.program.naming import argument_names
from tinygrad_edu.program.nudge import FEW, nudged, shuffled
from tinygrad_edu.program.record import record

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(3,), (40, 50), (FEW + 1,), (300, 211), (1009, 1013), (7, 90, 80)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("change", [nudged, shuffled])
def test_other_numbers_are_nearly_the_same_in_another_order(shape, order, change):
    x = np.array(RNG.standard_normal(shape), order=order)
    kept = x.copy()
    y = change(x)
    assert y.shape == x.shape and y.dtype == x.dtype and np.array_equal(x, kept) and not np.shares_memory(x, y)
    assert np.mean(y != x) > 0.99
    if change is shuffled:
        assert np.mean(np.abs(y - x) > 0.01) > 0.6
        assert x.size < 100 or (np.argmax(y) != np.argmax(x) and np.any(np.argmax(y, axis=0) != np.argmax(x, axis=0)))
    else:
        np.testing.assert_allclose(y, x, rtol=1.001e-3)
    np.testing.assert_allclose(np.sort(y, axis=None), np.sort(x, axis=None), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("shape", [(5,), (200, 1009), (1009, 200), (4 * 211, 227)])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_numbers_become_different_along_every_axis(shape, value):
    y = shuffled(np.full(shape, value, np.float32))
    assert y.dtype == np.float32
    for axis in range(len(shape)):
        assert np.all(np.ptp(y, axis=axis) > 0)


def test_whole_numbers_change_places():
    x = np.arange(50_000).reshape(100, 500)
    y = shuffled(x)
    assert np.array_equal(np.sort(y, axis=None), x.reshape(-1)) and np.mean(y != x) > 0.9
    assert np.any(shuffled(np.zeros(50_000, int)))


@pytest.mark.parametrize("data", [np.sort(RNG.standard_normal((300, 300)), axis=0), RNG.standard_normal((300, 300)),
                                  np.sort(RNG.standard_normal((300, 300)), axis=0)[::-1]])
@pytest.mark.parametrize("decide", [
    lambda x: int(np.argmax(np.asarray(x.value)[:, 0])), lambda x: np.argsort(x.data.view(np.ndarray)[:, 0])[:7],
    lambda x: int(np.asarray(x.detach())[:, 0].argmin()),
    lambda x: sorted(memoryview(x.value[0]).tolist()).index(x.value[0, 0]),
])
def test_a_decision_by_the_order_of_large_arrays_shows(decide, data):
    """Also where the order is that of equal numbers, which stand in for large arrays."""
    with pytest.raises((TraceError, tg.errors.UnsupportedError)):
        tg.jit(lambda x: np.sum(x[decide(x)]))(data)


@pytest.mark.parametrize("shape", [(4, 3), (200, 300)])  # small arrays are copied while recording, large ones are not
def test_arguments_keep_their_numbers_and_layouts_are_as_without_a_recording(shape):
    def f(x, y):
        return np.tanh(x.T) @ x + (x * 2).T @ y, x.T, np.transpose(y)

    x, y = np.asfortranarray(RNG.standard_normal(shape)), RNG.standard_normal(shape)
    before = x.copy(), y.copy()
    first, again = tg.jit(f)(x, y), f(x, y)
    assert np.array_equal(x, before[0]) and np.array_equal(y, before[1])
    for a, b in zip(first, again, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
        assert not np.shares_memory(a, x) and not np.shares_memory(a, y)


@pytest.mark.parametrize("n", [5, 300])
@pytest.mark.parametrize("part", [lambda x: x, lambda x: x[:2], lambda x: x.T, np.transpose, lambda x: x.reshape(-1), np.ravel,
                                  lambda x: x.T.reshape(-1)])
@pytest.mark.parametrize("before", [lambda x: x, lambda x: x + 0])
def test_an_argument_whose_memory_is_written_to_is_refused(n, part, before):
    def f(labels, x):
        labels = before(labels)
        part(labels)[0] = 1
        return np.sum(x * labels)

    labels = np.zeros((n, n), int)
    with pytest.raises(TraceError, match="in place"):
        tg.jit(f)(labels, np.ones((n, n)))
    assert not labels.any()


def test_variables_are_found_without_a_profiler():
    seen = []

    def helper(u):
        inner = u * u
        return inner + 1

    def f(x):
        seen.append(sys.getprofile())
        first = np.exp(x)
        both = [helper(first), helper(first * 2)]
        last = both[0] * both[1]
        return last

    text = str(record(f, (np.ones(3),), {}).program)
    assert seen == [None]
    for name in ("first = exp(x)", "inner1 = ", "inner2 = ", "both_0 = ", "both_1 = ", "last = multiply(both_0, both_1)"):
        assert name in text, text


def test_what_is_kept_of_a_compiled_function_goes_with_it():
    import gc
    import linecache

    def f(x):
        return np.sum(np.tanh(x) * x)

    g = tg.jit(f)
    g(np.ones(3))
    name = g._newest().made.step.name
    assert linecache.getlines(name)[0].startswith("def build(") and g.source == "".join(linecache.getlines(name))
    assert all(line._uses is None for line in g.program.lines) and "kinds" not in vars(g.program)
    del g
    gc.collect()
    assert name not in linecache.cache


# ---------------------------------------------------------------- stand-ins: large arrays of one number

def _recordings(monkeypatch, f, *args):
    """The result of a first compiled call, and the arguments of all its recordings."""
    import tinygrad_edu.program.jit as module

    seen = []

    def watched(f, args, kwargs, **settings):
        seen.append(args)
        return record(f, args, kwargs, **settings)

    monkeypatch.setattr(module, "record", watched)
    return tg.jit(f)(*args), seen


def test_large_data_is_recorded_again_as_one_number(monkeypatch):
    x, w = RNG.standard_normal((300, 400)), RNG.standard_normal((400, 3))

    def f(w, x):
        return tg.grad(lambda w: np.mean(np.logaddexp(np.tanh(x @ w), 0.5 * np.max(x, axis=1, keepdims=True))))(w)

    out, seen = _recordings(monkeypatch, f, w, x)
    np.testing.assert_array_equal(out, f(w, x))
    assert len(seen) == 2 and seen[0][1] is x and not any(seen[1][1].strides) and seen[1][0].strides == w.strides


@pytest.mark.parametrize("f", [
    lambda x: np.sum(x[x > 0] ** 2),  # of one number all or none
    lambda x: np.sum(np.linalg.inv(x @ x.T / 400 + 0.1 * np.eye(300))),
    lambda x: x[np.argmax(x[:, 0])] * 2,
    lambda x: np.sum(np.linalg.cholesky(x[:, :300])),
])
def test_where_stand_ins_do_not_serve_numbers_proper_decide(f):
    x = RNG.standard_normal((300, 400))
    x[:, :300] = x[:, :300] @ x[:, :300].T + 300 * np.eye(300)
    g = tg.jit(f)
    for _ in range(3):
        np.testing.assert_allclose(g(x), f(tg.Tensor(x)).numpy(), rtol=1e-10)
        x = x + 0.01


def test_an_array_spread_from_one_number_is_no_stand_in_where_results_count():
    def f(x, c):
        return np.sum(np.broadcast_to(c, (300, 400)) * x, axis=0) + np.broadcast_to(x[0, 0], (400,))

    x = RNG.standard_normal((300, 400))
    g = tg.jit(f)
    for c in (2.0, 3.0):
        np.testing.assert_allclose(g(x, c), c * x.sum(axis=0) + x[0, 0], atol=1e-11)


def test_a_number_taken_from_large_data_past_the_recording_is_refused():
    def f(x):
        return x * memoryview(np.asarray(x.value)).nbytes + sum(memoryview(np.asarray(x.value)[0]).tolist())

    with pytest.raises(TraceError, match="recorded twice"):
        tg.jit(f)(RNG.standard_normal((300, 400)))


@pytest.mark.parametrize("change", [
    lambda x: x.__setitem__(0, 1.0), lambda x: x.__iadd__(1.0), lambda x: x.sort(), lambda x: x.fill(0.0),
    lambda x: np.copyto(x, 0.0), lambda x: np.add(x, 1, out=x), lambda x: x[1:].__imul__(2.0), lambda x: np.add.at(x, 0, 1.0),
    lambda x: np.fill_diagonal(x, 0.0), lambda x: x.partition(3)])
def test_a_large_argument_is_neither_copied_nor_written_to(change):
    x = np.arange(120_000).reshape(300, 400)
    kept = x.copy()

    def f(labels):
        change(labels)
        return np.sum(labels)

    with pytest.raises(TraceError, match="in place"):
        tg.jit(f)(x)
    assert np.array_equal(x, kept) and x.flags.writeable


@pytest.mark.parametrize("order", ["C", "F"])
def test_costly_functions_of_large_arrays_are_recorded_in_pieces(order):
    x = np.array(RNG.standard_normal((300, 400)), order=order)
    f = tg.value_and_grad(lambda x: np.sum(tg.gelu(x, approximate="tanh") * tg.sigmoid(x) + tg.softplus(x)))
    value, slope = f(x)
    recorded = record(f, (x,), {})
    assert recorded.results[0] == value and np.array_equal(recorded.results[1], slope)


def test_a_function_compiled_inside_another_is_recorded_on_numbers_proper():
    c = np.full((1, 1), 2.0)
    inner = tg.jit(lambda y: np.broadcast_to(y, (300, 400)) * TABLE)

    def f(x):
        return np.sum(x) + inner(c)

    g, x = tg.jit(f), RNG.standard_normal((300, 400))
    for _ in range(2):
        np.testing.assert_allclose(g(x), np.sum(x) + 2 * TABLE, rtol=1e-12)
    np.testing.assert_allclose(inner(c), 2 * TABLE, rtol=1e-12)


TABLE = RNG.random((300, 400))


@pytest.mark.parametrize("use", [float, int, lambda x: x.item(), lambda x: np.zeros(3)[x.astype(int)]],
                         ids=["float", "int", "item", "index"])
def test_the_remedy_for_a_number_that_is_taken_out_is_none_that_is_refused_too(use):
    with pytest.raises(tg.errors.UnsupportedError) as raised:
        tg.jit(lambda x: x * use(np.sum(x)))(np.ones(3))
    assert ".numpy()" not in str(raised.value)


def test_names_of_arguments_are_those_that_inspect_finds():
    def several(x, y, /, z, *rest, k=1, **others): ...
    def none(): ...
    def by_name(x, *, k): ...

    for f in (several, none, by_name, lambda w, *ws: w):
        wrapped = functools.wraps(f)(lambda *args: None)  # which is asked by inspect
        for count in range(6):
            assert argument_names(f, count) == argument_names(wrapped, count)
    assert argument_names(several, 5) == ["x", "y", "z", "rest1", "rest2"]
