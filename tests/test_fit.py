"""Training: the numbers are those of the loop written by hand, compiled or not, interrupted or not, resumed or not."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import data, nn, optim
from tinygrad_edu.training import EarlyStopping, History
from tinygrad_edu.training import progress as showing

fit = functools.partial(tg.fit, progress=False)
X, Y = data.moons(90, noise=0.1, rng=0)
XC, YC = X.T.copy(), Y.reshape(1, -1).astype(float)


def model_of(*, dropout: bool = False) -> Any:
    extra = [nn.BatchNorm1d(8), nn.Dropout(0.2, rng=5)] if dropout else []
    return nn.Sequential(nn.Linear(2, 8, rng=0), *extra, nn.Tanh(), nn.Linear(8, 2, rng=1))


def first_params() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    layers = [{"W": rng.normal(size=(n, k)), "b": np.zeros((n, 1))} for n, k in ((6, 2), (1, 6))]
    return {"layers": layers, "g": "tanh"}


def network(params: Any, X: Any) -> Any:
    """As the notes write it: an example a column."""
    first, second = params["layers"]
    A1 = getattr(np, params["g"])(first["W"] @ X + first["b"])
    return second["W"] @ A1 + second["b"]


logits_cost = tg.binary_cross_entropy_with_logits


def assert_same(a: Any, b: Any, exactly: bool = True) -> None:
    for name in a:
        if name != "seconds":
            compare = np.testing.assert_array_equal if exactly else functools.partial(np.testing.assert_allclose, rtol=1e-9)
            compare(a[name], b[name], err_msg=name)


# ---------------------------------------------------------------- the same numbers

@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "eager"])
def test_a_model_learns_as_in_the_loop_by_hand(compiled: bool) -> None:
    by_hand, model = model_of(), model_of()
    optimizer, losses = optim.Adam(by_hand, lr=0.02), []
    loader = data.batches(X, Y, size=32, rng=7)
    for _ in range(4):
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            J = tg.cross_entropy(by_hand(x), y)
            J.backward()
            optimizer.step()
            total += float(J) * len(x)
        losses.append(total / 90)
    history = fit(model, (X, Y), tg.cross_entropy, optim.Adam(model, lr=0.02), 4, rng=7, compile=compiled)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-10)
    assert history["epoch"] == [1, 2, 3, 4]
    assert history["lr"] == [0.02] * 4
    assert history.updates == 12
    for (name, p), (_, q) in zip(model.named_parameters(), by_hand.named_parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-8, atol=1e-12, err_msg=name)


def test_a_function_of_parameters_learns_as_in_the_notes() -> None:
    """Batch gradient descent over columns, W := W − α dW."""
    params = first_params()
    kept = tg.tree_map(np.copy, params)
    costs, W = [], params
    step = tg.value_and_grad(lambda p: logits_cost(network(p, XC), YC))
    for _ in range(5):
        J, slopes = step(W)
        W = tg.tree_map(lambda w, dw: w - 0.5 * dw, W, slopes)
        costs.append(float(J))
    descent = optim.functional(optim.SGD, lr=0.5)
    history = fit(network, (XC, YC), logits_cost, descent, 5, params=params, axis=1, batch_size=None)
    np.testing.assert_allclose(history["loss"], costs, rtol=1e-12)
    np.testing.assert_allclose(history.params["layers"][0]["W"], W["layers"][0]["W"], rtol=1e-12)
    assert history.params["g"] == "tanh"
    tg.tree_map(np.testing.assert_array_equal, params, kept)
    assert isinstance(params["layers"][0]["W"], np.ndarray), "what was given is left as it was"


@pytest.mark.parametrize("what", ["model", "function"])
def test_compiled_and_eager_learn_the_same(what: str) -> None:
    """With batch norm, dropout, momentum, a schedule, clipping, a penalty and a smaller last batch."""
    found = []
    for compiled in (True, False):
        options: dict[str, Any] = {"rng": 1, "compile": compiled, "clip_norm": 0.5, "clip_value": 0.3, "metrics": "accuracy"}
        if what == "model":
            model = model_of(dropout=True)
            optimizer = optim.SGD(model, lr=optim.cosine_annealing_lr(0.3, T_max=15), momentum=0.9)
            history = fit(model, (X, Y), tg.cross_entropy, optimizer, 5, penalty=lambda m: 1e-2 * nn.l2(m),
                          validation=(X, Y), **options)
            found.append((history, model.state_dict()))
        else:
            def dropped(params: Any, x: Any, rng: Any = None) -> Any:
                A = np.tanh(params["layers"][0]["W"] @ x + params["layers"][0]["b"])
                return params["layers"][1]["W"] @ tg.dropout(A, 0.2, rng=rng, training=rng is not None)

            history = fit(dropped, (XC, YC), logits_cost, lambda p: optim.RMSprop(p, lr=0.01), 5, params=first_params(), axis=1,
                          penalty=lambda p: 1e-2 * tg.squared_norm(p["layers"][0]["W"]), validation=(XC, YC), **options)
            found.append((history, {"W": history.params["layers"][0]["W"]}))
    assert_same(found[0][0], found[1][0], exactly=False)
    for name in found[0][1]:
        np.testing.assert_allclose(found[0][1][name], found[1][1][name], rtol=1e-8, atol=1e-12, err_msg=name)
    assert found[0][0]["loss"][-1] < found[0][0]["loss"][0]


def test_running_statistics_and_modes() -> None:
    """Batch norm's statistics come back to the model; evaluation uses them and draws nothing; modes are as before."""
    model, by_hand = model_of(dropout=True), model_of(dropout=True)
    before = model.buffer_dict()
    history = fit(model, (X, Y), tg.cross_entropy, optim.SGD(model, lr=0.0), 2, batch_size=30, rng=2, validation=(X, Y))
    after = model.buffer_dict()
    assert any(not np.array_equal(before[name], after[name]) for name in before)
    for _, (x, _) in [(epoch, b) for loader in [data.batches(X, Y, size=30, rng=2)] for epoch in range(2) for b in loader]:
        by_hand(x)
    for name, array in by_hand.buffer_dict().items():
        np.testing.assert_allclose(after[name], array, rtol=1e-12, err_msg=name)
    assert model.training
    model.eval()
    assert history["validation_loss"][-1] == pytest.approx(float(tg.cross_entropy(model(X), Y)), rel=1e-12)
    fit(model, (X, Y), tg.cross_entropy, optim.SGD(model, lr=0.1), 1, rng=0)
    assert not model.training
    assert not model[1].training


