"""A night's examples: the arrays and texts that training, members and evaluation read, memory-mapped.

It contains no paths and no SQL; `features/build.py` makes a `Dataset` from tables.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.artifacts import read_json, write_json
from triad.errors import TriadError
from triad.examples import UNITS
from triad.examples.exposures import Exposures
from triad.examples.lists import Lists
from triad.features.dataset import SPLITS, Items, Meta, Streams, Users, meta_from, meta_to
from triad.matrices import in_blocks, mapped
from triad.texts import Texts

SHARED = {"items": Items, "users": Users, "streams": Streams}
"""What several units read."""


@dataclass(frozen=True)
class Dataset:
    """One night's examples. `units` holds each unit's arrays by the unit's name."""

    items: Items
    users: Users
    streams: Streams
    units: Mapping[str, Any]
    meta: Meta

    @property
    def exposures(self) -> Exposures:
        """The unit of that name."""
        exposures: Exposures = self.units["exposures"]
        return exposures

    @property
    def lists(self) -> Lists:
        """The unit of that name."""
        lists: Lists = self.units["lists"]
        return lists

    def replaced(self, **parts: Any) -> Dataset:
        """With other `parts`: fields, or units by name."""
        own = {name: part for name, part in parts.items() if name in (*SHARED, "meta")}
        return replace(self, **own, units={**self.units, **{n: part for n, part in parts.items() if n not in own}})

    def rows(self, split: str, unit: str = "exposures") -> Ints:
        """Rows of `unit` in `split`, in order."""
        return np.flatnonzero(np.asarray(self.units[unit].split) == SPLITS.index(split))

    def history(self, unit: str) -> Ints:
        """(n,) interactions of its user before each row of `unit`; 0 where a unit does not count them."""
        rows = self.units[unit]
        return np.asarray(getattr(rows, "history", np.zeros(len(rows.split), np.int32)))

    def unit_of(self, task: str) -> str:
        """The unit whose rows are labelled for `task`.

        Raises:
            TriadError: none has its labels.
        """
        unit = next((unit for unit, names in self.meta.tasks.items() if task in names), None)
        if unit is None:
            raise TriadError("no unit has its labels", where=f"tasks.{task}", mend="run the stage features again")
        return unit

    def labels(self, task: str) -> Floats:
        """(n,) labels of `task` on its unit's rows, NaN where missing."""
        unit = self.unit_of(task)
        labels: Floats = self.units[unit].labels[:, self.meta.tasks[unit].index(task)]
        return labels

    def known_labels(self, task: str, split: str) -> Floats:
        """(k,) labels of `task` on those rows of `split` that have one, read block by block."""
        unit = self.unit_of(task)
        rows, column, place = self.units[unit], self.meta.tasks[unit].index(task), SPLITS.index(split)
        labels = [block[of == place, column] for _, (of, block) in in_blocks(rows.split, rows.labels)]
        return np.concatenate([np.zeros(0, rows.labels.dtype), *(each[np.isfinite(each)] for each in labels)])


def nobody(meta: Meta, units: Mapping[str, Any]) -> Dataset:
    """Rows of `units` alone, of no user and no item of a catalogue: they stand by themselves."""
    empty: dict[str, Any] = {
        name: part(
            **{e.name: Texts.of([]) if e.type in ("Texts", Texts) else np.zeros(0, np.int64) for e in fields(part)}
        )
        for name, part in SHARED.items()
    }
    return Dataset(**empty, units=units, meta=meta)


def save(dataset: Dataset, folder: Path, store: Path | None = None) -> None:
    """Write one .npy an array and one .arrow a column of texts under `folder/<part>/`, and `folder/meta.json`.

    Arrays that lie in `store` (see `features.build.fit`) are moved from there.
    """
    shared = {name: getattr(dataset, name) for name in SHARED}
    for name, part in (shared | dict(dataset.units)).items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for array in fields(part):
            values = getattr(part, array.name)
            if isinstance(values, Texts):
                target, file = folder / name / f"{array.name}.arrow", values.file
            else:
                target, file = folder / name / f"{array.name}.npy", getattr(values, "filename", None)
            if store and file and Path(str(file)).resolve().is_relative_to(store.resolve()):
                shutil.move(str(file), target)
            elif isinstance(values, Texts):
                values.save(target)
            else:
                np.save(target, values, allow_pickle=False)
    write_json(folder / "meta.json", meta_to(dataset.meta))


def load(folder: Path) -> Dataset:
    """The dataset in `folder`, its arrays memory-mapped and read-only.

    Raises:
        TriadError: there is none.
    """
    if not (folder / "meta.json").is_file():  # written last
        raise TriadError(
            "is not there yet", where=str(folder), mend="run the stage features first: `dvc repro features`"
        )
    units = {name: unit.arrays for name, unit in UNITS.items() if (folder / name).is_dir()}
    parts = {name: _load(folder / name, arrays) for name, arrays in (SHARED | units).items()}
    shared = {name: parts.pop(name) for name in SHARED}
    return Dataset(**shared, units=parts, meta=meta_from(read_json(folder / "meta.json")))


def _load(folder: Path, arrays: type) -> Any:
    return arrays(
        **{each.name: _read(folder, each.name, is_text=each.type in ("Texts", Texts)) for each in fields(arrays)}
    )


def _read(folder: Path, name: str, *, is_text: bool) -> Any:
    return Texts.load(folder / f"{name}.arrow") if is_text else mapped(folder / f"{name}.npy")
