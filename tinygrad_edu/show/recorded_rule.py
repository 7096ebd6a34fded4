"""The rule of one edge as a record of operations, each of which can be altered: left out, doubled, turned, exchanged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ..modes import always_record
from ..rules import TABLE
from ..tensor import Primitive, Tensor
from .notation import (
    Expression,
    expression,
    number,
    recorded_rule,
    simplified,
    stand_in,
)
from .replay import Edge, Vocabulary, full, plain

# ---------------------------------------------------------------- one rule, recorded, and each operation in it altered

Variant = tuple[float, str, Tensor, Any, Callable[[list[Expression]], Expression]]


class RecordedRule:
    """The rule of one edge, evaluated on stand-ins: what was done to g can be altered step by step, and printed."""

    def __init__(self, edge: Edge, g: Any, words: Vocabulary, gradient: Expression, examples: int = 1) -> None:
        user = edge.user
        assert user.op is not None
        self.edge, self.examples = edge, examples
        self.g, self.y = stand_in(full(g, user)), stand_in(user.value)
        self.operands = [stand_in(plain(a)) if isinstance(plain(a), (ndarray, np.generic)) else a for a in user.args]
        self.result = recorded_rule(user, edge.operand, self.g, self.y, self.operands)
        self.cuts: dict[Tensor, str | Expression] = {self.g: gradient, self.y: words.of(user)}
        for a, x in zip(user.args, self.operands, strict=True):
            if type(x) is Tensor:
                self.cuts[x] = words.of(a)
        self.steps: list[Tensor] = []
        self.along: set[Tensor] = {self.g}
        if type(self.result) is not Tensor:
            return
        waiting, seen = [self.result], {self.result}
        for t in waiting:  # grows as it is read
            for a in t.args:
                if type(a) is Tensor and a not in seen:
                    seen.add(a)
                    waiting.append(a)
        self.used = seen
        self.steps = sorted((t for t in seen if t.op is not None), key=lambda t: t.id)
        for t in self.steps:
            if any(type(a) is Tensor and a in self.along for a in t.args):
                self.along.add(t)
        self.values = {t: plain(t) for t in seen}

    def value(self, a: Any) -> Any:
        """The number or array of an operand in the record."""
        return self.values[a] if type(a) is Tensor else plain(a)

    def again(self, changed: dict[Tensor, Any]) -> Any:
        """The rule's result where some values in it are others."""
        new = dict(changed)
        for t in self.steps:
            if t not in new and any(type(a) is Tensor and a in new for a in t.args):
                values = [new[a] if type(a) is Tensor and a in new else self.value(a) for a in t.args]
                assert t.op is not None
                new[t] = t.op.forward(*values, **(t.params or {}))
        assert type(self.result) is Tensor
        return new.get(self.result, self.value(self.result))

    def shown(self, t: Any, by: Mapping[Tensor, Expression] | None = None) -> Expression:
        """What was recorded up to t, with some parts written otherwise."""
        return tidy(expression(t, {**self.cuts, **(by or {})}))

    def slope(self) -> Expression:
        """The rule without its g: the local derivative."""
        return self.shown(self.result, {self.g: number(1.0)})

    def factor_around(self, t: Tensor) -> Tensor:
        """The outermost value that contains t and does not depend on g: what a person calls the factor."""
        outer = t
        for s in self.steps:
            if s not in self.along and any(a is outer for a in s.args):
                outer = s
        return outer


def tidy(e: Expression) -> Expression:
    """A gate on 1 is its condition."""
    if e.head == "gate" and e.operands[0].is_number(1):
        return e.operands[1]
    return e


def same_head(t: Tensor, operands: Sequence[Expression]) -> Expression:
    assert t.op is not None
    return simplified(Expression(t.op.name, operands, t.shape, t.params, t.op.symbol))


def binary(head: str, a: Expression, b: Expression, shape: tuple[int, ...] = ()) -> Expression:
    op = TABLE[head]
    return simplified(Expression(head, (a, b), shape or np.broadcast_shapes(a.shape, b.shape), {}, op.symbol))


def turned(e: Expression) -> Expression:
    if len(e.shape) < 2:
        return e
    return simplified(Expression("transpose", (e,), (*e.shape[:-2], e.shape[-1], e.shape[-2]), {}))


