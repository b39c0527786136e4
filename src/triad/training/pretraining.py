"""Trains the source task: predict the next or a masked interaction. Stops on the validation split."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy.special import logsumexp

from triad.arrays import Bools, Floats
from triad.config.pretrain import PretrainParams
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.members.sequence import Sequence
from triad.models import losses
from triad.models.batches import Batch
from triad.models.networks import SequenceNetwork
from triad.models.trunk import trunk_config
from triad.models.warm_start import InitialModel, warm_start_sequence
from triad.training import workers
from triad.training.distillation import Peers, make_joint_loss
from triad.training.loop import fit
from triad.training.optimizers import schedule
from triad.training.pretraining_feeds import InTurn, TargetFeed, Targets, days, not_yet_there, targets
from triad.training.refit import Refit
from triad.training.runtime import Runtime

log = logging.getLogger("triad.pretrain")

CUT = 10
"""Length of the list that HIT and NDCG look at."""

LOOKED_AT = 4000
"""Queries that tell the best epoch."""

FEW = 500
"""Fewer queries tell one epoch from the next by chance."""

LOSS_CELLS = 2_000_000_000
"""(target, item) cells of an epoch's validation loss, or a large catalogue's would take longer than its training."""

BLOCK = 2048
"""Queries scored at once, so that a large catalogue's scores need not all be held."""


