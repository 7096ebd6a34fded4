"""Layers with a memory: RNN, LSTM and GRU over sequences, and their single steps.

Equations, order of the gates, names and first values are PyTorch's, so that weights pass between. Sequences are
(L, N, features): places in time, examples, features; (N, L, features) with batch_first=True; (L, features) for one example.
The same weights serve every place in time, so their gradient is the sum over all places.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import float64

from .. import ops
from ..errors import ShapeError
from ..ops.inputs import floating
from . import init
from .init import generator
from .layers import count, drawn_from, floating_dtype, shown
from .module import Module, parameter, redraw

# ---------------------------------------------------------------- one step in time; p is x W_ihᵀ + b_ih for all gates


def _part(z: Any, i: int, size: int, of: int = 1) -> Any:
    """Gate number i of an array of gates side by side, or `of` gates from there."""
    return ops.getitem(z, (slice(None), slice(i * size, (i + of) * size)))


def _simple(p: Any, q: Any, state: tuple[Any, ...], size: int, activation: Any) -> tuple[Any, ...]:
    """h′ = tanh(x W_ihᵀ + b_ih + h W_hhᵀ + b_hh)."""
    return (activation(p + q),)


def _long_short(p: Any, q: Any, state: tuple[Any, ...], size: int, _activation: Any) -> tuple[Any, ...]:
    """i, f, g, o from the four parts; c′ = f ⊙ c + i ⊙ g, h′ = o ⊙ tanh c′."""
    z = p + q
    i, f = ops.sigmoid(_part(z, 0, size)), ops.sigmoid(_part(z, 1, size))
    g, o = ops.tanh(_part(z, 2, size)), ops.sigmoid(_part(z, 3, size))
    c = f * state[1] + i * g
    return o * ops.tanh(c), c


def _gated(p: Any, q: Any, state: tuple[Any, ...], size: int, _activation: Any) -> tuple[Any, ...]:
    """r, z from the first two parts; n = tanh(p₃ + r ⊙ q₃), h′ = (1 − z) ⊙ n + z ⊙ h."""
    s = ops.sigmoid(_part(p, 0, size, 2) + _part(q, 0, size, 2))
    r, z = _part(s, 0, size), _part(s, 1, size)
    n = ops.tanh(_part(p, 2, size) + r * _part(q, 2, size))
    return ((1 - z) * n + z * state[0],)


def _linear(x: Any, weight_t: Any, bias: Any) -> Any:
    y = ops.matmul(x, weight_t)
    return y if bias is None else y + bias


# ---------------------------------------------------------------- whole sequences

class _Drawn(Module):
    """What sequences and single steps share: all weights are drawn within 1/√(hidden size), as PyTorch does."""

    hidden_size: int

    def _draw(self, rng: np.random.Generator) -> None:
        bound = 1 / math.sqrt(self.hidden_size)
        for _, held in self._held()[0]:
            redraw(held, init.uniform(held.shape, -bound, bound, rng))


class _Recurrent(_Drawn):
    _gates: int
    _states: int
    _step: Any

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
                 dropout: float = 0.0, bidirectional: bool = False, dtype: Any = float64, rng: Any = None) -> None:
        where = type(self).__name__
        self.input_size = count(input_size, "input_size", where)
        self.hidden_size = count(hidden_size, "hidden_size", where)
        self.num_layers = count(num_layers, "num_layers", where)
        self.batch_first, self.dropout, self.bidirectional = batch_first, dropout, bidirectional
        if not 0 <= dropout <= 1:
            raise ValueError(f"{where}: dropout={dropout:g} is no probability. Give the part that becomes 0, between 0 and 1.")
        if dropout and num_layers == 1:
            raise ValueError(f"{where}: dropout={dropout:g} acts between layers, and there is one. Use num_layers=2 or more, "
                             "or nn.Dropout after it.")
        dtype = floating_dtype(dtype, where)
        rows = self._gates * hidden_size
        for layer in range(num_layers):
            for end in self._directions():
                columns = input_size if layer == 0 else hidden_size * len(self._directions())
                for name, shape in (("weight_ih", (rows, columns)), ("weight_hh", (rows, hidden_size)), ("bias_ih", (rows,)),
                                    ("bias_hh", (rows,))):
                    held = parameter(np.zeros(shape, dtype)) if bias or name.startswith("weight") else None
                    setattr(self, f"{name}_l{layer}{end}", held)
        source = generator(rng)
        self._draw(source)
        self.rng = source if dropout and rng is not None else None

    def _directions(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def forward(self, x: Any, hx: Any = None) -> Any:
        """(outputs of the last layer at all places, last states of all layers); hx are the first states, zero by default."""
        where = type(self).__name__
        x = floating(x, where)
        single = x.ndim == 2
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            form = "(N, L, features)" if self.batch_first else "(L, N, features)"
            raise ShapeError(f"{where}({self.input_size}, {self.hidden_size}): {shown(x)}: it takes {form}, or (L, features) "
                             f"for one example, with {self.input_size} features.")
        if single:
            x = ops.reshape(x, (x.shape[0], 1, x.shape[1]))
        elif self.batch_first:
            x = ops.swapaxes(x, 0, 1)
        if not x.shape[0]:
            raise ShapeError(f"{where}: {shown(x)} has no places in time. Give one at least.")
        first = self._first_states(x, hx, single)
        ends = self._directions()
        last: list[tuple[Any, ...]] = []
        y = x
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                y = ops.dropout(y, self.dropout, True, drawn_from(self, where))
            tracks = []
            for d, end in enumerate(ends):
                outputs, states = self._track(y, first[layer * len(ends) + d], f"l{layer}{end}", bool(end))
                tracks.append(outputs)
                last.append(states)
            places = tracks[0] if len(ends) == 1 else [ops.concatenate(pair, axis=1) for pair in zip(*tracks, strict=True)]
            y = ops.stack(places, axis=1 if self.batch_first and not single and layer == self.num_layers - 1 else 0)
        if single:
            y = ops.reshape(y, (y.shape[0], y.shape[2]))
        ended = tuple(self._joined([states[k] for states in last], single) for k in range(self._states))
        return y, ended if self._states > 1 else ended[0]

    def _track(self, x: Any, state: tuple[Any, ...], name: str, backwards: bool) -> tuple[list[Any], tuple[Any, ...]]:
        """One layer in one direction: its outputs, place by place, and its last states."""
        length, examples, features = x.shape
        weight_t = getattr(self, f"weight_hh_{name}").T
        bias = getattr(self, f"bias_hh_{name}")
        # the products with the inputs of all places at once; those with the states follow one another
        flat = ops.reshape(x, (length * examples, features))
        p = _linear(flat, getattr(self, f"weight_ih_{name}").T, getattr(self, f"bias_ih_{name}"))
        p = ops.reshape(p, (length, examples, p.shape[1]))
        step, activation = type(self)._step, self._activation()
        outputs: list[Any] = []
        for t in range(length - 1, -1, -1) if backwards else range(length):
            state = step(ops.getitem(p, t), _linear(state[0], weight_t, bias), state, self.hidden_size, activation)
            outputs.append(state[0])
        return outputs[::-1] if backwards else outputs, state

    def _activation(self) -> Any:
        return None

    def _first_states(self, x: Any, hx: Any, single: bool) -> list[tuple[Any, ...]]:
        where, examples = type(self).__name__, x.shape[1]
        several = self.num_layers * len(self._directions())
        if hx is None:
            zeros = np.zeros((examples, self.hidden_size), np.result_type(x.dtype, self.weight_ih_l0.dtype))  # type: ignore[attr-defined]
            return [(zeros,) * self._states] * several
        given = tuple(hx) if self._states > 1 else (hx,)
        if len(given) != self._states:
            raise ShapeError(f"{where}: the first states are a pair, (h, c); got {len(given)} items.")
        wanted = (several, self.hidden_size) if single else (several, examples, self.hidden_size)
        rows = []
        for h in given:
            h = floating(h, where)
            if tuple(h.shape) != wanted:
                raise ShapeError(f"{where}: the first state has shape {tuple(h.shape)}, and must have {wanted}: (layers · "
                                 f"directions, {'' if single else 'examples, '}units).")
            rows.append(ops.reshape(h, (several, examples, self.hidden_size)))
        return [tuple(ops.getitem(h, i) for h in rows) for i in range(several)]

    def _joined(self, states: list[Any], single: bool) -> Any:
        y = ops.stack(states, axis=0)
        return ops.reshape(y, (y.shape[0], y.shape[2])) if single else y

    def extra_repr(self) -> str:
        """Sizes; what is as by default is left out."""
        usual = {"num_layers": 1, "batch_first": False, "dropout": 0.0, "bidirectional": False, "nonlinearity": "tanh"}
        shown = [f"{k}={v!r}" for k, v in self._settings().items() if k in usual and v != usual[k]]
        if self.bias_ih_l0 is None:  # type: ignore[attr-defined]
            shown.append("bias=False")
        return ", ".join([str(self.input_size), str(self.hidden_size), *shown])


class RNN(_Recurrent):
    """A simple recurrent network (Elman 1990): h_t = tanh(x_t W_ihᵀ + b_ih + h_{t−1} W_hhᵀ + b_hh).

    Parameters
    ----------
    input_size, hidden_size : features of x, and units. num_layers : each further layer reads the outputs of the one before.
    nonlinearity : "tanh" or "relu". bias, batch_first : see the head of this file. dropout : between layers, in training.
    bidirectional : a second one reads backwards, with weights …_reverse; outputs stand side by side.
    dtype, rng : of the first values, uniform between ±1/√hidden_size. The same generator draws dropout's zeros.

    weight_ih_l0 (hidden_size, input_size), weight_hh_l0 (hidden_size, hidden_size), bias_ih_l0, bias_hh_l0 (hidden_size,).
    x (L, N, input_size) gives outputs (L, N, hidden_size) and the last states (num_layers, N, hidden_size).

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> outputs, last = nn.RNN(3, 5, rng=0)(np.ones((7, 2, 3)))
    >>> outputs.shape, last.shape, bool(np.all(outputs[-1] == last[0]))
    ((7, 2, 5), (1, 2, 5), True)
    """

    _gates, _states, _step = 1, 1, staticmethod(_simple)

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, dtype: Any = float64,
                 rng: Any = None) -> None:
        self.nonlinearity = _named(nonlinearity, "RNN")
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype, rng)

    def _activation(self) -> Any:
        return ops.tanh if self.nonlinearity == "tanh" else ops.relu


class LSTM(_Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997): what is kept in c passes from place to place unchanged.

    i, f, o = σ(…), g = tanh(…), each of x_t W_ihᵀ + b_ih + h_{t−1} W_hhᵀ + b_hh; c_t = f ⊙ c_{t−1} + i ⊙ g, h_t = o ⊙ tanh c_t.
    The rows of weight_ih_l0 (4 · hidden_size, input_size) are those of i, f, g, o. Arguments as for RNN, hx a pair (h, c).

    x (L, N, input_size) gives outputs (L, N, hidden_size) and (h, c), each (num_layers, N, hidden_size).

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> outputs, (h, c) = nn.LSTM(3, 5, num_layers=2, rng=0)(np.ones((7, 2, 3)))
    >>> outputs.shape, h.shape, c.shape
    ((7, 2, 5), (2, 2, 5), (2, 2, 5))
    """

    _gates, _states, _step = 4, 2, staticmethod(_long_short)


