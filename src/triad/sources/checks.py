"""What a table must be once it is read: its values, rows and keys, each fault with its place and its mend."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from triad.config.files import FilesParams
from triad.errors import TriadError
from triad.redaction import Privacy, shown
from triad.schema import TABLES, Column
from triad.sources.base import ROW, Rows
from triad.sources.cells import CONSTANT, Fault, quote
from triad.sources.mapping import sources
from triad.sources.plan import column_of

log = logging.getLogger("triad.ingest")


def check_faults(
    session: duckdb.DuckDBPyConnection,
    name: str,
    source: Rows,
    faults: Mapping[str, tuple[str, Fault]],
    files: FilesParams,
) -> None:
    for made, (column, fault) in faults.items():
        text = quote(made)
        bad = f"{text} IS NOT NULL AND NOT is_cancellation" + (" AND rule IS NULL" if column else "")
        count = session.execute(f"SELECT count(*) FROM {name} WHERE {bad}").fetchall()[0][0]
        if count and fault.counted:
            log.info("%s.%s: %s rows %s; %s", name, column, f"{count:,}", fault.what, fault.mend)
        elif count:
            query = f"SELECT {quote(ROW)}, {text} FROM {name} WHERE {bad} ORDER BY 1 LIMIT 3"
            rows = [(*source.place(row), text) for row, text in session.execute(query).fetchall()]
            personal = _personal(name, files, fault.source)
            samples = ", ".join(
                f"row {row} {shown(text, personal=personal)}" for file, row, text in rows if file == rows[0][0]
            )
            raise TriadError(
                f"{fault.what} in {count:,} row{'s' * (count > 1)}: {samples}",
                where=f"{rows[0][0]}, column {fault.source}" + (f" → {name}.{column}" if column else ""),
                mend=f"{fault.mend} (at {source.where})",
            )


def _personal(name: str, files: FilesParams, source: str) -> bool:
    """Whether a source column may say something of a person: a personal column is made of it, or none is."""
    made = [column_of(name, n) for n, params in files.tables[name].columns.items() if source in sources(params)]
    if name == "events":
        tables = {other: table for other, table in files.tables.items() if table.from_}
        made += [
            column_of(o, n) for o, t in tables.items() for n, params in t.columns.items() if source in sources(params)
        ]
    return source != CONSTANT and (not made or any(_says_who(column) for column in made))


def _says_who(column: Column) -> bool:
    return column.personal and column.type == "string"


def leave_out(session: duckdb.DuckDBPyConnection, name: str, rules: Sequence[str], where: str) -> None:
    query = f"SELECT rule, is_cancellation, count(*) FROM {name} GROUP BY ALL ORDER BY ALL"
    counts = {(rule, gone): n for rule, gone, n in session.execute(query).fetchall()}
    said = [f"{counts[number, False]:,} {text}" for number, text in enumerate(rules) if (number, False) in counts]
    log.info("%s: %s rows read; left out: %s", name, f"{sum(counts.values()):,}", "; ".join(said) or "none")
    if (None, False) not in counts:
        mend = "correct `where`, `drop`, `cancelled` or the column of the user"
        raise TriadError(
            f"no row is left; left out: {'; '.join(said) or 'all are cancellations'}", where=where, mend=mend
        )
    session.execute(f"DELETE FROM {name} WHERE rule IS NOT NULL")


def check_keys(session: duckdb.DuckDBPyConnection, name: str, files: Rows, made: frozenset[str]) -> None:
    key = ", ".join(map(quote, TABLES[name].key))
    twice = (
        f"SELECT {key}, count(*) AS n, min({quote(ROW)}) AS first, max({quote(ROW)}) AS last FROM {name} "
        f"WHERE NOT is_cancellation GROUP BY {key} HAVING n > 1"
    )
    keys, rows = session.execute(f"SELECT count(*), sum(n) FROM ({twice})").fetchall()[0]
    if keys:
        samples = []
        for *values, _, first, last in session.execute(f"{twice} ORDER BY first LIMIT 3").fetchall():
            (file, row), (other, again) = files.place(first), files.place(last)
            columns = zip(TABLES[name].key, values, strict=True)
            key_shown = ":".join(shown(v, personal=Privacy(made=made).hides(name, n)) for n, v in columns)
            samples.append(f"{key_shown} in row {row} and row {again}" + (f" of {other}" if other != file else ""))
        ids = ", or let the mapping make ids: event_id: {row_number: true} or {key: [column, …]}"
        mend = "remove the repeats" + (ids if name == "events" else "")
        raise TriadError(
            f"{keys:,} duplicated id{'s' * (keys > 1)} in {rows:,} rows: {'; '.join(samples)}",
            where=f"{files.name}, {name}.{'+'.join(TABLES[name].key)}",
            mend=mend,
        )


def check_complete(name: str, data: pa.Table) -> None:
    """What a file leaves empty is found with its rows; this is for what was derived."""
    for column in TABLES[name].columns:
        if not column.nullable and (count := data[column.name].null_count):
            key = TABLES[name].key[0]
            unknown = data.filter(pc.is_null(data[column.name]))[key][:3].to_pylist()
            samples = ", ".join(shown(each, personal=_says_who(TABLES[name].column(key))) for each in unknown)
            raise TriadError(
                f"unknown for {count:,} of {data.num_rows:,} rows, such as {samples}: no event of theirs tells it",
                where=f"table {name} derived from events, column {column.name}",
                mend=f"map it on the events' rows, or read {name} from a file: ingest.files.{name}.path",
            )
