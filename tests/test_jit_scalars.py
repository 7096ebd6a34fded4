"""Programs of single numbers: Python on floats, loops as loops, and NumPy's results to the last digit."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.program import rounds
from tinygrad_edu.program.jit import jit
from tinygrad_edu.program.numbers import read, short_chains
from tinygrad_edu.program.record import record
from tinygrad_edu.program.rounds import Carried, Each, Fixed, Same, find_rounds
from tinygrad_edu.program.scalars import scalar_code
from tinygrad_edu.rules import pointwise

SPECIAL = (0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -3.25, 709.0, 711.0, -800.0, 1e308, -1e308, 5e-324, math.inf, -math.inf,
           math.nan)


def flat(x: Any) -> list[Any]:
    return [y for item in x for y in flat(item)] if isinstance(x, (tuple, list)) else [x]


def assert_same(found: Any, expected: Any, tolerance: float = 0.0) -> None:
    """Equal to the last bit, or to a relative tolerance; types too."""
    for a, b in zip(flat(found), flat(expected), strict=True):
        assert type(a) is type(b), (type(a), type(b))
        if a != a and b != b:
            continue
        assert a == b or abs(a - b) <= tolerance * max(abs(a), abs(b)), (a, b)
        assert tolerance or np.signbit(a) == np.signbit(b), (a, b)


def quietly(f: Callable[..., Any], *args: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return f(*args)


def compiled(f: Callable[..., Any], *args: Any, without: tuple[str, ...] = ("short_chains",)) -> Any:
    """The compiled f, called once, and checked to be Python on floats."""
    fast = jit(f, without=without)
    quietly(fast, *args)
    assert "map(float" in fast.source or "float(given" in fast.source
    return fast


# ---------------------------------------------------------------- what NumPy gives, for all kinds of numbers

UNARY = ("absolute", "negative", "square", "sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "arcsin", "arccos",
         "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "reciprocal", "erf", "relu", "sigmoid", "softplus",
         "log_sigmoid", "silu", "gelu", "sign", "floor", "ceil", "rint", "cbrt", "exp2", "log2", "log10", "sinc", "degrees")
BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "arctan2", "hypot", "logaddexp", "fmax",
          "fmin", "copysign", "remainder", "floor_divide", "fmod", "heaviside")


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_number_are_those_of_numpy(name: str) -> None:
    f = getattr(tg, name)
    slope = tg.value_and_grad(lambda x: f(x) * 1.5)
    fast = compiled(slope, 0.5)
    for x in SPECIAL:
        assert_same(quietly(fast, x), quietly(slope, x), 1e-15)


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_numbers_are_those_of_numpy(name: str) -> None:
    f = getattr(tg, name)
    slope = tg.value_and_grad(lambda x, y: f(x, y) * 1.5, argnums=(0, 1))
    fast = compiled(slope, 0.5, 0.25)
    for x in SPECIAL:
        for y in SPECIAL:
            found, expected = quietly(fast, x, y), quietly(slope, x, y)
            if name in ("maximum", "minimum") and x == y == 0:
                assert found[0] == expected[0] == 0  # NumPy does not say which zero
                found, expected = found[1], expected[1]
            assert_same(found, expected, 1e-15)


def test_each_spelling_is_used_with_brackets_where_it_must() -> None:
    def f(a: Any, b: Any, c: Any) -> Any:
        return (a - (b - c)) / (a / (b / c)) - -(a - b) * (a + b) ** 2 - (a - -b) * -c + tg.relu(a - b) * tg.where(
            (a > b) & ~(b > c), a, -b) - np.maximum(a, b - c)

    for args in ((1.5, 2.5, 0.75), (-1.0, 0.5, 2.0), (0.1, 0.2, 0.3)):
        assert_same(compiled(f, 1.0, 2.0, 3.0)(*args), f(*map(np.float64, args)))


def test_what_python_refuses_is_what_numpy_gives() -> None:
    f = compiled(lambda x, y: (1 / x + tg.exp(y) + tg.log(y), x / y), 1.0, 1.0)
    with pytest.warns(RuntimeWarning):
        assert_same(f(0.0, 1.0)[0], np.float64(math.inf))
    with pytest.warns(RuntimeWarning):
        assert_same(f(1.0, 1000.0)[0], np.float64(math.inf))
    with pytest.warns(RuntimeWarning):
        assert_same(f(0.0, 0.0)[1], np.float64(math.nan))
    assert_same(f(2.0, 4.0), (np.float64(0.5 + math.exp(4.0) + math.log(4.0)), np.float64(0.5)))


def test_a_gate_that_is_shut_lets_nothing_through() -> None:
    slope = tg.grad(lambda x: tg.relu(x) / x)
    assert_same(compiled(slope, 1.0)(-2.0), slope(-2.0))
    f = tg.grad(lambda x: tg.where(x > 0, tg.sqrt(np.maximum(x, 1e-300)), 0.0))
    assert_same(quietly(compiled(f, 1.0), -1.0), quietly(f, -1.0))


# ---------------------------------------------------------------- what it takes

def test_arguments_may_be_floats_numpy_numbers_and_arrays_of_no_dimension() -> None:
    fast = jit(lambda p: p["a"] * p["b"])
    for a in (3.0, np.float64(3.0), np.array(3.0), tg.Tensor(3.0, requires_grad=False)):
        for _ in range(2):
            assert_same(fast({"a": a, "b": 2.0}), np.float64(6.0))


def test_results_may_be_truth_values_settings_arguments_and_numbers() -> None:
    def f(x: Any, y: Any) -> Any:
        return {"larger": tg.greater(x, y), "x": x, "text": "text", "none": None, "fixed": np.float64(2.0), "both": x + y}

    fast = compiled(f, 1.0, 2.0)
    found = fast(3.0, 2.0)
    assert found["larger"] is np.True_ and found["text"] == "text" and found["none"] is None
    assert_same([found["x"], found["fixed"], found["both"]], [np.float64(3), np.float64(2), np.float64(5)])


def test_many_results_are_numpy_numbers() -> None:
    f = tg.grad(lambda p: sum(i * x * x for i, x in enumerate(p)))
    p = tuple(0.1 * i for i in range(40))
    assert_same(compiled(f, p)(p), f(p))


@pytest.mark.parametrize("x", [np.float32(2.0), np.ones(1), np.array(2.0, np.float32)])
def test_other_programs_take_the_way_of_arrays(x: Any) -> None:
    fast = jit(lambda x: x * x + 1)
    fast(x)
    assert "given" not in fast.source
    assert fast(x).dtype == x.dtype


def test_the_pass_can_be_switched_off() -> None:
    f = tg.value_and_grad(lambda x: tg.sin(x) * x)
    slow = jit(f, without=("scalars",))
    slow(1.0)
    assert "given" not in slow.source
    assert_same(slow(0.7), compiled(f, 1.0)(0.7), 1e-15)


def test_threads_share_the_step() -> None:
    fast = compiled(tg.value_and_grad(lambda x: tg.sin(x * x)), 1.0)
    expected = {x: fast(x) for x in (0.1, 0.2, 0.3, 0.4)}
    wrong = []

    def work(x: float) -> None:
        wrong.extend(1 for _ in range(2000) if fast(x) != expected[x])

    threads = [threading.Thread(target=work, args=(x,)) for x in expected]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_names_of_the_user_are_kept_where_a_value_has_a_line() -> None:
    def f(weight: Any, x: Any) -> Any:
        score = weight * x
        return score * score

    assert "score = weight * x" in compiled(f, 1.0, 2.0).source


# ---------------------------------------------------------------- random programs

def random_function(rng: np.random.Generator, length: int) -> Callable[..., Any]:
    names = ["add", "subtract", "multiply", "divide", "sin", "tanh", "relu", "maximum", "where", "number", "exp"]
    steps = [(str(rng.choice(names)), int(rng.integers(1, 6)), int(rng.integers(1, 6)), float(np.round(rng.normal(), 2)))
             for _ in range(length)]

    def f(*p: Any) -> Any:
        values = list(p)
        for name, i, j, c in steps:
            a, b = values[-min(i, len(values))], values[-min(j, len(values))]
            if name in ("sin", "tanh", "relu"):
                values.append(getattr(tg, name)(a))
            elif name == "exp":
                values.append(tg.exp(-a * a))
            elif name == "number":
                values.append(c * a - c)
            elif name == "where":
                values.append(tg.where(a > b, a, c * b))
            elif name == "divide":
                values.append(a / (b * b + 1.5))
            else:
                values.append(getattr(np, name)(a, b))
        return sum(values[-3:])

    return f


@pytest.mark.parametrize("seed", range(30))
def test_random_programs_are_equal_to_the_last_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    f = tg.value_and_grad(random_function(rng, int(rng.integers(3, 80))), argnums=(0, 1, 2))
    fast = compiled(f, 0.3, -0.7, 1.1)
    default = jit(f)
    for _ in range(3):
        args = tuple(rng.normal(size=3).tolist())
        expected = quietly(f, *args)
        assert_same(quietly(fast, *args), expected)
        assert_same(quietly(default, *args), expected, 1e-12)


def test_long_programs_without_loops() -> None:
    f = tg.value_and_grad(random_function(np.random.default_rng(5), 3000), argnums=(0, 1, 2))
    args = (0.3, -0.7, 1.1)
    assert_same(compiled(f, *args)(*args), f(*args))


# ---------------------------------------------------------------- loops


@pytest.fixture()
def small_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Roll up loops of a few hundred operations, too."""
    monkeypatch.setattr(rounds, "LEAST_OPERATIONS", 256)


