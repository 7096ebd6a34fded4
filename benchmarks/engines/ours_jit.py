"""This engine, compiled: what a user would write for `tg.jit`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_edu as tg

from .. import forward
from ..workloads import Data
from .base import Case
from .compiled import CompiledEngine
from .ours import Ours


class OursCompiled(CompiledEngine, Ours):
    """Training steps are jit(step, donate=("params",)), update included; everything else is jit of a derivative."""

    title = "tinygrad_edu, jit"

    def compile(self, f: Callable[..., Any], donate: tuple[str, ...] = (), constant: Sequence[int] = ()) -> Callable[..., Any]:
        return tg.jit(f, donate=donate, constant=constant)  # type: ignore[no-any-return]

    def value_and_grad(self, f: Callable[..., Any]) -> Callable[..., Any]:
        return tg.value_and_grad(f)

    def _scalar_network(self, d: Data) -> Case:
        d.X, d.y = d.X.tolist(), d.y.tolist()
        leaves = tuple(v for p in d.params for v in p.ravel().tolist())
        compiled = self.compile(tg.value_and_grad(lambda leaves: forward.scalar_network(self, d, *leaves)))

        def outcome() -> list[Any]:
            compiled(leaves)
            value, gradients = compiled(leaves)
            ends = np.cumsum([p.size for p in d.params])
            return [value, *[g.reshape(p.shape) for g, p in zip(np.split(np.array(gradients), ends[:-1]), d.params,
                                                               strict=True)]]

        return Case(lambda: compiled(leaves), outcome, compiled, lambda: (leaves,))

    def _second_order(self, d: Data) -> Case:
        def cost(*params: Any) -> Any:
            return forward.minibatch_network(self, d, *params)

        return self._function(lambda params, direction: tg.hvp(cost, params, direction),
                              tuple(self.parameter(p) for p in d.params), tuple(d.direction))

    def _hessian(self, d: Data) -> Case:
        return self._function(tg.hessian(lambda w: tg.binary_cross_entropy_with_logits(d.X @ w, d.y)),
                              self.parameter(d.params[0]))

    def _tiny(self, d: Data) -> Case:
        def both(x: Any) -> Any:
            y, pull = tg.vjp(lambda x: x * x + x, x)
            return y, pull(np.ones(8))[0]

        return self._function(both, self.parameter(d.params[0]))


ENGINE = OursCompiled()
