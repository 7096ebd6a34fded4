"""Primitives of one's own: a function of arrays, made differentiable by its derivative rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from . import ops
from .checking import check_gradients
from .errors import GradientError
from .tensor import Primitive, Rule, constant


def primitive(*rules: Rule | None, name: str | None = None, kind: str = "general", symbol: str | None = None,
              samples: Sequence[tuple[Any, ...]] = ()) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function of arrays differentiable by giving its derivative rules; a decorator, or a call.

    rules : one per operand, `rule(g, y, *operands, **params)` giving dJ/d(operand) from g = dJ/dy and the output y, in
    array algebra; None where there is no derivative. kind : "pointwise" for entrywise functions (the engine sums what
    was broadcast), "linear", "multilinear", or "general". Forward mode and higher orders come from the same rules.
    samples : tuples of arguments at which the rules are checked against differences right away.

    >>> import numpy as np, tinygrad_edu as tg
    >>> @tg.primitive(lambda g, y, x: g * y, samples=[(0.5,), ([1.0, 2.0],)])
    ... def my_exp(x):
    ...     return np.exp(x)
    >>> tg.grad(my_exp)(0.0)
    np.float64(1.0)
    """
    if kind not in ("pointwise", "linear", "multilinear", "general"):
        raise ValueError(f'primitive: kind={kind!r}: write "pointwise", "linear", "multilinear" or "general".')
    if not rules or not all(rule is None or callable(rule) for rule in rules):
        raise TypeError("primitive: give one derivative rule per operand first: "
                        "@tg.primitive(lambda g, y, x: g * y), then the function.")

    def declare(forward: Callable[..., Any]) -> Callable[..., Any]:
        own_name = str(name or getattr(forward, "__name__", "primitive"))

        def array_forward(*arrays: Any, **params: Any) -> Any:
            y = forward(*arrays, **params)
            if not isinstance(y, (ndarray, np.generic)):
                y = np.asarray(y)[()]  # a Python number, or a list of numbers
            if y.dtype.kind not in "fcb":
                y = y.astype(np.float64) if y.dtype.kind in "iu" else constant(y, own_name)
            return y

        op = Primitive(own_name, array_forward, *rules, kind=kind, symbol=symbol)

        def function(*operands: Any, **params: Any) -> Any:
            if len(operands) != len(rules):
                raise TypeError(f"{own_name}: {len(operands)} operands, but {len(rules)} derivative rules were given. Pass "
                                "what is not differentiated by keyword.")
            return op(*[ops.inputs.as_array(x, own_name) for x in operands], **params)

        function.__name__ = function.__qualname__ = own_name
        function.__doc__ = getattr(forward, "__doc__", None)
        for sample in samples:
            check = check_gradients(function, *sample)
            if not check.ok:
                raise GradientError(f"primitive {own_name}: a rule disagrees with differences at {sample}: {check!r}")
        return function

    return declare
