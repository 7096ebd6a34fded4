"""Composite operations as the NumPy calls they are made of, so that buffers, blocks and sharing reach inside them.

Each expansion is the function's own arithmetic, call for call, run on symbols that have a shape and a dtype and no
numbers: what NumPy is asked to do becomes lines of the program. What is not in the table stays one call.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..rules import pointwise, products, reductions, shapes, special
from ..tensor import Primitive
from .program import Line, Name, Program, renamed, reworded
from .traced import as_primitive

_OPERATORS: dict[Any, np.ufunc] = {
    operator.add: np.add, operator.sub: np.subtract, operator.mul: np.multiply, operator.truediv: np.divide,
    operator.neg: np.negative, operator.pos: np.positive, operator.mod: np.remainder, operator.floordiv: np.floor_divide,
    operator.gt: np.greater, operator.ge: np.greater_equal, operator.lt: np.less, operator.le: np.less_equal,
    operator.eq: np.equal, operator.ne: np.not_equal,
}

_OPERATORS |= {f: f for f in vars(np).values() if isinstance(f, np.ufunc) and f.signature is None and f.nout == 1}


def ufunc_of(op: Primitive) -> np.ufunc | None:
    """The NumPy ufunc that an entrywise primitive is, if it is one."""
    forward = op.forward
    found = _OPERATORS.get(forward)
    if found is not None:
        return found
    if isinstance(forward, np.ufunc):
        return forward if forward.signature is None and forward.nout == 1 else None
    return None


@functools.lru_cache(1000)
def _dtype_of(ufunc: np.ufunc, *kinds: Any) -> np.dtype[Any]:
    return ufunc.resolve_dtypes((*kinds, None))[-1]


def spread_shape(operands: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape that operands of these shapes spread to."""
    different = {shape for shape in operands if shape}
    return different.pop() if len(different) == 1 else _broadcast_shapes(*operands)


_broadcast_shapes = functools.lru_cache(1000)(np.broadcast_shapes)  # 5 microseconds


class Symbol(NDArrayOperatorsMixin):
    """An array of which only the shape and the dtype are known; what is done to it is written down."""

    __slots__ = ("dtype", "name", "shape", "writer")

    def __init__(self, name: Name, shape: tuple[int, ...], dtype: Any, writer: Writer) -> None:
        self.name, self.shape, self.dtype, self.writer = name, shape, np.dtype(dtype), writer

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs and ufunc.nout == 1:
            kinds: list[Any] = [x.dtype if isinstance(x, (Symbol, np.generic, np.ndarray)) else type(x) for x in inputs]
            shape = spread_shape([getattr(x, "shape", ()) for x in inputs])
            dtype = _dtype_of(ufunc, *kinds)
            return self.writer.line(as_primitive(ufunc), inputs, {}, shape, dtype)
        if method == "reduce" and set(kwargs) <= {"axis", "keepdims"}:
            return self.writer.reduce(ufunc, inputs[0], kwargs.get("axis"), kwargs.get("keepdims", False))
        return NotImplemented

    def reshape(self, *shape: Any) -> Symbol:
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
        return self.writer.line(shapes.reshape, (self,), {"shape": wanted}, wanted, self.dtype)


class Writer:
    """The lines that take one line's place."""

    def __init__(self, line: Line, fresh: Callable[[str], Name]) -> None:
        self.of, self.fresh = line, fresh
        self.lines: list[Line] = []

    def line(self, op: Primitive, operands: Any, params: dict[str, Any], shape: tuple[int, ...], dtype: Any) -> Symbol:
        name = self.fresh("t")
        plain = tuple([x.name if type(x) is Symbol else x for x in operands])
        settings = {k: v.name if type(v) is Symbol else v for k, v in params.items()} if params else {}
        symbol = Symbol(name, tuple(shape), dtype, self)
        self.lines.append(Line(name, op, plain, settings, symbol.shape, symbol.dtype, self.of.kind))
        return symbol

    def reduce(self, ufunc: np.ufunc, x: Symbol, axis: Any, keepdims: bool) -> Symbol:
        if isinstance(axis, int):
            axis = (axis,)
        axes = None if axis is None else tuple(sorted([i % x.ndim for i in axis])) if x.shape else ()
        shape = reductions.kept_shape(x.shape, axes) if keepdims else () if axes is None else tuple(
            [n for i, n in enumerate(x.shape) if i not in axes])
        dtype = x.dtype
        if x.dtype.kind in "b" and ufunc is np.add:
            dtype = np.dtype(np.int64)
        return self.line(reduction(ufunc), (x,), {"axis": axes, "keepdims": keepdims}, shape, dtype)


_REDUCTIONS: dict[Any, Primitive] = {}


def reduction(ufunc: np.ufunc) -> Primitive:
    """ufunc.reduce with the parameters axis and keepdims."""
    if ufunc not in _REDUCTIONS:
        _REDUCTIONS[ufunc] = Primitive(f"{ufunc.__name__}.reduce", ufunc.reduce)
    return _REDUCTIONS[ufunc]


