"""How assignment of several parts, one after the other, is written in NumPy."""

from __future__ import annotations

from .spelling_kinds import CALL, Call, Code, Spelling, index_text


def _assign_each(c: Call) -> Code:
    pieces = []
    for index, values in zip(c.params["index"], c.all_texts()[1:], strict=True):
        pieces.append(f"(np.s_[{index_text(index, c.spell)}], {values})")
    return Code(f"{c.helper('assign_each')}({', '.join([c[0], *pieces])})", CALL)


TABLE: dict[str, Spelling] = {"assign_each": _assign_each}
HELPERS: dict[str, str] = {
    "assign_each": '''\
def \0assign_each\0(x, *pieces):
    """x with x[index] = values for each pair (index, values), one after the other."""
    x = np.array(x)
    for index, values in pieces:
        x[index] = values
    return x[()]
''',
}
