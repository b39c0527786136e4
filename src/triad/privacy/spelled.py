"""Whether ids that are to be forgotten stand in the tables at hand just so, or others that look the same do.

A list obeys texts to the letter: `007`, `7.0` or `7 ` forgets nobody where the tables say `7`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from triad.artifacts import INGESTED, TABLES
from triad.paths import pattern, sql_text
from triad.privacy.pseudonyms import key
from triad.sources.spelling import PADDED
from triad.tables import confine
from triad.worktree import every

_COLUMN = {"user": ("users", "user_id"), "message": ("conversations", "message_id")}


def doubts(here: Path, ids: Sequence[str], kind: str) -> Iterator[str]:
    """What to say of ids that no table of the checkout `here` and its worktrees holds; nothing where it has none."""
    table, column = _COLUMN[kind]
    worktrees = every(here) if (here / ".git").exists() else [here]
    folders = [each for tree in worktrees for part in (INGESTED, TABLES) if (each := tree / part / table).is_dir()]
    folders = [each for each in folders if any(each.rglob("*.parquet"))]
    if not folders:
        return
    secret = key()
    with duckdb.connect() as session:
        confine(session, *folders)
        places = ", ".join(sql_text(f"{pattern(each)}/**/*.parquet") for each in folders)
        session.execute(
            f"CREATE TABLE known AS SELECT DISTINCT CAST({column} AS VARCHAR) AS id "
            f"FROM read_parquet([{places}], union_by_name = true)"
        )
        names = [secret.pseudonym(id_, kind) if secret else id_ for id_ in ids]
        session.register("wanted", pa.table({"id": pa.array(ids, pa.string()), "name": pa.array(names, pa.string())}))
        session.execute(
            f"""CREATE TABLE asked AS SELECT id, lower({PADDED}) AS bare,
            id IN (FROM known) OR name IN (FROM known) AS held FROM wanted"""
        )
        # what looks like another that is asked about, and is held, need not be told
        alike = f"""SELECT a.id, list(k.id ORDER BY k.id)[:5]
            FROM asked a LEFT JOIN (SELECT id, lower({PADDED}) AS bare FROM known) k USING (bare)
            WHERE bare NOT IN (SELECT bare FROM asked WHERE held) GROUP BY a.id ORDER BY a.id"""
        for id_, others in session.execute(alike).fetchall():
            if alikes := [other for other in others if other is not None]:
                said = ", ".join(map(repr, alikes))
                yield f"no table at hand holds {id_!r}, but {said} looks the same: forget that, if it is this person"
            else:
                yield f"no table at hand holds {id_!r}: is it spelled as in {table}.{column}?"
