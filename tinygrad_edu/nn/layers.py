"""Layers without places or time: linear maps, tables of vectors, dropout, and changes of shape.

Examples are rows, (m, features), as in PyTorch and scikit-learn. Names, order of arguments, defaults and first values are
PyTorch's; beyond them every layer with parameters takes `dtype` (float64) and `rng`, a generator or a seed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import float64

from .. import modes, ops
from ..errors import DTypeError, ShapeError, UnsupportedError, name_of, variable_names
from ..ops.inputs import as_array, value_of
from . import init
from .init import generator
from .module import Module, parameter, redraw


def floating_dtype(dtype: Any, where: str) -> np.dtype[Any]:
    """The dtype of a layer's parameters, checked."""
    found: np.dtype[Any] = np.dtype(dtype)
    if found.kind != "f":
        raise DTypeError(f"{where}: dtype {found} has no derivatives. Use float64 or float32.")
    return found


def count(n: Any, what: str, where: str, least: int = 1) -> int:
    """A whole number, checked."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < least:
        raise ShapeError(f"{where}: {what}={n!r}: write a whole number, at least {least}.")
    return int(n)


def shown(x: Any, default: str = "x") -> str:
    """What the user calls an array, and its shape."""
    return f"{name_of(x, variable_names(), default)} {tuple(x.shape)}"


class Linear(Module):
    """y = x Wᵀ + b, for each row of x: in the notes' columns z = W x + b.

    Parameters
    ----------
    in_features, out_features : the numbers of inputs and of units. bias : whether there is a b.
    dtype, rng : of the first values, uniform between ±1/√in_features (LeCun's, as in PyTorch), W and b.

    weight (out_features, in_features), bias (out_features,) or None. x (…, in_features) gives (…, out_features).

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> layer = nn.Linear(3, 2, rng=0)
    >>> x = np.ones((5, 3))
    >>> bool(np.allclose(layer(x).numpy(), x @ layer.weight.numpy().T + layer.bias.numpy()))
    True
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: Any = float64, rng: Any = None) -> None:
        self.in_features = count(in_features, "in_features", "Linear", 0)
        self.out_features = count(out_features, "out_features", "Linear", 0)
        dtype = floating_dtype(dtype, "Linear")
        self.weight = parameter(np.zeros((self.out_features, self.in_features), dtype))
        self.bias = parameter(np.zeros(self.out_features, dtype)) if bias else None
        self._draw(generator(rng))

    def _draw(self, rng: np.random.Generator) -> None:
        bound = 1 / math.sqrt(max(self.in_features, 1))
        redraw(self.weight, init.uniform(self.weight.shape, -bound, bound, rng))
        if self.bias is not None:
            redraw(self.bias, init.uniform(self.bias.shape, -bound, bound, rng))

    def forward(self, x: Any) -> Any:
        """x Wᵀ + b."""
        weight = self.weight
        if not hasattr(x, "shape"):
            if isinstance(x, tuple) and any(hasattr(part, "shape") and part.shape for part in x):
                raise DTypeError(f"Linear({self.in_features}, {self.out_features}): x is a tuple, as recurrent layers and "
                                 "attention return it. Take what is meant: outputs, last = lstm(x).")
            x = as_array(x, "Linear")
        if not x.shape or x.shape[-1] != weight.shape[1]:
            _refuse_features(self, x)
        y = ops.matmul(x, weight.T)
        return y if self.bias is None else ops.add(y, self.bias)

    def extra_repr(self) -> str:
        """Sizes, and whether there is a bias."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


def _refuse_features(layer: Linear, x: Any) -> None:
    n = layer.in_features
    hint = ""
    if len(x.shape) == 2 and x.shape[0] == n:
        hint = " Its first axis is: if examples are columns, use x.T."
    elif len(x.shape) == 1 and n == 1:
        hint = " Use x.reshape(-1, 1) for one feature of many examples."
    elif len(x.shape) > 2 and math.prod(x.shape[1:]) == n:
        hint = " Put nn.Flatten() before it."
    raise ShapeError(f"Linear({n}, {layer.out_features}): {shown(x)}: the last axis must be of size {n}, the features.{hint}")


class Embedding(Module):
    """A table of vectors: an index gives its row. Equal to Linear of one-hot rows, without the multiplication.

    num_embeddings, embedding_dim : how many rows, of which size. padding_idx : this row starts at zero and gets no gradient.
    weight (num_embeddings, embedding_dim), normally distributed at first. Indices (…) give (…, embedding_dim).

    >>> from tinygrad_edu import nn
    >>> table = nn.Embedding(10, 4, rng=0)
    >>> table([[1, 2, 1]]).shape
    (1, 3, 4)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, dtype: Any = float64,
                 rng: Any = None) -> None:
        self.num_embeddings = count(num_embeddings, "num_embeddings", "Embedding")
        self.embedding_dim = count(embedding_dim, "embedding_dim", "Embedding")
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"Embedding: padding_idx={padding_idx}, and rows count from 0 to {num_embeddings - 1}.")
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = parameter(np.zeros((num_embeddings, embedding_dim), floating_dtype(dtype, "Embedding")))
        self._draw(generator(rng))

    def _draw(self, rng: np.random.Generator) -> None:
        table = init.normal(self.weight.shape, rng=rng)
        if self.padding_idx is not None:
            table[self.padding_idx] = 0
        redraw(self.weight, table)

    def forward(self, x: Any) -> Any:
        """The rows of these indices."""
        index = value_of(as_array(x, "Embedding"))
        if index.dtype.kind not in "iu":
            raise DTypeError(f"Embedding: indices of dtype {index.dtype}. Use integers: x.astype(int).")
        rows = self.weight.shape[0]
        traced = getattr(index, "is_traced", False)
        plain = np.asarray(index)
        if not traced and plain.size and not (plain.min() >= 0 and plain.max() < rows):
            raise IndexError(f"Embedding({rows}, {self.embedding_dim}): indices run from {plain.min()} to {plain.max()}, and "
                             f"rows count from 0 to {rows - 1}.")
        weight = self.weight
        if self.padding_idx is not None:
            padding = np.zeros((rows, 1), bool)
            padding[self.padding_idx] = True
            weight = ops.where(padding, value_of(weight), weight)
        return ops.getitem(weight, index)


