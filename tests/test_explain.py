"""explain(): the chain rule written out, and the notation it is written in."""

# ruff: noqa: RUF059 - a, b, c, J = graph(): the readers take their names from these variables

from __future__ import annotations

import random
import re
import string
from typing import Any

import numpy as np
import pytest
import zoo
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.backprop import pull
from tinygrad_edu.rules import TABLE
from tinygrad_edu.show.chain_rule import Explanation, explain
from tinygrad_edu.show.names import name_nodes
from tinygrad_edu.show.notation import (
    Expression,
    expression,
    in_ascii,
    latex,
    latex_name,
    name,
    number_text,
    recorded_rule,
    simplified,
    stand_in,
    text,
)
from tinygrad_edu.tensor import Primitive


def graph() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    a, b, c = Tensor(5), Tensor(3), Tensor(2)
    return a, b, c, 3 * (a + b * c)


def lines(e: Explanation) -> list[str]:
    return [" ".join(line.split()) for line in str(e).splitlines()]


# ---------------------------------------------------------------- one example, whole

GOLDEN = """\
Forward
  a                  = 5
  b                  = 3
  c                  = 2
  u = b · c = 3 · 2  = 6
  v = a + u = 5 + 6  = 11
  J = 3 · v = 3 · 11 = 33

Local derivatives
  dJ/dv     = 3
  dv/du     = 1
  dv/da     = 1
  du/db = c = 2
  du/dc = b = 3

Backward, from dJ/dJ = 1
  dJ = dJ/dJ                                     = 1
  dv = dJ/dv                                     = 3
  du = dJ/du = dJ/dv · dv/du         = 3 · 1     = 3
  da = dJ/da = dJ/dv · dv/da         = 3 · 1     = 3
  db = dJ/db = dJ/dv · dv/du · du/db = 3 · 1 · 2 = 6
  dc = dJ/dc = dJ/dv · dv/du · du/dc = 3 · 1 · 3 = 9"""


def test_M1_M2_the_whole_explanation() -> None:
    a, b, c, J = graph()
    assert str(explain(J)) == GOLDEN


def test_M3_the_path_to_b() -> None:
    a, b, c, J = graph()
    e = explain(J, b)
    assert "db = dJ/db = dJ/dv · dv/du · du/db = 3 · 1 · 2 = 6" in lines(e)
    assert not any(line.startswith(("da =", "dc =")) for line in lines(e))
    assert r"\frac{dJ}{dv} \cdot \frac{dv}{du} \cdot \frac{du}{db} = 3 \cdot 1 \cdot 2 = 6" in e.latex()


def test_M3_by_name_by_tensor_and_by_list() -> None:
    a, b, c, J = graph()
    assert str(explain(J, "b")) == str(explain(J, b)) == str(explain(J, [b]))
    both = explain(J, [c, "a"])
    assert set(both.gradients) == {"da", "dc", "du", "dv"}


def test_M5_names_and_the_start() -> None:
    a, b, c, J = graph()
    e = explain(J)
    assert e.gradients == {"dv": 3, "du": 3, "da": 3, "db": 6, "dc": 9}
    assert "dJ = dJ/dJ = 1" in lines(e)


@pytest.mark.parametrize(("f", "at", "slope", "rule"), [
    pytest.param(lambda a: 3 * a, 2.0, 3.0, "3", id="M6-3a-at-2"),
    pytest.param(lambda a: 3 * a, 5.0, 3.0, "3", id="M6-3a-at-5"),
    pytest.param(lambda a: a**2, 2.0, 4.0, "2 · a", id="M6-a²-at-2"),
    pytest.param(lambda a: a**2, 5.0, 10.0, "2 · a", id="M6-a²-at-5"),
    pytest.param(lambda a: a**3, 2.0, 12.0, "3 · a²", id="M6-a³-at-2"),
    pytest.param(tg.log, 2.0, 0.5, "1 / a", id="M6-ln-a-at-2"),
])
def test_M6_slopes(f: Any, at: float, slope: float, rule: str) -> None:
    a = Tensor(at, name="a")
    e = explain(f(a))
    assert e.gradients["da"] == pytest.approx(slope, rel=1e-12)
    (row,) = e.local
    assert text_of(row.sides[1] or row.sides[-1]) == rule


def text_of(side: Any) -> str:
    assert side is not None
    return str(side.text)


def test_M7_a_variable_used_twice() -> None:
    a = Tensor(2.0)
    b = a + a
    c = b + b
    e = explain(c)
    assert "db/da = 1 + 1 = 2" in lines(e)
    assert "da = dc/da = dc/db · db/da = 2 · 2 = 4" in lines(e)
    assert e.gradients["da"] == 4


