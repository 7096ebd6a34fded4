"""Random recurrences: eager against compiled, and with each pass left out, on several numbers.

Loops over slices of arguments, along any axis, forwards and backwards, with cells of several kinds, what varies in time and
what does not, and costs of the last state, of all of them, stacked, sliced or joined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.containers import flatten
from tinygrad_edu.program.compiled import PASS_NAMES

LAYOUTS: dict[str, tuple[Callable[[int, int, int], tuple[int, ...]], Callable[[Any, int, int], Any]]] = {
    "time first": (lambda t, b, d: (t, b, d), lambda x, t, n: x[t]),
    "time second": (lambda t, b, d: (b, t, d), lambda x, t, n: x[:, t]),
    "time last": (lambda t, b, d: (b, d, t), lambda x, t, n: x[:, :, t]),
    "from the end": (lambda t, b, d: (t, b, d), lambda x, t, n: x[-1 - t]),
    "every other": (lambda t, b, d: (2 * t, b, d), lambda x, t, n: x[2 * t + 1]),
    "slices": (lambda t, b, d: (t * b, d), lambda x, t, n: x[t * n : (t + 1) * n]),
}
CELLS = ("tanh", "gru", "gate", "lstm", "linear", "twice", "relu", "where")
COSTS = ("last", "sum", "each", "list", "stack", "mean", "parts", "join")
EXTRAS = ("bias_in_time", "number_in_time", "noise", "start", "residual", "reuse", "clip", "skip", "decay", "backwards")


class Recurrence:
    """One random recurrence, its arguments, and the arguments it is differentiated by."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.steps = steps = int(rng.integers(3, 6))
        self.batch, inner, width = (int(rng.choice([1, 2, 3, steps])) for _ in range(3))
        self.layout, self.cell, self.cost = (str(rng.choice(names)) for names in (list(LAYOUTS), CELLS, COSTS))
        self.extras = {name for name in EXTRAS if rng.random() < 0.3}
        self.numbers = [float(x) for x in rng.uniform(0.2, 1.5, 5).round(3)]
        self.dtype = np.float32 if rng.random() < 0.15 else np.float64
        shapes = [LAYOUTS[self.layout][0](steps, self.batch, inner), (inner, width), (width, width), (width,), (steps,),
                  (steps, width), (steps, self.batch, width), (self.batch, width), (width, width)]
        self.arguments = [(0.5 * rng.normal(size=shape)).astype(self.dtype) for shape in shapes]
        self.by = tuple(sorted(rng.choice(9, size=int(rng.integers(1, 7)), replace=False).tolist()))

    def __repr__(self) -> str:
        return f"{self.cell}, {self.cost}, {self.layout}, {sorted(self.extras)}, by {self.by}"

    def __call__(self, x: Any, W: Any, U: Any, b: Any, numbers: Any, biases: Any, noise: Any, start: Any, A: Any) -> Any:
        h = previous = start if "start" in self.extras else np.zeros(start.shape, self.dtype)
        memory, total, states = np.zeros(start.shape, self.dtype), 0.0, []
        for s in range(self.steps):
            t = self.steps - 1 - s if "backwards" in self.extras else s
            now = LAYOUTS[self.layout][1](x, t, self.batch)
            a = now @ W + h @ U + b
            a = a + biases[t] if "bias_in_time" in self.extras else a
            a = a * numbers[t] if "number_in_time" in self.extras else a
            a = a * noise[t] + noise[t] if "noise" in self.extras else a
            new, memory = self.next(a, h, memory, now, W, A)
            new = new + previous * self.numbers[0] if "residual" in self.extras else new
            new = new + h if "skip" in self.extras and t % 2 else new
            new = np.clip(new, -0.9, 0.9) if "clip" in self.extras else new
            new = new * noise[t] * b if "decay" in self.extras else new
            previous, h = h, new
            states.append(h)
            if self.cost == "sum":
                total = total + np.sum(h * h)
            elif self.cost == "each":
                total = total + np.mean((h @ A - noise[t]) ** 2)
            if "reuse" in self.extras:
                total = total + np.sum(now) * self.numbers[1]
        return total + self.of(states, noise)

    def next(self, a: Any, h: Any, memory: Any, now: Any, W: Any, A: Any) -> tuple[Any, Any]:
        if self.cell == "gru":
            z = tg.sigmoid(a)
            return z * h + (1 - z) * np.tanh(now @ W + (z * h) @ A), memory
        if self.cell == "gate":
            return tg.sigmoid(a) * np.tanh(a @ A) + h * 0.5, memory
        if self.cell == "lstm":
            memory = tg.sigmoid(a @ A) * memory + tg.sigmoid(a) * np.tanh(a)
            return tg.sigmoid(a) * np.tanh(memory), memory
        return {"tanh": lambda: np.tanh(a), "linear": lambda: h * self.numbers[2] + a * self.numbers[3],
                "twice": lambda: np.tanh(a @ A + a * a), "relu": lambda: tg.relu(a),
                "where": lambda: np.where(a > 0.1, np.tanh(a), self.numbers[4] * a)}[self.cell](), memory

    def of(self, states: list[Any], noise: Any) -> Any:
        return {"last": lambda: np.sum(states[-1] ** 2), "sum": lambda: 0.0, "each": lambda: 0.0,
                "list": lambda: sum(np.sum(h * (i + 1)) for i, h in enumerate(states)),
                "stack": lambda: np.sum(np.tanh(np.stack(states)) * noise), "mean": lambda: np.mean(np.stack(states) ** 2),
                "parts": lambda: np.sum(states[0][:, :1] * states[-1]) + np.sum(states[1][0]),
                "join": lambda: np.sum(np.concatenate(states, axis=1) ** 2)}[self.cost]()

    def value_and_slopes(self, *arguments: Any) -> Any:
        return tg.value_and_grad(self, argnums=self.by)(*arguments)

    def descent(self, *arguments: Any) -> Any:
        value, slopes = tg.value_and_grad(self, argnums=self.by)(*arguments)
        return value, [arguments[k] - 0.1 * d for k, d in zip(self.by, slopes, strict=True)], 2 * slopes[0]


