"""Write docs/numpy_coverage.md by calling every function of NumPy with Tensors: python docs/make_numpy_coverage.py.

What a row says is what happened when the function was called: once with plain arrays, once with Tensors in their place.
"""

from __future__ import annotations

import inspect
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.errors import DetachError, InPlaceError, UnsupportedError
from tinygrad_edu.ops import numpy_protocols

PAGE = Path(__file__).with_name("numpy_coverage.md")
NAMESPACES = {
    "np": np, "np.linalg": np.linalg, "np.fft": np.fft, "np.lib.stride_tricks": np.lib.stride_tricks, "np.emath": np.emath,
    "np.polynomial.polynomial": np.polynomial.polynomial,
}
DISPATCHER = type(np.sum)

A = np.array([[0.83, 0.21, 0.34], [0.16, 0.72, 0.28], [0.37, 0.11, 0.94]])  # any table, of full rank, between 0 and 1
B = np.array([[0.45, 0.67, 0.13], [0.29, 0.91, 0.53], [0.77, 0.19, 0.41]])
S = A @ A.T  # symmetric, positive definite
V, W = np.array([0.31, 0.74, 0.52, 0.88]), np.array([0.67, 0.23, 0.95, 0.42])
CUBE = np.linspace(0.1, 0.9, 24).reshape(2, 3, 4) ** 1.1
MASK, PLACES = np.array([True, False, True, True]), np.array([2, 0, 1, 2])
NAN = np.array([0.3, np.nan, 0.7, 0.2])


