"""The registered model behind MLflow's scoring server: strict JSON, causes in `message`, tables that may be read."""

from __future__ import annotations

import copy
import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from make_night import inside, make_night, published_night

from triad.artifacts import TABLES
from triad.tracking import registry
from triad.tracking.inputs import opened
from triad.tracking.store import quiet

NAMES = ("users", "items", "events", "prices")
ROOTS = "TRIAD_SERVE_ROOTS"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A published night."""
    with published_night(make_night(tmp_path_factory.mktemp("night"))) as root, inside(root):
        yield root


@pytest.fixture(scope="module")
def ask(shop: Path) -> Iterator[Callable[..., tuple[int, Any]]]:
    """POST to /invocations; status, and the body as strict JSON."""
    import mlflow
    from fastapi.testclient import TestClient
    from mlflow.pyfunc import scoring_server

    def no_json(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")  # which `init` sets
        with quiet():
            model = mlflow.pyfunc.load_model(str(registry.folder_of("triad", "1")))
        with TestClient(scoring_server.init(model)) as client:

            def post(body: Any, **params: Any) -> tuple[int, Any]:
                text = body if isinstance(body, str) else json.dumps({**body, "params": params})
                said = client.post("/invocations", content=text, headers={"Content-Type": "application/json"})
                return said.status_code, json.loads(said.text, parse_constant=no_json)

            yield post


@pytest.fixture(scope="module")
def inline(shop: Path) -> dict[str, list[dict[str, Any]]]:
    with inside(shop), opened(TABLES) as session:
        return {
            name: json.loads(session.execute(f"SELECT to_json(list(t)) FROM {name} t").fetchall()[0][0])
            for name in NAMES
        }


def by_place(place: Path | str) -> dict[str, Any]:
    return {"dataframe_records": [{"tables": str(place)}]}


def refusal(said: tuple[int, Any], *parts: str) -> None:
    status, body = said
    assert status == 400, body
    assert body["error_code"] == "INVALID_PARAMETER_VALUE"
    for part in (*parts, "; to fix it: "):
        assert part in body["message"], body["message"]
    assert len(body["message"]) < 500 and "Traceback" not in json.dumps(body)


def test_lists_and_scores_are_strict_json_however_tables_come(shop, ask, inline, monkeypatch) -> None:
    monkeypatch.setenv(ROOTS, shlex.quote(str(shop / "artifacts")))
    status, body = ask(by_place(shop / TABLES), mode="recommend", k=3)
    assert status == 200 and len(body["predictions"]) == 180
    assert set(body["predictions"][0]) == {"user_id", "rank", "item_id", "score", "reason", "explored"}
    monkeypatch.delenv(ROOTS)
    for sent in ({"dataframe_records": [{"tables": inline}]}, {"inputs": inline}):
        assert ask(sent, mode="recommend", k=3) == (200, body)
    status, scores = ask({"inputs": inline})
    assert status == 200 and {"event_id", "click", "conversion", "profile", "profile_rare"} <= set(
        scores["predictions"][0]
    )


def test_what_is_missing_or_not_finite_is_null() -> None:
    import pyarrow as pa

    from triad.tracking.asked import _plain

    rows = {"a": [1.0, float("nan"), float("inf")], "b": ["x", None, "y"], "c": [1, 2, None], "d": [1, 2, 3]}
    assert _plain(pa.table(rows)).to_dict(orient="records") == [
        {"a": 1.0, "b": "x", "c": 1, "d": 1},
        {"a": None, "b": None, "c": 2, "d": 2},
        {"a": None, "b": "y", "c": None, "d": 3},
    ]


def again(rows: list[dict[str, Any]]) -> None:
    rows.append(dict(rows[0]))


def changed(**values: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda rows: rows[0].update(values)


BAD: dict[str, tuple[str, Callable[[list[dict[str, Any]]], Any], tuple[str, ...]]] = {
    "a user twice": ("users", again, ("table users, user_id", "more than once (2 rows)")),
    "an item twice": ("items", again, ("table items, item_id", "more than once")),
    "an event twice": ("events", again, ("table events, event_id", "more than once")),
    "a price twice": ("prices", again, ("table prices, item_id, day", "more than once")),
    "an unknown user": ("events", changed(user_id="nobody"), ("events, user_id: 'aaaaaa' has no row in users",)),
    "an unknown item": ("events", changed(item_id="nothing"), ("events, item_id: 'nothing' has no row in items",)),
    "a price of an unknown item": ("prices", changed(item_id="nothing"), ("prices, item_id", "has no row in items")),
    "an unknown kind": ("events", changed(kind="view"), ("table events, kind: 'view'", "known are impression")),
    "a user without an id": ("users", changed(user_id=None), ("table users, user_id: missing needs a value",)),
    "an event without a time": ("events", changed(occurred_at=None), ("occurred_at: missing needs a value",)),
    "a text for a time": ("events", changed(occurred_at="soon"), ("table events, column occurred_at",)),
    "a text for a number": ("items", changed(price_cents="dear"), ("table items, column price_cents",)),
    "a number that is too large": ("items", changed(price_cents=10**30), ("table items, column price_cents",)),
    "an unknown column": ("events", changed(colour="red"), ("unknown columns ['colour']",)),
    "no column": ("users", lambda rows: [row.pop("signed_up_at") for row in rows], ("column is missing",)),
    "no attribute that the model reads": ("users", lambda rows: [row.pop("country") for row in rows], ("country",)),
    "a list for a value": ("users", changed(country=["DE"]), ("table users, column country",)),
    "lists for values": ("users", lambda rows: [row.update(country=["DE"]) for row in rows], ("column country",)),
    "no rows": ("users", list.clear, ("table users",)),
}


@pytest.mark.parametrize("name", BAD)
def test_rows_that_do_not_fit_are_refused_with_their_cause(name: str, ask, inline) -> None:
    table, spoil, parts = BAD[name]
    sent = {**inline, table: copy.deepcopy(inline[table])}
    spoil(sent[table])
    refusal(ask({"inputs": sent}), *parts)


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"inputs": {}}, "missing tables: events, items, users"),
        ({"inputs": {"users": [{"user_id": "u"}]}}, "missing tables: events, items"),
        ({"inputs": {"event": []}}, "did you mean events?"),
        ({"inputs": {"users": [1, 2]}}, "is no list of rows"),
        ({"inputs": {"users": "all"}}, "is no list of rows"),
        ({"inputs": [1, 2]}, "expected tables by name"),
        ({"dataframe_records": [{"tables": "a"}, {"tables": "b"}]}, "found 2 with ['tables']"),
        ({"dataframe_records": []}, "found 0 with"),
        ({"dataframe_records": [{"x": 1}]}, "found 1 with ['x']"),
        ({"dataframe_records": [{"tables": None}]}, "expected tables by name"),
        ({"dataframe_records": [{"tables": 5}]}, "expected tables by name"),
    ],
)
def test_requests_that_hold_no_tables_are_told_what_to_send(body, part: str, ask) -> None:
    refusal(ask(body), part)


def test_parameters_are_checked(ask, inline) -> None:
    refusal(ask({"inputs": inline}, mode="guess"), "params.mode: unknown mode 'guess'")
    refusal(ask({"inputs": inline}, mode="recommend", k=-3), "params.k: is no number of items: -3")
    for wrong in ({"k": "ten"}, {"k": 2.5}, {"k": [1]}, {"mode": 7}):
        status, body = ask({"inputs": inline}, **wrong)
        assert status == 400 and next(iter(wrong)) in body["message"], body


@pytest.fixture
def places(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `my shop`, which is allowed, beside one that is not."""
    for name in ("my shop/good", "my shopping", "secret"):
        shutil.copytree(shop / TABLES, tmp_path / name)
    (tmp_path / "my shop" / "link").symlink_to(tmp_path / "secret")
    shutil.copytree(shop / TABLES, tmp_path / "my shop" / "half")
    shutil.rmtree(tmp_path / "my shop" / "half" / "users")
    (tmp_path / "my shop" / "half" / "users").symlink_to(tmp_path / "secret" / "users")
    (tmp_path / "my shop" / "loop").symlink_to("loop")
    (tmp_path / "to_shop").symlink_to(tmp_path / "my shop")
    memory = fsspec.filesystem("memory")
    for name in ("allowed", "allowedly", "other"):
        memory.put(str(shop / TABLES), f"/{name}/tables", recursive=True)
    monkeypatch.setenv(ROOTS, f"{shlex.quote(str(tmp_path / 'my shop'))} memory://allowed")
    monkeypatch.chdir(tmp_path)
    return tmp_path


