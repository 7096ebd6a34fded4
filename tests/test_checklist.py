"""The rows of the checklist of what lecture notes do by hand, by number: every formula, from primitives alone.

The tolerances are the rows' own: `exact` is ==, `close` is rtol = atol = 1e-12 in float64.
"""


from __future__ import annotations

import importlib
import re
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.errors import ShapeError, ShapeWarning
from tinygrad_edu.show.names import nodes_of

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"

sigmoid = tg.sigmoid


def example(number: int) -> ModuleType:
    """The example of that number as a module."""
    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))
    (file,) = EXAMPLES.glob(f"{number:02d}_*.py")
    return importlib.import_module(file.stem)


def close(left: Any, right: Any, tolerance: float = 1e-12) -> None:
    left, right = np.asarray(getattr(left, "data", left)), np.asarray(getattr(right, "data", right))
    assert left.shape == right.shape
    np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance)


def cross_entropy(A: Any, Y: Any) -> Any:
    """The losses, entry by entry, as the notes write them."""
    return -(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def words(text: Any) -> str:
    """The text with every gap made one blank."""
    return " ".join(str(text).split())


def node_labels(picture: Any, directory: Path) -> dict[str, str]:
    """The text of every node that has a name, by that name: {"u": "u = b · c 6 du = 3"}."""
    picture.save(directory / "graph.dot")
    labels = {}
    for line in (directory / "graph.dot").read_text(encoding="utf-8").splitlines():
        if re.match(r"\s*\w+ \[label=", line):
            text = " ".join(re.sub(r"<[^>]*>", " ", line.partition("[label=<")[2].rpartition("</TABLE>>")[0]).split())
            name = re.search(r"<B>([^<]*)</B>", line)
            if name:
                labels[name[1]] = text
    return labels


# ---------------------------------------------------------------- 1. the computation graph


def test_M1_forward(tmp_path: Path) -> None:
    a, b, c = Tensor(5), Tensor(3), Tensor(2)
    u = b * c
    v = a + u
    J = 3 * v
    assert (u.item(), v.item(), J.item()) == (6, 11, 33)
    J.backward()
    labels = node_labels(tg.draw(J), tmp_path)
    assert set(labels) == {"a", "b", "c", "u", "v", "J"}
    operations = {name for name, text in labels.items() if text.startswith(f"{name} =")}
    assert operations == {"u", "v", "J"}


def test_M2_backward() -> None:
    a, b, c = Tensor(5), Tensor(3), Tensor(2)
    u = b * c
    v = a + u
    J = 3 * v
    J.backward()
    assert (v.grad, a.grad, u.grad, b.grad, c.grad) == (3, 3, 3, 6, 9)


def test_M3_chain_rule_written_out() -> None:
    a, b, c = Tensor(5), Tensor(3), Tensor(2)
    u = b * c
    v = a + u
    J = 3 * v
    told = tg.explain(J, b)
    assert words("dJ/db = dJ/dv · dv/du · du/db = 3 · 1 · 2 = 6") in words(told)
    assert words("dJ/da = dJ/dv · dv/da = 3 · 1 = 3") in words(tg.explain(J))
    product = r"\frac{dJ}{db} = \frac{dJ}{dv} \cdot \frac{dv}{du} \cdot \frac{du}{db} = 3 \cdot 1 \cdot 2 = 6"
    assert product in told.latex()


def test_M3_latex_compiles() -> None:
    mathtext = pytest.importorskip("matplotlib.mathtext")
    a, b, c = Tensor(5), Tensor(3), Tensor(2)
    u = b * c
    v = a + u
    J = 3 * v
    latex = tg.explain(J, b).latex()
    assert latex.count(r"\begin{align*}") == latex.count(r"\end{align*}") > 0
    rows = [row for row in re.split(r"\\\\|\\(?:begin|end)\{align\*\}", latex) if row.strip()]
    assert len(rows) == 6 + 3 + 4  # steps forward, local derivatives, derivatives
    for row in rows:
        left, right = row.split("&")
        mathtext.MathTextParser("path").parse(f"${left.strip()} {right.strip()}$")


def test_M4_nudging() -> None:
    def J(a: Any, b: Any, c: Any) -> Any:
        return 3 * (a + b * c)

    gradient = tg.grad(J, argnums=(0, 1, 2))(5, 3, 2)
    for i, expected in enumerate((33.003, 33.006, 33.009)):
        at = [5.0, 3.0, 2.0]
        at[i] += 0.001
        assert J(*at) == pytest.approx(expected, abs=1e-12)
        assert abs((J(*at) - 33) / 0.001 - gradient[i]) < 1e-9
    assert (3 * Tensor(11.001)).item() == pytest.approx(33.003, abs=1e-12)  # v, and then the quotient for it too
    assert set(example(1).nudged(5, 3, 2)) == {"a", "b", "c", "v"}
    for name, (value, ratio) in example(1).nudged(5, 3, 2).items():
        assert abs(ratio - example(1).by_autodiff(5, 3, 2)["d" + name]) < 1e-9, (name, value)


def test_M5_one_backward_pass() -> None:
    expected = {"dv": 3, "du": 3, "da": 3, "db": 6, "dc": 9}  # dvar: d(final output)/d(var)
    assert example(1).by_hand(5, 3, 2) == example(1).by_autodiff(5, 3, 2) == expected
    a, b, c = (Tensor(value, name=name) for value, name in ((5, "a"), (3, "b"), (2, "c")))
    J = 3 * (a + b * c)
    told = words(tg.explain(J))
    assert words("dJ/dJ = 1") in told
    for name in ("da", "db", "dc"):
        assert re.search(rf"(^| ){name} = .* = {expected[name]}( |$)", told), name


def test_M6_slopes() -> None:
    def slope(f: Any, at: float) -> Any:
        return tg.grad(f)(at)

    close([slope(lambda a: 3 * a, at) for at in (2.0, 5.0)], [3.0, 3.0])
    close([slope(lambda a: a**2, at) for at in (2.0, 5.0)], [4.0, 10.0])
    close(slope(lambda a: a**3, 2.0), 12.0)
    close(slope(np.log, 2.0), 0.5)
    assert example(1).slopes()


def test_M7_a_variable_used_twice() -> None:
    a = Tensor(3.0)
    b = a + a
    c = b + b
    for expected in (4, 8, 12):
        c.backward()
        assert a.grad == expected


# ---------------------------------------------------------------- 2. logistic regression, one example


def test_M8_logistic_unit(rng: np.random.Generator) -> None:
    w, b = Tensor(rng.standard_normal((4, 1))), Tensor(0.3)
    assert (w.T @ rng.standard_normal((4, 1)) + b).shape == (1, 1)
    A = sigmoid(w.T @ (100 * rng.standard_normal((4, 50))) + b)
    assert A.shape == (1, 50)
    assert np.all((A.data >= 0) & (A.data <= 1))


def test_M9_sigmoid_at_its_ends() -> None:
    z = Tensor([1000.0, -1000.0, 0.0])
    a = sigmoid(z)  # warnings are errors here
    assert a.data.tolist() == [1.0, 0.0, 0.5]
    a.sum().backward()
    assert z.grad.tolist() == [0.0, 0.0, 0.25]


def test_M10_derivative_of_sigmoid() -> None:
    z = np.linspace(-30, 30, 601)
    s = 1 / (1 + np.exp(-z))
    close(tg.elementwise_grad(lambda z: 1 / (1 + np.exp(-z)))(z), s * (1 - s))
    close(tg.elementwise_grad(sigmoid)(z), s * (1 - s))


def test_M11_saturation() -> None:
    g, slope = sigmoid, tg.grad(sigmoid)
    assert g(10.0) == pytest.approx(1, abs=1e-4) and g(-10.0) == pytest.approx(0, abs=1e-4)
    assert slope(10.0) == pytest.approx(4.53958077e-05, rel=1e-9)
    assert slope(-10.0) == pytest.approx(4.53958077e-05, rel=1e-9)
    assert slope(0.0) == 0.25


def test_M12_squared_error_is_not_convex() -> None:
    a, y = Tensor(0.8), 0.0
    (0.5 * (a - y) ** 2).backward()
    close(a.grad, 0.8 - y)
    z = Tensor(1.3)
    a = sigmoid(z)
    (0.5 * (a - 1.0) ** 2).backward()
    close(z.grad, (a.data - 1.0) * a.data * (1 - a.data))
    w = np.linspace(-6, 6, 121)
    x, label = np.array([[1.0, -0.5, 2.0]]), np.array([[0.0, 1.0, 1.0]])
    A = 1 / (1 + np.exp(-w.reshape(-1, 1) * x))
    squared, entropy = (0.5 * (A - label) ** 2).sum(axis=1), cross_entropy(A, label).sum(axis=1)
    assert np.diff(squared, 2).min() < -1e-6  # J(w) bends downwards somewhere: not a bowl
    assert np.diff(entropy, 2).min() > 0
    # and so say the second derivatives
    curve = tg.hessian(lambda w: (0.5 * (sigmoid(w * x) - label) ** 2).sum())
    bowl = tg.hessian(lambda w: tg.binary_cross_entropy_with_logits(w * x, label))
    assert min(curve(v) for v in w) < 0 < min(bowl(v) for v in w)


@given(st.floats(1e-9, 1 - 1e-9), st.sampled_from([0.0, 1.0]))
def test_M13_loss_is_never_negative(a: float, y: float) -> None:
    loss = cross_entropy(Tensor(a), y)
    assert loss.item() >= 0
    close(loss, -np.log(a) if y else -np.log(1 - a))
    close(tg.binary_cross_entropy(Tensor(a), y), loss)


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_M14_da(y: float) -> None:
    for value in (0.01, 0.3, 0.5, 0.9, 0.999):
        a = Tensor(value)
        cross_entropy(a, y).backward()
        close(a.grad, -y / value + (1 - y) / (1 - value))
        close(a.grad, (value - y) / (value * (1 - value)))


def test_M15_da_by_dz() -> None:
    z = np.linspace(-5, 5, 21)
    a = 1 / (1 + np.exp(-z))
    close(tg.elementwise_grad(sigmoid)(z), a * (1 - a))


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_M16_dz(y: float) -> None:
    for value in (-6.0, -0.5, 0.0, 2.0, 6.0):
        z = Tensor(value)
        a = sigmoid(z)
        cross_entropy(a, y).backward()
        close(z.grad, a.data - y)
    for value in (-40.0, 40.0):  # here σ(z) rounds to 1, and a − y to 0, but the fused loss keeps what is left
        z = Tensor(value)
        loss = tg.binary_cross_entropy_with_logits(z, y)
        loss.backward()
        small = np.exp(-40.0)  # σ(−40) = e⁻⁴⁰ to 17 digits
        right = (value > 0) == (y == 1)  # the prediction
        assert z.grad == pytest.approx((1 if value > 0 else -1) * (-small if right else 1.0), rel=1e-12)
        assert loss.item() == pytest.approx(small if right else 40.0, rel=1e-12)


def test_M17_dw_db() -> None:
    x1, x2, y = 1.5, -2.0, 1.0
    w1, w2, b = Tensor(0.4), Tensor(-0.3), Tensor(0.1)
    z = w1 * x1 + w2 * x2 + b
    a = sigmoid(z)
    cross_entropy(a, y).backward()
    dz = a.data - y
    close([w1.grad, w2.grad, b.grad], [x1 * dz, x2 * dz, dz])


def test_M18_one_step() -> None:
    w, alpha = Tensor(1.0), 0.25
    ((w - 3) ** 2).backward()  # dJ/dw = 2 (w − 3) = −4
    assert (w - alpha * w.grad).item() == 1.0 - 0.25 * -4.0 == 2.0
    w, b, x, y = Tensor([0.4, -0.3]), Tensor(0.1), np.array([1.5, -2.0]), 1.0
    cross_entropy(sigmoid(w @ x + b), y).backward()
    hand = w.numpy() - 0.01 * w.grad, b.numpy() - 0.01 * b.grad
    step = w - 0.01 * w.grad, b - 0.01 * b.grad
    assert np.array_equal(step[0].data, hand[0]) and step[1].item() == hand[1]
    w.data -= 0.01 * w.grad
    b.data -= 0.01 * b.grad
    assert np.array_equal(w.data, hand[0]) and b.item() == hand[1]


def test_M19_chain_picture(tmp_path: Path) -> None:
    x, w, b, y = Tensor(1.5), Tensor(0.4), Tensor(0.1), 1.0
    z = w * x + b
    a = sigmoid(z)
    L = cross_entropy(a, y)
    L.backward()
    labels = node_labels(tg.draw(L), tmp_path)
    for name in ("x", "w", "b", "z", "a"):
        assert f"d{name} = " in labels[name]
    assert "dL/dL = 1" in labels["L"]


# ---------------------------------------------------------------- 3. m examples, loops and vectorisation


@pytest.fixture
def data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """X (5, 8), Y (1, 8), w (5, 1), b."""
    X = rng.standard_normal((5, 8))
    Y = (rng.uniform(size=(1, 8)) > 0.5).astype(float)
    return X, Y, rng.standard_normal((5, 1)), 0.2


def test_M20_mean_of_gradients(data: Any) -> None:
    X, Y, w, b = data

    def J(w: Any, b: Any, X: Any, Y: Any) -> Any:
        return np.mean(cross_entropy(sigmoid(np.dot(w.T, X) + b), Y))

    each = [tg.grad(J, argnums=(0, 1))(w, b, X[:, i : i + 1], Y[:, i : i + 1]) for i in range(8)]
    dw, db = tg.grad(J, argnums=(0, 1))(w, b, X, Y)
    close(np.mean([one[0] for one in each], axis=0), dw)
    close(np.mean([one[1] for one in each]), db)


def test_M21_loop(data: Any) -> None:
    X, Y, w, b = data
    m = X.shape[1]
    J, dw, db = 0.0, np.zeros(5), 0.0
    for i in range(m):
        z = b
        for k in range(5):
            z += w[k, 0] * X[k, i]
        a = 1 / (1 + np.exp(-z))
        J += -(Y[0, i] * np.log(a) + (1 - Y[0, i]) * np.log(1 - a))
        dz = a - Y[0, i]
        for k in range(5):
            dw[k] += X[k, i] * dz
        db += dz
    J, dw, db = J / m, dw / m, db / m
    for by in (example(2).autodiff, example(2).loop):
        found = by(w, b, X, Y)
        close(found[0], J)
        close(found[1][:, 0], dw)
        close(found[2], db)


def test_M22_vectorised(data: Any) -> None:
    X, Y, w, b = data
    m = X.shape[1]
    w, b = Tensor(w), Tensor(b)
    Z = w.T @ X + b
    A = sigmoid(Z)
    losses = cross_entropy(A, Y)
    losses.mean().backward()
    dZ = A.data - Y
    close(w.grad, 1 / m * X @ dZ.T)
    close(b.grad, 1 / m * np.sum(dZ))
    losses.backward(np.ones((1, m)))
    close(Z.grad, dZ)


def test_M23_where_the_1_over_m_goes(data: Any) -> None:
    X, Y, w, b = data
    Z = Tensor(w).T @ X + b
    A = sigmoid(Z)
    cross_entropy(A, Y).mean().backward()
    close(X.shape[1] * Z.grad, A.data - Y)


def test_M24_loop_or_dot(capsys: pytest.CaptureFixture[str]) -> None:
    z, z_dot, slow, fast = example(2).time_loop_and_dot()
    close(z, z_dot)
    assert slow > 0 and fast > 0
    example(2).main(["--iterations", "2"])
    assert re.search(r"loop .* ms, np\.dot .* ms", capsys.readouterr().out)


def test_M25_shapes_of_data(data: Any) -> None:
    X, Y, w, _ = data
    assert X.shape == (5, 8) and Y.shape == (1, 8)
    for b in (Tensor(0.5), Tensor([[0.5]])):
        Z = Tensor(w).T @ X + b
        assert Z.shape == (1, 8)
        close(Z, np.stack([w[:, 0] @ X[:, i] + 0.5 for i in range(8)]).reshape(1, 8))
        Z.sum().backward()
        assert b.grad.shape == b.shape and b.grad == 8


def test_M26_np_dot_verbatim(data: Any) -> None:
    X, _, w0, b0 = data
    w, b = Tensor(w0), Tensor(b0)
    Z = np.dot(w.T, X) + b
    assert type(Z) is Tensor
    close(Z, np.dot(w0.T, X) + b0)
    Z.sum().backward()
    close(w.grad, X.sum(axis=1, keepdims=True))
    close(b.grad, 8.0)


def test_M27_cost_verbatim(data: Any) -> None:
    X, Y, w0, b0 = data
    m = X.shape[1]

    def run(w: Any, b: Any) -> Any:
        A = sigmoid(np.dot(w.T,X)+b)
        cost = (-1/m)*np.sum(Y*np.log(A)+(1-Y)*(np.log(1-A)))
        return cost

    w, b = Tensor(w0), Tensor(b0)
    cost = run(w, b)
    assert type(cost) is Tensor and isinstance(run(w0, b0), np.floating)
    close(cost, run(w0, b0))
    cost.backward()
    assert w.grad.shape == w.shape and b.grad.shape == ()


def test_M28_gradients_verbatim(data: Any) -> None:
    X, Y, w, b = data
    m = X.shape[1]
    w, b = Tensor(w), Tensor(b)
    A = sigmoid(np.dot(w.T, X) + b)
    ((-1/m)*np.sum(Y*np.log(A)+(1-Y)*(np.log(1-A)))).backward()
    dw = (1/m)*np.dot(X,(A-Y).T)
    db = (1/m)*np.sum(A-Y)
    close(w.grad, dw)
    close(b.grad, db)


def test_M29_a_hundred_iterations(data: Any) -> None:
    X, Y, w0, b0 = data
    m, learning_rate = X.shape[1], 0.1

    def cost(w: Any, b: Any) -> Any:
        A = sigmoid(np.dot(w.T, X) + b)
        return (-1/m)*np.sum(Y*np.log(A)+(1-Y)*(np.log(1-A)))

    w_hand, b_hand = w0, b0
    for _ in range(100):
        A = 1 / (1 + np.exp(-(np.dot(w_hand.T, X) + b_hand)))
        w_hand = w_hand - learning_rate * (1 / m * np.dot(X, (A - Y).T))
        b_hand = b_hand - learning_rate * (1 / m * np.sum(A - Y))

    w, b = w0, b0
    for _ in range(100):  # arrays in, arrays out
        dw, db = tg.grad(cost, argnums=(0, 1))(w, b)
        w = w - learning_rate*dw
        b = b - learning_rate*db
    assert type(w) is np.ndarray
    close(w, w_hand)
    close(b, b_hand)

    w, b, sizes = Tensor(w0), Tensor(b0), set()
    for _ in range(100):  # Tensors that stay
        J = cost(w, b)
        J.backward()
        sizes.add(len(nodes_of(J)))
        w.data -= learning_rate * w.grad
        b.data -= learning_rate * b.grad
        w.zero_grad()
        b.zero_grad()
    assert len(sizes) == 1 and w.op is None  # the history does not grow
    close(w, w_hand)
    close(b, b_hand)


def test_M30_predict() -> None:
    w, X = np.array([[1.0]]), np.array([[-2.0, 0.0, 1e-9, 3.0]])  # A = 0.119, 0.5, just above, 0.953
    prediction = example(2).predict(w, 0.0, X)
    assert prediction.tolist() == [[0, 0, 1, 1]]
    A = sigmoid(Tensor(w).T @ X)
    assert A.data[0, 1] == 0.5
    assert np.where(A > 0.5, 1, 0).tolist() == [[0, 0, 1, 1]]


def test_M31_first_cost_is_ln_2(rng: np.random.Generator) -> None:
    for dim, m in ((1, 1), (5, 8), (300, 40)):
        X, Y = 10 * rng.standard_normal((dim, m)), (rng.uniform(size=(1, m)) > 0.3).astype(float)
        w, b = example(2).initialise(dim)
        assert w.shape == (dim, 1) and not w.any() and b == 0
        close(example(2).cost(Tensor(w), Tensor(b), X, Y), 0.6931471805599453)


def test_M32_dw_is_a_sum_over_examples(rng: np.random.Generator) -> None:
    m = 3
    X, Y = rng.standard_normal((2, m)), np.array([[1.0, 0.0, 1.0]])
    w, b = Tensor(rng.standard_normal((2, 1))), Tensor(0.1)
    A = sigmoid(np.dot(w.T, X) + b)
    dZ = A - Y
    dw = (1/m)*np.dot(X,dZ.T)
    assert words("X⁽¹⁾ dZ⁽¹⁾ + X⁽²⁾ dZ⁽²⁾ + X⁽³⁾ dZ⁽³⁾") in words(tg.explain(dw))
    close(dw, sum(X[:, i : i + 1] * dZ.data[0, i] for i in range(m)) / m)
    Z = np.dot(w.T, X) + b  # and so in the derivative that autodiff takes
    J = tg.binary_cross_entropy_with_logits(Z, Y)
    assert re.search(r"dw = .*X⁽¹⁾ d\w+⁽¹⁾ \+ X⁽²⁾ d\w+⁽²⁾ \+ X⁽³⁾ d\w+⁽³⁾", words(tg.explain(J, w)))


def test_M33_downhill_on_a_bowl() -> None:
    X, Y = example(2).one_feature()
    points, costs = example(2).path_on_bowl(X, Y, learning_rate=0.5, steps=60)
    assert points.shape == (61, 2)
    assert np.all(np.diff(costs) < 0)
    bowl = tg.hessian(lambda p: np.mean(tg.binary_cross_entropy_with_logits(p[0] * X + p[1], Y)))
    for point in points[::10]:
        assert np.linalg.eigvalsh(bowl(point)).min() > 0  # convex all along


def test_M34_train_and_test_set() -> None:
    X, Y = np.arange(20.0).reshape(2, 10), np.arange(10).reshape(1, 10) % 2
    X_train, Y_train, X_test, Y_test = example(2).train_test_split(X, Y, test_share=0.3)
    assert (X_train.shape, Y_train.shape, X_test.shape, Y_test.shape) == ((2, 7), (1, 7), (2, 3), (1, 3))
    assert sorted([*X_train[0], *X_test[0]]) == X[0].tolist()  # every example in one of the two, once
    for part, labels in ((X_train, Y_train), (X_test, Y_test)):
        assert np.array_equal(part[0] % 2, labels[0])  # and with its own label
    w = np.array([[0.0], [0.0]])
    assert example(2).accuracy(w, 1.0, X_train, Y_train) == Y_train.mean()
    assert example(2).accuracy(w, -1.0, X_test, Y_test) == 1 - Y_test.mean()


# ---------------------------------------------------------------- 4. images


def test_M35_flatten_images(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (7, 64, 64, 3), dtype=np.uint8)
    assert example(2).flatten_images(images).shape == (64 * 64 * 3, 7) == (12288, 7)


def test_M36_flatten_verbatim(rng: np.random.Generator) -> None:
    train_set_x_orig = rng.integers(0, 256, (5, 6, 4, 3), dtype=np.uint8)
    train_set_x = train_set_x_orig.reshape(train_set_x_orig.shape[0], -1).T
    assert np.array_equal(example(2).flatten_images(train_set_x_orig), train_set_x)
    for j in range(5):
        assert np.array_equal(train_set_x[:, j], train_set_x_orig[j].ravel())


def test_M37_scaling(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (5, 6, 4, 3), dtype=np.uint8)
    X = example(2).flatten_images(images) / 255.
    assert X.dtype == np.float64 and X.min() >= 0 and X.max() <= 1


def test_M38_labels_are_a_row() -> None:
    _, Y = example(2).generated(m=6)
    assert Y.shape == (1, 6) and set(Y.ravel()) == {0, 1}
    Tensor(Y).expect((1, 6))
    y = Tensor(Y.ravel())
    with pytest.raises(ShapeError, match=r"y has shape \(6,\), expected \(1, 6\)\. .* rank-1 .*y\.reshape\(1, 6\)"):
        y.expect((1, 6))


@pytest.mark.parametrize("source", ["photographs", "generated"])
def test_M39_images_learned(source: str) -> None:
    if source == "photographs":
        pytest.importorskip("sklearn")
    lr = example(2)
    images, Y = getattr(lr, source)()
    assert images.shape[1:] == (64, 64, 3) and images.dtype == np.uint8
    X_train, Y_train, X_test, Y_test = lr.train_test_split(lr.flatten_images(images) / 255.0, Y)
    assert X_train.shape[0] == 12288
    w, b, costs = lr.train(X_train, Y_train, iterations=100)
    w_hand, b_hand, costs_hand = lr.train(X_train, Y_train, lr.vectorised, iterations=100)
    close(w, w_hand)
    close(b, b_hand)
    close(costs, costs_hand)
    _, dw, db = lr.autodiff(w, b, X_train, Y_train)
    A = 1 / (1 + np.exp(-(np.dot(w.T, X_train) + b)))
    close(dw, 1 / Y_train.size * np.dot(X_train, (A - Y_train).T))
    close(db, 1 / Y_train.size * np.sum(A - Y_train))
    assert costs[-1] < 0.8 * costs[0]
    assert lr.accuracy(w, b, X_test, Y_test) > 0.7  # chance is ½


# ---------------------------------------------------------------- 5. broadcasting and rank-1 arrays

CALORIES = np.array([[56, 0, 4.4, 68], [1.2, 104, 52, 8], [1.8, 135, 99, 0.9]])


def test_M40_calories() -> None:
    A = Tensor(CALORIES)
    cal = A.sum(axis=0)
    close(cal, [59, 239, 155.4, 76.9])
    close(A.sum(axis=0), CALORIES.sum(axis=0))


def test_M41_percentages() -> None:
    A = Tensor(CALORIES)
    cal = A.sum(axis=0)
    percentage = 100*A/cal.reshape(1,4)
    close(percentage, 100 * CALORIES / CALORIES.sum(axis=0))
    close(percentage.sum(axis=0), np.full(4, 100.0))
    assert percentage.data[:, 0] == pytest.approx([94.9152542373, 2.0338983051, 3.0508474576], abs=1e-10)


def test_M42_derivative_of_percentages() -> None:
    A = Tensor(CALORIES)
    P = 100 * A / A.sum(axis=0).reshape(1, 4)
    P[0, 0].backward()
    cal = CALORIES[:, 0].sum()
    close(A.grad[0, 0], 100 * (cal - 56) / cal**2)
    close(A.grad[0, 0], 0.08618213157138753)
    close(A.grad[1, 0], -1.6087331226659005)
    close(A.grad[2, 0], -1.6087331226659005)
    assert not A.grad[:, 1:].any()
    hand, autodiff = example(3).derivatives_of_percentage()
    close(autodiff, hand)


def test_M43_column_plus_number() -> None:
    column, number = np.array([[1], [2], [3], [4]]), Tensor(100)
    total = column + number
    assert total.data.tolist() == [[101], [102], [103], [104]]
    total.sum().backward()
    assert number.grad == 4


def test_M44_matrix_plus_row() -> None:
    matrix, row = Tensor([[1, 2, 3], [4, 5, 6]]), Tensor([[100, 200, 300]])
    total = matrix + row
    assert total.data.tolist() == [[101, 202, 303], [104, 205, 306]]
    total.sum().backward()
    assert row.grad.tolist() == [[2, 2, 2]] and np.array_equal(matrix.grad, np.ones((2, 3)))


def test_M45_matrix_plus_column() -> None:
    matrix, column = Tensor([[1, 2, 3], [4, 5, 6]]), Tensor([[100], [200]])
    total = matrix + column
    assert total.data.tolist() == [[101, 102, 103], [204, 205, 206]]
    total.sum().backward()
    assert column.grad.tolist() == [[3], [3]]


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), ()])
@pytest.mark.parametrize("operation", [np.add, np.subtract, np.multiply, np.divide])
def test_M46_general_principle(operation: Any, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    A, B = rng.uniform(1, 2, (2, 3)), rng.uniform(1, 2, shape)
    for left, right in ((A, B), (B, A)):
        gradients = tg.grad(lambda a, b: operation(a, b).sum(), argnums=(0, 1))(left, right)
        assert [g.shape for g in gradients] == [left.shape, right.shape]
        assert tg.check_gradients(operation, left, right, tolerance=1e-8)


def test_M46_general_principle_by_hand() -> None:
    rows = example(3).general_principle()
    assert len(rows) == 12
    for _, hand, autodiff in rows:
        close(autodiff, hand)


def test_M47_rank_1_traps() -> None:
    a = Tensor(np.random.randn(5))
    with pytest.warns(ShapeWarning, match=r"a\.T: a has shape \(5,\), a rank-1 array.*a\.col\(\)"):
        flipped = a.T
    assert a.shape == flipped.shape == (5,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ShapeWarning)
        assert np.dot(a, a.T).shape == ()
    with tg.strict_shapes(), pytest.raises(ShapeError, match="rank-1"):
        _ = a.T
    y = np.ones(5)
    assert (a.col() - y).shape == (5, 5)
    with tg.strict_shapes(), pytest.raises(ShapeError, match=r"y\.reshape\(5, 1\)"):
        a.col() - y


def test_M48_columns_and_rows() -> None:
    a = Tensor(np.random.randn(5, 1))
    assert(a.shape==(5,1))
    assert a.expect((5, 1)) is a
    assert a.T.shape == (1, 5)
    assert np.dot(a, a.T).shape == (5, 5)
    a = Tensor(np.random.randn(5))
    with pytest.raises(ShapeError, match=r"a\.reshape\(5, 1\), or a\.col\(\)"):
        a.expect((5, 1))
    assert a.col().shape == (5, 1) and a.row().shape == (1, 5)
    a = a.reshape((5,1))
    a.expect((5, 1))
    a.sum().backward()


# ---------------------------------------------------------------- 6. the shallow network

SLOPES: dict[str, tuple[Any, Any]] = {
    "sigmoid": (sigmoid, lambda z: 1 / (1 + np.exp(-z)) * (1 - 1 / (1 + np.exp(-z)))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "leaky relu": (tg.leaky_relu, lambda z: np.where(z > 0, 1.0, 0.01)),
    "relu": (tg.relu, lambda z: np.where(z > 0, 1.0, 0.0)),
}


class Shallow:
    """A 3-4-1 network at 7 examples: everything by hand, and recorded."""

    def __init__(self, activation: str = "tanh") -> None:
        rng = np.random.default_rng(7)
        self.X, self.Y = rng.standard_normal((3, 7)), (rng.uniform(size=(1, 7)) > 0.5).astype(float)
        self.values = {"W1": rng.standard_normal((4, 3)), "b1": rng.standard_normal((4, 1)),
                       "W2": rng.standard_normal((1, 4)), "b2": rng.standard_normal((1, 1))}
        self.g1, self.g1_prime = SLOPES[activation]
        W1, b1, W2, b2 = self.values.values()
        m = 7
        self.hand: dict[str, Any] = {}
        Z1 = W1 @ self.X + b1
        A1 = np.asarray(self.g1(Z1))
        Z2 = W2 @ A1 + b2
        A2 = 1 / (1 + np.exp(-Z2))
        self.forward = {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}
        self.J = np.mean(cross_entropy(A2, self.Y))
        dZ2 = A2 - self.Y
        dZ1 = W2.T @ dZ2 * self.g1_prime(Z1)
        self.hand = {"Z2": dZ2, "W2": 1 / m * dZ2 @ A1.T, "b2": 1 / m * np.sum(dZ2, axis=1, keepdims=True),
                     "Z1": dZ1, "W1": 1 / m * dZ1 @ self.X.T, "b1": 1 / m * np.sum(dZ1, axis=1, keepdims=True)}

    def recorded(self) -> dict[str, Tensor]:
        """All variables as Tensors, with the gradients of the mean loss in them."""
        t = {name: Tensor(value, name=name) for name, value in self.values.items()}
        t["Z1"] = t["W1"] @ self.X + t["b1"]
        t["A1"] = self.g1(t["Z1"])
        t["Z2"] = t["W2"] @ t["A1"] + t["b2"]
        t["A2"] = sigmoid(t["Z2"])
        t["losses"] = cross_entropy(t["A2"], self.Y)
        t["J"] = t["losses"].mean()
        t["J"].backward()
        return t


@pytest.fixture
def shallow() -> Shallow:
    return Shallow()


def test_M49_unit_by_unit(shallow: Shallow) -> None:
    W1, b1, x = Tensor(shallow.values["W1"]), Tensor(shallow.values["b1"]), shallow.X[:, :1]
    a1 = sigmoid(W1 @ x + b1)
    stacked = np.concatenate([sigmoid(W1[i : i + 1] @ x + b1[i : i + 1]) for i in range(4)])
    assert a1.shape == (4, 1)
    close(stacked, a1)
    vector = tg.grad(lambda W: sigmoid(W @ x + b1.data).sum())(W1.data)
    looped = tg.grad(lambda W: sum(sigmoid(W[i] @ x[:, 0] + b1.data[i, 0]) for i in range(4)))(W1.data)
    close(looped, vector)


def test_M50_forward(shallow: Shallow) -> None:
    t = shallow.recorded()
    for name, value in shallow.forward.items():
        close(t[name], value)


def test_M51_input_layer_is_not_counted() -> None:
    network = example(5).Network((3, 4, 1), ("tanh", "sigmoid"))
    assert network.L == 2 and network.summary().startswith("L = 2")
    X = np.ones((3, 5))
    A, caches = network.forward(X)
    assert caches[0][0] is X and A.shape == (1, 5)  # a⁽⁰⁾ = X, a⁽²⁾ = ŷ


def test_M52_columns_are_examples(shallow: Shallow) -> None:
    t = shallow.recorded()
    values = shallow.values
    for i in range(7):
        x = shallow.X[:, i : i + 1]
        A1 = np.tanh(Tensor(values["W1"]) @ x + values["b1"])
        A2 = sigmoid(Tensor(values["W2"]) @ A1 + values["b2"])
        close(A1, t["A1"].data[:, i : i + 1])
        close(A2, t["A2"].data[:, i : i + 1])


def test_M53_cost(shallow: Shallow) -> None:
    t = shallow.recorded()
    close(t["J"], shallow.J)
    one_by_one = [-np.log(a if y else 1 - a) for a, y in zip(shallow.forward["A2"][0], shallow.Y[0], strict=True)]
    close(t["J"], sum(one_by_one) / 7)


def test_M54_dZ2(shallow: Shallow) -> None:
    t = shallow.recorded()
    t["losses"].sum().backward()
    close(t["Z2"].grad, shallow.hand["Z2"])


def test_M55_dW2(shallow: Shallow) -> None:
    close(shallow.recorded()["W2"].grad, shallow.hand["W2"])


def test_M56_db2(shallow: Shallow) -> None:
    b2 = shallow.recorded()["b2"]
    assert b2.grad.shape == (1, 1)
    close(b2.grad, shallow.hand["b2"])


@pytest.mark.parametrize("activation", SLOPES)
def test_M57_dZ1(activation: str) -> None:
    net = Shallow(activation)
    assert np.abs(net.forward["Z1"]).min() > 1e-3  # away from the kink
    t = net.recorded()
    t["losses"].sum().backward()
    close(t["Z1"].grad, net.hand["Z1"])


@pytest.mark.parametrize("activation", SLOPES)
def test_M58_dW1(activation: str) -> None:
    net = Shallow(activation)
    close(net.recorded()["W1"].grad, net.hand["W1"])


@pytest.mark.parametrize("activation", SLOPES)
def test_M59_db1(activation: str) -> None:
    net = Shallow(activation)
    close(net.recorded()["b1"].grad, net.hand["b1"])


def test_M60_shapes_of_parameters(shallow: Shallow) -> None:
    t = shallow.recorded()
    shapes = {"W1": (4, 3), "b1": (4, 1), "W2": (1, 4), "b2": (1, 1)}
    assert {name: t[name].shape for name in shapes} == shapes
    assert {name: t[name].grad.shape for name in shapes} == shapes
    made = example(4).initialise(n_x=3, n_hidden=4, n_y=1)
    assert {name: value.shape for name, value in made.items()} == shapes


def test_M61_five_hundred_steps(rng: np.random.Generator) -> None:
    m = 100  # two half circles, one inside the other's opening
    angle, Y = rng.uniform(0, np.pi, m), np.arange(m).reshape(1, m) % 2.0
    X = np.where(Y == 0, [np.cos(angle), np.sin(angle)], [1 - np.cos(angle), 0.5 - np.sin(angle)])
    X = X + 0.1 * rng.standard_normal(X.shape)
    net = example(4)
    hand = autodiff = net.initialise(2, 4, 1)
    costs = []
    for _ in range(500):
        J_hand, d_hand = net.by_hand(hand, X, Y)
        J, d = net.by_autodiff(autodiff, X, Y)
        close(J, J_hand, 1e-10)
        costs.append(float(J))
        hand, autodiff = net.step(hand, d_hand, 1.2), net.step(autodiff, d, 1.2)
        for name in hand:
            close(autodiff[name], hand[name], 1e-10)
    assert costs[-1] < 0.5 * costs[0]


def test_M62_an_activation_per_layer(rng: np.random.Generator) -> None:
    X = rng.standard_normal((3, 5))
    network = example(5).Network((3, 4, 2, 1), ("tanh", "relu", "sigmoid"))
    p = network.parameters
    A1 = np.tanh(p["W1"] @ X + p["b1"])
    A2 = np.maximum(p["W2"] @ A1 + p["b2"], 0)
    close(network.forward(X)[0], 1 / (1 + np.exp(-(p["W3"] @ A2 + p["b3"]))))
    with pytest.raises(ValueError, match="3 layers, but 2 activations"):
        example(5).Network((3, 4, 2, 1), ("tanh", "sigmoid"))


# ---------------------------------------------------------------- 11. softmax and output units


def test_M85_ten_digits() -> None:
    net = example(5)
    X, which, _ = net.digits(200, seed=0)
    X_test, which_test, _ = net.digits(200, seed=1)
    network = net.Network((15, 12, 10), ("tanh", "softmax"))
    network.train(X, which, iterations=200, learning_rate=0.5)
    A, _ = network.forward(X_test)
    assert A.shape == (10, 200)
    assert np.array_equal(network.predict(X_test), [max(range(10), key=column.__getitem__) for column in A.T])
    assert np.mean(network.predict(X_test) == which_test.argmax(axis=0)) > 0.8


def test_M86_softmax(rng: np.random.Generator) -> None:
    z = rng.standard_normal((4, 6))
    for axis in (0, 1):  # columns as in the notes, rows as in libraries
        s = tg.softmax(Tensor(z), axis=axis)
        close(s, np.exp(z) / np.exp(z).sum(axis=axis, keepdims=True))
        close(s.sum(axis=axis), np.ones(z.shape[1 - axis]))
        close(tg.softmax(z + 123.0, axis=axis), s)
    close(tg.softmax(z.T, axis=0).T, tg.softmax(z, axis=1))
    large = Tensor([1000.0, 999.0, -1000.0])
    s = tg.softmax(large)
    close(s, np.array([1, np.exp(-1), 0]) / (1 + np.exp(-1)))
    s[0].backward()
    assert np.all(np.isfinite(large.grad))


def test_M87_log_likelihood(rng: np.random.Generator) -> None:
    values, y = rng.standard_normal(5), 3
    a = np.exp(values) / np.exp(values).sum()
    z = Tensor(values)
    loss = -np.log(tg.softmax(z)[y])
    loss.backward()
    close(loss, -np.log(a[y]))
    close(z.grad, a - np.eye(5)[y])
    Z, labels = Tensor(rng.standard_normal((5, 4))), np.array([3, 0, 1, 3])  # the notes' columns
    tg.cross_entropy(Z, labels, axis=0, reduction="sum").backward()
    close(Z.grad, tg.softmax(Z.data, axis=0) - np.eye(5)[:, labels])


def test_M88_derivative_of_softmax(rng: np.random.Generator) -> None:
    z = rng.standard_normal(6)
    s = np.exp(z) / np.exp(z).sum()
    for mode in ("forward", "reverse"):
        J = tg.jacobian(tg.softmax, mode=mode)(z)
        close(J, np.diag(s) - np.outer(s, s))
    close(tg.jacobian(lambda z: np.exp(z) / np.exp(z).sum())(z), np.diag(s) - np.outer(s, s))
    for i in range(6):
        for j in range(6):
            close(J[i, j], s[i] * ((i == j) - s[j]))


def test_M89_linear_unit_and_gaussian(rng: np.random.Generator) -> None:
    y = rng.standard_normal(6)
    differences = []
    for _ in range(3):
        prediction = rng.standard_normal(6)
        a, b = Tensor(prediction), Tensor(prediction)
        density = np.exp(-0.5 * (y - a) ** 2) / np.sqrt(2 * np.pi)
        likelihood, squares = -np.log(density).sum(), 0.5 * ((y - b) ** 2).sum()
        likelihood.backward()
        squares.backward()
        close(a.grad, b.grad)
        differences.append(likelihood.item() - squares.item())
    close(differences, np.full(3, 3 * np.log(2 * np.pi)))  # n/2 ln 2π, whatever the prediction


def test_M90_sigmoid_unit_and_bernoulli(rng: np.random.Generator) -> None:
    Z, Y = rng.standard_normal((1, 9)), (rng.uniform(size=(1, 9)) > 0.5).astype(float)
    a, b, c = Tensor(Z), Tensor(Z), Tensor(Z)
    p = sigmoid(a)
    likelihood = -np.log(p**Y * (1 - p) ** (1 - Y)).sum()
    entropy = tg.binary_cross_entropy(sigmoid(b), Y, reduction="sum")
    logits = tg.binary_cross_entropy_with_logits(c, Y, reduction="sum")
    for loss in (likelihood, entropy, logits):
        loss.backward()
        close(loss, likelihood)
    close(b.grad, a.grad)
    close(c.grad, a.grad)


def test_M91_softmax_unit_and_multinoulli(rng: np.random.Generator) -> None:
    z, y = rng.standard_normal(4), np.array([0.0, 0.0, 1.0, 0.0])
    a, b = Tensor(z), Tensor(z)
    likelihood = -np.log(np.prod(tg.softmax(a) ** y))
    likelihood.backward()
    entropy = tg.cross_entropy(b, y)
    entropy.backward()
    close(entropy, likelihood)
    close(b.grad, a.grad)
    pairs = Tensor(rng.standard_normal((2, 50)))  # two classes: a sigmoid of the difference
    close(tg.softmax(pairs, axis=0)[1], sigmoid(pairs[1] - pairs[0]))
    by_softmax = tg.grad(lambda z: tg.softmax(z, axis=0)[1].sum())(pairs.data)
    close(by_softmax, tg.grad(lambda z: sigmoid(z[1] - z[0]).sum())(pairs.data))


# ---------------------------------------------------------------- 12. deep networks


def deep_data(n_x: int, m: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n_x)
    return rng.standard_normal((n_x, m)), (rng.uniform(size=(1, m)) > 0.5).astype(float)


def test_M92_notation() -> None:
    for hidden, L in ((0, 1), (1, 2), (2, 3), (5, 6)):
        network = example(5).Network((3, *[5] * hidden, 1), ["tanh"] * hidden + ["sigmoid"])
        assert network.L == L and network.sizes[0] == 3
        assert list(network.parameters) == [f"{letter}{layer}" for layer in range(1, L + 1) for letter in "Wb"]
        table = network.summary().splitlines()
        assert table[0] == f"L = {L}" and len(table) == L + 4
        for layer in range(L + 1):
            row = table[2 + layer].split()
            assert row[:2] == [str(layer), str(network.sizes[layer])]
        assert table[-1].split()[0] == str(sum(p.size for p in network.parameters.values()))


@pytest.mark.parametrize("L", [1, 2, 3, 4, 5, 6])
def test_M93_forward_of_L_layers(L: int) -> None:
    sizes = (4, *[5, 3, 6, 2, 4][: L - 1], 1)
    network = example(5).Network(sizes, ["tanh"] * (L - 1) + ["sigmoid"], seed=L)
    X, _ = deep_data(4)
    recorded = {name: Tensor(value) for name, value in network.parameters.items()}
    A, caches = network.forward(X, recorded)
    expected = X
    for layer in range(1, L + 1):
        Z = network.parameters[f"W{layer}"] @ expected + network.parameters[f"b{layer}"]
        close(caches[layer - 1][2], Z)
        expected = np.tanh(Z) if layer < L else 1 / (1 + np.exp(-Z))
    close(A, expected)
    for i in range(X.shape[1]):  # one example: a column
        close(network.forward(X[:, i : i + 1])[0], A.data[:, i : i + 1])


@pytest.mark.parametrize("sizes", [(2, 3, 5, 4, 2, 1), (3, 5, 5, 3, 1)])
def test_M94_dimensions(sizes: tuple[int, ...]) -> None:
    L, m = len(sizes) - 1, 6
    network = example(5).Network(sizes, ["tanh"] * (L - 1) + ["sigmoid"])
    X, Y = deep_data(sizes[0], m)
    for _, d in (network.by_hand(X, Y), network.by_autodiff(X, Y)):
        for layer in range(1, L + 1):
            assert network.parameters[f"W{layer}"].shape == d[f"dW{layer}"].shape == (sizes[layer], sizes[layer - 1])
            assert network.parameters[f"b{layer}"].shape == d[f"db{layer}"].shape == (sizes[layer], 1)
            assert d[f"dZ{layer}"].shape == d[f"dA{layer}"].shape == (sizes[layer], m)
    W, b, x = Tensor(np.ones((5, 3))), Tensor(np.ones((5, 1))), Tensor(np.ones((3, 1)))
    assert (W @ x + b).shape == (5, 1)
    with pytest.raises(ShapeError, match=r"W \(5, 3\) @ b \(5, 1\): inner sizes 3 and 5 differ. Did you mean W\.T @ b"):
        W @ b
    with pytest.raises(ShapeError, match=r"x \(3, 1\)|b \(5, 1\)"):
        b + x
    network.parameters["W2"] = network.parameters["W2"].T.copy()
    if sizes[1] != sizes[2]:
        with pytest.raises(ShapeError, match="inner sizes"):
            network.by_autodiff(X, Y)


@pytest.mark.parametrize("activation", ["identity", "sigmoid", "tanh", "relu", "leaky relu"])
def test_M95_building_blocks(activation: str, rng: np.random.Generator) -> None:
    net = example(5)
    g, g_prime = net.ACTIVATIONS[activation]
    A_prev, W, b, dA = (rng.standard_normal(shape) for shape in ((4, 6), (3, 4), (3, 1), (3, 6)))
    A, cache = net.forward_block(A_prev, W, b, g)
    assert cache[0] is A_prev and cache[1] is W
    close(cache[2], W @ A_prev + b)
    dA_prev, dW, db, dZ = net.backward_block(dA, cache, g_prime)
    again, pull_back = tg.vjp(lambda A_prev, W, b: net.forward_block(A_prev, W, b, g)[0], A_prev, W, b)
    close(again, A)
    by_A_prev, by_W, by_b = pull_back(dA)
    close(dA_prev, by_A_prev)
    close(6 * dW, by_W)  # the block's dW and db hold the 1/m
    close(6 * db, by_b)
    close(dZ, tg.grad(lambda Z: (dA * g(Z)).sum())(cache[2]))


def test_M96_one_example(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((3, 1)), 1.0
    W1, b1, W2, b2 = (Tensor(rng.standard_normal(shape)) for shape in ((4, 3), (4, 1), (1, 4), (1, 1)))
    z1 = W1 @ x + b1
    a1 = np.tanh(z1)
    z2 = W2 @ a1 + b2
    a2 = sigmoid(z2)
    cross_entropy(a2, y).sum().backward()
    dz2 = a2.grad * (a2.data * (1 - a2.data))  # dz = da * g′(z)
    close(z2.grad, dz2)
    close(W2.grad, dz2 @ a1.data.T)  # dW = dz · aᵀ of the layer before
    close(b2.grad, dz2)
    close(a1.grad, W2.data.T @ dz2)  # da of the layer before = Wᵀ dz
    dz1 = W2.data.T @ dz2 * (1 - np.tanh(z1.data) ** 2)
    close(z1.grad, dz1)
    close(W1.grad, dz1 @ x.T)
    close(b1.grad, dz1)


def test_M97_vectorised_four_layers() -> None:
    network = example(5).Network((3, 5, 4, 3, 1), ("relu", "leaky relu", "tanh", "sigmoid"), seed=3)
    X, Y = deep_data(3, 9)
    J, hand = network.by_hand(X, Y)
    J_autodiff, autodiff = network.by_autodiff(X, Y)
    close(J_autodiff, J)
    assert set(hand) == set(autodiff) == {f"d{letter}{layer}" for letter in "WbZA" for layer in (1, 2, 3, 4)}
    for name in hand:
        close(autodiff[name], hand[name])


def test_M98_where_the_chain_starts() -> None:
    network = example(5).Network((3, 4, 1), ("tanh", "sigmoid"))
    X, Y = deep_data(3)
    leaves = {name: Tensor(value) for name, value in network.parameters.items()}
    A, _ = network.forward(X, leaves)
    cross_entropy(A, Y).sum().backward()
    close(A.grad, -Y / A.data + (1 - Y) / (1 - A.data))
    close(network.by_hand(X, Y)[1]["dA2"], A.grad)


# ---------------------------------------------------------------- 14. a single neuron

NEURON = ((0.9, 0.2, 0.3), (2.0, 3.0, -1.0), 0.5)


def test_M106_neuron() -> None:
    x, w, b = (Tensor(value) for value in NEURON)
    z = np.dot(w, x) + b
    assert abs(z.item() - 2.6) <= 1e-15
    close(sigmoid(z), 0.9308615796566533)
    assert f"{sigmoid(z):.2f}" == "0.93"
    assert abs(example(6).by_hand(*NEURON)["z"] - 2.6) <= 1e-15


def test_M107_derivatives_of_the_neuron() -> None:
    found = example(6).by_autodiff(*NEURON)
    close(found["da/dz"], 0.0643582991757734)
    close(found["da/dw"][:, 0], (0.0579224693, 0.0128716598, 0.0193074898), 1e-10)
    close(found["da/dx"][:, 0], (0.1287165984, 0.1930748975, -0.0643582992), 1e-10)
    for y, dz in ((1, -0.069138420343), (0, 0.930861579657)):
        z = Tensor(2.6)
        cross_entropy(sigmoid(z), y).backward()
        assert z.grad == pytest.approx(dz, abs=1e-10)
        assert example(6).by_autodiff(*NEURON, y)[f"dz (y={y})"] == pytest.approx(dz, abs=1e-10)


def test_M108_neuron_is_logistic_regression(rng: np.random.Generator) -> None:
    unit, X = example(6), rng.standard_normal((3, 40))
    neuron, regression = unit.Neuron(NEURON[1], NEURON[2]), unit.LogisticRegression(NEURON[1], NEURON[2])
    close(neuron(X)[0], regression.probability(X.T))
    w = Tensor(NEURON[1])
    close(unit.Neuron(w, NEURON[2])(X)[0], regression.probability(X.T))
    unit.Neuron(w, NEURON[2])(X).sum().backward()
    assert w.grad.shape == (3,)


def test_M108_neuron_against_scikit_learn() -> None:
    pytest.importorskip("sklearn")
    ours, theirs = example(6).against_scikit_learn()
    close(ours, theirs)


def test_M109_drawing_of_the_neuron(tmp_path: Path) -> None:
    labels = node_labels(example(6).drawing(), tmp_path)
    assert {"x1", "x2", "x3", "w1", "w2", "w3", "b", "z", "a"} <= set(labels)
    assert "Σ" in labels["z"] and "σ(z)" in labels["a"]  # inputs → Σ → f → a


# ---------------------------------------------------------------- 16. matrix calculus


@pytest.fixture
def matrices(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """y (3, 1), A (3, 4), x (4, 1), S (4, 4)."""
    return tuple(rng.standard_normal(shape) for shape in ((3, 1), (3, 4), (4, 1), (4, 4)))


def test_M122_bilinear_by_x(matrices: Any) -> None:
    y, A, x, _ = matrices
    found = tg.jacobian(lambda x: y.T @ A @ x, layout="numerator")(x)
    assert found.shape == (1, 4)
    close(found, y.T @ A)
    close(tg.jacobian(lambda x: y.T @ A @ x, layout="denominator")(x), (y.T @ A).T)
    t = Tensor(x)
    (y.T @ A @ t).backward()
    close(t.grad, (y.T @ A).T)


def test_M123_bilinear_by_y(matrices: Any) -> None:
    y, A, x, _ = matrices
    found = tg.jacobian(lambda y: y.T @ A @ x, layout="numerator")(y)
    assert found.shape == (1, 3)
    close(found, x.T @ A.T)
    t = Tensor(y)
    (t.T @ A @ x).backward()
    close(t.grad, (x.T @ A.T).T)


def test_M124_bilinear_by_A(matrices: Any) -> None:
    y, A, x, _ = matrices
    t = Tensor(A)
    (y.T @ t @ x).backward()
    close(t.grad, y @ x.T)


def test_M125_quadratic_form(matrices: Any) -> None:
    *_, x, A = matrices
    close(tg.jacobian(lambda x: x.T @ A @ x, layout="numerator")(x), x.T @ (A + A.T))
    t = Tensor(x)
    (t.T @ A @ t).backward()
    close(t.grad, (A + A.T) @ x)


def test_M126_symmetric_quadratic_form(matrices: Any) -> None:
    *_, x, A = matrices
    S = A + A.T
    close(tg.jacobian(lambda x: x.T @ S @ x, layout="numerator")(x), 2 * x.T @ S)


def test_M127_references() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for address in ("explained.ai/matrix-calculus", "cs231n_2018_ds02", "eli.thegreenplace.net"):
        assert re.search(rf"\(https?://[^)\s]*{re.escape(address)}[^)\s]*\)", page), f"no link to {address}"
