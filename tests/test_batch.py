"""Many rows at once: the answers of one request each, the same file by each engine, whole or not at all."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from make_asked import make_asked

from triad.batch import commands, modes, requests, run
from triad.batch.run import Question, batch
from triad.config.params import Params
from triad.config.runtime import RuntimeParams, SparkParams
from triad.errors import TriadError
from triad.fusion.fused import Fused
from triad.serving import asking
from triad.serving.night import Night
from triad.spark.handing import unpacked
from triad.tables import write_table
from triad.tracking.asked import answer

LOCAL = RuntimeParams(engine="spark", spark=SparkParams(master="local[2]", settings={"spark.driver.memory": "1g"}))
MORE = {"k": 4, "tone": "plain", "length": "any"}
REQUESTS: dict[str, dict[str, list[Any]]] = {
    "score": {
        "user_id": [f"u{n % 60:04d}" if n % 7 else "nobody" for n in range(100)],
        "item_id": [f"i{n % 30:04d}" for n in range(100)],
    },
    "search": {
        "query": [("blue thing", "zzz", "b1 things")[n % 3] for n in range(40)],
        "user_id": [(None, "u0003", "u0004", "u9999")[n % 4] for n in range(40)],
    },
    "answer": {
        "message_id": [f"m{n}" for n in range(50)],
        "message": [("where is my parcel", "how do i send it back", "", "👍")[n % 4] for n in range(50)],
    },
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A model whose fusion lies in a folder, the tables' folder, and the model of one night."""
    folder = tmp_path_factory.mktemp("batch")
    model, tables, settings = make_asked()
    model.fused.save(folder / "fuse")
    model = replace(model, fused=Fused.load(folder / "fuse"), fuse=folder / "fuse")
    for name, table in tables.items():
        write_table(folder / "tables", name, table)
    return SimpleNamespace(model=model, held=tables, tables=folder / "tables", online=Night.of(model, tables, settings))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of one's own, by small blocks."""
    monkeypatch.chdir(tmp_path)
    for name, mode in modes.MODES.items():
        monkeypatch.setitem(modes.MODES, name, replace(mode, rows=16))


def asked(made: Any, mode: str, rows: dict[str, list[Any]], runtime: RuntimeParams | None = None) -> Path:
    """The answers to `rows`, which lie in three row groups of two files."""
    folder, table = Path("requests"), pa.table(rows)
    folder.mkdir(exist_ok=True)
    pq.write_table(table.slice(0, 35), folder / "a.parquet", row_group_size=20)
    pq.write_table(table.slice(35), folder / "b.parquet")
    params = Params.model_construct(runtime=runtime or RuntimeParams())
    output = Path("answers.parquet")
    assert batch(params, made.model, Question(mode, folder, made.tables, MORE), output) == table.num_rows
    return output


