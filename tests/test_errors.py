"""What every error says, word for word: where, what with names and shapes, what to type instead."""

from __future__ import annotations

import copy
import pickle
import re
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.exceptions import AxisError

import tinygrad_edu as tg
from tinygrad_edu import Tensor, errors
from tinygrad_edu.errors import (
    DetachError,
    DTypeError,
    GradientError,
    InPlaceError,
    ShapeError,
    ShapeWarning,
    StaleError,
    TinygradError,
    UnsupportedError,
)

W1, X, b = Tensor(np.ones((4, 3))), np.ones((4, 5)), Tensor(np.ones(4))
t, M = Tensor([1.0, 2.0, 3.0]), Tensor(np.ones((2, 3)))
A, y, batch, other = Tensor(np.ones((1, 5))), np.ones(5), Tensor(np.ones((7, 2, 3))), np.ones((6, 3, 2))
params = {"W2": Tensor(np.ones((2, 2)))}
layers = [Tensor(np.ones((3, 3))), Tensor(np.ones((4, 4)))]

Row = tuple[Callable[[], Any], type[Exception], str]
NUMBERS = "Pass real numbers, for example Tensor([1.0, 2.0])."
RECORDED = "Leave it out; use np.where to choose entries and .astype for the dtype."

SHAPES: dict[str, Row] = {
    "matmul": (lambda: W1 @ X, ShapeError, "matmul: W1 (4, 3) @ X (4, 5): inner sizes 3 and 4 differ. "
               "Did you mean W1.T @ X, (3, 4) @ (4, 5)?"),
    "matmul-dot": (lambda: np.dot(W1, X), ShapeError, "matmul: W1 (4, 3) @ X (4, 5): inner sizes 3 and 4 differ. "
                   "Did you mean W1.T @ X, (3, 4) @ (4, 5)?"),
    "matmul-array-first": (lambda: X @ W1, ShapeError, "matmul: X (4, 5) @ W1 (4, 3): inner sizes 5 and 4 differ. "
                           "Did you mean X.T @ W1, (5, 4) @ (4, 3)?"),
    "matmul-itself": (lambda: M @ M, ShapeError, "matmul: M (2, 3) @ M (2, 3): inner sizes 3 and 2 differ. "
                      "Did you mean M.T @ M, (3, 2) @ (2, 3)?"),
    "matmul-vector": (lambda: W1 @ b, ShapeError, "matmul: W1 (4, 3) @ b (4,): inner sizes 3 and 4 differ. "
                      "Did you mean W1.T @ b, (3, 4) @ (4,)?"),
    "matmul-number": (lambda: np.matmul(W1, 2.0), ShapeError,
                      "matmul: W1 (4, 3) @ 2.0 (): a single number has no matrix "
                      "product. Use * to scale."),
    "matmul-batches": (lambda: batch @ other, ShapeError,
                       "matmul: batch (7, 2, 3) @ other (6, 3, 2): the leading axes (7,) "
                       "and (6,) do not broadcast."),
    "matmul-vectors": (lambda: t @ np.ones(4), ShapeError, "matmul: t (3,) @ right (4,): inner sizes 3 and 4 differ."),
    "matmul-in-a-dict": (lambda: params["W2"] @ t, ShapeError,
                         "matmul: W2 (2, 2) @ t (3,): inner sizes 2 and 3 differ."),
    "matmul-in-a-list": (lambda: layers[0] @ layers[1], ShapeError,
                         "matmul: layers[0] (3, 3) @ layers[1] (4, 4): inner sizes "
                         "3 and 4 differ."),
    "matmul-own-name": (lambda: Tensor(np.ones((2, 2)), name="V") @ t, ShapeError,
                        "matmul: V (2, 2) @ t (3,): inner sizes 2 "
                        "and 3 differ."),
    "add": (lambda: M + np.ones(4), ShapeError,
            "add: M (2, 3) + right (4,): the shapes do not broadcast: the last axis has "
            "sizes 3 and 4."),
    "multiply-transposed": (lambda: M * np.ones((3, 2)), ShapeError,
                            "multiply: M (2, 3) ⊙ right (3, 2): the shapes do not "
                            "broadcast: the last axis has sizes 3 and 2. Did you mean right.T, (2, 3)?"),
    "subtract-column": (lambda: M - np.ones(2), ShapeError,
                        "subtract: M (2, 3) − right (2,): the shapes do not broadcast: "
                        "the last axis has sizes 3 and 2. Did you mean right.reshape(2, 1), a column?"),
    "add-leading": (lambda: batch + np.ones((5, 1, 1)), ShapeError,
                    "add: batch (7, 2, 3) + right (5, 1, 1): the shapes do not "
                    "broadcast: the last axis but 2 has sizes 7 and 5."),
    "maximum": (lambda: np.maximum(M, np.ones(2)), ShapeError,
                "maximum: M (2, 3), right (2,): the shapes do not broadcast: the "
                "last axis has sizes 3 and 2. Did you mean right.reshape(2, 1), a column?"),
    "power": (lambda: M ** np.ones(2), ShapeError,
              "power: M (2, 3) ^ right (2,): the shapes do not broadcast: the last axis "
              "has sizes 3 and 2. Did you mean right.reshape(2, 1), a column?"),
    "where": (lambda: np.where(np.ones((4, 2), bool), M, 0.0), ShapeError,
              "where: operand 1 (4, 2), M (2, 3), 0.0 (): the shapes "
              "do not broadcast: the last axis has sizes 2 and 3."),
    "reshape": (lambda: t.reshape(2, 2), ShapeError,
                "reshape: (3,) has 3 entries, (2, 2) has 4. Let one size be -1 to have it "
                "worked out."),
    "reshape-two-unknown": (lambda: t.reshape(-1, -1), ShapeError,
                            "reshape: (-1, -1): at most one size may be -1, the others "
                            "count entries."),
    "reshape-remainder": (lambda: t.reshape(2, -1), ShapeError,
                          "reshape: 3 entries of shape (3,) do not fill (2, -1): the sizes "
                          "given make 2."),
    "transpose": (lambda: M.transpose(0, 0), ShapeError,
                  "transpose: axes (0, 0) for shape (2, 3): name each of the 2 axes once."),
    "transpose-one": (lambda: M.transpose(0), ShapeError,
                      "transpose: axes (0,) for shape (2, 3): name each of the 2 axes once."),
    "moveaxis": (lambda: np.moveaxis(M, (0, 1), 0), ValueError,
                 "moveaxis: 2 axes to move, 1 places given. Give as many of each."),
    "squeeze": (lambda: M.squeeze(0), ShapeError, "squeeze: axis 0 of shape (2, 3) has a size other than 1."),
    "broadcast_to": (lambda: tg.broadcast_to(M, (3, 2)), ShapeError,
                     "broadcast_to: shape (2, 3) does not broadcast to (3, 2): "
                     "aligned from the right, each size must be equal or 1."),
    "concatenate": (lambda: np.concatenate([M, np.ones((2, 2))]), ShapeError,
                    "concatenate: shapes (2, 3) and (2, 2) differ in "
                    "more than axis 0, along which they are joined."),
    "concatenate-nothing": (lambda: tg.concatenate([]), ValueError,
                            "concatenate: nothing to join. Give at least one array."),
    "concatenate-numbers": (lambda: np.concatenate([Tensor(1.0), Tensor(2.0)]), ShapeError,
                            "concatenate: single numbers have no "
                            "axis to join along. Use stack."),
    "stack": (lambda: np.stack([t, M]), ShapeError,
              "stack: the shapes differ: (3,), (2, 3). Use concatenate, or bring them to "
              "one shape."),
    "split": (lambda: np.split(t, 2), ValueError,
              "split: axis 0 of size 3 does not divide into 2 equal parts. Use array_split "
              "for nearly equal ones."),
    "array_split": (lambda: np.array_split(t, 0), ValueError, "split: 0 parts. Ask for at least one."),
    "diag": (lambda: np.diag(batch), ShapeError,
             "diag: shape (7, 2, 3); give a vector or a matrix. For stacks of matrices use "
             "diagonal."),
    "tril": (lambda: np.tril(t), ShapeError, "tril: shape (3,) is no matrix. Use .reshape first."),
    "mT": (lambda: t.mT, ShapeError, "matrix_transpose: shape (3,) has no two axes. Use .reshape(-1, 1) for a column."),
    "average": (lambda: np.average(M, weights=np.ones(2)), ShapeError,
                "average: weights of shape (2,) for data of shape (2, 3). "
                "Give the data's shape, or one weight for each place along the axis."),
    "tensordot": (lambda: np.tensordot(M, np.ones((4, 2)), 1), ShapeError,
                  "tensordot: (2, 3) and (4, 2): the summed axes [1] "
                  "and [0] have sizes [3] and [4]."),
    "einsum-sizes": (lambda: np.einsum("ij,jk->ik", M, np.ones((4, 2))), ShapeError,
                     "einsum: the letter j stands for sizes 3 and "
                     "4: operands ij (2, 3), jk (4, 2)."),
    "einsum-operands": (lambda: np.einsum("ij,jk", M), ValueError, "einsum: 'ij,jk' names 2 operands, 1 are given."),
    "einsum-letters": (lambda: np.einsum("ijk->i", M), ShapeError,
                       "einsum: 'ijk' has 3 letters for an operand of shape (2, 3). "
                       "Give each axis a letter, or write ... for the rest."),
    "einsum-diagonal": (lambda: np.einsum("ii", M), ShapeError,
                        "einsum: the letter i stands for sizes 2 and 3 in operand 1, "
                        "(2, 3)."),
    "einsum-output": (lambda: np.einsum("ij->ik", M), ValueError,
                      "einsum: 'ij->ik': each letter of the output must stand in an "
                      "operand, and once in the output."),
    "axis": (lambda: M.sum(axis=2), AxisError, "sum: axis 2 is out of bounds for shape (2, 3). Axes run from -2 to 1."),
    "axis-twice": (lambda: np.mean(M, axis=(0, 0)), ValueError,
                   "mean: axis (0, 0) names an axis twice. Name each once."),
    "axis-of-a-number": (lambda: Tensor(1.0).mean(axis=0), AxisError,
                         "mean: axis 0 given, but a single number has no axes."),
    "axis-swapaxes": (lambda: M.swapaxes(0, 2), AxisError,
                      "swapaxes: axis 2 is out of bounds for shape (2, 3). Axes run from "
                      "-2 to 1."),
    "axis-argmax": (lambda: M.argmax(axis=3), AxisError,
                    "argmax: axis 3 is out of bounds for shape (2, 3). Axes run from -2 to 1."),
    "axis-sort": (lambda: np.sort(M, axis=3), AxisError,
                  "sort: axis 3 is out of bounds for shape (2, 3). Axes run from -2 to 1."),
    "axis-cumsum": (lambda: np.cumsum(M, axis=3), AxisError,
                    "cumsum: axis 3 is out of bounds for shape (2, 3). Axes run from -2 "
                    "to 1."),
    "axis-expand_dims": (lambda: np.expand_dims(t, 3), AxisError,
                         "expand_dims: axis 3 is out of bounds for a result with 2 axes. "
                         "Axes run from -2 to 1."),
    "axis-stack": (lambda: np.stack([t, t], axis=3), AxisError,
                   "stack: axis 3 is out of bounds for a result with 2 axes. Axes "
                   "run from -2 to 1."),
    "take_along_axis": (lambda: np.take_along_axis(M, np.array([0]), 1), ShapeError,
                        "take_along_axis: indices of shape (1,) for "
                        "data of shape (2, 3): they need as many axes. Use np.expand_dims(indices, axis)."),
    "ragged": (lambda: Tensor([[1, 2], [3]]), ShapeError,
               "Tensor: the rows have different lengths, so they make no array. Pad "
               "them, or keep a list of Tensors."),
    "meshgrid": (lambda: np.meshgrid(t, t, indexing="ab"), ValueError,
                 'meshgrid: indexing=\'ab\': write "xy" or "ij".'),
    "gelu": (lambda: tg.gelu(t, approximate="fast"), ValueError,
             "gelu: approximate='fast': write approximate=\"none\" or "
             'approximate="tanh".'),
    "expect-column": (lambda: t.expect((3, 1)), ShapeError,
                      "expect: t has shape (3,), expected (3, 1). It is a rank-1 array, "
                      "neither row nor column: use t.reshape(3, 1), or t.col()."),
    "expect-row": (lambda: t.expect((1, 3)), ShapeError,
                   "expect: t has shape (3,), expected (1, 3). It is a rank-1 array, "
                   "neither row nor column: use t.reshape(1, 3), or t.row()."),
    "expect-transposed": (lambda: M.expect((3, 2)), ShapeError,
                          "expect: M has shape (2, 3), expected (3, 2). Did you mean M.T?"),
    "expect": (lambda: M.expect((5, 5)), ShapeError, "expect: M has shape (2, 3), expected (5, 5)."),
    "item": (lambda: t.item(), ShapeError,
             "item: shape (3,) holds 3 numbers, not one. Index it first, or use .numpy().tolist()."),
    "bool": (lambda: bool(t), ShapeError, "bool: shape (3,) holds 3 truth values. Use (t > 0).all() or .any(), or "
             "np.where(condition, a, b) to choose entry by entry."),
    "len": (lambda: len(Tensor(1.0)), TypeError, "len: a 0-dimensional Tensor has no length. Use .size."),
    "iteration": (lambda: list(Tensor(1.0)), TypeError,
                  "iteration over a 0-dimensional Tensor. Use float(t) for its value."),
    "new-data": (lambda: setattr(t, "data", np.ones(4)), ShapeError,
                 "data: the Tensor has shape (3,), the new data (4,). Use "
                 ".reshape((3,)) if that is what you mean, or make a new Tensor."),
}

