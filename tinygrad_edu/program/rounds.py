"""What repeats in a program of single numbers: stretches of equal operations, round after round, as a loop leaves them.

Two rounds are alike if they do the same operations, and every operand is in the same place of the same round, in the same
place some rounds before, always the same value, or one of values that were all there before the first round (inputs, data,
or what an earlier loop left, in any order). Candidates for the length of a round come from equal windows of operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

# What is shorter is printed as straight lines. They are faster up to some 100 000 operations, by a tenth to a quarter, but
# nobody reads them, and they must be compiled.
LEAST_ROUNDS = 16
LEAST_OPERATIONS = 4096
TURNS = 8  # places where rounds may begin that are looked at
LAGS = 3  # how many rounds back a value may be read
_NEAR = 64  # how far back operands count for the search: those of loops that mirror others lie further back
_WINDOWS = (8, 64, 512)
_TRIES = 40
_NONE = -(2**40)  # no operand


class Same(NamedTuple):
    """An operand from the same round: its place there."""

    place: int


class Carried(NamedTuple):
    """An operand from a round before: its place there, and what is read instead in the first rounds."""

    place: int
    first: tuple[int, ...]


class Fixed(NamedTuple):
    """One value in all rounds."""

    value: int


class Each(NamedTuple):
    """A value of its own for each round, all known before the first."""

    values: tuple[int, ...]


Read = Same | Carried | Fixed | Each


@dataclass(frozen=True)
class Rounds:
    """A loop: where it starts, how many operations a round has, how many rounds; and what each operation reads."""

    start: int
    period: int
    count: int
    reads: tuple[tuple[Read, ...], ...]

    @property
    def stop(self) -> int:
        return self.start + self.period * self.count


def find_rounds(operands: Sequence[tuple[int, ...]], kinds: Sequence[Any], first: int) -> list[list[Rounds]]:
    """The loops among operations, `first` and on, in order; each with its rounds beginning at one of several places that
    are equally good.

    operands : the places of what each operation reads; negative ones are literals. kinds : equal numbers for equal
    operations.
    """
    if len(operands) - first < LEAST_OPERATIONS:
        return []
    search = _Search(operands, kinds, first)
    found: list[list[Rounds]] = []
    taken: list[tuple[int, int]] = []  # from where to where
    for place, period in search.candidates():
        if any(start <= place < stop for start, stop in taken):
            continue
        low = max([first, *[stop for _, stop in taken if stop <= place]])
        high = min([len(operands), *[start for start, _ in taken if start > place]])
        for times in (1, 2, 3, 4):
            loops = search.grown(place, period * times, low, high)
            if loops:
                found.append(loops)
                taken.append((min(x.start for x in loops), max(x.stop for x in loops)))
                break
    return sorted(found, key=lambda loops: loops[0].start)


class _Search:
    def __init__(self, operands: Sequence[tuple[int, ...]], kinds: Sequence[Any], first: int) -> None:
        self.first = first
        size = len(operands)
        width = max(map(len, operands))
        self.operands = np.full((width, size), _NONE)
        for k in range(width):
            self.operands[k] = [x[k] if len(x) > k else _NONE for x in operands]
        self.kinds = np.unique(np.array(kinds, np.int64), return_inverse=True)[1].astype(np.int64)
        self._differ: dict[int, ndarray] = {}

    def candidates(self) -> list[tuple[int, int]]:
        """(place, length of a round), those that seem to go on for longest first."""
        places = np.arange(len(self.kinds))
        mark = self.kinds.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        for k, a in enumerate(self.operands):
            back = places - a
            near = np.where((back > 0) & (back <= _NEAR), back, 0).astype(np.uint64)
            mark += near * np.uint64(0xC2B2AE3D27D4EB4F + 2 * k * 0x165667B19E3779F9 & (1 << 64) - 1)
            mark ^= mark >> np.uint64(29)
        found: list[tuple[int, int, int]] = []
        hashed, length = mark[self.first :], 1
        base = 0x100000001B3
        while length < _WINDOWS[-1]:
            if len(hashed) <= length:
                break
            factor = np.uint64(pow(base, length, 1 << 64))
            hashed = hashed[:-length] * factor + hashed[length:]
            length *= 2
            if length in _WINDOWS:
                found += self._runs(hashed)
        found.sort(reverse=True)
        return [(place + self.first, period) for _, place, period in found[:200]]

    @staticmethod
    def _runs(hashed: ndarray) -> list[tuple[int, int, int]]:
        """Stretches over which the next equal window is equally far away: (how long, where, how far)."""
        order = np.argsort(hashed, kind="stable")
        ordered = hashed[order]
        gap = np.zeros(len(hashed), np.int64)
        gap[order[:-1]] = np.where(ordered[1:] == ordered[:-1], order[1:] - order[:-1], 0)
        edges = np.flatnonzero(np.diff(gap)) + 1
        starts, stops = np.concatenate([[0], edges]), np.concatenate([edges, [len(gap)]])
        lengths, gaps = stops - starts, gap[starts]
        good = (gaps > 0) & (lengths >= gaps * (LEAST_ROUNDS // 2))
        return [(int(n), int(i), int(d)) for n, i, d in zip(lengths[good], starts[good], gaps[good], strict=True)]

    def grown(self, place: int, period: int, low: int, high: int) -> list[Rounds]:
        """The loop around a place, as early and as long as it holds."""
        if period not in self._differ:
            self._differ[period] = np.flatnonzero(self.kinds[period:] != self.kinds[:-period])
        differ = self._differ[period]
        k = int(np.searchsorted(differ, place))
        start = max(low, int(differ[k - 1]) + 1 if k else 0)
        stop = min(high, int(differ[k]) + period if k < len(differ) else high)
        for _ in range(_TRIES):
            if (stop - start) // period < LEAST_ROUNDS or stop - start < LEAST_OPERATIONS:
                return []
            fails = self._fails(start, period, stop)
            count = (fails - start) // period
            if count >= LEAST_ROUNDS and count * period >= LEAST_OPERATIONS:
                return [self._read(*turned) for turned in self._turned(start, period, fails)]
            start = max(start + 1, fails - period + 1)
        return []

    def _fails(self, start: int, period: int, stop: int) -> int:
        """The first place that does not do what the same place of the round before did."""
        at, size = start + period, 4 * period
        while at < stop:
            end = min(at + size, stop)
            fine = np.ones(end - at, bool)
            places = np.arange(at, end)
            for a in self.operands:
                now, before = a[at:end], a[at - period : end - period]
                entering = (before < start) & (start <= now) & (now < start + period) & (
                    places < start + (LAGS + 1) * period) & (now < places - (places - start) % period)
                fine &= (now - before == period) | ((now < start) & (before < start)) | entering
            if not fine.all():
                return at + int(np.argmin(fine))
            at, size = end, 2 * size
        return stop

    def _turned(self, start: int, period: int, stop: int) -> list[tuple[int, int, int]]:
        """The same loop with its rounds beginning where the fewest values are carried from one to the next."""
        crossing = np.zeros(2 * period + 1, np.int64)
        last: dict[int, int] = {}
        for i in range(start + 2 * period, start + 3 * period):
            for a in self.operands[:, i].tolist():
                if a >= start:
                    place = (a - start) % period
                    last[place] = max(last.get(place, 0), min(i - a, period))
        for place, span in last.items():
            crossing[place + 1] += 1
            crossing[place + 1 + span] -= 1
        total = np.cumsum(crossing)[: 2 * period]
        carried = total[:period] + total[period:]
        turned = []
        for best in np.flatnonzero(carried == carried.min())[:TURNS].tolist():
            fails = self._fails(start + best, period, stop)
            if (fails - start - best) // period >= max(LEAST_ROUNDS, (stop - start) // period - 1):
                turned.append((start + best, period, fails))
        return turned or [(start, period, stop)]

    def _read(self, start: int, period: int, stop: int) -> Rounds:
        count = (stop - start) // period
        reads = []
        for j in range(start, start + period):
            mine: list[Read] = []
            for a in self.operands:
                values = a[j : j + count * period : period]
                if values[0] == _NONE:
                    break
                inside = values >= start
                if inside[0]:
                    mine.append(Same(int(values[0]) - start))
                elif not inside[-1]:
                    same = (values == values[0]).all()
                    mine.append(Fixed(int(values[0])) if same else Each(tuple(values.tolist())))
                else:
                    lag = int(np.argmax(inside))
                    mine.append(Carried(int(values[lag]) - start, tuple(values[:lag].tolist())))
            reads.append(tuple(mine))
        return Rounds(start, period, count, tuple(reads))


__all__ = ["Carried", "Each", "Fixed", "Read", "Rounds", "Same", "find_rounds"]
