"""checkpoint: the same numbers with the intermediate results forgotten, in every mode, or an error."""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.errors import GradientError, StaleError

rng = np.random.default_rng(5)
x0, y0, W0, A0 = rng.normal(size=3), rng.normal(size=3), rng.normal(size=(2, 3)), rng.normal(size=(3, 3))


def same(actual: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)


@dataclass
class Out:
    y: Any
    parts: list[Any]
    note: str = "kept"


def simple(x: Any) -> Any:
    return tg.tanh(A0 @ tg.sin(x) * x)


def containers(x: Any) -> Any:
    out = into_containers(x)
    return out.y * out.parts[0] + out.parts[1]["z"].sum()


def into_containers(x: Any) -> Out:
    return Out(tg.exp(x), [(x * x).sum(), {"z": tg.outer(x, x), "none": None, "n": 3, "constant": np.ones(2)}])


def own_argument(x: Any) -> Any:
    a, b = returns_its_argument(x, x * 2)
    return a * b


def returns_its_argument(x: Any, y: Any) -> Any:
    return x, y * x


def same_twice(x: Any) -> Any:
    y = tg.sin(x)
    return twice(y, y)


def twice(a: Any, b: Any) -> Any:
    c = a * b
    return c * a + c


def both_twice(x: Any) -> Any:
    a, b = gives_twice(x)
    return a * b + a


def gives_twice(x: Any) -> Any:
    y = tg.exp(x)
    return y, y


def mixed_precision(x: Any) -> Any:
    a, b = gives_two_precisions(x)
    return a.astype(np.float64) * b


def gives_two_precisions(x: Any) -> Any:
    return tg.sin(x).astype(np.float32), tg.cos(x)


def scalars(x: Any) -> Any:
    a, b = gives_scalars(x[0], x[1])
    return a * b * x


def gives_scalars(a: Any, b: Any) -> Any:
    return a * b, a + b


def with_keyword(x: Any) -> Any:
    return takes_keyword(x, scale={"a": x * 2, "how": "sin"})


def takes_keyword(x: Any, scale: Any) -> Any:
    return getattr(tg, scale["how"])(x) * scale["a"]


def with_a_derivative(x: Any) -> Any:
    return tg.grad(lambda y: tg.sum(tg.sin(y * x)))(x) * x


def empty(x: Any) -> Any:
    return takes_empty(x, []) * x


def takes_empty(x: Any, nothing: Any) -> Any:
    assert nothing == []
    return tg.exp(x)


CASES: dict[str, tuple[Callable[..., Any], str | None]] = {
    "simple": (simple, None), "containers": (containers, "into_containers"), "own argument": (own_argument,
    "returns_its_argument"), "same twice": (same_twice, "twice"), "given twice": (both_twice, "gives_twice"),
    "scalars": (scalars, "gives_scalars"), "keyword": (with_keyword, "takes_keyword"), "derivative": (with_a_derivative, None),
    "precisions": (mixed_precision, "gives_two_precisions"), "empty": (empty, "takes_empty"),
}


@pytest.mark.parametrize("name", list(CASES))
def test_every_derivative_is_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    f, inner = CASES[name]
    tolerance = 1e-6 if name == "precisions" else 1e-12
    transforms: list[Callable[[Any], Any]] = [
        lambda f: f, lambda f: tg.jacobian(f, mode="forward"), lambda f: tg.jacobian(f, mode="reverse"),
        lambda f: lambda x: tg.jvp(f, x, y0)[1], lambda f: lambda x: tg.vjp(f, x)[1](y0)[0],
        lambda f: tg.grad(lambda x: (f(x) * y0).sum()), lambda f: tg.hessian(lambda x: (f(x) * y0).sum()),
        lambda f: lambda x: tg.hvp(lambda x: (f(x) ** 2).sum(), x, y0),
        lambda f: tg.jacobian(tg.grad(lambda x: (f(x) ** 2).sum()), mode="reverse"),
        lambda f: lambda x: tg.jvp(lambda x: tg.jvp(f, x, y0)[1], x, y0)[1],
        lambda f: tg.grad(lambda x: tg.jvp(f, x, y0)[1].sum()),
        lambda f: lambda x: tg.linearize(f, x)[1](y0),
    ]
    if name in ("simple", "scalars", "containers"):
        transforms.append(lambda f: tg.jacobian(tg.hessian(lambda x: (f(x) * y0).sum())))
    wanted = [transform(f)(x0) for transform in transforms]
    if inner is None:
        f = tg.checkpoint(f)
    else:
        monkeypatch.setitem(globals(), inner, tg.checkpoint(globals()[inner]))
    for transform, exact in zip(transforms, wanted, strict=True):
        same(transform(f)(x0), exact, tolerance)
    with tg.no_grad():
        same(f(Tensor(x0)).data if inner is None else f(x0), wanted[0], tolerance)


