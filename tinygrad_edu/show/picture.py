"""The graph as a picture: every value with its operation and its derivative, every arrow with the local derivative.

    a ──→ v = a + u ──→ J = 3 · v        solid: the forward pass
      ←┄┄    dv = 3   ←┄┄                dashed: the derivatives flow back
"""

from __future__ import annotations

import html
import os
import re
import secrets
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np

from ..backprop import Graph, pull, seed
from ..errors import DTypeError, MissingExtraError, TinygradError, variable_names
from ..memory import look_as_before, look_rarely
from ..tensor import Tensor
from . import notation
from .collapse import Frame, Token, collapse, span, tally
from .names import name_nodes
from .render import render, renderer
from .scopes import groups_of, scope

__all__ = ["Picture", "PictureError", "draw", "renderer", "scope"]

FORMATS = ("svg", "png", "pdf", "dot")

# Colours that stay apart for colour-blind eyes, dark enough to be read on white
INK, QUIET, FORWARD, BACKWARD, BAD = "#1B1B1B", "#666666", "#37474F", "#B34700", "#C2185B"
LEAF_LINE, LEAF_FILL, RESULT_LINE, RESULT_FILL, ROOT_FILL, GROUP_FILL, FRAME_LINE, FRAME_FILL = (
    "#0072B2", "#E3F0FA", "#78909C", "#FFFFFF", "#FFF6DA", "#F0F0F0", "#9AA5AB", "#F7F9FA")


class PictureError(TinygradError, OSError, ValueError):
    """A picture cannot be written: the suffix is none of .svg, .png, .pdf and .dot, or the place is not writable.

    >>> import tinygrad_edu as tg
    >>> J = tg.Tensor(2.0, name="w") * 3
    >>> tg.draw(J).save("J.bmp")
    Traceback (most recent call last):
    tinygrad_edu.show.picture.PictureError: save: J.bmp: a picture is saved as .svg, .png, .pdf or .dot. Write \
save("J.svg").
    """


# ---------------------------------------------------------------- numbers and formulas as text

def number(x: Any, digits: int = 5) -> str:
    """A few digits, with a true minus sign; whole numbers in full."""
    x = float(x)
    if x == round(x, 0) and abs(x) < 1e6 if np.isfinite(x) else False:
        return f"{int(x)}".replace("-", "−")
    return re.sub("e([+-])0*", r"e\1", f"{x:.{digits}g}").replace("e+", "e").replace("inf", "∞").replace("-", "−")


def entries(value: Any) -> str:
    """A small array in full: [1, 2] or [[1, 2], [3, 4]]."""
    if not value.ndim:
        return number(value)
    text = np.array2string(value.astype(object), separator=", ", formatter={"all": lambda x: number(x, 4)})
    return re.sub(r"\s*\n\s*", " ", text)


def summary(value: Any) -> str:
    """A number, the entries of a small array, or the range and the mean of a large one."""
    value = np.asarray(value)
    if not value.size:
        return "empty"
    if value.size <= 4:
        return entries(value)
    finite = np.isfinite(value)
    if not finite.all():
        nans = int(np.isnan(value).sum())
        infinite = value.size - int(finite.sum()) - nans
        parts = [f"{count} {what}" for count, what in ((nans, "nan"), (infinite, "∞")) if count]
        return f"{' and '.join(parts)} of {value.size}"
    low, high = value.min(), value.max()
    if low == high:
        return f"all {number(low)}"
    mean = np.mean(value, dtype=np.float64)
    if abs(mean) < 16 * _precision(value) * max(abs(low), abs(high)):  # what cancels, but for rounding
        mean = np.float64(0.0)
    return f"{number(low, 3)} to {number(high, 3)}, mean {number(mean, 3)}"


def _precision(value: Any) -> float:
    return float(np.finfo(value.dtype).eps) if value.dtype.kind == "f" else 0.0


def is_finite(value: Any) -> bool:
    """Whether every entry is a finite number."""
    return bool(np.isfinite(value).all())


def shown(text: str, most: int = 28) -> str:
    """User text that is safe and short enough to draw: no control characters, one line."""
    if len(text) > 8 * most:
        text = text[: 4 * most] + text[-4 * most:]
    clean = []
    for c in text:
        kind = unicodedata.category(c)
        if kind != "Cf":  # invisible: joins letters, turns the direction of writing
            clean.append(" " if c in "\n\r\t" else "\N{REPLACEMENT CHARACTER}" if kind[0] == "C" else c)
    text = " ".join("".join(clean).split()) or "(no name)"
    return text if len(text) <= most else text[: most - 9] + "…" + text[-8:]


# ---------------------------------------------------------------- what is known of a graph

class _Kept(dict[Tensor, Any]):
    """Gradients that stay when the backward pass has used them."""

    def pop(self, key: Tensor, default: Any = None) -> Any:
        return self.get(key, default)


