"""What the texts are worth that a member writes of products that it did not learn from, beside the best template.

A text is worth its likeness to the shop's own (chrF). One that nobody writes is worth 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from triad.arrays import Floats
from triad.config.evaluate import EvaluateParams
from triad.examples.dataset import Dataset
from triad.fusion.fused import Fused
from triad.members.product_writer import UNIT, known
from triad.statistics.bootstrap import draw, interval, value
from triad.statistics.chrf import chrf
from triad.writing.catalogue import asked
from triad.writing.language import Language
from triad.writing.product import Product
from triad.writing.template import template
from triad.writing.writer import NETWORK, TEMPLATE, Writer, Written

MOST = 200
"""Products of a split that texts are written of, drawn where there are more: a text takes hundredths of a second."""
FACTS = range(6)
"""Of the template; how many it says is chosen on validation."""


def texts(fused: Fused, data: Dataset, params: EvaluateParams) -> dict[str, dict[str, Any]]:
    """Genre → figures of the test products that the shop wrote a text of that genre for; nothing without a writer.

    `products`, `chrf`, `template`, `gain` over it with `low` and `high` (resamples of titles); the shares `fell_back`
    to the template, `unwritten`, and `invented`: of all texts, those that say what no attribute says.
    """
    name = next(iter(fused.writers), None)
    if name is None:
        return {}
    writer: Writer = getattr(fused.members[name], "writer")  # noqa: B009
    parts = {split: _drawn(data, split, params.seed) for split in ("validation", "test")}
    figures = {}
    for genre in ("title", "description"):
        later, judged = ([(product, kin) for product, kin in parts[split] if genre in product.texts] for split in parts)
        if judged:
            figures[genre] = _of(writer, genre, [product for product, _ in later], judged, params)
    return figures


def _drawn(data: Dataset, split: str, seed: int) -> list[tuple[Product, int]]:
    """Products and whose title each has; those whose attributes contradict one another are refused, not written of."""
    rows = data.rows(split, UNIT)
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST, replace=False))
    held = data.units[UNIT]
    told = zip(known(held, rows), np.asarray(held.kin)[rows].tolist(), strict=True)
    return [(product, kin) for (product, against), kin in told if not against]


def _of(
    writer: Writer, genre: str, later: Sequence[Product], judged: list[tuple[Product, int]], params: EvaluateParams
) -> dict[str, Any]:
    products = [product for product, _ in judged]
    count = max(FACTS, key=lambda most: np.sum(_plain(writer.language, later, genre, most)))
    written = [writer.write(asked(product, genre), genre) for product in products]
    worth = np.array([_like(each.text, product, genre) for each, product in zip(written, products, strict=True)])
    rival = _plain(writer.language, products, genre, count)
    cluster = np.unique([kin for _, kin in judged], return_inverse=True)[1]
    sums = draw(int(cluster.max()) + 1, params.bootstrap, params.seed).totals(
        cluster, np.column_stack([worth - rival, np.ones(len(worth))])
    )
    gain = sums[:, 0] / np.maximum(sums[:, 1], 1)
    low, high = interval(gain, params.confidence)
    return {
        "products": len(products),
        "chrf": float(worth.mean()),
        "template": float(rival.mean()),
        "gain": value(gain),
        "low": low,
        "high": high,
        "fell_back": _share(written, TEMPLATE),
        "unwritten": float(np.mean([not each.text for each in written])),
        "by_network": _share(written, NETWORK),
        "invented": float(
            np.mean(
                [
                    bool(writer.language.facts.invented(each.text, asked(product, genre)))
                    for each, product in zip(written, products, strict=True)
                ]
            )
        ),
    }


def _plain(language: Language, products: Sequence[Product], genre: str, most: int) -> Floats:
    """(n,) what a template of `most` facts is worth."""
    said = [template(language, asked(product, genre), genre, most) for product in products]
    return np.array([_like(text, product, genre) for text, product in zip(said, products, strict=True)])


def _like(text: str, product: Product, genre: str) -> float:
    return chrf(text, product.texts[genre])


def _share(written: Sequence[Written], by: str) -> float:
    return float(np.mean([each.by == by for each in written]))


def sentences(figures: Mapping[str, Any]) -> list[str]:
    """The figures for the report's reader."""
    return [
        f"The {genre}s that the shop's own texts taught: of {each['products']:,} products that did not teach them "
        f"they are {each['chrf']:.1f} of 100 like the shop's (chrF), {each['gain']:+.1f} [{each['low']:+.1f}, "
        f"{each['high']:+.1f}] against the best template. {each['fell_back']:.1%} fell back to the template, "
        f"{each['unwritten']:.1%} were left unwritten, and {each['invented']:.1%} say what no attribute says."
        for genre, each in figures.items()
    ]
