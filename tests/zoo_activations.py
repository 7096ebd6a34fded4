"""Samples of the primitives in rules/activations.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from zoo import UNARY_SHAPES, Sample, draw, text


def _celu(x: Any, alpha: float) -> Any:
    return np.where(x > 0, x, alpha * (np.exp(x / alpha) - 1))


def _huber(x: Any, delta: float) -> Any:
    return np.where(np.abs(x) <= delta, x * x / 2, delta * (np.abs(x) - delta / 2))


def _samples() -> Iterator[Sample]:
    for shape in UNARY_SHAPES:
        x, label = draw("more activations", shape), text([shape])
        yield Sample("hard_tanh", label, (x,), {"low": -0.75, "high": 1.25}, lambda x, low, high: np.clip(x, low, high))
        yield Sample("celu", label, (x,), {"alpha": 1.5}, _celu)
        yield Sample("softsign", label, (x,), numpy=lambda x: x / (1 + np.abs(x)))
        yield Sample("tanhshrink", label, (x,), numpy=lambda x: x - np.tanh(x))
        yield Sample("huber", label, (x,), {"delta": 0.75}, _huber)
    kinks = np.array([-1.0, -0.0, 0.0, 1.0])
    yield Sample("hard_tanh", "bounds", (kinks,), {"low": -1.0, "high": 1.0}, lambda x, low, high: x, smooth=False)
    yield Sample("celu", "at-zero", (kinks,), {"alpha": 0.5}, _celu, smooth=False)
    yield Sample("softsign", "at-zero", (kinks,), numpy=lambda x: x / (1 + np.abs(x)), smooth=False)
    yield Sample("tanhshrink", "at-one", (kinks,), numpy=lambda x: x - np.tanh(x), smooth=False)
    yield Sample("huber", "bounds", (kinks,), {"delta": 1.0}, _huber, smooth=False)


SAMPLES = list(_samples())
