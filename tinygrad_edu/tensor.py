"""A value and how it was made.

A `Tensor` holds an array and remembers the operation and the operands that made it. Nothing else is recorded: the
graph is the Tensors pointing backwards at what made them, so it has no cycles and is freed when the last result is.
A `Primitive` is an operation with one derivative rule per operand. Applying it to Tensors records; applying it to
arrays just computes. That is why a rule, written once in ordinary array algebra, gives numbers on arrays and a
recorded derivative (for higher orders, formulas and code) on Tensors.
"""

from __future__ import annotations

import itertools
import operator
import sys
from collections.abc import Callable, Sequence
from opcode import opmap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import float64, ndarray

from . import modes
from .errors import (
    DetachError,
    DTypeError,
    GradientError,
    ShapeError,
    UnsupportedError,
    explain_failure,
    refuse_own_arithmetic,
    refuse_rank_1,
)
from .modes import recording

Rule = Callable[..., Any]

# Creation order. A result is made after its operands, so sorting by id puts every node after what made it.
next_id = itertools.count(1).__next__
_STORE_ITEM = opmap["STORE_SUBSCR"]
last_change = 0  # when any leaf's data was last changed, or any Tensor assigned into, in the same count


# ---------------------------------------------------------------- what comes in from outside

def constant(x: Any, where: str = "operand") -> Any:
    """An operand that is not a Tensor: a raw Python number, a NumPy scalar, or an array of real numbers.

    Python numbers stay as they are, so that `2.0 * t` keeps float32.
    """
    kind = type(x)
    if kind is float or kind is int or kind is bool:
        return x
    if kind is not ndarray:
        if isinstance(x, np.generic):
            if x.dtype.kind in "fiub" or (x.dtype.kind == "c" and modes.here.complex_step):
                return x
        elif getattr(kind, "is_traced", False):  # an array of program.traced, also a 0-dimensional one, keeps its history
            return x
        refuse_own_arithmetic(x, where, "Tensors do")
        try:
            x = np.asarray(x)
        except ValueError as error:
            raise ShapeError(f"{where}: the rows have different lengths, so they make no array. Pad them, or keep a list "
                             "of Tensors.") if "inhomogeneous" in str(error) else error from None
    if x.dtype.kind not in "fiub" and not (x.dtype.kind == "c" and modes.here.complex_step):
        raise DTypeError(f"{where}: data of dtype {x.dtype} cannot be differentiated. "
                         "Pass real numbers, for example Tensor([1.0, 2.0]).")
    return x if x.ndim else x[()]


def _own_value(data: Any, dtype: Any, requires_grad: bool) -> Any:
    """A private copy of `data` as floats."""
    if isinstance(data, Tensor):
        raise DetachError("Tensor(t): t is a Tensor already. Use t itself, or t.detach() for its value without history.")
    value = np.array(constant(data, "Tensor"), dtype=dtype)
    if value.dtype.kind not in "fiub":
        raise DTypeError(f"Tensor: dtype {value.dtype} cannot be differentiated. Use float64 or float32.")
    if value.dtype.kind != "f":
        if dtype is None:
            value = value.astype(float64)
        elif requires_grad:
            raise DTypeError(f"Tensor: dtype {value.dtype} has no derivatives. "
                             "Use a floating-point dtype, or requires_grad=False for a constant.")
    return value if value.ndim else value[()]


