"""The command line: a forward pass as text in, its value, every intermediate and every derivative out.

    python -m tinygrad_edu "J = 3*(a + b*c)" a=5 b=3 c=2
    python -m tinygrad_edu source FILE.py:function

An expression is parsed to a syntax tree and walked; only the operations listed here are done, on sizes that were checked
before. It is never evaluated as Python code. A file that is named is run, as Python would run it.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import inspect
import json
import keyword
import math
import os
import platform
import re
import sys
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from . import __version__, nn, ops
from .backprop import Graph
from .calculus import flatten
from .errors import TinygradError
from .show.chain_rule import Explanation, Row, explain
from .show.notation import array_text, in_ascii
from .tensor import Tensor

LONGEST = 20_000  # characters of an expression or a value
DEEPEST = 150  # levels of nesting
LARGEST_EXPONENT = 1000
MOST_ENTRIES = 10_000_000  # of an array
MOST_ENTRIES_IN_ALL = 20 * MOST_ENTRIES
LARGEST_FILE = 200 * 2**20  # bytes

_USAGE = 'python -m tinygrad_edu "J = 3*(a + b*c)" a=5 b=3 c=2'
_HELP = f"""\
Write a forward pass; see its value, every intermediate, and every derivative with its chain rule.

  {_USAGE}
  {_USAGE} --draw J.svg
  python -m tinygrad_edu "z = w*x + b; L = -log(sigmoid(z))" w=2 x=1 b=-3
  python -m tinygrad_edu "J = sum((W @ x)**2)" "W=[[1,2],[3,4]]" "x=[1,-1]"
  python -m tinygrad_edu "J = mean((w.T @ X + b - Y)**2)" w=@w.npy X=@X.csv Y=@Y.csv b=0
  python -m tinygrad_edu doctor
  python -m tinygrad_edu source FILE.py:function   (also formulas, explain, draw; see source --help)

The expression is Python's arithmetic with NumPy's functions; several statements are separated by ; or new lines, and the
last one is differentiated. A value is a number, a (nested) list, or @file.npy or @file.csv.
"""


class InputError(Exception):
    """What is wrong with the input, in one line, and where: a line of text and a column in it."""

    def __init__(self, message: str, line: str = "", column: int = 0) -> None:
        super().__init__(message)
        self.message, self.line, self.column = " ".join(message.split()), line, column

    def __str__(self) -> str:
        if not self.line:
            return f"error: {self.message}"
        start = max(0, min(self.column - 60, len(self.line) - 90))
        shown = "".join(c if c.isprintable() else "?" for c in self.line[start : start + 90])
        before = shown[: self.column - start]
        wide = sum(unicodedata.east_asian_width(c) in "WF" for c in before)
        return f"error: {self.message}\n  {shown}\n  {' ' * (len(before) + wide)}^"


# ---------------------------------------------------------------- what may be called

_NAMES = """
    absolute abs negative reciprocal square sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan
    sinh cosh tanh arcsinh arccosh arctanh sinc sign floor ceil trunc rint degrees radians erf
    sigmoid log_sigmoid softplus relu leaky_relu elu gelu silu softmax log_softmax logsumexp
    sum mean max min prod var std cumsum cumprod trace average
    add subtract multiply divide power maximum minimum hypot arctan2 logaddexp where clip
    dot matmul inner outer reshape ravel transpose squeeze expand_dims concatenate stack vstack hstack diag diagonal
