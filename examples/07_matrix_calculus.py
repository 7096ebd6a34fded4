"""Derivatives of numbers by vectors and matrices, and which way round they lie.

    α = yᵀ A x      ∂α/∂x = yᵀ A       ∂α/∂y = xᵀ Aᵀ      ∂α/∂A = y xᵀ
    α = xᵀ A x      ∂α/∂x = xᵀ (A + Aᵀ),   which is 2 xᵀ A if A is symmetric

In the numerator layout, the one of these formulas, the derivative of a number by a column (n, 1) is a row (1, n). A
gradient, `x.grad`, has the shape of x instead, so that x − α x.grad makes sense; it is the row transposed.

Further reading: explained.ai/matrix-calculus (Parr and Howard); the derivatives notes of Stanford's cs231n;
eli.thegreenplace.net, "The Softmax function and its derivative".

Run: python examples/07_matrix_calculus.py
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import Tensor


def bilinear(y, A, x):
    """α = yᵀ A x, shape (1, 1)."""
    return y.T @ A @ x


def quadratic(x, A):
    """α = xᵀ A x, shape (1, 1)."""
    return x.T @ A @ x


def bilinear_derivatives(y, A, x):
    """Rows (name, by hand, by autodiff) for α = yᵀ A x."""
    by_y, by_x = tg.jacobian(bilinear, argnums=(0, 2), layout="numerator")(y, A, x)
    ty, tA, tx = Tensor(y), Tensor(A), Tensor(x)
    bilinear(ty, tA, tx).backward()
    return [("∂α/∂x = yᵀA", y.T @ A, by_x), ("∂α/∂y = xᵀAᵀ", x.T @ A.T, by_y),
            ("x.grad = (yᵀA)ᵀ", (y.T @ A).T, tx.grad), ("y.grad = (xᵀAᵀ)ᵀ", (x.T @ A.T).T, ty.grad),
            ("A.grad = y xᵀ", y @ x.T, tA.grad)]


def quadratic_derivatives(x, A):
    """Rows (name, by hand, by autodiff) for α = xᵀ A x, with A as given and made symmetric."""
    S = (A + A.T) / 2
    by_x, by_x_symmetric = (tg.jacobian(quadratic, layout="numerator")(x, M) for M in (A, S))
    return [("∂α/∂x = xᵀ(A + Aᵀ)", x.T @ (A + A.T), by_x),
            ("∂α/∂x = 2 xᵀS, S = Sᵀ", 2 * x.T @ S, by_x_symmetric),
            ("∂²α/∂x² = A + Aᵀ", A + A.T, tg.hessian(lambda v: v @ A @ v)(x[:, 0]))]


def softmax_derivative(z):
    """Rows for ∂S/∂z = diag(s) − s sᵀ: entry ij is sᵢ (δᵢⱼ − sⱼ)."""
    s = np.exp(z) / np.exp(z).sum()
    return [("∂S/∂z = diag(s) − ssᵀ", np.diag(s) - np.outer(s, s), tg.jacobian(tg.softmax)(z))]


def main(argv: Sequence[str] | None = None) -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(argv)
    rng = np.random.default_rng(0)
    y, A, x = rng.standard_normal((3, 1)), rng.standard_normal((3, 4)), rng.standard_normal((4, 1))
    side_by_side("α = yᵀ A x, with y (3, 1), A (3, 4), x (4, 1)", *bilinear_derivatives(y, A, x))
    side_by_side("α = xᵀ A x, with A (4, 4)", *quadratic_derivatives(x, rng.standard_normal((4, 4))))
    side_by_side("softmax of five numbers", *softmax_derivative(rng.standard_normal(5)))


if __name__ == "__main__":
    main()
