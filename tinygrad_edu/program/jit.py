"""jit: a function that records itself once and from then on runs as straight-line NumPy."""

from __future__ import annotations

import copy as copying
import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ..calculus import flatten
from ..containers import opened
from ..errors import InPlaceError, TraceError
from ..memory import look_as_before, look_rarely
from ..modes import here, recording
from ..tensor import Tensor, leaf
from .compiled import PASS_NAMES, Compiled, compiled, describe
from .constants import arrays_among, identity_of, made_anew, refuse_unfit, seal, with_constants
from .donate import matched
from .effects import refuse_gradients
from .emit import OtherShapeError, run_text
from .guards import Guard, differs, generators_around, guards_of, unchanged, written
from .naming import argument_names
from .nudge import nudged, shuffled
from .program import Name, Program
from .record import Recorded, is_dynamic, record
from .stand_ins import one_number, standing_in

MANY_OBJECTS = 5_000_000  # a program of 100 000 operations is that large while it is recorded
MISS = object()  # what a quick entry says of arguments it was not made for


class CacheInfo(NamedTuple):
    """How often a compiled function found its arguments' signature, recorded anew, and how many it keeps."""

    hits: int
    misses: int
    maxsize: int
    currsize: int


class Jit:
    """A compiled function: call it like the one it was made of. See `jit`."""

    def __init__(self, f: Callable[..., Any], static_argnums: int | Sequence[int] = (), donate: Any = (), copy: bool = True,
                 without: Sequence[str] = (), check: bool = True, cache_size: int = 64, threads: int | None = None,
                 constant: Any = ()) -> None:
        if not callable(f):
            raise TypeError(f"jit: give it a function, as in tg.jit(f); got {type(f).__name__}.")
        unknown = [name for name in without if name not in PASS_NAMES]
        if unknown:
            raise ValueError(f"jit: without={unknown[0]!r} is no pass. The passes are {', '.join(PASS_NAMES)}.")
        functools.update_wrapper(self, f, updated=())
        self.f = f
        self.static = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
        for i in self.static:
            if type(i) is not int or i < 0:
                raise ValueError(f"jit: static_argnums={static_argnums!r}: give positions of arguments, 0 for the first.")
        if type(cache_size) is not int or cache_size < 1:
            raise ValueError(f"jit: cache_size={cache_size!r} must be a number of signatures to keep, 1 at least.")
        self.donate = (donate,) if isinstance(donate, (int, str)) else tuple(donate)
        self.constant = (constant,) if isinstance(constant, (int, str)) else tuple(constant)
        if threads is not None and (type(threads) is not int or threads < 1):
            raise ValueError(f"jit: threads={threads!r} must be a number of threads, 1 for no other than the caller's.")
        self.copy, self.without, self.check, self.cache_size = copy, tuple(without), check, cache_size
        self.threads = threads
        self.entries: OrderedDict[Any, Entry] = OrderedDict()
        self.latest: Callable[[tuple[Any, ...]], Any] = _miss
        self.hits = self.misses = 0
        self.lock = threading.RLock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs:
            out = self.latest(args)
            if out is not MISS:
                return out
        return self._look_up(args, kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __reduce__(self) -> Any:
        raise TypeError(f"jit: {self._title()} is compiled for this process and cannot be pickled. Pickle the function itself, "
                        "and compile it again with tg.jit.")

    def __copy__(self) -> Jit:
        return Jit(self.f, self.static, self.donate, self.copy, self.without, self.check, self.cache_size, self.threads,
                   self.constant)

    def __deepcopy__(self, memo: dict[int, Any]) -> Jit:
        return self.__copy__()  # functions are not copied either

    def __repr__(self) -> str:
        return f"<jit {getattr(self.f, '__name__', self.f)}: {len(self.entries)} signatures>"

    # -- the way to a signature

    def _look_up(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        leaves, _ = flatten((args, kwargs))
        if recording() and any(type(x) is Tensor and x.requires_grad for x in leaves):
            return self.f(*args, **kwargs)  # inside another record, which goes on through here
        if here.note is not None and any(getattr(x, "is_traced", False) or (
                type(x) is Tensor and getattr(x.value, "is_traced", False)) for x in leaves):
            return self.f(*args, **kwargs)  # inside another function that is compiled
        key = self._key(args, kwargs)
        with self.lock:
            entry = self.entries.get(key)
            if entry is not None and not unchanged(entry.guards):
                del self.entries[key]
                entry = None
            if entry is None:
                self.misses += 1
                before = look_rarely(MANY_OBJECTS)
                try:
                    entry, first = self._record(args, kwargs)
                finally:
                    look_as_before(before)
                self.entries[key] = entry
                while len(self.entries) > self.cache_size:
                    self.entries.popitem(last=False)
                self.latest = entry.quick
                return first
            self.hits += 1
            self.entries.move_to_end(key)
            self.latest = entry.quick
        return entry.run(args, kwargs)

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        how = dict.fromkeys(self._chosen("constant", self.constant, args, kwargs), identity_of) if self.constant else {}
        titles = argument_names(self.f, len(args)) if how else [""] * len(args)
        try:
            key = (*[("static", type(x), x, _sign(x)) if i in self.static else how.get(title, describe)(x)
                     for i, (title, x) in enumerate(zip(titles, args, strict=True))],
                   *[(name, how.get(name, describe)(x)) for name, x in kwargs.items()])
            hash(key)
        except TypeError as error:
            raise TypeError(f"jit: an argument of {self._title()} is neither an array nor hashable "
                            f"({error}). Static arguments (settings, functions, models) must be hashable.") from None
        return key

    def _record(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Entry, Any]:
        f = self._with_static(args)
        around = generators_around(self.f)
        if around:
            raise TraceError(f"jit: {self._title()} draws from {around[0]}, a generator it was not given, "
                             "so every call would repeat the first call's draws. Make it an argument: f(..., rng).")
        constants = self._constants(args, kwargs)
        before = [_generator_state(x) for x in flatten((args, kwargs))[0]]
        dynamic, title = self._dynamic_args(args), self._title()
        again = quick = None
        with standing_in(False):  # also inside another function that is being recorded
            recorded = record(f, dynamic, kwargs)
            if self.check:
                quick = _same_on_stand_ins(f, dynamic, kwargs, recorded, before)
                again = quick or _check_again(f, dynamic, kwargs, recorded, before, title)
            read: set[str] = set()
            guards = self._guards(recorded, args, kwargs, read)
            if quick is not None and read & PAST_THE_RECORDING:
                again = _check_again(f, dynamic, kwargs, recorded, before, title)
                guards = self._guards(recorded, args, kwargs, read)  # as that run left things
        donated = self._donated(recorded, args, kwargs)
        if constants:
            guards += seal([*arrays_among([*constants.values()])])
            program = recorded.program
            own = made_anew(program, again.program) if again is not None else frozenset()
            given = {program.inputs[i].name: _as_array(x) for i, x in constants.items()}
            recorded.program = with_constants(program, given, own)
        made = compiled(recorded, self.without, donated, self.copy, self.threads)
        entry = Entry(self, recorded, made, guards, args, kwargs, constants)
        return entry, recorded.rebuild(recorded.results)

    def _guards(self, recorded: Recorded, args: tuple[Any, ...], kwargs: dict[str, Any], read: set[str]) -> list[Guard]:
        captured = [x for name, x in recorded.program.constants.items() if name not in recorded.program.derived]
        return guards_of(self.f, captured, [*args, *kwargs.values()], read)

    def _donated(self, recorded: Recorded, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The inputs that are updated in place, each with the result that takes its place, argument by argument."""
        if not self.donate:
            return []
        titles = argument_names(self.f, len(args))
        given = [*zip(titles, args, strict=True), *kwargs.items()]
        parts: dict[str, list[Name]] = {}
        names = iter([x.name for x in recorded.program.inputs])
        for i, (title, arg) in enumerate(given):
            if i not in self.static:
                parts[title] = [next(names) for x in flatten(arg)[0] if is_dynamic(x)]
        wanted = self._chosen("donate", self.donate, args, kwargs)
        return matched([parts[title] for title in wanted], recorded.program, recorded.rebuild, wanted)

    def _chosen(self, setting: str, chosen: Sequence[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
        """The names of the arguments that a setting speaks of, by name or position."""
        titles = argument_names(self.f, len(args))
        known = [*[title for i, title in enumerate(titles) if i not in self.static], *kwargs]
        wanted = [titles[d] if isinstance(d, int) and -len(titles) <= d < len(titles) else d for d in chosen]
        for title in wanted:
            if title not in known:
                raise ValueError(f"jit: {setting} names {title!r}, which is no argument of {self._title()} "
                                 f"({', '.join(known)}).")
        return wanted

    def _constants(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[int, Any]:
        """The constant arrays and numbers, by their places among the inputs."""
        if not self.constant:
            return {}
        wanted = self._chosen("constant", self.constant, args, kwargs)
        for title in self._chosen("donate", self.donate, args, kwargs):
            if title in wanted:
                raise ValueError(f"jit: {title!r} is both constant and donated. A constant stays as it is; what is donated "
                                 "is updated in place.")
        titles = argument_names(self.f, len(args))
        found: dict[int, Any] = {}
        count = 0
        for title, arg in [*[(t, x) for i, (t, x) in enumerate(zip(titles, args, strict=True)) if i not in self.static],
                           *kwargs.items()]:
            leaves = [x for x in flatten(arg)[0] if is_dynamic(x)]
            if title in wanted:
                refuse_unfit(title, arg)
                found |= dict(enumerate(leaves, count))
            count += len(leaves)
        return found

    def _title(self) -> str:
        return getattr(self.f, "__name__", type(self.f).__name__)

    def _dynamic_args(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(x for i, x in enumerate(args) if i not in self.static)

    def _with_static(self, args: tuple[Any, ...]) -> Callable[..., Any]:
        if not self.static:
            return self.f
        fixed = {i: args[i] for i in self.static if i < len(args)}

        @functools.wraps(self.f)
        def call(*rest: Any, **kwargs: Any) -> Any:
            given = iter(rest)
            return self.f(*[fixed[i] if i in fixed else next(given) for i in range(len(rest) + len(fixed))], **kwargs)

        return call

    # -- what it can tell

    def _newest(self) -> Entry:
        if not self.entries:
            raise TraceError(f"{self._title()} has not been called yet, so nothing is compiled. "
                             "Call it once.")
        return next(reversed(self.entries.values()))

    @property
    def source(self) -> str:
        """The code that runs for the arguments of the latest call."""
        return self._newest().made.source

    @property
    def program(self) -> Program:
        """The straight-line program behind the code."""
        return self._newest().made.program

    def report(self, *args: Any, profile: bool = False, **kwargs: Any) -> Any:
        """What a step of the latest signature costs: calls, memory before and after planning, arithmetic.

        profile : measures too how long each line takes, and how far the step is from what the machine can do; on the
        arguments given here, or on numbers of the same shapes drawn at random.

        >>> import numpy as np, tinygrad_edu as tg
        >>> f = tg.jit(lambda W, x: np.tanh(W @ x))
        >>> y = f(np.ones((100, 50)), np.ones((50, 20)))
        >>> f.report().calls
        2
        """
        from .report import report_of

        entry = self._newest()
        leaves = flatten((self._dynamic_args(args), kwargs))[0] if args or kwargs else None
        arrays = None if leaves is None else entry.varying(leaves)
        if arrays is not None and len(arrays) != len(entry.made.program.inputs):
            wanted = len(entry.made.program.inputs)
            raise TypeError(f"report: {self._title()} takes {wanted} arrays, and {len(arrays)} were given. "
                            "Give the arguments of a call, or none.")
        return report_of(entry.made, f"{self._title()}, compiled", arrays, profile)

    def cache_info(self) -> CacheInfo:
        """Hits, misses, and how many signatures are kept of how many at most."""
        return CacheInfo(self.hits, self.misses, self.cache_size, len(self.entries))

    def cache_clear(self) -> None:
        """Forget all signatures: the next call records again."""
        with self.lock:
            self.entries.clear()
            self.latest = _miss


def _sign(x: Any) -> str:
    """What tells 0.0 and -0.0 apart, which are equal."""
    return repr(x) if isinstance(x, (float, tuple)) else ""


def _miss(args: tuple[Any, ...]) -> Any:
    return MISS


def _generator_state(x: Any) -> Any:
    return copying.deepcopy(x) if isinstance(x, np.random.Generator) else None


class Entry:
    """One signature: its code, what it depends on around it, and the ways in."""

    def __init__(self, owner: Jit, recorded: Recorded, made: Compiled, guards: list[Guard], args: tuple[Any, ...],
                 kwargs: dict[str, Any], constants: dict[int, Any]) -> None:
        self.owner, self.made, self.guards, self.rebuild, self.constants = owner, made, guards, recorded.rebuild, constants
        self.step = made.step
        self.quick = _quick_entry(self, args, recorded) if not kwargs else _miss

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The general way: any nest, any kind of array."""
        leaves = self.varying(flatten((self.owner._dynamic_args(args), kwargs))[0])
        try:
            results = self.step(*leaves)
        except Exception as error:
            return self.failed(error, args, kwargs)
        return self.rebuild(results)

    def varying(self, leaves: Sequence[Any]) -> list[Any]:
        """What the step is given, of the flattened arguments."""
        dynamic = [x for x in leaves if is_dynamic(x)]
        return [_as_array(x) for i, x in enumerate(dynamic) if i not in self.constants]

    def failed(self, error: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the function itself, so that the error names the user's line; if it passes there, the error is ours."""
        given, rebuild = flatten((args, kwargs))
        args, kwargs = rebuild([leaf(x, requires_grad=False) if isinstance(x, ndarray) and x.dtype.kind == "f" else x
                                for x in given])
        out = self.owner.f(*args, **kwargs)
        if isinstance(error, OtherShapeError):  # a mask or the like gave another number of entries: this run is the result
            leaves, rebuild = flatten(out)
            return rebuild([np.array(x.value)[()] if type(x) is Tensor else x for x in leaves])
        raise error


def _as_array(x: Any) -> Any:
    if type(x) is Tensor:
        x = x.value
    if isinstance(x, (float, np.random.Generator)):
        return x
    x = np.asarray(x)
    return x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))


# ---------------------------------------------------------------- the quick way in


def _quick_entry(entry: Entry, args: tuple[Any, ...], recorded: Recorded) -> Callable[[tuple[Any, ...]], Any]:
    """A function of the arguments' tuple that checks their signature by code written for it."""
    checks: list[str] = []
    held: dict[str, Any] = {}
    arrays: list[str] = []

    def hold(x: Any) -> str:
        for name, known in held.items():
            if known is x:
                return name
        held[f"k{len(held)}"] = x
        return f"k{len(held) - 1}"

    def visit(x: Any, name: str, static: bool) -> bool:
        kind = type(x)
        if not static and kind not in (tuple, list, dict) and not is_dynamic(x) and opened(x) is not None:
            return False
        if static or not (is_dynamic(x) or kind in (tuple, list, dict)):
            was = hold(x)
            same = f"type({name}) is not {hold(kind)} or {name} != {was}"
            if isinstance(x, (float, tuple)):
                same += f" or repr({name}) != {repr(x)!r}"  # 0.0 == -0.0
            checks.append(f"if {name} is not {was} and ({same}): return MISS")
        elif kind is not list and is_dynamic(x) and len(arrays) in entry.constants:
            other = "" if kind is ndarray else f" and (type({name}) is not {hold(kind)} or repr({name}) != {repr(x)!r})"
            checks.append(f"if {name} is not {hold(x)}{other}: return MISS")
            arrays.append("")
        elif kind is ndarray and x.dtype.isnative:
            own = entry.step.own_array(sum(map(bool, arrays)))  # handed out by the call before
            if own is not None and own.shape == x.shape and own.dtype is x.dtype:
                was = hold(own)
                checks.append(f"if {name} is not {was} and unlike({name}, {was}): return MISS")
            else:
                checks.append(f"if type({name}) is not ndarray or {name}.shape != {x.shape!r} or "
                              f"{name}.dtype is not {hold(x.dtype)}: return MISS")
            arrays.append(name)
        elif kind is float or isinstance(x, (np.floating, np.random.Generator)):
            checks.append(f"if type({name}) is not {hold(kind)}: return MISS")
            arrays.append(name)
        elif kind in (tuple, list) and not (kind is list and x and all(isinstance(i, (int, float)) for i in x)):
            parts = [f"{name}_{i}" for i in range(len(x))]
            checks.append(f"if type({name}) is not {kind.__name__} or len({name}) != {len(x)}: return MISS")
            if parts:
                checks.append(f"{', '.join(parts)}, = {name}")
            return all(visit(item, part, False) for item, part in zip(x, parts, strict=True))
        elif kind is dict and all(type(key) is str for key in x):
            keys = tuple(x)
            checks.append(f"if type({name}) is not dict or tuple({name}) != {keys!r}: return MISS")
            parts = [f"{name}_{i}" for i in range(len(keys))]
            if parts:
                checks.append(f"{', '.join(parts)}, = {name}.values()")
            return all(visit(item, part, False) for item, part in zip(x.values(), parts, strict=True))
        else:
            return False
        return True

    names = [f"a{i}" for i in range(len(args))]
    known = [visit(x, name, i in entry.owner.static) for i, (x, name) in enumerate(zip(args, names, strict=True))]
    if not all(known):
        return _miss
    count = len(recorded.results)
    lines = ["def enter(args):", f"    if len(args) != {len(args)}: return MISS"]
    if names:
        lines.append(f"    {', '.join(names)}, = args")
    lines += [f"    {check}" for check in checks]
    if entry.guards:
        lines += ["    try:", *[f"        if {changed}: return MISS" for changed in written(entry.guards, hold)],
                  "    except Exception: return MISS"]
    nest = _nest(recorded)
    lines += ["    try: step = free.pop()", "    except IndexError: step = another()", "    try:"]
    given = ", ".join(name for name in arrays if name)
    target = ", ".join(f"r{i}" for i in range(count)) + "," if nest is not None else "results"
    lines.append(f"        {target} = step({given})" if count else f"        step({given})")
    lines += ["    except Exception as error:", "        free.append(step)", "        return failed(error, args, {})",
              "    free.append(step)", "    owner.hits += 1", f"    return {nest if nest is not None else 'rebuild(results)'}"]
    space = {"MISS": MISS, "ndarray": ndarray, "unlike": _unlike, "free": entry.step.free, "another": entry.step.another,
             "failed": entry.failed, "differs": differs, "rebuild": entry.rebuild, "owner": entry.owner, **held}
    return run_text("\n".join(lines), "<jit entry>", space)["enter"]  # type: ignore[no-any-return]


def _unlike(x: Any, array: ndarray) -> bool:
    return type(x) is not ndarray or x.shape != array.shape or x.dtype is not array.dtype


def _nest(recorded: Recorded) -> str | None:
    """The expression that nests r0, r1, ... as the function's result; None where only `rebuild` knows how."""
    marks = [_Mark(i) for i in range(len(recorded.results))]

    def text(x: Any) -> str | None:
        kind = type(x)
        if kind is _Mark:
            return f"r{x.i}"
        if x is None:
            return "None"
        if kind in (tuple, list):
            parts = [text(item) for item in x]
            if any(part is None for part in parts):
                return None
            inner = ", ".join(str(part) for part in parts)
            return f"[{inner}]" if kind is list else f"({inner}{',' if len(parts) == 1 else ''})"
        if kind is dict and all(type(key) is str for key in x):
            inner_parts = [(key, text(item)) for key, item in x.items()]
            if any(part is None for _, part in inner_parts):
                return None
            return "{" + ", ".join(f"{key!r}: {part}" for key, part in inner_parts) + "}"
        return None

    return text(recorded.rebuild(marks))


class _Mark:
    def __init__(self, i: int) -> None:
        self.i = i


# ---------------------------------------------------------------- whether the record holds for other numbers

# by these names code gets hold of a plain array, whose numbers it can use past the recording
PAST_THE_RECORDING = {"data", "value", "detach", "no_grad", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray",
                      "array", "view", "base", "ctypes", "memoryview", "frombuffer", "primitive", "Primitive"}


def _again(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], generators: Sequence[Any],
           change: Callable[[Any], Any]) -> Recorded:
    """Another recording of f, on changed arguments, with its generators as they were."""
    leaves, rebuild = flatten((args, kwargs))
    copies = iter([copying.deepcopy(g) for g in generators if g is not None])
    others = [next(copies) if isinstance(x, np.random.Generator) else change(x) if is_dynamic(x) else x for x in leaves]
    other_args, other_kwargs = rebuild(others)
    return record(f, other_args, other_kwargs, watch_names=False, own=change is not _copied)


def _same_on_stand_ins(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], recorded: Recorded,
                       generators: Sequence[Any]) -> Recorded | None:
    """A second recording with stand-ins for large arrays; None where there are none, it fails or differs."""
    if not any(one_number(x) is not None for x in flatten((args, kwargs))[0]):
        return None
    again = None
    with suppress(Exception), standing_in():
        again = _again(f, args, kwargs, generators, _standing_in)
    unlike = again is None or _difference(recorded.program, again.program) is not None
    return None if unlike or any(x.grad is not grad for x, grad in recorded.leaves) else again


