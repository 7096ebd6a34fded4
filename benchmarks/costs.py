"""What an operation, a node, and the import cost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from .engines import COMPILED, OURS, REFERENCE
from .timing import ROOT, Effort, environment, measure, once, spread
from .workloads import NETWORKS, WORKLOADS

# ---------------------------------------------------------------- recording one operation


def _microseconds(functions: dict[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    """The least time of a call of each, over many turns: what disturbs a call so short only lengthens it."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    end = perf_counter() + seconds * len(functions)
    while not all(times.values()) or perf_counter() < end:
        for name, f in functions.items():
            start = perf_counter()
            for _ in range(100):
                f()
            times[name].append((perf_counter() - start) / 100)
    return {name: min(values) * 1e6 for name, values in times.items()}


def _operations() -> dict[str, tuple[Callable[..., Any], list[Any]]]:
    rng = np.random.default_rng(200)
    number, vector, matrix = np.float64(0.7), rng.standard_normal(8), rng.standard_normal((64, 64))
    return {
        "x * y, single numbers": (lambda x, y: x * y, [number, np.float64(1.3)]),
        "sin(x), a single number": (np.sin, [number]),
        "x * y, 8 numbers": (lambda x, y: x * y, [vector, vector + 1]),
        "tanh(x), 8 numbers": (np.tanh, [vector]),
        "x + b, (64, 64) and (64, 1)": (lambda x, b: x + b, [matrix, matrix[:, :1]]),
        "A @ B, (64, 64)": (lambda a, b: a @ b, [matrix, matrix]),
        "sum(x, axis=1), (64, 64)": (lambda x: np.sum(x, axis=1), [matrix]),
        "x[:, 8:16], (64, 64)": (lambda x: x[:, 8:16], [matrix]),
    }


def recording(seconds: float = 0.1) -> list[dict[str, Any]]:
    """For some operations, the microseconds of NumPy alone, of recording (with the operation), and of backward()."""
    import tinygrad_edu as tg

    rows = []
    for name, (f, arrays) in _operations().items():
        tensors = [tg.Tensor(x) for x in arrays]
        y = f(*tensors)
        weights = np.ones(y.shape)

        def backward(y: Any = y, tensors: Any = tensors, weights: Any = weights) -> None:
            for t in tensors:
                t.grad = None
            y.backward(weights)

        rows.append({"operation": name, **_microseconds({
            "numpy": partial(f, *arrays), "recorded": partial(f, *tensors), "backward": backward}, seconds)})
    return rows


# ---------------------------------------------------------------- many nodes

SIZES = (1_000, 10_000, 100_000, 1_000_000)


def scaling(names: Sequence[str], effort: Effort, sizes: Sequence[int] = SIZES, longest: float = 12.0
            ) -> dict[str, Any]:
    """Time per node, and memory, of chains of numbers, forward and backward, each in a fresh process.

    This engine runs three times at each size, and the median counts. A peer runs once, and only where its smaller
    sizes foretell no more than `longest` seconds.
    """
    out: dict[str, Any] = {}
    for name in names:
        rows: dict[int, Any] = {}
        for n in sizes:
            done = [r for r in rows.values() if "seconds" in r]
            if rows and not done:
                break
            if name != OURS and done and done[-1]["seconds"] * n / max(k for k in rows if k < n) > longest:
                break
            runs = [once(name, effort, "chain", operations=n, realtime=effort.realtime)
                    for _ in range(3 if name == OURS else 1)]
            failed = [r for r in runs if "failed" in r or "lacks" in r]
            if failed:
                rows[n] = failed[0]
                continue
            rows[n] = {"seconds": median(r["seconds"] for r in runs), "megabytes": median(r["megabytes"] for r in runs)}
            rows[n]["microseconds_per_node"] = rows[n]["seconds"] / n * 1e6
        out[name] = rows
    return out


# ---------------------------------------------------------------- one network in many sizes


def sizes(names: Sequence[str], effort: Effort, kinds: dict[str, list[tuple[int, int, int]]] | None = None
          ) -> dict[str, Any]:
    """Ratios for one network by width, by number of layers, and by examples."""
    out: dict[str, Any] = {}
    for kind, networks in (kinds or NETWORKS).items():
        out[kind] = [{"width": width, "layers": depth, "examples": m,
                      "engines": measure(f"{width}-{depth}-{m}", names, effort, memory=False)} for width, depth, m in networks]
    return out


# ---------------------------------------------------------------- compiling


def compiling(ids: Sequence[str], effort: Effort) -> dict[str, Any]:
    """For each workload, what its first compiled call takes, beyond computing everything once."""
    out = {}
    for i in ids:
        row = out[i] = {"title": WORKLOADS[i].title, **once(COMPILED, effort, "compiling", workload=i,
                                                             realtime=effort.realtime)}
        if "failed" not in row:
            row["compiling"] = max(0.0, row["seconds"] - row["eager"])
            row["per_hundred"] = row["compiling"] / row["operations"] * 100
    return out


def allocation(ids: Sequence[str], effort: Effort) -> dict[str, Any]:
    """MB of arrays at most in steps by hand, eager and compiled, and of what else is kept for them."""
    return {i: {"title": WORKLOADS[i].title, "engines": {name: once(name, effort, "allocated", workload=i)
                                                         for name in (REFERENCE, OURS, COMPILED)}} for i in ids}


# ---------------------------------------------------------------- import

_IMPORT = """
import time
start = time.perf_counter()
import numpy
between = time.perf_counter()
import {package}
print(between - start, time.perf_counter() - between)
"""


def import_time(names: dict[str, str], rounds: int = 9) -> dict[str, Any]:
    """Milliseconds to import NumPy, and each package after it, in fresh processes, in turns.

    names : title -> package.
    """
    times: dict[str, list[float]] = {"NumPy": [], **{title: [] for title in names}}
    surroundings = environment()
    surroundings.pop("PYTHONDONTWRITEBYTECODE", None)  # who imports every day has the byte code
    for k in range(rounds + 1):
        for title, package in names.items():
            done = subprocess.run([sys.executable, "-W", "ignore", "-c", _IMPORT.format(package=package)], cwd=ROOT,
                                  env=surroundings, capture_output=True, text=True, check=True)
            numpy_alone, more = (float(t) * 1e3 for t in done.stdout.split()[-2:])
            if k:  # the first round fills the disk's cache, and writes the byte code
                times["NumPy"].append(numpy_alone)
                times[title].append(more)
    return {title: spread(values) for title, values in times.items()}
