"""What is written runs: the code blocks of the pages, their command lines, and every example of a docstring.

In a Markdown file the blocks run in order, in one namespace and one empty directory, as a reader would follow them:

- ```python runs as a script; with `>>>` prompts, its printed results must be those shown;
- ```console and ```bash: each command with `-m tinygrad_edu` runs. Where the command stands behind `$ `, the lines
  after it are its output and must be what it prints (`...` stands for anything). It must succeed, unless the next
  command is `$ echo $?` and shows another status.

What is not meant to run is written as ```text.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import os
import re
import shlex
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg

ROOT = Path(__file__).resolve().parent.parent
REQUIRED = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
PAGES = [*REQUIRED, *sorted(f"docs/{p.relative_to(ROOT / 'docs')}" for p in (ROOT / "docs").rglob("*.md"))]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# Tutorials train small models and draw; a command line that takes longer than this is stuck.
SECONDS = 120


# ---------------------------------------------------------------- Markdown

@dataclass
class Block:
    language: str
    line: int  # of its first line of text, counted from 1
    text: str


def blocks(page: str) -> Iterator[Block]:
    """The fenced code blocks of a Markdown text, also those indented in lists."""
    fence: re.Match[str] | None = None
    held: list[str] = []
    for number, line in enumerate(page.splitlines(), 1):
        if fence is None:
            fence = re.match(r"( *)(`{3,}|~{3,})\s*(\w*)", line)
            start, held = number + 1, []
        elif re.fullmatch(rf" *{fence[2][0]}{{{len(fence[2])},}}\s*", line):
            yield Block(fence[3].lower(), start, "\n".join(held) + "\n")
            fence = None
        else:
            indent = len(fence[1])
            held.append(line[indent:] if not line[:indent].strip() else line)
    if fence is not None:
        raise AssertionError(f"line {start - 1}: the code block is not closed")


class PageError(AssertionError):
    """A block of a page does not do what the page says."""


def run_page(text: str, name: str) -> int:
    """Run the blocks of a page in the current directory; return how many there were to run."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for block in blocks(text):
        if block.language in ("python", "py", "pycon"):
            run_python(block, name, namespace)
            count += 1
        elif block.language in ("console", "bash", "sh", "shell"):
            for command in commands(block):
                if "-m tinygrad_edu" in command.line:
                    run_command(command, name)
                    count += 1
    return count


def run_python(block: Block, name: str, namespace: dict[str, Any]) -> None:
    where = f"{name}:{block.line}"
    if re.search(r"^\s*>>> ", block.text, re.MULTILINE):
        test = doctest.DocTestParser().get_doctest(block.text, {}, where, name, block.line - 1)
        test.globs = namespace
        failures = run_examples([test])
        if failures:
            raise PageError(failures)
        return
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            # the empty lines in front make tracebacks count as the page does
            exec(compile("\n" * (block.line - 1) + block.text, name, "exec"), namespace)  # noqa: S102
        except BaseException as error:
            frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == name]
            line = frames[-1].lineno if frames else getattr(error, "lineno", None) or block.line
            shown = "".join(traceback.format_exception_only(error)).strip()
            source = [*block.text.splitlines(), ""][line - block.line].strip()
            raise PageError(f"{name}:{line}: the python block fails at\n    {source}\n{shown}") from error


@dataclass
class Command:
    line: str
    number: int
    shown: str | None  # the output the page shows, None where it shows none
    status: int


def commands(block: Block) -> list[Command]:
    """The commands of a block: with `$ ` prompts and outputs, or else one a line; a `\\` continues a line."""
    lines = list(enumerate(block.text.splitlines(), block.line))
    prompted = any(line.startswith("$ ") for _, line in lines)
    found: list[Command] = []
    shown: list[list[str]] = []
    while lines:
        number, line = lines.pop(0)
        if prompted and not line.startswith("$ "):
            if found:
                shown[-1].append(line)
            continue
        line = line.removeprefix("$ ").strip()
        while line.endswith("\\") and lines:
            line = line[:-1] + lines.pop(0)[1].removeprefix("> ").strip()
        if line and not line.startswith("#"):
            found.append(Command(line, number, None, 0))
            shown.append([])
    for i, command in enumerate(found):
        if any(text.strip() for text in shown[i]):
            command.shown = "\n".join(shown[i]).strip("\n") + "\n"
        if prompted and i + 1 < len(found) and found[i + 1].line == "echo $?":
            command.status = int("".join(shown[i + 1]))
    return found


