"""The pieces of a source in a typed DuckDB table, with what rules and faults say of each row beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import duckdb
import pyarrow as pa

from triad import canonical
from triad.config.files import FilesParams
from triad.sources.cells import Fault, literal, quote
from triad.sources.plan import Plan, planned


def set_up(session: duckdb.DuckDBPyConnection, spill: str) -> None:
    """Let a session read what it is given, and nothing else; it may write below the folder `spill`."""
    session.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false; SET memory_limit = '3GB'")
    session.execute(f"SET temp_directory = {literal(spill)}; SET python_enable_replacements = false")
    session.execute("SET enable_external_access = false; SET lock_configuration = true")


_TOGETHER = 100_000  # rows that are inserted at once, where pieces are smaller


class Loading:
    """The DuckDB table of one table of the contract, while it is filled.

    Args:
        session: where the table is made.
        name: of the table.
        files: the mapping.
        currency: of amounts, ISO 4217.
    """

    def __init__(self, session: duckdb.DuckDBPyConnection, name: str, files: FilesParams, currency: str) -> None:
        self.session, self.name = session, name
        self.files, self.currency = files, currency
        self._plans: dict[frozenset[tuple[str, str]], Plan] = {}
        self._known: dict[pa.Schema, Plan] = {}
        self.types: list[dict[str, str]] = []  # of the pieces that were added: source column → DuckDB type

    def add(self, pieces: Iterable[pa.Table]) -> None:
        """Insert the rows of all pieces, small ones together: to plan a mapping costs as much as thousands of rows.

        Raises:
            TriadError: a column has no plain type.
        """
        waiting: list[pa.Table] = []
        for raw in pieces:
            piece = canonical.settled(raw, f"ingest.files.{self.name}")
            if waiting and (piece.schema != waiting[0].schema or sum(map(len, waiting)) + len(piece) > _TOGETHER):
                self._add(pa.concat_tables(waiting))
                waiting = []
            waiting.append(piece)
        if waiting:
            self._add(pa.concat_tables(waiting))

    def _add(self, piece: pa.Table) -> None:
        self.session.register("piece", piece)
        if piece.schema not in self._known:
            types = {row[0]: row[1] for row in self.session.execute("DESCRIBE piece").fetchall()}
            self._known[piece.schema] = self.note(types)
        self.session.execute(f"INSERT INTO {self.name} BY NAME {self._known[piece.schema].select('piece')}")
        self.session.unregister("piece")

    def insert(self, made: Sequence[pa.Table]) -> None:
        """Insert rows that were made in an earlier night, of types that were prepared. What they lack is empty."""
        if made:
            self.session.register("made", pa.concat_tables(made, promote_options="default"))
            self.session.execute(f"INSERT INTO {self.name} BY NAME SELECT * FROM made")
            self.session.unregister("made")

    def note(self, types: Mapping[str, str]) -> Plan:
        """`prepare` for pieces that are added."""
        if types not in self.types:
            self.types.append(dict(types))
        return self.prepare(types)

    def prepare(self, types: Mapping[str, str]) -> Plan:
        """What makes rows of source columns of these types; the table has all columns for it."""
        key = frozenset(types.items())
        if key not in self._plans:
            plan = self._plans[key] = planned(self.name, self.files, types, self.currency)
            nothing = ", ".join(f"CAST(NULL AS {kind}) AS {quote(column)}" for column, kind in types.items())
            made = plan.select(f"(SELECT {nothing})")
            self.session.execute(f"CREATE TABLE IF NOT EXISTS {self.name} AS {made} LIMIT 0")
            for fault in plan.faults:  # another file's types can fail in other ways
                self.session.execute(f"ALTER TABLE {self.name} ADD COLUMN IF NOT EXISTS {quote(fault)} VARCHAR")
        return self._plans[key]

    @property
    def is_empty(self) -> bool:
        """Whether there is no row."""
        return not self._plans or not self.session.execute(f"SELECT count(*) FROM {self.name}").fetchall()[0][0]

    @property
    def faults(self) -> dict[str, tuple[str, Fault]]:
        """All that can be wrong, by the column that tells."""
        return {name: fault for plan in self._plans.values() for name, fault in plan.faults.items()}

    @property
    def rules(self) -> list[str]:
        """What the rules say in logs, in their order."""
        return [said for said, _ in next(iter(self._plans.values())).rules]
