"""Derivatives of functions: every transformation, every argument it takes, nested to any order in both modes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.errors import DTypeError, GradientError

rng = np.random.default_rng(7)
x0, y0, W0, A0 = rng.normal(size=3), rng.normal(size=3), rng.normal(size=(2, 3)), rng.normal(size=(3, 3))


def same(actual: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------- grad and value_and_grad

def test_M6_slopes_of_the_notes() -> None:
    assert tg.grad(lambda a: 3 * a)(2.0) == tg.grad(lambda a: 3 * a)(5.0) == 3
    assert tg.grad(lambda a: a**2)(2.0) == 4 and tg.grad(lambda a: a**2)(5.0) == 10
    assert tg.grad(lambda a: a**3)(2.0) == 12 and tg.grad(np.log)(2.0) == 0.5


def test_grad_takes_numbers_lists_arrays_and_tensors() -> None:
    f = lambda x: (x * x).sum()  # noqa: E731
    for x in ([1.0, 2.0], np.array([1.0, 2.0]), [1, 2], np.array([1, 2])):
        d = tg.grad(f)(x)
        assert type(d) is np.ndarray and d.dtype == np.float64
        same(d, [2, 4])
    constant = Tensor([1.0, 2.0], requires_grad=False)
    assert type(tg.grad(f)(constant)) is np.ndarray
    assert type(tg.grad(f)(Tensor([1.0, 2.0]))) is Tensor, "hangs on a tracked Tensor, so that it can be differentiated"
    assert tg.grad(f)(3) == 6 and isinstance(tg.grad(f)(3), np.float64)


def test_value_and_grad() -> None:
    value, gradient = tg.value_and_grad(lambda x, y: (x * y).sum())(x0, y0)
    assert type(value) is np.float64 and value == (x0 * y0).sum()
    same(gradient, y0)


@pytest.mark.parametrize("argnums", [0, 1, -1, (0,), (0, 1), (1, 0), (0, 2), (-1, 0)], ids=str)
def test_argnums(argnums: Any) -> None:
    f = lambda a, b, c: (a * b * b * c * c * c).sum()  # noqa: E731
    a, b, c = x0, y0, x0 + 2
    wanted = [b**2 * c**3, 2 * a * b * c**3, 3 * a * b**2 * c**2]
    found = tg.grad(f, argnums)(a, b, c)
    if isinstance(argnums, int):
        same(found, wanted[argnums])
    else:
        assert type(found) is tuple and len(found) == len(argnums)
        for d, i in zip(found, argnums, strict=True):
            same(d, wanted[i])


def test_one_array_passed_twice_is_two_arguments() -> None:
    dx, dy = tg.grad(lambda x, y: (x * x * y).sum(), (0, 1))(x0, x0)
    same(dx, 2 * x0 * x0)
    same(dy, x0 * x0)


def test_has_aux() -> None:
    def f(x: Any) -> Any:
        y = x * x
        return y.sum(), {"y": y, "note": None, "count": 3}

    gradient, aux = tg.grad(f, has_aux=True)(x0)
    same(gradient, 2 * x0)
    assert type(aux["y"]) is np.ndarray and aux["note"] is None and aux["count"] == 3
    same(aux["y"], x0 * x0)
    (value, aux), gradient = tg.value_and_grad(f, has_aux=True)(x0)
    assert value == (x0 * x0).sum() and aux["count"] == 3
    _, pull, aux = tg.vjp(f, x0, has_aux=True)
    same(pull(2.0)[0], 4 * x0)
    same(aux["y"], x0 * x0)
    _, t, aux = tg.jvp(f, x0, np.ones(3), has_aux=True)
    same(t, 2 * x0.sum())
    same(aux["y"], x0 * x0)


def test_keyword_arguments_are_passed_on_as_they_are() -> None:
    d = tg.grad(lambda x, power=1, scale=None: (scale * x**power).sum())(x0, power=3, scale=y0)
    same(d, 3 * y0 * x0**2)


def test_arguments_that_are_not_differentiated_stay_what_they_are() -> None:
    seen = []

    def f(x: Any, how: str, table: Any) -> Any:
        seen.append((how, type(table)))
        return x * table[how]

    assert tg.grad(f)(2.0, "double", {"double": 2.0}) == 2
    assert seen == [("double", dict)]


def test_names_of_derived_functions() -> None:
    def cost(x: Any) -> Any:
        return x * x

    assert tg.grad(cost).__name__ == "grad(cost)"
    assert tg.value_and_grad(cost).__name__ == "value_and_grad(cost)"
    assert tg.hessian(cost).__name__ == "hessian(cost)"


# ---------------------------------------------------------------- nested containers

class Layer(NamedTuple):
    W: Any
    b: Any


def network(parameters: Any, X: Any) -> Any:
    first, (second, extra) = parameters["layers"][0], parameters["layers"][1]
    h = tg.tanh(first.W @ X + first.b)
    return (second["W"] @ h).sum() * extra + parameters["bias"]


def test_nested_containers_come_back_nested() -> None:
    parameters = {"layers": [Layer(W0, np.ones((2, 1))), ({"W": np.ones((1, 2)), "none": None}, np.float32(2.0))],
                  "bias": 3}
    gradient = tg.grad(network)(parameters, A0)
    assert list(gradient) == ["layers", "bias"]
    first, (second, extra) = gradient["layers"]
    assert type(first) is Layer and first.W.shape == (2, 3) and first.b.shape == (2, 1)
    assert second["none"] is None and second["W"].shape == (1, 2)
    assert extra.dtype == np.float32 and gradient["bias"] == 1
    H = np.tanh(W0 @ A0 + 1)
    same(first.W, 2 * (1 - H * H) @ A0.T)
    same(second["W"], 2 * H.sum(axis=1, keepdims=True).T)


def test_a_tuple_of_nests_by_argnums() -> None:
    f = lambda p, q: p["a"] * q[0] + q[1]["b"] ** 2  # noqa: E731
    dp, dq = tg.grad(f, (0, 1))({"a": 2.0}, [3.0, {"b": 5.0}])
    assert dp == {"a": 3.0} and dq == [2.0, {"b": 10.0}]


def test_lists_of_numbers_are_arrays_and_lists_of_arrays_are_lists() -> None:
    assert type(tg.grad(lambda x: x.sum())([1.0, 2.0])) is np.ndarray
    assert type(tg.grad(lambda x: x.sum())([[1.0, 2.0], [3.0, 4.0]])) is np.ndarray
    d = tg.grad(lambda xs: (xs[0] * xs[1]).sum())([x0, y0])
    assert type(d) is list
    same(d[0], y0)
    assert tg.grad(lambda x: 2.0)({}) == {} and tg.grad(lambda x: 2.0)(None) is None


def test_functions_returning_containers() -> None:
    f = lambda x: {"square": x * x, "sum": [x.sum(), None]}  # noqa: E731
    y, pull = tg.vjp(f, x0)
    assert list(y) == ["square", "sum"] and y["sum"][1] is None
    (d,) = pull({"square": np.ones(3), "sum": [10.0, None]})
    same(d, 2 * x0 + 10)
    y, t = tg.jvp(f, x0, y0)
    same(t["square"], 2 * x0 * y0)
    same(t["sum"][0], y0.sum())
    J = tg.jacobian(f)(x0)
    same(J["square"], np.diag(2 * x0))
    same(J["sum"][0], np.ones(3))


# ---------------------------------------------------------------- vjp and jvp

def test_vjp_may_be_pulled_many_times() -> None:
    y, pull = tg.vjp(lambda x, W: W @ tg.exp(x), x0, W0)
    same(y, W0 @ np.exp(x0))
    for g in np.eye(2):
        dx, dW = pull(g)
        same(dx, W0.T @ g * np.exp(x0))
        same(dW, np.outer(g, np.exp(x0)))
    first = pull(np.ones(2))
    first[0][:] = 0
    same(pull(np.ones(2))[0], W0.sum(axis=0) * np.exp(x0))


def test_vjp_of_a_single_number_needs_no_weight() -> None:
    _, pull = tg.vjp(lambda x: (x * x).sum(), x0)
    same(pull()[0], 2 * x0)


def test_vjp_is_linear_and_differentiable_in_its_weights() -> None:
    """pull is itself a function of g: its derivative is the jvp."""
    f = lambda x: tg.sin(x) * x  # noqa: E731
    _, pull = tg.vjp(f, x0)
    for mode in ("forward", "reverse"):
        transposed = tg.jacobian(lambda g: pull(g)[0], mode=mode)(np.ones(3))
        assert type(transposed) is np.ndarray
        same(transposed, tg.jacobian(f)(x0).T)


def test_jvp_is_differentiable_in_its_tangents() -> None:
    f = lambda x: tg.exp(A0 @ x)  # noqa: E731
    weights = tg.grad(lambda u: (y0 * tg.jvp(f, x0, u)[1]).sum())(np.ones(3))
    assert type(weights) is np.ndarray
    same(weights, y0 @ tg.jacobian(f)(x0))
    same(tg.grad(lambda x: (y0 * tg.jvp(f, x, x)[1]).sum())(x0),
         tg.grad(lambda x: (y0 * f(x) * (A0 @ x)).sum())(x0))


def test_jvp_takes_bare_or_tuple_arguments() -> None:
    same(tg.jvp(np.sin, 0.3, 2.0)[1], 2 * math.cos(0.3))
    same(tg.jvp(lambda a, b: a * b, (2.0, 3.0), (1.0, 10.0))[1], 23)
    y, t = tg.jvp(lambda p: p["W"] @ p["x"], {"W": W0, "x": x0}, {"W": np.ones((2, 3)), "x": y0})
    same(y, W0 @ x0)
    same(t, np.ones((2, 3)) @ x0 + W0 @ y0)


def test_integer_tangents_and_primals() -> None:
    value, tangent = tg.jvp(lambda x: x * x, 3, 1)
    assert (value, tangent) == (9, 6)
    assert tg.jvp(lambda x: x * x, np.array([1, 2]), np.array([1, 0]))[1].tolist() == [2, 0]


def test_results_share_no_memory_with_arguments() -> None:
    x, v = np.ones(3), np.ones(3)
    for f in (lambda x: x, lambda x: x + 0.0, lambda x: x.reshape(3), lambda x: x[::-1]):
        (d,) = tg.vjp(f, x)[1](v)
        t = tg.jvp(f, x, v)[1]
        for array in (d, t, tg.jacobian(f)(x)):
            assert not np.shares_memory(array, v) and not np.shares_memory(array, x)
            array[...] = 5.0
        assert x.tolist() == v.tolist() == [1, 1, 1]
    a, b = tg.grad(lambda a, b: (a + b).sum(), (0, 1))(x, x)
    assert not np.shares_memory(a, b)


# ---------------------------------------------------------------- jacobian, hessian, hvp

def vector_function(x: Any) -> Any:
    return tg.stack([x[0] * x[1], tg.sin(x[2]), x[0] ** 2 * x[2], tg.exp(x[1])])


VECTOR_JACOBIAN = np.array([[x0[1], x0[0], 0], [0, 0, np.cos(x0[2])], [2 * x0[0] * x0[2], 0, x0[0] ** 2],
                            [0, np.exp(x0[1]), 0]])


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_jacobian(mode: str) -> None:
    same(tg.jacobian(vector_function, mode=mode)(x0), VECTOR_JACOBIAN)
    J = tg.jacobian(lambda W, x: W @ x, argnums=(0, 1), mode=mode)(W0, x0)
    same(J[0], np.einsum("ik,j->ikj", np.eye(2), x0))
    same(J[1], W0)
    J = tg.jacobian(lambda X: X.T @ X, mode=mode)(W0)
    assert J.shape == (3, 3, 2, 3)
    eye = np.eye(3)
    same(J, np.einsum("kj,il->ijkl", W0, eye) + np.einsum("ki,jl->ijkl", W0, eye))
    slope = tg.jacobian(lambda x: x * 3, mode=mode)(2.0)
    assert slope == 3 and type(slope) is np.float64
    assert tg.jacobian(lambda x: x * np.ones((2, 2)), mode=mode)(2.0).shape == (2, 2)
    assert tg.jacobian(lambda x: x[:0], mode=mode)(x0).shape == (0, 3)
    assert tg.jacobian(lambda x: x.sum(), mode=mode)(np.zeros((0, 2))).shape == (0, 2)
    assert tg.jacobian(lambda x: 2.0, mode=mode)(x0).tolist() == [0, 0, 0]


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_jacobian_of_containers(mode: str) -> None:
    f = lambda p: {"y": p["W"] @ p["x"], "z": p["x"].sum()}  # noqa: E731
    J = tg.jacobian(f, mode=mode)({"W": W0, "x": x0})
    assert J["y"]["W"].shape == (2, 2, 3) and J["z"]["W"].shape == (2, 3)
    same(J["y"]["x"], W0)
    same(J["z"]["x"], np.ones(3))
    assert not J["z"]["W"].any()


@pytest.mark.parametrize("chunk", [1, 8, 20])
def test_jacobian_in_several_sweeps(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directions that do not fit into memory together go in batches."""
    monkeypatch.setattr("tinygrad_edu.matrices._CHUNK", chunk)
    f = lambda W: tg.softmax(W @ A0) @ x0  # noqa: E731
    same(tg.jacobian(f, mode="forward")(W0), tg.jacobian(f, mode="reverse")(W0))
    same(tg.hessian(lambda W: f(W).sum())(W0), tg.jacobian(tg.grad(lambda W: f(W).sum()), mode="reverse")(W0))