def on_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each task run here, with what it would get on a worker."""
    pytest.importorskip("pyspark")

    def each(_: Any, handing: Any, task: Any, numbers: Sequence[int]) -> list[Any]:
        return [unpacked(handing.packed(task))(number) for number in numbers]

    monkeypatch.setattr(run, "started", lambda _: nullcontext())
    monkeypatch.setattr(run, "each", each)


def test_pairs_have_the_scores_that_they_have_online(made: Any) -> None:
    table, night = pq.read_table(asked(made, "score", REQUESTS["score"])), made.online
    assert table["user_id"].to_pylist() == REQUESTS["score"]["user_id"]
    assert table["is_known"].to_pylist() == [user != "nobody" for user in REQUESTS["score"]["user_id"]]
    for row in table.slice(0, 20).to_pylist():
        visit = night.visit(night.users.get(row["user_id"], night.guest), [], night.moment)
        (own,) = asking.score(visit, np.array([night.items[row["item_id"]]]), [1], [night.surface])["click"]
        assert own == pytest.approx(row["click"], rel=1e-9)
    assert len(set(table["click"].to_pylist())) > 30


def test_searches_and_messages_are_answered_as_online(made: Any) -> None:
    table = pq.read_table(asked(made, "search", REQUESTS["search"])).to_pandas()
    assert table["query"].tolist() == [query for query in REQUESTS["search"]["query"] for _ in range(4)]
    for place in (0, 1, 2, 3, 13):
        query, user = (REQUESTS["search"][name][place] for name in ("query", "user_id"))
        own = answer(made.model, dict(made.held), {"mode": "search", "k": 4, "query": query, "user_id": user or ""})
        rows = table.iloc[4 * place : 4 * place + 4]
        assert own["item_id"].tolist() == rows["item_id"].tolist()
        np.testing.assert_allclose(own["score"], rows["score"])
    rows = REQUESTS["answer"]
    online = answer(made.model, {"conversations": pa.table(rows)}, {"mode": "answer"})
    told = pq.read_table(asked(made, "answer", rows)).to_pandas()
    assert told["intent"].fillna("").tolist() == online["intent"].fillna("").tolist()
    np.testing.assert_allclose(told["intent_score"], online["intent_score"])


@pytest.mark.parametrize("mode", REQUESTS)
def test_what_workers_answer_is_the_file_of_one_machine(made: Any, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own = asked(made, mode, REQUESTS[mode]).read_bytes()
    on_workers(monkeypatch)
    assert asked(made, mode, REQUESTS[mode], LOCAL).read_bytes() == own
    assert not list(Path(".triad").rglob("*.parquet"))


@pytest.mark.skipif(
    not (importlib.util.find_spec("pyspark") and shutil.which("java")), reason="needs PySpark and Java: docs/scaling.md"
)
@pytest.mark.proof
def test_spark_on_this_machine_writes_the_same_file(made: Any) -> None:
    for mode, rows in REQUESTS.items():
        own = asked(made, mode, rows).read_bytes()
        assert asked(made, mode, rows, LOCAL).read_bytes() == own, mode


BAD = [
    ("score", {"user_id": ["u0001"], "item_id": ["i9999"]}, "column item_id: 'i9999' is not known as of the night"),
    ("search", {"query": [5]}, "column query: is missing, or holds what is no text"),
    ("answer", {"message_id": ["m"]}, "table conversations, column message: is missing, or holds what is no text"),
    ("price", {"item_id": ["p"]}, "params.mode: the model tells no prices"),
    ("classify", {"item_id": ["p"]}, "params.mode: the model classes no products"),
    ("describe", {"item_id": ["p"]}, "params.mode: the model writes no texts"),
]


@pytest.mark.parametrize("engine", ["duckdb", "spark"])
@pytest.mark.parametrize("bad", BAD, ids=[f"{mode}-{'-'.join(row)}" for mode, row, _ in BAD])
def test_a_bad_row_is_told_with_its_place_and_nothing_is_written(
    made: Any, engine: str, bad: tuple[str, dict[str, list[Any]], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mode, row, said = bad
    Path("answers.parquet").write_text("former")
    if engine == "spark":
        on_workers(monkeypatch)
    rows = {name: [*REQUESTS.get(mode, row)[name][:16], *row.get(name, [])] for name in row} if mode == "score" else row
    pq.write_table(pa.table(rows), "rows.parquet")
    params = Params.model_construct(runtime=RuntimeParams() if engine == "duckdb" else LOCAL)
    with pytest.raises(TriadError) as error:
        batch(params, made.model, Question(mode, Path("rows.parquet"), made.tables, MORE), Path("answers.parquet"))
    where = "rows.parquet, rows 17 to 17" if mode == "score" else "rows.parquet, rows 1 to 1"
    assert f"{where}: {said}" in str(error.value)
    assert Path("answers.parquet").read_text() == "former"
    assert not list(Path().rglob(".new*"))


def killed_at(block: int, work: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run `work` in a process that is killed when it has answered so many blocks."""
    if (pid := os.fork()) == 0:
        done, original = [0], modes.of_tasks

        def of_tasks(*arguments: Any) -> Any:
            done[0] += 1
            if done[0] > block:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments)

        monkeypatch.setattr(modes, "of_tasks", of_tasks)
        work()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("engine", ["duckdb", "spark"])
