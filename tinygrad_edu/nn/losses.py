"""Costs that compare predictions with targets.

Each takes `reduction`: "mean" (the cost J of the notes), "sum", or "none" (one loss per example). Targets are checked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from .. import ops
from ..errors import DTypeError, ShapeError
from ..rules import pointwise, reductions
from ..tensor import Tensor

_least, _most = np.minimum.reduce, np.maximum.reduce  # np.min and np.max, without their overhead


def _reduced(losses: Any, reduction: str, where: str) -> Any:
    if reduction == "mean":
        return ops.mean(losses)
    if reduction == "sum":
        return ops.sum(losses)
    if reduction == "none":
        return losses
    raise ValueError(f'{where}: reduction={reduction!r}: write "mean", "sum" or "none".')


def _probabilities(target: Any, like: Any, where: str) -> Any:
    """Targets in [0, 1], of the predictions' shape and dtype."""
    if type(target) is not ndarray or target.dtype.kind != "f":
        target = ops.inputs.as_array(target, where)
    if target.shape != like.shape:
        hint = ""
        if target.size == like.size:
            hint = f" Use target.reshape({', '.join(map(str, like.shape))})."
        raise ShapeError(f"{where}: predictions have shape {tuple(like.shape)}, targets {tuple(target.shape)}. They must be "
                         f"equal.{hint}")
    plain = target.value if type(target) is Tensor else target
    if plain.size and not (_least(plain, axis=None) >= 0 and _most(plain, axis=None) <= 1):
        raise ValueError(f"{where}: targets run from {np.min(plain):g} to {np.max(plain):g}. A target is a probability: 0, "
                         "1, or between.")
    return target if type(target) is Tensor or target.dtype == like.dtype else target.astype(like.dtype)[()]


def binary_cross_entropy(prediction: Any, target: Any, reduction: str = "mean") -> Any:
    """−[y log a + (1−y) log(1−a)] of predicted probabilities a and targets y, of one shape.

    0 · log 0 counts as 0. Where a comes from a sigmoid, binary_cross_entropy_with_logits is exact for any logit.

    >>> import tinygrad_edu as tg
    >>> print(tg.binary_cross_entropy(tg.Tensor([0.5, 0.5]), [0, 1]))  # ln 2
    0.693147180559945...
    """
    a = ops.inputs.floating(prediction, "binary_cross_entropy")
    plain = ops.inputs.value_of(a)
    if plain.size and not (np.min(plain) >= 0 and np.max(plain) <= 1):
        raise ValueError(f"binary_cross_entropy: predictions run from {np.min(plain):g} to {np.max(plain):g}, and are no "
                         "probabilities. Use binary_cross_entropy_with_logits for the values before the sigmoid.")
    y = _probabilities(target, a, "binary_cross_entropy")
    return _reduced(pointwise.binary_cross_entropy(a, y), reduction, "binary_cross_entropy")


def binary_cross_entropy_with_logits(logits: Any, target: Any, reduction: str = "mean", pos_weight: Any = None) -> Any:
    """The binary cross-entropy of a = σ(z), from z: no overflow and no cancellation for any z. Its slope is a − y.

    pos_weight : a factor for the examples with y = 1, a number or an array that broadcasts.

    >>> import tinygrad_edu as tg
    >>> tg.grad(tg.binary_cross_entropy_with_logits)(40.0, 1.0)  # −σ(−40), where a − y would round to 0
    np.float64(-4.248354255291589e-18)
    """
    z = logits if type(logits) is Tensor else ops.inputs.floating(logits, "binary_cross_entropy_with_logits")
    y = _probabilities(target, z, "binary_cross_entropy_with_logits")
    if pos_weight is None:
        losses = pointwise.binary_cross_entropy_with_logits(z, y)
    else:
        losses = pos_weight * (y * ops.softplus(-z)) + (1 - y) * ops.softplus(z)
    return _reduced(losses, reduction, "binary_cross_entropy_with_logits")


