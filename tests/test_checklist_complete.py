"""The checklist is complete: each of its 136 rows has a test. With -s the table is printed, row by row.

The tests are read, not run: the number of a row stands in the name of a test, `test_M22_...`, or in the id of one of its
cases. A test that is skipped for good, or that checks nothing, does not count.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from checklist_rows import ROWS, SECTIONS

HERE = Path(__file__).resolve().parent
CHECKS = re.compile(r"assert|close|same|raises|warns|check")  # how the functions are called that compare
IN_A_NAME, IN_AN_ID = re.compile(r"_M(\d+)(?=_|$)"), re.compile(r"(?<![A-Za-z0-9])M(\d+)(?!\d)")


def called(node: ast.AST) -> str:
    """The last name of what is called: `raises` of `pytest.raises(...)`."""
    function = node.func if isinstance(node, ast.Call) else node
    return function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""


def checks(test: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Assert) or (isinstance(node, ast.Call) and CHECKS.search(called(node)))
               for node in ast.walk(test))


def given_up(test: ast.FunctionDef) -> bool:
    return any(called(mark) in ("skip", "xfail") for mark in test.decorator_list)


def functions_of(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from functions_of(node.body, f"{node.name}::")
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield prefix + node.name, node


def claims(source: str) -> dict[str, set[int]]:
    """The tests of a file that carry numbers of rows: name -> numbers."""
    module = ast.parse(source)
    lists = {target.id: node.value for node in module.body if isinstance(node, ast.Assign)
             for target in node.targets if isinstance(target, ast.Name)}
    found: dict[str, set[int]] = {}
    for name, test in functions_of(module.body):
        assert name not in found, f"{name} is there twice, and the second hides the first"
        numbers = {int(n) for n in IN_A_NAME.findall(test.name)}
        for mark in test.decorator_list:
            cases = [mark, *(lists[n.id] for n in ast.walk(mark) if isinstance(n, ast.Name) and n.id in lists)]
            keywords = [k for case in cases for k in ast.walk(case) if isinstance(k, ast.keyword) and k.arg in ("id", "ids")]
            constants = [c.value for keyword in keywords for c in ast.walk(keyword) if isinstance(c, ast.Constant)]
            numbers |= {int(n) for text in constants if isinstance(text, str) for n in IN_AN_ID.findall(text)}
        found[name] = set() if given_up(test) or not checks(test) else numbers
    return {name: numbers for name, numbers in found.items() if numbers}


def shown() -> dict[int, list[str]]:
    """The tests of every row, "file::test"; rows without a test have an empty list."""
    by_row: dict[int, list[str]] = {row: [] for row in ROWS}
    for file in sorted(HERE.glob("test_*.py")):
        for name, numbers in claims(file.read_text(encoding="utf-8")).items():
            for number in sorted(numbers):
                assert number in by_row, f"{file.name}::{name}: the checklist has no row M{number}"
                by_row[number].append(f"{file.stem.removeprefix('test_')}::{name}")
    return by_row


def table(by_row: dict[int, list[str]]) -> str:
    """The checklist, with what shows each row."""
    lines = []
    for title, rows in SECTIONS.items():
        lines += ["", title.upper()]
        for row, words in rows.items():
            lines.append(f"{f'M{row}':>5}  {words}")
            lines += [f"         {test}" for test in by_row[row]] or ["         NO TEST"]
    done, tests = sum(map(bool, by_row.values())), {test for found in by_row.values() for test in found}
    return "\n".join([*lines, "", f"{done} of {len(by_row)} rows are shown, by {len(tests)} tests"])


def test_the_rows_are_all_there() -> None:
    assert list(ROWS) == list(range(1, 137))
    assert len(set(ROWS.values())) == 136 and all(words.strip() for words in ROWS.values())


def test_every_row_has_a_test() -> None:
    by_row = shown()
    print(table(by_row))
    missing = [f"M{row} ({ROWS[row]})" for row, tests in by_row.items() if not tests]
    assert not missing, f"{len(missing)} rows of the checklist have no test: " + "; ".join(missing)


# ---------------------------------------------------------------- the reader itself

def test_numbers_are_read_from_names_and_ids() -> None:
    assert claims("""
CASES = [pytest.param(1, id="M3 by name"), pytest.param(2, id="RM9")]

def test_M1_M12_both():
    assert True

@pytest.mark.parametrize("x", CASES)
def test_cases(x):
    close(x, x)

@pytest.mark.parametrize("x", [pytest.param(1, id="M5-M6")])
def test_M7_more(x):
    with pytest.raises(ValueError):
        x()

class TestInside:
    def test_M8(self):
        assert self
""") == {"test_M1_M12_both": {1, 12}, "test_cases": {3}, "test_M7_more": {5, 6, 7}, "TestInside::test_M8": {8}}


@pytest.mark.parametrize("source", [
    "def test_M1_nothing():\n    x = 1",
    "@pytest.mark.skip\ndef test_M1_skipped():\n    assert True",
    "@pytest.mark.xfail(reason='M1')\ndef test_M1_expected_to_fail():\n    assert True",
    "def helper_M1():\n    assert True",
    "def test_outer():\n    def test_M1_inner():\n        assert True",
    "def test_XM1_M1b():\n    assert True",
])
def test_what_does_not_count(source: str) -> None:
    assert not claims(source)


def test_hidden_tests_and_unknown_rows_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="there twice"):
        claims("def test_M1_a():\n    assert 1\ndef test_M1_a():\n    assert 2")
    monkeypatch.setattr("test_checklist_complete.HERE", tmp_path)
    (tmp_path / "test_some.py").write_text("def test_M22_x():\n    assert 1\n")
    by_row = shown()
    assert by_row[22] == ["some::test_M22_x"] and not by_row[21]
    assert f"  M21  {ROWS[21]}\n         NO TEST" in table(by_row)
    assert table(by_row).endswith("\n1 of 136 rows are shown, by 1 tests")
    (tmp_path / "test_some.py").write_text("def test_M137_x():\n    assert 1\n")
    with pytest.raises(AssertionError, match="no row M137"):
        shown()
