"""The customers and items of a night's tables, and what stands for pairs of them at the midnight that ends its log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from triad.arrays import Ints
from triad.examples.dataset import Dataset
from triad.features import build
from triad.features.signals import slots
from triad.features.sql import DAY
from triad.fusion.fused import Fused
from triad.fusion.searching import Leaning
from triad.texts import Texts
from triad.tracking.leaning import leaning_of
from triad.tracking.serving import busiest, midnight_after
from triad.tracking.shown import first_on_page, with_guest

if TYPE_CHECKING:
    import duckdb

    from triad.features.state import State


@dataclass(frozen=True)
class Standing:
    """It holds arrays and no session, so that it can travel.

    Args:
        users: (n,) ids; the last, "", is a stranger, of whom nothing is known.
        rows: (n,) who is answered as whom: each as themselves.
        shown: makes exposures of (m,) users and items, each the first thing on a page.
    """

    users: Texts
    items: Texts
    rows: Ints
    shown: Callable[[Ints, Ints], Dataset]

    @classmethod
    def of(cls, session: duckdb.DuckDBPyConnection, state: State) -> Standing:
        """At the midnight after the newest event of the session's tables.

        Raises:
            TriadError: the tables do not fit the contract.
        """
        moment = midnight_after(session)
        data, known = with_guest(*build.standing(session, state, moment // DAY), moment)
        shown = first_on_page(data, known, moment, busiest(session), slots(session) if known.places else {})
        return cls(data.users.user_id, data.items.item_id, np.arange(len(data.users.user_id)), shown)

    @property
    def stranger(self) -> int:
        return len(self.rows) - 1

    def without(self, is_gone: Callable[[str], bool]) -> Standing:
        """With those answered as strangers."""
        rows = [self.stranger if is_gone(name) else row for row, name in enumerate(self.users)]
        return Standing(self.users, self.items, np.array(rows), self.shown)

    def customers(self, ids: Texts) -> Ints:
        """(len(ids),) rows; those whom the tables lack are the stranger."""
        return self.rows[self.users.places(ids)]  # -1 is the stranger's row, too

    def leaning(self, fused: Fused, user: int) -> Leaning | None:
        """What the customer in row `user` leans to; None: nothing is known of it."""
        if user == self.stranger:
            return None
        return leaning_of(fused, partial(self._to, user), partial(self._to, self.stranger))

    def _to(self, user: int, items: Ints) -> Dataset:
        return self.shown(np.full(len(items), user), items)
