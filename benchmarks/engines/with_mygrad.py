"""MyGrad, with memory guarding off, as its documentation advises for speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mygrad as mg
import numpy as np
from mygrad.nnet import activations, layers, losses

from ..workloads import FURTHER
from .base import Differentiated, Engine

mg.turn_memory_guarding_off()


class MyGrad(Engine):
    """Tensors and backward(). It has no second derivatives."""

    title = "MyGrad"
    version = mg.__version__
    lacks = ("W10a", "W10b", *FURTHER)  # no second derivatives; the further programs are not written for it

    tanh = staticmethod(mg.tanh)
    sin = staticmethod(mg.sin)
    relu = staticmethod(activations.relu)
    sigmoid = staticmethod(activations.sigmoid)
    sum = staticmethod(mg.sum)
    cross_entropy = staticmethod(losses.softmax_crossentropy)

    def softplus(self, x: Any) -> Any:
        return mg.log1p(mg.exp(x))

    def gelu(self, x: Any) -> Any:
        return 0.5 * x * (1 + mg.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))

    def binary_cross_entropy(self, z: Any, y: Any) -> Any:
        return mg.mean(mg.logaddexp(0.0, z) - y * z)

    def convolution_block(self, x: Any, W: Any, b: Any) -> Any:
        return layers.max_pool(activations.relu(layers.conv_nd(x, W, stride=1) + b.reshape(1, -1, 1, 1)), (2, 2), 2)

    def parameter(self, x: Any) -> Any:
        return mg.tensor(np.array(x))

    def number(self, x: float) -> Any:
        return mg.tensor(x, constant=True)

    def numpy(self, x: Any) -> Any:
        return np.asarray(getattr(x, "data", x))

    def differentiate(self, f: Callable[..., Any], params: list[Any]) -> Differentiated:
        def run() -> tuple[Any, list[Any]]:
            value = f(*params)
            value.backward()
            return value, [p.grad for p in params]

        return run

    def descend(self, params: list[Any], gradients: Any, rate: float) -> None:
        for p, g in zip(params, gradients, strict=True):
            p.data -= rate * g

    def pull_back(self, f: Callable[[Any], Any], x: Any, weights: Any) -> Callable[[], list[Any]]:
        def run() -> list[Any]:
            y = f(x)
            y.backward(weights)
            return [y, x.grad]

        return run


ENGINE = MyGrad()