def test_jacobian_through_the_whole_house_in_both_modes() -> None:
    """A longer function that meets most batched tangents in one walk."""
    def f(W: Any, b: Any, x: Any) -> Any:
        h = tg.tanh(x @ W.T + b)
        h = tg.concatenate([h, h[:, ::-1] * 2.0], axis=1)
        s = tg.softmax(h, axis=1)
        m = s.mean(axis=0, keepdims=True) - s.max(axis=1, keepdims=True)
        p = tg.cumsum(m, axis=1).reshape(-1)[tg.argsort(np.arange(4.0))]
        q = tg.einsum("ij,kj->ik", m, h).T.ravel()
        return tg.concatenate([p * 1.0, q, tg.sort(q)[1:], tg.stack([p.sum(), p.prod()]), tg.where(q > 0, q, q * q)])

    args = (W0, np.array([0.1, -0.2]), rng.normal(size=(3, 3)))
    forward, reverse = (tg.jacobian(f, (0, 1, 2), mode=mode)(*args) for mode in ("forward", "reverse"))
    for a, b in zip(forward, reverse, strict=True):
        same(a, b)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (1, 3)], ids=str)
def test_M122_M123_layouts_of_matrix_calculus(shape: tuple[int, ...]) -> None:
    """α = yᵀAx: ∂α/∂x = yᵀA as a row (numerator layout), and its transpose."""
    x, y = x0.reshape(shape), y0
    f = lambda x: y @ A0 @ x.reshape(3)  # noqa: E731
    same(tg.jacobian(f, layout="numerator")(x), (y @ A0).reshape(1, 3))
    same(tg.jacobian(f, layout="denominator")(x), (y @ A0).reshape(3, 1))
    same(tg.jacobian(lambda y: y.reshape(3) @ A0 @ x0, layout="numerator")(y0.reshape(shape)), (A0 @ x0).reshape(1, 3))
    g = lambda x: A0[:2] @ x.reshape(3, 1)  # noqa: E731
    same(tg.jacobian(g, layout="numerator")(x), A0[:2])
    same(tg.jacobian(g, layout="denominator")(x), A0[:2].T)
    assert tg.jacobian(lambda x: x.sum() * 2, layout="numerator")(np.float64(1.0)).shape == (1, 1)