"""
FUNCTIONS: dict[str, Callable[..., Any]] = {name: getattr(ops, name) for name in _NAMES.split()}
FUNCTIONS |= {name: getattr(nn.losses, name) for name in (
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "categorical_cross_entropy", "cross_entropy")}
FUNCTIONS |= {"ln": ops.log, "σ": ops.sigmoid}
CONSTANTS = {"pi": math.pi, "π": math.pi, "e": math.e}
_PRODUCTS = {"dot", "matmul", "inner"}
_ENTRYWISE = {"add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "hypot", "arctan2", "logaddexp", "where",
              "clip", "binary_cross_entropy", "binary_cross_entropy_with_logits"}
_JOINS = {"concatenate", "stack", "vstack", "hstack"}
_OPERATORS: dict[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", ops.add), ast.Sub: ("-", ops.subtract), ast.Mult: ("*", ops.multiply), ast.Div: ("/", ops.divide),
    ast.FloorDiv: ("//", ops.floor_divide), ast.Mod: ("%", ops.remainder), ast.Pow: ("**", ops.power),
    ast.MatMult: ("@", ops.matmul),
}
_MASKS: dict[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.BitAnd: ("&", np.logical_and), ast.BitOr: ("|", np.logical_or)}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Gt: ops.greater, ast.GtE: ops.greater_equal, ast.Lt: ops.less, ast.LtE: ops.less_equal, ast.Eq: ops.equal,
    ast.NotEq: ops.not_equal,
}
_TOO_DEEP = f"nested more than {DEEPEST} levels deep. Name some parts, as in u = ...; J = 3*u."
_MODULES = {"np", "numpy", "tg", "tinygrad_edu", "nn"}  # np.exp is exp
_AS_TYPED = str.maketrans("−·⋅×⊙÷", "-****/")  # signs that people paste, each as long as what Python writes


# ---------------------------------------------------------------- from text to values

class Reader:
    """Walks the syntax tree of one text, doing what it says on Tensors."""

    def __init__(self, text: str, values: dict[str, Any], prefix: str = "") -> None:
        self.values, self.prefix = values, prefix
        self.used: set[str] = set()
        self.entries = 0
        if len(text) > LONGEST:
            raise InputError(f"the text has {len(text):,} characters, more than {LONGEST:,}.", prefix + text[:80])
        self.lines = _flush_left(text.translate(_AS_TYPED))
        self.tree = self._parsed()

    def _parsed(self) -> ast.Module:
        text = "\n".join(self.lines)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # remarks on style, such as a backslash in a string
                tree = ast.parse(text)
        except SyntaxError as error:
            message = error.msg.removesuffix(".")
            told = re.search(r"(?<![\w.])([\d.]+)([^\W\d]\w*)", text)
            product = f"{told[1]}*{told[2]}" if told else "3*a"
            message = {"invalid decimal literal": f"a name cannot begin with a digit: for a product write {product}",
                       "invalid syntax": "this is not arithmetic as Python writes it"}.get(message, message)
            raise self._problem(f"{message}.", error.lineno or 1, (error.offset or 1) - 1) from None
        except (ValueError, MemoryError, RecursionError, OverflowError) as error:
            message = f"{error}." if isinstance(error, ValueError) else _TOO_DEEP
            raise self._problem(message, 1, 0) from None
        level: list[ast.AST] = [tree]
        for _ in range(DEEPEST + 3):
            level = [child for node in level for child in ast.iter_child_nodes(node)]
            if not level:
                return tree
        deep = next((n for n in level if isinstance(n, (ast.expr, ast.stmt))), None)
        where = (deep.lineno, self._column(deep.lineno, deep.col_offset)) if deep is not None else (1, 0)
        raise self._problem(_TOO_DEEP, *where)

    def _column(self, line: int, offset: int) -> int:
        """The syntax tree counts bytes, people count characters."""
        return len(self.lines[line - 1].encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "ignore"))

    def _problem(self, message: str, line: int, column: int) -> InputError:
        shown = self.lines[min(line, len(self.lines)) - 1] if self.lines else ""
        return InputError(message, self.prefix + shown, len(self.prefix) + max(0, min(column, len(shown))))

    def at(self, node: ast.expr | ast.stmt, message: str) -> InputError:
        """A problem with the part of the text that a node stands for; of an operation, at its sign."""
        line, column = node.lineno, self._column(node.lineno, node.col_offset)
        if isinstance(node, ast.Attribute) and node.end_lineno is not None:
            line, column = node.end_lineno, self._column(node.end_lineno, node.end_col_offset or 0) - len(node.attr)
        if isinstance(node, ast.BinOp) and node.left.end_lineno == node.right.lineno:
            line = node.right.lineno
            start = self._column(line, node.left.end_col_offset or 0)
            between = self.lines[line - 1][start : self._column(line, node.right.col_offset)]
            sign = (_OPERATORS | _MASKS).get(type(node.op), ("^",))[0]
            column = start + max(between.find(sign), 0)
        return self._problem(message, line, column)

    # -- statements

    def run(self) -> tuple[str, Any]:
        """Do all statements; the name (empty where none was given) and value of the last one."""
        if not self.tree.body:
            raise InputError(f"there is no expression. Try: {_USAGE}")
        name, value = "", None
        for statement in self.tree.body:
            if isinstance(statement, ast.Expr):
                value = self.visit(statement.value)
                name = value.name or "" if type(value) is Tensor and value.op is not None else ""
            elif isinstance(statement, ast.Assign):
                target = statement.targets[0]
                if len(statement.targets) > 1 or not isinstance(target, ast.Name):
                    raise self.at(target, "only a name can be assigned to, as in u = a*b.")
                name, value = target.id, self._assigned(target.id, self.visit(statement.value))
            elif isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
                left = ast.copy_location(ast.Name(statement.target.id, ast.Load()), statement.target)
                together = ast.copy_location(ast.BinOp(left, statement.op, statement.value), statement)
                name, value = left.id, self._assigned(left.id, self.visit(together))
            else:
                raise self.at(statement, "only arithmetic and assignments (u = a*b) are understood.")
        return name, value

    def _assigned(self, name: str, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            value = _operand(value)
        if type(value) is Tensor:
            if value.name is not None or value.op is None:
                value = ops.copy(value)  # v = u: a name of its own
            value.name = name
        self.values[name] = value
        return value

    # -- expressions

    def visit(self, node: ast.expr) -> Any:
        """The value of an expression."""
        method = _VISITS.get(type(node))
        if method is None:
            kind = type(node).__name__
            raise self.at(node, f"{_SPOKEN.get(kind, kind)} cannot be used here: only arithmetic, functions, indexing and "
                                "lists of numbers.")
        return getattr(self, method)(node)

    def _doing(self, node: ast.expr, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """An operation whose errors point at the node."""
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = operation(*args, **kwargs)
        except InputError:
            raise
        except (TinygradError, ArithmeticError, LookupError, TypeError, ValueError, MemoryError) as error:
            message = str(error).strip() or type(error).__name__
            if isinstance(error, TypeError) and "() " in message:  # Python's, about the arguments of a function
                message = f"{getattr(operation, '__name__', 'function')}: {message.split('() ', 1)[1]}"
            raise self.at(node, message if message.endswith((".", "?", "!")) else f"{message}.") from None
        self.entries += np.size(value.value if type(value) is Tensor else value)
        if self.entries > MOST_ENTRIES_IN_ALL:
            raise self.at(node, f"all results together have more than {MOST_ENTRIES_IN_ALL:,} entries.")
        return value

    def _constant(self, node: ast.Constant) -> Any:
        value = node.value
        if isinstance(value, bool) or value is None or value is Ellipsis or isinstance(value, str):
            return value
        if isinstance(value, int):
            if abs(value) < 2**53:
                return value
            try:
                value = float(value)
            except OverflowError:
                value = math.inf
        if not isinstance(value, float) or not math.isfinite(value):
            raise self.at(node, "this is not a real number that fits: the largest is about 1.8e308.")
        return value

    def _name(self, node: ast.Name) -> Any:
        name = node.id
        if name in self.values:
            self.used.add(name)
            return self.values[name]
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in FUNCTIONS:
            raise self.at(node, f"{name} is a function: write {name}(...).")
        near = difflib.get_close_matches(name, [*self.values, *FUNCTIONS, *CONSTANTS], n=3, cutoff=0.6)
        if not near and self.values:
            near = [n for n in self.values if n.lower() == name.lower()]
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        raise self.at(node, f"the name {name} has no value.{meant} Give it one after the expression: {name}=...")

    def _list(self, node: ast.List) -> Any:
        return [self.visit(item) for item in node.elts]

    def _tuple(self, node: ast.Tuple) -> Any:
        return tuple(self.visit(item) for item in node.elts)

    def _unary(self, node: ast.UnaryOp) -> Any:
        value = self.visit(node.operand)
        if isinstance(node.op, ast.Invert):
            return self._doing(node, np.logical_not, value)
        if isinstance(node.op, ast.Not):
            raise self.at(node, "not has no derivative. For a mask write ~(a > 0).")
        if type(value) in (int, float):
            return -value if isinstance(node.op, ast.USub) else value
        return self._doing(node, ops.negative if isinstance(node.op, ast.USub) else ops.positive, self._number(node, value))

    def _binary(self, node: ast.BinOp) -> Any:
        a, b = self.visit(node.left), self.visit(node.right)
        if type(node.op) in _MASKS:
            return self._doing(node, _MASKS[type(node.op)][1], a, b)
        if type(node.op) not in _OPERATORS:
            raise self.at(node, "this sign has no derivative. For a power write **." if isinstance(node.op, ast.BitXor)
                          else "this sign has no derivative.")
        sign, operation = _OPERATORS[type(node.op)]
        a, b = self._number(node.left, a), self._number(node.right, b)
        if sign == "**":
            self._check_exponent(node.right, b)
        if sign == "@" and not all(np.shape(self._plain(x)) for x in (a, b)):
            raise self.at(node, "matmul: a single number has no matrix product. Use * to scale.")
        self._check_size(node, a, b, product=sign == "@")
        if type(a) in (int, float) and type(b) in (int, float):
            return self._of_numbers(node, sign, a, b)
        return self._doing(node, operation, a, b)

    def _of_numbers(self, node: ast.BinOp, sign: str, a: float, b: float) -> Any:
        """Arithmetic on literals; whole numbers stay whole, for axes and indices."""
        whole = type(a) is int and type(b) is int and sign in ("+", "-", "*", "//", "%")
        if sign in ("/", "//", "%") and b == 0:
            raise self.at(node, "division by zero.")
        value = float(self._doing(node, _OPERATORS[type(node.op)][1], np.float64(a), np.float64(b)))
        if not math.isfinite(value):
            raise self.at(node, "this is not a real number.")
        return int(value) if whole and abs(value) < 2**53 else value

    def _comparison(self, node: ast.Compare) -> Any:
        operation = _COMPARISONS.get(type(node.ops[0]))
        if len(node.ops) > 1 or operation is None:
            raise self.at(node, "one comparison at a time: >, >=, <, <=, == or !=, joined by & or |.")
        a, b = (self._number(x, self.visit(x)) for x in (node.left, node.comparators[0]))
        self._check_size(node, a, b)
        return self._doing(node, operation, a, b)

    def _attribute(self, node: ast.Attribute) -> Any:
        if self._is_module(node.value):
            name = node.attr
            if name in CONSTANTS:
                return CONSTANTS[name]
            raise self.at(node, f"{name} is a function: write {name}(...)." if name in FUNCTIONS else self._unknown(name))
        value = self.visit(node.value)
        if node.attr in ("T", "mT"):
            turn = ops.transpose if node.attr == "T" else ops.matrix_transpose
            return self._doing(node, turn, self._number(node.value, value))
        if node.attr == "shape":
            return tuple(np.shape(value.value if type(value) is Tensor else value))
        if node.attr in ("size", "ndim"):
            return int(getattr(np.asarray(value.value if type(value) is Tensor else value), node.attr))
        raise self.at(node, f"{node.attr} is a function: write .{node.attr}(...)." if node.attr in FUNCTIONS
                      else f".{node.attr} is not known here. There are .T, .shape, .size and the functions, as in x.sum().")

    def _is_module(self, node: ast.expr) -> bool:
        while isinstance(node, ast.Attribute) and node.attr in _MODULES:
            node = node.value
        return isinstance(node, ast.Name) and node.id in _MODULES and node.id not in self.values

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, FUNCTIONS, n=3, cutoff=0.5)
        meant = f" Did you mean {' or '.join(near)}?" if near else f" There are {', '.join(list(FUNCTIONS)[8:28])}, ..."
        return f"there is no function {name}.{meant}"

    def _call(self, node: ast.Call) -> Any:
        called, first = node.func, []
        if isinstance(called, ast.Name):
            name = called.id
        elif isinstance(called, ast.Attribute):
            name = called.attr
            if not self._is_module(called.value):
                first = [self.visit(called.value)]
        else:
            raise self.at(node, "only a function can be called. For a product write *, as in 3*(a + b).")
        if name not in FUNCTIONS:
            if name in self.values:
                raise self.at(called, f"{name} is a value, not a function. For a product write {name}*(...).")
            raise self.at(called, self._unknown(name))
        if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
            raise self.at(node, f"{name}: write out the arguments one by one.")
        args = [*first, *(self.visit(a) for a in node.args)]
        args = [self._argument(node, name, i, a) for i, a in enumerate(args)]
        kwargs = {str(k.arg): self.visit(k.value) for k in node.keywords}
        self._check_call(node, name, args)
        return self._doing(node, _named(name), *args, **kwargs)

    def _argument(self, node: ast.Call, name: str, place: int, value: Any) -> Any:
        """Numbers as floats, where whole numbers would overflow; axes and shapes stay whole."""
        data = name in _ENTRYWISE or place == 0
        if isinstance(value, (list, tuple)) and data and name not in _JOINS:
            return self._number(node, value)
        return float(value) if type(value) is int and data else value

    def _check_call(self, node: ast.Call, name: str, args: list[Any]) -> None:
        if name == "power" and len(args) > 1:
            self._check_exponent(node, args[1])
        if name in _PRODUCTS and len(args) == 2:
            self._check_size(node, *(self._number(node, a) for a in args), product=True)
        elif name == "outer" and len(args) == 2:
            sizes = [np.size(self._plain(a)) for a in args]
            self._refuse_size(node, math.prod(sizes))
        elif name == "diag" and args and np.ndim(self._plain(args[0])) == 1:
            self._refuse_size(node, np.size(self._plain(args[0])) ** 2)
        elif name in _ENTRYWISE:
            self._check_size(node, *args)
        elif name in _JOINS and args and isinstance(args[0], (list, tuple)):
            self._refuse_size(node, sum(np.size(self._plain(a)) for a in args[0]))

    def _plain(self, value: Any) -> Any:
        value = _operand(value) if isinstance(value, (list, tuple)) else value
        return value.value if type(value) is Tensor else value

    def _check_exponent(self, node: ast.expr, exponent: Any) -> None:
        value = self._plain(exponent)
        numbers = isinstance(value, (int, float, np.ndarray, np.generic)) and np.size(value) > 0
        if numbers and np.max(np.abs(value)) > LARGEST_EXPONENT:
            raise self.at(node, f"an exponent of more than {LARGEST_EXPONENT} in size.")

    def _check_size(self, node: ast.expr, *operands: Any, product: bool = False) -> None:
        """Refuse before it is made what would fill the memory; shapes that do not fit are left to the operation."""
        shapes = [np.shape(self._plain(x)) for x in operands]
        if product and len(shapes) == 2 and all(shapes) and len(shapes[0]) > 1 and len(shapes[1]) > 1:
            batch = self._joined([s[:-2] for s in shapes])
            self._refuse_size(node, (batch or 1) * shapes[0][-2] * shapes[1][-1])
        elif not product:
            self._refuse_size(node, self._joined(shapes) or 0)

    def _joined(self, shapes: Sequence[tuple[int, ...]]) -> int | None:
        try:
            return math.prod(np.broadcast_shapes(*shapes))
        except ValueError:
            return None

    def _refuse_size(self, node: ast.expr, entries: int) -> None:
        if entries > MOST_ENTRIES:
            raise self.at(node, f"the result would have {entries:,} entries, more than {MOST_ENTRIES:,}.")

    def _subscript(self, node: ast.Subscript) -> Any:
        value = self._number(node.value, self.visit(node.value))
        if type(value) in (int, float):
            raise self.at(node, "a single number cannot be indexed.")
        return self._doing(node, ops.getitem, value, self._index(node.slice))

    def _index(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Tuple):
            return tuple(self._index(item) for item in node.elts)
        if isinstance(node, ast.Slice):
            return slice(*(None if part is None else self._whole(part, self.visit(part))
                           for part in (node.lower, node.upper, node.step)))
        value = self.visit(node)
        if isinstance(value, (list, np.ndarray, np.bool_)) or value is None or value is Ellipsis:
            return value
        return self._whole(node, value)

    def _whole(self, node: ast.expr, value: Any) -> int:
        value = self._plain(value)
        if np.size(value) == 1 and not isinstance(value, (str, list, tuple)) and value is not None and value is not Ellipsis:
            number = float(np.reshape(value, ())[()])
            if number.is_integer():
                return int(number)
        raise self.at(node, "an index must be a whole number, a slice or a mask.")

    def _number(self, node: ast.expr, value: Any) -> Any:
        """An operand: a Tensor, a number or an array; lists become arrays."""
        if isinstance(value, (list, tuple)):
            return self._doing(node, _operand, value)
        if value is None or value is Ellipsis or isinstance(value, str):
            raise self.at(node, "this is not a number.")
        return value


_VISITS: dict[type[ast.expr], str] = {
    ast.Constant: "_constant", ast.Name: "_name", ast.List: "_list", ast.Tuple: "_tuple", ast.UnaryOp: "_unary",
    ast.BinOp: "_binary", ast.Compare: "_comparison", ast.Attribute: "_attribute", ast.Call: "_call",
    ast.Subscript: "_subscript",
}
_SPOKEN = {"Lambda": "a lambda", "IfExp": "if ... else (use where(condition, a, b))", "ListComp": "a comprehension",
           "GeneratorExp": "a comprehension", "SetComp": "a comprehension", "DictComp": "a comprehension", "Dict": "a dict",
           "Set": "a set", "JoinedStr": "a string", "NamedExpr": ":=", "BoolOp": "and, or (for masks use & and |)",
           "Await": "await", "Yield": "yield", "Starred": "*"}


def _named(name: str) -> Callable[..., Any]:
    function = FUNCTIONS[name]

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    call.__name__ = name
    return call


def _flush_left(text: str) -> list[str]:
    """The lines without the spaces before statements, so that an indented paste is understood."""
    lines, depth = [], 0
    for line in text.split("\n"):
        lines.append(line if depth else line.lstrip())
        depth = max(0, depth + sum(c in "([{" for c in line) - sum(c in ")]}" for c in line))
    return lines


def _operand(value: Any) -> Any:
    """A nested list as an array; Tensors in it are joined."""
    if not isinstance(value, (list, tuple)):
        return value
    if _holds_tensor(value):
        return ops.stack([_operand(item) for item in value])
    try:
        array = np.array(value, dtype=np.float64)
    except (ValueError, TypeError):
        raise ValueError("the rows of a list must be numbers, as many in each.") from None
    return array


def _holds_tensor(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_holds_tensor(item) for item in value)
    return type(value) is Tensor


# ---------------------------------------------------------------- values

def read_value(text: str) -> tuple[str, Tensor]:
    """`name=value` as a name and a Tensor of that name."""
    name, array = read_array(text)
    return name, Tensor(array, name=name, dtype=np.float32 if array.dtype == np.float32 else np.float64)


def read_array(text: str) -> tuple[str, Any]:
    """`name=value` as a name and an array of real numbers."""
    given, equals, value = text.partition("=")
    name = unicodedata.normalize("NFKC", given.strip())
    if not equals or not name.isidentifier():
        raise InputError("a value is given as name=value, for example a=5.", text, 0)
    if keyword.iskeyword(name):
        raise InputError(f"{name} is a word of the language and cannot be a name. Take {name[:3]}_ or another.", text, 0)
    prefix = f"{given}="
    if value.strip().startswith("@"):
        array = _from_file(value.strip()[1:], text, len(prefix) + value.index("@") + 1)
    else:
        reader = Reader(value, {}, prefix)
        if len(reader.tree.body) != 1 or not isinstance(reader.tree.body[0], ast.Expr):
            raise InputError(f"{name} needs a number or a list of numbers.", text, len(prefix))
        node = reader.tree.body[0].value
        array = reader._plain(reader._number(node, reader.visit(node)))
    array = np.asarray(array)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} must be real numbers, not {array.dtype}.", text, len(prefix))
    if not np.isfinite(array).all():
        raise InputError(f"{name} has entries that are not finite.", text, len(prefix))
    return name, array


def _from_file(path: str, text: str, column: int) -> Any:
    """An array from a .npy or .csv file."""
    kind = Path(path).suffix.lower()
    if kind not in (".npy", ".csv"):
        raise InputError(f"{path or 'the file'}: only .npy and .csv files are read.", text, column)
    try:
        size = os.path.getsize(path)
        if size > LARGEST_FILE:
            raise ValueError(f"{size:,} bytes, more than {LARGEST_FILE:,}")
        array = _from_npy(path) if kind == ".npy" else _from_csv(path)
        if array.size > MOST_ENTRIES:
            raise ValueError(f"{array.size:,} entries, more than {MOST_ENTRIES:,}")
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or 'cannot be read').lower()}.", text, column) from None
    except (ValueError, TypeError, EOFError, SyntaxError, MemoryError, OverflowError) as error:
        reason = str(error).rstrip(".").replace("Array can't be memory-mapped: Python objects in dtype",
                                                "it holds Python objects, which are not loaded")
        raise InputError(f"{path}: {reason}.", text, column) from None
    return array


def _from_npy(path: str) -> Any:
    # mapped, so that a header that lies about the size is found out before memory is taken
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            mapped = np.lib.format.open_memmap(path, mode="r")
        except ValueError as error:
            if Path(path).stat().st_size and "empty file" not in str(error).lower() and "mmap" not in str(error).lower():
                raise
            with open(path, "rb") as file:  # an array without entries cannot be mapped
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(file)
            if math.prod(shape):
                raise ValueError(f"the file is shorter than the shape {shape} it names") from None
            return np.zeros(shape, dtype)
    if mapped.dtype.kind not in "fiub":
        raise ValueError(f"it holds {mapped.dtype}, not real numbers")
    if mapped.size > MOST_ENTRIES:
        raise ValueError(f"{mapped.size:,} entries, more than {MOST_ENTRIES:,}")
    return np.array(mapped)


def _from_csv(path: str) -> Any:
    """Rows and columns, always two axes; a first line of titles is skipped."""
    lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    separator = next((s for s in (";", "\t", ",") if lines and s in lines[0]), ",")
    rows: list[list[float]] = []
    for i, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            rows.append([float(cell) for cell in line.split(separator)])
        except ValueError as error:
            if rows or i:
                raise ValueError(f"line {i + 1}: {error}") from None
            continue
        if len(rows[-1]) != len(rows[0]):
            raise ValueError(f"line {i + 1} has {len(rows[-1])} columns, the first row has {len(rows[0])}")
    if not rows:
        raise ValueError("there are no numbers in it")
    return np.array(rows)


# ---------------------------------------------------------------- what is printed

def _encodes(stream: IO[str], text: str) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8", "surrogatepass")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _write(stream: IO[str], text: str) -> None:
    """Write a line, in ASCII where the terminal knows no more."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    if not _encodes(stream, text):
        text = in_ascii(text)
    try:
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        text = text.encode("ascii", "backslashreplace").decode("ascii")
    stream.write(text + "\n")
    stream.flush()