class _Record:
    """The graph of a result: its operations, names and gradients."""

    def __init__(self, root: Tensor, gradients: bool, gradient: Any) -> None:
        self.root = root
        graph = Graph([root])
        self.operations = graph.nodes
        self.variables = variable_names()
        self.names: dict[Tensor, str] = {}
        self.position = {t: i for i, t in enumerate(self.operations)}
        self.leaf_number = {t: i for i, t in enumerate(sorted(graph.leaves, key=lambda t: t.id))}
        if len(self.operations) <= 5000:
            self.names = name_nodes(root, self.variables)
        self.grads: dict[Tensor, Any] = {}
        self.given = gradient is not None
        if gradients and root.requires_grad and (gradient is not None or root.size == 1):
            g = seed(root, gradient, "draw")
            self.grads = _Kept({root: g.value if type(g) is Tensor else g})
            with np.errstate(all="ignore"):
                pull(list(self.operations), self.grads)

    def gradient(self, t: Tensor) -> Any:
        """dJ/dt in t's shape, or None; the backward pass may keep one number for equal entries."""
        g = self.grads.get(t)
        return g if g is None or np.shape(g) == t.shape else np.broadcast_to(g, t.shape)

    def named(self, t: Tensor) -> bool:
        """Whether a person named it."""
        return t.name is not None or id(t) in self.variables

    def name(self, t: Tensor) -> str:
        if t in self.names:
            return shown(self.names[t])
        if t.name is not None:
            return shown(t.name)
        if id(t) in self.variables:
            return shown(self.variables[id(t)])
        if t is self.root:
            return "J"
        return f"t{self.position[t] + 1}" if t in self.position else f"x{self.leaf_number.get(t, 0) + 1}"

    def only_a_number(self, a: Tensor) -> bool:
        """Whether a is a constant that nobody named, as the rules make them: its value says all."""
        return a.op is None and not a.requires_grad and not a.ndim and not self.named(a) and a is not self.root

    def operand(self, a: Any) -> str:
        """What an operand is called in a formula."""
        if type(a) is Tensor:
            return number(a.value) if self.only_a_number(a) else self.name(a)
        if isinstance(a, np.ndarray):
            if id(a) in self.variables:
                return shown(self.variables[id(a)])
            return entries(a) if a.size <= 3 else f"array{a.shape}"
        return str(a) if isinstance(a, (bool, np.bool_)) else number(a)

    def formula(self, t: Tensor) -> str:
        """How a result was made from its operands, without its own name."""
        operands = [a if isinstance(a, (bool, int, float, np.generic)) else None for a in t.args]
        parts = [notation.number(a) if a is not None else notation.name(self.operand(b), np.shape(value_of(b)))
                 for a, b in zip(operands, t.args, strict=True)]
        if len(parts) > 6:
            dots = notation.name("…", strength=notation.ATOM)
            parts = [*parts[:3], dots, parts[-1]]
        return shown(notation.text(notation.operation(t, parts)), 48)

    # -- derivatives along one arrow

    def along(self, t: Tensor, i: int) -> str:
        """The local derivative of t with respect to its operand i: a number for numbers, else what flows back."""
        a = t.args[i]
        if not t.size or not a.size:
            return ""
        if t.size == 1 and a.size <= 4:
            d = self._local(t, i)
            return f"d{self.name(t)}/d{self.name(a)} = {entries(d.reshape(a.shape)) if a.ndim else number(d.sum())}"
        return self._flow(t, i)

    def _local(self, t: Tensor, i: int) -> Any:
        """dt/d(operand i) for a t of one number, an array of the operand's size."""
        a, op = t.args[i], t.op
        assert op is not None
        rule = op.rules_for(len(t.args))[i]
        one = np.ones_like(np.asarray(t.value))
        with np.errstate(all="ignore"):
            d = None if rule is None else rule(one if t.ndim else one[()], t.value, *map(value_of, t.args),
                                               **(t.params or {}))
        if d is None:
            return np.zeros(a.shape)
        d = np.asarray(d)
        return d if d.size == a.size else np.broadcast_to(d, a.shape)

    def _flow(self, t: Tensor, i: int) -> str:
        """The rule read as a formula: it is evaluated on stand-ins, and the derivative so recorded is written out."""
        a, y = t.args[i], self.name(t)
        names: dict[Tensor, str] = {}
        constants = {id(v): self.operand(v) for v in map(value_of, t.args) if isinstance(v, np.ndarray)}

        def stand_in(value: Any, name: str) -> Any:
            if not hasattr(value, "shape"):
                return value
            s = notation.stand_in(value)
            names[s] = name
            return s

        g = stand_in(self.gradient(t), f"d{y}")
        result = stand_in(t.value, y)
        held: dict[int, Any] = {}
        for b in t.args:
            if id(b) not in held:
                held[id(b)] = stand_in(value_of(b), self.operand(b))
        try:
            d = notation.recorded_rule(t, i, g, result, [held[id(b)] for b in t.args])
            text = "0" if d is None else notation.text(notation.expression(d, names, constants))
        except Exception:  # a user's rule may know arrays only; its formula is then not to be had
            text = ""
        if 0 < len(text) <= 36:
            return text
        x = self.operand(a)
        short = f"d{y} · d{y}/d{x}"
        return short if len(short) <= 36 else ""


def value_of(a: Any) -> Any:
    """The value of a Tensor; anything else is its own value."""
    return a.value if type(a) is Tensor else a


# ---------------------------------------------------------------- boxes and arrows

Row = list[tuple[str, str]]  # pieces of text with their style: name, plain, quiet, gradient, bad


class _Box:
    """What is drawn of a leaf, a constant, a result, a group."""

    __slots__ = ("frames", "id", "kind", "rows", "title")

    def __init__(self, kind: str, title: str, rows: list[Row], frames: tuple[Frame, ...]) -> None:
        self.kind, self.title, self.rows, self.frames = kind, title, rows, frames
        self.id = ""


class _Arrow:
    __slots__ = ("back", "head", "kind", "label", "tail")

    def __init__(self, tail: _Box, head: _Box, kind: str, back: bool = False, label: str = "") -> None:
        self.tail, self.head, self.kind, self.back, self.label = tail, head, kind, back, label


