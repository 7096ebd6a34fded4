"""Linear algebra under NumPy's names: values, derivatives of every order, and what happens where there is none."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from test_surface import Case, close, outputs, slope
from zoo import draw
from zoo_linear_algebra import positive, regular

import tinygrad_edu as tg
from tinygrad_edu import Tensor, linalg
from tinygrad_edu.errors import LinearAlgebraError, ShapeError, UnsupportedError

A, STACK, TALL, WIDE = (regular(k, s) for k, s in (("A", (3, 3)), ("stack", (2, 3, 3)), ("tall", (4, 2)), ("wide", (2, 4))))
TALLS, WIDES = regular("talls", (2, 3, 2)), regular("wides", (2, 2, 3))
P, PS = positive("P", (3, 3)), positive("PS", (2, 2, 2))
B, V, X = draw("B", (3, 2)), draw("V", (3,)), draw("X", (2, 3))
CUBE, NONE, NO_STACK = draw("cube", (2, 3, 4)), np.zeros((0, 0)), np.zeros((0, 2, 2))


def cases() -> Iterator[Case]:
    for a in (A, STACK, regular("one", (1, 1)), NONE, NO_STACK):
        for name in ("inv", "det", "slogdet"):
            yield Case(name, (a,))
        for n in (1, 2, 3, 5, 0, -1, -2):
            yield Case("matrix_power", (a, n))
        for offset in (0, 1, -1):
            yield Case("diagonal", (a,), {"offset": offset})
            yield Case("trace", (a,), {"offset": offset})
        yield Case("matrix_transpose", (a,))
    for a, b in ((A, V), (A, B), (STACK, B), (STACK, V), (A, draw("Bs", (2, 3, 1))), (STACK[:, None], draw("Bs", (2, 3, 2))),
                 (NONE, np.zeros(0)), (NONE, np.zeros((0, 2))), (NO_STACK, np.zeros(2))):
        yield Case("solve", (a, b))
    for a in (P, PS, positive("one", (1, 1)), NONE, NO_STACK):
        yield Case("cholesky", (a,))
        yield Case("cholesky", (a.mT,), {"upper": True})
        for side in ("L", "U"):
            yield Case("eigh", (a, side))
            yield Case("eigvalsh", (a, side))
    for a in (A, STACK, NO_STACK):
        yield Case("eig", (a,))
        yield Case("eigvals", (a,))
    for a in (A, STACK, TALL, WIDE, TALLS, WIDES, np.zeros((0, 3)), np.zeros((3, 0)), np.zeros((0, 2, 3))):
        yield Case("svd", (a,), {"full_matrices": False})
        yield Case("svd", (a,), {"compute_uv": False})
        yield Case("svdvals", (a,))
        yield Case("qr", (a,))
        yield Case("qr", (a, "r"))
        if a.shape[-2] <= a.shape[-1]:
            yield Case("qr", (a, "complete"))
        if a.shape[-2] == a.shape[-1]:
            yield Case("svd", (a,))
        if a.size:
            yield Case("cond", (a,))
            yield Case("cond", (a, -2))
        yield Case("pinv", (a,))
    for p in (1, -1, math.inf, -math.inf, "fro", "nuc"):
        yield Case("cond", (A, p))
    yield Case("pinv", (TALL,), {"rcond": 1e-3})
    yield Case("pinv", (TALLS,), {"rtol": 1e-3})
    yield Case("pinv", (A + A.T,), {"hermitian": True})
    for b in (draw("y", (4,)), draw("y", (4, 3))):
        yield Case("lstsq", (TALL, b))
    yield Case("lstsq", (WIDE, draw("y", (2,))))
    yield Case("lstsq", (A, V), {"rcond": 1e-9})

    for order in (None, 2, 1, 3, 2.5, -1, -2.5, 0, math.inf, -math.inf):
        yield Case("norm", (V, order))
        yield Case("norm", (X, order), {"axis": 1})
        yield Case("norm", (X, order), {"axis": 0, "keepdims": True})
        if order is not None:
            yield Case("vector_norm", (CUBE,), {"ord": order})
            yield Case("vector_norm", (CUBE,), {"ord": order, "axis": (0, -1), "keepdims": True})
    for order in (None, "fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf):
        yield Case("norm", (X, order), {} if order is None else {"axis": None})
        yield Case("norm", (X, order), {"keepdims": True})
        yield Case("norm", (CUBE, order), {"axis": (2, 0)})
        yield Case("norm", (CUBE, order), {"axis": (0, 1), "keepdims": True})
        if order is not None:
            yield Case("matrix_norm", (CUBE,), {"ord": order})
            yield Case("matrix_norm", (X,), {"ord": order, "keepdims": True})
    yield Case("norm", (CUBE,))
    yield Case("norm", (CUBE,), {"keepdims": True})
    yield Case("norm", (np.float64(-1.5),))
    yield Case("norm", (np.zeros(0),))
    yield Case("norm", (np.zeros((0, 3)),), {"axis": 1})
    yield Case("vector_norm", (CUBE,))
    yield Case("matrix_norm", (CUBE,))

    for a, b in ((V, X), (X, V), (X, B), (CUBE, V), (np.float64(2.5), X)):
        yield Case("kron", (a, b), numpy=np.kron)
    yield Case("cross", (X, V), numpy=np.linalg.cross)
    yield Case("cross", (X, X[::-1] + 0.3), numpy=np.linalg.cross)
    yield Case("cross", (B, B[:, ::-1]), {"axis": 0}, numpy=np.linalg.cross)
    yield Case("vecdot", (X, V))
    yield Case("vecdot", (B, V[:, None]), {"axis": 0})
    yield Case("outer", (V, X[0]))
    yield Case("matmul", (STACK, B))
    yield Case("tensordot", (CUBE, CUBE), {"axes": ([0, 1, 2], [0, 1, 2])})
    yield Case("tensordot", (X, B), {"axes": 1})
    for shapes in (((2, 3), (3, 4)), ((3,), (3, 4)), ((2, 3), (3, 4), (4, 1)), ((10, 2), (2, 9), (9, 3), (3, 4), (4, 2)),
                   ((3,), (3, 4), (4, 5), (5,)), ((3,), (3,)), ((2, 3), (3, 2), (2,))):
        yield Case("multi_dot", ([draw(("chain", i), s) for i, s in enumerate(shapes)],))
    yield Case("tensorinv", (regular("tensor", (6, 6)).reshape(6, 2, 3),), {"ind": 1})
    yield Case("tensorinv", (regular("tensor", (6, 6)).reshape(2, 3, 6),))
    yield Case("tensorsolve", (regular("tensor", (6, 6)).reshape(6, 2, 3), draw("right", (6,))))
    moved = regular("tensor", (6, 6)).reshape(2, 3, 6).swapaxes(1, 2)
    yield Case("tensorsolve", (moved, draw("right", (2, 3))), {"axes": (1,)})


CASES = list(cases())
EVERY = pytest.mark.parametrize("case", [pytest.param(c, id=f"{i}-{c}") for i, c in enumerate(CASES)])
DIFFERENTIABLE = pytest.mark.parametrize("case", [
    pytest.param(c, id=f"{i}-{c}") for i, c in enumerate(CASES) if c.smooth and all(x.size for x in c.parts()[0])])


def under_numpy(case: Case) -> Callable[..., Any]:
    function = case.numpy or getattr(np.linalg, case.name)
    return _real(function) if case.name in ("eig", "eigvals") else function


def _real(function: Callable[..., Any]) -> Callable[..., Any]:
    """Newer versions of NumPy give complex eigenvalues always; those here are real."""
    def call(*args: Any, **kwargs: Any) -> Any:
        found = function(*args, **kwargs)
        if isinstance(found, tuple):
            return tuple(x.real.copy() if np.iscomplexobj(x) else x for x in found)
        return found.real.copy() if np.iscomplexobj(found) else found

    return call


def floats(result: Any) -> list[Any]:
    """The results with a derivative, as one list; the rank of lstsq is a plain number."""
    return [r for r in outputs(result) if type(r) is Tensor or np.asarray(r).dtype.kind == "f"]


@EVERY
def test_values_are_numpys(case: Case) -> None:
    fill = case.parts()[1]
    wanted = outputs(under_numpy(case)(*case.args, **case.kwargs))
    for function in (under_numpy(case), getattr(linalg, case.name if hasattr(linalg, case.name) else "norm")):
        xs = [Tensor(x) for x in case.parts()[0]]
        found = outputs(function(*fill(xs), **case.kwargs))
        plain = outputs(getattr(linalg, case.name)(*case.args, **case.kwargs))
        assert len(found) == len(wanted) == len(plain)
        for y, p, w in zip(found, plain, wanted, strict=True):
            assert np.shape(y) == np.shape(w) == np.shape(p)
            assert type(p) is not Tensor
            if np.asarray(w).dtype.kind != "f":  # a rank
                assert y == w
                continue
            assert y.dtype == w.dtype
            close(y.data if type(y) is Tensor else y, w)
            close(p, w)


@DIFFERENTIABLE
def test_derivatives_agree_with_differences(case: Case) -> None:
    """Of a weighted sum of all results, to second order, in both modes."""
    xs, fill = case.parts()
    weights = [np.random.default_rng(i).uniform(0.5, 1.5, np.shape(w))
               for i, w in enumerate(floats(under_numpy(case)(*case.args, **case.kwargs)))]

    def total(*at: Any) -> Any:
        results = floats(under_numpy(case)(*fill(list(at)), **case.kwargs))
        return sum(np.sum(w * (1 + y) * y) for w, y in zip(weights, results, strict=True) if np.size(y))

    us = [np.random.default_rng(100 + i).uniform(-1, 1, np.shape(x)) for i, x in enumerate(xs)]
    places = tuple(range(len(xs)))
    gradient = tg.grad(total, places)
    first = sum(float(np.sum(g * u)) for g, u in zip(gradient(*xs), us, strict=True))
    close(first, slope(total, xs, us), 1e-7)
    close(tg.jvp(total, tuple(xs), tuple(us))[1], first, 1e-11)
    second = tg.hvp(total, tuple(xs), tuple(us))
    for i in places:
        close(second[i], slope(lambda *at, i=i: gradient(*at)[i], xs, us), 2e-6)


@EVERY
def test_float32_in_float32_out(case: Case) -> None:
    xs, fill = case.parts()
    tensors = [Tensor(np.asarray(x, np.float32)) for x in xs]
    results = [y for y in floats(getattr(linalg, case.name)(*fill(tensors), **case.kwargs)) if type(y) is Tensor]
    for y in results:
        assert y.dtype == np.float32
        if y.requires_grad:
            y.backward(np.ones(y.shape, np.float32))
    for t in tensors:
        assert t.grad is None or (t.grad.dtype == np.float32 and t.grad.shape == t.shape)


def test_every_function_of_numpys_module_is_led_here() -> None:
    """All of np.linalg that is no error class works on Tensors."""
    from tinygrad_edu.ops.numpy_protocols import FUNCTIONS

    names = {name for name in np.linalg.__all__ if name != "LinAlgError"}
    assert {name for name in names if getattr(np.linalg, name) not in FUNCTIONS} == set()
    assert {name for name in names if not hasattr(linalg, name)} == set()


def test_results_have_names() -> None:
    x = Tensor(A)
    assert np.linalg.eigh(x)._fields == np.linalg.eigh(A)._fields
    assert np.linalg.eig(x)._fields == np.linalg.eig(A)._fields
    assert np.linalg.svd(x)._fields == np.linalg.svd(A)._fields
    assert np.linalg.qr(x)._fields == np.linalg.qr(A)._fields
    assert np.linalg.slogdet(x)._fields == np.linalg.slogdet(A)._fields


# ---------------------------------------------------------------- one triangle


@pytest.mark.parametrize("side", ["L", "U"])
@pytest.mark.parametrize("function", [np.linalg.eigvalsh, lambda a, s: np.linalg.cholesky(a, upper=s == "U")],
                         ids=["eigvalsh", "cholesky"])
def test_the_triangle_that_is_read_gets_the_gradient(function: Any, side: str) -> None:
    """So the gradient is that of what NumPy computes, entry by entry, and right for symmetric changes."""
    S = P + P.T
    weights = draw("weights", (3, 3))[: np.ndim(function(S, side)) ** 2][0]
    f = lambda a: np.sum(function(a, side) * weights)  # noqa: E731
    g = tg.grad(f)(S)
    other = np.triu(g, 1) if side == "L" else np.tril(g, -1)
    assert not other.any()
    assert tg.check_gradients(f, S).ok
    change = draw("change", (3, 3))
    change = change + change.T
    close(np.sum(g * change), slope(f, [S], [change]), 1e-9)


def test_of_a_symmetric_function_the_gradient_is_symmetric() -> None:
    """Where the matrix is computed symmetric, both conventions give the same: λ'(A) = v vᵀ."""
    g = tg.grad(lambda a: np.linalg.eigvalsh((a + a.T) / 2)[2])(P)
    v = np.linalg.eigh((P + P.T) / 2)[1][:, 2]
    close(g, np.outer(v, v))