def test_M32_the_sum_over_examples() -> None:
    X, dZ = np.array([[1.0, 2, 3], [4, 5, 6]]), Tensor([[0.1, 0.2, -0.3]])
    dw = X @ dZ.T / 3
    e = explain(dw)
    assert "= X⁽¹⁾ dZ⁽¹⁾ + X⁽²⁾ dZ⁽²⁾ + X⁽³⁾ dZ⁽³⁾" in lines(e)
    assert r"{X}^{(1)} \, {dZ}^{(1)} + {X}^{(2)}" in e.latex()


def test_M32_the_sum_over_examples_of_a_gradient() -> None:
    X, Y = np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([[1.0, 0, 1]])
    w, b = Tensor(np.zeros((2, 1))), Tensor(0.0)
    Z = np.dot(w.T, X) + b
    A = tg.sigmoid(Z)
    J = (-1 / 3) * np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    e = explain(J, w)
    row = next(line for line in lines(e) if line.startswith("dw ="))
    assert row == "dw = dJ/dw = X @ (dJ/dt2)ᵀ = [[−0.333333], [−0.833333]] (2, 3) @ (3, 1) → (2, 1)"
    assert "= X⁽¹⁾ dt2⁽¹⁾ + X⁽²⁾ dt2⁽²⁾ + X⁽³⁾ dt2⁽³⁾" in lines(e)
    np.testing.assert_allclose(e.gradients["dw"], X @ (A.numpy() - Y).T / 3, rtol=1e-12)


def by_name(explanation: Explanation, name: str) -> str:
    """The backward row of a name, as text."""
    (row,) = (row for row in explanation.backward if row.name == name)
    return " = ".join(side.text for side in row.sides if side is not None)


@pytest.mark.parametrize("cost", ["mean", "-1/m", "logits", "penalised"])
def test_M23_the_convention_of_the_course(cost: str) -> None:
    rng, m = np.random.default_rng(0), 5
    X, Y = rng.normal(size=(2, m)), np.array([[0.0, 1, 1, 0, 1]])
    w, b = Tensor(rng.normal(size=(2, 1))), Tensor(0.5)
    Z = np.dot(w.T, X) + b
    A = tg.sigmoid(Z)
    L = Y * np.log(A) + (1 - Y) * np.log(1 - A)
    if cost == "-1/m":
        J = (-1 / m) * np.sum(L)
    elif cost == "logits":
        J = tg.binary_cross_entropy_with_logits(Z, Y)
    else:
        J = -np.mean(L) + (0.3 / (2 * m) * np.sum(w**2) if cost == "penalised" else 0.0)
    ours, theirs = explain(J), explain(J, convention="course")
    np.testing.assert_allclose(theirs.gradients["dZ"], A.data - Y, rtol=1e-12, atol=1e-12)  # dZ = A − Y
    np.testing.assert_allclose(theirs.gradients["dZ"], m * ours.gradients["dZ"], rtol=1e-12)
    for parameter in ("dw", "db"):  # dw = (1/m) X dZᵀ: the factor is written, the number is that of autodiff
        np.testing.assert_array_equal(theirs.gradients[parameter], ours.gradients[parameter])
        assert "(1/m)" in by_name(theirs, parameter[1:])
    assert by_name(theirs, "Z").startswith("dZ = m dJ/dZ = ")
    assert "m = 5" in theirs.text() and "m = 5" not in ours.text()
    if cost == "logits":
        assert "(σ(Z) − Y)" in by_name(theirs, "Z")
    else:
        assert "dA ⊙ A ⊙ (1 − A)" in by_name(theirs, "Z")
    assert r"\frac{1}{m} \cdot X" in theirs.latex()


def test_M23_the_convention_in_a_network() -> None:
    rng, m = np.random.default_rng(1), 4
    X, Y = rng.normal(size=(3, m)), rng.integers(0, 2, (1, m)).astype(float)
    W1, b1 = Tensor(rng.normal(size=(4, 3))), Tensor(np.zeros((4, 1)))  # as many units as examples
    W2, b2 = Tensor(rng.normal(size=(1, 4))), Tensor(np.zeros((1, 1)))
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    J = tg.binary_cross_entropy_with_logits(Z2, Y)
    found = explain(J, convention="course").gradients
    dZ2 = 1 / (1 + np.exp(-Z2.data)) - Y
    dZ1 = W2.data.T @ dZ2 * (1 - A1.data**2)
    for key, expected in {"dZ2": dZ2, "dZ1": dZ1, "dA1": W2.data.T @ dZ2, "dW2": dZ2 @ A1.data.T / m, "dW1": dZ1 @ X.T / m,
                           "db2": dZ2.sum(axis=1, keepdims=True) / m, "db1": dZ1.sum(axis=1, keepdims=True) / m}.items():
        np.testing.assert_allclose(found[key], expected, rtol=1e-12, atol=1e-12)


