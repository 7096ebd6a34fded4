"""How lines are written with linear algebra: matrices are kept regular, and eigenvalues apart, where that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import reference_linear  # noqa: F401 - what they are in extended precision
from .generate import Builder, RejectedError, entry
from .table import like, matrix_partner


def linalg(b: Builder, name: str, *operands: str, rest: str = "", targets: int = 1, take: str = "") -> str:
    """tg.linalg.name or np.linalg.name; `take` picks one of several results."""
    arguments = ", ".join((*operands, *([rest] if rest else [])))
    plain = f"tg.linalg.{name}({arguments}){take}"
    return b.emit(name, b.choice([plain, f"np.linalg.{name}({arguments}){take}"]), operands, plain, targets)


def small(b: Builder, square: bool = True, batched: bool = True) -> str:
    def fits(x: Any) -> bool:
        return np.ndim(x) >= 2 and (batched or np.ndim(x) == 2) and x.size > 0 and max(x.shape[-2:]) <= 4 and (
            not square or x.shape[-1] == x.shape[-2])

    def shape() -> tuple[int, ...]:
        n = b.choice((1, 2, 2, 3))
        return (*((b.choice((1, 2)),) if batched and b.chance(30) else ()), n, n if square else b.choice((1, 2, 3)))

    return b.variable(fits, shape, -4, 4)


def singular_values(x: Any) -> Any:
    return np.linalg.svd(np.asarray(x, np.float64), compute_uv=False)


def regular(b: Builder, batched: bool = True) -> str:
    """A square matrix far from singular."""
    x = small(b, batched=batched)
    if singular_values(b.space[x]).min() > 0.4:
        return x
    n = np.shape(b.space[x])[-1]
    made = b.emit("add", f"{x} + {b.choice((5, 7))} * np.eye({n})", (x,))
    if singular_values(b.space[made]).min() < 0.4:
        raise RejectedError
    return made


def positive_definite(b: Builder) -> str:
    x = small(b, square=False)
    n = np.shape(b.space[x])[-2]
    return b.emit("matmul", f"{x} @ {x}.mT + np.eye({n})", (x,), f"tg.matmul({x}, np.swapaxes({x}, -1, -2)) + np.eye({n})")


def apart(b: Builder, values: Callable[[Any], Any], square: bool = True) -> str:
    """A matrix whose eigenvalues (or singular values) keep their distance."""
    for _ in range(3):
        x = small(b, square=square)
        if square and b.chance(60):
            n = np.shape(b.space[x])[-1]
            x = b.emit("add", f"{x} + np.diag({[3.0 * i for i in range(n)]})", (x,))
        v = values(np.asarray(b.space[x], np.float64))
        if np.isrealobj(v) and (v.shape[-1] < 2 or np.min(np.abs(np.diff(np.sort(v, -1), axis=-1))) > 0.3):
            return x
    raise RejectedError


@entry("inv", "det", "slogdet", "matrix_power", "cond")
def of_a_regular_matrix(b: Builder, name: str) -> None:
    x = regular(b)
    if name == "slogdet":
        linalg(b, name, x, take="[1]")
    elif name == "matrix_power":
        linalg(b, name, x, rest=str(b.choice((-2, -1, 1, 2, 3))))
    elif name == "cond":
        s = singular_values(b.space[x])
        if np.min(np.abs(np.diff(s, axis=-1)), initial=1) < 0.2:
            raise RejectedError
        linalg(b, name, x, rest=b.choice(["", "2", "-2", "'fro'", "1"]))
    else:
        linalg(b, name, x)


@entry("det_singular")
def det_singular(b: Builder, name: str) -> None:
    linalg(b, "det", small(b))


@entry("solve")
def solve(b: Builder, name: str) -> None:
    x = regular(b)
    n = np.shape(b.space[x])[-1]
    linalg(b, name, x, b.choice([lambda: like(b, (n,)), lambda: like(b, (n, 2)), lambda: x])())


@entry("cholesky")
def cholesky(b: Builder, name: str) -> None:
    linalg(b, name, positive_definite(b), rest="upper=True" if b.chance(30) else "")


@entry("eigh", "eigvalsh")
def eigh(b: Builder, name: str) -> None:
    triangle = b.choice(["L", "L", "U"])
    x = apart(b, lambda a: np.linalg.eigvalsh(a, triangle))
    rest = b.choice(["", f"UPLO={triangle!r}"]) if triangle == "L" else "UPLO='U'"
    linalg(b, name, x, rest=rest, targets=2 if name == "eigh" else 1)


@entry("eig", "eigvals")
def eig(b: Builder, name: str) -> None:
    linalg(b, name, apart(b, np.linalg.eigvals), targets=2 if name == "eig" else 1)


@entry("svd", "svdvals", "nuclear")
def svd(b: Builder, name: str) -> None:
    x = apart(b, lambda a: np.concatenate([singular_values(a), 0 * singular_values(a)[..., :1]], -1), square=False)
    if name == "svd":
        square = np.shape(b.space[x])[-1] == np.shape(b.space[x])[-2]
        linalg(b, name, x, rest="" if square and b.chance(50) else "full_matrices=False", targets=3)
    elif name == "nuclear":
        linalg(b, "norm", x, rest=f"{b.choice(['2', '-2', repr('nuc')])}, axis=(-2, -1)")
    else:
        linalg(b, name, x)


def full_rank(b: Builder) -> str:
    x = small(b, square=False)
    if singular_values(b.space[x]).min() < 0.4:
        raise RejectedError
    return x


@entry("qr")
def qr(b: Builder, name: str) -> None:
    x = full_rank(b)
    k = min(np.shape(b.space[x])[-2:])
    if singular_values(b.space[x][..., :k]).min() < 0.4:
        raise RejectedError
    if b.chance(25):
        linalg(b, name, x, rest="mode='r'")
    else:
        linalg(b, name, x, targets=2)


@entry("pinv")
def pinv(b: Builder, name: str) -> None:
    linalg(b, name, full_rank(b))


@entry("lstsq")
def lstsq(b: Builder, name: str) -> None:
    x = full_rank(b)
    if b.ndim(x) > 2:
        raise RejectedError
    m = np.shape(b.space[x])[0]
    linalg(b, name, x, b.choice([lambda: like(b, (m,)), lambda: b.input((m, 2))])(), take="[0]")


@entry("tensorinv", "tensorsolve")
def tensors(b: Builder, name: str) -> None:
    x = b.input(b.choice([(2, 1, 2), (2, 2, 4), (1, 3, 3)]) if name == "tensorinv" else (2, 2, 4))
    flat = np.reshape(b.space[x], (int(np.prod(np.shape(b.space[x])[:2])), -1))
    if flat.shape[0] != flat.shape[1] or singular_values(flat).min() < 0.3:
        raise RejectedError
    if name == "tensorinv":
        linalg(b, name, x, rest="ind=2")
    else:
        linalg(b, name, x, b.input((2, 2)))


@entry("norm", "vector_norm", "matrix_norm")
def norm(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0 and np.size(x) > 0, lambda: b.shape(1, 3))
    n = b.ndim(x)
    keep = ", keepdims=True" if b.chance(25) else ""
    if name == "matrix_norm":
        if n < 2:
            raise RejectedError
        linalg(b, name, x, rest=f"ord={b.choice([repr('fro'), '1', '-1', 'np.inf', '-np.inf'])}{keep}")
    elif name == "vector_norm":
        order = b.choice(["2", "1", "3", "np.inf", "-np.inf", "2.5"])
        linalg(b, name, x, rest=f"ord={order}, axis={b.axes(x, empty=False)}{keep}")
    elif b.chance(30) or n > 2:
        linalg(b, name, x, rest=f"ord={b.choice(['None', '2', '1', '3', 'np.inf', '-np.inf'])}, axis={b.axis(x)}{keep}")
    else:
        linalg(b, name, x, rest=b.choice(["", "'fro'", "1", "np.inf", "-np.inf"] if n == 2 else ["", "1", "2", "3", "np.inf"]))


@entry("multi_dot")
def multi_dot(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) == 2, lambda: b.shape(2, 2))
    y = matrix_partner(b, x)
    if not isinstance(b.space.get(y), np.ndarray) or b.space[y].ndim != 2:
        raise RejectedError
    z = b.input(b.choice([(b.space[y].shape[1], 2), (b.space[y].shape[1],)]))
    linalg(b, name, f"[{x}, {y}, {z}]")