DTYPES: dict[str, Row] = {
    "text": (lambda: Tensor("3"), DTypeError, f"Tensor: data of dtype <U1 cannot be differentiated. {NUMBERS}"),
    "complex": (lambda: Tensor(1j), DTypeError,
                f"Tensor: data of dtype complex128 cannot be differentiated. {NUMBERS}"),
    "objects": (lambda: Tensor([None]), DTypeError,
                f"Tensor: data of dtype object cannot be differentiated. {NUMBERS}"),
    "dates": (lambda: Tensor(np.array(["2020"], "datetime64[Y]")), DTypeError,
              "Tensor: data of dtype datetime64[Y] cannot be "
              f"differentiated. {NUMBERS}"),
    "integer-dtype": (lambda: Tensor([1, 2], dtype=int), DTypeError,
                      "Tensor: dtype int64 has no derivatives. Use a floating-point "
                      "dtype, or requires_grad=False for a constant."),
    "complex-operand": (lambda: t * 1j, DTypeError,
                        f"multiply: data of dtype complex128 cannot be differentiated. {NUMBERS}"),
    "complex-array": (lambda: t * np.ones(3, complex), DTypeError,
                      "multiply: data of dtype complex128 cannot be differentiated. "
                      f"{NUMBERS}"),
    "object-array": (lambda: t * np.array([None] * 3), DTypeError,
                     "multiply: data of dtype object cannot be differentiated. "
                     f"{NUMBERS}"),
    "text-operand": (lambda: t + "a", DTypeError, f"add: data of dtype <U1 cannot be differentiated. {NUMBERS}"),
    "text-argument": (lambda: tg.exp("a"), DTypeError, f"exp: data of dtype <U1 cannot be differentiated. {NUMBERS}"),
    "astype": (lambda: t.astype(complex), DTypeError,
               "astype: dtype complex128 cannot be differentiated. Use float64 or float32."),
    "masked": (lambda: t * np.ma.array([1.0, 2.0, 3.0]), DTypeError,
               "multiply: MaskedArray has its own arithmetic, which Tensors "
               "do not follow. Pass np.asarray(x) (and the mask as an array of its own)."),
    "gradient": (lambda: t.sum().backward("x"), DTypeError,
                 f"gradient: data of dtype <U1 cannot be differentiated. {NUMBERS}"),
    "check_gradients": (lambda: tg.check_gradients(tg.exp, np.ones(2, np.float32)), DTypeError,
                        "check_gradients: argument 1 is "
                        "float32. Differences lose half of the digits, and float32 has only 6 to begin with. Use "
                        "x.astype(np.float64)."),
    "take_along_axis": (lambda: np.take_along_axis(M, np.array([[0.5]]), 1), IndexError,
                        "take_along_axis: indices of dtype "
                        "float64. Use integers."),
}

