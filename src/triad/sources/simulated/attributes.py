"""What the simulated shop says of its products beside texts, and what a product like each costs.

Prices came first: a product's weight, its hours of work and its guarantee are drawn to fit how dear it turned out, from
a stream of random numbers of their own. So nothing else of the shop moves with them.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
from scipy.special import ndtri

from triad.arrays import Bools
from triad.sources.simulated.catalogue import NOISE, Floats, Ints, Products
from triad.sources.simulated.chance import generator
from triad.sources.simulated.days import numbered
from triad.sources.simulated.taxonomy import LEAVES
from triad.sources.simulated.text import words_of

TELLS = {"weight_g": 0.8, "work_hours": 0.7, "guarantee_months": 0.5}
"""Attribute → its correlation with how dear a product is for its brand and category."""
GIVEN = 0.85
"""How often each is said."""
ABOUT = {"weight_g": (600.0, 0.5), "work_hours": (8.0, 0.4), "guarantee_months": (24.0, 0.3)}
"""Its middle, and the deviation of its logarithm."""


def described(seed: int, goods: Products, shown: Ints) -> tuple[list[str], pa.Table]:
    """(n,) JSON of the attributes of products `shown`, and the truth: item_id, `log_price`, the median of log1p of
    cents given brand, category and what is said, and `column=class` for each class.
    """
    chance = generator(seed, "attributes").random((len(goods.leaf), 2 * len(TELLS)))[shown]
    own, is_given = ndtri(np.clip(chance[:, : len(TELLS)], 1e-9, 1 - 1e-9)), chance[:, len(TELLS) :] < GIVEN
    tells = np.array(list(TELLS.values()))
    signs = tells * goods.surprise[shown, None] + np.sqrt(1 - tells**2) * own
    said = []
    for row, number in enumerate(shown):
        words = words_of(goods, int(number))
        attributes: dict[str, str | int] = {name: words[name] for name in ("kind", "material", "colour")}
        for place, name in enumerate(TELLS):
            middle, deviation = ABOUT[name]
            if is_given[row, place]:
                attributes[name] = int(np.rint(middle * np.exp(deviation * signs[row, place])))
        said.append(json.dumps(attributes))
    truth = {"item_id": numbered("i", shown, 6), "log_price": _median(goods, shown, signs, is_given)}
    return said, pa.table(truth | _classes(goods, shown))


def _classes(goods: Products, shown: Ints) -> dict[str, Floats]:
    """Column and class → 1 where the product is of it. Titles, descriptions and pictures are drawn from these."""
    words = [words_of(goods, int(number)) for number in shown]
    said = {name: [each[name] for each in words] for name in ("brand", "kind", "material", "colour")}
    said["category"] = [LEAVES[leaf].path for leaf in goods.leaf[shown]]
    return {
        f"{column}={value}": np.array([each == value for each in values], np.float64)
        for column, values in said.items()
        for value in sorted(set(values))
    }


def _median(goods: Products, shown: Ints, signs: Floats, is_given: Bools) -> Floats:
    """Each sign is ρ · surprise + √(1 − ρ²) of noise, all normal: what is known of the surprise is too."""
    tells = np.array(list(TELLS.values()))
    weight = is_given * tells / (1 - tells**2)
    surprise = (weight * signs).sum(axis=1) / (1 + (weight * tells).sum(axis=1))
    usual = goods.dearness[shown] - NOISE * goods.surprise[shown]
    middle = np.array([leaf.price for leaf in LEAVES])[goods.leaf[shown]]
    return np.log1p(100 * middle * np.exp(usual + NOISE * surprise))