def test_a_run_that_is_killed_leaves_the_former_answers_and_another_ends_it(
    made: Any, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = asked(made, "score", REQUESTS["score"]).read_bytes()
    runtime = LOCAL if engine == "spark" else RuntimeParams()
    if engine == "spark":
        on_workers(monkeypatch)
    Path("answers.parquet").write_text("former")
    killed_at(3, lambda: asked(made, "score", REQUESTS["score"], runtime), monkeypatch)  # in the third row group
    assert Path("answers.parquet").read_text() == "former"
    kept = list(Path(".triad").glob("batch/*/answers/[0-9]*.parquet"))
    assert len(kept) == (2 if engine == "spark" else 0)
    answered: list[int] = []
    monkeypatch.setattr(modes, "of_tasks", counted(modes.of_tasks, answered))
    assert asked(made, "score", REQUESTS["score"], runtime).read_bytes() == whole
    assert sum(answered) == (65 if engine == "spark" else 100)


def counted(original: Callable[..., Any], rows: list[int]) -> Callable[..., Any]:
    def of_tasks(fused: Any, data: Any, asked_about: Any) -> Any:
        rows.append(len(asked_about))
        return original(fused, data, asked_about)

    return of_tasks


def test_a_csv_is_read_as_texts(made: Any) -> None:
    rows = {"message_id": ["007", "8"], "message": ["where is my parcel,\nplease", ""]}
    with Path("said.csv").open("w", newline="") as file:
        csv.writer(file).writerows([list(rows), *zip(*rows.values(), strict=True)])
    params = Params.model_construct(runtime=RuntimeParams())
    batch(params, made.model, Question("answer", Path("said.csv"), made.tables, MORE), Path("told.parquet"))
    told = pq.read_table("told.parquet")
    assert told["message_id"].to_pylist() == ["007", "8"]
    own = answer(made.model, {"conversations": pa.table(rows)}, {"mode": "answer"})
    np.testing.assert_allclose(told["intent_score"], own["intent_score"])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("rows.csv", "", "is empty"), ("rows.parquet", "x", "cannot be read"), ("rows.csv", "a,b\n", "no row")],
)
def test_what_is_no_table_of_requests_is_refused(made: Any, name: str, content: str, said: str) -> None:
    Path(name).write_text(content)
    params = Params.model_construct(runtime=RuntimeParams())
    for path in (name, "nothing.parquet"):
        with pytest.raises(TriadError, match=said if path == name else "cannot be read"):
            batch(params, made.model, Question("answer", Path(path), made.tables, MORE), Path("told.parquet"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"message_id,message\n1,a,b\n", "said.csv: 1 record without the expected 2 cells: line 2 has 3"),
        (b"message_id,message\n1,\xe9t\xe9\n", "said.csv: is not utf-8 text: line 2 holds byte 0xe9"),
        (b"message_id,message,message\n1,a,b\n", "said.csv, column message: 2 columns have this name"),
        (b'message_id,message\n1,"a\n', "said.csv: a quote opens a cell in line 2 and never closes"),
        (b"message_id;message\n1;a\n", "said.csv, rows 1 to 1: table conversations, column message_id: is missing"),
        (b"message_id,message,price_cents\n1,a,12.5\n", "said.csv, column price_cents: holds what is no number"),
    ],
    ids=["cells", "encoding", "twice", "quote", "semicolon", "number"],
)
@pytest.mark.parametrize("engine", ["duckdb", "spark"])
def test_what_is_wrong_in_a_csv_is_told_of_the_file_that_was_named(
    made: Any, content: bytes, said: str, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("said.csv").write_bytes(content)
    if engine == "spark":
        on_workers(monkeypatch)
    params = Params.model_construct(runtime=RuntimeParams() if engine == "duckdb" else LOCAL)
    with pytest.raises(TriadError) as error:
        batch(params, made.model, Question("answer", Path("said.csv"), made.tables, MORE), Path("told.parquet"))
    assert said in str(error.value) and not Path("told.parquet").exists()


@pytest.mark.parametrize("runtime", [RuntimeParams(), LOCAL], ids=["duckdb", "spark"])
@pytest.mark.parametrize("name", ["nothing.csv", "nothing.parquet", "twice.parquet"])
def test_a_file_that_is_not_there_or_names_a_column_twice_is_told(made: Any, name: str, runtime: RuntimeParams) -> None:
    pq.write_table(pa.table([pa.array(["a"]), pa.array(["b"])], names=["query", "query"]), "twice.parquet")
    question = Question("search", Path(name), made.tables, MORE)
    with pytest.raises(TriadError, match=rf"{name}(: cannot be read|: no such file|, column query: has this name)"):
        batch(Params.model_construct(runtime=runtime), made.model, question, Path("told.parquet"))


def test_a_csv_may_be_packed_and_its_numbers_may_lack() -> None:
    with gzip.open("goods.csv.gz", "wt") as file:
        file.write("item_id,price_cents,title\n07,1200,\n8,,shoe\n")
    (group,) = requests.groups(Path("goods.csv.gz"), Path("place"))
    ((where, block),) = group.blocks(16)
    assert where == "goods.csv.gz, rows 1 to 2"
    assert block.to_pylist() == [
        {"item_id": "07", "price_cents": 1200, "title": ""},
        {"item_id": "8", "price_cents": None, "title": "shoe"},
    ]


@pytest.mark.parametrize("name", ["goods.pq", "GOODS.PARQUET"])
def test_parquet_is_known_by_each_of_its_endings(name: str) -> None:
    pq.write_table(pa.table({"item_id": ["7"], "price_cents": [1200]}), name)
    (group,) = requests.groups(Path(name), Path("place"))
    assert group.file == Path(name) and group.rows == 1


def test_who_is_to_be_forgotten_is_a_stranger(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes.forgotten, "read", Gone)
    rows = {"user_id": ["u0003", "u9999"], "item_id": ["i0003", "i0003"]}
    table = pq.read_table(asked(made, "score", rows))
    assert table["is_known"].to_pylist() == [False, False]
    assert len(set(table["click"].to_pylist())) == 1


class Gone:
    digest = "1"

    def __len__(self) -> int:
        return 1

    def holds(self, id_: str) -> bool:
        return id_ == "u0003"


def test_an_unknown_mode_is_told_of_the_known_ones() -> None:
    done = CliRunner().invoke(commands.batch, ["recommend", "a.parquet", "b.parquet"])
    assert isinstance(done.exception, TriadError)
    assert "score or search or answer" in str(done.exception)
