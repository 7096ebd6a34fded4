"""Selecting, putting, differences, medians: NumPy's values however they are called, checked derivatives, ties and refusals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import test_surface
from test_surface import CUBE, VECTOR, Case, X, Y, close
from zoo import draw

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.errors import InPlaceError, ShapeError, UnsupportedError
from tinygrad_edu.program import trace

GRID = np.array([0.0, 0.7, 1.5, 2.1])
EVEN, UNEVEN, FOUR = np.arange(5) * 0.5, np.array([0.0, 0.4, 1.3, 1.7, 2.9]), draw("four", (4,))
TABLE = draw("table", (4, 5))
GAPS = np.array([[1.5, np.nan, 0.5], [np.nan, -2.0, 1.0]])
PLACES = draw("places", (2, 3), -0.4, 2.6)


def scattered(x: Any, axis: int, index: Any, src: Any, add: bool = False) -> Any:
    """PyTorch's definition, as a loop."""
    y = np.array(x)
    for place in np.ndindex(np.shape(index)):
        to = list(place)
        to[axis] = int(np.asarray(index)[place])
        v = src[place] if np.ndim(src) else src
        y[tuple(to)] = y[tuple(to)] + v if add else v
    return y


def added(x: Any, axis: int, index: Any, src: Any) -> Any:
    return scattered(x, axis, index, src, add=True)


def put(x: Any, indices: Any, values: Any, axis: int = -1) -> Any:
    y = np.array(x)
    np.put_along_axis(y, np.asarray(indices), values, axis)
    return y


def largest(x: Any, k: int, axis: int = -1, largest: bool = True) -> Any:
    ordered = np.sort(x, axis=axis)
    return np.take(np.flip(ordered, axis) if largest else ordered, range(k), axis=axis)


