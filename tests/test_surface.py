"""Every function under NumPy's name, as tg.*, and as a method: NumPy's values, checked derivatives, kinks as decided.

A case is a call. It is made on Tensors through NumPy itself, through the package, and as a method; all three must give
what NumPy gives on arrays, record it, and have derivatives that agree with differences, to second order.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from zoo import EINSUM_CASES, INDICES, MATMUL_SHAPES, draw, text

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.calculus import flatten
from tinygrad_edu.errors import InPlaceError, UnsupportedError


@dataclass(frozen=True)
class Case:
    """One call; every float array among the arguments is differentiated."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    numpy: Callable[..., Any] | None = None  # what NumPy computes, where NumPy has no function of this name
    method: str | None = None  # the first argument's method with the same arguments
    smooth: bool = True
    label: str = ""

    def __str__(self) -> str:
        shapes = [np.shape(x) if isinstance(x, (np.ndarray, np.generic)) else x for x in flatten(self.args)[0]]
        shown = ",".join(f"{k}={v}" for k, v in self.kwargs.items())
        return f"{self.name}-{self.label or text(shapes)}{'-' if shown else ''}{shown}".replace(" ", "")

    @property
    def reference(self) -> Callable[..., Any]:
        return self.numpy or getattr(np, self.name)

    def parts(self) -> tuple[list[Any], Callable[[list[Any]], tuple[Any, ...]]]:
        """The arrays to differentiate by, and the function that puts others in their place."""
        leaves, rebuild = flatten(self.args)
        places = [i for i, x in enumerate(leaves)
                  if isinstance(x, (np.ndarray, np.floating)) and x.dtype.kind == "f"]

        def fill(values: list[Any]) -> tuple[Any, ...]:
            filled = list(leaves)
            for i, x in zip(places, values, strict=True):
                filled[i] = x
            return rebuild(filled)  # type: ignore[no-any-return]

        return [leaves[i] for i in places], fill


def ways(case: Case) -> Iterator[tuple[str, Callable[..., Any]]]:
    if case.numpy is None:
        yield f"np.{case.name}", getattr(np, case.name)
    yield f"tg.{case.name}", getattr(tg, case.name)
    if case.method is not None:
        yield f".{case.method}", lambda x, *rest, **kwargs: getattr(x, case.method)(*rest,
                                                                                    **kwargs)  # type: ignore[arg-type]


def outputs(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (list, tuple)) else [result]


def slope(f: Callable[..., Any], xs: list[Any], us: list[Any], h: float = 2e-3) -> Any:
    """df/dt of f(x + t u) at 0, by central differences extrapolated to fourth order."""

    def central(step: float) -> Any:
        up, down = ([x + s * u for x, u in zip(xs, us, strict=True)] for s in (step, -step))
        return (np.asarray(f(*up)) - np.asarray(f(*down))) / (2 * step)

    return (4 * central(h / 2) - central(h)) / 3


def close(actual: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    scale = float(np.max(np.abs(wanted), initial=1.0, where=np.isfinite(wanted)))
    np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance * scale)


# ---------------------------------------------------------------- the cases

X, Y, ROW, COLUMN = draw("X", (2, 3)), draw("Y", (2, 3), 0.5, 1.9), draw("row", (3,), 0.5, 1.9), draw("col", (2, 1),
                                                                                                      0.5, 1.9)
CUBE, VECTOR, SCALAR = draw("cube", (2, 3, 4)), draw("vector", (5,)), np.float64(0.7)
POSITIVE, SMALL, LARGE = draw("positive", (2, 3), 0.5, 3), draw("small", (2, 3), -0.8, 0.8), draw("large", (2, 3), 1.3,
                                                                                                  4)
SQUARE, EMPTY = draw("square", (3, 3)), np.zeros((0, 3))

UNARY_UFUNCS = [
    (X,
     "abs absolute fabs negative positive square exp exp2 expm1 sin cos arctan sinh cosh tanh arcsinh sinc sign floor "
        "ceil trunc rint round degrees radians deg2rad rad2deg real conj"),
    (POSITIVE, "reciprocal sqrt cbrt log log2 log10 log1p"), (SMALL, "tan arcsin arccos arctanh"), (LARGE, "arccosh"),
]
UNARY_METHODS = {"round": "round", "conj": "conj"}
BINARY_UFUNCS = [
    (X, "add subtract multiply maximum minimum fmax fmin logaddexp logaddexp2 heaviside copysign arctan2 hypot divide "
        "true_divide"),
    (POSITIVE, "power float_power floor_divide mod remainder fmod"),
]
PREDICATES = "isnan isinf isfinite"
COMPARISONS = "greater greater_equal less less_equal equal not_equal"


