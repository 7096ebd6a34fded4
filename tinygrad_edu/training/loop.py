"""fit: the loop that every training has, written once."""

from __future__ import annotations

import copy
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..calculus import value_and_grad
from ..data import batches as make_batches
from ..data.batches import Batches, generator
from ..data.dataset import DataSet
from ..errors import GradientError, ShapeError, TraceError, UnsupportedError
from ..nn.losses import binary_cross_entropy_with_logits
from ..optim import Optimizer, clip_grad_norm_, clip_grad_value_
from ..program.jit import Jit, jit
from ..show.non_finite import find_nan
from ..tensor import Tensor
from .checkpoints import read, write
from .history import EarlyStopping, History, Watch
from .progress import progress_of
from .subjects import Subject, optimizer_of, subject_of

Metric = Callable[..., Any]


def fit(model: Any, data: Any, loss: Callable[..., Any], optimizer: Any, epochs: int, *, params: Any = None,
        batch_size: int | None = 32, rng: Any = None, shuffle: bool | None = None, drop_last: bool = False, axis: int = 0,
        validation: Any = None, metrics: Any = None, penalty: Callable[[Any], Any] | None = None,
        clip_norm: float | None = None, clip_value: float | None = None, early_stopping: Any = None, checkpoint: Any = None,
        checkpoint_every: int = 1, resume: bool = False, compile: bool = True,  # noqa: A002
        progress: Any = None, callback: Callable[[History], Any] | None = None) -> History:
    """Train a model, or a function of parameters, by mini-batches; returns the History.

    Parameters
    ----------
    model : an nn.Module, or a function f(params, X) with params= its first parameters, in any nest of arrays. An argument
        named rng gets the generator (None in evaluation).
    data : (X, Y), a data set, or what data.batches made. Y may be a tuple; loss and metrics then take all of it.
    loss : loss(prediction, Y), one number, such as tg.cross_entropy.
    optimizer : optim.Adam(model, lr=0.01), with a rate or a schedule; for a function, optim.functional(optim.Adam, lr=0.01).
    epochs : how often each example is seen, all in all: a resumed run makes those that are left.
    batch_size : examples an update; None takes all of them. drop_last : leave out a smaller last batch.
    rng : a generator or a seed, for the order of the examples, and for dropout that has no generator of its own.
    shuffle : False keeps the order. axis : 1 where examples are columns, as in the notes.
    validation : (X, Y), evaluated after each epoch without dropout and with running statistics.
    metrics : "accuracy", a function metric(prediction, Y), or several, in a list or by name. Of training batches, means.
    penalty : a function of the model (or the parameters) that is added to the loss, such as lambda m: 1e-3 * nn.l2(m).
    clip_norm, clip_value : keep gradients within bounds, all together or entry by entry.
    early_stopping : an EarlyStopping, or its patience in epochs.
    checkpoint : a path (.npz or .safetensors), written after every `checkpoint_every` epochs in one step. resume : go on from
        it where there is one, to the same numbers as an uninterrupted run.
    compile : whether the step is compiled by tg.jit; False runs it operation by operation, to the same numbers up to rounding.
    progress : None for a bar on a terminal and lines elsewhere, False for nothing, or "lines", "bar", "rich", "tqdm".
    callback : called with the history after each epoch; what is true stops the run.

    Ctrl-C ends the run after the update that is being made, with what was learned; a second one at once. A cost or gradient
    that is not finite raises GradientError with the node it came from; the parameters are those before that update.

    >>> import numpy as np, tinygrad_edu as tg
    >>> from tinygrad_edu import data, optim
    >>> X, Y = data.moons(200, noise=0.1, rng=0).columns()
    >>> def network(params, X):
    ...     A1 = np.tanh(params["W1"] @ X + params["b1"])
    ...     return params["W2"] @ A1 + params["b2"]
    >>> rng = np.random.default_rng(0)
    >>> params = {"W1": rng.normal(size=(8, 2)), "b1": np.zeros((8, 1)), "W2": rng.normal(size=(1, 8)), "b2": np.zeros((1, 1))}
    >>> history = tg.fit(network, (X, Y), tg.binary_cross_entropy_with_logits, optim.functional(optim.Adam, lr=0.05), epochs=30,
    ...                  params=params, axis=1, rng=0, metrics="accuracy", progress=False)
    >>> history["accuracy"][-1] > 0.95, history.params["W1"].shape
    (True, (8, 2))
    """
    if int(epochs) != epochs or epochs < 0 or checkpoint_every < 1:
        raise ValueError(f"fit: epochs={epochs!r} and checkpoint_every={checkpoint_every!r} are whole numbers, not negative.")
    if resume and checkpoint is None:
        raise ValueError("fit: resume=True goes on from a file. Give checkpoint='run.npz'.")
    source = None if rng is None else generator(rng, "fit")
    batches = _batches(data, batch_size, source, shuffle, drop_last, axis)
    subject = subject_of(model, params, optimizer, source)
    run = _Run(subject, optimizer_of(optimizer, subject.named), loss, _metrics(metrics, loss, axis), penalty, bool(compile),
               axis, (clip_norm, clip_value))
    history = History()
    rule = EarlyStopping(patience=early_stopping) if isinstance(early_stopping, int) else early_stopping
    watch = None if rule is None else Watch(rule, validation is not None)
    held_out = None if validation is None else _batches(validation, max(batches.size, 256), None, False, False, axis)
    path = None if checkpoint is None else Path(checkpoint)
    generators = list({id(g): g for g in (batches.rng, subject.rng) if g is not None}.values())
    best: Any = None
    if resume and path is not None and path.exists():
        best = read(path, subject, run.optimizer, generators, history, watch, repr(batches))
    done = len(history.get("epoch", ()))
    shown = progress_of(progress, epochs, len(batches), done)
    try:
        with _interruptible() as interrupted:
            for epoch in range(done + 1, epochs + 1):
                if history.stopped:
                    break
                start = time.perf_counter()
                row = run.epoch(epoch, batches, history, shown, interrupted)
                if held_out is not None:
                    row |= {f"validation_{name}": value for name, value in run.evaluated(held_out).items()}
                row |= {"lr": run.optimizer.lr, "seconds": time.perf_counter() - start}
                history.add(row)
                if watch is not None:
                    if watch.better(row) and watch.rule.restore_best:
                        best = subject.copied()
                    history.stopped = watch.reason
                if callback is not None and callback(history):
                    history.stopped = history.stopped or f"stopped after epoch {epoch} by the callback"
                if path is not None and (epoch % checkpoint_every == 0 or epoch == epochs or history.stopped):
                    write(path, subject, run.optimizer, generators, history, watch, best, repr(batches))
                shown.epoch(row)
    except KeyboardInterrupt:
        history.interrupted = True
        epoch = len(history.get("epoch", ())) + 1
        history.stopped = f"interrupted in epoch {epoch}, after update {history.updates}; the model is as that update left it"
    else:
        if watch is not None and watch.epoch:
            history.best_epoch = watch.epoch
            if best is not None:
                subject.restore(best)
    finally:
        history.params = subject.finish()
        shown.close(history.stopped)
    return history


