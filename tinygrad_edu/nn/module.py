"""Module: what a layer and a network are. Parameters are found where they are held; nothing is registered by hand.

A parameter is a leaf Tensor that is an attribute, or stands in a list, tuple or dict that is one. A part is a Module held
in the same way. So a network of one's own is a class with attributes and a `forward`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy import ndarray

from ..errors import DTypeError, NamesError, ShapeError, UnsupportedError
from ..tensor import Tensor, leaf
from .init import generator

_OWN = ("training", "_buffers", "_given")  # attributes that are this file's business


class Module:
    """A layer or a network: parameters, parts, and `forward`.

    Subclass it, make Tensors and other Modules attributes, and write `forward`; call the object, not `forward`.

    training : True until eval() is called; Dropout and BatchNorm look at it.

    >>> import numpy as np, tinygrad_edu as tg
    >>> from tinygrad_edu import nn
    >>> class Quadratic(nn.Module):
    ...     def __init__(self):
    ...         self.linear = nn.Linear(1, 1, rng=0)
    ...         self.a = tg.Tensor([0.5])
    ...     def forward(self, x):
    ...         return self.a * x ** 2 + self.linear(x)
    >>> model = Quadratic()
    >>> [(name, p.shape) for name, p in model.named_parameters()]
    [('a', (1,)), ('linear.weight', (1, 1)), ('linear.bias', (1,))]
    >>> model(np.ones((5, 1))).shape
    (5, 1)
    """

    training: bool = True
    _whole: bool = False  # whether its parts are its own business, and tables show it as one layer
    _buffers: Mapping[str, bool] = {}  # name of a buffer: whether it is saved
    _given: Mapping[int, Any] | None = None  # of a stand-in made by functional_call: its parameters, by id

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes. Subclasses say it."""
        raise NotImplementedError(f"{type(self).__name__}: it has no forward. Write def forward(self, x): ... in the class.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """forward of these arguments."""
        return self.forward(*args, **kwargs)

    # -- what it holds

    def _parts(self) -> Mapping[str, Any]:
        """What it holds, by the names that saved weights use."""
        return vars(self)

    def _held(self) -> tuple[list[tuple[str, Any]], list[tuple[str, Module]]]:
        """The parameters and the modules that it holds itself, by name."""
        parameters: list[tuple[str, Any]] = []
        modules: list[tuple[str, Module]] = []
        given = self._given

        def visit(name: str, item: Any, around: tuple[int, ...]) -> None:
            if isinstance(item, Module):
                modules.append((name, item))
            elif (type(item) is Tensor and _is_parameter(item)) or (given is not None and id(item) in given):
                parameters.append((name, item))
            elif isinstance(item, (list, tuple, dict)) and id(item) not in around:
                items: Iterable[tuple[Any, Any]] = item.items() if isinstance(item, dict) else enumerate(item)
                for key, inner in items:
                    visit(f"{name}.{key}", inner, (*around, id(item)))

        for name, item in self._parts().items():
            if name not in _OWN:
                visit(name, item, ())
        return parameters, modules

    def _contents(self, prefix: str = "", around: tuple[Module, ...] = ()) -> Iterator[tuple[str, Module, str, Any]]:
        """(name, owner, kind, value) of everything inside: its own parameters, its buffers, then its parts in turn.

        What is held at two places comes twice; a part that holds what it is part of is not entered again.
        """
        yield prefix.removesuffix("."), self, "module", self
        parameters, modules = self._held()
        for name, value in parameters:
            yield prefix + name, self, "parameter", value
        for name in self._buffers:
            yield prefix + name, self, "buffer", getattr(self, name)
        for name, module in modules:
            if module is not self and not any(module is m for m in around):
                yield from module._contents(f"{prefix}{name}.", (*around, self))

    def _each(self, kind: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """What is of this kind, each once, by its first name."""
        seen: set[int] = set()
        for name, _, its_kind, value in self._contents(prefix and f"{prefix}."):
            if its_kind == kind and id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """The parameters with the way to each, such as "layers.0.weight". One that is shared comes once, by its first name."""
        return self._each("parameter", prefix)

    def parameters(self) -> Iterator[Tensor]:
        """The parameters, each once."""
        return (value for _, value in self._each("parameter"))

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, ndarray]]:
        """The arrays that are saved with the parameters and not trained, such as running means."""
        seen: set[tuple[int, str]] = set()
        for name, owner, kind, value in self._contents(prefix and f"{prefix}."):
            place = id(owner), name.rpartition(".")[2]
            if kind == "buffer" and value is not None and place not in seen:
                seen.add(place)
                yield name, value

    def buffers(self) -> Iterator[ndarray]:
        """The arrays that are saved with the parameters and not trained."""
        return (value for _, value in self.named_buffers())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module, by the name "", and all parts, parts of parts and so on, each once."""
        return self._each("module", prefix)

    def modules(self) -> Iterator[Module]:
        """This module and all parts, parts of parts and so on, each once."""
        return (value for _, value in self._each("module"))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The parts that it holds itself, by name."""
        return iter(self._held()[1])

    def children(self) -> Iterator[Module]:
        """The parts that it holds itself."""
        return (module for _, module in self._held()[1])

    def register_buffer(self, name: str, value: Any, persistent: bool = True) -> None:
        """Make an array an attribute that is no parameter and is saved with them (unless persistent=False)."""
        if type(value) is Tensor:
            raise DTypeError(f"register_buffer: {name} is a Tensor, and would be a parameter. Give the plain array.")
        self._buffers = {**self._buffers, name: persistent}
        setattr(self, name, None if value is None else np.asarray(value))

    # -- what it is

    def hyperparameters(self) -> dict[str, Any]:
        """What was chosen and is not learned: sizes, rates, kinds, of it and of its parts, by name.

        >>> from tinygrad_edu import nn
        >>> nn.Sequential(nn.Linear(3, 5, rng=0), nn.LeakyReLU(0.1)).hyperparameters()
        {'0.in_features': 3, '0.out_features': 5, '1.negative_slope': 0.1}
        """
        return {f"{path}.{name}" if path else name: value for path, module in self.named_modules()
                for name, value in module._settings().items()}

    def _settings(self) -> dict[str, Any]:
        """Its own hyperparameters: the public attributes that are numbers, text, or tuples of such."""
        return {name: value for name, value in vars(self).items()
                if not name.startswith("_") and name not in (*_OWN, "rng", *self._buffers) and value is not None
                and _is_plain(value)}

    def extra_repr(self) -> str:
        """What stands between the brackets of its text."""
        return ", ".join(f"{name}={value!r}" for name, value in self._settings().items())

    def __repr__(self) -> str:
        name, own, parts = type(self).__name__, self.extra_repr(), self._held()[1]
        if not parts:
            return f"{name}({own})"
        lines = [own] if own else []
        lines += [f"({label}): {part!r}" for label, part in parts]
        inner = "\n".join(lines).replace("\n", "\n  ")
        return f"{name}(\n  {inner}\n)"

    def summary(self, input_shape: Any = None, **kwargs: Any) -> Any:
        """A table of its layers, shapes, parameters and hyper-parameters: see `nn.summary`."""
        from .table import summary

        return summary(self, input_shape, **kwargs)

    # -- what can be done to it

    def train(self, mode: bool = True) -> Any:
        """Switch it and its parts to training: dropout drops, batch norm takes the statistics of the batch. Returns it."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Any:
        """Switch it and its parts to evaluation: nothing random, running statistics. Returns it."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.parameters():
            p.grad = None

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Freeze all parameters (False), or set them free again. Returns it."""
        for p in self.parameters():
            p.requires_grad = requires_grad
        return self

    def apply(self, f: Callable[[Module], Any]) -> Any:
        """Call f with every part and then with it, as for setting parameters by kind of layer. Returns it.

        >>> from tinygrad_edu import nn
        >>> def small(module):
        ...     if isinstance(module, nn.Linear):
        ...         nn.init.normal_(module.weight, std=0.01, rng=0)
        ...         nn.init.zeros_(module.bias)
        >>> model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).apply(small)
        >>> bool(abs(model[0].weight.data).max() < 0.05)
        True
        """
        for module in reversed(list(self.modules())):
            f(module)
        return self

    def reset_parameters(self, rng: Any = None) -> Any:
        """Draw the parameters of all layers anew, from one generator or seed, in order. Returns it.

        >>> from tinygrad_edu import nn
        >>> model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)).reset_parameters(rng=0)
        >>> model[0].weight.data[0]
        array([ 0.19369308, -0.32557075])
        """
        source = generator(rng)
        for module in self.modules():
            module._draw(source)
        return self

    def _draw(self, rng: np.random.Generator) -> None:
        """Give its own parameters their first values. Layers with parameters say it."""

    # -- its state

    def parameter_dict(self) -> dict[str, Any]:
        """Copies of the parameters as plain arrays, by name, each once: what functional_call takes, and grad and jit."""
        return {name: np.array(t.value) for name, t in self.named_parameters()}

    def buffer_dict(self) -> dict[str, Any]:
        """Copies of the buffers, by name, for functional_call(..., buffers=...)."""
        return {name: np.array(array) for name, array in self.named_buffers()}

    def state_dict(self) -> dict[str, ndarray]:
        """Copies of all parameters and saved buffers, by name: what `tg.save` takes and load_state_dict gives back."""
        return {name: np.array(value.value if type(value) is Tensor else value)
                for name, owner, kind, value in self._contents() if _saved(owner, kind, name, value)}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Take over parameters and buffers from a state_dict. Everything is checked before anything is changed.

        state : arrays by name; Tensors, and tensors of PyTorch, do as well. strict=False leaves out what is missing and
        what is not known. Raises NamesError, ShapeError or DTypeError, all with the names. Numbers may become wider
        (float32 into a float64 model), never narrower.
        """
        targets = [(name, owner, kind, value) for name, owner, kind, value in self._contents()
                   if _saved(owner, kind, name, value)]
        names = [name for name, *_ in targets]
        _check_names(names, state, strict, f"load_state_dict: {type(self).__name__}")
        new: dict[int, tuple[str, ndarray]] = {}
        changes: list[Callable[[], None]] = []
        for name, owner, _, held in targets:
            if name not in state:
                continue
            array = _fitting(name, state[name], held)
            if id(held) in new and not np.array_equal(new[id(held)][1], array, equal_nan=True):
                raise ValueError(f"load_state_dict: {new[id(held)][0]} and {name} are one and the same in "
                                 f"{type(self).__name__}, and differ in the state. Give both the same values.")
            new[id(held)] = name, array
            changes.append(_change(held, owner, name.rpartition(".")[2], array))
        for change in changes:
            change()


def _is_parameter(t: Tensor) -> bool:
    """A leaf that a person made; not a result that is kept, nor the constant that detach() and no_grad() make of one."""
    return t.op is None and (t.requires_grad or t.params is None)


_PLAIN = (bool, int, float, str, type(None), np.generic)


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN) or (isinstance(value, tuple) and all(isinstance(x, _PLAIN) for x in value))


def _saved(owner: Module, kind: str, name: str, value: Any) -> bool:
    return kind == "parameter" or (kind == "buffer" and value is not None and owner._buffers[name.rpartition(".")[2]])


def _change(held: Any, owner: Module, key: str, array: ndarray) -> Callable[[], None]:
    if type(held) is Tensor:
        return lambda: setattr(held, "data", array)
    return lambda: setattr(owner, key, array)


def _check_names(known: list[str], given: Mapping[str, Any], strict: bool, where: str) -> None:
    if not isinstance(given, Mapping):
        raise DTypeError(f"{where}: the state is {type(given).__name__}, and must be a dict of arrays by name, as "
                         "state_dict() gives it.")
    missing = [name for name in known if name not in given]
    unknown = [name for name in given if name not in set(known)]
    if strict and (missing or unknown):
        said = [f"without {', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}"] if missing else []
        said += [f"unknown {', '.join(map(str, unknown[:5]))}{', …' if len(unknown) > 5 else ''}"] if unknown else []
        near = [(str(u), close[0]) for u in unknown if (close := difflib.get_close_matches(str(u), missing, 1))]
        hint = f" Did you mean {near[0][1]} for {near[0][0]}?" if near else " strict=False takes what fits."
        raise NamesError(f"{where}: the names differ: {'; '.join(said)}.{hint}")


def as_numbers(name: str, value: Any, where: str) -> ndarray:
    """A plain array of anything that is one: array, Tensor, a tensor of PyTorch on any device."""
    if type(value) is Tensor:
        return np.asarray(value.value)
    for step in ("detach", "cpu", "numpy"):  # PyTorch's way to an array; not imported for it
        if not isinstance(value, ndarray) and callable(getattr(value, step, None)):
            value = getattr(value, step)()
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"{where}: {name} is {type(value).__name__} of dtype {array.dtype}, and no array of real numbers.")
    return array


def _fitting(name: str, value: Any, held: Any) -> ndarray:
    """The new array for a parameter or buffer, checked and in its dtype."""
    array = as_numbers(name, value, "load_state_dict")
    if array.shape != held.shape:
        hint = " Is it transposed?" if array.shape == held.shape[::-1] else ""
        raise ShapeError(f"load_state_dict: {name} has shape {tuple(held.shape)}, the state {array.shape}.{hint}")
    if array.dtype.kind != held.dtype.kind or not np.can_cast(array.dtype, held.dtype):
        raise DTypeError(f"load_state_dict: {name} has dtype {held.dtype}, the state {array.dtype}, which does not fit without "
                         f"loss. Convert it: state[{name!r}].astype({str(held.dtype)!r}), or make the model with "
                         f"dtype={str(array.dtype)!r}.")
    return np.array(array, dtype=held.dtype)


# ---------------------------------------------------------------- a model as a function of its parameters

def functional_call(model: Module, params: Mapping[str, Any], *args: Any, buffers: Mapping[str, Any] | None = None,
                    rng: Any = None, return_buffers: bool = False, **kwargs: Any) -> Any:
    """Call a model with other parameters; the model stays as it is, so several threads may do it at once.

    params : arrays or Tensors by name, as model.parameter_dict() gives them; those left out are the model's own. So a model is
    a function of a dict, which grad, hessian and jit take.
    buffers : likewise, instead of the model's (running statistics); return_buffers : return (result, buffers after the call).
    Without it what batch norm learns about the batch is dropped.
    rng : the generator that all Dropout inside draws from, instead of their own; jit needs it as an argument.

    >>> import numpy as np, tinygrad_edu as tg
    >>> from tinygrad_edu import nn
    >>> model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh(), nn.Linear(3, 1, rng=1))
    >>> X, y = np.ones((4, 2)), np.zeros((4, 1))
    >>> def cost(params):
    ...     return tg.mse(nn.functional_call(model, params, X), y)
    >>> slopes = tg.grad(cost)(model.parameter_dict())
    >>> {name: slope.shape for name, slope in slopes.items()}
    {'0.weight': (3, 2), '0.bias': (3,), '2.weight': (1, 3), '2.bias': (1,)}
    """
    other = stand_in(model, params, buffers or {}, rng)
    result = other(*args, **kwargs)
    return (result, dict(other.named_buffers())) if return_buffers else result


def stand_in(model: Module, params: Mapping[str, Any], buffers: Mapping[str, Any], rng: Any = None) -> Module:
    """The same model around other parameters and buffers: new Module objects, everything else shared."""
    values: dict[int, Any] = {}  # of a parameter's id
    rows: dict[int, dict[str, Any]] = {}  # buffers of a module's id
    known = set()
    firsts: dict[int, str] = {}  # the first name of a parameter's id
    for name, owner, kind, held in model._contents():
        if kind == "module" or (kind == "buffer" and held is None):
            continue
        known.add(name)
        source = params if name in params else buffers if kind == "buffer" and name in buffers else None
        if source is not None:
            value = source[name]
            if not hasattr(value, "shape"):
                value = np.asarray(value, held.dtype)
            if tuple(value.shape) != tuple(held.shape):
                raise ShapeError(f"functional_call: {name} has shape {tuple(held.shape)} in the model, and "
                                 f"{tuple(value.shape)} in what is given.")
            if kind == "parameter":
                if values.setdefault(id(held), value) is not value and firsts[id(held)] in params:
                    raise ValueError(f"functional_call: {firsts[id(held)]} and {name} are one shared parameter. Give it once, "
                                     "as model.parameter_dict() does.")
                firsts.setdefault(id(held), name)
                values[id(held)] = value
            else:
                rows.setdefault(id(owner), {})[name.rpartition(".")[2]] = value.value if type(value) is Tensor else value
        elif kind == "parameter":
            firsts.setdefault(id(held), name)
            values.setdefault(id(held), held)
    unknown = [name for name in (*params, *buffers) if name not in known]
    if unknown:
        near = difflib.get_close_matches(str(unknown[0]), sorted(known), 1)
        raise NamesError(f"functional_call: {type(model).__name__} has no parameter {unknown[0]!r}. "
                         + (f"Did you mean {near[0]!r}?" if near else "See dict(model.named_parameters())."))
    given = {id(value): value for value in values.values()}
    draws = None if rng is None else generator(rng)
    made: dict[int, Any] = {}

    def other(item: Any) -> Any:
        kind = type(item)
        if kind is Tensor:
            return values.get(id(item), item)
        if isinstance(item, Module):
            if id(item) in made:
                return made[id(item)]
            new = made[id(item)] = object.__new__(kind)
            own = {name: other(value) for name, value in vars(item).items()}
            own.update(rows.get(id(item), {}), _given=given)
            if draws is not None and "rng" in own:
                own["rng"] = draws
            vars(new).update(own)
            return new
        if isinstance(item, dict):
            inner = {key: other(value) for key, value in item.items()}
            return item if all(inner[key] is item[key] for key in inner) else _like_dict(item, inner)
        if isinstance(item, (list, tuple)):
            items = [other(value) for value in item]
            if all(a is b for a, b in zip(items, item, strict=True)):
                return item
            return kind._make(items) if hasattr(kind, "_make") else kind(items)
        owner = getattr(item, "__self__", None)  # a method kept as an attribute is that of the stand-in
        if isinstance(owner, Module) and hasattr(item, "__func__"):
            return item.__func__.__get__(other(owner))
        return item

    return other(model)  # type: ignore[no-any-return]


def _like_dict(old: Any, items: dict[Any, Any]) -> Any:
    if type(old) is dict:
        return items
    new = old.copy()
    new.update(items)
    return new


# ---------------------------------------------------------------- modules in lists and dicts

class Sequential(Module):
    """Layers one after the other: each takes the result of the one before.

    Give layers, or one dict of layers by name. A plain function, such as np.tanh, does as a layer too.

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> model = nn.Sequential(nn.Linear(2, 3, rng=0), np.tanh, nn.Linear(3, 1, rng=1))
    >>> model(np.zeros((5, 2))).shape
    (5, 1)
    >>> model
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): tanh
      (2): Linear(in_features=3, out_features=1, bias=True)
    )
    >>> model[:2](np.zeros((5, 2))).shape, len(model)
    ((5, 3), 3)
    """

    def __init__(self, *layers: Any) -> None:
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            self._layers: dict[str, Any] = dict(layers[0])
        else:
            self._layers = {str(i): layer for i, layer in enumerate(layers)}
        for name, layer in self._layers.items():
            if not callable(layer) or isinstance(layer, type):
                made = f" Write {layer.__name__}(...), with brackets." if isinstance(layer, type) else ""
                raise DTypeError(f"Sequential: item {name} is {layer!r}, which cannot be called as a layer.{made}")

    def _parts(self) -> Mapping[str, Any]:
        return {**{k: v for k, v in vars(self).items() if k != "_layers"}, **self._layers}

    def forward(self, x: Any) -> Any:
        """The last layer's result."""
        for layer in self._layers.values():
            x = layer(x)
        return x

    def append(self, layer: Any) -> Sequential:
        """Add a layer at the end; returns the whole."""
        self._layers[str(len(self._layers))] = layer
        return self

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._layers.values())

    def __getitem__(self, i: int | slice | str) -> Any:
        if isinstance(i, slice):
            return Sequential(*list(self)[i])
        return self._layers[i] if isinstance(i, str) else list(self)[i]

    def __repr__(self) -> str:
        lines = [f"({name}): {layer!r}" if isinstance(layer, Module) else f"({name}): {getattr(layer, '__name__', layer)}"
                 for name, layer in self._layers.items()]
        inner = "\n".join(lines).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {inner}\n)" if lines else f"{type(self).__name__}()"


