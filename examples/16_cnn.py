"""A convolutional network: small filters, identical copies of which look at every place of an image.

    z[f, i, j] = b[f] + Σ W[f, k, l] x[i + k, j + l]        ∂J/∂W[f, k, l] = Σ over all places of δ[f, i, j] x[i + k, j + l]

A filter of 3 × 3 weights answers at each place where it fits; the copies share weights and bias, so the derivative of
a weight is the sum of the derivatives of its copies (M129). A layer is a collection of filters, for horizontal edges, for
vertical ones, for corners. First filters by hand, then a network that learns its own on scikit-learn's 1797
handwritten digits, in rows (m, channels, height, width), as in PyTorch.

Run: python examples/16_cnn.py [--epochs N] [--plot DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from figures import save
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import data, nn, plots

EDGES = {
    "horizontal edge": np.array([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]]) / 8,
    "vertical edge": np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8,
    "diagonal": np.array([[-2.0, -1, 0], [-1, 0, 1], [0, 1, 2]]) / 8,
    "corner": np.array([[-4.0, -4, -4], [-4, 5, 5], [-4, 5, 5]]) / 40,
}


def digits():
    """Three quarters of the digits to learn from, a quarter held out: X (m, 1, 8, 8) from 0 to 1 and Y (m,)."""
    X, Y = data.digits().images()
    return data.split(X / 16, Y, (0.75, 0.25), rng=0, stratify=True)


# ---------------------------------------------------------------- one filter, many copies


def places(X, size: int = 3):
    """Every patch of size × size, as rows: (m, places, size · size)."""
    patches = np.lib.stride_tricks.sliding_window_view(X[:, 0], (size, size), axis=(1, 2))
    return patches.reshape(len(X), -1, size * size)


def answers_cost(Z):
    """Some cost of the filters' answers (m, filters, places): that of tanh of them, against ½."""
    return 0.5 * np.mean((np.tanh(Z) - 0.5) ** 2)


def shared(W, b, X):
    """The cost through conv2d, W (filters, 1, 3, 3)."""
    return answers_cost(tg.conv2d(X, W, b).reshape(len(X), len(b), -1))


def unrolled(copies, biases, X):
    """The same from a copy of each filter for each place: copies (places, filters, 9), biases (places, filters)."""
    return answers_cost(np.einsum("mpk,pfk->mfp", places(X), copies) + biases.T)


def dense(W, b, height: int = 8, width: int = 8):
    """The matrix of a fully connected layer that does what the filters do: mostly zeros, the rest equal weights."""
    filters, size = len(W), W.shape[-1]
    rows, columns = height - size + 1, width - size + 1
    M = np.zeros((filters, rows, columns, height, width))
    for i in range(rows):
        for j in range(columns):
            M[:, i, j, i : i + size, j : j + size] = W[:, 0]
    return M.reshape(-1, height * width), np.repeat(b, rows * columns)


def check(X) -> None:
    rng = np.random.default_rng(0)
    W, b = rng.standard_normal((4, 1, 3, 3)), rng.standard_normal(4)
    P = places(X)
    m, count, _ = P.shape
    Z = np.einsum("mpk,fk->mfp", P, W.reshape(4, 9)) + b[:, None]
    delta = (np.tanh(Z) - 0.5) * (1 - np.tanh(Z) ** 2) / Z.size
    hand = np.einsum("mfp,mpk->fk", delta, P).reshape(W.shape)
    dW, db = tg.grad(shared, argnums=(0, 1))(W, b, X)
    copies, biases = np.tile(W.reshape(1, 4, 9), (count, 1, 1)), np.tile(b, (count, 1))
    d_copies, d_biases = tg.grad(unrolled, argnums=(0, 1))(copies, biases, X)
    M, c = dense(W, b)
    Z_dense = (X.reshape(m, -1) @ M.T + c).reshape(m, 4, count)
    dM = tg.grad(lambda M: answers_cost((X.reshape(m, -1) @ M.T + c).reshape(m, 4, count)))(M).reshape(4, 6, 6, 8, 8)
    of_dense = sum(dM[:, i, j, i : i + 3, j : j + 3] for i in range(6) for j in range(6))[:, None]
    side_by_side(f"4 filters on {m} digits: {count} copies of each",
                 ("answers, and a dense layer's", Z, Z_dense),
                 ("answers, and conv2d's", Z, tg.conv2d(X, W, b).reshape(Z.shape)),
                 ("dW = Σ δ x over places", hand, dW), ("db = Σ δ", delta.sum(axis=(0, 2)), db))
    side_by_side("the derivative of shared weights is the sum over their copies",
                 ("dW", d_copies.sum(axis=0).reshape(W.shape), dW), ("db", d_biases.sum(axis=0), db),
                 ("dW, copies in a dense matrix", of_dense, dW), columns=("sum of copies", "shared"))
    print(f"\nweights of 4 filters and biases: {W.size + b.size}; of the dense layer that does the same: {M.size + c.size}")


# ---------------------------------------------------------------- the network


def network(seed: int = 0):
    """8 filters, pooling, 16 filters, dropout, ten outputs."""
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding="same", rng=rng), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(8, 16, 3, padding="same", rng=rng), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5, rng=0),
                         nn.Linear(16 * 4 * 4, 10, rng=rng))


