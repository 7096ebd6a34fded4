"""How lines are written with activations, losses, normalisations, attention and windows."""

from __future__ import annotations

import numpy as np

from . import reference_networks  # noqa: F401 - what they are by NumPy alone
from .generate import Builder, RejectedError, entry
from .table import _value, like

UNARY = ("selu", "mish", "softsign", "relu6", "hard_sigmoid", "hard_swish", "tanhshrink")
# name: (parameter, its range)
WITH_A_PARAMETER: dict[str, tuple[str, float, float]] = {
    "celu": ("alpha", 0.3, 2), "hardshrink": ("lambd", 0.1, 1), "softshrink": ("lambd", 0.1, 1),
}


@entry(*UNARY)
def activation(b: Builder, name: str) -> None:
    b.call(name, b.variable())


@entry(*WITH_A_PARAMETER)
def with_a_parameter(b: Builder, name: str) -> None:
    parameter, low, high = WITH_A_PARAMETER[name]
    b.call(name, b.variable(), rest=b.choice(["", f"{parameter}={b.number(low, high)}"]))


@entry("hard_tanh")
def hard_tanh(b: Builder, name: str) -> None:
    b.call(name, b.variable(), rest=b.choice(["", f"min_val={b.number(-2, -0.5)}, max_val={b.number(0, 2)}"]))


@entry("prelu")
def prelu(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0)
    shape = np.shape(b.space[x])
    channels = shape[1] if len(shape) > 1 else shape[0]
    b.call(name, x, b.choice([lambda: repr(b.number(0.1, 1)), lambda: b.input(b.choice([(), (1,), (channels,)]), 0.1, 1, x)])())


@entry("softmin")
def softmin(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) > 0 and np.ndim(x) > 0, low=-5)
    b.call(name, x, rest=f"axis={b.axes(x, none=False, empty=False)}")


@entry("glu")
def glu(b: Builder, name: str) -> None:
    x = b.variable(lambda x: any(n % 2 == 0 for n in np.shape(x)), lambda: b.choice([(2,), (3, 4), (2, 2, 2)]))
    even = [i for i, n in enumerate(np.shape(b.space[x])) if n % 2 == 0]
    b.call(name, x, rest=f"axis={b.choice(even)}")


@entry("dropout")
def dropout(b: Builder, name: str) -> None:
    b.call(name, b.variable(), rest=b.choice(["0.5, rng=3", f"p={b.number(0, 0.9)}, rng={b.below(9)}", "training=False"]))


# ---------------------------------------------------------------- losses

REDUCTIONS = ("", "reduction='mean'", "reduction='sum'", "reduction='none'")


def rest_of(*parts: str) -> str:
    return ", ".join(p for p in parts if p)


def signs(b: Builder, shape: tuple[int, ...], low: int) -> str:
    x = np.asarray(b.numbers(shape, None, None, "float64")) > 0
    return b.constant(np.where(x, 1, low)[()] if b.chance(50) else np.where(x, 1.0, float(low))[()])


@entry("mse", "l1", "huber", "smooth_l1")
def error(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) > 0)
    y = like(b, np.shape(b.space[x]))
    parameter = {"huber": f"delta={b.number(0.3, 2)}", "smooth_l1": f"beta={b.number(0.3, 2)}"}.get(name, "")
    same_type(b, x, y)
    b.call(name, x, y, rest=rest_of(b.choice(REDUCTIONS), b.choice(["", parameter])))


def same_type(b: Builder, x: str, y: str) -> None:
    """Predictions and targets of two float types: a Tensor widens, an array does not."""
    dtype = np.asarray(_value(b, y)).dtype
    if y in b.known and dtype != np.asarray(b.space[x]).dtype:
        raise RejectedError


@entry("gaussian_nll")
def gaussian_nll(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) > 0)
    shape = np.shape(b.space[x])
    y = like(b, shape)
    same_type(b, x, y)
    size = b.choice([shape, (), tuple(1 if i else n for i, n in enumerate(shape))])
    var = b.choice([lambda: b.input(size, 0.3, 2), lambda: b.array_constant(size, 0.3, 2), lambda: repr(b.number(0.3, 2))])()
    same_type(b, x, var)
    b.call(name, x, y, var, rest=rest_of(b.choice(REDUCTIONS), b.choice(["", "full=True"])))


