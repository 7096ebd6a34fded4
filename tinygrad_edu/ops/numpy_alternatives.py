"""What to write instead of the NumPy functions that cannot be recorded: read by the errors and by the coverage page."""

from __future__ import annotations

_COMPLEX = "Complex numbers have no derivative here. "
_SINES = ("Complex numbers have no derivative here: multiply by the tables of cosines and sines, C @ x and S @ x, with C, S = "
          "np.cos(a), np.sin(a) and a = 2 * np.pi * np.outer(k, k) / n.")
_EIGENVALUES = "The roots are the eigenvalues of the companion matrix; refine one by Newton's method from its number."
_SETS = "Choose entries by a mask of the values: t[np.isin(t.numpy(), other)]."
_WHOLE = "Whole numbers have no derivative. "
_DATES = "Dates have no derivative."

# functions that are refused: name -> a sentence
ALTERNATIVES: dict[str, str] = {
    "np.nextafter": "A neighbouring number differs by one rounding: use t itself.",
    "np.gcd": _WHOLE + "Use np.gcd of integer arrays.",
    "np.lcm": _WHOLE + "Use np.lcm of integer arrays.",
    "np.left_shift": _WHOLE + "Write x * 2.0**n.",
    "np.right_shift": _WHOLE + "Write np.floor(x / 2.0**n).",
    "np.bitwise_count": _WHOLE + "Use np.bitwise_count of an integer array.",
    "np.isnat": _DATES, "np.is_busday": _DATES, "np.busday_count": _DATES, "np.busday_offset": _DATES,
    "np.datetime_as_string": _DATES,
    "np.clip": "Write np.clip(x, low, high), which is recorded.",
    "np.angle": "Of real numbers it is 0 or π: np.where(t < 0, np.pi, 0.0). The angle of a point (x, y) is np.arctan2(y, x).",
    "np.sort_complex": _COMPLEX + "Use np.sort.",
    "np.i0": "The Bessel function has no rule here; tg.primitive makes one, with its derivative I₁.",
    "np.roots": _EIGENVALUES,
    "np.poly": "Multiply the factors: c = np.convolve(c, np.stack([one, -r])) for each root r.",
    "np.polyfit": "Solve the normal equations: np.linalg.solve(V.T @ V, V.T @ y) with V = np.vander(x, degree + 1).",
    "np.polyadd": "Add coefficients of one length: p + q, with np.pad for the shorter.",
    "np.polysub": "Subtract coefficients of one length: p - q, with np.pad for the shorter.",
    "np.polymul": "Write np.convolve(p, q).",
    "np.polydiv": "Divide values: np.polyval(p, x) / np.polyval(q, x).",
    "np.polyder": "Write p[:-1] * np.arange(len(p) - 1, 0, -1).",
    "np.polyint": "Write np.append(p / np.arange(len(p), 0, -1), 0.0).",
    "np.histogram_bin_edges": "Take edges from the numbers: np.histogram_bin_edges(t.numpy()).",
    "np.ix_": "Index with integer arrays or masks: t[np.ix_(rows, columns)].",
    "np.ravel_multi_index": _WHOLE + "Use np.ravel_multi_index of integer arrays.",
    "np.unravel_index": _WHOLE + "Use np.unravel_index of an integer, as np.argmax gives.",
    "np.packbits": "Bits have no derivative. Use np.packbits of a truth array, t.numpy() > 0.",
    "np.unpackbits": "Bits have no derivative. Use np.unpackbits of an array of bytes.",
    "np.intersect1d": _SETS, "np.union1d": "Write np.unique(np.concatenate([a, b])).",
    "np.setdiff1d": "Choose entries by a mask of the values: t[~np.isin(t.numpy(), other)].",
    "np.setxor1d": _SETS,
    "np.unique_all": "Use np.unique(t, return_index=True, return_inverse=True, return_counts=True).",
    "np.unique_counts": "Use np.unique(t, return_counts=True).",
    "np.unique_inverse": "Use np.unique(t, return_inverse=True).",
    **{f"np.fft.{name}": _SINES for name in (
        "fft", "fft2", "fftn", "ifft", "ifft2", "ifftn", "rfft", "rfft2", "rfftn", "irfft", "irfft2", "irfftn", "hfft",
        "ihfft")},
    **{f"np.emath.{name}": f"Complex results have no derivative here. Use np.{name}, real where its argument allows."
       for name in ("arccos", "arcsin", "arctanh", "log", "log10", "log2", "power", "sqrt")},
    "np.emath.logn": "Complex results have no derivative here. Use np.log(x) / np.log(n).",
    "np.nanpercentile": "Choose the numbers first: np.percentile(t[~np.isnan(t)], q).",
    "np.nanquantile": "Choose the numbers first: np.quantile(t[~np.isnan(t)], q).",
    "np.fmax.reduce": "Write np.nanmax.", "np.fmin.reduce": "Write np.nanmin.",
    "np.subtract.reduce": "Write x[0] - x[1:].sum(0).", "np.divide.reduce": "Write x[0] / x[1:].prod(0).",
    "np.hypot.reduce": "Write np.sqrt((x**2).sum(axis)).",
    "np.logaddexp2.reduce": "Write tg.logsumexp(x * np.log(2), axis) / np.log(2).",
    "np.polynomial.polynomial.polyval2d": "Write np.einsum('i,ij,j->', powers of x, c, powers of y).",
    "np.polynomial.polynomial.polygrid2d": "Write X @ c @ Y.T with X, Y the tables of powers, np.vander(x, increasing=True).",
}

# functions that change their argument: name -> a sentence
IN_PLACE: dict[str, str] = {
    "np.copyto": "Write x = np.where(mask, t, x); for np.full_like(array, t) write t * np.ones_like(array).",
    "np.put": "Write x = tg.assign(x, index, values).",
    "np.place": "Write x = tg.assign(x, mask, values).",
    "np.putmask": "Write x = np.where(mask, values, x).",
    "np.fill_diagonal": "Write x = np.where(np.eye(n, dtype=bool), value, x).",
    "np.put_along_axis": "Write x = tg.put_along_axis(x, indices, values, axis).",
}
