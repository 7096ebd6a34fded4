"""The house: which file may import which, what an import costs, what a public name owes its reader."""

from __future__ import annotations

import ast
import gc
import importlib
import inspect
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tinygrad_edu"
FILES = sorted(PACKAGE.rglob("*.py"))

# A room may import itself and the rooms below it. A new file at the top of the package needs a place here.
ENGINE = ["errors", "modes", "memory", "tensor", "containers", "operators", "rules", "ops", "versions", "backprop",
          "forward", "recorded", "calculus", "matrices", "checking", "custom", "recompute", "program", "show"]
BELOW: dict[str, set[str]] = {room: set(ENGINE[:i]) for i, room in enumerate(ENGINE)}
BELOW["nn"] = {"errors", "modes", "tensor", "containers", "rules", "ops"}
BELOW["optim"] = {"errors", "modes", "tensor", "containers", "ops"}
BELOW["data"] = {"errors", "tensor", "ops"}
BELOW["weights"] = {"errors", "nn", "data"}
BELOW["testing"] = set(ENGINE)
BELOW["plots"] = {*ENGINE, "nn"}
BELOW["training"] = {*ENGINE, "nn", "optim", "data", "weights", "plots"}
BELOW["estimators"] = {*BELOW["training"], "training"}
BELOW["__init__"] = {*BELOW["estimators"], "estimators", "weights", "plots"}
BELOW["__main__"] = {*BELOW["__init__"], "__init__"}


# ---------------------------------------------------------------- imports

@dataclass
class Import:
    """One import of a module of this package."""

    file: Path
    line: int
    source: str  # the importing module, "" for __init__: "backprop", "rules.shapes"
    target: str  # the imported module, likewise
    late: ast.FunctionDef | ast.AsyncFunctionDef | None  # the function that imports when it is called

    def __str__(self) -> str:
        source, target = self.source or "__init__", self.target or "__init__"
        return f"{self.file.relative_to(ROOT)}:{self.line}: {source} imports {target}"


def module_of(file: Path) -> str:
    parts = list(file.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    return module.split(".")[0] or "__init__"


MODULES = {module_of(file) for file in FILES}


def imports_of(file: Path, text: str | None = None) -> Iterator[Import]:
    """Every import of the package in a file, also inside functions and `if TYPE_CHECKING`."""
    source = module_of(file)
    package = source.split(".") if file.name == "__init__.py" and source else source.split(".")[:-1]

    def visit(node: ast.AST, late: Any) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from visit(child, late or child)
            elif isinstance(child, (ast.Import, ast.ImportFrom)):
                for target in targets(child):
                    yield Import(file, child.lineno, source, target, late)
            else:
                yield from visit(child, late)

    def targets(node: ast.Import | ast.ImportFrom) -> list[str]:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            return [name.partition(".")[2] for name in names if name.split(".")[0] == PACKAGE.name]
        base = (node.module or "").split(".") if node.module else []
        if node.level:
            base = package[: len(package) - node.level + 1] + base
        elif base and base[0] == PACKAGE.name:
            base = base[1:]
        else:
            return []
        whole = ".".join(base)
        found = {".".join([*base, alias.name]) if ".".join([*base, alias.name]) in MODULES else whole
                 for alias in node.names}
        return sorted(found)

    yield from visit(ast.parse(text or file.read_text(encoding="utf-8"), str(file)), None)


IMPORTS = [found for file in FILES for found in imports_of(file)]


def allowed(arrow: Import) -> bool:
    source, target = room_of(arrow.source), room_of(arrow.target)
    return source == target or target in BELOW[source]


def two_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function, without its docstring, is an import and a single call of what it imports."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (len(body) == 2 and isinstance(body[0], ast.ImportFrom) and isinstance(body[1], (ast.Expr, ast.Return))
            and isinstance(body[1].value, ast.Call))