@entry("poisson_nll")
def poisson_nll(b: Builder, name: str) -> None:
    plain = b.chance(40)
    x = b.variable(lambda x: np.size(x) > 0, low=0.2 if plain else None, high=None if plain else 3)
    y = b.constant(np.asarray(np.abs(b.numbers(np.shape(b.space[x]), -3, 3, "float64")).round())[()])
    b.call(name, x, y, rest=rest_of("log_input=False" if plain else "", b.choice(["", "full=True"]), b.choice(REDUCTIONS)))


@entry("hinge", "focal")
def two_classes(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) > 0, low=-6, high=6)
    y = signs(b, np.shape(b.space[x]), -1 if name == "hinge" else 0)
    own = {"hinge": f"margin={b.number(0.2, 2)}", "focal": f"gamma={b.number(0, 3)}, alpha={b.choice(['None', '0.3'])}"}[name]
    b.call(name, x, y, rest=rest_of(b.choice(["", own]), b.choice(REDUCTIONS)))


@entry("margin_ranking")
def margin_ranking(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) > 0)
    shape = np.shape(b.space[x])
    y = like(b, shape)
    same_type(b, x, y)
    if np.asarray(_value(b, y)).dtype != b.space[x].dtype:
        raise RejectedError
    b.call(name, x, y, signs(b, shape, -1), rest=rest_of(b.choice(["", f"margin={b.number(0, 1)}"]), b.choice(REDUCTIONS)))


@entry("kl_div")
def kl_div(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) > 0)
    shape = np.shape(b.space[x])
    logs = b.chance(40)
    y = b.choice([lambda: b.input(shape, *((-2, 0) if logs else (0.1, 1))),
                  lambda: b.array_constant(shape, *((-2, 0) if logs else (0.0, 1.0)))])()
    same_type(b, x, y)
    reduction = b.choice([*REDUCTIONS, *(["reduction='batchmean'"] if shape else [])])
    b.call(name, x, y, rest=rest_of("log_target=True" if logs else "", reduction))


@entry("nll", "multiclass_hinge", "cross_entropy_weighted")
def classes(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.size(x) > 0 and 0 < np.ndim(x) < 4, lambda: b.shape(1, 3), high=5)
    shape = np.shape(b.space[x])
    axis = b.axis(x) if b.chance(50) else None
    i = (1 if len(shape) > 1 else 0) if axis is None else axis % len(shape)
    rng = np.random.default_rng(b.draws.array_seed())
    target = rng.integers(0, shape[i], tuple(n for j, n in enumerate(shape) if j != i))
    ignoring = name != "multiclass_hinge" and np.size(target) > 1 and b.chance(30)
    if ignoring:
        target.reshape(-1)[rng.integers(np.size(target))] = -100
    weight = f"weight={b.array_constant((shape[i],), 0.5, 2)}" if b.chance(40) else ""
    own = {"multiclass_hinge": b.choice(["", "p=2", "margin=0.5"]),
           "cross_entropy_weighted": b.choice(["", f"label_smoothing={b.number(0, 0.5)}"])}.get(name, "")
    b.call(name.removesuffix("_weighted"), x, b.constant(target[()]), rest=rest_of(
        weight, own, f"axis={axis}" if axis is not None else "", b.choice(REDUCTIONS)))


# ---------------------------------------------------------------- normalisations and attention


def maybe(b: Builder, name: str, shape: tuple[int, ...], x: str) -> str:
    """An operand with the given keyword, or nothing."""
    if b.chance(50):
        return ""
    return f"{name}={b.choice([lambda: b.input(shape, 0.5, 2, x), lambda: b.constant(b.numbers(shape, 0.5, 2, 'float64'))])()}"


