"""One call of a function on fresh inputs, recorded: what every derivative of a function starts from.

Each call has inputs of its own, so derivatives nest: the variable of an inner derivative is never that of an outer one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from . import ops
from .backprop import Graph, fit_recorded, unshared
from .containers import MismatchError, Rebuild, flatten, nested_as, numbers, only, refuse_unknown
from .errors import DTypeError, GradientError, InPlaceError, ShapeError
from .modes import always_record, recording
from .rules.pointwise import identity
from .tensor import Tensor, constant, leaf, next_id

Wanted = int | str | Sequence[int | str]  # which arguments to differentiate by


def title(f: Callable[..., Any]) -> str:
    """What errors call a function."""
    return str(getattr(f, "__name__", "f"))


def plain(x: Any) -> Any:
    return x.value if type(x) is Tensor else x


class Recording:
    """One call of f on fresh inputs: the inputs, the outputs, and the graph between them."""

    __slots__ = ("aux", "builders", "f", "graph", "inputs", "outputs", "outside", "path", "rebuild_outputs", "record", "since",
                 "single")

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Wanted,
                 has_aux: bool = False) -> None:
        self.f = f
        self.since = since = next_id()
        call, kwargs, outside = self.track(f, args, kwargs, argnums)
        outer = recording()
        if outer:
            result = f(*call, **kwargs)
        else:
            with always_record():
                result = f(*call, **kwargs)
        if outside:
            self.refuse_assigned()
        if result is None:
            raise GradientError(f"{title(f)}: the function returns None. Is a `return` missing?")
        self.aux = None
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise TypeError(f"{title(f)}: has_aux=True expects (result, extra), got {type(result).__name__}. Return a "
                                "pair, or leave has_aux out.")
            result, self.aux = result
        self.rebuild_outputs: Rebuild
        if type(result) is Tensor:
            self.outputs, self.rebuild_outputs = [result], only
        else:
            outputs, self.rebuild_outputs = numbers(result)
            self.outputs = [y if type(y) is Tensor else _as_output(y, f) for y in outputs]
        self.graph = Graph(self.outputs, self.inputs, since)
        # a derivative that depends on something tracked outside must itself be recorded
        self.outside = outside
        self.record = outer and (outside or self.graph.outside)
        self.path = self.graph.path(self.inputs)

    def track(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Wanted
              ) -> tuple[list[Any], dict[str, Any], bool]:
        """Put fresh Tensors in the place of the arrays to differentiate by; whether any hangs on a graph outside."""
        wanted: Sequence[Any] = (argnums,) if isinstance(argnums, (int, str, np.integer)) else argnums
        self.single = wanted is not argnums
        call, outside, count = list(args), False, len(args)
        self.inputs: list[Tensor] = []
        self.builders: list[tuple[int, Rebuild]] = []
        places = []
        for i in wanted:
            if type(i) is not int or not -count <= i < count:
                i = _place(f, i, args, kwargs)
            named = type(i) is str
            if not named:
                i %= count
            places.append(i)
            x = kwargs[i] if named else args[i]
            new: Any
            if type(x) is ndarray and x.ndim and x.dtype.kind == "f":  # the usual case, without the machinery of nests
                new = leaf(x)
                self.inputs.append(new)
                self.builders.append((1, only))
            elif type(x) is float:
                new = leaf(np.float64(x))
                self.inputs.append(new)
                self.builders.append((1, only))
            else:
                leaves, build = numbers(x)
                tracked = []
                for value in leaves:
                    t, linked = _as_input(value, f, i)
                    outside = outside or linked
                    tracked.append(t)
                new = build(tracked)
                self.inputs += tracked
                self.builders.append((len(tracked), build))
            if named:
                kwargs = kwargs | {i: new}
            else:
                call[i] = new
        if len(places) > 1 and len(set(places)) < len(places):
            raise ValueError(f"{title(f)}: argnums {tuple(wanted)} names an argument twice. Name each once.")
        return call, kwargs, outside

    def refuse_assigned(self) -> None:
        """Raise if the function assigned into an argument: its Tensor would stand for the newer value (a leaf is refused
        when it happens)."""
        for i, x in enumerate(self.inputs):
            if getattr(x, "history", None) is not None:
                raise InPlaceError(f"{title(self.f)}: the function assigns into an argument (array {i + 1} of those to "
                                   "differentiate by), which would then stand for another value than the one given. Make a "
                                   "copy first, x = x.copy(), or write x = tg.assign(x, index, values).")

    def rebuild_inputs(self, leaves: Sequence[Any]) -> Any:
        """One result per input, nested as the arguments were."""
        out, start = [], 0
        for count, build in self.builders:
            out.append(leaves[start] if build is only else build(leaves[start : start + count]))
            start += count
        return out[0] if self.single else tuple(out)

    def like_inputs(self, given: Sequence[Any], where: str, what: str) -> list[Any]:
        """The leaves of containers nested as the inputs are."""
        out: list[Any] = []
        for i, ((count, build), tree) in enumerate(zip(self.builders, given, strict=True)):
            try:
                out += nested_as(build, count, tree)
            except MismatchError as error:
                raise ShapeError(f"{where}: {what} {i + 1} is not nested as its primal: {error}. Nest the {what}s as the "
                                 "primals are.") from None
        return out

    def like_outputs(self, given: Any, where: str) -> list[Any]:
        """The leaves of a container nested as the result is."""
        count = len(self.outputs)
        try:
            return nested_as(self.rebuild_outputs, count, given)
        except MismatchError as error:
            leaves, _ = flatten(given)
            if len(leaves) != count:
                raise GradientError(f"{where}: {len(leaves)} gradients for {count} results of {title(self.f)}. Give one array "
                                    "per result, nested as the results.") from None
            raise GradientError(f"{where}: the gradients are not nested as the results of {title(self.f)}: {error}.") from None

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

    def kept(self, tree: Any) -> Any:
        """A result for the caller where the record lives on: changing it in place must not change the record."""
        leaves, rebuild = flatten(tree)
        with always_record():
            return rebuild([x.copy() if type(x) is ndarray else identity(x) if type(x) is Tensor else x for x in leaves])

    def result(self, tree: Any) -> Any:
        """A result for the caller: plain, unless it belongs to a graph outside."""
        if self.record:
            return tree
        if type(tree) is Tensor:
            return tree.value
        if tree is None:
            return None
        leaves, rebuild = flatten(tree)
        return rebuild([plain(x) for x in leaves])

    def extra(self) -> Any:
        """The auxiliary output for the caller; what is tracked outside stays a Tensor there too, leaf by leaf."""
        if self.aux is None:
            return None
        leaves, rebuild = flatten(self.aux)
        if not any(type(x) is Tensor for x in leaves):
            return self.aux
        if not recording():
            return rebuild([plain(x) for x in leaves])
        linked = {x for x in self.inputs if x.op is not None}  # the inputs that hang on a graph outside

        def kept(x: Any) -> Any:
            if type(x) is not Tensor or not x.requires_grad:
                return plain(x)
            if x.id < self.since or x in linked:
                return x
            graph = Graph([x], self.inputs, self.since)
            return x if graph.outside or (linked and x in graph.depending_on(linked)) else x.value

        return rebuild([kept(x) for x in leaves])

    def seeds(self, starts: Sequence[Any], record: bool) -> dict[Tensor, Any]:
        grads: dict[Tensor, Any] = {}
        for y, g in zip(self.outputs, starts, strict=True):
            if record and type(g) is not Tensor:
                g = leaf(g, requires_grad=False)
            elif not record:
                g = plain(g)
            grads[y] = grads[y] + g if y in grads else g
        return grads


def _place(f: Callable[..., Any], i: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The position of an argument to differentiate by, or its name where it is given by keyword."""
    if not isinstance(i, (int, str, np.integer)) or isinstance(i, bool):
        raise TypeError(f"argnums: {i!r} is no position. Give an integer, a name, or a tuple of them.")
    if isinstance(i, str) and i in kwargs:
        return i
    if not isinstance(i, str) and -len(args) <= i < len(args):
        return int(i)
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # a function written in C
        parameters = {}.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if isinstance(i, str):
        if i in names[: len(args)]:
            return names.index(i)
        known = [*names, *[p.name for p in parameters if p.kind == p.KEYWORD_ONLY]]
        if i in known:
            raise ValueError(f"{title(f)}: argnums names {i!r}, which is not given. Pass {i}=...")
        raise ValueError(f"{title(f)}: argnums names {i!r}, but there is no such argument. It takes "
                         f"{', '.join(known) or 'none'}.")
    if 0 <= i < len(names) and names[i] in kwargs:
        return names[i]
    raise ValueError(f"{title(f)}: argnums names argument {i}, but {len(args)} positional arguments are given. Pass the "
                     "arguments to differentiate by position.")


