"""Long thin products in two threads: BLAS divides a product by the rows of its result, and here those are few.

(20, 12288) @ (12288, 209) is a sum over 12288 terms. Each thread takes half of the sum with a BLAS of one thread, and the
halves are added. The product back, (20, 209) @ (209, 12288), is shared by columns. Where NumPy's BLAS cannot be told its
number of threads, products stay as they are.
"""

from __future__ import annotations

import ctypes
import functools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from .workers import in_threads

LEAST_BYTES = 8 << 20  # of the larger array, so that a product takes some hundred microseconds
LONG = 4096  # entries of the long side
THIN = 64  # entries of the others
FEWEST = 8


@functools.cache
def _blas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """How to ask and tell NumPy's own OpenBLAS its number of threads; None where that is not to be found."""
    folder = Path(np.__file__).resolve().parent
    for place in (folder.parent / "numpy.libs", folder / ".dylibs"):
        for file in sorted(place.glob("*openblas*")) if place.is_dir() else ():
            try:
                library = ctypes.CDLL(str(file))
            except OSError:
                continue
            for name in ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads"):
                ask, tell = (getattr(library, name.format(verb), None) for verb in ("get", "set"))
                if ask is not None and tell is not None:
                    ask.restype, tell.argtypes = ctypes.c_int, [ctypes.c_int]
                    return ask, tell
    return None


_lock = threading.Lock()
_inside = 0
_usual = 1


class OneThreadEach:
    """BLAS with one thread, until the last step that asked for it is done.

    For the whole step: the threads of BLAS wait for more by running in circles, where ours should run.
    """

    def __enter__(self) -> None:
        global _inside, _usual
        found = _blas()
        assert found is not None
        with _lock:
            if not _inside:
                _usual = found[0]()
                found[1](1)
            _inside += 1

    def __exit__(self, *exc: object) -> None:
        global _inside
        found = _blas()
        assert found is not None
        with _lock:
            _inside -= 1
            if not _inside:
                found[1](_usual)


def way_to_split(a: tuple[int, ...], b: tuple[int, ...], dtype: Any) -> str | None:
    """What two threads would share: the "terms" of the sum, or the "columns" or "rows" of the result; None if it is small."""
    if len(a) != 2 or len(b) != 2:
        return None
    n, terms, m = a[0], a[1], b[1]
    if min(n, terms, m) < FEWEST:  # a vector: memory is the limit, and one thread nearly reaches it
        return None
    if max(n * terms, terms * m, n * m) * np.dtype(dtype).itemsize < LEAST_BYTES:
        return None
    if terms >= LONG and n <= THIN and m <= LONG // 4:
        return "terms"
    if m >= LONG and n <= THIN and terms <= LONG // 4:
        return "columns"
    return "rows" if n >= LONG and m <= THIN and terms <= LONG // 4 else None


def worth_splitting(products: Sequence[tuple[tuple[int, ...], tuple[int, ...], Any]], threads: int) -> bool:
    """Whether a step with these products is faster with a BLAS of one thread, long thin products in two threads."""
    if threads < 2 or _blas() is None:
        return False
    work = {True: 0.0, False: 0.0}
    for a, b, dtype in products:
        work[way_to_split(a, b, dtype) is not None] += 2.0 * math.prod(a) * b[-1]
    return work[True] > 4 * work[False]


class SplitProduct:
    """a @ b into out, for fixed shapes, in two threads."""

    def __init__(self, way: str, rows: int, terms: int, columns: int, dtype: Any) -> None:
        half = {"terms": terms, "columns": columns, "rows": rows}[way] // 2
        self.way = way
        self.cuts = (slice(0, half), slice(half, None))
        self.rest = np.empty((rows, columns), dtype) if way == "terms" else None

    def _work(self, own: Any, turns: Iterator[int], a: ndarray, b: ndarray, out: ndarray) -> None:
        for turn in turns:
            cut = self.cuts[turn]
            if self.way == "terms":
                plain = a.strides[1] == a.itemsize and b.itemsize in b.strides
                product = np.matmul if plain else np.dot  # np.dot makes a copy of columns, np.matmul of nothing
                product(a[:, cut], b[cut], self.rest if turn else out)
            elif self.way == "columns":
                np.matmul(a, b[:, cut], out[:, cut])
            else:
                np.matmul(a[cut], b, out[cut])

    def __call__(self, a: ndarray, b: ndarray, out: ndarray) -> None:
        """Write a @ b into out."""
        in_threads(self._work, [self.cuts, self.cuts], a, b, out)
        if self.rest is not None:
            np.add(out, self.rest, out)


__all__ = ["OneThreadEach", "SplitProduct", "way_to_split", "worth_splitting"]
