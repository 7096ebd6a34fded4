"""formulas(): the gradients of the notes, and of functions that are not in them, in the notation of the notes."""

from __future__ import annotations

import functools
import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from formula_cases import CASES, Case, computation_graph, softmax_likelihood
from read_formula import value_of

import tinygrad_edu as tg
from tinygrad_edu.program.trace import trace_with_arguments
from tinygrad_edu.show.formulas import Formulas, formulas
from tinygrad_edu.show.reading import Reader
from tinygrad_edu.show.simplify import Algebra

GOLDEN = Path(__file__).parent / "golden" / "formulas"


def of(case: Case, **options: Any) -> Formulas:
    return formulas(case.function, *case.arguments, wrt=case.wrt, **{**case.options, **options})


def page(case: Case) -> str:
    """What a golden file holds."""
    course = of(case, convention="course")
    math = of(case)
    parts = [f"course\n\n{course}"] + ([f"math\n\n{math}"] if str(math) != str(course) else []) + [course.latex()]
    return "\n\n".join(parts) + "\n"


# ---------------------------------------------------------------- required, word for word

TWO_LAYERS = {"dZ2": "A2 − Y", "dW2": "1/m · dZ2 A1ᵀ", "db2": "1/m · Σ₁ dZ2", "dW1": "1/m · dZ1 Xᵀ", "db1": "1/m · Σ₁ dZ1"}
REQUIRED: dict[str, dict[str, str]] = {
    "computation_graph": {"dv": "3", "da": "dv", "du": "dv", "db": "du·c", "dc": "du·b"},
    "computation_graph_inline": {"da": "3", "db": "3c", "dc": "3b"},
    "logistic_example": {"da": "−y/a + (1−y)/(1−a)", "dz": "a − y", "dw": "x·dz", "db": "dz"},
    "logistic_two_inputs": {"dz": "a − y", "dw1": "x1·dz", "dw2": "x2·dz", "db": "dz"},
    "logistic_mean": {"dZ": "A − Y", "dw": "1/m · X dZᵀ", "db": "1/m · Σ dZ"},
    "logistic_sum": {"dA": "−Y/A + (1−Y)/(1−A)", "dw": "1/m · X dZᵀ", "db": "1/m · Σ dZ", "dZ": "A − Y"},
    "logistic_dot": {"dZ": "A − Y", "dw": "1/m · X dZᵀ", "db": "1/m · Σ dZ"},
    "two_layers_tanh": {**TWO_LAYERS, "dZ1": "W2ᵀ dZ2 ⊙ (1 − A1²)"},
    "two_layers_sigmoid": {**TWO_LAYERS, "dZ1": "W2ᵀ dZ2 ⊙ A1 ⊙ (1 − A1)"},
    "two_layers_relu": {**TWO_LAYERS, "dZ1": "W2ᵀ dZ2 ⊙ 1[Z1 > 0]"},
    "two_layers_leaky_relu": {**TWO_LAYERS, "dZ1": "W2ᵀ dZ2 ⊙ (1[Z1 > 0] + 0.01 · 1[Z1 ≤ 0])"},
    "four_layers": {"dZ4": "A4 − Y", "dW4": "1/m · dZ4 A3ᵀ", "db4": "1/m · Σ₁ dZ4", "dA3": "W4ᵀ dZ4",
                    "dZ3": "W4ᵀ dZ4 ⊙ (1 − A3²)", "dZ1": "W2ᵀ dZ2 ⊙ (1 − A1²)", "dW1": "1/m · dZ1 Xᵀ"},
    "softmax_likelihood": {"dZ": "A − Y", "dW": "1/m · dZ Xᵀ", "db": "1/m · Σ₁ dZ"},
    "softmax_layers": {**TWO_LAYERS, "dZ1": "W2ᵀ dZ2 ⊙ 1[Z1 > 0]"},
    "with_penalty": {**TWO_LAYERS, "dW1": "1/m · dZ1 Xᵀ + λ/m · W1", "dW2": "1/m · dZ2 A1ᵀ + λ/m · W2"},
    "squared_error": {"dZ2": "(A2 − Y) ⊙ A2 ⊙ (1 − A2)"},
    "bilinear": {"dx": "Aᵀy", "dy": "Ax", "dA": "y xᵀ"},
    "bilinear_columns": {"dx": "Aᵀy", "dy": "Ax", "dA": "y xᵀ"},
    "quadratic": {"dx": "(A + Aᵀ)x", "dA": "x xᵀ"},
    "quadratic_columns": {"dx": "(A + Aᵀ)x", "dA": "x xᵀ"},
}
ROWS = {"computation_graph": "M3", "logistic_example": "M14-M16-M17", "logistic_mean": "M22-M23-M28",
        "two_layers_tanh": "M54-M59", "four_layers": "M95-M98", "bilinear": "M122-M123-M124", "quadratic": "M125"}


