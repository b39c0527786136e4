"""Finds ids that look the same to people but differ: `12.0` and `12`, `a` and `a `, two Unicode forms of é."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import duckdb

from triad.errors import TriadError
from triad.redaction import shown
from triad.schema import TABLES
from triad.sources.cells import BLANK

log = logging.getLogger("triad.ingest")

_INVISIBLE = "\u00ad\u200b-\u200f\u2060\ufeff"
_QUOTED = "^=?[\"'\u2019]+|[\"'\u2019]+$"  # as spreadsheets write numbers that they shall leave alone: '007, ="007"
_UUID = r"\{?[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?"
_BARE = f"regexp_replace(nfc_normalize(id), '^[{BLANK}]+|[{BLANK}]+$|[{_INVISIBLE}]', '', 'g')"
_ASCII = f"translate({_BARE}, '\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19', '0123456789')"
_VISIBLE = f"regexp_replace({_ASCII}, '{_QUOTED.replace(chr(39), chr(39) * 2)}', '', 'g')"
_NUMBER = rf"regexp_replace({_VISIBLE}, '^\+?(-?\d+)(?:\.0+|,0)?$', '\1')"
_READ = (
    f"CASE WHEN regexp_full_match({_VISIBLE}, '{_UUID}') "
    rf"THEN lower(regexp_replace({_VISIBLE}, '[{{}}-]', '', 'g')) ELSE {_NUMBER} END"
)
PADDED = rf"regexp_replace({_READ}, '^0+(\d+)$', '\1')"
"""SQL for the column `id` without what people do not see, or take for nothing: blanks, quotes, `.0`, leading zeros."""


def check_spelling(session: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> None:
    """Whether each user and item is written in one way over all DuckDB `tables` of the contract.

    Ids that differ by leading zeros alone may be two. The log names them.

    Raises:
        TriadError: one is written in two.
    """
    for column in ("user_id", "item_id"):
        holding = [name for name in tables if column in TABLES[name].names]
        if not holding:
            continue
        where = f"column {column} of {', '.join(holding)}"
        ids = " UNION ALL ".join(f"SELECT {column} AS id FROM {name}" for name in holding)
        session.execute(f"CREATE OR REPLACE TEMP TABLE spelled AS SELECT DISTINCT id FROM ({ids}) WHERE id IS NOT NULL")
        if said := _twice(session, _READ, column):
            mend = "make them one: remove_suffix: '.0', strip: true, case: lower, remove: [a sign], or map"
            raise TriadError(f"ids written in two ways: {said}", where=where, mend=mend)
        if said := _twice(session, PADDED, column):
            log.warning("%s: ids that differ by leading zeros alone: %s. Are they the same?", where, said)


def _twice(session: duckdb.DuckDBPyConnection, read: str, column: str) -> str:
    """How many ids `read` makes one of, and an example; empty if none."""
    query = f"SELECT min(id), max(id) FROM spelled GROUP BY {read} HAVING count(*) > 1 ORDER BY ALL"
    pairs = session.execute(query).fetchall()
    if not pairs:
        return ""
    one, other = (shown(each, personal=column == "user_id") for each in pairs[0])
    return f"{len(pairs):,}, such as {one} and {other}"
