"""A shop's tables from a real PostgreSQL server, and from SQLite by SQLAlchemy: the same as from files."""

import logging
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from make_postgres import PASSWORD, Server, programs, server
from pydantic import ValidationError

from triad.config.files import FilesParams
from triad.config.ingest import IngestParams
from triad.config.params import parse
from triad.errors import TriadError
from triad.sources import alchemy
from triad.sources.clock import Clock
from triad.sources.database import connected
from triad.sources.files import read_files
from triad.sources.relations import Windowed
from triad.stages import ingest as stage

pytest.importorskip("adbc_driver_postgresql")

EVENTS = """\
id,sku,who,at,amount,pieces,what
1,A,anna,2026-01-02 10:00:00+00,2.50,2,impression
2,A,anna,2026-01-02 10:05:00+00,2.50,2,purchase
3,B,anna,2026-01-04 09:00:00+00,10,1,purchase
4,A,bert,2026-01-06 23:30:00+00,2.75,1,purchase
5,A,carl,2025-12-01 12:00:00+00,1.99,1,purchase
6,B,,2026-01-05 12:00:00+00,10,1,purchase
7,A,bert,2026-01-08 00:00:00+00,2.75,1,purchase
8,A,bert,2026-01-07 00:00:00+00,,,impression
"""
USERS = (
    "id,since,country\nanna,2025-05-01 00:00:00+00,DE\nbert,2026-01-07 23:59:59+00,\ndora,2026-01-08 00:00:00+00,FR\n"
)
MAPPED: dict[str, Any] = {
    "events": {
        "event_id": "id",
        "user_id": "who",
        "item_id": {"column": "sku", "case": "lower"},
        "occurred_at": "at",
        "kind": "what",
        "price_cents": {"column": "amount", "unit": "major"},
        "quantity": "pieces",
    },
    "users": {"user_id": "id", "signed_up_at": "since", "country": "country"},
}
COLUMNS = {
    "events": "id bigint, sku text, who varchar(20), at timestamptz, amount numeric(12,2), pieces int, what text",
    "users": "id text, since timestamptz, country char(2)",
}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    if programs() is None:
        pytest.skip("PostgreSQL is not installed: no initdb and postgres in PATH or /usr/lib/postgresql")
    with server() as running:
        running.run("CREATE SCHEMA shop")
        for name, text in (("events", EVENTS), ("users", USERS)):
            rows = [line.split(",") for line in text.splitlines()[1:]]
            values = ", ".join("(" + ", ".join(f"'{cell}'" if cell else "NULL" for cell in row) + ")" for row in rows)
            running.run(f"CREATE TABLE shop.{name} ({COLUMNS[name]})", f"INSERT INTO shop.{name} VALUES {values}")
        yield running


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIAD_DATABASE_PASSWORD", PASSWORD)


def params(files: dict[str, Any], **ingest: Any) -> IngestParams:
    return IngestParams.model_validate(
        {"source": "files", "as_of": "2026-01-08", "window_days": 10, "files": files, **ingest}
    )


def tables(database: str, prefix: str = "shop.", **changes: Any) -> dict[str, Any]:
    """The mapping of both tables; `changes` are to the events'."""
    columns = {**MAPPED["events"], **changes.pop("columns", {})}
    return {
        "database": database,
        "events": {"table": f"{prefix}events", "columns": columns, **changes},
        "users": {"table": f"{prefix}users", "columns": MAPPED["users"]},
        "prices": {"from": "events"},
    }


def of_files(tmp_path: Path) -> dict[str, pa.Table]:
    """The same rows from CSV, without those before the window, which no database is asked for."""
    rows = [line for line in EVENTS.splitlines(keepends=True) if "2025-12" not in line]
    (tmp_path / "events.csv").write_text("".join(rows))
    (tmp_path / "users.csv").write_text(USERS)
    mapped = {n: {"path": str(tmp_path / f"{n}.csv"), "columns": MAPPED[n], "timezone": "UTC"} for n in MAPPED}
    return read_files(params({**mapped, "prices": {"from": "events"}}))


