"""A simulated shop's true probabilities, aligned with the test window: the scores of the best possible model.

Real shops have none. Nothing but evaluation may read them. Lists are ordered
by one who knows what the shop showed just before and how likely each item was to be taken. What was not shown stands
behind, by the taste of the customer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from triad.arrays import Floats, Ints
from triad.artifacts import read_json
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.evaluation.window import Scored, Window, ranking_blocks
from triad.examples import UNITS
from triad.examples.dataset import Dataset
from triad.fusion.candidates import Queries, lists_of
from triad.kinds import KINDS
from triad.paths import pattern
from triad.ranking import target_ranks
from triad.schema import EVENT_KINDS
from triad.tables import confine
from triad.tasks import LABELS
from triad.tasks.base import Truth

HOUR = 3_600_000_000
_NOWHERE = -1e12  # logit of a product the shop could not show


@dataclass(frozen=True)
class Affinity:
    """Orders the catalogue by user · item + bias."""

    users: Floats  # (n_users, dim)
    items: Floats  # (n_items, dim)
    bias: Floats  # (n_items,)

    def of(self, users: Ints) -> Floats:
        """(q, n_items) logits: only their order means anything."""
        return np.asarray(self.users[users] @ self.items.T + self.bias)


@dataclass(frozen=True)
class Shown:
    """(n,) what users were shown, by user, then by time."""

    user: Ints
    time: Ints  # µs
    item: Ints
    chance: Floats  # true probability that it is taken

    def before(self, queries: Queries) -> tuple[Ints, Ints, Floats]:
        """(m,) query, item and its chance: shown to the query's user in the hour up to its moment."""
        query, row = [], []
        begin = np.searchsorted(self.user, [queries.users, queries.users + 1])
        for q, (first, last) in enumerate(begin.T):
            mine = self.time[first:last]
            rows = first + np.arange(*np.searchsorted(mine, [queries.moment[q] - HOUR, queries.moment[q] + 1]))
            query.append(np.full(len(rows), q))
            row.append(rows)
        rows = np.concatenate([np.zeros(0, np.int64), *row])
        return np.concatenate([np.zeros(0, np.int64), *query]), self.item[rows], self.chance[rows]


def oracle(folder: Path, data: Dataset, tasks: Mapping[str, TaskParams], window: Window) -> Scored | None:
    """The truth about each task that `folder` tells it of; None where the source knows none.

    A task is left out where the truth of one of its labelled rows is unknown (an invented negative, say).
    """
    if not (folder / "oracle.json").is_file() or not read_json(folder / "oracle.json")["known"]:
        return None
    truths = {}
    for name, task in tasks.items():
        if KINDS[task.kind].ranks:
            continue
        unit = data.unit_of(name)
        rows = window.of(unit)
        columns = LABELS[task.label].truth(task, data.meta.classes.get(name, ()))
        truth = None if columns is None else _truth(folder, data, columns, rows, unit)
        if truth is not None:
            known = np.isfinite(np.asarray(data.labels(name))[rows])
            if np.isfinite(truth[known]).all():
                truths[name] = np.where(np.isfinite(truth), truth, 0.0)
    ranks = None
    if any(KINDS[task.kind].ranks for task in tasks.values()) and (folder / "items.parquet").is_file():
        ranks = _ranks(folder, data, window)
    return Scored(truths, ranks)