class Tensor:
    """An array that remembers how it was made.

    Parameters
    ----------
    data : number, nested list or array of real numbers, any shape. It is copied; integers become float64.
    dtype : a NumPy floating-point dtype; by default that of `data`.
    requires_grad : whether derivatives with respect to it are wanted (they are, unless you say otherwise).
    name : what pictures, explanations and errors call it.

    A result of an operation has the same slots, filled in by the operation: `op` and `args` say how it was made.

    >>> from tinygrad_edu import Tensor
    >>> a, b, c = Tensor(5), Tensor(3), Tensor(2)
    >>> J = 3 * (a + b * c)
    >>> J
    Tensor(33.0)
    >>> J.backward()
    >>> print(a.grad, b.grad, c.grad)
    3.0 6.0 9.0
    """

    __slots__ = ("args", "grad", "history", "id", "name", "op", "params", "requires_grad", "stamp", "value")

    value: Any  # ndarray, or a NumPy scalar when 0-dimensional
    grad: Any  # dJ/d(this) after J.backward(): an ndarray (NumPy scalar when 0-dimensional) of this shape and dtype
    op: Primitive | None  # None for a leaf
    args: tuple[Any, ...]  # the operands as given: Tensors, raw Python numbers, constant arrays
    params: dict[str, Any] | None  # what is not an operand: axis, shape, index
    id: int
    requires_grad: bool
    name: str | None
    stamp: int  # when a leaf's data was last changed, in the same count as `id`
    history: Any  # of a Tensor that was assigned into: its earlier values, see ops.assignment; else unset

    def __init__(self, data: Any, dtype: Any = None, requires_grad: bool = True, name: str | None = None) -> None:
        self.value = _own_value(data, dtype, requires_grad)
        self.grad = None
        self.op = None
        self.args = ()
        self.params = None
        self.id = next_id()
        self.requires_grad = requires_grad
        self.name = name
        self.stamp = 0

    # -- the value and its kind

    @property
    def data(self) -> Any:
        """The array itself (a NumPy scalar when 0-dimensional); read-only for a recorded result.

        Of a leaf, `w.data = ...` and `w.data -= ...` are noticed: a graph recorded before cannot give a wrong gradient.
        `w.data[i] = ...` goes unnoticed; write it before recording.
        """
        value = self.value
        if self.op is not None and type(value) is ndarray:
            value = value.view()
            value.flags.writeable = False
        return value

    @data.setter
    def data(self, new: Any) -> None:
        if self.op is not None:
            raise GradientError(f"{self.name or 'data'}: the result of {self.op.name} cannot be given new data, the "
                                "graph would no longer say how it was made. Change the leaf it comes from.")
        if new is not self.value:
            if isinstance(new, Tensor):
                new = new.value
            new = np.array(constant(new, "data"), dtype=self.value.dtype)
            if new.shape != self.value.shape:
                raise ShapeError(f"data: {self.name or 'the Tensor'} has shape {self.shape}, the new data {new.shape}. "
                                 f"Use .reshape({self.shape}) if that is what you mean, or make a new Tensor.")
            self.value = new if new.ndim else new[()]
        global last_change
        last_change = self.stamp = next_id()
        if modes.traces:
            modes.data_changed(self)

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self.value.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of the value, and of its gradient."""
        return self.value.dtype  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.value.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.value.size  # type: ignore[no-any-return]

    def numpy(self) -> Any:
        """A copy of the value as a plain array, without history."""
        if getattr(self.value, "is_traced", False):
            raise UnsupportedError("numpy: while a function is traced, .numpy() would freeze the numbers of this run into the "
                                   "program. Use the Tensor itself, or t.detach() for a value without gradient.")
        return np.array(self.value)

    def item(self) -> float:
        """The value of a one-element Tensor as a Python number."""
        if self.value.size != 1:
            raise ShapeError(f"item: shape {self.shape} holds {self.size} numbers, not one. Index it first, or use "
                             ".numpy().tolist().")
        return self.value.item()  # type: ignore[no-any-return]

    def detach(self) -> Tensor:
        """The same value as a constant without history: of a leaf a copy, of a result a read-only view."""
        value = self.value
        if type(value) is ndarray:
            value = self.data if self.op is not None else value.copy()
        return leaf(value, requires_grad=False, why="detach")

    def expect(self, shape: Sequence[int | None]) -> Tensor:
        """Assert the shape, as the notes do, and return self; None fits any size.

        >>> import numpy as np, tinygrad_edu as tg
        >>> a = tg.Tensor(np.ones(5))
        >>> a.expect((5, 1))
        Traceback (most recent call last):
        tinygrad_edu.errors.ShapeError: expect: a has shape (5,), expected (5, 1). It is a rank-1 array, neither row \
