"""Checkpoints that a killed run resumes from, bit for bit: all variables, the best weights, the loop's position."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from triad.artifacts import recover, replacing
from triad.digests import PACKAGE, code_digest
from triad.durable import remove, sweep
from triad.examples.dataset import Dataset
from triad.texts import Texts
from triad.training import workers

CHECKPOINTS = Path(".triad") / "checkpoints"
_STATE = "state"


def fingerprint(data: Dataset, *inputs: Any, arrays: Sequence[NDArray[Any]] = ()) -> str:
    """A short name for what a run learns from: the arrays of `data`, JSON-able `inputs`, and further `arrays`."""
    digest = hashlib.blake2b(digest_size=8)
    meta = {field.name: getattr(data.meta, field.name) for field in fields(data.meta)}
    digest.update(json.dumps([meta, *inputs], sort_keys=True, default=str).encode())
    for array in [*(getattr(part, each.name) for part in _parts(data) for each in fields(part)), *arrays]:
        digest.update(b"texts" if isinstance(array, Texts) else f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _parts(data: Dataset) -> tuple[Any, ...]:
    return data.items, data.users, data.streams, *(data.units[name] for name in sorted(data.units))


def checkpoint_folder(stage: str, name: str) -> Path:
    """Where the run called `name` of `stage` keeps its checkpoint: other code than began it does not go on with it."""
    code = "".join(code_digest(PACKAGE / part)[:8] for part in ("encoders", "models", "training"))
    return CHECKPOINTS / f"{stage}-{name}-{code}"


def forget(stage: str) -> None:
    """Delete every checkpoint of `stage`: it has succeeded."""
    sweep(CHECKPOINTS)
    for folder in CHECKPOINTS.glob(f"{stage}-*"):
        remove(folder)


class _Place(tf.train.experimental.PythonState):
    """JSON-able values inside a TensorFlow checkpoint."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def serialize(self) -> str:
        return json.dumps(self.values)

    def deserialize(self, string_value: str | bytes) -> None:
        self.values = json.loads(string_value)


class Checkpoint:
    """The newest state of a run in `folder`, replaced whole each time.

    Args:
        folder: where it lies; nothing is kept where None.
        variables: Keras variables of the network and the optimizer, seed generators among them.
        best: plain TensorFlow variables with the best weights so far.
    """

    def __init__(self, folder: Path | None, variables: list[Any], best: list[tf.Variable]) -> None:
        self.folder, self._place = folder, _Place()
        self._state = tf.train.Checkpoint(variables=[each.value for each in variables], best=best, place=self._place)

    def restore(self) -> dict[str, Any] | None:
        """Put everything back and give the values saved beside it; None where nothing was saved."""
        if self.folder is None:
            return None
        recover(self.folder.parent)
        if not self.folder.is_dir():
            return None
        self._state.read(str(self.folder / _STATE)).assert_existing_objects_matched()
        return self._place.values

    def save(self, values: dict[str, Any]) -> None:
        """Write all variables, and `values` beside them. Of several workers the first one does.

        Raises:
            TriadError: the disk is full, or another process trains the same.
        """
        if self.folder is not None and workers.is_first():
            self._place.values = values
            with replacing(self.folder) as fresh:
                self._state.write(str(fresh / _STATE))
