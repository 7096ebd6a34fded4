"""How the gradient flows back through the layers: δ, saturation, dead units, weights, and what is wrong in words.

A layer is a value z that an activation takes (the net input, or pre-activation), or what a product with weights gives
where no activation follows. Layers are found in the recorded graph, also where the activation is written by hand, as in
1 / (1 + np.exp(-z)) or np.maximum(z, 0). δ = dJ/dz is the engine's own backward pass; slopes g′(z) are its own rules.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from ..backprop import Graph, pull, seed
from ..errors import GradientError, MissingExtraError, variable_names
from ..rules import TABLE, activations, pointwise, reductions
from ..tensor import Primitive, Tensor
from .names import name_nodes, nodes_of
from .scopes import groups_of

TINY = 0.1  # a slope below this share of the activation's steepest counts as flat
TOO_FLAT = 0.5  # share of flat places from which a layer counts as saturated
WIDTH = 110  # of a line of text
MOST_ROWS = 60  # of the table
MOST_NAMED = 4  # layers in one warning
TOO_SMALL = 1e-3  # mean |δ| below this share of the last layer's: vanishing; above its inverse: exploding


@dataclass(frozen=True)
class Norms:
    """A parameter's own norm and that of its derivative: ‖W‖ and ‖dW‖ (Frobenius), and what they belong to.

    kind : "weight", what is multiplied, or "bias", what is added.
    """

    norm: float
    gradient_norm: float
    kind: str


@dataclass(frozen=True)
class Layer:
    """One layer, with what the backward pass says about it.

    number : from 1 on, in the order of the forward pass. name : of z. activation : what takes z ("linear" where nothing
    does). shape : of z. units, examples : how many, None where the graph does not tell the axes apart.
    delta : dJ/dz, an array of that shape; delta_norm : ‖δ‖, over all units and examples; delta_mean : mean |δ|.
    saturation : share of places where g′(z) is below 10 % of its largest possible value, None for a linear layer.
    dead : the numbers of the units whose ReLU passes nothing for any example; None for other activations.
    parameters : by name, the Norms of weights and biases. same : whether all units compute the same and get the same δ.
    """

    number: int
    name: str
    activation: str
    shape: tuple[int, ...]
    units: int | None
    examples: int | None
    delta: np.ndarray[Any, Any] = field(repr=False)
    delta_norm: float
    delta_mean: float
    saturation: float | None
    dead: tuple[int, ...] | None
    parameters: dict[str, Norms]
    same: bool
    last: bool  # no layer follows
    undone: bool  # a logarithm in the cost takes the output, and its slope cancels g′

    def _norm(self, which: str) -> float | None:
        parts = [getattr(p, which) for p in self.parameters.values() if p.kind == "weight"]
        return float(np.sqrt(sum(x * x for x in parts))) if parts else None

    @property
    def weights(self) -> list[str]:
        """The names of the weights, without biases."""
        return [name for name, p in self.parameters.items() if p.kind == "weight"]

    @property
    def weight_norm(self) -> float | None:
        """‖W‖ of all weights of the layer together."""
        return self._norm("norm")

    @property
    def gradient_norm(self) -> float | None:
        """‖dW‖ of all weights of the layer together."""
        return self._norm("gradient_norm")

    def __str__(self) -> str:
        return f"layer {self.number}" if self.name == f"layer {self.number}" else f"layer {self.number} ({self.name})"


class GradientFlow:
    """What gradient_flow() found: print it, plot it, or read `.layers` and `.warnings`.

    layers : a list of Layer, in the order of the forward pass. warnings : texts that begin with what they are about:
    "vanishing", "exploding", "dead", "saturated", "symmetric" or "not finite"; an empty list where all is well.
    """

    def __init__(self, final: str, layers: list[Layer]) -> None:
        self.final, self.layers = final, layers
        with np.errstate(all="ignore"):
            self.warnings = list(_warnings(layers))

    def _rows(self) -> list[list[str]]:
        """The table, heading first, then from the last layer to the first, as the gradient flows."""
        columns: list[tuple[str, Callable[[Layer], str]]] = [
            ("layer", lambda x: str(x.number)),
            ("name", lambda x: x.name),
            ("activation", lambda x: x.activation),
            ("units", lambda x: "–" if x.units is None else str(x.units)),
            ("‖δ‖", lambda x: _short(x.delta_norm)),
            ("mean |δ|", lambda x: _short(x.delta_mean)),
            ("flat", lambda x: "–" if x.saturation is None else f"{x.saturation:.0%}"),
            ("dead", lambda x: "–" if x.dead is None else str(len(x.dead))),
            ("weights", lambda x: ", ".join(x.weights) or "–"),
            ("‖W‖", lambda x: _short(x.weight_norm)),
            ("‖dW‖", lambda x: _short(x.gradient_norm)),
        ]
        if all(x.name == f"layer {x.number}" for x in self.layers):
            columns.pop(1)
        rows = [[cell(x) for _, cell in columns] for x in reversed(_ends(self.layers))]
        if len(rows) < len(self.layers):
            rows.insert(len(rows) // 2, ["⋮", f"{len(self.layers) - len(rows)} more", *[""] * (len(columns) - 2)])
        return [[name for name, _ in columns], *rows]

    def __str__(self) -> str:
        rows = self._rows()
        left = {"name", "activation", "weights"}
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [f"Gradient flow of {self.final}, from the last layer back to the first"]
        for row in rows:
            cells = [cell.ljust(w) if head in left else cell.rjust(w)
                     for head, cell, w in zip(rows[0], row, widths, strict=True)]
            lines.append(("  " + "  ".join(cells)).rstrip())
        for text in self.warnings:
            lines += textwrap.wrap(text, WIDTH, initial_indent="! ", subsequent_indent="  ", break_on_hyphens=False)
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        head, *body = self._rows()
        lines = [f"<table><caption>Gradient flow of {html.escape(self.final)}, from the last layer back to the first"
                 "</caption><thead><tr>", *(f"<th>{html.escape(cell)}</th>" for cell in head), "</tr></thead><tbody>"]
        for row in body:
            lines.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>")
        lines.append("</tbody></table>")
        lines += [f"<p>⚠ {html.escape(text)}</p>" for text in self.warnings]
        return {"text/plain": str(self), "text/html": "".join(lines)}

    def plot(self, ax: Any = None) -> Any:
        """Draw mean |δ| and ‖dW‖ of every layer on a logarithmic axis; return the matplotlib axes.

        ax : the axes to draw in; by default those of a new figure. A ring marks layers that are mostly saturated or
        have dead units, a cross on the bottom line a layer whose δ is exactly 0. Raises MissingExtraError without
        matplotlib.
        """
        if ax is None:
            try:
                import matplotlib.pyplot as plt
            except ImportError as error:
                raise MissingExtraError("gradient_flow: plotting needs matplotlib, which is not installed. Install it "
                                        "with pip install matplotlib, or print() the table.") from error
            count = len(self.layers)
            _, ax = plt.subplots(figsize=(min(max(5.0, 1.5 + 0.45 * count), 14.0), 3.6), layout="constrained")
        numbers = np.array([x.number for x in self.layers])
        lines = [("mean |δ|", "o-", "C0", [x.delta_mean for x in self.layers]),
                 ("‖dW‖", "s--", "C1", [np.nan if (g := x.gradient_norm) is None else g for x in self.layers])]
        for label, style, color, values in lines:
            y = np.array(values, float)
            y[~(np.isfinite(y) & (y > 0))] = np.nan
            if np.isfinite(y).any():
                ax.plot(numbers, y, style, color=color, label=label)
        drawn = bool(ax.lines)
        if drawn:
            ax.set_yscale("log")
        flat = [x for x in self.layers if x.dead or _is_saturated(x)]
        visible = [x for x in flat if np.isfinite(x.delta_mean) and x.delta_mean > 0]
        if visible:
            ax.plot([x.number for x in visible], [x.delta_mean for x in visible], "o", markersize=13, color="C3",
                    markerfacecolor="none", label="saturated or dead units")
        stuck = [x.number for x in self.layers if x.delta_norm == 0]
        if stuck:
            ax.plot(stuck, [0.03] * len(stuck), "x", color="C3", transform=ax.get_xaxis_transform(), label="δ is exactly 0")
        every = max(1, -(-len(numbers) // 24))
        ax.set_xticks(numbers[::every])
        names = [x.name if x.name != f"layer {x.number}" else str(x.number) for x in self.layers][::every]
        long = max(map(len, names)) > 4 or len(names) > 16
        # $ would switch matplotlib to its own mathematics
        ax.set_xticklabels([name.replace("$", r"\$") for name in names], rotation=45 if long else 0,
                           ha="right" if long else "center")
        ax.set_xlim(0.5, len(numbers) + 0.5)
        ax.set_xlabel("layer, from the input to the output")
        ax.set_title(f"gradient flow of {self.final}".replace("$", r"\$"))
        ax.grid(alpha=0.3)
        if not drawn:  # no number to read off: ticks from 0 to 1 would say nothing
            ax.set_yticks([])
            if not stuck:
                ax.text(0.5, 0.5, "no finite δ", transform=ax.transAxes, ha="center", va="center", color="0.35")
        if ax.lines:
            ax.legend()
        return ax


def gradient_flow(J: Tensor, gradient: Any = None, unit_axis: int | None = None) -> GradientFlow:
    """Follow the gradient back through the layers of J: where it vanishes, explodes, or is stopped, and why.

    J : a recorded result, one number, or any shape with `gradient`, the weights of its entries. unit_axis : the axis of
    z that counts units, the same for all layers; by default it is found from the products: -2 for W @ X, where examples
    are columns, -1 for X @ W, where they are rows.

    Per layer: ‖δ‖ and mean |δ| with δ = dJ/dz (the 1/m of the cost included), the share of places where the activation
    is flat (g′ below 10 % of its largest value), the dead units of a ReLU, the norms of weights and of their derivatives.
    `.warnings` says in words what is wrong. Nothing is changed: no `.grad` is written.

    Names of layers are the given ones, else variables, else scopes, else what the output is called, else numbers.
    Raises GradientError where J has no gradient or no layers.

    >>> import numpy as np, tinygrad_edu as tg
    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((30, 64))
    >>> for layer in range(6):
    ...     W = tg.Tensor(rng.standard_normal((30, 30)) / np.sqrt(30), name=f"W{layer + 1}")
    ...     A = tg.sigmoid(W @ A)
    >>> flow = tg.gradient_flow(0.5 * np.sum((A - 0.5) ** 2))
    >>> [f"{layer.delta_norm:.1e}" for layer in flow.layers]
    ['1.3e-03', '6.1e-03', '2.9e-02', '1.3e-01', '5.6e-01', '1.5e+00']
    >>> print(flow.warnings[0])
    vanishing: ...
    """
    if type(J) is not Tensor:
        hint = "call it on Tensors first, J = f(Tensor(...))" if callable(J) else "run the forward pass on Tensors first"
        raise TypeError(f"gradient_flow: {type(J).__name__} given. It takes a recorded result: {hint}, then "
                        "gradient_flow(J).")
    if not J.requires_grad:
        raise GradientError("gradient_flow: J was not made from a tracked Tensor, so no gradient flows. Make the weights "
                            "Tensor(...), and compute J outside no_grad().")
    with np.errstate(all="ignore"):
        return _Reading(J, gradient, unit_axis).flow()


# ---------------------------------------------------------------- activations

@dataclass(frozen=True)
class _Activation:
    """What takes z: its name, its output, and a primitive whose rule gives g′(z). sign : -1 where it takes −z."""

    name: str
    output: Tensor
    op: Primitive | None
    params: dict[str, Any]
    sign: int = 1


_KNOWN: dict[Primitive, str] = {
    op: op.name for op in (
        pointwise.tanh, pointwise.sigmoid, pointwise.relu, pointwise.leaky_relu, pointwise.elu, pointwise.silu,
        pointwise.gelu, pointwise.softplus, reductions.softmax, activations.celu, activations.softsign, activations.hard_tanh)
}
_KNOWN[pointwise.gelu_tanh] = "gelu"
_IN_THE_COST: dict[Primitive, tuple[str, Primitive]] = {  # the activation and the logarithm in one
    pointwise.log_sigmoid: ("sigmoid", pointwise.sigmoid),
    pointwise.binary_cross_entropy_with_logits: ("sigmoid", pointwise.sigmoid),
    reductions.log_softmax: ("softmax", reductions.softmax),
    reductions.class_cross_entropy: ("softmax", reductions.softmax),
}
_TABLE = frozenset(TABLE.values())
_SATURATING = {"sigmoid", "tanh", "softmax", "softsign", "hard_tanh"}  # flat on both sides


def _made_by(x: Any, op: Primitive) -> bool:
    return type(x) is Tensor and x.op is op


def _all_equal(x: Any, value: float) -> bool:
    return type(x) is not Tensor and np.size(x) > 0 and bool(np.all(np.equal(x, value)))


def _either(args: tuple[Any, ...], left: Callable[[Any], bool]) -> tuple[Any, Any] | None:
    """The two operands, the one that fits first."""
    a, b = args
    return (a, b) if left(a) else (b, a) if left(b) else None


def _scaled(x: Any, z: Any) -> float | None:
    """The number c where x = c · z."""
    if _made_by(x, pointwise.multiply) and any(a is z for a in x.args):
        other = x.args[1] if x.args[0] is z else x.args[0]
        if type(other) is not Tensor and np.ndim(other) == 0:
            return float(other)
    return None


def _exponential(x: Any) -> tuple[Any, int] | None:
    """z and 1 where x = exp(z), z and -1 where x = exp(-z)."""
    if not _made_by(x, pointwise.exp):
        return None
    z = x.args[0]
    if _made_by(z, pointwise.negative):
        return z.args[0], -1
    if _made_by(z, pointwise.multiply) and (pair := _either(z.args, lambda a: _all_equal(a, -1))) is not None:
        return pair[1], -1
    return z, 1


def _sigmoid_by_hand(top: Any, bottom: Any) -> Any:
    """z where top / bottom = 1 / (1 + exp(-z)) or exp(z) / (1 + exp(z))."""
    if not _made_by(bottom, pointwise.add) or (pair := _either(bottom.args, lambda x: _all_equal(x, 1))) is None:
        return None
    power = _exponential(pair[1])
    if power is None:
        return None
    return power[0] if (_all_equal(top, 1) and power[1] == -1) or (top is pair[1] and power[1] == 1) else None


def _tanh_by_hand(top: Any, bottom: Any) -> Any:
    """z where top / bottom = (exp(z) - exp(-z)) / (exp(z) + exp(-z))."""
    if not _made_by(top, pointwise.subtract) or not _made_by(bottom, pointwise.add):
        return None
    powers = [_exponential(x) for x in (*top.args, *bottom.args)]
    found = [p for p in powers if p is not None]
    same = len(found) == 4 and all(z is found[0][0] for z, _ in found)
    return found[0][0] if same and [s for _, s in found[:2]] == [1, -1] and {s for _, s in found[2:]} == {1, -1} else None


def _softmax_by_hand(top: Any, bottom: Any) -> tuple[Any, Any] | None:
    """z and the axis where top / bottom = exp(z) / Σ exp(z), with or without the largest z subtracted."""
    total = bottom
    while type(total) is Tensor and total.op is not None and total.op.name in _SHAPES and len(total.args) == 1:
        total = total.args[0]
    if not _made_by(top, pointwise.exp) or not _made_by(total, reductions.sum_):
        return None
    of = total.args[0]
    if of is not top and not (_made_by(of, pointwise.exp) and of.args[0] is top.args[0]):
        return None
    z, axis = top.args[0], (total.params or {}).get("axis")
    if _made_by(z, pointwise.subtract):
        highest = z.args[1]
        if type(highest) is not Tensor or highest.op in (reductions.max_, reductions.logsumexp):
            z = z.args[0]
    return z, axis


def _by_hand(node: Tensor) -> tuple[str, Any, Primitive, dict[str, Any]] | None:
    """An activation written out by hand that ends in this node: its name, z, a primitive for it, and its parameters."""
    op, args = node.op, node.args
    if op is pointwise.maximum:
        a, b = args
        if (pair := _either(args, lambda x: _all_equal(x, 0))) is not None:
            return "relu", pair[1], pointwise.relu, {}
        for z, x in ((a, b), (b, a)):
            slope = _scaled(x, z)
            if slope is not None and 0 <= slope < 1:
                return "leaky_relu", z, pointwise.leaky_relu, {"slope": slope}
    elif op is pointwise.clip:
        if _all_equal(args[1], 0) and _all_equal(args[2], np.inf):
            return "relu", args[0], pointwise.relu, {}
    elif op is pointwise.where:
        condition, z, other = args
        if type(z) is Tensor and np.shape(condition) == z.shape and (
                np.array_equal(condition, z.value > 0) or np.array_equal(condition, z.value >= 0)):
            if _all_equal(other, 0):
                return "relu", z, pointwise.relu, {}
            slope = _scaled(other, z)
            if slope is not None:
                return "leaky_relu", z, pointwise.leaky_relu, {"slope": slope}
    elif op is pointwise.multiply:
        for z, x in (args, args[::-1]):
            if type(z) is Tensor:
                if type(x) is np.ndarray and x.dtype == bool and np.array_equal(x, z.value > 0):
                    return "relu", z, pointwise.relu, {}
                if type(x) is Tensor and (x.op is pointwise.sigmoid and x.args[0] is z):
                    return "silu", z, pointwise.silu, {}
    elif op is pointwise.divide or op is pointwise.reciprocal:
        top, bottom = args if op is pointwise.divide else (1, args[0])
        for name, found, primitive in (("sigmoid", _sigmoid_by_hand(top, bottom), pointwise.sigmoid),
                                       ("tanh", _tanh_by_hand(top, bottom), pointwise.tanh)):
            if found is not None:
                return name, found, primitive, {}
        softmax = _softmax_by_hand(top, bottom)
        if softmax is not None:
            return "softmax", softmax[0], reductions.softmax, {"axis": softmax[1]}
    return None


def _activations(nodes: list[Tensor]) -> dict[Tensor, _Activation]:
    """What takes each net input z, in order of creation."""
    found: dict[Tensor, _Activation] = {}
    for node in nodes:
        op = node.op
        if op is None or not node.requires_grad:
            continue
        params = node.params or {}
        if op in _KNOWN:
            seen: Any = (_KNOWN[op], node.args[0], op, params)
        elif op in _IN_THE_COST:
            name, primitive = _IN_THE_COST[op]
            axis = params.get("axis")
            seen = (name, node.args[0], primitive, {} if axis is None else {"axis": np.atleast_1d(axis)})
            if name == "softmax":
                seen[3]["axis"] = axis if isinstance(axis, tuple) or axis is None else (axis,)
        else:
            seen = _by_hand(node)
        if seen is None:
            continue
        name, z, primitive, its = seen
        sign = 1
        if _made_by(z, pointwise.negative):  # softplus(-z)
            z, sign = z.args[0], -1
        if type(z) is Tensor and z.requires_grad and (z not in found or name == "silu"):
            found[z] = _Activation(name, node, primitive, its, sign)
    return found


def _slope(activation: _Activation, z: Any) -> Any:
    """g′(z), entry by entry; for softmax Σ s(1−s) along its axis, which is 0 where one class has everything."""
    op, params = activation.op, activation.params
    if op is None:
        return None
    z = np.atleast_1d(z)
    if op is reductions.softmax:
        s = op(z, **params) if params.get("axis") is not None else op(z, axis=None)
        return 1 - np.sum(s * s, axis=params.get("axis"))
    y = op.forward(z, **params)
    rule = op.rules[0]
    assert rule is not None
    return rule(np.ones_like(z), y, z, **params)


@lru_cache(maxsize=64)
def _steepest(op: Primitive, params: tuple[tuple[str, Any], ...]) -> float:
    """The largest |g′| there is, found by looking."""
    grid = np.linspace(-8.0, 8.0, 1601)
    rule = op.rules[0]
    assert rule is not None
    return float(np.max(np.abs(rule(np.ones_like(grid), op.forward(grid, **dict(params)), grid, **dict(params)))))


def _flat(activation: _Activation, z: Any, slope: Any) -> float | None:
    """The share of places where the slope is below TINY of the steepest there is."""
    if slope is None or not np.size(slope):
        return None
    if activation.op is reductions.softmax:
        axis = activation.params.get("axis")
        classes = np.size(z) // max(1, np.size(slope)) if axis is not None else np.size(z)
        steepest = 1 - 1 / max(classes, 2)
    else:
        steepest = _steepest(activation.op, tuple(activation.params.items()))
    return float(np.mean(np.abs(slope) < TINY * steepest))


# ---------------------------------------------------------------- layers

_SHAPES = {"transpose", "reshape", "broadcast_to", "sum_to", "getitem", "astype", "positive", "identity"}
_LOOKED_THROUGH = _SHAPES | {"add", "subtract", "negative", "multiply", "where", "clip", "maximum", "minimum", "gather",
                             "power", "constant_power"}
_INPUTS = {"X", "x", "A0", "a0", "data", "input", "inputs", "images"}  # tracked, but no parameters


class _Used(dict[Tensor, Any]):
    """The gradients of a walk, of which those asked for can still be read after the walk has used them."""

    def __init__(self, start: dict[Tensor, Any], wanted: set[Tensor]) -> None:
        super().__init__(start)
        self.wanted, self.kept = wanted, dict[Tensor, Any]()

    def pop(self, node: Tensor, default: Any = None) -> Any:
        g = super().pop(node, default)
        if g is not None and node in self.wanted:
            self.kept[node] = g
        return g

    def of(self, node: Tensor) -> Any:
        """dJ/d(node) as an array of its shape; zeros where nothing arrived."""
        g = self.kept.get(node, self.get(node))
        return np.zeros(node.shape) if g is None else np.array(np.broadcast_to(g, node.shape))


@dataclass
class _Segment:
    """What lies between a layer's z and the layers before it."""

    parameters: dict[Tensor, str]  # leaf -> "weight" or "bias"
    unit_axis: int | None


