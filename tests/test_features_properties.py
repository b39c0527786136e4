"""No feature sees its future: whatever happens to the log from a moment on, what was known before stays as it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_tables import DAY, END, START, ZERO, make_tables

from triad.config.features import FeaturesParams
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.features.build import fit, transform
from triad.features.state import State
from triad.tables import connect

PARAMS = FeaturesParams(split_days={"validation": 5, "fusion": 5, "test": 5}, user_attributes=("country",))
TASKS = {
    "conversion": TaskParams(kind="binary", label="purchased"),
    "price": TaskParams(kind="regression", label="price_move", horizon_days=3),
}
OF_THE_MOMENT = ("hours_since_last",)
"""Columns that may look at the same day, though only strictly before the exposure."""


@cache
def fitted(impressions: bool, prices: bool) -> tuple[dict[str, pa.Table], Dataset, State]:
    tables = make_tables(users=25, items=20, shown=1500, impressions=impressions)
    tasks = dict(TASKS)
    if not prices:
        del tables["prices"], tasks["price"]
    with connect(tables) as session:
        data, state = fit(session, PARAMS, tasks, (START, END))
    return tables, data, state


def rewritten(tables: dict[str, pa.Table], moment: int, seed: int) -> dict[str, pa.Table]:
    """Another future: events from `moment` on are dropped, moved, changed and added; so are prices after its day."""
    random = np.random.default_rng(seed)
    events = tables["events"]
    time = events["occurred_at"].cast(pa.int64()).to_numpy()
    later = time >= moment
    kept = events.filter(~(later & (random.random(len(time)) < 0.4)))
    time = kept["occurred_at"].cast(pa.int64()).to_numpy()
    later = time >= moment
    count = len(time)
    moved = np.where(later, np.maximum(time + random.integers(-DAY, DAY, count), moment), time)
    item = np.array(kept["item_id"].to_pylist(), dtype=object)
    swapped = np.where(later & (random.random(count) < 0.5), random.permutation(item), item)
    price = kept["price_cents"].to_numpy()
    dearer = later & np.array(pc.not_equal(kept["kind"], "impression"))  # what is asked is the impression's own
    fresh = events.take(random.integers(events.num_rows, size=60))
    at = moment + random.integers(0, 3 * DAY, 60)
    fresh = _with(fresh, event_id=pa.array([f"new{n}" for n in range(60)]), occurred_at=_moments(at))
    kept = _with(
        kept,
        item_id=pa.array(swapped, pa.string()),
        occurred_at=_moments(moved),
        price_cents=pa.array(np.where(dearer, price * 2, price)),
    )
    changed = tables | {"events": pa.concat_tables([kept, fresh])}
    if "prices" in tables:
        day = tables["prices"]["day"].cast(pa.int32()).to_numpy()
        cents = tables["prices"]["price_cents"].to_numpy()
        after = np.where(day > moment // DAY, cents * random.integers(1, 4, len(cents)), cents)
        changed["prices"] = _with(tables["prices"], price_cents=pa.array(after))
    return changed


def _with(table: pa.Table, **columns: pa.Array) -> pa.Table:
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, values)
    return table


def _moments(time: np.ndarray) -> pa.Array:
    return pa.array(time.astype(np.int64), pa.timestamp("us", tz="UTC"))


def both(before: Dataset, after: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the exposures that are in both, of the same user, item and time."""
    place = {str(event): row for row, event in enumerate(after.exposures.event_id)}
    rows = np.array([row for row, event in enumerate(before.exposures.event_id) if str(event) in place])
    other = np.array([place[str(event)] for event in before.exposures.event_id[rows]])
    same = np.ones(len(rows), bool)
    for key in ("user", "item", "time"):
        same &= getattr(before.exposures, key)[rows] == getattr(after.exposures, key)[other]
    return rows[same], other[same]


SHOPS = [(True, True), (True, False), (False, True), (False, False)]


@pytest.mark.parametrize("shop", SHOPS, ids=lambda s: f"impressions={s[0]}-prices={s[1]}")
@settings(max_examples=20, deadline=None, derandomize=True)
@given(seconds=st.integers(min_value=2 * 86_400, max_value=28 * 86_400), seed=st.integers(0, 2**16))
def test_no_feature_sees_its_future(shop: tuple[bool, bool], seconds: int, seed: int) -> None:
    tables, data, state = fitted(*shop)
    times = np.sort(np.unique(data.exposures.time))
    moment = int(times[np.searchsorted(times, ZERO + seconds * 1_000_000)])  # a moment at which something is scored
    with connect(rewritten(tables, moment, seed)) as session:
        other = transform(session, state)
    rows, others = both(data, other)
    now = data.exposures.time[rows]

    known = now <= moment
    assert known.sum() > 20
    np.testing.assert_array_equal(data.exposures.history[rows[known]], other.exposures.history[others[known]])
    np.testing.assert_array_equal(data.exposures.context[rows[known]], other.exposures.context[others[known]])
    done = now + 24 * 3600 * 1_000_000 <= moment  # labels whose whole time lies before
    column = data.meta.tasks["exposures"].index("conversion")
    np.testing.assert_array_equal(
        data.exposures.labels[rows[done], column], other.exposures.labels[others[done], column]
    )
    assert not np.array_equal(data.streams.item, other.streams.item)  # the future did change


