"""Regions as source: a function that takes its arrays a block of rows at a time, and the memory that a block needs.

The slices of memory that stays are made once. Values that only the region needs live in scratch memory of one block, each
thread with its own. A reduction over all rows keeps a result for every block, and joins these in their order, so that
numbers do not depend on how many threads there were.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from .algebra import is_entrywise
from .expand import GATE, ufunc_of
from .fuse import BLOCKED, PART, Region, body, crosses, cut, is_total, reduced_axes
from .places import PLACE
from .program import Line, Name, Program

Emitter = Any  # emit.Emitter, which imports this file
LINE = 64  # bytes that the cache takes at once
BITS = {"float32": "int32", "float64": "int64"}  # the integers as wide
name_of_dtype = functools.cache(lambda dtype: np.dtype(dtype).name)  # which NumPy puts together anew each time


# ---------------------------------------------------------------- at run time


def in_blocks(rows: int, step: int, threads: int, slots: Sequence[int], scratch: Sequence[Any], arrays: Sequence[ndarray],
              partial: Sequence[ndarray], summed: int = 0) -> list[list[tuple[Any, ...]]]:
    """For every thread a tuple for every block: start, stop, views of scratch memory, slices of arrays, entries of partial.

    slots : bytes per row of every piece of scratch memory. scratch : which slot, the shape of a row, the dtype. arrays : are
    cut into `step` rows at a time. partial : have one entry for every block, or for every `summed` rows: then a block has
    a list of entries, each with the rows that are summed there.
    """
    def entries(array: ndarray, k: int) -> Any:
        if not summed:
            return array[k, ...]
        each = step // summed
        last = min(each, len(array) - k * each)
        return [(array[k * each + j, ...], slice(j * summed, (j + 1) * summed)) for j in range(last)]

    starts = range(0, rows, step)
    cuts = [tuple(array[start : start + step] for array in arrays) for start in starts]
    found = []
    for _ in range(threads):
        memory = [aligned((size * step,), np.uint8) for size in slots]
        views: dict[int, tuple[Any, ...]] = {}
        blocks = []
        for k, start in enumerate(starts):
            count = min(step, rows - start)
            if count not in views:
                views[count] = tuple(_view(memory[slot], (count, *row), dtype) for slot, row, dtype in scratch)
            blocks.append((start, start + count, *views[count], *cuts[k], *[entries(array, k) for array in partial]))
        found.append(blocks)
    return found


def aligned(shape: tuple[int, ...], dtype: Any) -> ndarray:
    """A new array that begins where a line of the cache does: sums and products of such arrays take half the time."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.empty(size + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    array: ndarray = raw[start : start + size].view(dtype).reshape(shape)
    return array


def _view(memory: ndarray, shape: tuple[int, ...], dtype: Any) -> ndarray:
    view: ndarray = memory[: math.prod(shape) * np.dtype(dtype).itemsize].view(dtype).reshape(shape)
    return view


# ---------------------------------------------------------------- bits: an exact choice between numbers

def bits_of(e: Emitter, name: str) -> str:
    """Text for an array's bits as integers."""
    integer = BITS[name_of_dtype(e.dtypes[name])]
    if name not in e.static:
        return f"{name}.view({e._function(integer, f'np.{integer}')})"
    if name not in e.bits:
        e.bits[name] = fresh(e, f"{name}_bits")
        e.prologue.append(f"{e.bits[name]} = {name}.view(np.{integer})")
    return str(e.bits[name])


def chosen(e: Emitter, line: Line) -> tuple[Any, Any, Any] | None:
    """(condition, a, b) of a choice that can be made by bits: times one or zero, or through an exclusive or."""
    c, a, b = (line.operands[1], line.operands[0], 0.0) if line.op is GATE else line.operands
    dtype = np.dtype(line.dtype)
    if name_of_dtype(dtype) not in BITS or not isinstance(c, Name) or e.dtypes[c] != np.bool_:
        return None
    for x in (a, b):
        if isinstance(x, Name):
            if not e.shapes[x] or e.dtypes[x] != dtype:
                return None
        elif isinstance(x, (bool, np.bool_)) or not isinstance(x, (int, float, np.number)):
            return None
    if not isinstance(a, Name) and not isinstance(b, Name):
        return None
    return c, a, b


