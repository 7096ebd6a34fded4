"""Making a large graph small enough to look at.

The operations become tokens, in order of creation. Three things make fewer of them, in this order: a scope becomes
one token; a piece that repeats, as a loop or a stack of layers makes it, is kept once with the number of its copies;
and what still is too much is folded, the oldest first. Every arrow of the graph has its place between the tokens it
joins, so that the small picture is true to the large one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensor import Tensor
from .scopes import Group

_LONGEST_PERIOD = 256  # operations in one turn of a loop, beyond which a repetition is not looked for
_REGIONS = 4096  # repetitions merged in one pass
_PASSES = 24


class Frame:
    """A border drawn around tokens: a scope, or one turn of a repetition."""

    __slots__ = ("copies", "labels")

    def __init__(self, labels: list[str], copies: int = 1) -> None:
        self.labels, self.copies = labels, copies


class Token:
    """What is drawn as one box: an operation, a whole group, or the copies of either.

    copies : for each copy, the positions of its operations.  frames : the borders around it, outermost first.
    """

    __slots__ = ("copies", "frames", "kind", "labels")

    def __init__(self, copies: list[list[int]], frames: tuple[Frame, ...], kind: str = "operation",
                 labels: list[str] | None = None) -> None:
        self.copies, self.frames, self.kind, self.labels = copies, frames, kind, labels or []

    @property
    def first(self) -> int:
        return self.copies[0][0]

    @property
    def last(self) -> int:
        return self.copies[-1][-1]


def collapse(operations: list[Tensor], paths: list[tuple[Group, ...]], most: int,
             boxes: Callable[[list[Token]], int]) -> list[Token]:
    """Tokens for the operations, such that `boxes(tokens)` (which counts the leaves too) is at most `most`."""

    def fits(tokens: list[Token]) -> bool:
        return len(tokens) <= most and boxes(tokens) <= most

    frames: dict[Group, Frame] = {g: Frame([g.label]) for path in paths for g in path} if any(paths) else {}
    plain = [Token([[i]], tuple([frames[g] for g in path]) if path else ()) for i, path in enumerate(paths)]
    if fits(plain):
        return plain
    deepest = max(map(len, paths)) if frames else 0
    levels = [_by_scope(paths, depth, frames) for depth in range(deepest, 0, -1)]
    for tokens in levels:
        if len(tokens) > 2 and fits(tokens):
            return tokens
    smallest = plain
    for tokens in [*levels[:1], plain, *levels[1:]] if levels else [plain]:
        for with_shapes in (True, False):
            for _ in range(_PASSES):
                merged = _merge_repeats(operations, tokens, with_shapes)
                if merged is None or len(merged) > 0.98 * len(tokens) > 10 * most:  # hardly smaller: give up
                    break
                tokens = merged
                if len(tokens) > 2 and fits(tokens):
                    return tokens
        if 2 < len(tokens) < len(smallest) or smallest is plain:
            smallest = tokens
    if fits(smallest):
        return smallest
    keep = min(most // 2, len(smallest) - 1)
    while True:
        tokens = _fold_oldest(smallest, keep)
        if keep < 1 or fits(tokens):
            return tokens
        keep = keep * 3 // 4


def _by_scope(paths: list[tuple[Group, ...]], depth: int, frames: dict[Group, Frame]) -> list[Token]:
    """One token for every scope at this depth; what stands outside remains as it is."""
    tokens: list[Token] = []
    of: dict[Group, Token] = {}
    for i, path in enumerate(paths):
        if len(path) < depth:
            tokens.append(Token([[i]], tuple([frames[g] for g in path])))
            continue
        group = path[depth - 1]
        if group in of:
            of[group].copies[0].append(i)
        else:
            around = tuple([frames[g] for g in path[: depth - 1]])
            of[group] = token = Token([[i]], around, "group", [group.label])
            tokens.append(token)
    return tokens


def _fold_oldest(tokens: list[Token], keep: int) -> list[Token]:
    old = tokens[: len(tokens) - keep]
    kept = tokens[len(tokens) - keep :]
    positions = sorted(i for token in old for copy in token.copies for i in copy)
    return [Token([positions], (), "earlier"), *kept] if positions else kept


# ---------------------------------------------------------------- repetitions

def _signatures(operations: list[Tensor], tokens: list[Token], with_shapes: bool) -> Any:
    """A number for each token, equal for tokens that look alike."""
    known: dict[Any, int] = {}

    def of_operation(i: int) -> tuple[Any, ...]:
        t = operations[i]
        args = t.args
        return (t.op, t.value.shape if with_shapes else None, len(args), len(args) == 2 and args[0] is args[1])

    out = np.empty(len(tokens), np.int32)
    for k, token in enumerate(tokens):
        copy = token.copies[0]
        key: Any = of_operation(copy[0])
        if token.kind != "operation":
            key = (token.kind, tuple(of_operation(i) for i in copy))
        elif len(token.copies) > 1:
            key = ("copies", len(token.frames), key)
        out[k] = known.setdefault(key, len(known))
    return out


def _repeats(s: Any) -> list[tuple[int, int, int]]:
    """Repetitions that do not overlap, best first by what they save: (start, period, copies)."""
    n = len(s)
    found: list[Any] = []
    for period in range(1, min(_LONGEST_PERIOD, n // 2) + 1):
        same = s[period:] == s[:-period]
        edges = np.flatnonzero(np.diff(same, prepend=False, append=False))
        starts, ends = edges[::2], edges[1::2]
        long = ends - starts >= period
        starts, ends = starts[long], ends[long]
        if len(starts):
            copies = (ends - starts + period) // period
            found.append(np.stack([(copies - 1) * period, np.full_like(starts, period), starts, copies]))
    if not found:
        return []
    table = np.concatenate(found, axis=1)
    order = np.lexsort((table[2], table[1], -table[0]))[: 4 * _REGIONS]
    taken = np.zeros(n, bool)
    chosen: list[tuple[int, int, int]] = []
    for _, period, start, copies in table[:, order].T.tolist():
        part = taken[start : start + period * copies]
        if not part.any():
            part[:] = True
            chosen.append((start, period, copies))
            if len(chosen) == _REGIONS:
                break
    return sorted(chosen)


def _merge_repeats(operations: list[Tensor], tokens: list[Token], with_shapes: bool) -> list[Token] | None:
    """The tokens with each repetition kept once, or None where nothing repeats."""
    repeats = _repeats(_signatures(operations, tokens, with_shapes))
    if not repeats:
        return None
    out: list[Token] = []
    position = 0
    for start, period, copies in repeats:
        out += tokens[position:start]
        block = tokens[start : start + period * copies]
        out += _merge(block, period, copies)
        position = start + period * copies
    return out + tokens[position:]


def _merge(block: list[Token], period: int, copies: int) -> list[Token]:
    shared = 0  # how many borders surround the whole repetition
    shortest = min(len(t.frames) for t in block)
    while shared < shortest and all(t.frames[shared] is block[0].frames[shared] for t in block):
        shared += 1
    outer = block[0].frames[:shared]
    own: dict[Frame, Frame] = {}  # the borders inside a copy, each standing for its counterparts in the others
    turn: tuple[Frame, ...] = ()
    inside = [t.frames[shared] if len(t.frames) > shared else None for t in block[:period]]
    around = inside[0] if inside[0] is not None and all(f is inside[0] for f in inside) else None
    if period > 1 and around is None:
        turn = (Frame([], copies),)
    merged = []
    for slot in range(period):
        same = block[slot::period]
        frames = []
        for depth, frame in enumerate(same[0].frames[shared:]):
            if frame not in own:
                labels = []
                for t in same:
                    if len(t.frames) > shared + depth:
                        labels += t.frames[shared + depth].labels
                own[frame] = Frame(list(dict.fromkeys(labels)), frame.copies * (copies if frame is around else 1))
            frames.append(own[frame])
        merged.append(Token([c for t in same for c in t.copies], (*outer, *turn, *frames), same[0].kind,
                            [label for t in same for label in t.labels]))
    return merged


# ---------------------------------------------------------------- words

def span(texts: list[str]) -> str:
    """`W1 … W12` for a list of names, or the only one."""
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} … {texts[-1]}"


def tally(symbols: list[str], most: int = 4) -> str:
    """How often each operation occurs, the commonest first: `12 matmul, 12 add`."""
    counted = sorted(Counter(symbols).items(), key=lambda item: (-item[1], item[0]))
    text = ", ".join(f"{count} {name}" if count > 1 else name for name, count in counted[:most])
    return text + (", …" if len(counted) > most else "")
