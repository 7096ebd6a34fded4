"""The entry that takes a given place in increasing order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..tensor import Primitive
from .pointwise import equal, where
from .reductions import sum_
from .shapes import reshape


def _order_statistic(x: Any, k: int) -> Any:
    ordered = np.partition(x, (k, -1), axis=-1)
    y, last = ordered[..., k], ordered[..., -1]
    return np.where(last == last, y, last)  # one nan, which comes last, makes it nan


def _share(g: Any, y: Any, x: Any, k: int) -> Any:
    """Entries that tie for the place share its gradient equally; of nan, where none does, it is nan."""
    shape = (*x.shape[:-1], 1)
    hit = equal(x, reshape(y, shape=shape))
    ties = sum_(hit * 1, axis=(x.ndim - 1,), keepdims=True)
    return reshape(g, shape=shape) * hit / where(equal(ties, 0), math.nan, ties)


# the k-th smallest entry along the last axis, counted from 0
order_statistic = Primitive("order_statistic", _order_statistic, _share)
