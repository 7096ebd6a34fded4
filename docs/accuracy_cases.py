"""What docs/make_accuracy.py and tests/test_accuracy.py measure: each function beside its definition in mpmath.

A definition is written as the textbook has it, without any care for rounding: mpmath computes it with 60 digits on the grid,
and with a thousand where arguments are extreme.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.rules import TABLE
from tinygrad_edu.rules import pointwise as rules

DIGITS = 60
EXTREME_BITS, EXTREME_STEP = 4200, 1250  # enough for 1e300 ± 2⁻¹²⁵⁰, and for denormals


@dataclass(frozen=True)
class Case:
    """A function of the columns of a table, (m, n) -> (m,), beside its definition on one row."""

    name: str
    function: Callable[[Any], Any]
    definition: Callable[..., Any]
    columns: tuple[tuple[float, float], ...]  # where each column is drawn from
    primitive: str | None = None  # the entry of rules.TABLE it shows, where the name differs
    extremes: Callable[[Any], list[tuple[float, ...]]] | None = None  # rows of the stability table, by dtype
    fixed: tuple[int, ...] = ()  # columns without derivative (targets)
    entry: Callable[[Any], Any] | None = None  # of one column: the function of one number too, which may take another way

    @property
    def entrywise(self) -> bool:
        return len(self.columns) == 1


# ---------------------------------------------------------------- definitions that mpmath lacks


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _softplus(x: Any) -> Any:
    return mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x))


def _log_sigmoid(x: Any) -> Any:
    return -_softplus(-x)


def _erf(x: Any) -> Any:
    return mp.erf(x) if abs(x) < 10**6 else mp.sign(x)


def _normal_cdf(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2 if abs(x) < 10**6 else mp.mpf(x > 0)


def _sinc(x: Any) -> Any:
    return mp.sin(mp.pi * x) / (mp.pi * x)


def _cbrt(x: Any) -> Any:
    return mp.sign(x) * mp.cbrt(abs(x))


def _power(x: Any, p: Any) -> Any:
    if x < 0 and p != mp.nint(p):
        raise ValueError("no real power")
    return x**int(p) if x < 0 and abs(p) < 2**60 else x**p


def _arctan2(a: Any, b: Any) -> Any:
    return mp.atan2(a, b)


def _gelu_tanh_slope(x: Any) -> Any:
    u, slope = mp.sqrt(2 / mp.pi) * (x + mp.mpf(0.044715) * x**3), mp.sqrt(2 / mp.pi) * (1 + 3 * mp.mpf(0.044715) * x * x)
    return _sigmoid(2 * u) * (1 + 2 * x * slope * _sigmoid(-2 * u))


def _gelu_tanh(x: Any) -> Any:
    return x * _sigmoid(2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf(0.044715) * x**3))


def _logsumexp(*x: Any) -> Any:
    top = max(x)
    return top + mp.log(mp.fsum(mp.exp(v - top) for v in x))


def _cross_entropy(p: Any, y: Any) -> Any:
    return -((y * mp.log(p) if y else 0) + ((1 - y) * mp.log(1 - p) if y != 1 else 0))


def _focal(z: Any) -> Any:
    p = _sigmoid(z)
    return -mp.mpf(0.25) * (1 - p) ** 2 * mp.log(p)


def _variance(*x: Any) -> Any:
    mean = mp.fsum(x) / len(x)
    return mp.fsum((v - mean) ** 2 for v in x) / len(x)


def _huber(e: Any) -> Any:
    return e * e / 2 if abs(e) <= 1 else abs(e) - mp.mpf(0.5)


def _tanhshrink(x: Any) -> Any:
    return x - mp.tanh(x)


# ---------------------------------------------------------------- the cases


def _rows(*columns: tuple[float, ...]) -> Callable[[Any], list[tuple[float, ...]]]:
    """All combinations of the extreme arguments given for each column."""

    def rows(dtype: Any) -> list[tuple[float, ...]]:
        return list(itertools.product(*columns))

    return rows


def _pairs(dtype: Any) -> list[tuple[float, ...]]:
    wide = (1e300, 1e-300) if dtype == np.float64 else (1e30, 1e-30)
    return _rows(*[(-400.0, 400.0, -wide[0], wide[0], -wide[1], wide[1], 0.75)] * 2)(dtype)


def _positive_base(dtype: Any) -> list[tuple[float, ...]]:
    wide = (1e300, 1e-300) if dtype == np.float64 else (1e30, 1e-30)
    return _rows((wide[0], wide[1], 400.0, 0.75), (-400.0, 400.0, 1.0, 0.5, -1.0, wide[1], -3.0))(dtype)


def _triples(dtype: Any) -> list[tuple[float, ...]]:
    big = 1e300 if dtype == np.float64 else 1e30
    nothing = -math.inf
    return [(400.0, -400.0, 0.0), (-400.0, -400.0, -401.0), (1000.0, 999.0, 998.0), (-1000.0, -1001.0, -1000.5),
            (40.0, 0.0, -1.0), (0.0, -40.0, -41.0), (big, 0.0, 1.0), (-big, 0.0, 1.0), (big, big, -big), (-big, -big, 0.0),
            (nothing, 0.5, 1.0), (0.5, nothing, nothing), (big, nothing, 3.0), (1e-30, 0.0, -1e-30)]


def _logits(dtype: Any) -> list[tuple[float, ...]]:
    big = 1e300 if dtype == np.float64 else 1e30
    return _rows((-400.0, 400.0, -40.0, 40.0, -big, big, 1e-30, 0.3), (0.0, 1.0, 0.25))(dtype)


def _probabilities(dtype: Any) -> list[tuple[float, ...]]:
    tiny, eps = (1e-300, 2.0**-53) if dtype == np.float64 else (1e-30, 2.0**-24)
    return [(tiny, 0.0), (tiny, 1.0), (eps, 0.0), (eps, 1.0), (1 - eps, 0.0), (1 - eps, 1.0), (1 - eps, 0.5), (tiny, 0.5)]


def _one(name: str, function: Any, definition: Any, span: tuple[float, float], primitive: str | None = None,
         extremes: Any = None) -> Case:
    return Case(name, lambda X: function(X[:, 0]), definition, (span,), primitive, extremes, entry=function)


def _above_zero(dtype: Any) -> list[tuple[float, ...]]:
    return [(v,) for v in EXTREMES[dtype]]


def _finite(dtype: Any) -> list[tuple[float, ...]]:
    return [row for row in _triples(dtype) if all(map(math.isfinite, row))]


def _unary() -> Iterator[Case]:
    table: list[tuple[Any, ...]] = [
        ("square", lambda x: x * x, (-5, 5)), ("reciprocal", lambda x: 1 / x, (0.2, 9)), ("sqrt", mp.sqrt, (0.1, 50)),
        ("cbrt", _cbrt, (-9, 9)), ("exp", mp.exp, (-20, 20)), ("exp2", lambda x: mp.mpf(2) ** x, (-20, 20)),
        ("expm1", mp.expm1, (-9, 9)), ("log", mp.log, (0.01, 90)), ("log2", lambda x: mp.log(x) / mp.log(2), (0.01, 90)),
        ("log10", lambda x: mp.log(x) / mp.log(10), (0.01, 90)), ("log1p", mp.log1p, (-0.9, 20)), ("sin", mp.sin, (-9, 9)),
        ("cos", mp.cos, (-9, 9)), ("tan", mp.tan, (-9, 9)), ("arcsin", mp.asin, (-0.99, 0.99)),
        ("arccos", mp.acos, (-0.99, 0.99)), ("arctan", mp.atan, (-20, 20)), ("sinh", mp.sinh, (-9, 9)),
        ("cosh", mp.cosh, (-9, 9)), ("tanh", mp.tanh, (-12, 12)), ("arcsinh", mp.asinh, (-20, 20)),
        ("arccosh", mp.acosh, (1.01, 50)), ("arctanh", mp.atanh, (-0.99, 0.99)),
        ("degrees", lambda x: x * 180 / mp.pi, (-9, 9)), ("radians", lambda x: x * mp.pi / 180, (-9, 9)),
        ("sinc", _sinc, (-4, 4)), ("sigmoid", _sigmoid, (-30, 30)), ("log_sigmoid", _log_sigmoid, (-30, 30)),
        ("softplus", _softplus, (-30, 30)), ("silu", lambda x: x * _sigmoid(x), (-30, 30)), ("erf", _erf, (-4, 4)),
        ("gelu", lambda x: x * _normal_cdf(x), (-8, 8)), ("gelu_tanh", _gelu_tanh, (-8, 8)),
        ("gelu_tanh_slope", _gelu_tanh_slope, (-8, 8)),
        ("normal_cdf", _normal_cdf, (-8, 8)), ("elu", lambda x: x if x > 0 else mp.expm1(x), (-20, 5)),
        ("celu", lambda x: x if x > 0 else 2 * mp.expm1(x / 2), (-20, 5)),
        ("selu", lambda x: mp.mpf(1.0507009873554805) * (x if x > 0 else mp.mpf(1.6732632423543772) * mp.expm1(x)), (-20, 5)),
        ("mish", lambda x: x * mp.tanh(_softplus(x)), (-20, 9)), ("softsign", lambda x: x / (1 + abs(x)), (-20, 20)),
        ("tanhshrink", _tanhshrink, (-9, 9)), ("leaky_relu", lambda x: x if x > 0 else mp.mpf(0.01) * x, (-9, 9)),
        ("relu", lambda x: x if x > 0 else mp.mpf(0), (-9, 9)), ("huber", _huber, (-4, 4)),
        ("absolute", abs, (-9, 9)), ("hard_swish", lambda x: x * min(max(x + 3, 0), 6) / 6, (-5, 5)),
    ]
    special: dict[str, Any] = {
        "gelu_tanh": lambda x: tg.gelu(x, approximate="tanh"), "gelu_tanh_slope": rules.gelu_tanh_slope,
        "normal_cdf": rules.normal_cdf,
        "celu": lambda x: tg.celu(x, 2.0), "huber": lambda x: tg.huber(x, np.zeros(x.shape, x.dtype), "none"),
    }
    for name, definition, span in table:
        function = special.get(name) or getattr(tg, name, None)
        if function is not None:
            yield _one(name, function, definition, span)
    yield _one("x**3", lambda x: x**3, lambda x: x**3, (-5, 5), "constant_power")
    yield _one("x**2.5", lambda x: x**2.5, lambda x: _power(x, mp.mpf(2.5)), (0.1, 9), "constant_power", _above_zero)
    yield _one("x**-1.5", lambda x: x**-1.5, lambda x: _power(x, mp.mpf(-1.5)), (0.1, 9), "constant_power", _above_zero)
    yield _one("softplus(beta=3)", lambda x: tg.softplus(x, 3.0), lambda x: _softplus(3 * x) / 3, (-9, 9), "softplus")
    yield _one("focal(target 1)", lambda z: tg.focal(z, np.ones(z.shape), reduction="none"), _focal, (-20, 20))


def _several() -> Iterator[Case]:
    def two(name: str, definition: Any, *columns: Any, extremes: Any = _pairs, function: Any = None) -> Case:
        f = function or getattr(tg, name)
        return Case(name, lambda X: f(X[:, 0], X[:, 1]), definition, columns, extremes=extremes)

    yield two("multiply", lambda a, b: a * b, (-5, 5), (-5, 5))
    yield two("divide", lambda a, b: a / b, (-5, 5), (0.3, 5))
    yield two("power", _power, (0.1, 9), (-4, 4), extremes=_positive_base)
    yield two("hypot", lambda a, b: mp.sqrt(a * a + b * b), (-5, 5), (-5, 5))
    yield two("arctan2", _arctan2, (-5, 5), (-5, 5))
    yield two("logaddexp", lambda a, b: _logsumexp(a, b), (-9, 9), (-9, 9))
    yield two("logaddexp2", lambda a, b: _logsumexp(a * mp.log(2), b * mp.log(2)) / mp.log(2), (-9, 9), (-9, 9))
    turns = _rows((400.3, -400.3), (7.1, -7.1))
    yield two("remainder", lambda a, b: a - b * mp.floor(a / b), (-5, 5), (0.5, 3), extremes=turns)
    yield two("fmod", lambda a, b: a - b * mp.sign(a / b) * mp.floor(abs(a / b)), (-5, 5), (0.5, 3), extremes=turns)
    yield two("copysign", lambda a, b: abs(a) * mp.sign(b), (-5, 5), (-5, 5))

    three = ((-6.0, 6.0),) * 3
    yield Case("logsumexp", lambda X: tg.logsumexp(X, -1), _logsumexp, three, extremes=_triples)
    yield Case("logcumsumexp", lambda X: tg.logcumsumexp(X, -1)[:, 1], lambda a, b, c: _logsumexp(a, b), three,
               extremes=_triples)
    yield Case("softmax", lambda X: tg.softmax(X, -1)[:, 0], lambda *x: mp.exp(x[0] - _logsumexp(*x)), three,
               extremes=_triples)
    yield Case("log_softmax", lambda X: tg.log_softmax(X, -1)[:, 0], lambda *x: x[0] - _logsumexp(*x), three,
               extremes=_triples)
    yield Case("cross_entropy", lambda X: tg.cross_entropy(X, np.zeros(X.shape[0], int), reduction="none"),
               lambda *x: _logsumexp(*x) - x[0], three, "class_cross_entropy", extremes=_triples)
    yield Case("mean", lambda X: tg.mean(X, -1), lambda *x: mp.fsum(x) / len(x), three, extremes=_finite)
    yield Case("var", lambda X: tg.var(X, -1), _variance, three)
    yield Case("std", lambda X: tg.std(X, -1), lambda *x: mp.sqrt(_variance(*x)), three)
    yield Case("prod", lambda X: tg.prod(X, -1), lambda a, b, c: a * b * c, three)
    yield Case("cumprod", lambda X: tg.cumprod(X, -1)[:, 1], lambda a, b, c: a * b, three)
    yield two("mse", lambda p, t: (p - t) ** 2, (-5, 5), (-5, 5), function=lambda p, t: tg.mse(p, t, "none"))
    yield two("poisson_nll", lambda s, y: mp.exp(s) - y * s, (-4, 4), (0.5, 9), extremes=None,
              function=lambda s, y: tg.poisson_nll(s, y, reduction="none"))
    yield two("kl_div", lambda s, y: y * (mp.log(y) - s), (-9, -0.1), (0.05, 0.95), extremes=None,
              function=lambda s, y: tg.kl_div(s, y, "none"))
    yield two("glu", lambda a, b: a * _sigmoid(b), (-5, 5), (-20, 20),
              function=lambda a, b: tg.glu(tg.stack([a, b], 1), 1)[:, 0])
    yield Case("gaussian_nll", lambda X: tg.gaussian_nll(X[:, 0], X[:, 1], X[:, 2], reduction="none"),
               lambda p, t, v: (mp.log(v) + (p - t) ** 2 / v) / 2, ((-5, 5), (-5, 5), (0.2, 5)))
    yield Case("binary_cross_entropy_with_logits",
               lambda X: rules.binary_cross_entropy_with_logits(X[:, 0], X[:, 1]),
               lambda z, y: _softplus(z) - y * z, ((-20, 20), (0.05, 0.95)), extremes=_logits)
    yield Case("sigmoid_error", lambda X: rules.sigmoid_error(X[:, 0], X[:, 1]), lambda z, y: _sigmoid(z) - y,
               ((-20, 20), (0.05, 0.95)), extremes=_logits)
    yield Case("binary_cross_entropy", lambda X: rules.binary_cross_entropy(X[:, 0], X[:, 1]), _cross_entropy,
               ((0.02, 0.98), (0.05, 0.95)), extremes=_probabilities, fixed=(1,))


CASES = {case.name: case for case in [*_unary(), *_several()]}
# exact by the arithmetic of one operation, or constant between jumps: nothing to measure
EXACT = frozenset({
    "where", "gate", "maximum", "minimum", "fmax", "fmin", "clip", "add", "subtract", "negative", "positive", "identity",
    "floor_divide", "sign", "floor", "ceil", "trunc", "rint", "round", "heaviside", "hard_tanh",
    "ratio", "nan_for_zero",
})
# Where a rule has the textbook's form, 1 − y², y (1 − y) or A − Y, it cancels in the tails: its error is one rounding of the
# largest slope, not of its own. Name -> the derivatives measured against the largest on the grid.
TEXTBOOK: dict[str, tuple[int, ...]] = {
    "tanh": (1, 2), "sigmoid": (1, 2), "log_sigmoid": (2,), "softplus": (2,), "softplus(beta=3)": (2,), "silu": (2,),
    "gelu_tanh": (2,), "gelu_tanh_slope": (1, 2), "mish": (1, 2), "tanhshrink": (2,), "focal(target 1)": (1, 2),
    "softmax": (1,), "log_softmax": (1,),
    "cross_entropy": (1,),
    "glu": (1,),
}
# What is not right at extreme arguments, and why. Name -> (which entries, why).
KNOWN: dict[str, tuple[Callable[[str, tuple[float, ...]], bool], str]] = {
    **dict.fromkeys(("sigmoid", "softmax", "log_softmax", "cross_entropy", "glu"), (
        lambda what, row: what != "value" and max(map(abs, row)) >= 40,
        "the textbook's y (1 − y), or A − Y, rounds to 0 where y rounds to 1; the true slope is below 1e-17")),
    **dict.fromkeys(("sigmoid_error", "binary_cross_entropy_with_logits"), (
        lambda what, row: row[0] <= -88 and not row[1],
        "exp(−z) is kept from overflowing, so a slope that underflows is left at the smallest normal number")),
    "sinc": (lambda what, row: abs(row[0]) > 100, "NumPy's own values: np.sinc rounds πx first"),
    **dict.fromkeys(("silu", "gelu", "mish", "hard_swish", "softsign", "focal(target 1)"), (
        lambda what, row: math.isinf(row[0]), "at an infinite argument, ∞ · 0 or ∞/∞ is nan (every finite one is right)")),
    "logcumsumexp": (lambda what, row: what != "value" and max(map(abs, row[:2])) >= 100,
                     "exp(x − y) has the rounding of a large y: a relative error of |y| ε"),
}


def missing() -> list[str]:
    """Smooth primitives that no case shows."""
    shown = {case.primitive or case.name for case in CASES.values()}
    return sorted(name for name, op in TABLE.items() if op.kind == "pointwise" and name not in shown | EXACT)


# ---------------------------------------------------------------- the reference


def _quotient(f: Callable[..., Any], row: tuple[Any, ...], i: int, h: Any, order: int) -> Any:
    """The derivative in one argument by a central difference so small that nothing but the working precision limits it."""
    up, down = (f(*row[:i], row[i] + s * h, *row[i + 1 :]) for s in (1, -1))
    return (up - down) / (2 * h) if order == 1 else (up - 2 * f(*row) + down) / (h * h)


def _real(compute: Callable[[], Any]) -> Any:
    """A number, or nan where there is no real one."""
    try:
        y = compute()
    except (ValueError, ZeroDivisionError, TypeError, mp.libmp.ComplexResult):
        return mp.nan
    return mp.nan if isinstance(y, mp.mpc) else mp.mpf(y)


def reference(case: Case, row: tuple[float, ...], order: int, i: int = 0, extreme: bool = False) -> Any:
    """The value (order 0) or a derivative in argument i, as an mpmath number."""
    bits, step = (EXTREME_BITS, EXTREME_STEP) if extreme else (int(DIGITS * 3.33) * 4, 200)
    with mp.workprec(bits):
        exact = tuple(map(mp.mpf, row))
        if order == 0:
            return _real(lambda: case.definition(*exact))
        return _real(lambda: _quotient(case.definition, exact, i, mp.mpf(2) ** -step, order))


def limit(case: Case, row: tuple[float, ...], order: int, i: int = 0) -> Any:
    """The reference at infinite arguments: where the function goes; nan where it goes nowhere."""
    if any(math.isnan(v) for v in row):
        return mp.nan
    if not any(math.isinf(v) for v in row):
        return reference(case, row, order, i, extreme=True)
    near = [reference(case, tuple(math.copysign(far, v) if math.isinf(v) else v for v in row), order, i, extreme=True)
            for far in ((1e75, 1e150, 1e300) if case.entrywise else (1e200, 1e300))]
    if any(mp.isnan(y) for y in near):
        return mp.nan
    with mp.workprec(200):
        first, last = near[-2:]
        if abs(last) < mp.mpf(10) ** -60:
            return mp.mpf(0)
        if abs(last - first) < mp.mpf(10) ** -30 * abs(last):
            return last
        growing = all(abs(a) * mp.mpf(1.5) < abs(b) for a, b in itertools.pairwise(near))
        return (mp.inf if last > 0 else -mp.inf) if growing and mp.sign(first) == mp.sign(last) else mp.nan


def rounded(y: Any, dtype: Any) -> Any:
    """The reference as a number of the dtype: inf where it overflows, 0 where it underflows."""
    if mp.isnan(y) or mp.isinf(y):
        return dtype(float(y))
    largest = mp.mpf(float(np.finfo(dtype).max))
    if abs(y) > largest * (1 + mp.mpf(2) ** -30):
        return dtype(math.copysign(math.inf, 1 if y > 0 else -1))
    if abs(y) > largest:
        return dtype(math.copysign(float(largest), 1 if y > 0 else -1))
    return dtype(float(y)) if abs(y) > mp.mpf(10) ** -400 else dtype(0)


# ---------------------------------------------------------------- what the engine computes


def grid(case: Case, count: int, dtype: Any = np.float64) -> Any:
    """Arguments spread over the columns' spans, the same on every run, on no special place."""
    rng = np.random.default_rng([count, len(case.columns)])
    columns = []
    for low, high in case.columns:
        places = (np.arange(count) + 0.31 + 0.38 * rng.random(count)) / count
        columns.append(low + (high - low) * (places if case.entrywise else rng.permutation(places)))
    return np.stack(columns, 1).astype(dtype)