def run_command(command: Command, name: str) -> None:
    """Run the part of a command line that calls the package, with this Python, warnings as errors."""
    parts = [part.strip() for part in command.line.split("&&") if "-m tinygrad_edu" in part]
    for part in parts:
        line = re.sub(r"\S*python[\d.]*(?= -m tinygrad_edu)", lambda _: f"{shlex.quote(sys.executable)} -W error", part)
        where = f"{name}:{command.number}: `{part}`"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
        run = subprocess.run(line, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,  # noqa: S602 - ours
                             stderr=subprocess.STDOUT, encoding="utf-8", env=environment, timeout=SECONDS, check=False)
        if run.returncode != command.status:
            raise PageError(f"{where} ended with status {run.returncode}, not {command.status}:\n{run.stdout}")
        if command.shown is not None and not doctest.OutputChecker().check_output(command.shown, run.stdout, FLAGS):
            raise PageError(f"{where} prints\n{run.stdout}\nand the page shows\n{command.shown}")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (ROOT / page).exists(), f"{page} is missing"
    monkeypatch.chdir(tmp_path)
    try:
        run_page((ROOT / page).read_text(encoding="utf-8"), page)
    except PageError as error:
        pytest.fail(str(error), pytrace=False)
    finally:
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")


def test_the_readme_has_the_commands_that_ci_runs() -> None:
    """`.ci/run` takes the main job and the tests from the README, word for word."""
    assert (ROOT / "README.md").exists(), "README.md is missing"
    found = list(blocks((ROOT / "README.md").read_text(encoding="utf-8")))
    assert any(b.language in ("python", "pycon") for b in found)
    lines = [c.line for b in found if b.language in ("console", "bash") for c in commands(b)]
    venv = [line for line in lines if line.startswith("python -m venv .venv && ")]
    assert len(venv) == 2, f"README.md has to show two commands `python -m venv .venv && ...`, not {venv}"
    assert re.search(r"&& \.venv/bin/python -m tinygrad_edu .* --draw J\.svg$", venv[0])
    assert re.search(r"&& \.venv/bin/python -m pytest$", venv[1])


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        if not (ROOT / page).exists():
            continue
        text = re.sub(r"^( *)(```|~~~).*?^ *\2", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)
        text = re.sub(r"`[^`\n]*`", "", text)
        targets = re.findall(r"\]\(([^)\s]+)[^)]*\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
        for target in targets:
            file = target.partition("#")[0]
            if file and not re.match(r"[a-z]+:", file) and not ((ROOT / page).parent / file).exists():
                broken.append(f"{page}: {target}")
    assert not broken, "links to files that are not there:\n" + "\n".join(broken)


# -- the runner itself

@pytest.mark.parametrize("text, complaint", [
    pytest.param("```python\nx = 1\n```\ntext\n```python\nassert x == 2\n```\n", "page.md:6: .*assert x == 2",
                 id="blocks share names"),
    pytest.param("```python\n>>> 1 + 1\n3\n```\n", "line 2, in page.md:2(.|\n)*Got:\n    2", id="doctest"),
    pytest.param("```python\nimport warnings\nwarnings.warn('old', DeprecationWarning)\n```\n", "page.md:3: ",
                 id="warning"),
    pytest.param("- a list\n\n  ```python\n  1 / 0\n  ```\n", "page.md:4: .*(.|\n)*ZeroDivisionError", id="in a list"),
    pytest.param("```python\nif\n```\n", "page.md:2(.|\n)*SyntaxError", id="syntax"),
    pytest.param("```bash\npython -m tinygrad_edu.missing\n```\n", "page.md:2: (.|\n)*status 1", id="status"),
    pytest.param("```console\n$ python -m tinygrad_edu.missing\nsomething\n$ echo $?\n1\n```\n",
                 "page.md:2: (.|\n)*No module named(.|\n)*the page shows\nsomething", id="output"),
])
def test_a_wrong_page_is_found(text: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PageError, match=f"(?s){complaint}"):
        run_page(text, "page.md")


def test_a_right_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = ("```python\nfrom tinygrad_edu import Tensor\nx = Tensor(3.0)\n```\n\n"
            "```python\n>>> x * x\nTensor(9.0)\n```\n"
            "```text\nnot python\n```\n"
            "```console\n$ python -m tinygrad_edu.missing\n...No module named...\n$ echo $?\n1\n```\n"
            "```bash\npip install elsewhere && .venv/bin/python \\\n  -m tinygrad_edu.missing || true\n```\n")
    assert run_page(text, "page.md") == 4


# ---------------------------------------------------------------- docstrings

def modules() -> list[str]:
    package = ROOT / tg.__name__
    files = (file.relative_to(ROOT).with_suffix("").parts for file in sorted(package.rglob("*.py")))
    return [".".join(parts).removesuffix(".__init__") for parts in files]


def docstring_tests(module: ModuleType) -> list[doctest.DocTest]:
    """The examples of a module as a user would paste them: nothing is imported but what they import."""
    found = doctest.DocTestFinder().find(module, globs={"__name__": "__main__"})
    return [test for test in found if test.examples]


def run_examples(tests: list[doctest.DocTest]) -> str:
    """Run them, and return the report of what failed."""
    report = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False, optionflags=FLAGS)
    for test in tests:
        runner.run(test, out=report.write, clear_globs=False)
    return report.getvalue()


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_docstrings_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tests = docstring_tests(importlib.import_module(name))
    failures = run_examples(tests)
    if failures:
        pytest.fail(f"examples in the docstrings of {name}:\n{failures}", pytrace=False)


