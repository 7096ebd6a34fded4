"""Write docs/functions.md from the docstrings: python docs/make_functions.py."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_edu as tg

PAGE = Path(__file__).with_name("functions.md")
GROUPS = {
    "Derivatives": "grad value_and_grad vjp jvp linearize jacobian hessian hvp elementwise_grad check_gradients GradientCheck "
                   "primitive checkpoint register_container tree_map",
    "Readers": "draw explain formulas numpy_source compare gradient_flow find_nan scope",
    "Training": "optim data nn plots save load to_torch_state_dict from_torch_state_dict",
    "Tensors": "Tensor no_grad recording strict_shapes errors TinygradError",
    "Costs": "mse l1 huber smooth_l1 gaussian_nll poisson_nll binary_cross_entropy binary_cross_entropy_with_logits focal "
             "cross_entropy categorical_cross_entropy nll kl_div hinge multiclass_hinge margin_ranking one_hot",
    "Activations": "sigmoid log_sigmoid hard_sigmoid softplus softsign relu relu6 leaky_relu prelu elu celu selu gelu silu "
                   "mish hard_swish hard_tanh hardshrink softshrink tanhshrink glu softmax log_softmax softmin",
    "Normalisations, attention, dropout": "batch_norm layer_norm group_norm instance_norm rms_norm "
                                          "scaled_dot_product_attention dropout",
}


def first_sentence(thing: Any) -> str:
    """The first paragraph of the docstring, in one line."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return text.replace("|", "\\|")


def derivative(thing: Any) -> str:
    """What the docstring says of the derivative."""
    found = re.search(r"Derivatives?:? ([^\n]*?)\.?(?:\n|$)", inspect.getdoc(thing) or "")
    return found[1].replace("|", "\\|") if found else ""


def table(names: list[str], with_derivative: bool, home: Any = tg) -> str:
    """One row for each function; names of the same function share a row."""
    rows: dict[int, tuple[list[str], Any]] = {}
    for name in names:
        thing = getattr(home, name)
        rows.setdefault(id(thing), ([], thing))[0].append(f"`{name}`")
    head = "| name | what | derivative |\n|---|---|---|\n" if with_derivative else "| name | what |\n|---|---|\n"
    body = [
        f"| {', '.join(own)} | {first_sentence(thing)} |" + (f" {derivative(thing)} |" if with_derivative else "")
        for own, thing in rows.values()
    ]
    return head + "\n".join(body)


def page() -> str:
    """The whole page."""
    taken = {name for names in GROUPS.values() for name in names.split()} | {"__version__", "linalg"}
    rest = [name for name in tg.__all__ if name not in taken]
    ufuncs = [name for name in rest if isinstance(getattr(np, name, None), np.ufunc) or name == "erf"]
    parts = ["# Functions\n\nEvery name of `tinygrad_edu`, from its docstring (`help(tg.name)` says more). "
             "NumPy's functions work under `np.*` as well, and as methods where NumPy has them. `__version__` is the version."]
    for title, names in GROUPS.items():
        parts.append(f"## {title}\n\n" + table(names.split(), title == "Activations"))
    kinds = [c for c in vars(tg.errors).values() if isinstance(c, type) and issubclass(c, (tg.TinygradError, Warning))
             and c.__module__ == tg.errors.__name__]
    parts.append("## Errors\n\nIn `tinygrad_edu.errors`; each docstring is a page: the cause, an example, the remedy.\n\n"
                 "| name | what |\n|---|---|\n" + "\n".join(f"| `{c.__name__}` | {first_sentence(c)} |" for c in kinds))
    parts.append("## Entry by entry\n\n" + table(ufuncs, True))
    parts.append("## Sums, shapes, selecting, products\n\n" + table([n for n in rest if n not in ufuncs], False))
    own = sorted({"matrix_transpose", *(name for name, f in vars(tg.linalg).items() if name[0] != "_" and inspect.isfunction(f)
                                        and f.__module__ == tg.linalg.__name__)})
    parts.append("## Linear algebra\n\nIn `tg.linalg`, and under `np.linalg`. [Repeated eigenvalues, singular "
                 "matrices](linear_algebra.md).\n\n" + table(own, False, tg.linalg))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