# ---------------------------------------------------------------- repeated eigenvalues and singular values

Q3 = np.linalg.qr(draw("turn", (3, 3)))[0]
REPEATED = [pytest.param(np.eye(3), id="identity"), pytest.param(np.zeros((3, 3)), id="zero"),
            pytest.param(np.diag([2.0, 1.0, 2.0]), id="diagonal"),
            pytest.param(Q3 @ np.diag([2.0, 2.0, 5.0]) @ Q3.T, id="turned")]


@pytest.mark.parametrize("S", REPEATED)
def test_functions_of_the_eigenvalues_alone_stay_right(S: Any) -> None:
    """Σ λ³ is the trace of A³, with gradient 3 A², whatever repeats."""
    for spectrum in (np.linalg.eigvalsh, lambda a: np.linalg.eigh(a)[0], lambda a: np.linalg.eigvalsh(a, "U")):
        f = lambda a, spectrum=spectrum: np.sum(spectrum((a + a.T) / 2) ** 3)  # noqa: E731
        close(tg.grad(f)(S), 3 * S @ S)
        u = draw("u", (3, 3))
        close(tg.jvp(f, (S,), (u,))[1], np.sum(3 * S @ S * u))
    g = tg.grad(lambda a: np.sum(np.linalg.svdvals(a) ** 2))(S)
    close(g, 2 * S)
    close(tg.grad(lambda a: np.sum(np.linalg.eigvals(a) ** 2))(np.diag(np.diag(S))), 2 * np.diag(np.diag(S)))