def test_M125_M126_hessian_of_a_quadratic_form() -> None:
    f = lambda x: x @ A0 @ x  # noqa: E731
    same(tg.grad(f)(x0), x0 @ (A0 + A0.T))
    same(tg.hessian(f)(x0), A0 + A0.T)
    S = A0 + A0.T
    same(tg.grad(lambda x: x @ S @ x)(x0), 2 * x0 @ S)


def test_hessian_shapes_and_containers() -> None:
    f = lambda W, x: tg.sum(tg.tanh(W @ x) ** 2)  # noqa: E731
    H = tg.hessian(f)(W0, x0)
    assert H.shape == (2, 3, 2, 3)
    same(H, np.transpose(H, (2, 3, 0, 1)))
    (ww, wx), (xw, xx) = tg.hessian(f, (0, 1))(W0, x0)
    same(ww, H)
    assert wx.shape == (2, 3, 3) and xw.shape == (3, 2, 3) and xx.shape == (3, 3)
    same(wx, np.transpose(xw, (1, 2, 0)))
    nested = tg.hessian(lambda p: p["a"] ** 2 * p["b"])({"a": 2.0, "b": 3.0})
    assert nested == {"a": {"a": 6, "b": 4}, "b": {"a": 4, "b": 0}}
    assert tg.hessian(lambda x: x**3)(2.0) == 12


