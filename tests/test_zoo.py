"""Properties that every sample of the zoo has: value, derivatives, types, purity, the rules' contract."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from zoo import SAMPLES, Sample
from zoo_linear_algebra import OF_MATRICES

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.backprop import fit
from tinygrad_edu.rules import TABLE, windows
from tinygrad_edu.tensor import leaf

ALL = pytest.mark.parametrize("sample", [pytest.param(s, id=str(s)) for s in SAMPLES])
SMOOTH = pytest.mark.parametrize("sample", [
    pytest.param(s, id=str(s)) for s in SAMPLES if s.smooth and all(s.operands[i].size for i in s.variables)])


@pytest.fixture(autouse=True)
def quiet_nan() -> Iterator[None]:
    """Samples with nan are about nan."""
    with np.errstate(invalid="ignore"):
        yield


def noise(sample: Sample, key: int, like: Any) -> Any:
    """Numbers of like's shape, the same on every run."""
    return np.random.default_rng([key, len(str(sample))]).uniform(0.5, 1.5, np.shape(like))[()]


def directions(sample: Sample, key: int = 0) -> list[Any]:
    return [noise(sample, 10 * key + i, x) for i, x in enumerate(sample.values())]


def dots(left: Any, right: Any) -> float:
    return sum(float(np.sum(a * b)) for a, b in zip(left, right, strict=True))


def slope(f: Callable[..., Any], xs: list[Any], us: list[Any], h: float = 2e-3) -> Any:
    """df/dt of f(x + t u) at 0, by central differences extrapolated to fourth order."""

    def central(step: float) -> Any:
        up = f(*[x + step * u for x, u in zip(xs, us, strict=True)])
        down = f(*[x - step * u for x, u in zip(xs, us, strict=True)])
        return (np.asarray(up) - np.asarray(down)) / (2 * step)

    return (4 * central(h / 2) - central(h)) / 3


def weighted_squares(sample: Sample) -> Callable[..., Any]:
    """One number made of all results, with second derivatives also where the primitive has none."""
    weights = noise(sample, 7, sample.call(*sample.values()))
    return lambda *xs: tg.sum(weights * tg.square(sample.call(*xs)))


def close(actual: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    scale = float(np.max(np.abs(wanted), initial=1.0, where=np.isfinite(wanted)))
    np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance * scale)


# ---------------------------------------------------------------- values and types

@ALL
def test_value_is_numpys(sample: Sample) -> None:
    wanted = sample.numpy(*sample.operands, **sample.params)  # type: ignore[misc]
    plain = sample.call(*sample.values())
    recorded = sample.call(*map(Tensor, sample.values()))
    assert type(recorded) is Tensor and recorded.requires_grad and recorded.op is sample.op
    assert np.shape(plain) == recorded.shape == np.shape(wanted)
    assert plain.dtype == recorded.dtype == np.float64
    np.testing.assert_array_equal(recorded.data, plain)
    close(plain, wanted)


@ALL
def test_float32_stays_float32(sample: Sample) -> None:
    params = dict(sample.params, dtype=np.float32) if sample.name == "astype" else sample.params
    operands = sample.cast(np.float32)
    xs = [Tensor(operands[i]) for i in sample.variables]
    for i, x in zip(sample.variables, xs, strict=True):
        operands[i] = x
    y = sample.op(*operands, **params)
    assert y.dtype == np.float32
    seed = noise(sample, 1, y).astype(np.float32)
    y.backward(seed)
    value, pull = tg.vjp(sample.call, *[x.data.astype(np.float64) for x in xs])
    close(y.data, value, 2e-6)
    for x, wanted in zip(xs, pull(seed.astype(np.float64)), strict=True):
        assert x.grad.dtype == np.float32 and np.shape(x.grad) == x.shape
        if sample.smooth:
            close(x.grad, wanted, 2e-5)
    moved = [np.asarray(u, np.float32) for u in directions(sample)]

    def again(*xs: Any) -> Any:
        for i, x in zip(sample.variables, xs, strict=True):
            operands[i] = x
        return sample.op(*operands, **params)

    _, t = tg.jvp(again, tuple(x.data for x in xs), tuple(moved))
    assert t.dtype == np.float32 and np.shape(t) == y.shape


@ALL
def test_gradients_keep_shape_and_type(sample: Sample) -> None:
    xs = [Tensor(x) for x in sample.values()]
    y = sample.call(*xs)
    y.backward(np.ones(y.shape))
    for x in xs:
        assert type(x.grad) is type(x.data), "an array for an array, a NumPy scalar for a single number"
        assert x.grad.shape == x.shape and x.grad.dtype == x.dtype