def test_parts_in_evaluation_stay_so_and_frozen_parameters_too() -> None:
    model = model_of(dropout=True)
    model[1].eval()
    model[0].requires_grad_(False)
    statistics, frozen = model.buffer_dict(), model[0].weight.data.copy()
    optimizer = optim.Adam([p for p in model.parameters() if p.requires_grad])
    fit(model, (X, Y), tg.cross_entropy, optimizer, 2, rng=0, validation=(X, Y))
    for name, array in model.buffer_dict().items():
        np.testing.assert_array_equal(array, statistics[name])
    np.testing.assert_array_equal(model[0].weight.data, frozen)
    assert not model[1].training
    assert model[2].training


def test_schedules_count_updates() -> None:
    model = model_of()
    history = fit(model, (X, Y), tg.cross_entropy, optim.SGD(model, lr=optim.step_lr(0.4, step_size=3, gamma=0.5)), 3, rng=0)
    assert history["lr"] == [0.2, 0.1, 0.05], "the rate of the update that comes next"


# ---------------------------------------------------------------- saved and resumed

def run(path: Path | None, epochs: int, resume: bool = False, **options: Any) -> tuple[History, Any]:
    model = model_of(dropout=True)
    optimizer = optim.Adam(model, lr=optim.exponential_lr(0.05, gamma=0.98))
    history = fit(model, (X, Y), tg.cross_entropy, optimizer, epochs, rng=3, validation=(X, Y), metrics="accuracy",
                  checkpoint=path, resume=resume, **options)
    return history, model


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_resumed_run_is_an_uninterrupted_one(tmp_path: Path, suffix: str) -> None:
    whole, model = run(None, 6)
    path = tmp_path / f"run{suffix}"
    run(path, 2)
    run(path, 4, resume=True)
    history, other = run(path, 6, resume=True)
    assert history["epoch"] == [1, 2, 3, 4, 5, 6]
    assert_same(whole, history)
    assert history.updates == whole.updates
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array, err_msg=name)
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "no half-written files are left"
    again, _ = run(path, 6, resume=True)
    assert_same(again, history)


