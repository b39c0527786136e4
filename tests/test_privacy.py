"""Pseudonyms from the first table on, and persons who are forgotten."""

import json
import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from make_tables import END, make_tables

from triad.artifacts import INGESTED, ORACLE, TABLES, read_json
from triad.cli import commands
from triad.config.params import Params, parse
from triad.errors import TriadError
from triad.locking import held
from triad.privacy import forgotten, shown_log
from triad.privacy.pseudonyms import COLUMNS, Key
from triad.privacy.same_key import check_same_key
from triad.redaction import KEY, tag
from triad.sources import files
from triad.sources.simulated import simulate
from triad.stages import recommend as stage
from triad.stages.ingest import ingest
from triad.tables import key_check, write_table
from triad.tracking.serving import RECOMMENDATIONS
from triad.validation.quarantine import write_kept

SECRET = "a key of the shop's, long enough"
OTHER = "another key, which is long enough"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(KEY, raising=False)
    for name in ("TRIAD_CHECKOUT", "MLFLOW_TRACKING_URI", "TRIAD_DELIVERY", "TRIAD_WORKSPACES"):
        monkeypatch.delenv(name, raising=False)
    Path("dvc.yaml").touch()
    yield


def params(**section: Any) -> Params:
    few = {"as_of": "2026-01-11", "window_days": 4, "simulated": {"size": "tiny", "seed": 3}}
    return parse(
        {
            "ingest": few | section,
            "tasks": {"click": {"kind": "binary", "label": "clicked"}},
            "features": {"split_days": {"validation": 1, "fusion": 1, "test": 1}, "attribution_hours": 12},
            "validate": {"drift_days": 1},
            "recommend": {"order_by": "click"},
        },
        "test",
    )


def conversations() -> pa.Table:
    return pa.table(
        {"message_id": ["u0003-1", "m2"], "message": ["hello", "where is it"], "intent": ["greet", "track"]}
    )


def from_files(monkeypatch: pytest.MonkeyPatch, **more: Any) -> Params:
    """Params of a shop whose files hold small tables."""
    tables = {**make_tables(users=12, shown=300), "conversations": conversations()}
    monkeypatch.setattr(files, "read_files", lambda *_: dict(tables))
    known = params(as_of=END.isoformat(), window_days=30, **more)
    return known.model_copy(update={"ingest": known.ingest.model_copy(update={"source": "files"})})


def written(folder: Path = INGESTED) -> dict[str, pa.Table]:
    return {
        name.name: pa.concat_tables(
            [pq.ParquetFile(f).read() for f in sorted(name.rglob("*.parquet"))], promote_options="default"
        )
        for name in folder.iterdir()
        if name.is_dir()
    }


def texts(root: Path) -> set[str]:
    """Every text in every Parquet below `root`, other files by their words."""
    found: set[str] = set()
    for path in root.rglob("*"):
        if path.suffix == ".parquet":
            for column in pq.ParquetFile(path).read().columns:
                if pa.types.is_string(column.type):
                    found |= {value for value in column.to_pylist() if value is not None}
        elif path.is_file():
            found |= set(path.read_text().replace('"', " ").split())
    return found


def run(*arguments: str) -> Any:
    return CliRunner().invoke(commands, arguments)


@pytest.mark.parametrize("source", ["files", "simulated"])
def test_no_raw_id_is_written_anywhere(source: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(KEY, SECRET)
    if source == "files":
        chosen = from_files(monkeypatch, pseudonymise=True)
        raw = files.read_files(chosen.ingest)
    else:
        chosen = params(pseudonymise=True)
        raw = simulate(chosen.ingest).whole()[0]
    ids = {
        value
        for table in raw.values()
        for column in COLUMNS
        if column in table.column_names
        for value in table[column].to_pylist()
        if value is not None
    }
    ingest(chosen)
    assert not ids & texts(tmp_path / "artifacts")
    users = sorted(written()["users"]["user_id"].to_pylist())
    assert users == sorted(Key(SECRET.encode()).pseudonym(id_) for id_ in raw["users"]["user_id"].to_pylist())
    assert set(written()["events"]["user_id"].to_pylist()) <= set(users)
    assert all(len(id_) == 32 and int(id_, 16) >= 0 for id_ in users)
    if source == "simulated":  # the truth still fits the events
        told = pq.read_table(ORACLE / "exposures.parquet")["event_id"].to_pylist()
        assert told and set(told) <= set(written()["events"]["event_id"].to_pylist())
    assert SECRET not in "".join(path.read_text() for path in tmp_path.rglob("*.json"))


def test_a_pseudonym_is_of_its_key_and_its_kind() -> None:
    one, two = Key(SECRET.encode()), Key(OTHER.encode())
    made = {one.pseudonym("7"), one.pseudonym("7", "event"), two.pseudonym("7"), one.pseudonym("8")}
    assert len(made) == 4
    assert SECRET not in repr(one)


def test_a_pseudonym_tells_nothing_of_the_hash_in_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, SECRET)
    assert not Key(SECRET.encode()).pseudonym("7").startswith(tag("7"))


