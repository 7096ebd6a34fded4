"""The page: what was measured, and what it says."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from . import report
from .engines import COMPILED, JITTED, OURS, REFERENCE
from .report import digits
from .workloads import FURTHER

_HEAD = """\
# Benchmarks

<!-- Written by `python -m benchmarks --write docs/benchmarks.md`; its words are in benchmarks/page.py. -->

Every number in the first table is a ratio: an engine's time for a step, divided by the time of hand-written NumPy,
the code that a lecture would show, in the same round of the same run. 1.0 is as fast as by hand; lower is better.
The engines take turns, each in its own process, a fresh one for each workload. Before anything is timed, its loss,
gradients and updated parameters are compared with the hand-written ones. W1 and W8 are compared with plain Python
floats, which an engine that records cannot come near."""

_LEGEND = """\
"tinygrad_edu" is eager, as users write it: `value_and_grad` and its kin. "tinygrad_edu, jit" is the same cost under
`tg.jit`: a training step is one compiled function, update included, `jit(step, donate=("params",))`. Where every step
sees all the data (W2, W3, W4, W15, W16), data that never change are declared constant, as JAX's arrays are: `constant=`
makes them read-only, and may hold them in another order, or what follows from them, a second time. "goal": the most
that this project allows itself. "no": the engine has no such derivatives, knows only single numbers, takes a minute
to compile them (JAX on W1), or was not given the program. "fails": it ends with an error. PyTorch is eager and uses
its own kernels for convolutions and for the LSTM; JAX compiles every step, with loops over time as lax.scan; the
others compose the LSTM of primitives, and this engine its convolutions of slices and a product."""

_FURTHER = """\
## Further programs

Programs of other kinds, sizes and layouts, without goals: they show what a program of one's own may expect. By hand
they are what a lecture would show, forward, backward and update."""

_ALLOCATED = """\
## Memory of a compiled step

MB of arrays at most while steps run, parameters and all that the engine keeps included, counted by tracemalloc after
the steps in which a compiled function is made. The data are not counted, but what is held of constant data in another
order is: on W2 they are declared constant, and a second copy of X is kept in the order that the product reads fastest
(`without=("layouts",)` keeps none). The last column is what a compiled function holds besides arrays: its code, and the
record for `.source` and `.report()`."""

_COMPILING = """\
## Compiling

The first call of a compiled function records it, which gives the call's result; records it a second time on other
numbers, large arrays by stand-ins of one number, to see that it does the same; and compiles the record, update included.
"compiling" is that call without the one computation. The goal is 10 ms for every 100 operations begun; a millisecond or
two do not depend on the length. On W2 a second copy of X is part of it, on W6 the memory for all that lies between."""

_SIZES = """\
## Width, depth, examples

Training steps of one network of tanh layers, examples in columns."""

_SPEED = "<!-- speed: written by python -m benchmarks --write docs/benchmarks.md -->", "<!-- speed ends -->"

_MEMORY = """\
## Memory of an eager step

MB that three steps need at most, beyond the program, the data and the parameters. Steps that need less than 5 MB in
every engine are left out."""

_RECORDING = """\
## Recording an operation

The time of NumPy alone; of the same operation on Tensors; and of backward() through this one operation, which
includes setting up the walk."""

_SCALING = """\
## Many nodes

A chain of operations on single numbers, forward and backward, once, each size in a fresh process: the time per node,
and the memory of the whole chain. In short chains that is mostly what the allocator takes in one go. A peer's larger
sizes are left out where its smaller ones foretell more than a quarter of a minute."""

_IMPORT = """\
## Import

Fresh processes, in turns."""

_AGAIN = """\
## Again

```text
python -m benchmarks                             everything, as tables
python -m benchmarks --workload W3,W5 --rounds 9
python -m benchmarks --runs 3 --write docs/benchmarks.md
```

