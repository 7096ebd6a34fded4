"""Optimisers against loops over the parameters, one at a time, written from the papers; schedules; clipping; state."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor, data, optim
from tinygrad_edu.errors import DTypeError, GradientError, NamesError, ShapeError, StaleError
from tinygrad_edu.optim.flat import LONG, PIECE

SHAPES = [(3, 4), (4,), (), (1,), (2, LONG), (5, 2), (PIECE + 7,)]  # a single number, short and long ones, two pieces


# ---------------------------------------------------------------- the papers' formulas, a parameter at a time

def sgd(w: Any, gradients: list[Any], lr: float = 1e-3, momentum: float = 0, dampening: float = 0, weight_decay: float = 0,
        nesterov: bool = False) -> Any:
    v = None
    for g in gradients:
        g = g + weight_decay * w
        v = g if v is None else momentum * v + (1 - dampening) * g
        w = w - lr * ((g + momentum * v if nesterov else v) if momentum else g)
    return w


def adam(w: Any, gradients: list[Any], lr: float = 1e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0,
         amsgrad: bool = False, decoupled: bool = False) -> Any:
    m = v = largest = np.zeros(np.shape(w))
    for t, g in enumerate(gradients, 1):
        if decoupled:
            w = w - lr * weight_decay * w
        else:
            g = g + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        largest = np.maximum(largest, v)
        m_hat, v_hat = m / (1 - betas[0] ** t), (largest if amsgrad else v) / (1 - betas[1] ** t)
        w = w - lr * m_hat / (np.sqrt(v_hat) + eps)
    return w


def adamw(w: Any, gradients: list[Any], weight_decay: float = 1e-2, **options: Any) -> Any:
    return adam(w, gradients, weight_decay=weight_decay, decoupled=True, **options)


def rmsprop(w: Any, gradients: list[Any], lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
            momentum: float = 0, centered: bool = False) -> Any:
    v = m = b = np.zeros(np.shape(w))
    for g in gradients:
        g = g + weight_decay * w
        v = alpha * v + (1 - alpha) * g**2
        m = alpha * m + (1 - alpha) * g
        b = momentum * b + g / (np.sqrt(v - m**2 if centered else v) + eps)
        w = w - lr * b
    return w


def adagrad(w: Any, gradients: list[Any], lr: float = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
            initial_accumulator_value: float = 0, eps: float = 1e-10) -> Any:
    s = np.full(np.shape(w), float(initial_accumulator_value))
    for t, g in enumerate(gradients, 1):
        g = g + weight_decay * w
        s = s + g**2
        w = w - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s) + eps)
    return w


CASES = [
    pytest.param(optim.SGD, sgd, {}, id="SGD"),
    pytest.param(optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9}, id="momentum"),
    pytest.param(optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.05}, id="dampening"),
    pytest.param(optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, id="Nesterov"),
    pytest.param(optim.Adam, adam, {}, id="Adam"),
    pytest.param(optim.Adam, adam, {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-5, "weight_decay": 0.1}, id="Adam, decay"),
    pytest.param(optim.Adam, adam, {"lr": 0.05, "amsgrad": True}, id="AMSGrad"),
    pytest.param(optim.AdamW, adamw, {}, id="AdamW"),
    pytest.param(optim.AdamW, adamw, {"lr": 0.05, "weight_decay": 0.3, "amsgrad": True}, id="AdamW, AMSGrad"),
    pytest.param(optim.RMSprop, rmsprop, {}, id="RMSprop"),
    pytest.param(optim.RMSprop, rmsprop, {"lr": 0.05, "alpha": 0.8, "momentum": 0.9, "weight_decay": 0.1}, id="RMSprop, all"),
    pytest.param(optim.RMSprop, rmsprop, {"centered": True, "momentum": 0.5}, id="RMSprop, centred"),
    pytest.param(optim.Adagrad, adagrad, {}, id="Adagrad"),
    pytest.param(optim.Adagrad, adagrad, {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.2,
                                          "eps": 1e-6}, id="Adagrad, all"),
]


def run(optimizer: optim.Optimizer, tensors: list[Tensor], rounds: list[list[Any]]) -> None:
    """One step for each round of gradients, None for no gradient."""
    for gradients in rounds:
        for t, g in zip(tensors, gradients, strict=True):
            t.grad = g
        optimizer.step()


def random_rounds(rng: np.random.Generator, count: int, skip: float = 0.0) -> list[list[Any]]:
    return [[None if rng.uniform() < skip else rng.normal(size=s, scale=10 ** rng.uniform(-2, 2)) for s in SHAPES]
            for _ in range(count)]


def close(left: Any, right: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(np.asarray(getattr(left, "data", left)), right, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("skip", [0.0, 0.3], ids=["all gradients", "some gradients missing"])
@pytest.mark.parametrize("kind, by_hand, options", CASES)
def test_an_optimiser_equals_a_loop_over_the_parameters(kind: Any, by_hand: Callable[..., Any], options: dict[str, Any],
                                                        skip: float, maximize: bool, rng: np.random.Generator) -> None:
    starts = [rng.normal(size=s) for s in SHAPES]
    tensors = [Tensor(s) for s in starts]
    rounds = random_rounds(rng, 20, skip)
    run(kind(tensors, **options, maximize=maximize), tensors, rounds)
    sign = -1 if maximize else 1
    for i, (t, start) in enumerate(zip(tensors, starts, strict=True)):
        close(t, by_hand(start, [sign * r[i] for r in rounds if r[i] is not None], **options), 1e-11)


@pytest.mark.parametrize("kind, by_hand, options", CASES)
def test_plain_arrays_are_updated_alike(kind: Any, by_hand: Callable[..., Any], options: dict[str, Any],
                                        rng: np.random.Generator) -> None:
    params = {"layers": [rng.normal(size=s) for s in SHAPES]}
    start = copy.deepcopy(params)
    rule = optim.functional(kind, **options)
    state = first = rule.init(params)
    rounds = random_rounds(rng, 5)
    after = params
    for gradients in rounds:
        after, state = rule.update(after, {"layers": gradients}, state)
    for i, x in enumerate(after["layers"]):
        assert np.array_equal(params["layers"][i], start["layers"][i])
        close(x, by_hand(start["layers"][i], [r[i] for r in rounds], **options), 1e-11)
    again, _ = rule.update(params, {"layers": rounds[0]}, first)  # the first state is as it was
    close(again["layers"][0], by_hand(start["layers"][0], [rounds[0][0]], **options), 1e-11)


# ---------------------------------------------------------------- rows of the checklist

def test_M18_one_step_is_the_step_by_hand() -> None:
    x, y, alpha = np.array([[0.5], [-1.5]]), 1.0, 0.1
    w, b = Tensor([[0.3], [0.7]]), Tensor(0.2)
    optimizer = optim.SGD([w, b], lr=alpha)
    a = 1 / (1 + np.exp(-(np.dot(w.T, x) + b)))
    (-(y * np.log(a) + (1 - y) * np.log(1 - a))).sum().backward()
    w_by_hand, b_by_hand = w.numpy() - alpha * w.grad, b.item() - alpha * b.grad
    optimizer.step()
    assert np.array_equal(w.data, w_by_hand)
    assert b.data == b_by_hand


def test_M29_the_loop_with_an_optimiser_equals_the_loop_by_hand(rng: np.random.Generator) -> None:
    X, Y = rng.normal(size=(3, 40)), (rng.uniform(size=(1, 40)) > 0.5).astype(float)
    w, b = Tensor(np.zeros((3, 1))), Tensor(0.0)
    w_hand, b_hand = np.zeros((3, 1)), 0.0
    optimizer = optim.SGD({"w": w, "b": b}, lr=0.3)
    for _ in range(100):
        optimizer.zero_grad()
        A = tg.sigmoid(np.dot(w.T, X) + b)
        (-(1 / 40) * np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))).backward()
        optimizer.step()
        dZ = 1 / (1 + np.exp(-(w_hand.T @ X + b_hand))) - Y
        w_hand, b_hand = w_hand - 0.3 * X @ dZ.T / 40, b_hand - 0.3 * dZ.sum() / 40
    assert w.op is None  # no history grows
    close(w, w_hand)
    close(b, b_hand)


def test_M61_five_hundred_steps_equal_the_loop_by_hand(rng: np.random.Generator) -> None:
    X, Y = data.moons(120).columns()
    m, rate = 120, 1.0
    starts = {"W1": rng.normal(size=(5, 2)), "b1": np.zeros((5, 1)), "W2": rng.normal(size=(1, 5)), "b2": np.zeros((1, 1))}
    p = {name: Tensor(x) for name, x in starts.items()}
    W1, b1, W2, b2 = starts.values()
    optimizer = optim.SGD(p, lr=rate)
    costs = []
    for _ in range(500):
        optimizer.zero_grad()
        A1 = np.tanh(p["W1"] @ X + p["b1"])
        A2 = tg.sigmoid(p["W2"] @ A1 + p["b2"])
        J = -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
        J.backward()
        optimizer.step()
        costs.append(J.item())
        H = np.tanh(W1 @ X + b1)
        dZ2 = 1 / (1 + np.exp(-(W2 @ H + b2))) - Y
        dZ1 = W2.T @ dZ2 * (1 - H**2)
        W2, b2 = W2 - rate * dZ2 @ H.T / m, b2 - rate * dZ2.sum(axis=1, keepdims=True) / m
        W1, b1 = W1 - rate * dZ1 @ X.T / m, b1 - rate * dZ1.sum(axis=1, keepdims=True) / m
    for name, by_hand in (("W1", W1), ("b1", b1), ("W2", W2), ("b2", b2)):
        close(p[name], by_hand, 1e-10)
    assert costs[-1] < 0.3 * costs[0]
    assert (np.diff(costs) < 0).mean() > 0.95


def test_M114_the_gradient_points_uphill() -> None:
    x, y = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])

    def cost(beta: Any) -> Any:
        return 0.5 * np.sum((beta[0] + beta[1] * x - y) ** 2)

    slope = tg.grad(cost)(np.zeros(2))
    assert slope.tolist() == [-12, -28]
    angles = np.linspace(0, 2 * np.pi, 721)
    rises = [tg.jvp(cost, (np.zeros(2),), (np.array([np.cos(a), np.sin(a)]),))[1] for a in angles]
    steepest = angles[int(np.argmax(rises))]
    assert np.cos(steepest - np.arctan2(-28, -12)) > 0.9999
    beta = Tensor(np.zeros(2))
    optimizer = optim.SGD([beta], lr=0.01)
    cost(beta).backward()
    optimizer.step()
    close(beta, [0.12, 0.28])


def test_M116_a_stochastic_step_looks_at_one_example() -> None:
    x, y = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])
    beta = Tensor(np.zeros(2))
    first, target = next(iter(data.batches(x, y, 1)))
    (0.5 * np.sum((beta[0] + beta[1] * first - target) ** 2)).backward()
    assert beta.grad.tolist() == [-2, -2]


def test_M75_weight_decay_is_the_gradient_of_the_penalty(rng: np.random.Generator) -> None:
    """(1 − αλ/m) W − α (from backprop), the optimiser's weight decay, and the penalty in the cost: all the same."""
    X, Y, alpha, penalty, m = rng.normal(size=(4, 30)), rng.normal(size=(2, 30)), 0.1, 0.7, 30
    start = rng.normal(size=(2, 4))
    decayed, penalised = Tensor(start), Tensor(start)
    one, two = optim.SGD([decayed], lr=alpha, weight_decay=penalty / m), optim.SGD([penalised], lr=alpha)
    by_hand = start
    for _ in range(5):
        one.zero_grad()
        two.zero_grad()
        (np.sum((decayed @ X - Y) ** 2) / (2 * m)).backward()
        (np.sum((penalised @ X - Y) ** 2) / (2 * m) + penalty / (2 * m) * np.sum(penalised**2)).backward()
        one.step()
        two.step()
        by_hand = (1 - alpha * penalty / m) * by_hand - alpha * (by_hand @ X - Y) @ X.T / m
    close(decayed, by_hand)
    close(penalised, by_hand)