def test_resuming_a_function_and_early_stopping(tmp_path: Path) -> None:
    def trained(path: Any, epochs: int, resume: bool) -> History:
        descent = optim.functional(optim.SGD, lr=2.0, momentum=0.9)
        return fit(network, (XC, YC), logits_cost, descent, epochs, params=first_params(), axis=1,
                   rng=np.random.Generator(np.random.MT19937(1)), batch_size=20, early_stopping=EarlyStopping(patience=3),
                   checkpoint=path, resume=resume)

    whole, path = trained(None, 40, False), tmp_path / "run.npz"
    for epochs in (1, 3, 7, 40):
        history = trained(path, epochs, True)
    assert_same(whole, history)
    assert (history.stopped, history.best_epoch) == (whole.stopped, whole.best_epoch)
    np.testing.assert_array_equal(whole.params["layers"][0]["W"], history.params["layers"][0]["W"])
    if history.stopped:
        assert len(trained(path, 60, True)["loss"]) == len(history["loss"]), "what has stopped does not go on"


def test_a_wrong_checkpoint_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    run(path, 1)
    other = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Linear(3, 2, rng=1))
    before = other.state_dict()
    with pytest.raises(tg.errors.NamesError, match="holds other params than are trained"):
        fit(other, (X, Y), tg.cross_entropy, optim.Adam(other), 2, rng=3, checkpoint=path, resume=True)
    for name, array in other.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    model = model_of(dropout=True)
    with pytest.raises(tg.errors.DataError, match=r"batches of 32 from 90 examples.*batches of 45"):
        fit(model, (X, Y), tg.cross_entropy, optim.Adam(model), 2, rng=3, checkpoint=path, resume=True, batch_size=45)
    tg.save(path, {"weights": np.ones(3)})
    with pytest.raises(tg.errors.DataError, match="no checkpoint of fit"):
        fit(model, (X, Y), tg.cross_entropy, optim.Adam(model), 2, rng=3, checkpoint=path, resume=True)
    path.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(tg.errors.DataError):
        fit(model, (X, Y), tg.cross_entropy, optim.Adam(model), 2, rng=3, checkpoint=path, resume=True)
    with pytest.raises(ValueError, match="goes on from a file"):
        fit(model, (X, Y), tg.cross_entropy, optim.Adam(model), 2, rng=3, resume=True)


KILLED = """
import os, sys, pathlib
sys.path.insert(0, {tests!r})
from test_fit import run
def die(history):
    if len(history["epoch"]) == 4:
        os._exit(9)
run(pathlib.Path({path!r}), 6, callback=die)
"""


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    """Another process; it dies in epoch 4 before that epoch's checkpoint."""
    path = tmp_path / "run.npz"
    root = Path(__file__).parent
    env = {**os.environ, "PYTHONPATH": str(root.parent)}
    killed = subprocess.run([sys.executable, "-c", KILLED.format(tests=str(root), path=str(path))], check=False, env=env)
    assert killed.returncode == 9
    assert tg.load(path)["history"]["epoch"].tolist() == [1, 2, 3]
    whole, _ = run(None, 6)
    history, _ = run(path, 6, resume=True)
    assert_same(whole, history, exactly=False)  # another process may lay its memory out otherwise, and round sums so


# ---------------------------------------------------------------- stopping

