"""The printed NumPy code: it runs without this package and gives the engine's numbers bit for bit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo

import tinygrad_edu as tg
from tinygrad_edu.show.numpy_source import NumpySource, numpy_source

GOLDEN = Path(__file__).parent / "golden" / "source"

_RUNNER = """
import sys
sys.path = [p for p in sys.path if "tinygrad" not in p and p not in ("", {root!r})]
import numpy as np
data = np.load({data!r})
given, found = dict(data), {{}}
def arguments(i):
    return [given[f"{{i}}_{{k}}"][()] for k in range(sum(key.startswith(f"{{i}}_") for key in given))]
"""


def ran(sources: Sequence[NumpySource], inputs: Sequence[Sequence[Any]], tmp_path: Path) -> list[list[Any]]:
    """What the printed functions return, computed by one process that does not have this package."""
    root = str(Path(__file__).parent.parent)
    data, out = tmp_path / "given.npz", tmp_path / "found.npz"
    np.savez(data, **{f"{i}_{k}": x for i, args in enumerate(inputs) for k, x in enumerate(args)})
    text = [_RUNNER.format(root=root, data=str(data))]
    for i, source in enumerate(sources):
        text.append(source.source)
        text.append(f"with np.errstate(all='ignore'):\n    result = {source.name}(*arguments({i}))\n"
                    "result = result if isinstance(result, tuple) else (result,)\n"
                    f"found.update({{f'{i}_{{k}}': x for k, x in enumerate(result)}})\n")
    text.append(f"np.savez({str(out)!r}, **found)\nassert not any(m.startswith('tinygrad') for m in sys.modules)\n")
    program = tmp_path / "program.py"
    program.write_text("\n".join(text), encoding="utf-8")
    run = subprocess.run([sys.executable, "-I", "-W", "error", str(program)], capture_output=True, text=True, check=False,
                         cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    found = dict(np.load(out))
    counts = [sum(key.startswith(f"{i}_") for key in found) for i in range(len(sources))]
    return [[found[f"{i}_{k}"] for k in range(n)] for i, n in enumerate(counts)]


def same_bits(a: Any, b: Any) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    nan = np.isnan(a) & np.isnan(b) if a.dtype.kind == "f" else np.zeros(a.shape, bool)
    return bool(np.where(nan, 0, a).tobytes() == np.where(nan, 0, b).tobytes())


# ---------------------------------------------------------------- every primitive


def weighted(sample: zoo.Sample, dtype: Any) -> tuple[Callable[..., Any], list[Any]]:
    """The sample as a function to one number."""
    operands = sample.cast(dtype)
    weights = zoo.draw("weights", np.shape(sample.call(*sample.values(dtype), operands=operands)), 0.5, 1.5)
    weights = np.asarray(weights, dtype)[()]

    def f(*variables: Any) -> Any:
        return (sample.call(*variables, operands=operands) * weights).sum()

    return f, sample.values(dtype)


def gradients(f: Callable[..., Any], values: Sequence[Any]) -> list[Any]:
    with np.errstate(all="ignore"):
        J, grads = tg.value_and_grad(f, argnums=tuple(range(len(values))))(*values)
    return [J, *grads]


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_every_sample_gives_the_engines_bits(dtype: Any, tmp_path: Path) -> None:
    """Value and gradients of every sample of the zoo, summed with weights."""
    sources, inputs, wanted = [], [], []
    for i, sample in enumerate(zoo.SAMPLES):
        f, values = weighted(sample, dtype)
        if not values:
            continue
        try:
            sources.append(numpy_source(f, *values, name=f"sample_{i}"))
        except Exception as error:
            error.add_note(str(sample))
            raise
        inputs.append(values)
        wanted.append((sample, gradients(f, values)))
    wrong = []
    for (sample, expected), found, source in zip(wanted, ran(sources, inputs, tmp_path), sources, strict=True):
        if len(found) != len(expected) or not all(map(same_bits, found, expected)):
            wrong.append(f"{sample}: {found} for {expected}\n{source}")
    assert not wrong, f"{len(wrong)} of {len(wanted)}\n" + "\n".join(wrong[:5])
