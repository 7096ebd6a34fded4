"""MLPClassifier and MLPRegressor: networks with scikit-learn's names, defaults and course of training.

Started from the same random_state they draw the same weights and the same order of examples as scikit-learn's, and so
learn the same numbers, up to rounding. The gradients are this engine's, and the steps are compiled.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .checks import TRUTH, VERBOSE, check_settings, count, either, number, one_of
from .steps import (
    HIDDEN,
    OUTPUT,
    Form,
    adam_step,
    decayed,
    lent,
    memory_of,
    minimised,
    momentum_step,
    scores,
    slope,
)

SETTINGS = {
    "activation": one_of(*HIDDEN),
    "solver": one_of("lbfgs", "sgd", "adam"),
    "alpha": number(0),
    "batch_size": either(one_of("auto"), count()),
    "learning_rate": one_of("constant", "invscaling", "adaptive"),
    "learning_rate_init": number(0, open_low=True),
    "power_t": number(0),
    "max_iter": count(),
    "shuffle": TRUTH,
    "tol": number(0),
    "verbose": VERBOSE,
    "warm_start": TRUTH,
    "momentum": number(0, 1),
    "nesterovs_momentum": TRUTH,
    "early_stopping": TRUTH,
    "validation_fraction": number(0, 1, open_high=True),
    "beta_1": number(0, 1, open_high=True),
    "beta_2": number(0, 1, open_high=True),
    "epsilon": number(0, open_low=True),
    "n_iter_no_change": count(infinite=True),
    "max_fun": count(),
}
ROWS = 1 << 14  # rows of a sparse matrix that are written out at a time


def _stochastic(estimator: Any) -> bool:
    if estimator.solver in ("sgd", "adam"):
        return True
    raise AttributeError(f"partial_fit is only available for stochastic optimizers, adam and sgd. {estimator.solver} is none.")


def _is_sparse(X: Any) -> bool:
    return hasattr(X, "toarray")


class _Network(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor share: the settings, and the course of training."""

    loss: str = "log_loss"

    def _accept(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        """X as scikit-learn validates it, and y as (m, outputs)."""
        raise NotImplementedError

    def _output(self) -> str:
        raise NotImplementedError

    def _targets(self, y: Any, dtype: Any) -> Any:
        """y (m, outputs) as the cost takes it."""
        return np.ascontiguousarray(y, dtype)

    def _validation_score(self, X: Any, y: Any, weight: Any) -> float:
        raise NotImplementedError

    # -- the course of training

    def _fit(self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False) -> Any:
        check_settings(self, SETTINGS)
        given = self.hidden_layer_sizes
        hidden = list(given) if hasattr(given, "__iter__") and not isinstance(given, str) else [given]
        if any(not isinstance(n, (int, np.integer)) or n < 1 for n in hidden):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {given!r}: give the units of each hidden layer, (5, 2).")
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True: it sees one part of the data at a time.")
        fresh = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        X, y = self._accept(X, y, incremental, fresh)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype)
        if y.ndim == 1:
            y = y.reshape(-1, 1)
        self.n_outputs_ = y.shape[1]
        units = (X.shape[1], *map(int, hidden), y.shape[1])
        self._random_state = check_random_state(self.random_state)
        if fresh:
            self._initialize(units, X.dtype)
        elif units != (known := tuple(W.shape[0] for W in self.coefs_) + (self.coefs_[-1].shape[1],)):
            raise ValueError(f"{type(self).__name__}: the weights are those of {known} units, and now there would be {units}. "
                             "Use warm_start=False, or the same hidden_layer_sizes and targets as before.")
        form = Form(units, self.activation, self.out_activation_)
        if self.solver == "lbfgs":
            self._fit_lbfgs(form, X, y, sample_weight)
        else:
            self._fit_stochastic(form, X, y, sample_weight, incremental)
        if not all(np.isfinite(w).all() for w in (*self.coefs_, *self.intercepts_)):
            raise ValueError("Solver produced non-finite parameter weights. Scale the data (StandardScaler), or lower "
                             f"learning_rate_init={self.learning_rate_init!r}.")
        return self

    def _initialize(self, units: tuple[int, ...], dtype: Any) -> None:
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(units)
        self.out_activation_ = self._output()
        self.coefs_, self.intercepts_ = [], []
        for fan_in, fan_out in pairwise(units):  # as Glorot and Bengio (2010) have it
            bound = np.sqrt((2.0 if self.activation == "logistic" else 6.0) / (fan_in + fan_out))
            self.coefs_.append(self._random_state.uniform(-bound, bound, (fan_in, fan_out)).astype(dtype, copy=False))
            self.intercepts_.append(self._random_state.uniform(-bound, bound, fan_out).astype(dtype, copy=False))
        self.best_loss_: Any = None
        self.best_validation_score_: Any = None
        self.validation_scores_: Any = None
        if self.solver != "lbfgs":
            self.loss_curve_: list[float] = []
            self._stalled = 0
            if self.early_stopping:
                self.validation_scores_, self.best_validation_score_ = [], -np.inf
            else:
                self.best_loss_ = np.inf

    def _packed(self) -> Any:
        return np.concatenate([np.ravel(w) for w in (*self.coefs_, *self.intercepts_)])

    def _unpack(self, form: Form, theta: Any) -> None:
        self.coefs_, self.intercepts_ = form.split(theta)

    def _fit_lbfgs(self, form: Form, X: Any, y: Any, weight: Any) -> None:
        X, Y = X.toarray() if _is_sparse(X) else X, self._targets(y, X.dtype)
        rest = (X, Y, float(self.alpha)) + (() if weight is None else (weight,))
        key = ("slope", form, X.shape[0], X.dtype.char, Y.dtype.char, weight is not None)
        told, latest = 0, np.inf

        def tell(*_at: Any) -> None:
            nonlocal told
            told += 1
            print(f"Iteration {told}, loss = {latest:.8f}")

        with lent(key, lambda: slope(form), memory_of(form, X.shape[0], 8, 2)) as compiled:
            def value_and_slope(theta: Any) -> tuple[float, Any]:
                nonlocal latest
                data, penalty, gradient = compiled(theta, *rest)
                latest = data + penalty
                return latest, gradient

            found = minimised(value_and_slope, self._packed(), self.tol, self.max_iter, self.max_fun,
                              callback=tell if self.verbose else None)
        if found.status != 0:
            warnings.warn(f"lbfgs failed to converge after {found.nit} iteration(s): {found.message}. Increase max_iter="
                          f"{self.max_iter}, or scale the data (StandardScaler).", ConvergenceWarning, stacklevel=4)
        self.n_iter_ = min(int(found.nit), self.max_iter)
        self.loss_ = float(found.fun)
        self._unpack(form, np.array(found.x, X.dtype))

    def _fit_stochastic(self, form: Form, X: Any, y: Any, weight: Any, incremental: bool) -> None:
        stopping = self.early_stopping
        held_out: tuple[Any, ...] = ()
        if stopping:
            X, y, weight, held_out = self._hold_out(X, y, weight)
        m = X.shape[0]
        size = min(200, m) if self.batch_size == "auto" else self.batch_size
        if size > m:
            warnings.warn(f"Got `batch_size` less than 1 or larger than sample size. It is going to be clipped: {size} to {m}.",
                          stacklevel=4)
            size = m
        theta = self._packed()
        if not incremental or not hasattr(self, "_memory"):
            self._memory, self._updates = [np.zeros_like(theta) for _ in range(2 if self.solver == "adam" else 1)], 0
            self._rate = self.learning_rate_init
        self._state = (theta, *self._memory)
        best = theta.copy()
        patience = self.n_iter_no_change
        data = _Data(X, self._targets(y, X.dtype), weight, int(size), self._random_state if self.shuffle else None)
        self.n_iter_ = 0
        with ExitStack() as stack:
            steps = {rows: stack.enter_context(self._compiled(form, data, rows)) for rows in data.sizes}
            try:
                for _ in range(self.max_iter):
                    total = self._epoch(data, steps)
                    self.n_iter_ += 1
                    self.loss_ = total / m
                    self.t_ += m
                    self.loss_curve_.append(self.loss_)
                    if self.verbose:
                        print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
                    if stopping:
                        self._unpack(form, self._state[0])
                        score = self._validation_score(*held_out)
                        self.validation_scores_.append(score)
                        if self.verbose:
                            print(f"Validation score: {score:f}")
                        self._stalled = self._stalled + 1 if score < self.best_validation_score_ + self.tol else 0
                        if score > self.best_validation_score_:
                            self.best_validation_score_, best = score, self._state[0].copy()
                    else:
                        self._stalled = self._stalled + 1 if self.loss_ > self.best_loss_ - self.tol else 0
                        self.best_loss_ = min(self.best_loss_, self.loss_)
                    if self.solver == "sgd" and self.learning_rate == "invscaling":
                        self._rate = self.learning_rate_init / (self.t_ + 1) ** self.power_t
                    if self._stalled > patience:
                        what = "Validation score" if stopping else "Training loss"
                        if self._stops(f"{what} did not improve more than tol={self.tol:f} for {patience} consecutive epochs."):
                            break
                        self._stalled = 0
                    if incremental:
                        break
                else:
                    warnings.warn(f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization "
                                  "hasn't converged yet. Increase max_iter.", ConvergenceWarning, stacklevel=4)
            except KeyboardInterrupt:
                warnings.warn("Training interrupted by user.", stacklevel=4)
            theta, *memory = (np.array(x) for x in self._state)  # copies: the step's own memory goes back with it
        del self._state
        self._memory = memory
        self._unpack(form, best if stopping else theta)

    def _epoch(self, data: _Data, steps: dict[int, Any]) -> float:
        """One pass over the examples; the sum of the batches' costs, each times its number of examples."""
        adam, alpha = self.solver == "adam", float(self.alpha)
        outputs = self.n_outputs_ if self.out_activation_ == "identity" else 1  # squared errors are told as their mean
        total = 0.0
        for rows, X, *rest in data:
            if adam:
                self._updates += 1
                rate = self.learning_rate_init * decayed(self._updates, self.beta_1, self.beta_2)
            else:
                rate = self._rate
            cost, penalty, *self._state = steps[rows](*self._state, X, rest[0], alpha, float(rate), *rest[1:])
            total += (cost / outputs + penalty) * rows
        return float(total)

    def _compiled(self, form: Form, data: _Data, rows: int) -> Any:
        kind = ("adam", self.beta_1, self.beta_2, self.epsilon) if self.solver == "adam" else (
            "sgd", self.momentum, self.nesterovs_momentum)
        names = ("theta", "m", "v") if self.solver == "adam" else ("theta", "v")
        key = (form, kind, rows, data.X.dtype.char, data.Y.dtype.char, data.weight is not None)

        def make() -> Any:
            return (adam_step if self.solver == "adam" else momentum_step)(form, *kind[1:])

        return lent(key, make, memory_of(form, rows, data.X.dtype.itemsize, 3 * len(names)), names)

    def _hold_out(self, X: Any, y: Any, weight: Any) -> tuple[Any, Any, Any, tuple[Any, ...]]:
        """Part of the examples kept for validation."""
        stratify = y if isinstance(self, ClassifierMixin) and self.n_outputs_ == 1 else None
        parts = train_test_split(X, y, *(() if weight is None else (weight,)), random_state=self._random_state,
                                 test_size=self.validation_fraction, stratify=stratify)
        if parts[1].shape[0] < 2:
            raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
        return parts[0], parts[2], parts[4] if weight is not None else None, (
            parts[1], parts[3], parts[5] if weight is not None else None)

    def _stops(self, message: str) -> bool:
        """What follows when nothing improves: the end, or with an adaptive rate a lower one."""
        lower = self.solver == "sgd" and self.learning_rate == "adaptive"
        ends = not lower or self._rate <= 1e-6
        if lower and not ends:
            self._rate /= 5.0
        if self.verbose:
            print(message, "Stopping." if not lower else "Learning rate too small. Stopping." if ends else
                  f"Setting learning rate to {self._rate:f}")
        return ends

    # -- what it says of other examples

    def _scores(self, X: Any) -> Any:
        """The output layer before its activation."""
        form = Form((), self.activation, self.out_activation_)
        if _is_sparse(X):
            return np.concatenate([scores(form, self.coefs_, self.intercepts_, X[i : i + ROWS].toarray())
                                   for i in range(0, X.shape[0], ROWS)])
        return scores(form, self.coefs_, self.intercepts_, X)

    def _outputs(self, X: Any) -> Any:
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return OUTPUT[self.out_activation_](self._scores(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class _Data:
    """The training examples, and each epoch's batches of them: (rows, X, Y) or (rows, X, Y, weight)."""

    def __init__(self, X: Any, Y: Any, weight: Any, size: int, shuffler: Any) -> None:
        self.X, self.Y, self.weight, self.size, self.shuffler = X, Y, weight, size, shuffler
        self.arrays = [X, Y] if weight is None else [X, Y, weight]
        m = X.shape[0]
        self.sizes = {min(size, m), m % size or size}
        self.order = np.arange(m)
        if _is_sparse(X):
            self.arrays[0] = self.X = X.tocsr()
        else:
            self.arrays[0] = np.ascontiguousarray(X)
        moves = shuffler is not None and size < m
        self.shuffled = [None if _is_sparse(x) or not moves else np.empty_like(x) for x in self.arrays]

    def __iter__(self) -> Iterator[Any]:
        m = self.X.shape[0]
        if self.shuffler is not None:
            order = np.arange(m)
            self.shuffler.shuffle(order)
            self.order = self.order[order]
        now = []
        for x, room in zip(self.arrays, self.shuffled, strict=True):
            if room is not None:  # one batch of all examples is the same in any order
                np.take(x, self.order, axis=0, out=room, mode="clip")
            now.append(x if room is None else room)
        for start in range(0, m, self.size):
            part = slice(start, min(start + self.size, m))
            batch = [x[part] for x in now]
            if _is_sparse(self.X):
                batch[0] = self.X[self.order[part] if self.shuffler is not None and self.size < m else part].toarray()
            yield part.stop - start, *batch


class MLPClassifier(ClassifierMixin, _Network):  # type: ignore[misc]
    """A network that tells classes apart, with scikit-learn's settings and attributes: see sklearn.neural_network.

    Its cost is the cross-entropy (softmax for three classes and more, logistic for two, or for several labels at once) with
    alpha/2 · ‖W‖² / m. solver : "adam", "sgd", or "lbfgs" on all examples at once.

    After `fit`: coefs_, intercepts_, classes_, loss_, loss_curve_, best_loss_, n_iter_, t_, n_layers_, n_outputs_,
    out_activation_, n_features_in_, feature_names_in_, and with early_stopping validation_scores_ and
    best_validation_score_.

    >>> from tinygrad_edu.estimators import MLPClassifier
    >>> X, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], ["no", "yes", "yes", "no"]
    >>> network = MLPClassifier(hidden_layer_sizes=(4,), activation="tanh", solver="lbfgs", random_state=1).fit(X, y)
    >>> print(*network.predict(X))
    no yes yes no
    """

    def __init__(self, hidden_layer_sizes: Any = (100,), activation: str = "relu", *, solver: str = "adam",
                 alpha: float = 0.0001, batch_size: Any = "auto", learning_rate: str = "constant",
                 learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200, shuffle: bool = True,
                 random_state: Any = None, tol: float = 1e-4, verbose: Any = False, warm_start: bool = False,
                 momentum: float = 0.9, nesterovs_momentum: bool = True, early_stopping: bool = False,
                 validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8,
                 n_iter_no_change: Any = 10, max_fun: int = 15000) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun

    def _accept(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X, y = validate_data(self, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=(np.float64, np.float32),
                             reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            now = unique_labels(y)
            if self.warm_start and not incremental and set(now) != set(self.classes_):
                raise ValueError("warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                                 f"Previously got {self.classes_}, `y` has {now}")
            if len(np.setdiff1d(now, self.classes_)):
                raise ValueError(f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {now}.")
        return X, self._label_binarizer.transform(y).astype(bool)

    def _output(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _targets(self, y: Any, dtype: Any) -> Any:
        return y.argmax(axis=1) if self.out_activation_ == "softmax" else super()._targets(y, dtype)

    def _validation_score(self, X: Any, y: Any, weight: Any) -> float:
        Z = self._scores(X)
        if not np.isfinite(Z).all():
            return float("nan")
        right = Z.argmax(axis=1) == y.argmax(axis=1) if self.out_activation_ == "softmax" else ((Z > 0) == y).all(axis=1)
        return float(np.average(right, weights=weight))

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPClassifier:
        """Learn from X (m, features) and y (m,), or (m, labels) of 0 and 1; returns itself."""
        self._fit(X, y, sample_weight)
        return self

    @available_if(_stochastic)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """One epoch over these examples, going on from where it is. The first call needs all `classes`."""
        if classes is None and not hasattr(self, "classes_"):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is not None:
            classes = unique_labels(classes)
            if not hasattr(self, "classes_"):
                self._label_binarizer = LabelBinarizer().fit(y if type_of_target(y).startswith("multilabel") else classes)
                self.classes_ = classes
            elif not np.array_equal(self.classes_, classes):
                raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                                 f"{self.classes_!r}")
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Any:
        """The classes of X (m, features)."""
        A = self._outputs(X)
        return self._label_binarizer.inverse_transform(A.ravel() if self.n_outputs_ == 1 else A)

    def predict_proba(self, X: Any) -> Any:
        """The probabilities of the classes, in the order of classes_: (m, classes)."""
        A = self._outputs(X)
        return np.hstack([1 - A, A]) if self.n_outputs_ == 1 else A

    def predict_log_proba(self, X: Any) -> Any:
        """The logarithms of predict_proba."""
        return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, _Network):  # type: ignore[misc]
    """A network that predicts numbers, with scikit-learn's settings and attributes: see sklearn.neural_network.

    loss : "squared_error", half of it, or "poisson", half the deviance, where the network gives the logarithm of what it
    predicts and y ≥ 0. The other settings and attributes are MLPClassifier's.

    >>> from sklearn.datasets import load_diabetes
    >>> from tinygrad_edu.estimators import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X, y = X / X.std(axis=0), (y - y.mean()) / y.std()
    >>> network = MLPRegressor(hidden_layer_sizes=(10,), alpha=1.0, tol=1e-3, max_iter=500, random_state=0).fit(X, y)
    >>> print(bool(network.score(X, y) > 0.45), network.out_activation_)
    True identity
    """

    def __init__(self, loss: str = "squared_error", hidden_layer_sizes: Any = (100,), activation: str = "relu", *,
                 solver: str = "adam", alpha: float = 0.0001, batch_size: Any = "auto", learning_rate: str = "constant",
                 learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200, shuffle: bool = True,
                 random_state: Any = None, tol: float = 1e-4, verbose: Any = False, warm_start: bool = False,
                 momentum: float = 0.9, nesterovs_momentum: bool = True, early_stopping: bool = False,
                 validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8,
                 n_iter_no_change: Any = 10, max_fun: int = 15000) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun

    def _accept(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        check_settings(self, {"loss": one_of("squared_error", "poisson")})
        X, y = validate_data(self, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=True,
                             dtype=(np.float64, np.float32), reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if self.loss == "poisson" and np.any(y < 0):
            raise ValueError(f'MLPRegressor: loss="poisson" counts, and y goes down to {np.min(y):g}. Use "squared_error".')
        return X, y

    def _output(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _validation_score(self, X: Any, y: Any, weight: Any) -> float:
        predicted = OUTPUT[self.out_activation_](self._scores(X))
        return float(r2_score(y, predicted, sample_weight=weight)) if np.isfinite(predicted).all() else float("nan")

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Learn from X (m, features) and y (m,) or (m, outputs); returns itself."""
        self._fit(X, y, sample_weight)
        return self

    @available_if(_stochastic)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """One epoch over these examples, going on from where it is."""
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Any:
        """The numbers for X (m, features): (m,) or (m, outputs)."""
        predicted = self._outputs(X)
        return predicted.ravel() if predicted.shape[1] == 1 else predicted
