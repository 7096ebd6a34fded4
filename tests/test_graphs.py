"""Graphs by shape: fan-out, diamonds, depth, repeated and nested differentiation, and what is not recorded."""

from __future__ import annotations

import contextlib
import gc
import itertools
import threading
import weakref
from collections.abc import Callable
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.errors import DetachError, GradientError, StaleError

DEPTH = 100_000


# ---------------------------------------------------------------- shapes of graphs

def test_M1_M2_the_graph_of_the_notes() -> None:
    a, b, c = Tensor(5), Tensor(3), Tensor(2)
    u = b * c
    v = a + u
    J = 3 * v
    J.backward()
    assert (u.item(), v.item(), J.item()) == (6, 11, 33)
    assert (J.grad, v.grad, a.grad, u.grad, b.grad, c.grad) == (1, 3, 3, 3, 6, 9)


def test_M7_a_variable_used_twice_and_backward_three_times() -> None:
    a = Tensor(1.5)
    b = a + a
    c = b + b
    for times in (1, 2, 3):
        c.backward()
        assert a.grad == 4 * times
        assert b.grad == 2, "in between, each pass overwrites"
        assert c.grad == 1


@pytest.mark.parametrize("f, slope", [
    pytest.param(lambda x: x + x, 2.0, id="add"), pytest.param(lambda x: x - x, 0.0, id="subtract"),
    pytest.param(lambda x: x * x, 2.6, id="multiply"), pytest.param(lambda x: x / x, 0.0, id="divide"),
    pytest.param(lambda x: x**x, 1.3**1.3 * (np.log(1.3) + 1), id="power"),
    pytest.param(lambda x: tg.maximum(x, x), 1.0, id="maximum"), pytest.param(lambda x: tg.where(True, x, x), 1.0,
                                                                              id="where"),
    pytest.param(lambda x: tg.stack([x, x, x]).sum(), 3.0, id="stack"), pytest.param(lambda x: tg.hypot(x, x), 2**0.5,
                                                                                     id="hypot"),
    pytest.param(lambda x: tg.clip(x, x, x), 1.0, id="clip"),
])
def test_the_same_operand_twice(f: Callable[..., Any], slope: float) -> None:
    x = Tensor(1.3)
    f(x).backward()
    np.testing.assert_allclose(x.grad, slope, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(tg.jvp(f, 1.3, 1.0)[1], slope, rtol=1e-14, atol=1e-14)


def test_a_matrix_times_itself() -> None:
    A = Tensor(np.arange(9.0).reshape(3, 3))
    (A @ A).sum().backward()
    ones = np.ones((3, 3))
    np.testing.assert_array_equal(A.grad, ones @ A.data.T + A.data.T @ ones)
    B = Tensor(A.data)
    tg.einsum("ij,jk,kl->il", B, B, B).sum().backward()
    M = A.data
    np.testing.assert_allclose(B.grad, ones @ (M @ M).T + M.T @ ones @ M.T + (M @ M).T @ ones)


def test_fan_out_collects_every_path() -> None:
    x = Tensor(2.0)
    paths = [x**k for k in range(1, 6)]
    y = paths[0]
    for p in paths[1:]:
        y = y + p
    y.backward()
    assert x.grad == sum(k * 2.0 ** (k - 1) for k in range(1, 6))


def test_diamonds_in_a_row_are_walked_once() -> None:
    """2⁶⁰ paths: only a walk that completes each node first can finish."""
    x = Tensor(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad == 2.0**60
    assert tg.jvp(lambda t: [t := t + t for _ in range(60)][-1], 1.0, 1.0)[1] == 2.0**60


def test_unequal_paths_to_one_node() -> None:
    """A short and a long way to x: its gradient must wait for the long one."""
    x = Tensor(3.0)
    h = x * 2
    long = h
    for _ in range(10):
        long = long * 1.0
    (h * long).backward()
    assert x.grad == 2 * h.item() * 2
    assert h.grad == 2 * h.item()


def test_the_order_of_creation_need_not_be_the_order_of_use() -> None:
    x, y = Tensor(2.0), Tensor(5.0)
    late = y * y
    early = x * x
    total = late * early + early
    total.backward()
    assert (x.grad, y.grad) == (2 * 2 * (25 + 1), 2 * 5 * 4)


def test_unused_inputs() -> None:
    used, unused = Tensor(2.0), Tensor([1.0, 2.0])
    dead_end = unused * used
    (used * used).backward()
    assert unused.grad is None and dead_end.grad is None
    a, b = tg.grad(lambda used, unused: used * used, argnums=(0, 1))(2.0, np.ones((2, 3), np.float32))
    assert a == 4
    assert b.shape == (2, 3) and b.dtype == np.float32 and not b.any()


def test_a_function_that_is_constant_in_its_argument() -> None:
    for f in (lambda x: 3.0, lambda x: np.float64(3.0), lambda x: Tensor(3.0), lambda x: tg.floor(x).sum() * 0.0):
        assert not tg.grad(f)([1.0, 2.0]).any()
        value, tangent = tg.jvp(f, np.ones(2), np.ones(2))
        assert np.shape(tangent) == np.shape(value) == () and tangent == 0


def test_a_result_that_is_its_argument() -> None:
    assert tg.grad(lambda x: x)(2.0) == 1
    np.testing.assert_array_equal(tg.jacobian(lambda x: x)([1.0, 2.0]), np.eye(2))
    np.testing.assert_array_equal(tg.jacobian(lambda x: x, mode="forward")([1.0, 2.0]), np.eye(2))
    x = Tensor(2.0)
    x.backward()
    x.backward(4.0)
    assert x.grad == 5


def test_one_leaf_used_many_times() -> None:
    x = Tensor(np.ones(3))
    total = x * 0.0
    for i in range(5000):
        total = total + x * i
    total.sum().backward()
    np.testing.assert_array_equal(x.grad, np.full(3, sum(range(5000))))


def test_slices_of_one_array() -> None:
    x = Tensor(np.arange(6.0))
    sum(x[i] * (i + 1) for i in range(6)).backward()
    np.testing.assert_array_equal(x.grad, np.arange(1.0, 7.0))
    y = Tensor(np.arange(6.0))
    h = y * 1.0
    (h[1:4].sum() + h[2:].sum() + (h * h).sum() + h[[0, 0]].sum()).backward()
    np.testing.assert_array_equal(y.grad, [2, 3, 6, 8, 9, 11])


def test_one_number_for_all_entries_meets_other_gradients() -> None:
    """sum() and mean() give every entry the same gradient, however it is kept; slices and products add to it."""
    orders: list[Callable[[Any], Any]] = [
        lambda h: h[..., ::-1].mean() + h.mean(), lambda h: h.mean() + h[..., ::-1].mean(),
        lambda h: (k := h[0]).sum() + h.sum() + k[1], lambda h: (h * h).sum() + h.sum() + h[1, 1],
        lambda h: h.sum() + (h @ h.T).sum() + h[[0, 0]].sum(), lambda h: h.sum() + h.sum() + h.sum(),
        lambda h: (k := h[:, 1:]).mean() + h.sum() + (k * k).sum() + tg.concatenate([h, k], axis=1).sum(),
    ]
    x = np.arange(6.0).reshape(2, 3) / 7
    for f in orders:
        t = Tensor(x)
        h = tg.sin(t)
        J = f(h)
        J.backward()
        exact = np.zeros((2, 3))
        for place in np.ndindex(2, 3):
            step = np.zeros((2, 3))
            step[place] = 1e-6
            exact[place] = (f(np.sin(x + step)) - f(np.sin(x - step))) / 2e-6
        np.testing.assert_allclose(t.grad, exact, rtol=1e-8)
        assert h.grad.shape == t.grad.shape == (2, 3)
        late = Tensor(x)
        h = tg.sin(late)
        k, m = h[..., ::-1], h.mean()
        (k.mean() + m + f(h) * 0.0).backward()
        np.testing.assert_allclose(late.grad, np.cos(x) / 3, rtol=1e-12)


# ---------------------------------------------------------------- depth

def chain(x: Any, depth: int = DEPTH) -> Any:
    y = x
    for _ in range(depth):
        y = y + 1e-5
    return y


def deep_pass() -> None:
    x = Tensor(1.0)
    y = chain(x)
    assert abs(y.item() - 2) < 1e-6
    y.backward()
    assert x.grad == 1
    assert repr(y).startswith("Tensor(1.99") or repr(y).startswith("Tensor(2.0")
    assert str(y) and f"{y:.3f}" == "2.000"
    del y  # freed node by node, not by recursion


def test_depth_100_000() -> None:
    deep_pass()


def test_depth_100_000_with_a_small_stack() -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            deep_pass()
        except BaseException as error:
            failures.append(error)

    # recursion 100 000 deep would need ten times as much; Python 3.13 itself nests some thousand deallocations before it
    # defers the rest, for which 512 kB are too little
    before = threading.stack_size(2 * 1024 * 1024)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert failures == []


def test_depth_in_forward_mode_and_second_order() -> None:
    assert tg.jvp(chain, 1.0, 1.0)[1] == 1
    assert tg.grad(chain)(1.0) == 1

    def wave(x: Any) -> Any:
        y = x
        for _ in range(3000):
            y = y * 1.0001
        return y * y

    rate = 1.0001**6000
    np.testing.assert_allclose(tg.grad(tg.grad(wave))(1.0), 2 * rate, rtol=1e-9)
    np.testing.assert_allclose(tg.hvp(wave, 1.0, 1.0), 2 * rate, rtol=1e-9)
    x = Tensor(1.0)
    wave(x).backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.backward()
    np.testing.assert_allclose(x.grad, 2 * rate, rtol=1e-9)


def test_a_graph_is_freed_with_its_last_result() -> None:
    """No cycles: reference counting alone frees everything, at once."""
    gc.collect()
    gc.disable()
    try:
        x = Tensor(np.ones(10))
        h = x * 2.0
        held = weakref.ref(h.value)
        y = (h * h).sum()
        del h
        assert held() is not None
        y.backward()
        del y
        assert held() is None
        assert x.grad is not None
        z = (x * 3.0).sum()
        z.backward(create_graph=True)
        held = weakref.ref(x.grad.value)
        x.zero_grad()
        del z
        assert held() is None
    finally:
        gc.enable()


def test_a_failed_operation_or_pass_leaves_no_cycle_and_no_damage() -> None:
    x = Tensor(np.ones(3))
    with pytest.raises(tg.errors.ShapeError):
        x + np.ones(4)
    y = x * 2.0
    with pytest.raises(GradientError):
        y.backward()
    assert x.grad is None
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.full(3, 2.0))


def test_grad_frees_each_node_as_it_is_consumed() -> None:
    alive: list[weakref.ref[Any]] = []
    counts = []

    def rule(g: Any, _y: Any, x: Any) -> Any:
        counts.append(sum(r() is not None for r in alive))
        return g * 1.0

    @tg.primitive(rule)
    def step(x: Any) -> Any:
        y = x + 1.0
        alive.append(weakref.ref(y))
        return y

    def f(x: Any) -> Any:
        for _ in range(10):
            x = step(x)
        return x.sum()

    tg.grad(f)(np.zeros(5))
    assert len(counts) == 10
    assert counts[0] >= 9 and counts[-1] <= 2 and counts == sorted(counts, reverse=True)


# ---------------------------------------------------------------- many passes

def test_backward_twice_adds_exactly() -> None:
    rng = np.random.default_rng(0)
    W, x = Tensor(rng.normal(size=(3, 4))), Tensor(rng.normal(size=(4, 2)))
    y = tg.tanh(W @ x).sum()
    y.backward()
    once = W.grad.copy(), x.grad.copy()
    y.backward()
    np.testing.assert_array_equal(W.grad, 2 * once[0])
    np.testing.assert_array_equal(x.grad, 2 * once[1])


def test_accumulating_makes_a_new_array() -> None:
    """An array taken from .grad before stays what it was."""
    x = Tensor([1.0, 2.0])
    y = (x * x).sum()
    y.backward()
    first = x.grad
    y.backward()
    np.testing.assert_array_equal(first, [2, 4])
    np.testing.assert_array_equal(x.grad, [4, 8])


def test_two_costs_add_into_one_gradient() -> None:
    x = Tensor([1.0, 2.0])
    h = x * x
    h.sum().backward()
    (3.0 * h).sum().backward()
    np.testing.assert_array_equal(x.grad, [8, 16])
    np.testing.assert_array_equal(h.grad, [3, 3])
    x.zero_grad()
    assert x.grad is None


def test_backward_from_the_middle() -> None:
    x = Tensor(3.0)
    h = x * x
    y = h * 2
    h.backward()
    assert (x.grad, h.grad, y.grad) == (6, 1, None)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_one_number_in_any_shape_starts_a_pass(shape: tuple[int, ...]) -> None:
    x = Tensor(np.full(shape, 3.0))
    (x * x).backward()
    assert x.grad.shape == shape and x.grad.item() == 6


def test_a_gradient_given_weighs_the_entries() -> None:
    x = Tensor([1.0, 2.0, 3.0])
    (x * x).backward([1, 0, 2])
    np.testing.assert_array_equal(x.grad, [2, 0, 12])
    x.zero_grad()
    (x * x).backward(Tensor([1.0, 1.0, 1.0]))
    assert type(x.grad) is np.ndarray


def test_create_graph_gives_tensors_to_any_order() -> None:
    x = Tensor(2.0)
    y = x**4
    derivatives = []
    for _ in range(4):
        x.grad = None
        y.backward(create_graph=True)
        y = x.grad
        assert type(y) is Tensor
        derivatives.append(y.item())
    assert derivatives == [32, 48, 48, 24]


def test_create_graph_records_inside_no_grad_too() -> None:
    x = Tensor(2.0)
    y = x**3
    with tg.no_grad():
        y.backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.backward()
    assert x.grad == 12


def test_a_gradient_with_history_can_weigh() -> None:
    x, v = Tensor([1.0, 2.0]), Tensor([3.0, 5.0])
    (x * x).backward(v, create_graph=True)
    total = x.grad.sum()
    total.backward()
    np.testing.assert_array_equal(v.grad, 2 * x.data)


# ---------------------------------------------------------------- nested derivatives

def both_modes(f: Callable[..., Any]) -> list[Callable[[Any], Any]]:
    """f', found in reverse and in forward mode."""
    return [tg.grad(f), lambda x: tg.jvp(f, x, np.ones(np.shape(x)) if not isinstance(x, Tensor) else 1.0)[1]]


MODES = pytest.mark.parametrize("outer, inner", list(itertools.product((0, 1), repeat=2)),
                                ids=["reverse-reverse", "reverse-forward", "forward-reverse", "forward-forward"])


@MODES
def test_perturbations_are_not_confused(outer: int, inner: int) -> None:
    """d/dx x · (d/dy (x + y) at y = 1) is 1; engines that mix up the two infinitesimals say 2."""

    def f(x: Any) -> Any:
        return x * both_modes(lambda y: x + y)[inner](1.0)

    assert both_modes(f)[outer](1.0) == 1


@MODES
def test_a_closure_over_the_outer_variable(outer: int, inner: int) -> None:
    """d/dx of x³ y² differentiated by y at y = x: 2 x⁴ gives 8 x³."""

    def f(x: Any) -> Any:
        return both_modes(lambda y: x * x * x * y * y)[inner](x)

    assert both_modes(f)[outer](2.0) == 8 * 2.0**3


@MODES
def test_the_inner_function_ignores_its_own_variable(outer: int, inner: int) -> None:
    assert both_modes(lambda x: x * x + both_modes(lambda y: x * x)[inner](3.0))[outer](2.0) == 4


@MODES
def test_the_inner_point_depends_on_the_outer_variable(outer: int, inner: int) -> None:
    assert both_modes(lambda x: both_modes(lambda y: y * y * y)[inner](x * x))[outer](2.0) == 12 * 2.0**3


def test_three_levels_deep_with_all_variables_mixed() -> None:
    """∂³/∂x∂y∂z of x y² z³ at y = x, z = x, in eight mixtures of the modes."""
    for a, b, c in itertools.product((0, 1), repeat=3):

        def f(x: Any, b: int = b, c: int = c) -> Any:
            def g(y: Any) -> Any:
                return both_modes(lambda z: x * y * y * z * z * z)[c](x)  # 3 x³ y²

            return both_modes(g)[b](x)  # 6 x⁴ (the inner x held fixed by y's derivative)

        assert both_modes(f)[a](2.0) == 24 * 2.0**3


def test_an_inner_gradient_beside_a_backward_pass() -> None:
    """grad() inside a recorded function records what depends on tracked Tensors; .grad of others stays alone."""
    w, x = Tensor(3.0), Tensor(2.0)
    slope = tg.grad(lambda t: w * t * t)(x)
    assert type(slope) is Tensor and slope.item() == 12
    assert w.grad is None and x.grad is None
    slope.backward()
    assert (w.grad, x.grad) == (4, 6)


def test_gradients_of_plain_arrays_are_plain() -> None:
    w = Tensor(3.0, requires_grad=False)
    assert type(tg.grad(lambda t: w * t * t)(2.0)) is np.float64
    assert type(tg.grad(lambda t: (t * t).sum())(np.ones(2))) is np.ndarray


def test_a_leaf_outside_gets_no_gradient_from_grad() -> None:
    w = Tensor(3.0)
    slope = tg.grad(lambda t: w * t)(2.0)
    assert slope.item() == 3 and w.grad is None


def test_newtons_method_through_its_own_steps() -> None:
    """√a by Newton's steps: the derivative of the iteration is that of the root."""

    def root(a: Any) -> Any:
        x = a * 0.5
        for _ in range(8):
            f = lambda t: t * t - a  # noqa: E731
            x = x - f(x) / tg.grad(f)(x)
        return x

    np.testing.assert_allclose(tg.grad(root)(2.0), 0.5 / 2**0.5, rtol=1e-12)
    np.testing.assert_allclose(tg.grad(tg.grad(root))(2.0), -0.25 * 2.0**-1.5, rtol=1e-10)


# ---------------------------------------------------------------- what is not recorded

def test_no_grad_as_context_and_decorator() -> None:
    w = Tensor(2.0)

    @tg.no_grad()
    def quiet(x: Any) -> Any:
        assert not tg.recording()
        return x * x

    assert not quiet(w).requires_grad and tg.recording()
    with tg.no_grad():
        with tg.no_grad():
            pass
        assert not (w * w).requires_grad, "the outer one still holds"
        assert w.requires_grad
    assert (w * w).requires_grad
    with pytest.raises(ZeroDivisionError), tg.no_grad():
        raise ZeroDivisionError
    assert tg.recording()


def test_no_grad_stops_the_gradient_but_not_what_is_around() -> None:
    w = Tensor(2.0)
    with tg.no_grad():
        factor = w * 10.0
    (factor * w).backward()
    assert w.grad == 20


def test_derivatives_work_under_no_grad() -> None:
    with tg.no_grad():
        assert tg.grad(lambda x: x**3)(2.0) == 12
        assert tg.jvp(lambda x: x**3, 2.0, 1.0)[1] == 12
        assert tg.hessian(lambda x: x**3)(2.0) == 12
        assert type(tg.grad(lambda x: x**3)(Tensor(2.0))) is np.float64
        np.testing.assert_array_equal(tg.jacobian(lambda x: x * x)([1.0, 2.0]), np.diag([2.0, 4.0]))


def test_detach_shares_the_value_and_ends_the_history() -> None:
    x = Tensor([1.0, 2.0])
    h = x * x
    d = h.detach()
    assert not d.requires_grad and d.op is None and np.shares_memory(d.value, h.value)
    (d * x).sum().backward()
    np.testing.assert_array_equal(x.grad, h.data)
    assert tg.grad(lambda x: x * x.detach())(3.0) == 3
    assert tg.jvp(lambda x: x * x.detach(), 3.0, 1.0)[1] == 3


def test_constants_need_no_graph() -> None:
    c = Tensor(2.0, requires_grad=False)
    y = c * 3 + tg.exp(c)
    assert not y.requires_grad and y.op is None and y.args == ()


def test_comparisons_and_integers_leave_the_graph_openly() -> None:
    x = Tensor([1.0, -2.0])
    for value in (x > 0, x == x, x.argmax(), x.argsort(), tg.isnan(x), x.any()):
        assert not isinstance(value, Tensor)
    with pytest.raises(DetachError):
        np.asarray(x)


# ---------------------------------------------------------------- changed leaves

def test_a_leaf_changed_after_use_is_noticed() -> None:
    for change in ("assign", "in-place"):
        w = Tensor([1.0, 2.0], name="w")
        J = (w * w).sum()
        if change == "assign":
            w.data = np.array([5.0, 6.0])
        else:
            w.data -= 0.1
        with pytest.raises(StaleError, match="w was changed"):
            J.backward()
        assert w.grad is None
        J = (w * w).sum()
        J.backward()
        np.testing.assert_array_equal(w.grad, 2 * w.data)


def test_a_leaf_changed_before_use_or_after_backward_is_fine() -> None:
    w = Tensor(2.0)
    w.data = 3.0
    J = w * w
    J.backward()
    assert w.grad == 6
    w.data -= 1.0
    assert w.data == 2
    (w * w).backward()
    assert w.grad == 10


def test_a_change_elsewhere_does_not_matter() -> None:
    w, other = Tensor(2.0), Tensor(1.0)
    J = w * w
    other.data = 7.0
    J.backward()
    assert w.grad == 4
    older = w * 1.0
    w.data = 5.0
    newer = w * 2.0
    newer.backward()
    assert w.grad == 6
    with pytest.raises(StaleError):
        (older + newer).backward()


def test_a_constant_changed_after_use_is_noticed() -> None:
    """Rules read constants too: with the new value the gradient would be wrong."""
    c, w = Tensor(2.0, requires_grad=False, name="c"), Tensor(3.0)
    J = c * w
    c.data = 5.0
    with pytest.raises(StaleError, match="c was changed"):
        J.backward()
    (c * w).backward()
    assert w.grad == 5


def test_a_detached_value_is_no_back_door() -> None:
    """Writing into it may be refused, but it must not change the value in the graph."""
    x = Tensor([1.0, 2.0])
    h = x * x
    d = h.detach()
    with contextlib.suppress(ValueError):
        d.data[:] = 0.0
    (h * h).sum().backward()
    np.testing.assert_array_equal(h.data, [1, 4])
    np.testing.assert_array_equal(x.grad, [4, 32])
    d.data = [7.0, 8.0]
    np.testing.assert_array_equal(h.data, [1, 4])


def test_an_array_made_of_a_result_is_no_back_door() -> None:
    x = Tensor([1.0, 2.0])
    h = x * x
    with tg.no_grad(), contextlib.suppress(ValueError):
        np.asarray(h)[:] = 0.0
    (h * h).sum().backward()
    np.testing.assert_array_equal(x.grad, [4, 32])
    with tg.no_grad():
        copied = np.array(h)
        copied[:] = 0.0
        with pytest.raises(ValueError, match="copy"):
            np.array(h, dtype=np.float32, copy=False)
    np.testing.assert_array_equal(h.data, [1, 4])


def test_training_loop_steps_without_growing_history() -> None:
    w = Tensor(np.array([3.0, -2.0]))
    for _ in range(50):
        w.zero_grad()
        ((w - 1.0) ** 2).sum().backward()
        w.data -= 0.25 * w.grad
        assert w.op is None
    np.testing.assert_allclose(w.data, [1, 1])
    v = Tensor(np.array([3.0, -2.0]))
    for _ in range(5):  # the notes' own form rebinds the name
        J = (v * v).sum()
        v.zero_grad()
        J.backward()
        v = Tensor(v.data - 0.1 * v.grad)
    assert v.op is None


def test_augmented_assignment_rebinds() -> None:
    x = Tensor([1.0, 2.0])
    y = x
    y += 1.0
    y *= 2.0
    assert y is not x and y.op is not None
    np.testing.assert_array_equal(x.data, [1, 2])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 2])


