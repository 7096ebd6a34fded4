"""Attention, and dropout: random zeros from a generator that is given."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import DTypeError, ShapeError
from ..rules import pointwise, products, reductions
from ..tensor import Tensor
from .inputs import as_array, floating, value_of

__all__ = ["dropout", "scaled_dot_product_attention"]


def _generator(rng: Any, where: str) -> np.random.Generator:
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        return np.random.default_rng(int(rng))
    if rng is None:
        raise ValueError(f"{where}: random zeros need a generator, nothing is drawn from a global one. Make "
                         "rng = np.random.default_rng(0) once and pass rng=rng, or training=False (dropout_p=0) to keep all.")
    raise TypeError(f"{where}: rng={rng!r}: pass np.random.default_rng(seed), or a seed, an integer.")


def dropout(x: Any, p: float = 0.5, training: bool = True, rng: Any = None) -> Any:
    """Each entry becomes 0 with probability p, the others are divided by 1 − p, so that the mean stays (Srivastava 2014).

    training=False returns x as it is. rng : a np.random.Generator, from which one number per entry is drawn, or an integer
    seed, which gives the same zeros at every call. The derivative is 1/(1−p) where an entry was kept, 0 where not.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.dropout(tg.Tensor([1.0, 2.0, 3.0, 4.0]), 0.5, rng=np.random.default_rng(2))
    Tensor([0., 0., 6., 0.])
    >>> tg.dropout(tg.Tensor([1.0, 2.0]), training=False)
    Tensor([1., 2.])
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p={p:g} is no probability. Give the part that becomes 0, between 0 and 1.")
    x = floating(x, "dropout")
    if not training or p == 0:
        return x
    kept = _generator(rng, "dropout").random(x.shape) >= p
    return pointwise.gate(x, kept) * (1 / (1 - p) if p < 1 else 1.0)


def scaled_dot_product_attention(query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
                                 is_causal: bool = False, scale: float | None = None, rng: Any = None) -> Any:
    """softmax(Q Kᵀ / √E) V, the softmax over the keys (Vaswani et al. 2017).

    query (…, L, E), key (…, S, E), value (…, S, V); leading axes broadcast; the result has shape (…, L, V).

    attn_mask : broadcasts to (…, L, S). Booleans: True takes part. Floats, also a Tensor: added to the scores.
    is_causal : query i sees the keys 0 … i. scale : instead of 1/√E. dropout_p, rng : drop weights, as dropout does.
    A query that sees no key gives zeros, with derivative zero.

    >>> import numpy as np, tinygrad_edu as tg
    >>> K = V = np.eye(2)
    >>> tg.scaled_dot_product_attention(tg.Tensor([[100.0, 0.0], [0.0, 0.0]]), K, V).numpy().round(3).tolist()
    [[1.0, 0.0], [0.5, 0.5]]
    """
    name = "scaled_dot_product_attention"
    query, key, value = (floating(x, name) for x in (query, key, value))
    shown = f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"
    if query.ndim < 2 or key.ndim < 2 or value.ndim < 2:
        raise ShapeError(f"{name}: {shown}: each needs two axes at least, (positions, features). Use x.reshape(1, -1) for one.")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ShapeError(f"{name}: {shown}: query and key need one number of features (their last axis), key and value one "
                         "number of positions (their last axis but one).")
    scores = products.matmul(query * (1 / math.sqrt(query.shape[-1]) if scale is None else float(scale)), key.mT)
    mask = None if attn_mask is None else as_array(attn_mask, name)
    if mask is not None:
        _check_mask(mask, scores)
    seen = np.ones(scores.shape[-2:], bool) if is_causal else None
    seen = None if seen is None else np.tril(seen)
    if mask is not None and mask.dtype == bool:
        seen = mask if seen is None else np.logical_and(seen, mask)
    elif mask is not None:
        mask = mask if type(mask) is Tensor else mask.astype(scores.dtype)
        hidden = np.equal(value_of(mask), -math.inf)
        scores = scores + pointwise.where(hidden, 0.0, mask)
        if getattr(hidden, "is_traced", False) or np.any(hidden):
            seen = np.logical_not(hidden) if seen is None else np.logical_and(seen, np.logical_not(hidden))
    if seen is None:
        weights = reductions.softmax(scores, axis=(scores.ndim - 1,))
    else:
        some = np.any(seen, axis=-1, keepdims=True)
        # where nothing is seen, the softmax is taken over everything and its weights are set to 0
        shown_scores = pointwise.where(np.logical_or(seen, np.logical_not(some)), scores, -math.inf)
        weights = reductions.softmax(shown_scores, axis=(scores.ndim - 1,))
        if getattr(some, "is_traced", False) or not np.all(some):
            weights = pointwise.where(some, weights, 0.0)
    return products.matmul(dropout(weights, dropout_p, rng=rng), value)


def _check_mask(mask: Any, scores: Any) -> None:
    name = "scaled_dot_product_attention"
    if mask.dtype.kind not in "bf":
        raise DTypeError(f"{name}: attn_mask of dtype {mask.dtype}. Booleans say what takes part (mask.astype(bool)); floats "
                         "are added to the scores.")
    try:
        fits = np.broadcast_shapes(mask.shape, scores.shape) == tuple(scores.shape)
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(f"{name}: attn_mask has shape {tuple(mask.shape)}, the scores {tuple(scores.shape)}, (…, queries, "
                         "keys). The mask must broadcast to them.")
