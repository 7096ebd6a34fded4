"""A small algebra of array formulas: sums of products of powers, matrix products, sums over axes.

A `Sum` is a number of terms; a term is a coefficient times a product of `Atom`s with exponents, entry by entry and with
NumPy's broadcasting. An atom is a name, a sum in parentheses, a matrix product, a sum over axes, or the call of a
function. Atoms are made once (`Algebra` keeps a table), so that equal parts are the same object and cancel.

The laws used are those of numbers, entry by entry, and of matrices: (A B)ᵀ = Bᵀ Aᵀ, scalars go to the front, what does
not vary along an axis leaves the sum over it. Nothing is assumed to be nonzero that is not divided by already. Whoever
shows a simplified formula checks it on numbers first: `Algebra.value` computes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..rules.pointwise import sigmoid
from ..tensor import Primitive

Shape = tuple[int, ...]
MOST_TERMS = 40  # of a product that is multiplied out


class Atom:
    """A factor that is not taken apart: head, operands (Sums), params, shape. Compared by identity."""

    __slots__ = ("head", "operands", "params", "serial", "shape")

    def __init__(self, head: str, operands: tuple[Sum, ...], params: dict[str, Any], shape: Shape, serial: int) -> None:
        self.head, self.operands, self.params, self.shape, self.serial = head, operands, params, shape, serial

    def __repr__(self) -> str:
        inner = ", ".join([*map(repr, self.operands), *(f"{k}={v}" for k, v in self.params.items())])
        return str(self.params["text"]) if self.head == "name" else f"{self.head}({inner})"


Product = tuple[tuple[Atom, Any], ...]  # atoms with their exponents, in the order they are written


class Sum:
    """Terms (coefficient, product), and the shape of the array it stands for, which may be larger than its atoms'."""

    __slots__ = ("shape", "terms")

    def __init__(self, terms: Sequence[tuple[Any, Product]], shape: Shape) -> None:
        self.terms, self.shape = tuple(terms), tuple(shape)

    @property
    def key(self) -> Any:
        """What equality goes by."""
        return frozenset((c, _product_key(p)) for c, p in self.terms), self.shape

    def __repr__(self) -> str:
        return " + ".join(f"{c}" + "".join(f"·{a!r}^{e}" for a, e in p) for c, p in self.terms) or "0"


def _product_key(p: Product) -> Any:
    return frozenset((a.serial, e) for a, e in p)


def exact(value: Any) -> Any:
    """A number as a fraction where that is exact and short, else as a float."""
    if isinstance(value, (bool, np.bool_)):
        return Fraction(int(value))
    if isinstance(value, (int, np.integer)):
        return Fraction(int(value))
    if isinstance(value, Fraction):
        return value
    number = float(value)
    if math.isfinite(number):
        short = Fraction(number).limit_denominator(10_000)
        if float(short) == number or float(type(value)(float(short))) == number:
            return short
    return number


def _along(shape: Shape, ndim: int, axis: int) -> int:
    """The size of an operand along an axis of a result with ndim axes."""
    i = axis - (ndim - len(shape))
    return shape[i] if i >= 0 else 1


