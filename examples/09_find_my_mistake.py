"""Find my mistake: a backward pass by hand with three slips, and `compare`, which says what they are.

    Z1 = W1 X + b1,  A1 = tanh(Z1),  Z2 = W2 A1 + b2,  A2 = σ(Z2),  J = −(1/m) Σ [...]

The six lines of backprop are written with three slips of the pen. `compare` holds their numbers against autodiff, and
replays the backward pass with one step altered until the wrong numbers come out. Line by line the slips are mended.

Run: python examples/09_find_my_mistake.py [--seed N]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.testing import assert_matches, grade


def forward(W1, b1, W2, b2, X):
    """Z1, A1, Z2, A2, one column per example."""
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = tg.sigmoid(Z2)
    return Z1, A1, Z2, A2


def cost(W1, b1, W2, b2, X, Y):
    """J alone: all that autodiff needs. `compare` takes the names of its variables, and of those of forward."""
    _, _, _, A2 = forward(W1, b1, W2, b2, X)
    return -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))


def backward(W1, b1, W2, b2, X, Y, mended: int = 3):
    """The gradients by hand, with the first `mended` of three slips mended."""
    m = X.shape[1]
    _, A1, _, A2 = forward(W1, b1, W2, b2, X)
    dZ2 = A2 - Y
    dW2 = (1 / m) * dZ2 @ A1.T if mended > 0 else dZ2 @ A1.T  # 1: where is 1/m?
    db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
    dZ1 = W2.T @ dZ2 * ((1 - A1**2) if mended > 1 else A1 * (1 - A1))  # 2: that is σ′, not tanh′
    dW1 = (1 / m) * dZ1 @ X.T
    db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True) if mended > 2 else (1 / m) * dZ1  # 3: what shape has db1?
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2, "dZ1": dZ1, "dZ2": dZ2}


def data(seed: int):
    """Random parameters, five examples X (3, 5), and Y (1, 5)."""
    rng = np.random.default_rng(seed)
    shapes = (4, 3), (4, 1), (1, 4), (1, 1), (3, 5)
    return (*(rng.normal(size=shape) for shape in shapes), np.array([[0.0, 1.0, 1.0, 0.0, 1.0]]))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    arguments = data(options.seed)
    parameters = ("dW1", "db1", "dW2", "db2")

    print("all three slips, the parameters alone: each wrong gradient is explained from the cost")
    hand = backward(*arguments, mended=0)
    print(tg.compare(cost, *arguments, **{name: hand[name] for name in parameters}))

    print("\nwith dZ1 and dZ2 handed in too: dW1 is right for the dZ1 it was made of")
    print(tg.compare(cost, *arguments, **hand))

    print("\nas points")
    print(grade(cost, *arguments, points={"dW1": 3, "db1": 1, "dW2": 3, "db2": 1, "dZ1": 2}, **hand))

    for mended in (1, 2):
        print(f"\n{mended} of 3 mended")
        hand = backward(*arguments, mended=mended)
        print(tg.compare(cost, *arguments, **{name: hand[name] for name in parameters}))

    assert_matches(cost, *arguments, **backward(*arguments))
    print("\n3 of 3 mended: all right")


if __name__ == "__main__":
    main()
