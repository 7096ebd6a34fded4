"""The table: every primitive and its derivative, one file per family.

A rule says how dJ/d(operand) follows from g = dJ/dy, in ordinary array algebra. It is evaluated on arrays (numbers) and
on Tensors (a recorded derivative: second derivatives, formulas, code). The contract of a rule:

1. Its parameters are `(g, y, *operands, **params)`; there is one rule per operand, None where there is no derivative.
2. It uses array algebra and the primitives only. No `.data`, no `if` on values, no mutation, no closure over arrays.
   An `if` on shapes or on params is fine: they are fixed when the operation is recorded.
3. A pointwise rule never mentions shape: the engine sums what was broadcast.
4. A parameter with a leading underscore lends at most its shape. So the names say what must be kept alive.
5. It is linear in `g`. That is why forward mode needs no table of its own.
6. It uses `y` rather than computing it again, in the textbook's form; where that form is unstable, the stable form is a
   named primitive (sigmoid, softplus, logsumexp, log_sigmoid, softmax, log_softmax).
7. Students read it. It is written as the blackboard would.
8. It returns None where the derivative is zero everywhere (sign, floor, round).
"""

from __future__ import annotations

from ..tensor import Primitive
from . import activations, indexing, linear_algebra, pointwise, products, reductions, selecting, shapes, windows

TABLE: dict[str, Primitive] = {
    op.name: op
    for family in (pointwise, activations, reductions, shapes, indexing, selecting, products, linear_algebra, windows)
    for op in vars(family).values()
    if isinstance(op, Primitive) and op.rules
}
