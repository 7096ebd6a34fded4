"""The formulas of a gradient, as one would derive them by hand: dZ2 = A2 − Y, dW2 = 1/m · dZ2 A1ᵀ.

The function is traced, forward and backward; its lines are read into the algebra of `simplify`, with named values as
cut points, brought into a short form, and written in the notation of the notes. Every formula is computed from the
numbers of the trace and compared with the engine's gradient before it is shown; where a short form does not agree, the
recorded form is shown instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import GradientError
from ..program.trace import trace_with_arguments
from ..tensor import Tensor
from .reading import Reader
from .write import variable


@dataclass
class Formulas:
    """The gradients of a function, one formula per name, for terminals (`print`), notebooks and papers (`.latex()`).

    lines : name -> right-hand side as text. order : outputs first. convention : "math" or "course". remarks : what
    symbols stand for. unverified : names whose short form did not agree with the numbers, shown as recorded.
    """

    lines: dict[str, str]
    in_latex: dict[str, str]
    convention: str
    remarks: list[str] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        text = "\n".join(f"{name} = {formula}" for name, formula in self.lines.items())
        return text + ("\n\n" + "\n".join(self.remarks) if self.remarks else "")

    __repr__ = __str__

    def __getitem__(self, name: str) -> str:
        return self.lines[name]

    def latex(self) -> str:
        """An align* environment; needs amsmath, and no math mode around it."""
        rows = [f"{variable(name, True)} &= {formula}" for name, formula in self.in_latex.items()]
        return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"

    def markdown(self) -> str:
        """The formulas in display math, as notebooks show them."""
        remarks = "".join(f"\n\n{remark.translate(_PLAIN_MARKDOWN)}" for remark in self.remarks)
        return "$$\n" + self.latex().replace("align*", "aligned") + "\n$$" + remarks

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/markdown": self.markdown()}


_PLAIN_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>#|$"})


def formulas(f: Callable[..., Any] | Tensor, *args: Any, wrt: Any = None, convention: str = "math",
             inline: bool = False) -> Formulas:
    """The gradient of f at every named value, as formulas, from the output to the inputs.

    f : a function of the arguments, which returns one number, or a recorded result J. Names are those of its arguments
    and local variables; the gradient of Z is dZ. wrt : what to differentiate by, names or positions; by default the
    Tensors among the arguments, or all of them where none is a Tensor. convention : "math", where dZ is ∂J/∂Z; or
    "course", where at values that every example has its own of, dZ is m · ∂J/∂Z, and the 1/m of the mean stands where
    examples are summed. inline : every gradient in terms of values alone, not of other gradients.

    Every formula shown has been computed from the numbers at hand and agrees with the engine's gradient. Where the
    gradient depends on a comparison, as at the kink of a relu, the formula holds wherever the function is smooth.

    Raises GradientError where f does not return one number, UnsupportedError where it decides a branch by a value,
    NamesError where `wrt` names no argument, ValueError for another convention.

    >>> import numpy as np, tinygrad_edu as tg
    >>> def cost(w, b, X, Y):
    ...     Z = w.T @ X + b
    ...     A = tg.sigmoid(Z)
    ...     return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    >>> w, X, Y = np.ones((2, 1)), np.array([[1.0, 2.0, 0.5], [0.0, 1.0, -1.0]]), np.array([[1.0, 0.0, 1.0]])
    >>> print(tg.formulas(cost, w, 0.5, X, Y, wrt=("w", "b"), convention="course"))
    dA = −Y/A + (1−Y)/(1−A)
    dZ = A − Y
    dw = 1/m · X dZᵀ
    db = 1/m · Σ dZ
    <BLANKLINE>
    m = 3 examples; per example (dA, dZ), dZ means m · ∂J/∂Z
    """
    if convention not in ("math", "course"):
        raise ValueError(f'formulas: convention={convention!r}: write "math" or "course".')
    if wrt == () or wrt == []:
        raise GradientError("formulas: wrt is empty, so there is nothing to differentiate by. Name arguments, or leave wrt "
                            "out.")
    program, arguments = trace_with_arguments(f, *args, wrt=wrt)
    found = Reader(program, arguments, convention, inline).written()
    if found.unverified:  # a rule keeps clear of dividing by zero, and here it has to: the guard is shown too
        guarded = Reader(program, arguments, convention, inline, guards=True).written()
        if len(guarded.unverified) < len(found.unverified):
            found = guarded
    return Formulas(found.lines, found.in_latex, convention, found.remarks, found.unverified)