class _Run:
    """The step and the evaluation of one training, compiled or not."""

    def __init__(self, subject: Subject, optimizer: Optimizer, loss: Callable[..., Any], metrics: Mapping[str, Metric],
                 penalty: Callable[[Any], Any] | None, compiled: bool, axis: int,
                 clip: tuple[float | None, float | None]) -> None:
        self.subject, self.optimizer, self.loss, self.metrics, self.axis = subject, optimizer, loss, metrics, axis
        self.clip_norm, self.clip_value = clip

        def cost(values: Any, buffers: Any, rng: Any, X: Any, targets: Any) -> Any:
            prediction, buffers = subject.call(values, buffers, rng, X)
            J = loss(prediction, *targets)
            if penalty is not None:
                J = J + penalty(subject.view(values))
            return J, (prediction if metrics else None, buffers)

        def predict(values: Any, buffers: Any, X: Any) -> Any:
            return subject.call(values, buffers, None, X)[0]

        self.cost = cost
        step = value_and_grad(cost, has_aux=True)
        self.step: Callable[..., Any] = jit(step) if compiled else step
        self.predict: Callable[..., Any] = jit(predict) if compiled else predict

    def epoch(self, epoch: int, batches: Batches, history: History, shown: Any,
              interrupted: Callable[[], bool]) -> dict[str, float]:
        """One pass over the examples: means of the loss and of the metrics."""
        sums = dict.fromkeys(("loss", *self.metrics), 0.0)
        seen = 0
        for i, batch in enumerate(batches, 1):
            X, *targets = batch if isinstance(batch, tuple) else (batch,)
            now = self._update(X, tuple(targets), epoch, history.updates + 1)
            history.updates += 1
            m = X.shape[min(self.axis, X.ndim - 1)]
            seen += m
            for name, value in now.items():
                sums[name] += value * m
            if shown.due():
                shown.update(epoch, i, now | {"lr": self.optimizer.lr})
            if interrupted():
                raise KeyboardInterrupt
        return {"epoch": epoch} | {name: total / max(seen, 1) for name, total in sums.items()}

    def _update(self, X: Any, targets: tuple[Any, ...], epoch: int, update: int) -> dict[str, float]:
        subject, optimizer = self.subject, self.optimizer
        before = copy.deepcopy(subject.rng) if subject.rng is not None else None
        with np.errstate(all="ignore"):
            results = self._run(self.step, subject.values(), subject.buffers, subject.rng, X, targets)
            (J, (prediction, buffers)), slopes = results
            J = float(J)
            finite = math.isfinite(J) and all(_finite(g) for g in slopes.values())
        if not finite:
            raise self._not_finite(J, X, targets, before, epoch, update)
        for name, t in subject.named.items():
            t.grad = slopes[name]
        if self.clip_value is not None:
            clip_grad_value_(subject.named, self.clip_value)
        if self.clip_norm is not None:
            clip_grad_norm_(subject.named, self.clip_norm)
        optimizer.step()
        subject.buffers = buffers
        return {"loss": J} | {name: float(f(prediction, *targets)) for name, f in self.metrics.items()}

    def _run(self, f: Any, *args: Any) -> Any:
        """f of these arguments. A compiled f is run again where it has just been compiled: the call that compiles it computes
        operation by operation and rounds otherwise, and a resumed run compiles later than an uninterrupted one."""
        if not isinstance(f, Jit):
            return f(*args)
        known, rng = f.misses, self.subject.rng
        state: Any = None if rng is None else rng.bit_generator.state
        try:
            result = f(*args)
        except UnsupportedError as error:
            raise TraceError(f"fit: the step cannot be compiled. {error} Or give compile=False, which runs it operation by "
                             "operation.") from error
        if f.misses == known:
            return result
        if rng is not None:
            rng.bit_generator.state = state
        return f(*args)

    def _not_finite(self, J: float, X: Any, targets: tuple[Any, ...], rng: Any, epoch: int, update: int) -> GradientError:
        """The same update once more, recorded, and where in it the first nan or infinity is."""
        values = {name: Tensor(t.value, name=name) for name, t in self.subject.named.items()}
        with np.errstate(all="ignore"):
            again = self.cost(values, self.subject.buffers, rng, X, targets)[0]
            found = find_nan(again)
        what = f"the cost is {J}" if not math.isfinite(J) else "a gradient is not finite"
        return GradientError(f"fit: {what} in epoch {epoch}, update {update}, on a batch X {X.shape}.\n{found}\nThe parameters "
                             "are those before this update. A smaller rate, clip_norm=1.0, standardised data, or a cost of "
                             "logits (binary_cross_entropy_with_logits, cross_entropy) are the usual remedies.")

    def evaluated(self, batches: Batches) -> dict[str, float]:
        """Loss and metrics of all these examples together, in evaluation."""
        self.subject.mode(training=False)
        try:
            values, parts = self.subject.values(), []
            for batch in batches:
                X = batch[0] if isinstance(batch, tuple) else batch
                with np.errstate(all="ignore"):
                    part = self._run(self.predict, values, self.subject.buffers, X)
                parts.append(part.value if type(part) is Tensor else part)
        finally:
            self.subject.mode(training=True)
        prediction = np.concatenate(parts, axis=min(self.axis, parts[0].ndim - 1)) if parts[0].ndim else np.array(parts)
        targets = [x for x, _ in batches._arrays[1:]]
        asked: dict[str, Metric] = {"loss": self.loss, **self.metrics}
        return {name: float(f(prediction, *targets)) for name, f in asked.items()}


