"""Training on every day there is: nothing is held out, and how long it takes was chosen before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from triad.arrays import Ints
from triad.examples.dataset import Dataset


@dataclass(frozen=True)
class Refit:
    """How a network learns the days that the evaluated one was not taught.

    Args:
        epochs: passes, all of which are run.
        since: µs; what became known from then on is new to the network, and of earlier rows only some are replayed.
            None: all rows are new to it.
        reach: task → µs from a row's time until its label is known.
        replay: earlier rows for each new one.
        seed: of the rows that are replayed.
        on_shelf: whether what was not yet on the shelf is no negative of a row.
    """

    epochs: int
    since: int | None = None
    replay: float = 1.0
    seed: int = 0
    reach: Mapping[str, int] = field(default_factory=dict)
    on_shelf: bool = False

    def of_unit(self, data: Dataset, unit: str) -> Ints:
        """Train rows of `unit` to learn from, in order; all of them where they have no time.

        A label that was not yet known when the network last learned is as new as what happened since.
        """
        rows, time = data.rows("train", unit), getattr(data.units[unit], "time", None)
        if time is None:
            return rows
        known = np.asarray(time)[rows]
        for task in data.meta.tasks.get(unit, ()):
            labelled = np.isfinite(np.asarray(data.labels(task))[rows])
            known = np.maximum(known, np.where(labelled, time[rows] + self.reach.get(task, 0), 0))
        return rows[self.rows(known)]

    def rows(self, time: Ints) -> Ints:
        """Places in `time` (n,) to learn from, in order.

        Replay is the simplest guard against forgetting what was learned before (Robins 1995,
        doi:10.1080/09540099550039318).
        """
        if self.since is None:
            return np.arange(len(time))
        is_new = np.asarray(time) >= self.since
        new, old = np.flatnonzero(is_new), np.flatnonzero(~is_new)
        count = min(len(old), round(self.replay * len(new)))
        return np.sort(np.concatenate([new, np.random.default_rng(self.seed).choice(old, count, replace=False)]))
