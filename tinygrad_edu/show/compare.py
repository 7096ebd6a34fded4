"""Gradients by hand against autodiff, each with a verdict; where one is wrong, what was done to get it.

The verdict is a comparison of numbers. The diagnosis is found by search, in `alterations`: a backward pass with a single
step altered that gives the student's numbers is what the student did, or does the same.
"""

from __future__ import annotations

import difflib
import html
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy import ndarray

from ..backprop import Graph
from ..calculus import flatten
from ..errors import DTypeError, GradientError, NamesError, user_frame, variable_names
from ..modes import always_record
from ..tensor import Tensor, constant, leaf
from .alterations import SECONDS, Search
from .example_axis import axes_in_operand
from .findings import Alteration, Factors, Target, close, ratio
from .names import name_nodes
from .notation import number_text, printable, shape_text
from .replay import Backward, Vocabulary, full, short_text

TOLERANCE = {8: 1e-6, 4: 3e-4, 2: 3e-2}  # relative, by the bytes of the least exact number involved
RIGHT, WRONG, FOLLOWS, SHAPE, UNKNOWN = "right", "wrong", "follows", "wrong shape", "no reference"


# ---------------------------------------------------------------- the table

@dataclass(frozen=True)
class ComparedRow:
    """One gradient by hand.

    name : as it was given, dW1. shape, expected : of the hand's array, and of the parameter. verdict : "right", "wrong",
    "follows" (wrong, and exactly what follows from another wrong gradient that was given), "wrong shape", or "no
    reference" (autodiff itself is not finite there). max_difference, relative_error : to autodiff; nan where the shapes
    differ.
    diagnosis : a sentence, empty where there is nothing to say. convention : in which it is right, "math" or "course",
    where these differ. also : other alterations that give the same numbers.
    """

    name: str
    shape: tuple[int, ...]
    expected: tuple[int, ...]
    verdict: str
    max_difference: float
    relative_error: float
    diagnosis: str = ""
    convention: str = ""
    also: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it is right."""
        return self.verdict == RIGHT


@dataclass
class Comparison:
    """What compare() found: `rows`, `remarks`, `ok`; a table when printed, in notebooks shown by itself.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.show.compare import compare
    >>> a, b = tg.Tensor(2.0, name="a"), tg.Tensor(3.0, name="b")
    >>> found = compare(a * b, da=3.0, db=3.0)
    >>> found.ok, found["da"].verdict, found["db"].verdict
    (False, 'right', 'wrong')
    """

    rows: list[ComparedRow]
    remarks: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every gradient is right."""
        return all(row.ok for row in self.rows)

    def __bool__(self) -> bool:
        return self.ok

    def __getitem__(self, name: str) -> ComparedRow:
        for row in self.rows:
            if row.name == name:
                return row
        raise NamesError(f"compare: there is no row {name!r}. There is {', '.join(row.name for row in self.rows)}.")

    def raise_if_wrong(self) -> None:
        """Raise GradientError with the table unless every gradient is right."""
        if not self.ok:
            raise GradientError(f"compare:\n{self}")

    def __str__(self) -> str:
        head = ("", "shape", "verdict", "max |diff|", "relative error")
        cells = [head, *[_cells(row) for row in self.rows]]
        wide = [max(len(line[i]) for line in cells) for i in range(len(head))]
        lines = []
        for line, row in zip(cells, [None, *self.rows], strict=True):
            left = [line[i].ljust(wide[i]) for i in range(3)]
            right = [line[i].rjust(wide[i]) for i in range(3, 5)]
            lines.append("  ".join([*left, *right]).rstrip())
            if row is not None and row.diagnosis:
                lines.append(f"    {row.diagnosis}")
                if row.also:
                    lines.append(f"    or: {row.also[0]}")
        return "\n".join([*lines, *self.remarks])

    __repr__ = __str__

    def html(self) -> str:
        """The table in HTML, everything escaped."""
        def cell(x: str, tag: str = "td", style: str = "") -> str:
            return f"<{tag}{f' style={chr(34)}{style}{chr(34)}' if style else ''}>{html.escape(x)}</{tag}>"

        head = "".join(cell(x, "th", "text-align: left") for x in (
            "", "shape", "verdict", "max |diff|", "relative error", "diagnosis"))
        body = []
        for row in self.rows:
            cells = _cells(row)
            colour = "color: #1a7f37" if row.ok else "color: #b35900" if row.verdict in (FOLLOWS, UNKNOWN) else "color: #cf222e"
            said = row.diagnosis + (f" Or: {row.also[0]}" if row.also else "")
            body.append("<tr>" + cell(cells[0], "th", "text-align: left") + cell(cells[1]) + cell(cells[2], "td", colour)
                        + cell(cells[3]) + cell(cells[4]) + cell(said, "td", "text-align: left; max-width: 40em") + "</tr>")
        remarks = "".join(f"<p>{html.escape(remark)}</p>" for remark in self.remarks)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>{remarks}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.html()}


def _cells(row: ComparedRow) -> tuple[str, str, str, str, str]:
    shape = shape_text(row.shape) if row.shape == row.expected else f"{shape_text(row.shape)}, not {shape_text(row.expected)}"
    numbers = ["–" if math.isnan(x) else f"{x:.1e}" for x in (row.max_difference, row.relative_error)]
    return printable(row.name), shape, row.verdict, numbers[0], numbers[1]


# ---------------------------------------------------------------- compare

