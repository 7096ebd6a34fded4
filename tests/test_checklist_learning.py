"""Rows of the checklist on how networks learn: linear layers, initialisation, penalties, costs, output units, δ, rates.

Tolerances are the rows' own: `exact` is ==, `close` is rtol = atol = 1e-12 in float64. Every formula is evaluated by hand
in plain NumPy and compared with autodiff through primitives.
"""

from __future__ import annotations

import importlib
import re
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import Tensor

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


def example(name: str) -> ModuleType:
    """An example as a module."""
    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))
    return importlib.import_module(name)


def close(left: Any, right: Any, tolerance: float = 1e-12) -> None:
    left, right = np.asarray(getattr(left, "data", left)), np.asarray(getattr(right, "data", right))
    assert left.shape == right.shape
    np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance)


def sigmoid(z: Any) -> Any:
    """As the notes write it, for arrays and Tensors."""
    return 1 / (1 + np.exp(-z))


def labels(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return (rng.uniform(size=shape) > 0.5).astype(float)


# ---------------------------------------------------------------- 7, 8. linear layers, initialisation


@pytest.mark.parametrize("depth", range(2, 11))
def test_M66_linear_layers_collapse(depth: int, rng: np.random.Generator) -> None:
    gallery = example("pathologies")
    weights, biases = gallery.random_layers(depth, seed=depth)
    X = rng.standard_normal((3, 7))
    W, b = gallery.collapse_linear(weights, biases)
    assert W.shape == (2, 3) and b.shape == (2, 1)
    close(gallery.linear_network(X, weights, biases), W @ X + b)
    if depth == 2:
        close(W, weights[1] @ weights[0])
        close(b, weights[1] @ biases[0] + biases[1])
    # the derivative with respect to the input is W′ᵀ whatever the input: nothing but a linear map
    close(tg.jacobian(lambda x: gallery.linear_network(x, weights, biases)[:, 0])(X[:, :1])[..., 0], W)


def test_M66_no_straight_line_solves_what_tanh_layers_solve() -> None:
    gallery = example("pathologies")
    X, Y = gallery.quadrants(200, 0)
    right = {}
    for name, activation in (("linear", gallery.none), ("tanh", np.tanh)):
        layers = gallery.train_layers(activation, X, Y)
        right[name] = np.mean((gallery.deep_network(X, *layers, activation) > 0) == Y)
    assert right["linear"] < 0.6 and right["tanh"] > 0.97


@pytest.mark.parametrize(("start", "hidden", "J", "largest"), [
    pytest.param("zeros", np.tanh, 0.6923, 0.0, id="zeros, tanh"),
    pytest.param("zeros", tg.sigmoid, 0.6923, 0.021, id="zeros, sigmoid"),
    pytest.param("constant 0.3", np.tanh, 0.6648, None, id="constant, tanh"),
    pytest.param("constant 0.3", tg.sigmoid, 0.6857, None, id="constant, sigmoid"),
])
def test_M70_equal_units_stay_equal(start: str, hidden: Any, J: float, largest: float | None) -> None:
    gallery = example("pathologies")
    p, reached, history = gallery.trained_from(start, hidden, steps=200)
    assert np.ptp(p["W1"], axis=0).max() == 0  # exactly: all rows are the same
    assert np.ptp(history, axis=1).max() == 0  # and were at every step
    assert np.ptp(p["W2"]) == 0
    assert reached == pytest.approx(J, abs=3e-4)
    if largest is not None:
        assert np.abs(p["W1"]).max() == pytest.approx(largest, abs=1e-3)
    if start == "zeros" and hidden is np.tanh:
        assert not np.any(p["W1"]) and not np.any(p["W2"])
    X, Y = gallery.quadrants()
    first = gallery.flow(p, X, Y, hidden).layers[0]
    assert first.same  # a₁ = a₂ and dz₁ = dz₂


def test_M70_dW_has_equal_rows(rng: np.random.Generator) -> None:
    """With equal weights, dW1 is "[u v; u v]"."""
    X, Y = rng.standard_normal((2, 5)), labels(rng, 1, 5)
    W1, W2 = Tensor(np.full((2, 2), 0.3)), Tensor(np.full((1, 2), 0.3))
    Z1 = W1 @ X
    tg.binary_cross_entropy_with_logits(W2 @ np.tanh(Z1), Y).backward()
    assert np.array_equal(Z1.grad[0], Z1.grad[1])
    assert np.array_equal(W1.grad[0], W1.grad[1]) and np.any(W1.grad)


@pytest.mark.parametrize(("hidden", "J"), [
    pytest.param(np.tanh, 0.081, id="tanh"), pytest.param(tg.sigmoid, 0.166, id="sigmoid")])
def test_M70_random_units_part(hidden: Any, J: float) -> None:
    p, reached, _ = example("pathologies").trained_from("random", hidden, steps=2000)
    assert np.ptp(p["W1"], axis=0).max() > 1
    assert reached == pytest.approx(J, rel=0.05)  # which random weights they are matters little


# ---------------------------------------------------------------- 9. regularisation


def test_M72_penalty_of_logistic_regression(rng: np.random.Generator) -> None:
    m, lam = 7, 0.8
    X, Y, w0 = rng.standard_normal((3, m)), labels(rng, 1, m), rng.standard_normal((3, 1))
    close(np.sum(w0**2), (w0.T @ w0).item())
    close(tg.squared_norm(Tensor(w0)), np.sum(w0**2))
    for norm in (lambda w: np.sum(w**2), lambda w: (w.T @ w)[0, 0], tg.squared_norm):
        w, b = Tensor(w0), Tensor(0.3)
        A = sigmoid(np.dot(w.T, X) + b)
        J = -(1 / m) * np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) + lam / (2 * m) * norm(w)
        J.backward()
        dZ = A.data - Y
        close(w.grad, (1 / m) * X @ dZ.T + lam / m * w0)
        close(b.grad, np.mean(dZ))


