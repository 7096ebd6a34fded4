"""What the functions of this package are by NumPy alone, in any precision: `tg` in a program's plain text.

A name that is not here is NumPy's function of that name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

FUNCTIONS: dict[str, Callable[..., Any]] = {}


def reference(function: Callable[..., Any]) -> Callable[..., Any]:
    FUNCTIONS[function.__name__.rstrip("_")] = function
    return function


class Reference:
    """Stands for the package."""

    def __getattr__(self, name: str) -> Any:
        found = FUNCTIONS.get(name)
        return getattr(np, name) if found is None else found


NAMESPACE: dict[str, Any] = {"np": np, "tg": Reference()}


def _float(x: Any) -> Any:
    x = np.asarray(x)
    return (x if x.dtype.kind == "f" else x.astype(np.float64))[()]


def _like(y: Any, x: Any) -> Any:
    return np.asarray(y, np.asarray(x).dtype)[()]


@reference
def sigmoid(x: Any) -> Any:
    x = _float(x)
    return _like(0.5 * (1 + np.tanh(x / 2)), x)


@reference
def softplus(x: Any, beta: float = 1.0) -> Any:
    x = _float(x)
    return _like(np.logaddexp(0, beta * x) / beta, x)


@reference
def log_sigmoid(x: Any) -> Any:
    return -softplus(-_float(x))


@reference
def silu(x: Any) -> Any:
    return _float(x) * sigmoid(x)


@reference
def relu(x: Any) -> Any:
    return np.where(x > np.zeros_like(x), x, np.zeros_like(x))[()]


@reference
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    return np.where(x > np.zeros_like(x), x, negative_slope * x)[()]


@reference
def elu(x: Any, alpha: float = 1.0) -> Any:
    return np.where(x > np.zeros_like(x), x, alpha * np.expm1(x))[()]


_erf = np.vectorize(math.erf, otypes=[np.float64])
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


@reference
def erf(x: Any) -> Any:
    x = _float(x)
    return _like(_erf(x) if np.size(x) else x, x)


@reference
def gelu(x: Any, approximate: str = "none") -> Any:
    x = _float(x)
    if approximate == "tanh":
        return _like(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), x)
    return _like(0.5 * x * (_erfc(-x / math.sqrt(2)) if np.size(x) else x), x)


@reference
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


@reference
def softmax(x: Any, axis: Any = -1) -> Any:
    e = np.exp(x)
    return e / np.sum(e, axis=axis, keepdims=True)


@reference
def log_softmax(x: Any, axis: Any = -1) -> Any:
    return x - logsumexp(x, axis, keepdims=True)


@reference
def cummax(x: Any, axis: int | None = None) -> Any:
    return np.maximum.accumulate(np.ravel(x) if axis is None else x, axis=axis or 0)


@reference
def cummin(x: Any, axis: int | None = None) -> Any:
    return np.minimum.accumulate(np.ravel(x) if axis is None else x, axis=axis or 0)


@reference
def logcumsumexp(x: Any, axis: int | None = None) -> Any:
    return np.log(np.cumsum(np.exp(x), axis=axis))


@reference
def squared_norm(x: Any) -> Any:
    return np.sum(np.square(x))


@reference
def assign(x: Any, index: Any, values: Any) -> Any:
    out = np.array(x, np.result_type(np.asarray(x).dtype))
    out[index] = values
    return out[()]


@reference
def getitem(x: Any, index: Any) -> Any:
    return x[index]


@reference
def float_power(a: Any, b: Any) -> Any:
    return np.power(a, b)


@reference
def sliding_window_view(x: Any, window_shape: Any, axis: Any = None) -> Any:
    return np.lib.stride_tricks.sliding_window_view(x, window_shape, axis)


@reference
def sort(x: Any, axis: int | None = -1) -> Any:
    return np.sort(x, axis)


@reference
def jitter(x: Any, eps: float, seed: int) -> Any:
    """x as another order of rounding might have it."""
    return _like(x + eps * np.random.default_rng(seed).uniform(-1, 1, np.shape(x)), x)


# ---------------------------------------------------------------- losses

def _reduced(losses: Any, reduction: str) -> Any:
    return {"mean": np.mean, "sum": np.sum, "none": lambda x: x}[reduction](losses)


def one_hot_of(index: Any, like: Any, axis: int) -> Any:
    """1 at the class, in the shape and dtype of the predictions."""
    classes = np.arange(like.shape[axis]).reshape(tuple(-1 if i == axis % like.ndim else 1 for i in range(like.ndim)))
    return np.asarray(np.expand_dims(index, axis) == classes, like.dtype)


@reference
def categorical_cross_entropy(a: Any, target: Any, axis: int | None = None, reduction: str = "mean") -> Any:
    axis = (1 if a.ndim > 1 else 0) if axis is None else axis
    target = np.asarray(target)
    t = one_hot_of(target, a, axis) if target.dtype.kind in "iu" else target
    return _reduced(-np.sum(t * np.log(a), axis), reduction)
