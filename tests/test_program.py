"""program/: a function as straight-line code, forward and backward, and the passes over it."""

from __future__ import annotations

import keyword
from typing import Any

import numpy as np
import pytest
from formula_cases import CASES
from zoo import SAMPLES, Sample

import tinygrad_edu as tg
from tinygrad_edu.program import Line, Name, Program, trace
from tinygrad_edu.program.naming import as_identifier
from tinygrad_edu.program.passes import drop_unused, fold_constants, forward_names, share, tidied
from tinygrad_edu.rules.pointwise import identity, multiply


def cost(W1: Any, b1: Any, W2: Any, b2: Any, X: Any, Y: Any) -> Any:
    Z1 = W1 @ X + b1
    A1 = tg.relu(Z1)
    Z2 = W2 @ A1 + b2
    A2 = tg.sigmoid(Z2)
    J = -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
    return J


def arguments(seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    shapes = (4, 3), (4, 1), (1, 4), (1, 1), (3, 5)
    return [*(rng.normal(size=shape) for shape in shapes), (rng.random((1, 5)) > 0.5).astype(float)]


WEIGHTS = ("W1", "b1", "W2", "b2")
TRACED = """\
cost(W1, b1, W2, b2, X, Y):
    t1 = matmul(W1, X)
    Z1 = add(t1, b1)
    A1 = relu(Z1)
    t2 = matmul(W2, A1)
    Z2 = add(t2, b2)
    A2 = sigmoid(Z2)
    t3 = log(A2)
    t4 = multiply(Y, t3)
    t5 = subtract(1, Y)
    t6 = subtract(1, A2)
    t7 = log(t6)
    t8 = multiply(t5, t7)
    t9 = add(t4, t8)
    t10 = mean(t9)
    J = negative(t10)
    # backward
    dt9 = broadcast_to(-0.2, shape=(1, 5))
    dt7 = multiply(dt9, t5)
    dt6 = divide(dt7, t6)
    t14 = negative(dt6)
    dt3 = multiply(dt9, Y)
    t15 = divide(dt3, A2)
    dA2 = add(t14, t15)
    t16 = multiply(dA2, A2)
    dZ2 = multiply(t16, t6)
    db2 = sum_to(dZ2, shape=(1, 1))
    t18 = transpose(A1)
    dW2 = matmul(dZ2, t18)
    t19 = transpose(W2)
    dA1 = matmul(t19, dZ2)
    t20 = greater(Z1, 0)
    dZ1 = gate(dA1, t20)
    db1 = sum_to(dZ1, shape=(4, 1))
    t21 = transpose(X)
    dW1 = matmul(dZ1, t21)
    return J, dW1, db1, dW2, db2"""


def without_numbers(text: str) -> str:
    """Short names counted anew, so that only their order is compared."""
    import re

    seen: dict[str, str] = {}
    return re.sub(r"\bt\d+\b", lambda found: seen.setdefault(found[0], f"t{len(seen) + 1}"), text)


def test_a_program_is_printed_as_code() -> None:
    assert without_numbers(str(trace(cost, *arguments(), wrt=WEIGHTS))) == without_numbers(TRACED)


def test_every_name_is_defined_before_it_is_read() -> None:
    for case in CASES.values():
        for tidy in (False, True):
            program = trace(case.function, *case.arguments, wrt=case.wrt, tidy=tidy)
            known = {str(x.name) for x in program.inputs} | {str(name) for name in program.constants}
            for line in program.lines:
                assert set(map(str, line.uses())) <= known, f"{line}"
                assert line.name not in known
                known.add(str(line.name))
            assert {str(x) for x in program.outputs.values() if isinstance(x, Name)} <= known


# ---------------------------------------------------------------- its numbers are the engine's

def weighted(sample: Sample) -> Any:
    def f(*variables: Any) -> Any:
        y = sample.call(*variables)
        return (y * np.cos(np.arange(y.size).reshape(y.shape) + 1.0)).sum()

    return f


def same(found: dict[str, Any], value: Any, gradients: Any) -> None:
    for got, wanted in zip(found.values(), [value, *gradients], strict=True):
        np.testing.assert_array_equal(np.broadcast_to(got, np.shape(wanted)), wanted)


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.variables], ids=str)
def test_every_primitive_is_traced(sample: Sample) -> None:
    """The program gives the engine's numbers bit for bit, on the traced arguments and on others: masks and the like are
    lines, not numbers that were true once."""
    f, first = weighted(sample), sample.values()
    every = tuple(range(len(first)))
    with np.errstate(all="ignore"):
        program = trace(f, *first)
        same(program.run(*first), *tg.value_and_grad(f, argnums=every)(*first))
        others = [np.where(x > 0, 0.9 * x, 0.8 * x)[()] for x in first]
        same(program.run(*others), *tg.value_and_grad(f, argnums=every)(*others))