def penalised(rng: np.random.Generator, lam: float) -> dict[str, Any]:
    """A network of three layers: its parameters as leaves, J with and without the penalty, and what else is needed."""
    m = 6
    sizes = (3, 5, 4, 1)
    X, Y = rng.standard_normal((3, m)), labels(rng, 1, m)
    W = [Tensor(rng.standard_normal((k, n))) for n, k in pairwise(sizes)]
    b = [Tensor(rng.standard_normal((k, 1))) for k in sizes[1:]]
    A1 = np.tanh(W[0] @ X + b[0])
    A2 = np.tanh(W[1] @ A1 + b[1])
    A3 = sigmoid(W[2] @ A2 + b[2])
    plain = -(1 / m) * np.sum(Y * np.log(A3) + (1 - Y) * np.log(1 - A3))
    return {"W": W, "b": b, "plain": plain, "J": plain + lam / (2 * m) * sum(np.sum(w**2) for w in W), "m": m}


def test_M73_frobenius_penalty_of_a_network(rng: np.random.Generator) -> None:
    lam = 0.7
    net = penalised(rng, lam)
    by_entries = sum(w.data[i, j] ** 2 for w in net["W"] for i in range(w.shape[0]) for j in range(w.shape[1]))
    close(net["J"], net["plain"].item() + lam / (2 * net["m"]) * by_entries)
    close(by_entries, sum(np.linalg.norm(w.data, "fro") ** 2 for w in net["W"]))
    penalty = net["J"] - net["plain"]
    penalty.backward()
    for w in net["W"]:
        close(w.grad, lam / net["m"] * w.data)


def test_M74_penalty_in_dW(rng: np.random.Generator) -> None:
    lam = 0.7
    net = penalised(rng, lam)
    net["plain"].backward()
    from_backprop = [p.grad for p in (*net["W"], *net["b"])]
    for p in (*net["W"], *net["b"]):
        p.zero_grad()
    net["J"].backward()
    for w, before in zip(net["W"], from_backprop, strict=False):
        close(w.grad, before + lam / net["m"] * w.data)
    for b, before in zip(net["b"], from_backprop[3:], strict=True):
        close(b.grad, before)  # biases are not penalised


