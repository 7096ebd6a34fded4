"""gradient_flow: which layers it finds, what it says of them, and what it warns of."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.errors import GradientError, MissingExtraError, ShapeError, StaleError
from tinygrad_edu.show.gradient_flow import GradientFlow, gradient_flow


def network(sizes: tuple[int, ...], activations: list[Callable[[Any], Any]], m: int = 20, seed: int = 0,
            scale: float | None = None) -> tuple[Tensor, list[Tensor]]:
    """The last A of a network in columns, and its net inputs Z; weights of variance 1/n, or of the given deviation."""
    rng = np.random.default_rng(seed)
    A: Any = rng.standard_normal((sizes[0], m))
    Zs = []
    for number, (n_in, n_out, g) in enumerate(zip(sizes, sizes[1:], activations, strict=False), 1):
        W = Tensor(rng.standard_normal((n_out, n_in)) * (scale or 1 / np.sqrt(n_in)), name=f"W{number}")
        b = Tensor(0.1 * rng.standard_normal((n_out, 1)), name=f"b{number}")
        Zs.append(W @ A + b)
        A = g(Zs[-1])
    return A, Zs


def half_squares(A: Any, target: float = 0.5) -> Any:
    return 0.5 * np.sum((A - target) ** 2)


def kinds(flow: GradientFlow) -> set[str]:
    return {text.partition(":")[0] for text in flow.warnings}


# ---------------------------------------------------------------- numbers

ENTRYWISE = {"tanh": np.tanh, "sigmoid": tg.sigmoid, "relu": tg.relu, "leaky_relu": tg.leaky_relu, "elu": tg.elu,
             "silu": tg.silu, "gelu": tg.gelu, "softplus": tg.softplus, "celu": tg.celu, "softsign": tg.softsign,
             "hard_tanh": tg.hard_tanh}


@pytest.mark.parametrize("name", ENTRYWISE)
def test_delta_norms_and_slopes(name: str) -> None:
    g = ENTRYWISE[name]
    A, Zs = network((3, 5, 4, 2), [g] * 3)
    J = half_squares(A)
    flow = gradient_flow(J)
    assert [layer.activation for layer in flow.layers] == [name] * 3
    assert all(Z.grad is None for Z in Zs)
    J.backward()
    for layer, Z in zip(flow.layers, Zs, strict=True):
        np.testing.assert_array_equal(layer.delta, Z.grad)
        assert layer.delta_norm == pytest.approx(np.linalg.norm(Z.grad), rel=1e-14)
        assert layer.delta_mean == np.mean(np.abs(Z.grad))
        slope = tg.elementwise_grad(g)(Z.data)
        steepest = np.max(np.abs(tg.elementwise_grad(g)(np.linspace(-8, 8, 16001))))
        assert layer.saturation == np.mean(np.abs(slope) < 0.1 * steepest)
        assert (layer.units, layer.examples) == (Z.shape[0], 20)
    assert flow.layers[0].shape == (5, 20)


@given(st.lists(st.sampled_from(sorted(ENTRYWISE)), min_size=1, max_size=6), st.integers(1, 6), st.integers(0, 10**6))
def test_any_network(names: list[str], m: int, seed: int) -> None:
    sizes = tuple(np.random.default_rng(seed).integers(1, 6, len(names) + 1).tolist())
    A, Zs = network(sizes, [ENTRYWISE[name] for name in names], m, seed)
    J = half_squares(A)
    flow = gradient_flow(J)
    J.backward()
    assert [(x.activation, x.shape, x.weights) for x in flow.layers] == [
        (name, Z.shape, [f"W{i + 1}"]) for i, (name, Z) in enumerate(zip(names, Zs, strict=True))]
    for layer, Z in zip(flow.layers, Zs, strict=True):
        np.testing.assert_array_equal(layer.delta, Z.grad)
        assert layer.dead is None or layer.dead == tuple(np.flatnonzero((Z.data <= 0).all(axis=1)))
    for text in flow.warnings:
        assert text in " ".join(str(flow).split())


def test_norms_of_parameters_and_nothing_is_written() -> None:
    A, _ = network((3, 5, 2), [np.tanh, tg.sigmoid])
    J = half_squares(A)
    leaves = {t.name: t for t in tg.show.names.nodes_of(J) if t.op is None}
    flow = gradient_flow(J)
    assert all(leaf.grad is None for leaf in leaves.values())
    J.backward()
    for number, layer in enumerate(flow.layers, 1):
        assert list(layer.parameters) == [f"W{number}", f"b{number}"]
        assert layer.weights == [f"W{number}"]
        for name, found in layer.parameters.items():
            assert found.kind == ("weight" if name[0] == "W" else "bias")
            assert found.norm == pytest.approx(np.linalg.norm(leaves[name].data), rel=1e-14)
            assert found.gradient_norm == pytest.approx(np.linalg.norm(leaves[name].grad), rel=1e-14)
        assert layer.weight_norm == pytest.approx(layer.parameters[f"W{number}"].norm, rel=1e-15)
        assert layer.gradient_norm == pytest.approx(layer.parameters[f"W{number}"].gradient_norm, rel=1e-15)
    before = {name: leaf.grad.copy() for name, leaf in leaves.items()}
    gradient_flow(J)
    assert all(np.array_equal(leaves[name].grad, before[name]) for name in leaves)


def test_weights_of_an_array_result() -> None:
    A, (_, Z) = network((3, 4, 2), [np.tanh, np.tanh])
    weights = np.random.default_rng(1).standard_normal(A.shape)
    flow = gradient_flow(A, gradient=weights)
    A.backward(weights)
    np.testing.assert_array_equal(flow.layers[1].delta, Z.grad)
    with pytest.raises(ShapeError, match=r"gradient_flow: the gradient has shape \(3,\)"):
        gradient_flow(A, gradient=np.ones(3))


def test_float32_and_sizes_that_overflow_when_squared() -> None:
    W = Tensor(np.array([[1e-30, 2e30]], np.float32))
    flow = gradient_flow(np.sum(tg.relu(W @ np.array([[1e8], [1e8]], np.float32))))
    assert flow.layers[0].parameters[next(iter(flow.layers[0].parameters))].norm == pytest.approx(2e30)
    assert flow.layers[0].delta.dtype == np.float32
    assert not flow.warnings


# ---------------------------------------------------------------- which layers there are

def random_arrays() -> tuple[np.random.Generator, np.ndarray, Tensor, Tensor]:
    rng = np.random.default_rng(3)
    return rng, rng.standard_normal((3, 9)), Tensor(rng.standard_normal((4, 3))), Tensor(rng.standard_normal((4, 1)))


def softmax_by_hand(Z: Any) -> Any:
    E = np.exp(Z - np.max(Z, axis=0, keepdims=True))
    return E / np.sum(E, axis=0, keepdims=True)


BY_HAND: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "sigmoid: 1 / (1 + exp(-z))": (lambda z: 1 / (1 + np.exp(-z)), tg.sigmoid),
    "sigmoid: 1 / (1 + exp(-1 * z))": (lambda z: 1 / (1 + np.exp(-1 * z)), tg.sigmoid),
    "sigmoid: 1.0 / (exp(-z) + 1)": (lambda z: 1.0 / (np.exp(-z) + 1), tg.sigmoid),
    "sigmoid: exp(z) / (1 + exp(z))": (lambda z: (e := np.exp(z)) / (1 + e), tg.sigmoid),
    "sigmoid: reciprocal": (lambda z: np.reciprocal(1 + np.exp(-z)), tg.sigmoid),
    "tanh: exponentials": (lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)), np.tanh),
    "relu: maximum(z, 0)": (lambda z: np.maximum(z, 0), tg.relu),
    "relu: maximum(0.0, z)": (lambda z: np.maximum(0.0, z), tg.relu),
    "relu: maximum of zeros": (lambda z: np.maximum(np.zeros(z.shape), z), tg.relu),
    "relu: clip(z, 0, None)": (lambda z: np.clip(z, 0, None), tg.relu),
    "relu: z * (z > 0)": (lambda z: z * (z > 0), tg.relu),
    "relu: where": (lambda z: np.where(z > 0, z, 0), tg.relu),
    "leaky_relu: maximum(0.01 z, z)": (lambda z: np.maximum(0.01 * z, z), tg.leaky_relu),
    "leaky_relu: where": (lambda z: np.where(z >= 0, z, z * 0.01), tg.leaky_relu),
    "silu: z sigmoid(z)": (lambda z: z * tg.sigmoid(z), tg.silu),
}


@pytest.mark.parametrize("how", BY_HAND)
def test_activations_written_by_hand(how: str) -> None:
    by_hand, known = BY_HAND[how]
    name = how.partition(":")[0]
    _, X, W, b = random_arrays()
    layers = [gradient_flow(np.sum(g(3 * (W @ X + b)))).layers for g in (by_hand, known)]
    (left,), (right,) = layers
    assert left.activation == right.activation == name
    assert left.saturation == right.saturation
    assert (left.units, left.dead) == (right.units, right.dead)
    np.testing.assert_allclose(left.delta, right.delta, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["relu", "softplus", "elu"])
def test_activations_of_minus_z(name: str) -> None:
    _, X, W, b = random_arrays()
    b.data[1] = 50.0
    Z = W @ X + b
    g = ENTRYWISE[name]
    (layer,) = gradient_flow(np.sum(g(-Z))).layers
    (other,) = gradient_flow(np.sum(g(-W @ X - b))).layers
    assert (layer.name, layer.activation) == ("Z", name)
    assert layer.saturation == other.saturation > 0.2
    assert layer.dead == (tuple(np.flatnonzero((Z.data >= 0).all(axis=1))) if name == "relu" else None)
    np.testing.assert_array_equal(layer.delta, -other.delta)


@pytest.mark.parametrize("g", [
    pytest.param(lambda z: 2 / (1 + np.exp(-z)), id="twice sigmoid"),
    pytest.param(lambda z: 1 / (2 + np.exp(-z)), id="another sum"),
    pytest.param(lambda z: 1 / (1 + np.exp(-z * z)), id="of a square"),
    pytest.param(lambda z: np.maximum(z, 1), id="maximum with 1"),
    pytest.param(lambda z: np.clip(z, 0, 1), id="clip on both sides"),
    pytest.param(lambda z: 1 / (1 + np.exp(-2 * z)), id="a steeper sigmoid"),
    pytest.param(lambda z: np.maximum(2 * z, z), id="steep below"),
    pytest.param(lambda z: np.where(z > 1, z, 0), id="another threshold"),
    pytest.param(lambda z: (np.exp(z) + np.exp(-z)) / (np.exp(z) - np.exp(-z)), id="1 / tanh"),
])
def test_what_is_not_an_activation(g: Callable[[Any], Any]) -> None:
    _, X, W, b = random_arrays()
    Z = W @ X + b
    layers = gradient_flow(np.sum(g(Z))).layers
    assert all(layer.activation in ("linear", "exp") or layer.shape != Z.shape for layer in layers), layers


@pytest.mark.parametrize("softmax", [
    pytest.param(lambda Z: tg.softmax(Z, axis=0), id="tg"), pytest.param(softmax_by_hand, id="by hand"),
    pytest.param(lambda Z: np.exp(Z) / np.exp(Z).sum(axis=0), id="without the largest")])
def test_softmax(softmax: Callable[[Any], Any]) -> None:
    rng = np.random.default_rng(0)
    Y = np.eye(4)[:, rng.integers(0, 4, 9)]
    _, X, W, b = random_arrays()
    Z = W @ X + b
    (layer,) = gradient_flow(-np.mean(np.sum(Y * np.log(softmax(Z)), axis=0))).layers
    assert (layer.name, layer.activation, layer.units, layer.examples) == ("Z", "softmax", 4, 9)
    np.testing.assert_allclose(layer.delta, (tg.softmax(Z.data, axis=0) - Y) / 9, rtol=1e-12, atol=1e-15)


def test_softmax_is_flat_where_one_class_has_everything() -> None:
    W = Tensor(np.eye(100))
    (layer,) = gradient_flow(np.sum(tg.softmax(W @ np.zeros((100, 2)), axis=0) ** 2)).layers
    assert layer.saturation == 0  # each of 100 classes has little, and everything still moves
    X = np.zeros((100, 2))
    X[5, 0] = 50.0
    flow = gradient_flow(np.sum(tg.softmax(W @ X, axis=0) ** 2))
    assert flow.layers[0].saturation == 0.5


@pytest.mark.parametrize("columns", [True, False])
@pytest.mark.parametrize("cost", ["probabilities", "logits"])
def test_cost_from_logits_counts_as_the_last_layer(cost: str, columns: bool) -> None:
    rng, X, W, b = random_arrays()
    labels = rng.integers(0, 4, 9)
    Z = W @ X + b if columns else X.T @ W.T + b.T
    axis = 0 if columns else 1
    if cost == "logits":
        J = tg.cross_entropy(Z, labels, axis=axis)
    else:
        J = -np.mean(np.log(tg.softmax(Z, axis=axis))[(labels, range(9)) if columns else (range(9), labels)])
    (layer,) = gradient_flow(J).layers
    assert (layer.name, layer.activation, layer.units, layer.examples) == ("Z", "softmax", 4, 9)
    J.backward()
    np.testing.assert_array_equal(layer.delta, Z.grad)


@pytest.mark.parametrize("cost", [
    lambda Z, Y: tg.binary_cross_entropy_with_logits(Z, Y),
    lambda Z, Y: tg.binary_cross_entropy_with_logits(Z, Y, pos_weight=2.0),
    lambda Z, Y: -np.mean(Y * tg.log_sigmoid(Z) + (1 - Y) * tg.log_sigmoid(-Z)),
    lambda Z, Y: tg.binary_cross_entropy(tg.sigmoid(Z), Y),
    lambda Z, Y: -np.mean(Y * np.log(tg.sigmoid(Z) + 1e-9) + (1 - Y) * np.log(1 - tg.sigmoid(Z) + 1e-9)),
], ids=["logits", "pos_weight", "log_sigmoid", "probabilities", "by hand"])
def test_binary_costs(cost: Callable[[Any, Any], Any]) -> None:
    rng, X, _, _ = random_arrays()
    w, b = Tensor(8 * rng.standard_normal((3, 1))), Tensor(0.0)
    Z = np.dot(w.T, X) + b
    flow = gradient_flow(cost(Z, (rng.uniform(size=(1, 9)) > 0.5).astype(float)))
    (layer,) = flow.layers
    assert (layer.name, layer.units, layer.examples) == ("Z", 1, 9)
    assert layer.weights == ["w"]
    assert list(layer.parameters) == ["w", "b"]
    assert not flow.warnings  # saturated as it is, the logarithm cancels σ′


def test_linear_layers() -> None:
    rng, X, W1, b1 = random_arrays()
    W2, b2 = Tensor(rng.standard_normal((2, 4))), Tensor(rng.standard_normal((2, 1)))
    Z1 = W1 @ X + b1
    Z2 = W2 @ Z1 + b2
    J = np.mean((Z2 - 1.0) ** 2) + 0.1 * (np.sum(W1**2) + tg.squared_norm(W2))
    flow = gradient_flow(J)
    assert [(x.name, x.activation, x.saturation, x.weights) for x in flow.layers] == [
        ("Z1", "linear", None, ["W1"]), ("Z2", "linear", None, ["W2"])]
    J.backward()
    np.testing.assert_array_equal(flow.layers[0].delta, Z1.grad)
    assert flow.layers[1].gradient_norm == pytest.approx(np.linalg.norm(W2.grad))


def test_layouts_and_their_axes_of_units() -> None:
    rng = np.random.default_rng(0)
    X, W, b = rng.standard_normal((9, 3)), Tensor(rng.standard_normal((3, 4))), Tensor(np.zeros(4))
    alone = Tensor(rng.standard_normal(3))
    picture = rng.standard_normal((2, 3, 5, 5))
    kernel = Tensor(rng.standard_normal((6, 3)))
    for Z, units, examples in [
        (X @ W + b, 4, 9), (W.T @ X.T + b.reshape(4, 1), 4, 9), ((X @ W).T, 4, 9), (np.tensordot(X, W, 1) + b, 4, 9),
        (np.einsum("mi,io->mo", X, W), 4, 9), (np.einsum("io,mi->om", W, X), 4, 9), (X[0] @ W, 4, 1), (W.T @ X[0], 4, 1),
        (X @ alone, 1, 9), (alone @ X.T, 1, 9), (np.stack([X, X]) @ W + b, 4, 18), (W.T @ np.stack([X.T, X.T]), 4, 18),
        (np.einsum("oc,bchw->bohw", kernel, picture), 6, 50), (Tensor(2.0) * X[:, 0] + Tensor(1.0), 1, 9),
        (Tensor(2.0) * 3.0 + Tensor(1.0), 1, 1),
    ]:
        (layer,) = gradient_flow(np.sum(tg.relu(Z))).layers
        assert (layer.units, layer.examples) == (units, examples), (Z.shape, layer)
        flat = np.moveaxis(np.atleast_1d(Z.data), list(Z.shape).index(units) if units > 1 else 0, 0).reshape(units, -1)
        assert layer.dead == tuple(np.flatnonzero((flat <= 0).all(axis=1)))


def test_an_axis_of_units_that_is_said() -> None:
    W = Tensor(np.arange(12.0).reshape(3, 4) - 5.5)
    (layer,) = gradient_flow(np.sum(tg.relu(W))).layers
    assert (layer.units, layer.dead) == (None, None)  # nothing tells what the rows are
    (layer,) = gradient_flow(np.sum(tg.relu(W)), unit_axis=0).layers
    assert (layer.units, layer.dead) == (3, (0,))
    (layer,) = gradient_flow(np.sum(tg.relu(W)), unit_axis=-1).layers
    assert (layer.units, layer.dead) == (4, ())


def test_tracked_inputs_are_no_weights() -> None:
    rng = np.random.default_rng(0)
    X, W, b = Tensor(rng.standard_normal((3, 9))), Tensor(rng.standard_normal((4, 3))), Tensor(np.zeros((4, 1)))
    (layer,) = gradient_flow(np.sum(np.tanh(W @ X + b))).layers
    assert list(layer.parameters) == ["W", "b"]
    assert layer.units == 4
    (layer,) = gradient_flow(np.sum(np.tanh(X.T @ W.T))).layers
    assert (layer.weights, layer.units) == (["W"], 4)


def test_normalisation_belongs_to_its_layer() -> None:
    _, X, W, b = random_arrays()
    gamma, beta = Tensor(np.ones((4, 1))), Tensor(np.zeros((4, 1)))
    U = W @ X + b
    Z = gamma * (U - U.mean(axis=1, keepdims=True)) / np.sqrt(U.var(axis=1, keepdims=True) + 1e-5) + beta
    (layer,) = gradient_flow(half_squares(tg.relu(Z))).layers
    assert (layer.name, layer.units) == ("Z", 4)
    assert layer.weights == ["W", "gamma"]
    assert set(layer.parameters) == {"W", "gamma", "b", "beta"}


def test_residual_blocks() -> None:
    rng = np.random.default_rng(0)
    h: Any = rng.standard_normal((5, 8))
    for i in range(3):
        V, W = (Tensor(rng.standard_normal((5, 5)), name=f"{letter}{i}") for letter in "VW")
        h = h + W @ tg.relu(V @ h)
    flow = gradient_flow(half_squares(h))
    assert [(x.activation, x.weights) for x in flow.layers] == [
        ("relu", ["V0"]), ("linear", ["W0"]), ("relu", ["V1"]), ("linear", ["W1"]), ("relu", ["V2"]), ("linear", ["W2"])]


def test_attention() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6, 5))
    Wq, Wk, Wv = (Tensor(rng.standard_normal((5, 5)), name=f"W{x}") for x in "qkv")
    Q, K, V = X @ Wq, X @ Wk, X @ Wv
    A = tg.softmax(Q @ K.T / np.sqrt(5), axis=1)
    flow = gradient_flow(half_squares(A @ V))
    assert [(x.name, x.activation, x.weights) for x in flow.layers] == [
        ("Q", "linear", ["Wq"]), ("K", "linear", ["Wk"]), ("V", "linear", ["Wv"]), ("z of A", "softmax", [])]


def test_steps_through_time_share_their_weights() -> None:
    rng = np.random.default_rng(0)
    W, U, b = Tensor(rng.standard_normal((4, 4))), Tensor(rng.standard_normal((4, 2))), Tensor(np.zeros((4, 1)))
    h: Any = np.zeros((4, 3))
    for _ in range(5):
        h = np.tanh(W @ h + U @ rng.standard_normal((2, 3)) + b)
    flow = gradient_flow(half_squares(h))
    assert len(flow.layers) == 5
    assert all(set(x.parameters) == {"W", "U", "b"} and x.units == 4 for x in flow.layers)


def test_gates_of_an_lstm_cell() -> None:
    rng = np.random.default_rng(0)
    W, b = Tensor(rng.standard_normal((8, 5))), Tensor(np.zeros((8, 1)))
    h: Any = np.zeros((2, 3))
    c: Any = np.zeros((2, 3))
    for _ in range(2):
        z = W @ np.concatenate([h, rng.standard_normal((3, 3))]) + b
        forget, update, output = tg.sigmoid(z[0:2]), tg.sigmoid(z[2:4]), tg.sigmoid(z[4:6])
        c = forget * c + update * np.tanh(z[6:8])
        h = output * np.tanh(c)
    flow = gradient_flow(half_squares(h))
    assert [x.activation for x in flow.layers].count("tanh") == 4  # a candidate and a cell per step
    assert [x.activation for x in flow.layers].count("sigmoid") == 6
    assert all(x.shape == (2, 3) for x in flow.layers)


def test_an_activation_of_one_s_own() -> None:
    @tg.primitive(lambda g, y, x: g * np.cos(x), kind="pointwise", samples=[(0.3,)])
    def wave(x: Any) -> Any:
        return np.sin(x)

    _, X, W, b = random_arrays()
    (layer,) = gradient_flow(half_squares(wave(W @ X + b))).layers
    assert layer.activation == "wave"
    assert layer.saturation == np.mean(np.abs(np.cos((W @ X + b).data)) < 0.1)


# ---------------------------------------------------------------- names

def test_names() -> None:
    _, X, W, b = random_arrays()
    named = np.tanh(W @ X + b)
    named.args[0].name = "first"
    A2 = np.tanh(W.T @ named)
    with tg.scope("outer"), tg.scope("inner"):
        t = np.tanh(W @ A2)
        t = np.tanh(W.T @ t)
    last = np.tanh(np.tanh(W @ t))
    flow = gradient_flow(np.sum(last))
    assert [x.name for x in flow.layers] == ["first", "z of A2", "outer / inner", "outer / inner (2)", "layer 5", "z of last"]
    assert [str(x) for x in flow.layers[4:]] == ["layer 5", "layer 6 (z of last)"]


def test_a_table_without_names_has_no_column_of_names() -> None:
    A, _ = network((2, 3, 2), [np.tanh, np.tanh])
    flow = gradient_flow(half_squares(1 * A))
    assert "name" in str(flow).splitlines()[1] or [x.name for x in flow.layers] == ["layer 1", "layer 2"]


def test_text() -> None:
    W1, W2 = Tensor([[1.0, -1.0], [2.0, 0.5]]), Tensor([[3.0, 4.0]])
    Z1 = W1 @ np.eye(2)
    Z2 = W2 @ tg.relu(Z1)
    J = np.sum(Z2)
    assert str(gradient_flow(J)).splitlines() == [
        "Gradient flow of J, from the last layer back to the first",
        "  layer  name  activation  units   ‖δ‖  mean |δ|  flat  dead  weights  ‖W‖  ‖dW‖",
        "      2  Z2    linear          1  1.41         1     –     –  W2         5  2.69",
        "      1  Z1    relu            2   6.4      2.75   25%     0  W1       2.5   6.4",
    ]


def test_html_is_escaped() -> None:
    W = Tensor([[1.0, 2.0]], name="<script>alert(1)</script>")
    Z = W @ np.ones((2, 3))
    Z.name = "a & b <i>"
    bundle = gradient_flow(np.sum(np.tanh(Z)))._repr_mimebundle_()
    assert "<script>" not in bundle["text/html"]
    assert "&lt;script&gt;" in bundle["text/html"]
    assert "a &amp; b &lt;i&gt;" in bundle["text/html"]
    assert "<script>" in bundle["text/plain"]


# ---------------------------------------------------------------- warnings

def test_no_warning_where_all_is_well() -> None:
    for g in (np.tanh, tg.leaky_relu, tg.elu):
        A, _ = network((30,) * 11, [g] * 10, m=64)
        assert gradient_flow(half_squares(A)).warnings == [], g


def test_vanishing() -> None:
    A, _ = network((30,) * 11, [tg.sigmoid] * 10, m=64)
    flow = gradient_flow(half_squares(A))
    assert kinds(flow) == {"vanishing"}
    ratio = flow.layers[-1].delta_mean / flow.layers[0].delta_mean
    assert ratio > 1e5
    (text,) = flow.warnings
    assert "in layer 10 (z of A)" in text
    assert f"{float(f'{ratio:.3g}'):,.0f} times" in text
    assert f" times smaller, {ratio ** (1 / 9):.3g} times with each layer" in text
    assert "σ′ is at most ¼: use tanh or ReLU" in text
    A, _ = network((30,) * 11, [np.tanh] * 10, m=64, scale=0.05)
    (text,) = gradient_flow(half_squares(A)).warnings
    assert text.startswith("vanishing") and "Start from larger weights" in text


def test_vanishing_names_what_stops_it() -> None:
    A, _ = network((20, 20, 20, 1), [np.tanh, np.tanh, np.tanh], scale=30.0)
    flow = gradient_flow(half_squares(0.001 * A))
    assert kinds(flow) == {"saturated", "vanishing"}
    assert "Most of layer 1 is saturated." in flow.warnings[0]
    W1, W2 = Tensor(np.ones((4, 2))), Tensor(np.ones((1, 4)))
    Z1 = W1 @ np.ones((2, 5)) - 10.0
    Z2 = W2 @ tg.relu(Z1)
    flow = gradient_flow(np.sum(Z2))
    assert kinds(flow) == {"vanishing", "dead", "symmetric"}
    assert flow.warnings[0].startswith("vanishing: δ of layer 1 (Z1) is exactly 0")


def test_exploding() -> None:
    A, _ = network((30,) * 8, [tg.relu] * 7, m=64, scale=1.0)
    flow = gradient_flow(half_squares(A))
    assert kinds(flow) - {"dead"} == {"exploding"}
    ratio = flow.layers[0].delta_mean / flow.layers[-1].delta_mean
    assert f" times larger, {ratio ** (1 / 6):.3g} times with each layer" in flow.warnings[0]
    assert "in layer 1: " in flow.warnings[0]


def test_dead() -> None:
    A, _ = network((3, 6, 2), [lambda Z: tg.relu(Z - np.array([[0.0], [99.0], [0], [0], [99.0], [0]])), tg.sigmoid])
    flow = gradient_flow(half_squares(A))
    assert flow.layers[0].dead == (1, 4)
    assert flow.layers[1].dead is None
    assert [text for text in flow.warnings if text.startswith("dead")] == [
        "dead: 2 of the 6 units of layer 1 pass nothing for any of the 20 examples, so their weights get no gradient. Use a "
        "smaller learning rate, biases that are not far below 0, or leaky_relu or elu."]
    A, _ = network((3, 6, 2), [tg.relu, tg.sigmoid], m=1)
    assert gradient_flow(half_squares(A)).layers[0].dead  # a unit that is off for the only example tells nothing
    assert "dead" not in kinds(gradient_flow(half_squares(A)))


def test_saturated_hidden_layer() -> None:
    A, _ = network((10, 10, 1), [np.tanh, tg.sigmoid])
    assert not gradient_flow(half_squares(A)).warnings
    A, Zs = network((10, 10, 10, 1), [np.tanh, np.tanh, np.tanh], scale=5.0)
    flow = gradient_flow(np.sum(tg.log(2 + A)))
    shares = [f"{np.mean(1 - np.tanh(Z.data) ** 2 < 0.1):.0%} of the entries of {layer}, tanh"
              for layer, Z in zip(flow.layers, Zs, strict=True)]
    (saturated,) = [text for text in flow.warnings if text.startswith("saturated")]
    assert f"stops δ at {shares[0]}; {shares[1]}. Start from smaller weights" in saturated  # a logarithm takes the last one


def test_saturated_output() -> None:
    """With squared errors σ′ stops the learning of a wrong answer; with cross-entropy it is cancelled."""
    w, b = Tensor(2.0), Tensor(2.0)
    a = tg.sigmoid(w * 1.0 + b)
    flow = gradient_flow(0.5 * (a - 0.0) ** 2)
    assert kinds(flow) == {"saturated"}
    assert "with cross-entropy as the cost, g′ cancels" in flow.warnings[0]
    assert not gradient_flow(-np.log(1 - a)).warnings


def test_symmetric() -> None:
    X, Y = np.random.default_rng(0).standard_normal((2, 9)), np.ones((1, 9))
    for start in (0.0, 0.3):
        W1, W2 = Tensor(np.full((4, 2), start)), Tensor(np.full((1, 4), start))
        Z2 = W2 @ np.tanh(W1 @ X)
        flow = gradient_flow(tg.binary_cross_entropy_with_logits(Z2, Y))
        assert [x.same for x in flow.layers] == [True, False]
        assert kinds(flow) == ({"symmetric"} if start else {"symmetric", "vanishing"})


def test_not_finite() -> None:
    x = Tensor(np.array([[0.0, 1.0]]))
    Z = x * 1.0
    J = np.sum(np.sqrt(np.tanh(Z)))
    flow = gradient_flow(J)
    assert kinds(flow) == {"not finite"}
    assert "find_nan(J)" in flow.warnings[0]


def test_many_layers_are_told_in_short() -> None:
    A, _ = network((3,) * 201, [lambda Z: tg.relu(Z - 99.0)] * 200)
    flow = gradient_flow(half_squares(A, 1.0))
    assert len(flow.layers) == 200
    assert len(str(flow).splitlines()) < 85
    assert "140 more" in str(flow)
    assert "3 of the 3 units of layer 4; and 196 more layers pass nothing" in " ".join(flow.warnings)


# ---------------------------------------------------------------- figures

@pytest.fixture
def pyplot() -> Any:
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.close("all")  # of tests that ran before in this process
    yield plt
    plt.close("all")


def test_plot_into_given_axes(pyplot: Any) -> None:
    A, _ = network((30,) * 11, [tg.sigmoid] * 10, m=64)
    flow = gradient_flow(half_squares(A))
    figure, ax = pyplot.subplots()
    assert flow.plot(ax=ax) is ax
    delta, slope = ax.lines[:2]
    np.testing.assert_array_equal(delta.get_xdata(), range(1, 11))
    np.testing.assert_array_equal(delta.get_ydata(), [x.delta_mean for x in flow.layers])
    np.testing.assert_array_equal(slope.get_ydata(), [x.gradient_norm for x in flow.layers])
    assert ax.get_yscale() == "log"
    assert len(pyplot.get_fignums()) == 1
    figure.canvas.draw()


def test_plot_into_new_axes(pyplot: Any) -> None:
    ax = gradient_flow(half_squares(network((3, 2), [np.tanh])[0])).plot()
    assert ax.figure.number in pyplot.get_fignums()


def test_plot_of_zeros_and_of_dead_and_strange_layers(pyplot: Any) -> None:
    W1, W2 = Tensor(np.zeros((4, 2))), Tensor(np.zeros((1, 4)), name="$W_2$ & <b>")
    Z1 = W1 @ np.ones((2, 5))
    Z1.name = "$\\frac{"  # no mathematics
    flow = gradient_flow(tg.binary_cross_entropy_with_logits(W2 @ np.tanh(Z1), np.ones((1, 5))))
    ax = flow.plot()
    ax.figure.canvas.draw()
    labels = [line.get_label() for line in ax.lines]
    assert "δ is exactly 0" in labels
    everything_stuck = gradient_flow(np.sum(tg.relu(W1 @ np.ones((2, 5)) - 1.0)))
    stuck = everything_stuck.plot()
    stuck.figure.canvas.draw()
    assert not stuck.get_yticks().size and not stuck.texts  # the crosses say it; there is no number to read off
    nowhere = gradient_flow(np.sum(np.tanh(Tensor([[np.nan, 2.0]]) @ np.ones((2, 3))))).plot()
    assert [text.get_text() for text in nowhere.texts] == ["no finite δ"] and not nowhere.get_yticks().size
    strange = gradient_flow(np.sum(np.sqrt(np.tanh(Tensor(np.array([[0.0, 1.0]])) * 1.0))))
    strange.plot().figure.canvas.draw()


def test_plot_marks_saturated_layers(pyplot: Any) -> None:
    A, _ = network((10, 10, 10, 1), [np.tanh, np.tanh, tg.sigmoid], scale=5.0)
    flow = gradient_flow(half_squares(A))
    ax = flow.plot()
    (rings,) = [line for line in ax.lines if line.get_label() == "saturated or dead units"]
    assert 1 in rings.get_xdata()


def test_plot_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = gradient_flow(half_squares(network((3, 2), [np.tanh])[0]))
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtraError, match=r"plotting needs matplotlib.*pip install matplotlib"):
        flow.plot()


# ---------------------------------------------------------------- bad input, and size

def test_errors() -> None:
    W = Tensor([[1.0]])
    with pytest.raises(TypeError, match=r"gradient_flow: function given.*J = f\(Tensor\(\.\.\.\)\)"):
        gradient_flow(lambda: 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"gradient_flow: ndarray given.*run the forward pass on Tensors"):
        gradient_flow(np.ones(3))  # type: ignore[arg-type]
    with pytest.raises(GradientError, match=r"gradient_flow: J was not made from a tracked Tensor"), tg.no_grad():
        gradient_flow(np.sum(np.tanh(W)))
    with pytest.raises(GradientError, match=r"gradient_flow: .* has shape \(1, 2\)"):
        gradient_flow(W @ np.ones((1, 2)))
    a, b, c = Tensor(5), Tensor(3), Tensor(2)
    J = 3 * (a + b * c)
    with pytest.raises(GradientError, match=r"gradient_flow: J has no layers: no activation .*explain\(J\)"):
        gradient_flow(J)
    stale = np.sum(np.tanh(W @ np.ones((1, 2))))
    W.data -= 1.0
    with pytest.raises(StaleError, match="W was changed"):
        gradient_flow(stale)


def test_twenty_thousand_layers() -> None:
    w: Any = Tensor(0.5)
    h: Any = Tensor(0.3)
    start = time.perf_counter()
    for _ in range(20_000):
        h = h + 0.001 * np.tanh(w * h)
    recorded = time.perf_counter() - start
    start = time.perf_counter()
    flow = gradient_flow(h)
    assert time.perf_counter() - start < 60 * recorded + 5
    assert len(flow.layers) == 20_000
    assert len(str(flow)) < 20_000
