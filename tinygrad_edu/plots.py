"""Figures of training and of what was learned: costs, boundaries, paths, activations, filters, confusions, images.

Every function draws in the matplotlib axes `ax` (or in those of a new figure) and returns them. matplotlib is imported when a
function is called: pip install "tinygrad-edu[examples]". Colours are told apart by colour-blind readers, and nothing is
said by colour alone: lines differ in their dashes, classes in their markers, and scales of colour in lightness.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from . import nn, ops
from .calculus import elementwise_grad
from .errors import DTypeError, MissingExtraError, ShapeError
from .modes import no_grad
from .tensor import Tensor

__all__ = ["activations", "confusion_matrix", "contour", "cost_curve", "decision_boundary", "filters", "image_grid"]

# of Okabe and Ito (2008), which colour-blind readers tell apart, in an order in which neighbours differ in lightness too
COLOURS = ("#0072B2", "#E69F00", "#000000", "#CC79A7", "#009E73", "#56B4E9", "#D55E00", "#999999")
DASHES = ("-", (0, (6, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)), (0, (4, 1.5, 1.5, 1.5, 1.5, 1.5)), (0, (10, 4)))
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*", "<", ">")


# ---------------------------------------------------------------- axes, numbers, texts

def _new_axes(ax: Any, where: str, size: tuple[float, float], rows: int = 1, columns: int = 1) -> Any:
    """The given axes, or those of a new figure."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(f"{where}: drawing needs matplotlib, which is not installed. Install it with "
                                'pip install "tinygrad-edu[examples]", or pip install matplotlib.') from error
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(rows, columns, figsize=size, layout="constrained")[1]


def _array(x: Any) -> ndarray:
    """A plain array of an array, a Tensor, or nested lists."""
    return np.asarray(x.value if type(x) is Tensor else x)


def _numbers(x: Any, where: str, what: str) -> ndarray:
    """A plain array of real numbers."""
    try:
        array = np.asarray([_array(item) for item in x] if isinstance(x, (list, tuple)) else _array(x))
    except ValueError as error:
        raise ShapeError(f"{where}: {what}: parts of different shapes do not make an array.") from error
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"{where}: {what} is of dtype {array.dtype}, and must be real numbers.")
    return array.astype(np.float64)


def _text(x: Any) -> str:
    """As it is: a $ would switch matplotlib to its own mathematics."""
    return str(x).replace("$", r"\$")


def _label(x: Any) -> str:
    """A text for a legend: matplotlib leaves out what begins with an underscore."""
    return " " + _text(x) if str(x).startswith("_") else _text(x)


def _legend(ax: Any, count: int) -> None:
    """A legend in the axes, or beside them in as many columns as it needs where it would hide the lines."""
    if count > 8:
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, fontsize="small",
                  ncols=math.ceil(count / 12))
    elif count:
        ax.legend()


def _mark_lonely(ax: Any, x: ndarray, y: ndarray, marker: str, colour: str) -> None:
    """Markers on numbers without a neighbour that is one: a line through them is not seen."""
    there = np.concatenate([[False], np.isfinite(y), [False]])
    alone = there[1:-1] & ~there[:-2] & ~there[2:]
    if alone.any():
        ax.plot(x[alone], y[alone], marker, color=colour, zorder=3)


def _say(ax: Any, text: str) -> None:
    """A text where lines would be."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color="0.35", zorder=0.5)


def _dash(i: int) -> Any:
    return DASHES[i % len(DASHES)]


def _colour(i: int) -> str:
    return COLOURS[i % len(COLOURS)]


def _tint(colour: str, share: float) -> tuple[float, ...]:
    """The colour mixed with white."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return tuple(1 - share * (1 - c) for c in (red, green, blue))


# ---------------------------------------------------------------- costs

