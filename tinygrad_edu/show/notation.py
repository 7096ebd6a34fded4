"""Formulas as people write them: a recorded expression as text and as LaTeX.

`expression` turns what was recorded between cut points into a tree of `Expression`; `text` and `latex` print it with as
few parentheses as the table of styles allows. How a primitive is written stands in that table, or in the primitive's
own `symbol`; what is in neither is written as a call of a function.

A derivative rule is read the same way: `recorded_rule` evaluates it on stand-ins for its operands, and the record of
that evaluation is printed. So there is no table of derivatives here.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from ..backprop import fit_recorded
from ..modes import always_record
from ..rules.pointwise import where
from ..rules.shapes import transpose
from ..tensor import Tensor, leaf
from .notation_windows import settings_shown

# How strongly a form holds together: an operand weaker than its place asks for gets parentheses.
RELATION, SUM, NEGATION, PRODUCT, MATRIX, FRACTION, POWER, POSTFIX, CALL, ATOM = 5, 10, 15, 20, 22, 28, 30, 40, 45, 50

LONGEST = 4000  # characters of one formula; what is longer is cut short, as sharing can make a tree of any size

_serial = itertools.count().__next__


class Expression:
    """One operation on expressions, or a name or a number.

    head : the primitive's name, "name" or "number". params : what is not an operand; a name's text, latex and strength,
    a number's value. shape : of the array it stands for. symbol : the primitive's own way of being written.
    """

    __slots__ = ("head", "operands", "params", "serial", "shape", "symbol")

    def __init__(self, head: str, operands: Sequence[Expression] = (), shape: tuple[int, ...] = (),
                 params: Mapping[str, Any] | None = None, symbol: str | None = None) -> None:
        self.head, self.operands, self.shape = head, tuple(operands), tuple(shape)
        self.params, self.symbol, self.serial = dict(params or {}), symbol, _serial()

    def __str__(self) -> str:
        return text(self)

    def __repr__(self) -> str:
        return f"<{text(self)}, shape {self.shape}>"

    def is_number(self, value: float) -> bool:
        """Whether this is that number, written out."""
        return self.head == "number" and bool(self.params["value"] == value)


def number(value: Any) -> Expression:
    """A number as an expression."""
    return Expression("number", params={"value": value})


def name(written: str, shape: tuple[int, ...] = (), in_latex: str | None = None, strength: int = ATOM) -> Expression:
    """A name as an expression; its LaTeX form is derived and escaped, unless given."""
    in_latex = latex_name(written) if in_latex is None else in_latex
    return Expression("name", (), shape, {"text": printable(written), "latex": in_latex, "strength": strength})


# ---------------------------------------------------------------- names and numbers

_GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi",
    "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega",
}
_SPECIAL = {
    "\\": r"\backslash ", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\wedge ", "~": r"\sim ", "<": r"\langle ", ">": r"\rangle ", "|": r"\vert ", "`": r"\prime ",
    "'": r"\prime ", '"': r"\prime\prime ", " ": r"\ ",
}


def printable(written: str, longest: int = 60) -> str:
    """A name without control characters, on one line, cut where it is very long."""
    shown = "".join(c if c.isprintable() else "?" for c in written) or "?"
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _latex_letter(c: str) -> str:
    if c in _SPECIAL:
        return _SPECIAL[c]
    if c.isascii():
        return c
    words = unicodedata.name(c, "").split()
    if words[:1] == ["GREEK"] and words[-2:-1] == ["LETTER"]:
        greek = words[-1].replace("LAMDA", "LAMBDA").lower()
        greek = greek.capitalize() if "CAPITAL" in words else greek
        if greek in _GREEK:
            return f"\\{greek} "
    return c if c.isalnum() else "?"


def escaped(written: str) -> str:
    """Any text as LaTeX that is safe inside a formula, an upright group."""
    return "".join(_latex_letter(c) for c in printable(written))


def latex_name(written: str) -> str:
    """A variable's name in LaTeX: W1 is W with an index, alpha is a Greek letter, dZ stays dZ, words stand upright.

    >>> from tinygrad_edu.show.notation import latex_name
    >>> print(latex_name("W1"), latex_name("alpha"), latex_name("learning_rate"))
    W_{1} \\alpha \\mathrm{learning\\_rate}
    """
    written = printable(written)
    parts = re.fullmatch(r"([^\W\d_]+)_?([0-9]*)", written)
    if parts is None:
        return rf"\mathrm{{{escaped(written)}}}"
    base, index = parts.groups()
    if base in _GREEK:
        base = f"\\{base}"
    elif len(base) == 1 or re.fullmatch(r"d[A-Za-z]", base):
        base = "".join(_latex_letter(c) for c in base).strip()
    else:
        base = rf"\mathrm{{{escaped(base)}}}"
    return f"{base}_{{{index}}}" if index else base


def number_text(value: Any) -> str:
    """A number with at most six digits; whole numbers are written in full.

    >>> from tinygrad_edu.show.notation import number_text
    >>> print(number_text(33.0), number_text(-0.5), number_text(1 / 3))
    33 −0.5 0.333333
    """
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    value = float(value)
    whole = abs(value) < 1e15 and value == int(value)
    digits, e, exponent = (str(int(value)) if whole else f"{value:.6g}").partition("e")
    return (f"{digits}e{int(exponent)}" if e else digits).replace("-", "−")


def _number_latex(value: Any) -> tuple[str, int]:
    written = number_text(value).replace("−", "-")
    if written in ("true", "false", "nan"):
        return rf"\mathrm{{{written}}}", ATOM
    if "inf" in written:
        return written.replace("inf", r"\infty"), NEGATION if written[0] == "-" else ATOM
    digits, e, exponent = written.partition("e")
    strength = NEGATION if written[0] == "-" else PRODUCT if e else ATOM
    return (rf"{digits} \cdot 10^{{{int(exponent)}}}" if e else digits), strength


def shape_text(shape: Sequence[int]) -> str:
    """A shape as Python writes it."""
    return str(tuple(int(n) for n in shape))


def array_text(value: Any, longest: int = 40) -> str | None:
    """A small array as nested lists, or None where that would be long."""
    value = np.asarray(value)
    if value.size > 16 or value.ndim > 2:
        return None
    if value.ndim == 0:
        return number_text(value[()])
    rows = [f"[{', '.join(number_text(x) for x in row)}]" for row in np.atleast_2d(value)]
    written = f"[{', '.join(rows)}]" if value.ndim == 2 else rows[0] if value.size else "[]"
    return written if len(written) <= longest else None


def array_latex(value: Any) -> str:
    """A small array in LaTeX, nested lists as in text."""
    written = array_text(value, 10**6) or ""
    written = written.replace("−", "-").replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")
    return re.sub(r"([0-9.]+)e(-?[0-9]+)", r"\1 \\cdot 10^{\2}", written)


# ---------------------------------------------------------------- how each operation is written

@dataclass(frozen=True)
class Style:
    """How an operation is written, as text and in LaTeX: a template, how strongly it holds together, and how strong
    each operand must be to go without parentheses."""

    text: str
    latex: str
    strength: int
    needs: tuple[int, ...]
    latex_strength: int | None = None
    latex_needs: tuple[int, ...] | None = None


_FRACTION = Style("{0} / {1}", r"\frac{{{0}}}{{{1}}}", PRODUCT, (NEGATION, POWER), FRACTION, (0, 0))
STYLES: dict[str, Style] = {
    "add": Style("{0} + {1}", "{0} + {1}", SUM, (SUM, PRODUCT)),
    "subtract": Style("{0} − {1}", "{0} - {1}", SUM, (SUM, PRODUCT)),
    "negative": Style("−{0}", "-{0}", NEGATION, (PRODUCT,)),
    "positive": Style("+{0}", "+{0}", NEGATION, (PRODUCT,)),
    "scale": Style("{0} · {1}", r"{0} \cdot {1}", PRODUCT, (NEGATION, PRODUCT)),
    "multiply": Style("{0} ⊙ {1}", r"{0} \odot {1}", PRODUCT, (NEGATION, PRODUCT)),
    "gate": Style("{0} ⊙ {1}", r"{0} \odot {1}", PRODUCT, (NEGATION, PRODUCT)),
    "divide": _FRACTION,
    "floor_divide": Style("⌊{0} / {1}⌋", r"\left\lfloor \frac{{{0}}}{{{1}}} \right\rfloor", ATOM, (NEGATION, POWER),
                          ATOM, (0, 0)),
    "remainder": Style("{0} mod {1}", r"{0} \,\mathrm{{mod}}\, {1}", PRODUCT, (MATRIX, MATRIX)),
    "matmul": Style("{0} @ {1}", "{0} \\, {1}", MATRIX, (MATRIX, FRACTION)),
    "reciprocal": Style("1 / {0}", r"\frac{{1}}{{{0}}}", PRODUCT, (POWER,), FRACTION, (0,)),
    "square": Style("{0}²", "{0}^{{2}}", POWER, (CALL,)),
    "power": Style("{0}^{1}", "{0}^{{{1}}}", POWER, (CALL, ATOM), POWER, (CALL, 0)),
    "transpose": Style("{0}ᵀ", r"{0}^{{\top}}", POSTFIX, (POSTFIX,), POSTFIX, (ATOM,)),
    "sigmoid_error": Style("σ({0}) − {1}", r"\sigma\left( {0} \right) - {1}", SUM, (0, PRODUCT)),
    "squared_norm": Style("‖{0}‖²", r"\left\| {0} \right\|^{{2}}", POWER, (0,)),
    "sqrt": Style("√{0}", r"\sqrt{{{0}}}", POSTFIX, (ATOM,), ATOM, (0,)),
    "cbrt": Style("∛{0}", r"\sqrt[3]{{{0}}}", POSTFIX, (ATOM,), ATOM, (0,)),
    "floor": Style("⌊{0}⌋", r"\left\lfloor {0} \right\rfloor", ATOM, (0,)),
    "ceil": Style("⌈{0}⌉", r"\left\lceil {0} \right\rceil", ATOM, (0,)),
    "identity": Style("{0}", "{0}", 0, (0,)),
    "greater": Style("{0} > {1}", "{0} > {1}", RELATION, (SUM, SUM)),
    "greater_equal": Style("{0} ≥ {1}", r"{0} \geq {1}", RELATION, (SUM, SUM)),
    "less": Style("{0} < {1}", "{0} < {1}", RELATION, (SUM, SUM)),
    "less_equal": Style("{0} ≤ {1}", r"{0} \leq {1}", RELATION, (SUM, SUM)),
    "equal": Style("{0} == {1}", "{0} = {1}", RELATION, (SUM, SUM)),
    "not_equal": Style("{0} ≠ {1}", r"{0} \neq {1}", RELATION, (SUM, SUM)),
    "bitwise_and": Style("{0} and {1}", r"{0} \wedge {1}", 2, (3, 3)),
    "bitwise_or": Style("{0} or {1}", r"{0} \vee {1}", 1, (2, 2)),
    "invert": Style("not {0}", r"\neg {0}", 3, (ATOM,)),
    "column": Style("col({0})", r"\mathrm{{col}}\left( {0} \right)", CALL, (0,)),
    "row": Style("row({0})", r"\mathrm{{row}}\left( {0} \right)", CALL, (0,)),
}
# the right operand of a product that would otherwise be read with the wrong partner
_APART = {("multiply", 1): {"matmul", "remainder", "divide"}, ("scale", 1): {"remainder", "divide"}}

_FUNCTIONS = {  # written otherwise than by their names, as text and in LaTeX
    "sum": ("Σ", r"\sum"), "prod": ("Π", r"\prod"), "sigmoid": ("σ", r"\sigma"),
    "log_sigmoid": ("log σ", r"\log \sigma"), "normal_cdf": ("Φ", r"\Phi"), "maximum": ("max", r"\max"),
    "minimum": ("min", r"\min"), "constant_power": ("power", r"\mathrm{power}"),
    "gelu_tanh": ("gelu", r"\mathrm{gelu}"), "gelu_tanh_slope": ("gelu′", r"\mathrm{gelu}'"),
} | {f: (f, f"\\{f}") for f in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan",
                                "max", "min")}
_SUPERSCRIPT = str.maketrans("0123456789−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def superscript(written: str) -> str:
    """Digits and a minus sign raised; what has no raised form stays."""
    return written.translate(_SUPERSCRIPT)


_ASCII = {
    "·": "*", "⊙": "*", "−": "-", "→": "->", "∂": "d", "Σ": "sum", "Π": "prod", "σ": "sigmoid", "Φ": "Phi", "ᵀ": ".T",
    "√": "sqrt ", "∛": "cbrt ", "≥": ">=", "≤": "<=", "≠": "!=", "…": "...", "′": "'", "⌊": "floor(", "⌋": ")",
    "⌈": "ceil(", "⌉": ")", "π": "pi", "‖": "||",
}
_RAISED = {"⁻": "-", "⁽": "(", "⁾": ")", "ⁱ": "i", **{c: str(i) for i, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}}


def in_ascii(written: str) -> str:
    """The signs of formulas in ASCII, for terminals that know no more.

    >>> from tinygrad_edu.show.notation import in_ascii
    >>> print(in_ascii("(dJ/dZ)ᵀ · x²"))
    (dJ/dZ).T * x^2
    """
    written = re.sub(f"[{''.join(_RAISED)}]+", lambda run: "^" + "".join(_RAISED[c] for c in run[0]), written)
    return "".join(_ASCII.get(c, c) for c in written)


Part = tuple[str, int]


def _wrap(part: Part, need: int, in_latex: bool) -> str:
    written, strength = part
    if strength >= need:
        return written
    return rf"\left( {written} \right)" if in_latex else f"({written})"


def _write(e: Expression, parts: list[Part], in_latex: bool) -> Part:
    if e.head == "name":
        return e.params["latex" if in_latex else "text"], e.params["strength"]
    if e.head == "number":
        if in_latex:
            return _number_latex(e.params["value"])
        written = number_text(e.params["value"])
        return written, NEGATION if written[0] == "−" else ATOM
    special = _SPECIAL_FORMS.get(e.head)
    found = None if special is None else special(e, parts, in_latex) or _call(e, parts, in_latex)
    if found is None:
        head = "scale" if e.head == "multiply" and not all(o.shape for o in e.operands) else e.head
        style = STYLES.get(head) or _own_style(e)
        found = _call(e, parts, in_latex) if style is None or (e.params and head != "identity") else _styled(
            head, style, e, parts, in_latex)
    written, strength = found
    if len(written) > LONGEST:
        return (r"\ldots" if in_latex else "…"), ATOM
    # −a · b begins with its sign, so a sum or a power must not swallow it
    return written, min(strength, NEGATION) if written[:1] in "−-" else strength


def _styled(head: str, style: Style, e: Expression, parts: list[Part], in_latex: bool) -> Part:
    needs = style.latex_needs or style.needs if in_latex else style.needs
    strength = style.strength if not in_latex or style.latex_strength is None else style.latex_strength
    if head == "identity":
        return parts[0]
    inner = []
    for i, (part, operand, need) in enumerate(zip(parts, e.operands, needs, strict=True)):
        apart = operand.head in _APART.get((head, i), ()) and not (in_latex and operand.head != "remainder")
        inner.append(_wrap(part, ATOM if apart else need, in_latex))
    return (style.latex if in_latex else style.text).format(*inner), strength


_OPENING, _CLOSING = {"(", "[", "|", "⌊", "⌈", ","}, {")", "]", "|", "⌋", "⌉", ","}


def _own_style(e: Expression) -> Style | None:
    """A primitive's own symbol as a style: an infix sign, or a template; only for primitives not in the table."""
    symbol = e.symbol
    if not symbol or e.head in _FUNCTIONS:
        return None
    if "{" not in symbol:
        if len(e.operands) != 2:
            return None
        sign = escaped(symbol) if symbol.isalpha() else " ".join(_latex_letter(c) for c in symbol)
        return Style(f"{{0}} {symbol} {{1}}", f"{{0}} \\, {_doubled(sign)} \\, {{1}}", PRODUCT, (MATRIX, MATRIX))
    pieces = re.split(r"(\{\d+\})", symbol)
    places = [i for i, p in enumerate(pieces) if re.fullmatch(r"\{\d+\}", p)]
    closed = all(pieces[i - 1][-1:] in _OPENING and pieces[i + 1][:1] in _CLOSING for i in places)
    template = "".join(p if i in places else rf"\mathrm{{{{{_doubled(escaped(p))}}}}}" if p else ""
                       for i, p in enumerate(pieces))
    count = len(e.operands)
    strength = ATOM if closed else POSTFIX if len(places) == 1 else SUM  # what stands between two operands may be a sum
    return Style(symbol, template, strength, (0 if closed else ATOM,) * count)


