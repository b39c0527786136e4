"""The member `trees`: boosted trees on the user's history so far, one model per pointwise task.

A task that is given another (a purchase, given a click) is learnt where that one happened and multiplied by its
probability: the entire-space product of Ma et al. 2018 (arXiv:1804.07931), here of trees.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.members import Recipe
from triad.config.profile import ProfileParams
from triad.config.tasks import TaskParams, chain
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.features.dataset import Meta
from triad.kinds import KINDS
from triad.members import trees_stored as stored
from triad.members.bench import Bench
from triad.members.item_index import Aligning, align_vectors
from triad.members.labelled import labelled
from triad.members.trees_boosted import ONE_THREAD, Asked, count, grow, versions
from triad.members.trees_columns import Basis, Column, fit_basis, table
from triad.members.trees_encodings import Encoding, encode, encode_train
from triad.members.trees_stored import Trees
from triad.tasks import LABELS, of_unit
from triad.texts import Texts
from triad.threads import side_by_side

log = logging.getLogger("triad.profile")
ARRAYS = ("vectors", "axes", "price")
ROWS = 100_000
"""Exposures whose columns are made at once, which keeps memory flat."""
MEMBERS = Recipe(
    "trees", "BoostedTrees", ("RowScorer",), "profile", reads=("pretrain", "profile", "tasks"), formerly="profile"
)


@dataclass(frozen=True)
class BoostedTrees(Aligning):
    """Trees a task, the columns each reads, and the vectors of the items known when it was fitted."""

    item_id: Texts  # (known,) sorted
    vectors: Floats  # (known, dim)
    basis: Basis
    trees: dict[str, list[Trees]]  # task → fits whose mean it answers
    columns: dict[str, list[str]]  # task → names of the columns its trees read
    encodings: dict[str, Encoding]  # task → what steps say of it
    given: dict[str, str]  # task → the task whose probability it multiplies
    inputs: dict[str, Any]  # of Meta, what the columns depend on
    library: str  # as ProfileParams.trees

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.trees)

    @classmethod
    def make(cls, bench: Bench, name: str) -> BoostedTrees:
        """Of the examples and the pretrained item vectors."""
        return cls.fit(bench.data, bench.vectors(), bench.params.tasks, bench.params.profile)

    @classmethod
    def fit(
        cls,
        data: Dataset,
        vectors: Floats,
        tasks: Mapping[str, TaskParams],
        params: ProfileParams,
        rounds: Mapping[str, Sequence[int]] | None = None,
    ) -> BoostedTrees:
        """Trees from train rows, each task's stopped where its validation loss stops falling.

        Args:
            vectors: (n_items, dim) pretrained item vectors, in catalogue rows (`pretrained.item_vectors`).
            rounds: task → how many rounds each of its fits has, and nothing is held out to stop them.

        Raises:
            TriadError: a task has too few labels in train or validation.
        """
        if not params.vectors:
            vectors = np.zeros((len(vectors), 1), np.float32)
        order = data.items.item_id.order()
        known = data.items.item_id[order]
        place = known.places(data.items.item_id)
        aligned = align_vectors(place, vectors[order], data.items)
        basis = fit_basis(data, aligned, params.components)
        trees: dict[str, list[Trees]] = {}
        small: dict[str, list[Callable[[], Trees]]] = {}
        read: dict[str, list[str]] = {}
        encodings: dict[str, Encoding] = {}
        tasks = of_unit("exposures", tasks)
        for name, task in tasks.items():
            kind = KINDS[task.kind]
            within = task.given if task.given in tasks else None
            rows, label = labelled(data, name, "train", both=kind.is_classification, within=within)
            parts = LABELS[task.label].reads
            candidates, held_out = table(data, rows, aligned, basis), list[Column]()
            if rounds is None:
                later, later_label = labelled(data, name, "validation", within=within)
                held_out = table(data, later, aligned, basis)
            if "odds" in parts and kind.is_classification and len(data.streams.item):
                classes = len(data.meta.classes.get(name, ()))
                encodings[name], own = encode_train(data, rows, label, place=place, classes=classes, seed=params.seed)
                candidates += own
                held_out += encode(data, later, place, encodings[name]) if rounds is None else []
            # the trees cannot bin a column that no row knows
            columns = [c for c in candidates if c.part in parts and np.isfinite(c.values).any()]
            read[name] = [c.name for c in columns]
            matrix = _matrix(columns)
            del candidates, columns  # of a large shop they take as much memory as all else
            if rounds is None:
                held = _take(held_out, read[name]), later_label
                until: dict[int, Any] = dict.fromkeys(_seeds(params, len(rows)), held)
            else:
                until = dict(zip(_seeds(params, len(rows)), rounds[name], strict=False))  # more rows, fewer fits
            fits: list[Callable[[], Trees]] = [
                partial(grow, kind, params, seed, (matrix, label), until[seed]) for seed in until
            ]
            if len(rows) > ONE_THREAD:  # each takes all processors, and its table is let go before the next one
                trees[name] = [fit() for fit in fits]
            else:
                small[name] = fits
            log.info("%s: %d rows × %d columns", name, *matrix.shape)
        grown = trees | _grown(small)
        trees = {name: grown[name] for name in tasks}
        for name, models in trees.items():
            log.info("%s: %s trees", name, ", ".join(str(count(model)) for model in models))
        given = {name: task.given for name, task in tasks.items() if task.given in trees and name in trees}
        return cls(known, vectors[order], basis, trees, read, encodings, given, _inputs(data.meta), params.trees)

    def refit(self, bench: Bench, name: str) -> BoostedTrees:
        """Anew on all days, with as many trees as were chosen."""
        rounds = {task: [count(model) for model in models] for task, models in self.trees.items()}
        return BoostedTrees.fit(bench.data, bench.vectors(), bench.params.tasks, bench.params.profile, rounds)

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """Scores of the tasks it was fitted on; shapes as `Member.predict`.

        Raises:
            TriadError: the dataset's context or attributes are not those it was fitted on.
        """
        if (inputs := _inputs(data.meta)) != self.inputs:
            differ = [name for name in inputs if inputs[name] != self.inputs.get(name)]
            raise TriadError(
                "; ".join(f"{name} is {inputs[name]}, fitted on {self.inputs.get(name)}" for name in differ),
                where="member trees",
                mend="transform the tables with the features this member was fitted on, or fit it again",
            )
        place, vectors = self.aligned(data)
        chains = {task: chain(task, self.given) for task in self.trees if tasks is None or task in tasks}
        parts_of: dict[str, list[Floats]] = {name: [] for names in chains.values() for name in names}
        for part in np.split(rows, range(ROWS, len(rows), ROWS)):
            columns = table(data, part, vectors, self.basis) if len(part) else []
            for task in parts_of:
                own = encode(data, part, place, self.encodings[task]) if task in self.encodings else []
                matrix = _take(columns + own, self.columns[task]) if len(part) else np.zeros((0, 0))
                fits = self._asked(task)
                mean = partial(_mean_score, fits, len(data.meta.classes.get(task, ())))
                parts_of[task] += side_by_side(mean, np.split(matrix, range(fits[0].block, len(matrix), fits[0].block)))
        alone = {task: np.concatenate(parts) for task, parts in parts_of.items()}
        return {task: np.prod([alone[name] for name in names], axis=0) for task, names in chains.items()}

    def _asked(self, task: str) -> list[Asked]:
        """The fits of a task, arranged when it is first asked about."""
        kept: dict[str, list[Asked]] = self.__dict__.setdefault("arranged", {})  # no field, so that it is not saved
        if task not in kept:
            kept[task] = [Asked.of(model) for model in self.trees[task]]
        return kept[task]

    def align(self, data: Dataset) -> tuple[Ints, Floats]:
        """Each item's place among those known when it was fitted, and its vector."""
        place = self.item_id.places(data.items.item_id)
        return place, align_vectors(place, self.vectors, data.items)

    def save(self, folder: Path) -> None:
        """Arrays, one file of trees a task, and what they read."""
        folder.mkdir(parents=True, exist_ok=True)
        self.item_id.save(folder / "item_id.arrow")
        arrays = {"vectors": self.vectors, "axes": self.basis.axes, "price": self.basis.price}
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        for task, models in self.trees.items():
            stored.save(_trees(folder, task), models)
        for task, encoding in self.encodings.items():
            np.savez(folder / f"{task}.npz", items=encoding.items, categories=encoding.categories)
        meaning = {name: getattr(self, name) for name in ("columns", "given", "inputs", "library")}
        meaning |= {"categories": list(self.basis.categories), "encoded": list(self.encodings)}
        write_json(folder / "trees.json", meaning | {"versions": versions(self.library)})

    @classmethod
    def load(cls, folder: Path) -> BoostedTrees:
        """What `save` wrote.

        Raises:
            TriadError: it was written by another version of the trees' library, whose trees this one may misread.
        """
        meaning = read_json(folder / "trees.json")
        here = versions(meaning["library"])
        if differ := [name for name, version in meaning["versions"].items() if version != here[name]]:
            raise TriadError(
                f"fitted with {differ[0]} {meaning['versions'][differ[0]]}, here is {here[differ[0]]}",
                where=str(folder),
                mend="use the model's own requirements, or fit it again",
            )
        arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in ARRAYS}
        basis = Basis(arrays.pop("axes"), tuple(meaning["categories"]), arrays.pop("price"))
        trees = {task: stored.load(_trees(folder, task)) for task in meaning["columns"]}
        encodings = {}
        for task in meaning["encoded"]:
            with np.load(folder / f"{task}.npz", allow_pickle=False) as file:
                encodings[task] = Encoding(**file)
        numbers = {name: meaning[name] for name in ("columns", "given", "inputs", "library")}
        item_id = Texts.load(folder / "item_id.arrow")
        return cls(item_id, **arrays, basis=basis, trees=trees, encodings=encodings, **numbers)