def test_M23_without_a_mean_the_convention_changes_nothing() -> None:
    x = Tensor([1.0, 2.0])
    J = (x * x).sum()
    plain, course = explain(J), explain(J, convention="course")
    assert course.text().startswith(plain.text()) and "changes nothing" in course.text()
    with pytest.raises(ValueError, match='write "course"'):
        explain(J, convention="notes")


def test_rows_as_examples() -> None:
    X, W = np.arange(6.0).reshape(3, 2), Tensor([[1.0, 2.0], [3.0, 4.0]])
    Z = X @ W
    J = Z.sum()
    assert "= X⁽¹⁾ᵀ dZ⁽¹⁾ + X⁽²⁾ᵀ dZ⁽²⁾ + X⁽³⁾ᵀ dZ⁽³⁾" in lines(explain(J))
    assert "X⁽ⁱ⁾ is row i of X, the i-th example." in str(explain(J))


# ---------------------------------------------------------------- arrays

def network(m: int = 400) -> dict[str, Tensor]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2, m))
    Y = (X[:1] * X[1:] > 0) * 1.0
    W1, b1 = Tensor(rng.normal(size=(4, 2)), name="W1"), Tensor(np.zeros((4, 1)), name="b1")
    W2, b2 = Tensor(rng.normal(size=(1, 4)), name="W2"), Tensor(np.zeros((1, 1)), name="b2")
    X, Y = Tensor(X, requires_grad=False, name="X"), Tensor(Y, requires_grad=False, name="Y")
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = tg.sigmoid(Z2)
    J = -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
    for short, node in {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}.items():
        node.name = short
    return {"J": J, "W1": W1, "b1": b1, "W2": W2, "b2": b2, "Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}


def test_a_network_in_formulas_and_shapes() -> None:
    net = network()
    J = net["J"]
    said = lines(explain(J))
    for line in [
        "dW1 = dJ/dW1 = dJ/dt1 @ Xᵀ (4, 400) @ (400, 2) → (4, 2)",
        "db1 = dJ/db1 = Σ(dJ/dZ1, axis=1) (4, 400) → (4, 1)",
        "dZ1 = dJ/dZ1 = dJ/dA1 ⊙ (1 − A1²) (4, 400)",
        "dA1 = dJ/dA1 = W2ᵀ @ dJ/dt2 (4, 1) @ (1, 400) → (4, 400)",
        "dZ2 = dJ/dZ2 = dJ/dA2 ⊙ A2 ⊙ (1 − A2) (1, 400)",
        "Z1 = t1 + b1 (4, 400)",
        "t1 = W1 @ X (4, 2) @ (2, 400) → (4, 400)",
    ]:
        assert line in said


def test_the_numbers_are_those_of_backward() -> None:
    net = network()
    J = net["J"]
    e = explain(J)
    J.backward()
    for key in ("W1", "b1", "W2", "b2", "Z1", "A1", "Z2", "A2"):
        np.testing.assert_array_equal(e.gradients[f"d{key}"], net[key].grad)


def test_nothing_is_changed() -> None:
    a, b, c, J = graph()
    J.backward()
    explain(J)
    assert (a.grad, b.grad, c.grad) == (3, 6, 9)
    a, b, c, J = graph()
    explain(J)
    assert a.grad is b.grad is c.grad is None
    J.backward()
    assert b.grad == 6


def test_an_array_gets_weights() -> None:
    w = Tensor([1.0, 2.0], name="w")
    z = w * w
    e = explain(z, gradient=[1.0, 10.0])
    assert "dw = dS/dw = dS/dz ⊙ w + dS/dz ⊙ w = [2, 40] (2,)" in lines(e)
    np.testing.assert_array_equal(e.gradients["dw"], [2, 40])
    assert "S is the sum of gradient ⊙ z" in str(e)


def test_a_number_gets_a_weight() -> None:
    x = Tensor(3.0, name="x")
    y = x * x
    e = explain(y, gradient=10.0)
    assert "dx = dS/dx = dS/dy · dy/dx = 10 · 6 = 60" in lines(e)


def test_an_array_without_weights_is_shown_forward() -> None:
    w = Tensor([1.0, 2.0], name="w")
    z = w * 2
    e = explain(z)
    assert not e.backward
    assert not e.gradients
    assert "z = w · 2 = [1, 2] · 2 = [2, 4] (2,)" in lines(e)
    assert "explain(z.sum())" in str(e)
    with pytest.raises(tg.errors.GradientError, match=r"explain: z has shape \(2,\), and only a single number"):
        explain(z, w)


@pytest.mark.parametrize(("f", "formula"), [
    (lambda W, x: (W @ x)[0], "x"),
    (lambda W, x: tg.relu(W).sum(), "(W > 0)"),
    (lambda W, x: (W.T @ x).sum(), "(col(dJ/dt2) ⊙ x)ᵀ"),
    (lambda W, x: tg.where(W > 1, W, 0.0).sum(), "where(mask"),
    (lambda W, x: W[:, 0].sum(), "put(dJ/dt1, at [:, 0])"),
    (lambda W, x: W.max(), "W == J"),
], ids=["matvec", "relu", "transpose", "where", "index", "max"])
def test_rules_of_arrays(f: Any, formula: str) -> None:
    W, x = Tensor([[1.0, 2.0], [3.0, 4.0]], name="W"), np.array([1.0, 1.0])
    J = f(W, x)
    e = explain(J)
    assert formula in str(e)
    J.backward()
    np.testing.assert_allclose(e.gradients["dW"], W.grad)


# ---------------------------------------------------------------- paths

def test_paths_are_summed() -> None:
    x = Tensor(2.0, name="x")
    u, v = x * 3, x * x
    J = u * v
    row = next(line for line in lines(explain(J)) if line.startswith("dx ="))
    assert row == "dx = dJ/dx = dJ/du · du/dx + dJ/dv · dv/dx = 4 · 3 + 6 · 4 = 36"


def test_a_step_beside_a_path_is_partial() -> None:
    x = Tensor(2.0, name="x")
    y = x * x
    J = y * x
    e = explain(J)
    assert "dx = dJ/dx = dJ/dy · dy/dx + ∂J/∂x = 2 · 4 + 4 = 12" in lines(e)
    assert "∂u/∂x is the derivative by one step alone" in str(e)


def test_many_paths_become_a_sum_over_users() -> None:
    J = x = Tensor(0.5, name="x")
    for _ in range(40):  # 2 to the 40 paths
        J = J * 0.5 + tg.tanh(J) * 0.5
    e = explain(J)
    J.backward()
    assert e.gradients["dx"] == x.grad
    row = next(r for r in e.backward if r.name == "x")
    assert text_of(row.sides[2]).count("·") == 2
    assert max(map(len, str(e).splitlines())) < 200


def test_many_users_are_cut() -> None:
    x = Tensor(1.0, name="x")
    J: Any = 0.0
    for k in range(50):
        J = J + x * k
    e = explain(J)
    row = next(r for r in e.backward if r.name == "x")
    assert "(44 more)" in text_of(row.sides[2])
    assert e.gradients["dx"] == sum(range(50))


def test_a_large_graph_is_capped_and_nothing_recurs() -> None:
    y = x = Tensor(1.0, name="x")
    for _ in range(20_000):
        y = y * 1.0 + 0.0
    e = explain(y, max_rows=10)
    assert len(str(e).splitlines()) < 60
    assert "39,991 more (max_rows=10)" in str(e)
    assert e.gradients["dx"] == 1.0
    assert e.latex()
    assert e.markdown()
    del x, y, e


def test_a_guard_that_never_holds_is_not_shown() -> None:
    x, p = Tensor([1.0, 2.0], name="x"), Tensor([2.0, 3.0], name="p")
    J = (x**p).sum()
    assert "dx = dJ/dx = dJ/dt1 ⊙ p ⊙ x^(p − 1) = [2, 12] (2,)" in lines(explain(J))
    x, p = Tensor([0.0, 2.0], name="x"), Tensor([0.0, 3.0], name="p")
    assert "where(" in str(explain((x**p).sum()))


def test_a_long_formula_has_a_short_name() -> None:
    x = Tensor(0.5, name="x")
    assert "sinc′(x)" in str(explain(tg.sinc(x)))


def test_zero_derivatives() -> None:
    x = Tensor(2.5, name="x")
    e = explain(tg.floor(x) * 2)
    assert e.gradients["dx"] == 0


def test_a_leaf_alone() -> None:
    x = Tensor(2.5, name="x")
    assert lines(explain(x)) == ["Forward", "x = 2.5", "", "Backward, from dx/dx = 1", "dx = dx/dx = 1"]


# ---------------------------------------------------------------- errors

def test_errors_say_what_to_type() -> None:
    a, b, c, J = graph()
    with pytest.raises(tg.errors.NamesError, match="There is b"):
        explain(J, "bb")
    stranger = Tensor(1.0, name="stranger")
    with pytest.raises(tg.errors.NamesError, match="stranger is not in the graph of J"):
        explain(J, stranger)
    with pytest.raises(TypeError, match="float given"):
        explain(3.0)  # type: ignore[arg-type]
    k = Tensor(2.0, requires_grad=False, name="k")
    with pytest.raises(tg.errors.GradientError, match="k is a constant"):
        explain(J * k, k)
    with tg.no_grad():
        frozen = a * 2
    with pytest.raises(tg.errors.GradientError, match="frozen is a constant"):
        explain(frozen, "frozen")
    assert "nothing to explain backward" in str(explain(frozen))
    a.data = 7.0
    with pytest.raises(tg.errors.StaleError, match="a was changed"):
        explain(J)


def test_under_no_grad() -> None:
    a, b, c, J = graph()
    with tg.no_grad():
        assert str(explain(J)) == GOLDEN


# ---------------------------------------------------------------- names

def test_short_names_keep_clear_of_others() -> None:
    u = np.array(7.0)
    v = Tensor(1.0)
    J = (v * 2 + u) * v
    names = list(name_nodes(J).values())
    assert len(set(names)) == len(names)
    assert names.count("v") == 1


def test_short_names_are_not_those_of_constants() -> None:
    u = np.array([1.0, 2.0])
    x = Tensor(3.0)
    J = (x * 2) * u.sum() + (x * u).sum()
    assert "u" not in name_nodes(J).values()


HOSTILE = ["</script><script>alert(1)</script>", "a|b", "$x$", "a_b^c", "100%", "#1 & #2", "{}", "\\input{/etc/passwd}", "`rm`",
           "\x1b[31mred", "line\nbreak", "[x](http://example.org)", "~", "'", '"', "", " ", "日本", "σ", "x" * 500, "\u202e",
           "<b>"]


def check_latex(e: Explanation) -> None:
    """Balanced, and nothing unescaped: what LaTeX would stop at."""
    for block in e.latex().split("\n\n"):
        assert block.startswith("\\begin{align*}\n")
        assert block.endswith("\n\\end{align*}")
        for line in block.splitlines()[1:-1]:
            check_formula(line.removesuffix("\\\\").strip(), alignment=True)


def check_formula(written: str, alignment: bool = False) -> None:
    bare = re.sub(r"\\[\\{}$&#%_]", "", written)
    depth = 0
    for c in bare:
        depth += (c == "{") - (c == "}")
        assert depth >= 0, written
    assert depth == 0, written
    assert not set("$#%~`\"\n") & set(bare), written
    assert alignment or "&" not in bare, written
    assert bare.count(r"\left") == bare.count(r"\right"), written
    for command in re.findall(r"\\([A-Za-z]+)", written):
        assert command in COMMANDS, (command, written)


WORDS = """
    frac cdot odot left right top partial mathrm sqrt to ldots sum prod vert lfloor rfloor lceil rceil geq leq neq wedge vee neg
    infty backslash langle rangle sim prime exp log sin cos tan sinh cosh tanh arcsin arccos arctan max min
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega
    Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega
"""
COMMANDS = set(WORDS.split())


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda s: repr(s)[:20])
def test_hostile_names_are_escaped(hostile: str) -> None:
    x = Tensor([[1.0, 2.0]], name=hostile)
    b = Tensor(2.0, name=hostile)
    J = tg.exp(x @ x.T).sum() * b
    e = explain(J)
    check_latex(e)
    shown = e._repr_mimebundle_()
    assert set(shown) == {"text/plain", "text/markdown"}
    markdown = shown["text/markdown"]
    assert "<" not in markdown
    assert "`" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows if row.count("|") != rows[0].count("|")}) <= 1
    for row in rows:
        assert re.sub(r"\\\$", "", row).count("$") % 2 == 0
    assert "\x1b" not in str(e)
    assert "\u202e" not in str(e)
    assert len(max(str(e).splitlines(), key=len)) < 2000


