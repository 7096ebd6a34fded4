"""Windows sliding over images and sequences: convolutions, pooling, and their mirror images.

Arrays are (batch, channels, *space) with any number of axes of space; the `size` of a result says how many windows there
are along each of them. Window o along an axis meets the entries o · stride + i · dilation − before, for i in the kernel;
what lies outside counts as 0 (as −∞ for a maximum). A convolution is taken as neural networks take it, without turning
the filter round (a cross-correlation, for mathematicians):

    y[n, f, o] = Σ_c Σ_i w[f, c, i] x[n, c, o · stride + i · dilation − before]

It is linear in x and in w, and so are the two sums that are its derivatives; the three are each other's rules. That is
all that derivatives of any order need (V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning,
arXiv 1603.07285, section 4).

Each is one matrix product: the windows, copied side by side as columns (K. Chellapilla, S. Puri, P. Simard, High
performance convolutional neural networks for document processing, 2006), times the filters. Channels come first in
memory and examples last, so that a copy moves long runs, and pooled neighbours lie next to each other; results keep that
order, as a transposed view, for the next layer. Columns are made for some windows at a time, never for all of a large batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy import ndarray

from ..tensor import Primitive
from .shapes import Shape, linear

COLUMNS = 4 << 20  # bytes of columns at a time
SMALL_PRODUCT = 1_000_000  # multiplications up to which a long thin matrix product is quick
BATCH_LAST = 8  # examples from which they are the last axis in memory


class Windows:
    """Where windows lie over an array that is laid out in memory as (channels, rows, ..., batch).

    A batch of a few examples comes before the last axis instead, so that runs in memory stay long.
    """

    __slots__ = ("before", "counts", "dilation", "inverse", "kernel", "order", "reach", "rest", "steps", "stride")

    def __init__(self, batch: int, kernel: Shape, size: Shape, stride: Shape, before: Shape, dilation: Shape) -> None:
        space = range(2, 2 + len(kernel))
        self.order = (1, *space, 0) if batch >= BATCH_LAST else (1, *space[:-1], 0, space[-1])
        self.inverse = tuple(self.order.index(i) for i in range(len(self.order)))
        self.kernel, self.stride, self.before, self.dilation = kernel, stride, before, dilation
        self.counts = self.arranged(batch, size)
        self.reach = tuple((n - 1) * s + (k - 1) * d + 1 if n else 0
                           for n, k, s, d in zip(size, kernel, stride, dilation, strict=True))
        self.steps = self.arranged(1, stride)
        self.rest = (slice(None),) * (len(self.counts) - 2)  # the axes that are not cut into blocks

    def arranged(self, batch: Any, space: Any) -> tuple[Any, ...]:
        """One item for the batch and one for each axis of space, in the order of memory, channels left out."""
        return tuple(batch if axis == 0 else space[axis - 2] for axis in self.order[1:])

    def laid_out(self, x: Any, dtype: Any) -> Any:
        return np.ascontiguousarray(x.transpose(self.order), dtype)

    def as_usual(self, y: Any) -> Any:
        """(batch, channels, *space) again, as a view."""
        return y.transpose(self.inverse)

    def inside(self, shape: Shape) -> tuple[slice, ...]:
        """Where an array of this shape of space stands in one with room for all windows."""
        return (slice(None), *self.arranged(slice(None), [slice(b, b + n) for b, n in zip(self.before, shape, strict=True)]))

    def room(self, channels: int, batch: int, shape: Shape) -> Shape:
        """The shape, laid out, of an array with room for all windows."""
        return (channels, *self.arranged(batch, [
            max(r, b + n) for r, b, n in zip(self.reach, self.before, shape, strict=True)]))

    def padded(self, x: Any, dtype: Any, fill: float = 0.0) -> Any:
        """x laid out, with what windows meet outside of it."""
        shape = x.shape[2:]
        if not any(self.before) and all(r <= n for r, n in zip(self.reach, shape, strict=True)):
            return self.laid_out(x, dtype)
        out = np.full(self.room(x.shape[1], x.shape[0], shape), fill, dtype)
        out[self.inside(shape)] = x.transpose(self.order)
        return out

    def blocks(self, width: int, most: int) -> Iterator[tuple[slice, slice]]:
        """Parts of the two leading axes of `counts` with at most `most` windows, or about COLUMNS bytes of `width` each."""
        rows, second, *rest = self.counts
        inner = max(math.prod(rest), 1)
        most = max(min(most, COLUMNS // max(width, 1)), 1)
        many = max(most // max(second * inner, 1), 1)
        few = second if many > 1 or second * inner <= most else max(most // inner, 1)
        for a in range(0, rows, many):
            for b in range(0, second, max(few, 1)):
                yield slice(a, min(a + many, rows)), slice(b, min(b + few, second))

    def over(self, x: Any) -> Any:
        """What the windows meet, as a view of x laid out: (channels, *kernel, *counts)."""
        if not x.size or not math.prod(self.counts):
            return np.empty((len(x), *self.kernel, *self.counts), x.dtype)
        by_axis = [x.strides[self.inverse[axis]] for axis in range(2, x.ndim)]
        within = [d * n for d, n in zip(self.dilation, by_axis, strict=True)]
        between = [s * n for s, n in zip(self.steps, x.strides[1:], strict=True)]
        return ndarray((len(x), *self.kernel, *self.counts), x.dtype, x, 0, (x.strides[0], *within, *between))

    def places(self) -> Iterator[Shape]:
        return product(*map(range, self.kernel))


def on_plain_arrays(forward: Any) -> Any:
    """The function on plain arrays, as what a trace (program.traced) makes of arrays is slower to cut and to write to."""
    return lambda *xs, **params: forward(*[np.asarray(x) for x in xs], **params)


# ---------------------------------------------------------------- convolutions: linear in each of two operands

def _convolution(x: Any, w: Any, stride: Shape, before: Shape, dilation: Shape, groups: int, size: Shape) -> Any:
    dtype, filters = np.result_type(x.dtype, w.dtype), w.shape[0]
    windows = Windows(x.shape[0], w.shape[2:], size, stride, before, dilation)
    x = windows.padded(x, dtype)
    w = np.ascontiguousarray(w, dtype).reshape(groups, filters // groups, math.prod(w.shape[1:]))
    if not w.size or not math.prod(windows.counts):
        return windows.as_usual(np.zeros((filters, *windows.counts), dtype))
    y: Any = np.empty((filters, *windows.counts), dtype)
    met, rest = windows.over(x), windows.rest
    for block in windows.blocks(math.prod(windows.kernel) * len(x) * dtype.itemsize, y.size):
        columns = met[..., *block, *rest].reshape(groups, w.shape[2], -1)  # a copy, in one piece
        np.matmul(w, columns, out=y[:, *block].reshape(groups, w.shape[1], -1))  # in place: the part's rows are whole
    return windows.as_usual(y)


def _transposed_convolution(u: Any, w: Any, stride: Shape, before: Shape, dilation: Shape, groups: int,
                            shape: Shape) -> Any:
    dtype, channels = np.result_type(u.dtype, w.dtype), w.shape[1] * groups
    windows = Windows(u.shape[0], w.shape[2:], u.shape[2:], stride, before, dilation)
    x = np.zeros(windows.room(channels, u.shape[0], shape), dtype)
    if u.size and w.size:
        u = windows.laid_out(u, dtype)
        w = np.ascontiguousarray(w, dtype).reshape(groups, len(u) // groups, -1).swapaxes(1, 2)
        met, rest = windows.over(x), windows.rest
        for block in windows.blocks(math.prod(windows.kernel) * channels * dtype.itemsize, u.size):
            part = met[..., *block, *rest]
            columns = np.matmul(w, u[:, *block].reshape(groups, w.shape[2], -1)).reshape(part.shape)
            for place in windows.places():
                part[:, *place] += columns[:, *place]
    return windows.as_usual(x[windows.inside(shape)])


def _filter_gradient(x: Any, u: Any, stride: Shape, before: Shape, dilation: Shape, groups: int, kernel: Shape) -> Any:
    dtype, filters, channels = np.result_type(x.dtype, u.dtype), u.shape[1], x.shape[1]
    windows = Windows(x.shape[0], kernel, u.shape[2:], stride, before, dilation)
    x, u = windows.padded(x, dtype), windows.laid_out(u, dtype)
    total = np.zeros((groups, channels // groups * math.prod(kernel), filters // groups), dtype)
    if x.size and u.size:
        met, rest = windows.over(x), windows.rest
        few = SMALL_PRODUCT // max(total[0].size, 1)
        for block in windows.blocks(math.prod(kernel) * channels * dtype.itemsize, few if few >= 1000 else u.size):
            columns = met[..., *block, *rest].reshape(groups, total.shape[1], -1)
            total += np.matmul(columns, u[:, *block].reshape(groups, total.shape[2], -1).swapaxes(1, 2))
    return total.swapaxes(1, 2).reshape(filters, channels // groups, *kernel)


# y = w ∗ x. Each of the three is linear in both operands, and its rules are the other two.
convolution: Primitive = Primitive(
    "convolution", on_plain_arrays(_convolution),
    lambda g, _y, _x, w, stride, before, dilation, groups, size: transposed_convolution(
        g, w, stride=stride, before=before, dilation=dilation, groups=groups, shape=_x.shape[2:]),
    lambda g, _y, x, _w, stride, before, dilation, groups, size: filter_gradient(
        x, g, stride=stride, before=before, dilation=dilation, groups=groups, kernel=_w.shape[2:]),
    kind="multilinear", symbol="∗")
# what dJ/dy of a convolution says of x: every window's gradient, times the filter, back where the window was
transposed_convolution: Primitive = Primitive(
    "transposed_convolution", on_plain_arrays(_transposed_convolution),
    lambda g, _y, _u, w, stride, before, dilation, groups, shape: convolution(
        g, w, stride=stride, before=before, dilation=dilation, groups=groups, size=_u.shape[2:]),
    lambda g, _y, u, _w, stride, before, dilation, groups, shape: filter_gradient(
        g, u, stride=stride, before=before, dilation=dilation, groups=groups, kernel=_w.shape[2:]),
    kind="multilinear")
# what it says of w: the sum over all windows of dJ/dy times what the window met
filter_gradient: Primitive = Primitive(
    "filter_gradient", on_plain_arrays(_filter_gradient),
    lambda g, _y, _x, u, stride, before, dilation, groups, kernel: transposed_convolution(
        u, g, stride=stride, before=before, dilation=dilation, groups=groups, shape=_x.shape[2:]),
    lambda g, _y, x, _u, stride, before, dilation, groups, kernel: convolution(
        x, g, stride=stride, before=before, dilation=dilation, groups=groups, size=_u.shape[2:]),
    kind="multilinear")


# ---------------------------------------------------------------- windows side by side, and back in place

def _unfold(x: Any, kernel: Shape, stride: Shape, before: Shape, dilation: Shape, size: Shape) -> Any:
    windows = Windows(x.shape[0], kernel, size, stride, before, dilation)
    met = windows.over(windows.padded(x, x.dtype))
    space = tuple(1 + i for i in range(len(kernel)))
    there = tuple(len(kernel) + i for i in windows.inverse)
    return met.transpose((there[0], 0, *space, *there[2:])).reshape(x.shape[0], x.shape[1] * math.prod(kernel), math.prod(size))


def _fold(u: Any, kernel: Shape, stride: Shape, before: Shape, dilation: Shape, size: Shape, shape: Shape) -> Any:
    windows = Windows(u.shape[0], kernel, size, stride, before, dilation)
    channels = u.shape[1] // math.prod(kernel)
    u = u.reshape(u.shape[0], channels, *kernel, *size)
    x = np.zeros(windows.room(channels, u.shape[0], shape), u.dtype)
    met = windows.over(x)
    for place in windows.places():
        met[:, *place] += u[:, :, *place].transpose(windows.order)
    return windows.as_usual(x[windows.inside(shape)])


unfold: Primitive = linear("unfold", on_plain_arrays(_unfold), lambda g, _y, _x, kernel, stride, before, dilation, size: fold(
    g, kernel=kernel, stride=stride, before=before, dilation=dilation, size=size, shape=_x.shape[2:]))
fold: Primitive = linear("fold", on_plain_arrays(_fold), lambda g, _y, _u, kernel, stride, before, dilation, size, shape: (
    unfold(g, kernel=kernel, stride=stride, before=before, dilation=dilation, size=size)))


# ---------------------------------------------------------------- pooling

def _along(axis: int, start: int, count: int, step: int) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(start, start + (count - 1) * step + 1 if count else start, step),)


def _pooled(x: Any, windows: Windows, combine: Any) -> Any:
    """Combine what each window meets, one axis after the other."""
    for d, k in enumerate(windows.kernel):
        axis, step, dilation = windows.order.index(2 + d), windows.stride[d], windows.dilation[d]
        count = windows.counts[axis - 1]
        y = x[_along(axis, 0, count, step)]
        for i in range(1, k):
            part = x[_along(axis, i * dilation, count, step)]
            y = combine(y, part) if i == 1 else combine(y, part, out=y)
        x = y
    return x


def _max_pool(x: Any, kernel: Shape, stride: Shape, before: Shape, dilation: Shape, size: Shape) -> Any:
    windows = Windows(x.shape[0], kernel, size, stride, before, dilation)
    return windows.as_usual(_pooled(windows.padded(x, x.dtype, -math.inf), windows, np.maximum))


def _ties(y: Any, x: Any, windows: Windows) -> tuple[list[Any], Any]:
    """Which entries at each place of the kernel equal their window's maximum, and how many in each window."""
    few = math.prod(windows.kernel) < 256
    met = windows.over(x)
    hits = [met[:, *place] == y for place in windows.places()]
    count = hits[0].astype(np.uint8 if few else np.int64)
    for hit in hits[1:]:
        count += hit
    return hits, count