@pytest.mark.parametrize("name", [pytest.param(name, id=f"{ROWS.get(name, 'notes')}-{name}") for name in REQUIRED])
def test_the_formulas_of_the_notes(name: str) -> None:
    found = of(CASES[name], convention="course")
    assert {key: found.lines.get(key) for key in REQUIRED[name]} == REQUIRED[name]


def test_M23_in_the_math_convention_the_mean_stands_where_autodiff_puts_it() -> None:
    found = of(CASES["logistic_mean"])
    assert found.lines["dZ"] == "1/m · (A − Y)"
    assert found.lines["dw"] == "X dZᵀ"
    assert found.lines["db"] == "Σ dZ"


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    expected = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert page(CASES[name]) == expected, f"to accept the new text: python {Path(__file__).name} {name}"


# ---------------------------------------------------------------- equal to the engine

READ_BY_MACHINE = [name for name in CASES if name not in ("convolution",)]  # it puts entries back in place


@pytest.mark.parametrize("convention", ["math", "course"])
@pytest.mark.parametrize("name", READ_BY_MACHINE)
def test_the_text_gives_the_engines_numbers(name: str, convention: str) -> None:
    """What is printed is parsed by a reader of its own and computed from the values of the forward pass."""
    case = CASES[name]
    found = of(case, convention=convention)
    assert not found.unverified
    program, arguments = trace_with_arguments(case.function, *case.arguments, wrt=case.wrt)
    values = program.run(*arguments, everything=True)
    count = re.search(r"(\w+) = (\d+) examples", "\n".join(found.remarks))
    m = int(count[2]) if count else 1
    values |= {count[1]: m} if count else {}
    values |= {"d": np.float64(case.arguments[0].shape[1])} if name == "attention" else {}
    scaled = re.findall(r"per example(?: \((.*?)\))?, (\w+) means", "\n".join(found.remarks))
    per_example = {k for group, one in scaled for k in [one, *group.split(", ")]}
    numbers = {key: value * m if key in per_example else value for key, value in values.items()}
    for key, text in found.lines.items():
        wanted = np.asarray(numbers[key])
        got = value_of(text, numbers, wanted.shape)
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12, err_msg=f"{key} = {text}")


@pytest.mark.parametrize("chosen", CASES)
def test_the_gradients_behind_the_formulas_are_the_engines(chosen: str) -> None:
    case = CASES[chosen]
    program, arguments = trace_with_arguments(case.function, *case.arguments, wrt=case.wrt)
    values = program.run(*arguments)
    inputs = [{k: t.numpy() for k, t in x.items()} if isinstance(x, dict) else x for x in case.arguments]
    wanted: dict[str, Any] = {}
    for i, (x, name) in enumerate(zip(inputs, inspect.signature(case.function).parameters, strict=True)):
        if isinstance(x, (dict, int)) or np.asarray(x).dtype.kind == "f":
            g = tg.grad(case.function, argnums=i)(*inputs)
            wanted |= {f"d{k}": v for k, v in g.items()} if isinstance(g, dict) else {f"d{name}": g}
    for key in list(program.outputs)[1:]:
        np.testing.assert_array_equal(values[key], wanted[key])


def test_a_wrong_simplification_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a shorter form does not give the engine's numbers, the formula stands as recorded."""
    case = CASES["logistic_mean"]
    wrong = Algebra.expanded
    seen = []

    def lies(self: Algebra, s: Any) -> Any:
        out = wrong(self, s)
        seen.append(out)
        return None if out is None else self.add(self.number(7, s.shape))

    monkeypatch.setattr(Algebra, "expanded", lies)
    found = of(case, convention="course")
    assert seen
    assert found.lines["dZ"] == "dA ⊙ A ⊙ (1 − A)"
    assert found.lines["dw"] == "1/m · X dZᵀ"
    assert "7" not in "".join(found.lines.values())
    assert not found.unverified


