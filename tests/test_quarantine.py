"""Rows that fail a row's check are set aside, and what is left is whole; too many of them stay critical."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from make_shop_log import AS_OF, WINDOW_DAYS, Tables, make_shop_log, write_shop_log
from test_validation import fails, files, params

from triad.artifacts import INGESTED, TABLES, read_json
from triad.config.validate import QuarantineParams
from triad.schema import TABLES as CONTRACT
from triad.stages.validate import FAILED, QUARANTINE, REPORT, validate
from triad.tables import connect
from triad.validation import suites
from triad.validation.checks import Check
from triad.validation.crowds import check_crowds
from triad.validation.engines import make_window
from triad.validation.expectations import window_of
from triad.validation.quarantine import REASONS, SetAside, set_aside, write_kept
from triad.validation.rows import rows_of
from triad.validation.sizes import check_sizes

ROOT = Path(__file__).parents[1]
FIRST = AS_OF - timedelta(days=WINDOW_DAYS)
WINDOW = window_of(FIRST, AS_OF)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tables:
    """A shop of 200 items and as many users, so that one of either is no more than half a percent."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "expectations").symlink_to(ROOT / "expectations")
    tables = make_shop_log(items=200)
    for values in tables.values():
        for name, column in values.items():
            values[name] = column.astype(object) if column.dtype.kind == "U" else column
    return tables


def asked(name: str, expectation: dict[str, Any], unexpected: int) -> Check:
    """The answer that Great Expectations would give to a critical expectation that failed."""
    column = expectation["kwargs"].get("column") or (expectation.get("meta") or {}).get("column")
    rows = rows_of(name, expectation, WINDOW) or ""
    return Check(expectation["type"], name, column, "critical", False, "a fault", unexpected, rows=rows)


def leave_out(failed: list[Check], **limits: Any) -> tuple[list[Check], SetAside]:
    with connect(INGESTED, threads=1) as session:
        make_window(session, WINDOW)
        return set_aside(session, INGESTED, failed, QuarantineParams(**limits))


def reference(column: str, home: str) -> dict[str, Any]:
    return next(
        e
        for e in suites.make(CONTRACT["events"])["expectations"]
        if e.get("description") == f"every {column} stands in table {home}"
    )


def between(column: str, low: int = 1) -> dict[str, Any]:
    return {"type": "expect_column_values_to_be_between", "kwargs": {"column": column, "min_value": low}}


