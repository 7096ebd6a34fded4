"""How a compiled function behaves: what it follows, what it refuses, and whose memory its results are."""

from __future__ import annotations

import copy
import dataclasses
import gc
import pickle
import threading
import tracemalloc
import weakref
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.containers import flatten
from tinygrad_edu.errors import TraceError, UnsupportedError

Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Layer:
    W: Any
    b: Any
    name: str = "linear"


def leaves(x: Any) -> list[Any]:
    return flatten(x)[0]


def same(found: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=tolerance, atol=tolerance)


def calls(f: Any, *arguments: Any, **options: Any) -> Any:
    """The compiled function, after calls with each tuple of arguments gave the eager results."""
    compiled = tg.jit(f, **options)
    for args in arguments:
        found, wanted = leaves(compiled(*args)), leaves(f(*args))
        assert len(found) == len(wanted)
        for y, w in zip(found, wanted, strict=True):
            same(y, w.value if isinstance(w, tg.Tensor) else w)
    return compiled


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


# ---------------------------------------------------------------- containers, kinds of arguments


def test_containers_in_and_out() -> None:
    def f(layer: Any, pair: Any, nothing: Any, how: str, settings: Any) -> Any:
        y = layer.W @ pair.x + layer.b * settings["rate"]
        y = np.tanh(y) if how == "tanh" else y
        return {"y": y, "pair": Point(pair.y, y), "same": nothing, "how": how, "list": [y * 2, (pair.x,)]}

    compiled = tg.jit(f)
    for seed in range(3):
        W, b, x, z = numbers(2, 3, seed=seed), numbers(2, seed=seed + 5), numbers(3, seed=seed + 9), numbers(4, seed=seed)
        for how in ("tanh", "none"):
            out = compiled(Layer(W, b), Point(x, z), None, how, {"rate": 0.5 + seed})
            y = W @ x + b * (0.5 + seed)
            y = np.tanh(y) if how == "tanh" else y
            same(out["y"], y)
            same(out["pair"].x, z)
            same(out["pair"].y, y)
            same(out["list"][0], 2 * y)
            same(out["list"][1][0], x)
            assert out["same"] is None and out["how"] == how and type(out["pair"]) is Point
    assert compiled.cache_info().currsize == 2


def test_settings_of_a_dataclass_are_part_of_the_signature() -> None:
    def f(layer: Any) -> Any:
        return layer.W * (2.0 if layer.name == "linear" else 3.0)

    compiled = tg.jit(f)
    for name in ("linear", "other", "linear"):
        same(compiled(Layer(np.ones(2), np.ones(1), name)), f(Layer(np.ones(2), np.ones(1), name)))


def test_keyword_arguments_and_statics() -> None:
    def f(x: Any, n: int, *, scale: Any = 1.0, mode: str = "sum") -> Any:
        y = x
        for _ in range(n):
            y = y * scale
        return np.sum(y) if mode == "sum" else np.mean(y)

    compiled = tg.jit(f, static_argnums=1)
    for seed in range(3):
        x = numbers(3, seed=seed)
        same(compiled(x, 2), f(x, 2))
        same(compiled(x, 3, scale=1.5 + seed), f(x, 3, scale=1.5 + seed))
        same(compiled(x, 3, scale=np.float64(seed), mode="mean"), f(x, 3, scale=float(seed), mode="mean"))
    assert compiled.cache_info().currsize == 3


def test_a_static_that_cannot_be_looked_up_is_named() -> None:
    with pytest.raises(TypeError, match="hashable"):
        tg.jit(lambda x, s: x, static_argnums=1)(np.ones(2), {1, 2})


@pytest.mark.parametrize("x", [2.5, np.float32(2.5), np.float64(2.5), np.array(2.5), np.array([]), np.zeros((0, 3)), [1.0, 2.0],
                               np.ones((2, 2), np.float32)])
