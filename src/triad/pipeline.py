"""What `dvc.yaml` says of a stage that is about to run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from triad.artifacts import ARTIFACTS, need
from triad.config.yaml_loader import Loader
from triad.errors import TriadError

PIPELINE = "dvc.yaml"


def only_full(meta: Mapping[str, Any]) -> bool:
    """Whether a stage with this `meta` is left out of light nights."""
    return meta.get("nights") == "full"


def check_stage(name: str, night: Literal["full", "light"], pipeline: Path = Path(PIPELINE)) -> None:
    """Whether the stage `name` may run now, by the word of `pipeline`, if there is one.

    Raises:
        TriadError: such a night does not have it, or what it reads was not made yet.
    """
    stage = _stages(pipeline).get(name, {})
    if night == "light" and only_full(stage.get("meta", {})):
        raise TriadError(
            f"a light night has no stage {name}",
            where="retraining.night",
            mend="`triad retraining night --night light` runs one; `dvc repro` runs full ones",
        )
    for path in map(Path, stage.get("deps", [])):
        if path.is_relative_to(ARTIFACTS):
            need(path)


def _stages(pipeline: Path) -> dict[str, Any]:
    try:
        return dict(yaml.load(pipeline.read_text(encoding="utf-8"), Loader)["stages"])
    except (FileNotFoundError, yaml.YAMLError, KeyError, TypeError):  # DVC says what is wrong with it
        return {}
