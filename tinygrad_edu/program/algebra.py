"""Passes that rewrite arithmetic: what is multiplied by one, spread only to be combined, or computed the long way round.

Each is a small function, program to program, and keeps the meaning of every number; the last digit may differ where a
pass says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from operator import is_
from typing import Any

import numpy as np

from ..rules import pointwise
from ..rules import shapes as shape_rules
from ..rules.products import matmul
from ..rules.shapes import reshape
from .expand import LESS_ONE, spread_shape, ufunc_of
from .program import Line, Name, Program, renamed, reworded
from .traced import as_primitive

ADD, SUBTRACT, MULTIPLY, DIVIDE, NEGATIVE = (
    pointwise.add, pointwise.subtract, pointwise.multiply, pointwise.divide, pointwise.negative)


def shapes_of(program: Program) -> dict[str, tuple[int, ...]]:
    """The shape of every value, by name."""
    return program.kinds[0].copy()


def dtypes_of(program: Program) -> dict[str, Any]:
    """The dtype of every value, by name."""
    return program.kinds[1].copy()


def uses_of(program: Program) -> dict[str, int]:
    """How often every value is read, results and updates included."""
    return program.uses.copy()


def with_lines(program: Program, lines: Iterable[Line], by: dict[str, Any] | None = None) -> Program:
    """The program with these lines, and names replaced in its results; itself if nothing is new."""
    lines = tuple(lines)
    if not by and len(lines) == len(program.lines) and all(map(is_, lines, program.lines)):
        return program
    outputs = {k: renamed(v, by) for k, v in program.outputs.items()} if by else program.outputs
    return replace(program, lines=lines, outputs=outputs)


def is_entrywise(line: Line) -> bool:
    """Whether a line is one NumPy ufunc, entry by entry, or a choice of entries."""
    return (ufunc_of(line.op) is not None and not line.params) or line.op is pointwise.gate or line.op.name == "where"


# ---------------------------------------------------------------- spreading

def spread_late(program: Program) -> Program:
    """An entrywise operation spreads its operands itself, so they need not be spread before it."""
    shapes = shapes_of(program)
    narrow: dict[str, Any] = {}  # a spread value -> what it was spread from
    lines: list[Line] = []
    for name, value in program.constants.items():
        if name in program.derived and value.ndim and value.dtype.kind == "f" and value.size and (
                value.size == 1 or np.all(value == value.flat[0])):
            narrow[name] = value.dtype.type(value.flat[0])
    if not narrow and "broadcast_to" not in program.operations:
        return program
    for line in program.lines:
        if line.op.name == "broadcast_to" and line.kind != "output":
            source = line.operands[0]
            narrow[line.name] = narrow.get(source, source) if isinstance(source, Name) else source
        elif line.op.name == "reshape" and isinstance(line.operands[0], Name):
            source = narrow.get(line.operands[0])
            if source is not None and not _shape(source, shapes):
                narrow[line.name] = source
        elif is_entrywise(line) and any(isinstance(x, Name) and x in narrow for x in line.operands):
            operands = list(line.operands)
            for i, x in enumerate(operands):
                if isinstance(x, Name) and x in narrow:
                    tried = [*operands[:i], narrow[x], *operands[i + 1 :]]
                    if spread_shape([_shape(y, shapes) for y in tried]) == tuple(line.shape):
                        operands = tried
            line = line.but(operands=tuple(operands))
            before = tuple([narrow.get(x, x) if isinstance(x, Name) else x for x in operands])
            small = spread_shape([_shape(x, shapes) for x in before])
            if math.prod(small) < math.prod(line.shape) and any(isinstance(x, Name) for x in before):
                few = Name(f"{line.name}_narrow")  # computed where it is small, and spread afterwards
                while few in shapes:
                    few = Name(f"{few}_")
                shapes[few] = small
                lines.append(replace(line, name=few, operands=before, shape=small, named=False))
                line = line.but(shape_rules.broadcast_to, (few,), {"shape": tuple(line.shape)})
                narrow[line.name] = few
        lines.append(line)
    return with_lines(program, lines)


def _shape(x: Any, shapes: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    return shapes.get(x, ()) if isinstance(x, Name) else () if type(x) is float else np.shape(x)


# ---------------------------------------------------------------- ones, signs, factors

def simplify(program: Program) -> Program:
    """x·1, x/1 and −(−x) as x; a + (−b) as a − b; a number times a number times x as one product.

    Two numbers are multiplied with each other first, which may move the last digit of the result.
    """
    made: dict[str, Line] = {}
    by: dict[str, Any] = {}
    lines: list[Line] = []
    for line in program.lines:
        if by:
            line = reworded(line, by)
        for rule in _RULES.get(line.op.forward, ()):
            found = rule(line, made, program)
            if found is None:
                continue
            if isinstance(found, Line):
                line = found
            elif _shape(found, program.kinds[0]) == tuple(line.shape) and program.kinds[1].get(found) == line.dtype and (
                    not line.named):
                by[line.name] = found
                break
        if line.name not in by:
            made[line.name] = line
            lines.append(line)
    return with_lines(program, lines, by)


def _number(x: Any) -> bool:
    return type(x) is float or (isinstance(x, (int, float, np.number)) and not isinstance(x, bool))


def _of_one(line: Line, made: dict[str, Line], program: Program) -> Any:
    if line.op is MULTIPLY:
        for x, other in (line.operands, line.operands[::-1]):
            if type(x) is not Name and _number(x) and x == 1 and isinstance(other, Name):
                return other
    elif line.op is DIVIDE and _number(line.operands[1]) and line.operands[1] == 1 and isinstance(line.operands[0], Name):
        return line.operands[0]
    return None


def _signs(line: Line, made: dict[str, Line], program: Program) -> Any:
    if np.dtype(line.dtype).kind != "f":
        return None  # −1 as an unsigned byte is 255
    if line.op.forward is NEGATIVE.forward:
        return _negated(line.operands[0], made)
    a, b = line.operands
    if (less := _negated(b, made)) is not None:
        return line.but(SUBTRACT if line.op is ADD else ADD, (a, less))
    if line.op is ADD and (less := _negated(a, made)) is not None:
        return line.but(SUBTRACT, (b, less))
    return None


def _negated(x: Any, made: dict[str, Line]) -> Any:
    """What a value is the negative of."""
    inner = made.get(x) if type(x) is Name else None
    return inner.operands[0] if inner is not None and inner.op.forward is NEGATIVE.forward else None


def _factors(line: Line, made: dict[str, Line], program: Program) -> Any:
    """c · (d · x) with numbers c and d, the inner product used once."""
    if line.op is not MULTIPLY:
        return None
    for c, x in (line.operands, line.operands[::-1]):
        inner = made.get(x) if type(c) is not Name and isinstance(x, Name) and _number(c) else None
        if inner is not None and not inner.named:
            found: tuple[Any, Any] | None = None
            if inner.op is MULTIPLY:
                found = next(((d, y) for d, y in (inner.operands, inner.operands[::-1]) if _number(d)), None)
            elif inner.op is DIVIDE and _number(inner.operands[1]) and inner.operands[1] != 0:
                found = 1 / float(inner.operands[1]), inner.operands[0]
            if found is None or not isinstance(found[1], Name) or program.uses.get(x) != 1 or (
                    program.kinds[1].get(found[1]) != line.dtype):
                continue
            product = _product(c, found[0], line.dtype)
            if product is not None:
                return line.but(operands=(product, found[1]))
    return None


def _product(c: Any, d: Any, dtype: Any) -> float | None:
    """A factor that leaves the dtype of what it multiplies alone; None where the product is too large or small for it."""
    if np.dtype(dtype).kind != "f":
        return None
    product, limits = float(c) * float(d), np.finfo(dtype)
    return product if limits.tiny <= abs(product) <= limits.max else None


def _less_one_hot(line: Line, made: dict[str, Line], program: Program) -> Any:
    """softmax − one-hot takes one from one entry of each row."""
    if line.op is not SUBTRACT or not isinstance(line.operands[1], Name):
        return None
    hot = made.get(line.operands[1])
    if hot is not None and hot.op.name == "one_hot" and hot.params["axis"] == 1 and hot.shape == line.shape and isinstance(
            line.operands[0], Name) and program.kinds[0][line.operands[0]] == line.shape and len(line.shape) == 2 and (
            program.kinds[1].get(line.operands[0]) == line.dtype):
        return line.but(LESS_ONE, (line.operands[0], hot.operands[0]), {})
    return None


def _turned_twice(line: Line, made: dict[str, Line], program: Program) -> Any:
    """The transpose of a transpose."""
    if line.op is not shape_rules.transpose or not isinstance(line.operands[0], Name):
        return None
    inner = made.get(line.operands[0])
    if inner is None or inner.op is not line.op:
        return None
    def axes_of(x: Line) -> tuple[int, ...]:
        return tuple(x.params.get("axes") or reversed(range(len(x.shape))))
    first, second = axes_of(inner), axes_of(line)
    return inner.operands[0] if [first[i] for i in second] == list(range(len(first))) else None


_RULES: Mapping[Any, tuple[Callable[..., Any], ...]] = {  # by the function that a line calls; a sum may become a difference
    MULTIPLY.forward: (_of_one, _factors), DIVIDE.forward: (_of_one,), ADD.forward: (_signs, _less_one_hot),
    SUBTRACT.forward: (_signs, _less_one_hot), NEGATIVE.forward: (_signs,), shape_rules.transpose.forward: (_turned_twice,)}


# ---------------------------------------------------------------- sums

ADD_REDUCE = "add.reduce"
LONGEST_SUM = {np.dtype(np.float32): 4096, np.dtype(np.float64): 65536}  # entries, so that BLAS loses no digits to NumPy


def sums_as_products(program: Program) -> Program:
    """Σ x as x · (1, ..., 1), and Σ a ⊙ b as a · b: BLAS adds twice as fast as NumPy, in another order."""
    if ADD_REDUCE not in program.operations:
        return program
    shapes, dtypes = program.kinds
    line_of, uses = program.line_of, program.uses
    taken = {*shapes}
    constants = dict(program.constants)
    ones: dict[Any, Name] = {}

    def fresh(wanted: str) -> Name:
        name, k = wanted, 2
        while name in taken:
            name, k = f"{wanted}_{k}", k + 1
        taken.add(name)
        return Name(name)

    def ones_of(shape: tuple[int, ...], dtype: Any) -> Name:
        key = (shape, np.dtype(dtype))
        if key not in ones:
            ones[key] = fresh("ones" + "x".join(map(str, shape)))
            constants[ones[key]] = np.ones(shape, dtype)
            constants[ones[key]].flags.writeable = False
        return ones[key]

    lines: list[Line] = []
    absorbed: set[str] = set()  # products that only their sum was made of
    for line in program.lines:
        x = line.operands[0] if line.op.name == ADD_REDUCE else None
        if not isinstance(x, Name) or np.dtype(line.dtype) not in LONGEST_SUM or dtypes[x] != line.dtype:
            lines.append(line)
            continue
        shape, axis, keep = shapes[x], line.params.get("axis"), line.params.get("keepdims", False)
        axis = tuple(range(len(shape))) if axis is None else axis
        inner = line_of.get(x)
        if len(shape) == 2 and axis == (1,) and 1 < shape[1] <= LONGEST_SUM[np.dtype(line.dtype)]:
            operands: tuple[Any, ...] = (x, ones_of((shape[1], 1) if keep else (shape[1],), line.dtype))
        elif len(shape) == 2 and axis == (0,) and 1 < shape[0] <= LONGEST_SUM[np.dtype(line.dtype)]:
            operands = (ones_of((1, shape[0]) if keep else (shape[0],), line.dtype), x)
        elif len(shape) > 2 and axis == tuple(range(len(shape) - 1)) and not keep and (
                1 < (n := math.prod(shape[:-1])) <= LONGEST_SUM[np.dtype(line.dtype)]):
            tall = fresh("tall")
            lines.append(Line(tall, reshape, (x,), {"shape": (n, shape[-1])}, (n, shape[-1]), line.dtype, line.kind))
            operands = (ones_of((n,), line.dtype), tall)
        elif len(shape) > 2 and (parts := _ends(shape, axis)) and inner is not None and ufunc_of(inner.op) is not None and (
                1 < parts[1] <= LONGEST_SUM[np.dtype(line.dtype)]):
            last, n, rest = parts
            flat_shape, sums = ((rest, n) if last else (n, rest)), fresh("sums")
            tall = fresh("tall")
            lines.append(Line(tall, reshape, (x,), {"shape": flat_shape}, flat_shape, line.dtype, line.kind))
            factors = (tall, ones_of((n,), line.dtype)) if last else (ones_of((n,), line.dtype), tall)
            lines.append(Line(sums, matmul, factors, {}, (rest,), line.dtype, line.kind))
            lines.append(line.but(reshape, (sums,), {"shape": line.shape}))
            continue
        elif len(axis) == len(shape) and not keep and inner is not None and 1 < (n := math.prod(shape)) <= LONGEST_SUM[
                np.dtype(line.dtype)]:
            a, b = (x, None)
            if inner.op is MULTIPLY and uses[x] == 1 and all(
                    isinstance(y, Name) and shapes[y] == shape and dtypes[y] == line.dtype for y in inner.operands):
                a, b = inner.operands
                absorbed.add(str(x))
            flat = []
            for y in (a, b):
                if y is None:
                    flat.append(ones_of((n,), line.dtype))
                elif len(shape) == 1:
                    flat.append(y)
                else:
                    flat.append(fresh("flat"))
                    lines.append(Line(flat[-1], reshape, (y,), {"shape": (n,)}, (n,), line.dtype, line.kind))
            operands = tuple(flat)
        else:
            lines.append(line)
            continue
        lines.append(line.but(matmul, operands, {}))
    lines = [line for line in lines if line.name not in absorbed]
    if not ones:
        return with_lines(program, lines)
    return replace(with_lines(program, lines), constants=constants, derived=program.derived | {str(n) for n in ones.values()})


def _ends(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[bool, int, int] | None:
    """For a sum over the last axes, or the first ones: which, how many entries a sum has, and how many sums there are."""
    count = len(axis)
    if not 0 < count < len(shape):
        return None
    n = math.prod(shape[i] for i in axis)
    rest = math.prod(shape) // n if n else 0
    if axis == tuple(range(len(shape) - count, len(shape))):
        return True, n, rest
    return (False, n, rest) if axis == tuple(range(count)) else None


__all__ = ["as_primitive", "dtypes_of", "is_entrywise", "reworded", "shapes_of", "simplify", "spread_late",
           "sums_as_products", "uses_of", "with_lines"]
