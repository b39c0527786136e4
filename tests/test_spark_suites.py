"""The suites on Apache Spark: the verdicts, counts and sample rows of DuckDB, for a sound shop and a spoilt one."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from make_shop_log import AS_OF, WINDOW_DAYS, Tables, make_shop_log, write_shop_log
from make_tables import make_tables

from triad.artifacts import INGESTED, read_json
from triad.spark.suites import OnSpark, _asking

SHIPPED = Path(__file__).parents[1] / "expectations"
MISSING = [
    name
    for name, there in (("PySpark", importlib.util.find_spec("pyspark")), ("Java", shutil.which("java")))
    if not there
]
ATTRIBUTES = ('{"a": 1, "a": "x"}', '{"a": {"b": 1}}', "[1]", "", '{"a": [1, "2"]}', '{"a": [[1]]}', "{", "null", None)
"""The second, third, sixth, seventh and eighth are wrong."""

ASK = f"""
import sys
from pathlib import Path
from types import SimpleNamespace
from datetime import date
from triad.config.runtime import RuntimeParams
from triad.config.validate import ValidateParams
from triad.errors import TriadError
from triad.stages.validate import validate
import os
settings = {{"spark.driver.memory": "1g", "spark.sql.shuffle.partitions": "1"}}
spark = dict(engine="spark", spark=dict(master="local[2]", settings=settings))
for folder in sys.argv[1:]:
    os.chdir(folder)
    runtime = RuntimeParams.model_validate(spark if Path(folder).parent.name == "spark" else {{}})
    ingest = SimpleNamespace(as_of=date.fromisoformat("{AS_OF}"), window_days={WINDOW_DAYS}, files=None)
    try:
        validate(SimpleNamespace(ingest=ingest, validate_=ValidateParams(), runtime=runtime))
    except TriadError as error:
        print(error)
"""


def spoilt(shop: Tables) -> Tables:
    """At least one row fails each kind of check that the suites ask."""
    events, items = shop["events"], shop["items"]
    first = int(np.datetime64(AS_OF - timedelta(days=WINDOW_DAYS), "us").astype(np.int64))
    events["event_id"][4] = events["event_id"][5]
    for name, row, value in (("item_id", 7, "ghost"), ("user_id", 17, None), ("session_id", 19, ""), ("kind", 13, "x")):
        events[name] = events[name].astype(object)
        events[name][row] = value
    events["price_cents"][3], events["price_cents"][9], events["quantity"][15] = -5, 5_000_000_000, 0
    events["occurred_at"][11] = first + (WINDOW_DAYS + 40) * 86_400_000_000
    events["query"] = np.full(len(events["kind"]), None, object)
    events["query"][21], events["query"][23] = "l\N{REPLACEMENT CHARACTER}mp", "l\N{LATIN SMALL LETTER Y WITH ACUTE}mp"
    early = events["kind"] == "click"
    early[2_000:] = False
    events["occurred_at"] = np.where(early, events["occurred_at"] - 60_000_000, events["occurred_at"])
    items["price_cents"][0] = 0
    items["attributes"] = np.array([ATTRIBUTES[row % len(ATTRIBUTES)] for row in range(len(items["item_id"]))], object)
    shop["prices"]["day"][0] = np.datetime64(AS_OF)
    shop["prices"]["day"][30] = shop["prices"]["day"][31]
    shop["users"]["signed_up_at"][3] = first + (WINDOW_DAYS - 1) * 86_400_000_000
    return shop


@pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)}: docs/scaling.md")
@pytest.mark.proof
def test_spark_finds_what_duckdb_finds(tmp_path: Path) -> None:
    folders = [tmp_path / engine / shop for engine in ("duckdb", "spark") for shop in ("sound", "spoilt")]
    for folder in folders:
        shutil.copytree(SHIPPED, folder / "expectations")
        made = make_shop_log(shown_a_day=40)
        write_shop_log(folder / INGESTED, spoilt(made) if folder.name == "spoilt" else made)
    for pair in (folders[:2], folders[2:]):  # a process imports Great Expectations with or without PySpark
        done = subprocess.run([sys.executable, "-c", ASK, *map(str, pair)], check=False, capture_output=True, text=True)
        assert not done.returncode, done.stderr
    results = {}
    for folder in folders:
        verdict = "failed" if folder.name == "spoilt" else "report"
        results[folder] = read_json(folder / "artifacts" / "validate" / verdict / "result.json")
    for one, other in zip(folders[:2], folders[2:], strict=True):
        assert results[one]["checks"] == results[other]["checks"]
        assert results[one] == results[other]
    failed = [check for check in results[folders[1]]["checks"] if not check["passed"]]
    assert len(failed) > 15
    assert not [check for check in failed if "could not be asked" in check["message"]]


def test_a_check_of_rows_is_asked_of_pieces(tmp_path: Path) -> None:
    events = make_tables(shown=50)["events"]
    query = "SELECT * FROM piece WHERE md5(event_id) < '8' AND position > 1 AND getenv('HOME') IS NOT NULL"
    with pytest.raises(Exception, match="getenv"):
        list(_asking(query)(iter(events.to_batches())))
    found = list(_asking(query.rpartition(" AND")[0])(iter(events.to_batches(max_chunksize=7))))
    assert 0 < sum(batch.num_rows for batch in found) < events.num_rows
    assert {batch.schema for batch in found} == {events.schema}


def test_types_get_the_names_of_spark() -> None:
    def typed(**arguments: object) -> dict[str, object]:
        expectation = {"type": "x", "severity": "critical", "kwargs": arguments}
        return OnSpark(None).suite("events", {"expectations": [expectation]})["expectations"][0]["kwargs"]  # type: ignore[arg-type]

    assert typed(type_list=["String", "VARCHAR", "mine"]) == {"type_list": ["StringType", "StringType", "mine"]}
    assert typed(column="x", type_="BIGINT") == {"column": "x", "type_": "LongType"}
    assert typed(min_value=1) == {"min_value": 1}
