"""The stage `ingest`: what it writes, what it refuses, and that refused input costs nothing."""

import errno
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from triad.artifacts import INGESTED, ORACLE, read_json
from triad.config.params import Params, parse
from triad.errors import TriadError
from triad.sources import files
from triad.sources.contract import check
from triad.sources.simulated import simulate
from triad.stages import ingest as stage
from triad.tables import connect, present

FEW_DAYS = {"as_of": "2026-01-11", "window_days": 4, "simulated": {"size": "tiny", "seed": 3}}
SPLITS = {"split_days": {"validation": 1, "fusion": 1, "test": 1}, "attribution_hours": 12}


def params(**ingest: Any) -> Params:
    section = FEW_DAYS | ingest
    return parse(
        {
            "ingest": section,
            "tasks": {"click": {"kind": "binary", "label": "clicked"}},
            "features": SPLITS,
            "recommend": {"order_by": "click"},
        },
        "test",
    )


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def shop_tables() -> dict[str, pa.Table]:
    return simulate(params().ingest).whole()[0]


def read_in(monkeypatch: pytest.MonkeyPatch, tables: Mapping[str, pa.Table]) -> Params:
    """Parameters of a shop whose files hold `tables`."""
    monkeypatch.setattr(files, "read_files", lambda *_: dict(tables))
    known = params()
    return known.model_copy(update={"ingest": known.ingest.model_copy(update={"source": "files"})})


def contents() -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(Path("artifacts").rglob("*")) if p.is_file()}


def test_a_simulated_shop_is_written_with_its_truth_apart(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "triad.ingest")
    stage.ingest(params())
    assert present(INGESTED) == ("users", "items", "events", "prices", "searches", "conversations")
    assert sorted(p.name for p in (INGESTED / "events").iterdir()) == [f"day=2026-01-{d:02d}" for d in range(7, 11)]
    assert read_json(ORACLE / "oracle.json") == {"known": True, "seed": 3, "size": "tiny", "source": "simulated"}
    expected, truth = simulate(params().ingest).whole()
    with connect(INGESTED, threads=1) as session:
        for name, data in expected.items():
            assert session.execute(f"SELECT count(*) FROM {name}").fetchone() == (data.num_rows,)
        clicks = session.execute("SELECT count(*) FROM events WHERE kind = 'click'").fetchone()
    assert clicks == (pc.sum(pc.equal(expected["events"]["kind"], "click")).as_py(),)
    for name, data in truth.items():
        assert pq.read_table(ORACLE / f"{name}.parquet").equals(data), name
    assert "size" in caplog.messages[0]
    assert f"events {expected['events'].num_rows:,}" in caplog.messages[-1]


def test_two_runs_write_the_same_bytes() -> None:
    stage.ingest(params())
    before = contents()
    stage.ingest(params())
    assert contents() == before


def test_files_have_no_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = shop_tables()
    stage.ingest(read_in(monkeypatch, {name: tables[name] for name in ("users", "items", "events")}))
    assert present(INGESTED) == ("users", "items", "events")
    assert [p.name for p in ORACLE.iterdir()] == ["oracle.json"]
    assert read_json(ORACLE / "oracle.json") == {"known": False}


def replaced(data: pa.Table, column: str, values: Any) -> pa.Table:
    return data.set_column(data.column_names.index(column), column, values)


def moved(events: pa.Table, moment: datetime) -> pa.Table:
    """`events` with its first at `moment`."""
    times = pa.chunked_array([pa.array([moment], events["occurred_at"].type), *events["occurred_at"][1:].chunks])
    return replaced(events, "occurred_at", times)


