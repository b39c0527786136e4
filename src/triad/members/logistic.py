"""The member `logistic`: logistic regression on the items taken, the user, the candidate and the context.

What a plain model makes of the same rows; in a fusion it errs otherwise than trees do. Binary and multiclass tasks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, hstack
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.members import Recipe
from triad.config.tasks import TaskParams, chain
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.kinds import KINDS
from triad.members.bench import Bench
from triad.members.history import look_back
from triad.members.labelled import labelled
from triad.tasks import of_unit
from triad.texts import Texts

STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Inverse penalties tried; each task keeps the one with the least validation loss."""
RECENT, HALF_LIFE_DAYS = 100, 7.0
MEMBERS = Recipe("logistic", "Logistic", ("RowScorer",))


@dataclass(frozen=True)
class Space:
    """The columns: categories and items taken, item offered, attributes, context."""

    item_id: Texts  # (known,) sorted
    categories: int
    attributes: tuple[int, ...]  # rows of each
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Logistic:
    """A coefficient a column and task, and which task each needs."""

    space: Space
    weights: dict[str, Floats]  # task → (columns + 1, k), the last row the intercept; k = 1 of a binary task
    given: dict[str, str]
    strengths: dict[str, float]  # task → the inverse penalty it was fitted with

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.weights)

    @classmethod
    def make(cls, bench: Bench, name: str) -> Logistic:
        """Of the examples alone."""
        return cls.fit(bench.data, bench.params.tasks)

    @classmethod
    @threadpool_limits.wrap(limits=1)
    def fit(
        cls, data: Dataset, tasks: Mapping[str, TaskParams], strengths: Mapping[str, float] | None = None
    ) -> Logistic:
        """Fitted on train, its penalty chosen on validation.

        Args:
            strengths: task → the inverse penalty, where it was chosen before.

        Raises:
            TriadError: a task has too few labels in train or validation.
        """
        names = data.meta.attributes
        space = Space(
            data.items.item_id[data.items.item_id.order()],
            data.meta.vocabulary_rows["category"],
            tuple(1 + data.meta.vocabulary_rows[name] for name in names),
            data.meta.context_mean,
            data.meta.context_std,
        )
        weights, chosen = {}, dict(strengths or {})
        tasks = of_unit("exposures", tasks)
        for name, task in tasks.items():
            if not KINDS[task.kind].is_classification:
                continue
            within = task.given if task.given in tasks else None
            rows, label = labelled(data, name, "train", both=True, within=within)
            classes = len(data.meta.classes.get(name, ()))
            matrix = _matrix(data, rows, space)
            if strengths is not None:
                weights[name] = _fit(matrix, label, strengths[name], classes)
                continue
            later, later_label = labelled(data, name, "validation", within=within)
            held = _matrix(data, later, space)
            tried = [_fit(matrix, label, strength, classes) for strength in STRENGTHS]
            losses = [log_loss(later_label, _score(held, each), labels=range(max(classes, 2))) for each in tried]
            best = int(np.argmin(losses))
            weights[name], chosen[name] = tried[best], STRENGTHS[best]
        given = {name: task.given for name, task in tasks.items() if name in weights and task.given in weights}
        return cls(space, weights, given, chosen)

    def refit(self, bench: Bench, name: str) -> Logistic:
        """Anew on all days, with the penalty that was chosen."""
        return Logistic.fit(bench.data, bench.params.tasks, self.strengths)

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """Shapes as `Member.predict`.

        Raises:
            TriadError: the dataset has another context or other attributes than it was fitted on.
        """
        chains = {task: chain(task, self.given) for task in self.weights if tasks is None or task in tasks}
        matrix = _matrix(data, rows, self.space)
        alone = {
            name: _score(matrix, self.weights[name]) for name in {each for names in chains.values() for each in names}
        }
        return {task: np.prod([alone[name] for name in names], axis=0) for task, names in chains.items()}

    def save(self, folder: Path) -> None:
        """The ids, one array a task, and the meaning."""
        folder.mkdir(parents=True, exist_ok=True)
        self.space.item_id.save(folder / "item_id.arrow")
        for task, values in self.weights.items():
            np.save(folder / f"task_{task}.npy", values, allow_pickle=False)
        meaning = {name: getattr(self.space, name) for name in ("categories", "attributes", "mean", "std")}
        chosen = {"tasks": list(self.weights), "given": self.given, "strengths": self.strengths}
        write_json(folder / "logistic.json", {**meaning, **chosen})

    @classmethod
    def load(cls, folder: Path) -> Logistic:
        """What `save` wrote."""
        meaning = read_json(folder / "logistic.json")
        weights = {name: np.load(folder / f"task_{name}.npy", allow_pickle=False) for name in meaning["tasks"]}
        lists = {name: tuple(meaning[name]) for name in ("attributes", "mean", "std")}
        item_id = Texts.load(folder / "item_id.arrow")
        space = Space(item_id, meaning["categories"], **lists)
        return cls(space, weights, meaning["given"], meaning["strengths"])


