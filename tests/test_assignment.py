"""t[i] = v: the newest value to those who read later, the value they used to those who read before, and no wrong gradient."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.errors import DetachError, DTypeError, InPlaceError, ShapeError, StaleError
from tinygrad_edu.program import trace

# ---------------------------------------------------------------- loops, as notes write them


def rows_of_a_layer(w: Any, b: Any, x: Any) -> Any:
    A = tg.zeros((1, x.shape[1]))
    for i in range(x.shape[1]):
        A[0, i] = tg.sigmoid(w.T @ x[:, i] + b)
    return np.mean(A * A)


def rows_of_a_layer_at_once(w: Any, b: Any, x: Any) -> Any:
    return np.mean(tg.sigmoid(w.T @ x + b) ** 2)


def recurrent(W: Any, U: Any, x: Any) -> Any:
    Z = tg.zeros((len(x), W.shape[0]))
    Z[0] = np.tanh(U @ x[0])
    for t in range(1, len(x)):
        Z[t] = np.tanh(W @ Z[t - 1] + U @ x[t])
    return (Z * Z).sum()


def recurrent_in_a_list(W: Any, U: Any, x: Any) -> Any:
    rows = [np.tanh(U @ x[0])]
    for row in x[1:]:
        rows.append(np.tanh(W @ rows[-1] + U @ row))
    return (np.stack(rows) ** 2).sum()


def accumulated(w: Any, x: Any) -> Any:
    dw = tg.zeros(3)
    for i in range(x.shape[1]):
        dz = tg.sigmoid(np.dot(w, x[:, i]))
        for k in range(3):
            dw[k] += x[k, i] * dz
    return (dw * dw).sum()


def accumulated_at_once(w: Any, x: Any) -> Any:
    return ((x @ tg.sigmoid(x.T @ w)) ** 2).sum()


def heat(u: Any) -> Any:
    """Time steps of a difference scheme, each from the whole row before."""
    u = u.copy()
    for _ in range(4):
        u[1:-1] = u[1:-1] + 0.3 * (u[2:] - 2 * u[1:-1] + u[:-2])
    return (u * u).sum()


def heat_joined(u: Any) -> Any:
    for _ in range(4):
        u = np.concatenate([u[:1], u[1:-1] + 0.3 * (u[2:] - 2 * u[1:-1] + u[:-2]), u[-1:]])
    return (u * u).sum()


def draws(*shapes: tuple[int, ...]) -> tuple[Any, ...]:
    rng = np.random.default_rng(7)
    return tuple(rng.normal(size=shape) * 0.6 for shape in shapes)


LOOPS: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]]] = {
    "layer": (rows_of_a_layer, rows_of_a_layer_at_once, draws((3, 1), (1,), (3, 5))),
    "recurrent": (recurrent, recurrent_in_a_list, draws((2, 2), (2, 3), (6, 3))),
    "accumulated": (accumulated, accumulated_at_once, draws((3,), (3, 4))),
    "heat": (heat, heat_joined, draws((7,))),
}


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_is_what_it_is_at_once(loop: str) -> None:
    f, g, args = LOOPS[loop]
    every = tuple(range(len(args)))
    value, gradients = tg.value_and_grad(f, every)(*args)
    wanted, wanted_gradients = tg.value_and_grad(g, every)(*args)
    np.testing.assert_allclose(value, wanted, rtol=1e-14)
    for d, wanted_d in zip(gradients, wanted_gradients, strict=True):
        np.testing.assert_allclose(d, wanted_d, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_in_forward_mode_to_second_order_and_written_down(loop: str) -> None:
    f, g, args = LOOPS[loop]
    u = tuple(np.cos(x) for x in args)
    np.testing.assert_allclose(tg.jvp(f, args, u)[1], tg.jvp(g, args, u)[1], rtol=1e-12)
    np.testing.assert_allclose(tg.hessian(lambda x: f(x, *args[1:]))(args[0]),
                               tg.hessian(lambda x: g(x, *args[1:]))(args[0]), rtol=1e-10, atol=1e-12)
    assert tg.check_gradients(f, *args).ok
    expected = f(*args)
    written: dict[str, Any] = {}
    exec(str(tg.numpy_source(f, *args)), written)  # noqa: S102 - our own code
    run = written[f"{f.__name__}_and_gradients"]
    outputs = run(*args)
    np.testing.assert_allclose(outputs[0], expected.value if type(expected) is Tensor else expected, rtol=1e-14)
    for d, wanted in zip(outputs[1:], tg.grad(f, tuple(range(len(args))))(*args), strict=True):
        np.testing.assert_allclose(d, wanted, rtol=1e-12, atol=1e-15)
    J = f(*[Tensor(x) for x in args])
    assert "assign" in tg.draw(J).dot
    assert "assign" in str(tg.explain(J))
    assert str(tg.numpy_source(J))


def test_a_filled_row_is_one_node() -> None:
    w, A = Tensor(2.0), tg.zeros(50)
    for i in range(50):
        A[i] = w * i
    assert A.op is not None and len(A.args) == 51
    dw = tg.zeros(3)
    for i in range(30):
        dw[i % 3] += w * i
    assert len(dw.args) == 4


# ---------------------------------------------------------------- who sees what


def test_what_was_computed_before_keeps_its_value() -> None:
    x = Tensor([1.0, 2.0, 3.0])
    A = x * 1
    before = A * A
    A[1] = x[0] * 10
    after = A * A
    np.testing.assert_array_equal(before.value, [1, 4, 9])
    np.testing.assert_array_equal(after.value, [1, 100, 9])
    before.sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 4, 6])
    x.zero_grad()
    after.sum().backward()
    np.testing.assert_array_equal(x.grad, [2 + 200, 0, 6])
    x.zero_grad()
    (before + after).sum().backward()
    np.testing.assert_array_equal(x.grad, [204, 4, 12])


def test_two_names_of_one_tensor_see_the_same() -> None:
    w, A = Tensor(3.0), tg.zeros(2)
    B = A
    A[0] = w
    B[1] = A[0] * w
    np.testing.assert_array_equal(A.value, [3, 9])
    A.sum().backward()
    assert w.grad == 7


def test_a_part_taken_before_is_no_view() -> None:
    w, A = Tensor(3.0), tg.zeros(2)
    A[0] = w
    part = A[:1]
    A[0] = w * w
    np.testing.assert_array_equal(part.value, [3])
    np.testing.assert_array_equal(A.value, [9, 0])
    part.sum().backward()
    assert w.grad == 1


def test_values_may_come_from_the_tensor_itself() -> None:
    x = Tensor([1.0, 2.0, 3.0])
    A = x.copy()
    A[:] = A
    A[::-1] = A
    A[0] = A[1] * A[2]
    np.testing.assert_array_equal(A.value, [2, 2, 1])
    A.sum().backward()
    np.testing.assert_array_equal(x.grad, [1 + 2, 1 + 1, 0])


def test_a_graph_with_assignments_has_no_cycle() -> None:
    def run() -> None:
        x = Tensor([1.0, 2.0, 3.0])
        A = x * 2
        for i in range(3):
            A[i] = (A * A).sum()
        A.sum().backward()

    run()
    gc.collect()
    gc.disable()
    try:
        run()
        count = sum(type(o) is Tensor for o in gc.get_objects())
        run()
        assert sum(type(o) is Tensor for o in gc.get_objects()) == count
    finally:
        gc.enable()


def test_the_newest_gradient_is_in_grad() -> None:
    x = Tensor([1.0, 2.0])
    A = x * 1
    A[0] = 5.0
    (A * A).sum().backward()
    np.testing.assert_array_equal(A.grad, [10, 4])
    np.testing.assert_array_equal(x.grad, [0, 4])
    x.zero_grad()
    (A * A).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 4])


def test_under_no_grad_the_new_value_is_a_constant_and_the_old_one_stays_recorded() -> None:
    x = Tensor([1.0, 2.0])
    A = x * 3
    before = A * A
    with tg.no_grad():
        A[0] = 7.0
    assert not A.requires_grad
    np.testing.assert_array_equal(A.value, [7, 6])
    (before + A * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [18 * 1 + 7, 18 * 2 + 6])


def test_constants_keep_what_was_computed_from_them() -> None:
    w, c = Tensor(2.0), tg.ones(3)
    results = []
    for k in range(600):  # more than the versions that are kept
        results.append((c * w).sum())
        c[k % 3] = float(k)
    total = results[0] + results[3] + results[599]
    wanted = 3 + (0 + 1 + 2) + (597 + 598 + 596)
    assert total.value == 2 * wanted
    total.backward()
    assert w.grad == wanted


def test_a_buffer_refilled_in_every_step_does_not_grow() -> None:
    w, batch = Tensor(np.ones(3)), tg.zeros((4, 3))
    for step in range(2000):
        batch[:] = np.full((4, 3), step)
        J = (batch @ w).sum()
        w.zero_grad()
        J.backward()
        np.testing.assert_array_equal(w.grad, 4.0 * step * np.ones(3))
    assert batch.history is None or len(batch.history.versions) <= 256


def test_memory_of_long_loops_stays_small() -> None:
    def peak(n: int) -> int:
        w, A = Tensor(2.0), tg.zeros(n)
        tracemalloc.start()
        A[0] = w
        for i in range(1, n):
            A[i] = A[i - 1] * 1.0001
        A.sum().backward()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    n = 4000
    assert peak(n) < 40 * n * 100  # a copy of the row for each entry would be 8 n² = 320 n × 100
    assert peak(n) < 3 * peak(n // 2)


def test_very_many_assignments_do_not_recurse() -> None:
    w = Tensor(2.0)
    A = w * np.ones(3)
    for i in range(20_000):
        total = A.sum()  # somebody has used it, so that each is a value of its own
        A[i % 3] = w
    (A.sum() + total).backward()
    assert w.grad == 6
    del A, total


def test_a_value_held_by_a_graph_alone_is_never_changed_silently() -> None:
    w, totals = Tensor(2.0), []

    def made() -> Tensor:
        A = tg.zeros(3)
        A[0] = w
        totals.append(np.sin(A).sum())
        return A

    made()[0] = 50.0  # no variable holds it, the sine does
    with pytest.raises(StaleError, match="was assigned into"):
        totals[0].backward()


# ---------------------------------------------------------------- refused, with what to write


def refusal(change: Callable[[], Any]) -> str:
    with pytest.raises((InPlaceError, DTypeError, ShapeError, DetachError, IndexError)) as caught:
        change()
    return str(caught.value)


def test_leaves_and_views_are_refused() -> None:
    w, X = Tensor(np.ones((2, 3)), name="W"), np.ones((2, 3))
    for t in (w, w.T, w[0], w.reshape(6), w.ravel(), w[None], w[:, 1:], np.flip(w)):
        with pytest.raises(InPlaceError):
            t[0] = 5.0
    assert refusal(lambda: w.__setitem__(0, 1.0)) == (
        "W[...] = ...: W is a leaf whose gradient is wanted, and it would stand for another value than the one you made. To "
        "fill it, make it a constant, W = tg.zeros((2, 3)); to go on with a changed copy, write W = W.copy() first, or W = "
        "tg.assign(W, index, values); to change a parameter, write it under tg.no_grad().")
    A = w * 2
    row = A[0]
    assert refusal(lambda: row.__setitem__(0, 1.0)) == (
        "row[...] = ...: row was taken from another array, which NumPy would change too. Assign into that one, with one "
        "index (A[i, j] = ..., not A[i][j] = ...), or write row = row.copy() first.")
    with pytest.raises(InPlaceError, match="row was taken from A,"):
        row[0] = 1.0
    constant = tg.zeros((2, 3))
    with pytest.raises(InPlaceError):
        constant[0][1] = 5.0
    with pytest.raises(InPlaceError):
        constant.T[0] = 5.0
    np.testing.assert_array_equal(constant.value, 0 * X)


def test_copies_may_be_changed_and_leave_the_rest_alone() -> None:
    for A in (tg.ones((2, 3)), Tensor(np.ones((2, 3))) * 1):
        for B in (A.copy(), A[0].copy(), A[[0, 1]], A[A > 0], A + 0, A.astype(float), A[0].flatten(), A[0].astype(float)):
            B[0] = 7.0
            assert np.all(A.value == 1) and np.any(B.value == 7)


def test_a_leaf_under_no_grad_is_changed_and_noticed() -> None:
    w = Tensor([1.0, 2.0])
    J = (w * w).sum()
    with tg.no_grad():
        w[0] = 5.0
    np.testing.assert_array_equal(w.data, [5, 2])
    with pytest.raises(StaleError):
        J.backward()
    (w * w).sum().backward()
    np.testing.assert_array_equal(w.grad, [10, 4])


def test_wrong_values_and_places_are_refused() -> None:
    A, x = tg.zeros((2, 3)), Tensor(np.ones(4))
    assert refusal(lambda: A.__setitem__(0, x)) == "assign: values of shape (4,) do not fit A[...], whose shape is (3,)."
    assert refusal(lambda: A.__setitem__((0, 9), 1.0)).startswith("index: A has shape (2, 3): index 9 is out of bounds")
    assert "names a place twice" in refusal(lambda: A.__setitem__([0, 0], x[:3]))
    counts = Tensor([1, 2, 3], requires_grad=False).astype(int)
    assert "int64" in refusal(lambda: counts.__setitem__(0, x[0]))
    np.testing.assert_array_equal(A.value, np.zeros((2, 3)))
    assert A.op is None


def test_shapes_that_numpy_takes() -> None:
    w, A, plain = Tensor(2.0), tg.zeros((2, 3)), np.zeros((2, 3))
    steps: list[tuple[Any, Any]] = [
        (0, np.arange(3.0)), ((slice(None), 1), 5.0), (Ellipsis, np.ones((1, 2, 3))), ((1, slice(1, None)), np.ones((1, 1, 2))),
        (np.array([True, False]), np.ones((1, 3))), (([1, 0], [2, 0]), np.array([8.0, 9.0])), ((0, -1), 4),
        ((slice(None, None, -1), 0), np.array([1.0, 2.0])), ((None, 1), 6.0), (np.array([], int), np.ones(3)),
        (plain > 100, 3.0), ((np.int64(1), np.int64(2)), np.float32(0.5)), (slice(0, 0), 1.0),
    ]
    for index, values in steps:
        plain[index] = values * 2
        A[index] = values * w
        np.testing.assert_array_equal(A.value, plain)
    A.sum().backward()
    assert w.grad == plain.sum() / 2


def test_float32_stays_float32() -> None:
    w, A = Tensor(2.0), tg.zeros(3, np.float32)
    A[0] = w
    A[1] = A[0] * A[0]
    assert A.dtype == np.float32
    A.sum().backward()
    assert w.grad == 5 and w.grad.dtype == np.float64


def test_a_single_number_can_be_assigned() -> None:
    w = Tensor(3.0)
    s = w * 1
    before = s * s
    s[()] = w * w
    s[...] = s * 2
    (s + before).backward()
    assert s.value == 18 and w.grad == 12 + 6


def test_inner_derivatives_are_kept_apart() -> None:
    def changed_result(w: Any) -> Any:
        y, pull = tg.vjp(lambda x: x * w * x, np.array([1.0, 2.0]))
        y[0] = 7.0
        (d,) = pull(np.ones(2))
        return (d * d).sum() + y.sum()

    assert tg.grad(changed_result)(3.0) == 120 + 4

    def quietly(x: Any) -> Any:
        before = x * x
        with tg.no_grad():
            x[0] = 5.0
        return before.sum()

    for inner in (quietly, lambda x: x.__setitem__(0, 5.0)):
        with pytest.raises(InPlaceError, match="copy first"):
            tg.grad(lambda v, f=inner: tg.grad(f)(v).sum())(np.array([1.0, 2.0]))

    def outer_value(w: Any) -> Any:
        A = w * np.ones(3)

        def scaled(s: Any) -> Any:
            A[0] = A[0] * s
            return (A * A).sum() * s

        return tg.grad(scaled)(2.0) + A.sum()

    assert tg.grad(outer_value)(1.5) == 46  # d/dw of w² (3 · 4 + 2) + 2 w + 2 w


# ---------------------------------------------------------------- random programs, three ways


class Plain:
    """The program on arrays, with NumPy's own assignment; what is read is copied."""

    def copy(self, x: Any) -> Any:
        return np.array(x)

    def set(self, boxes: dict[str, list[Any]], name: str, index: Any, v: Any) -> None:
        boxes[name][0][index] = v