ADD_REDUCE = reduction(np.add)

# ---------------------------------------------------------------- what NumPy has no ufunc for, in the printed code

# g where the gate is open, 0 elsewhere; x[rows, index]; x with 1 taken from x[rows, index]
GATE = pointwise.gate
PICK = Primitive("pick", lambda x, index: x[np.arange(len(index)), index])


def _less_one(x: Any, index: Any) -> Any:
    out = np.array(x)
    out[np.arange(len(index)), index] -= 1
    return out


LESS_ONE = Primitive("less_one", _less_one)


def _log_of_total(total: Any, shifted: Any, axis: tuple[int, ...]) -> Any:
    out = np.log(total)
    near_one(out, shifted, axis)
    return out


def near_one(logs: Any, shifted: Any, axis: tuple[int, ...]) -> None:
    """Log 1p of the others where the others vanish beside the largest entry's 1: a confident row's loss is 1e-20, not 0."""
    alone = (logs < near_zero(logs.dtype)) & (logs >= 0)
    if axis == (1,) and shifted.ndim == 2 and shifted.size > FEW:
        rows = alone[:, 0].nonzero()[0]
        part = shifted[rows]
        logs[rows] = np.log1p(np.add.reduce(np.exp(part) * (part < 0), axis=1, keepdims=True))
    else:
        others = np.add.reduce(np.exp(shifted) * (shifted < 0), axis=axis, keepdims=True)
        np.log1p(others, logs, where=alone)


FEW = 2048  # entries up to which all are computed sooner than some are picked


@functools.cache
def near_zero(dtype: Any) -> float:
    """Below this the logarithm of 1 + s has lost digits of s: four of sixteen, or three of seven."""
    return 1e-3 if np.finfo(dtype).eps > 1e-10 else 1e-4


# log of a sum of exponentials of which the largest is 1, its axis kept
LOG_OF_TOTAL = Primitive("log_of_total", _log_of_total)

# ---------------------------------------------------------------- the expansions


def _sigmoid(x: Any) -> Any:
    return 1 / (np.exp(-x) + 1)


def _minus_size(x: Any) -> Any:
    """−|x|, from two halves that are needed anyway; one of them is 0."""
    return np.minimum(x, 0) - np.maximum(x, 0)


def _softplus(x: Any, beta: float = 1.0) -> Any:
    """log(1 + eˣ), which is x itself long before eˣ is too large a number."""
    if beta != 1.0:
        return _softplus(x * beta) / beta
    return np.maximum(x, np.log1p(np.exp(np.minimum(x, largest_exponent(x.dtype)))))


def largest_exponent(dtype: Any) -> float:
    """A whole x such that neither eˣ overflows nor 1/(1 + eˣ) underflows."""
    return float(int((np.finfo(dtype).maxexp - 2) * math.log(2)))


def _cross_entropy_logits(z: Any, y: Any) -> Any:
    return np.maximum(z, 0) - y * z + np.log1p(np.exp(_minus_size(z)))


def _sigmoid_error(z: Any, y: Any) -> Any:
    """σ(z) − y, from the exp(−|z|) that the cross-entropy itself has computed."""
    e = np.exp(_minus_size(z))
    return (np.exp(np.minimum(z, 0)) - y - y * e) / (e + 1)


def _add_up(x: Symbol, axis: Any = None, keepdims: bool = False) -> Any:
    return x.writer.reduce(np.add, x, axis, keepdims)  # as np.add.reduce would, by a longer way


def _mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return _add_up(x, axis=axis, keepdims=keepdims) / reductions.count(x.shape, axis)


def _softmax(x: Any, axis: Any) -> Any:
    e = np.exp(x - np.maximum.reduce(x, axis=axis, keepdims=True))
    return e / np.add.reduce(e, axis=axis, keepdims=True)


def _log_softmax(x: Any, axis: Any) -> Any:
    shifted = x - np.maximum.reduce(x, axis=axis, keepdims=True)
    return shifted - _log_total(shifted, np.add.reduce(np.exp(shifted), axis=axis, keepdims=True), axis)


def _log_total(shifted: Any, total: Any, axis: Any) -> Any:
    axes = tuple(sorted(i % shifted.ndim for i in ((axis,) if isinstance(axis, int) else axis or range(shifted.ndim))))
    return shifted.writer.line(LOG_OF_TOTAL, (total, shifted), {"axis": axes}, total.shape, total.dtype)


def _class_cross_entropy(z: Any, target: Any, axis: int) -> Any:
    if z.ndim != 2 or axis != 1:
        return NotImplemented
    shifted = z - np.maximum.reduce(z, axis=(1,), keepdims=True)
    total = np.add.reduce(np.exp(shifted), axis=(1,), keepdims=True)
    chosen = z.writer.line(PICK, (shifted, target), {}, target.shape, z.dtype)
    return _log_total(shifted, total, (1,)).reshape(target.shape) - chosen