@given(st.text(max_size=20))
def test_any_name_is_safe_in_latex(written: str) -> None:
    check_formula(latex_name(written))


def test_latex_of_all_examples_is_well_formed() -> None:
    check_latex(explain(network()["J"]))
    check_latex(explain(graph()[-1]))


def mathtext() -> Any:
    pytest.importorskip("matplotlib")
    from matplotlib.mathtext import MathTextParser

    return MathTextParser("path")


def test_M3_the_latex_compiles() -> None:
    parser = mathtext()
    a, b, c, J = graph()
    for root in (J, network()["J"]):
        for line in explain(root).latex().splitlines():
            if not line.startswith(("\\begin", "\\end")) and line:
                parser.parse(f"${line.removesuffix(chr(92) * 2).replace('&', '')}$")


def test_markdown_cells_are_formulas() -> None:
    a, b, c, J = graph()
    markdown = explain(J).markdown()
    assert "| name | formula | numbers | value |" in markdown
    row = r"| $db$ | $\frac{dJ}{db}$ | $\frac{dJ}{dv} \cdot \frac{dv}{du} \cdot \frac{du}{db}$ | $3 \cdot 1 \cdot 2$ | $6$ |"
    assert row in markdown.splitlines()
    parser = mathtext()
    for formula in re.findall(r"\$([^$]+)\$", markdown):
        parser.parse(f"${formula}$")