def _shared(g: Any, count: Any) -> Any:
    if count.size and (count.max() > 1 or count.min() < 1):
        with np.errstate(divide="ignore", invalid="ignore"):  # a window with nan has no maximum, and no derivative
            return g / count.astype(g.dtype)
    return g


def _share_of_windows(g: Any, y: Any, x: Any, kernel: Shape, stride: Shape, before: Shape, dilation: Shape,
                      size: Shape) -> Any:
    windows = Windows(x.shape[0], kernel, size, stride, before, dilation)
    shape = x.shape[2:]
    x = windows.padded(x, x.dtype, math.nan)  # which ties with nothing
    hits, count = _ties(windows.laid_out(y, x.dtype), x, windows)
    g = _shared(windows.laid_out(g, g.dtype), count)
    apart = all((k - 1) * d < s for k, d, s in zip(kernel, dilation, stride, strict=True))
    filled = apart and math.prod(kernel) * math.prod(windows.counts) * len(x) == x.size
    out = (np.empty if filled else np.zeros)(x.shape, g.dtype)
    met = windows.over(out)
    for place, hit in zip(windows.places(), hits, strict=True):
        part = met[:, *place]
        if apart:
            np.multiply(g, hit, out=part)
        else:
            part += g * hit
    return windows.as_usual(out[windows.inside(shape)])


