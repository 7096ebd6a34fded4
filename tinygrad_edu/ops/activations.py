"""The functions of networks that NumPy lacks."""

from __future__ import annotations

from typing import Any

from ..operators import prefix
from ..rules import pointwise, reductions
from ..tensor import Tensor
from .inputs import Axis, axes_of, floating, operand

__all__ = [
    "elu", "gelu", "leaky_relu", "log_softmax", "relu", "softmax", "softplus",
]


def relu(x: Any, grad_at_zero: float = 0.0) -> Any:
    """max(0, x). Derivative 1 for x > 0, 0 for x < 0; at the kink `grad_at_zero`, 0 unless you choose.

    >>> import tinygrad_edu as tg
    >>> tg.grad(lambda x: tg.relu(x).sum())([-1.0, 0.0, 2.0])
    array([0., 0., 1.])
    """
    x = operand(x, "relu")
    if grad_at_zero:
        return pointwise.relu(x, grad_at_zero=float(grad_at_zero))
    return _record_relu(x) if type(x) is Tensor else pointwise.relu(x)


_record_relu = prefix(pointwise.relu)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """x for x > 0, negative_slope·x otherwise; at 0 the derivative is the slope.

    >>> import tinygrad_edu as tg
    >>> tg.leaky_relu(tg.Tensor([-2.0, 3.0]))
    Tensor([-0.02,  3.  ])
    """
    return pointwise.leaky_relu(floating(x, "leaky_relu"), slope=negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x for x > 0, alpha (exp(x) − 1) otherwise (Clevert et al. 2015).

    >>> import tinygrad_edu as tg
    >>> tg.check_gradients(tg.elu, -0.5).ok
    True
    """
    return pointwise.elu(floating(x, "elu"), alpha=alpha)


def softplus(x: Any, beta: float = 1.0) -> Any:
    """log(1 + exp(beta x)) / beta, without overflow. Derivative σ(beta x).

    >>> import tinygrad_edu as tg
    >>> float(tg.softplus(1000.0))
    1000.0
    """
    return pointwise.softplus(floating(x, "softplus"), **({"beta": float(beta)} if beta != 1 else {}))


def gelu(x: Any, approximate: str = "none") -> Any:
    """x Φ(x), with Φ the normal distribution function; "tanh" takes the approximation of Hendrycks and Gimpel (2016).

    >>> import tinygrad_edu as tg
    >>> tg.check_gradients(tg.gelu, 0.7).ok
    True
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: approximate={approximate!r}: write approximate="none" or approximate="tanh".')
    return (pointwise.gelu_tanh if approximate == "tanh" else pointwise.gelu)(floating(x, "gelu"))


def softmax(x: Any, axis: Axis = -1) -> Any:
    """exp(x_i) / Σ_j exp(x_j) along the axis, without overflow. ∂s_i/∂x_j = s_i (δ_ij − s_j).

    >>> import tinygrad_edu as tg
    >>> tg.softmax([1000.0, 1000.0])
    array([0.5, 0.5])
    """
    x = floating(x, "softmax")
    return reductions.softmax(x, axis=axes_of(x, axis, "softmax") if axis is not None else None)


def log_softmax(x: Any, axis: Axis = -1) -> Any:
    """log softmax(x) along the axis, exact also where softmax rounds to 0.

    >>> import tinygrad_edu as tg
    >>> tg.log_softmax([0.0, 1000.0])
    array([-1000.,     0.])
    """
    x = floating(x, "log_softmax")
    return reductions.log_softmax(x, axis=axes_of(x, axis, "log_softmax") if axis is not None else None)
