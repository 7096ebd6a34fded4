"""The drawn graph: what stands in it, that its numbers are right, that it stays readable, and that it is safe."""

from __future__ import annotations

import html
import itertools
import os
import re
import stat
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zoo import SAMPLES

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.errors import DTypeError, MissingExtraError, ShapeError, StaleError, TinygradError
from tinygrad_edu.rules import TABLE
from tinygrad_edu.show import render as rendering
from tinygrad_edu.show import scopes
from tinygrad_edu.show.picture import Picture, PictureError, draw, renderer, scope

GOLDEN = Path(__file__).parent / "golden"
SVG = "{http://www.w3.org/2000/svg}"


# ---------------------------------------------------------------- reading a picture back

def texts(picture: Picture) -> list[str]:
    """Every piece of text in the rendered picture."""
    return ["".join(t.itertext()) for t in ElementTree.fromstring(picture.svg).iter(SVG + "text")]


def plain(label: str) -> list[str]:
    """The rows of a node's label, without markup."""
    return [html.unescape(re.sub("<[^>]*>", "", row)) for row in re.findall("<TR><TD[^>]*>(.*?)</TD></TR>", label)]


class Read:
    """A picture's DOT, parsed by Graphviz: rows of text by node, and the arrows."""

    def __init__(self, picture: Picture) -> None:
        import pygraphviz

        graph = pygraphviz.AGraph(string=picture.dot)
        self.rows = {str(n): plain(n.attr["label"]) for n in graph.nodes()}
        self.looks = {str(n): dict(n.attr) for n in graph.nodes()}
        self.forward: list[tuple[str, str]] = []
        self.back: list[tuple[str, str, str]] = []  # tail and head of the forward arrow, local derivative
        self.turns: list[tuple[str, str]] = []
        for tail, head, attributes in re.findall(r"(n\d+) -> (n\d+) \[(.*)\]", picture.dot):
            if "dir=back" in attributes:
                found = re.search("label=<(.*?)>", attributes)
                self.back.append((self.title(tail), self.title(head), found[1].replace("&#160;", "") if found else ""))
            elif "constraint=false" in attributes:
                self.turns.append((self.title(tail), self.title(head)))
            else:
                self.forward.append((self.title(tail), self.title(head)))
        for tail, head in re.findall(r"(n\d+) -> (n\d+)$", picture.dot, re.MULTILINE):
            self.forward.append((self.title(tail), self.title(head)))
        self.clusters = [plain(f"<TR><TD>{label}</TD></TR>")[0]
                         for label in re.findall(r"graph \[label=<(.*?)> labelloc", picture.dot)]

    def title(self, node: str) -> str:
        return self.rows[node][0].split(" =")[0]

    def of(self, title: str) -> list[str]:
        (rows,) = [rows for rows in self.rows.values() if rows[0].split(" =")[0] == title]
        return rows


def value(text: str) -> float:
    return float(text.replace("−", "-"))


# ---------------------------------------------------------------- the pictures of the notes

def computation_graph() -> Tensor:
    a, b, c = Tensor(5, name="a"), Tensor(3, name="b"), Tensor(2, name="c")
    u = b * c
    u.name = "u"
    v = a + u
    v.name = "v"
    return 3 * v


def logistic_unit() -> Tensor:
    w, b = Tensor([2.0, 3.0, -1.0], name="w"), Tensor(0.5, name="b")
    x, y = Tensor([0.9, 0.2, 0.3], name="x", requires_grad=False), 1
    z = np.dot(w, x) + b
    z.name = "z"
    a = tg.sigmoid(z)
    a.name = "a"
    L = -(y * np.log(a) + (1 - y) * np.log(1 - a))
    L.name = "L"
    return L


def network(sizes: list[int], scoped: bool) -> Tensor:
    """A network of tanh layers with a squared cost, its numbers from a formula."""
    m = 4
    A: Any = np.sin(np.arange(sizes[0] * m)).reshape(sizes[0], m)
    A = Tensor(A, name="X", requires_grad=False)
    for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes), start=1):
        W = Tensor(np.cos(np.arange(n_in * n_out)).reshape(n_out, n_in), name=f"W{i}")
        b = Tensor(np.zeros((n_out, 1)), name=f"b{i}")
        if scoped:
            with scope(f"layer {i}"):
                A = np.tanh(W @ A + b)
        else:
            A = np.tanh(W @ A + b)
        A.name = f"A{i}"
    return np.mean((A - 1) ** 2)


