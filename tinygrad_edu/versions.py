"""Which value of a Tensor an operation used, of a Tensor that was assigned into.

`t[i] = v` gives the object t a new value, and the earlier ones move to Tensors of their own (see ops.assignment). An
operation recorded before points at the object t all the same; it is older than t's newest value, and that tells.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from operator import attrgetter

from .errors import StaleError, name_of, variable_names
from .tensor import Tensor

_by_id = attrgetter("id")


def settle(nodes: Iterable[Tensor]) -> bool:
    """Lead operations back to the values they used, where an assignment came later; whether there were any.

    What those values were made from is looked through too.
    """
    waiting, found = list(nodes), False
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        for a in node.args:
            if type(a) is Tensor and a.id > node.id:
                node.args = tuple([x if type(x) is not Tensor or x.id < node.id else _as_used(x, node) for x in node.args])
                more = [x for x in node.args if type(x) is Tensor and x.op is not None and x not in seen]
                seen.update(more)
                waiting += more
                found = True
                break
    return found


def _as_used(t: Tensor, node: Tensor) -> Tensor:
    """The value of t that an operation used, of those it has had."""
    history = getattr(t, "history", None)
    versions: list[Tensor] = [] if history is None else history.versions
    place = bisect_left(versions, node.id, key=_by_id)
    if not place:
        name = name_of(t, variable_names(), "A")
        assert node.op is not None
        raise StaleError(f"backward: {name} {t.shape} was assigned into ({name}[...] = ...) after {node.op.name} recorded it, "
                         f"and the earlier value is gone. Write {name} = tg.assign({name}, index, values) there.")
    return versions[place - 1]