INDICES: dict[str, Row] = {
    "out-of-bounds": (lambda: t[5], IndexError,
                      "index: t has shape (3,): index 5 is out of bounds for axis 0 with size 3."),
    "too-many": (lambda: M[0, 0, 0], IndexError,
                 "index: M has shape (2, 3): too many indices for array: array is 2-dimensional, "
                 "but 3 were indexed."),
    "float": (lambda: t[1.5], IndexError,
              "index: t has shape (3,): only integers, slices (`:`), ellipsis (`...`), numpy.newaxis "
              "(`None`) and integer or boolean arrays are valid indices."),
    "text": (lambda: t["a"], IndexError,
             "index: t has shape (3,): only integers, slices (`:`), ellipsis (`...`), numpy.newaxis "
             "(`None`) and integer or boolean arrays are valid indices."),
    "tensor": (lambda: t[Tensor([1.0])], IndexError,
               "index: a Tensor of floats is no index. Use .astype(int), or a comparison for "
               "a mask."),
    "mask": (lambda: M[np.array([True, False, True])], IndexError,
             "index: M has shape (2, 3): boolean index did not match indexed "
             "array along axis 0; size of axis is 2 but size of corresponding boolean axis is 3."),
    "pairs": (lambda: M[[0, 1], [0, 1, 2]], IndexError,
              "index: M has shape (2, 3): shape mismatch: indexing arrays could not be "
              "broadcast together with shapes (2,) (3,)."),
    "take": (lambda: np.take(t, 9), IndexError,
             "index: t has shape (3,): index 9 is out of bounds for axis 0 with size 3."),
}