def _classes(prediction: Any, target: Any, axis: int, where: str) -> Any:
    """Targets as class numbers (integers), or as probabilities of the predictions' shape (floats)."""
    target = ops.inputs.as_array(target, where)
    if target.shape == prediction.shape and (type(target) is Tensor or target.dtype.kind == "f"):
        return target
    index = ops.inputs.value_of(target)
    classes = prediction.shape[axis]
    examples = tuple(n for i, n in enumerate(prediction.shape) if i != axis)
    if tuple(index.shape) != examples:
        raise ShapeError(f"{where}: predictions have shape {tuple(prediction.shape)} with the classes along axis {axis}, so "
                         f"targets need shape {examples} (class indices) or {tuple(prediction.shape)} (probabilities, as "
                         f"floats); got {tuple(index.shape)}.")
    if index.dtype.kind not in "iu":
        raise DTypeError(f"{where}: class indices of dtype {index.dtype}. Use integers: target.astype(int).")
    if index.size and not (_least(index, axis=None) >= 0 and _most(index, axis=None) < classes):
        raise ValueError(f"{where}: class indices run from {np.min(index)} to {np.max(index)}, and there are {classes} "
                         f"classes. Count them from 0 to {classes - 1}.")
    return np.array(index)


def cross_entropy(logits: Any, target: Any, axis: int | None = None, reduction: str = "mean") -> Any:
    """−log softmax(z) of the target class, from the logits z: no overflow for any z. Its slope is softmax(z) − one-hot.

    logits : (m, classes), or any shape with the classes along `axis` (axis 1 by default, the only axis of a vector;
    write axis=0 for the notes' columns, (classes, m)). target : class indices, of the shape without that axis, or
    probabilities of the logits' shape.

    >>> import tinygrad_edu as tg
    >>> print(tg.cross_entropy(tg.Tensor([[2.0, 2.0], [1000.0, 0.0]]), [0, 0]))  # (ln 2 + 0) / 2
    0.346573590279972...
    """
    z = ops.inputs.floating(logits, "cross_entropy")
    axis = ops.inputs.one_axis(z, (1 if z.ndim > 1 else 0) if axis is None else axis, "cross_entropy")
    t = _classes(z, target, axis, "cross_entropy")
    if type(t) is ndarray and t.dtype.kind in "iu":
        losses = reductions.class_cross_entropy(z, target=t, axis=axis)
    else:
        losses = -ops.sum(t * ops.log_softmax(z, axis), axis)
    return _reduced(losses, reduction, "cross_entropy")


def categorical_cross_entropy(prediction: Any, target: Any, axis: int | None = None, reduction: str = "mean") -> Any:
    """−log a of the target class, from probabilities a, as softmax gives them; shapes as for cross_entropy.

    Where a comes from a softmax, cross_entropy of the values before it is exact for any value.

    >>> import tinygrad_edu as tg
    >>> print(tg.categorical_cross_entropy(tg.Tensor([[0.25, 0.75]]), [1]))
    0.287682072451780...
    """
    a = ops.inputs.floating(prediction, "categorical_cross_entropy")
    axis = ops.inputs.one_axis(a, (1 if a.ndim > 1 else 0) if axis is None else axis, "categorical_cross_entropy")
    plain = ops.inputs.value_of(a)
    if plain.size and not (np.min(plain) >= 0 and np.max(plain) <= 1 + 1e-6):
        raise ValueError(f"categorical_cross_entropy: predictions run from {np.min(plain):g} to {np.max(plain):g}, and are "
                         "no probabilities. Use cross_entropy for the values before the softmax.")
    t = _classes(a, target, axis, "categorical_cross_entropy")
    if type(t) is ndarray and t.dtype.kind in "iu":
        t = reductions.one_hot(t, a.shape[axis], axis, a.dtype)
    if type(t) is not Tensor:
        a = ops.where(t == 0, 1.0, a)  # 0 · log 0 counts as 0
    return _reduced(-ops.sum(t * ops.log(a), axis), reduction, "categorical_cross_entropy")
