"""Networks with a memory: backpropagation through time, and why an LSTM remembers what a plain RNN forgets (M130).

    RNN    h⁽ᵗ⁾ = tanh(Wₓ x⁽ᵗ⁾ + Wₕ h⁽ᵗ⁻¹⁾ + b)
    LSTM   i, f, g, o = σ, σ, tanh, σ of the four parts of Wₓ x⁽ᵗ⁾ + Wₕ h⁽ᵗ⁻¹⁾ + b
           c⁽ᵗ⁾ = f ⊙ c⁽ᵗ⁻¹⁾ + i ⊙ g        h⁽ᵗ⁾ = o ⊙ tanh c⁽ᵗ⁾

The same weights serve at every place, so their gradient is a sum over time. On its way back through a plain RNN δ is
multiplied at every place by Wₕᵀ and tanh′ ≤ 1: it vanishes, or with large weights explodes. In an LSTM the way back along c
is a product of forget gates f, and an open gate lets δ pass.

The task: the first symbol of a sequence is one of four; others follow, which say nothing; at the end the first is asked for.
The hand formulas have examples in columns, as the notes do; nn.RNN and nn.LSTM have rows, and the same weights.

Run: python examples/17_rnn_lstm.py [--plot DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from figures import save
from side_by_side import side_by_side

import tinygrad_edu as tg
from tinygrad_edu import Tensor, nn, optim

SYMBOLS, DISTRACTORS = 4, 4
PLACES = (5, 10, 20, 50)
RNN_UNITS, LSTM_UNITS = 32, 14  # about as many weights in both: 1476 and 1404
# the gates' bias at the start: forget gates open, σ(4) = 0.982, and 0.982⁵⁰ = 0.40 of a cell is left after fifty places; input
# gates all but closed, with −4, so that a cell is not filled with what does not matter (Tallec and Ollivier 2018)
OPEN = 4.0


def sequences(places: int, m: int, rng):
    """One-hot sequences (places, m, 8): first a symbol 0 to 3, then only symbols 4 to 7; and the first ones, (m,)."""
    symbols = rng.integers(SYMBOLS, SYMBOLS + DISTRACTORS, (places, m))
    symbols[0] = rng.integers(0, SYMBOLS, m)
    return np.eye(SYMBOLS + DISTRACTORS)[symbols], symbols[0]


# ---------------------------------------------------------------- backpropagation through time, by hand


def output_by_hand(V, d, h, Y):
    """The last layer, softmax(V h + d) against one-hot Y (4, m): dV, dd, and dh for what comes before."""
    dz = (tg.softmax(V @ h + d, axis=0) - Y) / Y.shape[1]
    return dz @ h.T, np.sum(dz, axis=1, keepdims=True), V.T @ dz


def rnn_by_hand(Wx, Wh, b, V, d, X, Y):
    """dWx, dWh, db, dV, dd of a plain RNN; X (places, n_x, m), an example a column."""
    h = [np.zeros((len(Wh), X.shape[2]))]
    for x in X:
        h.append(np.tanh(Wx @ x + Wh @ h[-1] + b))
    dV, dd, dh = output_by_hand(V, d, h[-1], Y)
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    for t in reversed(range(len(X))):
        dz = dh * (1 - h[t + 1] ** 2)
        dWx += dz @ X[t].T  # += : the same weights at every place
        dWh += dz @ h[t].T
        db += np.sum(dz, axis=1, keepdims=True)
        dh = Wh.T @ dz
    return dWx, dWh, db, dV, dd


def lstm_by_hand(Wx, Wh, b, V, d, X, Y):
    """The same of an LSTM; Wx, Wh, b hold the rows of i, f, g, o, one below the other."""
    n, m = Wh.shape[1], X.shape[2]
    h, c, gates = [np.zeros((n, m))], [np.zeros((n, m))], []
    for x in X:
        z = Wx @ x + Wh @ h[-1] + b
        i, f, g, o = tg.sigmoid(z[:n]), tg.sigmoid(z[n : 2 * n]), np.tanh(z[2 * n : 3 * n]), tg.sigmoid(z[3 * n :])
        gates.append((i, f, g, o))
        c.append(f * c[-1] + i * g)
        h.append(o * np.tanh(c[-1]))
    dV, dd, dh = output_by_hand(V, d, h[-1], Y)
    dWx, dWh, db, dc = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b), np.zeros((n, m))
    for t in reversed(range(len(X))):
        i, f, g, o = gates[t]
        tanh_c = np.tanh(c[t + 1])
        do = dh * tanh_c
        dc = dc + dh * o * (1 - tanh_c**2)  # from the places after, and from h
        df, di, dg = dc * c[t], dc * g, dc * i
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)])
        dWx += dz @ X[t].T
        dWh += dz @ h[t].T
        db += np.sum(dz, axis=1, keepdims=True)
        dh, dc = Wh.T @ dz, dc * f  # along c nothing but the forget gate
    return dWx, dWh, db, dV, dd


class Reader(nn.Module):
    """A recurrent layer, and a layer that makes logits of its last output."""

    def __init__(self, kind, units: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.memory = kind(SYMBOLS + DISTRACTORS, units, rng=rng)
        self.last = nn.Linear(units, SYMBOLS, rng=rng)
        if kind is nn.LSTM:
            self.memory.bias_ih_l0.data[: 2 * units] = np.repeat([-OPEN, OPEN], units)

    def forward(self, X):
        return self.last(self.memory(X)[0][-1])


def check(kind, by_hand, places: int = 12, m: int = 5) -> None:
    """Hand formulas beside autodiff of the layers."""
    model = Reader(kind, 3)
    X, y = sequences(places, m, np.random.default_rng(1))
    tg.cross_entropy(model(X), y).backward()
    memory, last = model.memory, model.last
    b = (memory.bias_ih_l0.data + memory.bias_hh_l0.data).reshape(-1, 1)  # the layers have two biases, which add up
    hand = by_hand(memory.weight_ih_l0.data, memory.weight_hh_l0.data, b, last.weight.data, last.bias.data.reshape(-1, 1),
                   X.transpose(0, 2, 1), tg.one_hot(y, SYMBOLS).T)
    found = [memory.weight_ih_l0.grad, memory.weight_hh_l0.grad, memory.bias_ih_l0.grad.reshape(-1, 1), last.weight.grad,
             last.bias.grad.reshape(-1, 1)]
    rows = zip(("dWx", "dWh", "db", "dV", "dd"), hand, found, strict=True)
    side_by_side(f"{kind.__name__} through {places} places", *rows)


# ---------------------------------------------------------------- unrolled: shared weights, and δ place by place


def unrolled(Wx, weights, b, X):
    """The states of a plain RNN, with the Wh of each place given apart."""
    h, states = np.zeros((len(b), X.shape[2])), []
    for x, Wh in zip(X, weights, strict=True):
        h = np.tanh(Wx @ x + Wh @ h + b)
        states.append(h)
    return states


def shared_and_copies(places: int = 12, units: int = 3):
    """dWh where all places share it, and the dWh of each place where every place has a copy of its own."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((places, 2, 5))
    Wx, Wh, b = rng.standard_normal((units, 2)), rng.standard_normal((units, units)), rng.standard_normal((units, 1))
    shared = tg.grad(lambda Wh: np.sum(unrolled(Wx, [Wh] * places, b, X)[-1] ** 2))(Wh)
    copies = tg.grad(lambda weights: np.sum(unrolled(Wx, weights, b, X)[-1] ** 2))([Wh] * places)
    return shared, copies


