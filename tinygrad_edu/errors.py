"""Every error of the package.

A message says where, what (with names and shapes), and what to type instead. Each class's docstring is a page: the
cause, a small example, the remedy. The classes also derive from the built-in error NumPy would raise, so code written
for NumPy catches them.
"""

from __future__ import annotations

import sys
from types import FrameType, FunctionType
from typing import Any

from numpy import matrix
from numpy.exceptions import AxisError
from numpy.linalg import LinAlgError

_PACKAGE = __file__.removesuffix("errors.py")  # frames whose code lies here are not the user's


class TinygradError(Exception):
    """The base of every error of this package.

    >>> import tinygrad_edu as tg
    >>> issubclass(tg.errors.ShapeError, tg.errors.TinygradError)
    True
    """


class ShapeError(TinygradError, ValueError):
    """The shapes of the operands do not fit together.

    A product needs equal inner sizes; elementwise operations need shapes that broadcast: aligned from the right, each
    pair of sizes equal or one of them 1.

    >>> import numpy as np, tinygrad_edu as tg
    >>> W1, X = tg.Tensor(np.ones((4, 3))), np.ones((4, 5))
    >>> W1 @ X
    Traceback (most recent call last):
    tinygrad_edu.errors.ShapeError: matmul: W1 (4, 3) @ X (4, 5): inner sizes 3 and 4 differ. \
Did you mean W1.T @ X, (3, 4) @ (4, 5)?
    >>> (W1.T @ X).shape
    (3, 5)
    """


class LinearAlgebraError(TinygradError, LinAlgError):
    """A matrix does not have what was asked for: it is singular, or not positive definite, or holds nan.

    It is NumPy's np.linalg.LinAlgError too. A singular matrix has no inverse; use the pseudo-inverse, or add a small
    multiple of the identity.

    >>> import numpy as np, tinygrad_edu as tg
    >>> A = tg.Tensor([[1.0, 2.0], [2.0, 4.0]])
    >>> np.linalg.inv(A)
    Traceback (most recent call last):
    tinygrad_edu.errors.LinearAlgebraError: inv: A (2, 2): singular matrix. Use np.linalg.pinv, or add a small multiple of \
the identity, A + 1e-6 * np.eye(2).
    """


class DTypeError(TinygradError, TypeError):
    """The data has a type that cannot be differentiated.

    A Tensor holds real floating-point numbers. Python and NumPy integers become float64; complex, object and string
    data are refused, because a derivative of them would be silently wrong or meaningless.

    >>> import tinygrad_edu as tg
    >>> tg.Tensor([1, 2]).dtype
    dtype('float64')
    >>> tg.Tensor("3")
    Traceback (most recent call last):
    tinygrad_edu.errors.DTypeError: Tensor: data of dtype <U1 cannot be differentiated. Pass real numbers, for example \
Tensor([1.0, 2.0]).
    """


class DetachError(TinygradError, TypeError):
    """A recorded value would silently leave the graph, and its gradient would be lost.

    `np.asarray(t)`, `np.array([t, u])` and in-place changes of arrays copy the numbers and forget how they were made.
    Say what you want: `t.numpy()` for the numbers, `np.stack([t, u])` for a recorded array of Tensors.

    >>> import numpy as np, tinygrad_edu as tg
    >>> t = tg.Tensor(2.0)
    >>> np.array([t, t])
    Traceback (most recent call last):
    tinygrad_edu.errors.DetachError: Tensor to ndarray: the gradient would be lost. Use np.stack([...]) or \
np.concatenate([...]) to join Tensors, t.numpy() for the numbers.
    >>> np.stack([t, t])
    Tensor([2., 2.])
    """


class GradientError(TinygradError, RuntimeError):
    """A derivative was asked for that does not exist as asked.

    `backward()` starts from one number, the cost J, because dJ/dJ = 1. A result with several entries has several
    possible meanings: the sum of its entries, a weighting of them, or the whole Jacobian.

    >>> import numpy as np, tinygrad_edu as tg
    >>> z = tg.Tensor([1.0, 2.0]) * 2
    >>> z.backward()
    Traceback (most recent call last):
    tinygrad_edu.errors.GradientError: backward: z has shape (2,), and only a single number has a derivative without \
more said. Use z.sum().backward(), z.backward(gradient) with an array of shape (2,), or tg.jacobian(f)(x).
    >>> z.backward(np.ones(2))
    """


