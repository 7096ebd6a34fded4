"""What a function reaches through objects is watched: replaced or changed in place, the next call follows."""

from __future__ import annotations

import array
import functools
import os
import types
from collections import deque
from dataclasses import dataclass
from operator import attrgetter, itemgetter, methodcaller
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.program.guards import guards_of

V = np.array([1.0, -2.0, 3.0])


@dataclass
class Config:
    k: float = 2.0
    inner: Any = None


class Slotted:
    __slots__ = ("k",)


class Thing:
    k = 2.0

    def __init__(self) -> None:
        self.o = Config()
        self.w = np.ones(3)

    def method(self, v: Any) -> Any:
        return v * self.k

    @property
    def p(self) -> float:
        return self.o.k

    @classmethod
    def of_class(cls, v: Any) -> Any:
        return v * cls.k

    def __rmul__(self, v: Any) -> Any:
        return v * self.o.k

    __array_ufunc__ = None


class Descriptor:
    def __get__(self, held: Any, owner: Any) -> float:
        return SETTINGS["k"]


class Described:
    k = Descriptor()


SETTINGS = {"k": 2.0}


def helper(v: Any) -> Any:
    return v * SETTINGS["k"]


@functools.cache
def cached() -> float:
    return SETTINGS["k"]


def times(k: float) -> Any:
    return lambda v: v * k


def cases() -> dict[str, Any]:
    config, in_list, in_tuple, thing, slotted = Config(inner=Config()), [Config()], (Config(),), Thing(), Slotted()
    slotted.k = 2.0
    functions, named, space = [times(2.0)], {"f": times(2.0)}, types.SimpleNamespace(f=times(2.0), o=Config(), helper=helper)
    numbers, chosen, raw, doubles, queue = np.ones(3), {1}, bytearray(b"a"), array.array("d", [2.0]), deque([2.0])
    rates, weights, deep, operator, described = [2.0], np.ones(3), [[[[[2.0]]]]], Thing(), Described()
    with_default = lambda v, k=2.0: v * k  # noqa: E731
    nest = {"a": {"b": np.ones(3)}}
    get_k, get_a = attrgetter("inner.k"), itemgetter("a")

    def call(thing: Any, v: Any) -> Any:
        return methodcaller("method", v)(thing)

    return {
        "attribute of an attribute": (lambda v: v * config.inner.k, lambda i: setattr(config.inner, "k", i)),
        "object replaced": (lambda v: v * config.inner.k, lambda i: setattr(config, "inner", Config(i))),
        "object in a list": (lambda v: v * in_list[0].k, lambda i: setattr(in_list[0], "k", i)),
        "object in a list replaced": (lambda v: v * in_list[0].k, lambda i: in_list.__setitem__(0, Config(i))),
        "object in a tuple": (lambda v: v * in_tuple[0].k, lambda i: setattr(in_tuple[0], "k", i)),
        "slot": (lambda v: v * slotted.k, lambda i: setattr(slotted, "k", i)),
        "class attribute": (thing.method, lambda i: setattr(Thing, "k", i)),
        "class method": (Thing.of_class, lambda i: setattr(Thing, "k", i)),
        "method replaced": (lambda v: thing.method(v), lambda i: setattr(Thing, "method", lambda self, v: v * i)),
        "property": (lambda v: v * thing.p, lambda i: setattr(thing.o, "k", i)),
        "descriptor": (lambda v: v * described.k, lambda i: SETTINGS.__setitem__("k", i)),
        "operator": (lambda v: v * operator, lambda i: setattr(operator.o, "k", i)),
        "namespace": (lambda v: v * space.o.k, lambda i: setattr(space.o, "k", i)),
        "function in a list": (lambda v: functions[0](v), lambda i: functions.__setitem__(0, times(i))),
        "function in a dict": (lambda v: named["f"](v), lambda i: named.__setitem__("f", times(i))),
        "function in an object": (lambda v: space.f(v), lambda i: setattr(space, "f", times(i))),
        "global of a helper": (lambda v: space.helper(v), lambda i: SETTINGS.__setitem__("k", i)),
        "cache": (lambda v: v * cached(), lambda i: (SETTINGS.__setitem__("k", i), cached.cache_clear())),
        "partial": (functools.partial(lambda v, k: v * k[0], k=rates), lambda i: rates.__setitem__(0, i)),
        "default": (with_default, lambda i: setattr(with_default, "__defaults__", (i,))),
        "sum of an array": (lambda v: v * numbers.sum(), lambda i: numbers.__setitem__(0, i)),
        "sum of an attribute": (lambda v: v * thing.w.sum(), lambda i: thing.w.__setitem__(0, i)),
        "entry of an array": (lambda v: v * float(weights[1]), lambda i: weights.__setitem__(1, i)),
        "array in a nest": (lambda v: v * nest["a"]["b"], lambda i: nest["a"].__setitem__("b", np.full(3, i))),
        "deque": (lambda v: v * queue[0], lambda i: queue.__setitem__(0, i)),
        "set": (lambda v: v * len(chosen), lambda i: chosen.add(i)),
        "bytes": (lambda v: v * raw[0], lambda i: raw.__setitem__(0, int(i))),
        "doubles": (lambda v: v * doubles[0], lambda i: doubles.__setitem__(0, i)),
        "deep list": (lambda v: v * deep[0][0][0][0][0], lambda i: deep[0][0][0][0].__setitem__(0, i)),
        "attrgetter": (lambda v: v * get_k(config), lambda i: setattr(config.inner, "k", i)),
        "itemgetter": (lambda v: v * get_a(nest)["b"], lambda i: nest["a"].__setitem__("b", np.full(3, i))),
        "methodcaller": (lambda v: call(thing, v), lambda i: setattr(Thing, "k", i)),
        "environment": (lambda v: v * float(os.environ.get("REACHED", "2")),
                        lambda i: os.environ.__setitem__("REACHED", str(i))),
    }


