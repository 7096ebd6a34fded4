"""Many small operations of one kind as one on a larger array: what a loop over time, or over slices, records.

A loop repeats the same operations on other slices. The sum of gradients put back into slices becomes one array that each
gradient is written into; a sum of products becomes one product of what is stacked; operations that are alike, and do not
wait for each other, become one operation on the stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..rules.indexing import getitem, is_basic
from ..rules.products import matmul
from ..rules.shapes import reshape, transpose
from ..tensor import Primitive
from .algebra import ADD, MULTIPLY, dtypes_of, reworded, shapes_of, uses_of, with_lines
from .expand import reduction, ufunc_of
from .program import Line, Name, Program, names_in, renamed

FEWEST = 3  # operations worth joining
ADD_REDUCE = reduction(np.add)


def _place(*values: Any, indices: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, np.result_type(*values))
    for value, index in zip(values, indices, strict=True):
        out[index] = value
    return out


def _add_at(x: Any, value: Any, index: Any) -> Any:
    out = np.array(x)
    out[index] += value
    return out


# values put into an array of zeros, at places that do not overlap; and a value added to a part of an array
PLACE = Primitive("place", _place)
ADD_AT = Primitive("add_at", _add_at)


class Namer:
    def __init__(self, program: Program) -> None:
        self.taken = {*shapes_of(program), *(flat.name for flat in program.flats)}
        self.count = 0

    def __call__(self, letter: str) -> Name:
        while True:
            self.count += 1
            name = f"{letter}{self.count}"
            if name not in self.taken:
                self.taken.add(name)
                return Name(name)


# ---------------------------------------------------------------- sums of what was put into slices

def _terms(root: Line, line_of: dict[str, Line], uses: dict[str, int]) -> list[Any]:
    """The terms of a sum of several, as written from left to right."""
    out: list[Any] = []
    waiting: list[Any] = [*reversed(root.operands)]
    while waiting:
        x = waiting.pop()
        line = line_of.get(x) if isinstance(x, Name) else None
        if line is not None and line.op is ADD and line.shape == root.shape and line.dtype == root.dtype and uses[x] == 1:
            waiting += [*reversed(line.operands)]
        else:
            out.append(x)
    return out


def _sums(program: Program, line_of: dict[str, Line], uses: dict[str, int]) -> list[tuple[Line, list[Any]]]:
    """The sums that are not part of a larger one, with their terms."""
    inner = {x for line in program.lines if line.op is ADD for x in line.operands
             if isinstance(x, Name) and uses[x] == 1 and x in line_of and line_of[x].op is ADD
             and line_of[x].shape == line.shape and line_of[x].dtype == line.dtype}
    return [(line, _terms(line, line_of, uses)) for line in program.lines
            if line.op is ADD and line.shape and line.name not in inner]


def gather_puts(program: Program) -> Program:
    """A sum of arrays that are zero but for a slice: every part is written, or added, into its slice of one array."""
    uses = uses_of(program)
    shapes, line_of = shapes_of(program), {str(line.name): line for line in program.lines}
    replaced: dict[str, list[Line]] = {}
    fresh = Namer(program)
    for root, terms in _sums(program, line_of, uses):
        puts = [line_of[x] for x in terms if _is_put(x, line_of, uses)]
        if not puts:
            continue
        others = [x for x in terms if not _is_put(x, line_of, uses)]
        if any(not isinstance(x, Name) or shapes.get(x) != root.shape for x in others):
            continue
        replaced[str(root.name)] = _gathered(root, puts, others, fresh)
    for line in program.lines:  # one put alone is written into its place too
        if line.op.name == "put" and is_basic(line.params["index"]) and str(line.name) not in replaced and (
                isinstance(line.operands[0], Name)) and not any(True for _ in names_in(line.params["index"])):
            replaced[str(line.name)] = [replace(line, op=PLACE, params={"indices": (line.params["index"],),
                                                                        "shape": line.shape})]
    if not replaced:
        return program
    return with_lines(program, [new for line in program.lines for new in replaced.get(str(line.name), [line])])


def _is_put(x: Any, line_of: dict[str, Line], uses: dict[str, int]) -> bool:
    line = line_of.get(x) if isinstance(x, Name) else None
    return line is not None and line.op.name == "put" and uses[x] == 1 and is_basic(line.params["index"]) and isinstance(
        line.operands[0], Name)


def _gathered(root: Line, puts: Sequence[Line], others: Sequence[Any], fresh: Namer) -> list[Line]:
    lines: list[Line] = []
    base: Any = None
    for x in others:
        if base is None:
            base = x
        else:
            name = fresh("sum")
            lines.append(Line(name, ADD, (base, x), {}, root.shape, root.dtype, root.kind))
            base = name
    later = list(puts)
    if base is None:
        filled = np.zeros(root.shape, bool)
        apart, later = [], []
        for line in puts:
            part = filled[line.params["index"]]
            if np.any(part):
                later.append(line)
            else:
                filled[line.params["index"]] = True
                apart.append(line)
        apart.sort(key=lambda line: _order(line.params["index"]))
        base = fresh("whole")
        lines.append(Line(base, PLACE, tuple(line.operands[0] for line in apart), {
            "indices": tuple(line.params["index"] for line in apart), "shape": root.shape}, root.shape, root.dtype, root.kind))
    for line in later:
        name = fresh("sum")
        lines.append(Line(name, ADD_AT, (base, line.operands[0]), {"index": line.params["index"]}, root.shape, root.dtype,
                          root.kind))
        base = name
    lines[-1] = replace(lines[-1], name=root.name, named=root.named)
    return lines


def _order(index: Any) -> tuple[int, ...]:
    parts = index if type(index) is tuple else (index,)
    return tuple(p if type(p) is int else (p.start or 0) if type(p) is slice else 0 for p in parts)


# ---------------------------------------------------------------- sums of products

class _Stacks:
    """Which values lie side by side in one array."""

    def __init__(self, program: Program) -> None:
        self.line_of = {str(line.name): line for line in program.lines}
        self.position = {str(line.name): i for i, line in enumerate(program.lines)}
        self.shapes, self.dtypes = shapes_of(program), dtypes_of(program)
        self.fresh = Namer(program)
        self.of: dict[tuple[str, ...], Name] = {}  # values -> the array that holds them along its first axis
        self.where: dict[str, tuple[Name, int]] = {}  # value -> the array that holds it, and its place there
        self.placed: set[str] = set()
        self.constants: dict[Name, Any] = {}  # new ones
        self.known = {str(name): program.constants[name] for name in program.constants if name in program.derived}
        self.fixed = {str(name) for out in program.outputs.values() for name in names_in(out)}
        self.new: list[tuple[int, Line]] = []  # (position after which it comes, line)
        for line in program.lines:
            if line.op is PLACE:
                self.placed |= {str(x) for x in line.operands}
                if line.params["indices"] == tuple(range(len(line.operands))) and line.shape[0] == len(line.operands):
                    self.of[tuple(str(x) for x in line.operands)] = line.name
                    self.where |= {str(x): (line.name, i) for i, x in enumerate(line.operands)}

    def state(self) -> Any:
        """What to go back to if a plan fails."""
        return len(self.new), set(self.placed), dict(self.of), dict(self.where)

    def restore(self, state: Any) -> None:
        """Take back the lines that were added since."""
        count, self.placed, self.of, self.where = state
        del self.new[count:]

    def after(self, names: Sequence[Any]) -> int:
        """The position of the last line that makes one of these."""
        return max((self._made(x) for x in names if isinstance(x, Name)), default=-1)

    def _made(self, x: str) -> int:
        """The position from which a value, or what it is a part of, is known."""
        line = self.line_of.get(x)
        while line is not None and line.op is getitem and is_basic(line.params["index"]):
            x = line.operands[0]
            line = self.line_of.get(x)
        return self.position.get(x, -1)

    def add(self, position: int, line: Line) -> Name:
        self.new.append((position, line))
        self.line_of[str(line.name)] = line
        self.position[str(line.name)] = position
        self.shapes[str(line.name)], self.dtypes[str(line.name)] = line.shape, line.dtype
        return line.name

    def stack(self, names: Sequence[Any]) -> Any:
        """An array with these values along a new first axis: known, a view of one, or one they can be written into."""
        if all(x is names[0] or (not isinstance(x, Name) and repr(x) == repr(names[0])) or x == names[0] for x in names):
            x = names[0]
            return x if not isinstance(x, Name) or self.shapes[x] == () else ("same", x)
        if not all(isinstance(x, Name) for x in names) or len(set(names)) < len(names):
            return None
        key = tuple(str(x) for x in names)
        if key in self.of:
            return self.of[key]
        held = [self.where.get(x) for x in key]
        if all(place is not None for place in held):
            return self._rows([place for place in held if place is not None], key)
        if all(x in self.known for x in key) and len({(self.known[x].shape, self.known[x].dtype) for x in key}) == 1:
            name = self.fresh("stack")
            self.constants[name] = np.stack([self.known[x] for x in key])
            self.shapes[name], self.dtypes[name] = self.constants[name].shape, self.constants[name].dtype
            self.of[key] = name
            return name
        lines = [self.line_of.get(x) for x in key]
        if all(line is not None and line.op is getitem for line in lines):
            return self._stack_of_parts([line for line in lines if line is not None], key)
        shape, dtype = self.shapes[key[0]], self.dtypes[key[0]]
        writable = all(line is not None and line.shape == shape and line.dtype == dtype and x not in self.placed
                       and x not in self.fixed and (ufunc_of(line.op) is not None or line.op is matmul)
                       for x, line in zip(key, lines, strict=True))
        if not writable or shape == ():
            return None
        return self.place(names, shape, dtype)

    def place(self, names: Sequence[Any], shape: tuple[int, ...], dtype: Any) -> Name:
        name = self.fresh("stack")
        whole = (len(names), *shape)
        line = Line(name, PLACE, tuple(names), {"indices": tuple(range(len(names))), "shape": whole}, whole, dtype)
        self.add(max(self.position.get(str(x), -1) for x in names), line)
        self.placed |= {str(x) for x in names}
        self.of[tuple(str(x) for x in names)] = name
        self.where |= {str(x): (name, i) for i, x in enumerate(names)}
        return name

    def _stack_of_parts(self, lines: Sequence[Line], key: tuple[str, ...]) -> Any:
        """The same part of each of several values, or consecutive entries of one."""
        bases, indices = [line.operands[0] for line in lines], [line.params["index"] for line in lines]
        if all(type(i) is int for i in indices):
            return self._rows(list(zip(bases, indices, strict=True)), key)
        if all(repr(i) == repr(indices[0]) for i in indices) and is_basic(indices[0]) and len(set(bases)) == len(bases):
            whole = self.stack(bases)
            if isinstance(whole, Name):
                index = indices[0] if type(indices[0]) is tuple else (indices[0],)
                return self._part(whole, (slice(None), *index), key)
        if len(set(bases)) == 1 and all(type(i) is tuple for i in indices):
            return self._steps_along(bases[0], indices, key)
        return None

    def _steps_along(self, base: Name, indices: Sequence[tuple[Any, ...]], key: tuple[str, ...]) -> Any:
        """x[:, 0], x[:, 1], ...: the axis that is stepped along, brought to the front."""
        first = indices[0]
        if any(len(i) != len(first) or any(type(p) not in (int, slice) for p in i) for i in indices):
            return None
        stepped = [a for a in range(len(first)) if any(repr(i[a]) != repr(first[a]) for i in indices)]
        if len(stepped) != 1 or any(type(i[stepped[0]]) is not int for i in indices):
            return None
        places = [i[stepped[0]] for i in indices]
        step = places[1] - places[0]
        if places[0] < 0 or step < 1 or places != [places[0] + t * step for t in range(len(places))]:
            return None
        steps = slice(places[0], places[-1] + 1, step if step > 1 else None)
        part = self._part(base, tuple(steps if a == stepped[0] else p for a, p in enumerate(first)), ("", *key))
        axis = sum(type(p) is slice for p in first[: stepped[0]])
        if not axis:
            self.of[key] = part
            return part
        order = (axis, *[a for a in range(len(self.shapes[part])) if a != axis])
        shape = tuple(self.shapes[part][a] for a in order)
        self.of[key] = self.add(self.position[str(part)], Line(self.fresh("turned"), transpose, (part,), {"axes": order}, shape,
                                                               self.dtypes[part]))
        return self.of[key]

    def _rows(self, places: Sequence[tuple[Name, int]], key: tuple[str, ...]) -> Any:
        """Entries of one array, evenly spaced and in order."""
        whole, first = places[0]
        step = places[1][1] - first
        if step < 1 or first < 0 or any(array != whole or i != first + t * step for t, (array, i) in enumerate(places)):
            return None
        if len(places) == self.shapes[whole][0]:
            return whole
        last = first + (len(places) - 1) * step + 1
        return self._part(whole, slice(first, last) if step == 1 else slice(first, last, step), key)

    def with_axes(self, whole: Name, count: int) -> Name:
        """A stack with axes of one entry after its first, so that it has this many: NumPy spreads from the last axis on."""
        missing = count - len(self.shapes[whole])
        return self._part(whole, (slice(None), *[None] * missing), ("", whole, str(count))) if missing > 0 else whole

    def _part(self, whole: Name, index: Any, key: tuple[str, ...]) -> Name:
        shape = np.broadcast_to(np.empty(()), self.shapes[whole])[index].shape
        line = Line(self.fresh("part"), getitem, (whole,), {"index": index}, shape, self.dtypes[whole])
        self.of[key] = self.add(self.position.get(str(whole), -1), line)
        return line.name


def _inserted(program: Program, stacks: _Stacks, dropped: set[str], by: dict[str, Any]) -> Program:
    """The program with the new lines at their places and others left out."""
    at: dict[int, list[Line]] = {}
    for position, line in stacks.new:
        at.setdefault(position, []).append(line)
    lines = [reworded(line, by) for line in at.get(-1, ())]
    for i, line in enumerate(program.lines):
        if str(line.name) not in dropped:
            lines.append(reworded(line, by))
        lines += [reworded(new, by) for new in at.get(i, ())]
    outputs = {k: renamed(v, by) for k, v in program.outputs.items()}
    updates = tuple(replace(u, value=by.get(str(u.value), u.value)) for u in program.updates)
    new = {name for _, line in stacks.new for name in line.uses()}
    constants = program.constants | {name: value for name, value in stacks.constants.items() if name in new}
    return replace(program, lines=tuple(lines), outputs=outputs, updates=updates, constants=constants,
                   derived=program.derived | {str(name) for name in stacks.constants})


def _first_use(program: Program) -> dict[str, int]:
    """The position of the first line that reads a value; that after the last for results."""
    found: dict[str, int] = {}
    for i, line in enumerate(program.lines):
        for name in line.uses():
            found.setdefault(name, i)
    for out in program.outputs.values():
        for name in names_in(out):
            found.setdefault(name, len(program.lines))
    return found


def join_products(program: Program) -> Program:
    """A sum of products of matrices is one product of what lies side by side: Σ Aₜᵀ Gₜ = Aᵀ G."""
    uses = uses_of(program)
    stacks = _Stacks(program)
    first_use = _first_use(program)
    dropped: set[str] = set()
    by: dict[str, Any] = {}
    for root, terms in _sums(program, stacks.line_of, uses):
        pairs = [(x, *_factors(x, stacks, uses)) for x in terms]
        pairs = [(x, a, g) for x, a, g in pairs if a is not None]
        kinds = {(stacks.shapes[a], stacks.shapes[g], stacks.dtypes[a], stacks.dtypes[g]) for _, a, g in pairs}
        if len(pairs) < FEWEST or len(kinds) != 1:
            continue
        rest = [x for x in terms if x not in {p[0] for p in pairs}]
        order = _known_order([g for _, _, g in pairs], stacks)
        pairs = [pairs[i] for i in order]
        left, right = [a for _, a, _ in pairs], [g for _, _, g in pairs]
        before = stacks.state()
        a, g = _stacked_or_copied(left, stacks), _stacked_or_copied(right, stacks)
        position = max(stacks.position.get(str(root.name), 0) - 1, *[stacks.position.get(str(x), -1) for x in (a, g)])
        if a is None or g is None or position >= first_use.get(str(root.name), position + 1):
            stacks.restore(before)  # also where an array that holds the factors is made after the sum is needed
            continue
        n = len(pairs)
        (rows, k), (_, m) = stacks.shapes[left[0]], stacks.shapes[right[0]]

        def add(letter: str, op: Primitive, operands: Any, shape: tuple[int, ...], root: Line = root,
                at: int = position) -> Name:
            params = {"shape": shape} if op is reshape else {}
            return stacks.add(at, Line(stacks.fresh(letter), op, operands, params, shape, root.dtype, root.kind))

        tall = [add("tall", reshape, (x,), (n * rows, width)) for x, width in ((a, k), (g, m))]
        turned = add("tall", transpose, (tall[0],), (k, n * rows))
        total = add("product", matmul, (turned, tall[1]), (k, m))
        for x in rest:
            total = add("sum", ADD, (total, x), root.shape)
        by[str(root.name)] = total
        dropped.add(str(root.name))
    return _inserted(program, stacks, dropped, by) if by else program


def _factors(x: Any, stacks: _Stacks, uses: dict[str, int]) -> tuple[Any, Any]:
    """A and G of a term Aᵀ G that only this sum reads."""
    line = stacks.line_of.get(x) if isinstance(x, Name) else None
    if line is None or line.op is not matmul or uses.get(x) != 1:
        return None, None
    left, right = line.operands
    turned = stacks.line_of.get(left) if isinstance(left, Name) else None
    if turned is None or turned.op is not transpose or not isinstance(right, Name) or len(stacks.shapes[right]) != 2:
        return None, None
    source = turned.operands[0]
    if not isinstance(source, Name) or len(stacks.shapes[source]) != 2:
        return None, None
    return source, right


def _known_order(names: Sequence[Any], stacks: _Stacks) -> list[int]:
    """The order in which values already lie in an array, or the reverse of the one they come in."""
    wanted = {str(x): i for i, x in enumerate(names)}
    for key in stacks.of:
        if len(key) == len(names) and set(key) == set(wanted):
            return [wanted[x] for x in key]
    return list(range(len(names)))[::-1]


def _stacked_or_copied(names: Sequence[Any], stacks: _Stacks) -> Any:
    """An array that holds these along its first axis; what cannot be written there is copied."""
    found = stacks.stack(names)
    if isinstance(found, Name):
        return found
    if not all(isinstance(x, Name) for x in names) or len(set(names)) < len(names):
        return None
    return stacks.place(names, stacks.shapes[names[0]], stacks.dtypes[names[0]])


# ---------------------------------------------------------------- operations that are alike

def known_first(program: Program) -> Program:
    """(late · a) · b as late · (a · b), where a and b are known long before: what does not wait can be done together."""
    uses = uses_of(program)
    position = {str(line.name): i for i, line in enumerate(program.lines)}
    line_of = {str(line.name): line for line in program.lines}
    fresh = Namer(program)
    lines: list[Line] = []
    changed = False
    for line in program.lines:
        made = _regrouped(line, line_of, position, uses) if line.op is MULTIPLY and line.shape else None
        if made is not None:
            late, a, b = made
            name = fresh("known")
            lines.append(Line(name, MULTIPLY, (a, b), {}, line.shape, line.dtype, line.kind))
            line = replace(line, operands=(late, name))
            changed = True
        lines.append(line)
    return with_lines(program, lines) if changed else program


def place_products(program: Program) -> Program:
    """(parts in their places) ⊙ w as the products of the parts in their places, where that leaves what waits no more to do.

    A part late · k takes its piece of w into the factor k, which is known long before. What lies outside the parts is 0,
    also where w is not finite.
    """
    uses = uses_of(program)
    position = {str(line.name): i for i, line in enumerate(program.lines)}
    line_of = {str(line.name): line for line in program.lines}
    fresh = Namer(program)
    done: dict[str, Line] = {}
    lines: list[Line] = []
    for line in program.lines:
        made = _placed_product(line, line_of, position, uses, fresh) if line.op is MULTIPLY and line.shape else None
        if made is not None:
            lines += made
            done[str(line.name)] = made[-1]
            continue
        base = done.get(str(line.operands[0])) if line.op is ADD_AT else None
        if base is not None and uses[str(base.name)] == 1 and _apart(base, line.params["index"]):
            indices, values = (*base.params["indices"], line.params["index"]), (*base.operands, line.operands[1])
            pairs = sorted(zip(indices, values, strict=True), key=lambda pair: _order(pair[0]))
            lines.append(replace(line, op=PLACE, operands=tuple(x for _, x in pairs), params={
                "indices": tuple(i for i, _ in pairs), "shape": line.shape}))
            continue
        lines.append(line)
    return with_lines(program, lines) if done else program


def _apart(base: Line, index: Any) -> bool:
    """Whether a place overlaps none of those that are taken."""
    filled = np.zeros(base.shape, bool)
    for taken in base.params["indices"]:
        filled[taken] = True
    return not np.any(filled[index])


def _placed_product(line: Line, line_of: dict[str, Line], position: dict[str, int], uses: dict[str, int],
                    fresh: Namer) -> list[Line] | None:
    here = position[str(line.name)]

    def early(x: Any) -> bool:
        return isinstance(x, Name) and x in line_of and _source_position(x, line_of, position) < here - FAR

    for x, w in (line.operands, line.operands[::-1]):
        place = line_of.get(x) if isinstance(x, Name) else None
        if place is None or place.op is not PLACE or uses[x] != 1 or not early(w) or line_of[w].shape != line.shape:
            continue
        found = []
        for part in place.operands:
            inner = line_of.get(part)
            if inner is None or inner.op is not MULTIPLY or uses[part] != 1:
                return None
            for late, k in (inner.operands, inner.operands[::-1]):
                if early(k) and not early(late) and _like(k, inner, line_of) and _like(late, inner, line_of) and _like(
                        w, line, line_of):
                    found.append((inner, late, k))
                    break
            else:
                return None
        new: list[Line] = []
        parts = []
        for (inner, late, k), index in zip(found, place.params["indices"], strict=True):
            piece, known, part = fresh("piece"), fresh("known"), fresh("part")
            new += [Line(piece, getitem, (w,), {"index": index}, inner.shape, inner.dtype, line.kind),
                    Line(known, MULTIPLY, (k, piece), {}, inner.shape, inner.dtype, line.kind),
                    Line(part, MULTIPLY, (late, known), {}, inner.shape, inner.dtype, line.kind)]
            parts.append(part)
        return [*new, replace(line, op=PLACE, operands=tuple(parts), params=place.params)]
    return None


FAR = 30  # lines between what is known early and where it is used, for a regrouping to make sense


def _regrouped(line: Line, line_of: dict[str, Line], position: dict[str, int], uses: dict[str, int]) -> Any:
    here = position[str(line.name)]

    def early(x: Any) -> bool:
        return isinstance(x, Name) and _source_position(x, line_of, position) < here - FAR

    for inner_name, b in (line.operands, line.operands[::-1]):
        inner = line_of.get(inner_name) if isinstance(inner_name, Name) else None
        if inner is None or inner.op is not MULTIPLY or uses[inner_name] != 1 or not _like(inner_name, line, line_of) or (
                not early(b) or not _like(b, line, line_of)):
            continue
        for a, late in (inner.operands, inner.operands[::-1]):
            if early(a) and not early(late) and _like(a, line, line_of) and _like(late, line, line_of):
                return late, a, b
    return None


def _like(x: Any, line: Line, line_of: dict[str, Line]) -> bool:
    """Whether a value that the program makes has the shape and the dtype of a line's."""
    found = line_of.get(x) if isinstance(x, Name) else None
    return found is not None and found.shape == line.shape and found.dtype == line.dtype