IN_PLACE: dict[str, Row] = {
    "out": (lambda: np.add(t, 1, out=np.empty(3)), InPlaceError, "np.add: out= would write over recorded values. Write "
            "y = np.add(...) instead."),
    "out-function": (lambda: np.sum(t, out=np.empty(())), InPlaceError,
                     "np.sum: out= would write over recorded values. Write "
                     "y = np.sum(...) instead."),
    "array-plus-equals": (lambda: X.__iadd__(Tensor(X)), InPlaceError,
                          "np.add: out= would write over recorded values. Write "
                          "y = np.add(...) instead (x += t with an array x does this: write x = x + t)."),
    "at": (lambda: np.add.at(np.ones(3), [0], t[:1]), InPlaceError, "np.add.at: changes an array in place. Write "
           "x = x + tg.assign(zeros, index, values), or pick with x[index] and add."),
    "item": (lambda: t.__setitem__(0, 1.0), InPlaceError,
             "t[...] = ...: t is a leaf whose gradient is wanted, and it would stand for another value than the one you made. "
             "To fill it, make it a constant, t = tg.zeros((3,)); to go on with a changed copy, write t = t.copy() first, or "
             "t = tg.assign(t, index, values); to change a parameter, write it under tg.no_grad()."),
    "item-of-a-view": (lambda: t[:2].__setitem__(0, 1.0), InPlaceError,
                       "t[...] = ...: t was taken from t, which NumPy would change too. Assign into that one, with one index "
                       "(A[i, j] = ..., not A[i][j] = ...), or write t = t.copy() first."),
    "assign-twice": (lambda: tg.assign(t, [0, 0], 1.0), InPlaceError,
                     "assign: the index names a place twice, and which value stays "
                     "would be arbitrary. Use each place once, or add with tg.scatter_add."),
    "data-of-a-result": (lambda: setattr(t * 2, "data", np.ones(3)), GradientError,
                         "data: the result of multiply cannot be given "
                         "new data, the graph would no longer say how it was made. Change the leaf it comes from."),
}

