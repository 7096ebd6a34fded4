"""The engines: hand-written NumPy, this one, and peers. A peer that is not installed is left out."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from .base import Case, Engine

REFERENCE = "by_hand"
OURS = "ours"
COMPILED = "ours_jit"
JITTED = (COMPILED, "with_jax")  # those that compile a step before its first run

# module -> the package it needs
NAMES = {
    REFERENCE: "numpy",
    OURS: "tinygrad_edu",
    COMPILED: "tinygrad_edu",
    "with_pytorch": "torch",
    "with_jax": "jax",
    "with_mygrad": "mygrad",
    "with_autograd": "autograd",
    "with_micrograd": "micrograd",
}


def available() -> list[str]:
    """The engines whose package is importable here."""
    return [name for name, package in NAMES.items() if find_spec(package) is not None]


def load(name: str) -> Engine:
    """An engine, by the name of its module."""
    engine: Engine = import_module(f"{__name__}.{name}").ENGINE
    return engine


__all__ = ["COMPILED", "JITTED", "NAMES", "OURS", "REFERENCE", "Case", "Engine", "available", "load"]
