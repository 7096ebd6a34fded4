"""A random program: its inputs and constants with their numbers, and its lines as Python text that can be pasted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import tinygrad_edu as tg

from . import reference


@dataclass(frozen=True)
class Step:
    """One line. `text` is what a user writes; `plain` is the same call as tg.function(...), for arrays."""

    function: str  # the entry of the table
    targets: tuple[str, ...]
    text: str
    plain: str
    uses: tuple[str, ...]  # the variables and constants that it reads
    rough: bool = False  # whether its values are rounded, so that differences tell nothing
    exact: bool = True  # whether its reference runs in extended precision

    def line(self, plain: bool) -> str:
        return f"    {', '.join(self.targets)} = {self.plain if plain else self.text}\n"


@dataclass(frozen=True)
class Program:
    """Inputs are differentiated; the cost weighs the outputs, or their squares, to one number."""

    inputs: dict[str, Any]
    constants: dict[str, Any]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]
    squared: bool = False
    seed: int | None = None
    layouts: dict[str, str] = field(default_factory=dict)
    refused: tuple[Program, Exception] | None = None  # a program that NumPy refuses to run, and what it says

    def weights(self) -> dict[str, Any]:
        """The factor of each output in the cost, the same for every copy of the program."""
        rng = np.random.default_rng(0)
        values = self.values()
        return {f"w_{name}": rng.uniform(0.5, 1.5, np.shape(values[name])).astype(np.asarray(values[name]).dtype)[()]
                for name in self.outputs}

    def values(self) -> dict[str, Any]:
        """Every variable's value by NumPy alone."""
        space: dict[str, Any] = {**reference.NAMESPACE, **self.constants, **self.inputs}
        with np.errstate(all="ignore"):
            for step in self.steps:
                exec(f"{', '.join(step.targets)} = {step.plain}", space)  # noqa: S102
        return space

    def text(self, plain: bool = False) -> str:
        """The two functions: program(inputs) gives the outputs, cost(inputs) one number."""
        names = ", ".join(self.inputs)
        outputs = ", ".join(self.outputs)
        terms = " + ".join(f"np.sum(w_{y} * {y}{f' * {y}' if self.squared else ''})" for y in self.outputs)
        return (f"def program({names}):\n" + "".join(step.line(plain) for step in self.steps)
                + f"    return {outputs}{',' if len(self.outputs) == 1 else ''}\n\n"
                + f"def cost({names}):\n    {outputs}{',' if len(self.outputs) == 1 else ''} = program({names})\n"
                + f"    return {terms}\n")

    def functions(self, engine: Any = tg, plain: bool = False, constants: Mapping[str, Any] | None = None
                  ) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """program and cost; `engine` is what `tg` means: this package, or NumPy's reference for it."""
        space = {"np": np, "tg": engine, **(constants if constants is not None else {**self.constants, **self.weights()})}
        exec(compile(self.text(plain), "<program>", "exec"), space)  # noqa: S102
        return space["program"], space["cost"]

    def live(self) -> Program:
        """The same without the lines, inputs and constants that no output needs."""
        wanted, kept = set(self.outputs), []
        for step in reversed(self.steps):
            if wanted & set(step.targets):
                kept.append(step)
                wanted |= set(step.uses)
        return replace(self, steps=tuple(reversed(kept)), inputs={k: v for k, v in self.inputs.items() if k in wanted},
                       constants={k: v for k, v in self.constants.items() if k in wanted})

    def __str__(self) -> str:
        """The program as code that runs on its own."""
        lines = ["import numpy as np", "import tinygrad_edu as tg", ""]
        if self.seed is not None:
            lines.insert(0, f"# program {self.seed}")
        for name, x in {**self.constants, **self.inputs, **self.weights()}.items():
            lines.append(f"{name} = {literal(x)}" + (f"  # {self.layouts[name]}" if self.layouts.get(name) else ""))
        names = tuple(self.inputs)
        call = f"tg.value_and_grad(cost, argnums={tuple(range(len(names)))})({', '.join(names)})"
        return "\n".join(lines) + "\n\n" + self.text() + f"\nprint({call})\n"


def literal(x: Any) -> str:
    """An array or scalar as the text that makes it, to the last digit."""
    if isinstance(x, np.ndarray):
        if not x.size:
            return f"np.zeros({x.shape}, np.{x.dtype})"
        return f"np.array({x.tolist()!r}, np.{x.dtype})"
    if isinstance(x, np.generic):
        return f"np.{x.dtype}({x.item()!r})"
    return repr(x)
