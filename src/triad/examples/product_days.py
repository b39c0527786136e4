"""The unit `product_days`: a product at the beginning of a day, whose coming days are asked about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.config.tasks import TaskParams
from triad.examples.base import Made, Unit
from triad.tasks import LABELS
from triad.tasks.base import Outlook
from triad.texts import Texts

if TYPE_CHECKING:
    import duckdb

    from triad.features.product_days import Grid
    from triad.features.source import Source
    from triad.features.splits import Windows

MOST_ROWS = 400_000
"""Rows; a log that would have more has a product's days a week apart."""


@dataclass(frozen=True)
class ProductDays:
    """(n,) by product, then by day."""

    row_id: Texts  # product and day
    item: Ints  # catalogue row
    day: Ints  # whole UTC days since the epoch; the row knows what was before it
    known: Floats  # (n, `features.product_days.NAMES`)
    now: Floats  # (n, tasks) the log of what a task's move is measured from
    season: Floats  # (n, tasks) the move if all were as four weeks ago
    smoothed: Floats  # (n, tasks) the move to what is usual, the older days counting less
    split: Ints
    labels: Floats  # (n, tasks)


@dataclass(frozen=True)
class Rows:
    """What labels of this unit are made from."""

    grid: Grid
    item: Ints
    at: Ints
    split: Ints
    windows: Windows

    def within(self, days: int) -> Bools:
        """(n,) whether the coming `days` are known, and inside the row's split."""
        from triad.features.product_days import labelled
        from triad.features.splits import ends_inside
        from triad.features.sql import DAY

        inside = ends_inside((self.grid.first + self.at) * DAY, self.split, days * DAY, self.windows)
        return labelled(self.grid, self.at, days, inside)


class _Unit(Unit):
    name = "product_days"
    arrays = ProductDays
    key = "row_id"
    always = False
    tables = ()
    is_shared = False  # trees read its columns
    inputs = ()

    def values(self, session: duckdb.DuckDBPyConnection, column: str) -> Iterable[str]:
        return ()

    def make(self, source: Source) -> Made:
        from triad.features.labels import values_of
        from triad.features.product_days import features, read
        from triad.features.splits import split_of
        from triad.features.sql import DAY

        grid = read(source.session, source.grid, source.catalogue.category[:, -1])
        item, at = grid.rows(1 if grid.units.size <= MOST_ROWS else 7)
        windows = source.state.meta.windows
        split = split_of((grid.first + at) * DAY, windows)
        rows, days = Rows(grid, item, at, split, windows), (grid.first + at).astype("datetime64[D]")
        ids = np.asarray(source.catalogue.item_id[item])
        plain = [_plain(source.state.tasks, name, rows) for name in source.state.meta.tasks[self.name]]
        made = ProductDays(
            row_id=Texts.of(f"{key} {day}" for key, day in zip(ids.tolist(), days, strict=True)),
            item=item,
            day=grid.first + at,
            known=features(grid, item, at),
            now=np.column_stack([each[0] for each in plain]).astype(np.float32),
            season=np.column_stack([each[1] for each in plain]).astype(np.float32),
            smoothed=np.column_stack([each[2] for each in plain]).astype(np.float32),
            split=split,
            labels=values_of(self.name, rows, len(item), source.state),
        )
        return Made(made)


def _plain(tasks: Mapping[str, TaskParams], name: str, rows: Rows) -> tuple[Floats, Floats, Floats]:
    label = LABELS[tasks[name].label]
    assert isinstance(label, Outlook), name
    return label.plain(tasks[name], rows)


UNIT = _Unit()