def compare(J: Any, *args: Any, convention: str = "auto", tolerance: float | None = None, seconds: float = SECONDS,
            **hand: Any) -> Comparison:
    """Gradients by hand against autodiff, and where one is wrong, which step of the backward pass was done how.

    J : a recorded cost, or a function; then its arguments follow. hand : dW1=..., an array of W1's shape, for any value
    that has a name: `name=`, the variable that holds it where compare is called, and for a function its arguments and
    local variables; values in between count too (dZ1, dA2). Beside J also as a mapping, compare(J, {"dW1": dW1}).

    convention : "math" for ∂J/∂Z everywhere. "course" for dZ = A − Y: gradients of what is computed for each example are
    those of the sum of the losses, and the factor 1/m stands in dW and db. "auto" takes either, and says which.
    tolerance : the relative difference allowed to an entry; by default 1e-6 for float64 and 3e-4 for float32, and what
    rounding explains. seconds : how long to search for explanations.

    The diagnosis replays the backward pass with one step altered until the hand's numbers come out: a factor left out or
    applied twice, something transposed, not summed, the wrong operand, a factor m or 1/m, a sign, an L2 term, and so on.
    Where several gradients are wrong, an alteration that explains them all comes first; what follows from a wrong
    gradient that was given too is said to follow. What nothing explains is called wrong without an explanation.

    Returns a Comparison, a table with `.ok` and `.raise_if_wrong()`. A wrong shape is a row that says so, with what was
    meant. Raises NamesError for a name that is not there, GradientError where J is not a single number or a name is that
    of a constant, DTypeError where a value holds no numbers.

    >>> import numpy as np, tinygrad_edu as tg
    >>> from tinygrad_edu.show.compare import compare
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(3, 5)), np.array([[0, 1, 1, 0, 1.0]])
    >>> w, b = tg.Tensor(rng.normal(size=(3, 1))), tg.Tensor(0.1)
    >>> Z = w.T @ X + b
    >>> A = tg.sigmoid(Z)
    >>> J = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    >>> dZ = A.data - Y
    >>> print(compare(J, dZ=dZ, dw=X @ dZ.T, db=np.sum(dZ) / 5))  # 1/m is missing in dw
        shape   verdict  max |diff|  relative error
    dZ  (1, 5)  right       ...
    dw  (3, 1)  wrong       ...
        dw equals the correct value times m = 5: the factor 1/m is left out.
    db  ()      right       ...
    dZ: right in the convention of the course: m = 5 times ∂J/∂Z, with 1/m in the gradients of the parameters.
    """
    if convention not in ("auto", "course", "math"):
        raise ValueError(f'compare: convention={convention!r}: write "auto", "course" or "math".')
    given: dict[str, Any] = {}
    if type(J) is Tensor:
        for more in args:
            if not isinstance(more, Mapping):
                raise TypeError(f"compare: {type(more).__name__} given beside a recorded J. Gradients go by name: "
                                "compare(J, dW1=dW1).")
            given.update(more)
        args = ()
    given.update(hand)
    named = _of_result(J) if type(J) is Tensor else _of_function(J, args, given)
    if not given:
        some = ", ".join(f"d{n}=..." for n in list(_askable(named))[:2]) or "dW1=..."
        raise TypeError(f"compare: no gradients given. Write compare(J, {some}).")
    values = {key: _numbers(str(key), value) for key, value in given.items()}
    _one_number(named.root)
    nodes = {key: _node(key, named) for key in given}
    return _Comparing(named, nodes, values, convention, tolerance, seconds).comparison()


@dataclass
class _Named:
    """A recorded cost and the names of what it was made from."""

    root: Tensor
    names: dict[Tensor, str]  # as they are printed
    constants: dict[int, str]  # by id
    used: list[tuple[str, ndarray]]  # the constant arrays that have a name
    arrays: dict[str, ndarray]  # all arrays that could be meant
    held: Mapping[str, Any]  # further variables, for Tensors that go by two names


def _of_result(root: Tensor) -> _Named:
    variables = variable_names()
    every = name_nodes(root, variables)
    names = {t: n for t, n in every.items() if t.name is not None or id(t) in variables or (t is root)}
    frame = user_frame()
    held: dict[str, Any] = {} if frame is None else {**frame.f_globals, **frame.f_locals}
    arrays = _arrays_in(held)
    return _Named(root, names, *_constants(root, variables, arrays), arrays, held)


def _arrays_in(held: Mapping[str, Any]) -> dict[str, ndarray]:
    """The arrays that variables hold, also in dicts."""
    found: dict[str, ndarray] = {}
    for n, x in held.items():
        if n.startswith("_"):
            continue
        if type(x) is ndarray and x.ndim:
            found.setdefault(n, x)
        elif type(x) is dict and len(x) <= 1000:
            for key, item in x.items():
                if isinstance(key, str) and key.isidentifier() and type(item) is ndarray and item.ndim:
                    found.setdefault(key, item)
    return found


_MADE_OF: tuple[tuple[str, Callable[[ndarray], Any]], ...] = (
    ("{}", lambda x: x), ("(1 − {})", lambda x: 1 - x), ("(−{})", lambda x: -x), ("{}ᵀ", np.transpose))


