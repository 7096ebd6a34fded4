"""`t[i] = v`: the object t takes a new value, recorded as made from the earlier one and v.

What used t before goes on seeing the value it used. Operations point at the object t, so at an assignment the earlier
value moves to a Tensor of its own, kept in `t.history`; versions.settle leads operations that are older than t's newest
value to the one they used. Where nobody else holds t, nothing has used its value, and the entries are written into the
array itself: a loop that fills a row of m entries makes one node with m operands, not m copies of the row.
"""

from __future__ import annotations

import builtins
import gc
from sys import getrefcount
from typing import Any

import numpy as np
from numpy import ndarray

from .. import tensor
from ..errors import DTypeError, InPlaceError, ShapeError, name_of, variable_names
from ..modes import here, recording
from ..rules import indexing
from ..tensor import Tensor, leaf, new_object, next_id
from .inputs import as_array, operand, plain_index, value_of
from .shapes import reshape

__all__ = ["assign", "ones", "ones_like", "zeros", "zeros_like"]

_VIEWS = {"getitem", "reshape", "transpose", "flip", "broadcast_to"}  # what shares its entries with its operand in NumPy
_MOST_PIECES = 256  # of one node; then the next begins
_MOST_VERSIONS = 256  # of a constant


class History:
    """What became of a Tensor that was assigned into.

    versions : its earlier values that something may have used, oldest first. of : the id of the value that the rest tells
    of. places : the number of the operand that was assigned at an index. owner : for every entry, the number of the
    operand it came from; None until there are two.
    """

    __slots__ = ("of", "owner", "places", "versions")

    def __init__(self) -> None:
        self.versions: list[Tensor] = []
        self.of = 0
        self.places: dict[Any, int] = {}
        self.owner: Any = None


# ---------------------------------------------------------------- assignment to a new Tensor


def assign(x: Any, index: Any, values: Any) -> Any:
    """A copy of x in which x[index] = values: item assignment as a function.

    values : a number, array or Tensor that broadcasts to the shape of x[index]. The gradient of what was overwritten goes
    to the values. An index array that names a place twice is refused, because which value stays would be arbitrary.

    Raises InPlaceError, ShapeError, IndexError.

    >>> import tinygrad_edu as tg
    >>> tg.assign(tg.Tensor([1.0, 2.0]), 0, tg.Tensor(5.0))
    Tensor([5., 2.])
    """
    x, values, index = as_array(x, "assign"), operand(values, "assign"), plain_index(index)
    if type(x) is not Tensor:
        x = np.asarray(x)
        if type(values) is Tensor and x.dtype != values.dtype:
            x = x.astype(values.dtype)
    return indexing.assign(x, _fitted(x, index, values), index=index)


def _fitted(x: Any, index: Any, values: Any) -> Any:
    """The values, checked to broadcast to the shape of x[index], without leading axes of size 1 that it has not.

    They are not spread: the engine sums the gradient of what was, and a mask may choose other numbers of entries later.
    """
    try:
        region = np.shape((value_of(x) if type(x) is Tensor else x)[index])
    except IndexError as error:
        name = name_of(x, variable_names(), "the Tensor")
        raise IndexError(f"index: {name} has shape {tuple(x.shape)}: {str(error).strip()}.") from None
    if not indexing.is_basic(index):
        arrays = [np.asarray(i) for i in (index if type(index) is tuple else (index,))
                  if i is not None and i is not Ellipsis and type(i) is not slice]
        if builtins.any(i.dtype.kind != "b" and i.ndim for i in arrays):
            places = np.arange(x.size).reshape(x.shape)[index]
            if len(np.unique(places)) < places.size:
                raise InPlaceError("assign: the index names a place twice, and which value stays would be arbitrary. "
                                   "Use each place once, or add with tg.scatter_add.")
    shape: tuple[int, ...] = tuple(values.shape) if hasattr(values, "shape") else ()
    if shape == region:
        return values
    extra = len(shape) - len(region)
    if extra > 0 and shape[:extra] == (1,) * extra:
        values, shape = reshape(values, shape[extra:]), shape[extra:]
    try:
        fits = np.broadcast_shapes(shape, region) == region
    except ValueError:
        fits = False
    if not fits:
        name = name_of(x, variable_names(), "the Tensor")
        raise ShapeError(f"assign: values of shape {shape} do not fit {name}[...], whose shape is {region}.")
    return values