def cost_curve(runs: Any, log: bool = True, smooth: int = 1, xlabel: str = "update", ylabel: str = "cost J",
               title: str | None = None, ax: Any = None) -> Any:
    """Draw the cost step by step, of one run or of several.

    Parameters
    ----------
    runs : the costs, a sequence of numbers; or a dict of such by name. A sequence may be a pair (steps, costs) where costs
        were not noted at every step.
    log : whether the axis of costs is logarithmic; costs that are not positive are left out then. It is linear where none is
        positive.
    smooth : draw means over so many costs (those that are finite), the costs themselves lightly behind.
    xlabel, ylabel, title : texts. ax : matplotlib axes.

    Returns the axes. A run that is no longer finite ends with a cross. Raises ShapeError, DTypeError, MissingExtraError.

    >>> from tinygrad_edu import plots
    >>> ax = plots.cost_curve({"good": [4.0, 1.0, 0.25, 0.06], "too large": [4.0, 9.0, 27.0, float("nan")]})
    >>> ax.get_yscale(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('log', ['good', 'too large'])
    """
    named = runs if isinstance(runs, Mapping) else {None: runs}
    ax = _new_axes(ax, "cost_curve", (6.0 + (2.2 * math.ceil(len(named) / 12) if len(named) > 8 else 0.0), 3.8))
    read = {name: _steps_and_costs(run, name) for name, run in named.items()}
    log = log and any(np.any(np.isfinite(costs) & (costs > 0)) for _, costs in read.values())
    for i, (name, (steps, costs)) in enumerate(read.items()):
        shown = np.where(np.isfinite(costs) & ((costs > 0) | (not log)), costs, np.nan)
        style = {"color": _colour(i), "linestyle": _dash(i), "linewidth": 1.8, "zorder": 3}
        label = None if name is None else _label(name)
        if smooth > 1:
            ax.plot(steps, shown, color=_colour(i), alpha=0.25, linewidth=0.8, zorder=2)
            steps, shown = _running_mean(steps, shown, smooth)
        ax.plot(steps, shown, label=label, **style)
        _mark_lonely(ax, steps, shown, MARKERS[i % len(MARKERS)], _colour(i))
        last = np.flatnonzero(np.isfinite(costs))
        if last.size and last[-1] + 1 < costs.size:
            where = np.flatnonzero(np.isfinite(shown))
            if where.size:
                ax.plot(steps[where[-1]], shown[where[-1]], "x", color=_colour(i), markersize=9, markeredgewidth=2, zorder=4)
    if log:
        _logarithmic(ax)
    if not any(np.isfinite(costs).any() for _, costs in read.values()):
        _say(ax, "no finite cost")
        ax.set(xticks=[], yticks=[])  # an axis of numbers would mean nothing
    elif all(np.all(steps == np.floor(steps)) for steps, _ in read.values()):
        ax.xaxis.get_major_locator().set_params(integer=True)
        first = np.unique(np.concatenate([steps for steps, _ in read.values()]))
        if first.size == 1:  # around one step the axis would count in hundredths
            ax.set_xticks(first)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if title is not None:
        ax.set_title(_text(title))
    ax.grid(alpha=0.3)
    if None not in read:
        _legend(ax, len(read))
    return ax


