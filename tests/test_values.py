"""What a source's values mean: ids of any type, numbers and money, times and zones."""

import logging
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triad.config.ingest import IngestParams
from triad.errors import TriadError
from triad.sources.files import read_files
from triad.tables import conform, connect
from triad.tracking.inputs import opened

AT = datetime(2026, 1, 3, tzinfo=UTC)
UUID = uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e")


def read(path: Path, *, table: dict[str, Any] | None = None, **columns: Any) -> list[dict[str, Any]]:
    mapped = {
        "event_id": {"row_number": True},
        "user_id": "who",
        "item_id": {"constant": "a"},
        "occurred_at": {"constant": "2026-01-03T00:00:00Z"},
        "kind": {"constant": "purchase"},
        "price_cents": {"constant": "100", "unit": "minor"},
        **columns,
    }
    events = {"path": str(path), **(table or {}), "columns": mapped}
    values = {"source": "files", "as_of": "2026-01-08", "window_days": 10, "files": {"events": events}}
    rows: list[dict[str, Any]] = read_files(IngestParams.model_validate(values))["events"].to_pylist()
    return rows


def csv(tmp_path: Path, *values: str, name: str = "log.csv") -> Path:
    path = tmp_path / name
    path.write_text("who;x;y\n" + "".join(f"u;{value};1\n" for value in values))
    return path


def x(tmp_path: Path, *values: str, column: str, table: dict[str, Any] | None = None, **how: Any) -> list[Any]:
    """What column `column` is made of the texts `values`."""
    made = {column: {"column": "x", **how}}
    return [row[column] for row in read(csv(tmp_path, *values), table={"delimiter": ";", **(table or {})}, **made)]


def stored(tmp_path: Path, values: pa.Array, name: str = "log.parquet") -> Path:
    path = tmp_path / name
    pq.write_table(pa.table({"who": values}), path)
    return path


# Ids


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (pa.array([123], pa.int8()), "123"),
        (pa.array([2**64 - 1], pa.uint64()), "18446744073709551615"),
        (pa.array([123.0], pa.float64()), "123"),
        (pa.array([123.0], pa.float32()), "123"),
        (pa.array([float(2**53 - 1)]), "9007199254740991"),
        (pa.array([-0.0]), "0"),
        (pa.array([Decimal("123.00")]), "123"),
        (pa.array([Decimal("100")]), "100"),
        (pa.array([Decimal("123.00")], pa.decimal256(50, 2)), "123"),
        (pa.array([True]), "true"),
        (pa.array(["007"], pa.large_string()), "007"),
        (pa.array(["007"], pa.string_view()), "007"),
        (pa.array(["007"]).dictionary_encode(), "007"),
        (pa.array([7]).dictionary_encode(), "7"),
        (pa.array([b"caf\xc3\xa9"]), "café"),
        (pa.array([UUID.bytes], pa.binary(16)), str(UUID)),
        (pa.ExtensionArray.from_storage(pa.uuid(), pa.array([UUID.bytes], pa.binary(16))), str(UUID)),
        (pa.array([AT], pa.timestamp("ns", "Europe/Berlin")), "2026-01-03 00:00:00+00"),
        (pa.array([AT], pa.timestamp("ms", "UTC")), "2026-01-03 00:00:00+00"),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else value,
)
def test_an_id_has_one_text_whatever_its_type(tmp_path: Path, values: pa.Array, text: str) -> None:
    assert read(stored(tmp_path, values))[0]["user_id"] == text
    given = pa.table({"user_id": values, "signed_up_at": pa.array([AT], pa.timestamp("us", "UTC"))})
    assert conform("users", given)["user_id"].to_pylist() == [text]