def cases() -> Iterator[Case]:
    for x, names in UNARY_UFUNCS:
        for name in names.split():
            yield Case(name, (x,), method=UNARY_METHODS.get(name))
            yield Case(name, (x[0, 1],))
            if name == "exp":
                yield Case(name, (EMPTY,))
    for x, names in BINARY_UFUNCS:
        for name in names.split():
            # quotients of x by these stay between two integers
            b = {"floor_divide": np.full(3, 7.3), "mod": np.full(3, 7.3), "remainder": np.full(3, -7.3),
                 "fmod": np.full(3, -7.3)}.get(name, ROW + 0.0137)
            yield Case(name, (x, b))
            yield Case(name, (x, float(b[0])), label="number")
            yield Case(name, (float(abs(x[0, 0])), b), label="number-first")
    yield Case("erf", (X,), numpy=np.vectorize(math.erf, otypes=[float]))
    yield Case("round", (X, 1), method="round", smooth=False)

    # reductions
    reductions = {"sum": "sum", "mean": "mean", "max": "max", "min": "min", "amax": None, "amin": None, "prod": "prod",
                  "var": "var", "std": "std", "ptp": None}
    for name, method in reductions.items():
        for x, kwargs in ((X, {}), (X, {"axis": 0}), (X, {"axis": -1, "keepdims": True}), (CUBE, {"axis": (0, -1)}),
                          (X, {"axis": (1, 0), "keepdims": True}), (VECTOR, {}), (X, {"axis": None, "keepdims": True})):
            yield Case(name, (x,), kwargs, method=method)
        if name not in ("ptp", "std"):
            yield Case(name, (X,), {"axis": ()}, method=method)
            yield Case(name, (SCALAR,), method=method)
        yield Case(name, (X, 1), method=method, label="positional-axis")
    for name in ("sum", "prod"):
        yield Case(name, (EMPTY,), method=name)
        yield Case(name, (EMPTY,), {"axis": 0}, method=name)
    for name in ("max", "min", "mean", "var"):
        yield Case(name, (EMPTY,), {"axis": 1}, method=name)
    for name in ("var", "std"):
        yield Case(name, (X,), {"ddof": 1}, method=name)
        yield Case(name, (X,), {"axis": 1, "ddof": 1, "keepdims": True}, method=name)
    for name in ("cumsum", "cumprod"):
        for x, kwargs in ((X, {}), (X, {"axis": 0}), (X, {"axis": -1}), (CUBE, {"axis": 1}), (VECTOR, {}),
                          (EMPTY, {"axis": 0})):
            yield Case(name, (x,), kwargs, method=name)
    for name, ufunc in (("cummax", np.maximum), ("cummin", np.minimum), ("logcumsumexp", np.logaddexp)):
        for x, axis in ((VECTOR, 0), (X, 0), (X, 1), (CUBE, 1)):
            yield Case(name, (x,), {"axis": axis}, numpy=lambda x, axis, ufunc=ufunc: ufunc.accumulate(x, axis))
    for kwargs in ({}, {"axis": 0}, {"axis": (0, 1), "keepdims": True}, {"axis": -1}):
        yield Case("logsumexp", (X,), kwargs, method="logsumexp",
                   numpy=lambda x, **kwargs: np.log(np.sum(np.exp(x), **kwargs)))
    for x, kwargs in ((SQUARE, {}), (X, {"offset": 1}), (X, {"offset": -1}), (CUBE, {"axis1": 1, "axis2": 2}),
                      (CUBE, {"offset": 1, "axis1": 2, "axis2": 0})):
        yield Case("trace", (x,), kwargs, method="trace")
        yield Case("diagonal", (x,), kwargs, method="diagonal")
    for x in (X[0, 0], VECTOR, X, CUBE):
        yield Case("squared_norm", (x,), numpy=lambda x: np.sum(x * x))
    yield Case("average", (X,))
    yield Case("average", (X,), {"axis": 1})
    yield Case("average", (X, 1, ROW), label="weights-along-1")
    yield Case("average", (X, None, Y), label="weights-everywhere")
    yield Case("average", (X,), {"axis": 0, "weights": np.array([1, 3], np.int8)})

    # products
    for a, b in MATMUL_SHAPES:
        if 0 not in a + b or len(a) + len(b) < 5:
            yield Case("matmul", (draw("a", a), draw("b", b)), method="__matmul__")
    dots = (((), ()), ((), (2, 3)), ((2, 3), ()), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2)),
            ((2, 2, 3), (3,)), ((2, 2, 3), (3, 2)), ((2, 3), (2, 3, 2)), ((2, 2, 3), (2, 3, 2)), ((3,), (2, 3, 2)),
            ((2, 0), (0, 3)))
    for a, b in dots:
        yield Case("dot", (draw("a", a), draw("b", b)), method="dot")
    for a, b in (((3,), (3,)), ((2, 3), (4, 3)), ((2, 3), (3,)), ((), (3,)), ((2, 2, 3), (2, 3))):
        yield Case("inner", (draw("a", a), draw("b", b)))
    for a, b in (((3,), (2,)), ((2, 2), (3,)), ((), (3,)), ((0,), (3,))):
        yield Case("outer", (draw("a", a), draw("b", b)))
    for a, b in (((3,), (3,)), ((2, 3), (2, 3)), ((2, 3), (3, 2))):
        yield Case("vdot", (draw("a", a), draw("b", b)))
    for a, b, axes in (((2, 3), (3, 2), 1), ((2, 3, 4), (3, 4, 2), 2), ((2,), (3,), 0),
                       ((2, 3, 4), (4, 3), ((1, 2), (1, 0))),
                       ((2, 3), (3, 2), (1, 0)), ((2, 3), (3, 2), ([0, -1], [1, 0])), ((2, 3, 4), (3,), ([1], [0]))):
        yield Case("tensordot", (draw("a", a), draw("b", b)), {"axes": axes})
    yield Case("tensordot", (draw("a", (2, 3, 4)), draw("b", (3, 4, 2))), label="default-axes")
    more = (("ij,jk", ((2, 3), (3, 4))), ("ii", ((3, 3),)), ("ii->i", ((3, 3),)), ("ij->ji", ((2, 3),)),
            ("ij->", ((2, 3),)),
            ("ij->j", ((2, 3),)), ("...ij,...jk->...ik", ((2, 2, 3), (3, 2))), ("...i,...i", ((2, 3), (2, 3))),
            ("i...->...", ((2, 3),)), ("iij,j->i", ((2, 2, 3), (3,))), ("ba", ((2, 3),)), ("i,i,i->i",
                                                                                           ((3,), (3,), (3,))),
            ("ij,kl->", ((2, 3), (2, 2))), ("ij , jk -> ik", ((2, 3), (3, 2))), ("bhqd,bhkd->bhqk",
                                                                                 ((1, 2, 2, 3), (1, 2, 3, 3))),
            ("iijj->ij", ((2, 2, 3, 3),)), ("...ij->...ji", ((2, 3, 4),)), ("...,...", ((2, 3), (3,))), ("i,j",
                                                                                                         ((2,), (3,))))
    for subscripts, shapes in (*EINSUM_CASES, *more):
        yield Case("einsum", (subscripts, *[draw((subscripts, i), s) for i, s in enumerate(shapes)]))
    yield Case("einsum", (X, (0, 1), SQUARE, (1, 2), (0, 2)), label="axes-explicit")
    yield Case("einsum", (X, (0, 1), SQUARE, (1, 2)), label="axes-implicit")
    yield Case("einsum", (CUBE, (Ellipsis, 0), (Ellipsis,)), label="axes-ellipsis")

    # shapes
    for wanted in ((3, 2), (6,), (-1,), (1, -1, 2), (2, 3), -1):
        yield Case("reshape", (X, wanted), method="reshape")
    yield Case("reshape", (EMPTY, (3, 0)), method="reshape")
    yield Case("reshape", (SCALAR, (1, 1)), method="reshape")
    for x in (X, CUBE, SCALAR, EMPTY, VECTOR):
        yield Case("ravel", (x,), method="ravel")
        yield Case("squeeze", (x,), method="squeeze")
        yield Case("transpose", (x,), method="transpose")
        yield Case("flip", (x,))
        yield Case("roll", (x, 2))
        for name in ("atleast_1d", "atleast_2d", "atleast_3d"):
            yield Case(name, (x,))
    yield Case("atleast_2d", (VECTOR, SCALAR))
    for name in ("transpose", "permute_dims"):
        yield Case(name, (CUBE, (2, 0, 1)), method="transpose")
        yield Case(name, (CUBE, (-1, 1, 0)), method="transpose")
    yield Case("matrix_transpose", (CUBE,))
    yield Case("swapaxes", (CUBE, 0, -1), method="swapaxes")
    yield Case("moveaxis", (CUBE, 0, -1))
    yield Case("moveaxis", (CUBE, (0, 1), (-1, 0)))
    for axis, start in ((2, 0), (0, 2), (1, 3), (-1, 1), (0, -1), (1, 1)):
        yield Case("rollaxis", (CUBE, axis, start))
    ones = draw("ones", (1, 3, 1))
    for kwargs in ({}, {"axis": 0}, {"axis": (0, 2)}, {"axis": -1}):
        yield Case("squeeze", (ones,), kwargs, method="squeeze")
    for axis in (0, 1, -1, (0, 2), (0, -1)):
        yield Case("expand_dims", (VECTOR, axis))
        yield Case("expand_dims", (X, axis))
    for x, shape in ((VECTOR, (2, 5)), (SCALAR, (2, 3)), (COLUMN, (2, 3)), (COLUMN, (4, 2, 1)), (X, (2, 3)), (ROW, 3)):
        yield Case("broadcast_to", (x, shape))
    yield Case("broadcast_arrays", (COLUMN, ROW))
    for kwargs in ({"axis": 0}, {"axis": -1}, {"axis": (0, 2)}):
        yield Case("flip", (CUBE,), kwargs)
    yield Case("flipud", (X,))
    yield Case("fliplr", (X,))
    for k in (0, 1, 2, 3, -1, 5):
        yield Case("rot90", (X, k))
    yield Case("rot90", (CUBE, 1, (2, 0)))
    for shift, axis in ((1, 0), (-4, 1), ((1, 2), (0, 1)), (1, (0, 1)), ((1, 2), (1, 1))):
        yield Case("roll", (X, shift), {"axis": axis})
    for repeats, axis in ((2, None), (3, 0), (2, -1), ((1, 0, 2), 1), (0, 1)):
        yield Case("repeat", (X, np.array(repeats) if isinstance(repeats, tuple) else repeats), {"axis": axis},
                   method="repeat",
                   label=f"{repeats}")
    yield Case("repeat", (SCALAR, 3), method="repeat")
    for reps in (2, (2, 1), (2, 1, 3), (1, 1), (0, 2)):
        yield Case("tile", (X, reps))
    yield Case("tile", (SCALAR, 3))
    yield Case("tile", (VECTOR, (2, 2)))
    for mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
        yield Case("pad", (X, 1), {"mode": mode})
        yield Case("pad", (X, ((1, 0), (2, 1))), {"mode": mode}, label="each")
        yield Case("pad", (VECTOR, (2, 7)), {"mode": mode}, label="long")
    yield Case("pad", (X, ((1,), (2,))))
    yield Case("pad", (X, (1, 2)), {"constant_values": 3.5})
    for k in (0, 1, -2):
        yield Case("diag", (VECTOR, k))
        yield Case("diag", (X, k))
        yield Case("tril", (X, k))
        yield Case("triu", (CUBE, k))
    for axis in (0, 1, -1, None):
        yield Case("concatenate", ([X, Y, X],), {"axis": axis})
        yield Case("append", (X, Y), {"axis": axis})
    yield Case("concatenate", ((X, draw("more", (4, 3))),))
    for axis in (0, 1, -1):
        yield Case("stack", ([X, Y],), {"axis": axis})
    yield Case("stack", ((SCALAR, np.float64(2.5)),))
    for name in ("vstack", "hstack", "dstack", "column_stack"):
        yield Case(name, ([X, Y],))
        yield Case(name, ([VECTOR, 2 * VECTOR],))
    yield Case("hstack", ([SCALAR, VECTOR],))
    yield Case("vstack", ([X, ROW],))
    yield Case("column_stack", ([COLUMN, np.array([1.5, 2.5])],))
    yield Case("split", (CUBE, 2), {"axis": 2})
    yield Case("split", (X, [1], 1), label="places")
    yield Case("split", (VECTOR, [1, 1, 4, 9]), label="places")
    yield Case("split", (VECTOR, [-2]), label="negative-place")
    yield Case("array_split", (VECTOR, 3))
    yield Case("array_split", (X, 2, 1))
    yield Case("array_split", (VECTOR, 7))
    yield Case("hsplit", (X, 3))
    yield Case("hsplit", (VECTOR, [2]), label="places")
    yield Case("vsplit", (X, 2))
    yield Case("meshgrid", (VECTOR, ROW))
    yield Case("meshgrid", (VECTOR, ROW, COLUMN[:, 0]), {"indexing": "ij"})
    yield Case("meshgrid", (VECTOR, ROW, COLUMN[:, 0]))
    yield Case("meshgrid", (VECTOR,))

    windows = np.lib.stride_tricks.sliding_window_view
    for x, shape, kwargs in ((VECTOR, 3, {}), (X, (1, 2), {}), (X, 2, {"axis": 1}), (CUBE, (2, 3), {"axis": (0, -1)}),
                             (VECTOR, 5, {})):
        yield Case("sliding_window_view", (x, shape), kwargs, numpy=windows)

    # selecting
    mask = X > 0
    for a, b in ((X, Y), (X, ROW), (COLUMN, ROW), (X, 0.0), (SCALAR, Y)):
        yield Case("where", (mask, a, b))
    yield Case("where", (True, X, Y), label="true")
    for low, high in ((-0.55, 0.55), (None, 0.55), (-0.55, None), (ROW - 1.803, ROW - 0.303),
                      (COLUMN * 0.1 - 0.8, 1.2)):
        yield Case("clip", (X, low, high), method="clip")
    for axis in (0, 1, -1, None):
        yield Case("sort", (X,), {"axis": axis})
        yield Case("take", (X, np.array([0, 1, 1])), {"axis": axis}, method="take")
        yield Case("take", (X, -1), {"axis": axis}, method="take")
    yield Case("take", (VECTOR, np.array([[0, 1], [4, 0]])), method="take")
    yield Case("take_along_axis", (X, np.argsort(X, axis=0)), {"axis": 0})
    yield Case("take_along_axis", (X, np.array([[0, 0], [2, 1]])), {"axis": 1})
    yield Case("take_along_axis", (X, np.array([[2]])), {"axis": -1})
    yield Case("copy", (X,), method="copy")

    # activations
    sigma = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    yield Case("sigmoid", (X,), numpy=sigma, method="sigmoid")
    yield Case("log_sigmoid", (X,), numpy=lambda x: np.log(sigma(x)), method="log_sigmoid")
    yield Case("softplus", (X,), numpy=lambda x: np.log(1 + np.exp(x)), method="softplus")
    yield Case("softplus", (X,), {"beta": 2.0}, numpy=lambda x, beta: np.log(1 + np.exp(beta * x)) / beta,
               method="softplus")
    yield Case("relu", (X,), numpy=lambda x: np.where(x > 0, x, 0), method="relu")
    yield Case("leaky_relu", (X,), numpy=lambda x: np.where(x > 0, x, 0.01 * x), method="leaky_relu")
    yield Case("leaky_relu", (X, 0.2), numpy=lambda x, s: np.where(x > 0, x, s * x), method="leaky_relu")
    yield Case("elu", (X,), numpy=lambda x: np.where(x > 0, x, np.exp(x) - 1), method="elu")
    yield Case("elu", (X,), {"alpha": 0.5}, numpy=lambda x, alpha: np.where(x > 0, x, alpha * (np.exp(x) - 1)),
               method="elu")
    phi = np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)), otypes=[float])
    yield Case("gelu", (X,), numpy=lambda x: x * phi(x), method="gelu")
    yield Case("gelu", (X,), {"approximate": "tanh"}, method="gelu", numpy=lambda x, approximate:
               0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))
    yield Case("silu", (X,), numpy=lambda x: x * sigma(x), method="silu")

    def softmax(x: Any, axis: Any = -1) -> Any:
        return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)

    for x, kwargs in ((X, {}), (X, {"axis": 0}), (CUBE, {"axis": (0, 2)}), (X, {"axis": None}), (VECTOR, {"axis": -1})):
        yield Case("softmax", (x,), kwargs, numpy=softmax, method="softmax")
        yield Case("log_softmax", (x,), kwargs, numpy=lambda x, axis=-1: np.log(softmax(x, axis)), method="log_softmax")