def test_hessian_of_rosenbrock() -> None:
    f = lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2  # noqa: E731
    a, b = 0.7, 0.3
    same(tg.hessian(f)(np.array([a, b])), [[2 - 400 * (b - 3 * a * a), -400 * a], [-400 * a, 200]])


def test_hvp_is_hessian_times_vector() -> None:
    f = lambda x: tg.logsumexp(A0 @ x) + tg.prod(x)  # noqa: E731
    same(tg.hvp(f, x0, y0), tg.hessian(f)(x0) @ y0)
    dW, dx = tg.hvp(lambda W, x: tg.sum(tg.sin(W @ x)), (W0, x0), (np.ones((2, 3)), y0))
    H = tg.hessian(lambda W, x: tg.sum(tg.sin(W @ x)), (0, 1))(W0, x0)
    same(dW, np.tensordot(H[0][0], np.ones((2, 3)), 2) + H[0][1] @ y0)
    same(dx, np.tensordot(H[1][0], np.ones((2, 3)), 2) + H[1][1] @ y0)
    assert tg.hvp(lambda x: x**3, 2.0, 1.0) == 12
    d = tg.hvp(lambda p: p["a"] ** 2 * p["b"], {"a": 2.0, "b": 3.0}, {"a": 1.0, "b": 0.0})
    assert d == {"a": 6, "b": 4}


def test_elementwise_grad() -> None:
    x = np.linspace(-3, 3, 13)
    y = x
    for derivative in (np.tanh, lambda x: 1 - np.tanh(x) ** 2, lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2)):
        same((tg.tanh if derivative is np.tanh else y)(x), derivative(x))
        y = tg.elementwise_grad(tg.tanh if derivative is np.tanh else y)
    a, b = tg.elementwise_grad(lambda a, b: a * b * b, (0, 1))(x, x + 1)
    same(a, (x + 1) ** 2)
    same(b, 2 * x * (x + 1))


# ---------------------------------------------------------------- orders one to four, modes mixed

def forward(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: tg.jvp(f, x, 1.0)[1]


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], float, Callable[[float], list[float]]]] = {
    "exp": (lambda x: tg.exp(2 * x), 0.3, lambda x: [2**k * math.exp(2 * x) for k in range(1, 5)]),
    "sin": (tg.sin, 0.7, lambda x: [math.cos(x), -math.sin(x), -math.cos(x), math.sin(x)]),
    "power": (lambda x: x**5, 1.2, lambda x: [5 * x**4, 20 * x**3, 60 * x**2, 120 * x]),
    "log": (tg.log, 1.5, lambda x: [1 / x, -1 / x**2, 2 / x**3, -6 / x**4]),
    "divide": (lambda x: 1 / (1 + x), 0.5,
               lambda x: [-1 / (1 + x) ** 2, 2 / (1 + x) ** 3, -6 / (1 + x) ** 4, 24 / (1 + x) ** 5]),
    "sum": (lambda x: tg.sum(x * np.arange(3.0)) ** 2, 0.5, lambda x: [18 * x, 18, 0, 0]),
    "matmul": (lambda x: tg.stack([x, 1 + x]) @ tg.stack([x * x, x]), 0.5,
               lambda x: [3 * x**2 + 2 * x + 1, 6 * x + 2, 6, 0]),
    "prod": (lambda x: tg.prod(tg.stack([x, x, x, x])), 0.0, lambda x: [0, 0, 0, 24]),
    "max": (lambda x: tg.max(tg.stack([x**4, -x])), 1.1, lambda x: [4 * x**3, 12 * x * x, 24 * x, 24]),
    "index": (lambda x: tg.stack([x, x**3])[[1, 1]].sum(), 0.9, lambda x: [6 * x**2, 12 * x, 12, 0]),
    "sigmoid": (tg.sigmoid, 0.4, lambda x: _sigmoid_derivatives(x)),
    "sqrt": (tg.sqrt, 2.0, lambda x: [x**-0.5 / 2, -(x**-1.5) / 4, 3 * x**-2.5 / 8, -15 * x**-3.5 / 16]),
    "var": (lambda x: tg.var(tg.stack([x, x * x, 1.0 + 0 * x])), 0.8, lambda x: _var_derivatives(x)),
}