class _Reading:
    def __init__(self, root: Tensor, gradient: Any, unit_axis: int | None) -> None:
        self.root, self.unit_axis = root, unit_axis
        self.variables = variable_names()
        self.names = name_nodes(root, self.variables)
        self.nodes = nodes_of(root)
        self.users: dict[Tensor, list[Tensor]] = {}
        for node in self.nodes:
            for a in node.args:
                if type(a) is Tensor:
                    self.users.setdefault(a, []).append(node)
        self.source = self._sources()
        self.activations = _activations(self.nodes)
        self.outputs = {x.output for x in self.activations.values()}
        self.segments: dict[Tensor, _Segment] = {}
        self._add_linear_layers()
        self.walked: set[Tensor] = set()
        for z in sorted(self.activations, key=lambda t: t.id):
            self.segments[z] = self._segment(z)
        wanted = set(self.activations).union(*(s.parameters for s in self.segments.values()))
        self.grads = self._run_backward(gradient, wanted)

    def _run_backward(self, gradient: Any, wanted: set[Tensor]) -> _Used:
        if gradient is None and self.root.size != 1:
            name = self.names[self.root]
            raise GradientError(f"gradient_flow: {name} has shape {self.root.shape}, and only a single number has a derivative "
                                f"without more said. Use {name}.sum(), or gradient= with an array of shape {self.root.shape}.")
        g = seed(self.root, gradient, "gradient_flow")
        graph = Graph([self.root])
        grads = _Used({self.root: g.value if type(g) is Tensor else g}, wanted)
        pull(graph.nodes, grads, graph.path(graph.leaves))
        return grads

    # -- finding

    def _sources(self) -> dict[Tensor, Tensor]:
        """The leaf that a tracked value is, or is a mere rearrangement of: W for W.T."""
        source: dict[Tensor, Tensor] = {}
        for node in self.nodes:
            if node.op is None:
                if node.requires_grad:
                    source[node] = node
            elif node.op.name in _SHAPES and node.args and node.args[0] in source:
                source[node] = source[node.args[0]]
        return source

    def _is_input(self, leaf: Tensor) -> bool:
        return self.names[leaf] in _INPUTS

    def _before_activations(self) -> set[Tensor]:
        """The products whose result reaches an activation without another product in between."""
        waiting = list(self.activations)
        seen = set(waiting)
        found: set[Tensor] = set()
        for node in waiting:
            if node.op is not None and node.op.kind == "multilinear":
                found.add(node)
                continue
            for a in node.args:
                if type(a) is Tensor and a.requires_grad and a not in seen and a not in self.outputs:
                    seen.add(a)
                    waiting.append(a)
        return found

    def _add_linear_layers(self) -> None:
        """Products with weights that no activation follows, up to their bias."""
        covered = self._before_activations()
        for product in self.nodes:
            if product.op is None or product.op.kind != "multilinear" or product in covered:
                continue
            if not any(a in self.source and not self._is_input(self.source[a]) for a in product.args
                       if type(a) is Tensor):
                continue
            z = node = product
            while (following := self._next_of_sum(node)) is not None:
                node = following
                if (node.op is not None and node.op.name in ("add", "subtract")) or self._own_name(node) is not None:
                    z = node
            if z in self.activations:
                continue
            users = self.users.get(z, [])
            taker = users[0] if len(users) == 1 else None
            if taker is not None and taker.op is not None and taker.op not in _TABLE and taker.shape == z.shape and len(
                    taker.args) == 1:  # a primitive of the user's own
                pointwise_rule = taker.op if taker.op.kind == "pointwise" else None
                self.activations[z] = _Activation(taker.op.name, taker, pointwise_rule, taker.params or {})
                self.outputs.add(taker)
            else:
                self.activations[z] = _Activation("linear", z, None, {})

    def _next_of_sum(self, z: Tensor) -> Tensor | None:
        """The value that is z plus a bias, or z in another shape."""
        users = self.users.get(z, [])
        if len(users) != 1 or users[0].op is None:
            return None
        (user,) = users
        name = users[0].op.name
        if name in ("reshape", "transpose"):
            return user
        if name in ("add", "subtract") and user.args[0] is not user.args[1]:
            other = user.args[1] if user.args[0] is z else user.args[0]
            plain = type(other) is not Tensor or not other.requires_grad
            if not plain and other not in self.source:
                return user if other.op is not None and other.op.kind == "multilinear" else None
            bias = not plain or (name == "add" and np.ndim(getattr(other, "value", other)) < max(z.ndim, 1))
            return user if bias else None
        return None

    def _segment(self, z: Tensor) -> _Segment:
        """Walk back from z to the layers before it; each value between is looked at once, for the first layer after.

        Where the axis of the units is known goes first: `turned` says whether a value is transposed against z, None
        where nothing is known.
        """
        parameters: dict[Tensor, str] = {}
        axis: int | None = None
        waiting: list[tuple[Any, bool, bool | None]] = [(z, False, False)]
        later: list[tuple[Any, bool, bool | None]] = []
        while waiting or later:
            node, multiplied, turned = (waiting or later).pop()
            if type(node) is not Tensor or not node.requires_grad:
                continue
            if node in self.source and (node is not z or node.op is None):
                leaf = self.source[node]
                if not self._is_input(leaf) and (multiplied or leaf not in parameters):
                    parameters[leaf] = "weight" if multiplied else "bias"
                continue
            op = node.op
            if op is None or node in self.walked or (node is not z and (node in self.activations or node in self.outputs)):
                continue
            self.walked.add(node)
            product = op.kind == "multilinear" or op.name.startswith("conv")
            if product and axis is None and turned is not None:
                axis = self._axis_of(node, turned)
            scaled = product or op.name in ("multiply", "divide")
            for a in node.args:
                after: bool | None = None
                if not product and turned is not None and np.ndim(getattr(a, "value", a)) == node.ndim:
                    if op.name == "transpose":
                        after = not turned if node.ndim == 2 else None
                    elif op.kind == "pointwise" or (op.kind == "linear" and op.name != "reshape"):
                        after = turned
                weight = multiplied or product or (scaled and type(a) is Tensor and a in self.source)
                (later if after is None else waiting).append((a, weight, after))
        parameters = dict(sorted(parameters.items(), key=lambda x: (x[1] == "bias", x[0].id)))
        if axis is None and not any(p.ndim for p in parameters) and parameters:
            axis = 0  # one unit: weights are single numbers, and all entries are examples
        return _Segment(parameters, axis)

    def _axis_of(self, product: Tensor, turned: bool) -> int | None:
        """The axis of the units, counted from the end: the one that a product's weights brought in. 0: one unit."""
        op, args = product.op, product.args
        assert op is not None
        which = [i for i, a in enumerate(args) if type(a) is Tensor and a in self.source]
        which = [i for i in which if not self._is_input(self.source[args[i]])] or which
        if not which or not product.ndim:
            return None if product.ndim else 0
        i = which[0]
        if op.name == "matmul":
            if np.ndim(args[i].value) < 2:
                return 0
            axis = -1 if i == 1 or product.ndim == 1 else -2
            return -3 - axis if turned and product.ndim == 2 else axis
        if op.name == "einsum" and product.params is not None:
            letters, output = product.params["inputs"], product.params["output"]
            own = [s for s in output if s in letters[i] and not any(s in other for j, other in enumerate(letters) if j != i)]
            axis = output.index(own[0]) - len(output) if own else 0
            return -3 - axis if turned and product.ndim == 2 and axis else axis
        return 1 - product.ndim if op.name.startswith("conv") and product.ndim > 1 else None

    def _is_undone(self, output: Tensor) -> bool:
        """Whether a logarithm in the cost takes this output, so that its slope cancels g′."""
        if output.op in _IN_THE_COST:
            return True
        waiting, seen = [output], {output}
        for node in waiting:
            for user in self.users.get(node, []):
                assert user.op is not None
                if user.op in (pointwise.log, pointwise.binary_cross_entropy):
                    return True
                free = all(a is node or type(a) is not Tensor or not a.requires_grad for a in user.args)
                if user not in seen and free and user.op.name in _LOOKED_THROUGH and user not in self.activations:
                    seen.add(user)
                    waiting.append(user)
        return False

    # -- describing

    def _own_name(self, node: Tensor) -> str | None:
        return node.name if node.name is not None else self.names[node] if id(node) in self.variables else None

    def _layer_names(self, order: list[Tensor]) -> list[str]:
        scopes = dict(zip(self.nodes, groups_of(self.nodes), strict=True))
        found: list[str] = []
        times: dict[str, int] = {}
        for i, z in enumerate(order):
            output = self.activations[z].output
            wanted = self._own_name(z) or " / ".join(group.label for group in scopes[z])
            if not wanted and output.op not in _IN_THE_COST and output is not z and (its := self._own_name(output)):
                wanted = f"z of {its}"
            wanted = wanted or f"layer {i + 1}"
            times[wanted] = times.get(wanted, 0) + 1
            found.append(wanted if times[wanted] == 1 else f"{wanted} ({times[wanted]})")
        return found

    def _layer(self, number: int, name: str, z: Tensor, last: bool) -> Layer:
        activation, segment = self.activations[z], self.segments[z]
        delta = np.asarray(self.grads.of(z))
        slope = _slope(activation, activation.sign * z.value)
        axis = self.unit_axis if self.unit_axis is not None else segment.unit_axis
        units = examples = None
        by_unit = by_unit_delta = None  # (units, examples)
        if not z.ndim or (axis == 0 and self.unit_axis is None):
            units, examples = 1, z.size
            by_unit, by_unit_delta = np.reshape(z.value, (1, -1)), delta.reshape(1, -1)
        elif axis is not None and -z.ndim <= axis < z.ndim:
            units, examples = z.shape[axis], z.size // max(1, z.shape[axis])
            by_unit = np.moveaxis(np.asarray(z.value), axis, 0).reshape(units, examples)
            by_unit_delta = np.moveaxis(delta, axis, 0).reshape(units, examples)
        dead = None
        if activation.name == "relu" and by_unit is not None:
            dead = tuple(int(i) for i in np.flatnonzero(np.all(activation.sign * by_unit <= 0, axis=1)))
        parameters = {self.names[p]: Norms(_norm(p.value), _norm(self.grads.of(p)), kind)
                      for p, kind in segment.parameters.items()}
        same = by_unit is not None and by_unit_delta is not None and units is not None and units > 1 and all(
            bool(np.all(np.abs(x - x[:1]) <= 1e-12 * np.max(np.abs(x), initial=0.0))) for x in (by_unit, by_unit_delta))
        return Layer(number, name, activation.name, z.shape, units, examples, delta, _norm(delta),
                     float(np.mean(np.abs(delta))) if delta.size else 0.0, _flat(activation, z.value, slope), dead,
                     parameters, same, last, activation.name in _SATURATING and self._is_undone(activation.output))

    def flow(self) -> GradientFlow:
        order = sorted(self.activations, key=lambda t: t.id)
        if not order:
            raise GradientError(f"gradient_flow: {self.names[self.root]} has no layers: no activation (tanh, sigmoid, relu, "
                                "...) takes a recorded value, and no weights Tensor(...) are multiplied by @. Use "
                                "explain(J) to see its chain rule.")
        names = self._layer_names(order)
        return GradientFlow(self.names[self.root], [
            self._layer(i + 1, name, z, z is order[-1]) for i, (name, z) in enumerate(zip(names, order, strict=True))])