CASES = list(cases())
ALL = pytest.mark.parametrize("case", [pytest.param(c, id=f"{i}-{c}") for i, c in enumerate(CASES)])


@ALL
def test_every_way_to_call_gives_numpys_value(case: Case) -> None:
    xs, fill = case.parts()
    wanted = outputs(case.reference(*fill(xs), **case.kwargs))
    for way, function in ways(case):
        found = outputs(function(*fill([Tensor(x) for x in xs]), **case.kwargs))
        assert len(found) == len(wanted), way
        for y, w in zip(found, wanted, strict=True):
            assert type(y) is Tensor and y.requires_grad, way
            assert y.shape == np.shape(w) and y.dtype == np.float64, way
            close(y.data, w)
    for y, w in zip(outputs(getattr(tg, case.name)(*fill(xs), **case.kwargs)), wanted, strict=True):
        assert not isinstance(y, Tensor), "on arrays the functions give arrays"
        close(y, w)


@pytest.mark.parametrize("case", [pytest.param(c, id=f"{i}-{c}") for i, c in enumerate(CASES)
                                  if c.smooth and all(np.size(x) for x in c.parts()[0])])
def test_derivatives_agree_with_differences(case: Case) -> None:
    xs, fill = case.parts()
    us = [np.random.default_rng(i).uniform(0.5, 1.5, np.shape(x)) for i, x in enumerate(xs)]
    function = getattr(tg, case.name)
    shapes = [np.shape(y) for y in outputs(function(*fill(xs), **case.kwargs))]
    weights = [np.random.default_rng(9 + i).uniform(0.5, 1.5, s) for i, s in enumerate(shapes)]

    def total(*at: Any) -> Any:
        parts = [tg.sum(w * tg.square(y)) for w, y in zip(weights, outputs(function(*fill(list(at)), **case.kwargs)),
                                                        strict=True)]
        return sum(parts[1:], parts[0])

    places = tuple(range(len(xs)))
    gradient = tg.grad(total, places)
    along = sum(float(np.sum(g * u)) for g, u in zip(gradient(*xs), us, strict=True))
    close(along, slope(total, xs, us), 1e-8)
    second = tg.hvp(total, tuple(xs), tuple(us))
    for i in places:
        close(second[i], slope(lambda *at, i=i: gradient(*at)[i], xs, us), 1e-7)


@ALL
def test_float32_in_float32_out(case: Case) -> None:
    xs, fill = case.parts()
    ts = [Tensor(np.asarray(x, np.float32)) for x in xs]
    total = 0.0
    for y in outputs(getattr(tg, case.name)(*fill(ts), **case.kwargs)):
        assert y.dtype == np.float32
        total = total + y.sum()
    total.backward()  # type: ignore[attr-defined]
    for t in ts:
        assert t.grad.dtype == np.float32 and np.shape(t.grad) == t.shape


def test_the_list_of_functions_is_covered() -> None:
    """Every public function of the package appears in this file: in a case, or among those without derivatives."""
    shown = {c.name for c in CASES} | {*PREDICATES.split(), *COMPARISONS.split()}
    elsewhere = {"any", "all", "argmax", "argmin", "argsort", "astype", "assign", "getitem", "flatten"}
    public = {name for name in tg.__all__ if getattr(getattr(tg, name), "__module__", "") == "tinygrad_edu.ops"}
    assert public - shown - elsewhere == set()


# ---------------------------------------------------------------- functions without a derivative

@pytest.mark.parametrize("name", PREDICATES.split())
def test_predicates_give_plain_arrays(name: str) -> None:
    x = np.array([1.0, np.nan, np.inf, -np.inf])
    for found in (getattr(np, name)(Tensor(x)), getattr(tg, name)(Tensor(x)), getattr(tg, name)(x)):
        assert type(found) is np.ndarray and found.dtype == bool
        np.testing.assert_array_equal(found, getattr(np, name)(x))


@pytest.mark.parametrize("name", COMPARISONS.split())
def test_comparisons_give_plain_arrays(name: str) -> None:
    a, b = np.array([[1.0, 2.0], [3.0, np.nan]]), np.array([1.0, 3.0])
    for left, right in ((Tensor(a), Tensor(b)), (Tensor(a), b), (a, Tensor(b)), (Tensor(a), 2), (1.5, Tensor(b))):
        plain = [x.data if isinstance(x, Tensor) else x for x in (left, right)]
        for module in (np, tg):
            found = getattr(module, name)(left, right)
            assert type(found) is np.ndarray and found.dtype == bool
            np.testing.assert_array_equal(found, getattr(np, name)(*plain))


def test_comparison_operators() -> None:
    t, x = Tensor([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])
    for found, wanted in (((t > x), [0, 0, 1]), ((t >= x), [0, 1, 1]), ((t < x), [1, 0, 0]), ((t <= x), [1, 1, 0]),
                          ((t == x), [0, 1, 0]), ((t != x), [1, 0, 1]), ((x > t), [1, 0, 0]),
                          (np.less_equal(2, t), [0, 1, 1])):
        assert found.dtype == bool
        np.testing.assert_array_equal(found, np.array(wanted, bool))
    np.testing.assert_array_equal((t > 1) & (t < 3) | ~(t != 1) ^ (t > 9), [True, True, False])
    assert t != "text" and t != None  # noqa: E711


