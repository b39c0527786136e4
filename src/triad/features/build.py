"""From tables to a `Dataset`: `fit` for training; `transform` applies the fitted features again for serving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import partial

import duckdb
import numpy as np
import pyarrow as pa

from triad.config.features import FeaturesParams
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.examples.exposures import Exposures
from triad.features import catalogue, entities, exposures, labels, prices, searches, signals, streams
from triad.features.catalogue import Catalogue
from triad.features.champion import Champion, check_days
from triad.features.context import Known, Rows, block, learn
from triad.features.dataset import SPLITS, Floats, Ints, Meta
from triad.features.labels import LabelRows
from triad.features.rates import Strengths
from triad.features.requirements import check_categories, check_keys, check_labels, check_tables, has_prices
from triad.features.signals import Funnel
from triad.features.splits import ends_inside, split_of, windows
from triad.features.sql import DAY, HOUR, bound, columns, scalar, texts
from triad.features.state import State
from triad.kinds import KINDS
from triad.tasks import LABELS
from triad.texts import Texts

BLOCK = 50_000
"""Exposures whose context is made at once. From 20,000 to 200,000 the time is the same, the memory is not."""

LEARNED = 200_000
"""Train exposures whose entities say how far rates are to be trusted."""

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
) -> tuple[Dataset, State]:
    """Examples of the UTC days `[first, last)`, and what serving needs to repeat them.

    Args:
        session: views of the tables, see `tables.connect`.
        champion: whose vocabularies are grown, so that no id of theirs changes its row; all else is fitted anew.

    Raises:
        TriadError: a task lacks its table, column or label, a key stands twice, days reach too far, too many
            interactions have no vocabulary row, or the champion knows days that it must not.
    """
    check_tables(session, params, tasks)
    check_categories(session, params, tasks)
    bound(session)
    check_keys(session)
    known = catalogue.read(session, params.category_levels)
    state = _learn(session, params, tasks, window, known, champion=champion)
    data, strengths = _assemble(session, state, known)
    check_labels(data, tasks)
    meta = _standardised(data)
    return replace(data, meta=meta), replace(state, meta=meta, strengths=strengths)


def transform(session: duckdb.DuckDBPyConnection, state: State, asked: pa.Table | None = None) -> Dataset:
    """Examples of any later tables in the terms of `state`: what lies after its windows has split -1.

    Args:
        asked: exposures that did not happen, to be scored in place of the log's: event_id, user_id, item_id,
            occurred_at, position, surface. Prices after the last known day are that day's.

    Raises:
        TriadError: a table or a column is missing that was there when `state` was fitted, a key stands twice, or days
            reach too far.
    """
    check_tables(session, state.params, {})
    if state.prices_given and not has_prices(session):
        raise TriadError(
            "is missing, but the state was fitted with it", where="table prices", mend="give the same tables"
        )
    bound(session)
    check_keys(session)
    return _assemble(session, state, catalogue.read(session, state.params.category_levels), asked)[0]


def _learn(
    session: duckdb.DuckDBPyConnection,
    params: FeaturesParams,
    tasks: Mapping[str, TaskParams],
    window: tuple[date, date],
    known: Catalogue,
    *,
    champion: Champion | None,
) -> State:
    """What the train days teach but for the names and scales of context, which follow from the rows themselves."""
    spans = windows(*window, params.split_days)
    if champion is not None:
        check_days(champion, spans)
    stream, _ = streams.read(session, len(known.user_id), spans)
    counts = entities.train_counts(session, known, stream, params)
    vocabularies = entities.vocabularies(params, counts, champion.vocabularies if champion else {})
    own = vocabularies["item"].owns(vocabularies["item"].look_up(known.item_id))
    seen = own[stream.item[np.asarray(stream.split) == SPLITS.index("train")]]
    oov = float(1 - seen.mean()) if len(seen) else 1.0
    if oov > params.max_oov_rate:
        raise TriadError(
            f"{oov:.1%} of train interactions have no vocabulary row of their own, of {params.max_oov_rate:g} allowed",
            where="features.max_oov_rate",
            mend="lower features.min_count, widen ingest.window_days, or raise the limit",
        )
    kinds = columns(session, "SELECT DISTINCT kind::INT AS kind FROM activity ORDER BY kind")["kind"]
    funnel = Funnel(tuple(kinds.tolist()), labels.predicted(tasks))
    pointwise = tuple(name for name, task in tasks.items() if LABELS[task.label].unit == "exposures")
    meta = Meta(
        tasks={"exposures": pointwise},
        classes={
            name: LABELS[tasks[name].label].classes(tasks[name], partial(entities.user_values, session))
            for name in pointwise
            if KINDS[tasks[name].kind].has_classes
        },
        context=(),
        context_mean=(),
        context_std=(),
        vocabulary_rows={name: vocabulary.rows for name, vocabulary in vocabularies.items()},
        target_kind=funnel.target,
        windows=spans,
        negatives_sampled=not funnel.shown,
        oov_rate=oov,
    )
    return State(
        params=params,
        tasks=dict(tasks),
        meta=meta,
        vocabularies=vocabularies,
        kinds=funnel.kinds,
        surfaces=_surfaces(session, funnel, spans["train"]),
        prices_given=has_prices(session),
        queries_given=funnel.shown and scalar(session, "SELECT count(*) FROM query_row") > 0,
        strengths={},
        warm_items=tuple(id_ for id_, n in counts["item"].items() if n >= params.min_count),
    )


def _assemble(
    session: duckdb.DuckDBPyConnection, state: State, known: Catalogue, asked: pa.Table | None = None
) -> tuple[Dataset, Strengths]:
    """Both ways end here, so that training and serving cannot differ. A state without strengths gets them."""
    params, meta, funnel = state.params, state.meta, Funnel(state.kinds, labels.predicted(state.tasks))
    negatives = 0 if funnel.shown else params.sampled_negatives
    exposures.build(session, funnel.kinds[0], negatives, params.seed)
    last_day = max(_last_day(session, state), -1 if asked is None else exposures.last_day(asked))
    grid = prices.build(session, state.prices_given, last_day, known)
    signals.measure(session, funnel, params.attribution_hours)
    if asked is not None:  # what places on the page bring was measured on the log's own exposures
        exposures.replace(session, asked, negatives)
    stream, stream_user = streams.read(session, len(known.user_id), meta.windows)

    found = exposures.read(session, state.surfaces, funnel.shown)
    user, time = found["user"], found["time"]
    rows = Rows(**found, history=streams.history(stream, stream_user, user, time))
    days = split_of(time, meta.windows)
    whole = ends_inside(time, days, params.attribution_hours * HOUR, meta.windows)
    split = np.where(whole, days, -1).astype(np.int8)
    # -1 takes the last of these: what is later than every split is new to all of them
    begins = np.array([meta.windows[name][0] for name in SPLITS] + [meta.windows[SPLITS[-1]][1]], np.int64)[days]

    users = entities.users(session, known, {name: state.vocabularies[name] for name in params.user_attributes})
    known_until = max(meta.windows[SPLITS[-1]][1], (scalar(session, "SELECT max(day) FROM activity") + 1) * DAY)
    for_labels = LabelRows(
        session, user, rows.item, time, split, users.fold, meta.windows, params.attribution_hours, known_until, grid
    )
    label = _labels(for_labels, state)
    source = Known(
        funnel=funnel,
        surfaces=state.surfaces,
        catalogue=known,
        streams=stream,
        daily=signals.daily_sums(session, funnel, known),
        grid=grid,
        searches=searches.read(session, known) if state.queries_given else None,
        places=signals.places(session) if funnel.shown else None,
        strengths=dict(state.strengths),
        # a sold item's own price of the day would tell it from a sampled one's
        price_lag=0 if state.prices_given and funnel.shown else 1,
    )
    event_id = texts(session, "event_id", "exposure", "row")
    signals.forget(session)
    if not source.strengths:
        source = replace(source, strengths=_strengths(source, rows, split, meta.windows["train"][1]))
    names, context = _context(source, rows)
    data = Dataset(
        items=entities.items(known, state.vocabularies, params.title_tokens, grid.first),
        users=users,
        streams=stream,
        units={
            "exposures": Exposures(
                event_id=event_id,
                user=user,
                item=rows.item,
                time=time,
                split=split,
                history=rows.history,
                context=context,
                labels=label,
                is_new_user=streams.history(stream, stream_user, user, begins) == 0,
                is_cold_item=(Texts.of(state.warm_items).places(known.item_id) < 0)[rows.item],
            ),
            "lists": streams.lists(stream, stream_user, funnel.target, meta.windows),
        },
        meta=replace(meta, context=names),
    )
    return data, source.strengths


def _strengths(source: Known, rows: Rows, split: Ints, end: int) -> Strengths:
    """Learned of the entities in train, by their counts at its end."""
    train = np.flatnonzero(split == SPLITS.index("train"))
    seen = rows.take(train[:: 1 + len(train) // LEARNED])
    return learn(source, replace(seen, time=np.full(len(seen.time), end, np.int64)))


def _context(source: Known, rows: Rows) -> tuple[tuple[str, ...], Floats]:
    """Names and (n, n_context) values, block by block: no whole column ever stands beside the matrix."""
    names = tuple(block(source, rows.take(slice(0))))
    context = np.empty((len(rows.user), len(names)), np.float32)
    for start in range(0, len(rows.user), BLOCK):
        part = slice(start, start + BLOCK)
        found = block(source, rows.take(part))
        for column, name in enumerate(names):
            context[part, column] = found[name]
    return names, context


def _labels(rows: LabelRows, state: State) -> Floats:
    """(n, n_tasks) labels, NaN where missing."""
    values = np.full((len(rows.user), len(state.meta.tasks["exposures"])), np.nan, np.float32)
    for column, name in enumerate(state.meta.tasks["exposures"]):
        make = LABELS[state.tasks[name].label].make
        assert make is not None, name  # `check_tables` refused it
        values[:, column] = make(name, state.tasks, rows, state.meta.classes.get(name, ()))
    return values


def _surfaces(session: duckdb.DuckDBPyConnection, funnel: Funnel, train: tuple[int, int]) -> tuple[str, ...]:
    found = columns(
        session,
        f"""SELECT surface, count(*) AS n FROM activity
            WHERE kind = {funnel.kinds[0]} AND surface IS NOT NULL AND time >= {train[0]} AND time < {train[1]}
            GROUP BY surface ORDER BY n DESC, surface LIMIT {SURFACES}""",
    )
    return tuple(found["surface"].tolist())


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


def _standardised(data: Dataset) -> Meta:
    """`data.meta` with each context column's mean and deviation over train rows, NaN left out."""
    rows, width = data.rows("train"), len(data.meta.context)
    count, total, square = np.zeros(width), np.zeros(width), np.zeros(width)
    for start in range(0, len(rows), BLOCK):
        values = data.exposures.context[rows[start : start + BLOCK]].astype(np.float64)
        known = np.isfinite(values)
        values[~known] = 0
        count, total, square = count + known.sum(0), total + values.sum(0), square + (values**2).sum(0)
    mean = total / np.maximum(count, 1)
    std = np.sqrt(np.maximum(square / np.maximum(count, 1) - mean**2, 0))
    return replace(
        data.meta, context_mean=tuple(mean.tolist()), context_std=tuple(np.where(std > 1e-5, std, 1.0).tolist())
    )