def _as_input(x: Any, f: Callable[..., Any], place: int | str) -> tuple[Tensor, bool]:
    """A fresh Tensor to differentiate by, and whether it hangs on a graph outside."""
    if type(x) is ndarray and x.ndim and x.dtype.kind == "f":
        return leaf(x), False
    if type(x) is float:
        return leaf(np.float64(x)), False
    if type(x) is Tensor:
        if x.requires_grad and recording():
            return identity(x), True
        value = x.value
    else:
        refuse_unknown(x, f"{title(f)}: the argument {_argument(f, place)}")
        value = np.asarray(constant(x, "argument"))
    if value.dtype.kind == "b":
        raise DTypeError(f"{title(f)}: the argument {_argument(f, place)} holds truth values, which have no derivative. Leave "
                         "it out of argnums, or convert it with .astype(float).")
    if value.dtype.kind != "f":
        value = value.astype(np.float64)
    return leaf(value if value.ndim else value[()]), False


def _argument(f: Callable[..., Any], place: int | str) -> str:
    if isinstance(place, str):
        return place
    code = getattr(inspect.unwrap(f), "__code__", None)
    return str(code.co_varnames[place]) if code is not None and place < code.co_argcount else str(place + 1)


def _as_output(y: Any, f: Callable[..., Any]) -> Tensor:
    refuse_unknown(y, f"{title(f)}: the result")
    return leaf(ops.inputs.as_array(y, "result"), requires_grad=False)
