"""Products that sum: linear in each operand, so each rule is a product again."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Primitive
from .shapes import reshape

ZEROED = 4096  # entries of a product from which np.matmul is faster: np.dot writes zeros there first


def product(a: Any, b: Any) -> Any:
    """a @ b. For two matrices np.dot is the same with less ado, and much less for a column times a row."""
    if type(a) is type(b) is np.ndarray and a.ndim == b.ndim == 2 and (
            len(a) * b.shape[1] < ZEROED or 1 in a.shape or b.shape[1] == 1):
        return np.dot(a, b)
    return a @ b


def _left_rule(g: Any, _y: Any, _a: Any, b: Any) -> Any:
    if b.ndim == 1:
        return g * b if _a.ndim == 1 else reshape(g, shape=(*g.shape, 1)) * b
    return product(_row(g) if _a.ndim == 1 else g, b.mT)


def _right_rule(g: Any, _y: Any, a: Any, _b: Any) -> Any:
    if a.ndim == 1:
        return g * a if _b.ndim == 1 else reshape(a, shape=(*a.shape, 1)) * _row(g)
    if _b.ndim == 1 and a.ndim > 2:
        return reshape(a.mT @ reshape(g, shape=(*g.shape, 1)), shape=(*a.shape[:-2], a.shape[-1]))
    return product(a.mT, g)


def _row(g: Any) -> Any:
    return reshape(g, shape=(*g.shape[:-1], 1, g.shape[-1]))


# For matrices: dA = g Bᵀ and dB = Aᵀ g. Vectors are rows on the left and columns on the right; batches are summed.
matmul = Primitive("matmul", product, _left_rule, _right_rule, kind="multilinear", symbol="@")


def _einsum(*xs: Any, inputs: tuple[str, ...], output: str) -> Any:
    return np.einsum(",".join(inputs) + "->" + output, *xs, optimize=len(xs) > 2)


def _einsum_rule(g: Any, _y: Any, *xs: Any, which: int, inputs: tuple[str, ...], output: str) -> Any:
    """The letters of the output take the operand's place, and the operand's letters that of the output."""
    others = [x for i, x in enumerate(xs) if i != which]
    letters = [s for i, s in enumerate(inputs) if i != which]
    return einsum(g, *others, inputs=(output, *letters), output=inputs[which])


# Every letter of an operand stands in the output or in another operand, and none twice in one operand: the front door
# takes diagonals and sums first.
einsum = Primitive("einsum", _einsum, _einsum_rule, kind="multilinear", variadic=True)