def test_what_cannot_be_verified_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reader, "agrees", lambda self, s, key: False)
    found = of(CASES["logistic_mean"], convention="course")
    assert sorted(found.unverified) == ["dA", "dZ", "db", "dw"]
    assert "as recorded" in found.remarks[-1]


def test_one_hot_targets_are_looked_at_not_assumed() -> None:
    """dZ = A − Y holds where the targets of an example sum to 1, and only there is it shown."""
    W, b, X, Y = CASES["softmax_likelihood"].arguments
    assert "Σ₀ Y = 1 for these data" in str(formulas(softmax_likelihood, W, b, X, Y, wrt=("W", "b"), convention="course"))
    found = formulas(softmax_likelihood, W, b, X, 2 * Y, wrt=("W", "b"), convention="course")
    assert found.lines["dZ"] != "A − Y"
    assert not found.unverified
    assert not any("= 1" in remark for remark in found.remarks)


def test_at_a_tie_the_half_is_shown() -> None:
    def cost(x: Any) -> Any:
        return np.maximum(x, 1.0)

    assert formulas(cost, 2.0).lines["dx"] == "1[x > 1]"
    tied = formulas(cost, 1.0)
    assert "≥" in tied.lines["dx"]
    assert not tied.unverified


def test_infinite_gradients_are_compared() -> None:
    assert formulas(lambda x: np.sqrt(x), 0.0).lines == {"dx": "1/(2J)"}
    assert not formulas(lambda x: np.sqrt(x), 0.0).unverified


# ---------------------------------------------------------------- of a recorded result

def test_a_recorded_result_reads_like_its_function() -> None:
    X, Y = CASES["logistic_mean"].arguments[2:]
    w, b = tg.Tensor(CASES["logistic_mean"].arguments[0]), tg.Tensor(CASES["logistic_mean"].arguments[1])
    Z = np.dot(w.T, X) + b
    A = tg.sigmoid(Z)
    J = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    expected = of(CASES["logistic_mean"], convention="course")
    assert formulas(J, convention="course").lines == expected.lines
    assert w.grad is None
    assert Z.grad is None


def test_a_recorded_result_keeps_gradients_that_were_there() -> None:
    x = tg.Tensor(3.0, name="x")
    y = x * x
    y.backward()
    formulas(y)
    assert x.grad == 6.0
    assert y.grad == 1.0


def test_names_come_from_arguments_variables_and_layers() -> None:
    def layer(W: Any, A: Any) -> Any:
        Z = W @ A
        return np.tanh(Z)

    def net(W1: Any, W2: Any, x: Any) -> Any:
        hidden = layer(W1, x)
        out = layer(W2, hidden)
        return np.sum(out * out)

    rng = np.random.default_rng(0)
    found = formulas(net, rng.normal(size=(4, 3)), rng.normal(size=(2, 4)), rng.normal(size=(3, 1)), wrt=(0, 1))
    assert list(found.lines) == ["dout", "dZ2", "dW2", "dhidden", "dZ1", "dW1"]


# ---------------------------------------------------------------- forms

def test_the_parts_of_the_result() -> None:
    found = of(CASES["logistic_mean"], convention="course")
    assert found["dZ"] == "A − Y"
    assert str(found) == repr(found)
    assert str(found).splitlines()[1] == "dZ = A − Y"
    bundle = found._repr_mimebundle_()
    assert bundle["text/plain"] == str(found)
    assert bundle["text/markdown"].startswith("$$\n\\begin{aligned}\n")
    assert found.latex().splitlines()[2:4] == ["dZ &= A - Y \\\\", r"dw &= \frac{1}{m} \, X \, dZ^{\top} \\"]


@pytest.mark.parametrize("name", CASES)
def test_latex_is_well_formed(name: str) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.mathtext import MathTextParser

    parser = MathTextParser("path")
    found = of(CASES[name], convention="course")
    assert found.latex().count(r"\left") == found.latex().count(r"\right")
    for formula in found.in_latex.values():
        assert formula.count("{") == formula.count("}")
        parser.parse(f"${formula}$")


def test_hostile_names_are_made_harmless() -> None:
    a = tg.Tensor(2.0, name="<script>$x^2$")
    b = tg.Tensor([1.0, 2.0], name="class")
    found = formulas((a * b).sum(), convention="course")
    assert list(found.lines) == ["dscript_x_2", "dclass_"]
    for text in (str(found), found.latex(), found.markdown()):
        assert "<" not in text
        assert "x^2" not in text


# ---------------------------------------------------------------- bad input