def _as_json(explanation: Explanation, name: str, value: Any) -> str:
    def plain(x: Any) -> Any:
        if isinstance(x, (np.ndarray, np.generic, float, int)):
            if np.size(x) > 100_000:
                return None
            x = np.asarray(x)
            return json_number(float(x)) if not x.ndim else [plain(item) for item in x]
        return x

    def json_number(x: float) -> Any:
        return x if math.isfinite(x) else str(x)

    def side(row: Row, i: int) -> Any:
        found = row.sides[i] if i < len(row.sides) else None
        return None if found is None else found.text

    def entry(row: Row, **sides: int) -> dict[str, Any]:
        found = {key: side(row, i) for key, i in sides.items()}
        return {"name": row.name, **{k: x for k, x in found.items() if x is not None}, "value": plain(row.value),
                "shape": list(np.shape(row.value)), **({"more": [m.text for m in row.more]} if row.more else {})}

    return json.dumps({
        "result": {"name": name, "value": plain(value)},
        "forward": [entry(r, formula=1, numbers=2) for r in explanation.forward if r.name],
        "local": [entry(r, rule=1, numbers=2) for r in explanation.local if r.name],
        "backward": [entry(r, derivative=1, chain_rule=2, numbers=3) for r in explanation.backward if r.name],
        "gradients": {key: plain(x) for key, x in explanation.gradients.items()},
        "remarks": explanation.remarks,
    }, allow_nan=False, indent=2)


