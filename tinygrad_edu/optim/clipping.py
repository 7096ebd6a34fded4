"""Gradients kept within bounds: all together by their common length, or entry by entry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..containers import flatten
from ..errors import GradientError
from ..tensor import Tensor
from .parameters import named_parameters


def clip_grad_norm_(parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> float:
    """Scale all gradients by one factor, so that together they are no longer than max_norm; their length before.

    The direction is kept: ∇ ← ∇ · min(1, max_norm / (‖∇‖ + 1e-6)), with ‖∇‖ over the entries of all gradients (Pascanu,
    Mikolov and Bengio 2013), as PyTorch does. Parameters without a gradient are left out.

    parameters : Tensors in a list, a dict or a model.  norm_type : p of the p-norm, or inf.
    error_if_nonfinite : raise GradientError where the length is nan or infinite; otherwise gradients become nan or 0.

    >>> from tinygrad_edu import Tensor, optim
    >>> w, b = Tensor([3.0, 0.0]), Tensor(4.0)
    >>> (w @ w / 2 + b * b / 2).backward()
    >>> optim.clip_grad_norm_([w, b], max_norm=1.0)
    5.0
    >>> print(w.grad.round(6), b.grad.round(6))
    [0.6 0. ] 0.8
    """
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm_: max_norm={max_norm!r} is a length and should not be negative.")
    given = [(name, t) for name, t in named_parameters(parameters, "clip_grad_norm_") if t.grad is not None]
    total = norm_of([_array(t.grad) for _, t in given], norm_type)
    if error_if_nonfinite and not math.isfinite(total):
        bad = [t.name or name for name, t in given if not np.isfinite(_array(t.grad)).all()]
        raise GradientError(f"clip_grad_norm_: the gradients have length {total}; not finite are those of "
                            f"{', '.join(bad) or 'none alone, the sum overflows'}. tg.find_nan(J) names the first such value.")
    factor = min(1.0, max_norm / (total + 1e-6)) if total == total else math.nan
    if factor != 1.0:
        for _, t in given:
            t.grad = t.grad * factor
    return total


def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    """Cut every entry of every gradient off at −clip_value and clip_value. The direction changes where it cuts.

    >>> from tinygrad_edu import Tensor, optim
    >>> w = Tensor([3.0, -0.1, -7.0])
    >>> (w @ w / 2).backward()
    >>> optim.clip_grad_value_([w], 1.0)
    >>> print(w.grad)
    [ 1.  -0.1 -1. ]
    """
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_: clip_value={clip_value!r} should not be negative.")
    for _, t in named_parameters(parameters, "clip_grad_value_"):
        if t.grad is not None:
            t.grad = np.clip(t.grad, -float(clip_value), float(clip_value))


def norm_of(gradients: Any, norm_type: float = 2.0) -> float:
    """The p-norm of all entries of several arrays together, in nested dicts, lists and tuples, without overflow in between.

    >>> import numpy as np
    >>> from tinygrad_edu import optim
    >>> print(f"{optim.norm_of([np.array([3e200]), np.array(4e200)]):.6g}")
    5e+200
    """
    flat = [np.asarray(g, dtype=np.float64).reshape(-1) for g in flatten(gradients)[0]]
    if norm_type == 2.0:
        with np.errstate(over="ignore"):
            total = sum(float(g @ g) for g in flat)
        if 1e-280 < total < math.inf:
            return math.sqrt(total)
    elif not norm_type > 0:
        raise ValueError(f"norm_of: norm_type={norm_type!r} should be positive, or inf.")
    flat = [np.abs(g) for g in flat if g.size]
    largest = float(max((np.max(g) for g in flat), default=0.0, key=lambda x: (np.isnan(x), x)))
    if norm_type == math.inf or largest == 0 or not math.isfinite(largest):
        return largest
    total = sum(float(((g / largest) ** norm_type).sum()) for g in flat)
    return float(largest * total ** (1 / norm_type))


def _array(gradient: Any) -> Any:
    return gradient.value if type(gradient) is Tensor else gradient