def _sigmoid_derivatives(x: float) -> list[float]:
    s = 1 / (1 + math.exp(-x))
    return [s - s**2, s - 3 * s**2 + 2 * s**3, s - 7 * s**2 + 12 * s**3 - 6 * s**4,
            s - 15 * s**2 + 50 * s**3 - 60 * s**4 + 24 * s**5]


def _var_derivatives(x: float) -> list[float]:
    """var of (x, x², 1) = (x² + x⁴ + 1)/3 − ((x + x² + 1)/3)², as a polynomial."""
    p = np.polynomial.Polynomial([1 / 3, 0, 1 / 3, 0, 1 / 3]) - np.polynomial.Polynomial([1 / 3, 1 / 3, 1 / 3]) ** 2
    return [float(p.deriv(k)(x)) for k in range(1, 5)]


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_orders_one_to_four_in_every_mixture_of_modes(name: str) -> None:
    f, x, exact = FUNCTIONS[name]
    for order in (1, 2, 3, 4):
        wanted = exact(x)[order - 1]
        mixtures = itertools.product((tg.grad, forward), repeat=order) if order < 4 else [
            (tg.grad,) * 4, (forward,) * 4, (tg.grad, forward, tg.grad, forward), (forward, tg.grad, tg.grad, forward)]
        for modes in mixtures:
            derivative = f
            for mode in modes:
                derivative = mode(derivative)
            same(derivative(x), wanted, 1e-10)


def test_jacobians_of_jacobians() -> None:
    f = lambda x: tg.stack([x[0] ** 2 * x[1], x[1] ** 3])  # noqa: E731
    a, b = 1.5, -0.5
    for outer, inner in itertools.product(("forward", "reverse"), repeat=2):
        H = tg.jacobian(tg.jacobian(f, mode=inner), mode=outer)(np.array([a, b]))
        same(H, [[[2 * b, 2 * a], [2 * a, 0]], [[0, 0], [0, 6 * b]]])


def test_mixed_derivatives_of_two_variables() -> None:
    f = lambda x, y: tg.sin(x * y) * x  # noqa: E731
    x, y = 0.7, 1.3
    wanted = math.cos(x * y) * x * 2 - math.sin(x * y) * x * x * y
    same(tg.grad(lambda y: tg.grad(f)(x, y))(y), wanted)
    same(tg.grad(lambda x: tg.grad(f, 1)(x, y))(x), wanted)
    same(tg.jvp(lambda y: tg.jvp(lambda x: f(x, y), x, 1.0)[1], y, 1.0)[1], wanted)


def test_derivatives_close_over_variables_of_an_outer_gradient() -> None:
    def cost(w: Any) -> Any:
        slope = tg.grad(lambda x: (w * x**3).sum())(np.ones(2))  # 3w
        curvature = tg.hessian(lambda x: w[0] * x**2)(1.0)  # 2 w0
        J = tg.jacobian(lambda x: w * x)(2.0)  # w
        push = tg.jvp(lambda x: w * x * x, 2.0, 1.0)[1]  # 4w
        _, pull = tg.vjp(lambda x: w * x, np.ones(2))
        return slope.sum() + curvature + J.sum() + push.sum() + pull(np.ones(2))[0].sum()

    same(tg.grad(cost)(np.array([2.0, 5.0])), [3 + 2 + 1 + 4 + 1, 3 + 1 + 4 + 1])
    same(tg.jacobian(cost, mode="forward")(np.array([2.0, 5.0])), [11, 9])


def test_unrolled_gradient_descent_is_differentiated_by_its_step() -> None:
    def final(rate: Any) -> Any:
        w = np.array([1.0, -2.0])
        for _ in range(5):
            w = w - rate * tg.grad(lambda w: (w * w).sum())(w)
        return (w * w).sum()

    rate = 0.1  # w shrinks by (1 − 2 rate) each time
    same(tg.grad(final)(rate), 5 * -20 * (1 - 2 * rate) ** 9, 1e-10)


# ---------------------------------------------------------------- types

