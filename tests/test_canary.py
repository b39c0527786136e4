"""What says something of a person reaches no message and no page, and no text of the data is a page's script."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from make_night import make_night, make_params
from make_shop_log import AS_OF, WINDOW_DAYS, Tables, make_shop_log, write_shop_log
from make_tables import END, START, make_tables

from triad.airflow import notify, settings
from triad.artifacts import INGESTED
from triad.config.files import FilesParams
from triad.config.params import Params
from triad.config.runtime import RuntimeParams
from triad.config.tasks import TaskParams
from triad.config.validate import ValidateParams
from triad.errors import TriadError
from triad.evaluation.report import Evidence, render
from triad.redaction import KEY, Formatter, Privacy, masked, tell_unexpected
from triad.retraining import outcome, process_group
from triad.stages.evaluate import evaluate
from triad.stages.ingest import ingest
from triad.stages.publish import publish
from triad.stages.recommend import recommend
from triad.stages.validate import FAILED, REPORT, validate
from triad.tables import LOCK, connect, write_table
from triad.tracking import lineage

SHIPPED = Path(__file__).parents[1] / "expectations"
CANARIES = {
    "mail": "canary.meyer@shop.example",
    "phone": "+49 170 5550199",
    "name": "Zaphod Canarybox",
    "query": "canary cure for baldness",
    "session": "session-canary-77",
    "event": "canary-event:4711",
}

HOLD_DATA = (
    "artifacts/ingest/tables/",
    "artifacts/validate/tables/",
    "artifacts/validate/quarantine/",  # the rows that were set aside
    "artifacts/features/",  # with the vocabularies of ids, attributes and searches
    "artifacts/evaluate/report/scores.parquet",  # by event
    "artifacts/publish/served/",  # customers' ids, histories and counts, which the service starts from
    "artifacts/recommend/recommendations.parquet",  # by user
    "artifacts/refit/state/",  # the vocabularies again, grown
    "artifacts/state/",  # of a version: its own copy of the vocabularies
)
"""What must hold what says something of a person; docs/privacy.md lists it. Nothing else does."""

TAGS = (
    "<script>alert(1)</script>",
    "<svg onload=alert(1)>",
    "<svg/onload=alert(1)//",
    '"><img src=x onerror=alert(1)>',
    "'><img src=x onerror=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "<details open ontoggle=alert(1)>",
    "<math><mtext><style><img src onerror=alert(1)></style></mtext></math>",
    "</td></table></style></script><script>alert(1)</script>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<style>@import 'https://evil.example/x.css'</style>",
    "<link rel=stylesheet href=https://evil.example>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href=https://evil.example/>",
    "<form action=https://evil.example><button>x",
    "<input autofocus onfocus=alert(1)>",
    "<body onload=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&amp;lt;img src=x onerror=alert(1)&amp;gt;",
    "<ScRiPt >alert(1)</sCrIpT >",
    "＜script＞alert(1)＜/script＞",
    "$template ${styling} $$ {{ 7*7 }} {% raw %}",
)


class Page(HTMLParser):
    """What a browser makes of a page: its tags, attributes, and whether any of them would do something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.policies: list[str] = []
        self.hostile: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = dict(attrs)
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policies.append(str(found["content"]))
        elif "http-equiv" in found:
            self.hostile.append(str(found))
        for name, value in found.items():
            if name.startswith("xmlns"):
                continue
            target = "".join(str(value).split()).lower()
            if name.startswith("on") or name in ("srcdoc", "autofocus") or target.startswith(("javascript:", "http")):
                self.hostile.append(f"{tag} {name}={value}")


ACTIVE = {"script", "svg", "iframe", "math", "link", "base", "form", "object", "embed", "img"}


def harmless(page: str) -> None:
    found = Page(page)
    assert not found.hostile and not found.tags & ACTIVE
    assert found.policies and all("script" not in p and "default-src 'none'" in p for p in found.policies)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tables:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(KEY, raising=False)
    shutil.copytree(SHIPPED, tmp_path / "expectations")
    return make_shop_log()