def cases() -> Iterator[Case]:
    for x, kwargs in ((VECTOR, {"kth": 2}), (TABLE, {"kth": 1, "axis": 0}), (X, {"kth": 1}),
                      (X, {"kth": (0, 2), "axis": None})):
        yield Case("partition", (x,), kwargs)
    for n in (0, 1, 2):
        yield Case("diff", (TABLE,), {"n": n})
        yield Case("diff", (TABLE, n, 0))
    yield Case("diff", (X,), {"axis": 0, "n": 3})
    yield Case("diff", (X,), {"prepend": 0.0, "append": 1.5})
    yield Case("diff", (VECTOR, 1, -1, VECTOR[:2], VECTOR[0]))
    for order in (1, 2):
        yield Case("gradient", (TABLE[:3, :4],), {"edge_order": order})
        yield Case("gradient", (VECTOR,), {"edge_order": order})
        yield Case("gradient", (VECTOR, np.float64(0.5)), {"edge_order": order}, label=f"spacing{order}")
        yield Case("gradient", (VECTOR, UNEVEN), {"edge_order": order}, label=f"coordinates{order}")
        yield Case("gradient", (VECTOR, EVEN), {"edge_order": order}, label=f"even{order}")
        yield Case("gradient", (TABLE, np.float64(2.0), UNEVEN), {"edge_order": order}, label=f"mixed{order}")
    yield Case("gradient", (TABLE, GRID), {"axis": 0})
    yield Case("gradient", (CUBE,), {"axis": (2, 0)})
    yield Case("gradient", (VECTOR[:2],))
    yield Case("gradient", (TABLE, 3.0), {"axis": -1})
    yield Case("interp", (PLACES, GRID, FOUR))
    yield Case("interp", (np.float64(1.1), GRID, FOUR), label="number")
    yield Case("interp", (PLACES, GRID, FOUR), {"left": -1.0, "right": 7.0})
    yield Case("interp", (PLACES * 3, GRID[[2, 0, 3, 1]], FOUR), {"period": 2.5})
    yield Case("interp", (PLACES, GRID[:1], FOUR[:1]))
    for fill in ({}, {"nan": 3.0}, {"posinf": 1.0, "neginf": -1.0}):
        yield Case("nan_to_num", (X,), fill)
    for x, kwargs in ((VECTOR, {}), (FOUR, {}), (TABLE, {"axis": 0}), (TABLE, {"axis": 1, "keepdims": True}),
                      (CUBE, {"axis": (0, 2)}), (CUBE, {"axis": None, "keepdims": True}), (CUBE, {"axis": (0, -1),
                                                                                                 "keepdims": True})):
        yield Case("median", (x,), kwargs)
        for method in ("linear", "lower", "higher", "midpoint", "nearest"):
            yield Case("quantile", (x, 0.3), {**kwargs, "method": method})
    yield Case("quantile", (TABLE, [[0, 1], [0.5, 0.2]]), {"axis": 1}, label="several")
    yield Case("percentile", (TABLE, [0, 25, 70, 100]), {"axis": 1})
    yield Case("percentile", (VECTOR, 40))
    for name in ("nansum", "nanmean", "nanprod", "nanmax", "nanmin", "nanvar", "nanstd"):
        for kwargs in ({}, {"axis": 0}, {"axis": 1, "keepdims": True}):
            yield Case(name, (TABLE,), kwargs)
        yield Case(name, (CUBE,), {"axis": (0, 2)})
    yield Case("nanvar", (TABLE,), {"axis": 1, "ddof": 1})
    yield Case("nancumsum", (TABLE,), {"axis": 0})
    yield Case("nancumprod", (TABLE,))
    for kwargs in ({}, {"rowvar": False}, {"bias": True}, {"ddof": 0}):
        yield Case("cov", (TABLE,), kwargs)
    yield Case("cov", (VECTOR,))
    yield Case("cov", (X, Y))
    yield Case("corrcoef", (TABLE,))
    yield Case("corrcoef", (VECTOR, UNEVEN))
    yield Case("select", ([X > 1, X < 0], [X * 1, Y], 5.0), label="default")
    yield Case("select", ([X > 1], [X[0]]))
    for obj in (1, -1, slice(None, None, 2), [0, 2], np.array([True, False, True])):
        yield Case("delete", (X, obj, 1), label=f"delete-{obj}")
    yield Case("delete", (X, [1, 4]))
    yield Case("insert", (X, 1, np.float64(5.0)), label="flat")
    yield Case("insert", (X, 1, Y[0]), {"axis": 0}, label="row")
    yield Case("insert", (X, 1, Y[:, 0]), {"axis": 1}, label="column")
    yield Case("insert", (X, [0, 2], Y[:, :2]), {"axis": 1}, label="columns")
    yield Case("insert", (X, [2], Y[:, :2]), {"axis": 1}, label="two-at-one")
    yield Case("insert", (VECTOR, [3, 0, 3], FOUR[:3]), label="unordered")
    yield Case("insert", (VECTOR, slice(0, 4, 2), np.float64(1.5)), label="slice")
    yield Case("put_along_axis", (X, np.argsort(X, axis=1)[:, :2], Y[:, :2]), {"axis": 1}, numpy=put)
    yield Case("put_along_axis", (X, np.array([[1, 0, 1]]), np.float64(4.0), 0), numpy=put)
    yield Case("scatter", (X, 1, np.array([[2, 0], [1, 2]]), Y), numpy=scattered)
    yield Case("scatter", (X, 0, np.array([[1, 0, 1]]), Y), numpy=scattered)
    yield Case("scatter", (X, -1, np.array([[1], [0]]), 2.5), numpy=scattered)
    yield Case("scatter_add", (X, 1, np.array([[2, 2, 2], [1, 2, 0]]), Y), numpy=added)
    yield Case("scatter_add", (X, 0, np.array([[1, 1], [1, 0]]), Y), numpy=added)
    yield Case("scatter_add", (VECTOR, 0, [4, 0, 4], FOUR), numpy=added)


CASES = [pytest.param(c, id=f"{i}-{c}") for i, c in enumerate(cases())]
ALL = pytest.mark.parametrize("case", CASES)


@ALL
def test_values_are_numpys(case: Case) -> None:
    test_surface.test_every_way_to_call_gives_numpys_value(case)


@ALL
def test_derivatives(case: Case) -> None:
    test_surface.test_derivatives_agree_with_differences(case)


@ALL
def test_float32(case: Case) -> None:
    if np.size(case.args[-1]) > 1 or case.name != "interp":  # of one sample, its place has no derivative at all
        test_surface.test_float32_in_float32_out(case)


# ---------------------------------------------------------------- topk


@pytest.mark.parametrize("kwargs", [{}, {"axis": 0}, {"largest": False}, {"axis": 0, "largest": False}])
def test_topk_gives_values_and_places(kwargs: dict[str, Any]) -> None:
    x = Tensor(TABLE)
    values, indices = tg.topk(x, 3, **kwargs)
    close(values.data, largest(TABLE, 3, **kwargs))
    assert type(indices) is np.ndarray and indices.dtype.kind == "i"
    close(np.take_along_axis(TABLE, indices, kwargs.get("axis", -1)), values.data)
    assert tg.check_gradients(lambda x: tg.topk(x, 3, **kwargs)[0], TABLE).ok