def test_kinds_of_numbers(x: Any) -> None:
    def f(x: Any) -> Any:
        return np.sum(x * 2.0) if np.ndim(x) else x * 2.0

    compiled = tg.jit(f)
    for _ in range(3):
        wanted = f(np.asarray(x, float) if isinstance(x, list) else x)
        found = compiled(x)
        assert np.asarray(found).dtype == np.asarray(wanted).dtype and np.shape(found) == np.shape(wanted)
        same(found, wanted)


def test_whole_numbers_and_truth_values_are_settings() -> None:
    compiled = tg.jit(lambda x, n, flag: x ** n if flag else -x)
    x = np.array([1.0, 2.0])
    for n in (1, 2, 3):
        same(compiled(x, n, True), x**n)
        same(compiled(x, n, False), -x)
    same(compiled(x, 1.0, 1), x)


def test_labels_masks_and_places_are_followed() -> None:
    def f(w: Any, rows: Any, mask: Any, labels: Any) -> Any:
        z = np.where(mask, w[rows], 0.5)
        picked = z[np.arange(len(labels)), labels]
        kept = np.where(labels == 1, 2.0, 1.0)
        return np.sum(picked * kept) + tg.softmax_cross_entropy(z, labels) if hasattr(tg, "softmax_cross_entropy") else (
            np.sum(picked * kept) + tg.cross_entropy(z, labels))

    gradient = tg.jit(tg.value_and_grad(f))
    for seed in range(4):
        rng = np.random.default_rng(seed)
        args = (rng.normal(size=(6, 3)), rng.integers(0, 6, 5), rng.random((5, 3)) > 0.4, rng.integers(0, 3, 5))
        found, wanted = gradient(*args), tg.value_and_grad(f)(*args)
        same(found[0], wanted[0])
        same(found[1], wanted[1])
    assert gradient.cache_info().misses == 1


def test_methods_of_labels_are_followed() -> None:
    def f(x: Any, labels: Any) -> Any:
        sorted_places = labels.argsort(kind="stable")
        part = labels[1:].reshape(-1)
        total = np.cumsum(labels)[-1] + labels.max() + labels.T.sum() + part.clip(0, 2).sum()
        first, second = np.divmod(labels, 2)
        return np.sum(x[sorted_places] * (first + 2 * second)) * total + np.sum(x[part] * part.astype(float)) + np.sum(
            x[np.nonzero(labels < 10)[0]])

    calls(f, *[(numbers(5, seed=s), np.random.default_rng(s).permutation(5)) for s in range(4)])


# ---------------------------------------------------------------- what cannot be recorded


def test_a_branch_on_a_value_is_refused_with_its_line() -> None:
    def f(x: Any) -> Any:
        if np.sum(x) > 0:
            return x
        return -x

    with pytest.raises((TraceError, UnsupportedError), match=r"if np\.sum\(x\) > 0.*np\.where"):
        tg.jit(f)(np.ones(2))


@pytest.mark.parametrize("f", [
    lambda x: x * float(np.sum(x)), lambda x: x * np.sum(x).item(), lambda x: x * x.numpy(), lambda x: x * int(x[0]),
    lambda x: x * np.sum(x).numpy(), lambda x: x[: int(x[0])], lambda x: [x[0]] * bool(x[0] > 0),
])
def test_numbers_taken_out_are_refused(f: Any) -> None:
    with pytest.raises((TraceError, UnsupportedError, tg.errors.DetachError, TypeError)):
        tg.jit(f)(np.array([1.0, 2.0]))


def test_numbers_of_labels_taken_out_are_refused() -> None:
    for f in (lambda x, y: x * y.tolist()[0], lambda x, y: x * int(y[0]), lambda x, y: x if y[0] > 0 else -x,
              lambda x, y: x if np.array_equal(y, [1, 2]) else -x, lambda x, y: x[y[0] :], lambda x, y: x * y.item(0)):
        with pytest.raises((TraceError, UnsupportedError)):
            tg.jit(f)(np.array([1.0, 2.0]), np.array([1, 2]))


