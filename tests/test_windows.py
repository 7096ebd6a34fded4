"""Convolutions, pooling, unfold and interpolate: values by loops, derivatives, PyTorch's conventions, errors, memory."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from zoo import draw

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.errors import ShapeError, UnsupportedError
from tinygrad_edu.rules import windows

Array = Any


# ---------------------------------------------------------------- the functions once more, by loops

def pairs(x: Any, n: int) -> tuple[int, ...]:
    return x if isinstance(x, tuple) else (x,) * n


def convolution(x: Array, w: Array, b: Array | None, stride: Any, padding: Any, dilation: Any, groups: int) -> Array:
    """Padded by np.pad, then the definition, one result after the other."""
    n = x.ndim - 2
    stride, dilation = pairs(stride, n), pairs(dilation, n)
    reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilation, strict=True)]
    if padding == "same":
        around = [((r - 1) // 2, r - 1 - (r - 1) // 2) for r in reach]
    else:
        around = [(p, p) for p in pairs(0 if padding == "valid" else padding, n)]
    x = np.pad(x, [(0, 0), (0, 0), *around])
    size = [(m - r) // s + 1 for m, r, s in zip(x.shape[2:], reach, stride, strict=True)]
    y = np.zeros((len(x), len(w), *size))
    channels, filters = w.shape[1], len(w) // groups
    for i, f, *o in np.ndindex(y.shape):
        seen = x[i, f // filters * channels : (f // filters + 1) * channels]
        window = tuple(slice(a * s, a * s + r, d) for a, s, r, d in zip(o, stride, reach, dilation, strict=True))
        y[i, f, *o] = np.sum(seen[:, *window] * w[f]) + (0 if b is None else b[f])
    return y


def transposed(x: Array, w: Array, b: Array | None, stride: Any, padding: Any, output_padding: Any, groups: int,
               dilation: Any) -> Array:
    """Every entry puts its multiple of the filters into a large array, of which the padding is cut off."""
    n = x.ndim - 2
    stride, dilation, cut, extra = (pairs(a, n) for a in (stride, dilation, padding, output_padding))
    reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilation, strict=True)]
    whole = [(m - 1) * s + r + e for m, s, r, e in zip(x.shape[2:], stride, reach, extra, strict=True)]
    y = np.zeros((len(x), w.shape[1] * groups, *whole))
    per_group, filters = len(w) // groups, w.shape[1]
    for i, c, *o in np.ndindex(x.shape):
        first = c // per_group * filters
        window = tuple(slice(a * s, a * s + r, d) for a, s, r, d in zip(o, stride, reach, dilation, strict=True))
        y[i, first : first + filters, *window] += x[i, c, *o] * w[c]
    y = y[:, :, *(slice(p, m - p) for p, m in zip(cut, whole, strict=True))]
    return y if b is None else y + b.reshape(-1, *[1] * n)


def pooled(x: Array, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool,
           take: Callable[[list[float], int], float]) -> Array:
    """take(entries inside, how many entries the window has of the image and its padding) of each window."""
    n = x.ndim - 2
    kernel, padding, dilation = pairs(kernel, n), pairs(padding, n), pairs(dilation, n)
    stride = kernel if stride is None else pairs(stride, n)
    size = []
    for m, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True):
        span = m + 2 * p - d * (k - 1) - 1
        count = (math.ceil(span / s) if ceil_mode else span // s) + 1
        size.append(count - (ceil_mode and (count - 1) * s >= m + p))
    y = np.zeros((*x.shape[:2], *size))
    for i, c, *o in np.ndindex(y.shape):
        inside, whole = [], 0
        for place in np.ndindex(*kernel):
            at = [a * s + j * d - p for a, s, j, d, p in zip(o, stride, place, dilation, padding, strict=True)]
            whole += all(-p <= q < m + p for q, m, p in zip(at, x.shape[2:], padding, strict=True))
            if all(0 <= q < m for q, m in zip(at, x.shape[2:], strict=True)):
                inside.append(x[i, c, *at])
        y[i, c, *o] = take(inside, whole)
    return y


# ---------------------------------------------------------------- how each case is checked

def slope(f: Callable[..., Any], xs: list[Any], us: list[Any], h: float = 1e-3) -> Any:
    def central(step: float) -> Any:
        up, down = ([x + s * u for x, u in zip(xs, us, strict=True)] for s in (step, -step))
        return (np.asarray(f(*up)) - np.asarray(f(*down))) / (2 * step)

    return (4 * central(h / 2) - central(h)) / 3


def check(f: Callable[..., Any], wanted: Array, *xs: Array, smooth: bool = True) -> None:
    """The value, float32, derivatives against differences to second order, and both modes against each other."""
    y = f(*xs)
    assert y.shape == wanted.shape
    np.testing.assert_allclose(y, wanted, rtol=1e-12, atol=1e-12)
    single = f(*[Tensor(x.astype(np.float32)) for x in xs])
    assert single.dtype == np.float32
    np.testing.assert_allclose(single.data, wanted, rtol=1e-4, atol=1e-4)
    single.backward(np.ones(wanted.shape, np.float32))
    us = [draw(("direction", i), x.shape, 0.5, 1.5) for i, x in enumerate(xs)]
    weights = draw("weights", wanted.shape, 0.5, 1.5)
    _, pull = tg.vjp(f, *xs)
    gradients = pull(weights)
    for x, g in zip(xs, gradients, strict=True):
        assert g.shape == x.shape and g.dtype == x.dtype
    _, tangent = tg.jvp(f, tuple(xs), tuple(us))
    along = sum(float(np.sum(g * u)) for g, u in zip(gradients, us, strict=True))
    np.testing.assert_allclose(float(np.sum(weights * tangent)), along, rtol=1e-11, atol=1e-11)
    if not smooth or not wanted.size:
        return
    np.testing.assert_allclose(tangent, slope(f, list(xs), us), rtol=1e-8, atol=1e-8)
    places = tuple(range(len(xs)))
    squared = tg.grad(lambda *at: tg.sum(weights * f(*at) ** 2), places)
    second = tg.hvp(lambda *at: tg.sum(weights * f(*at) ** 2), tuple(xs), tuple(us))
    for i, h in enumerate(second):
        np.testing.assert_allclose(h, slope(lambda *at, i=i: squared(*at)[i], list(xs), us), rtol=1e-7, atol=1e-7)


# ---------------------------------------------------------------- convolutions

# x, weight, stride, padding, dilation, groups
CONVOLUTIONS: list[Any] = [
    ((2, 3, 5, 4), (2, 3, 3, 2), 1, 0, 1, 1),
    ((2, 2, 6, 5), (3, 2, 3, 3), 2, 1, 1, 1),
    ((1, 2, 7, 6), (2, 2, 2, 3), (3, 1), (0, 2), (2, 1), 1),
    ((2, 4, 4, 4), (6, 2, 2, 2), 1, 1, 1, 2),
    ((1, 3, 4, 4), (3, 1, 3, 3), 1, "same", 1, 3),
    ((1, 2, 5, 6), (2, 2, 2, 4), 1, "same", (1, 2), 1),
    ((1, 1, 4, 4), (1, 1, 2, 2), 2, "valid", 1, 1),
    ((9, 2, 4, 4), (2, 2, 3, 2), (1, 2), 1, 1, 1),
    ((2, 3, 3, 3), (4, 3, 1, 1), 1, 0, 1, 1),
    ((2, 2, 8), (3, 2, 3), 2, 1, 2, 1),
    ((9, 4, 6), (2, 2, 2), 1, "same", 1, 2),
    ((0, 2, 4, 4), (3, 2, 2, 2), 1, 0, 1, 1),
]


@pytest.mark.parametrize(("x", "w", "stride", "padding", "dilation", "groups"), CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("with_bias", [False, True], ids=["", "bias"])
def test_convolution(x: Any, w: Any, stride: Any, padding: Any, dilation: Any, groups: int, with_bias: bool) -> None:
    xs = [draw("x", x), draw("w", w), *([draw("b", w[:1])] if with_bias else [])]
    f = tg.conv2d if len(x) == 4 else tg.conv1d
    wanted = convolution(xs[0], xs[1], xs[2] if with_bias else None, stride, padding, dilation, groups)
    check(lambda *at: f(*at, stride=stride, padding=padding, dilation=dilation, groups=groups), wanted, *xs)


# x, weight, stride, padding, output_padding, groups, dilation
TRANSPOSED: list[Any] = [
    ((2, 3, 3, 4), (3, 2, 3, 2), 1, 0, 0, 1, 1),
    ((1, 2, 3, 3), (2, 2, 3, 3), 2, 1, 1, 1, 1),
    ((2, 4, 2, 3), (4, 1, 2, 2), (2, 3), (0, 1), (1, 2), 2, (1, 2)),
    ((9, 1, 3, 2), (1, 2, 2, 2), 3, 0, (2, 0), 1, 1),
    ((1, 1, 3, 3), (1, 1, 2, 2), 1, 0, 2, 1, 3),
    ((2, 2, 4), (2, 3, 3), 2, 1, 1, 1, 1),
    ((0, 2, 4), (2, 3, 3), 2, 1, 1, 1, 1),
]


@pytest.mark.parametrize(("x", "w", "stride", "padding", "output_padding", "groups", "dilation"), TRANSPOSED, ids=str)
@pytest.mark.parametrize("with_bias", [False, True], ids=["", "bias"])
def test_transposed_convolution(x: Any, w: Any, stride: Any, padding: Any, output_padding: Any, groups: int,
                                dilation: Any, with_bias: bool) -> None:
    xs = [draw("x", x), draw("w", w), *([draw("b", (w[1] * groups,))] if with_bias else [])]
    f = tg.conv_transpose2d if len(x) == 4 else tg.conv_transpose1d
    settings = {"stride": stride, "padding": padding, "output_padding": output_padding, "groups": groups,
                "dilation": dilation}
    wanted = transposed(xs[0], xs[1], xs[2] if with_bias else None, **settings)
    check(lambda *at: f(*at, **settings), wanted, *xs)


def test_random_convolutions_and_their_transposes() -> None:
    """Values of both by loops, and ⟨conv x, u⟩ = ⟨x, conv_transpose u⟩, on configurations drawn at random."""
    rng = np.random.default_rng(4)
    done = 0
    while done < 60:
        n, groups = int(rng.integers(1, 3)), int(rng.integers(1, 3))
        kernel, stride, dilation, padding = (tuple(int(a) for a in rng.integers(low, high, n))
                                             for low, high in ((1, 4), (1, 4), (1, 3), (0, 3)))
        space = tuple(int(a) for a in rng.integers(1, 7, n))
        span = [m + 2 * p - d * (k - 1) - 1 for m, p, d, k in zip(space, padding, dilation, kernel, strict=True)]
        if min(span) < 0:
            continue
        x = rng.normal(size=(int(rng.choice([1, 2, 8])), groups * 2, *space))
        w = rng.normal(size=(groups * int(rng.integers(1, 3)), 2, *kernel))
        forward, back = (tg.conv1d, tg.conv_transpose1d) if n == 1 else (tg.conv2d, tg.conv_transpose2d)
        y = forward(x, w, None, stride, padding, dilation, groups)
        np.testing.assert_allclose(y, convolution(x, w, None, stride, padding, dilation, groups), rtol=1e-11, atol=1e-11)
        u = rng.normal(size=y.shape)
        extra = tuple(a % s for a, s in zip(span, stride, strict=True))
        if all(e < max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
            t = back(u, w, None, stride, padding, extra, groups, dilation)
            np.testing.assert_allclose(t, transposed(u, w, None, stride, padding, extra, groups, dilation), rtol=1e-11,
                                       atol=1e-11)
            np.testing.assert_allclose(np.sum(y * u), np.sum(x * t), rtol=1e-10, atol=1e-10)
        done += 1


def test_third_derivatives_in_mixed_modes() -> None:
    x, w = draw("x", (1, 1, 4, 4)), draw("w", (2, 1, 2, 2))

    def f(w: Any) -> Any:
        return tg.sum(tg.tanh(tg.conv2d(tg.tanh(tg.conv2d(x, w)), w.transpose(1, 0, 2, 3), padding=1)))

    u, v = draw("u", w.shape), draw("v", w.shape)
    third = tg.grad(lambda w: tg.sum(u * tg.hvp(f, w, v)))(w)
    again = tg.jvp(lambda w: tg.jvp(tg.grad(f), (w,), (u,))[1], (w,), (v,))[1]
    np.testing.assert_allclose(third, again, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(third, slope(lambda w: tg.hvp(f, w, v), [w], [u]), rtol=1e-7, atol=1e-8)


def test_M129_a_shared_filter_gets_the_sum_over_its_places() -> None:
    """The same layer as a dense one, each weight a copy of the filter's: the copies' gradients add up to the filter's."""
    x, w, b = draw("x", (3, 2, 5, 4)), draw("w", (2, 2, 3, 2)), draw("b", (2,))
    rows, columns = 3, 3
    size = (2, rows, columns)
    dense, copy_of = np.zeros((*size, 2, 5, 4)), {}
    for f, i, j, c, p, q in itertools.product(range(2), range(rows), range(columns), range(2), range(3), range(2)):
        dense[f, i, j, c, i + p, j + q] = w[f, c, p, q]
        copy_of[f, i, j, c, i + p, j + q] = (f, c, p, q)
    Z = tg.conv2d(x, w, b)
    W = dense.reshape(math.prod(size), -1)
    B = np.repeat(b, rows * columns)
    np.testing.assert_allclose(Z.reshape(3, -1), x.reshape(3, -1) @ W.T + B, rtol=1e-12)

    def cost(Z: Any) -> Any:
        return tg.mean(tg.tanh(Z) ** 2)

    dw, db = tg.grad(lambda w, b: cost(tg.conv2d(x, w, b)), (0, 1))(w, b)
    dW, dB = tg.grad(lambda W, B: cost(x.reshape(3, -1) @ W.T + B), (0, 1))(W, B)
    summed, dW = np.zeros(w.shape), dW.reshape(dense.shape)
    for at, of in copy_of.items():
        summed[of] += dW[at]
    np.testing.assert_allclose(dw, summed, rtol=0, atol=1e-12)
    np.testing.assert_allclose(db, dB.reshape(2, -1).sum(axis=1), rtol=0, atol=1e-12)


