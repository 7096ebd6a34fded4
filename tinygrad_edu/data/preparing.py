"""Examples made ready: split into training and test, standardised, labels as classes and one-hot, images unrolled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import DTypeError, ShapeError
from .batches import examples, generator, together


def split(X: Any, Y: Any = None, parts: Sequence[float] = (0.8, 0.2), *, rng: Any, stratify: bool = False,
          axis: int = 0) -> list[Any]:
    """Cut the examples into parts at random: training and test, or training, validation and test.

    parts : shares that add up to 1, or numbers of examples that add up to all.
    rng : a np.random.Generator or a seed; None, said outright, cuts in the order given (for series in time).
    stratify : give every part the classes in Y in the same proportions, up to one example of each.
    axis : the axis that examples stand along: 0 for rows, 1 for columns.

    Returns a list with (X, Y) for each part, or X alone where there is no Y (a tuple Y gives (X, y1, y2, ...)).

    >>> from tinygrad_edu import data
    >>> X, Y = data.moons(100)
    >>> (X_train, Y_train), (X_test, Y_test) = data.split(X, Y, (0.8, 0.2), rng=0, stratify=True)
    >>> X_train.shape, X_test.shape, int(Y_test.sum())
    ((80, 2), (20, 2), 10)
    """
    arrays = together(X, Y, axis, "split")
    count = arrays[0][0].shape[arrays[0][1]]
    ends = np.cumsum(_sizes(parts, count))
    if rng is None:
        if stratify:
            raise TypeError("split: stratify=True mixes the examples. Give rng=0, or rng=np.random.default_rng(0).")
        pieces = np.split(np.arange(count), ends[:-1])
    else:
        source = generator(rng, "split")
        order = source.permutation(count)
        if stratify:
            if len(arrays) < 2:
                raise TypeError("split: stratify=True needs Y, the classes.")
            order = _evenly(arrays[1][0], arrays[1][1], order, len(parts))
        pieces = np.split(order, ends[:-1])
        if stratify:
            pieces = [source.permutation(piece) for piece in pieces]
    result: list[Any] = []
    for piece in pieces:
        taken = tuple(np.take(x, piece, axis=own) for x, own in arrays)
        result.append(taken if len(taken) > 1 else taken[0])
    return result


def _sizes(parts: Sequence[float], count: int) -> list[int]:
    """How many examples each part gets; shares are rounded so that they add up."""
    if not len(parts) or not all(p > 0 for p in parts):
        raise ValueError(f"split: parts={tuple(parts)}: give shares or numbers above 0, such as (0.8, 0.2).")
    if all(isinstance(p, (int, np.integer)) for p in parts):
        if sum(parts) != count:
            raise ValueError(f"split: parts={tuple(parts)} add up to {sum(parts)}, and there are {count} examples.")
        return [int(p) for p in parts]
    if abs(sum(parts) - 1) > 1e-9:
        raise ValueError(f"split: parts={tuple(parts)} add up to {sum(parts):g}. Shares add up to 1, such as (0.8, 0.2).")
    exact = [p * count for p in parts]
    sizes = [int(x + 1e-9) for x in exact]
    for i in sorted(range(len(parts)), key=lambda i: sizes[i] - exact[i])[: count - sum(sizes)]:
        sizes[i] += 1
    if 0 in sizes:
        raise ValueError(f"split: {count} examples are too few for parts={tuple(parts)}: part {sizes.index(0)} would be empty.")
    return sizes


def _evenly(Y: ndarray, axis: int, order: ndarray, parts: int) -> ndarray:
    """The examples in an order in which every stretch has the classes in the same proportions."""
    labels = np.moveaxis(Y, axis, 0).reshape(Y.shape[axis], -1)[order]
    _, which, counts = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    if counts.min() < parts:
        rare = labels[np.flatnonzero(which.reshape(-1) == counts.argmin())[0]]
        raise ValueError(f"split: class {rare[0] if rare.size == 1 else rare} has {counts.min()} examples for {parts} parts. "
                         "Leave stratify out, or the class. (Numbers that are no classes cannot be stratified.)")
    place = np.empty(len(order))
    for k, n in enumerate(counts):  # n examples of a class are spread evenly over 0 ... 1
        place[which.reshape(-1) == k] = (np.arange(n) + 0.5) / n
    return order[np.argsort(place, kind="stable")]


class Standardiser:
    """(x − mean) / standard deviation, feature by feature: learned from the training set, applied to any.

    A feature that never varies is only centred. axis : the axis that examples stand along: 0 for rows, 1 for columns.

    After `fit`, `mean` and `std` are arrays that broadcast against the examples.

    >>> import numpy as np
    >>> from tinygrad_edu import data
    >>> X_train, X_test = np.array([[1.0, 10.0], [3.0, 30.0]]), np.array([[2.0, 40.0]])
    >>> scale = data.Standardiser().fit(X_train)
    >>> scale(X_test)
    array([[0., 2.]])
    >>> scale.inverse(scale(X_test))
    array([[ 2., 40.]])
    """

    mean: ndarray
    std: ndarray

    def __init__(self, axis: int = 0) -> None:
        self.axis = axis

    def fit(self, X: Any) -> Standardiser:
        """Learn mean and standard deviation of each feature; returns itself."""
        X, axis = self._numbers(X, "fit")
        if not X.shape[axis]:
            raise ShapeError(f"standardise: X {X.shape} has no examples.")
        mean = X.mean(axis=axis, keepdims=True, dtype=np.float64)
        std = X.std(axis=axis, keepdims=True, dtype=np.float64)
        if not np.isfinite(mean).all():
            at = int(np.flatnonzero(~np.isfinite(mean))[0])
            raise ValueError(f"standardise: feature {at} holds nan or infinite numbers. Replace them first: np.nan_to_num(X).")
        constant = X.max(axis=axis, keepdims=True) == X.min(axis=axis, keepdims=True)
        self.mean, self.std = mean.astype(X.dtype), np.where(constant | (std == 0), 1, std).astype(X.dtype)
        return self

    def __call__(self, X: Any) -> Any:
        """The standardised examples."""
        X = self._fitting(X)
        return (X - self.mean) / self.std

    def inverse(self, Z: Any) -> Any:
        """Back to the original units."""
        return self._fitting(Z) * self.std + self.mean

    def _fitting(self, X: Any) -> Any:
        if not hasattr(self, "mean"):
            raise RuntimeError("standardise: nothing is learned yet. Call fit(X_train) first.")
        X, axis = self._numbers(X, "transform")
        wanted = self.mean.shape
        if X.ndim != len(wanted) or any(a != b for i, (a, b) in enumerate(zip(X.shape, wanted, strict=True)) if i != axis):
            raise ShapeError(f"standardise: X has shape {X.shape}, and was learned from examples of shape "
                             f"{wanted[:axis] + ('m',) + wanted[axis + 1:]}.".replace("'", ""))
        return X

    def _numbers(self, X: Any, what: str) -> tuple[Any, int]:
        X, axis = examples(X, self.axis, f"standardise.{what}")
        if X.dtype.kind not in "fiub":
            raise DTypeError(f"standardise: data of dtype {X.dtype} has no mean. Give numbers.")
        return X if X.dtype.kind == "f" else X.astype(np.float64), axis


def standardise(X_train: Any, *others: Any, axis: int = 0) -> Any:
    """Standardise the training set, and others with its mean and standard deviation. Standardiser also goes back.

    >>> import numpy as np
    >>> from tinygrad_edu import data
    >>> X_train, X_test = data.standardise(np.array([[1.0], [3.0]]), np.array([[4.0]]))
    >>> X_train.ravel(), X_test.ravel()
    (array([-1.,  1.]), array([2.]))
    """
    scale = Standardiser(axis).fit(X_train)
    return tuple(scale(X) for X in (X_train, *others)) if others else scale(X_train)


def class_indices(labels: Any, classes: Sequence[Any] | None = None) -> tuple[ndarray, list[Any]]:
    """Labels of any kind as integers 0, 1, ..., and the classes in that order (sorted, unless given).

    labels : (m,), (1, m) or (m, 1).

    >>> from tinygrad_edu import data
    >>> data.class_indices(["cat", "dog", "cat"])
    (array([0, 1, 0]), ['cat', 'dog'])
    """
    given, _ = examples(labels, 0, "class_indices", "labels")
    if given.ndim > 2 or (given.ndim == 2 and 1 not in given.shape):
        raise ShapeError(f"class_indices: labels have shape {given.shape}. Give one label for each example, (m,) or (1, m).")
    given = given.reshape(-1)
    if classes is None:
        found, index = np.unique(given, return_inverse=True)
        return index.reshape(-1), found.tolist()
    place = {label: i for i, label in enumerate(classes)}
    if len(place) != len(classes):
        raise ValueError("class_indices: a class is named twice.")
    unknown = [label for label in dict.fromkeys(given.tolist()) if label not in place]
    if unknown:
        raise ValueError(f"class_indices: label {unknown[0]!r} is none of the classes {list(classes)}.")
    return np.array([place[label] for label in given.tolist()], dtype=np.int64), list(classes)


def one_hot(labels: Any, classes: int | Sequence[Any] | None = None, columns: bool = False, dtype: Any = np.float64) -> ndarray:
    """1 at the class of each example, 0 elsewhere: rows (m, classes), or columns (classes, m) as the notes have them.

    labels : class numbers 0, 1, ..., or any labels, such as text; (m,), (1, m) or (m, 1).
    classes : how many there are, or their names in order; by default those that occur, numbers from 0 to the largest.

    >>> from tinygrad_edu import data
    >>> data.one_hot([2, 0], classes=3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    >>> data.one_hot(["cat", "dog", "cat"], columns=True)
    array([[1., 0., 1.],
           [0., 1., 0.]])
    """
    given, _ = examples(labels, 0, "one_hot", "labels")
    counted = classes is None or isinstance(classes, (int, np.integer))
    if counted and given.dtype.kind in "iub":
        index = given.reshape(-1).astype(np.int64)
        if given.ndim > 2 or (given.ndim == 2 and 1 not in given.shape):
            raise ShapeError(f"one_hot: labels have shape {given.shape}. Give one label for each example, (m,) or (1, m).")
        count = int(classes) if classes is not None else int(index.max(initial=-1)) + 1  # type: ignore[arg-type]
        if index.size and not (index.min() >= 0 and index.max() < count):
            raise ValueError(f"one_hot: labels run from {index.min()} to {index.max()}, and there are {count} classes, 0 to "
                             f"{count - 1}.")
    else:
        if given.dtype.kind == "f":
            raise DTypeError(f"one_hot: labels of dtype {given.dtype} are no classes. Use labels.astype(int).")
        index, names = class_indices(given, None if counted else classes)  # type: ignore[arg-type]
        count = len(names)
        if counted and classes is not None and count != classes:
            raise ValueError(f"one_hot: the labels have {count} classes, not {classes}. Name them: classes={names}.")
    table = np.zeros((count, index.size) if columns else (index.size, count), dtype)
    place = (index, np.arange(index.size)) if columns else (np.arange(index.size), index)
    table[place] = 1
    return table


def flatten_images(images: Any, columns: bool = True) -> ndarray:
    """Images (m, height, width, channels) unrolled into columns (n, m), or rows (m, n).

    >>> import numpy as np
    >>> from tinygrad_edu import data
    >>> data.flatten_images(np.zeros((7, 64, 64, 3))).shape
    (12288, 7)
    """
    found, _ = examples(images, 0, "flatten_images", "images")
    flat = found.reshape(found.shape[0], -1) if found.size else found.reshape(found.shape[0], int(np.prod(found.shape[1:])))
    return flat.T if columns else flat
