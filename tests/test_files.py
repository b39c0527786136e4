"""Any shop's files become the contract's tables, and what is wrong with them is said with its place and its mend."""

import gzip
import random
from collections import defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from triad.config.ingest import IngestParams
from triad.config.params import parse
from triad.errors import TriadError
from triad.sources.files import read_files
from triad.tables import conform

EVENTS = """\
order;sku;who;at;amount;pieces;what;land;name
1;A;anna;2026-01-02 10:00:00;2.50;2;view;DE; Lamp
1;A;anna;2026-01-02 10:05:00;2.50;2;buy;DE; Lamp
2;B;anna;2026-01-04 09:00:00;10;1;buy;FR;Chair
3;A;bert;2026-01-06 23:30:00;2.75;1;buy;UK;Lamp
4;A;carl;2025-12-01 12:00:00;1.99;1;buy;UK;Lamb
5;B;;2026-01-05 12:00:00;10;1;buy;UK;Chair
""".replace(";", ",")

MAPPING: dict[str, Any] = {
    "timezone": "Europe/Berlin",
    "columns": {
        "event_id": {"row_number": True},
        "user_id": "who",
        "item_id": {"column": "sku", "case": "lower"},
        "occurred_at": "at",
        "kind": {"column": "what", "map": {"view": "impression", "buy": "purchase"}},
        "session_id": {"key": ["who", "order"]},
        "price_cents": {"column": "amount", "unit": "major"},
        "quantity": "pieces",
    },
}


def params(files: dict[str, Any], **ingest: Any) -> IngestParams:
    return IngestParams.model_validate(
        {"source": "files", "as_of": "2026-01-08", "window_days": 10, "files": files, **ingest}
    )


def mapping(path: Path | str, **changes: Any) -> dict[str, Any]:
    """The events' mapping with `columns` changed by name (None takes one away) and other keys replaced."""
    columns = {**MAPPING["columns"], **changes.pop("columns", {})}
    return {**MAPPING, "path": str(path), **changes, "columns": {n: c for n, c in columns.items() if c is not None}}


def read(path: Path | str, **changes: Any) -> dict[str, pa.Table]:
    return read_files(params({"events": mapping(path, **changes)}))