def shared() -> Tensor:
    a, w = Tensor(2.0, name="a"), Tensor(3.0, name="w")
    s = a + a
    s.name = "s"
    p = w * s
    p.name = "p"
    q = w - p
    q.name = "q"
    return p * q


PICTURES = {
    "computation_graph": computation_graph,
    "logistic_unit": logistic_unit,
    "two_layers": lambda: network([3, 4, 1], True),
    "twelve_layers": lambda: network([3] + [5] * 11 + [1], True),
    "twelve_layers_without_scopes": lambda: network([3] + [5] * 11 + [1], False),
    "shared": shared,
}


@pytest.mark.parametrize("name", PICTURES)
def test_golden(name: str) -> None:
    # TINYGRAD_EDU_WRITE_GOLDEN=1 writes the files anew; look at them before they are committed
    dot = draw(PICTURES[name]()).dot
    file = GOLDEN / f"{name}.dot"
    if os.environ.get("TINYGRAD_EDU_WRITE_GOLDEN"):
        file.write_text(dot, encoding="utf-8")
    assert dot == file.read_text(encoding="utf-8")


def test_M1_the_computation_graph() -> None:
    a, b, c = Tensor(5), Tensor(3), Tensor(2)
    u = b * c
    v = a + u
    J = 3 * v
    read = Read(draw(J))
    assert read.of("J") == ["J = 3 · v", "33", "dJ/dJ = 1"]
    assert read.of("v") == ["v = a + u", "11", "dv = dJ/dv = 3"]
    assert read.of("u") == ["u = b · c", "6", "du = dJ/du = 3"]
    assert read.of("a") == ["a", "5", "da = dJ/da = 3"]
    assert sorted(read.forward) == [("3", "J"), ("a", "v"), ("b", "u"), ("c", "u"), ("u", "v"), ("v", "J")]
    assert {label for _, _, label in read.back} == {
        "dJ/dv = 3", "dv/da = 1", "dv/du = 1", "du/db = 2", "du/dc = 3"}
    assert a.grad is b.grad is u.grad is None  # drawing computes for itself


@pytest.mark.parametrize("root", [pytest.param("J", id="M5"), pytest.param("L", id="M5-L")])
def test_the_start_and_the_names_of_derivatives(root: str) -> None:
    a = Tensor(2.0, name="a")
    J = a * a
    J.name = root
    shown = texts(draw(J))
    assert f"d{root}/d{root} = 1" in shown
    assert f"da = d{root}/da = 4" in shown


def test_M19_the_chain_of_a_logistic_unit() -> None:
    w1, x1, w2, x2, b, y = Tensor(0.1), 2.0, Tensor(-0.3), 1.0, Tensor(0.2), 1.0
    z = w1 * x1 + w2 * x2 + b
    a = tg.sigmoid(z)
    L = -(y * np.log(a) + (1 - y) * np.log(1 - a))
    read = Read(draw(L))
    dz = value(read.of("z")[-1].split("= ")[-1])
    assert read.of("z")[-1].startswith("dz = dL/dz = ")
    assert dz == pytest.approx(float(a.value) - 1, rel=1e-4)
    assert value(read.of("w1")[-1].split("= ")[-1]) == pytest.approx(2 * dz, rel=1e-4)
    assert read.of("a")[0] == "a = σ(z)"
    assert read.of("a")[-1].startswith("da = dL/da = −")
    assert ("z", "a") in read.forward
    assert ("z", "a", "da/dz = 0.24938") in read.back


def test_M109_a_neuron() -> None:
    x = np.array([0.9, 0.2, 0.3])
    w, b = Tensor([2.0, 3.0, -1.0]), Tensor(0.5)
    s = np.sum(w * x)
    z = s + b
    a = tg.sigmoid(z)
    read = Read(draw(a))
    assert "Σ" in read.of("s")[0]
    assert read.of("z") == ["z = s + b", "2.6", "dz = da/dz = 0.064358"]
    assert read.of("a")[:2] == ["a = σ(z)", "0.93086"]
    assert {("s", "z"), ("z", "a"), ("b", "z")} <= set(read.forward)
    assert read.of("x")[0] == "x"
    t = np.dot(w, x)
    assert "Σ" in Read(draw(t)).of("t")[0]


def test_M7_an_operand_used_twice_has_two_arrows() -> None:
    a = Tensor(1.0)
    b = a + a
    c = b * b
    read = Read(draw(c))
    assert read.forward.count(("a", "b")) == 2
    assert read.back.count(("a", "b", "db/da = 1")) == 2
    assert read.back.count(("b", "c", "dc/db = 2")) == 2
    assert read.of("a")[-1] == "da = dc/da = 8"


