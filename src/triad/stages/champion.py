"""Fetch the registered version that tonight's vocabularies and networks may start from."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from triad.artifacts import ARTIFACTS, replacing, write_json
from triad.errors import TriadError
from triad.features.champion import NAME, STATE, read
from triad.tracking.registry import folder_of, versions
from triad.tracking.store import client

if TYPE_CHECKING:
    from triad.config.params import Params

OUTPUT = ARTIFACTS / "champion"
NETWORKS = ("pretrain", "finetune")
LOG = logging.getLogger("triad.champion")


def champion(params: Params) -> None:
    """Write `artifacts/champion`: which version it is, its fitted features, its networks; no version, no more.

    Raises:
        TriadError: there is no such version, its files are gone, or the present code cannot read them.
    """
    model, version, start = params.publish.model, params.champion.version, time.monotonic()
    with replacing(OUTPUT) as folder:
        write_json(folder / NAME, {"version": version})
        if version is not None:
            _fetch(model, version, folder)
        read(folder)
    found = "none" if version is None else f"version {version} of {model}"
    LOG.info("%s · %.1f s · %s", found, time.monotonic() - start, OUTPUT)


def _fetch(model: str, version: int, folder: Path) -> None:
    known = versions(client(), model)
    if str(version) not in known:
        raise TriadError(
            f"the registry has no version {version} of model {model}; known are {', '.join(known) or 'none'}",
            where="champion.version",
            mend="name one of them, or set it to null",
        )
    inside = folder_of(model, str(version)) / "artifacts"
    parts = {STATE: inside / "state", **{name: inside / "fuse" / "members" / name for name in NETWORKS}}
    for name, part in parts.items():
        if part.is_dir():  # a model may have been fused without one of the networks
            shutil.copytree(part, folder / name)