def _finite(g: Any) -> bool:
    flat = np.reshape(g, -1)
    return math.isfinite(np.dot(flat, flat)) or bool(np.isfinite(flat).all())  # finite squares: no second look


# ---------------------------------------------------------------- what is given

def _batches(given: Any, size: int | None, rng: Any, shuffle: bool | None, drop_last: bool, axis: int) -> Batches:
    """Mini-batches of what was given as data."""
    if isinstance(given, Batches):
        return given
    if isinstance(given, DataSet):
        given = (given.X, given.Y)
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise TypeError("fit: data is (X, Y), a data set, or data.batches(X, Y, ...); validation data likewise.")
    X, Y = (x.value if type(x) is Tensor else x for x in given)
    X = np.asarray(X)
    m = X.shape[min(axis, X.ndim - 1)] if X.ndim else 0
    if not m:
        raise ValueError(f"fit: X {X.shape} has no examples along axis {axis}.")
    if shuffle is None and rng is None and size is not None and size < m:
        raise TypeError(f"fit: {m} examples in batches of {size} are shuffled, and need to be told how: give rng=0, or shuffle="
                        "False to keep their order, or batch_size=None to take all at once.")
    if shuffle and rng is None:
        raise TypeError("fit: shuffle=True needs to be told how: give rng=0, or rng=np.random.default_rng(0).")
    if isinstance(Y, list):
        Y = np.asarray(Y)
    shuffled = shuffle is not False and size is not None
    return make_batches(X, Y, size=m if size is None else size, rng=rng if shuffled else None, drop_last=drop_last, axis=axis)


