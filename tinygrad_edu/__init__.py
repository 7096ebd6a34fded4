"""Automatic differentiation that shows its work.

Write a forward pass in NumPy; every derivative, the drawn graph and the chain rule follow from the record of it.

>>> from tinygrad_edu import Tensor
>>> a, b, c = Tensor(5), Tensor(3), Tensor(2)
>>> J = 3 * (a + b * c)
>>> J.backward()
>>> print(J, a.grad, b.grad, c.grad)
33.0 3.0 6.0 9.0
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import errors, ops
from .calculus import (
    GradientCheck,
    check_gradients,
    elementwise_grad,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    primitive,
    value_and_grad,
    vjp,
)
from .errors import TinygradError
from .nn.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    categorical_cross_entropy,
    cross_entropy,
)
from .memory import keep_freed_memory
from .tensor import Tensor, no_grad, recording, strict_shapes

if TYPE_CHECKING:
    from .show.chain_rule import explain
    from .show.non_finite import find_nan
    from .show.picture import draw
    from .show.scopes import scope

__version__ = "0.1.0"

keep_freed_memory()

# the readers are loaded when first used: a program that only differentiates does not pay for them
_READERS = {
    "draw": "show.picture", "explain": "show.chain_rule", "find_nan": "show.non_finite", "scope": "show.scopes",
}

_FUNCTIONS = [name for name, held in vars(ops).items()
              if callable(held) and getattr(held, "__module__", None) == ops.__name__ and not name.startswith("_")
              and name not in ("operand", "value_of")]
globals().update({name: getattr(ops, name) for name in _FUNCTIONS})

__all__ = [
    "GradientCheck", "Tensor", "TinygradError", "__version__", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "categorical_cross_entropy", "check_gradients", "cross_entropy", "elementwise_grad", "errors", "grad",
    "hessian", "hvp", "jacobian", "jvp", "no_grad", "primitive", "recording", "strict_shapes", "value_and_grad", "vjp",
    *_READERS, *_FUNCTIONS,
]


def __getattr__(name: str) -> Any:
    if name in _READERS:
        from importlib import import_module

        module = import_module(f"{__name__}.{_READERS[name]}")
        value = globals()[name] = getattr(module, name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