def test_operands_are_in_order() -> None:
    a, b = Tensor(5.0), Tensor(2.0)
    for J, first, second in ((a - b, "a", "b"), (b - a, "b", "a"), (a / b, "a", "b"), (b ** a, "b", "a")):
        picture = draw(J)
        assert Read(picture).forward == [(first, "J"), (second, "J")]
        assert "ordering=in" in picture.dot


@pytest.mark.parametrize("make", [computation_graph, shared])
def test_the_numbers_in_the_picture_obey_the_chain_rule(make: Any) -> None:
    read = Read(draw(make()))
    gradient = {read.title(n): value(rows[-1].split("= ")[-1]) for n, rows in read.rows.items() if len(rows) == 3}
    total = dict.fromkeys(gradient, 0.0)
    for tail, head, label in read.back:
        total[tail] += gradient[head] * value(label.split("= ")[-1])
    total["J"] = 1.0
    assert total == gradient


# ---------------------------------------------------------------- arrays

def test_arrays_show_shape_summary_and_the_step_of_the_chain_rule(rng: np.random.Generator) -> None:
    X, Y = rng.normal(size=(3, 5)), rng.normal(size=(1, 5))
    W1, b1 = Tensor(rng.normal(size=(4, 3))), Tensor(np.zeros((4, 1)))
    W2 = Tensor(rng.normal(size=(1, 4)))
    T = W1 @ X
    Z = T + b1
    A = np.tanh(Z)
    B = W2 @ A
    D = B - Y
    J = np.sum(D * D)
    read = Read(draw(J))
    assert read.of("Z")[0] == "Z = T + b1"
    assert read.of("Z")[1] == f"(4, 5)  {Z.value.min():.3g} to {Z.value.max():.3g}, mean {Z.value.mean():.3g}".replace(
        "-", "−")
    assert read.of("b1")[1] == "(4, 1)  [[0], [0], [0], [0]]"
    assert read.of("A")[2].startswith("dA: ")
    steps = {(tail, head): label for tail, head, label in read.back}
    assert steps["W1", "T"] == "dT @ Xᵀ"
    assert steps["A", "B"] == "W2ᵀ @ dB"
    assert steps["Z", "A"] == "dA ⊙ (1 − A²)"
    assert steps["T", "Z"] == "dZ"
    assert "dZ" in steps["b1", "Z"] and "axis" in steps["b1", "Z"]
    assert ("X", "T") in read.forward and ("X", "T") not in steps
    J.backward()
    low, high = W1.grad.min(), W1.grad.max()
    assert read.of("W1")[2].startswith(f"dW1: {low:.3g} to {high:.3g}, ".replace("-", "−"))


def test_leaves_results_and_constants_look_different() -> None:
    a, X = Tensor(np.ones(3)), np.arange(3.0)
    J = np.sum(a * X)
    read = Read(draw(J))
    looks = {read.title(n): (look.get("fillcolor"), look.get("style")) for n, look in read.looks.items()}
    t = next(name for name in looks if name not in ("a", "X", "J"))
    assert len({looks["a"], looks["X"], looks[t], looks["J"]}) == 4


def test_a_number_that_is_not_finite_stands_out() -> None:
    x = Tensor([1.0, 0.0, 2.0, 3.0, 4.0])
    with np.errstate(divide="ignore"):
        y = np.log(x)
    J = y.sum()
    picture = draw(J)
    assert Read(picture).of("y")[1] == "(5,)  1 ∞ of 5"
    assert '<FONT COLOR="#C2185B"><B>  1 ∞ of 5' in picture.dot
    assert "#C2185B" not in draw(computation_graph()).dot


def test_empty_integer_and_float32_arrays(rng: np.random.Generator) -> None:
    e = Tensor(np.zeros((0, 3)))
    assert Read(draw(e.sum())).of("e")[1] == "(0, 3)  empty"
    h = Tensor(np.ones(5), dtype=np.float32)
    i = np.arange(5)
    assert "all 1" in Read(draw(np.sum(h * i))).of("h")[1]


def test_rules_with_comparisons_and_many_operands_are_drawn(rng: np.random.Generator) -> None:
    x = Tensor(rng.normal(size=(3, 4)))
    y = tg.relu(x)
    z = np.concatenate([y, y[1:], np.maximum(x, 0.5)])
    w = np.stack([Tensor(float(k)) for k in range(9)])
    J = z.sum() + w.sum() + np.einsum("ij,ij->", x, x)
    picture = draw(J)
    picture.render("svg")
    assert "concatenate(" in str(picture)
    assert "…" in Read(picture).of("w")[0]


