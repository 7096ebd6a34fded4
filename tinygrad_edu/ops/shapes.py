"""The same entries in another shape, order or dtype."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.exceptions import AxisError

from ..errors import DTypeError, ShapeError, UnsupportedError
from ..modes import recording
from ..rules import pointwise, shapes
from ..tensor import Tensor, leaf
from .inputs import Axis, as_array, axes_of, one_axis, operand

__all__ = [
    "astype", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_arrays", "broadcast_to", "copy",
    "expand_dims", "matrix_transpose", "moveaxis", "permute_dims",
    "ravel", "reshape", "rollaxis", "squeeze", "swapaxes", "transpose",
]


def _shape_given(parts: tuple[Any, ...]) -> Any:
    """reshape(2, 3) or reshape((2, 3))."""
    return parts[0] if len(parts) == 1 else parts


def reshape(x: Any, *shape: Any, order: str = "C") -> Any:
    """The same entries in another shape, as reshape(x, (2, 3)); one size may be −1.

    Raises ShapeError where the numbers of entries differ.

    >>> import tinygrad_edu as tg
    >>> tg.reshape(tg.Tensor([1.0, 2.0, 3.0]), (3, 1)).shape
    (3, 1)
    """
    x = as_array(x, "reshape")
    if order != "C":
        raise UnsupportedError(f"reshape: order={order!r} is not recorded. Use transpose before and after, or order='C'.")
    wanted = _shape_given(shape)
    wanted = (int(wanted),) if isinstance(wanted, (int, np.integer)) else tuple(int(n) for n in wanted)
    sizes = [n for n in wanted if n != -1]
    known = math.prod(sizes)
    if len(wanted) - len(sizes) > 1 or known < 0:
        raise ShapeError(f"reshape: {wanted}: at most one size may be -1, the others count entries.")
    if len(sizes) < len(wanted):
        if not known or x.size % known:
            raise ShapeError(f"reshape: {x.size} entries of shape {tuple(x.shape)} do not fill {wanted}: the sizes "
                             f"given make {known}.")
        wanted = tuple(x.size // known if n == -1 else n for n in wanted)
    elif known != x.size:
        raise ShapeError(f"reshape: {tuple(x.shape)} has {x.size} entries, {wanted} has {known}. "
                         "Let one size be -1 to have it worked out.")
    return x if wanted == tuple(x.shape) else shapes.reshape(x, shape=wanted)


def ravel(x: Any, order: str = "C") -> Any:
    """All entries in one axis, row by row (order "C", the only one recorded).

    >>> import tinygrad_edu as tg
    >>> tg.ravel(tg.Tensor([[1.0, 2.0]])).shape
    (2,)
    """
    return reshape(x, (-1,), order=order) if as_array(x).size else reshape(x, (0,))


def transpose(x: Any, *axes: Any) -> Any:
    """The axes in another order: reversed by default, or as given, `transpose(x, (1, 0, 2))`.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.transpose(np.ones((2, 3))).shape
    (3, 2)
    """
    x = as_array(x, "transpose")
    order = axes if len(axes) > 1 or (axes and isinstance(axes[0], (int, np.integer))) else axes[0] if axes else None
    if order is None or x.ndim < 2:
        return x if x.ndim < 2 else shapes.transpose(x)
    wanted = tuple(one_axis(x, i, "transpose") for i in order)
    if len(wanted) != x.ndim or len(set(wanted)) < x.ndim:
        raise ShapeError(f"transpose: axes {tuple(order)} for shape {tuple(x.shape)}: name each of the {x.ndim} axes once.")
    return shapes.transpose(x, **({} if wanted == tuple(reversed(range(x.ndim))) else {"axes": wanted}))


permute_dims = transpose


def matrix_transpose(x: Any) -> Any:
    """Swap the last two axes.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.matrix_transpose(np.ones((5, 2, 3))).shape
    (5, 3, 2)
    """
    x = as_array(x, "matrix_transpose")
    if x.ndim < 2:
        raise ShapeError(f"matrix_transpose: shape {tuple(x.shape)} has no two axes. Use .reshape(-1, 1) for a column.")
    return swapaxes(x, -1, -2)


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Exchange two axes.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.swapaxes(np.ones((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    x = as_array(x, "swapaxes")
    i, j = one_axis(x, axis1, "swapaxes"), one_axis(x, axis2, "swapaxes")
    order = list(range(x.ndim))
    order[i], order[j] = j, i
    return transpose(x, order)


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Move axes to new places; the others keep their order.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.moveaxis(np.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    x = as_array(x, "moveaxis")
    start, end = (
        [one_axis(x, int(i), "moveaxis") for i in ([given] if isinstance(given, (int, np.integer)) else given)]
        for given in (source, destination)
    )
    if len(start) != len(end):
        raise ValueError(f"moveaxis: {len(start)} axes to move, {len(end)} places given. Give as many of each.")
    order = [i for i in range(x.ndim) if i not in start]
    for place, i in sorted(zip(end, start, strict=True)):
        order.insert(place, i)
    return transpose(x, order)


def rollaxis(x: Any, axis: int, start: int = 0) -> Any:
    """Move an axis back until it stands before position `start` (prefer moveaxis).

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.rollaxis(np.ones((2, 3, 4)), 2).shape
    (4, 2, 3)
    """
    x = as_array(x, "rollaxis")
    axis = one_axis(x, axis, "rollaxis")
    start = start + x.ndim if start < 0 else start
    return moveaxis(x, axis, start - 1 if axis < start else start)


def squeeze(x: Any, axis: Axis = None) -> Any:
    """Drop axes of size 1.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.squeeze(np.ones((1, 3, 1))).shape
    (3,)
    """
    x = as_array(x, "squeeze")
    axes = axes_of(x, axis, "squeeze")
    drop = tuple(i for i, n in enumerate(x.shape) if n == 1) if axes is None else axes
    if builtins.any(x.shape[i] != 1 for i in drop):
        raise ShapeError(f"squeeze: axis {axis} of shape {tuple(x.shape)} has a size other than 1.")
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in drop))


def _new_axes(axes: Sequence[int], ndim: int, where: str) -> tuple[int, ...]:
    """Places of new axes in a result with ndim axes."""
    for i in axes:
        if not -ndim <= i < ndim:
            raise AxisError(f"{where}: axis {i} is out of bounds for a result with {ndim} axes. Axes run from {-ndim} to "
                            f"{ndim - 1}.")
    return axes_of(np.empty((0,) * ndim), axes, where) or ()


def expand_dims(x: Any, axis: Axis) -> Any:
    """Insert axes of size 1 at the given places of the result.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.expand_dims(np.ones(3), 1).shape
    (3, 1)
    """
    x = as_array(x, "expand_dims")
    given = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis or ())
    ndim = x.ndim + len(given)
    places = _new_axes(given, ndim, "expand_dims")
    sizes = iter(x.shape)
    return reshape(x, tuple(1 if i in places else next(sizes) for i in range(ndim)))


def _at_least(ndim: int, name: str) -> Any:
    def one(x: Any) -> Any:
        x = as_array(x, name)
        if x.ndim >= ndim:
            return x
        if x.ndim == 0:
            return reshape(x, (1,) * ndim)
        if ndim == 2:
            return reshape(x, (1, *x.shape))
        return reshape(x, (1, x.shape[0], 1) if x.ndim == 1 else (*x.shape, 1))

    def function(*xs: Any) -> Any:
        return one(xs[0]) if len(xs) == 1 else tuple(one(x) for x in xs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""View as an array with at least {ndim} axes; several arguments give a tuple.

    >>> import tinygrad_edu as tg
    >>> tg.{name}(tg.Tensor(3.0)).ndim
    {ndim}
    """
    return function


