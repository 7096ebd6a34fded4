"""Normalisations: entries less their mean, divided by their standard deviation, over the axes that each one is named by.

They are composed of means and square roots; the derivative, g less its mean and less its part along y, follows by itself.
A primitive of its own would be at most 1.2 times as fast. Letters: x (N, C, …) has examples along axis 0, channels along 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import DetachError, DTypeError, ShapeError, UnsupportedError
from ..rules import pointwise, reductions
from ..tensor import Tensor
from .inputs import as_array, floating, value_of
from .shapes import reshape

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]


def _standardised(x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any, Any]:
    """(x − μ) / √(σ² + ε) along the axes, with μ and σ²: the two passes that do not cancel."""
    mean = reductions.mean(x, axis=axes, keepdims=True)
    centred = x - mean
    variance = reductions.mean(pointwise.square(centred), axis=axes, keepdims=True)
    return centred / pointwise.sqrt(variance + eps), mean, variance


def _scaled(y: Any, weight: Any, bias: Any, size: tuple[int, ...], shape: tuple[int, ...], where: str) -> Any:
    """weight · y + bias, each of the given size, laid out in the given shape; None leaves one out."""
    for name, given, op in (("weight", weight, pointwise.multiply), ("bias", bias, pointwise.add)):
        if given is None:
            continue
        given = as_array(given, where)
        if tuple(given.shape) != size:
            raise ShapeError(f"{where}: {name} has shape {tuple(given.shape)}, and needs {size} for x of shape "
                             f"{tuple(y.shape)}." + (f" Use {name}.reshape{size}." if given.size == math.prod(size) else ""))
        if type(given) is not Tensor:
            given = np.asarray(given, y.dtype)
        y = op(y, given if shape == size else reshape(given, shape))
    return y


def _features(x: Any, normalized_shape: int | Sequence[int], where: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The last axes, and their sizes, checked."""
    size = (int(normalized_shape),) if isinstance(normalized_shape, (int, np.integer)) else tuple(map(int, normalized_shape))
    if not size or tuple(x.shape[max(x.ndim - len(size), 0) :]) != size:
        raise ShapeError(f"{where}: normalized_shape={size} are the sizes of the last axes of x, which has shape "
                         f"{tuple(x.shape)}. Write normalized_shape=x.shape[-1] for one value per row.")
    return tuple(range(x.ndim - len(size), x.ndim)), size


def _channels(x: Any, where: str) -> tuple[int, tuple[int, ...]]:
    """How many channels there are along axis 1, and the shape that lays one number for each along it."""
    if x.ndim < 2:
        raise ShapeError(f"{where}: x has shape {tuple(x.shape)}; it needs examples along axis 0 and channels along axis 1. "
                         "Use x.reshape(1, -1) for one example, x.reshape(-1, 1) for one channel.")
    return x.shape[1], (x.shape[1],) + (1,) * (x.ndim - 2)


