"""From tables to a `Dataset`: `fit` for training; `transform` applies the fitted features again for serving."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from triad.arrays import Ints
from triad.config.features import FeaturesParams
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.examples import UNITS
from triad.examples.dataset import Dataset
from triad.features import catalogue, entities, exposure_arrays, exposures, labels, prices, streams
from triad.features.catalogue import Catalogue
from triad.features.champion import Champion, check_days
from triad.features.context import Known
from triad.features.corpus import corpus
from triad.features.dataset import SPLITS, Items, Meta, Streams
from triad.features.log import Log, Own
from triad.features.requirements import check_categories, check_keys, check_labels, check_tables, has_prices
from triad.features.signals import Funnel
from triad.features.source import Source
from triad.features.splits import Windows, whole, windows
from triad.features.sql import bound, columns, scalar
from triad.features.state import State
from triad.features.vectors import ItemVectors, said
from triad.kinds import KINDS
from triad.tasks import LABELS

MOST_DAYS = 3_660
"""From the first day to the last: a price is known for each item and day, so one wrong year would cost millions."""

SURFACES = 6
"""Surfaces that get a column of their own."""


def fit(
    session: duckdb.DuckDBPyConnection,
    params: FeaturesParams,
    tasks: Mapping[str, TaskParams],
    window: tuple[date, date],
    champion: Champion | None = None,
    *,
    hold_out: bool = True,
    like: State | None = None,
    store: Path | None = None,
    vectors: Callable[[Callable[[], list[str]]], ItemVectors | None] = lambda _: None,
    log: Log | None = None,
) -> tuple[Dataset, State]:
    """Examples of the UTC days `[first, last)`, and what serving needs to repeat them.

    Args:
        session: views of the tables, see `tables.connect`.
        champion: whose vocabularies are grown, so that no id of theirs changes its row; all else is fitted anew.
        hold_out: whether the last days are kept from training, as `params.split_days` says; else all are train.
        like: whose context columns and classes are kept, whatever kinds of event, surfaces and answers the days hold:
            what goes on from it was fitted on them.
        store: a folder for what is too large for memory, laid out as by `dataset.save`; a run that was killed goes on
            from what lies there. None: all stays in memory.
        vectors: of the shop's texts, which it need not ask for, the encoders of what items say and show.
        log: where the events lie; None: in the session.

    Raises:
        TriadError: a task lacks its table, column or label, a key stands twice, days reach too far, too many
            interactions have no vocabulary row, or the champion knows days that it must not.
    """
    check_tables(session, params, tasks)
    check_categories(session, params, tasks)
    bound(session)
    log = log or Own(session)
    check_keys(session, log.tables)
    known = catalogue.read(session, params.category_levels, log.activity)
    spans = windows(*window, params.split_days) if hold_out else whole(*window)
    stream = streams.read(session, len(known.user_id), spans)
    state = _learn(session, params, tasks, spans, known, stream=stream[0], champion=champion, like=like, log=log)
    data, state = _assemble(session, state, known, stream, store=store, log=log)
    if (chosen := vectors(lambda: corpus(data, said(session)))) is not None:
        meta = replace(data.meta, item_vectors=chosen.meaning)
        data, state = data.replaced(meta=meta), replace(state, meta=meta, vectors=chosen)
        data = data.replaced(items=chosen.beside(data.items, session))
    check_labels(data, tasks, SPLITS if hold_out else SPLITS[:1])
    return data, state


def transform(session: duckdb.DuckDBPyConnection, state: State, candidates: pa.Table | None = None) -> Dataset:
    """Examples of any later tables in the terms of `state`: what lies after its windows has split -1.

    Args:
        candidates: exposures that did not happen, to be scored in place of the log's: event_id, user_id, item_id,
            occurred_at, position, surface. Prices after the last known day are that day's.

    Raises:
        TriadError: a table or a column is missing that was there when `state` was fitted, a key stands twice, or days
            reach too far.
    """
    known = _read(session, state)
    return _assemble(session, state, known, _streams(session, state, known), candidates)[0]


def standing(session: duckdb.DuckDBPyConnection, state: State, day: int) -> tuple[Dataset, Known]:
    """Who and what is there, without examples, and what the context of exposures of the UTC day `day` is made from.

    Raises:
        TriadError: as of `transform`.
    """
    catalogue_ = _read(session, state)
    source = _source(session, state, catalogue_, day, stream=_streams(session, state, catalogue_))
    return Dataset(_items(source), source.users, source.streams, {}, state.meta), exposure_arrays.known(source)


def _read(session: duckdb.DuckDBPyConnection, state: State) -> Catalogue:
    check_tables(session, state.params, {})
    if state.prices_given and not has_prices(session):
        raise TriadError(
            "is missing, but the state was fitted with it", where="table prices", mend="give the same tables"
        )
    bound(session)
    check_keys(session, session)
    return catalogue.read(session, state.params.category_levels)


def _learn(
    session: duckdb.DuckDBPyConnection,
    params: FeaturesParams,
    tasks: Mapping[str, TaskParams],
    spans: Windows,
    known: Catalogue,
    *,
    stream: Streams,
    champion: Champion | None,
    like: State | None,
    log: Log,
) -> State:
    """What the train days teach but for the names and scales of context, which follow from the rows themselves."""
    if champion is not None:
        check_days(champion, spans)
    counts = entities.train_counts(session, known, stream, params)
    vocabularies = entities.vocabularies(params, counts, champion.vocabularies if champion else {})
    own = vocabularies["item"].owns(vocabularies["item"].look_up(known.item_id))
    seen = own[stream.item[np.asarray(stream.split) == SPLITS.index("train")]]
    oov = float(1 - seen.mean()) if len(seen) else 1.0
    if oov > params.max_oov_rate and not len(seen):
        first, last = (str(np.datetime64(day, "us").astype("datetime64[D]")) for day in spans["train"])
        raise TriadError(
            f"holds no interaction of the days that are learned from, {first} to before {last}",
            where="table events",
            mend="shorten features.split_days, or bring earlier days and widen ingest.window_days",
        )
    if oov > params.max_oov_rate:
        raise TriadError(
            f"{oov:.1%} of train interactions have no vocabulary row of their own, of {params.max_oov_rate:g} allowed",
            where="features.max_oov_rate",
            mend="lower features.min_count, widen ingest.window_days, or raise the limit",
        )
    funnel = Funnel(like.kinds if like else _kinds(log.tables), labels.predicted(tasks))
    meta = Meta(
        tasks=_columns(tasks),
        classes=like.meta.classes if like else _classes(session, tasks),
        context=(),
        context_mean=(),
        context_std=(),
        vocabulary_rows={name: vocabulary.rows for name, vocabulary in vocabularies.items()},
        target_kind=funnel.target,
        windows=spans,
        negatives_sampled=not funnel.shown,
        oov_rate=oov,
        shared_rows=params.hash_buckets,
    )
    return State(
        params=params,
        tasks=dict(tasks),
        meta=meta,
        vocabularies=vocabularies,
        kinds=funnel.kinds,
        surfaces=like.surfaces if like else _surfaces(log.tables, funnel, spans["train"]),
        prices_given=has_prices(session),
        queries_given=like.queries_given if like else funnel.shown and _searched(session),
        learned={},
        warm_items=tuple(id_ for id_, n in counts["item"].items() if n >= params.min_count),
    )


def _assemble(
    session: duckdb.DuckDBPyConnection,
    state: State,
    known: Catalogue,
    stream: tuple[Streams, Ints],
    candidates: pa.Table | None = None,
    *,
    store: Path | None = None,
    log: Log | None = None,
) -> tuple[Dataset, State]:
    """Both ways end here, so that training and serving cannot differ. A state that is being fitted comes back whole."""
    last = -1 if candidates is None else exposures.last_day(candidates)
    source = replace(_source(session, state, known, last, candidates, stream=stream, log=log), store=store)
    # the exposures last: they drop the tables of the log to make room for their columns
    made = {name: UNITS[name].make(source) for name in sorted(units(state.tasks), key=lambda name: name == "exposures")}
    meta = replace(state.meta, **{field: value for each in made.values() for field, value in each.meta.items()})
    arrays = {name: each.arrays for name, each in made.items()}
    data = Dataset(_items(source), source.users, source.streams, arrays, meta)
    learned = {name: dict(each.learned) for name, each in made.items() if each.learned}
    return data, replace(state, meta=meta, learned=learned)


def _items(source: Source) -> Items:
    state = source.state
    items = entities.items(source.catalogue, state.vocabularies, state.params.title_tokens, source.grid.first)
    return items if state.vectors is None else state.vectors.beside(items, source.session)


def _source(
    session: duckdb.DuckDBPyConnection,
    state: State,
    known: Catalogue,
    day: int,
    candidates: pa.Table | None = None,
    *,
    stream: tuple[Streams, Ints],
    log: Log | None = None,
) -> Source:
    """What examples are made from; prices are known up to `day` at least."""
    grid = prices.build(session, state.prices_given, max(_last_day(session, state), day), known)
    named = {name: state.vocabularies[name] for name in state.params.user_attributes}
    users = entities.users(session, known, named)
    return Source(session, state, known, users, *stream, grid, log or Own(session), candidates)


def _streams(session: duckdb.DuckDBPyConnection, state: State, known: Catalogue) -> tuple[Streams, Ints]:
    return streams.read(session, len(known.user_id), state.meta.windows)


def units(tasks: Mapping[str, TaskParams]) -> list[str]:
    """Units to be made: those that tasks ask for, and those that members read."""
    needed = {LABELS[task.label].unit for task in tasks.values()}
    return [name for name, unit in UNITS.items() if unit.always or name in needed]


def _classes(session: duckdb.DuckDBPyConnection, tasks: Mapping[str, TaskParams]) -> dict[str, tuple[str, ...]]:
    """Names of each task's classes, where it has some."""
    return {
        name: LABELS[task.label].classes(task, partial(UNITS[LABELS[task.label].unit].values, session))
        for name, task in tasks.items()
        if KINDS[task.kind].has_classes
    }


