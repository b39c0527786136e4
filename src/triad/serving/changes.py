"""What would change it: the scores of an item were it cheaper, dearer, higher on the page, or shown elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from triad.arrays import Floats
from triad.kinds import KINDS
from triad.serving.night import Visit
from triad.tracking.recommending import DAY

PRICES = {0.8: "a fifth cheaper", 0.9: "a tenth cheaper", 1.1: "a tenth dearer", 1.25: "a quarter dearer"}


@dataclass(frozen=True)
class Change:
    """A change, in words, and each event's probability after it."""

    words: str
    scores: dict[str, float]


@dataclass(frozen=True)
class _Case:
    words: str
    position: int | None
    surface: str | None
    price: float


def changes(visit: Visit, item: int, position: int | None, surface: str | None) -> list[Change]:
    """Of one item; what a shop's log does not tell (places, prices) is not varied."""
    cases = list(_cases(visit, item, position, surface))
    fused = visit.night.model.fused
    if not cases:
        return []
    items = np.full(len(cases), item)
    prices: Floats = np.array([case.price for case in cases])
    data = visit.exposures(items, [c.position for c in cases], [c.surface for c in cases], prices)
    tasks = [task for task in fused.of_unit(data, "exposures") if KINDS[fused.kinds[task]].is_event]
    scores = fused.predict(data, np.arange(len(cases)), tasks)
    return [Change(case.words, {t: float(scores[t][at]) for t in tasks}) for at, case in enumerate(cases)]


def _cases(visit: Visit, item: int, position: int | None, surface: str | None) -> Iterator[_Case]:
    known, day = visit.night.known, visit.moment // DAY
    price = float(np.exp(known.grid.log_price(np.array([item]), np.array([day - known.price_lag]))[0]))
    if np.isfinite(price):
        yield from (_Case(words, position, surface, price * factor) for factor, words in PRICES.items())
    if known.funnel.shown and position is not None and position > 1:
        yield _Case("first on the page", 1, surface, np.nan)
    for other in known.surfaces if known.funnel.shown else ():
        if other != surface:
            yield _Case(f"shown on {other}", position, other, np.nan)
