"""The heads of one unit: what its rows are read by, a body, and a tower a task, with their losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from triad.encoders.base import PACKAGE
from triad.kinds import KINDS
from triad.models import across, losses
from triad.models.bodies import MMoE, SharedBottom, SingleTask
from triad.models.bodies_embeddings import STEM, Embeddings
from triad.models.bodies_extraction import PLE
from triad.models.bodies_transfer import AITM
from triad.models.reader import Reader
from triad.models.trunk import Config, Trunk
from triad.models.weighting import DWA, FAMO, Fixed, Uncertainty
from triad.models.weighting_gradients import CAGrad, GradNorm, PCGrad

BODIES: dict[str, Callable[[Mapping[str, Any], list[int | None]], Any]] = {
    "single_task": lambda dials, after: SingleTask(len(after), dials["expert_dim"], name="body"),
    "shared_bottom": lambda dials, after: SharedBottom(len(after), dials["expert_dim"], name="body"),
    "mmoe": lambda dials, after: MMoE(len(after), dials["experts"], dials["expert_dim"], name="body"),
    "ple": lambda dials, after: PLE(
        len(after), dials["experts"], dials["own_experts"], dials["expert_dim"], dials["levels"], name="body"
    ),
    "aitm": lambda dials, after: (
        AITM(after, dials["expert_dim"], name="body")
        if any(place is not None for place in after)
        else SingleTask(len(after), dials["expert_dim"], name="body")  # what it is where nothing is passed on
    ),
    "stem": lambda dials, after: STEM(
        len(after), dials["experts"], dials["own_experts"], dials["expert_dim"], name="body"
    ),
}
"""Each made of the dials, and each task's place of the task whose event it needs."""

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
class Heads(keras.layers.Layer):
    """Inputs side by side → a body → one tower a task.

    A task's last layer also reads the wide columns and the dot product directly, a wide path beside the deep one (Cheng
    et al. 2016): rates known beforehand, and the source task's own logit, act from the first step. It has no `call`: a
    scope around its operations makes TensorFlow add gradients in another order.

    Args:
        trunk: what the trunk is made from.
        inputs, encoders: what `Reader` is made from.
        tasks: in order, each {"kind", "given", "classes", "mean", "scale", "weight", "naive"}; mean and scale
            standardise its label, and naive is what the best constant leaves of the loss.
        dials: of the network, see `MultiTaskNetwork`.
    """

    def __init__(
        self,
        trunk: Config,
        inputs: list[str],
        encoders: Mapping[str, Config],
        tasks: Mapping[str, Config],
        dials: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        parts = {"trunk": dict(trunk), "inputs": list(inputs), "encoders": dict(encoders), "tasks": dict(tasks)}
        self._config: Config = {**parts, "dials": dict(dials)}
        self.tasks: Mapping[str, Config] = self._config["tasks"]
        names, descriptions = list(tasks), tasks.values()
        after = [None if task["given"] is None else names.index(task["given"]) for task in descriptions]
        self.body = BODIES[dials["body"]](dials, after)
        is_stem = dials["body"] == "stem"
        self.embeddings = [Embeddings(trunk, inputs, name=f"own_{name}") for name in names] if is_stem else []
        for embedding in self.embeddings:
            embedding.build()
        self.reader = Reader(inputs, encoders, trunk["history"]["dim"], name="reader")
        self.reader.build()
        width = self.reader.width
        self.body.build((None, len(tasks) + 1, width) if is_stem else (None, width))
        self.drop = keras.layers.Dropout(dials["dropout"])
        self.drop.build((None, dials["expert_dim"]))
        self.towers = [keras.layers.Dense(dials["head_dim"], activation="relu", name=f"tower_{name}") for name in names]
        self.outputs_of = [
            keras.layers.Dense(math.prod(output_shape(task)), kernel_initializer="zeros", name=f"output_{name}")
            for name, task in tasks.items()
        ]
        self.imputing = {
            name: keras.layers.Dense(1, activation="softplus", name=f"error_{name}")
            for name, task in tasks.items()
            if dials["counterfactual"] == "dr" and task["given"]
        }
        for tower in self.towers:
            tower.build((None, dials["expert_dim"]))
        for output in (*self.outputs_of, *self.imputing.values()):
            output.build((None, dials["head_dim"] + self.reader.beside_width))
        for output, task in zip(self.outputs_of, descriptions, strict=True):
            if self.reader.has_product and KINDS[task["kind"]].is_event and dials["dot_product_init"]:
                kernel = np.zeros(output.kernel.shape, np.float32)  # at 0 the product's sides have no gradient at first
                kernel[dials["head_dim"]] = dials["dot_product_init"]
                output.kernel.assign(kernel)
        kinds, weights = [task["kind"] for task in descriptions], [task["weight"] for task in descriptions]
        self.weighting = WEIGHTINGS[dials["weighting"]](kinds, weights, name="weighting")
        self.weighting.build()
        self.weighting.start([task["naive"] for task in descriptions])
        self.built = True

    def represent(self, trunk: Trunk, batch: Any, training: bool = False) -> Any:
        """(slots, parts, dim) what all tasks share: for an exposure the user's state, the item, and the user."""
        return self.reader.represent(trunk, batch, training=training)

    def features(self, shared: Any, batch: Any) -> tuple[Any, list[Any]]:
        """What the body reads of `represent`'s result, and the columns that the last layers read beside it."""
        return self.reader.read(shared, batch, [embedding(batch) for embedding in self.embeddings])

    def outputs(self, shared: Any, batch: Any, training: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
        """Each task's own output, given that what it needs has happened; and the errors that "dr" imputes.

        An output is a logit (slots,), logits (slots, classes), or a standardised value (slots,).
        """
        read, beside = self.features(shared, batch)
        views = self.body(read)
        outputs: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        for place, (name, task) in enumerate(self.tasks.items()):
            # task by task: XLA on CPUs draws numbers of one shape far faster where it draws them more than once
            heard = self.drop(views[:, place], training=training)
            deep = ops.concatenate([self.towers[place](heard), *beside], axis=1)
            value = ops.cast(self.outputs_of[place](deep), "float32")
            outputs[name] = ops.reshape(value, (-1, *output_shape(task)))
            if name in self.imputing:
                errors[name] = ops.cast(self.imputing[name](ops.stop_gradient(deep)), "float32")[:, 0]
        return outputs, errors

    def entire_space(self, own: dict[str, Any]) -> dict[str, Any]:
        """Logits over all rows: a task's own output, times that of the event it needs."""

        def whole(name: str) -> Any:
            parent = self.tasks[name]["given"]
            return own[name] if parent is None else losses.product_logit(whole(parent), own[name])

        return {name: whole(name) for name in own}

    def task_losses(self, batch: Any, outputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Each task's mean loss over its labelled slots, and how many those are. `batch["labels"]`: (slots, tasks)."""
        labels, present = losses.clean(batch["labels"], batch["mask"][:, None])
        mean, count = {}, {}
        for place, (name, task) in enumerate(self.tasks.items()):
            label = (labels[:, place] - task["mean"]) / task["scale"]
            values = KINDS[task["kind"]].loss(label, outputs[name])
            mean[name] = losses.masked_mean(values, present[:, place])
            count[name] = across.total(ops.sum(present[:, place]))
        return mean, count

    def counterfactual_losses(
        self, batch: Any, own: dict[str, Any], errors: dict[str, Any], outputs: dict[str, Any]
    ) -> dict[str, Any]:
        """What ESCM² adds to the loss of each task with `given`, over slots that have both labels."""
        dials = self._config["dials"]
        labels, present = losses.clean(batch["labels"], batch["mask"][:, None])
        names, extra = list(self.tasks), {}
        for place, (name, task) in enumerate(self.tasks.items()):
            parent = task["given"]
            if parent is None or dials["counterfactual"] == "none":
                continue
            before = names.index(parent)
            error, happened = KINDS[task["kind"]].loss(labels[:, place], own[name]), labels[:, before]
            if name in errors:
                values = losses.doubly_robust(error, errors[name], happened, outputs[parent])
            else:
                values = losses.inverse_propensity(error, happened, outputs[parent])
            mean = losses.masked_mean(values, present[:, place] * present[:, before])
            extra[name] = dials["counterfactual_weight"] * mean
        return extra

    def get_config(self) -> Config:
        return {**super().get_config(), **self._config}


def output_shape(task: Mapping[str, Any]) -> tuple[int, ...]:
    """Of one row, from a task's description in a network's configuration."""
    return KINDS[task["kind"]].shape(len(task["classes"]))
