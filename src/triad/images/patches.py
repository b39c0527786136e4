"""A picture in patches: copies of it in which some are painted over, to ask what each of them carries.

A patch is painted in the colour of the picture's ground, so that what lay there seems not to be there. A grey or black
patch would be a thing of its own.

Example:
    >>> import numpy as np
    >>> white = np.full((8, 8, 3), 255, np.uint8)
    >>> white[2:4, 2:4] = 0
    >>> painted(white, np.eye(GRID**2, dtype=bool)[[5]])[0, 2, 2].tolist()
    [0, 0, 0]
    >>> painted(white, np.eye(GRID**2, dtype=bool)[[0]])[0, 2, 2].tolist()
    [255, 255, 255]
"""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from triad.arrays import Bools, Ints

GRID = 4
"""Patches a side."""


def painted(picture: Ints, there: Bools) -> Ints:
    """(n, size, size, 3) uint8 copies of a picture (size, size, 3), of which only the patches `there` are left.

    Args:
        there: (n, GRID²) patches row by row, from the top left. `size` is a multiple of GRID.
    """
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    ground, side = np.median(edge, axis=0).astype(np.uint8), len(picture) // GRID
    kept = there.reshape(-1, GRID, GRID).repeat(side, axis=1).repeat(side, axis=2)
    return np.where(kept[..., None], picture, ground)


def as_data(picture: Ints) -> str:
    """A picture (size, size, 3) as a table holds it, with every pixel as it is."""
    held = io.BytesIO()
    Image.fromarray(picture).save(held, "BMP")
    return f"data:image/bmp;base64,{base64.b64encode(held.getvalue()).decode()}"
