"""Examples 17 to 22, each run once as a program, with its figures: what it says, as numbers."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType

import numpy as np
import pytest

import tinygrad_edu as tg

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
FIGURES = {
    "17_rnn_lstm": {"rnn_lstm.png", "unrolled.svg"},
    "18_autoencoder": {"autoencoder.png", "codes.png"},
    "19_gan": {"gan.png", "best_discriminator.png"},
    "20_sklearn": {"sklearn.png"},
    "21_universal_approximation": {"universal_approximation.png"},
    "22_deep_vs_wide": {"folds.png", "rings.png"},
}

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")


def example(name: str) -> ModuleType:
    """The example as a module."""
    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))
    return importlib.import_module(name)


@cache
def said(name: str) -> str:
    """What the example prints as a program, on one line; its tables and figures are checked on the way."""
    directory = Path(mkdtemp())
    run = subprocess.run([sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), "--plot", str(directory / "new")],
                         cwd=directory, text=True, timeout=120, capture_output=True, encoding="utf-8",
                         env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "OPENBLAS_NUM_THREADS": "1"})
    assert run.returncode == 0, run.stderr
    assert not run.stderr
    table = re.findall(r"^  .*  +(\d\.\de[+-]\d\d)$", run.stdout, flags=re.MULTILINE)
    assert table and all(float(difference) < 1e-12 for difference in table)
    assert {file.name for file in (directory / "new").iterdir()} == FIGURES[name]
    assert [path.name for path in directory.iterdir()] == ["new"]  # nothing is written where nobody asked
    for file in (directory / "new").iterdir():
        content = file.read_bytes()
        assert content.startswith(b"\x89PNG") if file.suffix == ".png" else content.rstrip().endswith(b"</svg>")
    return " ".join(run.stdout.split())


def numbers(pattern: str, text: str) -> tuple[float, ...]:
    """The groups of a pattern that is in the text, as numbers."""
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in: {text}"
    return tuple(float(group) for group in found.groups())


@pytest.mark.parametrize("name", FIGURES)
def test_main_takes_arguments(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        example(name).main(["--help"])
    assert stop.value.code == 0
    assert "--plot" in capsys.readouterr().out


# ---------------------------------------------------------------- 17. RNN, LSTM


def test_M130_rnn_forgets_and_lstm_remembers() -> None:
    text = said("17_rnn_lstm")
    vanishing, exploding, shut, through = (numbers(rf"{re.escape(name)} ‖δ¹‖ / ‖δ⁵⁰‖ = ([\d.e+-]+)", text)[0] for name in (
        "RNN, ‖Wₕ‖ = 0.8", "RNN, ‖Wₕ‖ = 2", "LSTM, forget gates half open", "LSTM, forget gates open"))
    assert vanishing < 1e-4 and shut < 1e-8 and exploding > 1e3 and 0.1 < through < 10
    assert numbers(r" 10 (\d+)% (\d+)% ", text) == (100, 100)  # ten places are no difficulty for either
    plain, long = numbers(r" 50 (\d+)% (\d+)% ", text)
    assert plain < 32 and long > 98
    assert numbers(r"asked after 100: (\d+)%", text)[0] > 95


def test_M130_backpropagation_through_time_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip in the hand formula is not let through: the gradient of the last place alone."""
    module = example("17_rnn_lstm")

    def last_place(*arguments: np.ndarray) -> tuple[np.ndarray, ...]:
        *weights, X, Y = arguments
        right = module.rnn_by_hand(*weights, X, Y)
        return (0.5 * right[0], *right[1:])

    with pytest.raises(AssertionError, match="dWx"):
        module.check(tg.nn.RNN, last_place)


def test_M130_unrolled_graph_uses_one_weight_three_times() -> None:
    J = example("17_rnn_lstm").small_graph()
    assert str(tg.formulas(J)).count("wh") >= 3
    slope = tg.grad(lambda wh: np.tanh(1.4 + wh * np.tanh(-0.7 + wh * np.tanh(0.45) + 0.1) + 0.1) ** 2)(0.9)
    from tinygrad_edu.show.names import nodes_of

    (wh,) = [node for node in nodes_of(J) if node.name == "wh"]
    assert wh.grad == pytest.approx(slope, rel=1e-12)


