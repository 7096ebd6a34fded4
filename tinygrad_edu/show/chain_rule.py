"""The chain rule written out: every step forward, every derivative backward, in symbols and in numbers.

Numbers come from the engine's own backward pass. Formulas are the engine's own rules, read: a rule is evaluated on
stand-ins for its operands and the record of that evaluation is printed, so what is shown is what was computed.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

from ..backprop import Graph, pull, seed
from ..errors import GradientError, NamesError, variable_names
from ..modes import always_record
from ..tensor import Tensor
from .names import name_nodes, nodes_of
from .notation import (
    FRACTION,
    Expression,
    array_latex,
    array_text,
    escaped,
    expression,
    in_ascii,
    is_transpose,
    latex,
    latex_name,
    name,
    number,
    operation,
    printable,
    recorded_rule,
    replaced,
    shape_text,
    simplified,
    stand_in,
    superscript,
    text,
)

MOST_PATHS = 4  # from one node to the end, written out; where there are more, the sum over its users is shown
MOST_FACTORS = 12  # of one row
LONGEST_PATHS = 64  # characters of all paths; where they are longer, the sum over the users is shown
LONGEST_RULE = 90  # characters of a local derivative; longer ones are written f′(x)
MOST_TERMS = 6  # of a sum over users
FEW = 4  # a sum over so many examples is written out
MOST_NUMBERS = 40  # characters of a formula with numbers put in, going forward
WIDTH = 110  # of a line of text


@dataclass(frozen=True)
class Formula:
    """One side of an equality, as text and in LaTeX."""

    text: str
    latex: str


@dataclass(frozen=True)
class Row:
    """One line of a table: sides joined by =, None where a column stays empty; the last one is the value.

    name : of the node. value : the number or array (the node's, or the derivative). shapes : of the operands and the
    result.
    more : further forms of the same, each on a line of its own.
    """

    name: str
    sides: tuple[Formula | None, ...]
    value: Any = None
    shapes: Formula | None = None
    more: tuple[Formula, ...] = ()


@dataclass
class Explanation:
    """What explain() found, for terminals (`print`), notebooks (shown by itself) and papers (`.latex()`).

    forward : a row for each value, oldest first. local : a row for each derivative of a number by the number it was
    made from.
    backward : a row for each derivative, from the end to the start. gradients : `{"da": 3.0, ...}`. remarks : what was
    left out, and what a sign means.
    """

    final: str
    forward: list[Row]
    local: list[Row]
    backward: list[Row]
    gradients: dict[str, Any]
    remarks: list[str] = field(default_factory=list)

    def tables(self) -> list[tuple[str, list[Row]]]:
        """The tables that have rows, each with its heading."""
        headings = ("Forward", "Local derivatives", f"Backward, from d{self.final}/d{self.final} = 1")
        if self.backward and self.backward[0].name != self.final:
            headings = (*headings[:2], "Backward")
        return [(h, rows) for h, rows in zip(headings, (self.forward, self.local, self.backward), strict=True) if rows]

    def text(self, plain: bool = False) -> str:
        """The tables with aligned columns, for terminals; `plain` keeps to ASCII."""
        blocks = ["\n".join([heading, *_aligned(rows, in_ascii if plain else str)]) for heading, rows in self.tables()]
        remarks = "\n".join(self.remarks)
        return "\n\n".join(blocks + ([in_ascii(remarks) if plain else remarks] if remarks else []))

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def latex(self) -> str:
        """One align* environment per table; needs amsmath, and no math mode around it."""
        return "\n\n".join(
            "\\begin{align*}\n" + " \\\\\n".join(_latex_lines(rows)) + "\n\\end{align*}" for _, rows in self.tables())

    def markdown(self) -> str:
        """Tables whose cells are LaTeX, as notebooks show them."""
        blocks = []
        for heading, rows in self.tables():
            columns = max(len(row.sides) for row in rows)
            used = [i for i in range(columns) if any(row.sides[i] is not None for row in rows)]
            shapes = any(row.shapes is not None for row in rows)
            head = [_COLUMNS.get((heading.split(",")[0], i), "") for i in used] + (["shapes"] if shapes else [])
            lines = [f"**{_plain_markdown(heading)}**", "", "| " + " | ".join(head) + " |", "|" + " :--- |" * len(head)]
            for row in rows:
                sides = [*row.sides, *[None] * (columns - len(row.sides))]
                cells = [_math(sides[i]) for i in used] + ([_math(row.shapes)] if shapes else [])
                lines.append("| " + " | ".join(cells) + " |")
                for more in row.more:
                    cells = ["" for _ in cells]
                    cells[min(len(cells) - 1, len(used) - 1 if len(used) < 3 else used.index(used[-2]))] = _math(more)
                    lines.append("| " + " | ".join(cells) + " |")
            blocks.append("\n".join(lines))
        blocks += [_plain_markdown(remark) for remark in self.remarks]
        return "\n\n".join(blocks)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/markdown": self.markdown()}


_COLUMNS = {
    ("Forward", 0): "name", ("Forward", 1): "formula", ("Forward", 2): "numbers", ("Forward", 3): "value",
    ("Local derivatives", 0): "step", ("Local derivatives", 1): "rule", ("Local derivatives", 2): "numbers",
    ("Local derivatives", 3): "value", ("Backward", 0): "short", ("Backward", 1): "derivative",
    ("Backward", 2): "chain rule", ("Backward", 3): "numbers", ("Backward", 4): "value",
}


def explain(J: Tensor, wrt: Any = None, gradient: Any = None, max_rows: int = 80, convention: str | None = None
            ) -> Explanation:
    """The chain rule of J, written out: forward, local derivatives and backward, symbols first, then the numbers.

    J : a recorded result. One number, or any shape with `gradient`, the weights of its entries; without either, what
    was computed forward is shown alone. wrt : a Tensor, a name, or a list of these; by default everything J was made
    from.
    max_rows : how many rows a table may have before its middle is left out.
    convention : "course" writes the factor 1/m of a mean over m examples where courses write it: dZ, dA, ... of the values
    of the examples are derivatives of the sum of the losses (m dJ/dZ, such as A − Y), and dW = (1/m) dZ Xᵀ has the factor.

    Single numbers get the product along each path (the sum over paths where a number is used more than once); arrays
    get formulas and shapes. `dJ/dx` is called `dx` for short. Nothing is changed: no `.grad` is written.

    Raises GradientError where J does not track gradients, or is an array and `wrt` is asked for without `gradient`;
    NamesError where `wrt` is not part of J.

    >>> import tinygrad_edu as tg
    >>> a, b, c = tg.Tensor(5, name="a"), tg.Tensor(3, name="b"), tg.Tensor(2, name="c")
    >>> J = 3 * (a + b * c)
    >>> print(tg.explain(J, "b"))
    Forward
      a              = 5
      b              = 3
      c              = 2
      u = b · c      = 3 · 2  = 6
    ...
      db = dJ/db = dJ/dv · dv/du · du/db = 3 · 1 · 2 = 6
    """
    if convention not in (None, "course"):
        raise ValueError(f'explain: convention={convention!r}: write "course", or leave it out.')
    if type(J) is not Tensor:
        raise TypeError(f"explain: {type(J).__name__} given. It takes a recorded result: run the forward pass on "
                        "Tensors, J = f(Tensor(...)), then explain(J).")
    with np.errstate(all="ignore"):
        return _Reading(J, wrt, gradient, max(int(max_rows), 4), convention == "course").explanation()


# ---------------------------------------------------------------- reading one graph

@dataclass(frozen=True)
class _Use:
    """x is an operand of `user`, maybe by way of transposes that have no row of their own (nearest to the user
    first)."""

    user: Tensor
    operand: int
    turns: tuple[Tensor, ...]


@dataclass(frozen=True)
class _Step:
    """The derivative of one number by another that it was made from directly."""

    symbol: Expression
    rule: Expression
    numbers: Expression
    value: Any


class _Kept(dict[Tensor, Any]):
    """Gradients that can still be read after the walk has used them."""

    def __init__(self, start: dict[Tensor, Any]) -> None:
        super().__init__(start)
        self.used: dict[Tensor, Any] = {}

    def pop(self, node: Tensor, default: Any = None) -> Any:
        g = super().pop(node, default)
        if g is not None:
            self.used[node] = g
        return g


class _Reading:
    def __init__(self, root: Tensor, wrt: Any, gradient: Any, max_rows: int, course: bool) -> None:
        self.root, self.max_rows = root, max_rows
        self.examples = 1  # m, where dZ stands for m dJ/dZ
        self.of_examples: set[Tensor] = set()  # these Z
        self.variables = variable_names()
        self.names = name_nodes(root, self.variables)
        self.final = self.names[root] if gradient is None else next(
            s for s in itertools.chain("SLF", map("S{}".format, itertools.count())) if s not in self.names.values())
        self.asked = dict.fromkeys(self._asked(wrt))
        self.remarks: list[str] = []
        self.nodes = [t for t in nodes_of(root) if not self._hidden(t)]
        self.cuts: dict[Tensor, Expression] = {t: name(self.names[t], t.shape) for t in self._few(self.nodes)}
        self.steps: dict[tuple[Tensor, Tensor], _Step] = {}
        self.arrays: dict[int, Expression] = {}
        self.backwards = root.requires_grad and (root.size == 1 or gradient is not None)
        if wrt is not None and not self.backwards:
            if root.requires_grad:
                of = printable(self.names[root])
                raise GradientError(f"explain: {of} has shape {shape_text(root.shape)}, and only a single number has a "
                                    f"derivative without more said. Use explain({of}.sum(), ...), or explain({of}, ..., "
                                    f"gradient=weights) with weights of shape {shape_text(root.shape)}.")
            raise GradientError(f"explain: {self.names[root]} does not track gradients: it was computed under "
                                "no_grad(), or from constants, .detach(), .data or .numpy(). Make the inputs Tensors.")
        if self.backwards:
            self._run_backward(gradient)
            if course:
                self._move_the_mean()

    def _asked(self, wrt: Any) -> list[Tensor]:
        found = []
        by_name = {n: t for t, n in self.names.items()}
        for one in [] if wrt is None else wrt if isinstance(wrt, (list, tuple, set)) else [wrt]:
            if isinstance(one, str):
                if one not in by_name:
                    near = difflib.get_close_matches(one, by_name, n=3, cutoff=0.4) or list(by_name)[:6]
                    raise NamesError(f"explain: nothing in the graph of {self.names[self.root]} is called {one!r}. "
                                     f"There is {', '.join(printable(n) for n in near)}.")
                one = by_name[one]
            if type(one) is not Tensor or one not in self.names:
                held = getattr(one, "name", None) or self.variables.get(id(one), "the Tensor given")
                raise NamesError(f"explain: {printable(str(held))} is not in the graph of {self.names[self.root]}, "
                                 "which was not computed from it. Was it replaced after the forward pass?")
            if not one.requires_grad:
                raise GradientError(f"explain: {self.names[one]} is a constant (requires_grad=False), so nothing is "
                                    "differentiated with respect to it. Make it Tensor(...).")
            found.append(one)
        return found

    def _hidden(self, t: Tensor) -> bool:
        """Transposes that nobody named are written where they are used."""
        return (is_transpose(t) and t is not self.root and t.name is None and id(t) not in self.variables
                and type(t.args[0]) is Tensor and t not in self.asked)

    def _few(self, rows: Sequence[Any]) -> list[Any]:
        """What has a row: the first and the last, where there are too many."""
        half = self.max_rows // 2
        return list(rows) if len(rows) <= self.max_rows else [*rows[:half], *rows[-half:]]

    def _named(self, t: Tensor) -> Expression:
        if t not in self.cuts:
            self.cuts[t] = name(self.names[t], t.shape)
        return self.cuts[t]

    def _operand(self, a: Any) -> Expression:
        """An operand as it is written: its name, a number, or the transpose of a name."""
        if type(a) is not Tensor:
            return self.arrays.setdefault(id(a), expression(a, {}, self.variables))
        turned = []
        while self._hidden(a):
            turned.append(a)
            a = a.args[0]
        e = self._named(a)
        for t in reversed(turned):
            e = simplified(operation(t, [e]))
        return e

    # -- numbers

    def _run_backward(self, gradient: Any) -> None:
        g = seed(self.root, gradient, "explain")
        g = g.value if type(g) is Tensor else g
        self.weighted = gradient is not None
        graph = Graph([self.root])
        path = graph.depending_on(self.asked) if self.asked else None
        start = _Kept({self.root: g})
        pull(list(graph.nodes), start, path)
        self.grads: dict[Tensor, Any] = {**start, **start.used, self.root: g}
        self.uses: dict[Tensor, list[_Use]] = {}
        shown = [t for t in graph.nodes if not self._hidden(t)]
        for user in reversed(shown):
            assert user.op is not None
            for i, (a, rule) in enumerate(zip(user.args, user.op.rules_for(len(user.args)), strict=True)):
                turns = []
                while type(a) is Tensor and a.requires_grad and self._hidden(a):
                    turns.append(a)
                    a = a.args[0]
                if rule is not None and type(a) is Tensor and a.requires_grad and (path is None or a in path):
                    self.uses.setdefault(a, []).append(_Use(user, i, tuple(turns)))
        inner = [t for t in reversed(shown) if t is not self.root and (path is None or t in path)]
        leaves = [x for x in sorted(graph.leaves, key=lambda x: x.id)
                  if x is not self.root and (path is None or x in path)]
        last = self.asked or dict.fromkeys(leaves)
        self.order = [self.root, *[t for t in inner if t not in last], *[t for t in last if t is not self.root]]
        self._count_paths()

    def _count_paths(self) -> None:
        """How many paths lead from each node to the end, and how many factors they have together; 0 paths where an
        array lies on the way, so that there is no product of numbers."""
        self.paths: dict[Tensor, int] = {self.root: int(not self.root.ndim and not self.weighted)}
        self.factors: dict[Tensor, int] = {self.root: 0}
        for x in sorted(self.uses, key=lambda t: t.id, reverse=True):
            users = {u.user: None for u in self.uses[x]}
            pure = not x.ndim and all(self.paths.get(u) and not u.ndim for u in users)
            self.paths[x] = min(sum(self.paths[u] for u in users), 10**6) if pure else 0
            self.factors[x] = min(sum(self.factors[u] + self.paths[u] for u in users), 10**6) if pure else 0

    def _move_the_mean(self) -> None:
        """The course's convention: find the mean over m examples, and what was computed for each example before it."""
        means = {}
        for t in Graph([self.root]).nodes:
            g = self.grads.get(t)
            if g is None or t.ndim or t.op is None or t.op.name not in ("mean", "sum") or type(t.args[0]) is not Tensor:
                continue
            m = t.args[0].size
            if t.op.name == "sum":  # (1/m) Σ: what it is multiplied with says m
                m = round(float(abs(1 / g))) if g and m > 1 else 1
                m = m if m in t.args[0].shape and np.isclose(m * abs(g), 1) else 1
            if m > 1:
                means[t] = m
        if len(set(means.values())) != 1:
            self.remarks.append("There is no mean over examples here, or more than one, so the course's convention changes "
                                "nothing.")
            return
        self.examples = next(iter(means.values()))
        waiting = list(means)
        seen = set(waiting)
        for t in waiting:  # grows as it is read
            for a in t.args:
                if type(a) is Tensor and a.op is not None and a.requires_grad and a not in seen:
                    seen.add(a)
                    waiting.append(a)
        m = self.examples
        self.of_examples = {t for t in seen - set(means) if not self._hidden(t) and (m in t.shape or t.size == m)}
        self.remarks.append(f"Convention of the course, m = {m}: for what is computed for each example, dZ is the derivative "
                            "of the sum of the losses, m dJ/dZ; the factor 1/m stands with the parameters.")

    def _gradient(self, x: Tensor) -> Any:
        """dJ/dx, or m times that where the convention says so."""
        g = self.grads.get(x)
        g = g * x.dtype.type(self.examples) if x in self.of_examples and g is not None else g
        g = x.dtype.type(0) if g is None else g
        return g if np.shape(g) == x.shape else np.broadcast_to(g, x.shape)

    # -- forward

    def explanation(self) -> Explanation:
        forward = self._capped([self._forward_row(t) for t in self._few(self.nodes)], len(self.nodes))
        backward: list[Row] = []
        gradients: dict[str, Any] = {}
        if self.backwards:
            rows = self._few(self.order)
            if self.weighted:
                root = printable(self.names[self.root])
                self.remarks.append(f"{self.final} is the sum of gradient ⊙ {root}, so the start is "
                                    f"d{self.final}/d{root} = gradient.")
            backward = self._capped([self._backward_row(x) for x in rows], len(self.order))
            wanted = [x for x in self.order if x is not self.root] if len(self.order) <= self.max_rows else rows
            gradients = {f"d{self.names[x]}": self._gradient(x) for x in wanted}
        elif self.root.requires_grad:
            root = printable(self.names[self.root])
            self.remarks.append(f"{root} has shape {shape_text(self.root.shape)}, and only a single number has a "
                                f"derivative without more said: explain({root}.sum()), or explain({root}, "
                                "gradient=weights).")
        else:
            self.remarks.append(f"{printable(self.names[self.root])} does not track gradients, so there is nothing to "
                                "explain backward.")
        local = [self._local_row(step) for step in self.steps.values()]
        if any("∂" in text(step.symbol) for step in self.steps.values()):
            self.remarks.append("∂u/∂x is the derivative by one step alone: x also reaches u by another path.")
        return Explanation(printable(self.final), forward, self._capped(self._few(local), len(local)), backward,
                           gradients, list(dict.fromkeys(self.remarks)))

    def _capped(self, rows: list[Row], total: int) -> list[Row]:
        left_out = total - len(rows)
        if left_out > 0:
            half = len(rows) // 2
            said = f"{left_out:,} more"
            note = Row("", (Formula(f"… {said} (max_rows={self.max_rows})", rf"\ldots \mathrm{{{escaped(said)}}}"),))
            rows = [*rows[:half], note, *rows[half:]]
        return rows

    def _forward_row(self, t: Tensor) -> Row:
        title = _both(self._named(t))
        value = _value(t.value)
        if t.op is None:
            shapes = None if not t.ndim else _shapes(shape_text(t.shape))
            return Row(self.names[t], (title, None, None, value), t.value, shapes)
        e = operation(t, [self._operand(a) for a in t.args])
        numbers = None
        if value is not None:
            put_in = {self._named(a): _in_numbers(a.value) for a in self._bases(t)}
            put_in |= {self._operand(a): _in_numbers(a) for a in t.args if isinstance(a, np.ndarray)}
            if all(x is not None for x in put_in.values()):
                numbers = _both(replaced(e, {k: x for k, x in put_in.items() if x is not None}))
                if len(numbers.text) > MOST_NUMBERS or numbers == value:
                    numbers = None
        return Row(self.names[t], (title, _both(e), numbers, value), t.value, self._product_shapes(e, t.shape),
                   self._by_examples(e, columns=True))

    def _bases(self, t: Tensor) -> list[Tensor]:
        found = []
        for a in t.args:
            while type(a) is Tensor and self._hidden(a):
                a = a.args[0]
            if type(a) is Tensor:
                found.append(a)
        return found

    # -- local derivatives

    def _derivative(self, y: Tensor, x: Tensor, partial: bool = False) -> Expression:
        return _derivative_name(self.names[y], self.names[x], partial)

    def _total(self, x: Tensor) -> Expression:
        """dJ/dx by its name; 1 for dJ/dJ."""
        if x is self.root and not self.weighted:
            return number(1)
        if x in self.of_examples:
            return self._short(x)
        return _derivative_name(self.final, self.names[x], shape=x.shape)

    def _short(self, x: Tensor) -> Expression:
        return name(f"d{self.names[x]}", x.shape, f"d{latex_name(self.names[x])}")

    def _step(self, y: Tensor, x: Tensor) -> _Step:
        """One factor of a product: the derivative of the number y by its operand x."""
        if (y, x) not in self.steps:
            rules, value = [], y.dtype.type(0)
            one = y.dtype.type(1)
            for use in self.uses[x]:
                if use.user is y:
                    rules.append(self._contribution(use, number(1), one))
                    assert y.op is not None
                    rule = y.op.rules_for(len(y.args))[use.operand]
                    assert rule is not None
                    d = rule(one, y.value, *[a.value if type(a) is Tensor else a for a in y.args], **(y.params or {}))
                    value = value + (0 if d is None else np.asarray(d).sum())
            e = _added(rules)
            if len(text(e)) > LONGEST_RULE:
                assert y.op is not None
                operands = [self._operand(a) for a in y.args]
                function = rf"\mathrm{{{escaped(y.op.name)}}}'"
                e = name(f"{y.op.name}′({', '.join(map(text, operands))})", (),
                         rf"{function}\left( {', '.join(map(latex, operands))} \right)")
            put_in = {self._named(t): number(t.value) for t in [y, *self._bases(y)]}
            symbol = self._derivative(y, x, self._reached_otherwise(y, x))
            self.steps[y, x] = _Step(symbol, e, replaced(e, put_in), value)
        return self.steps[y, x]

    def _reached_otherwise(self, y: Tensor, x: Tensor) -> bool:
        """Whether y depends on x also through another operand; yes, when it would take long to find out."""
        waiting = [a for a in y.args if type(a) is Tensor and a is not x and a.id > x.id]
        seen = set(waiting)
        for t in waiting:  # grows as it is read
            for a in t.args:
                if a is x:
                    return True
                if type(a) is Tensor and a.id > x.id and a not in seen:
                    seen.add(a)
                    waiting.append(a)
            if len(seen) > 2000:
                return True
        return False

    def _local_row(self, step: _Step) -> Row:
        rule, numbers, value = _both(step.rule), _both(step.numbers), _both(number(step.value))
        shown: list[Formula | None] = [_both(step.symbol), rule, numbers, value]
        if numbers in (value, rule):
            shown[2] = None
        if rule == value:
            shown[1] = None
        return Row(text(step.symbol), tuple(shown), step.value)

    def _contribution(self, use: _Use, g: Expression, start: Any) -> Expression:
        """What one user adds to the derivative of its operand: the rule, read. `start` is dJ/d(user), g how it is
        written."""
        y = use.user
        given: dict[Tensor, Tensor] = {}
        cuts: dict[Tensor, Expression] = {}
        assert y.op is not None
        # a single number is read as an array of one: NumPy keeps nothing but the value of a single truth value
        single = y.op.kind == "pointwise" and not y.ndim

        def standing(value: Any) -> Tensor:
            return stand_in(np.reshape(value, (1,)) if single else value)

        def place(a: Any) -> Any:
            if type(a) is not Tensor:
                if isinstance(a, np.ndarray) and a.ndim:
                    t = stand_in(a)
                    cuts[t] = expression(a, {}, self.variables)
                    return t
                return a
            turned = []
            while self._hidden(a):
                turned.append(a)
                a = a.args[0]
            if a not in given:
                given[a] = standing(a.value)
                cuts[given[a]] = self._named(a)
            t = given[a]
            with always_record():
                for turn in reversed(turned):
                    assert turn.op is not None
                    t = turn.op(t, **(turn.params or {}))
            return t

        operands = [place(a) for a in y.args]
        own, upstream = standing(y.value), standing(start)
        cuts[own], cuts[upstream] = self._named(y), g
        d = recorded_rule(y, use.operand, upstream, own, operands)
        for turn in use.turns:
            if type(d) is not Tensor:
                break
            d = recorded_rule(turn, 0, d, stand_in(turn.value), [place(turn.args[0])])
        return expression(d, cuts, self.variables, single=single)

    # -- backward

    def _backward_row(self, x: Tensor) -> Row:
        short, title = self._short(x), _both(_derivative_name(self.final, self.names[x]))
        if x in self.of_examples:
            title = Formula(f"m {title.text}", rf"m \, {title.latex}")
        g = self._gradient(x)
        value = _value(g)
        symbols = numbers = shapes = None
        more: tuple[Formula, ...] = ()
        if x is self.root:
            symbols = Formula("gradient", r"\mathrm{gradient}") if self.weighted else None
        elif x not in self.uses:
            pass
        elif 0 < self.paths[x] <= MOST_PATHS and self.factors[x] <= MOST_FACTORS:
            symbols, numbers = self._along_paths(x)
            if len(symbols.text) > LONGEST_PATHS:
                symbols, numbers = (_both(e) for e in self._over_users(x) if e is not None)
        else:
            e, put_in = self._over_users(x)
            symbols = _both(e)
            if put_in is not None:
                numbers = _both(put_in)
            else:
                shapes = self._product_shapes(e, x.shape)
                if x.op is None:
                    # a sum over examples, where x is a parameter and the other factor is data, not another parameter
                    (user,) = [u.user for u in self.uses[x]][:1]
                    data = not any(a.op is None and a.requires_grad for a in self._bases(user) if a is not x)
                    more = self._by_examples(e, columns=True) or (self._by_examples(e, columns=False) if data else ())
        sides: list[Formula | None] = [_both(short), title, symbols, numbers, value]
        if numbers in (value, symbols):
            sides[3] = None
        if symbols == value:
            sides[2] = None
        if sides[2] == title:
            sides[2] = None
        return Row(self.names[x], tuple(sides), g, shapes, more)

    def _along_paths(self, x: Tensor) -> tuple[Formula, Formula]:
        """A product for each path from the end to x, and their sum."""
        complete, waiting = [], [[x]]
        while waiting:
            path = waiting.pop()
            if path[-1] is self.root:
                complete.append(path[::-1])
            else:
                waiting += [[*path, u] for u in dict.fromkeys(use.user for use in self.uses[path[-1]])]
        products, numbers = [], []
        for path in complete:
            steps = [self._step(y, z) for y, z in itertools.pairwise(path)]
            products.append(reduce(_times, [s.symbol for s in steps]))
            numbers.append(reduce(_times, [number(s.value) for s in steps]))
        if len(complete) == 1 and len(complete[0]) == 2:
            step = self._step(self.root, x)
            return _both(step.rule), _both(step.numbers)
        return _both(_plus(products)), _both(_plus(numbers))

    def _over_users(self, x: Tensor) -> tuple[Expression, Expression | None]:
        """dJ/dx = Σ dJ/du · du/dx over the users u of x, or for arrays the rules of the users; with numbers where all
        are."""
        users = list(dict.fromkeys(use.user for use in self.uses[x]))
        if not x.ndim and not any(u.ndim for u in users):
            products, numbers = [], []
            for u in _ends(users):
                step = self._step(u, x)
                if u is self.root and not self.weighted:
                    products.append(step.symbol if len(users) > 1 else step.rule)
                    numbers.append(number(step.value))
                else:
                    products.append(_times(self._total(u), step.symbol))
                    numbers.append(_times(number(self._gradient(u)), number(step.value)))
            gap = len(users) - len(products)
            return _plus(_with_gap(products, gap)), _plus(_with_gap(numbers, gap))
        uses = self.uses[x]
        rules = [self._with_m(x, use.user, self._contribution(use, self._total(use.user), self._gradient(use.user)))
                 for use in _ends(uses)]
        return _added(_with_gap(rules, len(uses) - len(rules))), None

    def _with_m(self, x: Tensor, user: Tensor, e: Expression) -> Expression:
        """What a user adds to dx, where one of the two stands for m times the derivative and the other does not."""
        inside, m = x in self.of_examples, number(self.examples)
        if inside == (user in self.of_examples):
            return e
        if not inside:
            return Expression("multiply", (name("(1/m)", (), r"\frac{1}{m}", FRACTION), e), e.shape)
        if e.head == "divide" and text(e.operands[1]) == text(m):
            return e.operands[0]
        return simplified(Expression("multiply", (name("m", ()), e), e.shape))

    # -- shapes, and sums over examples

    def _product_shapes(self, e: Expression, shape: tuple[int, ...]) -> Formula | None:
        if e.head == "negative":
            e = e.operands[0]
        result = shape_text(shape)
        if e.head == "matmul":
            return _shapes(f"{' @ '.join(shape_text(o.shape) for o in e.operands)} → {result}")
        given = {o.shape for o in e.operands if o.shape} or {e.shape}
        if len(given) == 1 and given != {shape}:
            return _shapes(f"{shape_text(given.pop())} → {result}")
        return _shapes(result) if shape else None

    def _by_examples(self, e: Expression, columns: bool) -> tuple[Formula, ...]:
        """A product over few examples, written out as a sum. Where examples are columns it is A Bᵀ = Σ a⁽ⁱ⁾ b⁽ⁱ⁾ᵀ,
        where they are rows Aᵀ B = Σ a⁽ⁱ⁾ᵀ b⁽ⁱ⁾."""
        if e.head != "matmul" or any(len(o.shape) != 2 for o in e.operands):
            return ()
        a, b = e.operands
        if not 2 <= a.shape[1] <= FEW or (b if columns else a).head != "transpose":
            return ()
        left, right = (a, b.operands[0]) if columns else (a.operands[0], b)
        if left.head != "name" or right.head != "name" or "array(" in text(left) + text(right):
            return ()
        outer = right.shape[0] > 1 if columns else left.shape[1] > 1
        terms = []
        for i in range(1, a.shape[1] + 1):
            first, second = _example(left, i, outer and not columns), _example(right, i, outer and columns)
            terms.append(Formula(f"{first.text} {second.text}", rf"{first.latex} \, {second.latex}"))
        self.remarks.append(f"X⁽ⁱ⁾ is {'column' if columns else 'row'} i of X, the i-th example.")
        return (Formula(" + ".join(t.text for t in terms), " + ".join(t.latex for t in terms)),)


# ---------------------------------------------------------------- small forms

def _both(e: Expression) -> Formula:
    written, in_latex = text(e), latex(e)
    if e.head in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "bitwise_and", "bitwise_or"):
        return Formula(f"({written})", rf"\left( {in_latex} \right)")  # true counts 1, false 0
    return Formula(written, in_latex)


