"""`make audit`: the locks against a list of advisories in the form of OSV."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "requirements"))

import audit  # noqa: E402


def affected(*events: dict[str, str], **more: object) -> dict:
    return {
        "package": {"ecosystem": "PyPI", "name": "NumPy"},
        "ranges": [{"type": "ECOSYSTEM", "events": [*events]}],
        **more,
    }


@pytest.mark.parametrize(
    ("package", "is_hit"),
    [
        (affected({"introduced": "0"}, {"fixed": "2.4.7"}), True),
        (affected({"introduced": "0"}, {"fixed": "2.4.6"}), False),
        (affected({"introduced": "2.4.6"}), True),
        (affected({"introduced": "2.4.7"}), False),
        (affected({"introduced": "2"}, {"last_affected": "2.4.6"}), True),
        (affected({"introduced": "2"}, {"last_affected": "2.4.5"}), False),
        (affected({"fixed": "1.5"}, {"introduced": "0"}, {"introduced": "2.1"}, {"fixed": "2.10"}), True),
        (affected(versions=["2.4.6"]), True),
        ({**affected(versions=["2.4.6"]), "package": {"ecosystem": "npm", "name": "numpy"}}, False),
    ],
)
def test_a_record_names_a_version_by_list_or_range(package: dict, is_hit: bool) -> None:
    assert audit.is_affected(package, "2.4.6") == is_hit


def test_a_lock_with_an_advisory_is_named_and_one_without_passes(tmp_path: Path) -> None:
    def run(folder: Path | str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "TRIAD_ADVISORIES": str(folder)}
        command = [sys.executable, ROOT / "requirements" / "audit.py"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    (tmp_path / "old.yaml").write_text("id: PYSEC-1\naffected: [{package: {name: numpy}, versions: ['1.0']}]\n")
    assert run(tmp_path).returncode == 0
    bad = {"id": "PYSEC-2", "aliases": ["CVE-1"], "affected": [affected({"introduced": "0"})]}
    (tmp_path / "vulns").mkdir()
    (tmp_path / "vulns" / "new.json").write_text(json.dumps(bad))
    done = run(tmp_path)
    assert done.returncode == 1 and "runtime.lock: numpy 2." in done.stdout and "PYSEC-2 CVE-1" in done.stdout
    (tmp_path / "vulns" / "new.json").write_text(json.dumps(bad | {"withdrawn": "2026-01-01"}))
    assert run(tmp_path).returncode == 0
    assert run("").returncode == 2