def _doubled(written: str) -> str:
    return written.replace("{", "{{").replace("}", "}}")


def _function_name(head: str, in_latex: bool) -> str:
    if head in _FUNCTIONS:
        return _FUNCTIONS[head][in_latex]
    return rf"\mathrm{{{escaped(head)}}}" if in_latex else head


def _call(e: Expression, parts: list[Part], in_latex: bool) -> Part:
    inner = [written for written, _ in parts]
    for key, value in settings_shown(e.head, e.params).items():
        if value is None or value is False:
            continue
        shown = key if value is True else f"{key}={_parameter(value)}"
        inner.append(rf"\mathrm{{{escaped(shown)}}}" if in_latex else shown)
    function = _function_name(e.head, in_latex)
    return (rf"{function}\left( {', '.join(inner)} \right)" if in_latex else f"{function}({', '.join(inner)})"), CALL


def _parameter(value: Any) -> str:
    if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], int):
        value = value[0]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number_text(value)
    if isinstance(value, ndarray):
        return f"array{shape_text(value.shape)}"
    return printable(str(value))


def _index(index: Any) -> str:
    def one(i: Any) -> str:
        if isinstance(i, slice):
            start, stop, step = ("" if x is None else str(x) for x in (i.start, i.stop, i.step))
            return f"{start}:{stop}" + (f":{step}" if step else "")
        if isinstance(i, ndarray):
            return str(i.tolist()) if i.ndim == 1 and i.size <= 6 else f"array{shape_text(i.shape)}"
        return "..." if i is Ellipsis else str(i)

    return printable(", ".join(one(i) for i in (index if isinstance(index, tuple) else (index,))))