DETACHING: dict[str, Row] = {
    "asarray": (lambda: np.asarray(t), DetachError,
                "Tensor to ndarray: the gradient would be lost. Use np.stack([...]) or "
                "np.concatenate([...]) to join Tensors, t.numpy() for the numbers."),
    "array-of-tensors": (lambda: np.array([t, t]), DetachError,
                         "Tensor to ndarray: the gradient would be lost. Use np.stack([...]) "
                         "or np.concatenate([...]) to join Tensors, t.numpy() for the numbers."),
    "into-an-array": (lambda: X.__setitem__(0, Tensor(np.ones(5))), DetachError,
                      "Tensor to ndarray: the gradient would be lost. Use "
                      "np.stack([...]) or np.concatenate([...]) to join Tensors, t.numpy() for the numbers."),
    "tensor-of-a-tensor": (lambda: Tensor(t), DetachError,
                           "Tensor(t): t is a Tensor already. Use t itself, or t.detach() for its "
                           "value without history."),
    "pickle": (lambda: pickle.dumps(t * 2), UnsupportedError,
               "Tensor: pickling and copying a recorded value is refused, the graph "
               "would come along. Save t.numpy() with np.save, or make Tensor(t.numpy())."),
    "copy": (lambda: copy.copy(t * 2), UnsupportedError,
             "Tensor: pickling and copying a recorded value is refused, the graph would "
             "come along. Save t.numpy() with np.save, or make Tensor(t.numpy())."),
    "deepcopy": (lambda: copy.deepcopy(t * 2), UnsupportedError,
                 "Tensor: pickling and copying a recorded value is refused, the "
                 "graph would come along. Save t.numpy() with np.save, or make Tensor(t.numpy())."),
}

UNSUPPORTED: dict[str, Row] = {
    "function": (lambda: np.angle(t), UnsupportedError,
                 "np.angle: no derivative rule for Tensors. Of real numbers it is 0 or π: np.where(t < 0, np.pi, 0.0). The "
                 "angle of a point (x, y) is np.arctan2(y, x). For the numbers alone use np.angle(t.numpy())."),
    "fft": (lambda: np.fft.fft(t), UnsupportedError,
            "np.fft.fft: no derivative rule for Tensors. Complex numbers have no derivative here: multiply by the tables of "
            "cosines and sines, C @ x and S @ x, with C, S = np.cos(a), np.sin(a) and a = 2 * np.pi * np.outer(k, k) / n. For "
            "the numbers alone use np.fft.fft(t.numpy())."),
    "linalg": (lambda: np.linalg.svd(M, hermitian=True), UnsupportedError, None),
    "ufunc": (lambda: np.gcd(t, t), UnsupportedError, None),
    "reduce": (lambda: np.subtract.reduce(t), UnsupportedError, None),
    "where": (lambda: np.std(t, where=True), UnsupportedError, f"np.std: where=True cannot be recorded. {RECORDED}"),
    "ufunc-where": (lambda: np.add(t, 1, where=True, casting="safe"), UnsupportedError, None),
    "initial": (lambda: np.hypot.reduce(t, initial=0.0), UnsupportedError, None),
    "dtype": (lambda: np.sum(t, dtype="int64"), UnsupportedError,
              f"np.sum: dtype='int64' cannot be recorded. {RECORDED}"),
    "order": (lambda: np.reshape(M, (6,), order="F"), UnsupportedError,
              "reshape: order='F' is not recorded. Use transpose before "
              "and after, or order='C'."),
    "pad-mode": (lambda: np.pad(t, 1, mode="mean"), UnsupportedError,
                 "pad: mode 'mean' is not recorded. Use constant, edge, "
                 "reflect, symmetric or wrap."),
    "pad-values": (lambda: np.pad(t, 1, constant_values=(1, 2)), UnsupportedError,
                   "pad: constant_values must be one number. Use "
                   "concatenate for different borders."),
}


def f(x: Any) -> Any:
    return x * 2


def pair(x: Any) -> Any:
    return x, x


