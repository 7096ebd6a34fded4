"""Parts of networks, composed of ops: no derivative is written here."""

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

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "categorical_cross_entropy", "cross_entropy", "focal",
    "gaussian_nll", "hinge", "huber", "kl_div", "l1", "margin_ranking", "mse", "multiclass_hinge", "nll", "one_hot",
    "poisson_nll", "smooth_l1",
]