def _write_getitem(e: Expression, parts: list[Part], in_latex: bool) -> Part:
    index = _index(e.params["index"])
    index = rf"_{{\mathrm{{{escaped(index)}}}}}" if in_latex else f"[{index}]"
    return _wrap(parts[0], CALL if not in_latex else ATOM, in_latex) + index, POSTFIX if in_latex else CALL


def _write_put(e: Expression, parts: list[Part], in_latex: bool) -> Part:
    index = f"at [{_index(e.params['index'])}]"
    inner = rf"{parts[0][0]},\ \mathrm{{{escaped(index)}}}" if in_latex else f"{parts[0][0]}, {index}"
    return (rf"\mathrm{{{e.head}}}\left( {inner} \right)" if in_latex else f"{e.head}({inner})"), CALL


def _write_assign(e: Expression, parts: list[Part], in_latex: bool) -> Part:
    """assign(x, at [i], v): x with x[i] = v; of several, one after the other."""
    given: Any = (e.params["index"],) if e.head == "assign" else e.params["index"]
    if len(given) > len(parts) - 1:  # a picture shows the first, dots, and the last
        given = (*given[: len(parts) - 3], None, given[-1])
    inner = [parts[0][0]]
    for index, part in zip(given, parts[1:], strict=True):
        at = f"at [{_index(index)}]"
        inner += [part[0]] if index is None else [rf"\mathrm{{{escaped(at)}}}" if in_latex else at, part[0]]
    return (rf"\mathrm{{assign}}\left( {', '.join(inner)} \right)" if in_latex else f"assign({', '.join(inner)})"), CALL


