"""Training on every day there is: nothing is held out, and how long it takes was chosen before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triad.arrays import Ints


@dataclass(frozen=True)
class Refit:
    """How a network learns the days that the evaluated one was not taught.

    Args:
        epochs: passes, all of which are run.
        since: µs; what happened from then on is new to the network, and of earlier rows only some are replayed. None:
            all rows are new to it.
        replay: earlier rows for each new one.
        seed: of the rows that are replayed.
    """

    epochs: int
    since: int | None = None
    replay: float = 1.0
    seed: int = 0

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
