"""The family of gradient descent: each rule written as in its paper, in place on one flat array.

`rule(w, g, state, t, ...)` changes w, given the gradient g and what is remembered in `state`; t counts from 1. The same
rule serves an optimiser object over Tensors (`SGD([W1, b1], lr=0.1).step()`) and plain arrays (`functional(SGD, lr=0.1)`).
Names, order of arguments and defaults are PyTorch's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import tensor
from ..containers import flatten
from ..errors import DTypeError, NamesError, ShapeError
from ..tensor import Tensor, next_id
from .flat import Flat, Slot, pieces
from .parameters import named_parameters

_NOTHING: Any = object()  # in the place of parameters: an optimiser that only holds options


class Optimizer:
    """What the optimisers have in common: parameters in groups, the step, and the state that is saved.

    A subclass says its options in `__init__`, what it remembers in `remembered`, and how w changes in `rule`; nothing
    else. Here is gradient descent with the sign of the gradient:

    >>> import numpy as np
    >>> from tinygrad_edu import Tensor, optim
    >>> class SignDescent(optim.Optimizer):
    ...     def __init__(self, params, lr=0.01):
    ...         super().__init__(params, lr=lr)
    ...     @staticmethod
    ...     def rule(w, g, state, t, lr):
    ...         w -= lr * np.sign(g)
    >>> w = Tensor([1.0, -2.0])
    >>> optimizer = SignDescent([w], lr=0.5)
    >>> np.sum(w ** 2).backward()
    >>> optimizer.step()
    >>> w
    Tensor([ 0.5, -1.5])
    """

    param_groups: list[dict[str, Any]]  # "params" and the options of each group; options may be changed between steps
    steps: int  # how many updates were made: the t of the next one's rate

    def __init__(self, params: Any, **options: Any) -> None:
        self._check(options)
        self.defaults = options
        self.param_groups = []
        self.steps = 0
        self._slots: list[Slot] = []
        self._flats: list[Flat] = []
        if params is _NOTHING:
            return
        if not isinstance(params, (Mapping, Tensor)) and not hasattr(params, "parameters"):
            params = list(params) if hasattr(params, "__iter__") else params
        groups = params if isinstance(params, list) and params and all(
            isinstance(p, dict) and "params" in p for p in params) else None
        for i, group in enumerate(groups if groups is not None else [{"params": params}]):
            self._add(group, f"{i}." if groups is not None else "")
        if not self._slots:
            raise ValueError(f"{self._where}: there are no parameters. Give the Tensors that should change: a list, a dict, or "
                             "model.parameters(). (A generator that was used before is empty.)")
        self._lay_out()

    # -- what a subclass says

    @staticmethod
    def remembered(options: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of what is remembered of each parameter, with these options."""
        return ()

    @staticmethod
    def first(name: str, options: Mapping[str, Any]) -> float:
        """What is remembered before the first update."""
        return 0.0

    rule: Callable[..., None]

    # -- groups

    @property
    def _where(self) -> str:
        return type(self).__name__

    def _check(self, options: Mapping[str, Any]) -> None:
        """Refuse options that cannot be meant, naming them."""
        for name, value in options.items():
            if name in ("nesterov", "amsgrad", "centered", "maximize") or callable(value):
                continue
            if name == "betas":
                if len(value) != 2 or not all(0 <= b < 1 for b in value):
                    raise ValueError(f"{self._where}: betas={value!r} are two weights of the past, at least 0 and below 1.")
            elif not float(value) >= 0:
                raise ValueError(f"{self._where}: {name}={value!r} should not be negative.")
        if options.get("nesterov") and (not options["momentum"] or options["dampening"]):
            raise ValueError(f"{self._where}: nesterov=True needs a momentum and dampening=0, for example momentum=0.9.")

    def _add(self, group: Mapping[str, Any], prefix: str) -> None:
        found = named_parameters(group["params"], self._where)
        unknown = sorted(set(group) - {"params", *self.defaults})
        if unknown:
            raise TypeError(f"{self._where}: a group has no option {unknown[0]!r}. Options are {', '.join(self.defaults)}.")
        taken = {slot.tensor: slot.name for slot in self._slots}
        for name, t in found:
            if t in taken:
                raise ValueError(f"{self._where}: {t.name or prefix + name} {t.shape} is in another group already, as "
                                 f"{taken[t]!r}.")
        own = {**self.defaults, **{k: v for k, v in group.items() if k != "params"}}
        self._check(own)
        self._slots += [Slot(t, prefix + name, len(self.param_groups)) for name, t in found]
        self.param_groups.append({"params": [t for _, t in found], **own})

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add {"params": [...], option: value, ...}: further parameters, with options of their own.

        >>> from tinygrad_edu import Tensor, optim
        >>> optimizer = optim.SGD([Tensor(1.0)], lr=0.1)
        >>> optimizer.add_param_group({"params": [Tensor(2.0)], "lr": 0.01})
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.1, 0.01]
        """
        self._add(param_group, f"{len(self.param_groups)}.")
        self._lay_out()

    def _lay_out(self) -> None:
        """Put all parameters into one array per dtype, and what is remembered of them into arrays like it."""
        before: dict[Tensor, dict[str, Any]] = {slot.tensor: {"steps": flat.steps - slot.skipped} | {
            name: np.array(flat.of(held, slot)) for name, held in flat.state.items()}
            for flat in self._flats for slot in flat.slots}
        dtypes = dict.fromkeys(slot.tensor.dtype for slot in self._slots)
        self._flats = [Flat([s for s in self._slots if s.tensor.dtype == dtype], dtype, self.steps) for dtype in dtypes]
        for flat in self._flats:
            for slot in flat.slots:
                self._remember(flat, slot.group)
                held = before.get(slot.tensor, {"steps": 0})
                slot.skipped = flat.steps - held.pop("steps")
                for name, value in held.items():
                    flat.remember(name)
                    flat.of(flat.state[name], slot)[...] = value

    def _remember(self, flat: Flat, group: int) -> tuple[str, ...]:
        """Make room for what is remembered of a group, and say what that is."""
        names = self.remembered(self.param_groups[group])
        for name in names:
            if flat.remember(name):
                for slot in flat.slots:
                    flat.of(flat.state[name], slot)[...] = self.first(name, self.param_groups[slot.group])
        return names

    # -- the rate

    @property
    def lr(self) -> float:
        """The learning rate of the next update (of the first group). Assigning gives all groups a rate or a schedule."""
        return float(self._now(self.param_groups[0])["lr"])

    @lr.setter
    def lr(self, rate: Any) -> None:
        self._check({"lr": rate})
        for group in self.param_groups:
            group["lr"] = rate

    def _now(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """A group's options at this update, as Python numbers: a NumPy float64 would make float32 arithmetic float64."""
        return {name: value if type(value) in _PLAIN else _number(value(self.steps) if callable(value) else value)
                for name, value in group.items() if name != "params"}

    # -- the step

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; those whose `.grad` is None stay, and so does what is remembered of them.

        closure : computes the cost and calls backward(); run first, and its result returned.
        """
        loss = closure() if closure is not None else None
        work = [(flat, flat.gradients(f"{self._where}.step")) for flat in self._flats]  # raises before anything is changed
        options = [self._now(group) for group in self.param_groups]
        stamp = next_id()  # a graph recorded before this moment is out of date
        for flat, grads in work:
            for run in flat.runs(grads):
                names = self._remember(flat, run.group)
                self._update(flat.values, flat.gradient(run, grads), {name: flat.state[name] for name in names}, run.start,
                             run.stop, flat.steps - run.skipped + 1, options[run.group])
            flat.finish(grads, stamp)
        tensor.last_change = stamp
        self.steps += 1
        return loss

    def _update(self, values: Any, gradients: Any, state: dict[str, Any], start: int, stop: int, t: int,
                options: dict[str, Any]) -> None:
        """Run the rule over values[start:stop], whose gradients are given."""
        if options.get("maximize"):
            gradients = -gradients
        options = {name: value for name, value in options.items() if name != "maximize"}
        for piece in pieces(start, stop):
            self.rule(values[piece], gradients[piece.start - start : piece.stop - start],
                      {name: held[piece] for name, held in state.items()}, t, **options)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or fill them with zeros."""
        for slot in self._slots:
            t = slot.tensor
            if set_to_none:
                t.grad = None
            elif t.grad is not None:
                t.grad = np.zeros(t.shape, t.dtype)[()]

    # -- saved and loaded

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs beside the weights: nested dicts with text keys, of copied arrays and plain numbers.

        {"steps": 3, "state": {"W1": {"steps": 3, "exp_avg": array, ...}, ...}, "param_groups": {"0": {"lr": 0.1, ...}}}.
        Parameters have the names by which they were given: keys of a dict, names of a model's parameters, or their
        positions. A schedule is code and not saved; its place in time is `steps`.
        """
        state: dict[str, Any] = {}
        for flat in self._flats:
            for slot in flat.slots:
                own: dict[str, Any] = {"steps": flat.steps - slot.skipped}
                for name in self._remember(flat, slot.group):
                    own[name] = np.array(flat.of(flat.state[name], slot))
                state[slot.name] = own
        groups = {str(i): {name: np.array(value, dtype=float) if name == "betas" else _number(value)
                           for name, value in group.items() if name != "params" and not callable(value)}
                  for i, group in enumerate(self.param_groups)}
        return {"steps": self.steps, "state": {slot.name: state[slot.name] for slot in self._slots}, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what state_dict() gave. Names, shapes and dtypes are checked first; on an error nothing has changed.

        An option that is a schedule here stays one; other options take the saved values.
        """
        where = f"{self._where}.load_state_dict"
        _same_names(where, "parts", state_dict, ["steps", "state", "param_groups"])
        groups = _mapping(where, "param_groups", state_dict["param_groups"])
        _same_names(where, "groups", groups, [str(i) for i in range(len(self.param_groups))])
        options = []
        for i, group in enumerate(self.param_groups):
            saved = _mapping(where, f"param_groups.{i}", groups[str(i)])
            unknown = sorted(set(saved) - set(self.defaults))
            if unknown:
                raise NamesError(f"{where}: the saved group {i} has the option {unknown[0]!r}, and {self._where} has "
                                 f"{', '.join(self.defaults)}. It was saved by another kind of optimiser.")
            taken = {}
            for name, value in saved.items():
                if not callable(group[name]):
                    taken[name] = _loaded_option(where, name, value, self.defaults[name])
            self._check({name: value for name, value in (group | taken).items() if name != "params"})
            options.append(taken)
        steps = _count(where, "steps", state_dict["steps"])
        saved_state = _mapping(where, "state", state_dict["state"])
        _same_names(where, "parameters", saved_state, [slot.name for slot in self._slots])
        arrays: list[tuple[Flat, Slot, int, dict[str, Any]]] = []
        for flat in self._flats:
            for slot in flat.slots:
                saved = _mapping(where, slot.name, saved_state[slot.name])
                wanted = self.remembered({**self.param_groups[slot.group], **options[slot.group]})
                _same_names(where, f"entries of {slot.name!r}", saved, ["steps", *wanted])
                held = {name: _loaded_array(f"{where}: {slot.name}.{name}", saved[name], slot, flat.values.dtype)
                        for name in wanted}
                arrays.append((flat, slot, _count(where, f"{slot.name}.steps", saved["steps"]), held))
        for group, taken in zip(self.param_groups, options, strict=True):
            group.update(taken)
        self.steps = steps
        for flat, slot, count, held in arrays:
            self._remember(flat, slot.group)
            for name, value in held.items():
                flat.of(flat.state[name], slot)[...] = value
            slot.skipped = steps - count
        for flat in self._flats:
            flat.recount(steps)

    def __repr__(self) -> str:
        lines = []
        for i, group in enumerate(self.param_groups):
            size = sum(t.size for t in group["params"])
            head = f"{len(group['params'])} parameters, {size} numbers"
            text = ", ".join(f"{name}={value!r}" for name, value in group.items() if name != "params")
            lines.append(f"  {i}: {head}: {text}")
        return f"{self._where}(\n" + "\n".join(lines) + "\n)"


