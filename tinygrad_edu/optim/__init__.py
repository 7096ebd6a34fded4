"""Gradient descent and its family, with PyTorch's names and defaults: what changes the parameters, and at which rate.

>>> import numpy as np
>>> from tinygrad_edu import Tensor, optim
>>> w, b = Tensor(0.0), Tensor(0.0)
>>> optimizer = optim.SGD([w, b], lr=0.1)
>>> x, y = np.array([1.0, 2.0, 3.0]), np.array([3.0, 5.0, 7.0])
>>> for _ in range(1000):
...     optimizer.zero_grad()
...     np.mean((w * x + b - y) ** 2).backward()
...     optimizer.step()
>>> print(f"{w:.4f} {b:.4f}")
2.0000 1.0000
"""

from .clipping import clip_grad_norm_, clip_grad_value_, norm_of
from .optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, functional
from .schedules import (
    Schedule,
    constant_lr,
    cosine_annealing_lr,
    exponential_lr,
    linear_lr,
    multi_step_lr,
    one_cycle_lr,
    polynomial_lr,
    step_lr,
    warm_up,
)

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "clip_grad_norm_",
    "clip_grad_value_",
    "constant_lr",
    "cosine_annealing_lr",
    "exponential_lr",
    "functional",
    "linear_lr",
    "multi_step_lr",
    "norm_of",
    "one_cycle_lr",
    "polynomial_lr",
    "step_lr",
    "warm_up",
]
