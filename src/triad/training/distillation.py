"""Mutual distillation: two networks learn the source task together, each also learning the other's predictions.

L₁ = CE₁ + weight · KL(p₂ ‖ p₁), and L₂ likewise, p over the whole catalogue (Zhang et al. 2018, arXiv:1706.00384). The
other's belief is a target, through which no gradient flows. A true alternative item that the log happened not to show
gets its share from the other network, so a peer is worth most where data is thin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from triad.kinds import KINDS
from triad.models import losses
from triad.models.batches import Batch
from triad.models.networks import SequenceNetwork


class Peers(keras.Model):
    """Networks trained side by side, which share a batch and nothing else."""

    def __init__(self, networks: Sequence[SequenceNetwork]) -> None:
        super().__init__(autocast=False)
        self.networks = list(networks)
        self.built = True

    def call(self, batch: Batch, training: bool = False) -> list[Any]:
        """Each network's (slots, items) logits over the catalogue."""
        return [network.logits(batch, training=training) for network in self.networks]


def divergence(teacher: Any, student: Any) -> Any:
    """(n,) KL(p_teacher ‖ p_student) of two sets of logits (n, items); no gradient reaches the teacher."""
    believed, own = ops.log_softmax(ops.stop_gradient(teacher), axis=-1), ops.log_softmax(student, axis=-1)
    return ops.sum(ops.exp(believed) * (believed - own), axis=-1)


def make_joint_loss(peers: Peers, weight: float) -> Callable[[Batch], tuple[Any, dict[str, Any]]]:
    """A batch's Σ over networks of cross-entropy + weight · divergence from the others, on average."""

    def loss_of(batch: Batch) -> tuple[Any, dict[str, Any]]:
        logits = peers(batch, training=True)
        parts: dict[str, Any] = {}
        total = 0.0
        for place, own in enumerate(logits):
            others = [divergence(other, own) for other in logits if other is not own]
            entropy = losses.masked_mean(KINDS["ranking"].loss(batch["candidate"], own), batch["mask"])
            apart = losses.masked_mean(sum(others) / len(others), batch["mask"])
            parts |= {f"peer_{place + 1}": entropy, f"apart_{place + 1}": apart}
            total = total + entropy + weight * apart
        return total, parts

    return loss_of
