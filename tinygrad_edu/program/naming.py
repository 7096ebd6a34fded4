"""What the values of a recorded function are called: by its arguments, by its variables, or in short."""

from __future__ import annotations

import functools
import inspect
import keyword
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, FunctionType
from typing import Any

import numpy as np
from numpy import ndarray

from ..containers import flatten, is_object, leaf_paths
from ..tensor import Tensor
from .program import Name


def as_identifier(text: str) -> str:
    """A name that Python accepts and that hides nothing: letters, digits and underscores, no keyword.

    >>> from tinygrad_edu.program.naming import as_identifier
    >>> as_identifier("Ws[0]"), as_identifier("lambda"), as_identifier("2 <b>"), as_identifier("λ")
    ('Ws_0', 'lambda_', '_2_b', 'λ')
    """
    text = unicodedata.normalize("NFKC", text)[:60]
    text = re.sub(r"\W+", "_", text).strip("_") if not text.isidentifier() else text
    if not text or not text.isidentifier():
        text = re.sub(r"[^0-9a-zA-Z_]", "", f"_{text}")
    return f"{text}_" if keyword.iskeyword(text) or text in _RESERVED else text


_RESERVED = {"np", "math", "numpy", "print", "float", "int", "range", "sum", "max", "min", "abs", "len", "__builtins__"}



class Watch:
    """The variables a function binds to Tensors while it runs, in order, those of functions it calls too.

    A variable bound again and again, as in a loop over layers, keeps all its Tensors.
    """

    def __init__(self, code: CodeType | None) -> None:
        self.code = code
        self.own: dict[str, list[Any]] = {}  # of the function
        self.inner: dict[str, list[Any]] = {}  # of functions it calls
        self.arrays: dict[str, Any] = {}  # plain arrays, by the variable that holds them
        self.numbers: dict[str, Any] = {}
        self._seen: dict[int, dict[str, Any]] = {}
        self.events = 0

    def look(self, frame: FrameType) -> None:
        seen = self._seen.setdefault(id(frame), {})
        found = self.own if frame.f_code is self.code else self.inner
        for name, held in frame.f_locals.items():
            if seen.get(name) is held:
                continue
            seen[name] = held
            if name.startswith("_"):
                continue
            if type(held) is Tensor:
                found.setdefault(name, []).append(held)
            elif type(held) is ndarray and held.ndim:
                self.arrays.setdefault(name, held)
            elif type(held) in (int, float) and frame.f_code is self.code:
                self.numbers[name] = held

    def leave(self, frame: FrameType) -> None:
        self.look(frame)
        self._seen.pop(id(frame), None)
        for name, held in frame.f_locals.items():  # of containers only what they hold in the end
            found = self.own if frame.f_code is self.code else self.inner
            if type(held) is dict and len(held) <= 1000:
                for key, item in held.items():
                    if type(item) is Tensor and isinstance(key, str) and key.isidentifier():
                        found.setdefault(key, []).append(item)
            elif type(held) in (list, tuple) and len(held) <= 1000:
                for i, item in enumerate(held):
                    if type(item) is Tensor:
                        found.setdefault(f"{name}_{i}", []).append(item)

    def profile(self, frame: FrameType, event: str, arg: Any) -> None:
        self.events += 1
        if self.events > MOST_EVENTS:
            sys.setprofile(None)
        elif event == "call":
            caller = frame.f_back
            if caller is not None and _is_users(caller, self.code):
                self.look(caller)
        elif event == "return" and _is_users(frame, self.code):
            self.leave(frame)

    @contextmanager
    def noting(self, note: Callable[..., Any], caller: CodeType) -> Iterator[Callable[..., Any]]:
        """Look whenever an operation is noted, which takes a tenth of the time of a profiler's calls.

        note : what is told of every operation; gives the function to be told instead. caller : the code that calls the
        watched function; who called that is of no interest.
        """
        left = MOST_OPERATIONS
        self.running: list[FrameType] = []  # the user's functions, innermost last; who returned keeps variables
        self.place = (0, 0)  # the line and the instruction of the innermost, when it was looked at last
        self.called: FrameType | None = None  # and what it had called

        def look_and_note(op: Any, args: Any, params: Any, y: Any) -> Any:
            nonlocal left
            left -= 1
            if left > 0:
                self._look_from(sys._getframe(1), caller)
            return note(op, args, params, y)

        try:
            yield look_and_note
            self._leave_down_to(0)
        finally:
            self.running.clear()
            self.called = None

    def _look_from(self, inner: FrameType | None, caller: CodeType) -> None:
        """Look at the user's functions that have gone on since the last time: the innermost, and those called since."""
        frame, running = inner, self.running
        last = running[-1] if running else None
        found: list[FrameType] = []
        called: FrameType | None = None
        while frame is not None:
            if frame is last and not found:  # by far the most: the same function goes on
                if called is self.called:
                    return  # or waits for the same call, as that of a derivative
                self.called = called
                place, self.place = self.place, (frame.f_lineno, frame.f_lasti)
                if place[0] != self.place[0] or place[1] >= self.place[1]:  # else no variable was bound since
                    self.look(frame)
                return
            code = frame.f_code
            if code is caller:
                break
            file = code.co_filename
            ours = _files.get(file)
            if ours is None:
                ours = _files[file] = file.startswith((_HERE, _NUMPY))
            if code is self.code or not (ours or code.co_name.startswith("<")):
                found.append(frame)
            called, frame = frame, frame.f_back
        found.reverse()
        same = 0
        while same < min(len(found), len(running)) and found[same] is running[same]:
            same += 1
        self._leave_down_to(same)
        running += found[same:]
        for frame in running[max(same - 1, 0) :]:
            self.look(frame)
        self.place = (0, 0)

    def _leave_down_to(self, count: int) -> None:
        while len(self.running) > count:
            self.leave(self.running.pop())

    @contextmanager
    def on(self) -> Iterator[None]:
        before: Any = sys.getprofile()
        own = before is not None and not callable(before)  # cProfile sets itself, and only it can set itself again
        if own:
            before.disable()
        sys.setprofile(self.profile)
        try:
            yield
        finally:
            sys.setprofile(None if own else before)
            if own:
                before.enable()