def test_M115_descent_ends_at_the_normal_equations() -> None:
    x, y = np.array([1.0, 2.0, 3.0]), np.array([2.5, 3.5, 6.0])
    beta = Tensor(np.zeros(2))
    optimizer = optim.SGD([beta], lr=0.1)
    for i in range(2000):
        optimizer.zero_grad()
        (0.5 * np.sum((beta[0] + beta[1] * x - y) ** 2)).backward()
        if i == 0:
            close(beta.grad, -np.array([y.sum(), x @ y]))
        optimizer.step()
    close(beta, np.linalg.lstsq(np.stack([np.ones(3), x], axis=1), y, rcond=None)[0], 1e-8)


def test_M120_the_rate_decides_between_slow_good_and_overshooting() -> None:
    x = np.linspace(0, 1, 20)
    y = 1 + 2 * x

    def cost_after(rate: float) -> float:
        beta = Tensor(np.zeros(2))
        optimizer = optim.SGD([beta], lr=rate)
        for _ in range(200):
            optimizer.zero_grad()
            (0.5 * np.sum((beta[0] + beta[1] * x - y) ** 2)).backward()
            optimizer.step()
        return float(0.5 * np.sum((beta.numpy()[0] + beta.numpy()[1] * x - y) ** 2))

    assert cost_after(0.05) < 1e-12
    assert cost_after(0.001) == pytest.approx(0.673, abs=1e-3)
    assert cost_after(1.01 * 0.078768) == pytest.approx(1.2e5, rel=0.05)


