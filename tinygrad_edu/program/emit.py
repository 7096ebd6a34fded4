"""A program as the source of a Python function: NumPy calls that write into memory planned beforehand.

Every array in between gets a place in memory, used again as soon as nothing needs what is there; views are made once;
what is returned is made anew on every call, so that nobody holds the function's own memory.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from ..rules import TABLE
from .algebra import dtypes_of, shapes_of
from .big_products import OneThreadEach, SplitProduct, worth_splitting
from .blocks import aligned, in_blocks, inner_lines, name_of_dtype, write_region
from .donate import FLAT
from .expand import ufunc_of
from .fuse import BLOCKED, PART
from .lifetimes import Lifetimes, may_view, updates_last
from .places import PLACE
from .program import Line, Name, Program, names_in
from .workers import in_threads
from .writers import WRITERS, OtherShapeError, of_shape, shape_text, write_reduction, write_ufunc

ALIGNMENT = 64  # bytes; what vector instructions like


@dataclass
class Code:
    """The source of a compiled function.

    text : Python code of a function `build(**held)` that allocates and returns the step. held : the objects it is given:
    captured arrays, and functions without a NumPy name. memory : bytes that are kept between calls. unplanned : bytes that
    would be allocated in every call without a plan. calls : NumPy calls in a step.
    """

    text: str
    held: dict[str, Any]
    memory: int
    unplanned: int
    calls: int
    stateless: bool = False  # whether one step serves any number of threads at once


class Emitter(Lifetimes):
    """One program on its way to source."""

    def __init__(self, program: Program, plan_memory: bool = True, copy: bool = True, threads: int = 1) -> None:
        self.program = program = updates_last(program)
        self.plan_memory, self.copy, self.threads = plan_memory, copy, threads
        self.shapes, self.dtypes = shapes_of(program), dtypes_of(program)
        self.line_of = program.line_of
        self.held: dict[str, Any] = {str(name): value for name, value in program.constants.items()}
        self.functions: dict[str, str] = {}  # what the step calls, by the name it has there
        self.prologue: list[str] = []
        self.body: list[str] = []
        self.numbers: dict[Any, str] = {}
        self.checked: set[str] = set()  # labels
        self.calls = 0
        self.taken = {*(x.name for x in program.inputs), *program.constants, *self.line_of, "np"}
        self.results = {name for out in program.outputs.values() for name in names_in(out)}
        self.flat_of = {str(name): flat for flat in program.flats for name in flat.members}
        self.owned = {*self.flat_of, *[str(u.target) for u in program.updates]} & {str(x.name) for x in program.inputs}
        self.taken |= {str(flat.name) for flat in program.flats} | {f"{name}_given" for name in self.owned}
        self.split = worth_splitting([(self.shapes[a], self.shapes[b], line.dtype) for line in program.lines
                                      if line.op.name == "matmul" for a, b in [line.operands]
                                      if isinstance(a, Name) and isinstance(b, Name)], threads)
        self.bits: dict[str, str] = {}  # memory that is also read as integers
        self.lent: list[str] | None = None  # what others may have views of
        self.extra = 0  # bytes of memory beside the planned slots
        for inner in inner_lines(program):
            self.shapes.setdefault(inner.name, tuple(inner.shape))
            self.dtypes.setdefault(inner.name, np.dtype(inner.dtype))
            self.taken.add(inner.name)
        self.taken |= {"aligned", "in_blocks", "in_threads", "blocks", "turns", "turn", "start", "stop", "part", "own",
                       "memory", "own_memory"}
        self._roots()
        self._lifetimes()

    # -- memory

    def _place(self, line: Line, i: int, dying: Sequence[str]) -> str | None:
        """The name of the planned memory that a line's result goes to; None where it is made anew."""
        name = line.name
        if name in self.over:
            self.prologue.append(f"{name} = {self.over[name]}")
            return name
        if name in self.preplaced:
            whole, start = self.preplaced[name]
            self._whole(whole)
            if self.line_of[whole].op is PLACE:
                self.prologue.append(f"{name} = {whole}[{self._index(self.line_of[whole].params['indices'][start])}]")
                return name
            size = math.prod(line.shape)
            self.prologue.append(f"{name} = {whole}[{start}:{start + size}].reshape({shape_text(line.shape)})")
            return name
        if not self.plan_memory or name in self.returned_roots or not line.shape:
            return None
        if not math.prod(line.shape) * self.dtypes[name].itemsize:
            return None
        for other in dying:  # its own operand's memory, entry over entry
            if self.shapes[other] == line.shape and self.dtypes[other] == line.dtype and self.root[other] in self.slot:
                self.slot[name] = self.slot.pop(self.root[other])
                self.ending.setdefault(max(self.last.get(name, -1), self.at), []).append(name)
                self.placed[name] = self.slot[name]
                if other in self.view_name:
                    self.view_name[name] = self.view_name[other]
                self.prologue.append(f"{name} = {other}")
                return name
        return self._slot_for(line)

    def _slot_for(self, line: Line) -> str:
        """Planned memory of its own for a result."""
        name = line.name
        size = math.prod(line.shape) * self.dtypes[name].itemsize
        most = max(4 * size, 4096)
        sizes = self.slot_size
        fitting = [(sizes[k], -where) for where, k in enumerate(self.free) if size <= sizes[k] <= most]
        if fitting:
            slot = self.free.pop(-min(fitting)[1])
        else:
            slot = len(self.slot_size)
            self.slot_size.append(-(-size // ALIGNMENT) * ALIGNMENT)
        self.slot[name] = slot
        self.ending.setdefault(max(self.last.get(name, -1), self.at), []).append(name)
        self.placed[name] = slot
        self.prologue.append(f"{name} = memory({slot}, {shape_text(line.shape)}, {self._np(name_of_dtype(line.dtype))})")
        return name

    def _whole(self, name: str) -> None:
        """Memory for an array that others are written into, before the first of them is."""
        line = self.line_of[name]
        if line.op is not PLACE or name in self.static:
            return
        if name in self.preplaced:  # itself a part of a larger one
            outer, k = self.preplaced[name]
            self._whole(outer)
            self.prologue.append(f"{name} = {outer}[{self._index(self.line_of[outer].params['indices'][k])}]")
        else:
            self._slot_for(line)
        self.static.add(name)
        if not _covers(line):
            self.body.append(f"{name}.fill(0)")
            self.calls += 1

    def _release(self, i: int) -> None:
        for name in self.ending.pop(i, ()):
            if name in self.slot:  # else its memory went on to another value
                self.free.append(self.slot.pop(name))

    # -- writing

    def code(self) -> Code:
        self.slot: dict[str, int] = {}
        self.ending: dict[int, list[str]] = {}  # line -> the values whose memory is free after it
        self.at = 0  # the line that is being written
        self.placed: dict[str, int] = {}
        self.view_name: dict[str, str] = {}
        self.free: list[int] = []
        self.slot_size: list[int] = []
        self.static: set[str] = {str(name) for name in self.program.constants}  # made once, before the first step
        self._own_inputs()
        unplanned = 0
        for i, line in enumerate(self.program.lines):
            unplanned += math.prod(line.shape) * self.dtypes[line.name].itemsize if line.shape else 0
            self.at = i
            self._write(line, i)
            if i in self.ending:
                self._release(i)
        self._take_updates()
        self.returned: set[str] = set()  # a value that is returned twice is copied the second time
        returned = ", ".join(self._result(out) for out in self.program.outputs.values())
        unplanned += sum(math.prod(x.shape) * np.dtype(x.dtype).itemsize for x in inner_lines(self.program)
                         if x.shape and x.name not in self.line_of)
        return Code(self._text(returned), self.held, sum(self.slot_size) + self.extra, unplanned, self.calls)

    def _own_inputs(self) -> None:
        """Inputs that are updated in place live here; what is given in their stead is copied in."""
        for flat in self.program.flats:
            self.prologue.append(f"{flat.name} = aligned({shape_text(self.shapes[flat.name])}, "
                                 f"{self._np(name_of_dtype(flat.dtype))})")
            self.static.add(str(flat.name))
            start = 0
            for name in flat.members:
                size = math.prod(self.shapes[name])
                self.prologue.append(f"{name} = {flat.name}[{start}:{start + size}].reshape({shape_text(self.shapes[name])})")
                start += size
        for x in self.program.inputs:
            if x.name in self.owned and x.name not in self.flat_of:
                self.prologue.append(f"{x.name} = aligned({shape_text(x.shape)}, {self._np(name_of_dtype(x.dtype))})")
            if x.name in self.owned:
                self.static.add(str(x.name))
        own = [str(x.name) for x in self.program.inputs if x.name in self.owned]
        self._others_apart(own)
        if len(own) == 1:
            copyto = self._function("copyto", "np.copyto")
            self.body.append(f"if {own[0]}_given is not {own[0]}: {copyto}({own[0]}, {own[0]}_given)")
        elif own:
            take_in = self._function("take_in", self._object(_take_in))
            self.body += [f"if {' or '.join(f'{x}_given is not {x}' for x in own)}:",
                          f"    {take_in}(({', '.join(own)}), ({', '.join(f'{x}_given' for x in own)}))"]
        for line in self.program.lines:
            if line.op is FLAT:
                self.prologue.append(f"{line.name} = aligned({shape_text(line.shape)}, {self._np(name_of_dtype(line.dtype))})")
                self.static.add(str(line.name))

    def _others_apart(self, own: Sequence[str]) -> None:
        """Other arguments that lie in the function's own memory, as earlier results do, are copied before it changes."""
        others = [str(x.name) for x in self.program.inputs if x.name not in self.owned and x.shape]
        whole = [str(flat.name) for flat in self.program.flats] + [x for x in own if x not in self.flat_of]
        if not others or not (whole or not self.copy):
            return
        self.lent = whole
        self.body += [f"if id({x}.base) in own_memory: {x} = {x}.copy()" for x in others]

    def _take_updates(self) -> None:
        self.kept: dict[str, str] = {}  # values that are put aside -> where
        if not self.moved:
            return
        copyto = self._function("copyto", "np.copyto")
        lent = self.owned | {str(flat.name) for flat in self.program.flats}
        for value in dict.fromkeys([*[str(u.value) for u in self.moved], *sorted(self.results - self.owned)]):
            memory = self.lies_in.get(value) or {self.root[value]}
            if memory & lent and self.shapes[value] and value not in self.over:  # overwritten: it is put aside first
                self.kept[value] = f"{value}_before"
                self.body.append(f"{value}_before = {value}.copy()")
        self.body += [f"{copyto}({u.target}, {self.kept.get(str(u.value), u.value)})" for u in self.moved]

    def _result(self, out: Any) -> str:
        if isinstance(out, Name):
            if out in self.owned:
                return str(out)
            if str(out) in self.kept:
                return self.kept[str(out)]
            root = self.root[out]
            spread = out in self.line_of and self.line_of[out].op.name == "broadcast_to"
            elsewhere = root != out or out in self.lies_in or spread or out in self.returned
            if elsewhere or out in self.program.constants or out not in self.line_of:
                return f"{out}.copy()" if self.shapes[out] and self.copy else str(out)
            self.returned.add(str(out))
            return f"{out}.copy()" if out in self.static and self.copy else str(out)
        return self._object(getattr(out, "value", out))

    def _text(self, returned: str) -> str:
        arguments = ", ".join(f"{x.name}_given" if x.name in self.owned else str(x.name) for x in self.program.inputs)
        lines = [f"def build({', '.join(self.held)}):"]
        if self.slot_size:
            lines.append("    memory = allocate((" + ", ".join(map(str, self.slot_size)) + ",))")
        lines += [f"    {name} = {what}" for name, what in self.functions.items()]
        lines += [f"    {name} = {text}" for text, name in self.number_lines()]
        lines += [f"    {text}" for text in self.prologue]
        if self.lent is not None:
            own = [*self.lent, *(["*memory.blocks"] if self.slot_size and not self.copy else [])]
            lines.append(f"    own_memory = frozenset(id(x.base) for x in ({', '.join(own)}{',' if own else ''}))")
        if len(lines) > MANY_NAMES:  # Python's compiler takes quadratic time for names that an inner function closes over
            made = dict.fromkeys(found[1] for found in map(_ASSIGNED.match, lines) if found)
            lines[1:1] = _wrapped_names(list(made))
        lines += ["", f"    def step({arguments}):"]
        around = [text for text, needed in (("OneThreadEach()", self.split), ('np.errstate(over="ignore")', self.program.quiet))
                  if needed]
        if around:
            lines.append(f"        with {', '.join(around)}:")
        lines += [f"        {'    ' if around else ''}{text}" for text in self.body]
        lines += [f"        return {returned}{',' if len(self.program.outputs) == 1 else ''}", "", "    return step", ""]
        return "\n".join(lines)

    def number_lines(self) -> Iterable[tuple[str, str]]:
        for (text, dtype), name in self.numbers.items():
            yield (f"np.array({text}, {self._np(dtype)})", name)

    @staticmethod
    def _np(dtype: str) -> str:
        return "bool" if dtype == "bool" else f"np.{dtype}"

    def _function(self, wanted: str, what: str) -> str:
        """A local name for something the step calls."""
        if self.functions.get(wanted) == what:
            return wanted
        name, k = wanted, 2
        while (name in self.taken or keyword.iskeyword(name)) and self.functions.get(name) != what:
            name, k = f"{wanted}_{k}", k + 1
        self.functions[name] = what
        self.taken.add(name)
        return name

    def _object(self, x: Any) -> str:
        """Text for a setting; what has none is handed to build()."""
        if x is None or isinstance(x, (bool, int, str)) or (isinstance(x, float) and math.isfinite(x) and type(x) is float):
            return repr(x)
        if isinstance(x, Name):
            return str(x)
        if type(x) is tuple:
            inner = ", ".join(self._object(item) for item in x)
            return f"({inner},)" if len(x) == 1 else f"({inner})"
        if type(x) is list:
            return f"[{', '.join(self._object(item) for item in x)}]"
        if type(x) is slice:
            return f"slice({self._object(x.start)}, {self._object(x.stop)}, {self._object(x.step)})"
        if x is Ellipsis:
            return "..."
        for name, known in self.held.items():
            if known is x:
                return name
        name, k = "held1", 2
        while name in self.held or name in self.taken:
            name, k = f"held{k}", k + 1
        self.held[name] = x
        return name

    def _operand(self, x: Any, line: Line) -> str:
        """A name, or a number: beside arrays as an array of its own, which NumPy takes faster."""
        if isinstance(x, Name):
            return x
        if isinstance(x, (int, float, np.generic)) and not isinstance(x, (bool, np.bool_)):
            if not line.shape:
                single = any(isinstance(y, Name) and self.dtypes[y] != np.float64 for y in line.operands)
                return self._object(x.item() if isinstance(x, np.float64) and not single else x)
            others = [self.dtypes[y] for y in line.operands if isinstance(y, Name) and self.dtypes[y] is not None]
            own = np.dtype(x.dtype) if isinstance(x, np.generic) else None
            if others and all(d == others[0] for d in others) and others[0].kind == "f" and (own is None or own == others[0]):
                value = float(x)
                text = repr(value) if math.isfinite(value) else f'float("{value}")'
                key = (text, name_of_dtype(others[0]))
                if key not in self.numbers:
                    name = f"n{len(self.numbers) + 1}"
                    while name in self.taken:
                        name += "_"
                    self.taken.add(name)
                    self.numbers[key] = name
                return self.numbers[key]
        return self._object(x)

    def _index(self, index: Any) -> str:
        parts = index if type(index) is tuple else (index,)
        if not parts:
            return "()"
        texts = []
        for p in parts:
            if type(p) is slice:
                text = ":".join("" if v is None else repr(v) for v in (p.start, p.stop))
                texts.append(text if p.step is None else f"{text}:{p.step}")
            elif p is None:
                texts.append("None")
            else:
                texts.append(self._object(p))
        return ", ".join(texts) + ("," if len(parts) == 1 and type(index) is tuple and type(parts[0]) is not slice else "")

    def _has_gaps(self, name: str) -> bool:
        """Whether a value lies in a part of a larger array, so that reshaping it makes a copy."""
        whole, k = self.preplaced.get(self.root[name], ("", 0))
        return bool(whole) and self.line_of[whole].op is PLACE and type(self.line_of[whole].params["indices"][k]) is not int

    def check_labels(self, found: Sequence[Any]) -> None:
        """Labels below zero would count from the end; those beyond the classes NumPy refuses itself."""
        for x in found:
            if isinstance(x, Name) and x not in self.checked and self.dtypes[x] is not None and self.dtypes[x].kind == "i" and (
                    x not in self.program.constants):
                self.checked.add(x)
                least = self._function("minimum_reduce", "np.minimum.reduce")
                every = "" if len(self.shapes[x]) == 1 else ", None"
                if math.prod(self.shapes[x]):
                    self.calls += 1
                    self.body.append(f"if {least}({x}{every}) < 0: raise IndexError('a label is below 0')")

    def place_of(self, index: Any, shape: tuple[int, ...]) -> str:
        """The text of an index of something to write to: of a single entry too it gives an array, one of no axes."""
        parts = index if type(index) is tuple else (index,)
        text = self._index(index)
        if sum(type(p) is int for p in parts) < len(shape) or Ellipsis in parts:
            return text
        return f"{text.rstrip(',')}, ..." if parts else "..."

    def _write(self, line: Line, i: int) -> None:
        name = line.name
        if line.op is BLOCKED:
            write_region(self, line, i)
            return
        if line.op is PART:
            return  # the region has written it
        if line.op is FLAT or (line.op is PLACE and name not in self.returned_roots):
            self._whole(name)
            self._gather(line)
            return
        view = self._view(line)
        if view is not None:
            source = line.operands[0]
            if self.static.issuperset(line.uses()) and not (
                    line.op.name == "reshape" and self._has_gaps(str(source))):
                self.prologue.append(f"{name} = {view}")
                self.static.add(name)
            else:
                self.body.append(f"{name} = {view}")
            return
        writer = WRITERS.get(line.op.name)
        if writer is None and ufunc_of(line.op) is not None and not line.params:
            writer = write_ufunc
        if writer is None and line.op.name.endswith(".reduce"):
            writer = write_reduction
        text = writer(self, line, i) if writer is not None else None
        if text is None:
            text = self._call(line)
        self.body.append(text)

    def _gather(self, line: Line) -> None:
        """What was not written to the flat memory by its own line is copied there."""
        start = 0
        for k, x in enumerate(line.operands):
            size = math.prod(self.shapes[x])
            own = self._same_memory(x) if line.op is FLAT else x
            if not (own in self.preplaced and self.preplaced[own] == (str(line.name), start if line.op is FLAT else k)
                    and own in self.static):
                place = f"{line.name}_part{k}"
                part = f"{start}:{start + size}" if line.op is FLAT else self.place_of(line.params["indices"][k], line.shape)
                shaped = f".reshape({shape_text(self.shapes[x])})" if line.op is FLAT else ""
                self.prologue.append(f"{place} = {line.name}[{part}]{shaped}")
                self.body.append(f"{self._function('copyto', 'np.copyto')}({place}, {x})")
                self.calls += 1
            start += size

    def out(self, line: Line, i: int, over: Sequence[Any] = ()) -> str | None:
        """Where the result goes: over an operand that is not needed any more, to planned memory, or None for anew."""
        dying = [x for x in over if type(x) is Name and self.last.get(self.root[x]) == i and (
            self.root[x] == x or (self.contiguous[x] and x in self.static))]  # or all of its entries, reshaped
        place = self._place(line, i, dying)
        if place is not None:
            self.static.add(place)
        return place

    def _view(self, line: Line) -> str | None:
        op = line.op.name
        if op != "identity" and self.root[line.name] == line.name:
            return None
        source = line.operands[0]
        if op == "identity":
            return str(source)
        if op == "transpose":
            axes = line.params.get("axes")
            return f"{source}.T" if axes is None or tuple(axes) == (1, 0) else f"{source}.transpose({tuple(axes)!r})"
        if op == "reshape":
            return f"{source}.reshape({shape_text(line.shape)})"
        if op == "broadcast_to":
            return f"np.broadcast_to({source}, {shape_text(line.shape)})"
        return f"{source}[{self._index(line.params['index'])}]"

    def _call(self, line: Line) -> str:
        """Any primitive at all, as one call of its function."""
        self.calls += 1
        op = line.op
        if op.kind == "draw":
            generator, *rest = line.operands
            settings = [self._object(x) for x in rest] + [f"{k}={self._object(v)}" for k, v in line.params.items()]
            return f"{line.name} = {generator}.{op.name}({', '.join(settings)})"
        name = self._function(_identifier(op.name), self._held_function(op.forward))
        settings = [self._object(x) for x in line.operands]
        settings += [f"{k}={self._object(v)}" for k, v in line.params.items()]
        if may_view(line) and TABLE.get(op.name) is not op and line.shape:  # whose shape may depend on values
            shaped = self._function("shaped", self._object(of_shape))
            return f"{line.name} = {shaped}({name}({', '.join(settings)}), {shape_text(line.shape)})"
        if op.name in ("class_cross_entropy", "one_hot"):
            self.check_labels([*line.operands, line.params.get("target")])
        if not line.shape:  # a number, where NumPy may give an array of no axes: a view at that
            return f"{line.name} = {self._function('as_number', self._object(_as_number))}({name}({', '.join(settings)}))"
        return f"{line.name} = {name}({', '.join(settings)})"

    def _held_function(self, function: Any) -> str:
        name = getattr(function, "__name__", "")
        if isinstance(function, np.ufunc) and getattr(np, name, None) is function:
            return f"np.{name}"
        return self._object(function)


def _take_in(own: Sequence[Any], given: Sequence[Any]) -> None:
    """Copy what is given into the function's arrays; what lies in others of them is put aside first."""
    new = [(x, np.array(g) if any(np.may_share_memory(g, y) for y in own) else g)
           for x, g in zip(own, given, strict=True) if g is not x]
    for x, g in new:
        np.copyto(x, g)


def _as_number(x: Any) -> Any:
    return x[()] if type(x) is ndarray else x


def _covers(line: Line) -> bool:
    """Whether the parts written into an array leave no entry out."""
    indices = line.params["indices"]
    if all(type(i) is int for i in indices):
        return len(set(indices)) == line.shape[0]
    filled = np.zeros(line.shape, bool)
    for index in indices:
        filled[index] = True
    return bool(filled.all())


MANY_NAMES = 800
_ASSIGNED = re.compile(r"    (?:def )?([^\W\d]\w*)(?: = |\()")


def _wrapped_names(names: Sequence[str]) -> list[str]:
    """Declarations that leave names to the namespace that every instance has of its own."""
    return [f"    global {', '.join(names[i : i + 12])}" for i in range(0, len(names), 12)]


def _identifier(text: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in text)


class Memory:
    """The planned memory of one instance of a compiled function: views of aligned blocks."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.blocks = []
        for size in sizes:
            raw = np.empty(size + ALIGNMENT, np.uint8)
            start = -raw.ctypes.data % ALIGNMENT
            self.blocks.append(raw[start : start + size])

    def __call__(self, slot: int, shape: tuple[int, ...], dtype: Any) -> ndarray:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        return self.blocks[slot][:size].view(dtype).reshape(shape)  # type: ignore[no-any-return]


def instantiate(code: Code, name: str) -> Callable[..., Any]:
    """The function, with memory of its own."""
    return run_text(code.text, name, namespace())["build"](**code.held)  # type: ignore[no-any-return]


def namespace() -> dict[str, Any]:
    """What the printed code may name."""
    return {"np": np, "allocate": Memory, "aligned": aligned, "in_blocks": in_blocks, "in_threads": in_threads,
            "SplitProduct": SplitProduct, "OneThreadEach": OneThreadEach}


def run_text(text: str, name: str, space: dict[str, Any]) -> dict[str, Any]:
    """Define what a text of ours defines. It is printed from a program; users' objects come in by names we chose."""
    exec(compile(text, name, "exec"), space)  # noqa: S102
    return space


__all__ = ["Code", "Emitter", "Memory", "OtherShapeError", "instantiate", "run_text"]