def _check_again(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], recorded: Recorded,
                 generators: Sequence[Any], title: str) -> Recorded | None:
    """Record f a second time on slightly other numbers: the program must be the same, constants included."""
    again: Recorded | None = None
    for change in (shuffled, nudged, _copied):
        try:
            again = _again(f, args, kwargs, generators, change)
            break
        except (TraceError, InPlaceError):
            raise
        except Exception:
            if change is _copied:  # it does not do what it did
                refuse_gradients(title, recorded.leaves)
                raise
            # it checks its arguments: then on the same numbers
    refuse_gradients(title, recorded.leaves)
    difference = _difference(recorded.program, again.program) if again is not None else None
    if difference is not None:
        raise TraceError(f"jit: {title} does not do the same when it is recorded twice: {difference}. What depends on anything "
                         "but the arguments' values through recorded operations would be frozen. Pass it as an argument (a "
                         "generator, a counter, a time); replace float(), .numpy() and the like by the Tensor itself, "
                         "np.eye(classes)[labels] by tg.one_hot(labels, classes), table[labels] of a plain table by "
                         "tg.take(table, labels, axis=0).")
    return again


def _standing_in(x: Any) -> Any:
    one = one_number(x)
    return shuffled(x) if one is None else one


def _copied(x: Any) -> Any:
    return x


