"""Loops: sums of slices' gradients, sums of products, and operations that are alike, in one call each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.containers import flatten
from tinygrad_edu.program import Line, Name, Program
from tinygrad_edu.program.alike import batch_alike, whole_again
from tinygrad_edu.program.known import known_first, place_products
from tinygrad_edu.program.places import ADD_AT, COPY, PLACE
from tinygrad_edu.program.products import copied_weights, flat_products, join_products
from tinygrad_edu.program.program import Input
from tinygrad_edu.program.puts import gather_puts
from tinygrad_edu.rules.indexing import getitem
from tinygrad_edu.rules.pointwise import add, exp, multiply, sin
from tinygrad_edu.rules.products import matmul
from tinygrad_edu.rules.shapes import transpose

NAMES = ("gather_puts", "known_first", "place_products", "join_products", "batch_alike", "whole_again", "flat_products",
         "copied_weights")
rng = np.random.default_rng(0)


def close(found: Any, wanted: Any, tolerance: float = 1e-11) -> None:
    for x, y in zip(flatten(found)[0], flatten(wanted)[0], strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert x.shape == y.shape and x.dtype == y.dtype
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance * max(1, np.abs(y).max(initial=0)))


def compare(f: Callable[..., Any], *args: Any, without: Any = NAMES) -> Program:
    """f compiled, and with each of these passes left out, on its arguments and on others."""
    others = [x * 0.7 if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in args]
    wanted, also = f(*args), f(*others)
    for names in [*[(name,) for name in without], tuple(without), ()]:
        step = tg.jit(f, without=names)
        step(*args)
        close(step(*args), wanted)
        close(step(*others), also)
    return step.program


def count(program: Program, name: str) -> int:
    return sum(line.op.name == name for line in program.lines)


# ---------------------------------------------------------------- programs made by hand

def made(op: Any, name: str, *operands: Any, shape: tuple[int, ...] = (3,), dtype: Any = np.float64, **params: Any) -> Line:
    return Line(Name(name), op, tuple(Name(x) if isinstance(x, str) else x for x in operands), params, shape, np.dtype(dtype))


def program_of(inputs: dict[str, Any], *lines: Line, out: tuple[str, ...] = ("y",)) -> Program:
    held = tuple(Input(Name(name), np.shape(x), np.asarray(x).dtype) for name, x in inputs.items())
    return Program("f", held, {}, lines, {name: Name(name) for name in out})


def keeps(step: Callable[[Program], Program], program: Program, inputs: dict[str, Any]) -> Program:
    """A pass keeps a program's results, and every name is made before it is read."""
    after = step(program)
    known = {str(x.name) for x in after.inputs} | {str(name) for name in after.constants}
    for line in after.lines:
        assert set(map(str, line.uses())) <= known, f"{line} reads what is not there yet:\n{after}"
        known.add(str(line.name))
    close(list(after.run(*inputs.values()).values()), list(program.run(*inputs.values()).values()))
    return after


# ---------------------------------------------------------------- gather_puts

def slices_of(indices: Any, shape: tuple[int, ...]) -> tuple[Callable[..., Any], Any]:
    return tg.grad(lambda x: sum(np.sum(np.sin(x[i]) * (k + 1)) for k, i in enumerate(indices))), rng.normal(size=shape)


@pytest.mark.parametrize(("indices", "shape"), [
    ([0, 1, 2], (3, 2)),
    ([2, 0, 1], (3, 2)),
    ([0, 2], (3, 2)),
    ([-1, 0], (3, 2)),
    ([slice(0, 2), slice(2, 5)], (5,)),
    ([slice(2, 5), slice(0, 2)], (5, 2)),
    ([slice(0, None, 2), slice(1, None, 2)], (5,)),
    ([(slice(None), 0), (slice(None), 1)], (3, 2)),
    ([(slice(0, 2), 1), (slice(1, 3), 0)], (3, 2)),
    ([(0, 0), (1, 1), (2, 0)], (3, 2)),
    ([(Ellipsis, 0), (Ellipsis, 1)], (2, 3, 2)),
    ([(None, 0), (None, 1)], (2, 3)),
    ([slice(None, None, -1), slice(0, 0)], (4,)),
], ids=str)
def test_slices_apart_are_written_side_by_side(indices: Any, shape: tuple[int, ...]) -> None:
    f, x = slices_of(indices, shape)
    program = compare(f, x)
    assert not any(line.op.name == "put" for line in program.lines)
    assert count(program, "place") <= 1