def choice(e: Emitter, line: Line, found: tuple[Any, Any, Any], bits: Any, text: Any, out: str) -> list[str]:
    """Calls that choose exactly; `bits` gives text for an operand's bits, `out` is text for those of the result."""
    c, a, b = found
    multiply = e._function("multiply", "np.multiply")
    if not isinstance(b, Name) and _number_bits(b, line) == 0:
        return [f"{multiply}({bits(a)}, {text(c)}, {out})"]
    xor = e._function("bitwise_xor", "np.bitwise_xor")
    a_bits, b_bits = (bits(x) if isinstance(x, Name) else _held_bits(e, x, line) for x in (a, b))
    if not isinstance(a, Name) and _number_bits(a, line) == 0:
        return [f"{multiply}({b_bits}, {text(c)}, {out})", f"{xor}({out}, {b_bits}, {out})"]
    return [f"{xor}({a_bits}, {b_bits}, {out})", f"{multiply}({out}, {text(c)}, {out})", f"{xor}({out}, {b_bits}, {out})"]


def _number_bits(x: Any, line: Line) -> int:
    return int(np.array(x, line.dtype).view(BITS[name_of_dtype(line.dtype)]))


def _held_bits(e: Emitter, x: Any, line: Line) -> str:
    key = (str(_number_bits(x, line)), BITS[name_of_dtype(line.dtype)])
    if key not in e.numbers:
        e.numbers[key] = fresh(e, f"n{len(e.numbers) + 1}")
    return str(e.numbers[key])


def fresh(e: Emitter, wanted: str) -> str:
    """A name that nothing has yet."""
    name, k = wanted, 2
    while name in e.taken:
        name, k = f"{wanted}_{k}", k + 1
    e.taken.add(name)
    return name


# ---------------------------------------------------------------- what the emitter must know beforehand


def inner_lines(program: Program) -> list[Line]:
    """The lines inside of regions."""
    return [inner for line in program.lines if line.op is BLOCKED for inner in line.params["region"].lines]


def part_writes_over(e: Emitter, part: Line, target: str) -> bool:
    """Whether a region's value can be written over an operand of it: nothing reads the rows after they are written."""
    line = e.line_of[str(part.operands[0])]
    region: Region = line.params["region"]
    lines = body(line)
    at = next(k for k, x in enumerate(lines) if x.name == part.params["of"])
    made = lines[at]
    if not is_entrywise(made) or tuple(made.shape) != region.shape:
        return False
    for k, x in enumerate(lines):
        for name in x.uses():
            if e.root.get(str(name)) == e.root[target] and (
                    e.shapes[name] != made.shape or not _same_memory(e, str(name), target) or k > at or (
                    k == at and ufunc_of(made.op) is None and made.op is not GATE)):
                return False
    return True


def _same_memory(e: Emitter, name: str, target: str) -> bool:
    """Whether a value is the target, entry by entry."""
    while name != target:
        line = e.line_of.get(name)
        if line is None or line.op.name != "identity":
            return False
        name = str(line.operands[0])
    return True


# ---------------------------------------------------------------- one region