@pytest.mark.parametrize("value", [None, "", "   "])
def test_without_a_key_nothing_is_read(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = from_files(monkeypatch, pseudonymise=True)
    monkeypatch.setattr(files, "read_files", lambda *_: pytest.fail("it read the files"))
    if value is not None:
        monkeypatch.setenv(KEY, value)
    with pytest.raises(TriadError, match="holds none") as raised:
        ingest(chosen)
    assert KEY in raised.value.mend
    assert not INGESTED.exists()


def test_another_key_is_noticed_until_it_is_said_to_be_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = from_files(monkeypatch, pseudonymise=True)
    monkeypatch.setenv(KEY, SECRET)
    ingest(chosen)
    before = texts(INGESTED)
    monkeypatch.setenv(KEY, OTHER)
    with pytest.raises(TriadError, match="not the one of the nights before"):
        ingest(chosen)
    assert texts(INGESTED) == before
    assert run("pseudonym", "--new-key").exit_code == 0
    ingest(chosen)
    assert Key(OTHER.encode()).pseudonym("u0001") in texts(INGESTED)


def test_an_attribute_that_repeats_the_id_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = from_files(monkeypatch, pseudonymise=True)
    tables = files.read_files(chosen.ingest)
    tables["users"] = tables["users"].append_column("customer", tables["users"]["user_id"])
    monkeypatch.setattr(files, "read_files", lambda *_: tables)
    monkeypatch.setenv(KEY, SECRET)
    with pytest.raises(TriadError, match="repeats the user's id in 12 of 12"):
        ingest(chosen)


@pytest.mark.parametrize(("secret", "pseudonymise"), [(None, False), (SECRET, False), (SECRET, True)])
def test_the_forgotten_are_in_no_later_table(
    secret: str | None, pseudonymise: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if secret:
        monkeypatch.setenv(KEY, secret)
    chosen = from_files(monkeypatch, pseudonymise=pseudonymise)
    caplog.set_level("INFO", "triad.ingest")
    ingest(chosen)
    before = written()
    assert run("forget", "u0003", "u0005").exit_code == 0
    assert run("forget", "--messages", "u0003-1").exit_code == 0
    ingest(chosen)
    after = written()
    key = Key(SECRET.encode())
    gone = {key.pseudonym(id_) if pseudonymise else id_ for id_ in ("u0003", "u0005")}
    for name in ("users", "events"):
        ids = [id_ for id_ in before[name]["user_id"].to_pylist() if id_ not in gone]
        assert after[name]["user_id"].to_pylist() == ids
        assert len(ids) < before[name].num_rows
    assert after["conversations"].num_rows == 1
    assert after["items"].equals(before["items"])
    lost = before["events"].num_rows - after["events"].num_rows
    assert f"suppressed: users 2, events {lost}, conversations 1" in caplog.text
    assert "u0003" not in caplog.text


def test_the_list_is_the_owners_alone_and_holds_no_id_where_there_is_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = run("forget", "anna@shop.de")
    assert bare.exit_code == 0
    assert "holds bare ids" in bare.output
    assert stat.S_IMODE(forgotten.place().stat().st_mode) == 0o600
    monkeypatch.setenv(KEY, SECRET)
    again = run("forget", "anna@shop.de", "ben")
    assert again.output.startswith("1 of 2 are new")
    assert "anna" not in forgotten.place().read_text()
    assert stat.S_IMODE(forgotten.place().stat().st_mode) == 0o600
    assert forgotten.read().holds("anna@shop.de")
    assert not forgotten.read().holds("carl")


def test_a_person_is_taken_off_the_list_and_the_note_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIAD_TRIGGER", "officer")
    run("forget", "anna@shop.de", "ben")
    none = run("forget", "--lift", "carl")
    assert isinstance(none.exception, TriadError) and "none of them is on the list" in str(none.exception)
    assert run("forget", "--lift", "anna@shop.de").output.startswith("1 of 1 are off the list")
    assert not forgotten.read().holds("anna@shop.de") and forgotten.read().holds("ben")
    monkeypatch.setenv(KEY, SECRET)
    run("forget", "dora")  # from here on the list holds pseudonyms
    assert run("forget", "--lift", "ben").exit_code == 0
    notes = [json.loads(line) for line in (forgotten.home() / "lifted.jsonl").read_text().splitlines()]
    assert [(note["by"], note["count"], note["left"]) for note in notes] == [("officer", 1, 1), ("officer", 1, 1)]
    assert [note["pseudonyms"] for note in notes] == [None, [Key(SECRET.encode()).pseudonym("ben")]]
    assert stat.S_IMODE((forgotten.home() / "lifted.jsonl").stat().st_mode) == 0o600


@pytest.mark.parametrize("now", [OTHER, None])
def test_a_champion_that_learned_under_another_key_is_not_compared_with(
    now: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = {"pseudonyms": Key(SECRET.encode()).check}
    monkeypatch.setenv(KEY, now or SECRET)
    ingest(from_files(monkeypatch, pseudonymise=now is not None))
    write_kept(INGESTED, TABLES, {})
    shutil.rmtree(forgotten.home(), ignore_errors=True)  # a new clone
    with pytest.raises(TriadError, match="it learned from pseudonyms under the key") as refused:
        check_same_key(learned, "version 7")
    assert "--new-key" in refused.value.mend
    check_same_key({"pseudonyms": key_check(TABLES)}, "version 7")
    check_same_key({}, "a version of before there were pseudonyms")
    monkeypatch.setenv(KEY, OTHER)
    assert run("pseudonym", "--new-key").exit_code == 0
    check_same_key(learned, "version 7")


@pytest.mark.parametrize("present", [None, OTHER])
def test_a_list_that_cannot_be_obeyed_stops_ingest(present: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, SECRET)
    run("forget", "u0003")
    monkeypatch.delenv(KEY)
    if present:
        monkeypatch.setenv(KEY, present)
    with pytest.raises(TriadError, match="they would come back"):
        ingest(from_files(monkeypatch))


@pytest.mark.parametrize("content", ["", "[]", '{"key": null}', "{"])
def test_a_damaged_list_stops_ingest(content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run("forget", "u0003")
    forgotten.place().write_text(content)
    with pytest.raises(TriadError, match="damaged"):
        ingest(from_files(monkeypatch))


def test_ids_come_from_a_file_too_and_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("\ufeffu1\r\n\r\n u2 \nu1\n")
    run("forget", "--file", "ids.txt", "u3")
    assert forgotten.read().named["user"] == {"u1", "u2", "u3"}
    assert "user\tu2" in run("forget", "--list").output
    assert isinstance(run("forget").exception, TriadError)


def git(*arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments], check=True, capture_output=True
    )


@pytest.mark.parametrize("where", ["checkout", "worktree", "below", "night", "experiment"])
def test_every_place_that_a_stage_runs_in_has_the_same_list(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "first")
    run("forget", "u1")
    folder = {"worktree": tmp_path.parent / f"{tmp_path.name}-w", "below": tmp_path / "project"}.get(where, tmp_path)
    if where == "worktree":
        git("worktree", "add", "--quiet", str(folder))
    elif where == "night":
        monkeypatch.setenv("TRIAD_CHECKOUT", str(tmp_path))
        folder = tmp_path.parent / f"{tmp_path.name}-n"
    elif where == "experiment":
        monkeypatch.setenv("DVC_EXP_NAME", "exp")
        monkeypatch.setenv("DVC_ROOT", str(tmp_path))
        folder = tmp_path / ".dvc" / "tmp" / "exps" / "abc"
        (folder / ".dvc").mkdir(parents=True)
        os.chdir(folder)
        git("init", "--quiet")  # DVC makes a clone
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    assert forgotten.read().named["user"] == {"u1"}


def test_two_who_are_forgotten_at_once_go_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("shown").mkdir()
    Path("params.yaml").write_text("serve: {log: shown}")
    refused: list[str] = []

    def another() -> None:
        with pytest.raises(TriadError) as raised, held(forgotten.place().with_name("forgetting")):
            pass
        refused.append(str(raised.value))

    def without(log: Path, is_meant: Any) -> int:
        assert is_meant("u1") and log.name == "shown"
        thread = threading.Thread(target=another)
        thread.start()
        thread.join()
        return 0

    monkeypatch.setattr(shown_log, "without", without)
    done = CliRunner().invoke(commands, ["forget", "u1"])
    assert "1 of 1 are new" in done.output and "is writing it" in refused[0]


def test_the_list_is_read_from_json_that_people_can_read() -> None:
    run("forget", "ü1")
    assert read_json(forgotten.place()) == {"key": None, "message": [], "user": ["ü1"]}


def test_pseudonym_prints_what_the_lists_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, SECRET)
    assert run("pseudonym", "u1", "u2").output.splitlines()[1] == f"u2\t{Key(SECRET.encode()).pseudonym('u2')}"
    monkeypatch.delenv(KEY)
    assert isinstance(run("pseudonym", "u1").exception, TriadError)


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("listed", ["bare", "as pseudonyms"])
def test_lists_from_older_tables_name_no_forgotten_person(
    hashed: bool, listed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if listed == "bare":
        run("forget", "u0003")
    monkeypatch.setenv(KEY, SECRET)
    key, ids = Key(SECRET.encode()), ["u0001", "u0003"]
    named = [key.pseudonym(id_) if hashed else id_ for id_ in ids]
    for name, table in make_tables(users=4, shown=50).items():
        write_table(TABLES, name, table)
    rows = {"rank": [1, 1], "item_id": ["i1", "i2"], "score": [0.1, 0.2], "reason": ["", ""], "explored": [False] * 2}
    lists = pa.table({"user_id": named, **rows, "model_version": ["1", "1"]}, schema=RECOMMENDATIONS)
    champion = SimpleNamespace(recommend=lambda *_: lists, version="1")
    monkeypatch.setattr(stage, "load_champion", lambda *_: champion)
    if listed != "bare":
        run("forget", "u0003")
    stage.recommend(params())
    made = pq.read_table(Path("artifacts/recommend/recommendations.parquet"))
    assert made["user_id"].to_pylist() == named[:1]
    assert read_json(Path("artifacts/recommend/summary.json"))["rows"] == 1


def test_who_is_forgotten_while_the_tables_are_read_is_not_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = from_files(monkeypatch)
    ingest(chosen)
    before = written()
    reads = files.read_files

    def meanwhile(*arguments: Any) -> Any:
        forgotten.add(["u0003"])
        return reads(*arguments)

    monkeypatch.setattr(files, "read_files", meanwhile)
    with pytest.raises(TriadError, match="has changed while the tables were read") as raised:
        ingest(chosen)
    assert raised.value.transient and written() == before
    ingest(chosen)  # again: the list is the same by now
    assert "u0003" not in written()["users"]["user_id"].to_pylist()


@pytest.mark.parametrize("pseudonymise", [False, True])
def test_an_id_that_no_table_holds_so_is_told(pseudonymise: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no table" not in run("forget", "--map", "nobody").output, "there is none yet"
    if pseudonymise:
        monkeypatch.setenv(KEY, SECRET)
    spelt = {"u0001": "007", "u0002": "41 ", "u0003": "Ane\u0301", "u0004": "it's"}
    tables = make_tables(users=12, shown=300)
    for name in ("users", "events"):
        at = tables[name].column_names.index("user_id")
        ids = [spelt.get(id_, id_) for id_ in tables[name]["user_id"].to_pylist()]
        tables[name] = tables[name].set_column(at, "user_id", pa.array(ids, pa.string()))
    tables["conversations"] = conversations()
    chosen = from_files(monkeypatch, pseudonymise=pseudonymise)
    monkeypatch.setattr(files, "read_files", lambda *_: dict(tables))
    ingest(chosen)
    for exact in ("u0005", "007", "41 ", "Ane\u0301", "it's"):
        assert "no table at hand holds" not in run("forget", "--map", exact).output
    for wrong, right in {
        "7": "007",
        "007.0": "007",
        "41\u00a0": "41 ",
        "An\u00e9": "Ane\u0301",
        "U0005": "u0005",
    }.items():
        said = run("forget", wrong).output
        assert f"no table at hand holds {wrong!r}" in said
        assert pseudonymise or f"but {right!r} looks the same" in said
        assert forgotten.read().holds(wrong) and not forgotten.read().holds(right)
    assert "'m9': is it spelled as in conversations.message_id?" in run("forget", "--messages", "m9").output
    assert "no table" not in run("forget", "--messages", "m2").output
    run("forget", "41 ")
    ingest(chosen)
    assert len(written()["users"]) == 11, "blanks at the end of an id are part of it"
