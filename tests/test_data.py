"""Mini-batches, splits, standardising, one-hot; files good, damaged and hostile; generated and real sets."""

from __future__ import annotations

import gzip
import io
import math
import re
import struct
import sys
import tracemalloc
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_edu import Tensor, data, optim
from tinygrad_edu.errors import DataError, DTypeError, MissingExtraError, ShapeError

# ---------------------------------------------------------------- mini-batches


def numbered(m: int) -> tuple[np.ndarray, np.ndarray]:
    """Examples that tell their number: row i is (i, i + 0.5), its label i."""
    return np.arange(m)[:, None] + np.array([0.0, 0.5]), np.arange(m)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("rng", [None, 7])
def test_M118_an_epoch_has_every_example_once(axis: int, rng: Any) -> None:
    X, Y = numbered(23)
    batches = data.batches(X if axis == 0 else X.T, Y if axis == 0 else Y[None], 5, rng=rng, axis=axis)
    assert len(batches) == math.ceil(23 / 5) == 5
    orders = []
    for _ in range(3):
        seen = []
        for i, (x, y) in enumerate(batches):
            if axis == 1:
                x, y = x.T, y[0]
            assert x.shape == ((5 if i < 4 else 3), 2)
            assert np.array_equal(x[:, 0], y)
            assert np.array_equal(x[:, 1], y + 0.5)
            seen += y.tolist()
        assert sorted(seen) == list(range(23))
        orders.append(seen)
    if rng is None:
        assert orders == [list(range(23))] * 3
    else:
        assert orders[0] != orders[1] != orders[2] != list(range(23))
        again = data.batches(X, Y, 5, rng=rng)
        assert [[k for _, y in again for k in y.tolist()] for _ in range(3)] == orders


def test_M118_the_last_batch_is_kept_or_dropped() -> None:
    X, Y = numbered(10)
    assert [len(y) for _, y in data.batches(X, Y, 4)] == [4, 4, 2]
    dropped = data.batches(X, Y, 4, drop_last=True)
    assert [len(y) for _, y in dropped] == [4, 4]
    assert len(dropped) == 2
    assert [len(y) for _, y in data.batches(X, Y, 5, drop_last=True)] == [5, 5]
    assert list(data.batches(X, Y, 11, drop_last=True)) == []
    assert len(list(data.batches(X[:0], Y[:0], 4))) == 0


def linear_gradient(x: np.ndarray, y: np.ndarray, beta: np.ndarray) -> Any:
    b = Tensor(beta)
    (0.5 * np.sum((b[0] + b[1] * x - y) ** 2)).backward()
    return b.grad


def test_M117_all_examples_are_the_batch_and_one_is_sgd(rng: np.random.Generator) -> None:
    """With n = N a mini-batch step is the batch step, with n = 1 the stochastic one, in the same order: exactly."""
    x, y = np.arange(1.0, 7.0), np.array([2.0, 3.5, 6.5, 8.0, 9.0, 12.5])
    one, all_at_once = Tensor(np.zeros(2)), Tensor(np.zeros(2))
    for beta, n, order in [(one, 1, None), (all_at_once, 6, None)]:
        optimizer = optim.SGD([beta], lr=0.01)
        for part, target in data.batches(x, y, n, rng=order):
            optimizer.zero_grad()
            (0.5 * np.sum((beta[0] + beta[1] * part - target) ** 2)).backward()
            optimizer.step()
    by_hand = np.zeros(2)
    for a, b in zip(x, y, strict=True):  # stochastic
        r = by_hand[0] + by_hand[1] * a - b
        by_hand = by_hand - 0.01 * np.array([r, r * a])
    assert np.allclose(one.data, by_hand, rtol=1e-14)
    assert np.array_equal(all_at_once.data, -0.01 * linear_gradient(x, y, np.zeros(2)))


def test_M119_the_noise_of_the_mean_gradient_falls_as_1_over_n(rng: np.random.Generator) -> None:
    x = rng.normal(size=400)
    y = 1 + 2 * x + rng.normal(size=400)
    beta = np.array([0.3, -0.2])
    singles = sum(linear_gradient(a, b, beta) for a, b in data.batches(x, y, 1, rng=0))
    np.testing.assert_allclose(singles, linear_gradient(x, y, beta), rtol=1e-12)
    spread = {}
    for n in (1, 4, 16):
        batches = data.batches(x, y, n, rng=1)
        gradients = [linear_gradient(a, b, beta)[1] / n for _ in range(4) for a, b in batches]
        spread[n] = np.var(gradients)
    assert spread[4] == pytest.approx(spread[1] / 4, rel=0.25)
    assert spread[16] == pytest.approx(spread[1] / 16, rel=0.25)


def test_M119_mini_batches_need_less_memory_than_the_whole() -> None:
    X = np.zeros((20_000, 50))

    def peak(size: int) -> int:
        tracemalloc.start()
        for x in data.batches(X, size=size, rng=0):
            (x * 2).sum()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(100) < peak(20_000) / 10


