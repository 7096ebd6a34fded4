"""A reader of printed formulas: it computes what the text says, knowing nothing of the program that wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

import tinygrad_edu as tg

_FUNCTIONS = {"σ": tg.sigmoid, "exp": np.exp, "log": np.log, "tanh": np.tanh, "sign": np.sign, "softmax": tg.softmax,
              "mean": np.mean, "col": lambda x: x[:, None],
              "one_hot": lambda y, classes, axis: np.moveaxis(np.eye(classes)[y.astype(int)], -1, axis)}
_SUPERSCRIPTS, _SUBSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹", "₀₁₂₃₄₅₆₇₈₉"


class Formula:
    """Sums of products; ⊙, · and / from left to right; side by side is a matrix product, or a number's product; Σ and √
    take what follows; vectors are columns where they stand side by side."""

    def __init__(self, text: str, values: Mapping[str, Any]) -> None:
        names = sorted((n for n in [*values, *_FUNCTIONS] if n), key=len, reverse=True)
        number = r"[0-9]+(?:\.[0-9]+)?(?:e−?[0-9]+)?"
        pattern = "|".join(["[a-z]+(?==)", *(re.escape(n) + r"(?![A-Za-z0-9_=])" for n in names), number,
                            *(re.escape(n) for n in names if len(n) == 1), r"\S"])
        self.tokens = [t for t in re.findall(pattern, text) if t.strip()]
        self.values, self.at = values, 0

    def value(self) -> Any:
        out = self.sum()
        assert self.at == len(self.tokens), f"left over: {self.tokens[self.at :]}"
        return out

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str | None = None) -> str:
        token = self.peek()
        assert token, "the formula ends early"
        assert wanted is None or token == wanted, f"{wanted} expected, {token} found"
        self.at += 1
        return token

    def sum(self) -> Any:
        negative = self.peek() == "−" and bool(self.take())
        total = -self.product() if negative else self.product()
        while self.peek() in ("+", "−"):
            total = total + self.product() if self.take() == "+" else total - self.product()
        return total

    def product(self) -> Any:
        total = self.beside()
        while self.peek() in ("⊙", "·", "/"):
            total = total / self.beside() if self.take() == "/" else total * self.beside()
        return total

    def beside(self) -> Any:
        total = self.postfix()
        while self.peek() and self.peek() not in "+−⊙·/)],=><≥≤≠":
            total = _beside(total, self.postfix())
        return total

    def postfix(self) -> Any:
        if self.peek() == "Σ":
            self.take()
            axes = []
            while self.peek() and self.peek() in _SUBSCRIPTS:
                axes.append(_SUBSCRIPTS.index(self.take()))
            x = self.postfix()
            return np.sum(x, axis=tuple(axes), keepdims=axes != [0]) if axes else np.sum(x)
        if self.peek() == "√":
            self.take()
            return np.sqrt(self.postfix())
        x = self.atom()
        while self.peek() and self.peek() in "ᵀ" + _SUPERSCRIPTS:
            if self.peek() == "ᵀ":
                self.take()
                x = x[None, :] if x.ndim == 1 else x.mT
                continue
            power = 0
            while self.peek() and self.peek() in _SUPERSCRIPTS:
                power = 10 * power + _SUPERSCRIPTS.index(self.take())
            x = x**power
        return x

    def atom(self) -> Any:
        token = self.take()
        if token == "(":
            x = self.sum()
            self.take(")")
            return x
        if token == "|":
            x = np.abs(self.sum())
            self.take("|")
            return x
        if token == "1" and self.peek() == "[":
            self.take()
            a, sign = self.sum(), self.take()
            b = self.sum()
            self.take("]")
            return {">": np.greater, "≥": np.greater_equal, "<": np.less, "≤": np.less_equal, "=": np.equal}[sign](
                a, b if np.ndim(b) != 1 or np.ndim(a) != 2 else b[:, None]) * 1.0
        if token in _FUNCTIONS and self.peek() == "(":
            self.take()
            inner, settings = [self.sum()], {}
            while self.peek() == ",":
                self.take()
                key = self.take()
                self.take("=")
                settings[key] = int(self.take())
            self.take(")")
            if token == "mean" and settings:
                settings["keepdims"] = True
            return _FUNCTIONS[token](*inner, **settings)
        if token[0].isdigit():
            return np.float64(token.replace("−", "-"))
        return np.asarray(self.values[token])


def _beside(a: Any, b: Any) -> Any:
    if not np.ndim(a) or not np.ndim(b):
        return a * b
    left, right = (a[:, None] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    out = left @ right
    return out[..., 0] if b.ndim == 1 else out


def value_of(text: str, values: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    """The array a printed formula stands for, in a shape that may differ in axes of size 1."""
    out = np.asarray(Formula(text, values).value())
    if out.size == int(np.prod(shape)):
        return out.reshape(shape)
    return np.broadcast_to(out, shape)
