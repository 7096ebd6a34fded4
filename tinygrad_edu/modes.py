"""What is switched on and off for a thread: recording, strict shapes, and complex numbers for the complex step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, contextmanager
from typing import Any

# how many no_grad, strict_shapes and traces are open in all threads: nearly always none, and one test says so
opened = 0
traces = 0  # how many functions are being traced, in all threads
_lock = threading.Lock()


class _ThreadModes(threading.local):
    paused = 0
    strict = 0
    complex_step = 0
    again = 0  # whether a checkpoint runs its function once more, which what it learned the first time must not notice
    note: Callable[..., Any] | None = None
    watched = False  # whether what variables hold is held for their names, too, while a function is traced
    changed: list[Any] | None = None  # while a function is traced: the leaves that were given other data


here = _ThreadModes()


def _enter(mode: str, amount: int) -> None:
    global opened
    setattr(here, mode, getattr(here, mode) + amount)
    with _lock:
        opened += amount


def recording() -> bool:
    """Whether operations on Tensors are recorded in this thread.

    >>> import tinygrad_edu as tg
    >>> with tg.no_grad():
    ...     tg.recording()
    False
    """
    return not here.paused


class no_grad(ContextDecorator):
    """Compute without recording, as a context or as a decorator.

    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor(2.0)
    >>> with tg.no_grad():
    ...     y = w * 3
    >>> y.requires_grad
    False
    """

    def __enter__(self) -> no_grad:
        _enter("paused", 1)
        return self

    def __exit__(self, *exc: object) -> None:
        _enter("paused", -1)


class always_record:
    """Record also under no_grad(): a derivative asked for there still needs the graph."""

    def __enter__(self) -> None:
        self.depth = here.paused
        if self.depth:
            _enter("paused", -self.depth)

    def __exit__(self, *exc: object) -> None:
        if self.depth:
            _enter("paused", self.depth)


class complex_numbers:
    """Let complex arrays through: check_gradients alone uses them, for the complex step."""

    def __enter__(self) -> None:
        here.complex_step += 1

    def __exit__(self, *exc: object) -> None:
        here.complex_step -= 1


class strict_shapes(ContextDecorator):
    """Refuse what rank-1 arrays do silently: `.T` without effect, and (n, 1) with (n,) broadcasting to (n, n).

    >>> import numpy as np, tinygrad_edu as tg
    >>> a, y = tg.Tensor(np.ones((3, 1))), np.ones(3)
    >>> (a - y).shape  # surely not what was meant
    (3, 3)
    >>> with tg.strict_shapes():
    ...     a - y
    Traceback (most recent call last):
    tinygrad_edu.errors.ShapeError: subtract: a (3, 1) − y (3,): a rank-1 array against a column broadcasts to (3, 3). \
Use y.reshape(3, 1) for a column, or y.reshape(1, 3) if the (3, 3) table is meant.
    """

    def __enter__(self) -> strict_shapes:
        _enter("strict", 1)
        return self

    def __exit__(self, *exc: object) -> None:
        _enter("strict", -1)


def strict() -> bool:
    """Whether strict_shapes() is on in this thread."""
    return bool(here.strict)


@contextmanager
def tracing(note: Callable[..., Any], changed: list[Any] | None = None, watched: bool = True) -> Iterator[None]:
    """While a function is traced, every primitive's value goes through `note`, and leaves given other data into `changed`.

    watched : what variables hold is held for their names, so that nothing can be told from how often it is held.
    """
    global opened, traces
    before = here.note, here.changed, here.watched
    here.note, here.changed, here.watched = note, changed, watched
    with _lock:
        traces += 1
        opened += 1
    try:
        yield
    finally:
        here.note, here.changed, here.watched = before
        with _lock:
            traces -= 1
            opened -= 1


def data_changed(leaf: Any) -> None:
    """Tell the trace in this thread that a leaf was given other data."""
    if here.changed is not None:
        here.changed.append(leaf)


def noted(op: Any, args: Any, params: Any, y: Any) -> Any:
    """What a trace in this thread makes of a primitive's value."""
    return y if here.note is None else here.note(op, args, params, y)
