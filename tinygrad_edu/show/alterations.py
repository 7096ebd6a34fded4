"""Backward passes with one rule altered: the search behind `compare`.

A wrong gradient is explained by finding a backward pass that differs from the right one in a single place and gives the
same numbers. The place is any edge of the recorded graph, and what can differ there is read off the rule of that edge:
the rule is recorded, and each operation in that record is left out, applied twice, turned round, or given another
operand. The altered part is then handed down by the engine's own walk. There is no list of networks or of messages: a
sentence is made from the operation that was altered and from the names in the graph.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backprop import Graph, pull
from ..rules import TABLE
from ..tensor import Primitive, Tensor, leaf
from .findings import Alteration, Factors, Finding, Place, Target, close, ratio
from .notation import (
    PRODUCT,
    Expression,
    expression,
    name,
    number,
    number_text,
    simplified,
    text,
)
from .recorded_rule import RecordedRule, binary, tidy, variants, written_slope
from .replay import ARITHMETIC, LONGEST, Backward, Edge, Pass, Vocabulary, full, grouped, plain, short_text

SECONDS = 20.0  # of searching; more is left unexplained, and said so
ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "softplus", "silu", "elu", "gelu", "sin", "exp")
_PARAMETERS: dict[str, dict[str, Any]] = {"leaky_relu": {"slope": 0.01}, "elu": {"alpha": 1.0}}


# ---------------------------------------------------------------- the search

@dataclass
class Search:
    """Looks for alterations of one backward pass that give the numbers of wrong targets.

    fixed : gradients that the student's own (wrong) values replace. values : named arrays that might be taken for one
    another, as (how it is written, value, whether it is a gradient).
    """

    back: Backward
    words: Vocabulary
    factors: Factors
    targets: list[Target]
    fixed: dict[Tensor, Any]
    deadline: float
    named: Mapping[Tensor, str]
    constants: Sequence[tuple[str, Any]] = ()
    cut_short: bool = False

    def __post_init__(self) -> None:
        self.gradients = self.back.run(self.fixed)
        self.stop = dict.fromkeys(self.fixed)
        self.by_node = {t.node: t for t in self.targets}
        self.reach: dict[Tensor, set[str]] = {}
        for node in sorted(self.back.path, key=lambda t: t.id):
            found = {self.by_node[node].name} if node in self.by_node else set()
            for a in node.args if node not in self.fixed else ():
                if type(a) is Tensor and a in self.reach and any(e.user is node for e in self.back.edges.get(a, ())):
                    found |= self.reach[a]
            self.reach[node] = found
        self._named_gradient: dict[Tensor, str | None] = {}

    # -- names of gradients and places

    def g(self, node: Tensor) -> Any:
        """What a node hands on: what arrived there, or the student's own."""
        found = self.fixed.get(node)
        found = self.gradients.get(node) if found is None else found
        return None if found is None else full(found, node)

    def gradient_name(self, node: Tensor) -> str | None:
        """dZ1, also for an unnamed value whose gradient is that of a named one, as W1 X has that of W1 X + b1."""
        if node not in self._named_gradient:
            found, at = self.named.get(node), node
            while found is None:
                edges = self.back.edges.get(at, ())
                if len(edges) != 1 or edges[0].user.op is None or edges[0].user.op.name not in ("add", "identity", "positive"):
                    break
                user = edges[0].user
                if user.shape != at.shape or user is self.back.root:
                    break
                found, at = self.named.get(user), user
            self._named_gradient[node] = None if found is None else f"d{found}"
        return self._named_gradient[node]

    def gradient_shown(self, node: Tensor) -> Expression:
        """The same as an expression, of the node's shape."""
        found = self.gradient_name(node)
        if found is None:
            inner = self.words.written(node)
            found = f"dJ/d({inner})"
        return name(found, node.shape)

    def place(self, node: Tensor) -> Place:
        """Where the gradient of a node is first seen under a name: its own, or that of what it is handed down to."""
        found = self.gradient_name(node)
        if found is not None:
            return Place(found)
        level, seen = [node], {node}
        below: list[Tensor] = []  # the nearest named values that this gradient is handed down to
        while level and len(below) < 3:
            level = [a for t in level for a in t.args if type(a) is Tensor and a in self.back.path and a not in seen]
            seen.update(level)
            below += [t for t in dict.fromkeys(level) if t in self.named]
            level = [t for t in level if t not in self.named]
        inner = text(self.words.of(node))
        if len(inner) <= LONGEST // 2 and not (len(below) == 1 and below[0].op is not None):
            return Place(f"dJ/d({inner})")
        nearest = sorted(sorted(below, key=lambda t: -t.id)[:2], key=lambda t: t.id)
        return Place(" and ".join(f"d{self.named[t]}" for t in nearest) or f"dJ/d({inner})")

    # -- holding an alteration against the numbers

    def try_out(self, alteration: Alteration) -> Iterator[Finding]:
        """What an alteration explains, if anything."""
        with np.errstate(all="ignore"):
            moved = self.back.spread(alteration.node, alteration.change, self.stop)
        if alteration.accept is not None:
            yield from self._solved(alteration, moved)
            return
        found = self._compared(alteration, moved, 1.0)
        if found is not None:
            yield found

    def _compared(self, alteration: Alteration, moved: dict[Tensor, Any], factor: float) -> Finding | None:
        explained: dict[str, float] = {}
        spoiled = []
        for t in self.targets:
            change = moved.get(t.node)
            if change is None:
                continue
            value = t.reference + factor * np.asarray(change, float)
            if not t.wrong:
                if not t.equals(value):
                    spoiled.append(t.name)
                continue
            if t.equals(value):
                explained[t.name] = 1.0
                continue
            s = ratio(value, t.hand) if value.size > 1 else None
            if s is not None and not close(t.reference, value, 1e-9, t.noise) and (
                    self.factors.spoken(s) is not None and t.equals(value * s)):
                explained[t.name] = s
        return Finding(alteration, explained, tuple(spoiled)) if explained else None

    def _solved(self, alteration: Alteration, moved: dict[Tensor, Any]) -> Iterator[Finding]:
        """Let the numbers tell the factor of the change, target by target, and see which are explained by it."""
        tried: list[float] = []
        for t in self.targets:
            change = moved.get(t.node)
            if not t.wrong or change is None:
                continue
            s = ratio(change, t.hand - t.reference)
            if s is None or any(abs(s - other) <= 1e-6 * abs(s) for other in tried):
                continue
            if not t.equals(t.reference + s * np.asarray(change, float)):
                continue
            tried.append(s)
            assert alteration.accept is not None
            meant = alteration.accept(s)
            if meant is None:
                continue
            found = self._compared(meant, moved, s)
            exact = {} if found is None else {k: v for k, v in found.explained.items() if v == 1.0}
            if found is not None and exact:
                entries = sum(np.asarray(x.hand).size for x in self.targets if x.name in exact)
                if meant.rank < 4 or entries > 2:  # a free factor can give any two numbers
                    yield Finding(replace(meant, change=s * np.asarray(meant.change)), exact, found.spoiled)

    def best(self) -> tuple[Finding, list[Finding]] | None:
        """The alteration that explains most with least, and others that give the same numbers."""
        wrong = {t.name for t in self.targets if t.wrong}
        found: list[Finding] = []
        for t in self.targets:  # the likeliest slip first, however little time there is
            if t.wrong and t.node in self.gradients:
                for alteration in self.scaled(t.node):
                    found += self.try_out(alteration)
        for alteration in self.alterations(wrong):
            if time.monotonic() > self.deadline:
                self.cut_short = True
                break
            found += self.try_out(alteration)
        if not found:
            return None
        found.sort(key=lambda f: (-f.score, f.alteration.rank, f.alteration.node.id))
        first = found[0]
        also = [f for f in found[1:] if f.score == first.score and f.explained == first.explained]
        return first, also

    # -- all the ways to go wrong

    def alterations(self, wrong: set[str]) -> Iterator[Alteration]:
        """Alterations that can bear on the wrong targets, the simplest first within each place."""
        nodes = [t for t in sorted(self.back.path, key=lambda t: t.id) if self.reach[t] & wrong and self.g(t) is not None]
        regions = self.regions()
        with np.errstate(all="ignore"):
            written_out = self.written_out(regions)
            for t in nodes:
                for alteration in self.scaled(t):
                    yield _less_likely(alteration) if t in written_out else alteration
            for t in nodes:
                yield from self.by_difference(t)
                yield from self.slope_too_much(t)
                yield from self.extra_term(t)
                for edge in self.back.edges.get(t, ()):
                    if self.g(edge.user) is not None:
                        for alteration in self.along(edge):
                            yield _less_likely(alteration) if edge.user in written_out else alteration
            for top, bottom in regions:
                if self.reach.get(bottom, set()) & wrong and self.g(top) is not None:
                    yield from self.around(top, bottom)

    def arriving(self, node: Tensor) -> Any:
        """The gradient that arrives at a node, before the student's own takes its place."""
        found = self.gradients.get(node)
        return None if found is None else full(found, node)

    def scaled(self, node: Tensor) -> Iterator[Alteration]:
        """A gradient, or one of the parts it is summed from, times a factor."""
        g = self.arriving(node)
        if g is None:
            return
        unnamed = 0.0 if node in self.named else 0.5
        place = self.place(node)

        def accept(s: float) -> Alteration | None:
            s = 1 + s  # the change is s − 1 times the gradient
            if abs(s) < 1e-9:
                def zero(own: str) -> str:
                    if own == place.name:
                        return " times 0: it is zero everywhere"
                    return f" with {place.name} left out" if node in self.named else (
                        f" with the part of J that comes from {self.words.written(node)} left out")
                return Alteration(node, g, 1 + unnamed, zero)
            spoken = self.factors.spoken(s)
            if spoken is None:
                return Alteration(node, g, 8 + unnamed, lambda own: (
                    f" times {number_text(s)}" if own == place.name else f" with {place.name} multiplied by {number_text(s)}"))
            times, why = spoken
            m = self.factors.examples
            simple = ("−1", "2", "½", f"m = {m}", f"1/m = 1/{m}")

            def phrase(own: str) -> str:
                if times == "−1":
                    return " with its sign turned" if own == place.name else f" with the sign of {place.name} turned"
                if own == place.name:
                    return f" times {times}: {why}"
                return f" with {place.name} multiplied by {times}: {why}"

            return Alteration(node, g, 0.9 + unnamed + (0.0 if times in simple else 0.6), phrase)

        yield Alteration(node, g, 1, lambda own: "", accept)
        edges = self.back.edges.get(node, ())
        if len(edges) > 1:
            for edge in edges:
                if self.g(edge.user) is not None:
                    yield self.scaled_part(edge)

    def scaled_part(self, edge: Edge) -> Alteration:
        """One of several parts of a gradient left out, or times a factor."""
        node, part = edge.to, self.back.part(edge, self.g(edge.user))
        place = self.place(node)
        term = self.term(edge, part)

        def accept(s: float) -> Alteration | None:
            s = 1 + s
            if abs(s) < 1e-9:
                return Alteration(node, part, 0.84, lambda own: f" without {term}" if own == place.name else (
                    f" with {term} left out of {place.name}"))
            spoken = self.factors.spoken(s)
            if spoken is None:
                return Alteration(node, part, 8.2, lambda own: f" with {term} multiplied by {number_text(s)}" + (
                    "" if own == place.name else f" in {place.name}"))
            times, why = spoken
            def phrase(own: str) -> str:
                of = term if own == place.name else f"{term} of {place.name}"
                return f" with the sign of {of} turned" if times == "−1" else f" with {of} multiplied by {times}: {why}"

            return Alteration(node, part, 0.92, phrase)

        return Alteration(node, part, 1, lambda own: "", accept)

    def term(self, edge: Edge, part: Any) -> str:
        """One part of a gradient, in words: c · W1 where it is that, else its formula, else the value it comes through."""
        node = edge.to
        c = ratio(node.value, part)
        if c is not None and np.size(part) > 1:
            return f"the term {number_text(c)} · {short_text(self.words.of(node))}"
        rule = RecordedRule(edge, self.g(edge.user), self.words, self.formula(edge.user))
        found = text(rule.shown(rule.result, {rule.g: self.formula(edge.user)}))
        if len(found) <= LONGEST:
            return f"the term {found}"
        return f"the part that comes through {self.words.written(edge.user)}"

    def formula(self, node: Tensor) -> Expression:
        """A gradient in terms of named ones: that of an unnamed value in the formula of the cost is written out."""
        steps: list[Edge] = []
        at = node
        while self.gradient_name(at) is None and at is not self.back.root and len(steps) < 12:
            edges = self.back.edges.get(at, ())
            if len(edges) != 1:
                return self.gradient_shown(node)
            steps.append(edges[0])
            at = edges[0].user
        shown = number(1.0) if at is self.back.root else self.gradient_shown(at)
        for edge in reversed(steps):
            rule = RecordedRule(edge, self.g(edge.user), self.words, shown)
            shown = self.with_m(rule.shown(rule.result))
        return shown

    def with_m(self, e: Expression) -> Expression:
        """1/m where a number is that."""
        m = self.factors.examples
        if m < 3:
            return e
        one_m = name("1/m", strength=PRODUCT)
        if e.head == "divide" and e.operands[0].head == "number" and e.operands[1].is_number(m):
            e = number(e.operands[0].params["value"] / m)
        if e.head == "negative" and e.operands[0].head == "divide":
            inner = self.with_m(e.operands[0])
            return simplified(Expression("negative", (inner,), e.shape))
        if e.head == "number" and abs(abs(e.params["value"]) - 1 / m) < 1e-12:
            return one_m if e.params["value"] > 0 else Expression("negative", (one_m,), e.shape)
        return e

    def extra_term(self, node: Tensor) -> Iterator[Alteration]:
        """A multiple of the value itself added, as the L2 term is."""
        if node.op is not None or node not in self.by_node:
            return
        own_name = short_text(self.words.of(node))
        known = self.l2_factors()
        place = self.place(node)

        def accept(s: float) -> Alteration | None:
            for c, like in known.items():
                if abs(s - c) <= 1e-6 * abs(c):
                    return Alteration(node, node.value, 1.4, lambda own, like=like: (  # type: ignore[misc]
                        f" plus {number_text(s)} · {own_name}: an L2 term, as {like} has it; J has none for {own_name}"))
                spoken = self.factors.spoken(s / c)
                if spoken is not None:
                    return Alteration(node, node.value, 2.4, lambda own, times=spoken[0], like=like: (  # type: ignore[misc]
                        f" plus {number_text(s)} · {own_name}: {times} times the L2 term that {like} has"))
            return Alteration(node, node.value, 8.4, lambda own: (
                f" {'plus' if s > 0 else 'minus'} {number_text(abs(s))} · {own_name}, as from an L2 term"))

        if np.any(node.value):
            yield Alteration(node, node.value, 2, lambda own: f" in {place.name}", accept)

    def l2_factors(self) -> dict[float, str]:
        """The factors c of the terms c · W that gradients of leaves have, and whose they are."""
        if not hasattr(self, "_l2"):
            self._l2: dict[float, str] = {}
            for a, edges in sorted(self.back.edges.items(), key=lambda pair: pair[0].id):
                if a.op is not None or len(edges) < 2:
                    continue
                for edge in edges:
                    g = self.g(edge.user)
                    c = None if g is None or a.size < 2 else ratio(a.value, self.back.part(edge, g))
                    if c:
                        self._l2.setdefault(c, f"d{self.named.get(a, 'W')}")
        return self._l2

    def by_difference(self, node: Tensor) -> Iterator[Alteration]:
        """Where a gradient is c (A − Y), as at the end of a network: one of the two left out, or another in its place."""
        g = self.arriving(node)
        if g is None or node.size < 2 or not np.any(g):
            return
        ends = [(e, v) for e, v in self.cached(node.shape) if not isinstance(e, Tensor)]
        if not ends:
            return
        starts = [(self.shown_value(e, v), v) for e, v in self.cached(node.shape)] + list(self.computed(node))
        place = self.place(node)

        def swapped(new: Any, rank: float, one: Expression, other: Expression) -> Alteration:
            return Alteration(node, new - g, rank, lambda own: (
                f" with {short_text(one)} in place of {short_text(other)}" + place.inside(own)))

        for e, y in ends:
            y_shown = self.shown_value(e, y)
            for a_shown, a in starts:
                c = None if a is y else ratio(a - y, g)
                if c is None:
                    continue
                right = binary("subtract", a_shown, y_shown)
                yield swapped(c * a, 2, a_shown, right)
                yield swapped(-c * y, 3, simplified(Expression("negative", (y_shown,), y_shown.shape)), right)
                yield swapped(c * (a + y), 2.5, binary("add", a_shown, y_shown), right)
                yield swapped(c * a * y, 4, binary("multiply", a_shown, y_shown), right)
                yield swapped(c * np.abs(a - y), 4, Expression("absolute", (right,), right.shape), right)
                for shown, other in starts:
                    if other is not a and other is not y:
                        yield swapped(c * (other - y), 2.5, binary("subtract", shown, y_shown), right)
                return

    def computed(self, node: Tensor) -> Iterator[tuple[Expression, Any]]:
        """What activations give of a value, whether the network has them or not."""
        shown = self.words.of(node)
        for kind in ACTIVATIONS:
            op, params = TABLE[kind], _PARAMETERS.get(kind, {})
            yield Expression(kind, (shown,), node.shape, params, op.symbol), op.forward(node.value, **params)
        for axis in range(node.ndim):
            if node.shape[axis] > 1:
                yield Expression("softmax", (shown,), node.shape, {"axis": (axis,)}), TABLE["softmax"].forward(
                    node.value, axis=(axis,))

    def slope_too_much(self, node: Tensor) -> Iterator[Alteration]:
        """An activation's slope where it has cancelled already, or never belonged: (A − Y) A (1 − A)."""
        g = self.arriving(node)
        if g is None or not node.ndim or (node.op is None and node in self.by_node):
            return
        place = self.place(node)
        for kind in ACTIVATIONS:
            op, params = TABLE[kind], _PARAMETERS.get(kind, {})
            rule = op.rules[0]
            assert rule is not None
            x, x_shown = node.value, self.words.of(node)
            forms: list[tuple[Expression | None, Any]] = [(None, op.forward(x, **params))]
            forms += [(self.words.of(e.user), e.user.value) for e in self.users(node)]
            for y_shown, y in forms:
                new = rule(g, y, x, **params)

                def phrase(own: str, op: Primitive = op, params: dict[str, Any] = params, x: Any = x,
                           x_shown: Expression = x_shown, y_shown: Expression | None = y_shown, y: Any = y) -> str:
                    of = Expression(op.name, (x_shown,), np.shape(y), params, op.symbol) if y_shown is None else y_shown
                    factor = written_slope(op, params, y, x, of, x_shown)
                    return f" with the factor {grouped(factor)} too much{place.inside(own)}"

                if np.shape(new) == node.shape and np.all(np.isfinite(new)):
                    yield Alteration(node, new - g, 2.9 if y_shown is not None else 3, phrase)

    def users(self, node: Tensor) -> list[Edge]:
        """The edges to functions of a node alone, of its shape."""
        return [e for e in self.back.edges.get(node, ()) if len(e.user.args) == 1 and e.user.shape == node.shape]

    def cached(self, shape: tuple[int, ...]) -> list[tuple[Any, Any]]:
        """Values of a shape that have a name: (the Tensor, or a constant's name; the value)."""
        if not hasattr(self, "_cached"):
            self._cached: dict[tuple[int, ...], list[tuple[Any, Any]]] = {}
            for t in self.named:
                tracked: Any = t if t in self.back.all and t.op is not None else self.named[t]
                self._cached.setdefault(t.shape, []).append((tracked, t.value))
            for called, value in self.constants:
                self._cached.setdefault(np.shape(value), []).append((called, value))
        return self._cached.get(shape, [])

    def shown_value(self, what: Any, value: Any) -> Expression:
        """A cached value as an expression."""
        return self.words.of(what) if type(what) is Tensor else name(what, np.shape(value))

    # -- along one edge

    def along(self, edge: Edge) -> Iterator[Alteration]:
        """Everything that can be wrong in the one rule of an edge."""
        node, g = edge.to, self.g(edge.user)
        part = self.back.part(edge, g)
        place = self.place(node)
        if len(self.back.edges[node]) > 1:
            place = Place(place.name, self.term(edge, part))
        rule = RecordedRule(edge, g, self.words, self.gradient_shown(edge.user), self.factors.examples)

        def altered(new: Any, rank: float, phrase: Callable[[str], str]) -> Alteration | None:
            new = np.asarray(new)
            if new.shape != node.shape or not np.all(np.isfinite(new)) or np.array_equal(new, part):
                return None
            return Alteration(node, new - part, rank, phrase)

        found: list[Alteration | None] = []
        if type(rule.result) is Tensor:
            for t in rule.steps:
                for rank, kind, at, value, shown in variants(rule, t):
                    found.append(altered(rule.again({t: value}), rank, self.phrased(rule, t, kind, at, shown, place)))
            found += [altered(new, rank, phrase) for rank, new, phrase in self.other_operands(rule, place)]
        found += [altered(new, rank, phrase) for rank, new, phrase in self.other_slopes(edge, rule, g, place)]
        yield from sorted((x for x in found if x is not None), key=lambda x: x.rank)
        yield from self.already_updated(rule, edge, place)

    def phrased(self, rule: RecordedRule, t: Tensor, kind: str, at: Tensor, shown: Callable[[list[Expression]], Expression],
                place: Place) -> Callable[[str], str]:
        """The sentence of one altered operation, written only when it is needed."""
        def phrase(own: str) -> str:
            of, inside = place.of(own), place.inside(own)
            if kind in ("dropped", "twice", "undivided", "divided twice"):
                f = next((a for a in t.args if not (type(a) is Tensor and a in rule.along)), at)
                factor = rule.shown(f)
                m = self.factors.examples
                if factor.head == "number" and kind in ("dropped", "twice") and m > 1:
                    for sign in ("", "−"):
                        if factor.is_number(float(f"{'-' if sign else ''}1") / m):
                            factor = name(f"{sign}1/m = {sign}1/{m}")
                what = f"the factor {grouped(factor)}" if kind in ("dropped", "twice") else f"the division by {grouped(factor)}"
                if factor.head == "number" and kind in ("undivided", "divided twice"):
                    what = f"the factor 1/m = 1/{m}" if factor.is_number(m) and m > 1 else f"the factor 1/{grouped(factor)}"
                if kind in ("dropped", "undivided"):
                    return f" with {what} left out{of}"
                return f" with {what} applied twice{inside}"
            if kind != "shown":
                return f" with {kind}{inside}"
            outer = t if t in rule.along else rule.factor_around(t)
            before = rule.shown(outer)
            after = shown([tidy(expression(a, rule.cuts)) for a in t.args])
            after = after if outer is t else rule.shown(outer, {t: after})
            return f" with {short_text(after)} in place of {short_text(before)}{inside}"
        return phrase

    def other_operands(self, rule: RecordedRule, place: Place) -> Iterator[tuple[float, Any, Callable[[str], str]]]:
        """Another cached value of the same shape in the place of an operand, or another gradient in that of g."""
        def phrase(new: str, old: str, taken: str = "") -> Callable[[str], str]:
            return lambda own: f" with {new} in place of {old}{taken}" + place.inside(own)

        for x in (rule.y, *rule.operands):
            if type(x) is not Tensor or x not in rule.used or x.value.dtype.kind != "f" or not x.ndim:
                continue
            was = text(expression(x, rule.cuts))
            for what, value in self.cached(x.shape):
                shown = text(self.shown_value(what, value))
                if shown != was:
                    yield 2.5, rule.again({x: value}), phrase(shown, was)
            yield 4, rule.again({x: np.sign(x.value)}), phrase(f"sign({was})", was)
            for t, called in self.named.items():  # dW2 for W2
                if t.shape == x.shape and t.op is None and self.gradients.get(t) is not None:
                    yield 2.7, rule.again({x: full(self.gradients[t], t)}), phrase(f"d{called}", was)
        if rule.g not in rule.used or not rule.g.ndim:
            return
        was = text(expression(rule.g, rule.cuts))
        for t, called in self.named.items():
            if t.shape != rule.g.shape or t is rule.edge.user:
                continue
            other = self.g(t)
            if other is not None and t in self.back.path and f"d{called}" != was:
                yield 2.4, rule.again({rule.g: other}), phrase(f"d{called}", was)
        m = self.factors.examples
        for what, value in self.cached(rule.g.shape):
            shown = text(self.shown_value(what, value))
            yield 3.4, rule.again({rule.g: value}), phrase(shown, was)
            if m > 1:
                yield 3.5, rule.again({rule.g: value / m}), phrase(shown, was)

    def already_updated(self, rule: RecordedRule, edge: Edge, place: Place) -> Iterator[Alteration]:
        """A weight that gradient descent had already moved when this step of the backward pass used it."""
        node = edge.to
        for a, x in zip(edge.user.args, rule.operands, strict=True):
            if type(a) is not Tensor or a.op is not None or type(x) is not Tensor or a not in self.named:
                continue
            d = self.gradients.get(a)
            if d is None or type(rule.result) is not Tensor or x not in rule.used:
                continue
            assert edge.user.op is not None
            if edge.user.op.name not in ("matmul", "multiply", "einsum"):
                continue
            change = -np.asarray(rule.again({x: full(d, a)}))
            def accept(s: float, change: Any = change, w: str = self.named[a]) -> Alteration | None:
                if not 1e-6 < s < 100:
                    return None
                rate = number_text(s)
                return Alteration(node, change, 4, lambda own: (
                    f" with {w} already updated, {w} − {rate} · d{w}, in place of {w}"
                    + place.inside(own) + ": compute all gradients before any update"))

            if change.shape == node.shape and np.all(np.isfinite(change)):
                yield Alteration(node, change, 4, lambda own: "", accept)

    # -- slopes of activations

    def other_slopes(self, edge: Edge, rule: RecordedRule, g: Any, place: Place,
                     ) -> Iterator[tuple[float, Any, Callable[[str], str]]]:
        """A function of one operand whose slope is left out, applied twice, another function's, or taken elsewhere."""
        user, node = edge.user, edge.to
        op = user.op
        assert op is not None
        if user.shape != node.shape or op.kind == "linear" or op.name in ARITHMETIC - {"square"}:
            return
        if len(user.args) != 1:
            yield from self._slopes_of_relu(edge, g, place)
            return
        params = user.params or {}
        rule_of = op.rules[0]
        assert rule_of is not None
        slope = rule.slope() if op.kind == "pointwise" else name(f"the Jacobian of {op.name}", user.shape, strength=0)
        if len(text(slope)) > LONGEST:
            slope = name(f"the slope of {op.name}", user.shape, strength=0)
        y, x = user.value, node.value
        y_shown, x_shown = self.words.of(user), self.words.of(node)
        if op.name == "square" or op.name == "constant_power":
            yield 1.1, g, lambda own: f" with the factor {grouped(slope)} left out" + place.of(own)
            return
        yield from _slopes(place, op.name, slope, g, y, x, y_shown, x_shown,
                           lambda g: rule_of(g, y, x, **params))
        yield from self._other_masks(place, slope, g, user, node, lambda g: rule_of(g, y, x, **params))
        at = op.forward(y, **params)
        yield 2.6, rule_of(g, at, y, **params), lambda own: (
            f" with the slope of {op.name} taken at {short_text(y_shown)} in place of {short_text(x_shown)}"
            + place.inside(own))

    def _slopes_of_relu(self, edge: Edge, g: Any, place: Place) -> Iterator[tuple[float, Any, Callable[[str], str]]]:
        """The same for np.maximum(0, Z), as lecture notes write relu."""
        user, node = edge.user, edge.to
        if user.op is not TABLE["maximum"] or not any(np.ndim(plain(a)) == 0 and plain(a) == 0 for a in user.args):
            return
        def through(g: Any) -> Any:
            return self.back.part(edge, g)

        slope, kind = self.recognised(through(np.ones(user.shape)), user, node)
        if slope is not None:
            yield from _slopes(place, kind, slope, g, user.value, node.value, self.words.of(user), self.words.of(node), through)
            yield from self._other_masks(place, slope, g, user, node, through)

    def _other_masks(self, place: Place, slope: Expression, g: Any, top: Tensor, bottom: Tensor, through: Callable[[Any], Any],
                     ) -> Iterator[tuple[float, Any, Callable[[str], str]]]:
        """Z1 > 0 in place of Z2 > 0: another layer's relu, or the units that are off in place of those that are on."""
        local = through(np.ones(top.shape))
        if not np.all((local == 0) | (local == 1)):
            return

        def phrase(new: str) -> Callable[[str], str]:
            return lambda own: f" with {new} in place of {short_text(slope)}" + place.inside(own)

        yield 2.9, g * (1 - local), phrase(f"{short_text(self.words.of(bottom))} < 0")
        for what, value in self.cached(top.shape):
            if what is not bottom and np.any((value > 0) != local):
                yield 2.6, g * (value > 0), phrase(f"{short_text(self.shown_value(what, value))} > 0")

    def regions(self) -> list[tuple[Tensor, Tensor]]:
        """(A, Z) where A is a function of Z alone that takes several operations, such as 1/(1 + exp(−Z))."""
        origin: dict[Tensor, Tensor] = {}
        depth: dict[Tensor, int] = {}
        for t in self.back.steps:
            tracked = {a for a in t.args if type(a) is Tensor and a in self.back.all}
            others = [a for a in t.args if not (type(a) is Tensor and a in self.back.all)]
            starts = {origin.get(a, a) for a in tracked}
            alone = len(starts) == 1 and all(np.ndim(plain(a)) == 0 for a in others)
            origin[t] = starts.pop() if alone else t
            depth[t] = 1 + max((depth.get(a, 0) for a in tracked), default=0) if alone else 0
        found = []
        for t, bottom in origin.items():
            if depth[t] < 2 or bottom.shape != t.shape or not t.ndim or bottom not in self.back.path:
                continue
            users = [e.user for e in self.back.edges.get(t, ())]
            if t in self.named or any(origin.get(u) is not bottom for u in users) or len(users) > 1:
                found.append((t, bottom))
        return found

    def written_out(self, regions: list[tuple[Tensor, Tensor]]) -> set[Tensor]:
        """The values inside activations that were written out: students differentiate these as a whole."""
        found: set[Tensor] = set()
        for top, bottom in regions:
            inside = [t for t in self.back.nodes if bottom.id < t.id <= top.id]
            made = self.back.graph.depending_on([bottom])
            through = self._through(top, bottom, [t for t in inside if t in made], made)
            if self.recognised(through(np.ones(top.shape)), top, bottom)[1]:
                waiting = [top]
                for t in waiting:  # grows as it is read
                    if t is not bottom and t not in found:
                        found.add(t)
                        waiting += [a for a in t.args if type(a) is Tensor and a in made]
                if len(self.back.edges.get(bottom, ())) > 1 and all(e.user in found for e in self.back.edges[bottom]):
                    found.add(bottom)
        return found

    def _through(self, top: Tensor, bottom: Tensor, inside: list[Tensor], made: set[Tensor]) -> Callable[[Any], Any]:
        """The derivative of top by bottom, as a function of dJ/d(top)."""
        def derivative(g: Any) -> Any:
            grads = Pass({top: np.asarray(g, top.dtype)}, {})
            pull(list(inside), grads, made)
            found = {**grads, **grads.arrived}.get(bottom)
            return np.zeros(bottom.shape) if found is None else full(found, bottom)

        return derivative

    def around(self, top: Tensor, bottom: Tensor) -> Iterator[Alteration]:
        """The same as for one function, for one that was written out."""
        g, place = self.g(top), self.place(bottom)
        inside = [t for t in self.back.nodes if bottom.id < t.id <= top.id]
        made = self.back.graph.depending_on([bottom])

        through = self._through(top, bottom, [t for t in inside if t in made], made)
        part = through(g)
        top_shown, bottom_shown = self.words.of(top), self.words.of(bottom)
        slope, kind = self.recognised(through(np.ones(top.shape)), top, bottom)
        if slope is not None and len(text(slope)) > (LONGEST if top in self.named else LONGEST // 2):
            slope = name(f"the slope of {kind}", top.shape, strength=0)
        if slope is None:
            a = text(top_shown) if top in self.named else "·"
            slope = name(f"d{a}/d{short_text(bottom_shown)}" if top in self.named else "the slope", top.shape)
        for rank, new, phrase in _slopes(place, kind, slope, g, top.value, bottom.value, top_shown, bottom_shown, through):
            new = np.asarray(new)
            if new.shape == bottom.shape and np.all(np.isfinite(new)) and not np.array_equal(new, part):
                yield Alteration(bottom, new - part, rank + 0.1, phrase)
        again = self._replayed(top, bottom, inside, made)
        if again is not None:
            new = np.asarray(again(g))
            if np.all(np.isfinite(new)):
                yield Alteration(bottom, new - part, 2.7, lambda own: (
                    f" with the slope of {kind or 'the activation'} taken at {short_text(top_shown)} in place of "
                    f"{short_text(bottom_shown)}" + place.inside(own)))

    def _replayed(self, top: Tensor, bottom: Tensor, inside: list[Tensor], made: set[Tensor]) -> Callable[[Any], Any] | None:
        """The region's derivative with its own result put in: g′(A) where g′(Z) is meant."""
        new: dict[Tensor, Tensor] = {bottom: leaf(np.array(top.value))}
        for t in inside:
            if t not in made or not any(type(a) is Tensor and a in new for a in t.args):
                continue
            assert t.op is not None
            value = t.op(*[new.get(a, a) if type(a) is Tensor else a for a in t.args], **(t.params or {}))
            if type(value) is not Tensor:
                return None
            new[t] = value
        start, end = new[bottom], new.get(top)
        if end is None or not end.requires_grad or end.op is None:
            return None

        def derivative(g: Any) -> Any:
            graph = Graph([end], [start])
            grads: dict[Tensor, Any] = {end: np.asarray(g, end.dtype)}
            pull(list(graph.nodes), grads, graph.depending_on([start]))
            return full(grads.get(start, 0.0), start)

        return derivative

    def recognised(self, slope: Any, top: Tensor, bottom: Tensor) -> tuple[Expression | None, str]:
        """A slope that is a known activation's, written as that one's rule writes it."""
        for kind in ACTIVATIONS:
            op, params = TABLE[kind], _PARAMETERS.get(kind, {})
            assert op.rules[0] is not None
            if close(op.forward(bottom.value, **params), top.value, 1e-9, 0.0) and close(
                    op.rules[0](np.ones(top.shape), top.value, bottom.value, **params), slope, 1e-7, 1e-15):
                return written_slope(op, params, top.value, bottom.value, self.words.of(top), self.words.of(bottom)), kind
        return None, ""


def _less_likely(alteration: Alteration) -> Alteration:
    accept = alteration.accept

    def later(s: float) -> Alteration | None:
        found = accept(s) if accept is not None else None
        return None if found is None else replace(found, rank=found.rank + 3)

    return replace(alteration, rank=alteration.rank + 3, accept=None if accept is None else later)


def _slopes(place: Place, kind: str, slope: Expression, g: Any, y: Any, x: Any, y_shown: Expression,
            x_shown: Expression, derivative: Callable[[Any], Any]) -> Iterator[tuple[float, Any, Callable[[str], str]]]:
    """The slope of y = f(x) left out, applied twice, or that of another function, from y or from x."""
    factor = short_text(slope) if slope.head == "name" else f"the factor {grouped(slope)}"
    yield 1, g, lambda own: f" with {factor} left out" + place.of(own)
    yield 2, derivative(derivative(g)), lambda own: f" with {factor} applied twice" + place.inside(own)
    yield 2.9, g * y, lambda own: f" with {short_text(y_shown)} in place of {short_text(slope)}" + place.inside(own)
    for other in ACTIVATIONS:
        if other == kind:
            continue
        op, params = TABLE[other], _PARAMETERS.get(other, {})
        rule = op.rules[0]
        assert rule is not None
        forms = ((2.5, y, x, y_shown), (2.8, op.forward(x, **params), x, None), (3.2, op.forward(y, **params), y, None))
        for rank, value, at, shown in forms:
            def phrase(own: str, op: Primitive = op, params: dict[str, Any] = params, value: Any = value, at: Any = at,
                       shown: Expression | None = shown) -> str:
                taken = x_shown if at is x else y_shown
                of = Expression(op.name, (taken,), np.shape(value), params, op.symbol) if shown is None else shown
                new = text(written_slope(op, params, value, at, of, taken))
                if len(new) > LONGEST:
                    return f" with the slope of {op.name} in place of {short_text(slope)}" + place.inside(own)
                whose = "" if new == text(of) else f", the slope of {op.name},"  # exp is its own
                said = f" with {new}{whose} in place of {short_text(slope)}"
                return said + place.inside(own)

            yield rank, rule(g, value, at, **params), phrase
