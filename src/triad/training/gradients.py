"""A batch's loss per task, and the products of the tasks' gradients at their shared layer.

Where the gradients are taken: over the weights of a linear layer thought to stand at the end of the trunk, identity and
bias zero, whose gradient is [Z, 1]ᵀ ∂Lᵢ/∂Z for the shared representation Z (slots, parts · d). That is GradNorm's "last
shared layer", for every body, and costs a backward pass a task through the heads and none through the trunk. ∂Lᵢ/∂Z
alone would not do: tasks that are labelled on different slots are orthogonal there, whatever they ask for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from keras import ops

from triad.models import across
from triad.models.batches import Batch
from triad.models.multitask import MultiTaskNetwork


@dataclass(frozen=True)
class Measured:
    """Of one batch."""

    plain: dict[str, Any]  # each task's own mean loss
    loss: Any  # (tasks,) with what a counterfactual regulariser adds
    count: Any  # (tasks,) labelled slots
    gram: Any | None  # (tasks, tasks) products of gradients


def measure(network: MultiTaskNetwork, batch: Batch, *, training: bool = True, with_gram: bool = False) -> Measured:
    """Losses of the tasks that `batch` is for, and where asked the products of their gradients."""
    heads, arrays = network.of(batch)
    shared = heads.represent(network.trunk, arrays, training=training)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(shared)
        own, errors = heads.outputs(shared, arrays, training=training)
        outputs = heads.entire_space(own)
        plain, count = heads.task_losses(arrays, outputs)
        extra = heads.counterfactual_losses(arrays, own, errors, outputs)
        parts = [plain[name] + extra[name] if name in extra else plain[name] for name in plain]
    gram = _gram(shared, [tape.gradient(part, shared) for part in parts]) if with_gram else None
    return Measured(plain, ops.stack(parts), ops.stack(list(count.values())), gram)


def over_trunk(network: MultiTaskNetwork, batch: Any) -> Any:
    """(tasks of the batch's unit, trunk's weights) each task's gradient, without dropout."""
    weights = [each.value for each in network.trunk.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        losses = tf.unstack(measure(network, batch, training=False).loss)

    def flat(loss: Any) -> Any:
        gradients = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return tf.concat([tf.reshape(tf.convert_to_tensor(each), (-1,)) for each in gradients], axis=0)

    return tf.stack([flat(loss) for loss in losses])


def _gram(shared: Any, gradients: list[Any]) -> Any:
    """(tasks, tasks) from ∂Lᵢ/∂Z, each (slots, parts, dim)."""
    slots = shared.shape[0]
    read = ops.cast(ops.reshape(ops.stop_gradient(shared), (slots, -1)), "float32")
    read = ops.concatenate([read, ops.ones((slots, 1), "float32")], axis=1)
    flat = [ops.cast(ops.reshape(ops.stop_gradient(each), (slots, -1)), "float32") for each in gradients]
    layers = across.mean(ops.stack([ops.reshape(ops.matmul(ops.transpose(read), each), (-1,)) for each in flat]))
    return ops.matmul(layers, ops.transpose(layers))
