"""What a compiled function took from around it, and whether it is still the same."""

from __future__ import annotations

import functools
import inspect
import operator
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from numpy import ndarray

from ..containers import flatten
from ..tensor import Tensor
from .reached import (
    MISSING,
    attribute,
    contents,
    entry,
    has,
    is_at,
    itself,
    length,
    names,
    numbers_of,
    reached,
    texts,
)

_PACKAGE = str(Path(__file__).resolve().parent.parent)
_VALUES = (int, float, bool, str, bytes, complex, type(None), tuple, ndarray, np.generic, Tensor)

Guard = tuple[Callable[[Any], Any], Any, Any]  # (how to look, where, what was there)


def _in_globals(place: tuple[dict[str, Any], str]) -> Any:
    return place[0].get(place[1], MISSING)


def guards_of(f: Any, captured: Iterable[Any], given: Iterable[Any] = (), names_read: set[str] | None = None) -> list[Guard]:
    """Where f, and the functions it can see, find numbers, text and arrays; and where the captured arrays lie.

    given : the arguments, among which models are known by identity alone. names_read : is given the names that their code
    reads.
    """
    found: list[Guard] = []
    holders: list[Any] = []
    known: set[int] = set()
    captured, given = list(captured), list(given)
    taken = {id(x) for x in captured}
    owner = inspect.unwrap(f)
    owner = getattr(owner, "__self__", owner)
    read = set(_names_read(f))
    for model in (owner, *given):  # jit(model), jit(model.forward), jit(f)(model)
        if _is_model(model):
            found += _of_model(model, taken)
        elif hasattr(model, "__dict__") and not isinstance(model, (ModuleType, FunctionType, type, Tensor, ndarray)):
            found += _of_object(model, read)
    known.update(id(was) for _, _, was in found)
    leaves = flatten(given)[0]
    for look, place in chain.from_iterable(map(_places, [f, *[x for x in leaves if isinstance(x, FunctionType)]])):
        held = look(place)
        if isinstance(held, _VALUES):
            found.append((look, place, held))
            known.add(id(held))
            if isinstance(held, ndarray) and not held.ndim:  # recorded as a number
                taken.add(id(held))
            if type(held) is Tensor:  # w.data = ... puts another array into the same Tensor
                found.append((attribute, (held, "value"), held.value))
                known.add(id(held.value))
        elif _is_model(held):
            inner = list(_of_model(held, taken))
            found += inner
            known.update(id(was) for _, _, was in inner)
        elif isinstance(held, FunctionType):
            found.append((look, place, held))  # another one may be defined under its name
        elif isinstance(held, (ModuleType, type)):
            if held.__module__.partition(".")[0] not in _KNOWN if isinstance(held, type) else (
                    held.__name__.partition(".")[0] not in _KNOWN):
                found += _of_object(held, read)
        elif held is not MISSING:
            holders.append(held)
            if hasattr(held, "__dict__"):
                found += _of_object(held, read)
            if isinstance(held, (dict, list)) and len(held) <= MOST and any(_settings(held)):
                found.append((itself, held, Settings(held)))
    for array in captured:
        if id(array) in known:
            continue
        where = next(iter(_inside(holders, array)), None)
        if where is not None:
            found.append((*where, array))
    found = [(look, place, Kept(was) if isinstance(was, ndarray) and id(was) in taken else was) for look, place, was in found]
    return _once_each(found, reached(f, _ours, _KNOWN, names_read, leaves))


def _once_each(found: list[Guard], more: list[Guard]) -> list[Guard]:
    """All guards, but those that look where another looks already."""
    def where(look: Any, place: Any) -> Any:
        if look is numbers_of:
            return "numbers", *where(*place)
        if look is contents:
            return "has", id(place), "cell_contents"
        parts = place if type(place) is tuple else (place,)
        kind = {has: "has", attribute: "has", is_at: "item", entry: "item", _in_globals: "item"}
        return kind.get(look, look), *[x if isinstance(x, (str, int)) else id(x) for x in parts[:2]]

    arrays = {where(look, place) for look, place, was in found if type(was) is Kept}
    settings = {id(part) for _, _, was in found if type(was) is Settings for part in (x[0] for x in was.parts)}
    seen = {where(look, place) for look, place, _ in found}
    for look, place, was in more:
        if look is entry and id(place[0]) in settings and isinstance(was, _SETTINGS):
            continue
        if look is is_at and id(place[2]) in settings:
            continue
        key = where(look, place)
        if key in seen or (look is numbers_of and key[1:] in arrays):
            continue
        seen.add(key)
        found.append((look, place, was))
    return found


MOST = 1000  # entries of a list or dict that are watched
_KNOWN = {"numpy", "scipy", "tinygrad_edu", *sys.stdlib_module_names} - {"__main__"}


