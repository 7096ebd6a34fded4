"""The benchmarks measure what they say: every engine's numbers are the hand-written ones. No times are asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import costs, engines, forward, more_data, report
from benchmarks.__main__ import main, run
from benchmarks.page import discussion, page, summarised
from benchmarks.timing import Effort, Process, combined, measure, once
from benchmarks.worker import Worker, WrongResultError, check, distance, timed
from benchmarks.workloads import FURTHER, SIZED, WORKLOADS, scalar_chain
from tinygrad_edu import Tensor, backprop

ROOT = Path(__file__).resolve().parent.parent
TINY = Effort(rounds=1, seconds=0.001)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_ours_is_the_hand_written_result(workload: str) -> None:
    assert check(engines.OURS, workload) <= WORKLOADS[workload].tolerance


def results(engine: str, workload: str, data: Any) -> list[Any]:
    case = engines.load(engine).build(workload, data)
    assert case is not None
    return case.outcome()


@pytest.mark.parametrize("workload", [w for w in WORKLOADS if w not in (*FURTHER, "W1", "W4", "W8")])
def test_compiled_is_the_hand_written_result(workload: str) -> None:
    assert check(engines.COMPILED, workload) <= WORKLOADS[workload].tolerance


def test_compiled_chain_is_the_hand_written_result() -> None:
    wanted = results(engines.REFERENCE, "W8", scalar_chain(300))
    assert distance(results(engines.COMPILED, "W8", scalar_chain(300)), wanted) <= 1e-8


def test_compiled_network_of_numbers_is_the_hand_written_result() -> None:
    def data() -> Any:
        d = WORKLOADS["W1"].make()
        d.X, d.y = d.X[:2], d.y[:2]
        return d

    assert distance(results(engines.COMPILED, "W1", data()), results(engines.REFERENCE, "W1", data())) <= 1e-8


SMALL = {
    "W12": lambda: more_data.attention_block(2, 5, 16), "W13": lambda: more_data.batch_norm_network(12),
    "W14": lambda: more_data.gru(7, 3, 5), "W15": lambda: more_data.gaussian_mixture(60),
    "W16": lambda: more_data.logistic_rows(80), "W17": lambda: more_data.tanh_network(6, 5, 9),
    "W18": lambda: more_data.autoencoder(11), "W19": lambda: more_data.factorisation(90), "W20": lambda: more_data.adam_step(7),
    "W21": lambda: more_data.bodies(9),
}


@pytest.mark.parametrize("engine", [engines.OURS, engines.COMPILED])
@pytest.mark.parametrize("workload", [w for w in FURTHER if not WORKLOADS[w].form])
def test_further_workloads_are_the_hand_written_results(workload: str, engine: str) -> None:
    wanted = results(engines.REFERENCE, workload, SMALL[workload]())
    assert distance(results(engine, workload, SMALL[workload]()), wanted) <= WORKLOADS[workload].tolerance


@pytest.mark.parametrize("workload", [w for w in FURTHER if not WORKLOADS[w].form])
def test_hand_written_gradients_of_further_workloads_are_slopes(workload: str) -> None:
    """Of every parameter: central differences along its gradient."""
    def double(k: int = 0, step: float = 0.0, along: Any = 0.0) -> Any:
        d = SMALL[workload]()
        d.params = [p.astype(np.float64) + (step * along if j == k else 0.0) for j, p in enumerate(d.params)]
        for name in ("X", "Y"):
            if hasattr(d, name):
                setattr(d, name, getattr(d, name).astype(np.float64))
        return d

    gradients = results(engines.REFERENCE, workload, double())[1 : len(double().params) + 1]
    for k, g in enumerate(gradients):
        squared = float(np.sum(np.square(g)))
        h = 1e-5 / np.sqrt(squared)
        up, down = [float(results(engines.REFERENCE, workload, double(k, s, g))[0]) for s in (h, -h)]
        assert (up - down) / (2 * h) == pytest.approx(squared, rel=1e-4), k


def test_a_network_in_other_sizes() -> None:
    assert "8-4-64" in SIZED and check(engines.COMPILED, "8-4-64") <= 1e-8
    table = costs.sizes([engines.COMPILED], TINY, {"width": [(8, 4, 64)]})
    assert table["width"][0]["engines"][engines.COMPILED]["ratio"]["median"] > 0
    assert "width (4 layers, 64 examples)" in report.sizes(table, {})


def test_memory_and_compiling() -> None:
    counted = Worker(engines.COMPILED).allocated("W3")
    assert 0 < counted["megabytes"] < 0.2 and 0 < counted["objects"] < 0.3  # what recording held is gone
    by_hand = Worker(engines.REFERENCE).allocated("W4")
    assert by_hand["megabytes"] > 100 * by_hand["objects"]
    first = Worker(engines.COMPILED).compiling("W3", realtime=False)
    assert first["operations"] > 20 and first["seconds"] > first["eager"] > 0
    row = {"title": "a", "operations": 38, "eager": 1e-4, "seconds": 1e-2, "compiling": 9.9e-3, "per_hundred": 0.02}
    assert "38" in report.compiling({"W3": row}) and "20" in report.compiling({"W3": row})
    assert "| W3 a |" in report.allocation({"W3": {"title": "a", "engines": {"ours": {"megabytes": 0.5}}}}, {})


def test_runs_are_combined() -> None:
    def run_of(x: float) -> dict[str, Any]:
        row = {"ratio": {"median": x, "low": 0, "high": 9}, "seconds": {"median": x}, "error": x}
        return {"ours": row, "peer": {"lacks": True}}

    both = combined([run_of(1.0), run_of(3.0), run_of(2.0)])
    assert both["ours"]["ratio"] == {"median": 2, "low": 1, "high": 3} and both["ours"]["error"] == 3
    assert both["peer"] == {"lacks": True}
    assert combined([run_of(1.0), {"ours": {"failed": "why"}, "peer": {"lacks": True}}])["ours"] == {"failed": "why"}


@pytest.mark.parametrize("workload", ["W2", "W3", "W5"])
def test_hand_written_gradients_are_the_slopes_of_the_cost(workload: str) -> None:
    """The reference has a judge too: a nudge along the gradient changes the cost by its squared length."""
    d = WORKLOADS[workload].make()
    d.params = [p.astype(np.float64) for p in d.params]
    d.X = d.X.astype(np.float64)
    costs_of = engines.load(engines.REFERENCE).build(workload, d)
    assert costs_of is not None
    n = len(d.params)
    gradients = costs_of.outcome()[1 : n + 1]

    def cost(step: float) -> float:
        moved = WORKLOADS[workload].make()
        moved.X = moved.X.astype(np.float64)
        moved.params = [p + step * g for p, g in zip(d.params, gradients, strict=True)]
        case = engines.load(engines.REFERENCE).build(workload, moved)
        assert case is not None
        return float(case.outcome()[0])

    squared = sum(float(np.sum(g * g)) for g in gradients)
    h = 1e-5 / np.sqrt(squared)
    assert (cost(h) - cost(-h)) / (2 * h) == pytest.approx(squared, rel=1e-5)


def test_operations_are_counted_right() -> None:
    ours = engines.load(engines.OURS)
    d = WORKLOADS["W1"].make()
    d.X, d.y = d.X.tolist(), d.y.tolist()
    leaves = [Tensor(v) for p in d.params for v in p.ravel().tolist()]
    J = forward.scalar_network(ours, d, *leaves)
    assert isinstance(J, Tensor)
    # the sums begin with 0 + ..., which is recorded too
    assert len(backprop.Graph([J]).nodes) == pytest.approx(WORKLOADS["W1"].operations, abs=5)


def test_a_wrong_result_is_refused() -> None:
    assert distance([np.ones(3)], [np.ones(3)]) == 0
    assert distance([np.array([1.0, np.nan])], [np.ones(2)]) != 0
    assert not distance([np.array([np.nan])], [np.ones(1)]) <= 1
    with pytest.raises(WrongResultError):
        distance([], [np.ones(3)])
    with pytest.raises(WrongResultError):
        distance([np.ones(2)], [np.ones(3)])


def test_check_refuses_an_engine_that_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = engines.load(engines.OURS)
    monkeypatch.setattr(ours, "sigmoid", lambda x: 1.001 * np.asarray(x), raising=False)
    monkeypatch.setattr(ours, "binary_cross_entropy", lambda z, y: (z * z).mean())
    with pytest.raises(WrongResultError, match="W3"):
        check(engines.OURS, "W3")


def test_timed_runs_the_step() -> None:
    calls: list[int] = []
    assert timed(lambda: calls.append(1), 0.001) >= 0
    assert calls


def test_one_workload_in_turns() -> None:
    rows = measure("W3", [engines.OURS], TINY)
    assert list(rows) == [engines.REFERENCE, engines.OURS]
    for row in rows.values():
        assert row["seconds"]["median"] > 0 and row["error"] <= 1e-8 and row["megabytes"] >= 0
    assert rows[engines.REFERENCE]["ratio"] == {"median": 1, "low": 1, "high": 1}


def test_a_process_answers_with_the_reason_when_it_cannot() -> None:
    with Process(engines.OURS, TINY) as process:
        assert "no_such" in process.ask("no_such")["failed"]
        assert process.ask("about")["title"] == "tinygrad_edu"
    assert "failed" in once("no_such_engine", TINY, "about")


def test_other_engines_run_without_this_one() -> None:
    """It tells the C library to keep memory, from which hand-written NumPy would gain."""
    done = subprocess.run([sys.executable, "-c", "import sys, benchmarks.worker, benchmarks.engines.by_hand; "
                           "print('tinygrad_edu' in sys.modules)"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_parts_and_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written, raw = tmp_path / "page.md", tmp_path / "out.json"
    main(["--workload", "W11", "--engine", "by_hand,ours", "--rounds", "1", "--seconds", "0.001",
          "--write", str(written), "--json", str(raw)])
    assert "W11" in capsys.readouterr().out
    assert "| W11 x*x + x with 8 numbers" in written.read_text(encoding="utf-8")
    out = json.loads(raw.read_text(encoding="utf-8"))
    assert out["workloads"]["W11"]["engines"][engines.OURS]["error"] < 1e-8
    assert page(out) == written.read_text(encoding="utf-8")


def test_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = costs.recording(seconds=0.001)
    assert len(rows) == 8 and all(r["numpy"] > 0 and r["recorded"] > 0 and r["backward"] > 0 for r in rows)
    assert report.recording(rows).count("\n") == 9
    grown = costs.scaling([engines.OURS], TINY, sizes=(300, 3000))[engines.OURS]
    assert [grown[n]["seconds"] > 0 and grown[n]["megabytes"] >= 0 for n in (300, 3000)] == [True, True]
    out = run(["import"], [], [engines.REFERENCE, engines.OURS], TINY)
    assert out["import"]["tinygrad_edu"]["median"] > 0


def test_discussion_follows_the_numbers() -> None:
    def row(x: float) -> dict[str, Any]:
        return {"ratio": {"median": x, "low": x, "high": x}, "seconds": {"median": 1.0}, "error": 0.0}

    measured = {
        "W2": {"title": "a", "goal": 1.05, "compiled_goal": 0.9,
               "engines": {"by_hand": row(1), "ours": row(1.0), "ours_jit": row(0.8), "peer": row(2.0)}},
        "W3": {"title": "b", "goal": 1.7, "compiled_goal": 0.5,
               "engines": {"by_hand": row(1), "ours": row(2.0), "ours_jit": row(1.0), "peer": row(1.0)}},
        "W16": {"title": "c", "goal": None, "compiled_goal": None,
                "engines": {"by_hand": row(1), "ours": row(1.0), "ours_jit": row(0.7), "peer": {"lacks": True}}},
    }
    titles = {"by_hand": "NumPy by hand", "ours": "tinygrad_edu", "ours_jit": "tinygrad_edu, jit", "peer": "Peer"}
    text = discussion(measured, titles)
    assert "faster: W2 and W16." in text
    assert "Eager, slower than by hand: W3 (2.00)" in text
    assert "Compiled, faster than by hand: W2 (0.80) and W16 (0.70)." in text
    assert "- Against Peer, eager: faster on W2 (2.00×); slower on W3 (2.00×)." in text
    assert "- Against Peer, compiled: faster on W2 (2.50×); level on W3." in text
    assert "eager: W3 (2.00; goal 1.7)." in text and "compiled: W3 (1.00; goal 0.5)." in text

    out = {"workloads": measured, "titles": titles}
    marked = "a\n\n<!-- speed: written by python -m benchmarks --write docs/benchmarks.md -->\nold\n<!-- speed ends -->\n\nb"
    readme = summarised(marked, out)
    assert "old" not in readme and readme.startswith("a") and readme.endswith("b")
    assert "2.00 Peer" in readme and "**0.80**" in readme and "0.70 to 0.70" in readme
    assert summarised(readme, out) == readme
    assert summarised("without marks", out) == "without marks"


def test_the_readme_has_a_place_for_the_summary() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("<!-- speed: written by python -m benchmarks --write docs/benchmarks.md -->") == 1
    assert text.count("<!-- speed ends -->") == 1


@pytest.mark.parametrize("arguments", [["--workload", "W99"], ["--engine", "slide_rule"], ["--only", "tea"],
                                       ["--rounds", "0"]])
def test_a_bad_command_line_is_refused(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr and arguments[0].strip("-") in done.stderr
