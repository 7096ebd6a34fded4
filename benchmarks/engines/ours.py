"""This engine, eager: what a user would write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg

from .base import Differentiated, Engine


class Ours(Engine):
    """Everything goes through value_and_grad and its kin; the smallest workload, W11, through a Tensor and backward()."""

    title = "tinygrad_edu"
    version = tg.__version__

    tanh = staticmethod(tg.tanh)
    sin = staticmethod(tg.sin)
    relu = staticmethod(tg.relu)
    scalar_relu = staticmethod(tg.relu)
    sigmoid = staticmethod(tg.sigmoid)
    softplus = staticmethod(tg.softplus)
    squared_norm = staticmethod(tg.squared_norm)
    softmax = staticmethod(tg.softmax)
    exp = staticmethod(tg.exp)
    sqrt = staticmethod(tg.sqrt)
    transpose = staticmethod(tg.transpose)
    sum = staticmethod(tg.sum)
    binary_cross_entropy = staticmethod(tg.binary_cross_entropy_with_logits)
    cross_entropy = staticmethod(tg.cross_entropy)

    def gelu(self, x: Any) -> Any:
        return tg.gelu(x, approximate="tanh")

    def logsumexp(self, x: Any) -> Any:
        return tg.logsumexp(x, axis=-1)

    def convolution_block(self, x: Any, W: Any, b: Any) -> Any:
        # adding the bias, pooling and ReLU commute; after pooling ReLU has a quarter of the work
        return tg.relu(tg.max_pool2d(tg.conv2d(x, W, b), 2))

    def parameter(self, x: Any) -> Any:
        return x if isinstance(x, float) else np.array(x)

    def numpy(self, x: Any) -> Any:
        return x.numpy() if isinstance(x, tg.Tensor) else np.asarray(x)

    def differentiate(self, f: Callable[..., Any], params: list[Any]) -> Differentiated:
        both = tg.value_and_grad(f, argnums=tuple(range(len(params))))
        return lambda: both(*params)

    def pull_back(self, f: Callable[[Any], Any], x: Any, weights: Any) -> Callable[[], list[Any]]:
        t = tg.Tensor(x)

        def run() -> list[Any]:
            t.grad = None
            y = f(t)
            y.backward(weights)
            return [y, t.grad]

        return run

    def hessian_vector_product(self, f: Callable[..., Any], params: list[Any], direction: list[Any]
                               ) -> Callable[[], Any]:
        primals, tangents = tuple(params), tuple(direction)
        return lambda: tg.hvp(f, primals, tangents)

    def hessian(self, f: Callable[[Any], Any], x: Any) -> Callable[[], Any]:
        H = tg.hessian(f)
        return lambda: H(x)


ENGINE = Ours()