def test_the_examples_of_tensor_s_methods_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods that other files give to Tensor are in no module's list."""
    monkeypatch.chdir(tmp_path)
    parser = doctest.DocTestParser()
    tests = []
    for name, held in vars(tg.Tensor).items():
        text = getattr(held, "__doc__", None)
        if isinstance(text, str) and ">>> " in text:
            tests.append(parser.get_doctest(text, {"__name__": "__main__"}, f"Tensor.{name}", None, None))
    assert tests
    failures = run_examples(tests)
    if failures:
        pytest.fail(failures, pytrace=False)


def test_the_examples_of_public_names_are_all_found() -> None:
    """Each public function's examples are among those run above."""
    run = {example.source for name in modules() for test in docstring_tests(importlib.import_module(name))
           for example in test.examples}
    missed = []
    for name in tg.__all__:
        thing = getattr(tg, name)
        if getattr(thing, "__module__", "").startswith(tg.__name__) and thing.__doc__:
            examples = doctest.DocTestParser().get_examples(thing.__doc__)
            missed += [name] if not {example.source for example in examples} <= run else []
    assert not missed, f"public names whose examples no test runs: {missed}"


@pytest.mark.parametrize(("name", "wrong"), [
    ("grad", lambda: tg.grad(lambda x: x)(np.ones(2))), ("grad", lambda: tg.grad(lambda x: x)(True)),
    ("grad", lambda: tg.grad(lambda x: x, "q")(1.0)), ("value_and_grad", lambda: tg.value_and_grad(lambda x: x)(np.ones(2))),
    ("vjp", lambda: tg.vjp(lambda x: x, np.ones(3))[1](np.ones(2))),
    ("jvp", lambda: tg.jvp(lambda x: x, np.ones(3), np.ones(2))),
    ("jacobian", lambda: tg.jacobian(lambda x: x, mode="q")(1.0)), ("hessian", lambda: tg.hessian(lambda x: x)(np.ones(2))),
    ("hvp", lambda: tg.hvp(lambda x: x, np.ones(2), np.ones(2))),
    ("elementwise_grad", lambda: tg.elementwise_grad(np.exp)(True)),
    ("exp", lambda: tg.exp("one")), ("add", lambda: tg.add(np.ones(3), np.ones(2))), ("add", lambda: tg.add(1.0, "one")),
    ("matmul", lambda: tg.matmul(np.ones((2, 3)), np.ones((2, 3)))), ("softmax", lambda: tg.softmax(np.ones(2), axis=1)),
    ("split", lambda: tg.split(np.ones(3), 2)), ("reshape", lambda: tg.reshape(np.ones(3), (2, 2))),
    ("append", lambda: tg.append(np.ones((2, 3)), np.ones((2, 2)), axis=0)),
    ("concatenate", lambda: tg.concatenate([np.ones((2, 3)), np.ones((2, 2))])),
    ("broadcast_to", lambda: tg.broadcast_to(np.ones(3), (2,))), ("vecdot", lambda: tg.vecdot(np.ones(3), np.ones(2))),
    ("cross_entropy", lambda: tg.cross_entropy(np.ones((2, 3)), [0, 3])), ("mse", lambda: tg.mse(1.0, 2.0, "median")),
    ("binary_cross_entropy", lambda: tg.binary_cross_entropy(np.ones(3), np.ones(2))),
    ("l1", lambda: tg.l1(np.ones(3), np.ones(2))),
    ("huber", lambda: tg.huber(1.0, 2.0, delta=0.0)), ("smooth_l1", lambda: tg.smooth_l1(1.0, 2.0, beta=-1.0))])
def test_docstrings_name_the_errors_that_are_raised(name: str, wrong: Callable[[], object]) -> None:
    with pytest.raises((ValueError, TypeError, RuntimeError)) as raised:
        wrong()
    assert type(raised.value).__name__ in str(getattr(tg, name).__doc__)


@pytest.mark.parametrize(("name", "also"), [("conj", "real"), ("rad2deg", "degrees"), ("deg2rad", "radians"), ("fabs", "abs"),
                                            ("mod", "remainder"), ("true_divide", "divide")])
def test_one_function_of_two_names_says_both(name: str, also: str) -> None:
    first = str(getattr(tg, name).__doc__).splitlines()[0]
    assert name in first and also in first


def test_sort_as_a_method_is_as_its_docstring_says() -> None:
    t = tg.Tensor([3.0, 1.0])
    assert t.sort().data.tolist() == [1.0, 3.0] and t.data.tolist() == [3.0, 1.0]
    assert "leaves t as it was" in str(tg.sort.__doc__)