def _gelu_tanh(x: Any) -> Any:
    """x σ(2u), from the e = exp(−2u) that its derivative needs; beyond the ends σ(2u) is 0 or 1, to all digits that count."""
    if x.dtype.itemsize == 2:
        return NotImplemented
    low, _, e = _gelu_exponential(x)
    return low * (1 / (e + 1))


def _gelu_tanh_slope(x: Any) -> Any:
    if x.dtype.itemsize == 2:
        return NotImplemented
    _, near, e = _gelu_exponential(x)
    share = 1 / (e + 1)
    growth = (near * near * (6 * special.GELU_SCALE * special.GELU_CUBE) + 2 * special.GELU_SCALE) * near
    return (growth * (e * share) + 1) * share


def _gelu_exponential(x: Any) -> tuple[Any, Any, Any]:
    """x from the left end on, between the ends, and e there, which stays finite."""
    end = 10.0 if x.dtype.itemsize == 4 else 21.0
    a, b = special.GELU_SCALE, special.GELU_CUBE
    low = np.maximum(x, -end)
    near = np.minimum(low, end)
    return low, near, np.exp((near * near * (-2 * a * b) - 2 * a) * near)


def _constant_power(x: Any, exponent: float) -> Any:
    if exponent == 1:
        return x
    return x * x if exponent == 2 else np.sqrt(x) if exponent == 0.5 else NotImplemented


def _sum_to(x: Any, shape: tuple[int, ...]) -> Any:
    extra = x.ndim - len(shape)
    axes = (*range(extra), *[i + extra for i, n in enumerate(shape) if n == 1 and x.shape[i + extra] != 1])
    out = _add_up(x, axis=axes, keepdims=not extra)
    return out if out.shape == shape else out.reshape(shape)


def _sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return _add_up(x, axis=axis, keepdims=keepdims)


EXPANSIONS: Mapping[str, Callable[..., Any]] = {
    "sigmoid": _sigmoid, "softplus": _softplus, "log_sigmoid": lambda x: -_softplus(-x),
    "binary_cross_entropy_with_logits": _cross_entropy_logits, "sigmoid_error": _sigmoid_error,
    "relu": lambda x, grad_at_zero=0.0: np.maximum(x, 0), "silu": lambda x: x * _sigmoid(x), "gelu_tanh": _gelu_tanh,
    "gelu_tanh_slope": _gelu_tanh_slope,
    "mean": _mean, "sum": _sum, "sum_to": _sum_to, "softmax": _softmax, "log_softmax": _log_softmax,
    "class_cross_entropy": _class_cross_entropy, "constant_power": _constant_power, "square": lambda x: x * x,
    "clip": lambda x, low, high: np.minimum(np.maximum(x, low), high),
    "max": lambda x, axis=None, keepdims=False: np.maximum.reduce(x, axis=axis, keepdims=keepdims),
    "min": lambda x, axis=None, keepdims=False: np.minimum.reduce(x, axis=axis, keepdims=keepdims),
}


def expand(program: Program) -> Program:
    """Write composite operations out, as far as the table goes."""
    if program.operations.isdisjoint(EXPANSIONS):
        return program
    shapes, dtypes = program.kinds
    count = 0

    def fresh(letter: str) -> Name:
        nonlocal count
        while True:
            count += 1
            name = Name(f"e{count}")
            if name not in shapes:
                return name

    lines: list[Line] = []
    by: dict[str, Any] = {}
    for line in program.lines:
        if by:
            line = reworded(line, by)
        made = _expanded(line, shapes, dtypes, fresh) if line.op.name in EXPANSIONS else None
        if made is None:
            lines.append(line)
        elif isinstance(made, Name):
            by[line.name] = made
        else:
            lines += made
    quiet = program.quiet or "sigmoid" in program.operations or "silu" in program.operations
    return replace(program, lines=tuple(lines), outputs={k: renamed(v, by) for k, v in program.outputs.items()}, quiet=quiet)


def _expanded(line: Line, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, Any],
              fresh: Callable[[str], Name]) -> list[Line] | Name | None:
    writer = Writer(line, fresh)

    def symbol(x: Any) -> Any:
        return Symbol(x, shapes[x], dtypes[x], writer) if isinstance(x, Name) else x

    operands = [symbol(x) for x in line.operands]
    symbols = [x for x in operands if type(x) is Symbol]
    if not symbols or any(0 in x.shape for x in symbols):
        return None
    out = EXPANSIONS[line.op.name](*operands, **{k: symbol(v) for k, v in line.params.items()})
    if out is NotImplemented or not isinstance(out, Symbol) or out.shape != line.shape or out.dtype != line.dtype:
        return None
    if not writer.lines:
        return out.name
    last = writer.lines[-1]
    assert last.name == out.name
    return [*writer.lines[:-1], last.but(name=line.name, named=line.named)]


__all__ = ["ADD_REDUCE", "EXPANSIONS", "GATE", "LESS_ONE", "LOG_OF_TOTAL", "PICK", "expand", "largest_exponent", "near_one",
           "near_zero", "products", "reduction", "spread_shape", "ufunc_of"]
