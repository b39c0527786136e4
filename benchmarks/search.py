"""Search on a public catalogue with graded queries (Chorus): re-ranking of judged products, recall over all of them.

    TRIAD_DATASETS=… python benchmarks/search.py [--encoder FOLDER] [--seeds 1 2 3 4 5] [--recall]

Queries are dealt into five folds by md5. The members `search_text` and `search_order` are what a night makes: of the
four other folds one is validation, which chooses the settings of BM25 and whether BM25 stands beside the trees; then
all four are learned of.
NDCG@10 has a gain of 2^grade - 1, over the queries with a relevant product. Intervals are 95 %, of a bootstrap over
queries. FOLDER holds a BERT-like encoder (`text.encoder`); without one, no vectors are read.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.config.text import TextParams
from triad.datasets.base import folder
from triad.examples.dataset import Dataset, nobody
from triad.examples.searches import Searches, asked
from triad.features.dataset import SPLITS, Meta
from triad.members.search_order import Lesson, SearchOrder
from triad.members.search_text import SearchText, choose
from triad.search.lexical import FIELDS, Settings, index_of
from triad.search.meaning import Meaning
from triad.search.pairs import Typed
from triad.search.retrieval import CANDIDATES, chosen, hybrid
from triad.search.words import query_words
from triad.statistics.orders import ndcg
from triad.texts import Texts

FOLDS, K, RESAMPLES, TASK = 5, 10, 2_000, "search"
DEEP, RELEVANT = 100, 2
"""First products of all, and the least grade, of recall."""
SERVED = ("the trees' order alone", "the first by it and by words", "the first by it and by words with meaning")
"""What may be served; a night chooses between the first two of them."""
SHARES = (0.0, 0.1, 0.25, 0.5, 1.0)
"""Of meaning beside words, for candidates."""


@dataclass(frozen=True)
class Chorus:
    """The catalogue, the queries, and the judged pairs by query."""

    texts: dict[str, Texts]
    price: Floats
    queries: list[str]
    query: Ints
    item: Ints
    grade: Floats

    @property
    def fold(self) -> Ints:
        """(queries,)."""
        return np.array([int(hashlib.md5(text.encode()).hexdigest(), 16) % FOLDS for text in self.queries])


def read() -> Chorus:
    """What lies in the folder `chorus`."""
    place, products = folder() / "chorus", []
    for path in sorted(place.glob("*.json.zip")):
        with zipfile.ZipFile(path) as packed:
            products += json.loads(packed.read(packed.namelist()[0]))
    ids = {str(each["id"]): number for number, each in enumerate(products)}
    rows: dict[tuple[str, int], float] = {}
    with (place / "Broad_Query_Set_rated.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["docid"] in ids:
                rows[row["query"], ids[row["docid"]]] = float(row["rating"])
    queries = sorted({query for query, _ in rows})
    place_of = {query: number for number, query in enumerate(queries)}
    pairs = sorted((place_of[query], item, grade) for (query, item), grade in rows.items())
    query, item, grade = (np.array(part) for part in zip(*pairs, strict=True))
    return Chorus(
        {name: Texts.of([_said(each, name) for each in products]) for name in FIELDS},
        np.log1p(np.array([float(each.get("price") or np.nan) for each in products])),
        *(queries, query, item, grade.astype(float)),
    )


def _said(product: dict[str, Any], field: str) -> str:
    if field == "category":  # the catalogue has no tree of categories: attributes say what a product is
        return " ".join(str(value) for key, value in product.items() if key.startswith("attr_t_") and value)
    return str(product.get({"title": "title", "description": "short_description", "brand": "supplier"}[field]) or "")


def dataset(data: Chorus, test: int) -> Dataset:
    """The night whose test queries are fold `test`, and whose validation queries are the fold after it."""
    split = np.full(len(data.queries), SPLITS.index("train"))
    split[data.fold == (test + 1) % FOLDS] = SPLITS.index("validation")
    split[data.fold == test] = SPLITS.index("test")
    size = len(data.price)
    searches = Searches(
        row_id=Texts.of([""] * len(data.query)),
        query=data.query,
        item=data.item,
        split=split[data.query].astype(np.int8),
        labels=data.grade[:, None].astype(np.float32),
        judged=np.ones(len(data.query), bool),
        queries=Texts.of(data.queries),
        typed=np.zeros(len(data.queries), np.int64),
        **data.texts,
    )
    meta = Meta({"searches": (TASK,)}, {}, (), (), (), {}, 3, dict.fromkeys(SPLITS, (0, 0)), False, 0.0)
    made = nobody(meta, {"searches": searches})
    known = {"item_id": Texts.of([""] * size), "log_price": data.price, "available_from": np.zeros(size, np.int64)}
    return made.replaced(items=replace(made.items, **known))


def refitted(made: Dataset) -> Dataset:
    """All that is not test is learned from."""
    held, test = made.units["searches"], SPLITS.index("test")
    return made.replaced(searches=replace(held, split=np.where(held.split == test, test, 0).astype(np.int8)))


def worth(data: Chorus, scores: Floats, rows: Ints) -> Floats:
    """(queries,) NDCG@10, NaN where nothing is relevant or the query is not of `rows`."""
    return ndcg(scores[rows], data.grade[rows], data.query[rows], len(data.queries), K)


def shown(name: str, values: Floats, against: Floats | None = None) -> None:
    """Mean and interval over queries; of the gain over `against`, too."""
    known = np.isfinite(values)
    draws = np.random.default_rng(0).poisson(1.0, (RESAMPLES, int(known.sum())))

    def of(part: Floats) -> str:
        means = draws @ part[known] / draws.sum(axis=1)
        low, high = np.quantile(means, (0.025, 0.975))
        return (
            f"{part[known].mean():+.4f} [{low:+.4f}, {high:+.4f}]"
            if part is not values
            else f"{part[known].mean():.4f} [{low:.4f}, {high:.4f}]"
        )

    gain = "" if against is None else f" | {of(values - against)}"
    print(f"| {name} | {of(values)}{gain} | {known.sum()} |", flush=True)


def main() -> None:
    """Print figures as Markdown rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5])
    parser.add_argument("--recall", action="store_true")
    how = parser.parse_args()
    data, meaning = read(), Meaning.chosen(TextParams(encoder=how.encoder)) if how.encoder else None
    if how.recall:
        recall(data, data.fold, meaning)
        return
    every, fold = np.arange(len(data.query)), data.fold[data.query]
    words, near, trees = np.zeros(len(every)), np.zeros(len(every)), np.zeros((len(how.seeds), len(every)))
    served = {name: np.full(len(data.queries), np.nan) for name in SERVED}
    as_served = np.full(len(data.queries), np.nan)
    for number in range(FOLDS):
        night, held = dataset(data, number), np.flatnonzero(fold == number)
        settings = choose(night, TASK)
        first = Lesson.of(night, TASK, settings, meaning).taught().beside_words(night)
        lesson = Lesson.of(refitted(night), TASK, settings, meaning)
        words[held] = SearchText(TASK, settings).predict(night, held)[TASK]
        table = None
        for place, seed in enumerate(how.seeds):
            model = lesson.taught(seed)
            table = model.columns(night, held) if table is None else table
            trees[place, held] = model.scores(table)
        near[held] = 0 if meaning is None or table is None else table[:, 0]
        wanted = np.flatnonzero(data.fold == number)
        model = replace(lesson.taught(how.seeds[0]), beside=True)
        for name, values in _whole(data, night, model, wanted).items():
            served[name][wanted] = values
        as_served[wanted] = served[SERVED[int(first.beside)]][wanted]
        print(f"fold {number}: {settings}, {SERVED[int(first.beside)]}", flush=True)
    base = worth(data, words, every)
    shown("random order", worth(data, np.zeros(len(every)), every))
    shown("search_text (BM25 by field)", base)
    if meaning is not None:
        shown("cosine of vectors", worth(data, near, every), base)
    for seed, scores in zip(how.seeds, trees, strict=True):
        print(f"seed {seed}: {np.nanmean(worth(data, scores, every)):.4f}")
    shown("search_order, mean over seeds", np.mean([worth(data, each, every) for each in trees], axis=0), base)
    shown("search_order, seeds averaged", worth(data, trees.mean(axis=0), every), base)
    plain = _recall(data, _as_it_comes(data), DEEP, RELEVANT)
    for name, values in served.items():
        shown(f"recall@{DEEP} over BM25 as it comes, {name}", values, plain)
    shown("whichever of the first two validation queries choose, as it serves", as_served, plain)


