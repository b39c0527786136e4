"""What a killed run resumes from, bit for bit: every variable, the best weights so far, and where the loop stood."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from triad.digests import PACKAGE, code_digest
from triad.features.dataset import Dataset

CHECKPOINTS = Path(".triad") / "checkpoints"


def fingerprint(data: Dataset, *inputs: Any, arrays: Sequence[NDArray[Any]] = ()) -> str:
    """A short name for what a run learns from: the arrays of `data`, JSON-able `inputs`, and further `arrays`."""
    digest = hashlib.blake2b(digest_size=8)
    meta = {field.name: getattr(data.meta, field.name) for field in fields(data.meta)}
    digest.update(json.dumps([meta, *inputs], sort_keys=True, default=str).encode())
    for array in [*(getattr(part, each.name) for part in _parts(data) for each in fields(part)), *arrays]:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _parts(data: Dataset) -> tuple[Any, ...]:
    return data.items, data.users, data.streams, data.exposures, data.queries


def checkpoint_folder(stage: str, name: str) -> Path:
    """Where the run called `name` of `stage` keeps its checkpoint: other code than began it does not go on with it."""
    code = "".join(code_digest(PACKAGE / part)[:8] for part in ("models", "training"))
    return CHECKPOINTS / f"{stage}-{name}-{code}"


def forget(stage: str) -> None:
    """Delete every checkpoint of `stage`: it has succeeded."""
    for folder in CHECKPOINTS.glob(f"{stage}-*"):
        shutil.rmtree(folder)


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
        self._place = _Place()
        state = tf.train.Checkpoint(variables=[each.value for each in variables], best=best, place=self._place)
        self._manager = tf.train.CheckpointManager(state, str(folder), max_to_keep=1) if folder is not None else None

    def restore(self) -> dict[str, Any] | None:
        """Put everything back and give the values saved beside it; None where nothing was saved."""
        if self._manager is None or self._manager.restore_or_initialize() is None:
            return None
        return self._place.values

    def save(self, values: dict[str, Any]) -> None:
        """Write all variables, and `values` beside them."""
        if self._manager is not None:
            self._place.values = values
            self._manager.save()
