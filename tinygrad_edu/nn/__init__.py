"""Parts of networks, composed of ops: no derivative is written here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    categorical_cross_entropy,
    cross_entropy,
    focal,
    kl_div,
    nll,
    one_hot,
)
from .margins import hinge, margin_ranking, multiclass_hinge
from .regression import gaussian_nll, huber, l1, mse, poisson_nll, smooth_l1

if TYPE_CHECKING:  # layers are loaded when one is first used
    from . import init
    from .activations import (
        CELU,
        ELU,
        GELU,
        GLU,
        SELU,
        Hardshrink,
        Hardsigmoid,
        Hardswish,
        Hardtanh,
        LeakyReLU,
        LogSigmoid,
        LogSoftmax,
        Mish,
        PReLU,
        ReLU,
        ReLU6,
        Sigmoid,
        SiLU,
        Softmax,
        Softmin,
        Softplus,
        Softshrink,
        Softsign,
        Tanh,
        Tanhshrink,
    )
    from .attention import MultiheadAttention
    from .convolutions import (
        AvgPool1d,
        AvgPool2d,
        Conv1d,
        Conv2d,
        ConvTranspose1d,
        ConvTranspose2d,
        MaxPool1d,
        MaxPool2d,
    )
    from .layers import Dropout, Dropout2d, Embedding, Flatten, Identity, Linear, Unflatten
    from .linear_maps import collapse_linear
    from .module import Module, ModuleDict, ModuleList, Sequential, functional_call
    from .normalisations import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, RMSNorm
    from .penalties import l2
    from .recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
    from .table import summary

_PLACES = {  # file -> what it holds
    "activations": (
        "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU",
        "LogSigmoid", "LogSoftmax", "Mish", "PReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softmax",
        "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink",
    ),
    "attention": (
        "MultiheadAttention",
    ),
    "convolutions": (
        "AvgPool1d", "AvgPool2d", "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "MaxPool1d",
        "MaxPool2d",
    ),
    "layers": (
        "Dropout", "Dropout2d", "Embedding", "Flatten", "Identity", "Linear", "Unflatten",
    ),
    "linear_maps": (
        "collapse_linear",
    ),
    "module": (
        "Module", "ModuleDict", "ModuleList", "Sequential", "functional_call",
    ),
    "normalisations": (
        "BatchNorm1d", "BatchNorm2d", "GroupNorm", "LayerNorm", "RMSNorm",
    ),
    "penalties": (
        "l2",
    ),
    "recurrent": (
        "GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNCell",
    ),
    "table": (
        "summary",
    ),
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in ('init',):
        return import_module(f"{__name__}.{name}")
    for place, names in _PLACES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"{__name__}.{place}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "Dropout",
    "Dropout2d",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GroupNorm",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Identity",
    "LSTMCell",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "MaxPool1d",
    "MaxPool2d",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "PReLU",
    "RMSNorm",
    "RNNCell",
    "ReLU",
    "ReLU6",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Unflatten",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "categorical_cross_entropy",
    "collapse_linear",
    "cross_entropy",
    "focal",
    "functional_call",
    "gaussian_nll",
    "hinge",
    "huber",
    "init",
    "kl_div",
    "l1",
    "l2",
    "margin_ranking",
    "mse",
    "multiclass_hinge",
    "nll",
    "one_hot",
    "poisson_nll",
    "smooth_l1", "summary",
]
