"""How lines are written with what selects, puts, takes differences, and orders: partition, scatter, interp, quantile, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from .generate import Builder, RejectedError, entry
from .reference import _float, reference
from .table import _value, like


@reference
def topk(x: Any, k: int, axis: int = -1, largest: bool = True) -> Any:
    y = np.sort(x, axis)
    y = np.flip(y, axis) if largest else y
    return (np.take(y, np.arange(k), axis),)


@reference
def put_along_axis(x: Any, indices: Any, values: Any, axis: int = -1) -> Any:
    out = np.array(x)
    np.put_along_axis(out, indices, values, axis)
    return out


def _places(x: Any, axis: int, index: Any) -> Any:
    where = list(np.meshgrid(*map(np.arange, index.shape), indexing="ij"))
    where[axis % x.ndim] = index
    return tuple(where)


@reference
def scatter(x: Any, axis: int, index: Any, src: Any) -> Any:
    out, src = np.array(x), np.asarray(src)
    out[_places(x, axis, index)] = src[tuple(map(slice, index.shape))] if src.ndim else src
    return out


@reference
def scatter_add(x: Any, axis: int, index: Any, src: Any) -> Any:
    out, src = np.array(x), np.asarray(src)
    np.add.at(out, _places(x, axis, index), src[tuple(map(slice, index.shape))] if src.ndim else src)
    return out


@reference
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
    x, xp, fp = _float(x), _float(xp), _float(fp)
    i = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, len(xp) - 2)
    y = fp[i] + (fp[i + 1] - fp[i]) / (xp[i + 1] - xp[i]) * (x - xp[i])
    y = np.where(x < xp[0], fp[0] if left is None else left, np.where(x > xp[-1], fp[-1] if right is None else right, y))[()]
    return y if y.dtype == np.longdouble else np.interp(x, xp, fp, left, right)


@entry("partition")
def partition(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0 and np.shape(x)[-1] > 0)
    k = b.below(np.shape(b.space[x])[-1])
    b.emit(name, f"{b.choice(['np', 'tg'])}.partition({x}, {k})[..., {k}]", (x,), f"tg.partition({x}, {k})[..., {k}]")


@entry("topk")
def take_the_largest(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0 and np.size(x) > 0)
    axis = b.axis(x)
    k = 1 + b.below(np.shape(b.space[x])[axis])
    rest = b.choice([f"{k}, axis={axis}", f"{k}, {axis}, largest=False"])
    b.emit(name, f"tg.topk({x}, {rest})[0]", (x,))


@entry("put_along_axis", "scatter", "scatter_add")
def put(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0 and np.size(x) > 0)
    shape, axis = np.shape(b.space[x]), b.axis(x)
    rng = np.random.default_rng(b.draws.array_seed())
    n = shape[axis]
    size = list(shape)
    size[axis] = 1 + b.below(n if name != "scatter_add" else 4)
    if name == "scatter_add":
        index = rng.integers(0, n, size)
    else:
        index = np.take(np.argsort(rng.random(shape), axis), np.arange(size[axis]), axis)
    values = b.choice([lambda: repr(b.number()), lambda: b.input(tuple(size), like=x)] + (
        [lambda: b.input(tuple(1 if i else m for i, m in enumerate(size)), like=x)] if name == "put_along_axis" else []))()
    which = b.constant(index)
    if name == "put_along_axis":
        b.emit(name, f"tg.put_along_axis({x}, {which}, {values}, axis={axis})", (x,))
    else:
        b.emit(name, f"tg.{name}({x}, {axis}, {which}, {values})", (x,))


@entry("select")
def select(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0)
    y = like(b, np.shape(b.space[x]))
    conditions = f"[{x} > {b.number()}, {x} < {b.number()}]"
    b.call(name, conditions, f"[{x}, {y}]", rest=b.choice(["", f"default={b.number()}"]))


@entry("delete")
def delete(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0 and np.size(x) > 0)
    axis = b.axis(x)
    n = np.shape(b.space[x])[axis]
    which = b.choice([str(b.below(n)), repr([b.below(n), b.below(n)]), "np.s_[::2]", str(-1 - b.below(n))])
    b.call(name, x, which, rest=f"axis={axis}" if b.chance(75) or b.ndim(x) == 1 else "")


@entry("insert")
def insert(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0 and 0 < np.size(x) <= 20)
    axis = b.axis(x)
    n = np.shape(b.space[x])[axis]
    where = b.choice([str(b.below(n + 1)), repr([b.below(n + 1), b.below(n + 1)])])
    b.call(name, x, where, b.choice([lambda: repr(b.number()), lambda: b.input((), like=x)])(), rest=f"axis={axis}")


@entry("diff")
def diff(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0 and np.size(x) > 0)
    axis = b.axis(x)
    n = b.choice((1, 1, 2))
    ends = b.choice(["", "", f", prepend={b.number()}", f", append={b.number()}"])
    if np.shape(b.space[x])[axis] + bool(ends) <= n or (ends and b.space[x].dtype == np.float32):
        raise RejectedError  # (there NumPy lets a Python number widen float32, and we do not)
    b.call(name, x, rest=f"n={n}, axis={axis}{ends}")


@entry("gradient")
def gradient(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0 and any(n >= 3 for n in np.shape(x)), lambda: b.choice([(3,), (4, 2), (2, 3)]))
    axis = b.choice([i for i, n in enumerate(np.shape(b.space[x])) if n >= 3])
    n = np.shape(b.space[x])[axis]
    spacing = b.choice([lambda: "", lambda: repr(b.number(0.5, 2)),
                        lambda: b.constant(np.cumsum(b.numbers((n,), 0.5, 1.5, "float64")))])()
    b.call(name, x, *([spacing] if spacing else []), rest=f"axis={axis}" + (", edge_order=2" if b.chance(40) else ""))


@entry("interp")
def interpolate_points(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) > 0)
    n = b.choice((2, 3, 4))
    xp = b.constant(np.sort(b.numbers((n,), -2, 2, "float64")))
    if np.min(np.diff(b.space[xp])) < 0.1 or b.space[x].dtype != np.float64:
        raise RejectedError
    fp = b.choice([lambda: b.input((n,), like=x), lambda: b.array_constant((n,), -2, 2)])()
    if np.asarray(_value(b, fp)).dtype != np.float64:
        raise RejectedError
    b.call(name, x, xp, fp, rest=b.choice(["", f"left={b.number()}", f"right={b.number()}"]))


@entry("median", "quantile", "percentile")
def middle(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) > 0)
    axis = b.axes(x, empty=False)
    if axis == ():
        raise RejectedError
    q = {"median": "", "quantile": b.choice(["0.3", "[0.0, 0.55]", "1.0"]), "percentile": b.choice(["40", "[25, 90]"])}[name]
    keep = ", keepdims=True" if b.chance(25) else ""
    method = f", method={b.choice(['linear', 'lower', 'higher', 'midpoint'])!r}" if q and b.chance(40) else ""
    if q and "float32" in str(b.space[x].dtype):
        raise RejectedError  # which dtype comes out depends on q's, see NumPy
    b.call(name, x, *([q] if q else []), rest=f"axis={axis}{keep}{method}")


@entry("nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin")
def without_nan(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) > 2)
    axis = b.axes(x, empty=False)
    if axis == () or (name in ("nanstd", "nanvar") and not np.all(np.var(b.space[x], axis=axis) > 0.05)):
        raise RejectedError
    y = x
    if axis is None and b.chance(60):  # one entry is missing
        mask = np.zeros(np.shape(b.space[x]), bool)
        mask.reshape(-1)[b.below(mask.size)] = True
        arguments = f"np.where({b.constant(mask)}, np.nan, {x})"
        b.emit(name, f"{b.choice(['np', 'tg'])}.{name}({arguments})", (x,), f"tg.{name}({arguments})")
        return
    b.call(name, y, rest=f"axis={axis}")


@entry("nancumsum", "nancumprod")
def running_without_nan(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0)
    b.call(name, x, rest=f"axis={b.axis(x)}")


@entry("nan_to_num")
def nan_to_num(b: Builder, name: str) -> None:
    x = b.variable()
    text = b.choice([f"{x}", f"np.where({x} > {b.number()}, np.nan, {x})", f"np.where({x} > {b.number()}, np.inf, {x})"])
    rest = ", nan=0.5, posinf=2.0"
    b.emit(name, f"{b.choice(['np', 'tg'])}.nan_to_num({text}{rest})", (x,), f"tg.nan_to_num({text}{rest})")


@entry("cov", "corrcoef")
def covariance(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) in (1, 2) and np.size(x) > 2, lambda: b.choice([(4,), (2, 4), (3, 3)]))
    rows = b.chance(70) or b.ndim(x) == 1
    if np.shape(b.space[x])[-1 if rows else 0] < 3 or np.any(np.var(b.space[x], axis=-1 if rows else 0) < 0.1):
        raise RejectedError
    if b.space[x].dtype != np.float64:
        raise RejectedError  # NumPy's are of float64 for every input
    own = b.choice(["", ", bias=True", ", ddof=0"]) if name == "cov" else ""
    b.call(name, x, rest=f"rowvar={rows}{own}")
