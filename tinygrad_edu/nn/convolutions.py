"""Layers of images (N, C, H, W) and sequences (N, C, L): convolutions and pooling, as PyTorch's of these names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import float64

from .. import ops
from ..errors import ShapeError
from ..ops.windows import Sizes
from . import init
from .init import generator
from .layers import count, floating_dtype
from .module import Module, parameter, redraw


def _each(n: Sizes, axes: int, what: str, where: str, least: int = 1) -> tuple[int, ...]:
    numbers = tuple(n) if isinstance(n, Sequence) else (n,) * axes
    if len(numbers) != axes:
        raise ShapeError(f"{where}: {what}={n!r}: write one whole number, or one for each of the {axes} axes.")
    return tuple(count(k, what, where, least) for k in numbers)


class _Convolution(Module):
    """What all convolutions have: sizes, checked, and weights."""

    _axes: int
    _transposed = False

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes, padding: Sizes | str,
                 dilation: Sizes, groups: int, bias: bool, dtype: Any, rng: Any) -> None:
        where = type(self).__name__
        self.in_channels = count(in_channels, "in_channels", where)
        self.out_channels = count(out_channels, "out_channels", where)
        self.kernel_size = _each(kernel_size, self._axes, "kernel_size", where)
        self.stride = _each(stride, self._axes, "stride", where)
        self.padding = padding if isinstance(padding, str) else _each(padding, self._axes, "padding", where, 0)
        self.dilation = _each(dilation, self._axes, "dilation", where)
        self.groups = count(groups, "groups", where)
        if in_channels % groups or out_channels % groups:
            raise ShapeError(f"{where}: {in_channels} and {out_channels} channels are not divisible into {groups} groups.")
        first, second = (in_channels, out_channels) if self._transposed else (out_channels, in_channels)
        dtype = floating_dtype(dtype, where)
        self.weight = parameter(np.zeros((first, second // groups, *self.kernel_size), dtype))
        self.bias = parameter(np.zeros(out_channels, dtype)) if bias else None
        self._draw(generator(rng))

    def _draw(self, rng: np.random.Generator) -> None:
        bound = 1 / math.sqrt(max(math.prod(self.weight.shape[1:]), 1))
        redraw(self.weight, init.uniform(self.weight.shape, -bound, bound, rng))
        if self.bias is not None:
            redraw(self.bias, init.uniform(self.bias.shape, -bound, bound, rng))

    def extra_repr(self) -> str:
        """Channels and sizes; what is as by default is left out."""
        usual = (1,) * self._axes
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, value, default in (("padding", self.padding, (0,) * self._axes), ("dilation", self.dilation, usual),
                                     ("groups", self.groups, 1)):
            text += f", {name}={value!r}" if value != default else ""
        return text + (", bias=False" if self.bias is None else "")


class Conv1d(_Convolution):
    """Filters sliding along sequences (N, C, L): Conv2d with one axis. weight (out_channels, in_channels/groups, k).

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> nn.Conv1d(2, 4, 3, padding="same", rng=0)(np.ones((5, 2, 10))).shape
    (5, 4, 10)
    """

    _axes = 1

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes | str = 0,
                 dilation: Sizes = 1, groups: int = 1, bias: bool = True, dtype: Any = float64, rng: Any = None) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, dtype, rng)

    def forward(self, x: Any) -> Any:
        """The filters' answers at each place."""
        return ops.conv1d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Conv2d(_Convolution):
    """Filters sliding over images (N, C, H, W): identical copies of each, with the same weights and bias, at every place.

    Parameters
    ----------
    in_channels, out_channels : of x, and the number of filters. kernel_size : a number, or (height, width).
    stride, padding (numbers, "same" or "valid"), dilation, groups : as for `tinygrad_edu.conv2d`. bias : one for each filter.
    dtype, rng : of the first values, uniform between ±1/√fan_in.

    weight (out_channels, in_channels/groups, height, width), bias (out_channels,) or None.

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> nn.Conv2d(1, 6, 5, rng=0)(np.ones((3, 1, 28, 28))).shape
    (3, 6, 24, 24)
    """

    _axes = 2

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes | str = 0,
                 dilation: Sizes = 1, groups: int = 1, bias: bool = True, dtype: Any = float64, rng: Any = None) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, dtype, rng)

    def forward(self, x: Any) -> Any:
        """The filters' answers at each place."""
        return ops.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class ConvTranspose1d(_Convolution):
    """The transpose of Conv1d, from results to sequences. weight (in_channels, out_channels/groups, k)."""

    _axes, _transposed = 1, True

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes = 0,
                 output_padding: Sizes = 0, groups: int = 1, bias: bool = True, dilation: Sizes = 1, dtype: Any = float64,
                 rng: Any = None) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, dtype, rng)
        self.output_padding = _each(output_padding, 1, "output_padding", "ConvTranspose1d", 0)

    def forward(self, x: Any) -> Any:
        """Each entry of x times the filters, added up where they overlap."""
        return ops.conv_transpose1d(x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups,  # type: ignore[arg-type]
                                    self.dilation)


class ConvTranspose2d(_Convolution):
    """The transpose of Conv2d, which enlarges images where stride is more than 1. weight (in, out/groups, height, width).

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> nn.ConvTranspose2d(8, 1, 2, stride=2, rng=0)(np.ones((3, 8, 7, 7))).shape
    (3, 1, 14, 14)
    """

    _axes, _transposed = 2, True

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes = 0,
                 output_padding: Sizes = 0, groups: int = 1, bias: bool = True, dilation: Sizes = 1, dtype: Any = float64,
                 rng: Any = None) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, dtype, rng)
        self.output_padding = _each(output_padding, 2, "output_padding", "ConvTranspose2d", 0)

    def forward(self, x: Any) -> Any:
        """Each entry of x times the filters, added up where they overlap."""
        return ops.conv_transpose2d(x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups,  # type: ignore[arg-type]
                                    self.dilation)


class _MaxPool(Module):
    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
                 ceil_mode: bool = False) -> None:
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.ceil_mode = padding, dilation, ceil_mode


class MaxPool1d(_MaxPool):
    """The largest entry of each window of a sequence; stride is the window's size unless it is given."""

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.max_pool1d of x."""
        return ops.max_pool1d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class MaxPool2d(_MaxPool):
    """The largest entry of each window of an image; stride is the window's size unless it is given.

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> nn.MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.max_pool2d of x."""
        return ops.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class _AvgPool(Module):
    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
                 count_include_pad: bool = True) -> None:
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad


class AvgPool1d(_AvgPool):
    """The mean of each window of a sequence; stride is the window's size unless it is given."""

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.avg_pool1d of x."""
        return ops.avg_pool1d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(_AvgPool):
    """The mean of each window of an image; stride is the window's size unless it is given."""

    def forward(self, x: Any) -> Any:
        """tinygrad_edu.avg_pool2d of x."""
        return ops.avg_pool2d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)