def _count(n: int) -> str:
    return f"{n:,}".replace(",", " ")


class _Leaves:
    """Leaves and constants that are drawn as one box, and where they go: (token, operand) pairs."""

    __slots__ = ("items", "uses")

    def __init__(self, uses: frozenset[tuple[int, int]]) -> None:
        self.uses = uses
        self.items: list[Any] = []


def _leaves_of(record: _Record, tokens: list[Token]) -> tuple[list[_Leaves], dict[int, list[Any]]]:
    """The leaves to draw, and those drawn inside a token: a group's parameters."""
    place = np.empty(len(record.operations), np.int64)
    for k, token in enumerate(tokens):
        for copy in token.copies:
            place[copy] = k
    where = place.tolist()
    held: dict[int, Any] = {}
    uses: dict[int, set[tuple[int, int]]] = {}
    fed: set[int] = set()  # tokens that something recorded flows into
    for k, t in zip(where, record.operations, strict=True):
        assert t.op is not None
        variadic = t.op.variadic
        for i, a in enumerate(t.args):
            if type(a) is Tensor:
                if a.op is not None and a.requires_grad:
                    if where[record.position[a]] != k:
                        fed.add(k)
                    continue
            elif not isinstance(a, np.ndarray):
                continue
            if id(a) not in held:
                held[id(a)] = a
                uses[id(a)] = set()
            uses[id(a)].add((k, 0 if variadic else i))
    groups: dict[Any, _Leaves] = {}
    inside: dict[int, list[Any]] = {}  # by token
    sizes: dict[frozenset[tuple[int, int]], int] = {}
    frozen = {key: frozenset(u) for key, u in uses.items()}
    for u in frozen.values():
        sizes[u] = sizes.get(u, 0) + 1
    for key, a in held.items():
        u = frozen[key]
        owners = {k for k, _ in u}
        k = next(iter(owners))
        tracked = type(a) is Tensor and a.requires_grad
        known = tracked or id(a) in record.variables
        if len(owners) == 1 and tokens[k].kind != "operation" and (
                tokens[k].kind == "earlier" or not known or (tracked and k in fed)):
            inside.setdefault(k, []).append(a)
            continue
        many = any(len(tokens[o].copies) > 1 for o in owners) or (sizes[u] > 3 and len(u) == 1)
        together: Any = (u, tracked) if many else key
        groups.setdefault(together, _Leaves(u)).items.append(a)
    if not record.operations:
        groups[0] = _Leaves(frozenset())
        groups[0].items.append(record.root)
    return list(groups.values()), inside


