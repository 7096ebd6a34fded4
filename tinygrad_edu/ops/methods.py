"""Tensor's operators and methods."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import ShapeError, ShapeWarning, name_of, variable_names
from ..modes import strict
from ..operators import infix, prefix
from ..rules import pointwise, products, shapes
from ..tensor import Tensor
from .assignment import set_item
from .inputs import value_of
from .numpy_only import _divmod
from .numpy_protocols import array_function, array_ufunc, on_values
from .pointwise import absolute, equal, greater, greater_equal, less, less_equal, not_equal, power, round, swapped_power
from .selecting import getitem
from .shapes import copy, matrix_transpose, ravel, reshape


def _T(t: Tensor) -> Tensor:  # noqa: N802 - NumPy's name
    """The transpose; of a rank-1 array, itself, with a warning (strict_shapes makes it an error)."""
    if t.value.ndim == 1:
        name = name_of(t, variable_names(), "this")
        text = (f"{name}.T: {name} has shape {t.shape}, a rank-1 array, which .T leaves as it is. Use "
                f"{name}.col() for a column ({t.size}, 1), or {name}.row() for a row (1, {t.size}).")
        if strict():
            raise ShapeError(text)
        warnings.warn(text, ShapeWarning, stacklevel=2)
        return t
    return shapes.transpose(t) if t.value.ndim else t


def _mT(t: Tensor) -> Tensor:  # noqa: N802 - NumPy's name
    """The transpose of each matrix: the last two axes exchanged."""
    return shapes.transpose(t) if t.value.ndim == 2 else matrix_transpose(t)  # type: ignore[no-any-return]


def _col(t: Tensor) -> Tensor:
    """The entries as a column, shape (n, 1)."""
    return reshape(t, (t.size, 1))  # type: ignore[no-any-return]


def _row(t: Tensor) -> Tensor:
    """The entries as a row, shape (1, n)."""
    return reshape(t, (1, t.size))  # type: ignore[no-any-return]


def _flatten(t: Tensor) -> Tensor:
    """The entries in one row, a copy."""
    return copy(t) if t.value.ndim == 1 else ravel(t)  # type: ignore[no-any-return]


def _iterate(t: Tensor) -> Any:
    if not t.value.ndim:
        raise TypeError("iteration over a 0-dimensional Tensor. Use float(t) for its value.")
    return (getitem(t, i) for i in range(t.value.shape[0]))


# what other libraries call it -> what to write here
_ELSEWHERE = {
    "view": "t.reshape(...)", "unsqueeze": "t.expand_dims(axis)", "permute": "t.transpose(...)", "clone": "t.copy()",
    "clamp": "t.clip(low, high)", "norm": "np.linalg.norm(t)", "t": "t.T", "dim": "t.ndim", "pow": "t**p",
    "cpu": "t, which is on the CPU", "cuda": "t: this engine works on the CPU", "double": "t.astype(np.float64)",
    "float": "t.astype(np.float32)", "cat": "np.concatenate([...])", "fill": "t.data = np.full(t.shape, value)",
    "requires_grad_": "t.requires_grad = True, or Tensor(t.data)", "data_ptr": "t.data.ctypes.data",
    "topk": "tg.topk(t, k)", "median": "np.median(t)", "quantile": "np.quantile(t, q)",
    "scatter": "tg.scatter(t, axis, index, src)",
    "scatter_add": "tg.scatter_add(t, axis, index, src)", "partition": "np.partition(t, kth)", "diff": "np.diff(t)",
    "nonzero": "np.nonzero(t)", "argpartition": "np.argpartition(t, k)", "sub": "a - b", "mul": "a * b", "add": "a + b",
    "is_integer": "t == np.floor(t)",
    "div": "a / b", "mm": "a @ b", "bmm": "a @ b", "retain_grad": "t.grad: every result keeps its gradient",
}


def _elsewhere(name: str, here: str) -> property:
    """An attribute that is not there, and says what is. (A __getattr__ would slow down every attribute of Tensor.)"""

    def refuse(t: Tensor) -> Any:
        raise AttributeError(f"Tensor has no attribute {name!r}. Write {here}.")

    return property(refuse)


def install(families: Iterable[ModuleType]) -> None:
    """Make the front doors operators and methods of Tensor."""
    operators = {
        "add": pointwise.add, "sub": pointwise.subtract, "mul": pointwise.multiply, "truediv": pointwise.divide,
        "floordiv": pointwise.floor_divide, "mod": pointwise.remainder, "matmul": products.matmul,
    }
    for name, op in operators.items():
        setattr(Tensor, f"__{name}__", infix(op))
        setattr(Tensor, f"__r{name}__", infix(op, swapped=True))
    methods: dict[str, Any] = {
        "__pow__": power, "__rpow__": swapped_power, "__neg__": prefix(pointwise.negative),
        "__pos__": prefix(pointwise.positive), "__abs__": absolute, "__round__": round,
        "__divmod__": _divmod, "__rdivmod__": lambda t, other: _divmod(other, t),
        "__gt__": greater, "__ge__": greater_equal, "__lt__": less, "__le__": less_equal,
        "__eq__": equal, "__ne__": not_equal,
        "__getitem__": getitem, "__setitem__": set_item, "__iter__": _iterate,
        "__contains__": lambda t, x: bool(np.any(t.value == value_of(x))),
        "__array_ufunc__": array_ufunc, "__array_function__": array_function,
        "__invert__": lambda t: ~t.value,
        "T": property(_T), "mT": property(_mT), "real": property(copy), "conjugate": copy,
        "col": _col, "row": _row, "flatten": _flatten,
    }
    for name, ufunc in (("and", np.bitwise_and), ("or", np.bitwise_or), ("xor", np.bitwise_xor)):  # of truth values
        methods[f"__{name}__"] = methods[f"__r{name}__"] = on_values(ufunc)
    own = (
        "sum mean max min prod var std any all argmax argmin cumsum cumprod ptp trace "
        "reshape ravel transpose swapaxes squeeze repeat diagonal dot astype clip round take sort argsort copy conj "
        "searchsorted "
        "exp log sqrt square abs sin cos tan tanh sigmoid relu leaky_relu elu gelu silu softplus softmax log_softmax "
        "logsumexp matmul expand_dims flip roll tile broadcast_to reciprocal erf log_sigmoid"
    )
    for name in own.split():
        methods[name] = next(getattr(family, name) for family in families if hasattr(family, name))
    for name, here in _ELSEWHERE.items():
        setattr(Tensor, name, _elsewhere(name, here))
    for name, function in methods.items():
        setattr(Tensor, name, function)
