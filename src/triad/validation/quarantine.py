"""Sets aside rows that fail a row's check, so the night can go on with the rest.

A check may set aside as large a share of its table as `validate.quarantine` allows; more than that is no slip of a few
rows, and stays critical. A user or an item takes along what refers to it: events without their user cannot be learned
from. The same limit holds for what is taken along, but for users set aside by a dial
that a person turned for that very purpose.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from triad.artifacts import write_json
from triad.config.validate import QuarantineParams
from triad.errors import TriadError
from triad.redaction import masked
from triad.schema import ITEMS, TABLES, USERS
from triad.tables import PSEUDONYMS, scan
from triad.validation.checks import Check
from triad.validation.crowds import MANY_EVENTS
from triad.validation.rows import FILE, ROW, numbered

REASONS = "set_aside_reasons"
"""The column that the tables of rows set aside have besides the contract's."""

_HOMES = (USERS, ITEMS)  # what rows of other tables refer to, by their key
_REPEATS = ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique")  # of a key's rows one may stay


@dataclass(frozen=True)
class SetAside:
    """The rows themselves, by table, with `REASONS`; and where they lay: file → rows in it, ascending."""

    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    places: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)


def set_aside(
    session: duckdb.DuckDBPyConnection, tables: Path, checks: Sequence[Check], limits: QuarantineParams
) -> tuple[list[Check], SetAside]:
    """Leave out of `session`'s views what failed a row's check; the checks with what became of each.

    A check that set rows aside is a warning from then on. One with too many rows at fault stays critical.

    Args:
        session: with a view of each table in the folder `tables`, and `run_window`.
    """
    at_fault = [place for place, check in enumerate(checks) if check.rows]
    if not at_fault:
        return list(checks), SetAside()
    names = _views(session)
    for name in names:
        source = scan(tables, name, f", filename = '{FILE}', file_row_number = true")
        session.execute(f"CREATE VIEW {numbered(name)} AS SELECT * FROM {source}")
    session.execute(f"CREATE TABLE set_aside (name TEXT, {FILE} TEXT, {ROW} BIGINT, place INT, reason TEXT)")
    totals = {name: session.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in names}
    settled = list(checks)
    for place in at_fault:
        settled[place] = _own(session, place, checks[place], totals, limits)
    _take_along(session, names)
    for place in at_fault:
        if session.execute("SELECT 1 FROM set_aside WHERE place = ? LIMIT 1", [place]).fetchall():
            settled[place] = _counted(session, place, settled[place], totals, limits)
    for name in names:
        session.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * EXCLUDE ({FILE}, {ROW}) FROM {_kept(name)}")
    return settled, _taken(session, names)


def _views(session: duckdb.DuckDBPyConnection) -> list[str]:
    query = "SELECT view_name FROM duckdb_views() WHERE NOT internal"
    present = {row[0] for row in session.execute(query).fetchall()}
    return [name for name in TABLES if name in present]


def _own(
    session: duckdb.DuckDBPyConnection, place: int, check: Check, totals: Mapping[str, int], limits: QuarantineParams
) -> Check:
    """Note the rows of `check` itself, where they are few enough."""
    try:
        session.execute(
            f"INSERT INTO set_aside SELECT DISTINCT ?, {FILE}, {ROW}, ?::INT, ? FROM ({check.rows})",
            [check.table, place, f"{check.place}: {check.message}"],
        )
    except duckdb.BinderException as error:
        message = (
            f"its rows cannot be set aside, as its query does not begin SELECT * FROM {{batch}}: {masked(str(error))}"
        )
        return replace(check, message=f"{check.message}: {message}", broken=True)
    rows = session.execute("SELECT count(*) FROM set_aside WHERE place = ?", [place]).fetchall()[0][0]
    limit, total = limits.limit(check.place), totals[check.table]
    same = rows == check.unexpected or (check.name in _REPEATS and rows > 0)
    if same and rows <= limit * total:
        return check
    session.execute("DELETE FROM set_aside WHERE place = ?", [place])
    if not same or not limit:
        return check
    return replace(check, message=f"{check.message}; {_too_many(rows / total, limit)}")


def _too_many(share: float, limit: float) -> str:
    return f"{share:.2%} of the rows, more than the {limit:.2%} that may be set aside (validate.quarantine)"


def _take_along(session: duckdb.DuckDBPyConnection, names: Collection[str]) -> None:
    """Note the rows that refer to a user or an item of which no row stays."""
    for home in _HOMES:
        (key,) = home.key
        for name in names:
            if name == home.name or key not in TABLES[name].names:
                continue
            session.execute(
                f"""
                INSERT INTO set_aside
                WITH gone AS (
                    SELECT DISTINCT {key}, place, reason
                    FROM {numbered(home.name)} JOIN (SELECT * FROM set_aside WHERE name = '{home.name}')
                    USING ({FILE}, {ROW})
                    WHERE {key} NOT IN (SELECT {key} FROM {_kept(home.name)} WHERE {key} IS NOT NULL)
                )
                SELECT '{name}', {FILE}, {ROW}, place, 'its {key} is set aside: ' || reason
                FROM {numbered(name)} JOIN gone USING ({key})
                """
            )


