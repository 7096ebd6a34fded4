"""The command line on a function of a file: source, formulas, explain and draw, and every way it can go wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
FILE = '''\
import numpy as np
import tinygrad_edu as tg

rng = np.random.default_rng(0)
W, b = rng.normal(size=(1, 2)), np.zeros((1, 1))
X = rng.normal(size=(2, 5))
Y = np.array([[0.0, 1, 1, 0, 1]])
print("this file prints")
number = 3


def cost(W, b, X, Y):
    Z = W @ X + b
    A = tg.sigmoid(Z)
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def J(a, b, c=2.0):
    u = b * c
    v = a + u
    return 3 * v


def classes(W, X, y):
    return tg.cross_entropy(X @ W, y)


def branches(x):
    if x > 0:
        return x
    return -x


def wrong_shapes(p, q):
    return np.sum(p @ q)


def raises(x):
    return x + {}["missing"]


def vector(x):
    return 2 * x


def only_by_name(x, *, k):
    return x * k


def leaves(x):
    raise SystemExit(3)


class Model:
    def energy(self, x):
        return np.sum(x * x)


model = Model()

if __name__ == "__main__":
    raise RuntimeError("only when run itself")
'''


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "costs.py"
    path.write_text(FILE, encoding="utf-8")
    return path


def said(capsys: Any, *argv: str) -> str:
    status, shown = main(argv), capsys.readouterr()
    assert status == 0, shown.err
    assert shown.err.startswith("this file prints\n")
    return str(shown.out)


def refused(capsys: Any, *argv: str) -> str:
    assert main(argv) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    error = str(shown.err).removeprefix("this file prints\n")
    assert error.startswith("error: ")
    assert "Traceback" not in error
    assert error.count("\n") in (1, 3)
    return error


def test_source_of_a_function(file: Path, capsys: Any) -> None:
    """With the file's own variables as arguments, in a process of its own too, to be sent to a file with >."""
    shown = said(capsys, "source", "costs.py:cost", "--wrt", "W", "--wrt", "b")
    scope = _loaded(file)
    assert shown == f"{tg.numpy_source(scope.cost, scope.W, scope.b, scope.X, scope.Y, wrt=('W', 'b'))}\n"
    run = subprocess.run([sys.executable, "-W", "error", "-m", "tinygrad_edu", "source", "costs.py:cost", "--wrt=W,b"],
                         capture_output=True, check=False, cwd=file.parent,
                         env=dict(os.environ, PYTHONPATH=str(ROOT), PYTHONIOENCODING="utf-8"))
    assert run.returncode == 0
    assert run.stdout.decode() == shown
    assert run.stderr.decode() == "this file prints\n"
    assert not list(file.parent.rglob("__pycache__"))