def _norm(x: Any) -> float:
    """The Frobenius norm; the largest entry is divided out, so that no square overflows."""
    x = np.ravel(x).astype(np.float64)
    largest = float(np.max(np.abs(x), initial=0.0))
    return largest * float(np.linalg.norm(x / largest)) if 0 < largest < np.inf else largest


# ---------------------------------------------------------------- in words

def _short(x: float | None) -> str:
    """Three digits."""
    if x is None:
        return "–"
    return f"{float(f'{x:.3g}'):,.0f}" if 1000 <= abs(x) < 1e6 else f"{x:.3g}"


def _ends(layers: list[Layer]) -> list[Layer]:
    """The first and the last layers, where there are too many for a table."""
    half = MOST_ROWS // 2
    return layers if len(layers) <= MOST_ROWS else layers[:half] + layers[-half:]


def _is_saturated(layer: Layer) -> bool:
    return (layer.activation in _SATURATING and not layer.undone and layer.saturation is not None
            and layer.saturation > TOO_FLAT)


def _joined(layers: list[Layer], write: Callable[[Layer], str] = str) -> str:
    """The layers by name, a few of them."""
    more = len(layers) - MOST_NAMED
    return "; ".join(write(x) for x in layers[:MOST_NAMED]) + (f"; and {more} more layers" if more > 0 else "")


