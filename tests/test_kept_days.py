"""Nights in a row that keep days equal nights that read everything, and read the new days alone."""

import logging
import os
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from make_postgres import PASSWORD, Server, programs, server
from pyarrow import csv

from triad.config.ingest import IngestParams
from triad.day_store import DayStore, kept
from triad.errors import TriadError
from triad.privacy.looking import Names
from triad.sources.files import read_files
from triad.sources.keeping import Keeping

FIRST, DAYS = date(2026, 1, 1), 12
COLUMNS: dict[str, Any] = {
    "event_id": "id",
    "user_id": "who",
    "item_id": "sku",
    "occurred_at": "at",
    "kind": {"column": "what", "map": {"cancel": "purchase"}},
    "price_cents": {"column": "cents", "unit": "minor"},
    "quantity": "pieces",
}
RULES: dict[str, Any] = {
    "columns": COLUMNS,
    "cancelled": {"column": "what", "equals": "cancel"},
    "drop": [{"column": "who", "starts_with": "test-"}],
}


def rows(day: int) -> list[tuple[str, ...]]:
    """Ten events of a day: views, purchases, one that cancels the purchase of the day before, one of a test user."""
    made = []
    for n in range(10):
        what = "purchase" if n % 3 == 0 else "impression"
        user, item, pieces = f"u{(n * 5 + day) % 7}", f"i{n % 4}", 1 + n
        if n == 9 and day:
            what, user, item, pieces = "cancel", f"u{(day - 1) % 7}", "i0", 1
        if n == 5:
            user = "test-1"
        time = f"{FIRST + timedelta(days=day)} {(7 * n + day) % 24:02d}:00:00+00"
        made.append((f"e{day}-{n}", user, item, time, what, str(100 + 10 * n + day), str(pieces)))
    return made


def write(folder: Path, day: int, made: list[tuple[str, ...]]) -> Path:
    path = folder / f"day{day:02d}.csv"
    path.write_text("\n".join(["id,who,sku,at,what,cents,pieces", *(",".join(row) for row in made), ""]))
    os.utime(path, ns=(0, hash(path.read_bytes()) % (1 << 60)))  # a file that was written anew is known by its time
    return path


def night(events: dict[str, Any], day: int, keeping: Keeping | None, **files: Any) -> dict[str, pa.Table]:
    """The tables of the night after `day`, of a window of 8 days."""
    mapped = {"events": events, "prices": {"from": "events"}, **files}
    end = FIRST + timedelta(days=day + 1)
    return read_files(
        IngestParams.model_validate({"source": "files", "as_of": str(end), "window_days": 8, "files": mapped}), keeping
    )


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    if programs() is None:
        pytest.skip("PostgreSQL is not installed: no initdb and postgres in PATH or /usr/lib/postgresql")
    pytest.importorskip("adbc_driver_postgresql")
    with server() as running:
        running.run(
            "CREATE TABLE events (id text, who text, sku text, at timestamptz, what text, cents int, pieces int, "
            "written timestamptz DEFAULT clock_timestamp())"
        )
        yield running


def insert(postgres: Server, made: list[tuple[str, ...]]) -> None:
    values = ", ".join("(" + ", ".join(f"'{cell}'" for cell in row) + ")" for row in made)
    postgres.run(f"INSERT INTO events VALUES {values}")


