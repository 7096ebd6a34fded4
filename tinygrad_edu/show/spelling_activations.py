"""How the functions of `rules.activations` are written in NumPy."""

from __future__ import annotations

from .spelling_kinds import CALL, Call, Code, Spelling, helper, number


def _hard_tanh(c: Call) -> Code:
    low, high = number(c.params["low"]).text, number(c.params["high"]).text
    return Code(f"np.minimum(np.maximum({c[0]}, {low}), {high})", CALL)


TABLE: dict[str, Spelling] = {
    "hard_tanh": _hard_tanh, "celu": helper("celu", "alpha"), "softsign": helper("softsign"),
    "tanhshrink": helper("tanhshrink"), "huber": helper("huber", "delta"),
}
HELPERS: dict[str, str] = {
    "celu": '''\
def \0celu\0(z, alpha):
    """z where z > 0, α (e^(z/α) − 1) elsewhere."""
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0) / alpha))[()]
''',
    "softsign": '''\
def \0softsign\0(z):
    """z / (1 + |z|), entry by entry."""
    return z / (1 + np.abs(z))
''',
    "tanhshrink": '''\
def \0tanhshrink\0(z):
    """z − tanh z, for |z| < 1 by Lambert's continued fraction of tanh, where the difference would cancel."""
    near = np.abs(z) < 1
    inner = np.where(near, z, 0)
    u = np.square(inner)
    c = 0.0 * u
    for odd in range(27, 1, -2):
        c = u / (odd + c)
    return np.where(near, inner * (c / (1 + c)), z - np.tanh(z))[()]
''',
    "huber": '''\
def \0huber\0(z, delta):
    """½ z² where |z| ≤ δ, δ (|z| − ½ δ) beyond."""
    size = np.abs(z)
    inside = np.minimum(size, delta)
    return inside * (size - 0.5 * inside)
''',
}
