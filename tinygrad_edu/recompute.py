"""Less memory for more time: a function whose intermediate results are forgotten, and computed again when needed.

Recording keeps every intermediate result for the backward pass. `checkpoint(f)` keeps only what goes into f and what
comes out of it; the backward pass runs f once more, and forgets it again (Chen, Xu, Zhang, Guestrin 2016, Training deep
nets with sublinear memory cost).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from numpy import ndarray

from . import ops
from .backprop import Graph, pull, pull_recorded
from .containers import flatten, is_setting, refuse_unknown
from .errors import GradientError
from .forward import push, push_many
from .modes import always_record, here, no_grad, recording
from .recorded import title
from .rules.pointwise import identity
from .tensor import Primitive, Tensor, leaf, next_id, result


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """f, with the intermediate results forgotten after the forward pass and computed again in the backward pass.

    A decorator, or a call: checkpoint(f)(x). Arguments and results may be nested containers; Tensors that f closes over
    get their gradients too, and so do those in its arguments, in both modes and to any order. Memory falls from all of
    f's intermediate results to its arguments and results; time grows by one more forward pass of f. f must compute the
    same again: random generators that it holds or gets are set back for the second run (and so are the global ones of
    NumPy and Python, and batch normalisation does not learn twice), but a counter it keeps would count twice. A second run
    with other values raises GradientError.

    >>> import numpy as np, tinygrad_edu as tg
    >>> @tg.checkpoint
    ... def block(x, W):
    ...     return tg.tanh(W @ tg.tanh(W @ x))
    >>> x, W = tg.Tensor([0.1, 0.2]), tg.Tensor(np.eye(2))
    >>> y = block(x, W)
    >>> y.op, y.args == (x, W)  # one step of the graph, whatever f does inside
    (<primitive checkpoint(block)>, True)
    >>> y.sum().backward()
    >>> W.grad.shape
    (2, 2)
    """
    if not callable(f):
        raise TypeError(f"checkpoint: give it a function, as in tg.checkpoint(f)(x); got {type(f).__name__}.")

    @functools.wraps(f, updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        if not recording():
            return f(*args, **kwargs)
        leaves, rebuild = flatten((args, kwargs))
        for x in leaves:
            if type(x) is not Tensor and type(x) is not ndarray:
                _refuse_iterator(x, f, "an argument", "is used up by the first run of f")
        if here.note is not None or any(getattr(x.value if type(x) is Tensor else x, "is_traced", False) for x in leaves):
            return f(*args, **kwargs)  # a program is being made of it, with a memory plan of its own
        return _recorded(f, leaves, rebuild)

    return run


def _refuse_iterator(x: Any, f: Callable[..., Any], which: str, why: str) -> None:
    if hasattr(x, "__next__"):
        raise TypeError(f"checkpoint({title(f)}): {which} is a {type(x).__name__}, which {why}. Make it a list, list(...).")


def _recorded(f: Callable[..., Any], leaves: list[Any], rebuild: Callable[[Sequence[Any]], Any]) -> Any:
    """Run f, keep what it makes, and record that as one step."""
    places = [i for i, x in enumerate(leaves) if type(x) is Tensor and x.requires_grad]
    given = [leaves[i] for i in places]
    states = _States(f, leaves)
    since = next_id()
    fresh = [leaf(x.value) for x in given]
    outs, rebuild_outs = flatten(_called(f, leaves, rebuild, places, fresh))
    for y in outs:
        if type(y) is not Tensor and type(y) is not ndarray and not is_setting(y):
            _refuse_iterator(y, f, "the result", "computes only after f has returned")
            refuse_unknown(y, f"checkpoint({title(f)}): the result")
    theirs = dict(zip(fresh, given, strict=True))
    made = [i for i, y in enumerate(outs) if type(y) is Tensor and y.requires_grad and y not in theirs and y.id >= since]
    if not made:
        return rebuild_outs([theirs.get(y, y) if type(y) is Tensor else y for y in outs])
    graph = Graph([outs[i] for i in made], fresh, since)
    inside = {*graph.nodes, *fresh}
    closed = dict.fromkeys(a for node in graph.nodes for a in node.args
                           if type(a) is Tensor and a.requires_grad and a not in inside)
    segment = _Segment(f, [None if i in places else x for i, x in enumerate(leaves)], rebuild, places, list(closed), states,
                       made, [outs[i].value for i in made])
    node = result(segment.packed([outs[i].value for i in made]), segment.primitive(), (*given, *closed), None)
    for i, y in zip(made, segment.unpacked(node), strict=True):
        outs[i] = y
    return rebuild_outs([theirs.get(y, y) if type(y) is Tensor else y for y in outs])


def _called(f: Callable[..., Any], leaves: list[Any], rebuild: Callable[[Sequence[Any]], Any], places: list[int],
            inputs: Sequence[Any]) -> Any:
    call = list(leaves)
    for i, x in zip(places, inputs, strict=True):
        call[i] = x
    args, kwargs = rebuild(call)
    return f(*args, **kwargs)


class _Segment:
    """A function, what it was called with, and how to run it again: everything but its intermediate results.

    Several results are one operand of the graph: their entries in a row, so that one second run serves them all.
    """

    def __init__(self, f: Callable[..., Any], leaves: list[Any], rebuild: Callable[[Sequence[Any]], Any], places: list[int],
                 closed: list[Tensor], states: _States, made: list[int], values: list[Any]) -> None:
        self.f, self.leaves, self.rebuild, self.places, self.closed = f, leaves, rebuild, places, closed
        self.states, self.made = states, made
        self.shapes = [y.shape for y in values]
        self.dtypes = [y.dtype for y in values]
        self.dtype = np.result_type(*self.dtypes)
        self.found: list[Any] = []  # a gradient that arrived, and what it gives each operand: one run for all of them

    def primitive(self) -> Primitive:
        rules = [functools.partial(self.rule, i) for i in range(len(self.places) + len(self.closed))]
        return Primitive(f"checkpoint({title(self.f)})", self.forward, *rules, tangent=self)

    # -- several results as one

    def packed(self, values: Sequence[Any]) -> Any:
        if len(values) == 1:
            return values[0]
        return ops.concatenate([ops.ravel(y).astype(self.dtype) for y in values])

    def unpacked(self, y: Any) -> list[Any]:
        """Also of a gradient or of a tangent."""
        if len(self.shapes) == 1:
            return [y]
        out, start = [], 0
        for shape, dtype in zip(self.shapes, self.dtypes, strict=True):
            stop = start + int(np.prod(shape, dtype=int))
            piece = y[start:stop].reshape(shape)
            out.append(piece if piece.dtype == dtype else piece.astype(dtype))
            start = stop
        return [y if type(y) is Tensor or y.ndim else y[()] for y in out]

    # -- once more

    def again(self, operands: Sequence[Any]) -> tuple[list[Tensor], list[Tensor]]:
        """Fresh inputs and the results made from them; on Tensors the inputs hang on these."""
        inputs = [identity(a) if type(a) is Tensor else leaf(a) for a in operands[: len(self.places)]]
        with always_record(), self.states.restored():
            outs, _ = flatten(_called(self.f, self.leaves, self.rebuild, self.places, inputs))
        ys: list[Any] = [outs[i] if i < len(outs) else None for i in self.made]
        for y, shape in zip(ys, self.shapes, strict=True):
            if type(y) is not Tensor or y.shape != shape:
                raise GradientError(f"checkpoint({title(self.f)}): running the function again gave a result of another form. "
                                    "It must depend on its arguments alone.")
        return [*inputs, *self.closed], ys

    def walked(self, operands: Sequence[Any], y: Any) -> tuple[Graph, list[Tensor], list[Tensor]]:
        """The graph of a second run, its inputs and its results, which must be those of the first."""
        since = next_id()
        inputs, ys = self.again(operands)
        graph = Graph(ys, inputs, since)
        if graph.outside:
            raise GradientError(f"checkpoint({title(self.f)}): running the function again used a Tensor that it did not use "
                                "before, so the gradient would be wrong. A variable it closes over was changed in between.")
        first = y.value if type(y) is Tensor else y
        second = self.packed([t.value for t in ys])
        if not np.array_equal(first, second, equal_nan=True):
            with np.errstate(all="ignore"):
                error = float(np.max(np.abs(first - second), initial=0.0,
                                     where=(first != second) & ~(np.isnan(first) & np.isnan(second))))
                size = float(np.max(np.abs(first), initial=0.0, where=np.isfinite(first)))
        else:
            error = size = 0.0
        if not error <= float(np.finfo(self.dtype).eps) ** 0.5 * size:  # not of rounding in another order
            raise GradientError(f"checkpoint({title(self.f)}): running the function again gave other values (they differ by "
                                f"{error:.1e}), so the gradient would be wrong. It must depend on nothing that changes between "
                                "the forward and the backward pass: pass random generators as arguments.")
        return graph, inputs, ys

    def forward(self, *values: Any) -> Any:
        with no_grad(), self.states.restored():
            constants = [leaf(v, requires_grad=False) for v in values[: len(self.places)]]
            outs, _ = flatten(_called(self.f, self.leaves, self.rebuild, self.places, constants))
        return self.packed([outs[i].value if type(outs[i]) is Tensor else outs[i] for i in self.made])

    forward.is_own = True  # type: ignore[attr-defined]

    def rule(self, which: int, g: Any, y: Any, *operands: Any) -> Any:
        """dJ/d(operand): one second run and one pull serve all operands, whose rules are called one after the other."""
        if not self.found or self.found[0] is not g or which not in self.found[1]:
            self.found = [g, dict(enumerate(self.pulled(g, y, operands)))]
        d = self.found[1].pop(which)
        if which == len(operands) - 1:
            self.found = []
        return d

    def pulled(self, g: Any, y: Any, operands: Sequence[Any]) -> list[Any]:
        graph, inputs, ys = self.walked(operands, y)
        grads: dict[Tensor, Any] = {}
        for t, piece in zip(ys, self.unpacked(g), strict=True):
            grads[t] = grads[t] + piece if t in grads else piece
        path = graph.path(inputs)
        with always_record():
            if type(g) is Tensor:
                pull_recorded(graph.nodes, grads, path, frozen=type(y) is not Tensor)
            else:
                pull(graph.nodes, grads, path)
        return [grads.get(x) for x in inputs]

    def many(self, moved: Sequence[Any], y: Any, operands: Sequence[Any], batch: int) -> Any:
        """Many directions after one second run."""
        graph, inputs, ys = self.walked(operands, y)
        tangents = {x: t for x, t in zip(inputs, moved, strict=True) if t is not None}
        push_many(graph.nodes, tangents, batch)
        found = [tangents.get(t, np.zeros((batch, *t.shape), t.dtype)) for t in ys]
        if len(found) == 1:
            return found[0]
        return np.concatenate([t.reshape(batch, -1).astype(self.dtype) for t in found], axis=1)

    def __call__(self, moved: Sequence[Any], y: Any, operands: Sequence[Any], params: dict[str, Any]) -> Any:
        """The tangent of the results; Primitive.tangent."""
        graph, inputs, ys = self.walked(operands, y)
        tangents = {x: t for x, t in zip(inputs, moved, strict=True) if t is not None}
        record = any(type(t) is Tensor for t in moved)
        with always_record():
            push(graph.nodes, tangents, record, frozen=record and type(y) is not Tensor)
            found = [tangents.get(t) for t in ys]
            if all(t is None for t in found):
                return None
            return self.packed([np.zeros(t.shape, t.dtype) if d is None else d for t, d in zip(ys, found, strict=True)])


# ---------------------------------------------------------------- random generators

_ENOUGH = 10_000  # objects looked at


class _States:
    """The random generators that a function can reach, and where they stood when it was called."""

    def __init__(self, f: Callable[..., Any], leaves: list[Any]) -> None:
        self.generators = list(_generators([f, *leaves]))
        self.taken = self.now()

    def now(self) -> list[Any]:
        import random

        return [_state(g) for g in self.generators] + [np.random.get_state(), random.getstate()]

    def set(self, states: list[Any]) -> None:
        import random

        for g, state in zip(self.generators, states, strict=False):
            if isinstance(g, np.random.Generator):
                g.bit_generator.state = state
            elif isinstance(g, np.random.RandomState):
                g.set_state(state)
            else:
                g.setstate(state)
        np.random.set_state(states[-2])
        random.setstate(states[-1])

    @contextmanager
    def restored(self) -> Iterator[None]:
        """As when the function was called; afterwards as before."""
        before = self.now()
        self.set(self.taken)
        here.again += 1
        try:
            yield
        finally:
            here.again -= 1
            self.set(before)


def _state(g: Any) -> Any:
    if isinstance(g, np.random.Generator):
        return g.bit_generator.state
    return g.get_state() if isinstance(g, np.random.RandomState) else g.getstate()


def _generators(roots: list[Any]) -> Iterator[Any]:
    """Every random generator reachable from functions, their closures and globals, objects and containers."""
    import random  # not before it is needed: it loads hashing

    kinds = (np.random.Generator, np.random.RandomState, random.Random)
    waiting, kept = list(roots), []
    seen: set[int] = set()
    while waiting and len(seen) < _ENOUGH:
        x = waiting.pop()
        if id(x) in seen or isinstance(x, (Tensor, ndarray, np.generic, str, bytes, int, float, type, ModuleType,
                                           BuiltinFunctionType, type(None))):
            continue
        seen.add(id(x))
        kept.append(x)  # so that no id is used twice
        if isinstance(x, kinds):
            yield x
        elif isinstance(x, FunctionType):
            waiting += [cell.cell_contents for cell in x.__closure__ or () if _filled(cell)]
            waiting += [*(x.__defaults__ or ()), *(x.__kwdefaults__ or {}).values()]
            waiting += [x.__globals__[name] for name in _names(x.__code__) if name in x.__globals__]
        elif isinstance(x, MethodType):
            waiting += [x.__self__, x.__func__]
        elif isinstance(x, functools.partial):
            waiting += [x.func, *x.args, *x.keywords.values()]
        elif isinstance(x, dict):
            waiting += x.values()
        elif isinstance(x, (list, tuple, set, frozenset)):
            waiting += x
        else:
            waiting += getattr(x, "__dict__", {}).values()
            waiting += [getattr(x, name) for kind in type(x).__mro__ for name in _slots(kind) if hasattr(x, name)]
            waiting += [kind.__dict__["__call__"] for kind in type(x).__mro__ if "__call__" in kind.__dict__]


def _slots(kind: type) -> Sequence[str]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - it raises where the variable is not bound yet
    except ValueError:
        return False
    return True


def _names(code: Any) -> Iterator[str]:
    """The global names that a function and those defined in it use."""
    yield from code.co_names
    for inner in code.co_consts:
        if hasattr(inner, "co_names"):
            yield from _names(inner)