_PLAIN = (float, int, bool, tuple)


def _number(value: Any) -> Any:
    """An option as a Python number."""
    if isinstance(value, bool | int | float) and not isinstance(value, np.generic):
        return value
    if isinstance(value, tuple | list | np.ndarray) and np.ndim(value):
        return tuple(float(x) for x in value)
    return value.item() if hasattr(value, "item") else value


def _mapping(where: str, name: str, held: Any) -> Mapping[str, Any]:
    if not isinstance(held, Mapping):
        raise DTypeError(f"{where}: {name} is a {type(held).__name__}, and a dict is expected, as state_dict() gives it.")
    return held


def _same_names(where: str, what: str, given: Mapping[str, Any], wanted: list[str]) -> None:
    given = _mapping(where, what, given)
    missing, extra = [n for n in wanted if n not in given], [n for n in given if n not in wanted]
    if missing or extra:
        told = [f"{text} {', '.join(map(repr, names[:5]))}{' …' if len(names) > 5 else ''}"
                for text, names in (("missing", missing), ("not known here", extra)) if names]
        raise NamesError(f"{where}: the saved {what} are not those of this optimiser: {'; '.join(told)}. Make it with the same "
                         "parameters and options as the one that was saved.")


def _count(where: str, name: str, value: Any) -> int:
    number = np.asarray(value)
    if number.size != 1 or number.dtype.kind not in "iuf" or not number >= 0 or float(number) != int(number):
        raise ValueError(f"{where}: {name}={value!r} should be a whole number of updates.")
    return int(number)