def test_containers_come_back_as_they_were() -> None:
    out = tg.checkpoint(into_containers)(Tensor(x0))
    assert type(out) is Out and out.note == "kept" and out.parts[1]["none"] is None and out.parts[1]["n"] == 3
    assert out.parts[1]["constant"].tolist() == [1, 1]
    assert out.y.shape == (3,) and out.parts[0].shape == () and out.parts[1]["z"].shape == (3, 3)
    x = Tensor(x0)
    a, b = tg.checkpoint(returns_its_argument)(x, 2.0)
    assert a is x and b.shape == (3,)
    plain = tg.checkpoint(into_containers)(x0)
    assert type(plain.y) is np.ndarray, "of plain arrays it is the function itself"


def test_as_decorator_and_on_methods() -> None:
    class Block:
        def __init__(self) -> None:
            self.W = Tensor(A0, name="W")

        @tg.checkpoint
        def forward(self, x: Any) -> Any:
            """A layer."""
            return tg.tanh(self.W @ x)

    block = Block()
    assert Block.forward.__name__ == "forward" and Block.forward.__doc__ == "A layer."
    x = Tensor(x0)
    block.forward(block.forward(x)).sum().backward()
    W, z = Tensor(A0), Tensor(x0)
    tg.tanh(W @ tg.tanh(W @ z)).sum().backward()
    same(block.W.grad, W.grad)
    same(x.grad, z.grad)


def test_tensors_it_closes_over_get_their_gradients() -> None:
    W, b = Tensor(A0), Tensor(y0)
    c = W * 2.0  # closed over together with what it was made from

    def f(x: Any) -> Any:
        return (tg.tanh(W @ x + b) * (c @ x)).sum()

    def gradients(f: Any) -> Any:
        for t in (W, b):
            t.grad = None
        x = Tensor(x0)
        (f(x) ** 2).backward()
        return W.grad, b.grad, x.grad

    for checked, plain in zip(gradients(tg.checkpoint(f)), gradients(f), strict=True):
        same(checked, plain)
    W.grad = None
    J = tg.checkpoint(f)(Tensor(x0))
    J.backward()
    once = W.grad.copy()
    W.grad = None
    J.backward()
    J.backward()
    same(W.grad, 2 * once)
    # nothing but closed-over Tensors
    W.grad = None
    tg.checkpoint(lambda: tg.sum(tg.sin(W)))().backward()
    same(W.grad, np.cos(A0))
    # a closed-over Tensor returned as it is
    out = tg.checkpoint(lambda x: (W, x * 1.0))(Tensor(x0))
    assert out[0] is W


def test_closed_over_variables_of_outer_derivatives() -> None:
    def cost(w: Any, wrap: Any) -> Any:
        layer = wrap(lambda x: tg.sum(tg.sin(w * x) * w))
        return layer(x0) * tg.grad(layer)(x0).sum() + tg.jvp(layer, x0, y0)[1]

    for derivative in (lambda f: tg.grad(f), lambda f: tg.jacobian(f, mode="forward"), lambda f: tg.hessian(f)):
        same(derivative(lambda w: cost(w, tg.checkpoint))(y0), derivative(lambda w: cost(w, lambda f: f))(y0))


def test_checkpoints_in_checkpoints() -> None:
    W = Tensor(A0)
    inner = lambda x: tg.tanh(W @ x)  # noqa: E731
    nested = tg.checkpoint(lambda x: tg.checkpoint(inner)(tg.checkpoint(inner)(x)) * x)
    same(tg.grad(lambda x: nested(x).sum())(x0).data, tg.grad(lambda x: (inner(inner(x)) * x).sum())(x0).data)
    x = Tensor(x0)
    nested(x).sum().backward()
    first, W.grad = W.grad, None
    (inner(inner(x)) * x).sum().backward()
    same(first, W.grad)
    detached = W.detach()
    plain = lambda x: tg.tanh(detached @ x)  # noqa: E731
    f = tg.checkpoint(lambda x: tg.checkpoint(plain)(plain(x)) * x)
    same(tg.hessian(lambda x: f(x).sum())(x0), tg.hessian(lambda x: (plain(plain(x)) * x).sum())(x0))