class Algebra:
    """The table of atoms, and the operations on sums."""

    def __init__(self) -> None:
        self._table: dict[Any, Atom] = {}
        self.known: dict[int, Atom] = {}  # the serial of what a name was made as -> the name
        self._logistic: dict[int, tuple[Atom, Sum]] = {}  # exp(−z), by its serial -> itself, σ(z)
        self.counts: list[tuple[Atom, int]] = []  # names for numbers of examples, and these numbers

    # -- making

    def atom(self, head: str, operands: Sequence[Sum] = (), shape: Shape = (), **params: Any) -> Atom:
        """The one atom of this form."""
        key = (head, tuple(o.key for o in operands), tuple(sorted((k, _frozen(v)) for k, v in params.items())), shape)
        found = self._table.get(key)
        if found is None:
            found = self._table[key] = Atom(head, tuple(operands), params, tuple(shape), len(self._table))
        return self.known.get(found.serial, found)

    def of(self, atom: Atom, shape: Shape | None = None) -> Sum:
        """An atom as a sum."""
        return Sum([(Fraction(1), ((atom, 1),))], atom.shape if shape is None else shape)

    def name(self, text: str, shape: Shape, **params: Any) -> Sum:
        """A name; `kind` says what for: "data", "value", "gradient", "symbol"."""
        return self.of(self.atom("name", (), shape, text=text, **params))

    def number(self, value: Any, shape: Shape = ()) -> Sum:
        """A number; an array of it where a shape is given."""
        value = exact(value)
        return Sum([(value, ())] if value != 0 else [], shape)

    def call(self, head: str, operands: Sequence[Sum], shape: Shape, **params: Any) -> Sum:
        """A function of sums that is not taken apart."""
        return self.of(self.atom(head, operands, shape, **params))

    # -- adding and multiplying

    def add(self, *parts: Sum, shape: Shape | None = None) -> Sum:
        """The sum, like terms together."""
        total: dict[Any, tuple[Any, Product]] = {}
        for part in parts:
            for c, p in self._opened(part).terms:
                key = _product_key(p)
                old = total.get(key)
                total[key] = (c if old is None else old[0] + c, p if old is None else old[1])
        shape = np.broadcast_shapes(*(p.shape for p in parts)) if shape is None else shape
        return Sum([(c, p) for c, p in total.values() if c != 0], shape)

    def _opened(self, s: Sum) -> Sum:
        """−(a + b) as −a − b: where nothing but a sign stands before the parenthesis."""
        def bare(c: Any, p: Product) -> bool:
            return c in (1, -1) and len(p) == 1 and p[0][0].head == "paren" and p[0][1] == 1

        if any(bare(c, p) for c, p in s.terms):
            terms: list[tuple[Any, Product]] = []
            for c, p in s.terms:
                if bare(c, p):
                    terms += [(c * k, q) for k, q in p[0][0].operands[0].terms]
                else:
                    terms.append((c, p))
            return self.add(*[Sum([t], s.shape) for t in terms], shape=s.shape)
        return s

    def scale(self, s: Sum, number: Any) -> Sum:
        """A number times a sum."""
        return Sum([(c * number, p) for c, p in s.terms] if number != 0 else [], s.shape)

    def negative(self, s: Sum) -> Sum:
        """−s."""
        return self.scale(s, Fraction(-1))

    def product(self, powers: Iterable[tuple[Atom, Any]]) -> Product:
        """Powers of the same atom together."""
        found: dict[Atom, Any] = {}
        for a, e in powers:
            found[a] = found.get(a, 0) + e
            if a.head == "indicator" and found[a] > 1:
                found[a] = 1
        if self._logistic:
            self._complement(found)
        return tuple((a, e) for a, e in found.items() if e != 0)

    def _complement(self, found: dict[Atom, Any]) -> None:
        """exp(−z) σ(z) is 1 − σ(z)."""
        for a in [a for a in found if a.serial in self._logistic and found[a] == 1]:
            s = self._logistic[a.serial][1].terms[0][1][0][0]
            s = self.known.get(s.serial, s)
            if found.get(s, 0) >= 1:
                rest = Sum([(Fraction(1), ()), (Fraction(-1), ((s, 1),))], s.shape)
                paren = self.atom("paren", (rest,), s.shape)
                found[s] -= 1
                found[a] = 0
                found[paren] = found.get(paren, 0) + 1

    def _as_logistic(self, s: Sum) -> Sum | None:
        """1 / (1 + exp(−z)) is σ(z)."""
        if len(s.terms) != 2 or any(c != 1 for c, _ in s.terms) or sum(not p for _, p in s.terms) != 1:
            return None
        (p,) = [p for _, p in s.terms if p]
        if len(p) != 1 or p[0][1] != 1 or p[0][0].head != "exp":
            return None
        exponential = p[0][0]
        made = self.call("sigmoid", (self.negative(exponential.operands[0]),), exponential.shape, op=sigmoid, settings={},
                         kinds="f")
        self._logistic[exponential.serial] = (exponential, made)
        return Sum(made.terms, s.shape)

    def as_term(self, s: Sum) -> tuple[Any, Product]:
        """A sum as one term: what all its terms share, times the rest in parentheses."""
        if not s.terms:
            return Fraction(0), ()
        if len(s.terms) == 1:
            return s.terms[0]
        c, shared, rest = self.content(s)
        return c, self.product([*shared, (self.atom("paren", (rest,), rest.shape), 1)])

    def content(self, s: Sum) -> tuple[Any, Product, Sum]:
        """(c, shared, rest) with s = c · shared · rest: c with a sign, so that equal sums have equal rests."""
        (_, first), *others = s.terms
        shared: list[tuple[Atom, Any]] = []
        for a, e in first:
            exponents = [e] + [dict(p).get(a, 0) for _, p in others]
            least = min(exponents) if all(x > 0 for x in exponents) else max(exponents) if all(
                x < 0 for x in exponents) else 0
            if least:
                shared.append((a, least))
        numbers = [c for c, _ in s.terms]
        plain = [c for c, p in s.terms if not p]
        sign = plain[0] if plain else min(s.terms, key=_leads)[0]
        c = Fraction(-1) if sign < 0 else Fraction(1)
        if all(isinstance(x, Fraction) for x in numbers):
            if all(x.denominator == 1 for x in numbers):
                c = c * math.gcd(*(abs(x.numerator) for x in numbers))
            elif all(abs(x) == abs(numbers[0]) for x in numbers):
                c = c * abs(numbers[0])
        elif all(abs(x) == abs(numbers[0]) for x in numbers):
            c = c * abs(numbers[0])
        inverse = [(a, -e) for a, e in shared]
        rest = Sum([(k / c, self.product([*p, *inverse])) for k, p in s.terms], s.shape)
        return c, tuple(shared), rest

    def multiply(self, a: Sum, b: Sum, shape: Shape | None = None) -> Sum:
        """The product entry by entry; sums stay in their parentheses."""
        shape = np.broadcast_shapes(a.shape, b.shape) if shape is None else shape
        if not a.terms or not b.terms:
            return Sum([], shape)
        a, b = self._masked(a), self._masked(b)
        for one, other in ((a, b), (b, a)):
            if len(one.terms) == 1 and not one.terms[0][1] and one.terms[0][0] in (1, -1):
                return Sum([(one.terms[0][0] * c, p) for c, p in other.terms], shape)
        outer = self._outer(a, b, shape) or self._outer(b, a, shape)
        if outer is not None:
            return outer
        (c, p), (k, q) = self.as_term(a), self.as_term(b)
        return self._opened_if_plain(Sum([(c * k, self.product([*p, *q]))], shape))

    def _opened_if_plain(self, s: Sum) -> Sum:
        ((c, p),) = s.terms
        return self._opened(s) if c in (1, -1) and len(p) == 1 else s

    def _masked(self, s: Sum) -> Sum:
        """A condition used as a number is 1 where it holds."""
        if len(s.terms) == 1 and len(s.terms[0][1]) == 1 and s.terms[0][1][0][0].head in RELATIONS:
            return self.indicator(s)
        return s

    def indicator(self, condition: Sum) -> Sum:
        """1 where a condition holds, 0 elsewhere."""
        return self.call("indicator", (condition,), condition.shape)

    def _outer(self, a: Sum, b: Sum, shape: Shape) -> Sum | None:
        """A column times a row, entry by entry, is their matrix product; a vector beside a column is a row."""
        column, row = self._vary(a), self._vary(b)
        if len(shape) != 2 or len(column) != 2 or column[1] != 1 or column[0] == 1:
            return None
        if len(row) == 1 and row[0] > 1 and _all_views(a, products=True):
            b = self.view(b, (1, *row)) if len(b.shape) == 1 else Sum(self.view(Sum(b.terms, row), (1, *row)).terms, (1, *row))
            row = (1, *row)
        if len(row) != 2 or row[0] != 1 or row[1] == 1:
            return None
        return self.matmul(Sum(a.terms, column), Sum(b.terms, row), shape)

    def power(self, s: Sum, exponent: Any) -> Sum:
        """s to a number, entry by entry."""
        exponent = exact(exponent)
        if exponent == 1 or not s.terms:
            return s
        if exponent == 0:
            return self.number(1, s.shape)
        if exponent == -1:
            logistic = self._as_logistic(s)
            if logistic is not None:
                return logistic
        c, p = self.as_term(s)
        whole = isinstance(exponent, Fraction) and exponent.denominator == 1
        exponent = int(exponent) if whole else exponent
        if whole:
            return Sum([(c**exponent, self.product((a, e * exponent) for a, e in p))], s.shape)
        if c < 0:  # the sign stays under the root
            atom = self.atom("paren", (s,), s.shape)
            return Sum([(Fraction(1), ((atom, exponent),))], s.shape)
        root = exact(float(c) ** float(exponent))
        if c != 1 and not isinstance(root, Fraction):
            atom = self.atom("paren", (s,), s.shape)
            return Sum([(Fraction(1), ((atom, exponent),))], s.shape)
        if any(e != 1 for _, e in p):  # (x²)^½ is |x|, not x
            atom = self.atom("paren", (Sum([(Fraction(1), p)], s.shape),), s.shape)
            return Sum([(root, ((atom, exponent),))], s.shape)
        return Sum([(root, self.product((a, e * exponent) for a, e in p))], s.shape)

    def divide(self, a: Sum, b: Sum, shape: Shape | None = None) -> Sum:
        """a / b, entry by entry."""
        return self.multiply(a, self.power(b, -1), shape)

    # -- axes

    def _vary(self, s: Sum) -> Shape:
        """The shape of the atoms of a sum."""
        shapes = [a.shape for _, p in s.terms for a, _ in p]
        return np.broadcast_shapes(*shapes) if shapes else ()

    def total(self, s: Sum, axes: Sequence[int], keepdims: bool, shape: Shape) -> Sum:
        """The sum over axes. What does not vary along them leaves the sum."""
        ndim = len(s.shape)
        s = self._masked(s)
        if not s.terms:
            return Sum([], shape)
        axes = tuple(i for i in axes if s.shape[i] != 1)
        if not axes:
            return self.view(s, shape)
        c, p = self.as_term(s)
        inside: list[tuple[Atom, Any]] = []
        outside: list[tuple[Atom, Any]] = []
        leading = axes == tuple(range(len(axes))) and len(shape) == ndim - len(axes)
        for a, e in p:
            still = all(_along(a.shape, ndim, i) == 1 for i in axes)
            stays = keepdims or not a.shape or (leading and len(a.shape) <= len(shape))
            (outside if still and stays else inside).append((a, e))
        vary = np.broadcast_shapes(*(a.shape for a, _ in inside)) if inside else ()
        factor = Sum([(c, self.product(outside))], shape)
        empty = [i for i in axes if _along(vary, ndim, i) == 1]
        for i in empty:
            factor = self.multiply(factor, self._size(s.shape[i]), shape)
        axes = tuple(i for i in axes if i not in empty)
        if not axes:
            rest = Sum([(Fraction(1), tuple(inside))], tuple(1 if i in empty else n for i, n in enumerate(s.shape)))
            return self.multiply(self.view(rest, shape), factor, shape)
        rest = Sum([(Fraction(1), tuple(inside))], s.shape)
        rest = self._opened(rest)
        small = tuple(1 if i in empty else n for i, n in enumerate(s.shape))
        every = all(n == 1 or i in axes for i, n in enumerate(small))
        found = self.call("sum", (Sum(rest.terms, small),), shape, axes=axes, every=every and not shape)
        return self.multiply(factor, found, shape)

    def _size(self, n: int) -> Sum:
        for symbol, size in self.counts:
            if size == n:
                return self.of(symbol)
        return self.number(n)

    def view(self, s: Sum, shape: Shape) -> Sum:
        """The same entries with axes of size 1 put in or taken out; for other shapes a call of reshape."""
        if s.shape == shape:
            return s
        if not self._vary(s):
            return Sum(s.terms, shape)
        if [n for n in s.shape if n != 1] != [n for n in shape if n != 1]:
            return self.call("reshape", (s,), shape, to=shape)
        return Sum([(c, self.product((self._viewed(a, s.shape, shape), e) for a, e in p)) for c, p in s.terms], shape)

    def _viewed(self, a: Atom, old: Shape, new: Shape) -> Atom:
        if not a.shape:
            return a
        if math.prod(a.shape) == 1 and a.head != "sum":
            if len(a.shape) <= len(new):
                return a
            return self.atom("view", (self.of(a),), (1,) * len(new))
        padded = (1,) * (len(old) - len(a.shape)) + a.shape
        sizes = iter([n for n, o in zip(padded, old, strict=True) if o != 1])
        target = tuple(next(sizes) if n != 1 else 1 for n in new)
        if target == a.shape:
            return a
        if a.head == "paren":
            (inner,) = a.operands
            return self.atom("paren", (self.view(Sum(inner.terms, padded), target),), target)
        if a.head == "view":
            (inner,) = a.operands
            return inner.terms[0][1][0][0] if inner.shape == target else self.atom("view", (inner,), target)
        if a.head == "sum":
            (inner,) = a.operands
            kept = tuple(1 if i in a.params["axes"] else n for i, n in enumerate(inner.shape))
            if target == kept or target == ():
                return self.atom("sum", (inner,), target, axes=a.params["axes"], every=target == ())
        if a.head == "matmul":
            base = self._base_shape(a)
            if len(base) == 2 and 1 in base:
                if target == base or (len(target) == 1 and base[1] == 1):
                    return self.atom("matmul", a.operands, target)
                if target == base[::-1] or len(target) == 1:
                    turned = [self.transposed(o) for o in reversed(a.operands)]
                    return self.atom("matmul", turned, target)
        return self.atom("view", (self.of(a),), target)

    def _base_shape(self, a: Atom) -> Shape:
        first, last = a.operands[0].shape, a.operands[-1].shape
        batch = np.broadcast_shapes(*(o.shape[:-2] for o in a.operands))
        return (*batch, first[-2], last[-1])

    def transposed(self, s: Sum) -> Sum:
        """The matrix, or each matrix of a stack, turned."""
        if len(s.shape) < 2:
            return s
        shape = (*s.shape[:-2], s.shape[-1], s.shape[-2])
        return Sum([(c, self.product((self._turned(a, len(s.shape)), e) for a, e in p)) for c, p in s.terms], shape)

    def _turned(self, a: Atom, ndim: int) -> Atom:
        if len(a.shape) < 2:
            if not a.shape or a.shape == (1,):
                return a
            a = self.atom("view", (self.of(a),), (1, *a.shape))
        if math.prod(a.shape[-2:]) == 1:
            return a
        shape = (*a.shape[:-2], a.shape[-1], a.shape[-2])
        if a.head == "transpose":
            return a.operands[0].terms[0][1][0][0]
        if a.head == "paren":
            return self.atom("paren", (self.transposed(a.operands[0]),), shape)
        if a.head == "matmul" and len(a.shape) == len(self._base_shape(a)):
            return self.atom("matmul", [self.transposed(o) for o in reversed(a.operands)], shape)
        if a.head == "view" and len(a.operands[0].shape) == 1:
            return self.atom("view", a.operands, shape)
        if a.head == "sum" and len(a.operands[0].shape) == len(a.shape) and not a.params["every"]:
            n = len(a.shape)
            swap = {n - 1: n - 2, n - 2: n - 1}
            return self.atom("sum", (self.transposed(a.operands[0]),), shape,
                             axes=tuple(sorted(swap.get(i, i) for i in a.params["axes"])), every=False)
        return self.atom("transpose", (self.of(a),), shape)

    # -- matrix products

    def matmul(self, a: Sum, b: Sum, shape: Shape) -> Sum:
        """The matrix product; single vectors are columns. Scalars go to the front."""
        if not a.terms or not b.terms:
            return Sum([], shape)
        if len(a.shape) == 1:
            if len(b.shape) == 1:
                return self._chain(self.view(a, (1, *a.shape)), self.view(b, (*b.shape, 1)), shape)
            if len(b.shape) == 2:
                return self._chain(self.transposed(b), self.view(a, (*a.shape, 1)), shape)
            return self.call("matmul_vector", (a, b), shape)
        if len(b.shape) == 1:
            if len(a.shape) > 2:
                return self.call("matmul_vector", (a, b), shape)
            b = self.view(b, (*b.shape, 1))
        return self._chain(a, b, shape)

    def _chain(self, a: Sum, b: Sum, shape: Shape) -> Sum:
        if len(a.shape) == len(b.shape) == len(shape) == 2:
            if not self._vary(a):  # ones @ B sums the rows of B
                made = self.total(b, (0,), True, (1, b.shape[1]))
                return self.multiply(Sum(a.terms, shape), Sum(made.terms, shape), shape)
            if not self._vary(b):
                made = self.total(a, (1,), True, (a.shape[0], 1))
                return self.multiply(Sum(b.terms, shape), Sum(made.terms, shape), shape)
        c, scalars = Fraction(1), []
        factors: list[Sum] = []
        for s in (a, b):
            k, p = self.as_term(self._masked(s))
            c = c * k
            arrays = [(x, e) for x, e in p if x.shape]
            scalars += [(x, e) for x, e in p if not x.shape]
            if not arrays:
                factors.append(self.number(1, s.shape))
                continue
            (atom, e) = arrays[0]
            if len(arrays) == 1 and e == 1 and atom.head == "matmul" and atom.shape == self._base_shape(atom) == s.shape:
                factors += atom.operands
            else:
                factors.append(self._opened(Sum([(Fraction(1), tuple(arrays))], s.shape)))
        front = Sum([(c, self.product(scalars))], shape)
        return self.multiply(front, self.call("matmul", factors, shape), shape)

    # -- shorter forms

    def expanded(self, s: Sum) -> Sum | None:
        """All products of sums multiplied out; None where that is long."""
        waiting, done = list(s.terms), []
        while waiting:
            c, p = waiting.pop()
            opening = next((a for a, e in p if _opens(a, e)), None)
            if opening is None:
                done.append((c, p))
                continue
            # the other factors stay closed for now, so that (1 − a) meets its inverse
            waiting += [(c * k, self.product([*p, (opening, -1), *q])) for k, q in opening.operands[0].terms]
            if len(waiting) + len(done) > MOST_TERMS:
                return None
        return self.add(*[Sum([t], s.shape) for t in reversed(done)], shape=s.shape) if done else s

    def factored(self, s: Sum) -> Sum:
        """What all terms share, before the rest in parentheses."""
        if len(s.terms) < 2:
            return s
        joined = self._joined(s)
        c, p = self.as_term(joined)
        return Sum([(c, p)], s.shape)

    def _joined(self, s: Sum) -> Sum:
        """A x + Aᵀ x as (A + Aᵀ) x, where all terms are matrix products that end, or begin, alike."""
        products = []
        for c, p in s.terms:
            chains = [(a, e) for a, e in p if a.head == "matmul"]
            if len(chains) != 1 or chains[0][1] != 1 or any(a.shape for a, _ in p if a.head != "matmul"):
                return s
            products.append((c, tuple(x for x in p if x[0].head != "matmul"), chains[0][0]))
        for end, rest in ((-1, slice(None, -1)), (0, slice(1, None))):
            shared = {a.operands[end].key for _, _, a in products}
            if len(shared) == 1 and all(len(a.operands) == 2 for _, _, a in products):
                others = [Sum([(c * k, self.product([*p, *q])) for k, q in a.operands[rest][0].terms],
                              a.operands[rest][0].shape) for c, p, a in products]
                total, common = self.add(*others), products[0][2].operands[end]
                pair = (total, common) if end == -1 else (common, total)
                return self._chain(*pair, s.shape)
        return s

    def substituted(self, s: Sum, by: Callable[[Atom], Sum | None]) -> Sum:
        """The sum with atoms replaced, inside others too."""
        done: list[Sum] = []
        if len(s.terms) == 1 and s.terms[0][0] == 1 and len(s.terms[0][1]) == 1 and s.terms[0][1][0][1] == 1:
            only = self._replaced(s.terms[0][1][0][0], by)
            return only if only.shape == s.shape else Sum(only.terms, s.shape)
        for c, p in s.terms:
            part = Sum([(c, ())], s.shape)
            for a, e in p:
                part = self.multiply(part, self.power(self._replaced(a, by), e), s.shape)
            done.append(part)
        return self.add(*done, shape=s.shape) if done else s

    def _replaced(self, a: Atom, by: Callable[[Atom], Sum | None]) -> Sum:
        new = by(a)
        if new is not None:
            return new
        if not a.operands:
            return self.of(a)
        inner = [self.substituted(o, by) for o in a.operands]
        if all(x.key == o.key for x, o in zip(inner, a.operands, strict=True)):
            return self.of(a)
        if a.head == "paren":
            return inner[0]
        if a.head == "transpose":
            return self.transposed(inner[0])
        if a.head == "view":
            return self.view(inner[0], a.shape)
        if a.head == "sum":
            kept = tuple(1 if i in a.params["axes"] else n for i, n in enumerate(inner[0].shape))
            return self.view(self.total(inner[0], a.params["axes"], True, kept), a.shape)
        if a.head == "matmul":
            made = inner[0]
            for o in inner[1:]:
                batch = np.broadcast_shapes(made.shape[:-2], o.shape[:-2])
                made = self._chain(made, o, (*batch, made.shape[-2], o.shape[-1]))
            return self.view(made, a.shape)
        return self.call(a.head, inner, a.shape, **a.params)

    # -- numbers

    def value(self, s: Sum, values: Mapping[str, Any]) -> Any:
        """The array a sum stands for, with the names' values."""
        memo: dict[int, Any] = {}
        return np.broadcast_to(self._value(s, values, memo), s.shape)

    def _value(self, s: Sum, values: Mapping[str, Any], memo: dict[int, Any]) -> Any:
        total: Any = 0.0
        for c, p in s.terms:
            part: Any = float(c)
            for a, e in p:
                x = self._atom_value(a, values, memo)
                part = part * (x if e == 1 else np.float64(1.0) / x if e == -1 else np.power(x, float(e)))
            total = total + part
        return total

    def _atom_value(self, a: Atom, values: Mapping[str, Any], memo: dict[int, Any]) -> Any:
        if a.serial not in memo:
            if a.head == "name":
                memo[a.serial] = np.asarray(values[a.params["text"]])
            else:
                memo[a.serial] = self._compute(a, [
                    np.broadcast_to(self._value(o, values, memo), o.shape) for o in a.operands], values)
        return memo[a.serial]

    def _compute(self, a: Atom, xs: list[Any], values: Mapping[str, Any]) -> Any:
        if a.head in ("paren", "indicator"):
            return xs[0] * 1.0
        if a.head in ("view", "reshape"):
            return xs[0].reshape(a.shape)
        if a.head == "transpose":
            return xs[0].mT if xs[0].ndim >= 2 else xs[0]
        if a.head == "sum":
            return np.sum(xs[0], axis=a.params["axes"], keepdims=True).reshape(a.shape)
        if a.head == "matmul":
            made = xs[0]
            for x in xs[1:]:
                made = made @ x
            return made.reshape(a.shape)
        if a.head == "matmul_vector":
            return xs[0] @ xs[1]
        if a.head == "mean":
            return np.mean(xs[0], axis=a.params["axes"], keepdims=True).reshape(a.shape)
        if a.head in RELATIONS:
            return RELATIONS[a.head](*xs)
        if a.head == "select":
            return np.where(xs[0] != 0, xs[1], xs[2])
        op: Primitive = a.params["op"]
        settings = _with_values(a.params.get("settings", {}), values)
        wanted = a.params.get("kinds", "")
        given = [_as_kind(x, k) for x, k in zip(xs, wanted, strict=True)] if wanted else xs
        return op(*given, **settings)