def chain(a: Any, b: Any, rounds: int = 300) -> Any:
    y = 0.3
    for _ in range(rounds):
        y = tg.sin(y) * a + b
    return y


@pytest.mark.usefixtures("small_loops")
def test_a_chain_is_a_loop_forward_and_backward() -> None:
    f = tg.value_and_grad(chain, argnums=(0, 1))
    fast = compiled(f, 1.01, 0.01)
    assert fast.source.count("    for ") == 2
    assert " in reversed(" in fast.source and "::-1" not in fast.source  # no copy of the list
    assert_same(fast(0.9, 0.2), f(0.9, 0.2))
    longer = compiled(tg.value_and_grad(lambda a, b: chain(a, b, 900), argnums=(0, 1)), 1.01, 0.01)
    assert abs(len(longer.source.splitlines()) - len(fast.source.splitlines())) < 8


def test_long_loops_are_rolled_up_and_short_ones_are_not() -> None:
    assert "    for " not in compiled(tg.grad(lambda a: chain(a, 0.1, 100)), 1.0).source
    assert "    for " in compiled(tg.grad(lambda a: chain(a, 0.1, 2000)), 1.0).source


@pytest.mark.usefixtures("small_loops")
def test_short_chains_move_the_last_digit_at_most() -> None:
    f = tg.value_and_grad(chain, argnums=(0, 1))
    assert_same(compiled(f, 1.01, 0.01, without=())(0.9, 0.2), f(0.9, 0.2), 1e-12)


