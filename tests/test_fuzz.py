"""A thousand random programs through every oracle, with fixed seeds; what the long campaigns found, pinned one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fuzz.campaign import failure, run, shrink
from fuzz.generate import TABLE, Builder, Draws, RejectedError, fill, generate
from fuzz.oracles import Check, MismatchError
from fuzz.table import OUTSIDE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import Tensor, nn
from tinygrad_edu.ops import FAMILIES
from tinygrad_edu.rules import TABLE as PRIMITIVES
from tinygrad_edu.tensor import Primitive

COUNT, PARTS = 1000, 4


@pytest.mark.parametrize("part", range(PARTS))
def test_random_programs(part: int) -> None:
    """The program printed on a failure runs on its own."""
    n = COUNT // PARTS
    report = run(range(part * n, part * n + n), every=10)
    findings = [f"{f['message']}\n{f['program']}" for f in report["findings"]]
    assert not findings, f"{len(findings)} of {n}\n" + ("\n" + "-" * 80 + "\n").join(findings[:5])
    assert report["programs"] == n
    assert report["checked"]["difference"] > 0.9 * n, "most programs are smooth where they are tried"
    assert report["checked"]["second"] > 0.85 * n


class DrawsOfHypothesis(Draws):
    """Hypothesis makes the choices, and shrinks them: it looks for the smallest program that fails."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def below(self, n: int) -> int:
        return int(self.data.draw(st.integers(0, n - 1)))


@settings(max_examples=25, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example,
                                 HealthCheck.filter_too_much])
@given(st.data())
def test_programs_drawn_by_hypothesis(data: Any) -> None:
    try:
        program = Builder(DrawsOfHypothesis(data)).build()
    except RejectedError:
        return
    found = failure(program, thorough=False)
    assert found is None, f"{found}\n{program}"


def test_every_function_is_in_the_table() -> None:
    """A function of the package that no line can call is not tested here, and says why."""
    public = {name for family in FAMILIES for name in family.__all__} | set(nn.__all__)
    fill()
    missing = sorted(public - set(TABLE) - set(OUTSIDE))
    assert not missing, "write how a line calls each of them, in tests/fuzz/table*.py"
    assert not set(OUTSIDE) & set(TABLE)


def test_a_program_is_the_same_every_time_and_its_text_runs() -> None:
    for seed in range(40):
        program = generate(seed)
        assert str(program) == str(generate(seed))
        printed: list[Any] = []
        exec(str(program), {"print": printed.append})  # noqa: S102 - the text is ours
        J, gradient = printed[0]
        wanted, gradients = tg.value_and_grad(program.functions()[1], argnums=tuple(range(len(program.inputs))))(
            *program.inputs.values())
        np.testing.assert_allclose(J, wanted, rtol=1e-5 if J.dtype == np.float32 else 1e-12)
        assert len(gradient) == len(gradients)


# ---------------------------------------------------------------- the oracles themselves: a wrong rule is found


def scaled(rule: Any) -> Any:
    def wrong(*args: Any, **params: Any) -> Any:
        d = rule(*args, **params)
        return None if d is None else d * 1.001

    return wrong


def findings_with(op: Primitive, rules: Any, names: list[str], count: int = 40) -> list[Any]:
    right, op.rules = op.rules, rules
    try:
        return run(range(count), every=10**9, names=names, shrinking=False)["findings"]  # type: ignore[no-any-return]
    finally:
        op.rules = right


@pytest.mark.parametrize("name", ["tanh", "multiply", "cumsum", "softmax", "matmul", "max", "gather", "var", "arctan2"])
def test_a_derivative_wrong_by_a_thousandth_is_found(name: str) -> None:
    function = {"gather": "getitem"}.get(name, name)
    op = PRIMITIVES[name]
    found = findings_with(op, tuple(None if rule is None else scaled(rule) for rule in op.rules), [function])
    assert any(f["kind"] == "difference" for f in found)


def test_shrinking_leaves_what_matters() -> None:
    op = PRIMITIVES["sinh"]
    right, op.rules = op.rules, (lambda g, _y, x: g * np.cosh(x) * 1.01,)
    try:
        for seed in range(4000):
            program = generate(seed)
            if sum(s.function == "sinh" for s in program.steps) == 1 and len(program.steps) > 5:
                found = failure(program, False)
                if isinstance(found, MismatchError) and found.oracle == "difference":
                    break
        small = shrink(program, lambda p: failure(p, False) is not None)
    finally:
        op.rules = right
    assert [s.function for s in small.steps] == ["sinh"] and len(small.inputs) == 1
    assert failure(small, False) is None, "with the right rule all is well"


def test_a_changed_input_is_found() -> None:
    program = generate(3)

    def spoil(self: Check) -> None:
        next(x for x in self.xs if isinstance(x, np.ndarray))[...] = 7

    name = next(seed for seed in range(50) if any(
        isinstance(x, np.ndarray) and x.flags.writeable and x.size for x in generate(seed).inputs.values()))
    program = generate(name)
    check = Check(program)
    check.backward = lambda: spoil(check)  # type: ignore[method-assign]
    check.modes = check.second = lambda: None  # type: ignore[method-assign]
    with pytest.raises(MismatchError, match="was changed"):
        check.run()


# ---------------------------------------------------------------- found by the campaigns


def test_erf_of_a_single_float32_is_a_number() -> None:
    y = tg.erf(Tensor(np.float32(1.5)))
    assert type(y.data) is np.float32
    assert tg.binary_cross_entropy_with_logits(y, np.float32(0.5)).dtype == np.float32


def test_einsum_of_truth_values_keeps_float32() -> None:
    x, mask = np.ones((1, 3, 2), np.float32), np.array([[True, True]])
    y = tg.einsum("ijk,im->jki", Tensor(x), mask)
    assert y.dtype == np.einsum("ijk,im->jki", x, mask).dtype == np.float32
    np.testing.assert_array_equal(y.data, np.einsum("ijk,im->jki", x, mask))


def by_the_printed_code(f: Any, x: Any) -> Any:
    source = tg.numpy_source(f, x)
    space: dict[str, Any] = {}
    exec(source.source, space)  # noqa: S102 - printed by the package
    return space[source.name](x)


@pytest.mark.parametrize(("f", "x"), [
    pytest.param(lambda x: tg.binary_cross_entropy(x, np.array([[0]])), np.array([[0.3]]), id="broken-after-an-array"),
    pytest.param(lambda x: (x ** np.int64(-2) * np.array([1.13])).sum(), np.array([1.2], np.float32), id="strong-integer"),
    pytest.param(lambda x: 1.13696 * np.average(x.tile(())[()], weights=np.float32(0.7082)), np.float64(1.5),
                 id="single-precision-constant"),
])
def test_printed_code_of_what_was_found(f: Any, x: Any) -> None:
    J, d = by_the_printed_code(f, x)
    wanted, gradient = tg.value_and_grad(f)(x)
    assert wanted == J and np.array_equal(d, gradient) and np.asarray(d).dtype == np.asarray(gradient).dtype
