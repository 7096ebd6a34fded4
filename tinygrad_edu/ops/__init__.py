"""The functions people call, with NumPy's names, arguments and results: one file per family, as in `rules`.

Each one brings its arguments into the one form the primitives know, and calls them; what can be composed is composed.
On Tensors the call is recorded; on plain arrays it computes, and gives a plain array. The functions are made Tensor's
operators and methods (`methods`), and NumPy's own functions (`np.exp(t)`, `np.dot(w.T, X) + b`) are led here through
NumPy's protocols (`numpy_protocols`, NEP 13 and NEP 18).
"""

from __future__ import annotations

from . import (
    activations,
    arranging,
    assignment,
    attention,
    differences,
    linear_algebra,
    methods,
    normalisations,
    numpy_only,
    numpy_protocols,
    places,
    pointwise,
    products,
    reductions,
    selecting,
    shapes,
    statistics,
    windows,
)
from . import inputs as inputs
from .activations import *
from .arranging import *
from .assignment import *
from .attention import *
from .differences import *
from .linear_algebra import *
from .normalisations import *
from .places import *
from .pointwise import *
from .products import *
from .reductions import *
from .selecting import *
from .shapes import *
from .statistics import *
from .windows import *

FAMILIES = (numpy_only, pointwise, shapes, selecting, assignment, differences, places, statistics, arranging, reductions,
            activations, products, windows, normalisations, attention, linear_algebra)

numpy_protocols.install(FAMILIES)
methods.install(FAMILIES)