class _Block:
    def __init__(self, e: Emitter, line: Line, i: int) -> None:
        self.e, self.line, self.i = e, line, i
        self.region: Region = line.params["region"]
        self.lines = body(line)
        self.inside = {str(x.name): x for x in self.lines}
        self.part = {x.params["of"]: x for x in e.program.lines if x.op is PART and x.operands[0] == line.name}
        self.last = {str(x): k for k, inner in enumerate(self.lines) for x in inner.uses()}
        self.blocks = -(-self.region.rows // self.region.step)
        self.count = -(-self.region.rows // self.region.summed)  # of sums
        self.several = self.region.summed < self.region.step  # sums in a block
        self.name: dict[str, str] = {}  # what a value is called inside the loop
        self.bits: dict[str, str] = {}
        self.slots: list[int] = []
        self.scratch: list[tuple[str, int, tuple[int, ...], str]] = []  # name, slot, shape of a row, dtype
        self.arrays: list[tuple[str, str]] = []  # name of a slice, static array
        self.partial: list[tuple[str, str, str]] = []  # name of an entry, array with one for every block, value
        self.moving: list[tuple[str, str]] = []  # name of a slice, array that is new in every step
        self.arguments: dict[str, str] = {}  # what is new in every step: the name in the region, its text in the step
        self.calls: list[str] = []

    def write(self) -> None:
        e = self.e
        self._outputs()
        self._operands()
        self._body()
        step, region = self.region.step, self.region
        name = str(self.line.name)
        blocks = fresh(e, f"blocks_of_{name}")
        slots = ", ".join(map(str, self.slots)) + ("," if len(self.slots) == 1 else "")
        scratch = [f"({slot}, {_tuple(row)}, {e._np(dtype)})" for _, slot, row, dtype in self.scratch]
        e.prologue += [f"{blocks} = in_blocks({region.rows}, {step}, {region.threads}, ({slots}),",
                       *_wrapped(scratch, "    (", "),"),
                       *_wrapped([array for _, array in self.arrays], "    (", "),"),
                       *_wrapped([array for _, array, _ in self.partial], "    (",
                                 f"), {region.summed})" if self.several else "))")]
        names = ["start", "stop", *(x[0] for x in self.scratch), *(x for x, _ in self.arrays), *(x for x, _, _ in self.partial)]
        e.prologue += ["", f"def {name}({', '.join(['blocks', 'turns', *self.arguments])}):", "    for turn in turns:",
                       *_wrapped(names, "        (", ") = blocks[turn]"),
                       *[f"        {new} = {array}[start:stop]" for new, array in self.moving],
                       *[f"        {text}" for text in self.calls], ""]
        e.body.append(f"in_threads({', '.join([name, blocks, *self.arguments.values()])})")
        e.calls += len(self.calls) * self.blocks
        e.extra += sum(self.slots) * step * region.threads
        self._join()

    # -- operands and results

    def _outputs(self) -> None:
        """Memory for what is used later."""
        e, taken = self.e, set()
        for formal in self.region.outputs:
            part, made = self.part.get(formal), self.inside[str(formal)]
            if part is None:
                continue  # a pass has found that nobody needs it after all
            if not is_entrywise(made) and crosses(made, self.region.shape, self.region.split):
                shape = self._rest(made)
                array = fresh(e, f"{formal}_of_blocks")
                e.prologue.append(f"{array} = np.empty({(self.count, *shape)!r}, {e._np(name_of_dtype(made.dtype))})")
                e.extra += self.count * math.prod(shape) * np.dtype(made.dtype).itemsize
                self.name[formal] = fresh(e, f"{formal}_block")
                self.partial.append((self.name[formal], array, str(formal)))
                continue
            dying = [str(x) for x in self.line.uses() if x not in taken and e.root[x] == x and e.last.get(x) == self.i and sum(
                e.root.get(str(y)) == x for y in self.line.uses()) == 1 and part_writes_over(e, part, str(x))]
            held = set(e.slot)
            place = e._place(part, self.i, dying)
            moved = [x for x in dying if x in held and x not in e.slot]  # the operand whose memory it is now
            if place is None:
                e.body.append(f"{part.name} = aligned({_tuple(made.shape)}, {e._np(name_of_dtype(made.dtype))})")
            else:
                e.static.add(place)
                taken.update(moved)
            self.name[formal] = self._slice(str(part.name), tuple(made.shape))
            over = e.over.get(str(part.name)) or next(iter(moved), None)
            self._lend(made, self.name[formal], -1 if over is None else max((k for k, line in enumerate(self.lines) if any(
                e.root.get(str(x)) == e.root[over] for x in line.uses())), default=-1))

    def _lend(self, made: Line, name: str, read: int) -> None:
        """A result's own memory holds what the result is made of, until then: a piece of scratch memory less.

        Where that memory is an operand's, the line numbered `read` is the last that needs the operand.
        """
        while ufunc_of(made.op) is not None or made.op is GATE:
            at = self.lines.index(made)
            found = [x for x in dict.fromkeys(map(str, made.uses())) if x in self.inside and x not in self.name and x not in
                     self.region.outputs and self.last[x] == at and self.inside[x].shape == made.shape
                     and self.inside[x].dtype == made.dtype and self._may_overwrite(x, read)]
            if not found:
                return
            made = min((self.inside[x] for x in found), key=self.lines.index)  # what would take scratch memory longest
            self.name[str(made.name)] = name

    def _may_overwrite(self, x: str, read: int) -> bool:
        at = self.lines.index(self.inside[x])
        return at > read or (at == read and (ufunc_of(self.inside[x].op) is not None or self.inside[x].op is GATE))

    def _rest(self, made: Line) -> tuple[int, ...]:
        """What a reduction over all rows leaves of the shape."""
        if is_total(made):
            return ()
        axes = reduced_axes(made, self.region.shape)
        return tuple(n for k, n in enumerate(self.region.shape) if k not in axes)

    def _operands(self) -> None:
        for x in dict.fromkeys(x for line in self.lines for x in line.uses() if x not in self.inside):
            shape = self.e.shapes[x]
            if shape and cut(shape, self.region.shape, self.region.split) == "rows":
                self.name[x] = self._slice(str(x), shape)
            else:
                self.name[x] = self._whole(str(x), shape)

    def _padded(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a block's row."""
        ndim = len(self.region.shape)
        return ((1,) * (ndim - len(shape)) + tuple(shape))[self.region.split :] if len(shape) <= ndim else ()

    def _slice(self, x: str, shape: tuple[int, ...]) -> str:
        e = self.e
        if len(shape) < len(self.region.shape) and tuple(shape[: self.region.split]) == self.region.shape[: self.region.split]:
            row = tuple(shape[self.region.split :])  # sums of rows, the axes gone
        else:
            row = self._padded(shape)
        rows, static = x, x in e.static
        if (self.region.rows, *row) != tuple(shape):
            rows = fresh(e, f"{x}_rows")
            text = f"{rows} = {x}.reshape({_tuple((self.region.rows, *row))})"
            static = static and self._is_contiguous(x)
            (e.prologue if static else e.body).append(text)
        name = fresh(e, f"{x}_block")
        if static:
            self.arrays.append((name, rows))
        else:
            self.arguments[rows] = rows
            self.moving.append((name, rows))
        return name

    def _whole(self, x: str, shape: tuple[int, ...]) -> str:
        e = self.e
        row, name, static = self._padded(shape), x, x in e.static
        if self.region.split > 1 and len(shape) > len(self.region.shape) - self.region.split:
            name = fresh(e, f"{x}_row")
            static = static and self._is_contiguous(x)
            (e.prologue if static else e.body).append(f"{name} = {x}.reshape({_tuple(row)})")
        if not static:
            self.arguments[name] = name
        return name

    def _is_contiguous(self, x: str) -> bool:
        e = self.e
        placed = e.preplaced.get(x)
        return e.contiguous.get(x, False) and (placed is None or e.line_of[placed[0]].op is not PLACE)

    # -- the lines of the loop

    def _body(self) -> None:
        at: dict[str, int] = {}  # value -> its slot
        free: list[int] = []
        for k, made in enumerate(self.lines):
            name = str(made.name)
            dying = [x for x in dict.fromkeys(map(str, made.uses())) if x in at and self.last[x] == k]
            if name not in self.name:
                same = [x for x in dying if self.inside[x].shape == made.shape and self.inside[x].dtype == made.dtype]
                if same and (ufunc_of(made.op) is not None or made.op is GATE):
                    at[name] = at.pop(same[0])
                    dying.remove(same[0])
                else:
                    at[name] = self._slot(free, math.prod(self._row(made)) * np.dtype(made.dtype).itemsize)
                self.name[name] = name
                self.scratch.append((name, at[name], self._row(made), name_of_dtype(made.dtype)))
            self._line(made)
            if name in at and name not in self.last:
                free.append(at.pop(name))
            for x in dying:
                free.append(at.pop(x))

    def _slot(self, free: list[int], size: int) -> int:
        fitting = [slot for slot in free if self.slots[slot] == size] or [
            slot for slot in free if size <= self.slots[slot] <= 8 * size]
        if fitting:
            free.remove(fitting[-1])  # the one written last is the one still in the cache
            return fitting[-1]
        self.slots.append(size)
        return len(self.slots) - 1

    def _row(self, made: Line) -> tuple[int, ...]:
        return tuple(made.shape[self.region.split :])

    def _operand(self, x: Any, made: Line) -> str:
        return self.name[x] if isinstance(x, Name) else self.e._operand(x, made)

    def _bits(self, x: Any) -> str:
        name = self.name[str(x)]
        found = next((entry for entry in self.scratch if entry[0] == name), None)
        integer = BITS[self.e.dtypes[x].name]
        if found is None:
            return f"{name}.view({self.e._function(integer, f'np.{integer}')})"
        if name not in self.bits:
            self.bits[name] = fresh(self.e, f"{name}_bits")
            self.scratch.append((self.bits[name], found[1], found[2], integer))
        return self.bits[name]

    def _line(self, made: Line) -> None:
        e, out = self.e, self.name[str(made.name)]
        if not is_entrywise(made):
            joined = crosses(made, self.region.shape, self.region.split)
            if joined and self.several:
                self.calls += [f"for part, own in {out}:", f"    {self._reduction(made, 'part', '[own]')}"]
            else:
                self.calls.append(self._reduction(made, out))
            return
        operands = [self._operand(x, made) for x in made.operands]
        ufunc = ufunc_of(made.op)
        if ufunc is np.multiply and operands[0] == operands[1] and made.dtype != bool:
            ufunc, operands = np.square, operands[:1]  # reads half as much
        if ufunc is not None:
            how = f"out={out}" if ufunc in (np.maximum, np.minimum) else out
            self.calls.append(f"{e._function(ufunc.__name__, f'np.{ufunc.__name__}')}({', '.join(operands)}, {how})")
            return
        found = chosen(e, made)
        if found is not None:
            self.calls += choice(e, made, found, self._bits, lambda x: self._operand(x, made), self._bits(made.name))
            return
        copyto = e._function("copyto", "np.copyto")
        c, a, b = (operands[1], operands[0], "0") if made.op is GATE else operands
        self.calls.append(f"{copyto}({out}, {e._function('where', 'np.where')}({c}, {a}, {b}))")

    def _reduction(self, made: Line, out: str, rows: str = "") -> str:
        e, operands = self.e, [self._operand(x, made) + rows for x in made.operands]
        if made.op.name == "squared_norm":
            return f"{out}[()] = {e._function('squared_norm', e._held_function(made.op.forward))}({operands[0]})"
        if made.op.name == "matmul":
            return f"{out}[()] = {e._function('dot', 'np.dot')}({', '.join(operands)})"
        split, ufunc = self.region.split, made.op.name.partition(".")[0]
        joined = crosses(made, self.region.shape, split)
        axes = tuple(a - split + 1 for a in reduced_axes(made, self.region.shape) if a >= split)
        axes = (0, *axes) if joined else axes
        kept = ", True" if made.params.get("keepdims") and not joined else ""
        name = e._function(f"{ufunc}_reduce", f"np.{ufunc}.reduce")
        return f"{name}({operands[0]}, {axes[0] if len(axes) == 1 else axes}, None, {out}{kept})"

    def _join(self) -> None:
        """One result of those of all blocks, in their order."""
        e = self.e
        for _, array, formal in self.partial:
            made, part = self.inside[formal], self.part[formal]
            ufunc = "add" if is_total(made) else made.op.name.partition(".")[0]
            reduce = e._function(f"{ufunc}_reduce", f"np.{ufunc}.reduce")
            e.calls += 1
            if not made.shape:
                e.body.append(f"{part.name} = {reduce}({array})")
                continue
            if self._rest(made) != tuple(made.shape):
                shaped = fresh(e, f"{array}_kept")
                e.prologue.append(f"{shaped} = {array}.reshape({_tuple((self.count, *made.shape))})")
                array = shaped
            place = e._place(part, self.i, ())
            if place is None:
                e.body.append(f"{part.name} = {reduce}({array}, 0)")
            else:
                e.static.add(place)
                e.body.append(f"{reduce}({array}, 0, None, {place})")


def _tuple(shape: Sequence[int]) -> str:
    return f"({shape[0]},)" if len(shape) == 1 else f"({', '.join(map(str, shape))})"


def _wrapped(items: Sequence[str], before: str, after: str, width: int = 116) -> list[str]:
    """Items between brackets, on as many lines as they need."""
    text, lines, indent = before, [], " " * len(before)
    for item in items:
        if len(text) + len(item) + 2 > width:
            lines.append(text.rstrip())
            text = indent
        text += item + ", "
    if len(items) == 1:
        return [*lines, f"{text.rstrip()}{after}"]
    return [*lines, (text[:-2] if items else text) + after]


def write_region(e: Emitter, line: Line, i: int) -> None:
    """Write a region: its memory and its function beforehand, the call in the step, and what joins the blocks' sums."""
    _Block(e, line, i).write()


__all__ = ["aligned", "bits_of", "choice", "chosen", "in_blocks", "inner_lines", "part_writes_over", "write_region"]
