"""The printed NumPy code: it runs without this package and gives the engine's numbers bit for bit."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo

import tinygrad_edu as tg
from tinygrad_edu.calculus import flatten
from tinygrad_edu.rules import TABLE
from tinygrad_edu.show import spelling
from tinygrad_edu.show.numpy_source import NumpySource, numpy_source

GOLDEN = Path(__file__).parent / "golden" / "source"

_RUNNER = """
import sys
import numpy as np
sys.path = [p for p in sys.path if p != {root!r}]
sys.modules["tinygrad_edu"] = None  # importing it would fail
given, found = dict(np.load({data!r})), {{}}
def nested(shape, values):
    if isinstance(shape, dict):
        return {{key: nested(item, values) for key, item in shape.items()}}
    if isinstance(shape, list):
        return [nested(item, values) for item in shape]
    return next(values)
def flat(x):
    if isinstance(x, (dict, list, tuple)):
        return [y for item in (x.values() if isinstance(x, dict) else x) for y in flat(item)]
    return [x]
def arguments(i, shape):
    return nested(shape, iter([given[f"{{i}}_{{k}}"][()] for k in range(sum(key.startswith(f"{{i}}_") for key in given))]))
"""


def outline(x: Any) -> Any:
    """Nested dicts and lists with 0 for every array."""
    if isinstance(x, dict):
        return {key: outline(item) for key, item in x.items()}
    return [outline(item) for item in x] if isinstance(x, (list, tuple)) else 0


def ran(sources: Sequence[NumpySource], inputs: Sequence[Sequence[Any]], tmp_path: Path) -> list[list[Any]]:
    """What the printed functions return, flat, computed by one process that cannot import this package."""
    root = str(Path(__file__).parent.parent)
    data, out = tmp_path / "given.npz", tmp_path / "found.npz"
    leaves = [flatten(tuple(args))[0] for args in inputs]
    np.savez(data, **{f"{i}_{k}": x for i, args in enumerate(leaves) for k, x in enumerate(args)})
    text = [_RUNNER.format(root=root, data=str(data))]
    for i, (source, args) in enumerate(zip(sources, inputs, strict=True)):
        text.append(source.source)
        text.append(f"with np.errstate(all='ignore'):\n    result = {source.name}(*arguments({i}, {outline(list(args))!r}))\n"
                    f"found.update({{f'{i}_{{k}}': x for k, x in enumerate(flat(result))}})\n")
    text.append(f"np.savez({str(out)!r}, **found)\n")
    program = tmp_path / "program.py"
    program.write_text("\n".join(text), encoding="utf-8")
    run = subprocess.run([sys.executable, "-I", "-W", "error", str(program)], capture_output=True, text=True, check=False,
                         cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    found = dict(np.load(out))
    counts = [sum(key.startswith(f"{i}_") for key in found) for i in range(len(sources))]
    return [[found[f"{i}_{k}"] for k in range(n)] for i, n in enumerate(counts)]


def same_bits(a: Any, b: Any) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    nan = np.isnan(a) & np.isnan(b) if a.dtype.kind == "f" else np.zeros(a.shape, bool)
    return bool(np.where(nan, 0, a).tobytes() == np.where(nan, 0, b).tobytes())


# ---------------------------------------------------------------- every primitive


def weighted(sample: zoo.Sample, dtype: Any) -> tuple[Callable[..., Any], list[Any]]:
    """The sample as a function to one number."""
    operands = sample.cast(dtype)
    weights = zoo.draw("weights", np.shape(sample.call(*sample.values(dtype), operands=operands)), 0.5, 1.5)
    weights = np.asarray(weights, dtype)[()]

    def f(*variables: Any) -> Any:
        return (sample.call(*variables, operands=operands) * weights).sum()

    return f, sample.values(dtype)


def gradients(f: Callable[..., Any], values: Sequence[Any]) -> list[Any]:
    with np.errstate(all="ignore"):
        J, grads = tg.value_and_grad(f, argnums=tuple(range(len(values))))(*values)
    return [J, *grads]


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_every_sample_gives_the_engines_bits(dtype: Any, tmp_path: Path) -> None:
    """Value and gradients of every sample of the zoo, summed with weights."""
    sources, inputs, wanted = [], [], []
    for i, sample in enumerate(zoo.SAMPLES):
        f, values = weighted(sample, dtype)
        if not values:
            continue
        try:
            sources.append(numpy_source(f, *values, name=f"sample_{i}"))
        except Exception as error:
            error.add_note(str(sample))
            raise
        inputs.append(values)
        wanted.append((sample, gradients(f, values)))
    wrong = []
    for (sample, expected), found, source in zip(wanted, ran(sources, inputs, tmp_path), sources, strict=True):
        if len(found) != len(expected) or not all(map(same_bits, found, expected)):
            wrong.append(f"{sample}: {found} for {expected}\n{source}")
    assert not wrong, f"{len(wrong)} of {len(wanted)}\n" + "\n".join(wrong[:5])


def test_every_primitive_is_spelled() -> None:
    missing = set(TABLE) - set(spelling.TABLE) - spelling.STATEMENTS
    assert not missing
    used = {key for text in spelling.HELPERS.values() for key in spelling.helper_names(text)}
    assert used == set(spelling.HELPERS), "a helper defines itself, and calls only helpers"


def test_functions_of_single_numbers(tmp_path: Path) -> None:
    """The engine takes Python's math there, whose last digit can differ from NumPy's; also where math refuses."""
    names = [name for name, op in TABLE.items() if op.scalar is not None]
    assert len(names) > 15
    sources, inputs, wanted = [], [], []
    for name in names:
        def f(x: Any, op: Any = TABLE[name]) -> Any:
            return op(x) * 1.5

        for x in [*np.random.default_rng(0).uniform(0.02, 0.98, 12), 1.0, 0.0, -0.0, -2.0, 800.0, -800.0, np.inf, np.nan]:
            if len(sources) % 20 == 0:
                with np.errstate(all="ignore"):
                    source = numpy_source(f, 0.5, wrt="x", name=f"{name}_of")
            with np.errstate(all="ignore"):
                J, d = tg.value_and_grad(f)(np.float64(x))
            sources.append(source)
            inputs.append([np.float64(x)])
            wanted.append((name, x, [J, d]))
    results = ran(sources, inputs, tmp_path)
    wrong = [(name, x, found, expected) for (name, x, expected), found in zip(wanted, results, strict=True)
             if not all(map(same_bits, found, expected))]
    assert not wrong


# ---------------------------------------------------------------- whole functions

rng = np.random.default_rng(0)


def random(*shape: int) -> Any:
    return rng.normal(size=shape)


def logistic_regression(w: Any, b: Any, X: Any, Y: Any) -> Any:
    m = X.shape[1]
    Z = np.dot(w.T, X) + b
    A = tg.sigmoid(Z)
    return -1 / m * np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def logistic_unit(w: Any, b: Any, x: Any, y: Any) -> Any:
    z = np.dot(w, x) + b
    a = tg.sigmoid(z)
    return -(y * np.log(a) + (1 - y) * np.log(1 - a))


def two_layers(W1: Any, b1: Any, W2: Any, b2: Any, X: Any, Y: Any) -> Any:
    Z1 = W1 @ X + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = tg.sigmoid(Z2)
    return -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))


def regularised(params: Any, X: Any, Y: Any, lambd: Any) -> Any:
    m = X.shape[1]
    Z1 = params["W1"] @ X + params["b1"]
    A1 = tg.relu(Z1)
    Z2 = params["W2"] @ A1 + params["b2"]
    A2 = tg.sigmoid(Z2)
    cross_entropy = -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m
    penalty = lambd / (2 * m) * (np.sum(np.square(params["W1"])) + np.sum(np.square(params["W2"])))
    return cross_entropy + penalty


def deep(Ws: Any, X: Any, Y: Any) -> Any:
    A = X
    for W in Ws[:-1]:
        Z = W @ A
        A = tg.leaky_relu(Z, 0.01)
    Z = Ws[-1] @ A
    A = tg.softmax(Z, axis=0)
    return -np.sum(Y * np.log(A)) / X.shape[1]


def softmax_classifier(W: Any, b: Any, X: Any, y: Any) -> Any:
    Z = X @ W + b
    return tg.cross_entropy(Z, y)


def lstm_cell(W: Any, b: Any, x: Any, h: Any, c: Any) -> Any:
    n = h.shape[0]
    z = W @ np.concatenate([h, x]) + b
    i, f, o = tg.sigmoid(z[:n]), tg.sigmoid(z[n : 2 * n]), tg.sigmoid(z[2 * n : 3 * n])
    g = np.tanh(z[3 * n :])
    c_next = f * c + i * g
    h_next = o * np.tanh(c_next)
    return np.sum(h_next * h_next)


def attention(Q: Any, K: Any, V: Any) -> Any:
    S = Q @ K.mT / np.sqrt(K.shape[-1])
    P = tg.softmax(S, axis=-1)
    return np.sum((P @ V) ** 2)


def batch_norm(X: Any, gamma: Any, beta: Any) -> Any:
    mu, v = np.mean(X, axis=0), np.var(X, axis=0)
    normal = (X - mu) / np.sqrt(v + 1e-5)
    return np.sum((gamma * normal + beta) ** 3)


def convolution(X: Any, K: Any) -> Any:
    parts = [np.einsum("bchw,oc->bohw", X[:, :, i : i + 3, j : j + 3], K[:, :, i, j]) for i in range(3) for j in range(3)]
    Y = parts[0]
    for part in parts[1:]:
        Y = Y + part
    return np.sum(Y * Y)


def slices(x: Any) -> Any:
    return np.sum(x[1:] * x[:-1]) + x[0] * 2 + np.sum(x[::2]) + np.sum(x) + np.sum(x[np.array([0, 0, 2])] ** 3)


def assigned(W: Any, X: Any) -> Any:
    Z = W @ X
    T = tg.assign(Z * 2, 0, Z[1] * 2)
    T = tg.assign(T, (1, 2), 3.0)
    return np.sum(T**2) + np.sum(np.concatenate([Z, Z * 2], axis=1) ** 3) + np.sum(np.pad(Z, 1)[1:-1, 1:-1] * T)


def turned(A: Any, B: Any) -> Any:
    """Sums along the axes of arrays that do not lie in C order are rounded in another order."""
    C = A.T * B.T
    return np.sum(np.sum(C, axis=1) ** 2) + np.sum(A) + np.sum(np.sum(C * C, axis=0, keepdims=True) * A.T)


def extremes(x: Any, y: Any) -> Any:
    return np.sum(np.maximum(x, y)) + np.max(x) * np.min(y) + np.sum(np.clip(x, -0.5, 0.5))


def numbers(x: Any, y: Any) -> Any:
    return (np.exp(x) * np.sin(y) / x + np.log(y) ** 2 + np.sqrt(x) * tg.sigmoid(y) - tg.relu(x) + tg.erf(y)
            + np.tanh(x * y) ** 3 + 2**x)


def several_uses(x: Any) -> Any:
    u = x * x
    v = u + x
    return np.sum(u * v + u)


def long_chain(x: Any) -> Any:
    s = x[0]
    for i in range(1, 40):
        s = np.tanh(s * x[i])
    return s


def unused(x: Any, y: Any) -> Any:
    return np.sum(x)


def labels(m: int, n: int) -> Any:
    return np.eye(n)[np.arange(m) % n].T


CASES: dict[str, tuple[Callable[..., Any], Callable[[], list[Any]], Any]] = {
    "logistic_regression": (logistic_regression, lambda: [random(2, 1), 0.3, random(2, 5), 1.0 * (random(1, 5) > 0)],
                            ("w", "b")),
    "logistic_unit": (logistic_unit, lambda: [random(3), 0.1, random(3), 1.0], ("w", "b")),
    "two_layers": (two_layers, lambda: [random(4, 2), random(4, 1), random(1, 4), random(1, 1), random(2, 5),
                                        1.0 * (random(1, 5) > 0)], ("W1", "b1", "W2", "b2")),
    "two_layers_all": (two_layers, lambda: [random(4, 2), random(4, 1), random(1, 4), random(1, 1), random(2, 5),
                                            rng.uniform(size=(1, 5))], None),
    "regularised": (regularised, lambda: [{"W1": random(4, 2), "b1": random(4, 1), "W2": random(1, 4), "b2": random(1, 1)},
                                          random(2, 5), 1.0 * (random(1, 5) > 0), 0.7], "params"),
    "deep": (deep, lambda: [[random(4, 3), random(3, 4), random(2, 3)], random(3, 6), labels(6, 2)], "Ws"),
    "softmax_classifier": (softmax_classifier, lambda: [random(3, 4), random(4), random(5, 3), np.array([0, 3, 2, 1, 0])],
                           ("W", "b")),
    "lstm_cell": (lstm_cell, lambda: [random(12, 5), random(12, 1), random(2, 4), random(3, 4), random(3, 4)], ("W", "b")),
    "attention": (attention, lambda: [random(2, 4, 3), random(2, 4, 3), random(2, 4, 3)], None),
    "batch_norm": (batch_norm, lambda: [random(6, 4), random(4), random(4)], None),
    "convolution": (convolution, lambda: [random(4, 3, 5, 5), random(2, 3, 3, 3)], None),
    "slices": (slices, lambda: [random(5)], None),
    "assigned": (assigned, lambda: [random(3, 4), random(4, 3)], None),
    "turned": (turned, lambda: [random(40, 60), random(40, 60)], None),
    "in_another_order": (turned, lambda: [random(60, 40).T, random(40, 60)], None),
    "extremes": (extremes, lambda: [random(7), random(7)], None),
    "numbers": (numbers, lambda: [rng.uniform(0.2, 1), rng.uniform(0.2, 1)], None),
    "several_uses": (several_uses, lambda: [random(3, 4)], None),
    "long_chain": (long_chain, lambda: [random(40)], None),
    "unused": (unused, lambda: [random(3), random(2, 2)], None),
    "float32": (two_layers, lambda: [np.float32(x) for x in (random(4, 2), random(4, 1), random(1, 4), random(1, 1),
                                                             random(2, 5), random(1, 5) > 0)], ("W1", "b1", "W2", "b2")),
    "float32_and_float64": (softmax_classifier, lambda: [np.float32(random(3, 4)), random(4), np.float32(random(5, 3)),
                                                         np.array([0, 3, 2, 1, 0])], ("W", "b")),
}


def by_engine(f: Callable[..., Any], args: Sequence[Any], wrt: Any) -> list[Any]:
    names = list(inspect.signature(f).parameters)
    wanted = names if wrt is None else [wrt] if isinstance(wrt, str) else list(wrt)
    J, grads = tg.value_and_grad(f, argnums=tuple(names.index(name) for name in wanted))(*args)
    return [J, *flatten(grads)[0]]


@pytest.mark.parametrize("convention", ["math", "course"])
def test_whole_functions(convention: str, tmp_path: Path) -> None:
    """The code, printed for one set of numbers, on three others: bit for bit, and to 1e-12 in the course's convention."""
    sources, inputs, wanted = [], [], []
    for case, (f, draw, wrt) in CASES.items():
        source = numpy_source(f, *draw(), wrt=wrt, convention=convention, name=f"of_{case}")
        for _ in range(3):
            args = draw()
            sources.append(source)
            inputs.append(args)
            wanted.append((case, by_engine(f, args, wrt)))
    for (case, expected), found, source in zip(wanted, ran(sources, inputs, tmp_path), sources, strict=True):
        assert len(found) == len(expected), case
        for a, b in zip(found, expected, strict=True):
            if convention == "math":
                assert same_bits(a, b), f"{case}: {a} for {b}\n{source}"
            else:
                b = np.asarray(b)
                digits = (1e-12 if b.dtype == np.float64 else 1e-4) * max(float(np.max(np.abs(b), initial=0)), 1e-6)
                assert a.shape == b.shape
                assert np.all(np.abs(a - b) <= digits), f"{case}: {a} for {b}\n{source}"