# ---------------------------------------------------------------- notation

a, b, c = Tensor(2.0), Tensor(3.0), Tensor(4.0)
W, X = Tensor(np.ones((2, 3))), Tensor(np.ones((3, 4)))
LETTERS = {a: "a", b: "b", c: "c", W: "W", X: "X1"}

WRITTEN: list[tuple[Any, str, str]] = [
    (lambda: 3 * (a + b * c), "3 · (a + b · c)", r"3 \cdot \left( a + b \cdot c \right)"),
    (lambda: a - (b - c), "a − (b − c)", r"a - \left( b - c \right)"),
    (lambda: a - b - c, "a − b − c", "a - b - c"),
    (lambda: a + -b, "a − b", "a - b"),
    (lambda: a - (-b), "a + b", "a + b"),
    (lambda: -(a * b), "−a · b", r"-a \cdot b"),
    (lambda: -(a + b), "−(a + b)", r"-\left( a + b \right)"),
    (lambda: (-a) ** 2, "(−a)²", r"\left( -a \right)^{2}"),
    (lambda: -(a**2), "−a²", "-a^{2}"),
    (lambda: (a**2) ** 3, "(a²)³", r"\left( a^{2} \right)^{3}"),
    (lambda: a / (b * c), "a / (b · c)", r"\frac{a}{b \cdot c}"),
    (lambda: a / b / c, "a / b / c", r"\frac{\frac{a}{b}}{c}"),
    (lambda: a * (b / c), "a · (b / c)", r"a \cdot \frac{b}{c}"),
    (lambda: a ** (b + c), "a^(b + c)", "a^{b + c}"),
    (lambda: a**-1, "a⁻¹", "a^{-1}"),
    (lambda: a**0.5, "a^0.5", "a^{0.5}"),
    (lambda: a * a * b, "a² · b", r"a^{2} \cdot b"),
    (lambda: 1 * a, "a", "a"),
    (lambda: a * -2.0, "a · (−2)", r"a \cdot \left( -2 \right)"),
    (lambda: tg.exp(-a / b), "exp(−a / b)", r"\exp\left( -\frac{a}{b} \right)"),
    (lambda: tg.sqrt(a + b), "√(a + b)", r"\sqrt{a + b}"),
    (lambda: tg.sqrt(a), "√a", r"\sqrt{a}"),
    (lambda: abs(a - b), "|a − b|", r"\left\vert a - b \right\vert"),
    (lambda: tg.sigmoid(a) ** 2, "σ(a)²", r"\sigma\left( a \right)^{2}"),
    (lambda: tg.maximum(a, b), "max(a, b)", r"\max\left( a, b \right)"),
    (lambda: tg.reciprocal(a + b), "1 / (a + b)", r"\frac{1}{a + b}"),
    (lambda: 1e-12 * a, "1e−12 · a", r"1 \cdot 10^{-12} \cdot a"),
    (lambda: W @ X, "W @ X1", r"W \, X_{1}"),
    (lambda: (W @ X).T, "X1ᵀ @ Wᵀ", r"X_{1}^{\top} \, W^{\top}"),
    (lambda: W.T.T @ X, "W @ X1", r"W \, X_{1}"),
    (lambda: (W * 2).T, "(W · 2)ᵀ", r"\left( W \cdot 2 \right)^{\top}"),
    (lambda: W * W, "W²", "W^{2}"),
    (lambda: W * (W @ X @ X.T), "W ⊙ (W @ X1 @ X1ᵀ)", r"W \odot W \, X_{1} \, X_{1}^{\top}"),
    (lambda: W @ X * (1 - (W @ X) ** 2), "W @ X1 ⊙ (1 − (W @ X1)²)",
     r"W \, X_{1} \odot \left( 1 - \left( W \, X_{1} \right)^{2} \right)"),
    (lambda: W.sum(), "Σ(W)", r"\sum \left( W \right)"),
    (lambda: W.sum(axis=1, keepdims=True), "Σ(W, axis=1)", r"\sum_{\mathrm{axis\ 1}} \left( W \right)"),
    (lambda: W[0, 1:], "W[0, 1:]", r"W_{\mathrm{0,\ 1:}}"),
    (lambda: tg.softmax(W, axis=0), "softmax(W, axis=0)", r"\mathrm{softmax}\left( W, \mathrm{axis=0} \right)"),
    (lambda: a // b, "⌊a / b⌋", r"\left\lfloor \frac{a}{b} \right\rfloor"),
    (lambda: a % b, "a mod b", r"a \,\mathrm{mod}\, b"),
]


@pytest.mark.parametrize(("build", "plain", "in_latex"), WRITTEN, ids=[w[1] for w in WRITTEN])
def test_notation(build: Any, plain: str, in_latex: str) -> None:
    e = expression(build(), LETTERS)
    assert text(e) == plain
    assert latex(e) == in_latex
    check_formula(latex(e))
    mathtext().parse(f"${latex(e)}$")


def test_a_cut_point_stops_the_walk() -> None:
    z = a * b
    y = tg.exp(z) + z
    assert text(expression(y, {z: "z", a: "a"})) == "exp(z) + z"
    assert text(expression(z, {z: "z"})) == "z"


def test_a_primitive_of_ones_own_is_written_by_its_symbol() -> None:
    star = Primitive("star", lambda x, y: x * y, lambda g, _y, _a, b: g * b, lambda g, _y, a, _b: g * a, symbol="★")
    hook = Primitive("hook", lambda x: x, lambda g, _y, _x: g, symbol="⟨{0}⟩")
    odd = Primitive("f_x{}", lambda x: x, lambda g, _y, _x: g)
    assert text(expression(star(a + b, c), LETTERS)) == "(a + b) ★ c"
    assert text(expression(hook(a + b), LETTERS)) == "⟨(a + b)⟩"
    assert text(expression(odd(a), LETTERS)) == "f_x{}(a)"
    for op in (star(a, b), hook(a), odd(a)):
        check_formula(latex(expression(op, LETTERS)))


def test_symbols_hold_together() -> None:
    x, t = Tensor([0.5, -1.0], name="x"), Tensor([1.0, 0.0], name="t", requires_grad=False)
    error = tg.binary_cross_entropy_with_logits(x, t, reduction="none")
    assert "⊙ (σ(x) − t)" in by_name(explain(error.sum()), "x")
    between = tg.primitive(lambda g, y, a, b: g, lambda g, y, a, b: g, kind="pointwise", symbol="{0} ⊞ {1}")(lambda a, b: a + b)
    assert text(expression(between(x, t) * t, {x: "x", t: "t"})) == "(x ⊞ t) ⊙ t"


def test_every_symbol_has_a_latex_form() -> None:
    for op in TABLE.values():
        if op.symbol is not None:
            x = [Expression("name", (), (2, 2), {"text": n, "latex": n, "strength": 50}) for n in "abc"][: len(op.rules)]
            assert "?" not in latex(Expression(op.name, x, (2, 2), {"exponent": 3, "index": 0}, op.symbol)), op.name


def test_a_formula_of_any_size_is_cut_short() -> None:
    y = a
    for _ in range(100):
        y = y * (y + 1e-9) * 1e-9
    assert len(text(expression(y, LETTERS))) < 10_000
    deep = a
    for _ in range(5000):
        deep = tg.tanh(deep)
    assert len(latex(expression(deep, LETTERS))) < 50_000


@pytest.mark.parametrize(("value", "shown"), [
    (33.0, "33"), (-0.5, "−0.5"), (1 / 3, "0.333333"), (1e-12, "1e−12"), (1.5e20, "1.5e20"), (12345678.0, "12345678"),
    (float("nan"), "nan"), (float("inf"), "inf"), (True, "true"), (np.float32(0.1), "0.1"), (0.0, "0"), (-0.0, "0"),
])
def test_numbers(value: Any, shown: str) -> None:
    assert number_text(value) == shown


@pytest.mark.parametrize(("plain", "in_latex"), [
    ("W1", "W_{1}"), ("b_2", "b_{2}"), ("alpha", r"\alpha"), ("sigma2", r"\sigma_{2}"), ("dZ1", "dZ_{1}"), ("x", "x"),
    ("learning_rate", r"\mathrm{learning\_rate}"), ("σ", r"\sigma"), ("yhat", r"\mathrm{yhat}"), ("Ws[0]", r"\mathrm{Ws[0]}"),
])
def test_latex_names(plain: str, in_latex: str) -> None:
    assert latex_name(plain) == in_latex


def test_ascii() -> None:
    assert in_ascii("dJ/dZ ⊙ A² − (∂J/∂x)ᵀ → X⁽¹⁾ · a⁻¹²") == "dJ/dZ * A^2 - (dJ/dx).T -> X^(1) * a^-12"
    a, b, c, J = graph()
    assert explain(J).text(plain=True).isascii()


# ---------------------------------------------------------------- formulas mean what they say

OPERATIONS: dict[str, Any] = {"Σ": np.sum, "σ": tg.sigmoid, "exp": np.exp, "log": np.log, "tanh": np.tanh, "sin": np.sin,
                              "cos": np.cos, "cosh": np.cosh, "sinh": np.sinh, "max": np.maximum}


def as_python(written: str) -> str:
    """A formula of numbers as Python writes it."""
    written = written.replace("−", "-").replace("·", "*").replace("⊙", "*").replace("^", "**").replace("σ", "sigmoid")
    written = re.sub("([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda m: "**(" + m[0].translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")) + ")",
                     written)
    written = re.sub(r"√(\w+)", r"sqrt(\1)", written).replace("√(", "sqrt(")
    return re.sub(r"\|([^|]*)\|", r"abs(\1)", written)