def _write_sum(e: Expression, parts: list[Part], in_latex: bool) -> Part:
    axis = e.params.get("axis")
    inner = parts[0][0]
    if in_latex:
        below = "" if axis is None else rf"_{{\mathrm{{axis\ {_parameter(axis)}}}}}"
        return rf"{_function_name(e.head, True)}{below} \left( {inner} \right)", CALL
    along = "" if axis is None else f", axis={_parameter(axis)}"
    return f"{_function_name(e.head, False)}({inner}{along})", CALL


def _write_power(e: Expression, parts: list[Part], in_latex: bool) -> Part:
    exponent = e.params["exponent"]
    base = _wrap(parts[0], CALL, in_latex)
    if in_latex:
        return f"{base}^{{{_number_latex(exponent)[0]}}}", POWER
    written = number_text(exponent)
    if re.fullmatch("−?[0-9]+", written):
        return base + superscript(written), POWER
    return f"{base}^({written})" if written[0] == "−" else f"{base}^{written}", POWER


def _write_transpose(e: Expression, parts: list[Part], in_latex: bool) -> Part | None:
    return _styled("transpose", STYLES["transpose"], e, parts, in_latex) if _is_matrix_transpose(e) else None


def _write_absolute(e: Expression, parts: list[Part], in_latex: bool) -> Part:
    inner = parts[0][0]
    if in_latex:
        return rf"\left\vert {inner} \right\vert", ATOM
    return f"abs({inner})" if "|" in inner else f"|{inner}|", ATOM  # in ||a| · b| no bar says whether it opens


