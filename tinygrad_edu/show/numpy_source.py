"""The hand-written backprop that you would have written: a function, forward and backward, as NumPy code.

The function is traced, and every line of the program is written as the NumPy call that the engine makes (spelling.py);
what is used once and short stands inside the line that uses it. The code needs nothing but NumPy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from ..containers import flatten, is_object, leaf_paths
from ..errors import UnsupportedError
from ..program import Line, Name, Program
from ..program.algebra import dtypes_of, shapes_of
from ..program.passes import drop_unused, forward_names, share
from ..program.trace import trace_with_arguments
from ..rules.indexing import is_basic
from ..tensor import Tensor
from .short_backward import short_backward
from .source_passes import (
    OUTSIDE,
    Examples,
    any_order,
    argument_values,
    counted,
    course,
    examples_of,
    order_of,
    recognised,
    signs,
    spread_late,
    with_examples,
)
from .spelling import (
    HELPERS,
    STATEMENTS,
    TABLE,
    TWICE,
    Call,
    Code,
    helper_names,
    helper_titles,
    index_text,
    literal_array,
    needed_helpers,
    number,
    otherwise,
)

WIDTH = 100  # of a printed line
_INLINED = 72  # characters of what may stand inside another line
_LARGEST_LITERAL = 1000  # entries of a constant array that is written out


@dataclass(frozen=True)
class NumpySource:
    """NumPy code as text: `str(source)`, `source.source`; `source.save("backprop.py")` writes it.

    name : of the function in it. parameters : its arguments. outputs : what it returns, in order. captured : arrays that
    the traced function uses without taking them, too large to be written out, so that they are arguments here.
    """

    source: str
    name: str
    parameters: tuple[str, ...]
    outputs: tuple[str, ...]
    captured: dict[str, Any]

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return self.source

    def save(self, path: str | Path) -> Path:
        """Write the code to a file, in UTF-8; the path. A file that is there is written over."""
        path = Path(path)
        path.write_text(f"{self.source}\n", encoding="utf-8")
        return path

    def _repr_markdown_(self) -> str:
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", self.source)), default=0))
        return f"{fence}python\n{self.source}\n{fence}\n"


def numpy_source(f: Callable[..., Any] | Tensor, *args: Any, wrt: Any = None, convention: str = "math",
                 name: str | None = None) -> NumpySource:
    """A NumPy function that computes f and its gradients, forward and backward, in the names of f.

    The code stands alone: it imports NumPy (and Python's math, where f computes with single numbers), and can be pasted
    anywhere. It makes the NumPy calls that the engine makes, so that it gives the same numbers bit for bit. (Where gradients
    that lie in memory in different orders are added, as those of X and Xᵀ, a later sum may round its last digit otherwise.)

    Parameters
    ----------
    f : a function of arrays that returns one number, or a recorded result J. It is run once.
    args : numbers, arrays, Tensors, and nested dicts, lists and tuples of them. The code is for their shapes and dtypes.
    wrt : what to differentiate by, names or positions of arguments; by default the Tensors among them, or all arrays of
        floats where none is a Tensor; () for the forward pass alone.
    convention : "math" gives dJ/dZ everywhere; "course" puts the 1/m of the cost into dW and db, as the course's notes do,
        so that dZ = A − Y. The returned gradients are the same, but for rounding.
    name : of the printed function; by default that of f with _and_gradients.

    Returns
    -------
    NumpySource, whose `str` is the code. The function returns J, then a gradient for each of `wrt`, of its shape.

    Raises UnsupportedError where f decides a branch by a value, GradientError where it does not return one number,
    NamesError where `wrt` names no argument.

    >>> import numpy as np, tinygrad_edu as tg
    >>> def cost(w, x):
    ...     a = np.tanh(w @ x)
    ...     return np.sum(a * a)
    >>> print(tg.numpy_source(cost, np.ones((1, 2)), np.ones((2, 3)), wrt="w"))
    import numpy as np
    <BLANKLINE>
    <BLANKLINE>
    def cost_and_gradients(w, x):
        \"""J = cost(w, x), and dJ/dw, forward and backward.
    <BLANKLINE>
            w  (1, 2)
            x  (2, 3)
    <BLANKLINE>
        Returns J, dw. A gradient has the shape of what it belongs to.
        \"""
        assert w.shape == (1, 2) and x.shape == (2, 3)
    <BLANKLINE>
        # forward
        a = np.tanh(np.dot(w, x))               # (1, 3)
        J = np.sum(a * a)
    <BLANKLINE>
        # backward
        da = a + a                              # (1, 3)
        dw = np.dot(da * (1 - a * a), x.T)      # (1, 2)
    <BLANKLINE>
        return J, dw
    """
    if convention not in ("math", "course"):
        raise ValueError(f'numpy_source: convention={convention!r}: write "math" or "course".')
    program, arguments = trace_with_arguments(f, *args, wrt=wrt)
    for line in program.lines:
        if getattr(line.op.forward, "is_own", False):
            raise UnsupportedError(f"numpy_source: {line.op.name} is a primitive of your own, whose NumPy code is not known "
                                   "here. Write it with NumPy's functions, or give f itself where it is a checkpoint.")
    values = argument_values(program, args)
    program = recognised(program, values)
    for step in (forward_names, share, drop_unused):
        program = step(program)
    examples = examples_of(program)
    assumed: list[str] = []
    short = None
    if convention == "math":
        program = spread_late(program)
        program = signs(program, order_of(program, values))
    else:
        short = short_backward(program, arguments)
        if short is not None:
            program, examples = share(short.program), short.examples
        else:
            program = spread_late(course(program, examples))
        program = signs(program, any_order(program))
        assumed = short.checks() if short is not None else []
    program = with_examples(drop_unused(program), examples)
    by_hand = convention == "course" and bool(short.count if short is not None else examples)
    return _Writer(program, f, args, values, examples, name, by_hand, assumed).source()


# ---------------------------------------------------------------- writing


@dataclass
class _Statement:
    text: str
    shape: tuple[int, ...] = ()


class _Writer:
    """One program on its way to text."""

    def __init__(self, program: Program, f: Any, args: Sequence[Any], values: Sequence[Any], examples: Examples | None,
                 name: str | None, course: bool, assumed: Sequence[str]) -> None:
        self.program, self.f, self.args, self.examples, self.course = program, f, args, examples, course
        self.title = _identifier(name) if name else f"{program.name}_and_gradients"
        self.assumed = assumed
        self.line_of: dict[str, Line] = {line.name: line for line in program.lines}
        self.shapes, self.dtypes = shapes_of(program), dtypes_of(program)
        self.uses = counted(program)
        self.users: dict[str, list[Line]] = {}
        for line in program.lines:
            for used in line.uses():
                self.users.setdefault(used, []).append(line)
        if examples is not None:
            self.shapes[examples.name], self.dtypes[examples.name] = (), np.dtype(np.int64)
        self.rows = (any_order(program) if course else order_of(program, values)).rows
        self.returned = {out for out in program.outputs.values() if isinstance(out, Name)}
        self.single = all(np.dtype(line.dtype) in (np.float64, np.bool_, np.int64) for line in program.lines) and not any(
            isinstance(x, np.float32) for line in program.lines for x in line.operands)
        self.reserved: set[str] = set()

    # -- the whole

    def source(self) -> NumpySource:
        self.reserved = {"np", "math", self.title}
        body = self._body()
        clash = self.taken & set(self.helpers.values())
        if clash:  # a helper is called like a variable: the variable gives way
            self.reserved |= clash
            body = self._body()
        text = self._called("\n\n".join([*(HELPERS[key] for key in self.helpers), body]))
        imports = ("import math\n\n" if "math." in text else "") + "import numpy as np\n\n\n"
        returned = tuple(self.returns)
        return NumpySource(imports + text, self.title, tuple(self.parameters), returned, self.captured)

    def _body(self) -> str:
        """The function, with marks where helpers are called."""
        self.taken: set[str] = set()
        self.names: dict[str, str] = {}
        self.codes: dict[str, Code] = {}
        self.captured: dict[str, Any] = {}
        self.counter = 0
        for x in self.program.inputs:
            self._claim(x.name)
        named = [line.name for line in self.program.lines if line.named]
        for wanted in [*named, *(k for k in self.program.outputs)]:
            if wanted not in self.names:
                self._claim(wanted)
        self._nest()
        start = self._constants()
        self._chains()
        forward: list[_Statement] = []
        backward: list[_Statement] = []
        examples = self.examples
        if examples is not None and examples.argument is not None and self.uses.get(examples.name):
            m = self._claim(examples.name)
            in_forward = any(examples.name in line.uses() for line in self.program.lines if line.kind == "forward")
            (forward if in_forward else backward).append(
                _Statement(f"{m} = {self.names[examples.argument]}.shape[{examples.axis}]"))
        for line in self.program.lines:
            self._write(line, backward if line.kind == "backward" else forward)
        ends = self._ends(backward)
        keys = helper_names(" ".join(s.text for s in [*start, *forward, *backward]))
        needed = needed_helpers(keys)
        self.helpers = helper_titles(needed)
        for s in (*start, *forward, *backward):
            s.text = self._called(s.text)
        blocks = [[_Statement(text) for text in self.unpack] + self._asserts() + [_Statement(s) for s in self.assumed] + start]
        blocks = [block for block in blocks if block]
        lines: list[str] = []
        for block in blocks:
            lines += [*_laid_out(block), ""]
        if forward:
            lines += ["# forward", *_laid_out(forward), ""]
        if backward:
            lines += ["# backward", *_laid_out(backward), ""]
        lines += _wrapped(f"return {', '.join(ends)}")
        head = _wrapped(f"def {self.title}({', '.join(self.parameters)}):", 0)
        text = [*head, *_indented(self._docstring()), *_indented(lines)]
        return "\n".join(text)

    def _called(self, text: str) -> str:
        """The text with the names of helpers in place of their marks."""
        return re.sub("\0(.*?)\0", lambda mark: self.helpers[mark[1]], text)

    def _claim(self, wanted: str) -> str:
        """The name of a value of the program."""
        name = self.names[wanted] = self._free(wanted)
        self.codes[wanted] = Code(name)
        return name

    def _free(self, wanted: str) -> str:
        """A name like the wanted one that nothing else has."""
        name, k = str(wanted), 2
        while name in self.reserved:
            name += "_"
        base = name
        while name in self.taken:
            name, k = f"{base}_{k}", k + 1
        self.taken.add(name)
        return name

    def _temporary(self, line: Line) -> str:
        while True:
            self.counter += 1
            name = f"t{self.counter}"
            if name not in self.taken and name not in self.reserved:
                return self._claim_as(line.name, name)

    def _claim_as(self, key: str, name: str) -> str:
        self.taken.add(name)
        self.names[key] = name
        self.codes[key] = Code(name)
        return name

    # -- arguments

    def _nest(self) -> None:
        """The parameters, and the lines that unpack those that are dicts or lists."""
        self.unpack: list[str] = []
        self.nests: list[tuple[str, Any, list[Name]]] = []
        inputs = [x.name for x in self.program.inputs]
        if isinstance(self.f, Tensor):
            self.parameters = [self.names[x] for x in inputs]
            return
        titles = _argument_titles(self.f, len(self.args))
        self.parameters = []
        start = 0
        for arg, title in zip(self.args, titles, strict=True):
            count = len(flatten(arg)[0])
            own = inputs[start : start + count]
            start += count
            if (isinstance(arg, (dict, tuple, list)) or is_object(arg)) and not (count == 1 and flatten(arg)[0][0] is arg):
                name = self._free(_identifier(title))
                for (path, _), leaf in zip(_paths(arg), own, strict=True):
                    self.unpack.append(f"{self.names[leaf]} = {name}{path}")
                self.nests.append((name, arg, own))
                self.parameters.append(name)
            elif count:
                self.parameters.append(self.names[own[0]])
            else:  # None
                self.parameters.append(self._free(_identifier(title)))

    def _constants(self) -> list[_Statement]:
        out = []
        for const, value in self.program.constants.items():
            value = np.asarray(value)
            text = literal_array(value) if value.size <= _LARGEST_LITERAL or _is_plain(value) else None
            if text is not None and self.uses.get(const, 0) == 1 and len(text) <= 40 and re.fullmatch(r"c\d+", const):
                self.codes[const] = Code(text, 13)
                continue
            name = self._claim(const)
            if text is None:
                self.parameters.append(name)
                self.captured[name] = value
            else:
                out.append(_Statement(f"{name} = {text}"))
        return out

    def _asserts(self) -> list[_Statement]:
        checks = [f"{self.names[x.name]}.shape == {tuple(x.shape)}" for x in self.program.inputs if x.shape]
        checks += [f"{name}.shape == {value.shape}" for name, value in self.captured.items()]
        out: list[_Statement] = []
        line = ""
        for check in checks:
            longer = f"{line} and {check}" if line else f"assert {check}"
            if line and len(longer) > WIDTH - 4:
                out.append(_Statement(line))
                longer = f"assert {check}"
            line = longer
        return [*out, _Statement(line)] if line else []

    def _docstring(self) -> list[str]:
        gradients = list(self.program.outputs)[self.program.results :]
        called = f"{self.program.name}({', '.join(self.parameters[: len(self.parameters) - len(self.captured)])})"
        result = self.names[next(iter(self.program.outputs))]
        if isinstance(self.f, Tensor):
            called = "of what was recorded"
        of = [self.names[g] for g in gradients]
        if len(gradients) == 1:
            said = f", and d{result}/{of[0]}"
        elif 1 < len(gradients) <= 4:
            said = ", and " + ", ".join(f"d{result}/{x}" for x in of)
        elif not gradients:
            said = ""
        else:
            said = ", and its gradients"
        same = called.startswith(f"{result}(")
        backwards = ", forward and backward." if gradients else "."
        first = f"{'' if same else f'{result} = '}{called}{said}{backwards}"
        if len(first) > WIDTH - 7:
            first = f"{'' if same else f'{result} = '}{called}, and its gradients, forward and backward."
        if len(first) > WIDTH - 7:
            first = f"{result}, and its gradients, forward and backward."
        width = max((len(x) for x in [*(self.names[x.name] for x in self.program.inputs), *self.captured]), default=0)
        lines = ['"""' + first, ""]
        for x in self.program.inputs:
            dtype = "" if np.dtype(x.dtype) == np.float64 else f" of {np.dtype(x.dtype).name}"
            lines.append(f"    {self.names[x.name]:{width}}  {tuple(x.shape) if x.shape else 'a number'}{dtype}")
        for name, value in self.captured.items():
            lines.append(f"    {name:{width}}  {value.shape}, which {self.program.name} uses without taking it")
        returned = ", ".join(self.returns)
        lines.append("")
        if gradients:
            tail = "A gradient has the shape of what it belongs to."
            if len(returned) > 40:
                lines += [*_filled(f"Returns {returned}."), tail]
            else:
                lines.append(f"Returns {returned}. {tail}")
            if self.course:
                lines.append("In the convention of the notes: dZ is of one example's loss, and the 1/m comes with dW.")
        else:
            lines += _filled(f"Returns {returned}.")
        return [*lines, '"""']

    # -- lines

    def _chains(self) -> None:
        """Gradients of slices are added into one array of zeros, as the engine does: which lines share it."""
        self.target: dict[str, str] = {}  # a line -> the line whose name its array has
        self.into: dict[str, Line] = {}  # an addition -> the put that it adds in place
        absorbed: set[str] = set()
        for line in reversed(self.program.lines):
            if line.kind != "backward" or line.op.name != "add" or not line.shape:
                continue
            a, b = line.operands
            put = self.line_of.get(b) if isinstance(b, Name) else None
            if put is None or not self._adds_in_place(put) or self.uses[put.name] != 1 or put.named:
                continue
            self.into[line.name] = put
            absorbed.add(put.name)
            first = self.line_of.get(a) if isinstance(a, Name) else None
            if first is not None and self.uses[first.name] == 1 and not first.named and first.shape == line.shape and (
                    self._adds_in_place(first) or self._accumulates(first)):
                self.target[first.name] = self.target.get(line.name, line.name)
        self.absorbed = absorbed

    def _adds_in_place(self, line: Line) -> bool:
        return line.op.name == "put" and line.kind == "backward" and bool(line.shape) and is_basic(line.params["index"])

    def _accumulates(self, line: Line) -> bool:
        if line.kind != "backward" or line.op.name != "add":
            return False
        put = self.line_of.get(line.operands[1]) if isinstance(line.operands[1], Name) else None
        return put is not None and self._adds_in_place(put) and self.uses[put.name] == 1 and not put.named

    def _write(self, line: Line, block: list[_Statement]) -> None:
        if line.name in self.absorbed:
            return
        if line.name in self.into:
            self._add_in_place(line, self.into[line.name], block)
        elif line.op.name in STATEMENTS or line.op is OUTSIDE:
            self._write_statements(line, block)
        else:
            code = self._spelled(line)
            if self._inlined(line, code):
                self.codes[line.name] = code
                return
            if line.name in self.returned and line.shape and self._is_view(line):
                code = Code(f"{code.within(13)}.copy()")
            block.append(_Statement(f"{self._name(line)} = {code.text}", self.shapes[line.name]))

    def _name(self, line: Line) -> str:
        return self.names.get(line.name) or self._temporary(line)

    def _is_view(self, line: Line) -> bool:
        return line.op.name in ("identity", "transpose", "reshape", "getitem", "broadcast_to", "flip") or (
            line.op.name == "sum_to" and self.shapes[line.operands[0]] == line.shape)

    def _inlined(self, line: Line, code: Code) -> bool:
        if line.named or line.name in self.returned:
            return False
        users = self.users.get(line.name, ())
        if any(user.op.name in TWICE for user in users):
            return False
        if line.op.name == "broadcast_to" and self.shapes[line.name] != line.shape and not isinstance(line.operands[0], Name):
            return True  # a number
        if len(code.text) > _INLINED and code.text.count("(") + code.text.count(" ") > 1:
            return False
        if re.fullmatch(r"[0-9.]{1,6}", code.text):
            return True  # a number
        return self.uses.get(line.name, 0) <= 1 or self._is_cheap(line, code)

    def _is_cheap(self, line: Line, code: Code) -> bool:
        """Whether a person would write it again rather than name it: A1.T, 1 - A2, X[0]."""
        names = list({x for x in line.operands if isinstance(x, Name)})
        if len(names) != 1 or not re.fullmatch(r"[^\W\d]\w*", self.codes[names[0]].text) or len(code.text) > 16:
            return False
        if line.op.name in ("transpose", "getitem"):
            return line.op.name == "transpose" or is_basic(line.params["index"])
        return line.op.name in ("add", "subtract", "multiply") and len(code.text) <= 10 and (
            len(names) < len(line.operands))

    def _spelled(self, line: Line) -> Code:
        codes = [self._operand(x, line) for x in line.operands]
        shapes = [self.shapes[x] if isinstance(x, Name) else () for x in line.operands]
        dtypes = [self.dtypes[x] if isinstance(x, Name) else None for x in line.operands]
        spreads = line.op.name == "broadcast_to" and self._spreads_itself(line)
        if spreads:
            self.shapes[line.name] = shapes[0]
        call = Call(line, codes, shapes, dtypes, lambda key: f"\0{key}\0", self._parameter,
                    lambda shape: self._shape_text(line, shape), spreads)
        if line.op.name in ("add.reduce", "add.reduce.as"):  # with a dtype, a start or a mask
            return _as_sum(call)
        return TABLE.get(line.op.name, otherwise)(call)

    def _operand(self, x: Any, line: Line) -> Code:
        if isinstance(x, Name):
            return self.codes[x]
        exact = False
        if isinstance(x, np.generic) and x.dtype.kind == "f":
            others = {self.dtypes[a] for a in line.operands if isinstance(a, Name)}
            weak = {d for d in others if d.kind == "f"}
            exact = bool(weak - {x.dtype}) or (x.dtype != np.float64 and not weak)
            if not others:
                exact = not self.single
            if x.dtype == np.float32 and line.op.name not in _SIMPLE:  # a helper may compute with it alone
                exact = True
        elif isinstance(x, np.integer):  # as strong as an array of its type: with float32 it makes float64
            exact = any(self.dtypes[a] == np.float32 for a in line.operands if isinstance(a, Name))
        return number(x, exact)

    def _parameter(self, x: Any) -> str:
        if isinstance(x, Name):
            return self.codes[x].text
        if isinstance(x, tuple):
            inner = [self._parameter(item) for item in x]
            return f"({inner[0]},)" if len(inner) == 1 else f"({', '.join(inner)})"
        if isinstance(x, slice) or x is Ellipsis:
            return f"np.s_[{index_text(x, self._parameter)}]"
        if isinstance(x, ndarray):
            return literal_array(x) if x.ndim else number(x[()]).text
        if isinstance(x, np.dtype) or (isinstance(x, type) and issubclass(x, np.generic)):
            return f"np.{np.dtype(x).name}" if np.dtype(x) != np.bool_ else "bool"
        if isinstance(x, (int, float, np.generic)):
            return number(x).text
        return repr(x)

    def _shape_text(self, line: Line, shape: tuple[int, ...]) -> str:
        name = self.target.get(line.name, line.name)
        of = name[1:] if name[:1] == "d" else ""
        of = next((n for n in (of, of.removesuffix("_sum")) if n in self.codes), "")
        if of and self.shapes.get(of) == shape and self.codes[of].text.isidentifier():
            return f"{self.codes[of].text}.shape"
        return str(shape)

    def _spreads_itself(self, line: Line) -> bool:
        """Whether every use is an entrywise operation with an array of the full shape, in C order: it broadcasts."""
        users = self.users.get(line.name, ())
        if line.named or line.name in self.returned or not users:
            return False
        for user in users:
            if user.op.name == "put" and not self.shapes.get(line.operands[0], ()):
                continue
            if user.op.kind != "pointwise" or user.op.name == "identity" or user.name in self.into:
                return False
            if user.op.name in ("gate", "where") and (np.dtype(line.dtype) != np.float64 or line.name == user.operands[
                    ["where", "gate"].index(user.op.name)]):
                return False
            others = [x for x in user.operands if isinstance(x, Name) and x != line.name]
            if not any(self.shapes[x] == user.shape and x in self.rows for x in others):
                return False
        return True

    def _index(self, index: Any) -> str:
        return index_text(index, self._parameter)

    def _zeros(self, line: Line) -> str:
        kind = "" if np.dtype(line.dtype) == np.float64 else f", dtype=np.{np.dtype(line.dtype).name}"
        return f"np.zeros({self._shape_text(line, line.shape)}{kind})"

    def _variable(self, line: Line) -> str:
        """The name of the array that a chain of additions fills."""
        last = self.line_of[self.target.get(line.name, line.name)]
        name = self._name(last)
        self.codes[line.name] = Code(name)
        return name

    def _add_in_place(self, line: Line, put: Line, block: list[_Statement]) -> None:
        first = line.operands[0]
        name = self._variable(line)
        code = self._operand(first, line)
        if code.text != name:
            shape = self.shapes[first] if isinstance(first, Name) else ()
            if shape != line.shape:
                shape_text = self._shape_text(line, line.shape)
                if isinstance(first, int):
                    code = number(float(first))
                ones = not isinstance(first, Name) and first == 1 and line.dtype == np.float64
                code = Code(f"np.ones({shape_text})" if ones else f"np.full({shape_text}, {code.text})")
            elif code.text.isidentifier() or self._is_view_code(first):
                code = Code(f"np.array({code.text})")
            block.append(_Statement(f"{name} = {code.text}", line.shape))
        value = self._operand(put.operands[0], put)
        block.append(_Statement(f"{name}[{self._index(put.params['index'])}] += {value.text}"))

    def _is_view_code(self, x: Any) -> bool:
        line = self.line_of.get(x)
        return line is None or self._is_view(line)

    def _write_statements(self, line: Line, block: list[_Statement]) -> None:
        """put, scatter, assign, and the mask of what assign leaves."""
        op = line.op.name
        index = line.params["index"]
        if not line.shape and op != "scatter":
            value = self._operand(line.operands[-1], line) if line.operands else Code("True")
            shape = self.shapes[line.operands[-1]] if isinstance(line.operands[-1], Name) else ()
            code = Code(f"{value.within(13)}[{', '.join('0' for _ in shape)}]") if shape else value
            if op == "assign" and not isinstance(line.operands[-1], Name) and np.dtype(line.dtype) != np.float64:
                code = Code(f"np.{np.dtype(line.dtype).name}({code.text})")
            block.append(_Statement(f"{self._name(line)} = {code.text}"))
            return
        name = self._variable(line) if line.name in self.target else self._name(line)
        values = self._operand(line.operands[-1], line).text if line.operands else "False"
        at = self._index(index)
        if op == "assign":
            block.append(_Statement(f"{name} = np.array({self._operand(line.operands[0], line).text})", line.shape))
            block.append(_Statement(f"{name}[{at}] = {values}"))
        elif op == "put":
            block.append(_Statement(f"{name} = {self._zeros(line)}", line.shape))
            block.append(_Statement(f"{name}[{at}] {'+=' if self._adds_in_place(line) else '='} {values}"))
        elif op == "scatter":
            block.append(_Statement(f"{name} = {self._zeros(line)}", line.shape))
            where = f"np.s_[{at}]" if _has_slices(index) else self._parameter(index)
            block.append(_Statement(f"np.add.at({name}, {where}, {values})"))
        else:
            block.append(_Statement(f"{name} = np.ones({line.shape}, dtype=bool)", line.shape))
            block.append(_Statement(f"{name}[{at}] = False"))

    # -- what is returned

    def _ends(self, block: list[_Statement]) -> list[str]:
        """The names that are returned; nested arguments get nested gradients."""
        given: set[str] = set()
        held: dict[str, str] = {}
        for key, out in self.program.outputs.items():
            own = self.names[key]
            shape = self._output_shape(key, out)
            if isinstance(out, Name) and out == key and out in self.line_of:
                pass
            else:
                code = self._operand_text(out)
                source = self.shapes[out] if isinstance(out, Name) else ()
                if shape != source:
                    code = f"np.full({self._parameter(shape)}, {code})"
                elif shape:
                    code = f"{code}.copy()"
                if code != own:
                    block.append(_Statement(f"{own} = {code}", shape))
            given.add(own)
            held[key] = own
        self.returns = []
        keys = list(self.program.outputs)
        results, gradients = keys[: self.program.results], keys[self.program.results :]
        self.returns += [held[key] for key in results]
        done: set[str] = set()
        for key in gradients:
            if key in done:
                continue
            nest = next((n for n in self.nests if key[1:] in n[2] and all(f"d{x}" in held for x in n[2])), None)
            if nest is None:
                self.returns.append(held[key])
                continue
            title = self._free(f"d{nest[0]}")
            text = _nested_text(nest[1], iter([held[f"d{x}"] for x in nest[2]]))
            block.append(_Statement(f"{title} = {text}"))
            self.returns.append(title)
            done.update(f"d{x}" for x in nest[2])
        return list(self.returns)

    def _operand_text(self, x: Any) -> str:
        return self.codes[x].within(13) if isinstance(x, Name) else number(x, not self.single).text

    def _output_shape(self, key: str, out: Any) -> tuple[int, ...]:
        for x in self.program.inputs:
            if key == f"d{x.name}":
                return tuple(x.shape)
        return self.shapes[out] if isinstance(out, Name) else ()


def _as_sum(c: Call) -> Code:
    """np.add.reduce is np.sum."""
    given = [f"{key}={c.spell(value[0] if key == 'axis' and isinstance(value, tuple) and len(value) == 1 else value)}"
             for key, value in c.params.items() if value is not None and value is not False]
    return Code(f"np.sum({', '.join([*c.all_texts(), *given])})", 13)


_SIMPLE = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "broadcast_to", "where", "gate")