def _loaded_option(where: str, name: str, value: Any, default: Any) -> Any:
    """An option as it was: files give arrays back for numbers, and for pairs of them."""
    if isinstance(value, Mapping):
        value = list(value.values())
    held = np.asarray(value)
    if held.dtype.kind not in "biuf" or held.shape != ((2,) if name == "betas" else ()):
        raise DTypeError(f"{where}: the option {name}={value!r} should be {'two numbers' if name == 'betas' else 'a number'}.")
    if name == "betas":
        return tuple(float(x) for x in held)
    return bool(held) if isinstance(default, bool) else held.item()


def _loaded_array(where: str, value: Any, slot: Slot, dtype: Any) -> Any:
    held = np.asarray(value)
    if held.shape != slot.shape:
        raise ShapeError(f"{where} has shape {held.shape}, and its parameter {slot.shape}.")
    if held.dtype != dtype:
        raise DTypeError(f"{where} has dtype {held.dtype}, and its parameter {dtype}.")
    return held


# ---------------------------------------------------------------- the rules

class SGD(Optimizer):
    """Gradient descent: w ← w − lr · g, with momentum, Nesterov's look ahead and weight decay on request.

    With momentum μ it is the velocity that descends: v ← μ v + (1 − dampening) g (v ← g at first), w ← w − lr · v; with
    `nesterov` w ← w − lr (g + μ v) (Sutskever et al. 2013, in PyTorch's form). `weight_decay` λ adds λ w to g: the
    gradient of λ/2 ‖w‖². It is called stochastic when g comes from some of the examples; the rule is the same.

    params : Tensors in a list, a dict, a model; or a list of groups {"params": ..., option: value}.
    lr : a number, or a schedule, a function of the number of updates made. Every other number may be one too.

    >>> from tinygrad_edu import Tensor, optim
    >>> w = Tensor(2.0)
    >>> optimizer = optim.SGD([w], lr=0.1)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> w
    Tensor(1.6)
    """

    def __init__(self, params: Any, lr: Any = 1e-3, momentum: Any = 0, dampening: Any = 0, weight_decay: Any = 0,
                 nesterov: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
                         nesterov=nesterov, maximize=maximize)

    @staticmethod
    def remembered(options: Mapping[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",) if options["momentum"] else ()

    @staticmethod
    def rule(w: Any, g: Any, state: Mapping[str, Any], t: int, lr: float, momentum: float,
             dampening: float, weight_decay: float, nesterov: bool) -> None:
        if weight_decay:
            g = g + weight_decay * w
        if momentum:
            v = state["momentum_buffer"]
            if t == 1:
                v[:] = g
            else:
                v *= momentum
                v += (1 - dampening) * g if dampening else g
            g = g + momentum * v if nesterov else v
        w -= lr * g


class Adam(Optimizer):
    """Adam: a step along the mean gradient, measured in its root mean square (Kingma and Ba 2015).

    m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², both divided by 1 − βᵗ because they start from 0, then
    w ← w − lr · m̂ / (√v̂ + eps). `weight_decay` λ adds λ w to g; AdamW shrinks w itself. With `amsgrad` the largest v
    so far takes the place of v (Reddi, Kale and Kumar 2018).

    >>> from tinygrad_edu import Tensor, optim
    >>> w = Tensor(2.0)
    >>> optimizer = optim.Adam([w], lr=0.1)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> w  # the first step has length lr, whatever the gradient's
    Tensor(1.90000000...)
    """

    def __init__(self, params: Any, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: Any = 0, amsgrad: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad,
                         maximize=maximize)

    @staticmethod
    def remembered(options: Mapping[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if options["amsgrad"] else ("exp_avg", "exp_avg_sq")

    @staticmethod
    def rule(w: Any, g: Any, state: Mapping[str, Any], t: int, lr: float,
             betas: tuple[float, float], eps: float, weight_decay: float, amsgrad: bool) -> None:
        if weight_decay:
            g = g + weight_decay * w
        beta1, beta2 = betas
        m, v = state["exp_avg"], state["exp_avg_sq"]
        m += (1 - beta1) * (g - m)
        v *= beta2
        v += (1 - beta2) * (g * g)
        if amsgrad:
            v = np.maximum(state["max_exp_avg_sq"], v, out=state["max_exp_avg_sq"])
        size = np.sqrt(v)
        size *= 1 / math.sqrt(1 - beta2**t)
        size += eps
        w -= lr / (1 - beta1**t) * m / size


class AdamW(Adam):
    """Adam with the weights shrunk by themselves: w ← (1 − lr λ) w, then Adam's step (Loshchilov and Hutter 2019).

    In Adam the penalty's gradient λ w would be divided by √v̂ like any other; here every weight decays at the same rate.

    >>> from tinygrad_edu import Tensor, optim
    >>> w = Tensor(2.0)
    >>> optimizer = optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * 0).backward()
    >>> optimizer.step()
    >>> w
    Tensor(1.9)
    """

    def __init__(self, params: Any, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: Any = 1e-2, amsgrad: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)

    @staticmethod
    def rule(w: Any, g: Any, state: Mapping[str, Any], t: int, lr: float,
             betas: tuple[float, float], eps: float, weight_decay: float, amsgrad: bool) -> None:
        w *= 1 - lr * weight_decay
        Adam.rule(w, g, state, t, lr, betas, eps, 0, amsgrad)


class RMSprop(Optimizer):
    """RMSprop: the gradient divided by its running root mean square (Tieleman and Hinton, lecture 6.5, 2012).

    v ← α v + (1 − α) g², w ← w − lr · g / (√v + eps). `centered` subtracts the square of the mean gradient from v, so
    that it is a variance (Graves 2013). `momentum` μ: b ← μ b + g / (√v + eps), w ← w − lr · b.

    >>> from tinygrad_edu import Tensor, optim
    >>> w = Tensor(2.0)
    >>> optimizer = optim.RMSprop([w], lr=0.1, alpha=0.75)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> print(f"{w:.6f}")  # v = 0.25 · 4², so the step is lr · 4/2
    1.800000
    """

    def __init__(self, params: Any, lr: Any = 1e-2, alpha: Any = 0.99, eps: float = 1e-8, weight_decay: Any = 0,
                 momentum: Any = 0, centered: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum,
                         centered=centered, maximize=maximize)

    @staticmethod
    def remembered(options: Mapping[str, Any]) -> tuple[str, ...]:
        return ("square_avg", *(("momentum_buffer",) if options["momentum"] else ()),
                *(("grad_avg",) if options["centered"] else ()))

    @staticmethod
    def rule(w: Any, g: Any, state: Mapping[str, Any], t: int, lr: float, alpha: float,
             eps: float, weight_decay: float, momentum: float, centered: bool) -> None:
        if weight_decay:
            g = g + weight_decay * w
        v = state["square_avg"]
        v *= alpha
        v += (1 - alpha) * (g * g)
        if centered:
            m = state["grad_avg"]
            m += (1 - alpha) * (g - m)
            v = v - m * m
        size = np.sqrt(v)
        size += eps
        if momentum:
            b = state["momentum_buffer"]
            b *= momentum
            b += g / size
            w -= lr * b
        else:
            w -= lr * g / size


class Adagrad(Optimizer):
    """Adagrad: each entry's rate falls with the squares it has seen (Duchi, Hazan and Singer 2011).

    s ← s + g², w ← w − lr / (1 + (t − 1) lr_decay) · g / (√s + eps).

    >>> from tinygrad_edu import Tensor, optim
    >>> w = Tensor(2.0)
    >>> optimizer = optim.Adagrad([w], lr=0.5)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> w
    Tensor(1.50000000...)
    """

    def __init__(self, params: Any, lr: Any = 1e-2, lr_decay: Any = 0, weight_decay: Any = 0,
                 initial_accumulator_value: float = 0, eps: float = 1e-10, *, maximize: bool = False) -> None:
        super().__init__(params, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay,
                         initial_accumulator_value=initial_accumulator_value, eps=eps, maximize=maximize)

    @staticmethod
    def remembered(options: Mapping[str, Any]) -> tuple[str, ...]:
        return ("sum",)

    @staticmethod
    def first(name: str, options: Mapping[str, Any]) -> float:
        return float(options["initial_accumulator_value"])

    @staticmethod
    def rule(w: Any, g: Any, state: Mapping[str, Any], t: int, lr: float, lr_decay: float,
             weight_decay: float, initial_accumulator_value: float, eps: float) -> None:
        if weight_decay:
            g = g + weight_decay * w
        s = state["sum"]
        s += g * g
        size = np.sqrt(s)
        size += eps
        w -= lr / (1 + (t - 1) * lr_decay) * g / size


# ---------------------------------------------------------------- on plain arrays

class functional:
    """An optimiser for plain arrays, for code written with `grad`: update(params, grads, state) gives new ones.

    kind : SGD, Adam, ... or an Optimizer of your own.  options : its options, by name.

    `init(params)` gives the state before the first update: {"steps": 0, "state": {"float64": {"exp_avg": flat array, ...}}}.
    `update(params, grads, state)` gives (params, state); nothing given is changed. `params` is an array, a number, or
    nested dicts, lists and tuples of them, and `grads` the same nest, as `grad` returns it.

    >>> import numpy as np, tinygrad_edu as tg
    >>> descent = tg.optim.functional(tg.optim.SGD, lr=0.1, momentum=0.5)
    >>> params = {"w": np.array([1.0, -1.0]), "b": 2.0}
    >>> slope = tg.grad(lambda p: np.sum(p["w"] ** 2) + p["b"] ** 2)
    >>> state = descent.init(params)
    >>> for _ in range(2):
    ...     params, state = descent.update(params, slope(params), state)
    >>> print(params["w"].round(6), params["b"].round(6))
    [ 0.54 -0.54] 1.08
    """

    def __init__(self, kind: type[Optimizer], **options: Any) -> None:
        self._optimizer = kind(_NOTHING, **options)
        self._where = f"functional({kind.__name__})"

    def __repr__(self) -> str:
        options = "".join(f", {k}={v!r}" for k, v in self._optimizer.defaults.items())
        return f"functional({type(self._optimizer).__name__}{options})"

    def init(self, params: Any) -> dict[str, Any]:
        """The state before the first update of these parameters."""
        leaves, _ = self._leaves(params, "params")
        options = self._optimizer.defaults
        names = self._optimizer.remembered(options)
        sizes: dict[str, int] = {}
        for x in leaves:
            sizes[x.dtype.name] = sizes.get(x.dtype.name, 0) + x.size
        return {"steps": 0, "state": {dtype: {name: np.full(size, self._optimizer.first(name, options), dtype)
                                              for name in names} for dtype, size in sizes.items()}}

    def update(self, params: Any, grads: Any, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The parameters and the state after one update."""
        rule = self._optimizer
        leaves, rebuild = self._leaves(params, "params")
        slopes, _ = self._leaves(grads, "grads")
        if [x.shape for x in leaves] != [g.shape for g in slopes]:
            at = next((i for i, (x, g) in enumerate(zip(leaves, slopes, strict=False)) if x.shape != g.shape), None)
            told = f"{len(leaves)} and {len(slopes)} arrays" if at is None else (
                f"number {at} has shape {leaves[at].shape} in params and {slopes[at].shape} in grads")
            raise ShapeError(f"{self._where}: params and grads are not alike: {told}. Give what grad(f)(params) returns.")
        rule.steps = steps = _count(self._where, "steps", state["steps"])
        options = rule._now(rule.defaults)
        new: list[Any] = [None] * len(leaves)
        held: dict[str, dict[str, Any]] = {}
        for dtype in dict.fromkeys(x.dtype for x in leaves):
            own = [i for i, x in enumerate(leaves) if x.dtype == dtype]
            values = np.concatenate([leaves[i].reshape(-1) for i in own])
            gradients = np.concatenate([slopes[i].reshape(-1) for i in own], dtype=dtype, casting="same_kind")
            held[dtype.name] = {name: np.array(x) for name, x in state["state"][dtype.name].items()}
            if any(x.shape != values.shape for x in held[dtype.name].values()):
                raise ShapeError(f"{self._where}: the state is of other parameters: it holds "
                                 f"{next(iter(held[dtype.name].values())).size} numbers of {dtype}, params {values.size}. "
                                 "Start with init(params).")
            rule._update(values, gradients, held[dtype.name], 0, values.size, steps + 1, options)
            stop = 0
            for i in own:
                start, stop = stop, stop + leaves[i].size
                new[i] = values[start:stop].reshape(leaves[i].shape)[()]
        return rebuild(new), {"steps": steps + 1, "state": held}

    def _leaves(self, tree: Any, what: str) -> tuple[list[Any], Callable[[Any], Any]]:
        leaves, rebuild = flatten(tree)
        if any(type(x) is Tensor for x in leaves):
            raise DTypeError(f"{self._where}: {what} holds Tensors. Give arrays, or use the optimiser itself, "
                             f"{type(self._optimizer).__name__}(params).")
        arrays = [np.asarray(x) for x in leaves]
        for x in arrays:
            if x.dtype.kind not in "fiu":
                raise DTypeError(f"{self._where}: {what} holds data of dtype {x.dtype}. Give arrays of floating-point numbers.")
        return [x if x.dtype.kind == "f" else x.astype(np.float64) for x in arrays], rebuild
