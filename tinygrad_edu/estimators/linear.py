"""LogisticRegression and LinearRegression, with scikit-learn's names and results."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .. import ops
from .checks import TRUTH, VERBOSE, check_settings, count, either, number, one_of
from .networks import _is_sparse
from .steps import Form, lent, memory_of, minimised, slope


def _dense(X: Any) -> Any:
    return X.toarray() if _is_sparse(X) else X


class LogisticRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A linear classifier by the cross-entropy, logistic for two classes and softmax for more, as in sklearn.linear_model.

    It minimises the mean loss + penalty / (C m), with the penalty (1 − l1_ratio)/2 ‖w‖² + l1_ratio ‖w‖₁ on the weights, not
    on the intercepts. C=np.inf leaves it out. `penalty` says the same in the older way: "l2", "l1", "elasticnet" or None.

    solver : "lbfgs", for every penalty: with an absolute value in it, w is the difference of two parts that are not
    negative, and the cost is smooth in them. dual, intercept_scaling and n_jobs are accepted and change nothing here.

    After `fit`: coef_ (1 or classes, features), intercept_, classes_, n_iter_, n_features_in_, feature_names_in_.

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> from tinygrad_edu.estimators import LogisticRegression
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> print(f"{LogisticRegression().fit(scale(X), y).score(scale(X), y):.3f}")
    0.988
    """

    def __init__(self, penalty: Any = "deprecated", *, C: float = 1.0, l1_ratio: float = 0.0, dual: bool = False,
                 tol: float = 1e-4, fit_intercept: bool = True, intercept_scaling: float = 1, class_weight: Any = None,
                 random_state: Any = None, solver: str = "lbfgs", max_iter: int = 100, verbose: Any = 0,
                 warm_start: bool = False, n_jobs: Any = None) -> None:
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.dual = dual
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.random_state = random_state
        self.solver = solver
        self.max_iter = max_iter
        self.verbose = verbose
        self.warm_start = warm_start
        self.n_jobs = n_jobs

    def _penalties(self) -> tuple[float, float]:
        """The factors of ‖w‖²/2 and of ‖w‖₁ in the sum over examples."""
        check_settings(self, {
            "penalty": one_of("deprecated", "l1", "l2", "elasticnet", None), "C": number(0, open_low=True),
            "l1_ratio": either(number(0, 1), one_of(None)), "tol": number(0, open_low=True), "fit_intercept": TRUTH,
            "dual": one_of(False), "solver": one_of("lbfgs"), "max_iter": count(0), "verbose": VERBOSE, "warm_start": TRUTH,
            "class_weight": (lambda w: w is None or isinstance(w, dict) or (isinstance(w, str) and w == "balanced"),
                             'None, "balanced" or a dict')})
        share = {"l1": 1.0, "l2": 0.0, None: 0.0}.get(self.penalty, self.l1_ratio or 0.0)
        strength = 0.0 if self.penalty is None else 1.0 / self.C
        return strength * (1 - share), strength * share

    def _weights(self, index: Any, sample_weight: Any, dtype: Any) -> Any:
        """A weight for each example, or None where all are alike."""
        if self.class_weight is None:
            return sample_weight
        given = np.ones(len(index), dtype) if sample_weight is None else sample_weight
        if isinstance(self.class_weight, dict):
            unknown = [label for label in self.class_weight if label not in self.classes_]
            if len(unknown) == len(self.class_weight) and unknown:
                raise ValueError(f"LogisticRegression: class_weight names {unknown}, and the classes are "
                                 f"{self.classes_.tolist()}.")
            factors = np.array([self.class_weight.get(label, 1.0) for label in self.classes_.tolist()])
        else:
            factors = given.sum() / (len(self.classes_) * np.bincount(index, weights=given, minlength=len(self.classes_)))
        return given * factors[index].astype(dtype)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LogisticRegression:
        """Learn from X (m, features) and y (m,); returns itself."""
        smooth, absolute = self._penalties()
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=(np.float64, np.float32), order="C")
        check_classification_targets(y)
        X = _dense(X)
        self.classes_, index = np.unique(y, return_inverse=True)
        classes = len(self.classes_)
        if classes < 2:
            raise ValueError("This solver needs samples of at least 2 classes in the data, but the data contains only one "
                             f"class: {self.classes_[0]!r}")
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype)
        weight = self._weights(index, sample_weight, X.dtype)
        rows, columns = (1 if classes == 2 else classes), X.shape[1]
        form = Form((columns, rows), "identity", "logistic" if rows == 1 else "softmax")
        Y = index.reshape(-1, 1).astype(X.dtype) if rows == 1 else index
        start = np.zeros(form.size)
        before = getattr(self, "coef_", None)
        if self.warm_start and before is not None and before.shape == (rows, columns):
            start[: form.weights], start[form.weights :] = before.T.ravel(), getattr(self, "intercept_", 0.0)
        total = float(len(X) if weight is None else weight.sum())
        rest = (X, Y, smooth) + (() if weight is None else (weight,))
        key = ("slope", form, X.shape[0], X.dtype.char, Y.dtype.char, weight is not None)
        with lent(key, lambda: slope(form), memory_of(form, len(X), 8, 2)) as compiled:
            def cost(theta: Any) -> tuple[float, Any]:
                data, penalty, gradient = compiled(theta, *rest)
                if not self.fit_intercept:
                    gradient[form.weights :] = 0.0
                return data + penalty, gradient

            theta, found = self._minimum(cost, start, form.weights, absolute / total)
        if found.status != 0:
            warnings.warn(f"lbfgs failed to converge after {found.nit} iteration(s): {found.message}. Increase max_iter="
                          f"{self.max_iter}, or scale the data (StandardScaler).", ConvergenceWarning, stacklevel=2)
        self.coef_ = np.ascontiguousarray(theta[: form.weights].reshape(columns, rows).T, X.dtype)
        self.intercept_ = np.array(theta[form.weights :], X.dtype)
        self.n_iter_ = np.array([min(int(found.nit), self.max_iter)], dtype=np.int32)
        return self

    def _minimum(self, cost: Any, start: Any, weights: int, absolute: float) -> tuple[Any, Any]:
        """The parameters at the minimum of cost + absolute · ‖w‖₁, w the first `weights` of them, and SciPy's answer."""
        tell = (lambda *_at: print(".", end="", flush=True)) if self.verbose else None
        limits: dict[str, Any] = {"maxls": 50, "ftol": 64 * np.finfo(float).eps}
        if not absolute:
            found = minimised(cost, start, self.tol, self.max_iter, 15000, callback=tell, **limits)
            return found.x, found

        def joined(parts: Any) -> Any:
            return np.concatenate([parts[:weights] - parts[weights : 2 * weights], parts[2 * weights :]])

        def cost_of_parts(parts: Any) -> tuple[float, Any]:
            J, slopes = cost(joined(parts))
            dw = slopes[:weights]
            return J + absolute * parts[: 2 * weights].sum(), np.concatenate([dw + absolute, absolute - dw, slopes[weights:]])

        w = start[:weights]
        parts = np.concatenate([np.maximum(w, 0), np.maximum(-w, 0), start[weights:]])
        bounds = [(0, None)] * (2 * weights) + [(None, None)] * (len(start) - weights)
        found = minimised(cost_of_parts, parts, self.tol, self.max_iter, 15000, bounds=bounds, callback=tell, **limits)
        return joined(found.x), found

    def decision_function(self, X: Any) -> Any:
        """The scores before the softmax (m, classes), or for two classes before the sigmoid, (m,)."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False)
        Z = X @ self.coef_.T + self.intercept_
        return Z.ravel() if Z.shape[1] == 1 else Z

    def predict(self, X: Any) -> Any:
        """The classes of X (m, features)."""
        Z = self.decision_function(X)
        return self.classes_[(Z > 0).astype(int) if Z.ndim == 1 else Z.argmax(axis=1)]

    def predict_proba(self, X: Any) -> Any:
        """The probabilities of the classes, in the order of classes_: (m, classes)."""
        Z = self.decision_function(X)
        return np.stack([ops.sigmoid(-Z), ops.sigmoid(Z)], axis=1) if Z.ndim == 1 else ops.softmax(Z)

    def predict_log_proba(self, X: Any) -> Any:
        """The logarithms of predict_proba, computed from the scores, so that none is −inf."""
        Z = self.decision_function(X)
        return np.stack([ops.log_sigmoid(-Z), ops.log_sigmoid(Z)], axis=1) if Z.ndim == 1 else ops.log_softmax(Z)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class LinearRegression(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Least squares, solved exactly, as in sklearn.linear_model.

    It is LAPACK's answer, of least length where many fit equally well. positive=True keeps the coefficients from being
    negative. copy_X, tol and n_jobs are accepted; the arithmetic does not need them.

    After `fit`: coef_ (features,) or (targets, features), intercept_, rank_, singular_, n_features_in_, feature_names_in_.

    >>> from tinygrad_edu.estimators import LinearRegression
    >>> line = LinearRegression().fit([[1.0], [2.0], [3.0]], [3.0, 5.0, 7.0])
    >>> print(line.coef_.round(6), round(line.intercept_, 6))
    [2.] 1.0
    """

    def __init__(self, *, fit_intercept: bool = True, copy_X: bool = True, tol: float = 1e-6, n_jobs: Any = None,
                 positive: bool = False) -> None:
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.tol = tol
        self.n_jobs = n_jobs
        self.positive = positive

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LinearRegression:
        """Learn from X (m, features) and y (m,) or (m, targets); returns itself."""
        check_settings(self, {"fit_intercept": TRUTH, "copy_X": TRUTH, "tol": number(0), "positive": TRUTH})
        X, y = validate_data(self, X, y, accept_sparse="csr", y_numeric=True, multi_output=True, dtype=(np.float64, np.float32))
        X, y = _dense(X), y.astype(X.dtype)
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=X.dtype)
        X_mean = np.average(X, axis=0, weights=weight) if self.fit_intercept else np.zeros(X.shape[1], X.dtype)
        y_mean = np.average(y, axis=0, weights=weight) if self.fit_intercept else np.zeros(y.shape[1:], X.dtype)
        A, b = X - X_mean, y - y_mean
        if weight is not None:
            root = np.sqrt(weight)[:, None]
            A, b = root * A, (root * b if b.ndim == 2 else root[:, 0] * b)
        if self.positive:
            from scipy.optimize import nnls

            self.coef_ = np.stack([nnls(A, column)[0] for column in b.reshape(len(b), -1).T]).reshape(
                y.shape[1:] + (X.shape[1],)).astype(X.dtype)
        else:
            solution, _, self.rank_, self.singular_ = np.linalg.lstsq(A, b, rcond=None)
            self.coef_ = np.ascontiguousarray(solution.T)
        self.intercept_ = y_mean - self.coef_ @ X_mean if self.fit_intercept else 0.0
        return self

    def predict(self, X: Any) -> Any:
        """The numbers for X (m, features): (m,) or (m, targets)."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False)
        return X @ self.coef_.T + self.intercept_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        return tags
