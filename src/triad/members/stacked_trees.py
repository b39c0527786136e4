"""The member `stacked_trees`: trees that also read the similarity member's scores, out of fold during training."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.members import Recipe
from triad.config.profile import ProfileParams
from triad.config.similarity import SimilarityParams
from triad.config.tasks import TaskParams
from triad.examples.dataset import Dataset
from triad.kinds import KINDS
from triad.members.bench import Bench
from triad.members.item_similarity import Similarity
from triad.members.sharing import Shared, share
from triad.members.trees import BoostedTrees
from triad.tasks import of_unit

FOLDS = 4
"""The giver of a fold knows three quarters of the users: nearly as good as the one of all that scores later days."""
MEMBERS = Recipe(
    "stacked_trees",
    "StackedTrees",
    ("RowScorer",),
    stage="profile",
    reads=("pretrain", "profile", "similarity", "tasks"),
    asked_by="profile.stacked",
    formerly="informed",
)


@dataclass(frozen=True)
class StackedTrees:
    """A reader, and who it listens to."""

    shared: Shared
    reader: BoostedTrees

    @property
    def tasks(self) -> tuple[str, ...]:
        return self.reader.tasks

    @classmethod
    def make(cls, bench: Bench, name: str) -> StackedTrees:
        """Of the examples, the pretrained item vectors, and similarity members of its own."""
        params = bench.params
        return cls.fit(bench.data, bench.vectors(), params.tasks, params.profile, params.similarity)

    @classmethod
    def fit(
        cls,
        data: Dataset,
        vectors: Floats,
        tasks: Mapping[str, TaskParams],
        params: ProfileParams,
        similarity: SimilarityParams,
    ) -> StackedTrees:
        """Trees on the context and the similarity member's logit of each binary task; `vectors` as `BoostedTrees.fit`.

        Raises:
            TriadError: a task has too few labels in train or validation, or there are fewer users than folds.
        """
        tasks = of_unit("exposures", tasks)
        heard = tuple(name for name, task in tasks.items() if KINDS[task.kind].is_event)

        def give(part: Dataset) -> Similarity:
            return Similarity.fit(part, vectors, {name: tasks[name] for name in heard}, similarity)

        known, shared = share(data, give, heard, folds=FOLDS, seed=params.seed)
        return cls(shared, BoostedTrees.fit(known, vectors, tasks, params))

    def refit(self, bench: Bench, name: str) -> StackedTrees:
        """Anew on all days; giver and reader keep what they chose."""
        giver = self.shared.giver
        assert isinstance(giver, Similarity), "as `fit` and `load` make it"

        def give(part: Dataset) -> Similarity:
            return giver.refit(replace(bench, data=part), "similarity")

        known, shared = share(bench.data, give, self.shared.tasks, folds=FOLDS, seed=bench.params.profile.seed)
        return StackedTrees(shared, self.reader.refit(replace(bench, data=known), "profile"))

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """Scores of the reader's tasks; shapes as `Member.predict`."""
        return self.reader.predict(self.shared.add(data, rows), rows, tasks)

    def save(self, folder: Path) -> None:
        """The two, each in a folder of its own."""
        assert isinstance(self.shared.giver, Similarity), "as `fit` and `load` make it"
        self.shared.giver.save(folder / "giver")
        self.reader.save(folder / "reader")
        write_json(folder / "stacked_trees.json", {"tasks": self.shared.tasks})

    @classmethod
    def load(cls, folder: Path) -> StackedTrees:
        """What `save` wrote."""
        heard = tuple(read_json(folder / "stacked_trees.json")["tasks"])
        return cls(Shared(Similarity.load(folder / "giver"), heard), BoostedTrees.load(folder / "reader"))
