"""The largest of a window first, then what treats all entries of the window alike: a quarter of the work for 2 by 2 windows.

max(x + b) = max(x) + b, and max(relu(x)) = relu(max(x)); backwards, the entries of a window share one gradient, whose sum
is the gradient of the window. (Entries that only rounding makes equal share in one form and not in the other.)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .algebra import ADD, shapes_of, with_lines
from .expand import ADD_REDUCE, GATE, ufunc_of
from .passes import drop_unused
from .places import Namer
from .program import Line, Name, Program, names_in

_MAXIMUM, _GREATER = "maximum", "greater"


def pool_first(program: Program) -> Program:
    """Take maxima of windows before adding what is the same in a window, and before relu."""
    if "max_pool" not in program.operations:
        return program
    return _sums_of_shares(_before_adding(drop_unused(_before_relu(program))))


class _View:
    def __init__(self, program: Program) -> None:
        self.shapes = shapes_of(program)
        self.line_of = {str(line.name): line for line in program.lines}
        self.users: dict[str, list[Line]] = {}
        for line in program.lines:
            for name in dict.fromkeys(line.uses()):
                self.users.setdefault(name, []).append(line)
        self.results = {str(name) for out in program.outputs.values() for name in names_in(out)}

    def made(self, x: Any) -> Line | None:
        return self.line_of.get(x) if isinstance(x, Name) else None

    def only(self, x: Any, *allowed: Line) -> bool:
        """Whether nothing but these lines reads a value."""
        return str(x) not in self.results and all(any(user is line for line in allowed) for user in self.users.get(str(x), ()))


def _pooled_axes(line: Line) -> int:
    return len(line.params["kernel"])


def _shares(view: _View, pool: Line) -> list[Line]:
    """The lines that pass the gradient of this pooling back."""
    x = pool.operands[0]
    return [user for user in view.users.get(str(x), ()) if user.op.name == "share_of_windows" and user.operands[2] == x
            and user.operands[1] == pool.name]


def _before_adding(program: Program) -> Program:
    view = _View(program)
    fresh = Namer(program)
    changed: dict[str, list[Line]] = {}
    for pool in program.lines:
        if pool.op.name != "max_pool":
            continue
        added = view.made(pool.operands[0])
        if added is None or added.op is not ADD:
            continue
        shares, count = _shares(view, pool), _pooled_axes(pool)
        for x, b in (added.operands, added.operands[::-1]):
            if not isinstance(x, Name) or view.shapes[x] != added.shape:
                continue
            alike = not isinstance(b, Name) or all(n == 1 for n in view.shapes[b][-count:])
            if not alike or not view.only(added.name, pool, *shares):
                continue
            first = fresh("largest")
            changed[str(pool.name)] = [replace(pool, name=first, operands=(x,), named=False),
                                       replace(pool, op=ADD, operands=(first, b), params={})]
            changed[str(added.name)] = []
            for share in shares:
                changed[str(share.name)] = [replace(share, operands=(share.operands[0], first, x))]
            break
    return _with(program, changed)


def _before_relu(program: Program) -> Program:
    view = _View(program)
    fresh = Namer(program)
    changed: dict[str, list[Line]] = {}
    for pool in program.lines:
        if pool.op.name != "max_pool":
            continue
        relu = view.made(pool.operands[0])
        ufunc = ufunc_of(relu.op) if relu is not None else None
        if relu is None or ufunc is None or ufunc.__name__ != _MAXIMUM or not isinstance(relu.operands[0], Name) or (
                isinstance(relu.operands[1], Name) or relu.operands[1] != 0):
            continue
        x, shares = relu.operands[0], _shares(view, pool)
        if view.shapes[x] != relu.shape or not view.only(relu.name, pool, *shares):
            continue
        gates = [_gate_after(view, share, x) for share in shares]
        if any(gate is None for gate in gates):
            continue
        first = fresh("largest")
        changed[str(pool.name)] = [replace(pool, name=first, operands=(x,), named=False),
                                   replace(pool, op=relu.op, operands=(first, relu.operands[1]), params={})]
        changed[str(relu.name)] = []
        for share, found in zip(shares, gates, strict=True):
            assert found is not None
            gate, mask = found
            open_, passed = fresh("open"), fresh("passed")
            changed[str(share.name)] = []
            changed[str(gate.name)] = [
                Line(open_, mask.op, (first, 0), {}, pool.shape, mask.dtype, gate.kind),
                Line(passed, GATE, (share.operands[0], open_), {}, pool.shape, gate.dtype, gate.kind),
                replace(share, name=gate.name, operands=(passed, first, x), named=gate.named),
            ]
    return _with(program, changed)


def _gate_after(view: _View, share: Line, x: Name) -> tuple[Line, Line] | None:
    """The gate x > 0 that a shared gradient passes next, and the line of its condition."""
    users = view.users.get(str(share.name), [])
    if len(users) != 1 or users[0].op is not GATE or users[0].operands[0] != share.name or str(share.name) in view.results:
        return None
    mask = view.made(users[0].operands[1])
    ufunc = ufunc_of(mask.op) if mask is not None else None
    if mask is None or ufunc is None or ufunc.__name__ != _GREATER or mask.operands != (x, 0):
        return None
    return users[0], mask


def _sums_of_shares(program: Program) -> Program:
    """The sum over the windows of what they share is the sum of what was to be shared."""
    view = _View(program)
    changed: dict[str, list[Line]] = {}
    for line in program.lines:
        share = view.made(line.operands[0]) if line.op is ADD_REDUCE else None
        if share is None or share.op.name != "share_of_windows" or not isinstance(share.operands[0], Name):
            continue
        count, axis = _pooled_axes(share), line.params.get("axis")
        whole = all(before == 0 for before in share.params["before"]) and share.params["kernel"] == share.params["stride"]
        pooled = set(range(len(share.shape) - count, len(share.shape)))
        if whole and (axis is None or pooled <= set(axis)):
            changed[str(line.name)] = [replace(line, operands=(share.operands[0],))]
    return _with(program, changed)


def _with(program: Program, changed: dict[str, list[Line]]) -> Program:
    if not changed:
        return program
    return with_lines(program, [new for line in program.lines for new in changed.get(str(line.name), [line])])


__all__ = ["pool_first"]