class GRU(_Recurrent):
    """A gated recurrent unit (Cho et al. 2014), with one state fewer than the LSTM.

    r, z = σ(…) of x_t W_ihᵀ + b_ih + h_{t−1} W_hhᵀ + b_hh; n = tanh(x_t W_inᵀ + b_in + r ⊙ (h_{t−1} W_hnᵀ + b_hn));
    h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}. The rows of weight_ih_l0 are those of r, z, n. Arguments and results as for RNN.

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> outputs, last = nn.GRU(3, 5, batch_first=True, rng=0)(np.ones((2, 7, 3)))
    >>> outputs.shape, last.shape
    ((2, 7, 5), (1, 2, 5))
    """

    _gates, _states, _step = 3, 1, staticmethod(_gated)


def _named(nonlinearity: str, where: str) -> str:
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f'{where}: nonlinearity={nonlinearity!r}: write "tanh" or "relu".')
    return nonlinearity


# ---------------------------------------------------------------- single steps

class _Cell(_Drawn):
    _gates: int
    _states: int
    _step: Any

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, dtype: Any = float64, rng: Any = None) -> None:
        where = type(self).__name__
        self.input_size = count(input_size, "input_size", where)
        self.hidden_size = count(hidden_size, "hidden_size", where)
        dtype, rows = floating_dtype(dtype, where), self._gates * hidden_size
        self.weight_ih = parameter(np.zeros((rows, input_size), dtype))
        self.weight_hh = parameter(np.zeros((rows, hidden_size), dtype))
        self.bias_ih = parameter(np.zeros(rows, dtype)) if bias else None
        self.bias_hh = parameter(np.zeros(rows, dtype)) if bias else None
        self._draw(generator(rng))

    def forward(self, x: Any, hx: Any = None) -> Any:
        """The next state (for LSTMCell the pair h, c) after the input x (N, input_size), from hx, by default zero."""
        where = type(self).__name__
        x = floating(x, where)
        single = x.ndim == 1
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeError(f"{where}({self.input_size}, {self.hidden_size}): {shown(x)}: it takes (N, {self.input_size}), or "
                             f"({self.input_size},) for one example.")
        x = ops.reshape(x, (1, x.shape[0])) if single else x
        wanted = (x.shape[0], self.hidden_size)
        if hx is None:
            state: tuple[Any, ...] = (np.zeros(wanted, np.result_type(x.dtype, self.weight_ih.dtype)),) * self._states
        else:
            given = tuple(hx) if self._states > 1 else (hx,)
            state = tuple(floating(h, where) for h in given)
            if len(state) != self._states or any(tuple(h.shape) != (wanted[single:]) for h in state):
                raise ShapeError(f"{where}: the state has shape {[tuple(h.shape) for h in state]}, and must have "
                                 f"{[wanted[single:]] * self._states}.")
            state = tuple(ops.reshape(h, wanted) for h in state) if single else state
        p = _linear(x, self.weight_ih.T, self.bias_ih)
        q = _linear(state[0], self.weight_hh.T, self.bias_hh)
        state = type(self)._step(p, q, state, self.hidden_size, self._activation())
        state = tuple(ops.reshape(h, (self.hidden_size,)) for h in state) if single else state
        return state if self._states > 1 else state[0]

    def _activation(self) -> Any:
        return None


class RNNCell(_Cell):
    """One step of RNN: h′ = tanh(x W_ihᵀ + b_ih + h W_hhᵀ + b_hh). weight_ih, weight_hh, bias_ih, bias_hh.

    >>> import numpy as np
    >>> from tinygrad_edu import nn
    >>> cell, h = nn.RNNCell(3, 5, rng=0), None
    >>> for t in range(4):
    ...     h = cell(np.ones((2, 3)), h)
    >>> h.shape
    (2, 5)
    """

    _gates, _states, _step = 1, 1, staticmethod(_simple)

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", dtype: Any = float64,
                 rng: Any = None) -> None:
        self.nonlinearity = _named(nonlinearity, "RNNCell")
        super().__init__(input_size, hidden_size, bias, dtype, rng)

    def _activation(self) -> Any:
        return ops.tanh if self.nonlinearity == "tanh" else ops.relu


class LSTMCell(_Cell):
    """One step of LSTM: (x, (h, c)) gives (h′, c′)."""

    _gates, _states, _step = 4, 2, staticmethod(_long_short)


class GRUCell(_Cell):
    """One step of GRU: (x, h) gives h′."""

    _gates, _states, _step = 3, 1, staticmethod(_gated)