class _Sketch:
    """Boxes, arrows and a caption: the picture before it is written as DOT or as text."""

    def __init__(self, record: _Record, most: int, gradients: bool) -> None:
        self.record, self.wanted = record, gradients
        operations = record.operations
        counted: list[Any] = [None, None]  # the tokens looked at last, and their leaves

        def boxes_for(tokens: list[Token]) -> int:
            counted[:] = tokens, _leaves_of(record, tokens)
            return len(tokens) + len(counted[1][0])

        self.tokens = collapse(operations, groups_of(operations), most, boxes_for)
        self.collapsed = any(t.kind != "operation" or len(t.copies) > 1 for t in self.tokens)
        self.inside: dict[int, list[Any]]
        leaves, self.inside = counted[1] if counted[0] is self.tokens else _leaves_of(record, self.tokens)
        where = [(0, 0)] * len(operations)
        for k, token in enumerate(self.tokens):
            for c, copy in enumerate(token.copies):
                for i in copy:
                    where[i] = (k, c)
        self.where = where
        self.arrows: list[_Arrow] = []
        links = self._links()
        boxes = [self._token_box(k, token) for k, token in enumerate(self.tokens)]
        first_use: dict[int, list[_Box]] = {}
        into: dict[tuple[int, int], list[_Box]] = {}
        for group in leaves:
            box = self._leaf_box(group)
            first_use.setdefault(min((k for k, _ in group.uses), default=0), []).append(box)
            for k, i in group.uses:
                into.setdefault((k, i), []).append(box)
        self.boxes: list[_Box] = []
        for k, box in enumerate(boxes):
            self.boxes += first_use.get(k, [])
            token = self.tokens[k]
            if token.kind == "operation":
                self._operation_arrows(k, token, box, boxes, into, links)
            else:
                self._group_arrows(k, box, boxes, into, links)
            self.boxes.append(box)
        if not boxes:
            self.boxes += first_use.get(0, [])
        self.root = boxes[self.where[-1][0]] if operations else self.boxes[0]
        for n, box in enumerate(self.boxes):
            box.id = f"n{n + 1}"
        self.caption = self._caption(len(operations))

    # -- what is linked with what

    def _links(self) -> dict[int, dict[tuple[int, int, str], None]]:
        """For every token, where its operands come from: (operand, token, kind of arrow)."""
        record, where, tokens = self.record, self.where, self.tokens
        links: dict[int, dict[tuple[int, int, str], None]] = {k: {} for k in range(len(tokens))}
        self.outputs: dict[int, dict[int, None]] = {}
        position = record.position
        for j, t in enumerate(record.operations):
            k, copy = where[j]
            token = tokens[k]
            single = token.kind == "operation"
            assert t.op is not None
            for i, a in enumerate(t.args):
                if type(a) is not Tensor or a not in position:
                    continue
                source = position[a]
                m, source_copy = where[source]
                if m == k and copy == source_copy:
                    continue
                self.outputs.setdefault(m, {})[source] = None
                kind = "forward" if m < k else "turn"
                links[k][(i if single and not (t.op.variadic and len(token.copies) > 1) else 0, m, kind)] = None
        if record.operations:
            self.outputs.setdefault(where[-1][0], {})[len(record.operations) - 1] = None
        return links

    def _operation_arrows(self, k: int, token: Token, box: _Box, boxes: list[_Box],
                          into: dict[tuple[int, int], list[_Box]],
                          links: dict[int, dict[tuple[int, int, str], None]]) -> None:
        record = self.record
        t = record.operations[token.first]
        assert t.op is not None
        single = len(token.copies) == 1
        sources: dict[int, list[tuple[int, str]]] = {}
        for i, m, kind in links[k]:
            sources.setdefault(i, []).append((m, kind))
        for i, a in enumerate(t.args):
            slot = 0 if t.op.variadic else i
            if single:
                back = (type(a) is Tensor and a in record.grads and t in record.grads
                        and (a.requires_grad or a in record.position))
                if type(a) is Tensor and a in record.position:
                    m = self.where[record.position[a]][0]
                    plain = self.tokens[m].kind == "operation" and len(self.tokens[m].copies) == 1
                    label = record.along(t, i) if back and plain else ""
                    self.arrows.append(_Arrow(boxes[m], box, "forward", back, label))
                elif type(a) is Tensor or isinstance(a, np.ndarray):
                    for leaf_box in self._leaf_boxes(a, into.get((k, slot), [])):
                        label = record.along(t, i) if back and leaf_box.kind != "leaves" else ""
                        arrow = _Arrow(leaf_box, box, "forward", back, label)
                        if leaf_box.kind != "leaves" or not any(x.tail is leaf_box and x.head is box
                                                                for x in self.arrows[-len(t.args):]):
                            self.arrows.append(arrow)
                else:
                    self._number_arrow(a, box)
                continue
            for leaf_box in into.get((k, slot), []) if not t.op.variadic or i == 0 else []:
                self.arrows.append(_Arrow(leaf_box, box, "forward", leaf_box.kind in ("leaf", "leaves")
                                          and bool(record.grads)))
            for m, kind in sources.get(i, []):
                self._flow_arrow(boxes[m], box, kind)
            if not isinstance(a, (Tensor, np.ndarray)):
                others = [record.operations[copy[0]].args for copy in token.copies]
                last = others[-1][i] if i < len(others[-1]) else a
                if not isinstance(last, (Tensor, np.ndarray)):
                    self._number_arrow(a, box, last)

    def _flow_arrow(self, tail: _Box, head: _Box, kind: str) -> None:
        """Between what stands for several: no numbers, but the way; from one copy to the next where it turns back."""
        forward = kind == "forward"
        self.arrows.append(_Arrow(tail, head, kind, forward and bool(self.record.grads), "" if forward else "next"))

    def _leaf_boxes(self, a: Any, boxes: list[_Box]) -> list[_Box]:
        return [b for b in boxes if any(a is item for item in self.items_of[b])]

    def _number_arrow(self, a: Any, box: _Box, last: Any = None) -> None:
        text = span([self.record.operand(x) for x in (a, a if last is None else last)])
        small = _Box("number", text, [[(text, "quiet")]], box.frames)
        self.boxes.append(small)
        self.arrows.append(_Arrow(small, box, "constant"))

    def _group_arrows(self, k: int, box: _Box, boxes: list[_Box], into: dict[tuple[int, int], list[_Box]],
                      links: dict[int, dict[tuple[int, int, str], None]]) -> None:
        flows = bool(self.record.grads)
        feeding = dict.fromkeys(b for (m, _), found in sorted(into.items(), key=lambda item: item[0]) if m == k
                                for b in found)
        for b in feeding:
            self.arrows.append(_Arrow(b, box, "forward", flows and b.kind in ("leaf", "leaves")))
        for m, kind in dict.fromkeys((m, kind) for _, m, kind in links[k]):
            self._flow_arrow(boxes[m], box, kind)

    # -- what stands in the boxes

    items_of: dict[_Box, list[Any]]

    def _value_row(self, value: Any) -> Row:
        style = "plain" if is_finite(value) else "bad"
        if not np.ndim(value):
            return [(summary(value), style)]
        return [(str(np.shape(value)), "quiet"), ("  " + summary(value), style)]

    def _gradient_row(self, t: Tensor) -> Row | None:
        g = self.record.gradient(t)
        if g is None:
            return None
        x, J = self.record.name(t), self.record.name(self.record.root)
        style = "gradient" if is_finite(g) else "bad"
        if t is self.record.root:
            return [(f"d{x}: given, {summary(g)}" if self.record.given else f"d{J}/d{J} = 1", style)]
        text = summary(g)
        if not np.ndim(g):
            text = f"d{x} = d{J}/d{x} = {text}" if 2 * len(x) + len(J) <= 12 else f"d{x} = {text}"
        else:
            text = f"d{x} = {text}" if np.size(g) <= 4 else f"d{x}: {text}"
        return [(text, style)]

    def _leaf_box(self, group: _Leaves) -> _Box:
        if not hasattr(self, "items_of"):
            self.items_of = {}
        record = self.record
        a = group.items[0]
        value = value_of(a)
        frames = self._leaf_frames(group)
        if len(group.items) > 1:
            texts = [record.operand(x) for x in group.items]
            named = any(record.named(x) if type(x) is Tensor else id(x) in record.variables for x in group.items)
            shapes = list(dict.fromkeys(str(np.shape(value_of(x))) for x in group.items))
            title = span(texts) if named else "inputs" if type(a) is Tensor else "constants"
            rows: list[Row] = [[(title, "name"), (f"  ×{len(group.items)}", "times")]]
            if shapes != ["()"]:
                rows.append([(", ".join(shapes) if len(shapes) <= 3 else f"{shapes[0]}, …, {shapes[-1]}", "quiet")])
            tracked = type(a) is Tensor and a.requires_grad
            if tracked:
                rows += self._sizes_row(group.items)
            box = _Box("leaves" if tracked else "constants", title, rows, frames)
        elif type(a) is Tensor and (a.requires_grad or a is record.root):
            rows = [[(record.name(a), "name")], self._value_row(value)]
            gradient = self._gradient_row(a)
            box = _Box("leaf", record.name(a), rows + ([gradient] if gradient else []), frames)
        else:
            title = record.operand(a)
            known = not record.only_a_number(a) if type(a) is Tensor else id(a) in record.variables
            rows = [[(title, "name" if known else "plain")]]
            if known:
                rows.append([(t, "quiet") for t, _ in self._value_row(value)])
            box = _Box("constant", title, rows, frames)
        self.items_of[box] = group.items
        return box

    def _leaf_frames(self, group: _Leaves) -> tuple[Frame, ...]:
        """Inside the borders that surround all its uses; a leaf shared by the copies stands outside."""
        paths = [self.tokens[k].frames for k in sorted({k for k, _ in group.uses})]
        if not paths:
            return ()
        common: list[Frame] = []
        for level in zip(*paths, strict=False):
            if any(f is not level[0] for f in level) or (level[0].copies > 1 and len(group.items) == 1):
                break
            common.append(level[0])
        return tuple(common)

    def _sizes_row(self, copies: list[Tensor]) -> list[Row]:
        """How large the derivatives are in the first and in the last copy: whether they vanish on the way."""
        grads: list[Any] = [self.record.gradient(t) for t in (copies[0], copies[-1])]
        if any(g is None or not np.size(g) for g in grads):
            return []
        if all(np.ndim(g) == 0 for g in grads):
            return [[(f"derivative: {number(grads[0])} … {number(grads[1])}", "gradient")]]
        first, last = (float(np.abs(g).mean(dtype=np.float64)) for g in grads)
        return [[(f"mean |derivative|: {number(first, 2)} … {number(last, 2)}", "gradient")]]

    def _token_box(self, k: int, token: Token) -> _Box:
        record = self.record
        operations = record.operations
        times = len(token.copies)
        if token.kind == "operation" and times == 1:
            t = operations[token.first]
            rows: list[Row] = [[(record.name(t), "name"), (f" = {record.formula(t)}", "plain")],
                               self._value_row(t.value)]
            if t.op is not None and t.op.name == "matmul" and all(np.ndim(value_of(a)) == 1 for a in t.args):
                rows[0].append(("  Σ of products", "quiet"))
            gradient = self._gradient_row(t)
            kind = "root" if t is record.root else "result"
            return _Box(kind, record.name(t), rows + ([gradient] if gradient else []), token.frames)
        if token.kind == "operation":
            copies = [operations[copy[0]] for copy in token.copies]
            t = copies[0]
            assert t.op is not None
            named = [x for x in copies if record.named(x)]
            title = span([record.name(x) for x in named]) if named else t.op.name
            symbol = (t.op.symbol or "").replace("{0}", "·").replace("⊙", "⊙" if t.ndim else "·")
            symbol = "" if "{" in symbol else symbol
            what = symbol if title == t.op.name else symbol or t.op.name
            if title == t.op.name and t.op.name in ("getitem", "gather"):
                title, what = self._pattern(copies), ""
            rows = [[(title, "name"), (f"  {what}", "plain"), (f"  ×{times}", "times")]]
            shapes = list(dict.fromkeys(str(x.shape) for x in copies))
            if shapes != ["()"]:
                rows.append([(shapes[0] if len(shapes) == 1 else f"{shapes[0]} … {shapes[-1]}", "quiet")])
            else:
                rows.append([(f"{number(copies[0].value)} … {number(copies[-1].value)}", "plain")])
            root = any(x is record.root for x in copies)
            return _Box("root" if root else "results", title,
                        rows + self._sizes_row(copies), token.frames)
        inner = [operations[i] for copy in token.copies for i in copy]
        names = [x.op.name for x in inner if x.op is not None]
        if token.kind == "earlier":
            title = f"{_count(len(inner))} earlier operations"
            rows = [[(title, "name")], [(tally(names), "quiet")]]
        else:
            title = span([shown(label) for label in token.labels])
            rows = [[(title, "name")] + ([(f"  ×{times}", "times")] if times > 1 else [])]
            first = [operations[i] for i in token.copies[0]]
            kinds = [x.op.name for x in first if x.op is not None]
            kinds_text = ", ".join(kinds) if len(kinds) <= 4 else f"{len(kinds)} operations: {tally(kinds)}"
            rows.append([(kinds_text, "quiet")])
        absorbed = self.inside.get(k, [])
        if absorbed:
            texts = [f"{record.operand(a)} {np.shape(value_of(a))}" if np.ndim(value_of(a)) else record.operand(a)
                     for a in absorbed[:3]]
            more = f" and {len(absorbed) - 3} more" if len(absorbed) > 3 else ""
            rows.append([("with " + ", ".join(texts) + more, "quiet")])
        out = list(self.outputs.get(k, {}))
        if times == 1 and len(out) <= 2:
            for i in out:
                t = operations[i]
                rows.append([(record.name(t), "name"), ("  ", "plain"), *self._value_row(t.value)])
                gradient = self._gradient_row(t)
                rows += [gradient] if gradient else []
        elif times > 1:
            rows += self._sizes_row([operations[copy[-1]] for copy in token.copies])
        root = any(x is record.root for x in inner)
        return _Box("group root" if root else "group", title, rows, token.frames)

    def _pattern(self, copies: list[Tensor]) -> str:
        """What entries the copies take of their operand: ·[0:3] where all take the same, else ·[…]."""
        dot = notation.name("·", strength=notation.ATOM)
        texts = {notation.text(notation.operation(t, [dot])) for t in copies}
        return shown(texts.pop()) if len(texts) == 1 else "·[…]"

    def _caption(self, operations: int) -> list[str]:
        lines = []
        J = self.record.name(self.record.root)
        if self.record.grads and operations:
            lines.append(f"Solid arrows: forward. Dashed: derivatives flow back, each with its part of the chain rule. "
                         f"dx means d{J}/dx.")
        elif self.wanted and operations:
            lines.append(f"{J} has shape {self.record.root.shape}: derivatives are drawn for one number, or with "
                         "gradient=, the weights of its entries.")
        if not operations:
            lines.append(f"{J} was not computed from Tensors that track gradients, so there is no graph to draw.")
        if self.collapsed:
            drawn = len([b for b in self.boxes if b.kind != "number"])
            done = [text for text, found in (
                ("a scope is one box", any(t.kind == "group" for t in self.tokens)),
                ("what repeats is drawn once, with ×", any(len(t.copies) > 1 for t in self.tokens)),
                ("the earliest are one box", any(t.kind == "earlier" for t in self.tokens))) if found]
            lines.append(f"{_count(operations)} operations drawn as {drawn} boxes: {', '.join(done)}. "
                         "A larger max_nodes shows more.")
        return lines


