"""Functions of containers, tracing corners, and perturbation confusion: each case a way to be silently wrong."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import InitVar, dataclass, field
from enum import Enum
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor, containers
from tinygrad_edu.errors import DTypeError, GradientError, InPlaceError, ShapeError

rng = np.random.default_rng(11)
W0, b0, x0 = rng.normal(size=(2, 3)), rng.normal(size=2), rng.normal(size=3)


def same(actual: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------- dataclasses

class Kind(Enum):
    TANH = 1


@dataclass
class Layer:
    W: Any
    b: Any
    name: str = "layer"
    units: int = 2
    activation: Callable[..., Any] = tg.tanh
    kind: Kind = Kind.TANH
    bias: bool = True
    note: None = None
    sizes: tuple[int, ...] = (3, 2)
    groups: list[int] = field(default_factory=lambda: [1, 2])


@dataclass(frozen=True)
class Model:
    first: Layer
    rest: list[Layer]
    scale: float = 2.0
    labels: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slotted:
    W: Any
    rate: float = field(default=0.5, metadata={"static": True})


def run_model(model: Model, x: Any) -> Any:
    assert model.first.units == 2 and type(model.first.units) is int and model.first.sizes == (3, 2)
    h = model.first.activation(model.first.W @ x + model.first.b)
    for layer in model.rest:
        h = layer.W * h + layer.b
    if model.labels is not None:
        h = h[model.labels]
    return (h * model.scale).sum()


def a_model() -> Model:
    return Model(Layer(W0, b0), [Layer(np.ones(2), np.zeros(2), name="second")], labels=np.array([0, 1, 1]))


def test_gradients_of_nested_frozen_dataclasses() -> None:
    model = a_model()
    d = tg.grad(run_model)(model, x0)
    assert type(d) is Model and type(d.first) is Layer and type(d.rest) is list
    assert (d.first.name, d.first.units, d.first.kind, d.first.bias, d.first.note) == ("layer", 2, Kind.TANH, True, None)
    assert d.first.activation is tg.tanh and d.first.sizes == (3, 2) and d.first.groups == [1, 2]
    assert d.labels is model.labels, "an array of integers in a dataclass is a setting"
    h = np.tanh(W0 @ x0 + b0)
    weights = 2 * np.array([1, 2])
    same(d.first.b, weights * (1 - h * h))
    same(d.first.W, np.outer(weights * (1 - h * h), x0))
    same(d.rest[0].W, weights * h)
    same(d.scale, h @ [1, 2])
    assert type(model.first.W) is np.ndarray, "the argument is left as it was"


def test_a_step_of_gradient_descent_on_a_dataclass() -> None:
    model = a_model()
    stepped = tg.tree_map(lambda w, dw: w - 0.1 * dw, model, tg.grad(run_model)(model, x0))
    assert type(stepped) is Model and run_model(stepped, x0) < run_model(model, x0)
    assert stepped.rest[0].name == "second" and stepped.first.units == 2


def test_every_transformation_takes_and_gives_dataclasses() -> None:
    @dataclass
    class Out:
        y: Any
        loss: Any
        text: str = "kept"

    def f(layer: Layer) -> Out:
        y = layer.W @ x0 + layer.b
        return Out(y, (y * y).sum())

    def flat(v: Any) -> Any:
        y = v[:6].reshape(2, 3) @ x0 + v[6:]
        return tg.concatenate([y, (y * y).sum().reshape(1)])

    layer, v = Layer(W0, b0), np.concatenate([W0.ravel(), b0])
    direction = Layer(np.ones((2, 3)), np.array([2.0, 3.0]), name="other")
    u = np.concatenate([np.ones(6), [2, 3]])
    wanted = tg.jacobian(flat)(v)
    y, t = tg.jvp(f, layer, direction)
    assert type(t) is Out and t.text == "kept"
    same(np.append(t.y, t.loss), wanted @ u)
    _, push = tg.linearize(f, layer)
    same(push(direction).y, t.y)
    y, pull = tg.vjp(f, layer)
    assert type(y) is Out
    (d,) = pull(Out(np.array([1.0, 10.0]), 100.0))
    assert type(d) is Layer and d.units == 2
    same(np.concatenate([d.W.ravel(), d.b]), [1, 10, 100] @ wanted)
    for mode in ("forward", "reverse"):
        J = tg.jacobian(f, mode=mode)(layer)
        assert type(J) is Out and type(J.y) is Layer and J.text == "kept" and J.y.name == "layer"
        assert J.y.W.shape == (2, 2, 3) and J.y.b.shape == (2, 2) and J.loss.W.shape == (2, 3) and J.loss.b.shape == (2,)
        same(np.hstack([J.y.W.reshape(2, 6), J.y.b]), wanted[:2])
        same(np.append(J.loss.W, J.loss.b), wanted[2])
    H = tg.hessian(lambda layer: f(layer).loss)(layer)
    assert type(H) is type(H.W) is type(H.b) is Layer
    whole = tg.hessian(lambda v: flat(v)[2])(v)
    assert H.W.W.shape == (2, 3, 2, 3) and H.W.b.shape == (2, 3, 2) and H.b.W.shape == (2, 2, 3) and H.b.b.shape == (2, 2)
    same(H.W.W.reshape(6, 6), whole[:6, :6])
    same(H.W.b.reshape(6, 2), whole[:6, 6:])
    same(H.b.b, whole[6:, 6:])
    p = tg.hvp(lambda layer: f(layer).loss, layer, direction)
    assert type(p) is Layer
    same(np.concatenate([p.W.ravel(), p.b]), whole @ u)
    assert tg.check_gradients(f, layer).ok


def test_slots_keyword_only_and_static_fields() -> None:
    d = tg.grad(lambda s: (s.W * s.rate).sum())(Slotted(W=x0))
    assert type(d) is Slotted and d.rate == 0.5
    same(d.W, np.full(3, 0.5))


def test_init_and_post_init_are_not_called_again() -> None:
    calls = []

    @dataclass
    class Checked:
        W: Any
        extra: InitVar[int] = 0
        total: Any = field(init=False)

        def __post_init__(self, extra: int) -> None:
            calls.append(extra)
            self.W = np.asarray(self.W, float)
            if (self.W < 0).any():
                raise ValueError("negative")
            self.total = float(self.W.sum())

    c = Checked(np.ones(2), 3)
    d = tg.grad(lambda c: -(c.W * c.W).sum() + 5 * c.total)(c)
    assert calls == [3] and d.W.tolist() == [-2, -2] and d.total == 5, "each field is an input of its own"


def test_a_cached_property_is_computed_again() -> None:
    @dataclass
    class Point:
        x: Any

        @cached_property
        def norm(self) -> Any:
            return tg.sqrt((self.x * self.x).sum())

    p = Point(np.array([3.0, 4.0]))
    assert p.norm == 5
    same(tg.grad(lambda p: p.norm)(p).x, [0.6, 0.8])


def test_dataclasses_with_integers_where_numbers_are_meant() -> None:
    """An integer of a dataclass is a setting; of a dict it is a number, as everywhere."""
    assert tg.grad(lambda p: p["a"] ** p["n"])({"a": 2.0, "n": 3})["n"] == pytest.approx(8 * math.log(2))

    @dataclass
    class Power:
        a: Any
        n: int

    d = tg.grad(lambda p: p.a**p.n)(Power(2.0, 3))
    assert d == Power(12.0, 3)


# ---------------------------------------------------------------- dicts, lists, tuples, what else

class Pair(NamedTuple):
    a: Any
    b: Any = 1.0


def test_kinds_of_dicts_and_tuples_come_back() -> None:
    f = lambda p: p["a"] ** 2 * p["b"]  # noqa: E731
    d = tg.grad(f)(OrderedDict(b=3.0, a=2.0))
    assert type(d) is OrderedDict and list(d) == ["b", "a"] and d["a"] == 12 and d["b"] == 4
    d = tg.grad(f)(defaultdict(list, a=2.0, b=3.0))
    assert type(d) is defaultdict and d.default_factory is list and dict(d) == {"a": 12, "b": 4}
    assert tg.grad(lambda p: p.a * p.b)(Pair(2.0, 5.0)) == Pair(5.0, 2.0)
    assert tg.jvp(lambda p: p.a * p.b, Pair(2.0, 5.0), Pair(1.0, 0.0)) == (10.0, 5.0), "a namedtuple is one argument"
    assert tg.hvp(lambda p: p.a * p.b, Pair(2.0, 5.0), Pair(1.0, 0.0)) == Pair(0.0, 1.0)


def test_settings_in_dicts_and_lists_stay() -> None:
    p = {"W": x0, "activation": "tanh", "f": tg.tanh, "flag": True, "nothing": None, "list": ["a", {"deep": 2.0}]}
    d = tg.grad(lambda p: (getattr(tg, p["activation"])(p["W"])).sum() * p["list"][1]["deep"] if p["flag"] is True else 0)(p)
    assert {k: d[k] for k in ("activation", "f", "flag", "nothing")} == {
        "activation": "tanh", "f": tg.tanh, "flag": True, "nothing": None}
    same(d["W"], 2 * (1 - np.tanh(x0) ** 2))
    assert d["list"][0] == "a"
    same(d["list"][1]["deep"], np.tanh(x0).sum())
    t = tg.jvp(lambda p: {"y": p["W"] * 2, "how": p["activation"]}, p, p)[1]
    assert t["how"] == "tanh"
    same(t["y"], 2 * x0)


def test_which_lists_are_arrays() -> None:
    f = lambda p: tg.sum(p) if not isinstance(p, list) else sum(tg.sum(x) for x in p)  # noqa: E731
    assert type(tg.grad(f)([1.0, 2])) is type(tg.grad(f)([[1.0], [2.0]])) is np.ndarray
    d = tg.grad(f)([1.0, [2.0, 3.0]])
    assert type(d) is list and d[0] == 1 and d[1].tolist() == [1, 1], "numbers beside rows are no array"
    with pytest.raises(ShapeError, match="rows have different lengths"):
        tg.grad(f)([[1.0, 2.0], [3.0]])


@pytest.mark.parametrize("empty", [{}, [], (), {"a": []}, [{}, ()], {"a": None}], ids=str)
def test_empty_containers(empty: Any) -> None:
    f = lambda p: 2.0  # noqa: E731
    assert tg.grad(f)(empty) == empty
    assert tg.value_and_grad(f)(empty) == (2.0, empty)
    value, pull = tg.vjp(f, empty)
    assert value == 2 and pull(1.0) == (empty,)
    assert tg.jvp(f, (empty,), (empty,)) == (2.0, 0.0)
    assert tg.jacobian(f)(empty) == empty and tg.hessian(f)(empty) == empty
    assert tg.hvp(f, (empty,), (empty,)) == (empty,)
    assert tg.jacobian(lambda x: empty)(2.0) == empty
    assert tg.vjp(lambda x: empty, 2.0)[1](empty) == (0.0,)
    assert tg.jvp(lambda x: empty, 2.0, 1.0) == (empty, empty)


def test_keys_are_matched_by_name_not_by_order() -> None:
    """{"a", "b"} against {"b", "a"}: the same shapes, so by order the result would be silently wrong."""
    f = lambda p: p["a"] * 10 + p["b"]  # noqa: E731
    for order in (["a", "b"], ["b", "a"]):
        t = {k: {"a": 1.0, "b": 0.0}[k] for k in order}
        assert tg.jvp(f, {"a": 2.0, "b": 3.0}, t)[1] == 10
        assert tg.linearize(f, {"a": 2.0, "b": 3.0})[1](t) == 10
        assert tg.hvp(lambda p: p["a"] ** 2 + p["b"] ** 3, {"a": 2.0, "b": 3.0}, t) == {"a": 2, "b": 0}
        _, pull = tg.vjp(lambda x: {"a": x, "b": 10 * x}, 2.0)
        assert pull(t) == (1.0,)
        assert tg.tree_map(lambda x, y: x + 10 * y, {"a": 1.0, "b": 2.0}, t) == {"a": 11, "b": 2}


@pytest.mark.parametrize("call, error, text", [
    (lambda: tg.jvp(lambda p: p["a"], {"a": 1.0}, {"b": 1.0}), ShapeError,
     r"jvp: tangent 1 is not nested as its primal: the outermost container has the keys \['a'\], what is given \['b'\]"),
    (lambda: tg.jvp(lambda p: p["a"][0], {"a": [x0, x0]}, {"a": [x0]}), ShapeError,
     r"\['a'\] has 2 items, what is given has 1"),
    (lambda: tg.jvp(lambda p: p["a"], {"a": x0}, {"a": None}), ShapeError, r"\['a'\] is an array, what is given None"),
    (lambda: tg.jvp(lambda p: p["a"], {"a": x0}, {"a": {"c": x0}}), ShapeError, r"what is given a dict"),
    (lambda: tg.vjp(lambda x: {"a": x, "b": x}, x0)[1]({"a": x0, "c": x0}), GradientError,
     r"vjp: the gradients are not nested as the results of <lambda>: .*\['a', 'b'\], what is given \['a', 'c'\]"),
    (lambda: tg.vjp(lambda x: Pair(x, x), x0)[1]({"a": x0, "b": x0}), GradientError, "what is given is a dict"),
    (lambda: tg.jvp(lambda p: p.W, Slotted(W=x0), {"W": x0}), ShapeError, "is a Slotted, what is given a dict"),
    (lambda: tg.tree_map(lambda a, b: a, {"a": 1.0}, [1.0]), ValueError, "tree_map: the containers are not nested alike"),
    (lambda: tg.linearize(lambda x, y: x, 1.0, 2.0)[1](1.0), ValueError, "linearize: 2 primals and 1 tangents"),
])
def test_containers_of_other_forms_are_refused(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


class Opaque:
    def __init__(self, W: Any) -> None:
        self.W = W


@pytest.mark.parametrize("x, text", [
    (Opaque(x0), r"f\)?: the argument model is an Opaque, and the engine does not know which arrays it holds. Make Opaque a "
                 r"dataclass, use a dict, or say how it is taken apart with tg.register_container\(Opaque, parts, rebuild\)"),
    ([1.0, Opaque(x0)], "the argument model is an Opaque"),
    ({"a": Opaque(x0)}, "the argument model is an Opaque"),
    (Model(Layer(W0, b0, note=Opaque(x0)), []), "the argument model is an Opaque"),
    ({1.0, 2.0}, "is a set, whose items have no order. Use a list"),
    (np.exp, "is a function, which has no derivative"),
    (True, r"f\)?: the argument model holds truth values, which have no derivative. Leave it out of argnums, or convert"),
    (np.array([True, False]), "holds truth values"),
    ({"mask": np.array([True, False])}, "holds truth values"),
    ([True, False], "holds truth values"),
    (Tensor(np.array([True]), dtype=bool, requires_grad=False), "holds truth values"),
    ("text", "argument: data of dtype <U4 cannot be differentiated"),
    (1j, "cannot be differentiated"),
    (np.array(["a"]), "cannot be differentiated"),
    (partial(np.exp), "is a partial, and the engine"),
])
def test_what_cannot_be_differentiated_is_refused_by_name(x: Any, text: str) -> None:
    def f(model: Any) -> Any:
        return 2.0

    for transform in (tg.grad, tg.jacobian, tg.hessian, tg.value_and_grad):
        with pytest.raises(DTypeError, match=text):
            transform(f)(x)
    with pytest.raises(DTypeError, match=text):
        tg.vjp(f, x)
    assert tg.grad(lambda y, model: y * y, 0)(3.0, x) == 6, "beside what is differentiated anything goes"


def test_integers_are_numbers_and_integer_arrays_beside_are_left_alone() -> None:
    seen = []

    def f(x: Any, i: Any) -> Any:
        seen.append((i.dtype, i is places))
        return x[i].sum()

    places = np.array([0, 0, 2])
    assert tg.grad(f)(np.array([1, 2, 3]), places).tolist() == [2, 0, 1]
    assert seen == [(places.dtype, True)]
    assert tg.grad(lambda x: x * x)(np.int32(3)) == 6 and tg.grad(lambda x: x * x)(np.uint8(200)) == 400


@pytest.fixture
def registered() -> Iterator[None]:
    before = dict(containers._registered)
    tg.register_container(Opaque, lambda o: {"W": o.W}, lambda o, parts: type(o)(parts["W"]))
    yield
    containers._registered.clear()
    containers._registered.update(before)


class Special(Opaque):
    pass


def test_a_registered_class_and_its_subclasses(registered: None) -> None:
    f = lambda p: (p["m"].W ** 2).sum() * p["k"][0]  # noqa: E731
    for kind in (Opaque, Special):
        d = tg.grad(f)({"m": kind(x0), "k": (3.0, "text")})
        assert type(d["m"]) is kind and d["k"][1] == "text"
        same(d["m"].W, 6 * x0)
        H = tg.hessian(lambda m: (m.W**2).sum())(kind(x0))
        same(H.W.W, 2 * np.eye(3))
        same(tg.jvp(lambda m: m.W * 2, kind(x0), kind(np.ones(3)))[1], 2 * np.ones(3))
        with pytest.raises(ShapeError, match="what is given a dict"):
            tg.jvp(lambda m: m.W * 2, kind(x0), {"W": x0})
    d = tg.grad(lambda layer: (layer.note.W * layer.W[0]).sum())(Layer(W0, b0, note=Opaque(x0)))  # type: ignore[arg-type]
    same(d.note.W, W0[0])


def test_registration_is_checked() -> None:
    with pytest.raises(TypeError, match="is no class"):
        tg.register_container(Opaque(1), list, list)  # type: ignore[arg-type]
    for kind in (dict, list, object, Tensor, np.ndarray):
        with pytest.raises(TypeError, match="has its meaning already"):
            tg.register_container(kind, list, list)
    with pytest.raises(TypeError, match="must be functions"):
        tg.register_container(Opaque, 1, 2)  # type: ignore[arg-type]


def test_a_result_nobody_can_take_apart_is_refused() -> None:
    with pytest.raises(DTypeError, match="<lambda>: the result is an Opaque"):
        tg.grad(lambda x: Opaque(x))(1.0)
    with pytest.raises(DTypeError, match="the result is an Opaque"):
        tg.vjp(lambda x: {"y": Opaque(x)}, 1.0)
    with pytest.raises(GradientError, match="returns a container, and only one number has a gradient"):
        tg.grad(lambda x: {"loss": x * x})(1.0)
    with pytest.raises(GradientError, match="returns a container"):
        tg.grad(lambda x: (x * x, "note"))(1.0)
    with pytest.raises(GradientError, match=r"hvp\(<lambda>\): the function returns 2 results"):
        tg.hvp(lambda x: (x, x), 1.0, 1.0)


# ---------------------------------------------------------------- argnums

def quadratic(W: Any, b: Any, *, rate: Any = 1.0) -> Any:
    return (W * W).sum() * b * rate


def test_arguments_by_name() -> None:
    for call in (lambda f: f(x0, 2.0, rate=3.0), lambda f: f(x0, b=2.0, rate=3.0), lambda f: f(W=x0, b=2.0, rate=3.0)):
        same(call(tg.grad(quadratic, "W")), 12 * x0)
        db, drate = call(tg.grad(quadratic, ("b", "rate")))
        same(db, 3 * x0 @ x0)
        same(drate, 2 * x0 @ x0)
        same(call(tg.hessian(quadratic, "W")), 12 * np.eye(3))
        same(call(tg.jacobian(quadratic, ("rate", "W")))[1], 12 * x0)
        same(call(tg.grad(tg.grad(quadratic, "rate"), "b")), x0 @ x0)
        same(call(tg.elementwise_grad(lambda W, b, rate: W * b * rate, "W")), np.full(3, 6.0))
    same(tg.grad(quadratic)(W=x0, b=2.0), 4 * x0)
    same(tg.grad(quadratic, 1)(x0, b=2.0), x0 @ x0)
    dW, drate = tg.grad(quadratic, (0, "rate"))(x0, 2.0, rate={"r": 1.0}["r"])
    same(dW, 4 * x0)
    d = tg.grad(lambda x, **options: x * options["scale"]["a"], "scale")(3.0, scale={"a": 2.0, "b": 5.0})
    assert d == {"a": 3, "b": 0}


@pytest.mark.parametrize("argnums, error, text", [
    ((0, 0), ValueError, r"quadratic: argnums \(0, 0\) names an argument twice"),
    ((0, -2), ValueError, "names an argument twice"),
    ((0, "W"), ValueError, "names an argument twice"),
    (True, TypeError, "argnums: True is no position"),
    (1.0, TypeError, "is no position|not iterable"),
    ((0.0,), TypeError, "argnums: 0.0 is no position"),
    (2, ValueError, "argnums names argument 2, but 2 positional arguments are given"),
    (-3, ValueError, "argnums names argument -3"),
    ("w", ValueError, "argnums names 'w', but there is no such argument. It takes W, b, rate."),
    ("rate", ValueError, "argnums names 'rate', which is not given. Pass rate="),
])
def test_wrong_argnums(argnums: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        tg.grad(quadratic, argnums)(x0, 2.0)


def test_no_argument_at_all() -> None:
    assert tg.grad(quadratic, ())(x0, 2.0) == ()


# ---------------------------------------------------------------- perturbation confusion

def forward(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: tg.jvp(f, x, 1.0)[1]


def linear(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: tg.linearize(f, x)[1](1.0)


def pulled(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: tg.vjp(f, x)[1](1.0)[0]


def by_forward_jacobian(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return tg.jacobian(f, mode="forward")


def by_reverse_jacobian(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return tg.jacobian(f, mode="reverse")


MODES = [tg.grad, forward, linear, pulled, by_forward_jacobian, by_reverse_jacobian, tg.elementwise_grad]


@pytest.mark.parametrize("outer, inner", list(itertools.product(MODES, MODES)))
def test_the_examples_of_siskind_and_pearlmutter(outer: Any, inner: Any) -> None:
    """Siskind and Pearlmutter 2005, Perturbation confusion and referential transparency; 2008, Nesting forward-mode AD."""
    # d/dx [x · d/dy (x + y) at 1] at 1: the inner derivative is 1, so the outer is 1, where confusion says 2
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1
    # d/dx [x · d/dy (x · y) at 2] = d/dx x² = 2x
    assert outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0) == 6
    # the value of the outer variable inside
    assert outer(lambda x: inner(lambda y: x * x * y * y)(x))(3.0) == 54  # d/dx of 2x³
    assert outer(lambda x: inner(lambda y: x)(5.0) * x)(3.0) == 0
    assert outer(lambda x: inner(lambda x: x * x)(2.0) + x)(3.0) == 1
    assert outer(lambda x: inner(lambda y: inner(lambda z: x * y * z)(1.0) * y)(x))(3.0) == 4 * 3  # d/dx of 2x²
    # a derivative of a function made by another derivative's function
    shift = lambda offset: lambda g: lambda a: g(a + offset)  # noqa: E731
    assert outer(lambda x: inner(shift(x)(tg.sin))(0.5))(0.25) == pytest.approx(-math.sin(0.75), abs=1e-14)


@pytest.mark.parametrize("outer, inner", list(itertools.product(MODES, MODES)))
def test_the_amazing_bug(outer: Any, inner: Any) -> None:
    """Manzyuk, Pearlmutter, Radul, Rush, Siskind 2019: a derivative of a function that returns functions."""
    def s(u: Any) -> Any:
        return lambda f: lambda x: f(x + u)

    def through(u: Any) -> Any:
        return s(u)(inner(s(u)(tg.exp)))(0.5)  # exp(0.5 + 2u)

    assert outer(through)(0.0) == pytest.approx(2 * math.exp(0.5), abs=1e-14)


def test_mixtures_of_whole_derivatives_over_closures() -> None:
    f = lambda w, x: tg.sum(tg.sin(w * x) * x)  # noqa: E731
    w, x = np.array([0.3, 0.7]), np.array([1.1, -0.4])
    mixed = tg.jacobian(tg.grad(f, 1), 0)(w, x)
    for mode in ("forward", "reverse"):
        same(tg.jacobian(lambda w: tg.grad(lambda x: f(w, x))(x), mode=mode)(w), mixed)
        same(tg.jacobian(lambda w: tg.jvp(lambda x: f(w, x), x, np.array([1.0, 0.0]))[1], mode=mode)(w), mixed[0])
        same(tg.jacobian(lambda w: tg.jacobian(lambda x: f(w, x), mode="forward")(x), mode=mode)(w), mixed)
    same(tg.grad(lambda w: tg.hvp(lambda x: f(w, x), x, np.ones(2)).sum())(w),
         tg.jacobian(lambda w: tg.hessian(lambda x: f(w, x))(x))(w).sum(axis=(0, 1)))
    same(tg.jvp(lambda w: tg.grad(lambda x: f(w, x))(x), w, np.ones(2))[1], mixed @ np.ones(2))
    same(tg.grad(lambda w: tg.jvp(lambda x: f(w, x), x, w)[1])(w), tg.grad(lambda w: (tg.grad(f, 1)(w, x) * w).sum())(w))


def test_a_variable_that_leaks_out_of_its_derivative() -> None:
    """The inner variable, kept after its derivative was taken, is a constant for everybody else."""
    kept = []

    def inner(y: Any) -> Any:
        kept.append(y)
        return y * y

    def outer(x: Any) -> Any:
        slope = tg.grad(inner)(x)
        return slope * x + 0 * kept[-1] * 1.0

    assert tg.grad(outer)(3.0) == 12
    leaked: list[Any] = []
    tg.grad(lambda y: leaked.append(y) or y * y)(2.0)
    assert tg.grad(lambda x: x * leaked[0])(5.0) == 2


def test_no_grad_inside_and_outside() -> None:
    with tg.no_grad():
        assert tg.grad(lambda x: tg.grad(lambda y: x * y * y)(x))(3.0) == 2 * 2 * 3.0
        assert type(tg.grad(lambda x: x * x)(Tensor(3.0))) is not Tensor

    def f(x: Any) -> Any:
        with tg.no_grad():
            inner = tg.grad(lambda y: x * y * y)(x)  # a constant of the outer
        return inner * x

    assert tg.grad(f)(3.0) == 18


def test_detach_inside() -> None:
    f = lambda x: (x.detach() * x).sum()  # noqa: E731
    same(tg.grad(f)(x0), x0)
    assert not tg.hessian(f)(x0).any()
    same(tg.jvp(f, x0, np.ones(3))[1], x0.sum())
    same(tg.hvp(f, x0, x0), np.zeros(3))
    assert tg.grad(lambda x: tg.grad(lambda y: y * y * x.detach())(x))(3.0) == 6, "2·x·[x]: the detached is a constant"


# ---------------------------------------------------------------- auxiliary output

def test_auxiliary_output_everywhere() -> None:
    def f(x: Any) -> Any:
        return (x**3).sum(), {"x2": x * x, "how": "cubes", "n": 3, "opaque": opaque, "list": [1, 2]}

    opaque = Opaque(1)
    g = lambda x: (x**3, f(x)[1])  # noqa: E731
    calls: dict[str, Callable[[], Any]] = {
        "grad": lambda: tg.grad(f, has_aux=True)(x0),
        "value_and_grad": lambda: (lambda r: (r[1], r[0][1]))(tg.value_and_grad(f, has_aux=True)(x0)),
        "elementwise_grad": lambda: tg.elementwise_grad(g, has_aux=True)(x0),
        "vjp": lambda: (lambda r: (r[1](1.0)[0], r[2]))(tg.vjp(f, x0, has_aux=True)),
        "jvp": lambda: (lambda r: (r[1], r[2]))(tg.jvp(f, x0, x0, has_aux=True)),
        "linearize": lambda: (lambda r: (r[1](x0), r[2]))(tg.linearize(f, x0, has_aux=True)),
        "jacobian": lambda: tg.jacobian(g, has_aux=True)(x0),
        "jacobian-reverse": lambda: tg.jacobian(g, mode="reverse", has_aux=True)(x0),
        "hessian": lambda: tg.hessian(f, has_aux=True)(x0),
        "hvp": lambda: tg.hvp(f, x0, x0, has_aux=True),
    }
    wanted = {"jvp": 3 * (x0**3).sum(), "linearize": 3 * (x0**3).sum(), "jacobian": np.diag(3 * x0**2), "jacobian-reverse":
              np.diag(3 * x0**2), "hessian": np.diag(6 * x0), "hvp": 6 * x0 * x0}
    for name, call in calls.items():
        derivative, aux = call()
        same(derivative, wanted.get(name, 3 * x0**2))
        assert type(aux["x2"]) is np.ndarray and aux["how"] == "cubes" and aux["n"] == 3 and aux["list"] == [1, 2], name
        assert aux["opaque"] is opaque
        same(aux["x2"], x0 * x0)


def test_auxiliary_output_belongs_to_the_outer_derivative() -> None:
    """The value does not depend on w, the extra does: its derivative must not get lost."""
    def outer(transform: Any) -> Any:
        return lambda w: transform(lambda x: (x * x, {"w": w * x * 5, "x": x * 3.0, "w itself": w}), w)

    for transform in (lambda f, w: tg.grad(f, has_aux=True)(2.0)[1], lambda f, w: tg.vjp(f, 2.0, has_aux=True)[2],
                      lambda f, w: tg.jvp(f, 2.0, 1.0, has_aux=True)[2], lambda f, w: tg.hessian(f, has_aux=True)(2.0)[1],
                      lambda f, w: tg.jacobian(f, has_aux=True)(2.0)[1], lambda f, w: tg.hvp(f, 2.0, 1.0, has_aux=True)[1]):
        seen = []

        def f(w: Any, transform: Any = transform, seen: Any = seen) -> Any:
            aux = outer(transform)(w)
            seen.append(type(aux["x"]))
            return aux["w"] + aux["w itself"]

        assert tg.grad(f)(7.0) == 11
        assert seen[0] is not Tensor, "what depends on the inner variable alone is plain"
        assert tg.jvp(f, 7.0, 1.0)[1] == 11
    # the extra of a derivative at the outer variable
    assert tg.grad(lambda w: tg.grad(lambda x: (x * x, x**3), has_aux=True)(w)[1])(2.0) == 12


@pytest.mark.parametrize("transform", [tg.grad, tg.jacobian, tg.hessian, tg.elementwise_grad])
@pytest.mark.parametrize("result", [lambda x: x.sum(), lambda x: (x.sum(),), lambda x: (x.sum(), 1, 2), lambda x: [x.sum(), 1]])
def test_has_aux_wants_a_pair(transform: Any, result: Any) -> None:
    with pytest.raises(TypeError, match="has_aux=True expects"):
        transform(result, has_aux=True)(x0)


# ---------------------------------------------------------------- constants, inputs, and the same thing twice

CONSTANTS: dict[str, Callable[[Any], Any]] = {
    "number": lambda x: 2.0, "integer": lambda x: 3, "array": lambda x: np.float32(2), "tensor": lambda x: Tensor(1.0).detach(),
    "zero times": lambda x: (x * 0).sum(), "floor": lambda x: tg.floor(x).sum(), "detached": lambda x: (x.detach() ** 2).sum(),
    "comparison": lambda x: (x > 0).sum(), "size": lambda x: x.size, "bool": lambda x: (x > 0).any(),
    "index": lambda x: tg.argmax(x),
}


@pytest.mark.parametrize("f", CONSTANTS.values(), ids=list(CONSTANTS))
@pytest.mark.parametrize("x", [x0, x0.astype(np.float32), W0], ids=["vector", "float32", "matrix"])
def test_a_constant_has_derivative_zero_of_the_right_shape_and_dtype(f: Any, x: Any) -> None:
    n = x.shape
    for d, shape in ((tg.grad(f)(x), n), (tg.jacobian(f, mode="forward")(x), n), (tg.jacobian(f, mode="reverse")(x), n),
                     (tg.hessian(f)(x), n + n), (tg.hvp(f, x, x), n), (tg.vjp(f, x)[1](1)[0], n),
                     (tg.jvp(lambda x: (f(x), x), x, x)[1][1] * 0, n), (tg.jacobian(tg.jacobian(f))(x), n + n)):
        assert type(d) is np.ndarray and d.shape == shape and d.dtype == x.dtype and not d.any()
    t = tg.jvp(f, x, x)[1]
    assert t == 0 and np.shape(t) == ()


def test_a_function_that_returns_its_argument() -> None:
    for f in (lambda x: x, lambda x: x.reshape(3), lambda x: [x], lambda x: {"x": x, "again": x}):
        _, pull = tg.vjp(f, x0)
        g = f(np.array([1.0, 2.0, 3.0]))
        same(pull(g)[0], np.array([1.0, 2.0, 3.0]) * (2 if type(g) is dict else 1))
        for mode in ("forward", "reverse"):
            J = tg.jacobian(f, mode=mode)(x0)
            same(J if type(J) is np.ndarray else J[0] if type(J) is list else J["again"], np.eye(3))
    assert tg.grad(lambda x: x)(2.0) == 1 and tg.hessian(lambda x: x)(2.0) == 0
    assert tg.grad(lambda x: x)(np.array([2.0])).tolist() == [1.0]
    first, second = tg.jacobian(lambda x, y: (y, x), (0, 1))(2.0, 3.0)
    assert first == (0, 1) and second == (1, 0)
    assert tg.grad(lambda x: tg.grad(lambda y: y)(x) * x)(2.0) == 1
    assert tg.hvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 0.0)) == (0, 1)


def test_the_same_array_in_several_places() -> None:
    p = {"a": x0, "b": [x0, x0]}
    d = tg.grad(lambda p: (p["a"] * p["b"][0] ** 2 * p["b"][1] ** 3).sum())(p)
    same(d["a"], x0**5)
    same(d["b"][0], 2 * x0**5)
    same(d["b"][1], 3 * x0**5)
    assert not np.shares_memory(d["a"], d["b"][0])
    t = Tensor(x0)
    (d1, d2) = tg.grad(lambda a, b: (a * b * b).sum(), (0, 1))(t, t)
    same(d1.data, x0**2)
    same(d2.data, 2 * x0**2)
    shared = tg.vjp(lambda a, b: a + b, x0, x0)[1](np.ones(3))
    shared[0][0] = 7
    assert shared[1].tolist() == [1, 1, 1]
    T = tg.jacobian(lambda xs: xs[0] + xs[1])([x0, x0])
    same(T[0], np.eye(3))


def test_vjp_and_linearize_reuse_their_record() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(1)
        return tg.sin(x) * x

    x = x0.copy()
    _, pull = tg.vjp(f, x)
    _, push = tg.linearize(f, x)
    x[:] = 100.0  # what the caller changes later does not count
    slope = np.cos(x0) * x0 + np.sin(x0)
    for k in range(1, 4):
        same(pull(np.full(3, float(k)))[0], k * slope)
        same(push(np.full(3, float(k))), k * slope)
    assert len(calls) == 2
    same(tg.jacobian(push)(np.ones(3)), np.diag(slope))
    same(tg.grad(lambda u: push(u).sum())(np.ones(3)), slope)
    same(tg.grad(lambda x: (tg.linearize(f, x)[1](x0)).sum())(x0), x0 * (2 * np.cos(x0) - np.sin(x0) * x0))


def test_containers_may_be_changed_between_the_record_and_its_use() -> None:
    for kind in (dict, OrderedDict):
        p = kind(a=x0.copy(), b=[x0.copy()])
        _, pull = tg.vjp(lambda p: p["a"] * p["b"][0], p)
        _, push = tg.linearize(lambda p: p["a"] * p["b"][0], p)
        p["c"], p["a"] = 1.0, None
        p["b"].append(2.0)
        (d,) = pull(np.ones(3))
        assert type(d) is kind and list(d) == ["a", "b"] and len(d["b"]) == 1
        same(d["a"], x0)
        same(push(kind(a=np.ones(3), b=[np.zeros(3)])), x0)


def test_results_may_be_changed_in_place() -> None:
    """The record lives on in pull and push: what the caller does to the result must not reach it."""
    for f in (tg.exp, lambda x: x, lambda x: x[::-1]):
        y, pull, aux = tg.vjp(lambda x: (f(x), [f(x)]), x0, has_aux=True)  # noqa: B023
        z, push, more = tg.linearize(lambda x: (f(x), [f(x)]), x0, has_aux=True)  # noqa: B023
        before = pull(np.ones(3))[0], push(np.ones(3))
        for array in (y, z, aux[0], more[0]):
            array *= 100.0
        same(pull(np.ones(3))[0], before[0])
        same(push(np.ones(3)), before[1])


def assigns(x: Any) -> Any:
    x[0] = 2.0 * x[1]
    return (x * x).sum()


@pytest.mark.parametrize("transform", [
    tg.grad, tg.hessian, tg.jacobian, lambda f: tg.grad(lambda x: tg.grad(f)(x * 1.0).sum()),
    lambda f: lambda x: tg.jvp(tg.grad(f), x, x), lambda f: tg.grad(lambda x: tg.jvp(f, x, x)[1]),
    lambda f: tg.grad(lambda x: tg.hvp(f, x, x).sum()), lambda f: tg.checkpoint(lambda x: tg.grad(f)(x)),
], ids=["grad", "hessian", "jacobian", "of a result", "jvp", "of jvp", "of hvp", "checkpoint"])
def test_assigning_into_an_argument_is_refused(transform: Any) -> None:
    """Its Tensor would stand for the newer value, and the derivative would be by that one."""
    x = Tensor(x0) if transform is tg.checkpoint else x0
    with pytest.raises(InPlaceError):
        transform(assigns)(x)

    def copies(x: Any) -> Any:
        x = x.copy()
        x[0] = 2.0 * x[1]
        return (x * x).sum()

    same(tg.grad(copies)(x0), [0, 10 * x0[1], 2 * x0[2]])
    same(tg.hessian(copies)(x0), np.diag([0.0, 10, 2]))


# ---------------------------------------------------------------- nesting of Jacobians

def test_jacobians_nest_as_the_result_and_then_as_the_argument() -> None:
    f = lambda p, q: ({"Wx": p["W"] @ q, "n": (q * q).sum()}, [p["b"] * 2.0])  # noqa: E731
    p, q = {"W": W0, "b": b0}, x0
    for mode in ("forward", "reverse", "auto"):
        J, tail = tg.jacobian(f, (0, 1), mode=mode)(p, q)
        assert type(J["Wx"]) is tuple and J["Wx"][0]["W"].shape == (2, 2, 3) and J["Wx"][0]["b"].shape == (2, 2)
        assert J["Wx"][1].shape == (2, 3) and J["n"][0]["W"].shape == (2, 3) and J["n"][1].shape == (3,)
        same(J["Wx"][1], W0)
        same(J["n"][1], 2 * x0)
        same(tail[0][0]["b"], 2 * np.eye(2))
        assert not tail[0][1].any()
        only = tg.jacobian(f, 0, mode=mode)(p, q)
        same(only[0]["Wx"]["W"], J["Wx"][0]["W"])


def test_hessians_of_containers_hold_every_mixed_derivative() -> None:
    f = lambda p: tg.sum(tg.tanh(p["W"] @ p["x"] + p["b"]) ** 2)  # noqa: E731
    p = {"W": W0, "x": x0, "b": b0}
    H = tg.hessian(f)(p)
    flat = lambda v: f({"W": v[:6].reshape(2, 3), "x": v[6:9], "b": v[9:]})  # noqa: E731
    whole = tg.hessian(flat)(np.concatenate([W0.ravel(), x0, b0]))
    places, sizes = {"W": slice(0, 6), "x": slice(6, 9), "b": slice(9, 11)}, {"W": 6, "x": 3, "b": 2}
    for a, b in itertools.product(p, p):
        assert H[a][b].shape == np.shape(p[a]) + np.shape(p[b])
        same(H[a][b].reshape(sizes[a], sizes[b]), whole[places[a], places[b]])


def test_float32_and_float64_in_one_container() -> None:
    p = {"a": x0.astype(np.float32), "b": x0}
    d = tg.grad(lambda p: (p["a"] * p["b"]).sum())(p)
    assert d["a"].dtype == np.float32 and d["b"].dtype == np.float64
    for mode in ("forward", "reverse"):
        J = tg.jacobian(lambda p: p["a"] * p["b"], mode=mode)(p)
        assert J["a"].dtype == np.float32 and J["b"].dtype == np.float64


@pytest.mark.parametrize("f, x, forward", [
    (lambda x: tg.tanh(x[0] * np.ones(50)), np.ones(1), True),
    (lambda x: tg.tanh(x).sum(), np.ones(50), False),
    (lambda x: tg.tanh(np.ones((40, 60)) @ x), np.ones(60), True),  # one walk for all columns against 40
    (lambda x: tg.prod(tg.softmax(x)) * np.ones(3), np.ones(60), False),  # these go through transposed rules, one by one
    (lambda x: tg.prod(tg.softmax(x)) * np.ones(500), np.ones(5), True),
], ids=["column", "row", "matrix", "transposed", "transposed, many rows"])
def test_auto_takes_the_cheaper_mode(f: Any, x: Any, forward: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from tinygrad_edu import matrices

    taken = []
    for name in ("_forward_table", "_reverse_table"):
        table = getattr(matrices, name)
        monkeypatch.setattr(matrices, name, lambda r, name=name, table=table: (taken.append(name), table(r))[1])
    J = tg.jacobian(f)(x)
    assert taken == ["_forward_table" if forward else "_reverse_table"]
    same(J, tg.jacobian(f, mode="reverse" if forward else "forward")(x))


# ---------------------------------------------------------------- the readers

def layer_cost(layer: Any, x: Any) -> Any:
    z = layer.W @ x + layer.b
    a = np.tanh(z)
    return a.sum()


def test_readers_take_dataclasses() -> None:
    layer = Layer(W0, b0)
    assert {"dW = dz xᵀ", "db = dz"} <= set(str(tg.formulas(layer_cost, layer, x0)).splitlines())
    source = str(tg.numpy_source(layer_cost, layer, x0))
    assert "W = layer.W" in source and 'dlayer = {"W": dW, "b": db}' in source
    d = tg.grad(layer_cost)(layer, x0)
    assert tg.compare(layer_cost, layer, x0, dW=d.W, db=d.b).ok


def test_the_paths_and_the_structure_of_a_container() -> None:
    tree = {"m": [a_model(), Pair(x0, None)], "text": "a"}
    paths = containers.leaf_paths(tree)
    assert len(containers.flatten(tree)[0]) == len(paths)
    assert ["".join(p) for p in paths] == [
        "['m'][0].first.W", "['m'][0].first.b", "['m'][0].rest[0].W", "['m'][0].rest[0].b", "['m'][0].scale", "['m'][1].a",
        "['text']"]
    assert containers.structure(Layer(W0, b0)) == containers.structure(Layer(W0 + 1, b0))
    assert containers.structure(Layer(W0, b0)) != containers.structure(Layer(W0, b0, units=3))
    assert containers.structure([x0]) != containers.structure((x0,)) != containers.structure({"a": x0})


# ---------------------------------------------------------------- any container

@dataclass(slots=True)
class Slots:
    a: Any
    n: int = 3


@dataclass(frozen=True)
class Frozen:
    u: Any
    v: Any
    w: Any = (1, 2)


def random_tree(draw: Any, depth: int, inside: bool = False) -> Any:
    kind = draw.integers(9 if depth else 1)
    items = lambda inside: [random_tree(draw, depth - 1, inside) for _ in range(draw.integers(4))]  # noqa: E731
    item = lambda inside: random_tree(draw, depth - 1, inside)  # noqa: E731
    if kind < 2:
        shapes = [(2,), (2, 2), (0,), (1, 3), (1,)]
        settings = [None, "text", True, np.sin, 3 if inside else 2.5]
        if draw.random() < 0.2:
            return settings[draw.integers(5)]
        return draw.normal(size=shapes[draw.integers(5)]) if draw.random() < 0.8 else float(draw.normal())
    if kind == 2:
        return {f"{draw.integers(100)}, {i}": x for i, x in enumerate(items(inside))}
    if kind < 5:
        return (list if kind == 3 else tuple)(items(inside))
    if kind == 5:
        return Pair(item(inside), item(inside))
    if kind == 6:
        return Frozen(item(True), item(True))
    return Slots(item(True)) if kind == 7 else Opaque(item(False))


def entries(tree: Any) -> Any:
    return np.concatenate([np.zeros(0), *[np.ravel(x) for x in containers.numbers(tree)[0]]])


@pytest.mark.parametrize("seed", range(60))
def test_any_container_is_a_long_vector(seed: int, registered: None) -> None:
    draw = np.random.default_rng(seed)
    tree = (random_tree(draw, 3), 0.5)
    leaves, rebuild = containers.numbers(tree)
    arrays = [np.asarray(x) for x in leaves]

    def total(xs: Any) -> Any:
        s: Any = 0.0
        for k, x in enumerate(xs):
            s = s + tg.sum(tg.sin(x * (k + 1.0))) + 0.1 * s * tg.sum(x)
        return s

    def of_tree(p: Any) -> Any:
        return total(containers.numbers(p)[0])

    def of_vector(v: Any) -> Any:
        ends = np.cumsum([a.size for a in arrays])
        return total([v[end - a.size : end].reshape(a.shape) for a, end in zip(arrays, ends, strict=True)])

    v = entries(tree)
    u = [draw.normal(size=a.shape)[()] for a in arrays]
    direction = rebuild(u)
    slope = tg.grad(of_vector)(v)
    for f in (of_tree, tg.checkpoint(of_tree)):
        d = tg.grad(f)(tree)
        assert containers.structure(d) == containers.structure(tree)
        same(entries(d), slope)
        same(tg.jvp(f, (tree,), (direction,))[1], slope @ entries(direction))
        same(entries(tg.hvp(f, (tree,), (direction,))), tg.hvp(of_vector, v, entries(direction)))
        same(sum(x.sum() for x in containers.numbers(tg.hessian(f)(tree))[0]), tg.hessian(of_vector)(v).sum(), 1e-9)
