"""A thousand random programs through every oracle, with fixed seeds; what the long campaigns found, pinned one by one."""

from __future__ import annotations

import inspect
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
from tinygrad_edu.nn import losses, margins, regression
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
    public = {name for family in FAMILIES for name in family.__all__} | {
        name for module in (losses, margins, regression) for name, f in vars(module).items()
        if inspect.isfunction(f) and f.__module__ == module.__name__ and name in nn.__all__}
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


SINGLE = np.array([0.5, -1.5, 2.0], np.float32)


@pytest.mark.parametrize(("function", "reference"), [
    pytest.param(lambda x: tg.insert(x, 1, 1.5), lambda x: np.insert(x, 1, 1.5), id="insert"),
    pytest.param(lambda x: tg.insert(x, [1, 1], 1.5), lambda x: np.insert(x, [1, 1], 1.5), id="insert-twice"),
    pytest.param(lambda x: tg.scatter_add(x, 0, np.array([1, 1]), 0.5), lambda x: x + np.array([0, 1, 0], np.float32),
                 id="scatter_add"),
    pytest.param(lambda x: tg.gradient(x, np.array([0.0, 1.0, 3.0])), lambda x: np.gradient(x, np.array([0.0, 1.0, 3.0])),
                 id="gradient"),
    pytest.param(lambda x: tg.select([x > 0.4, x < 0], [x, 2]), lambda x: np.select([x > 0.4, x < 0], [x, 2]), id="select"),
    pytest.param(lambda x: tg.select([x > 0.4], [x], default=np.array([True, False, True])), lambda x: np.select(
        [x > 0.4], [x], np.array([True, False, True])), id="select-truth"),
])
def test_float32_stays_float32_where_numpy_keeps_it(function: Any, reference: Any) -> None:
    y = function(Tensor(SINGLE))
    assert y.dtype == reference(SINGLE).dtype == np.float32
    np.testing.assert_allclose(y.data, reference(SINGLE), rtol=1e-6)


def test_operands_of_single_precision_cost_no_digits() -> None:
    """The rules computed p − 1 and log x, and einsum its sums, in the narrower type."""
    x, p = np.array([3.5436, 3.8]), np.float32(-1.445)
    np.testing.assert_allclose(tg.grad(lambda x: tg.power(x, p).sum())(x), float(p) * x ** (float(p) - 1), rtol=1e-14)
    x32, p64 = x.astype(np.float32), np.array([0.3, 0.4])
    wanted = np.float64(x32) ** p64 * np.log(np.float64(x32))
    np.testing.assert_allclose(tg.grad(lambda p: tg.power(x32, p).sum())(p64), wanted, rtol=1e-14)
    np.testing.assert_allclose(tg.grad(lambda p: (Tensor(x32) ** p).sum())(p64), wanted, rtol=1e-14)
    thirds = np.full((2, 2, 50), 1 / 3, np.float32)
    y = tg.einsum("ij,ijm->j", Tensor(np.ones((2, 2))), thirds)
    np.testing.assert_allclose(y.data, np.einsum("ij,ijm->j", np.ones((2, 2)), thirds), rtol=1e-14)


def test_correlations_do_not_exceed_one() -> None:
    x = np.array([[-0.9, -0.0, 0.1, -1.4], [-1.0, 0.6, 1.0, -0.5]])
    assert np.all(np.abs(tg.corrcoef(Tensor(x)).data) <= 1)
    same = np.array([[-1.1643, 1.3698, -0.8175, -0.2562]] * 2)  # at 1 the slope is 0, and the curvature is not
    assert tg.check_gradients(lambda x: tg.grad(lambda x: tg.corrcoef(x)[0, 1])(x), same).ok
    assert np.abs(tg.hvp(lambda x: tg.corrcoef(x)[0, 1], same, np.eye(2, 4))).max() > 0.1


def test_formulas_of_a_sum_along_one_axis_by_its_number() -> None:
    x = np.array([[0.1], [1.3], [-1.8]])
    J, d = by_the_printed_code(lambda x: np.nanvar(x, axis=0).sum(), x)
    np.testing.assert_allclose(J, np.var(x), rtol=1e-14)
    assert str(tg.formulas(lambda x: np.nanvar(x, axis=0).sum(), x))
    np.testing.assert_allclose(d, 2 * (x - x.mean()) / 3, rtol=1e-14)


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
    pytest.param(lambda x: 1.13696 * np.where(x > 0.25, x, np.float64(0.5489)), np.float32(0.6), id="numbers-of-two-types"),
    pytest.param(lambda x: 1.13696 * tg.heaviside(np.float64(-0.8828), x), np.float32(-0.4), id="cast-of-a-python-number"),
    pytest.param(lambda x: (tg.sort(x, axis=None) * np.arange(9.0)).sum(), np.array([[1.0, -1.0, 2.0]] * 3), id="stable-sort"),
    pytest.param(lambda x: (tg.meshgrid(np.array([0.677, -1.7543, 0.0142]), x)[1].std(axis=0)).sum(),
                 np.array([0.7, -1.8, 0.0]), id="broken-inside-brackets"),
    pytest.param(lambda x: tg.binary_cross_entropy_with_logits(x, np.float64(0.7901)), np.float32(0.8),
                 id="single-in-a-helper"),
    pytest.param(lambda x: tg.assign(np.float64(3.2), np.s_[None], x) * 1.5, np.float64(-1.2), id="index-of-a-number"),
    pytest.param(lambda x: tg.kl_div(tg.scatter(x, -2, np.array([[0, 0], [1, 1]]), 0.4), np.array([[0.7, 0.4], [0.4, 0.5]])),
                 np.array([[-1.0, -0.8], [-0.7, 1.9]]), id="mask-read-before-it-is-made"),
    pytest.param(lambda x: np.floor(tg.amax(np.flip(x, (0, 1)), axis=0)).sum(), np.arange(24.0).reshape(2, 4, 3),
                 id="settings-of-what-rules-call"),
    pytest.param(lambda x: np.sign(tg.amax(x, axis=(0, 1), keepdims=True)).sum(), np.array([[-1.7], [-1.4]]),
                 id="a-sum-with-a-dtype"),
])
def test_printed_code_of_what_was_found(f: Any, x: Any) -> None:
    J, d = by_the_printed_code(f, x)
    wanted, gradient = tg.value_and_grad(f)(x)
    assert wanted == J and np.array_equal(d, gradient) and np.asarray(d).dtype == np.asarray(gradient).dtype


def test_pytorch_agrees_at_ties_too() -> None:
    """Where PyTorch is installed."""
    pytest.importorskip("torch")
    from fuzz import pytorch

    counts, findings = pytorch.run(0, 200)
    assert not findings, findings[0]
    assert counts["compared"] > 80
