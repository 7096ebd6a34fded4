"""Readers for files of numbers. Sizes are checked before memory is asked for, and nothing in a file is executed."""

from __future__ import annotations

import csv
import gzip
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy import ndarray

from ..errors import DataError
from .dataset import DataSet

LIMIT = 1 << 33  # bytes of numbers in a file, unless more is allowed
_PIECE = 1 << 22


def read_exactly(stream: Any, count: int, where: str) -> bytearray:
    """`count` bytes, asked for little by little: memory grows with what is there, not with what a header promises."""
    held = bytearray()
    try:
        while len(held) < count:
            piece = stream.read(min(_PIECE, count - len(held)))
            if not piece:
                raise DataError(f"{where} is cut short: {count} bytes of numbers are promised, {len(held)} are there.")
            held += piece
    except (EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"{where} is damaged: {error}.") from error
    return held


def check_size(shape: Sequence[int], itemsize: int, present: int | None, max_bytes: int, where: str) -> int:
    """The bytes that an array takes, refused where they are too many or not those in the file."""
    size = math.prod(shape) * itemsize
    if math.prod(max(n, 1) for n in shape) * itemsize > max(max_bytes, 1 << 62):  # with an axis of 0 it takes no memory
        size = max_bytes + 1
    if size > max_bytes:
        raise DataError(f"{where} promises {tuple(shape)} numbers, {size / 1e9:.3g} GB, more than max_bytes={max_bytes} "
                        "allows. Give a larger max_bytes if that is right.")
    if present is not None and present != size:
        raise DataError(f"{where} promises {tuple(shape)} numbers, {size} bytes, and {present} are there.")
    return size


# ---------------------------------------------------------------- .npy and .npz

def read_npy(path: str | os.PathLike[str], max_bytes: int = LIMIT) -> ndarray:
    """The array in a .npy file, as np.save writes it. Raises DataError for damaged files and for Python objects.

    >>> import numpy as np
    >>> from tinygrad_edu import data
    >>> np.save("X.npy", np.arange(6.0).reshape(2, 3))
    >>> data.read_npy("X.npy")
    array([[0., 1., 2.],
           [3., 4., 5.]])
    """
    where = f"read_npy: {Path(path).name}"
    with open(path, "rb") as file:
        return _npy(file, os.fstat(file.fileno()).st_size, max_bytes, where)


def _npy(stream: Any, length: int, max_bytes: int, where: str) -> ndarray:
    """The array in a stream of `length` bytes."""
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
        if read_header is None:
            raise DataError(f"{where} is of version {version}, for arrays with named fields. Save plain arrays of numbers "
                            "instead.")
        shape, columns_first, dtype = read_header(stream)
    except DataError:
        raise
    except Exception as error:  # whatever a header can be wrong in
        raise DataError(f"{where} is no .npy file: {str(error).splitlines()[0] if str(error) else error!r}") from error
    if dtype.hasobject:
        raise DataError(f"{where} holds Python objects, which only running code from the file could restore. Save plain arrays "
                        "of numbers instead.")
    if dtype.names or dtype.subdtype or not dtype.itemsize:
        raise DataError(f"{where} holds records of dtype {dtype}. Save plain arrays of numbers instead.")
    if any(n < 0 for n in shape) or len(shape) > 64:
        raise DataError(f"{where} promises the shape {shape}.")
    size = check_size(shape, dtype.itemsize, length - stream.tell(), max_bytes, where)
    flat = np.frombuffer(read_exactly(stream, size, where), dtype)
    return flat.reshape(shape[::-1]).T if columns_first else flat.reshape(shape)