def train(model, X, Y, epochs: int = 20, size: int = 32, learning_rate: float = 0.05, report=None):
    """Mini-batch gradient descent with momentum 0.9, the rate falling to 0, on the model's parameters. Returns the costs."""

    @tg.jit(donate=("p", "v"))
    def step(p, v, x, y, rng, learning_rate):
        J, d = tg.value_and_grad(lambda p: tg.cross_entropy(nn.functional_call(model, p, x, rng=rng), y))(p)
        v = {name: 0.9 * v[name] + d[name] for name in p}
        return {name: p[name] - learning_rate * v[name] for name in p}, v, J

    p, costs = model.parameter_dict(), []
    v = {name: np.zeros_like(w) for name, w in p.items()}
    rng, batches = np.random.default_rng(0), data.batches(X, Y, size, rng=0)
    for epoch in range(epochs):
        for x, y in batches:
            p, v, J = step(p, v, x, y, rng, learning_rate * (1 - epoch / epochs))
            costs.append(float(J))
        if report:
            report(epoch + 1, float(np.mean(costs[-len(batches) :])))
    model.load_state_dict(p)
    return costs


def scores(model, X):
    """The ten outputs for each image, dropout off."""
    model.eval()
    return model(X).numpy()


# ---------------------------------------------------------------- the text


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save the plots")
    options = parser.parse_args(argv)
    try:
        (X, Y), (X_test, Y_test) = digits()
    except ImportError:
        print('the digits come with scikit-learn, which is not installed: pip install "tinygrad-edu[examples]"')
        return
    check(X[:50].copy())

    bar = np.zeros((1, 1, 8, 8))
    bar[0, 0, 4:] = 1.0  # dark above, light below
    print("\nthe largest answer of each filter to a horizontal edge, and to the same image turned")
    for name, filter_ in EDGES.items():
        given = [float(np.max(tg.conv2d(image, filter_[None, None]))) for image in (bar, bar.swapaxes(2, 3))]
        print(f"  {name:<16} {given[0]:6.3f} {given[1]:6.3f}")

    model = network()
    print(f"\n{model.summary((None, 1, 8, 8))}\n")
    costs = train(model, X, Y, options.epochs,
                  report=lambda epoch, J: print(f"  epoch {epoch:3d}   cost {J:.4f}") if epoch % 4 == 0 or epoch == 1 else None)
    found = scores(model, X_test)
    right = float(np.mean(np.argmax(found, axis=1) == Y_test))
    print(f"right: {np.mean(np.argmax(scores(model, X), axis=1) == Y):.1%} of {len(X)} digits to learn from, "
          f"{right:.1%} of {len(X_test)} held out")
    if options.plot:
        plot(options.plot, model, costs, found, X_test, Y_test)


def plot(directory: Path, model, costs, found, X_test, Y_test) -> None:
    save(directory, {"edges": (lambda figure: plot_edges(figure, photograph()), (12, 5)),
                     "filters": (lambda figure: plot_filters(figure, model, X_test), (12, 4.6)),
                     "cnn": (lambda figure: plot_training(figure, costs, found, Y_test), (10.5, 4.8))})


def photograph():
    """A part of a photograph of a temple in China that scikit-learn ships, in grey: (1, 1, 180, 240), from 0 to 1."""
    from sklearn.datasets import load_sample_images

    colour = load_sample_images().images[0][80:260, 170:410] / 255
    return colour.mean(axis=2)[None, None]


def plot_edges(figure, image) -> None:
    """Filters by hand, and what they answer at each place of a photograph."""
    above, below = figure.subplots(2, 1, height_ratios=(1, 1.2))
    plots.filters(np.stack(list(EDGES.values())), labels=list(EDGES), columns=4, title="filters by hand", ax=above)
    answers = np.concatenate([np.abs(np.asarray(tg.conv2d(image, f[None, None])))[0] for f in EDGES.values()])
    shown = np.concatenate([image[0, :, 1:-1, 1:-1], np.minimum(answers / np.quantile(answers, 0.98), 1)])
    plots.image_grid(shown, labels=["photograph", *EDGES], columns=5, title="where they answer", ax=below)


def plot_filters(figure, model, X) -> None:
    """The first layer's filters, and their answers to a digit."""
    left, right = figure.subplots(1, 2)
    plots.filters(model[0], columns=4, title="eight filters that were learned", ax=left)
    answers = model[1](model[0](X[:1])).numpy()[0]
    plots.image_grid(np.concatenate([X[0] * answers.max(), answers]), labels=["digit", *(f"filter {i + 1}" for i in range(8))],
                     columns=3, title="their answers to a digit, after ReLU", ax=right)


def plot_training(figure, costs, found, Y_test) -> None:
    """The costs, and what held-out digits are taken for."""
    left, right = figure.subplots(1, 2)
    plots.cost_curve({"of a mini-batch, means over an epoch": costs}, smooth=43, title="training", ax=left)
    plots.confusion_matrix(Y_test, found, ax=right)


if __name__ == "__main__":
    main()
