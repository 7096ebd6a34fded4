"""What readers call the nodes of a graph: a given name, else the caller's variable, else a short name."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backprop import Graph
from ..errors import variable_names
from ..tensor import Tensor


def nodes_of(root: Tensor) -> list[Tensor]:
    """Everything `root` was made from, leaves and constants Tensors too, oldest first; root comes last."""
    found, seen = [root], {root}
    for node in found:  # grows as it is read
        for a in node.args:
            if type(a) is Tensor and a not in seen:
                seen.add(a)
                found.append(a)
    Graph([root])  # refuses a graph whose leaves were changed since
    return sorted(found, key=lambda t: t.id)


# Short names for the numbers in between, as on the blackboard. No w and no x: these are taken for weights and inputs.
_LETTERS = ("u", "v", "p", "q", "r", "s")


def name_nodes(root: Tensor, variables: dict[int, str] | None = None) -> dict[Tensor, str]:
    """A name for every node of the graph, all different.

    A given name comes first, then the variable that holds the Tensor, then a short name: J for the root, x1, x2, ... for
    inputs, and for what lies between u, v, ... where these are few and single numbers, else t1, t2, ...
    `variables` maps id(object) to a variable's name; by default those of the caller outside this package.
    """
    variables = variable_names() if variables is None else variables
    names: dict[Tensor, str] = {}
    taken: set[str] = set()
    nodes = nodes_of(root)

    def claim(node: Tensor, wanted: str) -> None:
        name, k = wanted, 2
        while name in taken:
            name, k = f"{wanted}_{k}", k + 1
        taken.add(name)
        names[node] = name

    for node in nodes:  # what a person named comes first
        if node.name is not None:
            claim(node, node.name)
    for node in nodes:
        if node not in names and id(node) in variables:
            claim(node, variables[id(node)])
    for node in nodes:  # a short name must not be that of a constant array either
        taken.update(variables[id(a)] for a in node.args if type(a) is np.ndarray and id(a) in variables)
    if root not in names and "J" not in taken:
        claim(root, "J")
    between = [node for node in nodes if node not in names and node.op is not None]
    letters = [x for x in _LETTERS if x not in taken]
    if len(between) <= len(letters) and not any(node.ndim for node in between):
        for node, letter in zip(between, letters, strict=False):
            claim(node, letter)
    counts = {"x": 0, "t": 0}
    for node in nodes:
        if node not in names:
            kind = "x" if node.op is None else "t"
            while True:
                counts[kind] += 1
                short = f"{kind}{counts[kind]}"
                if short not in taken:
                    break
            claim(node, short)
    return names


def name_constant(value: Any, variables: dict[int, str]) -> str:
    """What a constant operand is called: its variable, the number itself, or array and its shape."""
    if id(value) in variables and isinstance(value, np.ndarray):
        return variables[id(value)]
    if isinstance(value, np.ndarray):
        return f"array{value.shape}"
    return f"{float(value):.6g}" if not isinstance(value, bool) else str(value)