def _logarithmic(ax: Any) -> None:
    """A logarithmic axis, with plain numbers (0.69, not 6.9 · 10⁻¹) where costs span less than a decade or so."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if low >= 1e-3 and high <= 1e4 and high / low < 20:
        from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

        if high / low < 3:
            ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        else:
            ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
        ax.yaxis.set_minor_formatter(FuncFormatter(lambda value, place: ""))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:.6g}"))


def _steps_and_costs(run: Any, name: Any) -> tuple[ndarray, ndarray]:
    what = "the run" if name is None else f"the run {name!r}"
    pair = isinstance(run, (tuple, list)) and len(run) == 2 and all(np.ndim(_array(part)) == 1 for part in run)
    costs = _numbers(run[1] if pair else run, "cost_curve", what)
    steps = _numbers(run[0], "cost_curve", what) if pair else np.arange(costs.size, dtype=float)
    if costs.ndim != 1 or steps.shape != costs.shape:
        said = f"{steps.shape} steps and {costs.shape} costs" if pair else f"shape {costs.shape}"
        raise ShapeError(f"cost_curve: {what} has {said}. Give a sequence of numbers, a dict of such by name, or pairs (steps, "
                         "costs) of equal length.")
    return steps, costs


def _running_mean(steps: ndarray, costs: ndarray, n: int) -> tuple[ndarray, ndarray]:
    """Means of those of up to n costs that are finite, at the last of their steps."""
    there = np.isfinite(costs)
    sums = np.concatenate([[0.0], np.cumsum(np.where(there, costs, 0.0))])
    counts = np.concatenate([[0], np.cumsum(there)])
    ends = np.arange(1, costs.size + 1)
    starts = np.maximum(ends - n, 0)
    means = (sums[ends] - sums[starts]) / np.maximum(counts[ends] - counts[starts], 1)
    return steps, np.where(there, means, np.nan)


# ---------------------------------------------------------------- boundaries

def decision_boundary(model: Any, X: Any, Y: Any = None, axis: int = 0, threshold: float | None = None, resolution: int = 200,
                      classes: Sequence[Any] | None = None, features: Sequence[str] | None = None, title: str | None = None,
                      ax: Any = None) -> Any:
    """Draw the regions that a model gives to each class, and the examples.

    Parameters
    ----------
    model : an object with `predict` (an estimator), or any function of points, such as a Module. It gets points as X has
        them, and gives classes (whole numbers, truth values, texts), or scores: one for each class, of which the largest
        counts, or one for each point, compared with the threshold. A Module is asked in its evaluation mode.
    X, Y : examples of two features, (m, 2), and their classes; (m,) or (m, 1). axis=1 : in columns, (2, m) and (1, m).
    threshold : of a single score. By default 0.5 where all scores are between 0 and 1 (probabilities), otherwise 0 (logits).
    resolution : points along each side. classes, features : names for the legend and the axes. ax : matplotlib axes.

    Where the model says nan the plane stays white. Returns the axes. Raises ShapeError where X has not two features or the
    model gives other than one answer for each point, ValueError where X is not finite.

    >>> import numpy as np
    >>> from tinygrad_edu import data, plots
    >>> X, Y = data.moons(60)
    >>> ax = plots.decision_boundary(lambda points: points @ np.array([0.5, -1.0]) > 0.1, X, Y)
    >>> ax.get_xlabel(), len(ax.get_legend().get_texts())
    ('x₁', 2)
    """
    if axis not in (0, 1):
        raise ShapeError(f"decision_boundary: axis={axis!r}: 0 if examples are rows (m, 2), 1 if they are columns (2, m).")
    points = _numbers(X, "decision_boundary", "X")
    if points.ndim == 2 and points.shape == ((0, 2) if axis == 0 else (2, 0)):
        raise ShapeError(f"decision_boundary: X {points.shape} has no examples, and they say which part of the plane to draw.")
    if points.ndim != 2 or points.shape[1 - axis] != 2:
        hint = (" The other axis has 2: pass " + ("axis=1." if axis == 0 else "axis=0.")
                if points.ndim == 2 and points.shape[axis] == 2 else "")
        raise ShapeError(f"decision_boundary: X {points.shape} must be {'(m, 2)' if axis == 0 else '(2, m)'}: two features "
                         f"can be drawn.{hint}")
    points = points if axis == 0 else points.T
    if not np.isfinite(points).all():
        kept = "X[np.isfinite(X).all(axis=1)]" if axis == 0 else "X[:, np.isfinite(X).all(axis=0)]"
        raise ValueError(f"decision_boundary: X is not finite in {int((~np.isfinite(points)).any(axis=1).sum())} of "
                         f"{len(points)} examples. Leave them out: {kept}.")
    labels = None if Y is None else _array(Y).reshape(-1)
    if labels is not None and labels.size != len(points):
        kinds = _array(Y)
        hint = (f" Are these one-hot? Give np.argmax(Y, axis={1 - axis})."
                if kinds.ndim == 2 and kinds.shape[axis] == len(points) else "")
        raise ShapeError(f"decision_boundary: X has {len(points)} examples and Y {kinds.shape}; it takes one class "
                         f"of each.{hint}")
    ax = _new_axes(ax, "decision_boundary", (5.2, 4.4))
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.08 * np.where(high > low, high - low, 1.0)
    sides = [np.linspace(a, b, resolution) for a, b in zip(low - margin, high + margin, strict=True)]
    grid = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    scores, found, unknown = _answers(model, grid if axis == 0 else grid.T, axis, threshold)
    names = np.unique(found if labels is None else np.concatenate([found, _like(labels, found)]))
    if classes is not None and names.dtype.kind in "iu" and len(classes) >= int(names.max(initial=0)) + 1:
        names = np.arange(len(classes))
    index = np.ma.masked_array(np.searchsorted(names, found), unknown).reshape(resolution, resolution)
    colours = [_tint(_colour(i), 0.30 - 0.08 * (i % 2)) for i in range(len(names))]
    if len(names) > 1 or unknown.any():
        ax.contourf(*sides, index, levels=np.arange(len(names) + 1) - 0.5, colors=colours, zorder=0)
    else:
        ax.set_facecolor(colours[0])
    if scores is not None:
        line = np.ma.masked_invalid(scores.reshape(resolution, resolution))
        if line.min() < 0 < line.max():
            ax.contour(*sides, line, levels=[0.0], colors="black", linewidths=1.2, zorder=1)
    else:
        for i in range(len(names)):
            mask = (index == i).filled(False).astype(float)
            if 0 < mask.mean() < 1:
                ax.contour(*sides, mask, levels=[0.5], colors="black", linewidths=0.9, zorder=1)
    if labels is not None:
        of_points = np.searchsorted(names, _like(labels, found))
        for i, name in enumerate(names):
            own = points[of_points == i]
            if own.size:
                ax.scatter(*own.T, marker=MARKERS[i % len(MARKERS)], color=_colour(i), s=28, edgecolors="0.15", linewidths=0.5,
                           zorder=3, label=_label(classes[i] if classes is not None else name))
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, title="class")
    first, second = features if features is not None else ("x₁", "x₂")
    ax.set(xlim=(sides[0][0], sides[0][-1]), ylim=(sides[1][0], sides[1][-1]), xlabel=_text(first), ylabel=_text(second))
    if title is not None:
        ax.set_title(_text(title))
    return ax


def _like(labels: ndarray, found: ndarray) -> ndarray:
    """Labels in the kind of the model's answers: 0.0 and 1.0 are the classes 0 and 1."""
    if found.dtype.kind in "iub" and labels.dtype.kind in "fb" and np.isfinite(labels).all():
        whole = labels.astype(np.int64)
        if np.array_equal(whole, labels):
            return whole
    return labels