def test_users_that_change_their_type_from_day_to_day_stay_the_same(tmp_path: Path) -> None:
    stored(tmp_path, pa.array([123, 7]), "1.parquet")
    stored(tmp_path, pa.array([123.0, float("nan"), None]), "2.parquet")
    stored(tmp_path, pa.array(["123"]), "3.parquet")
    assert {row["user_id"] for row in read(tmp_path)} == {"123", "7"}
    assert len(read(tmp_path)) == 4  # rows without a user go


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1.5]),
        pa.array([float(2**53)]),
        pa.array([1e300]),
        pa.array([float("inf")]),
        pa.array([float(2**24)], pa.float32()),
        pa.array([Decimal("1.5")]),
    ],
    ids=str,
)
def test_a_number_that_is_no_id_is_refused(tmp_path: Path, values: pa.Array) -> None:
    path = stored(tmp_path, pa.concat_arrays([values, pa.array([1], values.type)]))
    for column in ("user_id", "item_id", "session_id"):
        with pytest.raises(TriadError, match=f"column who → events.{column}: a number that is not whole, or too large"):
            read(path, **{"user_id": {"constant": "u"}, column: "who"})
    given = pa.table({"user_id": values, "signed_up_at": pa.array([AT], pa.timestamp("us", "UTC"))})
    with pytest.raises(TriadError, match="table users, column user_id: a number that is not whole"):
        conform("users", given)


@pytest.mark.parametrize(
    "values",
    [pa.array([[1]]), pa.array([{"a": 1}]), pa.array([b"\xff"]), pa.array([1.0], pa.float16())],
    ids=lambda v: str(v.type),
)
def test_a_type_without_a_text_is_refused(tmp_path: Path, values: pa.Array) -> None:
    with pytest.raises(TriadError, match="column who: holds"):
        read(stored(tmp_path, values))


@pytest.mark.parametrize("word", ["nan", "NaN", "None", "NaT", "<NA>", "null", "NULL"])
def test_a_programs_word_for_missing_is_no_id(tmp_path: Path, word: str) -> None:
    path = stored(tmp_path, pa.array([word, "u"]))
    with pytest.raises(TriadError, match=r"column who → events.item_id: a program's word for missing in 1 row"):
        read(path, user_id={"constant": "u"}, item_id="who")
    assert len(read(path, table={"null_values": [word]})) == 1