@pytest.mark.parametrize("name", sorted({s.name for s in SAMPLES}))
def test_every_primitive_is_drawn(name: str) -> None:
    for sample in SAMPLES:
        if sample.name != name:
            continue
        operands = [Tensor(x) if i in sample.variables else x for i, x in enumerate(sample.operands)]
        with np.errstate(all="ignore"):
            y = TABLE[name](*operands, **sample.params)
        picture = draw(y, gradient=np.ones(y.shape))
        read = Read(picture)
        if "×" in picture.dot and any("…" in tail for tail, _, _ in read.back):
            continue  # more alike operands than are drawn apart
        assert len({tail for tail, _, _ in read.back}) == len(operands) - sum(type(x) is not Tensor for x in operands)
        assert all("error" not in label for _, _, label in read.back)
        assert picture.dot.count("->") >= 2 * len(read.back)


def test_a_rule_that_knows_arrays_only_is_drawn_too() -> None:
    @tg.primitive(lambda g, y, x: g * np.asarray(np.i0(x)), kind="pointwise")
    def bessel(x: Any) -> Any:
        return np.cumsum(x)

    a = Tensor(np.ones(6))
    t = bessel(a)
    J = t.sum()
    assert ("a", "t", "dt · dt/da") in Read(draw(J)).back


# ---------------------------------------------------------------- with and without derivatives

def test_gradients_false_leaves_them_out() -> None:
    J = computation_graph()
    picture = draw(J, gradients=False)
    read = Read(picture)
    assert read.of("v") == ["v = a + u", "11"]
    assert read.back == [] and "dJ" not in str(picture)
    assert sorted(read.forward) == sorted(Read(draw(J)).forward)


def test_an_array_shows_values_only_unless_a_gradient_is_given() -> None:
    x = Tensor([1.0, 2.0])
    y = x * x
    assert Read(draw(y)).back == []
    assert any("gradient=" in text for text in texts(draw(y)))
    read = Read(draw(y, gradient=[1.0, 10.0]))
    assert read.of("x")[-1] == "dx = [2, 40]"
    assert read.of("y")[-1] == "dy: given, [1, 10]"
    with pytest.raises(ShapeError, match=r"^draw: the gradient has shape \(3,\), the result \(2,\)"):
        draw(y, gradient=np.ones(3))


def test_the_users_gradients_stay_as_they_are() -> None:
    a = Tensor(2.0)
    b = a * a
    J = b * 3
    J.backward()
    before = a.grad, b.grad, J.grad
    picture = draw(J)
    assert (a.grad, b.grad, J.grad) == before
    J.backward()
    assert a.grad == 24.0
    assert draw(J).dot == picture.dot


def test_drawing_warns_of_nothing_and_repeats_no_warning() -> None:
    x = Tensor(0.0)
    J = np.sqrt(x)
    assert "∞" in str(draw(J))  # the derivative 1/(2·0) is computed without a warning; warnings are errors here


def test_a_leaf_alone_and_a_result_that_was_not_recorded() -> None:
    a = Tensor(2.0)
    assert str(draw(a)).split() == ["a", "2", "da/da", "=", "1"]
    with tg.no_grad():
        J = a * 3
    picture = draw(J)
    assert str(picture).split() == ["J", "6"]
    assert any("no graph to draw" in text for text in texts(picture))


def test_a_changed_leaf_is_refused() -> None:
    w = Tensor(2.0, name="w")
    J = w * w
    w.data -= 0.5
    with pytest.raises(StaleError, match="w was changed"):
        draw(J)