def spread(b: Builder, x: str, axes: tuple[int, ...]) -> None:
    """Reject what has hardly any variance: 1/σ amplifies what is rounded."""
    if np.size(b.space[x]) == 0 or np.any(np.var(b.space[x], axis=axes) < 0.05):
        raise RejectedError


@entry("layer_norm", "rms_norm")
def last_axes_norm(b: Builder, name: str) -> None:
    x = b.variable(lambda x: np.ndim(x) > 0, lambda: b.choice([(3,), (2, 4), (2, 3, 2)]))
    shape = np.shape(b.space[x])
    n = 1 + b.below(len(shape))
    spread(b, x, tuple(range(len(shape) - n, len(shape))))
    size = shape[len(shape) - n:]
    given = repr(size[0]) if n == 1 and b.chance(50) else repr(tuple(map(int, size)))
    bias = maybe(b, "bias", size, x) if name == "layer_norm" else ""
    eps = "eps=1e-5" if name == "rms_norm" else ""
    b.call(name, x, given, rest=rest_of(maybe(b, "weight", size, x), bias, eps))


@entry("group_norm", "batch_norm", "instance_norm")
def channel_norm(b: Builder, name: str) -> None:
    least = 3 if name == "instance_norm" else 2
    x = b.variable(lambda x: np.ndim(x) >= least and np.size(x) > 0, lambda: b.choice([(2, 2, 3), (3, 4, 2), (4, 2, 2, 2)]))
    shape = np.shape(b.space[x])
    size = (shape[1],)
    own = [maybe(b, "weight", size, x), maybe(b, "bias", size, x)]
    if name == "batch_norm" and b.chance(40):
        mean, var = b.constant(b.numbers(size, -1, 1, "float64")), b.constant(b.numbers(size, 0.5, 2, "float64"))
        b.call(name, x, mean, var, rest=rest_of(*own))
        return
    if name == "group_norm":
        groups = b.choice([k for k in range(1, shape[1] + 1) if shape[1] % k == 0])
        v = np.var(np.reshape(b.space[x], (shape[0], groups, -1)), axis=2)
        if np.any(v < 0.05):
            raise RejectedError
        b.call(name, x, str(groups), rest=rest_of(*own))
        return
    spread(b, x, (0, *range(2, len(shape))) if name == "batch_norm" else tuple(range(2, len(shape))))
    b.call(name, x, rest=rest_of(*own, "training=True" if name == "batch_norm" else ""))


@entry("scaled_dot_product_attention")
def attention(b: Builder, name: str) -> None:
    q = b.variable(lambda x: np.ndim(x) in (2, 3) and np.size(x) > 0, lambda: b.choice([(3, 2), (2, 2, 3)]), -3, 3)
    shape = np.shape(b.space[q])
    batch, (queries, features) = shape[:-2], shape[-2:]
    keys = b.choice((1, 2, 3))
    k = b.choice([lambda: q, lambda: b.input((*batch, keys, features), like=q)])()
    keys = np.shape(b.space[k])[-2]
    v = b.choice([lambda: k, lambda: b.input((keys, 2), like=q)])()
    mask = b.choice([
        lambda: "", lambda: "is_causal=True",
        lambda: f"attn_mask={b.constant(np.asarray(b.numbers((queries, keys), None, None, 'float64') > -0.7))}",
        lambda: f"attn_mask={b.input((queries, keys), like=q)}", lambda: f"scale={b.number(0.2, 1)}"])()
    b.call(name, q, k, v, rest=mask)


# ---------------------------------------------------------------- windows


def images(b: Builder, space: int) -> str:
    def shape() -> tuple[int, ...]:
        channels = b.choice((1, 2, 4))
        return (*((b.choice((1, 2)),) if b.chance(70) else ()), channels,
                *((b.choice((4, 5, 6)),) if space == 1 else (b.choice((2, 3, 4)), b.choice((2, 3)))))

    return b.variable(lambda x: np.ndim(x) in (space + 1, space + 2) and np.size(x) > 0, shape)


def whole(b: Builder, space: int, *choices: int) -> str:
    return repr(b.choice(choices)) if b.chance(60) or space == 1 else repr((b.choice(choices), b.choice(choices)))