def _difference(a: Program, b: Program) -> str | None:
    """What two recordings differ in."""
    if len(a.lines) != len(b.lines):
        return f"{len(a.lines)} operations, then {len(b.lines)}"
    number: dict[str, int] = {}
    other: dict[str, int] = {}

    def same(x: Any, y: Any) -> bool:
        if type(x) is not type(y):
            return False
        if isinstance(x, (tuple, list)):
            return len(x) == len(y) and all(map(same, x, y))
        if isinstance(x, str) and x in number and y in other:
            return number[x] == other[y]
        if isinstance(x, dict):
            return x.keys() == y.keys() and all(same(x[k], y[k]) for k in x)
        if isinstance(x, ndarray):
            return x.shape == y.shape and x.dtype == y.dtype and np.array_equal(x, y, equal_nan=x.dtype.kind == "f")
        if isinstance(x, (float, np.floating)):
            return bool(x == y or (x != x and y != y))
        held, its = getattr(x, "value", MISS), getattr(y, "value", MISS)
        return same(held, its) if held is not MISS and its is not MISS else bool(x is y or x == y)

    for i, (p, q) in enumerate(zip(a.inputs, b.inputs, strict=True)):
        number[p.name], other[q.name] = i, i
    if len(a.constants) != len(b.constants):
        return f"{len(a.constants)} constant arrays, then {len(b.constants)}"
    for (p_name, v), (q_name, w) in zip(a.constants.items(), b.constants.items(), strict=True):
        if v is not w and not same(v, w):
            return f"an array of shape {v.shape} has other numbers ({_who_uses(a, p_name)})"
        number[p_name], other[q_name] = len(number), len(other)
    for line, its_line in zip(a.lines, b.lines, strict=True):
        if line.op is not its_line.op:
            return f"{line.op.name}, then {its_line.op.name} ({line.name})"
        counts = line.op.kind == "check"  # how many entries a mask had is its own affair, where nothing else differs
        if not same(line.operands, its_line.operands) or not (
                counts or line.params is its_line.params or same(line.params, its_line.params)):
            return f"{line.op.name} of {line.name} has other operands"
        number[line.name], other[its_line.name] = len(number), len(other)
    if not same(list(a.outputs.values()), list(b.outputs.values())):
        return "the results"
    return None