class StaleError(TinygradError, RuntimeError):
    """A leaf was changed after the graph was recorded, so the graph's numbers no longer belong together.

    Rules read the values of the forward pass. If `w.data` changes in between, the gradient would be wrong.

    >>> import tinygrad_edu as tg
    >>> w = tg.Tensor(2.0, name="w")
    >>> J = w * w
    >>> w.data -= 0.5
    >>> J.backward()
    Traceback (most recent call last):
    tinygrad_edu.errors.StaleError: backward: w was changed (w.data = ...) after multiply recorded it, so the gradient \
would be wrong. Run the forward pass again after the change, or call backward() before it.
    >>> J = w * w
    >>> J.backward()
    >>> print(w.grad)
    3.0
    """


class UnsupportedError(TinygradError, NotImplementedError, TypeError):
    """NumPy has this function; here it has no derivative rule, or this way of calling it cannot be recorded.

    The message names the nearest function that works, or how to write it out.

    >>> import numpy as np, tinygrad_edu as tg
    >>> np.angle(tg.Tensor([1.0]))
    Traceback (most recent call last):
    tinygrad_edu.errors.UnsupportedError: np.angle: no derivative rule for Tensors. Of real \
numbers it is 0 or π: np.where(t < 0, np.pi, 0.0). The angle of a point (x, y) is np.arctan2(y, x). For the numbers alone \
use np.angle(t.numpy()).
    """


class TraceError(UnsupportedError):
    """A function cannot be compiled: it does something that a recording would freeze.

    A compiled function repeats what its first call recorded. What does not follow from its arguments alone (a random
    draw from a generator it was not given, the time, a list it appends to) would be the same on every later call.

    >>> import itertools, tinygrad_edu as tg
    >>> count = itertools.count()
    >>> f = tg.jit(lambda x: x * next(count))
    >>> f(2.0)
    Traceback (most recent call last):
    tinygrad_edu.errors.TraceError: jit: ...
    """


class InPlaceError(TinygradError, TypeError):
    """A recorded value cannot be changed in place where that would make an earlier step of the graph wrong.

    >>> import numpy as np, tinygrad_edu as tg
    >>> t = tg.Tensor([1.0, 2.0])
    >>> np.add(t, 1, out=np.empty(2))
    Traceback (most recent call last):
    tinygrad_edu.errors.InPlaceError: np.add: out= would write over recorded values. Write y = np.add(...) instead.
    """


class ShapeWarning(UserWarning):
    """A rank-1 array did something that is legal and hardly ever meant; strict_shapes() makes it an error.

    An array of shape (n,) is neither row nor column, and `.T` leaves it as it is.

    >>> import warnings, tinygrad_edu as tg
    >>> a = tg.Tensor([1.0, 2.0, 3.0])
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     shape = a.T.shape
    >>> print(caught[0].message)
    a.T: a has shape (3,), a rank-1 array, which .T leaves as it is. Use a.col() for a column (3, 1), or a.row() for a \
row (1, 3).
    """


class LogitsWarning(UserWarning):
    """A cost that applies softmax or sigmoid itself was given what comes out of one: it is applied twice.

    cross_entropy takes the logits z, and computes log softmax(z) exactly. On probabilities it still runs and still learns,
    but slowly, towards something else: no probability can then come near 1.

    >>> import warnings, tinygrad_edu as tg
    >>> z = tg.Tensor([[2.0, 0.0, 0.0]])
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     cost = tg.cross_entropy(tg.softmax(z), [0])
    >>> print(caught[0].message)
    cross_entropy: the values come out of softmax, and softmax would be applied twice. Give the values \
before it, or use categorical_cross_entropy for probabilities.
    """


class NamesError(TinygradError, KeyError):
    """A name that was asked for is not in the graph.

    Readers take names: of Tensors with `name=`, and of the variables that hold them where the reader is called.

    >>> import tinygrad_edu as tg
    >>> issubclass(tg.errors.NamesError, KeyError)
    True
    """

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class DataError(TinygradError, ValueError):
    """A file of data does not hold what its header or its form promises: cut short, damaged, or of another kind.

    Sizes are checked before memory is asked for, and nothing in a file is ever executed: arrays of Python objects, which
    NumPy would unpickle, are refused.

    >>> import numpy as np
    >>> from tinygrad_edu import data
    >>> np.save("objects.npy", np.array([{"a": 1}]), allow_pickle=True)
    >>> data.read_npy("objects.npy")
    Traceback (most recent call last):
    tinygrad_edu.errors.DataError: read_npy: objects.npy holds Python objects, which only running code from the file could \
restore. Save plain arrays of numbers instead.
    """


class MissingExtraError(TinygradError, ImportError):
    """An optional package is needed for what was asked; the message gives the exact install line.

    Drawing to SVG, PNG or PDF needs Graphviz, on PATH or through pygraphviz; the DOT text needs neither.

    >>> import tinygrad_edu as tg
    >>> issubclass(tg.errors.MissingExtraError, ImportError)
    True
    """


