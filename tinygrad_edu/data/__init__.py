"""Examples to learn from: files, generated sets, real sets; split, standardised, and given out in mini-batches.

>>> from tinygrad_edu import data
>>> X, Y = data.iris()
>>> (X_train, Y_train), (X_test, Y_test) = data.split(X, Y, (0.8, 0.2), rng=0, stratify=True)
>>> X_train, X_test = data.standardise(X_train, X_test)
>>> for x, y in data.batches(X_train, data.one_hot(Y_train), size=50, rng=0):
...     print(x.shape, y.shape)
(50, 4) (50, 3)
(50, 4) (50, 3)
(20, 4) (20, 3)
"""

from .batches import Batches, batches
from .dataset import DataSet
from .files import read_csv, read_idx, read_mnist, read_npy, read_npz
from .generated import blobs, circles, flower, moons, spirals, xor
from .pictures import read_images
from .preparing import Standardiser, class_indices, flatten_images, one_hot, split, standardise
from .real import breast_cancer, diabetes, digits, iris, wine

__all__ = [
    "Batches",
    "DataSet",
    "Standardiser",
    "batches",
    "blobs",
    "breast_cancer",
    "circles",
    "class_indices",
    "diabetes",
    "digits",
    "flatten_images",
    "flower",
    "iris",
    "moons",
    "one_hot",
    "read_csv",
    "read_idx",
    "read_images",
    "read_mnist",
    "read_npy",
    "read_npz",
    "spirals",
    "split",
    "standardise",
    "wine",
    "xor",
]