# ---------------------------------------------------------------- assignment in place


def set_item(t: Tensor, index: Any, values: Any) -> None:
    """t[index] = values: t's new value, recorded as made from the earlier one and the values.

    values : a number, array or Tensor that broadcasts to the shape of t[index]. What was computed from t before keeps the
    value it used, also `r = t[0]`, which is no view. A leaf whose gradient is wanted is refused, and so is what NumPy
    would have made a view of something else. Under no_grad() a leaf's data is changed, as by `t.data = ...`.

    Raises InPlaceError, ShapeError, IndexError, DTypeError.

    >>> import tinygrad_edu as tg
    >>> w, A = tg.Tensor(3.0), tg.zeros(2)
    >>> for i in range(2):
    ...     A[i] = w ** (i + 1)
    >>> A
    Tensor([3., 9.])
    >>> A.sum().backward()
    >>> print(w.grad)
    7.0
    """
    alone = getrefcount(t) <= _HELD_ONCE
    if t.op is None and t.requires_grad:
        _set_leaf(t, index, values)
        return
    value = t.value
    _refuse_views(t, value)
    if not indexing.is_basic(index):
        index = plain_index(index)
    given = operand(values, "assign")
    if type(given) is not Tensor and not isinstance(given, (int, float)):
        given = np.array(given, value.dtype if np.asarray(given).dtype.kind != "c" else None, subok=True)[()]
    v = _fitted(t, index, given)
    tracked = recording() and (t.requires_grad or (type(v) is Tensor and v.requires_grad))
    if tracked and value.dtype.kind != "f" and value.dtype.kind != "c":
        raise DTypeError(f"assign: {name_of(t, variable_names(), 'the Tensor')} holds {value.dtype}, and the Tensor assigned "
                         "would lose its gradient. Use .astype(float).")
    new = v.value if type(v) is Tensor else v
    widens = value.dtype.kind == "f" and np.iscomplexobj(new)  # complex numbers are there in check_gradients alone
    private = (alone and here.note is None and not widens and type(value) is ndarray and value.flags.owndata
               and value.flags.writeable and getrefcount(value) <= _ARRAY_HELD_ONCE)
    if private and not tracked and not t.requires_grad:
        value[index] = new
        t.id = tensor.last_change = next_id()
        t.history = None
        return
    if private and tracked and _joins(t):
        _join(t, index, v)
        value[index] = new
        t.id = tensor.last_change = t.history.of = next_id()
        return
    changed = indexing.writable(value, new)
    changed[index] = new
    history = getattr(t, "history", None) or History()
    history.places, history.owner = {}, None
    if alone:
        history.versions.clear()
    if tracked or not alone:
        old = _earlier(t)
        if not alone:
            if not tracked and len(history.versions) >= _MOST_VERSIONS:
                _settle_users(t, history)
            history.versions.append(old)
            if v is t:
                v = old
            elif type(v) is Tensor:
                _settle_between(v, t, old)
    if here.note is not None:
        changed = here.note(indexing.assign, (old if tracked else value, v), {"index": index}, changed)
    t.value = changed if changed.ndim or type(changed) is not ndarray else changed[()]
    t.grad = None
    t.history = history
    if tracked:
        t.op, t.args, t.params, t.requires_grad = indexing.assign, (old, v), {"index": index}, True
        key = _key(index)
        if key is not None:
            history.places[key] = 1
    else:
        t.op, t.args, t.requires_grad, t.stamp = None, (), False, 0
        t.params = {"why": "constants" if recording() else "no_grad"}
    t.id = tensor.last_change = history.of = next_id()


def _set_leaf(t: Tensor, index: Any, values: Any) -> None:
    """Of a leaf whose gradient is wanted: refused, or under no_grad() a change of its data."""
    if recording():
        name = name_of(t, variable_names(), "t")
        raise InPlaceError(f"{name}[...] = ...: {name} is a leaf whose gradient is wanted, and it would stand for another "
                           f"value than the one you made. To fill it, make it a constant, {name} = "
                           f"tg.zeros({tuple(t.shape)}); to go on with a changed copy, write {name} = {name}.copy() first, or "
                           f"{name} = tg.assign({name}, index, values); to change a parameter, write it under tg.no_grad().")
    index = plain_index(index)
    changed = np.array(t.value)
    changed[index] = value_of(_fitted(t, index, operand(values, "assign")))
    t.data = changed