def _answers(model: Any, points: ndarray, axis: int, threshold: float | None) -> tuple[ndarray | None, ndarray, ndarray]:
    """What the model says of points: scores less the threshold, where it gives one for each; classes; where these are nan."""
    count = points.shape[axis]
    out = _array(_ask(model, points))
    flat = out.reshape(-1) if out.size == count else None
    if flat is None:
        if out.ndim != 2 or out.shape[axis] != count:
            raise ShapeError(f"decision_boundary: of {count} points the model gives {out.shape}. It must give a class or a "
                             f"score for each, or {'rows' if axis == 0 else 'columns'} of scores, one for each class.")
        unknown = np.isnan(out).any(axis=1 - axis) if out.dtype.kind == "f" else np.zeros(count, bool)
        return None, np.argmax(out, axis=1 - axis), unknown
    if flat.dtype.kind != "f":
        return None, flat.astype(np.int64) if flat.dtype.kind == "b" else flat, np.zeros(count, bool)
    unknown = np.isnan(flat)
    if hasattr(model, "predict") and not isinstance(model, nn.Module):
        return None, np.where(unknown, flat[~unknown][:1] if not unknown.all() else 0.0, flat), unknown
    if threshold is None:
        threshold = 0.5 if np.all((flat[~unknown] >= 0) & (flat[~unknown] <= 1)) else 0.0
    return flat - threshold, (flat > threshold).astype(np.int64), unknown


def _ask(model: Any, points: ndarray) -> Any:
    if isinstance(model, nn.Module):
        before = [(module, module.training) for module in model.modules()]
        model.eval()
        try:
            with no_grad():
                return model(points.astype(next((p.dtype for p in model.parameters()), np.float64)))
        finally:
            for module, training in before:
                module.training = training
    ask = model.predict if hasattr(model, "predict") else model
    if not callable(ask):
        raise TypeError(f"decision_boundary: {type(model).__name__} has no predict and is no function. Give a model, or lambda "
                        "points: ...")
    with no_grad():
        return ask(points)


# ---------------------------------------------------------------- a cost of two parameters

def contour(f: Callable[..., Any], paths: Any = None, limits: Any = None, levels: int = 14, resolution: int = 100,
            names: Any = None, marked: int = 3, minimum: Any = None, title: str | None = None, ax: Any = None) -> Any:
    """Draw the contour lines of a cost of two parameters, and the paths of descents over them.

    Parameters
    ----------
    f : a function of two numbers, f(w₁, w₂), or of one array of shape (2,); its number of arguments says which.
    paths : the points of a descent, (steps + 1, 2); or a dict of such by name. Each starts at a ring and ends at a square.
    limits : ((left, right), (bottom, top)). By default all finite points of the paths, and the minimum, are inside.
    levels : how many contour lines. They are as dense around the minimum as far from it. resolution : points along each side.
    names : of the parameters, for the axes; by default w₁, w₂. marked : the first so many points of a single path are called
        ω₀, ω₁, ... minimum : where a star stands, a pair. ax : matplotlib axes.

    Returns the axes. Raises ShapeError for paths and limits of other shapes.

    >>> import numpy as np, tinygrad_edu as tg
    >>> from tinygrad_edu import plots
    >>> def bowl(w):
    ...     return w[0] ** 2 + 3 * w[1] ** 2
    >>> w, path = np.array([2.0, 1.0]), []
    >>> for _ in range(10):
    ...     path.append(w)
    ...     w = w - 0.2 * tg.grad(bowl)(w)
    >>> ax = plots.contour(bowl, path, minimum=(0, 0))
    >>> [text.get_text() for text in ax.texts]
    ['ω₀', 'ω₁', 'ω₂']
    """
    given = paths if isinstance(paths, Mapping) else {} if paths is None else {None: paths}
    read = {name: _numbers(path, "contour", "the path") for name, path in given.items()}
    for name, path in read.items():
        if path.ndim != 2 or path.shape[1] != 2:
            raise ShapeError(f"contour: the path {'' if name is None else repr(name)} {path.shape} must be (steps + 1, 2), one "
                             "point a row.".replace("path  ", "path "))
    sides = _sides(read, limits, minimum, resolution)
    ax = _new_axes(ax, "contour", (5.6, 4.4))
    J = _on_grid(f, *sides)
    finite = J[np.isfinite(J)]
    if finite.size:
        heights = np.unique(np.quantile(finite, np.linspace(0.12, 1, levels + 1)[:-1] ** 2))
        if heights.size and heights[0] < heights[-1]:
            ax.contour(*sides, J, levels=heights, colors="0.72", linewidths=0.8, linestyles="solid", zorder=1)
        else:
            _say(ax, f"f is {_text(f'{finite[0]:.4g}')} everywhere: no contour lines")
    else:
        _say(ax, "f is finite nowhere: no contour lines")
    for i, (name, path) in enumerate(read.items()):
        path = path[: int(np.argmin(np.append(np.isfinite(path).all(axis=1), False)))]  # up to where it is finite
        if not len(path):
            continue
        label = None if name is None else _label(name)
        few = len(path) <= 60
        ax.plot(*path.T, color=_colour(i), linestyle=_dash(i), linewidth=1.4, marker="." if few else None, markersize=5,
                zorder=3, label=label)
        ax.plot(*path[0], "o", color=_colour(i), markerfacecolor="white", markersize=8, markeredgewidth=1.6, zorder=4)
        ax.plot(*path[-1], "s", color=_colour(i), markersize=6, zorder=4)
        if len(read) == 1:
            _mark(ax, path[:marked], _colour(i))
    if minimum is not None:
        ax.plot(*_numbers(minimum, "contour", "minimum"), "*", color="black", markerfacecolor="white", markersize=14, zorder=5,
                label="minimum" if None not in read and read else None)
    first, second = names if names is not None else ("w₁", "w₂")
    ax.set(xlim=(sides[0][0], sides[0][-1]), ylim=(sides[1][0], sides[1][-1]), xlabel=_text(first), ylabel=_text(second))
    if title is not None:
        ax.set_title(_text(title))
    if read and None not in read:
        _legend(ax, len(read))
    return ax


