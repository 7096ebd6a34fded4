"""Primitives of one's own: a function of arrays, made differentiable by its derivative rules."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from . import ops
from .backprop import Graph, fit_recorded, pull, pull_recorded
from .calculus import jvp as directional
from .calculus import vjp
from .checking import check_gradients
from .errors import DTypeError, GradientError, ShapeError
from .modes import always_record, here
from .rules import TABLE
from .rules.shapes import broadcast_to
from .tensor import Primitive, Rule, Tensor, constant, leaf, next_id


def primitive(*rules: Rule | None, name: str | None = None, kind: str = "general", symbol: str | None = None,
              samples: Sequence[tuple[Any, ...]] = (), jvp: Rule | Sequence[Rule | None] | None = None,
              ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function of arrays differentiable by giving its derivative rules; a decorator, or a call.

    rules : one per operand, `rule(g, y, *operands, **params)` giving dJ/d(operand) from g = dJ/dy and the output y, in
    array algebra; None where there is no derivative. jvp : the same for forward mode, one rule or a sequence of one per
    operand, `rule(t, y, *operands, **params)` giving the part of y's tangent that comes from t, that operand's tangent.
    Either suffices: the missing one is the transpose of the other, which is linear in g or t. Higher orders come from the
    same rules. kind : "pointwise" for entrywise functions (the engine sums what was broadcast), "linear", "multilinear",
    or "general". samples : tuples of arguments at which the rules are checked against differences, and both against
    each other, right away.

    >>> import numpy as np, tinygrad_edu as tg
    >>> @tg.primitive(lambda g, y, x: g * y, samples=[(0.5,), ([1.0, 2.0],)])
    ... def my_exp(x):
    ...     return np.exp(x)
    >>> tg.grad(my_exp)(0.0)
    np.float64(1.0)
    >>> norm2 = tg.primitive(jvp=lambda t, y, x: 2 * tg.sum(x * t), name="norm2")(lambda x: np.sum(x * x))
    >>> tg.grad(norm2)([1.0, 2.0])
    array([2., 4.])
    """
    if kind not in ("pointwise", "linear", "multilinear", "general"):
        raise ValueError(f'primitive: kind={kind!r}: write "pointwise", "linear", "multilinear" or "general".')
    forwards: Sequence[Rule | None] = () if jvp is None else (jvp,) if callable(jvp) else tuple(jvp)
    if not (rules or forwards) or not all(rule is None or callable(rule) for rule in (*rules, *forwards)):
        raise TypeError("primitive: give one derivative rule per operand first: "
                        "@tg.primitive(lambda g, y, x: g * y), then the function.")
    if rules and forwards and len(rules) != len(forwards):
        raise TypeError(f"primitive: {len(rules)} rules and {len(forwards)} rules in jvp. Give one per operand in each, or "
                        "leave one of them out.")
    if forwards and kind in ("linear", "multilinear"):
        raise TypeError(f'primitive: kind="{kind}" says that the function itself carries tangents forward. Leave jvp out, or '
                        'write kind="general".')
    count = len(rules or forwards)

    def declare(forward: Callable[..., Any]) -> Callable[..., Any]:
        own_name = str(name or getattr(forward, "__name__", "primitive"))

        def array_forward(*arrays: Any, **params: Any) -> Any:
            y = forward(*arrays, **params)
            if not isinstance(y, (ndarray, np.generic)):
                y = np.asarray(y)[()]  # a Python number, or a list of numbers
            if y.dtype.kind not in "fcb":
                y = y.astype(np.float64) if y.dtype.kind in "iu" else constant(y, own_name)
            return y

        array_forward.is_own = True  # type: ignore[attr-defined]  # how the readers know that no table has its NumPy code
        given = tuple(None if rule is None else _checked(rule, i, own_name) for i, rule in enumerate(rules))
        backwards = given or tuple(None if rule is None else _transpose(rule, i) for i, rule in enumerate(forwards))
        # readers and compilers go by name: one's own sigmoid is not the engine's
        taken = own_name in TABLE or hasattr(ops, own_name) or hasattr(np, own_name)
        op = Primitive(f"own_{own_name}" if taken else own_name, array_forward, *backwards, kind=kind, symbol=symbol,
                       tangent=_sum_of(forwards) if forwards else None)

        def function(*operands: Any, **params: Any) -> Any:
            if len(operands) != count:
                raise TypeError(f"{own_name}: {len(operands)} operands, but {count} derivative rules were given. Pass "
                                "what is not differentiated by keyword.")
            return op(*[ops.inputs.as_array(x, own_name) for x in operands], **params)

        function.__name__ = function.__qualname__ = own_name
        function.__doc__ = getattr(forward, "__doc__", None)
        for sample in samples:
            check = check_gradients(function, *sample)
            if not check.ok:
                raise GradientError(f"primitive {own_name}: a rule disagrees with differences at {sample}: {check!r}")
            if rules and forwards:
                _compare_modes(function, sample, own_name)
        return function

    return declare