GOOD = ("{}/my shop/good", "my shop/good", "file://{}/my%20shop/good", "{}/to_shop/good", "memory://allowed/tables")
ELSEWHERE = (
    "{}/secret",
    "secret",
    "/etc",
    "/",
    "",
    "{}/my shopping",
    "{}/my shop/../secret",
    "{}/my shop/link",
    "{}/my shop/half",
    "{}/my shop/loop",
    "{}/my shop/none",
    "{}/my shop/" + "x" * 300,
    "file://{}/secret",
    "file://{}/my%20shop/%2e%2e/secret",
    "file://elsewhere{}/my shop/good",
    "file:secret",
    "local://{}/secret",
    "memory://other/tables",
    "memory://allowedly/tables",
    "memory://allowed/../other/tables",
    "memory://allowed/%2e%2e/other/tables",
    "memory://allowed/tables?x=1",
    "MEMORY://other/tables",
    "http://169.254.169.254/latest",
    "s3://shop/tables",
    "simplecache::memory://allowed/tables",
    "memory://allowed/tables::memory://other/tables",
    "zip://users::file://{}/secret",
    "reference::{}/secret",
    "data:text/plain,users",
    "{}/my shop/good\0",
)


@pytest.mark.parametrize("place", GOOD)
def test_tables_below_a_root_are_read(place: str, ask, places: Path) -> None:
    status, body = ask(by_place(place.format(places)), mode="recommend", k=1)
    assert status == 200 and len(body["predictions"]) == 60


@pytest.mark.parametrize("place", ELSEWHERE)
def test_nothing_else_is_read(place: str, ask, places: Path) -> None:
    refusal(ask(by_place(place.format(places))), "the operator allows no tables from there")


@pytest.mark.parametrize("place", GOOD)
def test_without_roots_no_place_may_be_named(place: str, ask, places: Path, monkeypatch) -> None:
    monkeypatch.delenv(ROOTS)
    said = ask(by_place(place.format(places)))
    refusal(said, "the operator allows no tables from there", "send the tables themselves")


def test_roots_that_cannot_be_read_allow_nothing(ask, places: Path, monkeypatch) -> None:
    monkeypatch.setenv(ROOTS, f"'{places}")
    refusal(ask(by_place("my shop/good")), ROOTS, "quote each folder")


def test_files_that_cannot_be_read_are_told(ask, places: Path) -> None:
    part = next((places / "my shop" / "good" / "users").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:200])
    refusal(ask(by_place("my shop/good")), "cannot be read")