def _all_views(s: Sum, products: bool = False) -> bool:
    """Whether a sum is made of vectors turned into columns or rows, or of matrix products too."""
    for _, p in s.terms:
        for a, _ in p:
            if a.head == "paren":
                if not _all_views(a.operands[0], products):
                    return False
            elif products and a.head == "matmul":
                continue
            elif a.shape and not (a.head == "view" and len(a.operands[0].shape) == 1):
                return False
    return True


def _as_kind(x: Any, kind: str) -> Any:
    x = x.astype(bool) if kind == "b" else x.astype(np.int64) if kind in "iu" else x
    return x[()] if x.ndim == 0 else x


def _with_values(x: Any, values: Mapping[str, Any]) -> Any:
    from ..program.program import renamed

    return {k: renamed(v, values) for k, v in x.items()}


def _opens(a: Atom, e: Any) -> bool:
    return a.head == "paren" and isinstance(e, (int, Fraction)) and e in (1, 2, 3)


def _frozen(x: Any) -> Any:
    if isinstance(x, dict):
        return tuple((k, _frozen(v)) for k, v in sorted(x.items()))
    if isinstance(x, (tuple, list)):
        return tuple(_frozen(item) for item in x)
    if isinstance(x, slice):
        return "slice", x.start, x.stop, x.step
    if isinstance(x, np.ndarray):
        return x.shape, x.dtype.str, x.tobytes()
    if isinstance(x, Primitive):
        return x.name
    return x if isinstance(x, (str, int, float, bool, type(None))) else repr(x)


