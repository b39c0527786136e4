"""Reads the network that a night starts from, instead of initialising one."""

from __future__ import annotations

import logging
from pathlib import Path

from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.features import champion, vocabulary
from triad.members.sequence import NETWORK
from triad.models.networks import APART, load_network
from triad.models.warm_start import InitialModel

log = logging.getLogger("triad.warm")


def initial_model(
    init: str, stage: str, artifacts: Path, data: Dataset, state: Path | None = None
) -> InitialModel | None:
    """The network of `stage` that `init` names, for `data`, whose fitted features are `state` (of the night's own).

    None where `init` names no registered model, and (with a word) where there is no champion yet.

    Raises:
        TriadError: that model has none, cannot be read, or knows days that judge tonight.
    """
    if init not in ("champion", "market"):
        return None
    folder = artifacts / "champion" / (champion.MARKET if init == "market" else "")
    initial = champion.read(folder)
    if initial is None:
        log.warning("champion.version names no champion yet: %s starts without one", stage)
        return None
    champion.check_days(initial, data.meta.windows)
    path = folder / stage / NETWORK
    apart = {path.stem: load_network(path) for path in sorted((folder / stage / APART).glob("*.keras"))}
    if not path.is_file():
        raise TriadError(
            f"it was fused without the member {stage}",
            where=initial.dial,
            mend=f"name a version that has it, or set {stage}.init to another value",
        )
    tonight = vocabulary.load((state or artifacts / "features" / "state") / "vocabularies")
    rows = champion.origins(initial.vocabularies, tonight, initial.apart)
    return InitialModel(load_network(path), rows, apart)