def _metrics(given: Any, loss: Any, axis: int) -> dict[str, Metric]:
    """Metrics by name."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        named: dict[str, Any] = dict(given)
    else:
        several = [given] if isinstance(given, str) or callable(given) else list(given)
        named = {f if isinstance(f, str) else getattr(f, "__name__", "metric"): f for f in several}
    found: dict[str, Metric] = {}
    for name, f in named.items():
        if f == "accuracy":
            f = accuracy_for(loss, axis)
        if not callable(f):
            raise TypeError(f'fit: the metric {name!r} is {f!r}. Write "accuracy", or give a function metric(prediction, Y).')
        found[name] = f
    return found


def accuracy_for(loss: Any, axis: int) -> Metric:
    """The share of right answers: the most probable class, or, with one output per example, the side of 1/2 (0 for logits)."""
    border = 0.0 if loss is binary_cross_entropy_with_logits else 0.5

    def accuracy(prediction: Any, Y: Any) -> float:
        P, Y = np.asarray(prediction), np.asarray(Y)
        classes = 0 if axis == 1 else min(1, P.ndim - 1)
        several = P.ndim > 1 and P.shape[classes] > 1
        if several and Y.ndim == P.ndim and Y.shape[classes] == P.shape[classes]:
            Y = Y.argmax(axis=classes)
        answers = P.argmax(axis=classes) if several else np.greater(P, border)
        if Y.size != answers.size:
            raise ShapeError(f"accuracy: predictions have shape {P.shape}, which is {answers.size} answers, and Y has shape "
                             f"{Y.shape}.")
        return float(np.mean(answers.reshape(-1) == (Y if several else Y > 0.5).reshape(-1)))

    return accuracy


# ---------------------------------------------------------------- Ctrl-C

@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """While it is open the first Ctrl-C is only noted, so that no update is left half made; the second raises at once."""
    asked: list[int] = []

    def note(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    usual = threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    if usual:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(asked)
    finally:
        if usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)