def test_several_targets_and_none() -> None:
    X, Y = numbered(6)
    weights = np.linspace(0, 1, 6)
    for x, y, w in data.batches(X, (Y, weights), 4, rng=0):
        assert np.array_equal(x[:, 0], y)
        assert np.array_equal(w, weights[y])
    (x,) = data.batches(X, size=6)
    assert np.array_equal(x, X)


def test_images_keep_their_axes() -> None:
    images = np.arange(5 * 3 * 4 * 4).reshape(5, 3, 4, 4)
    assert [x.shape for x in data.batches(images, size=2, rng=0)] == [(2, 3, 4, 4), (2, 3, 4, 4), (1, 3, 4, 4)]


def test_a_generator_goes_on_and_can_be_set_back() -> None:
    X, Y = numbered(9)
    batches = data.batches(X, Y, 9, rng=np.random.default_rng(5))
    assert batches.rng is not None
    saved = batches.rng.bit_generator.state
    (_, first), = batches
    (_, second), = batches
    batches.rng.bit_generator.state = saved
    (_, again), = batches
    assert first.tolist() == again.tolist() != second.tolist()
    assert data.batches(X, Y, 9, rng=5, shuffle=False).rng is None
    assert repr(batches) == "1 batches of 9 from 9 examples, shuffled each epoch"


def test_two_loops_at_once_are_two_epochs() -> None:
    X, _ = numbered(6)
    batches = data.batches(X, size=3, rng=0)
    one, two = iter(batches), iter(batches)
    pairs = [(next(one), next(two)) for _ in range(2)]
    assert sorted(np.concatenate([a for a, _ in pairs])[:, 0]) == list(range(6))
    assert sorted(np.concatenate([b for _, b in pairs])[:, 0]) == list(range(6))


def test_global_random_numbers_are_neither_read_nor_changed() -> None:
    before = np.random.get_state()[1].tolist()
    X, Y = data.moons(50)
    data.split(X, Y, rng=0)
    list(data.batches(X, Y, 10, rng=0))
    assert np.random.get_state()[1].tolist() == before
    assert np.array_equal(X, data.moons(50).X)


