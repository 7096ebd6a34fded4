"""Costs of predicted numbers: squared and absolute errors, and the likelihoods behind them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..errors import ShapeError
from ..rules import activations
from .checks import in_the_type_of, pair, reduced

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def mse(prediction: Any, target: Any, reduction: str = "mean") -> Any:
    """(ŷ − y)², the mean squared error; the notes' cost with the factor ½ is mse(...) / 2. Derivative 2(ŷ − y).

    prediction, target : any shape, the same; either may be a Tensor. reduction : "mean", "sum", or "none" for one loss each.

    Raises ShapeError where the shapes differ, ValueError for another reduction.

    >>> import tinygrad_edu as tg
    >>> tg.mse(tg.Tensor([1.0, 2.0]), [1, 4])
    Tensor(2.0)
    """
    p, t = pair(prediction, target, "mse")
    return reduced(ops.square(p - t), reduction, "mse")


def l1(prediction: Any, target: Any, reduction: str = "mean") -> Any:
    """|ŷ − y|, the mean absolute error. Derivative sign(ŷ − y), 0 where they are equal.

    Shapes and reduction as for mse. Raises ShapeError, and ValueError for another reduction.

    >>> import tinygrad_edu as tg
    >>> tg.l1(tg.Tensor([1.0, 2.0]), [1, 4])
    Tensor(1.0)
    """
    p, t = pair(prediction, target, "l1")
    return reduced(ops.absolute(p - t), reduction, "l1")


def huber(prediction: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """½e² of the error e = ŷ − y where |e| ≤ delta, delta (|e| − ½ delta) beyond (Huber 1964): outliers pull no harder.

    Derivative e, limited to [−delta, delta].

    Shapes and reduction as for mse. Raises ShapeError, and ValueError for another reduction, or a delta that is not above 0.

    >>> import tinygrad_edu as tg
    >>> tg.grad(lambda p: tg.huber(p, [0, 0], "sum"))([0.5, 30.0])
    array([0.5, 1. ])
    """
    if not delta > 0:
        raise ValueError(f"huber: delta={delta:g}: where squares end and straight lines begin must be above 0.")
    p, t = pair(prediction, target, "huber")
    return reduced(activations.huber(p - t, delta=float(delta)), reduction, "huber")


def smooth_l1(prediction: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """½e²/beta of the error e = ŷ − y where |e| ≤ beta, |e| − ½ beta beyond: huber / beta; beta=0 is l1 (Girshick 2015).

    Shapes and reduction as for mse. Raises ShapeError, and ValueError for another reduction, or a beta below 0.

    >>> import tinygrad_edu as tg
    >>> tg.smooth_l1(tg.Tensor([0.5, 3.0]), [0, 0], "none", beta=0.5)
    Tensor([0.25, 2.75])
    """
    if not beta >= 0:
        raise ValueError(f"smooth_l1: beta={beta:g}: where squares end and straight lines begin must be 0 or above.")
    p, t = pair(prediction, target, "smooth_l1")
    losses = activations.huber(p - t, delta=float(beta)) / beta if beta else ops.absolute(p - t)
    return reduced(losses, reduction, "smooth_l1")


def gaussian_nll(prediction: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> Any:
    """½ [log var + (ŷ − y)²/var], −log of the density of y under a normal distribution of mean ŷ (Nix and Weigend 1994).

    var : the variance, 0 or more: a number, predictions' shape, or with axes of size 1; a Tensor where it is learnt. It counts
    as eps where it is smaller, and has derivative 0 there. full : add the constant ½ log 2π.

    >>> import tinygrad_edu as tg
    >>> tg.gaussian_nll(tg.Tensor([1.0, 2.0]), [1, 4], 1.0)  # half the squared error
    Tensor(1.0)
    """
    p, t = pair(prediction, target, "gaussian_nll")
    v = in_the_type_of(ops.inputs.floating(var, "gaussian_nll"), p)
    if v.ndim and (v.ndim != p.ndim or any(a not in (1, b) for a, b in zip(v.shape, p.shape, strict=True))):
        raise ShapeError(f"gaussian_nll: predictions have shape {tuple(p.shape)}, var {tuple(v.shape)}. Give a number, the "
                         "same shape, or size 1 along the axes that share a variance.")
    if not np.all(ops.inputs.value_of(v) >= 0):
        raise ValueError(f"gaussian_nll: var holds {np.min(ops.inputs.value_of(v)):g}. A variance is 0 or more: give np.exp(s) "
                         "for a learnt logarithm s.")
    v = ops.clip(v, eps, None)
    losses = 0.5 * (ops.log(v) + ops.square(p - t) / v)
    return reduced(losses + _HALF_LOG_TWO_PI if full else losses, reduction, "gaussian_nll")


def poisson_nll(prediction: Any, target: Any, log_input: bool = True, full: bool = False, eps: float = 1e-8,
                reduction: str = "mean") -> Any:
    """exp(s) − y s, −log of the probability of the count y under a Poisson distribution of mean exp(s), without log y!.

    log_input=False : the prediction is the mean λ itself, and the loss λ − y log(λ + eps). full : add Stirling's
    approximation of log y! where y > 1.

    >>> import tinygrad_edu as tg
    >>> tg.grad(lambda s: tg.poisson_nll(s, [3.0]))([0.0])  # λ − y
    array([-2.])
    """
    p, t = pair(prediction, target, "poisson_nll")
    counts = ops.inputs.value_of(t)
    if not np.all(counts >= 0):
        raise ValueError(f"poisson_nll: targets run from {np.min(counts):g} to {np.max(counts):g}. A count is 0 or more.")
    losses = ops.exp(p) - t * p if log_input else p - t * ops.log(p + eps)
    if full:
        large = ops.where(t > 1, t, 1.0)
        stirling = large * ops.log(large) - large + (0.5 * ops.log(large) + _HALF_LOG_TWO_PI)
        losses = losses + ops.where(t > 1, stirling, 0.0)
    return reduced(losses, reduction, "poisson_nll")
