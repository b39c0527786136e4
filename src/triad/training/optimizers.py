"""Optimizers: AdamW with warm-up and cosine, a rate per group of weights, and the average of late weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from triad.config.finetune import FinetuneParams
from triad.config.pretrain import PretrainParams


@dataclass(frozen=True)
class Schedule:
    """How long and how fast. The rate rises over a twentieth of all steps, then falls to a tenth as a cosine."""

    learning_rate: float
    weight_decay: float
    max_epochs: int
    patience: int
    checkpoint_steps: int


def schedule(params: FinetuneParams | PretrainParams, *, warm: bool, epochs: int | None) -> Schedule:
    """The schedule that `params` ask for.

    Args:
        warm: whether the network starts from another one.
        epochs: so many, whatever they ask for.
    """
    if epochs is None:
        epochs = params.warm_epochs if warm and params.init != "market" else params.max_epochs
    rate = params.learning_rate * (params.warm_rate if warm else 1)
    return Schedule(rate, params.weight_decay, epochs, params.patience, params.checkpoint_steps)


@dataclass(frozen=True, order=True)
class Pace:
    """How a weight learns: with what share of the rate (0 leaves it as it is), and from which epoch on."""

    share: float = 1.0
    start: int = 0


@dataclass(frozen=True)
class Group:
    """Weights that learn alike."""

    weights: list[Any]
    optimizer: keras.optimizers.Optimizer
    rate: Callable[[Any], Any]  # of the optimizer's count of steps
    start: int


class Groups:
    """Weights that learn at different rates, each group with an optimizer of its own (Howard & Ruder 2018)."""

    def __init__(self, groups: list[Group]) -> None:
        self._groups = groups

    def __len__(self) -> int:
        return len(self._groups)

    def at(self, epoch: int) -> Groups:
        """Those that learn in `epoch`."""
        return Groups([group for group in self._groups if group.start <= epoch])

    @property
    def weights(self) -> list[Any]:
        """Those that learn, group by group."""
        return [each for group in self._groups for each in group.weights]

    @property
    def variables(self) -> list[Any]:
        """All that the optimizers remember."""
        return [each for group in self._groups for each in group.optimizer.variables]

    def apply(self, gradients: list[Any]) -> None:
        """One step, on the gradients of `weights`. A weight without one, of heads that the batch is not for, stays."""
        left = iter(gradients)
        for group in self._groups:
            # given as a schedule, Keras would ask for it anew for each weight
            group.optimizer.learning_rate = group.rate(group.optimizer.iterations)
            pairs = zip(itertools.islice(left, len(group.weights)), group.weights, strict=True)
            if moved := [pair for pair in pairs if pair[0] is not None]:
                group.optimizer.apply(*map(list, zip(*moved, strict=True)))
            else:
                group.optimizer.iterations.assign_add(1)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the weights are their averages over about the last half epoch (Polyak & Juditsky 1992)."""
        raw = [ops.copy(each.value) for each in self.weights]
        for group in self._groups:
            group.optimizer.finalize_variable_values(group.weights)
        yield
        for each, value in zip(self.weights, raw, strict=True):
            each.assign(value)


def grouped(weights: Iterable[Any], schedule: Schedule, steps: int, pace: Callable[[Any], Pace]) -> Groups:
    """`weights` by their pace, the fastest first. The schedule of a group that starts late is so much shorter.

    Args:
        steps: steps an epoch.
    """
    by_pace: dict[Pace, list[Any]] = {}
    for each in weights:
        by_pace.setdefault(pace(each), []).append(each)
    return Groups(
        [
            _group(by_pace[at], at, schedule, steps)
            for at in sorted(by_pace, reverse=True)
            if at.share > 0 and at.start < schedule.max_epochs
        ]
    )


def _group(weights: list[Any], pace: Pace, schedule: Schedule, steps: int) -> Group:
    """AdamW (Loshchilov & Hutter 2019) with clipped gradients; biases, norms and λ do not decay."""
    total = steps * (schedule.max_epochs - pace.start)
    warmup = max(total // 20, 1)
    rate = keras.optimizers.schedules.CosineDecay(
        pace.share * schedule.learning_rate / 10,
        max(total - warmup, 1),
        alpha=0.1,
        warmup_target=pace.share * schedule.learning_rate,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(
        0.0,  # `Groups.apply` sets it
        weight_decay=schedule.weight_decay,
        global_clipnorm=1.0,
        use_ema=True,
        ema_momentum=1 - 2 / max(steps, 4),
    )
    optimizer.exclude_from_weight_decay([each for each in weights if len(each.shape) < 2])
    optimizer.build(weights)
    return Group(weights, optimizer, rate, pace.start)