@pytest.mark.parametrize(("indices", "shape"), [
    ([0, 0, 1], (3, 2)),
    ([slice(0, 3), slice(2, 5)], (5,)),
    ([0, slice(None), 1], (3, 2)),
    ([0, -3], (3, 2)),
    ([(0, slice(None)), (slice(None), 0)], (3, 2)),
    ([slice(None), slice(None), slice(None)], (4,)),
], ids=str)
def test_slices_that_overlap_are_added(indices: Any, shape: tuple[int, ...]) -> None:
    f, x = slices_of(indices, shape)
    program = compare(f, x)
    assert count(program, "add_at") + count(program, "add") >= 1


@pytest.mark.parametrize("index", [np.array([0, 0, 2]), np.array([True, False, True]), [0, 1]],
                         ids=["repeated", "mask", "list"])
def test_places_that_are_arrays_are_left_alone(index: Any) -> None:
    compare(tg.grad(lambda x: np.sum(np.sin(x[index])) + np.sum(x[0] * x[1])), rng.normal(size=(3, 2)))


def test_a_put_that_is_used_twice_or_returned() -> None:
    def f(x: Any) -> Any:
        g = tg.grad(lambda x: np.sum(np.sin(x[0])))(x)
        h = tg.grad(lambda x: np.sum(np.cos(x[1])))(x)
        return g, g + h, (g + h) + g

    compare(f, rng.normal(size=(3, 2)))


def test_a_put_beside_other_terms() -> None:
    def f(x: Any, b: Any) -> Any:
        return tg.grad(lambda x: np.sum(np.sin(x[0])) + np.sum(x * x) + np.sum(np.sin(x[1]) * 2))(x) + b

    x = rng.normal(size=(3, 2))
    compare(f, x, rng.normal(size=(3, 2)))
    compare(f, x, rng.normal(size=2))  # the sum spreads b
    compare(f, x, 0.5)


# ---------------------------------------------------------------- join_products

def factors(n: int = 4, t: int = 5) -> dict[str, Any]:
    return {"a": rng.normal(size=(t, n, 3)), "g": rng.normal(size=(t, n, 2))}


def products(order: Any, extra: tuple[Line, ...] = (), dtypes: Any = None) -> Program:
    lines: list[Line] = []
    total = None
    for t in order:
        lines += [made(getitem, f"a{t}", "a", shape=(4, 3), index=t), made(transpose, f"t{t}", f"a{t}", shape=(3, 4)),
                  made(getitem, f"g{t}", "g", shape=(4, 2), index=t), made(matmul, f"p{t}", f"t{t}", f"g{t}", shape=(3, 2))]
        if total is not None:
            lines.append(made(add, f"s{t}", total, f"p{t}", shape=(3, 2)))
        total = lines[-1].name
    return program_of(factors(), *lines, made(multiply, "y", total, 2.0, shape=(3, 2)))


@pytest.mark.parametrize("order", [range(5), range(4, -1, -1), [0, 2, 4], [3, 1, 4, 0, 2], [1, 2, 3]], ids=str)
def test_a_sum_of_products_is_one(order: Any) -> None:
    after = keeps(join_products, products(order), factors())
    assert any(line.op is matmul and line.operands[0].startswith("tall") for line in after.lines)


def test_two_products_stay_two() -> None:
    program = products([0, 1])
    assert join_products(program) is program