def said(files: dict[str, Any], **ingest: Any) -> str:
    with pytest.raises(TriadError) as caught:
        read_files(params(files, **ingest))
    return str(caught.value)


def test_a_database_gives_what_files_give_and_only_the_window_is_read(
    postgres: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    read = read_files(params(tables(postgres.address)))
    messages = caplog.text
    assert read == of_files(tmp_path)
    assert {name: table.num_rows for name, table in read.items()} == {"users": 2, "items": 2, "events": 5, "prices": 10}
    assert "table shop.events: 6 rows with at from 2025-12-29" in messages  # of 8
    assert "table shop.users: 2 rows with since before 2026-01-08" in messages  # of 3
    assert "postgresql://127.0.0.1" in messages and "shop_reader" not in messages


def test_types_of_the_server_keep_their_values(postgres: Server) -> None:
    kinds = (
        "CREATE TYPE step AS ENUM ('impression', 'purchase')",
        "CREATE TABLE kinds (id uuid, sku numeric, who bigint, at timestamp, amount numeric(10,3), what step, "
        "more jsonb)",
        "INSERT INTO kinds VALUES ('00000000-0000-4000-8000-000000000001', 12345678901234567890123, 9007199254740993, "
        "'2026-01-02 00:30', 1.290, 'purchase', '{\"a\": 1}'), "
        "('00000000-0000-4000-8000-000000000002', 7, 8, '2026-01-07 23:59:59.999999', NULL, 'impression', NULL)",
    )
    postgres.run(*kinds)
    columns = {"event_id": "id", "user_id": "who", "item_id": "sku", "surface": "more"}
    columns["occurred_at"] = {"column": "at", "timezone": "Europe/Berlin"}
    mapped = tables(postgres.address, table="kinds", columns=columns)
    mapped["events"]["columns"].pop("quantity")
    mapped = {"database": mapped["database"], "events": mapped["events"], "items": {"from": "events"}}
    with pytest.raises(TriadError, match="unknown for 1 of 2 rows"):  # item 7 has no price; all else is read
        read_files(params(mapped))
    postgres.run("UPDATE kinds SET amount = 2 WHERE amount IS NULL")
    rows = read_files(params(mapped))["events"].to_pylist()
    assert [row["event_id"][-1] for row in rows] == ["1", "2"]
    assert rows[0]["event_id"] == "00000000-0000-4000-8000-000000000001"
    assert (rows[0]["user_id"], rows[0]["item_id"]) == ("9007199254740993", "12345678901234567890123")
    assert rows[0]["occurred_at"] == datetime(2026, 1, 1, 23, 30, tzinfo=UTC)
    assert (rows[0]["price_cents"], rows[0]["surface"], rows[0]["kind"]) == (129, '{"a": 1}', "purchase")


@pytest.mark.parametrize(
    ("kind", "bounds"),
    [
        (pa.timestamp("us", "UTC"), (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC))),
        (pa.timestamp("us"), (datetime(2025, 12, 31), datetime(2026, 1, 9))),
        (pa.date32(), (date(2025, 12, 31), date(2026, 1, 9))),
        (pa.int64(), (1767225600000, 1767830400000)),
        (pa.string(), None),
    ],
)
def test_bounds_are_said_in_the_columns_own_type(kind: pa.DataType, bounds: tuple[Any, Any] | None) -> None:
    clock = Clock("at", "milliseconds", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC))
    made = clock.bounds(kind)
    assert (made and (made.low, made.high)) == bounds


def test_times_as_texts_are_read_whole_and_said_so(postgres: Server, caplog: pytest.LogCaptureFixture) -> None:
    postgres.run("CREATE VIEW as_texts AS SELECT id, sku, who, at::text, amount, pieces, what FROM shop.events")
    read = read_files(params(tables(postgres.address, table="as_texts")))
    assert read["events"].num_rows == 5
    assert "the whole table is read" in caplog.text


