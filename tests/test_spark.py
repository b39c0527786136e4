"""The events on Apache Spark: the same examples as in one process, bit for bit, and clear errors where it cannot be."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from make_night import make_night
from make_tables import END, START, make_tables
from test_parts import PARAMS, TASKS, same

from triad.config.params import Params
from triad.config.recommend import RecommendParams
from triad.config.runtime import RuntimeParams, SparkParams
from triad.config.tasks import TaskParams
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.features import catalogue, parts, prices
from triad.features.build import fit
from triad.features.log import Own
from triad.features.signals import Funnel
from triad.features.sql import HOUR
from triad.features.state import State
from triad.spark import session as spark_session
from triad.spark.engine import log_of
from triad.spark.handing import Handing, unpacked
from triad.spark.parts import Shards
from triad.spark.tables import Answer, check_types, write
from triad.tables import connect, write_table
from triad.tracking import retrieving
from triad.tracking.choosing import Asked, choose
from triad.tracking.cluster import choosing_of
from triad.tracking.recommending import Pairs
from triad.tracking.serving import ServingModel

EPOCH = date(1970, 1, 1)
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


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """A Spark cluster of its own, of one worker with two cores, on loopback; its URL."""
    import pyspark

    home = Path(pyspark.__file__).parent
    environment = os.environ | {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1"}
    running: list[subprocess.Popen[bytes]] = []

    def start(what: str, *arguments: str, says: str) -> str:
        log = folder / f"{what.rpartition('.')[2]}.log"
        command = [str(home / "bin" / "spark-class"), what, "--host", "127.0.0.1", "--webui-port", "0", *arguments]
        with log.open("wb") as out:
            running.append(subprocess.Popen(command, env=environment, stdout=out, stderr=out, cwd=folder))
        for _ in range(1200):
            if found := re.search(says, log.read_text()):
                return found[0]
            time.sleep(0.1)
        raise AssertionError(log.read_text())

    try:
        url = start("org.apache.spark.deploy.master.Master", "--port", "0", says=r"spark://127\.0\.0\.1:[1-9]\d*")
        worker = ("--cores", "2", "--memory", "1g", "--work-dir", str(folder / "work"), url)
        start("org.apache.spark.deploy.worker.Worker", *worker, says="Successfully registered with master")
        yield url
    finally:
        for each in reversed(running):
            each.terminate()
            each.wait(30)


@spark
@pytest.mark.proof
def test_a_cluster_makes_the_same_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.executor.memory": "512m",
    }
    with cluster(tmp_path) as url:
        runtime = RuntimeParams(engine="spark", spark=SparkParams(master=url, settings=settings))
        compare(tmp_path, monkeypatch, runtime, impressions=False)


@spark
@pytest.mark.proof
def test_spark_on_this_machine_makes_the_same_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieving, "SHARE", 25)
    night = make_night(tmp_path / "night")
    tables, settings = night / "artifacts/validate/tables", RecommendParams(k=5, candidates=12, order_by="conversion")
    model = ServingModel.load(night / "artifacts/refit/state", night / "artifacts/refit/fuse", "1")
    own = model.recommend(tables, settings)
    assert model.fuse is not None
    monkeypatch.chdir(tmp_path)
    assert len(set(own["user_id"].to_pylist())) > 50  # of three tasks
    with choosing_of(Params.model_construct(runtime=LOCAL), model.fuse, tables, []) as choosing:
        theirs = model.recommend(tables, settings, choosing=choosing)
    assert theirs.drop(["score"]).equals(own.drop(["score"]))
    np.testing.assert_allclose(theirs["score"].to_numpy(), own["score"].to_numpy(), rtol=1e-9)


def test_what_workers_choose_for_shares_of_the_customers_is_the_whole(tmp_path: Path) -> None:
    night = make_night(tmp_path / "night")
    tables, settings = night / "artifacts/validate/tables", RecommendParams(k=5, candidates=12, order_by="conversion")
    model = ServingModel.load(night / "artifacts/refit/state", night / "artifacts/refit/fuse", "1")

    def in_shares(asked: Asked) -> list[Pairs]:
        pytest.importorskip("pyspark")
        asked = unpacked(Handing(tmp_path / "arrays").packed(asked))  # as a worker has it
        assert not len(asked.data.users.user_id)
        cuts = [range(first, min(first + 23, asked.customers)) for first in range(0, asked.customers, 23)]
        ranker = model.fused.ranker(asked.data, index=asked.index)
        return [choose(model.fused, ranker, asked, share) for share in cuts]

    own, theirs = model.recommend(tables, settings), model.recommend(tables, settings, choosing=in_shares)
    assert theirs.drop(["score"]).equals(own.drop(["score"]))
    np.testing.assert_allclose(theirs["score"].to_numpy(), own["score"].to_numpy(), rtol=1e-9)
    with choosing_of(Params.model_construct(runtime=RuntimeParams()), tmp_path, tables, []) as choosing:
        assert choosing is None


@spark
@pytest.mark.proof
def test_spark_on_this_machine_makes_the_same_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare(tmp_path, monkeypatch, LOCAL, impressions=True)


def compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: RuntimeParams, *, impressions: bool) -> None:
    monkeypatch.setattr(parts, "ROWS", 400)
    tables = written(tmp_path / "tables", impressions=impressions)
    tasks = TASKS | MORE if impressions else TASKS
    own, state = made(tables, tmp_path / "own", RuntimeParams(), tasks)
    theirs, other = made(tables, tmp_path / "cluster", runtime, tasks)
    assert len(list((tmp_path / "cluster" / "spark" / "signal").glob("*.parquet"))) >= 3
    same(own, theirs)
    assert state.learned == other.learned
    assert (state.kinds, state.surfaces, state.warm_items) == (other.kinds, other.surfaces, other.warm_items)
    assert {name: each.rows for name, each in state.vocabularies.items()} == {
        name: each.rows for name, each in other.vocabularies.items()
    }


def test_what_workers_make_of_parts_is_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ROWS", 400)
    funnel, shards = Funnel((0, 1, 2, 3), (1,)), Shards(tmp_path)
    with connect(make_tables(shown=1200), threads=2) as session:
        known = catalogue.read(session, 1)
        prices.build(session, True, (END - EPOCH).days, known)
        log = Own(session)
        log.measure(funnel, 0, 1, 24)
        for name in ("item_row", "price_grid", "place", "base_rate"):
            write(session, f"FROM {name}", shards.known / f"{name}.parquet")
        made = list(log.parts(len(known.user_id)))
        assert len(made) >= 3
        for part in made:
            own = shards.activity / f"part={part.users[0]}" / "0.parquet"
            write(session, f"FROM activity WHERE {part.users_where}", own)
            assert shards.exposed(part, 0, 0, 1) == part.rows[1] - part.rows[0]
            assert shards.exposed(part, 0, 0, 1) == part.rows[1] - part.rows[0]  # by what lies there
            shards.signed(part, funnel)
            with shards.opened(part) as theirs:
                for table, where in (("exposure", part.rows_where), ("signal", part.users_where)):
                    rows = theirs.execute(f"FROM {table} ORDER BY ALL").fetchall()
                    assert rows == session.execute(f"FROM {table} WHERE {where} ORDER BY ALL").fetchall()
        reached = np.concatenate([shards.reached(part, (1,), HOUR) for part in made])
        assert reached.tolist() == log.reached((1,), HOUR).tolist()
        assert len(reached) > 100


def test_the_only_part_of_a_cluster_lies_on_the_disk(tmp_path: Path) -> None:
    with connect(make_tables(shown=300)) as session:
        log = Own(session)
        whole = fit(session, PARAMS, TASKS, (START, END), log=log)[0]
    with connect(make_tables(shown=300)) as session:
        log = Own(session)
        log.is_here = False
        same(whole, fit(session, PARAMS, TASKS, (START, END), log=log, store=tmp_path)[0])
    assert len(list((tmp_path / "parts").glob("*.npz"))) == 1


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
