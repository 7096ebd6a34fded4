"""What a compiled function finds around it: seen when it changes, let alone when it is only written again."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.program.guards import Settings

V = np.array([1.0, -2.0, 3.0])


def check(make: Any, change: Any, recorded_again: bool = True) -> None:
    """A function of a place is compiled, the place is changed, and both kinds of call are compared."""
    plain, place = make()
    fast = tg.jit(plain)
    fast(V), fast(V)
    before = fast.cache_info().misses
    change(place)
    for _ in range(2):
        np.testing.assert_array_equal(fast(V), plain(V))
    assert (fast.cache_info().misses > before) is recorded_again


def of_list() -> Any:
    rates = [0.5, 2.0, 0.0]
    return lambda v: v * rates[0] + np.copysign(rates[1], rates[2]), rates


def of_nest() -> Any:
    config = {"a": {"rates": [0.5, 2.0], "power": 2}, "W": np.ones(3), "label": "x"}
    return lambda v: v ** config["a"]["power"] * config["a"]["rates"][1] + len(config["label"]), config


def of_object() -> Any:
    held = types.SimpleNamespace(rates=[1.0, 2.0], power=2)
    return lambda v: v ** held.power * held.rates[0], held


@pytest.mark.parametrize(("make", "change"), [
    (of_list, lambda r: r.__setitem__(0, 0.25)),
    (of_list, lambda r: r.__setitem__(2, -0.0)),
    (of_list, lambda r: r.__setitem__(0, np.float32(0.5))),
    (of_list, lambda r: r.append(1.0)),
    (of_list, lambda r: r.reverse()),
    (of_nest, lambda c: c["a"]["rates"].__setitem__(1, 3.0)),
    (of_nest, lambda c: c.__setitem__("a", {"rates": [0.5, 4.0], "power": 2})),
    (of_nest, lambda c: c["a"].__setitem__("power", 3)),
    (of_nest, lambda c: c["a"].__setitem__("rates", (0.5, 7.0))),
    (of_nest, lambda c: c.__setitem__("label", "yy")),
    (of_nest, lambda c: c.__setitem__("W", 3.0)),
    (of_object, lambda o: o.rates.__setitem__(0, 5.0)),
    (of_object, lambda o: setattr(o, "rates", [7.0, 2.0])),
    (of_object, lambda o: setattr(o, "power", 2.0)),
], ids=[f"change{i}" for i in range(14)])
def test_a_change_is_seen(make: Any, change: Any) -> None:
    check(make, change)


@pytest.mark.parametrize(("make", "change"), [
    (of_list, lambda r: r.__setitem__(0, float("0.5"))),
    (of_list, lambda r: r.__setitem__(slice(None), list(r))),
    (of_nest, lambda c: c.__setitem__("a", {"rates": [0.5, 2.0], "power": 2})),
    (of_nest, lambda c: c.__setitem__("W", np.zeros(3))),
    (of_object, lambda o: setattr(o, "power", 2)),
], ids=[f"change{i}" for i in range(5)])
def test_the_same_written_again_is_no_change(make: Any, change: Any) -> None:
    check(make, change, recorded_again=False)


def test_what_is_gone_is_missed() -> None:
    held = types.SimpleNamespace(rate=2.0)

    def f(v: Any) -> Any:
        return v * getattr(held, "rate", 1.0)

    fast = tg.jit(f)
    fast(V), fast(V)
    del held.rate
    np.testing.assert_array_equal(fast(V), V)


def test_long_and_deep_settings_end() -> None:
    held: list[Any] = [[float(i)] * 900 for i in range(900)]
    held.append(held)  # and holds itself
    assert sum(len(part[1]) for part in Settings(held).parts) < 5000
    assert Settings(held).unchanged(held)