def thinned(wanted: Targets, most: int) -> Targets:
    """At most about `most` of `wanted`, evenly spaced, and no fewer than `LOOKED_AT`; all where there are no more."""
    step = -(-len(wanted.item) // max(most, LOOKED_AT))
    return wanted if step <= 1 else wanted.take(slice(None, None, step))


def make_loss(
    network: SequenceNetwork, loss: str, absent: Bools, first: Floats | None = None
) -> Callable[[Batch], tuple[Any, dict[str, Any]]]:
    """A batch's mean loss, `loss` as `PretrainParams.loss_for` says.

    Args:
        absent: (n_items,) items that are no negatives.
        first: (n_items,) when each came on the shelf, as a batch says `moment`: none is a negative of an earlier one.
    """
    apart = np.where(absent, np.float32(-1e9), np.float32(0)) if absent.any() else None

    def loss_of(batch: Batch) -> tuple[Any, dict[str, Any]]:
        logits, target = network.logits(batch, training=True), batch["candidate"]
        if first is not None:
            logits = logits - 1e9 * _not_yet(first, batch)
        if loss == "softmax":  # the batch's list is the whole catalogue
            values = losses.softmax(logits if apart is None else logits + apart, target)
        else:
            taken = ops.take_along_axis(logits, target[:, None], axis=1)[:, 0]
            drawn = ops.take(logits, batch["negatives"], axis=1)
            is_target = ops.cast(target[:, None] == batch["negatives"][None, :], "float32")
            if loss == "gbce":
                values = losses.gbce(taken, drawn, is_target, catalogue=len(absent))
            else:
                values = losses.sampled_softmax(taken, drawn, is_target, batch["log_q"])
        return losses.masked_mean(values, batch["mask"]), {}

    return loss_of


def _not_yet(first: Floats, batch: Batch) -> Any:
    """(slots, columns) 1 where the item came on the shelf after the slot's moment; never of what was taken then."""
    there = ops.convert_to_tensor(first)
    if "columns" in batch:
        there = ops.take(there, batch["columns"])
    moment = ops.maximum(batch["moment"], ops.take(there, batch["candidate"]))
    return ops.cast(there[None, :] > moment[:, None], "float32")


def item_loss(member: Sequence, data: Dataset, interactions: Targets, *, masked: bool = False) -> float:
    """Mean cross-entropy of `interactions` under the softmax over the whole catalogue."""
    return float(item_losses(member, data, interactions, masked=masked).mean())


def item_losses(member: Sequence, data: Dataset, interactions: Targets, *, masked: bool = False) -> Floats:
    """(n,) cross-entropy of each of `interactions` under the softmax over the whole catalogue."""
    items = member.scorer.items(data)
    losses = [np.zeros(0)]
    for start in range(0, len(interactions.item), BLOCK):
        part = slice(start, start + BLOCK)
        hidden = interactions.item[part] if masked else None
        asked = interactions.take(part)
        logits = member.logits(data, asked.user, asked.history, items, moment=asked.time, masked=hidden)
        losses.append(logsumexp(logits, axis=1) - logits[np.arange(len(logits)), interactions.item[part]])
    return np.concatenate(losses)


def ranking(member: Sequence, data: Dataset, split: str, about: int | None = None) -> dict[str, float]:
    """HIT@10 and NDCG@10 over the whole catalogue on the queries of `split`; ties count against the target.

    Args:
        about: how many queries are looked at, evenly spaced, and at most twice as many; None: all.
    """
    items, lists, queries = member.scorer.items(data), data.lists, data.rows(split, "lists")
    if about is not None:
        queries = queries[:: max(1, len(queries) // about)]
    ideal = np.cumsum(1 / np.log2(2 + np.arange(CUT)))
    hits, gains = [], []
    for start in range(0, len(queries), BLOCK):
        rows = queries[start : start + BLOCK]
        logits = member.logits(data, lists.user[rows], lists.history[rows], items, moment=lists.time[rows])
        for scores, row in zip(logits, rows, strict=True):
            wanted = lists.target[lists.offsets[row] : lists.offsets[row + 1]]
            place = (scores >= scores[wanted][:, None]).sum(axis=1)  # 1 is first
            place = np.sort(place)
            inside = place[place <= CUT]
            hits.append(len(inside) > 0)
            gains.append((1 / np.log2(1 + inside)).sum() / ideal[min(len(wanted), CUT) - 1])
    return {"hit_at_10": float(np.mean(hits)), "ndcg_at_10": float(np.mean(gains)), "queries": float(len(queries))}


def held_out(data: Dataset, params: PretrainParams) -> Targets:
    """Validation interactions that tell how well the source task is learned."""
    masked, mark = params.task == "masked", chosen_by(params, data)
    most = LOSS_CELLS // len(data.items.item_id) if mark == "loss" else LOOKED_AT  # where lists choose, it is only told
    return thinned(targets(data, "validation", masked=masked), most)


def chosen_by(params: PretrainParams, data: Dataset) -> str:
    """The value of an epoch's validation that is least at the best one."""
    by_lists = params.choose_by == "lists" and params.task != "masked" and len(data.rows("validation", "lists")) > 0
    return "missed" if by_lists else "loss"


def pretrain_network(
    data: Dataset,
    params: PretrainParams,
    runtime: Runtime,
    folder: Path | None = None,
    initial: InitialModel | None = None,
    *,
    refit: Refit | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda _: None,
) -> tuple[Sequence, list[dict[str, float]]]:
    """The trunk trained on interactions of `data`, and its losses by epoch.

    One that only ever filled in what was masked is a start for fine-tuning; its own lists of what comes next are poor.

    Args:
        initial: the network to start from; from scratch where None.
        refit: train on all days, by these rules; of None, on the train split, stopped by the validation split.
        on_epoch: told each epoch's losses; what it raises ends the training.

    Raises:
        TriadError: the train or the validation split holds no interaction to predict, or `initial` is of other sizes.
    """
    masked = params.task == "masked"
    mark, lists = chosen_by(params, data), len(data.rows("validation", "lists"))
    asked = held_out(data, params)
    if refit is None and not len(asked.item):
        raise TriadError(
            "the validation split holds no interaction of the target kind",
            where="features.split_days.validation",
            mend="give it more days",
        )
    keras.utils.set_random_seed(params.seed)
    config = trunk_config(data, params.trunk)
    network = SequenceNetwork(config if initial is None else initial.rescaled(config), params.own_items, params.trend)
    if initial is not None:
        new = warm_start_sequence(network, initial)
        log.info("from a registered network; new is %s", ", ".join(new) or "nothing")
    catalogue = len(data.items.item_id)
    loss = params.loss_for(catalogue)
    log.info("loss: %s, %s items", loss, f"{catalogue:,}")
    first = days(data, data.items.available_from) if refit is not None and refit.on_shelf else None
    taught, loss_of = network, make_loss(network, loss, not_yet_there(data, params), first)
    if params.peer_weight:  # the second one is let go in the end
        taught = Peers([network, SequenceNetwork(network.trunk_config, params.own_items, params.trend)])
        loss_of = make_joint_loss(taught, params.peer_weight)
    member = Sequence(network)
    if refit is None and mark == "missed" and lists < FEW:
        log.warning("only %d validation lists tell the best epoch: pretrain.choose_by: loss is steadier", lists)

    def validate() -> dict[str, float]:
        if refit is not None:
            return {}
        figures = {"loss": item_loss(member, data, asked, masked=masked)}
        if mark == "missed":
            figures["missed"] = 1 - ranking(member, data, "validation", LOOKED_AT)["ndcg_at_10"]
        return figures

    rules: dict[str, Any] = {"refit": refit, "shares": workers.shares(runtime.workers)}
    history = fit(
        taught,
        loss_of,
        InTurn(data, params, **rules) if params.task == "both" else TargetFeed(data, params, masked=masked, **rules),
        validate,
        schedule(params, warm=initial is not None, epochs=refit.epochs if refit else None),
        runtime=runtime,
        folder=folder,
        label="pretrain",
        chosen_by=mark,
        on_epoch=on_epoch,
    )
    return member, history