def user_frame() -> FrameType | None:
    """The innermost frame outside this package: where the user's code is."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return frame


def variable_names(frame: FrameType | None = None) -> dict[int, str]:
    """Map id(object) to the variable that holds it, in the user's innermost frame.

    Comprehensions have frames of their own; their surrounding function is looked at too. Entries of dicts and lists
    count as `params["W1"]` -> `W1` and `Ws[0]` -> `Ws[0]`.
    """
    frame = frame or user_frame()
    names: dict[int, str] = {}
    while frame is not None:
        for scope in (frame.f_locals, frame.f_globals):
            for name, held in list(scope.items()):
                if name.startswith("_") or not name.isidentifier():  # pytest's @py_assert3
                    continue
                if name == "self":  # a model's self.W1 is called W1
                    for key, item in list(getattr(held, "__dict__", {}).items()):
                        _note(names, key, item)
                else:
                    _note(names, name, held)
        if not frame.f_code.co_name.startswith("<") or frame.f_code.co_name == "<module>":
            break
        frame = frame.f_back
    return names


def _note(names: dict[int, str], name: str, held: Any) -> None:
    """Name an array, or the arrays in a dict or list."""
    if hasattr(held, "shape"):
        names.setdefault(id(held), name)
    elif isinstance(getattr(type(held), "named_parameters", None), FunctionType):  # a model
        for key, item in held.named_parameters():
            names.setdefault(id(item), f"{name}.{key}")
    elif type(held) is dict and len(held) <= 1000:
        for key, item in held.items():
            if isinstance(key, str) and key.isidentifier() and hasattr(item, "shape"):
                names.setdefault(id(item), key)
    elif type(held) in (list, tuple) and len(held) <= 1000:
        for i, item in enumerate(held):
            if hasattr(item, "shape"):
                names.setdefault(id(item), f"{name}[{i}]")


def name_of(operand: Any, names: dict[int, str], default: str) -> str:
    """The operand's own name, the variable that holds it, the number itself, or `default`."""
    own = getattr(operand, "name", None)
    if isinstance(own, str):
        return own
    if isinstance(operand, (int, float)) and not hasattr(operand, "shape"):
        return repr(operand)
    found = names.get(id(operand))
    return found if found is not None else default


def operands_named(args: tuple[Any, ...]) -> list[str]:
    """Name the operands of a failing operation: a variable's name, else left, right or operand 3."""
    names = variable_names()
    default = ["left", "right"] if len(args) == 2 else [f"operand {i + 1}" for i in range(len(args))]
    return [name_of(arg, names, default[i]) for i, arg in enumerate(args)]


def explain_failure(name: str, symbol: str | None, args: tuple[Any, ...], error: Exception) -> Exception:
    """Turn NumPy's error about shapes into one that names operands, shapes and a remedy."""
    if name == "matmul" and isinstance(error, TypeError):
        return ShapeError("matmul: a single number has no matrix product. Use * to scale.")
    if isinstance(error, (TinygradError, AxisError)) or not isinstance(error, ValueError):
        return error
    shapes = [tuple(getattr(a, "shape", ())) for a in args]
    names = operands_named(args)
    shown = [f"{n} {s}" for n, s in zip(names, shapes, strict=True)]
    if isinstance(error, LinAlgError):
        return _linear_algebra_error(name, names[0].replace("operand 1", "A").replace("left", "A"), shapes[0], error)
    if "zero-size array to reduction" in str(error) or "empty sequence" in str(error):
        return ShapeError(f"{name}: {shown[0].removeprefix('operand 1 ')} has no entries, so there is none to choose. Check "
                          "the size first, or join it with a default value.")
    if name == "matmul":
        return ShapeError(_matmul_message(names, shapes, shown))
    where = f" {symbol} ".join(shown) if symbol and len(shown) == 2 else ", ".join(shown)
    return ShapeError(f"{name}: {where}: {_broadcast_message(names, shapes, error)}")


def _linear_algebra_error(operation: str, name: str, shape: tuple[int, ...], error: Exception) -> Exception:
    """NumPy's error about a matrix, with its name, its shape and a remedy."""
    text = str(error)
    shifted = f"{name} + 1e-6 * np.eye({shape[-1]})"
    if "ingular" in text:
        text = f"singular matrix. Use np.linalg.pinv, or add a small multiple of the identity, {shifted}."
    elif "positive definite" in text:
        text = (f"not positive definite. All of np.linalg.eigvalsh({name}) must be positive; a covariance becomes so as "
                f"{shifted}.")
    else:
        text = f"{text.rstrip('.')}. Look for nan and inf: np.isfinite({name}).all()."
    return LinearAlgebraError(f"{operation}: {name} {shape}: {text}")