def test_topk_at_its_corners() -> None:
    _, places = tg.topk(Tensor([2.0, 5.0, 2.0, 5.0]), 3)
    assert places.tolist() == [1, 3, 0]  # ties in their order
    assert tg.topk([2.0, 5.0, 2.0], 2, largest=False)[1].tolist() == [0, 2]
    assert tg.topk([2.0, np.nan, 7.0], 2)[1].tolist() == [1, 2]
    assert tg.topk(np.zeros((2, 0)), 0)[0].shape == (2, 0)
    with pytest.raises(ShapeError, match="Ask for 2 or fewer"):
        tg.topk(Tensor([1.0, 2.0]), 3)


def test_what_is_chosen_stays_part_of_a_traced_program() -> None:
    def cost(x: Any, y: Any) -> Any:
        values, places = tg.topk(x, 2)
        return (values * np.take(y, places)).sum() + tg.interp(x, GRID, y).sum() + tg.median(x) * tg.nan_to_num(y).sum()

    program = trace(cost, draw("one", (4,), 0, 2), draw("two", (4,)))
    a, b = draw("other", (4,), 0.1, 2), draw("more", (4,))
    close(next(iter(program.run(a, b).values())), cost(a, b))


# ---------------------------------------------------------------- corners


def test_places_on_values() -> None:
    edges = Tensor([0.0, 1.0, 2.0])
    for f in (np.searchsorted, tg.searchsorted):
        found = f(edges, Tensor([0.5, 2.0]), side="right")
        assert type(found) is np.ndarray and found.tolist() == [1, 3]
    for f in (np.digitize, tg.digitize):
        assert f(Tensor([0.5, 2.0]), edges).tolist() == [1, 3]
    assert edges.searchsorted(0.5) == 1


@pytest.mark.parametrize(("x", "wanted"), [
    ([1.0, 2.0, 2.0, 2.0, 9.0], [0, 1 / 3, 1 / 3, 1 / 3, 0]), ([3.0, 1.0], [0.5, 0.5]), ([2.0, 2.0], [0.5, 0.5]),
    ([5.0, 1.0, 1.0, 7.0], [0.5, 0.25, 0.25, 0]), ([4.0], [1.0]),
])
def test_ties_for_the_median_share(x: list[float], wanted: list[float]) -> None:
    close(tg.grad(tg.median)(np.array(x)), np.array(wanted))
    close(tg.grad(lambda x: tg.quantile(x, 0.5))(np.array(x)), np.array(wanted))


def test_nan_in_and_nan_out() -> None:
    for name in ("median", "quantile"):
        args = () if name == "median" else (0.3,)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.testing.assert_array_equal(getattr(tg, name)(GAPS, *args, axis=0), getattr(np, name)(GAPS, *args, axis=0))
    for name in ("nansum", "nanmean", "nanprod", "nanmax", "nanmin", "nanvar", "nanstd", "nancumsum", "nancumprod"):
        for axis in (None, 0, 1):
            close(getattr(np, name)(Tensor(GAPS), axis=axis).data, getattr(np, name)(GAPS, axis=axis))
        d = tg.grad(lambda x, name=name: getattr(tg, name)(x).sum())(GAPS)
        assert np.all(np.isfinite(d)) and not d[np.isnan(GAPS)].any()
    extreme = np.array([np.nan, np.inf, -np.inf, 2.0])
    np.testing.assert_array_equal(np.nan_to_num(Tensor(extreme)).data, np.nan_to_num(extreme))
    np.testing.assert_array_equal(tg.grad(lambda x: tg.nan_to_num(x).sum())(extreme), [0, 0, 0, 1])
    small = extreme.astype(np.float32)
    assert np.nan_to_num(Tensor(small)).dtype == np.float32
    np.testing.assert_array_equal(np.nan_to_num(Tensor(small)).data, np.nan_to_num(small))
    with pytest.warns(RuntimeWarning, match="nanmean"):
        assert np.isnan(tg.nanmean(Tensor([np.nan])).value)
    with pytest.warns(RuntimeWarning, match="nanmax"):
        assert np.isnan(tg.nanmax(Tensor([np.nan])).value)


def test_nanstd_of_equal_numbers_has_derivative_zero() -> None:
    np.testing.assert_array_equal(tg.grad(tg.nanstd)([2.0, np.nan, 2.0]), [0, 0, 0])