def _warnings(layers: list[Layer]) -> Iterator[str]:
    strange = [x for x in layers if not np.isfinite(x.delta_norm)]
    if strange:
        yield (f"not finite: δ of {_joined(strange)} has entries that are nan or infinite. find_nan(J) names the first "
               "value that is not finite.")
    yield from _vanishing_or_exploding([x for x in layers if np.isfinite(x.delta_norm)], layers[-1])
    dead = [x for x in layers if x.dead and x.examples is not None and x.examples > 1]
    if dead:
        yield (f"dead: {_joined(dead, lambda x: f'{len(x.dead or ())} of the {x.units} units of {x}')} pass nothing for any of "
               f"the {dead[0].examples} examples, so their weights get no gradient. Use a smaller learning rate, biases that "
               "are not far below 0, or leaky_relu or elu.")
    saturated = [x for x in layers if _is_saturated(x)]
    hidden = [x for x in saturated if not x.last]
    if hidden:
        yield (f"saturated: g′(z) is nearly 0 and stops δ at {_joined(hidden, _flat_share)}. Start from smaller weights "
               "(variance 1/n for n inputs), and scale the inputs.")
    for x in saturated:
        if x.last:
            yield (f"saturated: g′(z) is nearly 0 and stops δ at {_flat_share(x)}. Where the answer is wrong it hardly learns; "
                   "with cross-entropy as the cost, g′ cancels.")
    same = [x for x in layers if x.same]
    if same:
        yield (f"symmetric: all units compute the same and get the same δ in {_joined(same)}, so they stay equal for ever and "
               "count as one. Start from random weights.")


