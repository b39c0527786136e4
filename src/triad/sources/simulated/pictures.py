"""Products' pictures, drawn from what they are: a pattern by category, in the product's colour, on a pale ground.

A picture is so small that the table holds it itself, as a data URI; some products have none.
"""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from triad.sources.simulated.catalogue import Ints, Products
from triad.sources.simulated.chance import generator
from triad.sources.simulated.taxonomy import COLOURS, LEAVES

SIDE = 32
MISSING = 0.08
"""Share of products without a picture."""
_PAINT = {
    "sand": (214, 190, 150),
    "forest green": (34, 82, 48),
    "navy": (24, 34, 84),
    "black": (22, 22, 24),
    "off-white": (238, 234, 222),
    "rust": (170, 76, 38),
    "sage": (150, 168, 138),
    "grey": (128, 130, 132),
    "berry": (140, 30, 78),
    "sky blue": (128, 186, 226),
}
_CELLS = 8
"""A category has a pattern of CELLS × CELLS, alike left and right, of which a product differs a little."""
_FLIPPED = 0.06


def pictures(seed: int, goods: Products, shown: Ints) -> list[str | None]:
    """The data URI of each of the products `shown`, whose order and number change no other's picture."""
    half = generator(seed, "pictures").random((len(LEAVES), _CELLS, _CELLS // 2)) < 0.5
    patterns = np.concatenate([half, half[:, :, ::-1]], axis=2)
    return [_drawn(np.random.default_rng([seed, int(number)]), patterns, goods, int(number)) for number in shown]


def _drawn(random: np.random.Generator, patterns: np.ndarray, goods: Products, number: int) -> str | None:
    if random.random() < MISSING:
        return None
    pattern = patterns[goods.leaf[number]] ^ (random.random((_CELLS, _CELLS)) < _FLIPPED)
    paint = np.array(_PAINT[COLOURS[goods.words[number, 2] % len(COLOURS)]])
    shade = np.clip(paint + random.normal(0, 10, 3), 0, 255)
    ground = random.integers(246, 256)
    cells = np.where(pattern[..., None], shade, ground).astype(np.uint8)
    held = io.BytesIO()
    Image.fromarray(cells.repeat(SIDE // _CELLS, axis=0).repeat(SIDE // _CELLS, axis=1)).quantize(2).save(held, "PNG")
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode("ascii")