@given(st.integers(0, 10**6))
def test_the_text_of_a_formula_computes_the_value(seed: int) -> None:
    """Parentheses are neither missing nor wrong: Python reads the text back to the same number."""
    rng = random.Random(seed)
    leaves = {x: Tensor(rng.uniform(0.5, 2.0)) for x in string.ascii_lowercase[:4]}
    pool: list[Any] = list(leaves.values())
    for _ in range(6):
        x, y = rng.choice(pool), rng.choice([*pool, 2.0, -1.5, 1.0])
        pool.append(rng.choice([
            lambda x=x, y=y: x + y, lambda x=x, y=y: x - y, lambda x=x, y=y: x * y, lambda x=x, y=y: x / y,
            lambda x=x, y=y: y - x, lambda x=x, y=y: -x, lambda x=x, y=y: x**2, lambda x=x, y=y: x**-3,
            lambda x=x, y=y: tg.tanh(x), lambda x=x, y=y: abs(x), lambda x=x, y=y: tg.sigmoid(x),
        ])())
    y = pool[-1]
    with np.errstate(all="ignore"):
        for simplify in (True, False):
            written = text(expression(y, {t: x for x, t in leaves.items()}, simplify=simplify))
            if "…" in written or not np.isfinite(y.value):
                continue
            found = evaluate(as_python(written), {x: float(t.value) for x, t in leaves.items()})
            assert found == pytest.approx(float(y.value), rel=1e-9), written