class Functional:
    """The program on Tensors with tg.assign, every name of a value being given the new one."""

    def copy(self, x: Any) -> Any:
        return x.copy() if type(x) is Tensor else Tensor(x, requires_grad=False)

    def set(self, boxes: dict[str, list[Any]], name: str, index: Any, v: Any) -> None:
        boxes[name][0] = tg.assign(boxes[name][0], index, v)


class InPlace(Functional):
    def set(self, boxes: dict[str, list[Any]], name: str, index: Any, v: Any) -> None:
        boxes[name][0][index] = v


INDICES: list[Any] = [0, 2, -1, slice(None), slice(1, None), slice(None, None, 2), (0, 1), (slice(None), 1), (2, slice(0, 2)),
                      [2, 0], ([0, 1], [1, 0]), Ellipsis, (slice(None, None, -1), 0),
                      np.array([[True, False], [False, True], [True, True]])]


def random_program(seed: int, kind: Any, x: Any, y: Any) -> Any:
    """The same steps whatever the kind: values of shape (3, 2) in boxes, one box for all names of a value."""
    rng = np.random.default_rng(seed)
    boxes: dict[str, list[Any]] = {"a": [kind.copy(x)], "b": [kind.copy(np.zeros((3, 2)))], "c": [kind.copy(y)]}
    total = (x * y).sum()
    held: list[Any] = []
    for step in range(rng.integers(3, 14)):
        names = sorted(boxes)
        p, q = (names[k] for k in rng.integers(0, len(names), 2))
        P, Q, r = boxes[p][0], boxes[q][0], rng.integers(0, 9)
        if r < 5:
            index = INDICES[rng.integers(0, len(INDICES))]
            how = rng.integers(0, 6)
            v = (Q[index] * 0.7 if how == 0 else P[index] * Q[index] if how == 1 else float(step) if how == 2
                 else np.tanh(Q)[index] if how == 3 else (P * Q).sum() * 0.1 if how == 4 else P[index] + 1.5)
            del P, Q
            kind.set(boxes, p, index, v)
        elif r == 5:
            boxes[f"n{step}"] = [np.tanh(P * Q)]
        elif r == 6:
            boxes[f"m{step}"] = boxes[p]  # another name of the same value
        elif r == 7:
            total = total + (P * Q).sum() * 0.3
        else:
            held.append(P * 1.1)  # used later
    for name in sorted(boxes):
        total = total + (boxes[name][0] ** 2).sum() * 0.1
    for one in held:
        total = total + (one * one).sum() * 0.2
    return total


