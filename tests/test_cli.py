"""The command line: errors a person can read, and the code of the checkout one stands in."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from triad.cli import STAGES, commands
from triad.errors import TriadError

ROOT = Path(__file__).parents[1]


def triad(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "triad", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_help_names_every_command_and_so_every_stage() -> None:
    said = triad("--help", cwd=ROOT).stdout
    assert said.startswith("Usage: triad [OPTIONS]")
    listed = re.findall(r"^  ([\w-]+)  +\S", said.partition("Commands:")[2], re.MULTILINE)
    assert listed == commands.list_commands(click.Context(commands))
    assert set(STAGES) == set(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
    assert set(STAGES) <= set(listed)


def test_a_typo_in_params_stops_a_stage_without_a_traceback(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text().replace("weighting:", "wieghting:")
    (tmp_path / "params.yaml").write_text(text)
    done = triad("ingest", cwd=tmp_path)
    assert done.returncode == 1
    assert "finetune.wieghting: unknown key" in done.stderr
    assert "did you mean 'weighting'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_command_is_refused(tmp_path: Path) -> None:
    done = triad("ingets", cwd=tmp_path)
    assert done.returncode == 2
    assert "No such command 'ingets'" in done.stderr


def test_a_checkout_runs_its_own_code(tmp_path: Path) -> None:
    package = tmp_path / "src" / "triad"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("print('the code of this checkout')")
    assert triad("summary", cwd=tmp_path).stdout.strip() == "the code of this checkout"


@pytest.mark.parametrize("command", ["plan", "run"])
def test_studies_leave_the_params_of_another_folder_alone(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("mine: 1\n")
    done = CliRunner().invoke(commands, ["ablations", command])
    assert isinstance(done.exception, TriadError) and "there is no ablations/studies" in str(done.exception)
    assert Path("params.yaml").read_text() == "mine: 1\n"


@pytest.mark.parametrize(
    ("word", "mend"), [("batch_exposrues", "did you mean 'batch_exposures'"), ("zzqq", "`triad params` explains all")]
)
def test_a_word_in_no_key_is_said_to_be_in_none(word: str, mend: str) -> None:
    done = CliRunner().invoke(commands, ["params", word])
    assert isinstance(done.exception, TriadError) and f"{word!r}" in done.exception.what
    assert mend in done.exception.mend
    assert CliRunner().invoke(commands, ["params", "batch_exp"]).output.startswith("finetune.batch_exposures: ")
