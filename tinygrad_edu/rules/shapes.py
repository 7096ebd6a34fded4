"""Where entries stand. Every operation here is linear, and its derivative puts each entry's gradient back in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Primitive, Rule

Shape = tuple[int, ...]


def linear(name: str, forward: Any, *rules: Rule | None, **options: Any) -> Primitive:
    """An operation whose tangent is the operation itself, applied to the tangent."""
    return Primitive(name, forward, *rules, kind="linear", **options)


def _broadcast_to(x: Any, shape: Shape) -> Any:
    size = 1
    for n in shape:
        size *= n
    if size > 4096:
        return np.broadcast_to(x, shape)
    out = np.empty(shape, x.dtype)  # np.broadcast_to costs more than filling a small array
    out[...] = x
    return out


def _sum_to(x: Any, shape: Shape) -> Any:
    extra = x.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(shape) if n == 1 and x.shape[i + extra] != 1)
    return np.add.reduce(x, axis=axes, keepdims=True).reshape(shape)


# Each other's derivative: what is copied forward is summed backward.
broadcast_to: Primitive = linear("broadcast_to", _broadcast_to, lambda g, _y, _x, shape: sum_to(g, shape=_x.shape))
sum_to: Primitive = linear("sum_to", _sum_to, lambda g, _y, _x, shape: broadcast_to(g, shape=_x.shape))

reshape: Primitive = linear("reshape", lambda x, shape: x.reshape(shape), lambda g, _y, _x, shape: reshape(g, shape=_x.shape))


def _inverse(axes: Shape | None) -> Shape | None:
    return axes and tuple(axes.index(i) for i in range(len(axes)))


transpose: Primitive = linear("transpose", lambda x, axes=None: np.transpose(x, axes),
                   lambda g, _y, _x, axes=None: transpose(g, axes=_inverse(axes)), symbol="{0}ᵀ")
flip: Primitive = linear("flip", lambda x, axis: np.flip(x, axis), lambda g, _y, _x, axis: flip(g, axis=axis))
roll: Primitive = linear("roll", lambda x, shift, axis: np.roll(x, shift, axis),
              lambda g, _y, _x, shift, axis: roll(g, shift=tuple(-s for s in shift), axis=axis))
pad = linear("pad", lambda x, width: np.pad(x, width), lambda g, _y, _x, width: _crop(g, _x.shape, width))
astype = linear("astype", lambda x, dtype: x.astype(dtype), lambda g, _y, _x, dtype: g)  # the engine casts g back


def _crop(g: Any, shape: Shape, width: tuple[tuple[int, int], ...]) -> Any:
    return g[tuple(slice(before, before + n) for (before, _), n in zip(width, shape, strict=True))]


def _part(g: Any, _y: Any, *_xs: Any, which: int, axis: int) -> Any:
    start = sum(x.shape[axis] for x in _xs[:which])
    return g[(slice(None),) * axis + (slice(start, start + _xs[which].shape[axis]),)]


concatenate = linear("concatenate", lambda *xs, axis: np.concatenate(xs, axis), _part, variadic=True)
stack = linear("stack", lambda *xs, axis: np.stack(xs, axis),
               lambda g, _y, *_xs, which, axis: g[(slice(None),) * axis + (which,)], variadic=True)
