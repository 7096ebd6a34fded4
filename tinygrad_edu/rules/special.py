"""Functions that NumPy lacks, computed stably: the logistic family, cross-entropies, and the error function.

The error function: W. J. Cody's rational approximations (Math. Comp. 23, 1969), accurate to about one unit in the last
place of float64 for erf, and relative to the value for erfc, which keeps the tail that 1 - erf(x) loses.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray

# ---------------------------------------------------------------- the logistic family


def sigmoid(x: Any) -> Any:
    if type(x) is not ndarray:
        if type(x) is np.float64:
            return np.float64(1 / (1 + math.exp(-x)) if x > -700 else math.exp(x) if x <= -700 else x)
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-x))
    e = np.negative(x)
    with np.errstate(over="ignore"):  # exp(800) = inf, and 1/(1 + inf) = 0 is right
        np.exp(e, out=e)
    e += 1
    return np.divide(1, e, out=e)


def softplus(x: Any, beta: float = 1.0) -> Any:
    if beta != 1.0:
        return softplus(x * beta) / beta
    if type(x) is not ndarray:
        return np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))
    y = np.abs(x)
    np.negative(y, out=y)
    np.exp(y, out=y)
    np.log1p(y, out=y)
    y += np.maximum(x, 0)
    return y


GELU_SCALE, GELU_CUBE = math.sqrt(2 / math.pi), 0.044715  # u = scale · (x + cube · x³), Hendrycks and Gimpel 2016


def gelu_tanh(x: Any) -> Any:
    """½x (1 + tanh u) as x σ(2u), where nothing cancels for x < 0; beyond ±25, σ(2u) is 0 or 1."""
    low = np.maximum(x, -25.0)
    near = np.minimum(low, 25.0)
    if type(x) is not ndarray:
        with np.errstate(over="ignore"):  # x / (1 + inf) = 0 is right
            return low / (np.exp((near * near * (-2 * GELU_SCALE * GELU_CUBE) - 2 * GELU_SCALE) * near) + 1)
    e = near * near
    e *= -2 * GELU_SCALE * GELU_CUBE
    e -= 2 * GELU_SCALE
    e *= near
    with np.errstate(over="ignore"):
        np.exp(e, out=e)
    e += 1
    return np.divide(low, e, out=e)


def gelu_tanh_slope(x: Any) -> Any:
    """Its derivative σ(2u) (1 + 2x u' σ(−2u)), with σ(−2u) = e σ(2u) for e = exp(−2u)."""
    near = np.minimum(np.maximum(x, -25.0), 25.0)
    if type(x) is not ndarray:
        growth = (near * near * (6 * GELU_SCALE * GELU_CUBE) + 2 * GELU_SCALE) * near
        with np.errstate(over="ignore", invalid="ignore"):
            e = np.exp((near * near * (-2 * GELU_SCALE * GELU_CUBE) - 2 * GELU_SCALE) * near)
            share = 1 / (e + 1)
            return (growth * np.fmin(e * share, 1) + 1) * share  # inf · 0 is 1 here
    slope = near * near
    e = slope * (-2 * GELU_SCALE * GELU_CUBE)
    e -= 2 * GELU_SCALE
    e *= near
    slope *= 6 * GELU_SCALE * GELU_CUBE
    slope += 2 * GELU_SCALE
    slope *= near
    with np.errstate(over="ignore", invalid="ignore"):
        np.exp(e, out=e)
        near = np.add(e, 1, out=near)
        np.divide(1, near, out=near)
        e *= near
    np.fmin(e, 1, out=e)
    slope *= e
    slope += 1
    slope *= near
    return slope


def sigmoid_error(z: Any, y: Any) -> Any:
    """σ(z) − y as (1 − y − y e) / (1 + e) with e = exp(−z), kept from overflowing: nothing cancels for y = 0 and 1."""
    lowest = -88.0 if z.dtype.itemsize < 8 else -709.0
    e = np.exp(-np.maximum(z, lowest))
    return (1 - y - y * e) / (1 + e)


def cross_entropy_logits(z: Any, y: Any) -> Any:
    return np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))