def _constants(root: Tensor, variables: Mapping[int, str], arrays: Mapping[str, ndarray],
               ) -> tuple[dict[int, str], list[tuple[str, ndarray]]]:
    """Names of the constant arrays of a cost, by id, and the named ones among them. What was computed of a named array
    is written out, as (1 − Y)."""
    constants = {id(a): a for t in Graph([root]).nodes for a in t.args if type(a) is ndarray}
    found = {id(x): n for n, x in arrays.items() if id(x) in constants}
    used = {n: x for n, x in arrays.items() if found.get(id(x)) == n}
    for k, a in constants.items():
        if k in found:
            continue
        for n, x in arrays.items():
            if k in found or x.dtype.kind not in "fiu" or x.size != a.size:
                continue
            for written, made in _MADE_OF:
                value = made(x)
                if value.shape == a.shape and np.array_equal(value, a):
                    found[k] = written.format(n)
                    used.setdefault(n, x)
                    break
        if k not in found and k in variables:
            found[k] = variables[k]
    return found, list(used.items())


def _of_function(f: Any, args: tuple[Any, ...], given: Mapping[str, Any]) -> _Named:
    if not callable(f):
        raise TypeError(f"compare: {type(f).__name__} given. It takes a recorded cost J, or a function and its arguments.")
    from ..program.naming import Watch, argument_names, leaf_names

    title = getattr(f, "__name__", "f")
    if not args:
        raise TypeError(f"compare: {title} is a function; its arguments come after it: compare({title}, W1, b1, ..., dW1=...).")
    leaves, rebuild = flatten(args)
    texts = [text for arg, n in zip(args, argument_names(f, len(args)), strict=True) for text in leaf_names(arg, n)]
    call: list[Any] = []
    names: dict[Tensor, str] = {}
    arrays: dict[str, ndarray] = {}
    for x, n in zip(leaves, texts, strict=True):
        value = x.value if type(x) is Tensor else x
        if not (type(x) is Tensor or f"d{n}" in given or (isinstance(value, (ndarray, list)) and _is_float(value))):
            call.append(x)
            if isinstance(x, ndarray):
                arrays[n] = x
            continue
        value = np.array(constant(value, n))
        value = value if value.dtype.kind == "f" else value.astype(np.float64)
        t = leaf(value if value.ndim else value[()], name=x.name if type(x) is Tensor else None)
        names[t] = t.name or n
        call.append(t)
    watch = Watch(getattr(f, "__code__", None))
    with always_record(), watch.on():
        root = f(*rebuild(call))
    if type(root) is not Tensor:
        what = "None. Is a `return` missing?" if root is None else (
            f"{type(root).__name__}. Return the cost J alone.")
        raise GradientError(f"compare: {title} returns {what}")
    inside = set(Graph([root]).nodes)
    taken = set(names.values())
    for bindings in (watch.own, watch.inner):
        for n, values in bindings.items():
            several = [t for t in dict.fromkeys(values) if t in inside and t not in names]
            for i, t in enumerate(several):
                wanted = t.name or (n if len(several) == 1 else f"{n}{i + 1}")
                if wanted not in taken:
                    names[t] = wanted
                    taken.add(wanted)
    if root not in names:
        names[root] = "J" if "J" not in taken else title
    arrays = {**watch.arrays, **arrays}
    return _Named(root, names, *_constants(root, {}, arrays), arrays, {})


def _is_float(value: Any) -> bool:
    value = np.asarray(value)
    return bool(value.dtype.kind == "f" and value.ndim)


def _askable(named: _Named) -> Iterable[str]:
    return (n for t, n in named.names.items() if t.requires_grad and t is not named.root)


def _node(key: Any, named: _Named) -> Tensor:
    """The value whose gradient a name is, d and the value's name."""
    by_name = {n: t for t, n in named.names.items()}
    if not isinstance(key, str):
        raise TypeError(f"compare: {key!r} is no name. Gradients go by name, as text: {{'dW1': dW1}}.")
    found = by_name.get(key[1:]) if key.startswith("d") else None
    if found is None and key.startswith("d"):
        held = named.held.get(key[1:])
        if type(held) is Tensor and (held in named.names or held in set(Graph([named.root]).nodes)):
            found = held
        elif type(held) is ndarray or key[1:] in named.arrays:
            raise GradientError(f"compare: {key}: {key[1:]} is a plain array, a constant of {_name(named.root, named)}. Make "
                                f"it Tensor({key[1:]}) before the forward pass to have its gradient.")
        elif type(held) is Tensor:
            raise NamesError(f"compare: {key}: {key[1:]} is a Tensor, but {_name(named.root, named)} was not computed from it. "
                             "Was it replaced after the forward pass?")
    if found is None:
        possible = [f"d{n}" for n in _askable(named)]
        wanted = key if key.startswith("d") else f"d{key}"
        near = [n for n in possible if n.lower() == wanted.lower()] or difflib.get_close_matches(
            wanted, possible, n=2, cutoff=0.5)
        if key in by_name and f"d{key}" in possible:
            raise NamesError(f"compare: {key}: the gradient of {key} is called d{key}. Write d{key}=...")
        there = f"Did you mean {' or '.join(near)}?" if near else (
            f"There is {', '.join(printable(n) for n in possible[:12])}." if possible else "Nothing in it has a name: give "
            "Tensors a name, Tensor(data, name=\"W1\"), or hold them in variables.")
        raise NamesError(f"compare: {printable(key)}: no gradient of that name: nothing that {_name(named.root, named)} was "
                         f"computed from is called {printable(key[1:] if key.startswith('d') else key)!r}. {there}")
    if not found.requires_grad:
        raise GradientError(f"compare: {key}: {key[1:]} does not track gradients (requires_grad=False, or computed from "
                            "constants). Make it Tensor(...).")
    return found


def _name(root: Tensor, named: _Named) -> str:
    return printable(named.names.get(root, "J"))