def test_a_product_waits_for_its_last_factor_only() -> None:
    program = record(tg.grad(chain), (1.01, 0.01), {}).program
    nodes = read(program)
    assert nodes is not None
    shorter = short_chains(nodes)

    def waits(n: Any) -> int:
        level = [0] * len(n.kinds)
        for i, operands in enumerate(n.operands):
            level[i] = 1 + max([level[a] for a in operands if a >= 0], default=0)
        return max(level)

    assert waits(shorter) < waits(nodes)


LOOPS: dict[str, Callable[..., Any]] = {}


def loop(f: Callable[..., Any]) -> Callable[..., Any]:
    LOOPS[f.__name__] = f
    return f


@loop
def several_values(a: Any, b: Any, c: Any) -> Any:
    x, y, z = a, b, c
    for _ in range(120):
        x, y, z = tg.tanh(x * a + y), tg.sin(y - z * 0.5), z * 0.9 + x
    return x + y * z


@loop
def two_rounds_back(a: Any, b: Any, c: Any) -> Any:
    x, y = a, b
    for _ in range(200):
        x, y = y, tg.sin(0.5 * y + 0.3 * x + c)
    return y


@loop
def three_rounds_back(a: Any, b: Any, c: Any) -> Any:
    x, y, z = a, b, c
    for _ in range(200):
        x, y, z = y, z, tg.sin(0.5 * z + 0.3 * x * y)
    return z


