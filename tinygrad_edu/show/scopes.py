"""Named groups: `with scope("layer 1"):` groups in pictures what is recorded inside.

Recording pays nothing for it. A scope remembers the interval of creation numbers it was open for, and a reader looks up
afterwards which scopes a node was made in.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from contextlib import ContextDecorator

from ..tensor import Tensor, next_id

# The latest intervals: (start, end, label, thread). Bounded, so that a training loop does not fill the memory.
_REMEMBERED = 1 << 14
_closed: deque[tuple[int, float, str, int]] = deque(maxlen=_REMEMBERED)


class _Open(threading.local):
    def __init__(self) -> None:
        self.stack: list[tuple[int, str]] = []


_open = _Open()


class Group:
    """One entering of a scope: its label, and the creation numbers between which it was open."""

    __slots__ = ("end", "label", "start")

    def __init__(self, start: int, end: float, label: str) -> None:
        self.start, self.end, self.label = start, end, label


class scope(ContextDecorator):
    """Group what is recorded inside under a label, in pictures. Scopes nest; as a decorator, each call is a group.

    The latest 16384 groups are remembered; older nodes are drawn without theirs.

    >>> import numpy as np, tinygrad_edu as tg
    >>> X, W = tg.Tensor(np.ones((3, 5)), name="X"), tg.Tensor(np.ones((2, 3)), name="W")
    >>> with tg.scope("layer 1"):
    ...     A = np.tanh(W @ X)
    >>> "layer 1" in tg.draw(A.sum()).dot
    True
    """

    def __init__(self, label: str) -> None:
        if not isinstance(label, str):
            raise TypeError(f'scope: the label is a text, not {type(label).__name__}. Write with scope("layer 1"): ...')
        self.label = label

    def __enter__(self) -> scope:
        _open.stack.append((next_id(), self.label))
        return self

    def __exit__(self, *exc: object) -> None:
        start, label = _open.stack.pop()
        _closed.append((start, next_id(), label, threading.get_ident()))


def groups_of(nodes: list[Tensor]) -> list[tuple[Group, ...]]:
    """The groups each node was made in, outermost first. `nodes` are in order of creation.

    Creation numbers are shared by all threads, so the scopes of this thread are looked up first, and those of other
    threads only for a graph that was made in none of this thread's.
    """
    here = threading.get_ident()
    mine: list[tuple[int, float, str]] = [(start, math.inf, label) for start, label in _open.stack]
    others: list[tuple[int, float, str]] = []
    for start, end, label, thread in _closed.copy():
        (mine if thread == here else others).append((start, end, label))
    for intervals in (mine, others):
        paths = _sweep(nodes, intervals)
        if paths is not None:
            return paths
    return [()] * len(nodes)


def _sweep(nodes: list[Tensor], intervals: list[tuple[int, float, str]]) -> list[tuple[Group, ...]] | None:
    if not nodes:
        return None
    first, last = nodes[0].id, nodes[-1].id
    waiting = [Group(*x) for x in sorted(x for x in intervals if x[0] < last and x[1] > first)]
    if not waiting:
        return None
    waiting.reverse()
    paths: list[tuple[Group, ...]] = []
    path: tuple[Group, ...] = ()
    until: float = -1
    found = False
    for node in nodes:
        number = node.id
        if number > until:
            groups = list(path)
            while waiting and waiting[-1].start < number:
                groups.append(waiting.pop())
            path = tuple([g for g in groups if g.end > number])
            found = found or bool(path)
            until = min([g.end for g in path] + [waiting[-1].start if waiting else math.inf])
        paths.append(path)
    return paths if found else None
