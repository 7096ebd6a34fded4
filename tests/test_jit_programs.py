"""Random programs give the same values and derivatives eager and compiled, on any numbers, with each pass left out."""

from __future__ import annotations

import numpy as np
import pytest
from fuzz.compiled_oracle import ALGEBRA, WAYS, check_program
from fuzz.generate import RejectedError, generate

import tinygrad_edu.backprop
import tinygrad_edu.operators
import tinygrad_edu.tensor
from tinygrad_edu.errors import TraceError, UnsupportedError
from tinygrad_edu.program import fuse
from tinygrad_edu.program.compiled import PASS_NAMES

# what the campaigns found, pinned: the seed, and the way it is compiled
FOUND = [
    (3, "value_and_grad"),  # a transpose that moves nothing
    (8, "values"),  # a whole number given to NumPy as an array
    (18, "value_and_grad"),  # memory of a view taken for another value
    (40, "values"),  # an empty index
    (49, "values"),  # a reshaped argument returned
    (76, "value_and_grad"),  # an array without axes, a view of the function's memory
    (111, "value_and_grad"), (125, "value_and_grad"), (3037, "grad"),  # slopes frozen
    (123, "value_and_grad"), (624, "values"),  # places that depend on the arguments
    (1102, "value_and_grad"), (2206, "value_and_grad"), (1090, "values"),  # single numbers put into arrays
    (1413, "value_and_grad"), (1713, "values"),  # results that are each other's memory
    (1496, "values"), (2148, "value_and_grad"), (10145, "values"),  # dtypes of numbers
    (3014, "hvp"), (3051, "hessian"), (11296, "grad"), (3098, "grad"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("seed", "way"), FOUND)
def test_what_was_found(seed: int, way: str) -> None:
    assert check_program(generate(seed), [way], [(), *[(name,) for name in PASS_NAMES]])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", WAYS)
def test_random_programs(way: str) -> None:
    count = 0
    for seed in range(40, 80):
        try:
            program = generate(seed)
        except RejectedError:
            continue
        count += check_program(program, [way], [()])
    assert count > 200


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PASS_NAMES)
def test_each_pass_left_out(name: str) -> None:
    assert sum(check_program(generate(seed), ["value_and_grad"], [(name,)]) for seed in range(200, 212)) > 60


@pytest.mark.filterwarnings("ignore")
def test_without_algebra_no_digit_moves() -> None:
    """Where no sum is taken in an order that depends on how arrays lie in memory, and arrays lie as usual."""
    count = 0
    for seed in range(300, 400):
        program = generate(seed)
        if not any(program.layouts.values()) and not any("transpose" in step.text for step in program.steps):
            count += check_program(program, ["values"], [ALGEBRA])
    assert count > 200


@pytest.mark.filterwarnings("ignore")
def test_the_ways_of_large_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every threshold lowered, small programs run in blocks, and add gradients in place."""
    monkeypatch.setattr(tinygrad_edu.backprop, "_SMALL", 1)
    monkeypatch.setattr(tinygrad_edu.tensor, "LARGE", 2)
    monkeypatch.setattr(tinygrad_edu.operators, "LARGE", 2)
    for name, value in (("ENTRIES", 2), ("LARGE", 2), ("SAVED", 0), ("BLOCK", 16), ("SHARED", 1 << 40), ("THREAD_BLOCK", 16),
                        ("WIDEST_ROW", 64)):
        monkeypatch.setattr(fuse, name, value, raising=False)
    assert sum(check_program(generate(seed), ["value_and_grad"], [()]) for seed in range(500, 560)) > 300


def test_the_oracle_sees_what_is_frozen() -> None:
    """A program that follows other numbers only partly is refused when it is recorded, or found here."""
    import tinygrad_edu as tg

    def frozen(x: object) -> object:
        return x * float(np.sum(np.asarray(x.value)))  # type: ignore[attr-defined, operator]

    with pytest.raises((TraceError, UnsupportedError)):
        tg.jit(frozen)(np.array([1.0, 2.0]))
