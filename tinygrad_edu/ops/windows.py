"""Convolutions, pooling and resampling of images and sequences, as PyTorch's functions of these names.

Images are (N, C, H, W): examples, channels, rows, columns; sequences (N, C, L). One example alone, (C, H, W), gives one
result alone. Filters are (filters, channels / groups, height, width).
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError, UnsupportedError, name_of, variable_names
from ..rules import windows
from .inputs import floating
from .pointwise import add, divide
from .shapes import reshape

__all__ = [
    "avg_pool1d", "avg_pool2d", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "fold", "interpolate",
    "max_pool1d", "max_pool2d", "unfold",
]

Sizes = int | Sequence[int]
_LETTERS = {1: ("L",), 2: ("H", "W")}


# ---------------------------------------------------------------- what the arguments mean

def _each(given: Sizes, count: int, where: str, what: str, least: int = 1) -> tuple[int, ...]:
    """One whole number for each axis of space."""
    several = isinstance(given, (tuple, list, np.ndarray))
    numbers = tuple(given) * (count if len(given) == 1 else 1) if several else (given,) * count  # type: ignore[arg-type]
    if len(numbers) != count or not builtins.all(isinstance(n, (int, np.integer)) and n >= least for n in numbers):
        shown = f"({', '.join(str(least) for _ in range(count))})" if count > 1 else str(least)
        raise ShapeError(f"{where}: {what}={given!r}: write one whole number, at least {least}, or one for each of the {count} "
                         f"axes, for example {what}={shown}.")
    return tuple(int(n) for n in numbers)  # type: ignore[arg-type]


def _called(x: Any, default: str) -> str:
    return f"{name_of(x, variable_names(), default)} {tuple(x.shape)}"


def _shaped(numbers: Sequence[int]) -> str:
    return " x ".join(map(str, numbers))


def _batch(x: Any, space: int, where: str, layout: str = "C") -> tuple[Any, bool]:
    """x with an axis of examples, and whether it had to be given one."""
    x = floating(x, where)
    if x.ndim == space + 2:
        return x, False
    if x.ndim == space + 1:
        return reshape(x, (1, *x.shape)), True
    one = ", ".join((layout, *_LETTERS[space]))
    hint = ""
    if x.ndim == space:
        hint = f" For one channel use x.reshape({', '.join(map(str, (1, 1, *x.shape)))})."
    raise ShapeError(f"{where}: {_called(x, 'x')} has {x.ndim} axes; it takes (N, {one}), or ({one}) for one example.{hint}")


def _alone(y: Any, single: bool) -> Any:
    return reshape(y, y.shape[1:]) if single else y


def _filters(w: Any, space: int, where: str, order: str) -> Any:
    w = floating(w, where)
    if w.ndim != space + 2:
        raise ShapeError(f"{where}: {_called(w, 'weight')} has {w.ndim} axes; it takes ({order}, "
                         f"{', '.join('k' + a for a in _LETTERS[space])}).")
    return w


def _divisible(count: int, groups: int, where: str, what: str) -> None:
    if not isinstance(groups, (int, np.integer)) or groups < 1:
        raise ShapeError(f"{where}: groups={groups!r}: write a whole number, at least 1.")
    if count % groups:
        raise ShapeError(f"{where}: {count} {what} are not divisible into {groups} groups. Choose groups that divide them.")


def _with_bias(y: Any, bias: Any, w: Any, filters: int, where: str) -> Any:
    if bias is None:
        return y
    bias = floating(bias, where)
    if tuple(bias.shape) != (filters,):
        hint = f" Use bias.reshape({filters})." if bias.size == filters else ""
        raise ShapeError(f"{where}: {_called(bias, 'bias')} for {_called(w, 'weight')}: it takes one number for each filter, "
                         f"shape ({filters},).{hint}")
    return add(y, reshape(bias, (filters,) + (1,) * (y.ndim - 2)))


def _reach(kernel: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    return tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))


def _sizes(x: Any, kernel: Sequence[int], stride: Sequence[int], total: Sequence[int], dilation: Sequence[int],
           where: str) -> tuple[int, ...]:
    """How many windows fit, with `total` entries of padding on both sides together."""
    reach = _reach(kernel, dilation)
    sizes = tuple((n + p - r) // s + 1 for n, p, r, s in zip(x.shape[2:], total, reach, stride, strict=True))
    if builtins.any(n < 1 for n in sizes):
        dilated = f" ({_shaped(reach)} with its dilation)" if reach != tuple(kernel) else ""
        padded = tuple(n + p for n, p in zip(x.shape[2:], total, strict=True))
        raise ShapeError(f"{where}: a kernel of {_shaped(kernel)}{dilated} does not fit into {_called(x, 'x')}, "
                         f"{_shaped(padded)} with its padding. Use a smaller kernel, or padding.")
    return sizes


# ---------------------------------------------------------------- convolutions

def _convolve(space: int, where: str, x: Any, w: Any, bias: Any, stride: Sizes, padding: Sizes | str, dilation: Sizes,
              groups: int) -> Any:
    x, single = _batch(x, space, where)
    w = _filters(w, space, where, "filters, channels / groups")
    filters, kernel = w.shape[0], tuple(w.shape[2:])
    _divisible(x.shape[1], groups, where, "channels")
    _divisible(filters, groups, where, "filters")
    if w.shape[1] * groups != x.shape[1]:
        grouped = f" in each of {groups} groups" if groups > 1 else ""
        hint = ""
        if x.shape[-1] == w.shape[1] * groups:
            order = (0, space + 1, *range(1, space + 1))
            hint = f" If x has its channels last, use x.transpose({', '.join(map(str, order))})."
        elif w.shape[0] == x.shape[1] and groups == 1:
            hint = " The weight is (filters, channels, ...): are its first two axes exchanged?"
        elif x.shape[1] % max(w.shape[1], 1) == 0 and groups == 1:
            hint = f" With groups={x.shape[1] // max(w.shape[1], 1)} it would fit."
        raise ShapeError(f"{where}: {_called(x, 'x')} has {x.shape[1]} channels, {_called(w, 'weight')} takes "
                         f"{w.shape[1]}{grouped}.{hint}")
    stride, dilation = _each(stride, space, where, "stride"), _each(dilation, space, where, "dilation")
    if builtins.any(k < 1 for k in kernel):
        raise ShapeError(f"{where}: {_called(w, 'weight')} has a kernel without entries. Each side needs at least 1.")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f'{where}: padding={padding!r}: write "same", "valid", or whole numbers.')
        if padding == "same" and builtins.any(s != 1 for s in stride):
            raise ValueError(f'{where}: padding="same" keeps the size only with stride 1, not stride={stride}. Give the '
                             "padding in numbers.")
        total = tuple(r - 1 if padding == "same" else 0 for r in _reach(kernel, dilation))
        before = tuple(p // 2 for p in total)
    else:
        before = _each(padding, space, where, "padding", 0)
        total = tuple(2 * p for p in before)
    size = _sizes(x, kernel, stride, total, dilation, where)
    y = windows.convolution(x, w, stride=stride, before=before, dilation=dilation, groups=int(groups), size=size)
    return _alone(_with_bias(y, bias, w, filters, where), single)


def conv1d(x: Any, weight: Any, bias: Any = None, stride: Sizes = 1, padding: Sizes | str = 0, dilation: Sizes = 1,
           groups: int = 1) -> Any:
    """Filters sliding along sequences: conv2d with one axis.

    Parameters
    ----------
    x : (N, C, L), or (C, L) for one sequence. weight : (filters, C / groups, k). bias : (filters,) or None.
    stride, padding ("same", "valid" or a number), dilation, groups : as for conv2d.

    Returns (N, filters, number of windows).

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.conv1d(np.array([[1.0, 2.0, 4.0, 8.0]]), np.array([[[-1.0, 1.0]]]))  # differences
    array([[1., 2., 4.]])
    """
    return _convolve(1, "conv1d", x, weight, bias, stride, padding, dilation, groups)


def conv2d(x: Any, weight: Any, bias: Any = None, stride: Sizes = 1, padding: Sizes | str = 0, dilation: Sizes = 1,
           groups: int = 1) -> Any:
    """Filters sliding over images: y[n, f, i, j] = b[f] + Σ w[f, c, p, q] x[n, c, i·stride + p·dilation − padding, ...].

    As in neural networks the filter is not turned round. The same filter meets every place of the image, so its gradient
    is the sum over all places. Derivatives: convolutions again (rules/windows.py), to any order.

    Parameters
    ----------
    x : images, (N, C, H, W), or (C, H, W) for one. float32 stays float32.
    weight : (filters, C / groups, height, width). bias : (filters,) or None.
    stride, dilation : steps between windows, and between the entries that one window meets; a number or one for each axis.
    padding : zeros around the image, a number or one for each axis; "valid" is 0, "same" keeps the size (stride 1).
    groups : the channels and filters are cut into so many groups, and each filter sees the channels of its group.

    Returns (N, filters, rows, columns), with (H + 2·padding − dilation·(height − 1) − 1) // stride + 1 rows.
    Raises ShapeError where channels, groups, bias or sizes do not fit.

    >>> import numpy as np, tinygrad_edu as tg
    >>> image = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> vertical = np.array([[[[-1.0, 1.0]]]])
    >>> tg.conv2d(image, vertical).shape, tg.conv2d(image, vertical, padding="same").shape
    ((1, 1, 4, 3), (1, 1, 4, 4))
    >>> tg.grad(lambda w: tg.conv2d(image, w).sum())(vertical)
    array([[[[84., 96.]]]])
    """
    return _convolve(2, "conv2d", x, weight, bias, stride, padding, dilation, groups)


def _transpose_of(space: int, where: str, x: Any, w: Any, bias: Any, stride: Sizes, padding: Sizes, output_padding: Sizes,
                  groups: int, dilation: Sizes) -> Any:
    x, single = _batch(x, space, where)
    w = _filters(w, space, where, "channels, filters / groups")
    kernel = tuple(w.shape[2:])
    _divisible(x.shape[1], groups, where, "channels")
    if w.shape[0] != x.shape[1]:
        hint = " The weight is (channels, filters / groups, ...), the other way round than conv's." if (
            w.shape[1] == x.shape[1]) else ""
        raise ShapeError(f"{where}: {_called(x, 'x')} has {x.shape[1]} channels, {_called(w, 'weight')} takes "
                         f"{w.shape[0]}.{hint}")
    stride, dilation = _each(stride, space, where, "stride"), _each(dilation, space, where, "dilation")
    before, extra = _each(padding, space, where, "padding", 0), _each(output_padding, space, where, "output_padding", 0)
    for e, s, d in zip(extra, stride, dilation, strict=True):
        if e >= max(s, d):
            raise ShapeError(f"{where}: output_padding={output_padding!r} must be smaller than stride ({s}) or dilation ({d}): "
                             "it only chooses among the sizes that a convolution makes the same.")
    shape = tuple((n - 1) * s - 2 * p + r + e for n, s, p, r, e in zip(
        x.shape[2:], stride, before, _reach(kernel, dilation), extra, strict=True))
    if builtins.any(n < 0 for n in shape):
        raise ShapeError(f"{where}: {_called(x, 'x')} with padding={padding!r} would give {_shaped(shape)} entries. "
                         "Use less padding.")
    filters = w.shape[1] * groups
    y = windows.transposed_convolution(x, w, stride=stride, before=before, dilation=dilation, groups=int(groups), shape=shape)
    return _alone(_with_bias(y, bias, w, filters, where), single)


def conv_transpose1d(x: Any, weight: Any, bias: Any = None, stride: Sizes = 1, padding: Sizes = 0,
                     output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1) -> Any:
    """The transpose of conv1d, from results to sequences: conv_transpose2d with one axis.

    x : (N, C, L), or (C, L). weight : (C, filters / groups, k). bias : (filters,) or None.
    Returns (N, filters, (L − 1)·stride − 2·padding + dilation·(k − 1) + output_padding + 1).

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.conv_transpose1d(np.array([[1.0, 10.0]]), np.array([[[1.0, 2.0]]]), stride=2)
    array([[ 1.,  2., 10., 20.]])
    """
    return _transpose_of(1, "conv_transpose1d", x, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(x: Any, weight: Any, bias: Any = None, stride: Sizes = 1, padding: Sizes = 0,
                     output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1) -> Any:
    """The transpose of conv2d: every entry of x puts its multiple of the filter into the result.

    It is the map by which gradients pass back through conv2d with the same weight, stride, padding, dilation and groups, and
    enlarges images where the stride is more than 1. It does not undo a convolution.

    Parameters
    ----------
    x : (N, C, H, W), or (C, H, W). weight : (C, filters / groups, height, width). bias : (filters,) or None.
    stride, padding, dilation, groups : of the convolution that it transposes.
    output_padding : rows and columns more, where several sizes lead to x's under the convolution.

    Returns (N, filters, rows, columns), with (H − 1)·stride − 2·padding + dilation·(height − 1) + output_padding + 1 rows.
    Raises ShapeError where channels, groups, bias or sizes do not fit.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.conv_transpose2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)))
    array([[[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]]])
    """
    return _transpose_of(2, "conv_transpose2d", x, weight, bias, stride, padding, output_padding, groups, dilation)


# ---------------------------------------------------------------- pooling

def _pooling(space: int, where: str, x: Any, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, dilation: Sizes,
             ceil_mode: bool) -> tuple[Any, bool, dict[str, Any]]:
    x, single = _batch(x, space, where)
    kernel = _each(kernel_size, space, where, "kernel_size")
    stride = kernel if stride is None else _each(stride, space, where, "stride")
    before, dilation = _each(padding, space, where, "padding", 0), _each(dilation, space, where, "dilation")
    if builtins.any(p > k // 2 for p, k in zip(before, kernel, strict=True)):
        raise ShapeError(f"{where}: padding={padding!r} is more than half of kernel_size={kernel_size!r}, so a window could "
                         "see padding alone. Use less padding.")
    total = [2 * p + (s - 1 if ceil_mode else 0) for p, s in zip(before, stride, strict=True)]
    size = _sizes(x, kernel, stride, total, dilation, where)
    if ceil_mode:  # the last window starts inside
        size = tuple(n - ((n - 1) * s >= length + p) for n, s, length, p in zip(
            size, stride, x.shape[2:], before, strict=True))
    along = zip(x.shape[2:], kernel, stride, before, dilation, size, strict=True)
    if builtins.any(_sees_padding_alone(*one) for one in along):
        raise ShapeError(f"{where}: with padding={padding!r} and dilation={_shaped(dilation)} a window of {_shaped(kernel)} "
                         f"on {_called(x, 'x')} sees padding alone. Use less padding, or no dilation.")
    return x, single, {"kernel": kernel, "stride": stride, "before": before, "dilation": dilation, "size": size}


def _sees_padding_alone(length: int, kernel: int, stride: int, before: int, dilation: int, count: int) -> bool:
    """Whether a window that starts in the padding in front steps over all entries, which only dilation makes possible."""
    return dilation > 1 and builtins.any(
        not builtins.any(0 <= start + i * dilation < length for i in range(kernel))
        for start in range(-before, 0, stride)[:count])


def _max(space: int, where: str, x: Any, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, dilation: Sizes,
         ceil_mode: bool) -> Any:
    x, single, params = _pooling(space, where, x, kernel_size, stride, padding, dilation, ceil_mode)
    return _alone(windows.max_pool(x, **params), single)


def max_pool1d(x: Any, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
               ceil_mode: bool = False) -> Any:
    """The largest entry of each window of a sequence: max_pool2d with one axis.

    x : (N, C, L), or (C, L). Returns (N, C, number of windows).

    >>> import tinygrad_edu as tg
    >>> tg.max_pool1d([[1.0, 5.0, 2.0, 3.0]], 2)
    array([[5., 3.]])
    """
    return _max(1, "max_pool1d", x, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d(x: Any, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
               ceil_mode: bool = False) -> Any:
    """The largest entry of each window. Entries that tie for it share its gradient equally.

    Parameters
    ----------
    x : (N, C, H, W), or (C, H, W) for one image.
    kernel_size : height and width of a window, a number or one for each axis. stride : steps between windows, by default
        the kernel, so that windows do not overlap.
    padding : at most half of the kernel; what it adds is never the largest. dilation : steps inside a window.
    ceil_mode : also a last window that is only partly inside.

    Returns (N, C, rows, columns). Raises ShapeError where the kernel or the padding does not fit.

    >>> import numpy as np, tinygrad_edu as tg
    >>> x = np.array([[[1.0, 2.0, 0.0, 4.0], [3.0, 0.0, 4.0, 0.0]]])
    >>> tg.max_pool2d(x, 2)
    array([[[3., 4.]]])
    >>> tg.grad(lambda x: tg.max_pool2d(x, 2).sum())(x)
    array([[[0. , 0. , 0. , 0.5],
            [1. , 0. , 0.5, 0. ]]])
    """
    return _max(2, "max_pool2d", x, kernel_size, stride, padding, dilation, ceil_mode)


def _counts(length: int, kernel: int, stride: int, before: int, size: int, include_pad: bool) -> Any:
    """How many entries each window along one axis is averaged over."""
    start = np.arange(size) * stride - before
    stop = np.minimum(start + kernel, length + before)
    return stop - start if include_pad else np.minimum(stop, length) - np.maximum(start, 0)


def _average(space: int, where: str, x: Any, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, ceil_mode: bool,
             count_include_pad: bool, divisor_override: float | None) -> Any:
    x, single, params = _pooling(space, where, x, kernel_size, stride, padding, 1, ceil_mode)
    del params["dilation"]
    divisor: Any = divisor_override
    if divisor is None:
        counts: Any = 1
        for length, k, s, b, n in zip(x.shape[2:], params["kernel"], params["stride"], params["before"], params["size"],
                                      strict=True):
            counts = np.multiply.outer(counts, _counts(length, k, s, b, n, count_include_pad))
        full = math.prod(params["kernel"])
        divisor = full if (counts == full).all() else counts.astype(x.dtype)
    elif divisor == 0:
        raise ValueError(f"{where}: divisor_override=0 divides by zero. Leave it out, or give another number.")
    return _alone(divide(windows.window_sum(x, **params), divisor), single)


def avg_pool1d(x: Any, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
               count_include_pad: bool = True) -> Any:
    """The mean of each window of a sequence: avg_pool2d with one axis.

    x : (N, C, L), or (C, L). Returns (N, C, number of windows).

    >>> import tinygrad_edu as tg
    >>> tg.avg_pool1d([[1.0, 5.0, 2.0, 3.0]], 2)
    array([[3. , 2.5]])
    """
    return _average(1, "avg_pool1d", x, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(x: Any, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, divisor_override: float | None = None) -> Any:
    """The mean of each window. Derivative: every entry gets its share of each window that sees it.

    Parameters
    ----------
    x : (N, C, H, W), or (C, H, W) for one image.
    kernel_size, stride, padding, ceil_mode : as for max_pool2d; padding is of zeros.
    count_include_pad : whether the zeros of the padding count as entries. What ceil_mode adds never counts.
    divisor_override : divide by this instead of the number of entries.

    Returns (N, C, rows, columns). Raises ShapeError where the kernel or the padding does not fit.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.avg_pool2d(np.arange(8.0).reshape(1, 2, 4), 2)
    array([[[2.5, 4.5]]])
    """
    return _average(2, "avg_pool2d", x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


# ---------------------------------------------------------------- windows as columns

def unfold(x: Any, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Any:
    """The windows of images side by side: each becomes a column. Derivative: fold.

    A convolution is a matrix product with them: w.reshape(filters, −1) @ unfold(x, ...).

    x : (N, C, H, W), or (C, H, W). Returns (N, C·height·width, number of windows).

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.unfold(np.arange(6.0).reshape(1, 2, 3), 2)
    array([[0., 1.],
           [1., 2.],
           [3., 4.],
           [4., 5.]])
    """
    x, single = _batch(x, 2, "unfold")
    kernel, stride = _each(kernel_size, 2, "unfold", "kernel_size"), _each(stride, 2, "unfold", "stride")
    dilation, before = _each(dilation, 2, "unfold", "dilation"), _each(padding, 2, "unfold", "padding", 0)
    size = _sizes(x, kernel, stride, [2 * p for p in before], dilation, "unfold")
    y = windows.unfold(x, kernel=kernel, stride=stride, before=before, dilation=dilation, size=size)
    return _alone(y, single)


def fold(x: Any, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Any:
    """Put windows, given as columns, back into images; where they overlap they are added. Derivative: unfold.

    x : (N, C·height·width, windows), or without N. output_size : rows and columns of the images. Returns (N, C, *output_size).
    Raises ShapeError where the columns are not those of such images.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.fold(np.ones((4, 2)), (2, 3), 2)
    array([[[1., 2., 1.],
            [1., 2., 1.]]])
    """
    x, single = _batch(x, 1, "fold", "C·kH·kW")
    shape, kernel = _each(output_size, 2, "fold", "output_size"), _each(kernel_size, 2, "fold", "kernel_size")
    stride, dilation = _each(stride, 2, "fold", "stride"), _each(dilation, 2, "fold", "dilation")
    before = _each(padding, 2, "fold", "padding", 0)
    entries = math.prod(kernel)
    if x.shape[1] % entries:
        raise ShapeError(f"fold: the columns of {_called(x, 'x')} have {x.shape[1]} entries, no multiple of the "
                         f"{entries} of a window of {_shaped(kernel)}.")
    size = tuple((n + 2 * p - r) // s + 1 for n, p, r, s in zip(
        shape, before, _reach(kernel, dilation), stride, strict=True))
    if builtins.any(n < 1 for n in size) or math.prod(size) != x.shape[2]:
        raise ShapeError(f"fold: {_called(x, 'x')} has {x.shape[2]} columns, images of {_shaped(shape)} have {_shaped(size)} "
                         f"windows of {_shaped(kernel)}. Give the output_size, stride, padding and dilation of unfold.")
    y = windows.fold(x, kernel=kernel, stride=stride, before=before, dilation=dilation, size=size, shape=shape)
    return _alone(y, single)


# ---------------------------------------------------------------- other sizes

def _scaled(x: Any, size: Sizes | None, scale_factor: Any, space: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The new size along each axis, and how far one step there is here."""
    old = x.shape[2:]
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: give size or scale_factor, and not both.")
    if size is not None:
        new = _each(size, space, "interpolate", "size")
        return new, tuple(n / m for n, m in zip(old, new, strict=True))
    given = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * space
    factors = tuple(float(f) for f in given)
    new = tuple(math.floor(n * f) for n, f in zip(old, factors, strict=False))
    if len(factors) != space or builtins.any(n < 1 for n in new):
        raise ShapeError(f"interpolate: scale_factor={scale_factor!r} of {_called(x, 'x')}: write a positive number, or one "
                         f"for each of the {space} axes, that leaves at least one entry.")
    return new, tuple(1 / f for f in factors)


