"""Costs that compare predicted probabilities, or the logits before them, with targets.

Each takes `reduction`: "mean" (the cost J of the notes), "sum", or "none" (one loss per example). Targets are checked.
Costs of numbers are in `regression`, of scores with a margin in `margins`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray

from .. import ops
from ..errors import DTypeError, ShapeError
from ..rules import pointwise, reductions
from ..tensor import Tensor
from .checks import (
    class_axis,
    class_weights,
    classes_or_probabilities,
    one_of_two,
    pair,
    probabilities,
    reduced,
    warn_twice,
    weighted,
    weights_of,
)


def one_hot(target: Any, classes: int | None = None, axis: int = -1, dtype: Any = np.float64) -> Any:
    """1 at the target class along a new axis, 0 elsewhere: a plain array.

    target : class indices, integers of any shape. classes : how many there are, by default the highest index + 1.
    axis : where the classes stand, the last axis by default; axis=0 makes the notes' columns (classes, m).

    >>> import tinygrad_edu as tg
    >>> tg.one_hot([0, 2], 3)
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    index = np.asarray(ops.inputs.value_of(ops.inputs.as_array(target, "one_hot")))
    if index.dtype.kind not in "iu":
        raise DTypeError(f"one_hot: class indices of dtype {index.dtype}. Use integers: target.astype(int).")
    if classes is None:
        if not index.size:
            raise ShapeError("one_hot: no targets, so the number of classes is unknown. Give classes=.")
        classes = int(np.max(index)) + 1
    if index.size and not (np.min(index) >= 0 and np.max(index) < classes):
        raise ValueError(f"one_hot: class indices run from {np.min(index)} to {np.max(index)}, and there are {classes} "
                         f"classes. Count them from 0 to {classes - 1}.")
    if not -index.ndim - 1 <= axis <= index.ndim:
        raise np.exceptions.AxisError(f"one_hot: axis {axis} is out of bounds: the result has {index.ndim + 1} axes.")
    return reductions.one_hot(index, classes=classes, axis=axis % (index.ndim + 1), dtype=np.dtype(dtype))


