"""What was shown comes back as events of the next night: whole lines, none lost to a kill, none counted twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from triad.config.serve import ServeParams
from triad.errors import TriadError
from triad.privacy import shown_log
from triad.schema import EVENTS
from triad.serving.commands import _log
from triad.serving.impressions import ImpressionLog, rows
from triad.sources import shown

NOW = datetime(2026, 1, 30, 12, tzinfo=UTC)


def listed(*items: str) -> list[dict[str, object]]:
    known = {"price_cents": 450, "version": "3", "arm": "champion", "propensity": 1.0}
    return [{"item_id": item, "rank": place + 1, **known} for place, item in enumerate(items)]


def test_lists_come_back_as_the_contracts_events(tmp_path: Path) -> None:
    log = ImpressionLog(tmp_path / "log", "always")
    log.write(rows("ü1", None, "home", NOW, listed("i1", "i2")))
    log.write(rows("u2", None, "search", None, listed("i3")))
    log.close()
    table = shown.read(tmp_path / "log")
    assert table.column_names == [*EVENTS.names, "version", "arm", "propensity"]
    first = table.to_pylist()[0]
    assert first["user_id"] == "ü1" and first["occurred_at"] == NOW and first["kind"] == "impression"
    assert (first["position"], first["surface"], first["price_cents"]) == (1, "home", 450)
    assert first["quantity"] is None and first["session_id"] is None and first["propensity"] == 1.0
    users, items = pa.table({"user_id": ["ü1", "u2"]}), pa.table({"item_id": ["i2", "i3"]})
    kept = shown.events(tmp_path / "log", date(2026, 1, 31), 7, users, items)
    assert kept.column_names == list(EVENTS.names) and kept["item_id"].to_pylist() == ["i2"]  # i1: no such item


def test_a_repeated_request_counts_once(tmp_path: Path) -> None:
    log = ImpressionLog(tmp_path, "never")
    for request in ("r1", "r1", "r2", None, None):
        log.write(rows("u1", request, "home", NOW, listed("i1", "i2")))
    assert shown.read(tmp_path).num_rows == 8
    assert len(rows("u1", "r1", "home", NOW, listed("i1"))[0]["event_id"]) < 100


def test_files_are_rotated_and_hold_whole_lines_from_many_threads(tmp_path: Path) -> None:
    log = ImpressionLog(tmp_path, "second", most=5_000)

    def write(n: int) -> None:
        for k in range(20):
            log.write(rows(f"u{n}", f"{k}", "home", NOW, listed("i1", "i2", "i3")))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    log.close()
    files = list(tmp_path.glob("*.jsonl"))
    assert len(files) > 3 and all(
        file.stat().st_size <= 5_000 and file.stat().st_mode & 0o777 == 0o600 for file in files
    )
    assert shown.read(tmp_path).num_rows == 4 * 20 * 3


def test_a_full_disk_leaves_no_half_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, write = ImpressionLog(tmp_path, "never"), os.write
    log.write(rows("u1", "1", "home", NOW, listed("i1")))

    def half(file: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return write(file, data[:100])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space"):
        log.write(rows("u1", "2", "home", NOW, listed("i2")))
    monkeypatch.undo()
    log.write(rows("u1", "3", "home", NOW, listed("i3")))
    assert shown.read(tmp_path)["item_id"].to_pylist() == ["i1", "i3"]


def test_a_file_that_cannot_be_begun_or_was_deleted_costs_nothing_but_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, opened = tmp_path / "log", os.open
    log = ImpressionLog(folder, "never", most=400)
    log.write(rows("u1", "1", "home", NOW, listed("i1")))
    monkeypatch.setattr(os, "open", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        log.write(rows("u1", "2", "home", NOW, listed("i2")))
    monkeypatch.setattr(os, "open", opened)
    other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)  # has the number of the file that was closed
    log.write(rows("u1", "3", "home", NOW, listed("i3")))
    assert shown.read(folder)["item_id"].to_pylist() == ["i1", "i3"]
    os.write(other, b"still open")
    shutil.rmtree(folder)
    log.write(rows("u1", "4", "home", NOW, listed("i4")))
    assert shown.read(folder)["item_id"].to_pylist() == ["i4"]
    log.close()
    os.close(other)


def test_a_service_that_cannot_write_its_log_says_so_and_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TriadError, match=r"cannot be made: .*\n.*may write to"):
        _log(ServeParams(log=str(tmp_path / "file" / "log")))
    assert _log(ServeParams()) is None


def test_a_person_is_forgotten_in_files_of_earlier_days(tmp_path: Path) -> None:
    log = ImpressionLog(tmp_path, "never")
    for user in ("u1", "u2", "u1"):
        log.write(rows(user, None, "home", NOW, listed("i1", "i2")))
    log.close()
    (today,) = tmp_path.glob("*.jsonl")
    assert shown_log.count(tmp_path, {"u1"}.__contains__) == 4
    assert shown_log.without(tmp_path, {"u1"}.__contains__) == 0, "it is still written to"
    earlier = today.rename(tmp_path / f"2020-01-01{today.name[10:]}")
    with earlier.open("ab") as file:
        file.write(b'{"half": ')
    assert shown_log.without(tmp_path, {"u1"}.__contains__) == 4
    assert shown.read(tmp_path)["user_id"].to_pylist() == ["u2", "u2"] and earlier.stat().st_mode & 0o777 == 0o600
    assert earlier.read_bytes().endswith(b'{"half": ') and shown_log.count(tmp_path, {"u1"}.__contains__) == 0


def test_a_torn_line_waits_and_a_whole_one_that_is_no_event_is_told(tmp_path: Path) -> None:
    line = json.dumps(rows("u1", None, "home", NOW, listed("i1"))[0])
    (tmp_path / "a.jsonl").write_text(f"{line}\n{line[:40]}")
    assert shown.read(tmp_path).num_rows == 1
    (tmp_path / "b.jsonl").write_text("{}\n")
    with pytest.raises(TriadError, match=r"b\.jsonl, line 1"):
        shown.read(tmp_path)
    with pytest.raises(TriadError, match="no such folder"):
        shown.read(tmp_path / "none")


WRITER = textwrap.dedent("""
    import sys
    from datetime import UTC, datetime
    from pathlib import Path
    from triad.serving.impressions import ImpressionLog, rows
    log, first = ImpressionLog(Path(sys.argv[1]), "second", most=20_000), int(sys.argv[2])
    for n in range(first, 1_000_000):
        row = {"item_id": "i1", "rank": 1, "price_cents": 1, "version": "1", "arm": "champion", "propensity": 1.0}
        log.write(rows("u1", str(n), "home", datetime(2026, 1, 30, tzinfo=UTC), [row, {**row, "rank": 2}]))
        print(n, flush=True)  # the answer
""")


def test_killed_under_load_no_event_is_lost_or_doubled(tmp_path: Path) -> None:
    """Each time killed between any two instructions; the client then repeats the request that got no answer."""
    answered = -1
    for answers in (150, 1, 400):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(answered + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
            assert service.stdout is not None
            for _ in range(answers):
                answered = int(service.stdout.readline())
            service.send_signal(signal.SIGKILL)
            answered = max([answered, *map(int, service.stdout.read().split("\n")[:-1])])
    found = shown.read(tmp_path)["event_id"].to_pylist()
    sent = [{row["event_id"] for row in rows("u1", str(n), "home", NOW, listed("a", "b"))} for n in range(answered + 2)]
    assert len(found) == len(set(found)) and set().union(*sent[:-1]) <= set(found)
    assert set(found) <= set().union(*sent)  # the last request may lack its answer
