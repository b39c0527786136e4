"""The network of the target tasks: the trunk under one head a task."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from triad.config.finetune import FinetuneParams
from triad.config.tasks import Tasks
from triad.errors import TriadError
from triad.features.dataset import Dataset
from triad.models import losses
from triad.models.bodies import MMoE, SharedBottom
from triad.models.layers import PACKAGE
from triad.models.trunk import Trunk, read_states


@keras.saving.register_keras_serializable(PACKAGE)
class MultiTaskNetwork(keras.Model):
    """Trunk → state × candidate × context → experts and gates → one tower a task.

    A task's last layer also reads the context and the product of state and candidate directly, a wide path beside the
    deep one (Cheng et al. 2016): rates known beforehand, and the source task's own logit, act from the first step.

    Args:
        trunk: configuration of the trunk.
        tasks: pointwise tasks in order, each {"kind", "given", "classes", "mean", "scale", "weight"}; mean and scale
            standardise a regression's label.
        context_mean, context_std: standardise the context, whose missing values then read 0.
        body: "mmoe" or "shared_bottom".
    """

    def __init__(
        self,
        *,
        trunk: dict[str, Any],
        tasks: dict[str, dict[str, Any]],
        context_mean: list[float],
        context_std: list[float],
        body: str,
        experts: int,
        expert_dim: int,
        head_dim: int,
        dropout: float,
        weighting: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self._config: dict[str, Any] = {
            "trunk": dict(trunk),
            "tasks": {name: dict(task) for name, task in tasks.items()},
            "context_mean": list(context_mean),
            "context_std": list(context_std),
            "body": body,
            "experts": experts,
            "expert_dim": expert_dim,
            "head_dim": head_dim,
            "dropout": dropout,
            "weighting": weighting,
        }
        self.tasks: dict[str, dict[str, Any]] = self._config["tasks"]
        self.trunk = Trunk(**trunk, name="trunk")
        self.trunk.build()
        width = 4 * self.trunk.dim + len(context_mean)
        if body == "mmoe":
            self.body = MMoE(len(tasks), experts, expert_dim, name="body")
        elif body == "shared_bottom":
            self.body = SharedBottom(len(tasks), expert_dim, name="body")
        else:
            raise ValueError(f"body must be 'mmoe' or 'shared_bottom', not {body!r}")
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, name="joined")
        self.norm.build((None, 4 * self.trunk.dim))
        self.body.build((None, width))
        self.drop = keras.layers.Dropout(dropout)
        self.drop.build((None, expert_dim))
        self.towers = [keras.layers.Dense(head_dim, activation="relu", name=f"tower_{name}") for name in tasks]
        self.outputs_of = [
            keras.layers.Dense(len(task["classes"]) or 1, kernel_initializer="zeros", name=f"output_{name}")
            for name, task in tasks.items()
        ]
        for tower, output in zip(self.towers, self.outputs_of, strict=True):
            tower.build((None, expert_dim))
            output.build((None, head_dim + 1 + len(context_mean)))
        self.log_scale = self.add_weight(
            (len(tasks),), initializer="zeros", trainable=weighting == "uncertainty", name="log_scale", dtype="float32"
        )
        self.built = True

    def call(self, batch: Any, training: bool = False) -> dict[str, Any]:
        """Each task's output: a logit (slots,), logits (slots, classes), or a standardised value (slots,)."""
        states, items = self.trunk(batch, training=training)
        state = read_states(states, batch)
        item = ops.take(items, batch["candidate"], axis=0)
        user = ops.take(self.trunk.user(batch["attributes"]), batch["segment"], axis=0)
        match = state * item
        joined = self.norm(ops.concatenate([state, item, match, user], axis=1))
        mean, std = (ops.convert_to_tensor(self._config[f"context_{part}"], "float32") for part in ("mean", "std"))
        known = (batch["context"] - mean) / std
        context = ops.cast(ops.where(ops.isnan(known), ops.zeros_like(known), known), joined.dtype)
        shared = self.body(ops.concatenate([joined, context], axis=1))
        wide = ops.concatenate([ops.sum(match, axis=1, keepdims=True) / self.trunk.dim**0.5, context], axis=1)
        found: dict[str, Any] = {}
        for place, (name, task) in enumerate(self.tasks.items()):
            # task by task: XLA on CPUs draws numbers of one shape far faster where it draws them more than once
            heard = self.drop(shared[:, place], training=training)
            deep = ops.concatenate([self.towers[place](heard), wide], axis=1)
            value = ops.cast(self.outputs_of[place](deep), "float32")
            found[name] = value if task["kind"] == "multiclass" else value[:, 0]
        return {name: self._entire_space(name, found) for name in found}

    def _entire_space(self, name: str, found: dict[str, Any]) -> Any:
        """A task's logit over all exposures: its own, times that of the event it needs."""
        given = self.tasks[name]["given"]
        return found[name] if given is None else losses.product_logit(self._entire_space(given, found), found[name])

    def task_losses(self, batch: Any, outputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Each task's mean loss over its labelled slots, and how many those are. `batch["labels"]`: (slots, tasks)."""
        labels, present = losses.clean(batch["labels"], batch["mask"][:, None])
        mean, count = {}, {}
        for place, (name, task) in enumerate(self.tasks.items()):
            label = (labels[:, place] - task["mean"]) / task["scale"]
            values = losses.POINTWISE[task["kind"]](label, outputs[name])
            mean[name] = losses.masked_mean(values, present[:, place])
            count[name] = ops.sum(present[:, place])
        return mean, count

    def total_loss(self, mean: dict[str, Any], count: dict[str, Any]) -> Any:
        """Σ λᵢLᵢ, λ fixed or by uncertainty; a task no slot is labelled for adds nothing."""
        total = ops.zeros(())
        for place, (name, task) in enumerate(self.tasks.items()):
            loss = mean[name]
            if self._config["weighting"] == "uncertainty":
                loss = losses.uncertainty(task["kind"], loss, self.log_scale[place])
            total = total + task["weight"] * ops.where(count[name] > 0, loss, ops.zeros_like(loss))
        return total

    def weights_of_tasks(self) -> dict[str, float]:
        """λ of each task as it stands."""
        scale = np.exp(-ops.convert_to_numpy(self.log_scale))
        return {name: float(task["weight"] * scale[place]) for place, (name, task) in enumerate(self.tasks.items())}

    def get_config(self) -> dict[str, Any]:
        return {**self._config, "name": self.name}


def multi_task_config(data: Dataset, trunk: dict[str, Any], params: FinetuneParams, tasks: Tasks) -> dict[str, Any]:
    """A network's configuration for the pointwise tasks of `data`, its labels' scales taken from the train split."""
    unknown = [name for name in data.meta.tasks if name not in tasks]
    if unknown:
        raise TriadError(
            f"examples hold tasks {unknown} that the parameters lack", where="tasks", mend="run features again"
        )
    train = data.rows("train")
    described = {}
    for name in data.meta.tasks:
        task = tasks[name]
        labels = np.asarray(data.labels(name)[train], np.float64)
        labels = labels[~np.isnan(labels)]
        if not len(labels):
            raise TriadError("no train row has a label", where=f"tasks.{name}", mend="take it out, or widen the window")
        mean = float(np.median(labels)) if task.kind == "regression" else 0.0
        scale = float(labels.std()) if task.kind == "regression" else 1.0
        described[name] = {
            "kind": task.kind,
            "given": task.given,
            "classes": list(data.meta.classes.get(name, ())),
            "mean": mean,
            "scale": scale if scale > 0 else 1.0,
            "weight": task.weight,
        }
    return {
        "trunk": trunk,
        "tasks": described,
        "context_mean": list(data.meta.context_mean),
        "context_std": list(data.meta.context_std),
        **params.model_dump(include={"body", "experts", "expert_dim", "head_dim", "dropout", "weighting"}),
    }


def multi_task(data: Dataset, trunk: dict[str, Any], params: FinetuneParams, tasks: Tasks) -> MultiTaskNetwork:
    """A fresh network for the pointwise tasks of `data`."""
    return MultiTaskNetwork(**multi_task_config(data, trunk, params, tasks))
