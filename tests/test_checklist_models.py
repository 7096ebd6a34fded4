"""Rows of the checklist on activations, estimators, gradient descent and the kinds of networks, with tg.nn and tg.optim.

Tolerances are the rows' own: `exact` is ==, `close` is rtol = atol = 1e-12 in float64. Random numbers are seeded.
"""

from __future__ import annotations

import importlib
import itertools
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
from tinygrad_edu import Tensor, data, nn, optim
from tinygrad_edu.errors import DTypeError, ShapeError

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


def example(which: int) -> ModuleType:
    """The example of that number as a module."""
    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))
    (file,) = EXAMPLES.glob(f"{which:02d}_*.py")
    return importlib.import_module(file.stem)


def page(name: str) -> str:
    """A page of the docs, with every gap made one blank."""
    return " ".join((ROOT / "docs" / name).read_text(encoding="utf-8").split())


def section(name: str, title: str) -> str:
    """What stands under a heading of the second level."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/{name} has no section {title!r}"
    return " ".join(found[1].split())


def close(left: Any, right: Any, tolerance: float = 1e-12) -> None:
    left, right = np.asarray(getattr(left, "data", left)), np.asarray(getattr(right, "data", right))
    assert left.shape == right.shape
    np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance)


def trained(model: nn.Module, cost: Any, updates: int, lr: float) -> list[float]:
    """Adam's updates of a model on cost(model's function), compiled; the costs before each."""
    rule, params = optim.functional(optim.Adam, lr=lr), model.parameter_dict()
    step = tg.jit(tg.value_and_grad(lambda p: cost(lambda x: nn.functional_call(model, p, x))))
    state, costs = rule.init(params), []
    for _ in range(updates):
        J, slopes = step(params)
        params, state = rule.update(params, slopes, state)
        costs.append(float(J))
    model.load_state_dict(params)
    return costs


# ---------------------------------------------------------------- 3. the bowl

def test_M33_the_path_is_drawn_over_the_contours() -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    X, Y = example(2).one_feature()
    points, costs = example(2).path_on_bowl(X, Y, learning_rate=0.5, steps=60)
    assert np.all(np.diff(costs) < 0)

    def J(p: Any) -> Any:
        return np.mean(tg.binary_cross_entropy_with_logits(p[0] * X + p[1], Y))

    ax = tg.plots.contour(J, points, resolution=30, ax=figure.subplots())
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), points)
    levels = next(c for c in ax.collections if c.get_paths()).levels
    assert len(levels) > 5 and levels[0] < costs[-1] * 2


# ---------------------------------------------------------------- 6, 15. training with fit

@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "eager"])
def test_M61_fit_equals_the_loop_by_hand(compiled: bool, rng: np.random.Generator) -> None:
    """500 steps of all examples, in the notes' columns: parameters and costs are those of the hand loop."""
    X, Y = data.moons(60, noise=0.1, rng=0).columns()
    m, rate = X.shape[1], 1.0
    start = {"W1": rng.normal(size=(4, 2)), "b1": np.zeros((4, 1)), "W2": rng.normal(size=(1, 4)), "b2": np.zeros((1, 1))}

    def network(p: Any, X: Any) -> Any:
        return tg.sigmoid(p["W2"] @ np.tanh(p["W1"] @ X + p["b1"]) + p["b2"])

    def cost(A: Any, Y: Any) -> Any:
        return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))

    history = tg.fit(network, (X, Y), cost, optim.functional(optim.SGD, lr=rate), epochs=500, params=start, axis=1,
                     batch_size=None, shuffle=False, compile=compiled, progress=False)
    W1, b1, W2, b2 = start.values()
    costs = []
    for _ in range(500):
        A1 = np.tanh(W1 @ X + b1)
        A2 = 1 / (1 + np.exp(-(W2 @ A1 + b2)))
        costs.append(-np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)))
        dZ2 = A2 - Y
        dZ1 = W2.T @ dZ2 * (1 - A1**2)
        W2, b2 = W2 - rate * (1 / m) * dZ2 @ A1.T, b2 - rate * (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
        W1, b1 = W1 - rate * (1 / m) * dZ1 @ X.T, b1 - rate * (1 / m) * np.sum(dZ1, axis=1, keepdims=True)
    for name, by_hand in (("W1", W1), ("b1", b1), ("W2", W2), ("b2", b2)):
        close(history.params[name], by_hand, 1e-10)
    close(np.array(history["loss"]), np.array(costs), 1e-10)
    assert costs[-1] < 0.3 * costs[0]


def test_M118_updates_of_fit(rng: np.random.Generator) -> None:
    X, Y = rng.normal(size=(23, 2)), rng.normal(size=(23, 1))
    for size, updates in ((5, 5), (23, 1), (1, 23), (10, 3)):  # ⌈23/n⌉ in each epoch
        model = nn.Linear(2, 1, rng=0)
        history = tg.fit(model, (X, Y), tg.mse, optim.SGD(model, lr=0.01), epochs=4, batch_size=size, rng=0, progress=False)
        assert history.updates == 4 * updates and history["epoch"] == [1, 2, 3, 4]


# ---------------------------------------------------------------- 7. activations

def test_M63_tanh_in_both_forms() -> None:
    z = np.linspace(-10, 10, 401)
    written_out = lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z))  # noqa: E731 - as on the blackboard
    t = Tensor(z)
    close(written_out(t), np.tanh(t))
    close(np.tanh(t), np.tanh(z))
    for form in (written_out, np.tanh, tg.tanh):
        close(tg.elementwise_grad(form)(z), 1 - np.tanh(z) ** 2)
    assert tg.grad(np.tanh)(10.0) == pytest.approx(8.2446e-09, rel=1e-5)
    close(tg.grad(tg.tanh)(0.0), 1.0)


