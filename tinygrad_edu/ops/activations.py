"""The functions of networks that NumPy lacks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..operators import prefix
from ..rules import activations, pointwise, reductions
from ..tensor import Tensor
from .inputs import Axis, as_array, axes_of, floating, one_axis, operand
from .shapes import reshape

__all__ = [
    "celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_swish", "hard_tanh", "hardshrink", "leaky_relu", "log_softmax", "mish",
    "prelu", "relu", "relu6", "selu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanhshrink",
]

# Klambauer et al. 2017: with these, mean 0 and variance 1 are a fixed point
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


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

    Any shape; the result has x's. Derivative 1 for x > 0, alpha exp(x) otherwise.

    >>> import tinygrad_edu as tg
    >>> tg.check_gradients(tg.elu, -0.5).ok
    True
    """
    return pointwise.elu(floating(x, "elu"), alpha=alpha)


def celu(x: Any, alpha: float = 1.0) -> Any:
    """x for x > 0, alpha (exp(x/alpha) − 1) otherwise, whose slope has no jump (Barron 2017). Derivative 1, or exp(x/alpha).

    >>> import tinygrad_edu as tg
    >>> tg.grad(lambda x: tg.celu(x, 2.0))(0.0)
    np.float64(1.0)
    """
    if not alpha:
        raise ValueError("celu: alpha=0 divides by zero. Use a positive alpha, or relu, its limit.")
    return activations.celu(floating(x, "celu"), alpha=float(alpha))


def selu(x: Any) -> Any:
    """λ x for x > 0, λ α (exp(x) − 1) otherwise, λ = 1.0507…, α = 1.6732… (Klambauer et al. 2017). Derivative λ, or λ α exp(x).

    >>> import tinygrad_edu as tg
    >>> tg.selu(tg.Tensor([-1000.0, 1.0]))
    Tensor([-1.75809934,  1.05070099])
    """
    return pointwise.elu(floating(x, "selu"), alpha=_SELU_ALPHA) * _SELU_SCALE


def mish(x: Any) -> Any:
    """x tanh(softplus(x)) (Misra 2019), without overflow for any x.

    >>> import tinygrad_edu as tg
    >>> tg.check_gradients(tg.mish, -0.7).ok
    True
    """
    x = floating(x, "mish")
    return x * pointwise.tanh(pointwise.softplus(x))


def softsign(x: Any) -> Any:
    """x / (1 + |x|). Derivative 1/(1 + |x|)².

    >>> import tinygrad_edu as tg
    >>> tg.softsign(tg.Tensor([-1.0, 3.0]))
    Tensor([-0.5 ,  0.75])
    """
    return activations.softsign(floating(x, "softsign"))


def hard_tanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """x limited to [min_val, max_val]. Derivative 1 strictly between the bounds, 0 elsewhere (clip has 1 on the bounds).

    >>> import tinygrad_edu as tg
    >>> tg.grad(lambda x: tg.hard_tanh(x).sum())([-2.0, 0.5, 1.0])
    array([0., 1., 0.])
    """
    if not min_val < max_val:
        raise ValueError(f"hard_tanh: min_val={min_val:g} is not below max_val={max_val:g}. Give the lower bound first.")
    return activations.hard_tanh(floating(x, "hard_tanh"), low=float(min_val), high=float(max_val))


def relu6(x: Any) -> Any:
    """min(max(0, x), 6). Derivative 1 for 0 < x < 6, 0 elsewhere.

    >>> import tinygrad_edu as tg
    >>> tg.relu6(tg.Tensor([-1.0, 2.0, 9.0]))
    Tensor([0., 2., 6.])
    """
    return activations.hard_tanh(floating(x, "relu6"), low=0.0, high=6.0)


def hard_sigmoid(x: Any) -> Any:
    """x/6 + ½, limited to [0, 1]. Derivative 1/6 for −3 < x < 3, 0 elsewhere.

    >>> import tinygrad_edu as tg
    >>> tg.hard_sigmoid(tg.Tensor([-9.0, 0.0, 1.5]))
    Tensor([0.  , 0.5 , 0.75])
    """
    return activations.hard_tanh(floating(x, "hard_sigmoid"), low=-3.0, high=3.0) / 6 + 0.5


def hard_swish(x: Any) -> Any:
    """x times hard_sigmoid(x) (Howard et al. 2019). Derivative 0 for x ≤ −3, 1 for x ≥ 3, x/3 + ½ between.

    >>> import tinygrad_edu as tg
    >>> tg.grad(lambda x: tg.hard_swish(x).sum())([-3.0, 0.0, 3.0])
    array([0. , 0.5, 1. ])
    """
    x = floating(x, "hard_swish")
    return x * hard_sigmoid(x)


def hardshrink(x: Any, lambd: float = 0.5) -> Any:
    """x where |x| > lambd, 0 elsewhere. Derivative 1, or 0.

    >>> import tinygrad_edu as tg
    >>> tg.hardshrink(tg.Tensor([-1.0, 0.5, 2.0]))
    Tensor([-1.,  0.,  2.])
    """
    x = floating(x, "hardshrink")
    return pointwise.gate(x, np.logical_not(pointwise.less_equal(pointwise.absolute(x), lambd)))  # nan stays nan


