"""The page: what was measured, and what it says."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from . import report
from .engines import OURS, REFERENCE
from .report import digits

_HEAD = """\
# Benchmarks

<!-- Written by `python -m benchmarks --write docs/benchmarks.md`; its words are in benchmarks/page.py. -->

Every number in the first table is a ratio: an engine's time for a step, divided by the time of hand-written NumPy,
the code that a lecture would show, in the same round of the same run. 1.0 is as fast as by hand; lower is better.
The engines take turns, each in its own process, a fresh one for each workload. Before anything is timed, its loss,
gradients and updated parameters are compared with the hand-written ones. A cell holds the median of the rounds and,
in brackets, their middle half. W1 and W8 are compared with plain Python floats, which an engine that records cannot
come near."""

_LEGEND = """\
"goal": the most that this project allows itself. "no": the engine has no such derivatives, or knows only single
numbers. "fails": it ends with an error. PyTorch uses its own kernels for convolutions and for the LSTM; the others
compose the LSTM of primitives, and this engine its convolutions of slices and a product. All are eager: nobody
compiles."""

_MEMORY = """\
## Memory of a step

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
python -m benchmarks --write docs/benchmarks.md
```

Peers that are not installed are left out. On a machine that others use, `--realtime` (as root) lets the timed steps go
before other programs.
"""


def page(out: dict[str, Any]) -> str:
    """The whole page, of the parts that were measured."""
    titles = out["titles"]
    versions = ", ".join(f"{titles[n]} {v}" for n, v in out["versions"].items() if n != REFERENCE)
    parts = [_HEAD.rstrip(), f"Measured on {out['cores']} cores without a GPU: Python {out['python']}, NumPy "
                             f"{out['numpy']}, {versions}; {out['rounds']} rounds."]
    if out.get("workloads"):
        parts += ["## Steps", report.workloads(out["workloads"], titles), _LEGEND, "## What the numbers say",
                  discussion(out["workloads"], titles)]
        if memory := report.footprints(out["workloads"], titles):
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
    ours = medians.get(OURS, {})
    if not ours:
        return ""
    said = []
    if level := [i for i, x in ours.items() if x <= 1.1]:
        said.append(f"As fast as by hand within a tenth, or faster: {_listed(level)}. There the time goes into "
                    "products and memory traffic, and what recording adds is lost in it.")
    if slower := [f"{i} ({digits(x)})" for i, x in ours.items() if x > 1.1]:
        said.append(f"Slower than by hand: {_listed(slower)}. The smaller the arrays, the more the cost of recording "
                    "shows: about a microsecond an operation whatever its size, and about as much on the way back.")
    said.append("\n".join(_against(titles[name], theirs, ours) for name, theirs in medians.items()
                          if theirs and name not in (REFERENCE, OURS)))
    missed = [f"{i} ({digits(x)}; goal {results[i]['goal']:g})" for i, x in ours.items()
              if results[i]["goal"] and x > results[i]["goal"]]
    said.append(f"Goals missed in this run: {_listed(missed)}." if missed else "Every goal was met in this run.")
    said.append("What eager mode over NumPy cannot do: fuse entrywise operations into one pass over memory, use two "
                "threads for them, run a convolution or an LSTM as one kernel, or multiply faster than NumPy does. Where "
                "PyTorch is ahead, that is why.")
    return "\n\n".join(filter(None, said))


def _against(title: str, theirs: dict[str, float], ours: dict[str, float]) -> str:
    """One peer, in one line: how many times faster or slower this engine is."""
    both = {i: theirs[i] / ours[i] for i in theirs if i in ours}
    faster = [f"{i} ({digits(x)}×)" for i, x in both.items() if x > 1.1]
    slower = [f"{i} ({digits(1 / x)}×)" for i, x in both.items() if x < 1 / 1.1]
    level = [i for i, x in both.items() if 1 / 1.1 <= x <= 1.1]
    groups = [("faster on", faster), ("slower on", slower), ("level on", level)]
    return f"- Against {title}: " + "; ".join(f"{word} {_listed(which)}" for word, which in groups if which) + "."