def test_M121_paths_from_a_random_start_end_in_the_valley(rng: np.random.Generator) -> None:
    """Every member of the family goes from a random start to the minimum of a long valley."""
    for kind, options in [(optim.SGD, {"lr": 0.09}), (optim.SGD, {"lr": 0.05, "momentum": 0.8, "nesterov": True}),
                          (optim.Adam, {"lr": 0.1}), (optim.AdamW, {"lr": 0.1, "weight_decay": 0.0}),
                          (optim.RMSprop, {"lr": optim.exponential_lr(0.1, 0.99)}), (optim.Adagrad, {"lr": 1.0})]:
        w = Tensor(rng.normal(size=2))
        start = w.numpy()
        optimizer = kind([w], **options)
        for _ in range(1000):
            optimizer.zero_grad()
            (w[0] ** 2 * 0.5 + w[1] ** 2 * 10).backward()
            optimizer.step()
        assert np.abs(w.data).max() < 1e-3, (kind, start)


# ---------------------------------------------------------------- parameters and their values

def test_parameters_are_views_of_one_array_and_stay_tensors_of_their_own(rng: np.random.Generator) -> None:
    W, b, c = Tensor(rng.normal(size=(2, 3))), Tensor(rng.normal(size=2)), Tensor(1.5)
    before = W.numpy()
    optim.SGD([W, b, c])
    assert W.data.base is b.data.base is not None
    assert np.array_equal(W.data, before)
    assert type(c.data) is np.float64
    assert W.data.flags.c_contiguous


def test_an_update_after_recording_is_noticed() -> None:
    w = Tensor(2.0, name="w")
    v = Tensor([1.0, 2.0], name="v")
    optimizer = optim.SGD([w, v], lr=0.1)
    J = w * w * v.sum()
    J.backward()
    optimizer.step()
    with pytest.raises(StaleError, match=r"w was changed"):
        J.backward()
    optimizer.zero_grad()
    (w * w * v.sum()).backward()
    assert w.grad == pytest.approx(2 * w.item() * v.data.sum())


def test_a_parameter_without_a_gradient_is_left_alone_and_its_graph_stays_good() -> None:
    w, frozen = Tensor(2.0), Tensor(3.0)
    optimizer = optim.AdamW([w, frozen], lr=0.1)
    J = frozen * frozen
    (w * w).backward()
    optimizer.step()
    assert frozen.data == 3.0
    J.backward()
    assert frozen.grad == 6.0


def test_new_data_between_updates_is_taken_in(rng: np.random.Generator) -> None:
    w, b = Tensor([1.0, 2.0]), Tensor(0.5)
    optimizer = optim.SGD([w, b], lr=0.1)
    w.data = np.array([10.0, 20.0])
    b.data = 5.0
    w.grad, b.grad = np.ones(2), np.float64(1)
    optimizer.step()
    close(w, [9.9, 19.9])
    close(b, 4.9)
    w.data -= 1.0  # in place, through the view
    optimizer.step()
    close(w, [8.8, 18.8])
    w.data[0] = 0.0
    optimizer.step()
    close(w, [-0.1, 18.7])