@pytest.mark.parametrize("derivative, runs", [
    (lambda f: tg.grad(lambda x: f(x).sum()), 2), (lambda f: lambda x: tg.jvp(f, x, x), 2),
    (lambda f: tg.jacobian(f, mode="forward"), 2), (lambda f: tg.jacobian(f, mode="reverse"), 4),
], ids=["grad", "jvp", "forward jacobian", "reverse jacobian"])
def test_how_often_it_runs(derivative: Any, runs: int) -> None:
    """One second run serves all operands and all forward directions."""
    count = []
    W = Tensor(A0, requires_grad=False)

    @tg.checkpoint
    def f(x: Any, y: Any, z: Any) -> Any:
        count.append(1)
        return tg.tanh(W @ x) * y + z

    derivative(lambda x: f(x, x * 2, tg.sin(x)))(x0)
    assert len(count) == runs


# ---------------------------------------------------------------- random generators

def masks(x: Any, generator: Any) -> Any:
    return x * (generator.random(3) < 0.5) * tg.exp(x) * generator.normal(size=3)


class Noisy:
    __slots__ = ("held", "inner")

    def __init__(self, generator: Any) -> None:
        self.held = {"list": [generator]}
        self.inner = None

    def __call__(self, x: Any) -> Any:
        return masks(x, self.held["list"][0])


GLOBAL = np.random.default_rng(17)


def reads_a_global(x: Any) -> Any:
    return (lambda: masks(x, GLOBAL))()


def default_generator(x: Any, generator: Any = GLOBAL) -> Any:
    return masks(x, generator)


WITH_DRAWS: dict[str, Callable[[np.random.Generator], Callable[[Any], Any]]] = {
    "closure": lambda g: tg.checkpoint(lambda x: masks(x, g)),
    "argument": lambda g: lambda x: tg.checkpoint(masks)(x, g),
    "keyword": lambda g: lambda x: tg.checkpoint(masks)(x, generator=g),
    "partial": lambda g: tg.checkpoint(partial(masks, generator=g)),
    "object": lambda g: tg.checkpoint(Noisy(g)),
    "method": lambda g: tg.checkpoint(Noisy(g).__call__),
    "deep": lambda g: (lambda noisy: tg.checkpoint(lambda x: (lambda y: noisy(y))(x)))(Noisy(g)),
    "spawned by name": lambda g: tg.checkpoint(default_generator) if g is GLOBAL else tg.checkpoint(lambda x: masks(x, g)),
}


@pytest.mark.parametrize("name", list(WITH_DRAWS))
def test_the_second_run_draws_the_same(name: str) -> None:
    g = np.random.default_rng(1)
    f = WITH_DRAWS[name](g)
    x = Tensor(x0)
    y1, y2 = f(x), f(x)  # two calls, other draws
    after = g.random()
    assert (y1.data != y2.data).any()
    y1.sum().backward()
    y2.sum().backward()
    assert g.bit_generator.state == _advanced(1, 2).bit_generator.state, "the backward pass draws nothing"
    again = np.random.default_rng(1)
    z = Tensor(x0)
    masks(z, again).sum().backward()
    masks(z, again).sum().backward()
    assert again.random() == after
    same(x.grad, z.grad)


def _advanced(seed: int, calls: int) -> np.random.Generator:
    g = np.random.default_rng(seed)
    for _ in range(calls):
        g.random(3)
        g.normal(size=3)
    g.random()
    return g


def test_global_generators_and_older_kinds() -> None:
    old, plain = np.random.RandomState(3), random.Random(4)
    for f in (reads_a_global, default_generator, lambda x: x * np.random.rand(3), lambda x: x * x * random.random(),
              lambda x: x * old.rand(3), lambda x: x * x * plain.random()):
        x = Tensor(x0)
        y = tg.checkpoint(f)(x)
        y.sum().backward()
        slope = y.data / x0 if f not in (reads_a_global, default_generator) else None
        if slope is not None:
            ratio = x.grad / slope
            same(ratio, ratio[0])  # 1 for x·noise, 2 for x²·noise


def test_dropout_in_a_checkpoint() -> None:
    generator = np.random.default_rng(0)
    f = tg.checkpoint(lambda x: x * np.where(generator.random((100,)) < 0.5, 2.0, 0.0))
    y, pull = tg.vjp(f, np.ones(100))
    same(pull(np.ones(100))[0], y)
    same(tg.jvp(f, np.ones(100), np.ones(100))[1].max(), 2)