def test_a_product_used_elsewhere_is_not_joined() -> None:
    program = products(range(5))
    for used in ("p0", "p3"):
        other = Program("f", program.inputs, {}, program.lines, program.outputs | {used: Name(used)})
        keeps(join_products, other, factors())


def test_factors_that_come_twice() -> None:
    program = products([0, 1, 2])
    lines = tuple(made(getitem, "a2", "a", shape=(4, 3), index=1) if line.name == "a2" else line for line in program.lines)
    keeps(join_products, Program("f", program.inputs, {}, lines, program.outputs), factors())
    lines = tuple(made(transpose, "t2", "a1", shape=(3, 4)) if line.name == "t2" else line for line in program.lines)
    keeps(join_products, Program("f", program.inputs, {}, lines, program.outputs), factors())


def test_an_array_that_holds_the_factors_but_is_made_too_late() -> None:
    """What lies side by side in an array is no use to a sum that is needed before that array is there."""
    lines: list[Line] = []
    for t in range(3):
        lines += [made(exp, f"a{t}", f"x{t}", shape=(4, 3)), made(transpose, f"t{t}", f"a{t}", shape=(3, 4)),
                  made(matmul, f"p{t}", f"t{t}", f"g{t}", shape=(3, 2))]
    lines += [made(add, "s1", "p0", "p1", shape=(3, 2)), made(add, "s2", "s1", "p2", shape=(3, 2)),
              made(exp, "z", "s2", shape=(3, 2)), made(matmul, "w", "g0", "g1t", shape=(4, 4)),
              made(matmul, "v", "w", "a0", shape=(4, 3)),
              Line(Name("held"), PLACE, tuple(Name(f"a{t}") for t in range(3)),
                   {"indices": (0, 1, 2), "shape": (3, 4, 3)}, (3, 4, 3))]
    inputs = {f"x{t}": rng.normal(size=(4, 3)) for t in range(3)} | {f"g{t}": rng.normal(size=(4, 2)) for t in range(3)}
    inputs["g1t"] = rng.normal(size=(2, 4))
    keeps(join_products, program_of(inputs, *lines, out=("z", "v", "held")), inputs)


def test_factors_of_two_precisions_are_not_stacked() -> None:
    def cost(w: Any, xs: Any) -> Any:
        return sum(np.sum(np.tanh(x @ w)) for x in xs)

    xs = [rng.normal(size=(4, 3)).astype(np.float32 if t % 2 else np.float64) for t in range(6)]
    compare(lambda w, *xs: tg.grad(cost)(w, xs), rng.normal(size=(3, 2)), *xs)


# ---------------------------------------------------------------- batch_alike

STEPS = 4