@loop
def data_in_every_round(a: Any, b: Any, c: Any) -> Any:
    data = np.random.default_rng(0).normal(size=(150, 2)).tolist()
    total = 0.0
    for u, v in data:
        total = total + tg.softplus(-(a * u + b * v + c))
    return total / 150


@loop
def two_loops_one_after_another(a: Any, b: Any, c: Any) -> Any:
    x = a
    for _ in range(100):
        x = tg.tanh(x * b + c)
    y = x * a
    for _ in range(100):
        y = y / (1 + y * y) + c * x
    return y - x


@loop
def what_was_kept_is_read_forwards(a: Any, b: Any, c: Any) -> Any:
    kept, x = [], a
    for _ in range(100):
        x = tg.sin(x) + b
        kept.append(x)
    y = c
    for k in kept:
        y = tg.tanh(y + k)
    return y + kept[7] * kept[-2] + sum(k * k for k in kept[::2])


@loop
def the_start_is_kept_too(a: Any, b: Any, c: Any) -> Any:
    kept = [a]
    for _ in range(100):
        kept.append(tg.sin(kept[-1]) + b)
    y = c
    for k in kept:
        y = tg.tanh(y + k)
    for k in kept[::-1]:
        y = tg.sin(y * k)
    return y + kept[0] * kept[1]


@loop
def loop_in_a_loop(a: Any, b: Any, c: Any) -> Any:
    x = a
    for _ in range(40):
        h = x
        for _ in range(6):
            h = tg.sin(h * b) + c
        x = x - 0.1 * h
    return x


@loop
def newton_with_a_gate(a: Any, b: Any, c: Any) -> Any:
    x = a + 1.5
    for _ in range(80):
        x = np.maximum(0.5 * (x + (b * b + 1.0) / x), 0.01) - tg.relu(c * 0.001)
    return x


@loop
def sums_of_squares(a: Any, b: Any, c: Any) -> Any:
    return sum((a * i + b) ** 2 * c for i in range(90)) + tg.exp(-a * a)


@loop
def a_round_that_differs_in_the_middle(a: Any, b: Any, c: Any) -> Any:
    x = a
    for i in range(160):
        x = tg.sin(x) * b + c
        if i == 80:
            x = tg.exp(-x * x)
    return x


@pytest.mark.usefixtures("small_loops")
@pytest.mark.parametrize("name", LOOPS)
def test_loops_are_printed_as_loops(name: str) -> None:
    f = tg.value_and_grad(LOOPS[name], argnums=(0, 1, 2))
    fast = compiled(f, 0.3, -0.7, 0.9)
    straight = compiled(f, 0.3, -0.7, 0.9, without=("loops", "short_chains"))
    assert "    for " in fast.source and "    for " not in straight.source
    for args in ((0.3, -0.7, 0.9), (-1.0, 0.2, 0.4), (0.1, 1.3, -0.6)):
        expected = f(*args)
        assert_same(fast(*args), expected)
        assert_same(straight(*args), expected)
        assert_same(compiled(f, *args, without=())(*args), expected, 1e-12)