@pytest.mark.parametrize("S", REPEATED)
def test_eigenvectors_of_a_repeated_eigenvalue_have_no_derivative(S: Any) -> None:
    """Also where the incoming gradient vanishes: there V f(λ) Vᵀ has a derivative that V cannot give."""
    for vectors in (lambda a: np.linalg.eigh(a)[1], lambda a: np.linalg.svd(a)[0], lambda a: np.linalg.svd(a)[2]):
        assert np.isnan(tg.grad(lambda a, vectors=vectors: np.sum(vectors(a) * P))(S)).any()

    def shifted(a: Any) -> Any:  # A − A's own eigenvalues: V diag(λ − λ₀) Vᵀ, which is 0
        w, v = np.linalg.eigh(a)
        return np.sum((v * (w - w.data)) @ v.T * P)

    assert np.isnan(tg.grad(shifted)(S)).any()


def test_second_derivatives_of_repeated_eigenvalues_are_nan_not_wrong() -> None:
    h = tg.hessian(lambda a: np.sum(np.linalg.eigvalsh(a) ** 2))(np.eye(2))
    assert np.isnan(h).any()
    h = tg.hessian(lambda a: np.sum(np.linalg.eigvalsh((a + a.T) / 2) ** 2))(np.diag([1.0, 2.0]))
    close(h, tg.hessian(lambda a: np.sum(((a + a.T) / 2) ** 2))(np.diag([1.0, 2.0])))