def _matrix(data: Dataset, rows: Ints, space: Space) -> csr_array:
    """(n, columns); what the space does not know is left out."""
    exposures, users = data.exposures, np.asarray(data.users.attributes)
    if data.exposures.context.shape[1] != len(space.mean) or users.shape[1] != len(space.attributes):
        widths = f"{data.exposures.context.shape[1]} context columns and {users.shape[1]} attributes"
        raise TriadError(
            f"{widths}, fitted on {len(space.mean)} and {len(space.attributes)}",
            where="member logistic",
            mend="give the features it was fitted on, or fit it again",
        )
    user, offered = np.asarray(exposures.user)[rows], np.asarray(exposures.item)[rows]
    place = space.item_id.places(data.items.item_id)
    states = look_back(data, user, np.asarray(exposures.history)[rows], recent=RECENT, half_life_days=HALF_LIFE_DAYS)
    taken = np.asarray(data.streams.item)[states.step]
    weight = states.weight / states.weight[states.start[states.owner + 1] - 1] if len(taken) else states.weight

    def bag(codes: Ints, width: int) -> csr_array:
        fits = (codes >= 0) & (codes < width)
        taken_counts = csr_array((weight[fits], (states.owner[fits], codes[fits])), shape=(states.count, width))
        taken_counts.sum_duplicates()
        taken_counts.data = np.log2(1 + taken_counts.data)  # once counts 1, often counts little more
        return taken_counts[states.inverse]

    def one_hot(codes: Ints, width: int) -> csr_array:
        fits = np.flatnonzero((codes >= 0) & (codes < width))
        return csr_array((np.ones(len(fits)), (fits, codes[fits])), shape=(len(codes), width))

    context = (np.asarray(exposures.context, np.float64)[rows] - space.mean) / space.std
    known = len(space.item_id)
    parts = [bag(codes[taken], space.categories) for codes in np.asarray(data.items.category).T]
    parts = [sum(parts[1:], parts[0])] if parts else []
    parts += [bag(place[taken], known), one_hot(place[offered], known)]
    parts += [one_hot(codes, width) for codes, width in zip(users[user].T, space.attributes, strict=True)]
    parts += [csr_array(np.nan_to_num(context)), csr_array(np.ones((len(rows), 1)))]
    matrix = csr_array(hstack(parts))
    short = (matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32))  # liblinear takes no others
    return csr_array(short, shape=matrix.shape)


def _fit(matrix: csr_array, label: Floats, strength: float, classes: int) -> Floats:
    """(columns, k) coefficients; the column of ones is the intercept, hardly penalised at these sizes."""
    if not classes:  # ten times as fast as the other solver on bags, but for two classes alone
        model = LogisticRegression(C=strength, solver="liblinear", fit_intercept=False).fit(matrix, label)
        return np.asarray(model.coef_).T
    model = LogisticRegression(C=strength, max_iter=500, fit_intercept=False).fit(matrix, label)
    wide = np.zeros((matrix.shape[1], classes))
    wide[-1] = -20.0  # a class that train never showed
    fitted = np.asarray(model.coef_).T
    wide[:, model.classes_.astype(int)] = fitted if fitted.shape[1] > 1 else np.hstack([-fitted / 2, fitted / 2])
    return wide


def _score(matrix: csr_array, weights: Floats) -> Floats:
    logits = matrix @ weights
    return expit(logits[:, 0]) if logits.shape[1] == 1 else softmax(logits, axis=1)