def write(tmp_path: Path, text: str, name: str = "events.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def changed(tmp_path: Path, old: str, new: str) -> Path:
    assert old in EVENTS
    return write(tmp_path, EVENTS.replace(old, new))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write(tmp_path, EVENTS)


def said(path: Path | str, **changes: Any) -> str:
    with pytest.raises(TriadError) as caught:
        read(path, **changes)
    return str(caught.value)


def test_events_are_mapped_filtered_and_cut_to_the_window(shop: Path) -> None:
    events = read(shop)["events"]
    assert events.schema == conform("events", events).schema
    assert events.select(["event_id", "user_id", "item_id", "kind", "session_id", "price_cents"]).to_pylist() == [
        dict(zip(("event_id", "user_id", "item_id", "kind", "session_id", "price_cents"), row, strict=True))
        for row in [
            ("000000000000", "anna", "a", "impression", "anna:1", 250),
            ("000000000001", "anna", "a", "purchase", "anna:1", 250),
            ("000000000002", "anna", "b", "purchase", "anna:2", 1000),
            ("000000000003", "bert", "a", "purchase", "bert:3", 275),
        ]
    ]
    assert events["occurred_at"][0].as_py() == datetime(2026, 1, 2, 9, 0, tzinfo=UTC)  # Berlin's winter is UTC+1
    assert events["position"].null_count == 4


def test_users_and_items_come_from_events_where_no_file_holds_them(shop: Path) -> None:
    files = {
        "events": mapping(shop),
        "users": {"from": "events", "columns": {"country": {"column": "land", "map": {"UK": "GB"}}}},
        "items": {"from": "events", "columns": {"title": {"column": "name", "strip": True}}},
    }
    tables = read_files(params(files))
    assert tables["users"].to_pylist() == [  # anna's first country counts; carl came and went before the window
        {"user_id": "anna", "signed_up_at": datetime(2026, 1, 2, 9, tzinfo=UTC), "country": "DE"},
        {"user_id": "bert", "signed_up_at": datetime(2026, 1, 6, 22, 30, tzinfo=UTC), "country": "GB"},
    ]
    items = {row["item_id"]: row for row in tables["items"].to_pylist()}
    assert (items["a"]["title"], items["a"]["price_cents"]) == ("Lamp", 275)  # most frequent; last
    assert items["a"]["available_from"] == datetime(2025, 12, 1, 11, tzinfo=UTC)  # seen before the window


def test_prices_are_the_days_median_carried_forward(tmp_path: Path) -> None:
    rows = ["a,2025-12-20,7", "a,2026-01-04,1", "a,2026-01-04,9", "a,2026-01-04,3", "a,2026-01-06,5", "b,2026-01-07,2"]
    path = write(tmp_path, "sku,at,amount\n" + "".join(f"{row}\n" for row in rows))
    columns = {"user_id": {"constant": "u"}, "kind": {"constant": "purchase"}, "session_id": None, "quantity": None}
    files = {"events": mapping(path, columns=columns, timezone="UTC"), "prices": {"from": "events"}}
    prices = read_files(params(files, window_days=5))["prices"].to_pylist()
    found = {(row["item_id"], row["day"].day): row["price_cents"] for row in prices}
    assert found == {
        ("a", 3): 700,  # known from before the window
        ("a", 4): 300,
        ("a", 5): 300,
        ("a", 6): 500,
        ("a", 7): 500,
        ("b", 7): 200,
    }
    assert not any(row["is_promoted"] for row in prices)


@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet", ".csv/part*.csv", "memory"])
def test_the_same_rows_from_any_place_and_form(tmp_path: Path, shop: Path, suffix: str) -> None:
    expected = read(shop)
    lines = EVENTS.splitlines(keepends=True)
    path: Path | str = tmp_path / f"log{suffix}"
    if suffix == ".csv.gz":
        Path(path).write_bytes(gzip.compress(EVENTS.encode()))
    elif suffix == ".parquet":
        rows = [line.strip().split(",") for line in lines]
        columns = dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))
        columns["at"] = [datetime.fromisoformat(t) for t in columns["at"]]
        columns["amount"], columns["pieces"] = map(float, columns["amount"]), map(int, columns["pieces"])
        pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), path)
    elif suffix == "memory":
        fsspec.filesystem("memory").pipe("/shop/events.csv", EVENTS.encode())
        path = "memory://shop/*.csv"
    else:
        folder = Path(path).parent
        folder.mkdir()
        (folder / "part1.csv").write_text("".join(lines[:3]))
        shuffled = [",".join([*line.strip().split(",")[1:], line.split(",")[0]]) + "\n" for line in lines]
        (folder / "part2.csv").write_text(shuffled[0] + "".join(shuffled[3:]))  # columns in another order
    found = read(path)
    assert {name: table.to_pylist() for name, table in found.items()} == {
        name: table.to_pylist() for name, table in expected.items()
    }