def rnn_flow(radius: float, places: int = 50, units: int = 32):
    """‖∂J/∂h⁽ᵗ⁾‖ for t = 1 ... places, in an RNN whose Wh is `radius` times a rotation."""
    rng = np.random.default_rng(0)
    X = 0.1 * rng.standard_normal((places, 4, 16))
    Wx = rng.standard_normal((units, 4)) / 2
    Wh = radius * nn.init.orthogonal((units, units), rng=rng)
    states = unrolled(Tensor(Wx), [Tensor(Wh)] * places, Tensor(np.zeros((units, 1))), X)
    np.sum(states[-1]).backward()
    return [float(np.linalg.norm(h.grad)) for h in states]


def lstm_flow(bias: float, places: int = 50, units: int = 32):
    """‖∂J/∂c⁽ᵗ⁾‖ for t = 1 ... places, in an LSTM whose forget gates start with this bias."""
    rng = np.random.default_rng(0)
    X = 0.1 * rng.standard_normal((places, 16, 4))
    cell = nn.LSTMCell(4, units, rng=rng)
    cell.bias_ih.data[units : 2 * units] = bias
    state, cells = None, []
    for x in X:
        state = cell(x, state)
        cells.append(state[1])
    np.sum(state[1]).backward()
    return [float(np.linalg.norm(c.grad)) for c in cells]


FLOWS = {
    "RNN, ‖Wₕ‖ = 0.8": (rnn_flow, 0.8),
    "RNN, ‖Wₕ‖ = 2": (rnn_flow, 2.0),
    "LSTM, forget gates half open": (lstm_flow, 0.0),
    "LSTM, forget gates open": (lstm_flow, OPEN),
}


# ---------------------------------------------------------------- training


