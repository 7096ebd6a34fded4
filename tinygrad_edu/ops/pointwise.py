"""Functions entry by entry, with NumPy's names: arithmetic, exponentials, angles, comparisons, rounding, choosing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray

from ..operators import infix, prefix
from ..rules import pointwise, shapes
from ..tensor import Primitive, Tensor
from .inputs import floating, operand, value_of

_DOC = """{summary}

    Any shape, entry by entry; the result has x's shape and dtype. Derivative: {slope}.
    Raises DTypeError where x is not real numbers.

    >>> import tinygrad_edu as tg
    >>> tg.check_gradients(tg.{name}, {point}).ok
    True
    """

__all__ = [
    "abs",
    "absolute",
    "add",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "cbrt",
    "ceil",
    "clip",
    "conj",
    "copysign",
    "cos",
    "cosh",
    "deg2rad",
    "degrees",
    "divide",
    "equal",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "float_power",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "greater",
    "greater_equal",
    "heaviside",
    "hypot",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_sigmoid",
    "logaddexp",
    "logaddexp2",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "negative",
    "not_equal",
    "positive",
    "power",
    "rad2deg",
    "radians",
    "real",
    "reciprocal",
    "remainder",
    "rint",
    "round",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "true_divide",
    "trunc",
    "where",
]


def _unary(name: str, op: Primitive, slope: str, point: float = 0.5, summary: str = "", to_float: bool = False) -> Any:
    record = prefix(op)

    def function(x: Any) -> Any:
        if type(x) is Tensor and (not to_float or x.value.dtype.kind in "fc"):
            return record(x)
        x = floating(x, name) if to_float else operand(x, name)
        return op(x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = _DOC.format(summary=summary or f"NumPy's {name}.", slope=slope, name=name, point=point)
    return function


absolute = _unary("absolute", pointwise.absolute, "sign(x), 0 at 0", summary="NumPy's abs, absolute and fabs: |x|.")
abs = absolute
fabs = absolute
negative = _unary("negative", pointwise.negative, "−1")
positive = _unary("positive", pointwise.positive, "1")
reciprocal = _unary("reciprocal", pointwise.reciprocal, "−1/x²")
square = _unary("square", pointwise.square, "2x")
sqrt = _unary("sqrt", pointwise.sqrt, "1/(2√x), inf at 0")
cbrt = _unary("cbrt", pointwise.cbrt, "1/(3 x^(2/3))")
exp = _unary("exp", pointwise.exp, "exp(x)")
exp2 = _unary("exp2", pointwise.exp2, "2^x ln 2")
expm1 = _unary("expm1", pointwise.expm1, "exp(x)")
log = _unary("log", pointwise.log, "1/x")
log2 = _unary("log2", pointwise.log2, "1/(x ln 2)")
log10 = _unary("log10", pointwise.log10, "1/(x ln 10)")
log1p = _unary("log1p", pointwise.log1p, "1/(1+x)")
sin = _unary("sin", pointwise.sin, "cos x")
cos = _unary("cos", pointwise.cos, "−sin x")
tan = _unary("tan", pointwise.tan, "1 + tan² x")
arcsin = _unary("arcsin", pointwise.arcsin, "1/√(1−x²)")
arccos = _unary("arccos", pointwise.arccos, "−1/√(1−x²)")
arctan = _unary("arctan", pointwise.arctan, "1/(1+x²)")
sinh = _unary("sinh", pointwise.sinh, "cosh x")
cosh = _unary("cosh", pointwise.cosh, "sinh x")
tanh = _unary("tanh", pointwise.tanh, "1 − tanh² x")
arcsinh = _unary("arcsinh", pointwise.arcsinh, "1/√(x²+1)")
arccosh = _unary("arccosh", pointwise.arccosh, "1/√(x²−1)", 1.5)
arctanh = _unary("arctanh", pointwise.arctanh, "1/(1−x²)")
degrees = rad2deg = _unary("degrees", pointwise.degrees, "180/π", summary="NumPy's degrees and rad2deg: radians in degrees.")
radians = deg2rad = _unary("radians", pointwise.radians, "π/180", summary="NumPy's radians and deg2rad: degrees in radians.")
sinc = _unary("sinc", pointwise.sinc, "(cos πx − sinc x)/x, 0 at 0")
sign = _unary("sign", pointwise.sign, "0")
floor = _unary("floor", pointwise.floor, "0")
ceil = _unary("ceil", pointwise.ceil, "0", 0.4)
trunc = _unary("trunc", pointwise.trunc, "0")
rint = _unary("rint", pointwise.rint, "0", 0.3)
erf = _unary("erf", pointwise.erf, "2/√π exp(−x²)", summary="The error function 2/√π ∫₀ˣ exp(−t²) dt.", to_float=True)
sigmoid = _unary("sigmoid", pointwise.sigmoid, "σ(1−σ)", summary="σ(x) = 1/(1+exp(−x)), without overflow for any x.",
                 to_float=True)
log_sigmoid = _unary("log_sigmoid", pointwise.log_sigmoid, "σ(−x)", summary="log σ(x), exact also where σ(x) rounds to "
                     "0 or 1.", to_float=True)
silu = _unary("silu", pointwise.silu, "σ(x)(1 + x σ(−x))", summary="x σ(x), also called swish.", to_float=True)
real = conj = _unary("real", pointwise.identity, "1", summary="NumPy's real and conj, which leave real numbers as they are.")


def _predicate(name: str, op: Primitive) -> Any:
    def function(x: Any) -> Any:
        return op(operand(x, name))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""NumPy's {name}: a plain boolean array of x's shape, without derivative.

    >>> import tinygrad_edu as tg
    >>> bool(tg.{name}(tg.Tensor(1.0))) in (True, False)
    True
    """
    return function