def test_arguments_changed_in_place_are_refused() -> None:
    def f(x: Any, labels: Any) -> Any:
        labels[labels == 1] = 0
        return x[labels]

    def g(x: Any, labels: Any) -> Any:
        places = labels + 1
        places[0] = 0
        return x[places]

    def h(x: Any, labels: Any) -> Any:
        places = labels * 1
        places += 1
        return x[places]

    for wrong in (f, g, h):
        labels = np.array([1, 0])
        with pytest.raises(TraceError, match=r"in place.*np\.where"):
            tg.jit(wrong)(np.array([1.0, 2.0, 3.0]), labels)
        assert labels.tolist() == [1, 0]


def test_a_generator_that_is_not_given_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(TraceError, match="generator"):
        tg.jit(lambda x: x * rng.random(2))(np.ones(2))


def test_a_time_or_counter_is_refused() -> None:
    import time

    count = [0.0]

    def counted(x: Any) -> Any:
        count[0] += 1
        return x * count[0]

    for f in (counted, lambda x: x * time.perf_counter_ns()):
        with pytest.raises(TraceError, match="recorded twice"):
            tg.jit(f)(np.ones(2))


def test_draws_follow_the_generator_and_stay_random() -> None:
    def f(x: Any, rng: Any) -> Any:
        return np.sum(tg.dropout(x, 0.5, rng=rng) * rng.normal(size=4))

    compiled, gradient = tg.jit(f), tg.jit(tg.grad(f))
    mine, other = np.random.default_rng(3), np.random.default_rng(3)
    x = numbers(4)
    seen = set()
    for _ in range(4):
        y = compiled(x, mine)
        same(y, f(x, other))
        seen.add(float(y))
        same(gradient(x, mine), tg.grad(f)(x, other))
    assert len(seen) > 2
    assert mine.bit_generator.state == other.bit_generator.state


# ---------------------------------------------------------------- what lies around the function

SCALE = 2.0
TABLE = np.array([1.0, 2.0])


def test_a_changed_global_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = tg.jit(lambda x: x * SCALE + TABLE)
    same(compiled(np.ones(2)), [3.0, 4.0])
    monkeypatch.setitem(globals(), "SCALE", 5.0)
    same(compiled(np.ones(2)), [6.0, 7.0])
    monkeypatch.setitem(globals(), "TABLE", np.array([0.0, 1.0]))
    same(compiled(np.ones(2)), [5.0, 6.0])


def test_a_changed_closure_variable_is_seen() -> None:
    rate = 1.0

    def f(x: Any) -> Any:
        return x * rate

    compiled = tg.jit(f)
    same(compiled(np.ones(2)), np.ones(2))
    rate = 3.0
    same(compiled(np.ones(2)), 3 * np.ones(2))


def test_a_captured_array_changed_in_place_is_seen() -> None:
    w = np.ones(3)
    compiled = tg.jit(lambda x: np.sum(w * x) + np.sum(np.exp(w)))
    same(compiled(np.ones(3)), 3 + 3 * np.e)
    w[0] = 5.0
    same(compiled(np.ones(3)), 7 + 2 * np.e + np.exp(5.0))


def test_a_list_appended_to_runs_once_while_recording() -> None:
    seen: list[Any] = []

    def f(x: Any) -> Any:
        seen.append(1)
        return x * 2

    compiled = tg.jit(f)
    for _ in range(5):
        compiled(np.ones(2))
    assert len(seen) == 2  # recorded twice, and never run again


def test_attributes_of_a_model() -> None:
    class Model:
        def __init__(self) -> None:
            self.w = np.ones(2)
            self.calls = 0

        @tg.jit
        def __call__(self, x: Any) -> Any:
            return self.w * x

        @tg.jit
        def doubled(self, x: Any) -> Any:
            return 2 * x

    model, other = Model(), Model()
    other.w = np.full(2, 7.0)
    for _ in range(3):
        same(model(np.ones(2)), np.ones(2))
        same(other(np.ones(2)), 7 * np.ones(2))
        same(model.doubled(np.ones(2)), 2 * np.ones(2))
    model.w = np.full(2, 3.0)
    same(model(np.ones(2)), 3 * np.ones(2))