def _settings(held: Any) -> tuple[tuple[Any, Any], ...]:
    """The numbers and texts in a list or dict, with their places; also those in the lists and dicts it holds."""
    found: list[tuple[Any, Any]] = []
    waiting: list[tuple[tuple[Any, ...], Any]] = [((), held)]
    while waiting and len(found) < MOST:
        place, inner = waiting.pop()
        for key, item in inner.items() if isinstance(inner, dict) else enumerate(inner):
            if isinstance(item, _SETTINGS):
                found.append(((*place, key), item))
            elif isinstance(item, (dict, list, tuple)) and len(place) < DEEPEST and len(item) <= MOST:
                waiting.append(((*place, key), item))
    return tuple(found)


DEEPEST = 3
SHORT = 6  # entries that printed code compares one by one
_SETTINGS = (int, float, bool, str, bytes, complex, type(None), np.generic)


class Settings:
    """A list or dict of settings: which objects it and what it holds held, and what they were."""

    def __init__(self, held: Any) -> None:
        self.was = _settings(held)
        self.text = repr(self.was)
        self.parts: list[tuple[Any, list[Any], list[type], Any]] = []
        waiting = [(held, 0)]
        found = 0
        while waiting and found < MOST:
            inner, depth = waiting.pop()
            items = _items(inner)
            holders = [x for x in items if isinstance(x, (dict, list, tuple)) and depth < DEEPEST and len(x) <= MOST]
            known = {id(x) for x in holders}
            watched = [i for i, x in enumerate(items) if isinstance(x, _SETTINGS) or id(x) in known]
            found += len(watched) - len(holders)
            waiting += [(x, depth + 1) for x in holders]
            if len(watched) == len(items):
                self.parts.append((inner, items, [], None))
            else:
                self.parts.append((inner, [items[i] for i in watched], [type(x) for x in items], watched))
        self.short = type(held) is list and len(self.parts) == 1 and self.parts[0][3] is None and len(held) <= SHORT

    def unchanged(self, held: Any) -> bool:
        """Whether it holds the same settings in the same places."""
        return all(map(_same_part, self.parts)) or self._equal(_settings(held))

    def _equal(self, now: Any) -> bool:
        return bool(now == self.was) and repr(now) == self.text


def _items(held: Any) -> list[Any]:
    return [*held, *held.values()] if isinstance(held, dict) else list(held)


def _same_part(part: tuple[Any, list[Any], list[type], Any]) -> bool:
    inner, was, kinds, watched = part
    items = inner if type(inner) is list else _items(inner)
    if watched is not None:  # arrays are among them, which are watched where they were taken
        if [type(x) for x in items] != kinds:
            return False
        items = [items[i] for i in watched]
    return len(items) == len(was) and all(map(operator.is_, items, was))


class Kept:
    """An array that was captured, and what it held: all of it up to 64 KiB, of larger ones entries spread over it."""

    def __init__(self, array: Any) -> None:
        self.array, self.numbers = array, np.array(_seen_of(array))

    def unchanged(self, now: Any) -> bool:
        """Whether it is the same array, with the same numbers."""
        return now is self.array and bool((_seen_of(now) == self.numbers).all())


def _seen_of(array: Any) -> Any:
    step = max(1, array.nbytes >> 16)
    entries = array.reshape(-1) if array.flags.c_contiguous else array.flat
    part = entries[::step]
    return part.view(np.uint8) if part.flags.c_contiguous and part.size else part


def _names_read(f: Any) -> Iterator[str]:
    """The names that the user's functions read, attributes among them."""
    for _, place in _places(f, codes=True):
        if isinstance(place, CodeType):
            yield from names(place)
            yield from (text for text in texts(place) if text.isidentifier())  # getattr(held, "rate", 1.0)


def _of_object(held: Any, read: set[str]) -> Iterator[Guard]:
    """Settings that an object holds, where the functions read attributes of that name."""
    for name, item in list(vars(held).items()):
        if name in read and isinstance(item, _VALUES):
            yield attribute, (held, name), item
        elif name in read and type(item) in (dict, list) and len(item) <= MOST:
            yield has, (held, name, item), True
            if any(_settings(item)):
                yield itself, item, Settings(item)


def _is_model(held: Any) -> bool:
    return isinstance(getattr(type(held), "named_parameters", None), FunctionType)


def _of_model(model: Any, taken: set[int]) -> Iterator[Guard]:
    """Whether each part of a model is in training, and where the arrays lie that were taken from it."""
    for module in model.modules():
        yield attribute, (module, "training"), module.training
        buffers = getattr(module, "_buffers", ())  # used by way of numbers computed from them, so all are watched
        yield from ((attribute, (module, name), held) for name, held in list(vars(module).items())
                    if id(held) in taken or name in buffers)
    yield from ((attribute, (p, "value"), p.value) for p in model.parameters() if id(p.value) in taken)


def _inside(holders: Iterable[Any], array: Any) -> Iterator[tuple[Callable[[Any], Any], Any]]:
    for held in holders:
        if isinstance(held, dict):
            entries: list[Any] = [(entry, (held, key), item) for key, item in list(held.items())[:1000]]
        elif isinstance(held, (list, tuple)):
            entries = [(entry, (held, i), item) for i, item in enumerate(held[:1000])]
        elif hasattr(held, "__dict__"):
            entries = [(attribute, (held, key), item) for key, item in vars(held).items()]
        else:
            continue
        for look, place, item in entries:
            if item is array:
                yield look, place
            elif type(item) is Tensor and item.value is array:
                yield attribute, (item, "value")