def test_early_stopping_restores_the_best() -> None:
    values = iter([0.5, 0.7, 0.6, 0.65, 0.7, 0.1])
    seen: list[Any] = []
    model = model_of()

    def score(prediction: Any, Y: Any) -> float:
        return next(values)

    history = fit(model, (X, Y), tg.cross_entropy, optim.SGD(model, lr=0.5), 6, batch_size=None, metrics={"score": score},
                  early_stopping=EarlyStopping("score", patience=2), callback=lambda h: seen.append(model.state_dict()))
    assert len(history["epoch"]) == 5
    assert history.best_epoch == 2
    assert history.stopped == "stopped after epoch 5: score was best, 0.7, in epoch 2"
    np.testing.assert_array_equal(model[0].weight.data, seen[1]["0.weight"])
    values = iter([0.5, 0.7, 0.6, 0.65, 0.7, 0.1])
    history = fit(model, (X, Y), tg.cross_entropy, optim.SGD(model, lr=0.5), 6, batch_size=None, metrics={"score": score},
                  early_stopping=EarlyStopping("score", patience=2, restore_best=False), callback=lambda h: seen.append(
                      model.state_dict()))
    np.testing.assert_array_equal(model[0].weight.data, seen[-1]["0.weight"])
    with pytest.raises(KeyError, match="monitors 'validation_loss', and there are epoch, loss"):
        fit(model, (X, Y), tg.cross_entropy, optim.SGD(model), 2, batch_size=None,
            early_stopping=EarlyStopping("validation_loss"))
    assert EarlyStopping("validation_loss").mode == "min"
    with pytest.raises(ValueError, match="mode='least'"):
        EarlyStopping(mode="least")


def test_a_callback_stops() -> None:
    model = model_of()
    history = fit(model, (X, Y), tg.cross_entropy, optim.SGD(model), 9, rng=0, callback=lambda h: len(h["loss"]) == 3)
    assert len(history["loss"]) == 3
    assert history.stopped == "stopped after epoch 3 by the callback"


@pytest.fixture
def listening() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests run in the background and have inherited that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening")
def test_an_interruption_keeps_the_last_state(tmp_path: Path) -> None:
    """Ctrl-C during an update: the update is finished, the model kept, and the last checkpoint goes on exactly."""
    model, path, calls = model_of(), tmp_path / "run.npz", []

    def metric(prediction: Any, Y: Any) -> float:
        calls.append(1)
        if len(calls) == 8:
            os.kill(os.getpid(), signal.SIGINT)
        return 0.0

    history = fit(model, (X, Y), tg.cross_entropy, optim.Adam(model, lr=0.05), 6, rng=3, metrics=metric, checkpoint=path)
    assert history.interrupted
    assert history.updates == 8
    assert history["epoch"] == [1, 2]
    assert history.stopped is not None
    assert history.stopped.startswith("interrupted in epoch 3, after update 8")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    other = model_of()
    fit(other, data.batches(X, Y, size=32, rng=3), tg.cross_entropy, optim.Adam(other, lr=0.05), 2)
    assert not np.array_equal(other[0].weight.data, model[0].weight.data)
    resumed, whole = model_of(), model_of()
    fit(resumed, (X, Y), tg.cross_entropy, optim.Adam(resumed, lr=0.05), 6, rng=3, checkpoint=path, resume=True)
    fit(whole, (X, Y), tg.cross_entropy, optim.Adam(whole, lr=0.05), 6, rng=3)
    np.testing.assert_array_equal(resumed[0].weight.data, whole[0].weight.data)


