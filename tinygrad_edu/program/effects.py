"""What a function does besides returning something: none of it would happen in later calls, so it is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from numpy import ndarray

from ..containers import opened
from ..errors import TraceError
from ..tensor import Tensor
from .traced import counted

_SEVERAL = (list, dict)


def snapshot(nest: Any) -> list[tuple[Any, list[Any]]]:
    """The lists and dicts in a nest, with what they hold."""
    return [(x, _held(x)) for x in _containers(nest)]


def _held(x: Any) -> list[Any]:
    return [*x.keys(), *x.values()] if isinstance(x, dict) else list(x)


def _containers(nest: Any) -> Iterator[Any]:
    if isinstance(nest, _SEVERAL):
        yield nest
    found = opened(nest)
    for item in found[0] if found is not None else ():
        if not isinstance(item, (ndarray, Tensor, float)):
            yield from _containers(item)


def refuse_changes(title: str, before: Sequence[tuple[Any, list[Any]]], result: Any, draws: bool) -> None:
    """Raise where a list or dict that was given has been changed and is not returned, or where nothing is returned."""
    if result is None and not draws:
        raise TraceError(f"jit: {title} returns None. A compiled function does nothing but return: an argument changed in "
                         "place, a global or a file would stay as it is. Return the new values.")
    returned = {id(x) for x in _containers(result)}
    for held, was in before:
        now = _held(held)
        if id(held) not in returned and (len(now) != len(was) or any(x is not y for x, y in zip(now, was, strict=True))):
            raise TraceError(f"jit: {title} changes a {type(held).__name__} that it was given, which later calls would not do. "
                             "Make a new one, {**params, 'W': W}, or return the one it changes.")


def refuse_gradients(title: str, leaves: Sequence[tuple[Tensor, Any]]) -> None:
    """Raise where a second recording put other gradients into Tensors from outside than the first had left there."""
    for x, grad in leaves:
        if x.grad is not grad:
            for y, _ in leaves:
                y.grad = None
            raise TraceError(f"jit: {title} calls backward(), which puts a gradient into .grad of {x.name or 'a Tensor'}; "
                             f"later calls would not. {_INSTEAD}")


def refuse_new_data(title: str, changed: Sequence[Tensor]) -> None:
    """Raise where Tensors that were there before were given other data."""
    if changed:
        raise changes_data(title, changed[0].name or "a Tensor")


def changes_data(title: str, name: str) -> TraceError:
    return TraceError(f"jit: {title} changes the data of {name}, which is no argument; later calls would not. {_INSTEAD}")


_INSTEAD = ("Return gradients, tg.value_and_grad(cost)(params, X, y), and update outside with opt.step(), or return the "
            "updated parameters as well and name them in donate=.")


def refused(error: Exception | None) -> None:
    """Raise what was refused while recording and then caught by somebody: NumPy says something else of it, or goes on."""
    told, counted.refused = counted.refused, None
    if told is not None:
        raise told from error


__all__ = ["changes_data", "refuse_changes", "refuse_gradients", "refuse_new_data", "refused", "snapshot"]
