"""One customer at a time over HTTP: the answers of the batch, exchanged under load, and what bad requests are told."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzzing
from make_night import make_night
from make_page import served
from make_tables import DAY, ZERO, make_tables
from openapi import bodies

from triad.config.recommend import RecommendParams
from triad.errors import TriadError
from triad.privacy.forgotten import Forgotten
from triad.schema import EVENT_KINDS
from triad.serving import asking, overall, stored, tonight
from triad.serving.app import make
from triad.serving.changes import PRICES
from triad.serving.customers import Customers
from triad.serving.guard import LOCAL, Limits
from triad.serving.holder import Holder, Place, Served, warmed
from triad.serving.impressions import ImpressionLog
from triad.serving.night import Event, Night
from triad.serving.storefront import Demo
from triad.serving.without import without
from triad.sources.shown import read as read_shown
from triad.tracking.serving import ServingModel

AS_OF = ZERO + 30 * DAY
LISTS = RecommendParams(k=5, candidates=12)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return make_night(tmp_path_factory.mktemp("night"))


@pytest.fixture(scope="module")
def model(root: Path) -> ServingModel:
    return ServingModel.load(root / "artifacts/refit/state", root / "artifacts/refit/fuse", "1")


@pytest.fixture(scope="module")
def night(root: Path, model: ServingModel) -> Night:
    return Night.of(model, root / "artifacts/validate/tables", LISTS)


@pytest.fixture(scope="module")
def client(night: Night) -> Iterator[TestClient]:
    holder = Holder(lambda: ("1", 0), lambda version: warmed(Served(version, night)))
    with TestClient(make(holder, demo=Demo(), limits=Limits(body=20_000)), raise_server_exceptions=False) as asked:
        yield asked


def test_advice_on_prices_is_asked_of_products_and_bounds_that_make_no_sense_are_refused(client: TestClient) -> None:
    wrong = client.post("/advise", json={"item_ids": ["i1"], "lowest": 1.5})
    assert wrong.status_code == 400 and "do not hold the present price" in wrong.json()["what"]
    lost = client.post("/advise", json={"item_ids": ["nobody"]})
    assert lost.status_code == 404 and "nobody" not in lost.text


def rows_of(table: pa.Table) -> dict[str, list[dict[str, Any]]]:
    by_user: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        by_user.setdefault(row["user_id"], []).append(row)
    return by_user


@pytest.mark.parametrize("bought", ["exclude", "due", "allow"])
@pytest.mark.parametrize("order_by", ["conversion", None])
def test_every_customers_list_is_the_batchs(root: Path, model: ServingModel, bought: Any, order_by: str | None) -> None:
    settings = RecommendParams(k=5, candidates=12, bought=bought, order_by=order_by, diversity=0.2, caps={"brand": 2})
    tables = root / "artifacts/validate/tables"
    online, lists = Night.of(model, tables, settings), rows_of(model.recommend(tables, settings, AS_OF))
    assert len(lists) == 60
    for name in ("similarity", "trees"):
        model.fused.members[name].keep(online.data)  # type: ignore[attr-defined]
    for user, rows in lists.items():
        listed = asking.recommend(online.visit(online.users[user], [], AS_OF), 5, why=True)
        assert [online.data.items.item_id[i] for i in listed.items] == [row["item_id"] for row in rows]
        np.testing.assert_allclose(listed.scores, [row["score"] for row in rows], rtol=0, atol=1e-5)
        assert listed.reasons == [row["reason"] for row in rows]
        if order_by:
            np.testing.assert_allclose(listed.scores, [sum(p.value for p in parts) for parts in listed.parts])
            np.testing.assert_allclose(listed.scores, [sum(d.value for d in done) for done in listed.deeds], atol=1e-6)


def test_explored_places_caps_and_the_items_of_this_morning_are_the_batchs(model: ServingModel) -> None:
    """At noon, of tables that announce four items: one comes in the morning, one in the evening."""
    tables, noon = make_tables(), AS_OF + DAY // 2
    came = [AS_OF + DAY // 4, AS_OF + 3 * DAY // 4]
    moment = pa.timestamp("us", tz="UTC")
    columns = {
        "item_id": ["i-morning", "i-evening"],
        "title": ["Red thing"] * 2,
        "category": ["c0/d0"] * 2,
        "brand": ["b-new"] * 2,
        "price_cents": [900] * 2,
        "available_from": pa.array(came, moment),
    }
    tables["items"] = pa.concat_tables([tables["items"], pa.table(columns)])
    settings = RecommendParams(
        k=6, candidates=12, bought="allow", caps={"category": 4, "brand": 3}, new_share=0.34, new_days=400
    )
    online, lists = Night.of(model, tables, settings), rows_of(model.recommend(tables, settings, noon))
    shown = set()
    for user, rows in lists.items():
        listed = asking.recommend(online.visit(online.users[user], [], noon), 6)
        names = [online.data.items.item_id[i] for i in listed.items]
        assert names == [row["item_id"] for row in rows]
        assert listed.explored.tolist() == [row["explored"] for row in rows]
        assert set(listed.propensity[~listed.explored]) <= {1.0}
        shown |= set(names)
    assert sum(row["explored"] for rows in lists.values() for row in rows) == 2 * 60
    assert "i-morning" in shown and "i-evening" not in shown


def test_a_shorter_list_is_the_beginning_of_the_nights(model: ServingModel, root: Path) -> None:
    settings = RecommendParams(k=20, candidates=5, bought="allow")
    online = Night.of(model, root / "artifacts/validate/tables", settings)
    for user in range(20):
        long, short = (asking.recommend(online.visit(user, [], AS_OF), k) for k in (20, 3))
        assert short.items.tolist() == long.items[:3].tolist()


def test_who_may_be_shown_nothing_gets_an_empty_list(model: ServingModel, root: Path) -> None:
    """A merchant hid everything, or a customer bought all there is."""
    tables = root / "artifacts/validate/tables"
    settings = RecommendParams(k=3, hide="true", new_share=0.5, caps={"brand": 1}, diversity=0.5)
    hidden = warmed(Served("1", Night.of(model, tables, settings)))
    with TestClient(make(Holder(lambda: ("1", 0), lambda version: hidden))) as asked:
        for body in ({"user_id": "u0003", "why": True}, {"user_id": "nobody"}):
            said = asked.post("/recommend", json=body)
            assert (said.status_code, said.json()["items"]) == (200, [])
    night = Night.of(model, tables, LISTS)
    everything = [Event(item, 3, AS_OF) for item in range(30)]
    assert len(asking.recommend(night.visit(3, everything, AS_OF + 1), 5).items) == 0


def test_scores_are_the_batchs_after_what_customers_did_since(root: Path, model: ServingModel, night: Night) -> None:
    """All items shown to every customer, some of whom clicked and bought this morning: 1,800 rows of every task."""
    tables, random = make_tables(), np.random.default_rng(5)
    now, since, shown = AS_OF + DAY // 3, [], []
    for user in tables["users"]["user_id"].to_pylist():
        for n in range(random.integers(0, 4)):
            kind = ("click", "cart", "purchase")[random.integers(3)]
            since.append((user, f"i{random.integers(30):04d}", kind, AS_OF + n * 60_000_000))
        for n, item in enumerate(tables["items"]["item_id"].to_pylist()):
            shown.append((user, item, ("home", "search", "elsewhere")[n % 3], 1 + n % 40))
    columns: dict[str, list[Any]] = {name: [] for name in tables["events"].column_names}
    for n, (user, item, *more) in enumerate([*since, *shown]):
        is_shown = n >= len(since)
        row = {"event_id": f"new{n}", "user_id": user, "item_id": item, "session_id": None, "quantity": 1}
        row |= {"kind": "impression" if is_shown else more[0], "occurred_at": now if is_shown else more[1]}
        row |= {"surface": more[0] if is_shown else None, "position": more[1] if is_shown else None}
        for name, values in columns.items():
            values.append(row.get(name))
    fresh = pa.table({n: pa.array(v, tables["events"].schema.field(n).type) for n, v in columns.items()})
    log = {**tables, "events": pa.concat_tables([tables["events"], fresh])}
    batch = model.predict(log, pa.array([f"new{n}" for n in range(len(since), len(since) + len(shown))]))
    expected = {(row["user_id"], row["item_id"]): row for row in batch.to_pylist()}
    assert len(expected) == 1800 and len(since) > 60
    for user in night.users:
        events = [Event(night.items[item], EVENT_KINDS.index(k), t) for u, item, k, t in since if u == user]
        mine = [(item, surface, position) for u, item, surface, position in shown if u == user]
        visit = night.visit(night.users[user], events, now)
        scores = asking.score(
            visit, np.array([night.items[i] for i, _, _ in mine]), [p for _, _, p in mine], [s for _, s, _ in mine]
        )
        for task, values in scores.items():
            classes = night.data.meta.classes.get(task)
            for name in [task] if classes is None else [f"{task}_{each}" for each in classes]:
                want = [expected[user, item][name] for item, _, _ in mine]
                got = values if classes is None else values[:, classes.index(name.removeprefix(f"{task}_"))]
                np.testing.assert_allclose(got, want, rtol=0, atol=1e-5, err_msg=f"{user} {name}")


def test_who_is_new_gets_the_list_of_who_has_no_history(root: Path, model: ServingModel, client: TestClient) -> None:
    tables = make_tables()
    new = {"user_id": ["zz-new"], "signed_up_at": [AS_OF], "country": [None], "segment": [None]}
    users = tables["users"].schema
    more = pa.table({f.name: pa.array(new.get(f.name, [None]), f.type) for f in users}, schema=users)
    batch = rows_of(model.recommend({**tables, "users": pa.concat_tables([tables["users"], more])}, LISTS, AS_OF))[
        "zz-new"
    ]
    for name in ("nobody", "\u0000\u0007"):
        said = client.post("/recommend", json={"user_id": name, "k": 5}).json()
        assert [row["item_id"] for row in said["items"]] == [row["item_id"] for row in batch]
        np.testing.assert_allclose([r["score"] for r in said["items"]], [r["score"] for r in batch], rtol=0, atol=1e-5)
        assert not said["is_known"] and [r["reason"] for r in said["items"]] == [r["reason"] for r in batch]
    events = [{"item_id": item, "kind": "click"} for item in ("i0007", "i-next", "i0007")]
    again = client.post("/recommend", json={"user_id": "nobody", "k": 5, "events": events}).json()
    assert again["ignored_events"] == 1 and "because you looked at" in str(again["items"]) and again != said


def test_a_written_state_answers_as_the_one_it_was_written_of(
    model: ServingModel, night: Night, tmp_path: Path
) -> None:
    stored.save(night, tmp_path)
    read = stored.load(tmp_path, model, LISTS, night.tables)
    events = [Event(3, 2, AS_OF)]
    for user in range(night.guest + 1):
        own, other = (asking.recommend(each.visit(user, events, AS_OF + 1), 5, why=True) for each in (night, read))
        assert own.items.tolist() == other.items.tolist() and own.reasons == other.reasons
        assert own.scores.tolist() == other.scores.tolist() and own.parts == other.parts
    pages = [each.pages["similar_items"] for each in (night, read)]
    assert pages[0].other.tolist() == pages[1].other.tolist() and read.titles.tolist() == night.titles.tolist()
    with pytest.raises(TriadError, match="another recommend"):
        stored.load(tmp_path, model, LISTS.model_copy(update={"hide": "false"}), night.tables)


def test_what_was_bought_this_morning_is_no_longer_listed(client: TestClient) -> None:
    first = client.post("/recommend", json={"user_id": "u0003", "k": 3}).json()["items"][0]["item_id"]
    events = [{"item_id": first, "kind": "purchase"}]
    again = client.post("/recommend", json={"user_id": "u0003", "k": 30, "events": events}).json()
    assert first not in [row["item_id"] for row in again["items"]] and again["as_of"] == "2026-01-31T00:00:00Z"


def test_a_list_tells_why_in_parts_that_sum_to_its_scores(client: TestClient) -> None:
    said = client.post("/recommend", json={"user_id": "u0003", "k": 5, "why": True})
    assert said.status_code == 200 and said.json()["why_sums_to"] == "score"
    for row in said.json()["items"]:
        assert row["reason"] and row["why"] and all(part["words"] for part in row["why"])
        assert sum(part["value"] for part in row["why"]) == pytest.approx(row["score"], abs=1e-9)


def test_deeds_sum_to_scores_and_name_what_was_done_since(night: Night, client: TestClient) -> None:
    events = [{"item_id": "i0007", "kind": "cart"}]
    body = {"user_id": "u0003", "k": 5, "why": True, "events": events}
    said = client.post("/recommend", json=body).json()
    for row in said["items"]:
        assert sum(deed["value"] for deed in row["because"]) == pytest.approx(row["score"], abs=1e-6)
    told = [deed["words"] for row in said["items"] for deed in row["because"] if deed["item_id"] == "i0007"]
    assert told and all(words.startswith("they put into the cart") and words.endswith("today") for words in told)
    (new,) = client.post("/recommend", json={"user_id": "nobody", "k": 1, "why": True}).json()["items"]
    (only,) = new["because"]
    assert only["item_id"] is None and only["value"] == pytest.approx(new["score"], abs=1e-6)
    shown = [{"item_id": f"i{n:04d}", "position": n + 1, "surface": "home"} for n in range(25)]
    scored = client.post("/score", json={"user_id": "u0003", "items": shown, "why": True}).json()["items"]
    assert [("why" in row) for row in scored] == [True] * 20 + [False] * 5
    for row in scored[:20]:
        for task in ("click", "conversion"):
            why = row["why"][task]
            whole = row[task] if why["sums_to"] == "score" else float(np.log(row[task] / (1 - row[task])))
            for parts in (why["parts"], why["because"]):
                assert sum(part["value"] for part in parts) == pytest.approx(whole, abs=1e-3)


def test_without_some_deeds_a_customer_is_asked_about_as_one_who_never_did_them(
    model: ServingModel, night: Night
) -> None:
    user, name = next((row, name) for name, row in night.users.items() if len(steps_of(night, row)) > 5)
    items, steps = np.arange(10), steps_of(night, user)
    gone = steps == steps[-1]
    visit = night.visit(user, [], AS_OF)
    rows = visit.rows(items, [3] * 10, ["home"] * 10)
    both = without(visit, rows, np.stack([np.ones(len(steps), bool), ~gone]))
    np.testing.assert_array_equal(
        both.exposures.context[:10], visit.exposures(items, [3] * 10, ["home"] * 10).exposures.context
    )
    tables = make_tables()
    events = tables["events"].to_pandas()
    item = night.data.items.item_id[int(steps[-1])]
    dropped = (events.user_id == name) & (events.item_id == item) & (events.kind != "impression")
    assert dropped.sum() == gone.sum() > 0
    fewer = Night.of(model, {**tables, "events": tables["events"].filter(pa.array(~dropped))}, LISTS)
    theirs = fewer.visit(user, [], AS_OF).exposures(items, [3] * 10, ["home"] * 10).exposures
    names = [each for each in night.data.meta.context if each.startswith("user_") and "lift" not in each]
    own = [each for each in names if not each.endswith(("_lean", "_match"))]
    assert len(own) > 10
    for each in own:
        at = night.data.meta.context.index(each)
        np.testing.assert_allclose(both.exposures.context[10:, at], theirs.context[:, at], rtol=1e-6, err_msg=each)
    assert both.exposures.history[10:].tolist() == theirs.history.tolist()


def steps_of(night: Night, user: int) -> Any:
    offsets = night.data.streams.offsets
    return np.asarray(night.data.streams.item)[offsets[user] : offsets[user + 1]]


def test_a_list_is_kept_until_the_customer_does_something(night: Night) -> None:
    served, user = Served("1", night), night.users["u0003"]
    first = served.recommend(night.visit(user, [], AS_OF), 5, why=False)
    assert served.recommend(night.visit(user, [], AS_OF), 5, why=False) is first
    assert served.recommend(night.visit(user, [], AS_OF), 4, why=False) is not first
    bought = night.visit(user, [Event(int(first.items[0]), 3, AS_OF)], AS_OF + 1)
    assert first.items[0] not in served.recommend(bought, 5, why=False).items and len(served.lists) == 2


def test_what_is_shown_is_written_down_under_the_names_that_the_tables_have(night: Night, tmp_path: Path) -> None:
    """Here `name` is the pseudonym of `Mr name`."""
    log = ImpressionLog(tmp_path, "never")
    customers = Customers(log, lambda id_: id_.removeprefix("Mr "))
    holder = Holder(lambda: ("7", 0), lambda version: Served(version, night))
    with TestClient(make(holder, customers=customers)) as asked:
        lists = [
            asked.post("/recommend", json={"user_id": user, "k": 3, "surface": "home", "request_id": "1"}).json()
            for user in ("Mr u0003", "u0003", "Mr nobody")
        ]
        asked.post("/recommend", json={"user_id": "u0004", "k": 3})  # shown nowhere
    assert [said["is_known"] for said in lists] == [True, True, False] and lists[0]["items"] == lists[1]["items"]
    assert "propensity" not in lists[0]["items"][0]
    found = read_shown(tmp_path).to_pylist()
    assert [row["user_id"] for row in found] == ["u0003"] * 3 + ["nobody"] * 3  # the second is the first again
    assert [row["item_id"] for row in found[:3]] == [row["item_id"] for row in lists[0]["items"]]
    assert {(row["version"], row["arm"], row["surface"], row["propensity"]) for row in found} == {
        ("7", "champion", "home", 1.0)
    }


def test_explored_places_have_the_propensity_of_their_draw(model: ServingModel, root: Path) -> None:
    settings = LISTS.model_copy(update={"new_share": 0.4, "new_days": 365, "bought": "allow", "order_by": None})
    online = Night.of(model, root / "artifacts/validate/tables", settings)
    listed = asking.recommend(online.visit(3, [], AS_OF), 5)
    new = int((np.asarray(online.data.items.available_from) > AS_OF - 365 * DAY).sum())
    drawn = int(listed.explored.sum())
    before = asking.recommend(
        Night.of(
            model, root / "artifacts/validate/tables", LISTS.model_copy(update={"bought": "allow", "order_by": None})
        ).visit(3, [], AS_OF),
        5,
    )
    assert drawn == 2 and set(listed.propensity[~listed.explored]) == {1.0}
    assert np.allclose(listed.propensity[listed.explored], drawn / (new - len(before.items)))


def test_what_would_change_a_score(client: TestClient, night: Night) -> None:
    body = {**USER, "items": [{"item_id": "i0003", "position": 5, "surface": "home"}], "changes": True}
    (row,) = client.post("/score", json=body).json()["items"]
    told = {change.pop("if"): change for change in row["changes"]}
    assert set(PRICES.values()) | {"first on the page", "shown on search"} <= set(told) and "shown on home" not in told
    assert all(set(change) == {"click", "conversion"} for change in told.values())
    first = {**body, "items": [{"item_id": "i0003", "position": 1, "surface": "home"}]}
    (above,) = client.post("/score", json=first).json()["items"]
    assert told["first on the page"]["click"] == pytest.approx(above["click"], abs=1e-9)
    assert above["click"] > row["click"]
    assert len({(round(change["click"], 9), round(change["conversion"], 9)) for change in told.values()}) > 2


def test_what_scores_rest_on_over_all_customers_is_told_of_the_state_that_serves(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = client.get("/importance").json()
    assert [each["task"] for each in said["tasks"]] == ["click", "conversion"] and said["version"] == "1"
    for each in said["tasks"]:
        assert each["rests_on"][0]["value"] > 0 and len(each["rests_on"]) > 5
        assert [row["at"] for row in each["by_price"]] == ["80 %", "90 %", "100 %", "110 %", "125 %"]
        assert all(0 < row["value"] < 1 for row in [*each["by_price"], *each["by_time_away"]])
    monkeypatch.setattr(overall, "importance", lambda *_: 1 / 0)
    assert client.get("/importance").json() == said, "it is reckoned once"


def test_similar_items_health_metrics_and_the_page(client: TestClient) -> None:
    said = client.post("/similar", json={"item_id": "i0003", "k": 4}).json()
    assert [row["rank"] for row in said["items"]] == [1, 2, 3, 4] and "i0003" not in str(said["items"])
    assert client.get("/health").json() == {"status": "ok", "version": "1", "as_of": "2026-01-31T00:00:00Z"}
    text = client.get("/metrics").text
    assert 'triad_requests_total{path="/similar",status="200"} 1' in text and 'triad_model_info{version="1"} 1' in text
    assert "<title>" in client.get("/").text and len(client.get("/shop").json()["customers"]) > 5
    assert "/recommend" in client.get("/openapi.json").json()["paths"]


USER = {"user_id": "u0001"}
LATER = (datetime(2026, 1, 31, tzinfo=UTC) + timedelta(days=2)).isoformat()
BAD: dict[str, tuple[str, Any, int]] = {
    "no body": ("recommend", "", 422),
    "no JSON": ("recommend", "{", 422),
    "a list": ("recommend", [], 422),
    "a wrong type": ("recommend", {"user_id": 3}, 422),
    "a misspelt field": ("recommend", {**USER, "kk": 3}, 422),
    "half a character": ("recommend", '{"user_id": "\\ud800"}', 422),
    "no items": ("recommend", {**USER, "k": 0}, 422),
    "too many items": ("recommend", {**USER, "k": 10_000}, 422),
    "not a number": ("recommend", '{"user_id": "u0001", "k": NaN}', 422),
    "an unknown kind": ("recommend", {**USER, "events": [{"item_id": "i0001", "kind": "view"}]}, 422),
    "an old event": (
        "recommend",
        {**USER, "events": [{"item_id": "i0001", "kind": "click", "occurred_at": "2026-01-02T00:00:00Z"}]},
        400,
    ),
    "another day": ("recommend", {**USER, "at": LATER}, 400),
    "a time before all": ("recommend", {**USER, "at": "0001-01-01T00:00:00+14:00"}, 400),
    "10,000 items": ("score", {**USER, "items": [{"item_id": "i0001"}] * 501}, 422),
    "an unknown item": ("score", {**USER, "items": [{"item_id": "x"}]}, 404),
    "nothing to score": ("score", {**USER, "items": []}, 422),
    "a place below the first": ("score", {**USER, "items": [{"item_id": "i0001", "position": 0}]}, 422),
    "an item nobody knows": ("similar", {"item_id": "x"}, 404),
    "lists that are none": ("similar", {"item_id": "i0001", "by": "cheapest"}, 422),
    "no query": ("search", {}, 422),
    "a model without search": ("search", {"query": "lamp"}, 501),
    "a model without answers": ("answer", {"messages": [{"message_id": "m", "message": "hi"}]}, 501),
    "no messages": ("answer", {"messages": []}, 422),
    "a model without prices": ("price", {"tables": {"items": [{"item_id": "i", "title": "lamp"}]}}, 501),
    "a table that is none": ("price", {"tables": {"lamps": []}}, 400),
    "a checkout without texts": ("describe", {"items": [{"item_id": "i", "title": "lamp"}]}, 501),
    "a model without forecasts": ("forecast", {"item_ids": ["i0001"]}, 501),
    "no such path": ("delete", {}, 405),
    "a large body": ("search", {"query": "a" * 30_000}, 413),
    "10,000 products": ("advise", {"item_ids": ["i0001"] * 501}, 422),
    "half a table": ("classify", {"tables": {"items": [{"title": "lamp"}]}, "why": True}, 400),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_told_its_cause(name: str, client: TestClient) -> None:
    path, body, status = BAD[name]
    text = body if isinstance(body, str) else json.dumps(body)
    said = client.post(f"/{path}", content=text, headers={"Content-Type": "application/json"})
    assert said.status_code == status, said.text
    assert set(said.json()) == {"what", "where", "mend"} and "Traceback" not in said.text
    assert "u0001" not in said.text and "nobody" not in said.text, "it quotes nothing of the request"
    assert client.get("/health").status_code == 200


def test_only_who_has_the_key_is_answered(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    holder = Holder(lambda: ("1", 0), lambda version: Served(version, night))
    with TestClient(make(holder, key="secret")) as asked, caplog.at_level("INFO", "triad.access"):
        assert asked.get("/health").status_code == 200
        assert asked.post("/recommend", json=USER).status_code == 401
        assert asked.post("/recommend", json=USER, headers={"X-API-Key": "other"}).status_code == 401
        assert asked.post("/recommend", json=USER, headers={"X-API-Key": "secret"}).status_code == 200
        assert asked.get("/metrics", headers={"Authorization": "Bearer secret"}).status_code == 200
    lines = [json.loads(line.message) for line in caplog.records if line.name == "triad.access"]
    assert [line["status"] for line in lines] == [200, 401, 401, 200, 200]
    assert "u0001" not in caplog.text and "secret" not in caplog.text


def test_without_a_key_only_this_machines_names_are_answered(night: Night) -> None:
    app = make(Holder(lambda: ("1", 0), lambda version: Served(version, night)), hosts=LOCAL)
    for host in ("127.0.0.1:8400", "localhost", "[::1]:8400", "LocalHost:1"):
        assert TestClient(app).get("/health", headers={"Host": host}).status_code == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:8400", "", "localhost:8400@evil.example"):
        told = TestClient(app).get("/health", headers={"Host": host})
        assert (told.status_code, told.json()["what"]) == (421, "it has another name")


def test_a_slow_answer_and_a_broken_one_are_told_so(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = Holder(lambda: ("1", 0), lambda version: Served(version, night))
    with TestClient(make(holder, limits=Limits(answer=0.5)), raise_server_exceptions=False) as asked:
        monkeypatch.setattr(asking, "recommend", lambda *args, **more: 1 / 0)
        said = asked.post("/recommend", json=USER)
        assert said.status_code == 500 and said.json()["where"] == "service" and "division" not in said.text
        monkeypatch.setattr(asking, "recommend", lambda *args, **more: time.sleep(1.5))
        assert asked.post("/recommend", json=USER).status_code == 504
        monkeypatch.undo()
        time.sleep(1.5)
        assert asked.post("/recommend", json=USER).status_code == 200


def test_the_model_is_exchanged_under_load_with_no_request_lost(night: Night) -> None:
    at, broken = ["1"], threading.Event()

    def load(version: str) -> Served:
        if broken.is_set():
            raise OSError("gone")
        return Served(version, night)

    holder = Holder(lambda: (at[0], 0), load)
    found: list[tuple[int, str]] = []
    with TestClient(make(holder, poll=0.02)) as asked:
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                said = asked.post("/recommend", json=USER)
                found.append((said.status_code, said.json()["version"]))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for version in ("2", "1", "3"):
            at[0] = version
            deadline = time.monotonic() + 10
            while found[-1:] != [(200, version)] and time.monotonic() < deadline:
                time.sleep(0.02)
        broken.set()
        at[0] = "4"
        time.sleep(0.2)
        over.set()
        for thread in threads:
            thread.join()
        assert 'outcome="failed"' in asked.get("/metrics").text
    assert {status for status, _ in found} == {200} and [v for _, v in found][-1] == "3"
    assert {version for _, version in found} == {"1", "2", "3"}


def test_whatever_is_wrong_with_another_state_the_present_one_goes_on_and_looking_too(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    at: list[Any] = ["1"]
    tries, now = Counter[str](), [0.0]

    def mark() -> tuple[Any, int]:
        if isinstance(at[0], Exception):  # the registry is down, or the alias is gone
            raise at[0]
        return at[0], 0

    def load(version: str) -> Served:
        tries[version] += 1
        if version == "2":
            raise KeyError("half-written tables")
        return Served(version, night)

    monkeypatch.setattr("triad.serving.holder.time.monotonic", lambda: now[0])
    holder = Holder(mark, load)
    at[0] = "2"
    assert [holder.look() for _ in range(3)] == ["failed", None, None] and tries["2"] == 1
    now[0] += 61  # it is tried once more
    assert holder.look() == "failed" and tries["2"] == 2
    for error in (TriadError("no version serves yet", where="alias", mend="promote one"), RuntimeError("down")):
        at[0] = error
        assert holder.look() == "failed" and holder.now.version == "1"
    at[0] = "3"
    assert holder.look() == "loaded" and holder.now.version == "3"


def test_who_is_forgotten_meanwhile_is_unknown_at_the_next_look_and_not_written_down(
    root: Path, model: ServingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Forgotten(None, {"user": frozenset()})
    monkeypatch.setattr("triad.serving.holder.forgotten.read", lambda: gone)
    own = Night.of(model, root / "artifacts/validate/tables", LISTS)
    place = Place("triad", "champion", LISTS, lambda: root)
    holder = Holder(lambda: ("1", 0), lambda version: place.refreshed(Served(version, own)), place.refreshed)
    with TestClient(make(holder, customers=Customers(ImpressionLog(tmp_path, "never")), poll=3600)) as asked:
        body = {"user_id": "u0003", "k": 3, "surface": "home"}
        assert asked.post("/recommend", json=body).json()["is_known"]
        gone = Forgotten(None, {"user": frozenset({"u0003"})})
        holder.look()
        said = asked.post("/recommend", json=body).json()
        assert (
            not said["is_known"]
            and said["items"] == asked.post("/recommend", json={"user_id": "x", "k": 3}).json()["items"]
        )
        assert asked.post("/recommend", json={**body, "user_id": "u0004"}).json()["is_known"]
        gone = Forgotten(None, {"user": frozenset()})  # taken off the list again
        holder.look()
        assert asked.post("/recommend", json=body).json()["is_known"]
    assert [row["user_id"] for row in read_shown(tmp_path).to_pylist()] == ["u0003"] * 3 + ["u0004"] * 3 + ["u0003"] * 3


def test_nobody_is_refused_because_the_night_is_late_or_the_shops_clock_is_ahead(client: TestClient) -> None:
    def said(*days: float, **more: Any) -> Any:
        at = [(datetime(2026, 1, 31, tzinfo=UTC) + timedelta(days=day)).isoformat() for day in days]
        events = [{"item_id": f"i{7 + n:04d}", "kind": "purchase", "occurred_at": each} for n, each in enumerate(at)]
        return client.post("/recommend", json={"user_id": "u0003", "k": 30, "events": events, **more})

    held = {row["item_id"] for row in said().json()["items"]}
    yesterday = said(-0.01).json()  # the night's tables hold it
    assert yesterday["ignored_events"] == 1 and {row["item_id"] for row in yesterday["items"]} == held
    for days in ((0.5, 1.2, 2.5), (3.0, 1.0, 0.2)):
        late = said(*days).json()
        assert late["ignored_events"] == 0
        assert {row["item_id"] for row in late["items"]} == held - {"i0007", "i0008", "i0009"}
    for days in ((-5.0,), (9.0,)):
        assert said(*days).status_code == 400
    new = client.post(
        "/recommend",
        json={
            "user_id": "u0003",
            "events": [
                {"item_id": "i0007", "kind": "click", "occurred_at": "2026-01-30T23:59:59Z"},
                {"item_id": "i0008", "kind": "cart"},
            ],
        },
    )
    assert new.status_code == 200 and new.json()["ignored_events"] == 1


def _raw(address: str, *parts: bytes) -> bytes:
    """What the service says to `parts`, one after another, over a connection that is then only listened to."""
    host, port = address.removeprefix("http://").strip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as line:
        for part in parts:
            line.sendall(part)
            time.sleep(0.05)
        said = b""
        while piece := line.recv(65_536):
            said += piece
            if b"\r\n\r\n{" in said and said.endswith(b"}"):
                break
        return said


def test_a_slow_client_an_endless_body_and_no_http_are_told_so_and_others_are_answered(night: Night) -> None:
    holder = Holder(lambda: ("1", 0), lambda version: Served(version, night))
    head = b"POST /recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    whole = json.dumps(USER).encode()
    with served(make(holder, limits=Limits(body=20_000, read=0.5), poll=3600)) as address:
        slow = _raw(address, head + b"Content-Length: 30\r\n\r\n", b'{"user', b'_id": ')
        assert slow.startswith(b"HTTP/1.1 408") and b"the body did not come" in slow
        chunk = b"4000\r\n" + b"a" * 0x4000 + b"\r\n"
        endless = _raw(address, head + b"Transfer-Encoding: chunked\r\n\r\n", chunk, chunk)
        assert endless.startswith(b"HTTP/1.1 413")
        assert _raw(address, head + b"Content-Length: 1000000\r\n\r\n").startswith(b"HTTP/1.1 413")
        assert _raw(address, head + b"Content-Length: -5\r\n\r\n").startswith(b"HTTP/1.1 400")
        sent = _raw(address, head + f"Content-Length: {len(whole)}\r\n\r\n".encode(), whole[:5], whole[5:])
        assert sent.startswith(b"HTTP/1.1 200")
        with socket.create_connection((address[7:].split(":")[0], int(address.strip("/").rsplit(":")[-1]))) as gone:
            gone.sendall(head + b"Content-Length: 30\r\n\r\n{")  # and it hangs up
        assert _raw(address, head + f"Content-Length: {len(whole)}\r\n\r\n".encode() + whole).startswith(
            b"HTTP/1.1 200"
        )


@pytest.mark.parametrize(
    "path", ["shop", "shop/customer", "shop/item", "shop/picture", "shop/products", "merchant/why/x", ".."]
)
@pytest.mark.parametrize("value", ["", "\x00", "\ud83d", "' OR 1=1 --", "a" * 5000, "i0001&user_id=u0001", "-1", "NaN"])
def test_what_the_page_asks_can_be_asked_wrongly(client: TestClient, path: str, value: str) -> None:
    sent = value.encode("utf-8", "surrogatepass")
    for name in ("item_id", "user_id", "like", "k"):
        said = client.get(f"/{path}?{name}={quote(sent)}")
        assert said.status_code < 500 and "Traceback" not in said.text, (path, name, said.text)


NAMES = {"user_id": ["u0003", "nobody"], "item_id": ["i0003", "i0004", "x"], "query": ["lamp", ""]}


def _fuzz(client: TestClient, examples: int) -> Counter[int]:
    """Statuses of so many requests a path, none of which may break the service."""
    statuses, described = Counter[int](), client.get("/openapi.json").json()

    def fuzz(path: str) -> None:
        @fuzzing(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(bodies(described, path, NAMES))
        def asks(body: Any) -> None:
            text = json.dumps(body)
            said = client.post(path, content=text, headers={"Content-Type": "application/json"})
            assert said.status_code < 500 or said.status_code == 501, f"{path} {text[:500]}: {said.text}"
            assert said.status_code == 200 or set(said.json()) == {"what", "where", "mend"}
            statuses[said.status_code] += 1

        asks()

    for path, operations in described["paths"].items():
        if "post" in operations:
            fuzz(path)
    return statuses


def test_no_request_that_the_description_allows_breaks_the_service(client: TestClient) -> None:
    statuses = _fuzz(client, 12)
    assert statuses[200] > 5 and statuses[422] > 5


@pytest.mark.proof
def test_no_request_breaks_the_service(client: TestClient) -> None:
    assert _fuzz(client, 400).total() > 2000


@pytest.mark.parametrize("settings", [LISTS, LISTS.model_copy(update={"diversity": 0.3, "caps": {"brand": 2}})])
def test_lists_that_the_night_made_are_those_that_would_be_made(
    root: Path, model: ServingModel, tmp_path: Path, settings: RecommendParams
) -> None:
    settings = RecommendParams.model_validate(settings.model_dump())
    tables = root / "artifacts/validate/tables"
    night = Night.of(model, tables, settings)
    del night.users["u0005"]  # forgotten since
    pq.write_table(model.recommend(tables, settings, AS_OF), tmp_path / "recommendations.parquet")
    told = {"as_of": "2026-01-31", "settings": settings.model_dump(mode="json"), "model_version": "1"}
    (tmp_path / "summary.json").write_text(json.dumps(told))
    made = tonight.read(tmp_path, "1", settings, night)
    assert made is not None
    for name, user in night.users.items():
        for k in (5, 3):
            own, listed = made.of(user, k), asking.recommend(night.visit(user, [], AS_OF), k)
            assert own is not None and own.items.tolist() == listed.items.tolist() and own.reasons == listed.reasons
            np.testing.assert_allclose(own.scores, listed.scores, rtol=0, atol=1e-6, err_msg=name)
    assert made.of(night.guest, 5) is None and made.of(night.users["u0003"], 6) is None
    served = Served("1", night, tonight=made)
    kept = served.recommend(night.visit(3, [], AS_OF), 5, why=False)
    assert (
        not served.lists
        and served.recommend(night.visit(3, [], AS_OF), 5, why=True).items.tolist() == kept.items.tolist()
    )
    assert len(served.lists) == 1
    for other in ({**told, "model_version": "2"}, {**told, "as_of": "2026-01-30"}, {**told, "settings": {}}):
        (tmp_path / "summary.json").write_text(json.dumps(other))
        assert tonight.read(tmp_path, "1", settings, night) is None
    assert tonight.read(tmp_path / "none", "1", settings, night) is None