def test_find_nan_names_the_repeated_eigenvalue() -> None:
    S = Tensor(np.eye(2), name="S")
    J = np.sum(np.linalg.eigh(S)[1] * np.arange(4.0).reshape(2, 2))
    assert "eigh" in str(tg.find_nan(J))


def test_close_eigenvalues_are_not_repeated() -> None:
    S = np.diag([1.0, 1.0 + 1e-6, 2.0])
    f = lambda a: np.sum(np.linalg.eigh((a + a.T) / 2)[1] ** 2 * P)  # noqa: E731
    assert np.isfinite(tg.grad(f)(S)).all()


def test_a_defective_matrix_gives_nan() -> None:
    """[[1, 1], [0, 1]] has one eigenvector: its eigenvalues have no derivative."""
    for jordan in (np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[0.0, 1.0], [0.0, 0.0]])):
        assert np.isnan(tg.grad(lambda a: np.sum(np.linalg.eigvals(a) ** 2))(jordan)).any()
    stack = np.stack([np.array([[1.0, 1.0], [0.0, 1.0]]), np.diag([1.0, 3.0])])
    g = tg.grad(lambda a: np.sum(np.linalg.eigvals(a) ** 2))(stack)
    assert np.isnan(g[0]).any()
    close(g[1], 2 * stack[1])