@pytest.mark.parametrize(("f", "args"), [
    (lambda x: sum(np.sum(np.tanh(x[t])) for t in range(STEPS)), [(4, 3)]),
    (lambda x: sum(np.sum(np.tanh(x[t])) for t in (3, 1, 2, 0)), [(4, 3)]),
    (lambda x: sum(np.sum(np.tanh(x[2 * t + 1]) * (t + 1)) for t in range(STEPS)), [(9, 3)]),
    (lambda x: sum(np.sum(np.tanh(x[:, t])) for t in range(STEPS)), [(3, 4)]),
    (lambda x: sum(np.sum(np.tanh(x[:, 1, t])) for t in range(STEPS)), [(3, 2, 4)]),
    (lambda x: sum(np.sum(np.tanh(x[1:, t, ::2])) for t in range(STEPS)), [(3, 4, 5)]),
    (lambda x: sum(np.sum(np.tanh(x[-1 - t])) for t in range(STEPS)), [(4, 3)]),
    (lambda x: sum(np.sum(np.tanh(x[t : t + 2])) for t in range(STEPS)), [(6, 3)]),
    (lambda x, c: sum(np.sum(np.tanh(x[t] * c[t])) for t in range(STEPS)), [(4, 4), (4,)]),
    (lambda x, c: sum(np.sum(np.tanh(x[t] * c[t])) for t in range(STEPS)), [(4, 4, 2), (4,)]),
    (lambda x, b: sum(np.sum(np.tanh(x[t] + b[t])) for t in range(STEPS)), [(4, 4, 3), (4, 3)]),
    (lambda x, b: sum(np.sum(np.tanh(b[t] - x[t])) for t in range(STEPS)), [(4, 1, 3), (4, 3)]),
    (lambda x, b: sum(np.sum(np.tanh(x[t] + b)) for t in range(STEPS)), [(4, 4, 3), (3,)]),
    (lambda x, b: sum(np.sum(np.tanh(x[t] + b)) for t in range(STEPS)), [(4, 3), (4, 3)]),
    (lambda x, b: sum(np.sum(np.tanh(x[t] + b[t])) for t in range(STEPS)), [(4, 2, 1), (4, 1, 3)]),
    (lambda x, w: sum(np.sum(np.tanh(w @ x[t])) for t in range(STEPS)), [(4, 4), (4, 4)]),
    (lambda x, w: sum(np.sum(np.tanh(w[t] @ x[t])) for t in range(STEPS)), [(4, 3), (4, 3, 3)]),
    (lambda x, w: sum(np.sum(np.tanh(w[t] @ x)) for t in range(STEPS)), [(3,), (4, 3, 3)]),
    (lambda x, w: sum(np.sum(np.tanh(x[t] @ w)) for t in range(STEPS)), [(4, 5, 3), (3, 2)]),
    (lambda x: sum(np.sum(np.tanh(x[t]) * np.tanh(x[0])) for t in range(STEPS)), [(4, 3)]),
    (lambda x: np.sum(np.tanh(x[0])) + np.sum(np.tanh(x[0] * np.tanh(x[1]))) + np.sum(np.tanh(x[2])), [(4, 3)]),
    (lambda x: [np.tanh(x[t]) for t in range(STEPS)], [(4, 3)]),
    (lambda x: np.stack([np.tanh(x[t]) for t in range(STEPS)]), [(4, 3)]),
    (lambda x: np.stack([np.tanh(x[t]) for t in range(STEPS)], axis=1), [(4, 3)]),
    (lambda x: sum(np.sum(np.tanh(x[t])) for t in range(STEPS)), [(4, 0)]),
    (lambda x: sum(np.sum(np.tanh(x[t])) for t in range(STEPS)), [(4, 1)]),
    (lambda x: sum(np.sum(np.tanh(x[t] * 2.0 ** t)) for t in range(STEPS)), [(4, 3)]),
], ids=lambda value: str(value) if isinstance(value, list) else "loop")
def test_alike_in_a_loop(f: Callable[..., Any], args: Any) -> None:
    arrays = [rng.normal(size=shape) for shape in args]
    compare(f, *arrays, without=("batch_alike",))
    if not isinstance(f(*arrays), list) and np.ndim(f(*arrays)) == 0:
        compare(lambda *xs: tg.value_and_grad(lambda t: f(*t))(xs), *arrays, without=("batch_alike", "gather_puts"))


def test_alike_is_done_at_once() -> None:
    f = tg.value_and_grad(lambda x, b: sum(np.sum(np.tanh(x[t] + b[t])) for t in range(6)), argnums=(0, 1))
    program = compare(f, rng.normal(size=(6, 4, 3)), rng.normal(size=(6, 3)))
    assert count(program, "tanh") == 1
    assert next(line for line in program.lines if line.op.name == "tanh").shape == (6, 4, 3)


def test_the_second_axis_is_stepped_along() -> None:
    f = lambda x, w: sum(np.sum(np.tanh(x[:, t] @ w)) for t in range(6))  # noqa: E731
    program = compare(tg.value_and_grad(f, argnums=(0, 1)), rng.normal(size=(4, 6, 3)), rng.normal(size=(3, 2)))
    assert any(line.op is transpose and line.params == {"axes": (1, 0, 2)} for line in program.lines)
    assert any(line.op is matmul and line.operands[0].startswith("tall") for line in program.lines)