def test_M64_relu_is_exact_and_its_choice_at_0_is_written_down() -> None:
    z = np.array([-1e300, -2.5, -1e-300, 1e-300, 0.7, 1e300])
    for relu in (tg.relu, nn.ReLU(), lambda z: np.maximum(0, z), lambda z: np.where(z > 0, z, 0)):
        assert np.array_equal(relu(Tensor(z)).data, np.maximum(0, z))
        assert tg.elementwise_grad(relu)(z).tolist() == [0, 0, 0, 1, 1, 1]
    assert tg.grad(tg.relu)(0.0) == 0
    for choice in (0, 0.5, 1):
        assert tg.grad(lambda z, choice=choice: tg.relu(z, grad_at_zero=choice))(0.0) == choice
    assert "| `relu` at 0 | 0, or what `grad_at_zero=` says |" in page("conventions.md")


def test_M65_leaky_relu_is_exact() -> None:
    z = np.array([-300.0, -1.0, -1e-9, 1e-9, 1.0, 300.0])
    for leaky in (tg.leaky_relu, nn.LeakyReLU(), lambda z: np.maximum(0.01 * z, z)):
        assert np.array_equal(leaky(Tensor(z)).data, np.maximum(0.01 * z, z))
        assert tg.elementwise_grad(leaky)(z).tolist() == [0.01, 0.01, 0.01, 1, 1, 1]
    assert tg.grad(tg.leaky_relu)(0.0) == 0.01  # the choice at 0: the slope of the negative side


@pytest.mark.parametrize("depth", range(2, 11))
def test_M66_collapse_linear(depth: int, rng: np.random.Generator) -> None:
    sizes = rng.integers(2, 7, depth + 1).tolist()
    model = nn.Sequential(*[nn.Linear(a, b, bias=i != 1, rng=rng) for i, (a, b) in enumerate(pairwise(sizes))])
    one = nn.collapse_linear(model)
    assert [type(layer) for layer in one] == [nn.Linear]
    W, b = np.eye(sizes[0]), np.zeros(sizes[0])
    for layer in model:
        W, b = layer.weight.numpy() @ W, layer.weight.numpy() @ b + (0 if layer.bias is None else layer.bias.numpy())
    close(one[0].weight, W)
    close(one[0].bias, b)
    X = rng.normal(size=(6, sizes[0]))
    close(one(X), model(X))
    assert sum(p.size for p in model.parameters()) == sum(p.size for p in nn.Sequential(*model).parameters())


def test_collapse_linear_keeps_what_is_not_linear(rng: np.random.Generator) -> None:
    inner = nn.Sequential(nn.Linear(4, 5, rng=0), nn.Identity(), nn.Linear(5, 2, bias=False, rng=1))
    model = nn.Sequential(nn.Linear(3, 4, bias=False, rng=2), inner, np.tanh, nn.Linear(2, 2, rng=3), nn.Sequential())
    before = model.state_dict()
    short = nn.collapse_linear(model)
    assert [getattr(layer, "in_features", None) for layer in short] == [3, None, 2]
    X = rng.normal(size=(5, 3))
    close(short(X), model(X))
    short[0].weight.data += 1.0
    short[2].weight.data += 1.0
    assert all(np.array_equal(before[name], x) for name, x in model.state_dict().items())
    single = nn.Sequential(nn.Linear(2, 2, bias=False, dtype="float32", rng=0), nn.Linear(2, 1, dtype="float32", rng=0))
    assert nn.collapse_linear(single)[0].weight.dtype == np.float32 == nn.collapse_linear(single)[0].bias.dtype
    assert len(nn.collapse_linear(nn.Sequential())) == 0
    with pytest.raises(DTypeError, match="Give a Sequential"):
        nn.collapse_linear(nn.Linear(2, 2))
    with pytest.raises(ShapeError, match="gives 3 features, and Linear"):
        nn.collapse_linear(nn.Sequential(nn.Linear(2, 3), nn.Linear(4, 1)))