def computed(case: Case, X: Any) -> tuple[Any, Any]:
    """The values (m,) and first derivatives (m, n)."""
    with np.errstate(all="ignore"):
        t = tg.Tensor(X)
        y = case.function(t)
        y.backward(np.ones(y.shape, y.dtype))
    return y.numpy(), t.grad if t.grad is not None else np.zeros_like(X)


def computed_alone(case: Case, rows: list[tuple[float, ...]], dtype: Any) -> tuple[Any, Any]:
    """The same for one number at a time, which may take another way (the math module's)."""
    assert case.entry is not None
    values, slopes = np.empty(len(rows), dtype), np.empty((len(rows), 1), dtype)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for r, (x,) in enumerate(rows):
            t = tg.Tensor(dtype(x))
            y = case.entry(t)
            y.backward()
            values[r], slopes[r] = y.data, 0.0 if t.grad is None else t.grad
    return values, slopes


def computed_second(case: Case, X: Any) -> Any:
    """The second derivatives of a function of one argument, (m,)."""
    with np.errstate(all="ignore"):
        return tg.grad(lambda X: tg.grad(lambda Z: case.function(Z).sum())(X).sum())(X)[:, 0]


# ---------------------------------------------------------------- comparing


@dataclass
class Worst:
    """The largest relative error, where it is, and how many points were well conditioned."""

    error: float = 0.0
    row: tuple[float, ...] = ()
    points: int = 0