def test_mixed_precisions_are_not_one_stack() -> None:
    def f(*xs: Any) -> Any:
        return sum(np.sum(np.tanh(x * 3.0)) for x in xs)

    xs = [rng.normal(size=3).astype(np.float32 if t % 2 else np.float64) for t in range(8)]
    compare(f, *xs)


def test_infinities_stay_in_their_slices() -> None:
    x = rng.normal(size=(4, 3))
    x[1] = np.nan
    x[2, 0] = np.inf
    step = tg.jit(tg.grad(lambda x: sum(np.sum(np.tanh(x[t])) for t in range(STEPS))))
    step(x)
    np.testing.assert_array_equal(np.isnan(step(x)), np.isnan(x))


# ---------------------------------------------------------------- known_first and place_products

def test_what_is_known_long_before_is_multiplied_first() -> None:
    def cost(w: Any, x: Any) -> Any:
        h = np.zeros(3)
        for t in range(12):
            h = np.tanh(x[t] + w @ h)
        return np.sum(h)

    f, args = tg.value_and_grad(cost), (rng.normal(size=(3, 3)) * 0.3, rng.normal(size=(12, 3)))
    compare(f, *args)


def test_known_first_only_regroups_products_used_once() -> None:
    lines = [made(exp, "a", "x"), made(sin, "b", "a"), made(sin, "u0", "x")]
    lines += [made(sin, f"u{i}", f"u{i - 1}") for i in range(1, 40)]
    lines += [made(multiply, "ab", "u39", "a"), made(multiply, "y", "ab", "b")]
    inputs = {"x": rng.normal(size=3)}
    once = keeps(known_first, program_of(inputs, *lines), inputs)
    assert [str(line) for line in once.lines[-2:]] == ["known1 = multiply(a, b)", "y = multiply(u39, known1)"]
    twice = program_of(inputs, *lines, made(add, "z", "y", "ab"), out=("y", "z"))
    assert known_first(twice) is twice
    returned = program_of(inputs, *lines, out=("y", "ab"))
    assert known_first(returned) is returned


def test_known_first_does_not_lose_digits() -> None:
    """float32 factors of a float64 product would be multiplied in float32."""
    lines = [made(exp, "a", "x", dtype=np.float32), made(sin, "b", "a", dtype=np.float32), made(sin, "u0", "z")]
    lines += [made(sin, f"u{i}", f"u{i - 1}") for i in range(1, 40)]
    lines += [made(multiply, "ab", "u39", "a"), made(multiply, "y", "ab", "b")]
    inputs = {"x": rng.normal(size=3).astype(np.float32), "z": rng.normal(size=3)}
    keeps(known_first, program_of(inputs, *lines), inputs)


