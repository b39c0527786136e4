"""Tables: the contract's columns and types in, day partitions out, views to query."""

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triad.errors import TriadError
from triad.schema import TABLES
from triad.tables import arrow_schema, conform, connect, present, write_table
from triad.validation.structure import check_structure


def events(*times: datetime) -> pa.Table:
    return pa.table(
        {
            "event_id": [f"e{i}" for i in range(len(times))],
            "user_id": ["u"] * len(times),
            "item_id": ["i"] * len(times),
            "occurred_at": pa.array(times, pa.timestamp("us", "UTC")),
            "kind": ["click"] * len(times),
        }
    )


def test_events_lie_by_day_and_come_back(tmp_path: Path) -> None:
    rows = write_table(
        tmp_path, "events", events(datetime(2026, 1, 2, 23, tzinfo=UTC), datetime(2026, 1, 1, 5, tzinfo=UTC))
    )
    assert rows == 2
    assert sorted(p.name for p in (tmp_path / "events").iterdir()) == ["day=2026-01-01", "day=2026-01-02"]
    assert present(tmp_path) == ("events",)
    session = connect(tmp_path)
    found = session.execute(
        "SELECT event_id, occurred_at::DATE, price_cents FROM events ORDER BY occurred_at"
    ).fetchall()
    assert found == [("e1", date(2026, 1, 1), None), ("e0", date(2026, 1, 2), None)]


def test_tables_in_memory_are_queried_alike() -> None:
    session = connect({"events": events(datetime(2026, 1, 1, tzinfo=UTC))})
    assert session.execute("SELECT count(*) FROM events").fetchone() == (1,)


def test_an_attribute_the_shop_declares_is_kept_on_users_only() -> None:
    users = pa.table(
        {
            "user_id": ["u"],
            "signed_up_at": pa.array([datetime(2026, 1, 1)], pa.timestamp("us", "UTC")),
            "tier": ["gold"],
        }
    )
    assert conform("users", users).column_names == ["user_id", "signed_up_at", "tier"]
    with pytest.raises(TriadError, match=r"table events: unknown columns \['tier'\]"):
        conform("events", events().append_column("tier", pa.array([], pa.string())))


def test_a_missing_column_and_a_wrong_type_are_named() -> None:
    with pytest.raises(TriadError, match="table events, column kind: column is missing"):
        conform("events", events().drop_columns(["kind"]))
    wrong = events(datetime(2026, 1, 1, tzinfo=UTC)).append_column("quantity", pa.array(["two"]))
    with pytest.raises(TriadError, match="table events, column quantity: expected int64, found string"):
        conform("events", wrong)


def test_every_table_has_an_arrow_schema_and_its_key() -> None:
    for table in TABLES.values():
        assert set(table.key) <= set(arrow_schema(table).names)
        assert table.column(table.key[0]).nullable is False
        with pytest.raises(KeyError, match="no_such"):
            table.column("no_such")


def test_columns_that_sql_takes_for_one_are_refused(tmp_path: Path) -> None:
    users = pa.table({"user_id": ["a"], "signed_up_at": [datetime(2026, 1, 1, tzinfo=UTC)], "Club": ["x"]})
    for name in ("club", "USER_ID"):
        twice = users.append_column(name, pa.array(["y"]))
        with pytest.raises(TriadError, match=f"SQL takes '.*' and '{name}' for one column"):
            conform("users", twice)
        (tmp_path / name / "users").mkdir(parents=True)  # as another tool may write it
        pq.write_table(twice, tmp_path / name / "users" / "part-0.parquet")
        said = [
            check.message for check in check_structure(tmp_path / name) if not check.passed and check.column == name
        ]
        assert len(said) == 1 and "for one column: rename one of them" in said[0]
    assert conform("users", users)["Club"].to_pylist() == ["x"]