def test_M129_filters_for_edges_and_corners() -> None:
    """Sobel's filters answer to the edges of a square where they are, and nowhere else; their product to its corners."""
    image = np.zeros((1, 1, 8, 8))
    image[..., 2:6, 2:6] = 1
    across = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    Z = tg.conv2d(image, np.stack([across, across.T])[:, None], padding=1)[0]
    standing, lying = np.abs(Z)
    np.testing.assert_array_equal(lying, standing.T)
    assert set(zip(*np.nonzero(standing[3:5]), strict=True)) == {(i, j) for i in (0, 1) for j in (1, 2, 5, 6)}
    corners = standing * lying
    assert corners[2, 2] > 0 and not corners[:, 3:5].any() and not corners[3:5].any()


def test_a_layer_learns_the_filter_that_made_the_data() -> None:
    rng = np.random.default_rng(0)
    x, hidden = rng.normal(size=(16, 1, 8, 8)), np.array([[[[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]]])
    wanted, w = tg.conv2d(x, hidden), np.zeros((1, 1, 3, 3))
    step = tg.grad(lambda w: tg.mean((tg.conv2d(x, w) - wanted) ** 2))
    for _ in range(200):
        w -= 0.2 * step(w)
    np.testing.assert_allclose(w, hidden, atol=1e-10)


# ---------------------------------------------------------------- pooling

# x, kernel, stride, padding, dilation, ceil_mode
POOLS: list[Any] = [
    ((2, 2, 4, 6), 2, None, 0, 1, False),
    ((1, 2, 5, 5), 2, None, 0, 1, True),
    ((2, 1, 5, 6), (3, 2), (2, 1), (1, 0), 1, False),
    ((2, 1, 6, 5), 3, 2, 1, 1, True),
    ((1, 1, 7, 6), 2, 1, 0, (3, 2), False),
    ((9, 2, 5, 4), 2, (1, 3), 1, 1, True),
    ((2, 3, 7), 3, 2, 1, 1, True),
    ((9, 1, 5), 2, None, 0, 1, False),
    ((0, 2, 4, 4), 2, None, 0, 1, False),
]


@pytest.mark.parametrize(("x", "kernel", "stride", "padding", "dilation", "ceil_mode"), POOLS, ids=str)
def test_max_pool(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> None:
    f = tg.max_pool2d if len(x) == 4 else tg.max_pool1d
    at = draw("x", x)
    wanted = pooled(at, kernel, stride, padding, dilation, ceil_mode, lambda inside, _: max(inside))
    check(lambda x: f(x, kernel, stride, padding, dilation, ceil_mode), wanted, at)


@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize(("x", "kernel", "stride", "padding", "dilation", "ceil_mode"),
                         [p for p in POOLS if p[4] == 1], ids=str)
def test_average_pool(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool,
                      count_include_pad: bool) -> None:
    f = tg.avg_pool2d if len(x) == 4 else tg.avg_pool1d
    at = draw("x", x)
    wanted = pooled(at, kernel, stride, padding, dilation, ceil_mode,
                    lambda inside, whole: sum(inside) / (whole if count_include_pad else len(inside)))
    check(lambda x: f(x, kernel, stride, padding, ceil_mode, count_include_pad), wanted, at)


def test_average_by_another_divisor() -> None:
    x = draw("x", (1, 2, 4, 5))
    wanted = pooled(x, 2, None, 0, 1, True, lambda inside, _: sum(inside) / 3)
    check(lambda x: tg.avg_pool2d(x, 2, ceil_mode=True, divisor_override=3), wanted, x)


def test_ties_in_a_window_share_the_gradient() -> None:
    x = np.array([[[1.0, 3.0, 3.0, 0.0], [3.0, 2.0, 0.0, 0.0]]])
    g = tg.grad(lambda x: tg.sum(np.array([6.0, 12.0]) * tg.max_pool2d(x, 2)))(x)
    np.testing.assert_array_equal(g, [[[0, 3, 12, 0], [3, 0, 0, 0]]])
    overlapping = tg.grad(lambda x: tg.sum(tg.max_pool2d(x, 2, stride=1)))(x)
    np.testing.assert_array_equal(overlapping, [[[0, 0.5 + 0.5, 0.5 + 1, 0], [0.5, 0, 0, 0]]])
    _, along = tg.jvp(lambda x: tg.max_pool2d(x, 2), (x,), (np.arange(8.0).reshape(1, 2, 4),))
    np.testing.assert_array_equal(along, [[[2.5, 2.0]]])  # the mean of the tangents that tie, 1 and 4
    equal = tg.grad(lambda x: tg.sum(tg.max_pool2d(x, 2)))(np.full((8, 1, 4, 4), 7.0))
    np.testing.assert_array_equal(equal, np.full((8, 1, 4, 4), 0.25))


def test_padding_is_never_the_largest_and_nan_stays() -> None:
    x = np.full((1, 1, 3, 3), -5.0)
    np.testing.assert_array_equal(tg.max_pool2d(x, 3, 1, 1), x)
    lowest = np.full((1, 1, 2, 2), -np.inf)
    shares = tg.vjp(lambda x: tg.max_pool2d(x, 3, 1, 1), lowest)[1](np.ones((1, 1, 2, 2)))[0]
    np.testing.assert_array_equal(shares, np.ones((1, 1, 2, 2)))
    x[0, 0, 0, 0] = np.nan
    assert np.isnan(tg.max_pool2d(x, 2, 1)[0, 0]).tolist() == [[True, False], [False, False]]


# ---------------------------------------------------------------- unfold, fold, interpolate

UNFOLDS: list[Any] = [
    ((2, 2, 4, 5), 2, 1, 0, 1), ((1, 3, 5, 4), (3, 2), (1, 2), (1, 0), (2, 1)), ((9, 1, 4, 4), 3, 1, 1, 2),
]


@pytest.mark.parametrize(("x", "kernel", "dilation", "padding", "stride"), UNFOLDS, ids=str)
def test_unfold_and_fold(x: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> None:
    """unfold: a convolution with one filter for each entry of the window. fold: its transpose, and so its derivative."""
    at, (kh, kw) = draw("x", x), pairs(kernel, 2)
    each = np.eye(kh * kw).reshape(kh * kw, 1, kh, kw)
    wanted = convolution(at.reshape(-1, 1, *x[2:]), each, None, stride, padding, dilation, 1)
    wanted = wanted.reshape(x[0], x[1] * kh * kw, -1)
    check(lambda x: tg.unfold(x, kernel, dilation, padding, stride), wanted, at)
    u = draw("u", wanted.shape)
    folded = tg.fold(u, x[2:], kernel, dilation, padding, stride)
    np.testing.assert_allclose(np.sum(wanted * u), np.sum(at * folded), rtol=1e-12)
    check(lambda u: tg.fold(u, x[2:], kernel, dilation, padding, stride), folded, u)


def test_a_convolution_is_a_product_with_columns() -> None:
    x, w = draw("x", (2, 3, 6, 5)), draw("w", (4, 3, 3, 2))
    y = tg.conv2d(x, w, stride=2, padding=1)
    columns = tg.unfold(x, (3, 2), padding=1, stride=2)
    np.testing.assert_allclose(w.reshape(4, -1) @ columns, y.reshape(2, 4, -1), rtol=1e-12)


# mode, align_corners, and where entry o of n lies among m
PLACES: list[Any] = [
    ("nearest", None, lambda o, n, m: math.floor(o * m / n)),
    ("linear", False, lambda o, n, m: min(max((o + 0.5) * m / n - 0.5, 0), m - 1)),
    ("linear", None, lambda o, n, m: min(max((o + 0.5) * m / n - 0.5, 0), m - 1)),
    ("linear", True, lambda o, n, m: o * (m - 1) / (n - 1) if n > 1 else 0),
]


@pytest.mark.parametrize(("mode", "align_corners", "place"), PLACES, ids=["nearest", "areas", "default", "corners"])
@pytest.mark.parametrize("size", [(7, 3), (2, 5), (1, 1), (3, 4), (6, 8)], ids=str)
def test_interpolate(mode: str, align_corners: Any, place: Any, size: tuple[int, int]) -> None:
    x = draw("x", (2, 2, 3, 4))
    wanted = np.zeros((2, 2, *size))
    for i, j in np.ndindex(*size):
        for (a, u), (b, v) in itertools.product(*([
            (math.floor(p), 1 - p + math.floor(p)), (min(math.floor(p) + 1, m - 1), p - math.floor(p))]
            for p, m in ((place(i, size[0], 3), 3), (place(j, size[1], 4), 4)))):
            wanted[:, :, i, j] += u * v * x[:, :, a, b]
    settings = {"mode": "bilinear" if mode == "linear" else mode, "align_corners": align_corners}
    check(lambda x: tg.interpolate(x, size, **settings), wanted, x)
    row = x[:, :, 0]
    line = tg.interpolate(row, size=size[1], mode=mode, align_corners=align_corners)
    np.testing.assert_allclose(line, tg.interpolate(row[:, :, None], (1, size[1]), **settings)[:, :, 0], rtol=1e-12)


def test_interpolate_by_a_factor_steps_by_the_factor() -> None:
    x = np.arange(5.0).reshape(1, 1, 5)
    np.testing.assert_array_equal(tg.interpolate(x, scale_factor=2)[0, 0], np.repeat(np.arange(5), 2))
    np.testing.assert_array_equal(tg.interpolate(x, scale_factor=0.5)[0, 0], [0, 2])
    # 3 entries, 1/0.7 apart, not 5/3
    np.testing.assert_allclose(tg.interpolate(x, scale_factor=0.7, mode="linear")[0, 0], (np.arange(3) + 0.5) / 0.7 - 0.5)


def test_interpolate_keeps_infinities_in_their_place() -> None:
    x = np.array([[[1.0, np.inf, 2.0]]])
    np.testing.assert_array_equal(tg.interpolate(x, size=5, mode="linear", align_corners=True)[0, 0],
                                  [1, np.inf, np.inf, np.inf, 2])


# ---------------------------------------------------------------- arguments and layouts

@pytest.mark.parametrize("call", [
    lambda x: tg.conv2d(x, draw("w", (2, 3, 2, 2)), draw("b", (2,))), lambda x: tg.max_pool2d(x, 2),
    lambda x: tg.avg_pool2d(x, 2), lambda x: tg.unfold(x, 2), lambda x: tg.conv_transpose2d(x, draw("w", (3, 2, 2, 2))),
], ids=["conv2d", "max_pool2d", "avg_pool2d", "unfold", "conv_transpose2d"])
def test_one_image_alone_is_a_batch_of_one(call: Callable[..., Any]) -> None:
    x = draw("x", (3, 4, 5))
    np.testing.assert_array_equal(call(x), call(x[None])[0])
    assert tg.grad(lambda x: tg.sum(call(x) ** 2))(x).shape == x.shape


def test_lists_integers_and_arrays_are_taken() -> None:
    image = [[[0, 1, 2], [3, 4, 5]]]
    assert tg.max_pool2d(image, (1, 3)).tolist() == [[[2.0], [5.0]]]
    y = tg.conv2d(np.arange(6, dtype=np.uint8).reshape(1, 1, 2, 3), np.ones((1, 1, 1, 2), np.int64))
    assert y.dtype == np.float64 and y.tolist() == [[[[1, 3], [7, 9]]]]
    mixed = tg.conv2d(np.ones((1, 1, 2, 2), np.float32), np.ones((1, 1, 1, 1)))
    assert mixed.dtype == np.float64


def test_gradients_own_their_memory() -> None:
    x, w = Tensor(draw("x", (8, 2, 4, 4))), Tensor(draw("w", (2, 2, 1, 1)))
    y = tg.max_pool2d(tg.avg_pool2d(tg.conv2d(x, w), 1), 1)
    seed = np.ones(y.shape)
    y.backward(seed)
    arrays = [x.grad, w.grad, seed, x.data, w.data]
    assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(arrays, 2))


@pytest.mark.parametrize("limit", [1, 700, 5000])
def test_blocks_give_what_the_whole_gives(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut along the first axis, and where one row is too much already, along the second."""
    for shape in ((2, 2, 7, 6), (9, 2, 5, 4), (2, 2, 9), (9, 2, 7)):
        x, w = draw("x", shape), draw("w", (4, 1, *[3] * (len(shape) - 2)))
        f = tg.conv2d if len(shape) == 4 else tg.conv1d

        def both(f: Any = f, x: Any = x, w: Any = w) -> Any:
            y, pull = tg.vjp(lambda x, w: f(x, w, stride=2, padding=1, groups=2), x, w)
            return [y, *pull(draw("g", y.shape))]

        whole = both()
        with monkeypatch.context() as small:
            small.setattr(windows, "COLUMNS", limit)
            small.setattr(windows, "SMALL_PRODUCT", 20_000)
            for a, b in zip(both(), whole, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_memory_does_not_hold_all_columns() -> None:
    """A step on 64 images whose columns would be 52 MB: beside images and results, a few blocks at most."""
    x = Tensor(np.ones((64, 8, 32, 32), np.float32), requires_grad=True)
    w = Tensor(np.ones((8, 8, 5, 5), np.float32))
    columns = 64 * 28 * 28 * 8 * 25 * 4
    tracemalloc.start()
    y = tg.conv2d(x, w)
    forward = tracemalloc.get_traced_memory()[1]
    y.backward(np.ones(y.shape, np.float32))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    image, result = x.data.nbytes, y.data.nbytes
    assert forward < image + result + 3 * windows.COLUMNS
    assert peak < 3 * image + 4 * result + 3 * windows.COLUMNS < columns


def test_the_printed_network_gives_the_same_bits() -> None:
    """Sums and products in the same order, also where the batch lies last in memory and the padding is cut off."""
    for batch, dtype in ((3, np.float64), (9, np.float32)):
        X, W1, b1, W2, W3, target = (np.asarray(draw(("net", i), s), dtype) for i, s in enumerate([
            (batch, 2, 9, 8), (3, 2, 3, 3), (3,), (3, 2, 2, 2), (36, 2), (batch, 2)]))

        def cost(X: Any, W1: Any, b1: Any, W2: Any, W3: Any, target: Any = target, batch: int = batch) -> Any:
            Z1 = tg.conv2d(X, W1, b1, padding=1)
            A1 = tg.relu(tg.max_pool2d(Z1, 3, 2, 1))
            A2 = tg.tanh(tg.avg_pool2d(tg.conv_transpose2d(A1, W2, stride=2, padding=1), 2, 2, 1))
            A3 = tg.interpolate(A2, (3, 6), mode="bilinear")
            return tg.mean((A3.reshape(batch, 36) @ W3 - target) ** 2)

        arrays = (X, W1, b1, W2, W3)
        space: dict[str, Any] = {}
        exec(str(tg.numpy_source(cost, *arrays)), space)  # noqa: S102 - this package wrote it
        J, grads = tg.value_and_grad(cost, argnums=(0, 1, 2, 3, 4))(*arrays)
        for found, wanted in zip(space["cost_and_gradients"](*arrays), [J, *grads], strict=True):
            np.testing.assert_array_equal(found, wanted)
        other = (X[::-1].copy(), *(-a for a in arrays[1:]))  # other numbers: no mask of this run was frozen
        J, grads = tg.value_and_grad(cost, argnums=(0, 1, 2, 3, 4))(*other)
        for found, wanted in zip(space["cost_and_gradients"](*other), [J, *grads], strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_formulas_say_what_is_unusual() -> None:
    x, W = draw("x", (2, 1, 6, 6)), draw("w", (2, 1, 3, 3))

    def cost(W: Any, x: Any) -> Any:
        Z = tg.conv2d(x, W, stride=2, padding=1)
        return tg.sum(Z**2)

    assert str(tg.formulas(cost, W, x)).splitlines() == [
        "dZ = 2Z", "dW = filter_gradient(x, dZ, stride=(2, 2), padding=(1, 1))",
        "dx = transposed_convolution(dZ, W, stride=(2, 2), padding=(1, 1))"]


# ---------------------------------------------------------------- errors

photo, X, W, b = np.ones((1, 32, 32, 3)), np.ones((8, 3, 9, 9)), np.ones((4, 3, 5, 5)), np.ones(4)
flat, line = np.ones((28, 28)), np.ones((3, 10))


@pytest.mark.parametrize(("call", "message"), [
    (lambda: tg.conv2d(X, np.ones((4, 1, 5, 5))),
     "conv2d: X (8, 3, 9, 9) has 3 channels, weight (4, 1, 5, 5) takes 1. With groups=3 it would fit."),
    (lambda: tg.conv2d(photo, W), "If x has its channels last, use x.transpose(0, 3, 1, 2)."),
    (lambda: tg.conv2d(X, np.ones((3, 4, 5, 5))), "are its first two axes exchanged?"),
    (lambda: tg.conv2d(flat, W), "conv2d: flat (28, 28) has 2 axes; it takes (N, C, H, W), or (C, H, W) for one example. "
                                 "For one channel use x.reshape(1, 1, 28, 28)."),
    (lambda: tg.conv2d(X, np.ones((3, 5, 5))), "weight (3, 5, 5) has 3 axes; it takes (filters, channels / groups, kH, kW)."),
    (lambda: tg.conv2d(X, np.ones((4, 3, 11, 5))),
     "conv2d: a kernel of 11 x 5 does not fit into X (8, 3, 9, 9), 9 x 9 with its padding."),
    (lambda: tg.conv2d(X, W, dilation=3), "a kernel of 5 x 5 (13 x 13 with its dilation) does not fit"),
    (lambda: tg.conv2d(X, W, groups=2), "conv2d: 3 channels are not divisible into 2 groups."),
    (lambda: tg.conv2d(X, np.ones((4, 1, 5, 5)), groups=3), "conv2d: 4 filters are not divisible into 3 groups."),
    (lambda: tg.conv2d(X, W, np.ones((4, 1))),
     "bias (4, 1) for W (4, 3, 5, 5): it takes one number for each filter, shape (4,). Use bias.reshape(4)."),
    (lambda: tg.conv2d(X, W, stride=0), "conv2d: stride=0: write one whole number, at least 1, or one for each of the 2 axes"),
    (lambda: tg.conv2d(X, W, padding=(1, 2, 3)), "conv2d: padding=(1, 2, 3): write one whole number, at least 0"),
    (lambda: tg.conv2d(X, W, groups=0), "conv2d: groups=0: write a whole number, at least 1."),
    (lambda: tg.conv2d(X, np.ones((4, 3, 0, 5))), "has a kernel without entries"),
    (lambda: tg.conv_transpose2d(X, W), "takes 4. The weight is (channels, filters / groups, ...), the other way round"),
    (lambda: tg.conv_transpose1d(line, np.ones((3, 1, 2)), output_padding=1),
     "conv_transpose1d: output_padding=1 must be smaller than stride (1) or dilation (1)"),
    (lambda: tg.conv_transpose1d(line, np.ones((3, 1, 2)), padding=9), "would give -7 entries. Use less padding."),
    (lambda: tg.max_pool2d(X, 2, padding=2), "padding=2 is more than half of kernel_size=2"),
    (lambda: tg.max_pool1d(line, 11), "max_pool1d: a kernel of 11 does not fit into x (1, 3, 10), 10 with its padding."),
    (lambda: tg.fold(np.ones((6, 4)), (3, 3), 2), "have 6 entries, no multiple of the 4 of a window of 2 x 2"),
    (lambda: tg.fold(np.ones((4, 5)), (3, 3), 2), "has 5 columns, images of 3 x 3 have 2 x 2 windows of 2 x 2."),
    (lambda: tg.interpolate(flat, size=3), "interpolate: flat (28, 28) has 2 axes; it takes (N, C, L) or (N, C, H, W)."),
    (lambda: tg.interpolate(X, scale_factor=0.01), "leaves at least one entry"),
], ids=lambda x: None if callable(x) else x[:40])
def test_errors_name_the_shapes(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        call()
    assert message in str(caught.value)


@pytest.mark.parametrize(("call", "kind", "message"), [
    (lambda: tg.conv2d(X, W, padding="full"), ValueError, 'padding=\'full\': write "same", "valid", or whole numbers.'),
    (lambda: tg.conv2d(X, W, padding="same", stride=2), ValueError, 'padding="same" keeps the size only with stride 1'),
    (lambda: tg.avg_pool2d(X, 2, divisor_override=0), ValueError, "divides by zero"),
    (lambda: tg.interpolate(X), ValueError, "give size or scale_factor, and not both"),
    (lambda: tg.interpolate(X, size=2, mode="linear"), ValueError, 'write mode="bilinear"'),
    (lambda: tg.interpolate(X, size=2, align_corners=True), ValueError, "align_corners goes with"),
    (lambda: tg.interpolate(X, size=2, mode="bicubic"), UnsupportedError, 'write "nearest" or "bilinear"'),
], ids=lambda x: x[:30] if isinstance(x, str) else None)
def test_errors_of_other_kinds(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)