@pytest.mark.parametrize("tidy", [False, True])
def test_other_arguments_of_the_same_shapes(tidy: bool) -> None:
    program = trace(cost, *arguments(), wrt=WEIGHTS, tidy=tidy)
    for seed in range(20):
        given = arguments(seed)
        value, gradients = tg.value_and_grad(cost, argnums=(0, 1, 2, 3))(*given)
        found = program.run(*given)
        assert list(found) == ["J", "dW1", "db1", "dW2", "db2"]
        same(found, value, gradients)


def test_float32_stays() -> None:
    given = [x.astype(np.float32) for x in arguments()]
    program = trace(cost, *given, wrt=WEIGHTS)
    assert {np.asarray(x).dtype for x in program.run(*given).values()} == {np.dtype(np.float32)}


def test_classes_are_arguments_too() -> None:
    def loss(W: Any, X: Any, y: Any) -> Any:
        return tg.cross_entropy(X @ W, y)

    rng = np.random.default_rng(0)
    W, X = rng.normal(size=(3, 4)), rng.normal(size=(6, 3))
    program = trace(loss, W, X, np.array([0, 1, 2, 3, 0, 1]), wrt="W")
    other = np.array([3, 3, 0, 2, 1, 1])
    np.testing.assert_array_equal(program.run(W, X, other)["dW"], tg.grad(loss)(W, X, other))


def test_the_backward_pass_of_a_graph_with_shared_parts() -> None:
    def f(x: Any, y: Any) -> Any:
        u = x * y
        v = u + u * x
        return np.sum(v * u) + np.sum(v)

    given = [np.arange(3.0), np.arange(3.0) + 0.5]
    same(trace(f, *given).run(*given), *tg.value_and_grad(f, argnums=(0, 1))(*given))


def test_an_unused_argument_has_gradient_zero() -> None:
    found = trace(lambda x, y: np.sum(x), np.ones(2), np.ones((2, 3))).run(np.ones(2), np.ones((2, 3)))
    np.testing.assert_array_equal(found["dy"], np.zeros((2, 3)))


def test_a_long_program() -> None:
    def f(x: Any) -> Any:
        for _ in range(3000):
            x = x * 1.0001
        return x

    program = trace(f, 1.0, tidy=False)
    assert len(program.lines) >= 6000
    assert len(tidied(program).lines) == 3000  # the derivative is one number
    assert program.run(2.0)["dx"] == tidied(program).run(2.0)["dx"] == tg.grad(f)(2.0)
    assert hash(program) == hash(trace(f, 5.0, tidy=False))


# ---------------------------------------------------------------- structure

def test_equality_is_of_structure() -> None:
    first, second = trace(cost, *arguments(), wrt=WEIGHTS), trace(cost, *arguments(1), wrt=WEIGHTS)
    assert first == second
    assert len({first, second}) == 1

    def other_names(P: Any, p: Any, Q: Any, q: Any, data: Any, targets: Any) -> Any:
        out = tg.sigmoid(Q @ tg.relu(P @ data + p) + q)
        return -np.mean(targets * np.log(out) + (1 - targets) * np.log(1 - out))

    assert first == trace(other_names, *arguments(), wrt=(0, 1, 2, 3))
    assert trace(lambda x: x * 2.0, 1.0) != trace(lambda x: x * 3.0, 1.0)
    assert trace(lambda x: np.sum(x * np.ones(2)), np.ones(2)) != trace(lambda x: np.sum(x * np.zeros(2)), np.ones(2))
    assert trace(lambda x: np.sum(x), np.ones(2)) != trace(lambda x: np.sum(x), np.ones(3))
    assert trace(lambda x: x.sum(), np.ones(2)) != "a program"


