"""Advice on each product's price as a table, and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.advice.best import Advice, advise
from triad.advice.elasticity import Elasticity, elasticities, of_category
from triad.advice.panel import Panel, read
from triad.advice.wish import Wish
from triad.errors import TriadError

if TYPE_CHECKING:
    import duckdb

COLUMNS = ("item_id", "title", "category", "price_cents", "advised_cents", "best_low_cents", "best_high_cents")
"""The first of a row's; then the elasticity, the gain, the verdict and why."""
NEAR = 1e-6
"""Cents: 0.8 of 100 is 80."""


@dataclass(frozen=True)
class Advisor:
    """What a log says of prices."""

    panel: Panel
    known: Mapping[str, Elasticity]

    @classmethod
    def of(cls, session: duckdb.DuckDBPyConnection) -> Advisor:
        """Of the contract's tables.

        Raises:
            TriadError: nothing was sold, or no price moved.
        """
        panel = read(session)
        return cls(panel, elasticities(panel))

    def rows(self, items: Sequence[str], wish: Wish) -> list[dict[str, Any]]:
        """A row each of `items`, by id. What all products of a category share is reckoned once.

        Raises:
            TriadError: no price is known of one.
        """
        place = {key: number for number, key in enumerate(self.panel.item_id)}
        if lost := [key for key in items if key not in place]:
            mend = "name products of the night's tables that have had a price"
            raise TriadError(f"no price is known of {len(lost):,} of them", where="item_ids", mend=mend)
        shared = {name: self._shared(name, wish) for name in {self.panel.category[place[key]] for key in items}}
        return [self._row(place[key], wish, *shared[self.panel.category[place[key]]]) for key in items]

    def _shared(self, category: str, wish: Wish) -> tuple[Elasticity, Advice]:
        elasticity = of_category(self.known, category)
        return elasticity, advise(elasticity, wish)

    def _row(self, item: int, wish: Wish, known: Elasticity, advice: Advice) -> dict[str, Any]:
        panel, now = self.panel, round(self.panel.cents[item])
        low, high = known.interval(wish.level)
        price, *best = (None if share is None else _cents(now, share, wish) for share in (advice.price, *advice.best))
        why = _why(known, advice, wish, panel.category[item])
        if advice.price is not None and price == now and advice.verdict != "keep":
            advice, why = replace(advice, verdict="keep", gain=(0.0, 0.0, 0.0)), f"{why}; the move is less than a cent"
        values = (
            panel.item_id[item],
            panel.title[item],
            panel.category[item],
            now,
            price,
            *best,
        )
        return (
            dict(zip(COLUMNS, values, strict=True))
            | {"elasticity": known.mean, "elasticity_low": low, "elasticity_high": high}
            | dict(zip(("gain", "gain_low", "gain_high"), advice.gain, strict=True))
            | {"level": wish.level, "verdict": advice.verdict, "why": why}
        )


def _cents(now: int, share: float, wish: Wish) -> int:
    """The whole cents nearest to `share` of the present price that lie within the wish's bounds and above its cost."""
    least = max(math.ceil(now * wish.lowest - NEAR), math.floor(now * wish.cost + NEAR) + 1)
    return min(max(round(now * share), least), math.floor(now * wish.highest + NEAR))


def _why(known: Elasticity, advice: Advice, wish: Wish, category: str) -> str:
    low, high = known.interval(wish.level)
    told = (
        f"a price 1 % higher moves units sold by {known.mean:+.2f} % [{low:+.2f}, {high:+.2f}] in "
        f"{category or 'the shop as a whole'} ({known.products:,} products sold)"
    )
    lowest, highest = np.exp(known.tried)
    if wish.lowest < lowest or wish.highest > highest:
        told += f"; prices were tried from {lowest:.0%} to {highest:.0%} of the usual one alone"
    if advice.price is None and advice.best == (1.0, 1.0):
        told += "; hardly any other price was tried, so nothing tells which is better"
    elif advice.price is None:
        told += f"; the best move's {wish.aim} could also fall: {advice.gain[1]:+.1%} to {advice.gain[2]:+.1%}"
    return told
