"""What is made of each part before its context: kept on the disk, so that a killed run goes on at the next part."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from triad.durable import sync
from triad.features.aggregates import Daily
from triad.features.context import Rows
from triad.features.parts import Part
from triad.texts import Texts


@dataclass(frozen=True)
class Parted:
    """One part: what its context is made from, and the further columns of its exposures that are known before."""

    rows: Rows
    daily: Mapping[str, Daily]
    columns: Mapping[str, Any]


class Kept:
    """The parts of one log. Where there is only one, it may stay in memory.

    Args:
        folder: where parts outlive the process; None: they do not.
        in_memory: whether who puts a part is the process that gets it.
    """

    def __init__(self, parts: Sequence[Part], folder: Path | None = None, *, in_memory: bool = True) -> None:
        self.parts, self._folder, self._is_only = parts, folder, in_memory and len(parts) == 1
        self._only: Parted | None = None

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        if self._folder is None:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="triad-parts-")))
        self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def has(self, part: Part) -> bool:
        """Whether the part was kept, by this run or by one that was killed."""
        return self._only is not None or self._file(part).is_file()

    def put(self, part: Part, made: Parted) -> None:
        """Keep it whole or not at all."""
        if self._is_only:
            self._only = made
            return
        arrays = {f"rows/{each.name}": getattr(made.rows, each.name) for each in fields(Rows)}
        for name, values in made.columns.items():
            if isinstance(values, Texts):
                values.save(self._file(part, f".{name}"))
                sync(self._file(part, f".{name}"))
            else:
                arrays[f"columns/{name}"] = values
        for entity, sums in made.daily.items():
            arrays[f"key/{entity}"] = sums.key
            arrays |= {f"running/{entity}/{name}": values for name, values in sums.running.items()}
        fresh = self._file(part, ".new.npz")
        sync(fresh.parent)  # a part that is there has its texts, too
        np.savez(fresh, **arrays)
        sync(fresh)
        fresh.replace(self._file(part))

    def get(self, part: Part) -> tuple[Rows, Mapping[str, Daily]]:
        """What the part's context is made from."""
        if self._only is not None:
            return self._only.rows, self._only.daily
        running: dict[str, dict[str, np.ndarray]] = {}
        with np.load(self._file(part), allow_pickle=False) as read:
            arrays = {name: read[name] for name in read.files if not name.startswith("columns/")}
        for path, values in arrays.items():
            if path.startswith("running/"):
                _, entity, name = path.split("/")
                running.setdefault(entity, {})[name] = values
        rows = Rows(**{each.name: arrays[f"rows/{each.name}"] for each in fields(Rows)})
        return rows, {entity: Daily(arrays[f"key/{entity}"], sums) for entity, sums in running.items()}

    def columns(self, part: Part, *names: str) -> list[Any]:
        """Columns of the part's exposures, of its `rows` or of its further ones."""
        if self._only is not None:
            held = {each.name: getattr(self._only.rows, each.name) for each in fields(Rows)} | dict(self._only.columns)
            return [held[name] for name in names]
        with np.load(self._file(part), allow_pickle=False) as read:
            return [self._column(part, read, name) for name in names]

    def _column(self, part: Part, read: np.lib.npyio.NpzFile, name: str) -> Any:
        if (texts := self._file(part, f".{name}")).is_file():
            return Texts.load(texts)
        return read[path if (path := f"columns/{name}") in read else f"rows/{name}"]

    def is_done(self, part: Part) -> bool:
        """Whether `done` was said of the part."""
        return self._file(part, ".done").is_file()

    def done(self, part: Part) -> None:
        """Its context is on the disk, too."""
        os.close(os.open(self._file(part, ".done"), os.O_CREAT | os.O_WRONLY, 0o644))

    def _file(self, part: Part, suffix: str = ".npz") -> Path:
        assert self._folder is not None
        return self._folder / f"{part.rows[0]}{suffix}"
