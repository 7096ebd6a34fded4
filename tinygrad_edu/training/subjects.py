"""What is trained, a model or a function of parameters, and by which optimiser: seen by the loop alike."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..containers import flatten, is_setting, leaf_paths, numbers
from ..errors import DTypeError
from ..nn.module import Module, functional_call, stand_in
from ..optim import Optimizer, functional
from ..tensor import Tensor


class Subject:
    """Parameters by name, and the prediction as a function of them."""

    named: dict[str, Tensor]  # what is trained

    def __init__(self) -> None:
        self.buffers: dict[str, Any] = {}
        self.rng: np.random.Generator | None = None  # of what draws inside

    def call(self, values: Mapping[str, Any], buffers: Any, rng: Any, X: Any) -> tuple[Any, Any]:
        """The prediction with these parameters, and the buffers after it."""
        raise NotImplementedError

    def view(self, values: Mapping[str, Any]) -> Any:
        """What a penalty gets: the model, or the parameters as they were given."""
        raise NotImplementedError

    def mode(self, training: bool) -> None:
        """Switch to training or to evaluation."""

    def values(self) -> dict[str, Any]:
        return {name: t.value for name, t in self.named.items()}

    def copied(self) -> dict[str, dict[str, Any]]:
        """Parameters and buffers, as they are now."""
        return {"params": {name: np.array(t.value) for name, t in self.named.items()},
                "buffers": {name: np.array(x) for name, x in self.buffers.items()}}

    def restore(self, saved: Mapping[str, Mapping[str, Any]]) -> None:
        """Go back to what `copied` gave."""
        for name, t in self.named.items():
            t.data = saved["params"][name]
        self.buffers = {name: np.array(x) for name, x in saved["buffers"].items()}

    def finish(self) -> Any:
        """Leave things as they should be after training; the parameters, where nothing else holds them."""


class Network(Subject):
    """A Module. Its running statistics and its dropout's generator are passed in and out."""

    def __init__(self, model: Module, optimizer: Any, rng: Any) -> None:
        super().__init__()
        self.model = model
        self.before = {module: module.training for module in model.modules()}
        if not model.training:
            model.train()
        self.flags = {module: module.training for module in model.modules()}
        held = _held(optimizer)
        named = {name: t for name, t in model.named_parameters() if t.requires_grad and (held is None or id(t) in held)}
        if not named or (held is not None and len(named) < len(held)):
            raise ValueError(f"fit: the optimiser holds {len(held or ())} Tensors, of which {len(named)} are parameters of "
                             f"{type(model).__name__} that track gradients. Make it for this model: optim.Adam(model).")
        self.named = named
        self.buffers = model.buffer_dict()
        sources = [getattr(m, "rng", self) for m in model.modules()]
        own = [x for x in sources if type(x) is np.random.Generator]
        draws = any(x is None for x in sources)
        self.rng = own[0] if own else rng if draws else None

    def call(self, values: Mapping[str, Any], buffers: Any, rng: Any, X: Any) -> tuple[Any, Any]:
        result, after = functional_call(self.model, values, X, buffers=buffers, rng=rng, return_buffers=True)
        return result, after

    def view(self, values: Mapping[str, Any]) -> Any:
        return stand_in(self.model, values, {})

    def mode(self, training: bool) -> None:
        for module, flag in self.flags.items():
            module.training = flag and training

    def finish(self) -> Any:
        for module, flag in self.before.items():
            module.training = flag
        for name, owner, kind, _ in self.model._contents():
            if kind == "buffer" and name in self.buffers:
                setattr(owner, name.rpartition(".")[2], np.array(self.buffers[name]))


class Function(Subject):
    """f(params, X) with params in any nest. Where f has an argument rng, it gets the generator in training, None else."""

    def __init__(self, f: Callable[..., Any], params: Any, rng: Any) -> None:
        super().__init__()
        if params is None:
            raise TypeError(f"fit: {_title(f)} is no Module, so its parameters must be given: fit(..., params=params), and it "
                            "is called as f(params, X).")
        leaves, self.rebuild = numbers(params)
        whole, _ = flatten(params)
        names = [_name(path) for path, x in zip(leaf_paths(params), whole, strict=True) if not is_setting(x)]
        self.named = {}
        for name, x in zip(names, leaves, strict=True):
            if type(x) is not Tensor and np.asarray(x).dtype.kind not in "fiu":
                raise DTypeError(f"fit: params has {name or 'data'} of dtype {np.asarray(x).dtype}. Give numbers.")
            own = type(x) is Tensor and x.op is None
            self.named[name] = x if own else Tensor(x.value if type(x) is Tensor else x, name=name)
        self.f = f
        self.draws = "rng" in _arguments(f)
        self.rng = rng if self.draws else None

    def call(self, values: Mapping[str, Any], buffers: Any, rng: Any, X: Any) -> tuple[Any, Any]:
        params = self.view(values)
        return (self.f(params, X, rng=rng) if self.draws else self.f(params, X)), buffers

    def view(self, values: Mapping[str, Any]) -> Any:
        return self.rebuild([values[name] for name in self.named])

    def finish(self) -> Any:
        return self.rebuild([np.array(t.value)[()] for t in self.named.values()])


def subject_of(model: Any, params: Any, optimizer: Any, rng: Any) -> Subject:
    """A model or a function, to be trained."""
    if isinstance(model, Module):
        if params is not None:
            raise TypeError(f"fit: {type(model).__name__} holds its parameters itself; params= is for plain functions.")
        return Network(model, optimizer, rng)
    if not callable(model):
        raise TypeError(f"fit: {type(model).__name__} is neither a Module nor a function f(params, X).")
    return Function(model, params, rng)


def optimizer_of(optimizer: Any, named: dict[str, Tensor]) -> Optimizer:
    """The optimiser of these parameters: as it is, or made for them."""
    if isinstance(optimizer, functional):
        made: Any = type(optimizer._optimizer)(named, **optimizer._optimizer.defaults)
    elif isinstance(optimizer, Optimizer):
        held = _held(optimizer) or {}
        if set(held) != {id(t) for t in named.values()}:
            raise ValueError(f"fit: the optimiser holds {len(held)} Tensors, and the parameters to train are {len(named)} "
                             "others. Give its kind, and it is made for them: optim.functional(optim.Adam, lr=0.01).")
        made = optimizer
    elif callable(optimizer):
        made = optimizer(named)
    else:
        made = optimizer
    if not isinstance(made, Optimizer):
        raise TypeError(f"fit: the optimiser is {type(made).__name__}. Give optim.Adam(model, lr=0.01), or for a function of "
                        "parameters optim.functional(optim.Adam, lr=0.01).")
    return made


def _held(optimizer: Any) -> dict[int, Tensor] | None:
    """What an optimiser changes, by id: `in` would compare Tensors entry by entry."""
    if not isinstance(optimizer, Optimizer):
        return None
    return {id(t): t for group in optimizer.param_groups for t in group["params"]}


def _name(path: tuple[str, ...]) -> str:
    """("['layers']", "[0]", ".W") as layers.0.W."""
    return ".".join(part.strip("[].").strip("'\"") for part in path) or "params"


def _arguments(f: Any) -> Mapping[str, Any]:
    try:
        return inspect.signature(f).parameters
    except (TypeError, ValueError):
        return {}


def _title(f: Any) -> str:
    return getattr(f, "__name__", type(f).__name__)