# ---------------------------------------------------------------- signatures


def test_other_shapes_and_dtypes_are_recorded_anew() -> None:
    compiled = tg.jit(lambda x: np.sum(x * x))
    for x in (np.ones(2), np.ones(3), np.ones((2, 1)), np.ones(2, np.float32), np.ones(2)):
        y = compiled(x)
        assert y.dtype == x.dtype and y == x.size
    info = compiled.cache_info()
    assert (info.hits, info.misses, info.currsize) == (1, 4, 4)
    compiled.cache_clear()
    assert compiled.cache_info().currsize == 0


def test_the_cache_is_bounded() -> None:
    compiled = tg.jit(lambda x: x * 2, cache_size=3)
    for n in range(1, 9):
        same(compiled(np.ones(n)), 2 * np.ones(n))
    assert compiled.cache_info().currsize == 3 and compiled.cache_info().maxsize == 3
    compiled(np.ones(8))
    assert compiled.cache_info().hits == 1


def test_other_layouts_and_byte_orders() -> None:
    compiled = tg.jit(lambda x: np.exp(x) @ np.ones(3))
    x = numbers(4, 3)
    wide = np.zeros((4, 6))
    wide[:, ::2] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    for given in (x, np.asfortranarray(x), wide[:, ::2], x[::-1][::-1], frozen, x.astype(">f8")):
        same(compiled(given), np.exp(x) @ np.ones(3))


# ---------------------------------------------------------------- composition


def test_composition_with_the_derivatives() -> None:
    def f(w: Any) -> Any:
        return np.sum(np.tanh(w @ A) ** 3)

    A = numbers(3, 3)
    for seed in range(3):
        w, v = numbers(3, seed=seed), numbers(3, seed=seed + 9)
        for made, eager in zip(COMPILED, EAGER, strict=True):
            found, wanted = made(f)(w, v), eager(f)(w, v)
            for y, g in zip(leaves(found), leaves(wanted), strict=True):
                same(y, g)


EAGER = [
    lambda f: lambda w, v: tg.grad(f)(w), lambda f: lambda w, v: tg.hvp(f, w, v), lambda f: lambda w, v: tg.hessian(f)(w),
    lambda f: lambda w, v: tg.jacobian(lambda x: x * f(x))(w), lambda f: lambda w, v: tg.jvp(f, (w,), (v,)),
]
COMPILED = [
    *[lambda f, make=make: tg.jit(make(f)) for make in EAGER],
]
EAGER += [lambda f: lambda w, v: tg.grad(f)(w), lambda f: lambda w, v: tg.grad(f)(w),
          lambda f: lambda w, v: tg.hessian(f)(w), lambda f: lambda w, v: tg.grad(f)(w)]
COMPILED += [lambda f: lambda w, v: tg.grad(tg.jit(f))(w), lambda f: lambda w, v: tg.jit(tg.grad(tg.jit(f)))(w),
             lambda f: lambda w, v: tg.hessian(tg.jit(f))(w), lambda f: lambda w, v: tg.jit(tg.grad(tg.checkpoint(f)))(w)]


def test_backward_inside() -> None:
    def step(w: Any, x: Any) -> Any:
        J = np.sum(tg.relu(w[0:2] @ x)) + np.sum(w[1] ** 2)
        J.backward()
        return J, w - 0.1 * w.grad

    compiled = tg.jit(step)
    for seed in range(3):
        w, x = numbers(3, 3, seed=seed), numbers(3, 3, seed=seed + 4)
        J, new = compiled(w, x)
        wanted, after = step(tg.Tensor(w), x)
        same(J, wanted.value)
        same(new, after.value)


# ---------------------------------------------------------------- whose memory


