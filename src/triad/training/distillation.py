"""Joint training by mutual distillation: two networks on the source task, each also learning what the other believes.

L₁ = CE₁ + weight · KL(p₂ ‖ p₁), and L₂ likewise, p over the whole catalogue (Zhang et al. 2018, arXiv:1706.00384). The
other's belief is a target, through which no gradient flows. A true alternative item that the log happened not to show
gets its share from the other network, so a peer is worth most where data is thin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
from keras import ops

from triad.config.pretrain import PretrainParams, TrunkParams
from triad.errors import TriadError
from triad.features.dataset import Dataset
from triad.models import losses
from triad.models.batches import Batch
from triad.models.networks import SequenceNetwork, trunk_config
from triad.models.sequence import Sequence as Member
from triad.training.loop import fit
from triad.training.optimizers import Schedule
from triad.training.pretraining import TargetFeed, item_loss, targets
from triad.training.runtime import Runtime


class Peers(keras.Model):
    """Networks trained side by side, which share a batch and nothing else."""

    def __init__(self, networks: Sequence[SequenceNetwork]) -> None:
        super().__init__(autocast=False)
        self.networks = list(networks)
        self.built = True

    def call(self, batch: Batch, training: bool = False) -> list[Any]:
        """Each network's (slots, items) logits over the catalogue."""
        found = []
        for network in self.networks:
            states, items = network(batch, training=training)
            found.append(ops.cast(ops.matmul(states, ops.transpose(items)), "float32"))
        return found


def divergence(teacher: Any, student: Any) -> Any:
    """(n,) KL(p_teacher ‖ p_student) of two sets of logits (n, items); no gradient reaches the teacher."""
    believed, own = ops.log_softmax(ops.stop_gradient(teacher), axis=-1), ops.log_softmax(student, axis=-1)
    return ops.sum(ops.exp(believed) * (believed - own), axis=-1)


def make_loss(peers: Peers, weight: float) -> Callable[[Batch], tuple[Any, dict[str, Any]]]:
    """A batch's Σ over networks of cross-entropy + weight · divergence from the others, on average."""

    def loss_of(batch: Batch) -> tuple[Any, dict[str, Any]]:
        logits = peers(batch, training=True)
        parts: dict[str, Any] = {}
        total = 0.0
        for place, own in enumerate(logits):
            others = [divergence(other, own) for other in logits if other is not own]
            entropy = losses.masked_mean(losses.multiclass(batch["candidate"], own), batch["mask"])
            apart = losses.masked_mean(sum(others) / len(others), batch["mask"])
            parts |= {f"peer_{place + 1}": entropy, f"apart_{place + 1}": apart}
            total = total + entropy + weight * apart
        return total, parts

    return loss_of


def train_peers(
    data: Dataset,
    params: PretrainParams,
    runtime: Runtime,
    *,
    trunks: Sequence[TrunkParams],
    weight: float,
    folder: Path | None = None,
) -> tuple[list[Member], list[dict[str, float]]]:
    """The networks trained together on next interactions of `data`, and their losses by epoch.

    Args:
        trunks: sizes of each network; different ones know different things.
        weight: of the divergence; 0 trains them apart, in the same steps.

    Raises:
        TriadError: fewer than two networks, a sampled loss, or no interaction to predict in train or validation.
    """
    if len(trunks) < 2:
        raise TriadError(f"{len(trunks)} network(s)", where="mutual distillation", mend="give the sizes of two")
    if params.loss != "softmax":
        raise TriadError(
            f"loss {params.loss!r} has no belief over the whole catalogue",
            where="pretrain.loss",
            mend="set it to softmax for mutual distillation",
        )
    held_out = targets(data, "validation")
    if not len(held_out.item):
        raise TriadError(
            "the validation split holds no interaction of the target kind",
            where="features.split_days.validation",
            mend="give it more days",
        )
    keras.utils.set_random_seed(params.seed)
    networks = [SequenceNetwork(trunk_config(data, trunk)) for trunk in trunks]
    members = [Member(network) for network in networks]

    def validate() -> dict[str, float]:
        each = [item_loss(member, data, held_out) for member in members]
        return {"loss": sum(each) / len(each)} | {f"peer_{place + 1}": loss for place, loss in enumerate(each)}

    peers = Peers(networks)
    history = fit(
        peers,
        make_loss(peers, weight),
        TargetFeed(data, params.model_copy(update={"trunk": _same_steps(trunks)})),
        validate,
        Schedule(
            params.learning_rate, params.weight_decay, params.max_epochs, params.patience, params.checkpoint_steps
        ),
        runtime=runtime,
        folder=folder,
        label="distil",
    )
    return members, history


def _same_steps(trunks: Sequence[TrunkParams]) -> TrunkParams:
    """Of one length of segments, because the networks read the same batches."""
    if len({trunk.max_steps for trunk in trunks}) > 1:
        raise TriadError(
            f"trunks read {sorted({trunk.max_steps for trunk in trunks})} steps",
            where="mutual distillation",
            mend="give all networks the same max_steps",
        )
    return trunks[0]