RELATIONS: dict[str, Callable[..., Any]] = {
    "greater": np.greater, "greater_equal": np.greater_equal, "less": np.less, "less_equal": np.less_equal,
    "equal": np.equal, "not_equal": np.not_equal, "isnan": np.isnan,
    "bitwise_and": lambda a, b: (a != 0) & (b != 0), "bitwise_or": lambda a, b: (a != 0) | (b != 0),
    "invert": lambda a: a == 0,
}
OPPOSITE = {"greater": "less_equal", "greater_equal": "less", "less": "greater_equal", "less_equal": "greater",
            "equal": "not_equal", "not_equal": "equal"}


def _leads(term: tuple[Any, Product]) -> Any:
    """Which term has the plus sign: matrix products first, then short ones, computed values before given data."""
    _, p = term
    product = any(a.head in ("matmul", "sum") for a, _ in p)
    given = all(a.params.get("kind") == "data" for a, _ in p)
    return not product, len(p), given, sorted((a.serial, e) for a, e in p)


def cost(s: Sum) -> float:
    """How much there is to read: names, numbers and exponents."""
    total = 0.0
    for c, p in s.terms:
        total += 0.0 if abs(c) == 1 and p else 1.0
        for a, e in p:
            total += _atom_cost(a) + (0.5 if abs(e) != 1 else 0.0)
    return max(total, 1.0)


def _atom_cost(a: Atom) -> float:
    if a.head == "name":
        return 1.0
    own = {"paren": 0.0, "view": 0.0, "transpose": 0.1, "matmul": 0.0}.get(a.head, 0.5)
    return own + sum(cost(o) for o in a.operands)