def params(files: FilesParams | None = None, **limits: Any) -> Params:
    ingest = SimpleNamespace(as_of=AS_OF, window_days=WINDOW_DAYS, files=files)
    settings = {"ingest": ingest, "validate_": ValidateParams(**limits), "runtime": RuntimeParams()}
    return cast(Params, SimpleNamespace(**settings))


def ask(table: str, *more: dict[str, Any]) -> None:
    path = Path("expectations") / f"{table}.json"
    suite = json.loads(path.read_text())
    suite["expectations"] += [{"severity": "warning", "kwargs": {}, **each} for each in more]
    path.write_text(json.dumps(suite))


def about(kind: str, column: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_column_{kind}", "kwargs": {"column": column, **kwargs}}


def sql(query: str, description: str = "asked by SQL") -> dict[str, Any]:
    return {
        "type": "unexpected_rows_expectation",
        "kwargs": {"unexpected_rows_query": query},
        "description": description,
    }


def written(folder: Path) -> dict[str, str]:
    return {str(p): p.read_bytes().decode(errors="replace") for p in folder.rglob("*") if p.is_file()}


@pytest.mark.proof
def test_a_failing_validation_shows_nothing_of_a_person(shop: Tables, caplog: pytest.LogCaptureFixture) -> None:
    events, users = shop["events"], shop["users"]
    for name in ("user_id", "event_id"):
        events[name] = events[name].astype(object)
    users["user_id"] = users["user_id"].astype(object)
    users["phone"] = np.full(len(users["user_id"]), CANARIES["phone"], dtype=object)
    users["nickname"] = np.array([f"nick{n}" for n in range(len(users["user_id"]))], dtype=object)
    users["nickname"][1] = CANARIES["name"]
    users["user_id"][0] = users["user_id"][1] = CANARIES["mail"]
    events["user_id"][:3] = CANARIES["mail"] + "x"
    events["event_id"][4] = events["event_id"][5] = CANARIES["event"]
    events["session_id"] = np.full(len(events["kind"]), CANARIES["session"], dtype=object)
    events["query"] = np.full(len(events["kind"]), CANARIES["query"], dtype=object)
    events["price_cents"][4] = -5
    ask(
        "users",
        about("values_to_be_in_set", "phone", value_set=["x"]),
        about("distinct_values_to_be_in_set", "nickname", value_set=["x"]),
        about("most_common_value_to_be_in_set", "phone", value_set=["x"]),
        about("value_lengths_to_be_between", "nickname", max_value=3),
        about("max_to_be_between", "nickname", max_value=5),
        sql("SELECT nickname AS n, phone || '' AS called FROM {batch}"),
        sql("SELECT phone::INT AS number FROM {batch}"),
    )
    ask(
        "events",
        about("value_lengths_to_be_between", "query", max_value=3),
        sql("SELECT * FROM {batch}"),
        sql("SELECT query::DATE FROM {batch}"),
    )
    write_shop_log(INGESTED, shop)
    of_person = {"event_id": {"key": ["who", "at"]}, "user_id": "who"}
    events_of = {**of_person, "item_id": "item", "kind": {"constant": "purchase"}, "occurred_at": "at"}
    files = {"events": {"path": "e.csv", "columns": {**events_of, "price_cents": {"column": "p", "unit": "major"}}}}
    made = FilesParams.model_validate(files)
    with caplog.at_level("INFO", "triad"), pytest.raises(TriadError) as error:
        validate(params(made, quarantine={"share": 0}))
    shown = written(FAILED) | {"error": str(error.value), "log": caplog.text}
    for name, canary in CANARIES.items():
        assert not [place for place, text in shown.items() if canary in text], name
    assert "could not be asked: " in str(error.value) and "Could not convert string 'a" not in caplog.text
    found = json.loads((FAILED / "result.json").read_text())["checks"]
    twice = next(c for c in found if c["column"] == "event_id" and "unique" in c["name"])
    assert twice["samples"] == [{"event_id": "'aaaaaa-aaaaa:9999'", "times": 2}]


@pytest.mark.proof
def test_attributes_declared_public_are_shown_and_drift_follows_the_same_rule(
    shop: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    events, users = shop["events"], shop["users"]
    late = events["occurred_at"] >= np.datetime64(AS_OF, "us").astype(np.int64) - 7 * 86_400_000_000
    even = np.array([int(user[1:]) % 2 == 0 for user in events["user_id"]])
    shop["events"] = {name: values[~late | even] for name, values in events.items()}
    users["tier"] = np.array(["Gold Tier", "Blue Tier"])[np.arange(len(users["user_id"])) % 2]
    write_shop_log(INGESTED, shop)
    with caplog.at_level("WARNING", "triad.validate"):
        validate(params(volume_sigmas=99))
    told = [c for c in json.loads((REPORT / "result.json").read_text())["checks"] if c["column"] == "tier"]
    assert told and not told[0]["passed"] and "'Aaaa Aaaa' " in told[0]["message"]
    assert "Gold" not in json.dumps(told) + caplog.text
    validate(params(volume_sigmas=99, public_attributes=["tier"]))
    told = [c for c in json.loads((REPORT / "result.json").read_text())["checks"] if c["column"] == "tier"]
    assert "Gold Tier " in told[0]["message"]


def test_no_text_of_the_shop_is_markup_in_data_docs(shop: Tables) -> None:
    titles = shop["items"]["title"]
    titles[: len(TAGS)] = TAGS
    for name in ('<svg onload="a">', "b' onclick='x"):
        shop["users"][name] = np.full(len(shop["users"]["user_id"]), "x", dtype=object)
        ask("users", about("values_to_be_in_set", name, value_set=list(TAGS)))
    ask(
        "items",
        about("distinct_values_to_be_in_set", "title", value_set=list(TAGS[:9])),
        about("values_to_be_in_set", "title", value_set=list(TAGS[9:])),
        *(sql("SELECT * FROM {batch} WHERE title IS NOT NULL", description=tag) for tag in TAGS),
        {"type": "expect_column_to_exist", "kwargs": {"column": TAGS[1]}, "notes": list(TAGS)},
    )
    write_shop_log(INGESTED, shop)
    validate(params(quarantine={"share": 0}))
    pages = {path.name: path.read_text() for path in REPORT.rglob("*.html")}
    assert {"index.html", "tables-items.html", "tables-users.html"} <= set(pages)
    for page in pages.values():
        harmless(page)
    assert "&lt;svg onload=alert(1)&gt;" in pages["tables-items.html"]
    assert "&amp;lt;svg" not in pages["tables-items.html"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM 'secret.parquet'",
        "SELECT * FROM read_parquet('t/../secret.parquet')",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO 'out.csv'",
        "ATTACH 'other.duckdb'",
        "SELECT * FROM read_parquet('https://localhost/x.parquet')",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SELECT * FROM variable_of_python",
    ],
)
def test_a_session_opens_nothing_but_its_tables(
    query: str, shop: Tables, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    users, apart = (
        pa.table({"user_id": ["a"], "signed_up_at": pa.array([0], pa.timestamp("us", "UTC"))}),
        tmp_path / "c",
    )
    apart.mkdir()
    variable_of_python = users
    pq.write_table(variable_of_python, apart / "1f.parquet")
    pq.write_table(users, "secret.parquet")
    Path("t/users").mkdir(parents=True)
    Path("t/users/part-0.parquet").symlink_to(apart / "1f.parquet")  # as DVC's cache links it
    with connect(Path("t")) as session:
        assert session.execute("SELECT count(*) FROM users").fetchall() == [(1,)]
        session.execute(LOCK)
        with pytest.raises(duckdb.Error):
            session.execute(query).fetchall()
        assert session.execute("SELECT count(*) FROM users").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Could not convert string 'Anna O'Neill' to INT32", "Could not convert string 'Aaaa A'Aaaaa' to INT32"),
        ('invalid date "an@b.de\nx" given', 'invalid date "aa@a.aa\na" given'),
        ('no column "tier" in it', 'no column "tier" in it'),
        ("at http://u:secret@h/x?token=1", "at http://h/x"),
    ],
)
def test_what_a_library_says_keeps_no_value(said: str, expected: str) -> None:
    assert masked(said, ["tier"]) == expected


