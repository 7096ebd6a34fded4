"""J = 3(a + bc): the smallest computation graph, forwards and backwards.

    forwards, left to right          backwards, right to left: d(final)/d(variable), called dv, du, da, ...

    a ──────────┐                    dJ = dJ/dJ = 1
                v = a + u ── J = 3v  dv = 3
    b ── u = bc ┘                    da = dv · dv/da = 3 · 1            du = dv · dv/du = 3 · 1
    c ──┘                            db = du · du/db = 3 · c            dc = du · du/dc = 3 · b

One step of backprop along an arrow multiplies what has arrived so far by one local derivative. That is all there is.

Run: python examples/01_computation_graph.py [--plot DIR]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import Tensor


def forward(a, b, c):
    """J and the steps on the way, for numbers and for Tensors alike."""
    u = b * c
    v = a + u
    J = 3 * v
    return J, v, u


def by_hand(a: float, b: float, c: float) -> dict[str, float]:
    """Right to left, one arrow at a time; `dvar` means d(final output)/d(var)."""
    dJ = 1.0
    dv = dJ * 3  # J = 3v
    da = dv * 1  # v = a + u
    du = dv * 1
    db = du * c  # u = bc
    dc = du * b
    return {"dv": dv, "du": du, "da": da, "db": db, "dc": dc}


def by_autodiff(a: float, b: float, c: float) -> dict[str, float]:
    """The same, read from the record of the forward pass."""
    a, b, c = Tensor(a, name="a"), Tensor(b, name="b"), Tensor(c, name="c")
    J, v, u = forward(a, b, c)
    J.backward()
    return {"dv": v.grad, "du": u.grad, "da": a.grad, "db": b.grad, "dc": c.grad}


def nudged(a: float, b: float, c: float, by: float = 0.001) -> dict[str, tuple[float, float]]:
    """What a derivative means: J after a small push on one variable, and how many times larger J's change is."""
    J, v, _ = forward(a, b, c)
    after = {
        "a": forward(a + by, b, c)[0],
        "b": forward(a, b + by, c)[0],
        "c": forward(a, b, c + by)[0],
        "v": 3 * (v + by),
    }
    return {name: (value, (value - J) / by) for name, value in after.items()}


def slopes() -> list[tuple[str, float, float, float]]:
    """The slope of a curve changes from point to point; that of a line does not. (name, at, by hand, by autodiff)"""
    curves = {"3a": (lambda a: 3 * a, lambda a: 3), "a²": (lambda a: a**2, lambda a: 2 * a),
              "a³": (lambda a: a**3, lambda a: 3 * a**2), "ln a": (np.log, lambda a: 1 / a)}
    return [(name, at, slope(at), tg.grad(f)(at)) for name, (f, slope) in curves.items() for at in (2.0, 5.0)]


def used_twice() -> tuple[float, float]:
    """A variable with two arrows out receives along both, and the two parts add up: c = 4a. (by hand, by autodiff)"""
    a = Tensor(3.0)
    b = a + a
    c = b + b
    c.backward()
    return 2.0 + 2.0, a.grad


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save J.svg (default: a temporary directory)")
    directory = parser.parse_args(argv).plot or Path(tempfile.mkdtemp(prefix="computation_graph_"))

    a, b, c = Tensor(5), Tensor(3), Tensor(2)
    u = b * c
    v = a + u
    J = 3 * v
    print(f"forwards:  u = bc = {u}   v = a + u = {v}   J = 3v = {J}")

    hand, autodiff = by_hand(5, 3, 2), by_autodiff(5, 3, 2)
    side_by_side("backwards", *((name, hand[name], autodiff[name]) for name in hand))

    print("\na nudge of 0.001, and what it does to J")
    for name, (value, ratio) in nudged(5, 3, 2).items():
        print(f"  {name} + 0.001:  J = {value:.3f}   change / 0.001 = {ratio:.6f}   d{name} = {hand['d' + name]:g}")

    side_by_side("slopes of curves", *((f"d({name})/da at a={at:g}", by, ad) for name, at, by, ad in slopes()))
    side_by_side("a variable used twice: b = a + a, c = b + b", ("dc/da", *used_twice()))

    J.backward()
    print(f"\nthe chain rule, written out\n{tg.explain(J)}")
    directory.mkdir(parents=True, exist_ok=True)
    tg.draw(J).save(directory / "J.svg")
    print(f"\nthe picture: {directory / 'J.svg'}")


if __name__ == "__main__":
    main()
