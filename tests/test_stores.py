"""What a killed run left is gone on from, or removed; what is somebody's stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from triad.features import stores


def test_parts_of_other_inputs_go_and_nothing_else_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tables").mkdir()
    Path("tables", "part").write_text("rows")
    place = stores.STORES / "features"
    for name in ("0" * 16, "notes", ".gone-x-0123abcd"):
        (place / name).mkdir(parents=True)
    (tmp_path / "else").mkdir()
    (place / ("1" * 16)).symlink_to(tmp_path / "else", target_is_directory=True)
    (place / "readme").write_text("of somebody")
    somebodys = {"notes", "1" * 16, "readme"}

    with pytest.raises(KeyboardInterrupt), stores.store("features", Path("tables"), ["a"]) as first:
        first.mkdir()
        raise KeyboardInterrupt  # as a kill: nothing is cleared away
    assert {each.name for each in place.iterdir()} == somebodys | {first.name}
    with stores.store("features", Path("tables"), ["a"]) as again:
        assert again == first and again.is_dir()
    with stores.store("features", Path("tables"), ["b"]) as other:
        assert other != first
    assert {each.name for each in place.iterdir()} == somebodys and (tmp_path / "else").is_dir()
