"""From tables to a `Dataset`: `fit` for training, `transform` to repeat it for serving with what was fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import duckdb
import numpy as np

from triad.config.features import FeaturesParams
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.features import catalogue, exposures, labels, prices, signals, streams
from triad.features.catalogue import Catalogue
from triad.features.context import Known, Rows, block
from triad.features.dataset import SPLITS, Dataset, Exposures, Floats, Ints, Items, Meta, Streams, Users
from triad.features.requirements import check_labels, check_tables, has_prices
from triad.features.signals import Funnel
from triad.features.splits import ends_inside, folds, split_of, windows
from triad.features.sql import DAY, HOUR, bounded, columns, scalar, texts
from triad.features.state import State
from triad.features.vocabulary import Vocabulary, grow, load

BLOCK = 400_000
"""Exposures whose context is made at once."""


def fit(
    session: duckdb.DuckDBPyConnection,
    params: FeaturesParams,
    tasks: Mapping[str, TaskParams],
    window: tuple[date, date],
) -> tuple[Dataset, State]:
    """Examples of the UTC days `[first, last)`, and what serving needs to repeat them.

    Args:
        session: views of the tables, see `tables.connect`.

    Raises:
        TriadError: a task lacks its table, column or label, or too many interactions have no vocabulary row.
    """
    check_tables(session, params, tasks)
    with bounded(session):
        known = catalogue.read(session, params.category_levels)
        spans = windows(*window, params.split_days)
        stream, _ = streams.read(session, len(known.user_id), spans)
        counts = _train_counts(session, known, stream, params)
        vocabularies = _vocabularies(params, counts)
        own = vocabularies["item"].owns(vocabularies["item"].look_up(known.item_id))
        in_train = np.asarray(stream.split) == SPLITS.index("train")
        oov = float(1 - own[stream.item[in_train]].mean()) if in_train.any() else 1.0
        if oov > params.max_oov_rate:
            raise TriadError(
                f"{oov:.1%} of train interactions have an item without a row of its own; the limit is {params.max_oov_rate:.1%}",
                where="features.max_oov_rate",
                mend="lower features.min_count, widen ingest.window_days, or raise the limit",
            )
        funnel = Funnel(
            tuple(columns(session, "SELECT DISTINCT kind::INT AS kind FROM activity ORDER BY kind")["kind"].tolist())
        )
        state = State(
            params=params,
            tasks=tasks,
            meta=_meta(session, tasks, vocabularies, funnel, spans, oov),
            vocabularies=vocabularies,
            kinds=funnel.kinds,
            surfaces=_surfaces(session, funnel, spans["train"]),
            prices_given=has_prices(session),
            warm_items=tuple(id_ for id_, n in counts["item"].items() if n >= params.min_count),
        )
        data = _assemble(session, state, known)
    check_labels(data, tasks)
    meta = _standardised(data)
    return replace(data, meta=meta), replace(state, meta=meta)


def transform(session: duckdb.DuckDBPyConnection, state: State) -> Dataset:
    """Examples of any later tables in the terms of `state`: what lies after its windows has split -1.

    Raises:
        TriadError: a table is missing that was there when `state` was fitted.
    """
    check_tables(session, state.params, {})
    if state.prices_given and not has_prices(session):
        raise TriadError(
            "is missing, and the model was trained with it", where="table prices", mend="give the same tables"
        )
    with bounded(session):
        return _assemble(session, state, catalogue.read(session, state.params.category_levels))


def _assemble(session: duckdb.DuckDBPyConnection, state: State, known: Catalogue) -> Dataset:
    """Both ways end here, so that training and serving cannot differ."""
    params, meta, funnel = state.params, state.meta, Funnel(state.kinds)
    n_items = len(known.item_id)
    negatives = 0 if funnel.shown else params.sampled_negatives
    exposures.build(session, funnel.kinds[0], negatives, params.seed)
    last_day = scalar(session, "SELECT max(day) FROM activity")
    if state.prices_given:
        last_day = max(last_day, scalar(session, "SELECT max(day - DATE '1970-01-01') FROM prices"))
    grid = prices.build(session, state.prices_given, last_day, params.category_levels, n_items)
    signals.measure(session, funnel, params.attribution_hours)
    stream, stream_user = streams.read(session, len(known.user_id), meta.windows)
    source = Known(
        funnel=funnel,
        surfaces=state.surfaces,
        catalogue=known,
        streams=stream,
        daily=signals.daily_sums(session, funnel, params.category_levels, n_items),
        grid=grid,
        price_lag=0 if state.prices_given and not negatives else 1,
    )
    users = _users(session, state, known)
    found = columns(session, "SELECT user_no, item_no, time FROM exposure ORDER BY row")
    user, item, time = found["user_no"], found["item_no"], found["time"]
    place = split_of(time, meta.windows)
    whole = ends_inside(time, place, params.attribution_hours * HOUR, meta.windows)
    split = np.where(whole, place, -1).astype(np.int8)
    earlier = streams.history(stream, stream_user, user, time)
    begins = np.array([meta.windows[name][0] for name in SPLITS] + [meta.windows[SPLITS[-1]][1]], np.int64)[place]
    names, context = _context(session, source, user, item, time, earlier)
    return Dataset(
        items=_items(state, known, grid.first),
        users=users,
        streams=stream,
        exposures=Exposures(
            event_id=texts(session, "SELECT event_id FROM exposure ORDER BY row"),
            user=user,
            item=item,
            time=time,
            split=split,
            history=earlier,
            context=context,
            labels=_labels(session, state, known, grid, users, (user, item, time, split)),
            is_new_user=streams.history(stream, stream_user, user, begins) == 0,
            is_cold_item=~np.isin(known.item_id, np.array(state.warm_items, dtype=np.str_))[item],
        ),
        queries=streams.queries(stream, stream_user, funnel.target, meta.windows),
        meta=replace(meta, context=names),
    )


def _context(
    session: duckdb.DuckDBPyConnection, source: Known, user: Ints, item: Ints, time: Ints, earlier: Ints
) -> tuple[tuple[str, ...], Floats]:
    names: tuple[str, ...] = ()
    context = np.empty((len(user), 0), np.float32)
    for start in range(0, max(len(user), 1), BLOCK):
        part = slice(start, start + BLOCK)
        shown = columns(
            session,
            f"""
            SELECT position::FLOAT AS position, coalesce(surface, '') AS surface, price_cents::DOUBLE AS price
            FROM exposure WHERE row BETWEEN {start} AND {start + BLOCK - 1} ORDER BY row
        """,
        )
        rows = Rows(user[part], item[part], time[part], earlier[part], **shown)
        found = block(source, rows)
        if not names:
            names = tuple(found)
            context = np.empty((len(user), len(names)), np.float32)
        for column, name in enumerate(names):
            context[part, column] = found[name]
    return names, context


def _labels(
    session: duckdb.DuckDBPyConnection,
    state: State,
    known: Catalogue,
    grid: prices.PriceGrid,
    users: Users,
    rows: tuple[Ints, Ints, Ints, Ints],
) -> Floats:
    """(n, n_tasks) labels, NaN where missing."""
    user, item, time, split = rows
    meta, spans, hours = state.meta, state.meta.windows, state.params.attribution_hours
    known_until = max(spans[SPLITS[-1]][1], (scalar(session, "SELECT max(day) FROM activity") + 1) * DAY)
    found = np.full((len(user), len(meta.tasks)), np.nan, np.float32)
    for column, name in enumerate(meta.tasks):
        task = state.tasks[name]
        if task.label == "user_attribute":
            value = _attribute(session, str(task.column), meta.classes[name])
            found[:, column] = labels.user_attribute(value, user, time, split, users.fold)
        elif task.label == "price_move":
            found[:, column] = labels.price_move(grid, item, time, split, task.horizon_days, spans)
        elif task.label == "spend":
            found[:, column] = labels.spend(labels.purchases(session), user, time, split, task.horizon_days, spans)
        else:
            kinds = labels.chain(name, state.tasks)
            found[:, column] = labels.followed(session, kinds, hours, time, known_until)
    return found


def _attribute(session: duckdb.DuckDBPyConnection, column: str, classes: tuple[str, ...]) -> Ints:
    """(n_users,) place of each user's value in `classes`, -1 where it is none of them."""
    place = {value: number for number, value in enumerate(classes)}
    return np.array([place.get(value, -1) for value in _user_texts(session, column)], np.int64)


