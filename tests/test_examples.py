"""The examples run, as programs and as modules, and say what they should."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
FILES = sorted(EXAMPLES.glob("[0-9][0-9]_*.py"))
SHORT = {2: ["--iterations", "30"], 4: ["--iterations", "600"], 5: ["--iterations", "300"]}


def number(file: Path) -> int:
    return int(file.name[:2])


def example(which: int) -> ModuleType:
    """The example of that number as a module."""
    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))
    (file,) = [file for file in FILES if number(file) == which]
    return importlib.import_module(file.stem)


# those that print derivatives by hand beside autodiff's
WITH_TABLES = [file for file in FILES if number(file) in (1, 2, 3, 4, 5, 6, 7, 8, 10, 11)]


def test_all_are_here() -> None:
    assert [number(file) for file in FILES[:7]] == [1, 2, 3, 4, 5, 6, 7]
    listed = re.findall(r"\[(\d\d_\w+\.py)\]\(\1\)", (EXAMPLES / "README.md").read_text(encoding="utf-8"))
    assert listed == [file.name for file in FILES]


@pytest.mark.parametrize("file", WITH_TABLES, ids=lambda file: file.stem)
def test_runs_as_a_program(file: Path, tmp_path: Path) -> None:
    arguments = SHORT.get(number(file), [])
    if number(file) in (1, 6):
        arguments = ["--plot", str(tmp_path / "pictures")]
    run = subprocess.run([sys.executable, "-W", "error", str(file), *arguments], cwd=tmp_path, text=True, timeout=60,
                         capture_output=True, encoding="utf-8",
                         env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"})
    assert run.returncode == 0, run.stderr
    assert not run.stderr
    table = re.findall(r"^  .*  +(\d\.\de[+-]\d\d)$", run.stdout, flags=re.MULTILINE)
    assert table and all(float(difference) < 1e-12 for difference in table)
    left = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path.parts[0] == "pictures" for path in left), left  # nothing is written where nobody asked


@pytest.mark.parametrize("file", WITH_TABLES, ids=lambda file: file.stem)
def test_main_takes_arguments(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        example(number(file)).main(["--help"])
    assert stop.value.code == 0
    usage = capsys.readouterr().out
    assert ("--plot" in usage) == (number(file) in (1, 2, 4, 6, 10, 11))
    assert ("--iterations" in usage) == (number(file) in SHORT)


def test_a_wrong_derivative_is_not_let_through() -> None:
    side_by_side = example(1).side_by_side
    side_by_side("right", ("dw", np.ones((2, 1)), np.ones((2, 1)) + 1e-13))
    with pytest.raises(AssertionError, match="dw"):
        side_by_side("wrong", ("dw", np.ones((2, 1)), np.array([[1.0], [1.0 + 1e-11]])))
    with pytest.raises(AssertionError, match=r"dw: hand \(2, 1\), autodiff \(1, 2\)"):
        side_by_side("transposed", ("dw", np.ones((2, 1)), np.ones((1, 2))))


def test_01_computation_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example(1).main(["--plot", str(tmp_path)])
    said = " ".join(capsys.readouterr().out.split())
    assert "u = bc = 6.0 v = a + u = 11.0 J = 3v = 33.0" in said
    for line in ("a + 0.001: J = 33.003", "b + 0.001: J = 33.006", "c + 0.001: J = 33.009", "v + 0.001: J = 33.003"):
        assert line in said
    assert "dJ/db = dJ/dv · dv/du · du/db = 3 · 1 · 2 = 6" in said
    assert (tmp_path / "J.svg").read_text(encoding="utf-8").rstrip().endswith("</svg>")


def test_02_logistic_regression(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    example(2).main(["--iterations", "200"])
    said = capsys.readouterr().out
    assert "m_train = 90, m_test = 30, n_x = 12288" in said
    costs = [float(cost) for cost in re.findall(r"iteration +\d+  cost ([\d.]+)", said)]
    assert len(costs) == 11 and costs[0] == 0.693147 and costs == sorted(costs, reverse=True)
    trained, held_out = (float(share) for share in re.findall(r"accuracy on the \d+ .* images +([\d.]+)%", said))
    assert trained > 85 and held_out > 70


def test_02_without_scikit_learn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)  # importing it raises ImportError
    example(2).main(["--iterations", "30"])
    said = capsys.readouterr().out
    assert said.startswith("generated images (scikit-learn is not installed)")
    assert float(re.findall(r"held-out images +([\d.]+)%", said)[0]) > 90


def test_02_test_patches_share_no_pixel_with_training_patches() -> None:
    pytest.importorskip("sklearn")
    images, Y = example(2).photographs()
    assert images.shape == (120, 64, 64, 3) and Y.sum() == 60
    from sklearn.datasets import load_sample_images

    china = load_sample_images().images[0]
    rows = [np.concatenate(images[10 * i : 10 * (i + 1)], axis=1) for i in range(6)]
    assert np.array_equal(np.concatenate(rows), china[: 6 * 64, : 10 * 64])  # the patches tile the photograph


@pytest.mark.parametrize(("which", "arguments", "file"), [
    (2, ["--iterations", "5"], "logistic_regression.png"), (4, ["--iterations", "50"], "shallow_network.png"),
    (10, [], "mse_against_cross_entropy.png"), (10, [], "learning_rates.png"), (11, [], "vanishing_gradients.png"),
    (11, [], "gradient_flow.png")])
def test_plots(which: int, arguments: list[str], file: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    example(which).main([*arguments, "--plot", str(tmp_path / "new")])
    assert (tmp_path / "new" / file).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("which", [2, 4, 10, 11])
def test_plots_without_matplotlib(which: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                  capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    example(which).main([*(["--iterations", "2"] if which in SHORT else []), "--plot", str(tmp_path)])
    assert "matplotlib is not installed" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_03_broadcasting(capsys: pytest.CaptureFixture[str]) -> None:
    example(3).main([])
    said = " ".join(capsys.readouterr().out.split())
    assert "carb 94.9% 0.0% 2.8% 88.4%" in said and "cal 59.0 239.0 155.4 76.9" in said
    assert "It is a rank-1 array, neither row nor column" in said
    assert len(example(3).general_principle()) == 12


def test_04_shallow_network(capsys: pytest.CaptureFixture[str]) -> None:
    net = example(4)
    net.main(["--iterations", "1000"])
    said = capsys.readouterr().out
    reached, straight = (float(share) for share in re.search(r"accuracy ([\d.]+)%; .* ([\d.]+)%", said).groups())
    assert reached > 90 > straight + 10
    X, Y = net.flower()
    assert X.shape == (2, 400) and Y.shape == (1, 400) and 0.3 < Y.mean() < 0.7
    assert net.compare_every_step(X, Y, steps=20) < 1e-12


def test_04_best_straight_line() -> None:
    best = example(4).best_straight_line
    X = np.random.default_rng(0).standard_normal((2, 50))
    assert best(X, (X[:1] > 0.3).astype(float)) == 1.0
    corners = np.array([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    assert best(corners, np.array([[0.0, 1.0, 1.0, 0.0]])) == 0.75  # exclusive or


def test_05_deep_network(capsys: pytest.CaptureFixture[str]) -> None:
    example(5).main(["--iterations", "300"])
    said = capsys.readouterr().out
    assert "L = 6" in said and "419 parameters" in said
    odd, which = (float(share) for share in re.findall(r"held-out accuracy ([\d.]+)%", said))
    assert odd > 90 and which > 85


def test_06_neuron(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example(6).main(["--plot", str(tmp_path)])
    assert (tmp_path / "neuron.svg").is_file()
    assert re.search(r"z +number +2\.600000000 +2\.600000000", capsys.readouterr().out)


def test_06_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    assert example(6).against_scikit_learn() is None


def test_07_matrix_calculus(capsys: pytest.CaptureFixture[str]) -> None:
    example(7).main([])
    assert re.search(r"∂α/∂x = yᵀA +1×4 ", capsys.readouterr().out)


def test_10_learning_speed(capsys: pytest.CaptureFixture[str]) -> None:
    example(10).main([])
    said = " ".join(capsys.readouterr().out.split())
    assert "squared error (2.0, 2.0) 0.9820 0.0173 232 epochs 0.2028" in said
    assert "cross-entropy (2.0, 2.0) 0.9820 0.9820 17 epochs 0.0120" in said
    assert "the largest that can work is 2/λ = 0.078768" in said
    assert said.count("saturated: ") == 1  # with cross-entropy it is not


def test_11_vanishing_gradients(capsys: pytest.CaptureFixture[str]) -> None:
    example(11).main([])
    said = " ".join(capsys.readouterr().out.split())
    assert "10 / 1 6.17e+05 2.28e+00 2.94e-01 1.50e-06" in said
    assert "vanishing: mean |δ| falls" in said and "exploding: mean |δ| grows" in said
    assert "σ′ is largest at z = 0, where it is 0.25" in said


def test_pathologies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    example(1)  # puts the directory on the path
    importlib.import_module("pathologies").main(["--plot", str(tmp_path)])
    said = " ".join(capsys.readouterr().out.split())
    for kind in ("symmetric: all units", "dead: 15 of the 20 units", "saturated: g′(z)"):
        assert kind in said
    assert "four layers without activation: 48% of the points right four layers with tanh: 100%" in said
    sizes = [float(size) for size in re.findall(r"λ = [\d.]+ ‖W‖ = ([\d.]+)", said)]
    assert len(sizes) == 3 and sizes == sorted(sizes, reverse=True)
    pictures = {file.name for file in tmp_path.iterdir() if file.read_bytes().startswith(b"\x89PNG")}
    assert pictures == {"symmetry.png", "dead_relu.png", "saturation.png", "linear_layers.png", "penalty.png"}


def test_08_formulas(capsys: pytest.CaptureFixture[str]) -> None:
    example(8).main([])
    said = capsys.readouterr().out
    for line in ("dZ = A − Y", "dw = 1/m · X dZᵀ", "db = 1/m · Σ dZ", "dZ = 1/m · (A − Y)", "dZ1 = W2ᵀ dZ2 ⊙ (1 − A1²)",
                 "db1 = 1/m · Σ₁ dZ1", "dS = P ⊙ (dP − Σ₁ (dP ⊙ P))", "dQ = 1/√d · dS K",
                 r"dZ_{1} &= W_{2}^{\top} \, dZ_{2} \odot \left( 1 - A_{1}^{2} \right) \\"):
        assert line in said.splitlines()