def test_interp_at_the_samples_and_beyond() -> None:
    slope = tg.elementwise_grad(lambda x: tg.interp(x, [0.0, 1.0, 3.0], [0.0, 5.0, 1.0]))
    np.testing.assert_array_equal(slope(np.array([-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, np.inf])), [0, 5, 5, -2, -2, 0, 0, 0])
    twice = ([0.0, 1.0, 1.0, 2.0], [0.0, 1.0, 3.0, 4.0])  # a jump
    x = np.array([-1.0, 0.5, 1.0, 1.5, 2.0, 3.0, np.nan])
    np.testing.assert_array_equal(tg.interp(Tensor(x), *twice).data, np.interp(x, *twice))
    fp = tg.grad(lambda fp: tg.interp(np.array([0.5, 1.0, 1.5, 5.0, -5.0]), twice[0], fp).sum())(np.array(twice[1]))
    np.testing.assert_array_equal(fp, [1.5, 0.5, 1.5, 1.5])
    assert np.all(np.isfinite(tg.grad(lambda xp: tg.interp(np.array([0.5, 3.0]), xp, twice[1]).sum())(np.array(twice[0]))))
    assert tg.grad(lambda left: tg.interp(np.array([-1.0, -2.0, 0.5]), *twice, left=left).sum())(7.0) == 2


def test_scatter_add_collects_what_meets() -> None:
    x, src, places = Tensor(np.zeros(3)), Tensor([1.0, 2.0, 3.0]), [2, 0, 2]
    y = tg.scatter_add(x, 0, places, src)
    np.testing.assert_array_equal(y.data, [2, 0, 4])
    (y * np.array([1.0, 10.0, 100.0])).sum().backward()
    np.testing.assert_array_equal(src.grad, [100, 1, 100])
    np.testing.assert_array_equal(x.grad, [1, 10, 100])


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "scatter-twice": (lambda: tg.scatter(Tensor(VECTOR), 0, [1, 1], 2.0), InPlaceError, "tg.scatter_add"),
    "scatter-shape": (lambda: tg.scatter(Tensor(X), 0, [1, 1], 2.0), ShapeError, "as many axes"),
    "scatter-large": (lambda: tg.scatter_add(Tensor(X), 0, np.zeros((2, 4), int), 2.0), ShapeError, "do not fit"),
    "scatter-small": (lambda: tg.scatter_add(Tensor(X), 0, np.zeros((2, 3), int), Y[:1]), ShapeError,
                      "smaller than the indices"),
    "scatter-bounds": (lambda: tg.scatter_add(Tensor(X), 0, np.full((2, 3), 2), Y), IndexError, "out of bounds"),
    "scatter-floats": (lambda: tg.scatter(Tensor(X), 0, X, Y), IndexError, "Use integers"),
    "numpy-put-along": (lambda: np.put_along_axis(Tensor(X), np.zeros((2, 1), int), 0.0, 1), InPlaceError,
                        r"x = tg.put_along_axis\(x, indices, values, axis\)"),
    "gradient-short": (lambda: np.gradient(Tensor(VECTOR[:2]), edge_order=2), ShapeError, "needs 3 or more"),
    "gradient-coordinates": (lambda: np.gradient(Tensor(VECTOR), GRID), ShapeError, "5 coordinates"),
    "gradient-order": (lambda: np.gradient(Tensor(VECTOR), edge_order=3), ValueError, "Choose 1 or 2"),
    "gradient-count": (lambda: np.gradient(Tensor(X), 1.0, 2.0, 3.0), TypeError, "3 spacings for 2 axes"),
    "interp-shapes": (lambda: np.interp(0.5, Tensor(GRID), VECTOR), ShapeError, "vectors of equal length"),
    "interp-period": (lambda: np.interp(0.5, Tensor(GRID), FOUR, period=0), ValueError, "period=0"),
    "interp-empty": (lambda: tg.interp(Tensor(0.5), [], []), ShapeError, "no sample"),
    "median-empty": (lambda: np.median(Tensor(np.zeros((0, 2))), axis=0), ShapeError, "no entry"),
    "quantile-range": (lambda: np.quantile(Tensor(VECTOR), 1.5), ValueError, "outside"),
    "quantile-method": (lambda: np.quantile(Tensor(VECTOR), 0.5, method="hazen"), UnsupportedError, "linear, lower"),
    "quantile-q": (lambda: tg.quantile(VECTOR, Tensor(0.5)), UnsupportedError, "detach"),
    "diff-n": (lambda: np.diff(Tensor(VECTOR), n=-1), ValueError, "n=-1"),
    "select-count": (lambda: tg.select([X > 0], []), ValueError, "one choice for each condition"),
    "select-dtype": (lambda: tg.select([X], [Tensor(X)]), TypeError, "Use a comparison"),
    "cov-few": (lambda: np.cov(Tensor([1.0])), ShapeError, "too few"),
    "cov-cube": (lambda: tg.cov(Tensor(CUBE)), ShapeError, "a vector or a matrix"),
    "nan-in-place": (lambda: np.nan_to_num(Tensor(X), copy=False), UnsupportedError, "x = np.nan_to_num"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_what_to_write(name: str) -> None:
    call, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        call()
