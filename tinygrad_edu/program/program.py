"""Straight-line code: one operation a line, forward first, then backward."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy import ndarray

from ..calculus import flatten
from ..errors import ShapeError
from ..tensor import Primitive, Tensor


class Name(str):
    """The name of a value, where a program could also have a number or text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


_ONLY_NAMES, _ONLY_INTS = frozenset({Name}), frozenset({int})  # the types in most tuples of operands, and of settings


@dataclass(eq=False, slots=True)  # not frozen: three times as fast to make, and programs may have 100 000 of them
class Line:
    """One operation: `name = op(operands, params)`. Not to be changed: `dataclasses.replace` makes another.

    operands : each a Name, or a literal (a Python number or NumPy scalar). params : what is not an operand; arrays in
    it (index arrays) are Names too. shape, dtype : of the result. kind : "forward" or "backward". named : whether a
    person gave the name, as an argument, a variable or `name=`; the gradient of such a value counts too.
    """

    name: Name
    op: Primitive
    operands: tuple[Any, ...]
    params: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    dtype: Any = np.float64
    kind: str = "forward"
    named: bool = False
    _uses: tuple[Name, ...] | None = field(default=None, init=False, repr=False)
    meaning: Any = field(default=None, init=False, repr=False)  # by which `passes.share` knows equal lines, once it asked

    def but(self, op: Primitive | None = None, operands: tuple[Any, ...] | None = None,
            params: dict[str, Any] | None = None, name: Name | None = None, named: bool | None = None) -> Line:
        """Another line: this one with another operation, other operands, parameters or another name."""
        return Line(name or self.name, op or self.op, self.operands if operands is None else operands,
                    self.params if params is None else params, self.shape, self.dtype, self.kind,
                    self.named if named is None else named)

    def uses(self) -> tuple[Name, ...]:
        """The names that are read, in the order they are written."""
        if self._uses is None:
            found = list(self.operands) if _ONLY_NAMES.issuperset(map(type, self.operands)) else [*names_in(self.operands)]
            for x in self.params.values():
                if type(x) is Name:
                    found.append(x)
                elif (type(x) is tuple and not _ONLY_INTS.issuperset(map(type, x))) or type(x) is list:
                    found += names_in(x)
            self._uses = tuple(found)
        return self._uses

    def __str__(self) -> str:
        inner = [str(x) if isinstance(x, Name) else repr(_plain_number(x)) for x in self.operands]
        inner += [f"{key}={_shown(value)}" for key, value in self.params.items()]
        return f"{self.name} = {self.op.name}({', '.join(inner)})"


def names_in(x: Any) -> Iterator[Name]:
    """The names in an operand or parameter; indices nest names in tuples."""
    if isinstance(x, Name):
        yield x
    elif isinstance(x, (tuple, list)):
        for item in x:
            yield from names_in(item)


def renamed(x: Any, names: Mapping[str, Any]) -> Any:
    """An operand or parameter with names replaced."""
    if isinstance(x, Name):
        return names.get(x, x)
    if type(x) is tuple and _ONLY_INTS.issuperset(map(type, x)):
        return x
    if type(x) in (tuple, list):
        return type(x)(renamed(item, names) for item in x)
    return x


def reworded(line: Line, by: Mapping[str, Any]) -> Line:
    """The line with names replaced."""
    for x in line.uses():
        if x in by:
            break
    else:
        return line
    operands = tuple([by.get(x, x) if type(x) is Name else renamed(x, by) for x in line.operands])
    params = {k: renamed(v, by) for k, v in line.params.items()} if line.params else {}
    return Line(line.name, line.op, operands, params, line.shape, line.dtype, line.kind, line.named)


def _plain_number(x: Any) -> Any:
    return x.item() if isinstance(x, np.generic) else x


def _shown(x: Any) -> str:
    return f"array{x.shape}" if isinstance(x, ndarray) else repr(x)


@dataclass(frozen=True)
class Input:
    """An argument, or one array of a nested argument."""

    name: Name
    shape: tuple[int, ...]
    dtype: Any