@pytest.mark.parametrize("seed", range(250))
def test_random_programs_three_ways(seed: int) -> None:
    rng = np.random.default_rng(seed + 10_000)
    x, y = rng.uniform(-1, 1, (3, 2)), rng.uniform(-1, 1, (3, 2))
    value = random_program(seed, Plain(), x, y)

    def in_place(x: Any, y: Any) -> Any:
        return random_program(seed, InPlace(), x, y)

    def functional(x: Any, y: Any) -> Any:
        return random_program(seed, Functional(), x, y)

    a, b = Tensor(x), Tensor(y)
    J = in_place(a, b)
    np.testing.assert_allclose(J.value, value, rtol=1e-12)
    wanted = tg.grad(functional, (0, 1))(x, y)
    J.backward()
    for d, other in zip((a.grad, b.grad), wanted, strict=True):
        np.testing.assert_allclose(d, other, rtol=1e-10, atol=1e-12)
    for d, other in zip(tg.grad(in_place, (0, 1))(x, y), wanted, strict=True):
        np.testing.assert_allclose(d, other, rtol=1e-10, atol=1e-12)
    u, v = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    slope = np.vdot(u, wanted[0]) + np.vdot(v, wanted[1])
    np.testing.assert_allclose(tg.jvp(in_place, (x, y), (u, v))[1], slope, rtol=1e-9, atol=1e-11)
    if seed % 5 == 0:
        second = [tg.grad(lambda x, y, f=f: np.vdot(u, tg.grad(f)(x, y)))(x, y) for f in (in_place, functional)]
        np.testing.assert_allclose(*second, rtol=1e-8, atol=1e-10)
        program = trace(in_place, x, y)
        np.testing.assert_allclose(next(iter(program.run(x, y).values())), value, rtol=1e-12)
