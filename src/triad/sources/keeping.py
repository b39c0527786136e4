"""Events that were read in an earlier night are not read again: a part (a file, a day) is kept as its rows.

What is kept is what was read and converted, before cancellations and windows, so that all that joins days is done anew.
Rows that a rule leaves out are kept without their values, and rows of persons to be forgotten not at all.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from triad.day_store import DayStore
from triad.sources.apart import Workers, bring
from triad.sources.base import ROW, Part, Rows
from triad.sources.cells import literal, quote
from triad.sources.loading import Loading
from triad.sources.reading import Files

log = logging.getLogger("triad.ingest")

_ROWS = 500_000  # that are put into the table at once
_OWN = (ROW, "is_cancellation", "rule")


@dataclass(frozen=True)
class Keeping:
    """What is done with the events of a night beside reading them.

    Args:
        store: where parts are kept; None: nowhere.
        is_gone: whether the rows of a user are to be left out; None: nobody's are.
        left_out: counts the rows that are, a table.
        workers: who reads files; None: this process.
    """

    store: DayStore | None = None
    is_gone: Callable[[str], bool] | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    workers: Workers | None = None

    def load(self, loading: Loading, source: Rows, columns: Sequence[str]) -> None:
        """Brings the events of `source` into the table of `loading`: those that are kept, then the others."""
        parts = () if self.store is None else source.parts()
        known = self._insert(loading, parts)
        newest = _newest(loading) if known else None
        if self.workers is not None and isinstance(source, Files):
            bring(self.workers, loading, source, columns, known)
        else:
            loading.add(source.pieces(columns, known if parts else None))
        fresh = [part for part in parts if part.name not in known]
        gone = self._leave_out(loading, fresh)
        if self.store is None or not parts:
            return
        changed = Counter[str]()
        for part in fresh:
            if newest and self.store.former(part.name) is None:
                before = f"{part.rows} AND rule IS NULL AND CAST(occurred_at AS DATE) < DATE '{newest}'"
                changed["late"] += _count(loading.session, loading.name, before)
            if part.version is not None and loading.types:
                changed += self._keep(self.store, loading, part, gone[part.name])
        self.store.close([part.name for part in parts if part.version is not None])
        log.info("events: %s of %s parts kept from earlier nights", f"{len(known):,}", f"{len(parts):,}")
        if changed:
            log.info(
                "events: %s came late, %s were corrected, %s are gone since the nights before",
                *(f"{changed[name]:,}" for name in ("late", "corrected", "gone")),
            )

    def _insert(self, loading: Loading, parts: Sequence[Part]) -> set[str]:
        """Puts the rows that are kept into the table; the names of the parts that need not be read."""
        known, waiting = set[str](), list[pa.Table]()
        for part in parts:
            entry = self.store.former(part.name) if self.store else None
            if self.store is None or entry is None or part.is_read_again or entry.version != part.version:
                continue
            if (rows := self.store.rows(entry)) is None:
                continue
            for types in entry.types:
                loading.prepare(types)
            at = rows.column_names.index(ROW)
            waiting.append(rows.set_column(at, ROW, pc.add(rows[ROW], part.first_row)))
            known.add(part.name)
            self.left_out[loading.name] += entry.left_out
            if sum(each.num_rows for each in waiting) > _ROWS:
                loading.insert(waiting)
                waiting = []
        loading.insert(waiting)
        return known

    def _leave_out(self, loading: Loading, fresh: Sequence[Part]) -> Counter[str]:
        """Deletes the rows of persons to be forgotten; how many a part."""
        session, counts = loading.session, Counter[str]()
        if self.is_gone is None or not loading.types:
            return counts
        ids = session.execute(f"SELECT DISTINCT user_id FROM {loading.name} WHERE user_id IS NOT NULL").fetchall()
        if not (gone := [id_ for (id_,) in ids if self.is_gone(id_)]):
            return counts
        which = f"user_id IN ({', '.join(map(literal, gone))})"
        for part in fresh:
            counts[part.name] = _count(session, loading.name, f"{which} AND {part.rows}")
        self.left_out[loading.name] += _count(session, loading.name, which)
        session.execute(f"DELETE FROM {loading.name} WHERE {which}")
        return counts

    def _keep(self, store: DayStore, loading: Loading, part: Part, left_out: int) -> Counter[str]:
        """Keeps a part that was read; what has changed since it was kept last."""
        session = loading.session
        names = [row[0] for row in session.execute(f"DESCRIBE {loading.name}").fetchall()]
        values = ", ".join(f"CASE WHEN rule IS NULL THEN {quote(n)} END AS {quote(n)}" for n in names if n not in _OWN)
        first = f"min({quote(ROW)}) OVER ()" if part.is_renumbered else str(part.first_row)
        query = (
            f"SELECT {quote(ROW)} - {first} AS {quote(ROW)}, is_cancellation, rule, {values} "
            f"FROM {loading.name} WHERE {part.rows} ORDER BY {quote(ROW)}"
        )
        rows = session.sql(query).to_arrow_table()
        empty = [n for n in rows.column_names if n not in _OWN and rows[n].null_count == rows.num_rows]
        rows = rows.drop_columns(empty)  # most of them tell faults, and there are none
        before = store.former(part.name)
        former = store.rows(before) if before else None
        assert part.version is not None
        store.put(part.name, part.version, rows, left_out=left_out, types=loading.types)
        return Counter() if former is None else _changes(session, former, rows)


def _count(session: duckdb.DuckDBPyConnection, name: str, which: str) -> int:
    return int(session.execute(f"SELECT count(*) FROM {name} WHERE {which}").fetchall()[0][0])


def _with(table: pa.Table, other: pa.Table) -> pa.Table:
    """`table` with the columns that only `other` has: what is empty is not kept."""
    for each in other.schema:
        if each.name not in table.column_names:
            table = table.append_column(each.name, pa.nulls(table.num_rows, each.type))
    return table


def _newest(loading: Loading) -> date | None:
    """The last day of what is kept."""
    query = f"SELECT CAST(max(occurred_at) AS DATE) FROM {loading.name} WHERE rule IS NULL"
    newest: date | None = loading.session.execute(query).fetchall()[0][0]
    return newest


def _changes(session: duckdb.DuckDBPyConnection, former: pa.Table, fresh: pa.Table) -> Counter[str]:
    """How many events came late, differ from what they were, or are gone."""
    columns = [name for name in dict.fromkeys([*former.column_names, *fresh.column_names]) if name not in _OWN]
    values = ", ".join(map(quote, columns))
    session.register("former", _with(former, fresh))
    session.register("fresh", _with(fresh, former))
    late, gone, corrected = session.execute(
        "SELECT count(*) FILTER (was.id IS NULL), count(*) FILTER (new.id IS NULL), "
        "count(*) FILTER (was.id = new.id AND was.held IS DISTINCT FROM new.held) FROM "
        f"(SELECT event_id AS id, row({values}) AS held FROM former WHERE rule IS NULL) AS was FULL JOIN "
        f"(SELECT event_id AS id, row({values}) AS held FROM fresh WHERE rule IS NULL) AS new USING (id)"
    ).fetchall()[0]
    session.unregister("former")
    session.unregister("fresh")
    return Counter(late=late, gone=gone, corrected=corrected)
