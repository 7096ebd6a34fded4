"""Layers that bring values to mean 0 and variance 1: over the batch, the features, or groups of channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import float64

from .. import ops
from ..errors import ShapeError
from ..modes import here
from ..ops.inputs import floating
from ..ops.normalisations import with_statistics
from .layers import count, floating_dtype, shown
from .module import Module, parameter, redraw, refuse_traced


class _Scaled(Module):
    """weight · y + bias, from ones and zeros."""

    weight: Any
    bias: Any

    def _make(self, shape: Any, weight: bool, bias: bool, dtype: Any) -> None:
        dtype = floating_dtype(dtype, type(self).__name__)
        self.weight = parameter(np.ones(shape, dtype)) if weight else None
        self.bias = parameter(np.zeros(shape, dtype)) if bias else None

    def _draw(self, rng: np.random.Generator) -> None:
        if self.weight is not None:
            redraw(self.weight, np.ones(self.weight.shape))
        if self.bias is not None:
            redraw(self.bias, np.zeros(self.bias.shape))


class _BatchNorm(_Scaled):
    _forms: tuple[int, ...]
    _form: str
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, dtype: Any = float64) -> None:
        self.num_features = count(num_features, "num_features", type(self).__name__)
        self.eps, self.momentum, self.affine, self.track_running_stats = eps, momentum, affine, track_running_stats
        self._make(num_features, affine, affine, dtype)
        tracked = track_running_stats
        self.register_buffer("running_mean", np.zeros(num_features, dtype) if tracked else None)
        self.register_buffer("running_var", np.ones(num_features, dtype) if tracked else None)
        if momentum is None:  # a plain mean over all batches: they are counted
            self.register_buffer("num_batches_tracked", np.zeros((), dtype) if tracked else None)

    def _draw(self, rng: np.random.Generator) -> None:
        super()._draw(rng)
        if self.track_running_stats:
            self.running_mean, self.running_var = np.zeros_like(self.running_mean), np.ones_like(self.running_var)
            if self.momentum is None:
                self.num_batches_tracked = np.zeros_like(self.num_batches_tracked)

    def forward(self, x: Any) -> Any:
        """x, normalised by the batch's statistics in training, by the running ones in evaluation."""
        where = type(self).__name__
        x = floating(x, where)
        if x.ndim not in self._forms or x.shape[1] != self.num_features:
            hint = " Are the channels last? Use x.transpose(0, 3, 1, 2)." if (
                x.ndim == 4 and x.shape[-1] == self.num_features) else ""
            raise ShapeError(f"{where}({self.num_features}): {shown(x)}: it takes {self._form} with C = "
                             f"{self.num_features}.{hint}")
        if not self.training and self.track_running_stats:
            return ops.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        y, mean, variance = with_statistics(x, self.weight, self.bias, self.eps, where)
        if self.training and self.track_running_stats:
            if self._given is None and getattr(mean, "is_traced", False):
                refuse_traced(where, "what it learns about the batch")
            if not here.again:
                self._learn(mean, variance)
        return y

    def _learn(self, mean: Any, variance: Any) -> None:
        """Move the running statistics towards the batch's."""
        part: Any = self.momentum
        if part is None:
            self.num_batches_tracked = self.num_batches_tracked + np.ones((), self.running_mean.dtype)
            part = 1 / self.num_batches_tracked
        for name, batch in (("running_mean", mean), ("running_var", variance)):
            held = getattr(self, name)
            setattr(self, name, held + part * (batch - held))


class BatchNorm1d(_BatchNorm):
    """Each feature brought to mean 0 and variance 1 over the batch, then weight · y + bias (Ioffe and Szegedy 2015).

    Parameters
    ----------
    num_features : C. eps : added to the variance. affine : whether there are weight and bias, (C,).
    momentum : the running statistics become (1 − momentum) · running + momentum · batch; None takes the mean of all batches.
    track_running_stats : False uses the batch's statistics in evaluation too.

    x (N, C) or (N, C, L). In training the batch's mean and variance are used, and the buffers running_mean and running_var
    follow them (the variance unbiased, as in PyTorch); eval() uses these. New arrays take the place of the old buffers.

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> layer = nn.BatchNorm1d(2)
    >>> layer(np.array([[1.0, 0.0], [3.0, 100.0]])).numpy().round(4)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> layer.running_mean, layer.running_var
    (array([0.2, 5. ]), array([  1.1, 500.9]))
    """

    _forms, _form = (2, 3), "(N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm):
    """Each channel of images (N, C, H, W) brought to mean 0 and variance 1 over the batch and all places. See BatchNorm1d."""

    _forms, _form = (4,), "(N, C, H, W)"


class LayerNorm(_Scaled):
    """Each example brought to mean 0 and variance 1 over its last axes, then weight · y + bias (Ba et al. 2016).

    normalized_shape : the sizes of these axes, and the shape of weight and bias. It is the same in training and evaluation.

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> nn.LayerNorm(2)(np.array([[1.0, 3.0], [0.0, 100.0]])).numpy().round(4)
    array([[-1.,  1.],
           [-1.,  1.]])
    """

    def __init__(self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True,
                 bias: bool = True, dtype: Any = float64) -> None:
        sizes = (normalized_shape,) if isinstance(normalized_shape, (int, np.integer)) else tuple(normalized_shape)
        self.normalized_shape = tuple(count(n, "normalized_shape", "LayerNorm") for n in sizes)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._make(self.normalized_shape, elementwise_affine, elementwise_affine and bias, dtype)

    def forward(self, x: Any) -> Any:
        """x, normalised."""
        return ops.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(_Scaled):
    """weight · x/√(mean x² + eps), the mean over the last axes of each example (Zhang and Sennrich 2019)."""

    def __init__(self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True,
                 dtype: Any = float64) -> None:
        sizes = (normalized_shape,) if isinstance(normalized_shape, (int, np.integer)) else tuple(normalized_shape)
        self.normalized_shape = tuple(count(n, "normalized_shape", "RMSNorm") for n in sizes)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._make(self.normalized_shape, elementwise_affine, False, dtype)

    def forward(self, x: Any) -> Any:
        """x, normalised."""
        return ops.rms_norm(x, self.normalized_shape, self.weight, self.eps)


class GroupNorm(_Scaled):
    """Each example brought to mean 0 and variance 1 over groups of channels, then weight · y + bias (Wu and He 2018)."""

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True,
                 dtype: Any = float64) -> None:
        self.num_groups = count(num_groups, "num_groups", "GroupNorm")
        self.num_channels = count(num_channels, "num_channels", "GroupNorm")
        if num_channels % num_groups:
            raise ShapeError(f"GroupNorm: {num_channels} channels make no {num_groups} groups of one size. Choose a divisor.")
        self.eps, self.affine = eps, affine
        self._make(num_channels, affine, affine, dtype)

    def forward(self, x: Any) -> Any:
        """x, normalised."""
        return ops.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
