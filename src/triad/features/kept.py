"""What each part's context is made from, between reading the tables and making it: on the disk, unless it is one."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from triad.features.aggregates import Daily
from triad.features.context import Rows
from triad.features.parts import Part

Parted = tuple[Rows, Mapping[str, Daily]]


class Kept:
    """Each part's rows and daily sums of users. Of a log of one part they stay in memory."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self._only: Parted | None = None

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="triad-parts-")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._folder.cleanup()

    def put(self, part: Part, rows: Rows, daily: Mapping[str, Daily]) -> None:
        if len(self.parts) == 1:
            self._only = rows, daily
            return
        arrays = {f"rows/{each.name}": getattr(rows, each.name) for each in fields(rows)}
        for entity, sums in daily.items():
            arrays[f"key/{entity}"] = sums.key
            arrays |= {f"running/{entity}/{name}": values for name, values in sums.running.items()}
        np.savez(self._file(part), **arrays)

    def get(self, part: Part) -> Parted:
        if self._only is not None:
            return self._only
        running: dict[str, dict[str, np.ndarray]] = {}
        with np.load(self._file(part), allow_pickle=False) as read:
            arrays = {name: read[name] for name in read.files}
        for path, values in arrays.items():
            if path.startswith("running/"):
                _, entity, name = path.split("/")
                running.setdefault(entity, {})[name] = values
        rows = Rows(**{each.name: arrays[f"rows/{each.name}"] for each in fields(Rows)})
        return rows, {entity: Daily(arrays[f"key/{entity}"], sums) for entity, sums in running.items()}

    def _file(self, part: Part) -> Path:
        return Path(self._folder.name) / f"{part.rows[0]}.npz"
