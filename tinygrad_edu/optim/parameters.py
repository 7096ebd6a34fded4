"""Where the parameters are: in lists, dicts and models, each with a name that a saved state can be checked against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import DTypeError, GradientError
from ..tensor import Tensor


def named_parameters(container: Any, where: str) -> list[tuple[str, Tensor]]:
    """The Tensors of nested lists, tuples, dicts and models, with the way that leads to each: "0", "W1", "hidden.weight".

    A model is whatever has `named_parameters()` or `parameters()`. A Tensor alone is called "0", as in a list of one.
    """
    found = [("0", container)] if type(container) is Tensor else list(_walk(container, "", where))
    seen: dict[Tensor, str] = {}
    for name, t in found:
        if t.op is not None:
            raise GradientError(f"{where}: {t.name or name} {t.shape} is the result of {t.op.name}, and only a leaf can be "
                                "changed. Give the Tensors that it was made from.")
        if t in seen:
            raise ValueError(f"{where}: the same Tensor {t.name or ''}{t.shape} is given twice, as {seen[t]!r} and {name!r}. "
                             "Give it once: its gradient is the sum over all its uses already.")
        seen[t] = name
    return found


def _walk(held: Any, path: str, where: str) -> Iterator[tuple[str, Tensor]]:
    if type(held) is Tensor:
        yield path, held
    elif callable(getattr(held, "named_parameters", None)):
        for name, t in held.named_parameters():
            yield from _walk(t, _join(path, name), where)
    elif callable(getattr(held, "parameters", None)):
        yield from _walk(list(held.parameters()), path, where)
    elif isinstance(held, Mapping):
        for key, item in held.items():
            yield from _walk(item, _join(path, str(key)), where)
    elif isinstance(held, tuple) and len(held) == 2 and isinstance(held[0], str):  # an item of named_parameters()
        yield from _walk(held[1], _join(path, held[0]) if not path.isdigit() else held[0], where)
    elif isinstance(held, (list, tuple, Iterator)):
        for i, item in enumerate(held):
            yield from _walk(item, _join(path, str(i)), where)
    else:
        kind = type(held).__name__
        at = f" at {path!r}" if path else ""
        advice = "Sets have no order: give a list." if isinstance(held, (set, frozenset)) else (
            "Wrap arrays when you make them, W = Tensor(array), and compute with W." if hasattr(held, "shape") else
            "Give Tensors, in a list, a dict or a model with parameters().")
        raise DTypeError(f"{where}: {kind}{at} is no parameter. {advice}")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
