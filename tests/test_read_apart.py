"""Files that workers read, each by itself, make the tables and the errors of one process that reads all of them."""

from __future__ import annotations

import importlib.util
import pickle
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from test_kept_days import RULES, night, rows, write

from triad.config.params import Params
from triad.config.runtime import RuntimeParams, SparkParams
from triad.day_store import DayStore
from triad.errors import TriadError
from triad.sources import apart
from triad.sources.apart import Converted
from triad.sources.keeping import Keeping
from triad.sources.reading import Files
from triad.spark.files import workers_of

MISSING = [
    name
    for name, there in (("PySpark", importlib.util.find_spec("pyspark")), ("Java", shutil.which("java")))
    if not there
]
READ: list[str] = []


def workers(work: Callable[[Files], Converted], of: Sequence[Files]) -> list[Converted]:
    """Each gets a copy of the work, and gives one of what it made."""
    READ.extend(each.name for each in of)
    return [pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(work))(each))) for each in of]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    for day in range(5):
        write(folder, day, rows(day))
    return folder


def of(shop: Path, **more: Any) -> dict[str, Any]:
    return {"path": f"{shop}/*", **RULES, **more}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_tables_are_the_same(shop: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "AT_ONCE", 2)
    if form == "parquet":
        for number, path in enumerate(sorted(shop.glob("*.csv"))):
            data = arrow_csv.read_csv(path)
            if number == 3:  # another type in one of them
                place = data.column_names.index("pieces")
                data = data.set_column(place, "pieces", data["pieces"].cast(pa.string()))
            pq.write_table(data, path.with_suffix(".parquet"))
            path.unlink()
    assert night(of(shop), 4, Keeping(workers=workers)) == night(of(shop), 4, None)


def test_what_is_kept_is_not_read_again(shop: Path, tmp_path: Path) -> None:
    def keeping(who: apart.Workers | None) -> Keeping:
        return Keeping(DayStore("key", stores=tmp_path / "days"), "u1".__eq__, workers=who)

    night(of(shop), 4, keeping(None))
    write(shop, 3, [*rows(3)[:8], ("late", "u2", "i1", "2026-01-02 12:00:00+00", "impression", "5", "1")])
    write(shop, 5, rows(5))
    READ.clear()
    made = night(of(shop), 5, keeping(workers))
    assert [str(shop / "day03.csv"), str(shop / "day05.csv")] == READ
    assert made == night(of(shop), 5, keeping(None)) == night(of(shop), 5, Keeping(None, "u1".__eq__))


def test_a_copy_is_refused(shop: Path) -> None:
    (shop / "zz.csv").write_bytes((shop / "day01.csv").read_bytes())
    said = refused(shop)
    assert "zz.csv: holds the same as" in said and "day01.csv" in said


def test_copies_of_parquet_are_refused(shop: Path) -> None:
    for path in sorted(shop.glob("*.csv")):
        pq.write_table(arrow_csv.read_csv(path), path.with_suffix(".parquet"))
        path.unlink()
    (shop / "zz.parquet").write_bytes((shop / "day01.parquet").read_bytes())
    assert "zz.parquet: holds the same as" in refused(shop)


def test_faults_name_file_and_row(shop: Path) -> None:
    bad = rows(3)
    bad[2] = (*bad[2][:5], "much", "1")
    write(shop, 3, bad)
    assert "day03.csv, column cents" in (said := refused(shop)) and "row 3 'much'" in said
    write(shop, 3, [*rows(3), rows(1)[0]])
    assert "1 duplicated id in 2 rows: 'e1-0'" in refused(shop)
    (shop / "day02.csv").write_text("id,who,sku,at,what,price,pieces\n")
    assert "day02.csv, column cents: column is missing" in refused(shop)


def refused(shop: Path) -> str:
    """What both ways say."""
    said = set()
    for who in (workers, None):
        with pytest.raises(TriadError) as error:
            night(of(shop), 4, Keeping(workers=who))
        said.add(str(error.value))
    assert len(said) == 1, said
    return said.pop()


def test_this_process_reads_unless_the_engine_is_spark() -> None:
    with workers_of(Params.model_construct(runtime=RuntimeParams())) as who:
        assert who is None


@pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)}: docs/scaling.md")
@pytest.mark.proof
def test_spark_reads_the_same_tables(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    local = SparkParams(master="local[2]", settings={"spark.driver.memory": "1g"})
    with workers_of(Params.model_construct(runtime=RuntimeParams(engine="spark", spark=local))) as who:
        assert who is not None
        keeping = Keeping(DayStore("key", stores=tmp_path / "days"))
        made = night(of(shop), 4, replace(keeping, workers=who))
        bad = rows(3)
        bad[2] = (*bad[2][:5], "much", "1")
        write(shop, 3, bad)
        with pytest.raises(TriadError, match=r"day03.csv, column cents[\s\S]*row 3 'much'"):
            night(of(shop), 4, replace(keeping, workers=who))
    write(shop, 3, rows(3))
    assert made == night(of(shop), 4, None)