def test_a_privacy_knows_the_contract() -> None:
    privacy = Privacy(frozenset({"tier"}), frozenset({"events.event_id"}))
    hidden = [("users", "user_id"), ("events", "query"), ("searches", "query"), ("conversations", "reply")]
    hidden += [("events", "event_id"), ("users", "phone"), ("events", "session_id"), ("conversations", "message")]
    assert all(privacy.hides(*column) for column in hidden)
    open_ = [("users", "tier"), ("items", "title"), ("events", "kind"), ("events", "occurred_at"), ("items", "item_id")]
    assert not any(privacy.hides(*column) for column in open_)
    assert privacy.value("items", "title", "a\x1b[31m\n") == "'a\\x1b[31m\\n'"


SECRET = "hunter2-canary-secret"

TOLD = (
    f"s3://key:{SECRET}@bucket/events/*.csv",
    f"https://anna:p/{SECRET}@host.example/x.csv?X-Amz-Signature={SECRET}",
    f"sftp://anna:{SECRET}@host/x",
    f"postgresql+psycopg2://mlflow:{SECRET}@db:5432/mlflow",
)


@pytest.mark.parametrize("url", TOLD)
def test_no_password_of_a_url_is_told(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = TriadError(f"{url} is not there", where=url, mend=f"look at {url}")
    error.write(tmp_path / "failure.json")
    told = [str(error), (tmp_path / "failure.json").read_text()]
    record = logging.LogRecord("triad", logging.INFO, "", 0, "reading %s", (url,), None)
    told += [Formatter("%(message)s").format(record), json.dumps(lineage.flatten({"ingest": {"path": url}}))]
    monkeypatch.setenv("TRIAD_MLFLOW_ADDRESS", url)
    told.append(settings.mlflow_address())
    messages: list[str] = []
    monkeypatch.setattr(notify, "notifier", lambda: lambda context: messages.append(context["message"]))
    notify.tell({}, f"it failed at {url}")
    process_group.run(["echo", url], tmp_path, dict(os.environ))
    try:
        raise ValueError(f"cannot read {url}") from OSError(url)
    except ValueError as raised:
        tell_unexpected(type(raised), raised, raised.__traceback__)
    told += [*messages, capsys.readouterr().err]
    assert not [text for text in told if SECRET in text]
    assert "ValueError: cannot read" in told[-1] and "That led to" in told[-1] and ".py" in told[-1]


def test_what_no_one_expected_is_told_without_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        {"a": 1}[CANARIES["mail"]]
    except KeyError as raised:
        tell_unexpected(type(raised), raised, raised.__traceback__)
    said = capsys.readouterr().err
    assert CANARIES["mail"] not in said and "KeyError: 'aaaaaa.aaaaa@aaaa.aaaaaaa'" in said


def test_no_text_of_the_shop_is_markup_in_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = TaskParams(kind="binary", label="clicked")
    estimate = {"value": 0.7, "lo": 0.6, "hi": 0.8}
    warnings = [
        {"table": "users", "column": tag, "message": tag, "severity": "warning", "passed": False, "unexpected": 1}
        for tag in TAGS
    ]
    rows = [{"task": "click", "model": tag, "metric": "auc", **estimate} for tag in TAGS if tag.isascii()]
    example = {"history": TAGS, "suggested": [{"title": tag, "hit": True} for tag in TAGS], "next": TAGS}
    verdict = {
        "verdict": "PASS",
        "champion": None,
        "experiment": TAGS[0],
        "tasks": {"click": {"gated": True, "metric": "auc", "k": 5, "against": "naive", "difference": None}},
        **dict.fromkeys(("reasons", "notes", "harms", "doubts", "gains"), TAGS),
    }
    evidence = Evidence(
        tasks={"click": task},
        params=make_params().evaluate,
        metrics={"click": {"auc": estimate, "rows": 3}},
        verdict=verdict,
        models=rows,
        slices=[],
        calibration=[],
        ranking=[],
        fusion={"record": {}, "weights": {}},
        validation={"checks": warnings},
        lineage=dict(zip(TAGS, TAGS, strict=True)),
        examples=[example],
        notes=TAGS,
    )
    page = Page(render(evidence))
    assert not page.hostile and not page.tags & (ACTIVE - {"svg"})
    assert page.policies and "script" not in page.policies[0]


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """The log as the command line writes it."""
    return Formatter("%(message)s").format(logging.makeLogRecord({"msg": caplog.text}))


def of_persons() -> dict[str, pa.Table]:
    """The small random shop, in which everything that may be personal is a canary, and a few rows are wrong."""
    tables = make_tables()

    def renamed(table: pa.Table, column: str, made: Callable[[str], str]) -> pa.Table:
        values = [None if value is None else made(value) for value in table[column].to_pylist()]
        return table.set_column(table.column_names.index(column), column, pa.array(values, pa.string()))

    users = renamed(tables["users"], "user_id", lambda value: f"{value}.{CANARIES['mail']}")
    for name in ("phone", "name"):
        users = users.append_column(name, pa.array([f"{CANARIES[name]} {n}" for n in range(users.num_rows)]))
    events = renamed(tables["events"], "user_id", lambda value: f"{value}.{CANARIES['mail']}")
    events = renamed(events, "event_id", lambda value: f"{CANARIES['event']}:{value}")
    events = renamed(events, "session_id", lambda value: f"{CANARIES['session']}-{value}")
    events = renamed(events, "query", lambda value: f"{value} {CANARIES['query']}")
    talk = {"message_id": ["m1"], "message": [CANARIES["query"]], "intent": ["ask"], "reply": [CANARIES["name"]]}
    return {**tables, "users": users, "events": events, "conversations": pa.table(talk)}


def test_a_good_night_shows_nothing_of_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(SHIPPED, "expectations")
    tables = of_persons()
    of_person = {"event_id": {"key": ["who", "at"]}, "user_id": "who", "query": "q"}
    columns = {**of_person, "item_id": "item", "kind": "kind", "occurred_at": "at"}
    files = {"events": {"path": TOLD[0], "columns": {**columns, "price_cents": {"column": "p", "unit": "major"}}}}
    files["users"] = {"path": "u.csv", "columns": {name: name for name in tables["users"].column_names}}
    settings = make_params(
        ingest={"as_of": END.isoformat(), "window_days": (END - START).days, "source": "files", "files": files},
        validate={"volume_sigmas": 99, "leak_auc": 1, "quarantine": {"share": 0.3}},
        evaluate={"bootstrap": 20, "min_slice_rows": 5},
    )
    make_night(tmp_path, tables={name: tables[name] for name in tables if name != "conversations"}, params=settings)
    events = tables["events"]
    wrong = events.slice(0, 3).set_column(1, "user_id", pa.array([f"unknown.{CANARIES['mail']}"] * 3))
    wrong = wrong.set_column(0, "event_id", pa.array([f"{CANARIES['event']}:x{n}" for n in range(3)]))
    for name, table in {**tables, "events": pa.concat_tables([events, wrong])}.items():
        write_table(INGESTED, name, table)
    with caplog.at_level("INFO"):
        validate(settings)
        evaluate(settings)
        publish(settings)
        recommend(settings)
    said = {stage: json.dumps(outcome.outcome(stage, tmp_path)) for stage in ("validate", "evaluate", "publish")}
    said |= {
        "why": lineage.why("1"),
        "log": Formatter("%(message)s").format(logging.makeLogRecord({"msg": caplog.text})),
    }
    said |= dict(zip(("stdout", "stderr"), capfd.readouterr(), strict=True))
    found = {str(Path(path).relative_to(tmp_path)): text for path, text in written(tmp_path).items()}
    shown = {place: text for place, text in found.items() if not any(held in place for held in HOLD_DATA)}
    for name in ("similar_items", "bought_together"):  # lists of products, of which no customer is told
        place = f"artifacts/recommend/{name}.parquet"
        del shown[place]
        shown[f"{place}, read"] = str(pq.read_table(place).to_pydict())
    assert {"mlflow.db", "artifacts/validate/report/result.json", "artifacts/evaluate/report/report.html"} <= set(shown)
    assert pq.read_table("artifacts/validate/quarantine/events.parquet").num_rows == 3
    for name, canary in {**CANARIES, "secret": SECRET}.items():
        assert not [place for place, text in {**shown, **said}.items() if canary in text], name
    unread = {place for place in shown if place.endswith(".parquet")}
    assert not unread, "what is packed cannot be searched"


_SAID = [CANARIES[name] for name in ("mail", "mail", "phone", "query")]
CSV = "who,mail,phone,q,item,at,p\n" + "".join(
    ",".join([*_SAID, f"i{n},2026-02-0{n % 9 + 1} 10:00:00,1.5\n"]) for n in range(20)
)


@pytest.mark.parametrize(
    ("spoil", "change"),
    [
        (lambda text: text, {}),  # keys stand twice
        (lambda text: text.replace(",1.5", f",{CANARIES['phone']}"), {}),
        (lambda text: text.replace("2026-02-01 10:00:00", CANARIES["name"]), {}),
        (lambda text: text + f"{CANARIES['mail']},{CANARIES['phone']}\n", {}),
        (lambda text: text + f'"{CANARIES["mail"]},{CANARIES["phone"]}\n', {}),
        (lambda text: text.split("\n", 1)[1], {}),  # no header
        (lambda text: text.replace("canary.", "canary\x00."), {}),
        (lambda text: text.replace("canary cure", "canary cure ü").encode("latin-1"), {}),
        (lambda text: text, {"path": f"s3://k:{SECRET}@bucket/e.csv"}),
        (lambda text: text, {"path": "${AWS_SECRET_ACCESS_KEY}/e.csv"}),
        (lambda text: text, {"path": "/nowhere/${TRIAD_CANARY}/e.csv"}),
        (lambda text: text, {"drop": [{"column": "mail", "above": 3}]}),
    ],
)
def test_what_is_wrong_with_a_file_is_told_without_its_values(
    spoil: Callable[[str], str | bytes],
    change: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_SECRET_ACCESS_KEY", "TRIAD_CANARY"):
        monkeypatch.setenv(name, SECRET)
    text = spoil(CSV)
    Path("e.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    columns = {"event_id": {"key": ["who", "at"]}, "user_id": "who", "item_id": "item", "occurred_at": "at"}
    columns |= {"kind": {"constant": "click"}, "price_cents": {"column": "p", "unit": "major"}, "query": "q"}
    events = {"path": "e.csv", "timezone": "UTC", "columns": columns} | change
    chosen = {"as_of": "2026-03-01", "window_days": 28, "source": "files", "files": {"events": events}}
    with caplog.at_level("INFO"), pytest.raises(TriadError) as error:
        ingest(make_params(ingest=chosen))
    told = str(error.value) + logged(caplog)
    assert not [name for name, canary in {**CANARIES, "secret": SECRET}.items() if canary in told], told