CONDITION = 20.0  # a relative change of the argument is enlarged at most so much in what is measured


def measure(case: Case, order: int, count: int, dtype: Any = np.float64) -> Worst:
    """The worst relative error of the value, first or second derivative over the well-conditioned points of the grid."""
    X = grid(case, count, dtype)
    if order == 2:
        found = computed_second(case, X)[:, None]
    else:
        value, slopes = computed(case, X)
        found = value[:, None] if order == 0 else slopes
    places = [(r, i) for r in range(count) for i in (
        [i for i in range(X.shape[1]) if i not in case.fixed] if order else [0])]
    wanted = {place: reference(case, tuple(X[place[0]].tolist()), order, place[1]) for place in places}
    least = max(abs(y) for y in wanted.values() if not mp.isnan(y)) if order in TEXTBOOK.get(case.name, ()) else mp.mpf(0)
    worst = Worst()
    for (r, i), y in wanted.items():
        row = tuple(X[r].tolist())
        if mp.isnan(y) or not _well_conditioned(case, row, order, i, y):
            continue
        scale = max(abs(y), least)
        error = float(abs(mp.mpf(float(found[r, i])) - y) / scale) if scale else float(abs(found[r, i]))
        worst.points += 1
        if not error <= worst.error:
            worst.error, worst.row = error, row
    return worst


