"""The rows of a task that a member learns from. A task without usable rows is an error."""

from __future__ import annotations

import numpy as np

from triad.arrays import Floats, Ints
from triad.errors import TriadError
from triad.examples.dataset import Dataset


def labelled(
    data: Dataset, task: str, split: str, *, both: bool = False, within: str | None = None
) -> tuple[Ints, Floats]:
    """Rows of the task's unit in `split` whose label of `task` is known, and those labels in float64.

    Args:
        within: only rows on which this task's event happened.
        both: at least two different labels are needed, as a classifier does.

    Raises:
        TriadError: there is no such row, or only one label where two are needed.
    """
    rows = data.rows(split, data.unit_of(task))
    label = np.asarray(data.labels(task)[rows], np.float64)
    known = ~np.isnan(label)
    if within is not None:
        known &= np.asarray(data.labels(within)[rows]) > 0
    where = f"task {task}, split {split}" + (f", rows with {within}" if within else "")
    mend = f"give features.split_days.{split} more days, or leave the task out"
    if not known.any():
        raise TriadError("no row has a label", where=where, mend=mend)
    if both and np.ptp(label[known]) == 0:
        raise TriadError(f"all {known.sum():,} labels are {label[known][0]:g}", where=where, mend=mend)
    return rows[known], label[known]