def _write_einsum(e: Expression, parts: list[Part], in_latex: bool) -> Part:
    letters = f"{','.join(e.params['inputs'])}->{e.params['output']}"
    inner = ", ".join(written for written, _ in parts)
    if in_latex:
        return rf"\mathrm{{einsum}}_{{\mathrm{{{escaped(letters)}}}}}\left( {inner} \right)", CALL
    return f'einsum("{letters}", {inner})', CALL


def _write_class_cross_entropy(e: Expression, parts: list[Part], in_latex: bool) -> Part:
    """cross_entropy(z, [1, 0, 2], axis=1): the classes in full where they are few."""
    given = f"{_index(e.params['target'])}, axis={e.params['axis']}"
    if in_latex:
        return rf"\mathrm{{cross\_entropy}}\left( {parts[0][0]}, \mathrm{{{escaped(given)}}} \right)", CALL
    return f"cross_entropy({parts[0][0]}, {given})", CALL


_SPECIAL_FORMS: dict[str, Callable[[Expression, list[Part], bool], Part | None]] = {
    "class_cross_entropy": _write_class_cross_entropy,
    "getitem": _write_getitem, "gather": _write_getitem, "put": _write_put, "scatter": _write_put, "sum": _write_sum,
    "assign": _write_assign, "assign_each": _write_assign,
    "prod": _write_sum, "mean": _write_sum,
    "absolute": _write_absolute, "constant_power": _write_power, "transpose": _write_transpose, "einsum": _write_einsum,
}


def _written(root: Expression, in_latex: bool) -> str:
    order, seen = [root], {root}
    for e in order:  # grows as it is read
        for operand in e.operands:
            if operand not in seen:
                seen.add(operand)
                order.append(operand)
    done: dict[Expression, Part] = {}
    for e in sorted(order, key=lambda e: e.serial):  # operands are made before what is made of them
        done[e] = _write(e, [done[o] for o in e.operands], in_latex)
    return done[root][0]


def text(e: Expression) -> str:
    """An expression as one line of text.

    >>> from tinygrad_edu import Tensor
    >>> from tinygrad_edu.show.notation import expression, text
    >>> a, b = Tensor(2.0), Tensor(3.0)
    >>> text(expression(-(a + b) * a / b, {a: "a", b: "b"}))
    '−(a + b) · a / b'
    """
    return _written(e, in_latex=False)