def test_a_folder_of_parquet_files_whose_types_differ(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    first = datetime(2026, 1, 3, tzinfo=ZoneInfo("America/New_York"))
    fixed = {"who": ["u"], "sku": ["a"], "what": ["buy"], "order": [1], "amount": [1.0]}
    pq.write_table(pa.table({**fixed, "at": [first], "pieces": [2]}), folder / "1.parquet")
    pq.write_table(pa.table({**fixed, "at": ["2026-01-04T00:00:00Z"], "pieces": ["3"]}), folder / "2.parquet")
    pq.write_table(pa.table({**fixed, "at": [date(2026, 1, 5)], "pieces": pa.nulls(1)}), folder / "3.parquet")
    (folder / "_SUCCESS").touch()
    events = read(folder)["events"]
    assert events["quantity"].to_pylist() == [2, 3, None]
    assert [time.hour for time in events["occurred_at"].to_pylist()] == [5, 0, 23]
    pq.write_table(pa.table({**fixed, "at": ["2026-01-04"], "pieces": ["many"]}), folder / "4.parquet")
    assert "4.parquet, column pieces → events.quantity: not a whole number in 1 row: row 1 'many'" in said(folder)


def test_tables_in_files_of_their_own(tmp_path: Path, shop: Path) -> None:
    users = write(tmp_path, "id,since,tier\nanna,01/02/2025,gold\nbert,31/12/2025,\nzoe,09/01/2026,\n", "users.csv")
    items = write(tmp_path, 'id,price,title\na,"1.299,50 €",Größe\nb,"0,99 €",B\n', "items.csv")
    items.write_bytes(items.read_text().encode("cp1252"))
    prices = write(tmp_path, "item,day,cents,promo\na,2026-01-05,99,yes\na,2026-01-09,98,no\n", "prices.csv")
    searches = write(tmp_path, "q\titem\tgrade\nlamp\ta\t3\n", "searches.tsv")
    talks = write(tmp_path, "n,text,about\n1,hello,none\n", "talks.csv")
    tables = read_files(
        params(
            {
                "events": mapping(shop),
                "users": {
                    "path": str(users),
                    "columns": {
                        "user_id": "id",
                        "signed_up_at": {"column": "since", "format": "%d/%m/%Y", "timezone": "UTC"},
                        "tier": "tier",
                    },
                },
                "items": {
                    "path": str(items),
                    "encoding": "cp1252",
                    "decimal": ",",
                    "columns": {
                        "item_id": "id",
                        "title": "title",
                        "price_cents": {"column": "price", "unit": "major", "remove": [".", "€", " "]},
                        "available_from": {"constant": "2020-01-01T00:00:00Z"},
                    },
                },
                "prices": {
                    "path": str(prices),
                    "columns": {
                        "item_id": "item",
                        "day": "day",
                        "price_cents": {"column": "cents", "unit": "minor"},
                        "is_promoted": "promo",
                    },
                },
                "searches": {
                    "path": str(searches),
                    "delimiter": "\t",
                    "columns": {"query": "q", "item_id": "item", "relevance": "grade"},
                },
                "conversations": {
                    "path": str(talks),
                    "columns": {"message_id": "n", "message": "text", "intent": "about"},
                },
            }
        )
    )
    assert tables["users"].to_pylist() == [  # zoe signs up after the window
        {"user_id": "anna", "signed_up_at": datetime(2025, 2, 1, tzinfo=UTC), "tier": "gold"},
        {"user_id": "bert", "signed_up_at": datetime(2025, 12, 31, tzinfo=UTC), "tier": None},
    ]
    assert tables["items"].select(["title", "price_cents"]).to_pylist() == [
        {"title": "Größe", "price_cents": 129950},
        {"title": "B", "price_cents": 99},
    ]
    assert tables["prices"].to_pylist() == [
        {"item_id": "a", "day": date(2026, 1, 5), "price_cents": 99, "is_promoted": True}
    ]
    assert tables["searches"]["relevance"].to_pylist() == [3]
    assert tables["conversations"].num_rows == 1


def test_money_follows_the_currencys_minor_unit(shop: Path) -> None:
    events = mapping(shop, drop=[{"column": "what", "equals": "view"}])
    for currency, cents in (("EUR", 250), ("JPY", 3), ("KWD", 2500)):
        events["columns"]["price_cents"] = {"column": "amount", "unit": "major", "round": currency == "JPY"}
        assert read_files(params({"events": events}, currency=currency))["events"]["price_cents"][0].as_py() == cents


@pytest.mark.parametrize(
    ("written", "how"),
    [
        ("2026-01-02T10:00:00+02:00", {}),
        ("2026-01-02 08:00:00Z", {}),
        ("2026-01-02 09:00", {"timezone": "Europe/Berlin"}),
        ("02.01.2026 10.00 +0200", {"format": "%d.%m.%Y %H.%M %z"}),
        ("1767340800", {"epoch": "seconds"}),
        ("1767340800000", {"epoch": "milliseconds"}),
    ],
)
def test_times_are_read_as_written(tmp_path: Path, written: str, how: dict[str, str]) -> None:
    path = write(tmp_path, EVENTS.splitlines()[0] + f"\n1,A,anna,{written},1,1,buy,DE,Lamp\n")
    events = read(path, timezone=None, columns={"occurred_at": {"column": "at", **how}})["events"]
    assert events["occurred_at"].to_pylist() == [datetime(2026, 1, 2, 8, 0, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        ({"where": [{"column": "sku", "one_of": ["A"]}]}, [0, 1, 3]),
        ({"where": [{"column": "amount", "above": 2.5}]}, [2, 3]),
        ({"where": [{"column": "amount", "above": 0}]}, [0, 1, 2, 3]),
        ({"drop": [{"column": "amount", "below": 2.6}, {"column": "land", "equals": "FR"}]}, [3]),
        ({"drop": [{"column": "name", "matches": "^ ?L"}]}, [2]),
        ({"drop": [{"column": "order", "equals": "1"}]}, [2, 3]),
        ({"where": [{"column": "name", "starts_with": "Lam"}]}, [3]),
        ({"where": [{"column": "land", "present": True}]}, [0, 1, 2, 3]),
    ],
)
def test_rules_leave_rows_out(shop: Path, rule: dict[str, Any], left: list[int]) -> None:
    assert [int(event) for event in read(shop, **rule)["events"]["event_id"].to_pylist()] == left


def test_what_a_rule_leaves_out_need_not_be_convertible(tmp_path: Path) -> None:
    path = changed(tmp_path, "FR,Chair", "FR,Chair\n9,C,anna,someday,free,many,oops,DE,X")
    assert read(path, drop=[{"column": "sku", "equals": "C"}])["events"].num_rows == 4


def cancelled(tmp_path: Path, lines: list[str]) -> list[str]:
    """What is left of lines `order,quantity,day`, all of one user and item."""
    rows = [f"{order},A,anna,2026-01-0{day} 12:00,1,{pieces}" for order, pieces, day in (x.split(",") for x in lines)]
    path = write(tmp_path, "order,sku,who,at,amount,pieces\n" + "\n".join(rows) + "\n")
    rule = {"column": "order", "starts_with": "C"}
    columns = {"event_id": "order", "kind": {"constant": "purchase"}, "session_id": None}
    where = [{"column": "pieces", "above": 0}]
    return read(path, cancelled=rule, columns=columns, where=where)["events"]["event_id"].to_pylist()


def test_a_cancellation_takes_back_the_latest_open_purchase_of_that_quantity(tmp_path: Path) -> None:
    assert cancelled(tmp_path, ["1,6,1", "2,6,2", "C3,-6,3", "4,6,4"]) == ["1", "4"]
    assert cancelled(tmp_path, ["1,6,1", "2,6,2", "C3,-6,3", "C4,-6,4", "5,6,5"]) == ["5"]
    assert cancelled(tmp_path, ["1,6,1", "C2,-6,2", "3,6,3", "C4,-6,4", "5,2,5"]) == ["5"]
    assert cancelled(tmp_path, ["C1,-6,1", "2,6,2", "C3,-5,3"]) == ["2"]  # before its purchase; a part of one
    assert cancelled(tmp_path, ["1,6,1", "C2,-6,2", "C3,-6,3", "4,6,4"]) == ["4"]  # the second finds nothing open
    assert cancelled(tmp_path, ["1,6,1", "C2,-6,8"]) == ["1"]  # cancelled on the day `as_of`: not yet known


def test_cancellations_match_like_a_stack(tmp_path: Path) -> None:
    draw = random.Random(1)
    lines = [(n, draw.choice("AB"), draw.choice("uv"), draw.choice([-2, -1, 1, 1, 2, 2])) for n in range(400)]
    left, opened = set(), defaultdict(list)
    for n, item, user, pieces in lines:
        same = opened[item, user, abs(pieces)]
        if pieces > 0:
            left.add(n)
            same.append(n)
        elif same:
            left.remove(same.pop())
    rows = [f"{n},{item},{user},{1767400000 + n},1,{pieces},{pieces < 0}" for n, item, user, pieces in lines]
    path = write(tmp_path, "order,sku,who,at,amount,pieces,gone\n" + "\n".join(draw.sample(rows, len(rows))) + "\n")
    columns = {"event_id": "order", "kind": {"constant": "purchase"}, "session_id": None}
    columns["occurred_at"] = {"column": "at", "epoch": "seconds"}
    events = read(path, cancelled={"column": "gone", "equals": "True"}, columns=columns)["events"]
    assert {int(n) for n in events["event_id"].to_pylist()} == left


def test_sampling_keeps_whole_users(tmp_path: Path) -> None:
    rows = [f"{n},A,user{n % 100},2026-01-02 10:00,1,1,buy,DE,Lamp" for n in range(1000)]
    path = write(tmp_path, EVENTS.splitlines()[0] + "\n" + "\n".join(rows) + "\n")
    kept = {
        share: set(
            read_files(params({"events": mapping(path), "sample_users": share}))["events"]["user_id"].to_pylist()
        )
        for share in (0.2, 0.5)
    }
    assert 10 < len(kept[0.2]) < 30 and 38 < len(kept[0.5]) < 62
    assert kept[0.2] < kept[0.5]
    events = read_files(params({"events": mapping(path), "sample_users": 0.2}))["events"]
    assert events.num_rows == 10 * len(kept[0.2])


def test_the_same_file_gives_the_same_tables(shop: Path) -> None:
    first, second = read(shop), read(shop)
    assert all(first[name].equals(second[name]) for name in first)


# What can be wrong with a file.


def test_a_missing_file_an_empty_glob_and_an_unset_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ingest.files.events.path" in said(tmp_path / "no.csv") and "no such file" in said(tmp_path / "no.csv")
    assert "no such file" in said(tmp_path / "*.csv")
    monkeypatch.delenv("SHOP_NOWHERE", raising=False)
    assert "variable SHOP_NOWHERE is not set\n  to fix it: export" in said("${SHOP_NOWHERE}/events.csv")
    monkeypatch.setenv("SHOP_NOWHERE", str(write(tmp_path, EVENTS).parent))
    assert read("${SHOP_NOWHERE}/events.csv")["events"].num_rows == 4


def test_a_url_without_its_driver_and_a_name_without_its_format(tmp_path: Path) -> None:
    assert "Protocol not known: nope" in said("nope://user:secret@host/x.csv")
    assert "secret" not in said("nope://user:secret@host/x.csv?token=secret")
    path = write(tmp_path, EVENTS, "events.dat")
    assert "csv or parquet?" in said(path) and "set ingest.files.events.format" in said(path)
    assert read(path, format="csv")["events"].num_rows == 4


def test_a_missing_column_and_one_that_stands_twice(tmp_path: Path) -> None:
    text = said(changed(tmp_path, "amount", "amounts"))
    assert "events.csv, column amount: column is missing; found order, sku" in text
    assert "did you mean 'amounts'?" in text
    assert "column amount: 2 columns have this name" in said(changed(tmp_path, "pieces", "amount"))
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table({"at": ["2026-01-02"]}), path)
    assert "column who: column is missing; found at" in said(path)