def call(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call."""
    return args, kwargs


# Calls for the functions that do not take one or two tables. Float arrays become Tensors.
CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "np.acosh": call(A + 1.5), "np.arccosh": call(A + 1.5), "np.apply_along_axis": call(np.sum, 0, A),
    "np.apply_over_axes": call(np.sum, A, [0]), "np.array_split": call(V, 2), "np.astype": call(A, np.float32),
    "np.broadcast_to": call(V, (2, 4)), "np.choose": call(PLACES, [V, W, V + 1]), "np.compress": call(MASK, V),
    "np.extract": call(MASK, V), "np.copyto": call(np.zeros(4), V), "np.cov": call(A), "np.cross": call(A[0], B[0]),
    "np.delete": call(V, 1), "np.digitize": call(V, np.array([0.4, 0.6])), "np.dsplit": call(CUBE, 2),
    "np.einsum": call("ij,jk->ik", A, B), "np.einsum_path": call("ij,jk->ik", A, B), "np.expand_dims": call(A, 0),
    "np.fill_diagonal": call(A, 0.5), "np.full_like": call(A, B[0]), "np.geomspace": call(V, W, 3), "np.gradient": call(V),
    "np.insert": call(V, 1, 0.5), "np.interp": call(V, np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.3, 2.0])),
    "np.linspace": call(V, W, 3), "np.logspace": call(V, W, 3), "np.moveaxis": call(A, 0, 1), "np.pad": call(A, 1),
    "np.partition": call(V, 2), "np.argpartition": call(V, 2), "np.percentile": call(V, 30.0),
    "np.quantile": call(V, 0.3), "np.nanpercentile": call(NAN, 30.0), "np.nanquantile": call(NAN, 0.3),
    "np.piecewise": call(V, [V < 0.5], [np.exp, np.log]), "np.place": call(V, MASK, W), "np.put": call(V, [0], [0.5]),
    "np.put_along_axis": call(V, PLACES, 0.5, 0), "np.putmask": call(V, MASK, W), "np.repeat": call(V, 2),
    "np.reshape": call(A, (9,)), "np.resize": call(V, (2, 3)), "np.roll": call(V, 1), "np.rollaxis": call(A, 1),
    "np.searchsorted": call(np.sort(V), W), "np.select": call([V < 0.4, V < 0.8], [V, W]), "np.split": call(V, 2),
    "np.hsplit": call(V, 2), "np.vsplit": call(np.vstack([A, B]), 2), "np.swapaxes": call(A, 0, 1),
    "np.take": call(V, PLACES), "np.take_along_axis": call(V, PLACES, 0), "np.tile": call(V, 2),
    "np.where": call(MASK, V, W), "np.concat": call([A, B]), "np.polyfit": call(V, W, 1), "np.vander": call(V, 3),
    "np.bincount": call(PLACES, minlength=4), "np.histogram": call(V, np.array([0.0, 0.5, 1.0])),
    "np.histogram2d": call(V, W, 2), "np.histogramdd": call(A, 2), "np.ldexp": call(V, 2),
    "np.nanmax": call(NAN), "np.nanmin": call(NAN), "np.nansum": call(NAN), "np.nanmean": call(NAN), "np.nanstd": call(NAN),
    "np.nanvar": call(NAN), "np.nanprod": call(NAN), "np.nanmedian": call(NAN), "np.nancumsum": call(NAN),
    "np.nancumprod": call(NAN), "np.nan_to_num": call(NAN), "np.nanargmax": call(NAN), "np.nanargmin": call(NAN),
    "np.ix_": call(V, W), "np.trim_zeros": call(np.array([0.0, 0.5, 0.7, 0.0])), "np.convolve": call(V, W),
    "np.correlate": call(V, W), "np.trapezoid": call(V), "np.polyval": call(V, W), "np.block": call([A, B]),
    "np.cumulative_sum": call(V), "np.cumulative_prod": call(V), "np.matvec": call(A, B[0]), "np.vecmat": call(A[0], B),
    "np.histogram_bin_edges": call(V), "np.unwrap": call(V), "np.diagflat": call(V), "np.ediff1d": call(V),
    "np.lexsort": call(V), "np.roots": call(V), "np.poly": call(V), "np.polydiv": call(V, W[:2]),
    "np.can_cast": call(A, np.float64), "np.isin": call(V, W), "np.meshgrid": call(V, W), "np.inner": call(A, B),
    "np.linalg.cholesky": call(S), "np.linalg.eigh": call(S), "np.linalg.eigvalsh": call(S), "np.linalg.eig": call(S),
    "np.linalg.eigvals": call(S), "np.linalg.matrix_power": call(A, 3), "np.linalg.multi_dot": call([A, B, S]),
    "np.linalg.tensorsolve": call(A, V[:3]), "np.linalg.cross": call(A[0], B[0]), "np.linalg.tensorinv": call(A, ind=1),
    "np.linalg.outer": call(V, W), "np.linalg.lstsq": call(A, V[:3]), "np.linalg.solve": call(A, V[:3]),
    "np.lib.stride_tricks.sliding_window_view": call(V, 2), "np.lib.stride_tricks.as_strided": call(V),
    "np.emath.logn": call(2, V), "np.emath.power": call(V, 2),
    "np.heaviside": call(np.array([0.0, 0.3, -0.4]), V[:3]), "np.frexp": call(V),
    "np.polynomial.polynomial.polyval2d": call(V, W, A), "np.polynomial.polynomial.polygrid2d": call(V, W, A),
}
# calls that cannot be made with numbers between 0 and 1, and would not reach the Tensor
INTEGERS = ["bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "bitwise_invert", "invert"]
FILES = ["save", "savez", "savez_compressed", "savetxt"]


@dataclass
class Row:
    """What happened with one function."""

    names: list[str]
    function: Any
    kind: str  # differentiable, zero, values, unsupported, in place
    note: str


def tensors_in(result: Any) -> list[tg.Tensor]:
    """The recorded Tensors of a result."""
    if isinstance(result, tg.Tensor):
        return [result] if result.requires_grad else []
    return [t for item in result for t in tensors_in(item)] if isinstance(result, (list, tuple)) else []


def recorded(args: Any) -> Any:
    """The same arguments with Tensors in place of float arrays, also in lists."""
    if isinstance(args, np.ndarray) and args.dtype.kind == "f" and args.ndim:
        return tg.Tensor(args)
    if type(args) in (list, tuple):
        return type(args)(recorded(a) for a in args)
    return {k: recorded(v) for k, v in args.items()} if type(args) is dict else args


def guesses(name: str, function: Any) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Calls to try, the one that was written down first."""
    plain = name.rpartition(".")[2]
    if name in CALLS:
        yield CALLS[name]
    if plain in INTEGERS:
        yield call(A > 0.5) if getattr(function, "nin", 2) == 1 else call(A > 0.5, B > 0.5)
    if plain in FILES:
        yield call(str(Path(tempfile.mkdtemp()) / "table"), A)
    for args in ((A,), (A, B), (A[0],), (A, 0), ([A, B],), (A, B, A)):
        yield call(*args)


def numbers_agree(found: Any, wanted: Any) -> bool:
    """Whether a result is NumPy's, of Tensors or arrays, in containers too."""
    if isinstance(wanted, (list, tuple)):
        return len(found) == len(wanted) and all(numbers_agree(f, w) for f, w in zip(found, wanted, strict=True))
    found = found.numpy() if isinstance(found, tg.Tensor) else found
    if isinstance(wanted, (np.ndarray, np.generic)) and wanted.dtype.kind in "fc":
        return np.shape(found) == np.shape(wanted) and np.allclose(found, wanted, rtol=1e-12, atol=1e-14, equal_nan=True)
    return bool(np.all(np.asarray(found) == np.asarray(wanted)))


def try_out(name: str, function: Any) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """Call a function with arrays and with Tensors: what came of it, and the arguments."""
    short_of = None
    for args, kwargs in guesses(name, function):
        if name.startswith("np.empty_like"):
            wanted = None
        else:
            try:
                with warnings.catch_warnings(), np.errstate(all="raise"):
                    warnings.simplefilter("error")
                    warnings.simplefilter("ignore", DeprecationWarning)  # a function on its way out is listed while it is there
                    wanted = function(*_copies(args), **kwargs)
            except Exception as error:
                short_of = error
                continue
        try:
            found = function(*recorded(args), **recorded(kwargs))
        except InPlaceError:
            return "in place", args, kwargs
        except (UnsupportedError, DetachError):
            return "unsupported", args, kwargs
        if wanted is not None and name.rpartition(".")[2] not in ("array_repr", "array2string", "may_share_memory", *FILES):
            assert numbers_agree(found, wanted), f"{name}{args}: {found} with Tensors, {wanted} with arrays"
        results = tensors_in(found)
        if not results:
            return "values", args, kwargs
        return ("differentiable" if _has_slope(results) else "zero"), args, kwargs
    # no call with arrays of numbers works: what the protocol does with a Tensor
    count = _required(function)
    try:
        function(*[tg.Tensor(A)] * count)
    except InPlaceError:
        return "in place", (), {}
    except UnsupportedError:
        return "unsupported", (), {}
    except Exception as error:
        short_of = error
    raise AssertionError(f"{name}: no call was found ({short_of}). Add one to CALLS in docs/make_numpy_coverage.py.")


def _copies(args: Any) -> Any:
    return tuple(a.copy() if isinstance(a, np.ndarray) else a for a in args)


def _required(function: Any) -> int:
    if isinstance(function, np.ufunc):
        return function.nin
    parameters = inspect.signature(function).parameters.values()
    return max(1, sum(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters))


def _has_slope(results: list[tg.Tensor]) -> bool:
    """Whether any operand gets a gradient other than 0."""
    leaves: dict[int, tg.Tensor] = {}
    waiting = list(results)
    for t in waiting:  # grows while it is walked: all that the results were made from
        if t.op is None:
            leaves[t.id] = t
        waiting += [a for a in t.args if isinstance(a, tg.Tensor) and a.requires_grad]
    for y in results:
        y.backward(np.cos(np.arange(y.size, dtype=y.dtype)).reshape(y.shape) + 1.3)
    return any(t.grad is not None and np.any(t.grad) for t in leaves.values())


def functions() -> dict[str, list[tuple[list[str], Any]]]:
    """Every function that reaches Tensors through NumPy's protocols, by namespace; names of one function together."""
    found: dict[str, list[tuple[list[str], Any]]] = {}
    seen: set[int] = set()
    for space, module in NAMESPACES.items():
        own: dict[int, tuple[list[str], Any]] = {}
        for name in sorted(dir(module)):
            function = getattr(module, name)
            if name.startswith("_") or not isinstance(function, (np.ufunc, DISPATCHER)) or id(function) in seen:
                continue
            own.setdefault(id(function), ([], function))[0].append(f"{space}.{name}")
        seen |= own.keys()
        found[space] = list(own.values())
    return found


def rows(space: str) -> list[Row]:
    """The functions of a namespace, each called."""
    table = []
    for names, function in functions()[space]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind, _, _ = try_out(names[0], function)
        note = ""
        if kind in ("unsupported", "in place"):
            note = numpy_protocols.alternative(numpy_protocols.full_name(function))
        table.append(Row(names, function, kind, note))
    return table


SAID = {
    "differentiable": "differentiable", "zero": "differentiable: 0 wherever it is smooth", "values": "no derivative by nature",
    "unsupported": "unsupported", "in place": "unsupported: changes an array in place",
}


def line(row: Row) -> str:
    note = (row.note or ("For the numbers alone use t.numpy()." if row.kind == "unsupported" else "")).replace("|", "\\|")
    return f"| {', '.join(f'`{n}`' for n in row.names)} | {SAID[row.kind]} | {note} |"


# ---------------------------------------------------------------- methods of ufuncs

METHODS = ("outer", "reduce", "accumulate", "reduceat")


def methods_of(ufunc: np.ufunc) -> list[str]:
    """Which methods of a ufunc of two operands work on Tensors, and give NumPy's numbers."""
    known = []
    for method in METHODS:
        extra = {"outer": (V,), "reduceat": ([0, 2, 1],)}.get(method, ())
        bound = getattr(ufunc, method)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                wanted = bound(W, *extra)
                found = bound(tg.Tensor(W), *recorded(list(extra)))
            except (UnsupportedError, TypeError, ValueError):
                continue
        assert numbers_agree(found, wanted), (ufunc, method)
        known.append(method)
    return known


# ---------------------------------------------------------------- what the protocols do not reach

t, s = tg.Tensor(V), tg.Tensor(0.5)


def f(x: Any) -> Any:
    return x * 2


APART: list[tuple[str, Callable[[], Any], str]] = [  # a call as it is written, and what to write instead or why it works
    ("np.array([t, t])", lambda: np.array([t, t]), "np.stack([t, t])"),
    ("np.asarray(t)", lambda: np.asarray(t), "t, or t.numpy() for the numbers"),
    ("np.ascontiguousarray(t)", lambda: np.ascontiguousarray(t), "t, or t.numpy() for the numbers"),
    ("np.asmatrix(t)", lambda: np.asmatrix(t), "t.reshape(1, -1)"),
    ("np.array([t, t], dtype=object)", lambda: np.array([t, t], dtype=object), "a list"),
    ("np.full(3, s)", lambda: np.full(3, s), "s * np.ones(3)"),
    ("np.arange(s)", lambda: np.arange(s), "np.arange(n) * s"),
    ("np.vectorize(f)(t)", lambda: np.vectorize(f)(t), "f(t), or np.stack([f(x) for x in t])"),
    ("np.frompyfunc(f, 1, 1)(t)", lambda: np.frompyfunc(f, 1, 1)(t), "f(t)"),
    ("np.fromfunction(lambda i: i * s, (3,))", lambda: np.fromfunction(lambda i: i * s, (3,)),
     "operators, which record"),
    ("np.r_[t, 1.0]", lambda: np.r_[t, 1.0], "np.concatenate([t, [1.0]])"),
    ("np.c_[t, t]", lambda: np.c_[t, t], "np.column_stack([t, t])"),
    ("np.mgrid[0:s:0.1]", lambda: np.mgrid[0:s:0.1], "np.linspace(0, s, 5)"),
    ("np.kaiser(3, s)", lambda: np.kaiser(3, s), ""),
    ("np.poly1d([1.0, 2.0])(t)", lambda: np.poly1d([1.0, 2.0])(t), "np.polyval, which it calls"),
    ("np.polynomial.polynomial.polyval(t, [1.0, 2.0])", lambda: np.polynomial.polynomial.polyval(t, [1.0, 2.0]),
     "operators, which record"),
    ("np.polynomial.polynomial.polyval(2.0, t)", lambda: np.polynomial.polynomial.polyval(2.0, t),
     "np.polyval(np.flip(t), 2.0)"),
    ("np.polynomial.chebyshev.chebval(t, [1.0, 2.0, 3.0])", lambda: np.polynomial.chebyshev.chebval(t, [1.0, 2.0, 3.0]),
     "operators, which record"),
    ("np.polynomial.Polynomial([1.0, 2.0])(t)", lambda: np.polynomial.Polynomial([1.0, 2.0])(t),
     "np.polyval([2.0, 1.0], t)"),
    ("np.ma.array(t)", lambda: np.ma.array(t), "np.where(mask, t, 0.0)"),
    ("np.random.default_rng(0).normal(t, 1.0)", lambda: np.random.default_rng(0).normal(t, 1.0),
     "t + rng.normal(0, 1, t.shape), the noise apart"),
    ("np.random.default_rng(0).choice(4, p=t)", lambda: np.random.default_rng(0).choice(4, p=t), "p=t.numpy()"),
    ("np.random.default_rng(0).permutation(t)", lambda: np.random.default_rng(0).permutation(t),
     "t[rng.permutation(len(t))]"),
    ("np.random.default_rng(0).shuffle(t)", lambda: np.random.default_rng(0).shuffle(t), "t[rng.permutation(len(t))]"),
    ("np.testing.assert_allclose(t, t)", lambda: np.testing.assert_allclose(t, t),
     "t.numpy(), or assert np.allclose(t, t)"),
    ("np.ones(4).dot(t)", lambda: np.ones(4).dot(t), "np.dot(np.ones(4), t), or @"),
    ("np.ones(4).clip(t, 1)", lambda: np.ones(4).clip(t, 1), "np.clip(np.ones(4), t, 1)"),
    ("np.ones(4).fill(s)", lambda: np.ones(4).fill(s), "s * np.ones(4): fill asks for the number"),
    ("np.ones(4) @ t", lambda: np.ones(4) @ t, "operators, which record"),
    ("np.broadcast(t, t)", lambda: np.broadcast(t, t), "np.broadcast_shapes(t.shape, u.shape)"),
    ("np.float64(s)", lambda: np.float64(s), "s: like float(s) this asks for the number"),
    ("np.isscalar(s)", lambda: np.isscalar(s), "s.ndim == 0"),
    ("list(np.ndenumerate(t))", lambda: list(np.ndenumerate(t)), "enumerate(t)"),
    ("np.fromiter(t, float)", lambda: np.fromiter(t, float), "np.stack(list(t)): fromiter asks for the numbers"),
]


def happens(call_it: Callable[[], Any]) -> str:
    """What a call of APART does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = call_it()
        except (DetachError, InPlaceError, UnsupportedError):
            return "refused"
        except (TypeError, ValueError):
            return "refused by NumPy"
    return "recorded" if tensors_in(found) else "plain numbers"


HEAD = """# NumPy's functions on Tensors

Every function of NumPy {version} that can be handed a Tensor, and what it does then. The table was made by calling each one
(`python docs/make_numpy_coverage.py`). There are three kinds:

- **differentiable**: the call is recorded, and `backward()` goes through it; NumPy's values, checked;
- **no derivative by nature**: truth values, counts, places, texts; computed on the numbers, a plain result;
- **unsupported**: raises `UnsupportedError` (`InPlaceError` where an array would be changed) and says what to write instead.

Nothing gives an array of objects, and nothing loses a gradient in silence.

```python
import numpy as np, tinygrad_edu as tg

t = tg.Tensor([1.0, 2.0, 4.0])
np.linspace(t, 2 * t, 5).sum().backward()      # recorded
print(t.grad, np.count_nonzero(t > 1.5))       # a count: a plain number
try:
    np.fft.fft(t)
except tg.errors.UnsupportedError as error:
    print(error)
```

## Keywords

`out=` is refused: it would write over values the graph still needs. `where=` and `initial=` work for `sum`, `prod`, `max`,
`min`, `mean`, `any`, `all` and the `reduce` of their ufuncs (`max` and `min` with `where=` need `initial=`); elsewhere they are
refused, use `np.where`. `dtype=` of a ufunc, of a sum, and of `concatenate` and `stack` converts as NumPy does, and the
gradient is converted back; a dtype without derivatives is refused. `casting=`, `order=` and `subok=` are taken where they
change nothing, and refused where they would.

```python
x = tg.Tensor([[1.0, -2.0], [3.0, 5.0]])
positive = x.numpy() > 0
print(np.sum(x, axis=0, where=positive, initial=10.0))
print(np.exp(x, dtype=np.float32).dtype)
```
"""


def page() -> str:
    """The whole page."""
    version = ".".join(np.__version__.split(".")[:2])
    parts = [HEAD.format(version=version).rstrip()]
    for space in NAMESPACES:
        table = rows(space)
        counts = {kind: sum(row.kind.startswith(kind) for row in table) for kind in SAID}
        done, none = counts["differentiable"] + counts["zero"], counts["values"]
        refused = counts["unsupported"] + counts["in place"]
        parts.append(f"## `{space}`\n\n{done} differentiable, {none} without derivative by nature, {refused} unsupported.\n\n"
                     "| function | with a Tensor | instead |\n|---|---|---|\n" + "\n".join(map(line, table)))
    ufuncs = [f for _, f in functions()["np"] if isinstance(f, np.ufunc) and f.nin == 2 and f.nout == 1 and not f.signature]
    body = []
    for f in ufuncs:
        known = methods_of(f)
        if known:
            body.append(f"| `np.{f.__name__}` | " + " | ".join("yes" if m in known else "" for m in METHODS) + " |")
    parts.append("## Methods of ufuncs\n\nWhere a cell is empty the method is refused, or NumPy has none; `at` changes an "
                 "array in place and is refused for all.\n\n| ufunc | " + " | ".join(f"`{m}`" for m in METHODS) + " |\n|---|"
                 + "---|" * len(METHODS) + "\n" + "\n".join(body))
    parts.append("## What the protocols do not reach\n\nSome of NumPy asks for an array before any protocol is asked. A Tensor "
                 "`t` (and a number `s`) then refuses to become one, because the gradient would be lost; the last column says "
                 "what to write. Only what asks for one number, as `float(s)` does, gets it.\n\n"
                 "| call | what happens | instead, or why |\n|---|---|---|\n"
                 + "\n".join(f"| `{text}` | {happens(call_it)} | {note} |" for text, call_it, note in APART))
    parts.append("Texts (`np.strings`, `np.char`), dates, masked arrays (`np.ma`), matrices (`np.matrix`) and records "
                 "(`np.rec`) hold no numbers to differentiate, or have an arithmetic of their own, and refuse Tensors.")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