def _whole(data: Chorus, night: Dataset, model: SearchOrder, wanted: Ints) -> dict[str, Floats]:
    """Of `SERVED`, (wanted,) recall of relevant products among the first of what a model finds and puts in order."""
    queries = [data.queries[number] for number in wanted]
    found = model.search(night, queries, CANDIDATES)
    near = [np.zeros(len(data.price))] * len(queries)
    if model.meaning is not None:
        near = [row for block in model.meaning.near(night.units["searches"].texts, queries) for row in block]
    query, item = np.repeat(np.arange(len(found)), [len(each.items) for each in found]), [each.items for each in found]
    said = model.predict(asked(night, queries, query, np.concatenate(item)), np.arange(len(query)))[TASK]
    recalls = {name: np.zeros(len(wanted)) for name in SERVED}
    for place, (number, each) in enumerate(zip(wanted, found, strict=True)):
        relevant = data.item[(data.query == number) & (data.grade >= RELEVANT)]
        beside = np.zeros(len(each.items)), each.words, hybrid(each.words, near[place][each.items])
        for name, by in zip(SERVED, beside, strict=True):
            first = each.items[chosen(said[query == place], by, DEEP)]
            recalls[name][place] = np.isin(relevant, first).mean() if len(relevant) else np.nan
    return recalls


