"""What an engine has to say about itself, and how its workloads are built from that."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import forward
from .. import more_forward as more
from ..workloads import Data

DATA = ("X", "Y", "y", "users", "items")  # the arrays of a workload that are not differentiated by
STEPS = 4  # before the parameters are compared: the first ones of a compiled engine may be those of recording
Differentiated = Callable[[], tuple[Any, Sequence[Any]]]


@dataclass
class Case:
    """One workload, built by one engine.

    step : what is timed; it must not return before its work is done.
    outcome : the numbers to check, as NumPy arrays: loss and gradients, and for training the parameters some steps later.
    compiled : the compiled function of the step, if there is one.  arguments : what the step gives it.
    """

    step: Callable[[], Any]
    outcome: Callable[[], list[Any]]
    compiled: Any = None
    arguments: Callable[[], tuple[Any, ...]] = tuple


class Engine:
    """An engine that records ordinary array code; the forward passes are those of forward.py.

    A subclass lends its functions under the names that forward.py uses, and says how to differentiate.
    """

    title: str
    version: str
    lacks: tuple[str, ...] = ()  # workloads that it cannot do

    # -- arrays

    def constant(self, x: Any) -> Any:
        """Data in the engine's own kind of array."""
        return x

    def parameter(self, x: Any) -> Any:
        """A copy of x to differentiate by."""
        return np.array(x)

    def number(self, x: float) -> Any:
        """A single number that is not differentiated by."""
        return x

    def zeros(self, shape: tuple[int, ...], like: Any) -> Any:
        """Zeros, of the dtype of `like`."""
        return np.zeros(shape, like.dtype)

    def numpy(self, x: Any) -> Any:
        """A result as a NumPy array."""
        return np.asarray(x)

    def squared_norm(self, x: Any) -> Any:
        """The sum of squares."""
        return self.sum(x ** 2)  # type: ignore[attr-defined, no-any-return]

    def scalar_relu(self, x: Any) -> Any:
        """ReLU of a single number."""
        return self.relu(x)  # type: ignore[attr-defined]

    # -- derivatives

    def differentiate(self, f: Callable[..., Any], params: list[Any]) -> Differentiated:
        """A function that returns f(*params) and its gradients."""
        raise NotImplementedError

    def descend(self, params: list[Any], gradients: Sequence[Any], rate: float) -> None:
        """One step of gradient descent, in place."""
        for p, g in zip(params, gradients, strict=True):
            p -= rate * g

    def updater(self, params: list[Any], d: Data) -> Callable[[Sequence[Any]], None]:
        """A function of the gradients that changes the params: gradient descent, or Adam if the data say so."""
        if not hasattr(d, "betas"):
            return lambda gradients: self.descend(params, gradients, d.rate)
        first, second = d.betas
        ms, vs, t = [0 * p for p in params], [0 * p for p in params], 0

        def update(gradients: Sequence[Any]) -> None:
            nonlocal t
            t += 1
            rate, scale = d.rate / (1 - first**t), math.sqrt(1 - second**t)
            for p, g, m, v in zip(params, gradients, ms, vs, strict=True):
                m *= first
                m += (1 - first) * g
                v *= second
                v += (1 - second) * g**2
                p -= rate * m / (np.sqrt(v) / scale + d.tiny)

        return update

    def pull_back(self, f: Callable[[Any], Any], x: Any, weights: Any) -> Callable[[], Sequence[Any]]:
        """A function that returns f(x), and the gradient of the weighted sum of its entries."""
        raise NotImplementedError

    def hessian_vector_product(self, f: Callable[..., Any], params: list[Any], direction: list[Any]
                               ) -> Callable[[], Any]:
        """A function that returns the Hessian of f times the direction, nested as the params."""
        raise NotImplementedError

    def hessian(self, f: Callable[[Any], Any], x: Any) -> Callable[[], Any]:
        """A function that returns the Hessian of f at x."""
        raise NotImplementedError

    # -- workloads

    def build(self, workload: str, d: Data) -> Case | None:
        """The workload on these data, or None if the engine cannot do it."""
        if workload in self.lacks:
            return None
        for name in DATA:
            if hasattr(d, name):
                setattr(d, name, self.constant(getattr(d, name)))
        if workload in _TRAINING:
            return self._training(_TRAINING[workload], d)
        if workload in _GRADIENT:
            return self._gradient(_GRADIENT[workload], d)
        own = {"W1": self._scalar_network, "W10a": self._second_order, "W10b": self._hessian, "W11": self._tiny}
        return own[workload](d)

    def _training(self, loss: Callable[..., Any], d: Data) -> Case:
        params = [self.parameter(p) for p in d.params]
        run = self.differentiate(lambda *ps: loss(self, d, *ps), params)
        update = self.updater(params, d)

        def step() -> None:
            _, gradients = run()
            update(gradients)

        def outcome() -> list[Any]:
            value, gradients = run()
            found = [np.array(self.numpy(x)) for x in (value, *gradients)]
            for _ in range(STEPS):
                step()
            return found + [np.array(self.numpy(p)) for p in params]

        return Case(step, outcome)

    def _gradient(self, loss: Callable[..., Any], d: Data) -> Case:
        params = [self.parameter(p) for p in d.params]
        run = self.differentiate(lambda *ps: loss(self, d, *ps), params)

        def outcome() -> list[Any]:
            value, gradients = run()
            return [self.numpy(x) for x in (value, *gradients)]

        return Case(run, outcome)

    def _scalar_network(self, d: Data) -> Case:
        d.X, d.y = np.asarray(d.X).tolist(), np.asarray(d.y).tolist()
        leaves = [self.parameter(v) for p in d.params for v in p.ravel().tolist()]
        run = self.differentiate(lambda *ps: forward.scalar_network(self, d, *ps), leaves)

        def outcome() -> list[Any]:
            value, gradients = run()
            flat = np.array([float(self.numpy(g)) for g in gradients])
            ends = np.cumsum([p.size for p in d.params])
            return [self.numpy(value), *[g.reshape(p.shape) for g, p in zip(np.split(flat, ends[:-1]), d.params,
                                                                           strict=True)]]

        return Case(run, outcome)

    def _second_order(self, d: Data) -> Case:
        params = [self.parameter(p) for p in d.params]
        direction = [self.constant(v) for v in d.direction]
        run = self.hessian_vector_product(lambda *ps: forward.minibatch_network(self, d, *ps), params, direction)
        return Case(run, lambda: [self.numpy(x) for x in run()])

    def _hessian(self, d: Data) -> Case:
        run = self.hessian(lambda w: self.binary_cross_entropy(d.X @ w, d.y),  # type: ignore[attr-defined]
                           self.parameter(d.params[0]))
        return Case(run, lambda: [self.numpy(run())])

    def _tiny(self, d: Data) -> Case:
        run = self.pull_back(lambda x: x * x + x, self.parameter(d.params[0]), self.constant(np.ones(8)))
        return Case(run, lambda: [self.numpy(x) for x in run()])


_TRAINING: dict[str, Callable[..., Any]] = {
    "W2": forward.logistic_regression, "W3": forward.shallow_network, "W4": forward.deep_network,
    "W5": forward.minibatch_network, "W7": forward.convolutional_network, "W12": more.attention_block,
    "W13": more.batch_norm_network, "W14": more.gru, "W15": more.gaussian_mixture, "W16": more.logistic_rows,
    "W17": more.tanh_network, "W18": more.autoencoder, "W19": more.factorisation, "W20": more.adam_step,
}
_GRADIENT: dict[str, Callable[..., Any]] = {
    "W6": forward.elementwise_chain, "W8": forward.scalar_chain, "W9": forward.lstm, "W21": more.bodies,
}
