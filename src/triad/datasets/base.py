"""What a form of data is, and where what it writes lies. Forms know nothing of one another."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from triad.config.base import Section
from triad.config.tasks import TaskParams
from triad.examples.dataset import Dataset
from triad.features import champion

DATASETS = "TRIAD_DATASETS"
"""The environment variable that names the folder of data sets that no night made."""

TARGET = "target"
"""The dataset of a form that gives just one."""

REGISTERED = "registered"
"""Beside the datasets, laid out as a night's artifacts: the registered models that networks may start from."""

SOURCE, ROWS = "_source", "rows.npz"
"""Beside the datasets: the source markets whose network others start from, and in it the source's row of each row."""

Keys = TypeVar("Keys", bound=Section)
Starts = Mapping[str, tuple[Path, ...]]
"""Of `champion` and `market`, what networks may start from, and the folders that hold it beyond the form's files."""


@dataclass(frozen=True)
class Form(Generic[Keys]):
    """Data of one shape: what says where it lies and what its columns mean, and how it becomes examples."""

    name: str
    """What a study's `data.form` says."""
    keys: type[Keys]
    """The section `data` of a study."""
    read_from: Callable[[Keys, Path], list[Path]]
    """All files that `read` reads; public data lies below the folder."""
    read: Callable[[Keys, Path], Mapping[str, Dataset]]
    """Name → examples. Raises TriadError: a file or column is missing or unreadable, or holds what it should not."""
    tasks: Callable[[Keys], Mapping[str, TaskParams]] = lambda keys: {}
    """What may be predicted, of a form that says so."""
    starts: Callable[[Keys, str], Starts] = lambda keys, name: {}
    """What networks of the dataset called so may start from."""
    save_beside: Callable[[Keys, Mapping[str, Dataset], str, Collection[str], Path], None] = lambda *_: None
    """Write beside the stored datasets what else their units need: of the dataset called so, what is started from."""


def single(read: Callable[[Keys, Path], Dataset]) -> Callable[[Keys, Path], Mapping[str, Dataset]]:
    """`read` of a form that gives one dataset."""
    return lambda keys, folder: {TARGET: read(keys, folder)}


def folder() -> Path:
    """The folder below which public data lies."""
    return Path(os.environ.get(DATASETS, "datasets"))


def registered(artifacts: Path) -> set[str]:
    """Of `champion` and `market`, the registered models that lie among a night's artifacts."""
    places = {"champion": artifacts / "champion", "market": artifacts / "champion" / champion.MARKET}
    return {
        name for name, place in places.items() if (place / champion.NAME).is_file() and champion.read(place) is not None
    }