def test_M75_weight_decay(rng: np.random.Generator) -> None:
    """Equal for plain gradient descent; with momentum or a rate per weight the two differ."""
    lam, rate = 0.7, 0.1
    net = penalised(rng, lam)
    net["plain"].backward()
    from_backprop = [w.grad for w in net["W"]]
    for w in net["W"]:
        w.zero_grad()
    net["J"].backward()
    for w, before in zip(net["W"], from_backprop, strict=True):
        penalty_step = w.data - rate * (before + lam / net["m"] * w.data)
        decay_step = (1 - rate * lam / net["m"]) * w.data - rate * before
        close(w.data - rate * w.grad, penalty_step)
        close(decay_step, penalty_step)


def test_M76_larger_penalty_smaller_weights_smoother_boundary() -> None:
    gallery = example("pathologies")
    sizes, steepness = [], []
    grid = np.stack([x.ravel() for x in np.meshgrid(np.linspace(-2.5, 2.5, 60), np.linspace(-2.5, 2.5, 60))])
    for penalty in gallery.PENALTIES:
        p = gallery.train_with_penalty(penalty)
        slope = tg.grad(lambda X, p=p: gallery.forward(p, X, np.tanh)[2].sum())(grid)  # dz/dx at every place
        sizes.append(gallery.size_of_weights(p))
        steepness.append(np.sqrt(np.mean(slope**2)))
    assert list(gallery.PENALTIES) == sorted(gallery.PENALTIES)
    assert sizes[0] > 2 * sizes[1] > 4 * sizes[2]
    assert steepness[0] > 2 * steepness[1] > 4 * steepness[2]
    X, Y = gallery.noisy_bow(4000, seed=6)
    right = [gallery.share_right(gallery.train_with_penalty(penalty), X, Y) for penalty in gallery.PENALTIES]
    assert right[2] > right[0] + 0.03  # new points are told apart better


# ---------------------------------------------------------------- 10. costs and learning speed


def neuron(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Tensor, Tensor, np.ndarray, np.ndarray]:
    """x (4, n), y (1, n), the leaves w and b, and a, σ′(z) by hand."""
    x, y = rng.standard_normal((4, 9)), labels(rng, 1, 9)
    w, b = Tensor(rng.standard_normal((4, 1))), Tensor(0.4)
    a = sigmoid(w.data.T @ x + b.data)
    slope = np.exp(-(w.data.T @ x + b.data)) * a**2  # e^{−z}/(1+e^{−z})²
    return x, y, w, b, a, slope


def test_M77_squared_error(rng: np.random.Generator) -> None:
    x, y, w, b, a, slope = neuron(rng)
    n = x.shape[1]
    C = 1 / (2 * n) * np.sum((y - sigmoid(w.T @ x + b)) ** 2)
    C.backward()
    close(w.grad, np.sum((a - y) * slope * x, axis=1, keepdims=True) / n)
    close(b.grad, np.sum((a - y) * slope) / n)


def test_M77_is_proportional_to_the_slope() -> None:
    """The same error at two places: derivatives are as σ′ to σ′."""
    derivatives = {}
    for z in (0.5, 3.0):
        a = sigmoid(z)
        b = Tensor(z)
        (0.5 * (a - 0.1 - sigmoid(b)) ** 2).backward()  # the error a − y is 0.1
        derivatives[z] = b.grad / (a * (1 - a))
    close(derivatives[0.5], derivatives[3.0])
    close(derivatives[0.5], 0.1)


def test_M78_cross_entropy(rng: np.random.Generator) -> None:
    x, y, w, b, a, slope = neuron(rng)
    n = x.shape[1]
    activation = sigmoid(w.T @ x + b)
    C = -(1 / n) * np.sum(y * np.log(activation) + (1 - y) * np.log(1 - activation))
    C.backward()
    for j in range(4):
        close(w.grad[j, 0], np.sum(slope * x[j] * (a - y) / (a * (1 - a))) / n)


