"""PyTorch as an oracle, where it is installed: the same programs, its own derivatives, at kinks and ties too.

    python -m fuzz.pytorch --count 2000        (in tests/, with this package and PyTorch importable)

PyTorch's functions take NumPy's names and arguments here; programs are made of the functions of NAMES alone.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_edu as tg

from .generate import Builder, Draws, RejectedError
from .program import Program

# the same name and meaning in PyTorch (not fmax and fmin: it gives a tie to the first, we share it as maximum does)
SAME = (
    "abs", "absolute", "negative", "positive", "square", "sqrt", "exp", "exp2", "expm1", "log", "log2", "log10",
    "log1p", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh",
    "reciprocal", "sinc", "sign", "floor", "ceil", "trunc", "deg2rad", "rad2deg", "sigmoid", "erf", "add", "subtract",
    "multiply", "divide", "maximum", "minimum", "hypot", "arctan2", "logaddexp", "logaddexp2", "copysign", "remainder",
    "fmod", "matmul", "ravel", "swapaxes", "moveaxis", "tril", "triu", "outer", "kron", "where",
)
# the same name and arguments in torch.nn.functional
FUNCTIONAL = {
    "relu": "relu", "silu": "silu", "mish": "mish", "softsign": "softsign", "relu6": "relu6",
    "hard_sigmoid": "hardsigmoid", "hard_swish": "hardswish", "hard_tanh": "hardtanh", "tanhshrink": "tanhshrink",
    "selu": "selu", "celu": "celu", "elu": "elu", "leaky_relu": "leaky_relu", "softplus": "softplus", "gelu": "gelu",
    "log_sigmoid": "logsigmoid", "hardshrink": "hardshrink", "softshrink": "softshrink", "prelu": "prelu",
    "layer_norm": "layer_norm", "group_norm": "group_norm", "batch_norm": "batch_norm", "rms_norm": "rms_norm",
    "scaled_dot_product_attention": "scaled_dot_product_attention", "conv1d": "conv1d", "conv2d": "conv2d",
    "conv_transpose1d": "conv_transpose1d", "conv_transpose2d": "conv_transpose2d", "avg_pool1d": "avg_pool1d",
    "avg_pool2d": "avg_pool2d", "unfold": "unfold", "fold": "fold", "interpolate": "interpolate", "mse": "mse_loss",
    "l1": "l1_loss", "huber": "huber_loss", "smooth_l1": "smooth_l1_loss", "kl_div": "kl_div",
    "gaussian_nll": "gaussian_nll_loss", "poisson_nll": "poisson_nll_loss", "margin_ranking": "margin_ranking_loss",
    "binary_cross_entropy": "binary_cross_entropy", "nll": "nll_loss", "cross_entropy": "cross_entropy",
    "binary_cross_entropy_with_logits": "binary_cross_entropy_with_logits",
}
OTHER = ("sum", "mean", "prod", "amax", "amin", "max", "min", "logsumexp", "cumsum", "cumprod", "logcumsumexp", "softmax",
         "log_softmax", "softmin", "reshape", "flip", "power", "glu", "std", "var")
NAMES = (*SAME, *FUNCTIONAL, *OTHER)
FLOATS = {"conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "mse", "l1", "huber", "smooth_l1", "kl_div",
          "gaussian_nll",
          "poisson_nll", "binary_cross_entropy", "binary_cross_entropy_with_logits", "margin_ranking"}

ROUNDED = {"hard_sigmoid", "hard_swish", "celu"}  # PyTorch computes with 1/6, or 1/alpha, in single precision


class Unavailable(Exception):  # noqa: N818 - it is no error
    """PyTorch has no such call."""


class PyTorch:
    """Stands for `tg` and `np` in a program's plain text."""

    float64 = staticmethod(float)
    float32 = staticmethod(lambda x: float(np.float32(x)))
    int64 = staticmethod(int)
    inf = math.inf

    def __init__(self) -> None:
        import torch

        self.torch = torch
        self.F = torch.nn.functional

    def tensor(self, x: Any) -> Any:
        return self.torch.tensor(np.ascontiguousarray(x).reshape(np.shape(x)))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        torch = self.torch
        if name in SAME:
            return lambda *args: getattr(torch, name)(*map(self.operand, args))
        if name in FUNCTIONAL:
            function = getattr(self.F, FUNCTIONAL[name])
            return lambda *args, **kwargs: function(*self.arguments(name, args), **self.keywords(name, kwargs))
        if name in OTHER:
            return lambda x, *args, **kwargs: self.other(name, self.operand(x), args, kwargs)
        raise Unavailable(name)

    def operand(self, x: Any) -> Any:
        torch = self.torch
        return x if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=None if isinstance(x, bool) else torch.float64)

    def arguments(self, name: str, args: Sequence[Any]) -> list[Any]:
        torch = self.torch
        if name in FLOATS:
            args = [torch.tensor(x, dtype=torch.float64) if isinstance(x, list) else x for x in args]
            args = [x.double() if isinstance(x, torch.Tensor) else x for x in args]
        if name in ("layer_norm", "rms_norm") and isinstance(args[1], int):
            args = [args[0], (args[1],), *args[2:]]
        if name == "prelu":
            args = [args[0], self.operand(args[1]).reshape(-1)]
        return list(args)

    def keywords(self, name: str, kwargs: dict[str, Any]) -> dict[str, Any]:
        if name in ("avg_pool1d", "avg_pool2d", "unfold", "fold"):
            return kwargs
        if "axis" in kwargs:
            raise Unavailable(name)
        if name in ("binary_cross_entropy_with_logits",) and "pos_weight" in kwargs:
            kwargs["pos_weight"] = self.operand(kwargs["pos_weight"])
        return {k: self.torch.tensor(v, dtype=self.torch.float64) if isinstance(v, list) else v for k, v in kwargs.items()}

    def other(self, name: str, x: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        torch = self.torch
        if name == "reshape":
            return x.reshape(args[0])
        if name == "power":
            return x ** self.operand(args[0])
        axis, keep = kwargs.get("axis"), kwargs.get("keepdims", False)
        every = tuple(range(x.ndim))
        axes = every if axis is None else (axis,) if isinstance(axis, int) else axis
        if name == "flip":
            return torch.flip(x, axes)
        if name in ("softmax", "log_softmax", "softmin"):
            axis = -1 if not kwargs else axis
            if not isinstance(axis, int):
                raise Unavailable(name)
            return getattr(self.F, name)(x, axis)
        if name == "glu":
            return self.F.glu(x, axis)
        if name in ("cumsum", "cumprod", "logcumsumexp"):
            return getattr(torch, name)(x.reshape(-1) if axis is None else x, 0 if axis is None else axis)
        if axes == ():
            raise Unavailable(name)  # there it means all axes
        if name == "prod":
            for i in sorted((i % x.ndim for i in axes), reverse=True):
                x = torch.prod(x, i, keepdim=keep)
            return x
        if name in ("var", "std"):
            return getattr(torch, name)(x, axes, correction=kwargs.get("ddof", 0), keepdim=keep)
        return getattr(torch, {"max": "amax", "min": "amin"}.get(name, name))(x, axes, keepdim=keep)


def gradients(program: Program, torch: PyTorch) -> list[Any]:
    """dJ/dx of every input, by PyTorch."""
    given = {**program.constants, **program.weights()}
    constants = {k: torch.tensor(np.asarray(v, float) if np.asarray(v).dtype.kind == "f" else v) for k, v in given.items()}
    space: dict[str, Any] = {"np": torch, "tg": torch, **constants}
    exec(compile(program.text(plain=True), "<program>", "exec"), space)  # noqa: S102
    xs = [torch.tensor(x).requires_grad_() for x in program.inputs.values()]
    space["cost"](*xs).backward()
    return [np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in xs]


def run(first: int, count: int) -> tuple[Counter[str], list[str]]:
    torch, counts, findings = PyTorch(), Counter[str](), []
    for seed in range(first, first + count):
        builder = Builder(Draws(seed), NAMES)
        builder.dtypes = ["float64"]
        try:
            program = builder.build(seed)
            wanted = gradients(program, torch)
        except (RejectedError, Unavailable):
            counts["not made, or no such call in PyTorch"] += 1
            continue
        except (TypeError, RuntimeError, ValueError, AttributeError) as error:
            counts[f"PyTorch: {type(error).__name__}"] += 1
            continue
        with np.errstate(all="ignore"):
            found = tg.grad(program.functions()[1], argnums=tuple(range(len(wanted))))(*program.inputs.values())
        rtol = 1e-6 if ROUNDED & {step.function for step in program.steps} else 1e-9
        scale = max([1.0, *(float(np.max(np.abs(w), initial=0)) for w in wanted)])
        good = all(np.allclose(d, w, rtol=rtol, atol=rtol * scale, equal_nan=True) for d, w in zip(found, wanted, strict=True))
        counts["compared"] += 1
        counts["compared at ties" if builder.ties else "compared in general"] += 1
        if not good:
            findings.append(f"PyTorch {[np.asarray(w).tolist() for w in wanted]}\nhere    "
                            f"{[np.asarray(d).tolist() for d in found]}\n{program}")
            counts["differ: " + " ".join(step.function for step in program.steps)] += 1
    return counts, findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    given = parser.parse_args()
    counts, findings = run(given.first, given.count)
    for key, n in counts.most_common():
        print(n, key)
    for text in findings[:8]:
        print("-" * 100, text, sep="\n")


if __name__ == "__main__":
    main()