def _source_position(x: Any, line_of: dict[str, Line], position: dict[str, int], depth: int = 3) -> int:
    """Where a value could be computed at the earliest: after what it is made of, looking through short chains."""
    line = line_of.get(x) if isinstance(x, Name) else None
    if line is None:
        return -1
    if not depth or not (ufunc_of(line.op) is not None or line.op is getitem):
        return position.get(x, -1)
    return max((_source_position(y, line_of, position, depth - 1) for y in line.operands if isinstance(y, Name)), default=-1)


def batch_alike(program: Program) -> Program:
    """Operations of one kind on values that lie side by side, none waiting for another, are done at once."""
    for _ in range(6):
        after = _batched_once(program)
        if after is program:
            break
        program = after
    return program


def _batched_once(program: Program) -> Program:
    stacks = _Stacks(program)
    groups: dict[Any, list[Line]] = {}
    for line in program.lines:
        alike = (ufunc_of(line.op) is not None and not line.params) or (line.op is matmul and _is_vector_product(line, stacks))
        if alike and line.shape and str(line.name) not in stacks.placed:
            groups.setdefault(_kind(line, stacks), []).append(line)
    first_use = _first_use(program)
    dropped: set[str] = set()
    by: dict[str, Any] = {}
    for members in groups.values():
        if len(members) < FEWEST:
            continue
        names = {str(line.name) for line in members}
        if names & stacks.fixed or names & stacks.placed or any(x in names for line in members for x in line.uses()):
            continue
        members = [reworded(line, by) for line in members]  # what they are made of may be done at once already
        latest = max(stacks.after(line.operands) for line in members)
        earliest = min(first_use.get(str(line.name), len(program.lines)) for line in members)
        if latest >= earliest:
            continue
        ordered = _in_order(members, stacks)
        before = stacks.state()
        operands: list[Any] = []
        line_is_product = ordered[0].op is matmul
        for column in zip(*[line.operands for line in ordered], strict=True):
            found = stacks.stack(column)
            if isinstance(found, tuple):
                found = found[1] if line_is_product or len(stacks.shapes[found[1]]) <= len(ordered[0].shape) else None
            elif isinstance(found, Name) and ordered[0].op is not matmul and stacks.shapes[found]:
                found = stacks.with_axes(found, len(ordered[0].shape) + 1)
            if found is None:
                break
            operands.append(found)
        shape = (len(ordered), *ordered[0].shape)
        if ordered[0].op is matmul and len(operands) == 2:
            operands = _rows_times(operands, stacks, max(latest, *[stacks.position.get(str(x), -1) for x in operands]))
        if len(operands) < len(ordered[0].operands) or (ordered[0].op is not matmul and np.broadcast_shapes(
                *[stacks.shapes[x] if isinstance(x, Name) else () for x in operands]) != shape):
            stacks.restore(before)
            continue
        position = max(latest, *[stacks.position.get(str(x), -1) for x in operands if isinstance(x, Name)])
        if position >= earliest:
            stacks.restore(before)
            continue
        model = ordered[0]
        whole = stacks.add(position, Line(stacks.fresh("all"), model.op, tuple(operands), {}, shape, model.dtype, model.kind))
        for t, line in enumerate(ordered):
            part = stacks.add(position, Line(stacks.fresh("one"), getitem, (whole,), {"index": t}, line.shape, line.dtype,
                                             line.kind))
            by[str(line.name)] = part
            dropped.add(str(line.name))
    return _inserted(program, stacks, dropped, by) if by else program