def variants(rule: RecordedRule, t: Tensor) -> Iterator[Variant]:
    """The ways to get one recorded operation wrong: (rank, kind, place, value, how it is written)."""
    assert t.op is not None
    head, along = t.op.name, t in rule.along
    values = [rule.value(a) for a in t.args]
    on = [type(a) is Tensor and a in rule.along for a in t.args]

    def keep(i: int) -> Callable[[list[Expression]], Expression]:
        return lambda es: es[i]

    if head in ("multiply", "divide") and along and sum(on) == 1:
        p = on.index(True)
        f = 1 - p
        place = t.args[f] if type(t.args[f]) is Tensor else t
        if head == "multiply":
            yield 0.85 if place is not t else 1, "dropped", place, values[p], keep(p)
            yield 2, "twice", place, values[p] * values[f] * values[f], keep(p)
            yield 5, "shown", t, values[p] / values[f], lambda es: binary("divide", es[p], es[f])
            yield 5, "shown", t, values[p] + values[f], lambda es: binary("add", es[p], es[f])
            if rule.examples > 1:  # the same where 1/m comes later
                yield 5, "shown", t, values[p] + values[f] / rule.examples, lambda es: binary("add", es[p], es[f])
        else:
            yield 1, "undivided", place, values[p], keep(p)
            yield 3, "shown", t, values[p] * values[f], lambda es: binary("multiply", es[p], es[f])
            yield 3, "divided twice", place, values[p] / values[f] / values[f], keep(p)
    elif head == "multiply" and not along:
        yield 3, "shown", t, values[1], keep(1)
        yield 3, "shown", t, values[0], keep(0)
        for i in (0, 1) if values[0] is not values[1] else (0,):
            yield 3.5, "shown", t, values[0] * values[1] * values[i], lambda es, i=i: (  # type: ignore[misc]
                binary("multiply", binary("multiply", es[0], es[1]), es[i]) if es[0] is not es[1] else simplified(
                    Expression("constant_power", (es[0],), t.shape, {"exponent": 3})))
    elif head == "divide":
        yield 3, "shown", t, values[0], keep(0)
        yield 3, "shown", t, 1 / values[1], lambda es: binary("divide", number(1), es[1])
        yield 4, "shown", t, values[0] * values[1], lambda es: binary("multiply", es[0], es[1])
        yield 5, "shown", t, values[1] / values[0], lambda es: binary("divide", es[1], es[0])
    elif head in ("add", "subtract"):
        other, sign = ("subtract", -1) if head == "add" else ("add", 1)
        yield 3, "shown", t, values[0] + sign * values[1], lambda es: binary(other, es[0], es[1])
        yield 3, "shown", t, values[0], keep(0)
        yield 3.5, "shown", t, values[1], keep(1)
        if head == "subtract":
            yield 3, "shown", t, -values[1], lambda es: simplified(Expression("negative", (es[1],), es[1].shape))
    elif head == "negative" and not along:
        yield 4, "shown", t, values[0], keep(0)
    elif head == "square":
        yield 3, "shown", t, values[0], keep(0)
        yield 3.5, "shown", t, values[0] ** 3, lambda es: simplified(Expression("constant_power", es, t.shape, {"exponent": 3}))
        yield 5, "shown", t, 2 * values[0], lambda es: binary("multiply", number(2), es[0])
    elif head == "constant_power":
        e = (t.params or {})["exponent"]
        for k in (e + 1, e - 1):
            yield 3, "shown", t, t.op.forward(values[0], exponent=k), lambda es, k=k: simplified(  # type: ignore[misc]
                Expression("constant_power", es, t.shape, {"exponent": k}))
    elif head == "gate":
        yield 1, "dropped", t, values[0], keep(0)
        yield 4, "shown", t, values[0] * ~values[1], lambda es: Expression(
            "multiply", (es[0], Expression("invert", (es[1],), es[1].shape)), t.shape)
    elif head == "where":
        yield 3, "shown", t, values[1], keep(1)
        yield 3, "shown", t, values[2], keep(2)
        yield 4, "shown", t, np.where(values[0], values[2], values[1]), lambda es: same_head(t, [es[0], es[2], es[1]])
    elif head == "matmul":
        yield from _products(t, values)
    elif head in ("sum_to", "sum") and along:
        yield from _sums(t, values[0])
    elif len(t.args) == 1 and not along and t.op.kind == "pointwise" and np.shape(values[0]) == np.shape(rule.value(t)):
        yield 4, "shown", t, values[0], keep(0)
    elif head == "transpose" and np.shape(values[0]) == np.shape(rule.value(t)):
        yield 2, "shown", t, values[0], keep(0)