def _numbers(key: str, value: Any) -> ndarray:
    """A gradient by hand as an array of floats."""
    value = np.asarray(value.value if type(value) is Tensor else constant(value, f"compare: {key}"))
    if value.dtype.kind not in "fiu":
        raise DTypeError(f"compare: {key}: dtype {value.dtype} is no gradient. Pass real numbers.")
    return np.asarray(value)


def _one_number(root: Tensor) -> None:
    if not root.requires_grad:
        raise GradientError("compare: J was computed from constants alone, or under no_grad(). Make the parameters Tensors.")
    if root.size != 1:
        raise GradientError(f"compare: J has shape {root.shape}, and only a single number has a gradient. Compare with the "
                            "mean or the sum of it: compare(J.mean(), ...).")


# ---------------------------------------------------------------- how many examples

@dataclass(frozen=True)
class _Examples:
    """What J averages over: candidates for their number m, the likeliest first, and what is computed for each."""

    candidates: list[int]
    each: set[Tensor]

    @property
    def m(self) -> int:
        """The likeliest number."""
        return self.candidates[0]


_SINGLE = {"negative", "positive", "add", "subtract", "multiply", "divide", "identity", "reshape", "sum", "mean", "transpose",
           "astype", "getitem", "matmul", "einsum"}


def examples_of(back: Backward, gradients: Mapping[Tensor, Any]) -> _Examples:
    """The number m that J averages over, and what was computed for each example.

    From J back through sums, means and factors to the first array: its entries' common gradient is ±1/m, or 1/(2m) of a
    halved square. The axis of the examples then goes on to whatever is computed for each.
    """
    waiting, seen = [back.root], {back.root}
    tops: list[tuple[Tensor, float]] = []
    for t in waiting:  # grows as it is read
        if t.op is None or t not in gradients or not t.size:
            continue
        size = np.abs(np.asarray(full(gradients[t], t), float))
        g = float(size.ravel()[0])
        operands = [a for a in t.args if type(a) is Tensor and a in back.all and a not in seen]
        if t.size > 1:
            if g and np.allclose(size, g):
                tops.append((t, g))
        elif t.op.name in ("matmul", "einsum"):  # a sum over products: Y log(A)ᵀ
            tops += [(a, g) for a in operands[:1] if g and a.size > 1]
        elif t.op.name in _SINGLE:
            seen.update(operands)
            waiting += operands
    if not tops:
        return _Examples([1], set())
    tops = tops[:20]
    below = {t: _made_from(t) for t, _ in tops}
    top, g = max(tops, key=lambda pair: len(below[pair[0]]))
    axis = _axis_of_examples(back, top)
    k = 1 / g
    every = {n for node in back.nodes for n in node.shape}
    m = top.shape[axis]
    found = [m] if any(abs(k / h - m) < 1e-6 * k for h in (1, 2)) else [
        round(k / h) for among in ({top.size}, every) for h in (1, 2)
        if round(k / h) > 1 and round(k / h) in among and abs(k / h - round(k / h)) < 1e-6 * k]
    found += [1] if abs(k - 2) < 1e-6 else []  # it may be ½ Σ, for one example
    each: set[Tensor] = set()
    for other, c in tops:
        if abs(c - g) <= 1e-9 * g and len(below[other]) * 2 >= len(below[top]):
            each |= set(_along_axis(back, other, axis if other.ndim == top.ndim else _axis_of_examples(back, other)))
            each |= {t for t in below[other] if t.op is not None and m in t.shape and t.size > 1}
    return _Examples(list(dict.fromkeys(found)) or [1], each)


def _made_from(t: Tensor) -> set[Tensor]:
    waiting, seen = [t], {t}
    for x in waiting:  # grows as it is read
        for a in x.args:
            if type(a) is Tensor and a.requires_grad and a not in seen:
                seen.add(a)
                waiting.append(a)
    return seen


def _along_axis(back: Backward, top: Tensor, axis: int) -> dict[Tensor, int]:
    """Everything below an array in which an axis of it goes on, with its place there: examples stay apart on the way,
    and parameters have no such axis."""
    found = {top: axis}
    for node in reversed([t for t in back.nodes if t.id <= top.id]):
        at = found.get(node)
        if at is None or node.op is None:
            continue
        given = [np.shape(a.value if type(a) is Tensor else a) for a in node.args]
        for i, a in enumerate(node.args):
            if type(a) is Tensor and a.ndim and a not in found:
                there = [k for k in axes_in_operand(node.op, node.params or {}, given, node.shape, i, at)
                         if a.shape[k] == node.shape[at]]
                if there:
                    found[a] = there[-1]
    return found


def _axis_of_examples(back: Backward, top: Tensor) -> int:
    """The axis of an array that counts the examples: the one that fewest leaves have, as no parameter has it."""
    return min(range(top.ndim), key=lambda axis: (sum(t.op is None for t in _along_axis(back, top, axis)), -axis))


# ---------------------------------------------------------------- shapes

@dataclass(frozen=True)
class _Reshaped:
    """What the hand's array would be in the right shape, and how to say it."""

    value: Any
    said: str
    remedy: str


