"""What the estimators minimise, and the compiled steps that do it.

All parameters of a network lie in one vector: the weights of all layers, then the biases. A step takes it, what the
optimiser remembers, and a batch, and makes new ones; it is compiled once for each form of network and size of batch, and
kept for the next fit, so that cross-validation compiles nothing twice.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..calculus import value_and_grad
from ..nn import binary_cross_entropy_with_logits, cross_entropy
from ..program.jit import jit

HIDDEN: dict[str, Callable[[Any], Any]] = {"identity": lambda Z: Z, "logistic": ops.sigmoid, "tanh": np.tanh, "relu": ops.relu}
OUTPUT: dict[str, Callable[[Any], Any]] = {
    "identity": lambda Z: Z, "logistic": ops.sigmoid, "softmax": ops.softmax, "exp": np.exp}


class Form(NamedTuple):
    """A network: units of its layers, input included, its hidden activation, and that of its output.

    The output says the cost too: "identity" half the squared error, "logistic" and "softmax" the cross-entropies, "exp"
    half the deviance of Poisson's distribution.
    """

    units: tuple[int, ...]
    activation: str
    output: str

    @property
    def weights(self) -> int:
        """How many numbers the weights are; the biases follow them."""
        return sum(a * b for a, b in zip(self.units, self.units[1:], strict=False))

    @property
    def size(self) -> int:
        return self.weights + sum(self.units[1:])

    def split(self, theta: Any) -> tuple[list[Any], list[Any]]:
        """The matrices and the biases in the vector of all parameters."""
        Ws, bs, at = [], [], 0
        for a, b in zip(self.units, self.units[1:], strict=False):
            Ws.append(theta[at : at + a * b].reshape(a, b))
            at += a * b
        for b in self.units[1:]:
            bs.append(theta[at : at + b])
            at += b
        return Ws, bs


def scores(form: Form, Ws: Sequence[Any], bs: Sequence[Any], X: Any) -> Any:
    """The last layer before its activation, (m, outputs)."""
    A = X
    for W, b in zip(Ws[:-1], bs[:-1], strict=True):
        A = HIDDEN[form.activation](A @ W + b)
    return A @ Ws[-1] + bs[-1]


def data_cost(form: Form, Ws: Sequence[Any], bs: Sequence[Any], X: Any, Y: Any, weight: Any = None) -> Any:
    """The mean over the examples, weighted where weights (m,) are given, of each example's losses summed.

    Y : class numbers (m,) for "softmax", otherwise (m, outputs).
    """
    Z = scores(form, Ws, bs, X)
    if form.output == "softmax":
        losses = cross_entropy(Z, Y, reduction="mean" if weight is None else "none")
        return losses if weight is None else np.sum(weight * losses) / np.sum(weight)
    if form.output == "logistic":
        losses = binary_cross_entropy_with_logits(Z, Y, reduction="none")
    elif form.output == "identity":
        losses = 0.5 * (Z - Y) ** 2
    else:
        losses = np.exp(Z) - Y * Z + (np.where(Y > 0, Y * np.log(np.where(Y > 0, Y, 1.0)), 0.0) - Y)
    if weight is None:
        return np.sum(losses) / X.shape[0]
    return np.sum(weight[:, None] * losses) / np.sum(weight)


def slope(form: Form) -> Callable[..., tuple[Any, Any, Any]]:
    """(theta, X, Y, alpha, weight) -> the cost of the data, that of the penalty alpha/2 ‖W‖² / m, and their gradient."""
    data = value_and_grad(lambda Ws, bs, X, Y, weight: data_cost(form, Ws, bs, X, Y, weight), argnums=(0, 1))
    penalty = value_and_grad(lambda w, alpha: 0.5 * alpha * ops.squared_norm(w))

    def cost_and_slope(theta: Any, X: Any, Y: Any, alpha: Any, weight: Any = None) -> tuple[Any, Any, Any]:
        J, (dWs, dbs) = data(*form.split(theta), X, Y, weight)
        shrink, dw = penalty(theta[: form.weights], alpha / (X.shape[0] if weight is None else np.sum(weight)))
        dWs = np.concatenate([dW.reshape(-1) for dW in dWs]) + dw
        return J, shrink, np.concatenate([dWs, *dbs])

    return cost_and_slope


def adam_step(form: Form, beta1: float, beta2: float, epsilon: float) -> Callable[..., Any]:
    """w ← w − rate · m / (√v + ε), with running means m of the gradient and v of its square (Kingma and Ba 2015).

    `rate` has their divisors 1 − βᵗ in it already, as in the paper's faster form.
    """
    slopes = slope(form)

    def step(theta: Any, m: Any, v: Any, X: Any, Y: Any, alpha: Any, rate: Any, weight: Any = None) -> Any:
        J, penalty, g = slopes(theta, X, Y, alpha, weight)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (g * g)
        return J, penalty, theta - rate * m / (np.sqrt(v) + epsilon), m, v

    return step


def momentum_step(form: Form, momentum: float, nesterov: bool) -> Callable[..., Any]:
    """v ← μ v − rate · g, w ← w + v; with Nesterov's look ahead w ← w + μ v − rate · g."""
    slopes = slope(form)

    def step(theta: Any, v: Any, X: Any, Y: Any, alpha: Any, rate: Any, weight: Any = None) -> Any:
        J, penalty, g = slopes(theta, X, Y, alpha, weight)
        v = momentum * v - rate * g
        return J, penalty, theta + (momentum * v - rate * g if nesterov else v), v

    return step