def _is_vector_product(line: Line, stacks: _Stacks) -> bool:
    """Whether a line is A v with a matrix A."""
    a, b = line.operands
    return isinstance(a, Name) and isinstance(b, Name) and len(stacks.shapes[a]) == 2 and len(stacks.shapes[b]) == 1


def _rows_times(operands: Sequence[Any], stacks: _Stacks, position: int) -> list[Any]:
    """V Aᵀ for the rows v of V, which A v were one by one."""
    a, rows = operands
    if not isinstance(a, Name) or not isinstance(rows, Name) or len(stacks.shapes[a]) != 2 or len(stacks.shapes[rows]) != 2:
        return []
    shape = stacks.shapes[a][::-1]
    return [rows, stacks.add(position, Line(stacks.fresh("turned"), transpose, (a,), {}, shape, stacks.dtypes[a]))]


def _kind(line: Line, stacks: _Stacks) -> Any:
    """What operations must have in common: the function, shape, dtype, and where their operands come from."""
    def of(x: Any) -> Any:
        if not isinstance(x, Name):
            return repr(x)
        source = stacks.line_of.get(x)
        if source is None:
            return ("constant", stacks.shapes[x]) if str(x) in stacks.known else str(x)
        if source.op is getitem:
            inner = stacks.line_of.get(source.operands[0])
            index = source.params["index"]
            return "part", "i" if type(index) is int else repr(index), inner.op.name if inner is not None else ""
        return source.op.name, source.shape
    return line.op.name, line.shape, np.dtype(line.dtype), tuple(of(x) for x in line.operands)