@pytest.mark.parametrize("call, error, text", [
    (lambda: data.batches(np.ones((4, 2)), np.ones(5)), ShapeError, r"X \(4, 2\) has 4 examples along axis 0, Y \(5,\) has 5"),
    (lambda: data.batches(np.ones((4, 2)), np.ones((1, 4))), ShapeError, r"Give Y.T, so that both have examples in rows"),
    (lambda: data.batches(np.ones((2, 9)), np.ones((1, 9))), ShapeError, r"Are the examples in columns\? Then give axis=1"),
    (lambda: data.batches(np.ones(4), (np.ones(4), np.ones(3))), ShapeError, r"Y\[1\] \(3,\) has 3"),
    (lambda: data.batches(np.ones((4, 2)), size=0), ValueError, "size=0: a batch has at least one"),
    (lambda: data.batches(np.ones(4), size=2.5), TypeError, "float"),
    (lambda: data.batches(np.ones((4, 2)), shuffle=True), TypeError, "shuffle=True needs to be told how: give rng=0"),
    (lambda: data.batches(np.ones((4, 2)), rng="x"), TypeError, "SeedSequence"),
    (lambda: data.batches(np.ones((4, 2)), rng=np.random.RandomState(0)), TypeError, "is no seed and no generator"),
    (lambda: data.batches(Tensor([1.0])), DTypeError, r"X is a Tensor, and examples are constants. Give X.numpy\(\)"),
    (lambda: data.batches(3.0), ShapeError, "X is a single number"),
    (lambda: data.batches(np.ones((4, 2)), axis=2), ValueError, "examples stand in rows, axis=0, or in columns, axis=1"),
    (lambda: data.batches(np.array([{}, {}])), DTypeError, "X holds Python objects"),
])
def test_batches_that_cannot_be_meant(call: Callable[[], Any], error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        call()


# ---------------------------------------------------------------- split

@pytest.mark.parametrize("axis", [0, 1])
def test_M34_split_into_training_validation_and_test(axis: int) -> None:
    X, Y = numbered(103)
    parts = data.split(X if axis == 0 else X.T, Y if axis == 0 else Y[None], (0.7, 0.2, 0.1), rng=0, axis=axis)
    assert [y.size for _, y in parts] == [72, 21, 10]
    for x, y in parts:
        assert np.array_equal(x[:, 0] if axis == 0 else x[0], np.ravel(y))
    everyone = np.concatenate([np.ravel(y) for _, y in parts])
    assert sorted(everyone) == list(range(103))
    assert everyone.tolist() != list(range(103))
    again = data.split(X, Y, (0.7, 0.2, 0.1), rng=0)
    assert all(np.array_equal(np.ravel(a), b) for (_, a), (_, b) in zip(parts, again, strict=True))


def test_split_by_numbers_in_order_and_alone() -> None:
    X, Y = numbered(10)
    (_, a), (_, b) = data.split(X, Y, (7, 3), rng=None)
    assert (a.tolist(), b.tolist()) == (list(range(7)), [7, 8, 9])
    first, second = data.split(X, parts=(0.5, 0.5), rng=1)
    assert sorted([*first[:, 0], *second[:, 0]]) == list(range(10))
    assert [len(part) for part in data.split(X, Y, (0.5, 0.25, 0.25), rng=0)[0]] == [5, 5]


@pytest.mark.parametrize("form", [lambda y: y, lambda y: np.array(["a", "b", "c", "d"])[y], lambda y: np.eye(4)[y]],
                         ids=["numbers", "text", "one-hot"])
def test_stratified_parts_have_the_classes_alike(form: Callable[[Any], Any], rng: np.random.Generator) -> None:
    X = rng.normal(size=(230, 2))
    Y = rng.permutation(np.repeat([0, 1, 2, 3], [100, 100, 20, 10]))
    parts = (0.6, 0.3, 0.1)
    found = data.split(X, (form(Y), Y), parts, rng=3, stratify=True)
    for (x, shown, y), share in zip(found, parts, strict=True):
        assert abs(len(y) - share * 230) < 1
        assert np.array_equal(form(y), shown)
        for k, n in enumerate((100, 100, 20, 10)):
            assert abs((y == k).sum() - share * n) <= 1, (share, k)
        assert (np.diff(y) != 0).any()
        assert {tuple(row) for row in x} <= {tuple(row) for row in X[np.isin(Y, y)]}
    assert sum(len(y) for _, _, y in found) == 230


def test_stratified_columns() -> None:
    X, Y = data.blobs(90, centers=3).columns()
    for _, y in data.split(X, Y, (60, 30), rng=0, stratify=True, axis=1):
        assert len(set(Counter(y[0].tolist()).values())) == 1


@pytest.mark.parametrize("call, error, text", [
    (lambda X, Y: data.split(X, Y, (0.8, 0.1), rng=0), ValueError, r"add up to 0.9. Shares add up to 1"),
    (lambda X, Y: data.split(X, Y, (8, 3), rng=0), ValueError, "add up to 11, and there are 10 examples"),
    (lambda X, Y: data.split(X, Y, (0.99, 0.01), rng=0), ValueError, "10 examples are too few .*: part 1 would be empty"),
    (lambda X, Y: data.split(X, Y, (1.5, -0.5), rng=0), ValueError, "above 0"),
    (lambda X, Y: data.split(X, Y, (), rng=0), ValueError, "above 0"),
    (lambda X, Y: data.split(X, Y, rng=None, stratify=True), TypeError, "stratify=True mixes the examples. Give rng=0"),
    (lambda X, Y: data.split(X, rng=0, stratify=True), TypeError, "stratify=True needs Y"),
    (lambda X, Y: data.split(X, Y, rng=0, stratify=True), ValueError, "class 0 has 1 examples for 2 parts"),
])
def test_splits_that_cannot_be_meant(call: Callable[..., Any], error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        call(*numbered(10))


# ---------------------------------------------------------------- standardise, one-hot, images

@pytest.mark.parametrize("axis", [0, 1])
def test_standardised_features_have_mean_0_and_deviation_1(axis: int, rng: np.random.Generator) -> None:
    X = rng.normal(size=(50, 4)) * [1, 10, 100, 0] + [0, 5, -3, 0.1]
    X, other = (X, X[:7] + 1) if axis == 0 else (X.T, X[:7].T + 1)
    Z, moved = data.standardise(X, other, axis=axis)
    np.testing.assert_allclose(Z.mean(axis=axis), 0, atol=1e-14)
    np.testing.assert_allclose(Z.std(axis=axis), [1, 1, 1, 0], atol=1e-14)
    scale = data.Standardiser(axis).fit(X)
    assert np.array_equal(scale(other), moved)
    np.testing.assert_allclose(scale.inverse(moved), other, rtol=1e-13)
    assert np.array_equal(data.standardise(X, axis=axis), Z)


def test_standardising_images_float32_and_integers(rng: np.random.Generator) -> None:
    X = rng.normal(size=(9, 3, 3)).astype(np.float32)
    scale = data.Standardiser().fit(X)
    assert scale(X).dtype == scale.inverse(X).dtype == np.float32
    assert data.standardise([[1], [3]]).tolist() == [[-1.0], [1.0]]


@pytest.mark.parametrize("call, error, text", [
    (lambda: data.Standardiser()(np.ones((2, 3))), RuntimeError, r"Call fit\(X_train\) first"),
    (lambda: data.standardise(np.eye(3), np.ones((2, 4))), ShapeError, r"X has shape \(2, 4\), .* of shape \(m, 3\)"),
    (lambda: data.standardise(np.array([[1.0, np.nan]])), ValueError, "feature 1 holds nan"),
    (lambda: data.standardise(np.ones((0, 3))), ShapeError, "no examples"),
    (lambda: data.standardise(np.array([["a"]])), DTypeError, "has no mean"),
])
def test_what_cannot_be_standardised(call: Callable[[], Any], error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_one_hot_rows_columns_and_names() -> None:
    expected = np.eye(3)[[2, 0, 1, 2]]
    for labels in ([2, 0, 1, 2], np.array([[2, 0, 1, 2]]), np.array([[2], [0], [1], [2]])):
        assert np.array_equal(data.one_hot(labels), expected)
        assert np.array_equal(data.one_hot(labels, columns=True), expected.T)
    assert data.one_hot([0, 1], 5, dtype=np.float32).shape == (2, 5)
    assert data.one_hot([0, 1], 5, dtype=np.float32).dtype == np.float32
    assert np.array_equal(data.one_hot(["c", "a", "b", "c"]), expected)
    assert np.array_equal(data.one_hot(["c", "a", "b", "c"], classes=["a", "b", "c"]), expected)
    assert np.array_equal(data.one_hot([30, 10, 20, 30], classes=[10, 20, 30]), expected)
    assert np.array_equal(data.one_hot([True, False]), [[0, 1], [1, 0]])
    assert data.class_indices(np.array([["x", "y", "x"]]))[0].tolist() == [0, 1, 0]
    assert data.class_indices(["x", "y"], classes=["y", "z", "x"]) [0].tolist() == [2, 0]


@pytest.mark.parametrize("call, error, text", [
    (lambda: data.one_hot([0, 3], 3), ValueError, "labels run from 0 to 3, and there are 3 classes, 0 to 2"),
    (lambda: data.one_hot([-1, 0]), ValueError, "labels run from -1"),
    (lambda: data.one_hot([0.0, 1.0]), DTypeError, r"Use labels.astype\(int\)"),
    (lambda: data.one_hot(np.eye(3, dtype=int)), ShapeError, r"one label for each example"),
    (lambda: data.one_hot(["a", "b"], classes=["a"]), ValueError, "label 'b' is none of the classes"),
    (lambda: data.one_hot(["a", "b"], classes=3), ValueError, r"2 classes, not 3. Name them: classes="),
    (lambda: data.one_hot(["a"], classes=["a", "a"]), ValueError, "named twice"),
    (lambda: data.class_indices(np.eye(2)), ShapeError, "one label for each example"),
])
def test_labels_that_do_not_fit(call: Callable[[], Any], error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_M35_M36_images_unrolled(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, size=(7, 64, 64, 3))
    X = data.flatten_images(images)
    assert X.shape == (12288, 7)
    assert np.array_equal(X, images.reshape(images.shape[0], -1).T)
    assert np.array_equal(X[:, 3], images[3].ravel())
    assert data.flatten_images(images, columns=False).shape == (7, 12288)


# ---------------------------------------------------------------- .npy and .npz

@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)), np.float32(3),
                                   np.zeros((0, 4)), np.array(["a", "bcd"]), np.arange(4, dtype=">i2"), np.array([True])],
                         ids=["rows", "Fortran", "number", "empty", "text", "big-endian", "bool"])
