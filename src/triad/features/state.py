"""What `fit` learned from the tables, which `transform` applies again when the model serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from triad.artifacts import read_json, write_json
from triad.config.features import FeaturesParams
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.features import vocabulary
from triad.features.dataset import Meta, meta_from, meta_to
from triad.features.vectors import ItemVectors
from triad.features.vocabulary import Vocabulary
from triad.kinds import KINDS
from triad.tasks import LABELS

VECTORS = "vectors"
"""Folder of a state."""


@dataclass(frozen=True)
class State:
    """Everything that must be the same when a model serves as when it was trained."""

    params: FeaturesParams
    tasks: Mapping[str, TaskParams]
    meta: Meta
    vocabularies: Mapping[str, Vocabulary]
    kinds: tuple[int, ...]  # kinds of event the source records, as places in EVENT_KINDS
    surfaces: tuple[str, ...]  # the surfaces most seen in train
    prices_given: bool  # whether the source has a table of prices
    queries_given: bool  # whether exposures carry what was searched for
    learned: Mapping[str, Any]  # unit → what it learned of its train rows, as JSON holds it
    warm_items: tuple[str, ...]  # ids with min_count train interactions
    vectors: ItemVectors | None = None  # encoders of what items say and show

    def save(self, folder: Path) -> None:
        """Write `state.json`, `warm_items.parquet`, `vocabularies/` and, where there are any, `vectors/`."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.vectors is not None:
            self.vectors.save(folder / VECTORS)
        vocabulary.save(self.vocabularies, folder / "vocabularies")
        pq.write_table(pa.table({"item_id": pa.array(self.warm_items, pa.string())}), folder / "warm_items.parquet")
        write_json(
            folder / "state.json",
            {
                "params": self.params.model_dump(mode="json"),
                "tasks": {name: task.model_dump(mode="json") for name, task in self.tasks.items()},
                "task_order": list(self.tasks),
                "meta": meta_to(self.meta),
                "kinds": self.kinds,
                "surfaces": self.surfaces,
                "prices_given": self.prices_given,
                "queries_given": self.queries_given,
                "learned": dict(self.learned),
            },
        )

    @classmethod
    def load(cls, folder: Path) -> State:
        """The state that `save` wrote.

        Raises:
            TriadError: a task of it has a label or a kind that this code lacks.
        """
        raw = read_json(folder / "state.json")
        tasks = {name: TaskParams.model_validate(raw["tasks"][name]) for name in raw["task_order"]}
        for name, task in tasks.items():
            for key, value, known in (("label", task.label, LABELS), ("kind", task.kind, KINDS)):
                if value not in known:
                    raise TriadError(
                        f"task {name!r} was learned with the {key} {value!r}, which this code lacks",
                        where=str(folder / "state.json"),
                        mend=f"add that {key}, check out the commit `triad why` names, or train again without the task",
                    )
        return cls(
            params=FeaturesParams.model_validate(raw["params"]),
            tasks=tasks,
            meta=meta_from(raw["meta"]),
            vocabularies=vocabulary.load(folder / "vocabularies"),
            kinds=tuple(raw["kinds"]),
            surfaces=tuple(raw["surfaces"]),
            prices_given=raw["prices_given"],
            queries_given=raw["queries_given"],
            learned=raw["learned"],
            warm_items=tuple(pq.read_table(folder / "warm_items.parquet")["item_id"].to_pylist()),
            vectors=ItemVectors.load(folder / VECTORS),
        )
