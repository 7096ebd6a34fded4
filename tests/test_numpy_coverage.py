"""NumPy called with Tensors: the coverage page is what happens, for every function, keyword and method of a ufunc."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.errors import InPlaceError, UnsupportedError
from tinygrad_edu.ops import numpy_protocols
from tinygrad_edu.ops.numpy_alternatives import ALTERNATIVES, IN_PLACE

DOCS = Path(__file__).resolve().parent.parent / "docs"


def _generator(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


coverage = _generator("make_numpy_coverage")
FUNCTIONS = {names[0]: (names, function) for found in coverage.functions().values() for names, function in found}
SAID = {}  # what the page says of each name
for _line in (DOCS / "numpy_coverage.md").read_text(encoding="utf-8").splitlines():
    if _line.startswith("| `np."):
        _cells = [cell.strip() for cell in _line.strip("|").split(" | ")]
        for _name in re.findall(r"`(np\.[\w.]+)`", _cells[0]):
            SAID.setdefault(_name, _cells)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_page_says_what_happens(name: str) -> None:
    """Each function is called with arrays and with Tensors, and its numbers are NumPy's."""
    _, function = FUNCTIONS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind, args, kwargs = coverage.try_out(name, function)
    if name in SAID:  # younger and older versions of NumPy have other functions
        assert SAID[name][1] == coverage.SAID[kind], "the page is old: python docs/make_numpy_coverage.py"
    if kind == "differentiable" and name not in ("np.heaviside", "np.trim_zeros"):  # called at their steps
        check_slope(function, args, kwargs)
    elif kind in ("unsupported", "in place"):
        written = numpy_protocols.full_name(function)
        assert numpy_protocols.alternative(written), f"{name}: say in ops/numpy_alternatives.py what to write instead"


VERSION = ".".join(np.__version__.split(".")[:2])


@pytest.mark.skipif(f"Every function of NumPy {VERSION} " not in coverage.PAGE.read_text("utf-8"),
                    reason="the page lists the functions of another version of NumPy")
def test_the_page_is_current() -> None:
    assert coverage.PAGE.read_text(encoding="utf-8") == coverage.page(), "run: python docs/make_numpy_coverage.py"


def check_slope(function: Callable[..., Any], args: Any, kwargs: dict[str, Any], tolerance: float = 2e-7) -> None:
    """The gradient of a weighted sum of the results against the difference along a direction."""
    places = _floats(args) + _floats(kwargs)
    steps = [np.cos(3.0 * np.arange(x.size) + 0.5).reshape(x.shape) * 0.1 for x in places]

    def moved(h: float) -> float:
        own = {id(x): x + h * u for x, u in zip(places, steps, strict=True)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(weighted(_real(function(*_swap(args, own), **_swap(kwargs, own)))))

    tensors = {id(x): Tensor(x) for x in places}
    J = weighted(function(*_swap(args, tensors), **_swap(kwargs, tensors)))
    J.backward()
    slope = sum(np.sum(t.grad * u) for t, u in zip(tensors.values(), steps, strict=True) if t.grad is not None)
    h = 1e-3
    difference = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h)
    if np.isfinite(difference):
        tolerance = 1e-3 if J.dtype == np.float32 else tolerance
        assert abs(slope - difference) <= tolerance * max(1.0, abs(difference)), (slope, difference)


def _real(result: Any) -> Any:
    """Complex numbers without an imaginary part as real ones: from NumPy 2.5 on eigenvalues are always complex."""
    if isinstance(result, (list, tuple)):
        return [_real(item) for item in result]
    return result.real if np.iscomplexobj(result) and not np.any(result.imag) else result


def weighted(result: Any) -> Any:
    """A number that depends on every float entry of the results."""
    if isinstance(result, (list, tuple)):
        parts = [weighted(item) for item in result]
        return sum(parts[1:], parts[0])
    if not hasattr(result, "dtype") or result.dtype.kind != "f":
        return 0.0
    flat = result.reshape(-1) if result.ndim else result
    y = (flat * (np.cos(np.arange(result.size, dtype=result.dtype)) + 1.3).reshape(flat.shape))
    return y.sum()


def _floats(args: Any) -> list[Any]:
    if isinstance(args, np.ndarray) and args.dtype.kind == "f" and args.ndim:
        return [args]
    items = args.values() if isinstance(args, dict) else args if isinstance(args, (list, tuple)) else []
    return list({id(x): x for item in items for x in _floats(item)}.values())


