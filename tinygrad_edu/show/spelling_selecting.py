"""How assignment of several parts, and the k-th smallest entry, are written in NumPy."""

from __future__ import annotations

from .spelling_kinds import CALL, Call, Code, Spelling, helper, index_text


def _assign_each(c: Call) -> Code:
    pieces = []
    for index, values in zip(c.params["index"], c.all_texts()[1:], strict=True):
        pieces.append(f"(np.s_[{index_text(index, c.spell)}], {values})")
    return Code(f"{c.helper('assign_each')}({', '.join([c[0], *pieces])})", CALL)


TABLE: dict[str, Spelling] = {"assign_each": _assign_each, "order_statistic": helper("order_statistic", "k")}
HELPERS: dict[str, str] = {
    "assign_each": '''\
def \0assign_each\0(x, *pieces):
    """x with x[index] = values for each pair (index, values), one after the other."""
    x = np.array(x)
    for index, values in pieces:
        x[index] = values
    return x[()]
''',
    "order_statistic": '''\
def \0order_statistic\0(x, k):
    """The k-th smallest entry along the last axis, counted from 0; nan where there is one."""
    ordered = np.partition(x, (k, -1), axis=-1)
    y, last = ordered[..., k], ordered[..., -1]
    return np.where(last == last, y, last)[()]
''',
}