def refuse_own_arithmetic(x: Any, where: str, who: str) -> None:
    """Raise for a masked array or a np.matrix; without loading numpy.ma, before which there are no masked arrays."""
    masked = getattr(sys.modules.get("numpy.ma"), "MaskedArray", matrix)
    if isinstance(x, (masked, matrix)):
        raise DTypeError(f"{where}: {type(x).__name__} has its own arithmetic, which {who} not follow. "
                         "Pass np.asarray(x) (and the mask as an array of its own).")


def refuse_rank_1(name: str, symbol: str | None, args: tuple[Any, ...], result: tuple[int, ...]) -> None:
    """Raise if a rank-1 array met a column and silently became a table."""
    shapes = [tuple(getattr(a, "shape", ())) for a in args]
    if len(result) != 2 or result[0] != result[1] or result[0] == 1 or len(shapes) != 2:
        return
    n = result[0]
    for i in (0, 1):
        if shapes[i] == (n,) and shapes[1 - i] == (n, 1):
            names = operands_named(args)
            where = f" {symbol or ','} ".join(f"{x} {s}" for x, s in zip(names, shapes, strict=True))
            raise ShapeError(
                f"{name}: {where}: a rank-1 array against a column broadcasts to {result}. Use {names[i]}.reshape({n}, "
                f"1) for a column, or {names[i]}.reshape(1, {n}) if the {result} table is meant.")


def _matmul_message(names: list[str], shapes: list[tuple[int, ...]], shown: list[str]) -> str:
    left, right = shapes
    where = f"matmul: {shown[0]} @ {shown[1]}: "
    if not left or not right:
        return where + "a single number has no matrix product. Use * to scale."
    inner = left[-1], right[-2] if len(right) > 1 else right[0]
    if inner[0] == inner[1]:
        return where + f"the leading axes {left[:-2]} and {right[:-2]} do not broadcast."
    message = where + f"inner sizes {inner[0]} and {inner[1]} differ."
    flip = [s[:-2] + (s[-1], s[-2]) if len(s) > 1 else s for s in shapes]
    choices = [
        (f"{names[0]}.T @ {names[1]}", flip[0], right, len(left) == 2),
        (f"{names[0]} @ {names[1]}.T", left, flip[1], len(right) == 2),
        (f"{names[1]} @ {names[0]}", right, left, True),
    ]
    for text, a, b, possible in choices:
        if possible and a[-1] == (b[-2] if len(b) > 1 else b[0]):
            return message + f" Did you mean {text}, {a} @ {b}?"
    if left == right:
        return message + f" Did you mean the elementwise product {names[0]} * {names[1]}?"
    return message


def _broadcast_message(names: list[str], shapes: list[tuple[int, ...]], error: Exception) -> str:
    big = [(n, s) for n, s in zip(names, shapes, strict=True) if s]
    for i, (name_a, a) in enumerate(big):
        for name_b, b in big[i + 1 :]:
            for back in range(1, min(len(a), len(b)) + 1):
                if a[-back] != b[-back] and 1 not in (a[-back], b[-back]):
                    text = f"the shapes do not broadcast: the last axis but {back - 1}" if back > 1 else (
                        "the shapes do not broadcast: the last axis"
                    )
                    text += f" has sizes {a[-back]} and {b[-back]}."
                    for name, s, other in ((name_b, b, a), (name_a, a, b)):
                        if len(s) == 1 and len(other) == 2 and s[0] == other[0]:
                            return text + f" Did you mean {name}.reshape({s[0]}, 1), a column?"
                        if len(s) == 2 and len(other) == 2 and _fits(s[::-1], other):
                            return text + f" Did you mean {name}.T, {s[::-1]}?"
                    return text
    return str(error)


def _fits(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(x == y or 1 in (x, y) for x, y in zip(reversed(a), reversed(b), strict=False))


_REASONS = {
    "no_grad": "{name} was computed under no_grad(), so nothing was recorded. Compute it outside no_grad().",
    "constants": "{name} was computed from constants alone. Make an input Tensor(...), or use the Tensor itself where you "
                 "passed its .numpy() or .data.",
    "detach": "{name} came from .detach(), which cuts it off from what made it. Leave .detach() out where a gradient is "
              "wanted.",
    "integer": "{name} came from .astype() to a type without derivatives. Keep a floating-point dtype.",
    None: "{name} was made with requires_grad=False. Make it Tensor(data).",
}


def why_no_gradient(root: Any) -> str:
    """Which of the reasons holds why a Tensor has no gradient."""
    name = name_of(root, variable_names(), "the result")
    reason = (root.params or {}).get("why") if root.op is None else None
    return "backward: " + _REASONS[reason].format(name=name)
