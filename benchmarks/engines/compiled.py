"""Engines that compile a function of arrays: data and parameters are arguments, and a training step is one function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..workloads import Data
from .base import DATA, STEPS, Case, Engine

Loss = Callable[..., Any]


class CompiledEngine(Engine):
    """A subclass says how to compile, and how to differentiate by the first argument."""

    def compile(self, f: Callable[..., Any], donate: tuple[str, ...] = (), constant: Sequence[int] = ()) -> Callable[..., Any]:
        """A function that does what f does.

        It may reuse the memory of the arguments that `donate` names; those at the places of `constant` never change.
        """
        raise NotImplementedError

    def value_and_grad(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """A function that returns f's value and its gradients by the first argument, a tuple."""
        raise NotImplementedError

    def ready(self, x: Any) -> Any:
        """x, once it has been computed."""
        return x

    def _differentiated(self, loss: Loss, d: Data) -> tuple[Callable[..., Any], list[Any]]:
        """Value and gradients as a function of the parameters and the data; and the data."""
        names = [name for name in DATA if hasattr(d, name)]

        def cost(params: Any, *arrays: Any) -> Any:
            return loss(self, Data(**{**vars(d), **dict(zip(names, arrays, strict=True))}), *params)

        return self.value_and_grad(cost), [getattr(d, name) for name in names]

    def _training(self, loss: Loss, d: Data) -> Case:
        both, arrays = self._differentiated(loss, d)
        state: list[Any] = [tuple(self.parameter(p) for p in d.params)]
        if hasattr(d, "betas"):
            return self._adam(both, arrays, state, d)

        def descend(params: Any, rate: Any, *arrays: Any) -> Any:
            value, gradients = both(params, *arrays)
            return value, tuple([p - rate * g for p, g in zip(params, gradients, strict=True)])

        constant = range(2, 2 + len(arrays)) if getattr(d, "whole", False) else ()
        compiled = self.compile(descend, donate=("params",), constant=constant)

        def step() -> None:
            _, state[0] = self.ready(compiled(state[0], d.rate, *arrays))

        return Case(step, self._outcome(both, arrays, state, step), compiled, lambda: (state[0], d.rate, *arrays))

    def _adam(self, both: Callable[..., Any], arrays: list[Any], state: list[Any], d: Data) -> Case:
        first, second = d.betas
        state += [tuple(0 * p for p in state[0]), tuple(0 * p for p in state[0]), 0.0]

        def adam(params: Any, ms: Any, vs: Any, t: Any, *arrays: Any) -> Any:
            value, gradients = both(params, *arrays)
            t = t + 1.0
            rate, scale = d.rate / (1 - first**t), (1 - second**t) ** 0.5
            ms = tuple([first * m + (1 - first) * g for m, g in zip(ms, gradients, strict=True)])
            vs = tuple([second * v + (1 - second) * g**2 for v, g in zip(vs, gradients, strict=True)])
            params = tuple([p - rate * m / (self.sqrt(v) / scale + d.tiny)  # type: ignore[attr-defined]
                            for p, m, v in zip(params, ms, vs, strict=True)])
            return value, params, ms, vs, t

        compiled = self.compile(adam, donate=("params", "ms", "vs"))

        def step() -> None:
            state[:] = self.ready(compiled(*state, *arrays))[1:]

        return Case(step, self._outcome(both, arrays, state, step), compiled, lambda: (*state, *arrays))

    def _outcome(self, both: Callable[..., Any], arrays: list[Any], state: list[Any], step: Callable[[], None]
                 ) -> Callable[[], list[Any]]:
        compiled = self.compile(both)

        def outcome() -> list[Any]:
            compiled(state[0], *arrays)  # the first call's result may come from recording
            value, gradients = compiled(state[0], *arrays)
            found = [np.array(self.numpy(x)) for x in (value, *gradients)]
            for _ in range(STEPS):
                step()
            return found + [np.array(self.numpy(p)) for p in state[0]]

        return outcome

    def _gradient(self, loss: Loss, d: Data) -> Case:
        both, arrays = self._differentiated(loss, d)
        params, compiled = tuple(self.parameter(p) for p in d.params), self.compile(both)

        def run() -> Any:
            return self.ready(compiled(params, *arrays))

        def outcome() -> list[Any]:
            run()
            value, gradients = run()
            return [self.numpy(x) for x in (value, *gradients)]

        return Case(run, outcome, compiled, lambda: (params, *arrays))

    def _function(self, f: Callable[..., Any], *arguments: Any) -> Case:
        """f alone; its results are what is checked."""
        compiled = self.compile(f)

        def run() -> Any:
            return self.ready(compiled(*arguments))

        def outcome() -> list[Any]:
            run()
            out = run()
            return [self.numpy(x) for x in (out if isinstance(out, (tuple, list)) else [out])]

        return Case(run, outcome, compiled, lambda: arguments)