def interpolate(x: Any, size: Sizes | None = None, scale_factor: Any = None, mode: str = "nearest",
                align_corners: bool | None = None) -> Any:
    """Images or sequences in another size. Derivative: each entry gets back, weighted, what was read from it.

    Parameters
    ----------
    x : (N, C, H, W), or (N, C, L).
    size : the new rows and columns. scale_factor : or how many times as many as before, rounded down.
    mode : "nearest" repeats or drops entries; "linear" (sequences) and "bilinear" (images) go straight from one to the next.
    align_corners : True lays the first and last entries of x and of the result upon each other; otherwise (False, None) entries
        count as areas, and the outer edges of the areas meet.

    Returns (N, C, *size). Raises ShapeError, ValueError for a mode that is none or that does not go with x.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.interpolate(np.array([[[0.0, 1.0, 4.0]]]), size=5, mode="linear", align_corners=True)
    array([[[0. , 0.5, 1. , 2.5, 4. ]]])
    >>> tg.interpolate(np.array([[[0.0, 1.0]]]), scale_factor=2)
    array([[[0., 0., 1., 1.]]])
    """
    x = floating(x, "interpolate")
    space = x.ndim - 2
    if space not in (1, 2):
        raise ShapeError(f"interpolate: {_called(x, 'x')} has {x.ndim} axes; it takes (N, C, L) or (N, C, H, W).")
    linear = {1: "linear", 2: "bilinear"}[space]
    if mode not in ("nearest", linear):
        if mode in ("linear", "bilinear"):
            raise ValueError(f'interpolate: mode={mode!r} does not go with {_called(x, "x")}: write mode="{linear}".')
        raise UnsupportedError(f'interpolate: mode={mode!r} is not there: write "nearest" or "{linear}".')
    if mode == "nearest" and align_corners is not None:
        raise ValueError('interpolate: align_corners goes with "linear" and "bilinear" alone. Leave it out.')
    if not x.size:
        raise ShapeError(f"interpolate: {_called(x, 'x')} has no entries to read from.")
    new, steps = _scaled(x, size, scale_factor, space)
    for axis, (n, step) in enumerate(zip(new, steps, strict=True), start=2):
        last, there = x.shape[axis] - 1, np.arange(n)
        if mode == "nearest":
            here = np.floor(there * step)
        elif align_corners:
            here = there * (last / (n - 1) if n > 1 else 0.0)
        else:
            here = np.maximum((there + 0.5) * step - 0.5, 0)
        here = np.minimum(here, last)
        places = np.floor(here).astype(int)
        weights = here - places
        if not (n == last + 1 and (places == there).all() and not weights.any()):
            x = windows.resample(x, axis=axis, places=tuple(places.tolist()), weights=tuple(weights.tolist()))
    return x