def reads(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was read since this was asked last."""
    said = [message for message in caplog.messages if message.startswith("read ")]
    caplog.clear()
    return said


def test_nights_on_files_equal_nights_from_nothing_and_read_new_files_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shop, stores = tmp_path / "shop", tmp_path / "days"
    shop.mkdir()
    events = {"path": f"{shop}/*.csv", **RULES}
    for day in range(DAYS):
        write(shop, day, rows(day))
        if day == 6:  # an event of day 4 comes late, another is corrected, a third goes
            late = [
                *rows(4)[:8],
                ("late", "u1", "i1", f"{FIRST + timedelta(days=4)} 12:00:00+00", "impression", "5", "1"),
            ]
            write(shop, 4, [(*late[0][:5], "777", late[0][6]), *late[1:], rows(4)[9]])
        if day == 9:  # a new file among old ones
            write(shop, 3, rows(3)).rename(shop / "day02b.csv")
        if day == 10:
            (shop / "day00.csv").unlink()
        if day == 11:  # an event of an old day comes in the newest file
            write(
                shop,
                day,
                [*rows(day), ("old", "u1", "i1", f"{FIRST + timedelta(days=6)} 12:00:00+00", "impression", "5", "1")],
            )
        caplog.clear()
        made = night(events, day, Keeping(DayStore("key", stores=stores)))
        said, read = caplog.text, reads(caplog)
        assert made == night(events, day, None), day
        new = {6: 2, 9: 2}.get(day, 1)
        assert len(read) == new, read
        assert f"{len(list(shop.iterdir())) - new} of {len(list(shop.iterdir()))} parts kept" in said
        if day == 6:
            assert "1 came late, 1 were corrected, 1 are gone" in said
        if day == 11:
            assert "1 came late, 0 were corrected, 0 are gone" in said
    assert len(list(stores.glob("*/*.parquet"))) == len(list(shop.iterdir()))


def test_nights_on_a_database_equal_nights_from_nothing_and_read_new_days_alone(
    postgres: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAD_DATABASE_PASSWORD", PASSWORD)
    caplog.set_level(logging.INFO)
    events = {"table": "events", "look_back_days": 2, "changed_at": "written", **RULES}
    for day in range(DAYS):
        insert(postgres, rows(day))
        if day < 4:
            continue
        before = FIRST + timedelta(days=day - 5)
        if day == 8:  # far behind the look-back: one comes late, one is corrected and says so
            insert(postgres, [("late", "u1", "i1", f"{before} 12:00:00+00", "impression", "5", "1")])
            postgres.run(f"UPDATE events SET cents = 777, written = clock_timestamp() WHERE id = 'e{day - 5}-1'")
        if day == 9:
            postgres.run(f"DELETE FROM events WHERE id LIKE 'e{day - 5}-1%'")
        if day == 10:  # within it
            postgres.run(f"UPDATE events SET cents = 778 WHERE id = 'e{day - 1}-1'")
        caplog.clear()
        made = night(events, day, Keeping(DayStore("key", stores=tmp_path)), database=postgres.address)
        said = caplog.text
        assert made == night(events, day, None, database=postgres.address), day
        window = min(day + 1, 8)
        read = window if day == 4 else 2 + (day in (8, 9))
        assert f"{window - read} of {window} parts kept" in said, (day, said)
        if day == 8:
            assert "1 came late, 1 were corrected, 0 are gone" in said
        if day == 9:
            assert "0 came late, 0 were corrected, 1 are gone" in said
        if day == 10:
            assert "0 came late, 1 were corrected, 0 are gone" in said


def test_whatever_rows_are_made_of_voids_what_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    shop, stores = tmp_path / "shop", tmp_path / "days"
    shop.mkdir()
    for day in range(3):
        write(shop, day, rows(day))
    events = {"path": f"{shop}/*.csv", **RULES}
    for key, secret, expected in (
        ("a", None, 3),
        ("a", None, 0),
        ("b", None, 3),
        ("c", b"1" * 32, 3),
        ("c", b"1" * 32, 0),
    ):
        caplog.clear()
        night(events, 2, Keeping(DayStore(key, secret, stores)))
        assert len(reads(caplog)) == expected, key
        assert len([each for each in stores.iterdir() if each.is_dir()]) == 1
    caplog.clear()
    night(events, 2, Keeping(DayStore("c", b"2" * 32, stores)))  # another key cannot read them
    assert len(reads(caplog)) == 3
    damaged = sorted(stores.glob("*/*.sealed"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    night(events, 2, Keeping(DayStore("c", b"2" * 32, stores)))
    assert len(reads(caplog)) == 1


def test_the_forgotten_and_rows_that_rules_drop_are_not_kept(tmp_path: Path) -> None:
    shop, stores = tmp_path / "shop", tmp_path / "days"
    shop.mkdir()
    for day in range(3):
        write(shop, day, rows(day))
    events = {"path": f"{shop}/*.csv", **RULES}
    plain = night(events, 2, None)
    assert "u1" in plain["events"]["user_id"].to_pylist()
    counts = []
    for _ in range(2):  # read, then kept: the same is left out and counted
        keeping = Keeping(DayStore("key", stores=stores), "u1".__eq__)
        made = night(events, 2, keeping)
        assert "u1" not in made["events"]["user_id"].to_pylist() + made["users"]["user_id"].to_pylist()
        counts.append(keeping.left_out["events"])
    held = list(kept(stores, None))
    assert counts[0] == counts[1] > 0
    assert sum(map(Names.of(["u1", "test-1"]).rows, held)) == 0
    assert sum(map(Names.of(["u2"]).rows, held)) > 0


def test_with_a_secret_no_id_lies_on_the_disk(tmp_path: Path) -> None:
    shop, stores = tmp_path / "shop", tmp_path / "days"
    shop.mkdir()
    write(shop, 0, rows(0))
    night({"path": f"{shop}/*.csv", **RULES}, 0, Keeping(DayStore("key", b"k" * 32, stores)))
    content = b"".join(path.read_bytes() for path in stores.rglob("*") if path.is_file())
    assert b"PAR1" not in content and b"e0-1" not in content
    assert not list(kept(stores, None)) and not list(kept(stores, b"x" * 32))
    assert sum(map(Names.of(["u0"]).rows, kept(stores, b"k" * 32))) > 0


def test_a_copy_of_a_kept_file_is_refused(tmp_path: Path) -> None:
    shop, stores = tmp_path / "shop", tmp_path / "days"
    shop.mkdir()
    made = write(shop, 0, rows(0))
    events = {"path": f"{shop}/*.csv", **RULES}
    night(events, 0, Keeping(DayStore("key", stores=stores)))
    (shop / "zz.csv").write_bytes(made.read_bytes())
    with pytest.raises(TriadError, match="holds the same as"):
        night(events, 0, Keeping(DayStore("key", stores=stores)))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_another_day_without_rows_is_no_copy_of_a_kept_one(tmp_path: Path, suffix: str) -> None:
    shop, stores = tmp_path / "shop", tmp_path / "days"
    shop.mkdir()
    events = {"path": f"{shop}/*.{suffix}", **RULES}
    for day in range(3):  # the last two are empty
        made = csv.read_csv(
            write(shop, day, [] if day else rows(0)),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(["id", "who", "sku", "at", "what", "cents", "pieces"], pa.string())
            ),
        )
        pq.write_table(made, shop / f"day{day}.parquet")
        assert night(events, day, Keeping(DayStore("key", stores=stores))) == night(events, day, None)


@pytest.mark.parametrize("damage", ["cut", "a value", "zeros"])
def test_a_kept_day_that_the_disk_has_changed_is_read_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    caplog.set_level(logging.INFO)
    shop, stores = tmp_path / "shop", tmp_path / "days"
    shop.mkdir()
    write(shop, 0, rows(0))
    events = {"path": f"{shop}/*.csv", **RULES}
    made = night(events, 0, Keeping(DayStore("key", stores=stores)))
    (held,) = stores.glob("*/*.parquet")
    content, table, other = held.read_bytes(), pq.read_table(held), pa.BufferOutputStream()
    at = table.column_names.index("price_cents")
    pq.write_table(table.set_column(at, "price_cents", pc.add(table["price_cents"], 1)), other)
    changed = {
        "cut": content[:-99],
        "a value": other.getvalue().to_pybytes(),
        "zeros": content[:100] + bytes(200) + content[300:],
    }
    held.write_bytes(changed[damage])
    caplog.clear()
    assert night(events, 0, Keeping(DayStore("key", stores=stores))) == made
    assert len(reads(caplog)) == 1
    held.write_bytes(changed[damage])
    assert sum(table.num_rows for table in kept(stores, None)) in (0, 10)  # who looks for persons is not stopped


def test_a_fault_in_a_new_file_names_its_row(tmp_path: Path) -> None:
    shop, stores = tmp_path / "shop", tmp_path / "days"
    shop.mkdir()
    write(shop, 0, rows(0))
    events = {"path": f"{shop}/*.csv", **RULES}
    night(events, 0, Keeping(DayStore("key", stores=stores)))
    bad = rows(1)
    bad[2] = (*bad[2][:5], "much", "1")
    write(shop, 1, bad)
    for _ in range(2):
        with pytest.raises(TriadError, match=r"day01.csv, column cents[\s\S]*row 3 'much'"):
            night(events, 1, Keeping(DayStore("key", stores=stores)))
    write(shop, 1, [*rows(1), rows(0)[0]])
    with pytest.raises(TriadError, match=r"1 duplicated id in 2 rows: 'e0-0' in row 1 and row 11"):
        night(events, 1, Keeping(DayStore("key", stores=stores)))