def test_the_tensor_owns_its_data() -> None:
    source = np.array([1.0, 2.0])
    x = Tensor(source)
    y = (x * x).sum()
    source[:] = 100.0
    y.backward()
    np.testing.assert_array_equal(x.grad, [2, 4])
    out = x.numpy()
    out[:] = 0.0
    np.testing.assert_array_equal(x.data, [1, 2])
    h = x * 1.0
    with pytest.raises(ValueError, match="read-only"):
        h.data[0] = 5.0


# ---------------------------------------------------------------- threads

def run_in_threads(work: Callable[[int], Any], count: int = 4) -> list[Any]:
    results: list[Any] = [None] * count
    gate = threading.Barrier(count)

    def run(i: int) -> None:
        gate.wait()
        try:
            results[i] = work(i)
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


def test_no_grad_holds_in_its_own_thread_only() -> None:
    step = threading.Barrier(2)
    w = Tensor(2.0)

    def work(i: int) -> bool:
        if i == 0:
            with tg.no_grad():
                step.wait()
                tracked = (w * w).requires_grad
                step.wait()
            return tracked
        step.wait()
        tracked = (w * w).requires_grad
        step.wait()
        return tracked

    assert run_in_threads(work, 2) == [False, True]
    assert tg.recording()


def test_threads_record_side_by_side_over_shared_parameters() -> None:
    W = Tensor(np.arange(6.0).reshape(2, 3))

    def work(i: int) -> Any:
        total = np.zeros((2, 3))
        for _ in range(50):
            total += tg.grad(lambda V: tg.tanh(V @ np.full(3, 0.1 * (i + 1))).sum() + 0.0 * tg.sum(V))(W.data)
        return total / 50

    for i, found in enumerate(run_in_threads(work)):
        x = np.full(3, 0.1 * (i + 1))
        np.testing.assert_allclose(found, np.outer(1 - np.tanh(W.data @ x) ** 2, x), rtol=1e-12)
    assert W.grad is None