def latex(e: Expression) -> str:
    """An expression in LaTeX, for math mode.

    >>> from tinygrad_edu import Tensor
    >>> from tinygrad_edu.show.notation import expression, latex
    >>> a, b = Tensor(2.0), Tensor(3.0)
    >>> print(latex(expression(a / (a + b), {a: "a", b: "b1"})))
    \\frac{a}{a + b_{1}}
    """
    return _written(e, in_latex=True)


# ---------------------------------------------------------------- identities that shorten what is shown

def _is_matrix_transpose(e: Expression) -> bool:
    axes, ndim = e.params.get("axes"), len(e.shape)
    if axes is None:
        return ndim <= 2
    return ndim >= 2 and tuple(axes) == (*range(ndim - 2), ndim - 1, ndim - 2)


def _negated(e: Expression) -> Expression:
    return simplified(Expression("negative", (e,), e.shape))


def _shorter_multiply(e: Expression) -> Expression:
    a, b = e.operands
    for one, other in ((a, b), (b, a)):
        if one.is_number(1):
            return other
        if one.is_number(-1):
            return _negated(other)
        if one.head == "negative":
            pair = (one.operands[0], b) if one is a else (a, one.operands[0])
            return _negated(simplified(Expression("multiply", pair, e.shape)))
    if a is b:
        return Expression("square", (a,), e.shape)
    if a.head == "multiply" and a.operands[1] is b and b.head != "number":
        return simplified(Expression("multiply", (a.operands[0], Expression("square", (b,), b.shape)), e.shape))
    if a.head == "divide" and a.operands[0].is_number(1):
        return simplified(Expression("divide", (b, a.operands[1]), e.shape))
    if b.head == "divide" and b.operands[0].is_number(1):
        return simplified(Expression("divide", (a, b.operands[1]), e.shape))
    return e


def _shorter_divide(e: Expression) -> Expression:
    a, b = e.operands
    if b.is_number(1):
        return a
    if a.head == "negative":
        return _negated(simplified(Expression("divide", (a.operands[0], b), e.shape)))
    return _negated(Expression("divide", (number(1), b), e.shape)) if a.is_number(-1) else e


def _shorter_add(e: Expression) -> Expression:
    a, b = e.operands
    if a.is_number(0):
        return b
    if b.is_number(0):
        return a
    return Expression("subtract", (a, b.operands[0]), e.shape) if b.head == "negative" else e


def _shorter_subtract(e: Expression) -> Expression:
    a, b = e.operands
    if b.is_number(0):
        return a
    if a.is_number(0):
        return _negated(b)
    return Expression("add", (a, b.operands[0]), e.shape) if b.head == "negative" else e


def _shorter_negative(e: Expression) -> Expression:
    (a,) = e.operands
    if a.head == "negative":
        return a.operands[0]
    return number(-a.params["value"]) if a.head == "number" else e


def _shorter_power(e: Expression) -> Expression:
    exponent = e.params["exponent"]
    if exponent == 1:
        return e.operands[0]
    return Expression("square", e.operands, e.shape) if exponent == 2 else e


def _shorter_transpose(e: Expression) -> Expression:
    (a,) = e.operands
    if not _is_matrix_transpose(e):
        return e
    if len(a.shape) < 2 or a.head == "number":
        return a
    if a.head == "transpose" and _is_matrix_transpose(a):
        return a.operands[0]
    if a.head == "negative":
        return _negated(_transposed(a.operands[0], e))
    if a.head == "matmul" and all(len(o.shape) == len(e.shape) for o in a.operands):  # (A B)ᵀ = Bᵀ Aᵀ
        left, right = a.operands
        return Expression("matmul", (_transposed(right, e), _transposed(left, e)), e.shape)
    if a.head == "divide" and not a.operands[1].shape:
        return Expression("divide", (_transposed(a.operands[0], e), a.operands[1]), e.shape)
    return e


def _transposed(a: Expression, like: Expression) -> Expression:
    if len(a.shape) < 2:
        return a
    return simplified(Expression("transpose", (a,), (*a.shape[:-2], a.shape[-1], a.shape[-2]), like.params))


def _shorter_reshape(e: Expression) -> Expression:
    (a,) = e.operands
    if a.shape == e.shape or a.head == "number" or (len(a.shape) < 2 and all(n == 1 for n in (*a.shape, *e.shape))):
        return a
    if len(e.shape) == 2 and len(a.shape) == 1 and 1 in e.shape:
        return Expression("column" if e.shape[1] == 1 else "row", (a,), e.shape)
    return e


def _inserts_ones(e: Expression) -> bool:
    return e.head in ("reshape", "column", "row") and [n for n in e.shape if n != 1] == [
        n for n in e.operands[0].shape if n != 1]