def test_complex_eigenvalues_are_refused() -> None:
    turn = Tensor([[0.0, -1.0], [1.0, 0.0]])
    for function in (np.linalg.eig, np.linalg.eigvals):
        with pytest.raises(UnsupportedError, match=r"\(2, 2\) has complex eigenvalues, which are not recorded"):
            function(turn)


# ---------------------------------------------------------------- singular and dependent

SINGULAR = [pytest.param(np.arange(1.0, 10).reshape(3, 3), id="1-9"), pytest.param(np.diag([1.0, 2.0, 0.0]), id="diagonal"),
            pytest.param(np.outer(V, V), id="rank-1"), pytest.param(np.zeros((3, 3)), id="zero")]


@pytest.mark.parametrize("S", SINGULAR)
def test_det_of_a_singular_matrix_has_its_gradient(S: Any) -> None:
    """The cofactors, whatever the rank; the second derivative too, and nan, not a wrong number, for the third."""
    g = tg.grad(np.linalg.det)(S)
    wanted = [[(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(S, i, 0), j, 1)) for j in range(3)] for i in range(3)]
    close(g, np.array(wanted), 1e-13)
    close(tg.jvp(np.linalg.det, (S,), (P,))[1], np.sum(g * P), 1e-12)
    second = tg.hessian(np.linalg.det)(S).reshape(9, 9)
    close(second, np.stack([slope(tg.grad(np.linalg.det), [S], [u.reshape(3, 3)]).ravel() for u in np.eye(9)]), 1e-8)
    assert np.isnan(tg.grad(lambda a: np.sum(tg.hvp(np.linalg.det, a, P) * A))(S)).all()


def test_det_of_ill_conditioned_and_turned_matrices() -> None:
    hilbert = 1 / (np.arange(6)[:, None] + np.arange(6) + 1.0)
    close(tg.grad(np.linalg.det)(hilbert) / np.linalg.det(hilbert), np.linalg.inv(hilbert).T, 1e-8)
    mirror = np.diag([1.0, 1.0, -1.0])
    close(tg.grad(np.linalg.det)(mirror), np.diag([-1.0, -1.0, 1.0]))
    close(tg.hessian(np.linalg.det)(A).reshape(9, 9),
          np.stack([slope(tg.grad(np.linalg.det), [A], [u.reshape(3, 3)]).ravel() for u in np.eye(9)]), 1e-8)


def test_singular_matrices_raise_numpys_error_with_names() -> None:
    S = Tensor(np.ones((2, 2)))
    message = (r"inv: S \(2, 2\): singular matrix. Use np.linalg.pinv, or add a small multiple of the identity, "
               r"S \+ 1e-6 \* np.eye\(2\)\.")
    with pytest.raises(LinearAlgebraError, match=message):
        np.linalg.inv(S)
    for call in (lambda: np.linalg.solve(S, np.ones(2)), lambda: np.linalg.matrix_power(S, -1), lambda: linalg.inv(S.data)):
        with pytest.raises(np.linalg.LinAlgError, match="singular matrix"):
            call()
    sign, log = np.linalg.slogdet(S)
    assert sign == 0
    assert log == -math.inf
    with pytest.raises(LinearAlgebraError, match="singular matrix"):
        log.backward()


def test_not_positive_definite_and_nan_are_named() -> None:
    C = Tensor([[1.0, 2.0], [2.0, 1.0]])
    message = r"cholesky: C \(2, 2\): not positive definite. All of np.linalg.eigvalsh\(C\)"
    with pytest.raises(LinearAlgebraError, match=message):
        np.linalg.cholesky(C)
    E = Tensor([[np.nan, 1.0], [1.0, 1.0]])
    with pytest.raises(LinearAlgebraError, match=r"E \(2, 2\): .*np.isfinite\(E\).all\(\)"):
        np.linalg.eig(E)