@pytest.mark.usefixtures("small_loops")
@pytest.mark.parametrize("seed", [*range(60), 183])
def test_random_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    width, rounds = int(rng.integers(1, 5)), int(rng.integers(18, 70))
    body = [(str(rng.choice(["sin", "tanh", "add", "multiply", "maximum", "data", "relu", "swap", "earlier"])),
             int(rng.integers(width)), int(rng.integers(width)), int(rng.integers(width)), int(rng.integers(1, 5)))
            for _ in range(int(rng.integers(2, 12)))]
    data = np.round(rng.normal(size=rounds), 3).tolist()
    odd = set(rng.integers(0, rounds, int(rng.integers(0, 2))).tolist())

    def f(*p: Any) -> Any:
        values = list(p[:width])
        history = [list(values)]
        for r in range(rounds):
            for name, i, j, k, lag in body:
                a, b = values[i], values[j]
                if name in ("sin", "tanh", "relu"):
                    values[k] = getattr(tg, name)(a + 0.1)
                elif name == "data":
                    values[k] = 0.7 * a + data[r]
                elif name == "swap":
                    values[i], values[j] = values[j], values[i]
                elif name == "earlier":
                    values[k] = tg.tanh(a - history[max(0, len(history) - lag)][j])
                elif name == "multiply":
                    values[k] = tg.tanh(a * b) * p[0]
                else:
                    values[k] = getattr(np, name)(a, b) * 0.5
            if r in odd:
                values[0] = tg.cos(values[0])
            history.append(list(values))
        return sum(values) + history[rounds // 2][0] * history[3][-1] + p[0]

    g = tg.value_and_grad(f, argnums=tuple(range(width)))
    args = tuple(rng.normal(size=width).tolist())
    fast = compiled(g, *args)
    default = jit(g)
    for _ in range(2):
        args = tuple(rng.normal(size=width).tolist())
        expected = quietly(g, *args)
        assert_same(quietly(fast, *args), expected)
        assert_same(quietly(default, *args), expected, 1e-10)


@pytest.mark.usefixtures("small_loops")
def test_loops_go_where_python_raises() -> None:
    f = tg.value_and_grad(lambda a: chain(a, 0.1) / (a - 2.0))
    fast = compiled(f, 1.0)
    assert_same(quietly(fast, 2.0), quietly(f, 2.0))
    assert_same(quietly(fast, math.inf), quietly(f, math.inf))


@pytest.mark.usefixtures("small_loops")
def test_rounds_by_hand() -> None:
    """y = y·a + d[r], with two inputs and a literal of its own in each round."""
    operands: list[tuple[int, ...]] = [(), ()]
    last = 1
    for r in range(200):
        operands += [(last, 0), (len(operands), ~r)]
        last = len(operands) - 1
    (same,) = find_rounds(operands, [7, 7, *[8, 9] * 200], 2)
    found = same[0]
    assert (found.start, found.period, found.count) == (2, 2, 200)
    assert found.reads[0] == (Carried(1, (1,)), Fixed(0))
    assert found.reads[1] == (Same(0), Each(tuple(~r for r in range(200))))


@pytest.mark.usefixtures("small_loops")
def test_no_rounds_where_nothing_repeats() -> None:
    rng = np.random.default_rng(0)
    operands = [(), *[(int(rng.integers(0, i)), int(rng.integers(0, i))) for i in range(1, 2000)]]
    assert find_rounds(operands, [0, *rng.integers(1, 9, 1999).tolist()], 1) == []


@pytest.mark.usefixtures("small_loops")
def test_rounds_are_found_in_about_linear_time() -> None:
    """Far apart in kind, so that every candidate is looked at and refused: still done at once."""
    rng = np.random.default_rng(1)
    operands = [(), *[(int(rng.integers(0, i)),) for i in range(1, 60_000)]]
    assert find_rounds(operands, [0, *[1] * 59_999], 1) == []


# ---------------------------------------------------------------- recording

def test_constants_made_from_values_stay_values() -> None:
    """The slope of maximum is a constant Tensor for the engine, and depends on the arguments all the same."""
    slope = tg.grad(lambda w: np.maximum(2 * w, tg.sin(2 * w)) + w)
    fast = compiled(slope, 1.0)
    for w in (1.0, -1.0, 0.4):
        assert_same(fast(w), slope(w))


def test_a_list_of_arrays_without_dimension_is_no_list_of_numbers() -> None:
    fast = jit(tg.value_and_grad(lambda p: p[0] * p[1]))
    p = [np.array(2.0), np.array(3.0)]
    for _ in range(2):
        value, slopes = fast(p)
        assert value == 6.0 and slopes == [3.0, 2.0]


def test_primitives_without_a_spelling_are_called() -> None:
    assert pointwise.sinc.scalar is None
    f = tg.value_and_grad(lambda x: tg.sinc(x) + tg.cbrt(x))
    assert_same(compiled(f, 0.3)(0.7), f(0.7))


def test_scalar_code_refuses_arrays() -> None:
    program = record(lambda x: np.sum(x * 2), (np.ones(3),), {}).program
    assert scalar_code(program) is None
