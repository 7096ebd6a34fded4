"""Whole matrices of derivatives: jacobian and hessian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import ops
from .backprop import pull, pull_recorded
from .calculus import called, grad, tangent_of
from .errors import ShapeError
from .forward import in_one_call, push, push_many
from .modes import always_record
from .recorded import Recording, Wanted
from .tensor import Tensor, leaf

_CHUNK = 1 << 22  # numbers in one batch of tangents


def jacobian(f: Callable[..., Any], argnums: Wanted = 0, mode: str = "auto", layout: str | None = None,
             has_aux: bool = False) -> Callable[..., Any]:
    """All derivatives of all results: shape of the result, then shape of the argument.

    mode : "forward" carries one direction per entry of the arguments, all of them in one walk through the graph,
    "reverse" walks it once per entry of the results; "auto" estimates both and takes the cheaper one. layout : for
    vectors (n,), (n, 1) or (1, n), "numerator" gives the matrix (results, arguments) of matrix calculus and "denominator"
    its transpose. Results or arguments in containers give containers of Jacobians, nested as
    the result and then as the argument: J["loss"]["W"]. has_aux : f returns (result, extra), and so does the Jacobian.

    Raises ValueError for another mode, DTypeError for arguments or results without derivative.

    >>> import tinygrad_edu as tg
    >>> tg.jacobian(lambda x: x * x)([1.0, 2.0])
    array([[2., 0.],
           [0., 4.]])
    """
    if mode not in ("auto", "forward", "reverse"):
        raise ValueError(f'jacobian: mode={mode!r}: write "auto", "forward" or "reverse".')
    if layout not in (None, "numerator", "denominator"):
        raise ValueError(f'jacobian: layout={layout!r}: write "numerator" or "denominator", or leave it out.')

    def run(*args: Any, **kwargs: Any) -> Any:
        r = Recording(f, args, kwargs, argnums, has_aux)
        forward = mode == "forward" or (mode == "auto" and _forward_is_cheaper(r))
        table = _forward_table(r) if forward else _reverse_table(r)
        if layout is not None:
            table = [[_laid_out(j, y, x, layout) for j, x in zip(row, r.inputs, strict=True)]
                     for row, y in zip(table, r.outputs, strict=True)]
        J = r.rebuild_outputs([r.rebuild_inputs(row) for row in table])
        return (J, r.extra()) if has_aux else J

    run.__name__ = run.__qualname__ = called("jacobian", f)
    run.__wrapped__ = f  # type: ignore[attr-defined]
    return run


# measured: seconds for a visit of a node, for one through a transposed rule, and for one number
_VISIT, _TRANSPOSED, _NUMBER = 3e-6, 20e-6, 1e-9


def _forward_is_cheaper(r: Recording) -> bool:
    """Columns share a visit to every node that takes many directions at once; rows need a walk each."""
    columns, rows = sum(x.size for x in r.inputs), sum(y.size for y in r.outputs)
    if r.record:  # the derivative is recorded, one direction at a time in either mode
        return 2 * columns < rows
    forward = reverse = 0.0
    for node in r.graph.nodes:
        if r.path is None or node in r.path:
            assert node.op is not None
            work = node.size * _NUMBER
            forward += 2 * _VISIT + columns * work if in_one_call(node.op) else columns * (_TRANSPOSED + 3 * work)
            reverse += rows * (_VISIT + 2 * work)
    return forward < reverse


def _forward_table(r: Recording) -> list[list[Any]]:
    """Jacobians by columns: one tangent per entry of the inputs, many in one sweep."""
    table: list[list[Any]] = [[] for _ in r.outputs]
    for x in r.inputs:
        parts: list[list[Any]] = [[] for _ in r.outputs]
        largest = max([node.size for node in r.graph.nodes], default=1)
        step = max(1, min(x.size, _CHUNK // max(largest, 1)))
        for start in range(0, x.size, step):
            n = min(step, x.size - start)
            if r.record:
                _recorded_columns(r, x, range(start, start + n), parts)
                continue
            basis = np.zeros((n, x.size), x.dtype)
            basis[np.arange(n), start + np.arange(n)] = 1
            moved: dict[Tensor, Any] = {x: basis.reshape(n, *x.shape)}
            push_many(r.graph.nodes, moved, n)
            for part, y in zip(parts, r.outputs, strict=True):
                part.append(moved.get(y, np.zeros((n, *y.shape), y.dtype)))
        for row, part, y in zip(table, parts, r.outputs, strict=True):
            if r.record:
                columns = ops.stack(part) if part else np.zeros((0, *y.shape), y.dtype)
            else:
                columns = np.concatenate(part) if part else np.zeros((0, *y.shape), y.dtype)
            if y.ndim:
                columns = ops.moveaxis(columns, 0, -1)
            j = ops.reshape(columns, (*y.shape, *x.shape)).astype(x.dtype)
            row.append(j if type(j) is Tensor else j[()])
    return table


def _recorded_columns(r: Recording, x: Tensor, entries: range, parts: list[list[Any]]) -> None:
    for k in entries:
        direction = np.zeros(x.size, x.dtype)
        direction[k] = 1
        moved: dict[Tensor, Any] = {x: leaf(direction.reshape(x.shape)[()], requires_grad=False)}
        with always_record():
            push(r.graph.nodes, moved, record=True)
        for part, y in zip(parts, r.outputs, strict=True):
            part.append(tangent_of(r, y, moved))


def _reverse_table(r: Recording) -> list[list[Any]]:
    """Jacobians by rows: one pull per entry of the outputs."""
    table = []
    for y in r.outputs:
        rows: list[list[Any]] = [[] for _ in r.inputs]
        for k in range(y.size):
            g = np.zeros(y.size, y.dtype)
            g[k] = 1
            start = g.reshape(y.shape)[()]
            grads: dict[Tensor, Any] = {y: leaf(start, requires_grad=False) if r.record else start}
            with always_record():
                (pull_recorded if r.record else pull)(list(r.graph.nodes), grads, r.path)
            for row, d in zip(rows, r.finish(grads, r.record), strict=True):
                row.append(d)
        out = []
        for row, x in zip(rows, r.inputs, strict=True):
            j = ops.stack(row) if row else np.zeros((0, *x.shape), x.dtype)
            j = ops.reshape(j, (*y.shape, *x.shape))
            out.append(j if type(j) is Tensor else j[()])
        table.append(out)
    return table


def _laid_out(j: Any, y: Tensor, x: Tensor, layout: str) -> Any:
    for t, what in ((y, "result"), (x, "argument")):
        if t.size != max(t.shape, default=1):
            raise ShapeError(f"jacobian: layout={layout!r} is for vectors, and the {what} has shape {t.shape}. "
                             "Leave layout out: the result has the shape of the result, then that of the argument.")
    matrix = ops.reshape(j, (y.size, x.size))
    return matrix if layout == "numerator" else ops.transpose(matrix)


def hessian(f: Callable[..., Any], argnums: Wanted = 0, has_aux: bool = False) -> Callable[..., Any]:
    """All second derivatives of a function that returns one number: shape of the argument, twice.

    One recorded gradient, and its Jacobian, mostly all directions in one sweep. Containers give containers of containers,
    H["W"]["b"] = ∂²f/∂W∂b with the shape of W, then of b. has_aux : f returns (number, extra), and the result is
    (Hessian, extra).

    Raises GradientError where f returns more than one number, DTypeError for arguments without derivative.

    >>> import tinygrad_edu as tg
    >>> tg.hessian(lambda x: (x**3).sum())([1.0, 2.0])
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    run = jacobian(grad(f, argnums, has_aux), argnums, has_aux=has_aux)
    run.__name__ = run.__qualname__ = called("hessian", f)
    return run


