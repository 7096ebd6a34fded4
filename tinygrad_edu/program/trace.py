"""From a function to a program: run it once on its arguments, then run the chain rule on the record."""

from __future__ import annotations

import bisect
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from .. import modes
from ..backprop import Graph, pull_recorded, seed
from ..calculus import flatten
from ..errors import GradientError, NamesError, user_frame, variable_names
from ..modes import always_record
from ..rules import pointwise
from ..rules.pointwise import identity
from ..rules.reductions import class_cross_entropy, one_hot
from ..rules.shapes import broadcast_to, sum_to, transpose
from ..tensor import Tensor, constant, leaf, next_id
from .naming import Names, Watch, argument_names, arrays_around, as_identifier, code_of, leaf_names, title_of
from .passes import tidied
from .program import Input, Line, Name, Program, names_in
from .traced import Traced, as_primitive, note, origin, traced

# ---------------------------------------------------------------- tracing


def trace(f: Callable[..., Any] | Tensor, *args: Any, wrt: Any = None, tidy: bool = True) -> Program:
    """Record f on these arguments, and its backward pass, as a Program. f may also be a recorded result J.

    args : numbers, arrays, Tensors, and nested dicts, lists and tuples of them. wrt : what to differentiate by, names
    or positions of arguments; by default the Tensors among them, or all arrays of floats where none is a Tensor; () for
    the forward pass alone. tidy : fold constants, share common subexpressions, and drop what is not used.

    f is run once. Values are named by its arguments and local variables, gradients "d" + name. Comparisons become lines
    of the program.

    Raises UnsupportedError where f decides a branch by a value, GradientError where the result is not one number, and
    NamesError where `wrt` names no argument.

    >>> import numpy as np, tinygrad_edu as tg
    >>> from tinygrad_edu.program import trace
    >>> def cost(w, x):
    ...     z = w @ x
    ...     return z * z
    >>> print(trace(cost, np.ones(2), np.ones(2), wrt="w"))
    cost(w, x):
        z = matmul(w, x)
        J = multiply(z, z)
        # backward
        t1 = multiply(1.0, z)
        dz = add(t1, t1)
        dw = multiply(dz, x)
        return J, dw
    """
    program, _ = trace_with_arguments(f, *args, wrt=wrt)
    return tidied(program) if tidy else program


def trace_with_arguments(f: Callable[..., Any] | Tensor, *args: Any, wrt: Any = None) -> tuple[Program, list[Any]]:
    """The program as recorded, and the arrays to run it on: the arguments, or the leaves of a recorded result."""
    tracing = _Tracing(f, args, wrt)
    return tracing.program(), [np.array(t.value if type(t) is Tensor else t) for t in tracing.inputs]

# what rules give NumPy's functions after the array, by the names of the primitives' parameters
_SETTINGS: dict[Any, tuple[str, ...]] = {np.transpose: ("axes",), np.flip: ("axis",), np.roll: ("shift", "axis")}