def doctor() -> str:
    """Versions, what draws pictures, and whether the engine computes: what a report of a problem should say."""
    from importlib import metadata

    from .show.render import renderer

    def version(package: str) -> str:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return "not installed"

    a, b, c = (Tensor(x) for x in (5, 3, 2))
    J = 3 * (a + b * c)
    J.backward()
    works = [float(x) for x in (J.value, a.grad, b.grad, c.grad)] == [33, 3, 6, 9]
    lines = [
        ("tinygrad_edu", f"{__version__}  {Path(__file__).parent}"),
        ("python", f"{platform.python_version()}  {platform.platform()}"), ("numpy", np.__version__),
        ("graphviz", version("graphviz")), ("pygraphviz", version("pygraphviz")), ("pictures", renderer()),
        ("output", getattr(sys.stdout, "encoding", None) or "utf-8"),
        ("self-check", "J = 3(a + bc): 33, with derivatives 3, 6, 9" if works else "FAILED: J = 3(a + bc) comes out wrong"),
    ]
    return "\n".join(f"{name:13} {said}" for name, said in lines)


# ---------------------------------------------------------------- a function in a file

COMMANDS = ("source", "formulas", "explain", "draw")
_FUNCTION_HELP = """\
Read a function of a Python file: run the file, call the function once, and show it.

  python -m tinygrad_edu source   FILE.py:function    a NumPy function with the gradients, to paste anywhere
  python -m tinygrad_edu formulas FILE.py:function    the formula of every gradient
  python -m tinygrad_edu explain  FILE.py:function    the chain rule with the numbers
  python -m tinygrad_edu draw     FILE.py:function    the graph, as FILE.svg unless --output says otherwise

The function's arguments are given as name=value, like those of an expression; what is not given is taken from the
function's defaults, and then from the variables of that name in the file.
"""