# ---------------------------------------------------------------- DOT

_FONT = "Helvetica"
_STYLES = {  # before and after a piece of text
    "name": ("<B>", "</B>"),
    "plain": ("", ""),
    "quiet": (f'<FONT COLOR="{QUIET}" POINT-SIZE="10">', "</FONT>"),
    "gradient": (f'<FONT COLOR="{BACKWARD}">', "</FONT>"),
    "times": (f'<FONT COLOR="{LEAF_LINE}"><B>', "</B></FONT>"),
    "bad": (f'<FONT COLOR="{BAD}"><B>', "</B></FONT>"),
}
_LOOKS: dict[str, dict[str, str]] = {
    "leaf": {"fillcolor": LEAF_FILL, "color": LEAF_LINE},
    "leaves": {"fillcolor": LEAF_FILL, "color": LEAF_LINE, "peripheries": "2"},
    "constant": {"fillcolor": "#FFFFFF", "color": "#BDBDBD", "style": "filled,dotted", "fontsize": "10"},
    "constants": {"fillcolor": "#FFFFFF", "color": "#BDBDBD", "style": "filled,dotted", "fontsize": "10"},
    "number": {"shape": "plain", "fontsize": "11"},
    "result": {},
    "results": {"peripheries": "2"},
    "root": {"fillcolor": ROOT_FILL, "penwidth": "1.8", "color": INK},
    "group": {"fillcolor": GROUP_FILL, "style": "filled,rounded,bold"},
    "group root": {"fillcolor": ROOT_FILL, "style": "filled,rounded,bold", "color": INK},
}