def test_the_imports_are_seen() -> None:
    """The parser of imports above finds the forms there are, so that the tests below can fail."""
    text = ("import numpy\nimport tinygrad_edu.show.names\nfrom . import shapes, missing\nfrom ..tensor import Tensor\n"
            "from tinygrad_edu.errors import ShapeError\n"
            "def f():\n    from ..backprop import backward\n    backward()\n")
    found = list(imports_of(PACKAGE / "rules" / "pointwise.py", text))
    assert [(x.target, x.late is not None) for x in found] == [
        ("show.names", False), ("rules", False), ("rules.shapes", False), ("tensor", False), ("errors", False),
        ("backprop", True)]
    assert [allowed(x) for x in found] == [False, True, True, True, True, False]
    assert found[-1].late is not None
    assert two_lines(found[-1].late)
    assert {(x.source, x.target) for x in IMPORTS} >= {("backprop", "tensor"), ("ops.shapes", "rules.shapes")}


def test_every_room_has_a_place() -> None:
    homeless = sorted({str(f.relative_to(ROOT)) for f in FILES if room_of(module_of(f)) not in BELOW})
    assert not homeless, f"no place in the order of imports, ENGINE and BELOW in {Path(__file__).name}: {homeless}"


def test_every_room_is_a_package() -> None:
    rooms = {file.parent for file in FILES}
    bare = sorted(str(room.relative_to(ROOT)) for room in rooms if not (room / "__init__.py").exists())
    assert not bare, f"folders without an __init__.py: {bare}"


def test_imports_point_one_way() -> None:
    """Upwards only the two-line late imports of a method: `from .backprop import backward; backward(self)`."""
    wrong = [x for x in IMPORTS if not allowed(x) and (x.late is None or not two_lines(x.late))]
    assert not wrong, "imports that point upwards:\n" + "\n".join(map(str, wrong))


