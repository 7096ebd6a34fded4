"""Weights in files: they come back as they were, damaged and hostile files are refused, and a model stays as it was."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor, nn, optim
from tinygrad_edu.errors import DataError, DTypeError, NamesError, ShapeError

SUFFIXES = [".safetensors", ".npz"]


def network(rng: int = 0) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3, rng=rng), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 3, rng=rng + 1))


def same(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return isinstance(right, dict) and list(left) == list(right) and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, np.ndarray):
        return (isinstance(right, np.ndarray) and left.dtype == right.dtype and left.shape == right.shape
                and left.tobytes() == right.tobytes())
    return type(left) is type(right) and bool(left == right)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_model_goes_round(suffix: str, tmp_path: Path) -> None:
    model, other = network(), network(5)
    model(np.random.default_rng(0).normal(size=(4, 1, 8, 8)))
    tg.save(tmp_path / f"model{suffix}", model)
    other.load_state_dict(tg.load(tmp_path / f"model{suffix}"))
    x = np.random.default_rng(1).normal(size=(2, 1, 8, 8))
    assert np.array_equal(model.eval()(x).data, other.eval()(x).data)
    assert os.listdir(tmp_path) == [f"model{suffix}"], "nothing else is left behind"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_states_go_round(suffix: str, tmp_path: Path) -> None:
    state = {
        "model": {"0.weight": np.arange(6.0).reshape(2, 3), "0.bias": np.float32([1, np.nan, np.inf])},
        "order": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "scalar": np.array(3.5), "empty": np.zeros((0, 3)),
        "kinds": {np.dtype(d).name: np.array([0, 1, 1], d) for d in (
            "f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?")},
        "epoch": 7, "rate": 0.1, "name": "Änderung \"x\" <b>", "none": None, "yes": True, "big": 2 ** 100, "nan": float("inf"),
        "history": [1.0, {"loss": [0.5, 0.25]}, np.array([1.0])], "nothing": {}, "no list": [],
    }
    path = tmp_path / f"run{suffix}"
    tg.save(path, state)
    found = tg.load(path)
    assert set(found) == set(state) and all(same({k: state[k]}, {k: found[k]}) for k in state if k not in ("kinds", "model"))
    assert all(same(array, found["kinds"][k]) for k, array in state["kinds"].items())  # type: ignore[attr-defined]
    assert all(same(array, found["model"][k]) for k, array in state["model"].items())  # type: ignore[attr-defined]
    found["order"][0, 0] = 1  # what was read can be written to


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_tensors_bytes_and_strides(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix.upper()}"
    tg.save(path, {"t": Tensor([1.0, 2.0]), "big-endian": np.arange(3.0).astype(">f8"), "strided": np.arange(10.0)[::3]})
    found = tg.load(path)
    assert {name: array.tolist() for name, array in found.items()} == {
        "t": [1, 2], "big-endian": [0, 1, 2], "strided": [0, 3, 6, 9]}
    tg.save(path, {})
    assert tg.load(path) == {}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_optimiser_is_resumed_exactly(suffix: str, tmp_path: Path) -> None:
    def step(model: nn.Module, optimizer: Any) -> None:
        optimizer.zero_grad()
        (model(np.ones((2, 3))) ** 2).sum().backward()
        optimizer.step()

    model = nn.Linear(3, 2, rng=0)
    optimizer = optim.Adam(model, lr=0.1)
    step(model, optimizer)
    tg.save(tmp_path / f"run{suffix}", {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 1})
    step(model, optimizer)
    found = tg.load(tmp_path / f"run{suffix}")
    again = nn.Linear(3, 2, rng=9)
    again.load_state_dict(found["model"])
    resumed = optim.Adam(again, lr=0.1)
    resumed.load_state_dict(found["optimizer"])
    step(again, resumed)
    assert np.array_equal(model.weight.data, again.weight.data) and found["epoch"] == 1


@pytest.mark.parametrize(("state", "text"), [
    (3.0, "Give a model, or a dict"), ({"a/b": np.ones(1)}, "cannot name an array"), ({"": np.ones(1)}, "cannot name"),
    ({"__metadata__": np.ones(1)}, "cannot name"), ({2.5: np.ones(1)}, "cannot name"),
    ({"o": np.array([object()])}, "o is ndarray of dtype object"), ({"c": np.ones(1, complex)}, "dtype complex128"),
    ({"s": np.array(["x"])}, "no array of real numbers"), ({"f": lambda: 1}, "f is function"),
    ({"long": np.ones(1, np.longdouble)}, "long is of dtype"), ({1: np.ones(1), "1": np.ones(1)}, "two arrays are called 1")])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_cannot_be_saved(state: Any, text: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    tg.save(path, {"w": np.ones(2)})
    if isinstance(state, dict) and "long" in state and np.dtype(np.longdouble) == np.dtype(np.float64):
        pytest.skip("long double is double here")
    with pytest.raises(DTypeError, match=text):
        tg.save(path, state)
    assert tg.load(path)["w"].tolist() == [1, 1] and os.listdir(tmp_path) == [path.name], "the old file is whole"


def test_a_state_that_holds_itself_and_wrong_suffixes(tmp_path: Path) -> None:
    state: dict[str, Any] = {}
    state["inner"] = {"again": state}
    with pytest.raises(DTypeError, match="holds itself"):
        tg.save(tmp_path / "w.npz", state)
    for name in ("w", "w.pt", "w.npy"):
        with pytest.raises(ValueError, match=r"the suffix says what kind of file it is: .safetensors or .npz"):
            tg.save(tmp_path / name, {"w": np.ones(1)})
        with pytest.raises(ValueError, match="the suffix says"):
            tg.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        tg.load(tmp_path / "none.npz")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_crash_leaves_the_old_file(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"w{suffix}"
    tg.save(path, {"w": np.ones(2)})

    def full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        tg.save(path, {"w": np.zeros(2)})
    assert tg.load(path)["w"].tolist() == [1, 1] and os.listdir(tmp_path) == [path.name]


# ---------------------------------------------------------------- damaged and hostile files

@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_anywhere_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    tg.save(path, {"a": np.arange(5.0), "b": {"c": np.arange(3)}, "n": 1})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError):
            tg.load(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_byte_changed_anywhere_gives_numbers_or_an_error_of_ours(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    tg.save(path, {"a": np.arange(5.0), "b": {"c": np.arange(3)}, "n": 1, "l": [1, 2]})
    whole = path.read_bytes()
    refused = 0
    for i in range(len(whole)):
        for change in (0x01, 0x80, 0xFF):
            path.write_bytes(whole[:i] + bytes([whole[i] ^ change]) + whole[i + 1 :])
            try:
                assert isinstance(tg.load(path), dict)
            except DataError:
                refused += 1
    assert refused > len(whole)


def header(entries: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape: Any = (2,), offsets: Any = (0, 16), dtype: Any = "F64") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape) if isinstance(shape, tuple) else shape,
            "data_offsets": list(offsets) if isinstance(offsets, tuple) else offsets}


@pytest.mark.parametrize(("raw", "text"), [
    (b"", "is cut short"), (b"\x80\x04K\x01.", "is cut short"), (struct.pack("<Q", 2 ** 63) + b"{}", "promises a header of"),
    (header({}, length=10 ** 6), "promises a header of"), (header(b"[1, 2]"), "has no names"), (header(b"{\xff"), "damaged"),
    (header(b"[" * 100_000), "damaged"), (header(b'{"a": ' + b"9" * 5000 + b"}"), "damaged|says nothing"),
    (header(b'{"a": {}, "a": {}}'), "a name is there twice"), (header({"a": 1}), "says nothing of a"),
    (header({"a": entry(dtype="F128")}, bytes(16)), "dtype 'F128'"), (header({"a": entry(dtype=["F64"])}), "dtype"),
    (header({"a": entry((-2,))}, bytes(16)), "shape"), (header({"a": entry((2.0,))}, bytes(16)), "shape"),
    (header({"a": entry((True, 2))}, bytes(16)), "shape"), (header({"a": entry((1,) * 65, (0, 8))}, bytes(8)), "shape"),
    (header({"a": entry((2 ** 62, 2 ** 62))}, bytes(16)), "promises"), (header({"a": entry((0, 2 ** 63), (0, 0))}), "promises"),
    (header({"a": entry((3,))}, bytes(16)), "promises"), (header({"a": entry((2,), (16, 0))}, bytes(16)), "shape"),
    (header({"a": entry((2,), (0, 16, 32))}, bytes(16)), "shape"), (header({"a": entry((2,), (8, 24))}, bytes(24)), "gap"),
    (header({"a": entry(), "b": entry()}, bytes(16)), "overlaps"), (header({"a": entry()}, bytes(15)), "cut short"),
    (header({"a": entry()}, bytes(17)), "1 bytes at its end belong to no array"), (header({"__metadata__": 3}), "metadata"),
    (header({"a": entry(), "a/b": entry((2,), (16, 32))}, bytes(32)), "lies inside a, which is an array"),
    (header({"__metadata__": {"tinygrad_edu": "{"}}), "plain values is damaged"),
    (header({"__metadata__": {"tinygrad_edu": '{"plain": {"a": [1]}}'}}), "plain values is damaged"),
    (header({"__metadata__": {"tinygrad_edu": '{"lists": ["a"]}'}}), "should be a list"),
    (header({"__metadata__": {"tinygrad_edu": '{"plain": {"a": 1}}'}, "a": entry()}, bytes(16)), "the name a is there twice"),
])
def test_hostile_safetensors(raw: bytes, text: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=text):
        tg.load(path)


def test_hostile_npz(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, a=np.array([{"x": 1}], object))
    with pytest.raises(DataError, match="Python objects"):
        tg.load(path)
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(DataError):
        tg.load(path)
    np.savez(path, a=np.array(["text"]))
    with pytest.raises(DataError, match="no array of real numbers"):
        tg.load(path)
    np.savez(path, tinygrad_edu=np.ones(3))
    with pytest.raises(DataError, match="and no text"):
        tg.load(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as member:
        np.lib.format.write_array(member, np.zeros(10 ** 6), allow_pickle=False)
    with pytest.raises(DataError, match="max_bytes"):
        tg.load(path, max_bytes=10 ** 6)
    tg.save(tmp_path / "w.safetensors", {"a": np.zeros(1000)})
    with pytest.raises(DataError, match="max_bytes"):
        tg.load(tmp_path / "w.safetensors", max_bytes=100)


def test_files_of_others(tmp_path: Path) -> None:
    """What other programs write: no metadata, any order, BF16; compressed archives."""
    path = tmp_path / "w.safetensors"
    path.write_bytes(header({"b": entry((2,), (8, 12), "BF16"), "__metadata__": {"format": "pt"}, "a": entry((1,), (0, 8))},
                            np.array([2.5]).tobytes() + np.array([1.5, -2.0], "<f4").view("<u2")[1::2].tobytes()))
    found = tg.load(path)
    assert list(found) == ["b", "a"] and found["a"].tolist() == [2.5] and found["b"].tolist() == [1.5, -2.0]
    assert found["b"].dtype == np.float32
    path.write_bytes(header({"t": entry((2,), (0, 2), "BOOL")}, b"\x02\x00"))
    assert tg.load(path)["t"].tolist() == [True, False]
    np.savez_compressed(tmp_path / "w.npz", W=np.eye(2))
    assert tg.load(tmp_path / "w.npz")["W"].tolist() == [[1, 0], [0, 1]]


def test_safetensors_as_the_format_is_defined(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    tg.save(path, {"bytes": np.ones(3, "u1"), "wide": np.arange(4.0), "deep": {"half": np.ones(2, "f2")}})
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    said = json.loads(raw[8 : 8 + length])
    assert length % 8 == 0 and said == {"wide": entry((4,), (0, 32)), "deep/half": entry((2,), (32, 36), "F16"),
                                        "bytes": entry((3,), (36, 39), "U8")}
    assert len(raw) == 8 + length + 39
    safetensors = pytest.importorskip("safetensors.numpy", reason="the reference implementation reads what is written here")
    assert safetensors.load_file(path)["wide"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("change", "error"), [
    (lambda s: {**s, "3.bias": s["3.bias"][:2]}, ShapeError), (lambda s: {**s, "3.bias": s["3.bias"] > 0}, DTypeError),
    (lambda s: {k: v for k, v in s.items() if k != "1.running_var"}, NamesError), (lambda s: {"model": s}, NamesError)])
def test_a_file_that_does_not_fit_leaves_the_model(change: Callable[..., Any], error: type, tmp_path: Path) -> None:
    model = network()
    before = model.state_dict()
    tg.save(tmp_path / "w.npz", change({name: array + 1 for name, array in before.items()}))
    with pytest.raises(error):
        model.load_state_dict(tg.load(tmp_path / "w.npz"))
    assert same(before, model.state_dict())


# ---------------------------------------------------------------- PyTorch

class Foreign:
    """What a tensor of PyTorch has that is needed to read it."""

    def __init__(self, array: Any, dtype: str = "torch.float32") -> None:
        self.array, self.dtype = array, dtype

    def detach(self) -> Foreign:
        return self

    def cpu(self) -> Foreign:
        return self

    def float(self) -> Foreign:
        return Foreign(self.array.astype("float32"))

    def numpy(self) -> Any:
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array


def test_torch_names_and_counters() -> None:
    model = network()
    state = tg.to_torch_state_dict(model)
    assert list(state) == ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var",
                           "1.num_batches_tracked", "3.weight", "3.bias"]
    assert state["1.num_batches_tracked"].dtype == np.int64 and state["1.num_batches_tracked"].shape == ()
    other = network(7)
    tg.from_torch_state_dict(other, {name: Foreign(array.astype("float32") if array.dtype.kind == "f" else array)
                                     for name, array in state.items()})
    assert np.array_equal(other[0].weight.data, model[0].weight.data.astype("float32"))
    counting = nn.BatchNorm1d(2, momentum=None)
    counting(np.random.default_rng(0).normal(size=(4, 2)))
    said = tg.to_torch_state_dict(counting)
    assert said["num_batches_tracked"] == 1 and said["num_batches_tracked"].dtype == np.int64
    fresh = nn.BatchNorm1d(2, momentum=None)
    tg.from_torch_state_dict(fresh, said)
    assert fresh.num_batches_tracked == 1 and np.array_equal(fresh.running_var, counting.running_var)


def test_torch_states_are_checked() -> None:
    model = nn.Linear(2, 1, rng=0)
    before = model.state_dict()
    with pytest.raises(NamesError):
        tg.from_torch_state_dict(model, {"weight": Foreign(np.ones((1, 2), "f4"))})
    with pytest.raises(DTypeError, match="is no dict"):
        tg.from_torch_state_dict(model, Foreign(1))  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match=r"is no array of real numbers|of dtype"):
        tg.from_torch_state_dict(model, {"weight": "x", "bias": np.ones(1)})
    assert same(before, model.state_dict())
    tg.from_torch_state_dict(model, {"weight": Foreign(np.ones((1, 2)), "torch.bfloat16"), "bias": np.ones(1)})
    assert model.weight.data.tolist() == [[1, 1]]