def _trees(folder: Path, task: str) -> Path:
    return folder / f"{task}.trees.npz"


def _mean_score(models: Sequence[Asked], classes: int, rows: Floats) -> Floats:
    return np.asarray(np.mean([model.scores(rows, classes) for model in models], axis=0))


def _grown(fits: Mapping[str, Sequence[Callable[[], Trees]]]) -> dict[str, list[Trees]]:
    """The fits of all tasks side by side; their results follow one another as the fits do."""
    done = iter(side_by_side(lambda fit: fit(), [fit for each in fits.values() for fit in each]))
    return {name: [next(done) for _ in each] for name, each in fits.items()}


def _inputs(meta: Meta) -> dict[str, Any]:
    return {"context": list(meta.context), "vocabularies": sorted(meta.vocabulary_rows)}


def _seeds(params: ProfileParams, rows: int) -> range:
    """One fit a seed: as many as together read no more than `bag_rows` rows, eight at most.

    Fits differ by the columns that each split is offered, and their mean varies less than one of them. On the simulated
    shop's purchases eight fits gained 0.0009 of AUC over one (mean of three seeds' validation and fusion windows).
    """
    return range(params.seed, params.seed + max(1, min(8, params.bag_rows // max(rows, 1))))


def _matrix(columns: list[Column]) -> Floats:
    matrix = np.empty((len(columns[0].values), len(columns)), np.float32)
    for place, column in enumerate(columns):
        matrix[:, place] = column.values
    return matrix


def _take(columns: list[Column], names: list[str]) -> Floats:
    """Column after column in memory, as trees in NumPy read them."""
    by_name = {c.name: c for c in columns}
    return np.stack([np.asarray(by_name[name].values, np.float32) for name in names]).T