def test_ids_are_unique_across_threads() -> None:
    found = run_in_threads(lambda i: [Tensor(0.0).id for _ in range(2000)])
    flat = [n for ids in found for n in ids]
    assert len(set(flat)) == len(flat)
    assert all(ids == sorted(ids) for ids in found)


# ---------------------------------------------------------------- programs nobody thought of

UNARY: list[Callable[[Any], Any]] = [
    tg.tanh, tg.sin, tg.square, lambda x: x * 0.5 + 1.0, lambda x: tg.exp(-x * x), lambda x: -x, lambda x: x[..., ::-1],
    lambda x: tg.softmax(x, axis=-1), lambda x: tg.cumsum(x, axis=-1) * 0.3, lambda x: x.T.reshape(x.shape),
    lambda x: x - x.mean(), lambda x: x / (1.0 + tg.square(x)), lambda x: tg.logsumexp(x, axis=0, keepdims=True) + 0.0 * x,
    tg.sigmoid, lambda x: x[[0, 0]] + x[1], lambda x: tg.concatenate([x[1:], x[:1]]),
    lambda x: tg.broadcast_to(x[:, :1], x.shape), lambda x: tg.roll(x, 1, axis=1) * x, lambda x: tg.sqrt(1.0 + x * x),
]
BINARY: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / (1.0 + b * b), lambda a, b: a @ b.T @ a,
    tg.logaddexp, lambda a, b: a * b.sum(axis=0), lambda a, b: a + b[:, :1], lambda a, b: tg.hypot(a, b + 3.0),
    lambda a, b: tg.where(a.detach() > 0, a, b), lambda a, b: tg.einsum("ij,kj,kl->il", a, b, a) * 0.3,
    lambda a, b: tg.stack([a, b], axis=1).sum(axis=1) * 0.5, lambda a, b: tg.assign(a, (slice(None), 0), b[:, 1]),
]