def test_M67_the_boundary_of_linear_layers_is_that_of_logistic_regression(rng: np.random.Generator) -> None:
    X, Y = data.moons(120, noise=0.2, rng=1)
    Y = np.asarray(Y, float).reshape(-1, 1)
    deep = nn.Sequential(nn.Linear(2, 6, rng=rng), nn.Linear(6, 1, rng=rng), nn.Sigmoid())
    costs = trained(deep, lambda f: tg.binary_cross_entropy(f(X), Y), 300, 0.05)
    regression = nn.collapse_linear(deep)
    assert [type(layer) for layer in regression] == [nn.Linear, nn.Sigmoid] and costs[-1] < costs[0]
    grid = np.stack(np.meshgrid(np.linspace(-2, 3, 80), np.linspace(-2, 2, 80)), axis=-1).reshape(-1, 2)
    close(deep(grid), regression(grid))
    w, b = regression[0].weight.data[0], regression[0].bias.data[0]
    assert np.array_equal(deep(grid).data[:, 0] > 0.5, grid @ w + b > 0)  # one side of a straight line
    assert 0.5 < np.mean((deep(X).data > 0.5) == Y) < 0.95  # which no two half moons are parted by


def test_M68_a_linear_output_for_regression(rng: np.random.Generator) -> None:
    """A linear output reaches values that no sigmoid has; δ of the output is a − y, and δ before it has g′."""
    x = np.linspace(-2, 2, 60).reshape(-1, 1)
    y = 10 * x**2 - 7 + 0.1 * rng.normal(size=x.shape)
    model = nn.Sequential(nn.Linear(1, 12, rng=rng), nn.Tanh(), nn.Linear(12, 1, rng=rng))
    costs = trained(model, lambda f: tg.mse(f(x), y) / 2, 1500, 0.05)
    assert costs[-1] < 0.01 * np.var(y) and model(x).data.max() > 25 and model(x).data.min() < -5
    squashed = nn.Sequential(*model, nn.Sigmoid())
    assert trained(squashed, lambda f: tg.mse(f(x), y) / 2, 300, 0.05)[-1] > 0.25 * np.var(y)
    z1 = model[0](x)
    a1 = np.tanh(z1)
    z2 = model[2](a1)
    (0.5 * np.sum((z2 - y) ** 2)).backward()
    close(z2.grad, z2.data - y)
    close(z1.grad, (z2.data - y) @ model[2].weight.data * (1 - a1.data**2))


@given(st.floats(-800, 800))
def test_M69_slopes_of_sigmoid_and_tanh_are_bounded(z: float) -> None:
    assert 0 <= tg.grad(tg.sigmoid)(z) <= 0.25
    assert 0 <= tg.grad(tg.tanh)(z) <= 1
    assert tg.grad(tg.relu)(z) in (0, 1) and tg.grad(tg.leaky_relu)(z) in (0.01, 1)


# ---------------------------------------------------------------- 12, 13. deep networks

def test_M99_what_is_chosen_and_what_is_learned() -> None:
    """α, iterations, layers, units, activation and batch size are given to the estimator; weights it finds."""
    pytest.importorskip("sklearn")
    from tinygrad_edu.estimators import MLPClassifier

    chosen = {"learning_rate_init": 0.02, "max_iter": 30, "hidden_layer_sizes": (5, 2), "activation": "tanh", "batch_size": 40}
    X, Y = data.moons(80, rng=0)
    with pytest.warns(match="Maximum iterations"):
        mlp = MLPClassifier(**chosen, tol=0, random_state=0).fit(X, Y)
    assert chosen.items() <= mlp.get_params().items()
    assert [W.shape for W in mlp.coefs_] == [(2, 5), (5, 2), (2, 1)] and not {"coefs_", "intercepts_"} & set(mlp.get_params())
    assert mlp.n_layers_ == 4 and mlp.n_iter_ == 30


