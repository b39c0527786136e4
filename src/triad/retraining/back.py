"""An earlier champion serves again, and the shop gets that version's lists."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from triad.retraining.delivery import renew
from triad.retraining.run import checkout
from triad.tracking.place import tracking_uri
from triad.tracking.registry import rollback


def roll_back(model: str, alias: str, version: str | None) -> Iterator[str]:
    """Move `alias` to the former champion, or to `version`; then make its lists and deliver them. Says what is done.

    Raises:
        TriadError: there is no such champion, or (once the alias has moved) its lists could not be made.
    """
    here = ask_registry_of(checkout())
    yield rollback(model, alias, version)
    yield renew(here)


def ask_registry_of(folder: Path) -> Path:
    """Use the registry of the checkout `folder`, so that the alias and the delivered lists belong together."""
    os.environ["MLFLOW_TRACKING_URI"] = tracking_uri(folder)
    return folder
