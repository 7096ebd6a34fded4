"""Taking turns: every engine in its own process, a fresh one for each workload."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .engines import REFERENCE
from .workloads import WORKLOADS

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    runs : how often everything is repeated, processes included.  rounds : turns of each engine in a run.
    seconds : timed steps in a turn.  patience : seconds until an engine is given up.
    realtime : let timed steps preempt other programs, where that is allowed.
    """

    rounds: int = 9
    runs: int = 1
    seconds: float = 0.15
    patience: float = 90.0
    realtime: bool = False


def environment() -> dict[str, str]:
    """The environment in which `benchmarks` and the package next to it are importable."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


class Process:
    """An engine's worker process."""

    def __init__(self, engine: str, effort: Effort) -> None:
        self.engine, self.patience = engine, effort.patience
        self.process = subprocess.Popen([sys.executable, "-m", "benchmarks.worker", engine], cwd=ROOT, text=True,
                                        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """The reply to a request; {"failed": why} if there is none."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], self.patience)
        except BrokenPipeError:
            ready = [self.process.stdout]
        if not ready:
            self.close()
            return {"failed": f"gave up after {self.patience:g} s"}
        line = self.process.stdout.readline()
        if line:
            reply: dict[str, Any] = json.loads(line)
            return reply
        return {"failed": f"the process ended, status {self.process.wait()}"}

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def once(engine: str, effort: Effort, do: str, **arguments: Any) -> dict[str, Any]:
    """One request to a fresh process."""
    with Process(engine, effort) as process:
        return process.ask(do, **arguments)


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median, and the middle half: from the lower to the upper quartile."""
    low, middle, high = (float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))
    return {"median": middle, "low": low, "high": high}


def measure(workload: str, names: Sequence[str], effort: Effort, memory: bool = True) -> dict[str, Any]:
    """Every engine's time for a step, its ratio to the hand-written NumPy of the same round, and its memory if wanted.

    An engine maps to {"seconds", "ratio", "error", "megabytes"}, to {"failed": why}, or to {"lacks": true}.
    """
    rows: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys([REFERENCE, *names]):
        rows[name] = once(name, effort, "footprint", workload=workload) if memory else {}
    turns: dict[str, list[float]] = {name: [] for name, row in rows.items() if "failed" not in row and "lacks" not in row}
    with ExitStack() as stack:
        processes = {name: stack.enter_context(Process(name, effort)) for name in turns}
        for name, process in processes.items():
            rows[name].update(process.ask("prepare", workload=workload))
        for _ in range(effort.rounds):
            for name in [n for n in turns if "failed" not in rows[n]]:
                reply = processes[name].ask("burst", seconds=effort.seconds, realtime=effort.realtime)
                if "failed" in reply:
                    rows[name] = reply
                else:
                    turns[name].append(reply["seconds"])
    if "failed" in rows[REFERENCE]:
        return rows
    for name in [n for n in turns if "failed" not in rows[n]]:
        ratios = [t / reference for t, reference in zip(turns[name], turns[REFERENCE], strict=True)]
        rows[name].update(seconds=spread(turns[name]), ratio=spread(ratios))
    return rows


def combined(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One row for each engine, of the rows of several runs: medians of their medians, between the least and the most."""
    out = {}
    for name in runs[0]:
        rows = [run[name] for run in runs if "failed" in run[name] or "lacks" in run[name]] or [run[name] for run in runs]
        out[name] = rows[0]
        if len(rows) > 1 and "ratio" in rows[0]:
            out[name] = {**rows[0], "error": max(row["error"] for row in rows)}
            for key in ("seconds", "ratio"):
                medians = [row[key]["median"] for row in rows]
                out[name][key] = {"median": float(np.median(medians)), "low": min(medians), "high": max(medians)}
    return out


def measure_all(ids: Sequence[str], names: Sequence[str], effort: Effort, say: Callable[[str, Any], None]
                ) -> dict[str, Any]:
    """All workloads, as often as there are runs, reporting each as it is done."""
    runs: dict[str, list[dict[str, Any]]] = {i: [] for i in ids}
    out: dict[str, Any] = {}
    for k in range(effort.runs):
        for i in ids:
            runs[i].append(measure(i, [n for n in names if n not in out.get(i, {}).get("without", ())], effort, memory=k == 0))
            w = WORKLOADS[i]
            lacking = [n for n, row in runs[i][0].items() if "lacks" in row]
            runs[i][-1].update({n: {"lacks": True} for n in lacking})
            out[i] = {"title": w.title, "goal": w.goal, "compiled_goal": w.compiled_goal, "without": lacking,
                      "engines": combined(runs[i])}
            say(i, {**out[i], "engines": runs[i][-1]})
    return out