def test_methods_of_tensor_alone_import_later_rooms() -> None:
    wrong = [x for x in IMPORTS if not allowed(x) and room_of(x.source) not in ("tensor", "ops")]
    assert not wrong, "late imports upwards outside tensor.py and ops:\n" + "\n".join(map(str, wrong))


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Within a room too: no cycle among the imports made when a file is loaded."""
    arrows: dict[str, set[str]] = {module: set() for module in MODULES}
    for x in IMPORTS:
        if x.late is None and x.target in MODULES and x.target != x.source:
            arrows[x.source].add(x.target)
    packages = {module_of(f) for f in FILES if f.name == "__init__.py"}
    for package in packages:  # `from . import shapes` inside a package means the file, not the package
        for module in MODULES:
            if module.startswith(f"{package}.") and package:
                arrows[module].discard(package)
    while True:
        free = [m for m, below in arrows.items() if not below]
        if not free:
            break
        for m in free:
            del arrows[m]
        for below in arrows.values():
            below.difference_update(free)
    assert not arrows, f"imports in a circle among: {sorted(arrows)}"


# ---------------------------------------------------------------- what the code may not do

BANNED_CALLS = {"eval", "exec", "compile", "__import__"}
ALLOWED = {PACKAGE / "program" / "emit.py": ("exec()", "compile()")}  # runs the NumPy code that jit prints
BANNED_MODULES = {"pickle", "cPickle", "dill", "marshal", "shelve", "socket", "urllib", "http", "requests"}


def dangers(text: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in BANNED_CALLS:
                found.append(f"{node.lineno}: {called.id}()")
            if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and (
                    (called.value.id == "builtins" and called.attr in BANNED_CALLS)
                    or (called.value.id == "os" and called.attr in ("system", "popen"))):
                found.append(f"{node.lineno}: {called.value.id}.{called.attr}()")
            for keyword in node.keywords:
                if keyword.arg in ("allow_pickle", "shell") and not (
                        isinstance(keyword.value, ast.Constant) and keyword.value.value is False):
                    found.append(f"{node.lineno}: {keyword.arg}=")
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else (
            [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else [])
        found += [f"{node.lineno}: import {name}" for name in names if name.split(".")[0] in BANNED_MODULES]
    return found


@pytest.mark.parametrize("line", [
    "eval('1')", "exec('x')", "import pickle", "from pickle import loads", "np.load(f, allow_pickle=True)",
    "subprocess.run(c, shell=True)", "os.system('ls')", "builtins.eval('1')", "import urllib.request"])
def test_a_danger_is_seen(line: str) -> None:
    assert dangers(line)


def test_nothing_is_evaluated_unpickled_or_sent() -> None:
    found = [f"{f.relative_to(ROOT)}:{d}" for f in FILES for d in dangers(f.read_text(encoding="utf-8"))
             if not d.endswith(ALLOWED.get(f, ("?",)))]
    assert not found, "\n".join(found)


def lines_of_code(text: str) -> int:
    """The lines that are neither blank nor comment nor docstring."""
    documented: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            first = node.body[0]
            documented |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    passive = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in passive:
            code |= set(range(token.start[0], token.end[0] + 1))
    return len(code - documented)


def test_the_engine_is_read_in_one_sitting() -> None:
    counts = {name: lines_of_code((PACKAGE / name).read_text(encoding="utf-8"))
              for name in ("tensor.py", "backprop.py", "rules/pointwise.py")}
    assert sum(counts.values()) <= 800, f"lines of code without docstrings and comments: {counts}"


# ---------------------------------------------------------------- what an import costs

LATER = ["graphviz", "pygraphviz", "matplotlib", "sklearn", "scipy", "pandas", "IPython", "hypothesis", "subprocess",
         "random", "pathlib", "numpy.random", "tinygrad_edu.nn.layers", "tinygrad_edu.show", "tinygrad_edu.program",
         "tinygrad_edu.training", "tinygrad_edu.estimators"]


def test_an_import_loads_the_engine_alone() -> None:
    """Readers, renderers and estimators are loaded when they are first used."""
    program = ("import sys, numpy\nbefore = set(sys.modules)\nimport tinygrad_edu\n"
               "print(*sorted(set(sys.modules) - before))")
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    loaded = run.stdout.split()
    assert "tinygrad_edu.tensor" in loaded
    early = [m for m in loaded if any(m == later or m.startswith(f"{later}.") for later in LATER)]
    assert not early, f"`import tinygrad_edu` loads {early}"


def test_ordinary_use_loads_no_masked_arrays() -> None:
    """numpy.ma takes longer to load than the engine; looking for masked arrays must not load it."""
    program = ("import sys, numpy as np, tinygrad_edu as tg\ntg.Tensor([1.0, 2.0]) * [2, 3]\n"
               "tg.jit(lambda x, c: x * c)(np.ones(3), 2.0)\nprint('numpy.ma' in sys.modules)")
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False"]


# ---------------------------------------------------------------- what a public name owes its reader

def public_names() -> list[str]:
    names = getattr(tg, "__all__", None)
    return sorted(names) if names else []


def test_the_public_names_are_said() -> None:
    assert public_names(), "tinygrad_edu/__init__.py has no __all__"
    missing = [name for name in public_names() if not hasattr(tg, name)]
    assert not missing, f"in __all__ and not there: {missing}"
    assert set(public_names()) <= set(dir(tg)), "dir(tinygrad_edu) leaves out names of __all__"


def wants_example(name: str, thing: Any) -> bool:
    return not name.startswith("__") and (inspect.isclass(thing) or callable(thing))


@pytest.mark.parametrize("name", public_names())
def test_a_public_name_has_a_docstring_with_an_example(name: str) -> None:
    """That the examples run, and print what they say, is for test_documentation.py."""
    thing = getattr(tg, name)
    if isinstance(thing, ModuleType):
        assert (thing.__doc__ or "").strip(), f"the module {name} has no docstring"
    elif wants_example(name, thing):
        own = thing.__dict__.get("__doc__") if inspect.isclass(thing) else thing.__doc__
        assert own and own.strip(), f"tg.{name} has no docstring of its own"
        assert ">>> " in own, f"the docstring of tg.{name} has no example (>>> ...)"


def error_classes() -> list[type]:
    errors = importlib.import_module("tinygrad_edu.errors")
    return [c for c in vars(errors).values()
            if inspect.isclass(c) and issubclass(c, (Exception, Warning)) and c.__module__ == errors.__name__]


@pytest.mark.parametrize("error", error_classes(), ids=lambda c: c.__name__)
def test_an_error_has_a_page(error: type) -> None:
    """Cause, small example, what to type instead."""
    page = error.__dict__.get("__doc__") or ""
    assert len(page.split()) > 10, f"{error.__name__} has no page"
    assert ">>> " in page, f"the page of {error.__name__} has no example (>>> ...)"
    assert issubclass(error, (tg.errors.TinygradError, Warning))


def test_every_public_name_is_written_about() -> None:
    """A name that no page has in its code is found by nobody: CHANGELOG.md, README.md or docs/."""
    assert (ROOT / "CHANGELOG.md").exists(), "there is no CHANGELOG.md"
    pages = [p for p in (ROOT / "CHANGELOG.md", ROOT / "README.md", *(ROOT / "docs").glob("*.md")) if p.exists()]
    code = re.compile(r"^ *(```|~~~).*?^ *\1|`[^`\n]+`", re.MULTILINE | re.DOTALL)  # "all" in a sentence is no mention
    words = {word for page in pages for found in code.finditer(page.read_text(encoding="utf-8"))
             for word in re.findall(r"\w+", found[0])}
    unmentioned = [name for name in public_names() if not name.startswith("__") and name not in words]
    unmentioned += [c.__name__ for c in error_classes() if c.__name__ not in words]
    assert not unmentioned, f"neither CHANGELOG.md nor README.md nor docs/ mentions {unmentioned}"


def test_the_version_is_one() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (version,) = re.findall(r'^version = "(.+)"$', text, re.MULTILINE)
    assert getattr(tg, "__version__", None) == version
    assert (ROOT / "CHANGELOG.md").exists(), "there is no CHANGELOG.md"
    assert version in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert (PACKAGE / "py.typed").exists()


# ---------------------------------------------------------------- a graph is freed when its last result is

def tensors_alive() -> int:
    return sum(type(x) is tg.Tensor for x in gc.get_objects())


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_a_cycle_would_be_seen(no_collector: None) -> None:
    before = tensors_alive()
    t = tg.Tensor([1.0])
    t.grad = t
    del t
    assert tensors_alive() == before + 1
    gc.collect()


def forward_only(w: tg.Tensor) -> Any:
    return tg.sigmoid(w @ np.ones((3, 2)) + 1.0).sum()


def forward_and_backward(w: tg.Tensor) -> Any:
    J = np.mean(np.exp(w) * w[0] + np.concatenate([w, w]).sum())
    J.backward()
    J.backward()
    return J


def long_chain(w: tg.Tensor) -> Any:
    y = w
    for _ in range(100_000):
        y = y * 1.0
    J = y.sum()
    J.backward()
    return J


def failed_operations(w: tg.Tensor) -> Any:
    for wrong in (lambda: w @ np.ones((7, 7)), lambda: w + np.ones(5), lambda: (w * 2).backward()):
        with pytest.raises(tg.errors.TinygradError):
            wrong()
    return w * 2


@pytest.mark.parametrize("use", [forward_only, forward_and_backward, long_chain, failed_operations])
def test_a_graph_is_freed_without_the_collector(use: Any, no_collector: None) -> None:
    w = tg.Tensor(np.ones((2, 3)))
    before = tensors_alive()
    J = use(w)
    assert tensors_alive() > before
    del J
    assert tensors_alive() == before, "a cycle keeps the graph alive"


def test_a_recorded_derivative_is_freed_with_its_gradient(no_collector: None) -> None:
    """With create_graph a leaf's .grad points back at the leaf; zero_grad() cuts that circle, the only one."""
    before = tensors_alive()
    w = tg.Tensor(2.0)
    J = w * w * w
    J.backward(create_graph=True)
    w.grad.backward()
    for t in (J, J.args[0]):
        t.zero_grad()
    del J, t
    w.zero_grad()
    del w
    assert tensors_alive() == before


def test_nested_grad_leaves_nothing_behind(no_collector: None) -> None:
    before = tensors_alive()
    third = tg.grad(tg.grad(tg.grad(lambda x: np.tanh(x) * x)))
    assert np.isfinite(third(0.3))
    assert tensors_alive() == before
