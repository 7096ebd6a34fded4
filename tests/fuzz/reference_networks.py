"""Activations, losses, normalisations, attention and windows by NumPy alone: the definitions, without regard to speed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .reference import _float, _like, _reduced, elu, log_softmax, one_hot_of, reference, sigmoid, softmax, softplus

# ---------------------------------------------------------------- activations


@reference
def celu(x: Any, alpha: float = 1.0) -> Any:
    return np.where(x > np.zeros_like(x), x, alpha * np.expm1(x / alpha))[()]


@reference
def selu(x: Any) -> Any:
    return elu(x, 1.6732632423543772848170429916717) * 1.0507009873554804934193349852946


@reference
def mish(x: Any) -> Any:
    return x * np.tanh(softplus(x))


@reference
def softsign(x: Any) -> Any:
    return x / (1 + np.abs(x))


@reference
def hard_tanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    return np.clip(x, min_val, max_val)


@reference
def relu6(x: Any) -> Any:
    return np.clip(x, 0, 6)


@reference
def hard_sigmoid(x: Any) -> Any:
    return np.clip(x + 3, 0, 6) / 6


@reference
def hard_swish(x: Any) -> Any:
    return x * hard_sigmoid(x)


@reference
def hardshrink(x: Any, lambd: float = 0.5) -> Any:
    return np.where(np.abs(x) > lambd, x, np.zeros_like(x))[()]


@reference
def softshrink(x: Any, lambd: float = 0.5) -> Any:
    return np.sign(x) * np.maximum(np.abs(x) - lambd, 0)


@reference
def tanhshrink(x: Any) -> Any:
    return x - np.tanh(x)


@reference
def prelu(x: Any, weight: Any) -> Any:
    w = _like(weight, x)
    w = np.reshape(w, ()) if w.size == 1 else w.reshape((w.size,) + (1,) * (x.ndim - (2 if x.ndim > 1 else 1)))
    return np.where(x > np.zeros_like(x), x, w * x)[()]


@reference
def softmin(x: Any, axis: Any = -1) -> Any:
    return softmax(-x, axis)


@reference
def glu(x: Any, axis: int = -1) -> Any:
    a, b = np.split(x, 2, axis)
    return a * sigmoid(b)


# ---------------------------------------------------------------- losses


@reference
def mse(p: Any, y: Any, reduction: str = "mean") -> Any:
    return _reduced((p - _like(y, p)) ** 2, reduction)


@reference
def l1(p: Any, y: Any, reduction: str = "mean") -> Any:
    return _reduced(np.abs(p - _like(y, p)), reduction)


@reference
def huber(p: Any, y: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    e = np.abs(p - _like(y, p))
    return _reduced(np.where(e <= delta, e * e / 2, delta * (e - delta / 2)), reduction)


@reference
def smooth_l1(p: Any, y: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    return huber(p, y, reduction, beta) / beta if beta else l1(p, y, reduction)


@reference
def gaussian_nll(p: Any, y: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> Any:
    v = np.maximum(_like(_float(var), p), eps)
    losses = (np.log(v) + (p - _like(y, p)) ** 2 / v) / 2
    return _reduced(losses + (math.log(2 * math.pi) / 2 if full else 0), reduction)


@reference
def poisson_nll(p: Any, y: Any, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean") -> Any:
    y = _like(y, p)
    losses = np.exp(p) - y * p if log_input else p - y * np.log(p + eps)
    if full:
        big = np.maximum(y, 1)
        losses = losses + np.where(y > 1, big * np.log(big) - big + np.log(2 * math.pi * big) / 2, np.zeros_like(big))
    return _reduced(losses, reduction)


@reference
def hinge(s: Any, y: Any, reduction: str = "mean", margin: float = 1.0) -> Any:
    return _reduced(np.maximum(margin - _like(y, s) * s, 0), reduction)


@reference
def margin_ranking(a: Any, b: Any, y: Any, margin: float = 0.0, reduction: str = "mean") -> Any:
    return _reduced(np.maximum(margin - _like(y, a) * (a - b), 0), reduction)


@reference
def focal(z: Any, y: Any, alpha: float | None = 0.25, gamma: float = 2.0, reduction: str = "mean") -> Any:
    y = _like(y, z)
    p = y * sigmoid(z) + (1 - y) * sigmoid(-z)
    weight = 1 if alpha is None else alpha * y + (1 - alpha) * (1 - y)
    return _reduced(-weight * (1 - p) ** gamma * np.log(p), reduction)


@reference
def kl_div(log_p: Any, y: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    y = _like(y, log_p)
    y, log_y = (np.exp(y), y) if log_target else (y, np.log(np.where(y == 0, np.ones_like(y), y)))
    losses = y * (log_y - log_p)
    return np.sum(losses) / log_p.shape[0] if reduction == "batchmean" else _reduced(losses, reduction)


def _class_axis(z: Any, axis: int | None) -> int:
    return (1 if z.ndim > 1 else 0) if axis is None else axis % z.ndim


def _along(w: Any, axis: int, like: Any) -> Any:
    return np.asarray(w, like.dtype).reshape(tuple(-1 if i == axis else 1 for i in range(like.ndim)))


@reference
def cross_entropy(z: Any, target: Any, axis: int | None = None, reduction: str = "mean", weight: Any = None,
                  ignore_index: int = -100, label_smoothing: float = 0.0) -> Any:
    axis, target = _class_axis(z, axis), np.asarray(target)
    classes = z.shape[axis]
    indices = target.dtype.kind in "iu"
    t = one_hot_of(target, z, axis) if indices else _like(target, z)
    w = np.ones_like(z) if weight is None else _along(weight, axis, z) * np.ones_like(z)
    counted = np.ones_like(z)
    if indices:
        counted = counted * np.asarray(np.expand_dims(target != ignore_index, axis), z.dtype)
    smooth = ((1 - label_smoothing) * t + label_smoothing / classes) * counted
    losses = -np.sum(smooth * w * log_softmax(z, axis), axis)
    if reduction == "mean" and indices:
        return np.sum(losses) / np.sum(t * w * counted)
    return _reduced(losses, reduction)


@reference
def nll(log_p: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean",
        axis: int | None = None) -> Any:
    axis = _class_axis(log_p, axis)
    t = one_hot_of(np.asarray(target), log_p, axis)
    t = t if weight is None else t * _along(weight, axis, log_p)
    t = t * np.asarray(np.expand_dims(np.asarray(target) != ignore_index, axis), t.dtype)
    losses = -np.sum(t * log_p, axis)
    return np.sum(losses) / np.sum(t) if reduction == "mean" else _reduced(losses, reduction)


@reference
def multiclass_hinge(s: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, reduction: str = "mean",
                     axis: int | None = None) -> Any:
    axis = _class_axis(s, axis)
    t = one_hot_of(np.asarray(target), s, axis)
    own = np.sum(t * s, axis, keepdims=True)
    losses = np.sum((1 - t) * np.maximum(margin - own + s, 0) ** p, axis) / s.shape[axis]
    if weight is not None:
        losses = losses * np.sum(t * _along(weight, axis, s), axis)
    return _reduced(losses, reduction)


@reference
def binary_cross_entropy(p: Any, y: Any, reduction: str = "mean", weight: Any = None) -> Any:
    y = _like(y, p)
    losses = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    return _reduced(losses if weight is None else losses * _like(weight, p), reduction)


@reference
def binary_cross_entropy_with_logits(z: Any, y: Any, reduction: str = "mean", pos_weight: Any = None,
                                     weight: Any = None) -> Any:
    y = _like(y, z)
    pos = 1 if pos_weight is None else _like(pos_weight, z)
    losses = pos * y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)
    return _reduced(losses if weight is None else losses * _like(weight, z), reduction)


# ---------------------------------------------------------------- normalisations and attention


def _standard(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    centred = x - np.mean(x, axes, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axes, keepdims=True) + eps)


def _scaled(y: Any, weight: Any, bias: Any, shape: tuple[int, ...]) -> Any:
    y = y if weight is None else y * np.asarray(weight, y.dtype).reshape(shape)
    return y if bias is None else y + np.asarray(bias, y.dtype).reshape(shape)


def _last(x: Any, size: Any) -> tuple[int, ...]:
    n = 1 if isinstance(size, int) else len(size)
    return tuple(range(x.ndim - n, x.ndim))


@reference
def layer_norm(x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    axes = _last(x, normalized_shape)
    return _scaled(_standard(x, axes, eps), weight, bias, x.shape[axes[0]:])


@reference
def rms_norm(x: Any, normalized_shape: Any, weight: Any = None, eps: float = 0.0) -> Any:
    axes = _last(x, normalized_shape)
    return _scaled(x / np.sqrt(np.mean(x * x, axes, keepdims=True) + eps), weight, None, x.shape[axes[0]:])


def _per_channel(x: Any) -> tuple[int, ...]:
    return (x.shape[1],) + (1,) * (x.ndim - 2)


@reference
def group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    apart = x.reshape(x.shape[0], num_groups, -1)
    return _scaled(_standard(apart, (2,), eps).reshape(x.shape), weight, bias, _per_channel(x))


@reference
def batch_norm(x: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None,
               training: bool = False, momentum: float = 0.1, eps: float = 1e-5) -> Any:
    if training:
        y = _standard(x, (0, *range(2, x.ndim)), eps)
    else:
        shape = _per_channel(x)
        y = (x - _like(running_mean, x).reshape(shape)) / np.sqrt(_like(running_var, x).reshape(shape) + eps)
    return _scaled(y, weight, bias, _per_channel(x))


@reference
def instance_norm(x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    return _scaled(_standard(x, tuple(range(2, x.ndim)), eps), weight, bias, _per_channel(x))


@reference
def dropout(x: Any, p: float = 0.5, training: bool = True, rng: Any = None) -> Any:
    if not training:
        return x
    kept = np.random.default_rng(rng).random(np.shape(x)) >= p
    return np.where(kept, x, np.zeros_like(x)) / (1 - p)


@reference
def scaled_dot_product_attention(query: Any, key: Any, value: Any, attn_mask: Any = None, is_causal: bool = False,
                                 scale: float | None = None) -> Any:
    scores = query @ np.swapaxes(key, -1, -2) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    value, seen = np.asarray(value), np.ones(scores.shape, bool)
    if is_causal:
        seen = seen & np.tril(np.ones(scores.shape[-2:], bool))
    if attn_mask is not None:
        if attn_mask.dtype == bool:
            seen = seen & attn_mask
        else:
            scores = scores + np.asarray(attn_mask, scores.dtype)
    e = np.exp(scores) * seen
    total = np.sum(e, -1, keepdims=True)
    return (e / np.where(total == 0, np.ones_like(total), total)) @ value


# ---------------------------------------------------------------- windows


def _each(given: Any, space: int) -> tuple[int, ...]:
    return (given,) * space if isinstance(given, int) else tuple(given)


def _batched(x: Any, space: int) -> tuple[Any, bool]:
    return (x[None], True) if x.ndim == space + 1 else (x, False)


def _windows(x: Any, kernel: Sequence[int], stride: Sequence[int], before: Sequence[int], dilation: Sequence[int],
             size: Sequence[int], fill: float = 0.0) -> Any:
    """(N, C, windows along each axis, kernel): every window, read from a padded copy."""
    space = len(kernel)
    width = [(0, 0), (0, 0)]
    for n, k, s, b, d, m in zip(x.shape[2:], kernel, stride, before, dilation, size, strict=True):
        width.append((b, max(0, (m - 1) * s + (k - 1) * d + 1 - n - b)))
    x = np.pad(x, width, constant_values=fill)
    for i, (k, s, d, m) in enumerate(zip(kernel, stride, dilation, size, strict=True)):
        places = np.arange(m)[:, None] * s + np.arange(k) * d
        x = np.moveaxis(np.take(x, places, axis=2 + i), 3 + i, -1)
    return x.reshape(*x.shape[:2], *size, *kernel) if space else x


def _count(n: int, k: int, s: int, b: int, d: int, ceil: bool = False) -> int:
    room = n + 2 * b - (k - 1) * d - 1
    m = (-(-room // s) if ceil else room // s) + 1
    m = m - 1 if ceil and (m - 1) * s >= n + b else m
    if m < 1:
        raise ValueError("no window fits")
    return m


def _conv(space: int, x: Any, w: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    w = np.asarray(w)
    x, single = _batched(x, space)
    kernel = w.shape[2:]
    stride, dilation = _each(stride, space), _each(dilation, space)
    if padding == "same":
        reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
        x = np.pad(x, [(0, 0), (0, 0), *((r // 2, r - r // 2) for r in reach)])
        padding = 0
    before = _each(0 if padding == "valid" else padding, space)
    size = [_count(n, k, s, b, d) for n, k, s, b, d in zip(x.shape[2:], kernel, stride, before, dilation, strict=True)]
    seen = _windows(x, kernel, stride, before, dilation, size)
    outs, cs, fs = "ij"[:space], "pq"[:space], w.shape[0] // groups
    parts = [np.einsum(f"nc{outs}{cs},fc{cs}->nf{outs}", seen[:, g * w.shape[1]:(g + 1) * w.shape[1]],
                       w[g * fs:(g + 1) * fs]) for g in range(groups)]
    y = np.concatenate(parts, 1)
    y = y if bias is None else y + np.reshape(bias, (-1,) + (1,) * space)
    return y[0] if single else y


@reference
def conv1d(x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Any:
    return _conv(1, x, weight, bias, stride, padding, dilation, groups)


@reference
def conv2d(x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Any:
    return _conv(2, x, weight, bias, stride, padding, dilation, groups)


def _conv_transpose(space: int, x: Any, w: Any, bias: Any, stride: Any, padding: Any, extra: Any, groups: int,
                    dilation: Any) -> Any:
    w = np.asarray(w)
    x, single = _batched(x, space)
    kernel = w.shape[2:]
    stride, dilation, padding, extra = (_each(v, space) for v in (stride, dilation, padding, extra))
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ValueError("output padding")
    full = [(n - 1) * s + (k - 1) * d + 1 + e for n, s, k, d, e in zip(
        x.shape[2:], stride, kernel, dilation, extra, strict=True)]
    if any(n - 2 * p < 0 for n, p in zip(full, padding, strict=True)):
        raise ValueError("nothing is left")
    dtype = np.result_type(x, w)
    y = np.zeros((x.shape[0], w.shape[1] * groups, *full), dtype)
    c = x.shape[1] // groups
    for g in range(groups):
        for place in itertools.product(*map(range, kernel)):
            part = np.einsum("nc...,cf->nf...", x[:, g * c:(g + 1) * c], w[(slice(g * c, (g + 1) * c), slice(None), *place)])
            where = tuple(slice(p * d, p * d + (n - 1) * s + 1, s) for p, d, n, s in zip(
                place, dilation, x.shape[2:], stride, strict=True))
            y[(slice(None), slice(g * w.shape[1], (g + 1) * w.shape[1]), *where)] += part
    y = y[(slice(None), slice(None), *(slice(p, n - p) for p, n in zip(padding, full, strict=True)))]
    y = y if bias is None else y + np.reshape(bias, (-1,) + (1,) * space)
    return y[0] if single else y


@reference
def conv_transpose1d(x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
                     groups: int = 1, dilation: Any = 1) -> Any:
    return _conv_transpose(1, x, weight, bias, stride, padding, output_padding, groups, dilation)


@reference
def conv_transpose2d(x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
                     groups: int = 1, dilation: Any = 1) -> Any:
    return _conv_transpose(2, x, weight, bias, stride, padding, output_padding, groups, dilation)


def _pool(space: int, x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, average: bool,
          include: bool = True, divisor: float | None = None) -> Any:
    x, single = _batched(x, space)
    kernel = _each(kernel, space)
    stride = kernel if stride is None else _each(stride, space)
    before, dilation = _each(padding, space), _each(dilation, space)
    if any(b > k // 2 for b, k in zip(before, kernel, strict=True)):
        raise ValueError("padding alone")
    size = [_count(n, k, s, b, d, ceil) for n, k, s, b, d in zip(x.shape[2:], kernel, stride, before, dilation, strict=True)]
    axes = tuple(range(-space, 0))
    seen = _windows(x, kernel, stride, before, dilation, size, 0.0 if average else -np.inf)
    if average:
        if divisor is None:
            ones = np.ones((1, 1, *x.shape[2:]), x.dtype)
            if include:
                ones = np.pad(ones, [(0, 0), (0, 0), *((b, b) for b in before)], constant_values=1)
                counts = np.sum(_windows(ones, kernel, stride, (0,) * space, dilation, size), axes)
            else:
                counts = np.sum(_windows(ones, kernel, stride, before, dilation, size), axes)
        y = np.sum(seen, axes) / (divisor if divisor is not None else counts)
    else:
        y = np.max(seen, axes)
    return y[0] if single else y


@reference
def max_pool1d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False) -> Any:
    return _pool(1, x, kernel_size, stride, padding, dilation, ceil_mode, False)


@reference
def max_pool2d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False) -> Any:
    return _pool(2, x, kernel_size, stride, padding, dilation, ceil_mode, False)


@reference
def avg_pool1d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True) -> Any:
    return _pool(1, x, kernel_size, stride, padding, 1, ceil_mode, True, count_include_pad)


@reference
def avg_pool2d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, divisor_override: float | None = None) -> Any:
    return _pool(2, x, kernel_size, stride, padding, 1, ceil_mode, True, count_include_pad, divisor_override)


@reference
def unfold(x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    x, single = _batched(x, 2)
    kernel, dilation, before, stride = (_each(v, 2) for v in (kernel_size, dilation, padding, stride))
    size = [_count(n, k, s, b, d) for n, k, s, b, d in zip(x.shape[2:], kernel, stride, before, dilation, strict=True)]
    seen = np.transpose(_windows(x, kernel, stride, before, dilation, size), (0, 1, 4, 5, 2, 3))
    y = seen.reshape(x.shape[0], x.shape[1] * math.prod(kernel), math.prod(size))
    return y[0] if single else y


@reference
def fold(x: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    single = x.ndim == 2
    x = x[None] if single else x
    shape, kernel, dilation, before, stride = (_each(v, 2) for v in (output_size, kernel_size, dilation, padding, stride))
    channels = x.shape[1] // math.prod(kernel)
    # the transpose of unfold, entry by entry: where each entry of the columns was read
    places = np.arange(1.0, channels * math.prod(shape) + 1).reshape(1, channels, *shape)
    read = unfold(places, kernel, dilation, before, stride)[0].astype(int)
    y = np.zeros((x.shape[0], channels * math.prod(shape) + 1), x.dtype)
    for n in range(x.shape[0]):
        np.add.at(y[n], read.ravel(), x[n].ravel())
    y = y[:, 1:].reshape(x.shape[0], channels, *shape)
    return y[0] if single else y


@reference
def interpolate(x: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
                align_corners: bool | None = None) -> Any:
    for axis in range(2, x.ndim):
        n = x.shape[axis]
        if size is not None:
            m = _each(size, x.ndim - 2)[axis - 2]
            step = n / m
        else:
            factor = scale_factor if isinstance(scale_factor, (int, float)) else scale_factor[axis - 2]
            m = math.floor(n * factor)
            step = 1 / factor
        if m < 1:
            raise ValueError("nothing is left")
        table = np.zeros((m, n), x.dtype)
        for i in range(m):
            if mode == "nearest":
                table[i, min(n - 1, math.floor(i * step))] = 1
                continue
            at = i * ((n - 1) / (m - 1) if m > 1 else 0) if align_corners else max((i + 0.5) * step - 0.5, 0)
            at = min(at, n - 1)
            low = math.floor(at)
            table[i, low] += 1 - (at - low)
            table[i, min(low + 1, n - 1)] += at - low
        x = np.moveaxis(np.tensordot(table, x, ([1], [axis])), 0, axis)
    return x
