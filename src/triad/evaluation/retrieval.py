"""Search over the whole catalogue, on the test queries: are the relevant products among the first hundred, and does
every query find anything? What is judged row by row says nothing of that. And what the served order is worth over BM25.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.config.evaluate import EvaluateParams
from triad.evaluation.window import Window
from triad.examples.dataset import Dataset
from triad.examples.searches import UNIT, Searches
from triad.fusion.fused import Fused
from triad.fusion.searching import search
from triad.kinds.graded import ORDER, K
from triad.members.popularity import item_shares
from triad.search.lexical import Settings, best, index_of
from triad.search.pairs import Typed
from triad.search.retrieval import DEEP, POPULAR, RELEVANT
from triad.statistics.bootstrap import Estimate, draw, interval, value


def retrieval(
    fused: Fused, data: Dataset, window: Window, scores: Mapping[str, Floats], params: EvaluateParams
) -> dict[str, Any] | None:
    """Figures of the model, of BM25 as it comes and of popularity; None where nothing was learned of searches.

    Args:
        scores: task → what serves gives the rows of the window.
    """
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
    recall = {name: _recall(items, wanted, len(texts)) for name, items in lists.items()}
    table = np.stack([*recall.values(), np.ones(len(texts))], axis=1)
    *sums, count = draws.totals(np.arange(len(texts)), table).T
    mean = dict(zip(recall, (each / count for each in sums), strict=True))
    figures: dict[str, Any] = {f"recall_{name}": _bounds(each, params) for name, each in mean.items()}
    figures["recall_gain_over_bm25"] = _bounds(mean["model"] - mean["bm25"], params)
    figures["without_a_match"] = float(np.mean([each.match == POPULAR for each in shown]))
    figures["bm25_without_a_match"] = float(np.mean([not len(items) for items in words]))
    figures |= _over_words(held, np.asarray(scores[task], np.float64), (query, item, grade), params)
    return figures | {"queries": len(texts), "learned_from_clicks": float(not np.all(held.judged))}


def _over_words(
    held: Searches, served: Floats, judged: tuple[Ints, Ints, Floats], params: EvaluateParams
) -> dict[str, dict[str, float]]:
    """NDCG of BM25 as it comes on the judged products, and what the served order gains over it, query by query."""
    query, item, grade = judged
    known = np.isfinite(grade)
    query, item, grade, served = query[known], item[known], grade[known], served[known]
    asked, row = np.unique(query, return_inverse=True)
    index, words = index_of(held.texts, Settings()), np.zeros(len(row))
    for block, fields in index.blocks(Typed.of(held.texts, [held.queries[int(q)] for q in asked]).typed):
        here = (row >= block.start) & (row < block.stop)
        words[here] = fields.sum(axis=0)[row[here] - block.start, item[here]]
    useful = np.bincount(row, grade > 0, minlength=len(asked)) > 0
    own, plain = (ORDER.worth(each, grade, row)[1][useful] for each in (served, words))
    draws = draw(len(own), params.bootstrap, params.seed)
    table = np.stack([plain, own - plain, np.ones(len(own))], axis=1)
    base, gain, count = draws.totals(np.arange(len(own)), table).T
    return {"ndcg_bm25": _bounds(base / count, params), "ndcg_gain_over_bm25": _bounds(gain / count, params)}


def sentences(figures: dict[str, Any] | None) -> list[str]:
    """The figures for the report's reader."""
    if figures is None:
        return []
    how = "Search learned from graded products of queries."
    if figures["learned_from_clicks"]:
        how = "Search learned from clicks after queries, with what a place on the page adds taken out."
    model, words, gain = figures["recall_model"], figures["recall_bm25"], figures["ndcg_gain_over_bm25"]
    span = f"{model['value']:.1%} [{model['lo']:.1%}, {model['hi']:.1%}]"
    return [
        f"{how} Of all relevant products of {figures['queries']} test queries, the first {DEEP} of the whole catalogue "
        f"hold {span}; by words alone (BM25) {words['value']:.1%}, by popularity "
        f"{figures['recall_popularity']['value']:.1%}. {figures['without_a_match']:.1%} of queries match nothing, and "
        f"{figures['bm25_without_a_match']:.1%} by words alone. Of judged products, BM25's order is worth "
        f"{figures['ndcg_bm25']['value']:.3f} (NDCG@{K}); the served one gains {gain['value']:+.3f} "
        f"[{gain['lo']:+.3f}, {gain['hi']:+.3f}] over it."
    ]


def _recall(items: list[Ints], wanted: tuple[Ints, Ints], queries: int) -> Floats:
    """(queries,) share of the `wanted` products that are found."""
    query, item = wanted
    hit = np.array([item[row] in set(items[q].tolist()) for row, q in enumerate(query)], np.float64)
    return np.bincount(query, hit, minlength=queries) / np.bincount(query, minlength=queries)


def _bounds(estimate: Estimate, params: EvaluateParams) -> dict[str, float]:
    low, high = interval(estimate, params.confidence)
    return {"value": value(estimate), "lo": low, "hi": high}