def test_new_data_of_a_parameter_without_a_gradient_stays(rng: np.random.Generator) -> None:
    w, b = Tensor([1.0]), Tensor([2.0])
    optimizer = optim.SGD([w, b], lr=0.1)
    b.data = np.array([7.0])
    w.grad = np.ones(1)
    optimizer.step()
    assert b.data.tolist() == [7.0]
    b.grad = np.ones(1)
    optimizer.step()
    close(b, [6.9])


def test_two_optimisers_may_share_a_parameter() -> None:
    w = Tensor([1.0, 2.0])
    one, two = optim.SGD([w], lr=0.1), optim.SGD([w], lr=1.0)
    w.grad = np.ones(2)
    for _ in range(2):
        one.step()
        two.step()
    close(w, [1 - 2.2, 2 - 2.2])


def test_float32_stays_float32_beside_float64(rng: np.random.Generator) -> None:
    w, v = Tensor(rng.normal(size=3).astype(np.float32)), Tensor(rng.normal(size=3))
    start = w.numpy()
    optimizer = optim.Adam([w, v], lr=np.float64(0.1))
    w.grad, v.grad = np.ones(3, np.float32), np.ones(3)
    optimizer.step()
    assert (w.dtype, v.dtype) == (np.float32, np.float64)
    assert optimizer.state_dict()["state"]["0"]["exp_avg"].dtype == np.float32
    close(w, start - np.float32(0.1), 1e-6)


def test_gradients_of_any_layout_are_read(rng: np.random.Generator) -> None:
    """Transposed ones, read-only ones, recorded ones, and those of another dtype."""
    g = rng.normal(size=(4, 3))
    for given in (np.asfortranarray(g), np.broadcast_to(g[:1], (4, 3)), g[::-1], Tensor(g, requires_grad=False),
                  g.astype(np.float32)):
        tensors = [Tensor(np.zeros((4, 3))), Tensor(np.zeros(2))]
        optimizer = optim.SGD(tensors, lr=1.0)
        tensors[0].grad, tensors[1].grad = given, np.ones(2)
        optimizer.step()
        close(tensors[0], -np.asarray(getattr(given, "data", given)) if not isinstance(given, Tensor) else -given.numpy())


def test_gradients_are_not_changed(rng: np.random.Generator) -> None:
    for kind, _, options in (case.values for case in CASES):
        tensors = [Tensor(rng.normal(size=s)) for s in SHAPES]
        gradients = [rng.normal(size=s) for s in SHAPES]
        kept = [np.array(g) for g in gradients]
        optimizer = kind(tensors, **options)
        run(optimizer, tensors, [gradients] * 2)
        assert all(np.array_equal(a, b) for a, b in zip(gradients, kept, strict=True)), kind


def test_a_gradient_of_another_shape_is_refused_and_nothing_changes() -> None:
    w, b = Tensor([1.0, 2.0], name="w"), Tensor([1.0])
    optimizer = optim.SGD([b, w], lr=0.1)
    b.grad, w.grad = np.ones(1), np.ones((2, 1))
    with pytest.raises(ShapeError, match=r"SGD.step: w has shape \(2,\), its .grad \(2, 1\)"):
        optimizer.step()
    assert (b.data.tolist(), optimizer.steps) == ([1.0], 0)


def test_a_parameter_without_entries_is_no_obstacle() -> None:
    empty, w = Tensor(np.zeros((0, 3))), Tensor([1.0])
    optimizer = optim.Adam([empty, w], lr=0.1)
    for _ in range(2):
        empty.grad, w.grad = np.zeros((0, 3)), np.ones(1)
        optimizer.step()
    close(w, adam(np.array([1.0]), [np.ones(1)] * 2, lr=0.1))


def test_betas_may_follow_a_schedule() -> None:
    w = Tensor([1.0])
    optimizer = optim.Adam([w], lr=0.1, betas=lambda t: (0.9 - 0.1 * t, 0.999))
    w.grad = np.ones(1)
    optimizer.step()
    optimizer.step()
    m = 0.8 * 0.1 + 0.2  # the second update has beta1 = 0.8
    v = 1 - 0.999**2
    close(w, 0.9 - 0.1 * m / (1 - 0.8**2) / (np.sqrt(v / (1 - 0.999**2)) + 1e-8), 1e-7)


def test_zero_grad() -> None:
    w, b = Tensor([1.0, 2.0]), Tensor(1.0)
    optimizer = optim.SGD([w, b])
    (w.sum() * 2).backward()
    optimizer.zero_grad(set_to_none=False)
    assert w.grad.tolist() == [0, 0]
    assert b.grad is None
    optimizer.zero_grad()
    assert w.grad is None


def test_a_closure_computes_the_cost() -> None:
    w = Tensor(2.0)
    optimizer = optim.SGD([w], lr=0.1)

    def cost() -> Tensor:
        optimizer.zero_grad()
        J = w * w
        J.backward()
        return J

    assert optimizer.step(cost).item() == 4.0
    close(w, 1.6)


def test_an_update_takes_few_calls_whatever_the_number_of_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    rule = optim.Adam.rule

    def counted(w: Any, *args: Any, **options: Any) -> None:
        calls.append(w.size)
        rule(w, *args, **options)

    monkeypatch.setattr(optim.Adam, "rule", staticmethod(counted))
    tensors = [Tensor(np.ones((5, 5))) for _ in range(100)]
    run(optim.Adam(tensors), tensors, [[np.ones((5, 5))] * 100] * 3)
    assert calls == [2500] * 3


