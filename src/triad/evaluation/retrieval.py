"""Search over the whole catalogue, on the test queries: are the relevant products among the first hundred, and does
every query find anything? What is judged row by row says nothing of that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.config.evaluate import EvaluateParams
from triad.evaluation.window import Window
from triad.examples.dataset import Dataset
from triad.examples.searches import UNIT
from triad.fusion.fused import Fused
from triad.fusion.searching import search
from triad.members.popularity import item_shares
from triad.search.lexical import Settings, best, index_of
from triad.search.pairs import Typed
from triad.search.retrieval import POPULAR
from triad.statistics.bootstrap import Estimate, draw, interval, value

DEEP, RELEVANT = 100, 2


def retrieval(fused: Fused, data: Dataset, window: Window, params: EvaluateParams) -> dict[str, Any] | None:
    """Figures of the model, of BM25 as it comes and of popularity; None where nothing was learned of searches."""
    task = next(iter(fused.of_unit(data, UNIT.name)), None)
    if task is None:
        return None
    held, rows = data.units[UNIT.name], window.of(UNIT.name)
    grade, query, item = data.labels(task)[rows], np.asarray(held.query)[rows], np.asarray(held.item)[rows]
    good = grade >= RELEVANT
    asked, number = np.unique(query[good], return_inverse=True)
    texts = [held.queries[int(each)] for each in asked]
    wanted = number, item[good]
    shown = search(fused, data, texts, DEEP)
    index, read = index_of(held.texts, Settings()), Typed.of(held.texts, texts)
    words = [best(scores, DEEP) for _, block in index.blocks(read.typed) for scores in block.sum(axis=0)]
    taken = best(item_shares(data), DEEP)
    lists = {"model": [each.items for each in shown], "bm25": words, "popularity": [taken] * len(texts)}
    draws = draw(len(texts), params.bootstrap, params.seed)
    recall = {name: _recall(found, wanted, len(texts)) for name, found in lists.items()}
    table = np.stack([*recall.values(), np.ones(len(texts))], axis=1)
    *sums, count = draws.totals(np.arange(len(texts)), table).T
    mean = dict(zip(recall, (each / count for each in sums), strict=True))
    figures: dict[str, Any] = {f"recall_{name}": _bounds(each, params) for name, each in mean.items()}
    figures["recall_gain_over_bm25"] = _bounds(mean["model"] - mean["bm25"], params)
    figures["without_a_match"] = float(np.mean([each.match == POPULAR for each in shown]))
    figures["bm25_without_a_match"] = float(np.mean([not len(found) for found in words]))
    return figures | {"queries": len(texts), "learned_from_clicks": float(not np.all(held.judged))}


def sentences(figures: dict[str, Any] | None) -> list[str]:
    """The figures for the report's reader."""
    if figures is None:
        return []
    how = "Search learned from graded products of queries."
    if figures["learned_from_clicks"]:
        how = "Search learned from clicks after queries, with what a place on the page adds taken out."
    model, words = figures["recall_model"], figures["recall_bm25"]
    span = f"{model['value']:.1%} [{model['lo']:.1%}, {model['hi']:.1%}]"
    return [
        f"{how} Of all relevant products of {figures['queries']} test queries, the first {DEEP} of the whole catalogue "
        f"hold {span}; by words alone (BM25) {words['value']:.1%}, by popularity "
        f"{figures['recall_popularity']['value']:.1%}. {figures['without_a_match']:.1%} of queries match nothing, and "
        f"{figures['bm25_without_a_match']:.1%} by words alone."
    ]


def _recall(found: list[Ints], wanted: tuple[Ints, Ints], queries: int) -> Floats:
    """(queries,) share of the `wanted` products that are found."""
    query, item = wanted
    hit = np.array([item[row] in set(found[q].tolist()) for row, q in enumerate(query)], np.float64)
    return np.bincount(query, hit, minlength=queries) / np.bincount(query, minlength=queries)


def _bounds(estimate: Estimate, params: EvaluateParams) -> dict[str, float]:
    low, high = interval(estimate, params.confidence)
    return {"value": value(estimate), "lo": low, "hi": high}
