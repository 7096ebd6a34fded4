"""The estimators of this package in scikit-learn's tools, beside scikit-learn's own (M112, M128).

    mlp = MLPClassifier(hidden_layer_sizes=(5, 2), activation="logistic")
    mlp.fit(X_train, y_train)
    mlp.predict(X_test)

are the notes' lines. The constructors, settings and attributes are scikit-learn's, the derivatives autodiff's. Shown are one
update by hand (examples in rows, a⁽⁰⁾ = X),

    z⁽ˡ⁾ = a⁽ˡ⁻¹⁾ W⁽ˡ⁾ + b⁽ˡ⁾       δ⁽ᴸ⁾ = ŷ − y       δ⁽ˡ⁾ = δ⁽ˡ⁺¹⁾ W⁽ˡ⁺¹⁾ᵀ ⊙ a⁽ˡ⁾ ⊙ (1 − a⁽ˡ⁾)
    dW⁽ˡ⁾ = 1/m (a⁽ˡ⁻¹⁾ᵀ δ⁽ˡ⁾ + α W⁽ˡ⁾)       db⁽ˡ⁾ = 1/m Σ δ⁽ˡ⁾

the same weights in both packages, which then say the same; a Pipeline, a GridSearchCV, and cross_val_score on five real sets.

Run: python examples/20_sklearn.py [--plot DIR]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from figures import save
from side_by_side import side_by_side
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tinygrad_edu as tg
from tinygrad_edu.estimators import LogisticRegression, MLPClassifier, MLPRegressor

# iris, wine and diabetes are small: lbfgs; the others with Adam, as by default
SETS = {
    "iris": (datasets.load_iris, {"solver": "lbfgs", "hidden_layer_sizes": (10,), "alpha": 0.1, "max_iter": 1000}),
    "wine": (datasets.load_wine, {"solver": "lbfgs", "hidden_layer_sizes": (10,), "alpha": 0.1, "max_iter": 1000}),
    "breast cancer": (datasets.load_breast_cancer, {"hidden_layer_sizes": (20,), "max_iter": 60}),
    "digits": (datasets.load_digits, {"hidden_layer_sizes": (40,), "max_iter": 40}),
    "diabetes (R²)": (datasets.load_diabetes, {"solver": "lbfgs", "hidden_layer_sizes": (5,), "alpha": 30.0, "max_iter": 200}),
}


def update_by_hand(weights, biases, X, Y, alpha: float):
    """The gradients of one batch: squared weights as penalty, logistic hidden layers, softmax at the end; Y one-hot rows."""
    m, a = len(X), [X]
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        a.append(tg.sigmoid(a[-1] @ W + b))
    delta = tg.softmax(a[-1] @ weights[-1] + biases[-1], axis=1) - Y
    dW, db = [], []
    for i in reversed(range(len(weights))):
        dW.append((a[i].T @ delta + alpha * weights[i]) / m)
        db.append(delta.sum(axis=0) / m)
        delta = delta @ weights[i].T * a[i] * (1 - a[i])
    return dW[::-1], db[::-1]


def one_update(X, y, rate: float = 0.5, alpha: float = 0.3):
    """One update of the estimator: the weights before and after, with all examples as one batch."""
    mlp = MLPClassifier(hidden_layer_sizes=(5, 2), activation="logistic", solver="sgd", momentum=0.0, alpha=alpha,
                        learning_rate_init=rate, batch_size=len(X), max_iter=1, random_state=0)
    mlp.partial_fit(X, y, classes=np.unique(y))
    before = [w.copy() for w in mlp.coefs_], [b.copy() for b in mlp.intercepts_]
    mlp.partial_fit(X, y)
    return before, (mlp.coefs_, mlp.intercepts_)


def check(X, y, rate: float = 0.5, alpha: float = 0.3) -> None:
    """The change that an update made, beside the hand formulas; with W := W − rate · dW both ways."""
    before, after = one_update(X, y, rate, alpha)
    dW, db = update_by_hand(*before, X, tg.one_hot(y), alpha)
    rows = [(f"{name}{i + 1}", old - rate * slope, new) for name, olds, slopes, news in
            (("W", before[0], dW, after[0]), ("b", before[1], db, after[1]))
            for i, (old, slope, new) in enumerate(zip(olds, slopes, news, strict=True))]
    side_by_side("one update on iris, the weights after it", *rows, columns=("hand", "estimator"))


def same_weights(X, y) -> None:
    """scikit-learn's weights in our network: the same probabilities, for every activation."""
    rows = []
    for activation in ("identity", "logistic", "tanh", "relu"):
        theirs = neural_network.MLPClassifier((5, 2), activation=activation, max_iter=5, random_state=1)
        ours = MLPClassifier((5, 2), activation=activation, max_iter=5, random_state=2)
        for mlp in (theirs, ours):
            fitted(mlp, X, y)
        ours.coefs_, ours.intercepts_ = theirs.coefs_, theirs.intercepts_
        rows.append((activation, theirs.predict_proba(X), ours.predict_proba(X)))
    side_by_side("scikit-learn's weights in our network, its probabilities", *rows, columns=("scikit-learn", "here"))