def test_a_recorded_result_has_the_same_program() -> None:
    given = arguments()
    W1, b1, W2, b2 = map(tg.Tensor, given[:4])
    X, Y = map(tg.Tensor, given[4:])
    J = cost(W1, b1, W2, b2, X, Y)
    program = trace(J)
    assert [str(x.name) for x in program.inputs] == ["W1", "b1", "W2", "b2", "X", "Y"]
    assert program == trace(cost, *given)


# ---------------------------------------------------------------- names

def test_names_of_arguments_variables_and_containers() -> None:
    def f(parameters: dict[str, Any], pair: tuple[Any, Any], *rest: Any) -> Any:
        total = parameters["W"] * pair[0] + pair[1]
        for extra in rest:
            total = total * extra
        return total

    program = trace(f, {"W": 1.0}, (2.0, 3.0), 4.0, 5.0)
    assert [str(x.name) for x in program.inputs] == ["W", "pair_0", "pair_1", "rest1", "rest2"]
    assert [str(line.name) for line in program.lines if line.named and line.kind == "forward"] == ["total1", "total2", "total"]


@pytest.mark.parametrize("text", ["class", "np", "<b>", "1st", "", "a b", "π", "W[0]", "__import__('os')", "x" * 500, "²",
                                  "\n"])
def test_names_are_identifiers(text: str) -> None:
    name = as_identifier(text)
    assert name.isidentifier()
    assert not keyword.iskeyword(name)
    assert name != "np"
    assert len(name) <= 70


def test_hostile_names_of_tensors() -> None:
    a, b = tg.Tensor(2.0, name="x); import os; ("), tg.Tensor(3.0, name="x); import os; (")
    program = trace(a * b)
    names = [str(x.name) for x in program.inputs]
    assert len(set(names)) == 2
    assert all(name.isidentifier() for name in names)


def test_the_gradient_of_p_beside_a_variable_dp() -> None:
    def f(p: Any) -> Any:
        dp = p * p
        return dp * p

    program = trace(f, 3.0)
    assert list(program.outputs) == ["J", "dp_2"]
    assert program.gradients["dp_2"] == "p"
    assert program.run(2.0)["dp_2"] == 12.0


# ---------------------------------------------------------------- passes

def line(name: str, op: Any, *operands: Any, named: bool = False) -> Line:
    return Line(Name(name), op, operands, {}, (), np.dtype(float), "forward", named)


def program_of(*lines: Line, out: str) -> Program:
    from tinygrad_edu.program.program import Input

    return Program("f", (Input(Name("x"), (), np.dtype(float)),), {}, lines, {out: Name(out)})


def test_fold_constants() -> None:
    found = fold_constants(program_of(line("a", multiply, 2.0, 3.0), line("y", multiply, Name("a"), Name("x")), out="y"))
    assert str(found.lines[0]) == "y = multiply(6.0, x)"
    assert len(found.lines) == 1


def test_share_keeps_names_a_person_gave() -> None:
    x = Name("x")
    lines = (line("a", multiply, x, x), line("b", multiply, x, x), line("c", multiply, x, x, named=True),
             line("y", multiply, Name("b"), Name("c")))
    assert [str(each) for each in share(program_of(*lines, out="y")).lines] == [
        "a = multiply(x, x)", "c = multiply(x, x)", "y = multiply(a, c)"]


def test_forward_names_and_drop_unused() -> None:
    a = Name("a")
    lines = (line("a", identity, Name("x")), line("unused", multiply, a, 2.0), line("y", multiply, a, a))
    found = drop_unused(forward_names(program_of(*lines, out="y")))
    assert [str(each) for each in found.lines] == ["y = multiply(x, x)"]