def test_logical_operators_on_truth_values() -> None:
    a, b = np.array([True, True, False]), np.array([True, False, False])
    t = Tensor(a.astype(float)).astype(bool)
    for found, wanted in ((t & b, a & b), (b & t, a & b), (t | b, a | b), (b | t, a | b), (t ^ b, a ^ b), (b ^ t, a ^ b),
                          (~t, ~a), (t & t, a), (t | True, a | True), (False ^ t, a)):
        assert type(found) is np.ndarray and found.dtype == bool
        np.testing.assert_array_equal(found, wanted)
    with pytest.raises(TypeError):
        Tensor([1.0]) & Tensor([1.0])


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_arg_functions(name: str) -> None:
    x = np.array([[2.0, 5.0, 5.0], [1.0, 0.0, 0.0]])
    for kwargs in ({}, {"axis": 0}, {"axis": 1}, {"axis": -1, "keepdims": True}):
        for found in (getattr(np, name)(Tensor(x), **kwargs), getattr(tg, name)(Tensor(x), **kwargs),
                      getattr(Tensor(x), name)(**kwargs)):
            assert not isinstance(found, Tensor)
            np.testing.assert_array_equal(found, getattr(np, name)(x, **kwargs))


def test_argsort_any_all() -> None:
    x = np.array([[2.0, 0.0, 5.0], [1.0, 0.0, 3.0]])
    t = Tensor(x)
    for axis in (0, 1, -1, None):
        for found in (np.argsort(t, axis=axis), tg.argsort(t, axis=axis), t.argsort(axis=axis)):
            np.testing.assert_array_equal(found, np.argsort(x, axis=axis))
    for name in ("any", "all"):
        for kwargs in ({}, {"axis": 0}, {"axis": 1, "keepdims": True}):
            for found in (getattr(np, name)(t, **kwargs), getattr(tg, name)(t, **kwargs), getattr(t, name)(**kwargs)):
                assert not isinstance(found, Tensor)
                np.testing.assert_array_equal(found, getattr(np, name)(x, **kwargs))


def test_where_with_a_condition_alone() -> None:
    x = Tensor([0.0, 1.0, 2.0])
    np.testing.assert_array_equal(np.where(x > 0)[0], [1, 2])
    np.testing.assert_array_equal(np.nonzero(x)[0], [1, 2])


# ---------------------------------------------------------------- indexing

@pytest.mark.parametrize("label", list(INDICES))
def test_indexing_is_numpys(label: str) -> None:
    x, index = draw("index", (3, 4)), INDICES[label]
    t = Tensor(x)
    y = t[index]
    assert type(y) is Tensor and y.shape == np.shape(x[index])
    np.testing.assert_array_equal(y.data, x[index])
    weights = np.random.default_rng(0).normal(size=y.shape)
    y.backward(weights)
    wanted = np.zeros((3, 4))
    np.add.at(wanted, index, weights)
    np.testing.assert_allclose(t.grad, wanted, rtol=1e-14, atol=1e-14)


def test_indexing_with_lists_ranges_and_tensors() -> None:
    x = draw("index", (3, 4))
    t = Tensor(x)
    np.testing.assert_array_equal(t[[0, 2]].data, x[[0, 2]])
    np.testing.assert_array_equal(t[[True, False, True]].data, x[[True, False, True]])
    np.testing.assert_array_equal(t[range(2)].data, x[range(2)])
    np.testing.assert_array_equal(t[[0, 1], [1, 2]].data, x[[0, 1], [1, 2]])
    np.testing.assert_array_equal(t[np.int64(1), np.int64(-1)].data, x[1, -1])
    np.testing.assert_array_equal(t[t > 0].data, x[x > 0])
    np.testing.assert_array_equal(t[:, [True, False, True, False]][1:].data, x[:, ::2][1:])
    np.testing.assert_array_equal(t[[]].data, x[[]])
    np.testing.assert_array_equal(t[np.ix_([0, 2], [1, 3])].data, x[np.ix_([0, 2], [1, 3])])


def test_an_index_array_is_remembered_as_it_was() -> None:
    places, t = np.array([0, 1]), Tensor([1.0, 2.0, 3.0])
    y = t[places]
    places[:] = 2
    y.sum().backward()
    np.testing.assert_array_equal(t.grad, [1, 1, 0])


def test_iteration_length_and_membership() -> None:
    t = Tensor([[1.0, 2.0], [3.0, 4.0]])
    assert len(t) == 2
    rows = list(t)
    assert [r.shape for r in rows] == [(2,), (2,)]
    (rows[0].sum() * rows[1].sum()).backward()
    np.testing.assert_array_equal(t.grad, [[7, 7], [3, 3]])
    a, b = Tensor([5.0, 6.0])
    assert (a.item(), b.item()) == (5, 6)
    assert 3 in t and 9.0 not in t and Tensor(4.0) in t


@pytest.mark.parametrize("index", [0, -1, (0, 1), slice(1, None), (slice(None), [0, 2]), (Ellipsis, 0), [2, 0]],
                         ids=lambda i: str(i).replace(" ", ""))
def test_assign_is_item_assignment_recorded(index: Any) -> None:
    x = draw("x", (3, 4))
    values = draw("values", np.shape(x[index]))
    wanted = x.copy()
    wanted[index] = values
    np.testing.assert_array_equal(tg.assign(Tensor(x), index, Tensor(values)).data, wanted)
    np.testing.assert_array_equal(tg.assign(Tensor(x), index, 1.5).data[index], np.full(np.shape(x[index]), 1.5))
    weights = draw("weights", (3, 4))
    dx, dv = tg.grad(lambda x, v: (weights * tg.assign(x, index, v) ** 2).sum(), (0, 1))(x, values)
    kept = weights.copy()
    kept[index] = 0
    np.testing.assert_allclose(dx, 2 * kept * x)
    np.testing.assert_allclose(dv, 2 * weights[index] * values)


# ---------------------------------------------------------------- operators and the Tensor itself

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
    "//": lambda a, b: a // b, "%": lambda a, b: a % b, "**": lambda a, b: a**b,
}


@pytest.mark.parametrize("symbol", list(OPERATORS))
def test_operators_on_either_side(symbol: str) -> None:
    f, x = OPERATORS[symbol], np.array([[1.25, 2.5, 3.75], [4.1, 5.2, 6.3]])
    for other in (x + 0.4, x[0] + 0.4, x[:, :1] + 0.4, np.float64(1.7), 1.7, 3, np.int64(2), np.array([1, 2, 3]), True):
        for a, b in ((x, other), (other, x)):
            wanted = f(a, b)
            tensors = [(Tensor(a) if a is x else a, Tensor(b) if b is x else b)]
            if isinstance(other, np.ndarray) and other.dtype.kind == "f":
                tensors.append((Tensor(a), Tensor(b)))
            for left, right in tensors:
                y = f(left, right)
                assert type(y) is Tensor and y.dtype == np.float64
                close(y.data, wanted)
                y.sum().backward()
                for t in (left, right):
                    if isinstance(t, Tensor):
                        assert t.grad.shape == t.shape


def test_unary_operators() -> None:
    t = Tensor([1.5, -2.5])
    for y, value, slope_ in ((-t, [-1.5, 2.5], [-1, -1]), (+t, [1.5, -2.5], [1, 1]), (abs(t), [1.5, 2.5], [1, -1]),
                             (round(t), [2, -2], [0, 0])):
        np.testing.assert_array_equal(y.data, value)
        t.zero_grad()
        y.sum().backward()
        np.testing.assert_array_equal(t.grad, slope_)
    assert round(Tensor(1.267), 2).item() == 1.27


def test_matrix_product_operator_with_arrays_on_either_side() -> None:
    A, B = draw("A", (2, 3)), draw("B", (3, 2))
    for y in (Tensor(A) @ Tensor(B), Tensor(A) @ B, A @ Tensor(B), Tensor(A) @ B.tolist()):
        assert type(y) is Tensor
        close(y.data, A @ B)


def test_infinities_and_nan_pass_through() -> None:
    x = Tensor([np.inf, -np.inf, np.nan, 1.0])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal((x * 2 + 1).data, [np.inf, -np.inf, np.nan, 3])
        np.testing.assert_array_equal(tg.exp(x).data, np.exp(x.data))
        np.testing.assert_array_equal(tg.maximum(x, 0.0).data, [np.inf, 0, np.nan, 1])
    np.testing.assert_array_equal(tg.sigmoid(x).data[:3], [1, 0, np.nan])


def test_integers_become_float64_and_float32_stays() -> None:
    assert Tensor(5).dtype == Tensor([1, 2]).dtype == Tensor(np.array([1], np.int8)).dtype == np.float64
    assert Tensor(True).item() == 1.0
    t = Tensor(np.ones(3, np.float32))
    for y in (2.0 * t, t + 1, t / 3.0, t**2, t**2.5, 2.0**t, 1 - t, t % 2.0, tg.maximum(t, 0.5),
              tg.where(t > 0, t, 0.0),
              t @ t, t * np.float32(2), tg.clip(t, 0.0, 1.0), t.mean(), t.var(), t.std(), tg.softmax(t), np.mean(t)):
        assert y.dtype == np.float32
    assert (t * np.ones(3)).dtype == np.float64, "arrays of float64 widen, as in NumPy"
    assert Tensor([1, 2], dtype=np.float32).dtype == np.float32


