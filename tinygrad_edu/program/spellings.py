"""How operations on single numbers are written in Python: with signs, choices, and functions of the math module."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..rules import pointwise
from ..tensor import Primitive

# How tightly parts of an expression bind, as in Python's grammar.
CHOICE, AND, NOT, COMPARISON, SUM, PRODUCT, SIGN, ATOM = range(8)


class Spelling(NamedTuple):
    """An operation on floats in Python.

    text : the expression, with {0}, {1} for the operands. binds : how tightly it does. needs : how tightly each operand
    must, so that it goes without brackets. twice : whether operands are read more than once, and so must have a name.
    imports : what it calls, name -> function.
    """

    text: str
    binds: int
    needs: tuple[int, ...]
    twice: bool = False
    imports: tuple[tuple[str, Callable[..., Any]], ...] = ()


def _infix(sign: str, binds: int) -> Spelling:
    left = binds + 1 if binds == COMPARISON else binds
    return Spelling(f"{{0}} {sign} {{1}}", binds, (left, binds + 1))


def _function(name: str, function: Callable[..., Any], count: int = 1) -> Spelling:
    places = ", ".join(f"{{{i}}}" for i in range(count))
    return Spelling(f"{name}({places})", ATOM, (CHOICE,) * count, imports=((name, function),))


def _choice(text: str, *needs: int) -> Spelling:
    return Spelling(text, CHOICE, needs, twice=True)


SPELLINGS: dict[Primitive, Spelling] = {
    pointwise.add: _infix("+", SUM), pointwise.subtract: _infix("-", SUM),
    pointwise.multiply: _infix("*", PRODUCT), pointwise.divide: _infix("/", PRODUCT),
    pointwise.negative: Spelling("-{0}", SIGN, (SIGN,)),
    pointwise.reciprocal: Spelling("1.0 / {0}", PRODUCT, (SIGN,)),
    pointwise.square: Spelling("{0} * {0}", PRODUCT, (PRODUCT,), twice=True),
    pointwise.greater: _infix(">", COMPARISON), pointwise.greater_equal: _infix(">=", COMPARISON),
    pointwise.less: _infix("<", COMPARISON), pointwise.less_equal: _infix("<=", COMPARISON),
    pointwise.equal: _infix("==", COMPARISON), pointwise.not_equal: _infix("!=", COMPARISON),
    # the one that is not chosen is not computed
    pointwise.gate: Spelling("{0} if {1} else 0.0", CHOICE, (AND, AND)),
    pointwise.where: Spelling("{1} if {0} else {2}", CHOICE, (AND, AND, AND)),
    pointwise.relu: _choice("0.0 if {0} <= 0.0 else {0}", COMPARISON + 1),  # nan stays nan
    pointwise.maximum: _choice("{0} if {0} > {1} or {0} != {0} else {1}", COMPARISON + 1, COMPARISON + 1),
    pointwise.minimum: _choice("{0} if {0} < {1} or {0} != {0} else {1}", COMPARISON + 1, COMPARISON + 1),
    **{getattr(pointwise, name): _function(name, getattr(pointwise, name).scalar) for name in (
        "absolute", "sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh",
        "tanh", "arcsinh", "arccosh", "arctanh", "erf") if getattr(pointwise, name).scalar is not None},
}
LOGIC: dict[Any, Spelling] = {  # of truth values
    np.bitwise_and: _infix("and", AND), np.logical_and: _infix("and", AND),
    np.invert: Spelling("not {0}", NOT, (NOT,)), np.logical_not: Spelling("not {0}", NOT, (NOT,)),
}


# ---------------------------------------------------------------- functions without a place in the math module


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else math.exp(x) if x <= -700 else x


def softplus(x: float) -> float:
    return (0.0 if x <= 0 else x) + math.log1p(math.exp(-abs(x)))


def log_sigmoid(x: float) -> float:
    return -softplus(-x)


def silu(x: float) -> float:
    return x * sigmoid(x)


def sigmoid_error(z: float, y: float) -> float:
    """As in rules.special."""
    e = math.exp(-z if z > -709.0 or z != z else 709.0)
    return (1 - y - y * e) / (1 + e)


def cross_entropy(z: float, y: float) -> float:
    """Of logits, as in rules.special."""
    return (0.0 if z <= 0 else z) - y * z + math.log1p(math.exp(-abs(z)))


def clip(x: float, low: float, high: float) -> float:
    x = x if x > low or x != x else low
    return x if x < high or x != x else high


for _op, _f, _count in ((pointwise.sigmoid, sigmoid, 1), (pointwise.softplus, softplus, 1), (pointwise.silu, silu, 1),
                        (pointwise.log_sigmoid, log_sigmoid, 1), (pointwise.sigmoid_error, sigmoid_error, 2), (
                            pointwise.binary_cross_entropy_with_logits, cross_entropy, 2),
                        (pointwise.clip, clip, 3), (pointwise.power, math.pow, 2)):
    SPELLINGS[_op] = _function(_f.__name__, _f, _count)


def with_parameters(op: Primitive, params: dict[str, Any]) -> Spelling | None:
    """The spelling of an operation with parameters, where there is one."""
    if op is pointwise.relu:
        return SPELLINGS[op]  # the parameter is the slope's
    if op is pointwise.leaky_relu and set(params) == {"slope"} and _finite(params["slope"]):
        return _choice(f"{{0}} if {{0}} > 0.0 else {params['slope']!r} * {{0}}", PRODUCT + 1)
    if op is pointwise.constant_power and set(params) == {"exponent"} and _finite(params["exponent"]):
        exponent = params["exponent"]
        if exponent == 2:
            return SPELLINGS[pointwise.square]
        if exponent == -1:
            return SPELLINGS[pointwise.reciprocal]
        if exponent == 0.5:
            return SPELLINGS[pointwise.sqrt]
        return Spelling(f"pow({{0}}, {float(exponent)!r})", ATOM, (CHOICE,), imports=(("pow", math.pow),))
    return None


def _finite(x: Any) -> bool:
    return type(x) in (int, float) and math.isfinite(x)


def called(op: Primitive, params: dict[str, Any], truth: bool, count: int) -> Spelling:
    """A primitive without a spelling, as a function of floats."""

    def call(*operands: Any) -> Any:
        y = op(*[np.bool_(x) if type(x) is bool else np.float64(x) for x in operands], **params)
        return bool(y) if truth else float(y)

    name = "".join(c if c.isalnum() else "_" for c in op.name)
    call.__name__ = name
    return _function(name, call, count)


__all__ = ["AND", "ATOM", "CHOICE", "COMPARISON", "LOGIC", "NOT", "PRODUCT", "SIGN", "SPELLINGS", "SUM", "Spelling", "called",
           "with_parameters"]
