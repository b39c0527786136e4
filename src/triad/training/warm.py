"""Reads the network that a night starts from, in place of initialisers."""

from __future__ import annotations

import logging
from pathlib import Path

from triad.errors import TriadError
from triad.features import champion, vocabulary
from triad.features.dataset import Dataset
from triad.models.carry import Former
from triad.models.networks import load_network
from triad.models.sequence import NETWORK

log = logging.getLogger("triad.warm")


def champions_network(stage: str, artifacts: Path, data: Dataset) -> Former | None:
    """The champion's network of `stage` for the examples in `artifacts`, None (and a word) where no champion is named.

    Raises:
        TriadError: the champion has none, cannot be read, or knows days that judge tonight.
    """
    found = champion.read(artifacts / "champion")
    if found is None:
        log.warning("champion.version names no champion yet: %s starts without one", stage)
        return None
    champion.check_days(found, data.meta.windows)
    path = artifacts / "champion" / stage / NETWORK
    if not path.is_file():
        raise TriadError(
            f"it was fused without the member {stage}",
            where=f"champion.version: {found.version}",
            mend=f"name a version that has it, or set {stage}.init to another value",
        )
    tonight = vocabulary.load(artifacts / "features" / "state" / "vocabularies")
    return Former(load_network(path), champion.origins(found.vocabularies, tonight), found.meta.context)
