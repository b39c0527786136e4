"""The network of the target tasks: the trunk, and one head per task."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from triad.config.finetune import FinetuneParams
from triad.config.pretrain import TrunkParams
from triad.config.tasks import Tasks
from triad.encoders.base import PACKAGE
from triad.encoders.context import Context
from triad.encoders.history import read_states
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.kinds import KINDS
from triad.models import losses
from triad.models.bodies import MMoE, SharedBottom, SingleTask
from triad.models.bodies_embeddings import STEM, Embeddings
from triad.models.bodies_extraction import PLE
from triad.models.bodies_transfer import AITM
from triad.models.naive import naive_losses
from triad.models.trunk import Trunk
from triad.models.weighting import DWA, FAMO, Fixed, Uncertainty
from triad.models.weighting_gradients import CAGrad, GradNorm, PCGrad

BODIES: dict[str, Callable[[dict[str, Any], list[int | None]], Any]] = {
    "single_task": lambda size, after: SingleTask(len(after), size["expert_dim"], name="body"),
    "shared_bottom": lambda size, after: SharedBottom(len(after), size["expert_dim"], name="body"),
    "mmoe": lambda size, after: MMoE(len(after), size["experts"], size["expert_dim"], name="body"),
    "ple": lambda size, after: PLE(
        len(after), size["experts"], size["own_experts"], size["expert_dim"], size["levels"], name="body"
    ),
    "aitm": lambda size, after: AITM(after, size["expert_dim"], name="body"),
    "stem": lambda size, after: STEM(len(after), size["experts"], size["own_experts"], size["expert_dim"], name="body"),
}
WEIGHTINGS = {
    "fixed": Fixed,
    "uncertainty": Uncertainty,
    "dwa": DWA,
    "famo": FAMO,
    "gradnorm": GradNorm,
    "pcgrad": PCGrad,
    "cagrad": CAGrad,
}


@keras.saving.register_keras_serializable(PACKAGE)
class MultiTaskNetwork(keras.Model):
    """Trunk → state × candidate × context → a body → one tower a task.

    A task's last layer also reads the context and the product of state and candidate directly, a wide path beside the
    deep one (Cheng et al. 2016): rates known beforehand, and the source task's own logit, act from the first step.

    Args:
        trunk: configuration of the trunk.
        tasks: pointwise tasks in order, each {"kind", "given", "classes", "mean", "scale", "weight", "naive"}; mean and
            scale standardise a regression's label, and naive is what the best constant leaves of the loss.
        context: what `Context` is made from.
        body: a name of `BODIES`.
        weighting: a name of `WEIGHTINGS`.
        counterfactual: "none", "ips" or "dr".
    """

    def __init__(
        self,
        *,
        trunk: dict[str, Any],
        tasks: dict[str, dict[str, Any]],
        context: dict[str, Any],
        body: str,
        experts: int,
        expert_dim: int,
        head_dim: int,
        dropout: float,
        weighting: str,
        own_experts: int = 1,
        levels: int = 1,
        counterfactual: str = "none",
        counterfactual_weight: float = 0.1,
        dot_product_init: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        for name, known in (("body", BODIES), ("weighting", WEIGHTINGS)):
            if locals()[name] not in known:
                raise ValueError(f"{name} must be one of {list(known)}, not {locals()[name]!r}")
        size = {"experts": experts, "own_experts": own_experts, "levels": levels, "expert_dim": expert_dim}
        self._config: dict[str, Any] = {
            "trunk": dict(trunk),
            "tasks": {name: dict(task) for name, task in tasks.items()},
            "context": dict(context),
            "body": body,
            **size,
            "head_dim": head_dim,
            "dropout": dropout,
            "weighting": weighting,
            "counterfactual": counterfactual,
            "counterfactual_weight": counterfactual_weight,
            "dot_product_init": dot_product_init,
        }
        self.tasks: dict[str, dict[str, Any]] = self._config["tasks"]
        self.trunk = Trunk(**trunk, name="trunk")
        self.trunk.build()
        self.context = Context(**context, name="context")
        self.context.build()
        columns = len(self.context.columns)
        names = list(tasks)
        given = [task["given"] for task in tasks.values()]
        self.body = BODIES[body](size, [None if name is None else names.index(name) for name in given])
        self.own = [Embeddings(trunk, name=f"own_{name}") for name in tasks] if body == "stem" else []
        for each in self.own:
            each.build()
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, name="joined")
        self.norm.build((None, 4 * self.trunk.dim))
        width = 4 * self.trunk.dim + columns
        self.body.build((None, len(tasks) + 1, width) if self.own else (None, width))
        self.drop = keras.layers.Dropout(dropout)
        self.drop.build((None, expert_dim))
        self.towers = [keras.layers.Dense(head_dim, activation="relu", name=f"tower_{name}") for name in tasks]
        self.outputs_of = [
            keras.layers.Dense(math.prod(output_shape(task)), kernel_initializer="zeros", name=f"output_{name}")
            for name, task in tasks.items()
        ]
        self.imputing = {
            name: keras.layers.Dense(1, activation="softplus", name=f"error_{name}")
            for name, task in tasks.items()
            if counterfactual == "dr" and task["given"]
        }
        for tower in self.towers:
            tower.build((None, expert_dim))
        for output in (*self.outputs_of, *self.imputing.values()):
            output.build((None, head_dim + 1 + columns))
        kinds, weights = [task["kind"] for task in tasks.values()], [task["weight"] for task in tasks.values()]
        for output, kind in zip(self.outputs_of, kinds, strict=True):
            if KINDS[kind].is_event and dot_product_init:  # at 0 the two that match have no gradient to begin with
                kernel = np.zeros(output.kernel.shape, np.float32)
                kernel[head_dim] = dot_product_init
                output.kernel.assign(kernel)
        self.weighting = WEIGHTINGS[weighting](kinds, weights, name="weighting")
        self.weighting.build()
        if all("naive" in task for task in tasks.values()):  # a network saved before 2026-12 does not tell
            self.weighting.start([task["naive"] for task in tasks.values()])
        self.built = True

    def call(self, batch: Any, training: bool = False) -> dict[str, Any]:
        """Each task's output: a logit (slots,), logits (slots, classes), or a standardised value (slots,)."""
        found, _ = self.heads(self.represent(batch, training=training), batch, training=training)
        return self.entire_space(found)

    def represent(self, batch: Any, training: bool = False) -> Any:
        """(slots, 3, dim) what all tasks share: the user's state, the candidate, and the user's attributes."""
        states, items = self.trunk(batch, training=training)
        item = ops.take(items, batch["candidate"], axis=0)
        user = ops.take(self.trunk.user(batch), batch["segment"], axis=0)
        return ops.stack([read_states(states, batch), item, user], axis=1)

    def features(self, shared: Any, batch: Any) -> tuple[Any, Any]:
        """What the body reads of `represent`'s result, and (slots, 1 + context) what the last layers do beside it."""
        state, item, user = (shared[:, place] for place in range(3))
        context = self.context({"context": batch["context"]})

        def joined(item: Any, user: Any) -> Any:
            return ops.concatenate([self.norm(ops.concatenate([state, item, state * item, user], axis=1)), context], 1)

        match = ops.sum(state * item, axis=1, keepdims=True) / self.trunk.dim**0.5
        read = joined(item, user)
        if self.own:
            read = ops.stack([*(joined(*own(batch)) for own in self.own), read], axis=1)
        return read, ops.concatenate([match, context], axis=1)

    def heads(self, shared: Any, batch: Any, training: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
        """Each task's own output, given that what it needs has happened; and the errors that "dr" imputes."""
        read, wide = self.features(shared, batch)
        views = self.body(read)
        found: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        for place, (name, task) in enumerate(self.tasks.items()):
            # task by task: XLA on CPUs draws numbers of one shape far faster where it draws them more than once
            heard = self.drop(views[:, place], training=training)
            deep = ops.concatenate([self.towers[place](heard), wide], axis=1)
            value = ops.cast(self.outputs_of[place](deep), "float32")
            found[name] = ops.reshape(value, (-1, *output_shape(task)))
            if name in self.imputing:
                errors[name] = ops.cast(self.imputing[name](ops.stop_gradient(deep)), "float32")[:, 0]
        return found, errors

    def entire_space(self, found: dict[str, Any]) -> dict[str, Any]:
        """Logits over all exposures: a task's own, times that of the event it needs."""

        def whole(name: str) -> Any:
            given = self.tasks[name]["given"]
            return found[name] if given is None else losses.product_logit(whole(given), found[name])

        return {name: whole(name) for name in found}

    def task_losses(self, batch: Any, outputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Each task's mean loss over its labelled slots, and how many those are. `batch["labels"]`: (slots, tasks)."""
        labels, present = losses.clean(batch["labels"], batch["mask"][:, None])
        mean, count = {}, {}
        for place, (name, task) in enumerate(self.tasks.items()):
            label = (labels[:, place] - task["mean"]) / task["scale"]
            values = KINDS[task["kind"]].loss(label, outputs[name])
            mean[name] = losses.masked_mean(values, present[:, place])
            count[name] = ops.sum(present[:, place])
        return mean, count

    def counterfactual_losses(
        self, batch: Any, found: dict[str, Any], errors: dict[str, Any], outputs: dict[str, Any]
    ) -> dict[str, Any]:
        """What ESCM² adds to the loss of each task with `given`, over slots that have both labels."""
        labels, present = losses.clean(batch["labels"], batch["mask"][:, None])
        names, extra = list(self.tasks), {}
        for place, (name, task) in enumerate(self.tasks.items()):
            given = task["given"]
            if given is None or self._config["counterfactual"] == "none":
                continue
            before = names.index(given)
            error, happened = KINDS[task["kind"]].loss(labels[:, place], found[name]), labels[:, before]
            if name in errors:
                values = losses.doubly_robust(error, errors[name], happened, outputs[given])
            else:
                values = losses.inverse_propensity(error, happened, outputs[given])
            mean = losses.masked_mean(values, present[:, place] * present[:, before])
            extra[name] = self._config["counterfactual_weight"] * mean
        return extra

    def weights_of_tasks(self) -> dict[str, float]:
        """λ of each task as it stands."""
        return dict(zip(self.tasks, map(float, self.weighting.shown()), strict=True))

    def get_config(self) -> dict[str, Any]:
        return {**self._config, "name": self.name}


def output_shape(task: Mapping[str, Any]) -> tuple[int, ...]:
    """Of one row, from a task's description in a network's configuration."""
    return KINDS[task["kind"]].shape(len(task["classes"]))


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


def multi_task_config(data: Dataset, trunk: dict[str, Any], params: FinetuneParams, tasks: Tasks) -> dict[str, Any]:
    """A network's configuration for the pointwise tasks of `data`, its labels' scales taken from the train split."""
    unknown = [name for name in data.meta.tasks["exposures"] if name not in tasks]
    if unknown:
        raise TriadError(
            f"examples hold tasks {unknown} that the parameters lack", where="tasks", mend="run features again"
        )
    asked = data.meta.tasks["exposures"] if params.tasks is None else params.tasks
    strange = [name for name in asked if name not in data.meta.tasks["exposures"]]
    if strange:
        raise TriadError(
            f"{strange} are not among {list(data.meta.tasks['exposures'])}",
            where="finetune.tasks",
            mend="correct it",
        )
    learned = [name for name in data.meta.tasks["exposures"] if name in asked]
    if params.body == "aitm" and not any(tasks[name].given in learned for name in learned):
        raise TriadError(
            "aitm passes on what a task with `given` needs, and there is none",
            where="finetune.body",
            mend="give a task `given`, or choose another body",
        )
    train = data.rows("train")
    described = {}
    for name in learned:
        task = tasks[name]
        labels = np.asarray(data.labels(name)[train], np.float64)
        labels = labels[~np.isnan(labels)]
        if not len(labels):
            raise TriadError("no train row has a label", where=f"tasks.{name}", mend="take it out, or widen the window")
        mean, scale = KINDS[task.kind].scaling(labels)
        described[name] = {
            "kind": task.kind,
            "given": task.given if task.given in learned else None,  # a twin learns the whole space by itself
            "classes": list(data.meta.classes.get(name, ())),
            "mean": mean,
            "scale": scale,
            "weight": task.weight,
        }
    for name, loss in naive_losses(data, described, train).items():
        described[name]["naive"] = loss
    return {
        "trunk": trunk,
        "tasks": described,
        "context": Context.config(data, TrunkParams(**trunk["history"])),
        **params.model_dump(include=DIALS),
    }


def multi_task(data: Dataset, trunk: dict[str, Any], params: FinetuneParams, tasks: Tasks) -> MultiTaskNetwork:
    """A fresh network for the pointwise tasks of `data`."""
    return MultiTaskNetwork(**multi_task_config(data, trunk, params, tasks))