def test_float32_stays_float32_through_every_transformation() -> None:
    x = x0.astype(np.float32)
    f = lambda x: tg.sum(tg.sin(x) * x)  # noqa: E731
    g = lambda x: tg.sin(x) * x  # noqa: E731
    for d in (tg.grad(f)(x), tg.value_and_grad(f)(x)[0], tg.vjp(g, x)[1](np.ones(3))[0], tg.jvp(g, x, np.ones(3))[1],
              tg.jacobian(g, mode="forward")(x), tg.jacobian(g, mode="reverse")(x), tg.hessian(f)(x), tg.hvp(f, x,
                                                                                                             np.ones(3)),
              tg.elementwise_grad(g)(x), tg.grad(f)(x[0])):
        assert d.dtype == np.float32
    same(tg.grad(f)(x), np.cos(x0) * x0 + np.sin(x0), 1e-6)


def test_zeros_for_what_is_not_reached() -> None:
    x32 = np.ones((2, 2), np.float32)
    f = lambda a, b: (a * a).sum()  # noqa: E731
    for zero in (tg.grad(f, 1)(x0, x32), tg.vjp(f, x0, x32)[1]()[1], tg.jacobian(f, 1, mode="reverse")(x0, x32),
                 tg.jacobian(f, 1, mode="forward")(x0, x32)):
        assert zero.shape == (2, 2) and zero.dtype == np.float32 and not zero.any()
    second = tg.hessian(lambda x: x.sum())(x0)
    assert second.shape == (3, 3) and not second.any()
    assert tg.grad(tg.grad(lambda x: 3 * x))(2.0) == 0
    assert tg.grad(lambda x: tg.grad(lambda y: 2.0)(x))(2.0) == 0
    assert tg.hvp(lambda x: 3 * x, 2.0, 1.0) == 0


def test_zeros_are_writable_and_separate() -> None:
    a, b = tg.grad(lambda a, b: 2.0, (0, 1))(np.ones(3), np.ones(3))
    a += 1
    assert b.tolist() == [0, 0, 0]


def test_graphs_are_not_left_behind() -> None:
    """Derivatives at plain arrays are plain, so nothing is held."""
    f = lambda x: tg.sum(x**3)  # noqa: E731
    for result in (tg.grad(f)(x0), tg.hessian(f)(x0), tg.hvp(f, x0, x0), tg.jvp(f, x0, x0)[1], tg.jacobian(f)(x0),
                   tg.value_and_grad(f)(x0)[0], tg.vjp(f, x0)[0], tg.vjp(f, x0)[1]()[0]):
        assert not isinstance(result, Tensor)


# ---------------------------------------------------------------- check_gradients

def test_check_finds_agreement_to_complex_step_accuracy() -> None:
    check = tg.check_gradients(lambda x, W: tg.sum(np.sin(W @ x) ** 2), x0, W0)
    assert check and check.ok and check.method == "complex step"
    assert len(check.rows) == 9 and check.worst < 1e-14
    assert {name for name, *_ in check.rows} == {"x", "W"}
    assert "9 entries against complex step" in repr(check)


def test_check_uses_differences_where_complex_numbers_do_not_run() -> None:
    check = tg.check_gradients(lambda x: tg.sum(tg.maximum(x, 0.1) * abs(x)), np.array([0.5, 2.0]))
    assert check.ok and check.method == "central differences" and check.worst < 1e-8


def test_check_of_several_results_and_nests() -> None:
    check = tg.check_gradients(lambda p: {"y": p["W"] @ p["x"], "z": [tg.exp(p["x"])]}, {"W": W0, "x": x0})
    assert check.ok and len(check.rows) == 9
    assert tg.check_gradients(lambda x: x * 2, 3).ok, "an integer is a float64 here"
    assert tg.check_gradients(tg.exp, Tensor(0.5)).ok


def wrong_primitive(factor: float, scale: float = 1.0) -> Callable[..., Any]:
    @tg.primitive(lambda g, y, x: g * factor * 2 * x * scale, kind="pointwise")
    def square(x: Any) -> Any:
        return x * x * scale

    return square  # type: ignore[no-any-return]


@pytest.mark.parametrize("factor", [-1.0, 0.5, 2.0, 1.001, 1.00001])
def test_check_finds_wrong_rules(factor: float) -> None:
    check = tg.check_gradients(wrong_primitive(factor), x0)
    assert not check and not check.ok
    assert check.worst > 1e-6 and "DIFFER" in repr(check)
    with pytest.raises(GradientError, match=r"check_gradients: gradients DIFFER"):
        check.raise_if_wrong()


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e6, 1e12])
def test_check_judges_small_and_large_gradients_alike(scale: float) -> None:
    """The error is relative: a wrong factor shows at any size, and a right rule passes at any size."""
    assert tg.check_gradients(wrong_primitive(1.0, scale), x0).ok
    assert not tg.check_gradients(wrong_primitive(2.0, scale), x0).ok


