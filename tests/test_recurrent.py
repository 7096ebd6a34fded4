"""RNN, LSTM and GRU: the equations written out, gradients through time, shapes, and what a memory is good for (M130)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor, nn, optim
from tinygrad_edu.errors import ShapeError

KINDS = [nn.RNN, nn.LSTM, nn.GRU]
CELLS = [nn.RNNCell, nn.LSTMCell, nn.GRUCell]


def close(left: Any, right: Any, tolerance: float = 1e-12) -> None:
    left, right = np.asarray(getattr(left, "data", left)), np.asarray(getattr(right, "data", right))
    assert left.shape == right.shape
    np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance)


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def by_hand(kind: str, w: dict[str, np.ndarray], x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One step, gate by gate, as the papers write it; w has the weights by PyTorch's names."""
    n = h.shape[-1]
    p, q = x @ w["weight_ih"].T + w["bias_ih"], h @ w["weight_hh"].T + w["bias_hh"]
    P, Q = ([a[..., i * n : i * n + n] for i in range(4)] for a in (p, q))
    if kind.startswith("RNN"):
        return np.tanh(p + q), c
    if kind.startswith("LSTM"):
        i, f, g, o = sigmoid(P[0] + Q[0]), sigmoid(P[1] + Q[1]), np.tanh(P[2] + Q[2]), sigmoid(P[3] + Q[3])
        c = f * c + i * g
        return o * np.tanh(c), c
    r, z = sigmoid(P[0] + Q[0]), sigmoid(P[1] + Q[1])
    return (1 - z) * np.tanh(P[2] + r * Q[2]) + z * h, c


def weights(layer: nn.Module, end: str = "") -> dict[str, np.ndarray]:
    return {name.removesuffix(end): p.numpy() for name, p in layer.named_parameters() if name.endswith(end)}


def outputs(result: Any) -> list[Any]:
    y, last = result
    return [y, *(last if isinstance(last, tuple) else (last,))]