def _shorter_broadcast(e: Expression) -> Expression:
    """NumPy spreads by itself, so nothing need be written."""
    (a,) = e.operands
    if _inserts_ones(a) and not a.operands[0].shape:
        return a.operands[0]
    return a


def _shorter_sum_to(e: Expression) -> Expression:
    (a,) = e.operands
    extra = len(a.shape) - len(e.shape)
    if a.head == "number" or extra < 0:
        return e
    axes = tuple(i for i, n in enumerate(a.shape) if n != 1 and (i < extra or e.shape[i - extra] == 1))
    if not axes:
        return a
    every = all(n == 1 or i in axes for i, n in enumerate(a.shape))
    return Expression("sum", (a,), e.shape, {} if every else {"axis": axes})


def _shorter_same(e: Expression) -> Expression:
    return e.operands[0]


_SHORTER: dict[str, Callable[[Expression], Expression]] = {
    "multiply": _shorter_multiply, "divide": _shorter_divide, "add": _shorter_add, "subtract": _shorter_subtract,
    "negative": _shorter_negative, "constant_power": _shorter_power, "transpose": _shorter_transpose,
    "reshape": _shorter_reshape, "broadcast_to": _shorter_broadcast, "sum_to": _shorter_sum_to, "astype": _shorter_same,
    "identity": _shorter_same,
}


def simplified(e: Expression) -> Expression:
    """The same value in a shorter form: 1 · x is x, −(−x) is x, x · x is x², (A B)ᵀ is Bᵀ Aᵀ. Only e itself is looked
    at; its operands are taken to be simplified."""
    shorter = _SHORTER.get(e.head)
    return shorter(e) if shorter else e


# ---------------------------------------------------------------- from the record to expressions

def expression(node: Any, names: Mapping[Tensor, str | Expression], constants: Mapping[int, str] | None = None,
               simplify: bool = True, single: bool = False) -> Expression:
    """What was recorded between `node` and the cut points, as an expression.

    node : a Tensor, number or array. names : the cut points, a Tensor to its name, or to an expression to put in its
    place; the walk stops there, and at leaves. constants : id of an array to its name. simplify : apply the identities
    above.
    single : what was recorded stands for single numbers, whatever the shapes of its stand-ins.
    """
    constants = constants or {}
    done: dict[Tensor, Expression] = {}

    def of(a: Any) -> Expression:
        if type(a) is not Tensor:
            return _constant(a, constants, names)
        if a not in done:
            given = names.get(a)
            if given is not None:
                done[a] = given if isinstance(given, Expression) else name(given, a.shape)
            else:
                done[a] = _constant(a.value, constants, names)
        return done[a]

    if type(node) is Tensor and node not in names and node.op is not None:
        inside, seen = [node], {node}
        for t in inside:  # grows as it is read
            for a in t.args:
                if type(a) is Tensor and a.op is not None and a not in names and a not in seen:
                    seen.add(a)
                    inside.append(a)
        for t in sorted(inside, key=lambda t: t.id):
            assert t.op is not None
            branch = _settled(t.args[0]) if simplify and t.op is where else None
            if branch is not None:
                done[t] = of(t.args[1 if branch else 2])
                continue
            e = Expression(t.op.name, [of(a) for a in t.args], () if single else t.shape, t.params, t.op.symbol)
            done[t] = simplified(e) if simplify else e
    return of(node)


def replaced(e: Expression, by: Mapping[Expression, Expression]) -> Expression:
    """The same form with names or parts replaced, and nothing simplified: for putting numbers in."""
    order, seen = [e], {e}
    for part in order:  # grows as it is read
        for operand in part.operands:
            if operand not in seen and part not in by:
                seen.add(operand)
                order.append(operand)
    done: dict[Expression, Expression] = dict(by)
    for part in sorted(order, key=lambda part: part.serial):
        if part not in done:
            operands = [done[o] for o in part.operands]
            same = all(new is old for new, old in zip(operands, part.operands, strict=True))
            done[part] = part if same else Expression(part.head, operands, part.shape, part.params, part.symbol)
    return done[e]


def operation(node: Tensor, operands: Sequence[Expression]) -> Expression:
    """The one operation that made a node, on given operands."""
    assert node.op is not None
    return Expression(node.op.name, operands, node.shape, node.params, node.op.symbol)


def _constant(value: Any, constants: Mapping[int, str], names: Mapping[Tensor, str | Expression]) -> Expression:
    seen = _observation(value)
    if seen is not None:
        return _from_source(seen, constants, names)
    if value is None:  # what a rule says of a derivative that is zero everywhere
        return number(0)
    shape = np.shape(value)
    if not shape:
        return number(value[()] if isinstance(value, ndarray) else value)
    written = constants.get(id(value))
    if written is None:
        written = f"{'mask' if value.dtype == bool else 'array'}{shape_text(shape)}"
    return name(written, shape)


# ---------------------------------------------------------------- derivative rules, read