def cross_entropy(p: Any, y: Any) -> Any:
    """−[y log p + (1−y) log(1−p)], where 0 · log 0 is 0."""
    return -(y * np.log(np.where(y == 0, 1, p)) + (1 - y) * np.log1p(-np.where(y == 1, 0, p)))


# ---------------------------------------------------------------- the error function

# |x| <= 0.46875: erf(x) = x P(x²) / Q(x²)
_P1 = (1.85777706184603153e-1, 3.16112374387056560e00, 1.13864154151050156e02, 3.77485237685302021e02,
       3.20937758913846947e03)
_Q1 = (1.0, 2.36012909523441209e01, 2.44024637934444173e02, 1.28261652607737228e03, 2.84423683343917062e03)
# 0.46875 <= |x| <= 4: erfc(x) = exp(-x²) P(x) / Q(x)
_P2 = (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e00, 6.61191906371416295e01,
       2.98635138197400131e02, 8.81952221241769090e02, 1.71204761263407058e03, 2.05107837782607147e03,
       1.23033935479799725e03)
_Q2 = (1.0, 1.57449261107098347e01, 1.17693950891312499e02, 5.37181101862009858e02, 1.62138957456669019e03,
       3.29079923573345963e03, 4.36261909014324716e03, 3.43936767414372164e03, 1.23033935480374942e03)
# |x| >= 4: erfc(x) = exp(-x²) / x (1/√π - P(1/x²) / (x² Q(1/x²)))
_P3 = (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
       1.60837851487422766e-2, 6.58749161529837803e-4)
_Q3 = (1.0, 2.56852019228982242e00, 1.87295284992346725e00, 5.27905102951428412e-1, 6.05183413124413191e-2,
       2.33520497626869185e-3)


def _polynomial(coefficients: tuple[float, ...], x: Any) -> Any:
    total = coefficients[0]
    for c in coefficients[1:]:
        total = total * x + c
    return total


def _tail(x: Any) -> Any:
    """erfc of x >= 0.46875; exp(-x²) is split so that the rounding of x² is not amplified."""
    # each branch sees only arguments it is meant for, so neither overflows
    near, far = np.clip(x, 0.46875, 4.0), np.clip(x, 4.0, 30.0)
    inverse = 1 / (far * far)
    high = np.trunc(np.minimum(x, 30.0) * 16) / 16
    low = (np.minimum(x, 30.0) - high) * (np.minimum(x, 30.0) + high)
    exponential = np.exp(-high * high) * np.exp(-low)
    middle = _polynomial(_P2, near) / _polynomial(_Q2, near)
    last = (0.5641895835477562869 - inverse * _polynomial(_P3, inverse) / _polynomial(_Q3, inverse)) / far
    return exponential * np.where(x <= 4.0, middle, last)


def _real(x: Any) -> Any:
    x = np.asarray(x)
    if x.dtype.kind == "c":
        raise TypeError("erf: these approximations hold for real numbers only.")
    return x


def erf(x: Any) -> Any:
    """The error function 2/√π ∫₀ˣ exp(−t²) dt, entrywise."""
    x = _real(x)
    w = x.astype(np.float64)
    size = np.abs(w)
    small = np.minimum(size, 0.46875)
    inner = w * (_polynomial(_P1, small * small) / _polynomial(_Q1, small * small))
    outer = np.copysign(1 - _tail(np.maximum(size, 0.46875)), w)
    return np.where(size <= 0.46875, inner, outer).astype(x.dtype)[()]


def erfc(x: Any) -> Any:
    """1 − erf(x), without the cancellation for large x."""
    x = _real(x)
    w = x.astype(np.float64)
    size = np.abs(w)
    small = np.minimum(size, 0.46875)
    inner = 1 - w * (_polynomial(_P1, small * small) / _polynomial(_Q1, small * small))
    tail = _tail(np.maximum(size, 0.46875))
    return np.where(size <= 0.46875, inner, np.where(w < 0, 2 - tail, tail)).astype(x.dtype)[()]
