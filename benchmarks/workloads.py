"""What is computed: the data of each workload. How, is the engines' business."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import more_data as more

# Always with .params, the arrays to differentiate by; with whole=True where every step of a fit sees all its data, which never
# change; what else, the workload says.
Data = SimpleNamespace


@dataclass(frozen=True)
class Workload:
    """A computation to time.

    goal, compiled_goal : the most that eager and compiled mode may take, in units of hand-written NumPy.
    tolerance : how far a result may be from the hand-written one, relative to its largest entry.
    operations : scalar operations recorded in one step, where that is the point.
    form : the workload whose program this is, on data of another size.
    """

    id: str
    title: str
    make: Callable[[], Data]
    goal: float | None = None
    compiled_goal: float | None = None
    tolerance: float = 1e-8
    operations: int = 0
    form: str = ""


def scalar_network() -> Data:
    """Twenty points of two half moons, and a 2-16-16-1 network of single numbers: weights as rows of neurons."""
    rng = np.random.default_rng(101)
    m, sizes = 20, (2, 16, 16, 1)
    angle, label = rng.uniform(0, np.pi, m), np.arange(m) % 2
    moons = np.where(label[:, None] == 0, np.stack([np.cos(angle), np.sin(angle)], 1),
                     np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], 1))
    params: list[Any] = []
    for n_in, n_out in pairwise(sizes):
        params += [rng.uniform(-1, 1, (n_out, n_in)), rng.uniform(-0.1, 0.1, n_out)]
    return Data(X=moons + 0.1 * rng.standard_normal((m, 2)), y=2.0 * label - 1, params=params, decay=1e-4)


def logistic_regression() -> Data:
    """Images as columns: 209 of 64 x 64 x 3 numbers."""
    rng = np.random.default_rng(102)
    n, m = 12288, 209
    return Data(X=rng.random((n, m)), Y=(rng.random((1, m)) < 0.35).astype(float), rate=1e-5, whole=True,
                params=[0.01 * rng.standard_normal((n, 1)), np.zeros((1, 1))])


def logistic_regression_of_arguments() -> Data:
    """The same, whose data might change from step to step: nothing may be held of them."""
    d = logistic_regression()
    d.whole = False
    return d


def shallow_network() -> Data:
    """Four hidden units on 400 points of a flower."""
    rng = np.random.default_rng(103)
    m = 400
    label = np.arange(m) % 2
    angle = np.linspace(0, 3.12, m) + 3.12 * label + 0.2 * rng.standard_normal(m)
    radius = 4 * np.sin(4 * angle) + 0.2 * rng.standard_normal(m)
    return Data(X=np.stack([radius * np.sin(angle), radius * np.cos(angle)]), Y=label[None].astype(float), rate=0.01,
                whole=True, params=[0.5 * rng.standard_normal((4, 2)), np.zeros((4, 1)), 0.5 * rng.standard_normal((1, 4)),
                                    np.zeros((1, 1))])


def deep_network() -> Data:
    """The images again, through 12288-20-7-5-1."""
    rng = np.random.default_rng(104)
    sizes, m = (12288, 20, 7, 5, 1), 209
    params: list[Any] = []
    for n_in, n_out in pairwise(sizes):
        params += [rng.standard_normal((n_out, n_in)) / np.sqrt(n_in), np.full((n_out, 1), 0.05)]
    return Data(X=rng.random((sizes[0], m)), Y=(rng.random((1, m)) < 0.35).astype(float), params=params, rate=1e-4,
                whole=True)


def classifier(sizes: tuple[int, ...], m: int, dtype: type, seed: int) -> Data:
    """Rows of features, class indices, and the weights of a ReLU network, with weight decay."""
    rng = np.random.default_rng(seed)
    X: Any = rng.random((m, sizes[0])).astype(dtype)
    y = rng.integers(0, sizes[-1], m)
    params: list[Any] = []
    for n_in, n_out in pairwise(sizes):
        params += [(rng.standard_normal((n_in, n_out)) * np.sqrt(2 / n_in)).astype(dtype),
                   (0.01 * rng.standard_normal(n_out)).astype(dtype)]
    return Data(X=X, y=y, params=params, rate=1e-3, decay=1e-4, classes=sizes[-1])


def minibatch_network() -> Data:
    """A minibatch of 64 images of 28 x 28."""
    return classifier((784, 256, 128, 10), 64, np.float32, 105)


def elementwise_chain() -> Data:
    """Three vectors of a million numbers."""
    rng = np.random.default_rng(106)
    return Data(params=[rng.standard_normal(1_000_000).astype(np.float32) for _ in range(3)])


def convolutional_network() -> Data:
    """32 images of 28 x 28, two convolutions of 5 x 5 and a linear layer."""
    rng = np.random.default_rng(107)
    shapes = [((8, 1, 5, 5), 0.2), ((8,), 0.1), ((16, 8, 5, 5), 0.07), ((16,), 0.1), ((256, 10), 0.06), ((10,), 0.0)]
    return Data(X=rng.standard_normal((32, 1, 28, 28)).astype(np.float32), y=rng.integers(0, 10, 32), rate=1e-3,
                classes=10, params=[(scale * rng.standard_normal(shape)).astype(np.float32) for shape, scale in shapes])


CHAIN_LINKS = 33_333


def scalar_chain(links: int = CHAIN_LINKS) -> Data:
    """y <- a sin(y) + b, again and again; a and b enter every link, so their derivatives do not fade."""
    return Data(start=0.3, links=links, params=[np.array(1.01), np.array(0.01)])


def lstm() -> Data:
    """Sequences of 50 steps; gates in the order input, forget, candidate, output."""
    rng = np.random.default_rng(109)
    steps, m, hidden, features = 50, 16, 64, 32
    bound = hidden**-0.5
    shapes = [(4 * hidden, features), (4 * hidden, hidden), (4 * hidden,)]
    return Data(X=rng.standard_normal((steps, m, features)).astype(np.float32), hidden=hidden, m=m,
                params=[rng.uniform(-bound, bound, shape).astype(np.float32) for shape in shapes])


def hessian_vector_product() -> Data:
    """A small classifier and a direction to differentiate its gradient in."""
    d = classifier((64, 32, 10), 64, np.float64, 110)
    rng = np.random.default_rng(111)
    d.direction = [rng.standard_normal(p.shape) for p in d.params]
    return d


def hessian() -> Data:
    """Logistic regression with 50 weights on 500 rows."""
    rng = np.random.default_rng(112)
    return Data(X=rng.standard_normal((500, 50)), y=(rng.random(500) < 0.5).astype(float),
                params=[0.1 * rng.standard_normal(50)])


def tiny() -> Data:
    """Eight numbers: what remains is the cost of recording."""
    return Data(params=[np.random.default_rng(113).standard_normal(8)])


WORKLOADS = {w.id: w for w in [
    Workload("W1", "network of single numbers, 2-16-16-1, 20 points", scalar_network, 15, 0.7, operations=13_557),
    Workload("W2", "logistic regression, X (12288, 209)", logistic_regression, 1.05, 0.85),
    Workload("W3", "shallow network, 4 hidden units, 400 points", shallow_network, 1.7, 0.55),
    Workload("W4", "deep network 12288-20-7-5-1, 209 images", deep_network, 1.05, 0.85),
    Workload("W5", "network 784-256-128-10, minibatch of 64, float32", minibatch_network, 1.0, 0.68, 1e-4),
    Workload("W6", "elementwise chain (gelu, sigmoid, softplus) on 1 000 000 float32", elementwise_chain, 0.65, 0.3, 1e-4),
    Workload("W7", "two convolutions, pooling, linear layer, 32 images, float32", convolutional_network, None, 0.38, 1e-4),
    Workload("W8", "chain of 99 999 operations on single numbers", scalar_chain, 22, 1.0, operations=3 * CHAIN_LINKS),
    Workload("W9", "LSTM of 50 steps, 64 hidden units, float32", lstm, 1.5, 0.55, 1e-4),
    Workload("W10a", "Hessian-vector product of a network 64-32-10", hessian_vector_product, 4, 1.0),
    Workload("W10b", "Hessian of logistic regression, 50 weights", hessian, 10, 2.0),
    Workload("W11", "x*x + x with 8 numbers", tiny, 4, 1.2, operations=2),
    Workload("W12", "self-attention, 4 heads, and a ReLU layer, (8, 32, 64) float32", more.attention_block, tolerance=1e-4),
    Workload("W13", "network 64-128-128-10 with batch normalisation, 128 rows", more.batch_norm_network),
    Workload("W14", "GRU of 40 steps, 48 hidden units, read out at every step", more.gru),
    Workload("W15", "likelihood of a mixture of 8 Gaussians, 2000 points", more.gaussian_mixture),
    Workload("W16", "logistic regression, 5000 rows of 30", more.logistic_rows),
    Workload("W17", "20 layers of 32 tanh units, 64 columns", more.tanh_network),
    Workload("W18", "autoencoder 64-32-8-32-64, 100 rows, float32", more.autoencoder, tolerance=1e-4),
    Workload("W19", "matrix factorisation, 5000 ratings, 16 factors", more.factorisation),
    Workload("W20", "network 20-64-3 with Adam, minibatch of 32", more.adam_step),
    Workload("W21", "energy and forces of 150 bodies", more.bodies),
    Workload("W22", "W2 with its data as arguments like others", logistic_regression_of_arguments, form="W2"),
]}
FURTHER = tuple(i for i, w in WORKLOADS.items() if w.compiled_goal is None)  # programs of other kinds

# one network, (width, layers, examples), in many sizes
NETWORKS = {
    "width": [(width, 4, 64) for width in (8, 32, 128, 512)],
    "layers": [(32, depth, 64) for depth in (2, 8, 32, 128)],
    "examples": [(64, 4, m) for m in (1, 16, 256, 4096)],
}
SIZED = {w.id: w for sizes in NETWORKS.values() for width, depth, m in sizes for w in [
    Workload(f"{width}-{depth}-{m}", f"{depth} layers of {width} tanh units, {m} columns",
             partial(more.tanh_network, width, depth, m), form="W17")]}


def find(workload: str) -> Workload:
    """A workload of the tables, or one of the sizes."""
    return WORKLOADS.get(workload) or SIZED[workload]