def _flat_share(x: Layer) -> str:
    return f"{x.saturation:.0%} of the entries of {x}, {x.activation}"


def _vanishing_or_exploding(layers: list[Layer], last: Layer) -> Iterator[str]:
    stuck = [x for x in layers if x.delta_norm == 0]
    if stuck and last.delta_norm != 0:
        yield (f"vanishing: δ of {_joined(stuck)} is exactly 0, so the layers before get none either. The weights after it are "
               "0, or no unit lets anything through. Start from random weights.")
    moving = [x for x in layers if x.delta_norm > 0]
    if not moving or not np.isfinite(last.delta_mean) or last.delta_mean == 0:
        return
    least, most = min(moving, key=lambda x: x.delta_mean), max(moving, key=lambda x: x.delta_mean)
    if least.delta_mean < TOO_SMALL * last.delta_mean:
        between = [x for x in layers if x.number >= least.number]
        yield (f"vanishing: mean |δ| falls from {_short(last.delta_mean)} in {last} to {_short(least.delta_mean)} in {least}: "
               f"{_fold(last.delta_mean / least.delta_mean, 'smaller', last.number - least.number)}. {_remedy(between)}")
    if most.delta_mean * TOO_SMALL > last.delta_mean:
        yield (f"exploding: mean |δ| grows from {_short(last.delta_mean)} in {last} to {_short(most.delta_mean)} in {most}: "
               f"{_fold(most.delta_mean / last.delta_mean, 'larger', last.number - most.number)}. Start from smaller weights "
               "(variance 1/n, or 2/n with ReLU, for n inputs), or clip the gradient.")


def _fold(factor: float, word: str, steps: int) -> str:
    text = f"{_short(factor)} times {word}"
    return f"{text}, {_short(factor ** (1 / steps))} times with each layer" if steps > 1 else text


def _remedy(layers: list[Layer]) -> str:
    """Why δ gets small on its way back through these layers, and what helps."""
    for x in layers[:-1]:
        if x.dead and x.units is not None and 2 * len(x.dead) >= x.units:
            return f"Most units of {x} are dead."
        if _is_saturated(x):
            return f"Most of {x} is saturated."
    names = [x.activation for x in layers[:-1]]
    if names and 2 * names.count("sigmoid") >= len(names):
        return "σ′ is at most ¼: use tanh or ReLU in hidden layers, with weights of variance 1/n or 2/n for n inputs."
    return ("Start from larger weights (variance 1/n, or 2/n with ReLU, for n inputs), or let values skip layers, as in "
            "x + f(x).")