def bits_of(n: int) -> np.ndarray:
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))


@pytest.mark.parametrize("n", [2, 4, 8])
def test_M100_parity_deep_and_side_by_side(n: int) -> None:
    """2(n − 1) ReLU units in a tree of exclusive ors; 2ⁿ⁻¹ where each recognises one pattern. Both right on all 2ⁿ inputs."""
    tree: list[Any] = []
    for pairs in (n >> k for k in range(1, n.bit_length())):
        tree += [_linear(np.kron(np.eye(pairs), [[1.0, 1.0], [1.0, 1.0]]), np.tile([0.0, -1.0], pairs)), nn.ReLU(),
                 _linear(np.kron(np.eye(pairs), [[1.0, -2.0]]), np.zeros(pairs))]
    X = bits_of(n)
    wanted = X.sum(axis=1) % 2
    odd = X[wanted == 1]
    wide = nn.Sequential(_linear(2 * odd - 1, 1 - odd.sum(axis=1)), nn.ReLU(), _linear(np.ones((1, len(odd))), np.zeros(1)))
    deep = nn.collapse_linear(nn.Sequential(*tree))
    units = {}
    for name, model in (("deep", deep), ("wide", wide)):
        assert np.array_equal(model(X).data[:, 0], wanted)
        units[name] = sum(layer.out_features for layer in model if isinstance(layer, nn.Linear)) - 1
        assert nn.summary(model, n).layers == {"deep": n.bit_length(), "wide": 2}[name]
    assert units == {"deep": 2 * (n - 1), "wide": 2 ** (n - 1)}
    cut = nn.Sequential(*wide)
    weight = cut[0].weight.numpy()
    weight[0] = 0  # a pattern that nobody recognises is answered wrongly
    cut[0].weight.data = weight
    assert not np.array_equal(cut(X).data[:, 0], wanted)


def _linear(W: np.ndarray, b: np.ndarray) -> nn.Linear:
    layer = nn.Linear(W.shape[1], W.shape[0], rng=0)
    layer.load_state_dict({"weight": W, "bias": b})
    return layer


def test_M100_why_depth_is_written_about() -> None:
    said = section("which_network.md", "Why deep?")
    for words in ("edges", "parts", "faces", "phonemes", "words", "sentences", "2 (n − 1)", "2ⁿ⁻¹"):
        assert words in said, words


def test_M101_brains_are_written_about() -> None:
    said = section("which_network.md", "Networks and brains")
    assert "inspiration" in said and "far more complex" in said and "backpropagation" in said


def test_M104_depth_is_written_about() -> None:
    said = page("learning.md")
    assert re.search(r"σ′\(z\) = σ\(z\)\(1 − σ\(z\)\) ≤ ¼", said)
    assert "fan-in" in said and "about ten layers" in said and "networks of a hundred and more" in said


# ---------------------------------------------------------------- 14. one neuron and more

def test_M110_one_neuron_fails_at_exclusive_or_and_a_hidden_layer_solves_it() -> None:
    X, Y = data.xor()  # the four corners
    Y = np.asarray(Y, float).reshape(-1, 1)

    def cost(f: Any) -> Any:
        return tg.binary_cross_entropy_with_logits(f(X), Y)

    for seed in range(5):
        neuron = nn.Sequential(nn.Linear(2, 1, rng=seed))
        costs = trained(neuron, cost, 400, 0.1)
        assert np.mean((neuron(X).data > 0) == Y) <= 0.75 and costs[-1] > np.log(2) - 1e-9  # no better than guessing
    layers = nn.Sequential(nn.Linear(2, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1))
    assert trained(layers, cost, 400, 0.1)[-1] < 0.01
    assert np.mean((layers(X).data > 0) == Y) == 1


