"""Many tests at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from triad.arrays import Floats


def holm(p_values: Sequence[float]) -> Floats:
    """p-values that may be read one by one: rejecting those ≤ α errs at all with probability ≤ α (Holm 1979).

    NaN, an undefined test, stays so and counts for none.
    """
    plain = np.asarray(p_values, np.float64)
    order = np.argsort(plain, kind="stable")[: int(np.isfinite(plain).sum())]
    corrected = np.full(len(plain), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(plain[order] * np.arange(len(order), 0, -1)), 1)
    return corrected
