"""Parts of networks, composed of ops: no derivative is written here."""

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
from .module import Module, ModuleDict, ModuleList, Sequential, functional_call
from .normalisations import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, RMSNorm
from .penalties import l2
from .regression import gaussian_nll, huber, l1, mse, poisson_nll, smooth_l1

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "SELU", "AvgPool1d", "AvgPool2d", "BatchNorm1d", "BatchNorm2d", "Conv1d", "Conv2d",
    "ConvTranspose1d", "ConvTranspose2d", "Dropout", "Dropout2d", "Embedding", "Flatten", "GroupNorm", "Hardshrink",
    "Hardsigmoid", "Hardswish", "Hardtanh", "Identity", "LayerNorm", "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax",
    "MaxPool1d", "MaxPool2d", "Mish", "Module", "ModuleDict", "ModuleList", "PReLU", "RMSNorm", "ReLU", "ReLU6",
    "Sequential", "SiLU", "Sigmoid", "Softmax", "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink",
    "Unflatten", "binary_cross_entropy", "binary_cross_entropy_with_logits", "categorical_cross_entropy", "cross_entropy",
    "focal", "functional_call", "gaussian_nll", "hinge", "huber", "init", "kl_div", "l1", "l2", "margin_ranking", "mse",
    "multiclass_hinge", "nll", "one_hot", "poisson_nll", "smooth_l1",
]