def _refuse_views(t: Tensor, value: Any) -> None:
    """Refuse what NumPy makes a view: there the array it was taken from would change too."""
    if t.op is not None:
        source = _seen_source(t) if isinstance(value, ndarray) else None
        shares = source is not None
    else:
        base = value.base if type(value) is ndarray else None
        shares, source = type(base) is ndarray and getrefcount(base) > _BASE_HELD_ONCE, None
    if shares:
        names = variable_names()
        name, of = name_of(t, names, "t"), name_of(source, names, "another array")
        raise InPlaceError(f"{name}[...] = ...: {name} was taken from {of}, which NumPy would change too. Assign into that "
                           f"one, with one index (A[i, j] = ..., not A[i][j] = ...), or write {name} = {name}.copy() first.")


def _seen_source(t: Tensor) -> Any:
    """What t is a view of, where somebody else holds it; the steps inside of one function (np.kron) are held by t alone."""
    while t.op is not None and t.op.name in _VIEWS:
        source = t.args[0]
        if type(source) is not Tensor or (
                here.note is not None and source.op is None and source.requires_grad):  # an argument is somebody else's
            return source
        del source
        if _source_holders(t) > _SOURCE_HELD_ONCE and not here.watched:
            return t.args[0]
        t = t.args[0]
    return None


def _source_holders(t: Tensor) -> int:
    return getrefcount(t.args[0])


def _earlier(t: Tensor) -> Tensor:
    """A Tensor of its own for the value t has had so far."""
    old = new_object(Tensor)
    old.value, old.grad, old.op, old.args, old.params = t.value, t.grad, t.op, t.args, t.params
    old.id, old.requires_grad, old.name = t.id, t.requires_grad, None
    old.stamp = t.stamp if t.op is None else 0
    return old


def _key(index: Any) -> Any:
    """What equal indices of integers and slices have in common; None for others."""
    if not indexing.is_basic(index):
        return None
    parts = index if type(index) is tuple else (index,)
    return tuple([(p.start, p.stop, p.step) if type(p) is slice else p for p in parts])


def _joins(t: Tensor) -> bool:
    """Whether t was made by assignment into it, so that one more can join the operands of the same node."""
    history = getattr(t, "history", None)
    return history is not None and history.of == t.id and t.requires_grad and len(t.args) <= _MOST_PIECES


def _owner(t: Tensor, history: History) -> Any:
    """For every entry of t, the number of the operand that it came from."""
    if history.owner is None:
        history.owner = np.zeros(t.value.shape, np.int32)
        assert t.params is not None
        history.owner[t.params["index"]] = 1  # there is one so far
    return history.owner


def _join(t: Tensor, index: Any, v: Any) -> None:
    """Make v the last operand of the assignment that t is, or let it take the place of one at the same index."""
    history, params, key = t.history, t.params, _key(index)
    assert params is not None
    pieces, kept = (params["index"], params["kept"]) if t.op is indexing.assign_each else ((params["index"],), (None,))
    place = history.places.get(key) if key is not None else None
    if place is not None and kept[place - 1] is None:
        t.args = (*t.args[:place], v, *t.args[place + 1 :])
        return
    owner = _owner(t, history)
    before = np.unique(owner[index])
    place = len(t.args)
    owner[index] = place
    if before.size and before[-1]:
        masks = list(kept)
        for k in before.tolist():
            if k:
                masks[k - 1] = owner[pieces[k - 1]] == k
        kept = tuple(masks)
    if key is not None:
        history.places[key] = place
    t.op, t.args = indexing.assign_each, (*t.args, v)
    t.params = {"index": (*pieces, index), "kept": (*kept, None)}


def piece(t: Tensor, index: Any) -> Any:
    """t[index] by way of what was assigned there, so that t itself is not used; None where that is not the whole of it."""
    history = getattr(t, "history", None)
    if history is None or history.of != t.id or not t.requires_grad:
        return None
    place = history.places.get(_key(index))
    if place is None:
        if here.note is not None:  # which entries a mask names may be another matter in the next call
            return None
        owner = _owner(t, history)[index]
        if not owner.any() and type(t.args[0]) is Tensor:
            return indexing.getitem(t.args[0], index=index)
        return None
    v, params = t.args[place], t.params
    assert params is not None
    if t.op is indexing.assign_each and params["kept"][place - 1] is not None:
        return None
    if type(v) is not Tensor or v.value.dtype != t.value.dtype or v.value.shape != t.value[index].shape:
        return None
    return indexing.getitem(v, index=Ellipsis)