def _derivative_name(of: str, by: str, partial: bool = False, shape: tuple[int, ...] = ()) -> Expression:
    def operand(written: str) -> str:
        shown = printable(written)
        return shown if all(c.isalnum() or c in "_[].'′" for c in shown) else f"({shown})"

    d, latex_d = ("∂", r"\partial ") if partial else ("d", "d")
    in_latex = rf"\frac{{{latex_d}{latex_name(of)}}}{{{latex_d}{latex_name(by)}}}"
    return name(f"{d}{operand(of)}/{d}{operand(by)}", shape, in_latex, FRACTION)


def _example(e: Expression, i: int, turned: bool) -> Formula:
    """The i-th example of an array; of a derivative dJ/dZ by its short name dZ."""
    written, in_latex = text(e), latex(e)
    if "/d" in written and e.params["strength"] == FRACTION:
        written = "d" + written.split("/d", 1)[1]
        in_latex = "d" + in_latex.rpartition("}{d")[2][:-1]
    top = r"\top" if turned else ""
    return Formula(f"{written}⁽{superscript(str(i))}⁾{'ᵀ' if turned else ''}", f"{{{in_latex}}}^{{({i}){top}}}")


def _value(value: Any) -> Formula | None:
    written = array_text(value)
    return None if written is None else Formula(written, array_latex(value))