def test_values_of_a_wrong_type_come_with_their_rows(tmp_path: Path) -> None:
    text = said(changed(tmp_path, "2.50,2", "2.50,two"))
    assert "events.csv, column pieces → events.quantity: not a whole number in 2 rows: row 1 'two', row 2 'two'" in text
    assert "column amount → events.price_cents: not an amount of EUR in 1 row: row 3 '10 EUR'" in said(
        changed(tmp_path, ",10,", ",10 EUR,")
    )
    assert "column pieces → events.quantity: not a whole number in 1 row: row 4 '1.5'" in said(
        changed(tmp_path, "2.75,1", "2.75,1.5")
    )
    assert "column amount → events.price_cents: not an amount of EUR in 1 row: row 4 'nan'" in said(
        changed(tmp_path, "2.75", "nan")
    )
    assert "column amount → events.price_cents: not an amount of EUR in 1 row: row 4 '1e300'" in said(
        changed(tmp_path, "2.75", "1e300")
    )
    text = said(changed(tmp_path, "2026-01-06 23:30:00", "6.1.26"))
    assert "column at → events.occurred_at: not a time in 1 row: row 4 '6.1.26'" in text and "format:" in text
    assert "column pieces: not a number in 1 row: row 4 'x'" in said(
        changed(tmp_path, "2.75,1", "2.75,x"), where=[{"column": "pieces", "above": 0}]
    )
    assert "column sku → events.item_id: empty in 1 row: row 4 ''" in said(changed(tmp_path, "3,A", "3,"))
    minor = {"price_cents": {"column": "amount", "unit": "minor"}}
    assert "amounts with a fraction are `unit: major`" in said(write(tmp_path, EVENTS), columns=minor)
    day = {"column": "at", "format": "%d.%m.%Y"}
    prices = {"path": str(tmp_path / "events.csv"), "columns": {"item_id": "sku", "day": day}}
    prices["columns"] |= {**minor, "is_promoted": {"column": "land"}}
    with pytest.raises(TriadError, match=r"column at → prices.day: not a day in 6 rows: row 1 '2026-01-02 10:00:00'"):
        read_files(params({"events": mapping(tmp_path / "events.csv"), "prices": prices}))
    prices["columns"] |= {"day": "at", "price_cents": {"column": "pieces", "unit": "minor"}}
    with pytest.raises(TriadError, match=r"column land → prices.is_promoted: neither true nor false in 6 rows"):
        read_files(params({"events": mapping(tmp_path / "events.csv"), "prices": prices}))


