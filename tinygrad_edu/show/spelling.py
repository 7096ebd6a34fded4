"""How each primitive is written in NumPy: the table that `numpy_source` prints by.

Every entry makes the very NumPy call that the engine makes, so that the printed code gives the same numbers to the last
bit. What NumPy lacks is a small function of its own in `HELPERS`, printed once above the code that uses it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..program import Name
from . import spelling_activations, spelling_linear_algebra, spelling_selecting, spelling_windows
from .spelling_kinds import (
    AND,
    CALL,
    CHOICE,
    COMPARE,
    OR,
    POWER,
    PRODUCT,
    SIGN,
    SUM,
    Call,
    Code,
    Spelling,
    from_math,
    function,
    helper,
    index_text,
    infix,
    literal_array,
    number,
    prefix,
    settled,
)

# ---------------------------------------------------------------- entries with something to decide


def _zero(c: Call) -> str:
    dtype = np.dtype(c.line.dtype)
    return "0.0" if dtype == np.float64 else f"np.{dtype.name}(0.0)"


def _typed_number(c: Call, i: int) -> Code:
    """One of two choices, in the type of the result: a Python number, or a number of another type."""
    dtype = np.dtype(c.line.dtype)
    if isinstance(c.line.operands[i], Name):
        if c.dtypes[i] == dtype:
            return c.operands[i]
    elif dtype in (np.float64, np.bool_, np.int64):
        return c.operands[i]
    return Code(f"np.{dtype.name}({c[i]})", CALL)


def _where(c: Call) -> Code:
    if c.line.shape == ():
        typed = [_typed_number(c, i) for i in (1, 2)]
        return Code(f"{typed[0].within(COMPARE)} if {c.of(0, COMPARE)} else {typed[1].within(CHOICE)}", CHOICE)
    return Code(f"np.where({', '.join(c.all_texts())})", CALL)


def _astype(c: Call) -> Code:
    dtype = c.spell(c.params["dtype"])
    if not c.shapes[0]:  # a number, perhaps one of Python's
        return Code(f"{dtype}({c[0]})", CALL)
    return Code(f"{c.of(0, CALL)}.astype({dtype})", CALL)


def _gate(c: Call) -> Code:
    if c.shapes[1] == ():  # one condition for all of g
        shut = _zero(c) if c.line.shape == () else f"np.zeros_like({c[0]})"
        return Code(f"{c.of(0, COMPARE)} if {c.of(1, COMPARE)} else {shut}", CHOICE)
    return Code(f"np.where({c[1]}, {c[0]}, 0.0)", CALL)


def _power_of_constant(c: Call) -> Code:
    exponent = c.params["exponent"]
    if c.line.shape and exponent not in (-1, 0, 0.5, 1, 2):  # those NumPy's ** computes otherwise than np.power
        return Code(f"{c.of(0, CALL)} ** {number(exponent).within(SIGN)}", POWER)
    return Code(f"np.power({c[0]}, {number(exponent).text})", CALL)


def _square(c: Call) -> Code:
    return Code(f"{c.of(0, CALL)} ** 2", POWER) if c.line.shape else Code(f"np.square({c[0]})", CALL)


def _round(c: Call) -> Code:
    decimals = c.params.get("decimals", 0)
    return Code(f"np.round({c[0]}{f', {decimals}' if decimals else ''})", CALL)


def _relu(c: Call) -> Code:
    return Code(f"np.maximum({c[0]}, 0)", CALL)


def _softplus(c: Call) -> Code:
    beta = c.params.get("beta", 1.0)
    called = c.helper("softplus")
    if beta == 1.0:
        return Code(f"{called}({c[0]})", CALL)
    written = number(beta).within(POWER)
    return Code(f"{called}({c.of(0, PRODUCT)} * {written}) / {written}", PRODUCT)


def _matmul(c: Call) -> Code:
    if len(c.shapes[0]) == len(c.shapes[1]) == 2:
        return Code(f"np.dot({c[0]}, {c[1]})", CALL)
    return Code(f"{c.of(0, PRODUCT)} @ {c.of(1, SIGN)}", PRODUCT)


def _einsum(c: Call) -> Code:
    subscripts = ",".join(c.params["inputs"]) + "->" + c.params["output"]
    best = ", optimize=True" if len(c.operands) > 2 else ""
    return Code(f'np.einsum("{subscripts}", {", ".join(c.all_texts())}{best})', CALL)


def _joined(name: str) -> Spelling:
    return lambda c: Code(f"np.{name}([{', '.join(c.all_texts())}], axis={c.params['axis']})", CALL)


def _turned(text: str, sign: str) -> Code:
    return Code(text.removesuffix(sign) if text.endswith(sign) else f"{text}{sign}", CALL)


def _transpose(c: Call) -> Code:
    axes, ndim = c.params.get("axes"), len(c.shapes[0])
    if not ndim:
        return c.operands[0]
    if axes is None or tuple(axes) == tuple(range(ndim))[::-1]:
        return _turned(c.of(0, CALL), ".T")
    if ndim > 2 and tuple(axes) == (*range(ndim - 2), ndim - 1, ndim - 2):
        return _turned(c.of(0, CALL), ".mT")
    return Code(f"np.transpose({c[0]}, {tuple(axes)})", CALL)


def _reshape(c: Call) -> Code:
    before, after = c.shapes[0], c.line.shape
    if not after:
        return Code(f"{c.of(0, CALL)}[{', '.join('0' for _ in before)}]", CALL) if before else c.operands[0]
    if not before:
        return Code(f"np.reshape({c[0]}, {after})", CALL)
    if before == after:
        return c.operands[0]
    if len(after) == 1:
        return Code(f"{c.of(0, CALL)}.reshape(-1)", CALL) if after[0] else Code(f"{c.of(0, CALL)}.reshape(0)", CALL)
    return Code(f"{c.of(0, CALL)}.reshape({', '.join(map(str, after))})", CALL)


def _broadcast_to(c: Call) -> Code:
    shape, before = c.line.shape, c.shapes[0]
    if c.plain_broadcast or shape == before:
        return c.operands[0]
    wanted = c.shape_of(shape)
    if math.prod(shape) > 4096:  # as the engine does: copied where that is cheap
        return Code(f"np.broadcast_to({c[0]}, {wanted})", CALL)
    if not before:
        kind = "" if c.line.dtype == np.float64 else f", dtype=np.{np.dtype(c.line.dtype).name}"
        if not isinstance(c.line.operands[0], Name) and float(c.line.operands[0]) == 1:
            return Code(f"np.ones({wanted}{kind})", CALL)
        value = c.line.operands[0]
        filled = number(float(value)).text if isinstance(value, int) and c.line.dtype.kind == "f" else c[0]
        return Code(f"np.full({wanted}, {filled}{kind})", CALL)
    return Code(f"np.broadcast_to({c[0]}, {wanted}).copy()", CALL)


def _sum_to(c: Call) -> Code:
    before, after = c.shapes[0], c.line.shape
    extra = len(before) - len(after)
    axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(after) if n == 1 and before[i + extra] != 1)
    if not axes:
        return c.operands[0]
    if not after and len(axes) == len(before):
        return Code(f"np.sum({c[0]})", CALL)
    axis = f"axis={axes[0] if len(axes) == 1 else axes}"
    if not extra:
        return Code(f"np.sum({c[0]}, {axis}, keepdims=True)", CALL)
    summed = f"np.sum({c[0]}, {axis})"
    if axes == tuple(range(extra)):
        return Code(summed, CALL)
    return Code(f"{summed}.reshape({', '.join(map(str, after))})", CALL)


def _getitem(c: Call) -> Code:
    if not c.shapes[0] and not c.line.shape:
        return c.operands[0]
    taken = c.of(0, CALL) if c.shapes[0] else f"np.asarray({c[0]})"  # a number may be one of Python's, which has no index
    return Code(f"{taken}[{index_text(c.params['index'], c.spell)}]", CALL)


def _flip(c: Call) -> Code:
    if not c.shapes[0]:
        return c.operands[0]
    return settled("np.flip", "axis")(c)


def _softmax(c: Call) -> Code:
    if not math.prod(c.line.shape):
        return Code(f"np.exp({c[0]})", CALL)
    return helper(c.line.op.name, "axis")(c)


def _one_hot(c: Call) -> Code:
    dtype = "" if c.line.dtype == np.float64 else f", dtype={c.spell(c.line.dtype)}"
    target = c[0] if c.operands else c.spell(c.params["target"])
    classes, axis = c.params["classes"], c.params["axis"]
    return Code(f"{c.helper('one_hot')}({target}, {classes}, axis={axis}{dtype})", CALL)


def _comparison_of_numbers(sign: str) -> Spelling:
    return infix(sign, COMPARE, OR, OR)


_ADD = infix("+", SUM, SUM, PRODUCT)
TABLE: dict[str, Spelling] = {
    "add": _ADD, "subtract": infix("-", SUM, SUM, PRODUCT), "multiply": infix("*", PRODUCT, PRODUCT, SIGN),
    "divide": infix("/", PRODUCT, PRODUCT, SIGN), "floor_divide": infix("//", PRODUCT, PRODUCT, SIGN),
    "remainder": infix("%", PRODUCT, PRODUCT, SIGN), "negative": prefix("-"), "positive": prefix("+"),
    "identity": lambda c: c.operands[0], "absolute": function("np.abs"), "square": _square,
    "reciprocal": function("np.reciprocal"), "constant_power": _power_of_constant, "power": function("np.power"),
    "greater": _comparison_of_numbers(">"), "greater_equal": _comparison_of_numbers(">="),
    "less": _comparison_of_numbers("<"), "less_equal": _comparison_of_numbers("<="),
    "equal": _comparison_of_numbers("=="), "not_equal": _comparison_of_numbers("!="),
    "bitwise_and": infix("&", AND, AND, SUM), "bitwise_or": infix("|", OR, OR, AND), "invert": prefix("~"),
    "logical_and": function("np.logical_and"), "logical_or": function("np.logical_or"),
    "logical_not": function("np.logical_not"), "bitwise_xor": function("np.bitwise_xor"),
    **{name: function(f"np.{name}") for name in (
        "isnan", "isinf", "isfinite", "maximum", "minimum", "fmax", "fmin", "fmod", "hypot", "arctan2", "logaddexp",
        "logaddexp2", "heaviside", "copysign", "sqrt", "cbrt", "exp2", "log2", "log10", "degrees", "radians", "sinc",
        "sign", "floor", "ceil", "trunc", "rint")},
    **{name: from_math(name) for name in (
        "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh",
        "arcsinh", "arccosh", "arctanh")},
    "where": _where, "gate": _gate, "round": _round,
    "clip": lambda c: Code(f"np.minimum(np.maximum({c[0]}, {c[1]}), {c[2]})", CALL),
    "relu": _relu, "leaky_relu": helper("leaky_relu", "slope", number_differs=True),
    "elu": helper("elu", "alpha", number_differs=True), "silu": helper("silu", number_differs=True),
    "sigmoid": helper("sigmoid", number_differs=True), "log_sigmoid": helper("log_sigmoid"), "softplus": _softplus,
    "erf": helper("erf", number_differs=True), "normal_cdf": helper("normal_cdf"), "gelu": helper("gelu"),
    "gelu_tanh": helper("gelu_tanh"), "gelu_tanh_slope": helper("gelu_tanh_slope"), "sigmoid_error": helper("sigmoid_error"),
    "binary_cross_entropy": helper("binary_cross_entropy"),
    "binary_cross_entropy_with_logits": helper("binary_cross_entropy_with_logits"),
    **{name: settled(f"np.{name}", "axis", "keepdims", "dtype") for name in ("sum", "mean", "max", "min", "prod")},
    "var": settled("np.var", "axis", "keepdims", "ddof"), "std": settled("np.std", "axis", "keepdims", "ddof"),
    **{name: settled(f"np.{name}", "axis", "keepdims") for name in ("argmax", "argmin", "any", "all")},
    "argsort": settled("np.argsort", "axis", "kind", "stable"),
    "cumsum": lambda c: Code(f"np.cumsum({c[0]}, axis=-1)", CALL),
    "cumprod": lambda c: Code(f"np.cumprod({c[0]}, axis=-1)", CALL),
    "cummax": lambda c: Code(f"np.maximum.accumulate({c[0]}, axis=-1)", CALL),
    "cummin": lambda c: Code(f"np.minimum.accumulate({c[0]}, axis=-1)", CALL),
    "logcumsumexp": lambda c: Code(f"np.logaddexp.accumulate({c[0]}, axis=-1)", CALL),
    "logsumexp": helper("logsumexp", "axis", "keepdims"), "softmax": _softmax, "log_softmax": _softmax,
    "squared_norm": lambda c: Code(f"np.vdot({c[0]}, {c[0]})", CALL),
    "class_cross_entropy": lambda c: Code(
        f"{c.helper('class_cross_entropy')}({c[0]}, {c.spell(c.params['target'])}, axis={c.params['axis']})", CALL),
    "one_hot": _one_hot,
    "broadcast_to": _broadcast_to, "sum_to": _sum_to, "reshape": _reshape, "transpose": _transpose, "flip": _flip,
    "roll": lambda c: Code(f"np.roll({c[0]}, {c.params['shift']}, axis={c.params['axis']})", CALL),
    "pad": lambda c: Code(f"np.pad({c[0]}, {c.params['width']})", CALL),
    "astype": _astype, "as_type": _astype,
    "concatenate": _joined("concatenate"), "stack": _joined("stack"), "getitem": _getitem, "gather": _getitem,
    "matmul": _matmul, "einsum": _einsum,
}
# written as statements: `name = np.zeros(...)` and then `name[index] = values`
STATEMENTS = {"put", "scatter", "assign"}
TWICE = {"squared_norm"}  # whose operand is written twice, so it needs a name


def otherwise(c: Call) -> Code:
    """An operation that is in no table: a NumPy function that f called on plain arrays, under NumPy's own name."""
    inner = [*c.all_texts(), *(f"{key}={c.spell(value)}" for key, value in c.params.items())]
    return Code(f"np.{c.line.op.name}({', '.join(inner)})", CALL)