def test_all_tables_are_of_one_moment(postgres: Server) -> None:
    postgres.run("CREATE TABLE moving AS SELECT * FROM shop.users")
    with connected(postgres.address) as database:
        before = sum(batch.num_rows for batch in database.relation("shop.users", "").batches(["id"], None))
        postgres.run("INSERT INTO moving VALUES ('emil', now(), 'DE')", "UPDATE moving SET country = 'XX'")
        rows = pa.Table.from_batches(database.relation("moving", "").batches(["id", "country"], None))
    assert rows.num_rows == before == 3
    assert "XX" not in rows["country"].to_pylist()


def test_rows_are_streamed_and_a_server_that_goes_away_is_said(postgres: Server) -> None:
    postgres.run("CREATE VIEW many AS SELECT n AS id, repeat('x', 100) AS text FROM generate_series(1, 2000000) n")
    with connected(postgres.address) as database:
        pieces = Windowed("ingest.files.events", database.relation("many", ""), None).pieces(["id", "text"])
        assert next(pieces).num_rows < 500_000
        assert pa.total_allocated_bytes() < 100 << 20  # of 210 MB of texts
        postgres.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%many%' "
            "AND pid <> pg_backend_pid()"
        )
        with pytest.raises(TriadError, match="table many") as caught:
            list(pieces)
    assert caught.value.transient


@pytest.mark.parametrize(
    ("changes", "columns", "text"),
    [
        ({"table": "shop.evnts"}, {}, r"no such table or view[\s\S]*did you mean 'shop.events'"),
        ({"table": "shop.events.x.y"}, {}, "cross-database|improper|no such table|too many dotted"),
        ({"table": "nowhere.events"}, {}, "no such table or view"),
        ({}, {"user_id": "whoo"}, r"column whoo: column is missing; found id, sku[\s\S]*did you mean 'who'"),
        ({}, {"occurred_at": "att"}, "column att: column is missing"),
        ({"table": "shop.odd"}, {"price_cents": {"column": "cash", "unit": "major"}}, "is of type money"),
        ({"table": "shop.odd"}, {"quantity": "tags"}, "holds list"),
        ({"table": "shop.odd"}, {"quantity": "nan"}, "sends what cannot be read"),
        ({"table": "shop.odd"}, {"kind": "who"}, "none of impression, click, cart, purchase"),
        ({"table": "shop.hidden"}, {}, "permission denied"),
        ({"timezone": "UTC", "where": [{"column": "who", "equals": "nobody"}]}, {}, "no row is left"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(
    postgres: Server, changes: dict[str, Any], columns: dict[str, Any], text: str
) -> None:
    if not postgres.run("SELECT 1 FROM pg_class WHERE relname = 'odd'"):
        postgres.run(
            "CREATE TABLE shop.odd AS SELECT *, 3::money AS cash, ARRAY[1] AS tags, 'NaN'::numeric AS nan "
            "FROM shop.events",
            "CREATE TABLE shop.hidden AS SELECT * FROM shop.events",
            "CREATE ROLE guest LOGIN PASSWORD 'guest'",
            "GRANT USAGE ON SCHEMA shop TO guest",
        )
    address = postgres.address
    if "hidden" in str(changes):
        address = address.replace("shop_reader", "guest")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TRIAD_DATABASE_PASSWORD", "guest")
            assert re.search(text, said(tables(address, **changes)))
        return
    message = said(tables(address, columns=columns, **changes))
    assert re.search(text, message), message
    assert "anna" not in message and PASSWORD not in message


def test_a_window_without_rows_is_said(postgres: Server) -> None:
    assert "there are no rows for the window" in said(tables(postgres.address), as_of="2024-01-01")


def test_who_is_not_let_in_and_what_is_not_there(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TriadError, match="password authentication failed") as caught:
        monkeypatch.setenv("TRIAD_DATABASE_PASSWORD", "wr0ng-one")
        read_files(params(tables(postgres.address)))
    assert not caught.value.transient
    assert "TRIAD_DATABASE_PASSWORD" in str(caught.value) and "wr0ng-one" not in str(caught.value)
    monkeypatch.setenv("TRIAD_DATABASE_PASSWORD", PASSWORD)
    assert "does not exist" in said(tables(f"{postgres.address}_gone"))
    with pytest.raises(TriadError, match="Connection refused") as caught:
        read_files(params(tables(postgres.address.replace(str(postgres.port), "1"))))
    assert caught.value.transient
    assert PASSWORD not in str(caught.value)
    monkeypatch.setenv("SHOP_DATABASE", postgres.address)
    assert read_files(params(tables("${SHOP_DATABASE}")))["events"].num_rows == 5
    assert "SHOP_NOTHING is not set" in said(tables("${SHOP_NOTHING}"))
    assert "may not stand in a path" in said(tables("${AWS_SECRET}"))
    assert "driver" in said(tables("nosuchdatabase://host/shop"))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"database": "postgresql://me:p4ss@host/shop"}, "a password stands in it"),
        ({"database": "postgresql://host/shop?password=p4ss"}, "a password stands in it"),
        ({"database": "mssql+pyodbc:///?odbc_connect=UID%3Dme%3B+PWD%3Dp4ss"}, "a password stands in it"),
        ({"database": "host/shop"}, "no address of a database"),
        ({"database": None}, "say which database"),
        ({"events": {"table": "t", "path": "x.csv", "columns": MAPPED["events"]}}, "just one of path, table"),
        ({"events": {"table": "t", "encoding": "latin-1", "columns": MAPPED["events"]}}, "encoding: is for files"),
        (
            {"events": {"table": "t", "columns": {**MAPPED["events"], "event_id": {"row_number": True}}}},
            "rows of a table have no order",
        ),
    ],
)
def test_params_without_sense_are_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FilesParams.model_validate({**tables("postgresql://host/shop"), **change})
    assert text in caught.value.errors()[0]["msg"]