def _escape(text: str) -> str:
    """Text inside an HTML-like label: markup is text, and a backslash starts no escape of Graphviz."""
    return html.escape(text, quote=True).replace("\\", "\\\\")


def _label(rows: list[Row]) -> str:
    cells = []
    for row in rows:
        text = "".join(_STYLES[style][0] + _escape(piece) + _STYLES[style][1] for piece, style in row if piece)
        cells.append(f'<TR><TD ALIGN="LEFT">{text or " "}</TD></TR>')
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{"".join(cells)}</TABLE>>'


def _dot(sketch: _Sketch, direction: str) -> str:
    try:
        import graphviz
    except ImportError as error:
        raise MissingExtraError("draw: the graphviz package writes the picture and is not installed. "
                                "Install it with pip install graphviz.") from error
    graph = graphviz.Digraph("computation graph")
    graph.attr("graph", rankdir={"right": "LR", "down": "TB", "up": "BT"}[direction], bgcolor="white", ordering="in",
               nodesep="0.25", ranksep="0.3" if direction == "right" else "0.35", fontname=_FONT, fontsize="10",
               fontcolor=QUIET, labelloc="b", pad="0.15", tooltip=" ",
               label="<" + '<BR ALIGN="LEFT"/>'.join(map(_escape, sketch.caption)) + '<BR ALIGN="LEFT"/>>'
               if sketch.caption else "")
    graph.attr("node", shape="box", style="filled,rounded", fillcolor=RESULT_FILL, color=RESULT_LINE, fontname=_FONT,
               fontsize="12", fontcolor=INK, margin="0.09,0.05", height="0.3", width="0.3")
    graph.attr("edge", color=FORWARD, fontname=_FONT, fontsize="10", fontcolor=BACKWARD, arrowsize="0.7")
    _frames(graph, sketch.boxes)
    pad = "" if direction == "right" else "&#160;&#160;"  # between an upright arrow and its label
    for arrow in sketch.arrows:
        ends = arrow.tail.id, arrow.head.id
        if arrow.kind == "turn":
            graph.edge(*ends, style="dotted", constraint="false", fontcolor=QUIET, label=arrow.label or None,
                       color=LEAF_LINE, penwidth="1.4")
        elif arrow.kind == "constant":
            graph.edge(*ends, color="#BDBDBD", arrowsize="0.5")
        else:
            label = f"<{pad}{_escape(arrow.label)}>" if arrow.label else " "
            if not arrow.back:
                graph.edge(*ends, color="#9E9E9E" if arrow.tail.kind.startswith("constant") else None)
            else:
                graph.edge(*ends, label=" ")  # without a label the two would lie on each other
                graph.edge(*ends, dir="back", style="dashed", color=BACKWARD, label=label)
    return str(graph.source)