def read_npz(path: str | os.PathLike[str], max_bytes: int = LIMIT) -> dict[str, ndarray]:
    """The arrays in a .npz file, as np.savez and np.savez_compressed write it, by name.

    max_bytes : for all of them together, so that a small compressed file cannot fill the memory.

    >>> import numpy as np
    >>> from tinygrad_edu import data
    >>> np.savez("set.npz", X=np.eye(2), Y=np.array([0, 1]))
    >>> found = data.read_npz("set.npz")
    >>> list(found), found["Y"]
    (['X', 'Y'], array([0, 1]))
    """
    where = f"read_npz: {Path(path).name}"
    found: dict[str, ndarray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > max_bytes:
                raise DataError(f"{where} unpacks to {total / 1e9:.3g} GB, more than max_bytes={max_bytes} allows. Give a "
                                "larger max_bytes if that is right.")
            for member in members:
                if not member.filename.endswith(".npy"):
                    raise DataError(f"{where} has a member {member.filename!r}, which is no array.")
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise DataError(f"{where}: {member.filename!r} is packed in a way that NumPy does not use.")
                name = member.filename.removesuffix(".npy")
                if name in found:
                    raise DataError(f"{where} has two arrays called {name!r}.")
                with archive.open(member) as stream:
                    found[name] = _npy(stream, member.file_size, max_bytes, f"{where}, array {name!r},")
    except (DataError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except Exception as error:  # a damaged archive fails in many ways
        raise DataError(f"{where} is no .npz file, or a damaged one: {error}") from error
    return found


# ---------------------------------------------------------------- MNIST's IDX

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str], max_bytes: int = LIMIT) -> ndarray:
    """The array in an IDX file, the format of MNIST and its kin, plain or gzipped.

    The header is four bytes (0, 0, the type, the number of axes) and a 32-bit size for each axis, big end first.

    >>> from pathlib import Path
    >>> from tinygrad_edu import data
    >>> written = Path("labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    >>> data.read_idx("labels-idx1-ubyte")
    array([7, 2, 1], dtype=uint8)
    """
    where = f"read_idx: {Path(path).name}"
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if packed:
            with gzip.open(file) as stream:
                return _idx(stream, None, max_bytes, where)
        return _idx(file, os.fstat(file.fileno()).st_size, max_bytes, where)


def _idx(stream: BinaryIO | gzip.GzipFile, length: int | None, max_bytes: int, where: str) -> ndarray:
    head = read_exactly(stream, 4, where)
    if head[:2] != b"\0\0" or head[2] not in _IDX_TYPES:
        raise DataError(f"{where} is no IDX file: it starts with the bytes {bytes(head).hex(' ')}, and not with 00 00 and a "
                        "type.")
    dtype, axes = np.dtype(_IDX_TYPES[head[2]]), head[3]
    if not 1 <= axes <= 8:
        raise DataError(f"{where} promises an array with {axes} axes. There are 1 to 8.")
    shape = struct.unpack(f">{axes}I", read_exactly(stream, 4 * axes, where))
    start = 4 + 4 * axes
    size = check_size(shape, dtype.itemsize, None if length is None else length - start, max_bytes, where)
    flat = np.frombuffer(read_exactly(stream, size, where), dtype)
    try:
        more = stream.read(1)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{where} is damaged: {error}.") from error
    if more:
        raise DataError(f"{where} goes on after the {size} bytes that its header promises.")
    return flat.astype(dtype.newbyteorder("="), copy=False).reshape(shape)


def read_mnist(folder: str | os.PathLike[str], dtype: Any = np.float64) -> tuple[DataSet, DataSet]:
    """The training and the test set in a folder with the four files of MNIST, Fashion-MNIST or KMNIST, plain or gzipped.

    Pixels run from 0 to 1, in `dtype` (float32 takes half of the memory): X (m, 784), Y 0 to 9. Nothing is downloaded.
    """
    folder = Path(folder)
    sets: list[DataSet] = []
    for part in ("train", "t10k"):
        images, labels = read_idx(_mnist_file(folder, part, "images", 3)), read_idx(_mnist_file(folder, part, "labels", 1))
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
            raise DataError(f"read_mnist: {part} has images of shape {images.shape} and labels of shape {labels.shape}, "
                            "which do not belong together.")
        X = images.reshape(len(images), -1).astype(dtype)
        X /= 255
        Y = labels.astype(np.int64)
        classes = tuple(str(k) for k in range(int(Y.max(initial=-1)) + 1))
        sets.append(DataSet(X, Y, (), sets[0].classes if sets else classes, images.shape[1:], f"MNIST {part}"))
    return sets[0], sets[1]


def _mnist_file(folder: Path, part: str, what: str, axes: int) -> Path:
    names = [f"{part}-{what}{dot}idx{axes}-ubyte{end}" for dot in "-." for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"read_mnist: {folder} has no file {names[0]}, plain or as .gz. Put MNIST's four files there.")


# ---------------------------------------------------------------- .csv

_MISSING = {"", "na", "n/a", "nan", "null", "?"}
_WHOLE = re.compile(r"\s*[+-]?\d{1,18}\s*")


