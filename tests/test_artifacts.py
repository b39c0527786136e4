"""Outputs appear whole or not at all."""

import errno
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from triad.artifacts import read_json, replacing, replacing_file, write_json
from triad.errors import TriadError


def test_a_failed_writer_leaves_the_former_folder(tmp_path: Path) -> None:
    target = tmp_path / "stage"
    with replacing(target) as folder:
        (folder / "a").write_text("old")
    with pytest.raises(RuntimeError), replacing(target) as folder:
        (folder / "a").write_text("new")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["stage"]
    assert (target / "a").read_text() == "old"


def test_a_folder_is_replaced_and_holds_nothing_of_before(tmp_path: Path) -> None:
    target = tmp_path / "stage"
    for name in ("a", "b"):
        with replacing(target) as folder:
            (folder / name).write_text(name)
    assert [p.name for p in target.iterdir()] == ["b"]


def test_a_writer_killed_between_the_renames_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / ".stage.old").mkdir()
    (tmp_path / ".stage.old" / "a").write_text("old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "stage"):
        raise RuntimeError
    assert (tmp_path / "stage" / "a").read_text() == "old"


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), OSError("1000 requested and 0 written")]
)
def test_a_full_disk_is_told_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    target = tmp_path / "stage"
    with replacing(target) as folder:
        (folder / "a").write_text("old")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(TriadError, match=r"stage: no space left on the disk .*\n.*free some space"), replacing(target):
        raise error
    assert (target / "a").read_text() == "old"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 30))
    with pytest.raises(OSError, match="denied"), replacing(target):
        raise OSError("denied")


def test_a_file_is_replaced_whole_and_a_failed_writer_leaves_the_former(tmp_path: Path) -> None:
    path = tmp_path / "x" / "a.npz"
    with replacing_file(path) as fresh:
        np.savez(fresh, old=[1])
    with pytest.raises(RuntimeError), replacing_file(path) as fresh:
        fresh.write_bytes(b"ne")
        assert "old" in np.load(path)
        raise RuntimeError
    assert "old" in np.load(path)
    assert list(path.parent.iterdir()) == [path]


def test_json_is_the_same_bytes_for_the_same_value_and_refuses_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "x" / "a.json", {"b": 1, "a": [1.5]})
    write_json(tmp_path / "b.json", {"a": [1.5], "b": 1})
    assert (tmp_path / "x" / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert read_json(tmp_path / "b.json") == {"a": [1.5], "b": 1}
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "b.json", float("nan"))
    assert read_json(tmp_path / "b.json") == {"a": [1.5], "b": 1}