def _user_texts(session: duckdb.DuckDBPyConnection, column: str) -> np.ndarray:
    return texts(session, f'SELECT "{column}"::VARCHAR FROM users ORDER BY user_id')


def _users(session: duckdb.DuckDBPyConnection, state: State, known: Catalogue) -> Users:
    attributes = [state.vocabularies[name].look_up(_user_texts(session, name)) for name in state.params.user_attributes]
    return Users(
        user_id=known.user_id,
        attributes=np.stack(attributes, axis=1) if attributes else np.zeros((len(known.user_id), 0), np.int32),
        signed_up_at=known.signed_up_at,
        fold=folds(known.user_id),
    )


def _items(state: State, known: Catalogue, first_price: Floats) -> Items:
    length, tokens = state.params.title_tokens, state.vocabularies["token"]
    titles = [catalogue.words(title)[:length] for title in known.titles]
    padded = np.array([word for title in titles for word in title + [""] * (length - len(title))], dtype=np.str_)
    listed = np.log1p(np.maximum(known.list_price, 0))
    levels = [state.vocabularies["category"].look_up(known.paths[:, level]) for level in range(known.levels)]
    return Items(
        item_id=known.item_id,
        vocabulary_row=state.vocabularies["item"].look_up(known.item_id),
        category=np.stack(levels, axis=1),
        brand=state.vocabularies["brand"].look_up(known.brands),
        tokens=tokens.look_up(padded).reshape(len(titles), length),
        log_price=np.where(np.isfinite(first_price), np.log1p(np.exp(first_price)), listed).astype(np.float32),
        available_from=known.available_from,
    )