def _who_uses(program: Program, name: str) -> str:
    line = next((line for line in program.lines if name in set(line.uses())), None)
    return f"used by {line.op.name} for {line.name}" if line is not None else "a result"


# ---------------------------------------------------------------- the front door


def jit(f: Callable[..., Any] | None = None, static_argnums: int | Sequence[int] = (), donate: Any = (), copy: bool = True,
        without: Sequence[str] = (), check: bool = True, cache_size: int = 64, threads: int | None = None,
        constant: Any = ()) -> Any:
    """Compile a function: recorded on its first call, it runs as straight-line NumPy from then on.

    The first call's result comes from recording. Later calls with arrays of the same shapes and dtypes, and the same other
    arguments, run printed NumPy code over memory planned beforehand; anything else is recorded again. Compose it with the
    derivatives: jit(value_and_grad(f)), jit(hessian(f)), or jit a whole training step.

    Parameters
    ----------
    f : a function of numbers, arrays and nested containers of them, that returns the like. It is run twice on the first
        call, to see that what it does follows from its arguments alone.
    static_argnums : arguments that f gets as they are; another value is recorded anew. Text, integers, truth values,
        None and functions are static anyway.
    donate : arguments (names or positions) that are updated in place: a part of the result with the same shapes takes their
        place, and is handed out as the same arrays on every call. They are views of one flat buffer, updated together.
        Go on with the returned arrays; those that were given are left as they are.
    copy : results are the caller's own arrays; False hands out the function's memory, which the next call writes over.
    without : names of passes to leave out.
    check : False saves the second recording.
    cache_size : how many signatures are kept, the least recently used dropped.
    threads : how many threads may share entrywise work on arrays of a megabyte and more; the numbers are the same for any
        number of them. Default: as TINYGRAD_EDU_THREADS says, else one for each processor, four at most.
    constant : arguments (names or positions) that are the same arrays in every call, such as the data of a fit, in nests
        too. What follows from them alone is computed once. They are made read-only; other arrays in their place are
        recorded anew. A view of memory that others can write to is refused with TraceError.

    Raises TraceError where f decides by a value, or does something that a recording would freeze.

    >>> import numpy as np, tinygrad_edu as tg
    >>> @tg.jit
    ... def cost(w, x):
    ...     return np.sum(np.tanh(w @ x) ** 2)
    >>> cost(np.ones((1, 2)), np.zeros((2, 3)))
    np.float64(0.0)
    >>> print(cost(np.ones((1, 2)), np.ones((2, 3))), cost.cache_info().hits)
    2.788047525440507 1
    """
    if f is None:
        return lambda g: Jit(g, static_argnums, donate, copy, without, check, cache_size, threads, constant)
    return Jit(f, static_argnums, donate, copy, without, check, cache_size, threads, constant)
