"""Products of matrices and of arrays of any rank."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..operators import infix
from ..rules import products
from ..tensor import Tensor
from .arranging import diagonal
from .inputs import as_array, one_axis, operand
from .pointwise import multiply
from .reductions import sum
from .shapes import ravel, reshape, transpose

_matmul, _matmul_swapped = infix(products.matmul), infix(products.matmul, swapped=True)

__all__ = [
    "dot", "einsum", "inner", "matmul", "outer", "tensordot", "vdot",
]


def matmul(a: Any, b: Any) -> Any:
    """The matrix product a @ b, in all of NumPy's cases: vectors, matrices, stacks of matrices.

    Derivatives g bᵀ and aᵀ g.

    a (..., n, k), b (..., k, p), or vectors (k,); the result (..., n, p). Raises ShapeError where the inner sizes differ.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.matmul(tg.Tensor(np.ones((2, 3))), np.ones(3))
    Tensor([3., 3.])
    """
    if type(a) is Tensor:
        return _matmul(a, b if type(b) is Tensor else operand(b, "matmul"))
    if type(b) is Tensor:
        return _matmul_swapped(b, operand(a, "matmul"))
    return products.matmul(operand(a, "matmul"), operand(b, "matmul"))


def dot(a: Any, b: Any) -> Any:
    """NumPy's dot: inner product of vectors, matrix product, scaling by a number; for more axes the sum over the last
    axis of a and the last but one of b.

    >>> import numpy as np, tinygrad_edu as tg
    >>> w, X, b = tg.Tensor(np.ones((3, 1))), np.ones((3, 5)), 0.5
    >>> (np.dot(w.T, X) + b).shape
    (1, 5)
    """
    a, b = as_array(a, "dot"), as_array(b, "dot")
    if not a.ndim or not b.ndim:
        return multiply(a, b)
    if b.ndim <= 2:
        return matmul(a, b)
    return tensordot(a, b, ((a.ndim - 1,), (b.ndim - 2,)))


def vdot(a: Any, b: Any) -> Any:
    """The inner product of all entries.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.vdot(tg.Tensor([[1.0, 2.0]]), [[3.0, 4.0]])
    Tensor(11.0)
    """
    return matmul(ravel(a), ravel(b))


def inner(a: Any, b: Any) -> Any:
    """The sum over the last axes.

    >>> import tinygrad_edu as tg
    >>> tg.inner(tg.Tensor([1.0, 2.0]), [3.0, 4.0])
    Tensor(11.0)
    """
    a, b = as_array(a, "inner"), as_array(b, "inner")
    if not a.ndim or not b.ndim:
        return multiply(a, b)
    return tensordot(a, b, ((-1,), (-1,)))


def outer(a: Any, b: Any) -> Any:
    """All products of an entry of a and an entry of b, a table (size of a, size of b).

    >>> import tinygrad_edu as tg
    >>> tg.outer(tg.Tensor([1.0, 2.0]), [3.0, 4.0, 5.0]).shape
    (2, 3)
    """
    return multiply(reshape(ravel(a), (-1, 1)) if as_array(a).size else reshape(a, (0, 1)), ravel(b))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """The sum over pairs of axes: an int (that many last of a and first of b), or two lists of axes.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.tensordot(tg.Tensor(np.ones((2, 3, 4))), np.ones((3, 4, 5))).shape
    (2, 5)
    """
    a, b = as_array(a, "tensordot"), as_array(b, "tensordot")
    if isinstance(axes, (int, np.integer)):
        left, right = list(range(a.ndim - int(axes), a.ndim)), list(range(int(axes)))
    else:
        pair = [[x] if isinstance(x, (int, np.integer)) else list(x) for x in axes]
        left = [one_axis(a, int(i), "tensordot") for i in pair[0]]
        right = [one_axis(b, int(i), "tensordot") for i in pair[1]]
    sizes = [a.shape[i] for i in left], [b.shape[i] for i in right]
    if sizes[0] != sizes[1]:
        raise ShapeError(f"tensordot: {tuple(a.shape)} and {tuple(b.shape)}: the summed axes {left} and {right} have sizes "
                         f"{sizes[0]} and {sizes[1]}.")
    rest_a = [i for i in range(a.ndim) if i not in left]
    rest_b = [i for i in range(b.ndim) if i not in right]
    n = math.prod(sizes[0])
    shape_a, shape_b = [a.shape[i] for i in rest_a], [b.shape[i] for i in rest_b]
    flat_a = reshape(transpose(a, rest_a + left), (math.prod(shape_a), n))
    flat_b = reshape(transpose(b, right + rest_b), (n, math.prod(shape_b)))
    return reshape(matmul(flat_a, flat_b), (*shape_a, *shape_b))


def einsum(subscripts: Any, *operands: Any) -> Any:
    """Einstein's summation: letters shared or left out of the output are summed.

    Implicit output, ellipsis, repeated letters and NumPy's form with lists of axes are understood.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.einsum("ij,jk->ik", tg.Tensor(np.ones((2, 3))), np.ones((3, 4))).shape
    (2, 4)
    """
    inputs, output, xs = _parse_einsum(subscripts, operands)
    dtype = np.result_type(*[x.dtype for x in xs])
    if dtype.kind == "f":  # as NumPy: of the result's type before they are summed
        xs = [x if x.dtype == dtype else x.astype(dtype) for x in xs]
    terms = []
    for i, (letters, x) in enumerate(zip(inputs, xs, strict=True)):
        for letter in dict.fromkeys(letters):  # repeated letters: the diagonal
            while letters.count(letter) > 1:
                first = letters.index(letter)
                second = letters.index(letter, first + 1)
                if x.shape[first] != x.shape[second]:
                    raise ShapeError(f"einsum: the letter {letter} stands for sizes {x.shape[first]} and "
                                     f"{x.shape[second]} in operand {i + 1}, {tuple(x.shape)}.")
                x = diagonal(x, 0, first, second)
                letters = letters[:first] + letters[first + 1 : second] + letters[second + 1 :] + letter
        elsewhere = set(output).union(*(s for j, s in enumerate(inputs) if j != i))
        alone = tuple(j for j, letter in enumerate(letters) if letter not in elsewhere)
        if alone:  # summed here, no other operand has it
            x, letters = sum(x, alone), "".join(c for c in letters if c in elsewhere)
        terms.append((letters, x))
    sizes: dict[str, int] = {}
    for letters, x in terms:
        for letter, n in zip(letters, x.shape, strict=True):
            if n != 1 and sizes.setdefault(letter, n) != n:
                raise ShapeError(f"einsum: the letter {letter} stands for sizes {sizes[letter]} and {n}: operands "
                                 + ", ".join(f"{s} {tuple(v.shape)}" for s, v in terms) + ".")
    if len(terms) == 1:
        letters, x = terms[0]
        return transpose(x, [letters.index(c) for c in output]) if x.ndim else x
    return products.einsum(*[x for _, x in terms], inputs=tuple(s for s, _ in terms), output=output)


def _parse_einsum(subscripts: Any, operands: tuple[Any, ...]) -> tuple[list[str], str, list[Any]]:
    if not isinstance(subscripts, str):  # einsum(x, [0, 1], y, [1, 2], [0, 2])
        flat = [subscripts, *operands]
        given_output = flat.pop() if len(flat) % 2 else None
        xs = [as_array(x, "einsum") for x in flat[::2]]

        def spell(axes: Any) -> str:
            return "".join("..." if i is Ellipsis else chr(97 + i) if i < 26 else chr(39 + i) for i in axes)

        text = ",".join(spell(axes) for axes in flat[1::2])
        text += "" if given_output is None else "->" + spell(given_output)
    else:
        text, xs = subscripts.replace(" ", ""), [as_array(x, "einsum") for x in operands]
    left, arrow, output = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(xs):
        raise ValueError(f"einsum: '{text}' names {len(inputs)} operands, {len(xs)} are given.")
    unused = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in text]
    dots = builtins.max([x.ndim - len(s.replace("...", "")) for s, x in zip(inputs, xs, strict=True) if "..." in s],
                        default=0)
    batch = "".join(unused[:builtins.max(dots, 0)])
    spelled = []
    for s, x in zip(inputs, xs, strict=True):
        own = x.ndim - len(s.replace("...", ""))
        if own < 0 or (own and "..." not in s):
            raise ShapeError(f"einsum: '{s}' has {len(s.replace('...', ''))} letters for an operand of shape "
                             f"{tuple(x.shape)}. Give each axis a letter, or write ... for the rest.")
        spelled.append(s.replace("...", batch[len(batch) - own :]))
    if not arrow:
        letters = "".join(s for s in inputs).replace(".", "")
        output = batch + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    else:
        output = output.replace("...", batch)
    if len(set(output)) < len(output) or not set(output) <= set("".join(spelled)):
        raise ValueError(f"einsum: '{text}': each letter of the output must stand in an operand, and once in the output.")
    return spelled, output, xs


# what NumPy keeps elsewhere or under another name
NUMPY: dict[Any, Any] = {np.vdot: vdot, np.inner: inner}