def test_results_are_the_callers_own() -> None:
    def f(x: Any, y: Any) -> Any:
        z = x @ y
        return z, z.T, z[0], x, x.reshape(-1), z, z + 1, np.broadcast_to(z[0], (5, 3)), x.T

    compiled = tg.jit(f)
    x, y = numbers(3, 3), numbers(3, 3, seed=1)
    kept = []
    for _ in range(3):
        before = x.copy(), y.copy()
        out = compiled(x, y)
        assert np.array_equal(before[0], x) and np.array_equal(before[1], y)
        arrays = [*out, x, y, *[a for o in kept for a in o]]
        for i, a in enumerate(arrays):
            for b in arrays[i + 1 :]:
                assert not np.shares_memory(a, b)
        for a in out:
            a[...] = -1.0  # writable, and nobody else's
        kept.append(compiled(x, y))
    for o in kept:
        for a, w in zip(o, f(tg.Tensor(x), y), strict=True):
            same(a, w.value)


def test_copy_false_lends_the_functions_memory() -> None:
    compiled = tg.jit(lambda x: np.exp(x) * 2, copy=False)
    x = numbers(100)
    compiled(x)
    first = compiled(x)
    same(first, 2 * np.exp(x))
    second = compiled(x + 1)
    assert np.shares_memory(first, second)
    same(second, 2 * np.exp(x + 1))


def test_no_reference_to_arguments_is_kept() -> None:
    class Watched(np.ndarray):
        pass

    compiled = tg.jit(lambda x: np.sum(x * x))
    for _ in range(3):
        x = np.ones(1000)
        reference = weakref.ref(x)
        compiled(x)
        del x
        gc.collect()
        assert reference() is None


# ---------------------------------------------------------------- donated arguments


def adam(params: Any, m: Any, v: Any, t: Any, x: Any) -> Any:
    J, g = tg.value_and_grad(lambda p: np.sum((p["W"] @ x + p["b"]) ** 2))(params)
    m = {k: 0.9 * m[k] + 0.1 * g[k] for k in m}
    v = {k: 0.99 * v[k] + 0.01 * g[k] ** 2 for k in v}
    params = {k: params[k] - 0.01 * (m[k] / (1 - 0.9**t)) / (np.sqrt(v[k] / (1 - 0.99**t)) + 1e-8) for k in params}
    return J, params, m, v


def start() -> Any:
    p = {"W": numbers(2, 3), "b": numbers(2, 1, seed=1)}
    return p, {k: np.zeros_like(a) for k, a in p.items()}, {k: np.zeros_like(a) for k, a in p.items()}


def test_donated_state_of_adam() -> None:
    step = tg.jit(adam, donate=("params", "m", "v"))
    given = start()
    kept = copy.deepcopy(given)
    state, wanted = given, start()
    for t in range(1, 8):
        x = numbers(3, 4, seed=t)
        J, *state = step(*state, float(t), x)
        J2, *wanted = adam(*wanted, float(t), x)
        same(J, J2)
        for a, b in zip(leaves(list(state)), leaves(list(wanted)), strict=True):
            same(a, b)
    for a, b in zip(leaves(list(given)), leaves(list(kept)), strict=True):
        assert np.array_equal(a, b), "what was given is left as it is"
    again = start()
    J3, *_ = step(*again, 1.0, numbers(3, 4, seed=1))
    same(J3, adam(*start(), 1.0, numbers(3, 4, seed=1))[0])


def test_donated_arrays_swapped_or_given_twice() -> None:
    step = tg.jit(lambda a, b: (a + 1, b * 2), donate=("a", "b"))
    a, b = np.zeros(3), np.ones(3)
    a, b = step(a, b)
    a, b = step(a, b)
    same(a, np.full(3, 2.0))
    same(b, np.full(3, 4.0))
    a, b = step(b, a)  # each in the other's place
    same(a, np.full(3, 5.0))
    same(b, np.full(3, 4.0))
    one = np.full(3, 10.0)
    found = [np.array(r) for r in step(one, one)]
    same(found[0], np.full(3, 11.0))
    same(found[1], np.full(3, 20.0))
    a, b = step(np.zeros(3), np.ones(3))
    found = [np.array(r) for r in step(a, a)]
    same(found[0], np.full(3, 2.0))
    same(found[1], np.full(3, 2.0))


