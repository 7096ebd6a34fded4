"""The chain rule on a recorded graph: the only code that walks one.

Every node receives dJ/d(node) complete before it passes its part to its operands, because nodes are
visited in the reverse order of their creation. forward.py reads the same rules the other way.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from sys import getrefcount
from typing import Any

import numpy as np
from numpy import ndarray

from . import modes, tensor
from .errors import GradientError, ShapeError, StaleError, name_of, variable_names, why_no_gradient
from .modes import always_record
from .rules.indexing import getitem, put
from .rules.shapes import astype, broadcast_to, sum_to
from .tensor import LARGE, Tensor, constant, in_blocks, leaf
from .versions import settle

_by_id = attrgetter("id")


# ---------------------------------------------------------------- order

class Graph:
    """What results were made from, stopping at the inputs.

    nodes : the recorded results, oldest first.  leaves : the tracked leaves, inputs excepted.
    outside : whether something tracked that is older than `since`, inputs excepted, is involved.
    mixed : whether some operands do not lead to leaves or inputs, so that a walk must tell them apart.
    """

    __slots__ = ("leaves", "mixed", "nodes", "outside")

    def __init__(self, roots: Iterable[Tensor], inputs: Iterable[Tensor] = (), since: int = 0) -> None:
        seen = set(inputs)
        waiting = [root for root in roots if root not in seen] if seen else list(roots)
        seen.update(waiting)
        nodes: list[Tensor] = []
        leaves: list[Tensor] = []
        for root in waiting:
            if root.op is None:
                leaves = [root for root in waiting if root.op is None and root.requires_grad]
                waiting = [root for root in waiting if root.op is not None]
                break
        mixed = outside = False
        add, take, push, found = seen.add, waiting.pop, waiting.append, nodes.append
        while waiting:
            node = take()
            if node.id < since:
                outside = True
                continue
            found(node)
            for a in node.args:
                if type(a) is Tensor and a not in seen:
                    add(a)
                    if a.op is not None:
                        push(a)
                    elif a.requires_grad:
                        leaves.append(a)
                    else:
                        mixed = True
        nodes.reverse()  # nearly in order already
        nodes.sort(key=_by_id)
        if since:
            outside = outside or any(x.id < since for x in leaves)
            mixed = mixed or outside or bool(leaves)
        self.nodes, self.leaves, self.outside, self.mixed = nodes, leaves, outside, mixed
        if nodes and tensor.last_change > nodes[0].id:
            if settle(nodes):
                self.__init__(roots, inputs, since)  # type: ignore[misc]
            else:
                self.refuse_stale()

    def path(self, inputs: Iterable[Tensor]) -> set[Tensor] | None:
        """The nodes made from the inputs and the inputs, or None where that is everything."""
        return self.depending_on(inputs) if self.mixed else None

    def refuse_stale(self) -> None:
        """Raise if a leaf was changed after an operation had used it."""
        for node in self.nodes:
            for a in node.args:
                if type(a) is Tensor and a.op is None and a.stamp > node.id:
                    name = name_of(a, variable_names(), f"a leaf of shape {a.shape}")
                    assert node.op is not None
                    raise StaleError(f"backward: {name} was changed ({name}.data = ...) after {node.op.name} recorded "
                                     "it, so the gradient would be wrong. Run the forward pass again after the change, "
                                     "or call backward() before it.")

    def depending_on(self, inputs: Iterable[Tensor]) -> set[Tensor]:
        """The nodes that were made from the inputs, and the inputs."""
        found = set(inputs)
        for node in self.nodes:
            for a in node.args:
                if type(a) is Tensor and a in found:
                    found.add(node)
                    break
        return found


# ---------------------------------------------------------------- backwards

def pull(nodes: list[Tensor], grads: dict[Tensor, Any], path: set[Tensor] | None = None, keep: bool = False) -> None:
    """Run the chain rule from the newest node to the oldest, on arrays.

    `grads` holds dJ/d(node) for the start; afterwards it holds it for what is not in `nodes`: the leaves and inputs.
    `nodes` is used up, so that each node is freed as it is consumed. With `keep` each node's gradient is left in its
    `.grad`. `path` restricts the walk to what leads to the inputs.
    """
    get, take = grads.get, grads.pop

    while nodes:
        node = nodes.pop()
        g, y = take(node, None), node.value
        if type(y) is ndarray and type(g) is not ndarray and g is not None:  # one number for all entries
            if keep:
                node.grad = broadcast_to(g, shape=y.shape)
            if not _entrywise(node):
                g = broadcast_to(g, shape=y.shape)
        elif keep:
            node.grad = g
        if g is None:
            continue
        op, args, params = node.op, node.args, node.params
        if params is None and path is None and len(args) == 2:  # most operations; numbers take the shortest way
            a, b = args
            x = a.value if type(a) is Tensor else a
            z = b.value if type(b) is Tensor else b
            rule_a, rule_b = op.rules  # type: ignore[union-attr]
            if type(a) is Tensor and rule_a is not None:
                d = rule_a(g, y, x, z)
                if type(d) is type(x) and (type(d) is not ndarray or (d.dtype is x.dtype and d.shape == x.shape)):
                    old = get(a)
                    if old is None:
                        grads[a] = d
                    elif type(old) is not ndarray or old.size <= _SMALL:
                        grads[a] = old + d
                    else:
                        old = None  # so that grads alone holds the array
                        _add(grads, a, d)
                else:
                    _give(grads, a, d, x)
            if type(b) is Tensor and rule_b is not None:
                d = rule_b(g, y, x, z)
                if type(d) is type(z) and (type(d) is not ndarray or (d.dtype is z.dtype and d.shape == z.shape)):
                    old = get(b)
                    if old is None:
                        grads[b] = d
                    elif type(old) is not ndarray or old.size <= _SMALL:
                        grads[b] = old + d
                    else:
                        old = None
                        _add(grads, b, d)
                else:
                    _give(grads, b, d, z)
        elif len(args) == 1 and not op.variadic:  # type: ignore[union-attr]
            (a,) = args
            rule = op.rules[0]  # type: ignore[union-attr]
            if rule is None or (path is not None and a not in path):
                continue
            if op is getitem and a.value.ndim:
                _add_at(grads, a, g, params["index"])  # type: ignore[index]
                continue
            x = a.value
            if op.blocked and type(x) is ndarray and x.size >= LARGE:  # type: ignore[union-attr]
                d = in_blocks(rule, (g, y, x), params or {})
            else:
                d = rule(g, y, x) if params is None else rule(g, y, x, **params)
            if type(d) is type(x) and (type(d) is not ndarray or (d.dtype is x.dtype and d.shape == x.shape)):
                old = get(a)
                if old is None:
                    grads[a] = d
                elif type(old) is not ndarray or old.size <= _SMALL:
                    grads[a] = old + d
                else:
                    old = None
                    _add(grads, a, d)
            else:
                _give(grads, a, d, x)
        else:
            values = [a.value if type(a) is Tensor else a for a in args]
            for rule, a, x in zip(op.rules_for(len(args)), args, values, strict=True):  # type: ignore[union-attr]
                if type(a) is Tensor and rule is not None and (a in path if path is not None else a.requires_grad):
                    _give(grads, a, rule(g, y, *values, **params or {}), x)


def _give(grads: dict[Tensor, Any], a: Tensor, d: Any, value: Any) -> None:
    """Add d to the gradient of a, in the shape and dtype of a's value."""
    if type(d) is not type(value) or d.shape != value.shape or d.dtype is not value.dtype:
        if type(d) is type(value) or type(value) is not ndarray or not isinstance(d, np.generic):
            d = fit(d, value)
        elif d.dtype is not value.dtype:  # one number for all entries stays one number, as after sum()
            d = value.dtype.type(d)
    if a in grads:
        _add(grads, a, d)
    else:
        grads[a] = d