@hypothesis.given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=14),
                  st.integers(0, 10**6))
def test_random_programs(steps: list[tuple[int, int, int]], seed: int) -> None:
    """Straight-line programs over two inputs: both modes, both evaluations and differences agree, at both orders."""
    rng = np.random.default_rng(seed)
    x, y, u, v = rng.normal(size=(4, 2, 3))

    def program(x: Any, y: Any, values: Any = None) -> Any:
        values = [] if values is None else values
        values += [x, y]
        for which, first, second in steps:
            a, b = values[first % len(values)], values[second % len(values)]
            chosen = which % (len(UNARY) + len(BINARY))
            values.append(UNARY[chosen](a) if chosen < len(UNARY) else BINARY[chosen - len(UNARY)](a, b))
        return tg.tanh(sum(value.mean() for value in values[2:]))

    a, b = Tensor(x), Tensor(y)
    nodes: list[Tensor] = []
    J = program(a, b, nodes)
    before = [np.array(node.data) for node in nodes]
    J.backward()
    plain = [None if node.grad is None else np.array(node.grad) for node in nodes]
    for node, was, grad in zip(nodes, before, plain, strict=True):
        np.testing.assert_array_equal(node.data, was)
        assert grad is None or grad.shape == node.shape
    a.zero_grad()
    b.zero_grad()
    J.backward(create_graph=True)
    for node, grad in zip(nodes, plain, strict=True):
        if grad is not None:
            np.testing.assert_allclose(node.grad.data, grad, rtol=1e-12, atol=1e-14)
    a.zero_grad()
    b.zero_grad()
    J.backward()
    for node, grad in zip(nodes, plain, strict=True):
        if grad is not None:
            np.testing.assert_array_equal(node.grad, grad)
    arrays = [t.grad for t in (a, b) if t.grad is not None]
    for i, array in enumerate(arrays):
        others = [*arrays[:i], *[node.grad for node in nodes[2:] if node.grad is not None], *[node.data for node in nodes]]
        assert not any(np.shares_memory(array, held) for held in others)
    dx, dy = (np.zeros((2, 3)) if t.grad is None else t.grad for t in (a, b))
    gradient = tg.grad(program, (0, 1))
    for one, other in zip((dx, dy), gradient(x, y), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    along = (dx * u).sum() + (dy * v).sum()
    _, tangent = tg.jvp(program, (x, y), (u, v))
    np.testing.assert_allclose(tangent, along, rtol=1e-9, atol=1e-11)
    h = 1e-5
    # where() and its kind may switch within h: compare only where a second step agrees with the first
    slopes = [(program(Tensor(x + s * u), Tensor(y + s * v)).item() - program(Tensor(x - s * u), Tensor(y - s * v)).item())
              / (2 * s) for s in (h, 2 * h)]
    if abs(slopes[0] - slopes[1]) < 1e-6 * (1 + abs(slopes[0])):
        np.testing.assert_allclose(along, slopes[0], rtol=1e-4, atol=1e-5)
    forward = tg.hvp(program, (x, y), (u, v))
    backward = tg.vjp(gradient, x, y)[1]((u, v))
    for one, other in zip(forward, backward, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-9)
    batched = tg.jacobian(program, (0, 1), mode="forward")(x, y)
    for one, other in zip(batched, (dx, dy), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


# ---------------------------------------------------------------- found by a fresh pair of eyes

def test_a_tensor_stored_in_a_plain_array_is_refused() -> None:
    Z, w = np.zeros(3), Tensor(2.0)
    with pytest.raises(ValueError) as caught:  # NumPy's; ours, its cause, is shown above it
        Z[0] = w * 3
    assert isinstance(caught.value.__cause__, tg.errors.DetachError) and "np.stack" in str(caught.value.__cause__)
    kept: list[Any] = [None]
    kept[0] = w * 3  # a list keeps the Tensor itself
    Z[1] = float(w * 3)  # said so
    Z[2] = w.data
    with tg.no_grad():
        Z[0] = w * 3
    np.testing.assert_array_equal(Z, [6, 6, 2])
    assert type(kept[0]) is Tensor


def test_a_detached_leaf_does_not_follow_its_leaf() -> None:
    w, v = Tensor([1.0, 2.0]), Tensor([1.0, 1.0])
    J = (w.detach() * v).sum()
    w.data -= 1
    J.backward()
    np.testing.assert_array_equal(v.grad, [1, 2])


def test_a_zero_target_keeps_its_slope() -> None:
    q = Tensor([[0.0, 1.0]])
    tg.categorical_cross_entropy(Tensor([[0.2, 0.8]]), q).backward()
    np.testing.assert_allclose(q.grad, [[-np.log(0.2), -np.log(0.8)]])


def test_remainders_where_the_quotient_rounds() -> None:
    assert tg.grad(lambda b: tg.remainder(1.0, b))(0.1) == -(1.0 // 0.1) == -9
    assert tg.grad(lambda b: tg.fmod(-1.0, b))(0.1) == 9


def test_full_like_records_its_fill() -> None:
    assert tg.grad(lambda s: np.full_like(Tensor(np.ones((2, 2))), s).sum())(2.0) == 4


def test_a_shut_gate_stops_infinite_gradients() -> None:
    """sqrt has an infinite slope at 0; behind relu, maximum and clip it must not become 0 · inf = nan."""
    with np.errstate(divide="ignore"):
        for f in (tg.relu, lambda x: tg.maximum(x, 0.0), lambda x: tg.clip(x, 0.0, None)):
            assert tg.grad(lambda x, f=f: tg.sqrt(f(x)))(-1.0) == 0
            np.testing.assert_array_equal(tg.grad(lambda x, f=f: tg.sqrt(f(x)).sum())([-1.0, 4.0]), [0, 0.25])


def test_what_is_no_function_is_told_at_once() -> None:
    with pytest.raises(TypeError, match=r"give it a function, as in tg\.value_and_grad\(f\)\(x\); got float"):
        tg.grad(3.0)
    with pytest.raises(ValueError, match=r"argnums names 'y', but there is no such argument\. It takes x"):
        tg.grad(lambda x: x, argnums="y")(1.0)
    with pytest.raises(tg.errors.GradientError, match=r"returns None\. Is a `return` missing"):
        tg.grad(lambda x: None)(1.0)


def test_vjp_keeps_its_own_primals() -> None:
    a = np.array([1.0, 1.0, 1.0])
    _, pull = tg.vjp(lambda x: x * x, a)
    a[0] = 100
    np.testing.assert_array_equal(pull(np.ones(3))[0], [2, 2, 2])


def test_attributes_of_a_model_are_named_in_errors() -> None:
    class Model:
        def __init__(self) -> None:
            self.W1 = Tensor(np.ones((4, 3)))
            self.params = {"b1": Tensor(np.ones((2, 1)))}

        def product(self, X: Any) -> Any:
            return self.W1 @ X

        def sum(self, X: Any) -> Any:
            return X + self.params["b1"]

    with pytest.raises(tg.errors.ShapeError, match=r"W1 \(4, 3\) @ X \(4, 5\)"):
        Model().product(np.ones((4, 5)))
    with pytest.raises(tg.errors.ShapeError, match=r"X \(4, 5\) \+ b1 \(2, 1\)"):
        Model().sum(np.ones((4, 5)))
