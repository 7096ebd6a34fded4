"""A few threads that share the blocks of a region. NumPy lets other threads run while it works on a long array."""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

MOST = 4


def threads_allowed() -> int:
    """How many threads may share a region: TINYGRAD_EDU_THREADS, or the processors of this process, at most four.

    Raises ValueError where the environment variable is not a positive number.
    """
    wanted = os.environ.get("TINYGRAD_EDU_THREADS", "").strip()
    if wanted:
        if not wanted.isdecimal() or not int(wanted):
            raise ValueError(f"TINYGRAD_EDU_THREADS={wanted!r}: give it a number of threads, such as 1 for none but the "
                             "caller's, or 2.")
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return min(MOST, len(os.sched_getaffinity(0)))
    return min(MOST, os.cpu_count() or 1)


class _Share:
    """One thread's part in a region: it takes block after block until none is left."""

    def __init__(self, work: Callable[..., Any], blocks: Any, turns: Iterator[int], arrays: Sequence[Any]) -> None:
        self.work, self.blocks, self.turns, self.arrays = work, blocks, turns, arrays
        self.context = contextvars.copy_context()  # np.errstate of the caller holds here too
        self.begun, self.done = threading.Lock(), threading.Lock()
        self.done.acquire()
        self.error: BaseException | None = None

    def run(self) -> None:
        if not self.begun.acquire(blocking=False):
            return  # the caller has finished without this thread
        try:
            self.context.run(self.work, self.blocks, self.turns, *self.arrays)
        except BaseException as error:
            self.error = error
            for _ in self.turns:
                pass
        finally:
            self.done.release()

    def finish(self) -> None:
        """Called by the thread that waits: take the share back if nobody has begun it, else wait for its end."""
        if not self.begun.acquire(blocking=False):
            self.done.acquire()


_waiting: SimpleQueue[_Share] = SimpleQueue()
_threads: list[threading.Thread] = []
_starting = threading.Lock()


def _serve(waiting: SimpleQueue[_Share]) -> None:
    while True:
        waiting.get().run()


def _start(count: int) -> None:
    with _starting:
        while len(_threads) < count:
            thread = threading.Thread(target=_serve, args=(_waiting,), name="tinygrad_edu", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is shutting down, or no more threads are to be had: the caller does all
                return
            _threads.append(thread)


def _forget() -> None:
    """A forked process has none of the threads."""
    global _waiting, _starting
    _waiting, _starting = SimpleQueue(), threading.Lock()
    _threads.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def in_threads(work: Callable[..., Any], blocks: Sequence[Sequence[Any]], *arrays: Any) -> None:
    """Let `work(blocks[i], turns, *arrays)` run in len(blocks) threads, the caller's first; they take turns from one iterator.

    What the caller finishes alone nobody waits for. An error in any of the threads ends all of them and is raised here.
    """
    if len(_threads) < len(blocks) - 1:
        _start(len(blocks) - 1)
    turns = iter(range(len(blocks[0])))  # one iterator for all: taking the next number is atomic
    shares = [_Share(work, own, turns, arrays) for own in blocks[1:]]
    for share in shares:
        _waiting.put(share)
    try:
        work(blocks[0], turns, *arrays)
    finally:
        for _ in turns:
            pass
        for share in shares:
            share.finish()
    for share in shares:
        if share.error is not None:
            raise share.error


__all__ = ["in_threads", "threads_allowed"]