def _mark(ax: Any, points: ndarray, colour: str) -> None:
    """ω₀, ω₁, ... beside the first points, each on the side away from where the path goes on."""
    subscripts = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    for i, point in enumerate(points):
        ax.annotate("ω" + str(i).translate(subscripts), point, (7, 7), textcoords="offset points", color=colour, zorder=6,
                    fontsize=11, bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75})


def _sides(paths: Mapping[Any, ndarray], limits: Any, minimum: Any, resolution: int) -> list[ndarray]:
    if limits is not None:
        box = _numbers(limits, "contour", "limits")
        if box.shape != (2, 2) or not np.all(box[:, 0] < box[:, 1]):
            raise ShapeError("contour: limits must be ((left, right), (bottom, top)).")
        return [np.linspace(a, b, resolution) for a, b in box]
    points = [path[np.isfinite(path).all(axis=1)] for path in paths.values()]
    if minimum is not None:
        points.append(_numbers(minimum, "contour", "minimum").reshape(1, 2))
    every = np.concatenate(points) if points else np.zeros((0, 2))
    if not len(every):
        raise ShapeError("contour: no path to show says where to look. Give limits=((left, right), (bottom, top)).")
    low, high = every.min(axis=0), every.max(axis=0)
    size = high - low
    size = np.maximum(size, 0.25 * size.max() if size.max() > 0 else 1.0)
    middle = (low + high) / 2
    return [np.linspace(m - 0.65 * s, m + 0.65 * s, resolution) for m, s in zip(middle, size, strict=True)]


def _on_grid(f: Callable[..., Any], first: ndarray, second: ndarray) -> ndarray:
    """f at every point of a grid, (second, first)."""
    apart = _takes_two(f)
    J = np.empty((second.size, first.size))
    with no_grad(), np.errstate(all="ignore"):
        for i, b in enumerate(second):
            for j, a in enumerate(first):
                value = _array(f(a, b) if apart else f(np.array([a, b])))
                if value.size != 1:
                    raise ShapeError(f"contour: f gives {value.shape}, and a cost is one number.")
                J[i, j] = value.reshape(-1)[0]
    return J