def evaluate(written: str, values: dict[str, float]) -> float:
    """By the package's own reader of expressions, which evaluates nothing as code."""
    from tinygrad_edu.__main__ import Reader

    _, value = Reader(written, {k: Tensor(v) for k, v in values.items()}).run()
    return float(value.value if type(value) is Tensor else value)


@pytest.mark.parametrize("sample", zoo.SAMPLES, ids=str)
def test_the_rule_that_is_shown_is_the_rule_that_runs(sample: zoo.Sample) -> None:
    """Reading a rule on stand-ins gives the value of the rule on numbers, and a formula that can be printed."""
    args = [Tensor(x) if i in sample.variables else x for i, x in enumerate(sample.operands)]
    y = sample.op(*args, **sample.params)
    if type(y) is not Tensor or not y.requires_grad:
        return
    stand_ins = [stand_in(x.value) if type(x) is Tensor else x for x in args]
    g, own = stand_in(np.ones(y.shape)), stand_in(y.value)
    names = {own: "y", g: "g"} | {t: f"x{i}" for i, t in enumerate(stand_ins) if type(t) is Tensor}
    runs: dict[Tensor, Any] = {y: np.ones(y.shape)[()]}
    with np.errstate(all="ignore"):
        pull([y], runs)
    for i in sample.variables:
        if sample.op.rules_for(len(args))[i] is None:
            continue
        shown = recorded_rule(y, i, g, own, stand_ins)
        value = np.asarray(0.0 if shown is None else shown.value if type(shown) is Tensor else shown)
        x = args[i]
        np.testing.assert_allclose(np.broadcast_to(value, x.shape), np.broadcast_to(runs[x], x.shape), rtol=1e-12)
        e = expression(shown, names)
        assert text(e)
        check_formula(latex(e))


def test_identities_keep_the_value() -> None:
    x = name("x", (2, 3))
    assert simplified(Expression("transpose", (Expression("transpose", (x,), (3, 2)),), (2, 3))) is x
    assert simplified(Expression("sum_to", (x,), (2, 1))).params == {"axis": (1,)}
    assert simplified(Expression("sum_to", (x,), ())).params == {}
    three = name("t", (2, 3, 4))
    swapped = Expression("transpose", (three,), (4, 3, 2))
    assert text(simplified(swapped)) == "transpose(t)"
    assert text(simplified(Expression("transpose", (three,), (2, 4, 3), {"axes": (0, 2, 1)}))) == "tᵀ"
