"""The table: how a line is written with each function. A new function joins with one line, in the group it fits.

UNARY and BINARY hold the functions that act entry by entry, with the range of values in which they are smooth; the
others are written by the small functions below, `@entry("name", ...)`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .generate import NUMPY_NAMES, TABLE, Builder, RejectedError, entry

Range = tuple[float | None, float | None]
ANY: Range = (None, None)

# ---------------------------------------------------------------- entry by entry

UNARY: dict[str, Range] = {
    "abs": ANY, "absolute": ANY, "fabs": ANY, "negative": ANY, "positive": ANY, "square": (-8, 8), "real": ANY, "conj": ANY,
    "copy": ANY, "reciprocal": (0.2, None), "sqrt": (0.1, None), "cbrt": (0.1, None), "exp": (None, 3), "exp2": (None, 4),
    "expm1": (None, 3), "log": (0.1, None), "log2": (0.1, None), "log10": (0.1, None), "log1p": (-0.8, None), "sin": ANY,
    "cos": ANY, "tan": (-1.2, 1.2), "arcsin": (-0.9, 0.9), "arccos": (-0.9, 0.9), "arctan": ANY, "sinh": (-4, 4),
    "cosh": (-4, 4), "tanh": ANY, "arcsinh": ANY, "arccosh": (1.2, None), "arctanh": (-0.9, 0.9), "degrees": (-1.3, 1.3),
    "rad2deg": (-1.3, 1.3), "radians": ANY, "deg2rad": ANY, "sinc": (-4, 4), "sign": ANY, "floor": ANY, "ceil": ANY,
    "trunc": ANY, "rint": ANY, "sigmoid": ANY, "log_sigmoid": ANY, "silu": ANY, "relu": ANY,
}
# the same with math.erf inside, whose reference is exact to double precision alone
UNARY_DOUBLE: dict[str, Range] = {"erf": ANY, "gelu": ANY}

SATURATING = {"sigmoid", "tanh"}

BINARY: dict[str, tuple[Range, Range]] = {
    "add": (ANY, ANY), "subtract": (ANY, ANY), "multiply": (ANY, ANY), "divide": (ANY, (0.3, None)),
    "true_divide": (ANY, (0.3, None)), "maximum": (ANY, ANY), "minimum": (ANY, ANY), "fmax": (ANY, ANY), "fmin": (ANY, ANY),
    "power": ((0.2, 4), (-2, 3)), "float_power": ((0.2, 4), (-2, 3)), "hypot": ((0.1, None), ANY),
    "arctan2": (ANY, (0.2, None)), "logaddexp": (ANY, ANY), "logaddexp2": (ANY, ANY), "copysign": (ANY, ANY),
    "heaviside": (ANY, ANY), "floor_divide": (ANY, (0.4, 3)), "remainder": (ANY, (0.4, 3)), "mod": (ANY, (0.4, 3)),
    "fmod": (ANY, (0.4, 3)),
}
OPERATORS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "remainder": "%",
             "floor_divide": "//", "matmul": "@"}
METHOD_OPERATORS = {"negative": "-{0}", "positive": "+{0}", "abs": "abs({0})"}


@entry(*UNARY, *UNARY_DOUBLE)
def unary(b: Builder, name: str) -> None:
    low, high = UNARY[name] if name in UNARY else UNARY_DOUBLE[name]
    if name in SATURATING:  # the textbook's rules y(1 − y) and 1 − y² lose digits where y rounds to 1
        high = 4 if "float32" in b.dtypes else 8
        low = -high
    x = b.variable(low=low, high=high)
    extra = [METHOD_OPERATORS[name].format(x)] if name in METHOD_OPERATORS else []
    if name == "copy":
        extra = [f"{x}.real", f"{x}.conjugate()"]
    b.call(name, x, exact=name in UNARY, spellings=extra)


@entry(*BINARY)
def binary(b: Builder, name: str) -> None:
    left, right = BINARY[name]
    x = b.variable(low=left[0], high=left[1])
    y = b.partner(x, *right)
    if y == x:
        y = x = b.within(x, *right)
    operands = (x, y)
    if left == right and b.chance(40):
        operands = (y, x)
    extra = [f"{operands[0]} {OPERATORS[name]} {operands[1]}"] * 3 if name in OPERATORS and not _both_literal(operands) else []
    if name == "float_power" and any(np.asarray(b.space.get(t, 0)).dtype == np.float32 for t in operands):
        raise RejectedError  # NumPy always widens to float64 there; ours keeps float32, see the functions page
    b.call(name, *operands, spellings=extra)


def _both_literal(operands: tuple[str, ...]) -> bool:
    return all(t.startswith("[") or t[0].isdigit() or t[0] == "-" for t in operands)


@entry("leaky_relu", "elu", "softplus")
def sloped(b: Builder, name: str) -> None:
    x = b.variable()
    parameter = {"leaky_relu": "negative_slope", "elu": "alpha", "softplus": "beta"}[name]
    given = b.number(0.1, 2)
    b.call(name, x, rest=b.choice(["", f"{parameter}={given}", f"{given}"]))


@entry("gelu_tanh")
def gelu_tanh(b: Builder, name: str) -> None:
    b.call("gelu", b.variable(), rest="approximate='tanh'")


@entry("round")
def rounded(b: Builder, name: str) -> None:
    b.call("round", b.variable(), rest=b.choice(["", "decimals=1", "0"]))


@entry("clip")
def clip(b: Builder, name: str) -> None:
    x = b.variable()
    low, high = b.choice([
        (repr(b.number(-2, 0)), repr(b.number(0, 2))), ("None", repr(b.number(-1, 1))), (repr(b.number(-1, 1)), "None"),
        (b.partner(x, -2, -0.1), b.partner(x, 0.1, 2)),
    ])
    b.call("clip", x, low, high)


@entry("where")
def where(b: Builder, name: str) -> None:
    x = b.variable()
    y = b.partner(x)
    shape = np.broadcast_shapes(np.shape(b.space[x]), np.shape(_value(b, y)))
    mask = b.choice([
        lambda: f"{x} > {b.number()}", lambda: f"{x} <= {y}",
        lambda: b.constant(np.asarray(b.numbers(b.broadcastable(shape), None, None, "float64") > 0)[()]),
        lambda: f"np.isfinite({x})", lambda: f"np.not_equal({x}, {b.number()})",
        lambda: f"({x} > -0.5) & ({x} < 0.5)", lambda: f"tg.greater_equal({x}, 0.25) | tg.less({x}, -0.25)",
    ])()
    a, c = (x, y) if b.chance(50) else (y, x)
    b.call("where", mask, a, c)


def _value(b: Builder, token: str) -> Any:
    return b.space[token] if token in b.space else eval(token, b.space)  # noqa: S307 - the text is ours


# ---------------------------------------------------------------- reductions

@entry("sum", "mean", "max", "min", "amax", "amin", "prod", "logsumexp", "ptp")
def reduction(b: Builder, name: str) -> None:
    x = b.variable(high=4 if name == "logsumexp" else None)
    if np.size(b.space[x]) == 0 and name not in ("sum", "prod"):
        raise RejectedError
    axis, keep = b.axes(x), b.chance(30)
    rest = ", ".join(([f"axis={axis}"] if axis is not None or b.chance(20) else []) + (["keepdims=True"] if keep else []))
    extra = []
    ufunc = {"sum": "add", "prod": "multiply", "max": "maximum", "min": "minimum", "logsumexp": "logaddexp"}.get(name)
    if ufunc and axis is not None and (np.ndim(axis) == 0 or ufunc in ("add", "multiply", "maximum", "minimum")):
        extra = [f"np.{ufunc}.reduce({x}, {rest})"]
    b.call(name, x, rest=rest, spellings=extra)


@entry("var", "std")
def moment(b: Builder, name: str) -> None:
    x = b.variable()
    axis, keep, ddof = b.axes(x, empty=False), b.chance(30), b.choice((0, 0, 1, 0.5))
    shape = np.shape(b.space[x])
    axes = range(len(shape)) if axis is None else (axis,) if isinstance(axis, int) else axis
    n = math.prod(shape[i] for i in axes)
    if n - ddof < 1 or not np.size(b.space[x]) or (
            name == "std" and (n < 2 or np.any(np.asarray(np.var(b.space[x], axis=axis)) < 1e-3))):
        raise RejectedError
    rest = ", ".join(([f"axis={axis}"] if axis is not None else []) + ([f"ddof={ddof}"] if ddof else [])
                     + (["keepdims=True"] if keep else []))
    b.call(name, x, rest=rest)


@entry("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp")
def running(b: Builder, name: str) -> None:
    x = b.variable(high=4 if name == "logcumsumexp" else None)
    axis = b.axis(x) if b.ndim(x) and b.chance(75) else None
    if axis is None and b.ndim(x) == 0:
        raise RejectedError
    ufunc = {"cumsum": "add", "cumprod": "multiply", "cummax": "maximum", "cummin": "minimum", "logcumsumexp": "logaddexp"}
    extra = [f"np.{ufunc[name]}.accumulate({x}, axis={axis})"] if axis is not None else []
    b.call(name, x, rest="" if axis is None else f"axis={axis}", spellings=extra)


@entry("average")
def average(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) > 0)
    shape = np.shape(b.space[x])
    axis = b.axis(x) if shape and b.chance(60) else None
    kind = b.below(3)
    weights = ""
    if kind == 1:
        weights = b.array_constant(shape, 0.5, 2)
    elif kind == 2 and axis is not None:
        weights = b.choice([lambda: b.array_constant((shape[axis],), 0.5, 2), lambda: b.input((shape[axis],), 0.5, 2)])()
    keep = b.chance(20)
    rest = ", ".join(([f"axis={axis}"] if axis is not None else []) + ([f"weights={weights}"] if weights else [])
                     + (["keepdims=True"] if keep else []))
    b.call("average", x, rest=rest)


@entry("squared_norm")
def squared_norm(b: Builder, name: str) -> None:
    b.call(name, b.variable())


@entry("trace")
def trace(b: Builder, name: str) -> None:
    x = b.matrix()
    b.call("trace", x, rest=b.choice(["", f"offset={b.below(3) - 1}", "0, -2, -1" if b.ndim(x) > 2 else ""]))


# ---------------------------------------------------------------- shapes

@entry("reshape")
def reshape(b: Builder, name: str) -> None:
    x = b.variable()
    size = int(np.size(b.space[x]))
    divisors = [k for k in (2, 3, 4) if size and size % k == 0]
    shape = b.choice([(size,), (1, size), (size, 1), (1, size, 1), *((k, size // k) for k in divisors)])
    if size and b.chance(40):
        i = b.below(len(shape))
        shape = tuple(-1 if j == i else n for j, n in enumerate(shape))
    b.call("reshape", x, rest=repr(shape), tail=b.choice([repr(shape), ", ".join(map(repr, shape))]))


@entry("ravel")
def ravel(b: Builder, name: str) -> None:
    x = b.variable()
    b.call("ravel", x, spellings=[f"{x}.flatten()"])


@entry("transpose", "permute_dims")
def transpose(b: Builder, name: str) -> None:
    x = b.variable()
    n = b.ndim(x)
    order = tuple(b.sample(range(n), n))
    rest = b.choice(["", repr(order)]) if n else ""
    plain = f"tg.transpose({x}{', ' + rest if rest else ''})"
    ways = [plain, f"np.transpose({x}{', ' + rest if rest else ''})", f"{x}.transpose({rest})"]
    if not rest and n != 1:
        ways += [f"{x}.T"] * 3
    if name == "permute_dims" and rest:
        ways = [f"np.permute_dims({x}, {rest})", f"tg.permute_dims({x}, {rest})"]
    b.emit(name, b.choice(ways), (x,), plain)


@entry("matrix_transpose")
def matrix_transpose(b: Builder, name: str) -> None:
    x = b.matrix()
    b.call(name, x, spellings=[f"{x}.mT"])


@entry("swapaxes")
def swapaxes(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0)
    b.call(name, x, rest=f"{b.axis(x)}, {b.axis(x)}")


@entry("moveaxis")
def moveaxis(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0)
    n = b.ndim(x)
    if b.chance(60):
        b.call(name, x, rest=f"{b.axis(x)}, {b.axis(x)}")
    else:
        k = 1 + b.below(n)
        b.call(name, x, rest=f"{tuple(b.sample(range(n), k))}, {tuple(b.sample(range(-n, 0), k))}")


@entry("rollaxis")
def rollaxis(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0)
    b.call(name, x, rest=f"{b.axis(x)}, {b.below(b.ndim(x) + 1)}")


@entry("squeeze")
def squeeze(b: Builder, name: str) -> None:
    x = b.variable(lambda x: 1 in np.shape(x), lambda: b.choice([(1, 3), (2, 1), (1,), (1, 2, 1)]))
    ones = [i for i, n in enumerate(np.shape(b.space[x])) if n == 1]
    b.call(name, x, rest=b.choice(["", f"axis={b.choice(ones)}", f"axis={tuple(ones)}"]))


@entry("expand_dims")
def expand_dims(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) < 4)
    n = b.ndim(x)
    b.call(name, x, rest=b.choice([f"{b.below(n + 1)}", f"axis={-1 - b.below(n + 1)}", "axis=(0, -1)"]))


@entry("atleast_1d", "atleast_2d", "atleast_3d")
def atleast(b: Builder, name: str) -> None:
    b.call(name, b.variable())


@entry("broadcast_to")
def broadcast_to(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) <= 12)
    shape = tuple(b.choice((2, 3)) if n == 1 else n for n in np.shape(b.space[x]))
    if len(shape) < 4:
        shape = b.choice([shape, (2, *shape), (1, *shape)])
    b.call(name, x, rest=repr(shape))


@entry("broadcast_arrays")
def broadcast_arrays(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) <= 12)
    y = b.variable(lambda y: _broadcasts(y, b.space[x]), lambda: b.broadcastable(np.shape(b.space[x])))
    b.call(name, x, y, targets=2)


def _broadcasts(x: Any, y: Any) -> bool:
    try:
        return math.prod(np.broadcast_shapes(np.shape(x), np.shape(y))) < 60
    except ValueError:
        return False


@entry("astype")
def astype(b: Builder, name: str) -> None:
    x = b.variable()
    dtype = b.choice(["np.float64", "np.float64", "np.float32"])
    if dtype == "np.float32" and "float32" not in b.dtypes:
        raise RejectedError
    spell = f"{x}.astype({dtype})"
    b.emit(name, b.choice([spell, f"tg.astype({x}, {dtype})"]), (x,), spell, rough=dtype == "np.float32")


@entry("flip")
def flip(b: Builder, name: str) -> None:
    x = b.variable()
    axis = b.axes(x)
    b.call(name, x, rest="" if axis is None else f"axis={axis}")


@entry("flipud")
def flipud(b: Builder, name: str) -> None:
    b.call(name, b.variable(lambda x: np.ndim(x) > 0))


@entry("fliplr")
def fliplr(b: Builder, name: str) -> None:
    b.call(name, b.matrix())


@entry("rot90")
def rot90(b: Builder, name: str) -> None:
    x = b.matrix()
    b.call(name, x, rest=b.choice(["", f"k={b.below(9) - 4}", f"{b.below(4)}, (-1, 0)"]))


@entry("roll")
def roll(b: Builder, name: str) -> None:
    x = b.variable()
    shift = b.below(9) - 4
    if not b.ndim(x) or b.chance(30):
        b.call(name, x, rest=f"{shift}")
    elif b.chance(50):
        b.call(name, x, rest=f"{shift}, axis={b.axis(x)}")
    else:
        axes = tuple(b.axis(x) for _ in range(2))
        b.call(name, x, rest=f"{b.choice([shift, (shift, b.below(3))])}, axis={axes}")


@entry("repeat")
def repeat(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) <= 16)
    if not b.ndim(x) or b.chance(30):
        b.call(name, x, rest=f"{b.below(4)}")
        return
    axis = b.axis(x)
    n = np.shape(b.space[x])[axis]
    b.call(name, x, rest=f"{b.choice([b.below(3) + 1, [b.below(3) for _ in range(n)]])}, axis={axis}")


@entry("tile")
def tile(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) <= 12)
    b.call(name, x, rest=b.choice(["2", "(2, 1)", "(1, 2)", "()", "(2, 1, 2)", "3", "0"]))


@entry("pad")
def pad(b: Builder, name: str) -> None:
    x = b.variable(lambda x: 0 < np.size(x) <= 16 and np.ndim(x) > 0)
    mode = b.choice(["constant", "edge", "reflect", "symmetric", "wrap"])
    width = b.choice(["1", "(1, 2)", repr([(b.below(3), b.below(3)) for _ in range(b.ndim(x))])])
    rest = f"{width}, mode={mode!r}" if mode != "constant" or b.chance(50) else width
    if mode == "constant" and b.chance(40):
        rest += f", constant_values={b.number()}"
    b.call(name, x, rest=rest)


# ---------------------------------------------------------------- joining and splitting

def like(b: Builder, shape: tuple[int, ...]) -> str:
    """An operand of exactly this shape: a variable, a new input, or a constant."""
    for _ in range(4):
        other = b.choice(b.variables)
        if np.shape(b.space[other]) == shape:
            return other
    if len(b.inputs) < 6 and b.chance(60):
        return b.input(shape)
    return b.array_constant(shape)


@entry("concatenate")
def concatenate(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0 and np.size(x) <= 20)
    axis = b.axis(x)
    items = [x]
    for _ in range(b.below(3)):
        shape = list(np.shape(b.space[x]))
        shape[axis] = b.choice((0, 1, 2, shape[axis], shape[axis]))
        items.append(like(b, tuple(shape)))
    b.call(name, f"[{', '.join(items)}]", rest=b.choice([f"axis={axis}", f"axis={axis}", "axis=None", ""]))


@entry("stack")
def stack(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) <= 20)
    items = [x, *(like(b, np.shape(b.space[x])) for _ in range(b.below(3)))]
    axis = b.below(b.ndim(x) + 1) - (b.ndim(x) + 1 if b.chance(40) else 0)
    b.call(name, f"[{', '.join(items)}]", rest=b.choice(["", f"axis={axis}", f"{axis}"]))


@entry("vstack", "hstack", "dstack", "column_stack")
def stacks(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) <= 20)
    items = b.sample([x, like(b, np.shape(b.space[x]))], 2)
    b.call(name, f"({', '.join(items)})")


@entry("append")
def append(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) <= 20)
    b.call(name, x, like(b, np.shape(b.space[x])), rest="" if not b.ndim(x) or b.chance(50) else f"axis={b.axis(x)}")


@entry("split", "array_split")
def split(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0)
    axis = b.axis(x)
    n = np.shape(b.space[x])[axis]
    if b.chance(50):
        b.call(name, x, rest=f"{[b.below(n + 1)]}, axis={axis}", targets=2)
    elif name == "array_split" or n % 2 == 0:
        b.call(name, x, rest=f"2, {axis}", targets=2)
    else:
        raise RejectedError


@entry("hsplit", "vsplit")
def splits(b: Builder, name: str) -> None:
    x = b.matrix()
    b.call(name, x, rest=f"[{b.below(3)}]", targets=2)


@entry("meshgrid")
def meshgrid(b: Builder, name: str) -> None:
    x, y = (b.variable(lambda x: np.size(x) <= 6, lambda: b.shape(0, 1)) for _ in range(2))
    b.call(name, x, y, rest=b.choice(["", "indexing='ij'", "indexing='xy'"]), targets=2)


@entry("diag")
def diag(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) == 2 or (np.ndim(x) == 1 and np.size(x) <= 5), lambda: b.shape(1, 2))
    b.call(name, x, rest=b.choice(["", f"k={b.below(4) - 2}"]))


@entry("diagonal")
def diagonal(b: Builder, name: str) -> None:
    x = b.matrix()
    n = b.ndim(x)
    axes = b.sample(range(n), 2)
    b.call(name, x, rest=b.choice(["", f"offset={b.below(3) - 1}", f"{b.below(3) - 1}, {axes[0]}, {axes[1]}"]))


@entry("tril", "triu")
def triangle(b: Builder, name: str) -> None:
    b.call(name, b.matrix(), rest=b.choice(["", f"k={b.below(5) - 2}"]))


# ---------------------------------------------------------------- selecting

def index(b: Builder, x: str, repeats: bool = True) -> str:
    """An index of any kind that NumPy has."""
    shape = np.shape(b.space[x])
    if not shape:
        return b.choice(["...", "()", "None", "(None, ...)"])

    def part(n: int) -> str:
        kind = b.below(8)
        if kind < 2 and n:
            return repr(b.below(n) - (n if b.chance(40) else 0))
        if kind == 2:
            return "::-1"
        if kind == 3:
            return f"{b.below(n + 1)}:"
        if kind == 4:
            return f"::{b.choice((2, 3, -2))}"
        if kind == 5 and n:
            return f":{-b.below(n + 1)}"
        return ":"

    kind = b.below(10)
    if kind < 5:
        parts = [part(n) for n in shape[: 1 + b.below(len(shape))]]
        if b.chance(20):
            parts.insert(b.below(len(parts) + 1), "None")
        if b.chance(15):
            parts.insert(b.choice((0, len(parts))), "...")
        return ", ".join(parts)
    if kind == 5:
        return f"{x} > {b.number()}"
    if kind == 6:
        mask = np.asarray(b.numbers(shape, None, None, "float64") > 0)
        return b.constant(mask)
    if 0 in shape:
        return "..."
    rng = np.random.default_rng(b.draws.array_seed())

    def places(n: int, size: Any) -> Any:
        return rng.integers(-n, n, size) if repeats else rng.permutation(n)[: math.prod(size)].reshape(size)

    if kind == 7 or len(shape) == 1:
        k = 1 + b.below(4) if repeats else 1 + b.below(shape[0])
        which = places(shape[0], (k,))
        return b.choice([lambda: repr(which.tolist()), lambda: b.constant(which)])()
    if kind == 8 and repeats:
        return ", ".join([b.constant(places(shape[0], (2, 1))), b.constant(places(shape[1], (3,)))])
    k = 1 + b.below(min(shape[:2]))
    return b.choice([
        lambda: f"{places(shape[0], (k,)).tolist()}, {places(shape[1], (k,)).tolist()}",
        lambda: f":, {places(shape[1], (k,)).tolist()}",
        lambda: f"{b.below(shape[0])}, {places(shape[1], (k,)).tolist()}",
        lambda: f"..., {places(shape[-1], (min(k, shape[-1]),)).tolist()}",
        lambda: f"{places(shape[0], (k,)).tolist()}, None, ::-1",
    ])()


@entry("getitem")
def getitem(b: Builder, name: str) -> None:
    x = b.variable()
    i = index(b, x)
    b.emit(name, f"{x}[{i}]", (x,))


@entry("assign")
def assign(b: Builder, name: str) -> None:
    x = b.variable()
    i = index(b, x, repeats=False)
    try:
        picked = np.shape(_value(b, f"{x}[{i}]"))
    except (IndexError, ValueError):
        raise RejectedError from None
    values = b.choice([lambda: repr(b.number()), lambda: b.input(b.choice([(), picked])), lambda: like(b, picked)])()
    i = i if i in b.constants or " > " in i else f"np.s_[{i}]"
    if np.asarray(_value(b, values)).dtype != np.asarray(b.space[x]).dtype:
        raise RejectedError  # NumPy casts the values to the array's dtype
    b.emit(name, f"tg.assign({x}, {i}, {values})", (x,))


@entry("take")
def take(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) > 0)
    axis = b.axis(x) if b.ndim(x) and b.chance(60) else None
    n = np.size(b.space[x]) if axis is None else np.shape(b.space[x])[axis]
    if not n:
        raise RejectedError
    rng = np.random.default_rng(b.draws.array_seed())
    which = b.choice([
        lambda: repr(int(rng.integers(-n, n))), lambda: repr(rng.integers(-n, n, 3).tolist()),
        lambda: b.constant(rng.integers(-n, n, (2, 2))), lambda: b.constant(rng.integers(-n, n, 2)),
    ])()
    b.call(name, x, which, rest="" if axis is None else f"axis={axis}")


@entry("take_along_axis")
def take_along_axis(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0 and np.size(x) > 0)
    axis = b.axis(x)
    which = b.choice([f"np.argsort({x}, axis={axis})", f"np.argmax({x}, axis={axis}, keepdims=True)",
                      f"{x}.argmin(axis={axis}, keepdims=True)", f"tg.argsort({x}, axis={axis})"])
    plain = which if not which.startswith(x + ".") else f"np.argmin({x}, axis={axis}, keepdims=True)"
    spell = b.choice(["np", "tg"])
    b.emit(name, f"{spell}.take_along_axis({x}, {which}, axis={axis})", (x,),
           f"tg.take_along_axis({x}, {plain}, axis={axis})")


@entry("sort")
def sort(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0)
    b.call(name, x, rest=b.choice(["", f"axis={b.axis(x)}", "axis=None"]) if b.ndim(x) else "axis=None",
           tail=f"axis={b.axis(x)}" if False else None)


@entry("sliding_window_view")
def sliding_window_view(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0 and np.size(x) <= 20)
    axis = b.axis(x)
    n = np.shape(b.space[x])[axis]
    if not n:
        raise RejectedError
    rest = f"{1 + b.below(n)}, axis={axis}"
    b.call(name, x, rest=rest, spellings=[f"np.lib.stride_tricks.sliding_window_view({x}, {rest})"])


# ---------------------------------------------------------------- products

def matrix_partner(b: Builder, x: str) -> str:
    """A right operand for x @ y."""
    n = np.shape(b.space[x])[-1]
    if b.ndim(x) >= 2 and np.shape(b.space[x])[-2] == n and b.chance(15):
        return x
    for _ in range(5):
        other = b.choice(b.variables)
        shape = np.shape(b.space[other])
        if shape and (shape[-2] if len(shape) > 1 else shape[0]) == n:
            return other
    shape = b.choice([(n,), (n, b.choice((1, 2, 3))), (n, b.choice((1, 2, 3))), (2, n, 2), (1, n, 1)])
    return b.input(shape) if len(b.inputs) < 6 and b.chance(60) else b.array_constant(shape)


@entry("matmul", "dot")
def matmul(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0, lambda: b.shape(1, 3))
    y = matrix_partner(b, x)
    extra = [f"{x} @ {y}"] * 3 if name == "matmul" else []
    b.call(name, x, y, spellings=extra)


@entry("inner")
def inner(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0)
    n = np.shape(b.space[x])[-1]
    y = b.choice([lambda: x, lambda: like(b, (n,)), lambda: like(b, (2, n))])()
    b.call(name, x, y)


@entry("vdot")
def vdot(b: Builder, name: str) -> None:
    x = b.variable()
    b.call(name, x, b.choice([lambda: x, lambda: like(b, np.shape(b.space[x]))])())


@entry("outer")
def outer(b: Builder, name: str) -> None:
    x, y = (b.variable(lambda x: np.size(x) <= 7) for _ in range(2))
    b.call(name, x, y, spellings=[f"np.multiply.outer({x}, {y})"] if b.ndim(x) == b.ndim(y) == 1 else [])


@entry("kron")
def kron(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) <= 8)
    b.call(name, x, b.choice([lambda: x, lambda: b.input(b.shape(0, 2)), lambda: b.array_constant(b.shape(0, 2))])())


@entry("cross")
def cross(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0 and np.shape(x)[-1] == 3, lambda: b.choice([(3,), (2, 3), (2, 1, 3)]))
    b.call(name, x, b.choice([lambda: like(b, (3,)), lambda: like(b, np.shape(b.space[x])), lambda: x])())


@entry("vecdot")
def vecdot(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0)
    b.call(name, x, b.choice([lambda: like(b, np.shape(b.space[x])[-1:]), lambda: like(b, np.shape(b.space[x])), lambda: x])())


@entry("tensordot")
def tensordot(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0)
    shape = np.shape(b.space[x])
    kind = b.below(3)
    if kind == 0:
        k = b.below(len(shape) + 1)
        y = like(b, (*shape[len(shape) - k:], *(b.choice(((), (2,))))))
        b.call(name, x, y, rest=b.choice([f"{k}", f"axes={k}"]))
    elif kind == 1:
        i = b.axis(x)
        b.call(name, x, like(b, (2, shape[i])), rest=f"axes=([{i}], [-1])")
    else:
        order = b.sample(range(len(shape)), len(shape))
        b.call(name, x, like(b, tuple(shape[i] for i in order)), rest=f"axes=({order}, {list(range(len(shape)))})")


@entry("einsum")
def einsum(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) <= 3)
    letters = "ijk"[: b.ndim(x)]
    operands, texts = [x], [letters]
    sizes = dict(zip(letters, np.shape(b.space[x]), strict=True))
    if b.chance(20) and len(letters) == 2 and sizes["i"] == sizes["j"]:
        texts = ["ii"]
        letters, sizes = "i", {"i": sizes["i"]}
    for _ in range(b.choice((0, 1, 1, 1, 2))):
        own = "".join(b.sample(letters, b.below(len(letters) + 1)))
        if b.chance(30):
            own += "m"
            sizes.setdefault("m", 2)
        operands.append(like(b, tuple(sizes[c] for c in own)))
        texts.append(own)
    there = list(dict.fromkeys("".join(texts)))
    output = "".join(b.sample(there, b.below(len(there) + 1)))
    text = ",".join(texts) + ("->" + output if b.chance(80) else "")
    if b.chance(10) and len(operands) == 1 and not len(set(texts[0])) < len(texts[0]):
        text = "...->..." if b.ndim(x) else "->"
    arguments = ", ".join((repr(text), *operands))
    b.emit(name, b.choice([f"np.einsum({arguments})", f"tg.einsum({arguments})"]), operands, f"np.einsum({arguments})")


# ---------------------------------------------------------------- along an axis, and losses

@entry("softmax", "log_softmax")
def normalised(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) > 0 and np.ndim(x) > 0, high=5)
    axis = b.axes(x, none=b.chance(20), empty=False)
    b.call(name, x, rest="" if axis == -1 else f"axis={axis}")


def reduced(b: Builder) -> str:
    return str(b.choice(["", "reduction='mean'", "reduction='sum'", "reduction='none'"]))


@entry("binary_cross_entropy", "binary_cross_entropy_with_logits")
def binary_loss(b: Builder, name: str) -> None:
    logits = name.endswith("logits")
    x = b.variable(lambda x: np.size(x) > 0, low=None if logits else 0.05, high=None if logits else 0.95)
    shape = np.shape(b.space[x])
    target = b.choice([lambda: b.array_constant(shape, 0.0, 1.0),
                       lambda: b.constant(np.asarray(b.numbers(shape, None, None, "float64") > 0, "int64")[()]),
                       lambda: b.input(shape, 0.05, 0.95)])()
    if np.asarray(_value(b, target)).dtype.kind == "f" and np.asarray(_value(b, target)).dtype != b.space[x].dtype and (
            target in b.inputs):
        raise RejectedError
    rest = reduced(b)
    if logits and b.chance(25):
        rest += (", " if rest else "") + f"pos_weight={b.number(0.5, 2)}"
    b.call(name, x, target, rest=rest)


@entry("cross_entropy", "categorical_cross_entropy")
def class_loss(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) > 0 and 0 < np.ndim(x) < 4, lambda: b.shape(1, 3),
                   *((None, 5) if name == "cross_entropy" else (0.05, 0.95)))
    shape = np.shape(b.space[x])
    axis = b.axis(x) if b.chance(50) else None
    i = (1 if len(shape) > 1 else 0) if axis is None else axis % len(shape)
    rest = ", ".join(([f"axis={axis}"] if axis is not None else []) + ([reduced(b)] if b.chance(60) else []))
    rng = np.random.default_rng(b.draws.array_seed())
    if b.chance(60):
        target = b.constant(rng.integers(0, shape[i], tuple(n for j, n in enumerate(shape) if j != i))[()])
    else:
        target = b.array_constant(shape, 0.0, 1.0)
        if np.asarray(_value(b, target)).dtype != b.space[x].dtype:
            raise RejectedError
    b.call(name, x, target, rest=rest.rstrip(", "))


# what NumPy calls something else, or has not
NUMPY_NAMES.update(dict.fromkeys(("astype", "matrix_transpose_"), False))

# functions of the package that no line is written with, and why
OUTSIDE: dict[str, str] = {
    **dict.fromkeys(("all", "any", "argmax", "argmin", "argsort", "equal", "greater", "greater_equal", "isfinite", "isinf",
                     "isnan", "less", "less_equal", "not_equal"), "no derivative by nature; lines use them inside"),
    **dict.fromkeys(("searchsorted", "digitize"), "no derivative by nature"),
    **dict.fromkeys(("ones", "zeros", "ones_like", "zeros_like", "one_hot"), "constants"),
}

__all__ = ["OUTSIDE", "TABLE"]
