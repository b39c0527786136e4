"""A run killed in mid-epoch beside one that was not, by one fit: its checkpoint is put back as it lay then."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from triad.training.checkpoints import Checkpoint


@contextmanager
def killed_at(epoch: int, step: int) -> Iterator[None]:
    """The run inside is undisturbed; afterwards its checkpoint is what a kill after `step` steps of `epoch` leaves."""
    save, kept = Checkpoint.save, []

    def saving(self: Checkpoint, values: dict[str, Any]) -> None:
        save(self, values)
        if (values["epoch"], values["step"]) == (epoch, step):
            folder = self.folder
            kept.append((shutil.copytree(folder, folder.with_name(f"kept-{folder.name}")), folder))

    with patch.object(Checkpoint, "save", saving):
        yield
    [(copy, folder)] = kept
    shutil.rmtree(folder, ignore_errors=True)
    copy.rename(folder)