@pytest.mark.parametrize("convention", ["math", "course"])
@pytest.mark.parametrize("case", CASES)
def test_the_code_is_laid_out_with_care(case: str, convention: str) -> None:
    f, draw, wrt = CASES[case]
    text = str(numpy_source(f, *draw(), wrt=wrt, convention=convention))
    tree = ast.parse(text)
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [ast.unparse(node) for node in imports] in (["import numpy as np"], ["import math", "import numpy as np"])
    assert ("math." in text) == (len(imports) == 2)
    assert "tinygrad" not in text
    assert "\0" not in text
    assert all(len(line) <= 100 and line == line.rstrip() for line in text.splitlines())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert functions[-1].name == f"{f.__name__}_and_gradients"
    assert all(ast.get_docstring(node) for node in functions)
    assert [a.arg for a in functions[-1].args.args] == list(inspect.signature(f).parameters)
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert {node.name for node in functions[:-1]} <= called, "a helper that nobody calls"
    stored = [node.id for node in ast.walk(functions[-1]) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    loaded = {node.id for node in ast.walk(functions[-1]) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    assert set(stored) <= loaded, "a variable that nobody reads"


GOLDEN_CASES = [(case, convention) for case in ("logistic_regression", "two_layers", "softmax_classifier", "lstm_cell",
                                                "regularised", "deep") for convention in ("math", "course")]


@pytest.mark.parametrize(("case", "convention"), GOLDEN_CASES)
def test_golden(case: str, convention: str) -> None:
    """UPDATE_GOLDEN=1 writes the files anew; look at the difference before you commit it."""
    f, draw, wrt = CASES[case]
    text = f"{numpy_source(f, *draw(), wrt=wrt, convention=convention)}\n"
    path = GOLDEN / f"{case}_{convention}.py"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_the_notes_backprop() -> None:
    """In the course's convention the code is what the notes derive."""
    f, draw, wrt = CASES["two_layers"]
    text = str(numpy_source(f, *draw(), wrt=wrt, convention="course"))
    lines = [re.sub(r" +#.*", "", line).strip() for line in text.splitlines()]
    for line in ["dZ2 = A2 - Y", "dW2 = np.dot(dZ2, A1.T) / m", "db2 = np.sum(dZ2, axis=1, keepdims=True) / m",
                 "dZ1 = np.dot(W2.T, dZ2) * (1 - A1 ** 2)", "dW1 = np.dot(dZ1, X.T) / m", "m = X.shape[1]"]:
        assert line in lines


# ---------------------------------------------------------------- names, constants, shapes

fixed = np.arange(6.0).reshape(2, 3) - 2.5
large = np.random.default_rng(3).normal(size=(50, 50))


def test_arrays_that_the_function_only_sees(tmp_path: Path) -> None:
    """Small ones are written out bit for bit, large ones become arguments."""
    def small(W: Any) -> Any:
        return np.sum(np.exp(W * fixed) * np.array([0.1, np.pi, 1e-300]))

    W = random(2, 3)
    source = numpy_source(small, W)
    assert source.parameters == ("W",)
    assert "fixed = np.array([[-2.5, -1.5, -0.5], [0.5, 1.5, 2.5]])" in str(source)
    (found,) = ran([source], [[W]], tmp_path)
    assert all(map(same_bits, found, by_engine(small, [W], None)))

    def other(W: Any) -> Any:
        return np.sum(np.tanh(W * large))

    W = random(50, 50)
    source = numpy_source(other, W)
    assert source.parameters == ("W", "large")
    assert "(50, 50), which other uses without taking it" in str(source)
    assert np.array_equal(source.captured["large"], large)
    (found,) = ran([source], [[W, large]], tmp_path)
    assert all(map(same_bits, found, by_engine(other, [W], None)))


def test_names_that_mean_something_else(tmp_path: Path) -> None:
    """Keywords, builtins, modules and the names of helpers; none of them hides what the code needs."""
    def f(lambda_: Any, np_: Any, math: Any, sum: Any) -> Any:  # noqa: A002
        sigmoid = lambda_ * np_
        exp = tg.sigmoid(sigmoid) + tg.softplus(math)
        dexp = exp * sum
        f_and_gradients = dexp * dexp
        return np.sum(f_and_gradients)

    args = [random(3) for _ in range(4)]
    source = numpy_source(f, *args)
    assert "sigmoid_ = lambda_ * np_" in str(source)
    (found,) = ran([source], [args], tmp_path)
    assert all(map(same_bits, found, by_engine(f, args, None)))


@pytest.mark.parametrize("key", ['"]; import os; os.abort()  #', "a\nb", "class", "\\", "1", "λ", "ﬁ", "__import__('os')"])
def test_hostile_names(key: str, tmp_path: Path) -> None:
    def f(params: Any) -> Any:
        return np.sum(params[key] * params["w"])

    params = {key: random(3), "w": random(3)}
    source = numpy_source(f, params)
    tree = ast.parse(str(source))
    assert [type(node) for node in tree.body] == [ast.Import, ast.FunctionDef]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "abort"]
    (found,) = ran([source], [[params]], tmp_path)
    assert all(map(same_bits, found, by_engine(f, [params], None)))


def test_hostile_tensor_names() -> None:
    x = tg.Tensor([1.0, 2.0], name='x"""\nimport os\n"""')
    text = str(numpy_source(lambda x: np.sum(x * x), x))
    assert [type(node) for node in ast.parse(text).body] == [ast.Import, ast.FunctionDef]
    assert "import os" not in text


def test_a_recorded_result(tmp_path: Path) -> None:
    w, x = tg.Tensor([1.0, -2.0], name="w"), tg.Tensor([0.5, 3.0], name="x", requires_grad=False)
    z = tg.Tensor.sum(w * x)
    J = z * z
    source = numpy_source(J)
    assert source.parameters == ("w", "x")
    assert source.outputs == ("J", "dw")
    J.backward()
    ((value, dw),) = ran([source], [[w.data, x.data]], tmp_path)
    assert same_bits(value, J.data)
    assert same_bits(dw, w.grad)


def test_nested_arguments_give_nested_gradients() -> None:
    f, draw, wrt = CASES["regularised"]
    source = numpy_source(f, *draw(), wrt=wrt)
    assert source.outputs == ("J", "dparams")
    assert 'W1 = params["W1"]' in str(source)
    assert 'dparams = {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}' in str(source)
    assert numpy_source(f, *draw(), wrt="W1").outputs == ("J", "dW1")


def test_other_shapes_are_refused(tmp_path: Path) -> None:
    """A sum that un-broadcasts is right for the traced shapes alone."""
    f, draw, wrt = CASES["two_layers"]
    source = numpy_source(f, *draw(), wrt=wrt)
    args = draw()
    args[1] = np.zeros((4, 5))
    with pytest.raises(AssertionError, match=r"b1.shape == \(4, 1\)"):
        ran([source], [args], tmp_path)


def test_gradients_share_no_memory_with_arguments_or_each_other(tmp_path: Path) -> None:
    def f(w: Any, x: Any, y: Any) -> Any:
        return np.sum(w * x) + np.sum(np.reshape(y, (3, 2)).T * x)

    source = numpy_source(f, random(2, 3), random(2, 3), random(6))
    text = str(source) + f"""
w, x, y = np.ones((2, 3)), np.ones((2, 3)), np.ones(6)
J, dw, dx, dy = {source.name}(w, x, y)
arrays = [w, x, y, dw, dx, dy]
assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
dw += 1
"""
    run = subprocess.run([sys.executable, "-I", "-c", text], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stderr


def test_forward_alone() -> None:
    source = numpy_source(lambda x: np.exp(x) * 2, random(3), wrt=(), name="forward")
    assert source.outputs == ("J",)
    assert "backward" not in str(source)
    assert "Returns J." in str(source)


def test_one_slice_after_another_fills_one_array() -> None:
    text = str(numpy_source(slices, random(5)))
    assert len(re.findall(r"\bdx\[.*\] \+= ", text)) >= 4


# ---------------------------------------------------------------- the result, and what is refused


def test_the_result(tmp_path: Path) -> None:
    f, draw, wrt = CASES["logistic_regression"]
    source = tg.numpy_source(f, *draw(), wrt=wrt)
    assert str(source) == repr(source) == source.source
    assert source.name == "logistic_regression_and_gradients"
    assert source.outputs == ("J", "dw", "db")
    path = source.save(tmp_path / "backprop.py")
    assert path.read_text(encoding="utf-8") == f"{source}\n"
    assert source._repr_markdown_() == f"```python\n{source}\n```\n"


def test_the_same_code_every_time() -> None:
    f, draw, wrt = CASES["lstm_cell"]
    args = draw()
    assert str(numpy_source(f, *args, wrt=wrt)) == str(numpy_source(f, *args, wrt=wrt))


def branches(x: Any) -> Any:
    return x if x > 0 else -x


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: numpy_source(branches, 1.0), tg.errors.UnsupportedError, "np.where"),
    (lambda: numpy_source(lambda x: x * 2, np.ones(3)), tg.errors.GradientError, "shape \\(3,\\)"),
    (lambda: numpy_source(lambda x: None, 1.0), tg.errors.GradientError, "return"),
    (lambda: numpy_source(several_uses, np.ones(3), wrt="z"), tg.errors.NamesError, "'z'"),
    (lambda: numpy_source(lambda x: np.angle(x), 1.0), tg.errors.UnsupportedError, "np.angle"),
    (lambda: numpy_source(several_uses, np.ones(3), convention="french"), ValueError, 'write "math" or "course"'),
    (lambda: numpy_source("J = a*b"), TypeError, "function"),
])
def test_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_the_mask_of_a_relu_is_computed_again(tmp_path: Path) -> None:
    """What depends on a comparison holds for other numbers than those of the trace."""
    def f(x: Any) -> Any:
        return np.sum(tg.relu(x) * (x > 1) + tg.leaky_relu(x - 0.5, 0.1) * ((x < 2) & (x > -2)))

    source = numpy_source(f, np.array([0.2, 2.0, -1.0]))
    other = np.array([3.0, -1.0, 0.7])
    (found,) = ran([source], [[other]], tmp_path)
    assert all(map(same_bits, found, by_engine(f, [other], None)))