def check(seed: int, without: tuple[str, ...]) -> None:
    f = Recurrence(seed)
    rng = np.random.default_rng(seed)
    others = [(x * (1 + 0.3 * rng.uniform(-1, 1, x.shape))).astype(f.dtype) for x in f.arguments]
    run = f.descent if seed % 3 == 0 else f.value_and_slopes
    step = tg.jit(run, without=without)
    step(*f.arguments)
    for given in (f.arguments, others):
        for x, y in zip(flatten(step(*given))[0], flatten(run(*given))[0], strict=True):
            x, y = np.asarray(x), np.asarray(y)
            assert x.dtype == y.dtype and x.shape == y.shape, f
            limit = (2e-4 if f.dtype == np.float32 else 1e-10) * max(1.0, np.abs(y).max(initial=0))
            assert np.all(np.abs(x - y) <= limit), f


@pytest.mark.parametrize("start", range(0, 75, 15))
def test_random_recurrences(start: int) -> None:
    for seed in range(start, start + 15):
        check(seed, ())


@pytest.mark.parametrize("name", PASS_NAMES)
def test_each_pass_left_out(name: str) -> None:
    start = 1000 + 3 * PASS_NAMES.index(name)
    for seed in range(start, start + 2):
        check(seed, (name,))


def train(seed: int) -> tuple[Callable[..., Any], list[Any], list[Any]]:
    """A training step of a random recurrence, with momentum, on donated parameters."""
    f = Recurrence(seed)
    places = [1, 2, 3, 8]

    def step(params: Any, speeds: Any, rest: Any, rate: Any) -> Any:
        def loss(params: Any) -> Any:
            arguments = list(rest)
            for k, p in zip(places, params, strict=True):
                arguments[k] = p
            return f(*arguments)

        value, slopes = tg.value_and_grad(loss)(params)
        speeds = [0.9 * v + d for v, d in zip(speeds, slopes, strict=True)]
        return value, [p - rate * v for p, v in zip(params, speeds, strict=True)], speeds

    return step, [f.arguments[k] for k in places], f.arguments


@pytest.mark.parametrize("start", range(0, 40, 10))
@pytest.mark.parametrize("donate", [("params",), ("params", "speeds"), ("speeds", "params")])
def test_training_recurrences(start: int, donate: tuple[str, ...]) -> None:
    for seed in range(2000 + start, 2010 + start, 3):
        step, params, rest = train(seed)
        tolerance = 1e-3 if params[0].dtype == np.float32 else 1e-9
        fast = tg.jit(step, donate=donate)
        ours = wanted = (params, [0 * p for p in params])
        for _ in range(3):
            found, right = fast(*ours, rest, 0.01), step(*wanted, rest, 0.01)
            for x, y in zip(flatten(found)[0], flatten(right)[0], strict=True):
                np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance * max(1.0, np.abs(y).max(initial=0)))
            ours, wanted = found[1:], right[1:]
