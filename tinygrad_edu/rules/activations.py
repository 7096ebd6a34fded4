"""Entrywise functions of networks: what is not in `pointwise`. Letters: g = dJ/dy, y the output, x the operand."""

from __future__ import annotations

from typing import Any

import numpy as np

from .pointwise import absolute, clip, exp, gate, greater, minimum, pointwise, square, tanh, where


def _hard_tanh(x: Any, low: float, high: float) -> Any:
    return np.minimum(np.maximum(x, low), high)


def _celu(x: Any, alpha: float) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha))


def _softsign(x: Any) -> Any:
    return x / (1 + np.absolute(x))


_DEPTH = range(27, 1, -2)


def _tanhshrink(x: Any) -> Any:
    """x − tanh x = x c/(1+c) with Lambert's fraction c = x²/(3 + x²/(5 + …)), where the difference would cancel."""
    near = np.absolute(x) < 1
    inner = np.where(near, x, 0)
    u = np.square(inner)
    c = 0.0 * u
    for odd in _DEPTH:
        c = u / (odd + c)
    return np.where(near, inner * (c / (1 + c)), x - np.tanh(x))[()]


def _huber(x: Any, delta: float) -> Any:
    size = np.absolute(x)
    inside = np.minimum(size, delta)
    return inside * (size - 0.5 * inside)


# x limited to [low, high]; unlike clip, with slope 0 on the bounds
hard_tanh = pointwise("hard_tanh", _hard_tanh, lambda g, _y, x, low, high: gate(g, (x > low) & (x < high)))
celu = pointwise("celu", _celu, lambda g, _y, x, alpha: where(greater(x, 0), g, g * exp(minimum(x, 0) / alpha)), blocked=True)
softsign = pointwise("softsign", _softsign, lambda g, _y, x: g * square(1 / (1 + absolute(x))))
tanhshrink = pointwise("tanhshrink", _tanhshrink, lambda g, _y, x: g * square(tanh(x)), blocked=True)
# ½x² for |x| ≤ δ, δ(|x| − ½δ) beyond: the slope is the error, clipped
huber = pointwise("huber", _huber, lambda g, _y, x, delta: g * clip(x, -delta, delta))