def _truth(folder: Path, data: Dataset, truth: Truth, rows: Ints, unit: str = "exposures") -> Floats | None:
    """(n,) or (n, classes) true probability or median of each row of `unit`, NaN where unknown; None: not told."""
    held, own = data.units[unit], str(UNITS[unit].key)
    keys = {
        own: lambda: getattr(held, own)[rows],
        "user_id": lambda: data.users.user_id[np.asarray(held.user)[rows]],
        "item_id": lambda: data.items.item_id[np.asarray(held.item)[rows]],
        "day": lambda: (np.asarray(held.time)[rows] // 86_400_000_000).astype("datetime64[D]"),
        "query": lambda: held.queries[np.asarray(held.query)[rows]],
    }
    values = _lookup(folder / f"{truth.table}.parquet", {name: keys[name]() for name in truth.key}, truth.columns)
    return values[:, 0] if values is not None and len(truth.columns) == 1 else values


def _ranks(folder: Path, data: Dataset, window: Window) -> Ints:
    """(t,) place of each target in the list of one who knows what was shown."""
    affinity, shown, queries = _affinity(folder, data), _shown(folder, data), lists_of(data, window.queries)
    ranks: list[Ints] = [np.zeros(0, np.int64)]
    for part, query, target in ranking_blocks(data, window):
        scores = affinity.of(queries.users[part])
        if shown is not None:
            row, item, chance = shown.before(queries[part])
            scores -= scores.max(axis=1, keepdims=True)
            np.maximum.at(scores, (row, item), chance + 1)
        ranks.append(target_ranks(scores, query, target))
    return np.concatenate(ranks)


def _shown(folder: Path, data: Dataset) -> Shown | None:
    """None where the source does not tell how likely what it showed was to be taken."""
    column = f"p_{EVENT_KINDS[data.meta.target_kind]}"
    chance = _truth(folder, data, Truth("exposures", ("event_id",), (column,)), np.arange(len(data.exposures.user)))
    if chance is None:
        return None
    user, time = np.asarray(data.exposures.user, np.int64), np.asarray(data.exposures.time)
    order = np.lexsort((time, user))
    order = order[np.isfinite(chance[order])]
    return Shown(user[order], time[order], np.asarray(data.exposures.item)[order], chance[order])


def _affinity(folder: Path, data: Dataset) -> Affinity:
    def vectors(table: str, key: str, ids: Any) -> tuple[pa.Table, Floats]:
        rows = _join(folder / f"{table}.parquet", {key: ids}, ["vector", *(["bias"] * (table == "items"))])
        lists = rows["vector"].to_pylist()
        dim = max((len(v) for v in lists if v is not None), default=0)
        return rows, np.array([v if v is not None else [0.0] * dim for v in lists], np.float64)

    _, users = vectors("users", "user_id", data.users.user_id)
    rows, items = vectors("items", "item_id", data.items.item_id)
    bias = rows["bias"].to_numpy(zero_copy_only=False).astype(np.float64)
    return Affinity(users, items, np.where(np.isfinite(bias), bias, _NOWHERE))


def _lookup(path: Path, keys: Mapping[str, Any], columns: Sequence[str]) -> Floats | None:
    """(n, columns) values of the rows named by `keys`, NaN where the table has none; None where it lacks a column."""
    if not path.is_file() or not set(columns) <= set(_names(path)):
        return None
    rows = _join(path, keys, columns)
    return np.stack([rows[c].to_numpy(zero_copy_only=False).astype(np.float64) for c in columns], axis=1)


def _join(path: Path, keys: Mapping[str, Any], columns: Sequence[str]) -> pa.Table:
    """`columns` of the table at `path`, one row a key, in the keys' order."""
    keyed = pa.table({"place": np.arange(len(next(iter(keys.values())))), **{k: pa.array(v) for k, v in keys.items()}})
    with duckdb.connect() as session:
        session.register("keyed", keyed)
        confine(session, path.parent)
        wanted = ", ".join(f't."{column}"' for column in columns)
        rows = session.sql(
            f"SELECT {wanted} FROM keyed LEFT JOIN read_parquet(?) t USING ({', '.join(keys)}) ORDER BY place",
            params=[pattern(path)],
        ).to_arrow_table()
    if rows.num_rows != keyed.num_rows:
        raise TriadError(f"its key {list(keys)} is not unique", where=str(path), mend="run the stage ingest again")
    return rows


def _names(path: Path) -> list[str]:
    with duckdb.connect() as session:
        confine(session, path.parent)
        return [row[0] for row in session.execute("DESCRIBE SELECT * FROM read_parquet(?)", [pattern(path)]).fetchall()]
