"""One long text, or one user who does most of what is done, costs what it is long, not that times all else."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest
from make_dataset import make_dataset

from triad.features.labels import reached
from triad.fusion import neighbours
from triad.fusion.neighbours import item_neighbours
from triad.validation.sampling import pick_users, read_events, read_impressions

LONG = """
import resource, sys
sys.path.insert(0, {tests!r})
import pyarrow as pa
from make_tables import make_tables
from triad.features import catalogue
from triad.tables import connect
tables = make_tables(users=20, items=2000, shown=200)
items = tables["items"]
for column in ("title", "brand", "category"):
    values = items[column].to_pylist()
    values[7] = "word " * {words}
    items = items.set_column(items.column_names.index(column), column, pa.array(values, pa.string()))
with connect(tables | {{"items": items}}, threads=1) as session:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    known = catalogue.read(session, 3)
    assert max(map(len, known.titles)) == 5 * {words}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("words", [20_000, 80_000])
def test_one_long_text_costs_its_length(words: int) -> None:
    script = LONG.format(tests=str(Path(__file__).parent), words=words)
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 300_000, "KB; 2,000 texts of a fixed width would be 800,000 and more"


def _rows(session: duckdb.DuckDBPyConnection, query: str) -> int:
    """Rows that all operators of `query` give."""
    plan = json.loads(session.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}").fetchall()[0][1])

    def total(node: dict) -> int:
        return node.get("operator_cardinality", 0) + sum(map(total, node.get("children", [])))

    return total(plan)


@pytest.mark.parametrize("visit", ["1", "NULL", "i"], ids=["one session", "no session", "each its own"])
def test_many_clicks_of_one_user_on_one_item_are_not_multiplied(visit: str) -> None:
    def work(n: int) -> int:
        with duckdb.connect() as session:
            session.execute(f"CREATE TABLE exposure AS SELECT i AS row, 0 AS user_no, 0 AS item_no, "
                            f"({visit})::UBIGINT AS visit, i * 2 AS time FROM range({n}) r(i)")  # fmt: skip
            session.execute("CREATE TABLE activity AS SELECT *, time + 1 AS at, 1 AS kind FROM exposure")
            return _rows(session, reached((1, 1), 24))

    assert work(4000) <= 6 * work(1000)


@pytest.mark.parametrize("name", ['a"b; drop', "order", "select", "two words", "user's", "recent"])
def test_an_attribute_may_be_called_anything(name: str) -> None:
    with duckdb.connect() as session:
        session.execute("SET TimeZone = 'UTC'")
        session.execute("CREATE TABLE items AS SELECT 'i' AS item_id, 'a/b' AS category, 'x' AS brand")
        quoted = '"' + name.replace('"', '""') + '"'
        session.execute(f"CREATE TABLE users AS SELECT 'u' AS user_id, 'v' AS {quoted}")
        session.execute("""CREATE TABLE events AS SELECT 'e' AS event_id, 'u' AS user_id, 'i' AS item_id, kind,
            TIMESTAMPTZ '2026-01-01 00:00:00+00' + INTERVAL (n) HOUR AS occurred_at, NULL::VARCHAR AS session_id,
            1 AS position, NULL::VARCHAR AS surface, NULL::VARCHAR AS query, 1 AS price_cents, 1 AS quantity
            FROM (VALUES ('impression', 0), ('click', 1), ('purchase', 25)) v(kind, n)""")
        pick_users(session)
        columns, _, _ = read_events(session, [name], date(2026, 1, 3), 1)
        assert columns[f"users.{name}"].tolist() == ["v"] * 3
        answered = read_impressions(session)[1]
        assert answered["clicked"].tolist() == [True] and answered["purchased"].tolist() == [False]


def test_a_users_pairs_are_those_of_their_last_interactions(monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_dataset(30, 40, 0)
    whole = item_neighbours(data, neighbours=40, shrink=1.0)
    monkeypatch.setattr(neighbours, "LONGEST", 10_000)
    assert (item_neighbours(data, neighbours=40, shrink=1.0) != whole).nnz == 0
    monkeypatch.setattr(neighbours, "LONGEST", 1)
    assert item_neighbours(data, neighbours=40, shrink=1.0).nnz == 0 < whole.nnz
