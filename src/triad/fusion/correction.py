"""Trees upon the fusion of a binary task: what the context says beyond the members' weights.

log odds = log odds of the fusion + the sum of the trees. The members learned of the days of train; the trees learn of
the fusion window, which comes later, where the fusion errs (stacking: Wolpert 1992; boosting from a given score:
Friedman 2001). They are few and small: the window is short, and most is said already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, logit

from triad.arrays import Bools, Floats, Ints
from triad.artifacts import read_json, write_json
from triad.boosting import ORDER, lightgbm, split_shares
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.forest import Tree, forest, scores_by
from triad.statistics.solving import inside

SETTINGS: Mapping[str, Any] = {
    **ORDER,
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 7,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "max_bin": 63,
}
FUSED, HISTORY, SAID = "fused", "history", "said_"
"""The columns of the fusion's log odds and of how many interactions came before; and how the members' columns begin."""


@dataclass(frozen=True)
class Context:
    """What is known of rows besides the members' answers."""

    names: tuple[str, ...]
    values: Floats  # (n, names), NaN where unknown
    history: Ints  # (n,) interactions before

    @classmethod
    def of(cls, data: Dataset, rows: Ints) -> Context:
        """Of exposures."""
        exposures = data.exposures
        return cls(data.meta.context, np.asarray(exposures.context)[rows], np.asarray(exposures.history)[rows])


def log_odds(chances: Floats) -> Floats:
    """Finite ones, of probabilities."""
    return np.asarray(logit(inside(chances)))


def table(fused: Floats, members: Mapping[str, Floats], context: Context) -> Floats:
    """(n, columns) float32; the columns are `columns` of these members and this context.

    Args:
        fused, members: (n,) probabilities, of the fusion and of each member.
    """
    said = [log_odds(fused), *map(log_odds, members.values()), np.log1p(context.history)]
    return np.column_stack([*said, context.values]).astype(np.float32)


def columns(members: Sequence[str], context: Sequence[str]) -> tuple[str, ...]:
    """The columns of `table`, in order."""
    return (FUSED, *(f"{SAID}{name}" for name in members), HISTORY, *context)


@dataclass(frozen=True)
class Examples:
    """Rows that neither the members nor the fusion learned from, sorted into bins once for many fits."""

    members: tuple[str, ...]
    context: tuple[str, ...]
    binned: Any  # LightGBM's

    @classmethod
    def of(cls, values: Floats, labels: Floats, members: Sequence[str], context: Sequence[str]) -> Examples:
        """Of (n, columns) `table`, whose first column the trees start from, and (n,) labels, 0 or 1."""
        library, names = lightgbm("fuse.combine", "convex"), list(columns(members, context))
        binned = library.Dataset(values, labels, init_score=values[:, 0], feature_name=names, params=dict(SETTINGS))
        return cls(tuple(members), tuple(context), binned.construct())


@dataclass(frozen=True)
class Correction:
    """Fitted trees, and what they read."""

    text: str  # the trees, as LightGBM writes them
    members: tuple[str, ...]
    context: tuple[str, ...]
    shares: dict[str, float] = field(default_factory=dict)
    """Column → its share of what the trees' splits gain, largest first; only of one that was just learned."""

    @classmethod
    def fit(cls, examples: Examples, rows: Bools, trees: int, seed: int) -> Correction:
        """So many trees, learned of those of the examples where `rows` (n,) holds."""
        settings = {**SETTINGS, "seed": seed, "num_iterations": trees}
        booster = lightgbm("fuse.combine", "convex").train(settings, examples.binned.subset(np.flatnonzero(rows)))
        return cls(booster.model_to_string(), examples.members, examples.context, split_shares(booster))

    def added(self, values: Floats) -> Floats:
        """(n,) log odds that the trees add, of `table`."""
        return self.added_by(values, (len(self._forest),))[0]

    def added_by(self, values: Floats, trees: Sequence[int]) -> Floats:
        """(choices, n) by the first so many of its trees, for each of `trees`, which rise."""
        return scores_by(self._forest, values, trees)

    def correct(self, fused: Floats, members: Mapping[str, Floats], context: Context) -> Floats:
        """(n,) probabilities.

        Raises:
            TriadError: the context is not what the trees learned of.
        """
        return np.asarray(expit(log_odds(fused) + self.added(self.table(fused, members, context))))

    def table(self, fused: Floats, members: Mapping[str, Floats], context: Context) -> Floats:
        """As the function, of the members that it reads. Raises as `correct` does."""
        if context.names != self.context:
            differ = sorted(set(context.names).symmetric_difference(self.context))
            raise TriadError(
                f"context differs from what was learned: {', '.join(differ) or 'its order'}",
                where="fusion, correction",
                mend="transform the tables with the features that the fusion was fitted on, or fit it again",
            )
        return table(fused, {name: members[name] for name in self.members}, context)

    def contributions(self, values: Floats) -> dict[str, Floats]:
        """Column → (n,) its Shapley value; they and the trees' base, under "", sum to `added` (TreeSHAP)."""
        booster = lightgbm("fuse.combine", "convex").Booster(model_str=self.text)
        parts = np.asarray(booster.predict(values, pred_contrib=True, num_threads=1)).reshape(len(values), -1)
        return dict(zip((*columns(self.members, self.context), ""), parts.T, strict=True))

    @cached_property
    def _forest(self) -> list[Tree]:
        return forest(self.text)

    def save(self, folder: Path) -> None:
        """The trees as LightGBM's text, and what they read."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "trees.txt").write_text(self.text, encoding="utf-8")
        write_json(folder / "correction.json", {"members": list(self.members), "context": list(self.context)})

    @classmethod
    def load(cls, folder: Path) -> Correction:
        """What `save` wrote."""
        told = read_json(folder / "correction.json")
        text = (folder / "trees.txt").read_text(encoding="utf-8")
        return cls(text, tuple(told["members"]), tuple(told["context"]))
