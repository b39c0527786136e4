"""Products' coming days: what is known of a day, what it brings, and what is told of tomorrow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from triad.config.features import FeaturesParams
from triad.config.fuse import FuseParams
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.evaluation.intervals import intervals
from triad.evaluation.window import window
from triad.examples.dataset import load, save
from triad.examples.product_days import ProductDays
from triad.features.build import fit, transform
from triad.features.product_days import NAMES, Grid, features
from triad.fusion.fitting import fit_fusion
from triad.fusion.fused import Fused
from triad.members.bench import Bench
from triad.members.registry import make_member
from triad.statistics import conformal
from triad.tables import connect
from triad.tracking.asked import answer
from triad.tracking.serving import ServingModel

TASKS = {
    "demand": TaskParams(kind="regression", label="demand_move", horizon_days=7),
    "price_ahead": TaskParams(kind="regression", label="price_outlook", horizon_days=7),
}
DAYS, ITEMS = 80, 90
START = date(2026, 1, 1)
SETTINGS = FeaturesParams.model_validate(
    {"max_oov_rate": 1.0, "user_attributes": [], "split_days": {"validation": 12, "fusion": 12, "test": 12}}
)


def shop() -> dict[str, pa.Table]:
    """Demand that swings from week to week around what each product usually sells, twice as much at half the price."""
    random = np.random.default_rng(1)
    usual = np.exp(random.normal(0, 1, ITEMS))
    cheap = np.repeat(random.random((ITEMS, DAYS // 4)) < 0.3, 4, axis=1)
    units = random.poisson(usual[:, None] * np.where(cheap, 2, 1))
    item, day = np.nonzero(units)
    zero = datetime(2026, 1, 1, tzinfo=UTC)
    cents = np.where(cheap, 500, 1000)
    ids = np.array([f"i{number:03}" for number in range(ITEMS)])
    return {
        "users": pa.table({"user_id": ["u"], "signed_up_at": [zero]}),
        "items": pa.table(
            {"item_id": ids, "title": ids, "category": ["a/b", "a/c", "d"] * 30, "price_cents": cents[:, -1]}
            | {"available_from": [zero] * ITEMS}
        ),
        "events": pa.table(
            {"event_id": [f"e{row}" for row in range(len(item))], "user_id": ["u"] * len(item), "item_id": ids[item]}
            | {"occurred_at": [zero + timedelta(days=int(each), hours=9) for each in day]}
            | {"kind": ["purchase"] * len(item), "price_cents": cents[item, day], "quantity": units[item, day]}
        ),
        "prices": pa.table(
            {"item_id": np.repeat(ids, DAYS), "day": [START + timedelta(days=each) for each in range(DAYS)] * ITEMS}
            | {"price_cents": cents.ravel(), "is_promoted": cheap.ravel()}
        ),
    }


@pytest.fixture(scope="module")
def learned() -> Any:
    tables = shop()
    with connect(tables) as session:
        data, state = fit(session, SETTINGS, TASKS, (START, START + timedelta(days=DAYS)))
    params: Any = SimpleNamespace(tasks=TASKS)
    bench = Bench(data, params, lambda: np.zeros((0, 0)))
    names = ("popularity", "same_season", "smoothed", "outlook_trees")
    members = {name: make_member(name, bench) for name in names}
    return SimpleNamespace(
        tables=tables, data=data, state=state, bench=bench, fused=fit_fusion(data, members, TASKS, FuseParams())
    )


def grid_of(units: Any) -> Grid:
    units = np.asarray(units, np.float32)
    nothing = np.zeros_like(units)
    return Grid(100, units, nothing, nothing, np.zeros_like(units), nothing, np.zeros(len(units), int))


def test_a_day_knows_what_was_before_it_by_hand() -> None:
    units = np.zeros((2, 40))
    units[0, [0, 10, 33]], units[1, 39] = (3, 2, 5), 7
    known = dict(zip(NAMES, features(grid_of(units), np.array([0, 0, 1]), np.array([40, 10, 39])).T, strict=True))
    np.testing.assert_allclose(np.expm1(known["sold_week_1"]), [5, 0, 0], atol=1e-5)
    np.testing.assert_allclose(np.expm1(known["sold_week_2"]), [0, 3, 0], atol=1e-5)
    np.testing.assert_allclose(np.expm1(known["sold_month"]), [5, 3, 0], atol=1e-5)
    np.testing.assert_allclose(known["since_sold"], [7, 10, 99])
    np.testing.assert_allclose(known["days_sold_month"], [1, 1, 0])


def test_no_row_knows_its_own_day_or_a_later_one() -> None:
    random = np.random.default_rng(2)
    before = random.poisson(1.0, (6, 60)).astype(float)
    after = before.copy()
    after[:, 45:] += 9
    item, at = np.arange(6), np.full(6, 45)
    np.testing.assert_array_equal(features(grid_of(before), item, at), features(grid_of(after), item, at))
    assert (features(grid_of(before), item, at + 1) != features(grid_of(after), item, at + 1)).any()


def test_labels_are_the_coming_days_of_the_tables_and_end_inside_their_split(learned: Any) -> None:
    data, unit = learned.data, learned.data.units["product_days"]
    events = learned.tables["events"].to_pandas()
    events["day"] = events["occurred_at"].dt.tz_localize(None).to_numpy().astype("datetime64[D]").astype(int)
    label = np.asarray(data.labels("demand"))
    for row in np.random.default_rng(3).choice(np.flatnonzero(np.isfinite(label)), 20):
        mine = events[events["item_id"] == data.items.item_id[int(unit.item[row])]]
        day = int(unit.day[row])
        after, now = (
            mine[(mine["day"] >= start) & (mine["day"] < start + 7)]["quantity"].sum() for start in (day, day - 7)
        )
        assert label[row] == pytest.approx(np.log((1 + after) / (1 + now)), abs=1e-5)
    last = np.datetime64(START, "D").astype(int) + DAYS
    for split, end in zip(range(4), (last - 36, last - 24, last - 12, last), strict=True):
        rows = np.isfinite(label) & (np.asarray(unit.split) == split)
        assert rows.any() and np.asarray(unit.day)[rows].max() == end - 7
    assert np.isnan(label[np.asarray(unit.split) < 0]).all()


def test_trees_are_nearer_than_no_change_and_the_same_season_and_intervals_hold(learned: Any, tmp_path: Path) -> None:
    data = learned.data
    save(data, tmp_path / "data")
    learned.fused.save(tmp_path / "fused")
    data, fused = load(tmp_path / "data"), Fused.load(tmp_path / "fused")
    rows, label = data.rows("test", "product_days"), np.asarray(data.labels("demand"))
    rows = rows[np.isfinite(label[rows])]
    alone = fused.predict_members(data, rows, tasks=["demand", "price_ahead"])
    miss = {name: np.abs(scores["demand"] - label[rows]).mean() for name, scores in alone.items()}
    assert miss["outlook_trees"] < 0.95 * min(miss["popularity"], miss["same_season"])
    assert miss["smoothed"] < miss["popularity"]
    own = np.abs(fused.predict(data, rows, None, "product_days")["demand"] - label[rows]).mean()
    assert own < 0.9 * miss["popularity"]
    scored = window(data, "test", 10, 1)
    figures = intervals(fused, data, scored, fused.predict(data, scored.of("product_days"), None, "product_days"))
    assert 0.8 < figures["demand"]["coverage"] < 0.97


def test_the_price_ahead_returns_to_what_is_usual(learned: Any) -> None:
    data = learned.data
    rows, label = data.rows("test", "product_days"), np.asarray(data.labels("price_ahead"))
    rows = rows[np.isfinite(label[rows])]
    scores = learned.fused.predict(data, rows, None, "product_days")["price_ahead"]
    assert np.abs(scores - label[rows]).mean() < np.abs(label[rows]).mean()


def test_the_served_model_tells_tomorrow_with_intervals_from_the_same_rows(learned: Any) -> None:
    with connect(learned.tables) as session:
        again: ProductDays = transform(session, learned.state).units["product_days"]
    np.testing.assert_array_equal(again.known, learned.data.units["product_days"].known)
    model = ServingModel(learned.state, learned.fused)
    told = answer(model, learned.tables, {"mode": "forecast", "k": 0, "query": ""})
    assert (told["from_day"] == str(START + timedelta(days=DAYS))).all() and set(told["task"]) == set(TASKS)
    assert len(told) == 2 * len(set(told["item_id"])) and len(set(told["item_id"])) > 80
    assert (told["low"] <= told["expected"]).all() and (told["expected"] <= told["high"]).all()
    assert (told["low"] >= 0).all()
    price = told[told["task"] == "price_ahead"]
    assert price["before"].round(-1).isin([500, 1000]).all()


def test_a_price_that_nobody_knows_is_not_told(learned: Any) -> None:
    tables = dict(learned.tables)
    for name in ("prices", "events"):
        rows = tables[name]
        other = pa.compute.not_equal(rows["item_id"], "i000")
        cents = pa.compute.if_else(other, rows["price_cents"], None)
        place = rows.column_names.index("price_cents")
        tables[name] = rows.filter(other) if name == "prices" else rows.set_column(place, "price_cents", cents)
    model = ServingModel(learned.state, learned.fused, "triad", {})
    told = answer(model, tables, {"mode": "forecast", "k": 0})
    rows = told[told["item_id"] == "i000"]
    assert rows["task"].tolist() == ["demand"] and (told[told["task"] == "price_ahead"]["low"] > 100).all()


def test_members_fitted_again_choose_nothing_anew(learned: Any) -> None:
    trees = learned.fused.members["outlook_trees"]
    again = trees.refit(learned.bench, "outlook_trees")
    assert {task: (each.trees, each.tells_level) for task, each in again.held.items()} == {
        task: (each.trees, each.tells_level) for task, each in trees.held.items()
    }


def test_a_model_that_was_not_taught_it_says_so(learned: Any) -> None:
    other = {"price": TaskParams(kind="regression", label="price_move")}
    model = ServingModel(replace(learned.state, tasks=other), learned.fused)
    with pytest.raises(TriadError, match="tells no coming days"):
        answer(model, learned.tables, {"mode": "forecast", "k": 0, "query": ""})


def test_labels_that_are_mostly_alike_have_an_interval_without_empty_parts() -> None:
    random = np.random.default_rng(1)
    label = np.where(random.random(900) < 0.8, 0.0, random.exponential(1, 900))
    interval = conformal.fit(np.full(900, 0.1), label, 0.9)
    assert len(interval["low"]) == len(interval["edges"]) + 1 and np.isfinite(interval["low"] + interval["high"]).all()
    low, high = conformal.bounds(interval, np.full(900, 0.1))
    assert ((low <= label) & (label <= high)).mean() > 0.85