def _add(grads: dict[Tensor, Any], a: Tensor, d: Any) -> None:
    """A further contribution to the gradient of a; into the array itself where nobody else can see it."""
    old = grads.get(a)
    if type(old) is type(d) is ndarray and old.size > _SMALL and getrefcount(old) == _HELD_ONCE and old.flags.owndata:
        np.add(old, d, out=old)
    else:
        grads[a] = old + d


_SMALL = 1024  # entries below which a new array costs no more than adding in place


def pull_recorded(nodes: list[Tensor], grads: dict[Tensor, Any], path: set[Tensor] | None = None,
                  keep: bool = False, frozen: bool = False) -> None:
    """The same walk with the same rules on Tensors: the derivative is itself recorded.

    With `frozen` it is recorded as a function of the starting gradients alone, the nodes counting as constants.
    """
    while nodes:
        node = nodes.pop()
        g = grads.pop(node, None)
        if g is not None and node.value.ndim and not g.value.ndim and (keep or not _entrywise(node)):
            g = broadcast_to(g, shape=node.value.shape)  # one number for all entries was enough so far
        if keep:
            node.grad = g
        if g is None:
            continue
        op, args, params = node.op, node.args, node.params
        assert op is not None
        y, operands = (node.value, [a.value if type(a) is Tensor else a for a in args]) if frozen else (node, args)
        for rule, a in zip(op.rules_for(len(args)) if op.variadic else op.rules, args):  # noqa: B905 - a hot loop
            if type(a) is Tensor and a.requires_grad and rule is not None and (path is None or a in path):
                d = rule(g, y, *operands) if params is None else rule(g, y, *operands, **params)
                if type(d) is not Tensor or d.value.dtype is not a.value.dtype or (
                        d.value.shape != a.value.shape and d.value.ndim):
                    d = fit_recorded(d, a.value)
                old = grads.get(a)
                grads[a] = d if old is None else old + d


