"""Passes that make a program ready to be printed as NumPy: what is a constant only by accident, signs, and the 1/m."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy import ndarray

from ..calculus import flatten
from ..program import Line, Name, Program
from ..program.algebra import dtypes_of, shapes_of
from ..program.passes import fold_constants
from ..program.program import names_in, renamed
from ..rules import TABLE as PRIMITIVES
from ..rules.reductions import one_hot
from ..tensor import Primitive, Tensor

# ---------------------------------------------------------------- what the trace holds as numbers only


def argument_values(program: Program, args: Sequence[Any]) -> list[Any]:
    """The arrays given for the program's inputs; none where a recorded result was given."""
    leaves, _ = flatten(tuple(args))
    return [np.asarray(x.value if type(x) is Tensor else x) for x in leaves] if args else []


def _outside(index: Any, shape: tuple[int, ...]) -> Any:
    keep = np.ones(shape, bool)
    keep[index] = False
    return keep


OUTSIDE = Primitive("outside", _outside)


def recognised(program: Program, values: Sequence[Any]) -> Program:
    """Say how constants are made that a rule computes from a parameter: an argument's copy, a one-hot matrix, the mask of
    what an assignment leaves."""
    used = {name for line in program.lines for name in line.uses()}
    free = {x.name: v for x, v in zip(program.inputs, values, strict=False)
            if x.name not in used and v.dtype.kind in "iub" and v.size > 1}
    by: dict[str, Any] = {}
    for const, value in program.constants.items():
        for name, known in free.items():
            if known.shape == value.shape and np.array_equal(known, value):
                by[const] = name
    made: list[Line] = []
    shapes = shapes_of(program)
    for line in program.lines:
        if line.op.name == "class_cross_entropy":
            target, axis = line.params["target"], line.params["axis"]
            numbers = program.constants.get(target) if isinstance(target, Name) else None
            shape = shapes.get(line.operands[0])
            if numbers is None or shape is None:
                continue
            params = {"target": by.get(target, target), "classes": shape[axis], "axis": axis, "dtype": np.dtype(line.dtype)}
            wanted = one_hot(numbers, classes=shape[axis], axis=axis, dtype=line.dtype)
            made += _lines_for(program, wanted, one_hot, params, by)
        elif line.op.name == "assign":
            index = {"index": line.params["index"], "shape": line.shape}
            actual = renamed(line.params["index"], {str(k): v for k, v in program.constants.items()})
            if not any(True for _ in names_in(actual)) and line.shape:
                made += _lines_for(program, _outside(actual, line.shape), OUTSIDE, index, by)
    first = next((i for i, line in enumerate(program.lines) if line.kind == "backward"), len(program.lines))
    early = {name for line in program.lines[:first] for name in line.uses()}  # read before the backward pass makes it
    made = [line for line in made if line.name not in early]
    lines = [*program.lines[:first], *made, *program.lines[first:]]
    constants = {k: v for k, v in program.constants.items() if k not in by or by[k] in {m.name for m in made}}
    constants = {k: v for k, v in constants.items() if k not in {m.name for m in made}}
    return replace(program, lines=tuple(_with_names(line, by) for line in lines), constants=constants)


def _lines_for(program: Program, wanted: ndarray, op: Primitive, params: dict[str, Any], by: Mapping[str, Any]
               ) -> list[Line]:
    return [Line(const, op, (), params, wanted.shape, wanted.dtype, "backward") for const, value in program.constants.items()
            if const not in by and value.shape == wanted.shape and value.dtype == wanted.dtype
            and np.array_equal(value, wanted)]


def _with_names(line: Line, by: Mapping[str, Any]) -> Line:
    if not by:
        return line
    return replace(line, operands=tuple(renamed(a, by) for a in line.operands),
                   params={k: renamed(v, by) for k, v in line.params.items()})


# ---------------------------------------------------------------- signs, exactly


@dataclass(frozen=True)
class Order:
    """How arrays lie in memory, as far as it surely is known; it decides how a sum is rounded.

    rows : the arrays whose axes come in C order. whole : those that moreover have no gaps.
    """

    rows: set[str]
    whole: set[str]


def any_order(program: Program) -> Order:
    """As if all arrays were whole, where the last digit does not matter."""
    return Order(set(shapes_of(program)), set(shapes_of(program)))