@pytest.mark.parametrize("name", [*cases()])
def test_what_is_reached_is_followed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Thing, "k", 2.0)
    monkeypatch.setattr(Thing, "method", Thing.method)
    monkeypatch.setenv("REACHED", "2")
    f, change = cases()[name]
    compiled = tg.jit(f)
    for k in (2.0, 5.0, 5.0, 7.0, 9.0):
        change(k)
        for _ in range(2):
            np.testing.assert_array_equal(compiled(V), f(V))
    assert compiled.cache_info().misses <= 5


def test_libraries_are_not_walked_and_little_is_watched() -> None:
    W = np.ones((3, 3))
    assert len(guards_of(lambda v: np.tanh(W @ v) + tg.sigmoid(v) + pytest.approx(0), [W])) <= 3


def given_cases() -> dict[str, tuple[Any, Any, Any]]:
    """A function, an object or function that it is given as its first argument, and a change of what lies behind that."""
    thing, slotted, nested, factor = Thing(), Slotted(), {"settings": Thing()}, [2.0]

    def from_a_closure(v: Any) -> Any:
        return v * number

    def set_number(i: float) -> None:
        nonlocal number
        number = i

    number = 2.0
    return {
        "class attribute": (lambda o, v: v * o.k, thing, lambda i: setattr(Thing, "k", i)),
        "instead of the class attribute": (lambda o, v: v * o.k, Thing(), lambda i: setattr(Thing, "k", i)),
        "slot": (lambda o, v: v * o.k, slotted, lambda i: setattr(slotted, "k", i)),
        "property": (lambda o, v: v * o.p, thing, lambda i: setattr(thing.o, "k", i)),
        "attribute of an attribute": (lambda o, v: v * o.o.k, thing, lambda i: setattr(thing.o, "k", i)),
        "object in a nest": (lambda n, v: v * n["settings"].o.k, nested, lambda i: setattr(nested["settings"].o, "k", i)),
        "method": (lambda g, v: g(v), thing.method, lambda i: setattr(Thing, "k", i)),
        "function and its closure": (lambda g, v: g(v), from_a_closure, set_number),
        "function and its global": (lambda g, v: g(v), reads_a_global, lambda i: globals().__setitem__("GLOBAL_NUMBER", i)),
        "function and a list": (lambda g, v: g(v), lambda v: v * factor[0], lambda i: factor.__setitem__(0, i)),
    }


GLOBAL_NUMBER = 2.0


def reads_a_global(v: Any) -> Any:
    return v * GLOBAL_NUMBER


@pytest.mark.parametrize("name", [*given_cases()])
def test_what_is_reached_through_an_argument_is_followed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Thing, "k", 2.0)
    f, given, change = given_cases()[name]
    compiled = tg.jit(f)
    for k in (2.0, 5.0, 5.0, 7.0, 9.0):
        change(k)
        for _ in range(2):
            np.testing.assert_array_equal(compiled(given, V), f(given, V))
    assert 4 <= compiled.cache_info().misses <= 5


def test_an_attribute_of_an_argument_that_hides_its_class_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Thing, "k", 2.0)
    thing, compiled = Thing(), tg.jit(lambda o, v: v * o.k)
    np.testing.assert_array_equal(compiled(thing, V), 2.0 * V)
    thing.k = 5.0
    np.testing.assert_array_equal(compiled(thing, V), 5.0 * V)