@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 12))
def test_M79_the_slope_cancels(seed: int, n_x: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n_x, n)), labels(rng, 1, n)
    w, b = Tensor(rng.standard_normal((n_x, 1))), Tensor(rng.standard_normal())
    activation = sigmoid(w.T @ x + b)
    C = -(1 / n) * np.sum(y * np.log(activation) + (1 - y) * np.log(1 - activation))
    C.backward()
    a = activation.data
    close(w.grad, np.sum(x * (a - y), axis=1, keepdims=True) / n)
    close(b.grad, np.sum(a - y) / n)


def test_M80_cost_near_zero_where_the_answer_is_right() -> None:
    for y in (1.0, 0.0):
        for distance in (1e-2, 1e-6, 1e-12):
            a = abs(y - distance)
            C = tg.binary_cross_entropy(Tensor([a]), np.array([y])).item()
            assert 0 < C == pytest.approx(-np.log(1 - distance), rel=1e-3)
        assert tg.binary_cross_entropy(Tensor([y]), np.array([y])).item() == 0
    assert tg.binary_cross_entropy(Tensor([1e-9]), np.array([1.0])).item() > 20  # and large where it is wrong


RACES = [
    # cost, start, a at first, a after 300 epochs, first |∂C/∂w|, epochs to a < 0.5
    pytest.param("squared error", (0.6, 0.9), 0.8176, 0.0940, 0.1219, 36, id="M81 squared error from 0.8176"),
    pytest.param("squared error", (2.0, 2.0), 0.9820, 0.2028, 0.0173, 232, id="M81 squared error from 0.9820"),
    pytest.param("cross-entropy", (0.6, 0.9), 0.8176, 0.0116, 0.8176, 8, id="M82 cross-entropy from 0.8176"),
    pytest.param("cross-entropy", (2.0, 2.0), 0.9820, 0.0120, 0.9820, 17, id="M82 cross-entropy from 0.9820"),
]


@pytest.mark.parametrize(("cost", "start", "first", "last", "slope", "epochs"), RACES)
def test_M81_M82_race(cost: str, start: tuple[float, float], first: float, last: float, slope: float, epochs: int) -> None:
    race = example("10_learning_speed")
    answers, derivative = race.race(race.COSTS[cost], *start, learning_rate=0.15, epochs=300)
    assert len(answers) == 301
    assert answers[0] == pytest.approx(first, abs=1e-4)
    assert answers[-1] == pytest.approx(last, abs=1e-4)
    assert abs(derivative) == pytest.approx(slope, abs=1e-4)
    assert race.until_below_half(answers) == epochs
    w, b = start
    for i, answer in enumerate(answers):  # the same by hand
        a = 1 / (1 + np.exp(-(w + b)))
        assert a == pytest.approx(answer, rel=1e-11), i
        delta = a * a * (1 - a) if cost == "squared error" else a
        w, b = w - 0.15 * delta, b - 0.15 * delta


def test_M82_more_wrong_is_slower_with_squared_errors_alone() -> None:
    race = example("10_learning_speed")
    slopes = {name: [abs(race.race(cost, *start, epochs=1)[1]) for start in race.STARTS] for name, cost in race.COSTS.items()}
    assert slopes["squared error"][0] / slopes["squared error"][1] == pytest.approx(7, abs=0.1)
    assert slopes["cross-entropy"][0] < slopes["cross-entropy"][1]


def test_M82_figure() -> None:
    figure_module = pytest.importorskip("matplotlib.figure")
    race = example("10_learning_speed")
    figure = race.plot_race(figure_module.Figure())
    for ax, start in zip(figure.axes, race.STARTS, strict=True):
        for line, cost in zip(ax.lines[0:3:2], race.COSTS.values(), strict=True):
            np.testing.assert_array_equal(line.get_ydata(), race.race(cost, *start)[0])


def test_M83_remark_on_the_name() -> None:
    page = " ".join((ROOT / "docs" / "learning.md").read_text(encoding="utf-8").split())
    assert re.search(r"\[\^name\]: .*cross-entropy", page), "no footnote on the name cross-entropy"