def _checked(rule: Rule, which: int, name: str) -> Rule:
    """A rule whose result is looked at: real numbers, in a shape that the operand's gradient can be made of."""

    @functools.wraps(rule)
    def checked(g: Any, y: Any, *operands: Any, **params: Any) -> Any:
        d = rule(g, y, *operands, **params)
        if d is None or type(d) is Tensor:
            dtype, shape = np.dtype(float), getattr(d, "shape", ())
        else:
            dtype, shape = np.asarray(d).dtype, np.shape(d)
        if dtype.kind not in "fiub" and not (dtype.kind == "c" and here.complex_step):
            raise DTypeError(f"{name}: the rule of operand {which} gives {dtype}. It must give real numbers, dJ/d(operand).")
        own, full = np.shape(operands[which]), np.shape(y)
        try:
            whole = np.broadcast_shapes(own, shape)
            fits = whole == own or whole in (np.broadcast_shapes(own, full), np.broadcast_shapes(own, np.shape(g)))
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(f"{name}: the rule of operand {which} gives shape {shape}, and the operand has {own}. "
                             "dJ/d(operand) has the operand's shape, as g has that of y.")
        return d

    return checked


def _sum_of(forwards: Sequence[Rule | None]) -> Callable[..., Any]:
    """The tangent of the result: the sum of what each operand's tangent adds."""

    def tangent(moved: Sequence[Any], y: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
        total = None
        for rule, t in zip(forwards, moved, strict=True):
            part = None if rule is None or t is None else rule(t, y, *args, **params)
            if part is not None:
                total = part if total is None else total + part
        return total

    return tangent


def _transpose(rule: Rule, which: int) -> Rule:
    """The backward rule of a forward rule: linear in t, its transpose is its own derivative by t."""

    def transposed(g: Any, y: Any, *operands: Any, **params: Any) -> Any:
        x = operands[which].value if type(operands[which]) is Tensor else operands[which]
        value = y.value if type(y) is Tensor else y
        with always_record():
            since = next_id()
            t = leaf(np.zeros(x.shape, x.dtype)[()])
            out = rule(t, y, *operands, **params)
            if type(out) is not Tensor or not out.requires_grad:
                return None
            out = fit_recorded(out, value)
            graph = Graph([out], [t], since)
            grads: dict[Tensor, Any] = {out: g if g.shape == value.shape else broadcast_to(g, shape=value.shape)}
            if type(g) is Tensor or any(type(a) is Tensor for a in (y, *operands)):
                grads[out] = grads[out] if type(g) is Tensor else leaf(grads[out], requires_grad=False)
                pull_recorded(graph.nodes, grads, graph.path([t]))
            else:
                pull(graph.nodes, grads, graph.path([t]))
        return grads.get(t)

    return transposed


def _compare_modes(function: Callable[..., Any], sample: tuple[Any, ...], name: str) -> None:
    """⟨g, jvp t⟩ = ⟨vjp g, t⟩ for random g and t: the two rules are of one derivative."""
    rng = np.random.default_rng(0)
    xs = [np.asarray(x, np.float64) for x in sample]
    ts = [np.asarray(rng.uniform(0.5, 1.5, x.shape))[()] for x in xs]
    y, tangent = directional(function, tuple(x[()] for x in xs), tuple(ts))
    g = rng.uniform(0.5, 1.5, np.shape(y))
    left = float(np.sum(g * tangent))
    right = float(sum(np.sum(t * d) for t, d in zip(ts, vjp(function, *[x[()] for x in xs])[1](g[()]), strict=True)))
    if not abs(left - right) <= 1e-9 * (float(np.sum(np.abs(g * tangent))) + abs(right)):
        raise GradientError(f"primitive {name}: the rules and jvp disagree at {sample}: gᵀ(J t) is {left:.10g} by jvp and "
                            f"{right:.10g} by the rules.")