def test_mixed_types_give_each_its_own_gradient() -> None:
    a, b = Tensor(np.ones(3, np.float32)), Tensor(np.full(3, 2.0))
    (a * b).sum().backward()
    assert a.grad.dtype == np.float32 and b.grad.dtype == np.float64
    c = Tensor(np.ones(3, np.float32))
    y = c.astype(np.float64) * 2
    assert y.dtype == np.float64
    y.sum().backward()
    assert c.grad.dtype == np.float32


def test_astype() -> None:
    t = Tensor([1.5, 2.5])
    assert t.astype(np.float64) is t
    assert t.astype("float32").dtype == np.float32 and t.astype(np.float32).requires_grad
    whole = t.astype(int)
    assert whole.dtype == np.int64 and not whole.requires_grad
    np.testing.assert_array_equal(Tensor([10.0, 20.0, 30.0])[whole.data].data, [20, 30])


def test_attributes() -> None:
    t = Tensor(np.arange(6.0).reshape(2, 3), name="t")
    assert (t.shape, t.ndim, t.size, t.dtype, t.name, t.requires_grad) == ((2, 3), 2, 6, np.float64, "t", True)
    assert t.T.shape == (3, 2) and t.mT.shape == (3, 2) and Tensor(CUBE).mT.shape == (2, 4, 3)
    assert Tensor(CUBE).T.shape == (4, 3, 2) and Tensor(2.0).T.shape == ()
    assert t[0].col().shape == (3, 1) and t[0].row().shape == (1, 3)
    np.testing.assert_array_equal(t.flatten().data, np.arange(6.0))
    assert t.expect((2, 3)) is t and t.expect((None, 3)) is t
    assert np.shape(t) == (2, 3) and np.ndim(t) == 2 and np.size(t) == 6


def test_conversions_of_one_element() -> None:
    t = Tensor([[2.75]])
    assert float(t) == t.item() == 2.75 and int(t) == 2 and bool(t) is True and bool(Tensor(0.0)) is False
    assert f"{t:.1f}" == "2.8" and f"{Tensor(2.75)}" == "2.75" and f"{Tensor([1.0, 2.0])}" == "[1. 2.]"
    with pytest.raises(TypeError):
        [1, 2][Tensor(1.0)]  # a float is no index, as in NumPy
    assert [1, 2, 3][Tensor(1, requires_grad=False, dtype=int)] == 2


def test_conversion_to_arrays() -> None:
    constant = Tensor([1.0, 2.0], requires_grad=False)
    assert type(np.asarray(constant)) is np.ndarray
    assert np.asarray(constant, np.float32).dtype == np.float32
    copied = np.array(constant, copy=True)
    copied[0] = 9
    assert constant.data[0] == 1
    with tg.no_grad():
        np.testing.assert_array_equal(np.asarray(Tensor([1.0])), [1.0])


def test_printing() -> None:
    assert repr(Tensor(2)) == "Tensor(2.0)"
    assert repr(Tensor([1.0, 2.5])) == "Tensor([1. , 2.5])"
    assert repr(Tensor(np.float32(0.5), name="w")) == "Tensor(0.5, dtype=float32, name='w')"
    assert repr(Tensor(1.0, requires_grad=False)) == "Tensor(1.0, requires_grad=False)"
    assert repr(Tensor([[1.0], [2.0]])) == "Tensor([[1.],\n        [2.]])"
    assert str(Tensor([1.0, 2.5])) == "[1.  2.5]"


# ---------------------------------------------------------------- NumPy's protocols

def test_ufunc_methods() -> None:
    t = Tensor(X)
    for ufunc, name in ((np.add, "sum"), (np.multiply, "prod"), (np.maximum, "max"), (np.minimum, "min")):
        for kwargs in ({}, {"axis": 1}, {"axis": None}, {"axis": (0, 1)}, {"axis": 0, "keepdims": True}):
            y = ufunc.reduce(t, **kwargs)
            assert type(y) is Tensor and y.op is not None and y.op.name == name
            close(y.data, ufunc.reduce(X, **kwargs))
    close(np.logaddexp.reduce(t, axis=1).data, np.logaddexp.reduce(X, axis=1))
    for ufunc in (np.add, np.multiply, np.maximum, np.minimum, np.logaddexp):
        for axis in (0, 1):
            y = ufunc.accumulate(t, axis=axis)
            assert type(y) is Tensor
            close(y.data, ufunc.accumulate(X, axis=axis))
    assert np.add.reduce(t, 1).shape == (2,) and np.add.accumulate(t).shape == (2, 3)


@pytest.mark.parametrize("ufunc", [np.add, np.subtract, np.multiply, np.maximum, np.power], ids=lambda u: u.__name__)
def test_ufunc_outer(ufunc: Any) -> None:
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, 1.5, 2.5])
    for left, right in ((Tensor(a), Tensor(b)), (Tensor(a), b), (a, Tensor(b))):
        y = ufunc.outer(left, right)
        assert type(y) is Tensor
        close(y.data, ufunc.outer(a, b))
        y.sum().backward()


def test_arrays_of_the_left_defer_to_tensors() -> None:
    x, t = np.ones((2, 3)), Tensor(np.full(3, 2.0))
    for y in (x + t, x - t, x * t, x / t, x**t, x @ t, x % t, x // t, np.float64(3) * t, np.float32(3) + t,
              [1, 2, 3] * t):
        assert type(y) is Tensor
    y = np.float64(3.0) * t
    y.sum().backward()
    np.testing.assert_array_equal(t.grad, [3, 3, 3])


@pytest.mark.parametrize("call", [
    pytest.param(lambda t: np.sum(a=t, axis=1), id="sum-a"),
    pytest.param(lambda t: np.sum(t, 1, keepdims=False), id="sum"),
    pytest.param(lambda t: np.mean(t, axis=(0, 1), keepdims=True), id="mean"),
    pytest.param(lambda t: np.clip(t, a_min=0, a_max=1), id="clip"),
    pytest.param(lambda t: np.clip(t, min=0, max=1), id="clip-min-max"),
    pytest.param(lambda t: np.round(a=t, decimals=1), id="round"),
    pytest.param(lambda t: np.reshape(t, shape=(3, 2)), id="reshape"),
    pytest.param(lambda t: np.transpose(a=t, axes=(1, 0)), id="transpose"),
    pytest.param(lambda t: np.stack(arrays=[t, t], axis=1), id="stack"),
    pytest.param(lambda t: np.expand_dims(t, axis=0), id="expand_dims"),
    pytest.param(lambda t: np.vstack(tup=[t, t]), id="vstack"),
    pytest.param(lambda t: np.where(t.data > 0, t, 0), id="where"),
    pytest.param(lambda t: np.swapaxes(t, axis1=0, axis2=1), id="swapaxes"),
    pytest.param(lambda t: np.repeat(t, repeats=2, axis=0), id="repeat"),
    pytest.param(lambda t: np.tile(A=t, reps=2), id="tile"),
    pytest.param(lambda t: np.pad(array=t, pad_width=1), id="pad"),
    pytest.param(lambda t: np.roll(a=t, shift=1), id="roll"),
    pytest.param(lambda t: np.take(t, indices=[0], axis=0), id="take"),
    pytest.param(lambda t: np.flip(m=t, axis=0), id="flip"),
    pytest.param(lambda t: np.broadcast_to(array=t, shape=(2, 2, 3)), id="broadcast_to"),
    pytest.param(lambda t: np.sort(a=t, axis=0), id="sort"),
    pytest.param(lambda t: np.moveaxis(t, source=0, destination=1), id="moveaxis"),
    pytest.param(lambda t: np.diagonal(a=t), id="diagonal"),
    pytest.param(lambda t: np.trace(a=t, offset=1), id="trace"),
    pytest.param(lambda t: np.cumsum(a=t, axis=1), id="cumsum"),
    pytest.param(lambda t: np.var(a=t, ddof=1), id="var"),
    pytest.param(lambda t: np.tril(m=t, k=0), id="tril"),
    pytest.param(lambda t: np.squeeze(a=t), id="squeeze"),
    pytest.param(lambda t: np.average(a=t, axis=0), id="average"),
    pytest.param(lambda t: np.tensordot(a=t, b=t, axes=2), id="tensordot"),
    pytest.param(lambda t: np.append(arr=t, values=t), id="append"),
    pytest.param(lambda t: np.split(ary=t, indices_or_sections=2)[0], id="split"),
    pytest.param(lambda t: np.ravel(a=t), id="ravel"),
    pytest.param(lambda t: np.max(a=t, axis=0), id="max"),
    pytest.param(lambda t: np.prod(a=t), id="prod"),
    pytest.param(lambda t: np.einsum("ij,ij->i", t, t, optimize=True), id="einsum-optimize"),
    pytest.param(lambda t: np.ravel(t, order="C"), id="ravel-order"),
    pytest.param(lambda t: np.argsort(a=t, axis=0), id="argsort"),
    pytest.param(lambda t: np.rollaxis(a=t, axis=1), id="rollaxis"),
    pytest.param(lambda t: np.rot90(m=t), id="rot90"),
    pytest.param(lambda t: np.diag(v=t), id="diag"),
    pytest.param(lambda t: np.outer(a=t, b=t), id="outer"),
    pytest.param(lambda t: np.take_along_axis(arr=t, indices=np.array([[0], [1]]), axis=1), id="take_along_axis"),
    pytest.param(lambda t: np.inner(t, t), id="inner"),
    pytest.param(lambda t: np.meshgrid(t[0], t[1])[0], id="meshgrid"),
])
def test_numpys_keywords_are_understood(call: Callable[[Any], Any]) -> None:
    wanted = call(_Plain(X))
    found = call(Tensor(X))
    np.testing.assert_allclose(found.data if isinstance(found, Tensor) else found, wanted, rtol=1e-14)


