"""The parameters of one dtype, end to end in one array.

A parameter's `.data` becomes a view of its stretch of `values`, and what an optimiser remembers of it (a velocity, a
mean of squares) lies in the same stretch of the arrays in `state`. An update is then a few NumPy calls on long arrays,
however many parameters there are; on very long ones it goes piece by piece, so that its temporaries stay in cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import is_
from types import NoneType
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from .. import modes
from ..errors import ShapeError
from ..tensor import Tensor

PIECE = 1 << 14  # entries updated at a time
LONG = 1 << 13  # entries from which a gradient is read where it is, rather than copied next to the others


class Slot:
    """The stretch of one parameter: values[start:stop]. `skipped` counts the updates that it took no part in."""

    __slots__ = ("group", "name", "shape", "size", "skipped", "start", "stop", "tensor")

    def __init__(self, tensor: Tensor, name: str, group: int) -> None:
        self.tensor, self.name, self.group = tensor, name, group
        self.shape, self.size = tensor.shape, tensor.size
        self.start = self.stop = self.skipped = 0


class Run(NamedTuple):
    """Neighbours that are updated together, slots[first:last]: of one group, after equally many updates."""

    group: int
    skipped: int
    start: int
    stop: int
    first: int
    last: int


class Flat:
    """The parameters of one dtype. `slots` are in the order in which they lie, `steps` counts the updates."""

    __slots__ = ("_gathered", "_kinds", "_runs", "_seen", "_shapes", "_tensors", "slots", "state", "steps", "values")

    def __init__(self, slots: list[Slot], dtype: Any, steps: int = 0) -> None:
        self.slots = sorted(slots, key=lambda s: (s.group, s.size >= LONG))  # the short ones next to each other
        stop = 0
        for slot in self.slots:
            slot.start = stop
            slot.stop = stop = stop + slot.size
        self.values = np.empty(stop, dtype)
        self.state: dict[str, ndarray] = {}
        self.steps = steps
        self._tensors = [slot.tensor for slot in self.slots]
        self._shapes = [slot.shape for slot in self.slots]
        self._kinds = [ndarray if shape else self.values.dtype.type for shape in self._shapes]
        self._gathered = np.empty(sum(slot.size for slot in self.slots if slot.size < LONG), dtype)
        self._seen: list[Any] = [None] * len(self.slots)  # the values of the parameters, as they were left
        self._runs: list[Run] | None = None  # those of an update with all gradients, as long as nobody is skipped
        for i in range(len(self.slots)):
            self._seat(i)

    def _seat(self, i: int) -> None:
        """Copy a parameter's value into its stretch, and let the parameter look at it there."""
        slot = self.slots[i]
        view = self.of(self.values, slot)
        view[...] = slot.tensor.value
        if slot.shape:  # a single number is a NumPy scalar, which views nothing
            slot.tensor.value = view
        self._seen[i] = slot.tensor.value

    def of(self, whole: ndarray, slot: Slot) -> Any:
        """The stretch of an array like `values` that belongs to a parameter, in its shape."""
        return whole[slot.start : slot.stop].reshape(slot.shape)

    def gradients(self, where: str) -> list[Any]:
        """The gradients, None where there is none. Values that were exchanged since the last update are taken in."""
        grads = [t.grad for t in self._tensors]
        if (list(map(type, grads)) == self._kinds and [g.shape for g in grads] == self._shapes
                and all(map(is_, [t.value for t in self._tensors], self._seen))):
            return grads
        for i, slot in enumerate(self.slots):
            t, g = slot.tensor, grads[i]
            if t.shape != slot.shape or t.dtype != self.values.dtype:
                raise ShapeError(f"{where}: {t.name or slot.name} was {slot.shape} {self.values.dtype} when the optimiser was "
                                 f"made, and is {t.shape} {t.dtype} now. Make a new optimiser.")
            if g is not None:
                g = grads[i] = np.asarray(g.value if type(g) is Tensor else g)
                if g.shape != slot.shape:
                    raise ShapeError(f"{where}: {t.name or slot.name} has shape {slot.shape}, its .grad {g.shape}. They must "
                                     "be equal; .grad is what backward() left there, unless you set it.")
        for i, t in enumerate(self._tensors):
            if t.value is not self._seen[i]:
                self._seat(i)
        return grads

    def runs(self, grads: list[Any]) -> list[Run]:
        """The stretches to update: all parameters that have a gradient."""
        complete = NoneType not in map(type, grads)
        if complete and self._runs is not None:
            return self._runs
        runs: list[Run] = []
        for i, slot in enumerate(self.slots):
            if grads[i] is None:
                continue
            last = runs[-1] if runs else None
            if (last is not None and slot.size < LONG and last.stop == slot.start and last.group == slot.group
                    and last.skipped == slot.skipped):
                runs[-1] = last._replace(stop=slot.stop, last=i + 1)
            else:
                runs.append(Run(slot.group, slot.skipped, slot.start, slot.stop, i, i + 1))
        self._runs = runs if complete else None
        return runs

    def gradient(self, run: Run, grads: list[Any]) -> ndarray:
        """The gradients of a run in one array."""
        if run.last - run.first == 1:
            return grads[run.first].reshape(-1)  # type: ignore[no-any-return]
        return np.concatenate(grads[run.first : run.last], axis=None, out=self._gathered[: run.stop - run.start],
                              casting="same_kind")

    def finish(self, grads: list[Any], stamp: int) -> None:
        """After the update: count it, and mark the parameters as changed."""
        self.steps += 1
        for i, t in enumerate(self._tensors):
            if grads[i] is None:
                self.slots[i].skipped += 1
            else:
                t.stamp = stamp
                if modes.traces:
                    modes.data_changed(t)
                if not self._shapes[i]:
                    t.value = self._seen[i] = self.values[self.slots[i].start]

    def recount(self, steps: int) -> None:
        """Count on from there, after the slots were told how many of them they skipped."""
        self.steps, self._runs = steps, None

    def remember(self, name: str) -> bool:
        """Make room for something that is to be remembered; whether there was none yet."""
        if name in self.state:
            return False
        self.state[name] = np.zeros_like(self.values)
        return True


def pieces(start: int, stop: int) -> Iterator[slice]:
    """slice(start, stop) in pieces that stay in cache."""
    for a in range(start, stop, PIECE):
        yield slice(a, min(a + PIECE, stop))