def read_csv(path: str | os.PathLike[str], target: str | int | None = None, *, columns: Sequence[str | int] | None = None,
             header: bool | None = None, delimiter: str | None = None, missing: float | None = None,
             encoding: str = "utf-8-sig") -> DataSet:
    """A table of numbers as X (m, n), and one of its columns as Y.

    target : the column of Y, its name or its number (−1 is the last). Text becomes classes 0, 1, ... (sorted; their names
        are in `classes`), whole numbers stay integers, other numbers floats.
    columns : the columns of X, names or numbers; by default all but the target.
    header : whether the first line holds names; by default it does if it has a cell that is no number.
    delimiter : by default the one of , ; tab that is most frequent in the first line.
    missing : the number to put for empty cells and NA; by default they are an error.

    Raises DataError for cells that are no numbers and for lines of another length, naming line and column.

    >>> from pathlib import Path
    >>> from tinygrad_edu import data
    >>> written = Path("flowers.csv").write_text("length,width,kind\\n5.1,3.5,rose\\n4.9,3.0,tulip\\n")
    >>> flowers = data.read_csv("flowers.csv", target="kind")
    >>> flowers.X, flowers.Y, flowers.features, flowers.classes
    (array([[5.1, 3.5],
           [4.9, 3. ]]), array([0, 1]), ('length', 'width'), ('rose', 'tulip'))
    """
    where = f"read_csv: {Path(path).name}"
    try:
        with open(path, encoding=encoding, newline="") as file:
            if delimiter is None:
                first = file.readline()
                delimiter = max(",;\t", key=first.count)
                file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
            lines = [(reader.line_num, row) for row in reader if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{where} is no table in {encoding}: {error}.") from error
    if not lines:
        raise DataError(f"{where} is empty.")
    width = len(lines[0][1])
    for number, row in lines:
        if len(row) != width:
            raise DataError(f"{where}, line {number} has {len(row)} cells, and the first line has {width}. The delimiter is "
                            f"{delimiter!r}; another one is given by delimiter=.")
    names = [f"column {i}" for i in range(width)]
    if header or (header is None and not all(_is_number(cell) for cell in lines[0][1])):
        names = [name.strip() for name in lines[0][1]]
        del lines[0]
        if not lines:
            raise DataError(f"{where} has a line of names and no numbers.")
    place = None if target is None else _column(target, names, where)
    chosen = [_column(c, names, where) for c in columns] if columns is not None else [i for i in range(width) if i != place]
    if not chosen:
        raise DataError(f"{where} has no column for X besides the target.")
    X = _numbers(lines, chosen, names, missing, where)
    Y, classes = (None, ()) if place is None else _target(lines, place, names, where)
    return DataSet(X, Y, tuple(names[i] for i in chosen), classes, name=Path(path).name)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.strip().lower() in _MISSING
    return True


def _column(which: str | int, names: list[str], where: str) -> int:
    if isinstance(which, str):
        if names.count(which) != 1:
            text = "no column" if which not in names else "several columns"
            raise DataError(f"{where} has {text} called {which!r}. Its columns are {', '.join(map(repr, names[:20]))}.")
        return names.index(which)
    if not -len(names) <= which < len(names):
        raise DataError(f"{where} has {len(names)} columns, and column {which} is asked for.")
    return which % len(names)


def _numbers(lines: list[tuple[int, list[str]]], chosen: list[int], names: list[str], missing: float | None,
             where: str) -> ndarray:
    cells = [[row[i] for i in chosen] for _, row in lines]
    try:
        X = np.array(cells, dtype=np.float64)
        if np.isfinite(X).all():
            return X
    except ValueError:
        pass
    X = np.empty((len(cells), len(chosen)))
    for (number, _), row, out in zip(lines, cells, X, strict=True):
        for j, cell in enumerate(row):
            if cell.strip().lower() in _MISSING:
                if missing is None:
                    raise DataError(f"{where}, line {number}: {names[chosen[j]]!r} is missing ({cell!r}). Give missing=, for "
                                    "example missing=0.0 or missing=np.nan.")
                out[j] = missing
                continue
            try:
                out[j] = float(cell)
            except ValueError:
                raise DataError(f"{where}, line {number}: {names[chosen[j]]!r} is {cell!r}, which is no number. Make it the "
                                "target, or leave it out with columns=[...].") from None
    return X


def _target(lines: list[tuple[int, list[str]]], place: int, names: list[str], where: str) -> tuple[ndarray, tuple[str, ...]]:
    cells = [row[place].strip() for _, row in lines]
    for (number, _), cell in zip(lines, cells, strict=True):
        if cell.lower() in _MISSING:
            raise DataError(f"{where}, line {number}: the target {names[place]!r} is missing ({cell!r}). Leave such lines out.")
    if all(_WHOLE.fullmatch(cell) for cell in cells):
        return np.array([int(cell) for cell in cells], dtype=np.int64), ()
    try:
        return np.array([float(cell) for cell in cells]), ()
    except ValueError:
        classes, index = np.unique(np.array(cells), return_inverse=True)
        return index.reshape(-1).astype(np.int64), tuple(str(c) for c in classes)
