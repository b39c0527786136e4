"""Batches of the target tasks: each holds rows of one unit, and an epoch deals all units' in turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from triad.arrays import Ints
from triad.config.finetune import FinetuneParams
from triad.examples.dataset import Dataset
from triad.models.batches import Batch
from triad.models.unit_batches import UnitBatches
from triad.training.refit import Refit
from triad.training.workers import ALONE, Shares

Planned = tuple[str, tuple[Ints, ...]]


class UnitFeed:
    """Batches of train rows with their labels, in a seeded order, a unit's as many as its rows are in proportion.

    Args:
        tasks: unit → the tasks whose labels a batch of it carries.
        refit: which of the rows are learned from; of None, all.
        shares: of each batch, those that are built here.
    """

    def __init__(
        self,
        data: Dataset,
        params: FinetuneParams,
        max_steps: int,
        tasks: Mapping[str, Mapping[str, Any]],
        refit: Refit | None = None,
        *,
        shares: Shares = ALONE,
    ) -> None:
        rows = {unit: refit.of_unit(data, unit) if refit else data.rows("train", unit) for unit in tasks}
        self.examples = sum(map(len, rows.values()))
        self._seed, slots, self._shares = params.seed, params.batch_of(self.examples), shares
        self.examples = shares.of(self.examples)
        self._batches = {
            unit: UnitBatches(
                data,
                unit,
                rows[unit],
                max_steps=max_steps,
                slots=max(min(slots, len(rows[unit])) // shares.count, 1),
                together=shares.together,
                tasks=names,
            )
            for unit, names in tasks.items()
        }

    def plan(self, epoch: int) -> list[Planned]:
        """The batches of an epoch: each unit, and which of its rows."""
        seed = (self._seed, epoch)
        packed = {unit: self._shares.own(batches.pack(seed)) for unit, batches in self._batches.items()}
        plan = [(unit, planned) for unit, parts in packed.items() for planned in parts]
        if len(self._batches) > 1:
            order = np.random.default_rng((*seed, 2)).permutation(len(plan))
            plan = [plan[place] for place in order]
        return plan

    def build(self, planned: Planned, epoch: int, step: int) -> tuple[int, dict[str, Batch]]:
        """How many rows the batch holds, and {unit: arrays}."""
        unit, parts = planned
        return len(parts[-1]), self._batches[unit].build(parts)