def test_M84_practice(rng: np.random.Generator) -> None:
    """Sigmoid with cross-entropy, and softmax with log-likelihood: δ of the last layer is a − y in both."""
    Z, Y = Tensor(rng.standard_normal((1, 8))), labels(rng, 1, 8)
    A = sigmoid(Z)
    (-np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))).backward()
    close(Z.grad, A.data - Y)
    Z, classes = Tensor(rng.standard_normal((4, 8))), rng.integers(0, 4, 8)
    A = np.exp(Z) / np.sum(np.exp(Z), axis=0, keepdims=True)
    (-np.sum(np.log(A[classes, np.arange(8)]))).backward()
    close(Z.grad, A.data - np.eye(4)[:, classes])


# ---------------------------------------------------------------- 11. output units, at the end of a network


def test_M87_log_likelihood_at_the_end_of_a_network(rng: np.random.Generator) -> None:
    X, classes, m = rng.standard_normal((3, 6)), rng.integers(0, 4, 6), 6
    Y = np.eye(4)[:, classes]
    W1, W2 = Tensor(rng.standard_normal((5, 3))), Tensor(rng.standard_normal((4, 5)))
    Z1 = W1 @ X
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1
    A2 = np.exp(Z2) / np.exp(Z2).sum(axis=0)
    J = -np.mean(np.log(A2)[classes, np.arange(m)])  # −ln a_y
    J.backward()
    dZ2 = A2.data - Y
    close(m * Z2.grad, dZ2)
    close(W2.grad, dZ2 @ A1.data.T / m)
    close(W1.grad, (W2.data.T @ dZ2 * (1 - A1.data**2)) @ X.T / m)
    for cost in (tg.categorical_cross_entropy(A2, classes, axis=0), tg.cross_entropy(Z2, classes, axis=0)):
        close(cost, J)


def test_M88_softmax_written_out(rng: np.random.Generator) -> None:
    """∂S_i/∂z_j = S_i (δ_ij − S_j), through exp and a sum alone."""
    z = rng.standard_normal(5)

    def softmax(z: Any) -> Any:
        e = np.exp(z - np.max(z))
        return e / np.sum(e)

    s = np.exp(z) / np.exp(z).sum()
    D = np.array([[s[i] * ((i == j) - s[j]) for j in range(5)] for i in range(5)])
    for f in (softmax, tg.softmax):
        close(tg.jacobian(f)(z), D)
        close(tg.jacobian(f)(z), np.diag(s) - np.outer(s, s))
    y = np.eye(5)[2]
    close(tg.jacobian(softmax)(z).T @ (-y / s), s - y)  # with the log-likelihood's slope it becomes a − y


def test_M89_linear_output_and_gaussian(rng: np.random.Generator) -> None:
    """Maximum likelihood under N(y; ŷ, I) is least squares, with the same gradients in the weights."""
    X, Y = rng.standard_normal((3, 6)), rng.standard_normal((2, 6))
    constant = []
    for seed in range(3):
        W0 = np.random.default_rng(seed).standard_normal((2, 3))
        V, W = Tensor(W0), Tensor(W0)
        density = np.prod(np.exp(-0.5 * (Y - V @ X) ** 2) / np.sqrt(2 * np.pi), axis=0)
        likelihood = -np.sum(np.log(density))
        squares = 0.5 * np.sum((Y - W @ X) ** 2)
        likelihood.backward()
        squares.backward()
        close(V.grad, W.grad)
        close(W.grad, (W0 @ X - Y) @ X.T)
        constant.append(likelihood.item() - squares.item())
    close(constant, np.full(3, Y.size / 2 * np.log(2 * np.pi)))


def test_M90_sigmoid_output_and_bernoulli(rng: np.random.Generator) -> None:
    X, Y = rng.standard_normal((3, 8)), labels(rng, 1, 8)
    W, V = (Tensor(w) for w in [rng.standard_normal((1, 3))] * 2)
    P = sigmoid(W @ X)
    likelihood = -np.log(np.prod(np.where(Y == 1, P, 1 - P)))  # of all examples together
    likelihood.backward()
    entropy = tg.binary_cross_entropy_with_logits(V @ X, Y, reduction="sum")
    entropy.backward()
    close(entropy, likelihood)
    close(V.grad, W.grad)


