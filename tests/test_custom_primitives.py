"""Primitives of one's own: with backward rules, with forward rules, with both; one derivative however it was given."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.errors import GradientError, UnsupportedError

rng = np.random.default_rng(3)
x0, y0, W0, A0 = rng.normal(size=3), rng.normal(size=3), rng.normal(size=(2, 3)), rng.normal(size=(3, 4))


def same(actual: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)


# the same three functions, each given in three ways: the plain forward, vjp rules, jvp rules, the engine's own
def _tanh(g: Any, y: Any, x: Any) -> Any:
    return g * (1 - y * y)


def _norm_back(g: Any, y: Any, x: Any) -> Any:
    return g * x / y


def _norm_push(t: Any, y: Any, x: Any) -> Any:
    return tg.sum(x * t) / y


PRODUCT = (lambda g, y, a, b: g @ b.T, lambda g, y, a, b: a.T @ g)
PRODUCT_PUSH = (lambda t, y, a, b: t @ b, lambda t, y, a, b: a @ t)


def ways(forward: Any, back: Any, push: Any, kind: str = "general") -> dict[str, Callable[..., Any]]:
    back, push = (r if isinstance(r, tuple) else (r,) for r in (back, push))
    return {"vjp": tg.primitive(*back, kind=kind)(forward), "jvp": tg.primitive(jvp=push, kind=kind)(forward),
            "both": tg.primitive(*back, jvp=push, kind=kind)(forward)}


TANH = ways(np.tanh, _tanh, _tanh, "pointwise") | {f"{k} general": f for k, f in ways(np.tanh, _tanh, _tanh).items()}
NORM = ways(lambda x: np.sqrt(np.sum(x * x)), _norm_back, _norm_push)
MATMUL = ways(lambda a, b: a @ b, PRODUCT, PRODUCT_PUSH)


def forward(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: tg.jvp(f, x, 1.0)[1]


@pytest.mark.parametrize("name", list(TANH))
def test_tanh_to_order_three_in_every_mixture_of_modes(name: str) -> None:
    th = TANH[name]
    y = math.tanh(0.3)
    wanted = [1 - y * y, -2 * y * (1 - y * y), (6 * y * y - 2) * (1 - y * y)]
    for order in (1, 2, 3):
        for modes in itertools.product((tg.grad, forward), repeat=order):
            derivative = th
            for mode in modes:
                derivative = mode(derivative)
            same(derivative(0.3), wanted[order - 1])
    for mode in ("forward", "reverse"):
        same(tg.jacobian(th, mode=mode)(x0), np.diag(1 - np.tanh(x0) ** 2))
    same(tg.hessian(lambda x: th(x).sum())(x0), np.diag(-2 * np.tanh(x0) * (1 - np.tanh(x0) ** 2)))
    t = Tensor(x0)
    (th(t) * y0).sum().backward()
    same(t.grad, y0 * (1 - np.tanh(x0) ** 2))
    (d,) = tg.vjp(th, x0.astype(np.float32))[1](np.ones(3))
    assert d.dtype == np.float32


@pytest.mark.parametrize("name", list(NORM))
def test_a_norm(name: str) -> None:
    norm = NORM[name]
    n = np.linalg.norm(x0)
    same(tg.grad(norm)(x0), x0 / n)
    same(tg.jvp(norm, x0, y0)[1], x0 @ y0 / n)
    wanted = np.eye(3) / n - np.outer(x0, x0) / n**3
    same(tg.hessian(norm)(x0), wanted)
    same(tg.jacobian(tg.grad(norm), mode="reverse")(x0), wanted)
    same(tg.hvp(norm, x0, y0), wanted @ y0)
    same(tg.grad(lambda x: tg.jvp(norm, x, y0)[1])(x0), wanted @ y0)
    same(tg.jvp(lambda x: tg.jvp(norm, x, y0)[1], x0, y0)[1], y0 @ wanted @ y0)
    same(tg.jacobian(lambda w: tg.grad(lambda x: norm(w * x))(x0))(y0),
         tg.jacobian(lambda w: tg.grad(lambda x: tg.sqrt(tg.sum((w * x) ** 2)))(x0))(y0))


@pytest.mark.parametrize("name", list(MATMUL))
def test_two_operands(name: str) -> None:
    times = MATMUL[name]
    f, g = lambda a, b: tg.sum(tg.sin(times(a, b))), lambda a, b: tg.sum(tg.sin(a @ b))
    for transform in (lambda f: tg.grad(f, (0, 1)), lambda f: tg.jacobian(tg.grad(f, 1), 0), lambda f: tg.hessian(f, 1)):
        a, b = transform(f)(W0, A0), transform(g)(W0, A0)
        for left, right in zip(*[r if isinstance(r, tuple) else (r,) for r in (a, b)], strict=True):
            same(left, right)
    same(tg.jvp(times, (W0, A0), (np.ones((2, 3)), A0))[1], np.ones((2, 3)) @ A0 + W0 @ A0)
    for mode in ("forward", "reverse"):
        same(tg.jacobian(times, 1, mode=mode)(W0, A0), tg.jacobian(lambda a, b: a @ b, 1)(W0, A0))
    same(tg.grad(lambda a: times(a, a).sum())(A0[:, :3]), tg.grad(lambda a: (a @ a).sum())(A0[:, :3]))


def test_broadcast_in_a_pointwise_primitive_with_forward_rules_only() -> None:
    scale = tg.primitive(jvp=(lambda t, y, a, b: t * b, lambda t, y, a, b: t * a), kind="pointwise")(lambda a, b: a * b)
    da, db = tg.grad(lambda a, b: scale(a, b).sum(), (0, 1))(W0, x0)
    same(da, np.broadcast_to(x0, (2, 3)))
    same(db, W0.sum(axis=0))
    same(tg.jvp(scale, (W0, x0), (W0 * 0, x0))[1], W0 * x0)
    same(tg.jacobian(scale, 1, mode="forward")(W0, x0), tg.jacobian(lambda a, b: a * b, 1)(W0, x0))


def test_no_derivative_in_one_operand_and_parameters() -> None:
    pick = tg.primitive(jvp=(lambda t, y, x, i, k: k * t * (i > 0), None))(lambda x, i, k: k * x * (i > 0))
    i = np.array([1.0, 0.0, 2.0])
    d, zero = tg.grad(lambda x, i: pick(x, i, k=3.0).sum(), (0, 1))(x0, i)
    assert d.tolist() == [3, 0, 3] and zero.tolist() == [0, 0, 0]
    assert tg.jvp(lambda i: pick(x0, i, k=3.0), i, i)[1].tolist() == [0, 0, 0]
    flat = tg.primitive(jvp=lambda t, y, x: None)(np.floor)
    assert tg.grad(lambda x: flat(x) * x)(2.5) == 2
    assert tg.jvp(flat, 2.5, 1.0)[1] == 0


def test_forward_mode_uses_the_rule_it_was_given() -> None:
    """With both rules forward mode takes jvp and backward mode the rules, and neither the other."""
    used = []

    def note(mode: str, value: Any) -> Any:
        used.append(mode)
        return value

    f = tg.primitive(lambda g, y, x: note("vjp", g * y), jvp=lambda t, y, x: note("jvp", t * y))(np.exp)
    tg.grad(f)(1.0)
    assert used == ["vjp"]
    used.clear()
    tg.jvp(f, 1.0, 1.0)
    tg.jacobian(f, mode="forward")(x0)
    assert set(used) == {"jvp"}


def test_samples_check_each_rule_and_both_against_each_other() -> None:
    tg.primitive(_tanh, jvp=_tanh, samples=[(0.5,), (x0,)])(np.tanh)
    tg.primitive(jvp=_norm_push, samples=[(x0,)])(lambda x: np.sqrt(np.sum(x * x)))
    with pytest.raises(GradientError, match="primitive tanh: a rule disagrees with differences"):
        tg.primitive(jvp=lambda t, y, x: t * y, samples=[(0.5,)])(np.tanh)
    with pytest.raises(GradientError, match=r"primitive tanh: the rules and jvp disagree at \(0.5,\): gᵀ\(J t\) is"):
        tg.primitive(_tanh, jvp=lambda t, y, x: t * y, samples=[(0.5,)])(np.tanh)


@pytest.mark.parametrize("make, text", [
    (lambda: tg.primitive(), "give one derivative rule per operand"),
    (lambda: tg.primitive(jvp=()), "give one derivative rule per operand"),
    (lambda: tg.primitive(jvp=(1,)), "give one derivative rule per operand"),
    (lambda: tg.primitive(_tanh, jvp=(_tanh, _tanh)), "1 rules and 2 rules in jvp"),
    (lambda: tg.primitive(jvp=_tanh, kind="linear"), 'kind="linear" says that the function itself'),
    (lambda: tg.primitive(jvp=_tanh)(np.tanh)(1.0, 2.0), "tanh: 2 operands, but 1 derivative rules were given"),
])
def test_wrong_declarations(make: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        make()


def test_in_containers_and_closures_of_outer_derivatives() -> None:
    for th in TANH.values():
        d = tg.grad(lambda p: th(p["W"] @ p["x"]).sum())({"W": W0, "x": x0})  # noqa: B023
        same(d["x"], W0.T @ (1 - np.tanh(W0 @ x0) ** 2))
        assert tg.grad(lambda x: x * tg.grad(lambda y: th(y) + x * y)(0.0))(1.0) == 3  # noqa: B023


@pytest.mark.parametrize("name", ["sigmoid", "relu", "exp", "square", "reshape", "softplus", "add"])
def test_a_name_that_the_engine_has_too(name: str) -> None:
    """Readers and compilers go by name: one's own `sigmoid` must not be taken for the engine's."""
    from tinygrad_edu.program.jit import jit

    own = tg.primitive(lambda g, y, x: 5 * g, name=name, kind="pointwise")(lambda x: 5 * x)
    cost = lambda x: (own(x) * x).sum()  # noqa: E731
    assert own(Tensor(1.0)).op.name == f"own_{name}" and own.__name__ == name
    for f in (cost, tg.grad(cost)):
        compiled = jit(f)
        for x in (x0, y0):
            same(compiled(x), f(x))
    assert str(tg.formulas(cost, x0)) == f"dx = own_{name}(x) + 5x"
    with pytest.raises(UnsupportedError, match=f"numpy_source: own_{name} is a primitive of your own"):
        tg.numpy_source(cost, x0)
