"""Trains the target tasks: all heads at once on exposures, from a pretrained trunk or from scratch."""

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
from triad.features.dataset import Floats, Ints
from triad.members.network import Ranker
from triad.models.batches import Batch, Batches
from triad.models.multitask import MultiTaskNetwork, multi_task, multi_task_config
from triad.models.naive import naive_losses, relative, task_weight
from triad.models.networks import SequenceNetwork
from triad.models.scoring import score_exposures
from triad.models.trunk import rescaled_trunk, trunk_config
from triad.models.warm_start import InitialModel
from triad.models.warm_start_heads import rescaled, warm_start_multitask
from triad.training.gradients import measure
from triad.training.loop import Losses, fit
from triad.training.optimizers import Schedule
from triad.training.runtime import Runtime
from triad.training.transfer import paces, prepare, sizes

log = logging.getLogger("triad.finetune")


class ExposureFeed:
    """Batches of train exposures with context and labels."""

    def __init__(self, data: Dataset, params: FinetuneParams, max_steps: int) -> None:
        rows, seen = data.rows("train"), data.exposures
        self.examples = len(rows)
        self._seed = params.seed
        self._batches = Batches(
            data,
            seen.user[rows],
            seen.history[rows],
            seen.item[rows],
            max_steps=max_steps,
            slots=params.batch_of(self.examples),
            columns={"context": seen.context[rows], "labels": labels_of(data, rows, params.tasks)},
        )

    def plan(self, epoch: int) -> list[tuple[Ints, Ints]]:
        return self._batches.pack((self._seed, epoch))

    def build(self, planned: tuple[Ints, Ints], epoch: int, step: int) -> tuple[int, Batch]:
        return len(planned[1]), self._batches.build(*planned)


def labels_of(data: Dataset, rows: Ints, tasks: Collection[str] | None) -> Floats:
    """(rows, tasks) labels of `tasks` in the order of the dataset's; of None, all."""
    kept = [place for place, name in enumerate(data.meta.tasks["exposures"]) if tasks is None or name in tasks]
    return np.asarray(data.exposures.labels[rows], np.float32)[:, kept]


def make_loss(network: MultiTaskNetwork) -> Callable[[Batch], tuple[Any, dict[str, Any]]]:
    """A batch's Σ λᵢLᵢ, with each Lᵢ beside it."""

    def loss_of(batch: Batch) -> tuple[Any, dict[str, Any]]:
        found = measure(network, batch, with_gram=network.weighting.uses_gradients)
        return network.weighting.total(found.loss, found.count, found.gram), found.plain

    return loss_of


def make_after(network: MultiTaskNetwork) -> Callable[[Batch], None] | None:
    """What a weighting learns from a batch after its step."""

    def after(batch: Batch) -> None:
        found = measure(network, batch)
        network.weighting.after_step(found.loss, found.count)

    return after if network.weighting.looks_back else None


def validation_losses(ranker: Ranker, data: Dataset, rows: Ints, naive: Losses) -> Losses:
    """Each task's loss on `rows`, and as `loss` the mean over tasks of the `relative` ones."""
    network = ranker.network
    outputs = score_exposures(ranker.scorer, data, rows, network.trunk.max_steps)
    batch = {"labels": labels_of(data, rows, ranker.tasks), "mask": np.ones(len(rows), np.float32)}
    mean, count = network.task_losses(batch, {name: ops.convert_to_tensor(value) for name, value in outputs.items()})
    losses = {name: float(mean[name]) for name in naive}
    shares = [relative(losses[name], constant) for name, constant in naive.items()]
    return {"loss": float(np.average(shares, weights=[task_weight(float(count[name])) for name in naive])), **losses}


def finetune_network(
    data: Dataset,
    tasks: Tasks,
    params: FinetuneParams,
    runtime: Runtime,
    *,
    trunk: TrunkParams,
    pretrained: SequenceNetwork | None = None,
    initial: InitialModel | None = None,
    folder: Path | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda _: None,
) -> tuple[Ranker, list[dict[str, float]]]:
    """The multi-task network trained on `data`, and its losses and λ by epoch.

    Args:
        trunk: sizes of the trunk.
        pretrained: the network whose trunk is taken over.
        initial: the network to start from, trunk and heads; with neither of the two, from scratch.
        on_epoch: told each epoch's losses; what it raises ends the training.

    Raises:
        TriadError: what it starts from is of other sizes, or the validation split has no label.
    """
    keras.utils.set_random_seed(params.seed)
    config = trunk_config(data, trunk)
    if pretrained is not None:  # its weights know prices as it scaled them
        config = rescaled_trunk(config, pretrained.trunk_config)
    if initial is not None:
        fresh = multi_task_config(data, initial.rescaled(config), params, tasks)
        network = MultiTaskNetwork(**rescaled(fresh, initial))
        new = warm_start_multitask(network, initial)
        log.info("from a registered network; new is %s", ", ".join(new) or "nothing")
    else:
        network = multi_task(data, config, params, tasks)
    if pretrained is not None:
        _take_over(network, pretrained)
    transfer = params if pretrained is not None or initial is not None else None
    prepare(network.trunk, transfer)
    log.info("%s", sizes(network.trunk, transfer))
    ranker = Ranker(network)
    rows = data.rows("validation")
    naive = naive_losses(data, network.tasks, rows)
    if not naive:
        raise TriadError(
            "the validation split holds no labelled exposure",
            where="features.split_days.validation",
            mend="give it more days",
        )

    def validate() -> Losses:
        network.weighting.after_epoch()
        weights = {f"lambda_{name}": value for name, value in network.weights_of_tasks().items()}
        return {**validation_losses(ranker, data, rows, naive), **weights}

    history = fit(
        network,
        make_loss(network),
        ExposureFeed(data, params, network.trunk.max_steps),
        validate,
        Schedule(
            params.learning_rate * (params.warm_rate if initial else 1),
            params.weight_decay,
            params.warm_epochs if initial and params.init != "market" else params.max_epochs,
            params.patience,
            params.checkpoint_steps,
        ),
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
    for own in network.own:
        own.start_as(network.trunk)


def _sizes(trunk: Mapping[str, Any]) -> dict[str, Any]:
    """What the weights of a trunk depend on."""
    return {**{name: trunk[name] for name in ("item", "user")}, **trunk["history"], "dropout": None}