def test_M91_softmax_output_and_multinoulli(rng: np.random.Generator) -> None:
    X, classes = rng.standard_normal((3, 8)), rng.integers(0, 2, 8)
    W, V = (Tensor(w) for w in [rng.standard_normal((2, 3))] * 2)
    S = tg.softmax(W @ X, axis=0)
    likelihood = -np.log(np.prod(S[classes, np.arange(8)]))
    likelihood.backward()
    Z = V @ X
    two_classes = tg.binary_cross_entropy(sigmoid(Z[1:] - Z[:1]), classes.reshape(1, 8).astype(float), reduction="sum")
    two_classes.backward()  # softmax over two classes is a sigmoid of z₁ − z₀
    close(S.data[1:], sigmoid((Z[1:] - Z[:1]).data))
    close(two_classes, likelihood)
    close(V.grad, W.grad)


# ---------------------------------------------------------------- 13. δ and vanishing gradients


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("depth", [1, 2, 4, 10])
def test_M102_delta_by_recursion(activation: str, depth: int) -> None:
    deep = example("11_vanishing_gradients")
    X, weights = deep.start(deep.NARROW, depth, seed=depth)
    J, Zs = deep.record(activation, X, weights)
    J.backward()
    recursion = deep.by_hand(activation, X, weights)
    layers = tg.gradient_flow(J).layers
    assert len(recursion) == len(Zs) == len(layers) == depth
    for delta, Z, layer in zip(recursion, Zs, layers, strict=True):
        close(Z.grad, delta)
        close(layer.delta, delta)


@pytest.mark.parametrize(("activation", "deviation", "ratio", "tolerance"), [
    pytest.param("sigmoid", 1 / np.sqrt(30), 6e5, 0.5e5, id="sigmoid"),
    pytest.param("tanh", 1 / np.sqrt(30), 2.3, 0.05, id="tanh"),
    pytest.param("relu", np.sqrt(2 / 30), 0.29, 0.005, id="relu, He"),
])
def test_M103_delta_layer_by_layer(activation: str, deviation: float, ratio: float, tolerance: float) -> None:
    deep = example("11_vanishing_gradients")
    norms = deep.norms(activation, deviation)
    assert len(norms) == 10
    assert norms[-1] / norms[0] == pytest.approx(ratio, abs=tolerance)
    J, _ = deep.record(activation, *deep.start(deviation))
    flow = tg.gradient_flow(J)
    assert [layer.delta_norm for layer in flow.layers] == norms
    assert all(layer.name in str(flow) for layer in flow.layers)
    if activation == "sigmoid":
        assert norms == sorted(norms)  # as we move left δ vanishes
        assert [text.partition(":")[0] for text in flow.warnings] == ["vanishing"]
    else:
        assert not [text for text in flow.warnings if text.startswith(("vanishing", "exploding"))]


