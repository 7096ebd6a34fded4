"""The estimators beside scikit-learn's own: the same numbers from the same random_state, and its own checks."""

from __future__ import annotations

import copy
import subprocess
import sys
import threading
import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

import sklearn.linear_model as their_linear
import sklearn.neural_network as theirs
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_multilabel_classification,
)
from sklearn.exceptions import ConvergenceWarning, SkipTestWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils.estimator_checks import check_estimator

from tinygrad_edu import estimators as ours
from tinygrad_edu.estimators import steps

ESTIMATORS = [ours.MLPClassifier(), ours.MLPRegressor(), ours.LogisticRegression(), ours.LinearRegression()]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
@pytest.mark.filterwarnings("default")
def test_scikit_learns_own_checks_pass(estimator: Any) -> None:
    """Without exceptions listed. Checks that need pandas or array API back ends are skipped where those are missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", SkipTestWarning)
        results = check_estimator(estimator, on_skip=None)
    assert len(results) > 40
    assert {r["status"] for r in results} <= {"passed", "skipped"}
    assert sum(r["status"] == "passed" for r in results) > 40


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor", "LinearRegression"])
def test_settings_and_defaults_are_scikit_learns(name: str) -> None:
    its = getattr(theirs, name, None) or getattr(their_linear, name)
    given, known = getattr(ours, name)().get_params(), its().get_params()
    assert {key: value for key, value in given.items() if key in known} == known, "older releases know fewer settings"


def test_logistic_settings_are_scikit_learns() -> None:
    known = their_linear.LogisticRegression().get_params()
    given = ours.LogisticRegression().get_params()
    assert {"C", "tol", "fit_intercept", "class_weight", "solver", "max_iter"} <= set(known)
    for key in set(known) & set(given) - {"penalty", "l1_ratio"}:
        assert given[key] == known[key] or key in ("random_state",), key


# ---------------------------------------------------------------- the same numbers

def iris() -> tuple[Any, Any]:
    X, y = load_iris(return_X_y=True)
    return scale(X), y


def cancer() -> tuple[Any, Any]:
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y


def labels() -> tuple[Any, Any]:
    return make_multilabel_classification(80, 6, n_classes=3, random_state=0)


def diabetes() -> tuple[Any, Any]:
    X, y = load_diabetes(return_X_y=True)
    return scale(X), scale(y)


def two_targets() -> tuple[Any, Any]:
    X, y = diabetes()
    return X, np.stack([y, y**2], axis=1)


def counts() -> tuple[Any, Any]:
    X, _ = diabetes()
    return X, np.random.default_rng(0).poisson(np.exp(0.3 * X[:, 0])).astype(float)


SETTINGS: list[tuple[str, Any, dict[str, Any]]] = [
    ("MLPClassifier", iris, {"hidden_layer_sizes": (5, 2), "activation": "logistic"}),
    ("MLPClassifier", iris, {"hidden_layer_sizes": (), "batch_size": 32}),
    ("MLPClassifier", cancer, {"activation": "tanh", "batch_size": 50, "alpha": 0.1}),
    ("MLPClassifier", cancer, {"activation": "identity", "shuffle": False, "batch_size": 64}),
    ("MLPClassifier", cancer, {"hidden_layer_sizes": 7, "solver": "sgd", "learning_rate": "invscaling",
                               "learning_rate_init": 0.5}),
    ("MLPClassifier", cancer, {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.2, "tol": 0.01,
                               "n_iter_no_change": 2}),
    ("MLPClassifier", cancer, {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5, "learning_rate_init": 0.1}),
    ("MLPClassifier", cancer, {"early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 3}),
    ("MLPClassifier", iris, {"early_stopping": True, "n_iter_no_change": 3, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-6}),
    ("MLPClassifier", labels, {"hidden_layer_sizes": (6,), "activation": "tanh"}),
    ("MLPRegressor", diabetes, {"hidden_layer_sizes": (8, 8), "batch_size": 100}),
    ("MLPRegressor", diabetes, {"solver": "sgd", "early_stopping": True, "n_iter_no_change": 4}),
    ("MLPRegressor", two_targets, {"hidden_layer_sizes": (5,), "activation": "logistic"}),
]


def both(name: str, settings: dict[str, Any], its: Any = theirs) -> tuple[Any, Any]:
    return getattr(ours, name)(**settings), getattr(its, name)(**settings)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize(("name", "data", "settings"), SETTINGS, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(SETTINGS)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_very_same_course_as_scikit_learns(name: str, data: Any, settings: dict[str, Any], weighted: bool) -> None:
    X, y = data()
    mine, its = both(name, {**settings, "max_iter": 30, "random_state": 4})
    weight = {"sample_weight": np.random.default_rng(1).uniform(0.2, 2, len(X))} if weighted else {}
    mine.fit(X, y, **weight)
    its.fit(X, y, **weight)
    np.testing.assert_allclose(mine.loss_curve_, its.loss_curve_, rtol=1e-7)
    for a, b in zip(mine.coefs_ + mine.intercepts_, its.coefs_ + its.intercepts_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)
    for attribute in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(mine, attribute) == getattr(its, attribute), attribute
    for attribute in ("loss_", "best_loss_", "best_validation_score_", "validation_scores_"):
        a, b = getattr(mine, attribute), getattr(its, attribute)
        assert (a is None) == (b is None), attribute
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-7, err_msg=attribute)
    assert mine.score(X, y) == pytest.approx(its.score(X, y), abs=1e-7)
    if name == "MLPClassifier":
        np.testing.assert_array_equal(mine.classes_, its.classes_)
        np.testing.assert_allclose(mine.predict_proba(X), its.predict_proba(X), atol=1e-7)
        np.testing.assert_allclose(mine.predict_log_proba(X), its.predict_log_proba(X), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("name", "data", "settings"), [
    ("MLPClassifier", iris, {"hidden_layer_sizes": (5, 2), "activation": "logistic", "alpha": 1e-5}),
    ("MLPClassifier", cancer, {"hidden_layer_sizes": (4,), "activation": "tanh"}),
    ("MLPRegressor", diabetes, {"hidden_layer_sizes": (5,), "activation": "logistic"})])
def test_lbfgs_starts_on_scikit_learns_way(name: str, data: Any, settings: dict[str, Any]) -> None:
    """The first iterations agree; later ones part by rounding, as they do between machines."""
    X, y = data()
    mine, its = both(name, {**settings, "max_iter": 10, "random_state": 4, "solver": "lbfgs"})
    with pytest.warns(ConvergenceWarning):
        mine.fit(X, y)
    with pytest.warns(ConvergenceWarning):
        its.fit(X, y)
    assert mine.loss_ == pytest.approx(its.loss_, rel=1e-6)
    assert mine.n_iter_ == its.n_iter_ == 10
    np.testing.assert_allclose(mine.coefs_[0], its.coefs_[0], rtol=1e-4, atol=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_counts_by_the_deviance_of_poisson() -> None:
    X, y = counts()
    mine = ours.MLPRegressor("poisson", (5,), max_iter=40, random_state=0, alpha=0.01).fit(X, y)
    assert (mine.predict(X) > 0).all()
    assert mine.loss_curve_[-1] < mine.loss_curve_[0]
    if "loss" in theirs.MLPRegressor().get_params():
        its = theirs.MLPRegressor("poisson", (5,), max_iter=40, random_state=0, alpha=0.01).fit(X, y)
        np.testing.assert_allclose(mine.loss_curve_, its.loss_curve_, rtol=1e-7)
    with pytest.raises(ValueError, match="counts, and y goes down to -1"):
        ours.MLPRegressor("poisson").fit(X, y - 1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_partial_fit_and_warm_start_go_on_as_scikit_learns() -> None:
    X, y = cancer()
    mine, its = both("MLPClassifier", {"random_state": 1, "hidden_layer_sizes": (6,), "solver": "adam"})
    for estimator in (mine, its):
        estimator.partial_fit(X[:300], y[:300], classes=[0, 1])
        for _ in range(5):
            estimator.partial_fit(X[300:], y[300:])
    np.testing.assert_allclose(mine.coefs_[0], its.coefs_[0], rtol=1e-7, atol=1e-9)
    assert (mine.t_, mine.n_iter_) == (its.t_, its.n_iter_)
    mine, its = both("MLPRegressor", {"random_state": 1, "hidden_layer_sizes": (6,), "warm_start": True, "max_iter": 5})
    for estimator in (mine, its):
        for _ in range(3):
            estimator.fit(X, y)
    np.testing.assert_allclose(mine.loss_curve_, its.loss_curve_, rtol=1e-7)
    assert len(mine.loss_curve_) == 15


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_training_continues_in_a_copy() -> None:
    X, y = iris()
    network = ours.MLPClassifier((4,), random_state=2).partial_fit(X, y, classes=[0, 1, 2])
    other = copy.deepcopy(network)
    network.partial_fit(X, y)
    other.partial_fit(X, y)
    np.testing.assert_array_equal(network.coefs_[0], other.coefs_[0])


def test_partial_fit_only_where_there_are_steps() -> None:
    assert hasattr(ours.MLPClassifier(), "partial_fit")
    assert not hasattr(ours.MLPClassifier(solver="lbfgs"), "partial_fit")
    with pytest.raises(ValueError, match="does not support early_stopping"):
        ours.MLPRegressor(early_stopping=True).partial_fit(*diabetes())
    with pytest.raises(ValueError, match="must be passed on the first call"):
        ours.MLPClassifier().partial_fit(*iris())


# ---------------------------------------------------------------- in scikit-learn's company

@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_pipelines_searches_and_clones() -> None:
    X, y = load_wine(return_X_y=True)
    pipe = make_pipeline(StandardScaler(), ours.MLPClassifier((8,), max_iter=60, learning_rate_init=0.02, random_state=0))
    assert cross_val_score(pipe, X, y, cv=3).mean() > 0.93
    grid = {"mlpclassifier__alpha": [1e-4, 1e-2], "mlpclassifier__activation": ["tanh", "relu"]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.93
    again = clone(search.best_estimator_)
    assert again.get_params()["mlpclassifier__alpha"] == search.best_params_["mlpclassifier__alpha"]
    assert not hasattr(again[-1], "coefs_")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_steps_are_compiled_once_and_lent_to_one_fit_at_a_time() -> None:
    X, y = cancer()
    steps.forget()
    network = ours.MLPClassifier((6,), max_iter=15, random_state=0, batch_size=100)
    network.fit(X, y)
    kept = [made for held in steps._free.values() for _, made in held]
    assert len(kept) == 2, "one for whole batches, one for the rest"
    before = network.coefs_[0].copy()
    clone(network).set_params(random_state=1, alpha=0.5).fit(X, y)
    assert kept == [made for held in steps._free.values() for _, made in held]
    np.testing.assert_array_equal(network.coefs_[0], before, "what was learned is not the step's memory")
    found: dict[int, Any] = {}

    def learn(i: int) -> None:
        found[i] = clone(network).set_params(random_state=i).fit(X, y).coefs_[0]

    threads = [threading.Thread(target=learn, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        alone = clone(network).set_params(random_state=i).fit(X, y).coefs_[0]
        np.testing.assert_array_equal(found[i], alone)
    steps.forget()
    np.testing.assert_array_equal(clone(network).fit(X, y).coefs_[0], before, "the first fit, which compiles, is no exception")


def test_little_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    steps.forget()
    monkeypatch.setattr(steps, "KEPT", 100)
    for name in "abc":
        with steps.lent(name, lambda: np.sin, 40):
            pass
    assert list(steps._free) == ["b", "c"]
    with steps.lent("d", lambda: np.sin, 200) as made:
        assert made(0.0) == 0.0
    with pytest.raises(KeyboardInterrupt), steps.lent("b", lambda: np.sin, 40):
        raise KeyboardInterrupt
    assert list(steps._free) == ["c"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_sparse_and_single_precision() -> None:
    X, y = load_digits(return_X_y=True)
    X, y = X[:300] / 16, y[:300]
    settings = {"hidden_layer_sizes": (10,), "max_iter": 8, "random_state": 0, "batch_size": 64}
    dense = ours.MLPClassifier(**settings).fit(X, y)
    sparse = ours.MLPClassifier(**settings).fit(csr_matrix(X), y)
    np.testing.assert_allclose(dense.coefs_[0], sparse.coefs_[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(dense.predict_proba(X), sparse.predict_proba(csr_matrix(X)), atol=1e-9)
    single = ours.MLPClassifier(**settings).fit(X.astype(np.float32), y)
    assert {w.dtype for w in single.coefs_ + single.intercepts_} == {np.dtype(np.float32)}
    np.testing.assert_allclose(single.coefs_[0], dense.coefs_[0], atol=1e-4)
    assert single.predict_proba(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize(("data", "name", "settings"), [
    (load_digits, "MLPClassifier", {"max_iter": 25}), (load_breast_cancer, "MLPClassifier", {"max_iter": 60}),
    (load_iris, "MLPClassifier", {"learning_rate_init": 0.01}), (load_wine, "MLPClassifier", {"max_iter": 60}),
    (load_diabetes, "MLPRegressor", {"solver": "lbfgs", "alpha": 10.0, "max_iter": 100, "hidden_layer_sizes": (10,)})],
    ids=["digits", "breast cancer", "iris", "wine", "diabetes"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_as_good_as_scikit_learns(data: Any, name: str, settings: dict[str, Any]) -> None:
    """5-fold, scaled: the same networks, so the same scores; scores of iris are counted in steps of 1/150."""
    X, y = data(return_X_y=True)
    mine, its = [cross_val_score(make_pipeline(StandardScaler(), network), X, y, cv=5).mean()
                 for network in both(name, {**settings, "random_state": 0})]
    assert mine >= its - (0.02 if settings.get("solver") == "lbfgs" else 1e-9)


# ---------------------------------------------------------------- linear ones

@pytest.mark.parametrize("settings", [
    {}, {"C": 0.1}, {"fit_intercept": False}, {"class_weight": "balanced"}, {"class_weight": {0: 3.0}},
    {"C": 10.0, "tol": 1e-6}], ids=str)
@pytest.mark.parametrize("data", [iris, cancer])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_logistic_regression_is_scikit_learns(settings: dict[str, Any], data: Any, weighted: bool) -> None:
    X, y = data()
    mine, its = both("LogisticRegression", {"max_iter": 1000, "tol": 1e-8, **settings}, their_linear)
    weight = {"sample_weight": np.random.default_rng(1).uniform(0.2, 2, len(X))} if weighted else {}
    mine.fit(X, y, **weight)
    its.fit(X, y, **weight)
    np.testing.assert_allclose(mine.coef_, its.coef_, atol=2e-3 if settings.get("tol") else 1e-5)
    np.testing.assert_allclose(mine.intercept_, its.intercept_, atol=2e-3 if settings.get("tol") else 1e-5)
    np.testing.assert_allclose(mine.predict_proba(X), its.predict_proba(X), atol=1e-4)
    np.testing.assert_array_equal(mine.predict(X), its.predict(X))
    assert mine.predict_log_proba(X).shape == its.predict_log_proba(X).shape
    assert mine.decision_function(X).shape == its.decision_function(X).shape


@pytest.mark.parametrize("ratio", [1.0, 0.4])
def test_logistic_regression_with_absolute_values(ratio: float) -> None:
    """At the minimum the slope of the smooth part is −strength · sign(w) where w ≠ 0, and no longer than that elsewhere."""
    X, y = cancer()
    C = 0.1
    fitted = ours.LogisticRegression(C=C, l1_ratio=ratio, tol=1e-8, max_iter=5000).fit(X, y)
    w = fitted.coef_[0]
    slope = C * X.T @ (fitted.predict_proba(X)[:, 1] - y) + (1 - ratio) * w
    assert 0 < np.count_nonzero(w) < len(w)
    np.testing.assert_allclose(slope[w != 0], -ratio * np.sign(w[w != 0]), atol=1e-3)
    assert (np.abs(slope[w == 0]) <= ratio + 1e-3).all()
    older = ours.LogisticRegression("elasticnet", C=C, l1_ratio=ratio, tol=1e-8, max_iter=5000).fit(X, y)
    np.testing.assert_allclose(older.coef_, fitted.coef_)


def test_linear_regression_is_scikit_learns() -> None:
    X, y = two_targets()
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X))
    for settings in ({}, {"fit_intercept": False}, {"positive": True}):
        for target in (y, y[:, 0]):
            for sample_weight in (None, weight):
                mine, its = both("LinearRegression", settings, their_linear)
                mine.fit(X, target, sample_weight)
                its.fit(X, target, sample_weight)
                np.testing.assert_allclose(mine.coef_, its.coef_, atol=1e-9)
                np.testing.assert_allclose(mine.intercept_, its.intercept_, atol=1e-9)
                np.testing.assert_allclose(mine.predict(X), its.predict(X), atol=1e-9)
    assert ours.LinearRegression().fit(X, y).rank_ == 10


# ---------------------------------------------------------------- errors, warnings, interruptions

@pytest.mark.parametrize(("settings", "text"), [
    ({"activation": "sigmoid"}, r"MLPClassifier: activation='sigmoid' should be one of 'identity', 'logistic', 'tanh', 'relu'"),
    ({"solver": "newton"}, "solver='newton' should be one of"), ({"alpha": -1.0}, "alpha=-1.0 should be a number from 0 on"),
    ({"batch_size": 0}, "batch_size=0 should be one of 'auto', or a whole number, at least 1"),
    ({"validation_fraction": 1.0}, "should be a number from 0 on, below 1"),
    ({"max_iter": 0}, "max_iter=0 should be a whole number"),
    ({"learning_rate_init": 0.0}, "learning_rate_init=0.0 should be a number above 0"),
    ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes must be > 0"), ({"hidden_layer_sizes": (2.5,)}, "hidden_layer_sizes"),
    ({"hidden_layer_sizes": "relu"}, r"got 'relu': give the units of each hidden layer, \(5, 2\)")])
def test_settings_are_checked(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ours.MLPClassifier(**settings).fit(*iris())


def test_a_change_of_form_is_refused_on_a_warm_start() -> None:
    X, y = iris()
    network = ours.MLPClassifier((4,), warm_start=True, max_iter=500, tol=0.1, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"weights are those of \(4, 4, 3\) units, and now there would be \(4, 5, 3\)"):
        network.set_params(hidden_layer_sizes=(5,)).fit(X, y)
    with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same classes"):
        network.set_params(hidden_layer_sizes=(4,)).fit(X, np.where(y == 2, 1, y))


def test_what_does_not_converge_or_fit_is_said() -> None:
    X, y = iris()
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\)"):
        ours.MLPClassifier((2,), max_iter=2).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="Increase max_iter=3"):
        ours.LogisticRegression(max_iter=3).fit(X, y)
    with pytest.warns(UserWarning, match="clipped: 999 to 150"):
        ours.MLPClassifier((2,), max_iter=500, tol=1.0, batch_size=999).fit(X, y)
    far = ours.MLPRegressor(hidden_layer_sizes=(3,), activation="identity", solver="sgd", learning_rate_init=1e9, max_iter=50)
    with pytest.raises(ValueError, match="non-finite"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        far.fit(X * 1e6, y)


def test_an_interruption_keeps_what_was_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = iris()
    epochs = ours.MLPClassifier._epoch
    done: list[int] = []

    def interrupted(self: Any, *args: Any) -> float:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(1)
        return epochs(self, *args)

    monkeypatch.setattr(ours.MLPClassifier, "_epoch", interrupted)
    with pytest.warns(UserWarning, match="interrupted by user"):
        network = ours.MLPClassifier((3,), random_state=0).fit(X, y)
    assert network.n_iter_ == len(network.loss_curve_) == 3
    assert network.predict(X).shape == y.shape


def test_it_tells_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    X, y = iris()
    ours.MLPClassifier((2,), tol=0.5, n_iter_no_change=1, verbose=True, random_state=0).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Iteration 1, loss = ")
    assert lines[-1] == "Training loss did not improve more than tol=0.500000 for 1 consecutive epochs. Stopping."
    ours.MLPClassifier((2,), solver="lbfgs", tol=0.1, verbose=True, random_state=0).fit(X, y)
    assert capsys.readouterr().out.startswith("Iteration 1, loss = ")


def test_feature_names_are_kept_and_checked() -> None:

    X, y = iris()
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    fitted = ours.LogisticRegression().fit(X, y)
    assert not hasattr(fitted, "feature_names_in_")
    pandas = pytest.importorskip("pandas", reason="the names of columns come from pandas")
    fitted = ours.MLPClassifier((2,), tol=1.0, max_iter=500).fit(pandas.DataFrame(X, columns=names), y)
    assert list(fitted.feature_names_in_) == names


def test_without_scikit_learn_the_install_line_is_given() -> None:
    program = ("import sys\nsys.modules['sklearn'] = None\nimport tinygrad_edu as tg\n"
               "try:\n    tg.estimators\nexcept tg.errors.MissingExtraError as error:\n    print(error)")
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert 'Install it: pip install "tinygrad-edu[examples]"' in run.stdout, run.stderr
