"""Whatever is killed, nothing of the stage lives on, and the next attempt gives what an undisturbed run gives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from make_pipeline import ended, make_repository, opened, retraining, start, wait_for

from triad.retraining import process_group
from triad.retraining.locks import free_stale_locks
from triad.retraining.run import MARK

SLOW = '{"prepare": {"sleep": 60}}'


def asleep(**options) -> subprocess.Popen:
    """A process that does nothing. Just after its start, the system tells nothing of it yet."""
    process = subprocess.Popen(["sleep", "60"], **options)
    while not psutil.Process(process.pid).cmdline():
        time.sleep(0.01)
    return process


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("process_group") / "shop")


@pytest.fixture(scope="module")
def undisturbed(shop: Path) -> str:
    folder = opened(shop, "undisturbed")
    retraining(shop, "stage", "prepare", "--workspace", str(folder))
    return (folder / "out" / "prepare" / "data").read_text()


def living(folder: Path) -> list[int]:
    return process_group.marked(MARK, f"{folder}:prepare")


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def family(folder: Path, wrapper: int) -> dict[str, int]:
    """The attempt's processes by what they are."""
    step = int(wait_for(folder / ".triad" / "prepare.pid"))
    chain = [step]
    while parent(chain[-1]) != wrapper:
        chain.append(parent(chain[-1]))
    *_, dvc, guard = chain
    return {"stage": step, "dvc": dvc, "guard": guard, "wrapper": wrapper}


VICTIMS = [("wrapper",), ("guard",), ("dvc",), ("stage",), ("wrapper", "guard"), ("wrapper", "guard", "dvc")]


@pytest.mark.parametrize("victims", VICTIMS, ids="+".join)
def test_after_a_kill_the_stage_succeeds_at_once(shop: Path, undisturbed: str, victims: tuple[str, ...]) -> None:
    folder = opened(shop, "killed-" + "-".join(victims))
    attempt = start(shop, "stage", "prepare", "--workspace", str(folder), STEP=SLOW)
    try:
        members = family(folder, attempt.pid)
        for victim in victims:  # all at once: one's death must not give the next the time to tidy up
            os.kill(members[victim], signal.SIGSTOP)
        for victim in victims:
            os.kill(members[victim], signal.SIGKILL)
        began = time.monotonic()
        said = retraining(shop, "stage", "prepare", "--workspace", str(folder))
        assert time.monotonic() - began < 40  # and not the minute that the first attempt would have taken
        assert said["changed"] is True
        assert (folder / "out" / "prepare" / "data").read_text() == undisturbed
        assert not living(folder)
        if "wrapper" not in victims:
            code, said, _ = ended(attempt)
            assert code == 1 and said["error"]["what"]
    finally:
        attempt.kill()
        attempt.communicate()
        process_group.end_leftovers(MARK, f"{folder}:prepare")


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_stage_that_is_asked_to_stop_stops_whole(shop: Path, asked: signal.Signals) -> None:
    folder = opened(shop, f"asked-{asked.name}")
    attempt = start(shop, "stage", "prepare", "--workspace", str(folder), STEP=SLOW)
    wait_for(folder / ".triad" / "prepare.pid")
    attempt.send_signal(asked)
    began = time.monotonic()
    code, said, _ = ended(attempt)
    assert code == 1 and said["stage"] == "prepare"
    assert time.monotonic() - began < 30
    assert not living(folder)


def test_a_killed_wrapper_takes_everything_along_without_another_attempt(shop: Path) -> None:
    folder = opened(shop, "alone")
    attempt = start(shop, "stage", "prepare", "--workspace", str(folder), STEP=SLOW)
    wait_for(folder / ".triad" / "prepare.pid")
    attempt.kill()
    attempt.communicate()
    deadline = time.monotonic() + 30
    while living(folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_locks_of_the_dead_are_freed_and_those_of_the_living_kept(tmp_path: Path) -> None:
    folder = tmp_path / ".dvc" / "tmp"
    folder.mkdir(parents=True)
    assert free_stale_locks(tmp_path) == 0
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is not buried
    alive = asleep()
    try:
        dead, gone = {"pid": zombie.pid, "cmd": "true"}, {"pid": 2**22 + 1, "cmd": "dvc repro a"}
        other, own = {"pid": alive.pid, "cmd": "dvc repro b"}, {"pid": alive.pid, "cmd": "dvc wait 60"}
        kept = {"write": {"/a": own}, "read": {"/b": [own]}}
        held = {"write": {"/a": own, "/c": dead}, "read": {"/b": [own, dead], "/d": [gone]}}
        for before, after, freed in ((held, kept, 2), ({"write": {"/e": other}}, {"write": {}, "read": {}}, 1)):
            (folder / "rwlock").write_text(json.dumps(before))
            assert free_stale_locks(tmp_path) == freed
            assert json.loads((folder / "rwlock").read_text()) == after
        (folder / "rwlock").write_text(json.dumps(held)[:30])
        assert free_stale_locks(tmp_path) == 0
        assert json.loads((folder / "rwlock").read_text()) == {"write": {}, "read": {}}
    finally:
        alive.kill()
        alive.wait()
        zombie.wait()


@pytest.mark.parametrize("left", [0, 60, -150, -9])
def test_a_lock_cut_short_by_a_kill_is_mended(finished: Path, shop: Path, left: int) -> None:
    lock = finished / "dvc.lock"
    lock.write_bytes(lock.read_bytes()[:left])
    assert retraining(shop, "stage", "left", "--workspace", str(finished))["changed"] is False
    assert retraining(shop, "stage", "prepare", "--workspace", str(finished))["changed"] is False


@pytest.fixture(scope="module")
def finished(shop: Path) -> Path:
    folder = opened(shop, "cut")
    for name in ("prepare", "left"):
        retraining(shop, "stage", name, "--workspace", str(folder))
    return folder


def test_output_reads_well_in_a_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bar = r"import sys; sys.stdout.write('10%\r50%\r100%\nthe end\r\n'); sys.stderr.write('é no line end')"
    code, text = process_group.run([sys.executable, "-c", bar], tmp_path, dict(os.environ))
    assert code == 0
    assert text == capfd.readouterr().err
    assert sorted(text.splitlines()) == ["100%", "the end", "é no line end"]


def test_a_process_that_left_the_group_is_found_by_its_mark(tmp_path: Path) -> None:
    mark = {"A_MARK": f"{tmp_path}:x"}
    process = asleep(env={**os.environ, **mark}, start_new_session=True)
    assert process_group.marked("A_MARK", str(tmp_path)) == [process.pid]
    assert process_group.marked("A_MARK", f"{tmp_path}:xy") == []
    assert process_group.end_leftovers("A_MARK", f"{tmp_path}:x") == 1
    assert process.wait(5) == -signal.SIGTERM


def test_the_lock_of_a_process_that_is_just_dying_is_freed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It still has a number and a status, and no command any more."""
    monkeypatch.setattr(psutil.Process, "cmdline", lambda _: [])
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    held = {"write": {"/a": {"pid": os.getpid(), "cmd": "dvc repro a"}}}
    (tmp_path / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(held))
    assert free_stale_locks(tmp_path) == 1
