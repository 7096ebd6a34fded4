"""The chain rule forwards: tangents are carried from the inputs to the results, with the same rules.

A pointwise rule acts on a tangent as it does on a gradient, for its Jacobian is diagonal; a linear operation is applied
to the tangent itself; for the rest the rule, linear in g, is transposed: the vjp of the vjp.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from .backprop import Graph, fit, fit_recorded, pull, pull_recorded
from .modes import always_record
from .rules.indexing import gather
from .rules.products import matmul
from .rules.shapes import broadcast_to, sum_to
from .tensor import Primitive, Tensor, leaf, next_id


def push(nodes: list[Tensor], tangents: dict[Tensor, Any], record: bool = False, frozen: bool = False) -> None:
    """Carry tangents from the inputs through the nodes, oldest first; a node without an entry has tangent zero.

    With `record` the rules are evaluated on Tensors, so that the tangents are recorded; with `frozen` they are recorded
    as functions of the given tangents alone, the nodes counting as constants.
    """
    get = tangents.get
    for node in nodes:
        moved = [get(a) if type(a) is Tensor else None for a in node.args]
        for t in moved:
            if t is not None:
                break
        else:
            continue
        total, value = _tangent(node, moved, record, frozen), node.value
        if record:
            if total is not None:
                tangents[node] = fit_recorded(total, value)
        elif total is not None:
            if type(total) is not type(value) or total.shape != value.shape or total.dtype is not value.dtype:
                total = fit(total, value)
            tangents[node] = total


def push_many(nodes: list[Tensor], tangents: dict[Tensor, Any], batch: int) -> None:
    """The same with a leading axis on every tangent: `batch` directions in one walk."""
    for node in nodes:
        moved = [tangents.get(a) if type(a) is Tensor else None for a in node.args]
        if any(t is not None for t in moved):
            total = _batched_tangent(node, moved, batch)
            if total is not None:
                tangents[node] = total


def _tangent(node: Tensor, moved: list[Any], record: bool, frozen: bool = False) -> Any:
    """The tangent of a node: the sum over operands of derivative times tangent."""
    op, params = node.op, node.params or {}
    assert op is not None
    kind = op.kind
    if kind == "linear":  # in all operands together: f(t1, t2, ...)
        parts = moved if len(moved) == 1 else [
            _zeros(a) if t is None else t for a, t in zip(node.args, moved, strict=True)]
        return op(*parts, **params) if record else op.forward(*parts, **params)
    on_tensors = record and not frozen
    args = node.args if on_tensors else [a.value if type(a) is Tensor else a for a in node.args]
    y = node if on_tensors else node.value
    if op.tangent is not None:
        return op.tangent(moved, y, args, params)
    rules = op.rules_for(len(args)) if op.variadic else op.rules
    total = None
    for i, t in enumerate(moved):
        rule = rules[i]
        if t is None or rule is None:
            continue
        if kind == "multilinear":  # the operation with this operand replaced by its tangent
            replaced = [*args[:i], t, *args[i + 1 :]]
            part = op(*replaced, **params) if record else op.forward(*replaced, **params)
        elif kind == "pointwise":  # the Jacobian is diagonal: the rule itself, on the tangent
            part = rule(t, y, *args, **params)
        else:
            part = _transposed(rule, node, i, t, args, y, params, record)
        if part is not None:
            total = part if total is None else total + part
    return total


def _zeros(a: Any) -> Any:
    value = a.value if type(a) is Tensor else np.asarray(a)
    return np.zeros(value.shape, value.dtype)


def _transposed(rule: Any, node: Tensor, i: int, t: Any, args: Sequence[Any], y: Any, params: dict[str, Any],
                record: bool) -> Any:
    """The rule is linear in g, so its transpose, the tangent's map, is the vjp of the vjp."""
    value, operand = node.value, node.args[i].value
    with always_record():
        since = next_id()
        g = leaf(np.zeros(value.shape, value.dtype) if value.ndim else value.dtype.type(0))
        out = rule(g, y, *args, **params)
        if type(out) is not Tensor or not out.requires_grad:
            return None
        out = fit_recorded(out, operand)
        graph = Graph([out], [g], since)
        grads: dict[Tensor, Any] = {out: t if not record or type(t) is Tensor else leaf(t, requires_grad=False)}
        (pull_recorded if record else pull)(graph.nodes, grads, graph.path([g]))
    found = grads.get(g)
    return found if found is None or found.shape == value.shape else broadcast_to(found, shape=value.shape)


# -- many directions at once: the same rules on tangents with a leading axis

def in_one_call(op: Primitive) -> bool:
    """Whether many directions at once pass an operation in one call; else they go one by one."""
    if op.tangent is not None:
        return hasattr(op.tangent, "many")
    return op is matmul or op.kind == "pointwise" or (op.name in _BATCHED and op is not gather)