def test_the_night_goes_on_without_the_rows_at_fault(shop: Tables, caplog: pytest.LogCaptureFixture) -> None:
    """Customers without a record, products gone from the feed, lines at 0.00; a user and an item that are wrong."""
    events = shop["events"]
    late = int(np.datetime64(AS_OF, "us").astype(np.int64))
    events["user_id"][:3] = "stranger"
    events["item_id"][5:17] = "deleted"
    events["price_cents"][20:24] = 0
    events["price_cents"][5] = 0
    shop["users"]["signed_up_at"][7] = late
    shop["items"]["price_cents"][9] = 0
    shop["items"]["attributes"] = np.array(['{"colour": "red"}'] * 200, object)
    shop["items"]["attributes"][11] = "red"
    write_shop_log(INGESTED, shop)
    of_user, of_item = ((events[key] == name).sum() for key, name in (("user_id", "u7"), ("item_id", "i9")))
    with caplog.at_level("INFO", "triad.validate"):
        validate(params())
    result = read_json(REPORT / "result.json")
    told = {f"{c['table']}.{c['column']}": c for c in result["checks"] if c["set_aside"]}
    assert result["success"] and not FAILED.exists()
    assert {place: check["set_aside"][check["table"]]["rows"] for place, check in told.items()} == {
        "events.user_id": 3,
        "events.item_id": 12,
        "events.price_cents": 5,
        "users.signed_up_at": 1,
        "items.price_cents": 1,
        "items.attributes": 1,
    }
    assert told["users.signed_up_at"]["set_aside"]["events"]["rows"] == of_user
    assert {name: found["rows"] for name, found in told["items.price_cents"]["set_aside"].items()} == {
        "items": 1,
        "events": of_item,
        "prices": WINDOW_DAYS,
    }
    assert told["events.item_id"]["set_aside"]["events"]["days"] == {str(FIRST): 12}
    assert sum(told["users.signed_up_at"]["set_aside"]["events"]["days"].values()) == of_user
    assert f"and with them {of_user:,} events" in caplog.text and "12 of" in caplog.text
    assert "Rows that were set aside" in (REPORT / "data_docs/index.html").read_text(encoding="utf-8")

    aside = {path.stem: pq.read_table(path) for path in QUARANTINE.glob("*.parquet")}
    assert {name: rows.num_rows for name, rows in aside.items()} == result["set_aside"]
    assert read_json(QUARANTINE / "summary.json") == result["set_aside"]
    reasons = dict(zip(aside["events"]["event_id"].to_pylist(), aside["events"][REASONS].to_pylist(), strict=True))
    assert len(reasons["e5"]) == 2 and "every item_id stands in table items" in reasons["e5"][0]
    along = [
        reason for found in reasons.values() for reason in found if reason.startswith("its user_id is set aside: ")
    ]
    assert len(along) == of_user and set(along) == {along[0]} and "users.signed_up_at" in along[0]

    with connect(TABLES) as session:
        for name, columns in shop.items():
            key = CONTRACT[name].key[0]
            left = session.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]
            assert left == len(columns[key]) - result["set_aside"].get(name, 0) == result["rows"][name]["rows"]
        lost = "SELECT count(*) FROM {} WHERE {} NOT IN (SELECT {} FROM {})"
        for of, key, home in (
            ("events", "user_id", "users"),
            ("events", "item_id", "items"),
            ("prices", "item_id", "items"),
        ):
            assert session.execute(lost.format(of, key, key, home)).fetchall() == [(0,)]


def test_where_nothing_is_set_aside_the_tables_are_the_same_files(shop: Tables) -> None:
    write_shop_log(INGESTED, shop)
    validate(params())
    assert files(TABLES) == files(INGESTED)
    assert all((TABLES / name).samefile(INGESTED / name) for name in files(INGESTED))
    assert files(QUARANTINE) == {"summary.json": b"{}\n"}


def test_a_night_that_is_stopped_replaces_nothing(shop: Tables) -> None:
    for folder in (TABLES, QUARANTINE):
        folder.mkdir(parents=True)
        (folder / "of yesterday").write_text("1")
    shop["events"]["price_cents"][:300] = 0
    message = fails(shop)
    assert (
        "events.price_cents" in message and "more than the 1.00% that may be set aside (validate.quarantine)" in message
    )
    assert all((folder / "of yesterday").is_file() for folder in (TABLES, QUARANTINE))


TYPES: list[tuple[str, dict[str, Any], Callable[[Tables], Any], int]] = [
    ("events", reference("user_id", "users"), lambda t: t["events"]["user_id"].__setitem__([1, 2], "x"), 2),
    ("events", reference("item_id", "items"), lambda t: t["events"]["item_id"].__setitem__([1, 2], "x"), 2),
    ("events", between("price_cents"), lambda t: t["events"]["price_cents"].__setitem__([4, 9], [0, -3]), 2),
    (
        "events",
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "surface"}},
        lambda t: t["events"].update(surface=np.where(np.arange(len(t["events"]["kind"])) == 8, None, "home")),
        1,
    ),
    (
        "events",
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "kind", "value_set": ["impression", "click"]},
        },
        lambda t: t["events"].update(kind=np.where(np.arange(len(t["events"]["kind"])) == 8, "cart", "click")),
        1,
    ),
    (
        "events",
        {"type": "expect_column_values_to_not_be_in_set", "kwargs": {"column": "surface", "value_set": ["robot"]}},
        lambda t: t["events"]["surface"].__setitem__([3], "robot"),
        1,
    ),
    (
        "events",
        {"type": "expect_column_value_lengths_to_be_between", "kwargs": {"column": "session_id", "max_value": 40}},
        lambda t: t["events"]["session_id"].__setitem__([3], "s" * 41),
        1,
    ),
    (
        "events",
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "occurred_at", "max_value": {"$PARAMETER": "until"}, "strict_max": True},
        },
        lambda t: t["events"]["occurred_at"].__setitem__([3], int(np.datetime64(AS_OF, "us").astype(np.int64))),
        1,
    ),
    (  # a shop's own, over two columns
        "events",
        {
            "type": "unexpected_rows_expectation",
            "kwargs": {"unexpected_rows_query": "SELECT * FROM {batch} WHERE kind = 'purchase' AND quantity > 50"},
            "meta": {"row": True},
        },
        lambda t: t["events"].update(
            quantity=np.where(np.arange(len(t["events"]["kind"])) == len(t["events"]["kind"]) - 1, 99, 1)
        ),
        1,
    ),
]