def _mean_of_ties(t: Any, y: Any, x: Any, kernel: Shape, stride: Shape, before: Shape, dilation: Shape,
                  size: Shape) -> Any:
    windows = Windows(x.shape[0], kernel, size, stride, before, dilation)
    x, t = windows.padded(x, x.dtype, math.nan), windows.padded(t, t.dtype)
    hits, count = _ties(windows.laid_out(y, x.dtype), x, windows)
    total, met = np.zeros(count.shape, t.dtype), windows.over(t)
    for place, hit in zip(windows.places(), hits, strict=True):
        total += met[:, *place] * hit
    return windows.as_usual(_shared(total, count))


# Entries that tie for a window's maximum share its gradient equally; the two below are each other's derivative.
max_pool: Primitive = Primitive(
    "max_pool", on_plain_arrays(_max_pool), lambda g, y, x, **windows: share_of_windows(g, y, x, **windows))
share_of_windows: Primitive = Primitive(
    "share_of_windows", on_plain_arrays(_share_of_windows),
    lambda g, _y, _share, best, x, **windows: mean_of_ties(g, best, x, **windows), None, None)
mean_of_ties: Primitive = Primitive(
    "mean_of_ties", on_plain_arrays(_mean_of_ties),
    lambda g, _y, _t, best, x, **windows: share_of_windows(g, best, x, **windows), None, None)


