"""Samples of the primitives of windows, beside loops over every window and every place in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from zoo import Sample, draw


def meetings(space: tuple[int, ...], kernel: tuple[int, ...], size: tuple[int, ...], stride: tuple[int, ...],
             before: tuple[int, ...], dilation: tuple[int, ...]) -> Iterator[tuple[Any, Any, Any]]:
    """(window, place in the kernel, entry of the image) for every entry that a window meets inside the image."""
    for window in np.ndindex(*size):
        for place in np.ndindex(*kernel):
            entry = tuple(o * s + i * d - b for o, s, i, d, b in zip(window, stride, place, dilation, before, strict=True))
            if all(0 <= p < n for p, n in zip(entry, space, strict=True)):
                yield window, place, entry


def _each_product(x_shape: Any, w_shape: Any, size: Any, stride: Any, before: Any, dilation: Any,
                  groups: int) -> Iterator[tuple[Any, Any, Any]]:
    """The places in y, w and x of every product y = w x that a convolution adds up."""
    filters, channels = w_shape[:2]
    for window, place, entry in meetings(x_shape[2:], w_shape[2:], size, stride, before, dilation):
        for n in range(x_shape[0]):
            for f in range(filters):
                for c in range(channels):
                    yield (n, f, *window), (f, c, *place), (n, f // (filters // groups) * channels + c, *entry)


def convolution(x: Any, w: Any, stride: Any, before: Any, dilation: Any, groups: int, size: Any) -> Any:
    y = np.zeros((x.shape[0], w.shape[0], *size))
    for at, of, seen in _each_product(x.shape, w.shape, size, stride, before, dilation, groups):
        y[at] += w[of] * x[seen]
    return y


def transposed_convolution(u: Any, w: Any, stride: Any, before: Any, dilation: Any, groups: int, shape: Any) -> Any:
    x = np.zeros((u.shape[0], w.shape[1] * groups, *shape))
    for at, of, seen in _each_product(x.shape, w.shape, u.shape[2:], stride, before, dilation, groups):
        x[seen] += w[of] * u[at]
    return x


def filter_gradient(x: Any, u: Any, stride: Any, before: Any, dilation: Any, groups: int, kernel: Any) -> Any:
    w = np.zeros((u.shape[1], x.shape[1] // groups, *kernel))
    for at, of, seen in _each_product(x.shape, w.shape, u.shape[2:], stride, before, dilation, groups):
        w[of] += u[at] * x[seen]
    return w


def unfold(x: Any, kernel: Any, stride: Any, before: Any, dilation: Any, size: Any) -> Any:
    out = np.zeros((*x.shape[:2], *kernel, *size))
    for window, place, entry in meetings(x.shape[2:], kernel, size, stride, before, dilation):
        out[:, :, *place, *window] = x[:, :, *entry]
    return out.reshape(x.shape[0], x.shape[1] * math.prod(kernel), math.prod(size))


def fold(u: Any, kernel: Any, stride: Any, before: Any, dilation: Any, size: Any, shape: Any) -> Any:
    u = u.reshape(u.shape[0], u.shape[1] // math.prod(kernel), *kernel, *size)
    x = np.zeros((*u.shape[:2], *shape))
    for window, place, entry in meetings(shape, kernel, size, stride, before, dilation):
        x[:, :, *entry] += u[:, :, *place, *window]
    return x


def max_pool(x: Any, kernel: Any, stride: Any, before: Any, dilation: Any, size: Any) -> Any:
    y = np.full((*x.shape[:2], *size), -np.inf)
    for window, _, entry in meetings(x.shape[2:], kernel, size, stride, before, dilation):
        y[:, :, *window] = np.maximum(y[:, :, *window], x[:, :, *entry])
    return y


def _ties(best: Any, x: Any, params: Any) -> Any:
    count = np.zeros(best.shape)
    for window, _, entry in meetings(x.shape[2:], **params):
        count[:, :, *window] += x[:, :, *entry] == best[:, :, *window]
    return count


def share_of_windows(g: Any, best: Any, x: Any, **params: Any) -> Any:
    count, out = _ties(best, x, params), np.zeros(x.shape)
    for window, _, entry in meetings(x.shape[2:], **params):
        hit = x[:, :, *entry] == best[:, :, *window]
        out[:, :, *entry] += g[:, :, *window] / count[:, :, *window] * hit
    return out


def mean_of_ties(t: Any, best: Any, x: Any, **params: Any) -> Any:
    count, out = _ties(best, x, params), np.zeros(best.shape)
    for window, _, entry in meetings(x.shape[2:], **params):
        hit = x[:, :, *entry] == best[:, :, *window]
        out[:, :, *window] += t[:, :, *entry] / count[:, :, *window] * hit
    return out


def window_sum(x: Any, kernel: Any, stride: Any, before: Any, size: Any) -> Any:
    y = np.zeros((*x.shape[:2], *size))
    for window, _, entry in meetings(x.shape[2:], kernel, size, stride, before, (1,) * len(kernel)):
        y[:, :, *window] += x[:, :, *entry]
    return y


def window_spread(g: Any, kernel: Any, stride: Any, before: Any, shape: Any) -> Any:
    x = np.zeros((*g.shape[:2], *shape))
    for window, _, entry in meetings(shape, kernel, g.shape[2:], stride, before, (1,) * len(kernel)):
        x[:, :, *entry] += g[:, :, *window]
    return x


def resample(x: Any, axis: int, places: Any, weights: Any) -> Any:
    rows = np.moveaxis(x, axis, 0)
    return np.moveaxis(np.stack([
        (1 - w) * rows[i] + w * rows[min(i + 1, len(rows) - 1)] for i, w in zip(places, weights, strict=True)]), 0, axis)


def resample_back(g: Any, axis: int, places: Any, weights: Any, length: int) -> Any:
    rows = np.moveaxis(g, axis, 0)
    out = np.zeros((length, *rows.shape[1:]))
    for row, i, w in zip(rows, places, weights, strict=True):
        out[i] += (1 - w) * row
        out[min(i + 1, length - 1)] += w * row
    return np.moveaxis(out, 0, axis)


# label: (batch, channels in a group, filters in a group, groups, space, kernel, stride, before, dilation, size)
CONVOLUTIONS: dict[str, Any] = {
    "plain": (2, 2, 3, 1, (4, 3), (2, 2), (1, 1), (0, 0), (1, 1), (3, 2)),
    "sequence": (2, 1, 2, 1, (5,), (3,), (1,), (1,), (1,), (5,)),
    "strides": (1, 1, 2, 1, (5, 4), (2, 3), (2, 3), (1, 2), (1, 1), (3, 2)),
    "dilated": (1, 2, 1, 1, (5, 5), (2, 3), (1, 2), (0, 1), (3, 2), (2, 2)),
    "groups": (2, 1, 2, 2, (3, 3), (2, 2), (1, 1), (0, 0), (1, 1), (2, 2)),
    "one-by-one": (2, 3, 2, 1, (2, 2), (1, 1), (1, 1), (0, 0), (1, 1), (2, 2)),
    "many-examples": (9, 1, 2, 1, (3, 2), (2, 1), (1, 1), (1, 0), (1, 1), (4, 2)),
    "many-sequences": (8, 2, 1, 1, (4,), (2,), (2,), (0,), (1,), (2,)),
    "unseen-rows": (1, 1, 1, 1, (5, 4), (2, 2), (3, 3), (0, 0), (1, 1), (1, 1)),
    "no-examples": (0, 2, 3, 1, (4, 3), (2, 2), (1, 1), (0, 0), (1, 1), (3, 2)),
}
# label: (batch, space, kernel, stride, before, dilation, size)
POOLS: dict[str, Any] = {
    "squares": (2, (4, 4), (2, 2), (2, 2), (0, 0), (1, 1), (2, 2)),
    "overlapping": (1, (4, 3), (3, 2), (1, 1), (1, 1), (1, 1), (4, 4)),
    "partly-inside": (1, (5, 3), (2, 2), (2, 2), (0, 0), (1, 1), (3, 2)),
    "sequences": (9, (5,), (2,), (2,), (1,), (1,), (3,)),
    "unseen": (1, (5, 4), (2, 2), (3, 2), (0, 0), (1, 1), (1, 2)),
    "empty": (0, (4, 4), (2, 2), (2, 2), (0, 0), (1, 1), (2, 2)),
}


def _convolutions() -> Iterator[Sample]:
    for label, (batch, channels, filters, groups, space, kernel, stride, before, dilation, size) in CONVOLUTIONS.items():
        x = draw(("x", label), (batch, groups * channels, *space))
        w = draw(("w", label), (groups * filters, channels, *kernel))
        u = draw(("u", label), (batch, groups * filters, *size))
        common = {"stride": stride, "before": before, "dilation": dilation, "groups": groups}
        yield Sample("convolution", label, (x, w), {**common, "size": size}, convolution)
        yield Sample("transposed_convolution", label, (u, w), {**common, "shape": space}, transposed_convolution)
        yield Sample("filter_gradient", label, (x, u), {**common, "kernel": kernel}, filter_gradient)


def _pools() -> Iterator[Sample]:
    for label, (batch, space, kernel, stride, before, dilation, size) in POOLS.items():
        x = draw(("pool", label), (batch, 2, *space))
        g = draw(("pooled", label), (batch, 2, *size))
        plain = {"kernel": kernel, "stride": stride, "before": before}
        params = {**plain, "dilation": dilation, "size": size}
        yield Sample("max_pool", label, (x,), params, max_pool)
        tied = np.round(x)
        for name, at in (("", x), ("-ties", tied)):
            best = max_pool(at, **params)
            yield Sample("share_of_windows", label + name, (g, best, at), params, share_of_windows, constants=(1, 2))
            yield Sample("mean_of_ties", label + name, (x, best, at), params, mean_of_ties, constants=(1, 2))
        yield Sample("max_pool", f"{label}-ties", (tied,), params, max_pool, smooth=False)
        yield Sample("window_sum", label, (x,), {**plain, "size": size}, window_sum)
        yield Sample("window_spread", label, (g,), {**plain, "shape": space}, window_spread)
        columns = draw(("columns", label), (batch, 2 * math.prod(kernel), math.prod(size)))
        yield Sample("unfold", label, (x,), params, unfold)
        yield Sample("fold", label, (columns,), {**params, "shape": space}, fold)
    sparse = {"kernel": (2, 2), "stride": (2, 1), "before": (1, 1), "dilation": (2, 3), "size": (2, 2)}
    yield Sample("max_pool", "dilated", (draw("dilated", (1, 2, 4, 4)),), sparse, max_pool)


def _resampled() -> Iterator[Sample]:
    for label, axis, places, weights in (("rows", 2, (0, 0, 1, 2), (0.0, 0.5, 0.25, 0.0)),
                                         ("columns", 3, (0, 1, 1, 0), (0.0, 0.0, 0.0, 0.0)), ("one", 2, (2,), (0.5,))):
        params = {"axis": axis, "places": places, "weights": weights}
        for shape in ((2, 1, 3, 2), (0, 1, 3, 2)):
            name = label if shape[0] else f"{label}-empty"
            after = (*shape[:axis], len(places), *shape[axis + 1 :])
            yield Sample("resample", name, (draw(label, shape),), params, resample)
            yield Sample("resample_back", name, (draw(label, after),), {**params, "length": shape[axis]}, resample_back)


SAMPLES: list[Sample] = [*_convolutions(), *_pools(), *_resampled()]