def _in_order(members: Sequence[Line], stacks: _Stacks) -> list[Line]:
    """Members in the order in which an operand's values lie in an array already, or were made."""
    for i, x in enumerate(members[0].operands):
        if not isinstance(x, Name):
            continue
        column = [line.operands[i] for line in members]
        found = [stacks.line_of.get(y) if isinstance(y, Name) else None for y in column]
        parts = [line for line in found if line is not None and line.op is getitem and type(line.params["index"]) is int]
        if len(parts) == len(members) and len({str(line.operands[0]) for line in parts}) == 1:
            return _sorted_by([line.params["index"] for line in parts], members)
        if all(isinstance(y, Name) for y in column) and len(set(column)) == len(column):
            sources = [_base(y, stacks) for y in column]
            held = [stacks.where.get(s) for s in sources]
            if all(place is not None for place in held) and len({place[0] for place in held if place is not None}) == 1:
                return _sorted_by([place[1] for place in held if place is not None], members)
            return _sorted_by([stacks.position.get(s, -1) for s in sources], members)
    return list(members)


def _sorted_by(keys: Sequence[int], members: Sequence[Line]) -> list[Line]:
    return [m for _, m in sorted(zip(keys, members, strict=True), key=lambda pair: pair[0])]


def _base(x: str, stacks: _Stacks) -> str:
    """The value that a part was taken of."""
    line = stacks.line_of.get(x)
    return str(line.operands[0]) if line is not None and line.op is getitem else str(x)


