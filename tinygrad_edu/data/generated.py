"""Sets made by formulas: two features, so that they can be drawn, and harder or easier to tell apart.

`rng` is a np.random.Generator or a seed; by default the seed 0, so that the same call gives the same set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .batches import generator
from .dataset import DataSet


def _shares(m: int, classes: int, where: str) -> list[int]:
    if m < classes:
        raise ValueError(f"{where}: m={m} examples are too few for {classes} classes.")
    return [m // classes + (k < m % classes) for k in range(classes)]


def _made(parts: list[Any], noise: float, source: np.random.Generator, name: str) -> DataSet:
    """The classes put together, blurred and mixed."""
    if not noise >= 0:
        raise ValueError(f"{name}: noise={noise!r} is a standard deviation and should not be negative.")
    X = np.concatenate(parts).astype(np.float64)
    Y = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    if noise:
        X = X + source.normal(scale=noise, size=X.shape)
    order = source.permutation(len(X))
    return DataSet(X[order], Y[order], ("x1", "x2")[: X.shape[1]] if X.shape[1] <= 2 else (),
                   tuple(str(k) for k in range(len(parts))), name=name)


def moons(m: int = 200, noise: float = 0.1, rng: Any = 0) -> DataSet:
    """Two half circles, each reaching into the other: no straight line parts them. X (m, 2), Y 0 or 1.

    >>> from tinygrad_edu import data
    >>> data.moons(200)
    moons: X (200, 2) float64, Y (200,) int64, classes 0, 1
    """
    source = generator(rng, "moons")
    a, b = (np.linspace(0, np.pi, n) for n in _shares(m, 2, "moons"))
    upper = np.stack([np.cos(a), np.sin(a)], axis=1)
    lower = np.stack([1 - np.cos(b), 0.5 - np.sin(b)], axis=1)
    return _made([upper, lower], noise, source, "moons")


def circles(m: int = 200, noise: float = 0.08, factor: float = 0.5, rng: Any = 0) -> DataSet:
    """A circle of radius 1 around one of radius `factor`. X (m, 2), Y 0 outside, 1 inside.

    >>> from tinygrad_edu import data
    >>> X, Y = data.circles(100, noise=0)
    >>> bool((((X ** 2).sum(axis=1) < 0.6) == (Y == 1)).all())
    True
    """
    source = generator(rng, "circles")
    parts = []
    for radius, n in zip((1.0, factor), _shares(m, 2, "circles"), strict=True):
        angle = np.arange(n) * (2 * np.pi / n)
        parts.append(radius * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return _made(parts, noise, source, "circles")


def spirals(m: int = 300, noise: float = 0.03, classes: int = 2, turns: float = 1.0, rng: Any = 0) -> DataSet:
    """Arms that wind around each other from the middle outwards, `turns` times. X (m, 2), Y the arm.

    >>> from tinygrad_edu import data
    >>> data.spirals(300, classes=3)
    spirals: X (300, 2) float64, Y (300,) int64, classes 0, 1, 2
    """
    source = generator(rng, "spirals")
    parts = []
    for k, n in enumerate(_shares(m, classes, "spirals")):
        radius = np.linspace(0.1, 1, n)
        angle = 2 * np.pi * (turns * radius + k / classes)
        parts.append(radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return _made(parts, noise, source, "spirals")


def flower(m: int = 400, noise: float = 0.2, petals: int = 8, rng: Any = 0) -> DataSet:
    """A planar flower: the rose r = 4 sin(petals/2 · φ), one class for φ from 0 to π and the other from π to 2π.

    Where r is negative a point lies on the other side, so each class has petals all round. Angle and radius are both
    blurred by `noise`. X (m, 2), Y 0 or 1. `petals` is even.

    >>> from tinygrad_edu import data
    >>> data.flower(400)
    flower: X (400, 2) float64, Y (400,) int64, classes 0, 1
    """
    source = generator(rng, "flower")
    parts = []
    for k, n in enumerate(_shares(m, 2, "flower")):
        angle = np.pi * (k + np.linspace(0, 1, n)) + source.normal(scale=noise, size=n)
        radius = 4 * np.sin(petals / 2 * angle) + source.normal(scale=noise, size=n)
        parts.append(radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1))
    return _made(parts, 0.0, source, "flower")


def xor(m: int = 4, noise: float = 0.0, rng: Any = 0) -> DataSet:
    """The corners of the unit square, opposite ones alike: Y = x1 xor x2. With m = 4 and no noise the truth table.

    >>> from tinygrad_edu import data
    >>> X, Y = data.xor()
    >>> sorted((int(a), int(b), int(y)) for (a, b), y in zip(X, Y))
    [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)]
    """
    source = generator(rng, "xor")
    same, different = _shares(m, 2, "xor")
    corners = [np.array([[0, 0], [1, 1]]), np.array([[0, 1], [1, 0]])]
    return _made([corners[k][np.arange(n) % 2] for k, n in enumerate((same, different))], noise, source, "xor")


def blobs(m: int = 300, centers: int | Sequence[Sequence[float]] = 3, spread: float = 1.0, features: int = 2,
          rng: Any = 0) -> DataSet:
    """Round clouds with standard deviation `spread` around given centres, or around so many at random in [−10, 10]ⁿ.

    >>> from tinygrad_edu import data
    >>> data.blobs(90, centers=[(0, 0), (5, 5)])
    blobs: X (90, 2) float64, Y (90,) int64, classes 0, 1
    """
    source = generator(rng, "blobs")
    if isinstance(centers, (int, np.integer)):
        middles = source.uniform(-10, 10, size=(int(centers), features))
    else:
        middles = np.asarray(centers, dtype=np.float64)
        if middles.ndim != 2:
            raise ValueError(f"blobs: centers have shape {middles.shape}. Give a number, or one point for each class.")
    parts = [np.tile(c, (n, 1)) for c, n in zip(middles, _shares(m, len(middles), "blobs"), strict=True)]
    return _made(parts, spread, source, "blobs")
