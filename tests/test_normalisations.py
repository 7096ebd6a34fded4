"""Normalisations, attention and dropout: values by loops, derivatives to higher order, statistics, stability, errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor


def standardised(x: Any, eps: float) -> Any:
    """One group of entries, in extended precision."""
    x = x.astype(np.longdouble)
    return ((x - x.mean()) / np.sqrt(((x - x.mean()) ** 2).mean() + eps)).astype(float)


def batch_norm(x: Any, w: Any, b: Any, eps: float = 1e-5) -> Any:
    out = np.empty_like(x)
    for c in range(x.shape[1]):
        out[:, c] = w[c] * standardised(x[:, c], eps) + b[c]
    return out


def group_norm(x: Any, groups: int, w: Any, b: Any, eps: float = 1e-5) -> Any:
    out, size = np.empty_like(x), x.shape[1] // groups
    for i in range(x.shape[0]):
        for k in range(groups):
            part = slice(k * size, (k + 1) * size)
            out[i, part] = standardised(x[i, part], eps)
        for c in range(x.shape[1]):
            out[i, c] = w[c] * out[i, c] + b[c]
    return out


def layer_norm(x: Any, shape: tuple[int, ...], w: Any, b: Any, eps: float = 1e-5) -> Any:
    out, first = np.empty_like(x), x.shape[: x.ndim - len(shape)]
    for place in np.ndindex(first):
        out[place] = w * standardised(x[place], eps) + b
    return out


def rms_norm(x: Any, shape: tuple[int, ...], w: Any) -> Any:
    out, first = np.empty_like(x), x.shape[: x.ndim - len(shape)]
    for place in np.ndindex(first):
        out[place] = w * x[place] / math.sqrt((x[place] ** 2).mean() + np.finfo(float).eps)
    return out


def draw(*shape: int) -> Any:
    return np.random.default_rng(shape).normal(size=shape) * 2 + 1


def cases() -> list[Any]:
    out = []

    def case(name: str, ours: Any, reference: Any, *xs: Any) -> None:
        out.append(pytest.param(ours, reference, xs, id=f"{name}-{'x'.join(map(str, xs[0].shape))}"))

    for shape in ((4, 3), (2, 3, 5), (2, 1, 3, 2), (3, 2, 2, 1, 2)):
        C = shape[1]
        case("batch_norm", lambda x, w, b: tg.batch_norm(x, None, None, w, b, training=True), batch_norm, draw(*shape), draw(C),
             draw(1, C)[0])
    for shape, groups in (((2, 4), 2), ((2, 6, 3), 3), ((1, 2, 2, 2), 1)):
        C = shape[1]
        case(f"group_norm{groups}", lambda x, w, b, k=groups: tg.group_norm(x, k, w, b),
             lambda x, w, b, k=groups: group_norm(x, k, w, b), draw(*shape), draw(C), draw(1, C)[0])
    for shape in ((2, 3, 4), (1, 2, 2, 3)):
        C = shape[1]
        case("instance_norm", lambda x, w, b: tg.instance_norm(x, weight=w, bias=b),
             lambda x, w, b: group_norm(x, x.shape[1], w, b), draw(*shape), draw(C), draw(1, C)[0])
    for shape, last in (((4, 3), (3,)), ((5,), (5,)), ((2, 3, 4), (4,)), ((2, 3, 4), (3, 4)), ((2, 2), (2, 2))):
        case(f"layer_norm{len(last)}", lambda x, w, b, s=last: tg.layer_norm(x, s, w, b),
             lambda x, w, b, s=last: layer_norm(x, s, w, b), draw(*shape), draw(*last), draw(1, *last)[0])
        case(f"rms_norm{len(last)}", lambda x, w, s=last: tg.rms_norm(x, s, w), lambda x, w, s=last: rms_norm(x, s, w),
             draw(*shape), draw(*last))
    return out


EVERY = pytest.mark.parametrize(("ours", "reference", "xs"), cases())


@EVERY
def test_values_are_those_of_a_loop(ours: Any, reference: Any, xs: Any) -> None:
    wanted = reference(*xs)
    np.testing.assert_allclose(ours(*xs), wanted, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(ours(*map(Tensor, xs)).data, ours(*xs))


@EVERY
def test_derivatives_of_two_orders(ours: Any, reference: Any, xs: Any) -> None:
    weights = np.cos(np.arange(xs[0].size)).reshape(xs[0].shape)

    def cost(*xs: Any) -> Any:
        return tg.sum(weights * ours(*xs))

    assert tg.check_gradients(cost, *xs).ok
    moved = [np.sin(np.arange(x.size) + 1).reshape(x.shape) for x in xs]
    places = tuple(range(len(xs)))
    assert tg.check_gradients(lambda *xs: sum(tg.sum(g * u) for g, u in zip(tg.grad(cost, places)(*xs), moved, strict=True)),
                              *xs).ok


@EVERY
def test_float32_stays(ours: Any, reference: Any, xs: Any) -> None:
    single = [x.astype(np.float32) for x in xs]
    ts = [Tensor(x) for x in single]
    y = ours(*ts)
    y.sum().backward()
    assert y.dtype == np.float32 and all(t.grad.dtype == np.float32 and t.grad.shape == t.shape for t in ts)
    np.testing.assert_allclose(y.data, ours(*xs), rtol=2e-5, atol=2e-5)
    assert ours(Tensor(single[0]), *xs[1:]).dtype == np.float32, "weights that are plain arrays widen nothing"


def test_the_derivative_of_layer_norm_is_the_formula() -> None:
    x, g, w = draw(4, 6), draw(1, 4, 6)[0], draw(6)
    y, pull = tg.vjp(lambda x: tg.layer_norm(x, 6), x)
    _, weighted = tg.vjp(lambda x: tg.layer_norm(x, 6, w), x)

    def formula(g: Any) -> Any:
        return (g - g.mean(1, keepdims=True) - y * (g * y).mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)

    np.testing.assert_allclose(pull(g)[0], formula(g), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(weighted(g)[0], formula(w * g), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("size", [1e-3, 1.0, 400.0, 1e8, 1e100])
@pytest.mark.parametrize("offset", [0.0, 1.0, 1e3])
def test_scale_and_offset_change_nothing(size: float, offset: float) -> None:
    """Neither overflow nor cancellation: the mean is taken out before squares are."""
    x = draw(3, 8)
    wanted = tg.layer_norm(x, 8, eps=0.0)
    np.testing.assert_allclose(tg.layer_norm(size * (x + offset), 8, eps=0.0), wanted, rtol=1e-10, atol=1e-11)
    slope = tg.grad(lambda x: tg.sum(tg.layer_norm(x, 8, eps=0.0) * draw(8)))
    np.testing.assert_allclose(size * slope(size * (x + offset)), slope(x), rtol=1e-8, atol=1e-10)


def test_equal_entries_give_zeros() -> None:
    x = Tensor(np.full((2, 4), 7.0))
    y = tg.layer_norm(x, 4)
    y.backward(draw(2, 4))
    assert not y.data.any() and np.isfinite(x.grad).all()


# ---------------------------------------------------------------- running statistics


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2), (2, 3, 2, 2)])
@pytest.mark.parametrize("momentum", [0.1, 0.5, 1.0])
def test_training_moves_the_running_statistics(shape: tuple[int, ...], momentum: float) -> None:
    x, mean, var = draw(*shape), np.array([1.0, -1.0, 0.5]), np.array([1.0, 2.0, 0.5])
    before, axes = (mean.copy(), var.copy()), (0, *range(2, len(shape)))
    tg.batch_norm(Tensor(x), mean, var, training=True, momentum=momentum)
    np.testing.assert_allclose(mean, (1 - momentum) * before[0] + momentum * x.mean(axes), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(var, (1 - momentum) * before[1] + momentum * x.var(axes, ddof=1), rtol=1e-13)


def test_prediction_uses_the_running_statistics_and_leaves_them() -> None:
    x, mean, var, w, b = draw(4, 3, 2), draw(3), np.abs(draw(1, 3)[0]) + 0.5, draw(2, 3)[0], draw(2, 3)[1]
    before = mean.copy(), var.copy()
    y = tg.batch_norm(x, mean, var, w, b)
    along = [a.reshape(3, 1) for a in (mean, var, w, b)]
    np.testing.assert_allclose(y, (x - along[0]) / np.sqrt(along[1] + 1e-5) * along[2] + along[3], rtol=1e-13)
    assert tg.check_gradients(lambda x, w, b: tg.batch_norm(x, mean, var, w, b), x, w, b).ok
    np.testing.assert_array_equal((mean, var), before)
    assert tg.batch_norm(Tensor(x.astype(np.float32)), mean, var).dtype == np.float32


def test_instances_average_their_statistics() -> None:
    x, mean, var = draw(4, 3, 5), np.zeros(3), np.ones(3)
    tg.instance_norm(x, mean, var)
    np.testing.assert_allclose(mean, 0.1 * x.mean((0, 2)), rtol=1e-13)
    np.testing.assert_allclose(var, 0.9 + 0.1 * x.var(2, ddof=1).mean(0), rtol=1e-13)
    np.testing.assert_allclose(tg.instance_norm(x, mean, var, use_input_stats=False),
                               (x - mean[:, None]) / np.sqrt(var[:, None] + 1e-5), rtol=1e-12)


def test_the_statistics_have_no_gradient_and_no_history() -> None:
    """Two steps: the second does not reach back through the running statistics of the first."""
    mean, var, w = np.zeros(3), np.ones(3), Tensor(np.ones(3))
    for _ in range(2):
        x = Tensor(draw(4, 3))
        tg.batch_norm(x, mean, var, w, training=True).sum().backward()
        assert type(mean) is type(var) is np.ndarray
        np.testing.assert_allclose(x.grad, 0, atol=1e-12)


# ---------------------------------------------------------------- attention


def attention(Q: Any, K: Any, V: Any, seen: Any = None, added: Any = 0.0, scale: float | None = None) -> Any:
    """One query at a time."""
    out = np.zeros((*Q.shape[:-1], V.shape[-1]))
    added = np.broadcast_to(added, (*Q.shape[:-1], K.shape[-2]))
    for place in np.ndindex(Q.shape[:-1]):
        scores = [float(Q[place] @ k) * (scale or 1 / math.sqrt(Q.shape[-1])) + float(a)
                  for k, a in zip(K[place[:-1]], added[place], strict=True)]
        kept = [j for j in range(len(scores)) if seen is None or seen[place[-1], j]]
        top = max((scores[j] for j in kept), default=0.0)
        total = sum(math.exp(scores[j] - top) for j in kept)
        for j in kept:
            out[place] += math.exp(scores[j] - top) / total * V[place[:-1]][j]
    return out


MASK = np.array([[True, False, True, False, True], [False, True, True, False, False], [False] * 5])


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
@pytest.mark.parametrize(("given", "reference"), [
    pytest.param({}, {}, id="plain"), pytest.param({"scale": 0.3}, {"scale": 0.3}, id="scale"),
    pytest.param({"attn_mask": MASK}, {"seen": MASK}, id="mask"),
    pytest.param({"is_causal": True}, {"seen": np.tril(np.ones((3, 5), bool))}, id="causal"),
    pytest.param({"attn_mask": draw(3, 5)}, {"added": draw(3, 5)}, id="added"),
    pytest.param({"attn_mask": np.where(MASK, draw(3, 5), -math.inf)}, {"seen": MASK, "added": draw(3, 5)},
                 id="added-minus-infinity"),
    pytest.param({"attn_mask": MASK, "is_causal": True}, {"seen": np.tril(MASK)}, id="both"),
])
def test_attention_one_query_at_a_time(batch: tuple[int, ...], given: Any, reference: Any) -> None:
    Q, K, V = 0.5 * draw(*batch, 3, 4), 0.5 * draw(*batch, 5, 4), draw(*batch, 5, 2)
    wanted = attention(Q, K, V, **reference)
    np.testing.assert_allclose(tg.scaled_dot_product_attention(Q, K, V, **given), wanted, rtol=1e-12, atol=1e-13)

    def cost(Q: Any, K: Any, V: Any) -> Any:
        return tg.sum(tg.square(tg.scaled_dot_product_attention(Q, K, V, **given)))

    assert tg.check_gradients(cost, Q, K, V).ok
    assert tg.check_gradients(lambda Q: tg.sum(tg.grad(cost)(Q, K, V) * draw(*batch, 3, 4)), Q).ok


def test_a_learnt_mask_has_a_gradient() -> None:
    Q, K, V = draw(3, 4), draw(5, 4), draw(5, 2)
    mask = np.where(MASK, draw(3, 5), -math.inf)

    def cost(m: Any) -> Any:
        return tg.sum(tg.square(tg.scaled_dot_product_attention(Q, K, V, m)))

    assert tg.check_gradients(cost, draw(3, 5)).ok
    slope = tg.grad(cost)(mask)
    assert np.isfinite(slope).all() and not slope[~MASK].any(), "what is hidden has derivative zero"


@pytest.mark.parametrize("size", [20.0, 400.0, 1e30])
def test_attention_is_stable_for_large_scores(size: float) -> None:
    """The largest score takes all the weight, and nothing overflows."""
    Q, K, V = size * np.eye(3), np.eye(3) + np.tri(3) * 0, draw(3, 2)
    y, pull = tg.vjp(lambda Q: tg.scaled_dot_product_attention(Q, 5 * K, V), Q)
    np.testing.assert_allclose(y, V, atol=1e-12)
    assert np.abs(pull(np.ones((3, 2)))[0]).max() < 1e-12
    single = tg.scaled_dot_product_attention(*(Tensor(x.astype(np.float32)) for x in (Q, K, V)))
    assert single.dtype == np.float32 and np.isfinite(single.data).all()


# ---------------------------------------------------------------- dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean(p: float) -> None:
    x = Tensor(np.full(100_000, 3.0))
    y = tg.dropout(x, p, rng=np.random.default_rng(0))
    y.sum().backward()
    assert np.mean(y.data == 0) == pytest.approx(p, abs=0.01)
    assert y.data.mean() == pytest.approx(3, rel=0.02)
    np.testing.assert_allclose(y.data[y.data != 0], 3 / (1 - p), rtol=1e-15)
    np.testing.assert_array_equal(x.grad, y.data / 3)


def test_dropout_draws_from_the_generator_alone() -> None:
    x = np.ones((50, 4))
    before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
    rng = np.random.default_rng(3)
    first, second = tg.dropout(x, rng=rng), tg.dropout(x, rng=rng)
    assert (first != second).any(), "the generator goes on"
    np.testing.assert_array_equal(first, tg.dropout(x, rng=3))
    np.testing.assert_array_equal(tg.dropout(x, rng=np.int64(3)), tg.dropout(x.astype(np.float32), rng=3))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # type: ignore[index]


def test_dropout_at_its_ends() -> None:
    x = Tensor([1.0, math.inf, -2.0])
    assert tg.dropout(x, training=False) is x and tg.dropout(x, 0.0) is x
    assert tg.dropout(x, 1.0, rng=0).data.tolist() == [0.0, 0.0, 0.0], "zeros, not inf · 0"
    assert tg.dropout(Tensor(np.ones(3, np.float32)), rng=0).dtype == np.float32
    assert tg.dropout(np.zeros((0, 3)), rng=0).shape == (0, 3)
    assert tg.check_gradients(lambda x: tg.square(tg.dropout(x, 0.4, rng=5)), draw(3, 4)).ok


def test_attention_drops_weights() -> None:
    Q, K, V = draw(3, 4), draw(5, 4), np.eye(5)
    kept = tg.scaled_dot_product_attention(Q, K, V)
    dropped = tg.scaled_dot_product_attention(Q, K, V, dropout_p=0.5, rng=np.random.default_rng(1))
    np.testing.assert_allclose(dropped[dropped != 0], 2 * kept[dropped != 0], rtol=1e-14)
    assert 0 < np.mean(dropped == 0) < 1


# ---------------------------------------------------------------- errors

X = np.ones((2, 3))


@pytest.mark.parametrize(("call", "kind", "message"), [
    (lambda: tg.layer_norm(X, 2), ValueError,
     "layer_norm: normalized_shape=(2,) are the sizes of the last axes of x, which has shape (2, 3). Write "
     "normalized_shape=x.shape[-1] for one value per row."),
    (lambda: tg.layer_norm(X, 3, np.ones((3, 1))), ValueError,
     "layer_norm: weight has shape (3, 1), and needs (3,) for x of shape (2, 3). Use weight.reshape(3,)."),
    (lambda: tg.rms_norm(X, (2, 2, 3)), ValueError,
     "rms_norm: normalized_shape=(2, 2, 3) are the sizes of the last axes of x, which has shape (2, 3). Write "
     "normalized_shape=x.shape[-1] for one value per row."),
    (lambda: tg.group_norm(X, 2), ValueError,
     "group_norm: 3 channels (axis 1 of (2, 3)) make no 2 groups of one size. Choose a divisor."),
    (lambda: tg.batch_norm(X), ValueError,
     "batch_norm: training=False uses running_mean and running_var, and they are not both given. Pass them, or "
     "training=True for the statistics of the batch."),
    (lambda: tg.batch_norm(X[:1], training=True), ValueError,
     "batch_norm: x has shape (1, 3): one value per channel is its own mean, and has no variance. Give more values, or "
     "use the running statistics."),
    (lambda: tg.batch_norm(X, Tensor(np.zeros(3)), np.ones(3)), TypeError,
     "batch_norm: running_mean is a Tensor, and would be changed in place, without a gradient. Keep it as a plain array: "
     "np.zeros(3)."),
    (lambda: tg.batch_norm(X, np.zeros(3), [1.0, 1.0, 1.0], training=True), TypeError,
     "batch_norm: running_var is updated in place, so it must be a writable array of floats: np.ones(3)."),
    (lambda: tg.batch_norm(X, np.zeros(2), np.ones(2)), ValueError,
     "batch_norm: running_mean has shape (2,), and there are 3 channels: it needs (3,)."),
    (lambda: tg.batch_norm(np.ones(3), training=True), ValueError,
     "batch_norm: x has shape (3,); it needs examples along axis 0 and channels along axis 1. Use x.reshape(1, -1) for "
     "one example, x.reshape(-1, 1) for one channel."),
    (lambda: tg.instance_norm(X), ValueError,
     "instance_norm: x has shape (2, 3), and no places to take a mean over. Give (N, C, places…), or use layer_norm."),
    (lambda: tg.dropout(X), ValueError,
     "dropout: random zeros need a generator, nothing is drawn from a global one. Make rng = np.random.default_rng(0) "
     "once and pass rng=rng, or training=False (dropout_p=0) to keep all."),
    (lambda: tg.dropout(X, 1.5), ValueError,
     "dropout: p=1.5 is no probability. Give the part that becomes 0, between 0 and 1."),
    (lambda: tg.dropout(X, rng="0"), TypeError,
     "dropout: rng='0': pass np.random.default_rng(seed), or a seed, an integer."),
    (lambda: tg.scaled_dot_product_attention(X, np.ones((2, 4)), X), ValueError,
     "scaled_dot_product_attention: query (2, 3), key (2, 4), value (2, 3): query and key need one number of features "
     "(their last axis), key and value one number of positions (their last axis but one)."),
    (lambda: tg.scaled_dot_product_attention(X, X, X, [1, 0]), TypeError,
     "scaled_dot_product_attention: attn_mask of dtype int64. Booleans say what takes part (mask.astype(bool)); floats "
     "are added to the scores."),
    (lambda: tg.scaled_dot_product_attention(X, X, X, np.ones((3, 3), bool)), ValueError,
     "scaled_dot_product_attention: attn_mask has shape (3, 3), the scores (2, 2), (…, queries, keys). The mask must "
     "broadcast to them."),
    (lambda: tg.scaled_dot_product_attention(X[0], X, X), ValueError,
     "scaled_dot_product_attention: query (3,), key (2, 3), value (2, 3): each needs two axes at least, (positions, "
     "features). Use x.reshape(1, -1) for one."),
])
def test_errors_say_what_to_type(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message