# ---------------------------------------------------------------- products of stacks of matrices

def flat_products(program: Program) -> Program:
    """X W with X (t, m, k) and one W as a product of matrices; Σₜ Xₜᵀ Gₜ likewise."""
    shapes, line_of, uses = shapes_of(program), {str(line.name): line for line in program.lines}, uses_of(program)
    fresh = Namer(program)
    lines: list[Line] = []
    changed = False
    for line in program.lines:
        made = _flat_product(line, shapes, fresh) if line.op is matmul else (
            _flat_sum(line, shapes, line_of, uses, fresh) if line.op is ADD_REDUCE else None)
        changed = changed or made is not None
        lines += made if made is not None else [line]
    return with_lines(program, lines) if changed else program


def _flat_product(line: Line, shapes: dict[str, tuple[int, ...]], fresh: Namer) -> list[Line] | None:
    a, b = line.operands
    if not isinstance(a, Name) or not isinstance(b, Name) or len(shapes[a]) < 3 or len(shapes[b]) != 2:
        return None
    rows, k = int(np.prod(shapes[a][:-1])), shapes[a][-1]
    tall, product, m = fresh("tall"), fresh("product"), shapes[b][1]
    return [Line(tall, reshape, (a,), {"shape": (rows, k)}, (rows, k), line.dtype, line.kind),
            Line(product, matmul, (tall, b), {}, (rows, m), line.dtype, line.kind),
            Line(line.name, reshape, (product,), {"shape": line.shape}, line.shape, line.dtype, line.kind, line.named)]


