"""Microseconds for an optimiser's step against a loop over the parameters: python -m benchmarks.optimisers"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu import Tensor, optim

SHAPES: dict[str, list[tuple[int, ...]]] = {
    "4 of an MLP 64-100-10": [(100, 64), (100,), (10, 100), (10,)],
    "20 (ten layers of 30 units)": [(30, 30), (30,)] * 10,
    "200 of (16, 16)": [(16, 16)] * 200,
    "6 of an MLP 784-512-512-10": [(512, 784), (512,), (512, 512), (512,), (10, 512), (10,)],
    "10, five million numbers": [(1000, 1000), (1000,)] * 5,
}


def momentum_loop(parameters: list[Any], gradients: list[Any], lr: float = 0.01, momentum: float = 0.9) -> Callable[[], None]:
    """Momentum, a parameter at a time."""
    velocities = [np.zeros_like(w) for w in parameters]

    def step() -> None:
        for w, g, v in zip(parameters, gradients, velocities, strict=True):
            v *= momentum
            v += g
            w -= lr * v

    return step


def adam_loop(parameters: list[Any], gradients: list[Any], lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999,
              eps: float = 1e-8) -> Callable[[], None]:
    """Adam, a parameter at a time."""
    ms, vs = [np.zeros_like(w) for w in parameters], [np.zeros_like(w) for w in parameters]
    t = 0

    def step() -> None:
        nonlocal t
        t += 1
        for w, g, m, v in zip(parameters, gradients, ms, vs, strict=True):
            m *= beta1
            m += (1 - beta1) * g
            v *= beta2
            v += (1 - beta2) * (g * g)
            w -= lr / (1 - beta1**t) * m / (np.sqrt(v) / math.sqrt(1 - beta2**t) + eps)

    return step


def microseconds(step: Callable[[], Any], seconds: float = 0.5) -> float:
    """The fastest of as many calls as fit, after a few to warm up."""
    for _ in range(3):
        step()
    best, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        step()
        best = min(best, time.perf_counter() - start)
    return best * 1e6


def main() -> None:
    """Print the table of docs/optimisers.md."""
    rng = np.random.default_rng(0)
    print("| parameters | momentum, flat | loop | Adam, flat | loop |\n|---|---|---|---|---|")
    for name, shapes in SHAPES.items():
        gradients = [rng.normal(size=shape) for shape in shapes]
        row = []
        for make, by_hand in ((lambda ts: optim.SGD(ts, lr=0.01, momentum=0.9), momentum_loop), (optim.Adam, adam_loop)):
            tensors = [Tensor(g) for g in gradients]
            for t, g in zip(tensors, gradients, strict=True):
                t.grad = g
            row += [microseconds(make(tensors).step), microseconds(by_hand([np.array(g) for g in gradients], gradients))]
        print(f"| {name} | " + " | ".join(f"{x:.0f}" for x in row) + " |")


if __name__ == "__main__":
    main()
