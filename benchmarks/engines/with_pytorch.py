"""PyTorch, eager, with its own kernels for convolutions, LSTM and costs, and one call to update all parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - everyone's name for it

from ..workloads import Data
from .base import Case, Differentiated, Engine


class PyTorch(Engine):
    """torch.autograd.grad, which is faster than backward() and an optimiser."""

    title = "PyTorch"
    version = torch.__version__

    tanh = staticmethod(torch.tanh)
    sin = staticmethod(torch.sin)
    relu = staticmethod(torch.relu)
    scalar_relu = staticmethod(torch.relu)
    sigmoid = staticmethod(torch.sigmoid)
    softplus = staticmethod(F.softplus)
    exp = staticmethod(torch.exp)
    sqrt = staticmethod(torch.sqrt)
    sum = staticmethod(torch.sum)
    transpose = staticmethod(torch.permute)
    binary_cross_entropy = staticmethod(F.binary_cross_entropy_with_logits)
    cross_entropy = staticmethod(F.cross_entropy)

    def gelu(self, x: Any) -> Any:
        return F.gelu(x, approximate="tanh")

    def softmax(self, x: Any) -> Any:
        return torch.softmax(x, -1)

    def logsumexp(self, x: Any) -> Any:
        return torch.logsumexp(x, -1)

    def convolution_block(self, x: Any, W: Any, b: Any) -> Any:
        return F.max_pool2d(torch.relu(F.conv2d(x, W, b)), 2)

    def constant(self, x: Any) -> Any:
        return torch.from_numpy(np.array(x))

    def parameter(self, x: Any) -> Any:
        return torch.tensor(x, dtype=torch.float64 if isinstance(x, float) else None, requires_grad=True)

    def number(self, x: float) -> Any:
        return torch.tensor(x, dtype=torch.float64)

    def zeros(self, shape: tuple[int, ...], like: Any) -> Any:
        return torch.zeros(shape, dtype=like.dtype)

    def numpy(self, x: Any) -> Any:
        return x.detach().numpy()

    def differentiate(self, f: Callable[..., Any], params: list[Any]) -> Differentiated:
        def run() -> tuple[Any, Any]:
            value = f(*params)
            return value, torch.autograd.grad(value, params)

        return run

    def descend(self, params: list[Any], gradients: Any, rate: float) -> None:
        with torch.no_grad():
            torch._foreach_add_(params, gradients, alpha=-rate)

    def updater(self, params: list[Any], d: Data) -> Callable[[Any], None]:
        if not hasattr(d, "betas"):
            return super().updater(params, d)
        adam = torch.optim.Adam(params, lr=d.rate, betas=d.betas, eps=d.tiny, fused=True)

        def update(gradients: Any) -> None:
            for p, g in zip(params, gradients, strict=True):
                p.grad = g
            adam.step()

        return update

    def pull_back(self, f: Callable[[Any], Any], x: Any, weights: Any) -> Callable[[], list[Any]]:
        def run() -> list[Any]:
            y = f(x)
            return [y, *torch.autograd.grad(y, x, weights)]

        return run

    def hessian_vector_product(self, f: Callable[..., Any], params: list[Any], direction: list[Any]
                               ) -> Callable[[], Any]:
        def run() -> Any:
            gradients = torch.autograd.grad(f(*params), params, create_graph=True)
            return torch.autograd.grad(gradients, params, direction)

        return run

    def hessian(self, f: Callable[[Any], Any], x: Any) -> Callable[[], Any]:
        H, w = torch.func.hessian(f), x.detach()
        return lambda: H(w)

    def build(self, workload: str, d: Data) -> Case | None:
        return self._lstm(d) if workload == "W9" else super().build(workload, d)

    def _lstm(self, d: Data) -> Case:
        """torch.nn.LSTM, whose steps are one kernel; its second bias stays zero."""
        layer = torch.nn.LSTM(d.X.shape[2], d.hidden)
        params = [layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0]
        with torch.no_grad():
            for p, value in zip(params, d.params, strict=True):
                p.copy_(torch.from_numpy(value))
            layer.bias_hh_l0.zero_()
        layer.bias_hh_l0.requires_grad_(False)
        X = self.constant(d.X)

        def loss() -> Any:
            _, (h, _) = layer(X)
            return h.square().sum()

        run = self.differentiate(lambda *_: loss(), params)

        def outcome() -> list[Any]:
            value, gradients = run()
            return [self.numpy(x) for x in (value, *gradients)]

        return Case(run, outcome)


ENGINE = PyTorch()
