"""Examples from tables, on logs small enough to work out by hand, and on a random shop as a whole."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from make_dataset import make_dataset
from make_tables import DAY, END, START, ZERO, make_tables

from triad.arrays import Floats
from triad.config.features import FeaturesParams, SplitDays
from triad.config.params import parse
from triad.config.tasks import TaskParams, chain, given
from triad.errors import TriadError
from triad.examples import dataset
from triad.examples.dataset import Dataset
from triad.features import catalogue, exposures, prices, rates, searches, streams
from triad.features import followed as follows
from triad.features.aggregates import Daily, daily
from triad.features.build import fit, transform
from triad.features.champion import Champion
from triad.features.dataset import SPLITS, Streams
from triad.features.labels import LabelRows
from triad.features.log import Own
from triad.features.splits import FOLD_SHARES, ends_inside, folds, split_of, windows
from triad.features.state import State
from triad.features.vocabulary import Vocabulary, grow
from triad.schema import MOST_CATEGORIES
from triad.tables import connect, write_table
from triad.tasks import LABELS
from triad.tasks.following import reached

HOUR = DAY // 24
MOMENT = pa.timestamp("us", tz="UTC")
SPLIT_DAYS = {"validation": 5, "fusion": 5, "test": 5}
PARAMS = FeaturesParams(split_days=SPLIT_DAYS, user_attributes=("country",))
TASKS = {
    "click": TaskParams(kind="binary", label="clicked"),
    "conversion": TaskParams(kind="binary", label="purchased", given="click"),
    "profile": TaskParams(kind="multiclass", label="user_attribute", column="segment"),
    "price": TaskParams(kind="regression", label="price_move", horizon_days=3),
    "spend": TaskParams(kind="regression", label="spend", horizon_days=3),
    "next": TaskParams(kind="ranking", label="next_item"),
}


def log(*rows: tuple, items: int = 3, prices: list[tuple] | None = None) -> dict[str, pa.Table]:
    """Tables of a log of (user, item, hour, kind[, session[, price]]): users a, b, c … and items 0, 1, …"""
    users = sorted({row[0] for row in rows})
    full = [(*row, *(None, 1000)[len(row) - 4 :]) for row in rows]
    moments = [ZERO + int(row[2] * HOUR) for row in full]
    tables = {
        "users": pa.table({"user_id": users, "signed_up_at": pa.array([ZERO] * len(users), MOMENT)}),
        "items": pa.table(
            {
                "item_id": [str(n) for n in range(items)],
                "category": [f"c{n % 2}" for n in range(items)],
                "brand": ["b"] * items,
                "price_cents": [1000] * items,
                "available_from": pa.array([ZERO] * items, MOMENT),
            }
        ),
        "events": pa.table(
            {
                "event_id": [f"{n:03d}" for n in range(len(full))],
                "user_id": [row[0] for row in full],
                "item_id": [str(row[1]) for row in full],
                "occurred_at": pa.array(moments, MOMENT),
                "kind": [row[3] for row in full],
                "session_id": pa.array([row[4] for row in full], pa.string()),
                "price_cents": pa.array([row[5] for row in full], pa.int64()),
                "quantity": [2] * len(full),
            }
        ),
    }
    if prices:
        tables["prices"] = pa.table(
            {
                "item_id": [str(row[0]) for row in prices],
                "day": pa.array([ZERO // DAY + row[1] for row in prices], pa.int32()).cast(pa.date32()),
                "price_cents": [row[2] for row in prices],
                "is_promoted": [row[3] for row in prices],
            }
        )
    return tables


def followed(events: tuple[str, ...], *log_rows: tuple, hours: int = 24, known_until: int | None = None) -> list[float]:
    with connect(log(*log_rows)) as session:
        catalogue.read(session, 1)
        exposures.build(session, 0, 0, 1)
        time = np.array([ZERO + int(row[2] * HOUR) for row in sorted(log_rows) if row[3] == "impression"])
        rows = label_rows(session, time=time, hours=hours, known_until=known_until or ZERO + 90 * DAY)
        return rows.followed(events).tolist()


def label_rows(session: duckdb.DuckDBPyConnection, *rows: tuple[int, int, float], **others: Any) -> LabelRows:
    """Exposures (user, item, day)."""
    user, item, day = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.zeros(0),) * 3
    time = others.pop("time", ZERO + (day * DAY).astype(np.int64))
    known = {"fold": np.zeros(0), "grid": None, "hours": 24, "windows": SPANS, "known_until": ZERO + 90 * DAY} | others
    known.setdefault("log", Own(session))
    return LabelRows(session, user, item, time, split_of(time, SPANS), **known)


def made(rows: LabelRows, classes: Sequence[str] = (), **task: Any) -> Floats:
    tasks = {"it": TaskParams(**task)}
    return LABELS[tasks["it"].label].make("it", tasks, rows, classes)


def test_a_step_counts_within_its_hours_of_the_same_user_item_and_session() -> None:
    shown = [("a", 0, 10, "impression", "s"), ("a", 1, 10, "impression", "s"), ("b", 0, 10, "impression", None)]
    assert followed(("click",), *shown, ("a", 0, 10, "click", "s")) == [1, 0, 0]
    assert followed(("click",), *shown, ("a", 0, 33.99, "click", "s")) == [1, 0, 0]
    assert followed(("click",), *shown, ("a", 0, 34, "click", "s")) == [0, 0, 0]
    assert followed(("click",), *shown, ("a", 0, 9.99, "click", "s")) == [0, 0, 0]
    assert followed(("click",), *shown, ("a", 0, 11, "click", "t")) == [0, 0, 0]
    assert followed(("click",), *shown, ("a", 0, 11, "click", None)) == [1, 0, 0]
    assert followed(("click",), *shown, ("b", 0, 11, "click", "t")) == [0, 0, 1]


def test_a_given_step_must_come_first() -> None:
    shown = ("a", 0, 10, "impression")
    assert followed(("click", "purchase"), shown, ("a", 0, 11, "click"), ("a", 0, 12, "purchase")) == [1]
    assert followed(("click", "purchase"), shown, ("a", 0, 12, "click"), ("a", 0, 11, "purchase")) == [0]
    assert followed(("purchase",), shown, ("a", 0, 12, "click"), ("a", 0, 11, "purchase")) == [1]
    tasks = {**TASKS, "cart": TaskParams(kind="binary", label="carted", given="click")}
    assert chain("cart", given(tasks)) == ["cart", "click"]
    assert chain("click", given(tasks)) == ["click"]


def test_a_label_that_is_not_yet_known_is_missing() -> None:
    shown = [("a", 0, 10, "impression"), ("b", 0, 10, "impression")]
    found = followed(("click",), *shown, ("a", 0, 11, "click"), known_until=ZERO + 20 * HOUR)
    assert found[0] == 1
    assert np.isnan(found[1])


SPANS = windows(START, date(2026, 1, 13), SplitDays(validation=3, fusion=3, test=3))  # days 0-2 | 3-5 | 6-8 | 9-11


def test_splits_are_whole_days_and_the_last_hours_of_each_are_left_out() -> None:
    assert SPANS["train"] == (ZERO, ZERO + 3 * DAY)
    assert SPANS["test"] == (ZERO + 9 * DAY, ZERO + 12 * DAY)
    time = ZERO + np.array([-1, 0, 3 * DAY - 1, 3 * DAY, 12 * DAY - 1, 12 * DAY])
    assert split_of(time, SPANS).tolist() == [-1, 0, 0, 1, 3, -1]
    split = split_of(time, SPANS)
    assert ends_inside(time, split, 24 * HOUR, SPANS).tolist() == [False, True, False, True, False, False]
    assert ends_inside(time[1:2] + 2 * DAY, split[1:2], 24 * HOUR, SPANS).tolist() == [True]
    with pytest.raises(ValueError, match="no days left for train"):
        windows(START, date(2026, 1, 10), SplitDays(validation=3, fusion=3, test=3))


def test_folds_are_stable_and_near_their_shares() -> None:
    ids = np.array([f"u{n}" for n in range(20_000)])
    fold = folds(ids)
    assert np.abs(np.bincount(fold) / len(fold) - FOLD_SHARES).max() < 0.01
    assert folds(ids[5:9]).tolist() == fold[5:9].tolist()


def test_user_attribute_shows_a_user_in_one_split_only() -> None:
    tables = log(*((user, 0, 1, "click") for user in "abc"))
    tables["users"] = tables["users"].append_column("country", pa.array(["fr", "es", "elsewhere"]))
    shown = ((0, 0, 0.1), (0, 1, 0.2), (0, 1, 1.0), (0, 1, 4.0), (1, 0, 0.5), (1, 0, 3.1), (1, 0, 4.0), (2, 0, 4.0))
    with connect(tables) as session:
        rows = label_rows(session, *shown, fold=np.array([0, 1, 1]))
        found = made(rows, ("de", "es", "fr"), kind="multiclass", label="user_attribute", column="country")
    np.testing.assert_array_equal(found, [np.nan, 2, 2, np.nan, np.nan, np.nan, 1, np.nan])


def test_price_move_is_the_log_ratio_inside_the_split() -> None:
    known = [(0, day, 1000 + 100 * day, False) for day in range(12)] + [(1, 0, 500, False), (1, 5, 250, True)]
    with connect(log(("a", 0, 1, "click"), prices=known)) as session:
        found = catalogue.read(session, 1)
        grid = prices.build(session, True, ZERO // DAY + 11, found)
        shown = ((0, 0, 0.1), (0, 0, 0.9), (1, 0, 1.0), (0, 0, 2.0), (0, 1, 3.5), (0, 1, 4.0), (0, 2, 0.0))
        move = made(label_rows(session, *shown, grid=grid), kind="regression", label="price_move", horizon_days=2)
    # item 0, day 0: the later of its two rows; days 1 and 2: two days on is the next split; item 2 has no price
    np.testing.assert_allclose(
        move, [np.nan, np.log(1200 / 1000), np.nan, np.nan, np.log(250 / 500), np.nan, np.nan], rtol=1e-5
    )
    np.testing.assert_allclose(np.exp(grid.first[:2]), [1000, 500], rtol=1e-5)
    assert np.isnan(grid.first[2])
    item, day = grid.rows
    assert item.tolist() == [0] * 12 + [1] * 12 and (day - ZERO // DAY).tolist() == [*range(12)] * 2
    asked = np.array([[0, -1], [0, 0], [0, 11], [0, 12], [1, -1], [1, 4], [1, 5], [2, 5]])
    told = np.exp(grid.at(asked[:, 0], ZERO // DAY + asked[:, 1])["price"])
    np.testing.assert_allclose(told, [np.nan, 1000, 2100, np.nan, np.nan, 500, 250, np.nan], rtol=1e-5)


def test_a_shop_without_any_price_knows_none() -> None:
    tables = log(("a", 0, 1, "click"))
    unpriced = pa.nulls(tables["events"].num_rows, tables["events"].schema.field("price_cents").type)
    place = tables["events"].schema.get_field_index("price_cents")
    tables["events"] = tables["events"].set_column(place, "price_cents", unpriced)
    with connect(tables) as session:
        found = catalogue.read(session, 1)
        grid = prices.build(session, False, ZERO // DAY + 3, found)
    assert np.isnan(grid.first).all() and len(grid.first) == len(found.item_id) > 0
    assert all(np.isnan(values).all() for values in grid.at(np.zeros(2, int), np.full(2, ZERO // DAY)).values())


def test_spend_is_what_the_user_pays_on_the_days_after() -> None:
    bought = [("a", 0, 10, "purchase"), ("a", 1, 24 + 5, "purchase"), ("a", 1, 48, "purchase"), ("b", 0, 30, "cart")]
    with connect(log(*bought)) as session:
        catalogue.read(session, 1)
        rows = label_rows(session, (0, 0, 0.1), (0, 0, 0.5), (0, 0, 1.0), (1, 0, 0.0), (0, 0, 2.0))
        found = made(rows, kind="regression", label="spend", horizon_days=1)
    np.testing.assert_allclose(found, [np.nan, np.log1p(2000), np.log1p(2000), 0, np.nan], rtol=1e-6)


def test_daily_sums_end_with_the_previous_day() -> None:
    rows = [
        ("a", 0, 1, "click"),
        ("a", 0, 5, "click"),
        ("a", 0, 25, "click"),
        ("b", 0, 73, "click"),
        ("a", 1, 2, "click"),
    ]
    with connect(log(*rows)) as session:
        catalogue.read(session, 1)
        sums = daily(session, "activity", "item_no", {"clicks": "(kind = 1)::INT"})
    zero = ZERO // DAY
    item, day = np.array([0, 0, 0, 0, 0, 1, -1]), zero + np.array([0, 1, 2, 4, 4, 1, 1])
    assert sums.before(item[:-1], day[:-1])["clicks"].tolist() == [0, 2, 3, 4, 4, 1]
    assert sums.before(item[:-1], day[:-1], 1)["clicks"].tolist() == [0, 2, 1, 1, 1, 1]
    assert sums.before(item[:-1], day[:-1], 2)["clicks"].tolist() == [0, 2, 3, 1, 1, 1]
    assert np.isnan(sums.before(item, day)["clicks"][-1])
    assert sums.days_since(item[:6], day[:6]).tolist()[1:] == [1, 1, 1, 1, 1]
    assert np.isnan(sums.days_since(item, day)[[0, -1]]).all()
    nothing = Daily(np.array([], np.int64), {"clicks": np.array([0])})
    assert nothing.before(item[:2], day[:2])["clicks"].tolist() == [0, 0]
    assert np.isnan(nothing.days_since(item, day)).all()


def test_price_grid_carries_prices_on_and_counts_promotions() -> None:
    known = [(0, 0, 1000, False), (0, 1, 800, True), (0, 3, 1000, False), (2, 2, 4000, True)]
    with connect(log(("a", 0, 1, "click"), prices=known)) as session:
        grid = prices.build(session, True, ZERO // DAY + 4, catalogue.read(session, 1))
    at = grid.at(np.array([0, 0, 0, 0, 2, 1]), ZERO // DAY + np.array([0, 1, 2, 4, 3, 3]))
    one = np.log([1000, 800, 800, 1000, 1000])
    np.testing.assert_allclose(at["price"], [one[0], one[1], one[2], one[4], np.log(4000), np.nan], rtol=1e-6)
    np.testing.assert_allclose(at["before_1"][:4], [np.nan, one[0], one[1], one[3]], rtol=1e-6)
    np.testing.assert_allclose(at["mean_long"][:4], [one[0], one[:2].mean(), one[:3].mean(), one.mean()], rtol=1e-6)
    assert at["is_promoted"].tolist()[:5] == [0, 1, 1, 0, 1]
    np.testing.assert_array_equal(at["promoted_days"], [np.nan, 0, 1, np.nan, 1, np.nan])
    steps = np.diff(one)
    np.testing.assert_allclose(at["volatility"][3], np.sqrt((steps**2).mean()), rtol=1e-4)
    np.testing.assert_allclose(at["category_price"][3], (one[4] + np.log(4000)) / 2, rtol=1e-6)


def test_vocabularies_only_grow() -> None:
    first = grow(Vocabulary((), 4), {"b": 5, "a": 5, "c": 9, "rare": 2, "": 50}, 3)
    assert first.ids == ("c", "a", "b")
    assert first.look_up(["c", "a", "b", ""]).tolist() == [5, 6, 7, 0]
    second = grow(first, {"rare": 3, "a": 1, "new": 8}, 3)
    assert second.ids == ("c", "a", "b", "new", "rare")
    assert second.look_up(["c", "a", "b"]).tolist() == [5, 6, 7]
    shared = first.look_up([f"x{n}" for n in range(200)])
    assert set(shared.tolist()) == {1, 2, 3, 4}
    assert not first.owns(shared).any()
    assert Vocabulary(("a",), 0).look_up(["a", "b"]).tolist() == [1, 0]
    assert second.rows == 10


def test_what_follows_is_found_once_and_never_of_former_exposures() -> None:
    tables = make_tables(users=20, items=30, shown=800)
    within = 24 * HOUR
    with connect(tables) as session:
        catalogue.read(session, 1)

        def rows(query: str) -> list[tuple[int, int]]:
            return session.execute(f"SELECT row, time FROM {query} ORDER BY row").fetchall()

        for kind, chains in ((0, ((1,), (1, 3), (1, 2), (3,))), (1, ((3,), (2, 3)))):
            exposures.build(session, kind, 0, 1)
            for kinds in chains:
                wanted = rows(f"({reached(kinds, within)})")
                assert wanted and rows(follows.followed(session, kinds, within)) == wanted
            assert rows(follows.followed(session, (3,), HOUR)) == rows(f"({reached((3,), HOUR)})")
        follows.forget_followed(session)
        assert not session.execute("FROM duckdb_tables() WHERE table_name LIKE 'followed%'").fetchall()


def test_exposures_are_numbered_in_their_order_by_many_threads() -> None:
    with connect({}, threads=4) as session:
        session.execute("""
            CREATE TABLE activity AS SELECT md5(i::VARCHAR) AS event_id, (hash(i) % 5000)::INT AS user_no, 0 AS item_no,
                (hash(i + 7) % 1000)::BIGINT AS time, 0 AS day, NULL::UBIGINT AS visit, NULL::VARCHAR AS surface,
                0 AS position, 0 AS price_cents, 0 AS query_no, 0 AS kind
            FROM range(400_000) t(i)
        """)
        exposures.build(session, 0, 0, 1)
        ordered = "SELECT row, row_number() OVER (ORDER BY user_no, time, event_id) - 1 AS place FROM exposure"
        assert session.execute(f"SELECT count(*), count(*) FILTER (row = place) FROM ({ordered})").fetchone() == (
            400_000,
            400_000,
        )


def test_sampled_rows_are_repeatable_available_and_not_what_was_taken() -> None:
    tables = make_tables(users=20, items=30, shown=800, impressions=False)
    late = pa.array([ZERO + (20 * DAY if n >= 15 else 0) for n in range(30)], MOMENT)
    tables["items"] = tables["items"].set_column(5, "available_from", late)
    with connect(tables) as session:
        catalogue.read(session, 1)
        exposures.build(session, 1, 3, 7)
        first = session.execute("SELECT * FROM exposure ORDER BY row").fetchall()
        exposures.build(session, 1, 3, 7)
        assert session.execute("SELECT * FROM exposure ORDER BY row").fetchall() == first
        exposures.build(session, 1, 3, 8)
        assert session.execute("SELECT * FROM exposure ORDER BY row").fetchall() != first
        early = session.execute(f"""
            SELECT count(*) FROM exposure WHERE event_id LIKE '%~%' AND item_no >= 15 AND time < {ZERO + 20 * DAY}
        """).fetchone()
        twice = session.execute("""
            SELECT count(*) FROM exposure x JOIN activity a USING (user_no, item_no, time)
            WHERE x.event_id LIKE '%~%' AND a.kind = 1
        """).fetchone()
    assert early == (0,)
    assert twice == (0,)
    drawn = Counter(row[1].split("~")[0] for row in first)
    assert 3 <= np.mean(list(drawn.values())) <= 4
    assert max(drawn.values()) == 4
    assert first == sorted(first, key=lambda row: (row[2], row[4], row[1]))


@pytest.fixture(scope="module")
def shop() -> tuple[dict[str, pa.Table], Dataset, State]:
    tables = make_tables()
    with connect(tables) as session:
        data, state = fit(session, PARAMS, TASKS, (START, END))
    return tables, data, state


def test_the_parts_fit_together(shop) -> None:
    _, data, state = shop
    streams, rows = data.streams, data.exposures
    order = np.lexsort((rows.event_id.codes()[1], rows.time, rows.user))
    assert (order == np.arange(len(order))).all()
    for user in range(len(data.users.user_id)):
        mine = streams.time[streams.offsets[user] : streams.offsets[user + 1]]
        assert (np.diff(mine) >= 0).all()
        own = rows.user == user
        assert rows.history[own].tolist() == [int((mine < time).sum()) for time in rows.time[own]]
    place = split_of(rows.time, data.meta.windows)
    end = np.array([data.meta.windows[name][1] for name in SPLITS])[place]
    assert ((rows.split == place) | (rows.split == -1)).all()
    assert ((rows.split == -1) == (rows.time + 24 * HOUR > end)).all()
    profile = np.isfinite(data.labels("profile"))
    assert (rows.split[profile] == data.users.fold[rows.user[profile]]).all()
    first = np.full(len(data.users.user_id), 2**62)
    np.minimum.at(first, np.repeat(np.arange(len(first)), np.diff(streams.offsets)), streams.time)
    begins = np.array([data.meta.windows[name][0] for name in SPLITS])[place]
    assert (rows.is_new_user == (first[rows.user] >= begins)).all()
    train = data.rows("train")
    for column in (0, data.meta.context.index("price_change_7d")):
        values = rows.context[train, column]
        assert data.meta.context_mean[column] == pytest.approx(np.nanmean(values), abs=1e-5)
        assert data.meta.context_std[column] == pytest.approx(np.nanstd(values), abs=1e-5)
    assert data.meta.vocabulary_rows["item"] == 1 + 64 + len(state.vocabularies["item"].ids)
    assert data.users.attributes[2::3].max() == 0  # no country
    assert (data.items.category[7] == 0).all()
    assert data.items.brand[8] == 0


def test_labels_are_what_the_log_says(shop) -> None:
    tables, data, _ = shop
    click, conversion = data.labels("click"), data.labels("conversion")
    events = tables["events"].to_pylist()
    clicked = {event["event_id"].split("-")[0] for event in events if event["kind"] == "click"}
    bought = {event["event_id"].split("-")[0] for event in events if event["kind"] == "purchase"}
    own = np.array([event.split("-")[0] in clicked for event in data.exposures.event_id])
    sure = data.exposures.split >= 0
    assert (click[sure & own] == 1).all()
    assert click[sure].mean() < own[sure].mean() * 1.1  # the same item shown twice in a visit shares its click
    own = np.array([event.split("-")[0] in bought for event in data.exposures.event_id])
    assert (conversion[sure & own] == 1).all()
    assert (click[sure] >= conversion[sure]).all()


def test_context_counts_what_the_log_says(shop) -> None:
    tables, data, _ = shop
    events = tables["events"]
    day = events["occurred_at"].cast(pa.int64()).to_numpy() // DAY
    user = np.array(events["user_id"].to_pylist())
    item = np.array(events["item_id"].to_pylist())
    kind = np.array(events["kind"].to_pylist())
    place = {str(item_id): n for n, item_id in enumerate(data.items.item_id)}
    category = np.array([n % 3 for n in range(len(place))])
    of_event = category[[place[i] for i in item]].astype(float)
    of_event[item == "i0007"] = -1
    column = {name: data.exposures.context[:, n] for n, name in enumerate(data.meta.context)}
    for row in range(0, len(data.exposures.user), 97):
        today = data.exposures.time[row] // DAY
        before, week = day < today, (day < today) & (day >= today - 7)
        me = user == data.users.user_id[data.exposures.user[row]]
        this = item == data.items.item_id[data.exposures.item[row]]
        assert column["item_clicks_7d"][row] == pytest.approx(np.log1p((week & this & (kind == "click")).sum()))
        assert column["user_purchases_7d"][row] == pytest.approx(np.log1p((week & me & (kind == "purchase")).sum()))
        assert column["user_item_impressions"][row] == pytest.approx(
            np.log1p((before & me & this & (kind == "impression")).sum())
        )
        if data.exposures.item[row] != 7:
            alike = of_event == category[data.exposures.item[row]]
            clicks = before & me & (kind == "click")
            assert column["user_category_1_clicks"][row] == pytest.approx(np.log1p((clicks & alike).sum()))
            assert column["user_category_1_share"][row] == pytest.approx(
                (clicks & alike).sum() / (clicks.sum() + 1), abs=1e-6
            )
        last = before & me & this
        expected = np.log1p(today - day[last].max()) if last.any() else np.nan
        np.testing.assert_allclose(column["user_item_days_since"][row], expected, rtol=1e-6)


def test_a_place_on_the_page_is_not_held_against_an_item() -> None:
    """Two items clicked alike at their places have the same lift, though one is clicked far more often."""
    rows, events = [], 0
    for day in range(6):
        for n in range(40):
            for item, share in ((0, 2), (1, 8)):
                rows.append(("a", item, 24 * day + n / 4, "impression", f"{day}-{n}-{item}"))
                if n % share == 0:
                    rows.append(("a", item, 24 * day + n / 4 + 0.01, "click", f"{day}-{n}-{item}"))
                    events += 1
    tables = log(*rows)
    position = pa.array([1 if row[1] == 0 else 2 for row in rows])
    tables["events"] = tables["events"].append_column("position", position)
    params = FeaturesParams(
        split_days={"validation": 1, "fusion": 1, "test": 1}, attribution_hours=1, category_levels=1
    )
    tasks = {"next": TaskParams(kind="ranking", label="next_item")}
    with connect(tables) as session:
        data, _ = fit(session, params, tasks, (START, date(2026, 1, 7)))
    last = data.exposures.time > ZERO + 5 * DAY
    lift = data.exposures.context[:, data.meta.context.index("item_click_lift")]
    assert np.abs(lift[last]).max() < 0.2
    clicks = data.exposures.context[:, data.meta.context.index("item_clicks_28d")]
    assert np.expm1(clicks[last & (data.exposures.item == 0)]).min() > 3 * np.expm1(
        clicks[last & (data.exposures.item == 1)].max()
    )


def test_questions_group_what_happens_at_one_time() -> None:
    rows = [("a", 0, 2, "click"), ("a", 1, 24 * 4, "click"), ("a", 2, 24 * 4, "click"), ("a", 0, 24 * 4, "cart")]
    rows += [
        ("a", 0, 24 * 5, "click"),
        ("b", 1, 24 * 4, "click"),
        ("b", 1, 24 * 7, "click"),
        ("b", 1, 24 * 10, "click"),
    ]
    rows += [("b", 2, hour, "purchase") for hour in (1, 3)]
    params = FeaturesParams(
        split_days={"validation": 3, "fusion": 3, "test": 3}, min_count=1, max_oov_rate=1.0, category_levels=1
    )
    with connect(log(*rows)) as session:
        data, _ = fit(session, params, {"next": TASKS["next"]}, (START, date(2026, 1, 13)))
    asked = data.lists
    assert asked.user.tolist() == [0, 0, 1, 1, 1]
    assert asked.history.tolist() == [1, 4, 2, 3, 4]
    assert asked.split.tolist() == [1, 1, 1, 2, 3]
    assert [asked.target[a:b].tolist() for a, b in zip(asked.offsets, asked.offsets[1:], strict=False)] == [
        [1, 2],
        [0],
        [1],
        [1],
        [1],
    ]
    assert data.meta.target_kind == 1
    assert data.meta.negatives_sampled


def without(tables: dict[str, pa.Table], kind: str) -> dict[str, pa.Table]:
    return tables | {"events": tables["events"].filter(pc.not_equal(tables["events"]["kind"], kind))}


def since(tables: dict[str, pa.Table], day: int) -> dict[str, pa.Table]:
    """The events from a day on."""
    late = pc.greater_equal(tables["events"]["occurred_at"].cast(pa.int64()), ZERO + day * DAY)
    return tables | {"events": tables["events"].filter(late)}


REFUSED = [
    (lambda t: {k: v for k, v in t.items() if k != "prices"}, {}, r"tasks\.price: needs the table prices"),
    (
        lambda t: t | {"users": t["users"].drop_columns("segment")},
        {},
        r"tasks\.profile: needs the column users\.segment",
    ),
    (
        lambda t: t | {"users": t["users"].drop_columns("country")},
        {},
        r"user_attributes: needs the column users\.country",
    ),
    (lambda t: without(t, "click"), {}, r"tasks\.click: needs click events"),
    (lambda t: without(t, "purchase"), {}, r"tasks\.conversion: needs purchase events"),
    (lambda t: without(t, "impression"), {"sampled_negatives": 0}, r"tasks\.click: needs impressions, or"),
    (lambda t: t | {"events": t["events"].slice(0, 0)}, {}, "table events: is missing or empty"),
    (lambda t: {k: v for k, v in t.items() if k != "items"}, {}, "table items: is missing or empty"),
    (lambda t: t | {"events": t["events"].filter(pc.equal(t["events"]["kind"], "impression"))}, {}, "no interaction"),
    (lambda t: t | {"users": t["users"].slice(0, 50)}, {}, "events name a user or item"),
    (lambda t: since(t, 15), {}, "no interaction of the days that are learned from, 2026-01-01 to before 2026-01-16"),
    (lambda t: t, {"min_count": 1000}, r"features\.max_oov_rate: 100\.0% of train interactions"),
]


@pytest.mark.parametrize("where", [r"features\.user_attributes: country", r"tasks\.profile\.column"])
def test_an_attribute_that_tells_people_apart_is_no_category(where: str) -> None:
    tables = make_tables(users=60, items=20, shown=500)
    name = "country" if "country" in where else "segment"
    count = MOST_CATEGORIES + 1
    values = {
        "user_id": [f"x{n}" for n in range(count)],
        "signed_up_at": tables["users"]["signed_up_at"][:1].to_pylist() * count,
    }
    others = {column: ["one"] * count for column in ("country", "segment")}
    users = pa.table({**values, **others, name: [f"street {n}" for n in range(count)]})
    with (
        connect(tables | {"users": users}) as session,
        pytest.raises(TriadError, match=f"{where}.*has 10,001 different values in 10,001 rows, where 10,000"),
    ):
        fit(session, PARAMS, TASKS, (START, END))


@pytest.mark.parametrize(("change", "params", "message"), REFUSED, ids=[row[2][:30] for row in REFUSED])
def test_what_a_task_lacks_is_refused_by_name(change, params, message) -> None:
    with (
        connect(change(make_tables(users=60, items=20, shown=1500))) as session,
        pytest.raises(TriadError, match=message),
    ):
        fit(session, PARAMS.model_copy(update=params), TASKS, (START, END))


def test_a_label_of_one_class_is_refused() -> None:
    tables = make_tables(users=40, items=20, shown=1500)
    time = tables["events"]["occurred_at"].cast(pa.int64()).to_numpy()
    late = pc.and_(pc.equal(tables["events"]["kind"], "click"), pa.array(time >= ZERO + 25 * DAY))
    with (
        connect(tables | {"events": tables["events"].filter(pc.invert(late))}) as session,
        pytest.raises(TriadError, match=r"tasks\.click: all \d+ labels of split test are of one class \(0\)"),
    ):
        fit(session, PARAMS, {"click": TASKS["click"]}, (START, END))
    long = {"price": TaskParams(kind="regression", label="price_move", horizon_days=6)}
    with (
        connect(tables) as session,
        pytest.raises(TriadError, match=r"tasks\.price: no labelled row in split validation"),
    ):
        fit(session, PARAMS, long, (START, END))
    early = tables["events"].filter(pa.array(time < ZERO + 15 * DAY))
    with (
        connect(tables | {"events": early}) as session,
        pytest.raises(TriadError, match=r"tasks\.next: no question in split validation"),
    ):
        fit(session, PARAMS, {"next": TASKS["next"]}, (START, END))


def test_serving_needs_the_tables_that_training_had(shop) -> None:
    tables, _, state = shop
    with (
        connect({name: table for name, table in tables.items() if name != "prices"}) as session,
        pytest.raises(TriadError, match="table prices: is missing, but the state"),
    ):
        transform(session, state)


def test_rows_stay_put_from_night_to_night(shop) -> None:
    tables, _, _ = shop
    with connect(tables) as session:
        strict = PARAMS.model_copy(update={"min_count": 15, "max_oov_rate": 1.0})
        _, state = fit(session, strict, {"click": TASKS["click"]}, (START, END))
    champion = Champion(1, state.meta, state.vocabularies)
    tonight = PARAMS.model_copy(update={"min_count": 1})
    with connect(tables) as session:
        _, later = fit(session, tonight, {"click": TASKS["click"]}, (date(2026, 1, 2), END), champion)
    for name, before in state.vocabularies.items():
        assert later.vocabularies[name].ids[: len(before.ids)] == before.ids, name
    assert any(len(later.vocabularies[name].ids) > len(state.vocabularies[name].ids) for name in later.vocabularies)
    other = tonight.model_copy(update={"hash_buckets": 8})
    with connect(tables) as session, pytest.raises(TriadError, match="earlier vocabulary 'item' has 64 shared rows"):
        fit(session, other, TASKS, (START, END), champion)


def values(**features) -> dict:
    tasks = {name: task.model_dump(exclude_defaults=True) for name, task in TASKS.items()}
    return {
        "ingest": {"as_of": END, "window_days": 30},
        "tasks": tasks,
        "features": {"split_days": SPLIT_DAYS, "user_attributes": ["country"], **features},
    }


def _leaking(known, rows, sums) -> dict[str, np.ndarray]:
    """A column that counts the day's own clicks of the exposure's user on its item."""
    pair = rows.user.astype(np.int64) * len(known.catalogue.item_id) + rows.item
    return {"user_item_clicks": known.daily["user_item"].between("clicks", pair, rows.day, rows.day + 2)}


def test_the_stage_writes_all_or_nothing(tmp_path, monkeypatch, caplog) -> None:
    from triad.stages.champion import champion
    from triad.stages.features import features

    monkeypatch.chdir(tmp_path)
    with pytest.raises(TriadError, match="run `triad ingest` and `triad validate` first"):
        features(parse(values(), "params"))
    for name, table in make_tables(users=60, items=20, shown=1500).items():
        write_table(tmp_path / "artifacts/validate/tables", name, table)
    with pytest.raises(TriadError, match="run `triad champion` first"):
        features(parse(values(), "params"))
    champion(parse(values(), "params"))
    with caplog.at_level("INFO", logger="triad.features"):
        features(parse(values(), "params"))
    assert "exposures" in caplog.text
    output = tmp_path / "artifacts/features"
    data = dataset.load(output)
    summary = json.loads((output / "summary.json").read_text())
    assert summary["rows"]["train"] == len(data.rows("train"))
    assert sum(summary["rows"].values()) == len(data.exposures.user)
    click = data.labels("click")[data.rows("test")]
    assert summary["labels"]["click"]["test"] == {"rows": len(click), "mean": pytest.approx(click.mean(), abs=1e-6)}
    assert set(summary["labels"]["profile"]["train"]["classes"]) == {"bargain", "loyal", "rare"}
    assert summary["oov_rate"]["train"] == pytest.approx(data.meta.oov_rate, abs=1e-6)
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    with pytest.raises(TriadError, match="max_oov_rate"):
        features(parse(values(min_count=1000), "params"))
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before
    with connect(tmp_path / "artifacts/validate/tables") as session:
        again = transform(session, State.load(output / "state"))
    np.testing.assert_array_equal(again.exposures.context, data.exposures.context)
    with pytest.raises(TriadError, match=r"feature 'user_item_clicks'.* knows the answer"):
        monkeypatch.setattr("triad.features.context._affinity", _leaking)
        features(parse(values(), "params"))
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before
    features(parse(values(), "params"))
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before
    assert datetime.fromtimestamp(data.meta.windows["test"][1] / 1e6, UTC).date() == END


def test_an_item_that_stands_twice_in_a_basket_is_one_target() -> None:
    spans = {split: (10 * place, 10 * place + 10) for place, split in enumerate(SPLITS)}
    item, time, user = [4, 7, 7, 2, 7, 5, 5], [1, 12, 12, 12, 13, 2, 12], [0, 0, 0, 0, 0, 1, 1]
    stream = Streams(*map(np.array, ([0, 5, 7], item, [3] * 7, time, [0, 1, 1, 1, 1, 0, 1])))
    asked = streams.lists(stream, np.array(user), 3, spans)
    assert (asked.user.tolist(), asked.time.tolist(), asked.history.tolist()) == ([0, 0, 1], [12, 13, 12], [1, 4, 1])
    assert (asked.target.tolist(), asked.offsets.tolist()) == ([2, 7, 7, 5], [0, 2, 3, 4])


def test_a_query_that_names_the_brand_is_seen_and_remembered() -> None:
    shown = [(user, item, hour, "impression") for hour in (1, 30) for user, item in (("a", 0), ("a", 1), ("b", 0))]
    rows = [*shown, ("a", 0, 2, "click")]
    tables = log(*rows)
    tables["items"] = tables["items"].set_column(2, "brand", pa.array(["Blue Hat", "Hat", None]))
    query = ["blue hat sale", "blue hat sale", "bluehat", "hats", None, "a HAT", None]
    tables["events"] = tables["events"].append_column("query", pa.array(query))
    with connect(tables) as session:
        known = catalogue.read(session, 1)
        found = searches.read(session, known)
        codes = session.execute("SELECT query, query_no FROM query_row").fetchall()
    number = dict(codes) | {None: -1}
    hat, blue_hat = known.brand[1], known.brand[0]
    asked = np.array([number[text] for text in ("blue hat sale", "blue hat sale", "hats", None, "a HAT", "a HAT")])
    brand = np.array([blue_hat, hat, hat, hat, blue_hat, known.brand[2]])
    user, day = np.array([0, 0, 0, 0, 1, 1]), np.full(6, ZERO // DAY + 1)
    columns = found.columns(asked, user, brand, day)
    assert columns["query_names_brand"].tolist() == [1, 1, 0, 0, 0, 0]
    assert columns["query_names_other_brand"].tolist() == [0, 0, 0, 0, 1, 1]
    np.testing.assert_allclose(np.expm1(columns["user_brand_searches"]), [1, 1, 1, 1, 0, np.nan], rtol=1e-6)
    np.testing.assert_allclose(columns["user_brand_search_share"], [1 / 3] * 4 + [0, np.nan], rtol=1e-6)


def test_variance_of_lifts_is_found_again() -> None:
    random = np.random.default_rng(0)
    trials = random.integers(5, 200, 20_000)
    for variance in (0.0, 0.05, 0.4):
        lift = random.gamma(1 / variance, variance, len(trials)) if variance else np.ones(len(trials))
        taken = random.binomial(trials, np.minimum(0.1 * lift, 1))
        found = rates.variance_of(taken, 0.1 * trials, trials)
        assert found == pytest.approx(variance, abs=0.01 + 0.1 * variance)
    assert rates.variance_of(np.zeros(3), np.ones(3), np.ones(3)) == 0


def test_a_lift_starts_from_its_prior_and_ends_at_the_evidence() -> None:
    step = rates.Step((1, 3), np.array([0.2, 0.2, 0.2]))
    counts = {"clicks": np.array([0.0, 50.0, 5000.0]), "purchases": np.array([0.0, 20.0, 2000.0])}
    lift = step.lift(counts, 10.0, np.log(0.5))
    np.testing.assert_allclose(np.exp(lift), [0.5, (20 + 5) / (10 + 10), (2000 + 5) / (1000 + 10)])
    assert step.name == "purchase"


def test_rows_that_did_not_happen_are_scored_as_recorded_ones_would_be(shop) -> None:
    tables, data, state = shop
    moment = ZERO + 31 * DAY + 10 * HOUR
    asked = pa.table(
        {
            "event_id": ["x", "y"],
            "user_id": ["u0003", "u0001"],
            "item_id": ["i0002", "i0004"],
            "occurred_at": pa.array([moment, moment], MOMENT),
            "position": pa.array([1, 2]),
            "surface": ["home", "home"],
        }
    )
    events = tables["events"]
    recorded = pa.table(
        {
            name: asked[name] if name in asked.column_names else pa.nulls(2, events[name].type)
            for name in events.column_names
        }
    ).set_column(events.column_names.index("kind"), "kind", pa.array(["impression", "impression"]))
    with connect(tables) as session:
        found = transform(session, state, asked)
    with connect(tables | {"events": pa.concat_tables([events, recorded.cast(events.schema)])}) as session:
        happened = transform(session, state)
    assert found.exposures.event_id.tolist() == ["y", "x"]
    assert found.exposures.split.tolist() == [-1, -1]
    assert np.isnan(found.exposures.labels).all()
    rows = [int(happened.exposures.event_id.tolist().index(event)) for event in ("y", "x")]
    np.testing.assert_array_equal(found.exposures.context, happened.exposures.context[rows])
    np.testing.assert_array_equal(found.exposures.history, happened.exposures.history[rows])
    np.testing.assert_array_equal(found.streams.item, data.streams.item)


def test_the_order_of_attributes_outlives_the_disk(tmp_path: Path) -> None:
    data = make_dataset(users=5)
    rows = dict(reversed(data.meta.vocabulary_rows.items()))  # attributes are read by place: device, then country
    dataset.save(replace(data, meta=replace(data.meta, vocabulary_rows=rows)), tmp_path)
    assert list(dataset.load(tmp_path).meta.vocabulary_rows.items()) == list(rows.items())
    assert dataset.meta_from({**dataset.meta_to(data.meta), "vocabulary_rows": rows}).vocabulary_rows == rows
