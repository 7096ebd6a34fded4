"""The functions people call, with NumPy's names, arguments and results.

Each one brings its arguments into the one form the primitives know, and calls them; what can be composed is composed.
On Tensors the call is recorded; on plain arrays it computes, and gives a plain array. At the end the functions are
made Tensor's operators and methods, and NumPy's own functions (`np.exp(t)`, `np.dot(w.T, X) + b`) are led here through
NumPy's protocols (NEP 13 and NEP 18).
"""

from __future__ import annotations

import builtins
import difflib
import functools
import inspect
import itertools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.exceptions import AxisError

from .errors import DTypeError, InPlaceError, ShapeError, ShapeWarning, UnsupportedError, name_of, variable_names
from .modes import strict
from .operators import infix, prefix
from .rules import indexing, pointwise, products, reductions, shapes
from .tensor import Primitive, Tensor, constant, leaf

Axis = int | Sequence[int] | None


def operand(x: Any, where: str = "operand") -> Any:
    """A Tensor as it is; anything else as a constant of real numbers. Lists of Tensors are joined."""
    if type(x) is Tensor:
        return x
    if isinstance(x, (list, tuple)) and _holds_tensor(x):
        return stack([operand(item, where) for item in x])
    return constant(x, where)


def _holds_tensor(items: Any) -> bool:
    return builtins.any(type(x) is Tensor or (isinstance(x, (list, tuple)) and _holds_tensor(x)) for x in items)


def _array(x: Any, where: str = "operand") -> Any:
    """An operand with shape and dtype: Python numbers become arrays."""
    x = operand(x, where)
    return x if hasattr(x, "shape") else np.asarray(x)[()]


def _floating(x: Any, where: str) -> Any:
    if type(x) is Tensor:
        return x
    x = _array(x, where)
    return x if x.dtype.kind in "fc" else x.astype(np.float64)


def value_of(x: Any) -> Any:
    """The plain array behind an operand, for functions without derivatives."""
    if type(x) is Tensor:
        return x.value
    if isinstance(x, (list, tuple)):
        return type(x)(value_of(item) for item in x)
    return x


# ---------------------------------------------------------------- entrywise functions

_DOC = """{summary}

    Any shape, entry by entry; the result has x's shape and dtype. Derivative: {slope}.

    >>> import tinygrad_edu as tg
    >>> tg.check_gradients(tg.{name}, {point}).ok
    True
    """