def test_M112_the_lines_of_the_notes() -> None:
    pytest.importorskip("sklearn")
    import sklearn.neural_network as theirs

    from tinygrad_edu.estimators import MLPClassifier

    X, Y = data.blobs(200, centers=3, spread=0.8, rng=0)
    Y = np.asarray(Y)
    X_train, X_test, y_train, y_test = X[:150], X[150:], Y[:150], Y[150:]
    np.random.seed(1)  # random_state=None reads the global generator, as scikit-learn's does
    with pytest.warns(match="Maximum iterations"):
        mlp = MLPClassifier(hidden_layer_sizes=(5, 2), activation='logistic')
        mlp.fit(X_train,y_train)
        mlp.predict(X_test)
    assert mlp.predict(X_test).shape == y_test.shape and set(mlp.predict(X_test)) <= {0, 1, 2}
    learned = MLPClassifier(hidden_layer_sizes=(5, 2), activation="logistic", solver="lbfgs", random_state=0, max_iter=500)
    assert learned.fit(X_train, y_train).score(X_test, y_test) > 0.9
    for activation in ("identity", "logistic", "tanh", "relu"):
        with pytest.warns(match="Maximum iterations"):
            ours = MLPClassifier((5, 2), activation=activation, random_state=0, max_iter=2).fit(X_train, y_train)
        with pytest.warns(match="Maximum iterations"):
            other = theirs.MLPClassifier((5, 2), activation=activation, random_state=9, max_iter=1).fit(X_train, y_train)
        other.coefs_, other.intercepts_ = ours.coefs_, ours.intercepts_  # copied
        close(ours.predict_proba(X_test), other.predict_proba(X_test), 1e-10)
        A = X_test  # and by hand, in rows
        g = {"identity": lambda z: z, "logistic": lambda z: 1 / (1 + np.exp(-z)), "tanh": np.tanh,
             "relu": lambda z: np.maximum(z, 0)}
        for i, (W, b) in enumerate(zip(ours.coefs_, ours.intercepts_, strict=True)):
            A = g[activation](A @ W + b) if i < 2 else A @ W + b
        close(ours.predict_proba(X_test), np.exp(A) / np.exp(A).sum(axis=1, keepdims=True), 1e-10)


@pytest.mark.parametrize("n", [1, 5])
def test_M113_a_row_for_each_example(n: int, rng: np.random.Generator) -> None:
    """x (n, 3), W1 (3, 4), W2 (4, 4), W3 (4, 3): rows and columns are transposes of one another, gradients too."""
    x, Y = rng.normal(size=(n, 3)), np.eye(3)[rng.integers(0, 3, n)]
    values = [rng.normal(size=shape) for shape in ((3, 4), (4, 4), (4, 3))]
    W, V = [Tensor(w) for w in values], [Tensor(w.T) for w in values]
    z1 = x @ W[0]
    z2 = tg.sigmoid(z1) @ W[1]
    z3 = tg.sigmoid(z2) @ W[2]
    y_hat = tg.softmax(z3, axis=1)
    c1 = V[0] @ x.T
    c2 = V[1] @ tg.sigmoid(c1)
    c3 = V[2] @ tg.sigmoid(c2)
    columns = tg.softmax(c3, axis=0)
    assert (z1.shape, z2.shape, z3.shape, y_hat.shape) == ((n, 4), (n, 4), (n, 3), (n, 3))
    (-np.sum(Y * np.log(y_hat)) / n).backward()
    (-np.sum(Y.T * np.log(columns)) / n).backward()
    for row, column in zip((*W, z1, z2, z3, y_hat), (*V, c1, c2, c3, columns), strict=True):
        close(row, column.data.T)
        assert row.grad.shape == row.shape
        close(row.grad, column.grad.T)
    close(y_hat.data.sum(axis=1), np.ones(n))


# ---------------------------------------------------------------- 15. gradient descent

def half_squares(beta: Any, x: Any, y: Any) -> Any:
    return 0.5 * np.sum(((beta[0] + beta[1] * x) - y) ** 2)


def test_M117_mini_batches_of_all_and_of_one_exactly(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=9), rng.normal(size=9)

    def path(n: int, seed: int | None) -> list[Any]:
        beta, found = Tensor(np.zeros(2)), []
        optimizer = optim.SGD([beta], lr=0.01)
        batches = data.batches(x, y, n, rng=seed)
        for _ in range(3):
            for part, target in batches:
                optimizer.zero_grad()
                half_squares(beta, part, target).backward()
                optimizer.step()
                found.append(beta.numpy())
        return found

    slope = tg.grad(half_squares)
    beta, by_batch = np.zeros(2), []
    for _ in range(3):  # batch gradient descent: all examples in every step
        beta = beta - 0.01 * slope(beta, x, y)
        by_batch.append(beta)
    assert np.array_equal(path(9, None), by_batch)
    orders = data.batches(x, y, 1, rng=4)
    beta, one_by_one = np.zeros(2), []
    for _ in range(3):  # stochastic: one example, r = (β₀ + β₁ x) − y, in the same random order
        for (a,), (b,) in orders:
            r = (beta[0] + beta[1] * a) - b
            beta = beta - 0.01 * np.array([r, r * a])
            one_by_one.append(beta)
    assert np.array_equal(path(1, 4), one_by_one)
    assert len(path(4, 4)) == 3 * 3  # ⌈9/4⌉ updates in each of three epochs


