"""What a review of the surface found: wrong values, lost gradients, errors from inside; each with what showed it."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor

# ---------------------------------------------------------------- values and gradients


def test_average_of_infinite_entries_is_numpys() -> None:
    x, w = np.array([[1.0, np.inf], [1.0, 2.0]]), np.array([1.0, 3.0])
    assert np.array_equal(tg.average(Tensor(x), 0, w).numpy(), np.average(x, 0, w))


def test_average_along_several_axes_takes_weights_in_the_order_of_the_axes() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 4)), rng.random((4, 2))
    np.testing.assert_allclose(np.average(Tensor(x), (2, 0), w).numpy(), np.average(x, (2, 0), w))
    assert tg.check_gradients(lambda x, w: tg.average(x, (2, 0), w).sum(), x, w).ok


def test_average_refuses_what_numpy_refuses() -> None:
    with pytest.raises(ZeroDivisionError, match="sum to zero"):
        tg.average(Tensor([1.0, 2.0]), weights=[1.0, -1.0])
    with pytest.raises(np.exceptions.AxisError, match="axis 5"):
        tg.average(Tensor(np.ones((2, 3))), 5, np.ones(2))


@pytest.mark.parametrize("name", [
    "sigmoid", "log_sigmoid", "silu", "erf", "softplus", "mish", "gelu", "softmax", "squared_norm"])
def test_integer_constants_count_as_floats(name: str) -> None:
    function, x = getattr(tg, name), np.array([[2.0, 1.0], [0.0, -3.0]])
    got = function(Tensor(x).astype(int))
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got.numpy(), function(x))


def test_gradient_and_interpolate_of_integer_constants() -> None:
    x = Tensor([1.0, 2.0, 4.0, 7.0]).astype(int)
    assert tg.gradient(x).tolist() == [1.0, 1.5, 2.5, 3.0]
    assert tg.interpolate(x.reshape(1, 1, 4), 7, mode="linear", align_corners=True).reshape(-1)[1].item() == 1.5


@pytest.mark.parametrize("order", [0.3, 0.5, 0.9, -0.5, -1, -3])
@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
def test_norms_of_small_and_negative_orders(order: float, scale: float) -> None:
    x = np.array([1.0, -3.0, 2.0])
    np.testing.assert_allclose(np.linalg.norm(Tensor(scale * x), order).item() / scale, np.linalg.norm(x, order), rtol=1e-12)
    slope = np.sign(x) * (np.abs(x) / np.linalg.norm(x, order)) ** (order - 1)
    np.testing.assert_allclose(tg.grad(lambda x: np.linalg.norm(x, order))(scale * x), slope, rtol=1e-12)


@pytest.mark.parametrize("order", [0.5, -1.0, -2.0])
def test_norms_of_small_and_negative_orders_are_flat_at_zero_entries(order: float) -> None:
    slope = tg.grad(lambda x: np.linalg.norm(x, order))(np.array([0.0, 3.0, -4.0]))
    assert slope[0] == 0
    if order < 0:  # one entry 0 makes the norm 0, whatever the others are
        assert slope.tolist() == [0.0, 0.0, 0.0]
    else:
        np.testing.assert_allclose(slope[1:], tg.grad(lambda x: np.linalg.norm(x, order))(np.array([3.0, -4.0])))


@pytest.mark.parametrize("function", [tg.median, lambda x: tg.quantile(x, 0.3)])
def test_the_gradient_of_a_median_that_is_nan_is_nan(function: Any) -> None:
    assert np.isnan(tg.grad(function)(np.array([1.0, np.nan, 3.0, 2.0]))).all()


def test_scatter_add_into_integers_loses_no_fractions() -> None:
    assert tg.scatter_add([0, 0, 0], 0, [1, 1], np.array([0.5, 0.25])).tolist() == [0.0, 0.75, 0.0]
    for added in ([0.5], [2]):
        assert tg.scatter_add(np.zeros(2, np.float32), 0, [1], np.array(added)).dtype == np.float32
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the complex step loses nothing
        assert tg.check_gradients(lambda x: (tg.scatter_add(tg.zeros(2), 0, [0, 0], x) ** 2).sum(), [1.0, 2.0]).ok


def test_pooling_refuses_windows_that_see_padding_alone() -> None:
    with pytest.raises(tg.errors.ShapeError, match="padding alone"):
        tg.max_pool2d(Tensor(np.ones((1, 1, 1, 4))), (2, 1), padding=(1, 0), dilation=2)
    assert tg.max_pool1d(Tensor(np.ones((1, 1, 5))), 3, stride=1, padding=1, dilation=2).shape == (1, 1, 3)


def test_cond_of_an_empty_matrix_says_so() -> None:
    with pytest.raises(tg.errors.ShapeError, match="cond: shape"):
        tg.linalg.cond(Tensor(np.ones((0, 0))))


# ---------------------------------------------------------------- assignment


def test_a_row_of_a_constant_may_be_read_before_it_is_assigned() -> None:
    def f(x: Any) -> Any:
        A = tg.zeros((3, 4))
        before = A[1]
        A[1] = before + x
        A[:, 0] += x[0]
        A[2] += A[1] * x
        return (A * A).sum() + before.sum()

    def by_hand(x: Any) -> Any:
        a, b = np.zeros(4), np.zeros(4)
        first = np.array([1.0, 0.0, 0.0, 0.0])
        row0, row1 = a + first * x[0], b + x + first * x[0]
        row2 = first * x[0] + row1 * x
        return (row0 * row0).sum() + (row1 * row1).sum() + (row2 * row2).sum()

    x = np.array([0.5, -1.0, 2.0, 0.3])
    np.testing.assert_allclose(tg.grad(f)(x), tg.grad(by_hand)(x), rtol=1e-13)


@pytest.mark.parametrize("function", [
    lambda A: np.cumsum(A, axis=0), lambda A: np.kron(A, A), lambda A: np.tensordot(A, A, 1), lambda A: np.roll(A, 1),
    lambda A: np.linalg.solve(A, np.ones(2)), lambda A: np.pad(A, 0, mode="edge")], ids=lambda f: "")
def test_what_numpy_computes_anew_may_be_assigned_into(function: Any) -> None:
    def f(x: Any) -> Any:
        A = x * 2.0
        B = function(A)
        B[0] = 0.0
        return (B * B).sum() + A.sum()

    x = np.array([[1.0, 2.0], [3.0, 5.0]])
    assert tg.check_gradients(f, x).ok
    assert (tg.grad(lambda x: (x * 2.0).sum())(x) == 2.0).all()


@pytest.mark.parametrize("function", [
    lambda A: A[0], lambda A: A.T, lambda A: A.reshape(4), lambda A: A.T[::-1], lambda A: np.split(A, 2)[0]],
    ids=lambda f: "")
def test_what_numpy_makes_a_view_is_still_refused(function: Any) -> None:
    A = Tensor([[1.0, 2.0], [3.0, 5.0]]) * 2.0
    B = function(A)
    with pytest.raises(tg.errors.InPlaceError, match="NumPy would change too"):
        B[0] = 0.0


def _index(rng: Any) -> Any:
    return [
        lambda: int(rng.integers(-3, 3)), lambda: (slice(None), int(rng.integers(-4, 4))),
        lambda: (int(rng.integers(3)), slice(None, None, -1)), lambda: rng.random((3, 4)) < 0.5,
        lambda: (rng.permutation(3)[:2], int(rng.integers(4))), lambda: (Ellipsis, None, slice(0, 2)),
    ][rng.integers(6)]()


def _fill(x: Any, zeros: Any, seed: int) -> Any:
    """A program that assigns into a table at random, and uses it in between."""
    rng = np.random.default_rng(seed)
    A, used = zeros((3, 4)), 0.0
    for _ in range(rng.integers(2, 9)):
        index, kind = _index(rng), rng.integers(6)
        if kind == 0:
            A = A * x
        elif kind == 1:
            used = used + (A * A).sum() * x[2]
        elif kind == 2:
            A[index] += x[rng.integers(4)] * 1.5
        elif kind == 3:
            A[index] = float(rng.normal())
        elif kind == 4:
            A[index] = A[rng.integers(3), rng.integers(4)] * x[0] + x[1]
        else:
            A[index] = A[index] * x[1] + x[3]
    return (A * A * np.arange(12.0).reshape(3, 4)).sum() + used


def test_random_programs_that_assign_agree_with_numpy_and_the_complex_step() -> None:
    for seed in range(300):
        x = np.random.default_rng(seed + 10**6).normal(size=4)
        steps = x + 1e-30j * np.eye(4)
        slopes = [np.imag(_fill(z, lambda shape: np.zeros(shape, complex), seed)) / 1e-30 for z in steps]
        try:
            value, gradient = tg.value_and_grad(functools.partial(_fill, zeros=tg.zeros, seed=seed))(x)
        except tg.errors.GradientError:  # x is not used
            assert not np.any(slopes)
            continue
        np.testing.assert_allclose(value, _fill(x, np.zeros, seed), rtol=1e-12, err_msg=str(seed))
        np.testing.assert_allclose(gradient, slopes, rtol=1e-10, atol=1e-12, err_msg=str(seed))


# ---------------------------------------------------------------- dataclasses


@dataclasses.dataclass
class Scaled:
    W: Any
    times: int = 2

    def __post_init__(self) -> None:
        self.power = 3
        self.sizes = (len(self.W), [1, 2])
        self.mean = float(np.mean(self.W))

    @functools.cached_property
    def twice(self) -> Any:
        return 2 * self.W


def test_settings_beside_the_fields_of_a_dataclass_come_along() -> None:
    model = Scaled(np.ones(2))
    slope = tg.grad(lambda m: (m.times * m.sizes[0] * m.W**m.power).sum())(model)
    assert slope.W.tolist() == [12.0, 12.0]
    assert slope.power == 3


def test_numbers_that_were_made_of_the_fields_are_not_taken_for_constants() -> None:
    model = Scaled(np.ones(2))
    assert model.twice.tolist() == [2.0, 2.0]  # held from now on
    assert tg.grad(lambda m: (m.twice * m.W).sum())(model).W.tolist() == [4.0, 4.0]
    with pytest.raises(AttributeError, match="mean"):
        tg.grad(lambda m: (m.mean * m.W).sum())(model)


def test_a_compiled_function_sees_settings_beside_the_fields() -> None:
    @dataclasses.dataclass
    class Powered:
        W: Any

        def __post_init__(self) -> None:
            self.power = 3

    cubes, squares = Powered(np.full(2, 2.0)), Powered(np.full(2, 2.0))
    squares.power = 2
    total = tg.jit(lambda m: (m.W**m.power).sum())
    assert [float(total(m)) for m in (cubes, squares, cubes)] == [16.0, 8.0, 16.0]


# ---------------------------------------------------------------- checkpoint


def test_checkpoint_refuses_generators() -> None:
    def halves(x: Any) -> Any:
        yield x / 2

    x = Tensor([1.0, 2.0])
    with pytest.raises(TypeError, match=r"the result is a generator.*list\(\.\.\.\)"):
        tg.checkpoint(halves)(x)
    with pytest.raises(TypeError, match="an argument is a list_iterator"):
        tg.checkpoint(lambda items, x: (sum(items) * x).sum())(iter([1.0, 2.0]), x)


def test_checkpoint_refuses_results_it_cannot_look_into() -> None:
    class Held:
        def __init__(self, y: Any) -> None:
            self.y = y

    with pytest.raises(tg.errors.DTypeError, match=r"checkpoint.*the result is a Held"):
        tg.checkpoint(lambda x: Held(x * x))(Tensor(2.0))
    name, y = tg.checkpoint(lambda x: ("square", x * x))(Tensor(2.0))
    assert name == "square" and y.item() == 4.0