def _function_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m tinygrad_edu", description=_FUNCTION_HELP, allow_abbrev=False,
                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("target", metavar="FILE.py:function")
    parser.add_argument("values", nargs="*", metavar="name=value", help="a number, a list, @file.npy or @file.csv")
    parser.add_argument("--wrt", metavar="NAME", action="append", help="only the derivative by this argument")
    parser.add_argument("--convention", choices=("math", "course"), default="math",
                        help="course: 1/m stands where examples are summed, as in dZ = A - Y")
    parser.add_argument("--output", metavar="FILE", help="write to this file: source, or a picture")
    parser.add_argument("--latex", action="store_true", help="print LaTeX (formulas, explain)")
    return parser


class UserFile:
    """A Python file that the user named, and what it holds once it is run."""

    def __init__(self, path: str) -> None:
        self.path = path
        if not path.endswith(".py"):
            raise InputError(f"{path or 'the file'}: a Python file is needed, named as in cost.py:function.")
        try:
            self.text = Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{path}: it is not text in UTF-8.") from None
        except OSError as error:
            raise InputError(f"{path}: {(error.strerror or 'cannot be read').lower()}.") from None
        self.functions = self._functions()
        self.module: Any = None

    def _functions(self) -> list[str]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(self.text)
        except SyntaxError as error:
            lines = self.text.splitlines()
            row = min(max(error.lineno or 1, 1), max(len(lines), 1))
            raise InputError(f"{self.path}, line {row}: {error.msg}.", lines[row - 1] if lines else "",
                             max((error.offset or 1) - 1, 0)) from None
        except (ValueError, MemoryError, RecursionError) as error:
            raise InputError(f"{self.path}: {error}.") from None
        return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]

    def there_are(self) -> str:
        return f" There are {', '.join(self.functions[:12])}." if self.functions else " It defines none."

    def load(self) -> None:
        """Run the file, as a module: what stands under `if __name__ == "__main__"` is left out."""
        import importlib.util

        spec = importlib.util.spec_from_file_location(f"_file_{Path(self.path).stem}", self.path)
        assert spec is not None
        assert spec.loader is not None
        self.module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = self.module
        self.doing(spec.loader.exec_module, self.module)

    def doing(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run the user's code; what it prints goes to stderr, and what it raises becomes one line with its place."""
        folder, bytecode = str(Path(self.path).resolve().parent), sys.dont_write_bytecode
        sys.path.insert(0, folder)
        sys.dont_write_bytecode = True
        try:
            with contextlib.redirect_stdout(sys.stderr):
                return function(*args, **kwargs)
        except InputError:
            raise
        except (Exception, SystemExit) as error:
            raise self._problem(error) from None
        finally:
            sys.dont_write_bytecode = bytecode
            if folder in sys.path:
                sys.path.remove(folder)

    def _problem(self, error: BaseException) -> InputError:
        row, own = 0, Path(self.path).resolve()
        trace = error.__traceback__
        while trace is not None:
            if Path(trace.tb_frame.f_code.co_filename).resolve() == own:
                row = trace.tb_lineno
            trace = trace.tb_next
        said = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, TinygradError):
            said = f"{type(error).__name__}: {said}" if said != type(error).__name__ else said
        said = said if said.endswith((".", "?", "!")) else f"{said}."
        if not row:
            return InputError(said)
        line = self.text.splitlines()[row - 1]
        return InputError(f"{self.path}, line {row}: {said}", line, len(line) - len(line.lstrip()))

    def function(self, name: str) -> Callable[..., Any]:
        """A function of the file by its name, or by names and dots: model.cost."""
        found: Any = self.module
        for part in name.split("."):
            if not hasattr(found, part):
                near = difflib.get_close_matches(name, self.functions, n=1, cutoff=0.5)
                meant = f" Did you mean {near[0]}?" if near else self.there_are()
                raise InputError(f"{self.path}: there is no function {name}.{meant}", f"{self.path}:{name}",
                                 len(self.path) + 1)
            found = getattr(found, part)
        if not callable(found):
            raise InputError(f"{self.path}: {name} is {type(found).__name__}, not a function.{self.there_are()}")
        return found  # type: ignore[no-any-return]

    def arguments(self, function: Callable[..., Any], name: str, given: dict[str, Any]) -> dict[str, Any]:
        """A value for every parameter: what is given, else its default, else the file's variable of that name."""
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            raise InputError(f"{name}: its parameters are not known. Wrap it in a function of your own.") from None
        names = [p.name for p in parameters]
        for unknown in given:
            if unknown not in names:
                near = difflib.get_close_matches(unknown, names, n=1, cutoff=0.5)
                meant = f" Did you mean {near[0]}?" if near else f" It takes {', '.join(names) or 'none'}."
                raise InputError(f"{name} has no argument {unknown}.{meant}")
        values: dict[str, Any] = {}
        missing = []
        for p in parameters:
            if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                continue
            if p.kind == p.KEYWORD_ONLY:
                if p.name in given or p.default is p.empty:
                    raise InputError(f"{name}: {p.name} can be given by name only, which cannot be recorded. Wrap {name} in a "
                                     "function of plain arguments.")
            elif p.name in given:
                values[p.name] = given[p.name]
            elif p.default is not p.empty:
                values[p.name] = p.default
            elif hasattr(self.module, p.name):
                values[p.name] = getattr(self.module, p.name)
            else:
                missing.append(p.name)
        if missing:
            raise InputError(f"{name}: {', '.join(missing)} {'has' if len(missing) == 1 else 'have'} no value. Give it as "
                             f"{missing[0]}=..., {missing[0]}=@file.npy or @file.csv, or set {missing[0]} in {self.path}.")
        return values