def test_sqlite_by_sqlalchemy_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    kinds = {
        "events": COLUMNS["events"].replace("timestamptz", "datetime"),
        "users": "id text, since datetime, country text",
    }
    with sqlite3.connect(path) as database:
        for name, text in (("events", EVENTS), ("users", USERS)):
            database.execute(f"CREATE TABLE {name} ({kinds[name]})")
            rows = [[cell.removesuffix("+00") or None for cell in line.split(",")] for line in text.splitlines()[1:]]
            marks = ", ".join("?" * len(rows[0]))
            database.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
    mapped = tables(f"sqlite:///{path}", "", timezone="UTC")
    mapped["users"]["timezone"] = "UTC"
    read = read_files(params(mapped))
    assert read == of_files(tmp_path)
    assert "did you mean 'events'" in said({**mapped, "events": {**mapped["events"], "table": "evens"}})
    columns = {**MAPPED["events"], "quantity": "peces"}
    assert "did you mean 'pieces'" in said({**mapped, "events": {**mapped["events"], "columns": columns}})
    with sqlite3.connect(path) as database:
        database.execute("UPDATE events SET pieces = 'two' WHERE id = 3")
    assert "holds a value that is no int64" in said(mapped)
    with sqlite3.connect(path) as database:  # no whole number becomes another without a word
        database.execute("UPDATE events SET pieces = 2.5 WHERE id = 3")
    assert "column pieces: holds a value that is no int64" in said(mapped)


