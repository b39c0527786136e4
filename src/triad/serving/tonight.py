"""The lists that the stage `recommend` wrote, for customers who did nothing since: no model is asked for them again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from triad.arrays import Floats, Ints
from triad.artifacts import read_json
from triad.config.recommend import RecommendParams
from triad.serving.asking import Listed
from triad.serving.night import Night
from triad.texts import Texts

FOLDER = Path("artifacts/recommend")


@dataclass(frozen=True)
class Tonight:
    """The list of the customer in row u is [start[u], start[u + 1]), best first."""

    longest: int  # items that a list holds at most
    start: Ints
    item: Ints  # catalogue rows
    score: Floats
    reason: Ints  # place in `reasons`: few differ
    reasons: Texts

    def of(self, user: int, k: int) -> Listed | None:
        """The first `k` of the customer's list; None where the night made none, or none so long."""
        first, last = int(self.start[user]), int(self.start[user + 1])
        if first == last or k > self.longest:
            return None
        part = slice(first, min(first + k, last))
        item, reasons = self.item[part], [self.reasons[place] for place in self.reason[part]]
        return Listed(item, self.score[part], np.zeros(len(item), bool), np.ones(len(item)), reasons, [], [], [], False)


def read(folder: Path, version: str, settings: RecommendParams, night: Night) -> Tonight | None:
    """The lists in `folder`, if `version` made them under these `settings` for the moment of `night`.

    Where chance or the day's stock has a say, lists are made when somebody asks.
    """
    if not (folder / "summary.json").is_file() or settings.new_share or settings.out_of_stock is not None:
        return None
    told = read_json(folder / "summary.json")
    as_of = str(np.datetime64(night.moment, "us").astype("datetime64[D]"))
    made_so = told.get("settings") == settings.model_dump(mode="json")
    if told.get("model_version") != version or told.get("as_of") != as_of or not made_so:
        return None
    texts = ["user_id", "item_id", "reason"]
    table = pq.read_table(folder / "recommendations.parquet", columns=[*texts, "score"], read_dictionary=texts)
    coded = {name: table.unify_dictionaries()[name].combine_chunks() for name in texts}
    user, item = (_places(coded[name], known) for name, known in (("user_id", night.users), ("item_id", night.items)))
    kept = np.flatnonzero((user >= 0) & (item >= 0))
    kept = kept[np.argsort(user[kept], kind="stable")]
    start, reason = np.searchsorted(user[kept], np.arange(night.guest + 2)), coded["reason"]
    score, reasons = table["score"].to_numpy()[kept], Texts.of(reason.dictionary)
    return Tonight(settings.k, start, item[kept], score, reason.indices.to_numpy()[kept], reasons)


def _places(coded: pa.DictionaryArray, known: dict[str, int]) -> Ints:
    """(n,) rows of ids, -1 of those that are not known: forgotten since, say."""
    rows = np.array([known.get(name, -1) for name in coded.dictionary.to_pylist()], np.int32)
    return rows[coded.indices.to_numpy()]
