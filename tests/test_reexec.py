"""A program that may run out of memory mappings goes on in a fresh process."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from pathlib import Path
from triad import reexec

reexec.FULL = float(sys.argv[1])
done = Path("done")
done.write_text(done.read_text() + "x" if done.exists() else "x")
print(os.getpid(), *sys.argv[1:])
if len(done.read_text()) < 3:
    reexec.reexec_when_full()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone counts mappings")
@pytest.mark.parametrize(("full", "times"), [("0", 3), ("1", 1)])
def test_a_full_process_is_replaced_by_one_that_was_asked_the_same(tmp_path: Path, full: str, times: int) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-B", "program.py", full, "two words"]
    said = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(said) == times and len(set(said)) == 1
    assert said[0].endswith(f" {full} two words")
