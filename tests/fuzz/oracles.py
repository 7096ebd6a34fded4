"""What must hold of every program, each way of computing against another that shares nothing with it.

    forward     the values, shapes and dtypes are those of the same code on plain arrays by NumPy alone
    difference  the gradient, along a random direction, is the slope of the plain code in extended precision
    modes       ⟨v, jvp u⟩ = ⟨vjp v, u⟩
    second      hvp, forward over reverse, reverse over forward and forward over forward agree with each other and with
                the second difference of the plain code
    backward    Tensor.backward gives the functional gradient; twice gives twice; the same on every run
    memory      nothing given is changed; no two gradients share memory
    warnings    no warning where the numbers are finite
    refused     what NumPy refuses, the engine refuses too
    source      the printed NumPy code gives the engine's numbers: bit for bit, and to the last digits where products and
                windows sum in an order that depends on how the arrays lie in memory
    formulas    they can be written
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import Tensor

from .program import Program
from .reference import Reference

STEP = 1e-3
# central differences of eighth and sixth order: first and second derivative
FIRST8, FIRST6 = (4 / 5, -1 / 5, 4 / 105, -1 / 280), (3 / 4, -3 / 20, 1 / 60)
SECOND8, SECOND6 = (8 / 5, -1 / 5, 8 / 315, -1 / 560), (3 / 2, -3 / 20, 1 / 90)
CENTRE8, CENTRE6 = -205 / 72, -49 / 18
REFERENCE = Reference()
# functions with a kink at 0, at some whole number or half, and where entries tie: asked only where the slope disagrees
KINKED = {"relu", "leaky_relu", "elu", "abs", "absolute", "fabs", "copysign", "celu", "selu", "softsign", "prelu", "cbrt",
          "hypot", "norm", "vector_norm", "matrix_norm"}
KINKED_AT_NUMBERS = {"hard_tanh", "relu6", "hard_sigmoid", "hard_swish", "softshrink", "hardshrink", "clip", "l1", "huber",
                     "smooth_l1", "hinge", "multiclass_hinge", "margin_ranking", "maximum", "minimum", "fmax", "fmin"}
TIED = {"max", "min", "amax", "amin", "ptp", "sort", "cummax", "cummin", "max_pool1d", "max_pool2d", "median", "quantile",
        "percentile", "partition", "topk", "nanmax", "nanmin", "norm", "vector_norm", "matrix_norm"}
# functions that sum in an order that depends on how their operands lie in memory
SUMMED = {"matmul", "dot", "inner", "vdot", "tensordot", "einsum", "outer", "kron", "vecdot", "multi_dot", "matrix_power",
          "inv", "solve", "det", "slogdet", "cholesky", "eigh", "eigvalsh", "eig", "eigvals", "svd", "svdvals", "nuclear",
          "norm", "qr", "pinv", "lstsq", "cond", "tensorinv", "tensorsolve", "cov", "corrcoef",
          "scaled_dot_product_attention", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "avg_pool1d",
          "avg_pool2d", "interpolate", "unfold", "fold", "nansum", "nanmean", "nanvar", "nanstd"}
LONG = np.longdouble


class MismatchError(AssertionError):
    """An oracle disagrees."""

    def __init__(self, oracle: str, message: str) -> None:
        super().__init__(f"{oracle}: {message}")
        self.oracle = oracle


@dataclass
class Outcome:
    """What was checked, and what could not be."""

    checked: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def leaves(x: Any) -> list[Any]:
    return list(x) if isinstance(x, tuple) else [x]


def finite(xs: Any) -> bool:
    return all(np.all(np.isfinite(x)) for x in xs)


def dot(xs: Any, ys: Any) -> float:
    return float(sum(np.sum(np.asarray(x, LONG) * y) for x, y in zip(xs, ys, strict=True)))


def size_of(xs: Any, ys: Any) -> float:
    """The size of the terms of a dot product, by which its rounding is measured."""
    return float(sum(np.sum(np.abs(np.asarray(x, LONG) * y)) for x, y in zip(xs, ys, strict=True)))


def close(oracle: str, found: Any, wanted: Any, tolerance: float, what: str) -> None:
    found, wanted = np.asarray(found), np.asarray(wanted)
    if found.shape != wanted.shape:
        raise MismatchError(oracle, f"{what}: shape {found.shape}, not {wanted.shape}")
    if not found.size:
        return
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    if np.all(same):
        return
    with np.errstate(all="ignore"):
        error = np.abs(np.where(same, 0, found - wanted))
    if not np.all(error <= tolerance * max(1.0, float(np.max(np.abs(np.where(np.isfinite(wanted), wanted, 0)))))):
        raise MismatchError(oracle, f"{what}: {found.tolist()}, not {wanted.tolist()}")


class Check:
    """All oracles on one program."""

    def __init__(self, program: Program, thorough: bool = False) -> None:
        self.program, self.thorough = program, thorough
        self.names = list(program.inputs)
        self.xs = [program.inputs[name] for name in self.names]
        self.every = tuple(range(len(self.xs)))
        self.outcome = Outcome()
        # a constant of single precision is exact, and costs what meets it in double precision no digits
        self.rough = any(step.rough for step in program.steps)
        self.single = self.rough or any(np.asarray(x).dtype == np.float32 for x in self.xs)
        self.exact = all(step.exact for step in program.steps)
        self.rng = np.random.default_rng([program.seed or 0, 7])
        self.run_program, self.run_cost = program.functions()
        self.us = [np.asarray(self.rng.uniform(-1, 1, np.shape(x)), np.asarray(x).dtype)[()] for x in self.xs]
        self.tolerance = 3e-4 if self.single else 1e-9 if self.exact else 1e-8

    def run(self) -> Outcome:
        before = [(x.tobytes(), x.dtype, x.shape) for x in map(np.asarray, self.given())]
        with np.errstate(all="ignore"):
            self.forward()
            self.first()
            self.differences()
            self.backward()
            self.modes()
            if self.smooth:
                self.second()
            if self.program.refused:
                self.refused(*self.program.refused)
            if self.thorough:
                self.source()
        after = [(x.tobytes(), x.dtype, x.shape) for x in map(np.asarray, self.given())]
        if before != after:
            raise MismatchError("memory", "an input or constant was changed")
        return self.outcome

    def given(self) -> list[Any]:
        return [*self.xs, *self.program.constants.values()]

    # -- values

    def forward(self) -> None:
        wanted_by_name = self.program.values()
        wanted = [wanted_by_name[name] for name in self.program.outputs]
        tensors = [Tensor(x) for x in self.xs]
        recorded = self.run_program(*tensors)
        plain = self.program.functions(plain=True)[0](*self.xs)
        tolerance = self.largest(wanted_by_name) * (3e-5 if self.single else 1e-12)
        for name, y, p, w in zip(self.program.outputs, recorded, plain, wanted, strict=True):
            if type(y) is not Tensor:
                raise MismatchError("forward", f"{name}: {type(y).__name__} where a Tensor was expected")
            if isinstance(p, Tensor):
                raise MismatchError("forward", f"{name}: a Tensor from plain arrays")
            for kind, v in (("recorded", y.data), ("on arrays", p)):
                if np.asarray(v).dtype != np.asarray(w).dtype:
                    raise MismatchError("forward", f"{name} {kind}: dtype {np.asarray(v).dtype}, NumPy's {np.asarray(w).dtype}")
                try:
                    close("forward", v, w, tolerance, f"{name} {kind}")
                except MismatchError:
                    if np.shape(v) != np.shape(w) or not self.rounding_decides(name, tolerance):
                        raise
                    self.outcome.skipped.append("forward: rounding decides a jump")
            if not y.ndim and isinstance(y.data, np.ndarray):
                raise MismatchError("forward", f"{name}: a 0-dimensional array where a NumPy scalar was expected")
        self.outcome.checked.append("forward")

    def rounding_decides(self, name: str, tolerance: float) -> bool:
        """Whether the plain code itself jumps when its inputs, or its lines, are moved by what rounding moves them."""
        wanted = self.program.values()[name]
        eps = 1e-6 if self.single else 1e-14
        for k in range(8):
            noise = np.random.default_rng(k)
            moved = {n: np.asarray(x + eps * noise.uniform(-1, 1, np.shape(x)), np.asarray(x).dtype)[()]
                     for n, x in self.program.inputs.items()}
            steps = tuple(replace(s, plain=f"tg.jitter({s.plain}, {eps * (k % 2)}, {k})" if len(s.targets) == 1 else s.plain)
                          for s in self.program.steps)
            near = replace(self.program, inputs=moved, steps=steps).values()[name]
            if np.shape(near) != np.shape(wanted) or np.any(np.abs(near - wanted) > tolerance):
                return True
        return False

    def largest(self, values: dict[str, Any]) -> float:
        """The largest number on the way, by which what is rounded is measured."""
        made = [t for step in self.program.steps for t in step.targets]
        return max([1.0, *(float(np.max(np.abs(values[t]), initial=0)) for t in made)])

    # -- first derivatives

    def first(self) -> None:
        try:
            with np.errstate(divide="raise", invalid="raise", over="raise"):
                self.J, self.gradient = tg.value_and_grad(self.run_cost, argnums=self.every)(*self.xs)
        except FloatingPointError as error:
            self.J, self.gradient = tg.value_and_grad(self.run_cost, argnums=self.every)(*self.xs)
            if finite(self.gradient):
                raise MismatchError("warnings", f"{error} on the way to finite numbers") from None
        for name, x, d in zip(self.names, self.xs, self.gradient, strict=True):
            self.kind("gradient", name, x, d)
        for i, d in enumerate(self.gradient):
            for j, other in enumerate([*self.gradient[:i], *self.given()]):
                if isinstance(d, np.ndarray) and isinstance(other, np.ndarray) and np.may_share_memory(d, other) and (
                        np.shares_memory(d, other)):
                    raise MismatchError("memory", f"d{self.names[i]} shares memory with "
                                             + (f"d{self.names[j]}" if j < i else "an input"))
        self.smooth = finite(self.gradient)

    def kind(self, oracle: str, name: str, x: Any, d: Any) -> None:
        if np.shape(d) != np.shape(x) or np.asarray(d).dtype != np.asarray(x).dtype or (
                isinstance(d, np.ndarray) != isinstance(x, np.ndarray)):
            raise MismatchError(oracle, f"d{name}: {type(d).__name__} {np.shape(d)} {np.asarray(d).dtype} for "
                                        f"{type(x).__name__} {np.shape(x)} {np.asarray(x).dtype}")

    def along(self, program: Program | None = None) -> list[Any]:
        """The plain cost (or all outputs of another program) in extended precision, at nine points of a line."""
        constants = {**self.program.constants, **self.program.weights()}
        constants = {k: np.asarray(v, LONG)[()] if np.asarray(v).dtype.kind == "f" else v for k, v in constants.items()}
        cost = (program or self.program).functions(REFERENCE, plain=True, constants=constants)[1 if program is None else 0]
        xs, us = [np.asarray(x, LONG) for x in self.xs], [np.asarray(u, LONG) for u in self.us]
        values = []
        for k in range(-4, 5):
            values.append(cost(*[(x + k * LONG(STEP) * u)[()] for x, u in zip(xs, us, strict=True)]))
        return values

    def has_kink(self) -> bool:
        """Whether some variable, by the plain code, is not smooth along the line: there each function takes one of the
        possible derivatives, and those of several functions need not fit together."""
        values = self.program.values()
        for step in self.program.steps:
            if step.function in KINKED and any(np.any(np.asarray(values[u]) == 0) for u in step.uses):
                return True  # on the kink, also where the line does not cross it: relu of a variance that is 0
            if step.function in KINKED_AT_NUMBERS and any(
                    np.any(np.asarray(values[u]) == np.round(values[u])) for u in step.uses):
                return True
            if step.function in TIED and any(
                    np.unique(np.asarray(values[u])).size < np.asarray(values[u]).size for u in step.uses):
                return True  # a tie, which several could win
        made = tuple(t for step in self.program.steps for t in step.targets)
        points = self.along(replace(self.program, outputs=made))
        for values in zip(*points, strict=True):
            f = np.stack([np.asarray(v, LONG) for v in values])
            odd = [f[4 + k] - f[4 - k] for k in range(1, 5)]
            even = [f[4 + k] + f[4 - k] for k in range(1, 5)]
            eighth = sum(a * d for a, d in zip(FIRST8, odd, strict=True)) / STEP
            sixth = sum(a * d for a, d in zip(FIRST6, odd[:3], strict=True)) / STEP
            second8 = (sum(a * d for a, d in zip(SECOND8, even, strict=True)) + CENTRE8 * f[4]) / STEP**2
            second6 = (sum(a * d for a, d in zip(SECOND6, even[:3], strict=True)) + CENTRE6 * f[4]) / STEP**2
            if np.any(np.abs(eighth - sixth) > 1e-6 * (1 + np.abs(eighth))) or np.any(
                    np.abs(second8 - second6) > 1e-3 * (1 + np.abs(second8))):
                return True
        return False

    def differences(self) -> None:
        """The slope of the plain code, where its own error estimate says that the line is smooth."""
        self.slope = self.curvature = None
        if self.rough or not self.smooth:
            self.outcome.skipped.append("difference: " + ("rounded" if self.rough else "not finite"))
            return
        try:
            f = [LONG(value) for value in self.along()]
        except ValueError:  # a mask picks other entries along the line
            self.outcome.skipped.append("difference: a shape that depends on the values")
            return
        if not np.all(np.isfinite(f)):
            self.outcome.skipped.append("difference: the line leaves the domain")
            return
        c = 4
        odd = [f[c + k] - f[c - k] for k in range(1, 5)]
        even = [f[c + k] + f[c - k] for k in range(1, 5)]
        eighth = sum(a * d for a, d in zip(FIRST8, odd, strict=True)) / STEP
        sixth = sum(a * d for a, d in zip(FIRST6, odd[:3], strict=True)) / STEP
        error = float(abs(eighth - sixth))
        terms = size_of(self.gradient, self.us)
        found, wanted = dot(self.gradient, self.us), float(eighth)
        scale = max(terms, abs(wanted), 1e-3 * abs(float(f[c])), 1e-3)
        if error > 1e-7 * scale:
            self.outcome.skipped.append("difference: a kink, or too curved")
            return
        self.slope = wanted
        self.scale = scale
        if abs(found - wanted) > self.tolerance * scale + 10 * error and not self.badly_conditioned(abs(found - wanted)):
            if self.has_kink():
                self.slope = None
                self.outcome.skipped.append("difference: a kink hidden by another")
                return
            raise MismatchError("difference", f"along u = {[np.asarray(u).tolist() for u in self.us]}: gradient·u = {found}, "
                                         f"slope {wanted} ± {error:.1g}")
        second8 = (sum(a * d for a, d in zip(SECOND8, even, strict=True)) + CENTRE8 * f[c]) / STEP**2
        second6 = (sum(a * d for a, d in zip(SECOND6, even[:3], strict=True)) + CENTRE6 * f[c]) / STEP**2
        self.curvature = float(second8), float(abs(second8 - second6))
        self.outcome.checked.append("difference")

    def badly_conditioned(self, error: float) -> bool:
        """Whether rounding the inputs alone moves the derivative about as much."""
        moved = 0.0
        eps = 1e-7 if self.single else 2e-16
        for _ in range(4):
            noise = [1 + eps * self.rng.uniform(-2, 2, np.shape(x)) for x in self.xs]
            near = [np.asarray(x * e, np.asarray(x).dtype)[()] for x, e in zip(self.xs, noise, strict=True)]
            gradient = tg.grad(self.run_cost, argnums=self.every)(*near)
            moved = max(moved, abs(dot(gradient, self.us) - dot(self.gradient, self.us)))
        return error < 30 * moved

    def modes(self) -> None:
        ys, pull = tg.vjp(self.run_program, *self.xs)
        vs = tuple(np.asarray(self.rng.uniform(-1, 1, np.shape(y)), np.asarray(y).dtype)[()] for y in ys)
        kept = [np.array(v) for v in vs]
        gs = pull(vs)
        again = pull(vs)
        same, ts = tg.jvp(self.run_program, tuple(self.xs), tuple(self.us))
        for name, y, s, t in zip(self.program.outputs, ys, same, ts, strict=True):
            close("modes", s, y, 1e-5 if self.single else 1e-13, f"{name} from jvp and vjp")
            self.kind("modes", name, y, t)
        for name, x, g, h in zip(self.names, self.xs, gs, again, strict=True):
            self.kind("modes", name, x, g)
            if not np.array_equal(g, h, equal_nan=True):
                raise MismatchError("modes", f"pull called twice: d{name} differs")
            if isinstance(g, np.ndarray) and any(np.shares_memory(g, v) for v in vs if isinstance(v, np.ndarray)):
                raise MismatchError("memory", f"d{name} shares memory with the incoming gradient")
        for v, k in zip(vs, kept, strict=True):
            if not np.array_equal(v, k):
                raise MismatchError("memory", "the incoming gradient was changed")
        if not finite(gs) or not finite(ts):
            self.outcome.skipped.append("modes: not finite")
            return
        left, right = dot(gs, self.us), dot(vs, ts)
        scale = max(size_of(gs, self.us), size_of(vs, ts), 0.1 if self.single else 1e-3)
        limit = (1e-4 if self.single else 1e-11) * scale
        if abs(left - right) > limit and abs(left - right) > limit * self.largest(self.program.values()) ** 2:
            raise MismatchError("modes", f"<v, jvp u> = {right}, <vjp v, u> = {left}")
        self.outcome.checked.append("modes")

    def backward(self) -> None:
        tensors = [Tensor(x) for x in self.xs]
        J = self.run_cost(*tensors)
        J.backward()
        once = [t.grad for t in tensors]
        for name, x, d, g in zip(self.names, self.xs, once, self.gradient, strict=True):
            if d is None:
                if np.any(g != 0):
                    raise MismatchError("backward", f"{name}: no gradient, and the functional one is {g}")
                continue
            self.kind("backward", name, x, d)
            close("backward", d, g, 1e-6 if self.single else 1e-13, f"d{name} of backward() and of grad")
        kept = [None if d is None else np.array(d) for d in once]
        J.backward()
        for name, t, d in zip(self.names, tensors, kept, strict=True):
            if d is not None and not np.array_equal(t.grad, d + d, equal_nan=True):
                raise MismatchError("backward", f"d{name}: a second backward() makes {t.grad} of {d}")
        for t in tensors:
            for other in tensors:
                if t is not other and isinstance(t.grad, np.ndarray) and isinstance(other.grad, np.ndarray) and (
                        np.shares_memory(t.grad, other.grad)):
                    raise MismatchError("memory", "two .grad share memory")
        again = tg.grad(self.run_cost, argnums=self.every)(*self.xs)
        for name, a, g in zip(self.names, again, self.gradient, strict=True):
            if not np.array_equal(a, g, equal_nan=True):
                raise MismatchError("backward", f"d{name} differs from run to run")
        if len(self.xs) > 1:  # one input alone gives the same derivative, the others being plain arrays
            i = int(self.rng.integers(len(self.xs)))
            close("backward", self.alone(i), self.gradient[i], 1e-5 if self.single else 1e-12, f"d{self.names[i]} alone")
        self.outcome.checked.append("backward")

    def alone(self, i: int) -> Any:
        """The gradient by one input, the lines spelled so that they also run on arrays."""
        steps = tuple(replace(step, text=step.plain) for step in self.program.steps)
        cost = replace(self.program, steps=steps).functions()[1]
        return tg.grad(cost, argnums=i)(*self.xs)

    # -- second derivatives

    def second(self) -> None:
        us = tuple(self.us)
        xs = tuple(self.xs)
        rr = tg.hvp(self.run_cost, xs, us)
        _, fr = tg.jvp(tg.grad(self.run_cost, argnums=self.every), xs, us)
        for name, x, h, k in zip(self.names, self.xs, rr, fr, strict=True):
            self.kind("second", name, x, h)
            self.kind("second", name, x, k)
        if not finite(rr) or not finite(fr):
            self.outcome.skipped.append("second: not finite")
            return
        sizes = [size_of(rr, us), size_of(fr, us), 0.1 if self.single else 1e-3, 1e-3 * size_of(self.gradient, us)]
        scale = max(sizes)
        tolerance = 1e-3 if self.single else 1e-8
        for name, h, k in zip(self.names, rr, fr, strict=True):
            if not np.all(np.abs(h - k) <= tolerance * max(scale, float(np.max(np.abs(h), initial=0)))):
                raise MismatchError("second", f"{name}: reverse over reverse {h}, forward over reverse {k}")
        if self.thorough:
            _, ff = tg.jvp(lambda *p: tg.jvp(self.run_cost, p, us)[1], xs, us)
            rf = tg.grad(lambda *p: tg.jvp(self.run_cost, p, us)[1], argnums=self.every)(*xs)
            if finite([ff]) and abs(ff - dot(rr, us)) > tolerance * scale:
                raise MismatchError("second", f"forward over forward {ff}, u·Hu {dot(rr, us)}")
            for name, x, h, k in zip(self.names, self.xs, rr, rf, strict=True):
                self.kind("second", name, x, k)
                if np.all(np.isfinite(k)) and not np.all(
                        np.abs(h - k) <= tolerance * max(scale, float(np.max(np.abs(h), initial=0)))):
                    raise MismatchError("second", f"{name}: reverse over reverse {h}, reverse over forward {k}")
        if self.curvature is None:
            self.outcome.skipped.append("second difference: no slope")
            return
        wanted, error = self.curvature
        scale = max(scale, abs(wanted), 1e-2 * self.scale)
        if error > 1e-5 * scale:
            self.outcome.skipped.append("second difference: a kink, or too curved")
            return
        found = dot(rr, us)
        tolerance = 1e-2 if self.single else 1e-7 if self.exact else 1e-5
        if abs(found - wanted) > tolerance * scale + 10 * error:
            if self.has_kink():
                self.outcome.skipped.append("second difference: a kink hidden by another")
                return
            raise MismatchError("second", f"u·Hu = {found}, second difference {wanted} ± {error:.1g}")
        self.outcome.checked.append("second")

    def refused(self, program: Program, error: Exception) -> None:
        run = program.functions(constants=program.constants)[0]
        try:
            found = run(*[Tensor(x) for x in program.inputs.values()])
        except (ValueError, TypeError, IndexError, NotImplementedError):
            self.outcome.checked.append("refused")
            return
        raise MismatchError("refused", f"NumPy says {type(error).__name__}: {error}; the engine gives {found}\n{program.text()}"
                       + "\n".join(f"{k} = {v!r}" for k, v in {**program.inputs, **program.constants}.items()))

    # -- the printed code

    def source(self) -> None:
        source = tg.numpy_source(self.run_cost, *self.xs)
        space: dict[str, Any] = {}
        exec(compile(source.source, "<printed>", "exec"), space)  # noqa: S102
        found = space[source.name](*self.xs)
        exact = True
        for name, d, g in zip(["J", *self.names], leaves(found), [self.J, *self.gradient], strict=True):
            same = np.array_equal(d, g, equal_nan=True)
            exact = exact and same
            summed = any(step.function in SUMMED for step in self.program.steps)
            if not same:
                close("source", d, g, 0 if not summed else 1e-5 if self.single else 1e-13,
                      f"{'d' if name != 'J' else ''}{name} of the printed code")
            if np.asarray(d).dtype != np.asarray(g).dtype:
                raise MismatchError("source", f"{name}: dtype {np.asarray(d).dtype}, not {np.asarray(g).dtype}")
        self.outcome.checked.append("source" if exact else "source, to rounding")
        str(tg.formulas(self.run_cost, *self.xs))


def check(program: Program, thorough: bool = False) -> Outcome:
    """Run every oracle; an exception of any kind is a finding."""
    return Check(program, thorough).run()
