"""Which nights are full and which are light, and the pipeline of a light one.

A light night has the stages of dvc.yaml but those marked `meta: {nights: full}`. Its workspace holds a dvc.yaml without
them, so whatever reads the pipeline there (DVC, a scheduler, `close`) knows of no others.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

import yaml

from triad.config.params import Params, parse
from triad.config.yaml_loader import Loader
from triad.digests import code_digest
from triad.errors import TriadError
from triad.pipeline import PIPELINE, only_full
from triad.worktree import git

log = logging.getLogger("triad.retraining")

Night = Literal["full", "light"]
_HEADER = "# The stages of a light night, taken from dvc.yaml by `triad retraining open`.\n"


def by_days(every: int, as_of: date, full: Iterable[date]) -> Night:
    """The kind of the night `as_of`, where `full` are the days of full nights: one is due `every` days.

    A day that had a full night has one again: the same run may be repeated.
    """
    last = max((day for day in full if day <= as_of), default=None)
    return "light" if last is not None and 0 < (as_of - last).days < every else "full"


def light(pipeline: str) -> str:
    """The pipeline (text of a dvc.yaml) of light nights: nothing is read of what a stage left out would make."""
    stages = yaml.load(pipeline, Loader)["stages"]
    left_out = {name for name, stage in stages.items() if only_full(stage.get("meta", {}))}
    gone = [
        Path(path)
        for name in left_out
        for part in ("outs", "metrics", "plots")
        for out in stages[name].get(part, [])
        for path in (out if isinstance(out, dict) else [out])
    ]

    def stays(dep: str) -> bool:
        return not any(Path(dep) == path or path in Path(dep).parents or Path(dep) in path.parents for path in gone)

    kept = {name: {**stage, "deps": list(filter(stays, stage.get("deps", [])))} for name, stage in stages.items()}
    kept = {name: stage for name, stage in kept.items() if name not in left_out}
    return _HEADER + yaml.safe_dump({"stages": kept}, sort_keys=False, allow_unicode=True)


def section(params: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A section of params that nobody has checked yet; an empty one where there is none, or no section stands there."""
    held = params.get(name)
    return held if isinstance(held, dict) else {}


def settle(folder: Path, params: dict[str, Any], here: Path, asked: Night | None) -> Night:
    """Decide which night the params of the workspace `folder` are of, and write it and its champion into them.

    Args:
        params: changed in place.
        here: the checkout, whose registry is asked.
        asked: by a person; of None, and unless the params say light, the days decide. Then what no light night can go
            on from has a full one.

    Raises:
        TriadError: a light night is asked for, and there is no champion that it can go on from.
    """
    named = section(params, "retraining")
    asked = asked or ("light" if named.get("night") == "light" else None)
    version = None
    if asked == "light":
        version = _champion(folder, here, parse(params, "params.yaml"))
    elif asked is None and named.get("full_every_days", 1) != 1:
        parsed = parse(params, "params.yaml")
        if by_days(parsed.retraining.full_every_days, parsed.ingest.as_of, _full_nights(here, parsed)) == "light":
            try:
                version = _champion(folder, here, parsed)
            except TriadError as error:
                if error.transient:
                    raise
                log.warning("a light night was due, and this one is full: %s", error)
    if version is None:
        if named.get("night") == "light":
            params["retraining"] = {**named, "night": "full"}
        return "full"
    params["retraining"] = {**named, "night": "light"}
    params["champion"] = {**section(params, "champion"), "version": int(version)}
    return "light"


def lay(folder: Path) -> None:
    """Make the pipeline of the workspace `folder` that of a light night. Git takes it for unchanged."""
    path = folder / PIPELINE
    path.write_text(light(path.read_text(encoding="utf-8")), encoding="utf-8")
    git(folder, "update-index", "--skip-worktree", "--", PIPELINE)


def _champion(folder: Path, here: Path, params: Params) -> str:
    """The version that serves, if a light night can go on from it."""
    from triad.retraining.delivery import champion_of
    from triad.tracking.continuing import FULL, check
    from triad.tracking.registry import describe

    version = champion_of(here, folder)
    if version is None:
        raise TriadError("no version serves that a light night could go on from", where=params.publish.model, mend=FULL)
    check(describe(params.publish.model, version), params, code_digest(folder / "src" / "triad"))
    return version


def _full_nights(here: Path, params: Params) -> list[date]:
    """The days of the full nights that the registry knows."""
    from triad.tracking.place import is_there, tracking_uri
    from triad.tracking.registry import versions
    from triad.tracking.store import client

    os.environ["MLFLOW_TRACKING_URI"] = uri = tracking_uri(here)
    known = versions(client(make=False), params.publish.model).values() if is_there(uri) else []
    return [date.fromisoformat(tags["as_of"]) for tags in known if not {"night", "experiment"} & set(tags)]