def _places(f: Any, codes: bool = False) -> Iterator[tuple[Callable[[Any], Any], Any]]:
    """The closure cells and globals that f and the functions of the user's that it can see read; or their codes."""
    waiting, seen = [f], set()
    while waiting:
        function: Any = waiting.pop()
        function = getattr(function, "__wrapped__", function)
        while isinstance(function, functools.partial):
            waiting += [x for x in (*function.args, *function.keywords.values()) if callable(x)]
            function = function.func
        if not isinstance(function, (FunctionType, MethodType, type)) and callable(function):
            call = type(function).__call__  # an object that is called
            function = call if isinstance(call, FunctionType) else function
        if isinstance(function, MethodType):
            function = function.__func__
        code = getattr(function, "__code__", None)
        if code is None or id(function) in seen:
            continue
        seen.add(id(function))
        inner: list[Any] = []
        if codes and not _ours(code):
            yield contents, code
        if not _ours(code) and not codes:
            yield from ((itself, held) for held in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
                        if isinstance(held, (dict, list)))
        for cell in function.__closure__ or ():
            held = contents(cell)
            inner.append(held)
            if not _ours(code) and not codes:
                yield contents, cell
        if not _ours(code):
            for name in names(code):
                if name in function.__globals__:
                    inner.append(function.__globals__[name])
                    if not codes:
                        yield _in_globals, (function.__globals__, name)
        waiting += [x for x in inner if isinstance(x, (FunctionType, MethodType))]


def _ours(code: CodeType) -> bool:
    return code.co_filename.startswith(_PACKAGE)


def generators_around(f: Any) -> list[str]:
    """The random generators that f can see without being given them."""
    found = []
    for look, place in _places(f):
        if isinstance(look(place), (np.random.Generator, np.random.RandomState)):
            found.append(place[1] if isinstance(place, tuple) else "a variable of the enclosing function")
    return found


def unchanged(guards: Iterable[Guard]) -> bool:
    """Whether everything is still where it was, and the same."""
    return not any(differs(look(place), was) for look, place, was in guards)


def differs(now: Any, was: Any) -> bool:
    """Whether what is there now is anything but what was there: -0.0 is not 0.0, and 1 is not True."""
    if isinstance(was, (Kept, Settings)):
        return not was.unchanged(now)
    if now is was:
        return False
    return (isinstance(was, (ndarray, Tensor)) or type(now) is not type(was) or now != was
            or (isinstance(was, (float, complex, tuple)) and repr(now) != repr(was)))


def written(guards: Iterable[Guard], hold: Callable[[Any], str]) -> list[str]:
    """The guards as conditions that hold where something has changed; `hold` names an object for the printed code.

    A condition may raise: then what it looks for is gone.
    """
    found = []
    for look, place, was in guards:
        if look is contents:
            now = f"{hold(place)}.cell_contents"
        elif look is _in_globals:
            now = f"{hold(place[0])}[{place[1]!r}]"
        elif look in (attribute, has) and place[1].isidentifier():
            now = f"{hold(place[0])}.{place[1]}"
            was = was if look is attribute else place[2]
        elif look is is_at and isinstance(place[1], (str, int)):
            now, was = f"{hold(place[0])}[{place[1]!r}]", place[2]
        elif look is numbers_of and (text := _text_of(place[0], place[1], hold)):
            array = place[0](place[1])
            found.append(f"(numbers := {text}).tobytes() != {hold(array.tobytes())} or numbers.shape != {array.shape} or "
                         f"numbers.dtype != {hold(array.dtype)}")
            continue
        elif look is length:
            found.append(f"len({hold(place)}) != {was}")
            continue
        elif look is itself:
            now = hold(place)
        else:
            now = f"{hold(look)}({hold(place)})"
        if isinstance(was, Settings) and was.short:
            items = was.parts[0][1]
            others = "".join(f" or {now}[{i}] is not {hold(x)}" for i, x in enumerate(items))
            found.append(f"(len({now}) != {len(items)}{others}) and not {hold(was)}.unchanged({now})")
        elif isinstance(was, (Kept, Settings)):
            found.append(f"not {hold(was)}.unchanged({now})")
        elif isinstance(was, _ALONE) or look in (has, is_at):
            found.append(f"{now} is not {hold(was)}")
        else:
            found.append(f"{now} is not {hold(was)} and differs({now}, {hold(was)})")
    return found


def _text_of(look: Any, place: Any, hold: Callable[[Any], str]) -> str:
    """How an array is got at, in printed code; nothing where it takes a call."""
    if look is attribute and place[1].isidentifier():
        return f"{hold(place[0])}.{place[1]}"
    if look is entry and isinstance(place[1], (str, int)):
        return f"{hold(place[0])}[{place[1]!r}]"
    return ""


_ALONE = (ndarray, Tensor, FunctionType, bool, type(None))  # the same only where it is the same object
