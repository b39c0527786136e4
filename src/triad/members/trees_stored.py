"""Fitted boosted trees as data: all that a library needs to predict with them, and no code.

scikit-learn's trees become arrays of nodes, LightGBM's stay LightGBM's own text. Both give back bit for bit the
predictions of the model that was fitted, and the same model gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.errors import TriadError

NODE = np.dtype(
    [
        *(("value", np.float64), ("count", np.uint32), ("feature_idx", np.intp), ("num_threshold", np.float64)),
        *(("missing_go_to_left", np.uint8), ("left", np.uint32), ("right", np.uint32), ("gain", np.float64)),
        *(("depth", np.uint32), ("is_leaf", np.uint8), ("bin_threshold", np.uint8), ("is_categorical", np.uint8)),
        ("bitset_idx", np.uint32),
    ]
)
"""A node as scikit-learn keeps it. That library takes most of a second to import, and answers need it seldom."""


@dataclass(frozen=True)
class Grown:
    """scikit-learn's trees. `classes_` are the labels in the order of the probabilities, None for a regression."""

    trees: Sequence[Any]  # (nodes,) of `NODE` each, round after round
    baseline: Floats  # (1, trees a round) what their sums start from
    columns: int
    classes_: Floats | None

    @classmethod
    def of(cls, model: Any) -> Grown:
        """Of a fitted HistGradientBoosting."""
        trees = [tree.nodes for round_ in model._predictors for tree in round_]
        classes = getattr(model, "classes_", None)
        return cls(
            trees,
            model._baseline_prediction,
            model.n_features_in_,
            None if classes is None else np.asarray(classes, np.float64),
        )

    @property
    def width(self) -> int:
        """Trees a round: columns of sums."""
        return int(self.baseline.shape[1])

    @cached_property
    def model(self) -> Any:
        """scikit-learn's own, with the attributes that its predictions read."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
        from sklearn.ensemble._hist_gradient_boosting.binning import _BinMapper
        from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

        regression = self.classes_ is None
        model = HistGradientBoostingRegressor("absolute_error") if regression else HistGradientBoostingClassifier()
        if not regression:
            model.classes_ = self.classes_
        model.n_features_in_, model._preprocessor = self.columns, None
        model.n_trees_per_iteration_, model._baseline_prediction = self.width, self.baseline
        model._loss = model._get_loss(sample_weight=None)
        model._bin_mapper = _BinMapper()
        model._bin_mapper.is_categorical_, model._bin_mapper.bin_thresholds_ = np.zeros(self.columns, np.uint8), []
        none = np.zeros((0, 8), np.uint32)
        trees = [TreePredictor(nodes, none, none) for nodes in self.trees]
        model._predictors = [trees[at : at + self.width] for at in range(0, len(trees), self.width)]
        return model


@dataclass(frozen=True)
class Boosted:
    """LightGBM's trees. `classes_` are the labels in the order of the probabilities, None for a regression."""

    booster: Any
    classes_: Floats | None

    def predict(self, matrix: Floats) -> Floats:
        """(rows,), or (rows, classes) where there are more than two."""
        return np.asarray(self.booster.predict(matrix, num_threads=1))

    def predict_proba(self, matrix: Floats) -> Floats:
        """(rows, classes)"""
        chances = self.predict(matrix)
        return chances if chances.ndim == 2 else np.stack([1 - chances, chances], axis=1)


Trees = Grown | Boosted
"""One fit."""


def save(path: Path, models: Sequence[Trees]) -> None:
    """Write fits of one task as arrays without objects: the file `path`, a .npz."""
    arrays: dict[str, Any] = {}
    for place, model in enumerate(models):
        if isinstance(model, Boosted):
            parts: dict[str, Any] = {"text": np.frombuffer(model.booster.model_to_string().encode(), np.uint8)}
        else:
            parts = {"nodes": np.concatenate(model.trees) if model.trees else np.zeros(0, NODE)}
            parts |= {"sizes": np.array([len(tree) for tree in model.trees], np.int64), "baseline": model.baseline}
            parts |= {"columns": np.array(model.columns)}
        if model.classes_ is not None:
            parts["classes"] = np.asarray(model.classes_, np.float64)
        arrays |= {f"{place}_{name}": values for name, values in parts.items()}
    np.savez_compressed(path, **arrays)


def load(path: Path) -> list[Trees]:
    """What `save` wrote.

    Raises:
        TriadError: these are no trees, or some point outside of themselves.
    """
    models: list[Trees] = []
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        while held := {name.partition("_")[2]: v for name, v in arrays.items() if name.startswith(f"{len(models)}_")}:
            models.append(_boosted(held) if "text" in held else _grown(held))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise TriadError(
            f"holds no trees: {error}", where=str(path), mend="run the stage profile, or register the model again"
        ) from error
    return models


def _boosted(held: dict[str, Any]) -> Boosted:
    import lightgbm

    text = held["text"].tobytes().decode()
    return Boosted(lightgbm.Booster(params={"verbose": -1}, model_str=text), held.get("classes"))


def _grown(held: dict[str, Any]) -> Grown:
    nodes, sizes, baseline, columns = held["nodes"], held["sizes"], held["baseline"], int(held["columns"])
    _check(nodes, sizes, columns, baseline)
    return Grown(np.split(nodes, np.cumsum(sizes)[:-1]) if len(sizes) else [], baseline, columns, held.get("classes"))


def _check(nodes: Any, sizes: Ints, columns: int, baseline: Floats) -> None:
    """Who asks trees follows nodes without looking where they lead: each must lead on, and stay inside its tree, and
    none be reached twice."""
    if nodes.dtype != NODE or baseline.dtype != np.float64 or baseline.ndim != 2:
        raise ValueError(f"arrays of {nodes.dtype} and {baseline.dtype}")
    if (sizes < 1).any() or sizes.sum() != len(nodes) or len(sizes) % baseline.shape[1]:
        raise ValueError("trees that do not fit their sizes")
    start = np.repeat(np.cumsum(sizes) - sizes, sizes)
    place, size = np.arange(len(nodes)) - start, np.repeat(sizes, sizes)
    inner = nodes["is_leaf"] == 0
    ahead = [(place < nodes[way]) & (nodes[way] < size) for way in ("left", "right")]
    inside = (nodes["feature_idx"] >= 0) & (nodes["feature_idx"] < columns) & (nodes["is_categorical"] == 0)
    if not (ahead[0] & ahead[1] & inside)[inner].all():
        raise ValueError("a node that leads nowhere")
    led = np.concatenate([(start + nodes[way])[inner] for way in ("left", "right")])
    if (np.bincount(led, minlength=len(nodes)) != (place > 0)).any():
        raise ValueError("a node that two lead to, or none")
