"""The code of a version is one file, the same bytes each time, and Python imports from it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import triad
from triad.digests import code_digest
from triad.tracking.packing import CODE, importable, pack

PACKAGE = Path(triad.__file__).parent


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("version")
    pack(PACKAGE, folder)
    return folder


def test_the_whole_package_without_byte_code_is_packed(packed: Path) -> None:
    with zipfile.ZipFile(packed / CODE) as archive:
        names = archive.namelist()
    files = {path.relative_to(PACKAGE.parent).as_posix() for path in PACKAGE.rglob("*.*") if path.is_file()}
    assert set(names) == {name for name in files if "__pycache__" not in name}
    assert len(list(packed.rglob("*.*"))) == 1


def test_equal_code_is_equal_bytes(packed: Path, tmp_path: Path) -> None:
    pack(PACKAGE, tmp_path)
    assert (tmp_path / CODE).read_bytes() == (packed / CODE).read_bytes()


@pytest.mark.parametrize("is_packed", [True, False], ids=["packed", "as older versions have it"])
def test_python_runs_it_and_it_knows_its_own_digest(packed: Path, tmp_path: Path, is_packed: bool) -> None:
    folder = packed
    if not is_packed:
        folder = tmp_path / "old #1"
        zipfile.ZipFile(packed / CODE).extractall(folder / CODE.parent)
    code = (
        "import triad.kinds, triad.tasks; from triad.digests import code_digest; print(triad.__file__, code_digest())"
    )
    environment = {**os.environ, "PYTHONPATH": importable(folder)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    file, digest = done.stdout.rsplit(maxsplit=1)
    assert Path(file).is_relative_to(folder / "code")
    assert digest == code_digest()


def test_other_code_has_another_digest(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.py").write_text("1")
    before = code_digest(tmp_path)
    (tmp_path / "a" / "b.txt").write_text("1")
    assert code_digest(tmp_path) == before
    (tmp_path / "a" / "b.py").rename(tmp_path / "a" / "c.py")
    assert code_digest(tmp_path) != before