@pytest.mark.parametrize("call", [
    pytest.param(lambda t: np.sum(t, 0, None, None, True), id="sum-keepdims"),
    pytest.param(lambda t: np.mean(t, 0, None, None, True), id="mean-keepdims"),
    pytest.param(lambda t: np.max(t, 0, None, True), id="max-keepdims"),
    pytest.param(lambda t: np.prod(t, (0, 1), None, None, True), id="prod-keepdims"),
    pytest.param(lambda t: np.var(t, 0, None, None, 1), id="var-ddof"),
    pytest.param(lambda t: np.std(t, 0, None, None, 1, True), id="std-ddof-keepdims"),
    pytest.param(lambda t: np.reshape(t, (6,), "C"), id="reshape-order"),
    pytest.param(lambda t: np.ravel(t, "C"), id="ravel-order"),
    pytest.param(lambda t: np.trace(t, 0, 0, 1, None, None), id="trace-out"),
    pytest.param(lambda t: np.round(t, 1, None), id="round-out"),
    pytest.param(lambda t: np.cumsum(t, 0, None), id="cumsum-dtype"),
    pytest.param(lambda t: np.argmax(t, 0, None), id="argmax-out"),
    pytest.param(lambda t: np.clip(t, 0, 1, None), id="clip-out"),
    pytest.param(lambda t: np.sort(t, 0, "stable"), id="sort-kind"),
    pytest.param(lambda t: np.argsort(t, 0, "stable"), id="argsort-kind"),
    pytest.param(lambda t: np.diagonal(t, 1, 0, 1), id="diagonal"),
    pytest.param(lambda t: np.average(t, 0, [1.0, 2.0], False), id="average-returned"),
])
def test_positional_arguments_have_numpys_order(call: Callable[[Any], Any]) -> None:
    found = call(Tensor(X))
    np.testing.assert_allclose(found.data if isinstance(found, Tensor) else found, call(X), rtol=1e-14)


class _Plain(np.ndarray):
    """An array that answers `.data` with itself, so that a call can be written once for both."""

    def __new__(cls, x: Any) -> _Plain:
        return np.asarray(x).view(cls)

    @property
    def data(self) -> Any:  # type: ignore[override]
        return np.asarray(self)


@pytest.mark.parametrize("call", [
    pytest.param(lambda t, x: np.add(t, 1, out=x), id="ufunc"),
    pytest.param(lambda t, x: np.sum(t, axis=0, out=x[0]), id="sum"),
    pytest.param(lambda t, x: np.add.reduce(t, out=x[0]), id="reduce"),
    pytest.param(lambda t, x: np.exp(x, out=t), id="into-tensor"),
    pytest.param(lambda t, x: np.add(x, x, out=(t,)), id="tuple"),
    pytest.param(lambda t, x: np.clip(t, 0, 1, out=x), id="clip"),
    pytest.param(lambda t, x: np.clip(t, 0, 1, x), id="clip-positional"),
    pytest.param(lambda t, x: np.sum(t, 0, None, x[0]), id="sum-positional"),
    pytest.param(lambda t, x: np.concatenate([t, t], out=np.empty((4, 3))), id="concatenate"),
    pytest.param(lambda t, x: np.add.at(x, [0], t[:1]), id="at"),
    pytest.param(lambda t, x: np.add.at(t, [0], 1.0), id="at-tensor"),
    pytest.param(lambda t, x: np.matmul(t, np.eye(3), out=x), id="matmul"),
])
def test_writing_over_arrays_is_refused(call: Callable[[Any, Any], Any]) -> None:
    x = X.copy()
    with pytest.raises(InPlaceError):
        call(Tensor(X), x)
    np.testing.assert_array_equal(x, X)


def test_augmented_assignment_to_an_array_is_refused() -> None:
    x, t = np.ones(3), Tensor(np.ones(3))
    for change in (operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow, operator.imatmul):
        with pytest.raises(InPlaceError):
            change(x, t)
    np.testing.assert_array_equal(x, np.ones(3))


def test_item_assignment_of_a_tensor_into_an_array_is_refused() -> None:
    x, t = np.zeros(3), Tensor([1.0, 2.0, 3.0])
    with pytest.raises(tg.errors.DetachError):
        x[:] = t
    with pytest.raises(tg.errors.DetachError):
        np.array([t, t])


@pytest.mark.parametrize("call", [
    pytest.param(lambda t: np.add(t, 1, where=np.array([True, False, True])), id="ufunc-where"),
    pytest.param(lambda t: np.average(t, 0, None, True), id="average-returned"),
    pytest.param(lambda t: np.reshape(t, 3, order="F"), id="order"),
    pytest.param(lambda t: np.subtract.reduce(t), id="subtract-reduce"),
    pytest.param(lambda t: np.gcd(t, t), id="gcd"),
    pytest.param(lambda t: np.angle(t), id="angle"),
    pytest.param(lambda t: np.i0(t), id="i0"),
    pytest.param(lambda t: np.fft.fft(t), id="fft"),
])
def test_what_cannot_be_recorded_is_refused(call: Callable[[Any], Any]) -> None:
    with pytest.raises(UnsupportedError):
        call(Tensor([1.0, 2.0, 3.0]))


def test_sliding_windows_through_numpys_own_name() -> None:
    y = np.lib.stride_tricks.sliding_window_view(Tensor(VECTOR), 2)
    assert type(y) is Tensor
    np.testing.assert_array_equal(y.data, np.lib.stride_tricks.sliding_window_view(VECTOR, 2))


def test_nested_lists_join_through_the_package() -> None:
    """NumPy itself looks for Tensors one level deep; below that it would lose the gradient, and is refused."""
    t = Tensor(X)
    close(tg.concatenate(([t], [t]), axis=1).data, np.concatenate(([X], [X]), axis=1))
    with pytest.raises(tg.errors.DetachError):
        np.concatenate(([t], [t]))


def test_functions_of_values_work_on_tensors() -> None:
    t = Tensor([3.0, 1.0, 0.0])
    assert np.allclose(t, [3, 1, 0]) and np.array_equal(t, t) and np.count_nonzero(t) == 2
    assert np.zeros_like(t).shape == (3,) and np.ones_like(t).dtype == np.float64
    np.testing.assert_array_equal(np.searchsorted(np.array([0.5, 2.0]), t), [2, 1, 0])
    np.testing.assert_array_equal(np.logical_not(t), [False, False, True])
    np.testing.assert_array_equal(np.logical_and(t > 0, t), [True, True, False])
    np.testing.assert_array_equal(np.signbit(-t), [True, True, True])
    assert np.isclose(t, 3.0).tolist() == [True, False, False]


def test_lists_of_tensors_join() -> None:
    a, b = Tensor(1.0), Tensor(2.0)
    for y in (tg.sum([a, b]), tg.exp([a, b]).sum(), tg.stack([a, b]).sum(), tg.dot([a, b], [1.0, 1.0]),
              np.stack([a, b]).sum(),
              tg.stack([a, b]) @ np.ones(2)):
        assert type(y) is Tensor and y.requires_grad
    tg.mean([[a, b], [b, b]]).backward()
    assert (a.grad, b.grad) == (0.25, 0.75)


# ---------------------------------------------------------------- where engines disagree, one test each

def slopes(f: Callable[..., Any], *xs: Any) -> Any:
    """The gradient of the sum of f, in both modes, which must agree."""
    places = tuple(range(len(xs)))
    total = lambda *at: tg.sum(f(*at))  # noqa: E731
    reverse = tg.grad(total, places)(*xs)
    forward = tg.jacobian(total, places, mode="forward")(*xs)
    for a, b in zip(reverse, forward, strict=True):
        np.testing.assert_array_equal(a, b)
    return reverse[0] if len(xs) == 1 else reverse


