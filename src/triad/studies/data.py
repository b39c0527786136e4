"""A study's data: read once, stored as plain arrays, and cut to what a unit may learn from."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from triad.artifacts import read_json, replacing, write_json
from triad.config.tasks import Tasks
from triad.errors import TriadError
from triad.features import champion, dataset
from triad.features.dataset import SPLITS, Dataset
from triad.studies.spec import TARGET, Study

DATASETS = "TRIAD_DATASETS"
"""Names the folder with public data sets."""

SUMMARY = "data.json"

REGISTERED = "registered"
"""Inside a study's data, laid out as a night's artifacts: the registered models that variants start from."""


def prepare(study: Study, target: Path) -> dict[str, Any]:
    """Read the study's data and write `target/<dataset>/` and a summary; gives the summary.

    Beside them, where they are there: a simulated shop's `oracle`, and the `registered` models to start from.

    Raises:
        TriadError: the data is not there, does not fit its form, or lacks the study's market or labels of a task.
    """
    form: Any = study.data
    found = importlib.import_module(f"triad.studies.{form.form}").read(form, Path(os.environ.get(DATASETS, "datasets")))
    sets = {TARGET: found} if isinstance(found, Dataset) else dict(found)
    if study.market not in sets:
        raise TriadError(f"holds {', '.join(sets)}, not {study.market!r}", where="market of the study", mend="name one")
    labelled = sets[study.market].meta.tasks
    for name, task in study.tasks.items():
        if task.kind != "ranking" and name not in labelled:
            raise TriadError(
                f"the data has no labels of {name!r}, but of {', '.join(labelled) or 'no task'}",
                where=f"tasks of the study on {study.market}",
                mend="name tasks of this shop in the study's `tasks`",
            )
    with replacing(target) as folder:
        summary = {}
        for name, data in sets.items():
            dataset.save(data, folder / name)
            rows = {split: len(data.rows(split)) for split in SPLITS}
            queries = {split: len(data.query_rows(split)) for split in SPLITS[1:]}
            summary[name] = {"digest": digest(folder / name), "rows": rows, "queries": queries}
        truth = Path(getattr(form, "oracle", ""))
        if (truth / "oracle.json").is_file():
            shutil.copytree(truth, folder / "oracle")
        night = night_of(study)
        if study.all_starts() & starts(night):
            for part in ("champion", "features/state/vocabularies"):
                shutil.copytree(night / part, folder / REGISTERED / part)
        write_json(folder / SUMMARY, summary)
    return summary


def night_of(study: Study) -> Path:
    """The artifacts of the night that the study reads; of data that no night made, a folder that is not there."""
    return Path(getattr(study.data, "features", "none/features")).parent


def starts(night: Path) -> set[str]:
    """Of `champion` and `market`, the registered models that lie among a night's artifacts."""
    places = {"champion": night / "champion", "market": night / "champion" / champion.MARKET}
    return {
        name for name, place in places.items() if (place / champion.NAME).is_file() and champion.read(place) is not None
    }


def summary(folder: Path) -> dict[str, Any]:
    """What `prepare` said of `folder`."""
    found: dict[str, Any] = read_json(folder / SUMMARY)
    return found


def digest(folder: Path) -> str:
    """A short name for the bytes of all files below `folder`."""
    found = hashlib.blake2b(digest_size=8)
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        found.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                found.update(block)
    return found.hexdigest()


def taught(data: Dataset, tasks: Tasks) -> Dataset:
    """`data` with the labels of `tasks` alone."""
    kept = [place for place, name in enumerate(data.meta.tasks) if name in tasks]
    names = tuple(data.meta.tasks[place] for place in kept)
    classes = {name: known for name, known in data.meta.classes.items() if name in names}
    labels = np.asarray(data.exposures.labels)[:, kept]
    return replace(
        data,
        exposures=replace(data.exposures, labels=labels),
        meta=replace(data.meta, tasks=names, classes=classes),
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
    return replace(data, exposures=replace(data.exposures, split=split))
