"""What must hold of a compiled program: the numbers of the eager one, on the numbers it was recorded on and on any others.

    first       the call that records gives the eager numbers
    others      later calls on other numbers of the same shapes give the eager numbers of those: nothing was frozen
    layouts     however the arrays lie in memory: Fortran order, gaps, backwards, read-only
    without     each pass left out; with all passes left out that move the last digit, the numbers are the same to the bit
    memory      no result is another's memory, an argument's or the function's own; no argument is changed
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.containers import flatten
from tinygrad_edu.program.compiled import LATER, PASSES

from .oracles import MismatchError
from .program import Program

# what may move the last digit: rewritten arithmetic, and sums taken block by block
ALGEBRA = tuple(dict.fromkeys([name for name, _, moves in (*PASSES, *LATER) if moves] + ["expand", "fuse"]))


def other_numbers(x: Any, rng: np.random.Generator, strength: float) -> Any:
    """Numbers of the same shape and dtype: a little moved, or (strength 1) put in another order and moved a lot."""
    x = np.asarray(x)
    moved = np.array(x)
    if strength >= 1:
        moved = rng.permutation(moved.reshape(-1)).reshape(x.shape)
    return np.asarray(moved * (1 + 0.3 * strength * rng.uniform(-1, 1, x.shape)), x.dtype)[()]


def relaid(x: Any, kind: int) -> Any:
    """The same numbers lying otherwise in memory."""
    if not isinstance(x, np.ndarray) or not x.ndim:
        return x
    if kind == 0:
        return np.asfortranarray(x)
    if kind == 1:
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    if kind == 2:
        return np.ascontiguousarray(x[::-1])[::-1]
    x = np.array(x)
    x.flags.writeable = False
    return x


def arrays_of(x: Any) -> list[Any]:
    return [np.asarray(a.value if isinstance(a, tg.Tensor) else a) for a in flatten(x)[0]]


class CheckCompiled:
    """One function and arguments it can be called with."""

    def __init__(self, f: Callable[..., Any], xs: Sequence[Any], tolerance: float, bits: bool = True, seed: int = 0,
                 what: str = "", tensors: bool = False) -> None:
        self.tensors = tensors  # whether the eager function wants Tensors, for their methods
        self.f, self.xs, self.tolerance, self.bits, self.what = f, tuple(xs), tolerance, bits, what
        self.rng = np.random.default_rng([seed, 11])
        self.others = [tuple(other_numbers(x, self.rng, s) for x in xs) for s in (0.05, 1.0)]

    def eager(self, xs: Sequence[Any]) -> Any:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                return arrays_of(self.f(*[tg.Tensor(x) for x in xs] if self.tensors else xs))
            except Exception as error:
                return error

    def run(self, without: Sequence[Sequence[str]] = ((),)) -> int:
        """How many calls were compared."""
        wanted = [self.eager(self.xs), *[self.eager(xs) for xs in self.others]]
        if isinstance(wanted[0], Exception):
            raise wanted[0]
        count = 0
        for names in without:
            exact = self.bits and set(ALGEBRA) <= set(names)
            step = tg.jit(self.f, without=names)
            layouts = [tuple(relaid(x, k) for x in self.xs) for k in range(4)]
            for call, xs in enumerate((self.xs, self.xs, *self.others, *layouts)):
                y = wanted[max(call - 1, 0)] if call < 4 else wanted[0]
                if isinstance(y, Exception):
                    continue
                count += self.compare(step, xs, y, f"{self.what}{f' without {names}' if names else ''}, call {call + 1}",
                                      exact and call < 4)
        return count

    def compare(self, step: Any, xs: Sequence[Any], wanted: Sequence[Any], what: str, exact: bool) -> int:
        before = [np.array(x) for x in xs]
        with np.errstate(all="ignore"):
            found = step(*xs)
            kept = [np.array(x) for x in arrays_of(found)]
            step(*[other_numbers(x, self.rng, 0.02) for x in xs])
        for x, b in zip(xs, before, strict=True):
            if not np.array_equal(x, b, equal_nan=True):
                raise MismatchError("memory", f"{what}: an argument was changed")
        arrays = [a for a in flatten(found)[0] if isinstance(a, np.ndarray)]
        for i, a in enumerate(arrays):
            for b in [*arrays[i + 1:], *[x for x in xs if isinstance(x, np.ndarray)]]:
                if np.shares_memory(a, b):
                    raise MismatchError("memory", f"{what}: results share memory")
        leaves = arrays_of(found)
        if len(leaves) != len(wanted):
            raise MismatchError("compiled", f"{what}: {len(leaves)} results, not {len(wanted)}")
        for i, (y, k, w) in enumerate(zip(leaves, kept, wanted, strict=True)):
            if not np.array_equal(y, k, equal_nan=y.dtype.kind == "f"):
                raise MismatchError("memory", f"{what}: result {i} was changed by the next call")
            if y.shape != w.shape or y.dtype != w.dtype:
                raise MismatchError("compiled", f"{what}: result {i} is {y.dtype} {y.shape}, not {w.dtype} {w.shape}")
            if exact:
                if y.tobytes() != w.tobytes() and not np.array_equal(y, w, equal_nan=True):
                    raise MismatchError("bits", f"{what}: result {i} is {y.tolist()}, not {w.tolist()}")
            elif w.dtype.kind != "f":
                if not np.array_equal(y, w):
                    raise MismatchError("compiled", f"{what}: result {i} is {y.tolist()}, not {w.tolist()}")
            elif np.all(np.isfinite(w)) and w.size:
                limit = self.tolerance * max(1.0, float(np.max(np.abs(w))))
                if not np.all(np.abs(y - w) <= limit) and not self.sensitive(xs, i, w, y):
                    raise MismatchError("compiled", f"{what}: result {i} is {y.tolist()}, not {w.tolist()}")
        return 1

    def sensitive(self, xs: Sequence[Any], i: int, wanted: Any, found: Any) -> bool:
        """Whether rounding the inputs alone moves the eager result about as much."""
        moved = 0.0
        for _ in range(4):
            near = [np.asarray(x * (1 + np.finfo(np.asarray(x).dtype).eps * self.rng.uniform(-2, 2, np.shape(x))),
                               np.asarray(x).dtype)[()] for x in xs]
            y = self.eager(near)
            if isinstance(y, Exception):
                return True
            moved = max(moved, float(np.max(np.abs(y[i] - wanted))))
        return not moved < np.inf or bool(np.max(np.abs(found - wanted)) < 30 * moved)


WAYS: dict[str, Callable[[Callable[..., Any], tuple[int, ...]], Callable[..., Any]]] = {
    "values": lambda f, every: f,
    "value_and_grad": lambda f, every: tg.value_and_grad(f, argnums=every),
    "grad": lambda f, every: tg.grad(f, argnums=every),
    "hvp": lambda f, every: lambda *xs: tg.grad(lambda *ys: tg.jvp(f, ys, _ones(ys))[1], argnums=every)(*xs),
    "hessian": lambda f, every: lambda x, *rest: tg.hessian(lambda y: f(y, *map(_tensor, rest)))(x),
    "jvp": lambda f, every: lambda *xs: tg.jvp(f, xs, _ones(xs)),
}


def _tensor(x: Any) -> Any:
    return x if type(x) is tg.Tensor else tg.Tensor(x)


def _ones(xs: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(np.ones(x.shape, x.dtype)[()] for x in xs)


def check_program(program: Program, ways: Sequence[str], without: Sequence[Sequence[str]]) -> int:
    xs = tuple(program.inputs.values())
    outputs, cost = program.functions()
    every = tuple(range(len(xs)))
    single = any(np.asarray(x).dtype == np.float32 for x in [*xs, *program.constants.values()]) or any(
        "float32" in step.text for step in program.steps)
    count = 0
    for way in ways:
        f = WAYS[way](outputs if way == "values" else cost, every)
        count += CheckCompiled(f, xs, 1e-5 if single else 1e-12, seed=program.seed or 0, what=way,
                               tensors=way == "values").run(without)
    return count
