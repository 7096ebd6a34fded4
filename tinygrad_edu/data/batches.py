"""Mini-batches: a few examples at a time, in a new order each epoch."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import DTypeError, ShapeError
from ..tensor import Tensor


def generator(rng: Any, where: str) -> np.random.Generator:
    """A generator, from a generator or a seed."""
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None or isinstance(rng, (bool, float, np.random.RandomState)):
        raise TypeError(f"{where}: rng={rng!r} is no seed and no generator. Write rng=0, or rng=np.random.default_rng(0).")
    return np.random.default_rng(rng)


def examples(X: Any, axis: int, where: str, name: str = "X") -> tuple[ndarray, int]:
    """An array, and the axis along which its examples stand."""
    if type(X) is Tensor:
        raise DTypeError(f"{where}: {name} is a Tensor, and examples are constants. Give {name}.numpy().")
    X = np.asarray(X)
    if X.dtype.hasobject:
        raise DTypeError(f"{where}: {name} holds Python objects. Make it an array of numbers, or of text for labels.")
    if not X.ndim:
        raise ShapeError(f"{where}: {name} is a single number. Examples stand along an axis.")
    if axis not in (0, 1):
        raise ValueError(f"{where}: axis={axis!r}: examples stand in rows, axis=0, or in columns, axis=1.")
    return X, min(axis, X.ndim - 1)


def together(X: Any, Y: Any, axis: int, where: str) -> list[tuple[ndarray, int]]:
    """X and what belongs to it, with the axes of the examples; they must be equally many."""
    others = () if Y is None else Y if isinstance(Y, tuple) else (Y,)
    found = [examples(X, axis, where)]
    found += [examples(y, axis, where, "Y" if len(others) == 1 else f"Y[{i}]") for i, y in enumerate(others)]
    count = found[0][0].shape[found[0][1]]
    for i, (y, own) in enumerate(found[1:]):
        if y.shape[own] != count:
            name = "Y" if len(others) == 1 else f"Y[{i}]"
            text = (f"{where}: X {found[0][0].shape} has {count} examples along axis {found[0][1]}, {name} {y.shape} has "
                    f"{y.shape[own]} along axis {own}.")
            if count in y.shape:
                text += f" Give {name}.T, so that both have examples in {'rows' if axis == 0 else 'columns'}."
            elif found[0][0].ndim == 2 and y.shape[-1] == found[0][0].shape[1 - axis]:
                text += f" Are the examples in {'columns' if axis == 0 else 'rows'}? Then give axis={1 - axis}."
            raise ShapeError(text)
    return found


class Batches:
    """Mini-batches of an epoch, anew for every `for` loop over it; made by `batches`. `len` counts the batches.

    rng : the generator of the orders, or None. Its state decides the next epoch: saving `rng.bit_generator.state`
    between epochs and setting it again resumes with the same batches.
    """

    def __init__(self, arrays: list[tuple[ndarray, int]], size: int, rng: np.random.Generator | None, drop_last: bool) -> None:
        self._arrays, self.size, self.rng, self.drop_last = arrays, size, rng, drop_last
        self.examples: int = arrays[0][0].shape[arrays[0][1]]

    def __len__(self) -> int:
        return self.examples // self.size if self.drop_last else -(-self.examples // self.size)

    def __iter__(self) -> Iterator[Any]:
        order = None if self.rng is None else self.rng.permutation(self.examples)  # drawn now, not at the first batch
        return self._epoch(order)

    def _epoch(self, order: ndarray | None) -> Iterator[Any]:
        for i in range(len(self)):
            part = slice(i * self.size, (i + 1) * self.size)
            batch: list[Any] = []
            for x, axis in self._arrays:
                if order is None:
                    batch.append(x[part] if axis == 0 else x[:, part])
                else:
                    batch.append(np.take(x, order[part], axis=axis))
            yield tuple(batch) if len(batch) > 1 else batch[0]

    def __repr__(self) -> str:
        order = "in order" if self.rng is None else "shuffled each epoch"
        return f"{len(self)} batches of {self.size} from {self.examples} examples, {order}"


def batches(X: Any, Y: Any = None, size: int = 32, *, rng: Any = None, shuffle: bool | None = None, drop_last: bool = False,
            axis: int = 0) -> Batches:
    """Mini-batches of `size` examples: every loop over the result is an epoch, in which each example comes once.

    Y : what belongs to the examples, an array, a tuple of arrays, or nothing. Batches are x, (x, y), or (x, y, ...).
    rng : a np.random.Generator or a seed; then the examples are shuffled anew each epoch. Without it they come in order.
    shuffle : True asks for an rng; False keeps the order in spite of one.
    drop_last : leave out the last batch of an epoch where it is smaller. Otherwise it comes as it is.
    axis : the axis that examples stand along: 0 for rows (m, n), 1 for columns (n, m). A rank-1 Y has but one.

    Raises ShapeError where X and Y have different numbers of examples, ValueError for a size below 1.

    >>> import numpy as np
    >>> from tinygrad_edu import data
    >>> X, Y = np.arange(10).reshape(5, 2), np.array([0, 1, 0, 1, 0])
    >>> for x, y in data.batches(X, Y, size=2, rng=0):
    ...     print(x.shape, y.shape)
    (2, 2) (2,)
    (2, 2) (2,)
    (1, 2) (1,)
    """
    size = operator.index(size)
    if size < 1:
        raise ValueError(f"batches: size={size}: a batch has at least one example.")
    if shuffle and rng is None:
        raise TypeError("batches: shuffle=True needs to be told how: give rng=0, or rng=np.random.default_rng(0).")
    arrays = together(X, Y, axis, "batches")
    return Batches(arrays, size, generator(rng, "batches") if rng is not None and shuffle is not False else None, drop_last)