def _run_on_function(argv: Sequence[str]) -> int:
    """The commands that read a function of a file."""
    options = _function_parser().parse_intermixed_args(list(argv))
    path, colon, name = options.target.rpartition(":")
    if not colon or not name:
        file = UserFile(options.target.rstrip(":"))
        which = file.functions[0] if file.functions else "function"
        raise InputError(f"{options.target}: which function? Write {file.path}:{which}.{file.there_are()}")
    if options.latex and options.command not in ("formulas", "explain"):
        raise InputError(f"--latex: {options.command} prints no LaTeX; formulas and explain do.")
    if options.output and options.command not in ("source", "draw"):
        raise InputError(f"--output: {options.command} prints to the terminal; write > {options.output} instead.")
    given: dict[str, Any] = {}
    for text in options.values:
        key, array = read_array(text)
        if key in given:
            raise InputError(f"{key} is given twice.", text, 0)
        from_file = text.partition("=")[2].strip().startswith("@")
        given[key] = array[()] if from_file else np.asarray(array, np.float64)[()]
    file = UserFile(path)
    file.load()
    function = file.function(name)
    arguments = file.arguments(function, name, given)
    wrt = [part.strip() for text in options.wrt or () for part in text.split(",")] or None
    shown = {"source": _show_source, "formulas": _show_formulas, "explain": _show_explanation, "draw": _show_drawing}
    shown[options.command](file, function, arguments, wrt, options)
    return 0


