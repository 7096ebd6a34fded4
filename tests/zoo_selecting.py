"""Samples of assign_each, and of the k-th smallest entry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from zoo import Sample, draw

_ROWS = np.array([2, 0])
_MASK = np.array([[True, False, True, False], [False] * 4, [True, True, False, False]])
# places in a (3, 4) matrix, assigned one after the other: apart, over one another, and hidden altogether
PIECES: dict[str, tuple[Any, ...]] = {
    "one": ((0, 1),), "apart": (0, 2), "overlapping": (1, (slice(None), 2)), "hidden": ((1, 1), 1, (slice(None), 3)),
    "same-twice": ((2, 0), (2, 0)), "arrays": (_ROWS, (_ROWS, 1)), "mask": (0, _MASK), "everything": (0, Ellipsis),
    "backwards": (slice(None, None, -1), (0, slice(None, None, 2))), "nothing": (slice(1, 1), 2), "new-axis": ((None, 1), -1),
}


def what_is_left(shape: tuple[int, ...], pieces: tuple[Any, ...]) -> tuple[Any, ...]:
    """For each piece, the mask of what the later ones leave of it; None where they leave all."""
    owner = np.zeros(shape, int)
    for k, index in enumerate(pieces):
        owner[index] = k + 1
    masks = [owner[index] == k + 1 for k, index in enumerate(pieces)]
    return tuple(None if mask.all() else mask for mask in masks)


def _one_after_the_other(x: Any, *values: Any, index: Any, kept: Any) -> Any:
    flat = x.ravel().copy()
    for i, v in zip(index, values, strict=True):
        flat[np.arange(x.size).reshape(x.shape)[i].ravel()] = np.ravel(v)
    return flat.reshape(x.shape)


def _samples() -> Iterator[Sample]:
    x = draw("assign each", (3, 4))
    for label, pieces in PIECES.items():
        values = tuple(draw(("piece", k), np.shape(x[index])) for k, index in enumerate(pieces))
        params = {"index": pieces, "kept": what_is_left(x.shape, pieces)}
        yield Sample("assign_each", label, (x, *values), params, _one_after_the_other)
        yield Sample("assign_each", f"{label}-into-constant", (x, *values), params, _one_after_the_other, constants=(0,))
    yield Sample("assign_each", "number", (np.float64(1.5), np.float64(2.5)), {"index": ((),), "kept": (None,)},
                 lambda x, v, index, kept: v)
    yield Sample("assign_each", "empty", (np.zeros((0, 3)), np.zeros(0)), {"index": ((slice(None), 1),), "kept": (None,)},
                 lambda x, v, index, kept: x)


    for shape in ((1,), (5,), (2, 4), (0, 3), (2, 1, 3)):
        x = draw("order", shape)
        for k in sorted({0, shape[-1] // 2, shape[-1] - 1}):
            yield Sample("order_statistic", f"{k}-of-{'x'.join(map(str, shape))}", (x,), {"k": k},
                         lambda x, k: np.sort(x, axis=-1)[..., k])
    tied = np.array([[2.0, 1.0, 2.0, 3.0, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    yield Sample("order_statistic", "ties", (tied,), {"k": 2}, lambda x, k: np.sort(x, axis=-1)[..., k], smooth=False)


SAMPLES = list(_samples())