# ---------------------------------------------------------------- what parameters may be given as

class Layer:
    def __init__(self) -> None:
        self.weight, self.bias = Tensor(np.ones((2, 2))), Tensor(np.zeros(2))

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        yield "weight", self.weight
        yield "bias", self.bias

    def parameters(self) -> Iterator[Tensor]:
        return (t for _, t in self.named_parameters())


class OnlyParameters:
    def __init__(self) -> None:
        self.inner = Layer()

    def parameters(self) -> list[Tensor]:
        return [self.inner.weight, self.inner.bias]


@pytest.mark.parametrize("make, names", [
    (lambda: [Tensor(1.0), Tensor(2.0)], ["0", "1"]),
    (lambda: Tensor(1.0), ["0"]),
    (lambda: {"W1": Tensor(1.0), "b1": Tensor(2.0)}, ["W1", "b1"]),
    (lambda: {"layers": [{"W": Tensor(1.0)}, {"W": Tensor(2.0)}], "b": (Tensor(1.0),)}, ["layers.0.W", "layers.1.W", "b.0"]),
    (Layer, ["weight", "bias"]),
    (OnlyParameters, ["0", "1"]),
    (lambda: Layer().parameters(), ["0", "1"]),
    (lambda: Layer().named_parameters(), ["weight", "bias"]),
    (lambda: {"net": Layer()}, ["net.weight", "net.bias"]),
    (lambda: [Layer(), Layer()], ["0.weight", "0.bias", "1.weight", "1.bias"]),
    (lambda: [{"params": [Tensor(1.0)]}, {"params": {"b": Tensor(2.0)}, "lr": 1.0}], ["0.0", "1.b"]),
])
def test_parameters_are_found_and_named(make: Callable[[], Any], names: list[str]) -> None:
    assert list(optim.SGD(make()).state_dict()["state"]) == names


