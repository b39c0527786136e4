"""One long text, or one user who does most of what is done, costs what it is long, not that times all else."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from make_dataset import make_dataset
from make_tables import END, START, make_tables
from scipy.sparse import csr_array

from triad.arrays import Floats, Ints
from triad.config.features import FeaturesParams
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.evaluation.window import slices, window
from triad.examples.dataset import Dataset
from triad.features import searches
from triad.features.build import fit, transform
from triad.features.dataset import Streams
from triad.features.state import State
from triad.members import pairs as counted
from triad.members.ease import ease, successors
from triad.members.mask_seen import MaskSeen
from triad.members.pairs import item_neighbours
from triad.members.transitions import transitions
from triad.ranking import target_ranks
from triad.tables import connect
from triad.tasks.following import reached
from triad.texts import Texts
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
        return node["intermediate_rows"] + sum(map(total, node.get("children", [])))

    return sum(map(total, plan.get("operator", [])))  # a count that the table's statistics answer has no operators


@pytest.mark.parametrize("visit", ["1", "NULL", "i"], ids=["one session", "no session", "each its own"])
def test_many_clicks_of_one_user_on_one_item_are_not_multiplied(visit: str) -> None:
    def work(n: int) -> int:
        with duckdb.connect() as session:
            session.execute(f"CREATE TABLE exposure AS SELECT i AS row, 0 AS user_no, 0 AS item_no, "
                            f"({visit})::UBIGINT AS visit, i * 2 AS time FROM range({n}) r(i)")  # fmt: skip
            session.execute("CREATE TABLE activity AS SELECT *, time + 1 AS at, 1 AS kind FROM exposure")
            return _rows(session, reached((1, 1), 86_400_000_000))

    assert 4000 < work(4000) <= 6 * work(1000)


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


WEIGHTS: dict[str, Callable[[Dataset], csr_array]] = {
    "item_knn": lambda data: item_neighbours(data, neighbours=40, shrink=1.0),
    "ease": lambda data: ease(data, ridge=2.0, neighbours=40),
    "transitions": lambda data: transitions(data, reach=5, fade=0.5, backward=0.7, shrink=1.0, neighbours=40),
    "successors": lambda data: successors(data, ridge=2.0, reach=5, past_decay=0.7, future_decay=0.7, neighbours=40),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_users_pairs_are_those_of_their_last_interactions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_dataset(30, 40, 0)
    whole = WEIGHTS[name](data)
    monkeypatch.setattr(counted, "LONGEST", 10_000)
    assert (WEIGHTS[name](data) != whole).nnz == 0
    monkeypatch.setattr(counted, "LONGEST", 1)
    assert WEIGHTS[name](data).nnz == 0 < whole.nnz


@pytest.mark.parametrize("name", ["item_knn", "transitions"])
@pytest.mark.parametrize("pairs", [1, 500, 1 << 40])
def test_pairs_are_the_same_however_many_are_counted_at_once(
    name: str, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_dataset(30, 40, 0)
    whole = WEIGHTS[name](data)
    monkeypatch.setattr(counted, "PAIRS", pairs)
    again = WEIGHTS[name](data)
    assert again.shape == whole.shape and (again != whole).nnz == 0 < whole.nnz


def test_memory_for_pairs_follows_a_piece_and_not_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grocer's households take hundreds of products each, so that nearly all pairs of products occur."""
    random = np.random.default_rng(1)
    taken = csr_array((random.random((300, 1500)) < 0.3).astype(np.float32))
    whole = _peak(lambda: counted.shrunk_cosine(taken, neighbours=10, shrink=1.0))
    monkeypatch.setattr(counted, "PAIRS", 1 << 20)
    assert _peak(lambda: counted.shrunk_cosine(taken, neighbours=10, shrink=1.0)) < 0.5 * whole


def _bot(steps: int, items: int) -> Dataset:
    """One user who took item after item, round and round."""
    data = make_dataset(2, items, 0)
    item = np.arange(steps) % items
    zero = np.zeros(steps, np.int64)
    return replace(data, streams=Streams(np.array([0, steps, steps]), item, zero + 1, np.arange(steps), zero))