Peers that are not installed are left out. On a machine that others use, `--realtime` (as root) lets the timed steps go
before other programs.
"""


def page(out: dict[str, Any]) -> str:
    """The whole page, of the parts that were measured."""
    titles = out["titles"]
    versions = ", ".join(f"{titles[n]} {v}" for n, v in out["versions"].items()
                         if n not in (REFERENCE, COMPILED))
    runs, rounds = out.get("runs", 1), out["rounds"]
    cells = (f"{runs} runs of {rounds} rounds. A cell holds the median of the runs' medians and, in brackets, the least and "
             "the greatest of them." if runs > 1 else f"{rounds} rounds. A cell holds the median of the rounds and, in "
             "brackets, their middle half.")
    parts = [_HEAD.rstrip(), f"Measured on {out['cores']} cores without a GPU: Python {out['python']}, NumPy "
                             f"{out['numpy']}, {versions}; {cells}"]
    if done := out.get("workloads"):
        usual = {i: r for i, r in done.items() if i not in FURTHER}
        further = {i: r for i, r in done.items() if i in FURTHER}
        if usual:
            parts += ["## Steps", report.workloads(usual, titles), _LEGEND]
        if further:
            parts += [_FURTHER, report.workloads(further, titles)]
        parts += ["## What the numbers say", discussion(done, titles)]
    if out.get("memory"):
        parts += [_ALLOCATED, report.allocation(out["memory"], titles)]
    if out.get("compiling"):
        parts += [_COMPILING, report.compiling(out["compiling"])]
    if out.get("sizes"):
        parts += [_SIZES, report.sizes(out["sizes"], titles)]
    if done and (memory := report.footprints(done, titles)):
        parts += [_MEMORY, memory]
    if out.get("recording"):
        parts += [_RECORDING, report.recording(out["recording"])]
    if out.get("scaling"):
        parts += [_SCALING, report.scaling(out["scaling"], titles), largest(out["scaling"])]
    if out.get("import"):
        parts += [_IMPORT, report.imports(out["import"])]
    return "\n\n".join([*map(_filled, filter(None, parts)), _AGAIN])


def _filled(text: str) -> str:
    """Prose in lines of the usual length; everything else as it is."""
    lines = [line if line.startswith(("|", "#", "<!--")) or len(line) <= 120 else
             textwrap.fill(line, 116, subsequent_indent="  " if line.startswith("- ") else "", break_on_hyphens=False,
                           break_long_words=False) for line in text.split("\n")]
    return "\n".join(lines)


def _spaced(n: Any) -> str:
    return f"{int(n):,}".replace(",", " ")


def largest(results: dict[str, Any]) -> str:
    """The largest graph, and how the cost of a node grows."""
    done = {int(n): r for n, r in results.get(OURS, {}).items() if "seconds" in r}
    if not done:
        return ""
    most = done[max(done)]
    per = [r["microseconds_per_node"] for r in done.values()]
    return (f"{_spaced(max(done))} operations, forward and backward, take this engine {most['seconds']:.1f} s and "
            f"{most['megabytes']:.0f} MB. Between {_spaced(min(done))} nodes and that, the dearest node costs "
            f"{max(per) / min(per):.1f} times the cheapest. Nothing recurses, so no graph is too deep.")


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items[:-1]) + " and " + items[-1] if len(items) > 1 else "".join(items)


def discussion(results: dict[str, Any], titles: dict[str, str]) -> str:
    """What the ratios say, in sentences that follow from them."""
    medians = {name: {i: r["engines"][name]["ratio"]["median"] for i, r in results.items()
                      if "ratio" in r["engines"].get(name, {})} for name in titles}
    eager, compiled = medians.get(OURS, {}), medians.get(COMPILED, {})
    said = []
    if level := [i for i, x in eager.items() if x <= 1.1]:
        said.append(f"Eager, as fast as by hand within a tenth, or faster: {_listed(level)}. There the time goes into "
                    "products and memory traffic, and what recording adds is lost in it.")
    if slower := [f"{i} ({digits(x)})" for i, x in eager.items() if x > 1.1]:
        said.append(f"Eager, slower than by hand: {_listed(slower)}. The smaller the arrays, the more the cost of recording "
                    "shows: about a microsecond an operation whatever its size, and about as much on the way back.")
    if faster := [f"{i} ({digits(x)})" for i, x in compiled.items() if x < 1]:
        said.append(f"Compiled, faster than by hand: {_listed(faster)}.")
    if slower := [f"{i} ({digits(x)})" for i, x in compiled.items() if x >= 1]:
        said.append(f"Compiled, no faster than by hand: {_listed(slower)}.")
    peers = [n for n in medians if medians[n] and n not in (REFERENCE, OURS, COMPILED)]
    lines = [_against(titles[n], medians[n], eager, "eager") for n in peers if eager and n not in JITTED]
    lines += [_against(titles[n], medians[n], compiled, "compiled") for n in peers if compiled]
    said.append("\n".join(lines))
    for mode, ours, key in (("eager", eager, "goal"), ("compiled", compiled, "compiled_goal")):
        missed = [f"{i} ({digits(x)}; goal {results[i][key]:g})" for i, x in ours.items()
                  if results[i].get(key) and x > results[i][key]]
        if missed:
            said.append(f"Goals missed in this measurement, {mode}: {_listed(missed)}.")
        elif any(results[i].get(key) for i in ours):
            said.append(f"Every {mode} goal was met in this measurement.")
    return "\n\n".join(filter(None, said))


def _against(title: str, theirs: dict[str, float], ours: dict[str, float], mode: str) -> str:
    """One peer, in one line: how many times faster or slower this engine is."""
    both = {i: theirs[i] / ours[i] for i in theirs if i in ours}
    faster = [f"{i} ({digits(x)}×)" for i, x in both.items() if x > 1.1]
    slower = [f"{i} ({digits(1 / x)}×)" for i, x in both.items() if x < 1 / 1.1]
    level = [i for i, x in both.items() if 1 / 1.1 <= x <= 1.1]
    groups = [("faster on", faster), ("slower on", slower), ("level on", level)]
    return f"- Against {title}, {mode}: " + "; ".join(f"{word} {_listed(which)}" for word, which in groups if which) + "."


def summarised(readme: str, out: dict[str, Any]) -> str:
    """The README with its table of speed written anew, between the two marks."""
    start, end = _SPEED
    before, found, rest = readme.partition(start)
    usual = {i: r for i, r in out.get("workloads", {}).items() if i not in FURTHER}
    if not found or end not in rest or not usual:
        return readme
    others = [r["engines"][COMPILED]["ratio"]["median"] for i, r in out["workloads"].items()
              if i in FURTHER and "ratio" in r["engines"].get(COMPILED, {})]
    text = [start, report.speed(usual, out["titles"])]
    if others:
        text.append(f"On {len(others)} further programs (attention, batch normalisation, GRU, mixtures, Adam, ...) compiled "
                    f"steps take {digits(min(others))} to {digits(max(others))} of the hand-written time.")
    return before + "\n\n".join([text[0], *map(_filled, text[1:])]) + "\n\n" + end + rest.partition(end)[2]
