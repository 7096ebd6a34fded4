"""Learning rates that change: pure functions of the number of updates made so far.

A schedule is given to the optimiser as its rate, `SGD(params, lr=cosine_annealing_lr(0.1, T_max=1000))`. The optimiser
counts its updates and saves the count with its state, so nothing else has to be stepped, saved or kept in order: a run
that is resumed takes up the schedule where it was. `schedule(t)` is the rate of update t, the first being t = 0.

Names, arguments and defaults are those of PyTorch's schedulers, with the rate in the optimiser's place; after its end
a schedule keeps its last rate.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

__all__ = [
    "Schedule", "constant_lr", "cosine_annealing_lr", "exponential_lr", "linear_lr", "multi_step_lr", "one_cycle_lr",
    "polynomial_lr", "step_lr", "warm_up",
]


class Schedule:
    """A rate as a function of the update t, with a text that tells what it is.

    Schedules multiply, with numbers and with each other, and follow one another with `then`.

    >>> from tinygrad_edu import optim
    >>> halved = optim.Schedule(lambda t: 0.1 / (1 + t), "0.1/(1+t)") * 0.5
    >>> halved
    0.1/(1+t) * 0.5
    >>> halved(0), halved(4)
    (0.05, 0.01)
    """

    __slots__ = ("_rate", "_text")

    def __init__(self, rate: Callable[[int], float], text: str | None = None) -> None:
        self._rate = rate
        self._text = text if text is not None else getattr(rate, "__name__", "schedule")

    def __call__(self, t: int) -> float:
        if t < 0:
            raise ValueError(f"{self}: update {t} lies before the first, t = 0.")
        return float(self._rate(t))

    def __repr__(self) -> str:
        return self._text

    def __mul__(self, other: Any) -> Schedule:
        if callable(other):
            return Schedule(lambda t: self(t) * float(other(t)), f"{self!r} * {other!r}")
        factor = float(other)
        return Schedule(lambda t: self(t) * factor, f"{self!r} * {other!r}")

    __rmul__ = __mul__

    def then(self, following: Any, after: int) -> Schedule:
        """This schedule for `after` updates, then another one (or a fixed rate), which counts from its own t = 0.

        >>> from tinygrad_edu import optim
        >>> rate = optim.linear_lr(0.1, start_factor=0.5, total_iters=2).then(optim.exponential_lr(0.1, gamma=0.5), after=2)
        >>> [round(rate(t), 4) for t in range(5)]
        [0.05, 0.075, 0.1, 0.05, 0.025]
        """
        _at_least("then", "after", after, 0)
        second = following if callable(following) else constant_lr(following)
        return Schedule(lambda t: self(t) if t < after else float(second(t - after)),
                        f"{self!r}.then({following!r}, after={after})")


def _at_least(where: str, name: str, value: Any, least: float) -> None:
    if not value >= least:
        raise ValueError(f"{where}: {name}={value!r} should be at least {least}.")


def constant_lr(lr: float) -> Schedule:
    """The same rate always.

    >>> from tinygrad_edu import optim
    >>> optim.constant_lr(0.1)(1000)
    0.1
    """
    return Schedule(lambda _t: lr, f"constant_lr({lr!r})")


def step_lr(lr: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """lr · gamma^⌊t / step_size⌋: the rate falls by a factor every `step_size` updates.

    >>> from tinygrad_edu import optim
    >>> [optim.step_lr(0.4, step_size=2, gamma=0.5)(t) for t in range(5)]
    [0.4, 0.4, 0.2, 0.2, 0.1]
    """
    _at_least("step_lr", "step_size", step_size, 1)
    return Schedule(lambda t: lr * gamma ** (t // step_size), f"step_lr({lr!r}, step_size={step_size}, gamma={gamma!r})")


def multi_step_lr(lr: float, milestones: Sequence[int], gamma: float = 0.1) -> Schedule:
    """lr · gamma^(milestones passed): the rate falls by a factor at each of the updates named.

    >>> from tinygrad_edu import optim
    >>> [optim.multi_step_lr(0.4, milestones=[1, 3], gamma=0.5)(t) for t in range(5)]
    [0.4, 0.2, 0.2, 0.1, 0.1]
    """
    passed = sorted(milestones)
    return Schedule(lambda t: lr * gamma ** bisect_right(passed, t), f"multi_step_lr({lr!r}, {list(milestones)}, {gamma!r})")


def exponential_lr(lr: float, gamma: float) -> Schedule:
    """lr · gamma^t.

    >>> from tinygrad_edu import optim
    >>> [optim.exponential_lr(0.4, gamma=0.5)(t) for t in range(3)]
    [0.4, 0.2, 0.1]
    """
    return Schedule(lambda t: lr * gamma**t, f"exponential_lr({lr!r}, gamma={gamma!r})")


def cosine_annealing_lr(lr: float, T_max: int, eta_min: float = 0.0) -> Schedule:
    """eta_min + (lr − eta_min)(1 + cos(π t / T_max))/2: half a cosine from lr to eta_min in T_max updates.

    From Loshchilov and Hutter, SGDR (2017), without restarts: afterwards the rate stays at eta_min.

    >>> from tinygrad_edu import optim
    >>> [round(optim.cosine_annealing_lr(0.4, T_max=4)(t), 3) for t in range(6)]
    [0.4, 0.341, 0.2, 0.059, 0.0, 0.0]
    """
    _at_least("cosine_annealing_lr", "T_max", T_max, 1)
    return Schedule(lambda t: eta_min + (lr - eta_min) * (1 + math.cos(math.pi * min(t / T_max, 1))) / 2,
                    f"cosine_annealing_lr({lr!r}, T_max={T_max}, eta_min={eta_min!r})")


def linear_lr(lr: float, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5) -> Schedule:
    """lr times a factor that goes from start_factor to end_factor in a straight line over total_iters updates.

    >>> from tinygrad_edu import optim
    >>> [round(optim.linear_lr(0.4, start_factor=0.5, total_iters=4)(t), 3) for t in range(6)]
    [0.2, 0.25, 0.3, 0.35, 0.4, 0.4]
    """
    _at_least("linear_lr", "total_iters", total_iters, 1)
    return Schedule(lambda t: lr * (start_factor + (end_factor - start_factor) * min(t / total_iters, 1)),
                    f"linear_lr({lr!r}, {start_factor!r}, {end_factor!r}, total_iters={total_iters})")


def polynomial_lr(lr: float, total_iters: int = 5, power: float = 1.0) -> Schedule:
    """lr (1 − t / total_iters)^power, down to 0.

    >>> from tinygrad_edu import optim
    >>> [round(optim.polynomial_lr(0.4, total_iters=4, power=2)(t), 3) for t in range(6)]
    [0.4, 0.225, 0.1, 0.025, 0.0, 0.0]
    """
    _at_least("polynomial_lr", "total_iters", total_iters, 1)
    return Schedule(lambda t: lr * (1 - min(t / total_iters, 1)) ** power,
                    f"polynomial_lr({lr!r}, {total_iters}, power={power!r})")


def warm_up(updates: int, following: Any, start_factor: float = 0.0) -> Schedule:
    """A straight line up to a schedule's first rate (or a fixed rate), then the schedule from its beginning.

    The first update takes 1/updates of the way from start_factor, so that none is made with rate 0.

    >>> from tinygrad_edu import optim
    >>> rate = optim.warm_up(4, optim.exponential_lr(0.4, gamma=0.5))
    >>> [round(rate(t), 3) for t in range(6)]
    [0.1, 0.2, 0.3, 0.4, 0.4, 0.2]
    """
    _at_least("warm_up", "updates", updates, 1)
    rate = following if callable(following) else constant_lr(following)
    top = float(rate(0))
    rise = Schedule(lambda t: top * (start_factor + (1 - start_factor) * (t + 1) / updates))
    whole = rise.then(rate, after=updates)
    return Schedule(whole, f"warm_up({updates}, {following!r})")


def one_cycle_lr(max_lr: float, total_steps: int, *, pct_start: float = 0.3, anneal_strategy: str = "cos",
                 div_factor: float = 25.0, final_div_factor: float = 1e4, three_phase: bool = False) -> Schedule:
    """One rise from max_lr/div_factor to max_lr, and one fall to the start divided by final_div_factor.

    From Smith and Topin, Super-Convergence (2018). The rise takes the share `pct_start` of `total_steps`; with
    `three_phase` the fall goes back to the start in the same time first. anneal_strategy : "cos" or "linear".

    >>> from tinygrad_edu import optim
    >>> rate = optim.one_cycle_lr(1.0, total_steps=11, pct_start=0.5, anneal_strategy="linear", div_factor=5)
    >>> [round(rate(t), 2) for t in (0, 2, 4, 7, 10)]
    [0.2, 0.56, 0.91, 0.55, 0.0]
    """
    _at_least("one_cycle_lr", "total_steps", total_steps, 1)
    if anneal_strategy not in ("cos", "linear"):
        raise ValueError(f'one_cycle_lr: anneal_strategy={anneal_strategy!r}: write "cos" or "linear".')
    if not 0 <= pct_start <= 1:
        raise ValueError(f"one_cycle_lr: pct_start={pct_start!r} is a share of the updates, between 0 and 1.")
    start = max_lr / div_factor
    least = start / final_div_factor
    peak = pct_start * total_steps - 1
    ends = [peak, 2 * peak, total_steps - 1] if three_phase else [peak, total_steps - 1]
    rates = [start, max_lr, start, least] if three_phase else [start, max_lr, least]

    def rate(t: int) -> float:
        begin = 0.0
        for end, first, last in zip(ends, rates, rates[1:], strict=False):
            if t <= end:
                part = (t - begin) / (end - begin) if end > begin else 1.0
                if anneal_strategy == "cos":
                    return last + (first - last) / 2 * (1 + math.cos(math.pi * part))
                return first + (last - first) * part
            begin = end
        return least

    return Schedule(rate, f"one_cycle_lr({max_lr!r}, total_steps={total_steps})")
