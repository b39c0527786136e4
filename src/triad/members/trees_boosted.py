"""Boosted trees of either library behind one interface.

`hist` is scikit-learn's HistGradientBoosting, `lightgbm` is LightGBM (Ke et al. 2017). Both bin columns, split the leaf
that gains most, and take NaN for a value of its own.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from triad.arrays import Floats
from triad.boosting import lightgbm
from triad.config.profile import ProfileParams
from triad.forest import LEAVES, Forest, Tree, grown
from triad.kinds.base import Kind
from triad.members.trees_stored import Boosted, Grown, Trees

ONE_THREAD = 500_000
"""Rows up to which one thread serves. On a busy machine more of them wait than work: 160,000 rows × 130 columns beside
eight other processes on two cores took 36 s on one thread, 219 s on two."""
ROWS = 2048
"""Rows that all trees of a library read before the next ones: they stay in the processor's cache, which is 2.7 times as
fast."""


def grow(
    kind: Kind, params: ProfileParams, seed: int, train: tuple[Floats, Floats], until: tuple[Floats, Floats] | int
) -> Trees:
    """Trees of `train`: (n, columns) and (n,) labels.

    Args:
        until: as many as lower the loss on these rows, shaped likewise: log loss, or absolute error; or just so many.
    """
    if params.trees == "lightgbm":
        return _lightgbm(kind, params, seed, train, until)
    from sklearn import ensemble  # who only asks does not wait for it

    stops = {} if isinstance(until, int) else {"X_val": until[0], "y_val": until[1]}
    settings = {
        "learning_rate": params.learning_rate,
        "max_iter": until if isinstance(until, int) else params.max_iterations,
        "max_leaf_nodes": params.leaves,
        "min_samples_leaf": params.min_rows_a_leaf,
        "l2_regularization": 1.0,
        "max_features": params.column_share,
        "early_stopping": bool(stops),
        "n_iter_no_change": params.patience,
        "random_state": seed,
    }
    learner = (
        ensemble.HistGradientBoostingClassifier if kind.is_classification else ensemble.HistGradientBoostingRegressor
    )
    model = learner(loss=kind.tree_loss["hist"], **settings)
    return Grown.of(model.fit(*train, **stops))


def count(model: Trees) -> int:
    """How many rounds of trees it has."""
    if isinstance(model, Boosted):
        booster = model.booster
        return int(booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration())
    return len(model.trees) // model.width


@dataclass(frozen=True)
class Asked:
    """A fit as it is asked: scikit-learn's small trees in NumPy, all others by their library."""

    model: Trees
    forests: tuple[Forest, ...]  # of each column of scores; none: the library is asked

    @classmethod
    def of(cls, model: Trees) -> Asked:
        """Arranged once for many blocks of rows."""
        if isinstance(model, Boosted) or any(nodes["is_leaf"].sum() > LEAVES for nodes in model.trees):
            return cls(model, ())
        columns = enumerate(model.baseline.ravel().tolist())
        trees = [[_constant(start), *map(_tree, model.trees[column :: model.width])] for column, start in columns]
        return cls(model, tuple(map(Forest, trees)))

    @property
    def block(self) -> int:
        """Rows to ask of at once, by one thread. Trees in NumPy are asked of all: at each split threads would hand
        Python to one another, and two take longer than one."""
        return sys.maxsize if self.forests else ROWS

    def scores(self, matrix: Floats, classes: int) -> Floats:
        """Of one block (rows, columns) float32: binary and regression (rows,), multiclass (rows, classes)."""
        if not len(matrix):
            return np.zeros((0, classes) if classes else 0)
        model = self.model
        if model.classes_ is None:
            return model.predict(matrix) if isinstance(model, Boosted) else self._sums(model, matrix)[:, 0]
        if isinstance(model, Boosted):
            chances = model.predict_proba(matrix)
        else:
            sums = self._sums(model, matrix)
            if model.width > 1:
                chances = softmax(sums, axis=1)
            else:
                above = expit(sums)
                chances = np.concatenate([1 - above, above], axis=1)
        if not classes:
            return np.asarray(chances[:, 1])
        wide = np.full((len(matrix), classes), 1e-6)  # a class that train never showed
        wide[:, model.classes_.astype(int)] = chances
        return wide / wide.sum(axis=1, keepdims=True)

    def _sums(self, model: Grown, matrix: Floats) -> Floats:
        """(rows, trees a round) sums of leaves. The library's own way first checks the rows, which for a customer's
        fifty takes longer than the trees do."""
        sums = np.empty((len(matrix), model.width), model.baseline.dtype, order="F")
        for column, trees in enumerate(self.forests):
            sums[:, column] = trees.scores(matrix)
        if not self.forests:
            sums[:], asked = model.baseline, model.model
            asked._predict_iterations(np.ascontiguousarray(matrix, np.float64), asked._predictors, sums, False, 1)
        return sums


def scores(model: Trees, matrix: Floats, classes: int) -> Floats:
    """As `Asked.scores`."""
    return Asked.of(model).scores(matrix, classes)


def _tree(nodes: Any) -> Tree:
    """One of scikit-learn's trees, which split numbers alone."""
    leaf = nodes["is_leaf"].astype(bool)
    number = np.where(leaf, ~(np.cumsum(leaf) - 1), np.cumsum(~leaf) - 1)
    inner = nodes[~leaf]
    below = number[inner["left"]], number[inner["right"]]
    column, limit, left = inner["feature_idx"], inner["num_threshold"], inner["missing_go_to_left"].astype(bool)
    return grown(column, limit, left, below, nodes["value"][leaf])


def _constant(value: float) -> Tree:
    none = np.zeros(0, np.int64)
    return grown(none, none.astype(np.float64), none.astype(bool), (none, none), np.array([value]))


def versions(trees: str) -> dict[str, str]:
    """Of the libraries that wrote such trees: another version may misread them."""
    library = {"scikit-learn": version("scikit-learn")}
    return (
        library | {"lightgbm": str(lightgbm("profile.trees", "hist").__version__)} if trees == "lightgbm" else library
    )


def _lightgbm(
    kind: Kind, params: ProfileParams, seed: int, train: tuple[Floats, Floats], until: tuple[Floats, Floats] | int
) -> Trees:
    library = lightgbm("profile.trees", "hist")
    settings = {
        "learning_rate": params.learning_rate,
        "n_estimators": until if isinstance(until, int) else params.max_iterations,
        "num_leaves": params.leaves,
        "min_child_samples": params.min_rows_a_leaf,
        "reg_lambda": 1.0,
        "feature_fraction_bynode": params.column_share,
        "subsample": params.row_share,
        "subsample_freq": 1,
        "n_jobs": 1 if len(train[1]) <= ONE_THREAD else None,
        "random_state": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    stops: dict[str, Any] = {}
    if not isinstance(until, int):
        # a class that only validation shows cannot be judged by trees that do not know it
        known = np.isin(until[1], train[1]) if kind.is_classification else np.ones(len(until[1]), bool)
        stops = {"eval_X": until[0][known], "eval_y": until[1][known]}
        stops |= {"callbacks": [library.early_stopping(params.patience, verbose=False)]}
    learner = library.LGBMClassifier if kind.is_classification else library.LGBMRegressor
    model = learner(objective=kind.tree_loss["lightgbm"], **settings)
    model.fit(*train, **stops)
    return Boosted(model.booster_, np.asarray(model.classes_) if kind.is_classification else None)
