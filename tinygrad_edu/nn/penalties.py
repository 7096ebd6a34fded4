"""Penalties on large weights, as a term of the cost. As a rule of the update they are the optimisers' weight_decay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import ops
from ..errors import DTypeError
from .module import Module


def l2(weights: Any, biases: bool = False) -> Any:
    """Σ ‖W‖²_F, the sum of the squares of all weights: J + (λ/2m) · l2(model) is the notes' penalised cost.

    weights : a model, or its parameters in a dict or list (Tensors or arrays). Counted are matrices and filters, which have
    two axes or more; biases=True counts everything. The penalty's derivative is 2 W, so with λ/2m before it (λ/m) W.

    >>> import numpy as np, tinygrad_edu as tg
    >>> from tinygrad_edu import nn
    >>> W, b = tg.Tensor([[1.0, -2.0]]), tg.Tensor([7.0])
    >>> print(nn.l2([W, b]))
    5.0
    >>> tg.grad(lambda p: 0.5 * nn.l2(p))({"W": np.array([[1.0, -2.0]])})
    {'W': array([[ 1., -2.]])}
    """
    chosen = [w for w in _weights(weights) if biases or len(w.shape) > 1]
    if not chosen:
        raise DTypeError("l2: there are no weights with two axes or more. Give a model with such, or biases=True to count all.")
    total = ops.squared_norm(chosen[0])
    for w in chosen[1:]:
        total = total + ops.squared_norm(w)
    return total


def _weights(held: Any) -> Iterator[Any]:
    if isinstance(held, Module):
        yield from held.parameters()
    elif isinstance(held, Mapping):
        for item in held.values():
            yield from _weights(item)
    elif isinstance(held, (list, tuple, Iterator)):
        for item in held:
            yield from _weights(item)
    elif hasattr(held, "shape"):
        yield held
    else:
        raise DTypeError(f"l2: {type(held).__name__} holds no weights. Give a model, or its parameters in a dict or list.")
