"""What the service showed (`serving/impressions.py`), read for the next night's events.

A line without an end is still being written, or was when the power failed: it is left for the next time. An event that
stands twice is of a repeated request, and counts once.
"""

from __future__ import annotations

import json
import logging
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from triad.errors import TriadError
from triad.schema import EVENTS
from triad.tables import conform

LOG = logging.getLogger("triad.ingest")
MORE = pa.schema([("version", pa.string()), ("arm", pa.string()), ("propensity", pa.float64())])
"""What a line says beside the columns of an event."""


def read(folder: Path) -> pa.Table:
    """All events of the log, each once, with the columns `MORE` behind those of the contract.

    Raises:
        TriadError: there is no such folder, or a whole line is no event.
    """
    if not folder.is_dir():
        raise TriadError("no such folder", where=str(folder), mend="name the folder of serve.log, or null")
    rows: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("[!.]*.jsonl")):
        for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
            try:
                row = json.loads(line)
                rows.setdefault(row["event_id"], {**row, "occurred_at": datetime.fromisoformat(row["occurred_at"])})
            except (ValueError, KeyError, TypeError) as error:
                mend = "the service writes none such: take the file away, or repair the line"
                raise TriadError("is no event", where=f"{path}, line {number}", mend=mend) from error
    listed = list(rows.values())
    more = pa.table({f.name: pa.array([row.get(f.name) for row in listed], f.type) for f in MORE})
    columns = {c.name: [row.get(c.name) for row in listed] for c in EVENTS.columns}
    types = {"occurred_at": pa.timestamp("us", tz="UTC"), "position": pa.int64(), "price_cents": pa.int64()}
    types["quantity"] = pa.int64()
    events = pa.table({name: pa.array(values, types.get(name, pa.string())) for name, values in columns.items()})
    events = conform("events", events)
    return pa.table([*events.columns, *more.columns], names=[*events.column_names, *MORE.names])


def events(folder: Path, as_of: date, days: int, users: pa.Table, items: pa.Table) -> pa.Table:
    """The log's events of the window, as the contract's table, of customers and items that the shop's tables know."""
    impressions = read(folder).select(list(EVENTS.names))
    day = pc.cast(impressions["occurred_at"], pa.date32())
    first = pa.scalar(as_of - timedelta(days=days), pa.date32())
    inside = pc.and_(pc.greater_equal(day, first), pc.less(day, pa.scalar(as_of, pa.date32())))
    known = pc.and_(
        pc.is_in(impressions["user_id"], users["user_id"].combine_chunks()),
        pc.is_in(impressions["item_id"], items["item_id"].combine_chunks()),
    )
    kept = impressions.filter(pc.and_(inside, known))
    LOG.info(
        "%s events of the service's log · %s of other days, %s of customers or items that no table has",
        f"{kept.num_rows:,}",
        f"{impressions.num_rows - (pc.sum(inside).as_py() or 0):,}",
        f"{impressions.filter(inside).num_rows - kept.num_rows:,}",
    )
    return kept


def of_day(shown: pa.Table, day: date) -> pa.Table:
    """Its events of one UTC day."""
    return shown.filter(pc.equal(pc.cast(shown["occurred_at"], pa.date32()), pa.scalar(day, pa.date32())))