def test_check_names_the_worst_entry() -> None:
    @tg.primitive(lambda g, y, x: g * 2 * x + g * (np.arange(x.shape[0]) == 2))
    def square(x: Any) -> Any:
        return x * x

    check = tg.check_gradients(square, np.array([1.0, 2.0, 3.0, 4.0]))
    assert not check.ok
    name, entry, autodiff, reference, error = max(check.rows, key=lambda row: row[4])
    assert (name, entry) == ("x", (2,)) and error > 1e-6
    assert autodiff / reference == pytest.approx(7 / 6)
    assert "[2]" in repr(check).splitlines()[1]


@pytest.mark.parametrize("f, x, left, right", [
    (tg.relu, 0.0, 0, 1), (abs, 0.0, -1, 1), (lambda x: tg.maximum(x, 2 * x), 0.0, 1, 2),
    (lambda x: tg.clip(x, 0, 1), 1.0, 1, 0), (lambda x: tg.leaky_relu(x, 0.1), 0.0, 0.1, 1),
], ids=["relu", "abs", "maximum", "clip", "leaky_relu"])
def test_check_lists_kinks_apart(f: Any, x: float, left: float, right: float) -> None:
    check = tg.check_gradients(f, x)
    assert check.ok and check.rows == [] and len(check.kinks) == 1
    _, _, chosen, found_left, found_right = check.kinks[0]
    assert found_left == pytest.approx(left, abs=1e-3) and found_right == pytest.approx(right, abs=1e-3)
    assert min(left, right) <= chosen <= max(left, right)
    assert "kink at" in repr(check)
    smooth = tg.check_gradients(f, x + 0.37)
    assert smooth.ok and smooth.kinks == []


def test_steep_but_smooth_is_no_kink() -> None:
    for f, x in ((tg.exp, 20.0), (lambda x: x**10, 3.0), (lambda x: tg.sin(50 * x), 0.3), (lambda x: 1 / x, 0.01),
                 (lambda x: tg.sigmoid(100 * x), 0.01), (tg.square, 1e6), (lambda x: x * x, 0.0)):
        check = tg.check_gradients(f, x)
        assert check.kinks == [] and check.ok, (check, x)


def test_a_slope_outside_the_kink_is_wrong() -> None:
    @tg.primitive(lambda g, y, x: g * 5.0, kind="pointwise")
    def ramp(x: Any) -> Any:
        return np.maximum(x, 0)

    assert not tg.check_gradients(ramp, 0.0).ok


def test_check_refuses_float32() -> None:
    with pytest.raises(DTypeError, match="float32"):
        tg.check_gradients(tg.exp, 1.0, np.ones(2, np.float32))


def test_check_samples_large_arguments() -> None:
    check = tg.check_gradients(lambda x: (x**3).sum(), rng.normal(size=1000), max_entries=20)
    assert check.ok and len(check.rows) == 20
    again = tg.check_gradients(lambda x: (x**3).sum(), np.ones(1000), max_entries=20, seed=3)
    assert [row[1] for row in again.rows] != [row[1] for row in check.rows]


def test_check_leaves_arguments_alone() -> None:
    x = x0.copy()
    x.flags.writeable = False
    assert tg.check_gradients(lambda x: (x * x).sum(), x).ok


def test_complex_step_agrees_on_every_analytic_function() -> None:
    """Im f(x + ih)/h on NumPy's own functions against the engine: agreement to 1e-14."""
    for name in ("exp", "expm1", "log", "log2", "log10", "log1p", "sqrt", "sin", "cos", "tan", "arcsin", "arccos",
                 "arctan",
                 "sinh", "cosh", "tanh", "arcsinh", "arctanh", "square", "reciprocal"):
        f = getattr(np, name)
        for x in (0.11, 0.47, 0.83):
            exact = f(complex(x, 1e-30)).imag / 1e-30
            assert abs(tg.grad(f)(x) / exact - 1) < 1e-14, name
            assert abs(tg.jvp(f, x, 1.0)[1] / exact - 1) < 1e-14, name


# ---------------------------------------------------------------- primitives of one's own

def test_a_primitive_as_decorator() -> None:
    @tg.primitive(lambda g, y, x: g * y, kind="pointwise", samples=[(0.5,), (np.array([1.0, 2.0]),)])
    def my_exp(x: Any) -> Any:
        """e to the x."""
        return np.exp(x)

    assert my_exp.__name__ == "my_exp" and my_exp.__doc__ == "e to the x."
    assert type(my_exp(np.ones(2))) is np.ndarray, "on arrays it just computes"
    t = Tensor([0.0, 1.0])
    y = my_exp(t)
    assert y.op.name == "my_exp"
    y.sum().backward()
    same(t.grad, np.exp([0.0, 1.0]))
    for f in (tg.grad(tg.grad(my_exp)), forward(forward(my_exp)), forward(tg.grad(my_exp)), tg.grad(forward(my_exp))):
        same(f(0.5), math.exp(0.5))
    same(tg.jacobian(my_exp, mode="forward")(x0), np.diag(np.exp(x0)))