def test_donated_results_returned_elsewhere_too() -> None:
    def f(w: Any, x: Any) -> Any:
        new = w - x
        return new, new * 2, new

    step = tg.jit(f, donate="w")
    w = np.ones(3)
    for seed in range(4):
        x = numbers(3, seed=seed)
        expected = np.array(w) - x
        w, twice, also = step(w, x)
        same(w, expected)
        same(twice, 2 * expected)
        same(also, expected)


def test_donated_with_other_shapes_or_without_a_taker() -> None:
    step = tg.jit(lambda w: w * 0.5, donate="w")
    same(step(np.ones(2)), [0.5, 0.5])
    same(step(np.ones((2, 2))), np.full((2, 2), 0.5))
    same(step(np.ones(2)), [0.5, 0.5])
    with pytest.raises(TraceError, match="no part of the result"):
        tg.jit(lambda w: np.sum(w), donate="w")(np.ones(2))
    with pytest.raises(ValueError, match="no argument"):
        tg.jit(lambda w: w, donate="p")(np.ones(2))


# ---------------------------------------------------------------- errors


def test_an_error_in_compiled_code_names_the_users_line() -> None:
    def pick(x: Any, labels: Any) -> Any:
        return tg.cross_entropy(x, labels)

    compiled = tg.jit(pick)
    compiled(numbers(3, 4), np.array([0, 1, 2]))
    with pytest.raises((IndexError, ValueError)) as caught:
        compiled(numbers(3, 4), np.array([0, 1, 9]))
    assert any(entry.name == "pick" for entry in caught.traceback)
    same(compiled(numbers(3, 4), np.array([0, 1, 3])), pick(numbers(3, 4), np.array([0, 1, 3])))


def test_a_singular_matrix_is_refused_as_ever() -> None:
    compiled = tg.jit(lambda A, b: np.linalg.solve(A, b))
    compiled(np.eye(2), np.ones(2))
    with pytest.raises(np.linalg.LinAlgError):
        compiled(np.zeros((2, 2)), np.ones(2))
    same(compiled(2 * np.eye(2), np.ones(2)), np.full(2, 0.5))


def test_negative_labels_and_wrong_places() -> None:
    compiled = tg.jit(tg.value_and_grad(lambda z, y: tg.cross_entropy(z, y)))
    z = numbers(3, 4)
    compiled(z, np.array([0, 1, 2]))
    for wrong in ([0, 1, -1], [0, 1, 4]):
        with pytest.raises((IndexError, ValueError)):
            tg.value_and_grad(lambda z, y: tg.cross_entropy(z, y))(z, np.array(wrong))
        with pytest.raises((IndexError, ValueError)):
            compiled(z, np.array(wrong))


def test_a_mask_that_takes_another_number_of_entries() -> None:
    def f(x: Any, mask: Any) -> Any:
        return np.sum(x[mask] * 2) + np.mean(x[mask])

    compiled = tg.jit(f)
    x = numbers(6)
    for count in (3, 3, 2, 5, 1, 3):
        mask = np.arange(6) < count
        same(compiled(x, mask), f(x, mask))


def test_before_the_first_call() -> None:
    compiled = tg.jit(lambda x: x)
    with pytest.raises(TraceError, match="not been called"):
        compiled.source  # noqa: B018
    with pytest.raises(TypeError, match="function"):
        tg.jit(3.0)
    with pytest.raises(ValueError, match="no pass"):
        tg.jit(lambda x: x, without=("nothing",))


# ---------------------------------------------------------------- the object


