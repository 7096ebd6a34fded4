"""Compiled functions of all kinds of arguments: the same as without jit, or refused; the caller's arrays stay as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import DTypeError, InPlaceError, TraceError, UnsupportedError

RNG = np.random.default_rng(0)
SIZES = [4, 100]  # small arrays are copied while recording; of large floats the second recording has stand-ins


def check(f: Any, *calls: tuple[Any, ...]) -> None:
    """Eager and compiled calls agree, change no argument, and hand out memory of their own."""
    compiled = tg.jit(f)
    for args in calls:
        kept = [np.array(x) for x in args]
        got, wanted = compiled(*args), f(*args)
        for x, was in zip(args, kept, strict=True):
            np.testing.assert_array_equal(x, was)
        for a, b in zip(*[out if isinstance(out, tuple) else (out,) for out in (got, wanted)], strict=True):
            a, b = np.asarray(a), np.asarray(b)
            assert a.shape == b.shape and a.dtype == b.dtype
            single = a.dtype == np.float32
            np.testing.assert_allclose(a, b, rtol=1e-4 if single else 1e-9, atol=1e-6 if single else 1e-12)
            assert not any(isinstance(x, np.ndarray) and np.shares_memory(a, x) for x in args)
    assert compiled.cache_info().misses == 1


def normal(n: int, dtype: Any = float) -> Any:
    return RNG.standard_normal((n, n)).astype(dtype)


def numbered(n: int, dtype: Any = int, top: int = 9) -> Any:
    return RNG.integers(0, top, (n, n)).astype(dtype)


def special(n: int) -> Any:
    x = normal(n)
    x[0, 0], x[1, 1], x[2, 2], x[1, 0] = np.nan, np.inf, -np.inf, -0.0
    return x


def read_only(n: int) -> Any:
    x = normal(n)
    x.flags.writeable = False
    return x


LAYOUTS: dict[str, Any] = {
    "reversed": lambda n: normal(n)[::-1], "transposed": lambda n: normal(n).T, "strided": lambda n: normal(2 * n)[::2, 1::2],
    "fortran": lambda n: np.asfortranarray(normal(n)), "broadcast": lambda n: np.broadcast_to(normal(n)[:, :1], (n, n)),
    "one number": lambda n: np.broadcast_to(normal(1), (n, n)), "read-only": read_only, "special": special,
    "equal": lambda n: np.full((n, n), RNG.normal()), "zeros": lambda n: np.zeros((n, n)), "single": lambda n: normal(n, "f4"),
    "integers": numbered, "bytes": lambda n: numbered(n, np.int8), "unsigned": lambda n: numbered(n, np.uint8, 250),
    "truth values": lambda n: numbered(n, bool, 2), "complex": lambda n: normal(n) + 1j * normal(n),
}
FUNCTIONS: list[Any] = [
    lambda x: (x * 2.5 + 1, x.T, x), lambda x: np.sum(x * x), lambda x: (x * x, x + x), lambda x: np.mean(x, axis=0),
    lambda x: np.cumsum(x[1:]), lambda x: np.where(x > 0, x, 0), lambda x: x.reshape(-1)[:3] + np.max(np.abs(x)),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of infinities
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_and_dtypes(layout: str, n: int) -> None:
    for f in FUNCTIONS:
        check(f, *[(LAYOUTS[layout](n),) for _ in range(3)])


@pytest.mark.parametrize("n", SIZES)
def test_one_array_as_several_arguments(n: int) -> None:
    def f(x: Any, y: Any) -> Any:
        slopes = tg.grad(lambda a, b: np.sum(np.tanh(a) * b * b), argnums=(0, 1))(x, y)
        return x @ y.T, np.where(x > y, x, y), y, x, *slopes

    a, b = normal(n), normal(n + 1)
    plain = [(a, a), (a, a.T), (a, a[::-1]), (a, a[:]), (b[:-1, 1:], b[1:, 1:]), (a, np.broadcast_to(a[0], (n, n)))]
    compiled = tg.jit(f)
    for args in [*plain, *plain]:
        for got, wanted in zip(compiled(*args), f(*args), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)
            assert not any(np.shares_memory(got, x) for x in args)


@pytest.mark.parametrize("n", SIZES)
def test_donated_arrays_that_overlap(n: int) -> None:
    def f(x: Any, y: Any) -> Any:
        return x - 0.1 * y, y + x.T

    compiled = tg.jit(f, donate=("x", "y"))
    a, b = normal(n), normal(n)
    for x, y in ((a, a), (a, a.T), (a, b)):
        p, q = compiled(x, y)
        for again in ((p, q), (q, p), (p, p), (p.T, p), (q[::-1], p), (q, q.T), (p, y)):
            wanted = f(*map(np.array, again))
            p, q = compiled(*again)
            np.testing.assert_allclose(p, wanted[0], rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(q, wanted[1], rtol=1e-9, atol=1e-9)


# ---------------------------------------------------------------- arguments that are written to


def by_asarray(x: Any) -> Any:
    np.asarray(x)[0] = 1


def by_view(x: Any) -> Any:
    x.view(np.ndarray)[0] = 1


def by_memoryview(x: Any) -> Any:
    memoryview(x)[0, 0] = 1


def by_flags(x: Any) -> Any:
    x.setflags(write=True)


def by_shuffle(x: Any) -> Any:
    np.random.default_rng(0).shuffle(x)


def by_parts(x: Any) -> Any:
    np.split(x, 2)[0][0] = 1


def by_more_axes(x: Any) -> Any:
    np.atleast_3d(x)[0] = 1


def by_slice(x: Any) -> Any:
    x[1:][0] = 1


def by_transpose(x: Any) -> Any:
    x.T[0] = 1


def by_reshape(x: Any) -> Any:
    x.reshape(-1)[0] = 1


def by_swapped_axes(x: Any) -> Any:
    np.swapaxes(x, 0, 1)[0] = 1


def by_rows(x: Any) -> Any:
    for row in x:
        row[0] = 1


ANY = [by_slice, by_transpose, by_reshape, by_swapped_axes, by_rows]
PLAIN = [by_asarray, by_view, by_memoryview, by_flags, by_shuffle, by_parts, by_more_axes]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("write", "dtype"), [*[(w, t) for w in ANY for t in (int, float)], *[(w, int) for w in PLAIN]])
def test_writing_to_an_argument_is_refused(write: Any, dtype: Any, n: int) -> None:
    def f(x: Any) -> Any:
        write(x)
        return np.sum(x)

    x = np.full((n, n), 3, dtype)
    for given in (x, np.repeat(x, 2, axis=1)[:, ::2]):
        with pytest.raises((TraceError, InPlaceError), match=rf"{write.__name__}, line \d+: |was taken from x"):
            tg.jit(f)(given)
        assert np.all(given == 3)


@pytest.mark.parametrize("n", SIZES)
def test_writing_to_a_view_is_refused_where_the_array_goes_on(n: int) -> None:
    def kept(x: Any) -> Any:
        y = 2 * x
        y.reshape(-1)[0] = 1
        rows = y[1:]
        rows[0] = 0
        return np.sum(y)

    def alone(x: Any) -> Any:
        y = (2 * x)[1:]
        y[0] = 1
        y = y.copy().reshape(-1)
        y[-1] = 5
        return np.sum(y)

    with pytest.raises(InPlaceError, match="was taken from y"):
        tg.jit(kept)(normal(n))
    compiled = tg.jit(alone)
    for x in (normal(n), normal(n)):
        np.testing.assert_allclose(compiled(x), alone(x))


def test_what_fails_the_second_time_is_not_compiled() -> None:
    calls: list[int] = []

    def f(x: Any) -> Any:
        calls.append(1)
        if len(calls) > 1:
            raise OSError("the file is there already")
        return 2 * x

    with pytest.raises(OSError, match="already"):
        tg.jit(f)(np.ones(3))


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_arrays_with_an_arithmetic_of_their_own_are_refused() -> None:
    compiled = tg.jit(lambda x: x * x)
    compiled(normal(3))
    for x in (np.matrix(normal(3)), np.ma.masked_less(normal(3), 0), np.ma.masked_equal(numbered(3), 1)):
        with pytest.raises(DTypeError, match="arithmetic"):
            compiled(x)


# ---------------------------------------------------------------- functions that choose by numbers


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("f", [
    lambda x: np.frexp(x), lambda x: np.piecewise(x, [x > 0, x <= 0], [lambda u: u * 2, -1.0]),
    lambda x: np.piecewise(x, [x < 0.5], [1.0, lambda u: np.sqrt(np.abs(u))]), lambda x: np.compress(x[0] > 0, x, axis=1),
    lambda x: np.choose((x > 0).astype(int), [x, 2 * x]),
], ids=["frexp", "piecewise", "with a rest", "compress", "choose"])
@pytest.mark.parametrize("first", [lambda n: np.full((n, n), 0.75), normal], ids=["equal", "normal"])
def test_choices_follow_the_numbers(f: Any, first: Any, n: int) -> None:
    check(f, *[(x,) for x in (first(n), normal(n), np.full((n, n), -3.0), 40 * normal(n))])


@pytest.mark.parametrize("first", [
    lambda x: np.sort(x)[::-1], np.sort, lambda x: np.full(x.shape, 0.5), lambda x: x,
], ids=["descending", "ascending", "equal", "any"])
@pytest.mark.parametrize("leak", [
    lambda x: x * (2 + int(np.asarray(x.data).argmax())), lambda x: x + int(np.asarray(x.data).argsort()[0]),
    lambda x: x * float(np.ptp(np.asarray(x.data))), lambda x: x * np.asarray(x.data).tobytes()[0],
    lambda x: x * float(memoryview(np.asarray(x.data))[0]),
], ids=["argmax", "argsort", "ptp", "bytes", "memoryview"])
def test_numbers_taken_past_the_recording_of_a_large_array_are_refused(leak: Any, first: Any) -> None:
    with pytest.raises((TraceError, UnsupportedError)):
        tg.jit(leak)(first(RNG.standard_normal(10_007)))


def assigned(x: Any) -> Any:
    z = 2 * x
    z[0] = 5.0
    first = z > 1
    z[first] = 1.0
    z[:, 1] = z[:, 0] * x[:, 0]
    second = np.argsort(z[2])
    z[z < -1] = -1.0
    return z[2][second], first, np.sum(z * x), z > 0


@pytest.mark.parametrize("n", SIZES)
def test_entries_are_assigned_by_comparisons_of_the_array_itself(n: int) -> None:
    check(assigned, *[(normal(n),) for _ in range(4)])
    slope = tg.jit(tg.grad(lambda x: assigned(x)[2]))
    for x in (normal(n), normal(n)):
        np.testing.assert_allclose(slope(x), tg.grad(lambda x: assigned(x)[2])(x), rtol=1e-9, atol=1e-12)


def test_a_function_compiled_inside_of_integers_alone_is_recorded_along() -> None:
    counts = tg.jit(lambda y: np.bincount(y, minlength=5) * 1.0)
    held = tg.jit(lambda x: x + 1)

    def f(x: Any, y: Any) -> Any:
        return np.sum(x) * counts(y), counts(y=y), held(x) * x

    for size in (20, 20_000):
        counts(numbered(2, int, 5).reshape(-1))
        check(f, *[(normal(3), RNG.integers(0, 5, size)) for _ in range(4)])


def test_settings_and_nests_of_all_kinds() -> None:
    def f(x: Any, y: Any = None, *more: Any, scale: Any = 2.0, how: str = "sum") -> Any:
        for z in more:
            x = x + z["a"][0] * z["b"]
        x = x * scale if y is None else x * y
        return np.sum(x) if how == "sum" else {"x": x, "how": how, "none": None}

    compiled = tg.jit(f)
    nest = [{"a": (normal(3), 2), "b": 0.5}, {"a": [normal(3), None], "b": np.float32(2)}]
    for _ in range(2):
        for args in ((normal(3),), (normal(3), None), (normal(3), 2.0), (normal(3), 3), (normal(3), True),
                     (normal(3), normal(3)[0]), (normal(3), np.array(4.0)), (normal(3), np.array(4)),
                     (normal(3), None, *nest), (normal(3), 1.5, nest[1]),
                     (np.zeros((0, 3)),), (np.zeros((0, 3)), np.zeros(3))):
            for kwargs in ({}, {"scale": 3.0}, {"scale": -0.0}, {"scale": 3}, {"how": "x"}, {"how": "x", "scale": np.ones(3)}):
                got, wanted = compiled(*args, **kwargs), f(*args, **kwargs)
                if isinstance(wanted, dict):
                    assert got["how"] == "x" and got["none"] is None
                    got, wanted = got["x"], wanted["x"]
                    assert np.all(np.signbit(got) == np.signbit(wanted))
                np.testing.assert_allclose(got, wanted, rtol=1e-12)


def counted_by_mask(x: Any) -> Any:
    z = tg.zeros(x.shape)
    z[x > 0] = 1.0
    return np.sum(z) * x[0]


def compared_later(x: Any) -> Any:
    z = tg.zeros(x.shape)
    z[0] = x[0]
    return np.sum(z > 0) * x


def by_order(x: Any) -> Any:
    z = tg.zeros(x.shape)
    z[np.argsort(x[:, 0])[:2]] = 1.0
    return np.sum(z * x)


def untouched_row(x: Any) -> Any:
    z = 1 * x
    z[x > 1] = 1.0
    return z[2] + z[-1]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("f", [counted_by_mask, compared_later, by_order, untouched_row])
def test_constants_that_are_filled_follow_the_numbers(f: Any, n: int) -> None:
    compiled = tg.jit(f)
    for shift in (-3.0, 0.0, 0.5, 3.0):
        x = normal(n) + shift
        with tg.no_grad():
            wanted = f(tg.Tensor(x, requires_grad=False))
        np.testing.assert_allclose(compiled(x), getattr(wanted, "value", wanted), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("f", [lambda x, c: (x * c, c), lambda x, c: (x * c, 2 * c, c**2),
                               lambda x, c: (np.sum(x) * c, np.exp(c)), lambda x, c: (tg.grad(lambda c: np.sin(c) * c)(c), x)])
def test_python_numbers_beside_float32_are_the_same_in_every_call(f: Any) -> None:
    """They never widen an array, and keep their own precision where no array meets them."""
    compiled, x = tg.jit(f), np.ones(3, np.float32)
    first, later = (tg.containers.flatten(compiled(x, 0.1))[0] for _ in range(2))
    for a, b in zip(first, later, strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.asarray(a).dtype == np.asarray(b).dtype


@pytest.mark.parametrize("rows", [5, 1000])  # a few rows are computed all at once, many only where it matters
def test_confident_rows_keep_their_digits(rows: int) -> None:
    z = np.random.default_rng(0).normal(size=(rows, 4))
    z[::2, 1] += 60.0
    labels = np.ones(rows, int)
    compiled = tg.jit(tg.value_and_grad(lambda z, labels: tg.cross_entropy(z[::2], labels[::2])))
    for _ in range(2):
        value, slope = compiled(z, labels)
        wanted, its = tg.value_and_grad(lambda z: tg.cross_entropy(z[::2], labels[::2]))(z)
        np.testing.assert_allclose([value], [wanted], rtol=1e-12)
        np.testing.assert_allclose(slope, its, rtol=1e-9, atol=1e-300)
        assert 0 < value < 1e-24