def fitted(estimator, X, y):
    """Fit where a few iterations are meant, and not to the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, y)


def cross_validated(kind, X, y, settings):
    """The five scores of 5-fold cross-validation, in a pipeline with standardised features, and the seconds it took."""
    model = make_pipeline(StandardScaler(), kind(random_state=0, **settings))
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores = cross_val_score(model, X, y, cv=5)
    return scores, time.perf_counter() - start


def draw(figure, mlp, X_test, y_test) -> None:
    """The course of training, and which digits are taken for which."""
    left, right = figure.subplots(1, 2)
    tg.plots.cost_curve(mlp[-1].loss_curve_, xlabel="epoch", title="loss_curve_ of the digits", ax=left)
    tg.plots.confusion_matrix(y_test, mlp.predict(X_test), ax=right)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save the plot")
    options = parser.parse_args(argv)

    X, y = datasets.load_iris(return_X_y=True)
    check((X - X.mean(axis=0)) / X.std(axis=0), y)
    same_weights(X, y)

    X, y = datasets.load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
    mlp = MLPClassifier(hidden_layer_sizes=(5, 2), activation="logistic", max_iter=30, random_state=0)
    fitted(mlp, X_train, y_train)
    print(f"\nthe notes' lines on the digits: coefs_ {[W.shape for W in mlp.coefs_]}")
    print(f"  (5, 2) logistic units, 30 epochs: {mlp.score(X_test, y_test):.1%} held out; two units are a narrow place")
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(hidden_layer_sizes=(64,), max_iter=60, random_state=0))
    fitted(pipeline, X_train, y_train)
    print(f"  64 relu units, in a Pipeline with StandardScaler: {pipeline.score(X_test, y_test):.1%}")

    X, y = datasets.load_breast_cancer(return_X_y=True)
    grid = {"mlpclassifier__hidden_layer_sizes": [(5,), (5, 2)], "mlpclassifier__alpha": [0.01, 1.0, 30.0]}
    network = make_pipeline(StandardScaler(), MLPClassifier(solver="lbfgs", max_iter=200, random_state=0))
    search = GridSearchCV(network, grid, cv=3)
    fitted(search, X, y)
    print("\nGridSearchCV on breast cancer: accuracy over 3 folds")
    for settings, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        sizes, alpha = settings["mlpclassifier__hidden_layer_sizes"], settings["mlpclassifier__alpha"]
        print(f"  {sizes!s:<7} α = {alpha:<5g} {score:.3f}{'   best' if settings == search.best_params_ else ''}")
    logistic = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    print(f"  LogisticRegression: {cross_val_score(logistic, X, y, cv=3).mean():.3f}, with a coefficient for each of the "
          f"{logistic[-1].coef_.size} measurements to read")

    print("\ncross_val_score, 5 folds, the same settings: mean ± spread, and seconds")
    print("  set              scikit-learn's MLP          here")
    for name, (load, settings) in SETS.items():
        X, y = load(return_X_y=True)
        pair = (neural_network.MLPRegressor, MLPRegressor) if name.startswith("diabetes") else (
            neural_network.MLPClassifier, MLPClassifier)
        columns = [cross_validated(kind, X, y, settings) for kind in pair]
        print(f"  {name:<15}" + "".join(f"   {scores.mean():.3f} ± {scores.std():.3f}  {seconds:5.2f} s"
                                        for scores, seconds in columns))
    if options.plot:
        save(options.plot, {"sklearn": (lambda figure: draw(figure, pipeline, X_test, y_test), (10.5, 4.4))})


if __name__ == "__main__":
    main()
