"""Weights in files, and to and from PyTorch.

A state is what `model.state_dict()` and `optimizer.state_dict()` give: dicts, also nested, of arrays and plain values. Files
are safetensors or .npz, by suffix. Both are read and written here with NumPy alone: nothing in a file is ever executed,
sizes are checked before memory is asked for, and a file is replaced in one step, so that it is never half written.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from .data.files import LIMIT, check_size, read_exactly, read_npz
from .errors import DataError, DTypeError
from .nn.module import Module, as_numbers

_SEPARATOR = "/"
_EXTRAS = "tinygrad_edu"  # what is no array: plain values, lists, empty dicts, as JSON
_PLAIN = (bool, int, float, str, type(None))
_HEADER_LIMIT = 100_000_000  # of the format's own definition

# names of dtypes in safetensors; BF16, which NumPy lacks, is read as float32
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8",
           "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?"}
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}


# ---------------------------------------------------------------- the front doors

def save(path: str | os.PathLike[str], state: Any) -> None:
    """Write a state, or a model's, to a file: `.safetensors` or `.npz`.

    state : a Module, or a dict of arrays and Tensors, also nested, with plain values (numbers, text, None) and lists beside
    them. The file is written under another name and then put in place, so a crash leaves the old one whole.
    Raises DTypeError for what no such file can hold.

    >>> import numpy as np, tinygrad_edu as tg
    >>> from tinygrad_edu import nn
    >>> model = nn.Linear(2, 3, rng=0)
    >>> tg.save("model.safetensors", model)
    >>> tg.save("run.npz", {"model": model.state_dict(), "epoch": 7})
    >>> other = nn.Linear(2, 3, rng=1)
    >>> other.load_state_dict(tg.load("model.safetensors"))
    >>> bool(np.all(other.weight.data == model.weight.data)), tg.load("run.npz")["epoch"]
    (True, 7)
    """
    target = Path(path)
    kind = _suffix(target, "save")
    if isinstance(state, Module):
        state = state.state_dict()
    if not isinstance(state, Mapping):
        raise DTypeError(f"save: the state is {type(state).__name__}. Give a model, or a dict of arrays by name.")
    arrays: dict[str, ndarray] = {}
    extras: dict[str, Any] = {"plain": {}, "lists": [], "empty": []}
    _taken_apart(state, "", arrays, extras, ())
    text = json.dumps({key: value for key, value in extras.items() if value}) if any(extras.values()) else None
    _put_in_place(target, (_safetensors if kind == ".safetensors" else _npz)(arrays, text))


def load(path: str | os.PathLike[str], max_bytes: int = LIMIT) -> dict[str, Any]:
    """Read what `save` wrote, or another .safetensors or .npz file of arrays: a dict, nested where names have a "/".

    Raises DataError for a file that is damaged, cut short, of another kind, or larger than max_bytes. Give the result to
    load_state_dict, which checks names, shapes and dtypes before it changes anything.

    >>> import numpy as np, tinygrad_edu as tg
    >>> tg.save("weights.npz", {"layer": {"W": np.eye(2), "b": np.zeros(2)}})
    >>> tg.load("weights.npz")["layer"]["b"]
    array([0., 0.])
    """
    if not isinstance(max_bytes, int):
        raise TypeError(f"load: max_bytes is a number of bytes, not {type(max_bytes).__name__}. To load into a model: "
                        "model.load_state_dict(tg.load(path)).")
    source = Path(path)
    where = f"load: {source.name}"
    if _suffix(source, "load") == ".safetensors":
        arrays, text = _read_safetensors(source, max_bytes, where)
    else:
        arrays = read_npz(source, max_bytes)
        held = arrays.pop(_EXTRAS, None)
        if held is not None and (held.dtype != np.uint8 or held.ndim != 1):
            raise DataError(f"{where}: {_EXTRAS!r} is of dtype {held.dtype}, and no text.")
        text = None if held is None else held.tobytes().decode("utf-8", "replace")
        for name, array in arrays.items():
            if array.dtype.kind not in "fiub":
                raise DataError(f"{where}: {name} is of dtype {array.dtype}, and no array of real numbers.")
    return _put_together(arrays, _extras_of(text, where), where)


def to_torch_state_dict(model: Module) -> dict[str, ndarray]:
    """The model's state under PyTorch's names, as arrays: for the same layers, torch_model.load_state_dict takes
    {name: torch.from_numpy(array) for name, array in tg.to_torch_state_dict(model).items()}.

    Names and shapes are the same here and there; what PyTorch counts in batch norm, num_batches_tracked, is added.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu import nn
    >>> {name: array.shape for name, array in tg.to_torch_state_dict(nn.Sequential(nn.Linear(3, 2, rng=0))).items()}
    {'0.weight': (2, 3), '0.bias': (2,)}
    """
    state: dict[str, ndarray] = {}
    for name, array in model.state_dict().items():
        head, _, last = name.rpartition(".")
        if last == "num_batches_tracked":
            continue
        state[name] = array
        if last == "running_var":
            key = f"{head}.num_batches_tracked" if head else "num_batches_tracked"
            counted = model.state_dict().get(key, np.zeros(()))
            state[key] = np.asarray(counted, np.int64)
    return state


def from_torch_state_dict(model: Module, state: Mapping[str, Any]) -> None:
    """Take over the weights of a PyTorch model with the same layers: its state_dict(), of tensors or of arrays.

    Everything is checked before anything is changed, as by load_state_dict. float32 widens to a float64 model exactly.

    >>> import numpy as np, tinygrad_edu as tg
    >>> from tinygrad_edu import nn
    >>> model = nn.Sequential(nn.Linear(2, 1), nn.Tanh())
    >>> tg.from_torch_state_dict(model, {"0.weight": np.array([[1, 2]], "float32"), "0.bias": np.zeros(1, "float32")})
    >>> model[0].weight.data
    array([[1., 2.]])
    """
    if not isinstance(state, Mapping):
        raise DTypeError(f"from_torch_state_dict: {type(state).__name__} is no dict. Give torch_model.state_dict().")
    own = model.state_dict()
    arrays: dict[str, ndarray] = {}
    for name, value in state.items():
        counter = str(name).rpartition(".")[2] == "num_batches_tracked"
        if counter and name not in own:
            continue
        if str(getattr(value, "dtype", "")) == "torch.bfloat16":  # which NumPy has no type for
            value = value.float()
        array = as_numbers(str(name), value, "from_torch_state_dict")
        arrays[name] = array.astype(own[name].dtype) if counter else array
    model.load_state_dict(arrays)


# ---------------------------------------------------------------- states, as flat names

def _suffix(path: Path, where: str) -> str:
    suffix = path.suffix.lower()
    if suffix not in (".safetensors", ".npz"):
        raise ValueError(f"{where}: {path.name}: the suffix says what kind of file it is: .safetensors or .npz.")
    return suffix


def _taken_apart(held: Any, path: str, arrays: dict[str, ndarray], extras: dict[str, Any], around: tuple[int, ...]) -> None:
    if id(held) in around:
        raise DTypeError(f"save: {path} holds itself. Give dicts and lists that end.")
    if isinstance(held, Module):
        held = held.state_dict()
    if isinstance(held, (Mapping, list, tuple)):
        if not held and path:
            extras["empty"].append(path)
        if not isinstance(held, Mapping) and path:
            extras["lists"].append(path)
        items = held.items() if isinstance(held, Mapping) else enumerate(held)
        for key, item in items:
            name = str(key) if isinstance(key, int) else key
            if not isinstance(name, str) or not name or _SEPARATOR in name or name in ("__metadata__", _EXTRAS) or "\0" in name:
                raise DTypeError(f"save: {key!r} cannot name an array in a file. Use text without {_SEPARATOR!r}.")
            _taken_apart(item, f"{path}{_SEPARATOR}{name}" if path else name, arrays, extras, (*around, id(held)))
    elif isinstance(held, _PLAIN):
        extras["plain"][path] = held
    elif path in arrays:
        raise DTypeError(f"save: two arrays are called {path}.")
    else:
        array = as_numbers(path, held, "save")
        if array.dtype.newbyteorder("<") not in _NAMES:
            raise DTypeError(f"save: {path} is of dtype {array.dtype}, which the file has no name for. Use float64 or float32.")
        arrays[path] = np.asarray(array, array.dtype.newbyteorder("<"), order="C")


def _extras_of(text: str | None, where: str) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        extras = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: what it says of plain values is damaged: {error}.") from None
    plain = extras.get("plain", {}) if isinstance(extras, dict) else None
    if not isinstance(plain, dict) or not all(isinstance(value, _PLAIN) for value in plain.values()) or not all(
            isinstance(extras.get(key, []), list) and all(isinstance(x, str) for x in extras.get(key, []))
            for key in ("lists", "empty")):
        raise DataError(f"{where}: what it says of plain values is damaged.")
    return extras  # type: ignore[no-any-return]


def _put_together(arrays: Mapping[str, Any], extras: dict[str, Any], where: str) -> dict[str, Any]:
    tree: dict[str, Any] = {}

    def place(path: str, value: Any) -> None:
        *way, last = path.split(_SEPARATOR)
        here = tree
        for step in way:
            here = here.setdefault(step, {})
            if not isinstance(here, dict):
                raise DataError(f"{where}: {path} lies inside {step}, which is an array.")
        if last in here:
            raise DataError(f"{where}: the name {path} is there twice.")
        here[last] = value

    for path in extras.get("empty", []):
        place(path, {})
    for path, value in (*arrays.items(), *extras.get("plain", {}).items()):
        place(path, value)
    for path in sorted(extras.get("lists", []), key=lambda p: -p.count(_SEPARATOR)):
        *way, last = path.split(_SEPARATOR)
        here: Any = tree
        for step in way:
            here = here.get(step) if isinstance(here, dict) else None
        items = here.get(last) if isinstance(here, dict) else None
        if not isinstance(items, dict) or set(items) != {str(i) for i in range(len(items))}:
            raise DataError(f"{where}: {path} should be a list, and is none.")
        here[last] = [items[str(i)] for i in range(len(items))]
    return tree


# ---------------------------------------------------------------- files

def _put_in_place(target: Path, pieces: Iterator[Any]) -> None:
    """Write a file beside the target and move it there: readers see the old one or the new one, whole."""
    beside = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
    try:
        with open(beside, "xb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def _npz(arrays: dict[str, ndarray], text: str | None) -> Iterator[Any]:
    held = io.BytesIO()
    if text is not None:
        arrays = {**arrays, _EXTRAS: np.frombuffer(text.encode(), np.uint8)}
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    yield held.getbuffer()


def _safetensors(arrays: dict[str, ndarray], text: str | None) -> Iterator[Any]:
    """8 bytes with the header's length, the header as JSON, the numbers one after the other."""
    header: dict[str, Any] = {} if text is None else {"__metadata__": {_EXTRAS: text}}
    start = 0
    # the widest first, so that each begins at a multiple of its size
    ordered = sorted(arrays.items(), key=lambda x: -x[1].dtype.itemsize)
    header |= dict.fromkeys(arrays)  # in the order given
    for name, array in ordered:
        header[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [start, start + array.nbytes]}
        start += array.nbytes
    written = json.dumps(header, separators=(",", ":")).encode()
    written += b" " * (-len(written) % 8)
    yield struct.pack("<Q", len(written))
    yield written
    for _, array in ordered:
        yield array.tobytes()


