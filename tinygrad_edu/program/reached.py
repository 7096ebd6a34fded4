"""What a function reaches through objects: attributes of attributes, methods, functions in lists, defaults, sets, bytes.

guards.py watches what stands in closures and globals. From there on this walk follows what the user's code could read: the
attributes that it names, items of containers, functions and theirs. What is replaced, or changed in place, is watched.
"""

from __future__ import annotations

import array
import functools
import operator
import os
import sys
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from types import CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy import ndarray

from ..tensor import Tensor

Watched = tuple[Callable[[Any], Any], Any, Any]
MISSING = object()
MOST, FARTHEST = 1000, 8  # objects looked at, and steps from the function
_PLAIN = (int, float, bool, str, bytes, complex, type(None), np.generic, Tensor, ndarray, range, slice, np.dtype)
_EVERYWHERE = ("__init__", "__repr__", "__eq__", "__hash__", "__replace__", "__setattr__", "__delattr__")
_GETTERS = (operator.attrgetter, operator.itemgetter, operator.methodcaller)
_BYTES = (bytearray, memoryview, array.array)


def is_at(place: tuple[Any, Any, Any]) -> bool:
    """Whether an item of a container is the object that it was."""
    try:
        return place[0][place[1]] is place[2]
    except (LookupError, TypeError):
        return False


def has(place: tuple[Any, str, Any]) -> bool:
    """Whether an object's attribute is the object that it was."""
    return getattr(place[0], place[1], MISSING) is place[2]


def attribute(place: tuple[Any, str]) -> Any:
    return getattr(place[0], place[1], MISSING)


def entry(place: tuple[Any, Any]) -> Any:
    try:
        return place[0][place[1]]
    except (LookupError, TypeError):
        return MISSING


def length(held: Any) -> int:
    return len(held)


def numbers_of(place: tuple[Callable[[Any], Any], Any]) -> bytes:
    """Shape, dtype and entries of a small array, by which it is compared: numbers made of it may be part of a program."""
    look, where = place
    held = look(where)
    return f"{held.dtype.str}{held.shape}".encode() + held.tobytes() if isinstance(held, ndarray) else b""


SMALL = 1024  # bytes of an array that is compared in every call though it is no constant of the program


