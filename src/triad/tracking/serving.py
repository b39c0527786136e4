"""The serving model: raw tables in, scores or lists out. It is `transform` and the fusion, as in training.

`registered.py` is its wrapping for MLflow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from triad.arrays import Ints
from triad.config.recommend import RecommendParams
from triad.errors import TriadError
from triad.evaluation.champion_protocol import Answers, Question, answer
from triad.examples.dataset import Dataset
from triad.features.build import transform
from triad.features.state import State
from triad.fusion.fused import Fused
from triad.progress import Progress
from triad.texts import Texts
from triad.tracking import recommending
from triad.tracking.arranging import Lists, codes
from triad.tracking.inputs import Tables, opened
from triad.tracking.recommending import DAY, Pairs
from triad.tracking.retrieving import no_pairs, retrieve_all
from triad.tracking.shelf import Shelf, called, hidden

STATE, FUSE, REFIT = "state", "fuse", "refit"
"""Folder names inside a registered model: what was evaluated lies in the first two, what serves likewise in `refit`."""

RECOMMENDATIONS = pa.schema(
    [
        ("user_id", pa.string()),
        ("rank", pa.int64()),
        ("item_id", pa.string()),
        ("score", pa.float64()),
        ("reason", pa.string()),
        ("explored", pa.bool_()),
        ("model_version", pa.string()),
    ]
)
"""The columns of recommendations, by user, then rank (from 1)."""

_SCORED_AT_ONCE = 65_536  # exposures
_PAIRS_AT_ONCE = 1_000_000  # candidates given context in one pass over the log


@dataclass(frozen=True)
class ServingModel:
    """A fitted model. `version` is its number in the registry, None outside of one.

    The model that serves has learned all days of its night. `twin` was evaluated and has not learned the last ones, so
    the gate asks the twin.
    """

    state: State
    fused: Fused
    version: str | None = None
    twin: ServingModel | None = None

    @classmethod
    def load(cls, state: Path, fuse: Path, version: str | None = None) -> ServingModel:
        """From the folders that the stages `features` (its state) and `fuse` wrote."""
        return cls(State.load(state), Fused.load(fuse), version)

    @classmethod
    def registered(cls, folder: Path, version: str | None = None) -> ServingModel:
        """From the `artifacts` of a registered version."""
        inside = folder / REFIT
        served = cls.load(inside / STATE, inside / FUSE, version)
        return replace(served, twin=cls.load(folder / STATE, folder / FUSE, version))

    def dataset(self, tables: Tables) -> Dataset:
        """The examples these tables hold, as this model reads them."""
        with opened(tables) as session:
            return transform(session, self.state)

    def answers(self, tables: Tables, question: Question) -> Answers:
        """What the gate asks of a champion: the twin's answers.

        Raises:
            TriadError: the tables do not fit the contract, or lack what is asked about.
        """
        asked = self.twin or self
        return answer(asked.fused, asked.dataset(tables), question)

    def predict(self, tables: Tables, event_ids: pa.Array | None = None) -> pa.Table:
        """Scores of the exposures in `tables` (of those in `event_ids`, where given), by user, then by time.

        Columns: event_id, user_id, item_id, and one a task; a multiclass task has its likeliest class, and
        `<task>_<class>` with each class's probability.

        Raises:
            TriadError: the tables do not fit the contract.
        """
        data = self.dataset(tables)
        rows = np.arange(len(data.exposures.user))
        if event_ids is not None:
            rows = np.flatnonzero(Texts.of(event_ids).places(data.exposures.event_id) >= 0)
        return self.score(data, rows)

    def score(self, data: Dataset, rows: Ints) -> pa.Table:
        """The table of `predict` for exposure `rows` of `data`."""
        exposures = data.exposures
        columns: dict[str, Any] = {
            "event_id": pa.array(exposures.event_id[rows], pa.string()),
            "user_id": pa.array(data.users.user_id[exposures.user[rows]], pa.string()),
            "item_id": pa.array(data.items.item_id[exposures.item[rows]], pa.string()),
        }
        for task, scores in self.fused.predict(data, rows).items():
            classes = data.meta.classes.get(task)
            if classes is None:
                columns[task] = np.asarray(scores, np.float64)
                continue
            columns[task] = pa.array(Texts.of(classes)[np.asarray(scores).argmax(axis=1)], pa.string())
            columns |= {f"{task}_{name}": np.asarray(scores[:, at], np.float64) for at, name in enumerate(classes)}
        return pa.table({name: pa.array(values) for name, values in columns.items()})

    def recommend(self, tables: Tables, settings: RecommendParams, as_of: int | None = None) -> pa.Table:
        """The best `settings.k` items of every user at `as_of` (µs; else the midnight after the newest event).

        Retrieved by the fused ranking, ordered by the fused task `settings.order_by` on exposures made for that
        moment, arranged by the rules in `settings`. Columns: user_id, rank (from 1), item_id, score (null where
        `explored`: drawn at random among new items), reason, explored, model_version; by user, then rank.

        Raises:
            TriadError: the model does not score `order_by`, or the tables do not fit the contract.
        """
        if settings.order_by is not None and settings.order_by not in self.fused.tasks:
            raise TriadError(
                f"the model does not score it; its tasks are {', '.join(self.fused.tasks)}",
                where=f"recommend.order_by: {settings.order_by}",
                mend="name one of its binary tasks, or null to keep the ranking's order",
            )
        with opened(tables) as session:
            moment = midnight_after(session) if as_of is None else as_of
            titles, categories, brands = called(session)
            data = self.standing(session, moment)
            order = recommending.by_item_id(data)
            chooses = settings.order_by is not None or settings.rearranges
            count = max(settings.k, settings.candidates if chooses else 0)
            shelf = Shelf.at(data, moment, settings, hidden(session, settings.hide))
            retrieved = retrieve_all(self.fused.ranker(data), moment, order, count, shelf)
            if settings.order_by is not None:
                retrieved = self._ordered(session, data, retrieved, settings.order_by, moment)
        standing = recommending.standings(data, moment)
        new = recommending.new_items(data, moment, settings.new_days)
        ranked = Lists.of(*recommending.top(retrieved, order, len(order))).arranged(codes(categories, brands), settings)
        lists = ranked.with_explored(new, shelf, settings, seed=moment // DAY)
        columns = {
            "user_id": data.users.user_id[lists.pairs.user],
            "rank": lists.rank,
            "item_id": data.items.item_id[lists.pairs.item],
            "score": np.ma.masked_array(lists.pairs.score, lists.explored),
            "explored": lists.explored,
            "reason": recommending.reasons(data, lists.pairs, standing, titles, categories),
            "model_version": [self.version] * len(lists.rank),
        }
        return pa.table([pa.array(columns[f.name], f.type) for f in RECOMMENDATIONS], schema=RECOMMENDATIONS)

    def standing(self, session: duckdb.DuckDBPyConnection, moment: int) -> Dataset:
        """Who and what is there. The log's own exposures would cost time and be thrown away."""
        return transform(session, self.state, _candidates(None, no_pairs(), moment, None))

    def _ordered(
        self, session: duckdb.DuckDBPyConnection, known: Dataset, pairs: Pairs, task: str, moment: int
    ) -> Pairs:
        scores, surface = np.empty(len(pairs.user)), busiest(session)
        with Progress("order", len(scores), "candidates") as progress:
            for start in range(0, len(scores), _PAIRS_AT_ONCE):
                part = slice(start, start + _PAIRS_AT_ONCE)
                block = Pairs(pairs.user[part], pairs.item[part], pairs.score[part])
                data = transform(session, self.state, _candidates(known, block, moment, surface))
                place = np.array([int(name.rpartition("-")[2]) for name in data.exposures.event_id], np.int64)
                for first in range(0, len(place), _SCORED_AT_ONCE):
                    rows = np.arange(first, min(first + _SCORED_AT_ONCE, len(place)))
                    scores[start + place[rows]] = self.fused.predict(data, rows, [task])[task]
                    progress.advance(len(rows))
        return Pairs(pairs.user, pairs.item, scores)


