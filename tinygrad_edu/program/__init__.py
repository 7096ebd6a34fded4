"""A recorded function as straight-line code: `trace` records it, passes tidy it, readers print it."""

from __future__ import annotations

from .program import Line, Name, Program
from .trace import trace

__all__ = ["Line", "Name", "Program", "trace"]