# ---------------------------------------------------------------- what NumPy lacks

_OF_NUMBER = '''\
def \0{name}:number\0(x):
    """np.{name} of one number, by Python's math, which can differ from NumPy's in the last digit."""
    try:
        return np.float64(math.{short}(x))
    except (ValueError, OverflowError):  # where NumPy gives nan or inf
        return np.{name}(x)
'''
_MATH = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh"}

HELPERS: dict[str, str] = {
    f"{name}:number": _OF_NUMBER.format(name=name, short=_MATH.get(name, name)) for name in (
        "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh",
        "arcsinh", "arccosh", "arctanh")
} | {
    "sigmoid": '''\
def \0sigmoid\0(z):
    """σ(z) = 1 / (1 + e^−z), entry by entry."""
    with np.errstate(over="ignore"):  # e^800 is inf, and 1 / (1 + inf) = 0 is right
        return 1 / (1 + np.exp(-z))
''',
    "sigmoid:number": '''\
def \0sigmoid:number\0(z):
    """σ(z) = 1 / (1 + e^−z) of one number."""
    if z <= -700:  # e^−z would overflow
        return np.float64(math.exp(z))
    return np.float64(1 / (1 + math.exp(-z)))
''',
    "softplus": '''\
def \0softplus\0(z):
    """log(1 + e^z), entry by entry, without overflow."""
    return np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0)
''',
    "log_sigmoid": '''\
def \0log_sigmoid\0(z):
    """log σ(z), entry by entry, without overflow."""
    return -\0softplus\0(-z)
''',
    "leaky_relu": '''\
def \0leaky_relu\0(z, slope):
    """z where z > 0, slope · z elsewhere."""
    return np.where(z > 0, z, slope * z)
''',
    "leaky_relu:number": '''\
def \0leaky_relu:number\0(z, slope):
    """z where z > 0, slope · z elsewhere, of one number."""
    return z if z > 0 else slope * z
''',
    "elu": '''\
def \0elu\0(z, alpha):
    """z where z > 0, α (e^z − 1) elsewhere."""
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))
''',
    "elu:number": '''\
def \0elu:number\0(z, alpha):
    """z where z > 0, α (e^z − 1) elsewhere, of one number."""
    return z if z > 0 else alpha * np.expm1(z)
''',
    "silu": '''\
def \0silu\0(z):
    """z σ(z), entry by entry."""
    return z * \0sigmoid\0(z)
''',
    "silu:number": '''\
def \0silu:number\0(z):
    """z σ(z) of one number."""
    return z * \0sigmoid:number\0(z)
''',
    "sigmoid_error": '''\
def \0sigmoid_error\0(z, y):
    """σ(z) − y, where nothing cancels: (1 − y − y e^−z) / (1 + e^−z)."""
    lowest = -88.0 if np.result_type(z) == np.float32 else -709.0  # keeps e^−z from overflowing
    e = np.exp(-np.maximum(z, lowest))
    return (1 - y - y * e) / (1 + e)
''',
    "binary_cross_entropy": '''\
def \0binary_cross_entropy\0(p, y):
    """−[y log p + (1 − y) log(1 − p)], entry by entry; 0 · log 0 is 0."""
    return -(y * np.log(np.where(y == 0, 1, p)) + (1 - y) * np.log1p(-np.where(y == 1, 0, p)))
''',
    "binary_cross_entropy_with_logits": '''\
def \0binary_cross_entropy_with_logits\0(z, y):
    """−[y log σ(z) + (1 − y) log(1 − σ(z))], entry by entry, without overflow."""
    return np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))
''',
    "polynomial": '''\
def \0polynomial\0(coefficients, x):
    """c₀ xⁿ + c₁ xⁿ⁻¹ + … + cₙ, by Horner's rule."""
    total = coefficients[0]
    for c in coefficients[1:]:
        total = total * x + c
    return total
''',
    "erf_middle": '''\
def \0erf_middle\0(x):
    """erf(x) for |x| ≤ 0.46875 (W. J. Cody, Math. Comp. 23, 1969)."""
    above = (1.85777706184603153e-1, 3.16112374387056560e00, 1.13864154151050156e02, 3.77485237685302021e02,
             3.20937758913846947e03)
    below = (1.0, 2.36012909523441209e01, 2.44024637934444173e02, 1.28261652607737228e03, 2.84423683343917062e03)
    small = np.minimum(np.abs(x), 0.46875)
    return x * (\0polynomial\0(above, small * small) / \0polynomial\0(below, small * small))
''',
    "erf_tail": '''\
def \0erf_tail\0(x):
    """1 − erf(x) for x ≥ 0.46875 (W. J. Cody, Math. Comp. 23, 1969)."""
    above = (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e00, 6.61191906371416295e01,
             2.98635138197400131e02, 8.81952221241769090e02, 1.71204761263407058e03, 2.05107837782607147e03,
             1.23033935479799725e03)
    below = (1.0, 1.57449261107098347e01, 1.17693950891312499e02, 5.37181101862009858e02, 1.62138957456669019e03,
             3.29079923573345963e03, 4.36261909014324716e03, 3.43936767414372164e03, 1.23033935480374942e03)
    far_above = (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
                 1.60837851487422766e-2, 6.58749161529837803e-4)
    far_below = (1.0, 2.56852019228982242e00, 1.87295284992346725e00, 5.27905102951428412e-1,
                 6.05183413124413191e-2, 2.33520497626869185e-3)
    near, far = np.clip(x, 0.46875, 4.0), np.clip(x, 4.0, 30.0)
    inverse = 1 / (far * far)
    high = np.trunc(np.minimum(x, 30.0) * 16) / 16  # e^(−x²) in two parts, so that the rounding of x² does not grow
    low = (np.minimum(x, 30.0) - high) * (np.minimum(x, 30.0) + high)
    exponential = np.exp(-high * high) * np.exp(-low)
    middle = \0polynomial\0(above, near) / \0polynomial\0(below, near)
    last = 0.5641895835477562869 - inverse * \0polynomial\0(far_above, inverse) / \0polynomial\0(far_below, inverse)
    return exponential * np.where(x <= 4.0, middle, last / far)
''',
    "erf": '''\
def \0erf\0(x):
    """The error function 2/√π ∫₀ˣ e^(−t²) dt, entry by entry; NumPy has none."""
    x = np.asarray(x)
    w = x.astype(np.float64)
    size = np.abs(w)
    outer = np.copysign(1 - \0erf_tail\0(np.maximum(size, 0.46875)), w)
    return np.where(size <= 0.46875, \0erf_middle\0(w), outer).astype(x.dtype)
''',
    "erf:number": '''\
def \0erf:number\0(x):
    """The error function 2/√π ∫₀ˣ e^(−t²) dt of one number; NumPy has none."""
    return np.float64(math.erf(x))
''',
    "erfc": '''\
def \0erfc\0(x):
    """1 − erf(x), entry by entry, without cancellation for large x."""
    x = np.asarray(x)
    w = x.astype(np.float64)
    size = np.abs(w)
    tail = \0erf_tail\0(np.maximum(size, 0.46875))
    outer = np.where(w < 0, 2 - tail, tail)
    return np.where(size <= 0.46875, 1 - \0erf_middle\0(w), outer).astype(x.dtype)[()]
''',
    "normal_cdf": '''\
def \0normal_cdf\0(x):
    """Φ(x), the normal distribution function, entry by entry; 0.7071… is √½."""
    return 0.5 * \0erfc\0(-x * 0.7071067811865476)
''',
    "gelu": '''\
def \0gelu\0(x):
    """x Φ(x), entry by entry; 0.7071… is √½."""
    return x * (0.5 * \0erfc\0(-x * 0.7071067811865476))
''',
    "gelu_tanh": '''\
def \0gelu_tanh\0(x):
    """x Φ(x) with Φ approximated by σ(2u) = ½ (1 + tanh u), entry by entry; 1.5957691216057308 is 2√(2/π)."""
    near = np.minimum(np.maximum(x, -25.0), 25.0)
    with np.errstate(over="ignore"):
        e = np.exp((near * near * -0.07135481627260025 - 1.5957691216057308) * near)  # exp(−2u)
    return np.maximum(x, -25.0) / (e + 1)
''',
    "gelu_tanh_slope": '''\
def \0gelu_tanh_slope\0(x):
    """The derivative of x σ(2u), σ(2u) (1 + 2x u′ σ(−2u)), entry by entry; 1.5957691216057308 is 2√(2/π)."""
    near = np.minimum(np.maximum(x, -25.0), 25.0)
    growth = (near * near * 0.21406444881780076 + 1.5957691216057308) * near
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp((near * near * -0.07135481627260025 - 1.5957691216057308) * near)  # exp(−2u)
        share = 1 / (e + 1)
        return (growth * np.fmin(e * share, 1) + 1) * share  # inf · 0 is 1 here
''',
    "log_of_sum": '''\
def \0log_of_sum\0(shifted, axis):
    """log Σ e^z where the largest z is 0, by log1p of the others where they are small beside 1."""
    e = np.exp(shifted)
    total = np.sum(e, axis=axis, keepdims=True)
    alone = (total < 1.5) & (total >= 1)
    others = np.sum(e * (shifted < 0), axis=axis, keepdims=True)
    return np.where(alone, np.log1p(others), np.log(total))
''',
    "logsumexp": '''\
def \0logsumexp\0(x, axis=None, keepdims=False):
    """log Σ e^x along the axis, without overflow."""
    top = np.max(x, axis=axis, keepdims=True)
    shift = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):  # log 0 = −inf is right
        y = \0log_of_sum\0(x - shift, axis) + shift
    return y if keepdims else np.squeeze(y, axis=axis)[()]
''',
    "softmax": '''\
def \0softmax\0(z, axis=None):
    """e^z / Σ e^z along the axis; less the largest entry, e^z does not overflow."""
    e = np.exp(z - np.max(z, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)
''',
    "log_softmax": '''\
def \0log_softmax\0(z, axis=None):
    """log(e^z / Σ e^z) along the axis, without overflow."""
    shifted = z - np.max(z, axis=axis, keepdims=True)
    return shifted - \0log_of_sum\0(shifted, axis)
''',
    "class_cross_entropy": '''\
def \0class_cross_entropy\0(z, target, axis):
    """−log softmax(z) of the target class, along the axis; target holds class numbers."""
    target = np.asarray(target)
    shifted = z - np.max(z, axis=axis, keepdims=True)
    chosen = np.take_along_axis(shifted, np.expand_dims(target, axis), axis)
    losses = \0log_of_sum\0(shifted, axis) - chosen
    return losses.reshape(target.shape)[()]
''',
    "one_hot": '''\
def \0one_hot\0(target, classes, axis, dtype=float):
    """Ones at the target classes along the axis, zeros elsewhere."""
    target = np.asarray(target)
    out = np.zeros((target.size, classes), dtype)
    out[np.arange(target.size), target.reshape(-1)] = 1
    return np.moveaxis(out.reshape(*target.shape, classes), -1, axis)
''',
}