@dataclass(frozen=True, eq=False)
class Program:
    """A recorded function, forward and backward, as straight-line code.

    inputs : the arrays it takes, nested arguments flattened, in order. constants : name -> array, read-only. lines :
    the code. outputs : name -> the name of the line, input or constant that holds it; first the function's results,
    then the gradients, "d" + an input's name (with a number where that is taken).

    `str(program)` is the code; `program.run(*args)` interprets it with the primitives. Equal programs have the same
    structure, whatever their names.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.program import trace
    >>> def cost(a, b, c):
    ...     u = b * c
    ...     v = a + u
    ...     return 3 * v
    >>> program = trace(cost, 5, 3, 2)
    >>> print(program)
    cost(a, b, c):
        u = multiply(b, c)
        v = add(a, u)
        J = multiply(3, v)
        # backward
        db = multiply(3.0, c)
        dc = multiply(3.0, b)
        return J, da = 3.0, db, dc
    >>> program.run(5, 3, 2)
    {'J': np.float64(33.0), 'da': np.float64(3.0), 'db': np.float64(6.0), 'dc': np.float64(9.0)}
    >>> program == trace(lambda p, q, r: 3 * (p + q * r), 1, 1, 1)
    True
    """

    name: str
    inputs: tuple[Input, ...]
    constants: dict[Name, Any]
    lines: tuple[Line, ...]
    outputs: dict[str, Any]
    results: int = 1  # how many of the outputs are the function's own
    gradients: dict[str, Name] = field(default_factory=dict)  # "dZ" -> the value it is the gradient of, newest first
    numbers: dict[str, Any] = field(default_factory=dict)  # numbers the function had in variables: m, learning rates
    skipped: tuple[int, ...] = ()  # which of the flattened arguments were settings, not arrays
    derived: frozenset[str] = frozenset()  # constants that the engine made: nobody else holds them
    quiet: bool = False  # whether an overflow inside is no news: exp(−x) of a sigmoid far to the left is inf, and 1/inf is 0
    flats: tuple[Any, ...] = ()  # flat buffers whose parts are inputs (donate.py)
    updates: tuple[Any, ...] = ()  # inputs and flat buffers that take on new values at the end (donate.py)
    fixed: frozenset[str] = frozenset()  # constants that never change: arguments declared so, and what follows (constants.py)

    def __str__(self) -> str:
        text = [f"{self.name}({', '.join(x.name for x in self.inputs)}):"]
        text += [f"    {name} = constant array{np.shape(value)}" for name, value in self.constants.items()]
        backward = False
        for line in self.lines:
            if line.kind == "backward" and not backward:
                text.append("    # backward")
                backward = True
            text.append(f"    {line}")
        outs = []
        for key, out in self.outputs.items():
            value = str(out) if isinstance(out, Name) else repr(_plain_number(out))
            outs.append(key if key == value else f"{key} = {value}")
        return "\n".join([*text, "    return " + ", ".join(outs)])

    __repr__ = __str__

    @cached_property
    def key(self) -> Any:
        """The structure, without names: what equality and the hash go by."""
        number: dict[str, int] = {}

        def of(x: Any) -> Any:
            if isinstance(x, Name):
                return "name", number[x]
            if isinstance(x, (tuple, list)):
                return (type(x).__name__, *(of(item) for item in x))
            if isinstance(x, slice):
                return "slice", x.start, x.stop, x.step
            if isinstance(x, dict):
                return tuple((key, of(value)) for key, value in sorted(x.items()))
            if isinstance(x, ndarray):
                return "array", x.shape, x.dtype.str, x.tobytes()
            if isinstance(x, np.dtype):
                return "dtype", x.str
            return type(x).__name__, repr(x)

        parts: list[Any] = []
        for item in self.inputs:
            number[item.name] = len(number)
            parts.append((item.shape, np.dtype(item.dtype).str))
        for name, value in self.constants.items():
            number[name] = len(number)
            parts.append(of(np.asarray(value)))
        for line in self.lines:
            operands = tuple(of(x) for x in line.operands)
            parts.append((line.op.name, operands, of(line.params), line.shape, np.dtype(line.dtype).str, line.kind))
            number[line.name] = len(number)
        return (*parts, *(of(x) for x in self.outputs.values()))

    def put_away(self) -> Program:
        """The same, to be kept for long: without what was looked up in it."""
        for line in self.lines:
            line._uses = line.meaning = None
        return replace(self)

    @cached_property
    def kinds(self) -> tuple[dict[str, tuple[int, ...]], dict[str, Any]]:
        """The shapes and the dtypes of all values, by name."""
        shapes: dict[str, tuple[int, ...]] = {x.name: tuple(x.shape) for x in self.inputs}
        dtypes: dict[str, Any] = {x.name: None if x.dtype is None else np.dtype(x.dtype) for x in self.inputs}
        for name, value in self.constants.items():
            shapes[name], dtypes[name] = value.shape, value.dtype
        for flat in self.flats:
            shapes[flat.name], dtypes[flat.name] = (sum(math.prod(shapes[m]) for m in flat.members),), np.dtype(flat.dtype)
        names = [line.name for line in self.lines]
        of_lines, kinds = [line.shape for line in self.lines], [line.dtype for line in self.lines]
        shapes.update(zip(names, of_lines if {*map(type, of_lines)} <= {tuple} else map(tuple, of_lines), strict=True))
        proper = all(issubclass(kind, np.dtype) for kind in {*map(type, kinds)})
        dtypes.update(zip(names, kinds if proper else map(np.dtype, kinds), strict=True))
        return shapes, dtypes

    @cached_property
    def operations(self) -> frozenset[str]:
        """The names of the operations: what is not among them no pass needs to look for."""
        return frozenset([line.op.name for line in self.lines])

    @cached_property
    def line_of(self) -> dict[str, Line]:
        """The line that makes a value, by the value's name. Not to be changed."""
        return {line.name: line for line in self.lines}

    @cached_property
    def position(self) -> dict[str, int]:
        """The position of the line that makes a value. Not to be changed."""
        return {line.name: i for i, line in enumerate(self.lines)}

    @cached_property
    def uses(self) -> dict[str, int]:
        """How often every value is read, results and updates included."""
        counts: dict[str, int] = dict(Counter(chain.from_iterable([line.uses() for line in self.lines])))
        for name in (*chain.from_iterable(map(names_in, self.outputs.values())), *[update.value for update in self.updates]):
            counts[name] = counts.get(name, 0) + 1
        return counts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def run(self, *args: Any, everything: bool = False) -> dict[str, Any]:
        """Interpret the code on arguments nested as the traced ones, of the same shapes.

        Gives the outputs by name; with `everything` all values by name. Raises ShapeError where an argument's shape
        differs from the traced one.
        """
        leaves = [x for i, x in enumerate(flatten(tuple(args))[0]) if i not in self.skipped]
        if len(leaves) != len(self.inputs):
            raise ShapeError(f"{self.name}: the program takes {len(self.inputs)} arrays "
                             f"({', '.join(x.name for x in self.inputs)}), got {len(leaves)}.")
        values: dict[str, Any] = {str(name): value for name, value in self.constants.items()}
        for given, x in zip(leaves, self.inputs, strict=True):
            value = np.asarray(given.value if type(given) is Tensor else given)
            if value.shape != x.shape:
                raise ShapeError(f"{self.name}: {x.name} has shape {value.shape}, and the program was traced with {x.shape}. "
                                 "Trace the function again with the new shapes.")
            value = value.astype(x.dtype, copy=False)
            values[x.name] = value if value.ndim else value[()]
        for line in self.lines:
            values[line.name] = value_of(line, values)
        found = {key: values[out] if isinstance(out, Name) else out for key, out in self.outputs.items()}
        return values | found if everything else found


def value_of(line: Line, values: Mapping[str, Any]) -> Any:
    """What a line makes of the values it reads."""
    operands = [renamed(x, values) for x in line.operands]
    return evaluate(line.op, operands, {key: renamed(x, values) for key, x in line.params.items()})


def evaluate(op: Primitive, operands: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """One operation on arrays; where all operands are Python numbers, in float64."""
    if operands and not any(isinstance(x, (ndarray, np.generic)) for x in operands):
        operands = [np.float64(x) if isinstance(x, (int, float)) and not isinstance(x, bool) else x for x in operands]
    y = op(*operands, **params)
    return y[()] if type(y) is ndarray and not y.ndim else y


Pass = Callable[[Program], Program]
