"""The member `search_text`: BM25 over title, description, category and brand. What any search engine does."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.artifacts import read_json, write_json
from triad.config.members import Recipe
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.kinds.graded import ORDER
from triad.members.bench import Bench
from triad.members.labelled import labelled
from triad.members.popularity import item_shares
from triad.search.lexical import FIELDS, Settings, index_of
from triad.search.pairs import Typed
from triad.search.retrieval import Found, retrieve
from triad.tasks import of_unit

MEMBERS = Recipe("search_text", "SearchText", ("RowScorer", "Searcher"), answers="searches")
UNIT = "searches"
TRIED = tuple(product((0.6, 1.2, 2.0), (0.25, 0.5, 0.75)))
"""k1 and b."""
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class SearchText:
    """BM25 by its settings."""

    task: str
    settings: Settings

    @property
    def tasks(self) -> tuple[str, ...]:
        return (self.task,)

    @classmethod
    def make(cls, bench: Bench, name: str) -> SearchText:
        """Settings that put validation queries in the best order.

        Raises:
            TriadError: no task asks how well products answer a query.
        """
        task = searched(bench, name)
        return cls(task, choose(bench.data, task))

    def refit(self, bench: Bench, name: str) -> SearchText:
        """The same settings; the catalogue is read where it is searched."""
        return self

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """BM25 of each pair."""
        held = data.units[UNIT]
        query, item = np.asarray(held.query)[rows], np.asarray(held.item)[rows]
        fields = field_scores(data, self.settings, query, item)
        return {self.task: fields @ np.array(self.settings.weights)}

    def search(self, data: Dataset, queries: Sequence[str], count: int, allowed: Bools | None = None) -> list[Found]:
        """What matches by words or letters."""
        texts = data.units[UNIT].texts
        return retrieve(texts, self.settings, queries, count, popular=item_shares(data), allowed=allowed)

    def save(self, folder: Path) -> None:
        """A few numbers."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "search.json", {"task": self.task, "settings": asdict(self.settings)})

    @classmethod
    def load(cls, folder: Path) -> SearchText:
        """What `save` wrote."""
        told = read_json(folder / "search.json")
        return cls(told["task"], settings_from(told["settings"]))


def settings_from(told: dict[str, Any]) -> Settings:
    """Settings as JSON gives them back."""
    return Settings(**{**told, "weights": tuple(told["weights"])})


def searched(bench: Bench, member: str) -> str:
    """The task that asks how well products answer queries.

    Raises:
        TriadError: there is none.
    """
    task = next(iter(of_unit(UNIT, bench.params.tasks)), None)
    if task is None:
        mend = "add a task of the label relevance, or take the member out of fuse.members"
        raise TriadError("no task asks how well products answer a query", where=f"member {member}", mend=mend)
    return task


def field_scores(data: Dataset, settings: Settings, query: Ints, item: Ints) -> Floats:
    """(n, fields) BM25 of pairs, in any order."""
    held = data.units[UNIT]
    asked, row = np.unique(query, return_inverse=True)
    index, read = index_of(held.texts, settings), Typed.of(held.texts, [held.queries[int(number)] for number in asked])
    scores = np.zeros((len(query), len(FIELDS)))
    for block, fields in index.blocks(read.corrected):
        here = (row >= block.start) & (row < block.stop)
        scores[here] = fields[:, row[here] - block.start, item[here]].T
    return scores


def choose(data: Dataset, task: str) -> Settings:
    """k1 and b, and weights of fields one after the other, by the order of validation queries."""
    rows, grades = labelled(data, task, "validation")
    held = data.units[UNIT]
    query, item = np.asarray(held.query)[rows], np.asarray(held.item)[rows]

    def worth(scores: Floats) -> float:
        return float(ORDER.worth(scores, grades, query)[1].mean())

    best: tuple[float, Settings] | None = None
    for k1, b in TRIED:
        fields = field_scores(data, Settings(k1, b), query, item)
        weights = list(Settings().weights)
        top = worth(fields @ np.array(weights))
        for place in (0, 1, 2, 3, 1, 2, 3):
            for weight in WEIGHTS:
                tried = [*weights[:place], weight, *weights[place + 1 :]]
                if any(tried) and (value := worth(fields @ np.array(tried))) > top + 1e-9:
                    top, weights = value, tried
        if best is None or top > best[0] + 1e-9:
            best = top, replace(Settings(k1, b), weights=tuple(weights))
    assert best is not None
    return best[1]
