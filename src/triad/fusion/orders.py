"""What orders of rows are worth, cluster by cluster: every member's alone, and those of the blends of a fold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from triad.arrays import Floats, Ints
from triad.fusion.question import Judged, Mix
from triad.kinds.base import Judge, Kind


def worth(
    kind: Kind,
    scores: Mapping[str, Floats],
    rows: tuple[Floats, Ints, Ints],
    mixes: list[Mix],
    fold: Ints,
    *,
    judge: Judge,
) -> Judged:
    """As `judge` judges them, by weights that did not see the cluster.

    Args:
        scores: member → (n,).
        rows: (n,) labels, clusters, and interactions before.
        fold: (n,) places in `mixes`; the rows of a cluster share theirs.
    """
    labels, cluster, history = rows
    count = len(mixes[0].blends)
    fused = np.zeros((len(fold), count))
    for place, mix in enumerate(mixes):
        held = fold == place
        calibrated = {name: kind.calibrate(mix.calibrations[name], values[held]) for name, values in scores.items()}
        for number, blend in enumerate(mix.blends):
            fused[held, number] = blend.mix(kind, calibrated, history[held])

    def each(columns: list[Floats]) -> Floats:
        return np.stack([judge.worth(column, labels, cluster)[1] for column in columns], axis=1)

    return Judged(judge.by, each(list(scores.values())), each(list(fused.T)), judge.worth(labels, labels, cluster)[0])
