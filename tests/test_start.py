"""What a process loads before its work begins: seconds of every stage, of every night."""

import subprocess
import sys
from pathlib import Path

import pytest

from triad.cli import ELSEWHERE, commands

SLOW = {
    *("fastapi", "great_expectations", "keras", "lightgbm", "mlflow", "pandas", "psutil", "pyspark", "scipy.stats"),
    *("sklearn", "tensorflow", "torch"),
}
WITHOUT_LEARNING = ("ingest", "validate", "champion", "features", "similarity", "profile")


def loaded(code: str) -> set[str]:
    """The modules in a fresh process after `code`."""
    words = [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"]
    return set(subprocess.run(words, check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("stage", WITHOUT_LEARNING)
def test_a_stage_starts_without_what_only_its_work_needs(stage: str) -> None:
    modules = loaded(f"import triad.cli, triad.config.cross, triad.config.params, triad.pipeline, triad.stages.{stage}")
    assert not modules & SLOW


@pytest.mark.parametrize("member", ["similarity", "trees"])
def test_who_asks_a_member_does_not_wait_for_what_it_was_made_with(member: str) -> None:
    code = f"from triad.members import registry, trees_boosted\nregistry.member_class('{member}')\n"
    assert not loaded(f"{code}trees_boosted.versions('hist')") & {"sklearn", "scipy.optimize", "scipy.stats"}


def test_members_are_read_beside_other_work_and_a_failure_waits_until_they_are_asked_for(tmp_path: Path) -> None:
    code = (
        "from triad.fusion.fused import _Folder\nfrom triad.members.registry import read_beside\n"
        f"members = _Folder(Path({str(tmp_path)!r}), ('trees', 'similarity'))\n"
        "with read_beside(members, ['no_member', 'trees', 'similarity']): pass"
    )
    assert {"triad.members.trees", "triad.members.item_similarity"} <= loaded(f"from pathlib import Path\n{code}")


def test_the_command_line_loads_no_library_but_click() -> None:
    modules = loaded("import triad.cli")
    assert not modules & (SLOW | {"numpy", "pydantic", "yaml"})
    assert not {name for name in modules if name.endswith("commands") and name.startswith("triad.")}


def test_a_restart_comes_before_the_command_line_is_loaded() -> None:
    assert not loaded("import triad.__main__") & {"click", "triad.cli"}


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_a_command_of_another_package_is_found_under_its_name(name: str) -> None:
    command = commands.get_command(None, name)
    assert command is not None and command.name == name


def test_keras_is_imported_without_what_others_still_may() -> None:
    code = "from triad import lean\nlean.begin()\nimport keras\nkeras.layers.Dense(1)\n"
    assert not loaded(code) & {"matplotlib", "scipy.stats", "sklearn"}
    assert {"matplotlib.figure", "sklearn.base"} <= loaded(f"{code}import matplotlib.figure, sklearn.base")


def test_whoever_else_asks_while_keras_is_imported_finds_them() -> None:
    """Another thread may be importing LightGBM, which remembers whether scikit-learn is there."""
    beside = "class keras:\n    __spec__ = type('spec', (), {'_initializing': True})\n"
    code = (
        f"import sys\nfrom triad import lean\nlean.begin()\n{beside}sys.modules['keras'] = keras\nimport sklearn.base"
    )
    assert "sklearn" in loaded(code)


LEAVES = """
import atexit, threading, time
from triad.environment import leave
class Held:
    def __del__(self): print("taken apart", flush=True)
held = Held()
atexit.register(print, "registered")
{before}
print("written")
leave()
"""


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("", ["written", "registered"]),
        ("threading.Thread(target=time.sleep, args=(0.3,)).start()", ["written", "registered", "taken apart"]),
    ],
)
def test_a_process_leaves_by_what_was_registered_for_its_end(before: str, said: list[str]) -> None:
    words = [sys.executable, "-c", LEAVES.format(before=before)]
    assert subprocess.run(words, check=True, capture_output=True, text=True).stdout.split("\n")[:-1] == said
