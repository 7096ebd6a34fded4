"""A model as a table: layers, shapes, parameters, and apart from them what was chosen and is not learned."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import ShapeError
from ..modes import no_grad
from ..tensor import Tensor
from .layers import Embedding
from .module import Module, Sequential, stand_in

Shape = tuple[Any, ...]


class Row(NamedTuple):
    """One layer: its name in the model, kind, role, output shape, the shapes of its parameters, and how many numbers."""

    name: str
    kind: str
    role: str
    output_shape: Shape | None
    parameters: dict[str, tuple[int, ...]]
    size: int
    frozen: int
    settings: dict[str, Any]


class Summary:
    """What `summary` returns: print it, or read rows, total, trainable, frozen, layers and hyperparameters."""

    def __init__(self, model: Module, inputs: list[Shape], rows: list[Row]) -> None:
        self.kind = type(model).__name__
        self.inputs = inputs
        self.rows = rows
        parameters = list(model.parameters())
        self.total = sum(p.size for p in parameters)
        self.trainable = sum(p.size for p in parameters if p.requires_grad)
        self.frozen = self.total - self.trainable
        self.bytes = sum(p.size * p.dtype.itemsize for p in parameters)
        self.layers = sum(1 for row in rows if row.role.endswith("layer") or " layer " in row.role)
        self.hyperparameters = model.hyperparameters()

    def _table(self) -> tuple[list[str], list[list[str]]]:
        shapes = bool(self.inputs)
        head = ["name", "layer", "role", *(["output shape"] if shapes else []), "parameters", "shapes"]
        lines = [["", "input", "input layer", _shown(shape), "", ""] for shape in self.inputs]
        for row in self.rows:
            held = ", ".join(f"{name} {_shown(shape)}" for name, shape in list(row.parameters.items())[:4])
            held += ", …" if len(row.parameters) > 4 else ""
            frozen = f" ({row.frozen:,} frozen)" if row.frozen else ""
            shape = [_shown(row.output_shape) if row.output_shape is not None else "not used"] if shapes else []
            lines.append([row.name, row.kind, row.role, *shape, f"{row.size:,}{frozen}" if row.size else "", held])
        return head, lines

    def _end(self) -> list[str]:
        frozen = f", of which {self.frozen:,} are frozen" if self.frozen else ""
        return [f"L = {self.layers} layer{'s' if self.layers != 1 else ''} with weights; the input layer is not counted",
                f"{self.total:,} parameters{frozen}; {_memory(self.bytes)}"]

    def _chosen(self) -> list[tuple[str, str]]:
        return [(row.name or self.kind, ", ".join(f"{k} = {v}" for k, v in row.settings.items())) for row in self.rows
                if row.settings]

    def __str__(self) -> str:
        head, lines = self._table()
        widths = [max(len(line[i]) for line in (head, *lines)) for i in range(len(head))]
        number = head.index("parameters")

        def text(line: list[str]) -> str:
            cells = [cell.rjust(w) if i == number else cell.ljust(w)
                     for i, (cell, w) in enumerate(zip(line, widths, strict=True))]
            return "  ".join(cells).rstrip()

        out = [self.kind, text(head), "  ".join("─" * w for w in widths), *map(text, lines), "", *self._end()]
        chosen = self._chosen()
        if chosen:
            width = max(len(name) for name, _ in chosen)
            out += ["", "Hyper-parameters (chosen, not learned)", *[f"  {name.ljust(width)}  {said}" for name, said in chosen]]
        return "\n".join(out)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, lines = self._table()

        def cells(tag: str, line: list[str]) -> str:
            right = head.index("parameters")
            return "".join(f'<{tag} style="text-align:{"right" if i == right else "left"}">{html.escape(cell)}</{tag}>'
                           for i, cell in enumerate(line))

        rows = "".join(f"<tr>{cells('td', line)}</tr>" for line in lines)
        chosen = "".join(f"<tr><td>{html.escape(name)}</td><td>{html.escape(said)}</td></tr>" for name, said in self._chosen())
        chosen = f"<p>Hyper-parameters (chosen, not learned)</p><table>{chosen}</table>" if chosen else ""
        end = "<br>".join(html.escape(line) for line in self._end())
        return (f"<div><b>{html.escape(self.kind)}</b><table><thead><tr>{cells('th', head)}</tr></thead><tbody>{rows}</tbody>"
                f"</table><p>{end}</p>{chosen}</div>")


def summary(model: Module, input_shape: Any = None, dtype: Any = None) -> Summary:
    """The layers of a model with output shapes, parameter counts and totals, and its hyper-parameters apart from them.

    input_shape : of the whole input, examples first, None for any number of them: (None, 64), or (None, 1, 28, 28); a number
    of features alone, 64, means (None, 64); an array stands for its shape; a list of these for several inputs. The model runs
    on zeros, in evaluation, without being changed. Left out, output shapes are. dtype : of these zeros, by default that of
    the parameters, or integers before an Embedding.

    >>> from tinygrad_edu import nn
    >>> model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1))
    >>> print(nn.summary(model, (None, 3)))
    Sequential
    name  layer   role            output shape  parameters  shapes
    ────  ──────  ──────────────  ────────────  ──────────  ────────────────────────
          input   input layer     (m, 3)
    0     Linear  hidden layer 1  (m, 4)                16  weight (4, 3), bias (4,)
    1     Tanh                    (m, 4)
    2     Linear  output layer    (m, 1)                 5  weight (1, 4), bias (1,)
    <BLANKLINE>
    L = 2 layers with weights; the input layer is not counted
    21 parameters; 168 bytes
    <BLANKLINE>
    Hyper-parameters (chosen, not learned)
      0  in_features = 3, out_features = 4
      2  in_features = 4, out_features = 1
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: {type(model).__name__} is no Module. Give a model of nn.")
    inputs = [] if input_shape is None else _inputs(input_shape)
    outputs = _output_shapes(model, inputs, dtype) if inputs else {}
    rows: list[Row] = []
    seen: set[int] = set()
    for name, layer in _layers(model):
        held = [] if not isinstance(layer, Module) else list(layer.named_parameters()) if layer._whole else layer._held()[0]
        new = [p for _, p in held if id(p) not in seen]
        seen.update(id(p) for p in new)
        weighty = any(p.ndim > 1 for _, p in held) and not isinstance(layer, Embedding)
        rows.append(Row(name, type(layer).__name__ if isinstance(layer, Module) else getattr(layer, "__name__", "function"),
                        "layer" if weighty else "", outputs.get(name), {path: tuple(p.shape) for path, p in held},
                        sum(p.size for p in new), sum(p.size for p in new if not p.requires_grad),
                        layer._settings() if isinstance(layer, Module) else {}))
    weighty_rows = [i for i, row in enumerate(rows) if row.role]
    for k, i in enumerate(weighty_rows, 1):
        rows[i] = rows[i]._replace(role="output layer" if k == len(weighty_rows) else f"hidden layer {k}")
    marked = [tuple("m" if n is None else n for n in shape) for shape in inputs]
    return Summary(model, marked, rows)