# ---------------------------------------------------------------- first derivatives

@ALL
def test_forward_and_reverse_mode_agree(sample: Sample) -> None:
    """⟨v, jvp u⟩ = ⟨vjp v, u⟩."""
    xs, us = sample.values(), directions(sample)
    y, pull = tg.vjp(sample.call, *xs)
    same, t = tg.jvp(sample.call, tuple(xs), tuple(us))
    np.testing.assert_array_equal(y, same)
    v = noise(sample, 3, y)
    close(dots(pull(v), us), dots([v], [t]))


@SMOOTH
def test_directional_difference(sample: Sample) -> None:
    xs, us = sample.values(), directions(sample)
    _, t = tg.jvp(sample.call, tuple(xs), tuple(us))
    close(t, slope(sample.call, xs, us), 1e-8)


@ALL
def test_forward_mode_in_batches_is_the_reverse_jacobian(sample: Sample) -> None:
    xs = sample.values()
    places = tuple(range(len(xs)))
    forward = tg.jacobian(sample.call, places, mode="forward")(*xs)
    reverse = tg.jacobian(sample.call, places, mode="reverse")(*xs)
    for i, (a, b) in enumerate(zip(forward, reverse, strict=True)):
        assert a.shape == b.shape == (*np.shape(sample.call(*xs)), *np.shape(xs[i]))
        assert a.dtype == b.dtype == np.float64
        close(a, b)


@ALL
def test_linear_in_the_incoming_gradient(sample: Sample) -> None:
    y, pull = tg.vjp(sample.call, *sample.values())
    g, h = noise(sample, 4, y), noise(sample, 5, y)
    for both, one, other in zip(pull(2.0 * g - 3.0 * h), pull(g), pull(h), strict=True):
        close(both, 2.0 * one - 3.0 * other)


# ---------------------------------------------------------------- second derivatives

@SMOOTH
def test_second_order_against_differences(sample: Sample) -> None:
    f, xs, us = weighted_squares(sample), sample.values(), directions(sample, 1)
    places = tuple(range(len(xs)))
    _, pull = tg.vjp(tg.grad(f, places), *xs)
    second = pull(tuple(us))
    for i in places:
        close(second[i], slope(lambda *at, i=i: tg.grad(f, places)(*at)[i], xs, us), 1e-7)


@ALL
def test_second_order_is_the_same_in_all_modes(sample: Sample) -> None:
    """Forward over reverse, reverse over reverse, and reverse over forward."""
    f, xs, us = weighted_squares(sample), sample.values(), directions(sample, 1)
    places = tuple(range(len(xs)))
    forward_over_reverse = tg.hvp(f, tuple(xs), tuple(us))
    reverse_over_reverse = tg.vjp(tg.grad(f, places), *xs)[1](tuple(us))
    reverse_over_forward = tg.grad(lambda *at: tg.jvp(f, at, tuple(us))[1], places)(*xs)
    for a, b, c in zip(forward_over_reverse, reverse_over_reverse, reverse_over_forward, strict=True):
        close(a, b, 1e-11)
        close(c, b, 1e-11)


@ALL
def test_a_recorded_gradient_is_the_gradient(sample: Sample) -> None:
    """create_graph=True evaluates the same rules on Tensors: the numbers are the same."""
    xs, again = [[Tensor(x) for x in sample.values()] for _ in range(2)]
    y = sample.call(*xs)
    g = noise(sample, 3, y)
    y.backward(g)
    sample.call(*again).backward(g, create_graph=True)
    for a, b in zip(xs, again, strict=True):
        assert type(b.grad) is Tensor
        assert b.grad.shape == b.shape and b.grad.dtype == b.dtype
        np.testing.assert_array_equal(b.grad.data, a.grad)


# ---------------------------------------------------------------- the contract of a rule

def plain_rules(sample: Sample) -> list[Any]:
    """The rules as they are written, and None for operands that are not differentiated."""
    rules = []
    for i, rule in enumerate(sample.op.rules_for(len(sample.operands))):
        if i not in sample.variables:
            rule = None
        rules.append(rule)
    return rules


def written(rule: Any) -> Any:
    """The function as written in the table, inside what computes it in blocks or gives it `which`."""
    rule = inspect.unwrap(rule)
    inner = inspect.getclosurevars(rule).nonlocals
    if "f" in inner:  # in_blocks
        return written(inner["f"])
    return written(inner["rule"]) if "rule" in inner else rule  # rules_for a variadic primitive


