"""A file's bytes as a picture, or why it is none. What a shop's folder holds is not to be trusted."""

from __future__ import annotations

import io
import struct
import warnings
from enum import StrEnum

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from triad.arrays import Ints

LARGEST = 64 << 20
"""Bytes of a file, at most."""
MOST_PIXELS = 50_000_000
SMALLEST = 8
"""Pixels of a side: below, there is nothing to see."""
_ROWS = 64
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


class Fault(StrEnum):
    """Why a product has no picture. All are answers, none ends a night."""

    MISSING = "there is no file"
    NO_PICTURE = "the file is no picture, or is damaged"
    SMALL = f"a side is shorter than {SMALLEST} pixels"
    HUGE = f"larger than {MOST_PIXELS // 1_000_000} million pixels or {LARGEST >> 20} MiB"


def decode(content: bytes, size: int) -> Ints | Fault:
    """(size, size, 3) uint8 in RGB, stretched; of an animation its first picture; what is transparent is white.

    CMYK, grey, palettes and 16 bit become RGB. A camera's rotation is undone.
    """
    if len(content) > LARGEST:
        return Fault.HUGE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MOST_PIXELS is the limit here
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                return _read(image, size)
    except Image.DecompressionBombError:
        return Fault.HUGE
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, struct.error, TypeError, IndexError):
        return Fault.NO_PICTURE  # each is raised by one of Pillow's readers on damaged files


def _eight_bit(values: Ints) -> Ints:
    """(height, width) of any depth as uint8. Some rows at a time: as floats, a large picture takes a gigabyte."""
    made, most = np.empty(values.shape, np.uint8), float(np.max(values, initial=1, where=np.isfinite(values)))
    for start in range(0, len(values), _ROWS):
        rows = np.nan_to_num(values[start : start + _ROWS].astype(np.float64))  # floats may be none
        made[start : start + _ROWS] = (np.clip(rows / most, 0, 1) * 255).astype(np.uint8)
    return made


def _read(image: Image.Image, size: int) -> Ints | Fault:
    if image.width * image.height > MOST_PIXELS:  # known before a pixel is read
        return Fault.HUGE
    if min(image.size) < SMALLEST:
        return Fault.SMALL
    image.draft("RGB", (2 * size, 2 * size))  # a large JPEG is read at a fraction of its size
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(_eight_bit(np.asarray(image)))
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC), np.uint8)