isnan = _predicate("isnan", pointwise.isnan)
isinf = _predicate("isinf", pointwise.isinf)
isfinite = _predicate("isfinite", pointwise.isfinite)

_BINARY_DOC = """{summary}

    Operands broadcast; each gradient has its operand's shape and dtype. {slope}
    Raises ShapeError where shapes do not broadcast, DTypeError where operands are not real numbers.

    >>> import tinygrad_edu as tg
    >>> tg.check_gradients(tg.{name}, 2.5, 1.5).ok
    True
    """


def _binary(name: str, op: Primitive, slope: str, summary: str = "") -> Any:
    forwards, backwards = infix(op), infix(op, swapped=True)

    def function(a: Any, b: Any) -> Any:
        if type(b) is Tensor and type(a) is not Tensor:
            return backwards(b, a if type(a) is ndarray else operand(a, name))
        if type(a) is Tensor:
            return forwards(a, b if type(b) is Tensor else operand(b, name))
        return op(operand(a, name), operand(b, name))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = _BINARY_DOC.format(summary=summary or f"NumPy's {name}.", slope=slope, name=name)
    return function


add = _binary("add", pointwise.add, "Derivatives 1 and 1.")
subtract = _binary("subtract", pointwise.subtract, "Derivatives 1 and −1.")
multiply = _binary("multiply", pointwise.multiply, "Derivatives b and a.")
divide = true_divide = _binary("divide", pointwise.divide, "Derivatives 1/b and −a/b².",
                               "NumPy's divide and true_divide: a / b.")
floor_divide = _binary("floor_divide", pointwise.floor_divide, "Derivatives 0.")
remainder = mod = _binary("remainder", pointwise.remainder, "Derivatives 1 and −⌊a/b⌋.", "NumPy's remainder and mod: a % b.")
fmod = _binary("fmod", pointwise.fmod, "Derivatives 1 and −trunc(a/b).")
float_power = _binary("float_power", pointwise.power, "Derivatives b a^(b−1) and a^b ln a.")
arctan2 = _binary("arctan2", pointwise.arctan2, "Derivatives b/(a²+b²) and −a/(a²+b²).")
hypot = _binary("hypot", pointwise.hypot, "Derivatives a/√(a²+b²) and b/√(a²+b²), 0 at the origin.")
maximum = _binary("maximum", pointwise.maximum, "A tie shares the gradient, ½ each.")
minimum = _binary("minimum", pointwise.minimum, "A tie shares the gradient, ½ each.")
fmax = _binary("fmax", pointwise.fmax, "As maximum, but a nan loses.")
fmin = _binary("fmin", pointwise.fmin, "As minimum, but a nan loses.")
logaddexp = _binary("logaddexp", pointwise.logaddexp, "Derivatives σ(a−b) and σ(b−a).")
logaddexp2 = _binary("logaddexp2", pointwise.logaddexp2, "Derivatives 2^a/(2^a + 2^b) and 2^b/(2^a + 2^b).")
copysign = _binary("copysign", pointwise.copysign, "Derivatives sign(a) sign(b) and 0.")
heaviside = _binary("heaviside", pointwise.heaviside, "Derivatives 0, and 1 for the second where the first is 0.")

_power, _power_swapped = infix(pointwise.power), infix(pointwise.power, swapped=True)