@pytest.mark.parametrize("call", [
    lambda: linalg.inv(TALL), lambda: linalg.det(TALL), lambda: linalg.slogdet(TALL), lambda: linalg.cholesky(TALL),
    lambda: linalg.eigh(TALL), lambda: linalg.eig(TALL), lambda: linalg.eigvals(TALL), lambda: linalg.eigvalsh(TALL),
    lambda: linalg.matrix_power(TALL, 2), lambda: linalg.solve(TALL, V), lambda: linalg.cond(TALL, 1)])
def test_what_is_not_square_is_refused_with_its_shape(call: Callable[[], Any]) -> None:
    with pytest.raises(ShapeError, match=r"TALL has shape \(4, 2\), and the matrix must be square\. .+"):
        call()


@pytest.mark.parametrize("call, message", [
    (lambda: linalg.inv(V), r"inv: V has shape \(3,\), and a matrix is needed"),
    (lambda: linalg.solve(A, X), r"solve: A \(3, 3\) and X \(2, 3\): the right side needs 3 rows. A stack of vectors is solved "
                                 r"as b\[\.\.\., None\]"),
    (lambda: linalg.solve(A, np.ones(2)), "the right side needs 3 rows"),
    (lambda: linalg.solve(A, 2.0), "the right side needs 3 rows"),
    (lambda: linalg.cross(np.ones(2), np.ones(2)), r"both need 3. In the plane it is the number a\[\.\.\., 0\]"),
    (lambda: linalg.cross(1.0, V), "a single number has no cross product"),
    (lambda: linalg.multi_dot([A, STACK, A]), "Use @ for stacks of matrices"),
    (lambda: linalg.outer(A, V), "Use np.outer"),
    (lambda: linalg.vecdot(V, np.ones(2)), "the vectors need as many entries"),
    (lambda: linalg.lstsq(STACK, B), r"np.linalg.pinv\(A\) @ b"),
    (lambda: linalg.tensorinv(CUBE, 1), "they must be as many"),
    (lambda: linalg.tensorsolve(CUBE, V), "as many entries in both"),
    (lambda: linalg.norm(CUBE, 2), "3 axes. Name one axis for vectors or two for matrices"),
    (lambda: linalg.norm(CUBE, 2, (0, 0)), "names an axis twice"),
    (lambda: linalg.norm(V, "fro"), "Vectors have the orders"),
    (lambda: linalg.norm(A, 3), "Matrices have the orders"),
    (lambda: linalg.eigh(A, "X"), "write 'L' to read the lower triangle"),
    (lambda: linalg.multi_dot([A]), "at least two"),
])
def test_other_misuse_says_what_to_write(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("call, message", [
    (lambda t: np.linalg.svd(t), r"U has 2 columns more than a determines, which have no derivative. Use "
                                 r"np.linalg.svd\(a, full_matrices=False\)"),
    (lambda t: np.linalg.svd(t.T), "Vh has 2 rows more"),
    (lambda t: np.linalg.svd(t, hermitian=True), "use np.linalg.eigh"),
    (lambda t: np.linalg.qr(t, mode="complete"), 'Q has 2 columns more than a determines.*Use mode="reduced"'),
    (lambda t: np.linalg.qr(t, mode="raw"), 'mode="reduced", "complete" or "r"'),
])
def test_what_has_no_derivative_is_refused(call: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        call(Tensor(TALL))


def test_qr_of_dependent_columns_has_no_derivative() -> None:
    dependent = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
    g = tg.grad(lambda a: np.sum(np.linalg.qr(a)[0] * TALL[:3]))(dependent)
    assert np.isnan(g).all()
    stack = np.stack([dependent, TALL[:3]])
    g = tg.grad(lambda a: np.sum(np.linalg.qr(a)[1]))(stack)
    assert np.isnan(g[0]).all()
    assert np.isfinite(g[1]).all()


def test_left_vectors_of_a_zero_singular_value_have_no_derivative() -> None:
    """In a tall matrix nothing determines them; in a square one they are what is left over."""
    tall, square = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]), np.array([[1.0, 2.0], [2.0, 4.0]])
    assert np.isnan(tg.grad(lambda a: np.sum(np.linalg.svd(a, full_matrices=False)[0] * TALL[:3]))(tall)).any()
    assert np.isnan(tg.grad(lambda a: np.sum(np.linalg.svd(a, full_matrices=False)[2] * TALL[:3].T))(tall.T)).any()
    f = lambda a: np.sum(np.linalg.svd(a)[0] ** 2 * P[:2, :2])  # noqa: E731
    close(np.sum(tg.grad(f)(square) * P[:2, :2]), slope(f, [square], [P[:2, :2]]), 1e-8)