def _show_source(file: UserFile, function: Any, arguments: dict[str, Any], wrt: Any, options: Any) -> None:
    from .show.numpy_source import numpy_source

    source = file.doing(numpy_source, function, *arguments.values(), wrt=wrt, convention=options.convention)
    if options.output:
        _saved(lambda: source.save(options.output), options.output)
    else:
        _write(sys.stdout, str(source))


def _show_formulas(file: UserFile, function: Any, arguments: dict[str, Any], wrt: Any, options: Any) -> None:
    from .show.formulas import formulas

    found = file.doing(formulas, function, *arguments.values(), wrt=wrt, convention=options.convention)
    _write(sys.stdout, found.latex() if options.latex else str(found))


def _show_explanation(file: UserFile, function: Any, arguments: dict[str, Any], wrt: Any, options: Any) -> None:
    J = _recorded(file, function, arguments)
    convention = options.convention if options.convention == "course" else None
    found = file.doing(explain, J, wrt=wrt, max_rows=2000, convention=convention)
    if options.latex:
        _write(sys.stdout, found.latex())
    else:
        title = f"{J.name} = {_shown(J.value)}\n\n"
        _write(sys.stdout, title + found.text(plain=not _encodes(sys.stdout, str(found))))
    _warn_of_nan(J)


def _show_drawing(file: UserFile, function: Any, arguments: dict[str, Any], wrt: Any, options: Any) -> None:
    from .show.picture import draw

    output = options.output or f"{options.target.rpartition(':')[2].rpartition('.')[2]}.svg"
    _check_picture("--output", output)
    J = _recorded(file, function, arguments)
    picture = file.doing(draw, J)
    _saved(lambda: picture.save(output), output)


def _saved(save: Callable[[], Any], output: str) -> None:
    try:
        save()
    except TinygradError as error:
        raise InputError(str(error)) from None
    except OSError as error:
        raise InputError(f"{output}: {(error.strerror or 'cannot be written').lower()}.") from None
    _write(sys.stderr, f"wrote {output}")