# ---------------------------------------------------------------- what would be silently wrong

def test_a_function_that_computes_something_else_the_second_time() -> None:
    calls = []

    def counts(x: Any) -> Any:
        calls.append(1)
        return x * len(calls)

    y = tg.checkpoint(counts)(Tensor(x0))
    with pytest.raises(GradientError, match=r"checkpoint\(counts\): running the function again gave other values"):
        y.sum().backward()
    with pytest.raises(GradientError, match="gave other values"):
        tg.jvp(tg.checkpoint(counts), x0, x0)
    calls.clear()

    def grows(x: Any) -> Any:
        calls.append(1)
        return x[: len(calls)] * 1.0

    y = tg.checkpoint(grows)(Tensor(x0))
    with pytest.raises(GradientError, match="gave a result of another form"):
        y.sum().backward()


def test_a_closed_over_variable_that_is_bound_again() -> None:
    w = Tensor(2.0)
    f = tg.checkpoint(lambda x: x * w)
    y = f(Tensor(3.0))
    w = Tensor(5.0)
    with pytest.raises(GradientError, match=r"used a Tensor that it did not use before|gave other values"):
        y.backward()
    v = Tensor(2.0)
    y = tg.checkpoint(lambda x: x * v)(Tensor(3.0))
    v.data -= 1.0
    with pytest.raises(StaleError):
        y.backward()


def test_not_a_number_is_the_same_as_itself() -> None:
    f = lambda x: tg.log(x) * tg.exp(x)  # noqa: E731
    x = np.array([-1.0, 0.0, 1.0, np.inf])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(tg.grad(lambda x: tg.checkpoint(f)(x).sum())(x), tg.grad(lambda x: f(x).sum())(x))


def test_it_wants_a_function() -> None:
    with pytest.raises(TypeError, match="checkpoint: give it a function"):
        tg.checkpoint(x0)  # type: ignore[arg-type]


def test_a_function_of_nothing_tracked() -> None:
    assert tg.checkpoint(lambda x: 2.0)(Tensor(1.0)) == 2
    assert tg.grad(lambda x: tg.checkpoint(lambda x: 2.0)(x))(1.0) == 0
    assert tg.grad(lambda x: tg.checkpoint(lambda x: x.detach() * 1.0)(x))(1.0) == 0
    assert tg.checkpoint(lambda x: x)(3.0) == 3
    made_inside = tg.checkpoint(lambda x: x * Tensor(3.0) * np.float64(1))
    assert tg.grad(made_inside)(2.0) == 3 and tg.hessian(lambda x: made_inside(x) * x)(2.0) == 6
    lazy: list[Tensor] = []

    def first_call_makes_it(x: Any) -> Any:
        if not lazy:
            lazy.append(Tensor(4.0))
        return x * lazy[0]

    tg.checkpoint(first_call_makes_it)(Tensor(2.0)).backward()
    assert lazy[0].grad == 2


# ---------------------------------------------------------------- memory

def deep(x: Any, wrap: Callable[[Any], Any], segments: int = 16) -> Any:
    @wrap
    def segment(x: Any) -> Any:
        for _ in range(8):
            x = tg.sin(x) * 1.01
        return x

    for _ in range(segments):
        x = segment(x)
    return x.sum()


def peak(run: Callable[[], Any]) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("how", ["grad", "backward"])
def test_memory_falls(how: str) -> None:
    """256 intermediate arrays are 16 segments of 16: with checkpoints 16 results and one segment are alive."""
    x = np.linspace(0, 1, 20_000)

    def run(wrap: Any) -> Any:
        if how == "grad":
            return tg.grad(lambda x: deep(x, wrap))(x)
        t = Tensor(x)
        deep(t, wrap).backward()
        return t.grad

    same(run(tg.checkpoint), run(lambda f: f))
    array = x.nbytes
    plain, checked = peak(lambda: run(lambda f: f)), peak(lambda: run(tg.checkpoint))
    assert plain > 240 * array
    assert checked < 70 * array


def test_the_graph_of_a_segment_is_not_kept() -> None:
    alive = lambda: sum(type(x) is Tensor for x in gc.get_objects())  # noqa: E731
    gc.collect()
    gc.disable()
    try:
        x = Tensor(x0)
        before = alive()
        y = deep(x, tg.checkpoint, segments=3)
        assert alive() - before == 4, "three segments and a sum"
        y.backward()
        assert alive() - before == 4
        del y
        assert alive() == before, "a cycle keeps the graph alive"
    finally:
        gc.enable()