def softshrink(x: Any, lambd: float = 0.5) -> Any:
    """x moved by lambd towards 0, and 0 where |x| ≤ lambd. Derivative 1, or 0.

    >>> import tinygrad_edu as tg
    >>> tg.softshrink(tg.Tensor([-1.0, 0.5, 2.0]))
    Tensor([-0.5,  0. ,  1.5])
    """
    if lambd < 0:
        raise ValueError(f"softshrink: lambd={lambd:g} is negative. It says how far x is moved towards 0: give 0 or more.")
    x = floating(x, "softshrink")
    beyond = np.logical_not(pointwise.less_equal(pointwise.absolute(x), lambd))
    return pointwise.gate(x - lambd * pointwise.sign(x), beyond)


def tanhshrink(x: Any) -> Any:
    """x − tanh(x), exact also near 0, where the two cancel. Derivative tanh²(x).

    >>> import tinygrad_edu as tg
    >>> print(tg.tanhshrink(1e-5))  # x³/3
    3.33333333320000...e-16
    """
    return activations.tanhshrink(floating(x, "tanhshrink"))


def prelu(x: Any, weight: Any) -> Any:
    """x for x > 0, weight·x otherwise (He et al. 2015); at 0 the derivative is the weight.

    weight : one number, or one for each channel, shape (channels,), the channels along axis 1 of x (axis 0 of a vector).

    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor([0.1, 0.5])
    >>> tg.prelu(tg.Tensor([[-1.0, -1.0], [2.0, -4.0]]), w).sum().backward()
    >>> w.grad
    array([-1., -5.])
    """
    x, w = floating(x, "prelu"), as_array(weight, "prelu")
    axis = 1 if x.ndim > 1 else 0
    if w.size == 1:
        w = reshape(w, ())
    elif w.ndim != 1 or not x.ndim or w.size != x.shape[axis]:
        raise ShapeError(f"prelu: x has shape {tuple(x.shape)}, weight {tuple(w.shape)}. Give one number, or one for each "
                         f"channel: shape ({x.shape[axis] if x.ndim else 1},).")
    else:
        w = reshape(w, (w.size,) + (1,) * (x.ndim - 1 - axis))
    if type(w) is not Tensor:
        w = w.astype(x.dtype)
    positive = pointwise.greater(x, 0)
    return pointwise.where(positive, x, w * pointwise.where(positive, 0.0, x))


def softplus(x: Any, beta: float = 1.0) -> Any:
    """log(1 + exp(beta x)) / beta, without overflow. Derivative σ(beta x).

    >>> import tinygrad_edu as tg
    >>> float(tg.softplus(1000.0))
    1000.0
    """
    return pointwise.softplus(floating(x, "softplus"), **({"beta": float(beta)} if beta != 1 else {}))


def gelu(x: Any, approximate: str = "none") -> Any:
    """x Φ(x), with Φ the normal distribution function; "tanh" takes the approximation of Hendrycks and Gimpel (2016).

    Any shape; the result has x's. Derivative Φ(x) + x φ(x), φ the normal density.

    >>> import tinygrad_edu as tg
    >>> tg.check_gradients(tg.gelu, 0.7).ok
    True
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: approximate={approximate!r}: write approximate="none" or approximate="tanh".')
    return (pointwise.gelu_tanh if approximate == "tanh" else pointwise.gelu)(floating(x, "gelu"))


def softmax(x: Any, axis: Axis = -1) -> Any:
    """exp(x_i) / Σ_j exp(x_j) along the axis, without overflow. ∂s_i/∂x_j = s_i (δ_ij − s_j).

    Any shape; the result has x's, and adds up to 1 along the axis. Raises AxisError for an axis that x has not.

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


def softmin(x: Any, axis: Axis = -1) -> Any:
    """softmax(−x): exp(−x_i) / Σ_j exp(−x_j) along the axis, without overflow.

    >>> import tinygrad_edu as tg
    >>> tg.softmin([0.0, 1000.0])
    array([1., 0.])
    """
    return softmax(-floating(x, "softmin"), axis)


def glu(x: Any, axis: int = -1) -> Any:
    """a σ(b), where a and b are the two halves of x along the axis (Dauphin et al. 2017).

    >>> import tinygrad_edu as tg
    >>> tg.glu(tg.Tensor([3.0, 4.0, 0.0, 1000.0]))
    Tensor([1.5, 4. ])
    """
    x = floating(x, "glu")
    axis = one_axis(x, axis, "glu")
    if x.shape[axis] % 2:
        raise ShapeError(f"glu: x has shape {tuple(x.shape)}, and axis {axis} of odd size {x.shape[axis]} has no two halves. "
                         "Make it even: one half is the value, the other its gate.")
    half, before = x.shape[axis] // 2, (slice(None),) * axis
    return x[(*before, slice(None, half))] * pointwise.sigmoid(x[(*before, slice(half, None))])