@pytest.mark.parametrize("kind", ["datetime", "timestamp", "date"])
@pytest.mark.parametrize("value", ["05/01/2026 10:00", "5 January 2026", "", 1767607200, 20260105])
def test_no_time_that_sqlite_compares_as_text_is_passed_over(kind: str, value: object, tmp_path: Path) -> None:
    mapped = odd_id(tmp_path, "text", "1")
    with sqlite3.connect(tmp_path / "odd.db") as database:
        database.execute(f"CREATE TABLE dated (id text, who text, sku text, at {kind}, what text, cents int)")
        database.execute("INSERT INTO dated SELECT * FROM events")
        database.execute("INSERT INTO dated VALUES ('2', 'a', 'x', ?, 'purchase', 5)", [value])
    mapped["events"] |= {"table": "dated"}
    assert "holds a value that is not of its column's type" in said(mapped)
    with sqlite3.connect(tmp_path / "odd.db") as database:  # times that are told apart still are
        database.execute("UPDATE dated SET at = '2019-01-05 10:00:00' WHERE id = '2'")
        database.execute("UPDATE dated SET at = date(at) WHERE ? = 'date'", [kind])
    assert read_files(params(mapped))["events"]["event_id"].to_pylist() == ["1"]


@pytest.mark.parametrize("value", ["2026-01-05T10:00:00Z", "2026-01-05 10:00:00+02:00"])
def test_a_time_with_an_offset_is_no_local_time(value: str, tmp_path: Path) -> None:
    mapped = odd_id(tmp_path, "text", "1")
    with sqlite3.connect(tmp_path / "odd.db") as database:
        database.execute("UPDATE events SET at = ?", [value])
    mapped["events"]["timezone"] = "Europe/Berlin"
    assert "column at: holds a value that is no timestamp" in said(mapped)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("decimal(10, 2)", "12,34", "holds a value that is not of its column's type"),
        ("blob", b"\xff\x00", "column id: holds a value that is no string"),
    ],
)
def test_what_sqlalchemy_cannot_convert_is_told_without_the_value(
    kind: str, value: str | bytes, text: str, tmp_path: Path
) -> None:
    assert text in said(odd_id(tmp_path, kind, value)) and "12,34" not in said(odd_id(tmp_path, kind, value))


def test_json_is_the_text_that_is_stored(tmp_path: Path) -> None:
    for value in ('{"colour": "red", "wide": true}', "[1, 2", '"x"'):
        assert read_files(params(odd_id(tmp_path, "json", value)))["events"]["event_id"].to_pylist() == [value]
    assert (
        alchemy._text({"colour": "gr\u00fcn", "wide": True}) == '{"colour": "gr\u00fcn", "wide": true}'
    )  # as drivers give it


def odd_id(tmp_path: Path, kind: str, value: str | bytes) -> dict[str, Any]:
    """A database of one event whose id is of some kind."""
    path = tmp_path / "odd.db"
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as database:
        database.execute(f"CREATE TABLE events (id {kind}, who text, sku text, at datetime, what text, cents int)")
        database.execute("INSERT INTO events VALUES (?, 'a', 'x', '2026-01-05 10:00:00', 'purchase', 5)", [value])
    columns = {"event_id": "id", "user_id": "who", "item_id": "sku", "occurred_at": "at", "kind": "what"}
    columns |= {"price_cents": {"column": "cents", "unit": "minor"}}
    return {"database": f"sqlite:///{path}", "events": {"table": "events", "timezone": "UTC", "columns": columns}}


def test_the_stage_shows_the_password_nowhere_and_keeps_days(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRIAD_CHECKOUT", raising=False)
    section = params(tables(postgres.address, look_back_days=1)).model_dump(
        mode="json", by_alias=True, exclude_unset=True
    )
    tasks = {"tasks": {"click": {"kind": "binary", "label": "purchased"}}, "recommend": {"order_by": "click"}}
    splits = {"features": {"split_days": {"validation": 1, "fusion": 1, "test": 1}, "attribution_hours": 12}}
    known = parse({"ingest": section, **tasks, **splits}, "test")
    for kept in ("0 of 5", "4 of 5"):  # the last day is looked at again
        caplog.clear()
        stage.ingest(known)
        assert f"events: {kept} parts kept" in caplog.text
        assert PASSWORD not in caplog.text and "shop_reader" not in caplog.text
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert PASSWORD.encode() not in written and b"shop_reader" not in written