def _in_shape(key: str, hand: ndarray, shape: tuple[int, ...], of: str) -> list[_Reshaped]:
    """Ways to bring an array of a wrong shape into the right one, the likeliest first."""
    found = []
    start = f"{key} has shape {shape_text(hand.shape)}, and {of} {shape_text(shape)}"
    if hand.ndim == 2 and hand.shape[::-1] == shape:
        found.append(_Reshaped(hand.T, f"{start}. Did you mean {key}.T?", f"{key}.T"))
    if hand.size == math.prod(shape) and [n for n in hand.shape if n > 1] == [n for n in shape if n > 1]:
        how = f"{key}.reshape{shape_text(shape)}" if shape else f"{key}.item()"
        if shape and len(hand.shape) < len(shape) and 1 in shape:
            axis = shape.index(1)
            how += f", or keepdims=True in np.sum(..., axis={axis})"
        found.append(_Reshaped(hand.reshape(shape), f"{start}. Use {how}.", how))
    for axis in range(hand.ndim):
        for keep in (True, False):
            summed = np.sum(hand, axis=axis, keepdims=keep)
            if summed.shape == shape:
                call = f"np.sum({key}, axis={axis}{', keepdims=True' if keep else ''})"
                found.append(_Reshaped(summed, f"{start}: it is not summed over axis {axis}. Use {call}.", call))
    if not shape and hand.ndim:
        found.append(_Reshaped(np.sum(hand), f"{start}: it is not summed. Use np.sum({key}).", f"np.sum({key})"))
    elif shape and math.prod(shape) == 1 and hand.size > 1:
        found.append(_Reshaped(np.sum(hand).reshape(shape), f"{start}: it is not summed. Use np.sum({key}).reshape"
                               f"{shape_text(shape)}.", f"np.sum({key})"))
    return found


# ---------------------------------------------------------------- the work

