"""Search and messages over HTTP: a known customer's own order, the same as in a batch; and whatever is sent."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from make_asked import make_asked

from triad.errors import TriadError
from triad.serving.app import make
from triad.serving.holder import Holder, Served
from triad.serving.night import Night
from triad.tracking.asked import answer

QUERY = "blue thing"
ODD = [
    "",
    " ",
    "👍🏽",
    "12345",
    "\x00\x1b[31m\u202e",
    "красные 红鞋 ありがとう shoes",
    "x" * 10_000,
    "Kas see on olemas?",
]
"""Nothing, a blank, a sign, a number alone, control characters, scripts mixed, a long text, another language."""


@pytest.fixture(scope="module")
def night() -> SimpleNamespace:
    model, tables, settings = make_asked()
    return SimpleNamespace(model=model, tables=tables, online=Night.of(model, tables, settings))


def batch(night: Any, user: Any = "", query: str = QUERY) -> pd.DataFrame:
    asked = {"mode": "search", "k": 12, "query": query, "user_id": user}
    return answer(night.model, dict(night.tables), asked)


@pytest.fixture(scope="module")
def client(night: Any) -> Iterator[TestClient]:
    holder = Holder(lambda: ("1", 0), lambda version: Served(version, night.online))
    with TestClient(make(holder)) as asked:
        yield asked


def test_what_a_customer_takes_stands_further_up_and_a_stranger_gets_the_order_of_all(night: Any) -> None:
    anybody = batch(night)
    places = []
    for user in (3, 4, 5, 6, 7, 8):
        own = batch(night, f"u{user:04d}")
        mine = [(int(each[1:]) + user) % 3 == 0 for each in own["item_id"]]
        theirs = [(int(each[1:]) + user) % 3 == 0 for each in anybody["item_id"]]
        places.append(sum(mine[:4]) - sum(theirs[:4]))
        assert list(own.columns) == ["rank", "item_id", "score", "match"] and own["score"].is_monotonic_decreasing
    assert np.mean(places) >= 1
    for nobody in ("", "u9999", "\x00", "👍" * 50):
        pd.testing.assert_frame_equal(batch(night, nobody), anybody)
    with pytest.raises(TriadError, match=r"params.user_id.*is no text, but int"):
        batch(night, 7)


def test_products_that_are_popular_stand_in_for_everybody_alike(night: Any) -> None:
    pd.testing.assert_frame_equal(batch(night, "u0003", "zzz"), batch(night, "", "zzz"))


def online(client: TestClient, **body: Any) -> dict[str, Any]:
    reply = client.post("/search", json={"query": QUERY, "k": 12, **body})
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


@pytest.mark.parametrize("user", ["u0003", "u0007", "u9999"])
def test_online_it_is_the_order_of_the_batch(night: Any, client: TestClient, user: str) -> None:
    own, slow = online(client, user_id=user, why=True), batch(night, user)
    assert [each["item_id"] for each in own["items"]] == slow["item_id"].tolist()
    np.testing.assert_allclose([each["score"] for each in own["items"]], slow["score"], rtol=1e-6)
    assert own["is_known"] == (user != "u9999") == any(each["leans"] for each in own["items"])
    for each in own["items"][:10]:  # words carry the rest
        words = sum(word["value"] for word in each["because"])
        assert words + each["leans"] == pytest.approx(each["score"], abs=1e-6)


def test_what_was_done_since_the_night_counts(client: TestClient) -> None:
    before = online(client, user_id="u9999")["items"]
    events = [{"item_id": before[-1]["item_id"], "kind": "click"}] * 3
    known = online(client, user_id="u0003", events=events)
    assert known["items"] != online(client, user_id="u0003")["items"]
    assert client.post("/search", json={"query": QUERY, "events": [{"item_id": "i0001", "kind": "look"}]}).is_error


@pytest.mark.parametrize(
    "body", [{"events": [{"item_id": "i0001", "kind": "click"}]}, {"at": "2026-03-01T10:00:00Z"}, {"at": "1999-01-01"}]
)
def test_what_nobody_did_and_nobodys_moment_are_refused(client: TestClient, body: dict[str, Any]) -> None:
    reply = client.post("/search", json={"query": QUERY, **body})
    assert reply.status_code == 422 and "name user_id" in reply.json()["what"]


@pytest.mark.parametrize("text", ODD)
def test_whatever_is_typed_or_written_is_answered_or_refused(
    night: Any, client: TestClient, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    for user in (None, "u0003"):
        shown = online(client, query=text, user_id=user, k=3)
        assert len(shown["items"]) == 3 and shown["match"] in ("some words", "popular", "all words", "corrected")
    assert len(batch(night, "u0003", text)) == 12
    reply = client.post("/answer", json={"messages": [{"message_id": "m", "message": text}], "why": True})
    (row,) = reply.json()["answers"]
    assert reply.status_code == 200 and 0 <= row["intent_score"] <= 1
    table = {"conversations": [{"message_id": "m", "message": text}]}
    assert answer(night.model, table, {"mode": "answer", "k": 0})["intent"][0] == row["intent"]
    assert not text.strip() or text not in caplog.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("search", {"query": "x" * 10_001}),
        ("search", {"query": 5}),
        ("search", {"query": "a", "user_id": ""}),
        ("search", {"query": "a", "customer": "u0003"}),
        ("answer", {"messages": [{"message_id": "m", "message": "x" * 10_001}]}),
        ("answer", {"messages": [{"message_id": "m", "message": None}]}),
    ],
)
def test_what_is_no_request_is_refused_without_quoting_it(client: TestClient, path: str, body: Any) -> None:
    reply = client.post(f"/{path}", json=body)
    assert reply.status_code == 422 and "xxx" not in reply.text
