"""The data of the further workloads: programs of other kinds and sizes, which no part of the engine was tuned to."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np

Data = SimpleNamespace


def layers(rng: np.random.Generator, sizes: tuple[int, ...], dtype: type = np.float64) -> list[Any]:
    """Weights (inputs, outputs) and biases (outputs,), for examples in rows."""
    params: list[Any] = []
    for n_in, n_out in pairwise(sizes):
        params += [(rng.standard_normal((n_in, n_out)) / np.sqrt(n_in)).astype(dtype),
                   (0.1 * rng.standard_normal(n_out)).astype(dtype)]
    return params


def attention_block(m: int = 8, steps: int = 32, n: int = 64) -> Data:
    """Sequences of 64 features; four heads, and a ReLU layer of twice the width."""
    rng = np.random.default_rng(212)
    shape = (m, steps, n)
    products = [(rng.standard_normal((n, n)) / np.sqrt(n)).astype(np.float32) for _ in range(4)]
    return Data(X=rng.standard_normal(shape).astype(np.float32), Y=rng.standard_normal(shape).astype(np.float32), heads=4,
                rate=1e-2, params=[*products, *layers(rng, (n, 2 * n, n), np.float32)])


def batch_norm_network(m: int = 128) -> Data:
    """Rows of 64 features through 128-128-10; a scale and a shift after each hidden product, a bias after the last."""
    rng = np.random.default_rng(213)
    W1, b1, W2, b2, W3, b3 = layers(rng, (64, 128, 128, 10))
    params = [W1, np.ones(128), b1, W2, np.ones(128), b2, W3, b3]
    return Data(X=rng.standard_normal((m, 64)), y=rng.integers(0, 10, m), classes=10, rate=1e-2, params=params)


def gru(steps: int = 40, m: int = 32, hidden: int = 48) -> Data:
    """Sequences of 24 features and 4 targets a step; gates reset, update, candidate, then the read-out."""
    rng = np.random.default_rng(214)
    params: list[Any] = []
    for _ in range(3):
        params += [rng.standard_normal((24, hidden)) / np.sqrt(24), rng.standard_normal((hidden, hidden)) / np.sqrt(hidden),
                   np.zeros(hidden)]
    return Data(X=rng.standard_normal((steps, m, 24)), Y=rng.standard_normal((steps, m, 4)), hidden=hidden, m=m, rate=1e-2,
                params=params + layers(rng, (hidden, 4)))


def gaussian_mixture(m: int = 2000) -> Data:
    """Points in three dimensions and eight Gaussians: logits of the weights, means, logarithms of the deviations."""
    rng = np.random.default_rng(215)
    centres = 3 * rng.standard_normal((8, 3))
    return Data(X=centres[rng.integers(0, 8, m)] + rng.standard_normal((m, 3)), rate=0.1, whole=True,
                params=[np.zeros(8), centres + rng.standard_normal((8, 3)), 0.1 * rng.standard_normal((8, 3))])


def logistic_rows(m: int = 5000) -> Data:
    """Logistic regression with examples in rows, a vector of 30 weights and a single bias."""
    rng = np.random.default_rng(216)
    return Data(X=rng.standard_normal((m, 30)), y=(rng.random(m) < 0.4).astype(float), rate=0.1, decay=1e-3, whole=True,
                params=[0.1 * rng.standard_normal(30), np.array(0.1)])


def tanh_network(width: int = 32, depth: int = 20, m: int = 64) -> Data:
    """Layers of tanh, examples in columns, one linear output."""
    rng = np.random.default_rng(217)
    sizes = (16, *[width] * (depth - 1), 1)
    params: list[Any] = []
    for n_in, n_out in pairwise(sizes):
        params += [rng.standard_normal((n_out, n_in)) / np.sqrt(n_in), 0.1 * rng.standard_normal((n_out, 1))]
    return Data(X=rng.standard_normal((16, m)), Y=rng.standard_normal((1, m)), params=params, rate=1e-2)


def autoencoder(m: int = 100) -> Data:
    """Rows of 64 pixels through 32-8-32."""
    rng = np.random.default_rng(218)
    return Data(X=rng.random((m, 64)).astype(np.float32), rate=0.1, params=layers(rng, (64, 32, 8, 32, 64), np.float32))


def factorisation(m: int = 5000) -> Data:
    """Ratings of 200 items by 300 users, 16 factors and a bias each."""
    rng = np.random.default_rng(219)
    params = [0.1 * rng.standard_normal(shape) for shape in ((300, 16), (200, 16), (300,), (200,))]
    return Data(users=rng.integers(0, 300, m), items=rng.integers(0, 200, m), y=rng.standard_normal(m), rate=0.5, decay=1e-4,
                params=params)


def adam_step(m: int = 32) -> Data:
    """A minibatch for 20-64-3."""
    rng = np.random.default_rng(220)
    return Data(X=rng.standard_normal((m, 20)), y=rng.integers(0, 3, m), classes=3, rate=1e-3, betas=(0.9, 0.999), tiny=1e-8,
                params=layers(rng, (20, 64, 3)))


def bodies(m: int = 150) -> Data:
    """Masses, and places in three dimensions."""
    rng = np.random.default_rng(221)
    return Data(X=rng.random(m) + 0.5, params=[rng.standard_normal((m, 3))])
