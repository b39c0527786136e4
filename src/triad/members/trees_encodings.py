"""Target encodings of a user's steps: smoothed log-odds of a label for each item and each category above it.

A row's own label must not tell it what its steps are worth, so train rows are encoded out of fold (Micci-Barreca 2001;
Prokhorenkova et al. 2018): the odds a fold reads come from the other folds. Rows are dealt to folds where validation
meets users that train knows; where it meets none, users are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.features.dataset import SPLITS
from triad.members.history import States, look_back
from triad.members.trees_columns import Column

RECENT, FOLDS, SMOOTHING = 100, 5, 5.0
HALF_LIVES_DAYS = (0.02, 14.0)
"""A visit, and the last weeks."""
STATISTICS = ("mean", "most", "least", "sum", "known")


@dataclass(frozen=True)
class Encoding:
    """Log-odds over the overall rate, 0 where train never met it. (…, k) for k classes, k = 1 of a binary label."""

    items: Floats  # (known items, k)
    categories: Floats  # (category rows, k)


@dataclass(frozen=True)
class _Counts:
    """Weight of steps by fold, in all and before each class: (folds, codes, 1 + k)."""

    items: Floats
    categories: Floats

    def odds(self, left_out: int | None, rate: Floats) -> Encoding:
        return Encoding(_odds(self.items, left_out, rate), _odds(self.categories, left_out, rate))


def encode_train(
    data: Dataset, rows: Ints, label: Floats, *, place: Ints, classes: int, seed: int
) -> tuple[Encoding, list[Column]]:
    """The encoding of all of `rows`, and its columns on them out of fold.

    Args:
        rows: train exposures; `label` (n,) 0 or 1, or the place of a class.
        place: (n_items,) each catalogue row among the known items, -1 where it is none.
        classes: of a multiclass label; 0 of a binary one.
    """
    target = np.eye(classes)[label.astype(int)] if classes else label[:, None]
    rate = target.mean(axis=0)
    fold = _folds(data, rows, seed)
    counts = _count(data, rows, target, fold, place)
    known = counts.odds(None, rate)
    columns = [Column(c.name, c.part, np.zeros(len(rows))) for c in encode(data, rows[:0], place, known)]
    for k in range(FOLDS):
        mine = np.flatnonzero(fold == k)
        for column, part in zip(columns, encode(data, rows[mine], place, counts.odds(k, rate)), strict=True):
            column.values[mine] = part.values
    return known, columns


def encode(data: Dataset, rows: Ints, place: Ints, odds: Encoding) -> list[Column]:
    """The columns of exposure `rows`: statistics of the odds of their steps, NaN without a step."""
    columns: list[Column] = []
    for days in HALF_LIVES_DAYS:
        states = _look_back(data, rows, days)
        for level, values in _levels(data, states, place, odds).items():
            for k, one in enumerate(values.T):
                wide = _statistics(states, one)[states.inverse]
                names = (f"odds_{days:g}_{level}_{k}_{name}" for name in STATISTICS)
                columns += [Column(name, "odds", values) for name, values in zip(names, wide.T, strict=True)]
    return columns


def _look_back(data: Dataset, rows: Ints, days: float) -> States:
    exposures = data.exposures
    user, history = (np.asarray(values)[rows] for values in (exposures.user, exposures.history))
    return look_back(data, user, history, recent=RECENT, half_life_days=days)


def _levels(data: Dataset, states: States, place: Ints, odds: Encoding) -> dict[str, Floats]:
    """Level → (steps, k) odds of each step's code on it."""
    item = np.asarray(data.streams.item)[states.step]
    odds_by_level = {"item": np.vstack([odds.items, np.zeros((1, odds.items.shape[1]))])[place[item]]}
    for level, codes in enumerate(np.asarray(data.items.category).T):
        code = codes[item]
        odds_by_level[str(level)] = odds.categories[np.where(code < len(odds.categories), code, 0)]
    return odds_by_level


def _statistics(states: States, values: Floats) -> Floats:
    """(s, 5) as STATISTICS of (steps,) values."""
    statistics = np.full((states.count, len(STATISTICS)), np.nan)
    some = np.flatnonzero(np.diff(states.start) > 0)
    if len(some):
        start = states.start[some]
        statistics[some, 0] = states.total(values)[some]
        statistics[some, 1] = np.maximum.reduceat(values, start)
        statistics[some, 2] = np.minimum.reduceat(values, start)
        statistics[some, 3] = np.bincount(states.owner, _age_weight(states) * values, minlength=states.count)[some]
        statistics[some, 4] = states.total(values != 0)[some]
    return statistics


def _age_weight(states: States) -> Floats:
    """(steps,) weight by age alone: 1 of a state's last step."""
    return states.weight / states.weight[states.start[states.owner + 1] - 1]


def _folds(data: Dataset, rows: Ints, seed: int) -> Ints:
    user = np.asarray(data.exposures.user)
    later = user[np.asarray(data.exposures.split) == SPLITS.index("validation")]
    random = np.random.default_rng(seed)
    if np.isin(later, user[rows]).mean() > 0.5:
        return random.permutation(len(rows)) % FOLDS
    return (random.permutation(len(data.users.user_id)) % FOLDS)[user[rows]]


def _count(data: Dataset, rows: Ints, target: Floats, fold: Ints, place: Ints) -> _Counts:
    known, width = int((place >= 0).sum()), 1 + target.shape[1]
    category = np.asarray(data.items.category)
    items = np.zeros((FOLDS, known + 1, width))
    categories = np.zeros((FOLDS, data.meta.vocabulary_rows["category"], width))
    for k in range(FOLDS):
        mine = np.flatnonzero(fold == k)
        states = _look_back(data, rows[mine], HALF_LIVES_DAYS[0])
        counted = np.vstack([np.ones(len(mine)), target[mine].T])
        seen = np.stack([np.bincount(states.inverse, one, minlength=states.count) for one in counted], axis=1)
        weight = _age_weight(states)[:, None] * seen[states.owner]
        item = np.asarray(data.streams.item)[states.step]
        np.add.at(items[k], place[item], weight)  # an unknown item adds to the last row, which is dropped
        for codes in category.T:
            np.add.at(categories[k], codes[item], weight)
    categories[:, 0] = 0
    return _Counts(items[:, :-1], categories)


def _odds(counts: Floats, left_out: int | None, rate: Floats) -> Floats:
    total = counts.sum(axis=0) - (0 if left_out is None else counts[left_out])
    share = (total[:, 1:] + SMOOTHING * rate) / (total[:, :1] + SMOOTHING)
    usual = np.clip(rate, 1e-6, 1 - 1e-6)
    return logit(np.clip(share, 1e-6, 1 - 1e-6)) - logit(usual)