@pytest.mark.parametrize(("name", "expectation", "spoil", "rows"), TYPES)
def test_every_kind_of_rows_check(
    shop: Tables, name: str, expectation: dict[str, Any], spoil: Callable[[Tables], Any], rows: int
) -> None:
    write_shop_log(INGESTED, shop)
    before = {row["event_id"] for row in _read(INGESTED, name)}
    spoil(shop)
    write_shop_log(INGESTED, shop)
    [check], aside = leave_out([asked(name, expectation, rows)])
    assert (check.severity, check.set_aside[name]["rows"]) == ("warning", rows)
    write_kept(INGESTED, Path("kept"), aside.places)
    kept = {row["event_id"] for row in _read(Path("kept"), name)}
    assert before - kept == set(aside.tables[name]["event_id"].to_pylist()) and len(before) - len(kept) == rows


def _read(folder: Path, name: str) -> list[dict[str, Any]]:
    with connect(folder) as session:
        return session.sql(f"SELECT * FROM {name}").to_arrow_table().to_pylist()


UNIQUE = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "item_id"}}
COMPOUND = {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["item_id", "day"]}}


@pytest.mark.parametrize(
    ("name", "expectation", "differ", "gone"),
    [
        ("items", UNIQUE, False, 1),
        ("items", UNIQUE, True, 2),
        ("prices", COMPOUND, False, 1),
        ("prices", COMPOUND, True, 2),
    ],
)
def test_of_repeats_one_stays_and_of_contradictions_none(
    shop: Tables, name: str, expectation: dict[str, Any], differ: bool, gone: int
) -> None:
    for column, values in shop[name].items():
        shop[name][column] = np.append(values, values[:1])
    if differ:
        shop[name]["price_cents"][-1] += 1
    write_shop_log(INGESTED, shop)
    [check], aside = leave_out([asked(name, expectation, 2)], share=0.02)
    assert check.set_aside[name]["rows"] == gone == aside.tables[name].num_rows
    assert ("events" in check.set_aside) == (name == "items" and differ), "an item that stays keeps its events"


def test_a_missing_id_does_not_hide_strangers(shop: Tables) -> None:
    shop["events"]["user_id"][3] = "stranger"
    shop["users"]["user_id"][0] = None
    write_shop_log(INGESTED, shop)
    null = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "user_id"}}
    lost = int((shop["events"]["user_id"] == "u0").sum()) + 1
    checks, aside = leave_out(
        [asked("users", null, 1), asked("events", reference("user_id", "users"), lost)], share=0.02
    )
    assert [c.severity for c in checks] == ["warning", "warning"] and aside.tables["events"].num_rows == lost


@pytest.mark.parametrize(
    "expectation",
    [
        {**between("price_cents"), "meta": {"row": False}},
        {**between("price_cents"), "kwargs": {"column": "price_cents", "min_value": 1, "mostly": 0.9}},
        {**between("price_cents"), "kwargs": {"column": "price_cents", "min_value": 1, "row_condition": "x"}},
        {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": "SELECT * FROM {batch}"}},
        {"type": "expect_column_max_to_be_between", "kwargs": {"column": "price_cents", "max_value": 1}},
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}},
        {"type": "expect_column_values_to_be_in_type_list", "kwargs": {"column": "user_id", "type_list": ["DATE"]}},
        {"type": "expect_a_shop_to_shine", "kwargs": {"column": "user_id"}},
    ],
)
def test_what_is_no_rows_check_stays_critical(expectation: dict[str, Any]) -> None:
    assert rows_of("events", expectation, WINDOW) is None


