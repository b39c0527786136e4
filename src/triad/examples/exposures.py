"""The unit `exposures`: what a user was shown, or may have been; the models score each of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triad.arrays import Bools, Floats, Ints
from triad.examples.base import Made, Unit
from triad.texts import Texts

if TYPE_CHECKING:
    import duckdb

    from triad.features.source import Source


@dataclass(frozen=True)
class Exposures:
    """What the models score, by user, then by time. (n,) unless said otherwise."""

    event_id: Texts
    user: Ints  # catalogue row
    item: Ints  # catalogue row
    time: Ints  # µs
    split: Ints
    history: Ints  # how many of the user's interactions happened strictly before `time`: the trunk's step to read
    context: Floats  # (n, n_context) raw values, NaN where unknown; names in Meta.context
    labels: Floats  # (n, n_tasks) columns as Meta.tasks has them; NaN is missing and must be masked
    is_new_user: Bools  # no interaction before the exposure's split began
    is_cold_item: Bools  # fewer than min_count train interactions


class _Unit(Unit):
    name = "exposures"
    arrays = Exposures
    key = "event_id"
    always = True
    tables = ()
    inputs = ("history", "item", "user", "context")

    def values(self, session: duckdb.DuckDBPyConnection, column: str) -> Iterable[str]:
        from triad.features.entities import user_values

        return user_values(session, column).tolist()

    def make(self, source: Source) -> Made:
        from triad.features.exposure_arrays import make

        return make(source)


UNIT = _Unit()