# a family of its own: in a file that imports spelling_kinds
for _family in (spelling_activations, spelling_linear_algebra, spelling_selecting, spelling_windows):
    TABLE.update(_family.TABLE)
    HELPERS.update(_family.HELPERS)


def helper_names(text: str) -> list[str]:
    """The helpers that a text with marks asks for, in order."""
    return list(dict.fromkeys(text.split("\0")[1::2]))


def needed_helpers(keys: Sequence[str]) -> list[str]:
    """The helpers and those that they call, each after what it calls."""
    order: list[str] = []

    def need(key: str) -> None:  # a few levels at most
        for inner in helper_names(HELPERS[key]):
            if inner != key:
                need(inner)
        if key not in order:
            order.append(key)

    for key in keys:
        need(key)
    return order


def helper_titles(keys: Sequence[str]) -> Mapping[str, str]:
    """What each helper is called: that of a number has a longer name only where there is one for arrays too."""
    return {key: f"{key[:-7]}_of_number" if key.endswith(":number") and key[:-7] in keys else key.removesuffix(":number")
            for key in keys}


__all__ = ["HELPERS", "STATEMENTS", "TABLE", "TWICE", "Call", "Code", "Name", "helper_titles", "index_text", "literal_array",
           "needed_helpers", "number", "otherwise"]