def test_parts_of_a_key_cannot_collide(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("who;x;y\nu;a:b;c\nu;a;b:c\nu;a\\;b\nu;a\\:b;c\nu;1;2026-01-02 10:00:00\nu;;c\nu;c;\n")
    rows = read(path, table={"delimiter": ";"}, session_id={"key": ["x", "y"]})
    found = [row["session_id"] for row in rows]
    assert found[4] == "1:2026-01-02 10:00:00"  # an ordinary id is just its parts
    assert found[5:] == [None, None]
    assert len({*found[:5]}) == 5
    with pytest.raises(TriadError, match=r"column x \+ y → events.event_id: empty in 2 rows: row 6"):
        read(path, table={"delimiter": ";"}, event_id={"key": ["x", "y"]})


@pytest.mark.parametrize(
    ("one", "other"),
    [("123", "123.0"), ("a", "a "), ("a", "\u00a0a"), ("caf\u00e9", "cafe\u0301"), ("a", "a\u200b"), ("7.0", "7.00")],
)
def test_an_id_written_in_two_ways_is_refused(tmp_path: Path, one: str, other: str) -> None:
    with pytest.raises(TriadError, match=r"column item_id of events: ids written in two ways: 1, such as"):
        x(tmp_path, one, other, column="item_id")
    with pytest.raises(TriadError, match="column user_id of events: ids written in two ways: 1") as caught:
        x(tmp_path, one, other, column="user_id")
    assert one == "a" or one not in caught.value.what
    assert len(x(tmp_path, one, one + "x", "008", "8", column="item_id")) == 4


# Completing what only events name


def shop(tmp_path: Path, *, missing: str | None, without: Sequence[str] = ()) -> dict[str, list[dict[str, Any]]]:
    log = tmp_path / "log.csv"
    log.write_text(
        "who,sku,at,amount\nann,A,2026-01-03,2.50\nbob,A,2026-01-02,2.50\nbob,B,2026-01-04,7\nbob,B,2026-01-05,8\n"
        "cat,C,2026-01-04,\neve,A,2025-01-01,1\n"
    )
    (tmp_path / "cards.csv").write_text("id,since,tier\nann,2025-01-01,gold\nfay,2025-01-01,\n")
    (tmp_path / "feed.csv").write_text("sku,price,title\nA,2.50,Lamp\n")
    users = {"path": str(tmp_path / "cards.csv"), "timezone": "UTC", "missing": missing}
    feed = {"path": str(tmp_path / "feed.csv"), "missing": missing}
    files: dict[str, Any] = {
        "events": {
            "path": str(log),
            "timezone": "UTC",
            "columns": {
                "event_id": {"row_number": True},
                "user_id": "who",
                "item_id": "sku",
                "occurred_at": "at",
                "kind": {"constant": "purchase"},
                "price_cents": {"column": "amount", "unit": "major"},
            },
        },
        "users": {**users, "columns": {"user_id": "id", "signed_up_at": "since", "tier": "tier"}},
        "items": {
            **feed,
            "columns": {
                "item_id": "sku",
                "title": "title",
                "price_cents": {"column": "price", "unit": "major"},
                "available_from": {"constant": "2025-01-01T00:00:00Z"},
            },
        },
    }
    for name in ("users", "items"):
        files[name]["columns"] = {n: c for n, c in files[name]["columns"].items() if n not in without}
    values = {"source": "files", "as_of": "2026-01-08", "window_days": 10, "files": files}
    return {name: table.to_pylist() for name, table in read_files(IngestParams.model_validate(values)).items()}


def test_whom_only_events_name_is_a_row_with_empty_attributes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert [row["user_id"] for row in shop(tmp_path, missing=None)["users"]] == ["ann", "fay"]
    with caplog.at_level(logging.INFO, "triad.ingest"):
        tables = shop(tmp_path, missing="from_events")
    users = {row["user_id"]: (row["signed_up_at"], row["tier"]) for row in tables["users"]}
    old = datetime(2025, 1, 1, tzinfo=UTC)
    assert users == {  # eve came and went before the window
        "ann": (old, "gold"),
        "bob": (datetime(2026, 1, 2, tzinfo=UTC), None),
        "cat": (datetime(2026, 1, 4, tzinfo=UTC), None),
        "fay": (old, None),
    }
    items = {row["item_id"]: (row["title"], row["price_cents"], row["available_from"]) for row in tables["items"]}
    assert items == {"A": ("Lamp", 250, old), "B": (None, 800, datetime(2026, 1, 4, tzinfo=UTC))}
    assert "users: 2 completed, whom only events name" in caplog.text
    assert "items: 1 completed, whom only events name; 1 more have no price there either" in caplog.text


def test_events_tell_what_a_file_has_no_column_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lacking = ("signed_up_at", "price_cents", "available_from")
    with caplog.at_level(logging.INFO, "triad.ingest"):
        tables = shop(tmp_path, missing="from_events", without=lacking)
    first = {"ann": 3, "bob": 2, "cat": 4}
    users = {row["user_id"]: (row["signed_up_at"], row["tier"]) for row in tables["users"]}
    assert users == {
        name: (datetime(2026, 1, day, tzinfo=UTC), "gold" if name == "ann" else None) for name, day in first.items()
    }
    items = {row["item_id"]: (row["title"], row["price_cents"], row["available_from"]) for row in tables["items"]}
    # its first event of all, though that customer came before the window
    assert items["A"] == ("Lamp", 250, datetime(2025, 1, 1, tzinfo=UTC))
    assert items["B"] == (None, 800, datetime(2026, 1, 4, tzinfo=UTC)) and len(items) == 2
    assert "users: 1 left out, of which no event tells signed_up_at" in caplog.text  # fay


def test_a_price_of_the_file_stays_where_events_tell_the_rest(tmp_path: Path) -> None:
    tables = shop(tmp_path, missing="from_events", without=("available_from",))
    assert [(row["item_id"], row["price_cents"]) for row in tables["items"]] == [("A", 250), ("B", 800)]


@pytest.mark.parametrize("lacking", [("price_cents",), ("available_from",), ("signed_up_at",)])
def test_a_column_that_nothing_tells_is_missing(tmp_path: Path, lacking: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=rf"{lacking[0]} missing; .* or `missing: from_events`"):
        shop(tmp_path, missing=None, without=lacking)
    with pytest.raises(ValueError, match=r"item_id missing; each needs a source column or a constant \[type"):
        shop(tmp_path, missing="from_events", without=("item_id",))


@pytest.mark.parametrize("name", ["events", "prices"])
def test_only_users_and_items_can_be_completed(name: str) -> None:
    columns = {n: n for n in ("event_id", "user_id", "item_id", "occurred_at", "kind")}
    events = {"path": "x.csv", "columns": {**columns, "price_cents": {"column": "p", "unit": "major"}}}
    prices = {"path": "x.csv", "columns": {**dict.fromkeys(["item_id", "day", "is_promoted"], "x")}}
    prices["columns"]["price_cents"] = {"column": "p", "unit": "major"}
    files: dict[str, Any] = {"events": events, "prices": prices}
    files[name]["missing"] = "from_events"
    with pytest.raises(ValueError, match=f"{name}.missing: only users and items"):
        IngestParams.model_validate({"source": "files", "as_of": "2026-01-08", "files": files})


def test_messages_show_a_persons_values_by_their_shape_alone(tmp_path: Path) -> None:
    (tmp_path / "cards.csv").write_text(
        "id,since,mail\nanna.meyer@shop.de,yesterday,x\nanna.meyer@shop.de,2025-01-01,x\n"
    )
    columns: dict[str, Any] = {"user_id": "id", "signed_up_at": "since", "mail": "mail"}
    users = {"path": str(tmp_path / "cards.csv"), "timezone": "UTC", "columns": columns}
    log = csv(tmp_path, "2026-01-03")
    events = {"path": str(log), "delimiter": ";", "timezone": "UTC"}
    events["columns"] = {"event_id": {"row_number": True}, "user_id": "who", "item_id": "y", "occurred_at": "x"}
    events["columns"] |= {"kind": {"constant": "click"}, "price_cents": {"constant": 1, "unit": "minor"}}

    def said(**changes: Any) -> str:
        files = {"events": events, "users": {**users, **changes}}
        with pytest.raises(TriadError) as caught:
            read_files(IngestParams.model_validate({"source": "files", "as_of": "2026-01-08", "files": files}))
        return str(caught.value)

    assert "not a time in 1 row: row 1 'yesterday'" in said()  # a time says nothing of a person
    text = said(columns={**columns, "signed_up_at": {"constant": "2025-01-01"}})
    assert "duplicated id in 2 rows: 'aaaa.aaaaa@aaaa.aa' in row 1" in text and "anna" not in text
    text = said(where=[{"column": "id", "above": 3}])
    assert "row 1 'aaaa.aaaaa@aaaa.aa'" in text and "anna" not in text
    assert "anna" not in said(where=[{"column": "mail", "above": 3}])


# Numbers


@pytest.mark.parametrize(
    ("text", "how", "cents"),
    [
        ("12.5", {}, 1250),
        ("-3", {}, -300),
        ("+3.50", {}, 350),
        (".5", {}, 50),
        (" 7. ", {}, 700),
        ("1e3", {}, 100000),
        ("12.989999999999998", {}, 1299),  # a float's noise
        ("12.9900", {}, 1299),
        ("0.500", {}, 50),
        ("1299,5", {"decimal": ","}, 129950),
        ("1.299", {"decimal": ",", "thousands": "."}, 129900),
        ("1.299.000,50", {"decimal": ",", "thousands": "."}, 129900050),
        ("-1,299.5", {"thousands": ","}, -129950),
        ("1'299.50", {"thousands": "'"}, 129950),
        ("1’299", {"thousands": "'"}, 129900),
        ("1 299,5", {"decimal": ",", "thousands": " "}, 129950),
        ("1\u00a0299", {"thousands": " "}, 129900),
        ("1\u202f299\u00a0", {"thousands": " "}, 129900),
        ("12.500", {"thousands": ""}, 1250),
    ],
)
def test_money_is_read_as_the_mapping_says(tmp_path: Path, text: str, how: dict[str, str], cents: int) -> None:
    assert x(tmp_path, text, column="price_cents", unit="major", table=how) == [cents]


@pytest.mark.parametrize(
    ("text", "how", "what"),
    [
        ("1.299", {"decimal": ","}, "could be grouped digits or decimals"),
        ("1.299", {}, "could be grouped digits or decimals"),
        ("1,299", {}, "could be grouped digits or decimals"),
        ("1,299", {"decimal": ","}, "could be grouped digits or decimals"),
        ("1.299.000,50", {"decimal": ","}, "could be grouped digits or decimals"),
        ("1 299", {}, "could be grouped digits or decimals"),
        ("1'299", {}, "could be grouped digits or decimals"),
        ("1\u00a0299,00", {"decimal": ","}, "could be grouped digits or decimals"),
        ("12,5", {}, "not an amount of EUR"),
        ("12.5", {"decimal": ",", "thousands": "."}, "not an amount of EUR"),
        ("1.29,9", {"decimal": ",", "thousands": "."}, "not an amount of EUR"),
        ("12.99.9", {"decimal": ",", "thousands": "."}, "not an amount of EUR"),
        ("1,00,000", {"thousands": ","}, "not an amount of EUR"),
        ("1_299", {}, "not an amount of EUR"),
        ("0x10", {}, "not an amount of EUR"),
        ("€5", {}, "not an amount of EUR"),
        ("(5.00)", {}, "not an amount of EUR"),
        ("5.00-", {}, "not an amount of EUR"),
        ("٣", {}, "not an amount of EUR"),
        ("inf", {}, "not an amount of EUR"),
        ("1.299", {"thousands": ""}, "more decimals than EUR has"),
        ("0.999", {}, "more decimals than EUR has"),
        ("12.3456", {}, "more decimals than EUR has"),
    ],
)
def test_an_amount_that_could_be_another_is_refused(tmp_path: Path, text: str, how: dict[str, str], what: str) -> None:
    with pytest.raises(TriadError, match=f"column x → events.price_cents: {what} in 1 row: row 1"):
        x(tmp_path, text, column="price_cents", unit="major", table=how)


def test_more_decimals_are_rounded_and_counted_where_that_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "triad.ingest"):
        found = x(tmp_path, "1.299", "2.345", "-0.005", "5", column="price_cents", unit="major", round=True)
    assert found == [130, 235, -1, 500]
    assert "events.price_cents: 3 rows rounded to the decimals of EUR" in caplog.text


