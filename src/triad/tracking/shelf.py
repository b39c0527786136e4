"""What may be shown to whom, and what items are called, as the shop's tables say."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.config.recommend import RecommendParams
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.texts import Texts
from triad.tracking.repurchase import lasts, not_due


@dataclass(frozen=True)
class Shelf:
    """What may be shown to whom."""

    stands: Bools  # (n_items,) to anyone
    barred: tuple[Ints, Ints]  # (n,) user and item, by user: not to this one

    @classmethod
    def at(
        cls, data: Dataset, as_of: int, settings: RecommendParams, hidden: Bools, repeats: Floats | None = None
    ) -> Shelf:
        """As of `as_of` (µs): what is available by then, not `hidden` (n_items,), and not bought, unless due.

        Args:
            repeats: `lasts`, where it is known already.
        """
        stands = (np.asarray(data.items.available_from) <= as_of) & ~hidden
        if settings.bought == "allow":
            return cls(stands, (np.zeros(0, np.int64),) * 2)
        if settings.bought == "exclude":
            return cls(stands, not_due(data, as_of, repeats=None))
        return cls(stands, not_due(data, as_of, repeats=lasts(data) if repeats is None else repeats))

    def allows(self, users: Ints, items: Ints | None = None) -> Bools:
        """(users, items); `items` are ascending, None: all."""
        mask = np.repeat(self.stands[None, :] if items is None else self.stands[None, items], len(users), axis=0)
        who, what = self.barred
        first, last = np.searchsorted(who, users), np.searchsorted(who, users, side="right")
        place = np.repeat(np.arange(len(users)), last - first)
        at = np.arange(len(place)) - np.repeat(np.cumsum(last - first) - (last - first), last - first) + first[place]
        item = what[at]
        if items is not None:
            inside = np.isin(item, items)
            place, item = place[inside], np.searchsorted(items, item[inside])
        mask[place, item] = False
        return mask


def called(session: duckdb.DuckDBPyConnection) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Titles, broad categories and brands as people read them, by catalogue row ("" where unknown)."""
    rows = session.execute(
        "SELECT coalesce(title, ''), coalesce(category, ''), coalesce(brand, '') FROM items ORDER BY item_id"
    ).fetchall()
    titles, categories, brands = (np.array([row[at] for row in rows], dtype=object) for at in range(3))
    return titles, np.array([category.split("/")[0] for category in categories], dtype=object), brands


def on_shelf(session: duckdb.DuckDBPyConnection, as_of: int, condition: str | None) -> tuple[Bools, Texts]:
    """(n_items,) what is available at `as_of` (µs) and not `hidden` by `condition`, and the items' ids."""
    rows = session.execute("SELECT item_id, epoch_us(available_from) FROM items ORDER BY item_id").fetchall()
    return np.array([came <= as_of for _, came in rows], bool) & ~hidden(session, condition), Texts.of(
        [i for i, _ in rows]
    )


def hidden(session: duckdb.DuckDBPyConnection, condition: str | None) -> Bools:
    """(n_items,) which meet an SQL condition on the table items; none meets None.

    Raises:
        TriadError: it is no such condition.
    """
    try:
        asked = session.execute(f"SELECT ({condition or 'false'}) AS met FROM items ORDER BY item_id")
        dtype, met = str((asked.description or [])[0][1]), asked.fetchnumpy()["met"]
        (items,) = session.execute("SELECT count(*) FROM items").fetchone() or (0,)
        what = None if len(met) == items else "it makes several rows of an item"
        if dtype != "BOOLEAN":  # of a number, all that are not 0 would be met
            what = f"it is of the type {dtype}, and neither true nor false"
    except duckdb.Error as error:
        what = str(error).splitlines()[0]
    if what is not None:
        raise TriadError(
            f"is no condition on the table items: {what}",
            where="recommend.hide",
            mend="write one as in SQL: \"brand = 'Acme' OR price_cents < 100\"",
        )
    return np.ma.filled(met, False)  # who can tell of what is unknown
