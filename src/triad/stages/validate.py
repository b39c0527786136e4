"""`triad validate`: check whether the window's tables can be learned from. The report is `artifacts/validate/report`.

A few rows that fail a check of single rows are set aside, in `artifacts/validate/quarantine`; the others are what all
later stages read, in `artifacts/validate/tables`. A run with critical findings writes `artifacts/validate/failed`
instead and stops; what the last good run wrote stays.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from triad import machine
from triad.artifacts import ARTIFACTS, INGESTED, TABLES, replacing_together, write_json
from triad.durable import remove, sweep
from triad.errors import TriadError
from triad.redaction import Privacy, masked
from triad.schema import TABLES as CONTRACT
from triad.spark.suites import engine_of
from triad.tables import LOCK, connect, present
from triad.validation import suites
from triad.validation.checks import Check, describe, failed
from triad.validation.crowds import check_crowds
from triad.validation.docs import finish
from triad.validation.engines import make_window
from triad.validation.event_log import check_event_log
from triad.validation.expectations import run_suites, window_of
from triad.validation.quarantine import SetAside, set_aside, write_kept, write_quarantine
from triad.validation.sizes import check_sizes
from triad.validation.structure import check_structure

if TYPE_CHECKING:
    from triad.config.params import Params

REPORT = ARTIFACTS / "validate" / "report"
FAILED = ARTIFACTS / "validate" / "failed"
QUARANTINE = ARTIFACTS / "validate" / "quarantine"

log = logging.getLogger("triad.validate")


def validate(params: Params) -> None:
    """Check the tables of the window that ends at `ingest.as_of`.

    Writes `result.json` (every check, rows a table and day, and how many were set aside) and `data_docs/index.html`
    into the report; the rows set aside; and the tables without them.

    Raises:
        TriadError: a critical check failed: each with table, column, count and sample rows; or a suite is wrong.
    """
    started = time.monotonic()
    as_of = params.ingest.as_of
    first_day = as_of - timedelta(days=params.ingest.window_days)
    log.info("%s … %s (as_of) · %s", first_day, as_of, params.validate_.model_dump(mode="json"))
    names = present(INGESTED)
    loaded = {name: suites.load(name) for name in names}
    absent = [name for name in CONTRACT if name not in names]
    if absent:
        log.info("not given, so not checked: %s", ", ".join(absent))
    with tempfile.TemporaryDirectory() as scratch:
        docs = Path(scratch) / "data_docs"
        files = params.ingest.files
        made = frozenset() if files is None else files.personal_ids
        privacy = Privacy(frozenset(params.validate_.public_attributes), made)
        checks, rows, aside = _ask(params, loaded, first_day, as_of, docs=docs, privacy=privacy)
        finish(docs, checks, first_day, as_of)
        critical, warnings = failed(checks, "critical"), failed(checks, "warning")
        outputs = (FAILED,) if critical else (REPORT, QUARANTINE, TABLES)
        with replacing_together(*outputs) as (folder, *others):
            if not critical:
                quarantine, kept = others
                write_quarantine(quarantine, aside)
                write_kept(INGESTED, kept, aside.places)
            shutil.move(docs, folder / "data_docs")
            result = {
                "success": not critical,
                "first_day": str(first_day),
                "as_of": str(as_of),
                "tables_absent": absent,
                "rows": rows,
                "set_aside": {name: table.num_rows for name, table in aside.tables.items()},
                "checks": [check.to_json() for check in checks],
            }
            write_json(folder / "result.json", result)
    for check in warnings:
        log.warning("warning · %s", check.line())
    index = outputs[0] / "data_docs" / "index.html"
    summary = (len(checks), len(names), len(critical), len(warnings), time.monotonic() - started, index)
    log.info("%d checks of %d tables, %d critical failures, %d warnings · %.1f s → %s", *summary)
    if critical:
        # on one line if one failed: a night's note shows the first line
        one = f"1 critical check failed: {critical[0].line()}"
        raise TriadError(
            one if len(critical) == 1 else f"{len(critical)} critical checks failed{describe(critical)}",
            where=str(INGESTED),
            mend=f"look at {index}, mend the source, then run `triad ingest` again",
        )
    sweep(FAILED.parent)
    if FAILED.is_dir():
        remove(FAILED)


def _ask(
    params: Params,
    loaded: Mapping[str, suites.Suite],
    first_day: date,
    as_of: date,
    *,
    docs: Path,
    privacy: Privacy,
) -> tuple[list[Check], dict[str, Any], SetAside]:
    """All checks, rows a table and day, and what was set aside: the event log is asked without it.

    Tables that cannot be opened, or of which nothing is left, are asked nothing further.
    """
    checks = check_structure(INGESTED)
    if failed(checks, "critical"):
        return checks, {}, SetAside()
    window, limits = window_of(first_day, as_of), params.validate_
    try:
        with connect(INGESTED) as session:
            make_window(session, window)
            session.execute(LOCK)
            checks += [check for name in loaded for check in check_sizes(session, name)]
            checks += check_crowds(session, limits.max_events_a_user)
            with engine_of(params, INGESTED, tuple(loaded), window) as engine:
                checks += run_suites(loaded, engine, window, docs, privacy)
            checks, aside = set_aside(session, INGESTED, checks, limits.quarantine)
            rows = _count(session, loaded)
            empty = [name for name, counts in rows.items() if not counts["rows"]]
            if empty:
                message = "no row is left: all were set aside"
                checks += [Check("structure", name, None, "critical", False, message) for name in empty]
            else:
                checks += check_event_log(session, limits, first_day, as_of, privacy)
            return checks, rows, aside
    except duckdb.Error as error:
        mend = "ingest again: a file may be damaged inside"
        raise machine.translated(error) or TriadError(
            f"cannot be read: {masked(str(error))}", where=str(INGESTED), mend=mend
        ) from error


def _count(session: duckdb.DuckDBPyConnection, names: Iterable[str]) -> dict[str, Any]:
    """Table → its rows and, where it has days, the rows of each."""
    rows: dict[str, Any] = {}
    for name in names:
        day = CONTRACT[name].day_of
        total = session.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]
        rows[name] = {"rows": total}
        if day is not None:
            by_day = session.execute(f"SELECT {day}::DATE AS day, count(*) FROM {name} GROUP BY 1 ORDER BY 1")
            rows[name]["days"] = {str(d): n for d, n in by_day.fetchall()}
    return rows
