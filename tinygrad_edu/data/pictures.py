"""Folders of images as arrays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, MissingExtraError
from .dataset import DataSet

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # those read by Pillow itself, without other programs
_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"}


def read_images(folder: str | os.PathLike[str], size: tuple[int, int] | None = None, grey: bool = False,
                dtype: Any = np.float64, max_pixels: int = 1 << 26) -> DataSet:
    """The images in a folder, one a row, pixels from 0 to 1. Its subfolders, if it has any, are the classes.

    size : (height, width) to which every image is scaled; without it they must be of one size.
    grey : one brightness for each pixel instead of red, green and blue.
    max_pixels : an image with more is refused before it is unpacked.

    X is (m, height · width · channels), unrolled in that order; `.columns()` gives the notes' (n, m), `.images()`
    (m, channels, height, width). Images come in the order of their paths. Needs Pillow.

    Raises DataError for a folder without images, damaged ones, and ones of different sizes.

    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from tinygrad_edu import data
    >>> for kind, colour in (("cat", "black"), ("other", "white")):
    ...     Path("photos", kind).mkdir(parents=True)
    ...     Image.new("RGB", (64, 48), colour).save(f"photos/{kind}/1.png")
    >>> data.read_images("photos", size=(64, 64))
    photos: X (2, 12288) float64, Y (2,) int64, classes cat, other
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("read_images: images are read with Pillow, which is not installed. Install it with "
                                "pip install pillow.") from error
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"read_images: there is no folder {folder}.")
    classes = sorted(d.name for d in folder.iterdir() if d.is_dir() and not d.name.startswith(".") and _images_in(d))
    found = [(path, k) for k, name in enumerate(classes) for path in _images_in(folder / name)] if classes else [
        (path, 0) for path in _images_in(folder)]
    if not found:
        raise DataError(f"read_images: {folder.name} holds no images ({', '.join(sorted(_ENDINGS))}), nor do its subfolders.")
    rows = []
    shape: tuple[int, ...] | None = None
    for path, _ in found:
        where = f"read_images: {path.relative_to(folder)}"
        try:
            with Image.open(path, formats=_FORMATS) as image:
                if image.width * image.height > max_pixels:
                    raise DataError(f"{where} is {image.height} × {image.width} pixels, more than max_pixels={max_pixels} "
                                    "allows.")
                whole = _eight_bits(image) if image.mode.startswith("I") else image
                picture = whole.convert("L" if grey else "RGB")
                if size is not None and picture.size != (size[1], size[0]):
                    picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
                pixels = np.asarray(picture)
        except DataError:
            raise
        except Exception as error:  # a damaged image fails in many ways
            raise DataError(f"{where} is no image, or a damaged one: {error}") from error
        if shape is not None and pixels.shape != shape:
            raise DataError(f"{where} is {pixels.shape[0]} × {pixels.shape[1]} pixels, and those before it {shape[0]} × "
                            f"{shape[1]}. Give size=(height, width), for example size=(64, 64).")
        shape = pixels.shape
        row = pixels.reshape(-1).astype(dtype)
        row /= 255
        rows.append(row)
    Y = np.array([k for _, k in found], dtype=np.int64) if classes else None
    return DataSet(np.stack(rows), Y, (), tuple(classes), shape, folder.name)


def _eight_bits(image: Any) -> Any:
    """An image of 16 bits a pixel, which Pillow would cut off at 255, scaled down."""
    from PIL import Image

    return Image.fromarray(np.clip(np.asarray(image) // 257, 0, 255).astype(np.uint8))


def _images_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in _ENDINGS and p.is_file())