@pytest.mark.parametrize("name", CASES)
def test_tidying_changes_no_number(name: str) -> None:
    case = CASES[name]
    raw = trace(case.function, *case.arguments, wrt=case.wrt, tidy=False)
    clean = tidied(raw)
    assert len(clean.lines) <= len(raw.lines)
    first, second = raw.run(*case.arguments), clean.run(*case.arguments)
    assert list(first) == list(second)
    for key in first:
        np.testing.assert_array_equal(first[key], second[key])
    assert tidied(clean) == clean


# ---------------------------------------------------------------- bad input

def test_a_run_with_other_shapes_is_refused() -> None:
    program = trace(cost, *arguments(), wrt=WEIGHTS)
    with pytest.raises(tg.errors.ShapeError, match=r"X has shape \(5, 3\), and the program was traced with \(3, 5\)"):
        program.run(*arguments()[:4], np.ones((5, 3)), np.ones((1, 5)))
    with pytest.raises(tg.errors.ShapeError, match="takes 6 arrays"):
        program.run(1.0)


@pytest.mark.parametrize(("f", "what"), [
    (lambda x: x if x > 0 else -x, "a condition"),
    (lambda x: x if np.any(x > 0) else -x, "a condition"),
    (lambda x: x * float(x), "float"),
    (lambda x: x * int(x), "int"),
    (lambda x: x * x.item(), "a number"),
    (lambda x: x if x else -x, "a condition"),
], ids=["if", "any", "float", "int", "item", "truth"])
def test_values_may_not_decide(f: Any, what: str) -> None:
    with pytest.raises(tg.errors.UnsupportedError, match=f"depends on the arguments as {what}"):
        trace(f, 2.0)


def test_looking_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    def f(x: Any) -> Any:
        assert x.shape == (1,)
        print(f"{x:.2f}")
        return x * np.where(x > 0, 1.0, -1.0)

    program = trace(f, np.array([2.0]))
    assert capsys.readouterr().out == "2.00\n"
    found = program.run(np.array([-3.0]))
    assert found["J"] == 3.0
    assert found["dx"] == -1.0


def test_what_is_chosen_is_chosen_again() -> None:
    """Masks, permutations and a variable called as the start of the backward pass, on other numbers."""
    def branches(Z: Any) -> Any:
        return np.sum(np.where(Z > 0.3, Z, 0.1 * Z) ** 2)

    def ordered(y: Any) -> Any:
        return np.sum(np.sort(y) * np.arange(5.0))

    def named(x: Any) -> Any:
        dJ = x * x
        return np.sum(dJ * dJ)

    rng = np.random.default_rng(0)
    first, second = rng.normal(size=5), rng.normal(size=5)
    for f in (branches, ordered, named):
        value, gradient = list(trace(f, first).run(second).values())[:2]
        np.testing.assert_array_equal(value, f(second))
        np.testing.assert_array_equal(gradient, tg.grad(f)(second))


def test_a_large_blocked_operation_is_traced() -> None:
    assert trace(lambda x: tg.gelu(x).sum(), np.ones(70_000)).lines


@pytest.mark.parametrize("f", [
    lambda x: x * np.where(x > 0, 1.0, -1.0), lambda x: tg.where(x > 0, x, 0.1 * x), lambda x: np.maximum(x, 0.5) * x,
    lambda x: np.abs(x) * x, lambda x: np.clip(x, 0, 1) * x, lambda x: tg.relu(x) * x, tg.elu, tg.leaky_relu,
    lambda x: x * np.where((x > 0) & (x < 1), 2.0, 3.0), lambda x: x * (x > 0),
], ids=["where", "tg.where", "maximum", "abs", "clip", "relu", "elu", "leaky_relu", "and", "mask"])
def test_a_single_number_is_compared_again(f: Any) -> None:
    program = trace(f, 1.5)
    for x in (-2.0, 0.7):
        value, gradient = list(program.run(x).values())
        assert value == pytest.approx(float(f(x))) and gradient == pytest.approx(float(tg.grad(f)(x)))


def test_numpy_of_a_traced_value_is_refused() -> None:
    with pytest.raises(tg.errors.UnsupportedError, match=r"\.numpy\(\) would freeze"):
        trace(lambda x: (x * x.numpy()).sum(), np.ones(3))
    assert trace(lambda x: (x * x.detach()).sum(), np.ones(3)).run(np.full(3, 2.0))["J"] == 12
