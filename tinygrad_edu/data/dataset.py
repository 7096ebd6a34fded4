"""What readers and generators return: examples in rows, which unpack as X, Y and turn into columns or images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import ShapeError


@dataclass(frozen=True, eq=False, repr=False)
class DataSet:
    """Examples and their targets, in rows; `X, Y = dataset` unpacks them.

    X : (m, n), one example a row.  Y : (m,) classes or numbers, or None.  features : the names of X's columns, if known.
    classes : the names of the classes 0, 1, ..., if known.  image_shape : (height, width) or (height, width, channels)
    where the examples are images, unrolled in that order.

    >>> from tinygrad_edu import data
    >>> X, Y = data.moons(100)
    >>> X.shape, Y.shape
    ((100, 2), (100,))
    >>> X, Y = data.moons(100).columns()  # as the notes write them
    >>> X.shape, Y.shape
    ((2, 100), (1, 100))
    """

    X: ndarray
    Y: ndarray | None = None
    features: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    image_shape: tuple[int, ...] | None = None
    name: str = "data"

    def __iter__(self) -> Iterator[Any]:
        return iter((self.X, self.Y))

    def columns(self) -> DataSet:
        """The same with an example a column: X (n, m), Y (1, m), as the notes have them."""
        Y = self.Y
        return replace(self, X=np.ascontiguousarray(self.X.reshape(len(self.X), -1).T),
                       Y=None if Y is None else Y.reshape(1, -1) if Y.ndim == 1 else np.ascontiguousarray(Y.T))

    def images(self) -> DataSet:
        """The same with X as images (m, channels, height, width), the layout of conv2d."""
        if self.image_shape is None:
            raise ShapeError(f"images: the examples of {self.name} are no images, as far as is known. Use X.reshape(m, "
                             "channels, height, width) if they are.")
        h, w, *channels = self.image_shape
        X = self.X.reshape(-1, h, w, *(channels or [1])).transpose(0, 3, 1, 2)
        return replace(self, X=np.ascontiguousarray(X))

    def __repr__(self) -> str:
        parts = [f"X {self.X.shape} {self.X.dtype}"]
        if self.Y is not None:
            parts.append(f"Y {self.Y.shape} {self.Y.dtype}")
        if self.classes:
            shown = ", ".join(self.classes[:10]) + (", …" if len(self.classes) > 10 else "")
            parts.append(f"classes {shown}")
        return f"{self.name}: " + ", ".join(parts)
