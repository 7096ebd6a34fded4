"""Writing the sums of `simplify` as people write formulas: text, and LaTeX."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from .notation import _index, escaped, latex_name, number_text, printable, superscript
from .notation_windows import settings_shown
from .simplify import Atom, Product, Sum, _all_views

# How strongly a form holds together; a weaker one gets parentheses.
SUM, NEGATION, PRODUCT, MATRIX, POWER, ATOM = 10, 15, 20, 22, 30, 50
LONGEST_FRACTION = 14  # characters of a numerator or denominator that is written without spaces

_SIGNS = {"greater": (" > ", " > "), "greater_equal": (" ≥ ", r" \geq "), "less": (" < ", " < "),
          "less_equal": (" ≤ ", r" \leq "), "equal": (" = ", " = "), "not_equal": (" ≠ ", r" \neq "),
          "bitwise_and": (" and ", r" \wedge "), "bitwise_or": (" or ", r" \vee ")}
_FUNCTIONS = {"sigmoid": ("σ", r"\sigma"), "log_sigmoid": ("log σ", r"\log \sigma"), "normal_cdf": ("Φ", r"\Phi"),
              "maximum": ("max", r"\max"), "minimum": ("min", r"\min"), "class_cross_entropy": ("cross_entropy", "")} | {
    f: (f, f"\\{f}") for f in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan",
                               "max", "min")}
_BELOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

Part = tuple[str, int]  # what is written, and how strongly it holds together


def variable(text: str, in_latex: bool) -> str:
    """A name; in LaTeX a gradient is an upright form of its variable: dW1 is dW with an index."""
    if not in_latex:
        return printable(text)
    known = {"lambd": r"\lambda", "lambda_": r"\lambda", "lam": r"\lambda"}
    if text in known:
        return known[text]
    own = latex_name(text[1:]) if text[:1] == "d" and len(text) > 2 and not text[1].isdigit() else ""
    return f"d{own}" if own and not own.startswith(r"\mathrm") else latex_name(text)


class Writer:
    """Writes sums, as text or in LaTeX."""

    def __init__(self, in_latex: bool = False) -> None:
        self.in_latex = in_latex
        self._beside_matrices = False  # where vectors are columns anyhow

    # -- sums and terms

    def sum(self, s: Sum) -> Part:
        """A sum: its terms in a fixed order, the first one with its sign."""
        if not s.terms:
            return "0", ATOM
        parts = [self.term(c, p) for c, p in ordered(s.terms)]
        first, written, strength = parts[0]
        if len(parts) == 1:
            return (f"{self._minus()}{written}", NEGATION) if first < 0 else (written, strength)
        text = f"{self._minus()}{written}" if first < 0 else written
        for sign, more, _ in parts[1:]:
            text += f" {'+' if sign > 0 else self._minus()} {more}"
        return text, SUM

    def _minus(self) -> str:
        return "-" if self.in_latex else "−"

    def wrapped(self, part: Part, need: int) -> str:
        """In parentheses where it does not hold together strongly enough."""
        text, strength = part
        if strength >= need:
            return text
        return rf"\left( {text} \right)" if self.in_latex else f"({text})"

    def term(self, c: Any, p: Product) -> tuple[int, str, int]:
        """One term: its sign, what is written, how strongly it holds together."""
        sign, c = (-1, -c) if c < 0 else (1, c)
        if sign < 0:  # −(Y − A) is A − Y
            turned = next((a for a, e in p if e == 1 and a.head == "paren" and _mixed(a.operands[0])), None)
            if turned is not None:
                held = turned.operands[0]
                other = Atom("paren", (Sum([(-k, q) for k, q in held.terms], held.shape),), {}, turned.shape, -1)
                sign, p = 1, tuple((other if a is turned else a, e) for a, e in p)
        arrays = any(a.shape for a, _ in p)
        front = [(a, e) for a, e in p if a.head == "name" and not a.shape and _is_symbol(a, arrays)]
        body = [(a, e) for a, e in p if (a, e) not in front]
        above, below = self._number(c)
        body = arranged(body)
        tops, bottoms = [(a, e) for a, e in body if e > 0], [(a, -e) for a, e in body if e < 0]
        f_tops, f_bottoms = [(a, e) for a, e in front if e > 0], [(a, -e) for a, e in front if e < 0]
        if not arrays and (f_bottoms or f_tops or below) and not any(a.head in ("matmul", "sum") for a, _ in body):
            tops, bottoms, f_tops, f_bottoms = f_tops + tops, f_bottoms + bottoms, [], []
            return (sign, *self._fraction(above, tops, below, bottoms))
        if not body:
            return (sign, *self._fraction(above, f_tops, below, f_bottoms))
        inner, strength = self._fraction("", tops, "", bottoms)
        if not f_tops and not f_bottoms and not below:
            if not above:
                return sign, inner, strength
            return sign, self._beside(above, inner, strength), PRODUCT
        outer, _ = self._fraction(above, f_tops, below, f_bottoms)
        dot = r" \cdot " if self.in_latex else " · "
        if self.in_latex and (f_bottoms or below):
            dot = r" \, "
        return sign, f"{outer}{dot}{self.wrapped((inner, strength), PRODUCT)}", PRODUCT

    def _beside(self, number: str, inner: str, strength: int) -> str:
        """A number before a product: 3c, 2(A − Y), 2 · dZ."""
        inner = self.wrapped((inner, strength), PRODUCT)
        close = re.match(r"[^\W\d_](?=[²³⁴⁵⁶⁷⁸⁹⁰¹\s·/)^]|$)|\(|\\left\(|1\[|\\mathbf", inner)
        if close and number.isdigit() and not inner.startswith(("1[", r"\mathbf")):
            return f"{number}{inner}" if not self.in_latex else f"{number} {inner}"
        return f"{number} {chr(92) + 'cdot' if self.in_latex else '·'} {inner}"

    def _number(self, c: Any) -> tuple[str, str]:
        """A positive coefficient as numerator and denominator; 1 is empty."""
        if isinstance(c, Fraction):
            if c.denominator == 1:
                return ("" if c == 1 else number_text(c.numerator)), ""
            short = number_text(float(c))
            if len(short) <= 5 and float(short.replace("−", "-")) == float(c) and c.denominator not in (2, 4):
                return short, ""
            return ("" if c.numerator == 1 else number_text(c.numerator)), number_text(c.denominator)
        text = number_text(c)
        if "e" in text and self.in_latex:
            digits, _, exponent = text.partition("e")
            text = rf"{digits} \cdot 10^{{{exponent.replace('−', '-')}}}"
        return text, ""

    def _fraction(self, above: str, tops: Sequence[tuple[Atom, Any]], below: str,
                  bottoms: Sequence[tuple[Atom, Any]]) -> Part:
        top, top_strength = self._product(above, tops)
        if not bottoms and not below:
            return top or "1", top_strength if top else ATOM
        bottom, bottom_strength = self._product(below, bottoms)
        if self.in_latex:
            return rf"\frac{{{self._bare(top) or '1'}}}{{{self._bare(bottom)}}}", PRODUCT
        top = top or "1"
        if len(tops) == 1 and not above:
            top = _close(top)
        if len(bottoms) == 1 and not below:
            bottom = _close(bottom)
        if bottom_strength < POWER and not (bottom[0] == "(" and _one_group(bottom)):
            bottom = f"({_close(bottom)})"
        slash = " / " if " " in top or (" " in bottom and len(bottom) > LONGEST_FRACTION) else "/"
        return f"{top}{slash}{bottom}", PRODUCT

    def _bare(self, text: str) -> str:
        """In \\frac{}{} no parentheses around all of it are needed."""
        if not text.startswith(r"\left( "):
            return text
        depth = 0
        for found in re.finditer(r"\\left|\\right", text):
            depth += 1 if found[0] == r"\left" else -1
            if depth == 0:
                return text[len(r"\left( ") : -len(r" \right)")] if text[found.start() :] == r"\right)" else text
        return text

    def _product(self, number: str, factors: Sequence[tuple[Atom, Any]]) -> Part:
        """Factors side by side: ⊙ between arrays, · with single numbers, the number before them."""
        text, before = "", False
        strength = ATOM
        for i, (a, e) in enumerate(factors):
            part = self.power(a, e)
            if len(factors) == 1 and not number:
                return part
            written = self.wrapped(part, PRODUCT if i == 0 else MATRIX)
            if i:
                both = before and bool(a.shape)
                sign = (r" \odot " if self.in_latex else " ⊙ ") if both else (r" \cdot " if self.in_latex else "·")
                text += sign
            text += written
            before = bool(a.shape) or before
            strength = PRODUCT
        if number and text:
            return self._beside(number, text, strength), PRODUCT
        return (number, ATOM) if number else (text, strength)

    # -- atoms

    def power(self, a: Atom, e: Any) -> Part:
        """An atom with its exponent, which is positive."""
        part = self.atom(a)
        if e == 1:
            return part
        if e == Fraction(1, 2):
            inner = self.sum(a.operands[0]) if a.head == "paren" else part
            return (rf"\sqrt{{{inner[0]}}}", ATOM) if self.in_latex else (f"√{self.wrapped(inner, ATOM)}", POWER)
        base = self.wrapped(part, ATOM)
        shown = str(int(e)) if e == int(e) else number_text(float(e))
        if self.in_latex:
            return f"{base}^{{{shown}}}", POWER
        return (f"{base}{superscript(shown)}" if shown.isdigit() else f"{base}^{shown}"), POWER

    def atom(self, a: Atom) -> Part:
        """A factor."""
        head = a.head
        if head == "name":
            return variable(a.params["text"], self.in_latex), ATOM
        if head == "paren":
            return self.wrapped(self.sum(a.operands[0]), ATOM + 1), ATOM
        if head == "view":
            vector = self.sum(a.operands[0])
            if self._beside_matrices or a.shape != (*a.operands[0].shape, 1):
                return vector
            return (rf"\mathrm{{col}}\left( {vector[0]} \right)" if self.in_latex else f"col({vector[0]})"), ATOM
        if head == "transpose":
            return self._turned(self.sum(a.operands[0]))
        if head == "sum":
            return self._total(a)
        if head == "matmul":
            return self._chain(a), MATRIX
        if head == "matmul_vector":
            return f"{self.wrapped(self.sum(a.operands[0]), MATRIX)} {self.wrapped(self.sum(a.operands[1]), MATRIX)}", MATRIX
        if head == "indicator":
            inner = self.sum(a.operands[0])[0]
            return (rf"\mathbf{{1}}\left[ {inner} \right]" if self.in_latex else f"1[{inner}]"), ATOM
        if head == "power":
            base, exponent = self.sum(a.operands[0]), self.sum(a.operands[1])
            if self.in_latex:
                return f"{self.wrapped(base, ATOM)}^{{{exponent[0]}}}", POWER
            return f"{self.wrapped(base, ATOM)}^{self.wrapped(exponent, ATOM)}", POWER
        if head in _SIGNS:
            sign = _SIGNS[head][self.in_latex]
            need = SUM if head not in ("bitwise_and", "bitwise_or") else POWER
            return sign.join(self.wrapped(self.sum(o), need) for o in a.operands), SUM - 5
        if head == "invert":
            return (r"\neg " if self.in_latex else "not ") + self.wrapped(self.sum(a.operands[0]), ATOM), SUM - 5
        return self._call(a)

    def _turned(self, part: Part) -> Part:
        text = self.wrapped(part, POWER + 1)
        return (f"{text}^{{\\top}}" if self.in_latex else f"{text}ᵀ"), POWER

    def _total(self, a: Atom) -> Part:
        (inner,) = a.operands
        axes = "" if a.params["every"] else "".join(str(i) for i in a.params["axes"])
        single = len(inner.terms) == 1 and len(inner.terms[0][1]) == 1 and inner.terms[0][0] == 1
        written = self.wrapped(self.sum(inner), POWER if single else ATOM + 1)
        if self.in_latex:
            below = rf"_{{{axes}}}" if axes else ""
            return rf"\sum{below} {written}", MATRIX
        return f"Σ{axes.translate(_BELOW)} {written}", MATRIX

    def _chain(self, a: Atom) -> str:
        written = []
        before, self._beside_matrices = self._beside_matrices, True
        for i, o in enumerate(a.operands):
            row = self._row(o)
            part = self._turned(self.sum(row)) if row is not None else self.sum(o)
            alone = len(o.terms) == 1 and len(o.terms[0][1]) == 1 and o.terms[0][1][0][0].head == "sum"
            written.append(self.wrapped(part, ATOM if alone and i + 1 < len(a.operands) else MATRIX))
        self._beside_matrices = before
        text = written[0]
        for left, right in itertools.pairwise(written):
            if self.in_latex:
                text += f" \\, {right}"
                continue
            tight = re.fullmatch(r"[A-Z]ᵀ?|[a-z]ᵀ|\(.*\)", left) and re.fullmatch(r"[a-z]", right)
            text += right if tight else f" {right}"
        return text

    def _row(self, o: Sum) -> Sum | None:
        """What a row is the transpose of: of a vector written as a column."""
        if len(o.shape) != 2 or o.shape[0] != 1 or o.shape[1] == 1 or not _all_views(o):
            return None
        return o

    def _call(self, a: Atom) -> Part:
        inner = [self.sum(o)[0] for o in a.operands]
        head, settings = a.head, settings_shown(a.head, a.params.get("settings", {}))
        if head == "absolute":
            return (rf"\left\vert {inner[0]} \right\vert" if self.in_latex else f"|{inner[0]}|"), ATOM
        if head == "vector_norm" and not settings.keys() - {"axis", "keepdims"} and not settings.get("axis"):
            return (rf"\left\| {inner[0]} \right\|" if self.in_latex else f"‖{inner[0]}‖"), ATOM
        if head == "inv":
            base = self.wrapped(self.sum(a.operands[0]), ATOM)
            return (f"{base}^{{-1}}" if self.in_latex else f"{base}⁻¹"), POWER
        if head == "einsum":
            letters = f"{','.join(settings['inputs'])}->{settings['output']}"
            if self.in_latex:
                return rf"\mathrm{{einsum}}_{{\mathrm{{{escaped(letters)}}}}}\left( {', '.join(inner)} \right)", ATOM
            return f'einsum("{letters}", {", ".join(inner)})', ATOM
        if head == "mean":
            settings = {} if a.params["every"] else {"axis": a.params["axes"]}
        if head == "select":
            if self.in_latex:
                condition, yes, no = inner
                return (rf"\begin{{cases}} {yes} & {condition} \\ {no} & \text{{otherwise}} \end{{cases}}"), ATOM
            head = "where"
        if head in ("getitem", "gather"):
            index = _index(settings["index"])
            base = self.wrapped(self.sum(a.operands[0]), ATOM)
            return (rf"{base}_{{\mathrm{{{escaped(index)}}}}}" if self.in_latex else f"{base}[{index}]"), ATOM
        if head in ("put", "scatter"):
            index = _index(settings.pop("index"))
            settings.pop("shape", None)
            shown = f"at [{index}]"
            inner.append(rf"\mathrm{{{escaped(shown)}}}" if self.in_latex else shown)
        if head in ("assign", "assign_each"):
            given = settings.pop("index")
            settings.pop("kept", None)
            pairs = [inner[0]]
            for i, value in zip((given,) if head == "assign" else given, inner[1:], strict=True):
                shown = f"at [{_index(i)}]"
                pairs += [rf"\mathrm{{{escaped(shown)}}}" if self.in_latex else shown, value]
            head, inner = "assign", pairs
        function, in_latex = _FUNCTIONS.get(head, (head, ""))
        for key, value in settings.items():
            if value is None or value is False or key in ("shape", "keepdims", "dtype", "ddof"):
                continue
            if isinstance(value, tuple) and len(value) == 1:
                value = value[0]
            shown = key if value is True else f"{key}={printable(str(value))}"
            inner.append(rf"\mathrm{{{escaped(shown)}}}" if self.in_latex else shown)
        if self.in_latex:
            return rf"{in_latex or rf'{chr(92)}mathrm{{{escaped(function)}}}'}\left( {', '.join(inner)} \right)", ATOM
        return f"{function}({', '.join(inner)})", ATOM


def _mixed(s: Sum) -> bool:
    return len({c < 0 for c, _ in s.terms}) == 2


def _is_symbol(a: Atom, arrays: bool) -> bool:
    """Whether a single number goes to the front: m, λ and other settings; gradients and results stay in place."""
    kind = a.params.get("kind")
    return kind == "symbol" or (kind == "data" and arrays)


def arranged(body: Sequence[tuple[Atom, Any]]) -> list[tuple[Atom, Any]]:
    """The order of factors: as recorded, but a gradient that is a single number after what it is multiplied with, where
    that is an array or is given: x·dz, du·c."""
    def later(a: Atom) -> bool:
        if a.shape or a.params.get("kind") != "gradient":
            return False
        others = [b for b, _ in body if b is not a]
        return any(b.shape for b in others) or any(b.params.get("kind") == "data" for b in others)

    return [x for x in body if not later(x[0])] + [x for x in body if later(x[0])]


def ordered(terms: Sequence[tuple[Any, Product]]) -> list[tuple[Any, Product]]:
    """Gradients, matrix products and sums over axes first, then short before long, positive before negative; a number
    where it was written, first or last."""
    def rank(t: tuple[Any, Product]) -> Any:
        c, p = t
        data = any(a.head in ("matmul", "sum") or a.params.get("kind") == "gradient" for a, _ in p)
        return 0 if data else 1, _size(p), c < 0

    numbers = [t for t in terms if not t[1]]
    found = sorted((t for t in terms if t[1]), key=rank)
    first = bool(numbers and found) and (
        found[0][0] < 0 < numbers[0][0] or (terms[0] is numbers[0] and not (numbers[0][0] < 0 and any(
            c > 0 for c, _ in found))))
    return [*numbers, *found] if first else [*found, *numbers]


def _size(p: Product) -> float:
    total = 0.0
    for a, _ in p:
        inner = sum(_size(q) + (0 if q else 1) for o in a.operands for _, q in o.terms)
        total += inner + 0.1 if a.head in ("paren", "matmul", "sum") else 1.05 if a.head == "transpose" else 1.0
    return total


def _close(text: str) -> str:
    """A short group without spaces: (1−y)."""
    return text.replace(" ", "") if len(text) <= LONGEST_FRACTION and "Σ" not in text and "ᵀ" not in text else text


def _one_group(text: str) -> bool:
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return i == len(text) - 1
    return False