def test_arrays_are_read_as_numpy_reads_them(array: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", a=array, b=np.eye(2))
    np.savez_compressed(tmp_path / "y.npz", a=array)
    expected = np.load(tmp_path / "x.npy")
    for found in (data.read_npy(tmp_path / "x.npy"), data.read_npz(tmp_path / "x.npz")["a"],
                  data.read_npz(str(tmp_path / "y.npz"))["a"]):
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)
        assert found.flags.writeable or not found.size


def npy_header(text: str, version: bytes = b"\x01\x00") -> bytes:
    body = text.encode() + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H" if version[0] == 1 else "<I", len(body)) + body


def header(shape: Any, descr: str = "'<f8'") -> bytes:
    return npy_header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}")


HOSTILE = [
    (header((1 << 60,)), "more than max_bytes"),
    (header((1 << 20,)), "promises .* 8388608 bytes, and 8 are there"),
    (header((-1,)), r"promises the shape \(-1,\)|is no .npy file"),
    (header((1 << 40, 0, 1 << 40)) , "promises|is no .npy"),
    (header((1 << 62,), "'<U0'"), "holds records|is no .npy"),
    (header((1,) * 65), "promises the shape|is no .npy|and 8 are there"),
    (header((1,), "'|O'"), "holds Python objects"),
    (header((1,), "[('a', '<f8')]"), "holds records"),
    (npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", b"\x03\x00"), "of version"),
    (npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': __import__('os').system('true')}"), "is no .npy file"),
    (npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "(" * 500 + ")}"), "is no .npy file"),
    (npy_header("{" * 40_000), "is no .npy file"),
    (b"\x93NUMPY\x01\x00\xff\xff{", "is no .npy file"),
    (b"", "is no .npy file"),
    (b"PK\x03\x04 something else", "is no .npy file"),
]


@pytest.mark.parametrize("head, text", HOSTILE)
def test_a_hostile_header_is_refused_before_memory_is_taken(head: bytes, text: str, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(head + b"12345678")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", head + b"12345678")
    tracemalloc.start()
    for read, file in ((data.read_npy, "x.npy"), (data.read_npz, "x.npz")):
        with pytest.raises(DataError, match=text):
            read(tmp_path / file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


def test_every_truncation_of_a_file_is_noticed(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(5.0))
    np.savez_compressed(tmp_path / "x.npz", a=np.arange(50.0))
    with gzip.open(tmp_path / "x.gz", "wb") as file:
        file.write(bytes([0, 0, 0x0D, 1, 0, 0, 0, 40]) + np.arange(40, dtype=">f4").tobytes())
    for name, read in (("x.npy", data.read_npy), ("x.npz", data.read_npz), ("x.gz", data.read_idx)):
        whole = (tmp_path / name).read_bytes()
        read(tmp_path / name)
        for length in range(0, len(whole), 3):
            (tmp_path / "cut").write_bytes(whole[:length])
            with pytest.raises(DataError):
                read(tmp_path / "cut")


def test_flipped_bits_in_a_compressed_file_are_noticed(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", a=np.random.default_rng(0).normal(size=40))
    whole = bytearray((tmp_path / "x.npz").read_bytes())
    start = 30 + 5 + 20 + 10
    for at in range(start, start + 200, 7):
        damaged = bytearray(whole)
        damaged[at] ^= 0x40
        (tmp_path / "y.npz").write_bytes(damaged)
        with pytest.raises(DataError):
            data.read_npz(tmp_path / "y.npz")


@pytest.mark.parametrize("shape", [(1 << 40, 0, 1 << 40), (0, 1 << 62, 8)])
def test_a_shape_of_no_numbers_may_not_be_huge(shape: tuple[int, ...], tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(header(shape))
    with pytest.raises(DataError, match="more than max_bytes"):
        data.read_npy(tmp_path / "x.npy")
    (tmp_path / "x").write_bytes(bytes([0, 0, 8, 4]) + b"\xff" * 8 + b"\0" * 4 + b"\xff" * 4)
    with pytest.raises(DataError, match="more than max_bytes"):
        data.read_idx(tmp_path / "x")


def test_files_damaged_at_random_give_an_array_or_a_data_error(tmp_path: Path, rng: np.random.Generator) -> None:
    Image = pytest.importorskip("PIL.Image")
    np.save(tmp_path / "x.npy", np.arange(30.0).reshape(5, 6))
    np.savez(tmp_path / "a.npz", a=np.arange(10.0), b=np.eye(3))
    np.savez_compressed(tmp_path / "b.npz", a=np.arange(10.0), b=np.eye(3))
    (tmp_path / "x.idx").write_bytes(idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4), 8))
    (tmp_path / "x.idx.gz").write_bytes(gzip.compress((tmp_path / "x.idx").read_bytes()))
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3,4\n")
    readers = {"x.npy": data.read_npy, "a.npz": data.read_npz, "b.npz": data.read_npz, "x.idx": data.read_idx,
               "x.idx.gz": data.read_idx, "x.csv": data.read_csv}
    for ending in ("png", "jpg", "bmp", "gif"):
        (tmp_path / ending).mkdir()
        Image.fromarray(rng.integers(0, 256, size=(6, 6, 3)).astype(np.uint8)).save(tmp_path / ending / f"x.{ending}")
        readers[f"{ending}/x.{ending}"] = lambda path: data.read_images(path.parent)
    for name, read in readers.items():
        whole = (tmp_path / name).read_bytes()
        refused = 0
        for _ in range(60):
            damaged = bytearray(whole)
            for at in rng.integers(0, len(whole), size=rng.integers(1, 4)):
                damaged[at] = rng.integers(0, 256)
            (tmp_path / name).write_bytes(damaged)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    read(tmp_path / name)
            except DataError:
                refused += 1
        assert refused or name.endswith("bmp"), name


def test_pickles_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "sprung",)

    np.save(tmp_path / "x.npy", np.array([Trap()]), allow_pickle=True)
    np.savez(tmp_path / "x.npz", a=np.array([Trap()]))
    with pytest.raises(DataError, match="holds Python objects"):
        data.read_npy(tmp_path / "x.npy")
    with pytest.raises(DataError, match="array 'a', holds Python objects"):
        data.read_npz(tmp_path / "x.npz")
    assert not (tmp_path / "sprung").exists()


def test_a_small_file_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "zeros.npz", a=np.zeros(1_000_000), b=np.zeros(1_000_000))
    with pytest.raises(DataError, match=r"unpacks to 0\.016 GB, more than max_bytes=10000000 allows"):
        data.read_npz(tmp_path / "zeros.npz", max_bytes=10_000_000)
    with gzip.open(tmp_path / "zeros.gz", "wb") as file:
        file.write(bytes([0, 0, 8, 1]) + struct.pack(">I", 10_000_000) + bytes(10_000_000))
    with pytest.raises(DataError, match="more than max_bytes=1000000 allows"):
        data.read_idx(tmp_path / "zeros.gz", max_bytes=1_000_000)
    assert data.read_idx(tmp_path / "zeros.gz").size == 10_000_000


def test_a_zip_of_other_things_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DataError, match=r"member 'readme.txt', which is no array"):
        data.read_npz(tmp_path / "x.npz")
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "y.npz", "w") as archive:
        buffer = io.BytesIO()
        np.save(buffer, np.eye(2))
        archive.writestr("a.npy", buffer.getvalue())
        archive.writestr("a.npy", buffer.getvalue())
    with pytest.raises(DataError, match="two arrays called 'a'"):
        data.read_npz(tmp_path / "y.npz")


