"""First values of parameters: arrays of a shape, drawn from a generator that is given, or a Tensor's numbers anew.

`normal((4, 3), std=0.01, rng=0)` is an array; `normal_(layer.weight, std=0.01, rng=0)` gives a parameter such numbers, as
PyTorch's function of that name does. rng is a np.random.Generator or a seed; without one the numbers differ from run to
run (np.random.default_rng()), and nothing is drawn from a global generator.

Weights are (out, in) or, of convolutions, (filters, channels, places…): fan_in is how many numbers each output is a sum of,
fan_out how many outputs each input reaches.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import DTypeError, ShapeError
from ..tensor import Tensor

__all__ = ["calculate_gain", "constant", "constant_", "eye", "eye_", "kaiming_normal", "kaiming_normal_", "kaiming_uniform",
           "kaiming_uniform_", "normal", "normal_", "ones", "ones_", "orthogonal", "orthogonal_", "trunc_normal",
           "trunc_normal_", "uniform", "uniform_", "xavier_normal", "xavier_normal_", "xavier_uniform", "xavier_uniform_",
           "zeros", "zeros_"]

Shape = int | Sequence[int]


def generator(rng: Any, where: str = "rng") -> np.random.Generator:
    """A generator as it is, one from a seed, or a fresh one for None."""
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, (bool, float, np.random.RandomState)):
        raise DTypeError(f"{where}={rng!r}: pass a np.random.Generator, or a seed, an integer: rng=np.random.default_rng(0).")
    return np.random.default_rng(rng)


def _sizes(shape: Shape, where: str) -> tuple[int, ...]:
    sizes = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(n) for n in shape)
    if any(n < 0 for n in sizes):
        raise ShapeError(f"{where}: shape {sizes} has a negative size.")
    return sizes


def _fans(shape: tuple[int, ...], where: str) -> tuple[int, int]:
    if len(shape) < 2:
        raise ShapeError(f"{where}: shape {shape} has no fan_in and fan_out, which need two axes, (out, in). For a bias use "
                         "zeros or uniform.")
    places = math.prod(shape[2:])
    return shape[1] * places, shape[0] * places


_GAINS = {"linear": 1.0, "identity": 1.0, "conv1d": 1.0, "conv2d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3,
          "relu": math.sqrt(2), "selu": 0.75}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much weights are to be larger so that signals keep their size through this activation; PyTorch's table.

    linear, identity, sigmoid 1 · tanh 5/3 · relu √2 · leaky_relu √(2/(1 + slope²)), param is the slope (0.01) · selu 3/4.

    >>> from tinygrad_edu import nn
    >>> round(nn.init.calculate_gain("relu"), 4), nn.init.calculate_gain("tanh")
    (1.4142, 1.6666666666666667)
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"calculate_gain: {nonlinearity!r} is not in the table: {', '.join([*_GAINS, 'leaky_relu'])}. Give "
                         "the gain as a number.")
    return _GAINS[nonlinearity]


# ---------------------------------------------------------------- the same for all entries

def constant(shape: Shape, value: float, dtype: Any = np.float64) -> ndarray:
    """One number everywhere. Two units with the same weights stay alike for ever, so it is for biases.

    >>> from tinygrad_edu import nn
    >>> nn.init.constant(3, 0.5)
    array([0.5, 0.5, 0.5])
    """
    return np.full(_sizes(shape, "constant"), value, dtype)


def zeros(shape: Shape, dtype: Any = np.float64) -> ndarray:
    """Zeros: right for biases and for a single neuron, and wrong for hidden layers, whose units would all stay alike."""
    return constant(shape, 0.0, dtype)


def ones(shape: Shape, dtype: Any = np.float64) -> ndarray:
    """Ones, as for the weight of a normalisation."""
    return constant(shape, 1.0, dtype)


def eye(shape: Shape, dtype: Any = np.float64) -> ndarray:
    """The identity matrix, also of a shape (n, k) that is not square."""
    sizes = _sizes(shape, "eye")
    if len(sizes) != 2:
        raise ShapeError(f"eye: shape {sizes} is no matrix. Give (n, k).")
    return np.eye(*sizes, dtype=dtype)


# ---------------------------------------------------------------- random

def normal(shape: Shape, mean: float = 0.0, std: float = 1.0, rng: Any = None, dtype: Any = np.float64) -> ndarray:
    """Normally distributed numbers; std=0.01 are the "small random values" of the notes.

    >>> from tinygrad_edu import nn
    >>> nn.init.normal((1, 2), std=0.01, rng=0)
    array([[ 0.0012573 , -0.00132105]])
    """
    return generator(rng).normal(mean, std, _sizes(shape, "normal")).astype(dtype)


def trunc_normal(shape: Shape, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, rng: Any = None,
                 dtype: Any = np.float64) -> ndarray:
    """Normally distributed numbers, of which those outside [a, b] are drawn again."""
    if not a < b or not (a <= mean + 8 * std and b >= mean - 8 * std):
        raise ValueError(f"trunc_normal: of numbers with mean {mean:g} and standard deviation {std:g} hardly any is between "
                         f"a={a:g} and b={b:g}.")
    source, sizes = generator(rng), _sizes(shape, "trunc_normal")
    held = source.normal(mean, std, sizes)
    while np.any(outside := (held < a) | (held > b)):
        held[outside] = source.normal(mean, std, np.count_nonzero(outside))
    return held.astype(dtype)


def uniform(shape: Shape, a: float = 0.0, b: float = 1.0, rng: Any = None, dtype: Any = np.float64) -> ndarray:
    """Numbers from a to b, all equally likely."""
    return generator(rng).uniform(a, b, _sizes(shape, "uniform")).astype(dtype)


def xavier_uniform(shape: Shape, gain: float = 1.0, rng: Any = None, dtype: Any = np.float64) -> ndarray:
    """Uniform with variance 2 gain²/(fan_in + fan_out), between signals forward and gradients back (Glorot and Bengio 2010).

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> W = nn.init.xavier_uniform((200, 300), rng=0)
    >>> bool(np.abs(W).max() <= np.sqrt(6 / 500)), round(float(W.var() * 250), 2)
    (True, 1.0)
    """
    fan_in, fan_out = _fans(_sizes(shape, "xavier_uniform"), "xavier_uniform")
    bound = gain * math.sqrt(6 / max(fan_in + fan_out, 1))
    return uniform(shape, -bound, bound, rng, dtype)


def xavier_normal(shape: Shape, gain: float = 1.0, rng: Any = None, dtype: Any = np.float64) -> ndarray:
    """Normal with variance 2 gain²/(fan_in + fan_out) (Glorot and Bengio 2010)."""
    fan_in, fan_out = _fans(_sizes(shape, "xavier_normal"), "xavier_normal")
    return normal(shape, 0.0, gain * math.sqrt(2 / max(fan_in + fan_out, 1)), rng, dtype)


def _kaiming(shape: Shape, a: float, mode: str, nonlinearity: str, where: str) -> float:
    fans = _fans(_sizes(shape, where), where)
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'{where}: mode={mode!r}: write "fan_in" (signals keep their size) or "fan_out" (gradients do).')
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fans[mode == "fan_out"], 1))


def kaiming_uniform(shape: Shape, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", rng: Any = None,
                    dtype: Any = np.float64) -> ndarray:
    """Uniform with variance gain²/fan, which keeps signals through ReLU of one size (He et al. 2015).

    a : the slope of the leaky ReLU that follows. mode : "fan_in" or "fan_out".
    """
    bound = math.sqrt(3) * _kaiming(shape, a, mode, nonlinearity, "kaiming_uniform")
    return uniform(shape, -bound, bound, rng, dtype)


def kaiming_normal(shape: Shape, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", rng: Any = None,
                   dtype: Any = np.float64) -> ndarray:
    """Normal with variance gain²/fan, which keeps signals through ReLU of one size (He et al. 2015).

    >>> from tinygrad_edu import nn
    >>> W = nn.init.kaiming_normal((400, 300), nonlinearity="relu", rng=0)
    >>> round(float(W.var() * 300), 2)
    2.0
    """
    return normal(shape, 0.0, _kaiming(shape, a, mode, nonlinearity, "kaiming_normal"), rng, dtype)


def orthogonal(shape: Shape, gain: float = 1.0, rng: Any = None, dtype: Any = np.float64) -> ndarray:
    """gain times a matrix with orthonormal rows or columns, whichever are fewer (Saxe et al. 2014).

    Further axes count as columns. The Q of normally distributed numbers, with the signs of R's diagonal, is uniform.

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> Q = nn.init.orthogonal((2, 5), rng=0)
    >>> bool(np.allclose(Q @ Q.T, np.eye(2)))
    True
    """
    sizes = _sizes(shape, "orthogonal")
    if len(sizes) < 2:
        raise ShapeError(f"orthogonal: shape {sizes} has fewer than two axes. Give (out, in).")
    rows, columns = sizes[0], math.prod(sizes[1:])
    flat = generator(rng).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(flat)
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return (gain * (q if rows >= columns else q.T)).reshape(sizes).astype(dtype)


# ---------------------------------------------------------------- in place

def _in_place(make: Callable[..., ndarray]) -> Callable[..., Tensor]:
    """The function that gives a parameter new numbers, of the one that makes an array."""
    name = f"{make.__name__}_"

    def fill(t: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if type(t) is not Tensor:
            raise DTypeError(f"{name}: {type(t).__name__} is no Tensor. Give a parameter, or use {make.__name__}(shape) for an "
                             "array.")
        t.data = make(t.shape, *args, dtype=t.dtype, **kwargs)
        return t

    functools.update_wrapper(fill, make)
    fill.__name__ = fill.__qualname__ = name
    fill.__doc__ = f"Give a parameter new numbers, those of `{make.__name__}` of its shape and dtype; returns it."
    return fill


constant_, zeros_, ones_, eye_ = _in_place(constant), _in_place(zeros), _in_place(ones), _in_place(eye)
normal_, trunc_normal_, uniform_ = _in_place(normal), _in_place(trunc_normal), _in_place(uniform)
xavier_uniform_, xavier_normal_ = _in_place(xavier_uniform), _in_place(xavier_normal)
kaiming_uniform_, kaiming_normal_ = _in_place(kaiming_uniform), _in_place(kaiming_normal)
orthogonal_ = _in_place(orthogonal)