def totals(tmp_path: Path, *lines: str, **how: Any) -> list[Any]:
    """Prices of a file whose lines are `total;quantity`."""
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["who;total;quantity", *(f"u;{line}" for line in lines)]), encoding="utf-8")
    price = {"column": "total", "unit": "major", "per": "quantity", **how}
    return [row["price_cents"] for row in read(path, table={"delimiter": ";"}, price_cents=price)]


def test_a_total_is_told_by_the_piece(tmp_path: Path) -> None:
    lines = ("7.50;3", "10;3", "0.99;1", "1.10;0.5", "0;4", ";2")
    assert totals(tmp_path, *lines) == [250, 333, 99, 220, 0, None]
    assert totals(tmp_path, "750;3", unit="minor") == [250]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("5;0", "no quantity above 0 to divide a total by in 1 row: row 1 '0'"),
        ("5;-2", "no quantity above 0 to divide a total by in 1 row: row 1 '-2'"),
        ("5;", "no quantity above 0 to divide a total by in 1 row: row 1 ''"),
        ("5;two", "not a number in 1 row: row 1 'two'"),
        ("5;1.000", "could be grouped digits or decimals"),
        ("x;2", "not an amount of EUR"),
    ],
)
def test_a_total_of_nothing_is_refused(tmp_path: Path, line: str, what: str) -> None:
    with pytest.raises(TriadError, match=r"column (quantity|total) → events.price_cents: ") as caught:
        totals(tmp_path, line)
    assert what in str(caught.value)