def test_pinv_of_a_dependent_matrix_moves_along_its_rank() -> None:
    """A(t) = (u + t a)(v + t b)ᵀ keeps rank 1; off it the pseudo-inverse jumps."""
    u, v, a, b = (draw(k, (n, 1)) for k, n in (("u", 4), ("v", 3), ("a", 4), ("b", 3)))
    f = lambda t: np.sum(np.linalg.pinv((u + t * a) @ (v + t * b).T) * regular("w", (3, 4)))  # noqa: E731
    close(tg.grad(f)(0.3), slope(f, [0.3], [1.0]), 1e-8)
    close(tg.grad(tg.grad(f))(0.3), slope(tg.grad(f), [0.3], [1.0]), 1e-8)


# ---------------------------------------------------------------- norms


@pytest.mark.parametrize("order", [None, 2, 3, 1.5, 1, math.inf, -math.inf, 0])
def test_vector_norms_at_0_are_flat(order: Any) -> None:
    assert not tg.grad(lambda x: np.linalg.norm(x, order))(np.zeros(3)).any()


@pytest.mark.parametrize("order", ["fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf])
def test_matrix_norms_at_0_are_flat(order: Any) -> None:
    assert not tg.grad(lambda x: np.linalg.norm(x, order))(np.zeros((3, 2))).any()


def test_the_nuclear_norm_takes_the_smallest_subgradient() -> None:
    """Where a singular value is 0 it adds nothing, as abs does at 0: the gradient is U₁ V₁ᵀ, 1 or 0 on the diagonal."""
    close(tg.grad(lambda a: np.linalg.norm(a, "nuc"))(np.diag([3.0, 0.0, 2.0])), np.diag([1.0, 0.0, 1.0]))
    close(tg.grad(lambda a: np.linalg.norm(a, 2))(np.diag([3.0, 3.0, 0.0])), np.diag([0.5, 0.5, 0.0]))
    close(tg.grad(lambda a: np.linalg.norm(a, -2))(np.diag([3.0, 3.0, 0.0])), np.zeros((3, 3)))


def test_the_norm_s_second_derivative_at_0_is_nan() -> None:
    assert np.isnan(tg.hessian(np.linalg.norm)(np.zeros(2))).any()
    x = np.array([3.0, 4.0])
    close(tg.hessian(np.linalg.norm)(x), (np.eye(2) - np.outer(x, x) / 25) / 5)


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e170, 1e300])
@pytest.mark.parametrize("order", [2, 3])
def test_norms_neither_overflow_nor_vanish(size: float, order: int) -> None:
    """Where NumPy's own sum of squares gives inf or 0."""
    x = np.array([3.0, -4.0, 0.0])
    y, pull = tg.vjp(lambda x: np.linalg.norm(x, order), x * size)
    plain, plain_pull = tg.vjp(lambda x: np.linalg.norm(x, order), x)
    close(float(y) / size, float(plain))
    close(pull(1.0)[0], plain_pull(1.0)[0])


def test_norms_pass_inf_and_nan_on() -> None:
    assert np.linalg.norm(Tensor([np.inf, 1.0])).item() == math.inf
    assert np.isnan(np.linalg.norm(Tensor([np.nan, 1.0])).item())
    assert np.linalg.norm(Tensor([np.inf, 1.0]), 3).item() == math.inf


def test_M_norm_has_a_hint() -> None:
    with pytest.raises(AttributeError, match=r"Write np\.linalg\.norm\(t\)"):
        Tensor(V).norm()  # type: ignore[attr-defined]


# ---------------------------------------------------------------- identities that hold for all derivatives


