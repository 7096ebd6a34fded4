"""Arguments that stay the same arrays: how they are known, and how NumPy is told to refuse changes to them.

A constant is known by identity. When a compiled function first sees it, the array is made read-only, so that a later
`X[0] = 1` is NumPy's error and no number that was computed from X goes stale. That holds for a view too, if the memory it
lies in is read-only or nobody else's; where others could write to it, the view is refused.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray

from ..calculus import flatten
from ..containers import is_numbers, opened, structure
from ..errors import TraceError
from .algebra import reworded, with_lines
from .guards import Guard
from .program import Name, Program


def identity_of(x: Any) -> Any:
    """What a constant argument is looked up by: which arrays it holds, where, and the other values."""
    kind = type(x)
    if kind is ndarray:
        return "array", id(x)
    if kind is dict:
        return ("dict", *[(key, identity_of(item)) for key, item in x.items()])
    if kind is tuple or (kind is list and not is_numbers(x)):
        return (kind.__name__, *[identity_of(item) for item in x])
    if kind is not list and opened(x) is not None:
        return "nest", structure(x), *[identity_of(leaf) for leaf in flatten(x)[0]]
    if isinstance(x, (float, np.floating)):
        return kind, repr(x)
    return kind, id(x) if kind is list or isinstance(x, ndarray) else x


def refuse_unfit(title: str, nest: Any) -> None:
    """Raise where a constant argument holds what may change without notice."""
    for x in flatten(nest)[0]:
        if type(x) is ndarray:
            if not _is_sealable(x):
                raise TraceError(f"jit: constant={title!r}, but this array of shape {x.shape} is a view of memory that can be "
                                 f"written to elsewhere. Give an array of its own, once: {title} = np.array({title}).")
        elif type(x) is list or isinstance(x, (ndarray, np.random.Generator)) or hasattr(x, "requires_grad"):
            what = "a list of numbers" if type(x) is list else f"a {type(x).__name__}"
            raise TraceError(f"jit: constant={title!r} holds {what}, which can change and stay the same object. Constants are "
                             "arrays: np.array(x) once, and the same array in every call.")


def _is_sealable(x: ndarray) -> bool:
    """Whether all memory of an array can be kept from changing: it is its own, read-only, or held by this view alone."""
    alone = hasattr(sys, "getrefcount") and sys.getrefcount(x.base) <= 2  # the view's own, and the call's
    held: Any = x.base
    while held is not None:
        if type(held) is ndarray and (not held.flags.writeable or (alone and held is x.base and held.base is None)):
            held = held.base
        else:
            return type(held) is bytes
    return True


class Seal:
    """A mark on an array from the time it was made read-only; it gets another one if it has been writable since."""

    def __init__(self, array: ndarray) -> None:
        key = id(array)
        self.array = weakref.ref(array, lambda _: _seals.pop(key, None))


_seals: dict[int, Seal] = {}


def _seal_of(array: ndarray) -> Seal | None:
    return None if array.flags.writeable else _seals.get(id(array))


def seal(arrays: Sequence[ndarray]) -> list[Guard]:
    """Make arrays read-only; what tells later whether they stayed so."""
    for x in arrays:
        if x.flags.writeable or id(x) not in _seals:
            _seals[id(x)] = Seal(x)
        x.flags.writeable = False
        if type(x.base) is ndarray:
            x.base.flags.writeable = False
    return [(_seal_of, x, _seals[id(x)]) for x in arrays]


def made_anew(program: Program, again: Program) -> frozenset[str]:
    """Arrays that a function makes whenever it runs, as np.arange(10), and that nobody else holds: of two recordings."""
    pairs = zip(program.constants.items(), again.constants.values(), strict=False)
    return frozenset(str(name) for (name, x), y in pairs if not np.may_share_memory(x, y))


def with_constants(program: Program, given: Mapping[Name, Any], own: frozenset[str] = frozenset()) -> Program:
    """The program with these values in place of inputs; `own` are constants of its own that do not change either."""
    numbers: dict[str, Any] = {}
    arrays: dict[Name, Any] = {}
    for x in program.inputs:
        if x.name in given and not x.shape:
            numbers[x.name] = np.asarray(given[x.name], x.dtype)[()]
        elif x.name in given:
            arrays[x.name] = given[x.name]
    lines = [reworded(line, numbers) for line in program.lines]
    program = replace(program, inputs=tuple(x for x in program.inputs if x.name not in given),
                      constants=arrays | program.constants, fixed=program.fixed | {str(name) for name in arrays} | own)
    return with_lines(program, lines, numbers)


def arrays_among(values: Sequence[Any]) -> Iterator[ndarray]:
    """The arrays, each once."""
    yield from {id(x): x for x in values if type(x) is ndarray}.values()


__all__ = ["arrays_among", "identity_of", "made_anew", "refuse_unfit", "seal", "with_constants"]
