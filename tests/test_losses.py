"""Costs: values by their definitions, derivatives of two orders, reductions, weights, stability, and refusals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.program import trace


def draw(*shape: int, key: int = 0) -> Any:
    return np.random.default_rng([key, *shape]).normal(size=shape) * 2


P, Y = draw(4, 3), draw(4, 3, key=1)
BINARY, SIGNS = (Y > 0).astype(float), np.where(Y > 0, 1.0, -1.0)
PROBABLE = 1 / (1 + np.exp(-P))
COUNTS = np.floor(np.abs(Y) * 2)
VAR = np.exp(draw(4, 3, key=2) / 2)
CLASSES = np.array([2, 0, 1, 1])
Z, LOG_P = draw(4, 3, key=3), np.log(np.random.default_rng(4).dirichlet(np.ones(3), 4))
Q = np.random.default_rng(5).dirichlet(np.ones(3), 4)
WEIGHTS = np.array([0.5, 2.0, 1.25])


def log_softmax(z: Any) -> Any:
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def huber(e: Any, delta: float) -> Any:
    return np.where(abs(e) <= delta, e * e / 2, delta * (abs(e) - delta / 2))


def focal(z: Any, y: Any) -> Any:
    p = np.where(y == 1, 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(z)))
    return -np.where(y == 1, 0.25, 0.75) * (1 - p) ** 2 * np.log(p)


def multiclass_hinge(s: Any, y: Any, p: int = 1, margin: float = 1.0) -> Any:
    return np.array([sum(max(0, margin - row[k] + row[j]) ** p for j in range(len(row)) if j != k) / len(row)
                     for row, k in zip(s, y, strict=True)])


PICKED = -log_softmax(Z)[np.arange(4), CLASSES]
# name: (the cost of its variables, the variables, one loss for each example)
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...], Any]] = {
    "mse": (tg.mse, (P, Y), (P - Y) ** 2), "l1": (tg.l1, (P, Y), abs(P - Y)),
    "huber": (lambda p, y, **k: tg.huber(p, y, delta=0.7, **k), (P, Y), huber(P - Y, 0.7)),
    "smooth_l1": (lambda p, y, **k: tg.smooth_l1(p, y, beta=0.7, **k), (P, Y), huber(P - Y, 0.7) / 0.7),
    "smooth_l1-0": (lambda p, y, **k: tg.smooth_l1(p, y, beta=0.0, **k), (P, Y), abs(P - Y)),
    "gaussian_nll": (tg.gaussian_nll, (P, Y, VAR), 0.5 * (np.log(VAR) + (P - Y) ** 2 / VAR)),
    "gaussian_nll-column": (lambda p, y, v, **k: tg.gaussian_nll(p, y, v, True, **k), (P, Y, VAR[:, :1]),
                            0.5 * (np.log(2 * np.pi * VAR[:, :1]) + (P - Y) ** 2 / VAR[:, :1])),
    "poisson_nll": (lambda p, **k: tg.poisson_nll(p, COUNTS, **k), (P,), np.exp(P) - COUNTS * P),
    "poisson_nll-mean": (lambda p, **k: tg.poisson_nll(p, COUNTS, log_input=False, eps=0.0, **k), (PROBABLE,),
                         PROBABLE - COUNTS * np.log(PROBABLE)),
    "binary_cross_entropy": (lambda p, y, **k: tg.binary_cross_entropy(p, y, weight=WEIGHTS, **k), (PROBABLE, Q),
                             -WEIGHTS * (Q * np.log(PROBABLE) + (1 - Q) * np.log(1 - PROBABLE))),
    "binary_cross_entropy_with_logits": (
        lambda z, y, **k: tg.binary_cross_entropy_with_logits(z, y, pos_weight=WEIGHTS, weight=VAR, **k), (P, Q),
        -VAR * (WEIGHTS * Q * np.log(PROBABLE) + (1 - Q) * np.log(1 - PROBABLE))),
    "focal": (lambda z, **k: tg.focal(z, BINARY, **k), (P,), focal(P, BINARY)),
    "focal-0": (lambda z, **k: tg.focal(z, BINARY, None, 0.0, **k), (P,), np.log(1 + np.exp(np.where(Y > 0, -P, P)))),
    "hinge": (lambda s, **k: tg.hinge(s, SIGNS, **k), (P,), np.maximum(0, 1 - SIGNS * P)),
    "margin_ranking": (lambda a, b, **k: tg.margin_ranking(a, b, SIGNS, 0.3, **k), (P, Y),
                       np.maximum(0, 0.3 - SIGNS * (P - Y))),
    "multiclass_hinge": (lambda s, **k: tg.multiclass_hinge(s, CLASSES, **k), (Z,), multiclass_hinge(Z, CLASSES)),
    "multiclass_hinge-2": (lambda s, **k: tg.multiclass_hinge(s, CLASSES, 2, 0.8, WEIGHTS, **k), (Z,),
                           WEIGHTS[CLASSES] * multiclass_hinge(Z, CLASSES, 2, 0.8)),
    "cross_entropy": (lambda z, **k: tg.cross_entropy(z, CLASSES, **k), (Z,), PICKED),
    "cross_entropy-columns": (lambda z, **k: tg.cross_entropy(z, CLASSES, axis=0, **k), (Z.T.copy(),), PICKED),
    "cross_entropy-probabilities": (lambda z, q, **k: tg.cross_entropy(z, q, weight=WEIGHTS, label_smoothing=0.1, **k), (Z, Q),
                                    -(WEIGHTS * (0.9 * Q + 0.1 / 3) * log_softmax(Z)).sum(1)),
    "cross_entropy-smoothed": (lambda z, **k: tg.cross_entropy(z, CLASSES, label_smoothing=0.3, **k), (Z,),
                               -((0.7 * np.eye(3)[CLASSES] + 0.1) * log_softmax(Z)).sum(1)),
    "nll": (lambda z, **k: tg.nll(z, CLASSES, **k), (LOG_P,), -LOG_P[np.arange(4), CLASSES]),
    "kl_div": (tg.kl_div, (LOG_P, Q), Q * (np.log(Q) - LOG_P)),
    "kl_div-log": (lambda p, q, **k: tg.kl_div(p, q, log_target=True, **k), (LOG_P, np.log(Q)), Q * (np.log(Q) - LOG_P)),
}
EVERY = pytest.mark.parametrize("name", CASES)


@EVERY
def test_losses_are_those_of_the_definition_and_reduced(name: str) -> None:
    cost, xs, losses = CASES[name]
    np.testing.assert_allclose(cost(*xs, reduction="none"), losses, rtol=1e-12, atol=1e-13)
    for J, wanted in ((cost(*xs), losses.mean()), (cost(*xs, reduction="mean"), losses.mean()),
                      (cost(*map(Tensor, xs), reduction="sum").data, losses.sum())):
        assert np.shape(J) == ()
        np.testing.assert_allclose(J, wanted, rtol=1e-12)
    with pytest.raises(ValueError, match='write "mean", "sum" or "none"'):
        cost(*xs, reduction="average")


@EVERY
def test_derivatives_of_two_orders(name: str) -> None:
    """In every variable: predictions, targets where they are numbers, variances."""
    cost, xs, _ = CASES[name]
    places = tuple(range(len(xs)))
    for reduction in ("mean", "none"):
        def total(*xs: Any, reduction: str = reduction) -> Any:
            losses = cost(*xs, reduction=reduction)
            return tg.sum(losses * np.cos(np.arange(losses.size)).reshape(losses.shape))

        assert tg.check_gradients(total, *xs).ok
        assert tg.check_gradients(lambda *xs, f=total: sum(tg.sum(g * np.sin(g.size + np.arange(g.size)).reshape(g.shape))
                                                           for g in tg.grad(f, places)(*xs)), *xs).ok


@EVERY
def test_float32_stays(name: str) -> None:
    cost, xs, losses = CASES[name]
    for given in (xs[:1], xs):  # the other arguments plain float64: they widen nothing
        ts = [Tensor(x.astype(np.float32)) for x in given]
        J = cost(*ts, *xs[len(ts):], reduction="none")
        J.sum().backward()
        assert J.dtype == np.float32 and all(t.grad.dtype == np.float32 and t.grad.shape == t.shape for t in ts)
        np.testing.assert_allclose(J.data, losses, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------- classes: weights, ignored indices, shapes


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("ignore", [-100, 1])
@pytest.mark.parametrize("weight", [None, WEIGHTS])
def test_the_mean_over_classes_is_weighted(weight: Any, ignore: int, smoothing: float) -> None:
    target = np.array([2, 0, ignore, 1])
    w = np.ones(3) if weight is None else weight
    losses, shares = np.zeros(4), np.zeros(4)
    for i, k in enumerate(target):
        if k == ignore:
            continue
        shares[i] = w[k]
        losses[i] = -sum(w[j] * ((1 - smoothing) * (j == k) + smoothing / 3) * log_softmax(Z)[i, j] for j in range(3))
    options = {"weight": weight, "ignore_index": ignore}

    def cost(z: Any, reduction: str = "mean") -> Any:
        return tg.cross_entropy(z, target, reduction=reduction, label_smoothing=smoothing, **options)

    np.testing.assert_allclose(cost(Z, "none"), losses, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(cost(Z), losses.sum() / shares.sum(), rtol=1e-12)
    assert tg.check_gradients(cost, Z).ok
    if not smoothing:
        np.testing.assert_allclose(tg.nll(log_softmax(Z), target, **options), losses.sum() / shares.sum(), rtol=1e-12)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 3, 4), (2, 3, 2, 2)])
def test_classes_lie_along_axis_1(shape: tuple[int, ...]) -> None:
    z, axis = draw(*shape), 1 if len(shape) > 1 else 0
    others = tuple(n for i, n in enumerate(shape) if i != axis)
    target = np.arange(math.prod(others)).reshape(others) % 3
    flat = np.moveaxis(z, axis, -1).reshape(-1, 3)
    wanted = [-log_softmax(row[None])[0, k] for row, k in zip(flat, target.reshape(-1), strict=True)]
    for cost in (tg.cross_entropy, lambda z, t, **k: tg.nll(tg.log_softmax(z, axis), t, **k)):
        np.testing.assert_allclose(np.reshape(cost(z, target, reduction="none"), -1), wanted, rtol=1e-12)
    soft = tg.cross_entropy(z, tg.one_hot(target, 3, axis=axis), reduction="none")
    np.testing.assert_allclose(np.reshape(soft, -1), wanted, rtol=1e-12)
    hinges = np.reshape(tg.multiclass_hinge(z, target, reduction="none"), -1)
    np.testing.assert_allclose(hinges, multiclass_hinge(flat, target.reshape(-1)), rtol=1e-12)


def test_impossible_logits_count_nothing() -> None:
    """A class masked out with −∞ that has probability zero: 0 · ∞ is 0, in the value and in the slope."""
    z = Tensor([[1.0, 2.0, -math.inf]])
    for target in ([[0.5, 0.5, 0.0]], [0]):
        z.zero_grad()
        J = tg.cross_entropy(z, np.array(target))
        J.backward()
        assert np.isfinite(J.data)
        assert np.isfinite(z.grad).all()
        assert z.grad[0, 2] == 0


def test_where_all_are_ignored_there_is_no_mean() -> None:
    with pytest.raises(ValueError, match="every target is ignored or has weight 0"):
        tg.cross_entropy(Z, [-100] * 4)
    assert tg.cross_entropy(Z, [-100] * 4, reduction="sum") == 0
    assert not tg.grad(lambda z: tg.cross_entropy(z, [-100] * 4, reduction="sum"))(Z).any()


def test_targets_have_a_gradient() -> None:
    """∂J/∂q = −log softmax(z): what the loss costs where the target moves."""
    q = Tensor(Q)
    tg.cross_entropy(Z, q, reduction="sum").backward()
    np.testing.assert_allclose(q.grad, -log_softmax(Z), rtol=1e-12)


def test_one_hot() -> None:
    target = np.array([[1, 0], [2, 1]])
    for axis in (0, 1, 2, -1, -3):
        y = tg.one_hot(target, 4, axis=axis)
        assert y.dtype == np.float64
        np.testing.assert_array_equal(y.argmax(axis), target)
        np.testing.assert_array_equal(y.sum(axis), 1)
    assert tg.one_hot([1, 3]).shape == (2, 4)
    assert tg.one_hot(2, 3, dtype=np.float32).tolist() == [0.0, 0.0, 1.0]
    assert tg.one_hot(np.zeros(0, int), 3).shape == (0, 3)


# ---------------------------------------------------------------- rows of the checklist

def test_M77_squared_error_of_a_sigmoid() -> None:
    """C = (1/2n) Σ (y − a)²: ∂C/∂w = (1/n) Σ (a − y) σ′(z) x."""
    X, w, y = draw(5, 2), draw(2, 1), (draw(5, 1, key=1) > 0).astype(float)
    a = 1 / (1 + np.exp(-X @ w))
    slope = tg.grad(lambda w: tg.mse(tg.sigmoid(X @ w), y) / 2)(w)
    np.testing.assert_allclose(slope, X.T @ ((a - y) * a * (1 - a)) / 5, rtol=1e-12)


def test_M87_log_likelihood_of_a_softmax() -> None:
    """−ln a_y has the slope a − one-hot(y) in z, as cross_entropy has."""
    a = np.exp(log_softmax(Z))
    for cost in (lambda z: tg.nll(tg.log_softmax(z), CLASSES, reduction="sum"), lambda z: tg.cross_entropy(z, CLASSES,
                                                                                                        reduction="sum")):
        np.testing.assert_allclose(tg.grad(cost)(Z), a - np.eye(3)[CLASSES], rtol=1e-12, atol=1e-15)


def test_M89_a_linear_unit_is_the_mean_of_a_normal_distribution() -> None:
    """−log density less half the squared error is a constant; the gradients are equal."""
    likelihood = tg.gaussian_nll(P, Y, 1.0, full=True, reduction="none")
    np.testing.assert_allclose(likelihood - tg.mse(P, Y, "none") / 2, np.full(P.shape, math.log(2 * math.pi) / 2), rtol=1e-12)
    np.testing.assert_allclose(tg.grad(lambda p: tg.gaussian_nll(p, Y, 1.0))(P), tg.grad(lambda p: tg.mse(p, Y) / 2)(P),
                               rtol=1e-12)


def test_M90_a_sigmoid_is_the_probability_of_a_bernoulli_variable() -> None:
    """−log of the probability a^y (1−a)^(1−y) is the binary cross-entropy, and nll of the two classes."""
    both = np.log(np.stack([1 - PROBABLE, PROBABLE], axis=1))
    wanted = -np.log(PROBABLE**BINARY * (1 - PROBABLE) ** (1 - BINARY))
    for losses in (tg.nll(both, BINARY.astype(int), reduction="none"), tg.binary_cross_entropy(PROBABLE, BINARY, "none"),
                   tg.binary_cross_entropy_with_logits(P, BINARY, "none"), tg.focal(P, BINARY, None, 0.0, "none")):
        np.testing.assert_allclose(losses, wanted, rtol=1e-11)


# ---------------------------------------------------------------- extreme arguments and kinks

E = math.exp


@pytest.mark.parametrize(("cost", "x", "value", "slope"), [
    pytest.param(lambda z: tg.focal(z, np.ones_like(z), None), 400.0, 0.0, 0.0, id="focal-right"),
    pytest.param(lambda z: tg.focal(z, np.ones_like(z), None), -400.0, 400.0, -1.0, id="focal-wrong"),
    pytest.param(lambda z: tg.focal(z, np.ones_like(z), None, 0.5), 1e4, 0.0, 0.0, id="focal-root-of-0"),
    pytest.param(lambda z: tg.focal(z, np.ones_like(z), None), 40.0, E(-120), -3 * E(-120), id="focal-tail"),
    pytest.param(lambda z: tg.binary_cross_entropy_with_logits(z, np.ones_like(z), pos_weight=3.0), 400.0, 3 * E(-400),
                 -3 * E(-400), id="pos-weight-right"),
    pytest.param(lambda z: tg.binary_cross_entropy_with_logits(z, np.ones_like(z), pos_weight=3.0), -1e30, 3e30, -3.0,
                 id="pos-weight-wrong"),
    pytest.param(lambda z: tg.huber(z, np.zeros_like(z)), 1e300, 1e300, 1.0, id="huber"),
    pytest.param(lambda z: tg.huber(z, np.zeros_like(z)), -math.inf, math.inf, -1.0, id="huber-infinite"),
    pytest.param(lambda z: tg.huber(z, np.zeros_like(z)), 1.0, 0.5, 1.0, id="huber-kink"),
    pytest.param(lambda z: tg.smooth_l1(z, np.zeros_like(z), beta=1e-300), 1e300, 1e300, 1.0, id="smooth_l1"),
    pytest.param(lambda z: tg.l1(z, np.zeros_like(z)), 0.0, 0.0, 0.0, id="l1-kink"),
    pytest.param(lambda z: tg.hinge(z, np.ones_like(z)), 1.0, 0.0, 0.0, id="hinge-kink"),
    pytest.param(lambda z: tg.hinge(z, np.ones_like(z)), -1e300, 1e300, -1.0, id="hinge"),
    pytest.param(lambda z: tg.margin_ranking(z, np.zeros_like(z), np.ones_like(z)), 0.0, 0.0, -1.0, id="margin_ranking-kink"),
    pytest.param(lambda z: tg.poisson_nll(z, np.ones_like(z)), -400.0, 400.0, -1.0, id="poisson"),
    pytest.param(lambda z: tg.gaussian_nll(z, np.zeros_like(z), 1e-300, eps=0.0), 1e-150, 0.5 - 150 * math.log(10), 1e150,
                 id="gaussian-narrow"),
    pytest.param(lambda v: tg.gaussian_nll(np.zeros_like(v), np.zeros_like(v), v), 0.0, math.log(1e-6) / 2, 0.0,
                 id="gaussian-no-variance"),
    pytest.param(lambda p: tg.kl_div(p, np.zeros_like(p)), -math.inf, 0.0, 0.0, id="kl_div-of-nothing"),
    pytest.param(lambda p: tg.kl_div(p, np.full_like(p, -math.inf), log_target=True), -400.0, 0.0, 0.0,
                 id="kl_div-log-of-nothing"),
])
def test_stable_at_extreme_arguments(cost: Callable[[Any], Any], x: float, value: float, slope: float) -> None:
    got, pull = tg.value_and_grad(lambda z: cost(z))(np.array([x]))
    np.testing.assert_allclose((got, pull[0]), (value, slope), rtol=1e-13, atol=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("size", [400.0, 1e4, 1e30])
def test_cross_entropy_of_large_logits(size: float, smoothing: float) -> None:
    z = size * np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]])
    for dtype in (np.float64, np.float32):
        losses, pull = tg.vjp(lambda z: tg.cross_entropy(z, [0, 0], reduction="none", label_smoothing=smoothing),
                              z.astype(dtype))
        np.testing.assert_allclose(losses, [size * smoothing, size * (2 - smoothing)], rtol=1e-6, atol=1e-12)
        target = np.array([1 - smoothing, 0, 0]) + smoothing / 3
        np.testing.assert_allclose(pull(np.ones(2, dtype))[0], np.eye(3)[:2] - target, atol=1e-6)


# ---------------------------------------------------------------- refusals

X = np.ones((3, 2))


@pytest.mark.parametrize(("call", "kind", "message"), [
    (lambda: tg.mse(np.ones((3, 1)), np.ones(3)), ValueError,
     "mse: predictions have shape (3, 1), targets (3,). They must be equal. Use target.reshape(3, 1)."),
    (lambda: tg.l1(X, np.ones((2, 2))), ValueError,
     "l1: predictions have shape (3, 2), targets (2, 2). They must be equal."),
    (lambda: tg.mse(X, np.full((3, 2), "a")), TypeError,
     "mse: data of dtype <U1 cannot be differentiated. Pass real numbers, for example Tensor([1.0, 2.0])."),
    (lambda: tg.huber(X, X, delta=0), ValueError,
     "huber: delta=0: where squares end and straight lines begin must be above 0."),
    (lambda: tg.smooth_l1(X, X, beta=-1), ValueError,
     "smooth_l1: beta=-1: where squares end and straight lines begin must be 0 or above."),
    (lambda: tg.gaussian_nll(X, X, -X), ValueError,
     "gaussian_nll: var holds -1. A variance is 0 or more: give np.exp(s) for a learnt logarithm s."),
    (lambda: tg.gaussian_nll(X, X, np.ones(3)), ValueError,
     "gaussian_nll: predictions have shape (3, 2), var (3,). Give a number, the same shape, or size 1 along the axes "
     "that share a variance."),
    (lambda: tg.poisson_nll(X, -X), ValueError, "poisson_nll: targets run from -1 to -1. A count is 0 or more."),
    (lambda: tg.hinge(X, 0 * X), ValueError,
     "hinge: targets must be -1 or 1, and they run from 0 to 0. Use 2 * y - 1 for y of 0 and 1."),
    (lambda: tg.focal(X, -X), ValueError,
     "focal: targets must be 0 or 1, and they run from -1 to -1. Use (y + 1) / 2 for y of -1 and 1."),
    (lambda: tg.focal(X, X, alpha=2), ValueError,
     "focal: alpha=2 is no share of 1. Give a number between 0 and 1, or None."),
    (lambda: tg.focal(X, X, gamma=-1), ValueError,
     "focal: gamma=-1 is negative, and would make easy examples count more. Give 0 or more."),
    (lambda: tg.margin_ranking(X, np.ones(2), X), ValueError,
     "margin_ranking: predictions have shape (3, 2), the second scores (2,). They must be equal."),
    (lambda: tg.multiclass_hinge(X, [0, 1, 2]), ValueError,
     "multiclass_hinge: class indices run from 0 to 2, and there are 2 classes. Count them from 0 to 1."),
    (lambda: tg.multiclass_hinge(X, X), TypeError,
     "multiclass_hinge: targets are class indices, integers; got probabilities. Use target.argmax(axis=1)."),
    (lambda: tg.multiclass_hinge(X, [0, 1, 1], p=3), ValueError,
     "multiclass_hinge: p=3: write p=1 for straight lines, p=2 for squares."),
    (lambda: tg.cross_entropy(X, [0, 1, 1], weight=[1, 2, 3]), ValueError,
     "cross_entropy: weight has shape (3,), and there are 2 classes: it needs (2,)."),
    (lambda: tg.cross_entropy(X, [0, 1, 1], weight=[1, -2]), ValueError,
     "cross_entropy: weight holds -2. Give 0 or more for each class."),
    (lambda: tg.cross_entropy(X, [0, 1, 1], label_smoothing=1.5), ValueError,
     "cross_entropy: label_smoothing=1.5 is no part of 1. Give a number between 0 and 1."),
    (lambda: tg.cross_entropy(X, X, ignore_index=0), ValueError,
     "cross_entropy: ignore_index=0 is a class index, and the targets are probabilities. Leave it out; an example with "
     "all probabilities 0 counts nothing."),
    (lambda: tg.cross_entropy(X, [0, 1, 2], ignore_index=1), ValueError,
     "cross_entropy: class indices run from 0 to 2, and there are 2 classes. Count them from 0 to 1."),
    (lambda: tg.cross_entropy(1.0, 0), ValueError,
     "cross_entropy: predictions need an axis of classes, and this is a single number. Give shape (m, classes)."),
    (lambda: tg.nll(X, [0.0, 1.0, 1.0]), TypeError,
     "nll: class indices of dtype float64. Use integers: target.astype(int)."),
    (lambda: tg.nll(X, X), TypeError,
     "nll: targets are class indices, integers; got probabilities. Use target.argmax(axis=1), or cross_entropy of the "
     "logits."),
    (lambda: tg.kl_div(X, -X), ValueError,
     "kl_div: targets run from -1 to -1, and are no probabilities. Pass log_target=True for logarithms."),
    (lambda: tg.binary_cross_entropy(X, X, weight=np.ones(3)), ValueError,
     "binary_cross_entropy: weight has shape (3,), the losses (3, 2). It must broadcast to them: one number, or one for "
     "each loss."),
    (lambda: tg.one_hot([0.5]), TypeError, "one_hot: class indices of dtype float64. Use integers: target.astype(int)."),
    (lambda: tg.one_hot([0, 3], 3), ValueError,
     "one_hot: class indices run from 0 to 3, and there are 3 classes. Count them from 0 to 2."),
])
def test_errors_say_what_to_type(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == message


# ---------------------------------------------------------------- as programs

@pytest.mark.parametrize("cost", [
    pytest.param(lambda z, y: tg.cross_entropy(z, y, weight=WEIGHTS, label_smoothing=0.1), id="cross_entropy"),
    pytest.param(lambda z, y: tg.nll(z, y, weight=WEIGHTS), id="nll"),
    pytest.param(lambda z, y: tg.multiclass_hinge(z, y, weight=WEIGHTS), id="multiclass_hinge"),
])
def test_a_program_follows_other_targets(cost: Callable[..., Any]) -> None:
    """The weights are those of the classes that the program is given, not of those that it was recorded with."""
    program = trace(cost, Z, CLASSES, wrt=("z",))
    for target in (CLASSES, CLASSES[::-1].copy(), np.array([1, 1, 2, 0])):
        J, dz = program.run(Z, target).values()
        value, slope = tg.value_and_grad(cost)(Z, target)
        np.testing.assert_allclose(J, value, rtol=1e-14)
        np.testing.assert_allclose(dz, slope, rtol=1e-13, atol=1e-15)