@dataclass
class _Item:
    """One gradient by hand on its way to a row."""

    key: str
    node: Tensor
    given: ndarray
    hand: Any  # in the parameter's shape; None where no shape fits
    reference: Any
    accepted: list[tuple[str, float]]  # conventions, with the factor against ∂J/∂(node)
    tolerance: float
    noise: float
    shape_said: str = ""
    verdict: str = WRONG
    convention: str = ""
    factor: float = 1.0
    diagnosis: str = ""
    also: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The name, as it is printed."""
        return printable(self.key)

    def right(self, reference: Any, accepted: Sequence[tuple[str, float]] | None = None) -> tuple[str, float] | None:
        """The convention in which the hand's numbers are the reference's."""
        for convention, factor in self.accepted if accepted is None else accepted:
            if close(np.asarray(self.hand, float) / factor, reference, self.tolerance, self.noise):
                return convention, factor
        return None


@dataclass
class _Outcome:
    """Diagnoses of all wrong items under one reading of the conventions."""

    said: dict[str, str]
    also: dict[str, tuple[str, ...]]
    follows: dict[str, str]
    score: float
    cut_short: bool


class _Comparing:
    def __init__(self, named: _Named, nodes: dict[str, Tensor], values: dict[str, ndarray], convention: str,
                 tolerance: float | None, seconds: float) -> None:
        self.named, self.convention = named, convention
        for key, node in nodes.items():  # the student's names
            named.names[node] = printable(key[1:])
        self.back = Backward(named.root, nodes.values())
        self.gradients = self.back.run({})
        self.words = Vocabulary(named.names, named.constants)
        self.deadline = time.monotonic() + seconds
        self.seconds = seconds
        examples = examples_of(self.back, self.gradients)
        self.m = examples.m
        exact = min([t.dtype.itemsize for t in self.back.steps] + [8])
        eps = {8: 2.3e-16, 4: 1.2e-7}.get(exact, 1e-3)
        noise = self.back.noise(self.gradients, eps)
        self.items: list[_Item] = []
        for key, node in nodes.items():
            given = values[key]
            least = min(exact, given.dtype.itemsize if given.dtype.kind == "f" else 8)
            allowed = TOLERANCE.get(least, 3e-2) if tolerance is None else tolerance
            g = self.gradients.get(node)
            reference = np.zeros(node.shape) if g is None else np.asarray(full(g, node), float)
            own_noise = noise[node] + (0.0 if least == exact else 1.2e-7 * float(np.abs(reference).max(initial=0.0)))
            scaled = self.m > 1 and node is not named.root and node.size > 1 and node in examples.each
            course = [("course", float(m)) for m in examples.candidates]
            accepted = [("", 1.0)] if not scaled else course if convention == "course" else (
                [("math", 1.0)] if convention == "math" else [("math", 1.0), *course])
            self.items.append(_Item(key, node, given, given, reference, accepted, allowed, own_noise))
        self.remarks: list[str] = []

    def comparison(self) -> Comparison:
        """The rows, in the order given."""
        for item in self.items:
            self._verdict(item)
        wrong = [i for i in self.items if i.verdict in (WRONG, SHAPE) and i.hand is not None and not i.diagnosis]
        if wrong:
            self._explain(wrong)
        self._remark()
        return Comparison([self._row(i) for i in self.items], self.remarks)

    def _verdict(self, item: _Item) -> None:
        if not np.all(np.isfinite(item.reference)):
            item.verdict = UNKNOWN
            item.diagnosis = (f"The derivative of {_name(self.named.root, self.named)} is not finite here, so there is nothing "
                              "to compare with. tg.find_nan(J) names where it comes from.")
            return
        if not np.all(np.isfinite(item.given)):
            bad = np.argwhere(~np.isfinite(item.given))
            where = f" at {[int(i) for i in bad[0]]}" if item.given.ndim else ""
            item.diagnosis = f"{item.said} is not finite{where} ({len(bad)} of {item.given.size} entries)."
            item.hand = None
            return
        if item.given.shape != item.node.shape:
            item.verdict, item.hand = SHAPE, None
            ways = _in_shape(item.said, item.given, item.node.shape, self.named.names[item.node])
            for way in ways:
                item.hand = way.value
                if item.right(item.reference):
                    item.shape_said, item.diagnosis = way.said, f"{way.said} Its numbers are then right."
                    return
            if self._wrong_sum(item) or self._wrong_product(item):
                return
            if ways:
                item.hand, item.shape_said = ways[0].value, ways[0].said
            else:
                item.hand = None
                item.diagnosis = (f"{item.said} has shape {shape_text(item.given.shape)}, and a gradient has the shape of its "
                                  f"parameter: {self.named.names[item.node]} has {shape_text(item.node.shape)}.")
            return
        found = item.right(item.reference)
        if found is not None:
            item.verdict = RIGHT
            item.convention, item.factor = found
            if not np.any(item.reference) and item.node.size:
                item.diagnosis = "All of it is 0 here, so many mistakes would not show. Compare at other values too."
            return

    def _wrong_sum(self, item: _Item) -> bool:
        """A bias summed over the wrong axes: the gradient before the engine sums what was broadcast tells."""
        hand = np.asarray(item.given, float)
        factors = Factors(self.m, self._sizes())
        for edge in self.back.edges.get(item.node, ()):
            g = self.gradients.get(edge.user)
            if g is None or edge.user.op is None or edge.user.op.kind != "pointwise":
                continue
            rule = edge.user.op.rules_for(len(edge.user.args))[edge.operand]
            assert rule is not None
            values = [a.value if type(a) is Tensor else a for a in edge.user.args]
            spread = np.asarray(rule(full(g, edge.user), edge.user.value, *values, **(edge.user.params or {})), float)
            if spread.shape == item.node.shape:
                continue
            ways: list[tuple[str, Any]] = [("not summed over the examples", spread)]
            for axis in [None, *range(spread.ndim)]:
                for keep in (True, False):
                    over = "over all axes" if axis is None else f"over axis {axis}"
                    ways.append((f"summed {over}{'' if keep else ', without keepdims=True'}",
                                 np.sum(spread, axis=axis, keepdims=keep)))
            for said, value in ways:
                times = _times(item, value, hand, factors)
                if times is None:
                    continue
                summed = tuple(range(spread.ndim - item.node.ndim))
                kept = tuple(i for i, n in enumerate(spread.shape) if len(item.node.shape) == spread.ndim
                             and item.node.shape[i] == 1 != n)
                need = f"np.sum(..., axis={kept[0]}, keepdims=True)" if len(kept) == 1 else f"a sum of shape {item.node.shape}"
                if summed and spread.shape[len(summed):] == item.node.shape:
                    need = f"np.sum(..., axis={summed[0] if len(summed) == 1 else summed})"
                item.diagnosis = (
                    f"{item.said} has shape {shape_text(hand.shape)}, and {self.named.names[item.node]} "
                    f"{shape_text(item.node.shape)}: it is {said}. Use {need}."
                    + times)
                return True
        return False

    def _wrong_product(self, item: _Item) -> bool:
        """A product with another value of another shape: dZ1 A1ᵀ in place of dZ1 Xᵀ."""
        hand = np.asarray(item.given, float)
        factors = Factors(self.m, self._sizes())
        known = [(n, x) for n, x in [*self.named.used, *((n, t.value) for t, n in self.named.names.items())]
                 if np.ndim(x) == 2 and np.asarray(x).dtype.kind in "fiu"]
        for edge in self.back.edges.get(item.node, ()):
            g, user = self.gradients.get(edge.user), edge.user
            if g is None or user.op is None or user.op.name != "matmul" or user.ndim != 2 or item.node.ndim != 2:
                continue
            g, right = full(g, user), user.args[1 - edge.operand]
            for called, x in known:
                u, v = (g, x.T) if edge.operand == 0 else (x.T, g)
                if x is (right.value if type(right) is Tensor else right) or u.shape[1] != v.shape[0]:
                    continue
                value = np.asarray(u @ v, float)
                times = _times(item, value, hand, factors)
                if times is None:
                    continue
                item.diagnosis = (f"{item.said} has shape {shape_text(hand.shape)}, and {self.named.names[item.node]} "
                                  f"{shape_text(item.node.shape)}: it is the product with {printable(called)} in place of "
                                  f"{short_text(self.words.of(right))}."
                                  + times)
                return True
        return False

    # -- explaining

    def _explain(self, wrong: list[_Item]) -> None:
        inner = [i for i in wrong if i.node.op is not None]
        options: list[str] = [self.convention]
        if self.convention == "auto":
            right = [i.convention for i in self.items if i.convention]
            both = any(len(i.accepted) > 1 for i in inner)
            options = ["course", "math"] if both else ["math"]
            if both and right:
                likely = max(("course", "math"), key=right.count)
                options = [likely, "math" if likely == "course" else "course"]
        outcomes = [(self._search(wrong, option), option) for option in options]
        outcome, option = max(outcomes, key=lambda pair: pair[0].score)
        for item in wrong:
            item.factor = self._factor(item, option)
            if item.key in outcome.follows:
                item.verdict = FOLLOWS if item.verdict == WRONG else item.verdict
                said = f"follows from {outcome.follows[item.key]}, which is wrong: this step is right."
                item.diagnosis = f"{item.shape_said} {item.said} {said}" if item.shape_said else f"{item.said} {said}"
                continue
            said = outcome.said.get(item.key, "") or self._unexplained(item, outcome.cut_short)
            item.diagnosis = f"{item.shape_said} Besides: {said}" if item.shape_said else said
            item.also = outcome.also.get(item.key, ())

    def _factor(self, item: _Item, option: str) -> float:
        for convention, factor in item.accepted:
            if convention == option:
                return factor
        return item.accepted[0][1] if len(item.accepted) == 1 else 1.0

    def _search(self, wrong: list[_Item], option: str) -> _Outcome:
        """Explain the wrong items, the gradients that were given being what the student went on with."""
        order = sorted(wrong, key=lambda i: -i.node.id)
        mine = {i.key: np.asarray(i.hand, float) / self._factor(i, option) for i in wrong}
        fixed: dict[Tensor, Any] = {
            i.node: np.asarray(mine[i.key], i.node.dtype) if i.node.ndim else i.node.dtype.type(mine[i.key])
            for i in wrong if i.node.op is not None}
        arrived = self.back.run(fixed) if fixed else self.gradients
        outcome = _Outcome({}, {}, {}, 0.0, False)
        pending: list[_Item] = []
        origin: dict[str, str] = {}
        for item in order:
            reference = self._reference(item, arrived)
            upstream = self._upstream(item, fixed, arrived)
            if upstream and close(mine[item.key], reference, item.tolerance, item.noise):
                outcome.follows[item.key] = upstream
                outcome.score += 1
            else:
                pending.append(item)
                origin[item.key] = f"what follows from {upstream}" if upstream else "the correct value"
        states: list[tuple[dict[Tensor, Any], list[Alteration]]] = [({}, []), (fixed, [])] if fixed else [({}, [])]
        sizes = self._sizes()
        while pending:
            tried = []
            for state, made in reversed(states):  # on top of what was found already, or apart from it
                search = self._prepared(state, pending, mine, sizes)
                found = search.best()
                outcome.cut_short |= search.cut_short
                if found is not None:
                    tried.append((found, state, made, search))
            if not tried:
                break
            (best, others), state, made, search = min(tried, key=lambda one: (-one[0][0].exact, one[0][0].alteration.rank))
            above = {i.key: self.back.graph.depending_on([i.node]) if made else set() for i in pending}
            said_before = {i.key: [a for a in made if a.node in above[i.key]] for i in pending}
            evidence = sum(int(np.size(i.given)) for i in pending if i.key in best.explained)
            for item in list(pending):
                if item.key not in best.explained:
                    continue
                left = best.explained[item.key]
                subject = origin[item.key] if state else "the correct value"
                outcome.said[item.key] = _sentence(item.said, subject, [*said_before[item.key], best.alteration], left,
                                                   search.factors)
                if evidence < 3:  # so few numbers may come from more than one mistake
                    texts = dict.fromkeys(_sentence(item.said, subject, [*said_before[item.key], f.alteration],
                                                    f.explained[item.key], search.factors) for f in others[:20])
                    texts.pop(outcome.said[item.key], None)
                    outcome.also[item.key] = tuple(texts)[:5]
                outcome.score += 1.0 if left == 1.0 else 0.6
                pending.remove(item)
            a = best.alteration
            if a.node.op is not None and a.node not in state and pending:
                g = full(search.gradients[a.node], a.node) + np.asarray(a.change)
                states.append(({**state, a.node: np.asarray(g, a.node.dtype)[()]}, [*made, a]))
        return outcome

    def _reference(self, item: _Item, arrived: Mapping[Tensor, Any]) -> Any:
        g = arrived.get(item.node)
        return np.zeros(item.node.shape) if g is None else np.asarray(full(g, item.node), float)

    def _upstream(self, item: _Item, fixed: Mapping[Tensor, Any], arrived: Mapping[Tensor, Any]) -> str:
        """The given wrong gradients that this one is computed from, by name; none where they change nothing."""
        if not fixed or np.array_equal(self._reference(item, arrived), item.reference):
            return ""
        names = []
        waiting, seen = [item.node], {item.node}
        for t in waiting:  # grows as it is read
            for edge in self.back.edges.get(t, ()):
                if edge.user in seen:
                    continue
                seen.add(edge.user)
                if edge.user in fixed:
                    names.append(f"d{self.named.names[edge.user]}")
                else:
                    waiting.append(edge.user)
        return " and ".join(dict.fromkeys(names))

    def _prepared(self, fixed: dict[Tensor, Any], pending: list[_Item], mine: Mapping[str, Any], sizes: Mapping[int, str],
                  ) -> Search:
        arrived = self.back.run(fixed) if fixed else self.gradients
        targets = []
        for item in self.items:
            reference = self._reference(item, arrived)
            if item in pending:
                targets.append(Target(item.key, item.node, mine[item.key], reference, item.tolerance, item.noise, True))
            elif item.verdict == RIGHT and np.array_equal(reference, item.reference):
                targets.append(Target(item.key, item.node, reference, reference, item.tolerance, item.noise, False))
        constants = [(n, x) for n, x in self.named.used if x.dtype.kind in "fiu"]
        return Search(self.back, self.words, Factors(self.m, sizes), targets, dict(fixed), self.deadline, self.named.names,
                      constants)

    def _sizes(self) -> dict[int, str]:
        """What each size of an axis is called, by the first named value that has it."""
        found: dict[int, str] = {}
        for n, x in [*self.named.used, *((n, t.value) for t, n in self.named.names.items())]:
            for axis, size in enumerate(np.shape(x)):
                if size > 1:
                    found.setdefault(size, f"the size of axis {axis} of {n}")
        return found

    def _unexplained(self, item: _Item, cut_short: bool) -> str:
        """What can be said of numbers that no alteration gives."""
        said = self._rounded(item) or self._descended(item)
        if said:
            return said
        said = f"{item.said} is wrong, and no single altered step gives these numbers."
        if cut_short:
            said = f"{item.said} is wrong; the search for the reason was cut short after {self.seconds:g} s (seconds=...)."
        hand = np.asarray(item.hand, float) / item.factor
        size = np.abs(item.reference)
        same = np.abs(hand - item.reference) <= item.tolerance * (size + 1e-3 * size.max(initial=0.0)) + 50 * item.noise
        if same.any() and not same.all() and same.size > 3:
            said += f" {int(same.sum())} of {same.size} entries are right"
            rest = np.argwhere(~same)
            for axis, kind in enumerate(("row", "column") if same.ndim == 2 else ("entry",) * same.ndim):
                places = sorted({int(i) for i in rest[:, axis]})
                if same.ndim == 2 and len(places) == 1 < same.shape[axis]:
                    said += f"; the wrong ones are in {kind} {places[0]}"
                    break
            said += "."
        given = {i.node for i in self.items}
        above = self.back.graph.depending_on([item.node])
        between = [f"d{self.named.names[t]}" for t in self.named.names if t.op is not None and t is not self.named.root
                   and t not in given and t in self.back.all and t in above and t.size > 1]
        if between:
            near = between[-1:] if len(between) == 1 else between[:3]
            said += f" Compare {', '.join(near)} too, to see where it begins."
        return said

    def _rounded(self, item: _Item) -> str:
        hand = np.asarray(item.hand, float)
        for _, factor in item.accepted:
            for decimals in range(1, 9):
                rounded = np.round(item.reference * factor, decimals)
                if np.any(rounded) and np.allclose(hand, rounded, rtol=1e-12, atol=1e-12):
                    many = "decimal" if decimals == 1 else "decimals"
                    return f"{item.said} equals the correct value, rounded to {decimals} {many}. Compare all digits."
        return ""

    def _descended(self, item: _Item) -> str:
        """The parameter after a step of gradient descent, in place of its gradient."""
        if item.node.op is not None:
            return ""
        rate = ratio(item.reference, item.node.value - np.asarray(item.hand, float))
        if rate is None or rate <= 0:
            return ""
        W, step = self.named.names[item.node], number_text(float(f"{rate:.6g}"))
        return (f"{item.said} is {W} − {step} · d{W}, the parameter after a step of gradient descent. Compare the gradient "
                "itself.")

    # -- rows

    def _row(self, item: _Item) -> ComparedRow:
        difference = relative = math.nan
        if item.verdict != SHAPE and item.verdict != UNKNOWN and item.given.shape == item.node.shape:
            expected = item.reference * item.factor
            with np.errstate(all="ignore"):
                apart = np.abs(np.asarray(item.given, float) - expected)
            difference = float(apart.max(initial=0.0))
            size = float(np.abs(expected).max(initial=0.0))
            relative = difference / size if size else (0.0 if difference == 0 else math.inf)
        convention = item.convention if item.verdict == RIGHT else ""
        return ComparedRow(item.key, item.given.shape, item.node.shape, item.verdict, difference, relative, item.diagnosis,
                           convention, item.also)

    def _remark(self) -> None:
        named = self.named
        if any(i.verdict == WRONG for i in self.items) and not any(
                t.op is not None and t is not named.root for t in named.names) and len(self.back.nodes) > 6:
            self.remarks.append("The values in between have no names here. compare(f, arguments..., dW1=...) of the function "
                                "that computes the cost takes the names of its variables.")
        if self.m < 2:
            return
        right = [i for i in self.items if i.verdict == RIGHT]
        course = [i for i in right if i.convention == "course"]
        math_ = [i for i in right if i.convention == "math"]
        if course:
            m = round(course[0].factor)
            of = ", ".join(f"∂J/∂{i.said[1:]}" for i in course[:2]) + (", …" if len(course) > 2 else "")
            self.remarks.append(f"{', '.join(i.said for i in course)}: right in the convention of the course: m = {m} times "
                                f"{of}, with 1/m in the gradients of the parameters.")
        if course and math_:
            self.remarks.append(f"{', '.join(i.said for i in math_)}: right with the factor 1/m in it, as autodiff has it. The "
                                "two conventions are mixed here.")


def _times(item: _Item, value: ndarray, hand: ndarray, factors: Factors) -> str | None:
    """What else is to be said where `hand` is `value`, or that times a factor that has a name; None where it is neither."""
    if value.shape != hand.shape or not np.any(value):
        return None
    s = float(np.vdot(value, hand) / np.vdot(value, value))
    spoken = factors.spoken(s)
    if spoken is None or not close(hand, s * value, item.tolerance, item.noise * max(1.0, abs(s))):
        return None
    return f" Besides, it is times {spoken[0]}: {spoken[1]}." if abs(s - 1) > 1e-9 else ""


def _sentence(key: str, subject: str, alterations: Sequence[Alteration], left: float, factors: Factors) -> str:
    said = f"{key} equals {subject}{' and'.join(a.phrase(key) for a in alterations)}"
    if left != 1.0:
        spoken = factors.spoken(left)
        assert spoken is not None
        said += ", and with the sign turned" if spoken[0] == "−1" else f", and times {spoken[0]}: {spoken[1]}"
    return said + "."


__all__ = ["ComparedRow", "Comparison", "compare"]
