"""Run many programs, and shrink and print what is found.

    python -m fuzz.campaign --first 0 --count 1000        (in tests/, with the package importable)
"""

from __future__ import annotations

import argparse
import json
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .generate import RejectedError, generate
from .oracles import MismatchError, check
from .program import Program


def kind_of(error: BaseException) -> str:
    if isinstance(error, MismatchError):
        return error.oracle
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(last.filename).name}:{last.name}"


def failure(program: Program, thorough: bool) -> BaseException | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check(program, thorough)
    except Exception as error:
        return error
    return None


def shrink(program: Program, fails: Callable[[Program], bool], rounds: int = 6) -> Program:
    """The smallest program found that still fails: fewer outputs, lines cut off (their value becomes an input)."""
    for _ in range(rounds):
        before = len(program.steps), len(program.outputs), len(program.inputs), program.squared
        for name in program.outputs:
            if len(program.outputs) > 1:
                program = _if_fails(replace(program, outputs=(name,)).live(), program, fails)
        for step in reversed(program.steps[:-1]):  # an earlier output
            program = _if_fails(replace(program, outputs=step.targets[:1]).live(), program, fails)
        for step in program.steps:  # a line becomes an input
            if step in program.steps and len(program.steps) > 1:
                values = program.values()
                cut = replace(program, steps=tuple(s for s in program.steps if s is not step),
                              inputs={**program.inputs, **{t: values[t] for t in step.targets}}).live()
                program = _if_fails(cut, program, fails)
        for name in list(program.inputs):  # an input becomes a constant
            if len(program.inputs) > 1:
                rest = {k: v for k, v in program.inputs.items() if k != name}
                program = _if_fails(replace(program, inputs=rest, constants={**program.constants, name: program.inputs[name]}),
                                    program, fails)
        program = _if_fails(replace(program, squared=False), program, fails)
        if before == (len(program.steps), len(program.outputs), len(program.inputs), program.squared):
            break
    for name, x in list(program.inputs.items()):  # plainer numbers
        for digits in (0, 1):
            rounded = np.round(x, digits)
            program = _if_fails(replace(program, inputs={**program.inputs, name: rounded}), program, fails)
    return program


def _if_fails(smaller: Program, program: Program, fails: Callable[[Program], bool]) -> Program:
    try:
        return smaller if smaller.steps and smaller.inputs and fails(smaller) else program
    except Exception:
        return program


def run(seeds: Iterable[int], every: int = 20, names: list[str] | None = None, seconds: float | None = None,
        shrinking: bool = True) -> dict[str, Any]:
    """The programs of the seeds, every `every`-th thoroughly: what was counted and found."""
    start = time.perf_counter()
    functions, checked, skipped, findings = Counter[str](), Counter[str](), Counter[str](), []
    lines = made = 0
    for seed in seeds:
        if seconds is not None and time.perf_counter() - start > seconds:
            break
        try:
            program = generate(seed, names)
        except RejectedError:
            skipped["not made"] += 1
            continue
        made += 1
        lines += len(program.steps)
        functions.update(step.function for step in program.steps)
        thorough = seed % every == 0
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                outcome = check(program, thorough)
            checked.update(outcome.checked)
            skipped.update(outcome.skipped)
        except Exception as error:
            kind = kind_of(error)

            def fails(p: Program, kind: str = kind, thorough: bool = thorough) -> bool:
                found = failure(p, thorough)
                return found is not None and kind_of(found) == kind

            small = program if kind == "refused" or not shrinking else shrink(replace(program, refused=None), fails)
            found = failure(small, thorough) if small is not program else error
            found = found or error
            findings.append({"seed": seed, "kind": kind, "message": str(found)[:2000], "program": str(small),
                             "functions": [s.function for s in small.steps]})
    return {"programs": made, "lines": lines, "seconds": time.perf_counter() - start,
            "functions": functions, "checked": checked, "skipped": skipped, "findings": findings}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--every", type=int, default=20, help="every n-th program thoroughly")
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--functions", nargs="*", default=None)
    parser.add_argument("--report", type=Path, default=None, help="add the counts and findings to this file, one line of JSON")
    parser.add_argument("--seeds", type=int, nargs="*", default=None, help="only these, thoroughly")
    parser.add_argument("--show", type=int, default=5)
    given = parser.parse_args()
    report = run(given.seeds or range(given.first, given.first + given.count), 1 if given.seeds else given.every,
                 given.functions, given.seconds)
    if given.report:
        with given.report.open("a", encoding="utf-8") as file:
            file.write(json.dumps(report) + "\n")
    kinds = Counter((f["kind"], " ".join(f["functions"])) for f in report["findings"])
    print(f"{report['programs']} programs, {report['lines']} lines, {report['seconds']:.1f} s; "
          f"{len(report['findings'])} findings")
    print("checked", dict(report["checked"]))
    print("skipped", dict(report["skipped"]))
    for kind, n in kinds.most_common():
        print(n, kind)
    shown: set[Any] = set()
    for f in report["findings"]:
        key = f["kind"], tuple(f["functions"])
        if key not in shown and len(shown) < given.show:
            shown.add(key)
            print("-" * 100, f["seed"], f["kind"], f["message"], f["program"], sep="\n")


if __name__ == "__main__":
    main()