def _train_counts(
    session: duckdb.DuckDBPyConnection, known: Catalogue, stream: Streams, params: FeaturesParams
) -> dict[str, dict[str, int]]:
    """Train interactions of each id, by vocabulary."""
    train = np.asarray(stream.split) == SPLITS.index("train")
    of_item = np.bincount(stream.item[train], minlength=len(known.item_id))
    words = [sorted(set(catalogue.words(title)[: params.title_tokens])) for title in known.titles]
    counts = {
        "item": _add_up(known.item_id, of_item),
        "category": _add_up(known.paths.T.ravel(), np.tile(of_item, known.levels)),
        "brand": _add_up(known.brands, of_item),
        "token": _add_up(
            [word for title in words for word in title], np.repeat(of_item, [len(title) for title in words])
        ),
    }
    if params.user_attributes:
        of_user = np.add.reduceat(np.r_[train, False].astype(np.int64), stream.offsets[:-1]) * (
            np.diff(stream.offsets) > 0
        )
        counts |= {name: _add_up(_user_texts(session, name), of_user) for name in params.user_attributes}
    return counts


def _add_up(ids: np.ndarray | list[str], counts: Ints) -> dict[str, int]:
    known, place = np.unique(np.asarray(ids, dtype=np.str_), return_inverse=True)
    total = np.bincount(place, weights=counts, minlength=len(known))
    return {str(id_): int(n) for id_, n in zip(known, total, strict=True)}


def _vocabularies(params: FeaturesParams, counts: Mapping[str, Mapping[str, int]]) -> dict[str, Vocabulary]:
    earlier = load(params.vocabularies_from) if params.vocabularies_from else {}
    grown = {}
    for name, count in counts.items():
        buckets = 0 if name in params.user_attributes else params.hash_buckets
        base = earlier.get(name, Vocabulary((), buckets))
        if base.buckets != buckets:
            raise TriadError(
                f"the earlier vocabulary {name!r} has {base.buckets} shared rows, not {buckets}",
                where="features.hash_buckets",
                mend="keep the number that the earlier vocabularies were made with, or start new ones",
            )
        grown[name] = grow(base, count, params.min_count)
    return grown


def _surfaces(session: duckdb.DuckDBPyConnection, funnel: Funnel, train: tuple[int, int]) -> tuple[str, ...]:
    found = columns(
        session,
        f"""
        SELECT surface, count(*) AS n FROM activity
        WHERE kind = {funnel.kinds[0]} AND surface IS NOT NULL AND time >= {train[0]} AND time < {train[1]}
        GROUP BY surface ORDER BY n DESC, surface LIMIT 6
    """,
    )
    return tuple(found["surface"].tolist())


def _meta(
    session: duckdb.DuckDBPyConnection,
    tasks: Mapping[str, TaskParams],
    vocabularies: Mapping[str, Vocabulary],
    funnel: Funnel,
    spans: dict[str, tuple[int, int]],
    oov: float,
) -> Meta:
    pointwise = tuple(name for name, task in tasks.items() if task.kind != "ranking")
    values = {
        name: _user_texts(session, str(tasks[name].column)) for name in pointwise if tasks[name].kind == "multiclass"
    }
    return Meta(
        tasks=pointwise,
        classes={name: tuple(sorted(set(found.tolist()) - {""})) for name, found in values.items()},
        context=(),
        context_mean=(),
        context_std=(),
        vocabulary_rows={name: vocabulary.rows for name, vocabulary in vocabularies.items()},
        target_kind=funnel.target,
        windows=spans,
        negatives_sampled=not funnel.shown,
        oov_rate=oov,
    )


def _standardised(data: Dataset) -> Meta:
    rows = data.rows("train")
    mean, std = [], []
    for column in range(len(data.meta.context)):
        values = data.exposures.context[rows, column].astype(np.float64)
        values = values[np.isfinite(values)]
        mean.append(float(values.mean()) if len(values) else 0.0)
        std.append(float(values.std()) if len(values) and values.std() > 1e-6 else 1.0)
    return replace(data.meta, context_mean=tuple(mean), context_std=tuple(std))