def _window_sum(x: Any, kernel: Shape, stride: Shape, before: Shape, size: Shape) -> Any:
    windows = Windows(x.shape[0], kernel, size, stride, before, (1,) * len(kernel))
    return windows.as_usual(_pooled(windows.padded(x, x.dtype), windows, np.add))


def _window_spread(g: Any, kernel: Shape, stride: Shape, before: Shape, shape: Shape) -> Any:
    windows = Windows(g.shape[0], kernel, g.shape[2:], stride, before, (1,) * len(kernel))
    room = windows.room(g.shape[1], g.shape[0], shape)
    out = windows.laid_out(g, g.dtype)
    for d, k in enumerate(kernel):
        axis = windows.order.index(2 + d)
        wide = np.zeros((*out.shape[:axis], room[axis], *out.shape[axis + 1 :]), g.dtype)
        for i in range(k):
            wide[_along(axis, i, out.shape[axis], stride[d])] += out
        out = wide
    return windows.as_usual(out[windows.inside(shape)])


window_sum: Primitive = linear(
    "window_sum", on_plain_arrays(_window_sum), lambda g, _y, _x, kernel, stride, before, size: window_spread(
        g, kernel=kernel, stride=stride, before=before, shape=_x.shape[2:]))
window_spread: Primitive = linear(
    "window_spread", on_plain_arrays(_window_spread), lambda g, _y, _x, kernel, stride, before, shape: window_sum(
        g, kernel=kernel, stride=stride, before=before, size=_x.shape[2:]))


