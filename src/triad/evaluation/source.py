"""The source gate: did the source task help, or would training from scratch have been as good?

Pure functions of two models' losses on the same validation rows. A source that is not shown to help is refused: it
costs a stage of its own every night, and may hold the target task back (negative transfer, Wang et al. 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triad.arrays import Floats, Ints
from triad.statistics.bootstrap import draw, interval

RESAMPLES, CONFIDENCE = 500, 0.95


@dataclass(frozen=True)
class Gain:
    """What the source takes off the mean loss, with its interval."""

    value: float
    low: float
    high: float

    @property
    def helps(self) -> bool:
        """Whether the interval is clear of zero."""
        return self.low > 0


def judge_source(scratch: Floats, transferred: Floats, user: Ints, *, seed: int) -> Gain:
    """The gain of `transferred` over `scratch`, losses (n,) of the same rows; paired, resampled by user.

    Scores of which more is better are judged with the two exchanged.
    """
    _, cluster = np.unique(user, return_inverse=True)
    draws = draw(int(cluster.max()) + 1, RESAMPLES, seed)
    less, rows = draws.totals(cluster, np.stack([scratch - transferred, np.ones(len(user))], axis=1)).T
    gain = less / np.maximum(rows, 1)
    return Gain(float(gain[0]), *interval(gain, CONFIDENCE))
