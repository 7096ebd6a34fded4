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


ONE_HOT, OUTSIDE = Primitive("one_hot", one_hot), Primitive("outside", _outside)


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
            wanted = one_hot(numbers, shape[axis], axis, line.dtype)
            made += _lines_for(program, wanted, ONE_HOT, params, by)
        elif line.op.name == "assign":
            index = {"index": line.params["index"], "shape": line.shape}
            actual = renamed(line.params["index"], {str(k): v for k, v in program.constants.items()})
            if not any(True for _ in names_in(actual)) and line.shape:
                made += _lines_for(program, _outside(actual, line.shape), OUTSIDE, index, by)
    first = next((i for i, line in enumerate(program.lines) if line.kind == "backward"), len(program.lines))
    lines = [*program.lines[:first], *made, *program.lines[first:]]
    constants = {k: v for k, v in program.constants.items() if k not in by or by[k] in {m.name for m in made}}
    constants = {k: v for k, v in constants.items() if k not in {m.name for m in made}}
    return replace(program, lines=tuple(_with_names(line, by) for line in lines), constants=constants)


def _lines_for(program: Program, wanted: ndarray, op: Primitive, params: dict[str, Any], by: Mapping[str, Any]
               ) -> list[Line]:
    return [Line(const, op, (), params, wanted.shape, wanted.dtype, "backward") for const, value in program.constants.items()
            if const not in by and value.shape == wanted.shape and value.dtype == wanted.dtype
            and np.array_equal(value, wanted)]


def shapes_of(program: Program) -> dict[str, tuple[int, ...]]:
    """The shape of every value of a program, by name."""
    shapes: dict[str, tuple[int, ...]] = {str(x.name): tuple(x.shape) for x in program.inputs}
    shapes |= {str(name): np.shape(value) for name, value in program.constants.items()}
    return shapes | {str(line.name): tuple(line.shape) for line in program.lines}


def dtypes_of(program: Program) -> dict[str, Any]:
    """The dtype of every value of a program, by name."""
    dtypes: dict[str, Any] = {str(x.name): np.dtype(x.dtype) for x in program.inputs}
    dtypes |= {str(name): value.dtype for name, value in program.constants.items()}
    return dtypes | {str(line.name): np.dtype(line.dtype) for line in program.lines}


def _with_names(line: Line, by: Mapping[str, Any]) -> Line:
    if not by:
        return line
    return replace(line, operands=tuple(renamed(a, by) for a in line.operands),
                   params={k: renamed(v, by) for k, v in line.params.items()})


# ---------------------------------------------------------------- signs, exactly

_OTHER_ORDER = {"transpose", "flip", "getitem", "gather", "roll", "einsum", "reshape", "assign", "pad", "broadcast_to"}


def in_c_order(program: Program, values: Sequence[Any]) -> set[str]:
    """The arrays whose entries surely lie in C order; order decides how a sum is rounded.

    An entrywise result of arrays in C order is in C order, so is a product of matrices.
    """
    found: set[str] = {x.name for x in program.inputs}
    if values:
        found = {x.name for x, v in zip(program.inputs, values, strict=True) if v.flags.c_contiguous}
    found |= set(program.constants)
    shapes = shapes_of(program)
    for line in program.lines:
        if line.op.name in _OTHER_ORDER and line.shape:
            continue
        if line.op.kind != "pointwise" or all(x in found for x in line.operands if isinstance(x, Name) and shapes.get(x, (1,))):
            found.add(line.name)
    return found


def signs(program: Program, in_order: set[str]) -> Program:
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
                elif known.get(other) == (line.shape, line.dtype) and (other in in_order or not line.shape):
                    line = replace(line, op=PRIMITIVES["identity" if one == 1 else "negative"], operands=(other,))
            elif op == "negative" and not isinstance(a, Name):
                line = replace(line, op=PRIMITIVES["identity"], operands=(-a,))
            elif op == "negative" and minus(a) is not None:
                line = replace(line, op=PRIMITIVES["identity"], operands=(minus(a),))
            elif op == "add" and minus(b) is not None:
                line = replace(line, op=PRIMITIVES["subtract"], operands=(a, minus(b)))
            elif op == "add" and minus(a) is not None:
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
    """The number of examples, m, and the code that reads it off an argument."""

    count: int
    code: str


def course(program: Program) -> tuple[Program, Examples | None]:
    """Start the backward pass with m instead of 1, and divide by m what it ends with: the same derivatives."""
    gradients = [key for key in program.outputs if key not in list(program.outputs)[: program.results]]
    examples = _examples(program, {key[1:] for key in gradients})
    lines = []
    for line in program.lines:
        seeds = line.kind == "backward" and line.op.name == "identity" and not isinstance(line.operands[0], Name)
        if seeds and examples is not None:
            line = replace(line, operands=(np.dtype(line.dtype).type(examples.count),))
        lines.append(line)
    program = fold_constants(replace(program, lines=tuple(lines)))
    if examples is None:
        return program, None
    m = Name("m")
    by: dict[str, Any] = {}
    divided: list[Line] = []
    taken = {line.name for line in program.lines} | {x.name for x in program.inputs} | set(program.constants)
    while m in taken:
        m = Name(f"{m}_")
    outputs: dict[str, Any] = dict(program.outputs)
    shapes, dtypes = shapes_of(program), dtypes_of(program)
    for key in gradients:
        source = outputs[key]
        raw = source
        if isinstance(source, Name) and source == key:  # the line of that name gives it up
            raw = by[source] = Name(f"{source}_sum")
        shape, dtype = (shapes[source], dtypes[source]) if isinstance(source, Name) else ((), np.dtype(np.float64))
        divided.append(Line(Name(key), PRIMITIVES["divide"], (raw, m), {}, shape, dtype, "backward", True))
        outputs[key] = Name(key)
    lines = [replace(_with_names(line, by), name=by.get(line.name, line.name), named=line.named and line.name not in by)
             for line in program.lines]
    # each division follows the line it divides
    after: dict[Any, list[Line]] = {}
    for line in divided:
        after.setdefault(line.operands[0], []).append(line)
    ordered: list[Line] = []
    for line in lines:
        ordered += [line, *after.pop(line.name, ())]
    ordered += [line for rest in after.values() for line in rest]
    return replace(program, lines=tuple(ordered), outputs=outputs), replace(examples, code=f"{m} = {examples.code}")


def _examples(program: Program, parameters: set[str]) -> Examples | None:
    """How many examples the cost is a mean over: what the gradient is divided by on its way from J to the first array."""
    data = [x for x in program.inputs if x.name not in parameters and x.shape]
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
    for n in counts:
        for axis in (-1, 0):
            for x in data:
                if x.shape[axis] == n:
                    return Examples(n, f"{x.name}.shape[{axis if axis == 0 else len(x.shape) - 1}]")
    return Examples(counts[0], str(counts[0])) if counts and data else None
