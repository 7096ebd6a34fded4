"""Costs of scores that should differ by a margin."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..errors import DTypeError
from ..rules import pointwise
from ..tensor import Tensor
from .checks import (
    class_axis,
    class_weights,
    classes_or_probabilities,
    in_the_type_of,
    one_of_two,
    reduced,
    same_shape,
    weights_of,
)


def hinge(prediction: Any, target: Any, reduction: str = "mean", margin: float = 1.0) -> Any:
    """max(0, margin − y s) of scores s and targets y of −1 and 1: the cost of support vector machines.

    Derivative −y where y s < margin, 0 elsewhere, also at the kink.

    >>> import tinygrad_edu as tg
    >>> tg.hinge(tg.Tensor([2.0, 0.5, 0.5]), [1, 1, -1], "none")
    Tensor([0. , 0.5, 1.5])
    """
    s = ops.inputs.floating(prediction, "hinge")
    y = one_of_two(target, s, -1, "hinge")
    return reduced(ops.relu(margin - y * s), reduction, "hinge")


def multiclass_hinge(prediction: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None,
                     reduction: str = "mean", axis: int | None = None) -> Any:
    """Σ_j max(0, margin − s_y + s_j)^p / classes, over the classes j other than the target y (Weston and Watkins 1999).

    prediction : scores (m, classes), or any shape with the classes along `axis` (axis 1 by default, the only axis of a
    vector). target : class indices. weight : one number for each class, for the examples of that class.

    >>> import tinygrad_edu as tg
    >>> tg.multiclass_hinge(tg.Tensor([[3.0, 2.5, 0.0]]), [0])  # 0.5 / 3
    Tensor(0.16666666666666666)
    """
    name = "multiclass_hinge"
    if p not in (1, 2):
        raise ValueError(f"{name}: p={p!r}: write p=1 for straight lines, p=2 for squares.")
    s = ops.inputs.floating(prediction, name)
    axis = class_axis(s, axis, name)
    classes = s.shape[axis]
    w, t = class_weights(weight, classes, s, name), classes_or_probabilities(s, target, axis, name)
    if type(t) is Tensor or t.dtype.kind == "f":
        raise DTypeError(f"{name}: targets are class indices, integers; got probabilities. Use target.argmax(axis={axis}).")
    places = np.expand_dims(t, axis)
    others = np.not_equal(np.arange(classes).reshape([classes if i == axis else 1 for i in range(s.ndim)]), places)
    excess = pointwise.gate(ops.relu(margin - ops.take_along_axis(s, places, axis) + s), others)
    losses = ops.sum(excess if p == 1 else ops.square(excess), axis) / classes
    return reduced(losses if w is None else losses * weights_of(t, w), reduction, name)


def margin_ranking(first: Any, second: Any, target: Any, margin: float = 0.0, reduction: str = "mean") -> Any:
    """max(0, margin − y (s₁ − s₂)): s₁ should be above s₂ by the margin where y is 1, below it where y is −1.

    Derivatives −y and y where the loss is above 0, and at the kink, so that equal scores are pulled apart; 0 elsewhere.

    >>> import tinygrad_edu as tg
    >>> tg.margin_ranking(tg.Tensor([3.0, 0.0]), tg.Tensor([1.0, 2.0]), [1, 1], reduction="none")
    Tensor([0., 2.])
    """
    a, b = ops.inputs.floating(first, "margin_ranking"), ops.inputs.floating(second, "margin_ranking")
    same_shape(b, a, "margin_ranking", "the second scores")
    a, b = (in_the_type_of(a, b) if type(b) is Tensor else a), in_the_type_of(b, a)
    y = one_of_two(target, a, -1, "margin_ranking")
    return reduced(ops.clip(margin - y * (a - b), 0.0, None), reduction, "margin_ranking")
