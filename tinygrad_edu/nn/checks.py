"""What every cost does first and last: predictions and targets brought together and checked, losses reduced to one number."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy import ndarray

from .. import ops
from ..errors import DTypeError, LogitsWarning, ShapeError
from ..tensor import Tensor

_least, _most = np.minimum.reduce, np.maximum.reduce  # np.min and np.max, without their overhead


def reduced(losses: Any, reduction: str, where: str) -> Any:
    """The mean, the sum, or the losses themselves."""
    if reduction == "mean":
        return ops.mean(losses)
    if reduction == "sum":
        return ops.sum(losses)
    if reduction == "none":
        return losses
    raise ValueError(f'{where}: reduction={reduction!r}: write "mean", "sum" or "none".')


_PASSED_ON = ("reshape", "transpose", "getitem")  # they leave the numbers as they are


def warn_twice(z: Any, where: str, remedies: dict[str, str]) -> None:
    """Warn where z comes out of one of these operations; remedies says what would be right instead."""
    op = z.op if type(z) is Tensor else None
    for _ in range(3):
        if op is None or op.name not in _PASSED_ON:
            break
        z = z.args[0]
        op = z.op if type(z) is Tensor else None
    if op is not None and op.name in remedies:
        warnings.warn(f"{where}: the values come out of {op.name}, {remedies[op.name]}.", LogitsWarning, stacklevel=3)


def in_the_type_of(x: Any, like: Any) -> Any:
    """A plain array or number in like's type, so that it widens nothing; a Tensor as it is."""
    return x if type(x) is Tensor or x.dtype == like.dtype else x.astype(like.dtype)[()]


def same_shape(target: Any, like: Any, where: str, what: str = "targets") -> None:
    """Refuse what would broadcast: (m,) against (m, 1) makes a table of m² differences."""
    if target.shape != like.shape:
        hint = f" Use target.reshape({', '.join(map(str, like.shape))})." if target.size == like.size else ""
        raise ShapeError(f"{where}: predictions have shape {tuple(like.shape)}, {what} {tuple(target.shape)}. They must be "
                         f"equal.{hint}")


def pair(prediction: Any, target: Any, where: str) -> tuple[Any, Any]:
    """Predictions and targets of one shape and dtype; either may be a Tensor."""
    p, t = ops.inputs.floating(prediction, where), ops.inputs.as_array(target, where)
    same_shape(t, p, where)
    return (in_the_type_of(p, t) if type(t) is Tensor else p), in_the_type_of(t, p)


def probabilities(target: Any, like: Any, where: str) -> Any:
    """Targets in [0, 1], of the predictions' shape and dtype."""
    if type(target) is not ndarray or target.dtype.kind != "f":
        target = ops.inputs.as_array(target, where)
    same_shape(target, like, where)
    plain = target.value if type(target) is Tensor else target
    if plain.size and not (_least(plain, axis=None) >= 0 and _most(plain, axis=None) <= 1):
        raise ValueError(f"{where}: targets run from {np.min(plain):g} to {np.max(plain):g}. A target is a probability: 0, "
                         "1, or between.")
    return in_the_type_of(target, like)


def one_of_two(target: Any, like: Any, low: int, where: str) -> Any:
    """Targets that are `low` or 1, of the predictions' shape and dtype: plain numbers."""
    target = ops.inputs.as_array(target, where)
    same_shape(target, like, where)
    plain = ops.inputs.value_of(target)
    if not np.all((plain == low) | (plain == 1)):
        remedy = "Use 2 * y - 1 for y of 0 and 1." if low == -1 else "Use (y + 1) / 2 for y of -1 and 1."
        raise ValueError(f"{where}: targets must be {low} or 1, and they run from {np.min(plain):g} to {np.max(plain):g}. "
                         + remedy)
    return in_the_type_of(plain, like)


def weighted(losses: Any, weight: Any, where: str) -> Any:
    """The losses times weights that broadcast to them; None weighs all alike."""
    if weight is None:
        return losses
    weight = ops.inputs.as_array(weight, where)
    try:
        fits = np.broadcast_shapes(weight.shape, losses.shape) == tuple(losses.shape)
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(f"{where}: weight has shape {tuple(weight.shape)}, the losses {tuple(losses.shape)}. It must "
                         "broadcast to them: one number, or one for each loss.")
    return losses * in_the_type_of(weight, losses)


def class_axis(prediction: Any, axis: int | None, where: str) -> int:
    """Axis 1 by default, the only axis of a vector."""
    if not prediction.ndim:
        raise ShapeError(f"{where}: predictions need an axis of classes, and this is a single number. Give shape (m, classes).")
    return ops.inputs.one_axis(prediction, (1 if prediction.ndim > 1 else 0) if axis is None else axis, where)


def class_weights(weight: Any, classes: int, like: Any, where: str) -> Any:
    """One plain weight for each class, or None."""
    if weight is None:
        return None
    if type(weight) is Tensor:
        raise DTypeError(f"{where}: the weights of classes are constants, not a Tensor. Pass weight.numpy().")
    w = np.asarray(ops.inputs.as_array(weight, where), like.dtype)
    if w.shape != (classes,):
        raise ShapeError(f"{where}: weight has shape {w.shape}, and there are {classes} classes: it needs ({classes},).")
    if not np.all(w >= 0):
        raise ValueError(f"{where}: weight holds {np.min(w):g}. Give 0 or more for each class.")
    return w


def classes_or_probabilities(prediction: Any, target: Any, axis: int, where: str, ignore_index: int | None = None) -> Any:
    """Targets as class numbers (integers), or as probabilities of the predictions' shape (floats)."""
    target = ops.inputs.as_array(target, where)
    if target.shape == prediction.shape and (type(target) is Tensor or target.dtype.kind == "f"):
        return in_the_type_of(target, prediction)
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
        counted = index if ignore_index is None else np.where(index == ignore_index, 0, index)
        if not (np.min(counted) >= 0 and np.max(counted) < classes):
            raise ValueError(f"{where}: class indices run from {np.min(index)} to {np.max(index)}, and there are {classes} "
                             f"classes. Count them from 0 to {classes - 1}.")
    return np.array(index, subok=True)


def weights_of(t: Any, w: Any) -> Any:
    """The weight of each target's class. (Not np.take, which forgets how its indices were made.)"""
    return np.take_along_axis(w, t.reshape(-1), 0).reshape(t.shape)