def _flat_sum(line: Line, shapes: dict[str, tuple[int, ...]], line_of: dict[str, Line], uses: dict[str, int],
              fresh: Namer) -> list[Line] | None:
    inner = line_of.get(line.operands[0]) if isinstance(line.operands[0], Name) else None
    if inner is None or inner.op is not matmul or uses[str(inner.name)] != 1 or len(inner.shape) != 3 or (
            line.params.get("axis") != (0,) or line.params.get("keepdims")):
        return None
    left, g = inner.operands
    turned = line_of.get(left) if isinstance(left, Name) else None
    if turned is None or turned.op is not transpose or turned.params.get("axes") != (0, 2, 1) or not isinstance(g, Name) or (
            len(shapes[g]) != 3):
        return None
    a = turned.operands[0]
    t, rows, k = shapes[a]
    m = shapes[g][2]
    if shapes[g][:2] != (t, rows):
        return None
    names = [fresh("tall") for _ in range(3)]
    return [Line(names[0], reshape, (a,), {"shape": (t * rows, k)}, (t * rows, k), line.dtype, line.kind),
            Line(names[1], reshape, (g,), {"shape": (t * rows, m)}, (t * rows, m), line.dtype, line.kind),
            Line(names[2], transpose, (names[0],), {}, (k, t * rows), line.dtype, line.kind),
            Line(line.name, matmul, (names[2], names[1]), {}, (k, m), line.dtype, line.kind, line.named)]