def _read_safetensors(path: Path, max_bytes: int, where: str) -> tuple[dict[str, ndarray], str | None]:
    with open(path, "rb") as file:
        present = os.fstat(file.fileno()).st_size
        if present < 8:
            raise DataError(f"{where} is cut short: {present} bytes are no safetensors file.")
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(_HEADER_LIMIT, present - 8):
            raise DataError(f"{where} is no safetensors file, or cut short: it promises a header of {length} bytes, and "
                            f"{present - 8} are there.")
        header = _header(bytes(read_exactly(file, length, where)), where)
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict):
            raise DataError(f"{where}: its metadata are no names and texts.")
        total = present - 8 - length
        if total > max_bytes:
            raise DataError(f"{where} holds {total / 1e9:.3g} GB, more than max_bytes={max_bytes} allows. Give a larger "
                            "max_bytes if that is right.")
        places = sorted(((name, *_place(name, entry, max_bytes, where)) for name, entry in header.items()), key=lambda x: x[3:])
        arrays: dict[str, ndarray] = {}
        end = 0
        for name, kind, shape, start, stop in places:
            if start != end or stop > total:
                raise DataError(f"{where}: {name} is said to lie at bytes {start} to {stop} of {total}, where it leaves a gap, "
                                "overlaps another, or is cut short.")
            raw = read_exactly(file, stop - start, where)
            if kind == "BF16":
                arrays[name] = (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4").reshape(shape)
            elif kind == "BOOL":
                arrays[name] = np.frombuffer(raw, "u1").reshape(shape) != 0
            else:
                arrays[name] = np.frombuffer(raw, _DTYPES[kind]).reshape(shape)
            end = stop
        if end != total:
            raise DataError(f"{where}: {total - end} bytes at its end belong to no array.")
    text = metadata.get(_EXTRAS)
    return {name: arrays[name] for name in header}, text if isinstance(text, str) else None


def _header(raw: bytes, where: str) -> dict[str, Any]:
    def no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name is there twice")
        return found

    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=no_name_twice)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is no safetensors file: its header is damaged ({error}).") from None
    if not isinstance(header, dict):
        raise DataError(f"{where} is no safetensors file: its header has no names.")
    return header


def _place(name: str, entry: Any, max_bytes: int, where: str) -> tuple[str, tuple[int, ...], int, int]:
    """Dtype, shape, and where the bytes of an array lie, checked against one another."""
    if not isinstance(entry, dict):
        raise DataError(f"{where}: the header says nothing of {name}.")
    kind: Any = entry.get("dtype")
    shape: Any = entry.get("shape")
    offsets: Any = entry.get("data_offsets")
    if not isinstance(kind, str) or (kind not in _DTYPES and kind != "BF16"):
        raise DataError(f"{where}: {name} is of dtype {kind!r}, which NumPy has no type for.")

    def whole(numbers: Any) -> bool:
        return isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)

    if not whole(shape) or len(shape) > 64 or not whole(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise DataError(f"{where}: the header gives {name} the shape {shape!r} at {offsets!r}.")
    check_size(shape, 2 if kind == "BF16" else np.dtype(_DTYPES[kind]).itemsize, offsets[1] - offsets[0], max_bytes,
               f"{where}: {name}")
    return kind, tuple(shape), offsets[0], offsets[1]