def test_M121_a_path_from_a_random_point_over_the_contours(rng: np.random.Generator) -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    x, y = np.array([0.0, 0.5, 1.0, 1.5]), np.array([1.0, 2.0, 3.0, 4.0])
    omega = Tensor(rng.uniform(-3, 3, 2))
    optimizer, path = optim.SGD([omega], lr=0.2), [omega.numpy()]
    for _ in range(300):
        optimizer.zero_grad()
        half_squares(omega, x, y).backward()
        optimizer.step()
        path.append(omega.numpy())
    close(path[-1], np.array([1.0, 2.0]), 1e-6)
    ax = tg.plots.contour(lambda w: half_squares(w, x, y), np.array(path), resolution=25, ax=figure.subplots())
    assert [(t.get_text(), tuple(t.xy)) for t in ax.texts] == [(f"ω{'₀₁₂'[i]}", tuple(path[i])) for i in range(3)]
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), path)


# ---------------------------------------------------------------- 17. kinds of networks

def test_M128_tables() -> None:
    """Classes by a softmax output, numbers by a linear one, on real tables."""
    pytest.importorskip("sklearn")
    from tinygrad_edu.estimators import MLPClassifier, MLPRegressor

    wine, diabetes = data.wine(), data.diabetes()
    (X, Y), (X_test, Y_test) = data.split(wine.X, wine.Y, (0.7, 0.3), rng=0)
    middle, spread = X.mean(axis=0), X.std(axis=0)
    classifier = MLPClassifier(hidden_layer_sizes=(10,), solver="lbfgs", alpha=0.1, random_state=0)
    classifier.fit((X - middle) / spread, Y)
    assert classifier.score((X_test - middle) / spread, Y_test) > 0.9 > 0.5 > np.bincount(Y_test).max() / len(Y_test)
    (X, Y), (X_test, Y_test) = data.split(diabetes.X, diabetes.Y, (0.7, 0.3), rng=0)
    regressor = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", alpha=10.0, max_iter=2000, random_state=0)
    predicted = regressor.fit(X * 20, Y).predict(X_test * 20)
    assert 1 - np.sum((Y_test - predicted) ** 2) / np.sum((Y_test - Y_test.mean()) ** 2) > 0.35
    assert regressor.out_activation_ == "identity" and classifier.out_activation_ == "softmax"


def test_M129_filters_for_edges_are_learned_and_drawn() -> None:
    """Shown where the edges of random rectangles are, a layer finds Sobel's two filters; they are drawn."""
    figure = pytest.importorskip("matplotlib.figure").Figure()
    rng = np.random.default_rng(0)
    images = np.zeros((30, 1, 10, 10))
    for image in images[:, 0]:
        i, j = rng.integers(0, 5, 2)
        image[i : i + rng.integers(2, 6), j : j + rng.integers(2, 6)] = rng.uniform(0.5, 1)
    across = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    sobel = np.stack([across, across.T])[:, None]
    edges = np.stack([sum(sobel[f, 0, p, q] * images[:, 0, p : p + 8, q : q + 8] for p in range(3) for q in range(3))
                      for f in range(2)], axis=1)
    close(tg.conv2d(images, sobel), edges)
    layer = nn.Conv2d(1, 2, 3, rng=0)
    trained(layer, lambda f: tg.mse(f(images), edges), 800, 0.05)
    np.testing.assert_allclose(layer.weight.data, sobel, atol=0.02)
    ax = tg.plots.filters(layer, labels=["standing", "lying"], ax=figure.subplots())
    np.testing.assert_allclose([image.get_array() for image in ax.images], layer.weight.data[:, 0])


