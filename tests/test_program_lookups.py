"""What passes ask a program for, and equality of lines: found once for each program, and told apart by more than ==."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tinygrad_edu.program.expand import spread_shape
from tinygrad_edu.program.lifetimes import last_that_may_fail, may_fail, updates_last
from tinygrad_edu.program.passes import share
from tinygrad_edu.program.program import Input, Line, Name, Program, renamed
from tinygrad_edu.rules.indexing import getitem
from tinygrad_edu.rules.linear_algebra import inv
from tinygrad_edu.rules.pointwise import add, multiply
from tinygrad_edu.rules.shapes import reshape
from tinygrad_edu.tensor import Primitive


def line(name: str, op: Primitive, *operands: Any, shape: tuple[int, ...] = (3,), **params: Any) -> Line:
    return Line(Name(name), op, operands, params, shape, np.dtype(np.float64))


def program(*lines: Line) -> Program:
    return Program("f", (Input(Name("x"), (3,), np.float64),), {}, lines, {"J": lines[-1].name})


x, a, b = Name("x"), Name("a"), Name("b")


def test_lookups_belong_to_one_program() -> None:
    first = program(line("a", add, x, 1.0), line("b", multiply, a, x))
    assert first.operations == {"add", "multiply"} and first.position == {"a": 0, "b": 1}
    assert first.line_of["b"] is first.lines[1] and first.kinds[0] == {"x": (3,), "a": (3,), "b": (3,)}
    second = replace(first, lines=first.lines[:1])
    assert second.operations == {"add"} and second.position == {"a": 0} and "b" not in second.line_of


def test_kinds_are_tuples_and_dtypes_whatever_a_line_holds() -> None:
    held = Line(a, add, (x, 1.0), {}, [3], np.float32)  # type: ignore[arg-type]
    shapes, dtypes = program(held).kinds
    assert shapes["a"] == (3,) and type(shapes["a"]) is tuple and isinstance(dtypes["a"], np.dtype)


def test_another_line_reads_what_it_was_given() -> None:
    given = line("a", add, x, b)
    assert given.uses() == (x, b)
    other = given.but(multiply, (b, 2.0), name=Name("c"))
    assert (other.name, other.op, other.uses(), other.shape, other.dtype) == ("c", multiply, (b,), (3,), np.float64)
    assert given.uses() == (x, b) and given.but().operands == given.operands


def test_names_in_settings_are_read_and_renamed() -> None:
    read = line("a", getitem, x, index=(slice(None), b, (1, Name("c"))))
    assert read.uses() == (x, b, Name("c"))
    assert line("a", reshape, x, shape=(3, 1)).uses() == (x,)
    assert renamed((1, (b, 2)), {"b": a}) == (1, (a, 2))


@pytest.mark.parametrize(("p", "q"), [(1, 1.0), (1, True), (0.0, -0.0), ((1, 2), (1, 2.0)), ((1,), [1]), ((1,), (True,))])
def test_settings_that_are_equal_and_not_the_same(p: Any, q: Any) -> None:
    """1 == 1.0 == True and 0.0 == -0.0, and a result may differ."""
    both = program(line("a", reshape, x, s=p), line("b", reshape, x, s=q), line("c", add, a, b))
    assert len(share(both).lines) == 3
    once = program(line("a", reshape, x, s=p), line("b", reshape, x, s=p), line("c", add, a, b))
    assert [str(one) for one in share(once).lines] == [str(once.lines[0]), "c = add(a, a)"]


@pytest.mark.parametrize(("p", "q"), [(1, 1.0), (0.0, -0.0), (np.float32(1), 1.0)])
def test_numbers_that_are_equal_and_not_the_same(p: Any, q: Any) -> None:
    both = program(line("a", add, p, x), line("b", add, q, x), line("c", add, p, x), line("d", multiply, a, b),
                   line("e", multiply, Name("c"), Name("d")))
    assert [str(one.name) for one in share(both).lines] == ["a", "b", "d", "e"]


def test_shapes_spread() -> None:
    assert spread_shape([(2, 3), (), (2, 3)]) == (2, 3) and spread_shape([(), ()]) == () == spread_shape([])
    assert spread_shape([(2, 1), (3,), (1, 3)]) == (2, 3)
    with pytest.raises(ValueError, match="broadcast"):
        spread_shape([(2,), (3,)])


def test_the_last_line_that_may_fail() -> None:
    labels = line("b", getitem, x, index=Name("i"))
    lines = [line("a", inv, x), line("p", getitem, x, index=0), labels, line("q", getitem, x, index=1), line("r", add, b, x)]
    for count in range(1, len(lines) + 1):
        given = program(*lines[:count])
        assert last_that_may_fail(given) == max((i for i, one in enumerate(given.lines) if may_fail(one)), default=-1)
    assert last_that_may_fail(program(lines[-1])) == -1


def test_programs_whose_updates_are_last_stay_as_they_are() -> None:
    given = program(line("a", add, x, 1.0), line("b", multiply, x, 2.0))
    assert updates_last(given) is given