def load_registered(model: str, version: str, folder: Path) -> ServingModel:
    """The model in a registered version's `folder`.

    Raises:
        TriadError: it was written by code that this code cannot follow.
    """
    inside = folder / "artifacts"
    try:
        return ServingModel.registered(inside, version)
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise TriadError(
            f"its files do not fit the present code: {type(error).__name__}: {error}",
            where=f"model {model}, version {version}",
            mend="check out the commit `triad why` names, or start again under another publish.model",
        ) from error


def midnight_after(session: duckdb.DuckDBPyConnection) -> int:
    row = session.execute(
        "SELECT epoch_us(date_trunc('day', max(occurred_at)) + INTERVAL 1 DAY) FROM events"
    ).fetchone()
    if row is None or row[0] is None:
        raise TriadError("it is empty", where="table events", mend="give the log the lists are to be made from")
    return int(row[0])


def _candidates(data: Dataset | None, pairs: Pairs, moment: int, surface: str | None) -> pa.Table:
    """`pairs` as exposures at `moment`, each the first thing on the page. Event ids end in the pair's place."""
    count = len(pairs.user)
    user = Texts.of([]) if data is None else data.users.user_id[pairs.user]
    item = Texts.of([]) if data is None else data.items.item_id[pairs.item]
    return pa.table(
        {
            "event_id": pa.array([f"candidate-{place}" for place in range(count)], pa.string()),
            "user_id": pa.array(user, pa.string()),
            "item_id": pa.array(item, pa.string()),
            "occurred_at": pa.array(np.full(count, moment), pa.timestamp("us", tz="UTC")),
            "position": pa.array(np.ones(count, np.int64)),
            "surface": pa.array([surface] * count, pa.string()),
        }
    )


def busiest(session: duckdb.DuckDBPyConnection) -> str | None:
    """The surface with most impressions, None where no event names one."""
    row = session.execute("""
        SELECT surface FROM events WHERE surface IS NOT NULL GROUP BY surface
        ORDER BY count(*) FILTER (kind = 'impression') DESC, count(*) DESC, surface LIMIT 1
    """).fetchone()
    return None if row is None else str(row[0])