def _batched_tangent(node: Tensor, moved: list[Any], batch: int) -> Any:
    op, params, value = node.op, node.params or {}, node.value
    assert op is not None
    many = getattr(op.tangent, "many", None)
    if many is not None:
        return many(moved, value, [a.value if type(a) is Tensor else a for a in node.args], batch)
    if op.kind == "pointwise" and op.tangent is None:
        args = [a.value if type(a) is Tensor else a for a in node.args]
        total = None
        for rule, t in zip(op.rules_for(len(args)), moved, strict=True):
            if t is not None and rule is not None:
                part = rule(_aligned(t, value.ndim, batch), value, *args, **params)
                if part is not None:
                    total = part if total is None else total + part
        if total is None:
            return None
        shape = (batch, *value.shape)
        total = np.asarray(total) if total.shape == shape else np.broadcast_to(total, shape)
        return total.astype(value.dtype, copy=False)
    if op is matmul:
        total = None
        for part in _batched_matmul(node, moved):
            total = part if total is None else total + part
        return total
    apply = _BATCHED.get(op.name)
    if apply is not None and op is not gather:
        return apply(op, node, moved, batch)
    return np.stack([
        fit(_tangent(node, [None if t is None else t[k] for t in moved], record=False), value)
        for k in range(batch)
    ])


def _aligned(t: ndarray, ndim: int, batch: int) -> ndarray:
    """Room between the leading axis and the operand's axes, so that these align with the result's from the right."""
    missing = ndim - (t.ndim - 1)
    return t.reshape((batch,) + (1,) * missing + t.shape[1:]) if missing > 0 else t


def _batched_matmul(node: Tensor, moved: list[Any]) -> Iterable[ndarray]:
    (a, b), (ta, tb) = (x.value if type(x) is Tensor else x for x in node.args), moved
    if ta is not None:  # a vector on the left keeps its place: (batch, k) @ (k, m)
        if a.ndim == 1 and b.ndim > 2:
            ta = ta.reshape(ta.shape[:1] + (1,) * (b.ndim - 1) + ta.shape[1:])
            yield (ta @ b)[..., 0, :]
        elif b.ndim == 1:
            yield ta @ b
        else:
            yield _aligned(ta, max(a.ndim, b.ndim) if a.ndim > 1 else 1, len(ta)) @ b
    if tb is not None:
        if b.ndim == 1:
            if a.ndim <= 2:
                yield tb @ a.T
            else:
                yield (a @ tb.reshape(tb.shape[:1] + (1,) * (a.ndim - 2) + (tb.shape[1], 1)))[..., 0]
        else:
            yield a @ _aligned(tb, max(a.ndim, b.ndim), len(tb))


def _later(axis: Any, ndim: int) -> Any:
    """Axes of an operand with one more axis in front."""
    return tuple(range(1, ndim + 1)) if axis is None else tuple(i + 1 if i >= 0 else i for i in axis)


def _with_axis(op: Primitive, node: Tensor, moved: list[Any], batch: int) -> Any:
    params = dict(node.params or {})
    params["axis"] = _later(params.get("axis"), node.args[0].ndim)
    return op(moved[0], **params)


def _with_shape(op: Primitive, node: Tensor, moved: list[Any], batch: int) -> Any:
    shape = (batch, *node.value.shape)
    if op.name == "reshape":
        return moved[0].reshape(shape)
    if op.name == "broadcast_to":
        return np.broadcast_to(_aligned(moved[0], node.value.ndim, batch), shape)
    return sum_to(moved[0], shape=(batch, *(1,) * (node.args[0].ndim - node.value.ndim), *node.value.shape)).reshape(shape)


def _joined(op: Primitive, node: Tensor, moved: list[Any], batch: int) -> Any:
    parts = [
        np.zeros((batch, *np.shape(a.value if type(a) is Tensor else a)), node.value.dtype) if t is None else t
        for a, t in zip(node.args, moved, strict=True)
    ]
    assert node.params is not None
    return op(*parts, axis=node.params["axis"] + 1)


def _transpose_later(op: Primitive, node: Tensor, moved: list[Any], batch: int) -> Any:
    axes = (node.params or {}).get("axes") or tuple(reversed(range(node.value.ndim)))
    return np.transpose(moved[0], (0, *(i + 1 for i in axes)))


def _index_later(op: Primitive, node: Tensor, moved: list[Any], batch: int) -> Any:
    assert node.params is not None
    index = node.params["index"]
    return moved[0][(slice(None), *(index if type(index) is tuple else (index,)))]


_BATCHED: dict[str, Any] = {
    "sum": _with_axis, "mean": _with_axis, "flip": _with_axis, "reshape": _with_shape, "broadcast_to": _with_shape,
    "sum_to": _with_shape, "concatenate": _joined, "stack": _joined, "transpose": _transpose_later,
    "getitem": _index_later, "cumsum": lambda op, node, moved, batch: op(moved[0]) if node.value.ndim else moved[0],
    "astype": lambda op, node, moved, batch: op(moved[0], **node.params),
}
