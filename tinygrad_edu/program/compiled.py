"""From a recording to a callable: the passes in order, the printed code, and the quick way in for arguments seen before."""

from __future__ import annotations

import linecache
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from ..containers import flatten, opened, structure
from ..tensor import Tensor
from . import passes
from .algebra import simplify, spread_late, sums_as_products
from .alike import batch_alike, whole_again
from .collect import collect
from .contract import contract
from .donate import flattened
from .emit import Code, Emitter, instantiate
from .expand import expand
from .fuse import fuse
from .known import known_first, place_products
from .layouts import layouts
from .pooling import pool_first
from .precompute import precompute
from .products import copied_weights, flat_products, join_products, turn_products
from .program import Name, Program
from .puts import gather_puts
from .record import Recorded, has_floats
from .scalars import scalar_code
from .scale import scale_early
from .sigmoids import share_exponentials
from .workers import threads_allowed

Pass = Callable[[Program], Program]

# In order. Those marked True may move the last digit of a result; the others change no number.
PASSES: tuple[tuple[str, Pass, bool], ...] = (
    ("forward_names", passes.forward_names, False),
    ("spread_late", spread_late, False),
    ("expand", expand, False),
    ("fold_constants", passes.fold_constants, False),
    ("simplify", simplify, True),
    ("share", passes.share, False),
    ("simplify", simplify, True),
    ("share", passes.share, False),
    ("pool_first", pool_first, True),
    ("share_exponentials", share_exponentials, True),
    ("gather_puts", gather_puts, True),
    ("known_first", known_first, True),
    ("drop_unused", passes.drop_unused, False),
    ("place_products", place_products, True),
    ("drop_unused", passes.drop_unused, False),
    ("join_products", join_products, True),
    ("batch_alike", batch_alike, True),
    ("whole_again", whole_again, False),
    ("flat_products", flat_products, True),
    ("copied_weights", copied_weights, True),
    ("contract", contract, True),
    ("turn_products", turn_products, True),
    ("precompute", precompute, False),
    ("layouts", layouts, True),
    ("share", passes.share, False),
    ("drop_unused", passes.drop_unused, False),
)
# Those that see a whole training step, update included.
LATER: tuple[tuple[str, Pass, bool], ...] = (
    ("scale_early", scale_early, True),
    ("collect", collect, True),
    ("fuse", fuse, True),
    ("sums_as_products", sums_as_products, True),
)
PASS_NAMES = tuple(dict.fromkeys([name for name, _, _ in (*PASSES, *LATER)] + [
    "flatten", "plan_memory", "scalars", "short_chains", "loops"]))


def optimised(program: Program, without: Iterable[str] = ()) -> Program:
    """The program after all passes but those in `without`."""
    off = set(without)
    settled: dict[Pass, Program] = {}  # programs that a pass has left as they were
    for name, step, _ in PASSES:
        if name not in off and settled.get(step) is not program:
            before, program = program, step(program)
            if program is before:
                settled[step] = program
    return program


@dataclass
class Compiled:
    """One compiled signature of a function.

    step : takes the flattened arrays, and gives the tuple of flattened results. source : the code that runs.
    """

    program: Program
    code: Code
    source: str
    step: Instances
    seconds: float


_count = 0


def compiled(recorded: Recorded, without: Sequence[str] = (), donated: Sequence[Sequence[tuple[Name, str]]] = (),
             copy: bool = True, threads: int | None = None) -> Compiled:
    """Make a recording into code, and the code into a function."""
    start = time.perf_counter()
    if not donated and "scalars" not in without:
        numbers = scalar_code(recorded.program, without)
        if numbers is not None:
            return _as_compiled(recorded.program, numbers, start)
    program = optimised(recorded.program, without)
    if donated:
        program = passes.drop_unused(passes.share(flattened(program, donated, "flatten" not in without)))
    for name, step, _ in LATER:
        if name not in without:
            program = fuse(program, threads) if step is fuse else step(program)
    emitter = Emitter(program, "plan_memory" not in without, copy, threads or threads_allowed())
    return _as_compiled(program, emitter.code(), start)


def _as_compiled(program: Program, code: Code, start: float) -> Compiled:
    global _count
    _count += 1
    name = f"<jit {program.name} {_count}>"
    linecache.cache[name] = (len(code.text), None, _Lines(code.text), name)  # type: ignore[assignment]
    step = Instances(code, name)
    weakref.finalize(step, linecache.cache.pop, name, None)
    return Compiled(program.put_away(), code, code.text, step, time.perf_counter() - start)


class _Lines(Sequence[str]):
    """The lines of a text, cut where somebody asks for one, as after an error."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __len__(self) -> int:
        return self.text.count("\n")

    def __getitem__(self, i: Any) -> Any:
        return self.text.splitlines(keepends=True)[i]


class Instances:
    """As many instances of a step, each with memory of its own, as threads call it at once."""

    def __init__(self, code: Code, name: str) -> None:
        self.code, self.name = code, name
        self.first = instantiate(code, name)
        self.free: list[Callable[..., Any]] = [self.first]
        self.held = dict(zip(self.first.__code__.co_freevars, self.first.__closure__ or (), strict=True))

    def another(self) -> Callable[..., Any]:
        """One more instance, for a call that finds all others busy; the same, where it has no memory."""
        if self.code.stateless:
            return self.first
        return instantiate(self.code, self.name)

    def own_array(self, i: int) -> Any:
        """The array that the first instance updates in place for its i-th argument; None where it updates none."""
        given = self.first.__code__.co_varnames[i]
        name = given.removesuffix("_given")
        return self.held[name].cell_contents if name != given and name in self.held else None

    def __call__(self, *arrays: Any) -> Any:
        try:
            step = self.free.pop()  # list.pop is atomic
        except IndexError:
            step = self.another()
        try:
            return step(*arrays)
        finally:
            self.free.append(step)


# ---------------------------------------------------------------- the nest of arguments and results, as code


def describe(x: Any) -> Any:
    """What a compiled signature is looked up by: how the arguments nest, shapes and dtypes of arrays, other values."""
    kind = type(x)
    if kind is ndarray:
        return x.shape, x.dtype.str
    if kind is float:
        return "float"
    if kind is tuple or kind is list:
        if kind is list and x and all(isinstance(item, (int, float)) for item in x) and has_floats(x):
            return "numbers", len(x)
        return (kind.__name__, *[describe(item) for item in x])
    if kind is dict:
        return ("dict", *[(key, describe(item)) for key, item in x.items()])
    if isinstance(x, np.floating):
        return "scalar", x.dtype.str
    if isinstance(x, np.random.Generator):
        return "generator"
    if isinstance(x, ndarray) or kind is Tensor:
        return kind, x.shape, x.dtype.str
    if opened(x) is not None:
        return "nest", structure(x), *[describe(leaf) for leaf in flatten(x)[0]]
    return kind, x


__all__ = ["PASSES", "PASS_NAMES", "Compiled", "compiled", "describe", "optimised"]
