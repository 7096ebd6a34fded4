"""The activations as layers. The functions themselves, and their derivatives, are tinygrad_edu's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import float64

from .. import ops
from ..ops.inputs import Axis
from .layers import count, floating_dtype
from .module import Module, parameter, redraw


class Sigmoid(Module):
    """σ(z) = 1/(1 + e^−z), between 0 and 1; its slope is σ(1 − σ) ≤ ¼."""

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.sigmoid of x."""
        return ops.sigmoid(x)


class LogSigmoid(Module):
    """log σ(z), exact for any z."""

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.log_sigmoid of x."""
        return ops.log_sigmoid(x)


class Hardsigmoid(Module):
    """z/6 + ½, cut off at 0 and 1."""

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.hard_sigmoid of x."""
        return ops.hard_sigmoid(x)


class Tanh(Module):
    """tanh z, between −1 and 1; its slope is 1 − tanh² ≤ 1."""

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.tanh of x."""
        return ops.tanh(x)


class Hardtanh(Module):
    """z, cut off at min_val and max_val."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        self.min_val, self.max_val = min_val, max_val

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.hard_tanh of x."""
        return ops.hard_tanh(x, self.min_val, self.max_val)


class Tanhshrink(Module):
    """z − tanh z."""

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.tanhshrink of x."""
        return ops.tanhshrink(x)


class ReLU(Module):
    """max(0, z); its slope is 1 above 0, and 0 at 0 and below."""

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.relu of x."""
        return ops.relu(x)


class ReLU6(Module):
    """z, cut off at 0 and 6."""

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.relu6 of x."""
        return ops.relu6(x)


class LeakyReLU(Module):
    """z above 0, negative_slope · z below, so that no unit dies."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.leaky_relu of x."""
        return ops.leaky_relu(x, self.negative_slope)


class ELU(Module):
    """z above 0, alpha (e^z − 1) below."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.elu of x."""
        return ops.elu(x, self.alpha)


class CELU(Module):
    """z above 0, alpha (e^(z/alpha) − 1) below."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.celu of x."""
        return ops.celu(x, self.alpha)


class SELU(Module):
    """A scaled ELU that keeps mean 0 and variance 1 (Klambauer et al. 2017)."""

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.selu of x."""
        return ops.selu(x)


class GELU(Module):
    """z Φ(z), Φ the normal distribution; approximate="tanh" is a little faster."""

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.gelu of x."""
        return ops.gelu(x, self.approximate)


class SiLU(Module):
    """z σ(z), also called swish."""

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.silu of x."""
        return ops.silu(x)


class Hardswish(Module):
    """z times Hardsigmoid."""

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.hard_swish of x."""
        return ops.hard_swish(x)


class Mish(Module):
    """z tanh(softplus(z))."""

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.mish of x."""
        return ops.mish(x)


class Softplus(Module):
    """log(1 + e^(beta z))/beta, a smooth ReLU, exact for any z."""

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = beta

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.softplus of x."""
        return ops.softplus(x, self.beta)


class Softsign(Module):
    """z/(1 + |z|)."""

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.softsign of x."""
        return ops.softsign(x)


class Softshrink(Module):
    """z moved by lambd towards 0, and 0 within."""

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.softshrink of x."""
        return ops.softshrink(x, self.lambd)


class Hardshrink(Module):
    """z, and 0 where |z| ≤ lambd."""

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.hardshrink of x."""
        return ops.hardshrink(x, self.lambd)


class Softmax(Module):
    """e^z/Σ e^z along an axis: probabilities. Not before cross_entropy, which takes the values before it."""

    def __init__(self, axis: Axis = -1) -> None:
        self.axis = axis

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.softmax of x."""
        return ops.softmax(x, self.axis)


class LogSoftmax(Module):
    """log of Softmax, exact for any z; what nll takes."""

    def __init__(self, axis: Axis = -1) -> None:
        self.axis = axis

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.log_softmax of x."""
        return ops.log_softmax(x, self.axis)


class Softmin(Module):
    """Softmax of −z."""

    def __init__(self, axis: Axis = -1) -> None:
        self.axis = axis

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.softmin of x."""
        return ops.softmin(x, self.axis)


class GLU(Module):
    """The first half along an axis times σ of the second."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.glu of x."""
        return ops.glu(x, self.axis)


class PReLU(Module):
    """z above 0, a · z below, with a learned: one a for all, or one for each channel (axis 1). weight (num_parameters,).

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> nn.PReLU()(np.array([-4.0, 4.0])).numpy()
    array([-1.,  4.])
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype: Any = float64) -> None:
        self.num_parameters, self.init = count(num_parameters, "num_parameters", "PReLU"), float(init)
        self.weight = parameter(np.zeros(num_parameters, floating_dtype(dtype, "PReLU")))
        self._draw(np.random.default_rng(0))

    def _draw(self, rng: np.random.Generator) -> None:
        redraw(self.weight, np.full(self.weight.shape, self.init))

    def forward(self, x: Any) -> Any:
        """x, its negative entries times a."""
        return ops.prelu(x, self.weight)


__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
]
