"""What would change the price of a product: its figure were something else said of it, or nothing.

One fact is changed at a time: left unsaid, another brand of the same category, or a number half or twice as large. The
interval goes with the figure, so that a small change shows to be one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from triad.examples.products import COLUMNS, attributes_of
from triad.serving.night import Night
from triad.tracking.pricing import prices_of

PRODUCTS, CHANGES = 3, 8
"""Of an answer, that are looked at; and of a product, that are told."""
BRANDS, ATTRIBUTES = 3, 12
"""Other brands and attributes that are tried."""
SAID = ("title", "description", "category", "brand")


@dataclass(frozen=True)
class Otherwise:
    """A change, in words, and the price_cents, low_cents and high_cents after it."""

    words: str
    cents: dict[str, int]


def of_price(night: Night, product: Mapping[str, str]) -> list[Otherwise]:
    """The changes that move the price most, largest first.

    Args:
        product: item_id and `COLUMNS`, "" where nothing is said.
    """
    cases = list(_cases(night, product))
    if not cases:
        return []
    rows = [dict(product), *(other for _, other in cases)]
    asked = {name: [row[name] for row in rows] for name in ("item_id", *COLUMNS)}
    cents = prices_of(night.model.state, night.model.fused, asked)
    price = np.maximum(cents["price_cents"], 1)
    moved = np.abs(np.log(price / price[0]))
    order = [at for at in np.argsort(-moved, kind="stable").tolist() if moved[at]][:CHANGES]
    return [Otherwise(cases[at - 1][0], {name: int(each[at]) for name, each in cents.items()}) for at in order]


def _cases(night: Night, product: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    for name in SAID:
        if product[name]:
            yield f"nothing were said of its {name}", {**product, name: ""}
    for brand in _brands(night, product):
        yield f"its brand were {brand}", {**product, "brand": brand}
    (attributes,) = attributes_of({"item_id": [""], "attributes": [product["attributes"]], "brand": [""]})
    known = dict(attributes.known)
    for name, value in list(known.items())[:ATTRIBUTES]:
        rest = {other: each for other, each in known.items() if other != name}
        said = name.replace("_", " ")
        yield f"nothing were said of its {said}", {**product, "attributes": replace(attributes, known=rest).text}
        if isinstance(value, float) and value > 0:
            for times, word in ((0.5, "half as much"), (2.0, "twice as much")):
                text = replace(attributes, known={**known, name: value * times}).text
                yield f"its {said} were {word}, {value * times:g}", {**product, "attributes": text}


def _brands(night: Night, product: Mapping[str, str]) -> list[str]:
    """Those that the shop sells most products of in the category, or at all where none is said."""
    where = night.categories == product["category"] if product["category"] else np.ones(len(night.brands), bool)
    counts = Counter(str(brand) for brand in night.brands[where] if brand and brand != product["brand"])
    return [brand for brand, _ in sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:BRANDS]]