def power(a: Any, b: Any) -> Any:
    """a to the power b, entry by entry, with broadcasting.

    Derivatives b a^(b−1) and a^b ln a; a⁰ has derivative 0, at a = 0 too, and so has 0^b.

    >>> import tinygrad_edu as tg
    >>> tg.grad(lambda x: x**3)(2.0)
    np.float64(12.0)
    """
    if type(a) is Tensor:
        if type(b) is int or type(b) is float:
            return pointwise.square(a) if b == 2 else pointwise.constant_power(a, exponent=b)
        b = operand(b, "power")
        if getattr(b, "dtype", a.value.dtype) != a.value.dtype:
            a, b = _of_one_precision(a, b)
        return _power(a, b)
    if type(b) is Tensor:
        a = operand(a, "power")
        if getattr(a, "dtype", b.value.dtype) != b.value.dtype:
            a, b = _of_one_precision(a, b)
        return _power_swapped(b, a)
    return pointwise.power(operand(a, "power"), operand(b, "power"))


def _of_one_precision(a: Any, b: Any) -> tuple[Any, Any]:
    """Both in the wider of two float types, which is the result's: the rules compute b − 1 and log a, and must not lose
    its digits there."""
    if a.dtype.kind != "f" or b.dtype.kind != "f":
        return a, b
    wide = np.promote_types(a.dtype, b.dtype)
    return tuple(x if x.dtype == wide else shapes.astype(x, dtype=wide) if type(x) is Tensor else x.astype(wide)
                 for x in (a, b))


def swapped_power(a: Any, b: Any) -> Any:
    return power(b, a)


def _comparison(name: str, op: Primitive, symbol: str) -> Any:
    def function(a: Any, b: Any) -> Any:
        if a is None or b is None or isinstance(a, str) or isinstance(b, str):
            return NotImplemented
        return op(operand(a, name), operand(b, name))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""a {symbol} b, entry by entry: a plain boolean array, without derivative.

    >>> import tinygrad_edu as tg
    >>> bool(tg.{name}(tg.Tensor(1.0), 1.0)) == (1.0 {symbol} 1.0)
    True
    """
    return function


greater = _comparison("greater", pointwise.greater, ">")
greater_equal = _comparison("greater_equal", pointwise.greater_equal, ">=")
less = _comparison("less", pointwise.less, "<")
less_equal = _comparison("less_equal", pointwise.less_equal, "<=")
equal = _comparison("equal", pointwise.equal, "==")
not_equal = _comparison("not_equal", pointwise.not_equal, "!=")


def round(x: Any, decimals: int = 0) -> Any:
    """Round to a number of decimals. The derivative is 0 everywhere.

    >>> import tinygrad_edu as tg
    >>> tg.round(tg.Tensor(1.26), 1)
    Tensor(1.3)
    """
    return pointwise.round_(operand(x, "round"), **({"decimals": decimals} if decimals else {}))


def where(condition: Any, a: Any = None, b: Any = None) -> Any:
    """a where the condition holds, b elsewhere; the three broadcast.

    The gradient goes to the branch that was picked. Mind that the other branch is computed too: a nan in its derivative
    stays nan (`where(x > 0, log(x), x)` at 0); `find_nan` names it.

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([-1.0, 2.0])
    >>> tg.where(x > 0, x, 0.1 * x)
    Tensor([-0.1,  2. ])
    """
    condition = value_of(condition)
    if a is None or b is None:
        return np.where(condition)
    if not getattr(condition, "is_traced", False):
        condition = np.asarray(condition, bool)[()]
    return pointwise.where(condition, operand(a, "where"), operand(b, "where"))


def clip(x: Any, min: Any = None, max: Any = None, a_min: Any = None, a_max: Any = None) -> Any:
    """x limited to [min, max]; None leaves a side open.

    The derivative is 1 inside and on the bounds. Bounds that are Tensors get the gradient of what they cut off.

    >>> import tinygrad_edu as tg
    >>> tg.grad(lambda x: tg.clip(x, 0, 1).sum())([-1.0, 0.0, 0.5, 2.0])
    array([0., 1., 1., 0.])
    """
    low, high = min if min is not None else a_min, max if max is not None else a_max
    x = operand(x, "clip")
    if type(x) is not Tensor and type(low) is not Tensor and type(high) is not Tensor:
        return np.clip(x, low, high)
    return pointwise.clip(x, -math.inf if low is None else operand(low, "clip"),
                          math.inf if high is None else operand(high, "clip"))


# what NumPy keeps elsewhere or under another name
NUMPY = {np.around: round}