def whole_again(program: Program) -> Program:
    """What stacks all the entries of an array in order is that array."""
    shapes, line_of = shapes_of(program), {str(line.name): line for line in program.lines}
    by: dict[str, Any] = {}
    lines: list[Line] = []
    for line in program.lines:
        line = reworded(line, by)
        stacked = (line.op.name == "stack" and line.params.get("axis") == 0) or (
            line.op is PLACE and line.params["indices"] == tuple(range(len(line.operands))))
        parts = [line_of.get(x) if isinstance(x, Name) else None for x in line.operands] if stacked else []
        found = [part for part in parts if part is not None and part.op is getitem]
        if found and len(found) == len(parts) and [part.params["index"] for part in found] == list(range(len(parts))):
            whole = {part.operands[0] for part in found}
            if len(whole) == 1 and shapes[next(iter(whole))] == line.shape and not line.named:
                by[str(line.name)] = whole.pop()
                continue
        lines.append(line)
    updates = tuple(replace(u, value=by.get(str(u.value), u.value)) for u in program.updates)
    return replace(with_lines(program, lines, by), updates=updates)


COPY = Primitive("copy", np.array)


def copied_weights(program: Program) -> Program:
    """A transposed factor of many products is written out once: BLAS takes rows without gaps faster."""
    shapes = shapes_of(program)
    line_of = {str(line.name): line for line in program.lines}
    count: dict[str, int] = {}
    for line in program.lines:
        if line.op is matmul and isinstance(line.operands[1], Name):
            count[line.operands[1]] = count.get(line.operands[1], 0) + 1
    fresh = Namer(program)
    copies: dict[str, Name] = {}
    lines: list[Line] = []
    for line in program.lines:
        if line.op is matmul and isinstance(line.operands[1], Name):
            b = line.operands[1]
            turned = line_of.get(b)
            if turned is not None and turned.op is transpose and count[b] > FEWEST and len(shapes[b]) == 2:
                if b not in copies:
                    copies[b] = fresh("rows")
                    lines.append(Line(copies[b], COPY, (b,), {}, shapes[b], turned.dtype, line.kind))
                line = replace(line, operands=(line.operands[0], copies[b]))
        lines.append(line)
    return with_lines(program, lines) if copies else program


__all__ = ["ADD_AT", "COPY", "PLACE", "Namer", "batch_alike", "copied_weights", "flat_products", "gather_puts", "join_products",
           "known_first", "place_products", "whole_again"]
