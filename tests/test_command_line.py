"""The command line: the main job, its input in every form, and every way the input can be wrong."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import __main__ as command_line
from tinygrad_edu.__main__ import FUNCTIONS, InputError, Reader, compute, main, read_value

ROOT = Path(__file__).resolve().parent.parent
MAIN_JOB = ["J = 3*(a + b*c)", "a=5", "b=3", "c=2"]


def run(*argv: str, encoding: str | None = None) -> subprocess.CompletedProcess[bytes]:
    env = dict(os.environ, PYTHONPATH=str(ROOT), PYTHONIOENCODING=encoding or "utf-8")
    command = [sys.executable, "-W", "error", "-m", "tinygrad_edu", *argv]
    return subprocess.run(command, capture_output=True, check=False, env=env, timeout=120)


def said(capsys: Any, *argv: str) -> str:
    assert main(argv) == 0
    shown = capsys.readouterr()
    assert not shown.err
    return str(shown.out)


def refused(capsys: Any, *argv: str) -> str:
    """The error: one line, then the place; nothing on stdout, exit code 2."""
    assert main(argv) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert "Traceback" not in shown.err
    assert shown.err.count("\n") in (1, 3)
    return str(shown.err)


def place(error: str) -> str:
    """What stands at the caret."""
    _, line, caret = error.rstrip("\n").split("\n")
    return line[caret.index("^") :]


# ---------------------------------------------------------------- the main job

def test_M1_M2_M3_the_main_job() -> None:
    done = run(*MAIN_JOB)
    assert done.returncode == 0
    assert done.stderr == b""
    out = done.stdout.decode()
    assert out.startswith("J = 33\n")
    for line in [
        "  u = b · c = 3 · 2  = 6", "  v = a + u = 5 + 6  = 11", "  J = 3 · v = 3 · 11 = 33",
        "  db = dJ/db = dJ/dv · dv/du · du/db = 3 · 1 · 2 = 6", "  dc = dJ/dc = dJ/dv · dv/du · du/dc = 3 · 1 · 3 = 9",
        "  da = dJ/da = dJ/dv · dv/da         = 3 · 1     = 3",
    ]:
        assert line in out.splitlines()


def test_json(capsys: Any) -> None:
    found = json.loads(said(capsys, *MAIN_JOB, "--json"))
    assert found["result"] == {"name": "J", "value": 33.0}
    assert found["gradients"] == {"dv": 3.0, "du": 3.0, "da": 3.0, "db": 6.0, "dc": 9.0}
    db = next(row for row in found["backward"] if row["name"] == "b")
    assert db == {"name": "b", "derivative": "dJ/db", "chain_rule": "dJ/dv · dv/du · du/db", "numbers": "3 · 1 · 2",
                  "value": 6.0, "shape": []}
    assert [row["name"] for row in found["forward"]] == ["a", "b", "c", "u", "v", "J"]


def test_json_of_what_is_not_finite(capsys: Any) -> None:
    assert main(["J = log(a)*[1,2]@[1,1]", "a=0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["result"]["value"] == "-inf"


def test_latex(capsys: Any) -> None:
    out = said(capsys, *MAIN_JOB, "--latex")
    assert out.count("\\begin{align*}") == out.count("\\end{align*}") == 3
    assert r"\frac{dJ}{db} = \frac{dJ}{dv} \cdot \frac{dv}{du} \cdot \frac{du}{db} = 3 \cdot 1 \cdot 2 = 6" in out


def test_one_derivative(capsys: Any) -> None:
    out = said(capsys, *MAIN_JOB, "--wrt", "b")
    assert "db = dJ/db" in out
    assert "da = dJ/da" not in out


@pytest.mark.parametrize("kind", ["svg", "png", "pdf", "dot"])
def test_draw(kind: str, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / f"J.{kind}"
    assert main([*MAIN_JOB, "--draw", str(path)]) == 0
    start = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF", "dot": b""}[kind]
    data = path.read_bytes()
    assert data.startswith(start)
    assert len(data) > 300
    assert f"wrote {path}" in capsys.readouterr().err


def test_a_picture_that_cannot_be_written(tmp_path: Path, capsys: Any) -> None:
    assert "must end in .svg" in refused(capsys, *MAIN_JOB, "--draw", "J.gif")
    assert "cannot be written" in refused(capsys, *MAIN_JOB, "--draw", str(tmp_path / "nowhere" / "J.svg"))


def test_doctor(capsys: Any) -> None:
    out = said(capsys, "doctor")
    for word in ("tinygrad_edu", tg.__version__, "python", "numpy", np.__version__, "pictures", "33, with derivatives 3, 6, 9"):
        assert word in out


def test_help_and_version(capsys: Any) -> None:
    assert "J = 3*(a + b*c)" in said(capsys, "--help")
    assert said(capsys, "--version") == f"tinygrad_edu {tg.__version__}\n"


# ---------------------------------------------------------------- what can be said

def value(expression: str, **values: Any) -> float:
    given_values = {k: tg.Tensor(v, name=k) for k, v in values.items()}
    return float(compute(expression, given_values)[1].value)


@pytest.mark.parametrize(("expression", "values", "result"), [
    ("a + b*2", {"a": 1, "b": 2}, 5),
    ("-a**2", {"a": 3}, -9),
    ("a/b - b//a + b % a", {"a": 2, "b": 7}, 2 / 7 - 3 + 1),
    ("u = a*b; v = u + 1; v*v", {"a": 2, "b": 3}, 49),
    ("u = a*b\nv = u + 1\nv*v", {"a": 2, "b": 3}, 49),
    ("  u = a*b\n    J = (u +\n   1)", {"a": 2, "b": 3}, 7),
    ("a*2 # remark", {"a": 2}, 4),
    ("J = a; J += 3; J", {"a": 2}, 5),
    ("exp(log(a)) + tanh(0*a) + sigmoid(0*a)", {"a": 2}, 2.5),
    ("np.exp(0*a) + tg.sigmoid(0*a) + ln(a)", {"a": 1}, 1.5),
    ("sum((W @ x)**2)", {"W": [[1, 2], [3, 4]], "x": [1, -1]}, 2),
    ("(W.T @ x)[0] + W[1, 0] + x[-1] + W[:, 0].sum()", {"W": [[1, 2], [3, 4]], "x": [1, -1]}, -2 + 3 - 1 + 4),
    ("mean(W, axis=0)[1] + W.mean(axis=(0, 1))", {"W": [[1, 2], [3, 4]]}, 3 + 2.5),
    ("sum(W * [1, 10])", {"W": [[1, 2], [3, 4]]}, 64),
    ("sum([a, b, 3])", {"a": 1, "b": 2}, 6),
    ("dot(x, x) + x.dot(x)", {"x": [1, 2]}, 10),
    ("sum(where(x > 1, x, 0))", {"x": [1, 2, 3]}, 5),
    ("sum(x[x > 1])", {"x": [1, 2, 3]}, 5),
    ("sum(x[[0, 0, 2]])", {"x": [1, 2, 3]}, 5),
    ("sum(where((x > 1) & ~(x == 3), x, 0))", {"x": [1, 2, 3]}, 2),
    ("x.reshape(2, 2)[0, 1] + reshape(x, (2, 2))[1, 0] + concatenate([x, x])[5]", {"x": [1, 2, 3, 4]}, 2 + 3 + 2),
    ("sum(relu(x))/x.size + x.shape[0]*x[0]", {"x": [-1, 2]}, 1 - 2),
    ("abs(a) + maximum(a, 3) + a**0.5", {"a": 4}, 4 + 4 + 2),
    ("2**3*a + 7//2 + 1e2", {"a": 1}, 111),
    ("x·y − 2÷x", {"x": 2, "y": 3}, 5),
    ("cos(pi*a) + e*a + σ(0*a)", {"a": 1}, -1 + np.e + 0.5),
    ("power(2, 70)*a", {"a": 1}, 2.0**70),
    ("α*β", {"α": 2, "β": 3}, 6),
    ("binary_cross_entropy(sigmoid(0*a), 1)", {"a": 1}, np.log(2)),
    ("a[None][0] + x[...][1] + x[::-1][0]", {"a": 1, "x": [1, 2]}, 5),
    ("+".join(["a"] * 100), {"a": 1}, 100),
])
def test_expressions(expression: str, values: dict[str, Any], result: float) -> None:
    assert value(expression, **values) == pytest.approx(result, rel=1e-12)


def test_an_expression_may_begin_with_a_minus(capsys: Any) -> None:
    assert said(capsys, "-a*b", "a=1", "b=2").startswith("J = −2\n")


def test_options_may_stand_anywhere(capsys: Any) -> None:
    assert json.loads(said(capsys, "--json", "a*b", "a=1", "b=-2"))["result"]["value"] == -2


@pytest.mark.parametrize(("text", "found"), [
    ("a=5", 5.0), ("a=-5.5", -5.5), ("a=1/4", 0.25), ("a=2**-1", 0.5), ("a=1e-3", 1e-3), ("a = 3", 3.0), ("a=pi", np.pi),
    ("W=[[1,2],[3,4]]", [[1, 2], [3, 4]]), ("x=[1]", [1]), ("x=(1, 2)", [1, 2]), ("W=[[-1, 1/2]]", [[-1, 0.5]]),
])
def test_values(text: str, found: Any) -> None:
    name, tensor = read_value(text)
    assert name == text.split("=")[0].strip()
    assert tensor.dtype == np.float64
    np.testing.assert_array_equal(tensor.value, found)


def test_values_from_files(tmp_path: Path, capsys: Any) -> None:
    np.save(tmp_path / "w.npy", np.array([[1.0], [2.0]]))
    np.save(tmp_path / "small.npy", np.float32(0.5))
    np.save(tmp_path / "whole.npy", np.arange(4))
    (tmp_path / "X.csv").write_text("height;weight\n1;2\n\n3;4\n", encoding="utf-8")
    (tmp_path / "Y.CSV").write_text("\ufeff5,6\n", encoding="utf-8")
    np.testing.assert_array_equal(read_value(f"w=@{tmp_path / 'w.npy'}")[1].value, [[1], [2]])
    assert read_value(f"w=@{tmp_path / 'small.npy'}")[1].dtype == np.float32
    assert read_value(f"w=@{tmp_path / 'whole.npy'}")[1].dtype == np.float64
    np.testing.assert_array_equal(read_value(f"X=@{tmp_path / 'X.csv'}")[1].value, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(read_value(f"Y=@{tmp_path / 'Y.CSV'}")[1].value, [[5, 6]])
    out = said(capsys, "mean((w.T @ X.T - Y)**2)", f"w=@{tmp_path / 'w.npy'}", f"X=@{tmp_path / 'X.csv'}",
               f"Y=@{tmp_path / 'Y.CSV'}")
    assert out.startswith("J = 12.5\n")


# ---------------------------------------------------------------- names of intermediates

def test_assigned_names_are_kept(capsys: Any) -> None:
    out = said(capsys, "z = w*x + b; a = sigmoid(z); L = -log(a)", "w=2", "x=1", "b=-3")
    assert out.startswith("L = 1.31326\n")
    assert "dz = dL/dz" in out
    assert "a = σ(z)" in out
    assert "da/dz = a · (1 − a)" in out


def test_a_name_given_again_is_another_node(capsys: Any) -> None:
    out = said(capsys, "a = a*2; J = a*3", "a=1")
    assert "a_2 = a · 2" in out
    assert said(capsys, "u = a; J = u", "a=4").startswith("J = 4\n")
    assert said(capsys, "J*2", "J=4").startswith("result = 8\n")


def test_names_that_are_not_used(capsys: Any) -> None:
    assert main(["alpha*2", "alpha=1", "alpah=2"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "note: alpah is given but the expression does not use it. Did you mean alpha?\n"
    assert shown.out.startswith("J = 2\n")


def test_what_is_not_finite_is_named(capsys: Any) -> None:
    assert main(["u = a - a; J = log(u)", "a=1"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("J = −inf\n")
    assert "J = log(u) is the first that is not finite" in shown.err


# ---------------------------------------------------------------- wrong input

@pytest.mark.parametrize(("argv", "message", "at"), [
    (["a + bb", "a=1", "b=2"], "the name bb has no value. Did you mean b?", "bb"),
    (["3*(a + b*", "a=1"], "'(' was never closed", "(a + b*"),
    (["3*)a", "a=1"], "unmatched ')'", ")a"),
    (["3 a", "a=1"], "this is not arithmetic", "a"),
    (["3a", "a=1"], "a name cannot begin with a digit: for a product write 3*a", "3a"),
    (["J = b1 + 0.5W1", "b1=1", "W1=2"], "a name cannot begin with a digit: for a product write 0.5*W1", "5W1"),
    (["J = max(a, b)", "a=2", "b=3"], "max: the axis is a Tensor. Axes are whole numbers. The larger of two values is "
     "maximum(a, b).", "max(a, b)"),
    (["2(a + 1)", "a=1"], "For a product write *", "2(a + 1)"),
    (["b*a(b)", "a=1", "b=2"], "a is a value, not a function. For a product write a*(...)", "a(b)"),
    (["a ^ 2", "a=1"], "For a power write **", "^ 2"),
    (["1 + a @ b", "a=1", "b=2"], "single number has no matrix product", "@ b"),
    (["J = W @ x", "W=[[1,2],[3,4]]", "x=[1,2,3]"], "matmul: W (2, 2) @ x (3,): inner sizes 2 and 3 differ", "@ x"),
    (["a; W + x", "a=1", "W=[[1,2],[3,4]]", "x=[1,2,3]"], "do not broadcast", "+ x"),
    (["J = W @ x", "W=[[1,2],[3,4]]", "x=[1,2]"], "the result has shape (2,), and only a single number", "@ x"),
    (["tanhh(a)", "a=1"], "there is no function tanhh. Did you mean tanh", "tanhh(a)"),
    (["np.linalg.inv(a)", "a=1"], "there is no function", ""),
    (["a.foo", "a=1"], ".foo is not known here", "foo"),
    (["a.__class__", "a=1"], ".__class__ is not known here", "__class__"),
    (["a.sum", "a=1"], "write .sum(...)", "sum"),
    (["exp", "a=1"], "exp is a function: write exp(...)", "exp"),
    (["sum(a, axes=1)", "a=[1]"], "sum: got an unexpected keyword argument 'axes'", "sum(a, axes=1)"),
    (["sum(a, axis=3)", "a=[1]"], "axis 3", "sum(a, axis=3)"),
    (["a[5]", "a=[1]"], "out of bounds", "a[5]"),
    (["a[0.5]", "a=[1]"], "an index must be a whole number", "0.5]"),
    (["x = a[0", "a=[1]"], "'[' was never closed", "[0"),
    (["a[0] = 3", "a=[1]"], "only a name can be assigned to", "a[0] = 3"),
    (["lambda: a", "a=1"], "a lambda cannot be used here", "lambda: a"),
    (["[a for a in b]", "b=1"], "a comprehension cannot be used here", "[a for a in b]"),
    (["a if a else a", "a=1"], "use where(condition, a, b)", "a if a else a"),
    (["import os", "a=1"], "only arithmetic and assignments", "import os"),
    (["__import__('os').system('ls')", "a=1"], "", ""),
    (["a + 'x'", "a=1"], "this is not a number", "'x'"),
    (["a + None", "a=1"], "this is not a number", "None"),
    (["a + 1j", "a=1"], "this is not a real number", "1j"),
    (["a + 1e999", "a=1"], "this is not a real number", "1e999"),
    (["a + 1/0", "a=1"], "division by zero", "/0"),
    (["a + (-8)**0.5", "a=1"], "this is not a real number", "**0.5"),
    (["3*4", "a=1"], "depends on none of the values given (a)", "*4"),
    (["3*4"], "use a name, and give it a value", "*4"),
    (["a > 1", "a=1"], "depends on none", "a > 1"),
    (["1 < a < 2", "a=1"], "one comparison at a time", "1 < a < 2"),
    (["b = 1; J = b*4", "a=1"], "depends on none", "*4"),
    (["u = a*2\nv = u*w\nv", "a=1"], "the name w has no value", "w"),
    (["(" * 300 + "a" + ")" * 300, "a=1"], "too many nested parentheses", "("),
    (["π*a + w", "a=1"], "the name w has no value", "w"),
])
def test_wrong_expressions(argv: list[str], message: str, at: str, capsys: Any) -> None:
    error = refused(capsys, *argv)
    assert message in error
    if at:
        assert place(error).startswith(at)


@pytest.mark.parametrize(("text", "message", "at"), [
    ("a", "a value is given as name=value", "a"),
    ("=3", "a value is given as name=value", "=3"),
    ("3=a", "a value is given as name=value", "3=a"),
    ("a-b=3", "a value is given as name=value", "a-b=3"),
    ("lambda=3", "is a word of the language", "lambda=3"),
    ("a=", "a needs a number", ""),
    ("a=b", "the name b has no value", "b"),
    ("a=[1,[2]]", "as many in each", "[1,[2]]"),
    ("a=[[1,2],[3]]", "as many in each", "[[1,2],[3]]"),
    ("a=[1", "'[' was never closed", "[1"),
    ("a='x'", "this is not a number", "'x'"),
    ("a=True", "", ""),
    ("a=1e999", "not a real number", "1e999"),
    ("a=1;2", "a needs a number", "1;2"),
    ("a=@", "only .npy and .csv", ""),
    ("a=@nowhere.npy", "nowhere.npy: no such file or directory", "nowhere.npy"),
    ("a=@x.npz", "only .npy and .csv", "x.npz"),
])
def test_wrong_values(text: str, message: str, at: str, capsys: Any) -> None:
    if text == "a=True":  # counts as 1
        assert said(capsys, "a*2", text).startswith("J = 2\n")
        return
    error = refused(capsys, "a*2", text)
    assert message in error
    if at:
        assert place(error).startswith(at)


def test_a_value_given_twice(capsys: Any) -> None:
    assert "a is given twice" in refused(capsys, "a*2", "a=1", "a=2")


def test_no_expression(capsys: Any) -> None:
    assert "there is no expression. Try: python -m tinygrad_edu" in refused(capsys)
    assert "there is no expression" in refused(capsys, "", "a=1")
    assert "unrecognized arguments: --drwa" in refused(capsys, "a", "a=1", "--drwa", "x")
    assert "not allowed with argument" in refused(capsys, "a", "a=1", "--json", "--latex")
    assert "There is a, J" in refused(capsys, "J = a*2", "a=1", "--wrt", "q")


def test_wrong_files(tmp_path: Path, capsys: Any) -> None:
    def error(name: str, data: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(data)
        return refused(capsys, "sum(X)", f"X=@{path}")

    def saved(array: Any, **options: Any) -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, array, **options)
        return buffer.getvalue()

    assert "magic" in error("noise.npy", bytes(range(100)))
    assert "error" in error("empty.npy", b"")
    objects = saved(np.array([{}], dtype=object), allow_pickle=True)
    assert "Python objects, which are not loaded" in error("objects.npy", objects)
    assert "complex128" in error("complex.npy", saved(np.ones(2) * 1j))
    assert "<U1" in error("text.npy", saved(np.array(["a"])))
    assert "not finite" in error("nan.npy", saved(np.array([np.nan])))
    assert "shorter than the shape" in error("lies.npy", saved(np.zeros(3)).replace(b"(3,), }        ", b"(9999999999,), }"))
    assert "error" in error("cut.npy", saved(np.zeros(300))[:-8])
    assert "there are no numbers in it" in error("empty.csv", b"")
    assert "line 2" in error("words.csv", b"1,2\n3,x\n")
    assert "line 3 has 1 columns, the first row has 2" in error("ragged.csv", b"1,2\n3,4\n5\n")
    assert "error" in error("bytes.csv", b"\xff\xfe\x00\n")
    assert "error" in error("gaps.csv", b"1,\n")
    (tmp_path / "folder.csv").mkdir()
    assert "folder.csv: " in refused(capsys, "sum(X)", f"X=@{(tmp_path / 'folder.csv')}")


def test_files_without_entries_or_axes(tmp_path: Path, capsys: Any) -> None:
    np.save(tmp_path / "none.npy", np.zeros((0, 3)))
    np.save(tmp_path / "one.npy", np.float64(3))
    assert said(capsys, "sum(X)", f"X=@{tmp_path / 'none.npy'}").startswith("J = 0\n")
    assert said(capsys, "X*2", f"X=@{tmp_path / 'one.npy'}").startswith("J = 6\n")


# ---------------------------------------------------------------- limits

@pytest.mark.parametrize(("argv", "message"), [
    (["9**9**9*a", "a=1"], "an exponent of more than 1000"),
    (["a**9999", "a=1"], "an exponent of more than 1000"),
    (["a**[1, 2000]@[1,1]", "a=1"], "an exponent of more than 1000"),
    (["power(9, 9**5)*a", "a=1"], "an exponent of more than 1000"),
    (["a" + "*a" * 10_000, "a=1"], "more than 20,000"),
    (["-" * 5000 + "a", "a=1"], "nested"),
    (["+".join(["a"] * 3000), "a=1"], "nested more than 150 levels deep"),
    (["1" * 15_000 + "*a", "a=1"], ""),
    (["x.col", "x=[1]"], "is not known"),
    ([f"x = a*[{','.join('1' * 4000)}]; sum(outer(x, x))", "a=1"], "16,000,000 entries, more than 10,000,000"),
    ([f"x = a*[{','.join('1' * 4000)}]; sum(diag(x))", "a=1"], "16,000,000 entries"),
    ([f"x = a*[{','.join('1' * 4000)}]; sum(x.reshape(-1, 1) * x)", "a=1"], "16,000,000 entries"),
    ([f"x = a*[{','.join('1' * 4000)}]; sum(x.reshape(-1, 1) @ x.reshape(1, -1))", "a=1"], "16,000,000 entries"),
    ([f"x = a*[{','.join('1' * 4000)}]; sum(maximum(x.reshape(-1, 1), x))", "a=1"], "16,000,000 entries"),
])
def test_limits(argv: list[str], message: str, capsys: Any) -> None:
    assert message in refused(capsys, *argv)


def test_a_limit_of_all_results_together(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "MOST_ENTRIES_IN_ALL", 10_000)
    error = refused(capsys, f"x = a*[{','.join('1' * 1000)}]; {'x = x + 1;' * 50} sum(x)", "a=1")
    assert "all results together have more than 10,000 entries" in error


def test_an_index_within_an_index_is_read_once(capsys: Any) -> None:
    depth = 60  # twice at each level would take longer than anybody waits
    assert said(capsys, f"J = {'x[' * depth}0{']' * depth}", "x=[0,0]").startswith("J = 0\n")


def test_a_question_ends_a_sentence(capsys: Any) -> None:
    error = refused(capsys, "J = W @ X", "W=[[1,2,3]]", "X=[[1,2,3]]")
    assert error.splitlines()[0].endswith("Did you mean W.T @ X, (3, 1) @ (1, 3)?")


def test_a_file_that_is_too_large(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "LARGEST_FILE", 100)
    monkeypatch.setattr(command_line, "MOST_ENTRIES", 4)
    path = tmp_path / "x.csv"
    path.write_text("1\n" * 60)
    assert "120 bytes, more than 100" in refused(capsys, "sum(x)", f"x=@{path}")
    path.write_text("1\n" * 5)
    assert "5 entries, more than 4" in refused(capsys, "sum(x)", f"x=@{path}")


# ---------------------------------------------------------------- terminals

@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-16"])
def test_terminals_that_know_less(encoding: str) -> None:
    done = run("J = σ(3*(a - b)**2)", "a=0.5", "b=0.25", encoding=encoding)
    assert done.returncode == 0, done.stderr
    out = done.stdout.decode(encoding)
    assert "J = 0.546738" in out
    rows = [line for line in out.splitlines() if " = " in line and line.startswith("  d")]
    assert len({line.rindex(" = ") for line in rows if line.startswith(("  da", "  db"))}) == 1
    if encoding == "ascii":
        assert "  dv/du = 2 * u       = 2 * 0.25                  = 0.5" in out.splitlines()


def test_errors_in_ascii() -> None:
    done = run("日本*a", "a=1", encoding="ascii")
    assert done.returncode == 2
    assert b"error: the name \\u65e5\\u672c has no value" in done.stderr


def test_the_caret_under_wide_letters(capsys: Any) -> None:
    error = refused(capsys, "日本*a + w", "a=1", "日本=2").splitlines()
    assert error[2] == "  " + " " * (len("日本*a + ") + 2) + "^"


def test_a_long_line_is_shown_around_the_place(capsys: Any) -> None:
    error = refused(capsys, "+".join(["a"] * 100) + " + oops", "a=1")
    assert place(error) == "oops"
    assert max(map(len, error.splitlines()[1:])) < 100


def test_a_pipe_that_closes() -> None:
    read, write = os.pipe()
    os.close(read)  # whoever read the output, say `head`, is gone
    try:
        done = subprocess.run([sys.executable, "-m", "tinygrad_edu", "J = 3*(a + b*c)", "a=5", "b=3", "c=2"], stdout=write,
                              stderr=subprocess.PIPE, check=False, cwd=ROOT, timeout=120)
    finally:
        os.close(write)
    assert done.stderr == b""


def test_control_characters_do_not_reach_the_terminal(capsys: Any) -> None:
    assert main(["a\x1b[31m*2", "a=1"]) == 2
    assert "\x1b" not in capsys.readouterr().err


# ---------------------------------------------------------------- fuzz

PIECES = ["a", "x", "W", "b", "3", "0", "1e9", "0.5", "(", ")", "[", "]", ",", ";", "\n", " ", "+", "-", "*", "/", "**",
          "@", "%", "//", ".", ":", "=", "==", "<", ">", "&", "|", "~", "^", ".T", ".sum()", ".shape", "'", '"', "#", "\\",
          "lambda", "if", "for", "in", "not", "None", "True", "...", "axis=", "np.", "_", "__", "日", "σ", "\t", "\x00",
          "{", "}", "!", "$", "`", "u = ", "J = ", *sorted(FUNCTIONS)]


def only_input_errors(text: str) -> None:
    given_values = {"a": 2.0, "x": [1.0, -2.0], "W": [[1.0, 2.0], [3.0, 4.0]]}
    values = {name: tg.Tensor(v, name=name) for name, v in given_values.items()}
    try:
        _, J, _ = compute(text, values)
    except InputError as error:
        assert "\n" not in error.message
        assert len(str(error).splitlines()) in (1, 3)
        return
    assert J.value.size == 1
    assert J.requires_grad
    with np.errstate(all="ignore"):
        assert str(tg.explain(J))


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@settings(max_examples=300)
@example("a[")
@example("x[W]")
@example("a.shape.sum()")
@example("sum()")
@example("where(x)")
@example("concatenate(a)")
@example("reshape(x, 'a')")
@example("x[None, ..., 0, 0, 0]")
@example("clip(x, None, [1,2,3])")
@example("categorical_cross_entropy(W, x)")
@example("cross_entropy(W, [0, 1])")
@example("a @ [[]]")
@example("sum([[], []])*a")
@example("x[a]")
@example("x[True]")
@example("x[(1,)]")
@example("stack([x, 1])")
@example("min(a, 3)")
@example("x[0:a:0]")
@example("x[::0]")
@example("~a")
@example("a & x")
@example("[1,2] > x")
@example("mean(W, axis=(0,0))")
@example("sum(a, a)")
@example("round(a)")
@example("transpose(W, W)")
def test_pieces_of_expressions(text: str) -> None:
    only_input_errors(text)


@given(st.text(max_size=30))
def test_any_text(text: str) -> None:
    only_input_errors(text)


FORMULAS = st.recursive(
    st.sampled_from(["a", "x", "W", "2", "-1.5", "0", "x[0]", "W[1]", "W.T", "[1, 2]"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" + ", " - ", "*", "/", "**", " @ ", " % ", "//", " > "]), inner).map(
            lambda t: f"({t[0]}){t[1]}({t[2]})"),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
        st.tuples(inner, st.sampled_from([".T", ".sum()", ".mean(axis=0)", "[0]", "[:, 0]", ".shape", ".size"])).map(
            lambda t: f"({t[0]}){t[1]}"),
    ), max_leaves=8)


@given(FORMULAS)
@settings(max_examples=100)
def test_formulas_of_every_kind(text: str) -> None:
    only_input_errors(text)
    only_input_errors(f"sum({text})")


@given(st.text(alphabet="a=@[]1,.-+*/() \n'\"xnpycsv", max_size=20))
def test_any_value(text: str) -> None:
    try:
        name, tensor = read_value(text)
    except InputError:
        return
    assert name.isidentifier()
    assert np.isfinite(tensor.value).all()


def test_nothing_of_python_can_be_reached() -> None:
    for text in ["().__class__.__bases__", "a.__init__.__globals__", "np.__loader__", "tg.errors.sys", "open('x')", "exec('1')",
                 "getattr(a, 'value')", "a.value", "a.backward()", "globals()", "sum.__globals__", "FUNCTIONS",
                 "np.load('x.npy')", "a.dot.__self__", "a.__array__()", "np.core.multiarray", "breakpoint()", "help()",
                 "print(a)"]:
        with pytest.raises(InputError):
            Reader(text, {"a": tg.Tensor(1.0, name="a")}).run()
