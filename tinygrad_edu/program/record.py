"""Any function as a program: run it on values that remember, and write down what its results were made from.

`trace` records a cost and adds the chain rule for readers. Here the function is whatever it is (a gradient, a Hessian, a
whole training step), and what it returns decides what is kept.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from numpy import ndarray

from .. import modes, tensor
from ..backprop import Graph
from ..calculus import flatten
from ..errors import StaleError, TinygradError, TraceError, refuse_own_arithmetic
from ..modes import always_record
from ..rules import TABLE
from ..tensor import Primitive, Tensor, leaf, next_id
from .effects import changes_data, refuse_changes, refuse_new_data, refused, snapshot
from .emit import OtherShapeError
from .naming import RESERVED, Names, Watch, argument_names, code_of, leaf_names, title_of
from .program import Input, Line, Name, Program, names_in, value_of
from .traced import (
    Traced,
    arrays_in,
    as_primitive,
    counted,
    in_place_error,
    is_part_of_traced,
    note,
    origin,
    read_only_error,
    traced,
    traced_argument,
)

# ---------------------------------------------------------------- random draws


class Draws(np.random.Generator):
    """A generator whose draws are lines of the program, so that a compiled function draws afresh on every call."""

    lines: list[Traced]

    def shuffle(self, *args: Any, **kwargs: Any) -> Any:
        raise TraceError("shuffle: it changes an array in place, which a compiled function cannot repeat. Use "
                         "x[rng.permutation(len(x))].")


def _drawing(name: str) -> Callable[..., Any]:
    drawn = Primitive(name, lambda generator, *args, **kwargs: getattr(generator, name)(*args, **kwargs), kind="draw")

    def draw(self: Draws, *args: Any, **kwargs: Any) -> Any:
        value = getattr(np.random.Generator(self.bit_generator), name)(*args, **kwargs)  # permutation calls shuffle
        made = traced(value, (drawn, (self, *args), kwargs))
        self.lines.append(made)
        return made

    draw.__name__ = name
    return draw


for _name in ("random", "standard_normal", "normal", "uniform", "integers", "permutation", "permuted", "choice", "binomial",
              "exponential", "standard_exponential", "gamma", "standard_gamma", "beta", "poisson", "laplace", "logistic",
              "lognormal", "gumbel", "geometric", "multinomial", "dirichlet", "chisquare", "standard_t", "triangular",
              "multivariate_normal", "rayleigh", "weibull", "vonmises", "standard_cauchy"):
    setattr(Draws, _name, _drawing(_name))


# ---------------------------------------------------------------- recording


@dataclass
class Recorded:
    """What one run of a function left: its program, its results, and how they nest.

    arguments : the flattened arguments, statics included. dynamic : which of them are arrays, numbers or generators, in
    the order of the program's inputs. captured : constants that are the caller's own arrays, by name.
    """

    program: Program
    results: list[Any]
    rebuild: Callable[[Sequence[Any]], Any]
    where: dict[str, str]  # name -> the line of the user's code that made it
    leaves: Sequence[tuple[Tensor, Any]] = ()  # Tensors from around the function, with their gradients afterwards


def is_number(x: Any) -> bool:
    return isinstance(x, (float, np.floating)) and not isinstance(x, bool)


def _as_list_of_numbers(x: Any) -> Any:
    return np.asarray(x, dtype=np.float64) if type(x) is list else x


def is_dynamic(x: Any) -> bool:
    """Whether an argument may differ from call to call without a new recording: arrays, floats and generators."""
    return isinstance(x, (ndarray, float, np.floating, Tensor, np.random.Generator)) or (type(x) is list and has_floats(x))


def has_floats(numbers: Any) -> bool:
    """Whether a list of numbers, or of such lists, is an array of floats: [0, 1] is a setting, [0.0, 1] is data."""
    return any(isinstance(x, (float, np.floating)) or (type(x) is list and has_floats(x)) for x in numbers)


class Recording:
    """One function on its way to a program."""

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
                 watch_names: bool = True, own: bool = False) -> None:
        self.own = own
        self.title = title_of(f)
        self.names = Names(RESERVED)
        leaves, rebuild = flatten((args, kwargs))
        texts = [t for x, n in zip(args, argument_names(f, len(args)), strict=True) for t in leaf_names(x, n)]
        texts += [t for n, x in kwargs.items() for t in leaf_names(x, n)]
        single = any(_precision(x) == 4 for x in leaves) and not any(_precision(x) == 8 for x in leaves)
        self.inputs: list[Any] = []
        self.numbers: list[tuple[Any, float]] = []  # Python's, recorded in float32
        given = []
        for x, text in zip(leaves, texts, strict=True):
            if not is_dynamic(x):
                given.append(copy.deepcopy(x) if type(x) is list else x)
                continue
            held = self._input(x, single)
            if single and type(x) is float:
                self.numbers.append((held, x))
            self.names.claim(held, text, True)
            self.inputs.append(held)
            given.append(held)
        call_args, call_kwargs = rebuild(given)
        self.watch = Watch(code_of(f)) if watch_names else None
        outer, counted.values = (counted.values, counted.refused), []
        counted.refused, self.start = None, next_id()
        before = snapshot((call_args, call_kwargs))
        changed: list[Tensor] = []
        try:
            with (_noting(self.watch) as told, always_record(), modes.tracing(told, changed, watch_names),
                  np.errstate(all="ignore")):
                result = f(*call_args, **call_kwargs)
            refused(None)
        except TinygradError:
            raise
        except Exception as error:
            refused(error)
            instead = read_only_error(error)
            if instead is not None:
                raise instead from error
            raise
        finally:
            self.counted = list({id(x): x for x in counted.values}.values())
            counted.values, counted.refused = outer
        refuse_new_data(self.title, [x for x in changed if x.id < self.start and not any(x is given for given in self.inputs)])
        refuse_changes(self.title, before, result, any(isinstance(x, Draws) and x.lines for x in self.inputs))
        self.results: list[Any]
        self.rebuild: Callable[[Sequence[Any]], Any]
        self.results, self.rebuild = ([result], _first) if type(result) is Tensor else flatten(result)

    def _input(self, x: Any, single: bool) -> Any:
        if isinstance(x, np.random.Generator):
            draws = Draws(x.bit_generator)
            draws.lines = []
            return draws
        if type(x) is Tensor:
            x = x.value
        x = _as_list_of_numbers(x)
        if isinstance(x, float) and not isinstance(x, np.floating):  # a Python number never widens float32
            x = np.float32(x) if single else np.float64(x)
        if type(x) is not ndarray:
            refuse_own_arithmetic(x, "jit", "a recording does")
        if not x.dtype.isnative:
            x = x.astype(x.dtype.newbyteorder("="))
        value = traced_argument(x, self.own)
        return leaf(value) if x.dtype.kind == "f" else value

    # -- writing it down

    def recorded(self) -> Recorded:
        try:
            nodes = self._nodes()
        except StaleError as error:
            if tensor.last_change > self.start:
                raise changes_data(self.title, str(error).split()[1]) from error
            raise
        self.by_value: dict[int, Any] = {}
        note = self.by_value.setdefault
        for node in nodes:
            for a in node.args:
                if type(a) is Tensor:
                    note(id(a.value), a)
            note(id(node.value), node)
        for t in self.inputs:
            self.by_value[id(t.value if type(t) is Tensor else t)] = t
        self._name(nodes)
        self.lines: list[Line] = []
        self.constants: dict[Name, Any] = {}
        self.derived: set[str] = set()
        self.places: dict[Any, Name] = {}  # memory -> the constant that lies there
        self.sources: dict[int, Any] = {}
        self.kept: list[Any] = []  # what ids are looked up by must stay alive
        self.draws = [made for x in self.inputs if isinstance(x, Draws) for made in x.lines]
        for node in nodes:
            self._write(node)
        for made in self.draws:  # also those that nothing needs: the generator's state counts
            self._operand(made)
        for value in self.counted:
            self._check_count(value)
        ours = {id(t) for t in self.inputs}
        around = dict.fromkeys(a for node in nodes for a in node.args if type(a) is Tensor and a.op is None)
        outputs: dict[str, Any] = {}
        for i, r in enumerate(self.results):
            outputs[f"result{i}"] = self._operand(r) if isinstance(r, (Tensor, ndarray, np.generic)) else _Static(r)
        inputs = tuple(Input(self.names.of[id(t)], getattr(t, "shape", ()), getattr(t, "dtype", None)) for t in self.inputs)
        program = Program(self.title, inputs, self.constants, tuple(self.lines), outputs, len(outputs),
                          derived=frozenset(self.derived))
        leaves = [(a, a.grad) for a in around if a.id < self.start and id(a) not in ours]
        results = self._of_numbers(program, [_plain(r) for r in self.results])
        return Recorded(program, results, self.rebuild, {}, leaves)

    def _of_numbers(self, program: Program, results: list[Any]) -> list[Any]:
        """The results, those made of Python numbers alone in their precision, as in later calls."""
        values: dict[str, Any] = {self.names.of[id(held)]: x for held, x in self.numbers}
        if not values:
            return results
        with np.errstate(all="ignore"):
            for line in program.lines:
                if not line.shape and line.uses() and line.op.kind not in ("draw", "check") and values.keys() >= {*line.uses()}:
                    values[line.name] = value_of(line, values)
        return [values.get(out, r) if isinstance(out, Name) else r
                for r, out in zip(results, program.outputs.values(), strict=True)]

    def _check_count(self, x: Traced) -> None:
        """A line that sees to it that a mask, or what was selected, has as many entries as it had."""
        root = x
        while type(root.source) is Traced:
            root = root.source
        if x.changed or root.changed or (root.source is None and id(root) not in self.by_value):
            return
        found = self._operand(x)
        if isinstance(found, Name):
            op, wanted = (_AS_MANY, int(np.count_nonzero(x))) if x.dtype == bool else (_AS_LONG, x.shape)
            line = Line(self.names.short(x, "t"), op, (found,), {"wanted": wanted}, (), np.dtype(np.int64))
            places = [i for i, line in enumerate(self.lines) if line.name == found]
            self.lines.insert(places[0] + 1 if places else 0, line)

    def _nodes(self) -> list[Tensor]:
        """Everything the results were made from, oldest first."""
        nodes = self._made_from()
        if nodes and tensor.last_change > nodes[0].id:
            Graph([r for r in self.results if type(r) is Tensor])  # leads operations to the values they used, see versions
            nodes = self._made_from()
        return nodes

    def _made_from(self) -> list[Tensor]:
        waiting = [r for r in self.results if type(r) is Tensor]
        for r in self.results:
            if type(r) is Traced and type(_source_of(r)) is tuple:
                waiting += [a for a in r.source[1] if type(a) is Tensor]
        waiting = [x for x in dict.fromkeys(waiting) if x.op is not None]
        seen = set(waiting)
        nodes: list[Tensor] = []
        add, found, more, take = seen.add, nodes.append, waiting.append, waiting.pop
        while waiting:
            x = take()
            found(x)
            for a in x.args:
                if type(a) is Tensor and a not in seen:
                    add(a)
                    if a.op is not None:
                        more(a)
        nodes.sort(key=attrgetter("id"))
        return nodes

    def _name(self, nodes: list[Tensor]) -> None:
        claimed, inside = self.names.of, set(nodes)
        for node in nodes:
            if node.name is not None:
                self.names.claim(node, node.name, True)
        for bindings in (self.watch.own, self.watch.inner) if self.watch is not None else ():
            for name, held in bindings.items():
                held = [x for x in dict.fromkeys(held) if x in inside and id(x) not in claimed]
                for i, x in enumerate(held):
                    self.names.claim(x, name if len(held) == 1 else f"{name}{i + 1}", True)
        for node in nodes:
            if id(node) not in claimed:
                self.names.short(node, "t")

    def _write(self, node: Tensor) -> None:
        assert node.op is not None
        of = self.names.of
        operands = tuple([of.get(id(a)) or self._operand(a) if type(a) is Tensor else self._operand(a) for a in node.args])
        params = {key: self._parameter(value) for key, value in node.params.items()} if node.params else {}
        name = of[id(node)]
        named = name in self.names.by_person
        self.lines.append(Line(name, own_name(node.op), operands, params, node.shape, node.dtype, "forward", named))

    def _operand(self, a: Any) -> Any:
        """A name or a literal."""
        derived = False
        if type(a) is Tensor:
            if id(a) in self.names.of:
                return self.names.of[id(a)]
            derived = a.op is None and (a.params or {}).get("why") == "constants"
            a = a.value
        if isinstance(a, Draws):
            return self.names.of[id(a)]
        if not isinstance(a, ndarray):
            return a
        seen = origin(a)
        if seen is not None:
            if seen.changed and seen.source is None:  # an argument
                _cannot_follow(seen, a)
            found = self._from_source(seen)
            if found is not None:
                return found
            if seen.changed or seen.source is not None:
                _cannot_follow(seen, a)
        elif is_part_of_traced(a):
            _cannot_follow(None, a)
        if not a.ndim:
            return np.asarray(a)[()]
        same = (a.ctypes.data, a.shape, a.strides, a.dtype.str)  # another view of the same memory is the same array
        if id(a) not in self.sources and same in self.places:
            self.sources[id(a)] = self.places[same]
            self.kept.append(a)
        if id(a) not in self.sources:
            name = self.places[same] = self.names.short(a, "c")
            self.constants[name] = np.asarray(a)
            if derived:
                self.derived.add(str(name))
            self.sources[id(a)] = name
            self.kept.append(a)
        return self.sources[id(a)]

    def _from_source(self, x: Traced) -> Any:
        """The name of a traced value, its line written first if need be; without recursion along chains of NumPy calls."""
        waiting = [x]
        while waiting:
            here = waiting[-1]
            if self._known(here) is not None:
                waiting.pop()
                continue
            if here.changed:
                _cannot_follow(here, here)
            source = _source_of(here)
            if source is None:
                return None
            if type(source) is Traced:
                needs = [source] if self._known(source) is None else []
            else:
                needs = [y for y in arrays_in((source[1], source[2])) if self._known(y) is None and y.source is not None]
                if isinstance(source[0], Primitive) and source[0].kind == "draw":
                    earlier = [y for y in self.draws[: _position(self.draws, here)] if self._known(y) is None]
                    needs = earlier[-1:] or needs
            if needs:
                waiting += needs
                continue
            self._write_call(here)
            waiting.pop()
        return self._known(x)

    def _known(self, x: Traced) -> Any:
        holder = self.by_value.get(id(x))
        name = self.names.of.get(id(holder)) if holder is not None else None  # a constant Tensor has no name of its own
        return name if name is not None else self.sources.get(id(x))

    def _write_call(self, x: Traced) -> None:
        source = x.source
        if type(source) is Traced:
            same = source.shape == x.shape and source.dtype == x.dtype and np.array_equal(source, x)
            if not same:
                _cannot_follow(x, x)
            known = self._known(source)
            self.sources[id(x)] = self._operand(source) if known is None else known  # of a constant
            return
        function, inputs, params = source
        operands = tuple(self._parameter(a) for a in inputs)
        settings = {key: self._parameter(value) for key, value in params.items()}
        name = self.names.short(x, "t")
        self.lines.append(Line(name, own_name(as_primitive(function)), operands, settings, x.shape, x.dtype))
        self.sources[id(x)] = name
        self.kept.append(x)

    def _parameter(self, value: Any) -> Any:
        if isinstance(value, (ndarray, Tensor, Draws)):
            return self._operand(value)
        if type(value) in (tuple, list):
            return type(value)(self._parameter(item) for item in value)
        if type(value) is slice:
            for x in (value.start, value.stop, value.step):
                if type(x) is Tensor or type(x) is Traced:
                    raise TraceError(f"jit: a slice from {value.start} to {value.stop} is bounded by a value that depends on "
                                     "the arguments, so the shape would be that of this run only. Pass the bound as an integer "
                                     "argument, or take entries by np.where(np.arange(n) < bound, x, 0).")
        return value


def _source_of(x: Traced) -> Any:
    """The call that made a value, of the Tensors as they were then: `mask = z > 1; z[mask] = 1`."""
    if 0 < x.at < tensor.last_change and type(x.source) is tuple:
        function, inputs, params = x.source
        if any(type(a) is Tensor and hasattr(a, "history") for a in inputs):
            x.source = function, tuple([_as_it_was(a, x.at) for a in inputs]), params
        x.at = 0
    return x.source


def _as_it_was(a: Any, at: int) -> Any:
    history = getattr(a, "history", None) if type(a) is Tensor else None
    versions = [old for old in (*history.versions, a) if old.id < at] if history is not None else []
    return versions[-1] if versions else a


def _as_many(mask: Any, wanted: int) -> Any:
    if np.count_nonzero(mask) != wanted:
        raise OtherShapeError(f"a mask of {np.count_nonzero(mask)} entries where one of {wanted} was recorded")
    return np.int64(wanted)


def _as_long(x: Any, wanted: tuple[int, ...]) -> Any:
    if np.shape(x) != wanted:
        raise OtherShapeError(f"shape {np.shape(x)} where {wanted} was recorded")
    return np.int64(0)


_AS_MANY, _AS_LONG = Primitive("as_many", _as_many, kind="check"), Primitive("as_long", _as_long, kind="check")


@functools.cache
def own_name(op: Primitive) -> Primitive:
    """The operation, under a name of its own where it has the name of one of the engine's, which the passes know."""
    known = TABLE.get(op.name)
    return op if known is None or known is op else Primitive(f"{op.name}_own", op.forward, kind=op.kind)


