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
from triad.features import build
from triad.features.build import transform
from triad.features.signals import slots
from triad.features.state import State
from triad.fusion.fused import Fused
from triad.members.registry import read_beside
from triad.texts import Texts
from triad.tracking import recommending
from triad.tracking.arranging import Lists, codes
from triad.tracking.choosing import Asked, Choosing, choosing_here
from triad.tracking.inputs import Tables, opened
from triad.tracking.recommending import DAY, Pairs
from triad.tracking.shelf import Shelf, called, hidden
from triad.tracking.shown import first_on_page

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

_NO_EXPOSURES = pa.table(
    {
        "event_id": pa.array([], pa.string()),
        "user_id": pa.array([], pa.string()),
        "item_id": pa.array([], pa.string()),
        "occurred_at": pa.array([], pa.timestamp("us", tz="UTC")),
        "position": pa.array([], pa.int64()),
        "surface": pa.array([], pa.string()),
    }
)


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
    fuse: Path | None = None  # the folder that the fusion was read from

    @classmethod
    def load(cls, state: Path, fuse: Path, version: str | None = None) -> ServingModel:
        """From the folders that the stages `features` (its state) and `fuse` wrote."""
        return cls(State.load(state), Fused.load(fuse), version, fuse=fuse)

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
        return pa.table(columns | of_tasks(self.fused, data, rows))

    def recommend(
        self, tables: Tables, settings: RecommendParams, as_of: int | None = None, choosing: Choosing | None = None
    ) -> pa.Table:
        """The best `settings.k` items of every user at `as_of` (µs; else the midnight after the newest event).

        Retrieved by the fused ranking, ordered by the fused task `settings.order_by` on exposures made for that
        moment, arranged by the rules in `settings`. Columns: user_id, rank (from 1), item_id, score (null where
        `explored`: drawn at random among new items), reason, explored, model_version; by user, then rank.

        Args:
            choosing: who chooses the items of all customers; None: this process.

        Raises:
            TriadError: the model does not score `order_by`, or the tables do not fit the contract.
        """
        if settings.order_by is not None and settings.order_by not in self.fused.tasks:
            raise TriadError(
                f"the model does not score it; its tasks are {', '.join(self.fused.tasks)}",
                where=f"recommend.order_by: {settings.order_by}",
                mend="name one of its binary tasks, or null to keep the ranking's order",
            )
        asks = () if choosing is not None else self.fused.needed(filter(None, (self.fused.ranking, settings.order_by)))
        with read_beside(self.fused.members, asks), opened(tables) as session:
            moment = midnight_after(session) if as_of is None else as_of
            titles, categories, brands = called(session)
            data, known = build.standing(session, self.state, moment // DAY)
            shown = first_on_page(data, known, moment, busiest(session), slots(session) if known.places else {})
            order = recommending.by_item_id(data)
            shelf = Shelf.at(data, moment, settings, hidden(session, settings.hide))
            index = settings.index_from is not None and len(order) >= settings.index_from
            asked = Asked(data, moment, order, settings.retrieved, shelf, index, settings.order_by, shown)
        standing, groups = recommending.standings(data, moment), codes(categories, brands)
        new = recommending.new_items(data, moment, settings.new_days)

        def listed(chosen: Pairs) -> pa.Table:
            ranked = Lists.of(*recommending.top(chosen, order, len(order))).arranged(groups, settings)
            lists = ranked.with_explored(new, groups, shelf, settings, seed=moment // DAY)
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

        shares = map(listed, (choosing or choosing_here(self.fused))(asked))
        return pa.concat_tables([RECOMMENDATIONS.empty_table(), *shares])

    def standing(self, session: duckdb.DuckDBPyConnection) -> Dataset:
        """Who and what is there, with the examples of units other than exposures, which would cost time."""
        return transform(session, self.state, _NO_EXPOSURES)


def of_tasks(fused: Fused, data: Dataset, rows: Ints) -> dict[str, pa.Array]:
    """The columns of `ServingModel.predict` that are scores."""
    columns: dict[str, pa.Array] = {}
    for task, scores in fused.predict(data, rows).items():
        classes = data.meta.classes.get(task)
        if classes is None:
            columns[task] = pa.array(np.asarray(scores, np.float64))
            continue
        columns[task] = pa.array(Texts.of(classes)[np.asarray(scores).argmax(axis=1)], pa.string())
        for at, name in enumerate(classes):
            columns[f"{task}_{name}"] = pa.array(np.asarray(scores[:, at], np.float64))
    return columns


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


def busiest(session: duckdb.DuckDBPyConnection) -> str | None:
    """The surface with most impressions, None where no event names one."""
    row = session.execute("""
        SELECT surface FROM events WHERE surface IS NOT NULL GROUP BY surface
        ORDER BY count(*) FILTER (kind = 'impression') DESC, count(*) DESC, surface LIMIT 1
    """).fetchone()
    return None if row is None else str(row[0])