def _in_numbers(value: Any) -> Expression | None:
    """A value to put into a formula: a number, or a small array."""
    if not np.ndim(value):
        return number(value)
    written = array_text(value, 24)
    return None if written is None else name(written, np.shape(value), array_latex(value))


def _shapes(written: str) -> Formula:
    return Formula(written, written.replace("→", r"\to").replace("@", r"\cdot"))


def _ends(terms: Sequence[Any]) -> list[Any]:
    """The first and the last terms of a sum that is too long to be written out."""
    return list(terms) if len(terms) <= MOST_TERMS else [*terms[: MOST_TERMS // 2], *terms[-(MOST_TERMS // 2) :]]


def _with_gap(terms: list[Expression], left_out: int) -> list[Expression]:
    if not left_out:
        return terms
    half = len(terms) // 2
    said = f"{left_out:,} more"
    return [*terms[:half], name(f"… ({said}) …", (), rf"\ldots (\mathrm{{{escaped(said)}}}) \ldots"), *terms[half:]]


def _times(a: Expression, b: Expression) -> Expression:
    return Expression("multiply", (a, b))


def _plus(terms: Iterable[Expression]) -> Expression:
    return reduce(lambda a, b: Expression("add", (a, b), a.shape), terms)


def _added(terms: Iterable[Expression]) -> Expression:
    return reduce(lambda a, b: simplified(Expression("add", (a, b), a.shape or b.shape)), terms)


# ---------------------------------------------------------------- layout

def _aligned(rows: list[Row], spelled: Callable[[str], str]) -> list[str]:
    """Columns under each other, as far as a line goes; a row that is too wide for that is laid out by itself."""
    columns = max(len(row.sides) for row in rows)
    table = [[None if s is None else spelled(s.text) for s in row.sides] + [None] * (columns - len(row.sides)) for row in rows]
    for widest in (60, 48, 40, 32, 24):
        fitting = [cells for cells in table if any(cells[1:]) and all(len(cell or "") <= widest for cell in cells)]
        widths = [max([len(cells[i] or "") for cells in fitting], default=0) for i in range(columns)]
        if sum(w + 3 for w in widths if w) <= WIDTH:
            break
    lines = [_line(cells, widths) if cells in fitting or not any(cells[1:]) else _lines_of_its_own(cells, widths)
             for cells in table]
    ends = [len(line[-1]) for line, row in zip(lines, rows, strict=True) if row.shapes is not None]
    width = max([end for end in ends if end <= WIDTH], default=0)
    before = 2 + widths[0] + (widths[1] + 3 if columns > 4 else 0)
    out = []
    for line, row in zip(lines, rows, strict=True):
        if row.shapes is not None:
            line[-1] = f"{line[-1]:{width}}   {spelled(row.shapes.text)}"
        out += line
        out += [f"{'':{before}} = {spelled(more.text)}" for more in row.more]
    return out


def _line(cells: list[str | None], widths: list[int]) -> list[str]:
    line, column = f"  {cells[0] or ''}", 2
    for i, cell in enumerate(cells):
        if i and cell is not None:
            line = f"{line:{column}} = {cell}"
        column += widths[i] + (3 if i and widths[i] else 0)
    return [line]


def _lines_of_its_own(cells: list[str | None], widths: list[int]) -> list[str]:
    """A row too wide for the columns: its name, and as many sides on each line as there is room for, = under =."""
    sides = [cell for cell in cells[1:] if cell is not None]
    first = f"  {cells[0] or '':{widths[0]}}"
    if len(cells) > 4 and len(sides) > 1:  # dx = dJ/dx stays together
        first = f"{first} = {sides.pop(0):{widths[1]}}"
    lines, indent = [first], len(first)
    for side in sides:
        if len(lines[-1]) + len(side) + 3 > WIDTH and len(lines[-1]) > indent:
            lines.append(" " * indent)
        lines[-1] += f" = {side}"
    return lines


def _latex_lines(rows: list[Row]) -> list[str]:
    lines = []
    for row in rows:
        first, *rest = [s.latex for s in row.sides if s is not None]
        note = "" if row.shapes is None else rf" && {row.shapes.latex}"
        lines.append(f"{first} &" + ("= " + " = ".join(rest) if rest else "") + note)
        lines += [f"&= {more.latex}" for more in row.more]
    return lines


def _math(side: Formula | None) -> str:
    return "" if side is None else f"${side.latex}$"


def _plain_markdown(written: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+!|$~&" else c for c in written)


__all__ = ["Explanation", "Formula", "Row", "explain"]