CALCULUS: dict[str, Row] = {
    "grad-of-several": (lambda: tg.grad(f)(np.ones(2)), GradientError,
                        "grad(f): the function returns shape (2,), and only a single "
                        "number has a gradient. Return .sum() of it, or use tg.jacobian(f)(x), or tg.vjp(f, x) with weights."),
    "hessian-of-several": (lambda: tg.hessian(f)(np.ones(2)), GradientError,
                           "grad(f): the function returns shape (2,), and only a "
                           "single number has a gradient. Return .sum() of it, or use tg.jacobian(f)(x), or tg.vjp(f, x) with "
                           "weights."),
    "grad-of-a-pair": (lambda: tg.grad(pair)(1.0), GradientError,
                       "grad(pair): the function returns 2 results, and only one number "
                       "has a gradient. Use jacobian or vjp, or has_aux=True for (number, extra)."),
    "grad-of-nothing": (lambda: tg.grad(lambda x: None)(1.0), GradientError,
                        "<lambda>: the function returns None. Is a `return` missing?"),
    "argnums": (lambda: tg.grad(f, 1)(1.0), ValueError,
                "f: argnums names argument 1, but 1 positional arguments are given. Pass the "
                "arguments to differentiate by position."),
    "has_aux": (lambda: tg.grad(f, has_aux=True)(1.0), TypeError,
                "f: has_aux=True expects (result, extra), got Tensor. Return a "
                "pair, or leave has_aux out."),
    "text-result": (lambda: tg.grad(lambda x: "a")(1.0), DTypeError,
                    f"result: data of dtype <U1 cannot be differentiated. {NUMBERS}"),
    "text-argument": (lambda: tg.grad(f)("a"), DTypeError,
                      f"argument: data of dtype <U1 cannot be differentiated. {NUMBERS}"),
    "vjp-shape": (lambda: tg.vjp(f, np.ones(2))[1](np.ones(3)), ShapeError,
                  "vjp: the gradient has shape (3,), the result (2,). They "
                  "must be equal: an entry of the gradient weighs an entry of the result."),
    "vjp-count": (lambda: tg.vjp(pair, np.ones(2))[1](np.ones(2)), GradientError,
                  "vjp: 1 gradients for 2 results of pair. Give one "
                  "array per result, nested as the results."),
    "vjp-nothing": (lambda: tg.vjp(f, np.ones(2))[1](), GradientError,
                    "vjp: the result has shape (2,), and only a single number has "
                    "a derivative without more said. Call pull(g) with an array of shape (2,)."),
    "jvp-count": (lambda: tg.jvp(f, (1.0, 2.0), (1.0,)), ValueError,
                  "jvp: 2 primals and 1 tangents. Give one tangent per primal."),
    "jvp-shape": (lambda: tg.jvp(f, np.ones(2), np.ones(3)), ShapeError,
                  "jvp: tangent 1 has shape (3,), its primal (2,). They must "
                  "be equal: a tangent says how each entry moves."),
    "jvp-nest": (lambda: tg.jvp(f, ({"a": 1.0, "b": 2.0},), ({"a": 1.0},)), (ShapeError, TypeError), None),
    "jacobian-mode": (lambda: tg.jacobian(f, mode="both"), ValueError,
                      "jacobian: mode='both': write \"auto\", \"forward\" or "
                      '"reverse".'),
    "jacobian-layout": (lambda: tg.jacobian(f, layout="row"), ValueError,
                        "jacobian: layout='row': write \"numerator\" or "
                        '"denominator", or leave it out.'),
    "jacobian-layout-of-a-matrix": (lambda: tg.jacobian(f, layout="numerator")(np.ones((2, 2))), ShapeError,
                                    "jacobian: "
                                    "layout='numerator' is for vectors, and the result has shape (2, 2). Leave layout out: the "
                                    "result has the shape of the result, then that of the argument."),
    "check_gradients": (lambda: tg.check_gradients(f), ValueError,
                        "check_gradients: no arguments to differentiate by. Write "
                        "check_gradients(f, x)."),
    "primitive-kind": (lambda: tg.primitive(f, kind="odd"), ValueError,
                       "primitive: kind='odd': write \"pointwise\", \"linear\", "
                       '"multilinear" or "general".'),
    "primitive-without-rule": (lambda: tg.primitive(), TypeError,
                               "primitive: give one derivative rule per operand first: "
                               "@tg.primitive(lambda g, y, x: g * y), then the function."),
    "primitive-operands": (lambda: tg.primitive(lambda g, y, x: g)(f)(1.0, 2.0), TypeError,
                           "f: 2 operands, but 1 derivative rules "
                           "were given. Pass what is not differentiated by keyword."),
    "primitive-wrong": (lambda: tg.primitive(lambda g, y, x: g, samples=[(0.5,)])(np.exp), GradientError,
                        "primitive exp: a rule "
                        "disagrees with differences at (0.5,): gradients DIFFER: 1 entries against complex step, worst "
                        "relative error 3.9e-01 (allowed 1e-06)\n  x: autodiff 1, complex step 1.648721271, "
                        "relative error 3.9e-01"),
}

