"""Second and third calls of a compiled function with numbers that lead elsewhere: never the first call's answer."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import TraceError

FEW, MANY, ALL = np.array([1.0, -1.0, -2.0, -3.0]), np.array([2.0, 3.0, -1.0, 4.0]), np.array([1.0, 2.0, 3.0, 5.0])


@pytest.mark.parametrize("f", [
    lambda v: v * len(v[v > 0]),
    lambda v: v * v[v > 0].shape[0],
    lambda v: np.sum(v**2) / v[v > 0].size,
    lambda v: v * np.nonzero(v > 0)[0].size,
    lambda v: np.ones_like(v[v > 0]) * 2,
    tg.grad(lambda v: np.mean(v[v > 0])),
    tg.grad(lambda v: np.sum(v**2) / len(v[v > 0])),
    tg.grad(lambda v: np.mean(np.where(v > 0, v, 0)) / v[np.nonzero(v > 0)].size),
], ids=["len", "shape", "size", "nonzero", "ones_like", "grad of mean", "grad of a count", "grad by nonzero"])
def test_a_count_that_only_the_shape_tells_is_never_stale(f):
    compiled = tg.jit(f)
    for v in (FEW, MANY, ALL, FEW, ALL):
        np.testing.assert_allclose(compiled(v), f(v), rtol=1e-12)


@pytest.mark.parametrize("labels", [np.zeros(3, int), np.array([0, 1, 1])])
def test_counting_into_another_array_is_refused(labels):
    def counts(y):
        z = np.zeros(4)
        np.add.at(z, y, 1)
        return z

    with pytest.raises(TraceError, match=r"counts, line .*np\.add\.at"):
        tg.jit(counts)(labels)


@pytest.mark.parametrize("value", [0, 2])
def test_labels_that_are_all_the_same_freeze_nothing(value):
    def hot(y):
        z = np.zeros((3, 4))
        z[np.arange(3), y] = 1
        return z

    for f in (hot, lambda y: np.repeat(np.arange(3.0), y + 1), lambda y: np.eye(4)[y]):
        first = np.full(3, value)
        try:
            compiled = tg.jit(f)
            compiled(first)
        except TraceError:
            continue
        np.testing.assert_array_equal(compiled(np.array([1, 0, 3])), f(np.array([1, 0, 3])))


def test_a_slice_bounded_by_an_argument_is_refused():
    with pytest.raises((TraceError, tg.errors.UnsupportedError)):
        tg.jit(lambda v, y: v[: y[0]])(np.arange(5.0), np.ones(3, int))


def test_arrays_of_another_byte_order_compile():
    f = tg.jit(lambda v: v * 2 + 1)
    for v in (np.arange(3, dtype=">f8"), np.arange(3, dtype=">f8") + 5):
        np.testing.assert_array_equal(f(v), v * 2 + 1)


class Holder:
    def __init__(self):
        self.k = 2.0
        self.settings = {"a": [2.0], "w": np.ones(2)}

    def __call__(self, v):
        return v * self.k


@pytest.mark.parametrize("kind", ["called object", "partial", "list in an attribute", "another dict", "default"])
def test_what_a_function_reads_around_it_is_never_stale(kind):
    held, several = Holder(), [2.0]
    f, change = {
        "called object": (held, lambda i: setattr(held, "k", float(i))),
        "partial": (functools.partial(lambda c, v: v * held.k * c, 2.0), lambda i: setattr(held, "k", float(i))),
        "list in an attribute": (lambda v: v * held.settings["a"][0], lambda i: held.settings["a"].__setitem__(0, float(i))),
        "another dict": (lambda v: v * held.settings["a"][0],
                         lambda i: setattr(held, "settings", {"a": [float(i)], "w": np.ones(2)})),
        "default": (lambda v, d=several: v * d[-1], lambda i: several.append(float(i))),
    }[kind]
    compiled, v = tg.jit(f), np.array([1.0, 2.0])
    for i in (3, 4, 4, 5):
        change(i)
        np.testing.assert_array_equal(compiled(v), f(v))


def test_load_into_a_model_says_how(tmp_path):
    tg.save(tmp_path / "w.npz", tg.nn.Linear(2, 1, rng=0))
    with pytest.raises(TypeError, match=r"model\.load_state_dict\(tg\.load\(path\)\)"):
        tg.load(tmp_path / "w.npz", tg.nn.Linear(2, 1, rng=0))


def test_zeros_of_either_sign_are_different_settings() -> None:
    f = tg.jit(lambda v, y: v * np.copysign(1, y), static_argnums=1)
    for y in (0.0, -0.0, 0.0, -0.0):
        assert f(np.ones(1), y)[0] == np.copysign(1, y)


@pytest.mark.parametrize("settings", [{"static_argnums": -1}, {"static_argnums": ("v",)}, {"cache_size": 0}])
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        tg.jit(lambda v: v, **settings)


def test_permutations_are_drawn() -> None:
    f = tg.jit(lambda v, rng: v[rng.permutation(5)] * 2.0)
    compiled, eager = np.random.default_rng(0), np.random.default_rng(0)
    for _ in range(3):
        np.testing.assert_array_equal(f(np.arange(5.0), compiled), 2.0 * np.arange(5.0)[eager.permutation(5)])
