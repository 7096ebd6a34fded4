"""Small things that a review found: rules of one's own, axes of single numbers, a checkpoint around batch normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import DTypeError, ShapeError


def own(rule: Any, forward: Any = lambda x: 2 * x) -> Any:
    return tg.primitive(rule, name="twice")(forward)


@pytest.mark.parametrize(("rule", "forward"), [
    (lambda g, y, x: np.ones((2, 2)), lambda x: 2 * x), (lambda g, y, x: np.ones(7), np.sum),
    (lambda g, y, x: np.ones((5, 3)), lambda x: 2 * x),
], ids=["square", "longer", "more rows"])
def test_a_rule_of_another_shape_is_refused(rule: Any, forward: Any) -> None:
    function = own(rule, forward)
    for way in (tg.grad, lambda f: tg.jit(tg.grad(f)), lambda f: lambda x: f(tg.Tensor(x)).backward()):
        with pytest.raises(ShapeError, match=r"twice: the rule of operand 0 gives shape \(.*the operand has \(3,\)"):
            way(lambda x: np.sum(function(x)))(np.ones(3))


@pytest.mark.parametrize("result", [1j * np.ones(3), "no"])
def test_a_rule_that_gives_no_real_numbers_is_refused(result: Any) -> None:
    function = own(lambda g, y, x: result)
    with pytest.raises(DTypeError, match="twice: the rule of operand 0 gives"):
        tg.grad(lambda x: np.sum(function(x)))(np.ones(3))


def test_rules_may_give_what_can_be_summed_or_spread() -> None:
    add = tg.primitive(lambda g, y, a, b: g, lambda g, y, a, b: g, name="plus")(lambda a, b: a + b)
    a, b = tg.grad(lambda a, b: np.sum(add(a, b) ** 2), argnums=(0, 1))(np.ones((2, 3)), np.ones(3))
    assert a.tolist() == [[4.0] * 3] * 2 and b.tolist() == [8.0] * 3
    assert tg.grad(lambda x: np.sum(own(lambda g, y, x: 2.0)(x)))(np.ones(3)).tolist() == [2.0] * 3


@pytest.mark.parametrize("f", [np.sum, np.prod, np.max, np.min])
@pytest.mark.parametrize("axis", [0, -1])
def test_a_single_number_has_the_axis_that_numpy_gives_it(f: Any, axis: int) -> None:
    assert f(tg.Tensor(3.0), axis=axis).numpy() == f(np.array(3.0), axis=axis) == 3.0
    assert tg.grad(lambda x: f(x * x, axis=axis))(3.0) == 6.0
    with pytest.raises(np.exceptions.AxisError):
        f(tg.Tensor(3.0), axis=1)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_normalisation_learns_once_inside_a_checkpoint(momentum: Any) -> None:
    layers = [tg.nn.BatchNorm1d(3, momentum=momentum) for _ in range(2)]
    X = np.random.default_rng(0).normal(size=(5, 3))
    for _ in range(3):
        for layer, run in zip(layers, (layers[0], tg.checkpoint(lambda x: layers[1](x))), strict=True):
            layer.zero_grad()
            np.sum(run(tg.Tensor(X)) ** 3).backward()
    for (name, held), (_, other) in zip(layers[0].state_dict().items(), layers[1].state_dict().items(), strict=True):
        np.testing.assert_array_equal(held, other, err_msg=name)
    np.testing.assert_array_equal(layers[0].weight.grad, layers[1].weight.grad)