def _swap(args: Any, own: dict[int, Any]) -> Any:
    if isinstance(args, np.ndarray):
        return own.get(id(args), args)
    if isinstance(args, dict):
        return {k: _swap(v, own) for k, v in args.items()}
    return type(args)(_swap(a, own) for a in args) if isinstance(args, (list, tuple)) else args


def test_every_alternative_works() -> None:
    """No refusal sends the reader to a function that is refused too."""
    refused = {name for names, function in FUNCTIONS.values() for name in names
               if SAID.get(name, ["", ""])[1].startswith("unsupported")}
    for name, text in {**ALTERNATIVES, **IN_PLACE}.items():
        if name not in refused:
            continue
        for mentioned in re.findall(r"np\.[\w.]*\w", text):
            it = re.escape(mentioned)
            numbers_only = re.search(rf"{it}\(t\.numpy\(\)\)|{it} of (an? )?(integer|truth|array)|t\[{it}", text)
            assert mentioned not in refused or numbers_only, f"{name}: {text}"


def test_the_page_names_every_function_of_the_tables() -> None:
    listed = {id(function) for _, function in FUNCTIONS.values()}
    hidden = {np.fix}  # a plain function in younger versions of NumPy
    for function in [*numpy_protocols.UFUNCS, *numpy_protocols.FUNCTIONS]:
        assert id(function) in listed or function in hidden or function.__module__.startswith("numpy.lib"), function


# ---------------------------------------------------------------- keywords: right or refused, never ignored

X = np.array([[0.53, -1.47, 2.61], [3.08, 0.27, -0.79]])
MASK = np.array([[True, False, True], [True, True, False]])


