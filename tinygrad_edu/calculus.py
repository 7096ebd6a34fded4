"""Derivatives of functions: grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp, elementwise_grad, check_gradients.

Functions are ordinary Python on Tensors; arguments are numbers, arrays, and nested dicts, lists and tuples of them.
Arrays in, arrays out. Where a result depends on a Tensor that is tracked outside the call, it is a Tensor, so that
derivatives nest to any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from . import ops
from .backprop import Graph, fit_recorded, pull, pull_recorded, seed, unshared
from .errors import DTypeError, GradientError, ShapeError
from .forward import push, push_many
from .memory import look_as_before, look_rarely
from .modes import always_record, complex_numbers, recording
from .rules.pointwise import identity
from .tensor import Primitive, Rule, Tensor, constant, leaf, next_id

# ---------------------------------------------------------------- nested containers


def _is_numbers(tree: Any) -> bool:
    """Whether a list holds numbers only, so that it means an array."""
    return all(isinstance(x, (int, float, np.generic)) or (type(x) is list and _is_numbers(x)) for x in tree)


def flatten(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """The leaves of nested dicts, lists, tuples and namedtuples, and the function that builds the same nest of others.

    A list of numbers counts as an array; None stays where it is.
    """
    if tree is None:
        return [], lambda _leaves: None
    if isinstance(tree, dict):
        keys = list(tree)
        return _flatten_items([tree[k] for k in keys], lambda items: dict(zip(keys, items, strict=True)))
    if isinstance(tree, tuple):
        kind = type(tree)
        return _flatten_items(list(tree), lambda items: kind(*items) if hasattr(kind, "_fields") else tuple(items))
    if type(tree) is list and not (tree and _is_numbers(tree)):
        return _flatten_items(tree, list)
    return [tree], _only


def _flatten_items(items: list[Any], build: Callable[[list[Any]], Any]) -> tuple[list[Any], Callable[..., Any]]:
    parts = [flatten(item) for item in items]

    def rebuild(leaves: Sequence[Any]) -> Any:
        out, start = [], 0
        for own, make in parts:
            out.append(make(leaves[start : start + len(own)]))
            start += len(own)
        return build(out)

    return [x for own, _ in parts for x in own], rebuild


def _as_input(x: Any) -> tuple[Tensor, bool]:
    """A fresh Tensor to differentiate by, and whether it hangs on a graph outside."""
    if type(x) is Tensor:
        if x.requires_grad and recording():
            return identity(x), True
        return leaf(x.value), False
    value = np.asarray(constant(x, "argument"))
    if value.dtype.kind != "f":
        value = value.astype(np.float64)
    return leaf(value if value.ndim else value[()]), False


def _only(leaves: Sequence[Any]) -> Any:
    return leaves[0]


def _plain(x: Any) -> Any:
    return x.value if type(x) is Tensor else x


class _Recording:
    """One call of f on fresh inputs: the inputs, the outputs, and the graph between them."""

    __slots__ = ("aux", "builders", "graph", "inputs", "outputs", "path", "rebuild_outputs", "record", "single")

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], argnums: int | Sequence[int],
                 has_aux: bool = False) -> None:
        since = next_id()
        call, outside = self.track(f, args, argnums)
        outer = recording()
        if outer:
            result = f(*call, **kwargs)
        else:
            with always_record():
                result = f(*call, **kwargs)
        if result is None:
            raise GradientError(f"{getattr(f, '__name__', 'f')}: the function returns None. Is a `return` missing?")
        self.aux = None
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise TypeError(f"{getattr(f, '__name__', 'f')}: has_aux=True expects (result, extra), got "
                                f"{type(result).__name__}. Return a pair, or leave has_aux out.")
            result, self.aux = result
        self.rebuild_outputs: Callable[[Sequence[Any]], Any]
        if type(result) is Tensor:
            self.outputs, self.rebuild_outputs = [result], _only
        else:
            outputs, self.rebuild_outputs = flatten(result)
            self.outputs = [
                y if type(y) is Tensor else leaf(ops.inputs.as_array(y, "result"), requires_grad=False) for y in outputs
            ]
        self.graph = Graph(self.outputs, self.inputs, since)
        # a derivative that depends on something tracked outside must itself be recorded
        self.record = outer and (outside or self.graph.outside)
        self.path = self.graph.path(self.inputs)

    def track(self, f: Callable[..., Any], args: tuple[Any, ...], argnums: int | Sequence[int]) -> tuple[list[Any], bool]:
        """Put fresh Tensors in the place of the arrays to differentiate by; whether any hangs on a graph outside."""
        wanted: Sequence[int] = (argnums,) if isinstance(argnums, (int, np.integer)) else argnums
        single = wanted is not argnums
        call, outside = list(args), False
        self.inputs: list[Tensor] = []
        builders: list[tuple[int, Callable[[Sequence[Any]], Any]]] = []
        for i in wanted:
            if not isinstance(i, (int, np.integer)):
                raise TypeError(f"argnums: {i!r} is no position. Give an integer, or a tuple of integers.")
            if not -len(args) <= i < len(args):
                raise ValueError(f"{getattr(f, '__name__', 'f')}: argnums names argument {i}, but {len(args)} positional "
                                 "arguments are given. Pass the arguments to differentiate by position.")
            x = args[i]
            if type(x) is ndarray and x.ndim and x.dtype.kind == "f":  # the usual case, without the machinery of nests
                call[i] = t = leaf(x)
                self.inputs.append(t)
                builders.append((1, _only))
                continue
            leaves, build = flatten(x)
            tracked = []
            for value in leaves:
                t, linked = _as_input(value)
                outside = outside or linked
                tracked.append(t)
            call[i] = build(tracked)
            self.inputs += tracked
            builders.append((len(tracked), build))
        self.builders, self.single = builders, single
        return call, outside

    def rebuild_inputs(self, leaves: Sequence[Any]) -> Any:
        """One result per input, nested as the arguments were."""
        if all(build is _only for _, build in self.builders):
            return leaves[0] if self.single else tuple(leaves)
        out, start = [], 0
        for count, build in self.builders:
            out.append(build(leaves[start : start + count]))
            start += count
        return out[0] if self.single else tuple(out)

    def finish(self, grads: dict[Tensor, Any], record: bool) -> list[Any]:
        """The gradients of the inputs: zeros where nothing arrived."""
        out = []
        for x in self.inputs:
            if x in grads:
                d = fit_recorded(grads.pop(x), x.value) if record else unshared(grads, x)
                out.append(d.value if type(d) is Tensor and not d.requires_grad else d)
            else:
                zero = np.zeros(x.value.shape, x.value.dtype)
                out.append(zero if zero.ndim else zero[()])
        return out

    def result(self, tree: Any) -> Any:
        """A result for the caller: plain, unless it belongs to a graph outside."""
        if self.record:
            return tree
        if type(tree) is Tensor:
            return tree.value
        if tree is None:
            return None
        leaves, rebuild = flatten(tree)
        return rebuild([_plain(x) for x in leaves])

    def seeds(self, starts: Sequence[Any], record: bool) -> dict[Tensor, Any]:
        grads: dict[Tensor, Any] = {}
        for y, g in zip(self.outputs, starts, strict=True):
            if record and type(g) is not Tensor:
                g = leaf(g, requires_grad=False)
            elif not record:
                g = _plain(g)
            grads[y] = grads[y] + g if y in grads else g
        return grads


def _name(prefix: str, f: Callable[..., Any]) -> str:
    """What errors and reprs call a derivative of f; f must be a function."""
    if not callable(f):
        raise TypeError(f"{prefix}: give it a function, as in tg.{prefix}(f)(x); got {type(f).__name__}.")
    return f"{prefix}({getattr(f, '__name__', 'f')})"


# ---------------------------------------------------------------- reverse mode


def value_and_grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns (f(...), gradient): one forward and one backward pass.

    f : returns one number. argnums : which positional arguments to differentiate by; an int gives that argument's
    gradient, a tuple a tuple of gradients. Arguments may be nested dicts, lists and tuples of arrays; gradients come in
    the same nest, each with its array's shape and dtype. has_aux : f returns (number, extra), and so does the result,
    ((number, extra), gradient). The graph is freed as it is used.

    >>> import tinygrad_edu as tg
    >>> tg.value_and_grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 5.0)
    (np.float64(10.0), (np.float64(5.0), np.float64(2.0)))
    """

    def run(*args: Any, **kwargs: Any) -> Any:
        before = look_rarely()
        try:
            return differentiate(args, kwargs)
        finally:
            look_as_before(before)

    def differentiate(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        r = _Recording(f, args, kwargs, argnums, has_aux)
        if len(r.outputs) != 1:
            raise GradientError(f"{_name('grad', f)}: the function returns {len(r.outputs)} results, and only one number "
                                "has a gradient. Use jacobian or vjp, or has_aux=True for (number, extra).")
        y = r.outputs[0]
        start = y.dtype.type(1) if not y.ndim else seed(y, None, _name("grad", f))
        value, aux = r.result(y), r.result(r.aux)
        grads: dict[Tensor, Any] = {y: leaf(start, requires_grad=False) if r.record else start}
        r.outputs = []
        del y  # the walk frees each node as it is consumed
        if r.record:
            pull_recorded(r.graph.nodes, grads, r.path)
        else:
            pull(r.graph.nodes, grads, r.path)
        gradient = r.rebuild_inputs(r.finish(grads, r.record))
        return ((value, aux), gradient) if has_aux else (value, gradient)

    run.__name__ = run.__qualname__ = _name("value_and_grad", f)
    return run


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a function that returns one number, as a function of the same arguments.

    argnums : which positional arguments to differentiate by; an int gives that argument's gradient, a tuple a tuple of
    gradients. Arguments may be nested dicts, lists and tuples of arrays. has_aux : f returns (number, extra), and the
    result is (gradient, extra).

    >>> import tinygrad_edu as tg
    >>> square = lambda x: x * x
    >>> tg.grad(square)(3.0), tg.grad(tg.grad(square))(3.0)
    (np.float64(6.0), np.float64(2.0))
    """
    both = value_and_grad(f, argnums, has_aux)

    def run(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    run.__name__ = run.__qualname__ = _name("grad", f)
    return run


def elementwise_grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """f'(x) entry by entry, for a function that acts entry by entry: the gradient of the sum of its results.

    >>> import tinygrad_edu as tg
    >>> tg.elementwise_grad(tg.square)([1.0, 2.0, 3.0])
    array([2., 4., 6.])
    """
    run = grad(lambda *args, **kwargs: ops.sum(f(*args, **kwargs)), argnums)
    run.__name__ = run.__qualname__ = _name("elementwise_grad", f)
    return run


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """(f(*primals), pull): pull(g) is the vector-Jacobian product gᵀ ∂f/∂(primals), a tuple with one entry per primal.

    f may return nested containers; g then comes in the same nest. pull may be called many times.

    >>> import tinygrad_edu as tg
    >>> y, pull = tg.vjp(lambda x: x * x, [1.0, 2.0])
    >>> pull([1.0, 10.0])
    (array([ 2., 40.]),)
    """
    arrays, rebuild = flatten(primals)  # pull may be called later: what the caller changes meanwhile must not count
    primals = rebuild([x.copy() if type(x) is ndarray else x for x in arrays])
    r = _Recording(f, primals, {}, tuple(range(len(primals))), has_aux)

    def pull_back(gradient: Any = None) -> Any:
        if gradient is None:
            starts = [seed(y, None, "vjp") for y in r.outputs]
        else:
            given, _ = flatten(gradient)
            if len(given) != len(r.outputs):
                raise GradientError(f"vjp: {len(given)} gradients for {len(r.outputs)} results of "
                                    f"{getattr(f, '__name__', 'f')}. Give one array per result, nested as the results.")
            starts = [seed(y, g, "vjp") for y, g in zip(r.outputs, given, strict=True)]
        # weights that are tracked make the product a function of them, also where the primals are plain
        weighted = not r.record and recording() and any(type(g) is Tensor and g.requires_grad for g in starts)
        record = r.record or weighted
        grads = r.seeds(starts, record)
        with always_record():
            if record:
                pull_recorded(list(r.graph.nodes), grads, r.path, frozen=weighted)
            else:
                pull(list(r.graph.nodes), grads, r.path)
        return r.rebuild_inputs(r.finish(grads, record))

    y = r.result(r.rebuild_outputs(r.outputs))
    return (y, pull_back, r.result(r.aux)) if has_aux else (y, pull_back)


# ---------------------------------------------------------------- forward mode


def jvp(f: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """(f(*primals), ∂f/∂(primals) · tangents): the directional derivative, in one forward sweep.

    primals and tangents are tuples, one entry per argument, of equal shapes; a single argument may be given bare.

    >>> import tinygrad_edu as tg
    >>> tg.jvp(lambda x: x * x, 3.0, 1.0)
    (np.float64(9.0), np.float64(6.0))
    """
    primals = primals if isinstance(primals, tuple) else (primals,)
    tangents = tangents if isinstance(tangents, tuple) else (tangents,)
    if len(primals) != len(tangents):
        raise ValueError(f"jvp: {len(primals)} primals and {len(tangents)} tangents. Give one tangent per primal.")
    r = _Recording(f, primals, {}, tuple(range(len(primals))), has_aux)
    given, _ = flatten(tangents)
    moved, tracked = _tangent_dict(r, given)
    with always_record():
        push(r.graph.nodes, moved, r.record or tracked, frozen=not r.record)
    out = [_tangent_of(r, y, moved) for y in r.outputs]
    y, t = r.result(r.rebuild_outputs(r.outputs)), r.rebuild_outputs(out)
    return (y, t, r.result(r.aux)) if has_aux else (y, t)


def _tangent_dict(r: _Recording, given: Sequence[Any]) -> tuple[dict[Tensor, Any], bool]:
    """Each input's tangent, and whether any is tracked."""
    if len(given) != len(r.inputs):
        raise ShapeError(f"jvp: {len(given)} tangents for {len(r.inputs)} arrays. Nest the tangents as the primals are.")
    tracked = recording() and any(type(t) is Tensor and t.requires_grad for t in given)
    moved: dict[Tensor, Any] = {}
    for i, (x, t) in enumerate(zip(r.inputs, given, strict=True)):
        if type(t) is ndarray and t.ndim and t.dtype is x.value.dtype:
            value = t
        else:
            value = t.value if type(t) is Tensor else np.asarray(constant(t, "tangent"), x.dtype)[()]
        if value.shape != x.shape:
            raise ShapeError(f"jvp: tangent {i + 1} has shape {value.shape}, its primal {x.shape}. They must be equal: a "
                             "tangent says how each entry moves.")
        moved[x] = (t if type(t) is Tensor else leaf(value, requires_grad=False)) if r.record or tracked else value
    return moved, tracked


def _tangent_of(r: _Recording, y: Tensor, moved: dict[Tensor, Any]) -> Any:
    t = moved.get(y)
    if t is None:
        zero = np.zeros(y.shape, y.dtype)
        return zero if zero.ndim else zero[()]
    if type(t) is Tensor:
        return t if t.requires_grad else t.value
    return np.array(t) if type(t) is ndarray else t


def hvp(f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """The Hessian of f times a vector, without forming the Hessian: the directional derivative of the gradient.

    primals and tangents as for jvp. A tuple gives a tuple, a bare argument its own nest.

    >>> import tinygrad_edu as tg
    >>> tg.hvp(lambda x: (x**3).sum(), [1.0, 2.0], [1.0, 0.0])
    array([6., 0.])
    """
    before = look_rarely()
    try:
        args = primals if isinstance(primals, tuple) else (primals,)
        r = _Recording(f, args, {}, 0 if args is not primals else tuple(range(len(args))))
        if len(r.outputs) != 1:
            raise GradientError(f"{_name('hvp', f)}: the function returns {len(r.outputs)} results, and only one number has "
                                "a Hessian. Return one number.")
        given, _ = flatten(tangents)
        moved, tracked = _tangent_dict(r, given)
        y = r.outputs[0]
        start = y.dtype.type(1) if not y.ndim else seed(y, None, _name("hvp", f))
        grads: dict[Tensor, Any] = {y: leaf(start, requires_grad=False)}
        with always_record():
            pull_recorded(r.graph.nodes, grads, r.path)
            gradients = [fit_recorded(grads[x], x.value) if x in grads else leaf(np.zeros_like(x.value)) for x in r.inputs]
            if r.record or tracked:
                graph = Graph(gradients, r.inputs, r.inputs[0].id if r.inputs else 0)
                push(graph.nodes, moved, record=True, frozen=not r.record)
                return r.rebuild_inputs([_tangent_of(r, d, moved) for d in gradients])
        # the Hessian is symmetric: v times it is a pull, the shorter walk
        graph = Graph(gradients)
        starts: dict[Tensor, Any] = {}
        for d, x in zip(gradients, r.inputs, strict=True):
            if d.requires_grad:  # one Tensor may be the gradient of several inputs
                starts[d] = starts[d] + moved[x] if d in starts else moved[x]
        pull(graph.nodes, starts, graph.path(r.inputs))
        return r.rebuild_inputs(r.finish(starts, False))
    finally:
        look_as_before(before)


# ---------------------------------------------------------------- whole matrices

_CHUNK = 1 << 22  # numbers in one batch of tangents


def jacobian(f: Callable[..., Any], argnums: int | Sequence[int] = 0, mode: str = "auto", layout: str | None = None
             ) -> Callable[..., Any]:
    """All derivatives of all results: shape of the result, then shape of the argument.

    mode : "forward" works column by column (many results, few arguments), "reverse" row by row; "auto" takes what needs
    fewer. layout : for vectors (n,), (n, 1) or (1, n), "numerator" gives the matrix (results, arguments) of matrix
    calculus and "denominator" its transpose. Results or arguments in containers give containers of Jacobians.

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
        r = _Recording(f, args, kwargs, argnums)
        columns, rows = sum(x.size for x in r.inputs), sum(y.size for y in r.outputs)
        forward = mode == "forward" or (mode == "auto" and columns <= rows and not r.record)
        table = _forward_table(r) if forward else _reverse_table(r)
        if layout is not None:
            table = [[_laid_out(j, y, x, layout) for j, x in zip(row, r.inputs, strict=True)]
                     for row, y in zip(table, r.outputs, strict=True)]
        return r.rebuild_outputs([r.rebuild_inputs(row) for row in table])

    run.__name__ = run.__qualname__ = _name("jacobian", f)
    return run


def _forward_table(r: _Recording) -> list[list[Any]]:
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


def _recorded_columns(r: _Recording, x: Tensor, entries: range, parts: list[list[Any]]) -> None:
    for k in entries:
        direction = np.zeros(x.size, x.dtype)
        direction[k] = 1
        moved: dict[Tensor, Any] = {x: leaf(direction.reshape(x.shape)[()], requires_grad=False)}
        with always_record():
            push(r.graph.nodes, moved, record=True)
        for part, y in zip(parts, r.outputs, strict=True):
            part.append(_tangent_of(r, y, moved))


def _reverse_table(r: _Recording) -> list[list[Any]]:
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


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """All second derivatives of a function that returns one number: shape of the argument, twice.

    One recorded gradient, and all directions in one forward sweep over it. Containers give nested containers.

    >>> import tinygrad_edu as tg
    >>> tg.hessian(lambda x: (x**3).sum())([1.0, 2.0])
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    run = jacobian(grad(f, argnums), argnums, mode="forward")
    run.__name__ = run.__qualname__ = _name("hessian", f)
    return run


# ---------------------------------------------------------------- checking


class GradientCheck:
    """What check_gradients found: `ok`, `worst` (the largest relative error), `kinks`, and a table when printed.

    >>> import tinygrad_edu as tg
    >>> check = tg.check_gradients(lambda x: (x**3).sum(), [1.0, 2.0])
    >>> check.ok, check.worst < 1e-6, check.kinks
    (True, True, [])
    """

    def __init__(self, method: str, tolerance: float) -> None:
        self.method, self.tolerance = method, tolerance
        self.rows: list[tuple[str, tuple[int, ...], float, float, float]] = []  # argument, entry, autodiff, check, error
        self.kinks: list[tuple[str, tuple[int, ...], float, float, float]] = []  # ..., autodiff, left slope, right slope

    @property
    def worst(self) -> float:
        """The largest relative error of any entry that was compared."""
        return max((row[4] for row in self.rows), default=0.0)

    @property
    def ok(self) -> bool:
        """Whether every entry agrees, kinks by lying between their one-sided slopes."""
        inside = all(min(a, b) - self.tolerance <= d <= max(a, b) + self.tolerance for _, _, d, a, b in self.kinks)
        return inside and all(row[4] <= self.tolerance for row in self.rows)

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        verdict = "agree" if self.ok else "DIFFER"
        lines = [f"gradients {verdict}: {len(self.rows)} entries against {self.method}, worst relative error "
                 f"{self.worst:.1e} (allowed {self.tolerance:.0e})"]
        shown = sorted(self.rows, key=lambda row: -row[4])[: 1 if self.ok else 5]
        for name, entry, d, check, error in shown:
            lines.append(f"  {'worst: ' if self.ok else ''}{name}{list(entry) if entry else ''}: autodiff {d:.10g}, "
                         f"{self.method} {check:.10g}, relative error {error:.1e}")
        for name, entry, d, left, right in self.kinks[:5]:
            lines.append(f"  kink at {name}{list(entry) if entry else ''}: slope {left:.6g} on the left, {right:.6g} on the "
                         f"right, autodiff takes {d:.6g}")
        return "\n".join(lines)

    def raise_if_wrong(self) -> None:
        """Raise GradientError with the table if any entry disagrees."""
        if not self.ok:
            raise GradientError(f"check_gradients: {self!r}")


def check_gradients(f: Callable[..., Any], *args: Any, tolerance: float = 1e-6, max_entries: int = 100, seed: int = 0,
                    ) -> GradientCheck:
    """Compare the gradient of f with numerical differentiation, at the given float64 arguments.

    Every result is weighed by fixed random numbers, so that one gradient checks all of them. Central differences with a
    step scaled to each entry, (f(x+h) − f(x−h)) / 2h with h = ε^(1/3) max(1, |x|); where f runs on complex arrays too,
    the complex step Im f(x+ih)/h, which has no cancellation, takes over (Squire and Trapp 1998). Entries beyond
    max_entries per argument are sampled. Kinks, where the slopes on both sides differ, are listed apart.

    >>> import tinygrad_edu as tg
    >>> tg.check_gradients(lambda x: tg.tanh(x).sum(), [0.1, 0.5])
    gradients agree: 2 entries against complex step, worst relative error ... (allowed 1e-06)
      worst: x[...]: autodiff ..., complex step ..., relative error ...
    """
    if not args:
        raise ValueError("check_gradients: no arguments to differentiate by. Write check_gradients(f, x).")
    rng = np.random.default_rng(seed)
    leaves, rebuild = flatten(tuple(args))
    arrays = []
    for i, x in enumerate(leaves):
        value = np.asarray(_plain(x) if type(x) is Tensor else constant(x, "check_gradients"))
        if value.dtype.kind == "f" and value.dtype != np.float64:
            raise DTypeError(
                f"check_gradients: argument {i + 1} is {value.dtype}. Differences lose half of the digits, and "
                f"{value.dtype} has only {np.finfo(value.dtype).precision} to begin with. Use x.astype(np.float64).")
        arrays.append(np.array(value, np.float64))
    y, pull_back = vjp(f, *rebuild(arrays))
    results, rebuild_results = flatten(y)
    results = [_plain(r) for r in results]
    weights = [rng.uniform(0.5, 1.5, np.shape(r)) if np.size(r) > 1 else np.ones(np.shape(r)) for r in results]
    gradients, _ = flatten(pull_back(rebuild_results(weights)))

    def total(point: list[ndarray]) -> Any:
        with_numbers = rebuild([p if p.ndim else p[()] for p in point])
        outs, _ = flatten(f(*with_numbers))
        return sum(np.sum(w * _plain(out)) for w, out in zip(weights, outs, strict=True))

    names = _argument_names(f, args)
    check = GradientCheck("central differences", tolerance)
    here = float(total(arrays))
    largest = max((float(np.max(np.abs(g), initial=0.0)) for g in map(np.asarray, map(_plain, gradients))), default=0.0)
    complex_works = True
    for i, (x, g) in enumerate(zip(arrays, gradients, strict=True)):
        g = np.asarray(_plain(g))
        chosen = np.arange(x.size) if x.size <= max_entries else np.sort(rng.choice(x.size, max_entries, replace=False))
        for k in chosen:
            entry = tuple(int(n) for n in np.unravel_index(k, x.shape))
            h = np.finfo(float).eps ** (1 / 3) * max(1.0, abs(float(x[entry])))
            up, down = _moved(total, arrays, i, entry, h), _moved(total, arrays, i, entry, -h)
            central, left, right = (up - down) / (2 * h), (here - down) / h, (up - here) / h
            noise = 4 * float(np.finfo(float).eps) * max(abs(here), abs(up), abs(down)) / float(h)
            d = float(g[entry])
            jump = abs(right - left)
            if jump > 1e-3 * max(abs(left), abs(right)) and jump > 10 * noise:
                # at a kink the slopes differ as much for a smaller step, on a curve less
                near = abs(_moved(total, arrays, i, entry, h / 8) + _moved(total, arrays, i, entry, -h / 8) - 2 * here)
                if near * 8 / h > 0.5 * jump and near * 8 / h > 20 * noise:
                    check.kinks.append((names[i], entry, d, left, right))
                    continue
            reference = central
            if complex_works:
                found = _complex_step(total, arrays, i, entry)
                if found is None or abs(found - central) > 1e-5 * max(largest, abs(central)) + 10 * noise:
                    complex_works = False
                else:
                    reference, noise = found, 0.0
            size = max(abs(d), abs(reference), 1e-3 * largest, noise / tolerance, 1e-300)
            check.rows.append((names[i], entry, d, reference, abs(d - reference) / size))
    if complex_works and check.rows:
        check.method = "complex step"
    return check


def _argument_names(f: Callable[..., Any], args: tuple[Any, ...]) -> list[str]:
    code = getattr(f, "__code__", None)
    names = list(code.co_varnames[: code.co_argcount]) if code is not None else []
    out: list[str] = []
    for i, arg in enumerate(args):
        name = names[i] if i < len(names) else "x" if len(args) == 1 else f"x{i + 1}"
        count = len(flatten(arg)[0])
        out += [name] if count == 1 else [f"{name}.{k}" for k in range(count)]
    return out


def _moved(total: Callable[[list[ndarray]], Any], arrays: list[ndarray], i: int, entry: tuple[int, ...], h: float) -> float:
    point = list(arrays)
    point[i] = arrays[i].copy()
    point[i][entry] += h
    return float(total(point))


def _complex_step(total: Callable[[list[ndarray]], Any], arrays: list[ndarray], i: int, entry: tuple[int, ...]) -> Any:
    point: list[ndarray] = list(arrays)
    point[i] = arrays[i].astype(complex)
    point[i][entry] += 1e-30j
    try:
        with np.errstate(all="ignore"), complex_numbers():
            out = complex(total(point))
    except Exception:
        return None  # f does not run on complex numbers: differences remain
    return out.imag / 1e-30 if np.isfinite(out.imag) and out.imag else None


# ---------------------------------------------------------------- primitives of one's own


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