def layer_norm(x: Any, normalized_shape: int | Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """weight · (x − μ)/√(σ² + eps) + bias, μ and σ² of each example over its last axes (Ba et al. 2016).

    normalized_shape : the sizes of these axes, a number for the last one alone; weight and bias have this shape.
    With g′ = weight · g the derivative in x is (g′ − mean g′ − y mean(g′ y))/√(σ² + eps), y before weight and bias.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.layer_norm(tg.Tensor([[1.0, 3.0], [0.0, 100.0]]), 2).numpy().round(4).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """
    x = floating(x, "layer_norm")
    axes, size = _features(x, normalized_shape, "layer_norm")
    return _scaled(_standardised(x, axes, eps)[0], weight, bias, size, size, "layer_norm")


def rms_norm(x: Any, normalized_shape: int | Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """weight · x/√(mean x² + eps), the mean over the last axes (Zhang and Sennrich 2019); nothing is subtracted.

    normalized_shape : the sizes of these axes, a number for the last one alone. eps : by default the spacing of x's numbers
    at 1, np.finfo(x.dtype).eps.

    >>> import tinygrad_edu as tg
    >>> tg.rms_norm(tg.Tensor([1.0, 1.0, 1.0, 5.0]), 4).numpy().round(3).tolist()
    [0.378, 0.378, 0.378, 1.89]
    """
    x = floating(x, "rms_norm")
    axes, size = _features(x, normalized_shape, "rms_norm")
    eps = float(np.finfo(x.dtype).eps) if eps is None else eps
    y = x / pointwise.sqrt(reductions.mean(pointwise.square(x), axis=axes, keepdims=True) + eps)
    return _scaled(y, weight, None, size, size, "rms_norm")


def group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """(x − μ)/√(σ² + eps), μ and σ² of each example over a group of channels (Wu and He 2018).

    x (N, C, …), C a multiple of num_groups; weight and bias (C,).

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.group_norm(tg.Tensor([[1.0, 3.0, 0.0, 100.0]]), 2).numpy().round(4).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """
    x = floating(x, "group_norm")
    channels, shape = _channels(x, "group_norm")
    if num_groups < 1 or channels % num_groups:
        raise ShapeError(f"group_norm: {channels} channels (axis 1 of {tuple(x.shape)}) make no {num_groups} groups of one "
                         "size. Choose a divisor.")
    grouped = reshape(x, (x.shape[0], num_groups, channels // num_groups, *x.shape[2:]))
    y = reshape(_standardised(grouped, tuple(range(2, grouped.ndim)), eps)[0], tuple(x.shape))
    return _scaled(y, weight, bias, (channels,), shape, "group_norm")


def instance_norm(x: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None,
                  use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5) -> Any:
    """(x − μ)/√(σ² + eps), μ and σ² of each example and channel over its places (Ulyanov et al. 2016).

    x (N, C, places…). weight, bias (C,). running_mean and running_var are as for batch_norm: updated where
    use_input_stats, used instead of μ and σ² where not.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.instance_norm(tg.Tensor([[[1.0, 3.0], [0.0, 100.0]]])).numpy().round(4).tolist()
    [[[-1.0, 1.0], [-1.0, 1.0]]]
    """
    x = floating(x, "instance_norm")
    if x.ndim < 3:
        raise ShapeError(f"instance_norm: x has shape {tuple(x.shape)}, and no places to take a mean over. Give (N, C, "
                         "places…), or use layer_norm.")
    return _with_running(x, running_mean, running_var, weight, bias, use_input_stats, momentum, eps, "instance_norm",
                         tuple(range(2, x.ndim)))


def batch_norm(x: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None,
               training: bool = False, momentum: float = 0.1, eps: float = 1e-5) -> Any:
    """weight · (x − μ)/√(σ² + eps) + bias, one μ and σ² for each channel (Ioffe and Szegedy 2015).

    x (N, C) or (N, C, places…); running_mean, running_var, weight, bias (C,).

    training : μ and σ² are those of the batch, over all axes but 1, and the running statistics, where given, are updated
    in place: running = (1 − momentum) · running + momentum · batch, with the batch's unbiased variance. Otherwise μ and σ²
    are the running ones, which are then needed. They are plain float arrays of yours, never Tensors: they have no gradient.
    Every call with training=True updates them, also those that a gradient check makes.

    >>> import numpy as np, tinygrad_edu as tg
    >>> mean, var = np.zeros(2), np.ones(2)
    >>> y = tg.batch_norm(tg.Tensor([[1.0, 0.0], [3.0, 100.0]]), mean, var, training=True)
    >>> y.numpy().round(4).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    >>> mean, var
    (array([0.2, 5. ]), array([  1.1, 500.9]))
    """
    x = floating(x, "batch_norm")
    _channels(x, "batch_norm")
    if not training and (running_mean is None or running_var is None):
        raise ValueError("batch_norm: training=False uses running_mean and running_var, and they are not both given. Pass "
                         "them, or training=True for the statistics of the batch.")
    return _with_running(x, running_mean, running_var, weight, bias, training, momentum, eps, "batch_norm",
                         (0, *range(2, x.ndim)))


def _with_running(x: Any, running_mean: Any, running_var: Any, weight: Any, bias: Any, from_x: bool, momentum: float,
                  eps: float, where: str, axes: tuple[int, ...]) -> Any:
    channels, shape = _channels(x, where)
    for name, held in (("running_mean", running_mean), ("running_var", running_var)):
        if held is not None:
            _check_running(held, name, channels, from_x, where)
    if not from_x:
        if running_mean is None or running_var is None:
            raise ValueError(f"{where}: without the statistics of x it needs running_mean and running_var. Pass both.")
        mean, variance = (_as_constant(held, x.dtype).reshape(shape) for held in (running_mean, running_var))
        y = (x - mean) / np.sqrt(variance + eps)
        return _scaled(y, weight, bias, (channels,), shape, where)
    count = _counted(x, axes, where)
    y, mean, variance = _standardised(x, axes, eps)
    if count:
        _update(running_mean, value_of(mean), 1.0, momentum, where)
        _update(running_var, value_of(variance), count / (count - 1), momentum, where)
    return _scaled(y, weight, bias, (channels,), shape, where)


def _as_constant(held: Any, dtype: Any) -> Any:
    """An array of this dtype; of a traced one, which np.asarray would make forget its history, too."""
    return held.astype(dtype) if getattr(held, "is_traced", False) else np.asarray(held, dtype)


def _counted(x: Any, axes: tuple[int, ...], where: str) -> int:
    """How many values each mean is taken of."""
    count: int = math.prod(x.shape[i] for i in axes)
    if count == 1:
        raise ValueError(f"{where}: x has shape {tuple(x.shape)}: one value per channel is its own mean, and has no variance. "
                         "Give more values, or use the running statistics.")
    return count


def with_statistics(x: Any, weight: Any, bias: Any, eps: float, where: str) -> tuple[Any, Any, Any]:
    """batch_norm in training, and the batch's mean and unbiased variance as plain arrays (C,), for running ones."""
    channels, shape = _channels(x, where)
    axes = (0, *range(2, x.ndim))
    count = _counted(x, axes, where)
    y, mean, variance = _standardised(x, axes, eps)
    y = _scaled(y, weight, bias, (channels,), shape, where)
    return y, value_of(mean).reshape(channels), value_of(variance).reshape(channels) * (count / max(count - 1, 1))


def _check_running(held: Any, name: str, channels: int, written: bool, where: str) -> None:
    if type(held) is Tensor:
        raise DetachError(f"{where}: {name} is a Tensor, and would be changed in place, without a gradient. Keep it as a plain "
                          f"array: np.{'zeros' if name == 'running_mean' else 'ones'}({channels}).")
    if written and (not isinstance(held, ndarray) or held.dtype.kind != "f" or not held.flags.writeable):
        raise DTypeError(f"{where}: {name} is updated in place, so it must be a writable array of floats: "
                         f"np.{'zeros' if name == 'running_mean' else 'ones'}({channels}).")
    if np.shape(held) != (channels,):
        raise ShapeError(f"{where}: {name} has shape {np.shape(held)}, and there are {channels} channels: it needs "
                         f"({channels},).")


def _update(held: Any, batch: Any, factor: float, momentum: float, where: str) -> None:
    """Move the running statistic towards that of the batch (of instances: their mean)."""
    if held is None:
        return
    if getattr(batch, "is_traced", False):
        raise UnsupportedError(f"{where}: while a function is traced, a program that updates running statistics would do so "
                               "only now. Pass None for them in training, and average them outside.")
    channel = np.real(batch).reshape(batch.shape[:2])
    held += momentum * (factor * channel.mean(axis=0) - held)
