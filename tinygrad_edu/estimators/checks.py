"""What estimators check before they learn: their settings, named with what may be written instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

Rule = tuple[Callable[[Any], bool], str]


def is_real(x: Any) -> bool:
    return isinstance(x, Real) and not isinstance(x, (bool, np.bool_))


def is_whole(x: Any) -> bool:
    return isinstance(x, Integral) and not isinstance(x, (bool, np.bool_))


def one_of(*names: Any) -> Rule:
    return lambda x: any(type(x) is type(n) and x == n for n in names), "one of " + ", ".join(map(repr, names))


def number(low: float, high: float = np.inf, open_low: bool = False, open_high: bool = False) -> Rule:
    def fits(x: Any) -> bool:
        return is_real(x) and (
            x > low if open_low else x >= low) and (x < high if open_high else x <= high)

    text = f"a number above {low:g}" if open_low else f"a number from {low:g} on" if high == np.inf or open_high else (
        f"a number from {low:g}")
    return fits, text + ("" if high == np.inf else f", below {high:g}" if open_high else f" to {high:g}")


def count(low: int = 1, infinite: bool = False) -> Rule:
    def fits(x: Any) -> bool:
        return (is_whole(x) and x >= low) or (infinite and is_real(x) and x == np.inf)

    return fits, f"a whole number, at least {low}" + (", or np.inf" if infinite else "")


def either(*rules: Rule) -> Rule:
    return lambda x: any(fits(x) for fits, _ in rules), ", or ".join(text for _, text in rules)


TRUTH: Rule = (lambda x: isinstance(x, (bool, np.bool_)), "True or False")
VERBOSE: Rule = (lambda x: isinstance(x, (bool, np.bool_, Integral)), "True, False or a whole number")


def check_settings(estimator: Any, rules: Mapping[str, Rule]) -> None:
    """Refuse a setting that cannot be meant: ValueError, or TypeError where it is no number or text at all."""
    for name, (fits, text) in rules.items():
        value = getattr(estimator, name)
        if not fits(value):
            kind: type[Exception] = ValueError if isinstance(value, (Real, str)) or value is None else TypeError
            raise kind(f"{type(estimator).__name__}: {name}={value!r} should be {text}.")
