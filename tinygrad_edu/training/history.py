"""What a run was like, epoch by epoch, and when it stops."""

from __future__ import annotations

import math
from typing import Any

from ..plots import cost_curve


class History(dict[str, list[float]]):
    """Lists of one number an epoch, by name: "epoch", "loss", the metrics, the same with "validation_", "lr", "seconds".

    params : the trained parameters, nested as they were given; None for a model, which holds its own.
    stopped : why the run ended before its last epoch, or None. interrupted : whether by Ctrl-C.
    best_epoch : the epoch whose monitored number was the best, where early stopping looked; its parameters were restored if
    asked for. updates : how many updates were made.

    >>> from tinygrad_edu.training import History
    >>> History(epoch=[1, 2], loss=[0.5, 0.25]).last()
    {'epoch': 2, 'loss': 0.25}
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params: Any = None
        self.stopped: str | None = None
        self.interrupted = False
        self.best_epoch: int | None = None
        self.updates = 0

    def add(self, row: dict[str, float]) -> None:
        """Append the numbers of an epoch."""
        for name, value in row.items():
            self.setdefault(name, []).append(value)

    def last(self) -> dict[str, float]:
        """The numbers of the last epoch."""
        return {name: values[-1] for name, values in self.items() if values}

    def plot(self, names: Any = None, ax: Any = None, **options: Any) -> Any:
        """Draw costs (or the numbers named) over the epochs; returns matplotlib's axes. Options are cost_curve's."""
        wanted = [name for name in ("loss", "validation_loss") if name in self] if names is None else (
            [names] if isinstance(names, str) else list(names))
        unknown = [name for name in wanted if name not in self]
        if unknown:
            raise KeyError(f"plot: the history has no {unknown[0]!r}. It has {', '.join(self)}.")
        runs = {name.replace("_", " "): (self["epoch"], self[name]) for name in wanted}
        return cost_curve(runs, **{"xlabel": "epoch", "log": names is None, "ylabel": "cost J" if names is None else "",
                                   "ax": ax, **options})

    def __repr__(self) -> str:
        rows = len(self.get("epoch", ()))
        text = ", ".join(f"{name} {value:.4g}" for name, value in self.last().items() if name not in ("epoch", "seconds"))
        return f"<history of {rows} epochs{': ' + text if text else ''}{'; ' + self.stopped if self.stopped else ''}>"


class EarlyStopping:
    """Stop when a number has not become better for some epochs, and go back to the best parameters.

    monitor : a name in the history; by default "validation_loss", or "loss" without validation data.
    patience : how many epochs in a row may bring nothing. min_delta : what counts as better is better by more than that.
    mode : "min" or "max"; by default "min" for losses and "max" for metrics. restore_best : go back to the best epoch.

    >>> from tinygrad_edu.training import EarlyStopping
    >>> EarlyStopping("validation_accuracy", patience=5)
    EarlyStopping('validation_accuracy', patience=5, min_delta=0.0, mode='max', restore_best=True)
    """

    def __init__(self, monitor: str | None = None, patience: int = 10, min_delta: float = 0.0, mode: str | None = None,
                 restore_best: bool = True) -> None:
        if mode not in (None, "min", "max"):
            raise ValueError(f'EarlyStopping: mode={mode!r}: write "min" or "max".')
        if patience < 0 or min_delta < 0:
            raise ValueError(f"EarlyStopping: patience={patience!r} and min_delta={min_delta!r} should not be negative.")
        self.monitor, self.patience, self.min_delta, self.restore_best = monitor, patience, min_delta, restore_best
        self.mode = mode or ("min" if monitor is None or monitor.endswith("loss") else "max")

    def __repr__(self) -> str:
        return (f"EarlyStopping({self.monitor!r}, patience={self.patience}, min_delta={self.min_delta}, mode={self.mode!r}, "
                f"restore_best={self.restore_best})")


class Watch:
    """One run's early stopping: the best number so far, its epoch, and for how long there was none better."""

    def __init__(self, rule: EarlyStopping, validated: bool) -> None:
        self.rule = rule
        self.name = rule.monitor or ("validation_loss" if validated else "loss")
        self.best = math.inf if rule.mode == "min" else -math.inf
        self.epoch = self.waited = 0

    def better(self, row: dict[str, float]) -> bool:
        """Take note of an epoch; whether it is the best so far."""
        if self.name not in row:
            raise KeyError(f"fit: early stopping monitors {self.name!r}, and there are {', '.join(row)}. Give validation=, "
                           "metrics=, or another name.")
        value = row[self.name]
        gain = self.best - value if self.rule.mode == "min" else value - self.best
        if gain > self.rule.min_delta:
            self.best, self.epoch, self.waited = value, int(row["epoch"]), 0
            return True
        self.waited += 1
        return False

    @property
    def reason(self) -> str | None:
        """Why it stops now, or None."""
        if self.waited <= self.rule.patience or self.waited == 0:
            return None
        return f"stopped after epoch {self.epoch + self.waited}: {self.name} was best, {self.best:.6g}, in epoch {self.epoch}"
