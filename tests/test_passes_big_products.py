"""Long thin products in two threads: which, and that the numbers are those of one."""

from __future__ import annotations

import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.program import big_products
from tinygrad_edu.program.big_products import OneThreadEach, SplitProduct, way_to_split, worth_splitting

F8, F4 = np.float64, np.float32
rng = np.random.default_rng(0)


@pytest.mark.parametrize(("a", "b", "dtype", "way"), [
    ((20, 12288), (12288, 209), F8, "terms"), ((20, 209), (209, 12288), F8, "columns"), ((12288, 209), (209, 20), F8, "rows"),
    ((20, 12288), (12288, 209), F4, "terms"), ((20, 1000), (1000, 209), F8, None), ((512, 512), (512, 512), F8, None),
    ((4096, 4096), (4096, 4096), F8, None), ((1, 2_000_000), (2_000_000, 1), F8, None),
    ((7, 2_000_000), (2_000_000, 7), F8, None),
    ((12288,), (12288, 209), F8, None), ((20, 12288), (12288,), F8, None), ((2, 20, 12288), (12288, 209), F8, None),
    ((0, 12288), (12288, 209), F8, None), ((64, 4096), (4096, 1024), F8, "terms"), ((65, 4096), (4096, 1024), F8, None),
])
def test_which_products_are_split(a: Any, b: Any, dtype: Any, way: Any) -> None:
    assert way_to_split(a, b, dtype) == way


def test_when_it_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    long, square = ((20, 12288), (12288, 209), F8), ((512, 512), (512, 512), F8)
    monkeypatch.setattr(big_products, "_blas", lambda: (lambda: 2, lambda count: None))
    assert worth_splitting([long], 2)
    assert not worth_splitting([long], 1)
    assert not worth_splitting([long, square], 2)  # the others would be slower with one thread
    assert not worth_splitting([], 2)
    monkeypatch.setattr(big_products, "_blas", lambda: None)
    assert not worth_splitting([long], 2)


@pytest.mark.parametrize("dtype", [F4, F8])
@pytest.mark.parametrize(("way", "shape"), [("terms", (9, 1001, 11)), ("columns", (9, 11, 1001)), ("rows", (1001, 9, 11)),
                                            ("terms", (3, 2, 3)), ("columns", (3, 2, 3)), ("rows", (3, 2, 3))])
def test_the_numbers_of_a_split_product(way: str, shape: tuple[int, int, int], dtype: Any) -> None:
    n, terms, m = shape
    a, b = rng.normal(size=(n, terms)).astype(dtype), rng.normal(size=(terms, m)).astype(dtype)
    out = np.full((n, m), np.nan, dtype)
    product = SplitProduct(way, n, terms, m, dtype)
    for given in ((a, b), (np.asfortranarray(a), np.asfortranarray(b)), (2 * a, b)):
        product(*given, out)
        tolerance = 1e-4 if dtype == F4 else 1e-11
        np.testing.assert_allclose(out, given[0] @ given[1], rtol=tolerance, atol=tolerance)


def test_a_split_product_copies_nothing() -> None:
    a, b, out = rng.normal(size=(20, 12000)), rng.normal(size=(12000, 64)), np.empty((20, 64))
    product = SplitProduct("terms", 20, 12000, 64, np.float64)
    product(a, b, out)
    tracemalloc.start()
    try:
        product(a, b, out)
        assert tracemalloc.get_traced_memory()[1] < a.nbytes / 10
    finally:
        tracemalloc.stop()


def test_the_number_of_threads_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [4]
    monkeypatch.setattr(big_products, "_blas", lambda: (lambda: now[0], lambda count: now.__setitem__(0, count)))
    with OneThreadEach():
        assert now == [1]
        with OneThreadEach():  # another thread's step
            assert now == [1]
        assert now == [1]
    assert now == [4]
    with pytest.raises(ZeroDivisionError), OneThreadEach():
        raise ZeroDivisionError
    assert now == [4]


def test_a_compiled_step_with_split_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every product counting as long and thin: one caller, several at once, and results given in both ways."""
    monkeypatch.setattr(big_products, "LEAST_BYTES", 1)
    monkeypatch.setattr(big_products, "LONG", 64)
    if big_products._blas() is None:
        pytest.skip("NumPy's BLAS cannot be told its number of threads")

    def cost(w: Any, x: Any) -> Any:
        return np.sum(np.tanh(w @ x) ** 2)

    f = tg.value_and_grad(cost)
    w, x = rng.normal(size=(9, 200)), rng.normal(size=(200, 11))
    fast, slow = tg.jit(f, threads=2), tg.jit(f, threads=1)
    for step in (fast, slow):
        step(w, x)
    assert "SplitProduct('terms'" in fast.source
    assert "SplitProduct" not in slow.source
    np.testing.assert_allclose(fast(w, x)[1], slow(w, x)[1], rtol=1e-11, atol=1e-13)
    found: list[Any] = []
    callers = [threading.Thread(target=lambda k=k: found.append((k, fast(k * w, x)[1]))) for k in range(1, 5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for k, slope in found:
        np.testing.assert_allclose(slope, f(k * w, x)[1], rtol=1e-11, atol=1e-13)
    assert len(found) == 4