def test_copies_and_pickles() -> None:
    compiled = tg.jit(lambda x: x * 2)
    compiled(np.ones(2))
    with pytest.raises(TypeError, match=r"jit.*pickle"):
        pickle.dumps(compiled)
    other = copy.deepcopy(compiled)
    same(other(np.ones(2)), 2 * np.ones(2))
    same(copy.copy(compiled)(np.ones(3)), 2 * np.ones(3))
    assert other.cache_info().currsize >= 0 and compiled.cache_info().currsize == 1


def test_many_threads_call_one_function() -> None:
    def f(w: Any, x: Any) -> Any:
        return np.tanh(w @ x) @ np.ones(50), tg.relu(x).sum()

    compiled = tg.jit(tg.value_and_grad(lambda w, x: sum(map(np.sum, f(w, x)))))
    inputs = [(numbers(40, 60, seed=s), numbers(60, 50, seed=s + 100)) for s in range(8)]
    wanted = [tg.value_and_grad(lambda w, x: sum(map(np.sum, f(w, x))))(*args) for args in inputs]
    wrong: list[Any] = []

    def work(k: int) -> None:
        for i in range(30):
            j = (k + i) % 8
            value, gradient = compiled(*inputs[j])
            if abs(value - wanted[j][0]) > 1e-9 or not np.allclose(gradient, wanted[j][1], rtol=1e-10, atol=1e-10):
                wrong.append((k, j))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_memory_stays_flat() -> None:
    step = tg.jit(lambda w, x: (np.sum(w * x), w - 0.01 * x), donate="w")
    w, x = np.ones(500), numbers(500)
    for _ in range(50):
        _, w = step(w, x)
    tracemalloc.start()
    grown = []
    for _ in range(3):  # what leaks does so every time; other things of the process may allocate once
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(1000):
            _, w = step(w, x)
        grown.append(tracemalloc.get_traced_memory()[0] - before)
    tracemalloc.stop()
    assert min(grown) < 2048


# ---------------------------------------------------------------- the report


def test_the_report_counts_and_measures() -> None:
    step = tg.jit(tg.value_and_grad(lambda W, x: np.sum(np.tanh(W @ x) ** 2)))
    W, x = numbers(60, 40), numbers(40, 30)
    step(W, x)
    plain = step.report()
    assert plain.seconds is None and plain.limit is None and not plain.lines
    assert 2 * 60 * 40 * 30 * 2 <= plain.products < 2.2 * 60 * 40 * 30 * 2 and plain.traffic >= 8 * (60 * 40 * 2 + 40 * 30)
    assert 0 < plain.after <= plain.before and 3 < plain.calls < 20
    assert "NumPy calls per step" in str(plain) and plain._repr_html_().count("<tr>") == 6
    measured = step.report(W, x, profile=True)
    assert measured.seconds is not None and measured.limit is not None and measured.limit > 0  # untimed: cores are shared
    assert any("dot(W" in line.text for line in measured.lines)
    assert measured.seconds > 0 and all(line.seconds > 0 for line in measured.lines)
    assert "/s copied" in str(measured) and "<code>" in measured._repr_html_()
    same(step(W, x)[1], tg.grad(lambda W, x: np.sum(np.tanh(W @ x) ** 2))(W, x))


def test_the_report_draws_arguments_and_refuses_wrong_ones() -> None:
    step = tg.jit(lambda z, y, rng: tg.cross_entropy(z + rng.normal(size=3), y))
    step(numbers(4, 3), np.array([0, 1, 2, 0]), np.random.default_rng(0))
    assert step.report(profile=True).lines
    with pytest.raises(TypeError, match="3 arrays, and 1"):
        step.report(np.ones(2), profile=True)
    alone = tg.jit(lambda a, b: a * b + a)
    alone(1.0, 2.0)
    assert alone.report(profile=True).operations == 2


def test_memory_of_a_mask_reads_what_the_array_holds() -> None:
    """A part of a larger array is reshaped in every step, not once."""
    def f(x: Any) -> Any:
        return np.sum(np.sort(np.hsplit(x, [2])[1], axis=None))

    calls(tg.grad(f), *[(numbers(4, 4, seed=s),) for s in range(3)])
