"""The command line: see the package's docstring."""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

from . import __doc__ as summary
from . import costs, engines, report
from .page import page, summarised
from .timing import ROOT, Effort, measure_all, once
from .workloads import WORKLOADS

PARTS = ("workloads", "memory", "compiling", "sizes", "recording", "scaling", "import")
SCALAR = ("W1", "W8")  # with no arrays whose memory could be counted


def _chosen(text: str | None, known: list[str], what: str, parser: argparse.ArgumentParser) -> list[str]:
    """A comma-separated choice; W10 means W10a and W10b."""
    if text is None:
        return known
    wanted = [x.strip() for x in text.split(",") if x.strip()]
    found = [k for k in known if k in wanted or k.rstrip("ab") in wanted]
    unknown = [x for x in wanted if x not in known and all(k.rstrip("ab") != x for k in known)]
    if unknown or not found:
        parser.error(f"no {what} {', '.join(unknown) or text!r}. There are {', '.join(known)}.")
    return found


def main(argv: list[str] | None = None) -> None:
    """Run what the arguments ask for, and print or write it."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=summary,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", metavar="W3,W5", help="these workloads, and nothing else unless --only says so")
    parser.add_argument("--only", metavar="PART,...", help=f"these parts: {', '.join(PARTS)}")
    parser.add_argument("--engine", metavar="NAME,...", help=f"these engines: {', '.join(engines.NAMES)}")
    parser.add_argument("--rounds", type=int, default=Effort.rounds, help="turns of each engine (%(default)s)")
    parser.add_argument("--runs", type=int, default=Effort.runs,
                        help="how often the workloads are measured; a ratio is then the median of the runs (%(default)s)")
    parser.add_argument("--seconds", type=float, default=Effort.seconds, help="timed steps in a turn (%(default)s s)")
    parser.add_argument("--realtime", action="store_true", help="let timed steps preempt other programs (root)")
    parser.add_argument("--json", metavar="FILE", help="write the raw numbers")
    parser.add_argument("--write", metavar="FILE",
                        help="write the page, as Markdown; with docs/benchmarks.md, the summary in README.md too")
    args = parser.parse_args(argv)

    ids = _chosen(args.workload, list(WORKLOADS), "workload", parser)
    names = _chosen(args.engine, engines.available(), "engine", parser)
    parts = _chosen(args.only, list(PARTS), "part", parser) if args.only or not args.workload else ["workloads"]
    if args.rounds < 1 or args.runs < 1:
        parser.error("--rounds and --runs: at least 1")
    effort = Effort(rounds=args.rounds, runs=args.runs, seconds=args.seconds, realtime=args.realtime)
    out = run(parts, ids, list(dict.fromkeys([engines.REFERENCE, *names])), effort)
    if args.json:
        Path(args.json).write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if args.write:
        Path(args.write).write_text(page(out), encoding="utf-8")
        if Path(args.write).resolve() == ROOT / "docs" / "benchmarks.md":
            readme = ROOT / "README.md"
            readme.write_text(summarised(readme.read_text(encoding="utf-8"), out), encoding="utf-8")


def run(parts: list[str], ids: list[str], names: list[str], effort: Effort) -> dict[str, Any]:
    """Measure the parts, printing each as it is done."""
    about = {name: once(name, effort, "about") for name in names}
    names = [n for n in names if "failed" not in about[n]]
    titles = {n: about[n]["title"] for n in names}
    out: dict[str, Any] = {
        "titles": titles, "versions": {n: about[n]["version"] for n in names}, "rounds": effort.rounds, "runs": effort.runs,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(), "numpy": np.__version__,
    }
    print(", ".join(f"{titles[n]} {v}" for n, v in out["versions"].items()), flush=True)

    def say(i: str, result: Any) -> None:
        print(report.one_workload(i, result, titles), flush=True)

    recorders = [n for n in names if n != engines.REFERENCE and n not in engines.JITTED]
    counted = [i for i in ids if i not in SCALAR]
    if "workloads" in parts:
        out["workloads"] = measure_all(ids, names, effort, say)
        if len(ids) > 1:
            print("\n" + report.workloads(out["workloads"], titles), flush=True)
    if "memory" in parts:
        out["memory"] = costs.allocation(counted, effort)
        print("\n" + report.allocation(out["memory"], titles), flush=True)
    if "compiling" in parts:
        out["compiling"] = costs.compiling(ids, effort)
        print("\n" + report.compiling(out["compiling"]), flush=True)
    if "sizes" in parts:
        shown = (engines.OURS, engines.COMPILED, "with_pytorch", "with_jax")
        out["sizes"] = costs.sizes([n for n in names if n in shown], effort)
        print("\n" + report.sizes(out["sizes"], titles), flush=True)
    if "recording" in parts:
        out["recording"] = costs.recording(effort.seconds)
        print("\n" + report.recording(out["recording"]), flush=True)
    if "scaling" in parts:
        out["scaling"] = costs.scaling(recorders, effort)
        print("\n" + report.scaling(out["scaling"], titles), flush=True)
    if "import" in parts:
        out["import"] = costs.import_time({titles[n].partition(",")[0]: engines.NAMES[n] for n in names
                                           if n not in (engines.REFERENCE, engines.COMPILED)}, effort.rounds)
        print("\n" + report.imports(out["import"]), flush=True)
    return out


if __name__ == "__main__":
    main()
