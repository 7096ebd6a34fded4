"""HIPS autograd."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import hessian, make_vjp, value_and_grad
from autograd.differential_operators import make_hvp
from autograd.scipy.signal import convolve
from autograd.scipy.special import logsumexp

from ..workloads import FURTHER, Data
from .base import Case, Differentiated, Engine


class Autograd(Engine):
    """Functions of lists of arrays."""

    title = "autograd"
    version = version("autograd")
    lacks = FURTHER  # not written for it

    tanh = staticmethod(anp.tanh)
    sin = staticmethod(anp.sin)
    sum = staticmethod(anp.sum)

    def sigmoid(self, z: Any) -> Any:
        return 0.5 * (anp.tanh(0.5 * z) + 1)

    def relu(self, z: Any) -> Any:
        return anp.maximum(z, 0)

    def scalar_relu(self, z: Any) -> Any:
        return anp.maximum(z, 0.0)

    def softplus(self, x: Any) -> Any:
        return anp.log1p(anp.exp(x))

    def gelu(self, x: Any) -> Any:
        return 0.5 * x * (1 + anp.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))

    def binary_cross_entropy(self, z: Any, y: Any) -> Any:
        return anp.mean(anp.logaddexp(0.0, z) - y * z)

    def cross_entropy(self, z: Any, one_hot: Any) -> Any:
        return -anp.sum(one_hot * (z - logsumexp(z, axis=1, keepdims=True))) / len(one_hot)

    def convolution_block(self, x: Any, W: Any, b: Any) -> Any:
        flipped = anp.transpose(W[:, :, ::-1, ::-1], (1, 0, 2, 3))
        Z = convolve(x, flipped, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode="valid")
        A = anp.maximum(Z + b[None, :, None, None], 0)
        m, filters, h, w = A.shape
        return anp.max(anp.max(anp.reshape(A, (m, filters, h // 2, 2, w // 2, 2)), axis=5), axis=3)

    def parameter(self, x: Any) -> Any:
        return x if isinstance(x, float) or not x.ndim else np.array(x)

    def build(self, workload: str, d: Data) -> Case | None:
        if hasattr(d, "classes"):
            d.y = np.eye(d.classes, dtype=d.X.dtype)[d.y]  # picking entries by index is slow in autograd
        if workload == "W8":
            d.params = [float(p) for p in d.params]
        return super().build(workload, d)

    def differentiate(self, f: Callable[..., Any], params: list[Any]) -> Differentiated:
        both = value_and_grad(lambda ps: f(*ps))
        return lambda: both(params)

    def pull_back(self, f: Callable[[Any], Any], x: Any, weights: Any) -> Callable[[], list[Any]]:
        def run() -> list[Any]:
            pull, y = make_vjp(f)(x)
            return [y, pull(weights)]

        return run

    def hessian_vector_product(self, f: Callable[..., Any], params: list[Any], direction: list[Any]
                               ) -> Callable[[], Any]:
        return lambda: make_hvp(lambda ps: f(*ps))(params)[0](direction)

    def hessian(self, f: Callable[[Any], Any], x: Any) -> Callable[[], Any]:
        H = hessian(f)
        return lambda: H(x)


ENGINE = Autograd()