nor column: use a.reshape(5, 1), or a.col().
        """
        wanted = tuple(shape)
        if len(wanted) == self.ndim and all(w is None or w == s for w, s in zip(wanted, self.shape, strict=True)):
            return self
        from .errors import name_of, variable_names

        name = name_of(self, variable_names(), "")
        message = f"expect: {name or 'the Tensor'} has shape {self.shape}, expected {wanted}."
        name = name or "t"
        if self.ndim == 1 and len(wanted) == 2:
            column = wanted[1] == 1
            form = f"({self.size}, 1), or {name}.col()" if column else f"(1, {self.size}), or {name}.row()"
            message += f" It is a rank-1 array, neither row nor column: use {name}.reshape{form}."
        elif self.ndim == 2 and len(wanted) == 2 and self.shape == wanted[::-1]:
            message += f" Did you mean {name}.T?"
        raise ShapeError(message)

    def tolist(self) -> Any:
        """The value as nested lists of Python numbers."""
        return self.value.tolist()

    def zero_grad(self) -> None:
        """Forget the gradient: the next backward() starts from nothing."""
        self.grad = None

    def backward(self, gradient: Any = None, create_graph: bool = False) -> None:
        """Compute d(self)/d(t) for every Tensor t that self was made from, into `t.grad`.

        Leaves add to what `.grad` holds; results in between are overwritten. The graph is kept, so a second call adds
        exactly the same again.

        Parameters
        ----------
        gradient : array of self's shape, the weights of its entries (dJ/d(self) of some J). Default 1 for one number.
        create_graph : record the derivative itself, so that gradients are Tensors and can be differentiated again.

        >>> from tinygrad_edu import Tensor
        >>> x = Tensor(3.0)
        >>> (x * x).backward()
        >>> print(x.grad)
        6.0
        """
        raise NotImplementedError("backprop.py, which needs this module, puts the walk here")

    # -- to Python and NumPy

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> ndarray:
        if self.requires_grad and recording():
            raise DetachError("Tensor to ndarray: the gradient would be lost. Use np.stack([...]) or "
                              "np.concatenate([...]) to join Tensors, t.numpy() for the numbers.")
        return np.array(self.value if copy else self.data, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        if not self.value.ndim:
            raise TypeError("len: a 0-dimensional Tensor has no length. Use .size.")
        return len(self.value)

    def __float__(self) -> float:
        if self.requires_grad and recording():
            frame = sys._getframe(1)
            if frame.f_code.co_code[frame.f_lasti] == _STORE_ITEM:  # array[i] = t: NumPy takes the number alone
                # (NumPy raises a ValueError of its own, with this as its cause)
                raise DetachError("array[i] = t: a plain array keeps the number and forgets how it was made, so the gradient "
                                  "would be lost. Make the array a Tensor to fill, Z = tg.zeros(shape), or collect "
                                  "the Tensors in a list and join them, Z = np.stack(values).")
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self.value.size != 1:
            raise ShapeError(f"bool: shape {self.shape} holds {self.size} truth values. Use (t > 0).all() or .any(), "
                             "or np.where(condition, a, b) to choose entry by entry.")
        return bool(self.value)

    def __index__(self) -> int:
        return operator.index(self.value)

    def __format__(self, spec: str) -> str:
        return format(self.item() if self.value.size == 1 else self.value, spec) if spec else str(self.value)

    def __repr__(self) -> str:
        value = self.value
        text = repr(float(value)) if not value.ndim else np.array2string(value, separator=", ", prefix="Tensor(")
        dtype = "" if value.dtype == float64 else f", dtype={value.dtype}"
        grad = "" if self.requires_grad else ", requires_grad=False"
        name = f", name={self.name!r}" if self.name is not None else ""
        return f"Tensor({text}{dtype}{grad}{name})"

    def __str__(self) -> str:
        return str(self.value)

    def __reduce__(self) -> Any:
        raise UnsupportedError("Tensor: pickling and copying a recorded value is refused, the graph would come along. "
                               "Save t.numpy() with np.save, or make Tensor(t.numpy()).")

    def __copy__(self) -> Tensor:
        if self.op is not None:
            self.__reduce__()
        return Tensor(self.value, dtype=self.dtype, requires_grad=self.requires_grad, name=self.name)

    def __deepcopy__(self, memo: Any) -> Tensor:
        return self.__copy__()

    __hash__ = object.__hash__

    if TYPE_CHECKING:  # installed by ops.methods, which knows the operations
        T: Tensor
        mT: Tensor
        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __floordiv__ = (
            __rfloordiv__
        ) = __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = lambda self, other: self

        def __neg__(self) -> Tensor: ...
        def __getitem__(self, index: Any) -> Tensor: ...


new_object = object.__new__


def leaf(value: Any, requires_grad: bool = True, name: str | None = None, why: str | None = None) -> Tensor:
    """A leaf around an existing array, not copied. For the engine; users write Tensor(data).

    why : for a constant, what made it one, told when its gradient is asked for.
    """
    t = new_object(Tensor)
    t.value, t.grad, t.op, t.args, t.params = value, None, None, (), {"why": why} if why else None
    t.id, t.requires_grad, t.name, t.stamp = next_id(), requires_grad, name, 0
    return t


def result(value: Any, op: Primitive, args: tuple[Any, ...], params: dict[str, Any] | None) -> Tensor:
    """A recorded result."""
    t = new_object(Tensor)
    t.value, t.grad, t.op, t.args, t.params = value, None, op, args, params
    t.id, t.requires_grad, t.name = next_id(), True, None
    return t


# ---------------------------------------------------------------- primitives

class Primitive:
    """An operation with a derivative rule for each operand.

    Parameters
    ----------
    name : the field's name for it, shown in pictures and errors.
    forward : computes the value: `forward(*arrays, **params)`.
    rules : one function per operand, `rule(g, y, *operands, **params)`, giving dJ/d(operand) from g = dJ/dy and the
        output y; None where there is no derivative. The contract of a rule heads `tinygrad_edu/rules`.
    kind : how forward mode reads the same rules: "pointwise" (the rule itself on the tangent), "linear" and "multilinear"
        (the primitive on the tangent), "general" (the vjp of the vjp).
    symbol : how it is written: an infix sign, or a template such as "{0}ᵀ".
    scalar : the same function for one number, from the math module, where that is faster.
    blocked : a costly entrywise function, evaluated on large arrays piece by piece so that temporaries stay in cache.
    variadic : takes any number of operands; then its one rule has the parameter `which`.
    tangent : forward mode by a rule of its own, `tangent(tangents, y, args, params)` with None for a tangent of zero;
        its `many(tangents, y, args, batch)`, where it has one, takes tangents with a leading axis.
    """

    __slots__ = ("blocked", "forward", "kind", "name", "rules", "scalar", "symbol", "tangent", "variadic")

    def __init__(self, name: str, forward: Callable[..., Any], *rules: Rule | None, kind: str = "general",
                 symbol: str | None = None, scalar: Callable[..., float] | None = None, blocked: bool = False,
                 variadic: bool = False, tangent: Callable[..., Any] | None = None) -> None:
        self.name, self.forward, self.rules, self.kind, self.symbol = name, forward, rules, kind, symbol
        self.scalar, self.blocked, self.variadic, self.tangent = scalar, blocked, variadic, tangent

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Apply to arrays (computes) or to operands some of which are Tensors (computes and records)."""
        tensors = tracked = False
        for a in args:
            if type(a) is Tensor:
                tensors = True
                if a.requires_grad:
                    tracked = True
                    break
        values = [a.value if type(a) is Tensor else a for a in args] if tensors else args
        y: Any
        large = self.blocked and isinstance(values[0], ndarray) and values[0].size >= LARGE
        try:
            if self.scalar is not None and not params and isinstance(values[0], float64):
                y = float64(self.scalar(values[0]))
            elif large:
                y = in_blocks(self.forward, values, params)
            else:
                y = self.forward(*values, **params)
        except Exception as error:
            if self.scalar is None or not isinstance(error, (ValueError, OverflowError)) or params:
                raise explain_failure(self.name, self.symbol, args, error) from None
            y = self.forward(*values)  # the math module refuses what NumPy calls nan or inf, with a warning
        if type(y) is ndarray and not y.ndim:
            y = y[()]
        if not tensors or not self.rules:
            return modes.noted(self, args, params, y) if modes.traces else y
        if not tracked or (modes.opened and paused_here(self, args, y)):
            if modes.opened:
                y = modes.noted(self, args, params, y)
            return leaf(y, requires_grad=False, why="no_grad" if tracked else "constants")
        if modes.opened:
            y = modes.noted(self, args, params, y)
        return result(y, self, args, params or None)

    def rules_for(self, count: int) -> Sequence[Rule | None]:
        """The rules of `count` operands, in order."""
        if not self.variadic:
            return self.rules
        (rule,) = self.rules
        assert rule is not None
        return [_with_which(rule, i) for i in range(count)]