def test_identities() -> None:
    """What is 0 or constant for every matrix has derivative 0; what can be computed twice has one derivative."""
    weights = draw("weights", (3, 3))
    same = [
        (lambda a: np.sum(np.linalg.inv(a) @ a * weights), lambda a: np.sum(weights * np.eye(3)) + 0 * np.sum(a)),
        (lambda a: np.log(np.abs(np.linalg.det(a))), lambda a: np.linalg.slogdet(a)[1]),
        (lambda a: np.sum(np.linalg.matrix_power(a, 3) * weights), lambda a: np.sum(a @ a @ a * weights)),
        (lambda a: np.prod(np.linalg.svdvals(a)), lambda a: np.abs(np.linalg.det(a))),
        (lambda a: np.prod(np.linalg.eigvals(a)), np.linalg.det),
        (lambda a: np.sum(np.linalg.pinv(a) * weights), lambda a: np.sum(np.linalg.inv(a) * weights)),
        (lambda a: np.sum(np.linalg.qr(a)[0] @ np.linalg.qr(a)[1] * weights), lambda a: np.sum(a * weights)),
        (lambda a: np.sum(np.linalg.cholesky(a @ a.T) @ np.linalg.cholesky(a @ a.T).T * weights),
         lambda a: np.sum(a @ a.T * weights)),
        (lambda a: np.sum(np.linalg.solve(a, weights)), lambda a: np.sum(np.linalg.inv(a) @ weights)),
        (lambda a: np.linalg.norm(a, "fro"), lambda a: np.sqrt(np.sum(np.linalg.svdvals(a) ** 2))),
        (lambda a: np.sum(np.linalg.lstsq(a, weights)[0]), lambda a: np.sum(np.linalg.solve(a, weights))),
        (lambda a: np.sum((np.linalg.svd(a)[0] * np.linalg.svd(a)[1]) @ np.linalg.svd(a)[2] * weights),
         lambda a: np.sum(a * weights)),
        (lambda a: np.linalg.norm(np.linalg.eigh(a + a.T)[1] * weights),
         lambda a: np.linalg.norm(np.abs(np.linalg.eigh(a + a.T, "U")[1]) * weights)),
        (lambda a: np.linalg.multi_dot([a, weights, a]).sum(), lambda a: (a @ weights @ a).sum()),
    ]
    for i, (f, g) in enumerate(same):
        for order in range(3):
            np.testing.assert_allclose(f(A), g(A), rtol=1e-11, atol=1e-11, err_msg=f"identity {i}, order {order}")
            f, g = (lambda a, h=h: np.sum(tg.grad(h)(a) * weights) for h in (f, g))


def test_gaussian_likelihood_by_two_ways() -> None:
    """½ (xᵀ Σ⁻¹ x + log det Σ) by solve and slogdet, and by Cholesky; the textbook's ½ (Σ⁻¹ − Σ⁻¹ x xᵀ Σ⁻¹)."""
    S = P @ P.T

    def plain(s: Any) -> Any:
        return 0.5 * (V @ np.linalg.solve(s, V) + np.linalg.slogdet(s)[1])

    def by_cholesky(s: Any) -> Any:
        root = np.linalg.cholesky(s)
        return 0.5 * np.sum(np.linalg.solve(root, V) ** 2) + np.sum(np.log(np.linalg.diagonal(root)))

    i = np.linalg.inv(S)
    close(tg.grad(plain)(S), 0.5 * (i - np.outer(i @ V, i @ V)), 1e-11)
    g = tg.grad(by_cholesky)(S)
    close((g + g.T) / 2, 0.5 * (i - np.outer(i @ V, i @ V)), 1e-11)


def test_complex_step_agrees_where_the_function_is_analytic() -> None:
    for f in (np.linalg.inv, np.linalg.det, lambda a: np.linalg.solve(a, V), lambda a: np.linalg.matrix_power(a, 4)):
        check = tg.check_gradients(f, A)
        assert check.ok
        assert "complex step" in repr(check)
    for f in (linalg.cholesky, linalg.svdvals, linalg.pinv, linalg.norm, lambda a: linalg.slogdet(a)[1]):
        check = tg.check_gradients(f, P @ P.T)
        assert check.ok
        assert "central differences" in repr(check)


# ---------------------------------------------------------------- readers


def test_printed_code_computes_the_same_for_other_matrices() -> None:
    """Masks taken from eigenvalues are lines of the code, not numbers of one run."""

    def f(a: Any) -> Any:
        w, v = np.linalg.eigh(a + a.T)
        return np.sum(((v * np.where(w > 2.5, w, 0.0)) @ v.T) ** 2) + np.linalg.norm(a, "nuc")

    source = tg.numpy_source(f, A)
    held: dict[str, Any] = {}
    exec(source.source, held)  # noqa: S102 - our own code
    for a in (A, P, -A):
        value, gradient = tg.value_and_grad(f)(a)
        found = held[source.name](a)
        close(found[0], value)
        close(found[1], gradient)