def _recorded(file: UserFile, function: Any, arguments: dict[str, Any]) -> Tensor:
    """What the function returns for its arguments as Tensors, with its variables' names."""
    from .program import trace

    leaves, rebuild = flatten(tuple(arguments.values()))
    program = file.doing(trace, function, *arguments.values(), wrt=(), tidy=False)
    tensors: list[Any] = []
    for x, given in zip(leaves, program.inputs, strict=True):
        value = np.asarray(x.value if type(x) is Tensor else x)
        plain = np.dtype(given.dtype).kind != "f"
        tensors.append(x if plain else Tensor(value.astype(given.dtype), name=str(given.name)))
    J = file.doing(function, *rebuild(tensors))
    if type(J) is not Tensor:
        raise InputError(f"{function.__name__} returns {type(J).__name__}, not one value computed of its arguments.")
    lines = [line for line in program.lines if line.kind == "forward" and line.op.rules]
    nodes = Graph([J]).nodes
    if [line.op for line in lines] == [node.op for node in nodes]:
        for line, node in zip(lines, nodes, strict=True):
            if line.named and node.name is None:
                node.name = str(line.name)
    J.name = J.name or "J"
    return J


# ---------------------------------------------------------------- the command

class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}. See python -m tinygrad_edu --help.")

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            _write(file or sys.stdout, message.rstrip("\n"))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m tinygrad_edu", description=_HELP, allow_abbrev=False,
                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("expression", nargs="?", help='what to compute, or "doctor"')
    parser.add_argument("values", nargs="*", metavar="name=value", help="a number, a list, @file.npy or @file.csv")
    parser.add_argument("--wrt", metavar="NAME", action="append", help="only the derivative by this name")
    parser.add_argument("--draw", metavar="FILE", help="write the graph as .svg, .png, .pdf or .dot")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--latex", action="store_true", help="print LaTeX (align*, for amsmath)")
    form.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--version", action="version", version=f"tinygrad_edu {__version__}")
    return parser


def _run(argv: Sequence[str]) -> int:
    # an expression may begin with a minus sign; with a space before it, it is not taken for an option
    argv = [f" {a}" if a[:1] == "-" and not re.match(r"--[A-Za-z]|-h$", a) else a for a in argv]
    if argv and argv[0] in COMMANDS and (len(argv) == 1 or "=" not in argv[1] or ".py" in argv[1].partition("=")[0]):
        return _run_on_function(argv)
    options = _parser().parse_intermixed_args(argv)
    if options.expression is None:
        raise InputError(f"there is no expression. Try: {_USAGE}")
    if options.expression.strip() == "doctor" and not options.values:
        _write(sys.stdout, doctor())
        return 0
    if options.draw:
        _check_picture("--draw", options.draw)
    given: dict[str, Tensor] = {}
    for text in options.values:
        name, tensor = read_value(text)
        if name in given:
            raise InputError(f"{name} is given twice.", text, 0)
        given[name] = tensor
    name, J, used = compute(options.expression, given)
    for unused in (n for n in given if n not in used):
        near = difflib.get_close_matches(unused, used, n=1, cutoff=0.5)
        meant = f" Did you mean {near[0]}?" if near else ""
        _write(sys.stderr, f"note: {unused} is given but the expression does not use it.{meant}")
    try:
        explanation = explain(J, wrt=options.wrt, max_rows=2000)
        if options.draw:
            from .show.picture import draw

            draw(J).save(options.draw)
    except TinygradError as error:
        raise InputError(str(error)) from None
    except OSError as error:
        raise InputError(f"{options.draw}: {(error.strerror or 'cannot be written').lower()}.") from None
    if options.json:
        _write(sys.stdout, _as_json(explanation, name, J.value))
    elif options.latex:
        _write(sys.stdout, explanation.latex())
    else:
        shown = f"{name} = {_shown(J.value)}\n\n"
        _write(sys.stdout, shown + explanation.text(plain=not _encodes(sys.stdout, str(explanation))))
    _warn_of_nan(J)
    if options.draw:
        _write(sys.stderr, f"wrote {options.draw}")
    return 0


def _check_picture(option: str, output: str) -> None:
    kinds = (".svg", ".png", ".pdf", ".dot")
    if Path(output).suffix.lower() not in kinds:
        raise InputError(f"{option} {output}: the name must end in {', '.join(kinds[:-1])} or {kinds[-1]}.")


def compute(expression: str, given: dict[str, Tensor]) -> tuple[str, Tensor, set[str]]:
    """The name and value of the last statement, one number that depends on what is given, and the names that were
    used."""
    reader = Reader(expression, dict(given))
    name, value = reader.run()
    last = reader.tree.body[-1]
    place: ast.expr | ast.stmt = last.value if isinstance(last, (ast.Assign, ast.Expr)) else last
    if isinstance(value, (list, tuple)):
        value = reader._doing(last.value if isinstance(last, ast.Expr) else ast.Constant(0), _operand, value)
    if type(value) is not Tensor or not value.requires_grad:
        why = (f"the result depends on none of the values given ({', '.join(given)}), so there is nothing to differentiate."
               if given else "there is nothing to differentiate: use a name, and give it a value, such as a=5.")
        raise reader.at(place, why)
    if value.value.size != 1:
        raise reader.at(place, f"the result has shape {value.shape}, and only a single number has a derivative without more "
                        "said. Sum it, as in sum(...), or take one entry, as in (...)[0].")
    if not name:
        taken = set(reader.values)
        name = next(n for n in ("J", "result", *(f"result{i}" for i in range(2, 10**6))) if n not in taken)
        value = reader._assigned(name, value)
    return name, value, reader.used


def _shown(value: Any) -> str:
    return array_text(value, 10**6) or str(value)


def _warn_of_nan(J: Tensor) -> None:
    """Say where a number that is not finite came from."""
    from .show.non_finite import find_nan

    found = find_nan(J)
    if found:
        _write(sys.stderr, f"note: {str(found).splitlines()[0]}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, or 2 where the input is wrong (one line on stderr, and the place)."""
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except InputError as problem:
        _write(sys.stderr, str(problem))
        return 2
    except SystemExit as leaving:  # --help and --version
        return int(leaving.code or 0)
    except BrokenPipeError:  # the reader of the pipe, such as head, has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
