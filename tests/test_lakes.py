"""A shop's tables from Delta Lake and Iceberg: what the newest version holds, without the rows that were deleted."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from triad.config.files import FilesParams
from triad.config.ingest import IngestParams
from triad.errors import TriadError
from triad.sources.clock import Bounds
from triad.sources.files import read_files
from triad.sources.lakes import lake

pytest.importorskip("deltalake")
pytest.importorskip("pyiceberg")

COLUMNS: dict[str, Any] = {
    "event_id": "id",
    "user_id": "who",
    "item_id": "sku",
    "occurred_at": "at",
    "kind": "what",
    "price_cents": {"column": "cents", "unit": "minor"},
}


def rows(days: int, *, first: int = 0) -> pa.Table:
    """Four events a day from 2026-01-01 on; ids from `first`."""
    ids = range(first, first + 4 * days)
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "who": [f"u{number % 3}" for number in ids],
            "sku": [f"i{number % 2}" for number in ids],
            "at": pa.array(
                [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=6 * n) for n in range(len(ids))],
                pa.timestamp("us", "UTC"),
            ),
            "what": ["impression"] * len(ids),
            "cents": pa.array([100] * len(ids), pa.int64()),
        }
    )


@pytest.fixture(params=["delta", "iceberg"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The events' mapping to 20 days of 4 events, written twice over; then one of them was deleted."""
    made, form = rows(20), request.param
    if form == "delta":
        from deltalake import DeltaTable, write_deltalake

        path = str(tmp_path / "events")
        write_deltalake(path, made.slice(0, 40))
        write_deltalake(path, made.slice(40), mode="append")
        DeltaTable(path).delete("id = 79")
    else:
        from pyiceberg.catalog.sql import SqlCatalog

        catalog = SqlCatalog("shop", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}")
        catalog.create_namespace("shop")
        written = catalog.create_table("shop.events", schema=made.schema)
        written.append(made.slice(0, 40))
        written.append(made.slice(40))
        written.delete("id = 79")
        path = written.metadata_location
    return {"path": path, "format": form, "columns": COLUMNS}


def read(table: dict[str, Any], **ingest: Any) -> dict[str, pa.Table]:
    files = {"events": table, "prices": {"from": "events"}}
    return read_files(
        IngestParams.model_validate(
            {"source": "files", "as_of": "2026-01-21", "window_days": 5, "files": files, **ingest}
        )
    )


def test_a_lake_gives_what_it_holds_now_and_only_the_window_is_read(
    table: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    events = read(table)["events"]
    assert sorted(map(int, events["event_id"].to_pylist())) == list(range(60, 79))
    assert "19 rows with at from 2026-01-16 00:00:00+00:00 before 2026-01-21" in caplog.text
    assert "version 2" in caplog.text or "snapshot" in caplog.text


def test_numbers_are_bounds_too(table: dict[str, Any]) -> None:
    relation = lake(table["path"], table["format"], "ingest.files.events")
    for column, low, high, expected in (("cents", 100, 101, 79), ("id", 78, 1001, 1), ("id", None, 10, 10)):
        batches = relation.batches(["id"], Bounds(column, low, high))
        assert sum(batch.num_rows for batch in batches) == expected


def test_what_is_wrong_is_said(table: dict[str, Any]) -> None:
    with pytest.raises(TriadError, match=r"column whoo: column is missing[\s\S]*did you mean 'who'"):
        read({**table, "columns": {**COLUMNS, "user_id": "whoo"}})
    with pytest.raises(TriadError, match=r"no such table|names no Iceberg table"):
        read({**table, "path": table["path"].replace("events", "evnts")})
    with pytest.raises(TriadError, match="there are no rows for the window"):
        read(table, as_of="2025-01-01")


def test_a_folder_of_a_lake_names_the_format_that_reads_it(table: dict[str, Any]) -> None:
    folder = table["path"].removeprefix("file://")
    folder = folder if table["format"] == "delta" else str(Path(folder).parents[1])
    with pytest.raises(TriadError, match=f"set format: {table['format']}"):
        read({**table, "path": folder, "format": "parquet"})


def test_an_iceberg_table_of_a_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyiceberg.catalog import load_catalog
    from pyiceberg.utils.config import Config

    monkeypatch.setenv("PYICEBERG_CATALOG__SHOP__TYPE", "sql")
    monkeypatch.setenv("PYICEBERG_CATALOG__SHOP__URI", f"sqlite:///{tmp_path}/catalog.db")
    monkeypatch.setenv("PYICEBERG_CATALOG__SHOP__WAREHOUSE", f"file://{tmp_path}")
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG", Config())  # it is read once, at import
    catalog = load_catalog("shop")
    catalog.create_namespace("sales")
    catalog.create_table("sales.events", schema=rows(1).schema).append(rows(20))
    mapped = {"path": "iceberg://shop/sales.events", "format": "iceberg", "columns": COLUMNS}
    assert read(mapped)["events"].num_rows == 20
    with pytest.raises(TriadError, match="there is no such table"):
        read({**mapped, "path": "iceberg://shop/sales.evnts"})
    with pytest.raises(TriadError, match="cannot be read"):
        read({**mapped, "path": "iceberg://elsewhere/sales.events"})


def test_keys_of_files_are_refused() -> None:
    with pytest.raises(ValueError, match="delimiter: is for files"):
        FilesParams.model_validate({"events": {"path": "x", "format": "delta", "delimiter": ";", "columns": COLUMNS}})
