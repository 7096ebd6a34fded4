"""A run in a file, between two epochs: all that decides what comes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, NamesError, ShapeError
from ..optim import Optimizer
from ..weights import load, save
from .history import History, Watch
from .subjects import Subject

FORMAT = 1


def write(path: Path, subject: Subject, optimizer: Optimizer, generators: Sequence[Any], history: History, watch: Watch | None,
          best: Mapping[str, Any] | None, batches: str) -> None:
    """Write everything, in one step: a crash leaves the file that was there."""
    state: dict[str, Any] = {
        "format": FORMAT, "now": subject.copied(), "optimizer": optimizer.state_dict(), "batches": batches,
        "generators": {str(i): g.bit_generator.state for i, g in enumerate(generators)},
        "history": {name: np.array(values) for name, values in history.items()},
        "updates": history.updates, "stopped": history.stopped,
    }
    if watch is not None:
        state["watch"] = {"best": np.array(watch.best), "epoch": watch.epoch, "waited": watch.waited, "name": watch.name}
        if best is not None:
            state["best"] = best
    save(path, state)


def read(path: Path, subject: Subject, optimizer: Optimizer, generators: Sequence[Any], history: History, watch: Watch | None,
         batches: str) -> Any:
    """Take everything over; the best parameters so far, if there are any. Checked first: on an error nothing has changed."""
    where = f"fit: {path.name}"
    state = load(path)
    if state.get("format") != FORMAT:
        raise DataError(f"{where} is no checkpoint of fit, or of another version. Use another path, or resume=False.")
    needed = {"now", "optimizer", "batches", "generators", "history", "updates", "stopped"}
    if missing := sorted(needed - set(state)):
        raise DataError(f"{where} is no whole checkpoint: {missing[0]!r} is missing.")
    if state["batches"] != batches:
        raise DataError(f"{where} is of a run with {state['batches']}, and this one has {batches}. To go on exactly, give the "
                        "same data and sizes.")
    now, best = _fitting(where, state["now"], subject), None
    held: Any = state.get("watch")
    if watch is not None:
        if held is None or held["name"] != watch.name:
            raise DataError(f"{where} is of a run without early stopping by {watch.name!r}. Leave it out, or resume=False.")
        best = _fitting(where, state["best"], subject) if "best" in state else None
    saved = state["generators"]
    if set(saved) != {str(i) for i in range(len(generators))} or any(
            saved[str(i)].get("bit_generator") != g.bit_generator.state["bit_generator"] for i, g in enumerate(generators)):
        raise DataError(f"{where} is of a run with {len(saved)} generators, and this one has {len(generators)}, or of another "
                        "kind. Give the same rng.")
    optimizer.load_state_dict(state["optimizer"])
    for i, g in enumerate(generators):
        g.bit_generator.state = saved[str(i)]
    subject.restore(now)
    if watch is not None:
        watch.best, watch.epoch, watch.waited = float(held["best"]), held["epoch"], held["waited"]
    history.update({name: np.asarray(values).tolist() for name, values in state["history"].items()})
    history.updates, history.stopped = state["updates"], state["stopped"]
    return best


def _fitting(where: str, saved: Any, subject: Subject) -> dict[str, dict[str, Any]]:
    """Parameters and buffers from a file, in the names, shapes and dtypes of those that are trained."""
    fitting: dict[str, dict[str, Any]] = {}
    for kind, own in subject.copied().items():
        held = saved.get(kind) or {}
        if set(held) != set(own):
            other = sorted(set(held) ^ set(own))
            raise NamesError(f"{where} holds other {kind} than are trained: {', '.join(other[:5])}. Was it another model?")
        for name, array in own.items():
            if held[name].shape != array.shape or held[name].dtype != array.dtype:
                raise ShapeError(f"{where}: {name} has shape {held[name].shape} and dtype {held[name].dtype}, and what is "
                                 f"trained {array.shape} and {array.dtype}.")
        fitting[kind] = dict(held)
    return fitting