class _Tracing:
    """One function on its way to a program."""

    def __init__(self, f: Any, args: tuple[Any, ...], wrt: Any) -> None:
        self.names = Names()
        self.watch: Watch | None = None
        self.extra: list[tuple[Any, str]] = []  # values that a given record names
        self.arrays: dict[str, Any] = {}  # plain arrays the function can see, by the names it has for them
        if type(f) is Tensor:
            if args:
                raise TypeError("trace: a recorded result takes no arguments. Write trace(J), or trace(f, *args).")
            f, args = self._replay(f)
        elif not callable(f):
            raise TypeError(f"trace: {type(f).__name__} given. It takes a function and its arguments, or a recorded result.")
        self.f, self.title = f, title_of(f)
        leaves, rebuild = flatten(args)
        titles = argument_names(f, len(args))
        texts = [text for arg, name in zip(args, titles, strict=True) for text in leaf_names(arg, name)]
        own = getattr(f, "leaf_names", None)
        texts = own if own is not None else texts
        plain = [not _is_static(x, wrt, [type(y) for y in leaves]) for x in leaves]
        chosen = _chosen(wrt, args, titles, texts, leaves, self.title) if wrt is not None else []
        plain = [yes or (i in chosen and not isinstance(leaves[i], (str, bytes))) for i, yes in enumerate(plain)]
        floats = any(yes and _is_float(x) for x, yes in zip(leaves, plain, strict=True))
        self.skipped = tuple(i for i, yes in enumerate(plain) if not yes)
        every = [_input(x, text, floats) if yes else x for x, text, yes in zip(leaves, texts, plain, strict=True)]
        self.inputs: list[Any] = [t for t, yes in zip(every, plain, strict=True) if yes]
        for given, t, text, yes in zip(leaves, every, texts, plain, strict=True):
            if yes:
                self.names.claim(t, given.name if type(given) is Tensor and given.name is not None else text, True)
        self.wanted = self._wanted(wrt, chosen, leaves, every)
        code = code_of(f)
        if code is not None and own is None:
            self.arrays |= arrays_around(f, code)
        self.watch = Watch(code)
        with always_record(), modes.tracing(note), np.errstate(all="ignore"):
            call = rebuild(every)
            if own is None:
                with self.watch.on():
                    self.result = f(*call)
            else:
                self.result = f(*call)
            self.arrays |= self.watch.arrays
            self._differentiate()

    def _replay(self, root: Tensor) -> tuple[Any, tuple[Any, ...]]:
        """A function that computes again what was recorded, and the leaves as its arguments."""
        if root.op is None:
            raise GradientError(f"trace: {root.name or 'the Tensor'} was not computed from anything that is tracked, so there "
                                "is nothing to differentiate. Compute J from Tensors, J = f(Tensor(...)).")
        variables = variable_names()
        nodes = Graph([root]).nodes
        for node in nodes:
            for a in node.args:
                if type(a) is ndarray and id(a) in variables:
                    self.arrays.setdefault(variables[id(a)], a)
        frame = user_frame()
        if frame is not None:
            for name, held in {**frame.f_globals, **frame.f_locals}.items():
                if type(held) is ndarray and held.ndim and not name.startswith("_"):
                    self.arrays.setdefault(name, held)
        seen: set[Tensor] = set()
        leaves: list[Tensor] = []
        for node in [*nodes, root]:
            for a in (*node.args, node):
                if type(a) is Tensor and a.op is None and a not in seen:
                    seen.add(a)
                    leaves.append(a)
        leaves.sort(key=lambda t: t.id)
        extra = self.extra
        tracked: dict[int, Tensor] = {}

        def given(a: Any) -> Any:
            """A constant array as a tracked value too, so that what is computed of it alone is recorded."""
            if type(a) is not ndarray or a.dtype.kind != "f":
                return a
            if id(a) not in tracked:
                tracked[id(a)] = leaf(traced(a, None))
            return tracked[id(a)]

        def again(*values: Any) -> Any:
            made = dict(zip(leaves, values, strict=True))
            for node in nodes:
                assert node.op is not None
                operands = [made[a] if type(a) is Tensor else given(a) for a in node.args]
                made[node] = node.op(*operands, **(node.params or {}))
                name = node.name or variables.get(id(node))
                if name is not None:
                    extra.append((made[node], name))
            return made[root]

        again.__name__ = root.name or variables.get(id(root)) or "J"
        short = iter(range(1, len(leaves) + 1))
        texts = [x.name or variables.get(id(x)) or f"x{next(short)}" for x in leaves]
        again.leaf_names = texts  # type: ignore[attr-defined]
        again.tracked = [x.requires_grad for x in leaves]  # type: ignore[attr-defined]
        return again, tuple(leaves)

    def _wanted(self, wrt: Any, chosen: Sequence[int], leaves: Sequence[Any], every: Sequence[Any]) -> list[Tensor]:
        """The inputs to differentiate by."""
        tracked = getattr(self.f, "tracked", None)
        possible = [t for t in self.inputs if type(t) is Tensor]
        if wrt is None:
            if tracked is not None:
                return [t for t, yes in zip(self.inputs, tracked, strict=True) if yes]
            tensors = [t for t, x in zip(every, leaves, strict=True) if type(x) is Tensor and x.requires_grad]
            if not possible:
                raise GradientError(f"{self.title}: there is no argument to differentiate by. Give it numbers or arrays.")
            return tensors or possible
        for i in chosen:
            if type(every[i]) is not Tensor:
                shown = self.names.of.get(id(every[i]), leaves[i])
                raise GradientError(f"wrt: {shown} holds integers, truth values or text, which have no derivative. Convert it "
                                    "with .astype(float).")
        return list(dict.fromkeys(every[i] for i in chosen))

    def _differentiate(self) -> None:
        self.gradients: list[tuple[Tensor, Any]] = []  # node -> its complete gradient, in the order they are made
        result = self.result
        title = self.title
        if not self.wanted:
            self.root = result
            return
        if type(result) is not Tensor:
            what = "None. Is a `return` missing?" if result is None else (
                f"{type(result).__name__}. Return the cost J alone." if isinstance(result, (tuple, list, dict))
                else f"{type(result).__name__}, which depends on no argument. Compute it with tg or NumPy functions.")
            raise GradientError(f"{title}: the function returns {what}")
        if result.size != 1:
            raise GradientError(
                f"{title}: the function returns shape {result.shape}, and only a single number has a gradient. Return "
                ".sum() of it, or pass wrt=() for the forward pass alone.")
        self.root = result
        graph = Graph([result])
        path = graph.depending_on(self.wanted)
        start = leaf(traced(seed(result, None), None), name="dJ")
        self.seed = start
        grads: dict[Tensor, Any] = {result: start}
        self.steps: list[tuple[int, Tensor]] = []  # (creation number, whose rules are recorded from there on)
        for node in reversed(graph.nodes):  # one at a time, to know whose rule made what
            self.steps.append((next_id(), node))
            pull_recorded([node], grads, path, keep=True)
            if node in path and node.grad is not None:
                self.gradients.append((node, node.grad))
                node.grad = None
        for t in self.wanted:
            d = grads.get(t)
            if d is None:
                d = leaf(np.zeros(t.shape, t.dtype)[()], requires_grad=False)
            elif d.shape != t.shape:
                d = (broadcast_to if not d.ndim else sum_to)(d, shape=t.shape)
            self.gradients.append((t, d))

    # -- writing it down

    def program(self) -> Program:
        """The lines, named."""
        results, _ = flatten(self.result) if type(self.result) is not Tensor else ([self.result], None)
        results = [r for r in results if type(r) is Tensor]
        roots = [*results, *[g for _, g in self.gradients if type(g) is Tensor]]
        self.by_value: dict[int, Tensor] = {}
        forward, backward = self._nodes(results), []
        known = set(forward)
        for node in self._nodes(roots):
            if node not in known:
                backward.append(node)
        for t in (*forward, *backward):
            for a in (*t.args, t):
                if type(a) is Tensor:
                    self.by_value.setdefault(id(a.value), a)
        for t in self.inputs:
            self.by_value[id(t.value if type(t) is Tensor else t)] = t
        self._name_forward(forward, results)
        self.lines: list[Line] = []
        self.constants: dict[Name, Any] = {}
        self.sources: dict[int, Any] = {}
        self.kept: list[Any] = []  # what ids are looked up by must stay alive
        self.start_name, k = "dJ", 2  # of the seed, unless a variable of f is called so
        while self.start_name in self.names.taken:
            self.start_name, k = f"dJ_{k}", k + 1
        if self.gradients:
            self.names.taken.add(self.start_name)
        for node in forward:
            self._write(node, "forward")
        self._name_gradients()
        if self.gradients:
            self.names.of[id(self.seed)] = Name(self.seed_name)
            self.lines.append(Line(Name(self.seed_name), identity, (self._literal(self.seed.value),), {}, self.seed.shape,
                                   self.seed.dtype, "backward", True))
        self._write_backward(backward)
        outputs: dict[str, Any] = {}
        for r in results:
            outputs[str(self.names.of[id(r)])] = self.names.of[id(r)]
        for t in self.wanted:
            outputs[str(self.gradient_name[id(t)])] = self.gradient_name[id(t)]
        inputs = tuple(Input(self.names.of[id(t)], t.shape, t.dtype) for t in self.inputs)
        gradients = {str(self.gradient_name[id(t)]): self.names.of[id(t)] for t, _ in self.gradients}
        return Program(self.title, inputs, self.constants, tuple(self.lines), outputs, len(results), gradients,
                       dict(self.watch.numbers) if self.watch is not None else {}, self.skipped)

    def _nodes(self, roots: Iterable[Any]) -> list[Tensor]:
        """Everything recorded that roots were made from, also by way of untracked arrays, oldest first."""
        waiting: list[Any] = [r for r in roots if type(r) is Tensor]
        Graph(waiting)  # leads operations to the values they used, where one was assigned into
        seen: set[int] = set()
        nodes: list[Tensor] = []
        while waiting:
            x = waiting.pop()
            if id(x) in seen:
                continue
            seen.add(id(x))
            if type(x) is Tensor and x.op is not None:
                nodes.append(x)
                waiting += [a for a in x.args if type(a) is Tensor]
        nodes.sort(key=lambda t: t.id)
        return nodes

    def _name_forward(self, nodes: list[Tensor], results: list[Any]) -> None:
        inside = set(nodes)
        claimed = self.names.of
        for node in nodes:
            if node.name is not None:
                self.names.claim(node, node.name, True)
        for node, name in self.extra:
            if type(node) is Tensor and node in inside and id(node) not in claimed:
                self.names.claim(node, name, True)
        final = results[0] if len(results) == 1 else None
        watch = self.watch
        for bindings in (watch.own, watch.inner) if watch is not None else ():
            for name, held in bindings.items():
                held = [x for x in dict.fromkeys(held) if x in inside and id(x) not in claimed]
                last = [x for x in held if x is final]
                several = [x for x in held if x is not final]
                for x in last:
                    self.names.claim(x, name, True)
                for i, x in enumerate(several):
                    plain = len(several) == 1 and not last
                    self.names.claim(x, name if plain else f"{name}{i + 1}", True)
        if final is not None and id(final) not in claimed:
            self.names.claim(final, "J", True)
        short = iter(x for x in ("u", "v", "p", "q", "r", "s") if x not in self.names.taken)
        between = [node for node in nodes if id(node) not in claimed]
        few = len(between) <= 6 - sum(x in self.names.taken for x in ("u", "v", "p", "q", "r", "s"))
        few = few and not any(node.ndim for node in between)
        for node in between:
            if few:
                self.names.claim(node, next(short), False)
            else:
                self.names.short(node, "t")

    def _name_gradients(self) -> None:
        """Settle the names of the gradients before any line between them takes one."""
        self.gradient_name: dict[int, Name] = {}
        for node, _ in self.gradients:
            own = self.names.of[id(node)]
            name, k = self.start_name if node is self.root and own == "J" else f"d{own}", 2
            while name in self.names.taken and name != self.start_name:
                name, k = f"d{own}_{k}", k + 1
            self.names.taken.add(name)
            if own in self.names.by_person:
                self.names.by_person.add(name)
            self.gradient_name[id(node)] = Name(name)
        self.seed_name = self.gradient_name.get(id(self.root), Name(self.start_name))

    def _write_backward(self, nodes: list[Tensor]) -> None:
        """The backward lines; a gradient that is another one's value gets a line that says so."""
        waiting = [(node, d) for node, d in self.gradients if node is not self.root]
        inside = set(nodes)
        first: dict[int, Name] = {}
        after: dict[int, list[tuple[Tensor, Any]]] = {}
        for node, d in waiting:
            if id(d) in first or d not in inside:
                after.setdefault(id(d), []).append((node, d))
            else:
                first[id(d)] = self.gradient_name[id(node)]
        made = {id(node) for node in nodes}
        for key in [key for key in after if key not in made]:  # of the start itself, and of zeros
            for owner, d in after.pop(key):
                self._alias(owner, d)
        complete = {id(node): d for node, d in self.gradients}
        starts = [start for start, _ in self.steps] if self.gradients else []
        for node in nodes:
            if id(node) in first:
                self.names.of[id(node)] = first[id(node)]
            owner = self.steps[bisect.bisect(starts, node.id) - 1][1]
            self._write(node, "backward", complete.get(id(owner)), self.gradient_name.get(id(owner)))
            for other, d in after.pop(id(node), ()):
                self._alias(other, d)

    def _alias(self, owner: Tensor, d: Any) -> None:
        name = self.gradient_name[id(owner)]
        self.lines.append(Line(name, identity, (self._operand(d, "backward"),), {}, owner.shape, owner.dtype, "backward",
                               name in self.names.by_person))

    def _write(self, node: Tensor, kind: str, gradient: Any = None, its_name: Name | None = None) -> None:
        """One line; a rule reads the gradient by the name of the value whose rule it is."""
        assert node.op is not None
        operands = tuple(its_name if its_name is not None and a is gradient and a is not node else self._operand(a, kind)
                         for a in node.args)
        params = {key: self._parameter(value, kind) for key, value in (node.params or {}).items()}
        if node.op is class_cross_entropy:  # it keeps a copy of the classes
            params["target"] = next((self.names.of[id(x)] for x in self.inputs if type(x) is Traced and np.array_equal(
                x, (node.params or {})["target"])), params["target"])
        name = self.names.of.get(id(node)) or self.names.short(node, "t")
        self.lines.append(Line(name, node.op, operands, params, node.shape, node.dtype, kind, name in self.names.by_person))

    def _literal(self, value: Any) -> Any:
        value = np.asarray(value)[()]
        return value

    def _operand(self, a: Any, kind: str) -> Any:
        """A name or a literal."""
        if type(a) is Tensor:
            if id(a) in self.names.of:
                return self.names.of[id(a)]
            found = self._array(a.value, kind)
            if isinstance(found, Name):
                self.names.of[id(a)] = found
            return found
        return self._array(a, kind)

    def _array(self, x: Any, kind: str) -> Any:
        """The name of an untracked array: that of a Tensor's value, of a line of its own, or of a constant."""
        if not isinstance(x, ndarray):
            return x
        seen = origin(x)
        if seen is not None:
            found = self._from_source(seen, kind)
            if found is not None:
                return found
        if not x.ndim:
            return np.asarray(x)[()]
        if id(x) in self.sources:
            return self.sources[id(x)]
        found = self._constant(np.array(x), kind)
        self.sources[id(x)] = found
        self.kept.append(x)
        return found

    def _constant(self, value: Any, kind: str) -> Name:
        """The name of a constant array: a variable's, where one holds it; what was made of one is written out."""
        for name, known in self.constants.items():
            if _same(known, value):
                return name
        value.flags.writeable = False
        for text, known in self.arrays.items():
            if _same(known, value):
                name = self.names.claim(value, text, True)
                self.constants[name] = value
                return name
        for known in self.arrays.values():
            for op, operands, made in ((pointwise.subtract, (1,), _complement), (pointwise.negative, (), operator.neg),
                                       (transpose, (), np.transpose)):
                if known.dtype.kind == "f" and known.ndim and _same(made(known), value):
                    base = self._constant(np.array(known), kind)
                    name = self.names.short(value, "t")
                    self.lines.append(Line(name, op, (*operands, base), {}, value.shape, value.dtype, kind))
                    self.kept.append(value)
                    return name
        found = self._one_hot(value, kind)
        if found is not None:
            return found
        name = self.names.short(value, "c")
        self.constants[name] = value
        return name

    def _one_hot(self, value: Any, kind: str) -> Name | None:
        """The line that makes ones at given classes, where a constant is that."""
        if value.dtype.kind != "f" or value.ndim < 2 or not np.isin(value, (0, 1)).all():
            return None
        for x in (t for t in self.inputs if type(t) is Traced and t.dtype.kind in "iu"):
            for axis in range(value.ndim):
                rest = value.shape[:axis] + value.shape[axis + 1 :]
                if rest == x.shape and value.sum() == x.size and np.array_equal(np.argmax(value, axis), x) and np.all(
                        np.max(value, axis) == 1):
                    name = self.names.short(value, "t")
                    params = {"classes": value.shape[axis], "axis": axis, "dtype": value.dtype}
                    self.lines.append(Line(name, one_hot, (self.names.of[id(x)],), params, value.shape, value.dtype, kind))
                    self.kept.append(value)
                    return name
        return None

    def _from_source(self, x: Traced, kind: str) -> Any:
        if id(x) in self.by_value:
            return self.names.of.get(id(self.by_value[id(x)]))
        if id(x) in self.sources:
            return self.sources[id(x)]
        source = x.source
        if type(source) is Traced:  # a view of all of it
            same = (source.shape == x.shape and source.dtype == x.dtype
                    and source.__array_interface__["data"] == x.__array_interface__["data"] and source.strides == x.strides)
            found = self._from_source(source, kind) if same or np.array_equal(source, x) else None
        elif source is None:
            found = None
        else:
            function, inputs, params = source
            named = _SETTINGS.get(function, ())
            if 1 < len(inputs) <= 1 + len(named):  # np.transpose(x, (0, 2, 1)): no operand
                inputs, params = inputs[:1], dict(zip(named, inputs[1:], strict=False)) | params
            operands = tuple(self._parameter(a, kind) for a in inputs)
            if not any(True for _ in names_in(operands)):
                return None
            name = self.names.short(x, "t")
            settings = {key: self._parameter(value, kind) for key, value in params.items()}
            self.lines.append(Line(name, as_primitive(function), operands, settings, x.shape, x.dtype, kind))
            found = name
        if found is not None:
            self.sources[id(x)] = found
            self.kept.append(x)
        return found

    def _parameter(self, value: Any, kind: str) -> Any:
        if isinstance(value, ndarray):
            return self._array(value, kind)
        if type(value) is Tensor:
            return self._operand(value, kind)
        if type(value) in (tuple, list):
            return type(value)(self._parameter(item, kind) for item in value)
        return value


