"""micrograd: single numbers only, and a backward() that recurses."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from micrograd.engine import Value

from ..workloads import WORKLOADS
from .base import Differentiated, Engine


class Micrograd(Engine):
    """Values and backward()."""

    title = "micrograd"
    version = version("micrograd")
    lacks = tuple(w for w in WORKLOADS if w not in ("W1", "W8"))

    def sin(self, v: Any) -> Any:
        """An operation of one's own, in micrograd's manner."""
        out = Value(math.sin(v.data), (v,), "sin")

        def _backward() -> None:
            v.grad += math.cos(v.data) * out.grad

        out._backward = _backward
        return out

    def scalar_relu(self, v: Any) -> Any:
        return v.relu()

    def parameter(self, x: Any) -> Any:
        return Value(float(x))

    def number(self, x: float) -> Any:
        return Value(x)

    def numpy(self, x: Any) -> Any:
        return np.asarray(x.data if isinstance(x, Value) else x)

    def differentiate(self, f: Callable[..., Any], params: list[Any]) -> Differentiated:
        def run() -> tuple[Any, list[Any]]:
            for p in params:
                p.grad = 0
            value = f(*params)
            value.backward()
            return value, [p.grad for p in params]

        return run


ENGINE = Micrograd()
