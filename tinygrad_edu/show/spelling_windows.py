"""How the functions of `rules.windows` are written in NumPy.

The three convolutions keep the engine's order of axes in memory and its parts, on which the last digit depends.
"""

from __future__ import annotations

from .spelling_kinds import Spelling, helper

_WINDOWS = ("kernel", "stride", "before", "dilation", "size")
_FILTERS = ("stride", "before", "dilation", "groups")
TABLE: dict[str, Spelling] = {
    "convolution": helper("convolution", *_FILTERS, "size"),
    "transposed_convolution": helper("transposed_convolution", *_FILTERS, "shape"),
    "filter_gradient": helper("filter_gradient", *_FILTERS, "kernel"),
    "unfold": helper("unfold", *_WINDOWS), "fold": helper("fold", *_WINDOWS, "shape"),
    "max_pool": helper("max_pool", *_WINDOWS), "share_of_windows": helper("share_of_windows", *_WINDOWS),
    "mean_of_ties": helper("mean_of_ties", *_WINDOWS),
    "window_sum": helper("window_sum", "kernel", "stride", "before", "size"),
    "window_spread": helper("window_spread", "kernel", "stride", "before", "shape"),
    "resample": helper("resample", "axis", "places", "weights"),
    "resample_back": helper("resample_back", "axis", "places", "weights", "length"),
}
HELPERS: dict[str, str] = {
    "padded": '''\
def \0padded\0(x, kernel, size, stride, before, dilation, fill=0.0):
    """x with `fill` around it, so that all windows have entries to meet."""
    reach = [(n - 1) * s + (k - 1) * d + 1 for n, k, s, d in zip(size, kernel, stride, dilation)]
    behind = [max(r - n - b, 0) for r, n, b in zip(reach, x.shape[2:], before)]
    return np.pad(x, [(0, 0), (0, 0), *zip(before, behind)], constant_values=fill)
''',
    "windows_at": '''\
def \0windows_at\0(place, size, stride, dilation):
    """The entries of padded images that the windows meet at one place of the kernel."""
    starts = [i * d for i, d in zip(place, dilation)]
    return (..., *(slice(a, a + max((n - 1) * s + 1, 0), s) for a, n, s in zip(starts, size, stride)))
''',
    "memory_order": '''\
def \0memory_order\0(batch, axes):
    """Channels come first in memory, and many examples last, a few before the last axis."""
    return (1, *range(2, axes), 0) if batch >= 8 else (1, *range(2, axes - 1), 0, axes - 1)
''',
    "in_order": '''\
def \0in_order\0(x):
    """The same numbers, copied into the order of memory, in which sums are taken."""
    order = \0memory_order\0(len(x), x.ndim)
    return np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
''',
    "parts": '''\
def \0parts\0(counts, entries, itemsize, most):
    """Cuts along the first two axes, for windows so many at a time that their columns stay within 4 MB."""
    rows, second = counts[:2]
    inner = max(int(np.prod(counts[2:])), 1)
    most = max(min(most, 2**22 // max(entries * itemsize, 1)), 1)
    many = max(most // max(second * inner, 1), 1)
    few = second if many > 1 or second * inner <= most else max(most // inner, 1)
    return [(slice(a, a + many), slice(b, b + few)) for a in range(0, rows, many) for b in range(0, second, max(few, 1))]
''',
    "columns": '''\
def \0columns\0(x, kernel, size, stride, before, dilation):
    """What the windows meet, side by side: (channels, entries of the kernel, *places), in the order of memory."""
    x = \0padded\0(x, kernel, size, stride, before, dilation)
    order = \0memory_order\0(len(x), x.ndim)
    return np.stack([x[\0windows_at\0(place, size, stride, dilation)].transpose(order) for place in np.ndindex(*kernel)], 1)
''',
    "convolution": '''\
def \0convolution\0(x, w, stride, before, dilation, groups, size):
    """w ∗ x: every filter times what every window of x meets, as a matrix product."""
    side_by_side = \0columns\0(x, w.shape[2:], size, stride, before, dilation)
    counts, dtype = side_by_side.shape[2:], np.result_type(x, w)
    y, filters = np.zeros((len(w), *counts), dtype), w.reshape(groups, len(w) // groups, w[0].size)
    if y.size and w.size:
        entries = side_by_side.shape[0] * side_by_side.shape[1]
        for part in \0parts\0(counts, entries, dtype.itemsize, y.size):
            met = side_by_side[:, :, *part]
            product = filters.astype(dtype) @ met.astype(dtype).reshape(groups, entries // groups, -1)
            y[:, *part] = product.reshape(len(w), *met.shape[2:])
    return y.transpose(np.argsort(\0memory_order\0(len(x), x.ndim)))
''',
    "transposed_convolution": '''\
def \0transposed_convolution\0(u, w, stride, before, dilation, groups, shape):
    """The transpose of w ∗ x: every entry of u puts its multiple of the filters where its window is."""
    batch, kernel, size, dtype = len(u), w.shape[2:], u.shape[2:], np.result_type(u, w)
    channels, order = w.shape[1] * groups, \0memory_order\0(batch, u.ndim)
    room = [max((n - 1) * s + (k - 1) * d + 1 if n else 0, b + m) for n, k, s, d, b, m in zip(
        size, kernel, stride, dilation, before, shape)]
    x = np.zeros((batch, channels, *room), dtype).transpose(order)
    if u.size and w.size:
        u = np.ascontiguousarray(u.transpose(order), dtype)
        filters = w.astype(dtype).reshape(groups, len(u) // groups, -1).swapaxes(1, 2)
        for part in \0parts\0(u.shape[1:], channels * int(np.prod(kernel)), dtype.itemsize, u.size):
            g = u[:, *part]
            product = (filters @ g.reshape(groups, len(u) // groups, -1)).reshape(channels, *kernel, *g.shape[1:])
            first = [part[0].start, part[1].start] + [0] * (len(order) - 3)
            for place in np.ndindex(*kernel):
                met = [slice(None)]
                for axis, a, n in zip(order[1:], first, g.shape[1:]):
                    s, i = (stride[axis - 2], place[axis - 2] * dilation[axis - 2]) if axis else (1, 0)
                    met.append(slice(a * s + i, a * s + i + (n - 1) * s + 1, s))
                x[tuple(met)] += product[:, *place]
    return x.transpose(np.argsort(order))[:, :, *(slice(b, b + n) for b, n in zip(before, shape))]
''',
    "filter_gradient": '''\
def \0filter_gradient\0(x, u, stride, before, dilation, groups, kernel):
    """dJ/dw of y = w ∗ x for u = dJ/dy: the sum over all windows of u times what the window meets."""
    dtype = np.result_type(x, u)
    entries, filters = x.shape[1] * int(np.prod(kernel)), u.shape[1]
    total = np.zeros((groups, entries // groups, filters // groups), dtype)
    if x.size and u.size:
        side_by_side = \0columns\0(x, kernel, u.shape[2:], stride, before, dilation)
        u = np.ascontiguousarray(u.transpose(\0memory_order\0(len(u), u.ndim)), dtype)
        few = 1_000_000 // max(total[0].size, 1)
        for part in \0parts\0(u.shape[1:], entries, dtype.itemsize, few if few >= 1000 else u.size):
            met = side_by_side[:, :, *part].astype(dtype).reshape(groups, entries // groups, -1)
            total += met @ u[:, *part].reshape(groups, filters // groups, -1).swapaxes(1, 2)
    return total.swapaxes(1, 2).reshape(filters, x.shape[1] // groups, *kernel)
''',
    "unfold": '''\
def \0unfold\0(x, kernel, stride, before, dilation, size):
    """The windows of images side by side: each becomes a column."""
    images, channels = x.shape[:2]
    x = \0padded\0(x, kernel, size, stride, before, dilation)
    met = [x[\0windows_at\0(place, size, stride, dilation)] for place in np.ndindex(*kernel)]
    return np.stack(met, axis=2).reshape(images, channels * int(np.prod(kernel)), int(np.prod(size)))
''',
    "fold": '''\
def \0fold\0(u, kernel, stride, before, dilation, size, shape):
    """Columns back in their places of images; where windows overlap they are added."""
    u = u.reshape(len(u), u.shape[1] // int(np.prod(kernel)), *kernel, *size)
    inside = (..., *(slice(b, b + n) for b, n in zip(before, shape)))
    x = \0in_order\0(\0padded\0(np.zeros((*u.shape[:2], *shape), u.dtype), kernel, size, stride, before, dilation))
    for place in np.ndindex(*kernel):
        x[\0windows_at\0(place, size, stride, dilation)] += u[:, :, *place]
    return x[inside]
''',
    "max_pool": '''\
def \0max_pool\0(x, kernel, stride, before, dilation, size):
    """The largest entry of each window."""
    x = \0padded\0(x, kernel, size, stride, before, dilation, -np.inf)
    return \0in_order\0(np.max([x[\0windows_at\0(place, size, stride, dilation)] for place in np.ndindex(*kernel)], axis=0))
''',
    "hits": '''\
def \0hits\0(best, x, kernel, stride, before, dilation, size):
    """At each place of the kernel, which entries equal the largest of their window; and how many there are in each window."""
    x = \0padded\0(x, kernel, size, stride, before, dilation, np.nan)  # which ties with nothing
    found = [x[\0windows_at\0(place, size, stride, dilation)] == best for place in np.ndindex(*kernel)]
    return found, np.sum(found, axis=0).astype(best.dtype)
''',
    "share_of_windows": '''\
def \0share_of_windows\0(g, best, x, kernel, stride, before, dilation, size):
    """The gradient of each window's maximum, shared equally by the entries that attain it."""
    found, count = \0hits\0(best, x, kernel, stride, before, dilation, size)
    dx = \0in_order\0(\0padded\0(np.zeros(x.shape, g.dtype), kernel, size, stride, before, dilation))
    for place, hit in zip(np.ndindex(*kernel), found):
        dx[\0windows_at\0(place, size, stride, dilation)] += g / count.astype(g.dtype) * hit
    return dx[(..., *(slice(b, b + n) for b, n in zip(before, x.shape[2:])))]
''',
    "mean_of_ties": '''\
def \0mean_of_ties\0(t, best, x, kernel, stride, before, dilation, size):
    """The mean of t over the entries where x attains the maximum of its window."""
    found, count = \0hits\0(best, x, kernel, stride, before, dilation, size)
    t = \0padded\0(t, kernel, size, stride, before, dilation)
    total = np.zeros(best.shape, t.dtype)
    for place, hit in zip(np.ndindex(*kernel), found):
        total += t[\0windows_at\0(place, size, stride, dilation)] * hit
    return \0in_order\0(total / count.astype(t.dtype))
''',
    "window_sum": '''\
def \0window_sum\0(x, kernel, stride, before, size):
    """The sum of each window, along one axis after the other."""
    x = \0padded\0(x, kernel, size, stride, before, [1] * len(kernel))
    for axis, (k, s, n) in enumerate(zip(kernel, stride, size), start=2):
        rows = np.moveaxis(x, axis, 0)
        x = np.moveaxis(sum(rows[i : i + max((n - 1) * s + 1, 0) : s] for i in range(k)), 0, axis)
    return \0in_order\0(x)
''',
    "window_spread": '''\
def \0window_spread\0(g, kernel, stride, before, shape):
    """What each window has, added to every entry that it sees, along one axis after the other."""
    for axis, (k, s, b, n) in enumerate(zip(kernel, stride, before, shape), start=2):
        rows = np.moveaxis(g, axis, 0)
        wide = np.zeros((max((len(rows) - 1) * s + k, b + n), *rows.shape[1:]), g.dtype)
        for i in range(k):
            wide[i : i + max((len(rows) - 1) * s + 1, 0) : s] += rows
        g = np.moveaxis(wide, 0, axis)
    return \0in_order\0(g)[(..., *(slice(b, b + n) for b, n in zip(before, shape)))]
''',
    "resample": '''\
def \0resample\0(x, axis, places, weights):
    """Along the axis, (1 − weight) x[place] + weight x[place + 1] for each place and weight."""
    rows, places, between = np.moveaxis(x, axis, 0), np.array(places), np.flatnonzero(weights)
    y = rows[places]
    part = np.array(weights, x.dtype)[between].reshape(-1, *[1] * (x.ndim - 1))
    y[between] = (1 - part) * y[between] + part * rows[np.minimum(places[between] + 1, len(rows) - 1)]
    return np.ascontiguousarray(np.moveaxis(y, 0, axis))
''',
    "resample_back": '''\
def \0resample_back\0(g, axis, places, weights, length):
    """The transpose: each row of g back to the two that it was read from, by their weights."""
    g = np.moveaxis(g, axis, 0)
    out = np.zeros((length, *g.shape[1:]), g.dtype)
    for row, place, weight in zip(g, places, weights):
        out[place] += (1 - weight) * row
        if weight:
            out[min(place + 1, length - 1)] += weight * row
    return np.moveaxis(out, 0, axis)
''',
}