class Poisoned:
    """What an underscore lends: a shape, and how long it is. Anything else is an error."""

    __slots__ = ("dtype", "ndim", "shape")

    def __init__(self, x: Any) -> None:
        self.shape, self.ndim, self.dtype = np.shape(x), np.ndim(x), np.asarray(x).dtype


def parameter_of(function: Any, place: int) -> str:
    """The name that a positional argument gets."""
    names = [p for p in inspect.signature(function).parameters.values()
             if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    return names[min(place, len(names) - 1)].name


@ALL
def test_underscores_lend_at_most_a_shape(sample: Sample) -> None:
    y = sample.call(*sample.values())
    g = noise(sample, 3, y)
    whole = (g, y, *sample.operands)
    for rule in plain_rules(sample):
        if rule is None:
            continue
        function = written(rule)
        lent = [Poisoned(x) if parameter_of(function, i).startswith("_") else x for i, x in enumerate(whole)]
        recorded = [Tensor(x) if isinstance(x, (np.ndarray, np.floating)) and np.asarray(x).dtype.kind == "f" else x
                    for x in lent]
        rule = _around(rule, function)
        wanted = rule(*whole, **sample.params)
        on_arrays, on_tensors = rule(*lent, **sample.params), rule(*recorded, **sample.params)
        if wanted is None:
            assert on_arrays is None and on_tensors is None
        else:
            np.testing.assert_array_equal(on_arrays, wanted)
            np.testing.assert_array_equal(on_tensors.data if type(on_tensors) is Tensor else on_tensors, wanted)


def _around(rule: Any, function: Any) -> Any:
    """The written function, which takes poisoned operands; variadic rules keep the layer that passes `which`."""
    return rule if "which" in inspect.signature(function).parameters else function


@ALL
def test_rules_on_arrays_and_on_tensors_agree(sample: Sample) -> None:
    xs = sample.values()
    y = sample.call(*xs)
    g = noise(sample, 3, y)
    tensors = list(sample.operands)
    for i, x in zip(sample.variables, xs, strict=True):
        tensors[i] = Tensor(x)
    for i, rule in enumerate(plain_rules(sample)):
        if rule is None:
            continue
        on_arrays = rule(g, y, *sample.operands, **sample.params)
        on_tensors = rule(Tensor(g), Tensor(y), *tensors, **sample.params)
        if on_arrays is None:
            assert on_tensors is None
            continue
        x = sample.operands[i]
        fitted = fit(on_tensors.data if type(on_tensors) is Tensor else on_tensors, x)
        np.testing.assert_array_equal(fitted, fit(on_arrays, x))


# ---------------------------------------------------------------- purity

def frozen(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        x = x.copy()
        x.flags.writeable = False
    return x


@ALL
def test_inputs_are_only_read(sample: Sample) -> None:
    """Read-only operands and gradients are accepted; writable ones are left as they were."""
    for prepare in (frozen, np.copy):
        operands = [prepare(x) if isinstance(x, np.ndarray) else x for x in sample.operands]
        before = [np.copy(x) for x in operands]
        xs = [leaf(operands[i]) for i in sample.variables]  # not copied, as Tensor(...) would
        y = sample.call(*xs, operands=operands)
        g = prepare(noise(sample, 3, y))
        seed = np.copy(g)
        for record in (False, True):
            y.backward(g, create_graph=record)
        tg.jvp(lambda *at, o=operands: sample.call(*at, operands=o), tuple(operands[i] for i in sample.variables),
               tuple(prepare(u) for u in directions(sample)))
        for x, was in zip(operands, before, strict=True):
            np.testing.assert_array_equal(x, was)
        np.testing.assert_array_equal(g, seed)


@ALL
def test_gradients_share_no_memory(sample: Sample) -> None:
    xs = [Tensor(x) for x in sample.values()]
    y = sample.call(*xs)
    g = np.copy(noise(sample, 3, y))
    y.backward(g)
    _, pull = tg.vjp(sample.call, *sample.values())
    for grads in ([x.grad for x in xs], list(pull(g))):
        arrays = [a for a in (*grads, g, *[x.data for x in xs], *sample.operands) if isinstance(a, np.ndarray)]
        own = [a for a in grads if isinstance(a, np.ndarray)]
        for i, a in enumerate(own):
            assert not any(np.shares_memory(a, b) for j, b in enumerate(arrays) if i != j)
            assert a.flags.writeable, "the owner of a gradient may change it"


def strided(x: Any) -> Iterator[Any]:
    """The same numbers, laid out otherwise in memory."""
    if np.ndim(x):
        yield np.asfortranarray(x) if x.ndim > 1 else np.repeat(x, 2)[::2]
        yield x[..., ::-1].copy()[..., ::-1]


@ALL
def test_layout_in_memory_does_not_matter(sample: Sample) -> None:
    xs = sample.values()
    y, pull = tg.vjp(sample.call, *xs)
    g = noise(sample, 3, y)
    grads = pull(g)
    for layouts in zip(*[list(strided(x)) or [x, x] for x in xs], strict=True):
        ts = [leaf(x) for x in layouts]
        z = sample.call(*ts)
        close(z.data, y)
        z.backward(next(iter(strided(g)), g))
        for t, wanted in zip(ts, grads, strict=True):
            close(t.grad, wanted)


# ---------------------------------------------------------------- completeness

def test_every_primitive_has_samples() -> None:
    assert {s.name for s in SAMPLES} == set(TABLE)

# (batch, channels, *space): three axes at least
WINDOWS = {name for name, op in TABLE.items() if op in vars(windows).values()}


def test_every_primitive_is_shown_on_the_shapes_that_matter() -> None:
    """Scalars, vectors, matrices and empty arrays, for every primitive that has them."""
    ranks: dict[str, set[int]] = {name: set() for name in TABLE}
    empty = dict.fromkeys(TABLE, False)
    for s in SAMPLES:
        for i in s.variables:
            ranks[s.name].add(np.ndim(s.operands[i]))
            empty[s.name] |= not np.size(s.operands[i])
        empty[s.name] |= not np.size(s.call(*s.values()))
    along_an_axis = {"cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "roll", "concatenate", "transpose", "pad",
                     "matmul", "scatter", "sum_to", "class_cross_entropy", "order_statistic", *OF_MATRICES, *WINDOWS}
    assert {name for name, seen in ranks.items() if 0 not in seen} - along_an_axis == set()
    assert not [name for name, seen in ranks.items() if not seen & {1, 2} and name not in WINDOWS]
    assert not [name for name, seen in empty.items() if not seen]


def test_samples_have_names_of_their_own() -> None:
    assert [name for name, n in Counter(map(str, SAMPLES)).items() if n > 1] == []


def test_every_operand_has_a_rule() -> None:
    """One rule per operand; None only where there is nothing to differentiate."""
    without = {name: [i for i, rule in enumerate(op.rules) if rule is None] for name, op in TABLE.items()}
    assert {name: places for name, places in without.items() if places} == {
        "where": [0], "gate": [1],
        "eigh_values": [0], "eig_values": [0], "svd_values": [0], "mean_of_ties": [1, 2], "share_of_windows": [1, 2]}
    for sample in SAMPLES:
        assert len(sample.op.rules_for(len(sample.operands))) == len(sample.operands), sample


@pytest.mark.parametrize("name", sorted(TABLE))
def test_rules_are_written_as_the_contract_says(name: str) -> None:
    """(g, y, *operands): no value taken out of the graph, no array closed over, entrywise rules free of shapes."""
    op = TABLE[name]
    for rule in op.rules:
        if rule is None:
            continue
        function = written(rule)
        names = list(inspect.signature(function).parameters)
        assert names[0].lstrip("_") == "g" and names[1].lstrip("_") == "y"
        used = set(function.__code__.co_names)
        assert not used & {"data", "value", "numpy", "item", "detach", "grad"}
        assert not any(isinstance(v, (np.ndarray, Tensor)) for v in inspect.getclosurevars(function).nonlocals.values())
        if op.kind == "pointwise":
            assert not used & {"shape", "ndim", "size", "reshape", "broadcast_to", "sum_to", "sum_"}


def test_blocks_give_the_same_numbers_as_the_whole() -> None:
    """Large arrays are evaluated piece by piece; contiguous or not, the results are bit for bit those of the parts."""
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(300, 300)), rng.normal(size=(300, 300))
    for name in ("tanh", "sigmoid", "softplus", "log_sigmoid", "elu", "silu", "erf", "normal_cdf", "gelu", "gelu_tanh"):
        params = {"alpha": 1.5} if name == "elu" else {}
        small = [tg.vjp(lambda t, n=name, p=params: TABLE[n](t, **p), row) for row in x]
        for data in (x, np.asfortranarray(x)):
            t = leaf(data)
            y = TABLE[name](t, **params)
            y.backward(g)
            np.testing.assert_array_equal(y.data, np.stack([value for value, _ in small]))
            wanted = np.stack([pull(row)[0] for (_, pull), row in zip(small, g, strict=True)])
            np.testing.assert_array_equal(t.grad, wanted)