@pytest.mark.usefixtures("listening")
def test_a_second_interruption_ends_at_once() -> None:
    model = model_of()

    def impatient(prediction: Any, Y: Any) -> float:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return 0.0

    history = fit(model, (X, Y), tg.cross_entropy, optim.SGD(model), 6, rng=3, metrics=impatient)
    assert history.interrupted
    assert history["epoch"] == [] if "epoch" in history else True


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "eager"])
def test_nan_is_named(compiled: bool) -> None:
    """log of a saturated sigmoid, as in the notes: the error says which node, with its inputs; parameters are kept."""
    params = {"w": np.array([[800.0, 800.0]]), "b": np.zeros((1, 1))}

    def unstable(params: Any, X: Any) -> Any:
        return tg.sigmoid(params["w"] @ X + params["b"])

    def cost(A: Any, Y: Any) -> Any:
        return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))

    with pytest.raises(tg.errors.GradientError) as caught:
        fit(unstable, (XC, YC), cost, optim.functional(optim.SGD, lr=1.0), 3, params=params, axis=1, rng=0, compile=compiled)
    text = str(caught.value)
    assert text.startswith("fit: the cost is nan in epoch 1, update 1, on a batch X (2, 32)."), text
    assert "forward:" in text
    assert "log" in text
    assert "is the first that is not finite" in text
    with pytest.raises(tg.errors.GradientError, match=r"a gradient is not finite in epoch 1, update 1(.|\n)*gradient of w"):
        fit(lambda p, x: np.sqrt(p["w"]), (XC, YC), lambda A, Y: np.sum(A), optim.functional(optim.SGD, lr=0.1), 1,
            params={"w": np.array([0.0, 1.0])}, axis=1, rng=0, compile=compiled)


def test_a_rate_too_large_leaves_the_parameters_before(tmp_path: Path) -> None:
    model = nn.Linear(2, 1, rng=0)
    with pytest.raises(tg.errors.GradientError, match=r"the cost is inf in epoch"), np.errstate(all="ignore"):
        fit(model, (X, YC.T), tg.mse, optim.SGD(model, lr=1e6), 100, batch_size=None)
    assert np.isfinite(model.weight.data).all()


def test_what_cannot_be_compiled_says_so() -> None:
    model = model_of()

    def deciding(Z: Any, y: Any) -> Any:
        return tg.cross_entropy(Z, y) * (1.0 if float(Z[0, 0]) > 0 else 2.0)

    with pytest.raises(tg.errors.TraceError, match=r"cannot be compiled(.|\n)*compile=False"):
        fit(model, (X, Y), deciding, optim.SGD(model), 1, rng=0)
    assert len(fit(model, (X, Y), deciding, optim.SGD(model), 1, rng=0, compile=False)["loss"]) == 1


# ---------------------------------------------------------------- what is given

def test_metrics_and_forms_of_data() -> None:
    model = nn.Sequential(nn.Linear(2, 1, rng=0))

    def mean_output(prediction: Any, Y: Any) -> Any:
        return np.mean(prediction)

    history = fit(model, data.moons(60, rng=0), lambda Z, Y: logits_cost(Z[:, 0], Y.astype(float)), optim.SGD(model, lr=0.5), 2,
                  rng=0, metrics=[mean_output], validation=data.moons(30, rng=1))
    assert list(history) == ["epoch", "loss", "mean_output", "validation_loss", "validation_mean_output", "lr", "seconds"]
    history = fit(model, (X, YC.T), logits_cost, optim.SGD(model, lr=0.5), 30, rng=0, metrics="accuracy", validation=(X, YC.T))
    assert history["validation_accuracy"][-1] == np.mean((model(X).data > 0) == YC.T)
    one_hot = tg.one_hot(Y, 2)
    model = model_of()
    history = fit(model, (X, one_hot), tg.cross_entropy, optim.SGD(model), 1, rng=0, metrics={"right": "accuracy"},
                  validation=(X, Y))
    assert history["validation_right"] == [np.mean(model(X).data.argmax(1) == Y)]
    history = fit(model, data.batches(X, (Y, np.ones(90)), size=30), lambda Z, y, w: tg.mean(tg.cross_entropy(
        Z, y, reduction="none") * w), optim.SGD(model), 2)
    assert history.updates == 6
    assert fit(model, (X, Y), tg.cross_entropy, optim.SGD(model), 0, rng=0) == {}