def _as_it_comes(data: Chorus) -> Floats:
    """(queries, n_items) BM25, all fields alike."""
    plain, typed = index_of(data.texts, Settings(1.5, 0.75)), [query_words(query) for query in data.queries]
    return np.concatenate([scores.sum(axis=0) for _, scores in plain.blocks(typed)])


def recall(data: Chorus, fold: Ints, meaning: Meaning | None, deep: int = DEEP, relevant: int = RELEVANT) -> None:
    """Recall of relevant products among the first hundred of all: BM25 as it comes, and with a share of meaning."""
    plain, base = index_of(data.texts, Settings(1.5, 0.75)), _recall(data, _as_it_comes(data), deep, relevant)
    shown("BM25 as it comes", base)
    if meaning is None:
        return
    near = np.concatenate([each.mean(axis=0) for _, each in meaning.blocks(data.texts, data.queries)])
    shown("vectors", _recall(data, near, deep, relevant), base)
    read = np.concatenate(
        [scores.sum(axis=0) for _, scores in plain.blocks(Typed.of(data.texts, data.queries).corrected)]
    )
    fused = np.stack([_ranked(*pair) for pair in zip(read, near, strict=True)])
    shown("reciprocal ranks of both, 60", _recall(data, fused, deep, relevant), base)
    tried = []
    for share in SHARES:
        scores = np.stack([hybrid(*pair, share) for pair in zip(read, near, strict=True)])
        tried.append(_recall(data, scores, deep, relevant))
        shown(f"share {share}", tried[-1], base)
    for name, pick in (("with the best mean", _best), ("within one standard error of it, the least", _least)):
        own, picked = np.full(len(data.queries), np.nan), list[float]()
        for number in range(FOLDS):
            place = pick([each[fold != number] for each in tried])
            own[fold == number] = tried[place][fold == number]
            picked.append(SHARES[place])
        shown(f"the share that the other folds choose, {name}: {picked}", own, base)


def _best(tried: Sequence[Floats]) -> int:
    return int(np.argmax([np.nanmean(each) for each in tried]))


def _least(tried: Sequence[Floats]) -> int:
    """The first that lacks no more of the best than one standard error (Breiman et al. 1984), of queries."""
    best = tried[_best(tried)]
    lack = [(best - each)[np.isfinite(best)] for each in tried]
    return next(place for place, of in enumerate(lack) if of.mean() <= of.std(ddof=1) / np.sqrt(len(of)))


def _ranked(words: Floats, near: Floats) -> Floats:
    """(n_items,) reciprocal-rank fusion with its published constant (Cormack et al. 2009); a word must be met to have
    a rank among words."""
    parts = list[Floats]()
    for scores in (words, near):
        rank = np.empty(len(scores))
        rank[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
        parts.append(1 / (60 + rank))
    return np.where(words > 0, parts[0], 0.0) + parts[1]


def _recall(data: Chorus, scores: Floats, deep: int, relevant: int) -> Floats:
    share = np.full(len(data.queries), np.nan)
    for q in range(len(data.queries)):
        wanted = data.item[(data.query == q) & (data.grade >= relevant)]
        if len(wanted):
            first = np.argsort(-scores[q], kind="stable")[:deep]
            share[q] = np.isin(wanted, first[scores[q][first] > 0]).mean()
    return share


if __name__ == "__main__":
    main()