def paused_here(op: Primitive, args: tuple[Any, ...], y: Any) -> bool:
    """Whether recording is off; called only when some mode is on, and checks shapes in strict mode."""
    if modes.here.strict and op.kind == "pointwise":
        refuse_rank_1(op.name, op.symbol, args, tuple(getattr(y, "shape", ())))
    return bool(modes.here.paused)


def _with_which(rule: Rule, which: int) -> Rule:
    return lambda g, y, *operands, **params: rule(g, y, *operands, which=which, **params)


# ---------------------------------------------------------------- computing faster, same numbers

BLOCK = 1 << 17  # bytes of a piece that stays in cache with its temporaries
LARGE = 1 << 16  # entries from which pieces pay


def in_blocks(f: Callable[..., Any], operands: Sequence[Any], params: dict[str, Any]) -> Any:
    """Evaluate a costly entrywise function of large arrays piece by piece, so that its temporaries stay in cache."""
    shape = next(x.shape for x in operands if isinstance(x, ndarray))
    flat = []
    for x in operands:
        if not isinstance(x, ndarray):
            flat.append(x)
        elif x.shape != shape or not x.flags.c_contiguous:
            return _in_memory_order(f, operands, params)
        else:
            flat.append(x.view(ndarray).reshape(-1))
    first = next(x for x in flat if type(x) is ndarray)
    size, step = first.size, BLOCK // first.itemsize
    out = pieces = None
    for start in range(0, size, step):
        piece = f(*[x[start : start + step] if type(x) is ndarray else x for x in flat], **params)
        if pieces is None:
            out = np.empty(shape, piece.dtype)
            pieces = out.reshape(-1)
        pieces[start : start + step] = piece
    return out


def _in_memory_order(f: Callable[..., Any], operands: Sequence[Any], params: dict[str, Any]) -> Any:
    """The same for arrays whose axes lie in another order in memory, as those of a transpose or a convolution do."""
    arrays = [x for x in operands if isinstance(x, ndarray)]
    order = sorted(range(arrays[0].ndim), key=lambda i: -arrays[0].strides[i])
    if not all(x.shape == arrays[0].shape and x.transpose(order).flags.c_contiguous for x in arrays):
        return f(*operands, **params)
    turned = [x.view(ndarray).transpose(order) if isinstance(x, ndarray) else x for x in operands]
    return in_blocks(f, turned, params).transpose([order.index(i) for i in range(len(order))])