class ModuleList(Module):
    """A list of modules, for loops in forward. A plain list as an attribute does as well.

    >>> from tinygrad_edu import nn
    >>> layers = nn.ModuleList([nn.Linear(3, 3, rng=i) for i in range(2)])
    >>> [name for name, _ in layers.named_parameters()], len(layers)
    (['0.weight', '0.bias', '1.weight', '1.bias'], 2)
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._items = list(modules)

    def _parts(self) -> Mapping[str, Any]:
        return {str(i): item for i, item in enumerate(self._items)}

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end; returns the list."""
        self._items.append(module)
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add several modules at the end; returns the list."""
        self._items.extend(modules)
        return self

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._items)

    def __getitem__(self, i: int | slice) -> Any:
        return ModuleList(self._items[i]) if isinstance(i, slice) else self._items[i]

    def __setitem__(self, i: int, module: Module) -> None:
        self._items[i] = module


class ModuleDict(Module):
    """A dict of modules, by name. A plain dict as an attribute does as well.

    >>> from tinygrad_edu import nn
    >>> heads = nn.ModuleDict({"digit": nn.Linear(8, 10, rng=0), "slant": nn.Linear(8, 1, rng=1)})
    >>> heads["slant"], list(heads)
    (Linear(in_features=8, out_features=1, bias=True), ['digit', 'slant'])
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        self._items = dict(modules or {})

    def _parts(self) -> Mapping[str, Any]:
        return self._items

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._items.keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._items.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Names and modules."""
        return self._items.items()

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __getitem__(self, name: str) -> Module:
        return self._items[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self._items[name] = module


def parameter(value: Any) -> Tensor:
    """A leaf around a fresh array, which is not copied again."""
    return leaf(value if value.ndim else value[()])


def redraw(held: Any, value: ndarray) -> None:
    """Give a parameter new numbers; None, for a bias left out, stays."""
    if held is not None:
        held.data = value


def refuse_traced(where: str, what: str) -> None:
    raise UnsupportedError(f"{where}: while a function is traced, {what} would be that of the trace, and stay so. Use "
                           "nn.functional_call(model, params, x, buffers=buffers, return_buffers=True), or model.eval().")