def _columns(tasks: Mapping[str, TaskParams]) -> dict[str, tuple[str, ...]]:
    """Unit → its tasks, in the order of the params. A unit whose rows hold their own answers has none."""
    by_unit: dict[str, tuple[str, ...]] = {name: () for name in units(tasks) if UNITS[name].key is not None}
    for name, task in tasks.items():
        if (unit := LABELS[task.label].unit) in by_unit:
            by_unit[unit] += (name,)
    return by_unit


def _kinds(session: duckdb.DuckDBPyConnection) -> tuple[int, ...]:
    kinds = columns(session, "SELECT DISTINCT kind::INT AS kind FROM activity ORDER BY kind")["kind"]
    return tuple(kinds.tolist())


def _searched(session: duckdb.DuckDBPyConnection) -> bool:
    return scalar(session, "SELECT count(*) FROM query_row") > 0


def _surfaces(session: duckdb.DuckDBPyConnection, funnel: Funnel, train: tuple[int, int]) -> tuple[str, ...]:
    counts = columns(
        session,
        f"""SELECT surface, count(*) AS n FROM activity
            WHERE kind = {funnel.kinds[0]} AND surface IS NOT NULL AND time >= {train[0]} AND time < {train[1]}
            GROUP BY surface ORDER BY n DESC, surface LIMIT {SURFACES}""",
    )
    return tuple(counts["surface"].tolist())


def _last_day(session: duckdb.DuckDBPyConnection, state: State) -> int:
    """The last UTC day that any table says something of.

    Raises:
        TriadError: the first one lies more than `MOST_DAYS` before it.
    """
    day = "day - DATE '1970-01-01' AS day FROM prices"
    source = f"(SELECT day FROM activity{f' UNION ALL SELECT {day}' if state.prices_given else ''})"
    first, last = (scalar(session, f"SELECT {end}(day) FROM {source}") for end in ("min", "max"))
    if last - first > MOST_DAYS or first < 0:
        dates = " … ".join(str(np.datetime64(day, "D")) for day in (first, last))
        raise TriadError(
            f"reach over {last - first:,} days ({dates}), of {MOST_DAYS:,} that a grid of prices is made for",
            where="table events and table prices",
            mend="leave out the rows whose time is wrong, or shorten ingest.window_days",
        )
    return last