@pytest.mark.parametrize("call", [
    pytest.param(lambda t: np.sum(t, where=MASK), id="sum-where"),
    pytest.param(lambda t: np.sum(t, axis=0, where=MASK, initial=3.0, keepdims=True), id="sum-where-initial"),
    pytest.param(lambda t: np.sum(t, initial=3.0), id="sum-initial"),
    pytest.param(lambda t: np.sum(where=MASK, a=t), id="sum-keywords"),
    pytest.param(lambda t: np.prod(t, 1, where=MASK, initial=2.0), id="prod"),
    pytest.param(lambda t: np.max(t, axis=1, initial=0.0), id="max-initial"),
    pytest.param(lambda t: np.max(t, initial=0.0, where=MASK), id="max-where"),
    pytest.param(lambda t: np.min(t, axis=(0, 1), initial=0.3, where=MASK), id="min-where"),
    pytest.param(lambda t: np.mean(t, axis=1, where=MASK), id="mean-where"),
    pytest.param(lambda t: np.mean(t, where=MASK[0], keepdims=True), id="mean-where-broadcast"),
    pytest.param(lambda t: np.add.reduce(t, where=MASK), id="reduce-where"),
    pytest.param(lambda t: np.add.reduce(t, 1, None, None, True, 5.0, MASK), id="reduce-positional"),
    pytest.param(lambda t: np.multiply.reduce(t, axis=None, initial=2.0), id="multiply-initial"),
    pytest.param(lambda t: np.maximum.reduce(t, initial=1.0), id="maximum-initial"),
    pytest.param(lambda t: np.logaddexp.reduce(t, axis=1, initial=0.0), id="logaddexp-initial"),
    pytest.param(lambda t: np.add(t, 1, dtype=np.float32), id="ufunc-dtype"),
    pytest.param(lambda t: np.exp(t, dtype="f4", casting="same_kind"), id="ufunc-dtype-casting"),
    pytest.param(lambda t: np.exp(t, where=True, order="C", subok=False), id="ufunc-no-effect"),
    pytest.param(lambda t: np.add.outer(t, t, dtype=np.float32), id="outer-dtype"),
    pytest.param(lambda t: np.sum(t, dtype=np.float32), id="sum-dtype"),
    pytest.param(lambda t: np.sum(t, 0, np.float32), id="sum-dtype-positional"),
    pytest.param(lambda t: np.cumsum(t, 0, np.float32), id="cumsum-dtype"),
    pytest.param(lambda t: np.add.reduce(t, dtype=np.float32), id="reduce-dtype"),
    pytest.param(lambda t: np.add.accumulate(t, axis=1, dtype=np.float32), id="accumulate-dtype"),
    pytest.param(lambda t: np.concatenate([t, t], dtype=np.float32), id="concatenate-dtype"),
    pytest.param(lambda t: np.stack([t, t], dtype=np.float32, casting="same_kind"), id="stack-dtype"),
    pytest.param(lambda t: np.add.reduceat(t, [0, 2, 1], axis=1), id="reduceat"),
    pytest.param(lambda t: np.multiply.reduceat(t, [1, 0]), id="reduceat-multiply"),
    pytest.param(lambda t: np.maximum.reduceat(t, [0, 0, 1], axis=-1, dtype=np.float32), id="reduceat-dtype"),
    pytest.param(lambda t: np.vecdot(t, t, axis=0), id="vecdot-axis"),
    pytest.param(lambda t: np.linspace(t, 2.0, 4, axis=1), id="linspace-axis"),
    pytest.param(lambda t: np.linspace(t, 2.0, 4, endpoint=False), id="linspace-endpoint"),
    pytest.param(lambda t: np.linspace(0.0, t[0], num=1), id="linspace-one"),
    pytest.param(lambda t: np.geomspace(t[1, :2], [2.0, 4.0], 4, axis=-1), id="geomspace-axis"),
    pytest.param(lambda t: np.logspace(t[0], 1.0, 4, base=2.0, axis=1), id="logspace-base"),
    pytest.param(lambda t: np.convolve(t[0], [1.0, 2.0], "same"), id="convolve-same"),
    pytest.param(lambda t: np.convolve([1.0, 2.0], t[0], "valid"), id="convolve-valid-swapped"),
    pytest.param(lambda t: np.convolve(t[0], [1.0, 2.0, 3.0, 4.0], "same"), id="convolve-same-longer"),
    pytest.param(lambda t: np.correlate(t[0], [1.0, 2.0], "full"), id="correlate-full"),
    pytest.param(lambda t: np.correlate([1.0, 2.0], t[0], "same"), id="correlate-longer"),
    pytest.param(lambda t: np.correlate([1.0, 2.0], t[0], "valid"), id="correlate-longer-valid"),
    pytest.param(lambda t: np.trapezoid(t, dx=0.5, axis=0), id="trapezoid-dx"),
    pytest.param(lambda t: np.trapezoid(t, [0.0, 1.0, 3.0]), id="trapezoid-x"),
    pytest.param(lambda t: np.trapezoid(t, [0.0, 1.0], axis=0), id="trapezoid-x-axis"),
    pytest.param(lambda t: np.trapezoid(np.ones((2, 3)), t), id="trapezoid-of-places"),
    pytest.param(lambda t: np.vander(t[0], 4, increasing=True), id="vander-increasing"),
    pytest.param(lambda t: np.polyval([2.0, 1.0, 0.5], t), id="polyval-of-table"),
    pytest.param(lambda t: np.polyval(t[0], 1.7), id="polyval-of-coefficients"),
    pytest.param(lambda t: np.block([[t, t], [np.ones((1, 6))]]), id="block"),
    pytest.param(lambda t: np.block([t[0], 2.0]), id="block-row"),
    pytest.param(lambda t: np.cumulative_sum(t, axis=1, include_initial=True), id="cumulative-initial"),
    pytest.param(lambda t: np.cumulative_prod(t, axis=0, include_initial=True), id="cumulative-prod-initial"),
    pytest.param(lambda t: np.ediff1d(t, to_end=[9.0], to_begin=t[0, 0]), id="ediff1d"),
    pytest.param(lambda t: np.choose([[0, 1, 1], [1, 0, 0]], [t, 10 * t]), id="choose"),
    pytest.param(lambda t: np.choose([4, -1, 1], [t[0], 10.0], mode="clip"), id="choose-clip"),
    pytest.param(lambda t: np.choose([4, -1, 1], [t[0], 10.0], mode="wrap"), id="choose-wrap"),
    pytest.param(lambda t: np.compress([False, True], t, axis=1), id="compress-axis"),
    pytest.param(lambda t: np.extract(MASK, t), id="extract"),
    pytest.param(lambda t: np.piecewise(t, [X < 0, X > 1], [np.square, lambda v: 2 * v, 7.0]), id="piecewise"),
    pytest.param(lambda t: np.piecewise(t, [X < 2, X < 1], [1.0, np.exp]), id="piecewise-overlap"),
    pytest.param(lambda t: np.apply_along_axis(np.cumsum, 0, t), id="apply-along-axis"),
    pytest.param(lambda t: np.apply_along_axis(lambda v: np.outer(v, v), 1, t), id="apply-along-axis-tables"),
    pytest.param(lambda t: np.apply_over_axes(np.sum, t, (0, 1)), id="apply-over-axes"),
    pytest.param(lambda t: np.resize(t, (2, 5)), id="resize"),
    pytest.param(lambda t: np.trim_zeros(np.pad(t[0], 2), "f"), id="trim-front"),
    pytest.param(lambda t: np.unwrap(4 * t, axis=0), id="unwrap"),
    pytest.param(lambda t: np.unique(np.stack([t, t])), id="unique"),
    pytest.param(lambda t: np.unique(t, axis=0), id="unique-axis"),
    pytest.param(lambda t: np.fft.ifftshift(t), id="ifftshift"),
    pytest.param(lambda t: np.fft.fftshift(t, axes=1), id="fftshift-axis"),
    pytest.param(lambda t: np.ldexp(t, [1, -2, 3]), id="ldexp"),
    pytest.param(lambda t: np.frexp(t)[0], id="frexp"),
    pytest.param(lambda t: np.modf(t)[0], id="modf"),
    pytest.param(lambda t: np.divmod(t, 0.4)[1], id="divmod"),
    pytest.param(lambda t: divmod(t, 0.4)[1], id="divmod-operator"),
    pytest.param(lambda t: divmod(7.0, t)[1], id="divmod-operator-right"),
    pytest.param(lambda t: np.unstack(t, axis=1)[2], id="unstack"),
    pytest.param(lambda t: np.matvec(t, [1.0, 2.0, 3.0]), id="matvec"),
    pytest.param(lambda t: np.vecmat([1.0, 2.0], t), id="vecmat"),
])
def test_keywords_do_what_numpy_does(call: Callable[[Any], Any]) -> None:
    try:
        wanted = call(X)
    except AttributeError as error:
        pytest.skip(str(error))  # a function of younger versions of NumPy
    found = call(Tensor(X))
    assert type(found) is Tensor
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6 if wanted.dtype == np.float32 else 1e-13, atol=1e-15)
    if wanted.dtype == np.float64:
        check_slope(call, (X,), {})


