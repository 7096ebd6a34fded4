"""JAX, every step as one jitted function; loops over time are lax.scan, as its documentation advises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .. import forward
from ..workloads import Data
from .base import Case
from .compiled import CompiledEngine

jax.config.update("jax_enable_x64", True)


class Jax(CompiledEngine):
    """jax.jit on two threads or as many as there are."""

    title = "JAX, jit"
    version = jax.__version__
    lacks = ("W1",)  # XLA compiles its 13 557 operations for the better part of a minute

    tanh = staticmethod(jnp.tanh)
    sin = staticmethod(jnp.sin)
    exp = staticmethod(jnp.exp)
    sqrt = staticmethod(jnp.sqrt)
    relu = staticmethod(jax.nn.relu)
    sigmoid = staticmethod(jax.nn.sigmoid)
    softplus = staticmethod(jax.nn.softplus)
    softmax = staticmethod(jax.nn.softmax)
    gelu = staticmethod(jax.nn.gelu)
    sum = staticmethod(jnp.sum)
    transpose = staticmethod(jnp.transpose)

    def logsumexp(self, x: Any) -> Any:
        return jax.nn.logsumexp(x, axis=-1)

    def binary_cross_entropy(self, z: Any, y: Any) -> Any:
        return jnp.mean(jnp.logaddexp(0.0, z) - y * z)

    def cross_entropy(self, Z: Any, y: Any) -> Any:
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(Z), y[:, None], 1))

    def convolution_block(self, x: Any, W: Any, b: Any) -> Any:
        Z = lax.conv_general_dilated(x, W, (1, 1), "VALID") + b[:, None, None]
        return lax.reduce_window(jax.nn.relu(Z), -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    def constant(self, x: Any) -> Any:
        return jnp.asarray(x)

    def parameter(self, x: Any) -> Any:
        return jnp.array(x)

    def zeros(self, shape: tuple[int, ...], like: Any) -> Any:
        return jnp.zeros(shape, like.dtype)

    def compile(self, f: Callable[..., Any], donate: tuple[str, ...] = (), constant: Sequence[int] = ()) -> Callable[..., Any]:
        return jax.jit(f, donate_argnames=donate) if donate else jax.jit(f)

    def value_and_grad(self, f: Callable[..., Any]) -> Callable[..., Any]:
        return jax.value_and_grad(f)

    def ready(self, x: Any) -> Any:
        return jax.block_until_ready(x)

    def build(self, workload: str, d: Data) -> Case | None:
        loop = {"W8": self._chain, "W9": self._lstm, "W14": self._gru}.get(workload)
        if loop is None:
            return super().build(workload, d)
        d.X, d.Y = (self.constant(getattr(d, name, 0.0)) for name in ("X", "Y"))
        return self._training(loop, d) if workload == "W14" else self._gradient(loop, d)

    def _chain(self, _: Any, d: Data, a: Any, b: Any) -> Any:
        return lax.scan(lambda y, _: (jnp.sin(y) * a + b, None), d.start, None, length=d.links)[0]

    def _lstm(self, _: Any, d: Data, Wx: Any, Wh: Any, b: Any) -> Any:
        n = d.hidden

        def step(state: Any, inputs: Any) -> Any:
            h, c = state
            z = inputs + h @ Wh.T
            c = jax.nn.sigmoid(z[:, n : 2 * n]) * c + jax.nn.sigmoid(z[:, :n]) * jnp.tanh(z[:, 2 * n : 3 * n])
            return (jax.nn.sigmoid(z[:, 3 * n :]) * jnp.tanh(c), c), None

        zeros = jnp.zeros((d.m, n), d.X.dtype)
        (h, _c), _none = lax.scan(step, (zeros, zeros), d.X @ Wx.T + b)
        return jnp.sum(h**2)

    def _gru(self, _: Any, d: Data, *params: Any) -> Any:
        Ur, Wr, br, Uz, Wz, bz, Un, Wn, bn, Wo, bo = params

        def step(h: Any, x: Any) -> Any:
            r = jax.nn.sigmoid(x @ Ur + h @ Wr + br)
            z = jax.nn.sigmoid(x @ Uz + h @ Wz + bz)
            h = (1 - z) * jnp.tanh(x @ Un + (r * h) @ Wn + bn) + z * h
            return h, h @ Wo + bo

        _, read = lax.scan(step, jnp.zeros((d.m, d.hidden)), d.X)
        return jnp.sum((read - d.Y) ** 2) / (len(d.X) * d.m)

    def _second_order(self, d: Data) -> Case:
        def cost(params: Any) -> Any:
            return forward.minibatch_network(self, d, *params)

        def product(params: Any, direction: Any) -> Any:
            return jax.jvp(jax.grad(cost), (params,), (direction,))[1]

        return self._function(product, tuple(self.parameter(p) for p in d.params),
                              tuple(self.constant(v) for v in d.direction))

    def _hessian(self, d: Data) -> Case:
        return self._function(jax.hessian(lambda w: self.binary_cross_entropy(d.X @ w, d.y)), self.parameter(d.params[0]))

    def _tiny(self, d: Data) -> Case:
        def both(x: Any) -> Any:
            y, pull = jax.vjp(lambda x: x * x + x, x)
            return y, pull(jnp.ones(8))[0]

        return self._function(both, self.parameter(d.params[0]))


ENGINE = Jax()