class _Walk:
    def __init__(self, ours: Callable[[CodeType], bool], known: Container[str]) -> None:
        self.ours, self.known = ours, known
        self.codes: dict[int, CodeType] = {}
        self.read: set[str] = set()
        self.texts: set[str] = set()
        self.foreign: dict[str, bool] = {}

    def reach(self, roots: Iterable[Any]) -> list[Watched]:
        """Everything to be watched, once the names that the functions read are all known."""
        roots = list(roots)
        while True:
            before = len(self.codes), len(self.read), len(self.texts)
            found = list(self._once(roots))
            if (len(self.codes), len(self.read), len(self.texts)) == before:
                return found

    def _once(self, roots: list[Any]) -> Iterator[Watched]:
        waiting = deque((x, 0) for x in roots)
        self.seen: set[int] = set()
        self.kept: list[Any] = []  # so that no id is used twice
        while waiting and len(self.seen) < MOST:
            x, steps = waiting.popleft()
            if id(x) in self.seen or steps > FARTHEST:
                continue
            self.seen.add(id(x))
            self.kept.append(x)
            for watched, inner in self._parts(x):
                if watched is not None:
                    yield watched
                if inner is not MISSING and not isinstance(inner, _PLAIN):
                    waiting.append((inner, steps + 1))

    def _parts(self, x: Any) -> Iterator[tuple[Watched | None, Any]]:
        """What is to be watched of an object, and what lies behind it."""
        if isinstance(x, MethodType):
            yield None, x.__func__
            yield None, x.__self__
        elif isinstance(x, FunctionType):
            yield from self._of_function(x)
        elif isinstance(x, functools.partial):
            for part in (x.func, *x.args, *x.keywords.values()):
                yield self._numbers(itself, part, part), part
        elif isinstance(x, (staticmethod, classmethod)) or hasattr(x, "__wrapped__"):
            yield None, x.__wrapped__
        elif isinstance(x, property):
            yield None, x.fget
        elif isinstance(x, _GETTERS):
            wanted = [part for part in x.__reduce__()[1] if type(part) is str]
            self.read.update(part for text in wanted for part in text.split("."))
            self.texts.update(wanted)
        elif isinstance(x, _BYTES):
            yield (bytes, x, bytes(x)), MISSING
        elif isinstance(x, (set, frozenset)):
            if isinstance(x, set):
                yield (frozenset, x, frozenset(x)), MISSING
        elif isinstance(x, (dict, list, tuple, deque)):
            yield from self._of_container(x)
        elif isinstance(x, (ModuleType, type)):
            if not self._foreign(x.__module__ if isinstance(x, type) else x.__name__):
                yield from self._of_object(x)
        elif isinstance(x, SimpleNamespace) or not self._foreign(type(x).__module__):
            yield from self._of_object(x)

    def _numbers(self, look: Callable[[Any], Any], place: Any, held: Any) -> Watched | None:
        """What watches the entries of a small array."""
        if not isinstance(held, ndarray) or held.nbytes > SMALL or held.dtype.hasobject:
            return None
        return numbers_of, (look, place), numbers_of((look, place))

    def _named(self, x: Any) -> dict[str, Any]:
        """The attributes of an object, and of its classes, that the functions name."""
        found: dict[str, Any] = {}
        kinds = (x if isinstance(x, type) else type(x)).__mro__ if not isinstance(x, ModuleType) else ()
        for kind in reversed(kinds):
            if not self._foreign(kind.__module__):
                found |= {name: held for name, held in vars(kind).items() if name in self.read}
        if not isinstance(x, type):
            found |= {name: held for name, held in getattr(x, "__dict__", {}).items() if name in self.read}
        return {name: held for name, held in found.items() if not name.startswith("__")}

    def _foreign(self, module: str) -> bool:
        """Whether a module is of Python's library, or installed: nobody changes what is in it between two calls."""
        if module not in self.foreign:
            file = getattr(sys.modules.get(module), "__file__", None) or ""
            self.foreign[module] = module.partition(".")[0] in self.known or "-packages" in file
        return self.foreign[module]

    def _of_function(self, x: FunctionType) -> Iterator[tuple[Watched | None, Any]]:
        code = x.__code__
        if not self.ours(code) and self._foreign(x.__module__ or ""):
            return
        if self.ours(code):  # as tg.grad(f), which holds f
            for cell in x.__closure__ or ():
                yield None, contents(cell)
            return
        if id(code) not in self.codes:
            self.codes[id(code)] = code
            self.read.update(names(code))
            self.texts.update(texts(code))
        if x.__defaults__ or x.__kwdefaults__:
            yield (has, (x, "__defaults__", x.__defaults__), True), MISSING
            for part in x.__defaults__ or ():
                yield self._numbers(itself, part, part), part
            if x.__kwdefaults__:
                yield None, x.__kwdefaults__
        for cell in x.__closure__ or ():
            part = contents(cell)
            if isinstance(part, ndarray):
                yield self._numbers(attribute, (cell, "cell_contents"), part), MISSING
            elif isinstance(part, tuple):
                yield None, part
            elif part is not MISSING and not isinstance(part, _PLAIN):
                yield (has, (cell, "cell_contents", part), True), part
            elif isinstance(part, (range, slice, np.dtype)):
                yield (attribute, (cell, "cell_contents"), part), MISSING
        for name in dict.fromkeys(names(code)):
            part = x.__globals__.get(name, MISSING)
            if part is MISSING:
                part = sys.modules.get(name, MISSING)  # import name inside
                yield None, part
            elif isinstance(part, (range, slice, np.dtype)):
                yield (entry, (x.__globals__, name), part), MISSING
            elif isinstance(part, ndarray):
                yield self._numbers(entry, (x.__globals__, name), part), MISSING
            elif isinstance(part, tuple) or (isinstance(part, ModuleType) and self._foreign(part.__name__)):
                yield None, part
            elif not isinstance(part, _PLAIN):
                yield (is_at, (x.__globals__, name, part), True), part
            if name in ("environ", "getenv"):
                yield (dict, os.environ, dict(os.environ)), MISSING

    def _of_container(self, x: Any) -> Iterator[tuple[Watched | None, Any]]:
        if len(x) > MOST:
            return
        if type(x) is not tuple and not {"append", "extend", "insert", "setdefault"} & self.read:  # a list of notes is none
            yield (length, x, len(x)), MISSING
        for key, part in x.items() if isinstance(x, dict) else enumerate(x):
            if isinstance(part, ndarray):
                if type(key) is not str or key in self.texts or "values" in self.read or "items" in self.read:
                    yield self._numbers(entry, (x, key), part), MISSING
            elif isinstance(part, _PLAIN):
                if type(x) is not tuple and not isinstance(part, Tensor):
                    yield (entry, (x, key), part), MISSING
            else:
                yield (None if type(x) is tuple else (is_at, (x, key, part), True)), part

    def _of_object(self, x: Any) -> Iterator[tuple[Watched | None, Any]]:
        if not isinstance(x, (type, ModuleType, SimpleNamespace)):  # v * x calls its __rmul__
            yield from ((None, part) for kind in type(x).__mro__ if not self._foreign(kind.__module__)
                        for name, part in list(vars(kind).items()) if name.startswith("__") and isinstance(part, FunctionType)
                        and name not in _EVERYWHERE)
        for name, static in self._named(x).items():
            if isinstance(static, (FunctionType, staticmethod, classmethod, property)):
                holder = x if isinstance(x, (type, ModuleType)) or name in getattr(x, "__dict__", ()) else type(x)
                if isinstance(static, FunctionType):
                    yield (has, (holder, name, static), True), static
                else:
                    yield None, static
                if isinstance(static, classmethod):
                    yield None, x if isinstance(x, type) else type(x)
                continue
            slot = type(static).__name__ == "member_descriptor"
            if hasattr(type(static), "__get__") and not slot:
                yield None, static
                continue
            part = getattr(x, name, MISSING) if slot else static
            if isinstance(part, ndarray):
                yield self._numbers(attribute, (x, name), part), MISSING
            elif isinstance(part, ModuleType) and self._foreign(part.__name__):
                continue
            elif isinstance(part, _PLAIN):
                yield (attribute, (x, name), part), MISSING
            elif part is not MISSING:
                yield (has, (x, name, part), True), part


def itself(held: Any) -> Any:
    return held


def contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names(constant)


def texts(code: CodeType) -> Iterator[str]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from texts(constant)
        elif type(constant) is str:
            yield constant


def reached(f: Any, ours: Callable[[CodeType], bool], known: Container[str], read: set[str] | None = None,
            given: Iterable[Any] = ()) -> list[Watched]:
    """What a function reaches by way of objects, as guards: how to look, where, and what was there.

    given : objects and functions among its arguments, which it reaches too. read : is given the names and the texts that the
    user's code reads.
    """
    walk = _Walk(ours, known)
    found = walk.reach([f, *[x for x in given if not isinstance(x, (*_PLAIN, list, tuple, dict, set, frozenset))]])
    if read is not None:
        read |= walk.read | walk.texts
    return found


__all__ = ["MISSING", "attribute", "contents", "entry", "has", "is_at", "itself", "length", "names", "numbers_of", "reached",
           "texts"]