def test_place_products_keep_dtypes_and_what_overlaps() -> None:
    def cost(w: Any, x: Any) -> Any:
        h = np.zeros((2, 4))
        for t in range(6):
            z = x[t] + h @ w
            h = np.concatenate([np.tanh(z[:, :2]), tg.sigmoid(z[:, 2:])], axis=1) * np.exp(-z * z)
        return np.sum(h)

    compare(tg.value_and_grad(cost, argnums=(0, 1)), 0.4 * rng.normal(size=(4, 4)), rng.normal(size=(6, 2, 4)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lstm_parts(dtype: Any) -> None:
    def cost(w: Any, x: Any) -> Any:
        h = c = np.zeros((2, 3), dtype)
        for t in range(5):
            z = np.concatenate([x[t], h], axis=1) @ w
            i, f, o, g = tg.sigmoid(z[:, :3]), tg.sigmoid(z[:, 3:6]), tg.sigmoid(z[:, 6:9]), np.tanh(z[:, 9:])
            c = f * c + i * g
            h = o * np.tanh(c)
        return np.sum(h * h)

    f = tg.value_and_grad(cost, argnums=(0, 1))
    w, x = rng.normal(size=(5, 12)).astype(dtype), rng.normal(size=(5, 2, 2)).astype(dtype)
    wanted = f(w, x)
    for without in ((), NAMES, ("place_products",), ("known_first",), ("gather_puts",)):
        step = tg.jit(f, without=without)
        step(w, x)
        close(step(w, x), wanted, 2e-5 if dtype == np.float32 else 1e-11)


# ---------------------------------------------------------------- whole_again, flat_products, copied_weights

def test_entries_in_order_are_the_array_itself() -> None:
    program = compare(lambda x: np.exp(np.stack([x[t] for t in range(4)])), rng.normal(size=(4, 3)))
    assert [line.op.name for line in program.lines] == ["exp"]


@pytest.mark.parametrize("f", [
    lambda x: np.stack([x[t] for t in (1, 0, 2, 3)]),
    lambda x: np.stack([x[t] for t in range(3)]),
    lambda x: np.stack([x[0], x[0], x[2], x[3]]),
    lambda x: np.stack([x[t] for t in range(4)], axis=1),
    lambda x: np.stack([x[t, :2] for t in range(4)]),
    lambda x: np.stack([x[0], x[1], x[2], 2 * x[3]]),
], ids=["order", "fewer", "twice", "axis", "parts", "changed"])
def test_what_is_not_the_array_itself(f: Callable[..., Any]) -> None:
    program = compare(lambda x: np.exp(f(x)), rng.normal(size=(4, 3)))
    assert len(program.lines) > 1


@pytest.mark.parametrize(("a", "b", "flat"), [
    ((5, 4, 3), (3, 2), True), ((2, 5, 4, 3), (3, 2), True), ((5, 1, 3), (3, 2), True), ((5, 4, 3), (5, 3, 2), False),
    ((4, 3), (5, 3, 2), False), ((5, 4, 3), (3,), False), ((0, 4, 3), (3, 2), True), ((5, 4, 0), (0, 2), True),
])
def test_flat_products(a: tuple[int, ...], b: tuple[int, ...], flat: bool) -> None:
    program = compare(lambda x, w: np.tanh(x @ w), rng.normal(size=a), rng.normal(size=b))
    assert any(line.op is matmul and line.operands[0].startswith("tall") for line in program.lines) == flat
    compare(tg.value_and_grad(lambda x, w: np.sum(np.tanh(x @ w)), argnums=(0, 1)), rng.normal(size=a), rng.normal(size=b))


def test_a_transposed_factor_of_many_products_is_copied_once() -> None:
    lines = [made(transpose, "turned", "w", shape=(3, 2))]
    for t in range(5):
        lines.append(made(matmul, f"p{t}", f"x{t}", "turned", shape=(4, 2)))
    inputs = {"w": rng.normal(size=(2, 3))} | {f"x{t}": rng.normal(size=(4, 3)) for t in range(5)}
    outs = tuple(f"p{t}" for t in range(5))
    after = keeps(copied_weights, program_of(inputs, *lines, out=outs), inputs)
    assert [line.op for line in after.lines].count(COPY) == 1
    few = program_of(inputs, *lines[:4], out=outs[:3])
    assert copied_weights(few) is few


def test_passes_without_anything_to_do_give_back_the_program() -> None:
    inputs = {"x": rng.normal(size=3)}
    program = program_of(inputs, made(exp, "y", "x"))
    for step in (gather_puts, join_products, known_first, place_products, batch_alike, flat_products, copied_weights):
        assert step(program) is program
    assert [str(line) for line in whole_again(program).lines] == ["y = exp(x)"]


def test_adding_in_place_leaves_the_old_array_alone() -> None:
    x, v = rng.normal(size=(3, 2)), rng.normal(size=2)
    kept = x.copy()
    np.testing.assert_array_equal(ADD_AT(x, v, index=1)[1], kept[1] + v)
    np.testing.assert_array_equal(x, kept)
