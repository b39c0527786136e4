"""The benchmark of freshness asks only of the days after the model's window, and of the shelf of these days."""

from __future__ import annotations

import sys
from argparse import Namespace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from make_night import make_params
from make_tables import END, START, make_tables

from triad.features.build import fit, transform
from triad.features.dataset import SPLITS
from triad.features.sql import DAY
from triad.schema import EVENT_KINDS
from triad.tables import connect

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import freshness
import light_health
import rolling

AS_OF = END - timedelta(days=3)
FIRST = int(np.datetime64(AS_OF, "us").astype(np.int64))
LAST = FIRST + 2 * DAY


@pytest.fixture(scope="module", params=[True, False], ids=["evaluated", "refitted"])
def read(request):
    """Later tables as a model reads them whose window ends at `AS_OF`, and their next two days."""
    tables, params = make_tables(), make_params()
    with connect(tables) as session:
        _, state = fit(session, params.features, params.tasks, (START, AS_OF), hold_out=request.param)
    with connect(tables) as session:
        data = transform(session, state)
    return tables, data, rolling.next_days(data, FIRST, LAST)


def test_rows_and_lists_are_all_those_of_the_days_and_no_others(read) -> None:
    tables, data, asked = read
    events = tables["events"]
    time = events["occurred_at"].cast(pa.int64()).to_numpy()
    kind = np.array(events["kind"].to_pylist())
    inside = (time >= FIRST) & (time < LAST)
    shown = set(np.array(events["event_id"].to_pylist())[inside & (kind == "impression")])
    rows = asked.rows("test")
    assert shown and {asked.exposures.event_id[row] for row in rows} == shown
    assert set(np.unique(asked.exposures.split)) <= {-1, SPLITS.index("test")}
    # a question: a user's moment with an interaction of the kind that lists predict, and something before it
    user = np.array(events["user_id"].to_pylist())
    target = kind == EVENT_KINDS[data.meta.target_kind]
    began: dict[str, int] = {}
    for who, moment in zip(user[kind != "impression"], time[kind != "impression"], strict=True):
        began[who] = min(moment, began.get(who, moment))
    wanted = {
        (who, at) for who, at in zip(user[inside & target], time[inside & target], strict=True) if began[who] < at
    }
    lists = asked.lists
    assert wanted and {(asked.users.user_id[u], t) for u, t in zip(lists.user, lists.time, strict=True)} == wanted
    assert (np.asarray(lists.split) == SPLITS.index("test")).all()
    np.testing.assert_array_equal(asked.rows("test", "lists"), np.arange(len(lists.user)))


def test_what_follows_as_of_is_no_train_interaction(read) -> None:
    _, data, asked = read
    later = np.asarray(data.streams.time) >= FIRST
    assert later.any() and (np.asarray(asked.streams.split)[later] == SPLITS.index("test")).all()
    np.testing.assert_array_equal(np.asarray(asked.streams.split)[~later], np.asarray(data.streams.split)[~later])


def test_an_item_is_as_new_as_its_first_event(read) -> None:
    tables, data, _ = read
    first = rolling.first_seen(data)
    by_item = tables["events"].group_by("item_id").aggregate([("occurred_at", "min")])
    known = dict(
        zip(by_item["item_id"].to_pylist(), by_item["occurred_at_min"].cast(pa.int64()).to_pylist(), strict=True)
    )
    never = np.iinfo(np.int64).max
    assert [known.get(item, never) for item in data.items.item_id] == first.tolist()


def test_the_shelf_ends_with_the_days() -> None:
    tables = make_tables()
    moments = np.sort(tables["items"]["available_from"].cast(pa.int64()).to_numpy())
    end = int(moments[-1])
    cut = rolling.until(tables, end)
    kept = set(cut["items"]["item_id"].to_pylist())
    assert cut["items"].num_rows == (moments < end).sum() < tables["items"].num_rows
    assert cut["users"] is tables["users"]
    assert set(cut["events"]["item_id"].to_pylist()) <= kept
    assert cut["events"].num_rows == pc.sum(pc.is_in(tables["events"]["item_id"], cut["items"]["item_id"])).as_py()


def test_a_form_names_the_dials_of_refit() -> None:
    assert freshness.dials("anew") == {"networks": "anew"}
    assert freshness.dials("continue:epochs=2,rate=1.0") == {"networks": "continue", "epochs": 2, "rate": 1.0}


def test_light_nights_go_on_from_the_last_full_one(tmp_path: Path) -> None:
    shape = {"size": "tiny", "online_retail": False, "set": [], "tasks": ["next"], "horizon": 2}
    asked = Namespace(days=5, full_every=3, **shape)
    nights = freshness.nights_of(asked, 7, tmp_path)
    assert [night.number for night in nights] == [0, 1, 2, 0, 1]
    assert [night.base for night in nights] == [nights[place].folder for place in (0, 0, 0, 3, 3)]
    days = [night.params.ingest.as_of for night in nights]
    assert days == [days[0] + timedelta(days=2 * step) for step in range(5)]
    assert {night.params.ingest.window_days for night in nights} == {nights[0].params.ingest.window_days}
    assert list(nights[0].params.tasks) == ["next"] and "finetune" not in nights[0].params.fuse.members


@pytest.mark.parametrize("name", light_health.SPOILT)
def test_a_spoilt_night_differs_in_its_newest_days_alone(name: str) -> None:
    tables = make_tables()
    spoil, dials = light_health.SPOILT[name]
    spoilt = spoil(dict(tables), FIRST)
    old, new = (pc.less(each["events"]["occurred_at"].cast(pa.int64()), FIRST) for each in (tables, spoilt))
    assert spoilt["events"].filter(new).equals(tables["events"].filter(old))
    assert spoilt["events"].equals(tables["events"]) == (light_health.unchanged is spoil)
    assert spoilt["events"].schema == tables["events"].schema
    assert not dials or set(dials) == {"pretrain", "finetune"}