def _peak(work: Callable[[], object]) -> int:
    """Bytes held at once while `work` runs."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@dataclass(frozen=True)
class Even:
    """A member that finds all items alike."""

    tasks: tuple[str, ...] = ()
    ranks: bool = True

    def rank(self, data: Dataset, users: Ints, history: Ints) -> Floats:
        return np.full((len(users), len(data.items.item_id)), 1 / len(data.items.item_id))


def test_a_bots_many_questions_read_its_history_once() -> None:
    data, queries = _bot(40_000, 50), 400
    history = np.linspace(1, 40_000, queries).astype(int)
    found = []
    peak = _peak(lambda: found.append(MaskSeen(Even()).rank(data, np.zeros(queries, int), history)))
    assert peak < 20 << 20, "of 400 × 40,000 steps: 380 MB"
    taken = np.minimum(history, 50)
    assert (found[0] == 0).sum(axis=1).tolist() == np.where(taken < 50, taken, 0).tolist()
    assert found[0].sum(axis=1) == pytest.approx(1), "who took everything is shown what the member says"


@pytest.mark.parametrize("name", ["brand", "two words"])
def test_a_long_query_stands_beside_none_of_its_words(name: str) -> None:
    brands = [f"w{n}" if name == "brand" else f"w{n} w{n + 1}" for n in range(50)]
    known = SimpleNamespace(brands=Texts.of(brands), brand=np.arange(50, dtype=np.int32), item_id=brands)
    with duckdb.connect(config={"threads": 1, "memory_limit": "100MB", "temp_directory": ""}) as session:
        words = " ".join(f"w{n}" for n in range(20_000))
        session.execute("CREATE TABLE query_row AS SELECT ? AS query, 0::INT AS query_no", [words])
        session.execute("CREATE TABLE activity AS SELECT 0 AS user_no, 1 AS day, 1::UBIGINT AS visit, 0 AS query_no")
        assert searches.read(session, known).naming.tolist() == list(range(50))  # type: ignore[arg-type]


class Counted(np.ndarray):
    """Counts what ufuncs make of it, comparisons among them."""

    made = 0

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: object, **options: Any) -> object:
        plain = [each.view(np.ndarray) if isinstance(each, Counted) else each for each in inputs]
        found = getattr(ufunc, method)(*plain, **options)
        Counted.made += np.size(found)
        return found


@pytest.mark.parametrize("targets", [1, 17, 4000])
def test_a_basket_of_all_items_is_not_compared_with_all_items(targets: int) -> None:
    scores = np.random.default_rng(0).permutation(4000)[None].astype(float)
    Counted.made = 0
    ranks = target_ranks(scores.view(Counted), np.zeros(targets, int), np.arange(targets))
    assert (ranks == 4000 - scores[0, :targets]).all()
    assert Counted.made < 20 * 4000


@pytest.fixture(scope="module")
def shop() -> tuple[dict[str, pa.Table], State]:
    tables = make_tables(users=30, items=12, shown=1500)
    params = FeaturesParams(split_days={"validation": 5, "fusion": 5, "test": 5}, user_attributes=("country",))
    with connect(tables, threads=1) as session:
        return tables, fit(session, params, {"click": TaskParams(kind="binary", label="clicked")}, (START, END))[1]


class Watched:
    """A session that adds up the rows that all operators of its queries give."""

    def __init__(self, session: duckdb.DuckDBPyConnection) -> None:
        self.session, self.rows = session, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def execute(self, query: str) -> duckdb.DuckDBPyConnection:
        made = query.split(" AS", 1)[1] if query.lstrip().startswith("CREATE") else query
        if made.lstrip().startswith(("SELECT", "WITH")):
            self.rows += _rows(self.session, made)
        return self.session.execute(query)


@pytest.mark.parametrize("shown", [True, False], ids=["impressions", "sampled"])
@pytest.mark.parametrize(
    "columns", [["user_id"], ["item_id"], ["session_id"], ["surface"], ["user_id", "item_id", "session_id", "surface"]]
)
def test_who_holds_most_rows_multiplies_none(columns: list[str], shown: bool) -> None:
    params = FeaturesParams(split_days={"validation": 5, "fusion": 5, "test": 5}, sampled_negatives=0 if shown else 2)
    tasks = {"buy": TaskParams(kind="binary", label="purchased")}

    def work(n: int) -> int:
        tables = make_tables(users=30, items=12, shown=n, impressions=shown)
        events = tables["events"]
        most = pa.array(np.arange(len(events)) % 10 > 0)
        for name in columns:
            values = pc.if_else(most, events[name].drop_null()[0], events[name])
            events = events.set_column(events.column_names.index(name), name, values)
        with connect(tables | {"events": events}, threads=1) as session:
            watched = Watched(session)
            fit(watched, params, tasks, (START, END))  # type: ignore[arg-type]
            return watched.rows

    assert 40_000 < work(4000) < 5 * work(1000)


@pytest.mark.parametrize("name", ["users", "items", "events", "prices"])
def test_what_stands_twice_is_refused_before_it_is_joined(name: str, shop: tuple[dict[str, pa.Table], State]) -> None:
    tables, state = shop
    again = pa.concat_tables([tables[name], *[tables[name].slice(3, 1)] * 2])
    with (
        connect(tables | {name: again}, threads=1) as session,
        pytest.raises(TriadError, match=rf"table {name}, .*more than once \(3 rows\)"),
    ):
        transform(session, state)


@pytest.mark.parametrize("table", ["events", "prices"])
@pytest.mark.parametrize("day", [date(1969, 12, 31), date(2005, 1, 1), date(9999, 1, 1)])
def test_one_wrong_year_makes_no_grid_of_days(table: str, day: date, shop: tuple[dict[str, pa.Table], State]) -> None:
    tables, state = shop
    column = {"events": "occurred_at", "prices": "day"}[table]
    old = tables[table][column].combine_chunks()
    days = pa.concat_arrays([pa.array([day]).cast(old.type), old.slice(1)])
    wrong = tables[table].set_column(tables[table].column_names.index(column), column, days)
    with connect(tables | {table: wrong}, threads=1) as session, pytest.raises(TriadError, match="reach over"):
        transform(session, state)


def test_a_surface_a_row_makes_no_slice_a_row() -> None:
    data = make_dataset(30, 40, 0)
    asked = window(data, "test", 100, 0)
    names = np.array([f"{n}" for n in range(len(asked.rows))], dtype=object)
    category = np.zeros(40, int).astype(str)
    found = [part for part in slices(data, asked, category, names) if part.group == "surface"]
    assert len(found) == 13 and sum(part.rows.sum() for part in found) == len(names)
    few = [
        part.name for part in slices(data, asked, category, np.where(names < "3", "b", "a")) if part.group == "surface"
    ]
    assert few == ["a", "b"]


FIT = """
import resource, sys
sys.path.insert(0, {tests!r})
import pyarrow as pa
from make_tables import END, START, make_tables
from triad.config.features import FeaturesParams
from triad.config.tasks import TaskParams
from triad.features.build import fit
from triad.tables import connect
tables = make_tables(users=2000, items=2000, shown=2000)
for table, column in {columns!r}:
    values = tables[table][column].to_pylist()
    values[7] = "word " * {words}
    place = tables[table].column_names.index(column)
    tables[table] = tables[table].set_column(place, column, pa.array(values, pa.string()))
params = FeaturesParams(
    split_days=dict(validation=5, fusion=5, test=5), user_attributes=("country",), max_oov_rate=1, min_count=1
)
tasks = dict(click=TaskParams(kind="binary", label="clicked"))
with connect(tables, threads=1) as session:
    fit(session, params, tasks, (START, END))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
LONG_COLUMNS = [
    *(("items", name) for name in ("title", "brand", "category")),
    ("users", "country"),
    *(("events", name) for name in ("query", "session_id", "surface")),
]


def test_a_night_with_long_texts_costs_their_length() -> None:
    def spent(words: int) -> int:
        script = FIT.format(tests=str(Path(__file__).parent), columns=LONG_COLUMNS, words=words)
        done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
        return int(done.stdout)

    assert spent(20_000) - spent(1) < 200_000, "KB; 2,000 texts of a fixed width would be 800,000 and more"