@pytest.mark.parametrize("call", [
    pytest.param(lambda t: np.exp(t, where=MASK), id="ufunc-where"),
    pytest.param(lambda t: np.add(t, 1, casting="no"), id="casting"),
    pytest.param(lambda t: np.add(t, 1, dtype=np.int64, casting="unsafe"), id="dtype-integer"),
    pytest.param(lambda t: np.add(t, 1, signature="dd->d"), id="signature"),
    pytest.param(lambda t: np.sum(t, dtype=int), id="sum-dtype-integer"),
    pytest.param(lambda t: np.std(t, where=MASK), id="std-where"),
    pytest.param(lambda t: np.var(t, where=MASK), id="var-where"),
    pytest.param(lambda t: np.cumsum(t, dtype=int), id="cumsum-dtype-integer"),
    pytest.param(lambda t: np.concatenate([t, t], dtype=np.float32, casting="safe"), id="concatenate-casting"),
    pytest.param(lambda t: np.matmul(t, t.T, axes=[(0, 1), (0, 1), (0, 1)]), id="matmul-axes"),
    pytest.param(lambda t: np.subtract.reduce(t), id="subtract-reduce"),
    pytest.param(lambda t: np.hypot.accumulate(t), id="hypot-accumulate"),
    pytest.param(lambda t: np.hypot.reduceat(t, [0, 1]), id="hypot-reduceat"),
    pytest.param(lambda t: np.bincount([0, 1, 1], weights=t[0]), id="bincount-weights"),
    pytest.param(lambda t: np.histogram(X, weights=t), id="histogram-weights"),
    pytest.param(lambda t: np.ldexp(2.0, t), id="ldexp-exponent"),
    pytest.param(lambda t: np.frompyfunc(float, 1, 1)(t), id="frompyfunc"),
])
def test_what_would_be_ignored_is_refused(call: Callable[[Any], Any]) -> None:
    with pytest.raises(UnsupportedError):
        call(Tensor(X))


# Values of many kinds, one of which may suit a parameter that a call above does not use
KEYWORDS = [False, True, 0, 1, (0, 1), "F", "wrap", "reflect", "valid", "lower", "U", "complete", 2.5, np.float32, int, np.inf,
            np.array([True, False, True]), np.array([0.5, 1.5, 2.5]), np.array([0.1, 0.2, 0.3, 0.4])]