# ---------------------------------------------------------------- compiled once, lent to one fit at a time

_free: dict[Any, list[tuple[int, Any]]] = {}  # a compiled step owns its parameters' memory: two fits never share one
_lock = threading.Lock()
KEPT = 64 << 20  # bytes


@contextmanager
def lent(key: Any, make: Callable[[], Any], size: int, donate: tuple[str, ...] = ()) -> Iterator[Any]:
    """A compiled function, made where none of this key is free. One that failed or was interrupted is not kept.

    size : how many bytes it keeps, about.
    """
    with _lock:
        waiting = _free.get(key)
        made = waiting.pop()[1] if waiting else None
        if not waiting:
            _free.pop(key, None)
    if made is None:
        made = jit(make(), donate=donate, check=False, threads=1)
        yield _compiled_before(made)
    else:
        yield made
    with _lock:
        if size > KEPT:
            return
        _free[key] = [*_free.pop(key, []), (size, made)]  # to the end: the latest used
        while sum(s for held in _free.values() for s, _ in held) > KEPT:
            oldest = next(iter(_free))
            _free[oldest].pop(0)
            if not _free[oldest]:
                del _free[oldest]


def _compiled_before(made: Any) -> Callable[..., Any]:
    """`made`, run twice at first: the call that compiles it computes operation by operation, and rounds otherwise than the
    compiled step; equal fits should give equal numbers to the last bit, the first fit too."""
    new = True

    def run(*args: Any) -> Any:
        nonlocal new
        if new:
            new = False
            made(*args)
        return made(*args)

    return run


def memory_of(form: Form, rows: int, itemsize: int, copies: int) -> int:
    """About how many bytes a step takes: its parameters and what goes with them, and the values of a batch."""
    return itemsize * (copies * form.size + 4 * rows * sum(form.units[1:])) + 20_000


def forget() -> None:
    """Drop all compiled steps that are kept."""
    with _lock:
        _free.clear()


# ---------------------------------------------------------------- a whole minimisation, for L-BFGS

def minimised(function: Callable[[Any], tuple[float, Any]], start: Any, tol: float, max_iter: int, max_fun: int,
              bounds: Any = None, callback: Callable[..., None] | None = None, **options: Any) -> Any:
    """SciPy's L-BFGS-B on a function that gives value and gradient."""
    try:
        from scipy.optimize import minimize
    except ImportError:
        raise ImportError('solver="lbfgs" needs SciPy, which is not installed. Install it: pip install scipy, or use '
                          'solver="adam".') from None

    def in_double(x: Any) -> tuple[float, Any]:
        value, gradient = function(x)
        return float(value), np.asarray(gradient, dtype=np.float64)

    with np.errstate(over="ignore", invalid="ignore"):
        return minimize(in_double, np.asarray(start, np.float64), method="L-BFGS-B", jac=True, bounds=bounds, callback=callback,
                        options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol, **options})


def decayed(t: int, beta1: float, beta2: float) -> float:
    """√(1 − β₂ᵗ) / (1 − β₁ᵗ): the factor of Adam's rate, after t updates."""
    return math.sqrt(1 - beta2**t) / (1 - beta1**t)