# ---------------------------------------------------------------- who has used the earlier value


def _settle_between(v: Tensor, t: Tensor, old: Tensor) -> None:
    """Lead what v was made from to the earlier value of t, so that t, which is now made from v, is not made from itself."""
    first, waiting, seen = t.id, [v], {v}
    while waiting:
        node = waiting.pop()
        if node.op is None or node.id < first:
            continue
        if builtins.any(a is t for a in node.args):
            node.args = tuple([old if a is t else a for a in node.args])
        more = [a for a in node.args if type(a) is Tensor and a not in seen]
        seen.update(more)
        waiting += more


def _settle_users(t: Tensor, history: History) -> None:
    """Lead all that has used t to the value it used, so that the earlier values need not be kept here."""
    for holder in gc.get_referrers(t):
        if type(holder) is tuple:
            for node in gc.get_referrers(holder):
                if type(node) is Tensor and node.args is holder and node.id > history.versions[0].id:
                    used = [x for x in (*history.versions, t) if x.id < node.id][-1]
                    node.args = tuple([used if a is t else a for a in holder])
    history.versions.clear()


class _Counting:
    """Counts who holds an object that is assigned into, while one variable does; it varies with the Python version."""

    def __setitem__(self, index: Any, values: Any) -> None:
        self.holders = getrefcount(self)


def _holders_of_a_variable() -> int:
    t = _Counting()
    t[0] = 0
    return t.holders


def _holders_of_a_value() -> tuple[int, int]:
    t = leaf(np.empty(1))
    value = t.value
    view = leaf(np.empty(2)[:1])
    base = view.value.base
    return getrefcount(value), getrefcount(base)


_HELD_ONCE = _holders_of_a_variable()
_ARRAY_HELD_ONCE, _BASE_HELD_ONCE = _holders_of_a_value()
_SOURCE_HELD_ONCE = _source_holders(reshape(leaf(np.empty(2)), (2, 1)))

# ---------------------------------------------------------------- constants to fill


def _to_fill(value: ndarray) -> Tensor:
    """A constant that owns its array: a view of another could not be told from what shares its entries with something."""
    return leaf(value if value.ndim else value[()], requires_grad=False)


def zeros(shape: Any, dtype: Any = float) -> Tensor:
    """A constant Tensor of zeros, to be filled by assignment: A = tg.zeros((2, 3)), then A[:, 0] = ....

    >>> import tinygrad_edu as tg
    >>> tg.zeros(2)
    Tensor([0., 0.], requires_grad=False)
    """
    return _to_fill(np.zeros(shape, dtype))


def ones(shape: Any, dtype: Any = float) -> Tensor:
    """A constant Tensor of ones, to be filled by assignment.

    >>> import tinygrad_edu as tg
    >>> tg.ones(2)
    Tensor([1., 1.], requires_grad=False)
    """
    return _to_fill(np.ones(shape, dtype))


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """A constant Tensor of zeros in the shape and dtype of x, to be filled by assignment. (np.zeros_like gives an array.)

    >>> import tinygrad_edu as tg
    >>> tg.zeros_like([1.0, 2.0])
    Tensor([0., 0.], requires_grad=False)
    """
    x = as_array(x, "zeros_like")
    return zeros(x.shape, x.dtype if dtype is None else dtype)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """A constant Tensor of ones in the shape and dtype of x, to be filled by assignment. (np.ones_like gives an array.)

    >>> import tinygrad_edu as tg
    >>> tg.ones_like([5.0, 6.0])
    Tensor([1., 1.], requires_grad=False)
    """
    x = as_array(x, "ones_like")
    return ones(x.shape, x.dtype if dtype is None else dtype)


# NumPy's own give plain arrays
NUMPY = {
    np.zeros_like: lambda a, *rest, **kwargs: np.zeros_like(value_of(a), *rest, **kwargs),
    np.ones_like: lambda a, *rest, **kwargs: np.ones_like(value_of(a), *rest, **kwargs),
}