def _kept(name: str) -> str:
    """SQL of the rows of table `name` that are not set aside, with `FILE` and `ROW`."""
    gone = f"SELECT {FILE}, {ROW} FROM set_aside WHERE name = '{name}'"
    return f"(SELECT * FROM {numbered(name)} ANTI JOIN ({gone}) USING ({FILE}, {ROW}))"


def _counted(
    session: duckdb.DuckDBPyConnection, place: int, check: Check, totals: Mapping[str, int], limits: QuarantineParams
) -> Check:
    """`check` with its rows by table and day; critical still where it takes too much along."""
    by_table: dict[str, Any] = {}
    named = session.execute("SELECT DISTINCT name FROM set_aside WHERE place = ?", [place]).fetchall()
    for name in sorted((row[0] for row in named), key=lambda name: (name != check.table, name)):
        day = TABLES[name].day_of
        mine = (
            f"FROM {numbered(name)} JOIN (SELECT * FROM set_aside WHERE name = ? AND place = ?) USING ({FILE}, {ROW})"
        )
        rows = session.execute(f"SELECT count(*) {mine}", [name, place]).fetchall()[0][0]
        by_table[name] = {"rows": rows, "share": round(rows / totals[name], 6)}
        if day is not None:
            days = session.execute(f"SELECT {day}::DATE::TEXT, count(*) {mine} GROUP BY 1 ORDER BY 1", [name, place])
            by_table[name]["days"] = {str(day): count for day, count in days.fetchall()}
    limit = limits.limit(check.place)
    for name, counts in by_table.items():
        if counts["rows"] > limit * totals[name] and check.name != MANY_EVENTS:
            session.execute("DELETE FROM set_aside WHERE place = ?", [place])
            taken = _too_many(counts["rows"] / totals[name], limit)
            return replace(check, message=f"{check.message}; the {name} that refer to these rows are {taken}")
    return replace(
        check, severity="warning", message=f"{check.message}; {_words(check, by_table, totals)}", set_aside=by_table
    )


def _words(check: Check, by_table: Mapping[str, Any], totals: Mapping[str, int]) -> str:
    own = by_table[check.table]["rows"]
    text = f"set aside: {own:,} of {totals[check.table]:,} rows ({own / totals[check.table]:.3%})"
    along = [f"{counts['rows']:,} {name}" for name, counts in by_table.items() if name != check.table]
    return text + (f", and with them {' and '.join(along)}" if along else "")


def _taken(session: duckdb.DuckDBPyConnection, names: Collection[str]) -> SetAside:
    tables = {}
    for name in names:
        rows = session.sql(
            f"""
            SELECT * EXCLUDE ({FILE}, {ROW}) FROM {numbered(name)} JOIN (
                SELECT {FILE}, {ROW}, list(DISTINCT reason ORDER BY reason) AS {REASONS}
                FROM set_aside WHERE name = ? GROUP BY ALL
            ) USING ({FILE}, {ROW}) ORDER BY {FILE}, {ROW}
            """,
            params=[name],
        ).to_arrow_table()
        if rows.num_rows:
            tables[name] = rows
    lists = session.execute(f"SELECT {FILE}, list(DISTINCT {ROW} ORDER BY {ROW}) FROM set_aside GROUP BY 1 ORDER BY 1")
    return SetAside(tables, {file: np.array(rows, np.int64) for file, rows in lists.fetchall()})


def write_kept(tables: Path, folder: Path, places: Mapping[str, NDArray[np.int64]]) -> None:
    """The Parquet of `tables` in `folder`, without the rows at `places`; one that loses none is linked.

    The note under which key ids are pseudonyms goes with them.
    """
    left = dict(places)
    if (tables / PSEUDONYMS).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _link(tables / PSEUDONYMS, folder / PSEUDONYMS)
    for path in sorted(tables.rglob("*.parquet")):
        target = folder / path.relative_to(tables)
        target.parent.mkdir(parents=True, exist_ok=True)
        gone = left.pop(str(path), None)
        if gone is None:
            _link(path, target)
            continue
        rows = pq.ParquetFile(path).read()
        kept = np.ones(rows.num_rows, bool)
        kept[gone] = False
        if kept.any():
            pq.write_table(rows.filter(pa.array(kept)), target, compression="zstd")
    if left:
        raise TriadError("files are gone while they were read", where=", ".join(left), mend="run `triad ingest` again")


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path.resolve(), target)
    except OSError:  # another device, or a file system without links
        shutil.copyfile(path, target)


def write_quarantine(folder: Path, aside: SetAside) -> None:
    """One Parquet a table that lost rows, and `summary.json`: table → rows."""
    for name, rows in aside.tables.items():
        pq.write_table(rows, folder / f"{name}.parquet", compression="zstd")
    write_json(folder / "summary.json", {name: rows.num_rows for name, rows in aside.tables.items()})