def _complement(a: Any) -> Any:
    return 1 - a


def _same(a: Any, b: Any) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=b.dtype.kind == "f")


def _is_static(x: Any, wrt: Any, kinds: Sequence[type]) -> bool:
    """Whether an argument is a setting, which f gets as it is: text, a function, a truth value; an integer beside
    Tensors, or where what to differentiate by is said."""
    if isinstance(x, bool) or not isinstance(x, (Tensor, ndarray, np.generic, int, float, list)):
        return True
    return isinstance(x, int) and (wrt is not None or Tensor in kinds)


def _is_float(x: Any) -> bool:
    return isinstance(x, (int, float, list)) or np.asarray(x.value if type(x) is Tensor else x).dtype.kind == "f"


def _chosen(wrt: Any, args: Sequence[Any], titles: Sequence[str], texts: Sequence[str], leaves: Sequence[Any],
            title: str) -> list[int]:
    """Which leaves `wrt` means: names of arguments or of arrays in them, positions, or Tensors."""
    counts = [len(flatten(arg)[0]) for arg in args]
    places = [range(sum(counts[:i]), sum(counts[: i + 1])) for i in range(len(args))]
    found: list[int] = []
    for w in wrt if isinstance(wrt, (tuple, list)) else (wrt,):
        here: Sequence[int] = ()
        if isinstance(w, str):
            own = [x.name if type(x) is Tensor and x.name is not None else text for x, text in zip(leaves, texts, strict=True)]
            here = places[titles.index(w)] if w in titles and len(texts) == len(leaves) == sum(counts) and w not in own else [
                i for i, text in enumerate(own) if text == w or as_identifier(text) == as_identifier(w)]
        elif isinstance(w, (int, np.integer)) and not isinstance(w, bool):
            here = places[int(w)] if -len(args) <= w < len(args) else ()
        else:
            here = [i for i, x in enumerate(leaves) if x is w]
        if not here:
            shown = repr(w) if isinstance(w, (str, int)) else type(w).__name__
            known = ", ".join(as_identifier(text) for text in texts)
            raise NamesError(f"wrt: {shown} is no argument of {title}. Its arrays are {known}.")
        found += here
    return found


def _input(x: Any, name: str, floats: bool) -> Any:
    """A tracked Tensor around an argument, so that everything done to it is recorded; integers stay an array, as they
    are classes or places, unless there is nothing else."""
    value = x.value if type(x) is Tensor else constant(x, name)
    if not hasattr(value, "shape") or (not floats and value.dtype.kind in "iu"):
        value = np.float64(value)
    value = np.asarray(value)
    if value.dtype.kind == "f":
        return leaf(traced(value, None))
    return traced(value, None)
