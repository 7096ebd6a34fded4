"""Linear layers one after the other are one linear layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import DTypeError, ShapeError
from .layers import Identity, Linear
from .module import Sequential


def collapse_linear(model: Any) -> Sequential:
    """The same function with fewer layers: linear layers without an activation between them become one.

    W₂ (W₁ x + b₁) + b₂ = W′ x + b′ with W′ = W₂ W₁ and b′ = W₂ b₁ + b₂, however many there are: depth without activations
    adds nothing, and under a sigmoid it is logistic regression.

    model : a Sequential, also of Sequentials; Identity layers fall away. The new layers have weights of their own, and share
    everything that is not linear with the model. ShapeError where two layers do not fit; DTypeError for what is no Sequential.

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> deep = nn.Sequential(nn.Linear(3, 9, rng=0), nn.Linear(9, 5, rng=1), nn.Linear(5, 1, rng=2), nn.Sigmoid())
    >>> regression = nn.collapse_linear(deep)
    >>> regression
    Sequential(
      (0): Linear(in_features=3, out_features=1, bias=True)
      (1): Sigmoid()
    )
    >>> x = np.random.default_rng(3).normal(size=(4, 3))
    >>> bool(np.allclose(regression(x).numpy(), deep(x).numpy(), rtol=1e-12))
    True
    """
    layers: list[Any] = []
    for layer in _in_order(model):
        before = layers[-1] if layers else None
        if type(layer) is Linear and type(before) is Linear:
            layers[-1] = _one(before, layer)
        elif type(layer) is not Identity:
            layers.append(_copy(layer) if type(layer) is Linear else layer)
    return Sequential(*layers)


def _in_order(model: Any) -> Iterator[Any]:
    """The layers, those of inner Sequentials among them."""
    if not isinstance(model, Sequential):
        raise DTypeError(f"collapse_linear: {type(model).__name__} does not say in which order its layers act. Give a "
                         "Sequential.")
    waiting = [iter(model)]
    while waiting:
        layer = next(waiting[-1], None)
        if layer is None:
            waiting.pop()
        elif type(layer) is Sequential:
            waiting.append(iter(layer))
        else:
            yield layer


def _made(weight: Any, bias: Any) -> Linear:
    layer = Linear(weight.shape[1], weight.shape[0], bias is not None, weight.dtype, rng=0)
    layer.weight.data = weight
    if layer.bias is not None:
        layer.bias.data = bias
    return layer


def _copy(layer: Linear) -> Linear:
    return _made(layer.weight.numpy(), None if layer.bias is None else layer.bias.numpy())


def _one(first: Linear, second: Linear) -> Linear:
    if first.out_features != second.in_features:
        raise ShapeError(f"collapse_linear: Linear({first.in_features}, {first.out_features}) gives {first.out_features} "
                         f"features, and Linear({second.in_features}, {second.out_features}) after it takes "
                         f"{second.in_features}. Make the two numbers equal.")
    W, b = second.weight.numpy() @ first.weight.numpy(), None
    if first.bias is not None:
        b = second.weight.numpy() @ first.bias.numpy()
    if second.bias is not None:
        b = second.bias.numpy() + (0 if b is None else b)
    return _made(W, None if b is None else np.asarray(b, W.dtype))
