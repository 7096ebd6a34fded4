"""Entrywise functions. Letters: g = dJ/dy, y the output, x (or a, b) the operands. The contract heads `rules`."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..tensor import Primitive, Rule
from . import special


def pointwise(name: str, forward: Any, *rules: Rule | None, **options: Any) -> Primitive:
    """An entrywise operation; its rules never mention shape."""
    return Primitive(name, forward, *rules, kind="pointwise", **options)


def comparison(name: str, forward: Any) -> Primitive:
    """An operation whose result is true or false, a plain array: it has no derivative."""
    return Primitive(name, forward)


def zero(_g: Any, _y: Any, *_operands: Any, **_params: Any) -> None:
    """The derivative of a function that is constant between its jumps."""


# ---------------------------------------------------------------- comparisons and choosing

greater = comparison("greater", operator.gt)
greater_equal = comparison("greater_equal", operator.ge)
less = comparison("less", operator.lt)
less_equal = comparison("less_equal", operator.le)
equal = comparison("equal", operator.eq)
not_equal = comparison("not_equal", operator.ne)
isnan = comparison("isnan", np.isnan)
isinf = comparison("isinf", np.isinf)
isfinite = comparison("isfinite", np.isfinite)


def _choose(condition: Any, a: Any, b: Any) -> Any:
    if type(condition) is np.bool_ and type(a) is type(b) is np.float64:
        return a if condition else b
    return np.where(condition, a, b)


where: Primitive = pointwise("where", _choose, None, lambda g, _y, c, _a, _b: where(c, g, 0.0),
                  lambda g, _y, c, _a, _b: where(c, 0.0, g))


def _gate(g: Any, open_: Any) -> Any:
    """g where the gate is open, and 0 where it is shut, also for g = inf: by bits, ten times faster than np.where."""
    if not isinstance(open_, np.ndarray):
        return g if open_ else np.float64(0) if type(g) is np.float64 else np.zeros_like(g)[()]
    if type(g) is type(open_) is np.ndarray and g.shape == open_.shape and g.dtype in _BITS and open_.dtype == np.bool:
        mask = np.negative(open_.view(np.int8)).astype(_BITS[g.dtype])
        np.bitwise_and(g.view(mask.dtype), mask, mask)
        return mask.view(g.dtype)
    return np.where(open_, g, 0.0)


_BITS: dict[Any, Any] = {np.dtype(np.float32): np.int32, np.dtype(np.float64): np.int64}
gate: Primitive = pointwise("gate", _gate, lambda g, _y, _x, open_: gate(g, open_), None, symbol="⊙")


def _share(g: Any, a: Any, b: Any) -> Any:
    """The part of g that goes to a in max(a, b): all, none, or one half of a tie."""
    half = 0.5 * g
    return gate(half, a > b) + gate(half, a >= b)


def _clip(x: Any, low: Any, high: Any) -> Any:
    return np.minimum(np.maximum(x, low), high)


maximum = pointwise("maximum", np.maximum, lambda g, _y, a, b: _share(g, a, b), lambda g, _y, a, b: _share(g, b, a))
minimum = pointwise("minimum", np.minimum, lambda g, _y, a, b: _share(g, b, a), lambda g, _y, a, b: _share(g, a, b))
fmax = pointwise("fmax", np.fmax, lambda g, _y, a, b: where(isnan(b), g, _share(g, a, b)),
                 lambda g, _y, a, b: where(isnan(a), gate(g, ~isnan(b)), _share(g, b, a)))
fmin = pointwise("fmin", np.fmin, lambda g, _y, a, b: where(isnan(b), g, _share(g, b, a)),
                 lambda g, _y, a, b: where(isnan(a), gate(g, ~isnan(b)), _share(g, a, b)))
clip = pointwise("clip", _clip, lambda g, _y, x, low, high: gate(g, (x >= low) & (x <= high)),
                 lambda g, _y, x, low, high: gate(g, (x < low) & (low <= high)),
                 lambda g, _y, x, low, high: gate(g, (x > high) | (low > high)))

# ---------------------------------------------------------------- arithmetic

add = pointwise("add", operator.add, lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: g, symbol="+")
subtract = pointwise("subtract", operator.sub, lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: -g, symbol="−")
multiply = pointwise("multiply", operator.mul, lambda g, _y, _a, b: g * b, lambda g, _y, a, _b: g * a, symbol="⊙")
divide = pointwise("divide", operator.truediv, lambda g, _y, _a, b: g / b, lambda g, y, _a, b: -g * y / b, symbol="/")
negative = pointwise("negative", operator.neg, lambda g, _y, _x: -g, symbol="−{0}")
positive = pointwise("positive", operator.pos, lambda g, _y, _x: g, symbol="+{0}")
identity = pointwise("identity", lambda x: x, lambda g, _y, _x: g, symbol="{0}")
absolute = pointwise("absolute", np.absolute, lambda g, _y, x: g * sign(x), symbol="|{0}|", scalar=abs)
reciprocal = pointwise("reciprocal", np.reciprocal, lambda g, y, _x: -g * y * y, symbol="1/{0}")
square = pointwise("square", np.square, lambda g, _y, x: 2 * g * x, symbol="{0}²", scalar=lambda x: x * x)
floor_divide: Primitive = pointwise("floor_divide", operator.floordiv, zero, zero, symbol="//")
remainder = pointwise("remainder", operator.mod, lambda g, _y, _a, _b: g, lambda g, _y, a, b: -g * floor_divide(a, b),
                      symbol="mod")
fmod = pointwise("fmod", np.fmod, lambda g, _y, _a, _b: g, lambda g, y, a, b: -g * rint((a - y) / b))


def _constant_power(x: Any, exponent: float) -> Any:
    return np.power(x, exponent)


def _constant_power_rule(g: Any, _y: Any, x: Any, exponent: float) -> Any:
    if exponent == 0:
        return None
    return g * (exponent * constant_power(x, exponent=exponent - 1))


def _both_zero(x: Any, p: Any) -> Any:
    return equal(x, 0) & equal(p, 0)


# x ** p: for a number p, and for an array p whose derivative may be wanted too. x**0 has derivative 0, also at x = 0.
constant_power = pointwise("constant_power", _constant_power, _constant_power_rule, symbol="{0}^{exponent}")
power: Primitive = pointwise(
    "power", np.power,
    lambda g, _y, x, p: g * where(_both_zero(x, p), 0.0, p * power(where(_both_zero(x, p), 1.0, x), p - 1)),
    lambda g, y, x, _p: g * where(equal(x, 0), 0.0, y * log(where(equal(x, 0), 1.0, x))),
    symbol="^",
)
sqrt = pointwise("sqrt", np.sqrt, lambda g, y, _x: g / (2 * y), symbol="√{0}", scalar=math.sqrt)
cbrt = pointwise("cbrt", np.cbrt, lambda g, y, _x: g / (3 * y * y))
hypot = pointwise("hypot", np.hypot, lambda g, y, a, _b: g * (a / where(equal(y, 0), 1.0, y)),
                  lambda g, y, _a, b: g * (b / where(equal(y, 0), 1.0, y)))

# ---------------------------------------------------------------- exponentials and logarithms

_LN2, _LN10 = math.log(2), math.log(10)

exp = pointwise("exp", np.exp, lambda g, y, _x: g * y, scalar=math.exp)
exp2 = pointwise("exp2", np.exp2, lambda g, y, _x: g * y * _LN2)
expm1 = pointwise("expm1", np.expm1, lambda g, _y, x: g * exp(x), scalar=math.expm1)
log: Primitive = pointwise("log", np.log, lambda g, _y, x: g / x, scalar=math.log)
log2 = pointwise("log2", np.log2, lambda g, _y, x: g / (x * _LN2))
log10 = pointwise("log10", np.log10, lambda g, _y, x: g / (x * _LN10))
log1p = pointwise("log1p", np.log1p, lambda g, _y, x: g / (1 + x), scalar=math.log1p)
logaddexp = pointwise("logaddexp", np.logaddexp, lambda g, _y, a, b: g * sigmoid(a - b),
                      lambda g, _y, a, b: g * sigmoid(b - a))
logaddexp2 = pointwise("logaddexp2", np.logaddexp2, lambda g, _y, a, b: g * sigmoid((a - b) * _LN2),
                       lambda g, _y, a, b: g * sigmoid((b - a) * _LN2))

# ---------------------------------------------------------------- trigonometry

sin = pointwise("sin", np.sin, lambda g, _y, x: g * cos(x), scalar=math.sin)
cos: Primitive = pointwise("cos", np.cos, lambda g, _y, x: -g * sin(x), scalar=math.cos)
tan = pointwise("tan", np.tan, lambda g, y, _x: g * (1 + y * y), scalar=math.tan)
arcsin = pointwise("arcsin", np.arcsin, lambda g, _y, x: g / sqrt((1 - x) * (1 + x)), scalar=math.asin)
arccos = pointwise("arccos", np.arccos, lambda g, _y, x: -g / sqrt((1 - x) * (1 + x)), scalar=math.acos)
arctan = pointwise("arctan", np.arctan, lambda g, _y, x: g / (1 + x * x), scalar=math.atan)
arctan2 = pointwise("arctan2", np.arctan2, lambda g, _y, a, b: g * _over_square(b, hypot(a, b)),
                    lambda g, _y, a, b: -g * _over_square(a, hypot(a, b)))
sinh = pointwise("sinh", np.sinh, lambda g, _y, x: g * cosh(x), scalar=math.sinh)
cosh: Primitive = pointwise("cosh", np.cosh, lambda g, _y, x: g * sinh(x), scalar=math.cosh)
tanh = pointwise("tanh", np.tanh, lambda g, y, _x: g * (1 - y * y), scalar=math.tanh, blocked=True)
arcsinh = pointwise("arcsinh", np.arcsinh, lambda g, _y, x: g / hypot(x, 1.0), scalar=math.asinh)
arccosh = pointwise("arccosh", np.arccosh, lambda g, _y, x: g / (sqrt(x - 1) * sqrt(x + 1)), scalar=math.acosh)
arctanh = pointwise("arctanh", np.arctanh, lambda g, _y, x: g / ((1 - x) * (1 + x)), scalar=math.atanh)
degrees = pointwise("degrees", np.degrees, lambda g, _y, _x: g * (180 / math.pi))
radians = pointwise("radians", np.radians, lambda g, _y, _x: g * (math.pi / 180))


def _over_square(x: Any, r: Any) -> Any:
    """x / r², where r² would overflow or vanish."""
    return x / r / r


def _sinc_slope(x: Any) -> Any:
    """(cos πx − sinc x) / x, from its Taylor series where the difference cancels."""
    u = (math.pi * x) ** 2
    series = -(math.pi**2) * x * (1 / 3 - u * (1 / 30 - u * (1 / 840 - u * (1 / 45360 - u / 3991680))))
    near = absolute(x) < 0.1
    far = where(near, 1.0, x)
    return where(near, series, (cos(math.pi * far) - sinc(far)) / far)


sinc = pointwise("sinc", np.sinc, lambda g, _y, x: g * _sinc_slope(x))

# ---------------------------------------------------------------- steps: zero derivative wherever there is one

sign: Primitive = pointwise("sign", np.sign, zero)
floor: Primitive = pointwise("floor", np.floor, zero, symbol="⌊{0}⌋")
ceil = pointwise("ceil", np.ceil, zero, symbol="⌈{0}⌉")
trunc: Primitive = pointwise("trunc", np.trunc, zero)
rint: Primitive = pointwise("rint", np.rint, zero)
round_ = pointwise("round", lambda x, decimals=0: np.round(x, decimals), zero)
heaviside = pointwise("heaviside", np.heaviside, zero, lambda g, _y, x, _h: where(equal(x, 0), g, 0.0))
copysign: Primitive = pointwise("copysign", np.copysign, lambda g, _y, a, b: g * copysign(1.0, b) * sign(a), zero)

# ---------------------------------------------------------------- activations, in their stable forms


def _relu(x: Any, grad_at_zero: float = 0.0) -> Any:
    return np.maximum(x, 0)


def _relu_rule(g: Any, _y: Any, x: Any, grad_at_zero: float = 0.0) -> Any:
    slope = gate(g, x > 0)
    return slope + gate(g, x == 0) * grad_at_zero if grad_at_zero else slope


sigmoid: Primitive = pointwise("sigmoid", special.sigmoid, lambda g, y, _x: g * y * (1 - y), symbol="σ({0})", blocked=True)
log_sigmoid = pointwise("log_sigmoid", lambda x: -special.softplus(-x), lambda g, _y, x: g * sigmoid(-x), symbol="log σ({0})",
                        blocked=True)
softplus = pointwise("softplus", special.softplus, lambda g, _y, x, beta=1.0: g * sigmoid(x * beta if beta != 1.0 else x),
                     blocked=True)
relu = pointwise("relu", _relu, _relu_rule, scalar=lambda x: 0.0 if x <= 0 else x)
leaky_relu = pointwise("leaky_relu", lambda x, slope: np.where(x > 0, x, slope * x),
                       lambda g, _y, x, slope: where(greater(x, 0), g, slope * g))
elu = pointwise("elu", lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
                lambda g, _y, x, alpha: where(greater(x, 0), g, g * (alpha * exp(minimum(x, 0)))), blocked=True)
silu = pointwise("silu", lambda x: x * special.sigmoid(x), lambda g, _y, x: g * _silu_slope(x), blocked=True)


def _silu_slope(x: Any) -> Any:
    s = sigmoid(x)
    return s * (1 + x * sigmoid(-x))


# ---------------------------------------------------------------- cross-entropy of one probability


def _only_where(weight: Any, x: Any) -> Any:
    """x where it counts, and 1 where its weight is 0: 0 · log 0 is 0, and so is its slope."""
    return where(equal(weight, 0), 1.0, x)


# σ(z) − y, the slope of the cross-entropy, computed so that nothing cancels where σ(z) rounds to 0 or 1
sigmoid_error = pointwise("sigmoid_error", special.sigmoid_error, lambda g, _y, z, _t: g * (sigmoid(z) * sigmoid(-z)),
                          lambda g, _y, _z, _t: -g, symbol="σ({0}) − {1}")
# −[y log p + (1−y) log(1−p)], and the same of p = σ(z)
binary_cross_entropy = pointwise(
    "binary_cross_entropy", special.cross_entropy,
    lambda g, _y, p, y: g * ((1 - y) / _only_where(1 - y, 1 - p) - y / _only_where(y, p)),
    lambda g, _y, p, _t: g * (log(1 - p) - log(p)),
)
binary_cross_entropy_with_logits = pointwise(
    "binary_cross_entropy_with_logits", special.cross_entropy_logits,
    lambda g, _y, z, y: g * sigmoid_error(z, y),
    lambda g, _y, z, _t: -g * z,
)

# ---------------------------------------------------------------- the error function and gelu

_SQRT_HALF, _TWO_OVER_ROOT_PI, _ROOT_TWO_PI = math.sqrt(0.5), 2 / math.sqrt(math.pi), math.sqrt(2 * math.pi)
_GELU_SCALE, _GELU_CUBE = special.GELU_SCALE, special.GELU_CUBE  # u = scale · (x + cube · x³)

erf = pointwise("erf", special.erf, lambda g, _y, x: g * (_TWO_OVER_ROOT_PI * exp(-x * x)), scalar=math.erf,
                blocked=True)
normal_cdf = pointwise("normal_cdf", lambda x: 0.5 * special.erfc(-x * _SQRT_HALF),
                       lambda g, _y, x: g * (exp(-0.5 * x * x) / _ROOT_TWO_PI), symbol="Φ({0})", blocked=True)
gelu = pointwise("gelu", lambda x: x * (0.5 * special.erfc(-x * _SQRT_HALF)),
                 lambda g, _y, x: g * (normal_cdf(x) + x * (exp(-0.5 * x * x) / _ROOT_TWO_PI)), blocked=True)


def _gelu_tanh_curve(g: Any, _y: Any, x: Any) -> Any:
    """With t = 2u, v = t', s = σ(t), q = σ(−t): the derivative of s (1 + x v q), where s' = s q v and q' = −s q v."""
    x = clip(x, -25.0, 25.0)
    s2 = x * x
    t = 2 * _GELU_SCALE * x * (1 + _GELU_CUBE * s2)
    v = 2 * _GELU_SCALE * (1 + 3 * _GELU_CUBE * s2)
    s, q = sigmoid(t), sigmoid(-t)
    return g * (s * q * (v * (2 + x * v * (q - s)) + (12 * _GELU_SCALE * _GELU_CUBE) * s2))


gelu_tanh_slope = pointwise("gelu_tanh_slope", special.gelu_tanh_slope, _gelu_tanh_curve, symbol="gelu′({0})",
                            blocked=True)
gelu_tanh = pointwise("gelu_tanh", special.gelu_tanh, lambda g, _y, x: g * gelu_tanh_slope(x), blocked=True)