@pytest.mark.parametrize("shop", SHOPS, ids=lambda s: f"impressions={s[0]}-prices={s[1]}")
@settings(max_examples=20, deadline=None, derandomize=True)
@given(day=st.integers(min_value=2, max_value=28), seed=st.integers(0, 2**16))
def test_aggregates_end_with_the_previous_day(shop: tuple[bool, bool], day: int, seed: int) -> None:
    tables, data, state = fitted(*shop)
    midnight = ZERO + day * DAY
    with connect(rewritten(tables, midnight, seed)) as session:
        other = transform(session, state)
    rows, others = both(data, other)
    known = data.exposures.time[rows] < midnight + DAY
    columns = [place for place, name in enumerate(data.meta.context) if name not in OF_THE_MOMENT]
    np.testing.assert_array_equal(
        data.exposures.context[np.ix_(rows[known], columns)], other.exposures.context[np.ix_(others[known], columns)]
    )


def test_the_past_is_seen() -> None:
    tables, data, state = fitted(True, True)
    events = tables["events"]
    time = events["occurred_at"].cast(pa.int64()).to_numpy()
    gone = (time < ZERO + 10 * DAY) & np.array(pc.not_equal(events["kind"], "impression"))
    with connect(tables | {"events": events.filter(~gone)}) as session:
        other = transform(session, state)
    rows, others = both(data, other)
    later = data.exposures.time[rows] >= ZERO + 11 * DAY
    for name in ("item_clicks_28d", "user_category_1_click_lift", "user_item_purchases", "user_click_relative_lean"):
        column = data.meta.context.index(name)
        assert (data.exposures.context[rows[later], column] != other.exposures.context[others[later], column]).any(), (
            name
        )
    assert (data.exposures.history[rows[later]] > other.exposures.history[others[later]]).any()


@settings(max_examples=5, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**16))
def test_what_is_learned_of_train_does_not_depend_on_what_follows(seed: int) -> None:
    tables, _, _ = fitted(True, True)
    tasks = {"price": TASKS["price"], "next": TaskParams(kind="ranking", label="next_item")}
    with connect(tables) as session:
        _, state = fit(session, PARAMS, tasks, (START, END))
    end = ZERO + 15 * DAY
    assert state.meta.windows["train"][1] == end
    with connect(rewritten(tables, end, seed)) as session:
        _, other = fit(session, PARAMS, tasks, (START, END))
    assert other.vocabularies == state.vocabularies
    assert other.warm_items == state.warm_items
    assert other.meta == state.meta


@pytest.mark.parametrize("shop", SHOPS, ids=lambda s: f"impressions={s[0]}-prices={s[1]}")
def test_transform_repeats_fit_array_for_array(shop: tuple[bool, bool], tmp_path) -> None:
    tables, data, state = fitted(*shop)
    state.save(tmp_path)
    loaded = State.load(tmp_path)
    assert loaded == state
    shuffled = {
        name: table.take(np.random.default_rng(3).permutation(table.num_rows)) for name, table in tables.items()
    }
    with connect(shuffled, threads=1) as session:
        again = transform(session, loaded)
    for part in ("items", "users", "streams", "exposures", "lists"):
        for name, values in vars(getattr(data, part)).items():
            other = getattr(getattr(again, part), name)
            assert type(values) is type(other) and np.asarray(values).dtype == np.asarray(other).dtype
            np.testing.assert_array_equal(values, other, err_msg=f"{part}.{name}")
    assert again.meta == data.meta


@pytest.mark.parametrize("key", ["label", "kind"])
def test_a_state_of_a_label_or_kind_that_is_gone_is_refused_when_loaded(key: str, tmp_path) -> None:
    state = fitted(True, True)[2]
    task = state.tasks["conversion"].model_copy(update={key: "returned"})
    replace(state, tasks={**state.tasks, "conversion": task}).save(tmp_path)
    with pytest.raises(TriadError, match=f"'conversion' was learned with the {key} 'returned', which this code lacks"):
        State.load(tmp_path)


def test_later_rows_have_no_split_and_no_label_that_is_not_known() -> None:
    tables, data, state = fitted(True, True)
    time = ZERO + 30 * DAY
    one = tables["events"].slice(0, 1)
    later = _with(one, event_id=pa.array(["tomorrow"]), occurred_at=_moments(np.array([time + 23 * 3_600_000_000])))
    with connect(tables | {"events": pa.concat_tables([tables["events"], later])}) as session:
        other = transform(session, state)
    row = other.exposures.event_id.tolist().index("tomorrow")
    assert other.exposures.split[row] == -1
    assert np.isnan(other.exposures.labels[row]).all()
    assert other.exposures.context[row, other.meta.context.index("item_impressions_28d")] > 0
    rows, others = both(data, other)
    assert len(rows) == len(data.exposures.time)
    np.testing.assert_array_equal(data.exposures.context, other.exposures.context[others])
    assert (START + timedelta(days=30)) == END