def test_a_query_that_gives_no_rows_of_the_table_is_broken(shop: Tables) -> None:
    write_shop_log(INGESTED, shop)
    query = "SELECT event_id FROM {batch} WHERE price_cents < 300"
    marked = {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": query}, "meta": {"row": True}}
    [check], aside = leave_out([asked("events", marked, 9)])
    assert check.broken and check.severity == "critical" and not aside.tables
    assert "does not begin SELECT * FROM {batch}" in check.message


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({}, True),
        ({"share": 0}, False),
        ({"share": 0.0001}, False),
        ({"share": 0.0001, "checks": {"events.price_cents": 0.01}}, True),
        ({"checks": {"events.price_cents": 0}}, False),
        ({"share": 0, "checks": {"events.user_id": 1}}, False),
    ],
)
def test_the_limit_of_a_check(shop: Tables, limits: dict[str, Any], kept: bool) -> None:
    shop["events"]["price_cents"][:5] = 0
    write_shop_log(INGESTED, shop)
    [check], aside = leave_out([asked("events", between("price_cents"), 5)], **limits)
    assert (check.severity == "warning") == kept == bool(aside.tables)


def test_an_item_that_takes_too_much_along_stays_critical(shop: Tables) -> None:
    shop["events"]["item_id"][:600] = "i9"
    shop["items"]["price_cents"][9] = 0
    write_shop_log(INGESTED, shop)
    [check], aside = leave_out([asked("items", between("price_cents"), 1)])
    assert check.severity == "critical" and not aside.tables
    assert "the events that refer to these rows are" in check.message


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("events.usr_id", "did you mean 'events.user_id'"),
        ("event.user_id", "did you mean 'events.user_id'"),
        ("events", "events.user_id" and "did you mean"),
    ],
)
def test_a_wrong_name_of_a_check_is_refused(place: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        QuarantineParams(checks={place: 0.1})
    assert QuarantineParams(checks={"users.country": 0.1, "prices.item_id, day": 0.2}).limit("users.country") == 0.1


def _events(counts: list[int]) -> pa.Table:
    """Events of users `u0`, `u1` …, as many as `counts` says."""
    users = np.repeat([f"u{n}" for n in range(len(counts))], counts)
    when = pa.array(np.full(len(users), int(np.datetime64(FIRST, "us").astype(np.int64)))).cast(
        pa.timestamp("us", "UTC")
    )
    ids = [f"e{n}" for n in range(len(users))]
    columns = {"event_id": ids, "user_id": users, "item_id": ["i"] * len(users), "occurred_at": when}
    return pa.table({**columns, "kind": ["click"] * len(users)})


_MOST = np.random.default_rng(0).lognormal(3, 1, 400).astype(int) + 1


@pytest.mark.parametrize(
    ("shape", "counts", "named"),
    [
        ("skewed as shops are", [], 0),
        ("a bot", [100_000], 1),
        ("some bots", [30_000] * 5, 5),
        ("a reseller, who is no bot", [900], 0),
        ("an account of a shop floor", [60_000], 1),
    ],
)
def test_users_far_outside_are_named(shape: str, counts: list[int], named: int) -> None:
    with connect({"events": _events([*_MOST, *counts])}) as session:
        [check] = check_crowds(session, None)
    assert (check.severity, check.unexpected, check.passed) == ("warning", named, not named), check.message
    assert "u400" not in check.line(), "who it is stands nowhere"
    assert not named or f"{sum(counts):,} of" in check.message


def test_a_wide_scatter_hides_nobody_who_makes_a_twentieth_of_all_events() -> None:
    wholesale = np.random.default_rng(1).lognormal(3.7, 1.3, 2000).astype(int) + 1
    with connect({"events": _events([*wholesale, 100_000])}) as session:
        assert check_crowds(session, None)[0].unexpected == 1
    with connect({"events": _events([2_000] * 12)}) as session:
        assert check_crowds(session, None)[0].passed, "all of twelve users make more than a twentieth"


def test_a_small_shop_whose_users_are_alike_names_only_who_has_a_thousand_events() -> None:
    with connect({"events": _events([5] * 30 + [400, 5_000])}) as session:
        assert check_crowds(session, None)[0].unexpected == 1


def test_a_dial_sets_them_aside_with_all_that_is_theirs(shop: Tables) -> None:
    events = shop["events"]
    events["user_id"][: len(events["user_id"]) * 2 // 3] = "u3"
    write_shop_log(INGESTED, shop)
    theirs = int((events["user_id"] == "u3").sum())
    with connect(INGESTED) as session:
        make_window(session, WINDOW)
        named, many = check_crowds(session, 1000)
        (named, many), aside = set_aside(session, INGESTED, [named, many], QuarantineParams())
        assert session.execute("SELECT count(*) FROM events WHERE user_id = 'u3'").fetchall() == [(0,)]
    assert named.passed and many.severity == "warning"
    assert {name: found["rows"] for name, found in many.set_aside.items()} == {"users": 1, "events": theirs}
    assert aside.tables["users"]["user_id"].to_pylist() == ["u3"]


def test_a_dial_that_meets_many_users_stops_the_night(shop: Tables) -> None:
    write_shop_log(INGESTED, shop)
    with connect(INGESTED) as session:
        make_window(session, WINDOW)
        (_, many), aside = set_aside(session, INGESTED, check_crowds(session, 10), QuarantineParams())
    assert many.severity == "critical" and "more than the 1.00%" in many.message and not aside.tables


def sized(name: str, limits: QuarantineParams = QuarantineParams()) -> tuple[list[Check], SetAside]:  # noqa: B008
    with connect(INGESTED, threads=1) as session:
        make_window(session, WINDOW)
        return set_aside(session, INGESTED, check_sizes(session, name), limits)


@pytest.mark.parametrize(
    ("name", "column", "value", "said"),
    [
        ("events", "event_id", "e" * 100_000, "at most 256 characters"),
        ("events", "user_id", "ü" * 257, "at most 256 characters"),
        ("events", "session_id", "s" * 257, "at most 256 characters"),
        ("events", "surface", "home " * 60, "at most 256 characters"),
        ("events", "item_id", "i1\0", "no control characters"),
        ("events", "event_id", "e\n1", "no control characters"),
        ("items", "title", "t" * 1_001, "at most 1,000 characters"),
        ("items", "category", "c/" * 501, "at most 1,000 characters"),
        ("users", "country", "x" * 1_001, "at most 1,000 characters"),  # the shop's own
        ("users", "user_id", "u\x7f", "no control characters"),
    ],
)
def test_texts_and_ids_that_later_stages_could_not_bear(
    shop: Tables, name: str, column: str, value: str, said: str
) -> None:
    shop[name][column] = shop[name][column].astype(object)
    shop[name][column][5] = value
    write_shop_log(INGESTED, shop)
    [check], aside = sized(name)
    assert (check.severity, check.column, check.unexpected) == ("warning", column, 1) and said in check.message
    assert aside.tables[name][column].to_pylist() == [value] and value not in check.line()


def test_texts_as_long_as_allowed_pass(shop: Tables) -> None:
    shop["events"]["session_id"][5] = "ü" * 256
    shop["items"]["title"][5] = "two\nlines" + "t" * 991
    write_shop_log(INGESTED, shop)
    for name in ("events", "items", "users", "prices"):
        [check], _ = sized(name)
        assert check.passed and check.column is None


def test_many_texts_that_are_too_long_stop_the_night(shop: Tables) -> None:
    shop["items"]["title"][:] = "t" * 5_000
    write_shop_log(INGESTED, shop)
    [check], aside = sized("items")
    assert check.severity == "critical" and check.unexpected == 200 and not aside.tables
