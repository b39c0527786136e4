"""The stage on a small shop made by hand: sound data pass, and each fault is named and replaces nothing."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from make_shop_log import AS_OF, WINDOW_DAYS, Tables, make_shop_log, write_shop_log

from triad.artifacts import INGESTED, read_json
from triad.config.runtime import RuntimeParams
from triad.config.validate import ValidateParams
from triad.errors import TriadError
from triad.schema import TABLES as CONTRACT
from triad.stages.validate import FAILED, REPORT, validate
from triad.validation import suites
from triad.validation.checks import Check, describe
from triad.validation.docs import settle
from triad.validation.event_log import check_columns, check_labels
from triad.validation.rows import unexpected_rows

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "expectations"
FIRST = AS_OF - timedelta(days=WINDOW_DAYS)


def params(**limits: Any) -> Any:
    ingest = SimpleNamespace(as_of=AS_OF, window_days=WINDOW_DAYS, files=None)
    return SimpleNamespace(ingest=ingest, validate_=ValidateParams(**limits), runtime=RuntimeParams())


def day(number: int) -> int:
    """µs of the window's day `number`, from 0."""
    return int(np.datetime64(FIRST + timedelta(days=number), "us").astype(np.int64))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tables:
    """The tables' columns; the working folder holds the shipped suites."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SHIPPED, tmp_path / "expectations")
    return make_shop_log()


def fails(tables: Tables | None, **limits: Any) -> str:
    """The message of the error that stops the run."""
    if tables is not None:
        write_shop_log(INGESTED, tables)
    with pytest.raises(TriadError) as error:
        validate(params(**limits))
    return str(error.value)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_sound_tables_pass_and_the_report_is_the_same_every_time(
    shop: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    write_shop_log(INGESTED, shop)
    FAILED.mkdir(parents=True)
    with caplog.at_level("INFO", "triad.validate"):
        validate(params())
    result, first = read_json(REPORT / "result.json"), files(REPORT)
    assert result["success"] and not [c for c in result["checks"] if not c["passed"] and c["severity"] != "info"]
    assert result["tables_absent"] == ["searches", "conversations"]
    assert result["rows"]["events"]["rows"] == len(shop["events"]["event_id"])
    assert sum(result["rows"]["events"]["days"].values()) == result["rows"]["events"]["rows"]
    assert len(result["rows"]["prices"]["days"]) == WINDOW_DAYS and result["rows"]["users"] == {"rows": 200}
    assert not FAILED.exists()
    assert "volume_sigmas" in caplog.text and "0 critical failures" in caplog.text and str(REPORT) in caplog.text
    validate(params())
    assert files(REPORT) == first


def test_data_docs_open_without_a_network_and_link_to_each_other(shop: Tables) -> None:
    write_shop_log(INGESTED, shop)
    validate(params())
    docs = REPORT / "data_docs"
    for page in docs.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"(src|href)=[\"']?https?:|url\(", text)
        for link in re.findall(r'href="([^"#]+)"', text):
            assert (page.parent / link).resolve().is_file(), f"{page}: {link}"
    index = (docs / "index.html").read_text(encoding="utf-8")
    assert all(f">{name}</a>" in index for name in ("users", "items", "events", "prices")) and "Passed" in index


def test_many_faults_are_each_named_and_the_last_good_report_stays(shop: Tables) -> None:
    good = REPORT / "result.json"
    good.parent.mkdir(parents=True)
    good.write_text("yesterday")
    events = shop["events"]
    events["event_id"][4] = events["event_id"][5]
    events["item_id"] = events["item_id"].astype(object)
    events["item_id"][7] = "ghost"
    events["price_cents"][3] = -5
    events["price_cents"][9] = 5_000_000_000
    events["occurred_at"][11] = day(WINDOW_DAYS + 40)
    events["kind"][13] = "glance"
    events["quantity"][15] = 0
    shop["items"]["price_cents"][0] = 0
    shop["items"]["title"][2] = "Caf\N{REPLACEMENT CHARACTER}"
    shop["prices"]["day"][0] = np.datetime64(AS_OF)
    shop["users"]["signed_up_at"][3] = day(WINDOW_DAYS - 1)
    message = fails(shop, quarantine={"share": 0})
    for told in (
        r"events\.event_id: .*unique \(2 unexpected\), for example event_id=e5, times=2",
        r"events\.item_id: every item_id stands in table items \(1 unexpected\), for example event_id=e7, .*ghost",
        r"events\.price_cents: .*\(2 unexpected\), for example event_id=e3, price_cents=-5; event_id=e9, .*5000000000",
        r"events\.occurred_at: .*\(1 unexpected\), for example event_id=e11, occurred_at=2026-04-10 00:00:00\+00:00",
        r"events\.kind: .*in set.*\(1 unexpected\), for example event_id=e13, kind=glance",
        r"events\.quantity: .*\(1 unexpected\), for example event_id=e15, quantity=0",
        r"items\.price_cents: .*\(1 unexpected\), for example item_id=i0, price_cents=0",
        r"prices\.day: .*\(1 unexpected\), for example item_id=i0, day=2026-03-01",
        r"data_docs/index\.html",
    ):
        assert re.search(told, message), f"{told}\n{message}"
    assert good.read_text() == "yesterday"
    result = read_json(FAILED / "result.json")
    assert not result["success"]
    warned = {(c["table"], c["column"]) for c in result["checks"] if c["severity"] == "warning" and not c["passed"]}
    assert {("items", "title"), ("events", "user_id")} <= warned
    page = (FAILED / "data_docs" / "index.html").read_text(encoding="utf-8")
    assert "Stopped" in page and "event_id=e5" in page


def test_an_exposure_that_sees_its_click_and_a_wrong_funnel(shop: Tables) -> None:
    events = shop["events"]
    events["occurred_at"] = np.where(
        events["kind"] == "click", events["occurred_at"] - 60_000_000, events["occurred_at"]
    )
    message = fails(shop)
    assert "no exposure sees its own click" in message and "session_id='a" in message
    told = [c["message"] for c in read_json(FAILED / "result.json")["checks"] if not c["passed"]]
    assert any("the funnel's order holds" in text for text in told)


def test_a_missing_day_a_stale_log_and_a_column_filled_afterwards(shop: Tables) -> None:
    events = shop["events"]
    clicked = set(events["session_id"][events["kind"] == "click"])
    events["position"] = np.where(np.isin(events["session_id"], list(clicked)), 1, 5)
    missing, last = (events["occurred_at"] // 86_400_000_000 == day(n) // 86_400_000_000 for n in (9, WINDOW_DAYS - 1))
    shop["events"] = {name: values[~(missing | last)] for name, values in events.items()}
    message = fails(shop)
    assert f"no events on {FIRST + timedelta(days=9)}, {AS_OF - timedelta(days=1)}" in message
    assert "hours older than 2026-03-01; allowed are 24" in message
    assert "events.position: position alone has AUC 1.000 for 'clicked'" in message


def test_impressions_nobody_clicks(shop: Tables) -> None:
    shown = shop["events"]["kind"] == "impression"
    shop["events"] = {name: values[shown] for name, values in shop["events"].items()}
    message = fails(shop)
    assert (
        "events.kind: 8,400 impressions, 0 events of kind click: the label made of clicks would have one class"
        in message
    )


def test_drift_is_a_warning_that_names_the_column(shop: Tables, caplog: pytest.LogCaptureFixture) -> None:
    events = shop["events"]
    late = events["occurred_at"] >= day(WINDOW_DAYS - 7)
    events["surface"] = np.where(late & (np.arange(len(late)) % 2 == 0), "email", events["surface"])
    write_shop_log(INGESTED, shop)
    with caplog.at_level("WARNING", "triad.validate"):
        validate(params())
    assert "events.surface: drifted since 2026-02-22: Cramér's V" in caplog.text
    checks = read_json(REPORT / "result.json")["checks"]
    assert [c["samples"] for c in checks if c["name"] == "new_values"] == [[{"surface": "email"}]]


def _rewrite(name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """One Parquet file of table `name` as a foreign hand may leave it."""
    path = sorted((INGESTED / name).rglob("*.parquet"))[-1]
    pq.write_table(change(pq.ParquetFile(path).read()), path)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda: shutil.rmtree(INGESTED), r"no folder artifacts/ingest/tables: run `triad ingest` first"),
        (lambda: shutil.rmtree(INGESTED / "items"), r"items: no folder artifacts/ingest/tables/items"),
        (
            lambda: _rewrite("events", lambda t: t.drop_columns("kind")),
            r"events\.kind: column is missing.*day=2026-02-28",
        ),
        (
            lambda: _rewrite("items", lambda t: t.append_column("colour", pa.nulls(t.num_rows, pa.string()))),
            r"items\.colour: column is unknown",
        ),
        (
            lambda: _rewrite("events", lambda t: t.set_column(2, "item_id", pa.array(range(t.num_rows)))),
            r"events\.item_id: expected string \(string\), found int64 \(1 unexpected\), for example file=artifacts",
        ),
        (
            lambda: _rewrite(
                "events", lambda t: t.set_column(3, "occurred_at", t["occurred_at"].cast(pa.timestamp("us")))
            ),
            r"events\.occurred_at: expected timestamp .*tz=UTC.*, found timestamp\[us\]",
        ),
        (lambda: _rewrite("users", lambda t: t.slice(0, 0)), r"users: holds no rows"),
        (
            lambda: [p.write_bytes(p.read_bytes()[:-40]) for p in sorted((INGESTED / "events").rglob("*.parquet"))[:2]],
            r"events: files are no whole Parquet \(truncated\?\).*\(2 unexpected\), for example file=.*day=2026-02-08",
        ),
    ],
)
def test_tables_that_cannot_be_opened(shop: Tables, spoil: Callable[[], Any], told: str) -> None:
    write_shop_log(INGESTED, shop)
    spoil()
    message = fails(None)
    assert re.search(told, message, re.DOTALL), message
    assert (FAILED / "data_docs" / "index.html").is_file() and not REPORT.exists()


def test_a_file_damaged_inside_is_a_clear_error(shop: Tables) -> None:
    write_shop_log(INGESTED, shop)
    path = sorted((INGESTED / "events").rglob("*.parquet"))[3]
    content = bytearray(path.read_bytes())
    content[4:2000] = bytes(1996)
    path.write_bytes(bytes(content))
    assert "artifacts/ingest/tables: cannot be read" in fails(None)


def _edit(name: str, change: Callable[[dict[str, Any]], Any]) -> None:
    path = Path("expectations") / f"{name}.json"
    suite = json.loads(path.read_text())
    change(suite)
    path.write_text(json.dumps(suite))


NEW = {"type": "expect_column_to_exist", "severity": "critical", "kwargs": {"column": "title"}}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda: Path("expectations/users.json").unlink(), r"expectations/users\.json: no such suite"),
        (lambda: Path("expectations/users.json").write_text("{"), r"expectations/users\.json: not readable as JSON"),
        (lambda: _edit("users", lambda s: s.update(name="people")), r"expected a suite with name 'users'"),
        (
            lambda: _edit("items", lambda s: s["expectations"][2].pop("type")),
            r"items\.json: expectations\[2\]: has no `t",
        ),
        (lambda: _edit("items", lambda s: s["expectations"][2].update(severity="bad")), r"unknown severity 'bad'"),
        (
            lambda: _edit("items", lambda s: s["expectations"].append({**NEW, "type": "expect_column_to_shine"})),
            r"expectations/items\.json: expectations\[\d+\]: unknown type 'expect_column_to_shine'",
        ),
        (
            lambda: _edit("items", lambda s: s["expectations"].append({**NEW, "kwargs": {"col": "title"}})),
            r"expectations/items\.json: expectations\[\d+\]: expect_column_to_exist: .*col",
        ),
        (
            lambda: _edit("items", lambda s: s["expectations"].append({**NEW, "kwargs": {"column": "titel"}})),
            r"items\.titel: expected column to exist",
        ),
        (
            lambda: _edit("items", lambda s: s["expectations"][-1]["kwargs"].update(column="titel")),
            r"items\.titel: expectations/items\.json: expectations\[\d+\] .* could not be asked: .*titel",
        ),
    ],
)
def test_a_wrong_suite_is_refused(shop: Tables, spoil: Callable[[], Any], told: str) -> None:
    write_shop_log(INGESTED, {**shop, "events": {k: v[-400:] for k, v in shop["events"].items()}})
    spoil()
    message = fails(None)
    assert re.search(told, message, re.DOTALL), message


def test_a_warning_in_the_suite_does_not_stop_the_run(shop: Tables) -> None:
    shop["events"]["price_cents"][3] = -5
    write_shop_log(INGESTED, shop)

    def soften(suite: dict[str, Any]) -> None:
        for expectation in suite["expectations"]:
            if expectation["kwargs"].get("column") == "price_cents":
                expectation["severity"] = "warning"

    _edit("events", soften)
    validate(params())
    assert read_json(REPORT / "result.json")["success"]


@pytest.mark.parametrize("name", CONTRACT)
def test_the_shipped_suite_covers_every_column(name: str) -> None:
    suite = suites.load(name, SHIPPED)
    typed, needed, unique = set(), set(), set()
    for expectation in suite["expectations"]:
        arguments = expectation["kwargs"]
        match expectation["type"]:
            case "expect_column_values_to_be_in_type_list":
                typed.add(arguments["column"])
            case "expect_column_values_to_not_be_null":
                needed.add(arguments["column"])
            case "expect_column_values_to_be_unique":
                unique |= {arguments["column"]}
            case "expect_compound_columns_to_be_unique":
                unique |= set(arguments["column_list"])
    table = CONTRACT[name]
    assert typed == set(table.names)
    assert needed == {c.name for c in table.columns if not c.nullable}
    assert unique == set(table.key)


def test_missing_suites_are_made_and_present_ones_left_alone(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text("mine")
    made = suites.write_missing(tmp_path)
    assert [p.stem for p in made] == [n for n in CONTRACT if n != "users"]
    assert (tmp_path / "users.json").read_text() == "mine" and suites.write_missing(tmp_path) == []
    assert suites.load("events", tmp_path) == suites.make(CONTRACT["events"])


@pytest.fixture
def session() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as found:
        found.execute(
            "CREATE TABLE items AS SELECT * FROM (VALUES ('a', 'x', 1), ('b', NULL, 5), ('b', '', 9)) "
            "AS t(item_id, title, price_cents)"
        )
        yield found


@pytest.mark.parametrize(
    ("kind", "arguments", "prices"),
    [
        ("values_to_not_be_null", {"column": "title"}, [5]),
        ("values_to_be_null", {"column": "title"}, [1, 9]),
        ("values_to_be_between", {"column": "price_cents", "min_value": 2, "max_value": 8}, [1, 9]),
        ("values_to_be_between", {"column": "price_cents", "min_value": 1, "strict_min": True}, [1]),
        ("values_to_be_between", {"column": "price_cents", "max_value": {"$PARAMETER": "top"}}, [9]),
        ("values_to_be_between", {"column": "price_cents"}, []),
        ("value_lengths_to_be_between", {"column": "title", "min_value": 1}, [9]),
        ("values_to_be_in_set", {"column": "title", "value_set": ["x"]}, [9]),
        ("values_to_not_be_in_set", {"column": "title", "value_set": ["x"]}, [1]),
    ],
)
def test_unexpected_rows(
    session: duckdb.DuckDBPyConnection, kind: str, arguments: dict[str, Any], prices: list[int]
) -> None:
    expectation = {"type": f"expect_column_{kind}", "kwargs": arguments}
    query = unexpected_rows("items", expectation, {"top": "8"})
    assert query is not None
    found = session.execute(
        f"SELECT price_cents FROM items WHERE item_id || coalesce(title, '-') IN "
        f"(SELECT item_id || coalesce(title, '-') FROM ({query.replace('SELECT', 'SELECT title,', 1)}))"
    )
    assert sorted(row[0] for row in found.fetchall()) == prices


def test_unexpected_rows_of_keys_and_of_what_is_not_about_rows(session: duckdb.DuckDBPyConnection) -> None:
    for expectation in (
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "item_id"}},
        {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["item_id"]}},
    ):
        query = unexpected_rows("items", expectation, {})
        assert session.execute(str(query)).fetchall() == [("b", 2)]
    assert unexpected_rows("items", {"type": "expect_table_row_count_to_be_between", "kwargs": {}}, {}) is None
    assert unexpected_rows("items", {"type": "expect_column_max_to_be_between", "kwargs": {"column": "x"}}, {}) is None


def test_labels_of_one_class() -> None:
    assert check_labels({"purchase": 9}) == []  # no impressions: negatives are sampled
    assert [(c.severity, c.passed) for c in check_labels({"impression": 9, "click": 2})] == [
        ("critical", True),
        ("warning", False),
    ]


def test_a_text_column_and_a_gap_can_leak_too() -> None:
    rng = np.random.default_rng(0)
    clicked = rng.random(2000) < 0.3
    columns = {
        "surface": np.where(clicked, "cart page", "home").astype(object),
        "query is known": clicked.astype(float),
        "position": rng.integers(1, 9, 2000).astype(float),
    }
    (found,) = check_columns(columns, {"clicked": clicked}, [], 0.98)
    assert not found.passed and found.column == "surface, query is known" and found.unexpected == 2
    assert check_columns({"position": columns["position"]}, {"clicked": clicked}, [], 0.98)[0].passed


def test_findings_in_words() -> None:
    checks = [Check("c", "events", None, "critical", False, f"fault {n}") for n in range(25)]
    assert describe(checks).count("\n") == 21 and "and 5 more" in describe(checks)


def test_settled_pages_have_no_chance_in_them() -> None:
    page = (
        '<head><script src="https://a.b/c.js"></script><link href="https://a.b/c.css"></head>'
        '<a href="#x-685ca364-5bfd-436c-8726-0a9b06afd5c4"></a><p id="x-685ca364-5bfd-436c-8726-0a9b06afd5c4">'
        "20261124T013320.541843Z</p><footer>news</footer>"
    )
    settled = settle(page, "20260301T000000.000000Z")
    assert '<a href="#x-0"></a><p id="x-0">20260301T000000.000000Z</p>' in settled
    assert "https" not in settled and "news" not in settled


def test_pyspark_is_not_asked_for_even_where_it_is_imported_already() -> None:
    """In a process whose main module is no file, as a test's worker is, importing Spark's client ends the process."""
    pytest.importorskip("pyspark")
    asked = (
        "import sys, pyspark.sql as spark; from triad.validation.expectations import great_expectations as import_it;"
        "print(import_it().__name__, sys.modules['pyspark.sql'] is spark, 'pyspark.sql.connect' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", asked], check=False, capture_output=True, text=True, timeout=120)
    assert done.stdout == "great_expectations True False\n", done.stderr