def test_M130_an_unrolled_network_and_what_goes_back_through_it() -> None:
    """The picture of three places has one W with three arrows; its gradient is the sum over the copies; δ by place."""
    def unrolled(copies: list[Any], x: np.ndarray) -> tuple[Any, list[Any]]:
        h, states = np.zeros((2, 1)), []
        for t, W in enumerate(copies):
            h = np.tanh(W @ h + x[t])
            states.append(h)
        return np.sum(h**2), states

    x = np.random.default_rng(0).normal(size=(60, 2, 1))
    start = np.array([[0.5, -0.3], [0.2, 0.4]])
    W = Tensor(start, name="W")
    J, _ = unrolled([W] * 3, x)
    dot = tg.draw(J).dot
    (node,) = re.findall(r"^\s*(\w+) \[label=.*<B>W</B>", dot, re.MULTILINE)
    forward = [line for line in dot.splitlines() if re.match(rf"\s*{node} -> \w+", line) and "dir=back" not in line]
    assert len(forward) == 3
    J.backward()
    copies = [Tensor(start) for _ in range(3)]
    unrolled(copies, x)[0].backward()
    close(W.grad, sum(copy.grad for copy in copies))

    sizes = {}
    for scale in (0.5, 1.0, 1.6):  # W = scale · a rotation stretches every direction alike
        turn = scale * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
        J, states = unrolled([Tensor(turn)] * 60, 1e-20 * x)  # so small that tanh is the line through 0
        J.backward()
        delta = np.array([np.linalg.norm(h.grad) for h in states])
        sizes[scale] = delta[0] / delta[-1]
        np.testing.assert_allclose(delta[:-1] / delta[1:], scale, rtol=1e-6)
    assert sizes[0.5] < 1e-17 and sizes[1.0] == pytest.approx(1, rel=1e-6) and sizes[1.6] > 1e11  # vanishing, exploding


def test_M131_a_linear_autoencoder_reaches_principal_components(rng: np.random.Generator) -> None:
    X = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 8)) + 0.3 * rng.normal(size=(200, 8))
    X -= X.mean(axis=0)
    _, lengths, directions = np.linalg.svd(X, full_matrices=False)
    best = np.sum(lengths[2:] ** 2) / X.size  # what two principal components leave
    model = nn.Sequential(nn.Linear(8, 2, bias=False, rng=1), nn.Linear(2, 8, bias=False, rng=2))
    costs = trained(model, lambda f: tg.mse(f(X), X), 800, 0.02)
    assert costs[0] > 2 * best and best * (1 - 1e-12) <= costs[-1] < 1.01 * best
    decoder, components = np.linalg.qr(model[1].weight.data)[0], directions[:2].T
    np.testing.assert_allclose(decoder @ decoder.T, components @ components.T, atol=0.02)  # the same plane


def test_M132_a_generator_learns_a_normal_distribution() -> None:
    """N(3, ½): two passes backwards through one discriminator, the first stopped by detach before the generator."""
    rng, m = np.random.default_rng(0), 64
    judge = nn.Sequential(nn.Linear(1, 16, rng=rng), nn.Tanh(), nn.Linear(16, 1, rng=rng))
    make = nn.Linear(1, 1, rng=rng)
    judges_step, makers_step = optim.Adam(judge, lr=0.02, betas=(0.5, 0.99)), optim.Adam(make, lr=0.02, betas=(0.5, 0.99))
    real, made, course = np.ones((m, 1)), np.zeros((m, 1)), []
    for update in range(600):
        fake = make(rng.normal(size=(m, 1)))
        judges_step.zero_grad()
        makers_step.zero_grad()
        (tg.binary_cross_entropy_with_logits(judge(3 + 0.5 * rng.normal(size=(m, 1))), real)
         + tg.binary_cross_entropy_with_logits(judge(fake.detach()), made)).backward()
        if update == 0:
            assert all(p.grad is None or not np.any(p.grad) for p in make.parameters())
            assert all(np.any(p.grad) for p in judge.parameters())
        judges_step.step()
        tg.binary_cross_entropy_with_logits(judge(fake), real).backward()
        assert all(np.any(p.grad) for p in make.parameters())
        makers_step.step()
        course.append((make.bias.data[0], abs(make.weight.data[0, 0])))
    mean, deviation = np.mean(course[-200:], axis=0)
    assert mean == pytest.approx(3, abs=0.1) and deviation == pytest.approx(0.5, abs=0.1)


