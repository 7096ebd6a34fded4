"""Keep freed memory at hand, and the garbage collector unhurried: two costs of large and of many arrays.

By default the C library gives arrays of a few hundred kB and more back to the system when they are freed, and asks for
them again a moment later; the system then clears every page. A training step does that with every temporary, which can
cost more than the arithmetic. On glibc two settings keep up to 256 MB of freed memory in the process, for NumPy's
arrays outside this package too. The environment variable TINYGRAD_EDU_KEEP_MEMORY=0 leaves the C library alone.
"""

from __future__ import annotations

import gc
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt(3)


def keep_freed_memory(size: int = 256 << 20) -> bool:
    """Ask the C library to keep up to `size` freed bytes; whether it could be asked."""
    if not sys.platform.startswith("linux") or os.environ.get("TINYGRAD_EDU_KEEP_MEMORY") == "0":
        return False
    try:
        import ctypes  # NumPy has loaded it already

        mallopt = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, 32 << 20) and mallopt(_M_TRIM_THRESHOLD, size))


_RARELY = 200_000  # new objects between two looks


def look_rarely(objects: int = _RARELY) -> tuple[int, int, int]:
    """Let Python's cycle collector look rarely while a graph is recorded and walked; what was set before.

    objects : how many new ones between two looks.

    A graph has no cycles, but its nodes count as new objects, and the collector would walk the growing graph again and
    again: half of the time of a million operations. It is not switched off, so cycles made by user code still go.
    """
    before = gc.get_threshold()
    if 0 < before[0] < objects:
        gc.set_threshold(objects, before[1], before[2])
    return before


def look_as_before(before: tuple[int, int, int]) -> None:
    """Undo look_rarely()."""
    if gc.get_threshold() != before:
        gc.set_threshold(*before)
