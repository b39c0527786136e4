"""Are the newest days of a log like those before them? Pure.

A light night has no test window: it learns the newest days beside replayed earlier ones, and answers much as before
even where they name the wrong items. So the days themselves are held against the week before them: which items were
taken, and how often. How alike a healthy shop's days are differs from shop to shop, and is read from its own earlier
days. What moves all days alike, or comes with new items, does not count.
"""

from __future__ import annotations

import numpy as np

from triad.arrays import Ints
from triad.features.dataset import Streams
from triad.features.sql import DAY

BEFORE = 7
"""Days that the newest are held against."""
EARLIER, FEWEST = 8, 3
"""Earlier times that tell what is usual, at most and at least."""
SURE = 4.0
"""Standard errors, of a correlation of what has nothing to do with each other, that a difference must exceed."""


def agreement(streams: Streams, since: int, end: int) -> dict[str, float]:
    """How alike the days [since, end) µs and the week before them are, beside what is usual; empty where it cannot be
    told.

    `agreement` is the correlation of the square roots of how often each item of that week was taken, `usual` the median
    of the same at earlier times, `unsure` what may be chance.
    """
    size = (end - since) // DAY
    day = np.asarray(streams.time) // DAY
    item = np.asarray(streams.item, np.int64)
    if size < 1 or not len(day):
        return {}
    starts = [since // DAY - back * size for back in range(EARLIER + 1)]
    pairs = [_alike(item, day, start, size) for start in starts if start - BEFORE >= day.min()]
    usual = np.array([value for value, _ in pairs[1:]])
    usual = usual[np.isfinite(usual)]
    if not pairs or not np.isfinite(pairs[0][0]) or len(usual) < FEWEST:
        return {}
    value, items = pairs[0]
    return {"agreement": value, "usual": float(np.median(usual)), "unsure": float(SURE / np.sqrt(items))}


def doubts(days: dict[str, float], least: float) -> list[str]:
    """What speaks against learning them, a sentence. `least` is the share of what is usual that must be reached."""
    if not days or days["agreement"] >= least * days["usual"] or days["usual"] - days["agreement"] < days["unsure"]:
        return []
    return [
        "the newest days are unlike the week before them: how often items were taken correlates by "
        f"{days['agreement']:.3f}, usually by {days['usual']:.3f}; below {least:g} of that. "
        "Do their events name the right items?"
    ]


def _alike(item: Ints, day: Ints, start: int, size: int) -> tuple[float, int]:
    """The correlation of the days from `start` with the week before, and of how many items; NaN where there is none."""
    most = int(item.max()) + 1
    new = np.bincount(item[(day >= start) & (day < start + size)], minlength=most)
    old = np.bincount(item[(day >= start - BEFORE) & (day < start)], minlength=most)
    known = old > 0
    if not new.any() or old.sum() == 0 or np.ptp(old[known]) == 0:
        return np.nan, int(known.sum())
    if np.ptp(new[known]) == 0:
        return 0.0, int(known.sum())
    return float(np.corrcoef(np.sqrt(new[known]), np.sqrt(old[known]))[0, 1]), int(known.sum())
