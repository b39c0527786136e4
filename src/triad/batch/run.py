"""All requests answered into one Parquet file, whole or not at all, by the engine that `runtime.engine` names.

Both engines answer the same blocks by the same functions, and write the same file. On a cluster a task answers a row
group into a file of its own, so no process holds more than a block; a killed run goes on at the next task.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from triad.artifacts import replacing_file
from triad.batch.modes import MODES, Answering
from triad.batch.requests import Group, groups, mark
from triad.digests import digest
from triad.errors import TriadError
from triad.features.stores import store
from triad.fusion.fused import Fused
from triad.privacy import forgotten
from triad.progress import Progress
from triad.spark.handing import Handing
from triad.spark.session import started
from triad.spark.tasks import each
from triad.tracking.cluster import loaded

if TYPE_CHECKING:
    from triad.config.params import Params
    from triad.tracking.serving import ServingModel


Work = Callable[[Fused, Group], Iterator[tuple[int, pa.Table]]]
"""Answers a row group, a block at a time: how many rows it asks about, and the answers."""


@dataclass(frozen=True)
class Question:
    """What is asked, of which rows.

    Args:
        mode: a key of `MODES`.
        requests: a Parquet file, a folder of them, or a CSV.
        tables: a folder of a night's tables, for modes that read them.
        more: `k`, `tone` and `length`: what modes ask for beside their rows.
    """

    mode: str
    requests: Path
    tables: Path
    more: Mapping[str, Any]


def batch(params: Params, model: ServingModel, question: Question, output: Path) -> int:
    """Write the answers to all rows to `output`, in their order; how many rows were asked about.

    Raises:
        TriadError: a row, the model or the tables do not fit; nothing is written then.
    """
    mode = MODES[question.mode]

    def work() -> Work:
        return partial(_answered, mode.prepare(model, question.tables, question.more), mode.rows)

    if params.runtime.engine == "duckdb":
        with tempfile.TemporaryDirectory(prefix="triad-batch-") as folder:
            named = groups(question.requests, Path(folder))
            _write(_here(work(), model.fused, named), output)
        return sum(group.rows for group in named)
    assert model.fuse is not None  # it was loaded from a registry
    read = [question.mode, sorted(question.more.items()), mark(question.requests), forgotten.read().digest]
    read += [digest(question.tables)] if mode.reads_tables else []
    with store("batch", model.fuse, read) as place:
        named = groups(question.requests, place)
        _write(_on_cluster(params, work(), model.fuse, named, place.resolve()), output)
    return sum(group.rows for group in named)


def _answered(answering: Answering, rows: int, fused: Fused, group: Group) -> Iterator[tuple[int, pa.Table]]:
    """`Work` in blocks of `rows`.

    Raises:
        TriadError: as online, with the rows among which one is at fault.
    """
    for where, block in group.blocks(rows):
        try:
            yield block.num_rows, answering(fused, block)
        except TriadError as error:
            raise TriadError(error.what, where=f"{where}: {error.where}", mend=error.mend) from error


def _here(work: Work, fused: Fused, named: Sequence[Group]) -> Iterator[pa.Table]:
    with Progress("batch", sum(group.rows for group in named), "rows") as progress:
        for group in named:
            for rows, answer in work(fused, group):
                yield answer
                progress.advance(rows)


def _on_cluster(params: Params, work: Work, fuse: Path, named: Sequence[Group], place: Path) -> Iterator[pa.Table]:
    """As `_here`, once all tasks are done."""
    shutil.copytree(fuse, place / "fuse", dirs_exist_ok=True)  # a run that was killed left the same
    task, numbers = partial(_task, work, place, list(named)), range(len(named))
    with started(params.runtime.spark) as spark:
        faults = each(spark, Handing(place / "arrays"), task, numbers)
    for fault in filter(None, faults):
        raise TriadError(**fault)
    for number in numbers:
        with pq.ParquetFile(_file(place, number)) as file:
            yield from map(file.read_row_group, range(file.num_row_groups))


def _task(work: Work, place: Path, named: Sequence[Group], number: int) -> dict[str, Any]:
    """Write a row group's answers, unless they are there; what a `TriadError` says, as no exception comes through."""
    if not _file(place, number).is_file():
        try:
            answers = (answer for _, answer in work(loaded(place / "fuse"), named[number]))
            _write(answers, _file(place, number))
        except TriadError as error:
            return {name: getattr(error, name) for name in ("what", "where", "mend")}
    return {}


def _file(place: Path, number: int) -> Path:
    return place / "answers" / f"{number}.parquet"


def _write(answers: Iterator[pa.Table], file: Path) -> None:
    """A row group a block."""
    with replacing_file(file) as fresh:
        first = next(answers)
        with pq.ParquetWriter(fresh, first.schema, compression="zstd") as out:
            for answer in chain([first], answers):
                out.write_table(answer)