def _has_slices(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(p, slice) or p is Ellipsis for p in parts)


def _is_plain(value: ndarray) -> bool:
    return len(literal_array(value)) < 80 if value.size < 10_000_000 and _repeats(value) else False


def _repeats(value: ndarray) -> bool:
    flat = value.reshape(-1)
    return bool((flat == flat[0]).all()) or (value.dtype.kind == "i" and bool(np.array_equal(flat, np.arange(flat.size))))


def _identifier(text: str) -> str:
    from ..program.naming import as_identifier

    return as_identifier(text)


def _argument_titles(f: Any, count: int) -> list[str]:
    from ..program.naming import argument_names

    return argument_names(f, count)


def _quoted(key: Any) -> str:
    """A key of a dict as code, in double quotes."""
    return json.dumps(key) if isinstance(key, str) else repr(key)


def _paths(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """How each leaf of a nested argument is reached, in the order of `flatten`."""
    if tree is None:
        return []
    if isinstance(tree, dict):
        return [x for key, item in tree.items() for x in _paths(item, f"{path}[{_quoted(key)}]")]
    if isinstance(tree, tuple) or (isinstance(tree, list) and not (len(flatten(tree)[0]) == 1 and flatten(tree)[0][0] is tree)):
        return [x for i, item in enumerate(tree) for x in _paths(item, f"{path}[{i}]")]
    if is_object(tree):
        return [(path + "".join(place), None) for place in leaf_paths(tree)]
    return [(path, tree)]


def _nested_text(tree: Any, names: Any) -> str:
    if tree is None:
        return "None"
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{_quoted(key)}: {_nested_text(item, names)}" for key, item in tree.items()) + "}"
    if isinstance(tree, tuple):
        inner = [_nested_text(item, names) for item in tree]
        return f"({inner[0]},)" if len(inner) == 1 else f"({', '.join(inner)})"
    if is_object(tree):  # the code stands alone, without its class: a dict of its fields
        return "{" + ", ".join(f"{_quoted(''.join(place).lstrip('.'))}: {next(names)}" for place in leaf_paths(tree)) + "}"
    if isinstance(tree, list) and not (len(flatten(tree)[0]) == 1 and flatten(tree)[0][0] is tree):
        return "[" + ", ".join(_nested_text(item, names) for item in tree) + "]"
    return next(names)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- layout


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]


