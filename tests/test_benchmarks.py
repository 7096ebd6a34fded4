"""The benchmarks measure what they say: every engine's numbers are the hand-written ones. No times are asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import costs, engines, forward, report
from benchmarks.__main__ import main, run
from benchmarks.page import discussion, page
from benchmarks.timing import Effort, Process, measure, once
from benchmarks.worker import WrongResultError, check, distance, timed
from benchmarks.workloads import WORKLOADS
from tinygrad_edu import Tensor, backprop

ROOT = Path(__file__).resolve().parent.parent
TINY = Effort(rounds=1, seconds=0.001)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_ours_is_the_hand_written_result(workload: str) -> None:
    assert check(engines.OURS, workload) <= WORKLOADS[workload].tolerance


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

    results = {
        "W2": {"title": "a", "goal": 1.05, "engines": {"by_hand": row(1), "ours": row(1.0), "peer": row(2.0)}},
        "W3": {"title": "b", "goal": 1.7, "engines": {"by_hand": row(1), "ours": row(2.0), "peer": row(1.0)}},
        "W4": {"title": "c", "goal": None, "engines": {"by_hand": row(1), "ours": row(1.0), "peer": {"lacks": True}}},
    }
    text = discussion(results, {"by_hand": "NumPy by hand", "ours": "tinygrad_edu", "peer": "Peer"})
    assert "faster: W2 and W4." in text
    assert "Slower than by hand: W3 (2.00)" in text
    assert "- Against Peer: faster on W2 (2.00×); slower on W3 (2.00×)." in text
    assert "Goals missed in this run: W3 (2.00; goal 1.7)." in text


@pytest.mark.parametrize("arguments", [["--workload", "W99"], ["--engine", "slide_rule"], ["--only", "tea"],
                                       ["--rounds", "0"]])
def test_a_bad_command_line_is_refused(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr and arguments[0].strip("-") in done.stderr