def order_of(program: Program, values: Sequence[Any]) -> Order:
    """An entrywise result of arrays in C order is in C order and has no gaps, so is a product of matrices."""
    shapes = shapes_of(program)
    whole = {str(x.name) for x in program.inputs} | {str(x) for x in program.constants}
    for x, v in zip(program.inputs, values, strict=False):
        if not v.flags.c_contiguous:
            whole.discard(x.name)
    rows, turned = set(whole), set()
    for line in program.lines:
        op = line.op.name
        arrays = [x for x in line.operands if isinstance(x, Name) and shapes.get(x, ())]
        in_rows = all(x in rows for x in arrays)
        if op in ("flip", "gather", "roll", "einsum") and line.shape:
            continue
        if op == "getitem" and line.shape:
            if in_rows and _is_forward(line.params["index"]):
                rows.add(line.name)
            continue
        if op == "transpose":
            if _turns_matrices(line) and in_rows:
                turned.add(line.name)
            continue
        if op == "matmul":
            if len(line.shape) > 2 and not all(x in rows or x in turned for x in arrays):
                continue
        elif op == "reshape":
            if not all(x in whole for x in arrays):
                continue
        elif op == "broadcast_to":
            if math.prod(line.shape) > 4096:
                continue
        elif not in_rows:
            continue
        rows.add(line.name)
        whole.add(line.name)
    return Order(rows, whole)


def _turns_matrices(line: Line) -> bool:
    """Whether a transpose turns each matrix of a stack, and leaves the stack."""
    axes, ndim = line.params.get("axes"), len(line.shape)
    return ndim > 2 and axes is not None and tuple(axes) == (*range(ndim - 2), ndim - 1, ndim - 2)


