"""Figures: what is drawn is what was given, axes come back, what does not fit is refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor, data, nn, plots
from tinygrad_edu.errors import DTypeError, MissingExtraError, ShapeError

matplotlib = pytest.importorskip("matplotlib")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402


@pytest.fixture(autouse=True)
def closed() -> Any:
    yield
    plt.close("all")


@pytest.fixture
def ax() -> Any:
    """Axes of a figure that pyplot does not know."""
    return Figure(layout="constrained").subplots()


def drawn(ax: Any) -> np.ndarray:
    """The figure as an array of colours: it can be rendered, warnings being errors."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(float)


def overlapping(ax: Any) -> list[tuple[str, str]]:
    """Pairs of the axes' texts that lie on each other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    ticks = [tick.label1 for axis in (ax.xaxis, ax.yaxis) for tick in axis.get_major_ticks()
             if min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())]
    texts = [t for t in (*ax.texts, *(ticks if ax.axison else ()), ax.xaxis.label, ax.yaxis.label, ax.title) if t.get_text()]
    boxes = [(t.get_text(), t.get_window_extent(canvas.get_renderer())) for t in texts]
    return [(a, b) for i, (a, one) in enumerate(boxes) for b, other in boxes[:i]
            if one.overlaps(other) and min(one.width, other.width) > 1 and one.x0 + 1 < other.x1 and other.x0 + 1 < one.x1
            and one.y0 + 1 < other.y1 and other.y0 + 1 < one.y1 and not _turned(ax, a, b)]


def _turned(ax: Any, *texts: str) -> bool:
    """Whether these are labels at 45°, whose boxes say too much."""
    return any(t.get_text() in texts and t.get_rotation() % 90 for t in ax.get_xticklabels())


CASES = {
    "cost_curve": lambda ax: plots.cost_curve([3.0, 2.0, 1.0], ax=ax),
    "decision_boundary": lambda ax: plots.decision_boundary(lambda p: p[:, 0], np.eye(2), [0, 1], ax=ax),
    "contour": lambda ax: plots.contour(lambda a, b: a * a + b * b, [[1, 1], [0.5, 0.5]], resolution=5, ax=ax),
    "activations": lambda ax: plots.activations("tanh", ax=ax),
    "filters": lambda ax: plots.filters(np.ones((2, 1, 3, 3)), ax=ax),
    "image_grid": lambda ax: plots.image_grid(np.eye(3).reshape(1, 3, 3), ax=ax),
    "confusion_matrix": lambda ax: plots.confusion_matrix([0, 1], [0, 1], ax=ax),
}


def test_every_function_is_here() -> None:
    assert sorted(CASES) == plots.__all__


@pytest.mark.parametrize("name", CASES)
def test_axes_given_are_used_and_returned(name: str, ax: Any) -> None:
    empty = drawn(ax)
    assert CASES[name](ax) is ax
    assert not np.array_equal(drawn(ax), empty)
    assert not plt.get_fignums()  # no figure of pyplot's
    assert not overlapping(ax)


@pytest.mark.parametrize("name", CASES)
def test_without_axes_there_is_a_new_figure(name: str) -> None:
    ax = CASES[name](None)
    assert plt.get_fignums() == [ax.figure.number]
    assert not overlapping(ax)


@pytest.mark.parametrize("name", CASES)
def test_without_matplotlib_the_error_says_how_to_install_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=rf"^{name}: .* pip install \"tinygrad-edu\[examples\]\""):
        CASES[name](None)


def test_matplotlib_is_loaded_by_a_call_alone() -> None:
    program = "import sys, tinygrad_edu as tg; tg.plots.cost_curve; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


# ---------------------------------------------------------------- costs


def test_costs_of_one_run_and_of_several(ax: Any) -> None:
    plots.cost_curve([4.0, 2.0, Tensor(1.0)], ax=ax)
    assert ax.lines[0].get_ydata().tolist() == [4, 2, 1] and ax.get_yscale() == "log" and ax.get_legend() is None
    other = Figure().subplots()
    plots.cost_curve({"a": [1.0, 2.0], "b $x$": ([0, 10, 20], [3.0, 2.0, 1.0])}, log=False, xlabel="epoch", ax=other)
    a, b = other.lines
    assert b.get_xdata().tolist() == [0, 10, 20] and other.get_yscale() == "linear" and other.get_xlabel() == "epoch"
    assert a.get_color() != b.get_color() and a.get_linestyle() != b.get_linestyle()  # told apart without colour too
    assert [t.get_text() for t in other.get_legend().get_texts()] == ["a", r"b \$x\$"]


def test_a_run_that_leaves_the_numbers_ends_with_a_cross(ax: Any) -> None:
    plots.cost_curve([1.0, 10.0, np.inf, np.nan], ax=ax)
    cross = ax.lines[1]
    assert cross.get_marker() == "x" and (cross.get_xdata()[0], cross.get_ydata()[0]) == (1, 10)


def test_costs_are_smoothed_by_means(ax: Any) -> None:
    costs = np.random.default_rng(0).uniform(1, 2, 30)
    plots.cost_curve({"run": costs}, smooth=5, ax=ax)
    np.testing.assert_allclose(ax.lines[1].get_ydata()[[0, 2, 20]], [costs[0], costs[:3].mean(), costs[16:21].mean()])


def test_costs_that_are_zero_or_negative(ax: Any) -> None:
    plots.cost_curve([1.0, 0.0, -1.0], ax=ax)
    assert np.isnan(ax.lines[0].get_ydata()[1:]).all()
    plots.cost_curve([-1.0, -2.0], ax=Figure().subplots())  # nothing to show, and nothing raised


@pytest.mark.parametrize(("runs", "error", "words"), [
    ([[1.0, 2.0], [1.0]], ShapeError, "pairs"), (np.ones((3, 2)), ShapeError, r"shape \(3, 2\)"),
    ({"a": ["x", "y"]}, DTypeError, "'a'"), ([[1.0], [1.0, 2.0], [3.0]], ShapeError, "different shapes")])
def test_costs_that_do_not_fit(runs: Any, error: type[Exception], words: str, ax: Any) -> None:
    with pytest.raises(error, match=words):
        plots.cost_curve(runs, ax=ax)


# ---------------------------------------------------------------- boundaries


def regions(ax: Any) -> np.ndarray:
    """The levels between which the regions are filled."""
    return ax.collections[0].levels


@pytest.mark.parametrize("axis", [0, 1])
def test_a_boundary_lies_where_the_score_changes_sign(axis: int, ax: Any) -> None:
    found = data.moons(100) if axis == 0 else data.moons(100).columns()

    def score(points: Any) -> Any:
        assert points.shape[1 - axis] == 2
        return (points[:, 0] if axis == 0 else points[:1]) - 0.25

    plots.decision_boundary(score, found.X, found.Y, axis=axis, ax=ax)
    (line,) = [c for c in ax.collections if getattr(c, "levels", None) is not None and len(c.levels) == 1]
    vertices = np.concatenate([path.vertices for path in line.get_paths()])
    np.testing.assert_allclose(vertices[:, 0], 0.25, atol=1e-9)
    markers = [c for c in ax.collections if hasattr(c, "get_offsets") and len(c.get_offsets()) > 1]
    assert [len(m.get_offsets()) for m in markers] == [50, 50]


def test_probabilities_are_compared_with_a_half_and_logits_with_zero() -> None:
    X = np.array([[0.0, 0.0], [1.0, 1.0]])

    def place(f: Any, **more: Any) -> float:
        ax = plots.decision_boundary(f, X, ax=Figure().subplots(), **more)
        (line,) = [c for c in ax.collections if len(c.levels) == 1]
        return float(line.get_paths()[0].vertices[0, 0])

    assert place(lambda p: tg.sigmoid(10 * (p[:, 0] - 0.3))) == pytest.approx(0.3, abs=1e-3)
    assert place(lambda p: 10 * (p[:, 0] - 0.3)) == pytest.approx(0.3)
    assert place(lambda p: 10 * (p[:, 0] - 0.3), threshold=1.0) == pytest.approx(0.4)


def test_a_module_is_asked_in_evaluation_mode_and_left_as_it_was(ax: Any) -> None:
    model = nn.Sequential(nn.Linear(2, 8, rng=0), nn.ReLU(), nn.Dropout(0.5, rng=0), nn.Linear(8, 3, rng=1))
    model[2].eval()
    X, Y = data.blobs(60)
    plots.decision_boundary(model, X, Y, classes=["a", "b", "c"], features=("width", "length"), ax=ax)
    assert [m.training for m in model] == [True, True, False, True] and model.training
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "b", "c"] and ax.get_xlabel() == "width"


def test_an_estimator_with_texts_as_classes(ax: Any) -> None:
    pytest.importorskip("sklearn")
    from sklearn.tree import DecisionTreeClassifier

    X, Y = data.moons(80)
    names = np.array(["low", "high"])[Y.astype(int)]
    plots.decision_boundary(DecisionTreeClassifier(random_state=0).fit(X, names), X, names, ax=ax)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["high", "low"]
    assert not overlapping(ax)


def test_a_model_that_knows_one_class_only(ax: Any) -> None:
    plots.decision_boundary(lambda p: np.zeros(len(p), int), np.eye(2), [0.0, 0.0], ax=ax)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["0"]


@pytest.mark.parametrize(("arguments", "words"), [
    ((lambda p: p, np.ones((2, 5))), r"pass axis=1"), ((lambda p: p, np.ones((5, 3))), "two features"),
    ((lambda p: p[:, 0], np.ones((5, 2)), [0, 1]), r"5 examples and Y \(2,\)"),
    ((lambda p: p[:7], np.eye(2)), r"gives \(7, 2\)")])
def test_boundaries_that_do_not_fit(arguments: Any, words: str, ax: Any) -> None:
    with pytest.raises(ShapeError, match=words):
        plots.decision_boundary(*arguments, ax=ax)


# ---------------------------------------------------------------- contours


def test_M121_a_path_over_contours_with_its_first_points_named(ax: Any) -> None:
    path = np.array([[2.0, 1.0], [1.0, -0.5], [0.4, 0.2], [0.0, 0.0]])
    plots.contour(lambda w: w[0] ** 2 + 4 * w[1] ** 2, path, minimum=(0, 0), ax=ax)
    assert [t.get_text() for t in ax.texts] == ["ω₀", "ω₁", "ω₂"]
    assert [tuple(t.xy) for t in ax.texts] == [tuple(p) for p in path[:3]]
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), path)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert left < 0 and right > 2 and bottom < -0.5 and top > 1
    rings = next(c for c in ax.collections if c.get_paths())
    for level, ring in zip(rings.levels, rings.get_paths(), strict=True):  # on each ring the cost is its level
        if len(ring.vertices):
            np.testing.assert_allclose(np.sum(ring.vertices**2 * [1, 4], axis=1), level, atol=3e-3 + 0.01 * level)


def test_a_function_of_two_numbers_and_of_one_array_are_the_same() -> None:
    levels = []
    for f in (lambda a, b: (a - 1) ** 2 + b, lambda w: Tensor((w[0] - 1) ** 2 + w[1]), lambda *w: (w[0] - 1) ** 2 + w[1]):
        ax = plots.contour(f, limits=((-1, 1), (-1, 1)), resolution=9, ax=Figure().subplots())
        levels.append(ax.collections[0].levels)
    np.testing.assert_allclose(levels[1], levels[0])
    np.testing.assert_allclose(levels[2], levels[0])


def test_paths_by_name_one_of_which_leaves_the_numbers(ax: Any) -> None:
    wild = np.array([[1.0, 1.0], [np.inf, 2.0], [np.nan, 0.0]])
    plots.contour(lambda a, b: a * a + b * b, {"good": [[1, 1], [0, 0]], "wild": wild}, resolution=5, minimum=(0, 0), ax=ax)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["good", "wild", "minimum"] and not ax.texts
    assert np.isfinite(ax.get_xlim()).all()
    drawn(ax)


@pytest.mark.parametrize(("arguments", "error", "words"), [
    ({"paths": np.ones((2, 3))}, ShapeError, r"the path \(2, 3\)"), ({}, ShapeError, "limits="),
    ({"limits": ((1, 0), (0, 1))}, ShapeError, "left, right")])
def test_contours_that_do_not_fit(arguments: Any, error: type[Exception], words: str, ax: Any) -> None:
    with pytest.raises(error, match=words):
        plots.contour(lambda a, b: a + b, ax=ax, **arguments)
    with pytest.raises(ShapeError, match=r"\(2,\), and a cost is one number"):
        plots.contour(lambda w: w, limits=((0, 1), (0, 1)), ax=ax)
    with pytest.raises(TypeError, match="f takes 3 arguments"):
        plots.contour(lambda a, b, c: a, limits=((0, 1), (0, 1)), ax=ax)


# ---------------------------------------------------------------- activations


def test_M69_activations_with_their_derivatives() -> None:
    axes = plots.activations()
    assert [ax.get_title() for ax in axes] == ["sigmoid", "tanh", "relu", "leaky relu"]
    by_hand = [lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2, lambda z: 1 - np.tanh(z) ** 2, lambda z: 1.0 * (z > 0),
               lambda z: np.where(z > 0, 1, 0.01)]
    for ax, slope in zip(axes, by_hand, strict=True):
        line = next(line for line in ax.lines if line.get_label() == "g′(z)")
        z, shown = line.get_xdata(), line.get_ydata()
        there = np.isfinite(shown) & (z != 0)
        np.testing.assert_allclose(shown[there], slope(z[there]), rtol=1e-12, atol=1e-12)
        assert np.count_nonzero(~np.isfinite(shown)) <= 1  # where it jumps
        assert not overlapping(ax)
    assert np.isnan(axes[2].lines[-1].get_ydata()).any()
    assert np.isfinite(axes[0].lines[-1].get_ydata()).all() and np.isfinite(axes[1].lines[-1].get_ydata()).all()


def test_more_activations_than_fit_in_a_row() -> None:
    axes = plots.activations({"one": np.tanh, "two": "elu", "three": tg.gelu, "four": "silu", "five": "softplus"})
    assert len(axes) == 5 and axes[4].get_title() == "five" and len(axes[0].figure.axes) == 6
    assert not axes[0].figure.axes[5].get_visible()
    with pytest.raises(ValueError, match="'tahn' is no function"):
        plots.activations("tahn")
    with pytest.raises(ShapeError, match="2 functions need 2 axes"):
        plots.activations(["tanh", "relu"], ax=axes[0])


# ---------------------------------------------------------------- images, filters


def test_images_in_every_layout_are_the_same_picture(rng: np.random.Generator) -> None:
    grey = rng.uniform(size=(5, 4, 6))
    seen = [[np.asarray(image.get_array()) for image in plots.image_grid(x, ax=Figure().subplots(), **more).images]
            for x, more in ((grey, {}), (grey[:, None], {}), (grey[..., None], {}),
                            (grey.reshape(5, 24), {"image_shape": (4, 6)}))]
    for pictures in seen:
        np.testing.assert_array_equal(pictures, grey)
    colour = rng.uniform(size=(3, 4, 6, 3))
    for x in (colour, np.moveaxis(colour, -1, 1), np.round(255 * colour).astype(np.uint8)):
        pictures = [np.asarray(i.get_array()) for i in plots.image_grid(x, ax=Figure().subplots()).images]
        np.testing.assert_allclose(pictures, colour, atol=0.5 / 255 + 1e-12)


def test_images_stand_in_rows_under_their_labels() -> None:
    ax = plots.image_grid(np.random.default_rng(0).uniform(size=(7, 8, 8)), labels=range(7), columns=3)
    lefts, tops = zip(*[(i.get_extent()[0], i.get_extent()[3]) for i in ax.images], strict=True)
    assert len(set(lefts)) == 3 and len(set(tops)) == 3
    assert [t.get_text() for t in ax.texts] == list("0123456")
    extents = [i.get_extent() for i in ax.images]
    assert all(a[1] <= b[0] or b[1] <= a[0] or a[2] <= b[3] or b[2] <= a[3] for i, a in enumerate(extents) for b in extents[:i])
    drawn(ax)


def test_filters_share_a_symmetric_scale_whose_lightness_rises(rng: np.random.Generator) -> None:
    layer = nn.Conv2d(2, 3, 3, rng=0)
    ax = plots.filters(layer)
    largest = np.abs(layer.weight.data).max()
    assert len(ax.images) == 6 and all(i.get_clim() == (-largest, largest) for i in ax.images)
    np.testing.assert_array_equal([np.asarray(i.get_array()) for i in ax.images], layer.weight.data.reshape(6, 3, 3))
    assert len({i.get_extent()[0] for i in ax.images}) == 2  # a row for each filter, its channels side by side
    red, green, blue = ax.images[0].get_cmap()(np.linspace(0, 1, 64))[:, :3].T
    assert np.all(np.diff(0.299 * red + 0.587 * green + 0.114 * blue) > 0)  # so it can be read in grey
    plots.filters(nn.Linear(12, 4, rng=0).weight, image_shape=(3, 4), ax=Figure().subplots())
    plots.filters(np.zeros((2, 3, 3)), ax=Figure().subplots())


@pytest.mark.parametrize(("draw", "words"), [
    (lambda: plots.image_grid(np.ones((3, 64))), r"image_shape=\(8, 8\)\?"),
    (lambda: plots.image_grid(np.ones((3, 60)), image_shape=(8, 8)), "is 64 numbers, and a row has 60"),
    (lambda: plots.image_grid(np.ones((3, 2, 8, 8))), "neither one channel nor three"),
    (lambda: plots.image_grid(np.ones((3, 8, 8)), labels=[1]), "3 images and 1 labels"),
    (lambda: plots.image_grid(np.ones((0, 8, 8))), "not empty"), (lambda: plots.filters(nn.ReLU()), "no weight of its own"),
    (lambda: plots.filters(np.ones((3, 8, 8)), labels=[1]), "3 images and 1 labels")])
def test_images_that_do_not_fit(draw: Any, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        draw()


# ---------------------------------------------------------------- confusion matrices


def test_confusions_are_counted(ax: Any) -> None:
    true, guessed = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 2, 0])
    plots.confusion_matrix(true, guessed, ax=ax)
    assert [t.get_text() for t in ax.texts] == ["1", "1", "·", "·", "1", "·", "1", "·", "2"]
    assert ax.get_title() == "4 of 6 right (66.7 %)"
    shares = plots.confusion_matrix(true[:, None], np.eye(3)[guessed], classes=["a", "b", "c"], normalise=True)
    assert [t.get_text() for t in shares.texts] == ["50", "50", "·", "·", "100", "·", "33", "·", "67"]
    assert [t.get_text() for t in shares.get_xticklabels()] == ["a", "b", "c"]


def test_a_class_that_is_never_met_keeps_its_row(ax: Any) -> None:
    plots.confusion_matrix([0, 2], [0.0, 0.0], classes=["setosa", "versicolor", "virginica"], ax=ax)
    assert [t.get_text() for t in ax.texts] == ["1", "·", "·", "·", "·", "·", "1", "·", "·"]
    assert not overlapping(ax)


@pytest.mark.parametrize(("arguments", "words"), [
    (([0, 1], [0]), "2 true classes and 1"), (([0, 3], [0, 0], ["a", "b"]), "classes 0 to 1, and there are 0, 3")])
def test_confusions_that_do_not_fit(arguments: Any, words: str, ax: Any) -> None:
    with pytest.raises(ShapeError, match=words):
        plots.confusion_matrix(*arguments, ax=ax)


# ---------------------------------------------------------------- odd input is drawn so that it can be read

def test_one_cost_and_costs_between_gaps_have_markers() -> None:
    one = plots.cost_curve([1.0])
    assert [(line.get_marker(), line.get_xdata().tolist()) for line in one.lines] == [("None", [0.0]), ("o", [0.0])]
    assert one.get_xticks().tolist() == [0.0]
    gap = plots.cost_curve([3.0, np.nan, 2.0, 1.0])
    assert gap.lines[1].get_marker() == "o" and gap.lines[1].get_xdata().tolist() == [0.0]


def test_updates_are_counted_in_whole_numbers_and_costs_of_a_decade_plainly(ax: Any) -> None:
    plots.cost_curve(0.69 + 0.001 * np.sin(np.arange(4)), ax=ax)
    drawn(ax)
    assert ax.get_yscale() == "log" and "0.69" in [text.get_text() for text in ax.get_yticklabels()]
    assert all(tick == int(tick) for tick in ax.get_xticks())


@pytest.mark.parametrize(("runs", "scale", "says"), [
    ([], "linear", ["no finite cost"]), ({}, "linear", ["no finite cost"]), ([np.nan], "linear", ["no finite cost"]),
    ([-4.0, -1.0, -5.0], "linear", []), ([4.0, 0.0, 1.0], "log", [])])
def test_costs_that_a_logarithm_cannot_show(runs: Any, scale: str, says: list[str], ax: Any) -> None:
    plots.cost_curve(runs, ax=ax)
    drawn(ax)
    assert ax.get_yscale() == scale and [text.get_text() for text in ax.texts] == says
    if runs == [-4.0, -1.0, -5.0]:
        assert ax.lines[0].get_ydata().tolist() == runs


def test_a_mean_over_costs_goes_on_after_nan(ax: Any) -> None:
    plots.cost_curve([1.0, 2.0, np.nan, 4.0, 5.0, 6.0], smooth=3, ax=ax)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [1.0, 1.5, np.nan, 3.0, 4.5, 5.0])


def test_many_runs_have_their_legend_beside_the_axes() -> None:
    ax = plots.cost_curve({f"learning rate α = {i / 10}": np.exp(-np.arange(50) * 0.01 * i) + 0.1 for i in range(25)})
    drawn(ax)
    box, legend = ax.get_window_extent(), ax.get_legend().get_window_extent()
    assert legend.x0 >= box.x1 and box.width > legend.width / 2 and len(ax.get_legend().get_texts()) == 25


def test_names_that_begin_with_an_underscore_are_in_the_legend(ax: Any) -> None:
    plots.cost_curve({"_hidden": [2.0, 1.0]}, ax=ax)
    assert [text.get_text().strip() for text in ax.get_legend().get_texts()] == ["_hidden"]


@pytest.mark.parametrize("scores", [lambda p: np.where(p[:, 0] > 0, np.nan, p[:, 1]),
                                    lambda p: np.stack([p[:, 1], np.where(p[:, 0] > 0, np.nan, 0.0)], axis=1)],
                         ids=["one", "two"])
def test_where_a_model_says_nan_the_plane_stays_white(scores: Any, ax: Any) -> None:
    points = np.array([[-1.0, -1.0], [1.0, 1.0]])
    plots.decision_boundary(scores, points, ax=ax)
    picture = drawn(ax)
    box = ax.get_window_extent()
    columns = [int(box.x0 + share * box.width) for share in (0.25, 0.75)]
    left, right = picture[picture.shape[0] // 2 + 30, columns]
    assert left.min() < 250 and right.min() == 255


def test_examples_that_no_boundary_can_be_drawn_around() -> None:
    with pytest.raises(ValueError, match=r"not finite in 1 of 2 examples.*X\[:, np.isfinite"):
        plots.decision_boundary(lambda p: p[0], [[0.0, 1.0], [np.nan, 1.0]], axis=1)
    with pytest.raises(ShapeError, match="no examples"):
        plots.decision_boundary(lambda p: p[:, 0], np.zeros((0, 2)))
    with pytest.raises(ShapeError, match=r"one-hot\? Give np.argmax\(Y, axis=1\)"):
        plots.decision_boundary(lambda p: p[:, 0], np.eye(2), np.eye(2))


@pytest.mark.parametrize(("f", "says"), [(lambda a, b: 3.0 + 0 * a, "f is 3 everywhere"),
                                         (lambda a, b: a * np.nan, "f is finite nowhere")])
def test_costs_without_contour_lines_say_so(f: Any, says: str, ax: Any) -> None:
    plots.contour(f, limits=((-1, 1), (-1, 1)), ax=ax)
    drawn(ax)
    assert ax.texts[0].get_text().startswith(says)


def test_activations_of_one_name_are_all_drawn_and_so_is_one_point() -> None:
    squares, cubes = plots.activations([lambda z: z**2, lambda z: z**3])
    assert squares.lines[2].get_ydata()[0] == 25 and cubes.lines[2].get_ydata()[0] == -125
    point = plots.activations("tanh", z=[0.0])
    assert [line.get_marker() for line in point.lines if line.get_marker() != "None"] == ["o", "s"]
    with pytest.raises(ShapeError, match="not empty"):
        plots.activations("tanh", z=[])


def test_activations_without_values_on_one_side() -> None:
    root = plots.activations("sqrt")  # warnings are errors
    assert np.isnan(root.lines[2].get_ydata()[0]) and root.lines[2].get_ydata()[-1] == np.sqrt(5)


def test_images_with_nan_keep_their_scale_and_show_where(ax: Any) -> None:
    plots.image_grid(np.array([[[1.0, np.nan], [2.0, -3.0]]]), ax=ax)
    assert ax.images[0].get_clim() == (-3.0, 2.0)
    orange = matplotlib.colors.to_rgba(plots.COLOURS[6])
    assert tuple(ax.images[0].cmap.get_bad()) == pytest.approx(orange)
    filters = plots.filters(np.array([[[1.0, np.nan], [2.0, -3.0]]]))
    assert filters.images[0].get_clim() == (-3.0, 3.0)


def test_colours_of_any_range_can_be_seen(rng: np.random.Generator) -> None:
    standardised = rng.normal(size=(2, 3, 4, 4))
    shown = np.stack([image.get_array() for image in plots.image_grid(standardised).images])
    assert shown.min() == 0 and shown.max() == 1
    whole = rng.integers(0, 200, (2, 3, 4, 4))
    shown = np.stack([image.get_array() for image in plots.image_grid(whole).images])
    np.testing.assert_allclose(shown, np.moveaxis(whole, 1, -1) / 255)
    standardised[0, 0, 0, 0] = np.nan
    first = plots.image_grid(standardised).images[0].get_array()[0, 0]
    np.testing.assert_allclose(first, matplotlib.colors.to_rgb(plots.COLOURS[6]))


def test_long_labels_above_images_do_not_meet() -> None:
    assert not overlapping(plots.image_grid(np.zeros((12, 8, 8)), labels=[f"true 3, said 8 ({i})" for i in range(12)]))


def test_counts_can_be_read_on_their_colours_and_many_classes_fit() -> None:
    ax = plots.confusion_matrix([0, 0, 0, 1], [0, 0, 1, 1])  # white on the lighter blue of 2/3 would have a contrast of 2.6
    assert [text.get_color() for text in ax.texts] == ["black", "black", "black", "white"]
    many = plots.confusion_matrix(np.arange(120), np.arange(120))
    assert not many.texts and many.figure.get_size_inches()[0] < 21 and len(many.get_xticks()) == 40
    assert plots.confusion_matrix([0.0, np.nan], [0, 1]).get_title().startswith("1 of 2")
