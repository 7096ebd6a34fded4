"""Gradients by hand against autodiff: right ones are called right, and wrong ones explained."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from slips import MISSED, NETWORKS, SLIPS, Slip, by_hand, hit_rate, recorded, table

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.errors import DTypeError, GradientError, NamesError, ShapeError, StaleError
from tinygrad_edu.show.compare import FOLLOWS, RIGHT, SHAPE, UNKNOWN, WRONG, compare
from tinygrad_edu.testing import assert_gradients, assert_matches, grade

ROOT = Path(__file__).resolve().parent.parent
UNEXPLAINED = "no single altered step gives these numbers"


# ---------------------------------------------------------------- the mutation table

def diagnosed(slip: Slip, seed: int = 0) -> tuple[dict[str, str], dict[str, str]]:
    """What is said of a slip, and what should be, both by gradient; of right gradients nothing is said."""
    held = recorded(slip.network, seed)
    hand = by_hand(slip.network, held, slip.wrong)
    found = compare(held["J"], {name: hand[name] for name in NETWORKS[slip.network].hand.split()})
    said = {}
    for row in found.rows:
        if not row.ok:
            said[row.name] = row.diagnosis.removesuffix(" Its numbers are then right.").removeprefix(
                f"{row.name} equals the correct value ")
            said[row.name] = said[row.name] if "shape" in row.verdict else said[row.name].removesuffix(".")
    return said, {name: text for names, text in slip.said.items() for name in names.split()}


@pytest.mark.parametrize("slip", [s for s in SLIPS if s.wrong not in MISSED], ids=lambda s: f"{s.network}: {s.wrong}")
def test_a_slip_is_explained(slip: Slip) -> None:
    said, expected = diagnosed(slip)
    assert said == expected


@pytest.mark.parametrize("slip", [s for s in SLIPS if s.wrong in MISSED], ids=lambda s: f"{s.network}: {s.wrong}")
def test_what_is_missed_is_said_to_be_missed(slip: Slip) -> None:
    said, expected = diagnosed(slip)
    assert list(said) == list(expected)
    assert all(UNEXPLAINED in text for text in said.values())


def test_at_least_95_in_100_slips_are_explained_on_any_data() -> None:
    assert len(SLIPS) >= 40
    missed = []
    for slip in SLIPS:
        said, expected = diagnosed(slip, seed=1)  # other numbers than above
        if said != expected:
            missed.append((slip.wrong, said))
    assert len(missed) <= 0.05 * len(SLIPS), missed


def test_the_page_shows_the_table_and_its_hit_rate() -> None:
    page = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    assert table() in page, "docs/compare.md: python tests/slips.py prints the table"
    assert hit_rate() in page
    assert 1 - len(MISSED) / len(SLIPS) >= 0.95


# ---------------------------------------------------------------- right work

ACTIVATIONS: dict[str, tuple[Any, Any]] = {
    "tanh": (np.tanh, lambda z, a: 1 - a**2), "sigmoid": (tg.sigmoid, lambda z, a: a * (1 - a)),
    "relu": (tg.relu, lambda z, a: (z > 0) * 1.0), "leaky": (tg.leaky_relu, lambda z, a: np.where(z > 0, 1, 0.01)),
    "written out": (lambda z: 1 / (1 + np.exp(-z)), lambda z, a: a * (1 - a)),
    "identity": (lambda z: z * 1.0, lambda z, a: np.ones_like(z)),
}


def random_right_work(seed: int) -> tuple[Any, dict[str, Any], str]:
    """A random network of 1 to 4 layers, its gradients by hand, and the convention they are in."""
    rng = np.random.default_rng(seed)
    L, m = int(rng.integers(1, 5)), int(rng.integers(1, 9))
    sizes = [int(n) for n in rng.integers(1, 6, L + 1)]
    dtype: Any = np.float32 if rng.random() < 0.15 else np.float64
    cost = rng.choice(["cross-entropy", "logits", "softmax", "classes", "squares", "squares of σ"])
    if cost in ("softmax", "classes"):
        sizes[-1] = max(2, sizes[-1])
    scale, lam, form = rng.choice([0.1, 1, 1, 3]), float(rng.choice([0, 0, 0.7, 0.01])), rng.choice(["mean", "sum", "dot"])
    course, half = rng.random() < 0.5, rng.random() < 0.5
    K = sizes[-1]
    held: dict[str, Any] = {}

    def named(name: str, t: Any) -> Any:
        if t.name is None:
            t.name = name
        held[name] = t
        return t

    X = (rng.normal(size=(sizes[0], m)) * scale).astype(dtype)
    W = [None, *((rng.normal(size=(sizes[i], sizes[i - 1])) * scale).astype(dtype) for i in range(1, L + 1))]
    acts = rng.choice(list(ACTIVATIONS), L + 1)
    A: Any = named("A0", Tensor(X)) if rng.random() < 0.2 else X
    Z: Any = None
    for i in range(1, L + 1):
        w, b = named(f"W{i}", Tensor(W[i])), named(f"b{i}", Tensor((rng.normal(size=(sizes[i], 1)) * scale).astype(dtype)))
        Z = named(f"Z{i}", w @ A + b)
        A = named(f"A{i}", ACTIVATIONS[acts[i]][0](Z)) if i < L else A
    if cost in ("softmax", "classes"):
        Y = np.eye(K)[:, rng.integers(0, K, m)].astype(dtype)
    else:
        Y = (rng.normal(size=(K, m)) if cost == "squares" else rng.random((K, m)) < 0.5).astype(dtype)
    per = 1 / (2 * m) if half else 1 / m
    times = 1 if half else 2
    J: Any
    if cost == "cross-entropy":
        A = named(f"A{L}", tg.sigmoid(Z))
        if K == 1 and form == "dot":
            J = np.squeeze(-(1 / m) * (np.dot(Y, np.log(A).T) + np.dot(1 - Y, np.log(1 - A).T)))
        elif K == 1 and form == "mean":
            J = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
        else:
            J = -(1 / m) * np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))
        dZ = A.data - Y
    elif cost == "logits":
        J, dZ = tg.binary_cross_entropy_with_logits(Z, Y, reduction="sum") / m, tg.sigmoid(Z.data) - Y
    elif cost == "softmax":
        A = named(f"A{L}", tg.softmax(Z, axis=0))
        J, dZ = -(1 / m) * np.sum(Y * np.log(A)), A.data - Y
    elif cost == "classes":
        J, dZ = tg.cross_entropy(Z, np.argmax(Y, 0), axis=0), tg.softmax(Z.data, axis=0) - Y
    elif cost == "squares":
        J, dZ = per * np.sum((Z - Y) ** 2), (Z.data - Y) * times
    else:
        A = named(f"A{L}", tg.sigmoid(Z))
        J, dZ = per * np.sum((A - Y) ** 2), (A.data - Y) * times * A.data * (1 - A.data)
    if lam:
        J = J + lam / (2 * m) * sum(np.sum(held[f"W{i}"] ** 2) for i in range(1, L + 1))
    hand = {}
    factor = 1 if course else 1 / m
    for i in range(L, 0, -1):
        before = held[f"A{i - 1}"].data if f"A{i - 1}" in held else X
        hand[f"dZ{i}"] = dZ * factor
        hand[f"dW{i}"] = dZ @ before.T / m + lam / m * W[i]
        hand[f"db{i}"] = np.sum(dZ, axis=1, keepdims=True) / m
        dA = W[i].T @ dZ
        if f"A{i - 1}" in held:
            hand[f"dA{i - 1}"] = dA * factor
        if i > 1:
            dZ = dA * ACTIVATIONS[acts[i - 1]][1](held[f"Z{i - 1}"].data, before)
    asked = [name for name in hand if rng.random() < 0.7] or list(hand)[:1]
    return J, {name: hand[name] for name in asked}, "course" if course else "math"


def test_right_work_is_never_called_wrong() -> None:
    """1 000 random networks, in the convention asked for, and in any where none is asked for."""
    compared = 0
    for seed in range(1000):
        with np.errstate(all="ignore"):
            J, hand, convention = random_right_work(seed)
        for asked in ("auto", convention):
            found = compare(J, hand, convention=asked)
            if not np.isfinite(J.data):
                assert all(row.verdict in (RIGHT, UNKNOWN) for row in found.rows)
                continue
            assert found.ok, f"seed {seed}, {asked}:\n{found}"
            compared += len(found.rows)
    assert compared > 5000


def test_the_other_convention_is_wrong_where_one_is_asked_for() -> None:
    held = recorded("two")
    hand = by_hand("two", held)
    course = compare(held["J"], dZ2=hand["dZ2"], dA1=hand["dA1"], dW1=hand["dW1"], convention="course")
    assert course.ok and course["dZ2"].convention == "course" and course["dW1"].convention == ""
    found = compare(held["J"], dZ2=hand["dZ2"], dW1=hand["dW1"], convention="math")
    assert not found.ok and found["dW1"].ok
    assert found["dZ2"].diagnosis == "dZ2 equals the correct value times m = 6: the factor 1/m is left out."
    assert compare(held["J"], dZ2=hand["dZ2"] / 6, dW1=hand["dW1"], convention="math").ok
    found = compare(held["J"], dZ2=hand["dZ2"] / 6, convention="course")
    assert found["dZ2"].diagnosis == "dZ2 equals the correct value times 1/m = 1/6: 1/m is in it once too often."
    said = str(compare(held["J"], dZ2=hand["dZ2"], dZ1=hand["dZ1"] / 6))
    assert "dZ2: right in the convention of the course: m = 6 times ∂J/∂Z2" in said
    assert "dZ1: right with the factor 1/m in it" in said and "mixed" in said


def test_the_data_has_the_course_s_convention_too_and_parameters_have_not() -> None:
    """X (3, 3) and W (3, 3) have the same shape, and 3 examples; only one of them is the examples."""
    rng = np.random.default_rng(0)
    X, W, Y = Tensor(rng.normal(size=(3, 3))), Tensor(rng.normal(size=(3, 3))), rng.normal(size=(3, 3))
    b = Tensor(rng.normal(size=(3, 1)))
    Z = W @ X + b
    J = 1 / 6 * np.sum((Z - Y) ** 2)
    dZ = Z.data - Y
    assert compare(J, dZ=dZ, dX=W.data.T @ dZ, dW=dZ @ X.data.T / 3, convention="course").ok
    for convention in ("course", "auto"):
        found = compare(J, dW=dZ @ X.data.T, db=np.sum(dZ, 1, keepdims=True), convention=convention)
        assert [row.verdict for row in found.rows] == [WRONG, WRONG]
    rows, c = Tensor(X.data.T), Tensor(b.data.T)  # examples in rows
    Z = rows @ W + c
    dZ = Z.data - Y
    J = 1 / 6 * np.sum((Z - Y) ** 2)
    assert compare(J, dZ=dZ, drows=dZ @ W.data.T, dW=rows.data.T @ dZ / 3, convention="course").ok
    assert not compare(J, dW=rows.data.T @ dZ).ok


def test_saturated_units_are_not_called_wrong() -> None:
    """1 − A² and A (1 − A) keep few digits where A rounds to 1; the fused cost keeps all."""
    z = Tensor(np.array([[14.0, 18.0, -3.0]]))
    J = np.sum(np.tanh(z))
    assert compare(J, dz=1 - np.tanh(z.data) ** 2).ok
    w, X, Y = Tensor([[12.0]]), np.array([[3.0, 2.5, -0.5]]), np.array([[1.0, 1.0, 0.0]])
    Z = w @ X
    J = tg.binary_cross_entropy_with_logits(Z, Y)
    assert compare(J, dZ=1 / (1 + np.exp(-Z.data)) - Y).ok
    assert not compare(J, dZ=(1 / (1 + np.exp(-Z.data)) - Y) * 1.001).ok


def test_nothing_is_changed_by_a_comparison() -> None:
    held = recorded("two")
    hand = by_hand("two", held, "dZ1 = dA1")
    before = {name: hand[name].copy() for name in hand}
    compare(held["J"], {name: hand[name] for name in hand})
    assert all(t.grad is None for t in held.values() if type(t) is Tensor)
    assert all(np.array_equal(before[name], hand[name]) for name in hand)
    held["J"].backward()
    assert np.allclose(held["W2"].grad, hand["dW2"])


# ---------------------------------------------------------------- several mistakes, and what follows from one

def test_what_follows_from_a_wrong_gradient_is_said_to_follow() -> None:
    held = recorded("two")
    hand = by_hand("two", held, "dZ1 = dA1")
    found = compare(held["J"], {name: hand[name] for name in ("dW1", "db1", "dZ1", "dZ2", "dW2", "db2")})
    assert {row.name: row.verdict for row in found.rows} == {
        "dW1": FOLLOWS, "db1": FOLLOWS, "dZ1": WRONG, "dZ2": RIGHT, "dW2": RIGHT, "db2": RIGHT}
    assert found["dZ1"].diagnosis == "dZ1 equals the correct value with the factor (1 − A1²) left out."
    assert found["dW1"].diagnosis == "dW1 follows from dZ1, which is wrong: this step is right."


def test_a_mistake_on_top_of_a_wrong_gradient_is_told_apart() -> None:
    held = recorded("two")
    hand = by_hand("two", held, "dZ2 = dA2\ndW2 = dZ2 @ A1.T")
    found = compare(held["J"], {name: hand[name] for name in ("dZ2", "dW2", "db2")})
    assert found["dZ2"].diagnosis == "dZ2 equals the correct value with the factor (A2 ⊙ (1 − A2)) left out."
    assert found["dW2"].diagnosis == "dW2 equals what follows from dZ2 times m = 6: the factor 1/m is left out."
    assert found["db2"].verdict == FOLLOWS


def test_a_wrong_gradient_that_was_not_used_is_wrong_alone() -> None:
    held = recorded("two")
    hand = by_hand("two", held)
    found = compare(held["J"], dZ1=-hand["dZ1"], dW1=hand["dW1"], dZ2=hand["dZ2"])
    assert [row.verdict for row in found.rows] == [WRONG, RIGHT, RIGHT]
    assert found["dZ1"].diagnosis == "dZ1 equals the correct value with its sign turned."
    found = compare(held["J"], dZ1=-hand["dZ1"], dW1=hand["dW1"] * 6)  # the right dZ1 was used, 1/m was not
    assert found["dW1"].diagnosis == "dW1 equals the correct value times m = 6: the factor 1/m is left out."


def test_one_alteration_that_explains_all_comes_before_several() -> None:
    held = recorded("four")
    hand = by_hand("four", held, "dZ4 = Y - A4")
    found = compare(held["J"], {name: hand[name] for name in NETWORKS["four"].hand.split()})
    assert {row.diagnosis.partition(" equals ")[2] for row in found.rows} == {"the correct value with the sign of dZ4 turned."}


def test_two_slips_in_one_gradient() -> None:
    """An altered step, and a factor on top."""
    held = recorded("two")
    hand = by_hand("two", held, "dZ1 = dA1\ndW1 = dZ1 @ X.T")
    found = compare(held["J"], dW1=hand["dW1"], dW2=hand["dW2"])
    assert found["dW1"].diagnosis == ("dW1 equals the correct value with the factor (1 − A1²) left out of dZ1, and times "
                                      "m = 6: the factor 1/m is left out.")


# ---------------------------------------------------------------- not only the networks of the notes

def attention(Q: Any, K: Any, V: Any) -> Any:
    S = Q @ K.T / np.sqrt(3)
    A = tg.softmax(S, axis=1)
    O = A @ V  # noqa: E741 - the letter of the paper
    return np.sum(O**2) / 2


def attention_by_hand(Q: Any, K: Any, V: Any, scale: float = 3**0.5, axis: int | None = 1, turned: bool = True) -> Any:
    E = np.exp(Q @ K.T / np.sqrt(3))
    A = E / E.sum(1, keepdims=True)
    dA = A @ V @ V.T
    dS = dA if axis is None else A * (dA - (dA * A).sum(axis, keepdims=True))
    return {"dQ": dS @ K / scale, "dK": (dS.T if turned else dS) @ Q / scale, "dV": A.T @ (A @ V)}


@pytest.mark.parametrize(("slip", "said"), [
    ({}, {}),
    ({"scale": 1.0}, {"dQ": "with the factor 1/1.73205 left out of dJ/d(Q @ Kᵀ)",
                      "dK": "with the factor 1/1.73205 left out of dJ/d(Q @ Kᵀ)"}),
    ({"axis": None}, {"dQ": "with the Jacobian of softmax left out of dS",
                      "dK": "with the Jacobian of softmax left out of dS"}),
    ({"axis": 0}, {"dQ": "with the sum over axis 0 in place of axis 1 in dS",
                   "dK": "with the sum over axis 0 in place of axis 1 in dS"}),
    ({"turned": False}, {"dK": "with Qᵀ @ dJ/d(Q @ Kᵀ)ᵀ in place of Qᵀ @ dJ/d(Q @ Kᵀ) in dJ/d(Kᵀ)"}),
], ids=["right", "√d forgotten", "softmax forgotten", "the other axis", "not transposed"])
def test_attention(slip: dict[str, Any], said: dict[str, str]) -> None:
    rng = np.random.default_rng(5)
    arguments = rng.normal(size=(3, 4, 3))
    found = compare(attention, *arguments, **attention_by_hand(*arguments, **slip))
    assert {row.name: row.diagnosis for row in found.rows if not row.ok} == {
        name: f"{name} equals the correct value {text}." for name, text in said.items()}


def residual(W: Any, X: Any, Y: Any) -> Any:
    Z1 = W @ X
    A1 = X + np.tanh(Z1)
    Z2 = W @ A1
    A2 = A1 + np.tanh(Z2)
    return np.sum((A2 - Y) ** 2) / 2


@pytest.mark.parametrize(("skip", "uses", "said"), [
    (1, (1, 1), None), (0, (1, 1), "with the term dA2 left out of dA1"), (1, (1, 0), "without the term dZ1 @ Xᵀ"),
    (1, (0, 1), "without the term dZ2 @ A1ᵀ")], ids=["right", "no skip", "second use only", "first use only"])
def test_a_skip_connection_and_shared_weights(skip: int, uses: tuple[int, int], said: str | None) -> None:
    """Gradients add up where a value is used twice; forgetting one use is found."""
    W, X, Y = np.random.default_rng(5).normal(size=(3, 3, 3))
    A1 = X + np.tanh(W @ X)
    T2 = np.tanh(W @ A1)
    dA2 = A1 + T2 - Y
    dZ2 = dA2 * (1 - T2**2)
    dZ1 = (W.T @ dZ2 + skip * dA2) * (1 - np.tanh(W @ X) ** 2)
    row = compare(residual, W, X, Y, dW=uses[0] * dZ2 @ A1.T + uses[1] * dZ1 @ X.T)["dW"]
    assert row.diagnosis == ("" if said is None else f"dW equals the correct value {said}.")


def batch_norm(X: Any, gamma: Any, beta: Any, T: Any) -> Any:
    mu = X.mean(axis=1, keepdims=True)
    xc = X - mu
    var = (xc**2).mean(axis=1, keepdims=True)
    xhat = xc / np.sqrt(var + 1e-5)
    out = gamma * xhat + beta
    return np.sum(out * T)


def test_batch_normalisation() -> None:
    rng = np.random.default_rng(5)
    X, gamma, beta, T = rng.normal(size=(3, 8)), rng.normal(size=(3, 1)), rng.normal(size=(3, 1)), rng.normal(size=(3, 8))
    xc = X - X.mean(1, keepdims=True)
    s = np.sqrt((xc**2).mean(1, keepdims=True) + 1e-5)
    d, xhat = T * gamma, xc / s
    mean, spread = d.mean(1, keepdims=True), xhat * (d * xhat).mean(1, keepdims=True)
    right = {"dX": (d - mean - spread) / s, "dgamma": (T * xhat).sum(1, keepdims=True), "dbeta": T.sum(1, keepdims=True)}
    assert compare(batch_norm, X, gamma, beta, T, **right).ok
    for wrong, said in (((d - spread) / s, "without the term dmu / 8"),
                        (right["dX"] / gamma, "with the factor gamma left out of dxhat"),
                        ((d - mean) / s, "with the term 2 · (dvar / 8) ⊙ xc left out of dxc")):
        assert compare(batch_norm, X, gamma, beta, T, dX=wrong)["dX"].diagnosis == f"dX equals the correct value {said}."
    row = compare(batch_norm, X, gamma, beta, T, dgamma=(T * X).sum(1, keepdims=True))["dgamma"]
    assert row.diagnosis == "dgamma equals the correct value with X in place of xhat."


@pytest.mark.parametrize(("dx", "said"), [
    (lambda x, y: -2 * (1 - x) - 400 * x * (y - x * x), ""),
    (lambda x, y: -2 * (1 - x) - 200 * (y - x * x),
     "with the factor (2 · x) left out of the term −2 · 2 · 100 · (0.7 − x²) · x"),
    (lambda x, y: 2 * (1 - x) - 400 * x * (y - x * x), "with the sign of the term −2 · (1 − x) turned"),
    (lambda x, y: -2 * (1 - x), "without the term −2 · 2 · 100 · (0.7 − x²) · x"),
], ids=["right", "inner derivative", "sign", "term"])
def test_single_numbers_of_rosenbrock(dx: Any, said: str) -> None:
    row = compare(lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2, 0.3, 0.7, dx=dx(0.3, 0.7))["dx"]
    assert row.diagnosis == (f"dx equals the correct value {said}." if said else "")


def test_examples_in_rows() -> None:
    """The layout of PyTorch and scikit-learn: biases are vectors, summed over axis 0."""
    rng = np.random.default_rng(5)
    X, y, W, b = rng.normal(size=(7, 3)), rng.normal(size=(7, 2)), rng.normal(size=(3, 2)), rng.normal(size=2)

    def squared(W: Any, b: Any, X: Any, y: Any) -> Any:
        P = X @ W + b
        return np.mean((P - y) ** 2)

    dP = 2 * (X @ W + b - y) / 14
    assert compare(squared, W, b, X, y, dW=X.T @ dP, db=dP.sum(0), dP=dP).ok
    for db, said in ((dP.mean(0), "times 1/m = 1/7: 1/m is in it once too often"),
                     (dP[-1], "with the last entry of axis 0 in place of the sum over it"),
                     (dP.sum(0) / 2, "times ½: a factor 2 is left out")):
        assert compare(squared, W, b, X, y, db=db, dW=X.T @ dP)["db"].diagnosis == f"db equals the correct value {said}."
    assert "Use db.reshape(2,)" in compare(squared, W, b, X, y, db=dP.sum(0, keepdims=True))["db"].diagnosis


# ---------------------------------------------------------------- honesty

@pytest.mark.parametrize("wrong", [
    pytest.param(lambda g, rng: rng.normal(size=g.shape), id="noise"),
    pytest.param(lambda g, rng: g + 0.01 * rng.normal(size=g.shape), id="a little noise"),
    pytest.param(lambda g, rng: np.round(g * (1 + 1e-2 * rng.normal(size=g.shape)), 4), id="rounded, from others"),
    pytest.param(lambda g, rng: np.sort(g, axis=None).reshape(g.shape), id="sorted"),
    pytest.param(lambda g, rng: g * (1 + 1e-4 * rng.normal(size=g.shape)), id="four digits"),
])
@pytest.mark.parametrize("network", ["two", "square", "four", "softmax", "L2"])
def test_wrong_without_an_explanation_says_so(network: str, wrong: Any) -> None:
    held, rng = recorded(network), np.random.default_rng(7)
    hand = by_hand(network, held)
    found = compare(held["J"], dW1=wrong(hand["dW1"], rng), dW2=hand["dW2"])
    assert found["dW1"].verdict == WRONG and found["dW2"].verdict == RIGHT
    assert UNEXPLAINED in found["dW1"].diagnosis
    assert "Compare dZ1, dA1" in found["dW1"].diagnosis


def test_which_entries_are_wrong() -> None:
    held = recorded("two")
    hand = by_hand("two", held)
    hand["dW1"][2] += 1.0
    said = compare(held["J"], dW1=hand["dW1"])["dW1"].diagnosis
    assert "9 of 12 entries are right; the wrong ones are in row 2." in said


def test_a_gradient_of_zeros_is_no_proof() -> None:
    W1, W2, X = Tensor(np.zeros((2, 3)), name="W1"), Tensor(np.zeros((1, 2)), name="W2"), np.ones((3, 4))
    J = np.mean((W2 @ np.tanh(W1 @ X) - 1) ** 2)
    found = compare(J, dW1=np.zeros((2, 3)))
    assert found.ok and found["dW1"].diagnosis.startswith("All of it is 0 here")


def test_where_autodiff_is_not_finite_nothing_is_called_wrong() -> None:
    z = Tensor([[800.0, 1.0]], name="z")
    with np.errstate(all="ignore"):
        A = tg.sigmoid(z)
        J = -np.mean(np.log(1 - A))
        found = compare(J, dz=A.data)
    assert found["dz"].verdict == UNKNOWN and not found.ok
    assert "find_nan(J)" in found["dz"].diagnosis


def test_a_search_that_is_cut_short_says_so() -> None:
    held = recorded("four")
    hand = by_hand("four", held, "dZ1 = W2.T @ dZ2")
    said = compare(held["J"], dW1=hand["dW1"], seconds=0)["dW1"].diagnosis
    assert "cut short after 0 s" in said
    start = time.monotonic()
    W = [Tensor(np.random.default_rng(i).normal(size=(20, 20)) / 4, name=f"W{i}") for i in range(60)]
    A: Any = np.ones((20, 8))
    for w in W:
        A = np.tanh(w @ A)
    found = compare(np.mean(A**2), {f"d{w.name}": np.ones((20, 20)) for w in W}, seconds=1)
    assert not found.ok and time.monotonic() - start < 20


def test_few_numbers_may_have_several_explanations() -> None:
    a, b = Tensor(2.0, name="a"), Tensor(3.0, name="b")
    row = compare(a * a * b, da=6.0)["da"]  # 2ab = 12; one of the two paths, or the factor a
    assert row.verdict == WRONG and row.also and all(text.startswith("da equals ") for text in row.also)
    assert "\n    or: " in str(compare(a * a * b, da=6.0))


def test_M1_single_numbers() -> None:
    a, b, c = Tensor(5), Tensor(3), Tensor(2)
    u = b * c
    v = a + u
    J = 3 * v
    assert compare(J, da=3, db=6, dc=9, du=3, dv=3).ok
    found = compare(J, da=3, db=2, dc=9)
    assert found["db"].diagnosis == "db equals the correct value with the factor 3 left out of dv."


# ---------------------------------------------------------------- names

def forward(W1: Any, b1: Any, X: Any) -> Any:
    Z1 = W1 @ X + b1
    A1 = 1 / (1 + np.exp(-Z1))
    return Z1, A1


def cost(W1: Any, b1: Any, X: Any, Y: Any) -> Any:
    _, A1 = forward(W1, b1, X)
    losses = -(Y * np.log(A1) + (1 - Y) * np.log(1 - A1))
    return losses.mean()


@pytest.fixture
def arguments() -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(1, 3)), rng.normal(size=(1, 1)), rng.normal(size=(3, 5)), np.array([[0.0, 1, 1, 0, 1]]))


def test_names_of_a_function_are_its_arguments_and_variables(arguments: Any) -> None:
    W1, b1, X, Y = arguments
    _, A1 = forward(W1, b1, X)
    dZ1 = A1 - Y
    found = compare(cost, *arguments, dW1=dZ1 @ X.T / 5, db1=np.sum(dZ1, 1, keepdims=True) / 5, dZ1=dZ1, dX=W1.T @ dZ1)
    assert found.ok
    found = compare(cost, *arguments, dW1=(dZ1 * A1 * (1 - A1)) @ X.T / 5)
    assert found["dW1"].diagnosis == "dW1 equals the correct value with the factor (A1 ⊙ (1 − A1)) applied twice in dZ1."
    dA1 = -Y / A1 + 1 / (1 - A1)
    found = compare(cost, *arguments, dW1=(dA1 * A1 * (1 - A1)) @ X.T / 5)
    assert found["dW1"].diagnosis == "dW1 equals the correct value with the factor (1 − Y) left out of dA1."


def test_a_written_out_activation_is_recognised(arguments: Any) -> None:
    W1, b1, X, Y = arguments
    _, A1 = forward(W1, b1, X)
    dA1 = -Y / A1 + (1 - Y) / (1 - A1)
    for slope, said in ((1, "with the factor (A1 ⊙ (1 − A1)) left out of dZ1"),
                        (1 - A1**2, "with 1 − A1², the slope of tanh, in place of A1 ⊙ (1 − A1) in dZ1")):
        found = compare(cost, *arguments, dW1=(dA1 * slope) @ X.T / 5)
        assert found["dW1"].diagnosis == f"dW1 equals the correct value {said}."


def test_a_function_s_arguments_may_be_nested_and_tensors() -> None:
    def f(parameters: dict[str, Any], x: Any) -> Any:
        z = parameters["w"] @ x
        return (z**2).sum()

    w, x = np.array([[1.0, 2.0]]), np.array([[3.0], [1.0]])
    assert compare(f, {"w": w}, x, dw=2 * (w @ x) @ x.T, dz=2 * w @ x, dx=2 * w.T @ (w @ x)).ok
    assert compare(f, {"w": Tensor(w, name="weights")}, x, dweights=2 * (w @ x) @ x.T).ok
    assert compare(lambda a, b: a * b, 2, 3, da=3, db=2).ok


def test_names_in_containers_and_second_names() -> None:
    parameters = {"W": Tensor(np.ones((2, 2))), "b": Tensor([[1.0], [2.0]])}
    layers = [Tensor(np.ones((1, 2)))]
    hidden = parameters["W"] @ np.ones((2, 3)) + parameters["b"]
    A = np.maximum(hidden, 0)
    yhat = layers[0] @ A
    Z2 = yhat
    J = np.sum(Z2)
    assert compare(J, {"db": np.full((2, 1), 3.0), "dlayers[0]": np.sum(A.data, 1)[None]}).ok
    assert compare(J, dyhat=np.ones((1, 3))).ok and compare(J, dZ2=np.ones((1, 3))).ok


def test_a_cost_without_names_in_between_is_explained_in_terms_of_its_leaves(arguments: Any) -> None:
    X, Y = arguments[2:]
    W1, b1 = Tensor(arguments[0]), Tensor(arguments[1])
    J = cost(W1, b1, X, Y)
    _, A = forward(arguments[0], arguments[1], X)
    found = compare(J, dW1=((A - Y) * A * (1 - A)) @ X.T / 5)
    assert found["dW1"].verdict == WRONG
    assert "with the slope of sigmoid applied twice in dJ/d(W1 @ X + b1)" in found["dW1"].diagnosis
    assert "compare(f, arguments..., dW1=...)" in str(found)


# ---------------------------------------------------------------- shapes

@pytest.mark.parametrize(("change", "said"), [
    (lambda d, dZ1: d["dW1"].T, "dW1 has shape (3, 4), and W1 (4, 3). Did you mean dW1.T? Its numbers are then right."),
    (lambda d, dZ1: d["dW1"].T * 6, "Did you mean dW1.T? Besides: dW1 equals the correct value times m = 6: the factor 1/m"),
    (lambda d, dZ1: d["dW1"].ravel(), "dW1 has shape (12,), and a gradient has the shape of its parameter: W1 has (4, 3)."),
    (lambda d, dZ1: np.ones((7, 2)), "dW1 has shape (7, 2), and a gradient has the shape of its parameter: W1 has (4, 3)."),
    (lambda d, dZ1: 1.0, "dW1 has shape (), and a gradient has the shape of its parameter: W1 has (4, 3)."),
])
def test_a_wrong_shape_is_a_row_that_says_what_was_meant(change: Any, said: str) -> None:
    held = recorded("two")
    hand = by_hand("two", held)
    found = compare(held["J"], dW1=change(hand, hand["dZ1"]), dW2=hand["dW2"])
    assert found["dW1"].verdict == SHAPE and found["dW2"].ok
    assert said in found["dW1"].diagnosis
    assert "not (4, 3)" in str(found)
    with pytest.raises(GradientError, match="wrong shape"):
        found.raise_if_wrong()


@pytest.mark.parametrize(("made", "said"), [
    (lambda dZ: dZ, "it is not summed over axis 1. Use np.sum(db1, axis=1, keepdims=True). Its numbers are then right."),
    (lambda dZ: dZ * 6, "it is not summed over the examples. Use np.sum(..., axis=1, keepdims=True). Besides, it is times "
                        "m = 6: the factor 1/m is left out."),
    (lambda dZ: np.sum(dZ, axis=1), "Use db1.reshape(4, 1), or keepdims=True in np.sum(..., axis=1)."),
    (lambda dZ: np.sum(dZ, axis=0), "it is summed over axis 0, without keepdims=True. Use np.sum(..., axis=1, keepdims=True)."),
    (lambda dZ: np.sum(dZ), "it is summed over all axes, without keepdims=True."),
    (lambda dZ: np.mean(dZ, axis=0, keepdims=True), "it is summed over axis 0. Use np.sum(..., axis=1, keepdims=True)."),
])
def test_a_bias_summed_wrongly(made: Any, said: str) -> None:
    held = recorded("two")
    hand = by_hand("two", held)
    row = compare(held["J"], db1=made(hand["dZ1"] / 6))["db1"]
    assert row.verdict == SHAPE and said in row.diagnosis
    assert row.expected == (4, 1) and np.isnan(row.max_difference)


# ---------------------------------------------------------------- bad input

def test_wrong_names() -> None:
    held = recorded("two")
    J, dW1 = held["J"], np.ones((4, 3))
    X = held["X"]
    other = Tensor(1.0)
    for wanted, message in [
        ({"dW3": dW1}, r"^compare: dW3: no gradient of that name: nothing that J was computed from is called 'W3'\. Did you "
                       r"mean dW2 or dW1\?"),
        ({"W1": dW1}, r"the gradient of W1 is called dW1\. Write dW1=\.\.\."),
        ({"dw1": dW1}, r"Did you mean dW1"),
        ({"grad": dW1}, r"There is dW1, db1, dW2, db2, dZ1"),
        ({"dother": dW1}, r"other is a Tensor, but J was not computed from it\. Was it replaced after the forward pass\?"),
    ]:
        with pytest.raises(NamesError, match=message):
            compare(J, wanted)
    with pytest.raises(GradientError, match=r"dX: X is a plain array, a constant of J\. Make it Tensor\(X\)"):
        compare(J, dX=np.ones(X.shape))
    fixed = Tensor(2.0, requires_grad=False)
    with pytest.raises(GradientError, match="fixed does not track gradients"):
        compare(other * fixed, dfixed=1.0)
    with pytest.raises(NamesError, match="there is no row 'dW9'"):
        compare(J, dW1=dW1)["dW9"]


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: compare(Tensor([1.0, 2.0], name="z") * 2, dz=1.0), GradientError, r"J has shape \(2,\), and only a single number"),
    (lambda: compare(lambda z: z * 2, np.ones(2), dz=1.0), GradientError, r"J has shape \(2,\)"),
    (lambda: compare(lambda z: None, 1.0, dz=1.0), GradientError, "<lambda> returns None. Is a `return` missing"),
    (lambda: compare(lambda z: (z, z), 1.0, dz=1.0), GradientError, "returns tuple. Return the cost J alone"),
    (lambda: compare(lambda z: z, dz=1.0), TypeError, "its arguments come after it"),
    (lambda: compare(Tensor(1.0, name="z") * 2), TypeError, r"no gradients given\. Write compare\(J, dz=\.\.\.\)"),
    (lambda: compare(Tensor(1.0, name="z") * 2, 3.0, dz=1.0), TypeError, "Gradients go by name"),
    (lambda: compare(Tensor(1.0, name="z") * 2, {1: 2.0}), TypeError, "1 is no name"),
    (lambda: compare(3.0, dz=1.0), TypeError, "float given. It takes a recorded cost J, or a function"),
    (lambda: compare(Tensor(1.0, name="z") * 2, dz="2"), DTypeError, "dz: data of dtype"),
    (lambda: compare(Tensor(1.0, name="z") * 2, dz=2j), DTypeError, "dz: data of dtype complex"),
    (lambda: compare(Tensor(1.0, name="z") * 2, dz=True), DTypeError, "dz: dtype bool is no gradient"),
    (lambda: compare(Tensor(1.0, name="z") * 2, dz=[[1], [2, 3]]), ShapeError, "dz: the rows have different lengths"),
    (lambda: compare(Tensor(1.0, name="z") * 2, dz=2.0, convention="notes"), ValueError, "convention='notes': write \"auto\""),
    (lambda: compare(Tensor(1.0, requires_grad=False, name="z") * 2, dz=2.0), GradientError, "J was computed from constants"),
])
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_changed_leaf_is_noticed() -> None:
    w = Tensor(2.0)
    J = w * w
    w.data = 3.0
    with pytest.raises(StaleError, match="w was changed"):
        compare(J, dw=6.0)


def test_not_finite_by_hand() -> None:
    w = Tensor([1.0, 2.0])
    found = compare((w * w).sum(), dw=[2.0, np.nan])
    assert found["dw"].verdict == WRONG and found["dw"].diagnosis == "dw is not finite at [1] (1 of 2 entries)."
    v = Tensor(1.0)
    assert "dv is not finite (1 of 1 entries)." in str(compare(v * v, dv=np.inf))


# ---------------------------------------------------------------- the table

def test_the_table() -> None:
    held = recorded("two")
    hand = by_hand("two", held, "dZ1 = dA1")
    found = compare(held["J"], dW1=hand["dW1"], dW2=hand["dW2"])
    head, first, reason, second = str(found).split("\n")
    assert head.split() == ["shape", "verdict", "max", "|diff|", "relative", "error"]
    assert first.split()[:4] == ["dW1", "(4,", "3)", "wrong"] and second.split()[:4] == ["dW2", "(1,", "4)", "right"]
    assert reason == "    dW1 equals the correct value with the factor (1 − A1²) left out of dZ1."
    row = found["dW1"]
    held["J"].backward()
    apart = np.abs(hand["dW1"] - held["W1"].grad).max()
    assert row.max_difference == pytest.approx(apart) and row.relative_error == pytest.approx(
        apart / np.abs(held["W1"].grad).max())
    bundle = found._repr_mimebundle_()
    assert bundle["text/plain"] == str(found) == repr(found)
    assert bundle["text/html"].count("<tr>") == 3 and "left out of dZ1" in bundle["text/html"]
    assert not found and not found.ok and bool(compare(held["J"], dW2=hand["dW2"]))
    with pytest.raises(GradientError, match=r"(?s)compare:.*left out of dZ1"):
        found.raise_if_wrong()
    compare(held["J"], dW2=hand["dW2"]).raise_if_wrong()


def test_hostile_names_are_escaped() -> None:
    name = "<script>alert(1)</script>\n& \"W\""
    W = Tensor([1.0, 2.0], name=name)
    found = compare((W * W).sum(), {f"d{name}": np.array([1.0, 2.0])})
    page = found.html()
    assert "<script" not in page and "&lt;script&gt;" in page and "&amp;" in page
    assert all(line.startswith(("d<script", "    ")) for line in str(found).split("\n"))  # a name breaks no line


def test_float32_has_its_own_tolerance() -> None:
    rng = np.random.default_rng(0)
    W, X = Tensor(rng.normal(size=(30, 40)).astype(np.float32)), rng.normal(size=(40, 50)).astype(np.float32)
    Z = W @ X
    J = np.mean(np.tanh(Z))
    exact = (1 - np.tanh(W.data.astype(float) @ X) ** 2) @ X.T.astype(float) / 1500
    assert compare(J, dW=exact).ok and compare(J, dW=exact.astype(np.float32)).ok
    assert not compare(J, dW=exact * 1.01).ok
    found = compare(J, dW=np.full((30, 50), 1 / 1500, np.float32) @ X.T)
    assert found["dW"].diagnosis == "dW equals the correct value with the factor (1 − tanh(Z)²) left out of dZ."
    assert compare(J, dW=exact * 1.01, tolerance=0.02).ok


# ---------------------------------------------------------------- for tests and graders

def test_assert_gradients() -> None:
    assert_gradients(lambda W, x: np.tanh(W @ x), np.ones((2, 3)), np.array([0.1, 0.2, 0.3]))
    wrong = tg.primitive(lambda g, y, x: g * y * 1.1)(np.exp)
    with pytest.raises(AssertionError, match=r"(?s)assert_gradients: gradients DIFFER.*relative error"):
        assert_gradients(wrong, np.array([0.5, 1.0]))


def test_assert_matches() -> None:
    held = recorded("logistic")
    hand = by_hand("logistic", held)
    assert_matches(held["J"], dw=hand["dw"], db=hand["db"], dZ=hand["dZ"])
    with pytest.raises(AssertionError, match=r"(?s)assert_matches:\n.*dw equals the correct value times m = 5"):
        assert_matches(held["J"], dw=5 * hand["dw"], db=hand["db"])
    with pytest.raises(AssertionError, match="times m = 5"):
        assert_matches(held["J"], dZ=hand["dZ"], convention="math")
    assert_matches(lambda w: (w * w).sum(), np.array([1.0, 2.0]), dw=np.array([2.0, 4.0]))


def test_a_grade_has_points_for_each_gradient() -> None:
    held = recorded("two")
    hand = by_hand("two", held, "dZ1 = dA1")
    asked = {name: hand[name] for name in ("dZ1", "dW1", "db1", "dW2")}
    full = grade(held["J"], points={"dZ1": 2, "dW1": 3, "dW2": 1}, **asked)
    assert (full.earned, full.possible) == (4, 6)
    assert full.points == {"dZ1": (0, 2), "dW1": (3, 3), "db1": (0, 0), "dW2": (1, 1)}
    assert grade(held["J"], follow_through=0.5, **asked).earned == 2 and grade(held["J"], follow_through=0, **asked).earned == 1
    said = str(full)
    assert said.startswith("4 of 6 points\n") and "dZ1  0/2  wrong.  dZ1 equals the correct value with the factor" in said
    assert repr(full) == said
    with pytest.raises(KeyError, match="points for dW9"):
        grade(held["J"], points={"dW9": 1}, **asked)


# ---------------------------------------------------------------- the example

def test_09_find_my_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    if str(ROOT / "examples") not in sys.path:
        sys.path.insert(0, str(ROOT / "examples"))
    example = importlib.import_module("09_find_my_mistake")
    example.main([])
    said = capsys.readouterr().out
    assert "dW2 equals the correct value times m = 5: the factor 1/m is left out." in said
    assert "dW1 equals the correct value with A1 ⊙ (1 − A1), the slope of sigmoid, in place of 1 − A1² in dZ1." in said
    assert "dW1 follows from dZ1, which is wrong: this step is right." in said
    assert "np.sum(db1, axis=1, keepdims=True)" in said and "4 of 10 points" in said
    assert said.rstrip().endswith("all right")


# ---------------------------------------------------------------- relu as np.maximum(0, Z), and other slips of a course

def relu_network() -> tuple[Tensor, dict[str, Any]]:
    """Three layers as lecture notes write them, the hidden ones of equal width; the values and the right gradients."""
    rng, m = np.random.default_rng(11), 7
    X, Y = rng.normal(size=(3, m)), rng.integers(0, 2, (1, m)).astype(float)
    W1, b1, W2, b2, W3, b3 = (Tensor(rng.normal(size=s)) for s in [(4, 3), (4, 1), (4, 4), (4, 1), (1, 4), (1, 1)])
    Z1 = W1 @ X + b1
    A1 = np.maximum(0, Z1)
    Z2 = W2 @ A1 + b2
    A2 = np.maximum(0, Z2)
    Z3 = W3 @ A2 + b3
    A3 = tg.sigmoid(Z3)
    for tensor, called in zip((W1, b1, W2, b2, W3, b3, Z1, A1, Z2, A2, Z3, A3),
                              ["W1", "b1", "W2", "b2", "W3", "b3", "Z1", "A1", "Z2", "A2", "Z3", "A3"], strict=True):
        tensor.name = called
    J = -np.mean(Y * np.log(A3) + (1 - Y) * np.log(1 - A3))
    held = {t.name: t.data for t in (W1, W2, W3, Z1, A1, Z2, A2, A3) if t.name} | {"X": X, "m": m}
    held["dZ3"] = A3.data - Y
    held["dA2"] = W3.data.T @ held["dZ3"]
    held["dZ2"] = held["dA2"] * (Z2.data > 0)
    held["dW2"] = held["dZ2"] @ A1.data.T / m
    return J, held


@pytest.mark.parametrize(("wrong", "said"), [
    pytest.param(lambda h: h["dA2"] @ h["A1"].T, "with the factor (Z2 > 0) left out of dZ2", id="slope left out"),
    pytest.param(lambda h: (h["dA2"] * h["A2"] * (1 - h["A2"])) @ h["A1"].T,
                 "with A2 ⊙ (1 − A2), the slope of sigmoid, in place of Z2 > 0 in dZ2", id="slope of sigmoid"),
    pytest.param(lambda h: (h["dA2"] * h["A2"]) @ h["A1"].T, "with A2 in place of Z2 > 0 in dZ2", id="value for slope"),
    pytest.param(lambda h: (h["dA2"] * (h["Z2"] < 0)) @ h["A1"].T, "with Z2 < 0 in place of Z2 > 0 in dZ2", id="turned"),
    pytest.param(lambda h: (h["dA2"] * (h["Z1"] > 0)) @ h["A1"].T,
                 "with Z1 > 0 in place of Z2 > 0 in dZ2", id="layer"),
    pytest.param(lambda h: h["dZ2"][:, 1:] @ h["A1"][:, 1:].T,
                 "with the first of the 7 terms of the sum left out", id="range(1, m)"),
    pytest.param(lambda h: h["dZ2"][:, :-1] @ h["A1"][:, :-1].T,
                 "with the last of the 7 terms of the sum left out", id="range(m - 1)"),
    pytest.param(lambda h: h["dZ2"] @ h["A1"].T / np.log(2), "times 1/ln 2 = 1.4427: it belongs to a logarithm to base 2",
                 id="log2"),
    pytest.param(lambda h: h["m"] * np.round(h["dW2"], 3), "rounded to 3 decimals", id="rounded"),
    pytest.param(lambda h: h["m"] * (h["W2"] - 0.1 * h["dW2"]),
                 "is W2 − 0.1 · dW2, the parameter after a step of gradient descent", id="a step"),
    pytest.param(lambda h: h["dZ2"] @ h["X"].T, "dW2 has shape (4, 3), and W2 (4, 4): it is the product with X in place of A1",
                 id="another value, another shape"),
])
def test_slips_around_relu(wrong: Any, said: str) -> None:
    J, held = relu_network()
    (row,) = compare(J, dW2=wrong(held) / held["m"]).rows
    assert row.verdict in (WRONG, SHAPE) and said in row.diagnosis


def test_a_bias_of_rows_is_summed_over_the_first_axis() -> None:
    X, W, c = np.random.default_rng(0).normal(size=(5, 3)), Tensor(np.ones((3, 2)), name="W"), Tensor(np.zeros(2), name="c")
    J = np.mean(np.tanh(X @ W + c))
    d = 1 - np.tanh(X @ W.data) ** 2
    (row,) = compare(J, dc=d.sum(axis=1) / 10).rows
    assert "it is summed over axis 1, without keepdims=True. Use np.sum(..., axis=0)." in row.diagnosis
    last = (compare(J, dc=d[:-1].sum(axis=0) / 10)).rows[0]
    assert "the last entry of axis 0 left out of the sum over it" in last.diagnosis


def test_examples_are_followed_through_einsum_and_slices() -> None:
    """dA of a layer written with einsum, of which one row is used, is accepted times m as well."""
    rng, m = np.random.default_rng(0), 5
    W, v = Tensor(rng.normal(size=(4, 3)), name="W"), Tensor(rng.normal(size=(4, 1)), name="v")
    X, Y = rng.normal(size=(3, m)), rng.normal(size=(1, m))
    A = np.tanh(np.einsum("ij,jk->ik", W, X))
    Z = np.einsum("ij,ik->jk", v, A)
    A.name, Z.name = "A", "Z"
    J = np.mean((Z - Y) ** 2) / 2
    found = compare(J, dZ=Z.data - Y, dA=v.data @ (Z.data - Y), convention="course")
    assert found.ok
