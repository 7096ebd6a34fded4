"""Derivatives held against numerical differentiation: check_gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from .calculus import vjp
from .containers import numbers
from .errors import DTypeError, GradientError
from .modes import complex_numbers
from .tensor import Tensor, constant


class GradientCheck:
    """What check_gradients found: `ok`, `worst` (the largest relative error), `kinks`, and a table when printed.

    >>> import tinygrad_edu as tg
    >>> check = tg.check_gradients(lambda x: (x**3).sum(), [1.0, 2.0])
    >>> check.ok, check.worst < 1e-6, check.kinks
    (True, True, [])
    """

    def __init__(self, method: str, tolerance: float) -> None:
        self.method, self.tolerance = method, tolerance
        self.rows: list[tuple[str, tuple[int, ...], float, float, float]] = []  # argument, entry, autodiff, check, error
        self.kinks: list[tuple[str, tuple[int, ...], float, float, float]] = []  # ..., autodiff, left slope, right slope

    @property
    def worst(self) -> float:
        """The largest relative error of any entry that was compared."""
        return max((row[4] for row in self.rows), default=0.0)

    @property
    def ok(self) -> bool:
        """Whether every entry agrees, kinks by lying between their one-sided slopes."""
        inside = all(min(a, b) - self.tolerance <= d <= max(a, b) + self.tolerance for _, _, d, a, b in self.kinks)
        return inside and all(row[4] <= self.tolerance for row in self.rows)

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        verdict = "agree" if self.ok else "DIFFER"
        lines = [f"gradients {verdict}: {len(self.rows)} entries against {self.method}, worst relative error "
                 f"{self.worst:.1e} (allowed {self.tolerance:.0e})"]
        shown = sorted(self.rows, key=lambda row: -row[4])[: 1 if self.ok else 5]
        for name, entry, d, check, error in shown:
            lines.append(f"  {'worst: ' if self.ok else ''}{name}{list(entry) if entry else ''}: autodiff {d:.10g}, "
                         f"{self.method} {check:.10g}, relative error {error:.1e}")
        for name, entry, d, left, right in self.kinks[:5]:
            lines.append(f"  kink at {name}{list(entry) if entry else ''}: slope {left:.6g} on the left, {right:.6g} on the "
                         f"right, autodiff takes {d:.6g}")
        return "\n".join(lines)

    def raise_if_wrong(self) -> None:
        """Raise GradientError with the table if any entry disagrees."""
        if not self.ok:
            raise GradientError(f"check_gradients: {self!r}")


def check_gradients(f: Callable[..., Any], *args: Any, tolerance: float = 1e-6, max_entries: int = 100, seed: int = 0,
                    ) -> GradientCheck:
    """Compare the gradient of f with numerical differentiation, at the given float64 arguments.

    Every result is weighed by fixed random numbers, so that one gradient checks all of them. Central differences with a
    step scaled to each entry, (f(x+h) − f(x−h)) / 2h with h = ε^(1/3) max(1, |x|); where f runs on complex arrays too,
    the complex step Im f(x+ih)/h, which has no cancellation, takes over (Squire and Trapp 1998). Entries beyond
    max_entries per argument are sampled. Kinks, where the slopes on both sides differ, are listed apart.

    >>> import tinygrad_edu as tg
    >>> tg.check_gradients(lambda x: tg.tanh(x).sum(), [0.1, 0.5])
    gradients agree: 2 entries against complex step, worst relative error ... (allowed 1e-06)
      worst: x[...]: autodiff ..., complex step ..., relative error ...
    """
    if not args:
        raise ValueError("check_gradients: no arguments to differentiate by. Write check_gradients(f, x).")
    rng = np.random.default_rng(seed)
    leaves, rebuild = numbers(tuple(args))
    arrays = []
    for i, x in enumerate(leaves):
        value = np.asarray(x.value if type(x) is Tensor else constant(x, "check_gradients"))
        if value.dtype.kind == "f" and value.dtype != np.float64:
            raise DTypeError(
                f"check_gradients: argument {i + 1} is {value.dtype}. Differences lose half of the digits, and "
                f"{value.dtype} has only {np.finfo(value.dtype).precision} to begin with. Use x.astype(np.float64).")
        arrays.append(np.array(value, np.float64))
    y, pull_back = vjp(f, *rebuild(arrays))
    results, rebuild_results = numbers(y)
    results = [_plain(r) for r in results]
    weights = [rng.uniform(0.5, 1.5, np.shape(r)) if np.size(r) > 1 else np.ones(np.shape(r)) for r in results]
    gradients, _ = numbers(pull_back(rebuild_results(weights)))

    def total(point: list[ndarray]) -> Any:
        with_numbers = rebuild([p if p.ndim else p[()] for p in point])
        outs, _ = numbers(f(*with_numbers))
        return sum(np.sum(w * _plain(out)) for w, out in zip(weights, outs, strict=True))

    names = _argument_names(f, args)
    check = GradientCheck("central differences", tolerance)
    here = float(total(arrays))
    largest = max((float(np.max(np.abs(g), initial=0.0)) for g in map(np.asarray, map(_plain, gradients))), default=0.0)
    complex_works = True
    for i, (x, g) in enumerate(zip(arrays, gradients, strict=True)):
        g = np.asarray(_plain(g))
        chosen = np.arange(x.size) if x.size <= max_entries else np.sort(rng.choice(x.size, max_entries, replace=False))
        for k in chosen:
            entry = tuple(int(n) for n in np.unravel_index(k, x.shape))
            h = np.finfo(float).eps ** (1 / 3) * max(1.0, abs(float(x[entry])))
            up, down = _moved(total, arrays, i, entry, h), _moved(total, arrays, i, entry, -h)
            central, left, right = (up - down) / (2 * h), (here - down) / h, (up - here) / h
            noise = 4 * float(np.finfo(float).eps) * max(abs(here), abs(up), abs(down)) / float(h)
            d = float(g[entry])
            jump = abs(right - left)
            if jump > 1e-3 * max(abs(left), abs(right)) and jump > 10 * noise:
                # at a kink the slopes differ as much for a smaller step, on a curve less
                near = abs(_moved(total, arrays, i, entry, h / 8) + _moved(total, arrays, i, entry, -h / 8) - 2 * here)
                if near * 8 / h > 0.5 * jump and near * 8 / h > 20 * noise:
                    check.kinks.append((names[i], entry, d, left, right))
                    continue
            reference = central
            if complex_works:
                found = _complex_step(total, arrays, i, entry)
                if found is None or abs(found - central) > 1e-5 * max(largest, abs(central)) + 10 * noise:
                    complex_works = False
                else:
                    reference, noise = found, 0.0
            size = max(abs(d), abs(reference), 1e-3 * largest, noise / tolerance, 1e-300)
            check.rows.append((names[i], entry, d, reference, abs(d - reference) / size))
    if complex_works and check.rows:
        check.method = "complex step"
    return check


def _argument_names(f: Callable[..., Any], args: tuple[Any, ...]) -> list[str]:
    code = getattr(f, "__code__", None)
    names = list(code.co_varnames[: code.co_argcount]) if code is not None else []
    out: list[str] = []
    for i, arg in enumerate(args):
        name = names[i] if i < len(names) else "x" if len(args) == 1 else f"x{i + 1}"
        count = len(numbers(arg)[0])
        out += [name] if count == 1 else [f"{name}.{k}" for k in range(count)]
    return out


def _moved(total: Callable[[list[ndarray]], Any], arrays: list[ndarray], i: int, entry: tuple[int, ...], h: float) -> float:
    point = list(arrays)
    point[i] = arrays[i].copy()
    point[i][entry] += h
    return float(total(point))


def _complex_step(total: Callable[[list[ndarray]], Any], arrays: list[ndarray], i: int, entry: tuple[int, ...]) -> Any:
    point: list[ndarray] = list(arrays)
    point[i] = arrays[i].astype(complex)
    point[i][entry] += 1e-30j
    try:
        with np.errstate(all="ignore"), complex_numbers():
            out = complex(total(point))
    except Exception:
        return None  # f does not run on complex numbers: differences remain
    return out.imag / 1e-30 if np.isfinite(out.imag) and out.imag else None


def _plain(x: Any) -> Any:
    return x.value if type(x) is Tensor else x