def test_negative_prices_pass_to_the_validation(tmp_path: Path) -> None:
    assert -275 in read(changed(tmp_path, "2.75", "-2.75"))["events"]["price_cents"].to_pylist()


def test_an_unknown_kind_of_event_is_named(tmp_path: Path) -> None:
    text = said(changed(tmp_path, ",view,", ",gaze,"))
    assert "column what → events.kind: none of impression, click, cart, purchase in 1 row: row 1 'gaze'" in text


def test_a_time_without_a_zone_asks_for_one(tmp_path: Path, shop: Path) -> None:
    text = said(shop, timezone=None)
    assert "column at → events.occurred_at: a time without a zone in 5 rows: row 1 '2026-01-02 10:00:00'" in text
    assert "set `timezone`" in text
    path = tmp_path / "events.parquet"
    naive = {"at": [datetime(2026, 1, 2)], "who": ["u"], "sku": ["a"], "what": ["buy"], "amount": [1.0]}
    pq.write_table(pa.table(naive), path)
    assert "a time without a zone in 1 row" in said(path, timezone=None, columns={"session_id": None, "quantity": None})


def test_an_empty_file_and_one_without_rows(tmp_path: Path) -> None:
    assert "the file is empty" in said(write(tmp_path, ""))
    assert "no rows below the header" in said(write(tmp_path, EVENTS.splitlines()[0] + "\n"))
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table({name: pa.array([], pa.string()) for name in EVENTS.splitlines()[0].split(",")}), path)
    assert "no rows below the header" in said(path)


