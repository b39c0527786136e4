"""Outputs appear whole or not at all."""

from pathlib import Path

import pytest

from triad.artifacts import read_json, replacing, write_json


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


def test_json_is_the_same_bytes_for_the_same_value_and_refuses_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "x" / "a.json", {"b": 1, "a": [1.5]})
    write_json(tmp_path / "b.json", {"a": [1.5], "b": 1})
    assert (tmp_path / "x" / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert read_json(tmp_path / "b.json") == {"a": [1.5], "b": 1}
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "b.json", float("nan"))
    assert read_json(tmp_path / "b.json") == {"a": [1.5], "b": 1}
