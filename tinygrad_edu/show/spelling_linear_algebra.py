"""How the functions of `rules.linear_algebra` are written in NumPy."""

from __future__ import annotations

from .spelling_kinds import CALL, Call, Code, Spelling, function, helper


def _tril(c: Call) -> Code:
    k = c.params.get("k", 0)
    return Code(f"np.tril({c[0]}{f', {k}' if k else ''})", CALL)


def _of_triangle(lower: str, upper: str) -> Spelling:
    return lambda c: helper(upper if c.params.get("UPLO") == "U" else lower)(c)


def _row(place: int | None) -> Spelling:
    """A row of stacked factors: the first, or that below U."""
    return lambda c: Code(f"{c.of(0, CALL)}[..., {c.shapes[1][-2] if place is None else place}, :]", CALL)


def _pinv(c: Call) -> Code:
    rcond = c.params.get("rcond")
    return Code(f"np.linalg.pinv({c[0]}{'' if rcond is None else f', {c.spell(rcond)}'})", CALL)


TABLE: dict[str, Spelling] = {
    "tril": _tril, "mirror": _of_triangle("mirror", "mirror_upper"),
    "to_triangle": _of_triangle("to_triangle", "to_upper_triangle"), "inv": function("np.linalg.inv"), "pinv": _pinv,
    "solve": function("np.linalg.solve"), "det": function("np.linalg.det"), "cholesky": function("np.linalg.cholesky"),
    "det_sign": lambda c: Code(f"np.linalg.slogdet({c[0]})[0]", CALL),
    "logabsdet": lambda c: Code(f"np.linalg.slogdet({c[0]})[1]", CALL),
    "cofactors": helper("cofactors"), "cofactor_slope": helper("cofactor_slope"),
    "one_over_det": helper("one_over_det"), "qr": helper("qr"),
    "independent": helper("independent"), "inverse_gaps": helper("inverse_gaps", "squared"), "eigh": helper("eigh", "UPLO"),
    "eigh_values": _row(0), "eig": helper("eig"), "eig_values": _row(0), "left_vectors": helper("left_vectors"),
    "svd": helper("svd"), "svd_values": _row(None), "one_over_singular": helper("one_over_singular", "shape"),
    "nonzero_part": helper("nonzero_part", "shape"), "vector_norm": helper("vector_norm", "ord", "axis", "keepdims"),
    "ratio": helper("ratio"), "nan_for_zero": helper("nan_for_zero"),
}
HELPERS: dict[str, str] = {
    "mirror": '''\
def \0mirror\0(A):
    """The symmetric matrix with A's lower triangle."""
    return np.tril(A) + np.swapaxes(np.tril(A, -1), -1, -2)
''',
    "mirror_upper": '''\
def \0mirror_upper\0(A):
    """The symmetric matrix with A's upper triangle."""
    return np.triu(A) + np.swapaxes(np.triu(A, 1), -1, -2)
''',
    "to_triangle": '''\
def \0to_triangle\0(S):
    """The lower triangle, to which the upper one is added: the gradient for a matrix whose lower triangle is read."""
    return np.tril(S) + np.swapaxes(np.triu(S, 1), -1, -2)
''',
    "to_upper_triangle": '''\
def \0to_upper_triangle\0(S):
    """The upper triangle, to which the lower one is added: the gradient for a matrix whose upper triangle is read."""
    return np.triu(S) + np.swapaxes(np.tril(S, -1), -1, -2)
''',
    "all_but_one": '''\
def \0all_but_one\0(s):
    """For each entry the product of those before it, of those after it, and of both."""
    ones = np.ones((*s.shape[:-1], 1), s.dtype)
    before = np.cumprod(np.concatenate([ones, s[..., :-1]], -1), -1)[..., : s.shape[-1]]
    after = np.cumprod(np.concatenate([ones, s[..., :0:-1]], -1), -1)[..., : s.shape[-1]][..., ::-1]
    return before, after, before * after
''',
    "all_but_two": '''\
def \0all_but_two\0(s):
    """For each pair of entries the product of the others, 0 on the diagonal."""
    before, after, _ = \0all_but_one\0(s)
    later = np.where(np.tri(s.shape[-1], dtype=bool), np.ones_like(s[..., None]), s[..., None, :])
    between = np.roll(np.cumprod(later, -1), 1, -1)
    upper = np.triu(before[..., :, None] * between * after[..., None, :], 1)
    return upper + np.swapaxes(upper, -1, -2)
''',
    "cofactors": '''\
def \0cofactors\0(A):
    """det(A) A⁻ᵀ from the singular values: for each, the product of the others."""
    U, s, Vh = np.linalg.svd(A)
    others = \0all_but_one\0(s)[2] * np.rint(np.linalg.det(U) * np.linalg.det(Vh))[..., None]
    return (U * others[..., None, :]) @ Vh
''',
    "cofactor_slope": '''\
def \0cofactor_slope\0(X, A):
    """How the sum of X ⊙ cofactors(A) changes with A."""
    U, s, Vh = np.linalg.svd(A)
    others = \0all_but_two\0(s) * np.rint(np.linalg.det(U) * np.linalg.det(Vh))[..., None, None]
    turned = np.swapaxes(U, -1, -2) @ X @ np.swapaxes(Vh, -1, -2)
    along = others @ np.diagonal(turned, axis1=-2, axis2=-1)[..., None]
    inner = np.eye(s.shape[-1], dtype=s.dtype) * along - others * np.swapaxes(turned, -1, -2)
    return U @ inner @ Vh
''',
    "one_over_det": '''\
def \0one_over_det\0(A):
    """1 / det(A), nan for a matrix that is singular up to rounding."""
    s = np.linalg.svd(A, compute_uv=False)
    smallest, largest = np.min(s, -1, initial=np.inf), np.max(s, -1, initial=0)
    singular = smallest <= 16 * A.shape[-1] * np.finfo(s.dtype).eps * largest
    return 1 / np.where(singular, np.nan, np.linalg.det(A))
''',
    "qr": '''\
def \0qr\0(A):
    """Q, and below it Rᵀ."""
    Q, R = np.linalg.qr(A)
    return np.concatenate([Q, np.swapaxes(R, -1, -2)], -2)
''',
    "independent": '''\
def \0independent\0(R):
    """R, nan where its columns are dependent up to rounding."""
    d = np.abs(np.diagonal(R, axis1=-2, axis2=-1))
    small = d <= 16 * R.shape[-1] * np.finfo(R.dtype).eps * np.max(d, -1, initial=0, keepdims=True)
    return np.where(np.any(small, -1)[..., None, None], np.nan, R)
''',
    "inverse_gaps": '''\
def \0inverse_gaps\0(w, squared=False):
    """1 / (w_j − w_i), or of the squares, 0 on the diagonal, nan where two values are equal up to rounding."""
    n = w.shape[-1]
    right, left = w[..., None, :], w[..., :, None]
    gaps = right - left
    largest = np.max(np.abs(w), -1, initial=0, keepdims=True)[..., None]
    gaps = np.where(np.abs(gaps) <= 16 * n * np.finfo(w.dtype).eps * largest, np.nan, gaps)
    out = 1 / (gaps * (right + left) if squared else gaps)
    return np.where(np.eye(n, dtype=bool), np.zeros_like(w[..., None]), out)
''',
    "eigh": '''\
def \0eigh\0(A, UPLO="L"):
    """The eigenvalues in the first row, the eigenvectors as columns below."""
    w, V = np.linalg.eigh(A, UPLO)
    return np.concatenate([w[..., None, :], V], -2)
''',
    "eig": '''\
def \0eig\0(A):
    """The eigenvalues in the first row, the eigenvectors as columns below; all must be real."""
    w, V = np.linalg.eig(A)
    if w.dtype.kind == "c" and not np.any(w.imag):
        w, V = w.real.copy(), V.real.copy()
    assert w.dtype.kind == "f", "the matrix has complex eigenvalues"
    return np.concatenate([w[..., None, :], V], -2)
''',
    "left_vectors": '''\
def \0left_vectors\0(V):
    """V⁻ᵀ, nan where the columns are dependent up to rounding."""
    try:
        inverse = np.linalg.inv(V)
    except np.linalg.LinAlgError:  # one of them is singular: one at a time
        inverse = np.full_like(V, np.nan)
        for place in np.ndindex(V.shape[:-2]):
            try:
                inverse[place] = np.linalg.inv(V[place])
            except np.linalg.LinAlgError:
                continue
    error = np.finfo(V.dtype).eps * np.max(np.abs(inverse), (-2, -1), initial=0, keepdims=True)
    return np.where(error > 1e-3, np.nan, np.swapaxes(inverse, -1, -2))
''',
    "svd": '''\
def \0svd\0(A):
    """U, below it the row of singular values, below it V."""
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    return np.concatenate([U, s[..., None, :], np.swapaxes(Vh, -1, -2)], -2)
''',
    "one_over_singular": '''\
def \0one_over_singular\0(s, shape):
    """1 / s, nan for a singular value that is 0 up to rounding."""
    small = 16 * max(shape) * np.finfo(s.dtype).eps * np.max(s, -1, initial=0, keepdims=True)
    return 1 / np.where(s <= small, np.nan, s)
''',
    "nonzero_part": '''\
def \0nonzero_part\0(s, shape):
    """The singular values, exactly 0 where they are 0 up to rounding."""
    small = 16 * max(shape) * np.finfo(s.dtype).eps * np.max(s, -1, initial=0, keepdims=True)
    return np.where(s <= small, np.zeros_like(s), s)
''',
    "vector_norm": '''\
def \0vector_norm\0(x, ord=2, axis=None, keepdims=False):
    """(Σ |x|^p)^(1/p); scaled by the entry that counts most where the plain sum would overflow or vanish."""
    size = np.abs(x)
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        y = np.sum(size**ord, axis=axis, keepdims=True) ** (1 / ord)
        if abs(ord) > 1:
            limits, p = np.finfo(y.dtype), 1 / abs(ord)
            if not np.all((y > float(limits.tiny) ** p * 1e4) & (y < float(limits.max) ** p / 1e4)):
                extreme, start = (np.max, 0) if ord > 0 else (np.min, np.inf)
                top = extreme(size, axis=axis, keepdims=True, initial=start)
                top = np.where((top > 0) & np.isfinite(top), top, 1)
                y = top * np.sum((size / top) ** ord, axis=axis, keepdims=True) ** (1 / ord)
    return y if keepdims else np.squeeze(y, axis)[()]
''',
    "ratio": '''\
def \0ratio\0(a, b):
    """a / b, but 0 where both are 0."""
    return np.where(b == 0, a, a / np.where(b == 0, 1, b))[()]
''',
    "nan_for_zero": '''\
def \0nan_for_zero\0(x):
    """x, nan where it is 0."""
    return np.where(x == 0, np.nan, x)[()]
''',
}
