"""One engine in a process of its own, so that nobody's threads or memory disturb another's steps.

Reads requests and writes replies, one JSON object a line: {"do": "prepare", "workload": "W3"}, then many times
"burst"; ...
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from . import engines
from .engines import Case
from .workloads import find, scalar_chain


class WrongResultError(AssertionError):
    """An engine's numbers are not those of the hand-written NumPy."""


def distance(got: list[Any], wanted: list[Any]) -> float:
    """The largest difference of two lists of arrays, each relative to its wanted array's largest entry."""
    if len(got) != len(wanted):
        raise WrongResultError(f"{len(got)} arrays, {len(wanted)} expected")
    worst = 0.0
    for g, w in zip(got, wanted, strict=True):
        w = np.asarray(w, np.float64)
        g = np.asarray(g, np.float64)
        if g.size != w.size:
            raise WrongResultError(f"an array of shape {g.shape}, {w.shape} expected")
        scale = float(np.max(np.abs(w))) or 1.0
        error = float(np.max(np.abs(g.reshape(w.shape) - w))) / scale
        worst = error if not error <= worst else worst  # a nan is the worst
    return worst


def check(name: str, workload: str) -> float:
    """How far an engine's results are from the hand-written ones; raises if too far."""
    w = find(workload)
    case = engines.load(name).build(w.form or w.id, w.make())
    reference = engines.load(engines.REFERENCE).build(w.form or w.id, w.make())
    assert case is not None and reference is not None
    error = distance(case.outcome(), reference.outcome())
    if not error <= w.tolerance:
        raise WrongResultError(f"{name}, {workload}: relative error {error:.1e}, more than {w.tolerance:g}")
    return error


def timed(step: Any, seconds: float) -> float:
    """The median time of a step: some untimed ones first, then a burst of them."""
    clock = time.perf_counter
    start = clock()
    step()
    first = clock() - start
    if first > 2 * seconds:  # too long to repeat
        return first
    warm = clock() + min(0.3 * seconds, 0.1)
    while clock() < warm:
        step()
    together = max(1, int(1e-3 / max(first, 1e-7)))  # steps between two looks at the clock
    times, end = [], clock() + seconds
    while True:
        start = clock()
        for _ in range(together):
            step()
        now = clock()
        times.append((now - start) / together)
        if now >= end:
            return median(times)


@contextmanager
def undisturbed(wanted: bool) -> Iterator[None]:
    """Before everything else on the machine, where it is wanted and allowed: for machines that others use."""
    if not wanted or not hasattr(os, "sched_setscheduler"):
        yield
        return
    _schedule(os.SCHED_RR, 1)
    try:
        yield
    finally:
        _schedule(os.SCHED_OTHER, 0)


def _schedule(policy: int, priority: int) -> None:
    for thread in Path("/proc/self/task").iterdir() if Path("/proc/self/task").exists() else []:
        with suppress(OSError):  # not allowed, or the thread has ended
            os.sched_setscheduler(int(thread.name), policy, os.sched_param(priority))


def memory() -> tuple[float, float]:
    """MB of this process in memory now, and at most since `forget_peak`."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        now, most = (int(lines[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))
        return now, most
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return most, most


def forget_peak() -> None:
    """Let the peak begin anew, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def grown(step: Callable[[], Any], times: int) -> float:
    """MB that some steps need at most, beyond what is there before."""
    gc.collect()
    forget_peak()
    before, _ = memory()
    for _ in range(times):
        step()
    return max(0.0, memory()[1] - before)


