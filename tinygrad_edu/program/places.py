"""Arrays that are put together from parts: the operations that the passes over loops write, and names for what they make."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from ..tensor import Primitive
from .program import Name, Program

FEWEST = 3  # operations worth joining


def _place(*values: Any, indices: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, np.result_type(*values))
    for value, index in zip(values, indices, strict=True):
        out[index] = value
    return out


def _add_at(x: Any, value: Any, index: Any) -> Any:
    out = np.array(x)
    out[index] += value
    return out


# values put into an array of zeros, at places that do not overlap; a value added to a part of an array; an array written out
PLACE = Primitive("place", _place)
ADD_AT = Primitive("add_at", _add_at)
COPY = Primitive("copy", np.array)


class Namer:
    def __init__(self, program: Program) -> None:
        self.taken: Collection[str] = program.kinds[0]
        self.count = 0

    def __call__(self, letter: str) -> Name:
        while True:
            self.count += 1  # so that no name comes twice
            name = Name(f"{letter}{self.count}")
            if name not in self.taken:
                return name


def order_of(index: Any) -> tuple[int, ...]:
    parts = index if type(index) is tuple else (index,)
    return tuple(p if type(p) is int else (p.start or 0) if type(p) is slice else 0 for p in parts)


__all__ = ["ADD_AT", "COPY", "FEWEST", "PLACE", "Namer", "order_of"]
