"""The real sets that scikit-learn ships: no download, nothing to prepare."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import MissingExtraError
from .dataset import DataSet


def _load(name: str) -> Any:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise MissingExtraError(f'{name}: the set comes with scikit-learn, which is not installed. Install it with '
                                'pip install "tinygrad-edu[examples]", or pip install scikit-learn.') from error
    return getattr(datasets, f"load_{name}")()


def _data_set(name: str, regression: bool = False, image_shape: tuple[int, ...] | None = None) -> DataSet:
    found = _load(name)
    Y = np.asarray(found.target, dtype=np.float64 if regression else np.int64)
    classes = () if regression else tuple(str(c) for c in found.target_names)
    return DataSet(np.asarray(found.data, dtype=np.float64), Y, tuple(str(f) for f in found.feature_names), classes,
                   image_shape, name)


def digits() -> DataSet:
    """1797 handwritten digits of 8 × 8 pixels, grey from 0 to 16. X (1797, 64), Y 0 to 9.

    >>> from tinygrad_edu import data
    >>> data.digits().images().X.shape
    (1797, 1, 8, 8)
    """
    return _data_set("digits", image_shape=(8, 8))


def breast_cancer() -> DataSet:
    """569 tumours, 30 measurements of cell nuclei each (Wolberg, Street, Mangasarian 1995). Y 0 malignant, 1 benign.

    >>> from tinygrad_edu import data
    >>> data.breast_cancer()
    breast_cancer: X (569, 30) float64, Y (569,) int64, classes malignant, benign
    """
    return _data_set("breast_cancer")


def iris() -> DataSet:
    """150 irises of three species, four lengths each (Fisher 1936).

    >>> from tinygrad_edu import data
    >>> data.iris().classes
    ('setosa', 'versicolor', 'virginica')
    """
    return _data_set("iris")


def wine() -> DataSet:
    """178 wines of three growers, 13 chemical measurements each (Forina et al. 1988).

    >>> from tinygrad_edu import data
    >>> data.wine().X.shape
    (178, 13)
    """
    return _data_set("wine")


def diabetes() -> DataSet:
    """442 patients, ten centred and scaled measurements each; Y is the progress of the disease after a year, a number.

    From Efron, Hastie, Johnstone and Tibshirani, Least Angle Regression (2004).

    >>> from tinygrad_edu import data
    >>> data.diabetes()
    diabetes: X (442, 10) float64, Y (442,) float64
    """
    return _data_set("diabetes", regression=True)