def _filled(text: str) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > WIDTH - 8:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def _laid_out(block: Sequence[_Statement]) -> list[str]:
    """Statements with the shapes of arrays behind them, in a column where there is room."""
    lines: list[str] = []
    widths = [len(s.text) for s in block if s.shape and len(s.text) <= 64]
    column = max([40, *(w + 2 for w in widths)])
    for s in block:
        wrapped = _wrapped(s.text)
        if s.shape:
            comment = f"# {tuple(s.shape)}"
            last = wrapped[-1]
            gap = max(column - len(last), 2)
            if len(last) + gap + len(comment) <= WIDTH - 4:
                wrapped[-1] = last + " " * gap + comment
            elif len(last) + 2 + len(comment) <= WIDTH - 4:
                wrapped[-1] = f"{last}  {comment}"
        lines += wrapped
    return lines


def _loose_at_top(text: str) -> bool:
    """Whether there is a sum outside of all brackets."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c in "([{") - (c in ")]}")
        if not depth and text[i : i + 3] in (" + ", " - "):
            return True
    return False


def _closes(text: str) -> int:
    """Where the first bracket closes."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c in "([{") - (c in ")]}")
        if not depth and c in ")]}":
            return i
    return -1


def _wrapped(text: str, indent: int = 4) -> list[str]:
    """A statement on as many lines as it needs, broken inside brackets."""
    room = WIDTH - indent
    if len(text) <= room:
        return [text]
    if "(" not in text and "[" not in text and text.startswith("return "):
        text = f"return ({text[7:]})"
    head, equals, value = text.partition(" = ")
    if equals and value.startswith("np.array([[") and _closes(value) == len(value) - 1:
        body, end = value.rsplit("]]", 1)
        rows = [row + "]," for row in body.split("], [")]
        first = rows[0].removeprefix("np.array(")
        laid = [f"{head} = np.array([", *_wrapped("    " + first[1:], indent)]
        for row in rows[1:]:
            laid += _wrapped("    [" + row, indent)
        return [*laid, "]" + end]
    if equals and head.isidentifier() and _loose_at_top(value):
        text = f"{head} = ({value})"
    lines: list[str] = []
    opened = 0  # brackets that the lines so far leave open
    hang = "        " if text.startswith("def ") else "    "
    while len(text) > room:
        places, depth, quoted = [], 0, False
        for i, c in enumerate(text):
            quoted ^= c == '"'
            depth += (c in "([{") - (c in ")]}")
            if c == " " and depth and opened + depth > 0 and not quoted and len(hang) < i <= room:
                loose = text[i - 1] == "," or text[i + 1 : i + 3] in ("+ ", "- ")
                tight = text[i + 1 : i + 3] in ("* ", "/ ", "@ ")
                if loose or tight:
                    places.append((-depth if loose else -depth - 1, i))
        if not places:
            head, equals, value = text.partition(" = ")
            if not lines and equals and not value.startswith("("):
                text = f"{head} = ({value})"
                continue
            break
        best = max(d for d, _ in places)
        i = max(i for d, i in places if d == best)
        lines.append(text[:i])
        opened += sum((c in "([{") - (c in ")]}") for c in text[:i])
        text = hang + text[i + 1 :]
    return [*lines, text]