TABLES = {"shape": SHAPES, "dtype": DTYPES, "index": INDICES, "in-place": IN_PLACE, "detach": DETACHING,
          "unsupported": UNSUPPORTED, "calculus": CALCULUS}


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{kind}-{name}") for kind, table in TABLES.items()
                                 for name, row in table.items()])
def test_what_it_says(row: Row) -> None:
    call, kind, text = row
    with pytest.raises(kind) as caught:
        call()
    if text is not None:
        assert str(caught.value) == text
    else:
        assert len(str(caught.value)) > 30


# ---------------------------------------------------------------- backward

def test_backward_of_several_numbers() -> None:
    z = t * 2
    with pytest.raises(GradientError) as caught:
        z.backward()
    assert str(caught.value) == (
        "backward: z has shape (3,), and only a single number has a derivative without more said. Use z.sum().backward(), "
        "z.backward(gradient) with an array of shape (3,), or tg.jacobian(f)(x).")


def test_backward_with_weights_of_another_shape() -> None:
    z = t * 2
    with pytest.raises(ShapeError) as caught:
        z.backward(np.ones(2))
    assert str(caught.value) == ("backward: the gradient has shape (2,), the result (3,). They must be equal: an entry of the "
                                 "gradient weighs an entry of the result.")


REASONS = {
    "no_grad": r"no_grad\(\)", "detach": r"\.detach\(\)", "requires_grad": r"requires_grad=False",
    "constants": r"constants alone",
    "astype": r"\.astype\(",
}


def without_gradient(reason: str) -> Tensor:
    x = Tensor(2.0)
    if reason == "no_grad":
        with tg.no_grad():
            return x * x
    if reason == "detach":
        return (x * x).detach()
    if reason == "requires_grad":
        return Tensor(2.0, requires_grad=False)
    if reason == "constants":
        return Tensor(2.0, requires_grad=False) * 3.0
    return x.astype(int)


@pytest.mark.parametrize("reason", list(REASONS))
def test_missing_gradient_names_its_reason(reason: str) -> None:
    """The reason that holds, and no other."""
    J = without_gradient(reason)
    with pytest.raises(GradientError) as caught:
        J.backward()
    message = str(caught.value)
    assert message.startswith("backward: J ")
    what, _, remedy = message.partition(". ")
    assert remedy
    assert [name for name, text in REASONS.items() if re.search(text, what)] == [reason]


# ---------------------------------------------------------------- stale leaves

def test_stale_leaf() -> None:
    w = Tensor([1.0, 2.0], name="w")
    J = (w * w).sum()
    w.data -= 0.1
    with pytest.raises(StaleError) as caught:
        J.backward()
    assert str(caught.value) == (
        "backward: w was changed (w.data = ...) after multiply recorded it, so the gradient would be wrong. Run the forward "
        "pass again after the change, or call backward() before it.")


def test_stale_leaf_by_its_variable() -> None:
    weights = Tensor([1.0, 2.0])
    J = tg.exp(weights).sum()
    weights.data = [3.0, 4.0]
    with pytest.raises(StaleError,
                       match=r"^backward: weights was changed \(weights\.data = \.\.\.\) after exp recorded it"):
        J.backward()


def test_stale_leaf_without_a_name() -> None:
    def make() -> Tensor:
        w = Tensor([1.0, 2.0])
        J = tg.exp(w).sum()
        w.data = [3.0, 4.0]
        return J

    J = make()
    with pytest.raises(StaleError, match=r"^backward: a leaf of shape \(2,\) was changed"):
        J.backward()


# ---------------------------------------------------------------- rank-1 arrays

def test_M47_T_of_a_rank_1_array_warns() -> None:
    a = Tensor(np.random.randn(5))
    with pytest.warns(ShapeWarning) as caught:
        same = a.T
    assert same is a
    assert str(caught[0].message) == (
        "a.T: a has shape (5,), a rank-1 array, which .T leaves as it is. Use a.col() for a column (5, 1), or a.row() for a "
        "row (1, 5).")
    assert caught[0].filename == __file__
    with pytest.warns(ShapeWarning):
        assert np.dot(a, a.T).shape == ()


