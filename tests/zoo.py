"""One zoo of samples: every primitive of the table with operands of every shape and, on demand, both float types.

A sample is a call `primitive(*operands, **params)` together with NumPy's own way to the same value. Operands are drawn
where the primitive is smooth, unless the sample says otherwise (`smooth=False`), and are the same on every run.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.rules import TABLE
from tinygrad_edu.rules.indexing import is_basic
from tinygrad_edu.tensor import Primitive


@dataclass(frozen=True)
class Sample:
    """One call of a primitive."""

    name: str  # the primitive's
    label: str  # what is special about this call
    operands: tuple[Any, ...]  # float64 arrays and scalars; masks and Python numbers are constants
    params: dict[str, Any] = field(default_factory=dict)
    numpy: Callable[..., Any] | None = None  # the same value by NumPy alone, called as the primitive is
    smooth: bool = True  # whether differences tell the derivative here
    constants: tuple[int, ...] = ()  # operands that stay plain arrays although they hold floats

    @property
    def op(self) -> Primitive:
        return TABLE[self.name]

    @property
    def variables(self) -> tuple[int, ...]:
        """Which operands are differentiated."""
        return tuple(i for i, x in enumerate(self.operands)
                     if isinstance(x, (np.ndarray, np.floating)) and x.dtype.kind == "f" and i not in self.constants)

    def call(self, *variables: Any, operands: Sequence[Any] | None = None) -> Any:
        """The primitive as a function of the operands that are differentiated."""
        filled = list(self.operands if operands is None else operands)
        for i, x in zip(self.variables, variables, strict=True):
            filled[i] = x
        return self.op(*filled, **self.params)

    def values(self, dtype: Any = np.float64) -> list[Any]:
        """Private copies of the operands that are differentiated."""
        copies = [np.array(self.operands[i], dtype) for i in self.variables]
        return [x if x.ndim else x[()] for x in copies]

    def cast(self, dtype: Any) -> list[Any]:
        """All operands, those of floats in the given type."""
        return [np.array(x, dtype)[()] if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind == "f" else x
                for x in self.operands]

    def __str__(self) -> str:
        return f"{self.name}-{self.label}"


def _rng(*key: Any) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(key).encode()))


def draw(key: Any, shape: tuple[int, ...], low: float = -2.0, high: float = 2.0) -> Any:
    """Numbers in [low, high], no two alike, none near the ends, the middle, or a half-integer.

    They lie on a jittered grid, so that neighbours stay apart by more than a difference step moves them.
    """
    rng = _rng(key, shape)
    n = math.prod(shape)
    places = (np.arange(n) + 0.5 + rng.uniform(-0.2, 0.2, n)) / max(n, 1)
    x = low + (high - low) * rng.permutation(places)
    near = np.abs(2 * x - np.round(2 * x)) < 0.06
    x = np.where(near, x + np.where(x > (low + high) / 2, -1, 1) * 0.05 * min(1.0, (high - low) / 4), x)
    return x.reshape(shape)[()]


def text(shapes: Sequence[Any]) -> str:
    return ",".join("x".join(map(str, s)) or "scalar" if isinstance(s, tuple) else repr(s) for s in shapes)


UNARY_SHAPES: tuple[tuple[int, ...], ...] = ((), (3,), (2, 3), (1, 3, 1), (0,))
BINARY_SHAPES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((), ()), ((3,), (3,)), ((2, 3), (3,)), ((3,), (2, 3)), ((2, 1), (1, 3)), ((2, 3), ()), ((), (2, 3)),
    ((0, 3), (3,)),
)

# ---------------------------------------------------------------- entrywise


def _vectorised(f: Callable[[float], float]) -> Callable[[Any], Any]:
    return np.vectorize(f, otypes=[float])


_phi = _vectorised(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)))


def _gelu_tanh_slope(x: Any) -> Any:
    scale = np.sqrt(2 / np.pi)
    t = np.tanh(scale * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * scale * (1 + 3 * 0.044715 * x * x)


# name: (NumPy's function, lowest and highest argument)
UNARY: dict[str, tuple[Callable[..., Any], float, float]] = {
    "negative": (np.negative, -2, 2), "positive": (np.positive, -2, 2), "identity": (lambda x: x, -2, 2),
    "absolute": (np.absolute, -2, 2), "reciprocal": (np.reciprocal, 0.5, 3), "square": (np.square, -2, 2),
    "sqrt": (np.sqrt, 0.5, 4), "cbrt": (np.cbrt, 0.5, 4), "exp": (np.exp, -2, 2), "exp2": (np.exp2, -2, 2),
    "expm1": (np.expm1, -2, 2), "log": (np.log, 0.5, 4), "log2": (np.log2, 0.5, 4), "log10": (np.log10, 0.5, 4),
    "log1p": (np.log1p, -0.5, 4), "sin": (np.sin, -3, 3), "cos": (np.cos, -3, 3), "tan": (np.tan, -1.2, 1.2),
    "arcsin": (np.arcsin, -0.8, 0.8), "arccos": (np.arccos, -0.8, 0.8), "arctan": (np.arctan, -2, 2),
    "sinh": (np.sinh, -2, 2), "cosh": (np.cosh, -2, 2), "tanh": (np.tanh, -2, 2), "arcsinh": (np.arcsinh, -2, 2),
    "arccosh": (np.arccosh, 1.3, 4), "arctanh": (np.arctanh, -0.8, 0.8), "degrees": (np.degrees, -2, 2),
    "radians": (np.radians, -2, 2), "sinc": (np.sinc, -2, 2), "sign": (np.sign, -2, 2), "floor": (np.floor, -2, 2),
    "ceil": (np.ceil, -2, 2), "trunc": (np.trunc, -2, 2), "rint": (np.rint, -2, 2), "round": (np.round, -2, 2),
    "sigmoid": (lambda x: 0.5 * (1 + np.tanh(x / 2)), -3, 3),
    "log_sigmoid": (lambda x: -np.logaddexp(0, -x), -3, 3), "softplus": (lambda x: np.logaddexp(0, x), -3, 3),
    "relu": (lambda x: x * (x > 0), -2, 2), "silu": (lambda x: x / (1 + np.exp(-x)), -3, 3),
    "erf": (_vectorised(math.erf), -2, 2), "normal_cdf": (_phi, -2, 2), "gelu": (lambda x: x * _phi(x), -2, 2),
    "gelu_tanh_slope": (lambda x: _gelu_tanh_slope(x), -2, 2),
    "gelu_tanh": (lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), -2, 2),
}
# name: (NumPy's function, range of the first, range of the second)
BINARY: dict[str, tuple[Callable[..., Any], tuple[float, float], tuple[float, float]]] = {
    "add": (np.add, (-2, 2), (-2, 2)), "subtract": (np.subtract, (-2, 2), (-2, 2)),
    "multiply": (np.multiply, (-2, 2), (-2, 2)), "divide": (np.divide, (-2, 2), (0.5, 3)),
    "maximum": (np.maximum, (-2, 2), (-2, 2)), "minimum": (np.minimum, (-2, 2), (-2, 2)),
    "fmax": (np.fmax, (-2, 2), (-2, 2)), "fmin": (np.fmin, (-2, 2), (-2, 2)),
    "floor_divide": (np.floor_divide, (2.72, 2.9), (0.6, 0.67)),
    "remainder": (np.remainder, (2.72, 2.9), (-0.67, -0.6)),
    "fmod": (np.fmod, (-2.9, -2.72), (0.6, 0.67)), "power": (np.power, (0.5, 2), (-2, 2)),
    "hypot": (np.hypot, (-2, 2), (0.5, 2)), "arctan2": (np.arctan2, (-2, 2), (0.5, 2)),
    "logaddexp": (np.logaddexp, (-2, 2), (-2, 2)), "logaddexp2": (np.logaddexp2, (-2, 2), (-2, 2)),
    "heaviside": (np.heaviside, (-2, 2), (-2, 2)), "copysign": (np.copysign, (-2, 2), (-2, 2)),
    "binary_cross_entropy": (lambda p, y: -(y * np.log(p) + (1 - y) * np.log(1 - p)), (0.1, 0.9), (0, 1)),
    "binary_cross_entropy_with_logits": (lambda z, y: y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z), (-3, 3),
                                         (0, 1)),
    "sigmoid_error": (lambda z, y: 1 / (1 + np.exp(-z)) - y, (-3, 3), (0, 1)),
}


def _entrywise() -> Iterator[Sample]:
    for name, (function, low, high) in UNARY.items():
        for shape in UNARY_SHAPES:
            yield Sample(name, text([shape]), (draw(name, shape, low, high),), numpy=function)
    for name, (function, first, second) in BINARY.items():
        for a, b in BINARY_SHAPES:
            left, right = draw((name, 0), a, *first), draw((name, 1), b, *second)
            if function in (np.maximum, np.minimum, np.fmax, np.fmin):  # quarters against eighths: no tie is near
                left, right = np.round(4 * left) / 4, np.round(4 * right) / 4 + 0.125
            yield Sample(name, text([a, b]), (left, right), numpy=function)
        if "cross_entropy" in name or name == "sigmoid_error":  # predictions and targets have one shape
            continue
        number = {"floor_divide": 0.65, "fmod": 0.65, "remainder": -0.65}.get(name, 1.25)
        yield Sample(name, "2x3,number", (draw((name, 0), (2, 3), *first), number), numpy=function)
        yield Sample(name, "number,3", (first[1] - 0.01, draw((name, 1), (3,), *second)), numpy=function)

    x = draw("special", (2, 3))
    zero_and_one = np.array([0.0, -0.0, 1.0])
    for name in ("absolute", "relu", "sign", "silu", "gelu", "sinc"):
        yield Sample(name, "at-zero", (zero_and_one,), numpy=UNARY[name][0], smooth=name in ("silu", "gelu", "sinc"))
    certain = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    yield Sample("binary_cross_entropy", "certain", certain, numpy=lambda p, y: np.zeros(2), smooth=False,
                 constants=(1,))
    for name in ("maximum", "minimum", "fmax", "fmin"):
        tied = np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 3.0])
        yield Sample(name, "ties", tied, numpy=BINARY[name][0], smooth=False)
    for name in ("fmax", "fmin"):
        gaps = np.array([np.nan, 2.0, np.nan]), np.array([1.0, np.nan, np.nan])
        yield Sample(name, "nan", gaps, numpy=BINARY[name][0], smooth=False)
    yield Sample("hypot", "origin", (np.array([0.0, 3.0]), np.array([0.0, 4.0])), numpy=np.hypot, smooth=False)
    yield Sample("power", "zero-base", (np.array([0.0, 0.0, 2.0]), np.array([0.0, 2.0, 0.0])), numpy=np.power,
                 smooth=False)
    yield Sample("power", "negative-base", (np.array([-2.0, -1.5, 1.3]), np.array([2.0, 3.0, -1.0])), numpy=np.power,
                 constants=(1,))
    yield Sample("heaviside", "at-zero", (np.array([0.0, 1.0, -1.0]), np.array([0.5, 0.25, 0.5])), numpy=np.heaviside,
                 constants=(0,))
    yield Sample("sinc", "near-zero", (np.array([1e-9, -0.02, 0.099, 0.101]),), numpy=np.sinc)
    yield Sample("round", "decimals", (x,), {"decimals": 1}, numpy=np.round, smooth=False)
    for exponent in (3, 2.5, 1, 0, -1, 0.5):
        yield Sample("constant_power", f"{exponent}", (draw("power", (2, 3), 0.5, 2),), {"exponent": exponent},
                     numpy=lambda x, exponent: x**exponent)
    yield Sample("constant_power", "negative-base", (x,), {"exponent": 3}, numpy=lambda x, exponent: x * x * x)
    yield Sample("constant_power", "scalar", (np.float64(1.3),), {"exponent": -2}, numpy=lambda x,
                 exponent: 1 / (x * x))
    yield Sample("constant_power", "zero-base", (np.zeros(2),), {"exponent": 2}, numpy=lambda x, exponent: x * x)
    yield Sample("constant_power", "empty", (np.zeros((2, 0)),), {"exponent": 3}, numpy=lambda x, exponent: x**3)
    yield Sample("softplus", "beta", (x,), {"beta": 3.0}, numpy=lambda x, beta: np.log1p(np.exp(beta * x)) / beta)
    for shape in ((), (1,), (3,), (2, 3), (0,), (2, 0)):
        x = draw("gate", shape)
        yield Sample("gate", text([shape]), (x, x > 0), numpy=lambda x, mask: x * mask)
    yield Sample("gate", "broadcast", (draw("gate", (2, 1)), np.array([True, False, True])),
                 numpy=lambda x, mask: x * mask)
    yield Sample("relu", "grad-at-zero", (zero_and_one,), {"grad_at_zero": 0.5}, numpy=lambda x, grad_at_zero: x,
                 smooth=False)
    for shape in UNARY_SHAPES:
        y = draw("activations", shape)
        yield Sample("leaky_relu", text([shape]), (y,), {"slope": 0.1}, numpy=lambda x,
                     slope: np.where(x > 0, x, slope * x))
        yield Sample("elu", text([shape]), (y,), {"alpha": 1.5},
                     numpy=lambda x, alpha: np.where(x > 0, x, alpha * (np.exp(x) - 1)))
    yield Sample("leaky_relu", "at-zero", (zero_and_one,), {"slope": 0.1}, numpy=lambda x, slope: x, smooth=False)
    yield Sample("elu", "at-zero", (zero_and_one,), {"alpha": 1.5}, numpy=lambda x, alpha: x, smooth=False)

    for c, a, b in (((), (), ()), ((3,), (3,), (3,)), ((2, 3), (3,), ()), ((), (2, 1), (1, 3)), ((2, 1), (), (3,)),
                    ((0, 3), (3,), (1, 3))):
        mask = draw("mask", c) > 0
        yield Sample("where", text([c, a, b]), (mask, draw("a", a), draw("b", b)), numpy=np.where)
    yield Sample("where", "number", (np.array([True, False, True]), draw("a", (3,)), 0.0), numpy=np.where)
    for a, low, high in (((), (), ()), ((2, 3), (3,), ()), ((3,), (2, 1), (2, 3)), ((0, 3), (3,), (1,))):
        yield Sample("clip", text([a, low, high]),
                     (draw("x", a), draw("low", low, -1.5, -0.6), draw("high", high, 0.6, 1.5)),
                     numpy=np.clip)
    yield Sample("clip", "numbers", (x, -0.7, 0.7), numpy=np.clip)
    yield Sample("clip", "one-side", (x, -math.inf, 0.7), numpy=np.clip)
    yield Sample("clip", "bounds", (np.array([-1.0, 0.0, 1.0]), -1.0, 1.0), numpy=np.clip, smooth=False)
    yield Sample("clip", "crossed", (draw("x", (3,)), np.full(3, 1.0), np.full(3, -1.0)), numpy=np.clip)


# ---------------------------------------------------------------- reductions

REDUCTION_CASES: tuple[tuple[tuple[int, ...], dict[str, Any]], ...] = (
    ((), {}), ((), {"axis": ()}), ((3,), {}), ((2, 3), {}), ((2, 3), {"axis": (0,)}), ((2, 3), {"axis": (1,)}),
    ((2, 3), {"axis": (1,), "keepdims": True}), ((2, 3), {"axis": (0, 1)}), ((2, 3), {"keepdims": True}),
    ((2, 3), {"axis": ()}), ((2, 3, 4), {"axis": (0, 2)}), ((2, 3, 4), {"axis": (1,), "keepdims": True}),
    ((1, 3, 1), {"axis": (0,)}), ((1, 3, 1), {"axis": (0, 2)}), ((0, 3), {"axis": (1,)}),
)


def _case(shape: tuple[int, ...], params: dict[str, Any]) -> str:
    return text([shape]) + "".join(f"-{k}{''.join(map(str, v)) or 'none'}" if isinstance(v, tuple) else f"-{k}"
                                   for k, v in params.items())


def _reductions() -> Iterator[Sample]:
    def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))

    references: dict[str, Callable[..., Any]] = {
        "sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "prod": np.prod, "logsumexp": logsumexp,
        "var": np.var, "std": np.std,
    }
    for name, reference in references.items():
        for shape, params in REDUCTION_CASES:
            single = math.prod(shape if "axis" not in params else [shape[i] for i in params["axis"]]) == 1
            yield Sample(name, _case(shape, params), (draw(name, shape),), params, reference,
                         smooth=not (name == "std" and single))
    for name in ("sum", "prod"):
        for shape, params in (((0,), {}), ((0, 3), {"axis": (0,)}), ((2, 0), {"axis": (1,), "keepdims": True})):
            yield Sample(name, "empty-" + _case(shape, params), (np.zeros(shape),), params, references[name])
    for name in ("var", "std"):
        yield Sample(name, "ddof", (draw(name, (2, 4)),), {"axis": (1,), "ddof": 1}, references[name])
    yield Sample("std", "equal", (np.full((2, 3), 1.5),), {"axis": (1,)}, np.std, smooth=False)
    for name in ("max", "min"):
        tied = np.array([[1.0, 3.0, 3.0, 2.0], [1.0, 1.0, 2.0, 3.0]])
        for params in ({}, {"axis": (1,)}, {"axis": (0,), "keepdims": True}):
            yield Sample(name, "ties-" + _case((2, 4), params), (tied,), params, references[name], smooth=False)
    for zeros in (1, 2):
        x = draw("prod", (2, 4))
        x[0, :zeros] = 0.0
        for params in ({}, {"axis": (1,)}, {"axis": (0,)}):
            yield Sample("prod", f"{zeros}-zeros-" + _case((2, 4), params), (x,), params, np.prod)

    def running(ufunc: Any) -> Callable[[Any], Any]:
        return lambda x: ufunc.accumulate(x, axis=x.ndim - 1)

    for name, ufunc in (("cumsum", np.add), ("cumprod", np.multiply), ("cummax", np.maximum), ("cummin", np.minimum),
                        ("logcumsumexp", np.logaddexp)):
        for shape in ((1,), (3,), (5,), (2, 3), (2, 1, 4), (2, 1), (0,), (2, 0), (0, 3)):
            yield Sample(name, text([shape]), (draw(name, shape),), numpy=running(ufunc))
    for name, ufunc in (("cummax", np.maximum), ("cummin", np.minimum)):
        yield Sample(name, "ties", (np.array([2.0, 1.0, 2.0, 3.0, 3.0, 1.0]),), numpy=running(ufunc), smooth=False)
    yield Sample("cumprod", "zeros", (np.array([[2.0, 0.0, 3.0, 0.0, 4.0]]),), numpy=running(np.multiply))

    def softmax(x: Any, axis: Any) -> Any:
        return np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)

    for shape, axis in (((), None), ((3,), (0,)), ((2, 3), (1,)), ((2, 3), (0,)), ((2, 3), None), ((2, 3, 2), (0, 2)),
                        ((2, 1), (1,)), ((0, 3), (1,)), ((2, 0), (1,))):
        label, x = f"{text([shape])}-axis{axis}".replace(" ", ""), draw("softmax", shape)
        yield Sample("softmax", label, (x,), {"axis": axis}, softmax)
        yield Sample("log_softmax", label, (x,), {"axis": axis}, lambda x, axis: np.log(softmax(x, axis)))

    for shape in ((), (1,), (3,), (2, 3), (2, 1, 3), (0,), (0, 3)):
        yield Sample("squared_norm", text([shape]), (draw("squared_norm", shape),), numpy=lambda x: np.sum(x * x))

    def class_cross_entropy(z: Any, target: Any, axis: int) -> Any:
        """One example at a time, as a loop would."""
        rows = np.moveaxis(z, axis, -1).reshape(-1, z.shape[axis])
        losses = [math.log(sum(math.exp(v) for v in row)) - row[k] for row, k in zip(rows, target.ravel(), strict=True)]
        return np.array(losses, z.dtype).reshape(target.shape)

    for shape, axis in (((3,), 0), ((4, 3), 1), ((3, 4), 0), ((2, 3, 2), 1), ((1, 1), 1), ((0, 3), 1)):
        others = tuple(n for i, n in enumerate(shape) if i != axis)
        target = np.arange(math.prod(others)).reshape(others) % shape[axis]
        yield Sample("class_cross_entropy", f"{text([shape])}-axis{axis}", (draw("class_cross_entropy", shape),),
                     {"target": target, "axis": axis}, class_cross_entropy)


# ---------------------------------------------------------------- shapes, indexing, products


def _shapes() -> Iterator[Sample]:
    def one(name: str, shape: tuple[int, ...], reference: Callable[..., Any], /, **params: Any) -> Sample:
        shown = ",".join(f"{k}={v}".replace(" ", "") for k, v in params.items())
        return Sample(name, f"{text([shape])}-{shown}", (draw(name, shape),), params, reference)

    for shape, wanted in (((), (2, 3)), ((3,), (2, 3)), ((2, 1), (2, 3)), ((1, 3), (4, 2, 3)), ((1,), (1,)),
                          ((0,), (2, 0)),
                          ((1,), (0,))):
        yield one("broadcast_to", shape, lambda x, shape: np.broadcast_to(x, shape), shape=wanted)
        yield one("sum_to", wanted, lambda x, shape: _summed(x, shape), shape=shape)
    for shape, wanted in (((), (1, 1)), ((6,), (2, 3)), ((2, 3), (6,)), ((1, 1), ()), ((2, 3), (1, 3, 2)),
                          ((0, 3), (0,))):
        yield one("reshape", shape, lambda x, shape: np.reshape(x, shape), shape=wanted)
    for shape, params in (((2, 3), {}), ((2, 3, 4), {}), ((2, 3, 4), {"axes": (2, 0, 1)}), ((1, 3), {}), ((0, 3), {}),
                          ((2, 3, 1, 2), {"axes": (1, 3, 0, 2)})):
        yield one("transpose", shape, np.transpose, **params)
    for shape, axes in (((3,), (0,)), ((2, 3), (1,)), ((2, 3), (0, 1)), ((), ()), ((1, 3), (-1,)), ((0, 3), (0,))):
        yield one("flip", shape, np.flip, axis=axes)
    for shape, shift, axes in (((3,), (1,), (0,)), ((2, 3), (-1,), (1,)), ((2, 3), (1, 2), (0, 1)),
                               ((2, 3), (5, 1), (1, 1)),
                               ((0, 3), (1,), (0,))):
        yield one("roll", shape, np.roll, shift=shift, axis=axes)
    for shape, width in (((3,), ((1, 2),)), ((2, 3), ((0, 1), (2, 0))), ((0, 3), ((1, 1), (0, 0))),
                         ((2, 3), ((0, 0), (0, 0)))):
        yield one("pad", shape, lambda x, width: np.pad(x, width), width=width)
    for shape in ((), (3,), (2, 3), (0,)):
        yield one("astype", shape, lambda x, dtype: x.astype(dtype), dtype=np.dtype(np.float64))
    for parts, axis in ((((2, 3), (2, 3)), 0), (((2, 3), (2, 1), (2, 2)), 1), (((3,),), 0), (((0, 2), (3, 2)), 0),
                        (((1,), (2,), (0,)), 0)):
        operands = tuple(draw(("join", i), s) for i, s in enumerate(parts))
        yield Sample("concatenate", f"{text(parts)}-axis{axis}", operands, {"axis": axis},
                     lambda *xs, axis: np.concatenate(xs, axis))
    for shape, count, axis in (((), 3, 0), ((3,), 2, 0), ((3,), 2, 1), ((2, 3), 3, 1), ((2, 3), 2, 2), ((0,), 2, 0),
                               ((1,), 1, 1)):
        operands = tuple(draw(("join", i), shape) for i in range(count))
        yield Sample("stack", f"{count}of{text([shape])}-axis{axis}", operands, {"axis": axis},
                     lambda *xs, axis: np.stack(xs, axis))
    yield Sample("concatenate", "constant-between", (draw("a", (2,)), np.ones(3), draw("b", (1,))), {"axis": 0},
                 lambda *xs, axis: np.concatenate(xs, axis), constants=(1,))
    yield Sample("stack", "constant-between", (draw("a", (2,)), np.ones(2), draw("b", (2,))), {"axis": 1},
                 lambda *xs, axis: np.stack(xs, axis), constants=(1,))


def _summed(x: Any, shape: tuple[int, ...]) -> Any:
    """Sum x entry by entry to where it would have been broadcast from."""
    out = np.zeros(shape)
    for place in np.ndindex(x.shape):
        short = place[len(place) - len(shape):]
        out[tuple(0 if n == 1 else i for i, n in zip(short, shape, strict=True))] += x[place]
    return out


_ROWS = np.array([2, 0, 0])
_MASK = np.array([[True, False, True, False], [False] * 4, [True, True, False, False]])
# indices into a (3, 4) matrix: every kind NumPy has
INDICES: dict[str, Any] = {
    "int": 1, "negative-int": -1, "slice": slice(1, None), "step": slice(None, None, 2),
    "backwards": slice(None, None, -1),
    "empty-slice": slice(2, 2), "pair": (1, -2), "row-and-slice": (slice(None), 2), "none": None, "ellipsis": Ellipsis,
    "new-axes": (None, slice(None), None, 1), "ellipsis-int": (Ellipsis, 0), "array": _ROWS,
    "array-2d": np.array([[0, 1], [2, 2]]),
    "arrays": (_ROWS, np.array([1, 1, 3])), "arrays-broadcast": (_ROWS[:, None], np.array([0, 3])),
    "array-and-slice": (slice(None), _ROWS), "array-slice-backwards": (_ROWS, slice(None, None, -2)),
    "array-int": (_ROWS, 1),
    "array-none": (_ROWS, None, slice(1, 3)), "split-arrays": (None, _ROWS, None, np.array([1, 1, 3])), "mask": _MASK,
    "row-mask": np.array([True, False, True]), "mask-and-int": (np.array([True, False, True]), 2), "mask-column":
    (slice(None), np.array([True, False, False, True])), "no-places": np.array([], int), "true": np.bool_(True),
    "empty-tuple": (),
}


def _indexing() -> Iterator[Sample]:
    x = draw("index", (3, 4))
    for label, index in INDICES.items():
        pick, put_back = ("getitem", "put") if is_basic(index) else ("gather", "scatter")
        yield Sample(pick, label, (x,), {"index": index}, lambda x, index: x[index])
        picked = np.shape(x[index])

        def put(values: Any, index: Any, shape: Any) -> Any:
            places = np.arange(math.prod(shape)).reshape(shape)[index]
            return np.bincount(places.ravel(), np.ravel(values), math.prod(shape)).reshape(shape)

        yield Sample(put_back, label, (draw("put", picked),), {"index": index, "shape": (3, 4)}, put)
        places = np.arange(12).reshape(3, 4)[index]
        if len(np.unique(places)) == places.size:

            def assign(x: Any, values: Any, index: Any) -> Any:
                flat = x.ravel().copy()
                flat[np.arange(x.size).reshape(x.shape)[index].ravel()] = np.ravel(values)
                return flat.reshape(x.shape)

            yield Sample("assign", label, (x, draw("put", picked)), {"index": index}, assign)
    yield Sample("getitem", "scalar", (np.float64(2.0),), {"index": ()}, lambda x, index: x)
    yield Sample("gather", "scalar", (np.float64(2.0),), {"index": np.array(True)}, lambda x, index: np.reshape(x, 1))
    yield Sample("getitem", "empty", (np.zeros((0, 3)),), {"index": (slice(None), 1)}, lambda x, index: x[:, 1])
    yield Sample("assign", "scalar", (np.float64(2.0), np.float64(1.5)), {"index": ()}, lambda x, values, index: values)
    yield Sample("assign", "into-constant", (x, draw("put", (4,))), {"index": 1},
                 lambda x, values, index: np.stack([x[0], values, x[2]]), constants=(0,))
    yield Sample("assign", "constant", (x, np.ones(4)), {"index": 1},
                 lambda x, values, index: np.stack([x[0], values, x[2]]), constants=(1,))


MATMUL_SHAPES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((1, 3), (3, 1)), ((2, 1), (1, 2)),
    ((2, 2, 3), (2, 3, 2)),
    ((2, 2, 3), (3, 2)), ((2, 3), (2, 3, 2)), ((3,), (2, 3, 2)), ((2, 2, 3), (3,)), ((2, 1, 2, 3), (2, 3, 2)),
    ((1, 2, 3), (2, 3, 2)), ((2, 1, 1, 3), (1, 2, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((0,), (0,)),
    ((0, 2, 3), (3,)),
    ((3,), (0, 3, 2)), ((2, 1, 3, 2), (2,)), ((2,), (2, 1, 2, 3)),
)
EINSUM_CASES: tuple[tuple[str, tuple[tuple[int, ...], ...]], ...] = (
    ("ij,jk->ik", ((2, 3), (3, 4))), ("i,i->", ((3,), (3,))), ("i,j->ij", ((2,), (3,))),
    ("ij,ij->ij", ((2, 3), (2, 3))),
    ("bij,bjk->bik", ((2, 2, 3), (2, 3, 2))), ("ij,j->ji", ((2, 3), (3,))), ("ij,jk,kl->il", ((2, 3), (3, 2), (2, 2))),
    ("i,ij,j->", ((2,), (2, 3), (3,))), (",i->i", ((), (3,))), ("ij,jk->ki", ((1, 3), (3, 1))),
    ("ij,jk->ik", ((0, 3), (3, 2))),
    ("ij,jk->ik", ((2, 0), (0, 2))), ("ij,ij->i", ((2, 3), (1, 3))),
)


def _naive_einsum(*xs: Any, inputs: tuple[str, ...], output: str) -> Any:
    """Einstein's summation by definition: a loop over all values of all letters."""
    sizes: dict[str, int] = {}
    for letters, x in zip(inputs, xs, strict=True):
        for c, n in zip(letters, np.shape(x), strict=True):
            sizes[c] = n if sizes.get(c, 1) == 1 else sizes[c]
    out = np.zeros([sizes[c] for c in output])
    for place in np.ndindex(*sizes.values()):
        at = dict(zip(sizes, place, strict=True))
        term = 1.0
        for letters, x in zip(inputs, xs, strict=True):
            term *= float(np.asarray(x)[tuple(0 if n == 1 else at[c] for c,
                                              n in zip(letters, np.shape(x), strict=True))])
        out[tuple(at[c] for c in output)] += term
    return out[()]


def _products() -> Iterator[Sample]:
    for a, b in MATMUL_SHAPES:
        yield Sample("matmul", text([a, b]), (draw("left", a), draw("right", b)), numpy=np.matmul)
    for subscripts, shapes in EINSUM_CASES:
        left, output = subscripts.split("->")
        params = {"inputs": tuple(left.split(",")), "output": output}
        yield Sample("einsum", f"{subscripts}-{text(shapes)}",
                     tuple(draw((subscripts, i), s) for i, s in enumerate(shapes)),
                     params, _naive_einsum)


# families with a file of their own, which needs what is above
import zoo_activations  # noqa: E402
import zoo_linear_algebra  # noqa: E402
import zoo_selecting  # noqa: E402
import zoo_windows  # noqa: E402

SAMPLES: list[Sample] = [
    *_entrywise(), *_reductions(), *_shapes(), *_indexing(), *_products(),
    *zoo_activations.SAMPLES, *zoo_linear_algebra.SAMPLES, *zoo_selecting.SAMPLES, *zoo_windows.SAMPLES,
]
