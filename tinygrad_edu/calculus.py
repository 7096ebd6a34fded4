"""Derivatives of functions: grad, value_and_grad, elementwise_grad, vjp, jvp, linearize, hvp.

Functions are ordinary Python on Tensors; arguments are numbers, arrays, and nested containers of them: dicts, lists,
tuples, namedtuples, dataclasses. Arrays in, arrays out. Where a result depends on a Tensor that is tracked outside the
call, it is a Tensor, so that derivatives nest to any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from . import ops
from .backprop import Graph, fit_recorded, pull, pull_recorded, seed
from .containers import flatten as flatten
from .containers import only
from .errors import GradientError, ShapeError
from .forward import push
from .memory import look_as_before, look_rarely
from .modes import always_record, recording
from .recorded import Recording, Wanted
from .tensor import Tensor, constant, leaf


def called(prefix: str, f: Callable[..., Any]) -> str:
    """What errors and reprs call a derivative of f; f must be a function."""
    if not callable(f):
        raise TypeError(f"{prefix}: give it a function, as in tg.{prefix}(f)(x); got {type(f).__name__}.")
    return f"{prefix}({getattr(f, '__name__', 'f')})"


# ---------------------------------------------------------------- reverse mode


def value_and_grad(f: Callable[..., Any], argnums: Wanted = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns (f(...), gradient): one forward and one backward pass.

    f : returns one number. argnums : which arguments to differentiate by, positions or names; one gives that argument's
    gradient, a tuple a tuple of gradients. Arguments may be nested dicts, lists, tuples, namedtuples and dataclasses of
    arrays; gradients come in the same nest, each with its array's shape and dtype (integers become float64; text and
    other settings stay as they are). has_aux : f returns (number, extra), and so does the result, ((number, extra),
    gradient). The graph is freed as it is used.

    Raises GradientError where f returns more than one number, DTypeError for an argument without derivative (truth values,
    text, objects of unknown classes), ValueError where argnums names no argument.

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
        r = Recording(f, args, kwargs, argnums, has_aux)
        y = _one_number(r, "grad", "a gradient. Use jacobian or vjp, or has_aux=True for (number, extra).")
        start = y.dtype.type(1) if not y.ndim else seed(y, None, called("grad", f))
        value, aux = r.result(y), r.extra()
        r.aux = None
        grads: dict[Tensor, Any] = {y: leaf(start, requires_grad=False) if r.record else start}
        r.outputs = []
        del y  # the walk frees each node as it is consumed
        if r.record:
            pull_recorded(r.graph.nodes, grads, r.path)
        else:
            pull(r.graph.nodes, grads, r.path)
        gradient = r.rebuild_inputs(r.finish(grads, r.record))
        return ((value, aux), gradient) if has_aux else (value, gradient)

    run.__name__ = run.__qualname__ = called("value_and_grad", f)
    run.__wrapped__ = f  # type: ignore[attr-defined]
    return run


def _one_number(r: Recording, prefix: str, remedy: str) -> Tensor:
    """The result of a function that returns a single array."""
    if r.rebuild_outputs is not only:
        count = len(r.outputs)
        what = f"{count} results" if count != 1 else "a container"
        raise GradientError(f"{called(prefix, r.f)}: the function returns {what}, and only one number has {remedy}")
    return r.outputs[0]


def grad(f: Callable[..., Any], argnums: Wanted = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a function that returns one number, as a function of the same arguments.

    argnums : which arguments to differentiate by, positions or names ("W", also given by keyword); one gives that
    argument's gradient, a tuple a tuple of gradients. Arguments may be nested containers of arrays. has_aux : f returns
    (number, extra), and the result is (gradient, extra).

    Raises GradientError where f returns more than one number, DTypeError for an argument without derivative (truth values,
    text, objects of unknown classes), ValueError where argnums names no argument.

    >>> import tinygrad_edu as tg
    >>> square = lambda x: x * x
    >>> tg.grad(square)(3.0), tg.grad(tg.grad(square))(3.0)
    (np.float64(6.0), np.float64(2.0))
    """
    both = value_and_grad(f, argnums, has_aux)

    def run(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    run.__name__ = run.__qualname__ = called("grad", f)
    run.__wrapped__ = f  # type: ignore[attr-defined]
    return run


def elementwise_grad(f: Callable[..., Any], argnums: Wanted = 0, has_aux: bool = False) -> Callable[..., Any]:
    """f'(x) entry by entry, for a function that acts entry by entry: the gradient of the sum of its results.

    The result has x's shape. Raises DTypeError for an argument without derivative.

    >>> import tinygrad_edu as tg
    >>> tg.elementwise_grad(tg.square)([1.0, 2.0, 3.0])
    array([2., 4., 6.])
    """

    def total(*args: Any, **kwargs: Any) -> Any:
        y = f(*args, **kwargs)
        return (ops.sum(y[0]), y[1]) if has_aux and type(y) is tuple and len(y) == 2 else y if has_aux else ops.sum(y)

    total.__wrapped__ = f  # type: ignore[attr-defined]
    run = grad(total, argnums, has_aux)
    run.__name__ = run.__qualname__ = called("elementwise_grad", f)
    return run


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """(f(*primals), pull): pull(g) is the vector-Jacobian product gᵀ ∂f/∂(primals), a tuple with one entry per primal.

    f may return nested containers; g then comes in the same nest. pull may be called many times.

    g has the shape of f's result, and raises ShapeError otherwise; the results have the primals' shapes and dtypes. Raises
    DTypeError for primals or results without derivative.

    >>> import tinygrad_edu as tg
    >>> y, pull = tg.vjp(lambda x: x * x, [1.0, 2.0])
    >>> pull([1.0, 10.0])
    (array([ 2., 40.]),)
    """
    r = Recording(f, _copied(primals), {}, tuple(range(len(primals))), has_aux)
    y = r.kept(r.result(r.rebuild_outputs(r.outputs)))

    def pull_back(gradient: Any = None) -> Any:
        if gradient is None:
            starts = [seed(y, None, "vjp") for y in r.outputs]
        else:
            starts = [seed(y, g, "vjp") for y, g in zip(r.outputs, r.like_outputs(gradient, "vjp"), strict=True)]
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

    return (y, pull_back, r.kept(r.extra())) if has_aux else (y, pull_back)


def _copied(primals: tuple[Any, ...]) -> tuple[Any, ...]:
    """With arrays of their own: what is called later must not see what the caller changes meanwhile."""
    arrays, rebuild = flatten(primals)
    return rebuild([x.copy() if type(x) is ndarray else x for x in arrays])  # type: ignore[no-any-return]


# ---------------------------------------------------------------- forward mode


def jvp(f: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """(f(*primals), ∂f/∂(primals) · tangents): the directional derivative, in one forward sweep.

    primals and tangents are tuples, one entry per argument, of equal shapes; a single argument may be given bare.

    The second result has the first's shape. Raises ShapeError where a tangent's shape is not its primal's, DTypeError for
    primals or results without derivative.

    >>> import tinygrad_edu as tg
    >>> tg.jvp(lambda x: x * x, 3.0, 1.0)
    (np.float64(9.0), np.float64(6.0))
    """
    primals, tangents = _as_tuples(primals, tangents, "jvp")
    r = Recording(f, primals, {}, tuple(range(len(primals))), has_aux)
    y, t = r.result(r.rebuild_outputs(r.outputs)), _pushed(r, tangents, "jvp")
    return (y, t, r.extra()) if has_aux else (y, t)


def _as_tuples(primals: Any, tangents: Any, where: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """One entry per argument; a bare one, also a namedtuple, is the only argument."""
    bare = type(primals) is not tuple
    primals = (primals,) if bare else primals
    if bare and not (type(tangents) is tuple and len(tangents) == 1 and not isinstance(primals[0], (tuple, list))):
        tangents = (tangents,)
    elif type(tangents) is list:
        tangents = tuple(tangents)
    elif type(tangents) is not tuple:
        tangents = (tangents,)
    if len(primals) != len(tangents):
        raise ValueError(f"{where}: {len(primals)} primals and {len(tangents)} tangents. Give one tangent per primal.")
    return primals, tangents


def linearize(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """(f(*primals), push): push(*tangents) is the directional derivative at the primals, as jvp gives it.

    f runs once, and every push reuses its record: the linear map ∂f/∂(primals) as a function. It is to jvp what vjp's
    pull is to the gradient.

    Raises what jvp raises.

    >>> import tinygrad_edu as tg
    >>> y, push = tg.linearize(lambda x: x * x, [1.0, 2.0])
    >>> push([1.0, 0.0]), push([0.0, 10.0])
    (array([2., 0.]), array([ 0., 40.]))
    """
    r = Recording(f, _copied(primals), {}, tuple(range(len(primals))), has_aux)

    def push_forward(*tangents: Any) -> Any:
        if len(tangents) != len(primals):
            raise ValueError(f"linearize: {len(primals)} primals and {len(tangents)} tangents. Give one tangent per primal.")
        return _pushed(r, tangents, "linearize")

    y = r.kept(r.result(r.rebuild_outputs(r.outputs)))
    return (y, push_forward, r.kept(r.extra())) if has_aux else (y, push_forward)


def _pushed(r: Recording, tangents: Sequence[Any], where: str) -> Any:
    moved, tracked = _tangent_dict(r, r.like_inputs(tangents, where, "tangent"), where)
    with always_record():
        push(r.graph.nodes, moved, r.record or tracked, frozen=not r.record)
    return r.rebuild_outputs([tangent_of(r, y, moved) for y in r.outputs])


def _tangent_dict(r: Recording, given: Sequence[Any], where: str) -> tuple[dict[Tensor, Any], bool]:
    """Each input's tangent, and whether any is tracked."""
    tracked = recording() and any(type(t) is Tensor and t.requires_grad for t in given)
    moved: dict[Tensor, Any] = {}
    for i, (x, t) in enumerate(zip(r.inputs, given, strict=True)):
        if type(t) is ndarray and t.ndim and t.dtype is x.value.dtype:
            value = t
        else:
            value = t.value if type(t) is Tensor else np.asarray(constant(t, "tangent"), x.dtype)[()]
        if value.shape != x.shape:
            raise ShapeError(f"{where}: tangent {i + 1} has shape {value.shape}, its primal {x.shape}. They must be equal: a "
                             "tangent says how each entry moves.")
        moved[x] = (t if type(t) is Tensor else leaf(value, requires_grad=False)) if r.record or tracked else value
    return moved, tracked


def tangent_of(r: Recording, y: Tensor, moved: dict[Tensor, Any]) -> Any:
    t = moved.get(y)
    if t is None:
        zero = np.zeros(y.shape, y.dtype)
        return zero if zero.ndim else zero[()]
    if type(t) is Tensor:
        return t if t.requires_grad else t.value
    return np.array(t) if type(t) is ndarray else t


def hvp(f: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """The Hessian of f times a vector, without forming the Hessian: the directional derivative of the gradient.

    primals and tangents as for jvp. A tuple gives a tuple, a bare argument its own nest. has_aux : f returns (number,
    extra), and the result is (product, extra).

    Raises GradientError where f returns more than one number, ShapeError where a tangent's shape is not its primal's.

    >>> import tinygrad_edu as tg
    >>> tg.hvp(lambda x: (x**3).sum(), [1.0, 2.0], [1.0, 0.0])
    array([6., 0.])
    """
    before = look_rarely()
    try:
        args, given = _as_tuples(primals, tangents, "hvp")
        r = Recording(f, args, {}, 0 if args is not primals else tuple(range(len(args))), has_aux)
        y = _one_number(r, "hvp", "a Hessian. Return one number, or use has_aux=True for (number, extra).")
        moved, tracked = _tangent_dict(r, r.like_inputs(given, "hvp", "tangent"), "hvp")
        start = y.dtype.type(1) if not y.ndim else seed(y, None, called("hvp", f))
        grads: dict[Tensor, Any] = {y: leaf(start, requires_grad=False)}
        with always_record():
            pull_recorded(r.graph.nodes, grads, r.path)
            gradients = [fit_recorded(grads[x], x.value) if x in grads else leaf(np.zeros_like(x.value)) for x in r.inputs]
            if r.record or tracked:
                graph = Graph(gradients, r.inputs, r.inputs[0].id if r.inputs else 0)
                push(graph.nodes, moved, record=True, frozen=not r.record)
                product = r.rebuild_inputs([tangent_of(r, d, moved) for d in gradients])
                return (product, r.extra()) if has_aux else product
        # the Hessian is symmetric: v times it is a pull, the shorter walk
        graph = Graph(gradients)
        starts: dict[Tensor, Any] = {}
        for d, x in zip(gradients, r.inputs, strict=True):
            if d.requires_grad:  # one Tensor may be the gradient of several inputs
                starts[d] = starts[d] + moved[x] if d in starts else moved[x]
        pull(graph.nodes, starts, graph.path(r.inputs))
        product = r.rebuild_inputs(r.finish(starts, False))
        return (product, r.extra()) if has_aux else product
    finally:
        look_as_before(before)