@pytest.mark.parametrize(("what", "error", "message"), [
    (lambda: draw(3.0), DTypeError, r"^draw: got float, which does not know how it was made\. Draw a Tensor: "),
    (lambda: draw(np.ones(3)), DTypeError, "^draw: got ndarray"),
    (lambda: draw(Tensor(1.0), max_nodes=0), ValueError, "^draw: max_nodes is a whole number of boxes, at least 1"),
    (lambda: draw(Tensor(1.0), max_nodes=2.5), ValueError, "not 2.5"),
    (lambda: draw(Tensor(1.0), direction="left"), ValueError, '"right", "down" or "up", not \'left\''),
    (lambda: scope(3), TypeError, 'the label is a text, not int. Write with scope\\("layer 1"\\)'),  # type: ignore[arg-type]
])
def test_what_cannot_be_drawn_says_so(what: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        what()


def test_names_of_the_caller_and_given_names() -> None:
    params = {"W1": Tensor(np.ones((2, 2)))}
    W = params["W1"]
    del W
    Ws = [Tensor(np.ones((2, 2)), name="given")]
    J = np.sum(params["W1"] @ Ws[0])
    titles = {rows[0].split(" =")[0] for rows in Read(draw(J)).rows.values()}
    assert {"W1", "given", "J"} <= titles


# ---------------------------------------------------------------- groups

def test_scopes_are_borders_and_nest() -> None:
    a, b = Tensor(2.0), Tensor(3.0)
    with scope("outer"):
        u = a * b
        with scope("inner"):
            v = u + 1
        w = v * u
    J = w * 2
    picture = draw(J)
    assert Read(picture).clusters == ["outer", "inner"]
    dot = picture.dot
    inner = dot.index("inner")
    closing = dot.index("}", inner)
    assert dot.index("<B>v</B> =") in range(inner, closing)
    assert dot.index("<B>u</B> =") in range(dot.index("outer"), inner)
    assert dot.index("<B>J</B> =") > closing


def test_a_leaf_stands_in_the_group_that_uses_it() -> None:
    W, c = Tensor(2.0), Tensor(3.0)
    with scope("one"):
        u = W * c
    with scope("two"):
        J = u + c
    dot = draw(J).dot
    one = dot[dot.index("<B>one</B>"):dot.index("}", dot.index("<B>one</B>"))]
    assert "<B>W</B>" in one and "<B>c</B>" not in one


def test_a_scope_decorates_a_function_and_survives_an_error() -> None:
    @tg.scope("block")
    def block(x: Tensor) -> Tensor:
        return x * 2

    a = Tensor(1.0)
    assert Read(draw(block(block(a)))).clusters == ["block", "block"]
    with pytest.raises(ZeroDivisionError), scope("broken"):
        raise ZeroDivisionError
    J = a * 3
    assert Read(draw(J)).clusters == []


def test_scopes_that_are_still_open_are_drawn() -> None:
    a = Tensor(1.0)
    with scope("now"):
        J = a * 2
        assert Read(draw(J)).clusters == ["now"]


def test_scopes_of_a_training_loop_take_bounded_memory() -> None:
    w = Tensor(1.0)
    for _ in range(scopes._REMEMBERED + 100):
        with scope("step"):
            pass
    assert len(scopes._closed) == scopes._REMEMBERED
    with scope("last"):
        J = w * 2
    assert Read(draw(J)).clusters == ["last"]


def test_scopes_of_other_threads_do_not_mix_in() -> None:
    opened, done = threading.Event(), threading.Event()
    drawn: list[Picture] = []

    def other() -> None:
        with scope("theirs"):
            opened.set()
            done.wait(10)
            t = Tensor(2.0)
            J = t * 2
        drawn.append(draw(J))
        results.append(J)

    results: list[Tensor] = []
    thread = threading.Thread(target=other)
    thread.start()
    opened.wait(10)
    a = Tensor(1.0)
    with scope("mine"):
        J = a * 2
    done.set()
    thread.join()
    assert Read(draw(J)).clusters == ["mine"]
    assert Read(drawn[0]).clusters == ["theirs"]
    assert Read(draw(results[0])).clusters == ["theirs"]  # also from another thread


# ---------------------------------------------------------------- what is large

def boxes(picture: Picture) -> int:
    return len([rows for rows in Read(picture).rows.values() if not re.fullmatch("[−0-9. …]+", rows[0])])


def test_twelve_layers_collapse_to_twelve_boxes() -> None:
    picture = draw(network([3] + [5] * 11 + [1], True))
    read = Read(picture)
    assert boxes(picture) <= 50
    assert [t for t in (rows[0] for rows in read.rows.values()) if t.startswith("layer")] == [
        f"layer {i}" for i in range(1, 13)]
    assert read.of("layer 5")[1:3] == ["matmul, add, tanh", "with W5 (5, 5), b5 (5, 1)"]
    assert read.of("layer 5")[3].startswith("A5  (5, 4)")
    assert read.of("layer 5")[4].startswith("dA5: ")
    assert ("layer 4", "layer 5") in read.forward
    assert any("39 operations drawn as" in text for text in texts(picture))
    everything = draw(network([3] + [5] * 11 + [1], True), max_nodes=1000)
    assert boxes(everything) == 39 + 24 + 1 and "max_nodes" not in everything.dot


def test_twelve_layers_without_scopes_fold_into_one_that_repeats() -> None:
    picture = draw(network([3] + [5] * 11 + [1], False))
    read = Read(picture)
    assert boxes(picture) <= 15
    assert read.clusters == ["repeated  ×11"]
    assert read.of("W1 … W11  ×11")[1] == "(5, 3), (5, 5)"
    assert read.of("A1 … A11  tanh  ×11")[1] == "(5, 4)"
    assert read.turns == [("A1 … A11  tanh  ×11", "matmul  @  ×11")]
    assert ("A1 … A11  tanh  ×11", next(head for tail, head in read.forward if tail == "W12")) in read.forward


def test_layers_of_different_widths_repeat_too() -> None:
    picture = draw(network(list(range(30, 0, -1)), False), max_nodes=20)
    assert boxes(picture) <= 20
    assert "×29" in picture.dot and "(29, 4) … (1, 4)" in picture.dot


def test_nested_scopes_collapse_from_the_inside() -> None:
    x = Tensor(1.0, name="x")
    y = x
    with scope("network"):
        for i in range(5):
            with scope(f"block {i}"):
                for _ in range(10):
                    y = np.tanh(y)
    read = Read(draw(y * 1, max_nodes=12))
    assert read.clusters == ["network"]
    assert len([rows for rows in read.rows.values() if rows[0].startswith("block")]) == 5


def test_scoped_layers_that_are_too_many_repeat_as_a_whole() -> None:
    x = Tensor(np.ones(5), name="x")
    y = x
    for i in range(100):
        with scope(f"layer {i + 1}"):
            y = np.tanh(y * 2)
    picture = draw(y.sum(), max_nodes=10)
    assert boxes(picture) <= 10
    assert "layer 1 … layer 100" in picture.dot and "×100" in picture.dot


def test_a_loop_over_examples_is_drawn_once() -> None:
    w, b = Tensor(0.1), Tensor(0.0)
    J: Any = 0.0
    for i in range(40):
        J = J + (tg.sigmoid(w * float(i) + b) - 1) ** 2
    J = J / 40
    picture = draw(J)
    read = Read(picture)
    assert read.clusters == ["repeated  ×40"]
    assert read.of("w")[0] == "w"  # one w, shared by the copies
    assert ("add  +  ×40", "add  +  ×40") in read.turns


def test_many_operands_of_one_operation_become_one_box() -> None:
    J = np.sum(np.stack([Tensor(float(k), name=f"x{k}") for k in range(1000)]))
    picture = draw(J)
    assert boxes(picture) == 3
    assert "x0 … x999" in picture.dot and "×1000" in picture.dot


def irregular(n: int) -> Tensor:
    """A graph in which nothing repeats."""
    state = 1
    pool = [Tensor(0.5), Tensor(0.25)]
    for _ in range(n):
        state = state * 1103515245 + 12345 & 0x7FFFFFFF
        a, b = pool[-1], pool[-1 - (state >> 8) % min(len(pool), 5)]
        kind = (state >> 16) % 3
        pool.append(a + b if kind == 0 else np.tanh(a - b) if kind == 1 else np.sin(a) * b)
    return pool[-1]


def test_what_repeats_nowhere_is_folded_from_the_oldest() -> None:
    picture = draw(irregular(3000))
    assert boxes(picture) <= 50
    assert re.search("[0-9 ]+ earlier operations", picture.dot)
    assert any("the earliest are one box" in text for text in texts(picture))


@pytest.mark.parametrize("most", [1, 2, 3, 10])
@pytest.mark.parametrize("make", [lambda: irregular(200), lambda: network([3] + [5] * 11 + [1], True),
                                  lambda: network([3] + [5] * 11 + [1], False), computation_graph])
def test_any_limit_gives_a_picture(make: Any, most: int) -> None:
    picture = draw(make(), max_nodes=most)
    assert boxes(picture) <= max(most, 5)
    ElementTree.fromstring(picture.svg)


def test_a_large_graph_is_drawn_soon_and_without_recursion() -> None:
    x, w = Tensor(0.5), Tensor(0.1)
    y = x
    for _ in range(50_000):
        y = y * w + x
    limit = sys.getrecursionlimit()
    start = time.perf_counter()
    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back  # type: ignore[assignment]
    try:
        sys.setrecursionlimit(depth + 100)
        picture = draw(y)
    finally:
        sys.setrecursionlimit(limit)
    assert time.perf_counter() - start < 20
    assert boxes(picture) <= 10 and "×50000" in picture.dot and "100 000 operations" in picture.dot


# ---------------------------------------------------------------- the same graph, the same bytes

def test_equal_graphs_give_equal_bytes_in_any_process() -> None:
    program = ("import sys; sys.path[:0] = sys.argv[1:]; import test_picture as t; "
               "sys.stdout.buffer.write(b''.join(t.draw(t.PICTURES[n]()).dot.encode() for n in t.PICTURES))")
    where = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
    out = [subprocess.run([sys.executable, "-c", program, *where], env={**os.environ, "PYTHONHASHSEED": seed},
                          capture_output=True, check=True).stdout for seed in ("1", "2")]
    assert out[0] == out[1] == "".join(draw(make()).dot for make in PICTURES.values()).encode()


def test_rendering_twice_gives_equal_svg() -> None:
    first, second = (draw(make()).svg for make in (shared, shared))
    assert first == second


# ---------------------------------------------------------------- hostile names

HOSTILE = {
    "quote": '"];  evil [label="x', "tag": "<b>bold</b>", "escape": r"\N \G \L \n", "entity": "&amp; & <",
    "lines": "two\nlines\r\t", "long": "x" * 10_000, "control": "\x00\x01\x7f\x1b[31m", "surrogate": "\ud800 lone",
    "direction": "a\u202eb", "empty": "", "blank": " ", "table": "</TD></TR></TABLE>>", "cdata": "]]>",
    "script": "<script>alert(1)</script>", "comment": "--> <!--", "unicode": "σ é ∑",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=list(HOSTILE))
def test_names_are_text_and_nothing_else(name: str) -> None:
    with scope(name):
        a = Tensor(2.0, name=name)
        J = np.exp(a) * 3
        J.name = name + "2"
    picture = draw(J)
    tree = ElementTree.fromstring(picture.svg)
    shown = texts(picture)
    assert len([g for g in tree.iter(SVG + "g") if g.get("class") == "node"]) == 4
    assert len(picture.dot) < 12_000
    assert not [e for e in tree.iter() if e.tag.endswith(("script", "image"))]
    visible = " ".join(name.split())
    if visible.isprintable() and 0 < len(visible) <= 28:
        assert visible in shown
    if name in ("", " "):
        assert "(no name)" in shown
    assert str(picture).count("\n") == 2  # one line each


# ---------------------------------------------------------------- files

@pytest.mark.parametrize(("suffix", "start"), [
    ("svg", b"<?xml"), ("png", b"\x89PNG\r\n\x1a\n"), ("pdf", b"%PDF"), ("dot", b"digraph"), ("SVG", b"<?xml")])
def test_save(tmp_path: Path, suffix: str, start: bytes) -> None:
    place = tmp_path / f"J.{suffix}"
    assert draw(computation_graph()).save(place) == place
    assert place.read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [place.name]
    draw(shared()).save(str(place))  # over what is there


def test_saved_files_have_the_modes_of_ordinary_files(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_text("")
    place = draw(shared()).save(tmp_path / "J.dot")
    assert place.stat().st_mode == (tmp_path / "ordinary").stat().st_mode
    place.chmod(0o600)
    draw(shared()).save(place)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


@pytest.mark.parametrize(("name", "message"), [
    ("J.bmp", r'^save: .*J\.bmp: a picture is saved as \.svg, \.png, \.pdf or \.dot\. Write save\("J\.svg"\)\.$'),
    ("J", r'^save: .*J: a picture is saved as .* Write save\("J\.svg"\)\.$'),
    ("missing/J.dot", r"^save: .*J\.dot cannot be written: No such file or directory\. Choose a folder that exists"),
    ("folder.dot", r"^save: .*folder\.dot cannot be written: it is a folder"),
    ("nul\0.dot", r"^save: .* cannot be written: "),
])
def test_a_file_that_cannot_be_written(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.dot").mkdir()
    with pytest.raises(PictureError, match=message) as caught:
        draw(shared()).save(tmp_path / name)
    assert isinstance(caught.value, TinygradError) and isinstance(caught.value, OSError)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.dot"]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "J.dot"
    place.write_text("before")

    def full(source: Any, target: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(PictureError, match="cannot be written: No space left on device"):
        draw(shared()).save(place)
    assert place.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1


# ---------------------------------------------------------------- notebooks and terminals

def test_a_notebook_gets_svg() -> None:
    picture = draw(computation_graph())
    bundle = picture._repr_mimebundle_(include=None, exclude=None)
    assert bundle["image/svg+xml"].startswith("<svg")
    titles = [t.text for t in ElementTree.fromstring(bundle["image/svg+xml"]).iter(SVG + "title")]
    assert "J" in titles and "v → J" in titles
    assert repr(picture) == ('<Picture of J: 6 boxes, 6 arrows; .save("picture.svg") writes it, '
                             "print() shows it as text>")


def test_a_terminal_gets_a_tree() -> None:
    lines = str(draw(shared())).splitlines()
    assert lines == [
        "J = p · q                −108   dJ/dJ = 1",
        "├ p = w · s              12     dp = dJ/dp = −21",
        "│ ├ w                    3      dw = dJ/dw = −72",
        "│ └ s = a + a            4      ds = dJ/ds = −63",
        "│   └ a                  2      da = dJ/da = −126",
        "└ q = w − p              −9     dq = dJ/dq = 12",
        "  ├ w",
        "  └ p = w · s  (above)",
    ]


# ---------------------------------------------------------------- what renders

def test_pictures_need_no_dot_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pygraphviz = pytest.importorskip("pygraphviz")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert renderer() == f"pygraphviz {pygraphviz.__version__}, in-process"
    for kind in ("svg", "png", "pdf"):
        assert len(draw(shared()).render(kind)) > 500


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for dot is a shell script")
def test_a_dot_on_the_path_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\ncase $1 in -V) echo 'dot - graphviz version 2.50.0 (0)' >&2;;\n"
                       "*) echo '<svg xmlns=\"http://www.w3.org/2000/svg\"><title>n1</title></svg>';; esac\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert renderer() == "dot 2.50.0 on PATH"
    picture = draw(computation_graph())
    assert picture.render("svg").strip() == (
        b'<svg xmlns="http://www.w3.org/2000/svg"><title>b</title></svg>')


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for dot is a shell script")
def test_a_broken_dot_does_not_stand_in_the_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert renderer().startswith("pygraphviz ")
    assert draw(shared()).render("png").startswith(b"\x89PNG")


def test_without_a_renderer_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    picture = draw(computation_graph())
    with pytest.raises(MissingExtraError, match="pip install pygraphviz, or save the picture as"):
        picture.save(tmp_path / "J.svg")
    assert list(tmp_path.iterdir()) == []
    picture.save(tmp_path / "J.dot")
    assert renderer() == "none: pip install pygraphviz"
    bundle = picture._repr_mimebundle_()
    assert list(bundle) == ["text/plain"] and "J = 3 · v" in bundle["text/plain"]
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(MissingExtraError, match="pip install graphviz"):
        draw(computation_graph())


def test_messages_of_the_libraries_reach_stderr_but_for_fontconfigs(capfd: pytest.CaptureFixture[str]) -> None:
    with rendering._without_font_warnings():
        os.write(2, b"Fontconfig warning: an element\nanother message\n")
    assert capfd.readouterr().err == "another message\n"


def test_an_unknown_kind_of_picture() -> None:
    with pytest.raises(PictureError, match=r"^render: bmp is none of svg, png, pdf and dot\."):
        draw(shared()).render("bmp")


def test_importing_the_package_loads_no_renderer() -> None:
    program = ("import sys, tinygrad_edu as tg\n"
               "with tg.scope('s'): J = tg.Tensor(1.0) * 2\n"
               "assert not {'graphviz', 'pygraphviz'} & set(sys.modules), 'loaded early'\n"
               "tg.draw(J)\n"
               "assert 'graphviz' in sys.modules and 'pygraphviz' not in sys.modules")
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parent.parent)


def test_no_derivative_flows_into_constants() -> None:
    """Neither to data held in Tensors nor to the numbers of recorded rules, which are written as numbers."""
    x = Tensor([1.2, 0.7], name="x")
    data = Tensor([3.0, 4.0], requires_grad=False, name="data")
    assert not any("n2 -> n3" in line and "dashed" in line for line in draw((x * data).sum()).dot.splitlines())
    J = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    J.backward(create_graph=True)
    assert isinstance(x.grad, Tensor)
    text = str(draw(x.grad[1]))
    assert "200 · " in text
    assert "x1" not in text


def test_the_mean_of_what_cancels_is_0() -> None:
    """dJ/dz of a cross-entropy sums to nothing; the rounding that is left is not shown as a number."""
    z = Tensor(np.random.default_rng(0).normal(size=(2, 10)), name="z")
    J = tg.cross_entropy(z, np.array([1, 2]))
    text = str(draw(J))
    assert "mean 0" in text and "e−1" not in text
    assert "cross_entropy(z, [1, 2], axis=1)" in text


def test_repeated_pieces_say_which_entries_they_take() -> None:
    lstm = tg.nn.LSTM(2, 3, rng=0)
    text = str(draw(np.mean(lstm(np.ones((6, 4, 2)))[0] ** 2)))
    assert "getitem" not in text
    assert all(f"·[:, {piece}]" in text for piece in ("0:3", "3:6", "6:9", "9:12"))
    assert "·[…]" in text  # one step of the sequence in each turn
