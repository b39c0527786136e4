"""One member's output as another's input: a column of context, out of fold on the rows that the first was trained on.

The reader must see in training what it will see later: scores of users the giver never met. So on the splits that a
member learns from (train, validation) users are dealt into folds and scored by a giver fitted without their fold; on
fusion and test by the giver fitted on everybody (stacked generalisation, Wolpert 1992).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logit

from triad.arrays import Bools, Floats, Ints
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.features.dataset import SPLITS

if TYPE_CHECKING:
    from triad.members.protocol import RowScorer

LEARNED_FROM = tuple(SPLITS.index(split) for split in ("train", "validation"))


@dataclass(frozen=True)
class Shared:
    """A giver, and the tasks whose logits it gives as context."""

    giver: RowScorer
    tasks: tuple[str, ...]

    def add(self, data: Dataset, rows: Ints | None = None) -> Dataset:
        """`data` with the giver's logits of `rows` (of all) as further context; NaN elsewhere."""
        rows = np.arange(len(data.exposures.user)) if rows is None else rows
        columns = np.full((len(data.exposures.user), len(self.tasks)), np.nan, np.float32)
        columns[rows] = _logits(self.giver, data, rows, self.tasks)
        return _with_context(data, columns, self.tasks)


def share(
    data: Dataset, fit: Callable[[Dataset], RowScorer], tasks: tuple[str, ...], *, folds: int, seed: int
) -> tuple[Dataset, Shared]:
    """`data` with out-of-fold logits as context, for the reader to learn from; and what adds them to later data.

    Args:
        fit: makes the giver of a dataset; called once a fold and once for all.
        tasks: binary tasks that the giver scores.

    Raises:
        TriadError: the giver does not score one of `tasks`, or there are fewer users than folds.
    """
    users = len(data.users.user_id)
    if users < folds:
        raise TriadError(f"{users} users for {folds} folds", where="sharing", mend="take fewer folds")
    shared = Shared(fit(data), tasks)
    if missing := [task for task in tasks if task not in shared.giver.tasks]:
        raise TriadError(f"the giver does not score {missing}", where="sharing", mend="name tasks that it scores")
    split, user = np.asarray(data.exposures.split), np.asarray(data.exposures.user)
    columns = np.full((len(user), len(tasks)), np.nan, np.float32)
    later = np.flatnonzero(~np.isin(split, (*LEARNED_FROM, -1)))
    columns[later] = _logits(shared.giver, data, later, tasks)
    fold = np.random.default_rng(seed).permutation(users) % folds
    for k in range(folds):
        rows = np.flatnonzero(np.isin(split, LEARNED_FROM) & (fold[user] == k))
        columns[rows] = _logits(fit(without(data, fold == k)), data, rows, tasks)
    return _with_context(data, columns, tasks), shared


def without(data: Dataset, users: Bools) -> Dataset:
    """`data` as if nothing of `users` (n_users,) were known when learning: their rows belong to no split.

    Their interactions stay, as what other code may score by, but count as test.
    """
    exposures, streams, queries = data.exposures, data.streams, data.lists
    owner = np.repeat(users, np.diff(streams.offsets))
    return data.replaced(
        exposures=replace(exposures, split=np.where(users[exposures.user], -1, exposures.split)),
        streams=replace(streams, split=np.where(owner, len(SPLITS) - 1, streams.split)),
        lists=replace(queries, split=np.where(users[queries.user], -1, queries.split)),
    )


def _logits(member: RowScorer, data: Dataset, rows: Ints, tasks: tuple[str, ...]) -> Floats:
    """(rows, tasks)."""
    scores = member.predict(data, rows, tasks)
    return np.stack([logit(np.clip(scores[task], 1e-6, 1 - 1e-6)) for task in tasks], axis=1)


def _with_context(data: Dataset, columns: Floats, tasks: tuple[str, ...]) -> Dataset:
    """`columns` (n, tasks) beside the context, with their mean and spread over train rows."""
    meta, train = data.meta, columns[data.rows("train")]
    known = np.asarray(np.isfinite(train).any(axis=0))
    mean = [float(np.nanmean(train[:, t])) if known[t] else 0.0 for t in range(len(tasks))]
    std = [float(np.nanstd(train[:, t])) if known[t] else 1.0 for t in range(len(tasks))]
    return data.replaced(
        exposures=replace(data.exposures, context=np.concatenate([data.exposures.context, columns], axis=1)),
        meta=replace(
            meta,
            context=(*meta.context, *(f"shared_{task}" for task in tasks)),
            context_mean=(*meta.context_mean, *mean),
            context_std=(*meta.context_std, *(spread if spread > 0 else 1.0 for spread in std)),
        ),
    )