# ---------------------------------------------------------------- IDX and MNIST

def idx(array: np.ndarray, code: int) -> bytes:
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize("code, dtype", [(0x08, ">u1"), (0x09, ">i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"),
                                         (0x0E, ">f8")])
@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_of_every_type(code: int, dtype: str, packed: bool, tmp_path: Path) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    content = idx(array, code)
    (tmp_path / "x").write_bytes(gzip.compress(content) if packed else content)
    found = data.read_idx(tmp_path / "x")
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(found, array)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("content, text", [
    (bytes([0, 0, 8, 3]) + b"\xff" * 12 + b"1234", "more than max_bytes"),
    (bytes([0, 0, 8, 2, 0, 0, 0x40, 0, 0, 0, 0x40, 0]) + b"1234", "268435456 bytes"),
    (bytes([0, 0, 8, 1, 0, 0, 0, 2]) + b"123", "goes on after|and 3 are there"),
    (bytes([0, 0, 7, 1, 0, 0, 0, 1]) + b"1", "is no IDX file: it starts with the bytes 00 00 07 01"),
    (b"PK\x03\x04", "is no IDX file"),
    (bytes([0, 0, 8, 200]), "promises an array with 200 axes"),
    (bytes([0, 0, 8, 0]), "promises an array with 0 axes"),
    (bytes([0, 0, 8, 3, 0, 0]), "is cut short"),
    (b"", "is cut short"),
])
def test_a_wrong_idx_file_is_refused_before_memory_is_taken(content: bytes, text: str, packed: bool, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(gzip.compress(content) if packed else content)
    tracemalloc.start()
    with pytest.raises(DataError, match=text):
        data.read_idx(tmp_path / "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


def test_mnist_s_four_files(tmp_path: Path, rng: np.random.Generator) -> None:
    images = {"train": rng.integers(0, 256, size=(6, 28, 28)).astype(np.uint8), "t10k": np.full((2, 28, 28), 255, np.uint8)}
    labels = {"train": np.array([5, 0, 4, 1, 9, 2], np.uint8), "t10k": np.array([7, 2], np.uint8)}
    for part in images:
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images[part], 8)))
        (tmp_path / f"{part}-labels.idx1-ubyte").write_bytes(idx(labels[part], 8))
    train, test = data.read_mnist(tmp_path)
    assert np.array_equal(train.X, images["train"].reshape(6, 784) / 255)
    assert train.Y is not None and train.Y.tolist() == [5, 0, 4, 1, 9, 2]
    assert test.images().X.shape == (2, 1, 28, 28)
    assert test.columns().X.shape == (784, 2)
    assert data.read_mnist(tmp_path, dtype=np.float32)[0].X.dtype == np.float32
    (tmp_path / "train-labels.idx1-ubyte").write_bytes(idx(labels["t10k"], 8))
    with pytest.raises(DataError, match="do not belong together"):
        data.read_mnist(tmp_path)
    (tmp_path / "train-labels.idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no file train-labels-idx1-ubyte, plain or as \.gz"):
        data.read_mnist(tmp_path)