def fit(d: Any, value: Any) -> Any:
    """Give a derivative its operand's shape and dtype: sum what was broadcast, spread what was not expanded."""
    if d is None:
        d = np.zeros(value.shape, value.dtype)
        return d if d.ndim else d[()]
    if type(d) is not ndarray:
        d = np.asarray(d)
    if d.shape != value.shape:
        d = _to_shape(d, value.shape)
    if d.dtype != value.dtype:
        d = d.astype(value.dtype)
    return d if value.ndim else value.dtype.type(d)


def _to_shape(d: Any, shape: tuple[int, ...]) -> Any:
    """Sum what was broadcast, spread what was not expanded."""
    key = (d.shape, shape)
    axes = _summed.get(key)
    if axes is None:
        if len(_summed) > 10_000:
            _summed.clear()
        extra = d.ndim - len(shape)
        if extra > 0 and d.shape[extra:] == shape:
            axes = tuple(range(extra))
        else:
            axes = tuple([i for i, n in enumerate(shape) if n == 1 != d.shape[i]]) if not extra else ()
        _summed[key] = axes = axes[0] if len(axes) == 1 else axes
    if axes != () and type(d) is ndarray:
        return _reduce(d, axis=axes, keepdims=d.ndim == len(shape))
    return (sum_to if axes != () or d.ndim > len(shape) else broadcast_to)(d, shape=shape)


_reduce: Any = np.add.reduce
_summed: dict[Any, Any] = {}  # (shape, shape wanted) -> the axes to sum: the same few in every step


def fit_recorded(d: Any, value: Any) -> Tensor:
    if type(d) is not Tensor:
        return leaf(fit(d, value), requires_grad=False)
    if d.shape != value.shape:
        d = _to_shape(d, value.shape)
    if d.dtype != value.dtype:
        d = astype(d, dtype=value.dtype)
    return d  # type: ignore[no-any-return]


def _add_at(grads: dict[Tensor, Any], a: Tensor, g: Any, index: Any) -> None:
    """The derivative of a[index], added in place: 50 slices of one array need one array of zeros, not 50."""
    if modes.traces:
        _give(grads, a, put(g, index=index, shape=a.value.shape), a.value)
        return
    total = grads.get(a)
    if total is None:
        grads[a] = total = np.zeros(a.value.shape, a.value.dtype)
    elif type(total) is not ndarray:  # one number for all entries
        grads[a] = total = np.full(a.value.shape, total)
    elif getrefcount(total) != _HELD_ONCE or not total.flags.owndata:
        grads[a] = total = np.array(total)
    total[index] += g


def _entrywise(node: Tensor) -> bool:
    """Whether a node's operands all have its shape, so that each entry goes its own way."""
    op, shape = node.op, node.value.shape
    return op is not None and op.kind == "pointwise" and all(
        a.value.shape == shape if type(a) is Tensor else not hasattr(a, "shape") or a.shape == shape for a in node.args
    )


