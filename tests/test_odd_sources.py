"""Files as real exports have them that are neither good nor broken: what each odd id, file or time leads to."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_files import EVENTS, mapping, params, read, said, write

from triad.sources.base import ROW
from triad.sources.files import read_files

HEADER = EVENTS.splitlines()[0]


def rows(*cells: tuple[str, str]) -> str:
    """Events by (user, time)."""
    lines = [f'1,A,"{who}",{at},2.50,1,buy,DE,Lamp' for who, at in cells]
    return "\n".join([HEADER, *lines, ""])


def users(tmp_path: Path, *ids: str) -> Path:
    return write(tmp_path, rows(*((each, "2026-01-02 10:00:00") for each in ids)))


@pytest.mark.parametrize("word", ["N/A", "#N/A", "\\N", "(null)", "none", "None ", "NIL", "#REF!", "[object Object]"])
def test_what_programs_write_for_missing_is_nobody(word: str, tmp_path: Path) -> None:
    assert "a program's word for missing in 1 row" in said(users(tmp_path, word, "anna"))
    assert read(users(tmp_path, word, "anna"), null_values=["", word])["users"]["user_id"].to_pylist() == ["anna"]


@pytest.mark.parametrize("number", ["1.23457E+11", "1,23457e+11", "1E+11"])
def test_a_number_that_a_spreadsheet_shortened_is_no_id(number: str, tmp_path: Path) -> None:
    assert "a number that lost its last digits in 1 row: row 1" in said(users(tmp_path, number, "123456789012"))


def test_a_hash_with_an_e_is_an_id(tmp_path: Path) -> None:
    assert read(users(tmp_path, "12345e67", "1e5"))["users"].num_rows == 2


def test_control_characters_are_in_no_id_and_strip_takes_blanks_of_all_kinds(tmp_path: Path) -> None:
    assert "control characters in an id" in said(users(tmp_path, "12\x01", "anna"))
    stripped: dict[str, Any] = {"columns": {"user_id": {"column": "who", "strip": True}}}
    assert read(users(tmp_path, "12\t", "\u00a012\u3000"), **stripped)["users"]["user_id"].to_pylist() == ["12"]


@pytest.mark.parametrize(
    "pair",
    [
        ("6F9619FF-8B86-D011-B42D-00CF4FC964FF", "6f9619ff8b86d011b42d00cf4fc964ff"),
        ("{6F9619FF-8B86-D011-B42D-00CF4FC964FF}", "6F9619FF-8B86-D011-B42D-00CF4FC964FF"),
        ("１２３", "123"),
        ("'123", "123"),
        ("+5", "5"),
        ("12,0", "12"),
    ],
)
def test_two_spellings_of_one_id_are_refused(pair: tuple[str, str], tmp_path: Path) -> None:
    assert "ids written in two ways: 1, such as" in said(users(tmp_path, *pair))


def test_leading_zeros_may_be_meant_and_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "triad.ingest"):
        assert read(users(tmp_path, "00123", "123"))["users"].num_rows == 2
    assert "ids that differ by leading zeros alone: 1, such as '99999' and '999'" in caplog.text


@pytest.mark.parametrize("kind", ["link to nothing", "pipe"])
def test_what_is_no_file_is_refused_and_never_waited_for(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    users(folder, "anna")
    if kind == "pipe":
        os.mkfifo(folder / "z.csv")
    else:
        (folder / "z.csv").symlink_to(folder / "gone.csv")
    assert "z.csv: is no regular file, or a link to nothing" in said(folder)


def test_times_in_two_units_are_refused_and_a_few_that_mean_none_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    epoch = {"columns": {"occurred_at": {"column": "at", "epoch": "seconds"}}}
    mixed = write(tmp_path, rows(("anna", "1767348000"), ("bert", "1767348000000")))
    assert "1 of 2 rows lie before 1980 or after 2100" in said(mixed, **epoch)
    few = write(tmp_path, rows(*[("anna", "1767348000")] * 100, ("bert", "0")))
    with caplog.at_level("INFO", "triad.ingest"):
        assert read(few, **epoch)["events"].num_rows == 100
    assert "1 rows outside of the window left out, 1 of them before 1980 or after 2100" in caplog.text


def test_columns_that_differ_by_capitals_alone_are_refused_where_both_are_read(tmp_path: Path) -> None:
    header = HEADER.replace("land", "WHO")
    path = write(tmp_path, "\n".join([header, "1,A,anna,2026-01-02 10:00:00,2.50,1,buy,other,Lamp", ""]))
    assert read(path)["events"]["user_id"].to_pylist() == ["anna"]
    assert read(path, columns={"user_id": "WHO", "session_id": "order"})["events"]["user_id"].to_pylist() == ["other"]
    for more in ({"columns": {"surface": "WHO"}}, {"drop": [{"column": "WHO", "equals": "x"}]}):
        with pytest.raises(ValueError, match="events: 'who' and 'WHO' differ by capitals alone"):
            read(path, **more)
    users = {"path": str(path), "columns": {"user_id": "who", "signed_up_at": "at", "Club": "land", "club": "name"}}
    with pytest.raises(ValueError, match="users: 'Club' and 'club' differ by capitals alone"):
        read_files(params({"events": mapping(path), "users": users}))


@pytest.mark.parametrize("name", [ROW, "rule", "Is_Cancellation"])
def test_an_attribute_has_none_of_the_names_that_reading_gives(name: str, tmp_path: Path) -> None:
    users = {"path": "users.csv", "columns": {"user_id": "who", "signed_up_at": "at", name: "land"}}
    with pytest.raises(ValueError, match=f"users.columns.{name}: reading adds a column of this name"):
        read_files(params({"events": mapping(tmp_path), "users": users}))
    assert "users" in read_files(  # derived, it stands beside them
        params({"events": mapping(write(tmp_path, EVENTS)), "users": {"from": "events", "columns": {name: "land"}}})
    )


def test_a_zone_that_only_python_knows_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, EVENTS)
    try:
        ZoneInfo("localtime")
    except KeyError:
        pytest.skip("this machine's zones have none that DuckDB lacks")
    for keys in ({"timezone": "localtime"}, {"zones": {"CET": "localtime"}}):
        assert "'localtime' is not a time zone by its IANA name" in said(path, **keys)


def test_a_shop_whose_purchases_are_all_cancelled_is_told_so(tmp_path: Path) -> None:
    bought = [("anna", "2026-01-02 10:00:00"), ("anna", "2026-01-03 10:00:00")]
    text = rows(*bought).replace("1,buy", "-1,buy").replace("-1,buy", "1,buy", 1)
    taken_back = {"cancelled": {"column": "pieces", "below": 0}}
    assert "no row is left: all purchases were cancelled" in said(write(tmp_path, text), **taken_back)


@pytest.mark.parametrize(("zone", "day"), [(None, 4), ("Europe/Berlin", 5), ("America/New_York", 4)])
@pytest.mark.parametrize("kept_as", ["timestamp", "seconds"])
def test_the_day_of_a_moment_is_the_named_zones(zone: str | None, day: int, kept_as: str, tmp_path: Path) -> None:
    moment = datetime(2026, 1, 4, 23, 30, tzinfo=UTC)
    at = pa.array([moment], pa.timestamp("us", "UTC")) if kept_as == "timestamp" else [int(moment.timestamp())]
    table = pa.table({"i": ["a"], "at": at, "p": [5], "b": [False]})
    pq.write_table(table, tmp_path / "prices.parquet")
    said = (
        {"column": "at"} | ({"epoch": "seconds"} if kept_as == "seconds" else {}) | ({"timezone": zone} if zone else {})
    )
    columns = {"item_id": "i", "day": said, "price_cents": {"column": "p", "unit": "minor"}, "is_promoted": "b"}
    prices = {"path": str(tmp_path / "prices.parquet"), "columns": columns}
    files = {"events": mapping(write(tmp_path, EVENTS)), "prices": prices}
    assert read_files(params(files))["prices"]["day"].to_pylist() == [date(2026, 1, day)]


@pytest.mark.parametrize(
    ("written", "format_"),
    [
        ("2026-01-05T00:00:00+01:00", None),
        ("2026-01-05 23:30:00 -0800", None),
        ("2026-01-05", None),
        ("2026-01-05T00:30:00Z", None),
        ("5.1.2026 00:00 +02:00", "%d.%m.%Y %H:%M %z"),
    ],
)
def test_a_day_is_the_one_that_is_written_whatever_zone_stands_behind_it(
    written: str, format_: str | None, tmp_path: Path
) -> None:
    day = {"column": "day", **({"format": format_} if format_ else {})}
    columns = {"item_id": "i", "day": day, "price_cents": {"column": "p", "unit": "minor"}, "is_promoted": "b"}
    path = write(tmp_path, f"i,day,p,b\na,{written},5,false\n", "prices.csv")
    files = {"events": mapping(write(tmp_path, EVENTS)), "prices": {"path": str(path), "columns": columns}}
    assert read_files(params(files))["prices"]["day"].to_pylist() == [date(2026, 1, 5)]


@pytest.mark.parametrize(
    ("written", "path"),
    [("/Home/Lamps", "Home/Lamps"), ("Home/Lamps/", "Home/Lamps"), ("//Home", "Home"), ("/", None), ("", None)],
)
def test_a_category_path_begins_and_ends_with_a_name(written: str, path: str | None, tmp_path: Path) -> None:
    columns = {"item_id": "i", "title": "t", "category": "c"}
    source = {"columns": columns, "missing": "from_events"}
    items = write(tmp_path, f"i,t,c\na,Lamp,{written}\nb,Chair,Home\n", "items.csv")
    files = {"events": mapping(write(tmp_path, EVENTS)), "items": {"path": str(items), **source}}
    found = read_files(params(files))["items"].to_pylist()
    assert {item["item_id"]: item["category"] for item in found} == {"a": path, "b": "Home"}
