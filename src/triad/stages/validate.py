"""`triad validate`: asks the window's tables whether they can be learnt from; `artifacts/validate/report` says so.

A run with critical findings writes `artifacts/validate/failed` instead and stops; the last good report stays.
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

from triad.artifacts import ARTIFACTS, TABLES, replacing, write_json
from triad.errors import TriadError
from triad.schema import TABLES as CONTRACT
from triad.tables import connect, present
from triad.validation import suites
from triad.validation.checks import Check, describe, failed
from triad.validation.docs import finish
from triad.validation.event_log import check_event_log
from triad.validation.expectations import run_suites
from triad.validation.structure import check_structure

if TYPE_CHECKING:
    from triad.config.params import Params
    from triad.config.validate import ValidateParams

REPORT = ARTIFACTS / "validate" / "report"
FAILED = ARTIFACTS / "validate" / "failed"

log = logging.getLogger("triad.validate")


def validate(params: Params) -> None:
    """Check the tables of the window that ends at `ingest.as_of`.

    Writes `result.json` (every check, and rows a table and day) and `data_docs/index.html`.

    Raises:
        TriadError: a critical check failed: each with table, column, count and sample rows; or a suite is wrong.
    """
    started = time.monotonic()
    as_of = params.ingest.as_of
    first_day = as_of - timedelta(days=params.ingest.window_days)
    log.info("%s … %s (as_of) · %s", first_day, as_of, params.validate_.model_dump(mode="json"))
    names = present(TABLES)
    loaded = {name: suites.load(name) for name in names}
    absent = [name for name in CONTRACT if name not in names]
    if absent:
        log.info("not given, so not checked: %s", ", ".join(absent))
    with tempfile.TemporaryDirectory() as scratch:
        docs = Path(scratch) / "data_docs"
        checks, rows = _ask(params.validate_, loaded, first_day, as_of, docs)
        finish(docs, checks, first_day, as_of)
        critical, warnings = failed(checks, "critical"), failed(checks, "warning")
        target = FAILED if critical else REPORT
        with replacing(target) as folder:
            shutil.move(docs, folder / "data_docs")
            result = {
                "success": not critical,
                "first_day": str(first_day),
                "as_of": str(as_of),
                "tables_absent": absent,
                "rows": rows,
                "checks": [check.to_json() for check in checks],
            }
            write_json(folder / "result.json", result)
    for check in warnings:
        log.warning("warning · %s", check.line())
    index = target / "data_docs" / "index.html"
    told = (len(checks), len(names), len(critical), len(warnings), time.monotonic() - started, index)
    log.info("%d checks of %d tables, %d critical failures, %d warnings · %.1f s → %s", *told)
    if critical:
        raise TriadError(
            f"{len(critical)} critical checks failed{describe(critical)}",
            where=str(TABLES),
            mend=f"look at {index}, mend the source, then run `triad ingest` again",
        )
    shutil.rmtree(FAILED, ignore_errors=True)


def _ask(
    params: ValidateParams, loaded: Mapping[str, suites.Suite], first_day: date, as_of: date, docs: Path
) -> tuple[list[Check], dict[str, Any]]:
    """All checks, and rows a table and day. Tables that cannot be opened are asked nothing further."""
    checks = check_structure(TABLES)
    if failed(checks, "critical"):
        return checks, {}
    try:
        with connect(TABLES) as session:
            rows = _count(session, loaded)
            checks += run_suites(loaded, TABLES, first_day, as_of, docs)
            return checks + check_event_log(session, params, first_day, as_of), rows
    except duckdb.Error as error:
        mend = "ingest again: a file may be damaged inside"
        raise TriadError(f"cannot be read: {error}", where=str(TABLES), mend=mend) from error


def _count(session: duckdb.DuckDBPyConnection, names: Iterable[str]) -> dict[str, Any]:
    """Table → its rows and, where it has days, the rows of each."""
    rows: dict[str, Any] = {}
    for name in names:
        day = CONTRACT[name].day_of
        total = session.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]
        rows[name] = {"rows": total}
        if day is not None:
            found = session.execute(f"SELECT {day}::DATE AS day, count(*) FROM {name} GROUP BY 1 ORDER BY 1")
            rows[name]["days"] = {str(d): n for d, n in found.fetchall()}
    return rows
