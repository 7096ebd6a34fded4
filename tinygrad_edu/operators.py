"""The shortest way to record: the methods behind `a + b`, `a @ b`, `-a`, and the fronts of one-operand functions.

They do what Primitive.__call__ does, unrolled for one and two operands, because for small arrays and single numbers the
way to the recorded result costs more than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import float64, ndarray

from . import modes
from .errors import DTypeError, explain_failure
from .tensor import LARGE, Primitive, Tensor, constant, in_blocks, leaf, new_object, next_id, paused_here, result

_NUMBERS = frozenset((float, int, bool))


def _kept(op: Primitive, args: tuple[Any, ...], y: Any, tracked: bool) -> Tensor:
    """The result where it is not tracked, or where a mode is on: no_grad, strict shapes, a trace."""
    if modes.traces:
        y = modes.noted(op, args, {}, y)
    if not tracked or (modes.opened and paused_here(op, args, y)):
        return leaf(y, requires_grad=False, why="no_grad" if tracked else "constants")
    return result(y, op, args, None)


def infix(op: Primitive, swapped: bool = False) -> Callable[[Tensor, Any], Any]:
    """The method for `self <op> other`, or for `other <op> self`."""
    forward, symbol = op.forward, op.symbol

    def method(self: Tensor, other: Any) -> Any:
        kind = type(other)
        if kind is Tensor:
            value = other.value
            tracked = self.requires_grad or other.requires_grad
        else:
            if kind not in _NUMBERS:
                try:
                    other = constant(other, op.name)
                except DTypeError:
                    if isinstance(other, (ndarray, str, bytes, complex, np.generic)):
                        raise
                    return NotImplemented
            value = other
            tracked = self.requires_grad
        try:
            y = forward(value, self.value) if swapped else forward(self.value, value)
        except Exception as error:
            args = (other, self) if swapped else (self, other)
            raise explain_failure(op.name, symbol, args, error) from None
        if not tracked or modes.opened:
            return _kept(op, (other, self) if swapped else (self, other), y, tracked)
        t = new_object(Tensor)
        t.value = y
        t.grad = t.params = t.name = None
        t.op = op
        t.args = (other, self) if swapped else (self, other)
        t.id = next_id()
        t.requires_grad = True
        return t

    return method


def prefix(op: Primitive) -> Callable[[Tensor], Any]:
    """The method of one operand."""
    forward, scalar, blocked = op.forward, op.scalar, op.blocked

    def method(self: Tensor) -> Any:
        value = self.value
        if scalar is not None and type(value) is float64:
            try:
                y = float64(scalar(value))
            except (ValueError, OverflowError):  # NumPy gives nan or inf, and warns
                y = forward(value)
        elif blocked and isinstance(value, ndarray) and value.size >= LARGE:
            y = in_blocks(forward, (value,), {})
        else:
            y = forward(value)
        if not self.requires_grad or modes.opened:
            return _kept(op, (self,), y, self.requires_grad)
        return result(y, op, (self,), None)

    return method
