"""Saving the figures of an example, where matplotlib is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def save(directory: Path, figures: dict[str, tuple[Callable[[Any], Any], tuple[float, float]]]) -> None:
    """Save figures, given by name as (what draws in a matplotlib Figure, its size in inches), as PNG files."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("\nno plot: matplotlib is not installed (pip install matplotlib)")
        return
    directory.mkdir(parents=True, exist_ok=True)
    for name, (draw, size) in figures.items():
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(directory / f"{name}.png", dpi=120)
    print(f"\nthe plots, in {directory}: {', '.join(f'{name}.png' for name in figures)}")
