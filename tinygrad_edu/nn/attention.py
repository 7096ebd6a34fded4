"""Attention with several heads, as PyTorch's layer of this name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import float64

from .. import ops
from ..errors import DTypeError, ShapeError
from ..ops.inputs import as_array, floating, value_of
from . import init
from .init import generator
from .layers import Linear, count, drawn_from, floating_dtype
from .module import Module, parameter, redraw


class MultiheadAttention(Module):
    """softmax(Q Kᵀ/√d) V in num_heads parts of d = embed_dim/num_heads features, joined by a matrix (Vaswani et al. 2017).

    Parameters
    ----------
    embed_dim, num_heads : features of the query and of the result, and in how many parts. dropout : of weights, in training.
    bias : whether the products have one. kdim, vdim : features of key and value, by default embed_dim.
    batch_first : x is (N, L, features), not (L, N, features); (L, features) is one example.
    dtype, rng : of the first values, Glorot's uniform; dropout's zeros come from the same generator.

    in_proj_weight (3 · embed_dim, embed_dim), the rows for Q, K, V in turn (with kdim or vdim: q_proj_weight, k_proj_weight,
    v_proj_weight); in_proj_bias (3 · embed_dim,); out_proj, a Linear.

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> attend = nn.MultiheadAttention(8, 2, batch_first=True, rng=0)
    >>> x = np.random.default_rng(0).normal(size=(3, 5, 8))
    >>> result, weights = attend(x, x, x)
    >>> result.shape, weights.shape, bool(np.allclose(weights.numpy().sum(axis=-1), 1))
    ((3, 5, 8), (3, 5, 5), True)
    """

    _whole = True

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, kdim: int | None = None,
                 vdim: int | None = None, batch_first: bool = False, dtype: Any = float64, rng: Any = None) -> None:
        where = "MultiheadAttention"
        self.embed_dim, self.num_heads = count(embed_dim, "embed_dim", where), count(num_heads, "num_heads", where)
        if embed_dim % num_heads:
            raise ShapeError(f"{where}: embed_dim={embed_dim} is not divisible into {num_heads} heads. Choose a divisor.")
        if not 0 <= dropout <= 1:
            raise ValueError(f"{where}: dropout={dropout:g} is no probability. Give the part that becomes 0, between 0 and 1.")
        self.dropout, self.batch_first = dropout, batch_first
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        dtype, source = floating_dtype(dtype, where), generator(rng)
        if self.kdim == self.vdim == embed_dim:
            self.in_proj_weight = parameter(np.zeros((3 * embed_dim, embed_dim), dtype))
        else:
            self.q_proj_weight = parameter(np.zeros((embed_dim, embed_dim), dtype))
            self.k_proj_weight = parameter(np.zeros((embed_dim, self.kdim), dtype))
            self.v_proj_weight = parameter(np.zeros((embed_dim, self.vdim), dtype))
        self.in_proj_bias = parameter(np.zeros(3 * embed_dim, dtype)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype, source)
        self._draw(source)
        redraw(self.out_proj.bias, np.zeros(embed_dim))
        self.rng = source if dropout and rng is not None else None

    def _draw(self, rng: np.random.Generator) -> None:
        for name, held in self._held()[0]:
            redraw(held, np.zeros(held.shape) if name == "in_proj_bias" else init.xavier_uniform(held.shape, rng=rng))

    def forward(self, query: Any, key: Any, value: Any, key_padding_mask: Any = None, need_weights: bool = True,
                attn_mask: Any = None, average_attn_weights: bool = True, is_causal: bool = False) -> tuple[Any, Any]:
        """(result, weights): the result like the query; the weights (N, L, S), the mean over the heads, or (N, heads, L, S)
        with average_attn_weights=False, or None with need_weights=False.

        key_padding_mask (N, S): True where a key is not to be seen. attn_mask (L, S) or (N · heads, L, S): True where a query
        must not see a key, or numbers added to the scores. Mind that this is the opposite of scaled_dot_product_attention's
        mask, as in PyTorch. is_causal : query i sees the keys 0 … i (with or without attn_mask).
        """
        where = "MultiheadAttention"
        query, key, value = (floating(x, where) for x in (query, key, value))
        single = query.ndim == 2
        wanted = (self.embed_dim, self.kdim, self.vdim)
        if any(x.ndim not in (2, 3) or x.ndim != query.ndim or x.shape[-1] != n
               for x, n in zip((query, key, value), wanted, strict=True)):
            form = "(N, L, features)" if self.batch_first else "(L, N, features)"
            raise ShapeError(f"{where}: query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}: each "
                             f"is {form}, or (L, features) for one example, with {wanted[0]}, {wanted[1]} and {wanted[2]} "
                             "features.")
        if single:
            query, key, value = (ops.reshape(x, (1, *x.shape)) for x in (query, key, value))
        elif not self.batch_first:
            query, key, value = (ops.swapaxes(x, 0, 1) for x in (query, key, value))
        (examples, length, _), seen = query.shape, key.shape[1]
        if key.shape[:2] != value.shape[:2] or key.shape[0] != examples:
            raise ShapeError(f"{where}: key and value need one length, and all three one number of examples; got (N, L) "
                             f"{tuple(query.shape[:2])}, {tuple(key.shape[:2])}, {tuple(value.shape[:2])}.")
        q, k, v = (self._heads(x, i) for i, x in enumerate((query, key, value)))
        scores = ops.matmul(q * (1 / math.sqrt(q.shape[-1])), k.mT)
        hidden, added = self._masks(attn_mask, key_padding_mask, is_causal, (examples, length, seen))
        if added is not None:
            scores = scores + added
        if hidden is not None:
            scores = ops.where(hidden, -math.inf, scores)
            plain = value_of(hidden)
            if not getattr(plain, "is_traced", False) and np.any(np.all(np.broadcast_to(plain, scores.shape), axis=-1)):
                raise ValueError(f"{where}: a query sees no key at all, so its weights have no sum. Let the masks leave one.")
        weights = ops.softmax(scores, axis=-1)
        kept = weights
        if self.dropout and self.training:
            kept = ops.dropout(weights, self.dropout, True, drawn_from(self, where))
        y = ops.swapaxes(ops.matmul(kept, v), 1, 2)
        y = self.out_proj(ops.reshape(y, (examples, length, self.embed_dim)))
        y = ops.reshape(y, y.shape[1:]) if single else y if self.batch_first else ops.swapaxes(y, 0, 1)
        if not need_weights:
            return y, None
        weights = ops.mean(weights, axis=1) if average_attn_weights else weights
        return y, ops.reshape(weights, weights.shape[1:]) if single else weights

    def _heads(self, x: Any, i: int) -> Any:
        """x times the weights for Q, K or V, (N, L, features) to (N, heads, L, d)."""
        rows = slice(i * self.embed_dim, (i + 1) * self.embed_dim)
        if hasattr(self, "in_proj_weight"):
            weight = ops.getitem(self.in_proj_weight, rows)
        else:
            weight = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)[i]
        y = ops.matmul(x, weight.T)
        if self.in_proj_bias is not None:
            y = y + ops.getitem(self.in_proj_bias, rows)
        return ops.swapaxes(ops.reshape(y, (*y.shape[:2], self.num_heads, self.embed_dim // self.num_heads)), 1, 2)

    def _masks(self, attn_mask: Any, padding: Any, is_causal: bool, sizes: tuple[int, int, int]) -> tuple[Any, Any]:
        """(where nothing is seen, what is added to the scores), each to broadcast to (N, heads, L, S), or None."""
        where, (examples, length, seen) = "MultiheadAttention", sizes
        hidden, added = None, None
        if is_causal:
            hidden = np.triu(np.ones((length, seen), bool), 1)
        for name, mask, forms in (
                ("attn_mask", attn_mask, {(length, seen): (1, 1, length, seen), (examples * self.num_heads, length, seen):
                                          (examples, self.num_heads, length, seen)}),
                ("key_padding_mask", padding, {(examples, seen): (examples, 1, 1, seen), (seen,): (1, 1, 1, seen)})):
            if mask is None:
                continue
            mask = as_array(mask, where)
            if tuple(mask.shape) not in forms:
                raise ShapeError(f"{where}: {name} has shape {tuple(mask.shape)}, and must have "
                                 f"{' or '.join(map(str, forms))}.")
            if mask.dtype.kind not in "bf":
                raise DTypeError(f"{where}: {name} of dtype {mask.dtype}. Use booleans, True where nothing is seen, or "
                                 "numbers to be added.")
            mask = ops.reshape(mask, forms[tuple(mask.shape)])
            if mask.dtype == bool:
                hidden = mask if hidden is None else np.logical_or(hidden, mask)
            else:
                added = mask if added is None else added + mask
        return hidden, added

    def extra_repr(self) -> str:
        """Sizes."""
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}" + (f", dropout={self.dropout}" if self.dropout else "")