def _unary(name: str, op: Primitive, slope: str, point: float = 0.5, summary: str = "", floating: bool = False) -> Any:
    record = prefix(op)

    def function(x: Any) -> Any:
        if type(x) is Tensor:
            return record(x)
        x = operand(x, name)
        return op(x if type(x) is Tensor else _floating(x, name) if floating else x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = _DOC.format(summary=summary or f"NumPy's {name}.", slope=slope, name=name, point=point)
    return function


absolute = _unary("absolute", pointwise.absolute, "sign(x), 0 at 0")
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
degrees = rad2deg = _unary("degrees", pointwise.degrees, "180/π")
radians = deg2rad = _unary("radians", pointwise.radians, "π/180")
sinc = _unary("sinc", pointwise.sinc, "(cos πx − sinc x)/x, 0 at 0")
sign = _unary("sign", pointwise.sign, "0")
floor = _unary("floor", pointwise.floor, "0")
ceil = _unary("ceil", pointwise.ceil, "0", 0.4)
trunc = _unary("trunc", pointwise.trunc, "0")
rint = _unary("rint", pointwise.rint, "0", 0.3)
erf = _unary("erf", pointwise.erf, "2/√π exp(−x²)", summary="The error function 2/√π ∫₀ˣ exp(−t²) dt.", floating=True)
sigmoid = _unary("sigmoid", pointwise.sigmoid, "σ(1−σ)", summary="σ(x) = 1/(1+exp(−x)), without overflow for any x.",
                 floating=True)
log_sigmoid = _unary("log_sigmoid", pointwise.log_sigmoid, "σ(−x)", summary="log σ(x), exact also where σ(x) rounds to "
                     "0 or 1.", floating=True)
silu = _unary("silu", pointwise.silu, "σ(x)(1 + x σ(−x))", summary="x σ(x), also called swish.", floating=True)
real = conj = _unary("real", pointwise.identity, "1")


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
divide = true_divide = _binary("divide", pointwise.divide, "Derivatives 1/b and −a/b².")
floor_divide = _binary("floor_divide", pointwise.floor_divide, "Derivatives 0.")
remainder = mod = _binary("remainder", pointwise.remainder, "Derivatives 1 and −⌊a/b⌋.")
fmod = _binary("fmod", pointwise.fmod, "Derivatives 1 and −trunc(a/b).")
float_power = _binary("float_power", pointwise.power, "Derivatives b a^(b−1) and a^b ln a.")
arctan2 = _binary("arctan2", pointwise.arctan2, "Derivatives b/(a²+b²) and −a/(a²+b²).")
hypot = _binary("hypot", pointwise.hypot, "Derivatives a/√(a²+b²) and b/√(a²+b²), 0 at the origin.")
maximum = _binary("maximum", pointwise.maximum, "A tie shares the gradient, ½ each.")
minimum = _binary("minimum", pointwise.minimum, "A tie shares the gradient, ½ each.")
fmax = _binary("fmax", pointwise.fmax, "As maximum, but a nan loses.")
fmin = _binary("fmin", pointwise.fmin, "As minimum, but a nan loses.")
logaddexp = _binary("logaddexp", pointwise.logaddexp, "Derivatives σ(a−b) and σ(b−a).")
logaddexp2 = _binary("logaddexp2", pointwise.logaddexp2, "Derivatives as of logaddexp, base 2.")
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
        return _power(a, operand(b, "power"))
    if type(b) is Tensor:
        return _power_swapped(b, operand(a, "power"))
    return pointwise.power(operand(a, "power"), operand(b, "power"))


def _swapped_power(a: Any, b: Any) -> Any:
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


# ---------------------------------------------------------------- activations


def relu(x: Any, grad_at_zero: float = 0.0) -> Any:
    """max(0, x). Derivative 1 for x > 0, 0 for x < 0; at the kink `grad_at_zero`, 0 unless you choose.

    >>> import tinygrad_edu as tg
    >>> tg.grad(lambda x: tg.relu(x).sum())([-1.0, 0.0, 2.0])
    array([0., 0., 1.])
    """
    x = operand(x, "relu")
    if grad_at_zero:
        return pointwise.relu(x, grad_at_zero=float(grad_at_zero))
    return _record_relu(x) if type(x) is Tensor else pointwise.relu(x)


_record_relu = prefix(pointwise.relu)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """x for x > 0, negative_slope·x otherwise; at 0 the derivative is the slope.

    >>> import tinygrad_edu as tg
    >>> tg.leaky_relu(tg.Tensor([-2.0, 3.0]))
    Tensor([-0.02,  3.  ])
    """
    return pointwise.leaky_relu(_floating(x, "leaky_relu"), slope=negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x for x > 0, alpha (exp(x) − 1) otherwise (Clevert et al. 2015).

    >>> import tinygrad_edu as tg
    >>> tg.check_gradients(tg.elu, -0.5).ok
    True
    """
    return pointwise.elu(_floating(x, "elu"), alpha=alpha)


def softplus(x: Any, beta: float = 1.0) -> Any:
    """log(1 + exp(beta x)) / beta, without overflow. Derivative σ(beta x).

    >>> import tinygrad_edu as tg
    >>> float(tg.softplus(1000.0))
    1000.0
    """
    return pointwise.softplus(_floating(x, "softplus"), **({"beta": float(beta)} if beta != 1 else {}))


def gelu(x: Any, approximate: str = "none") -> Any:
    """x Φ(x), with Φ the normal distribution function; "tanh" takes the approximation of Hendrycks and Gimpel (2016).

    >>> import tinygrad_edu as tg
    >>> tg.check_gradients(tg.gelu, 0.7).ok
    True
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: approximate={approximate!r}: write approximate="none" or approximate="tanh".')
    return (pointwise.gelu_tanh if approximate == "tanh" else pointwise.gelu)(_floating(x, "gelu"))


def softmax(x: Any, axis: Axis = -1) -> Any:
    """exp(x_i) / Σ_j exp(x_j) along the axis, without overflow. ∂s_i/∂x_j = s_i (δ_ij − s_j).

    >>> import tinygrad_edu as tg
    >>> tg.softmax([1000.0, 1000.0])
    array([0.5, 0.5])
    """
    x = _floating(x, "softmax")
    return reductions.softmax(x, axis=_axes(x, axis, "softmax") if axis is not None else None)


def log_softmax(x: Any, axis: Axis = -1) -> Any:
    """log softmax(x) along the axis, exact also where softmax rounds to 0.

    >>> import tinygrad_edu as tg
    >>> tg.log_softmax([0.0, 1000.0])
    array([-1000.,     0.])
    """
    x = _floating(x, "log_softmax")
    return reductions.log_softmax(x, axis=_axes(x, axis, "log_softmax") if axis is not None else None)


# ---------------------------------------------------------------- reductions


def _axes(x: Any, axis: Axis, where: str) -> tuple[int, ...] | None:
    """Axes as a sorted tuple of non-negative integers; None stays None."""
    if axis is None:
        return None
    if type(axis) is int and -x.ndim <= axis < x.ndim:
        return (axis % x.ndim,)
    given = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    out = []
    for i in given:
        i = int(i)
        if not -x.ndim <= i < x.ndim:
            raise AxisError(f"{where}: axis {i} is out of bounds for shape {tuple(x.shape)}. "
                            f"Axes run from {-x.ndim} to {x.ndim - 1}." if x.ndim else
                            f"{where}: axis {i} given, but a single number has no axes.")
        out.append(i % x.ndim)
    if len(set(out)) < len(out):
        raise ValueError(f"{where}: axis {tuple(given)} names an axis twice. Name each once.")
    return tuple(sorted(out))


def _one_axis(x: Any, axis: int, where: str) -> int:
    axes = _axes(x, axis, where)
    assert axes is not None
    return axes[0]


_REDUCTION_DOC = """{summary} along an axis, several, or all (None).

    axis : int, negative int, tuple or None; keepdims : leave reduced axes with size 1. {slope}

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([[1.0, 2.0], [3.0, 5.0]])
    >>> tg.{name}(x, axis=1).shape, tg.{name}(x, axis=0, keepdims=True).shape
    ((2,), (1, 2))
    """


def _truth(keepdims: Any, where: str) -> None:
    if not isinstance(keepdims, (bool, np.bool_)):
        raise TypeError(f"{where}: keepdims={keepdims!r}: write keepdims=True or keepdims=False; for the dtype use .astype.")


def _reduction(name: str, op: Primitive, summary: str, slope: str = "") -> Any:
    def function(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        if type(x) is not Tensor:
            x = _array(x, name)
        if axis is None and keepdims is False:
            return op(x)
        _truth(keepdims, name)
        params: dict[str, Any] = {} if axis is None else {"axis": _axes(x, axis, name)}
        if keepdims:
            params["keepdims"] = True
        return op(x, **params)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = _REDUCTION_DOC.format(summary=summary, slope=slope, name=name)
    return function


sum = _reduction("sum", reductions.sum_, "The sum", "Every summand gets the gradient of its sum.")
mean = _reduction("mean", reductions.mean, "The mean of n entries", "Every entry gets 1/n of the gradient.")
max = amax = _reduction("max", reductions.max_, "The largest entry", "Ties share the gradient equally.")
min = amin = _reduction("min", reductions.min_, "The smallest entry", "Ties share the gradient equally.")
prod = _reduction("prod", reductions.prod, "The product", "The derivative is the product of the others, exact at zeros.")
any = _reduction("any", reductions.any_, "Whether any entry is true,", "No derivative.")
all = _reduction("all", reductions.all_, "Whether all entries are true,", "No derivative.")
_logsumexp = _reduction("logsumexp", reductions.logsumexp, "log Σ exp(x)")


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """log Σ exp(x) along an axis, several, or all (None), without overflow. Its derivative is the softmax.

    >>> import tinygrad_edu as tg
    >>> print(tg.logsumexp([1000.0, 1000.0]))
    1000.6931471805599
    """
    return _logsumexp(_floating(x, "logsumexp"), axis, keepdims)


def _moment(name: str, op: Primitive, summary: str) -> Any:
    def function(x: Any, axis: Axis = None, ddof: float = 0, keepdims: bool = False, correction: float | None = None
                 ) -> Any:
        x = _array(x, name)
        _truth(keepdims, name)
        ddof = ddof if correction is None else correction
        params: dict[str, Any] = {} if axis is None else {"axis": _axes(x, axis, name)}
        if keepdims:
            params["keepdims"] = True
        if ddof:
            params["ddof"] = ddof
        return op(x, **params)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{summary} along an axis, several, or all (None), divided by n − ddof (NumPy's ddof=0).

    >>> import tinygrad_edu as tg
    >>> tg.check_gradients(tg.{name}, [1.0, 2.0, 4.0]).ok
    True
    """
    return function


var = _moment("var", reductions.var, "The variance")
std = _moment("std", reductions.std, "The standard deviation (derivative 0 where all entries are equal)")


def _arg(name: str, op: Primitive, which: str) -> Any:
    def function(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
        x = _array(x, name)
        return op(x, **({} if axis is None else {"axis": _one_axis(x, axis, name)}), **({"keepdims": True} if keepdims else {}))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The index of the {which} entry (the first of several): a plain integer or array of them.

    >>> import tinygrad_edu as tg
    >>> int(tg.{name}(tg.Tensor([2.0, 2.0])))
    0
    """
    return function


argmax = _arg("argmax", reductions.argmax, "largest")
argmin = _arg("argmin", reductions.argmin, "smallest")


def _running(name: str, op: Primitive, summary: str) -> Any:
    def function(x: Any, axis: int | None = None) -> Any:
        x = _array(x, name)
        if axis is None:
            return op(ravel(x))
        i = _one_axis(x, axis, name)
        return op(x) if i == x.ndim - 1 else moveaxis(op(moveaxis(x, i, -1)), -1, i)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The running {summary} along an axis; None flattens first. The result has x's shape.

    >>> import tinygrad_edu as tg
    >>> tg.check_gradients(tg.{name}, [1.0, 3.0, 2.0]).ok
    True
    """
    return function


cumsum = _running("cumsum", reductions.cumsum, "sum")
cumprod = _running("cumprod", reductions.cumprod, "product, exact at zeros,")
cummax = _running("cummax", reductions.cummax, "maximum")
cummin = _running("cummin", reductions.cummin, "minimum")
logcumsumexp = _running("logcumsumexp", reductions.logcumsumexp, "log Σ exp")


def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Largest minus smallest entry along an axis, several, or all (None).

    >>> import tinygrad_edu as tg
    >>> tg.ptp(tg.Tensor([1.0, 4.0]))
    Tensor(3.0)
    """
    return max(x, axis, keepdims) - min(x, axis, keepdims)


def average(x: Any, axis: int | None = None, weights: Any = None, keepdims: bool = False) -> Any:
    """The weighted mean Σ w x / Σ w; weights have x's shape, or one entry for each place along the axis.

    >>> import tinygrad_edu as tg
    >>> tg.average(tg.Tensor([1.0, 4.0]), weights=[1, 2])
    Tensor(3.0)
    """
    x = _array(x, "average")
    if weights is None:
        return mean(x, axis, keepdims)
    w = _array(weights, "average")
    if w.shape != x.shape:
        if axis is None or w.ndim != 1 or w.shape[0] != x.shape[axis]:
            raise ShapeError(f"average: weights of shape {tuple(w.shape)} for data of shape {tuple(x.shape)}. Give the "
                             "data's shape, or one weight for each place along the axis.")
        w = reshape(w, tuple(x.shape[axis] if i == axis % x.ndim else 1 for i in range(x.ndim)))
    return sum(x * w, axis, keepdims) / sum(w + 0 * value_of(x), axis, keepdims)


def squared_norm(x: Any) -> Any:
    """‖x‖² = Σ x², the sum of the squares of all entries: the penalty of L2 regularisation. Derivative 2x.

    >>> import tinygrad_edu as tg
    >>> tg.grad(tg.squared_norm)([3.0, 4.0])
    array([6., 8.])
    """
    return reductions.squared_norm(_floating(x, "squared_norm"))


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of a diagonal of the matrix, or of each matrix in a stack.

    >>> import tinygrad_edu as tg
    >>> tg.trace(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor(5.0)
    """
    return sum(diagonal(x, offset, axis1, axis2), -1)


# ---------------------------------------------------------------- shapes


def _shape_given(parts: tuple[Any, ...]) -> Any:
    """reshape(2, 3) or reshape((2, 3))."""
    return parts[0] if len(parts) == 1 else parts


def reshape(x: Any, *shape: Any, order: str = "C") -> Any:
    """The same entries in another shape, as reshape(x, (2, 3)); one size may be −1.

    >>> import tinygrad_edu as tg
    >>> tg.reshape(tg.Tensor([1.0, 2.0, 3.0]), (3, 1)).shape
    (3, 1)
    """
    x = _array(x, "reshape")
    if order != "C":
        raise UnsupportedError(f"reshape: order={order!r} is not recorded. Use transpose before and after, or order='C'.")
    wanted = _shape_given(shape)
    wanted = (int(wanted),) if isinstance(wanted, (int, np.integer)) else tuple(int(n) for n in wanted)
    sizes = [n for n in wanted if n != -1]
    known = math.prod(sizes)
    if len(wanted) - len(sizes) > 1 or known < 0:
        raise ShapeError(f"reshape: {wanted}: at most one size may be -1, the others count entries.")
    if len(sizes) < len(wanted):
        if not known or x.size % known:
            raise ShapeError(f"reshape: {x.size} entries of shape {tuple(x.shape)} do not fill {wanted}: the sizes "
                             f"given make {known}.")
        wanted = tuple(x.size // known if n == -1 else n for n in wanted)
    elif known != x.size:
        raise ShapeError(f"reshape: {tuple(x.shape)} has {x.size} entries, {wanted} has {known}. "
                         "Let one size be -1 to have it worked out.")
    return x if wanted == tuple(x.shape) else shapes.reshape(x, shape=wanted)


def ravel(x: Any, order: str = "C") -> Any:
    """All entries in one axis, row by row (order "C", the only one recorded).

    >>> import tinygrad_edu as tg
    >>> tg.ravel(tg.Tensor([[1.0, 2.0]])).shape
    (2,)
    """
    return reshape(x, (-1,), order=order) if _array(x).size else reshape(x, (0,))


def transpose(x: Any, *axes: Any) -> Any:
    """The axes in another order: reversed by default, or as given, `transpose(x, (1, 0, 2))`.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.transpose(np.ones((2, 3))).shape
    (3, 2)
    """
    x = _array(x, "transpose")
    order = axes if len(axes) > 1 or (axes and isinstance(axes[0], (int, np.integer))) else axes[0] if axes else None
    if order is None or x.ndim < 2:
        return x if x.ndim < 2 else shapes.transpose(x)
    wanted = tuple(_one_axis(x, i, "transpose") for i in order)
    if len(wanted) != x.ndim or len(set(wanted)) < x.ndim:
        raise ShapeError(f"transpose: axes {tuple(order)} for shape {tuple(x.shape)}: name each of the {x.ndim} axes once.")
    return shapes.transpose(x, **({} if wanted == tuple(reversed(range(x.ndim))) else {"axes": wanted}))


permute_dims = transpose


def matrix_transpose(x: Any) -> Any:
    """Swap the last two axes.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.matrix_transpose(np.ones((5, 2, 3))).shape
    (5, 3, 2)
    """
    x = _array(x, "matrix_transpose")
    if x.ndim < 2:
        raise ShapeError(f"matrix_transpose: shape {tuple(x.shape)} has no two axes. Use .reshape(-1, 1) for a column.")
    return swapaxes(x, -1, -2)


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Exchange two axes.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.swapaxes(np.ones((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    x = _array(x, "swapaxes")
    i, j = _one_axis(x, axis1, "swapaxes"), _one_axis(x, axis2, "swapaxes")
    order = list(range(x.ndim))
    order[i], order[j] = j, i
    return transpose(x, order)


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Move axes to new places; the others keep their order.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.moveaxis(np.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    x = _array(x, "moveaxis")
    start, end = (
        [_one_axis(x, int(i), "moveaxis") for i in ([given] if isinstance(given, (int, np.integer)) else given)]
        for given in (source, destination)
    )
    if len(start) != len(end):
        raise ValueError(f"moveaxis: {len(start)} axes to move, {len(end)} places given. Give as many of each.")
    order = [i for i in range(x.ndim) if i not in start]
    for place, i in sorted(zip(end, start, strict=True)):
        order.insert(place, i)
    return transpose(x, order)


def rollaxis(x: Any, axis: int, start: int = 0) -> Any:
    """Move an axis back until it stands before position `start` (prefer moveaxis).

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.rollaxis(np.ones((2, 3, 4)), 2).shape
    (4, 2, 3)
    """
    x = _array(x, "rollaxis")
    axis = _one_axis(x, axis, "rollaxis")
    start = start + x.ndim if start < 0 else start
    return moveaxis(x, axis, start - 1 if axis < start else start)


def squeeze(x: Any, axis: Axis = None) -> Any:
    """Drop axes of size 1.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.squeeze(np.ones((1, 3, 1))).shape
    (3,)
    """
    x = _array(x, "squeeze")
    axes = _axes(x, axis, "squeeze")
    drop = tuple(i for i, n in enumerate(x.shape) if n == 1) if axes is None else axes
    if builtins.any(x.shape[i] != 1 for i in drop):
        raise ShapeError(f"squeeze: axis {axis} of shape {tuple(x.shape)} has a size other than 1.")
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in drop))


def _new_axes(axes: Sequence[int], ndim: int, where: str) -> tuple[int, ...]:
    """Places of new axes in a result with ndim axes."""
    for i in axes:
        if not -ndim <= i < ndim:
            raise AxisError(f"{where}: axis {i} is out of bounds for a result with {ndim} axes. Axes run from {-ndim} to "
                            f"{ndim - 1}.")
    return _axes(np.empty((0,) * ndim), axes, where) or ()


def expand_dims(x: Any, axis: Axis) -> Any:
    """Insert axes of size 1 at the given places of the result.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.expand_dims(np.ones(3), 1).shape
    (3, 1)
    """
    x = _array(x, "expand_dims")
    given = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis or ())
    ndim = x.ndim + len(given)
    places = _new_axes(given, ndim, "expand_dims")
    sizes = iter(x.shape)
    return reshape(x, tuple(1 if i in places else next(sizes) for i in range(ndim)))


def _at_least(ndim: int, name: str) -> Any:
    def one(x: Any) -> Any:
        x = _array(x, name)
        if x.ndim >= ndim:
            return x
        if x.ndim == 0:
            return reshape(x, (1,) * ndim)
        if ndim == 2:
            return reshape(x, (1, *x.shape))
        return reshape(x, (1, x.shape[0], 1) if x.ndim == 1 else (*x.shape, 1))

    def function(*xs: Any) -> Any:
        return one(xs[0]) if len(xs) == 1 else tuple(one(x) for x in xs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""View as an array with at least {ndim} axes; several arguments give a tuple.

    >>> import tinygrad_edu as tg
    >>> tg.{name}(tg.Tensor(3.0)).ndim
    {ndim}
    """
    return function


atleast_1d, atleast_2d, atleast_3d = (_at_least(n, f"atleast_{n}d") for n in (1, 2, 3))


def broadcast_to(x: Any, shape: Any) -> Any:
    """Repeat along axes of size 1 and new leading axes until the shape is reached. Gradients are summed back.

    >>> import tinygrad_edu as tg
    >>> tg.broadcast_to(tg.Tensor([1.0, 2.0]), (3, 2)).shape
    (3, 2)
    """
    x = _array(x, "broadcast_to")
    wanted = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(n) for n in shape)
    if x.ndim > len(wanted) or builtins.any(
        n not in (1, m) for n, m in zip(reversed(x.shape), reversed(wanted), strict=False)
    ):
        raise ShapeError(f"broadcast_to: shape {tuple(x.shape)} does not broadcast to {wanted}: aligned from the right, "
                         "each size must be equal or 1.")
    return x if tuple(x.shape) == wanted else shapes.broadcast_to(x, shape=wanted)


def broadcast_arrays(*xs: Any) -> Any:
    """All operands broadcast to their common shape.

    >>> import tinygrad_edu as tg
    >>> [x.shape for x in tg.broadcast_arrays(tg.Tensor(1.0), [1.0, 2.0])]
    [(2,), (2,)]
    """
    arrays = [_array(x, "broadcast_arrays") for x in xs]
    shape = np.broadcast_shapes(*[x.shape for x in arrays])
    return tuple(broadcast_to(x, shape) for x in arrays)


def flip(x: Any, axis: Axis = None) -> Any:
    """Reverse the order of entries along an axis, several, or all (None).

    >>> import tinygrad_edu as tg
    >>> tg.flip(tg.Tensor([1.0, 2.0]))
    Tensor([2., 1.])
    """
    x = _array(x, "flip")
    axes = _axes(x, axis, "flip")
    return shapes.flip(x, axis=tuple(range(x.ndim)) if axes is None else axes)


def flipud(x: Any) -> Any:
    """Reverse the rows.

    >>> import tinygrad_edu as tg
    >>> tg.flipud(tg.Tensor([[1.0], [2.0]])).numpy().tolist()
    [[2.0], [1.0]]
    """
    return flip(x, 0)


def fliplr(x: Any) -> Any:
    """Reverse the columns.

    >>> import tinygrad_edu as tg
    >>> tg.fliplr(tg.Tensor([[1.0, 2.0]])).numpy().tolist()
    [[2.0, 1.0]]
    """
    return flip(x, 1)


def rot90(x: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """Turn by k quarter turns in the plane of two axes, from the first towards the second.

    >>> import tinygrad_edu as tg
    >>> tg.rot90(tg.Tensor([[1.0, 2.0], [3.0, 4.0]])).numpy().tolist()
    [[2.0, 4.0], [1.0, 3.0]]
    """
    x = _array(x, "rot90")
    i, j = axes
    k %= 4
    if k == 0:
        return x
    if k == 2:
        return flip(x, (i, j))
    return swapaxes(flip(x, j), i, j) if k == 1 else flip(swapaxes(x, i, j), j)


def roll(x: Any, shift: Any, axis: Axis = None) -> Any:
    """Shift entries along axes; what leaves at the end comes in at the front. None rolls the flattened array.

    >>> import tinygrad_edu as tg
    >>> tg.roll(tg.Tensor([1.0, 2.0, 3.0]), 1)
    Tensor([3., 1., 2.])
    """
    x = _array(x, "roll")
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    moves = (shift,) * len(axes) if isinstance(shift, (int, np.integer)) else tuple(shift)
    if len(axes) == 1:
        axes = axes * len(moves)
    return shapes.roll(x, shift=tuple(int(s) for s in moves), axis=tuple(_one_axis(x, i, "roll") for i in axes))


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each entry (or slice along the axis) several times in a row.

    >>> import tinygrad_edu as tg
    >>> tg.repeat(tg.Tensor([1.0, 2.0]), 2)
    Tensor([1., 1., 2., 2.])
    """
    x = _array(x, "repeat")
    if axis is None:
        x, axis = ravel(x), 0
    i = _one_axis(x, axis, "repeat")
    return take(x, np.repeat(np.arange(x.shape[i]), value_of(repeats)), i)


def tile(x: Any, reps: Any) -> Any:
    """The whole array side by side, reps times along each axis.

    >>> import tinygrad_edu as tg
    >>> tg.tile(tg.Tensor([1.0, 2.0]), 2)
    Tensor([1., 2., 1., 2.])
    """
    x = _array(x, "tile")
    times = (int(reps),) if isinstance(reps, (int, np.integer)) else tuple(int(r) for r in reps)
    ndim = builtins.max(x.ndim, len(times))
    times = (1,) * (ndim - len(times)) + times
    sizes = (1,) * (ndim - x.ndim) + tuple(x.shape)
    apart = reshape(x, tuple(k for n in sizes for k in (1, n)))
    apart = broadcast_to(apart, tuple(k for r, n in zip(times, sizes, strict=True) for k in (r, n)))
    return reshape(apart, tuple(r * n for r, n in zip(times, sizes, strict=True)))


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Any:
    """Grow at the edges, pad_width = (before, after) for each axis; mode constant, edge, reflect, symmetric or wrap.

    >>> import tinygrad_edu as tg
    >>> tg.pad(tg.Tensor([1.0, 2.0]), 1, mode="edge")
    Tensor([1., 1., 2., 2.])
    """
    x = _array(x, "pad")
    width = tuple((int(a), int(b)) for a, b in np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)))
    if mode == "constant":
        y = shapes.pad(x, width=width)
        if isinstance(constant_values, (int, float)):
            if not constant_values:
                return y
            inside = tuple(slice(a, a + n) for (a, _), n in zip(width, x.shape, strict=True))
            border = np.full(y.shape, constant_values, x.dtype)
            border[inside] = 0
            return y + border
        raise UnsupportedError("pad: constant_values must be one number. Use concatenate for different borders.")
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise UnsupportedError(f"pad: mode {mode!r} is not recorded. Use constant, edge, reflect, symmetric or wrap.")
    for i, (before, after) in enumerate(width):
        if before or after:
            x = take(x, np.pad(np.arange(x.shape[i]), (before, after), mode=mode), i)  # type: ignore[call-overload]
    return x


def _joinable(xs: Any, where: str) -> list[Any]:
    items = [_array(x, where) for x in xs]
    if not items:
        raise ValueError(f"{where}: nothing to join. Give at least one array.")
    return items


def concatenate(xs: Any, axis: int | None = 0) -> Any:
    """Join along an existing axis; None flattens each first. Each operand gets its part of the gradient.

    >>> import tinygrad_edu as tg
    >>> tg.concatenate([tg.Tensor([1.0]), [2.0, 3.0]])
    Tensor([1., 2., 3.])
    """
    items = _joinable(xs, "concatenate")
    if axis is None:
        items, axis = [ravel(x) for x in items], 0
    if not items[0].ndim:
        raise ShapeError("concatenate: single numbers have no axis to join along. Use stack.")
    i = _one_axis(items[0], axis, "concatenate")
    for x in items[1:]:
        if x.ndim != items[0].ndim or builtins.any(
            n != m for j, (n, m) in enumerate(zip(x.shape, items[0].shape, strict=True)) if j != i
        ):
            raise ShapeError(f"concatenate: shapes {tuple(items[0].shape)} and {tuple(x.shape)} differ in more than axis "
                             f"{i}, along which they are joined.")
    return shapes.concatenate(*items, axis=i)


def stack(xs: Any, axis: int = 0) -> Any:
    """Join along a new axis; all shapes must be equal.

    >>> import tinygrad_edu as tg
    >>> tg.stack([tg.Tensor(1.0), 2.0])
    Tensor([1., 2.])
    """
    items = _joinable(xs, "stack")
    if builtins.any(x.shape != items[0].shape for x in items):
        raise ShapeError(f"stack: the shapes differ: {', '.join(str(tuple(x.shape)) for x in items)}. Use concatenate, "
                         "or bring them to one shape.")
    (i,) = _new_axes((axis,), items[0].ndim + 1, "stack")
    return shapes.stack(*items, axis=i)


def vstack(xs: Any) -> Any:
    """Join row-wise: vectors become rows.

    >>> import tinygrad_edu as tg
    >>> tg.vstack([tg.Tensor([1.0, 2.0]), [3.0, 4.0]]).shape
    (2, 2)
    """
    return concatenate([atleast_2d(x) for x in xs], 0)


def hstack(xs: Any) -> Any:
    """Join along the second axis (the first, for vectors).

    >>> import tinygrad_edu as tg
    >>> tg.hstack([tg.Tensor([1.0, 2.0]), [3.0]])
    Tensor([1., 2., 3.])
    """
    items = [atleast_1d(x) for x in xs]
    return concatenate(items, 0 if items and items[0].ndim == 1 else 1)


def dstack(xs: Any) -> Any:
    """Join along the third axis.

    >>> import tinygrad_edu as tg
    >>> tg.dstack([tg.Tensor([1.0, 2.0]), [3.0, 4.0]]).shape
    (1, 2, 2)
    """
    return concatenate([atleast_3d(x) for x in xs], 2)


def column_stack(xs: Any) -> Any:
    """Join vectors as columns.

    >>> import tinygrad_edu as tg
    >>> tg.column_stack([tg.Tensor([1.0, 2.0]), [3.0, 4.0]]).numpy().tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    items = [_array(x, "column_stack") for x in xs]
    return concatenate([reshape(x, (-1, 1)) if x.ndim < 2 else x for x in items], 1)


def append(x: Any, values: Any, axis: int | None = None) -> Any:
    """x followed by values; None flattens both.

    >>> import tinygrad_edu as tg
    >>> tg.append(tg.Tensor([1.0]), 2.0)
    Tensor([1., 2.])
    """
    return concatenate([x, values], axis)


def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut into parts: a number of nearly equal ones, or at the given places.

    >>> import tinygrad_edu as tg
    >>> [part.shape for part in tg.array_split(tg.Tensor([1.0, 2.0, 3.0]), 2)]
    [(2,), (1,)]
    """
    x = _array(x, "split")
    i = _one_axis(x, axis, "split")
    n = x.shape[i]
    if isinstance(indices_or_sections, (int, np.integer)):
        parts = int(indices_or_sections)
        if parts < 1:
            raise ValueError(f"split: {parts} parts. Ask for at least one.")
        sizes = [n // parts + (k < n % parts) for k in range(parts)]
        cuts = [0, *np.cumsum(sizes).tolist()]
    else:
        cuts = [0, *[int(c) for c in value_of(indices_or_sections)], n]
    before = (slice(None),) * i
    return [getitem(x, (*before, slice(a, b))) for a, b in itertools.pairwise(cuts)]


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut into a number of equal parts, or at the given places.

    >>> import tinygrad_edu as tg
    >>> [part.shape for part in tg.split(tg.Tensor([1.0, 2.0, 3.0]), [1])]
    [(1,), (2,)]
    """
    x = _array(x, "split")
    if isinstance(indices_or_sections, (int, np.integer)) and x.ndim:
        n = x.shape[_one_axis(x, axis, "split")]
        if indices_or_sections < 1 or n % indices_or_sections:
            raise ValueError(f"split: axis {axis} of size {n} does not divide into {indices_or_sections} equal parts. "
                             "Use array_split for nearly equal ones.")
    return array_split(x, indices_or_sections, axis)


def hsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Cut along the second axis (the first, for vectors).

    >>> import tinygrad_edu as tg
    >>> len(tg.hsplit(tg.Tensor([1.0, 2.0]), 2))
    2
    """
    return split(x, indices_or_sections, 1 if _array(x).ndim > 1 else 0)


def vsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Cut along the first axis.

    >>> import tinygrad_edu as tg
    >>> len(tg.vsplit(tg.Tensor([[1.0], [2.0]]), 2))
    2
    """
    return split(x, indices_or_sections, 0)


def meshgrid(*xs: Any, indexing: str = "xy") -> tuple[Any, ...]:
    """Coordinate tables of vectors: one array for each, all of the grid's shape.

    >>> import tinygrad_edu as tg
    >>> [grid.shape for grid in tg.meshgrid(tg.Tensor([1.0, 2.0]), [1.0, 2.0, 3.0])]
    [(3, 2), (3, 2)]
    """
    vectors = [ravel(x) for x in xs]
    if indexing not in ("xy", "ij"):
        raise ValueError(f'meshgrid: indexing={indexing!r}: write "xy" or "ij".')
    place = list(range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        place[:2] = 1, 0
    sizes = [0] * len(vectors)
    for axis, v in zip(place, vectors, strict=True):
        sizes[axis] = v.shape[0]
    return tuple(
        broadcast_to(reshape(v, tuple(v.shape[0] if i == axis else 1 for i in range(len(sizes)))), sizes)
        for axis, v in zip(place, vectors, strict=True)
    )


def _diagonal_index(rows: int, columns: int, offset: int) -> tuple[ndarray, ndarray]:
    n = builtins.max(0, builtins.min(rows + builtins.min(offset, 0), columns - builtins.max(offset, 0)))
    along = np.arange(n)
    return along - builtins.min(offset, 0), along + builtins.max(offset, 0)


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of each matrix in the plane of two axes, as a new last axis.

    >>> import tinygrad_edu as tg
    >>> tg.diagonal(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([1., 4.])
    """
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    return getitem(x, (Ellipsis, *_diagonal_index(x.shape[-2], x.shape[-1], offset)))


def diag(x: Any, k: int = 0) -> Any:
    """A matrix with the vector x on its k-th diagonal; of a matrix, its k-th diagonal.

    >>> import tinygrad_edu as tg
    >>> tg.diag(tg.Tensor([1.0, 2.0])).numpy().tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    x = _array(x, "diag")
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(f"diag: shape {tuple(x.shape)}; give a vector or a matrix. For stacks of matrices use diagonal.")
    n = x.shape[0] + builtins.abs(k)
    return indexing.scatter(x, index=_diagonal_index(n, n, k), shape=(n, n))


def _triangle(x: Any, keep: Callable[..., Any], k: int, where: str) -> Any:
    x = _array(x, where)
    if x.ndim < 2:
        raise ShapeError(f"{where}: shape {tuple(x.shape)} is no matrix. Use .reshape first.")
    return pointwise.where(keep(np.ones(x.shape[-2:], bool), k), x, 0.0)


def tril(x: Any, k: int = 0) -> Any:
    """The entries on and below the k-th diagonal, zeros elsewhere.

    >>> import tinygrad_edu as tg
    >>> tg.tril(tg.Tensor([[1.0, 2.0], [3.0, 4.0]])).numpy().tolist()
    [[1.0, 0.0], [3.0, 4.0]]
    """
    return _triangle(x, np.tril, k, "tril")


def triu(x: Any, k: int = 0) -> Any:
    """The entries on and above the k-th diagonal, zeros elsewhere.

    >>> import tinygrad_edu as tg
    >>> tg.triu(tg.Tensor([[1.0, 2.0], [3.0, 4.0]])).numpy().tolist()
    [[1.0, 2.0], [0.0, 4.0]]
    """
    return _triangle(x, np.triu, k, "triu")


def copy(x: Any) -> Any:
    """The same value as a new recorded result; the gradient passes through.

    >>> import tinygrad_edu as tg
    >>> tg.copy(tg.Tensor(2.0))
    Tensor(2.0)
    """
    return pointwise.identity(operand(x, "copy"))


def astype(x: Any, dtype: Any, copy: bool = True) -> Any:
    """Convert to another floating-point type; the gradient is converted back. Integer types give a constant.

    `copy` is NumPy's, and changes nothing for a Tensor, whose value is never changed in place.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.Tensor(2.5).astype(np.float32).dtype
    dtype('float32')
    """
    x, dtype = _array(x, "astype"), np.dtype(dtype)
    if type(x) is not Tensor:
        return x.astype(dtype)
    if dtype.kind == "f":
        return x if dtype == x.dtype else shapes.astype(x, dtype=dtype)
    if dtype.kind not in "iub":
        raise DTypeError(f"astype: dtype {dtype} cannot be differentiated. Use float64 or float32.")
    return leaf(x.value.astype(dtype), requires_grad=False, why="integer")


# ---------------------------------------------------------------- selecting


def _plain_index(index: Any) -> Any:
    """An index of plain integers, slices and private copies of index arrays."""
    if type(index) is tuple:
        return tuple(_plain_index(i) for i in index)
    if index is None or index is Ellipsis or type(index) is int:
        return index
    if isinstance(index, slice):
        return slice(*[None if i is None else int(i) for i in (index.start, index.stop, index.step)])
    if isinstance(index, np.integer):
        return int(index)
    if type(index) is bool or type(index) is np.bool_:
        return np.bool_(index)
    array = np.array(value_of(index), subok=True)  # an index that is traced stays so
    if not array.size and array.dtype.kind == "f" and not isinstance(index, ndarray):
        array = array.astype(np.intp)  # []
    if type(index) is Tensor and array.dtype.kind == "f":
        raise IndexError("index: a Tensor of floats is no index. Use .astype(int), or a comparison for a mask.")
    return array if array.ndim else array[()]


def getitem(x: Any, index: Any) -> Any:
    """x[index], for every kind of index NumPy has; entries picked twice collect both gradients.

    >>> import tinygrad_edu as tg
    >>> tg.grad(lambda x: x[[0, 0, 1]].sum())([5.0, 6.0, 7.0])
    array([2., 1., 0.])
    """
    basic = type(index) is int or indexing.is_basic(index)
    if not basic:
        index = _plain_index(index)
        basic = indexing.is_basic(index)
    try:
        return (indexing.getitem if basic else indexing.gather)(x, index=index)
    except IndexError as error:
        name = name_of(x, variable_names(), "the Tensor")
        raise IndexError(f"index: {name} has shape {tuple(x.shape)}: {str(error).strip()}.") from None


def assign(x: Any, index: Any, values: Any) -> Any:
    """A copy of x in which x[index] = values: the recorded form of item assignment.

    The gradient of what was overwritten goes to the values. An index array that names a place twice is refused,
    because which value stays would be arbitrary.

    >>> import tinygrad_edu as tg
    >>> tg.assign(tg.Tensor([1.0, 2.0]), 0, tg.Tensor(5.0))
    Tensor([5., 2.])
    """
    x, values, index = _array(x, "assign"), operand(values, "assign"), _plain_index(index)
    if type(x) is not Tensor:
        x = np.asarray(x)
        if type(values) is Tensor and x.dtype != values.dtype:
            x = x.astype(values.dtype)
    if not indexing.is_basic(index):
        places = np.arange(x.size).reshape(x.shape)[index]
        if len(np.unique(places)) < places.size:
            raise InPlaceError("assign: the index names a place twice, and which value stays would be arbitrary. "
                               "Use each place once, or add with x + ....")
    return indexing.assign(x, broadcast_to(values, np.shape(np.empty(x.shape, bool)[index])), index=index)


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The slices of x at the indices along an axis; None takes from the flattened array.

    >>> import tinygrad_edu as tg
    >>> tg.take(tg.Tensor([5.0, 6.0]), [1, 1, 0])
    Tensor([6., 6., 5.])
    """
    x = _array(x, "take")
    if axis is None:
        x, axis = ravel(x) if x.ndim != 1 else x, 0
    i = _one_axis(x, axis, "take")
    chosen = np.asanyarray(value_of(indices))
    return getitem(x, (*(slice(None),) * i, int(chosen) if not chosen.ndim else chosen))


def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Any:
    """x at the indices, matched entry by entry along one axis (as argsort and argmax with keepdims give them).

    >>> import tinygrad_edu as tg
    >>> x = tg.Tensor([[1.0, 3.0], [4.0, 2.0]])
    >>> tg.take_along_axis(x, x.argmax(axis=1, keepdims=True), axis=1).numpy().tolist()
    [[3.0], [4.0]]
    """
    x, chosen = _array(x, "take_along_axis"), np.asanyarray(value_of(indices))
    if chosen.dtype.kind not in "iu":
        raise IndexError(f"take_along_axis: indices of dtype {chosen.dtype}. Use integers.")
    if chosen.ndim != x.ndim:
        raise ShapeError(f"take_along_axis: indices of shape {chosen.shape} for data of shape {tuple(x.shape)}: they need "
                         "as many axes. Use np.expand_dims(indices, axis).")
    i = _one_axis(x, axis, "take_along_axis")
    index = [np.arange(n).reshape(tuple(n if j == k else 1 for j in range(x.ndim))) for k, n in enumerate(x.shape)]
    index[i] = chosen
    return getitem(x, tuple(index))


def argsort(x: Any, axis: int | None = -1, kind: Any = None, stable: bool | None = None) -> Any:
    """The places of the entries in increasing order: a plain integer array.

    >>> import tinygrad_edu as tg
    >>> tg.argsort(tg.Tensor([3.0, 1.0])).tolist()
    [1, 0]
    """
    x = _array(x, "argsort")
    if axis is not None:
        axis = _one_axis(x, axis, "argsort")
    return np.argsort(value_of(x), axis=axis, kind=kind, stable=stable)


def sort(x: Any, axis: int | None = -1, kind: Any = None, stable: bool | None = None) -> Any:
    """The entries in increasing order along an axis; None sorts the flattened array. Gradients go back in place.

    The order of ties is always stable; `kind` and `stable` are NumPy's, and change nothing.

    >>> import tinygrad_edu as tg
    >>> tg.sort(tg.Tensor([3.0, 1.0]))
    Tensor([1., 3.])
    """
    x = _array(x, "sort")
    if axis is None:
        x, axis = ravel(x), 0
    axis = _one_axis(x, axis, "sort")
    return take_along_axis(x, argsort(x, axis, stable=True), axis)


def sliding_window_view(x: Any, window_shape: Any, axis: Axis = None) -> Any:
    """Every window of the given size along the axes (all, by default), its entries in new last axes.

    Overlapping windows share entries, whose gradients are summed. On Tensors the result is a copy, not a view.

    >>> import tinygrad_edu as tg
    >>> tg.sliding_window_view(tg.Tensor([1.0, 2.0, 3.0]), 2).numpy().tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    x = _array(x, "sliding_window_view")
    sizes = (int(window_shape),) if isinstance(window_shape, (int, np.integer)) else tuple(map(int, window_shape))
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if len(sizes) != len(axes):
        raise ValueError(f"sliding_window_view: {len(sizes)} window sizes for {len(axes)} axes. Give one size per axis.")
    for size, i in zip(sizes, [_one_axis(x, i, "sliding_window_view") for i in axes], strict=True):
        if not 0 < size <= x.shape[i]:
            raise ShapeError(f"sliding_window_view: a window of {size} does not fit axis {i} of shape {tuple(x.shape)}.")
        places = np.arange(x.shape[i] - size + 1)[:, None] + np.arange(size)
        x = moveaxis(take(x, places, i), i + 1, -1)
    return x


# ---------------------------------------------------------------- products

_matmul, _matmul_swapped = infix(products.matmul), infix(products.matmul, swapped=True)


def matmul(a: Any, b: Any) -> Any:
    """The matrix product a @ b, in all of NumPy's cases: vectors, matrices, stacks of matrices.

    Derivatives g bᵀ and aᵀ g.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.matmul(tg.Tensor(np.ones((2, 3))), np.ones(3))
    Tensor([3., 3.])
    """
    if type(a) is Tensor:
        return _matmul(a, b if type(b) is Tensor else operand(b, "matmul"))
    if type(b) is Tensor:
        return _matmul_swapped(b, operand(a, "matmul"))
    return products.matmul(operand(a, "matmul"), operand(b, "matmul"))


def dot(a: Any, b: Any) -> Any:
    """NumPy's dot: inner product of vectors, matrix product, scaling by a number; for more axes the sum over the last
    axis of a and the last but one of b.

    >>> import numpy as np, tinygrad_edu as tg
    >>> w, X, b = tg.Tensor(np.ones((3, 1))), np.ones((3, 5)), 0.5
    >>> (np.dot(w.T, X) + b).shape
    (1, 5)
    """
    a, b = _array(a, "dot"), _array(b, "dot")
    if not a.ndim or not b.ndim:
        return multiply(a, b)
    if b.ndim <= 2:
        return matmul(a, b)
    return tensordot(a, b, ((a.ndim - 1,), (b.ndim - 2,)))


def vdot(a: Any, b: Any) -> Any:
    """The inner product of all entries.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.vdot(tg.Tensor([[1.0, 2.0]]), [[3.0, 4.0]])
    Tensor(11.0)
    """
    return matmul(ravel(a), ravel(b))


def inner(a: Any, b: Any) -> Any:
    """The sum over the last axes.

    >>> import tinygrad_edu as tg
    >>> tg.inner(tg.Tensor([1.0, 2.0]), [3.0, 4.0])
    Tensor(11.0)
    """
    a, b = _array(a, "inner"), _array(b, "inner")
    if not a.ndim or not b.ndim:
        return multiply(a, b)
    return tensordot(a, b, ((-1,), (-1,)))


def outer(a: Any, b: Any) -> Any:
    """All products of an entry of a and an entry of b, a table (size of a, size of b).

    >>> import tinygrad_edu as tg
    >>> tg.outer(tg.Tensor([1.0, 2.0]), [3.0, 4.0, 5.0]).shape
    (2, 3)
    """
    return multiply(reshape(ravel(a), (-1, 1)) if _array(a).size else reshape(a, (0, 1)), ravel(b))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """The sum over pairs of axes: an int (that many last of a and first of b), or two lists of axes.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.tensordot(tg.Tensor(np.ones((2, 3, 4))), np.ones((3, 4, 5))).shape
    (2, 5)
    """
    a, b = _array(a, "tensordot"), _array(b, "tensordot")
    if isinstance(axes, (int, np.integer)):
        left, right = list(range(a.ndim - int(axes), a.ndim)), list(range(int(axes)))
    else:
        pair = [[x] if isinstance(x, (int, np.integer)) else list(x) for x in axes]
        left = [_one_axis(a, int(i), "tensordot") for i in pair[0]]
        right = [_one_axis(b, int(i), "tensordot") for i in pair[1]]
    sizes = [a.shape[i] for i in left], [b.shape[i] for i in right]
    if sizes[0] != sizes[1]:
        raise ShapeError(f"tensordot: {tuple(a.shape)} and {tuple(b.shape)}: the summed axes {left} and {right} have sizes "
                         f"{sizes[0]} and {sizes[1]}.")
    rest_a = [i for i in range(a.ndim) if i not in left]
    rest_b = [i for i in range(b.ndim) if i not in right]
    n = math.prod(sizes[0])
    shape_a, shape_b = [a.shape[i] for i in rest_a], [b.shape[i] for i in rest_b]
    flat_a = reshape(transpose(a, rest_a + left), (math.prod(shape_a), n))
    flat_b = reshape(transpose(b, right + rest_b), (n, math.prod(shape_b)))
    return reshape(matmul(flat_a, flat_b), (*shape_a, *shape_b))


def einsum(subscripts: Any, *operands: Any) -> Any:
    """Einstein's summation: letters shared or left out of the output are summed.

    Implicit output, ellipsis, repeated letters and NumPy's form with lists of axes are understood.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.einsum("ij,jk->ik", tg.Tensor(np.ones((2, 3))), np.ones((3, 4))).shape
    (2, 4)
    """
    inputs, output, xs = _parse_einsum(subscripts, operands)
    terms = []
    for i, (letters, x) in enumerate(zip(inputs, xs, strict=True)):
        for letter in dict.fromkeys(letters):  # repeated letters: the diagonal
            while letters.count(letter) > 1:
                first = letters.index(letter)
                second = letters.index(letter, first + 1)
                if x.shape[first] != x.shape[second]:
                    raise ShapeError(f"einsum: the letter {letter} stands for sizes {x.shape[first]} and "
                                     f"{x.shape[second]} in operand {i + 1}, {tuple(x.shape)}.")
                x = diagonal(x, 0, first, second)
                letters = letters[:first] + letters[first + 1 : second] + letters[second + 1 :] + letter
        elsewhere = set(output).union(*(s for j, s in enumerate(inputs) if j != i))
        alone = tuple(j for j, letter in enumerate(letters) if letter not in elsewhere)
        if alone:  # summed here, no other operand has it
            x, letters = sum(x, alone), "".join(c for c in letters if c in elsewhere)
        terms.append((letters, x))
    sizes: dict[str, int] = {}
    for letters, x in terms:
        for letter, n in zip(letters, x.shape, strict=True):
            if n != 1 and sizes.setdefault(letter, n) != n:
                raise ShapeError(f"einsum: the letter {letter} stands for sizes {sizes[letter]} and {n}: operands "
                                 + ", ".join(f"{s} {tuple(v.shape)}" for s, v in terms) + ".")
    if len(terms) == 1:
        letters, x = terms[0]
        return transpose(x, [letters.index(c) for c in output]) if x.ndim else x
    return products.einsum(*[x for _, x in terms], inputs=tuple(s for s, _ in terms), output=output)


def _parse_einsum(subscripts: Any, operands: tuple[Any, ...]) -> tuple[list[str], str, list[Any]]:
    if not isinstance(subscripts, str):  # einsum(x, [0, 1], y, [1, 2], [0, 2])
        flat = [subscripts, *operands]
        given_output = flat.pop() if len(flat) % 2 else None
        xs = [_array(x, "einsum") for x in flat[::2]]

        def spell(axes: Any) -> str:
            return "".join("..." if i is Ellipsis else chr(97 + i) if i < 26 else chr(39 + i) for i in axes)

        text = ",".join(spell(axes) for axes in flat[1::2])
        text += "" if given_output is None else "->" + spell(given_output)
    else:
        text, xs = subscripts.replace(" ", ""), [_array(x, "einsum") for x in operands]
    left, arrow, output = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(xs):
        raise ValueError(f"einsum: '{text}' names {len(inputs)} operands, {len(xs)} are given.")
    unused = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in text]
    dots = builtins.max([x.ndim - len(s.replace("...", "")) for s, x in zip(inputs, xs, strict=True) if "..." in s],
                        default=0)
    batch = "".join(unused[:builtins.max(dots, 0)])
    spelled = []
    for s, x in zip(inputs, xs, strict=True):
        own = x.ndim - len(s.replace("...", ""))
        if own < 0 or (own and "..." not in s):
            raise ShapeError(f"einsum: '{s}' has {len(s.replace('...', ''))} letters for an operand of shape "
                             f"{tuple(x.shape)}. Give each axis a letter, or write ... for the rest.")
        spelled.append(s.replace("...", batch[len(batch) - own :]))
    if not arrow:
        letters = "".join(s for s in inputs).replace(".", "")
        output = batch + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    else:
        output = output.replace("...", batch)
    if len(set(output)) < len(output) or not set(output) <= set("".join(spelled)):
        raise ValueError(f"einsum: '{text}': each letter of the output must stand in an operand, and once in the output.")
    return spelled, output, xs


# ---------------------------------------------------------------- what NumPy's protocols reach

UFUNCS: dict[Any, Callable[..., Any]] = {}
FUNCTIONS: dict[Any, Callable[..., Any]] = {}
_REDUCE: dict[Any, Callable[..., Any]] = {
    np.add: sum, np.multiply: prod, np.maximum: max, np.minimum: min, np.logaddexp: logsumexp,
    np.logical_or: any, np.logical_and: all,
}
_ACCUMULATE: dict[Any, Callable[..., Any]] = {
    np.add: cumsum, np.multiply: cumprod, np.maximum: cummax, np.minimum: cummin, np.logaddexp: logcumsumexp,
}
# functions whose result has no derivative by nature: computed on the values
_ON_VALUES = (
    "allclose", "array_equal", "array_equiv", "argpartition", "argwhere", "count_nonzero", "digitize", "flatnonzero",
    "isclose", "isneginf", "isposinf", "iscomplexobj", "isrealobj", "isreal", "iscomplex", "nanargmax",
    "nanargmin", "ndim", "nonzero", "searchsorted", "shape", "size", "result_type", "zeros_like", "ones_like",
    "empty_like", "isin",
    "array2string", "array_repr", "array_str", "min_scalar_type", "can_cast",
)
_VALUE_UFUNCS = (np.logical_and, np.logical_or, np.logical_xor, np.logical_not, np.signbit, np.spacing, np.nextafter,
                 np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.frexp)


def _install_numpy() -> None:
    for name, function in list(globals().items()):
        if name.startswith("_") or not callable(function):
            continue
        theirs = getattr(np, name, None)
        if isinstance(theirs, np.ufunc):
            UFUNCS[theirs] = function
        elif (theirs is not None and hasattr(theirs, "__wrapped__")) or theirs in (np.where, np.concatenate, np.dot):
            FUNCTIONS[theirs] = function
    FUNCTIONS[np.around] = round
    FUNCTIONS[np.full_like] = _full_like
    FUNCTIONS[np.lib.stride_tricks.sliding_window_view] = sliding_window_view
    FUNCTIONS[np.vdot] = vdot
    FUNCTIONS[np.inner] = inner
    for name in _ON_VALUES:
        FUNCTIONS.setdefault(getattr(np, name), _on_values(getattr(np, name)))
    for ufunc in _VALUE_UFUNCS:
        UFUNCS[ufunc] = _on_values(ufunc)


def _full_like(x: Any, fill_value: Any, dtype: Any = None, shape: Any = None) -> Any:
    """NumPy's full_like; a Tensor as the fill is recorded."""
    size = value_of(x).shape if shape is None else shape
    if type(fill_value) is not Tensor:
        return np.full(size, fill_value, dtype or x.dtype)
    return broadcast_to(fill_value if dtype is None else astype(fill_value, dtype), size)


def _on_values(function: Any) -> Callable[..., Any]:
    def compute(*args: Any, **kwargs: Any) -> Any:
        return function(*[value_of(a) for a in args], **{k: value_of(v) for k, v in kwargs.items()})

    return compute


def _nearest(name: str) -> str:
    skip = {*_ON_VALUES, *(ufunc.__name__ for ufunc in _VALUE_UFUNCS)}
    known = sorted({f.__name__ for f in [*UFUNCS, *FUNCTIONS]} - skip)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.75)
    return f" Nearest that works: {', '.join('np.' + n for n in near)}." if near else ""


def _unsupported(name: str) -> UnsupportedError:
    return UnsupportedError(f"np.{name}: no derivative rule for Tensors.{_nearest(name.rpartition('.')[2])} For the "
                            f"numbers alone use np.{name}(t.numpy()).")


def _array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    if method == "__call__" and not kwargs:
        function = UFUNCS.get(ufunc)
        if function is not None:
            return function(*inputs)
    name = ufunc.__name__
    out = kwargs.pop("out", None)
    if out is not None and builtins.any(o is not None for o in out):
        raise InPlaceError(f"np.{name}: out= would write over recorded values. Write y = np.{name}(...) instead"
                           + (" (x += t with an array x does this: write x = x + t)." if name in (
                               "add", "subtract", "multiply", "divide") and type(out[0]) is ndarray
                              and builtins.any(out[0] is x for x in inputs) else "."))
    if method == "__call__":
        function = UFUNCS.get(ufunc)
        if function is None:
            raise _unsupported(name)
        _refuse_keywords(name, kwargs)
        return function(*inputs)
    if method == "at":
        raise InPlaceError(f"np.{name}.at: changes an array in place. Write x = x + tg.assign(zeros, index, values), or "
                           "pick with x[index] and add.")
    if method == "outer" and ufunc in UFUNCS and not kwargs:
        a, b = _array(inputs[0]), _array(inputs[1])
        return UFUNCS[ufunc](reshape(a, (*a.shape, *(1,) * b.ndim)), b)
    table = _REDUCE if method == "reduce" else _ACCUMULATE if method == "accumulate" else {}
    if ufunc not in table:
        raise _unsupported(f"{name}.{method}")
    axis = kwargs.pop("axis", 0)
    kept = {"keepdims": True} if kwargs.pop("keepdims", False) else {}
    _refuse_keywords(f"{name}.{method}", {k: v for k, v in kwargs.items() if v is not None and v is not np._NoValue})
    return table[ufunc](inputs[0], axis, **kept)


def _refuse_keywords(name: str, kwargs: dict[str, Any]) -> None:
    if kwargs:
        shown = ", ".join(f"{k}={v!r}" if isinstance(v, (int, float, str, type)) else f"{k}=..." for k, v in kwargs.items())
        raise UnsupportedError(f"np.{name}: {shown} cannot be recorded. Leave it out; use np.where to choose entries and "
                               ".astype for the dtype.")


def _array_function(self: Tensor, func: Any, types: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    function = FUNCTIONS.get(func)
    if function is None:
        place = func.__module__.split(".")
        raise _unsupported(f"{place[1]}.{func.__name__}" if place[1:2] in (["linalg"], ["fft"]) else func.__name__)
    kwargs = {k: v for k, v in kwargs.items() if k == "axis" or (v is not None and v is not np._NoValue)}
    name = func.__name__
    if "out" in kwargs:
        raise InPlaceError(f"np.{name}: out= would write over recorded values. Write y = np.{name}(...) instead.")
    code = function.__code__
    if code.co_flags & 0x08:  # takes any keyword
        return function(*args, **kwargs)
    known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if not code.co_flags & 0x04:  # no *args: from where NumPy's order of arguments differs, they become keywords
        theirs = _parameters(func)
        for i in range(1, builtins.min(len(args), len(theirs))):
            if theirs[i] in _LATER and known[i : i + 1] != (theirs[i],):
                named = dict(zip(theirs[i:], args[i:], strict=False))
                kwargs |= {k: v for k, v in named.items() if k == "axis" or (v is not None and v is not np._NoValue)}
                args = args[:i]
                break
        if "out" in kwargs:
            raise InPlaceError(f"np.{name}: out= would write over recorded values. Write y = np.{name}(...) instead.")
    if kwargs and not args and next(iter(kwargs)) not in known:  # np.diag(v=t): the first argument, by NumPy's name
        args = (kwargs.pop(next(iter(kwargs))),)
    if func is np.reshape and len(args) > 2:
        args, kwargs["order"] = args[:2], args[2]
    if func in _STARRED and _STARRED[func] in kwargs:
        args = (*args, kwargs.pop(_STARRED[func]))
    for keyword, harmless in _HARMLESS.items():
        if keyword not in known and keyword in kwargs and (harmless is None or kwargs[keyword] in harmless):
            del kwargs[keyword]
    _refuse_keywords(name, {k: v for k, v in kwargs.items() if k not in known})
    return function(*args, **kwargs)


@functools.cache
def _parameters(func: Any) -> tuple[str, ...]:
    """The names of a NumPy function's parameters, in order."""
    return tuple(inspect.signature(func).parameters)


# parameters that NumPy has in places where we have others, or none
_LATER = {"dtype", "out", "order", "initial", "where", "returned", "kind", "stable", "keepdims"}
_STARRED = {np.reshape: "shape", np.transpose: "axes"}  # NumPy's keyword for what comes in our *shape and *axes
_HARMLESS: dict[str, Any] = {
    "order": ("C", "K", "A"), "optimize": None, "copy": (True,), "subok": (True, False), "returned": (False,),
}


# ---------------------------------------------------------------- Tensor's operators and methods


def _T(t: Tensor) -> Tensor:  # noqa: N802 - NumPy's name
    """The transpose; of a rank-1 array, itself, with a warning (strict_shapes makes it an error)."""
    if t.value.ndim == 1:
        name = name_of(t, variable_names(), "this")
        text = (f"{name}.T: {name} has shape {t.shape}, a rank-1 array, which .T leaves as it is. Use "
                f"{name}.col() for a column ({t.size}, 1), or {name}.row() for a row (1, {t.size}).")
        if strict():
            raise ShapeError(text)
        warnings.warn(text, ShapeWarning, stacklevel=2)
        return t
    return shapes.transpose(t) if t.value.ndim else t


def _mT(t: Tensor) -> Tensor:  # noqa: N802 - NumPy's name
    """The transpose of each matrix: the last two axes exchanged."""
    return shapes.transpose(t) if t.value.ndim == 2 else matrix_transpose(t)  # type: ignore[no-any-return]


def _col(t: Tensor) -> Tensor:
    """The entries as a column, shape (n, 1)."""
    return reshape(t, (t.size, 1))  # type: ignore[no-any-return]


def _row(t: Tensor) -> Tensor:
    """The entries as a row, shape (1, n)."""
    return reshape(t, (1, t.size))  # type: ignore[no-any-return]


def _iterate(t: Tensor) -> Any:
    if not t.value.ndim:
        raise TypeError("iteration over a 0-dimensional Tensor. Use float(t) for its value.")
    return (getitem(t, i) for i in range(t.value.shape[0]))


def _setitem(t: Tensor, index: Any, values: Any) -> None:
    name = name_of(t, variable_names(), "t")
    raise InPlaceError(f"{name}[...] = ...: assignment would change a value that the graph may already use. Write "
                       f"{name} = tg.assign({name}, index, values), or choose with np.where(mask, values, {name}).")


# what other libraries call it -> what to write here
_ELSEWHERE = {
    "view": "t.reshape(...)", "unsqueeze": "t.expand_dims(axis)", "permute": "t.transpose(...)", "clone": "t.copy()",
    "clamp": "t.clip(low, high)", "norm": "np.sqrt((t**2).sum())", "t": "t.T", "dim": "t.ndim", "pow": "t**p",
    "cpu": "t, which is on the CPU", "cuda": "t: this engine works on the CPU", "double": "t.astype(np.float64)",
    "float": "t.astype(np.float32)", "cat": "np.concatenate([...])", "fill": "t.data = np.full(t.shape, value)",
    "requires_grad_": "t.requires_grad = True, or Tensor(t.data)", "data_ptr": "t.data.ctypes.data",
    "nonzero": "np.nonzero(t)", "argpartition": "np.argpartition(t, k)", "sub": "a - b", "mul": "a * b", "add": "a + b",
    "div": "a / b", "mm": "a @ b", "bmm": "a @ b", "retain_grad": "t.grad: every result keeps its gradient",
}


def _elsewhere(name: str, here: str) -> property:
    """An attribute that is not there, and says what is. (A __getattr__ would slow down every attribute of Tensor.)"""

    def refuse(t: Tensor) -> Any:
        raise AttributeError(f"Tensor has no attribute {name!r}. Write {here}.")

    return property(refuse)


def _install_methods() -> None:
    operators = {
        "add": pointwise.add, "sub": pointwise.subtract, "mul": pointwise.multiply, "truediv": pointwise.divide,
        "floordiv": pointwise.floor_divide, "mod": pointwise.remainder, "matmul": products.matmul,
    }
    for name, op in operators.items():
        setattr(Tensor, f"__{name}__", infix(op))
        setattr(Tensor, f"__r{name}__", infix(op, swapped=True))
    methods: dict[str, Any] = {
        "__pow__": power, "__rpow__": _swapped_power, "__neg__": prefix(pointwise.negative),
        "__pos__": prefix(pointwise.positive), "__abs__": absolute, "__round__": round,
        "__gt__": greater, "__ge__": greater_equal, "__lt__": less, "__le__": less_equal,
        "__eq__": equal, "__ne__": not_equal,
        "__getitem__": getitem, "__setitem__": _setitem, "__iter__": _iterate,
        "__contains__": lambda t, x: bool(np.any(t.value == value_of(x))),
        "__array_ufunc__": _array_ufunc, "__array_function__": _array_function,
        "__invert__": lambda t: ~t.value,
        "T": property(_T), "mT": property(_mT), "real": property(copy), "conjugate": copy,
        "col": _col, "row": _row, "flatten": ravel,
    }
    for name, ufunc in (("and", np.bitwise_and), ("or", np.bitwise_or), ("xor", np.bitwise_xor)):  # of truth values
        methods[f"__{name}__"] = methods[f"__r{name}__"] = _on_values(ufunc)
    own = (
        "sum mean max min prod var std any all argmax argmin cumsum cumprod ptp trace "
        "reshape ravel transpose swapaxes squeeze repeat diagonal dot astype clip round take sort argsort copy conj "
        "exp log sqrt square abs sin cos tan tanh sigmoid relu leaky_relu elu gelu silu softplus softmax log_softmax "
        "logsumexp matmul expand_dims flip roll tile broadcast_to reciprocal erf log_sigmoid"
    )
    for name in own.split():
        methods[name] = globals()[name]
    for name, here in _ELSEWHERE.items():
        setattr(Tensor, name, _elsewhere(name, here))
    for name, function in methods.items():
        setattr(Tensor, name, function)


_install_numpy()
_install_methods()
