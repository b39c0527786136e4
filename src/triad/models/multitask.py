"""The network of the target tasks: the trunk, and for each unit of examples the heads of its tasks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import keras
import numpy as np

from triad.config.finetune import FinetuneParams
from triad.config.pretrain import TrunkParams
from triad.config.tasks import Tasks
from triad.encoders import ENCODERS
from triad.encoders.base import PACKAGE
from triad.errors import TriadError
from triad.examples import UNITS
from triad.examples.dataset import Dataset
from triad.kinds import KINDS
from triad.models.heads import BODIES, WEIGHTINGS, Heads
from triad.models.naive import naive_losses
from triad.models.reader import POINTERS
from triad.models.trunk import Config, Trunk


@keras.saving.register_keras_serializable(PACKAGE)
class MultiTaskNetwork(keras.Model):
    """One trunk that the units share, and heads of its own a unit.

    Called with {unit: arrays}, a batch of rows of one unit, it gives the outputs of that unit's tasks.

    Args:
        trunk: what the trunk is made from.
        units: unit → what its `Heads` are made from beside the trunk and the dials: inputs, encoders, tasks.
        dials: body (a name of `BODIES`), weighting (of `WEIGHTINGS`), counterfactual ("none", "ips" or "dr"), sizes.
    """

    def __init__(self, *, trunk: Config, units: Mapping[str, Config], dials: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        for name, known in (("body", BODIES), ("weighting", WEIGHTINGS)):
            if dials[name] not in known:
                raise ValueError(f"{name} must be one of {list(known)}, not {dials[name]!r}")
        self._config: Config = {"trunk": dict(trunk), "units": dict(units), "dials": dict(dials)}
        self.trunk = Trunk(**trunk, name="trunk")
        self.trunk.build()
        self.units: dict[str, Heads] = {
            unit: Heads(trunk, **parts, dials=dials, name=unit) for unit, parts in units.items()
        }
        self.tasks: dict[str, Config] = {
            name: task for heads in self.units.values() for name, task in heads.tasks.items()
        }
        self.built = True

    def call(self, batch: Any, training: bool = False) -> dict[str, Any]:
        """Each task's output: a logit (slots,), logits (slots, classes), or a standardised value (slots,)."""
        heads, arrays = self.of(batch)
        own, _ = heads.outputs(heads.represent(self.trunk, arrays, training=training), arrays, training=training)
        return heads.entire_space(own)

    def of(self, batch: Any) -> tuple[Heads, Any]:
        """The heads that a batch is for, and its arrays."""
        ((unit, arrays),) = batch.items()
        return self.units[unit], arrays

    def weights_of_tasks(self) -> dict[str, float]:
        """λ of each task as it stands."""
        shown = [value for heads in self.units.values() for value in heads.weighting.shown()]
        return dict(zip(self.tasks, map(float, shown), strict=True))

    def after_epoch(self) -> None:
        """Let the weightings learn from an epoch."""
        weightings = [heads.weighting for heads in self.units.values()]
        type(weightings[0]).after_epoch(weightings)

    def get_config(self) -> Config:
        return {**self._config, "name": self.name}


DIALS = {
    "body",
    "levels",
    "experts",
    "own_experts",
    "expert_dim",
    "head_dim",
    "dropout",
    "weighting",
    "counterfactual",
    "counterfactual_weight",
    "dot_product_init",
}
"""Of `FinetuneParams`, what a network is made with."""


def learned_tasks(data: Dataset, params: FinetuneParams) -> dict[str, list[str]]:
    """Unit → the tasks of its rows that `params` ask for; units without one, or that no network can read, left out."""
    known = [name for names in data.meta.tasks.values() for name in names]
    unknown = [name for name in params.tasks or () if name not in known]
    if unknown:
        raise TriadError(f"{unknown} are not among {known}", where="finetune.tasks", mend="correct it")
    learned = {
        unit: [name for name in names if (UNITS[unit].is_shared if params.tasks is None else name in params.tasks)]
        for unit, names in data.meta.tasks.items()
        if UNITS[unit].inputs
    }
    return {unit: names for unit, names in learned.items() if names}


def multi_task_config(
    data: Dataset, trunk: Config, params: FinetuneParams, tasks: Tasks, units: Collection[str] | None = None
) -> Config:
    """A network's configuration for the tasks of `data`, its labels' scales taken from the train split.

    Args:
        units: those that it learns; of None, all.
    """
    unknown = [name for names in data.meta.tasks.values() for name in names if name not in tasks]
    if unknown:
        raise TriadError(
            f"examples hold tasks {unknown} that the parameters lack", where="tasks", mend="run features again"
        )
    learned = learned_tasks(data, params)
    if params.body == "aitm" and not any(tasks[name].given in names for names in learned.values() for name in names):
        raise TriadError(
            "aitm passes on what a task with `given` needs, and there is none",
            where="finetune.body",
            mend="give a task `given`, or choose another body",
        )
    sizes = TrunkParams(**trunk["history"])
    described = {}
    for unit, names in learned.items():
        if units is not None and unit not in units:
            continue
        own = [name for name in UNITS[unit].inputs if name not in (*POINTERS, *trunk["item"])]
        described[unit] = {
            "inputs": list(UNITS[unit].inputs),
            "encoders": {name: ENCODERS[name].config(data, sizes) for name in own},
            "tasks": _described(data, unit, names, tasks),
        }
    return {"trunk": trunk, "units": described, "dials": params.model_dump(include=DIALS)}


def _described(data: Dataset, unit: str, names: Collection[str], tasks: Tasks) -> Config:
    """What a network is told of the tasks of a unit."""
    train = data.rows("train", unit)
    described: Config = {}
    for name in names:
        task = tasks[name]
        labels = np.asarray(data.labels(name)[train], np.float64)
        labels = labels[~np.isnan(labels)]
        if not len(labels):
            raise TriadError("no train row has a label", where=f"tasks.{name}", mend="take it out, or widen the window")
        mean, scale = KINDS[task.kind].scaling(labels)
        described[name] = {
            "kind": task.kind,
            "given": task.given if task.given in names else None,  # a twin learns the whole space by itself
            "classes": list(data.meta.classes.get(name, ())),
            "mean": mean,
            "scale": scale,
            "weight": task.weight,
        }
    for name, loss in naive_losses(data, described, "train").items():
        described[name]["naive"] = loss
    return described


def multi_task(
    data: Dataset, trunk: Config, params: FinetuneParams, tasks: Tasks, units: Collection[str] | None = None
) -> MultiTaskNetwork:
    """A fresh network for the tasks of `data`."""
    return MultiTaskNetwork(**multi_task_config(data, trunk, params, tasks, units))