def test_only_money_is_divided(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`per` goes with `unit`"):
        totals(tmp_path, "5;1", unit=None)


@pytest.mark.parametrize(
    ("values", "cents"),
    [
        (pa.array([12.99], pa.float32()), 1299),
        (pa.array([12.989999999999998]), 1299),
        (pa.array([1234567890.12]), 123456789012),
        (pa.array([Decimal("12.9900")]), 1299),
        (pa.array([12.345]), None),
        (pa.array([12.345], pa.float32()), None),
        (pa.array([Decimal("12.345")]), None),
    ],
    ids=str,
)
def test_money_in_typed_columns(tmp_path: Path, values: pa.Array, cents: int | None) -> None:
    path, how = stored(tmp_path, values), {"column": "who", "unit": "major"}
    if cents is None:
        with pytest.raises(TriadError, match="more decimals than EUR has"):
            read(path, user_id={"constant": "u"}, price_cents=how)
    else:
        assert read(path, user_id={"constant": "u"}, price_cents=how)[0]["price_cents"] == cents


@pytest.mark.parametrize(
    ("text", "how", "number"),
    [
        ("1.000", {}, None),
        ("1,000", {"decimal": ","}, None),
        ("2.0", {}, 2),
        ("1.000", {"thousands": ""}, 1),
        ("1.000", {"decimal": ",", "thousands": "."}, 1000),
        ("1,000", {"thousands": ","}, 1000),
    ],
)
def test_whole_numbers(tmp_path: Path, text: str, how: dict[str, str], number: int | None) -> None:
    if number is None:
        with pytest.raises(TriadError, match=r"events.quantity: could be grouped .*\n.*`thousands: ''`"):
            x(tmp_path, text, column="quantity", table=how)
        with pytest.raises(TriadError, match="column x: could be grouped"):
            read(csv(tmp_path, text), table={"delimiter": ";", "drop": [{"column": "x", "above": 5}], **how})
    else:
        assert x(tmp_path, text, column="quantity", table=how) == [number]


# Times


@pytest.mark.parametrize(
    ("behind", "hour"),
    [
        ("Z", 10),
        ("z", 10),
        (" UTC", 10),
        (" GMT", 10),
        ("+01", 9),
        ("+0100", 9),
        (" +0100", 9),
        ("+01:00", 9),
        (" UTC+1", 9),
        (" GMT+2", 8),
        (" UTC-03:30", 13),
        (" Europe/Berlin", 9),
        ("[Europe/Berlin]", 9),
        ("+01:00[Europe/Berlin]", 9),
        (" Etc/GMT+2", 12),
        (" CET", 9),
        (" IST", 4),
        ("", 10),
    ],
)
def test_what_stands_behind_a_time_is_heeded(tmp_path: Path, behind: str, hour: int) -> None:
    table = {"timezone": "UTC", "zones": {"CET": "Europe/Berlin", "IST": "+05:30"}}
    for how in ({}, {"format": "%Y-%m-%d %H:%M:%S%Z"}):
        if how and not behind:
            continue
        (found,) = x(tmp_path, f"2026-01-02 10:00:00{behind}", column="occurred_at", table=table, **how)
        assert found.hour == hour


@pytest.mark.parametrize(
    "text",
    [
        *(f"2026-01-02 10:00:00{b}" for b in (" CET", " EST", " PST", " MESZ", " IST", " BST", " Mars/Base", "x")),
        *(f"2026-01-02 10:00:00{b}" for b in (" am", " PM", " +25:00", "+1:2", " UTC+99", " +01:00:30", "-", " 7")),
        *(f"2026-01-02 10:00:00{b}" for b in ("+05:00[Europe/Berlin]", "+00:00[Mars/Base]")),
        "2026-02-30",
        "2026-01-02 10",
        "2026-01-02 23:59:60",
        "2026-01-02 25:00:00",
        "26-01-02",
        "12026-01-02",
        "0044-01-01 (BC)",
        "infinity",
        "epoch",
        "now",
        "today",
        "20260102",
        "1767340800",
    ],
)
def test_a_time_that_is_not_understood_whole_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(TriadError, match=r"events.occurred_at: not a time in 1 row: row 1 [^\n]*\n.*zones: {CET"):
        x(tmp_path, text, column="occurred_at", table={"timezone": "UTC"})


def test_an_abbreviation_in_a_format_is_refused_too(tmp_path: Path) -> None:
    for text in ("02.01.2026 10.00 BST", "02.01.2026 10.00 +2500", "02.01.2026 10.00"):
        with pytest.raises(TriadError, match="not a time in 1 row"):
            x(tmp_path, text, column="occurred_at", format="%d.%m.%Y %H.%M %Z")
    with pytest.raises(TriadError, match="'%Z %d' must end with its zone"):
        x(tmp_path, "UTC 1", column="occurred_at", format="%Z %d")


def test_times_around_a_change_of_the_clock_are_read_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written = ["2025-10-26 01:30:00", "2025-10-26 02:30:00", "2025-10-26 03:30:00", "2025-03-30 02:30:00"]
    path = csv(tmp_path, *written)
    columns = {"user_id": {"key": ["who", "x"]}, "signed_up_at": {"column": "x", "timezone": "Europe/Berlin"}}
    users = {"path": str(path), "delimiter": ";", "columns": columns}
    mapped = {"event_id": {"row_number": True}, "user_id": "who", "item_id": "who", "kind": {"constant": "click"}}
    mapped |= {"occurred_at": {"constant": "2026-01-03T00:00:00Z"}, "price_cents": {"constant": 1, "unit": "minor"}}
    files = {"events": {"path": str(path), "delimiter": ";", "columns": mapped}, "users": users}
    values = {"source": "files", "as_of": "2026-01-08", "files": files}
    with caplog.at_level(logging.INFO, "triad.ingest"):
        found = read_files(IngestParams.model_validate(values))["users"].to_pylist()
    hours = {row["user_id"][2:].replace("\\:", ":"): row["signed_up_at"].hour for row in found}
    assert hours == dict(zip(written, [23, 1, 2, 1], strict=True))
    assert "users.signed_up_at: 1 rows skipped by the clock of Europe/Berlin" in caplog.text
    assert "users.signed_up_at: 1 rows twice on the clock of Europe/Berlin" in caplog.text


@pytest.mark.parametrize(
    "kind", [pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in ("UTC", "Asia/Tokyo")]
)
def test_times_of_any_unit_and_zone(tmp_path: Path, kind: pa.TimestampType) -> None:
    path = stored(tmp_path, pa.array([AT], kind))
    assert read(path, user_id={"constant": "u"}, occurred_at="who")[0]["occurred_at"] == AT


def test_digits_below_the_microsecond_are_cut_to_the_earlier_one(tmp_path: Path) -> None:
    before_1970 = pa.array([-1, -1000, 1999], pa.timestamp("ns", "UTC"))
    data = pa.table({"user_id": ["a", "b", "c"], "signed_up_at": before_1970})
    assert conform("users", data)["signed_up_at"].cast(pa.int64()).to_pylist() == [-1, -1, 1]
    (text,) = x(tmp_path, "2026-01-02 10:00:00.1234569Z", column="occurred_at")
    (epoch,) = x(tmp_path, "1767348000.1234565", column="occurred_at", epoch="seconds")
    assert text == epoch == datetime(2026, 1, 2, 10, tzinfo=UTC) + timedelta(microseconds=123456)


# Tables that others have written


def test_a_folder_is_brought_to_the_contracts_types_as_frames_are(tmp_path: Path) -> None:
    users = pa.table(
        {
            "user_id": pa.array([1.0, 2.0]),
            "signed_up_at": pa.array([AT, AT], pa.timestamp("ns", "Europe/Berlin")),
            "country": pa.array(["DE", None]).dictionary_encode(),
            "tier": pa.array([1.0, float("nan")]),
        }
    )
    more = pa.table(
        {"user_id": pa.array(["3"], pa.large_string()), "signed_up_at": pa.array([AT], pa.timestamp("s", "UTC"))}
    )
    folder = tmp_path / "users" / "day=2026-01-01"
    folder.mkdir(parents=True)
    pq.write_table(users, folder / "part-0.parquet")
    pq.write_table(more, folder / "part-1.parquet")
    with connect(tmp_path) as session:
        found = session.sql("FROM users ORDER BY user_id").to_arrow_table()
    with connect({"users": users}) as session:
        frames = session.sql("FROM users ORDER BY user_id").to_arrow_table()
    assert found.slice(0, 2).to_pylist() == frames.to_pylist()
    assert [row["user_id"] for row in found.to_pylist()] == ["1", "2", "3"]
    assert found["tier"].to_pylist() == ["1", None, None]
    assert found.schema.field("signed_up_at").type == pa.timestamp("us", "UTC")


def test_a_folder_that_does_not_fit_is_named(tmp_path: Path) -> None:
    (tmp_path / "users").mkdir()
    pq.write_table(pa.table({"user_id": [1.5], "signed_up_at": [AT]}), tmp_path / "users" / "part-0.parquet")
    with pytest.raises(TriadError, match="table users, column user_id: a number that is not whole"):
        connect(tmp_path)


def test_a_frame_whose_column_holds_two_types_is_named() -> None:
    frame = pd.DataFrame({"user_id": [1, "b"], "signed_up_at": [AT, AT]})
    with (
        pytest.raises(TriadError, match="table users: holds values of several types"),
        opened({"users": frame, "items": frame, "events": frame}),
    ):
        pass
