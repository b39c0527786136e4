"""Search on a public catalogue with graded queries (Chorus): re-ranking of judged products, recall over all of them.

    TRIAD_DATASETS=… python benchmarks/search.py [--encoder FOLDER] [--seeds 1 2 3 4 5] [--show validation] [--recall]

Queries are dealt into five folds by md5. Each fold is judged by BM25 settings and trees that learned of the other four;
how many trees, and whether vectors of texts are read, is chosen inside those (`--show validation` prints that alone).
NDCG@10 has a gain of 2^grade - 1, over the queries with a relevant product. Intervals are 95 %, of a bootstrap over
queries. FOLDER holds a BERT-like encoder (`text.encoder`); without one, no vectors are read.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.boosting import grow_order, lightgbm
from triad.config.text import TextParams
from triad.datasets.base import folder
from triad.members.search_order import SETTINGS
from triad.search.lexical import FIELDS, Settings, index_of, words_of
from triad.search.pairs import TEXT, Typed, text_columns
from triad.search.words import query_words
from triad.statistics.orders import ndcg
from triad.text.encoder import encoder_of
from triad.text.vectors import STORE, Vectors
from triad.texts import Texts

FOLDS, K, TREES, RESAMPLES = 5, 10, (25, 50, 100, 200), 2_000
TRIED = [
    Settings(k1, b, (1.0, d, c, w))
    for k1 in (0.6, 1.2)
    for b in (0.25, 0.75)
    for d in (0.25, 1.0)
    for c in (0.5, 2.0)
    for w in (0.25, 1.0)
]
NEAREST = 5
"""First products whose likeness to a product speaks for it."""


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
    named = {"title": ("title", "name"), "category": ("attr_t_product_type",), "brand": ("supplier",)}
    if field in named:
        return " ".join(str(product.get(key) or "") for key in named[field])
    attributes = (str(value) for key, value in product.items() if key.startswith("attr_t_") and value)
    return " ".join([str(product.get("short_description") or ""), *attributes])


def columns(data: Chorus, settings: Settings, vectors: tuple[Floats, Floats] | None) -> tuple[list[str], Floats]:
    """Names and (n, columns) of the judged pairs; `vectors` are of queries and of products."""
    names, table = list(TEXT), text_columns(data.texts, settings, data.queries, data.query, data.item)
    parts = [table, data.price[data.item, None]]
    names.append("price")
    score = table[:, names.index("bm25_share")] + table[:, names.index("words_met")]
    if vectors is not None:
        asked, said = vectors
        dense = np.einsum("nd,nd->n", asked[data.query], said[data.item])
        score = score + 2 * dense
        parts += [dense[:, None], _likeness(data, score, said)]
        names += ["dense", "dense_likeness"]
    kinds = words_of(data.texts).holds["category"].T.toarray()
    kinds /= np.maximum(np.linalg.norm(kinds, axis=1, keepdims=True), 1)
    parts.append(_likeness(data, score, kinds))
    names.append("kind_likeness")
    whole = np.hstack(parts).astype(np.float32)
    middle = np.stack(
        [
            np.nanmean(np.where(np.isnan(whole[data.query == q]), 0, whole[data.query == q]), axis=0)
            for q in range(len(data.queries))
        ]
    )
    return [*names, *(f"{name}_less_mean" for name in names)], np.hstack([whole, whole - middle[data.query]])


def _likeness(data: Chorus, score: Floats, said: Floats) -> Floats:
    """(n, 1) mean cosine to the first products of the query by `score`, but for itself."""
    result = np.zeros((len(score), 1))
    for q in range(len(data.queries)):
        mine = np.flatnonzero(data.query == q)
        near = said[data.item[mine]]
        first = np.argsort(-score[mine], kind="stable")[: NEAREST + 1]
        alike = near @ near[first].T
        alike[first, np.arange(len(first))] = 0
        count = np.full(len(mine), float(len(first)))
        count[first] -= 1
        result[mine, 0] = alike.sum(axis=1) / np.maximum(count, 1)
    return result


def worth(data: Chorus, scores: Floats, rows: Ints) -> Floats:
    """(queries,) NDCG@10, NaN where nothing is relevant or the query is not of `rows`."""
    return ndcg(scores[rows], data.grade[rows], data.query[rows], len(data.queries), K)


def settings_of(data: Chorus, rows: Ints) -> Settings:
    """The BM25 that orders the queries of `rows` best."""
    figures = [np.nanmean(worth(data, _bm25(data, each), rows)) for each in TRIED]
    return TRIED[int(np.argmax(figures))]


_FIELDS: dict[tuple[float, float], Floats] = {}


def _bm25(data: Chorus, settings: Settings) -> Floats:
    key = settings.k1, settings.b
    if key not in _FIELDS:
        index, read = index_of(data.texts, settings), Typed.of(data.texts, data.queries)
        parts = []
        for block, scores in index.blocks(read.corrected):
            here = (data.query >= block.start) & (data.query < block.stop)
            parts.append(scores[:, data.query[here] - block.start, data.item[here]])
        _FIELDS[key] = np.concatenate(parts, axis=1)
    return np.asarray(settings.weights) @ _FIELDS[key]


def grown(data: Chorus, table: Floats, rows: Ints, trees: int, seed: int) -> Any:
    """Trees that learned of `rows`."""
    sizes = np.unique(data.query[rows], return_counts=True)[1]
    lists = table[rows], data.grade[rows].astype(int), sizes
    settings = {**SETTINGS, "seed": seed, "num_iterations": trees}
    return grow_order(lightgbm("benchmark", "nothing"), settings, lists, [str(n) for n in range(table.shape[1])])


def out_of_fold(data: Chorus, table: Floats, rows: Ints, fold: Ints, seed: int) -> tuple[Floats, int]:
    """Scores of `rows`, each query by trees of the other folds among them, and the best number of trees."""
    scores = np.zeros((len(TREES), len(data.query)))
    for number in np.unique(fold[data.query[rows]]):
        held = rows[fold[data.query[rows]] == number]
        booster = grown(data, table, np.setdiff1d(rows, held), max(TREES), seed)
        scores[:, held] = [booster.predict(table[held], num_iteration=count) for count in TREES]
    figures = [np.nanmean(worth(data, each, rows)) for each in scores]
    best = int(np.argmax(figures))
    return scores[best], TREES[best]


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
    parser.add_argument("--show", choices=("validation", "test"), default="test")
    parser.add_argument("--recall", action="store_true")
    chosen = parser.parse_args()
    data = read()
    if chosen.recall:
        recall(data, data.fold)
        return
    fold, vectors, keeper = data.fold, None, None
    if chosen.encoder:
        encoder = encoder_of(TextParams(encoder=chosen.encoder))
        assert encoder is not None
        keeper = Vectors(encoder, STORE)
        said = np.zeros((len(data.price), encoder.dim), np.float32)
        judged = np.unique(data.item)
        said[judged] = keeper.of([data.texts["title"][int(item)] for item in judged])
        vectors = keeper.of(data.queries), said
    every = np.arange(len(data.query))
    words, learned, best = np.zeros(len(every)), [], dict[int, int]()
    scores_of: dict[int, tuple[Settings, tuple[list[str], Floats]]] = {}
    for seed in chosen.seeds:
        total = np.zeros(len(every))
        for number in range(FOLDS):
            held, rows = np.flatnonzero(fold[data.query] == number), np.flatnonzero(fold[data.query] != number)
            if number not in scores_of:
                settings = settings_of(data, rows)
                scores_of[number] = settings, columns(data, settings, vectors)
                words[held] = _bm25(data, settings)[held]
            table = scores_of[number][1][1]
            if number not in best:
                inner, best[number] = out_of_fold(data, table, rows, fold, seed)
                figure = np.nanmean(worth(data, inner, rows))
                print(f"fold {number}: {scores_of[number][0]}, {best[number]} trees, inside {figure:.4f}", flush=True)
            if chosen.show == "test":
                total[held] = grown(data, table, rows, best[number], seed).predict(table[held])
        learned.append(total)
    if chosen.show == "validation":
        return
    base = worth(data, words, every)
    shown("random order", worth(data, np.zeros(len(every)), every))
    shown("BM25 by field", base)
    if vectors is not None:
        shown(
            "cosine of vectors",
            worth(data, np.einsum("nd,nd->n", vectors[0][data.query], vectors[1][data.item]), every),
            base,
        )
    for seed, scores in zip(chosen.seeds, learned, strict=True):
        print(f"seed {seed}: {np.nanmean(worth(data, scores, every)):.4f}")
    shown("LambdaMART, mean over seeds", np.mean([worth(data, each, every) for each in learned], axis=0), base)


def recall(data: Chorus, fold: Ints, deep: int = 100, relevant: int = 2) -> None:
    """Recall of relevant products among the first hundred of all: BM25 as it comes, and what other folds chose."""
    plain = index_of(data.texts, Settings(1.5, 0.75))
    typed = [query_words(query) for query in data.queries]
    words = np.concatenate([scores.sum(axis=0) for _, scores in plain.blocks(typed)])
    base, own = _recall(data, words, deep, relevant), np.full(len(data.queries), np.nan)
    read, every = Typed.of(data.texts, data.queries), np.arange(len(data.query))
    for number in range(FOLDS):
        settings = settings_of(data, every[fold[data.query] != number])
        blocks = index_of(data.texts, settings).blocks(read.corrected)
        scores = np.concatenate([np.tensordot(np.array(settings.weights), each, 1) for _, each in blocks])
        own[fold == number] = _recall(data, scores, deep, relevant)[fold == number]
    shown("BM25 as it comes", base)
    shown("BM25 by field, chosen on the other folds", own, base)


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