# ---------------------------------------------------------------- resampling along one axis

def _resample(x: Any, axis: int, places: Shape, weights: tuple[float, ...]) -> Any:
    y = np.take(x, places, axis)
    between = np.flatnonzero(weights)
    if len(between):
        rows, to = np.moveaxis(x, axis, 0), np.moveaxis(y, axis, 0)
        part = np.asarray(weights, x.dtype)[between].reshape(-1, *[1] * (x.ndim - 1))
        after = np.minimum(np.asarray(places)[between] + 1, len(rows) - 1)
        to[between] = (1 - part) * to[between] + part * rows[after]
    return y


def _resample_back(g: Any, axis: int, places: Shape, weights: tuple[float, ...], length: int) -> Any:
    out = np.zeros((length, *(n for i, n in enumerate(g.shape) if i != axis)), g.dtype)
    g = np.moveaxis(g, axis, 0)
    for row, place, weight in zip(g, places, weights, strict=True):
        out[place] += (1 - weight) * row
        if weight:
            out[min(place + 1, length - 1)] += weight * row
    return np.moveaxis(out, 0, axis)


# entry o of the result: (1 − weights[o]) x[places[o]] + weights[o] x[places[o] + 1], along the axis
resample: Primitive = linear(
    "resample", on_plain_arrays(_resample), lambda g, _y, _x, axis, places, weights: resample_back(
        g, axis=axis, places=places, weights=weights, length=_x.shape[axis]))
resample_back: Primitive = linear(
    "resample_back", on_plain_arrays(_resample_back), lambda g, _y, _x, axis, places, weights, length: resample(
        g, axis=axis, places=places, weights=weights))