@pytest.mark.parametrize("kind", CELLS)
def test_cells_by_hand(kind: Any, rng: np.random.Generator) -> None:
    cell, x, h, c = kind(3, 4, rng=0), rng.normal(size=(5, 3)), rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    state = (h, c) if kind is nn.LSTMCell else h
    wanted = by_hand(kind.__name__, weights(cell), x, h, c)
    got = cell(x, state)
    close(got[0] if isinstance(got, tuple) else got, wanted[0])
    if isinstance(got, tuple):
        close(got[1], wanted[1])
    alone = cell(x[0], (h[0], c[0]) if isinstance(state, tuple) else h[0])
    close(alone[0] if isinstance(alone, tuple) else alone, wanted[0][0])
    start = cell(x)
    close(start[0] if isinstance(start, tuple) else start, by_hand(kind.__name__, weights(cell), x, 0 * h, 0 * c)[0])
    with pytest.raises(ShapeError):
        cell(np.ones((5, 2)))
    with pytest.raises(ShapeError, match="the state has shape"):
        cell(x, (h[:1], c) if isinstance(state, tuple) else h[:1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("directions", [1, 2])
def test_layers_by_hand(kind: Any, directions: int, rng: np.random.Generator) -> None:
    layer = kind(3, 4, num_layers=2, bidirectional=directions == 2, rng=0)
    x = rng.normal(size=(6, 2, 3))
    h0, c0 = rng.normal(size=(2 * directions, 2, 4)), rng.normal(size=(2 * directions, 2, 4))
    y, ends, memories = x, [], []
    for k in range(2):
        tracks = []
        for d in range(directions):
            w = weights(layer, f"_l{k}{'_reverse' if d else ''}")
            h, c, track = h0[k * directions + d], c0[k * directions + d], []
            for x_t in y[::-1] if d else y:
                h, c = by_hand(kind.__name__, w, x_t, h, c)
                track.append(h)
            tracks.append(np.stack(track[::-1] if d else track))
            ends.append(h)
            memories.append(c)
        y = np.concatenate(tracks, axis=-1)
    got = outputs(layer(x, (h0, c0) if kind is nn.LSTM else h0))
    close(got[0], y)
    close(got[1], np.stack(ends))
    if kind is nn.LSTM:
        close(got[2], np.stack(memories))


@pytest.mark.parametrize("kind", KINDS)
def test_layouts(kind: Any, rng: np.random.Generator) -> None:
    layer, other = kind(3, 4, rng=0), kind(3, 4, batch_first=True, rng=0)
    x = rng.normal(size=(6, 2, 3))
    first, second = outputs(layer(x)), outputs(other(x.swapaxes(0, 1)))
    close(first[0], second[0].data.swapaxes(0, 1))
    close(first[1], second[1])
    for model in (layer, other):
        alone = outputs(model(x[:, 0]))
        assert alone[0].shape == (6, 4) and alone[1].shape == (1, 4)
        close(alone[0], first[0].data[:, 0])
    h = np.ones((1, 4))
    close(outputs(layer(x[:, 0], (h, h) if kind is nn.LSTM else h))[0],
          outputs(layer(x[:, :1], (h[None], h[None]) if kind is nn.LSTM else h[None]))[0].data[:, 0])


def test_names_shapes_and_first_values() -> None:
    layer = nn.LSTM(3, 16, num_layers=2, bidirectional=True, rng=0)
    names = [f"{kind}_l{k}{end}" for k in range(2) for end in ("", "_reverse")
             for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    assert [name for name, _ in layer.named_parameters()] == names
    shapes = {name: p.shape for name, p in layer.named_parameters()}
    assert shapes["weight_ih_l0"] == (64, 3) and shapes["weight_ih_l1_reverse"] == (64, 32) and shapes["bias_hh_l1"] == (64,)
    assert all(np.abs(p.data).max() <= 0.25 for p in layer.parameters())
    assert list(nn.GRU(3, 2, bias=False, rng=0).state_dict()) == ["weight_ih_l0", "weight_hh_l0"]
    assert nn.RNN(3, 2, dtype="float32", rng=0)(np.ones((4, 1, 3), np.float32))[0].dtype == np.float32
    again = nn.LSTM(3, 16, num_layers=2, bidirectional=True, rng=0)
    assert all(np.array_equal(p.data, q.data) for p, q in zip(layer.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_M130_gradients_through_time(kind: Any, rng: np.random.Generator) -> None:
    layer, x = kind(2, 3, num_layers=2, bidirectional=True, rng=0), rng.normal(size=(4, 2, 2))
    h = rng.normal(size=(4, 2, 3))

    def cost(params: Any, x: Any, h: Any) -> Any:
        got = outputs(nn.functional_call(layer, params, x, (h, h) if kind is nn.LSTM else h))
        return sum((a * np.arange(a.size).reshape(a.shape) / a.size).sum() for a in got)

    assert tg.check_gradients(cost, layer.parameter_dict(), x, h)


@pytest.mark.parametrize("kind", CELLS)
def test_M130_the_gradient_is_the_sum_over_time(kind: Any, rng: np.random.Generator) -> None:
    """The same weights at every place against a copy for each place."""
    cell, x = kind(2, 3, rng=0), rng.normal(size=(5, 4, 2))
    copies = [kind(2, 3, rng=0) for _ in x]

    def run(cells: list[Any]) -> None:
        state = None
        for each, x_t in zip(cells, x, strict=True):
            state = each(x_t, state)
        ((state[0] if isinstance(state, tuple) else state) ** 2).sum().backward()

    run([cell] * len(x))
    run(copies)
    for name, p in cell.named_parameters():
        close(p.grad, sum(dict(c.named_parameters())[name].grad for c in copies))


@pytest.mark.parametrize("kind", KINDS)
def test_under_jit(kind: Any, rng: np.random.Generator) -> None:
    layer = kind(2, 3, num_layers=2, batch_first=True, rng=0)

    def cost(params: Any, x: Any) -> Any:
        return (outputs(nn.functional_call(layer, params, x))[0] ** 2).sum()

    fast, slow = tg.jit(tg.value_and_grad(cost, argnums=(0, 1))), tg.value_and_grad(cost, argnums=(0, 1))
    for _ in range(3):
        x = rng.normal(size=(4, 5, 2))
        (v, (slopes, dx)), (w, (others, dy)) = fast(layer.parameter_dict(), x), slow(layer.parameter_dict(), x)
        close(v, w)
        close(dx, dy)
        for name in slopes:
            close(slopes[name], others[name])
    assert fast.cache_info().misses == 1


def test_dropout_between_layers(rng: np.random.Generator) -> None:
    x = rng.normal(size=(5, 2, 3))
    layer = nn.LSTM(3, 8, num_layers=2, dropout=0.5, rng=0)
    a, b = layer(x)[0], layer(x)[0]
    assert not np.array_equal(a.data, b.data)
    layer.eval()
    close(layer(x)[0], layer(x)[0], 0)
    layer.train()
    close(nn.functional_call(layer, {}, x, rng=3)[0], nn.functional_call(layer, {}, x, rng=3)[0], 0)
    with pytest.raises(ValueError, match="acts between layers, and there is one"):
        nn.GRU(3, 2, dropout=0.5)
    with pytest.raises(ValueError, match="random zeros need a generator"):
        nn.GRU(3, 2, num_layers=2, dropout=0.5)(x)


@pytest.mark.parametrize(("call", "text"), [
    (lambda m: m(np.ones((5, 2, 4))), r"LSTM\(3, 4\): x \(5, 2, 4\): it takes \(L, N, features\), or \(L, features\)"),
    (lambda m: m(np.ones(3)), "with 3 features"),
    (lambda m: m(np.ones((0, 2, 3))), "has no places in time"),
    (lambda m: m(np.ones((5, 2, 3)), (np.ones((1, 3, 4)),) * 2), r"has shape \(1, 3, 4\), and must have \(1, 2, 4\)"),
    (lambda m: m(np.ones((5, 2, 3)), [np.ones((1, 2, 4))]), r"the first states are a pair, \(h, c\)"),
])
def test_what_does_not_fit(call: Any, text: str) -> None:
    with pytest.raises(ShapeError, match=text):
        call(nn.LSTM(3, 4, rng=0))


def test_nonlinearity() -> None:
    relu = nn.RNN(2, 3, nonlinearity="relu", rng=0)
    assert relu(np.ones((4, 1, 2)))[0].data.min() >= 0
    with pytest.raises(ValueError, match='write "tanh" or "relu"'):
        nn.RNN(2, 3, nonlinearity="sigmoid")


def test_M130_gradients_vanish_and_explode(rng: np.random.Generator) -> None:
    """The derivative of the last state in the first input: powers of W_hh in a plain RNN, the forget gate in an LSTM."""

    def reach(layer: nn.Module, places: int = 40) -> float:
        x = Tensor(0.1 * rng.normal(size=(places, 1, 1)))
        outputs(layer(x))[0][-1].sum().backward()
        return float(np.abs(x.grad[0]).max())

    plain, long, loud = nn.RNN(1, 8, rng=0), nn.LSTM(1, 8, rng=0), nn.RNN(1, 8, nonlinearity="relu", rng=0)
    long.bias_ih_l0.data = np.concatenate([np.zeros(8), np.full(8, 4.0), np.zeros(16)])  # type: ignore[attr-defined]
    loud.weight_hh_l0.data = 1.5 * np.eye(8)  # type: ignore[attr-defined]
    assert reach(plain) < 1e-5 and 1e-3 < reach(long) < 10 and reach(loud) > 1e4


def test_M130_an_lstm_remembers_the_first_sign() -> None:
    """Thirty places; the answer is the sign of the first number. An LSTM learns it in a few dozen steps."""
    source = np.random.default_rng(0)
    X = 0.2 * source.normal(size=(30, 100, 1))
    X[0] = np.sign(X[0])
    Y = (X[0] > 0).astype(float)
    lstm, last = nn.LSTM(1, 8, rng=0), nn.Linear(8, 1, rng=1)
    lstm.bias_ih_l0.data = np.concatenate([np.zeros(8), np.full(8, 3.0), np.zeros(16)])  # type: ignore[attr-defined]
    optimizer = optim.Adam([*lstm.parameters(), *last.parameters()], lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        z = last(lstm(X)[0][-1])
        tg.binary_cross_entropy_with_logits(z, Y).backward()
        optimizer.step()
    assert np.mean((z.data > 0) == Y) > 0.98