ELSEWHERE = {  # what differs on purpose, or in the last digit
    ("np.linalg.lstsq", "rcond"): "beyond 1, LAPACK takes its own", ("np.std", "dtype"): "another order of sums",
    ("np.var", "dtype"): "another order of sums", ("np.unwrap", "period"): "no period",
    ("np.mean", "where"): "NumPy counts 2.5 as two entries and a half",
}


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if not n.endswith(("_like", "_repr", "_str", "2string"))])
def test_no_keyword_is_ignored(name: str) -> None:
    """Whatever NumPy takes for a parameter, with Tensors the result is NumPy's, or it is refused."""
    _, function = FUNCTIONS[name]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        kind, args, kwargs = coverage.try_out(name, function)
        if kind in ("unsupported", "in place") or name.rpartition(".")[2] in (*coverage.FILES, "may_share_memory"):
            return
        if isinstance(function, np.ufunc):
            parameters = ["casting", "order", "dtype", "subok", "signature", "axis", "keepdims"]
        else:
            parameters = list(inspect.signature(function).parameters)[len(args) :]
        for parameter in parameters:
            if parameter in (*kwargs, "out", "like") or (name, parameter) in ELSEWHERE:
                continue
            for value in KEYWORDS:
                extra = {**kwargs, parameter: value}
                try:
                    wanted = function(*(a.copy() if isinstance(a, np.ndarray) else a for a in args), **extra)
                except Exception:  # NumPy does not take it
                    continue
                try:
                    found = function(*coverage.recorded(args), **extra)
                except Exception:
                    continue
                assert coverage.numbers_agree(found, wanted), f"{parameter}={value!r}"


def test_a_maximum_of_nothing_needs_a_start() -> None:
    with pytest.raises(ValueError, match="initial="):
        np.max(Tensor(X), where=MASK)
    assert np.max(Tensor(np.zeros((0, 3))), axis=0, initial=2.0).tolist() == [2, 2, 2]


@pytest.mark.parametrize("name", sorted(IN_PLACE))
def test_changing_an_array_is_refused_with_the_rewrite(name: str) -> None:
    function = getattr(np, name.removeprefix("np."))
    _, args, kwargs = coverage.try_out(name, function)
    with pytest.raises(InPlaceError, match="Write x = "):
        function(*coverage.recorded(args), **kwargs)


def test_methods_of_value_ufuncs_give_values() -> None:
    t = Tensor([0.0, 1.0, 2.0])
    assert np.logical_and.reduce(t) == np.False_
    np.testing.assert_array_equal(np.logical_or.accumulate(t), [False, True, True])
    np.testing.assert_array_equal(np.logical_xor.outer(t, t > 0), np.logical_xor.outer(t.numpy(), t.numpy() > 0))


def test_refusals_name_the_namespace() -> None:
    t = Tensor(X)
    for call, name in ((lambda: np.fft.fft(t), "np.fft.fft:"), (lambda: np.emath.sqrt(t), "np.emath.sqrt:"),
                       (lambda: np.subtract.reduce(t), "np.subtract.reduce:")):
        with pytest.raises(UnsupportedError, match=re.escape(name)):
            call()
    with pytest.raises(UnsupportedError, match=r"np\.cos"):
        np.fft.fft(t)


def test_float32_stays_as_numpy_keeps_it() -> None:
    x = np.array([1.5, 2.5], np.float32)
    for call in (lambda x: np.linspace(x, 2, 3), lambda x: np.linspace(x[0], 2.0, 3),
                 lambda x: np.polyval(np.float32([1, 2]), x),
                 lambda x: np.piecewise(x, [np.array([True, False])], [np.exp, 5.0]), lambda x: np.convolve(x, x),
                 lambda x: np.trapezoid(x), lambda x: np.unwrap(x * 9), lambda x: np.ldexp(x, 3),
                 lambda x: np.modf(x)[0], lambda x: np.frexp(x)[0], lambda x: np.unique(x), lambda x: np.ediff1d(x)):
        found, wanted = call(Tensor(x)), call(x)
        assert found.dtype == wanted.dtype == np.float32
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)


def test_the_parts_of_infinities() -> None:
    x = np.array([np.inf, -np.inf, np.nan, 5e-324, 0.0])
    for function in (np.modf, np.frexp):
        for found, wanted in zip(function(Tensor(x)), function(x), strict=True):
            np.testing.assert_array_equal(found.numpy() if isinstance(found, Tensor) else found, wanted)


def test_the_divmod_operator_records() -> None:
    assert tg.grad(lambda x: sum(divmod(x, 2.0)))(3.5) == 1.0


def test_turns_are_whole() -> None:
    """NumPy turned by 2.5 quarters as by 3, and from 2.5 on as by 2."""
    with pytest.raises(TypeError, match=r"rot90: k=2\.5: quarter turns are counted in whole numbers\. Write k=2\."):
        np.rot90(Tensor(X), 2.5)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"rot90: k='1' is not a whole number"):
        tg.rot90(Tensor(X), "1")  # type: ignore[arg-type]
    np.testing.assert_array_equal(np.rot90(Tensor(X), np.int64(-1)).numpy(), np.rot90(X, -1))