@entry("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d")
def convolution(b: Builder, name: str) -> None:
    space, back = int(name[-2]), "transpose" in name
    x = images(b, space)
    channels = np.shape(b.space[x])[-space - 1]
    groups = b.choice([g for g in (1, 1, 2, 4) if channels % g == 0])
    filters = groups * b.choice((1, 2)) if groups < 4 else 4
    kernel = tuple(b.choice((1, 2, 3)) if space == 1 else b.choice((1, 2)) for _ in range(space))
    size = (channels, filters // groups, *kernel) if back else (filters, channels // groups, *kernel)
    w = b.choice([lambda: b.input(size), lambda: b.constant(b.numbers(size, None, None, b.choice(b.dtypes)))])()
    rest = [f"bias={b.input((filters,))}" if b.chance(30) else "", f"stride={whole(b, space, 1, 2)}" if b.chance(40) else "",
            f"dilation={whole(b, space, 1, 2)}" if b.chance(25) else "", f"groups={groups}" if groups > 1 else ""]
    if b.chance(40):
        same = ["padding='same'"] if not back and "stride" not in "".join(rest) else []
        rest.append(b.choice([f"padding={whole(b, space, 0, 1)}", *same]))
    if back and "stride" in "".join(rest) and b.chance(40):
        rest.append("output_padding=1")
    b.call(name, x, w, rest=rest_of(*rest))


@entry("max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d")
def pool(b: Builder, name: str) -> None:
    space = int(name[-2])
    x = images(b, space)
    rest = [whole(b, space, 1, 2, 3) if space == 1 else whole(b, space, 1, 2),
            f"stride={whole(b, space, 1, 2)}" if b.chance(50) else "", "padding=1" if b.chance(30) else "",
            "ceil_mode=True" if b.chance(30) else ""]
    if name.startswith("max"):
        rest.append("dilation=2" if b.chance(15) else "")
    else:
        rest.append("count_include_pad=False" if b.chance(30) else "")
        rest.append("divisor_override=3" if name == "avg_pool2d" and b.chance(20) else "")
    b.call(name, x, rest=rest_of(*rest))


@entry("unfold")
def unfold(b: Builder, name: str) -> None:
    x = images(b, 2)
    b.call(name, x, rest=rest_of(whole(b, 2, 1, 2), "padding=1" if b.chance(30) else "", "stride=2" if b.chance(30) else "",
                                 "dilation=2" if b.chance(15) else ""))


@entry("fold")
def fold(b: Builder, name: str) -> None:
    height, width, kernel = b.choice([(3, 2, (2, 1)), (3, 3, (2, 2)), (2, 4, (1, 2)), (4, 2, (2, 2))])
    stride, padding = b.choice((1, 1, 2)), b.choice((0, 0, 1))
    counts = [(n + 2 * padding - k) // stride + 1 for n, k in zip((height, width), kernel, strict=True)]
    size = (kernel[0] * kernel[1] * b.choice((1, 2)), counts[0] * counts[1])
    x = b.input(b.choice([size, (1, *size)]))
    b.call(name, x, rest=f"({height}, {width}), {kernel}, stride={stride}, padding={padding}")


@entry("interpolate")
def interpolate(b: Builder, name: str) -> None:
    space = b.choice((1, 2))
    x = b.variable(lambda x: np.ndim(x) == space + 2 and np.size(x) > 0,
                   lambda: (1, 2, 4) if space == 1 else (1, 1, b.choice((2, 3)), b.choice((2, 4))))
    mode = b.choice(["nearest", "linear" if space == 1 else "bilinear"])
    size = b.choice([f"size={whole(b, space, 1, 3, 5)}", f"scale_factor={b.choice((0.5, 1.5, 2, 2.5))}"])
    corners = f"align_corners={b.choice((True, False))}" if mode != "nearest" and b.chance(60) else ""
    b.call(name, x, rest=rest_of(size, f"mode={mode!r}" if mode != "nearest" or b.chance(50) else "", corners))
