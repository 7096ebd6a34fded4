"""The mean over examples in a program: how many there are, and which values have one entry for each.

Courses write dZ for m · ∂J/∂Z at values that every example has its own of, and 1/m where examples are summed. What
those values are is read off the program: the axis that the mean next to the output runs along is followed back through
the operations.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..program.program import Line, Name, Program
from ..tensor import Primitive

COUNT_NAMES = ("m", "M", "N", "n", "batch", "batch_size", "n_samples", "num_examples", "m_train")


@dataclass
class Examples:
    """The axis of examples: how many there are, what they are called, and which values have one entry for each."""

    count: int = 0
    symbol: str = "m"
    along: int = 0  # the size of the axis of examples; smaller than the count where the mean is over features too
    per_example: set[str] = field(default_factory=set)


def _size(program: Program, shapes: dict[str, tuple[int, ...]], x: Any) -> int:
    return math.prod(shapes[x]) if isinstance(x, Name) else 1


def examples_of(program: Program, shapes: dict[str, tuple[int, ...]]) -> Examples:
    """Find the mean over examples next to the output, and follow its axis back to the inputs."""
    lines = {line.name: line for line in program.lines if line.kind == "forward"}
    root = next(iter(program.outputs.values()))
    found: list[tuple[Name, tuple[int, ...], int]] = []  # what is summed, along which axes, and the count if known
    numbers: list[float] = []
    waiting: list[Any] = [root]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop(0)
        if not isinstance(name, Name) or name in seen or name not in lines:
            continue
        seen.add(name)
        line = lines[name]
        numbers += [float(x) for x in line.operands if not isinstance(x, Name) and np.ndim(x) == 0]
        large = [x for x in line.operands if isinstance(x, Name) and _size(program, shapes, x) > 1]
        if not large:
            waiting += list(line.uses())
            continue
        op, first = line.op.name, large[0]
        ndim = len(shapes[first])
        if op in ("mean", "sum"):
            axes = line.params.get("axis")
            axes = range(ndim) if axes is None else (axes,) if isinstance(axes, int) else axes
            axes = tuple(i % ndim for i in axes)
            axes = tuple(i for i in axes if shapes[first][i] > 1)
            found.append((first, axes, math.prod(shapes[first][i] for i in axes) if op == "mean" else 0))
        elif op == "matmul" and len(large) == 2:
            found.append((large[0], (ndim - 1,), 0))
            found.append((large[1], (max(len(shapes[large[1]]) - 2, 0),), 0))
        elif op == "squared_norm":
            found.append((first, tuple(i for i in range(ndim) if shapes[first][i] > 1), 0))
        elif line.op.name in ("reshape", "getitem", "sum_to"):
            waiting += list(line.uses())
    named = {k: v for k, v in program.numbers.items() if k in COUNT_NAMES and isinstance(v, int) and v > 1}
    counts: list[int] = [n for _, _, n in found if n > 1]
    for x, axes, n in found:
        sizes = [shapes[x][i] for i in axes]
        if not n:
            for size in (*sizes, math.prod(sizes)):
                written = any(_simple(v * size) or _simple(v / size) for v in numbers if v not in (0, 1, 2))
                if (size > 2 and written) or size in named.values():
                    counts.append(size)
    if not counts:
        return Examples()
    count = counts[0]
    symbol = next((k for k in COUNT_NAMES if named.get(k) == count), "m")
    start = []
    for x, axes, n in found:
        sizes = [shapes[x][i] for i in axes]
        if n == count or math.prod(sizes) == count:
            start.append((x, axes))
        elif count in sizes:
            start.append((x, (axes[sizes.index(count)],)))
    carried = {i: _carriers(program, lines, shapes, [(x, (i,))]) for x, axes in start[:1] for i in axes}
    wanted = {program.gradients[key] for key in program.outputs if key in program.gradients}
    x, axes = start[0]
    if len(axes) > 1:
        fewest = min(len(carried[i] & wanted) for i in axes)
        free = tuple(i for i in axes if len(carried[i] & wanted) == fewest)
        own = tuple(i for i in axes if shapes[x][i] in named.values())
        axes = own if own and fewest else free
        start = [(x, axes)]
    along = math.prod(shapes[x][i] for i in axes)
    if along != count and symbol == "m":
        symbol = "N"
    return Examples(count, symbol, along, _carriers(program, lines, shapes, start))


def _simple(x: float) -> bool:
    return abs(x) in (0.5, 1.0, 2.0)


def _carriers(program: Program, lines: dict[Name, Line], shapes: dict[str, tuple[int, ...]],
              start: Iterable[tuple[Name, tuple[int, ...]]]) -> set[str]:
    """The values that have the axis of examples, which starts at the given axes of what is averaged."""
    axes: dict[str, set[int]] = {}
    for name, own in start:
        axes.setdefault(name, set()).update(own)
    for line in reversed(list(lines.values())):
        out = axes.get(line.name)
        if not out:
            continue
        given = [shapes[x] if isinstance(x, Name) else np.shape(x) for x in line.operands]
        for i, x in enumerate(line.operands):
            if isinstance(x, Name) and shapes[x]:
                along = {k for j in out for k in axes_in_operand(line.op, line.params, given, line.shape, i, j)
                         if shapes[x][k] == line.shape[j]}
                if along:
                    axes.setdefault(x, set()).update(along)
    return set(axes)


def axes_in_operand(primitive: Primitive, params: Mapping[str, Any], given: Sequence[tuple[int, ...]], made: tuple[int, ...],
                    which: int, j: int) -> Sequence[int]:
    """Which axes of an operand axis j of the result runs along; none where nobody can say.

    given, made : the shapes of the operands and of the result.
    """
    op, shape = primitive.name, given[which]
    ndim, out = len(shape), len(made)
    if primitive.kind == "pointwise" or op in ("broadcast_to", "where"):
        i = j - (out - ndim)
        return (i,) if i >= 0 else ()
    if op == "matmul":
        vector = len(given[1 - which]) == 1
        if which == 0:
            last = ndim - 2
            place = out - 1 if vector else out - 2
            return (last,) if ndim >= 2 and j == place else (j,) if ndim > 2 and j < place else ()
        place = out - 1
        return (ndim - 1,) if ndim >= 2 and j == place else (j,) if ndim > 2 and j < out - 2 else ()
    if op == "transpose":
        axes = params.get("axes")
        return (ndim - 1 - j if axes is None else axes[j],)
    if op == "einsum":
        letter = params["output"][j]
        return tuple(k for k, c in enumerate(params["inputs"][which]) if c == letter)
    if "axis" in params and op not in ("softmax", "log_softmax", "concatenate", "stack", "flip", "roll"):
        axis = params["axis"]
        reduced = range(ndim) if axis is None else [i % ndim for i in (axis if isinstance(axis, tuple) else (axis,))]
        if ndim == out:
            return (j,)
        left = [i for i in range(ndim) if i not in reduced]
        return (left[j],) if j < len(left) else ()
    if op == "stack":
        axis = params["axis"]
        return (j - (j > axis),) if j != axis else ()
    if op in ("reshape", "sum_to"):
        before = math.prod(made[:j])
        return [i for i in range(ndim) if math.prod(shape[:i]) == before and shape[i] == made[j]][-1:]
    if op in ("getitem", "gather"):
        index = params["index"]
        parts = index if isinstance(index, tuple) else (index,)
        if not all(isinstance(p, (slice, int)) for p in parts):
            return ()
        left = [i for i in range(ndim) if i >= len(parts) or isinstance(parts[i], slice)]
        return (left[j],) if j < len(left) else ()
    return (j,) if ndim == out else ()