def test_max_and_min_share_ties() -> None:
    np.testing.assert_array_equal(slopes(tg.max, [1.0, 3.0, 3.0, 2.0]), [0, 0.5, 0.5, 0])
    np.testing.assert_array_equal(slopes(tg.min, [3.0, 1.0, 1.0, 1.0]), [0, 1 / 3, 1 / 3, 1 / 3])
    x = [[1.0, 3.0, 3.0, 2.0], [4.0, 4.0, 4.0, 4.0]]
    np.testing.assert_array_equal(slopes(lambda x: tg.max(x, axis=1), x), [[0, 0.5, 0.5, 0], [0.25] * 4])
    np.testing.assert_array_equal(slopes(lambda x: tg.max(x, axis=0, keepdims=True), [[2.0, 1.0], [2.0, 0.0]]),
                                  [[0.5, 1], [0.5, 0]])


def test_maximum_and_minimum_share_ties() -> None:
    for f in (tg.maximum, tg.minimum, tg.fmax, tg.fmin):
        assert slopes(f, 2.0, 2.0) == (0.5, 0.5)


def test_abs_at_0_is_flat() -> None:
    np.testing.assert_array_equal(slopes(tg.abs, [0.0, -0.0, -2.0, 3.0]), [0, 0, -1, 1])


def test_M64_relu_at_0_is_flat_unless_chosen() -> None:
    np.testing.assert_array_equal(slopes(tg.relu, [-1.0, 0.0, -0.0, 2.0]), [0, 0, 0, 1])
    assert slopes(lambda x: tg.relu(x, grad_at_zero=0.5), 0.0) == 0.5
    assert slopes(lambda x: tg.relu(x, grad_at_zero=1), 0.0) == 1


def test_M65_leaky_relu_at_0_has_the_slope() -> None:
    np.testing.assert_array_equal(slopes(tg.leaky_relu, [-1.0, 0.0, 2.0]), [0.01, 0.01, 1])


def test_clip_passes_inside_and_on_the_bounds() -> None:
    np.testing.assert_array_equal(slopes(lambda x: tg.clip(x, 0, 1), [-1.0, 0.0, 0.5, 1.0, 2.0]), [0, 1, 1, 1, 0])
    dx, low, high = slopes(tg.clip, [-1.0, 0.0, 0.5, 1.0, 2.0], np.zeros(5), np.ones(5))
    np.testing.assert_array_equal(low, [1, 0, 0, 0, 0])
    np.testing.assert_array_equal(high, [0, 0, 0, 0, 1])
    dx, low, high = slopes(tg.clip, [0.0, 5.0], 2.0, 1.0)  # crossed: NumPy gives the upper bound
    assert (low, high) == (0, 2) and not dx.any()


def test_sqrt_at_0_is_infinitely_steep() -> None:
    with np.errstate(divide="ignore"):
        assert slopes(tg.sqrt, 0.0) == np.inf


def test_powers_at_0() -> None:
    assert slopes(lambda x: x**0, 0.0) == 0
    assert slopes(lambda x: x**0.0, [0.0, 2.0]).tolist() == [0, 0]
    for x, p in ((0.0, 0.0), (0.0, 2.0)):
        dx, dp = slopes(tg.power, x, p)
        assert (dx, dp) == (0, 0)
    dx, _ = slopes(tg.power, [0.0, 3.0], [0.0, 0.0])
    assert dx.tolist() == [0, 0]
    assert slopes(lambda y: 0.0**y, 2.0) == 0
    assert slopes(lambda y: tg.power(0.0, y), [0.0, 2.0]).tolist() == [0, 0]
    assert slopes(lambda x: x**2, 0.0) == 0 and slopes(lambda x: x**1, 0.0) == 1


def test_negative_base_has_no_slope_in_the_exponent() -> None:
    with np.errstate(invalid="ignore"):
        dx, dp = tg.grad(tg.power, (0, 1))(-2.0, 2.0)
    assert dx == -4 and np.isnan(dp)


def test_prod_is_exact_at_zeros() -> None:
    np.testing.assert_array_equal(slopes(tg.prod, [2.0, 0.0, 3.0]), [0, 6, 0])
    np.testing.assert_array_equal(slopes(tg.prod, [2.0, 0.0, 3.0, 0.0]), [0, 0, 0, 0])
    np.testing.assert_array_equal(tg.hessian(tg.prod)([2.0, 0.0, 0.0]), [[0, 0, 0], [0, 0, 2], [0, 2, 0]])
    np.testing.assert_array_equal(slopes(tg.cumprod, [2.0, 0.0, 3.0]), [1, 8, 0])


def test_std_of_equal_values_is_flat() -> None:
    np.testing.assert_array_equal(slopes(tg.std, [2.0, 2.0, 2.0]), [0, 0, 0])
    assert slopes(tg.std, 3.0) == 0


@pytest.mark.parametrize("name", ["sign", "floor", "ceil", "trunc", "rint", "round"])
def test_steps_have_zeros_not_errors(name: str) -> None:
    x = Tensor([0.3, -1.6, 2.0])
    y = getattr(tg, name)(x)
    assert y.requires_grad
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.zeros(3))
    assert slopes(getattr(tg, name), [0.3, -1.6]).tolist() == [0, 0]


def test_where_computes_both_branches() -> None:
    """where(x > 0, log x, x) at 0: the branch not taken has an infinite slope, and 0 · inf is nan."""
    with np.errstate(divide="ignore", invalid="ignore"):
        assert np.isnan(tg.grad(lambda x: tg.where(x > 0, tg.log(x), x))(0.0))
    assert tg.grad(lambda x: tg.where(x > 0, tg.log(tg.where(x > 0, x, 1.0)), x))(0.0) == 1


def test_defaults_are_numpys() -> None:
    x = Tensor([[3.0, 1.0], [2.0, 5.0]])
    assert type(x.max(axis=0)) is Tensor and x.max(axis=0).data.tolist() == [3, 5], "values, not (values, indices)"
    assert x.sort(axis=0).data.tolist() == [[2, 1], [3, 5]]
    assert x.std().item() == np.std(x.data) and x.var().item() == np.var(x.data), "ddof=0"
    assert x.transpose(1, 0).shape == (2, 2) and Tensor(CUBE).transpose(2, 0, 1).shape == (4, 2, 3)
    assert x.repeat(2).shape == (8,) and len(tg.split(VECTOR, [2])) == 2 and x.size == 4
    with pytest.raises(ValueError):
        x.squeeze(1)
    assert np.dot(CUBE, Tensor(draw("b", (5, 4, 2)))).shape == (2, 3, 5, 2)
    assert tg.pad(Tensor([1.0, 2.0]), (1, 0)).data.tolist() == [0, 1, 2]
    np.testing.assert_allclose(tg.softmax(x).data.sum(axis=-1), [1, 1], rtol=1e-15)


def test_errors_are_also_numpys_kinds() -> None:
    x = Tensor(np.ones((2, 3)))
    for wrong, kind in ((lambda: x + np.ones(4), ValueError), (lambda: x @ x, ValueError), (lambda: x[5], IndexError),
                        (lambda: x.sum(axis=2), np.exceptions.AxisError), (lambda: x.sum(axis=2), IndexError),
                        (lambda: Tensor("a"), TypeError), (lambda: np.angle(x), NotImplementedError),
                        (lambda: x.reshape(4), ValueError), (lambda: float(x), (TypeError, ValueError))):
        with pytest.raises(kind):
            wrong()


def test_a_pass_needs_one_number_or_weights() -> None:
    with pytest.raises(tg.errors.GradientError):
        Tensor([1.0, 2.0]).backward()
    for shape in ((1,), (1, 1)):
        t = Tensor(np.ones(shape))
        (t * 2).backward()
        assert t.grad.shape == shape


def test_kinds_of_gradient() -> None:
    x = Tensor([1.0, 2.0])
    (x * x).sum().backward()
    assert type(x.grad) is np.ndarray
    x.zero_grad()
    (x * x).sum().backward(create_graph=True)
    assert type(x.grad) is Tensor


def test_arrays_and_numbers_are_constants() -> None:
    x = np.ones(3)
    y = tg.exp(x) * 2
    assert type(y) is np.ndarray
    assert tg.sum(3.0) == 3 and not isinstance(tg.tanh(0.5), Tensor)


# ---------------------------------------------------------------- accuracy at the edges