def binary_cross_entropy(prediction: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Any:
    """−[y log a + (1−y) log(1−a)] of predicted probabilities a and targets y, of one shape.

    0 · log 0 counts as 0. Where a comes from a sigmoid, binary_cross_entropy_with_logits is exact for any logit.
    weight : a factor for each loss, a number or an array that broadcasts; the mean still divides by the number of losses.

    Raises ShapeError where the shapes differ.

    >>> import tinygrad_edu as tg
    >>> print(tg.binary_cross_entropy(tg.Tensor([0.5, 0.5]), [0, 1]))  # ln 2
    0.693147180559945...
    """
    a = ops.inputs.floating(prediction, "binary_cross_entropy")
    plain = ops.inputs.value_of(a)
    if plain.size and not (np.min(plain) >= 0 and np.max(plain) <= 1):
        raise ValueError(f"binary_cross_entropy: predictions run from {np.min(plain):g} to {np.max(plain):g}, and are no "
                         "probabilities. Use binary_cross_entropy_with_logits for the values before the sigmoid.")
    y = probabilities(target, a, "binary_cross_entropy")
    losses = weighted(pointwise.binary_cross_entropy(a, y), weight, "binary_cross_entropy")
    return reduced(losses, reduction, "binary_cross_entropy")


_SIGMOID_TWICE = {
    "sigmoid": "and sigmoid would be applied twice. Give the values before it, or use binary_cross_entropy for probabilities",
    "softmax": "and sigmoid would be applied on top. Use categorical_cross_entropy for these probabilities, or cross_entropy "
               "for the values before"}


def binary_cross_entropy_with_logits(logits: Any, target: Any, reduction: str = "mean", pos_weight: Any = None,
                                     weight: Any = None) -> Any:
    """The binary cross-entropy of a = σ(z), from z: no overflow and no cancellation for any z. Its slope is a − y.

    pos_weight : a factor for the examples with y = 1; weight : a factor for each loss. Numbers, or arrays that broadcast; the
    mean still divides by the number of losses.

    >>> import tinygrad_edu as tg
    >>> tg.grad(tg.binary_cross_entropy_with_logits)(40.0, 1.0)  # −σ(−40), where a − y would round to 0
    np.float64(-4.248354255291589e-18)
    """
    name = "binary_cross_entropy_with_logits"
    z = logits if type(logits) is Tensor else ops.inputs.floating(logits, name)
    warn_twice(z, name, _SIGMOID_TWICE)
    y = probabilities(target, z, name)
    if pos_weight is None:
        losses = pointwise.binary_cross_entropy_with_logits(z, y)
    else:
        losses = weighted(y * ops.softplus(-z), pos_weight, name) + (1 - y) * ops.softplus(z)
    return reduced(losses if weight is None else weighted(losses, weight, name), reduction, name)


def focal(logits: Any, target: Any, alpha: float | None = 0.25, gamma: float = 2.0, reduction: str = "mean") -> Any:
    """The binary cross-entropy of σ(z) times (1 − p)^gamma, p the probability of the target: easy examples count little.

    logits and targets (0 or 1) of one shape. alpha : the factor of the examples with y = 1, those with y = 0 get 1 − alpha;
    None weighs them alike (Lin et al. 2017). It is computed from log σ, stably for any z.

    >>> import tinygrad_edu as tg
    >>> print(tg.focal(tg.Tensor([0.0]), [1], alpha=None))  # ½² ln 2
    0.1732867951399...
    """
    if not gamma >= 0:
        raise ValueError(f"focal: gamma={gamma:g} is negative, and would make easy examples count more. Give 0 or more.")
    if alpha is not None and not 0 <= alpha <= 1:
        raise ValueError(f"focal: alpha={alpha:g} is no share of 1. Give a number between 0 and 1, or None.")
    z = ops.inputs.floating(logits, "focal")
    y = one_of_two(target, z, 0, "focal")
    wrong = (1 - 2 * y) * z  # the logit of the other class
    losses = ops.softplus(wrong)
    if gamma:
        losses = ops.exp(gamma * ops.log_sigmoid(wrong)) * losses
    return reduced(losses if alpha is None else losses * (alpha * y + (1 - alpha) * (1 - y)), reduction, "focal")


def _over_classes(losses: Any, t: Any, ignored: Any, w: Any, reduction: str, where: str, extra: Any = None) -> Any:
    """Losses of class indices, each times the weight of its class and 0 where ignored; the mean is the weighted one."""
    if w is not None:
        shares = weights_of(t, w)
        losses = losses * shares
    if extra is not None:
        losses = losses + extra
    if ignored is not None:
        counted = np.logical_not(ignored)
        losses = pointwise.gate(losses, counted)
        shares = counted.astype(losses.dtype) if w is None else shares * counted
    elif w is None:
        return reduced(losses, reduction, where)
    if reduction != "mean":
        return reduced(losses, reduction, where)
    total = np.sum(shares)
    if shares.size and not total:
        raise ValueError(f"{where}: every target is ignored or has weight 0, so there is no mean. "
                         'Leave the batch out, or use reduction="sum".')
    return ops.sum(losses) / total


def _without_ignored(t: Any, ignore_index: int) -> tuple[Any, Any]:
    """Class indices in which the ignored ones are 0, and where those are; None where there are none."""
    if not t.size or np.minimum.reduce(t, axis=None) >= 0 > ignore_index:
        return t, None
    ignored = np.equal(t, ignore_index)
    return (np.where(ignored, 0, t), ignored) if np.any(ignored) else (t, None)


_SOFTMAX_TWICE = {
    "softmax": "and softmax would be applied twice. Give the values before it, or use categorical_cross_entropy for "
               "probabilities",
    "log_softmax": "which changes nothing but takes time. Give the values before it, or use nll",
    "sigmoid": "and softmax would be applied on top. Give the values before it, or use binary_cross_entropy for outputs of "
               "their own"}


def cross_entropy(logits: Any, target: Any, axis: int | None = None, reduction: str = "mean", weight: Any = None,
                  ignore_index: int = -100, label_smoothing: float = 0.0) -> Any:
    """−log softmax(z) of the target class, from the logits z: no overflow for any z. Its slope is softmax(z) − one-hot.

    logits : (m, classes), or any shape with the classes along `axis` (axis 1 by default, the only axis of a vector;
    write axis=0 for the notes' columns, (classes, m)). target : class indices, of the shape without that axis, or
    probabilities of the logits' shape, also a Tensor, whose derivative is −log softmax(z).

    weight : one factor for each class; with class indices the mean divides by the sum of the factors, so it is the weighted
    mean. ignore_index : this class index counts nothing. label_smoothing : the part of each target that is shared among all
    classes (Szegedy et al. 2016).

    Raises ShapeError where shapes do not fit, ValueError for class indices that are none.

    >>> import tinygrad_edu as tg
    >>> print(tg.cross_entropy(tg.Tensor([[2.0, 2.0], [1000.0, 0.0]]), [0, 0]))  # (ln 2 + 0) / 2
    0.346573590279972...
    >>> print(tg.cross_entropy(tg.Tensor([[2.0, 2.0], [1000.0, 0.0]]), [0, -100]))  # ln 2
    0.693147180559945...
    """
    name = "cross_entropy"
    z = ops.inputs.floating(logits, name)
    warn_twice(z, name, _SOFTMAX_TWICE)
    axis = class_axis(z, axis, name)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{name}: label_smoothing={label_smoothing:g} is no part of 1. Give a number between 0 and 1.")
    classes = z.shape[axis]
    w = class_weights(weight, classes, z, name)
    t = classes_or_probabilities(z, target, axis, name, ignore_index)
    if type(t) is Tensor or t.dtype.kind == "f":
        if ignore_index != -100:
            raise ValueError(f"{name}: ignore_index={ignore_index} is a class index, and the targets are probabilities. Leave "
                             "it out; an example with all probabilities 0 counts nothing.")
        if label_smoothing:
            t = (1 - label_smoothing) * t + label_smoothing / classes
        if w is not None:
            t = t * _along(w, axis, z.ndim)
        return reduced(-ops.sum(_without_zeros(t, ops.log_softmax(z, axis)), axis), reduction, name)
    t, ignored = _without_ignored(t, ignore_index)
    losses = reductions.class_cross_entropy(z, target=t, axis=axis)
    if not label_smoothing:
        return _over_classes(losses, t, ignored, w, reduction, name)
    log_p = ops.log_softmax(z, axis)
    shared = -ops.sum(log_p if w is None else log_p * _along(w, axis, z.ndim), axis) * (label_smoothing / classes)
    return _over_classes((1 - label_smoothing) * losses, t, ignored, w, reduction, name, shared)


def _along(w: Any, axis: int, ndim: int) -> Any:
    return w.reshape((w.size,) + (1,) * (ndim - 1 - axis))


def _without_zeros(t: Any, log_p: Any) -> Any:
    """t log p, and 0 where the constant t is 0, also for log p = −∞."""
    return t * log_p if type(t) is Tensor else t * ops.where(np.equal(t, 0), 0.0, log_p)


def nll(log_probabilities: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean",
        axis: int | None = None) -> Any:
    """−log p of the target class, from log-probabilities, as log_softmax gives them. Its slope is −1 there, 0 elsewhere.

    Shapes, weight and ignore_index as for cross_entropy with class indices, which is nll of log_softmax.

    >>> import numpy as np, tinygrad_edu as tg
    >>> print(tg.nll(tg.log_softmax(tg.Tensor([[2.0, 2.0]])), [0]))  # ln 2
    0.693147180559945...
    """
    log_p = ops.inputs.floating(log_probabilities, "nll")
    warn_twice(log_p, "nll", {"softmax": "and nll takes logarithms of probabilities. Use log_softmax instead of softmax"})
    axis = class_axis(log_p, axis, "nll")
    w = class_weights(weight, log_p.shape[axis], log_p, "nll")
    t = classes_or_probabilities(log_p, target, axis, "nll", ignore_index)
    if type(t) is Tensor or t.dtype.kind == "f":
        raise DTypeError(f"nll: targets are class indices, integers; got probabilities. Use target.argmax(axis={axis}), or "
                         "cross_entropy of the logits.")
    t, ignored = _without_ignored(t, ignore_index)
    chosen = ops.reshape(ops.take_along_axis(log_p, np.expand_dims(t, axis), axis), tuple(t.shape))
    return _over_classes(-chosen, t, ignored, w, reduction, "nll")


def kl_div(log_prediction: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """y (log y − log p), the summands of the Kullback–Leibler divergence of predictions p, given as logarithms, from targets y.

    log_target : the targets are given as logarithms too. reduction : also "batchmean", the sum divided by the number of
    examples along axis 0, which is the mean divergence; "mean" divides by the number of all entries. The loss is 0 where y is.

    >>> import numpy as np, tinygrad_edu as tg
    >>> print(tg.kl_div(np.log([[0.5, 0.5]]), [[1, 0]], "batchmean"))  # ln 2
    0.693147180559945...
    """
    log_p, y = pair(log_prediction, target, "kl_div")
    if log_target:
        nothing = np.equal(ops.inputs.value_of(y), -math.inf)
        difference = ops.where(nothing, 0.0, y) - ops.where(nothing, 0.0, log_p)
        losses = ops.exp(y) * difference
    else:
        plain = ops.inputs.value_of(y)
        if not np.all(plain >= 0):
            raise ValueError(f"kl_div: targets run from {np.min(plain):g} to {np.max(plain):g}, and are no probabilities. Pass "
                             "log_target=True for logarithms.")
        nothing = np.equal(plain, 0)
        losses = y * (ops.log(ops.where(nothing, 1.0, y)) - ops.where(nothing, 0.0, log_p))
    if reduction == "batchmean":
        if not losses.ndim:
            raise ShapeError('kl_div: "batchmean" divides by the examples along axis 0; this is a single number. Use "sum".')
        return ops.sum(losses) / losses.shape[0]
    return reduced(losses, reduction, "kl_div")


def categorical_cross_entropy(prediction: Any, target: Any, axis: int | None = None, reduction: str = "mean") -> Any:
    """−log a of the target class, from probabilities a, as softmax gives them; shapes as for cross_entropy.

    Where a comes from a softmax, cross_entropy of the values before it is exact for any value.

    >>> import tinygrad_edu as tg
    >>> print(tg.categorical_cross_entropy(tg.Tensor([[0.25, 0.75]]), [1]))
    0.287682072451780...
    """
    a = ops.inputs.floating(prediction, "categorical_cross_entropy")
    axis = class_axis(a, axis, "categorical_cross_entropy")
    plain = ops.inputs.value_of(a)
    if plain.size and not (np.min(plain) >= 0 and np.max(plain) <= 1 + 1e-6):
        raise ValueError(f"categorical_cross_entropy: predictions run from {np.min(plain):g} to {np.max(plain):g}, and are "
                         "no probabilities. Use cross_entropy for the values before the softmax.")
    t = classes_or_probabilities(a, target, axis, "categorical_cross_entropy")
    if isinstance(t, ndarray) and t.dtype.kind in "iu":
        t = reductions.one_hot(t, classes=a.shape[axis], axis=axis, dtype=a.dtype)
    if type(t) is not Tensor:
        a = ops.where(t == 0, 1.0, a)  # 0 · log 0 counts as 0
    return reduced(-ops.sum(t * ops.log(a), axis), reduction, "categorical_cross_entropy")