class Worker:
    """The requests, one method each."""

    def __init__(self, name: str) -> None:
        self.name, self.engine = name, engines.load(name)
        self.step: Callable[[], Any] | None = None

    def about(self) -> dict[str, Any]:
        """What the engine calls itself, and its version."""
        return {"title": self.engine.title, "version": self.engine.version}

    def footprint(self, workload: str) -> dict[str, Any]:
        """The memory that three steps need beyond the engine, the data and the parameters: in a fresh process.

        {"lacks": true} if the engine cannot do it.
        """
        if workload in self.engine.lacks:
            return {"lacks": True}
        self._awake()
        return {"megabytes": grown(self._built(workload).step, 3)}

    def allocated(self, workload: str) -> dict[str, Any]:
        """MB of arrays at most while steps run, parameters and whatever the engine keeps included; and of all other objects.

        Counted by tracemalloc, which NumPy tells of its arrays, without the steps in which an engine records and compiles.
        The other objects, counted between two steps, are those that building the step made: its code, its record.
        """
        if workload in self.engine.lacks:
            return {"lacks": True}
        self._awake()
        w = find(workload)
        data = w.make()
        gc.collect()
        tracemalloc.start()
        case = self.engine.build(w.form or w.id, data)
        assert case is not None
        for _ in range(3):
            case.step()
        gc.collect()
        held = tracemalloc.take_snapshot()
        objects = sum(trace.size for trace in held.traces if trace.domain != np.lib.tracemalloc_domain)
        del held
        gc.collect()
        tracemalloc.reset_peak()
        for _ in range(3):
            case.step()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return {"megabytes": (peak - objects) / (1 << 20), "objects": objects / (1 << 20)}

    def compiling(self, workload: str, realtime: bool) -> dict[str, Any]:
        """The operations that a step records, and the seconds of a first call and of running the step without compiling.

        The first call records the step, computing everything eagerly, records it once more to check it, and compiles the
        record. The median of three, each a function of its own; of nine where that takes no second: Python itself is
        slower on code that it runs for the first times.
        """
        from tinygrad_edu.program.record import record  # not above: it would be imported into the others' processes

        self._awake()
        firsts: list[float] = []
        eagers: list[float] = []
        with undisturbed(realtime):
            while len(firsts) < 3 or (len(firsts) < 9 and sum(firsts) < 0.5):
                case = self._built(workload)
                f, arguments = case.compiled.f, case.arguments()
                f(*arguments)
                start = time.perf_counter()
                f(*arguments)
                middle = time.perf_counter()
                case.step()
                eagers.append(middle - start)
                firsts.append(time.perf_counter() - middle)
        operations = len(record(f, arguments, {}).program.lines)
        return {"operations": operations, "eager": median(eagers), "seconds": median(firsts)}

    def prepare(self, workload: str) -> dict[str, Any]:
        """Check the workload, and build it to be timed.

        In this order: once a process has freed large arrays, the C library keeps its memory. Programs soon reach that
        state, and an engine that has not may take twice as long.
        """
        error = check(self.name, workload)
        self.step = self._built(workload).step
        return {"error": error}

    def burst(self, seconds: float, realtime: bool) -> dict[str, Any]:
        """Time the prepared workload."""
        time.sleep(0.03)  # idle threads of the others go to sleep
        with undisturbed(realtime):
            return {"seconds": timed(self.step, seconds)}

    def _awake(self) -> None:
        """Have the engine do something, so that what it sets up once is not counted."""
        small = self.engine.build("W8", scalar_chain(10))
        assert small is not None
        small.step()

    def _built(self, workload: str) -> Case:
        w = find(workload)
        case = self.engine.build(w.form or w.id, w.make())
        assert case is not None
        return case

    def chain(self, operations: int, realtime: bool) -> dict[str, Any]:
        """One forward and backward pass over a chain of numbers, and its memory: in a fresh process."""
        self._awake()
        case = self.engine.build("W8", scalar_chain(operations // 3))
        assert case is not None
        times: list[float] = []

        def step() -> None:
            start = time.perf_counter()
            case.step()
            times.append(time.perf_counter() - start)

        with undisturbed(realtime):
            megabytes = grown(step, 1)
        return {"seconds": times[0], "megabytes": megabytes}


def main(name: str) -> None:
    """Answer requests until the other side hangs up."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what engines print must not get between the replies
    worker = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            worker = worker or Worker(name)
            reply = getattr(worker, request.pop("do"))(**request)
        except Exception as error:
            first = str(error).splitlines()[0][:160] if str(error) else ""
            reply = {"failed": f"{type(error).__name__}: {first}"}
        replies.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