def test_M133_layers_trained_one_by_one() -> None:
    """Greedy training of autoencoders leaves the stack near its goal before it has ever been trained as a whole."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-1, 1, size=(150, 1))
    X = np.hstack([t, t**2, np.sin(3 * t), np.cos(3 * t), np.exp(t), t**3])
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    encoders: list[nn.Module] = []
    decoders: list[nn.Module] = []
    H = X
    for wide, narrow in ((6, 4), (4, 2)):
        encoder = nn.Sequential(nn.Linear(wide, narrow, rng=rng), nn.Tanh())
        decoder = nn.Linear(narrow, wide, rng=rng)
        trained(nn.Sequential(encoder, decoder), lambda f, H=H: tg.mse(f(H), H), 200, 0.02)
        encoders, decoders, H = [*encoders, encoder], [decoder, *decoders], encoder(H).numpy()
    stacked = nn.Sequential(*encoders, *decoders)
    fresh = nn.Sequential(*encoders, *decoders).reset_parameters
    first = tg.mse(stacked(X), X).item()
    tuned = trained(stacked, lambda f: tg.mse(f(X), X), 60, 0.02)
    fresh(rng=1)  # the same layers, from random weights
    random = trained(stacked, lambda f: tg.mse(f(X), X), 60, 0.02)
    assert tuned[0] == pytest.approx(first) and first < 0.3 * random[0] and tuned[-1] < 0.5 * random[-1]
    said = section("which_network.md", "Layer by layer")
    assert "restricted Boltzmann machines" in said and "has no derivative: that is outside autodiff" in said


def test_M134_the_glossary_and_a_policy() -> None:
    said = section("which_network.md", "Glossary")
    assert "**Recursive network.**" in said and "**Reinforcement learning.**" in said and "−log π(a) · R" in said
    z, a, R = np.array([0.3, -1.0, 0.5]), 2, 1.7
    pi = np.exp(z) / np.exp(z).sum()
    close(tg.grad(lambda z: -np.log(tg.softmax(z)[a]) * R)(z), (pi - np.eye(3)[a]) * R)
    rng, wins = np.random.default_rng(0), np.array([0.2, 0.5, 0.8])
    policy, mean = Tensor(np.zeros(3)), 0.5
    for _ in range(800):
        pi = tg.softmax(policy)
        arm = rng.choice(3, p=pi.data)
        R = float(rng.random() < wins[arm])
        policy.zero_grad()
        (-np.log(pi[arm]) * (R - mean)).backward()
        policy.data -= 0.2 * policy.grad
        mean += 0.05 * (R - mean)
    assert tg.softmax(policy.data)[2] > 0.8


def test_M134_a_recursive_network_shares_its_weights_over_a_tree(rng: np.random.Generator) -> None:
    leaves = {word: rng.normal(size=2) for word in "abcd"}

    def vector(tree: Any, weights: Any) -> Any:
        if isinstance(tree, str):
            return leaves[tree]
        left, right = (vector(part, weights) for part in tree)
        return np.tanh(next(weights) @ np.concatenate([left, right]))

    tree, start = ((("a", "b"), "c"), "d"), rng.normal(size=(2, 4))
    shared, copies = Tensor(start), [Tensor(start) for _ in range(3)]
    vector(tree, itertools.repeat(shared)).sum().backward()
    vector(tree, iter(copies)).sum().backward()
    close(shared.grad, sum(copy.grad for copy in copies))


def test_M135_the_table_of_methods_and_their_uses() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", (ROOT / "docs/which_network.md").read_text(encoding="utf-8"),
                      re.MULTILINE)
    assert rows[0][:2] == ("method", "used for")
    methods = [method for method, used_for, here in rows[1:] if len(used_for) > 10 and len(here) > 5]
    for kind in ("logistic regression", "feed-forward", "convolutional", "recurrent", "LSTM", "autoencoder", "adversarial",
                 "deep belief", "recursive", "reinforcement"):
        assert any(kind in method for method in methods), kind
    for name in {name for _, _, here in rows for name in re.findall(r"`nn\.(\w+)", here)}:
        assert hasattr(nn, name), name
    assert "(docs/which_network.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_M136_coefficients_explain_logistic_regression_and_no_network() -> None:
    said = section("which_network.md", "Logistic regression or a network?")
    assert "only when a more complex model is needed" in said and "explaining" in said
    assert "inspiration" in section("which_network.md", "Networks and brains")
    pytest.importorskip("sklearn")
    from tinygrad_edu.estimators import LogisticRegression, MLPClassifier

    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 3))
    odds = np.exp(X @ [2.0, -1.0, 0.0] + 0.5)
    Y = (rng.uniform(size=3000) < odds / (1 + odds)).astype(int)
    regression = LogisticRegression(C=np.inf).fit(X, Y)
    np.testing.assert_allclose(regression.coef_, [[2.0, -1.0, 0.0]], atol=0.2)  # what each variable does to the log odds
    network = MLPClassifier((4,), solver="lbfgs", max_iter=300, alpha=1.0, random_state=0).fit(X, Y)
    assert not hasattr(network, "coef_") and [W.shape for W in network.coefs_] == [(3, 4), (4, 1)]
    assert network.score(X, Y) < regression.score(X, Y) + 0.02  # and it is needed only where it is better