atleast_1d, atleast_2d, atleast_3d = (_at_least(n, f"atleast_{n}d") for n in (1, 2, 3))


def broadcast_to(x: Any, shape: Any) -> Any:
    """Repeat along axes of size 1 and new leading axes until the shape is reached. Gradients are summed back.

    Raises ShapeError where x's shape does not broadcast.

    >>> import tinygrad_edu as tg
    >>> tg.broadcast_to(tg.Tensor([1.0, 2.0]), (3, 2)).shape
    (3, 2)
    """
    x = as_array(x, "broadcast_to")
    wanted = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(n) for n in shape)
    if x.ndim > len(wanted) or builtins.any(
        n not in (1, m) for n, m in zip(reversed(x.shape), reversed(wanted), strict=False)
    ):
        raise ShapeError(f"broadcast_to: shape {tuple(x.shape)} does not broadcast to {wanted}: aligned from the right, "
                         "each size must be equal or 1.")
    return x if tuple(x.shape) == wanted else shapes.broadcast_to(x, shape=wanted)


def broadcast_arrays(*xs: Any) -> Any:
    """All operands broadcast to their common shape.

    >>> import tinygrad_edu as tg
    >>> [x.shape for x in tg.broadcast_arrays(tg.Tensor(1.0), [1.0, 2.0])]
    [(2,), (2,)]
    """
    arrays = [as_array(x, "broadcast_arrays") for x in xs]
    shape = np.broadcast_shapes(*[x.shape for x in arrays])
    return tuple(broadcast_to(x, shape) for x in arrays)


def copy(x: Any) -> Any:
    """The same value as a new recorded result; the gradient passes through.

    >>> import tinygrad_edu as tg
    >>> tg.copy(tg.Tensor(2.0))
    Tensor(2.0)
    """
    return _copied(operand(x, "copy"))


def _copied(x: Any) -> Any:
    if type(x) is Tensor and not (x.requires_grad and recording()):  # a constant may be assigned into: its own array
        return leaf(np.array(x.value, subok=True) if x.ndim else x.value, requires_grad=False,
                    why="no_grad" if x.requires_grad else "constants")
    return pointwise.identity(x)


def astype(x: Any, dtype: Any, copy: bool = True) -> Any:
    """Convert to another floating-point type; the gradient is converted back. Integer types give a constant.

    The result is a new Tensor also where the dtype is x's already, unless copy=False, or x is a leaf whose gradient is
    wanted, which is never changed in place.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.Tensor(2.5).astype(np.float32).dtype
    dtype('float32')
    """
    x, dtype = as_array(x, "astype"), np.dtype(dtype)
    if type(x) is not Tensor:
        return x.astype(dtype)
    if dtype.kind == "f":
        if dtype == x.dtype:  # what may be assigned into is copied, as in NumPy
            return x if not copy or (x.op is None and x.requires_grad) else _copied(x)
        return shapes.astype(x, dtype=dtype)
    if dtype.kind not in "iub":
        raise DTypeError(f"astype: dtype {dtype} cannot be differentiated. Use float64 or float32.")
    return leaf(x.value.astype(dtype), requires_grad=False, why="integer")