def _well_conditioned(case: Case, row: tuple[float, ...], order: int, i: int, wanted: Any) -> bool:
    if not wanted:
        return True
    h = mp.mpf(2) ** -60
    total = 0
    with mp.workprec(1000):
        for k, v in enumerate(row):
            moved = tuple(x * (1 + h) if j == k else x for j, x in enumerate(map(mp.mpf, row)))
            near = _real(lambda moved=moved: case.definition(*moved) if order == 0 else _quotient(
                case.definition, moved, i, mp.mpf(2) ** -200, order))
            total += abs((near - wanted) / (wanted * h)) if v else 0
    return bool(total <= CONDITION)


EXTREMES = {
    np.float64: (400.0, 1000.0, 1e-300, 5e-324, 1e300, math.inf),
    np.float32: (400.0, 1000.0, 1e-30, 1.4e-45, 1e30, math.inf),
}


def extreme_rows(case: Case, dtype: Any) -> list[tuple[float, ...]]:
    """The arguments of the stability table."""
    if case.extremes is not None:
        rows = case.extremes(dtype)
    elif case.entrywise:
        rows = [(s * v,) for v in EXTREMES[dtype] for s in (1, -1)] + [(math.nan,)]
    else:
        return []
    return [tuple(float(dtype(v)) for v in row) for row in rows]


