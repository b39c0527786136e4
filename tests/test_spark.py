"""The events on Apache Spark: the same examples as in one process, bit for bit, and clear errors where it cannot be."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from make_tables import END, START, make_tables
from test_parts import PARAMS, TASKS, same

from triad.config.params import Params
from triad.config.runtime import RuntimeParams, SparkParams
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.features import parts
from triad.features.build import fit
from triad.features.state import State
from triad.spark import session as spark_session
from triad.spark.engine import log_of
from triad.spark.handing import Handing, unpacked
from triad.spark.tables import Answer, check_types
from triad.tables import connect, write_table

MISSING = [
    name
    for name, there in (("PySpark", importlib.util.find_spec("pyspark")), ("Java", shutil.which("java")))
    if not there
]
spark = pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)}: docs/scaling.md")
LOCAL = RuntimeParams(engine="spark", spark=SparkParams(master="local[2]", settings={"spark.driver.memory": "1g"}))
MORE = {
    "sold": TaskParams(kind="binary", label="purchased", given="click"),
    "spend": TaskParams(kind="regression", label="spend", horizon_days=3),
    "demand": TaskParams(kind="regression", label="demand_move", horizon_days=3),
}


def made(folder: Path, store: Path, runtime: RuntimeParams, tasks: dict[str, TaskParams]) -> tuple[Dataset, State]:
    params = Params.model_construct(runtime=runtime, features=PARAMS)
    with connect(folder, threads=2, also=[store]) as session, log_of(params, session, folder, store) as log:
        return fit(session, PARAMS, tasks, (START, END), store=store, log=log)


def written(folder: Path, *, impressions: bool) -> Path:
    for name, table in make_tables(shown=1200, impressions=impressions).items():
        write_table(folder, name, table)
    return folder


@spark
@pytest.mark.proof
@pytest.mark.parametrize("impressions", [True, False], ids=["shown", "sampled"])
def test_a_cluster_makes_the_same_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impressions: bool) -> None:
    monkeypatch.setattr(parts, "ROWS", 400)
    tables = written(tmp_path / "tables", impressions=impressions)
    tasks = TASKS | MORE if impressions else TASKS
    own, state = made(tables, tmp_path / "own", RuntimeParams(), tasks)
    theirs, other = made(tables, tmp_path / "cluster", LOCAL, tasks)
    assert len(list((tmp_path / "cluster" / "spark" / "signal").glob("*.parquet"))) >= 3
    same(own, theirs)
    assert state.learned == other.learned
    assert (state.kinds, state.surfaces, state.warm_items) == (other.kinds, other.surfaces, other.warm_items)
    assert {name: each.rows for name, each in state.vocabularies.items()} == {
        name: each.rows for name, each in other.vocabularies.items()
    }


def test_work_arrives_whole_and_its_large_arrays_as_files(tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    large, small = np.arange(100_000), np.arange(3)
    with connect({}) as session:
        packed = Handing(tmp_path).packed((large, small, session, large))
    one, two, gone, again = unpacked(packed)
    assert gone is None
    assert one.tobytes() == again.tobytes() == large.tobytes()
    assert two.tolist() == [0, 1, 2]
    assert len(list(tmp_path.glob("*.npy"))) == 1
    assert len(packed) < 10_000


def test_answers_read_as_those_of_duckdb() -> None:
    answer = Answer(pa.table({"n": pa.array([1, None]), "x": pa.array([0.5, 1.0]), "s": pa.array(["a", None])}))
    found = answer.fetchnumpy()
    assert found["n"].tolist() == [1, None]
    assert found["x"].tolist() == [0.5, 1.0]
    assert found["s"].tolist() == ["a", None]
    assert answer.fetchone() == (1, 0.5, "a")
    assert answer.fetchall()[1] == (None, 1.0, None)


def test_tables_that_others_wrote_are_refused(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    (tmp_path / "events").mkdir()
    pq.write_table(pa.table({"event_id": [1]}), tmp_path / "events" / "part.parquet")
    with pytest.raises(TriadError, match="expected string, found int64"):
        check_types(tmp_path / "events")


def test_a_machine_without_java_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_session.shutil, "which", lambda *_, **__: None)
    with pytest.raises(TriadError, match="there is no `java`"), spark_session.started(SparkParams()):
        pass


def test_the_engine_is_a_dial() -> None:
    assert RuntimeParams().engine == "duckdb"
    assert RuntimeParams.model_validate({"engine": "spark", "spark": {"master": "yarn"}}).spark.master == "yarn"