_NESTED = 12  # borders inside each other that are drawn


def _frames(graph: Any, boxes: list[_Box]) -> None:
    """The boxes, each inside its borders."""
    children: dict[Frame | None, dict[Any, None]] = {None: {}}
    for box in boxes:
        outer: Frame | None = None
        for frame in box.frames[:_NESTED]:
            children[outer][frame] = None
            children.setdefault(frame, {})
            outer = frame
        children[outer][box] = None
    stack: list[Any] = list(reversed(children[None]))
    count = 0
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            graph.body.append(item)
        elif isinstance(item, _Box):
            graph.node(item.id, label=_label(item.rows), **_LOOKS[item.kind])
        else:
            count += 1
            text = span([shown(label, 40) for label in item.labels]) if item.labels else "repeated"
            name = f"<B>{_escape(text)}</B>" if item.labels else _escape(text)
            times = f'  <FONT COLOR="{LEAF_LINE}"><B>×{item.copies}</B></FONT>' if item.copies > 1 else ""
            graph.body.append(f"\tsubgraph cluster_{count} {{\n")
            graph.body.append(f'\t\tgraph [label=<{name}{times}> labelloc=t labeljust=l style="rounded,filled" '
                              f'color="{LEAF_LINE if item.copies > 1 else FRAME_LINE}" fillcolor="{FRAME_FILL}" '
                              f'fontsize=11 fontcolor="{INK}" margin=10]\n')
            stack.append("\t}\n")
            stack += reversed(children[item])


# ---------------------------------------------------------------- the same as text

def _text(sketch: _Sketch) -> str:
    """The picture for a terminal: a tree that grows from the result, with values and derivatives in columns."""
    feeding: dict[_Box, dict[_Box, None]] = {}
    for arrow in sketch.arrows:
        if arrow.kind == "forward":
            feeding.setdefault(arrow.head, {})[arrow.tail] = None
    lines: list[tuple[str, str, str]] = []
    met: set[_Box] = set()
    stack: list[tuple[_Box, str, str]] = [(sketch.root, "", "")]
    while stack:
        box, branch, below = stack.pop()
        first = "".join(text for text, _ in box.rows[0])
        if box in met and feeding.get(box):
            lines.append((branch + first + "  (above)", "", ""))
            continue
        value = "; ".join("".join(text for text, _ in row).strip() for row in box.rows[1:]
                          if not any(style == "gradient" for _, style in row))
        gradient = "; ".join("".join(text for text, _ in row) for row in box.rows[1:]
                             if any(style == "gradient" for _, style in row))
        lines.append((branch + first, "" if box in met else value, "" if box in met else gradient))
        met.add(box)
        inputs = list(feeding.get(box, {}))
        for n, child in reversed(list(enumerate(inputs))):
            last = n == len(inputs) - 1
            stack.append((child, below + ("└ " if last else "├ "), below + ("  " if last else "│ ")))
    widths = [max(len(line[c]) for line in lines) for c in (0, 1)]
    out = [f"{a:<{widths[0]}}   {b:<{widths[1]}}   {c}".rstrip() for a, b, c in lines]
    return "\n".join(out + [line for line in sketch.caption if "max_nodes" in line])


# ---------------------------------------------------------------- the picture

