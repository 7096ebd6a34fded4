"""The estimators beside scikit-learn's: 5-fold scores and times of fit, to docs/estimators_benchmark.md.

python -m benchmarks.estimators [--rounds 9] [--no-page]

Both learn from the same folds, with the same settings and the same random_state, turn by turn in one process with one BLAS
thread. A time is that of one fit on the first fold's training set; compilation is counted where it happens, in the first
fit of a form, and told apart.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import sklearn.linear_model as their_linear
import sklearn.neural_network as theirs
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from tinygrad_edu import estimators as ours
from tinygrad_edu.estimators import steps

from .report import digits, table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "estimators_benchmark.md"


@dataclass(frozen=True)
class Case:
    """A data set, an estimator and what it is told beyond the defaults."""

    data: str
    load: Callable[..., Any]
    estimator: str
    settings: dict[str, Any] = field(default_factory=dict)
    by: str = "accuracy"


NOTES = {"hidden_layer_sizes": (5, 2), "activation": "logistic", "solver": "lbfgs", "max_iter": 500}
CASES = [
    *[Case(name, load, "MLPClassifier", settings) for name, load in (
        ("digits", load_digits), ("breast cancer", load_breast_cancer), ("iris", load_iris), ("wine", load_wine))
      for settings in ({}, {"solver": "sgd", "learning_rate_init": 0.1}, NOTES)],
    Case("digits", load_digits, "MLPClassifier", {"early_stopping": True}),
    Case("digits", load_digits, "MLPClassifier", {"batch_size": 32, "max_iter": 20}),
    Case("diabetes", load_diabetes, "MLPRegressor", {}, "R²"),
    Case("diabetes", load_diabetes, "MLPRegressor", {"solver": "sgd"}, "R²"),
    Case("diabetes", load_diabetes, "MLPRegressor", {"hidden_layer_sizes": (10,), "solver": "lbfgs", "alpha": 10.0}, "R²"),
    *[Case(name, load, "LogisticRegression") for name, load in (
        ("digits", load_digits), ("breast cancer", load_breast_cancer), ("iris", load_iris), ("wine", load_wine))],
    Case("diabetes", load_diabetes, "LinearRegression", {}, "R²"),
]


def pair(case: Case) -> list[Any]:
    """Ours and scikit-learn's estimator."""
    settings = {**case.settings, **({"random_state": 0} if case.estimator.startswith("MLP") else {})}
    its = theirs if hasattr(theirs, case.estimator) else their_linear
    return [getattr(where, case.estimator)(**settings) for where in (ours, its)]


def measured(case: Case, rounds: int) -> dict[str, Any]:
    """Mean 5-fold scores, and seconds of fit: ours at first, ours then, theirs."""
    X, y = case.load(return_X_y=True)
    scores = [cross_val_score(make_pipeline(StandardScaler(), e), X, y, cv=5).mean() for e in pair(case)]
    part = np.random.default_rng(0).permutation(len(X))[: len(X) * 4 // 5]
    X, y = StandardScaler().fit_transform(X[part]), y[part]
    mine, its = pair(case)
    steps.forget()
    start = time.perf_counter()
    mine.fit(X, y)
    first = time.perf_counter() - start
    times: list[list[float]] = [[], []]
    for i in range(rounds):
        for which in ((0, 1), (1, 0))[i % 2]:
            start = time.perf_counter()
            (mine, its)[which].fit(X, y)
            times[which].append(time.perf_counter() - start)
    ratios = sorted(a / b for a, b in zip(*times, strict=True))
    return {"scores": scores, "first": first, "times": [float(np.median(t)) for t in times], "ratio": float(np.median(ratios)),
            "first_ratio": first / float(np.median(times[1]))}


def told(settings: dict[str, Any]) -> str:
    return ", ".join(f"{k}={v!r}" for k, v in settings.items()) or "the defaults"


def row(case: Case, found: dict[str, Any]) -> list[str]:
    mine, its = found["scores"]
    return [f"{case.data}: {case.estimator}, {told(case.settings)}", f"{mine:.4f}", f"{its:.4f}",
            digits(found["times"][0] * 1e3), digits(found["times"][1] * 1e3),
            f"**{found['ratio']:.2f}**", f"{found['first_ratio']:.2f}"]


HEAD = ["data set, estimator, settings", "score, ours", "scikit-learn's", "fit, ms, ours", "scikit-learn's", "ratio",
        "ratio, first fit"]


def page(rows: list[list[str]], rounds: int) -> str:
    return f"""# The estimators beside scikit-learn's

Made by `python -m benchmarks.estimators`. Scores are means over 5 folds (accuracy; R² for diabetes), with the features
standardised inside each fold, the same folds and `random_state=0` for both. Times are medians of {rounds} fits on four fifths
of the examples, the two taking turns in one process; the ratio is the median over the turns, below 1 where ours is faster.
The last column is the ratio of the very first fit, in which the steps are compiled; further fits of a network of that form,
those of other folds and other values of `alpha` included, find them ready. Where a fit takes a few milliseconds, compiling
is most of the first.

{table(HEAD, rows)}

With adam and sgd both go the same way to within rounding, so the scores are equal. L-BFGS amplifies rounding: after some
tens of iterations the two are at different points, and either may score a little better on data sets of this size.

One BLAS thread; Python {platform.python_version()}, NumPy {np.__version__}, scikit-learn {sklearn.__version__}, \
{platform.machine()}.
"""


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators",
                                     description="The estimators beside scikit-learn's.")
    parser.add_argument("--rounds", type=int, default=9, help="fits of each estimator that are timed")
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument("--realtime", action="store_true", help="preempt other programs, where that is allowed")
    parser.add_argument("--no-page", action="store_true", help="write no page")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    if given.realtime:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # type: ignore[attr-defined, unused-ignore]
    rows = []
    with threadpool_limits(1):
        for case in CASES:
            if given.only in f"{case.data}: {case.estimator}, {told(case.settings)}":
                rows.append(row(case, measured(case, given.rounds)))
                print(" | ".join(rows[-1]), flush=True)
    if not given.no_page and not given.only:
        PAGE.write_text(page(rows, given.rounds), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
