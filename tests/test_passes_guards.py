"""What lies around a compiled function: a change is seen, and what is the same is not recorded again."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.program.guards import guards_of, unchanged

ONES = np.ones(3)


def rate() -> float:
    return 0.5


class Config:
    rate = 0.5
    of_instances: dict[str, float]

    def __init__(self, rate: float) -> None:
        self.rate = rate


SETTINGS: dict[str, Any] = {"rate": 0.5, "nested": {"rates": [0.5, 2.0]}, "name": "relu", "weights": np.full(3, 0.5)}
RATES = [0.5, 1.0]
NUMBER = np.array(0.5)
module = types.ModuleType("settings_of_a_test")
module.rate = 0.5  # type: ignore[attr-defined]
TENSOR = tg.Tensor(0.5)


def seen(f: Callable[..., Any], change: Callable[[], Any], after: float) -> None:
    compiled = tg.jit(f)
    for _ in range(3):
        np.testing.assert_array_equal(compiled(ONES), 0.5 * ONES)
    assert compiled.cache_info().misses == 1
    change()
    np.testing.assert_array_equal(compiled(ONES), after * ONES)
    np.testing.assert_array_equal(compiled(2 * ONES), 2 * after * ONES)
    assert compiled.cache_info().misses <= 2


def test_a_number_in_an_array_without_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    number = np.array(0.5)
    seen(lambda x: x * number, lambda: number.fill(2.0), 2.0)
    monkeypatch.setitem(globals(), "NUMBER", np.array(0.5))
    seen(lambda x: x * NUMBER, lambda: NUMBER.__setitem__((), 3.0), 3.0)


def test_a_tensor_s_data() -> None:
    w = tg.Tensor(0.5)
    seen(lambda x: x * w, lambda: setattr(w, "data", np.array(2.0)), 2.0)


def test_a_number_in_a_dict_or_list(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"rate": 0.5, "nested": {"rates": [0.5, 2.0]}, "weights": np.full(3, 0.5)}
    seen(lambda x: x * settings["rate"], lambda: settings.update(rate=2.0), 2.0)
    seen(lambda x: x * settings["nested"]["rates"][0], lambda: settings["nested"]["rates"].__setitem__(0, 2.0), 2.0)
    seen(lambda x: x * settings["weights"], lambda: settings.update(weights=np.full(3, 2.0)), 2.0)
    rates = [0.5, 1.0]
    seen(lambda x: x * rates[0], lambda: rates.insert(0, 2.0), 2.0)
    monkeypatch.setitem(SETTINGS, "rate", 0.5)
    seen(lambda x: x * SETTINGS["rate"], lambda: monkeypatch.setitem(SETTINGS, "rate", 4.0), 4.0)


def test_a_number_of_a_class_an_instance_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(0.5)
    seen(lambda x: x * config.rate, lambda: setattr(config, "rate", 2.0), 2.0)
    seen(lambda x: x * Config.rate, lambda: monkeypatch.setattr(Config, "rate", 2.0), 2.0)
    seen(lambda x: x * module.rate, lambda: monkeypatch.setattr(module, "rate", 2.0), 2.0)


def test_a_function_that_is_defined_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    seen(lambda x: x * rate(), lambda: monkeypatch.setitem(globals(), "rate", lambda: 2.0), 2.0)

    def inner(x: Any) -> Any:
        return 0.5 * x

    def outer(x: Any) -> Any:
        return inner(x)

    def change() -> None:
        nonlocal inner
        inner = lambda x: 3.0 * x  # noqa: E731

    seen(outer, change, 3.0)


def test_what_a_function_within_reads() -> None:
    settings = {"rate": 0.5}

    def inner(x: Any) -> Any:
        return x * settings["rate"]

    def outer(x: Any) -> Any:
        return inner(x)

    seen(outer, lambda: settings.update(rate=3.0), 3.0)
    settings["rate"] = 0.5
    seen(lambda x: x * tg.grad(lambda x: np.sum(inner(x)))(x), lambda: settings.update(rate=3.0), 3.0)


def test_what_is_not_a_setting_does_not_record_again() -> None:
    notes: list[Any] = []
    data = {"rows": list(range(5000)), "of": Config(1.0)}

    def f(x: Any) -> Any:
        notes.append(x)
        assert data["rows"] is not None
        return 0.5 * x

    compiled = tg.jit(f)
    for _ in range(3):
        compiled(ONES)
    notes.append("by the caller")
    data["rows"] = []
    compiled(ONES)
    assert compiled.cache_info().misses <= 2
    assert len(notes) <= 5


def test_equal_values_are_unchanged() -> None:
    text, number, pair = "relu", 0.5, (1, 2.0)
    f = lambda x: x * number if text == "relu" else x * pair[0]  # noqa: E731
    guards = guards_of(f, [])
    assert len(guards) == 3
    assert unchanged(guards)
    number = 0.25 + 0.25
    pair = (1, 2.0)
    assert unchanged(guards)
    pair = (1, 2)  # another type: another dtype
    assert pair == (1, 2.0)
    number = 1
    assert not unchanged(guards)


def test_a_number_that_is_not_equal_to_itself() -> None:
    number = float("nan")
    compiled = tg.jit(lambda x: x * number)
    for _ in range(3):
        assert np.isnan(compiled(ONES)).all()
    assert compiled.cache_info().misses == 1
