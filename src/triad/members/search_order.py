"""The member `search_order`: trees that put the products of a query in order, by words and by what the products are.

LightGBM's trees (Ke et al. 2017) learn of train queries by XE-NDCG's loss (Bruch 2021, arXiv:1911.09798).
A shop judges a few hundred queries, so what one seed learns is half luck: several are grown, and their mean counts.
How many trees are best is as much luck of the few queries that would choose: the mean of few and many counts.
Where an encoder of texts is chosen, the trees start from what its vectors say, and learn what else counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.artifacts import read_json, write_json
from triad.boosting import grow_order, lightgbm, split_shares
from triad.config.members import Recipe
from triad.examples.dataset import Dataset
from triad.examples.searches import asked
from triad.features.corpus import corpus
from triad.features.sql import DAY
from triad.forest import Forest, Tree, forest
from triad.members.bench import Bench
from triad.members.labelled import labelled
from triad.members.popularity import item_shares
from triad.members.search_text import UNIT, choose, searched, settings_from
from triad.search.associations import Associations, out_of_fold
from triad.search.lexical import Settings, words_of
from triad.search.meaning import MEANT, Meaning
from triad.search.pairs import LEARNED, TEXT, Typed, association_columns, text_columns
from triad.search.retrieval import CANDIDATES, DEEP, RELEVANT, Found, chosen, retrieve

MEMBERS = Recipe("search_order", "SearchOrder", ("RowScorer", "Searcher"), reads=("tasks", "text"), answers="searches")
ITEM = ("price", "popularity", "age_days")
SETTINGS: Mapping[str, Any] = {
    "objective": "rank_xendcg",
    "learning_rate": 0.05,
    "num_leaves": 7,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "max_bin": 127,
    "force_row_wise": True,
    "seed": 1,
}
TREES = (25, 50, 100, 200)
"""Of a forest; the mean of what its first so many say counts."""
SEEDS = 8
"""Forests whose scores are averaged."""
FOLDS = 5
JUDGED = 300
"""Validation queries, at most, whose whole answers are looked at."""
START = 5.0
"""What a cosine of 1 counts where the trees start."""


@dataclass(frozen=True)
class SearchOrder:
    """The trees, and what their columns are made of."""

    task: str
    settings: Settings
    learned: Associations
    boosters: tuple[Any, ...]
    trees: tuple[int, ...] = TREES
    meaning: Meaning | None = None
    beside: bool = False  # whether BM25 has a say in which products of the whole catalogue are shown

    @property
    def tasks(self) -> tuple[str, ...]:
        return (self.task,)

    @classmethod
    def make(cls, bench: Bench, name: str) -> SearchOrder:
        """Raises TriadError: no task asks how well products answer a query, or no query has two judged products."""
        task = searched(bench, name)
        meaning = Meaning.chosen(bench.params.text, partial(corpus, bench.data))
        made = Lesson.of(bench.data, task, choose(bench.data, task), meaning).taught()
        return made.beside_words(bench.data)

    def beside_words(self, data: Dataset) -> SearchOrder:
        """With BM25 beside the trees where the first of the catalogue then hold more of what validation queries want.

        Trees learn of judged products, which somebody had found; of all others they may know too little.
        """
        rows, grades = labelled(data, self.task, "validation")
        rows, held = rows[grades >= RELEVANT], data.units[UNIT]
        query, item = np.asarray(held.query)[rows], np.asarray(held.item)[rows]
        numbers, texts = np.unique(query)[:JUDGED], held.queries
        queries, tried = [texts[int(number)] for number in numbers], replace(self, beside=True)
        answers = tried.search(data, queries, CANDIDATES)
        pairs = np.repeat(np.arange(len(answers)), [len(each.items) for each in answers])
        every = np.concatenate([np.zeros(0, np.int64), *(each.items for each in answers)])
        scores = self.predict(asked(data, queries, pairs, every), np.arange(len(every)))[self.task]
        gain = 0.0
        for place, (number, each) in enumerate(zip(numbers, answers, strict=True)):
            wanted, own = np.isin(each.items, item[query == number]), scores[pairs == place]
            alone, both = (wanted & chosen(own, by, DEEP) for by in (np.zeros(len(own)), each.words))
            gain += (both.sum() - alone.sum()) / (query == number).sum()
        return tried if gain > 0 else self

    def refit(self, bench: Bench, name: str) -> SearchOrder:
        """With the same settings, on all days."""
        made = Lesson.of(bench.data, self.task, self.settings, self.meaning).taught()
        return replace(made, beside=self.beside)

    def predict(self, data: Dataset, rows: Ints, tasks: Collection[str] | None = None) -> dict[str, Floats]:
        """What the trees say of each pair; higher stands further up."""
        if not len(rows):
            return {self.task: np.zeros(0)}
        return {self.task: self.scores(self.columns(data, rows))}

    def search(self, data: Dataset, queries: Sequence[str], count: int, allowed: Bools | None = None) -> list[Found]:
        """What matches by words, by letters, by what judgements say, or by meaning."""
        texts, popular = data.units[UNIT].texts, item_shares(data)
        ways: dict[str, Any] = {"popular": popular, "learned": self.learned, "meaning": self.meaning}
        return retrieve(texts, self.settings, queries, count, **ways, beside=self.beside, allowed=allowed)

    @property
    def shares(self) -> dict[str, float]:
        """Column → its share of what the trees' splits gain, largest first."""
        each = [split_shares(booster) for booster in self.boosters]
        mean = {name: sum(shares[name] for shares in each) / len(each) for name in each[0]}
        return dict(sorted(mean.items(), key=lambda pair: -pair[1]))

    def scores(self, columns: Floats) -> Floats:
        """(n,) for rows of `columns`."""
        start, said = _start(columns, self.meaning), self._forest.scores(columns)
        return said if start is None else said + start

    @cached_property
    def _forest(self) -> Forest:
        """All trees, each with the share of what is averaged that it is a part of."""
        trees = list[Tree]()
        for booster in self.boosters:
            for place, tree in enumerate(forest(booster.model_to_string())):
                share = np.mean(place < np.array(self.trees)) / len(self.boosters)
                trees.append(replace(tree, value=tree.value * share))
        return Forest(trees)

    def columns(self, data: Dataset, rows: Ints) -> Floats:
        """(n, columns) what the trees read of rows."""
        query, item, queries = _pairs(data, rows)
        said = association_columns(self.learned, data.units[UNIT].texts, queries, query, item)
        return np.hstack([_known(data, self.settings, self.meaning, rows), said])

    def save(self, folder: Path) -> None:
        """The trees as LightGBM's text, what words say, an encoder, and a few numbers. No query is in them."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.meaning is not None:
            self.meaning.save(folder)
        for number, booster in enumerate(self.boosters):
            (folder / f"trees_{number}.txt").write_text(booster.model_to_string(), encoding="utf-8")
        np.save(folder / "associations.npy", self.learned.table.astype(np.float32), allow_pickle=False)
        told = {"task": self.task, "settings": asdict(self.settings), "trees": self.trees, "beside": self.beside}
        write_json(folder / "search.json", told | {"asked": list(self.learned.asked), "said": list(self.learned.said)})

    @classmethod
    def load(cls, folder: Path) -> SearchOrder:
        """What `save` wrote."""
        told = read_json(folder / "search.json")
        asked, said = ({word: place for place, word in enumerate(told[name])} for name in ("asked", "said"))
        learned = Associations(asked, said, np.load(folder / "associations.npy", allow_pickle=False))
        library = lightgbm("fuse.members", "a list without search_order")
        files = sorted(folder.glob("trees_*.txt"))
        boosters = tuple(library.Booster(model_str=file.read_text(encoding="utf-8")) for file in files)
        settings, meaning = settings_from(told["settings"]), Meaning.load(folder)
        trees = tuple(np.atleast_1d(told["trees"]).tolist())  # a model may hold one number that was chosen
        return cls(told["task"], settings, learned, boosters, trees, meaning, told.get("beside", False))


@dataclass(frozen=True)
class Lesson:
    """What trees learn of, with what they need to be asked later."""

    task: str
    settings: Settings
    meaning: Meaning | None
    learned: Associations
    lists: tuple[Floats, Ints, Ints]  # of `boosting.grow_order`

    @classmethod
    def of(cls, data: Dataset, task: str, settings: Settings, meaning: Meaning | None) -> Lesson:
        """Of train queries."""
        rows, grades = labelled(data, task, "train")
        held = data.units[UNIT]
        query, item = np.asarray(held.query, np.int64)[rows], np.asarray(held.item, np.int64)[rows]
        words, texts = words_of(held.texts), list(held.queries)
        typed = Typed.of(held.texts, texts).typed
        pairs = query, item, grades
        learned = Associations.fit(typed, words.named, list(words.known), pairs)
        said = out_of_fold(typed, words.named, words.known, pairs, np.arange(len(texts)) % FOLDS)
        columns = np.hstack([_known(data, settings, meaning, rows), said])
        lists = columns, grades.astype(np.int32), np.unique(query, return_counts=True)[1]
        return cls(task, settings, meaning, learned, lists)

    def taught(self, seed: int = 1) -> SearchOrder:
        """A model, whose forests no other `seed` grows."""
        library = lightgbm("fuse.members", "a list without search_order")
        names, start = _names(self.meaning), _start(self.lists[0], self.meaning)
        boosters = tuple(
            grow_order(library, {**SETTINGS, "seed": each, "num_iterations": max(TREES)}, self.lists, names, start)
            for each in range(SEEDS * (seed - 1) + 1, SEEDS * seed + 1)
        )
        return SearchOrder(self.task, self.settings, self.learned, boosters, meaning=self.meaning)


COLUMNS = (*TEXT, *ITEM, *LEARNED)


def _pairs(data: Dataset, rows: Ints) -> tuple[Ints, Ints, list[str]]:
    """The queries and products of `rows`, queries numbered by those that are asked."""
    held = data.units[UNIT]
    asked, query = np.unique(np.asarray(held.query)[rows], return_inverse=True)
    return query, np.asarray(held.item, np.int64)[rows], [held.queries[int(number)] for number in asked]


def _names(meaning: Meaning | None) -> tuple[str, ...]:
    """Of the columns."""
    return (*([] if meaning is None else MEANT), *COLUMNS)


def _start(columns: Floats, meaning: Meaning | None) -> Floats | None:
    """(n,) what the trees add to."""
    return None if meaning is None else START * columns[:, 0].astype(np.float64)


def _known(data: Dataset, settings: Settings, meaning: Meaning | None, rows: Ints) -> Floats:
    """(n, `MEANT` where there is an encoder, `TEXT` and `ITEM`) float32."""
    query, item, queries = _pairs(data, rows)
    order = np.argsort(query, kind="stable")
    held, ordered = data.units[UNIT].texts, (query[order], item[order])
    parts = [] if meaning is None else [meaning.columns(held, queries, *ordered)]
    parts.append(text_columns(held, settings, queries, *ordered))
    texts = np.empty((len(rows), sum(part.shape[1] for part in parts)), np.float32)
    texts[order] = np.hstack(parts)
    age = (data.meta.windows["train"][1] - np.asarray(data.items.available_from)[item]) / DAY
    price, share = np.asarray(data.items.log_price)[item], np.log(item_shares(data)[item])
    return np.column_stack([texts, price, share, age]).astype(np.float32)
