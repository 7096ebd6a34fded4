"""The backward pass walked again, as often as wanted and with any gradient on the way replaced; and what values are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from ..backprop import Graph, fit, pull, seed
from ..tensor import Tensor
from .notation import (
    Expression,
    expression,
    shape_text,
    text,
)

ARITHMETIC = {"add", "subtract", "multiply", "divide", "negative", "positive", "identity", "where", "gate", "square"}
LONGEST = 70  # characters of a factor in a sentence


# ---------------------------------------------------------------- what things are called

@dataclass
class Vocabulary:
    """The student's names: of recorded values, and of constant arrays by id."""

    names: Mapping[Tensor, str]
    constants: Mapping[int, str]

    def of(self, node: Any) -> Expression:
        """A value in terms of what has a name."""
        return expression(node, self.names, self.constants)

    def written(self, node: Tensor) -> str:
        """The same as text, or the operation and its shape where that would be long."""
        found = text(self.of(node))
        return found if len(found) <= LONGEST else f"the {_name_of_operation(node)} of shape {shape_text(node.shape)}"


def _name_of_operation(node: Tensor) -> str:
    return "value" if node.op is None else node.op.name


def short_text(e: Expression) -> str:
    """An expression as text, cut in the middle where it is long."""
    found = text(e)
    return found if len(found) <= LONGEST else f"{found[: LONGEST // 2]} … {found[-LONGEST // 3:]}"


def grouped(e: Expression) -> str:
    """An expression in parentheses, unless it is a single sign."""
    found = short_text(e)
    return found if e.head in ("name", "number") and found[:1] != "−" else f"({found})"


# ---------------------------------------------------------------- the backward pass

class Pass(dict[Tensor, Any]):
    """Gradients during a walk: what arrives at each node is kept, and a fixed one is handed on in its place."""

    def __init__(self, start: Mapping[Tensor, Any], fixed: Mapping[Tensor, Any]) -> None:
        super().__init__(start)
        self.arrived: dict[Tensor, Any] = {}
        self.fixed = fixed

    def pop(self, node: Any, default: Any = None) -> Any:
        g = super().pop(node, default)
        if g is not None:
            self.arrived[node] = g
        return self.fixed.get(node, g)


def full(g: Any, node: Tensor) -> Any:
    """A gradient in its node's shape: the walk carries one number where all entries are equal."""
    if np.shape(g) == node.shape:
        return g
    return np.broadcast_to(g, node.shape)


@dataclass(frozen=True)
class Edge:
    """The way from a result to one of its operands, along which the operand gets a part of its gradient."""

    user: Tensor
    operand: int

    @property
    def to(self) -> Tensor:
        """The operand."""
        return self.user.args[self.operand]  # type: ignore[no-any-return]


class Backward:
    """The recorded graph of a cost, ready to be walked backwards again and again.

    targets : the nodes whose gradients are asked for.
    """

    def __init__(self, root: Tensor, targets: Iterable[Tensor], where: str = "compare") -> None:
        self.root = root
        self.graph = Graph([root])
        self.start = seed(root, None, where)
        self.targets = set(targets)
        self.all = self.graph.depending_on([*self.graph.leaves, *self.targets])
        self.path = self.graph.depending_on(self.targets) & (self.all | self.targets)
        self.nodes = [t for t in self.graph.nodes if t in self.all]
        self.steps = [t for t in self.graph.nodes if t in self.path]
        self.edges: dict[Tensor, list[Edge]] = {}  # into a node
        for user in self.nodes:
            assert user.op is not None
            for i, (a, rule) in enumerate(zip(user.args, user.op.rules_for(len(user.args)), strict=True)):
                if type(a) is Tensor and rule is not None and a in self.all:
                    self.edges.setdefault(a, []).append(Edge(user, i))

    def run(self, fixed: Mapping[Tensor, Any]) -> dict[Tensor, Any]:
        """The gradient that arrives at every node, where some are replaced on the way."""
        grads = Pass({self.root: self.start}, fixed)
        with np.errstate(all="ignore"):
            pull(list(self.nodes), grads, self.all)
        return {**grads, **grads.arrived}

    def spread(self, node: Tensor, change: Any, stop: Mapping[Tensor, Any]) -> dict[Tensor, Any]:
        """What a change of one node's gradient does to the gradients of the targets; it ends at the stops."""
        value = np.asarray(change, node.dtype)
        grads = Pass({node: value if node.ndim else value[()]}, stop)
        below = [t for t in self.steps if t.id <= node.id]
        pull(below, grads, self.path)
        found = {**grads, **grads.arrived}
        return {t: full(found[t], t) for t in self.targets if t in found}

    def part(self, edge: Edge, g: Any) -> Any:
        """The part of the operand's gradient that comes along an edge, from the gradient of the result."""
        user = edge.user
        assert user.op is not None
        rule = user.op.rules_for(len(user.args))[edge.operand]
        values = [a.value if type(a) is Tensor else a for a in user.args]
        assert rule is not None
        return fit(rule(g, user.value, *values, **(user.params or {})), edge.to.value)

    def noise(self, gradients: Mapping[Tensor, Any], eps: float) -> dict[Tensor, float]:
        """How far rounding may move each target's entries: errors of one unit in the last place, put in everywhere.

        A slope counts as computed from numbers of size 1, as 1 − A² and A − Y are, so a saturated unit has a large
        relative error.
        """
        rng = np.random.default_rng(0)
        found: dict[Tensor, float] = dict.fromkeys(self.targets, 0.0)
        for _ in range(3):
            moved: dict[Tensor, Any] = {}
            with np.errstate(all="ignore"):
                for node in reversed(self.steps):
                    g = gradients.get(node)
                    if g is None:
                        continue
                    g = full(g, node)
                    n = moved.pop(node, None)
                    n = np.zeros(node.shape) if n is None else n
                    if node in found:
                        found[node] = max(found[node], _largest(n), eps * _largest(g))
                    assert node.op is not None
                    size = 0.0 if node.op.name in ARITHMETIC or node.op.kind in ("linear", "multilinear") else _largest(g)
                    for i, a in enumerate(node.args):
                        if type(a) is not Tensor or a not in self.path:
                            continue
                        edge = Edge(node, i)
                        if node.op.rules_for(len(node.args))[i] is None:
                            continue
                        d = self.part(edge, g)
                        more = self.part(edge, n.astype(node.dtype)[()] if not node.ndim else n.astype(node.dtype))
                        error = eps * (np.abs(d) + size) * rng.choice([-1.0, 1.0], a.shape)
                        moved[a] = moved.get(a, 0.0) + more + error
            for t in self.targets:
                if t.op is None and t in moved:
                    found[t] = max(found[t], _largest(moved[t]))
        return found


def _largest(x: Any) -> float:
    """The largest finite size of an entry."""
    x = np.abs(np.asarray(x, float))
    x = x[np.isfinite(x)]
    return float(x.max()) if x.size else 0.0


def plain(x: Any) -> Any:
    x = x.value if type(x) is Tensor else x
    if isinstance(x, ndarray):
        x = np.asarray(x)
        return x if x.ndim else x[()]
    return x