def test_a_primitive_as_a_call_with_two_operands_and_parameters() -> None:
    blend = tg.primitive(lambda g, y, a, b, weight: g * weight, lambda g, y, a, b, weight: g * (1 - weight),
                         name="blend", kind="pointwise")(lambda a, b, weight: weight * a + (1 - weight) * b)
    a, b = tg.grad(lambda a, b: blend(a, b, weight=0.25).sum(), (0, 1))(np.ones((2, 3)), np.ones(3))
    same(a, np.full((2, 3), 0.25))
    same(b, np.full(3, 1.5))  # the engine sums what was broadcast
    assert blend(Tensor(1.0), 2.0, weight=0.5).op.name == "blend"


def test_a_primitive_with_an_operand_that_has_no_derivative() -> None:
    pick = tg.primitive(lambda g, y, x, _i: tg.where(np.arange(_i.shape[0]) < 9, g, 0.0) * 1.0, None, kind="general",
                        name="keep")(lambda x, i: x + 0 * i)
    x, i = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
    pick(x, i).sum().backward()
    same(x.grad, [1, 1])
    assert i.grad is None or not i.grad.any()


def test_a_primitive_may_return_python_numbers_and_lists() -> None:
    exponential = tg.primitive(lambda g, y, x: g * y)(math.exp)
    t = Tensor(1.0)
    y = exponential(t)
    assert y.shape == () and y.dtype == np.float64
    (y * 2).backward()
    same(t.grad, 2 * math.e)
    double = tg.primitive(lambda g, y, x: 2 * g, name="double")(lambda x: [2 * v for v in x])
    same(tg.jacobian(double)(x0), 2 * np.eye(3))
    whole = tg.primitive(lambda g, y, x: 0 * g, name="whole")(lambda x: int(x))
    assert whole(Tensor(2.5)).dtype == np.float64


@pytest.mark.parametrize("kind", ["linear", "general"])
def test_a_linear_primitive(kind: str) -> None:
    reverse = tg.primitive(lambda g, y, x: reverse(g), kind=kind, name="reverse")(lambda x: x[::-1].copy())
    same(tg.grad(lambda x: (reverse(x) * y0).sum())(x0), y0[::-1])
    same(tg.jvp(reverse, x0, y0)[1], y0[::-1])
    same(tg.hessian(lambda x: (reverse(x) * x).sum())(x0), 2 * np.eye(3)[::-1])
    same(tg.jacobian(reverse, mode="forward")(x0), np.eye(3)[::-1])


def test_a_multilinear_primitive() -> None:
    times = tg.primitive(lambda g, y, a, b: g @ b.T, lambda g, y, a, b: a.T @ g, kind="multilinear", name="times",
                         samples=[(W0, A0)])(lambda a, b: a @ b)
    same(tg.jvp(times, (W0, A0), (np.ones((2, 3)), A0))[1], np.ones((2, 3)) @ A0 + W0 @ A0)
    f = lambda a, b: tg.sum(times(a, b) ** 2)  # noqa: E731
    same(tg.hvp(f, (W0, A0), (np.ones((2, 3)), A0))[0],
         tg.hvp(lambda a, b: tg.sum((a @ b) ** 2), (W0, A0), (np.ones((2, 3)), A0))[0])


def test_a_general_primitive_in_forward_mode() -> None:
    """Forward mode transposes the rule: no second rule is asked for."""
    @tg.primitive(lambda g, y, x: 2 * x * tg.sum(g), name="norm2")
    def squared_norm(x: Any) -> Any:
        return np.sum(x * x)

    same(tg.jvp(squared_norm, x0, y0)[1], 2 * x0 @ y0)
    same(tg.hessian(squared_norm)(x0), 2 * np.eye(3))
    same(tg.jvp(lambda x: tg.jvp(squared_norm, x, y0)[1], x0, y0)[1], 2 * y0 @ y0)


def test_samples_catch_a_wrong_rule_when_declared() -> None:
    with pytest.raises(GradientError, match="primitive cube: a rule disagrees with differences"):
        tg.primitive(lambda g, y, x: g * 2 * x * x, name="cube", samples=[(2.0,)])(lambda x: x**3)
    tg.primitive(lambda g, y, x: g * 3 * x * x, name="cube", samples=[(2.0,), (x0,)])(lambda x: x**3)


def test_a_primitive_works_inside_everything() -> None:
    @tg.primitive(lambda g, y, x: g * (1 - y * y), kind="pointwise", symbol="th({0})")
    def th(x: Any) -> Any:
        return np.tanh(x)

    f = lambda W, x: tg.sum(th(W @ x) ** 2)  # noqa: E731
    g = lambda W, x: tg.sum(tg.tanh(W @ x) ** 2)  # noqa: E731
    for transform in (lambda f: tg.grad(f, (0, 1)), lambda f: tg.hessian(f, (0, 1))):
        a, b = transform(f)(W0, x0), transform(g)(W0, x0)
        for left, right in zip(np.array(a, object).ravel(), np.array(b, object).ravel(), strict=True):
            same(np.asarray(left, float), np.asarray(right, float))
    assert tg.check_gradients(f, W0, x0).ok


def test_a_primitive_of_one_operand_may_have_no_derivative() -> None:
    steps = tg.primitive(None)(np.floor)
    assert tg.grad(lambda x: steps(x) * x)(2.5) == 2
    x = Tensor(2.5)
    (steps(x) * x).backward()
    assert x.grad == 2