def _takes_two(f: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return True
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = sum(p.kind in kinds and p.default is inspect.Parameter.empty for p in parameters)
    open_ended = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    if needed > 2:
        raise TypeError(f"contour: f takes {needed} arguments. Fix all but two: lambda a, b: f(a, b, X, Y).")
    return needed == 2 or open_ended


# ---------------------------------------------------------------- activations

def activations(functions: Any = ("sigmoid", "tanh", "relu", "leaky_relu"), z: Any = None, ax: Any = None) -> Any:
    """Draw activations g(z) with their derivatives g′(z), each in axes of its own.

    Parameters
    ----------
    functions : names of this package's functions, or functions of arrays; one, a list, or a dict by title.
    z : the net inputs, increasing; by default 801 points from −5 to 5. ax : axes, one for each function.

    Returns the axes, an array of them if functions is a list or dict. Derivatives are autodiff's; where one jumps, its line
    is interrupted.

    >>> import numpy as np
    >>> from tinygrad_edu import plots
    >>> axes = plots.activations({"σ": "sigmoid", "sine": np.sin})
    >>> [ax.get_title() for ax in axes]
    ['σ', 'sine']
    """
    one = isinstance(functions, str) or callable(functions)
    listed = (list(functions.items()) if isinstance(functions, Mapping)
              else [(_title(g), g) for g in ([functions] if one else functions)])
    count = len(listed)
    columns = count if count <= 4 else math.ceil(count / math.ceil(count / 4))
    rows = math.ceil(count / columns) if count else 0
    if not count:
        raise ShapeError("activations: no functions. Give names such as 'tanh', or functions.")
    axes = np.atleast_1d(_new_axes(ax, "activations", (3.1 * columns, 2.9 * rows), rows, columns)).reshape(-1)
    if len(axes) < count or (ax is not None and len(axes) != count):
        raise ShapeError(f"activations: {count} functions need {count} axes, and ax holds {len(axes)}.")
    points = np.linspace(-5, 5, 801) if z is None else _numbers(z, "activations", "z")
    if points.ndim != 1 or not points.size:
        raise ShapeError(f"activations: z {points.shape} must be a row of net inputs, (n,), and not empty.")
    for own, (title, g) in zip(axes, listed, strict=False):
        g = getattr(ops, g, None) if isinstance(g, str) else g
        if not callable(g):
            raise ValueError(f"activations: {title!r} is no function of this package. Use 'sigmoid', 'tanh', 'relu', ..., or "
                             "give the function.")
        with no_grad(), np.errstate(all="ignore"):  # the square root has no values left of 0
            values = _array(g(points))
        with np.errstate(all="ignore"):
            slopes = _interrupted(_array(elementwise_grad(g)(points)))
        own.axhline(0, color="0.6", linewidth=0.8, zorder=1)
        own.axvline(0, color="0.6", linewidth=0.8, zorder=1)
        own.plot(points, values, color=_colour(0), linestyle="-", linewidth=2, label="g(z)", zorder=3)
        own.plot(points, slopes, color=_colour(6), linestyle=_dash(1), linewidth=2, label="g′(z)", zorder=3)
        if points.size == 1:
            _mark_lonely(own, points, values, "o", _colour(0))
            _mark_lonely(own, points, slopes, "s", _colour(6))
        own.set(title=_text(title), xlabel="z")
        own.grid(alpha=0.3)
    axes[0].legend()
    for spare in axes[count:]:
        spare.set_visible(False)
    return axes[0] if one and ax is None else ax if one else axes[:count]


def _title(g: Any) -> str:
    return g.replace("_", " ") if isinstance(g, str) else getattr(g, "__name__", type(g).__name__).replace("_", " ")


def _interrupted(slopes: ndarray) -> ndarray:
    """The slopes with nan at jumps: where neighbours differ by far more than is usual along the line."""
    steps = np.abs(np.diff(slopes))
    usual = np.partition(steps, -4)[-4] if steps.size > 8 else np.inf
    jumps = np.flatnonzero(steps > np.maximum(20 * usual, 0.05))
    shown = slopes.astype(float)
    shown[jumps + 1] = np.nan
    return shown


# ---------------------------------------------------------------- images and filters

def image_grid(images: Any, labels: Any = None, columns: int | None = None, image_shape: tuple[int, ...] | None = None,
               title: str | None = None, ax: Any = None) -> Any:
    """Draw images side by side, in rows.

    Parameters
    ----------
    images : (m, height, width), (m, channels, height, width) as conv2d has them, or (m, height, width, channels), with one or
        three channels; or unrolled, (m, n), with image_shape=(height, width) or (height, width, 3). Numbers of any range:
        black is the least and white the largest of all. Colours from 0 to 1, or whole ones to 255, are shown as they are, and
        those of any other range from the least to the largest. What is not finite is orange.
    labels : a text or number above each. columns : how many side by side. ax : matplotlib axes.

    Returns the axes. Raises ShapeError.

    >>> from tinygrad_edu import data, plots
    >>> digits = data.digits()
    >>> ax = plots.image_grid(digits.X[:12], labels=digits.Y[:12], image_shape=digits.image_shape)
    >>> len(ax.images), [text.get_text() for text in ax.texts][:3]
    (12, ['0', '1', '2'])
    """
    pictures = _pictures(images, image_shape, "image_grid")
    finite = pictures[np.isfinite(pictures)]
    scale = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if pictures.ndim == 4:
        pictures = _colours_from_0_to_1(pictures, finite, *scale)
    texts = None if labels is None else [_text(x) for x in _array(labels).reshape(-1)]
    if texts is not None and len(texts) != len(pictures):
        raise ShapeError(f"image_grid: {len(pictures)} images and {len(texts)} labels.")
    ax, _ = _tiles(pictures, texts, columns, scale, "gray", ax, "image_grid")
    if title is not None:
        ax.set_title(_text(title))
    return ax


def _colours_from_0_to_1(pictures: ndarray, finite: ndarray, low: float, high: float) -> ndarray:
    if low >= 0 and 1 < high <= 255 and np.all(finite == np.floor(finite)):
        low, high = 0.0, 255.0
    if low < 0 or high > 1:
        pictures = (pictures - low) / (high - low if high > low else 1.0)
    missing = ~np.isfinite(pictures).all(axis=-1, keepdims=True)
    return np.where(missing, [int(COLOURS[6][i : i + 2], 16) / 255 for i in (1, 3, 5)], pictures)


def filters(weights: Any, columns: int | None = None, image_shape: tuple[int, int] | None = None, labels: Any = None,
            title: str | None = None, ax: Any = None) -> Any:
    """Draw learned filters: positive weights light, negative ones dark, 0 the grey between; one scale for all.

    Parameters
    ----------
    weights : of a convolution, (filters, channels, height, width), or the layer itself; (filters, height, width); or the rows
        of a Linear layer's weights, (units, height · width), with image_shape=(height, width).
    columns : how many side by side; with several channels these are side by side, and each filter has a row.
    labels : a text above each image. ax : matplotlib axes. Weights that are not finite are orange.

    Returns the axes, with a bar of the scale beside them. Raises ShapeError.

    >>> import numpy as np
    >>> from tinygrad_edu import nn, plots
    >>> ax = plots.filters(nn.Conv2d(1, 8, 3, rng=0))
    >>> low, high = ax.images[0].get_clim()
    >>> len(ax.images), bool(low == -high)
    (8, True)
    """
    if isinstance(weights, nn.Module):
        weights = getattr(weights, "weight", None)
        if weights is None:
            raise ShapeError("filters: the model has no weight of its own. Give one of its layers, as in filters(model[0]).")
    array = _numbers(weights, "filters", "weights")
    if array.ndim == 4:
        columns = columns or (array.shape[1] if array.shape[1] > 1 else None)
        array = array.reshape(-1, *array.shape[2:])
    pictures = _pictures(array, image_shape, "filters")
    if pictures.ndim != 3:
        raise ShapeError(f"filters: {pictures.shape}: filters are images (height, width), one of each channel.")
    texts = None if labels is None else [_text(x) for x in _array(labels).reshape(-1)]
    if texts is not None and len(texts) != len(pictures):
        raise ShapeError(f"filters: {len(pictures)} images and {len(texts)} labels.")
    largest = float(np.max(np.abs(pictures), initial=0.0, where=np.isfinite(pictures))) or 1.0
    # cividis runs from dark blue through grey to light yellow: a sign is seen by colour-blind readers, and in print
    ax, made = _tiles(pictures, texts, columns, (-largest, largest), "cividis", ax, "filters")
    bar = ax.figure.colorbar(made, ax=ax, shrink=0.8, ticks=[-largest, 0, largest])
    bar.ax.set_yticklabels([f"−{largest:.2g}", "0", f"{largest:.2g}"])
    if title is not None:
        ax.set_title(_text(title))
    return ax


def _pictures(images: Any, image_shape: tuple[int, ...] | None, where: str) -> ndarray:
    """(m, height, width), or (m, height, width, 3)."""
    array = _numbers(images, where, "images" if where == "image_grid" else "weights")
    if array.ndim == 2:
        if image_shape is None:
            side = math.isqrt(array.shape[1])
            hint = f" image_shape=({side}, {side})?" if side * side == array.shape[1] else ""
            raise ShapeError(f"{where}: unrolled images {array.shape} need image_shape=(height, width).{hint}")
        if math.prod(image_shape) != array.shape[1]:
            raise ShapeError(f"{where}: image_shape={tuple(image_shape)} is {math.prod(image_shape)} numbers, and a row has "
                             f"{array.shape[1]}.")
        array = array.reshape(-1, *image_shape)
    if array.ndim == 4:
        if array.shape[1] in (1, 3):
            array = np.moveaxis(array, 1, -1)
        if array.shape[-1] not in (1, 3):
            raise ShapeError(f"{where}: images {array.shape} have neither one channel nor three, in axis 1 or the last.")
        array = array[..., 0] if array.shape[-1] == 1 else array
    if array.ndim not in (3, 4) or not array.size:
        raise ShapeError(f"{where}: {array.shape} must be (m, height, width), (m, channels, height, width) or, with "
                         "image_shape, (m, n), and not empty.")
    return array


def _tiles(pictures: ndarray, texts: list[str] | None, columns: int | None, scale: tuple[float, float], colours: str, ax: Any,
           where: str) -> tuple[Any, Any]:
    """The pictures in rows in one axes, one unit wide each, and the last of matplotlib's images."""
    count, height = len(pictures), pictures.shape[1] / pictures.shape[2]
    columns = min(columns or math.ceil(math.sqrt(count * max(height, 0.1) * 1.6)), count)
    rows = math.ceil(count / columns)
    gap, head = 0.08, 0.34 if texts else 0.0
    wide, high = columns * (1 + gap) - gap, rows * (height + gap + head) - gap
    size = min(0.9 / math.sqrt(min(height, 1)), 12 / wide, 9 / high)
    fontsize = 9.0
    if texts:  # so that neighbours do not run into each other: a letter is about 0.6 of its size wide, an inch 72 points
        fontsize = min(9.0, max(4.0, 72 * size / (0.6 * max(1, *map(len, texts)))))
    ax = _new_axes(ax, where, (max(size * wide, 1.5) + (0.9 if where == "filters" else 0.2), max(size * high, 0.8) + 0.5))
    import matplotlib

    palette = matplotlib.colormaps[colours].with_extremes(bad=COLOURS[6])
    made = None
    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        left, top = column * (1 + gap), row * (height + gap + head) + head
        made = ax.imshow(np.ma.masked_invalid(picture), cmap=palette, vmin=scale[0], vmax=scale[1],
                         extent=(left, left + 1, top + height, top), interpolation="nearest")
        ax.plot([left, left + 1, left + 1, left, left], [top, top, top + height, top + height, top], color="0.5", linewidth=0.6)
        if texts:
            ax.text(left + 0.5, top - 0.05, texts[i], ha="center", va="bottom", fontsize=fontsize)
    ax.set(xlim=(-gap / 2, wide + gap / 2), ylim=(high + gap / 2, -gap / 2), aspect="equal")
    ax.axis("off")
    return ax, made


# ---------------------------------------------------------------- which class is taken for which

def confusion_matrix(true: Any, predicted: Any, classes: Sequence[Any] | None = None, normalise: bool = False,
                     title: str | None = None, ax: Any = None) -> Any:
    """Draw how often examples of each class (rows) were taken for each (columns).

    Parameters
    ----------
    true, predicted : classes of the examples, (m,); (m, 1), (1, m) or scores (m, classes) as predictions will do as well.
    classes : names of the classes 0, 1, ... normalise : show shares of each row, in per cent. ax : matplotlib axes.

    Returns the axes; their title says the accuracy. Right answers are on the diagonal, framed. Of more than 40 classes the
    shares are shown by colour alone. Raises ShapeError.

    >>> from tinygrad_edu import plots
    >>> ax = plots.confusion_matrix(["cat", "cat", "dog"], ["cat", "dog", "dog"])
    >>> [text.get_text() for text in ax.texts], ax.get_title()
    (['1', '1', '·', '1'], '2 of 3 right (66.7 %)')
    """
    actual = _array(true).reshape(-1)
    guessed = _array(predicted)
    if guessed.ndim == 2 and len(guessed) == len(actual) and guessed.shape[1] > 1 and guessed.dtype.kind == "f":
        guessed = np.argmax(guessed, axis=1)
    guessed = guessed.reshape(-1)
    if actual.shape != guessed.shape or not actual.size:
        raise ShapeError(f"confusion_matrix: {actual.size} true classes and {guessed.size} predictions.")
    guessed = _like(guessed, actual)
    actual = _like(actual, guessed)
    kinds = np.unique(np.concatenate([actual, guessed]))
    if classes is not None:
        if kinds.dtype.kind not in "iub" or kinds.min() < 0 or kinds.max() >= len(classes):
            raise ShapeError(f"confusion_matrix: classes= names the classes 0 to {len(classes) - 1}, and there are "
                             f"{', '.join(map(str, kinds[:10]))}.")
        kinds = np.arange(len(classes))
    names = [_text(x) for x in (kinds if classes is None else classes)]
    n = len(kinds)
    counts = np.zeros((n, n), dtype=np.int64)
    np.add.at(counts, (np.searchsorted(kinds, actual), np.searchsorted(kinds, guessed)), 1)
    sums = counts.sum(axis=1, keepdims=True)
    share = counts / np.maximum(sums, 1)
    ax = _new_axes(ax, "confusion_matrix", (2.2 + 0.45 * min(n, 40), 2.0 + 0.45 * min(n, 40)))
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1, zorder=1)
    shown = np.round(100 * share).astype(np.int64) if normalise else counts
    fontsize = min(10 if n <= 12 else 7, 54 / len(str(shown.max())))  # of a cell of 0.45 inches
    for i in range(n):
        ax.plot([i - 0.5, i + 0.5, i + 0.5, i - 0.5, i - 0.5], [i - 0.5, i - 0.5, i + 0.5, i + 0.5, i - 0.5], color="0.35",
                linewidth=0.9, zorder=2)
        for j in range(n if n <= 40 else 0):
            ax.text(j, i, str(shown[i, j]) if counts[i, j] else "·", ha="center", va="center", zorder=3,
                    color="white" if share[i, j] > 0.7 else "black", fontsize=fontsize)
    long = max(map(len, names)) > 3
    some = slice(None, None, math.ceil(n / 40))
    ax.set_xticks(range(n)[some], names[some], rotation=45 if long else 0, ha="right" if long else "center",
                  rotation_mode="anchor" if long else None)
    ax.set_yticks(range(n)[some], names[some])
    ax.set(xlabel="predicted", ylabel="true" + (", rows in %" if normalise else ""))
    right = int(np.trace(counts))
    ax.set_title(f"{right} of {actual.size} right ({right / actual.size:.1%})".replace("%", " %") if title is None
                 else _text(title))
    return ax