MOST_EVENTS = 100_000  # calls and returns after which nobody will read the names, and looking at variables costs time
MOST_OPERATIONS = 5_000  # the same, where it is operations that are counted
_files: dict[str, bool] = {}  # whether the code of a file is ours or NumPy's
_HERE = __file__.removesuffix("program/naming.py").removesuffix("program\\naming.py")


_NUMPY = np.__file__.removesuffix("__init__.py")



def _is_users(frame: FrameType, code: CodeType | None) -> bool:
    file = frame.f_code.co_filename
    return frame.f_code is code or not (
        file.startswith((_HERE, _NUMPY)) or frame.f_code.co_name.startswith("<"))



# what the code that compiled functions are printed as needs for itself
RESERVED = frozenset({"memory", "own_memory", "allocate", "aligned", "build", "step", "in_blocks", "in_threads", "SplitProduct",
                      "OneThreadEach", "blocks", "turns", "turn", "start", "stop", "part", "own", "math", "id", "frozenset",
                      "float", "bool", "slice", "int", "abs", "max", "min"})


class Names:
    """Gives every value a name of its own."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.of: dict[int, Name] = {}  # id(value) -> name
        self.by_person: set[str] = set()
        self.taken: set[str] = set(taken)
        self.counts: dict[str, int] = {}

    def claim(self, key: Any, wanted: str, by_person: bool) -> Name:
        base = as_identifier(wanted)
        name, k = base, 2
        while name in self.taken:
            name, k = f"{base}_{k}", k + 1
        self.taken.add(name)
        if by_person:
            self.by_person.add(name)
        self.of[id(key)] = Name(name)
        return self.of[id(key)]

    def short(self, key: Any, letter: str) -> Name:
        while True:
            self.counts[letter] = self.counts.get(letter, 0) + 1
            name = f"{letter}{self.counts[letter]}"
            if name not in self.taken and f"d{name}" not in self.taken:
                self.taken.add(name)
                self.of[id(key)] = found = Name(name)
                return found



def argument_names(f: Any, count: int) -> list[str]:
    """The names of the first `count` positional arguments."""
    names: list[str] = []
    rest = "x"
    if type(f) is FunctionType and not f.__dict__:  # as inspect finds them, in a hundredth of its time
        code = f.__code__
        names = list(code.co_varnames[: code.co_argcount])
        if code.co_flags & inspect.CO_VARARGS:
            rest = code.co_varnames[code.co_argcount + code.co_kwonlyargcount]
        parameters = []
    else:
        try:
            parameters = list(inspect.signature(f).parameters.values())
        except (TypeError, ValueError):
            parameters = []
    for parameter in parameters:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
        elif parameter.kind is parameter.VAR_POSITIONAL:
            rest = parameter.name
    return [names[i] if i < len(names) else f"{rest}{i - len(names) + 1}" for i in range(count)]



def code_of(f: Any) -> CodeType | None:
    """The code that runs when f is called: of a partial, a method or a callable object too."""
    f = inspect.unwrap(f)
    while isinstance(f, functools.partial):
        f = inspect.unwrap(f.func)
    found = getattr(f, "__code__", None) or getattr(getattr(f, "__func__", None), "__code__", None)
    return found or (getattr(type(f).__call__, "__code__", None) if callable(f) else None)



def leaf_names(tree: Any, name: str) -> list[str]:
    """A name for every leaf that `flatten` finds: the key in a dict, a number in a list."""
    if tree is None:
        return []
    if isinstance(tree, dict):
        out = []
        for key, item in tree.items():
            out += leaf_names(item, key if isinstance(key, str) and key.isidentifier() else f"{name}_{key}")
        return out
    if isinstance(tree, tuple) or (isinstance(tree, list) and len(flatten(tree)[0]) != 1) or (
            isinstance(tree, list) and flatten(tree)[0][0] is not tree):
        fields = getattr(tree, "_fields", None)
        out = []
        for i, item in enumerate(tree):
            out += leaf_names(item, fields[i] if fields else f"{name}_{i}")
        return out
    if is_object(tree):  # a dataclass, or a registered class: its fields' names
        return [as_identifier("".join(path)) for path in leaf_paths(tree)]
    return [name]



def arrays_around(f: Any, code: CodeType) -> dict[str, Any]:
    """The plain arrays a function can see without being given them."""
    around = getattr(f, "__globals__", {})
    found = dict(getattr(getattr(f, "__self__", f), "__dict__", {}))
    found |= {name: around[name] for name in code.co_names if name in around}
    for name, cell in zip(code.co_freevars, getattr(f, "__closure__", None) or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not bound yet
            continue
    values = {name: x.value if type(x) is Tensor else x for name, x in found.items()}
    return {name: x for name, x in values.items() if type(x) is ndarray and x.ndim}



def title_of(f: Any) -> str:
    name = getattr(f, "__name__", None) or getattr(getattr(f, "func", None), "__name__", None) or type(f).__name__
    return "f" if name == "<lambda>" else as_identifier(name)