@pytest.mark.parametrize(
    "wrong", [{"map": {"view": "click", "buy": "purchse"}}, {"map": {"view": "click"}, "default": "purchse"}]
)
def test_a_kind_of_event_that_is_none_is_known_before_a_file_is_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"columns.kind: 'purchse' .* did you mean 'purchase'"):
        params({"events": mapping("nowhere.csv", columns={"kind": {"column": "what", **wrong}})})


def test_rules_that_leave_nothing(shop: Path) -> None:
    text = said(shop, drop=[{"column": "amount", "above": 0}])
    assert "no row is left; left out: 6 amount above 0.0" in text


def test_text_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(EVENTS.replace("Chair", "Möbel").encode("latin-1"))
    text = said(path, columns={"query": "name"})
    assert "events.csv: is not utf-8 text: line 4 holds byte 0xf6; 2 of lines 1 to 7 cannot be read" in text
    assert "ingest.files.events.encoding: cp1252" in text
    found = read(path, encoding="latin-1", columns={"query": "name"})["events"]["query"].to_pylist()
    assert "Möbel" in found
    assert "is not utf-16 text" in said(path, encoding="utf-16")


@pytest.mark.parametrize(
    ("data", "kind", "mend"),
    [
        (gzip.compress(EVENTS.encode()), "packed by gzip", "give it the name that its kind has"),
        (EVENTS.encode("utf-16"), "UTF-16 text", "ingest.files.events.encoding: utf-16"),
        (b"PAR1\xff\xfe", "Parquet", "name it .parquet"),
        (b"PK\x03\x04\xff\xfe", "a zip archive or a spreadsheet", "save a spreadsheet as CSV"),
    ],
)
def test_a_file_that_is_of_another_kind_than_its_name_says_is_told_by_its_first_bytes(
    data: bytes, kind: str, mend: str, tmp_path: Path
) -> None:
    (tmp_path / "events.csv").write_bytes(data)
    text = said(tmp_path / "events.csv")
    assert f"events.csv: is {kind}, and not utf-8 text" in text and mend in text


