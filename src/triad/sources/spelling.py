"""Finds ids that look the same to people but differ: `12.0` and `12`, `a` and `a `, two Unicode forms of é."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from triad.errors import TriadError
from triad.redaction import shown
from triad.schema import TABLES

_BLANK = "\\s\u00a0\u202f\u3000"
_INVISIBLE = "\u00ad\u200b-\u200f\u2060\ufeff"
_VISIBLE = f"regexp_replace(nfc_normalize(id), '^[{_BLANK}]+|[{_BLANK}]+$|[{_INVISIBLE}]', '', 'g')"
_READ = rf"regexp_replace({_VISIBLE}, '^(-?\d+)\.0+$', '\1')"


def check_spelling(session: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> None:
    """Whether each user and item is written in one way over all DuckDB `tables` of the contract.

    Raises:
        TriadError: one is written in two.
    """
    for column in ("user_id", "item_id"):
        holding = [name for name in tables if column in TABLES[name].names]
        if not holding:
            continue
        ids = " UNION ALL ".join(f"SELECT {column} AS id FROM {name}" for name in holding)
        distinct = f"SELECT DISTINCT id FROM ({ids}) WHERE id IS NOT NULL"
        twice = f"SELECT min(id), max(id) FROM ({distinct}) GROUP BY {_READ} HAVING count(*) > 1 ORDER BY ALL"
        if pairs := session.execute(twice).fetchall():
            one, other = (shown(each, personal=column == "user_id") for each in pairs[0])
            raise TriadError(
                f"ids written in two ways: {len(pairs):,}, such as {one} and {other}",
                where=f"column {column} of {', '.join(holding)}",
                mend="make them one: remove_suffix: '.0', strip: true, remove: [a sign], or map",
            )