@pytest.mark.parametrize(("change", "kind", "text"), [
    ({"rng": None}, TypeError, "90 examples in batches of 32 are shuffled.*rng=0, or shuffle=False"),
    ({"rng": None, "shuffle": True}, TypeError, "shuffle=True needs to be told how"),
    ({"data": X}, TypeError, r"data is \(X, Y\)"), ({"data": (X[:0], Y[:0])}, ValueError, "no examples"),
    ({"optimizer": optim.SGD([tg.Tensor(1.0)])}, ValueError, "of which 0 are parameters of Sequential"),
    ({"optimizer": "adam"}, TypeError, "the optimiser is str"),
    ({"model": 3}, TypeError, "int is neither a Module nor a function"),
    ({"model": network}, TypeError, "network is no Module, so its parameters must be given"),
    ({"params": {"W": X}}, TypeError, "holds its parameters itself"), ({"epochs": -1}, ValueError, "not negative"),
    ({"metrics": "precision"}, TypeError, "the metric 'precision'"), ({"progress": "loud"}, ValueError, "progress='loud'"),
    ({"data": (X, Y[:5])}, tg.errors.ShapeError, "90 examples"),
    ({"loss": lambda Z, y: tg.cross_entropy(Z, y, reduction="none")}, tg.errors.TinygradError, r"\(32,\)")])
def test_what_is_wrong_is_said(change: dict[str, Any], kind: type[Exception], text: str) -> None:
    model = model_of()
    given: dict[str, Any] = {"model": model, "data": (X, Y), "loss": tg.cross_entropy, "optimizer": optim.SGD(model),
                             "epochs": 1, "rng": 0, **change}
    with pytest.raises(kind, match=text):
        fit(**given)


def test_a_missing_bar_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(tg.errors.MissingExtraError, match="pip install rich"):
        showing.progress_of("rich", 3, 2)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert type(showing.progress_of(True, 3, 2)) is showing.Bar


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    model = model_of()
    tg.fit(model, (X, Y), tg.cross_entropy, optim.SGD(model, lr=0.1), 200, batch_size=None, metrics="accuracy")
    lines = capsys.readouterr().out.splitlines()
    assert 15 <= len(lines) <= 22
    assert lines[0].startswith("epoch   1/200  loss 0.")
    assert "accuracy 0." in lines[-1]
    assert "rate 0.1" in lines[-1]
    fit(model, (X, Y), tg.cross_entropy, optim.SGD(model, lr=0.1), 3, batch_size=None)
    assert capsys.readouterr().out == ""


def test_the_bar_is_written_over(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "PAUSE", 0.0)
    model = model_of()
    tg.fit(model, (X, Y), tg.cross_entropy, optim.SGD(model, lr=0.1), 4, rng=0, progress="bar",
           callback=lambda h: len(h["loss"]) == 2)
    out = capsys.readouterr().out
    assert out.count("\r") == 2 * 3 + 2
    assert "░ epoch 1/4  loss 0." in out
    assert out.endswith("stopped after epoch 2 by the callback\n")
    assert all(len(part) <= 79 for part in out.replace("\n", "\r").split("\r"))


@pytest.mark.parametrize("name", ["rich", "tqdm"])
def test_bars_of_others(name: str) -> None:
    pytest.importorskip(name)
    model = model_of()
    history = tg.fit(model, (X, Y), tg.cross_entropy, optim.SGD(model, lr=0.1), 3, rng=0, progress=name)
    assert len(history["loss"]) == 3


def test_the_history_draws() -> None:
    pytest.importorskip("matplotlib")
    history = History(epoch=[1, 2], loss=[1.0, 0.5], validation_loss=[1.1, 0.7], accuracy=[0.5, 0.8])
    ax = history.plot()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["loss", "validation loss"]
    assert history.plot("accuracy").get_yscale() == "linear"
    with pytest.raises(KeyError, match="no 'f1'"):
        history.plot("f1")
    assert repr(history) == "<history of 2 epochs: loss 0.5, validation_loss 0.7, accuracy 0.8>"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_are_kept(dtype: Any) -> None:
    model = nn.Sequential(nn.Linear(2, 4, rng=0, dtype=dtype), nn.BatchNorm1d(4, dtype=dtype),
                          nn.Linear(4, 2, rng=1, dtype=dtype))
    fit(model, (X.astype(dtype), Y), tg.cross_entropy, optim.Adam(model), 2, rng=0)
    assert {a.dtype for a in model.state_dict().values() if a.dtype.kind == "f"} == {np.dtype(dtype)}