def test_M103_figure(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    example("11_vanishing_gradients").plot(tmp_path)
    assert (tmp_path / "vanishing_gradients.png").read_bytes().startswith(b"\x89PNG")


@given(st.floats(-800, 800))
def test_M104_bound_of_the_slope(z: float) -> None:
    slope = tg.grad(tg.sigmoid)(z)
    assert 0 <= slope <= 0.25
    assert (slope == 0.25) == (abs(z) < 1e-7)


def test_M104_delta_shrinks_at_least_by_a_quarter_of_the_weights() -> None:
    """‖δ⁽ˡ⁾‖ ≤ ¼ ‖W⁽ˡ⁺¹⁾‖₂ ‖δ⁽ˡ⁺¹⁾‖, so small weights and many layers leave nothing."""
    deep = example("11_vanishing_gradients")
    _, weights = deep.start(deep.NARROW)
    norms = deep.norms("sigmoid", deep.NARROW)
    for before, after, W in zip(norms[:-1], norms[1:], weights[1:], strict=True):
        assert before <= 0.25 * np.linalg.norm(W, 2) * after


def test_M105_universal_approximation() -> None:
    """One hidden layer of at most 20 tanh units follows sin on [−π, π] to 0.05: ten are enough."""
    units = 10
    rng = np.random.default_rng(0)
    x = np.linspace(-np.pi, np.pi, 100).reshape(1, -1)
    p = {"W1": rng.standard_normal((units, 1)), "b1": rng.standard_normal((units, 1)),
         "W2": rng.standard_normal((1, units)) / np.sqrt(units), "b2": np.zeros((1, 1))}

    def network(p: Any, x: Any) -> Any:
        return p["W2"] @ np.tanh(p["W1"] @ x + p["b1"]) + p["b2"]

    slope = tg.grad(lambda p: 0.5 * np.mean((network(p, x) - np.sin(x)) ** 2))
    velocity = {name: np.zeros_like(value) for name, value in p.items()}
    for _ in range(2000):
        for name, d in slope(p).items():
            velocity[name] = 0.9 * velocity[name] - 0.1 * d
            p[name] = p[name] + velocity[name]
    everywhere = np.linspace(-np.pi, np.pi, 4001).reshape(1, -1)
    assert np.max(np.abs(network(p, everywhere) - np.sin(everywhere))) < 0.05


# ---------------------------------------------------------------- 15. the learning rate


def test_M120_learning_rates() -> None:
    speed = example("10_learning_speed")
    M, y = speed.line()
    hessian = tg.hessian(speed.half_squares)(np.zeros(2), M, y)
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian), [1.450984, 25.391121], atol=1e-6)
    limit = speed.largest_useful_rate(M)
    assert limit == pytest.approx(0.078768, abs=1e-6)
    reached = {rate: speed.descend(rate, M, y)[1] for rate in (0.05, 0.001, 1.01 * limit)}
    assert all(len(costs) == 201 for costs in reached.values())
    assert reached[0.05][-1] == pytest.approx(1e-13, rel=0.05)
    assert reached[0.001][-1] == pytest.approx(0.673, abs=1e-3)
    assert reached[1.01 * limit][-1] == pytest.approx(1.2e5, rel=0.05)
    assert np.all(np.diff(reached[0.05]) <= 0) and np.all(np.diff(reached[0.001]) < 0)
    assert np.all(np.diff(reached[1.01 * limit][10:]) > 0)
    path, _ = speed.descend(0.05, M, y)
    beta = np.zeros(2)
    for found in path:  # the same by hand
        close(found, beta)
        beta = beta - 0.05 * M.T @ (M @ beta - y)


def test_M120_figure() -> None:
    figure_module = pytest.importorskip("matplotlib.figure")
    speed = example("10_learning_speed")
    left, right = speed.plot_rates(figure_module.Figure()).axes
    M, y = speed.line()
    np.testing.assert_array_equal(np.stack(left.lines[1].get_data(), axis=1), speed.descend(0.05, M, y)[0])
    assert len(right.lines) == 3


def test_M79_formulas_prints_the_cancellation() -> None:
    """With cross-entropy σ′ cancels and dz = a − y remains; with the squared error it stays (M77)."""
    rng = np.random.default_rng(79)
    X, Y = rng.normal(size=(3, 8)), rng.integers(0, 2, (1, 8)).astype(float)
    w, b = rng.normal(size=(3, 1)), 0.1

    def cross_entropy(w: Any, b: Any, X: Any, Y: Any) -> Any:
        z = w.T @ X + b
        a = 1 / (1 + np.exp(-z))
        return -np.mean(Y * np.log(a) + (1 - Y) * np.log(1 - a))

    def squared_error(w: Any, b: Any, X: Any, Y: Any) -> Any:
        z = w.T @ X + b
        a = tg.sigmoid(z)
        return np.mean((Y - a) ** 2) / 2

    lines = tg.formulas(cross_entropy, w, b, X, Y, wrt=("w", "b"), convention="course").lines
    assert (lines["dz"], lines["dw"], lines["db"]) == ("a − Y", "1/m · X dzᵀ", "1/m · Σ dz")
    assert tg.formulas(squared_error, w, b, X, Y, wrt=("w", "b"), convention="course").lines["dz"] == (
        "(a − Y) ⊙ a ⊙ (1 − a)")