def _is_forward(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return all(isinstance(p, int) or p is Ellipsis or (isinstance(p, slice) and (p.step or 1) > 0) for p in parts)


_SPREADABLE = {"add", "subtract", "multiply", "divide", "negative"}


def spread_late(program: Program) -> Program:
    """Compute with one number for as long as all entries are equal: 2 · (x everywhere) is (2x) everywhere."""
    shapes, dtypes = shapes_of(program), dtypes_of(program)
    number_of: dict[str, Any] = {}  # an array with all entries equal -> that number
    lines: list[Line] = []
    for line in program.lines:
        op = line.op.name
        if line.kind == "backward" and line.shape and not line.named:
            operands = [number_of.get(x, x) if isinstance(x, Name) else x for x in line.operands]
            single = all(not isinstance(x, Name) or shapes.get(x, (1,)) == () for x in operands)
            if op in ("broadcast_to", "reshape") and single and (op != "reshape" or operands[0] is not line.operands[0]):
                number_of[line.name] = operands[0]
                lines.append(replace(line, op=PRIMITIVES["broadcast_to"], operands=(operands[0],),
                                     params={"shape": line.shape}))
                continue
            if op in _SPREADABLE and single and any(x in number_of for x in line.operands if isinstance(x, Name)):
                inner = Name(f"{line.name}_each")
                lines.append(replace(line, name=inner, operands=tuple(operands), shape=()))
                shapes[inner], dtypes[inner] = (), dtypes[line.name]
                number_of[line.name] = inner
                lines.append(replace(line, op=PRIMITIVES["broadcast_to"], operands=(inner,), params={"shape": line.shape}))
                continue
        lines.append(line)
    return replace(program, lines=tuple(lines))


def signs(program: Program, order: Order) -> Program:
    """−a + b as b − a, 1 · a as a, and minus signs outwards: rounding is symmetric, so no number changes."""
    uses = counted(program)
    made: dict[str, Line] = {}
    by: dict[str, Any] = {}
    lines = []

    def minus(x: Any) -> Any:
        """What an operand is the negative of, where that is used nowhere else."""
        line = made.get(x) if isinstance(x, Name) else None
        if line is not None and line.op.name == "negative" and uses.get(x, 0) == 1 and not line.named:
            return line.operands[0]
        return None

    def number_over(x: Any) -> Any:
        """The number that is divided, where an operand is number / b and used nowhere else."""
        line = made.get(x) if isinstance(x, Name) else None
        if line is None or line.op.name != "divide" or isinstance(line.operands[0], Name) or uses.get(x, 0) != 1:
            return None
        return None if line.named else line.operands[0]

    def may_stand_for(x: str, product: Line) -> bool:
        """Whether 1 · x can be x: where x has gaps in memory, only entrywise uses do not notice."""
        if x in order.whole:
            return True
        return x in order.rows and not product.named and all(
            user.op.kind == "pointwise" or user.op.name in ("put", "scatter") for user in users.get(product.name, ()))

    def absorbed(name: Any) -> bool:
        """Whether a minus sign in front goes into a sum, or meets another."""
        while True:
            user = user_of.get(name)
            if user is None or uses.get(name, 0) != 1:
                return False
            if user.op.name in ("add", "subtract", "negative"):
                return user.op.name != "subtract" or user.operands[1] == name
            if user.named or user.op.name not in ("divide", "multiply") or user.operands[0] != name:
                return False
            name = user.name

    def one_of(x: Any) -> float:
        """1 or −1 where that is what an operand is, also spread over an array; else 0."""
        for _ in range(3):  # −1, spread, of dJ
            line = made.get(x) if isinstance(x, Name) else None
            if line is None or not (line.op.name == "broadcast_to" or (line.op.name == "identity" and not line.shape)):
                break
            (x,) = line.operands
        return float(x) if isinstance(x, (float, np.floating)) and abs(float(x)) == 1.0 else 0.0

    shapes, dtypes = shapes_of(program), dtypes_of(program)
    known: dict[Any, Any] = {name: (shapes[name], dtypes[name]) for name in shapes}
    user_of = {name: line for line in program.lines for name in line.uses()}
    users: dict[str, list[Line]] = {}
    for line in program.lines:
        for name in line.uses():
            users.setdefault(name, []).append(line)
    for line in program.lines:
        line = _with_names(line, by)
        if line.kind == "backward" and line.op.name in ("negative", "divide", "broadcast_to", "multiply", "add", "subtract"):
            line = replace(line, operands=tuple(
                dtypes[x].type(one_of(x)) if isinstance(x, Name) and shapes.get(x) == () and one_of(x) else x
                for x in line.operands))
        op, operands = line.op.name, line.operands
        if line.kind == "backward" and line.dtype in (np.float64, np.float32):
            a, b = (*operands, None, None)[:2]
            if op == "multiply" and (one_of(a) or one_of(b)):
                one, other = (one_of(a), b) if one_of(a) else (one_of(b), a)
                if not isinstance(other, Name):
                    value = np.dtype(line.dtype).type(one * other)
                    line = replace(line, op=PRIMITIVES["identity"], operands=(value,))
                elif known.get(other) == (line.shape, line.dtype) and (not line.shape or may_stand_for(other, line)):
                    line = replace(line, op=PRIMITIVES["identity" if one == 1 else "negative"], operands=(other,))
            elif op == "negative" and not isinstance(a, Name):
                line = replace(line, op=PRIMITIVES["identity"], operands=(-a,))
            elif op == "negative" and number_over(a) is not None:
                line = replace(made[a], name=line.name, operands=(-number_over(a), made[a].operands[1]), named=line.named)
            elif op == "negative" and minus(a) is not None:
                line = replace(line, op=PRIMITIVES["identity"], operands=(minus(a),))
            elif op == "add" and minus(b) is not None:
                line = replace(line, op=PRIMITIVES["subtract"], operands=(a, minus(b)))
            elif op == "add" and minus(a) is not None and not (isinstance(b, Name) and b in made and made[b].op.name == "put"):
                line = replace(line, op=PRIMITIVES["subtract"], operands=(b, minus(a)))
            elif op == "subtract" and minus(b) is not None:
                line = replace(line, op=PRIMITIVES["add"], operands=(a, minus(b)))
            elif op in ("divide", "multiply") and not line.named and minus(a) is not None and absorbed(line.name):
                inner = Name(f"{line.name}_")
                while inner in made:
                    inner = Name(f"{inner}_")
                positive = replace(line, name=inner, operands=(minus(a), b))
                made[inner] = positive
                known[inner] = (line.shape, line.dtype)
                uses[inner] = 1
                lines.append(positive)
                line = replace(line, op=PRIMITIVES["negative"], operands=(inner,))
        if line.op.name == "identity" and isinstance(line.operands[0], Name) and not line.named and line.name in uses:
            same = line.operands[0]
            by[line.name] = same
            uses[same] = uses.get(same, 0) + uses[line.name] - 1
            continue
        made[line.name] = line
        lines.append(line)
    outputs = {k: renamed(v, by) for k, v in program.outputs.items()}
    return replace(program, lines=tuple(lines), outputs=outputs)


def counted(program: Program) -> dict[str, int]:
    uses: dict[str, int] = {}
    for line in program.lines:
        for name in line.uses():
            uses[name] = uses.get(name, 0) + 1
    for out in program.outputs.values():
        for name in names_in(out):
            uses[name] = uses.get(name, 0) + 1
    return uses


# ---------------------------------------------------------------- the course's convention


@dataclass(frozen=True)
class Examples:
    """The number of examples, m, and which axis of which argument it is the size of, none where it is none."""

    count: int
    name: Name  # what it is called
    argument: Name | None = None
    axis: int = 0


def with_examples(program: Program, examples: Examples | None) -> Program:
    """Read the number of examples m off an argument where the code divides by it, or multiplies by 1/m.

    The code checks its shapes, so that m is the same number whenever it runs.
    """
    if examples is None or examples.argument is None:
        return program
    m, lines = examples.name, []
    for line in program.lines:
        op, operands = line.op.name, line.operands
        if op == "divide" and type(operands[1]) is int and operands[1] == examples.count:
            line = replace(line, operands=(operands[0], m))
        elif op in ("multiply", "identity") and line.dtype == np.float64:
            for i, x in enumerate(operands):
                sign = next((k for k in (1, -1) if type(x) in (float, np.float64) and x == k / examples.count), 0)
                if sign:
                    inverse = Name(f"{line.name}_m{i}")
                    lines.append(Line(inverse, PRIMITIVES["divide"], (sign, m), {}, (), line.dtype, line.kind))
                    line = replace(line, operands=(*line.operands[:i], inverse, *line.operands[i + 1 :]))
        lines.append(line)
    return replace(program, lines=tuple(lines))


def course(program: Program, examples: Examples | None) -> Program:
    """Start the backward pass with m instead of 1, and divide by m what it ends with: the same derivatives."""
    gradients = list(program.outputs)[program.results :]
    lines = []
    for line in program.lines:
        seeds = line.kind == "backward" and line.op.name == "identity" and not isinstance(line.operands[0], Name)
        if seeds and examples is not None:
            line = replace(line, operands=(np.dtype(line.dtype).type(examples.count),))
        lines.append(line)
    program = fold_constants(replace(program, lines=tuple(lines)))
    if examples is None:
        return program
    m: Any = examples.name if examples.argument is not None else examples.count
    shapes, dtypes = shapes_of(program), dtypes_of(program)
    by: dict[str, Any] = {}
    divided: list[Line] = []
    outputs: dict[str, Any] = dict(program.outputs)
    for key in gradients:
        source = raw = outputs[key]
        if isinstance(source, Name) and source == key:  # the line of that name gives it up
            raw = by[source] = Name(f"{source}_sum")
        shape, dtype = (shapes[source], dtypes[source]) if isinstance(source, Name) else ((), np.dtype(np.float64))
        divided.append(Line(Name(key), PRIMITIVES["divide"], (raw, m), {}, shape, dtype, "backward", True))
        outputs[key] = Name(key)
    lines = [replace(_with_names(line, by), name=by.get(line.name, line.name), named=line.named and line.name not in by)
             for line in program.lines]
    after: dict[Any, list[Line]] = {}  # each division follows the line it divides
    for line in divided:
        after.setdefault(line.operands[0], []).append(line)
    ordered: list[Line] = []
    for line in lines:
        ordered += [line, *after.pop(line.name, ())]
    ordered += [line for rest in after.values() for line in rest]
    return replace(program, lines=tuple(ordered), outputs=outputs)


def divisors_of(program: Program) -> list[int]:
    """What the gradient is divided by on its way from J to the first array: how many examples the cost is a mean over."""
    counts: list[int] = []
    numbers: set[str] = set()
    for line in program.lines:
        if line.kind != "backward" or line.shape != ():
            continue
        if not all(x in numbers for x in line.uses()):
            continue
        numbers.add(line.name)
        for x in line.operands:
            if isinstance(x, (Name, bool, np.bool_)) or not math.isfinite(float(x)) or not float(x):
                continue
            n = abs(float(x)) if line.op.name == "divide" else 1 / abs(float(x))
            if n > 1 and abs(n - round(n)) < 1e-9 * n:
                counts.append(round(n))
    return counts


def examples_of(program: Program) -> Examples | None:
    """How many examples the cost is a mean over, None where it is no mean."""
    counts = divisors_of(program)
    if not counts:
        return None
    known = [k for k, v in program.numbers.items() if v == counts[0] and k in ("m", "M", "n", "N", "batch_size")]
    m, taken = Name(known[0] if known else "m"), shapes_of(program)
    while m in taken:
        m = Name(f"{m}_")
    for n in counts:
        found = examples_with(program, n, m)
        if found is not None and found.argument is not None:
            return found
    return examples_with(program, counts[0], m)


def examples_with(program: Program, count: int, name: Name) -> Examples | None:
    """That many examples, and which axis of which argument they lie along: of the data, the last axis or the first."""
    parameters = {key[1:] for key in list(program.outputs)[program.results :]}
    data = [x for x in program.inputs if x.name not in parameters and x.shape]
    for axis in (-1, 0):
        for x in data:
            if x.shape[axis] == count > 1:
                return Examples(count, name, x.name, axis if axis == 0 else len(x.shape) - 1)
    return Examples(count, name) if data and count > 1 else None