def _references_of_an_entry() -> int:
    """What getrefcount says of an array held by a dict and one variable; it varies with the Python version."""
    grads = {0: np.empty(1)}
    old = grads.get(0)
    return getrefcount(old)


_HELD_ONCE = _references_of_an_entry()


# ---------------------------------------------------------------- backward(): gradients into .grad

def seed(root: Tensor, gradient: Any, where: str = "backward") -> Any:
    """The start of a backward pass: dJ/dJ = 1, or the given weights."""
    value = root.value
    if gradient is None:
        if value.size != 1:
            name = name_of(root, variable_names(), "")
            who, name = name or "the result", name or "y"
            if where == "vjp":
                raise GradientError(f"vjp: {who} has shape {root.shape}, and only a single number has a derivative without "
                                    f"more said. Call pull(g) with an array of shape {root.shape}.")
            if where != "backward":
                raise GradientError(f"{where}: the function returns shape {root.shape}, and only a single number has a "
                                    "gradient. Return .sum() of it, or use tg.jacobian(f)(x), or tg.vjp(f, x) with weights.")
            raise GradientError(
                f"{where}: {who} has shape {root.shape}, and only a single number has a derivative without more said. "
                f"Use {name}.sum().backward(), {name}.backward(gradient) with an array of shape {root.shape}, or "
                "tg.jacobian(f)(x).")
        return np.ones(value.shape, value.dtype) if value.ndim else value.dtype.type(1)
    if type(gradient) is ndarray and gradient.shape == value.shape and gradient.dtype is value.dtype and gradient.ndim:
        return gradient
    given = gradient.value if type(gradient) is Tensor else np.asarray(constant(gradient, "gradient"))
    if given.shape != value.shape:
        raise ShapeError(f"{where}: the gradient has shape {given.shape}, the result {value.shape}. They must be equal: "
                         "an entry of the gradient weighs an entry of the result.")
    if type(gradient) is Tensor:
        return gradient
    return given.astype(value.dtype, copy=False) if value.ndim else value.dtype.type(given)


def backward(root: Tensor, gradient: Any = None, create_graph: bool = False) -> None:
    """Fill `.grad` of everything `root` was made from; leaves accumulate. See Tensor.backward."""
    if not root.requires_grad:
        raise GradientError(why_no_gradient(root))
    g = seed(root, gradient)
    if create_graph:
        g = g if type(g) is Tensor else leaf(g, requires_grad=False)
    elif type(g) is Tensor:
        g = g.value
    graph = Graph([root])
    grads: dict[Tensor, Any] = {root: g}
    path = graph.path(graph.leaves)
    if not create_graph:
        pull(graph.nodes, grads, path, keep=True)
        for x in graph.leaves:
            if x in grads:
                d = unshared(grads, x)
                x.grad = d if x.grad is None else x.grad + d
        return
    with always_record():  # also under no_grad(): the graph of the derivative was asked for
        pull_recorded(graph.nodes, grads, path, keep=True)
        for x in graph.leaves:
            if x in grads:
                d = fit_recorded(grads[x], x.value)
                x.grad = d if x.grad is None else x.grad + d


backward.__doc__ = Tensor.backward.__doc__
Tensor.backward = backward  # type: ignore[method-assign, assignment]


def unshared(grads: dict[Tensor, Any], key: Tensor) -> Any:
    """Take an entry out of `grads` as an array that nobody else holds, copied only if need be."""
    d = grads.pop(key)
    if type(d) is not ndarray:
        if getattr(d, "is_traced", False):
            return d if d.shape == key.value.shape else broadcast_to(d, shape=key.value.shape)
        return d if type(key.value) is not ndarray else np.full(key.value.shape, d)
    references, base = getrefcount(d), d.base
    if references > _ALONE or not d.flags.writeable:
        return np.array(d)
    if base is not None and (type(base) is not ndarray or base.base is not None or getrefcount(base) > _ALONE + 1):
        return np.array(d)
    return d


def _references_of_a_lone_array() -> int:
    """What getrefcount says in `unshared` of an array held by the dict alone; it varies with the Python version."""
    holder: dict[int, Any] = {0: np.empty(1)}
    d = holder.pop(0)
    return getrefcount(d)


_ALONE = _references_of_a_lone_array()