class Observed(ndarray):
    """A value that knows what it stands for. Rules compare values (x > 0, a == b), and a comparison is a plain array,
    so the record of a rule alone would not say which; an observed value keeps that.

    source : the stand-in Tensor, or (operation, operands, params) of a value made from it; None where unknown.
    """

    source: Any

    def __array_finalize__(self, obj: Any) -> None:
        self.source = getattr(obj, "source", None)  # a reshaped value stands for the same thing

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [np.asarray(x) if isinstance(x, Observed) else x for x in inputs]
        out = kwargs.get("out")
        if out is not None:  # changed in place: it no longer stands for anything
            kwargs["out"] = tuple(np.asarray(x) if isinstance(x, Observed) else x for x in out)
            getattr(ufunc, method)(*plain, **kwargs)
            for x in out:
                if isinstance(x, Observed):
                    x.source = None
            return out[0] if len(out) == 1 else out
        value = getattr(ufunc, method)(*plain, **kwargs)
        if method == "__call__" and ufunc.nout == 1:
            return observed(value, (_LOGICAL.get(ufunc.__name__, ufunc.__name__), inputs, {}))
        if method == "reduce" and ufunc is np.add:
            return observed(value, ("sum", inputs, {"axis": kwargs.get("axis")}))
        return value

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        plain = [np.asarray(x) if isinstance(x, Observed) else x for x in args]
        if func is np.where and len(args) == 3:
            return observed(np.where(*plain), ("where", args, {}))
        if func in (np.transpose, np.broadcast_to):
            return observed(func(*plain, **kwargs), self.source)
        return super().__array_function__(func, types, args, kwargs)


_LOGICAL = {"logical_and": "bitwise_and", "logical_or": "bitwise_or", "logical_not": "invert"}


def observed(value: Any, source: Any) -> Observed:
    """A copy of a value that knows its source."""
    value = np.asarray(value)
    seen = ndarray.__new__(Observed, value.shape, value.dtype)  # owns its data, so a plain view of it has it as base
    seen[...] = value
    seen.source = source
    return seen


def _from_source(value: Observed, constants: Mapping[int, str], names: Mapping[Tensor, str | Expression]) -> Expression:
    """The expression an observed value stands for; rules nest comparisons a few levels at most."""
    source = value.source
    if type(source) is Tensor:
        given = names.get(source)
        if given is None:
            return _constant(np.asarray(value), constants, names)
        return given if isinstance(given, Expression) else name(given, value.shape)
    head, inputs, params = source
    branch = _settled(inputs[0]) if head == "where" else None
    if branch is not None:
        return _constant(inputs[1 if branch else 2], constants, names)
    return Expression(head, [_constant(x, constants, names) for x in inputs], value.shape, params)


def _observation(value: Any) -> Observed | None:
    """The observed value behind an operand; recording it as a constant made a plain view of it."""
    if not isinstance(value, Observed) and isinstance(value, ndarray) and isinstance(value.base, Observed):
        value = value.base if value.base.shape == value.shape else None
    return value if isinstance(value, Observed) and value.source is not None else None


def _settled(condition: Any) -> bool | None:
    """Which branch of a `where` alone need be shown: that of a fixed truth value, and the ordinary one where the
    condition only guards a rule (x = 0, isnan(x)) and holds nowhere. None where the choice matters."""
    seen = _observation(condition)
    if seen is None:
        return bool(condition) if isinstance(condition, (bool, np.bool_)) else None
    return False if _guards(seen) and not np.any(seen) else None


def _guards(condition: Any) -> bool:
    source = getattr(_observation(condition), "source", None)
    if type(source) is not tuple:
        return False
    return source[0] in ("equal", "isnan") or (source[0] == "bitwise_and" and any(_guards(x) for x in source[1]))


def stand_in(value: Any) -> Tensor:
    """A leaf that takes a value's place while a rule is read. It tracks, so that everything done to it is recorded."""
    t = leaf(np.asarray(value).view(Observed))
    t.value.source = t
    return t


def recorded_rule(node: Tensor, operand: int, g: Any, y: Tensor, operands: Sequence[Any]) -> Any:
    """The derivative rule of one operand of a node, evaluated on stand-ins, so that its formula can be read.

    g : dJ/dy, a stand-in or a number; y : the stand-in of the node; operands : the stand-ins of its operands. The
    result has the operand's shape; None where the derivative is zero everywhere.
    """
    assert node.op is not None
    rule = node.op.rules_for(len(operands))[operand]
    if rule is None:
        return None
    with always_record(), np.errstate(all="ignore"):
        d = rule(g, y, *operands, **(node.params or {}))
        return fit_recorded(d, operands[operand].value) if type(d) is Tensor else d


def is_transpose(node: Tensor) -> bool:
    """Whether a node only turns a matrix: readers write Wᵀ where it is used and give it no line of its own."""
    return node.op is transpose
