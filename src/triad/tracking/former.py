"""Finds signs of earlier registered models, so a lost registry is not mistaken for a shop's first night."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from triad.artifacts import ARTIFACTS, read_json
from triad.config.publish import PublishParams
from triad.tracking.place import RECORD, checkout

_OUTCOME = ARTIFACTS / "publish" / "published.json"
_LOCK = Path("dvc.lock")


def published(of: Path | None = None) -> dict[str, Path]:
    """Model → a file that says it was registered: of the present folder, of its checkout `of`, or of a night there."""
    home = of.resolve() if of is not None else checkout()
    workspaces = Path(os.environ.get("TRIAD_WORKSPACES") or home / "runs" / "retraining")
    records = [path for path in sorted(workspaces.glob(f"*/{RECORD}")) if read_json(path)["checkout"] == str(home)]
    places: dict[str, Path] = {}
    for folder in (Path.cwd(), home, *(path.parents[1] for path in records)):
        if (folder / _OUTCOME).is_file():
            places.setdefault(str(read_json(folder / _OUTCOME)["model"]), folder / _OUTCOME)
        if (model := _locked(folder / _LOCK)) is not None:
            places.setdefault(model, folder / _LOCK)
    return places


def _locked(lock: Path) -> str | None:
    """The model that DVC knows to have been published, None where it knows of none."""
    if not lock.is_file():
        return None
    try:
        entry = (yaml.safe_load(lock.read_text()) or {}).get("stages", {}).get("publish")
    except yaml.YAMLError:  # another process writes it just now; DVC says so where it stays broken
        return None
    if entry is None:
        return None
    return str(entry.get("params", {}).get("params.yaml", {}).get("publish", {}).get("model", PublishParams().model))