def _layers(model: Module) -> list[tuple[str, Any]]:
    """What has a row: modules without parts or with parameters of their own, and plain functions in Sequential."""
    found: list[tuple[str, Any]] = []
    whole: list[str] = []
    for path, module in model.named_modules():
        if any(path.startswith(around) for around in whole):
            continue
        if module._whole:
            whole.append(f"{path}." if path else "")
        parameters, parts = module._held()
        if isinstance(module, Sequential):
            inner = [(f"{path}.{name}" if path else name, layer) for name, layer in module._parts().items()]
            found += [(name, layer) for name, layer in inner if callable(layer) and not isinstance(layer, Module)]
        elif parameters or not parts:
            found.append((path, module))
    order = {name: i for i, (name, *_) in enumerate(_places(model))}
    return sorted(found, key=lambda x: order.get(x[0], -1))


def _places(model: Module, prefix: str = "") -> list[tuple[str]]:
    out: list[tuple[str]] = [(prefix.removesuffix("."),)]
    if isinstance(model, Sequential):
        for name, layer in model._parts().items():
            out += _places(layer, f"{prefix}{name}.") if isinstance(layer, Module) else [(f"{prefix}{name}",)]
        return out
    for name, part in model._held()[1]:
        out += _places(part, f"{prefix}{name}.")
    return out


def _inputs(given: Any) -> list[Shape]:
    if isinstance(given, list):
        return [_inputs(item)[0] for item in given]
    if hasattr(given, "shape"):
        return [tuple(given.shape)]
    shape = (None, given) if isinstance(given, (int, np.integer)) else tuple(given)
    if not all(n is None or (isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 0) for n in shape):
        raise ShapeError(f"summary: input_shape={given!r}: write whole numbers, None for the number of examples: (None, 64); a "
                         "list of shapes for several inputs.")
    return [shape]


def _output_shapes(model: Module, inputs: list[Shape], dtype: Any) -> dict[str, Shape]:
    """The output shape of each layer, by name, with "m" where it follows the None of the inputs."""
    if dtype is None:
        first = next((m for m in model.modules() if m._held()[0]), None)
        own = next(iter(model.parameters()), None)
        dtype = np.int64 if isinstance(first, Embedding) else np.float64 if own is None else own.dtype
    runs = []
    for examples in (2, 3):
        arrays = [np.zeros([examples if n is None else n for n in shape], dtype) for shape in inputs]
        runs.append(_watched(model, arrays))
    return {name: tuple("m" if a != b else a for a, b in zip(shape, runs[1][name], strict=True))
            if len(shape) == len(runs[1].get(name, ())) else shape for name, shape in runs[0].items()}


def _watched(model: Module, arrays: list[Any]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}

    def watch(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            y = call(*args, **kwargs)
            first = y
            while isinstance(first, (tuple, list)) and first:
                first = first[0]
            if type(first) is Tensor or hasattr(first, "shape"):
                shapes[name] = tuple(first.shape)
            return y

        return called

    probe = stand_in(model, {}, {})
    for module in probe.modules():
        module.training = False
    for name, module in list(probe.named_modules()):
        if isinstance(module, Sequential):
            module._layers = {key: layer if isinstance(layer, Module) else watch(f"{name}.{key}" if name else key, layer)
                              for key, layer in module._layers.items()}
        vars(module)["forward"] = watch(name, module.forward)
    with no_grad():
        probe(*arrays)
    return shapes


def _shown(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _memory(count: int) -> str:
    if count < 10_000:
        return f"{count} bytes"
    unit = min(int(math.log(count, 1000)), 3)
    return f"{count / 1000 ** unit:.3g} {('bytes', 'kB', 'MB', 'GB')[unit]}"
