"""How weights move: AdamW on a warm-up and a cosine, a rate a group of weights, and the average of late weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops


@dataclass(frozen=True)
class Schedule:
    """How long and how fast. The rate rises over a twentieth of all steps, then falls to a tenth as a cosine."""

    learning_rate: float
    weight_decay: float
    max_epochs: int
    patience: int
    checkpoint_steps: int


class Groups:
    """Weights that learn at different rates, each group with an optimizer of its own (Howard & Ruder 2018).

    Args:
        groups: weights, and the share of the schedule's rate that they learn with; 0 leaves them as they are.
        steps: steps an epoch.
    """

    def __init__(self, groups: list[tuple[list[Any], float]], schedule: Schedule, steps: int) -> None:
        learning = [(weights, share) for weights, share in groups if share > 0 and weights]
        self._weights = [weights for weights, _ in learning]
        self._optimizers = [_optimizer(weights, share, schedule, steps) for weights, share in learning]

    @property
    def weights(self) -> list[Any]:
        """Those that learn, group by group."""
        return [each for weights in self._weights for each in weights]

    @property
    def variables(self) -> list[Any]:
        """All that the optimizers remember."""
        return [each for optimizer in self._optimizers for each in optimizer.variables]

    def apply(self, gradients: list[Any]) -> None:
        """One step, on the gradients of `weights`."""
        left = iter(gradients)
        for optimizer, weights in zip(self._optimizers, self._weights, strict=True):
            optimizer.apply(list(itertools.islice(left, len(weights))), weights)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the weights are their averages over about the last half epoch (Polyak & Juditsky 1992)."""
        raw = [ops.copy(each.value) for each in self.weights]
        for optimizer, weights in zip(self._optimizers, self._weights, strict=True):
            optimizer.finalize_variable_values(weights)
        yield
        for each, value in zip(self.weights, raw, strict=True):
            each.assign(value)


def grouped(network: keras.Model, schedule: Schedule, steps: int, shares: Callable[[Any], float]) -> Groups:
    """The network's weights by the share of the rate they learn with, the largest first."""
    by_share: dict[float, list[Any]] = {}
    for each in network.trainable_variables:
        by_share.setdefault(shares(each), []).append(each)
    return Groups([(by_share[share], share) for share in sorted(by_share, reverse=True)], schedule, steps)


def _optimizer(weights: list[Any], share: float, schedule: Schedule, steps: int) -> keras.optimizers.Optimizer:
    """AdamW (Loshchilov & Hutter 2019) with clipped gradients; biases, norms and λ do not decay."""
    total = steps * schedule.max_epochs
    warmup = max(total // 20, 1)
    rate = keras.optimizers.schedules.CosineDecay(
        share * schedule.learning_rate / 10,
        max(total - warmup, 1),
        alpha=0.1,
        warmup_target=share * schedule.learning_rate,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(
        rate,
        weight_decay=schedule.weight_decay,
        global_clipnorm=1.0,
        use_ema=True,
        ema_momentum=1 - 2 / max(steps, 4),
    )
    optimizer.exclude_from_weight_decay([each for each in weights if len(each.shape) < 2])
    optimizer.build(weights)
    return optimizer
