"""Trains the target tasks: all heads at once, from a pretrained trunk or from scratch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from triad.config.finetune import FinetuneParams
from triad.config.pretrain import TrunkParams
from triad.config.tasks import Tasks
from triad.errors import TriadError
from triad.examples.dataset import Dataset
from triad.members.network import NetworkScorer
from triad.models.multitask import MultiTaskNetwork, multi_task, multi_task_config
from triad.models.naive import naive_losses, relative, task_weight
from triad.models.networks import SequenceNetwork
from triad.models.scoring import Scorer, score_rows
from triad.models.trunk import rescaled_trunk, trunk_config
from triad.models.unit_batches import labels_of
from triad.models.warm_start import InitialModel
from triad.models.warm_start_heads import rescaled, warm_start_multitask
from triad.training import workers
from triad.training.feeds import UnitFeed
from triad.training.gradients import measure
from triad.training.loop import Losses, fit
from triad.training.optimizers import schedule
from triad.training.refit import Refit
from triad.training.runtime import Runtime
from triad.training.transfer import paces, prepare, sizes

log = logging.getLogger("triad.finetune")


def make_loss(network: MultiTaskNetwork) -> Callable[[Any], tuple[Any, dict[str, Any]]]:
    """A batch's Σ λᵢLᵢ over the tasks of its unit, with each Lᵢ beside it."""

    def loss_of(batch: Any) -> tuple[Any, dict[str, Any]]:
        weighting = network.of(batch)[0].weighting
        measured = measure(network, batch, with_gram=weighting.uses_gradients)
        return weighting.total(measured.loss, measured.count, measured.gram), measured.plain

    return loss_of


def make_after(network: MultiTaskNetwork) -> Callable[[Any], None] | None:
    """What a weighting learns from a batch after its step."""

    def after(batch: Any) -> None:
        measured = measure(network, batch)
        network.of(batch)[0].weighting.after_step(measured.loss, measured.count)

    return after if any(heads.weighting.looks_back for heads in network.units.values()) else None


def validation_losses(network: MultiTaskNetwork, scorer: Scorer, data: Dataset, naive: Losses) -> Losses:
    """Each task's loss on the validation rows of its unit, and as `loss` their mean relative to the best constant's."""
    losses, weights = {}, {}
    for unit, heads in network.units.items():
        rows = data.rows("validation", unit)
        if not naive.keys() & heads.tasks.keys():
            continue
        outputs = score_rows(scorer, data, unit, rows, network.trunk.max_steps)
        batch = {"labels": labels_of(data, unit, rows, heads.tasks), "mask": np.ones(len(rows), np.float32)}
        mean, count = heads.task_losses(batch, {name: ops.convert_to_tensor(value) for name, value in outputs.items()})
        for name in naive.keys() & heads.tasks.keys():
            losses[name], weights[name] = float(mean[name]), task_weight(float(count[name]))
    shares = [relative(losses[name], constant) for name, constant in naive.items()]
    return {
        "loss": float(np.average(shares, weights=[weights[name] for name in naive])),
        **{name: losses[name] for name in naive},
    }


def finetune_network(
    data: Dataset,
    tasks: Tasks,
    params: FinetuneParams,
    runtime: Runtime,
    *,
    trunk: TrunkParams,
    units: Collection[str] | None = None,
    pretrained: SequenceNetwork | None = None,
    initial: InitialModel | None = None,
    refit: Refit | None = None,
    folder: Path | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda _: None,
) -> tuple[NetworkScorer, list[dict[str, float]]]:
    """The multi-task network trained on `data`, and its losses and λ by epoch.

    Args:
        trunk: sizes of the trunk.
        units: whose tasks it learns; of None, all.
        pretrained: the network whose trunk is taken over.
        initial: the network to start from, trunk and heads; with neither of the two, from scratch.
        refit: train on all days, by these rules; of None, on the train split, stopped by the validation split.
        on_epoch: told each epoch's losses; what it raises ends the training.

    Raises:
        TriadError: what it starts from is of other sizes, or the validation split has no label.
    """
    keras.utils.set_random_seed(params.seed)
    config = trunk_config(data, trunk)
    if pretrained is not None:  # its weights know prices as it scaled them
        config = rescaled_trunk(config, pretrained.trunk_config)
    if initial is not None:
        fresh = multi_task_config(data, initial.rescaled(config), params, tasks, units)
        network = MultiTaskNetwork(**rescaled(fresh, initial))
        new = warm_start_multitask(network, initial)
        log.info("from a registered network; new is %s", ", ".join(new) or "nothing")
    else:
        network = multi_task(data, config, params, tasks, units)
    if pretrained is not None:
        _take_over(network, pretrained)
    transfer = params if pretrained is not None or initial is not None else None
    prepare(network.trunk, transfer)
    log.info("%s", sizes(network.trunk, transfer))
    ranker = NetworkScorer(network)
    naive = naive_losses(data, network.tasks, "validation")
    if refit is None and not naive:
        raise TriadError(
            "the validation split holds no labelled row",
            where="features.split_days.validation",
            mend="give it more days",
        )

    def validate() -> Losses:
        network.after_epoch()
        weights = {f"lambda_{name}": value for name, value in network.weights_of_tasks().items()}
        return weights if refit else {**validation_losses(network, ranker.scorer, data, naive), **weights}

    tasks_of = {unit: heads.tasks for unit, heads in network.units.items()}
    history = fit(
        network,
        make_loss(network),
        UnitFeed(data, params, network.trunk.max_steps, tasks_of, refit, shares=workers.shares(runtime.workers)),
        validate,
        schedule(params, warm=initial is not None, epochs=refit.epochs if refit else None),
        runtime=runtime,
        folder=folder,
        label="finetune",
        pace=paces(network.trunk, transfer),
        after=make_after(network),
        on_epoch=on_epoch,
    )
    return ranker, history


def _take_over(network: MultiTaskNetwork, pretrained: SequenceNetwork) -> None:
    """Copy the pretrained trunk's weights."""
    ours, theirs = (_sizes(each.trunk.get_config()) for each in (network, pretrained))
    differing = [key for key in theirs if ours[key] != theirs[key]]
    if differing:
        raise TriadError(
            f"the pretrained trunk differs in {differing}", where="pretrain.trunk", mend="run the stage pretrain again"
        )
    network.trunk.set_weights(pretrained.trunk.get_weights())
    for heads in network.units.values():
        for embedding in heads.embeddings:
            embedding.start_as(network.trunk)


def _sizes(trunk: Mapping[str, Any]) -> dict[str, Any]:
    """What the weights of a trunk depend on."""
    parts = {name: _without(trunk[name], "dim") for name in ("item", "user")}  # their width is the history's
    return {**parts, **trunk["history"], "dropout": None}


def _without(config: Any, key: str) -> Any:
    """`config` without what it says of `key`, at any depth."""
    if not isinstance(config, Mapping):
        return config
    return {name: _without(value, key) for name, value in config.items() if name != key}