# ---------------------------------------------------------------- .csv

def csv_file(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    file = tmp_path / "table.csv"
    file.write_bytes(text.encode(encoding))
    return file


def test_tables(tmp_path: Path) -> None:
    file = csv_file(tmp_path, '"size, m²",rooms,kind\r\n50,2,flat\r\n 120.5 ,5,"house"\r\n\r\n1e2,4,flat\r\n')
    found = data.read_csv(file, target="kind")
    assert found.X.tolist() == [[50, 2], [120.5, 5], [100, 4]]
    assert found.Y is not None and found.Y.tolist() == [0, 1, 0]
    assert (found.features, found.classes) == (("size, m²", "rooms"), ("flat", "house"))
    some = data.read_csv(file, target=1, columns=["size, m²"])
    assert (some.X.shape, some.features) == ((3, 1), ("size, m²",))
    assert some.Y is not None and some.Y.dtype == np.int64
    assert data.read_csv(file, target=0, columns=[1]).Y.tolist() == [50, 120.5, 100]  # type: ignore[union-attr]
    assert found.columns().X.shape == (2, 3)


@pytest.mark.parametrize("text, options", [
    ("1,2\n3,4\n", {}), ("1;2\n3;4", {}), ("1\t2\n3\t4\n", {}), ("a,b\n1,2\n3,4\n", {}), ("\ufeffa,b\n1,2\n3,4\n", {}),
    ("1 2\n3 4\n", {"delimiter": " "}), ("7,8\n1,2\n3,4\n", {"header": True}),
])
def test_tables_of_every_form(text: str, options: dict[str, Any], tmp_path: Path) -> None:
    found = data.read_csv(csv_file(tmp_path, text), **options)
    assert found.X.tolist() == [[1, 2], [3, 4]]
    assert found.Y is None
    assert len(found.features) == 2


def test_missing_cells(tmp_path: Path) -> None:
    file = csv_file(tmp_path, "a,b\n1,\nNA,4\n")
    with pytest.raises(DataError, match=r"read_csv: table.csv, line 2: 'b' is missing \(''\). Give missing="):
        data.read_csv(file)
    assert data.read_csv(file, missing=-1.0).X.tolist() == [[1, -1], [-1, 4]]


@pytest.mark.parametrize("text, options, message", [
    ("a,b\n1,x\n", {}, "line 2: 'b' is 'x', which is no number. Make it the target, or leave it out"),
    ("1,2\n3\n", {}, "line 2 has 1 cells, and the first line has 2. The delimiter is ','"),
    ("a,b\n1,2\n", {"target": "c"}, "no column called 'c'. Its columns are 'a', 'b'"),
    ("a,a\n1,2\n", {"target": "a"}, "several columns called 'a'"),
    ("1,2\n", {"target": 2}, "has 2 columns, and column 2 is asked for"),
    ("a,b\n1,?\n", {"target": "b"}, "the target 'b' is missing"),
    ("1\n2\n", {"target": 0}, "no column for X besides the target"),
    ("", {}, "is empty"),
    ("a,b\n", {}, "a line of names and no numbers"),
    ("1,é\n", {"encoding": "ascii"}, "is no table in ascii"),
    ('"' + "x" * 200_000 + '"\n', {}, "is no table"),
])
def test_tables_that_are_none(text: str, options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        data.read_csv(csv_file(tmp_path, text), **options)


# ---------------------------------------------------------------- images

def test_M37_folders_of_images(tmp_path: Path, rng: np.random.Generator) -> None:
    Image = pytest.importorskip("PIL.Image")
    pixels = rng.integers(0, 256, size=(4, 5, 6, 3)).astype(np.uint8)
    for i, kind in enumerate(["cat", "cat", "dog", "dog"]):
        (tmp_path / kind).mkdir(exist_ok=True)
        Image.fromarray(pixels[i]).save(tmp_path / kind / f"{i}.png")
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / ".hidden").mkdir()
    found = data.read_images(tmp_path)
    assert np.array_equal(found.X, pixels.reshape(4, -1) / 255)
    assert 0 <= found.X.min() <= found.X.max() <= 1
    assert found.Y is not None and found.Y.tolist() == [0, 0, 1, 1]
    assert (found.classes, found.image_shape) == (("cat", "dog"), (5, 6, 3))
    assert np.array_equal(found.columns().X[:, 2], pixels[2].ravel() / 255)
    assert np.array_equal(found.images().X, pixels.transpose(0, 3, 1, 2) / 255)
    assert data.read_images(tmp_path, size=(8, 7), grey=True).X.shape == (4, 56)
    alone = data.read_images(tmp_path / "cat", dtype=np.float32)
    assert alone.Y is None
    assert (alone.X.shape, alone.X.dtype) == ((2, 90), np.float32)


def test_images_of_other_modes(tmp_path: Path) -> None:
    Image = pytest.importorskip("PIL.Image")
    Image.fromarray(np.full((2, 2), 65535, np.uint16)).save(tmp_path / "a.png")
    Image.new("RGBA", (2, 2), (255, 255, 255, 255)).save(tmp_path / "b.png")
    Image.new("P", (2, 2)).save(tmp_path / "c.gif")
    Image.new("1", (2, 2), 1).save(tmp_path / "d.bmp")
    assert data.read_images(tmp_path, grey=True).X.mean(axis=1).tolist() == [1, 1, 0, 1]
    assert data.read_images(tmp_path).X.shape == (4, 12)


def test_folders_that_cannot_be_read(tmp_path: Path) -> None:
    Image = pytest.importorskip("PIL.Image")
    with pytest.raises(FileNotFoundError, match="no folder"):
        data.read_images(tmp_path / "missing")
    with pytest.raises(DataError, match="holds no images"):
        data.read_images(tmp_path)
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    Image.new("L", (5, 4)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"b.png is 4 × 5 pixels, and those before it 4 × 4. Give size=\(height, width\)"):
        data.read_images(tmp_path)
    with pytest.raises(DataError, match=r"a\.png is 4 × 4 pixels, more than max_pixels=10 allows"):
        data.read_images(tmp_path, max_pixels=10)
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.png is no image, or a damaged one"):
        data.read_images(tmp_path)
    (tmp_path / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(DataError, match="is no image"):
        data.read_images(tmp_path)


# ---------------------------------------------------------------- what is not installed

@pytest.mark.parametrize("module, call, text", [
    ("sklearn", data.digits, 'pip install "tinygrad-edu[examples]"'),
    ("PIL", lambda: data.read_images("."), "pip install pillow"),
])
def test_a_missing_package_is_named_with_the_line_that_installs_it(module: str, call: Callable[[], Any], text: str,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=re.escape(text)):
        call()


# ---------------------------------------------------------------- generated and real sets

MADE = [data.moons, data.circles, data.spirals, data.flower, data.xor, data.blobs]


@pytest.mark.parametrize("make", MADE, ids=lambda f: f.__name__)
def test_a_generated_set_is_the_same_for_the_same_seed(make: Any) -> None:
    one, two, other = make(101), make(101, rng=np.random.default_rng(0)), make(101, rng=1)
    assert np.array_equal(one.X, two.X)
    assert not np.array_equal(one.X, other.X)
    assert one.X.shape == (101, 2)
    assert one.Y is not None and one.Y.shape == (101,)
    counts = Counter(one.Y.tolist())
    assert max(counts.values()) - min(counts.values()) <= 1
    assert sorted(counts) == list(range(len(counts)))
    assert (np.diff(one.Y) != 0).sum() > 20  # mixed
    assert one.columns().Y.shape == (1, 101)  # type: ignore[union-attr]
    assert one.name == make.__name__


def test_generated_sets_without_noise_lie_on_their_curves() -> None:
    X, Y = data.moons(60, noise=0)
    centre = np.where(Y == 0, 0.0, 1.0), np.where(Y == 0, 0.0, 0.5)
    np.testing.assert_allclose(np.hypot(X[:, 0] - centre[0], X[:, 1] - centre[1]), 1)
    X, Y = data.circles(60, noise=0, factor=0.3)
    np.testing.assert_allclose(np.hypot(*X.T), np.where(Y == 0, 1, 0.3))
    X, Y = data.spirals(90, noise=0, classes=3, turns=1.5)
    radius, angle = np.hypot(*X.T), np.arctan2(X[:, 1], X[:, 0])
    np.testing.assert_allclose(np.cos(angle), np.cos(2 * np.pi * (1.5 * radius + Y / 3)), atol=1e-9)
    X, Y = data.flower(80, noise=0)
    angle = np.arctan2(X[:, 0], X[:, 1])
    np.testing.assert_allclose(np.hypot(*X.T), 4 * np.abs(np.sin(4 * angle)), atol=1e-9)
    X, Y = data.blobs(12, centers=[(0, 1), (2, 3)], spread=0)
    assert X.tolist() == [[2 * y, 2 * y + 1] for y in Y]
    assert data.blobs(20, centers=4, features=5).X.shape == (20, 5)


def test_no_straight_line_parts_xor() -> None:
    """The best of many lines is right on at most 3 of the 4 corners."""
    X, Y = data.xor()
    angles, offsets = np.meshgrid(np.linspace(0, 2 * np.pi, 181), np.linspace(-2, 2, 81))
    side = np.cos(angles)[..., None] * X[:, 0] + np.sin(angles)[..., None] * X[:, 1] > offsets[..., None]
    assert (side == (Y == 1)).mean(axis=-1).max() == 0.75


@pytest.mark.parametrize("call, text", [
    (lambda: data.moons(1), "m=1 examples are too few for 2 classes"),
    (lambda: data.moons(10, noise=-1), "noise=-1 is a standard deviation"),
    (lambda: data.blobs(10, centers=[1, 2]), r"centers have shape \(2,\)"),
])
def test_generated_sets_that_cannot_be_meant(call: Callable[[], Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()


@pytest.mark.parametrize("load, shape, classes", [
    (data.digits, (1797, 64), 10), (data.breast_cancer, (569, 30), 2), (data.iris, (150, 4), 3), (data.wine, (178, 13), 3),
    (data.diabetes, (442, 10), 0)])
def test_real_sets(load: Callable[[], data.DataSet], shape: tuple[int, int], classes: int) -> None:
    pytest.importorskip("sklearn")
    found = load()
    assert found.X.shape == shape
    assert found.Y is not None and found.Y.shape == shape[:1]
    assert (len(found.classes), len(found.features)) == (classes, shape[1])
    assert np.isfinite(found.X).all()
    if classes:
        assert sorted(set(found.Y.tolist())) == list(range(classes))


def test_digits_are_images_and_iris_is_not() -> None:
    pytest.importorskip("sklearn")
    images = data.digits().images().X
    assert np.array_equal(images[:, 0].reshape(1797, 64), data.digits().X)
    with pytest.raises(ShapeError, match="the examples of iris are no images"):
        data.iris().images()