def test_a_utf8_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(b"\xef\xbb\xbf" + EVENTS.encode())
    assert read(path)["events"].num_rows == 4


def test_a_broken_csv_line(tmp_path: Path) -> None:
    assert "events.csv: 1 record without the expected 9 cells: line 8 has 3" in said(
        write(tmp_path, EVENTS + "7,A,anna\n")
    )


def test_files_cut_short(tmp_path: Path) -> None:
    whole = gzip.compress("".join(f"{EVENTS}{n}" for n in range(2000)).encode())
    packed = tmp_path / "events.csv.gz"
    packed.write_bytes(whole[: len(whole) // 2])
    assert "the file is cut short" in said(packed)
    packed.write_bytes(EVENTS.encode())
    assert "cannot be unpacked as its name says (BadGzipFile)" in said(packed)
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table({"at": list(range(10000))}), path)
    path.write_bytes(path.read_bytes()[:5000])
    text = said(path)
    assert "events.parquet: cannot be read as parquet" in text and "copy it again" in text


def test_all_rows_outside_of_the_window(shop: Path) -> None:
    for as_of in ("2027-01-01", "2025-06-01"):  # long past, or still to come
        with pytest.raises(
            TriadError, match=r"all 5 rows lie outside of the window .* go from 2025-12-01 .* to 2026-01-06"
        ):
            read_files(params({"events": mapping(shop)}, as_of=as_of))


def test_duplicated_ids_are_named_with_their_rows(shop: Path, tmp_path: Path) -> None:
    text = said(shop, columns={"event_id": "order"})
    assert "events.event_id: 1 duplicated id in 2 rows: '1' in row 1 and row 2" in text and "row_number: true" in text
    assert read(shop, columns={"event_id": {"key": ["order", "at"]}})["events"]["event_id"][0].as_py() == (
        "1:2026-01-02 10:00:00"
    )
    users = write(tmp_path, "id,since\nu,2025-01-01\nu,2025-01-02\n", "users.csv")
    columns = {"user_id": "id", "signed_up_at": {"column": "since", "timezone": "UTC"}}
    with pytest.raises(TriadError, match=r"users.user_id: 1 duplicated id in 2 rows: 'a' in row 1 and row 2"):
        read_files(params({"events": mapping(shop), "users": {"path": str(users), "columns": columns}}))


def test_an_item_that_no_event_prices(tmp_path: Path) -> None:
    with pytest.raises(TriadError, match=r"column price_cents: unknown for 1 of 2 rows, such as 'b'"):
        read(changed(tmp_path, ",10,", ",,"))


def test_names_and_values_cannot_break_out_of_the_query(tmp_path: Path) -> None:
    odd = 'a"; DROP TABLE users; --'
    header, *rows = EVENTS.splitlines()
    path = write(tmp_path, "\n".join([header + ',"' + odd.replace('"', '""') + '"', *(row + ",o'x" for row in rows)]))
    events = read(path, columns={"query": {"column": odd, "map": {"o'x": "it's"}}})["events"]
    assert set(events["query"].to_pylist()) == {"it's"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"drop": [{"column": "sku", "matches": "("}]}, r"'\(' is not an RE2 expression"),
        ({"columns": {"occurred_at": {"column": "at", "format": "%Q"}}}, "'%Q' is not a strptime format"),
    ],
)
def test_an_expression_that_is_none(shop: Path, change: dict[str, Any], expected: str) -> None:
    with pytest.raises(TriadError, match=expected):
        read(shop, **change)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"colums": {}}, r"ingest.files.events.colums: unknown key\n.*'columns'"),
        ({"columns": {"quantty": "pieces"}}, r"events.columns.quantty: unknown column; did you mean 'quantity'"),
        ({"columns": {"price_cents": "amount"}}, r"events.columns.price_cents: say `unit: major`"),
        ({"columns": {"quantity": {"column": "pieces", "unit": "minor"}}}, "`unit` is for money"),
        ({"columns": {"quantity": {"column": "pieces", "epoch": "seconds"}}}, "are for times"),
        ({"columns": {"quantity": {"row_number": True}}}, "make texts"),
        ({"columns": {"kind": {"column": "what", "constant": "click"}}}, "give just one of column, constant"),
        ({"columns": {"kind": {"column": "what", "default": "click"}}}, "`default` goes with `map`"),
        ({"columns": {"kind": None}}, "events.columns: kind missing"),
        ({"columns": {"price_cents": None}}, "items derived from events need events.columns.price_cents"),
        ({"columns": {"quantity": None}, "cancelled": {"column": "order", "starts_with": "C"}}, "to find the purchase"),
        ({"timezone": "Europe/Nowhere"}, "'Europe/Nowhere' is no IANA time zone"),
        ({"encoding": "utf-9"}, "'utf-9' is no encoding"),
        ({"drop": [{"column": "sku"}]}, "give just one of equals"),
    ],
)
def test_a_mistake_in_the_mapping_is_found_before_any_file_is_read(change: dict[str, Any], expected: str) -> None:
    events = mapping("nowhere.csv", **change)
    ingest = {"source": "files", "as_of": "2026-01-08", "files": {"events": events}}
    with pytest.raises(TriadError, match=expected):
        parse({"ingest": ingest, "tasks": {"buy": {"kind": "binary", "label": "purchased"}}}, "params.yaml")


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"users": {"from": "events", "timezone": "UTC"}}, "timezone: say it for the events"),
        ({"users": {}}, "give just one of path, table, from_"),
        ({"searches": {"from": "events"}}, "searches cannot be derived"),
        (
            {"items": {"from": "events", "columns": {"price_cents": "amount"}}},
            "items.columns.price_cents: unknown column",
        ),
        (
            {
                "users": {
                    "path": "x",
                    "columns": {"user_id": "a", "signed_up_at": "b"},
                    "cancelled": {"column": "c", "equals": "1"},
                }
            },
            "users.cancelled: only events",
        ),
    ],
)
def test_a_mistake_between_tables_is_found_too(tables: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        params({"events": mapping("nowhere.csv"), **tables})
    events = mapping("nowhere.csv", columns={"price_cents": None})
    items = {"path": "x", "columns": {n: n for n in ("item_id", "available_from")}}
    items["columns"] |= {"price_cents": {"constant": 1}}
    with pytest.raises(ValueError, match="prices derived from events need"):
        params({"events": events, "items": items, "prices": {"from": "events"}})


def test_the_guides_example_fits() -> None:
    guide = (Path(__file__).parents[1] / "docs" / "your_data.md").read_text()
    example = yaml.safe_load(guide.split("```yaml\n")[1].split("```")[0])
    params = parse(example, "docs/your_data.md")
    assert params.ingest.files is not None and set(params.ingest.files.tables) == {"users", "items", "events", "prices"}
