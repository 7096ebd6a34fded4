"""Broadcasting, and what it does to derivatives.

The general principle: an (m, n) matrix with {+, −, ×, ÷} a (1, n) row, an (m, 1) column or a number: NumPy copies the
smaller one until it fits. A derivative runs that backwards: what was copied along an axis has its derivative summed
along that axis, so every derivative has the shape of its variable.

Run: python examples/03_broadcasting.py
"""

from __future__ import annotations

import argparse
import operator
import warnings
from collections.abc import Sequence

import numpy as np
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import Tensor
from tinygrad_edu.errors import ShapeError, ShapeWarning

FOODS = ("apples", "beef", "eggs", "potatoes")
NUTRIENTS = ("carb", "protein", "fat")
CALORIES = np.array([[56.0, 0.0, 4.4, 68.0],  # per 100 g: what each nutrient of each food contributes
                     [1.2, 104.0, 52.0, 8.0],
                     [1.8, 135.0, 99.0, 0.9]])


def percentages(A):
    """How many percent of a food's calories come from which nutrient, without a loop: (3, 4) / (1, 4)."""
    cal = A.sum(axis=0)  # down the columns, (4,)
    return 100 * A / cal.reshape(1, 4)  # the reshape costs nothing, and says what is meant


def derivatives_of_percentage() -> tuple[np.ndarray, np.ndarray]:
    """∂P₀₀/∂A, (3, 4), by hand and by autodiff; P₀₀ is how much of an apple is carbohydrate.

    P₀₀ = 100 A₀₀/cal, and cal = A₀₀ + A₁₀ + A₂₀, so A₀₀ counts twice (quotient rule) and the other foods not at all.
    """
    cal = CALORIES[:, 0].sum()
    hand = np.zeros((3, 4))
    hand[0, 0] = 100 * (cal - CALORIES[0, 0]) / cal**2
    hand[1:, 0] = -100 * CALORIES[0, 0] / cal**2
    return hand, tg.grad(lambda A: percentages(A)[0, 0])(CALORIES)


def general_principle(seed: int = 0) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """All four operations × three shapes: the derivative of sum(G ⊙ (A op B)) by B, by hand and by autodiff."""
    rng = np.random.default_rng(seed)
    A, G = rng.uniform(1, 2, (2, 3)), rng.standard_normal((2, 3))
    operations = {  # name: the operation, and its entrywise derivative by b
        "A + B": (operator.add, lambda a, b: 1),
        "A − B": (operator.sub, lambda a, b: -1),
        "A × B": (operator.mul, lambda a, b: a),
        "A ÷ B": (operator.truediv, lambda a, b: -a / b**2),
    }
    copied = {  # shape of B: along which axes NumPy copied it, so along which axes to sum
        (1, 3): lambda D: D.sum(axis=0, keepdims=True),
        (2, 1): lambda D: D.sum(axis=1, keepdims=True),
        (): lambda D: D.sum(),
    }
    rows = []
    for name, (operation, slope) in operations.items():
        for shape, back in copied.items():
            B = rng.uniform(1, 2, shape)
            hand = back(G * slope(A, B))
            autodiff = tg.grad(lambda B, operation=operation: (G * operation(A, B)).sum())(B)
            rows.append((f"d/dB of {name}, B {shape}", hand, autodiff))
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(argv)

    print("calories in 100 g, and where they come from")
    print(f"  {'':<8}" + "".join(f"{food:>10}" for food in FOODS))
    for nutrient, row in zip(NUTRIENTS, percentages(CALORIES), strict=True):
        print(f"  {nutrient:<8}" + "".join(f"{p:9.1f}%" for p in row))
    print(f"  {'cal':<8}" + "".join(f"{cal:10.1f}" for cal in CALORIES.sum(axis=0)))
    side_by_side("percentage of carbohydrate in apples, by all twelve numbers",
                 ("∂P₀₀/∂A", *derivatives_of_percentage()))

    print("\nthree small ones")
    column, hundred = np.array([[1.0], [2.0], [3.0], [4.0]]), Tensor(100)
    (column + hundred).sum().backward()
    matrix = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    row, tall = Tensor([[100, 200, 300]]), Tensor([[100], [200]])
    (matrix + row).sum().backward()
    (matrix + tall).sum().backward()
    print(f"  (4, 1) + 100     {(column + hundred).numpy().tolist()}")
    print(f"  (2, 3) + (1, 3)  {(matrix + row).numpy().tolist()}")
    print(f"  (2, 3) + (2, 1)  {(matrix + tall).numpy().tolist()}")
    side_by_side("copied n times, so the derivative of the sum is n", ("number", 4.0, hundred.grad),
                 ("row", np.full((1, 3), 2.0), row.grad), ("column", np.full((2, 1), 3.0), tall.grad))

    side_by_side("the general principle", *general_principle())

    print("\nrank-1 arrays: neither row nor column")
    a = Tensor(np.random.default_rng(0).standard_normal(5))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ShapeWarning)
        product = np.dot(a, a.T)
    print(f"  a = randn(5) has shape {a.shape}; np.dot(a, a.T) is a number: {product:.6f}")
    print(f"  warned: {caught[0].message}")
    y = np.ones(5)
    print(f"  a column minus it is silently a table: {(a.col() - y).shape}")
    try:
        with tg.strict_shapes():
            a.col() - y
    except ShapeError as error:
        print(f"  with tg.strict_shapes(): {error}")
    try:
        a.expect((5, 1))
    except ShapeError as error:
        print(f"  a.expect((5, 1)): {error}")
    a = a.reshape((5, 1)).expect((5, 1))
    print(f"  after a = a.reshape((5, 1)): a.T has shape {a.T.shape}, a aᵀ has shape {np.dot(a, a.T).shape}")


if __name__ == "__main__":
    main()