def test_a_branch_on_a_value_is_refused() -> None:
    def cost(x: Any) -> Any:
        if x > 0:
            return x * x
        return -x

    with pytest.raises(tg.errors.UnsupportedError, match=r"cost, line \d+: if x > 0: .*np\.where\(condition, a, b\)"):
        formulas(cost, 2.0)


def test_a_number_taken_out_is_refused() -> None:
    with pytest.raises(tg.errors.UnsupportedError, match="depends on the arguments as float"):
        formulas(lambda x: x * float(x), 2.0)


@pytest.mark.parametrize(("function", "arguments", "options", "error", "message"), [
    (lambda x: x * 2, [np.ones(3)], {}, tg.errors.GradientError, r"returns shape \(3,\).*Return .sum\(\)"),
    (lambda x: None, [1.0], {}, tg.errors.GradientError, "Is a `return` missing"),
    (lambda x: (x * x, x), [1.0], {}, tg.errors.GradientError, "returns tuple. Return the cost J alone"),
    (lambda x: 3.0, [1.0], {}, tg.errors.GradientError, "depends on no argument"),
    (lambda: 3.0, [], {}, tg.errors.GradientError, "no argument to differentiate by"),
    (np.angle, [1.0], {}, tg.errors.UnsupportedError, "no derivative rule"),
    (lambda x: x * x, [1.0], {"wrt": "q"}, tg.errors.NamesError, "wrt: 'q' is no argument of f. Its arrays are x"),
    (lambda x: x * x, [1.0], {"wrt": 3}, tg.errors.NamesError, "wrt: 3 is no argument"),
    (lambda x, y: x * x, [1.0, np.ones(2, bool)], {"wrt": "y"}, tg.errors.GradientError, "truth values"),
    (lambda x: x * x, [1.0], {"wrt": ()}, tg.errors.GradientError, "wrt is empty"),
    (lambda x: x * x, [1.0], {"convention": "physics"}, ValueError, 'write "math" or "course"'),
    (lambda a, b: a @ b, [np.ones((2, 3)), np.ones((2, 3))], {}, tg.errors.ShapeError, "inner sizes 3 and 2 differ"),
    (3, [], {}, TypeError, "int given. It takes a function"),
    (tg.Tensor(3.0), [], {}, tg.errors.GradientError, "was not computed from anything"),
    (tg.Tensor(3.0) * 2, [1.0], {}, TypeError, "takes no arguments"),
])
def test_what_cannot_be_written_says_why(function: Any, arguments: list[Any], options: dict[str, Any],
                                         error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        formulas(function, *arguments, **options)


def test_the_callers_profiler_is_put_back() -> None:
    import sys

    def watcher(*_: Any) -> None:
        pass

    def fails(x: Any) -> Any:
        raise RuntimeError("stop")

    before = sys.getprofile()
    sys.setprofile(watcher)
    try:
        formulas(computation_graph, 5, 3, 2)
        assert sys.getprofile() is watcher
        with pytest.raises(RuntimeError, match="stop"):
            formulas(fails, 1.0)
        assert sys.getprofile() is watcher
    finally:
        sys.setprofile(before)


def test_under_a_profiler_written_in_c() -> None:
    import cProfile

    profiler = cProfile.Profile()
    profiler.enable()
    try:
        assert formulas(computation_graph, 5, 3, 2).lines["du"] == "dv"
    finally:
        profiler.disable()


def test_long_chains_without_names() -> None:
    """Formulas of bounded length, in a time that grows with the graph and no faster."""
    def chain(x: Any) -> Any:
        return functools.reduce(lambda a, _: np.sin(a) * 1.01, range(400), x)

    found = formulas(chain, 0.3)
    assert not found.unverified
    assert max(map(len, found.lines.values())) < 1000


def test_settings_pass_through() -> None:
    def cost(x: Any, kind: str, times: int, activation: Any) -> Any:
        for _ in range(times):
            x = activation(x)
        return np.sum(x) if kind == "sum" else np.mean(x)

    x = tg.Tensor([0.5, -0.5, 1.0])
    assert formulas(cost, x, "sum", 1, np.tanh).lines == {"dx_2": "1", "dx": "1 − x_2²"}
    assert len(formulas(cost, x, "mean", 3, np.tanh).lines) == 4


if __name__ == "__main__":  # accept what is printed now
    import sys

    for chosen in sys.argv[1:] or CASES:
        (GOLDEN / f"{chosen}.txt").write_text(page(CASES[chosen]), encoding="utf-8")