@pytest.mark.parametrize("params, error, text", [
    ([], ValueError, "SGD: there are no parameters"),
    (iter(()), ValueError, "A generator that was used before is empty"),
    ([np.ones(2)], DTypeError, r"SGD: ndarray at '0' is no parameter. Wrap arrays"),
    (np.ones(2), DTypeError, "SGD: float64 at '0' is no parameter"),
    (3.0, DTypeError, "SGD: float is no parameter. Give Tensors"),
    ([[Tensor(1.0)], {Tensor(2.0)}], DTypeError, "SGD: set at '1' is no parameter. Sets have no order"),
    ([Tensor(1.0) * 2], GradientError, "SGD: 0 .* is the result of multiply"),
])
def test_what_is_no_parameter_is_refused(params: Any, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        optim.SGD(params)


def test_the_same_parameter_twice_is_refused() -> None:
    w = Tensor(1.0, name="w")
    with pytest.raises(ValueError, match=r"SGD: the same Tensor w\(\) is given twice, as '0' and '1'"):
        optim.SGD([w, w])
    with pytest.raises(ValueError, match=r"SGD: w \(\) is in another group already, as '0.0'"):
        optim.SGD([{"params": [w]}, {"params": w}])


@pytest.mark.parametrize("kind, options, text", [
    (optim.SGD, {"lr": -1}, "SGD: lr=-1 should not be negative"),
    (optim.SGD, {"lr": math.nan}, "SGD: lr=nan"),
    (optim.SGD, {"nesterov": True}, "nesterov=True needs a momentum and dampening=0"),
    (optim.SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "nesterov=True needs"),
    (optim.Adam, {"betas": (0.9, 1.0)}, "Adam: betas"),
    (optim.Adam, {"eps": -1e-8}, "Adam: eps"),
    (optim.AdamW, {"weight_decay": -1}, "AdamW: weight_decay"),
])
def test_options_that_cannot_be_meant_are_refused(kind: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        kind([Tensor(1.0)], **options)


# ---------------------------------------------------------------- groups

def test_groups_have_options_of_their_own(rng: np.random.Generator) -> None:
    starts = [rng.normal(size=s) for s in SHAPES]
    tensors = [Tensor(s) for s in starts]
    optimizer = optim.SGD([{"params": tensors[:3]}, {"params": tensors[3:], "lr": 0.5, "momentum": 0.0}], lr=0.1, momentum=0.9)
    rounds = random_rounds(rng, 6, skip=0.2)
    run(optimizer, tensors, rounds)
    for i, t in enumerate(tensors):
        options = {"lr": 0.1, "momentum": 0.9} if i < 3 else {"lr": 0.5}
        close(t, sgd(starts[i], [r[i] for r in rounds if r[i] is not None], **options))


def test_a_group_added_later_starts_there(rng: np.random.Generator) -> None:
    one, two = Tensor([1.0, 2.0]), Tensor([3.0])
    optimizer = optim.Adam([one], lr=0.1)
    run(optimizer, [one], [[np.ones(2)]] * 3)
    optimizer.add_param_group({"params": [two], "lr": 0.2})
    run(optimizer, [one, two], [[np.full(2, 3.0), np.ones(1)]] * 2)
    close(one, adam(np.array([1.0, 2.0]), [np.ones(2)] * 3 + [np.full(2, 3.0)] * 2, lr=0.1))
    close(two, adam(np.array([3.0]), [np.ones(1)] * 2, lr=0.2))


def test_an_option_unknown_to_a_group_is_refused() -> None:
    with pytest.raises(TypeError, match=r"SGD: a group has no option 'learning_rate'\. Options are lr, momentum"):
        optim.SGD([{"params": [Tensor(1.0)], "learning_rate": 0.1}])


def test_options_may_be_changed_between_updates() -> None:
    w = Tensor(1.0)
    optimizer = optim.SGD([w], lr=0.1)
    w.grad = np.float64(1)
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.step()
    close(w, 0.5)
    optimizer.lr = 0.25
    assert optimizer.lr == 0.25
    optimizer.step()
    close(w, 0.25)
    assert "lr=0.25" in repr(optimizer)
    assert "1 parameters, 1 numbers" in repr(optimizer)


# ---------------------------------------------------------------- state

def through_a_file(tree: dict[str, Any], file: Any) -> dict[str, Any]:
    """Save nested dicts as .npz, and read them again: numbers come back as arrays."""
    flat: dict[str, Any] = {}

    def put(path: str, held: Any) -> None:
        if isinstance(held, dict):
            for key, item in held.items():
                assert isinstance(key, str)
                put(f"{path}/{key}" if path else key, item)
        else:
            assert isinstance(held, (bool, int, float, np.ndarray)), (path, held)
            flat[path] = held

    put("", tree)
    np.savez(file, **flat)
    back: dict[str, Any] = {}
    with np.load(file, allow_pickle=False) as saved:
        for path in saved.files:
            *way, last = path.split("/")
            at = back
            for key in way:
                at = at.setdefault(key, {})
            at[last] = saved[path]
    return back


@pytest.mark.parametrize("skip", [0.0, 0.4])
@pytest.mark.parametrize("kind, by_hand, options", CASES)
def test_a_run_resumed_from_a_file_gives_the_same_numbers(kind: Any, by_hand: Any, options: dict[str, Any], skip: float,
                                                          rng: np.random.Generator, tmp_path: Any) -> None:
    starts = [rng.normal(size=s) for s in SHAPES]
    rounds = random_rounds(rng, 8, skip)
    whole = [Tensor(s) for s in starts]
    run(kind(whole, **options), whole, rounds)
    half = [Tensor(s) for s in starts]
    first = kind(half, **options)
    run(first, half, rounds[:4])
    state = through_a_file(first.state_dict(), tmp_path / "state.npz")
    rest = [Tensor(t.numpy()) for t in half]
    second = kind(rest, **{**options, "lr": 99.0})
    second.load_state_dict(state)
    assert second.param_groups[0]["lr"] == first.param_groups[0]["lr"]
    run(second, rest, rounds[4:])
    for a, b in zip(whole, rest, strict=True):
        assert np.array_equal(a.data, b.data)


def test_saved_state_is_a_copy() -> None:
    w = Tensor([1.0, 2.0])
    optimizer = optim.SGD([w], lr=0.1, momentum=0.9)
    w.grad = np.ones(2)
    optimizer.step()
    state = optimizer.state_dict()
    optimizer.step()
    assert state["state"]["0"]["momentum_buffer"].tolist() == [1, 1]
    optimizer.load_state_dict(state)
    state["state"]["0"]["momentum_buffer"][:] = 7
    assert optimizer.state_dict()["state"]["0"]["momentum_buffer"].tolist() == [1, 1]


def test_a_deep_copy_goes_its_own_way() -> None:
    w = Tensor([1.0, 2.0])
    optimizer = optim.SGD([w], lr=0.1, momentum=0.9)
    w.grad = np.ones(2)
    optimizer.step()
    other = copy.deepcopy(optimizer)
    (v,) = other.param_groups[0]["params"]
    v.grad = np.ones(2)
    other.step()
    optimizer.step()
    assert v is not w
    assert np.array_equal(v.data, w.data)


def spoiled(state: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    state = copy.deepcopy(state)
    *way, last = path.split("/")
    at = state
    for key in way:
        at = at[key]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return state


@pytest.mark.parametrize("path, value, error, text", [
    ("state", None, NamesError, "the saved parts .* missing 'state'"),
    ("state", 3, DTypeError, "state is a int, and a dict is expected"),
    ("state/W", None, NamesError, "the saved parameters are not those of this optimiser: missing 'W'"),
    ("state/V", {}, NamesError, "not known here 'V'"),
    ("state/W/exp_avg", None, NamesError, "the saved entries of 'W' .* missing 'exp_avg'"),
    ("state/b/exp_avg", np.zeros(3), ShapeError, r"b.exp_avg has shape \(3,\), and its parameter \(\)"),
    ("state/b/exp_avg_sq", np.zeros((), np.float32), DTypeError, "b.exp_avg_sq has dtype float32, and its parameter float64"),
    ("state/b/steps", 1.5, ValueError, "b.steps=1.5 should be a whole number"),
    ("state/b/steps", "x", ValueError, "b.steps='x' should be a whole number"),
    ("steps", -1, ValueError, "steps=-1 should be a whole number"),
    ("param_groups/1", {}, NamesError, "the saved groups .* not known here '1'"),
    ("param_groups/0/momentum", 0.9, NamesError, "the saved group 0 has the option 'momentum', and Adam has lr"),
    ("param_groups/0/lr", "fast", DTypeError, "the option lr='fast' should be a number"),
    ("param_groups/0/lr", -1.0, ValueError, "lr=-1.0 should not be negative"),
    ("param_groups/0/betas", 0.9, DTypeError, "should be two numbers"),
])
def test_a_wrong_state_is_refused_and_nothing_changes(path: str, value: Any, error: type, text: str) -> None:
    W, b = Tensor([1.0, 2.0]), Tensor(1.0)
    optimizer = optim.Adam({"W": W, "b": b})
    run(optimizer, [W, b], [[np.ones(2), np.float64(1)]])
    before = optimizer.state_dict()
    with pytest.raises(error, match=text):
        optimizer.load_state_dict(spoiled(before, path, value))
    np.testing.assert_equal(optimizer.state_dict(), before)


# ---------------------------------------------------------------- on plain arrays

def test_plain_arrays_go_with_grad(rng: np.random.Generator) -> None:
    X, y = rng.normal(size=(30, 3)), rng.normal(size=30)

    def cost(p: dict[str, Any]) -> Any:
        return np.mean((X @ p["w"] + p["b"] - y) ** 2)

    params: Any = {"w": np.zeros(3), "b": 0.0}
    rule = optim.functional(optim.Adam, lr=optim.cosine_annealing_lr(0.2, 500))
    state = rule.init(params)
    for _ in range(500):
        params, state = rule.update(params, tg.grad(cost)(params), state)
    best = np.linalg.lstsq(np.c_[X, np.ones(30)], y, rcond=None)[0]
    close(params["w"], best[:3], 1e-6)
    close(params["b"], best[3], 1e-6)
    assert state["steps"] == 500
    assert "lr=cosine_annealing_lr" in repr(rule)


def test_plain_arrays_keep_their_dtypes() -> None:
    params = {"a": np.ones(2, np.float32), "b": np.ones(3), "n": 2}
    rule = optim.functional(optim.SGD, lr=0.5, momentum=0.9)
    after, state = rule.update(params, {"a": np.ones(2), "b": np.ones(3), "n": 1.0}, rule.init(params))
    assert {k: v.dtype.name for k, v in after.items()} == {"a": "float32", "b": "float64", "n": "float64"}
    assert after["n"] == 1.5
    assert {k: v["momentum_buffer"].size for k, v in state["state"].items()} == {"float32": 2, "float64": 4}


@pytest.mark.parametrize("params, grads, error, text", [
    ([np.ones(2)], [np.ones(3)], ShapeError, r"number 0 has shape \(2,\) in params and \(3,\) in grads"),
    ([np.ones(2)], [np.ones(2), np.ones(2)], ShapeError, "1 and 2 arrays"),
    ([Tensor(1.0)], [1.0], DTypeError, "params holds Tensors. Give arrays, or use the optimiser itself, SGD"),
    ([np.ones(2, complex)], [np.ones(2)], DTypeError, "data of dtype complex128"),
])
def test_plain_arrays_that_do_not_fit_are_refused(params: Any, grads: Any, error: type, text: str) -> None:
    rule = optim.functional(optim.SGD, momentum=0.9)
    with pytest.raises(error, match=text):
        rule.update(params, grads, rule.init(params))


def test_a_state_of_other_parameters_is_refused() -> None:
    rule = optim.functional(optim.SGD, momentum=0.9)
    with pytest.raises(ShapeError, match="the state is of other parameters: it holds 3 numbers of float64, params 2"):
        rule.update([np.ones(2)], [np.ones(2)], rule.init([np.ones(3)]))


# ---------------------------------------------------------------- schedules

def test_schedules_have_their_formulas() -> None:
    def values(schedule: Any, count: int = 12) -> list[float]:
        return [schedule(t) for t in range(count)]

    close(values(optim.step_lr(0.4, 3, 0.5)), [0.4 * 0.5 ** (t // 3) for t in range(12)])
    close(values(optim.multi_step_lr(0.4, [7, 2], 0.5)), [0.4] * 2 + [0.2] * 5 + [0.1] * 5)
    close(values(optim.exponential_lr(0.4, 0.9)), [0.4 * 0.9**t for t in range(12)])
    half_cosine = [0.01 + 0.39 * (1 + math.cos(math.pi * min(t, 10) / 10)) / 2 for t in range(12)]
    close(values(optim.cosine_annealing_lr(0.4, 10, 0.01)), half_cosine)
    close(values(optim.linear_lr(0.4, 0.5, 1.0, 4)), [0.2, 0.25, 0.3, 0.35] + [0.4] * 8)
    close(values(optim.polynomial_lr(0.4, 4, 2.0)), [0.4 * (1 - min(t, 4) / 4) ** 2 for t in range(12)])
    close(values(optim.warm_up(4, 0.4)), [0.1, 0.2, 0.3] + [0.4] * 9)
    close(values(optim.warm_up(4, optim.exponential_lr(0.4, 0.5), start_factor=0.5), 6), [0.25, 0.3, 0.35, 0.4, 0.4, 0.2])


@pytest.mark.parametrize("options", [{}, {"pct_start": 0.5}, {"three_phase": True}, {"anneal_strategy": "linear"},
                                     {"div_factor": 10, "final_div_factor": 100}, {"total_steps": 1}])
def test_one_cycle_rises_to_the_top_and_falls_to_the_end(options: dict[str, Any]) -> None:
    options = {"total_steps": 50, **options}
    total = options["total_steps"]
    schedule = optim.one_cycle_lr(2.0, **options)
    rates = np.array([schedule(t) for t in range(total + 5)])
    start = 2.0 / options.get("div_factor", 25)
    end = start / options.get("final_div_factor", 1e4)
    close(rates[-6:], np.full(6, end))
    if total > 1:
        top = round(options.get("pct_start", 0.3) * total) - 1
        assert rates[0] == pytest.approx(start)
        assert rates[top] == pytest.approx(2.0)
        assert (np.diff(rates[: top + 1]) > 0).all()
        assert (np.diff(rates[top:total]) < 0).all()
        if options.get("three_phase"):
            assert rates[2 * top] == pytest.approx(start)


def test_schedules_multiply_and_follow_one_another() -> None:
    fall = optim.exponential_lr(1.0, 0.5)
    both = (fall * fall * 2).then(optim.constant_lr(0.3), after=2).then(0.1, after=4)
    assert [both(t) for t in range(6)] == [2.0, 0.5, 0.3, 0.3, 0.1, 0.1]
    assert repr(0.5 * fall) == "exponential_lr(1.0, gamma=0.5) * 0.5"
    assert optim.Schedule(lambda t: 1 / (t + 1))(3) == 0.25


@pytest.mark.parametrize("make, text", [
    (lambda: optim.step_lr(0.1, 0), "step_lr: step_size=0 should be at least 1"),
    (lambda: optim.cosine_annealing_lr(0.1, 0), "T_max=0"),
    (lambda: optim.warm_up(0, 0.1), "updates=0"),
    (lambda: optim.one_cycle_lr(0.1, 10, pct_start=2), "pct_start=2"),
    (lambda: optim.one_cycle_lr(0.1, 10, anneal_strategy="poly"), 'write "cos" or "linear"'),
    (lambda: optim.step_lr(0.1, 3)(-1), "update -1 lies before the first"),
    (lambda: optim.step_lr(0.1, 3).then(0.1, after=-1), "after=-1"),
])
def test_schedules_that_cannot_be_meant_are_refused(make: Callable[[], Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_a_schedule_in_the_rate_s_place_follows_the_updates_and_resumes() -> None:
    w = Tensor(0.0)
    schedule = optim.linear_lr(1.0, 0.0, 1.0, total_iters=4)
    optimizer = optim.SGD([w], lr=schedule, momentum=lambda t: 0.0)
    w.grad = np.float64(1)
    rates = []
    for _ in range(3):
        rates.append(optimizer.lr)
        optimizer.step()
    assert rates == [0, 0.25, 0.5]
    close(w, -0.75)
    state = optimizer.state_dict()
    assert "lr" not in state["param_groups"]["0"]
    other = optim.SGD([Tensor(0.0)], lr=schedule, momentum=lambda t: 0.0)
    other.load_state_dict(state)
    assert other.lr == 0.75


# ---------------------------------------------------------------- clipping

@pytest.mark.parametrize("order", [1.0, 2.0, 3.0, math.inf])
def test_clipping_by_the_norm_of_all_gradients(order: float, rng: np.random.Generator) -> None:
    gradients = [rng.normal(size=s) for s in SHAPES]
    tensors = [Tensor(np.zeros(s)) for s in SHAPES]
    everything = np.concatenate([np.ravel(g) for g in gradients])
    length = np.linalg.norm(everything, order)
    for limit in (length / 3, length * 3):
        for t, g in zip(tensors, gradients, strict=True):
            t.grad = np.array(g)[()]
        assert optim.clip_grad_norm_(tensors, limit, order) == pytest.approx(length, rel=1e-12)
        for t, g in zip(tensors, gradients, strict=True):
            close(t.grad, g * min(1.0, limit / (length + 1e-6)))
            assert type(t.grad) is type(t.data)


def test_clipping_by_value(rng: np.random.Generator) -> None:
    w, b, none = Tensor(np.zeros(4, np.float32)), Tensor(0.0), Tensor(0.0)
    w.grad, b.grad = np.array([-3, -0.5, 0.5, 3], np.float32), np.float64(9)
    optim.clip_grad_value_({"w": w, "b": b, "none": none}, 1)
    assert w.grad.tolist() == [-1, -0.5, 0.5, 1]
    assert w.grad.dtype == np.float32
    assert b.grad == 1
    assert none.grad is None


def test_lengths_neither_overflow_nor_vanish() -> None:
    assert optim.norm_of([np.array([3e300, 0.0]), np.float64(4e300)]) == pytest.approx(5e300)
    assert optim.norm_of([np.array([3e-300]), np.float64(4e-300)]) == pytest.approx(5e-300)
    assert optim.norm_of([np.array([3e30, 4e30], np.float32)]) == pytest.approx(5e30)
    assert optim.norm_of([np.zeros(3), np.zeros(0)]) == 0.0
    assert optim.norm_of([]) == 0.0
    assert optim.norm_of({"W": np.array([3.0, 0.0]), "b": {"last": [np.array(4.0)]}}) == 5.0  # as grad returns them
    assert math.isnan(optim.norm_of([np.array([1.0, math.nan])]))
    assert math.isnan(optim.norm_of([np.array([math.inf]), np.array([math.nan])]))
    assert optim.norm_of([np.array([1.0, -math.inf])]) == math.inf
    with pytest.raises(ValueError, match="norm_type=-1"):
        optim.norm_of([np.ones(2)], -1)


def test_gradients_that_are_not_finite() -> None:
    w, b = Tensor([1.0, 2.0], name="w"), Tensor(1.0)
    w.grad, b.grad = np.array([math.nan, 1.0]), np.float64(1)
    with pytest.raises(GradientError, match="the gradients have length nan; not finite are those of w"):
        optim.clip_grad_norm_([w, b], 1.0, error_if_nonfinite=True)
    assert b.grad == 1
    optim.clip_grad_norm_([w, b], 1.0)
    assert math.isnan(b.grad)
    with pytest.raises(ValueError, match="max_norm=-1"):
        optim.clip_grad_norm_([w], -1)
    with pytest.raises(ValueError, match="clip_value=-1"):
        optim.clip_grad_value_([w], -1)