def train(model, places: int, updates: int, learning_rate: float, m: int = 64, seed: int = 1):
    """Adam on fresh sequences at every update, gradients no longer than 1. Returns the shares of right answers."""
    rng = np.random.default_rng(seed)

    def cost(params, X, y):
        z = nn.functional_call(model, params, X)
        return tg.cross_entropy(z, y), z

    params = model.parameter_dict()
    step = tg.jit(tg.value_and_grad(cost, has_aux=True))
    adam = optim.functional(optim.Adam, lr=learning_rate)
    state, right = adam.init(params), []
    for _ in range(updates):
        X, y = sequences(places, m, rng)
        (_, z), slopes = step(params, X, y)
        shrink = max(1.0, optim.norm_of(slopes))
        params, state = adam.update(params, {name: slope / shrink for name, slope in slopes.items()}, state)
        right.append(float(np.mean(z.argmax(axis=1) == y)))
    model.load_state_dict(params)
    return right


def accuracy(model, places: int, m: int = 1000) -> float:
    """The share of right answers on sequences never seen."""
    X, y = sequences(places, m, np.random.default_rng(99))
    with tg.no_grad():
        return float(np.mean(model(X).argmax(axis=1) == y))


def race(places: int):
    """Both networks, trained on sequences of this length: accuracy on new ones, and the course of training. The RNN is given
    twice as many updates."""
    plain, long = Reader(nn.RNN, RNN_UNITS), Reader(nn.LSTM, LSTM_UNITS)
    courses = {"RNN": train(plain, places, 600, 0.005), "LSTM": train(long, places, 300, 0.03)}
    return {"RNN": accuracy(plain, places), "LSTM": accuracy(long, places)}, courses, long


# ---------------------------------------------------------------- figures


def draw(figure, flows, courses) -> None:
    """δ place by place, and the share of right answers in the course of training."""
    left, right = figure.subplots(1, 2)
    for (name, norms), color, dash in zip(flows.items(), ("C3", "C1", "C2", "C0"), ("-", "--", "-.", "-"), strict=True):
        left.semilogy(range(1, len(norms) + 1), norms, dash, color=color, label=name)
    left.set(title="δ on its way back, from right to left", xlabel="place t", ylabel="‖∂J/∂h⁽ᵗ⁾‖,  LSTM ‖∂J/∂c⁽ᵗ⁾‖")
    left.legend(fontsize=9)
    left.grid(alpha=0.3)
    for (name, course), color in zip(courses.items(), ("C3", "C0"), strict=True):
        mean = np.convolve(course, np.ones(10) / 10, "valid")
        right.plot(np.arange(len(mean)) + 10, mean, color=color, label=name)
    right.axhline(1 / SYMBOLS, color="0.6", zorder=0, linestyle=":", label="guessing")
    right.set(title=f"the first of {PLACES[-1]} symbols, asked for at the end", xlabel="update", ylabel="right answers",
              ylim=(0, 1.05))
    right.legend(loc="center right")
    right.grid(alpha=0.3)


def small_graph():
    """One unit through three places, recorded: one wh, used three times."""
    wx, wh, b, h = Tensor(0.7, name="wx"), Tensor(0.9, name="wh"), Tensor(0.1, name="b"), 0.0
    for t, x in enumerate((0.5, -1.0, 2.0), 1):
        with tg.scope(f"place {t}"):
            h = np.tanh(wx * x + wh * h + b)
            h.name = f"h{t}"
    J = h**2
    J.backward()
    return J


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="DIR", type=Path, help="where to save the plots")
    options = parser.parse_args(argv)

    check(nn.RNN, rnn_by_hand)
    check(nn.LSTM, lstm_by_hand)
    shared, copies = shared_and_copies()
    side_by_side("one Wh for twelve places, or twelve copies", ("dWh", sum(copies), shared), columns=("Σ of copies", "shared"))

    flows = {name: flow(argument) for name, (flow, argument) in FLOWS.items()}
    print("\nδ from place 50 back to place 1")
    for name, norms in flows.items():
        print(f"  {name:<28}  ‖δ¹‖ / ‖δ⁵⁰‖ = {norms[0] / norms[-1]:.1e}")

    sizes = [Reader(kind, units).summary().total for kind, units in ((nn.RNN, RNN_UNITS), (nn.LSTM, LSTM_UNITS))]
    print(f"\nremember the first symbol: RNN with {sizes[0]} weights, LSTM with {sizes[1]}; guessing gives {1 / SYMBOLS:.0%}")
    print("  places    RNN   LSTM   (right answers on 1000 new sequences)")
    for places in PLACES:
        reached, courses, long = race(places)
        print(f"  {places:6d}  {reached['RNN']:5.0%}  {reached['LSTM']:5.0%}")
    print(f"the LSTM of {PLACES[-1]} places, asked after 100: {accuracy(long, 100):.0%}")
    if options.plot:
        save(options.plot, {"rnn_lstm": (lambda figure: draw(figure, flows, courses), (11, 4.2))})
        options.plot.mkdir(parents=True, exist_ok=True)
        tg.draw(small_graph()).save(options.plot / "unrolled.svg")
        print(f"an unrolled graph: {options.plot / 'unrolled.svg'}")


if __name__ == "__main__":
    main()