class Picture:
    """A drawn graph. A notebook shows it; `.save("J.svg")` writes it; `print` gives it as text.

    dot : the DOT text, the same bytes for the same graph.

    >>> import tinygrad_edu as tg
    >>> a, b = tg.Tensor(5, name="a"), tg.Tensor(3, name="b")
    >>> print(tg.draw(a * b))
    J = a · b   15   dJ/dJ = 1
    ├ a         5    da = dJ/da = 3
    └ b         3    db = dJ/db = 5
    """

    def __init__(self, dot: str, text: str, title: str, boxes: int, arrows: int, titles: dict[str, str]) -> None:
        self.dot = dot
        self._text, self._title, self._boxes, self._arrows, self._titles = text, title, boxes, arrows, titles

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return (f"<Picture of {self._title}: {self._boxes} boxes, {self._arrows} arrows; "
                '.save("picture.svg") writes it, print() shows it as text>')

    def render(self, kind: str = "svg") -> bytes:
        """The picture as the bytes of an svg, png, pdf or dot file.

        Raises MissingExtraError where no Graphviz is found, ValueError (a PictureError) for another kind.
        """
        if kind == "dot":
            return self.dot.encode()
        if kind not in FORMATS:
            raise PictureError(f"render: {shown(str(kind))} is none of svg, png, pdf and dot.")
        data = render(self.dot, kind)
        return self._readable(data.decode()).encode() if kind == "svg" else data

    def _readable(self, svg: str) -> str:
        """Titles that say what an element is, where Graphviz writes its own identifiers."""

        def title(found: re.Match[str]) -> str:
            ids = html.unescape(found[1]).split("->")
            if all(i in self._titles for i in ids):
                return f"<title>{html.escape(' → '.join(self._titles[i] for i in ids))}</title>"
            return f"<title>{html.escape(self._title)}</title>" if found[1].startswith("computation") else ""

        return re.sub(r"<title>(.*?)</title>", title, svg)

    @property
    def svg(self) -> str:
        """The picture as an <svg> element, to be put into a page."""
        text = self.render("svg").decode()
        return text[text.index("<svg"):]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture; the suffix (.svg, .png, .pdf or .dot) says as what. The file appears whole or not at all.

        Raises PictureError (an OSError and a ValueError) for another suffix or a place that cannot be written.
        """
        place = Path(path)
        kind = place.suffix.lower().lstrip(".")
        kind = {"gv": "dot"}.get(kind, kind)
        if kind not in FORMATS:
            raise PictureError(f"save: {shown(str(place), 160)}: a picture is saved as .svg, .png, .pdf or .dot. "
                               f'Write save("{shown(place.stem or "picture")}.svg").')
        data = self.render(kind)
        try:
            _write_whole(place, data)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise PictureError(f"save: {shown(str(place), 160)} cannot be written: {reason}. "
                               "Choose a folder that exists and that you may write to.") from error
        return place

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the picture, or the text where nothing can render it."""
        try:
            return {"image/svg+xml": self.svg, "text/plain": repr(self)}
        except (MissingExtraError, OSError, ValueError) as error:  # better the text than a traceback
            return {"text/plain": f"{self}\n\n{error}"}


def _write_whole(place: Path, data: bytes) -> None:
    """Write beside the place and rename, so that nobody ever reads half a file."""
    place = Path(os.path.realpath(place))
    if place.is_dir():
        raise IsADirectoryError(21, "it is a folder")
    temporary = place.with_name(f".{secrets.token_hex(8)}.part")
    with open(temporary, "xb") as file:
        try:
            file.write(data)
            if place.exists():
                os.chmod(temporary, place.stat().st_mode & 0o777)
        except BaseException:
            os.unlink(temporary)
            raise
    try:
        os.replace(temporary, place)
    except BaseException:
        os.unlink(temporary)
        raise


def draw(J: Tensor, *, gradients: bool = True, gradient: Any = None, max_nodes: int = 50,
         direction: str | None = None) -> Picture:
    """Draw the graph that J was computed with.

    Every result shows its formula, its shape, its value (of a large array the range and the mean) and its derivative
    (dx stands for dJ/dx); every arrow shows the local derivative: a number between numbers, the step of the chain rule
    between arrays. Derivatives are computed for the picture; nobody's `.grad` changes. Names are the `name=` of a
    Tensor, else the variables of the caller.

    Parameters
    ----------
    J : a Tensor, of any shape. Without a `gradient`, derivatives are shown where J is one number.
    gradients : False leaves the derivatives out.
    gradient : the weights of J's entries, of J's shape, where J is not one number.
    max_nodes : more boxes than this are collapsed: scopes to one box, repetitions to one copy with its count, and
        what still is too much into one box of earlier operations.
    direction : "right", "down" or "up"; by default short graphs run to the right and long ones down.

    Returns a Picture. Raises StaleError if a leaf was changed after J was computed, ShapeError for a `gradient` of
    another shape.

    >>> import tinygrad_edu as tg
    >>> a, b, c = tg.Tensor(5), tg.Tensor(3), tg.Tensor(2)
    >>> u = b * c
    >>> v = a + u
    >>> J = 3 * v
    >>> print(tg.draw(J))
    J = 3 · v       33   dJ/dJ = 1
    └ v = a + u     11   dv = dJ/dv = 3
      ├ a           5    da = dJ/da = 3
      └ u = b · c   6    du = dJ/du = 3
        ├ b         3    db = dJ/db = 6
        └ c         2    dc = dJ/dc = 9
    """
    if type(J) is not Tensor:
        raise DTypeError(f"draw: got {type(J).__name__}, which does not know how it was made. Draw a Tensor: "
                         "a = Tensor(5); J = 3 * a; draw(J).")
    if isinstance(max_nodes, bool) or not isinstance(max_nodes, int) or max_nodes < 1:
        raise ValueError(f"draw: max_nodes is a whole number of boxes, at least 1, not {max_nodes!r}.")
    if direction not in (None, "right", "down", "up"):
        raise ValueError(f'draw: direction is "right", "down" or "up", not {direction!r}.')
    before = look_rarely()
    try:
        record = _Record(J, gradients, gradient)
        sketch = _Sketch(record, max_nodes, gradients)
    finally:
        look_as_before(before)
    dot = _dot(sketch, direction or ("right" if _depth(sketch) <= 6 else "down"))
    boxes = [b for b in sketch.boxes if b.kind != "number"]
    return Picture(dot, _text(sketch), record.name(J), len(boxes), len(sketch.arrows),
                   {b.id: b.title for b in sketch.boxes})


def _depth(sketch: _Sketch) -> int:
    """The number of boxes on the longest way to the result."""
    depth: dict[_Box, int] = {}
    incoming: dict[_Box, list[_Box]] = {}
    for arrow in sketch.arrows:
        if arrow.kind == "forward":
            incoming.setdefault(arrow.head, []).append(arrow.tail)
    for box in sketch.boxes:
        depth[box] = 1 + max((depth.get(tail, 0) for tail in incoming.get(box, [])), default=0)
    return max(depth.values(), default=1)