def _loaded(file: Path) -> Any:
    import importlib.util

    spec = importlib.util.spec_from_file_location("costs_in_a_test", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_source_into_a_file(file: Path, capsys: Any) -> None:
    assert main(["source", "costs.py:cost", "--output", "backprop.py", "--convention", "course"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.endswith("wrote backprop.py\n")
    text = (file.parent / "backprop.py").read_text(encoding="utf-8")
    assert text.startswith("import numpy as np\n")
    assert text.endswith("return J, dW, db, dX, dY\n")


def test_formulas_of_a_function(file: Path, capsys: Any) -> None:
    shown = said(capsys, "formulas", "costs.py:cost", "--wrt", "W,b", "--convention", "course")
    assert "dZ = A − Y\n" in shown
    assert r"\begin{align*}" in said(capsys, "formulas", "costs.py:cost", "--wrt", "W", "--latex")


def test_explain_a_function(file: Path, capsys: Any) -> None:
    """The numbers of the command line come before a default, a default before the file's variable."""
    shown = said(capsys, "explain", "costs.py:J", "a=5", "b=3")
    assert shown.startswith("J = 33\n")
    assert "  db = dJ/db = dJ/dv · dv/du · du/db = 3 · 1 · 2 = 6\n" in shown
    assert r"\begin{align*}" in said(capsys, "explain", "costs.py:J", "a=5", "b=3", "--latex")
    assert "dW  = dJ/dW" in said(capsys, "explain", "costs.py:cost", "--wrt", "W")


def test_draw_a_function(file: Path, capsys: Any) -> None:
    assert main(["draw", "costs.py:J", "a=5", "b=3"]) == 0
    assert capsys.readouterr().err.endswith("wrote J.svg\n")
    assert "<svg" in (file.parent / "J.svg").read_text(encoding="utf-8")
    assert main(["draw", "costs.py:cost", "--output", "graph.dot"]) == 0
    text = (file.parent / "graph.dot").read_text(encoding="utf-8")
    assert "Z" in text
    assert "tanh" not in text


def test_whole_numbers_of_a_file_stay_whole(file: Path, capsys: Any) -> None:
    """Class numbers are an argument of the code, not a constant in it."""
    np.save("y.npy", np.array([0, 1, 1, 0, 1]))
    np.save("X5.npy", np.ones((5, 3)))
    shown = said(capsys, "source", "costs.py:classes", "W=[[1,2],[3,4],[5,6]]", "X=@X5.npy", "y=@y.npy", "--wrt", "W")
    assert "y  (5,) of int64" in shown
    assert "one_hot(y, 2, axis=1)" in shown


def test_a_method_by_dots(file: Path, capsys: Any) -> None:
    assert "def energy_and_gradients(x):" in said(capsys, "source", "costs.py:model.energy", "x=[1,2]")


def test_an_expression_may_use_the_words(capsys: Any) -> None:
    assert main(["draw*source", "draw=2", "source=3"]) == 0
    assert main(["source", "source=3"]) == 0
    assert capsys.readouterr().out.count(" = 3") >= 1


@pytest.mark.parametrize(("argv", "expected"), [
    (["source", "costs.py"], "error: costs.py: which function? Write costs.py:cost. There are cost, J, classes,"),
    (["source", "costs.py:"], "error: costs.py:: which function? Write costs.py:cost."),
    (["source", "costs.py:cots"], "there is no function cots. Did you mean cost?\n  costs.py:cots\n           ^\n"),
    (["source", "costs.py:zzzzzz"], "there is no function zzzzzz. There are cost, J, classes,"),
    (["source", "costs.py:number"], "number is int, not a function."),
    (["source", "nowhere.py:f"], "error: nowhere.py: no such file or directory.\n"),
    (["source", "costs.txt:f"], "a Python file is needed, named as in cost.py:function."),
    (["source", "costs.py:J", "d=1"], "error: J has no argument d. It takes a, b, c.\n"),
    (["source", "costs.py:cost", "WW=1"], "error: cost has no argument WW. Did you mean W?\n"),
    (["source", "costs.py:J", "b=3"], "error: J: a has no value. Give it as a=..., a=@file.npy or @file.csv, or set a in "
                                      "costs.py.\n"),
    (["source", "costs.py:J", "a=1", "a=2"], "error: a is given twice."),
    (["source", "costs.py:J", "a=1", "b=2", "--wrt", "q"], "error: wrt: 'q' is no argument of J. Its arrays are a, b, c.\n"),
    (["source", "costs.py:branches", "x=1"], "uses a value that depends on the arguments as a condition"),
    (["source", "costs.py:wrong_shapes", "p=[[1,2]]", "q=[[1,2]]"], "inner sizes 2 and 1 differ. Did you mean p.T @ q"),
    (["explain", "costs.py:raises", "x=1"], 'KeyError: \'missing\'.\n      return x + {}["missing"]\n      ^\n'),
    (["source", "costs.py:vector", "x=[1,2]"], "returns shape (2,), and only a single number has a gradient."),
    (["source", "costs.py:only_by_name", "x=1", "k=2"], "k can be given by name only, which cannot be recorded."),
    (["source", "costs.py:leaves", "x=1"], "SystemExit: 3."),
    (["draw", "costs.py:J", "a=1", "b=2", "--output", "J.gif"], "the name must end in .svg, .png, .pdf or .dot."),
    (["draw", "costs.py:J", "a=1", "b=2", "--output", "no/where.svg"], "no/where.svg cannot be written: No such file"),
    (["source", "costs.py:J", "a=1", "b=2", "--output", "no/where.py"], "no/where.py: no such file or directory."),
    (["source", "costs.py:J", "a=1", "b=2", "--latex"], "source prints no LaTeX; formulas and explain do."),
    (["formulas", "costs.py:J", "a=1", "b=2", "--output", "x"], "formulas prints to the terminal; write > x instead."),
    (["source", "costs.py:J", "a=1", "--convention", "french"], "invalid choice: 'french'"),
    (["source"], "the following arguments are required: FILE.py:function"),
])
def test_what_can_be_wrong(file: Path, capsys: Any, argv: list[str], expected: str) -> None:
    assert expected in refused(capsys, *argv)


@pytest.mark.parametrize(("text", "expected"), [
    ("def f(x):\n    return (x\n", "line 2: '(' was never closed.\n      return (x\n"),
    ("import nothing_of_that_name\ndef f(x): return x\n", "line 1: ModuleNotFoundError: No module named"),
    ("def f(x): return x\n1 / 0\n", "line 2: ZeroDivisionError: division by zero.\n  1 / 0\n  ^\n"),
    ("import sys\ndef f(x): return x\nsys.exit('bye')\n", "line 3: SystemExit: bye.\n"),
    ("\0", "null bytes"),
])
def test_a_file_that_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, text: str,
                                  expected: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.py").write_text(text, encoding="utf-8")
    assert expected in refused(capsys, "source", "f.py:f", "x=1")


def test_a_file_that_is_not_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.py").write_bytes(b"\xff\xfe\x00")
    assert "it is not text in UTF-8." in refused(capsys, "source", "f.py:f")


def test_a_file_beside_it_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path.parent)
    (tmp_path / "beside_it.py").write_text("factor = 3.0\n", encoding="utf-8")
    (tmp_path / "f.py").write_text("from beside_it import factor\ndef f(x): return factor * x\n", encoding="utf-8")
    before = list(sys.path)
    assert main(["source", f"{tmp_path / 'f.py'}:f", "x=1"]) == 0
    assert "3.0 * x" in capsys.readouterr().out
    assert sys.path == before


def test_help_says_the_commands(capsys: Any) -> None:
    assert main(["source", "--help"]) == 0
    shown = capsys.readouterr().out
    for command in ("source", "formulas", "explain", "draw"):
        assert f"python -m tinygrad_edu {command}" in shown
    assert main(["--help"]) == 0
    assert "source FILE.py:function" in capsys.readouterr().out
