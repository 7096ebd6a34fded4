"""Examples 12 to 16: each is run once, as a program, and what it says and draws is looked at."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import tinygrad_edu as tg

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
FILES = {int(file.name[:2]): file for file in EXAMPLES.glob("1[2-6]_*.py")}
SHORT = {13: ["--splits", "3"]}
PICTURES = {12: {"descents", "rates"}, 13: {"digits", "softmax_weights"}, 14: {"regularisation"}, 15: {"initialisation"},
            16: {"edges", "filters", "cnn"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@cache
def run(number: int, folder: Path) -> str:
    """What the example prints; its figures go into the folder of its number."""
    done = subprocess.run([sys.executable, "-W", "error", str(FILES[number]), *SHORT.get(number, []), "--plot", str(number)],
                          cwd=folder, text=True, timeout=120, capture_output=True, encoding="utf-8",
                          env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"})
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def example(number: int) -> ModuleType:
    """The example of that number as a module."""
    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))
    return importlib.import_module(FILES[number].stem)


def close(left: object, right: object) -> None:
    np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-12)


def percents(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"([\d.]+)%", text)]


@pytest.mark.parametrize("number", sorted(FILES))
def test_hand_and_autodiff_agree_and_figures_are_saved(number: int, folder: Path) -> None:
    differences = re.findall(r"^  .*\.\d{9} +-?\d+\.\d{9} +(\d\.\de[+-]\d\d)$", run(number, folder), flags=re.MULTILINE)
    assert len(differences) >= 5 and all(float(difference) < 1e-12 for difference in differences)
    assert {p.stem for p in (folder / str(number)).iterdir() if p.read_bytes().startswith(b"\x89PNG")} == PICTURES[number]


@pytest.mark.parametrize("number", sorted(FILES))
def test_usage(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        example(number).main(["--help"])
    assert stop.value.code == 0 and "--plot DIR" in capsys.readouterr().out


def test_without_matplotlib_figures_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    example(12)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    importlib.import_module("figures").save(tmp_path, {"x": (lambda figure: None, (1, 1))})
    assert "matplotlib is not installed" in capsys.readouterr().out and not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", sorted(FILES))
def test_without_scikit_learn(number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    if number in (12, 15):  # these have something to show all the same
        example(number).irises() if number == 12 else example(number).digits()
    else:
        example(number).main([])
    assert "scikit-learn" in capsys.readouterr().out


# ---------------------------------------------------------------- 12. gradient descent


def test_M114_the_gradient_of_three_points(folder: Path) -> None:
    said = run(12, folder)
    assert "∇J = [-12. -28.] on three points, [-2. -2.] of the first of them" in said
    largest, uphill = re.search(r"J grows fastest at (\d+)°; ∇J points to ([\d.]+)°", said).groups()
    assert abs(float(largest) - float(uphill)) <= 0.5


def test_M115_descent_ends_at_the_bottom_of_the_normal_equations(folder: Path) -> None:
    assert float(re.search(r"600 steps with the good rate end (\S+) from it", run(12, folder))[1]) < 1e-8


def test_M116_stochastic_first_step() -> None:
    lines = example(12)
    beta, x, y = np.zeros(2), np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])
    assert tg.grad(lines.half_squares)(beta, x[:1], y[:1]).tolist() == [-2, -2] == lines.by_hand(beta, x[:1], y[:1]).tolist()


def test_M117_batches_of_all_and_of_one_are_batch_and_stochastic_descent(folder: Path) -> None:
    assert "n = N is batch descent: True;  n = 1 is the stochastic one: True" in run(12, folder)


def test_M118_an_epoch_is_a_full_pass_in_a_new_order(folder: Path) -> None:
    said = run(12, folder)
    assert "each epoch has every example once: True, in another order: True" in said
    updates = [int(n) for n in re.findall(r"^  (?:batch|mini-batch|stochastic), n = \w+ +(\d+)", said, flags=re.MULTILINE)]
    assert updates == [1, 15, 150]


def test_M119_mini_batches_are_less_noisy_than_one_and_need_less_memory_than_all(folder: Path) -> None:
    said = run(12, folder)
    measured = [float(v) for v in re.search(r"measured +(.*)", said)[1].split()]
    predicted = [float(v) for v in re.search(r"predicted +(.*)", said)[1].split()]
    np.testing.assert_allclose(measured, predicted, rtol=0.15)
    assert measured == sorted(measured, reverse=True) and measured[0] / measured[3] == pytest.approx(10, rel=0.25)
    kilobytes = dict(re.findall(r"n = (\d+): (\d+) kB", said))
    assert int(kilobytes["10"]) < int(kilobytes["100"]) < int(kilobytes["1797"]) / 5
    lines = example(12)
    x, y = lines.irises()
    beta = np.array([0.3, 0.9])
    apart = [tg.grad(lines.half_squares)(beta, x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
    close(np.sum(apart, axis=0), tg.grad(lines.half_squares)(beta, x, y))


def test_M120_rates_too_small_good_and_too_large(folder: Path) -> None:
    last = [float(v) for v in re.findall(r"at first, (\S+) at last", run(12, folder))]
    assert last[1] < 1e-12 < 0.1 < last[0] < 5 < 1e5 < last[2]


def test_M121_every_descent_starts_at_the_random_point_and_is_drawn() -> None:
    lines = example(12)
    x, y = lines.irises()
    starts = [lines.descend(x, y, 0.1, 1, size)[0] for size in lines.KINDS.values()]
    assert all(np.array_equal(start, lines.random_point()) for start in starts)


def test_12_the_compiled_step_is_faster_and_the_same(folder: Path) -> None:
    ratio, apart = re.search(r"([\d.]+) times as fast; parameters differ by (\S+)", run(12, folder)).groups()
    assert float(ratio) > 1.5 and float(apart) < 1e-12


# ---------------------------------------------------------------- 13. digits


def test_M85_M128_digits_are_told_apart_on_held_out_data(folder: Path) -> None:
    said = run(13, folder)
    rows = [percents(line) for line in re.findall(r"^ +\d   .*%.*$", said, flags=re.MULTILINE)]
    assert len(rows) == 3
    softmax, network = percents(re.search(r"mean .*", said)[0])
    assert softmax >= 97 and network >= 97 and max(rows[0]) >= 98
    assert re.search(r"cost of softmax regression 2\.3026 \(ln 10 = 2\.3026\)", said)
    assert float(re.search(r"add up to 1: largest deviation (\S+)", said)[1]) < 1e-12


def test_M113_rows_are_columns_transposed(rng: np.random.Generator) -> None:
    digits = example(13)
    X, Y = rng.uniform(size=(20, 64)), rng.integers(0, 10, 20)
    p = {"W": rng.standard_normal((64, 10)), "b": rng.standard_normal(10)}

    def columns(W: object, b: object) -> object:
        return tg.cross_entropy(W @ X.T + b, Y, axis=0)

    d = tg.grad(digits.cost)(p, X, Y)
    dW, db = tg.grad(columns, argnums=(0, 1))(p["W"].T.copy(), p["b"][:, None].copy())
    close(d["W"], dW.T)
    close(d["b"], db[:, 0])
    close(digits.cost(p, X, Y), columns(p["W"].T, p["b"][:, None]))


# ---------------------------------------------------------------- 14. regularisation


def test_M76_penalties_dropout_and_stopping_keep_a_network_from_learning_by_heart(folder: Path) -> None:
    rows = {}
    for line in re.findall(r"^  (?:nothing|L2|dropout|stop early).*%$", run(14, folder), flags=re.MULTILINE):
        name = re.match(r"  (nothing|L2, λ = \d|dropout|stop early)", line)[1]
        numbers = [float(v) for v in re.findall(r"(?<=  )\d+\.\d+", line)]
        rows[name] = numbers
    sizes = [rows[name][0] for name in ("nothing", "L2, λ = 1", "L2, λ = 5")]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < sizes[0] / 2
    train, held_out, right, right_held_out = rows["nothing"][1:]
    assert right > 98 and train < held_out / 2
    for name in ("L2, λ = 5", "dropout", "stop early"):
        assert rows[name][-1] > right_held_out + 5, name  # more of the digits it has not seen
        assert rows[name][-2] < right - 4, name  # fewer of the labels to learn from, one in five of which is wrong
        assert rows[name][-3] < held_out, name
    epochs, least, last = re.search(r"least after (\d+) epochs, ([\d.]+); at last it is ([\d.]+)", run(14, folder)).groups()
    assert int(epochs) < 60 and float(least) < 0.8 * float(last)


@pytest.mark.parametrize("penalty", [0.5, 4.0])
def test_M73_M74_M75_the_penalty_and_weight_decay(penalty: float, rng: np.random.Generator) -> None:
    runs = example(14)
    X, Y = rng.uniform(size=(12, 64)), rng.integers(0, 10, 12)
    model = runs.network()
    p = model.parameter_dict()
    plain = tg.grad(lambda p: runs.cost(model, p, X, Y, 12))(p)
    penalised = tg.grad(lambda p: runs.cost(model, p, X, Y, 12, penalty))(p)
    for name, w in p.items():
        close(penalised[name], plain[name] + (penalty / 12 * w if w.ndim == 2 else 0))  # biases are not penalised
        if w.ndim == 2:
            close(w - 0.3 * penalised[name], (1 - 0.3 * penalty / 12) * w - 0.3 * plain[name])


# ---------------------------------------------------------------- 15. initialisation


def test_M70_M71_equal_units_stay_equal(folder: Path) -> None:
    said = run(15, folder)
    rows = {(value, name): (float(largest), float(apart)) for value, name, largest, apart in
            re.findall(r"^  all (\S+) +(\w+) +([\d.]+) +(\S+)", said, flags=re.MULTILINE)}
    assert rows["0.0", "tanh"] == rows["0.0", "ReLU"] == (0, 0)  # weights of zero stay zero
    for name in ("tanh", "ReLU"):
        largest, apart = rows["0.01", name]
        assert largest > 0.03 and apart < 1e-14  # they learn, and stay equal
    assert float(re.search(r"small, 0.01    tanh +[\d.]+ +(\S+)", said)[1]) > 0.01


def test_15_sizes_vanish_from_small_weights_and_stay_from_he_and_xavier(folder: Path) -> None:
    said = run(15, folder)
    parts = re.split(r"the size of A.*|mean \|δ\|, from.*|n Var\(w\).*", said)
    row = re.compile(r"^  (tanh|ReLU) +(zeros|small|Xavier|He)(?:, \S+)? +([-+.\de ]+)$", re.MULTILINE)
    outputs, deltas = ({(a, kind): [float(v) for v in values.split()] for a, kind, values in row.findall(part)}
                       for part in parts[1:3])
    assert len(outputs) == len(deltas) == 8
    for activation, kind in (("tanh", "Xavier"), ("ReLU", "He")):
        for values in (outputs[activation, kind], deltas[activation, kind][:-1]):
            assert max(values) < 2.5 * min(values)
        small = deltas[activation, "small"]
        assert small[-1] > 1e4 * small[0] and outputs[activation, "small"][0] > 1e3 * outputs[activation, "small"][-1]
        assert not any(outputs[activation, "zeros"]) and not any(deltas[activation, "zeros"][:-1])
    costs = {found[:2]: (float(found[2]), float(found[3])) for found in
             re.findall(r"^  (tanh|ReLU) +(zeros|small|Xavier|He).* J +([\d.]+) +([\d.]+)%", said, flags=re.MULTILINE)}
    for activation in ("tanh", "ReLU"):
        for kind in ("zeros", "small"):
            assert costs[activation, kind][0] > 2.29  # nothing learned: ln 10 is guessing
        for kind in ("Xavier", "He"):
            assert costs[activation, kind][0] < 0.2 and costs[activation, kind][1] > 93
    assert costs["ReLU", "He"][0] < costs["ReLU", "Xavier"][0]


# ---------------------------------------------------------------- 16. convolution


def test_M129_a_convolutional_network_reads_digits(folder: Path) -> None:
    said = run(16, folder)
    learned, held_out = percents(re.search(r"right: .*", said)[0])
    assert held_out >= 98 and learned > 98
    assert "weights of 4 filters and biases: 40; of the dense layer that does the same: 9360" in said
    answers = {name.strip(): (float(a), float(b)) for name, a, b in
               re.findall(r"^  ([a-z ]+?) +(-?[\d.]+) +(-?[\d.]+)$", said, flags=re.MULTILINE)}
    assert answers["horizontal edge"] == (0.5, 0) and answers["vertical edge"] == (0, 0.5)


def test_M129_the_gradient_of_a_shared_filter_is_the_sum_over_its_copies(rng: np.random.Generator) -> None:
    images = example(16)
    X = rng.uniform(size=(6, 1, 8, 8))
    W, b = rng.standard_normal((3, 1, 3, 3)), rng.standard_normal(3)
    copies, biases = np.tile(W.reshape(1, 3, 9), (36, 1, 1)), np.tile(b, (36, 1))
    close(images.shared(W, b, X), images.unrolled(copies, biases, X))
    dW, db = tg.grad(images.shared, argnums=(0, 1))(W, b, X)
    d_copies, d_biases = tg.grad(images.unrolled, argnums=(0, 1))(copies, biases, X)
    assert not np.allclose(d_copies[0], d_copies[1])  # each copy sees another place
    close(dW.reshape(3, 9), d_copies.sum(axis=0))
    close(db, d_biases.sum(axis=0))
    M, c = images.dense(W, b)
    close(X.reshape(6, 64) @ M.T + c, tg.conv2d(X, W, b).reshape(6, -1))