@pytest.mark.parametrize("name, x, value, slope_", [
    ("sigmoid", -800.0, 0.0, 0.0), ("sigmoid", 800.0, 1.0, 0.0), ("log_sigmoid", -800.0, -800.0, 1.0),
    ("log_sigmoid", 800.0, 0.0, 0.0), ("softplus", 800.0, 800.0, 1.0), ("softplus", -800.0, 0.0, 0.0),
    ("silu", -800.0, 0.0, 0.0), ("silu", 800.0, 800.0, 1.0), ("gelu", -400.0, 0.0, 0.0), ("gelu", 400.0, 400.0, 1.0),
    ("elu", -800.0, -1.0, 0.0), ("elu", 800.0, 800.0, 1.0), ("tanh", 800.0, 1.0, 0.0), ("erf", 400.0, 1.0, 0.0),
    ("relu", 400.0, 400.0, 1.0), ("leaky_relu", -400.0, -4.0, 0.01), ("sigmoid", np.inf, 1.0, 0.0), ("sigmoid",
                                                                                                     -np.inf, 0.0, 0.0),
])
@pytest.mark.parametrize("shape", [(), (2,)], ids=["scalar", "vector"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_far_out_nothing_overflows(name: str, x: float, value: float, slope_: float, shape: Any, dtype: Any) -> None:
    """Warnings are errors in these tests."""
    t = Tensor(np.full(shape, x, dtype))
    y = getattr(tg, name)(t)
    np.testing.assert_allclose(y.data, value, rtol=1e-6, atol=1e-30)
    y.sum().backward()
    np.testing.assert_allclose(t.grad, slope_, rtol=1e-6, atol=1e-30)
    second = tg.grad(tg.grad(lambda x: tg.sum(getattr(tg, name)(x)) if not shape else getattr(tg, name)(x)[0]))
    if not shape and np.isfinite(x):
        assert abs(second(dtype(x))) <= 1e-6


def test_M9_sigmoid_without_warnings() -> None:
    for z, wanted in ((1000.0, 1.0), (-1000.0, 0.0), (0.0, 0.5)):
        assert tg.sigmoid(z) == tg.sigmoid(Tensor(z)).item() == wanted
        assert tg.sigmoid(np.array([z]))[0] == wanted
    assert abs(tg.sigmoid(np.array([-40.0]))[0] / math.exp(-40) - 1) < 1e-15


def test_sums_of_exponentials_keep_their_digits() -> None:
    x = np.array([1000.0, 1000.0])
    assert abs(tg.logsumexp(x) - (1000 + math.log(2))) < 1e-12
    np.testing.assert_allclose(slopes(tg.logsumexp, x), [0.5, 0.5], rtol=1e-12)
    np.testing.assert_array_equal(tg.softmax([-1000.0, 0.0]), [0, 1])
    np.testing.assert_array_equal(tg.log_softmax([-1000.0, 0.0]), [-1000, 0])
    assert tg.logsumexp([-np.inf, -np.inf]) == -np.inf
    assert tg.logsumexp([np.inf, 0.0]) == np.inf
    np.testing.assert_array_equal(slopes(tg.logsumexp, [-np.inf, 0.0]), [0, 1])
    np.testing.assert_allclose(tg.logcumsumexp(np.array([1000.0, 1000.0, -1000.0])),
                               [1000, 1000 + math.log(2)] + [1000 + math.log(2)])
    np.testing.assert_array_equal(slopes(lambda a: tg.logaddexp(a, -800.0), 800.0), 1)
    assert tg.logaddexp(Tensor(-np.inf), 0.0).item() == 0
    np.testing.assert_allclose(slopes(tg.logcumsumexp, np.array([1000.0, -1000.0, 999.0])),
                               [2 + 1 / (1 + math.exp(-1)), 0, 1 / (1 + math.e)], rtol=1e-12)
    np.testing.assert_allclose(slopes(lambda x: tg.logcumsumexp(x)[1:], np.array([-np.inf, 0.0, 0.0])), [0, 1.5, 0.5])
    np.testing.assert_allclose(slopes(lambda x: tg.logcumsumexp(x)[2:], np.array([-np.inf, -np.inf, 0.0])), [0, 0, 1])


def test_keepdims_is_a_truth_value() -> None:
    """A dtype in its place, as NumPy's third argument, must not pass for True."""
    for name in ("sum", "mean", "prod", "max", "min", "logsumexp", "ptp"):
        with pytest.raises((TypeError, UnsupportedError)):
            getattr(tg, name)(Tensor(X), 0, np.float32)


def test_small_arguments_keep_their_digits() -> None:
    for name in ("expm1", "log1p", "sinh", "tanh", "arcsinh", "arctanh", "sin", "erf"):
        exact = 2 / math.sqrt(math.pi) if name == "erf" else 1.0
        assert abs(getattr(tg, name)(1e-12) / 1e-12 - exact) < 1e-11
    assert abs(tg.grad(tg.arccosh)(1.0 + 1e-12) - 1 / math.sqrt(2e-12)) < 1e2
    assert abs(tg.grad(tg.arcsin)(1 - 1e-12) * math.sqrt(2e-12) - 1) < 1e-4
    assert tg.grad(tg.sinc)(0.0) == 0 and abs(tg.grad(tg.grad(tg.sinc))(0.0) + math.pi**2 / 3) < 1e-12


def test_warnings_are_numpys() -> None:
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert tg.log(Tensor(0.0)).item() == -np.inf
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert np.isnan(tg.sqrt(Tensor(-1.0)).item())


# ---------------------------------------------------------------- random indices and subscripts

def random_index(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Any mixture of what NumPy takes: integers, slices, None, Ellipsis, integer arrays, masks."""
    parts: list[Any] = []
    used, dots = 0, False
    together = tuple(rng.integers(1, 3, size=rng.integers(0, 3)))
    while used < len(shape) and rng.random() > 0.15:
        kind = rng.choice(["int", "slice", "slice", "none", "dots", "array", "mask", "wide-mask"])
        if kind == "int":
            parts.append(int(rng.integers(-shape[used], shape[used])))
        elif kind == "slice":
            ends = [None if rng.random() < 0.4 else int(rng.integers(-5, 6)) for _ in range(2)]
            parts.append(slice(*ends, int(rng.choice([-2, -1, 1, 2, 3]))))
        elif kind == "array":
            parts.append(rng.integers(-shape[used], shape[used], size=together))
        elif kind == "mask":
            parts.append(rng.random(shape[used]) < 0.6)
        elif kind == "wide-mask" and used + 1 < len(shape):
            parts.append(rng.random(shape[used : used + 2]) < 0.5)
            used += 1
        elif kind == "dots" and not dots:
            parts.append(Ellipsis)
            dots, used = True, used + int(rng.integers(0, len(shape) - used)) - 1
        else:
            parts.append(None)
            used -= 1
        used += 1
    return tuple(parts) if len(parts) != 1 or rng.random() < 0.5 else parts[0]


def test_random_indices_agree_with_numpy() -> None:
    rng, refused = np.random.default_rng(5), 0
    for trial in range(500):
        shape = tuple(rng.integers(1, 5, size=rng.integers(1, 4)))
        x, index = rng.normal(size=shape), random_index(rng, shape)
        try:
            wanted = x[index]
        except IndexError:
            refused += 1
            with pytest.raises(IndexError):
                Tensor(x)[index]
            continue
        t = Tensor(x)
        y, g = t[index], rng.normal(size=wanted.shape)
        y.backward(g)
        gathered = np.zeros(shape)
        np.add.at(gathered, index, g)
        np.testing.assert_array_equal(y.data, wanted, err_msg=f"{shape} {index}")
        np.testing.assert_allclose(t.grad, gathered, rtol=1e-13, atol=1e-13, err_msg=f"{shape} {index}")
        places = np.arange(x.size).reshape(shape)[index]
        if len(np.unique(places)) == places.size:
            changed = x.copy()
            changed[index] = g
            np.testing.assert_array_equal(tg.assign(t, index, g).data, changed, err_msg=f"{shape} {index}")
        if trial % 10 == 0:
            forward, reverse = (tg.jacobian(lambda v, i=index: v[i], mode=mode)(x) for mode in ("forward", "reverse"))
            np.testing.assert_array_equal(forward, reverse, err_msg=f"{shape} {index}")
    assert refused < 100


def test_random_einsums_agree_with_numpy() -> None:
    rng = np.random.default_rng(6)
    for _ in range(200):
        sizes = {c: int(rng.integers(1, 4)) for c in "abcd"}
        letters = rng.choice(list("abcd"), size=rng.integers(1, 5), replace=False)
        inputs = ["".join(rng.choice(letters, size=rng.integers(0, 4))) for _ in range(rng.integers(1, 4))]
        present = sorted(set("".join(inputs)))
        output = "".join(rng.permutation(present)[: rng.integers(0, len(present) + 1)]) if present else ""
        subscripts = ",".join(inputs) + ("->" + output if rng.random() < 0.7 else "")
        xs, us = ([rng.normal(size=[sizes[c] for c in s]) for s in inputs] for _ in range(2))
        wanted = np.einsum(subscripts, *xs)
        y, pull = tg.vjp(lambda *at, s=subscripts: tg.einsum(s, *at), *xs)
        close(y, wanted)
        assert np.shape(y) == np.shape(wanted)
        along = sum(float(np.sum(d * u)) for d, u in zip(pull(np.ones(np.shape(y))), us, strict=True))
        close(along, slope(lambda *at, s=subscripts: np.sum(np.einsum(s, *at)), xs, us), 1e-9)
