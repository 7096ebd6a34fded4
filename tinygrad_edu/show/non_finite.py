"""Where did the nan come from: the first node, forward or backward, that is not finite."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backprop import Graph, pull, seed
from ..errors import variable_names
from ..tensor import Tensor
from .names import name_constant, name_nodes, nodes_of


class NonFinite:
    """What find_nan found; false when everything is finite.

    name, op : of the node. where : "forward" or "backward". inputs : name -> value of what it was computed from.
    """

    def __init__(self, text: str, name: str | None = None, op: str | None = None, where: str | None = None,
                 inputs: dict[str, Any] | None = None) -> None:
        self.text, self.name, self.op, self.where, self.inputs = text, name, op, where, inputs or {}

    def __bool__(self) -> bool:
        return self.name is not None

    def __repr__(self) -> str:
        return self.text


def _finite(value: Any) -> bool:
    return bool(np.isfinite(value).all())


def _summary(value: Any) -> str:
    value = np.asarray(value)
    if not value.ndim:
        return f"{float(value):.6g}"
    bad = ~np.isfinite(value)
    low, high = (np.min(value[~bad]), np.max(value[~bad])) if not bad.all() else (np.nan, np.nan)
    text = f"shape {value.shape}, from {low:.6g} to {high:.6g}"
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        text += f", {int(bad.sum())} of {value.size} not finite, first {value[first]} at {list(first)}"
    return text


def _report(node: Tensor, names: dict[Tensor, str], variables: dict[int, str], where: str, bad: Any, extra: str,
            picked: tuple[int, ...] | None) -> NonFinite:
    operands = [names[a] if type(a) is Tensor else name_constant(a, variables) for a in node.args]
    inputs = {name: a.value if type(a) is Tensor else a for name, a in zip(operands, node.args, strict=True)}
    op, symbol = ("leaf", None) if node.op is None else (node.op.name, node.op.symbol)
    infix = symbol is not None and "{" not in symbol and len(operands) == 2
    formula = f" {symbol} ".join(operands) if infix else f"{op}({', '.join(operands)})"
    lines = [f"{where}: {names[node]} = {formula} is the first that is not finite." if where == "forward"
             and node.op is not None else f"{where}: {extra}"]
    lines.append(f"  {'value' if where == 'forward' else 'gradient'}: {_summary(bad)}")
    lines += [f"  {name}: {_summary(value)}" for name, value in inputs.items()]
    if picked is not None:
        at = [
            f"{name} = {np.broadcast_to(value, node.shape)[picked]:.6g}" for name, value in inputs.items()
            if np.shape(value) == node.shape or np.ndim(value) == 0
        ]
        if at and picked:
            lines.append(f"  at {list(picked)}: {', '.join(at)}")
    return NonFinite("\n".join(lines), names[node], op, where, inputs)


def _first_bad(value: Any) -> tuple[int, ...] | None:
    bad = np.argwhere(~np.isfinite(value))
    return tuple(int(i) for i in bad[0]) if len(bad) else None


def find_nan(J: Any, gradient: Any = None) -> NonFinite:
    """Name the first node that is nan or infinite: in the forward pass, else in the backward pass from J.

    J : the Tensor to search, of any shape; the backward pass starts from `gradient` (ones, when left out). The answer
    is false when everything is finite, and prints what was found with the values it came from.

    >>> import numpy as np, tinygrad_edu as tg
    >>> x = tg.Tensor([1.0, 0.0], name="x")
    >>> J = tg.where(x > 0, tg.sqrt(x), x).sum()
    >>> tg.find_nan(J)
    backward: the gradient of x, through sqrt (t1), is the first that is not finite.
      gradient: shape (2,), from 0.5 to 0.5, 1 of 2 not finite, first nan at [1]
      x: shape (2,), from 0 to 1
      at [1]: x = 0
    """
    if type(J) is not Tensor:
        return NonFinite("a constant: nothing was recorded." if _finite(J) else "a constant that is not finite.",
                         None if _finite(J) else "J", "constant", "forward")
    variables = variable_names()
    names = name_nodes(J, variables)
    for node in nodes_of(J):
        if not _finite(node.value):
            if node.op is None:
                return _report(node, names, variables, "forward", node.value,
                               f"the leaf {names[node]} is not finite.", None)
            return _report(node, names, variables, "forward", node.value, "", _first_bad(node.value))
    if not J.requires_grad:
        return NonFinite("everything is finite; J tracks no gradient.")
    start = np.ones(J.shape, J.dtype) if gradient is None and J.size != 1 else seed(J, gradient, "find_nan")
    grads: dict[Tensor, Any] = {J: start[()] if isinstance(start, np.ndarray) else start}
    graph = Graph([J])
    nodes, path = graph.nodes, graph.path(graph.leaves)
    with np.errstate(all="ignore"):
        while nodes:
            node = nodes.pop()
            before = {a: grads.get(a) for a in node.args if type(a) is Tensor}
            pull([node], grads, path)
            for a in before:
                d = grads.get(a)
                if d is not None and not _finite(d):
                    assert node.op is not None
                    text = (f"the gradient of {names[a]}, through {node.op.name} ({names[node]}), is the first that is not "
                            "finite.")
                    return _report(node, names, variables, "backward", d, text, _first_bad(d))
    return NonFinite("everything is finite, forward and backward.")
