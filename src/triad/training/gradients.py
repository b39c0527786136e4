"""A batch's loss per task, and the products of the tasks' gradients at their shared layer.

Where the gradients are taken: over the weights of a linear layer thought to stand at the end of the trunk, identity and
bias zero, whose gradient is [Z, 1]ᵀ ∂Lᵢ/∂Z for the shared representation Z (slots, 3 · dim). That is GradNorm's "last
shared layer", for every body, and costs a backward pass a task through the heads and none through the trunk. ∂Lᵢ/∂Z
alone would not do: tasks that are labelled on different slots are orthogonal there, whatever they ask for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from keras import ops

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
    """Losses of `batch`, and where asked the products of their gradients."""
    shared = network.represent(batch, training=training)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(shared)
        found, errors = network.heads(shared, batch, training=training)
        outputs = network.entire_space(found)
        plain, count = network.task_losses(batch, outputs)
        extra = network.counterfactual_losses(batch, found, errors, outputs)
        parts = [plain[name] + extra[name] if name in extra else plain[name] for name in plain]
    gram = _gram(shared, [tape.gradient(part, shared) for part in parts]) if with_gram else None
    return Measured(plain, ops.stack(parts), ops.stack(list(count.values())), gram)


def _gram(shared: Any, gradients: list[Any]) -> Any:
    """(tasks, tasks) from ∂Lᵢ/∂Z, each (slots, 3, dim)."""
    slots = shared.shape[0]
    read = ops.cast(ops.reshape(ops.stop_gradient(shared), (slots, -1)), "float32")
    read = ops.concatenate([read, ops.ones((slots, 1), "float32")], axis=1)
    flat = [ops.cast(ops.reshape(ops.stop_gradient(each), (slots, -1)), "float32") for each in gradients]
    layers = ops.stack([ops.reshape(ops.matmul(ops.transpose(read), each), (-1,)) for each in flat])
    return ops.matmul(layers, ops.transpose(layers))