def drawn_from(layer: Any, where: str) -> np.random.Generator:
    """The generator that a layer draws zeros from; refused where there is none, or where its draws would be frozen."""
    rng = layer.rng
    if rng is None:
        raise ValueError(f"{where}: random zeros need a generator, nothing is drawn from a global one. Make the layer with "
                         "rng=0 (or a np.random.Generator that several share), or give "
                         "nn.functional_call(model, params, x, rng=rng).")
    if type(rng) is np.random.Generator and modes.here.note is not None:
        raise UnsupportedError(f"{where}: while a function is traced, zeros drawn from the layer's own generator would stay "
                               "the same for ever. Make the generator an argument: "
                               "nn.functional_call(model, params, x, rng=rng).")
    return rng  # type: ignore[no-any-return]


class Dropout(Module):
    """In training each entry becomes 0 with probability p, the others are divided by 1 − p; in evaluation nothing happens.

    rng : the generator that zeros are drawn from, or a seed for one of its own, which goes on from call to call. Several
    layers may share one. It is needed in training, here or as functional_call(..., rng=rng).

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> layer = nn.Dropout(0.5, rng=2)
    >>> layer(np.ones(4)), layer.eval()(np.ones(4))
    (array([0., 0., 2., 0.]), array([1., 1., 1., 1.]))
    """

    def __init__(self, p: float = 0.5, rng: Any = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p={p:g} is no probability. Give the part that becomes 0, between 0 and 1.")
        self.p = p
        self.rng = None if rng is None else generator(rng)

    def forward(self, x: Any) -> Any:
        """x with random zeros."""
        return ops.dropout(x, self.p, True, drawn_from(self, "Dropout")) if self.training and self.p else as_array(x, "Dropout")


class Dropout2d(Dropout):
    """In training each channel of an image, (N, C, H, W), becomes 0 as a whole with probability p. See Dropout."""

    def forward(self, x: Any) -> Any:
        """x with random channels zero."""
        x = ops.inputs.floating(x, "Dropout2d")
        if x.ndim not in (3, 4):
            raise ShapeError(f"Dropout2d: {shown(x)} has {x.ndim} axes; it takes (N, C, H, W), or (C, H, W) for one example.")
        if not self.training or not self.p:
            return x
        return x * ops.dropout(np.ones((*x.shape[:-2], 1, 1), x.dtype), self.p, True, drawn_from(self, "Dropout2d"))


class Flatten(Module):
    """Axes start_dim to end_dim become one: images (N, C, H, W) become rows (N, C·H·W).

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> nn.Flatten()(np.ones((5, 3, 8, 8))).shape
    (5, 192)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Any) -> Any:
        """x with these axes as one."""
        x = as_array(x, "Flatten")
        first, last = (i + x.ndim if i < 0 else i for i in (self.start_dim, self.end_dim))
        if not 0 <= first <= last < x.ndim:
            raise ShapeError(f"Flatten(start_dim={self.start_dim}, end_dim={self.end_dim}): {shown(x)} has no such axes.")
        return ops.reshape(x, (*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :]))


class Unflatten(Module):
    """Axis dim becomes several: rows (N, 64) become images with Unflatten(1, (1, 8, 8)).

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> nn.Unflatten(1, (1, 8, 8))(np.ones((5, 64))).shape
    (5, 1, 8, 8)
    """

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, x: Any) -> Any:
        """x with this axis as several."""
        x = as_array(x, "Unflatten")
        if not -x.ndim <= self.dim < x.ndim:
            raise ShapeError(f"Unflatten(dim={self.dim}): {shown(x)} has no such axis.")
        i = self.dim % x.ndim
        if math.prod(self.unflattened_size) != x.shape[i] and -1 not in self.unflattened_size:
            raise ShapeError(f"Unflatten({self.dim}, {self.unflattened_size}): {shown(x)}: axis {i} has size {x.shape[i]}, not "
                             f"{math.prod(self.unflattened_size)}.")
        return ops.reshape(x, (*x.shape[:i], *self.unflattened_size, *x.shape[i + 1 :]))


class Identity(Module):
    """x itself; takes any arguments, to stand where another layer was."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        pass

    def forward(self, x: Any) -> Any:
        """x."""
        return x