def right(found: float, wanted: Any, dtype: Any, tolerance: float | None = None) -> bool:
    """Whether a number is the reference, rounded; near the smallest and the largest numbers, to within their spacing."""
    tolerance = tolerance or (1e-13 if dtype == np.float64 else 2e-5)
    target = float(rounded(wanted, dtype))
    if math.isnan(target) or math.isnan(found):
        return math.isnan(target) and math.isnan(found)
    largest = float(np.finfo(dtype).max)
    if math.isinf(target) or math.isinf(found):
        return found == target or (abs(target) > largest * (1 - tolerance) and found * target > 0)
    return abs(found - target) <= tolerance * abs(target) + 4 * float(np.finfo(dtype).smallest_subnormal)


@dataclass
class Wrong:
    """One entry of the stability table that is not the reference."""

    case: str
    dtype: str
    what: str  # value, derivative
    row: tuple[float, ...]
    found: float
    wanted: float


    @property
    def why(self) -> str:
        """The reason, where it is known."""
        which, reason = KNOWN.get(self.case, (lambda what, row: False, ""))
        return reason if which(self.what, self.row) else ""


def stability(case: Case, dtype: Any, orders: tuple[int, ...] = (0, 1), rows: Any = None) -> tuple[int, list[Wrong]]:
    """How many entries were compared at extreme arguments, and those that are not right."""
    rows = extreme_rows(case, dtype) if rows is None else rows
    if not rows:
        return 0, []
    ways = [computed(case, np.array(rows, dtype))]
    if case.entry is not None:
        ways.append(computed_alone(case, rows, dtype))
    wrong, compared = [], 0
    for r, row in enumerate(rows):
        undefined = mp.isnan(limit(case, row, 0))  # outside the domain there is no derivative to be right
        for order in orders:
            for i in [i for i in range(len(row)) if i not in case.fixed] if order else [0]:
                if order and (undefined or (math.isinf(row[i]) and not case.entrywise)):
                    continue
                wanted = limit(case, row, order, i)
                for value, slopes in ways:
                    found = float(value[r] if not order else slopes[r, i])
                    compared += 1
                    if not right(found, wanted, dtype):
                        what = f"d/dx{i + 1 if len(row) > 1 else ''}" if order else "value"
                        wrong.append(Wrong(case.name, np.dtype(dtype).name, what, row, found, float(rounded(wanted, dtype))))
                        break
    return compared, wrong
