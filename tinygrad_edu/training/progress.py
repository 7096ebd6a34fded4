"""What is shown while a run goes on: a bar on a terminal, a line now and then elsewhere, or nothing."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

from ..errors import MissingExtraError

LINES = 20  # at most so many for a whole run
PAUSE = 0.1  # seconds between two drawings of a bar


def told(row: dict[str, float]) -> str:
    """Numbers by name, short."""
    names = {"lr": "rate", "seconds": ""}
    parts = []
    for name, value in row.items():
        if name == "epoch":
            continue
        text = f"{value:.1f} s" if name == "seconds" else f"{value:.3g}" if name == "lr" else f"{value:.4f}" if (
            1e-3 <= abs(value) < 1e4 or value == 0) else f"{value:.3e}"
        parts.append(f"{names.get(name, name.replace('_', ' '))} {text}".strip())
    return "  ".join(parts)


class Progress:
    """Nothing is shown."""

    def __init__(self, epochs: int, batches: int, done: int = 0) -> None:
        self.epochs, self.batches, self.done = epochs, batches, done

    def update(self, epoch: int, batch: int, row: dict[str, float]) -> None:
        """After an update."""

    def epoch(self, row: dict[str, float]) -> None:
        """After an epoch."""

    def close(self, why: str | None) -> None:
        """At the end; why it came early."""

    def due(self) -> bool:
        """Whether numbers of an update are wanted now."""
        return False


class Lines(Progress):
    """A line for an epoch, for at most twenty of them."""

    def epoch(self, row: dict[str, float]) -> None:
        at = int(row["epoch"])
        if at in (self.done + 1, self.epochs) or at * LINES // self.epochs != (at - 1) * LINES // self.epochs:
            print(f"epoch {at:>{len(str(self.epochs))}}/{self.epochs}  {told(row)}", flush=True)

    def close(self, why: str | None) -> None:
        if why:
            print(why, flush=True)


class _Drawn(Progress):
    drawn = 0.0

    def due(self) -> bool:
        now = time.perf_counter()
        if now - self.drawn < PAUSE:
            return False
        self.drawn = now
        return True


class Bar(_Drawn):
    """A bar that is written over, with no package at all."""

    def __init__(self, epochs: int, batches: int, done: int = 0) -> None:
        super().__init__(epochs, batches, done)
        self.started = time.perf_counter()

    def update(self, epoch: int, batch: int, row: dict[str, float]) -> None:
        self._draw(epoch - 1 + batch / self.batches, epoch, row)

    def epoch(self, row: dict[str, float]) -> None:
        self._draw(row["epoch"], int(row["epoch"]), {k: v for k, v in row.items() if k != "seconds"})

    def _draw(self, done: float, epoch: int, row: dict[str, float]) -> None:
        full = int(20 * done / self.epochs)
        spent = time.perf_counter() - self.started
        here = done - self.done
        left = f"  {spent / here * (self.epochs - done):.0f} s left" if here > 0 and done < self.epochs else ""
        text = f"{'█' * full}{'░' * (20 - full)} epoch {epoch}/{self.epochs}  {told(row)}{left}"
        width = shutil.get_terminal_size().columns - 1
        sys.stdout.write("\r" + text[:width].ljust(width))
        sys.stdout.flush()

    def close(self, why: str | None) -> None:
        sys.stdout.write("\n" + (why + "\n" if why else ""))
        sys.stdout.flush()


class Rich(_Drawn):
    """rich's bar."""

    def __init__(self, epochs: int, batches: int, done: int = 0) -> None:
        super().__init__(epochs, batches, done)
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        texts = [TextColumn(text, markup=False) for text in ("epoch {task.fields[at]}", "{task.fields[text]}")]
        self.bar = RichProgress(BarColumn(), *texts, TimeRemainingColumn())
        self.task = self.bar.add_task("", total=epochs, completed=done, text="", at=f"{done}/{epochs}")
        self.bar.start()

    def update(self, epoch: int, batch: int, row: dict[str, float]) -> None:
        self.bar.update(self.task, completed=epoch - 1 + batch / self.batches, text=told(row), at=f"{epoch}/{self.epochs}")

    def epoch(self, row: dict[str, float]) -> None:
        shown = {k: v for k, v in row.items() if k != "seconds"}
        self.bar.update(self.task, completed=row["epoch"], text=told(shown), at=f"{int(row['epoch'])}/{self.epochs}")

    def close(self, why: str | None) -> None:
        self.bar.stop()
        if why:
            print(why, flush=True)


class Tqdm(_Drawn):
    """tqdm's bar, in notebooks too."""

    def __init__(self, epochs: int, batches: int, done: int = 0) -> None:
        super().__init__(epochs, batches, done)
        from tqdm.auto import tqdm

        self.bar = tqdm(total=epochs, initial=done, unit="epoch")

    def update(self, epoch: int, batch: int, row: dict[str, float]) -> None:
        self.bar.set_postfix_str(told(row))

    def epoch(self, row: dict[str, float]) -> None:
        self.bar.set_postfix_str(told({k: v for k, v in row.items() if k != "seconds"}), refresh=False)
        self.bar.update(1)

    def close(self, why: str | None) -> None:
        self.bar.close()
        if why:
            print(why, flush=True)


KINDS: dict[str, type[Progress]] = {"quiet": Progress, "lines": Lines, "bar": Bar, "rich": Rich, "tqdm": Tqdm}


def progress_of(wanted: Any, epochs: int, batches: int, done: int = 0) -> Progress:
    """What shows a run: None decides by the terminal, True is a bar, False nothing."""
    if wanted is None or wanted is True:
        terminal = wanted is True or bool(getattr(sys.stdout, "isatty", bool)())
        for name in ("rich", "tqdm", "bar") if terminal else ("lines",):
            try:
                return KINDS[name](epochs, batches, done)
            except ImportError:
                continue
    name = "quiet" if wanted is False else wanted
    if name not in KINDS:
        raise ValueError(f"fit: progress={wanted!r}: write None, True, False, or one of {', '.join(map(repr, KINDS))}.")
    try:
        return KINDS[name](epochs, batches, done)
    except ImportError:
        raise MissingExtraError(f'fit: progress={name!r} needs {name}, which is not installed. Install it with pip install '
                                f'{name}, or write progress="bar".') from None