def _products(t: Tensor, values: list[Any]) -> Iterator[Variant]:
    """A product with its operands turned, exchanged, or multiplied entry by entry."""
    u, v = values
    if np.ndim(u) < 2 or np.ndim(v) < 2:
        return
    for first, second, order in ((u, v, (0, 1)), (v, u, (1, 0))):
        for turn in ((False, False), (True, False), (False, True), (True, True)):
            if order == (0, 1) and turn == (False, False):
                continue
            a = first.mT if turn[0] else first
            b = second.mT if turn[1] else second
            if a.shape[-1] != b.shape[-2] or (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2],
                                              b.shape[-1]) != t.shape:
                continue

            def shown(es: list[Expression], order: Any = order, turn: Any = turn) -> Expression:
                x, y = es[order[0]], es[order[1]]
                return Expression("matmul", (turned(x) if turn[0] else x, turned(y) if turn[1] else y), t.shape)

            yield 2 + 0.25 * (sum(turn) + (order != (0, 1))), "shown", t, a @ b, shown
    n = u.shape[-1]
    if n > 2:
        for cut, which in ((slice(1, None), "first"), (slice(-1), "last")):
            yield 3.6, f"the {which} of the {n} terms of the sum left out", t, u[..., cut] @ v[..., cut, :], lambda es: es[0]
    for turn in ((False, False), (True, False), (False, True)):
        a, b = u.mT if turn[0] else u, v.mT if turn[1] else v
        try:
            value = a * b
        except ValueError:
            continue

        def entrywise(es: list[Expression], turn: Any = turn) -> Expression:
            return Expression("multiply", (turned(es[0]) if turn[0] else es[0], turned(es[1]) if turn[1] else es[1]),
                              t.shape)

        if value.shape == t.shape:
            yield 3 + 0.25 * sum(turn), "shown", t, value, entrywise


def _sums(t: Tensor, x: Any) -> Iterator[Variant]:
    """A sum over other axes, or no sum: one entry alone."""
    assert t.op is not None
    shape = t.shape
    if t.op.name == "sum":
        axis = (t.params or {}).get("axis")
        axes = tuple(range(x.ndim)) if axis is None else tuple(axis)
    else:
        extra = x.ndim - len(shape)
        axes = tuple(i for i, n in enumerate(x.shape) if i < extra or (n != 1 and shape[i - extra] == 1))
    kept = len(shape) == x.ndim
    for i, n in enumerate(x.shape):
        if i not in axes and n > 1:
            others = x.sum(axis=i, keepdims=kept)
            others = others.reshape(shape) if others.size == math.prod(shape) and t.op.name != "sum" else others
            kind = f"the sum over axis {i} in place of axis {', '.join(map(str, axes))}"
            yield 3, kind, t, others, lambda es: es[0]
    if len(axes) == 1:
        (axis,) = axes
        for at, which in ((-1, "last"), (0, "first")):
            one = np.take(x, [at] if kept else at, axis=axis)
            yield 3.5, f"the {which} entry of axis {axis} in place of the sum over it", t, one, lambda es: es[0]
            if x.shape[axis] > 2:
                rest = x.sum(axis=axis, keepdims=kept) - one
                yield 3.6, f"the {which} entry of axis {axis} left out of the sum over it", t, rest, lambda es: es[0]


def written_slope(op: Primitive, params: dict[str, Any], y: Any, x: Any, y_shown: Expression, x_shown: Expression,
                  ) -> Expression:
    """The local derivative of a function of one operand, as its rule writes it."""
    g, y_, x_ = stand_in(np.ones(np.shape(y))), stand_in(y), stand_in(x)
    rule = op.rules[0]
    assert rule is not None
    with always_record(), np.errstate(all="ignore"):
        d = rule(g, y_, x_, **params)
    return tidy(expression(d, {g: number(1.0), y_: y_shown, x_: x_shown}))