def _cannot_follow(x: Any, a: Any) -> None:
    changed = getattr(x, "changed", "")
    if changed:
        raise in_place_error(changed)
    raise TraceError(f"jit: an array of shape {a.shape} depends on the arguments in a way that is not recorded, as a view or "
                     "by a function that NumPy does not hand over. Use functions of np. or tg. on the array itself.")


class _Static:
    """A result that is no array: it is handed out as it is."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return repr(self.value)


def _position(items: Sequence[Any], x: Any) -> int:
    return next((i for i, item in enumerate(items) if item is x), len(items))


@contextmanager
def _noting(watch: Watch | None) -> Iterator[Callable[..., Any]]:
    if watch is None:
        yield note
    else:
        with watch.noting(note, Recording.__init__.__code__) as told:
            yield told


def _first(items: Sequence[Any]) -> Any:
    return items[0]


def _precision(x: Any) -> int:
    """Bytes of an array of floats; 0 for what decides nothing."""
    x = x.value if type(x) is Tensor else x
    return x.dtype.itemsize if isinstance(x, (ndarray, np.floating)) and x.dtype.kind == "f" else 0


def _plain(r: Any) -> Any:
    """A result for the caller, without history and shared with nothing."""
    if type(r) is Tensor:
        r = r.value
    if isinstance(r, ndarray):
        r = np.array(r)
        return r if r.ndim else r[()]
    return r


def record(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], watch_names: bool = True,
           own: bool = False) -> Recorded:
    """Run f once on its arguments; the program of its results.

    own : the arrays are for this run alone, so they need not be copied.

    >>> import numpy as np, tinygrad_edu as tg
    >>> from tinygrad_edu.program.record import record
    >>> print(record(tg.grad(lambda x: np.sum(np.exp(x))), (np.ones(3),), {}).program)
    grad_lambda(x):
        x_2 = identity(x)
        t1 = exp(x_2)
        t2 = multiply(1.0, t1)
        return result0 = t2
    """
    return Recording(f, args, kwargs, watch_names, own).recorded()


__all__ = ["Draws", "Recorded", "is_dynamic", "names_in", "record"]
