"""A study's stored data: where it is, what networks may start from, and what a unit may learn from."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from triad.artifacts import read_json
from triad.config.tasks import Tasks
from triad.datasets.base import REGISTERED, SOURCE, registered
from triad.examples.dataset import Dataset

SUMMARY = "data.json"


def laid(folder: Path) -> set[str]:
    """Of `champion` and `market`, what networks can start from on data that `prepare` wrote."""
    return registered(folder / REGISTERED) | ({"market"} if (folder / SOURCE).is_dir() else set())


def summary(folder: Path) -> dict[str, Any]:
    """What `prepare` said of `folder`."""
    summary: dict[str, Any] = read_json(folder / SUMMARY)
    return summary


def digest(folder: Path) -> str:
    """A short name for the bytes of all files below `folder`, which may be just one, or not there."""
    hashed = hashlib.blake2b(digest_size=8)
    for path in sorted(each for each in (folder, *folder.rglob("*")) if each.is_file()):
        hashed.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                hashed.update(block)
    return hashed.hexdigest()


def taught(data: Dataset, tasks: Tasks) -> Dataset:
    """`data` with the labels of `tasks` alone, which are of exposures."""
    kept = [place for place, name in enumerate(data.meta.tasks["exposures"]) if name in tasks]
    names = tuple(data.meta.tasks["exposures"][place] for place in kept)
    classes = {name: known for name, known in data.meta.classes.items() if name in names}
    labels = np.asarray(data.exposures.labels)[:, kept]
    return data.replaced(
        exposures=replace(data.exposures, labels=labels),
        meta=replace(data.meta, tasks={"exposures": names}, classes=classes),
    )


def thinned(data: Dataset, share: float, seed: int) -> Dataset:
    """`data` with the train exposures of a random `share` of the train users; streams and later splits stay whole."""
    if share == 1:
        return data
    rows, split = data.rows("train"), np.array(data.exposures.split)
    owner = np.asarray(data.exposures.user)[rows]
    users = np.unique(owner)
    count = max(1, round(share * len(users)))
    kept = np.random.default_rng((seed, 1)).permutation(users)[:count]
    split[rows[~np.isin(owner, kept)]] = -1
    return data.replaced(exposures=replace(data.exposures, split=split))