# ---------------------------------------------------------------- 18. autoencoders


def test_M131_linear_autoencoder_reaches_pca_and_tanh_beats_it() -> None:
    text = said("18_autoencoder")
    assert numbers(r"J of the linear autoencoder [\d.]+, (-?[\d.]+)% above", text)[0] < 0.1  # the row asks for 1
    assert numbers(r"smallest cosine between the two spaces is ([\d.]+)", text)[0] > 0.999
    pca, linear, tanh = (numbers(rf"{name} [\d.]+ ([\d.]+)", text)[0] for name in (
        "J held out PCA", "linear autoencoder(?= \\d)", "tanh autoencoder(?= \\d)"))
    assert linear == pytest.approx(pca, rel=1e-2) and tanh < 0.8 * pca


def test_M131_least_error_of_pca() -> None:
    """Half the squares of the other singular values, by m: what projecting on the components leaves."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6, 20))
    U, least = example("18_autoencoder").principal_components(X, 2)
    assert least == pytest.approx(0.5 * np.sum((U @ U.T @ X - X) ** 2) / 20, rel=1e-12)


def test_M133_layers_trained_one_by_one_reach_what_all_at_once_do_not() -> None:
    text = said("18_autoencoder")
    flat, at_once, layered, tuned = numbers(
        r"mean picture for all ([\d.]+); trained at once ([\d.]+); layer by layer ([\d.]+), and then as a whole ([\d.]+)", text)
    assert tuned < layered < 0.7 * flat < at_once


# ---------------------------------------------------------------- 19. GAN


def test_M132_gan_reaches_mean_and_spread() -> None:
    text = said("19_gan")
    assert numbers(r"at first (-?[\d.]+)", text)[0] < 1
    mean, deviation = numbers(r"at last ([\d.]+) ([\d.]+)", text)
    assert abs(mean - 4) < 0.25 and abs(deviation - 0.5) < 0.2
    J_D, J_G = numbers(r"J_D = ([\d.]+) .* J_G = ([\d.]+)", text)
    assert abs(J_D - 2 * np.log(2)) < 0.05 and abs(J_G - np.log(2)) < 0.05


def test_M132_best_discriminator_is_the_ratio_of_densities() -> None:
    assert numbers(r"mean difference from x = 2 to 5: ([\d.]+)", said("19_gan"))[0] < 0.03


def test_M132_two_backward_passes_and_detach() -> None:
    """The discriminator's pass leaves the generator alone; the generator's goes through the same G(z) afterwards."""
    gan = example("19_gan")
    gan.check()
    start, x, z = gan.small()
    whole = tg.grad(lambda p: gan.discriminator_cost(gan.discriminator(p, x), gan.discriminator(p, p["a"] @ z + p["b"])))(start)
    assert np.any(whole["a"])  # without detach it would reach it
    assert np.allclose(whole["w1"], gan.discriminator_by_hand(start, x, z)[0], rtol=1e-12, atol=1e-12)


def test_M132_minimax_slope_dies_where_the_generator_is_worst() -> None:
    gan = example("19_gan")
    u = np.array([[-20.0]])
    assert abs(tg.grad(gan.minimax_cost)(u).item() + tg.sigmoid(-20.0)) < 1e-15
    assert abs(tg.grad(gan.generator_cost)(u).item() - (tg.sigmoid(-20.0) - 1)) < 1e-15


# ---------------------------------------------------------------- 20. scikit-learn


def test_M112_M128_estimators_beside_scikit_learn() -> None:
    text = said("20_sklearn")
    assert "coefs_ [(64, 5), (5, 2), (2, 10)]" in text
    assert numbers(r"in a Pipeline with StandardScaler: ([\d.]+)%", text)[0] > 94
    assert text.count(" best") == 1  # of the grid search
    for name in ("iris", "wine", "breast cancer", "digits", r"diabetes \(R²\)"):
        theirs, ours = numbers(rf" {name} ([\d.]+) ± [\d.]+ +[\d.]+ s +([\d.]+) ±", text)
        assert ours > theirs - 0.015, name


def test_M112_an_update_without_penalty_is_told_apart() -> None:
    module = example("20_sklearn")
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 4)), np.arange(30) % 3
    before, after = module.one_update(X, y, 0.5, 0.3)
    dW, _ = module.update_by_hand(*before, X, tg.one_hot(y), 0.3)
    bare, _ = module.update_by_hand(*before, X, tg.one_hot(y), 0.0)
    assert np.allclose(before[0][0] - 0.5 * dW[0], after[0][0], rtol=1e-12, atol=1e-12)
    assert not np.allclose(before[0][0] - 0.5 * bare[0], after[0][0], rtol=1e-6, atol=1e-6)


# ---------------------------------------------------------------- 21. universal approximation


def test_M105_steps_are_off_by_half_a_stair() -> None:
    module = example("21_universal_approximation")
    for f in module.FUNCTIONS.values():
        errors = [module.staircase_error(f, n) for n in (20, 40, 80)]
        for n, error in zip((20, 40, 80), errors, strict=True):
            assert 0.5 * module.half_a_stair(f, n) < error < module.half_a_stair(f, n)
        assert errors[0] / errors[2] == pytest.approx(4, rel=0.05)  # as 1/n


def test_M105_wider_networks_learn_to_be_closer() -> None:
    text = said("21_universal_approximation")
    units, steps = numbers(r"sin is followed to 0.05 by (\d+) tanh units, and needs (\d+) steps", text)
    assert units <= 20 < steps  # the row asks for at most 20
    one, ten = (numbers(rf"tanh units .* {n} ([\d.]+) \(.*tanh units", text)[0] for n in (1, 10))
    assert ten < 0.05 < 0.5 < one


# ---------------------------------------------------------------- 22. deep against wide


def test_M100_parity_by_pairs_and_flat() -> None:
    module = example("22_deep_vs_wide")
    for n in (2, 4, 8):
        x = np.array(list(np.ndindex(*(2,) * n)), dtype=float).T
        ways = module.parity_by_pairs, module.parity_of_ands, module.parity_by_counting
        for way, units in zip(ways, (3 * (n - 1), 2 ** (n - 1) + 1, n + 1), strict=True):
            answer, needed = way(x)
            assert np.array_equal(answer[0], x.sum(axis=0) % 2) and needed == units


def test_M100_folds_have_twice_as_many_pieces_with_each_layer() -> None:
    module = example("22_deep_vs_wide")
    for k in (1, 3, 7):
        assert module.pieces(lambda x, k=k: module.network(module.folds(k), x)) == 2**k
    rng = np.random.default_rng(0)
    flat = module.start([1, 12, 1], rng)
    assert module.pieces(lambda x: module.network(flat, x)) <= 13


def test_M100_same_parameters_deep_and_wide() -> None:
    text = said("22_deep_vs_wide")

    def errors(task: str) -> dict[int, float]:
        rows = re.search(rf"{task}, [^(]*?held out((?: \d hidden × \d+ units, \d+ parameters [\d.]+ \([\d., ]+\))+)", text)[1]
        sizes = [int(size) for size in re.findall(r"(\d+) parameters", rows)]
        assert max(sizes) < 1.15 * min(sizes)
        return {int(depth): float(error) for depth, error in re.findall(r"(\d) hidden .*? parameters ([\d.]+)", rows)}

    rings, product, digits = errors("rings in a cube"), errors("a product of four numbers"), errors("digits")
    assert rings[4] < 0.25 < 0.8 < rings[1]
    assert all(0.02 < error < 0.2 for error in product.values())  # no difference to speak of
    assert digits[1] < 0.03 and digits[1] <= digits[4]  # here wide is better
