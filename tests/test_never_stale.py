"""What a recording would freeze is refused, with the line and what to write instead; the rest follows its arguments."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import TraceError, UnsupportedError

V, Y = np.arange(1.0, 5.0), np.array([0, 1, 2, 1])
OTHERS = [np.array([2, 0, 1, 0]), np.array([1, 2, 0, 0]), np.array([2, 1, 2, 2])]


def agrees_or_refuses(f: Any, first: tuple[Any, ...], *others: tuple[Any, ...]) -> bool:
    """Whether f compiles; then later calls give what f gives."""
    compiled = tg.jit(f)
    try:
        compiled(*first)
    except (TraceError, UnsupportedError):
        return False
    for args in (*others, first):
        np.testing.assert_allclose(compiled(*args), f(*args), rtol=1e-12)
    return True


# ---------------------------------------------------------------- texts

@pytest.mark.parametrize("f", [
    lambda y: y * len(repr(y)), lambda y: y * len(str(y)), lambda y: y * len(f"{y}"), lambda y: y * len("%s" % y),  # noqa: UP031
    lambda y: y * len(f"{y[1]}"), lambda y: y * len(np.array2string(y)), lambda y: y * len(np.array_repr(y)),
    lambda y: y * int(str(y[1])), lambda y: y * len(f"{y[1]:d}"),
], ids=["repr", "str", "f-string", "percent", "entry", "array2string", "array_repr", "number", "format"])
@pytest.mark.parametrize("dtype", [int, float])
def test_a_text_of_numbers_is_refused(f: Any, dtype: Any) -> None:
    with pytest.raises((UnsupportedError, ValueError), match=r"line \d+|format"):  # ValueError: {:d} of a float
        tg.jit(f)(Y.astype(dtype))


def test_printing_and_logging_is_no_text_of_the_function(capsys: Any, caplog: Any) -> None:
    @tg.jit
    def f(v: Any, y: Any) -> Any:
        print(v, y)
        print(f"sum {np.sum(v):.1f} of {y[0]}",
              np.sum(v))
        logging.getLogger("never_stale").warning("v is %s, %s", v, y)
        return np.sum(v * y)

    assert f(V, Y) == np.sum(V * Y) and f(2 * V, Y) == 2 * np.sum(V * Y)
    assert "[1. 2. 3. 4.] [0 1 2 1]" in capsys.readouterr().out and "v is" in caplog.text


# ---------------------------------------------------------------- integers that an array decides

@pytest.mark.parametrize("f", [
    lambda v, y: np.repeat(v, y[1]), lambda v, y: np.split(v, [y[1]])[0].sum(),
    lambda v, y: v * np.take(np.arange(5.0), y[1]),
    lambda v, y: v * np.asarray(y)[1], lambda v, y: v * np.array(y)[1], lambda v, y: v * y.flat[1],
    lambda v, y: v * y.tobytes()[8], lambda v, y: v * np.full(4, y[1]),
    lambda v, y: np.round(v * 1.2345, y[1]), lambda v, y: np.pad(v, y[1]),
    lambda v, y: v * [1.0, 2.0, 3.0, 4.0][y[1]], lambda v, y: v * bytes(y)[8], lambda v, y: v * next(np.nditer(y[1:])),
    lambda v, y: np.roll(v, y[1]), lambda v, y: np.tile(v, y[1]), lambda v, y: np.zeros(y.max() + 1) + v[0],
], ids=["repeat", "split", "take", "asarray", "array", "flat", "tobytes", "full", "round", "pad", "list", "bytes", "nditer",
        "roll", "tile", "zeros"])
@pytest.mark.parametrize("y", [Y, np.zeros(4, int), np.full(4, 2), np.array([1, 0, 0, 1])])
def test_an_entry_of_an_integer_array_is_never_frozen(f: Any, y: Any) -> None:
    agrees_or_refuses(f, (V, y), *[(V, other) for other in OTHERS])


def test_the_rank_of_a_least_squares_problem_is_never_frozen() -> None:
    compiled = tg.jit(lambda a, b: tg.linalg.lstsq(a, b)[1:3])
    a, b = np.random.default_rng(0).normal(size=(5, 2)), np.arange(5.0)
    for data in (a, a[:, :1] * np.ones(2), a + 1):
        residuals, rank = compiled(data, b)
        wanted = np.linalg.lstsq(data, b, rcond=None)
        assert rank == wanted[2] and np.allclose(residuals, wanted[1])


# ---------------------------------------------------------------- lists and tuples of numbers

def test_lists_of_integers_are_settings_and_of_floats_arrays() -> None:
    f = tg.jit(lambda v, y: v[y] * len(y))
    for y in ([0, 1], [1, 1], [True, False, True, False], [0, 1, 2], [0], [1], [np.int64(1)], [1]):
        np.testing.assert_array_equal(f(V, y), V[y] * len(y))
    scaled = tg.jit(lambda v, y: v[:2] * np.asarray(2.0) * y)
    for values in ([0.5, 1], [1.5, 2], [2.5, 1.0]):
        np.testing.assert_array_equal(scaled(V, values), V[:2] * 2 * np.array(values))
    assert tg.jit(lambda v, y: v[list(y)])(V, (0, 1)).tolist() == [1.0, 2.0]
    pairs = tg.jit(lambda v, y: v * y[0] + y[1])
    for pair in ((1, 2.0), (1, 3.0), (2, 3.0), (True, 3.0), (1.0, 3)):
        np.testing.assert_array_equal(pairs(V, pair), V * pair[0] + pair[1])
    slope = tg.jit(tg.grad(lambda v: np.sum(np.square(v))))
    for numbers in ([1, 2, 3], [2, 2, 3], [1.0, 2, 3], [2.0, 5, 5]):
        np.testing.assert_array_equal(slope(numbers), 2.0 * np.array(numbers))
    tables = tg.jit(lambda v, y: np.sum(v) + np.sum(y))
    for table in ([[1, 2], [3, 4]], [[1, 2], [3, 5]], [[1.0, 2], [3, 4]], [[1.0, 2.5], [3, 4]]):
        assert tables(V, table) == 10 + np.sum(table)


def test_an_array_is_a_tensor_inside_as_under_grad() -> None:
    """What docs/jit.md says of isinstance and type."""
    seen: list[Any] = []
    f = tg.jit(lambda v, y, c: [seen.append((type(v), isinstance(y, np.ndarray), type(c))), v * y * c][1])
    f(V, Y, 2.0)
    assert seen[0] == (tg.Tensor, True, tg.Tensor)
    np.testing.assert_array_equal(tg.jit(lambda v: 2 * v if isinstance(v, tg.Tensor) else 3 * v)(V), 2 * V)


# ---------------------------------------------------------------- what a function does besides returning

MODEL = tg.nn.Linear(4, 1, rng=0)
OPTIMIZER = tg.optim.SGD(MODEL.parameters(), 0.1)


def stepping(x: Any) -> Any:
    OPTIMIZER.zero_grad()
    J = np.sum(MODEL(x) ** 2)
    J.backward()
    OPTIMIZER.step()
    return J


def assigning(x: Any) -> Any:
    J = np.sum(MODEL(x) ** 2)
    J.backward()
    MODEL.weight.data -= 0.1 * MODEL.weight.grad
    MODEL.zero_grad()
    return J


def leaving_gradients(x: Any) -> Any:
    MODEL.zero_grad()
    J = np.sum(MODEL(x) ** 2)
    J.backward()
    return J


@pytest.mark.parametrize(("f", "says"), [(stepping, "data of m.weight"), (assigning, "data of m.weight"),
                                         (leaving_gradients, "backward")], ids=["opt.step", "data", "backward"])
def test_training_a_model_inside_says_what_to_write(f: Any, says: str) -> None:
    state = {k: np.array(x) for k, x in MODEL.state_dict().items()}
    with pytest.raises(TraceError, match=r"value_and_grad.*opt\.step\(\).*donate") as info:
        tg.jit(f)(np.ones((2, 4)))
    assert says.split()[0] in str(info.value)
    MODEL.load_state_dict(state)
    MODEL.zero_grad()


@pytest.mark.parametrize("change", ["w", "namespace", "list", "model", "in place", "optimiser"])
def test_new_data_for_a_tensor_from_outside_is_refused_though_no_result_needs_it(change: str) -> None:
    w, model = tg.Tensor(np.ones(4), name="w"), tg.nn.Linear(4, 2)
    space, several, opt = SimpleNamespace(w=w), [w], tg.optim.SGD([w], 0.1)

    def f(v: Any) -> Any:
        if change == "w":
            w.data = w.value * 2
        elif change == "namespace":
            space.w.data = space.w.value * 2
        elif change == "list":
            several[0].data = several[0].value * 2
        elif change == "model":
            model.weight.data = model.weight.value * 2
        elif change == "in place":
            w.data -= 1.0
        else:
            np.sum(w * w).backward()
            opt.step()
        return v * 3

    with pytest.raises(TraceError, match="changes the data of"):
        tg.jit(f)(V)


def test_a_tensor_made_inside_may_be_given_new_data() -> None:
    def f(v: Any) -> Any:
        t = tg.Tensor(np.ones(4))
        t.data = t.value * 2
        return v * t

    np.testing.assert_array_equal(tg.jit(f)(V), 2 * V)


def changed_dict(params: Any) -> Any:
    params["w"] = params["w"] - 0.1
    return np.sum(params["w"])


def changed_list(items: Any) -> Any:
    items.append(1)
    return items[0] * len(items)


def nothing(w: Any) -> None:
    w -= 0.1


@pytest.mark.parametrize(("f", "given"), [(changed_dict, {"w": V}), (changed_list, [V]), (changed_list, [1, 2]), (nothing, V)],
                         ids=["dict", "list", "list of numbers", "None"])
def test_a_change_of_an_argument_is_refused(f: Any, given: Any) -> None:
    with pytest.raises(TraceError, match=r"changes a (dict|list)|returns None"):
        tg.jit(f)(given)


def test_a_changed_dict_may_be_returned_and_draws_alone_are_fine() -> None:
    def step(params: Any) -> Any:
        params["w"] = params["w"] * 2
        return params

    compiled = tg.jit(step)
    for w in (V, V + 1):
        assert np.array_equal(compiled({"w": w})["w"], 2 * w)
    skip, rng, same = tg.jit(lambda rng: [rng.normal(size=3), None][1]), np.random.default_rng(0), np.random.default_rng(0)
    for _ in range(3):
        assert skip(rng) is None
        same.normal(size=3)
    assert rng.normal() == same.normal()


def int_or(v: Any) -> Any:
    try:
        k = int(v[0])
    except Exception:
        k = 7
    return v * k


def float_or(v: Any) -> Any:
    try:
        k = float(v[0])
    except TypeError:
        k = 7
    return v * k


def branch_or(v: Any) -> Any:
    try:
        if v[0] > 0:
            return v
    except Exception:
        pass
    return 7 * v


@pytest.mark.parametrize("f", [int_or, float_or, branch_or])
@pytest.mark.parametrize("dtype", [int, float])
def test_a_refusal_that_is_caught_is_raised_all_the_same(f: Any, dtype: Any) -> None:
    with pytest.raises(UnsupportedError, match=rf"{f.__name__}, line \d+: (k = |if v)"):
        tg.jit(f)(V.astype(dtype))


@pytest.mark.parametrize("f", [
    lambda v, y: np.zeros(y.max() + 1) + v[0], lambda v, y: np.roll(v, y[0]), lambda v, y: np.tile(v, y[0]),
    lambda v, y: np.ones((y[0], 2)),
], ids=["zeros", "roll", "tile", "ones"])
def test_a_size_that_depends_on_an_argument_names_the_line(f: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"<lambda>, line \d+: "):
        tg.jit(f)(V, Y)


def test_other_refusals_say_what_to_write() -> None:
    with pytest.raises(TraceError, match=r"tg\.one_hot\(labels, classes\)"):
        tg.jit(lambda v, y: np.eye(3)[y].T @ v)(V, Y)
    with pytest.raises(AttributeError, match=r"np\.floor"):
        tg.jit(lambda x: x if x.is_integer() else -x)(2.0)