def test_M47_strict_shapes_refuses_what_rank_1_arrays_do_silently() -> None:
    a, column = Tensor(np.ones(5)), np.ones((5, 1))
    assert (a - column).shape == (5, 5)
    with tg.strict_shapes():
        with pytest.raises(ShapeError) as caught:
            _ = a.T
        assert str(caught.value) == (
            "a.T: a has shape (5,), a rank-1 array, which .T leaves as it is. Use a.col() for a column (5, 1), or a.row() for "
            "a row (1, 5).")
        for wrong in (lambda: a - column, lambda: column * a, lambda: np.maximum(a, column),
                      lambda: tg.hypot(column, a)):
            with pytest.raises(ShapeError, match=r"a rank-1 array against a column broadcasts to \(5, 5\)"):
                wrong()
        with pytest.raises(ShapeError) as caught:
            a - column
        assert str(caught.value) == (
            "subtract: a (5,) − column (5, 1): a rank-1 array against a column broadcasts to (5, 5). Use a.reshape(5, 1) for a "
            "column, or a.reshape(1, 5) if the (5, 5) table is meant.")
        assert (a.col() - column).shape == (5, 1) and (a.row() - column).shape == (5, 5)
        assert (a + 1).shape == (a * a).shape == (5,)
    assert (a - column).shape == (5, 5)


def test_M48_columns_and_rows() -> None:
    a = Tensor(np.ones((5, 1)))
    assert a.T.shape == (1, 5) and (a @ a.T).shape == (5, 5)
    a.expect((5, 1))
    v = Tensor(np.ones(5))
    assert v.reshape((5, 1)).expect((5, 1)).shape == v.col().shape == (5, 1)
    assert v.row().shape == (1, 5)


def test_strict_shapes_as_decorator_and_in_its_thread() -> None:
    a, column = Tensor(np.ones(3)), np.ones((3, 1))

    @tg.strict_shapes()
    def careful() -> Any:
        return a - column

    with pytest.raises(ShapeError):
        careful()
    shapes = []
    with tg.strict_shapes():
        thread = threading.Thread(target=lambda: shapes.append((a - column).shape))
        thread.start()
        thread.join()
    assert shapes == [(3, 3)]


# ---------------------------------------------------------------- kinds and pages

ERRORS = sorted({e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, TinygradError)},
                key=lambda e: e.__name__)


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.__name__)
def test_every_error_has_a_page(error: type[Exception]) -> None:
    """Cause and remedy, and the kind that code for NumPy would catch."""
    assert error.__doc__ and len(error.__doc__) > 40
    assert error is TinygradError or any(base.__module__ == "builtins" for base in error.__mro__[1:-2])


@pytest.mark.parametrize("error, kinds", [
    (ShapeError, ValueError), (DTypeError, TypeError), (DetachError, TypeError), (GradientError, RuntimeError),
    (StaleError, RuntimeError), (UnsupportedError, NotImplementedError), (InPlaceError, TypeError),
], ids=lambda e: getattr(e, "__name__", ""))
def test_kinds(error: type[Exception], kinds: type[Exception]) -> None:
    assert issubclass(error, kinds) and issubclass(error, TinygradError)


def test_copies_of_leaves_are_new_leaves() -> None:
    w = Tensor([1.0, 2.0], name="w")
    for twin in (copy.copy(w), copy.deepcopy(w)):
        assert twin is not w and twin.name == "w" and twin.requires_grad
        twin.data -= 1.0
        np.testing.assert_array_equal(w.data, [1, 2])


def test_emptiness_names_the_shape() -> None:
    for function in (tg.max, tg.min, tg.argmax, tg.argmin):
        with pytest.raises(ShapeError, match=r"^(arg)?(max|min): .*\(0, 3\)"):
            function(Tensor(np.zeros((0, 3))))


def test_names_do_not_outlive_the_call() -> None:
    """Naming looks at the caller's variables; it neither keeps nor changes them."""
    def attempt(left_hand: Any, right_hand: Any) -> Any:
        return left_hand @ right_hand

    with pytest.raises(ShapeError,
                       match=r"^matmul: left_hand \(2, 3\) @ right_hand \(4, 5\): inner sizes 3 and 4 differ\.$"):
        attempt(Tensor(np.ones((2, 3))), np.ones((4, 5)))
    with pytest.raises(ShapeError, match=r"^matmul: left \(2, 3\) @ right \(4, 5\)"):
        Tensor(np.ones((2, 3))) @ np.ones((4, 5))


def test_foreign_types_get_their_turn() -> None:
    """Python's own protocol: what Tensors do not know may know Tensors."""
    class Reflects:
        def __radd__(self, other: Any) -> str:
            return "reflected"

    assert t + Reflects() == "reflected"
    for strange in (None, {}, object()):
        with pytest.raises(TypeError):
            t + strange
    with pytest.raises(AttributeError):
        _ = t.no_such_attribute
    with pytest.raises(AttributeError):
        t.surname = "x"  # a misspelt attribute is not silently accepted


def test_names_of_other_libraries_are_translated() -> None:
    t = Tensor([1.0, 2.0])
    with pytest.raises(AttributeError, match=r"Tensor has no attribute 'view'\. Write t\.reshape\(\.\.\.\)\."):
        _ = t.view
    assert not hasattr(t, "unsqueeze")
    assert not hasattr(Tensor, "__getattr__")  # it would slow down every attribute
    assert t.tolist() == [1.0, 2.0]