def tomorrow(days: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.add(days.cast(pa.int32()), pa.scalar(1, pa.int32())).cast(pa.date32())


Faults = dict[str, tuple[Any, str, str]]
FAULTS: Faults = {
    "missing table": (lambda t: {k: v for k, v in t.items() if k != "items"}, "table items", "the table is missing"),
    "empty table": (lambda t: t | {"events": t["events"].slice(0, 0)}, "table events", "no rows"),
    "missing column": (
        lambda t: t | {"events": t["events"].drop_columns(["kind"])},
        "column kind",
        "column is missing",
    ),
    "unknown column": (
        lambda t: t | {"items": t["items"].append_column("x", t["items"]["title"])},
        "items",
        "unknown columns",
    ),
    "wrong type": (
        lambda t: t | {"items": replaced(t["items"], "price_cents", t["items"]["title"])},
        "table items, column price_cents",
        "expected int64, found string",
    ),
    "missing value": (
        lambda t: (
            t
            | {
                "users": replaced(
                    t["users"],
                    "user_id",
                    pc.if_else(pc.equal(t["users"]["user_id"], t["users"]["user_id"][0]), None, t["users"]["user_id"]),
                )
            }
        ),
        "table users, column user_id",
        "1 of",
    ),
    "repeated key": (
        lambda t: t | {"items": pa.concat_tables([t["items"], t["items"].slice(0, 2)])},
        "table items, key item_id",
        "2 keys stand in more than one row",
    ),
    "repeated pair": (
        lambda t: t | {"prices": pa.concat_tables([t["prices"], t["prices"].slice(0, 1)])},
        "table prices, key item_id, day",
        "1 keys stand",
    ),
    "before the window": (
        lambda t: t | {"events": moved(t["events"], datetime(2026, 1, 6, 23, tzinfo=UTC))},
        "table events, column occurred_at",
        "1 of",
    ),
    "in the future": (
        lambda t: t | {"events": moved(t["events"], datetime(2026, 1, 11, tzinfo=UTC))},
        "table events, column occurred_at",
        "2026-01-11 00:00",
    ),
    "price of tomorrow": (
        lambda t: t | {"prices": replaced(t["prices"], "day", tomorrow(t["prices"]["day"]))},
        "table prices, column day",
        "2026-01-11 00:00",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_is_named_and_replaces_nothing(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    stage.ingest(params())
    before = contents()
    spoil, where, what = FAULTS[fault]
    with pytest.raises(TriadError) as raised:
        stage.ingest(read_in(monkeypatch, spoil(shop_tables())))
    assert where in raised.value.where
    assert what in raised.value.what
    assert raised.value.mend
    assert contents() == before


@pytest.mark.parametrize(("name", "seen"), [("users", "'a9999999'"), ("items", None)])
def test_repeated_keys_are_shown_and_those_of_persons_by_their_shape(name: str, seen: str | None) -> None:
    tables = shop_tables()
    id_ = tables[name].column(0)[4].as_py()
    with pytest.raises(TriadError, match="such as") as raised:
        check(name, pa.concat_tables([tables[name], tables[name].slice(4, 1)]), params().ingest)
    assert (seen or repr(id_)) in raised.value.what
    assert (id_ in raised.value.what) is (seen is None)


@pytest.mark.parametrize("after", [0, 3, 7])
def test_a_full_disk_is_told_and_earlier_outputs_stay(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    stage.ingest(params())
    before = contents()
    write, calls = pq.write_table, iter(range(100))

    def full(data: pa.Table, where: Path, **options: Any) -> None:
        if next(calls) >= after:
            raise OSError(errno.ENOSPC, "No space left on device", str(where))
        write(data, where, **options)

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(TriadError, match="no space left on the disk") as raised:
        stage.ingest(params(simulated={"size": "tiny", "seed": 4}))
    assert "free some space" in raised.value.mend
    assert contents() == before
    monkeypatch.setattr(pq, "write_table", write)
    stage.ingest(params())
    assert contents() == before


def test_other_disk_errors_are_not_disguised(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(pq, "write_table", denied)
    with pytest.raises(PermissionError):
        stage.ingest(params())


def test_a_window_before_the_opening_replaces_nothing() -> None:
    stage.ingest(params())
    before = contents()
    with pytest.raises(TriadError, match="opened on"):
        stage.ingest(params(as_of="2024-06-01"))
    assert contents() == before


def test_an_unknown_size_is_refused() -> None:
    with pytest.raises(TriadError, match=r"ingest\.simulated\.size"):
        params(simulated={"size": "huge"})
