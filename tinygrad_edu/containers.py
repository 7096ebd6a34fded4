"""Arrays in containers: nested dicts, lists, tuples, namedtuples and dataclasses, taken apart and put together again.

A derivative of a function of such a nest is a nest of the same form. What is in it and is no number, such as a name or
a function, is a setting: it stays as it is.
"""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Callable, Sequence
from enum import Enum
from types import BuiltinFunctionType, EllipsisType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from numpy import ndarray

from .errors import DTypeError
from .tensor import Tensor

Rebuild = Callable[[Sequence[Any]], Any]


# ---------------------------------------------------------------- containers of one's own

_registered: dict[type, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {}


def register_container(kind: type, parts: Callable[[Any], Any], rebuild: Callable[[Any, Any], Any]) -> None:
    """Teach the engine to look into objects of a class of yours, and of its subclasses.

    parts(obj) : a dict, list or tuple of the arrays in obj, or of further containers. rebuild(obj, parts) : a new object
    like obj, with these parts; what else it needs it takes from obj. parts may hold Tensors, arrays of other shapes and
    whole containers (a Jacobian), so rebuild should store them as they are. Dataclasses need no registration.

    >>> import numpy as np, tinygrad_edu as tg
    >>> class Layer:
    ...     def __init__(self, W, activation):
    ...         self.W, self.activation = W, activation
    >>> tg.register_container(Layer, lambda layer: [layer.W], lambda layer, parts: Layer(parts[0], layer.activation))
    >>> slope = tg.grad(lambda layer: layer.activation(layer.W).sum())(Layer(np.ones(2), tg.square))
    >>> slope.W, slope.activation is tg.square
    (array([2., 2.]), True)
    """
    if not isinstance(kind, type):
        raise TypeError(f"register_container: {kind!r} is no class. Write register_container(Layer, parts, rebuild).")
    if kind.__module__ == "builtins" or kind in (ndarray, Tensor):
        raise TypeError(f"register_container: {kind.__name__} has its meaning already. Register a class of your own.")
    if not callable(parts) or not callable(rebuild):
        raise TypeError(f"register_container: parts and rebuild must be functions: register_container({kind.__name__}, "
                        "lambda obj: [obj.W, obj.b], lambda obj, parts: ...).")
    _registered[kind] = parts, rebuild


def _registration(tree: Any) -> Any:
    for kind in type(tree).__mro__:
        if kind in _registered:
            return _registered[kind]
    return None


# ---------------------------------------------------------------- taking apart

def only(leaves: Sequence[Any]) -> Any:
    """The rebuilding of what is no container."""
    return leaves[0]


def is_numbers(tree: Any) -> bool:
    """Whether a list holds numbers only, or rows of numbers only, so that it means an array."""
    return all(isinstance(x, (int, float, np.generic)) for x in tree) or all(type(x) is list and is_numbers(x) for x in tree)


def opened(tree: Any, inside: bool = False) -> tuple[Sequence[Any], Callable[[list[Any]], Any]] | None:
    """One level of a container: its items, and what makes it of other items; None for what is no container.

    inside : whether the tree is in a dataclass, where integers, as settings, count as no items.
    """
    kind = type(tree)
    if kind is Tensor or kind is ndarray or kind is float:
        return None
    if _registered and (found := _registration(tree)) is not None:
        return [found[0](tree)], lambda items: found[1](tree, items[0])
    if isinstance(tree, dict):
        keys = list(tree)  # as they are now: the caller may change them before something is built
        if kind is dict:
            return list(tree.values()), lambda items: dict(zip(keys, items, strict=True))
        empty = copy.copy(tree)
        empty.clear()
        return list(tree.values()), lambda items: _filled(empty, keys, items)
    if isinstance(tree, tuple):
        if kind is not tuple and hasattr(kind, "_fields") and hasattr(kind, "_make"):
            return tree, kind._make
        return tree, tuple
    if kind is list:
        return None if tree and is_numbers(tree) else (tree, list)
    if not hasattr(kind, "__dataclass_fields__") or kind is type:
        return None
    values = {field.name: getattr(tree, field.name) for field in dataclasses.fields(tree) if hasattr(tree, field.name)}
    names = _moving(tree)
    values |= _besides(tree)

    def made(items: list[Any]) -> Any:
        """Not by calling the class: __init__ and __post_init__ may convert or check, and are for arrays alone."""
        new = object.__new__(kind)
        for name, value in (values | dict(zip(names, items, strict=True))).items():
            object.__setattr__(new, name, value)
        return new

    return [values[name] for name in names], made


def _besides(tree: Any) -> dict[str, Any]:
    """The settings that a dataclass keeps beside its fields, as __post_init__ may have made them.

    Arrays there are left out: they may be made of the fields, and would be taken for constants.
    """
    return {name: value for name, value in getattr(tree, "__dict__", {}).items()
            if name not in tree.__dataclass_fields__ and (is_setting(value, inside=True) or not flatten(value, inside=True)[0])}


def _moving(tree: Any) -> list[str]:
    """The fields of a dataclass that are not settings."""
    return [field.name for field in dataclasses.fields(tree)
            if hasattr(tree, field.name) and not field.metadata.get("static")
            and not is_setting(getattr(tree, field.name), inside=True)]


def labels(tree: Any) -> list[str]:
    """How the items of a container are reached: "['W']", "[0]", ".W"."""
    if _registered and _registration(tree) is not None:
        return [""]
    if isinstance(tree, dict):
        return [f"[{k!r}]" for k in tree]
    if isinstance(tree, (tuple, list)):
        fields = getattr(tree, "_fields", None)
        return [f".{name}" for name in fields] if fields else [f"[{i}]" for i in range(len(tree))]
    return [f".{name}" for name in _moving(tree)]


def _filled(empty: Any, keys: list[Any], items: list[Any]) -> Any:
    """An OrderedDict, a defaultdict or another kind of dict, with other items."""
    new = copy.copy(empty)
    for key, item in zip(keys, items, strict=True):
        new[key] = item
    return new


def _below(tree: Any, inside: bool) -> bool:
    """Whether the items of a container are in a dataclass."""
    if isinstance(tree, (dict, tuple, list)) and not _registered:
        return inside
    if _registered and _registration(tree) is not None:
        return False
    return inside or not isinstance(tree, (dict, tuple, list))


def flatten(tree: Any, inside: bool = False) -> tuple[list[Any], Rebuild]:
    """The leaves of nested containers, and the function that builds the same nest of others.

    A list of numbers counts as an array; None stays where it is, and so does what is no floating-point number in a
    dataclass. Text and the like elsewhere is a leaf: see `numbers`.
    """
    if tree is None:
        return [], lambda _leaves: None
    found = opened(tree, inside)
    if found is None:
        return [tree], only
    items, build = found
    inside = _below(tree, inside)
    for item in items:
        if type(item) not in _LEAVES:
            break
    else:  # the usual case
        return list(items), build  # type: ignore[return-value]
    parts = [([], _always(item)) if inside and is_setting(item, inside) else flatten(item, inside) for item in items]

    makers = [(len(own), make) for own, make in parts]  # and not the leaves, which `rebuild` would keep alive

    def rebuild(leaves: Sequence[Any]) -> Any:
        out, start = [], 0
        for count, make in makers:
            out.append(make(leaves[start : start + count]))
            start += count
        return build(out)

    return [x for own, _ in parts for x in own], rebuild


_LEAVES = frozenset((ndarray, Tensor, float))


def is_object(tree: Any) -> bool:
    """Whether a container is a dataclass or of a registered class, whose leaves are attributes."""
    return not isinstance(tree, (dict, tuple, list)) and opened(tree) is not None


def leaf_paths(tree: Any, path: tuple[str, ...] = (), inside: bool = False) -> list[tuple[str, ...]]:
    """How each leaf that `flatten` finds is reached, as ("['layers']", "[0]", ".W")."""
    if tree is None:
        return []
    found = opened(tree, inside)
    if found is None:
        return [path]
    inside = _below(tree, inside)
    return [place for label, item in zip(labels(tree), found[0], strict=True) if not (inside and is_setting(item, inside))
            for place in leaf_paths(item, (*path, label), inside)]


def structure(tree: Any, inside: bool = False) -> tuple[Any, ...]:
    """What a container is apart from its leaves: its types, keys and settings; for programs made for one form only."""
    found = opened(tree, inside)
    if tree is None or found is None:
        return ()
    own: tuple[Any, ...] = (type(tree), *labels(tree))
    inside = _below(tree, inside)
    if is_object(tree) and hasattr(tree, "__dataclass_fields__"):
        own += tuple((name, getattr(tree, name, None)) for name in tree.__dataclass_fields__ if f".{name}" not in own)
        own += tuple(_besides(tree).items())
    return (*own, *[item if inside and is_setting(item, inside) else structure(item, inside) for item in found[0]])


def _always(item: Any) -> Rebuild:
    return lambda _leaves: item


def numbers(tree: Any) -> tuple[list[Any], Rebuild]:
    """As `flatten`, the leaves that are numbers, arrays and Tensors alone; settings in containers stay."""
    leaves, rebuild = flatten(tree)
    if rebuild is only or not any(type(x) not in _LEAVES and is_setting(x) for x in leaves):
        return leaves, rebuild
    places = [i for i, x in enumerate(leaves) if not is_setting(x)]

    def with_settings(new: Sequence[Any]) -> Any:
        whole = list(leaves)
        for i, x in zip(places, new, strict=True):
            whole[i] = x
        return rebuild(whole)

    return [leaves[i] for i in places], with_settings


_SETTINGS = (str, bytes, bool, Enum, type, FunctionType, BuiltinFunctionType, MethodType, ModuleType, np.ufunc, np.dtype, slice,
             range, EllipsisType)


def _is_path_or_generator(x: Any) -> bool:
    """Whether x is a path or a random generator; modules that are not loaded have made none."""
    paths, random = sys.modules.get("pathlib"), sys.modules.get("numpy.random")
    return (paths is not None and isinstance(x, paths.PurePath)) or (random is not None and isinstance(x, random.Generator))


def is_setting(x: Any, inside: bool = False) -> bool:
    """Whether something in a container is kept as it is: text, a truth value, a function; in a dataclass integers too."""
    if x is None or isinstance(x, _SETTINGS):
        return True
    if not inside and (type(x) is ndarray or type(x) is Tensor or type(x) is float):
        return False
    if _is_path_or_generator(x):
        return True
    if not inside or type(x) is float or type(x) is Tensor:
        return False
    if isinstance(x, (ndarray, np.generic)):
        return x.dtype.kind in "iub" and not getattr(x, "is_traced", False)
    if type(x) is list and is_numbers(x):
        return bool(x) and not _any_float(x)
    return isinstance(x, int)


def _any_float(items: Any) -> bool:
    return any(_any_float(x) if type(x) is list else not is_setting(x, inside=True) for x in items)


# ---------------------------------------------------------------- two containers of one form

class _Place:
    """Stands for leaf number i."""

    __slots__ = ("i",)

    def __init__(self, i: int) -> None:
        self.i = i


class MismatchError(Exception):
    """Two containers are not nested alike; the text says where."""


def nested_as(rebuild: Rebuild, count: int, tree: Any) -> list[Any]:
    """The leaves of a tree that is nested as `rebuild` builds, by key and by name; raises MismatchError where it is not.

    Dicts may list their keys in another order, and a list may stand for a tuple.
    """
    if rebuild is only:
        return [_checked_leaf(tree, "")]
    out: list[Any] = [None] * count
    _match(rebuild([_Place(i) for i in range(count)]), tree, "", out)
    return out


def _match(form: Any, tree: Any, path: str, out: list[Any]) -> None:
    if type(form) is _Place:
        out[form.i] = _checked_leaf(tree, path)
        return
    if form is None or is_setting(form):
        return
    found = opened(form)
    if found is None:
        return
    items, _ = found
    names = labels(form)
    here = path or "the outermost container"
    if isinstance(form, dict):
        if not isinstance(tree, dict) or set(tree) != set(form):
            raise MismatchError(f"{here} has the keys {list(form)}, what is given "
                           f"{list(tree) if isinstance(tree, dict) else f'is {_kind(tree)}'}")
        others = [tree[k] for k in form]
    elif isinstance(form, (tuple, list)):
        if not isinstance(tree, (tuple, list)) or len(tree) != len(form):
            raise MismatchError(f"{here} has {len(form)} items, what is given "
                           f"{f'has {len(tree)}' if isinstance(tree, (tuple, list)) else f'is {_kind(tree)}'}")
        others = list(tree)
    elif type(tree) is not type(form):
        raise MismatchError(f"{here} is {_kind(form)}, what is given {_kind(tree)}")
    elif _registered and _registration(form) is not None:
        others = [_registration(form)[0](tree)]
    else:
        others = [getattr(tree, name[1:], None) for name in names]
    for name, item, other in zip(names, items, others, strict=True):
        _match(item, other, path + name, out)


def _checked_leaf(tree: Any, path: str) -> Any:
    if tree is None or isinstance(tree, dict):
        raise MismatchError(f"{path or 'there'} is an array, what is given {'None' if tree is None else _kind(tree)}")
    return tree


def _kind(x: Any) -> str:
    name = type(x).__name__
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"


def refuse_unknown(x: Any, where: str) -> None:
    """Raise for an object that is neither number nor array: its arrays, if it has any, would get no gradient."""
    if isinstance(x, (ndarray, np.generic, int, float, complex, list, str, bytes)) or hasattr(x, "__array__"):
        return
    name = type(x).__name__
    if isinstance(x, (set, frozenset)):
        raise DTypeError(f"{where} is a {name}, whose items have no order. Use a list, a tuple or a dict.")
    if callable(x) and isinstance(x, _SETTINGS):
        raise DTypeError(f"{where} is a function, which has no derivative. Leave it out of argnums.")
    if callable(getattr(x, "named_parameters", None)):
        raise DTypeError(f"{where} is {_kind(x)}, a model, and a derivative is one of numbers. Make its parameters the "
                         "argument, lambda params: ... nn.functional_call(model, params, x), with model.parameter_dict().")
    raise DTypeError(f"{where} is {_kind(x)}, and the engine does not know which arrays it holds. Make {name} a dataclass, use "
                     f"a dict, or say how it is taken apart with tg.register_container({name}, parts, rebuild). A field of a "
                     "dataclass is left alone with field(metadata={'static': True}).")


def tree_map(f: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """f of every array in a container, and of those at its place in further ones nested alike: the same nest of results.

    This is how one step of gradient descent is written for any container. Settings stay as they are in the first.

    >>> import numpy as np, tinygrad_edu as tg
    >>> weights = {"W": np.ones((1, 2)), "b": 0.5, "activation": "tanh"}
    >>> slopes = tg.grad(lambda p: (p["W"] * p["b"]).sum())(weights)
    >>> tg.tree_map(lambda w, dw: w - 0.1 * dw, weights, slopes)
    {'W': array([[0.95, 0.95]]), 'b': np.float64(0.3), 'activation': 'tanh'}
    """
    leaves, rebuild = numbers(tree)
    try:
        columns = [leaves, *[nested_as(rebuild, len(leaves), other) for other in others]]
    except MismatchError as error:
        raise ValueError(f"tree_map: the containers are not nested alike: {error}.") from None
    return rebuild([f(*row) for row in zip(*columns, strict=True)])
