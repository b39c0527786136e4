"""Optimizers: AdamW with warm-up and cosine, a rate per group of weights, and the average of late weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from triad.config.finetune import FinetuneParams
from triad.config.pretrain import PretrainParams
from triad.encoders.base import Table
from triad.training import workers
from triad.training.touched import Steps, TouchedTable, summed

CLIP = 1.0
"""Largest norm of all gradients of a group together."""


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
    """Weights that learn alike.

    Attributes:
        weights: those of `optimizer`, and behind them those of `tables`.
        rate: of the optimizer's count of steps.
        tables: whose rows learn when they are read.
    """

    weights: list[Any]
    optimizer: keras.optimizers.Optimizer
    rate: Callable[[Any], Any]
    start: int
    tables: list[TouchedTable] = field(default_factory=list)

    @property
    def variables(self) -> list[Any]:
        """All that is remembered of the weights."""
        return [*self.optimizer.variables, *(each for table in self.tables for each in table.variables)]

    @property
    def done(self) -> Any:
        """Steps before this one."""
        return tf.cast(self.optimizer.iterations, tf.int32)

    def apply(self, gradients: list[Any]) -> None:
        """One step."""
        # given as a schedule, Keras would ask for it anew for each weight
        self.optimizer.learning_rate = self.rate(self.optimizer.iterations)
        rest = len(self.weights) - len(self.tables)
        pairs = [pair for pair in zip(gradients[:rest], self.weights[:rest], strict=True) if pair[0] is not None]
        if self.tables:
            pairs = self._apply_tables(pairs, gradients[rest:])
        if pairs:
            self.optimizer.apply(*map(list, zip(*pairs, strict=True)))
        else:
            self.optimizer.iterations.assign_add(1)

    def _apply_tables(self, pairs: list[Any], gradients: list[Any]) -> list[Any]:
        """A step of the tables; gives `pairs` clipped together with them, which `optimizer` leaves to this."""
        dense = [tf.convert_to_tensor(gradient) for gradient, _ in pairs]
        moved = [(table, *summed(each)) for table, each in zip(self.tables, gradients, strict=True) if each is not None]
        share = CLIP / tf.maximum(tf.linalg.global_norm([*dense, *(values for _, _, values in moved)]), CLIP)
        for table, rows, values in moved:
            if workers.cluster() is not None:  # others read rows that this process did not
                table.catch_up_rows(rows, self.done)
            table.apply(rows, share * values, self.done)
        return [(share * gradient, weight) for gradient, (_, weight) in zip(dense, pairs, strict=True)]


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
        return [each for group in self._groups for each in group.variables]

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Inside, rows of `tables` are brought up to date when they are read: for the pass that `apply` follows."""
        with ExitStack() as stack:
            for group in self._groups:
                for table in group.tables:
                    stack.enter_context(table.learning(group.done))
            yield

    def dense(self, gradients: list[Any]) -> list[Any]:
        """`gradients`, those of weights that are updated whole as tensors: their length then is that of the sum of
        what each row got, in however many parts that came."""
        rows = {id(table.weight) for group in self._groups for table in group.tables}
        return [
            each if each is None or id(weight) in rows else tf.convert_to_tensor(each)
            for each, weight in zip(gradients, self.weights, strict=True)
        ]

    def apply(self, gradients: list[Any]) -> None:
        """One step, on the gradients of `weights`. A weight without one, of heads that the batch is not for, stays."""
        left = iter(gradients)
        for group in self._groups:
            group.apply(list(itertools.islice(left, len(group.weights))))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the weights are their averages over about the last half epoch (Polyak & Juditsky 1992)."""
        for group in self._groups:
            for table in group.tables:
                table.catch_up(group.done)
        raw = [ops.copy(each.value) for each in self.weights]
        for group in self._groups:
            group.optimizer.finalize_variable_values(group.weights[: len(group.weights) - len(group.tables)])
            for table in group.tables:
                table.assign_average()
        yield
        for each, value in zip(self.weights, raw, strict=True):
            each.assign(value)


def grouped(
    weights: Iterable[Any],
    schedule: Schedule,
    steps: int,
    pace: Callable[[Any], Pace],
    tables: Iterable[Table] = (),
) -> Groups:
    """`weights` by their pace, the fastest first. The schedule of a group that starts late is so much shorter.

    Args:
        steps: steps an epoch.
        tables: those of which a step updates only the rows that it reads; all others are updated whole.
    """
    by_pace: dict[Pace, list[Any]] = {}
    for each in weights:
        by_pace.setdefault(pace(each), []).append(each)
    owner = {id(table.weight): table for table in tables}
    return Groups(
        [
            _group(by_pace[at], at, schedule, steps, owner)
            for at in sorted(by_pace, reverse=True)
            if at.share > 0 and at.start < schedule.max_epochs
        ]
    )


def _group(weights: list[Any], pace: Pace, schedule: Schedule, steps: int, owner: Mapping[int, Table]) -> Group:
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
    momentum = 1 - 2 / max(steps, 4)
    tables = []
    if touched := [owner[id(each)] for each in weights if id(each) in owner]:
        rates = tf.map_fn(rate, tf.range(total), fn_output_signature=tf.float32).numpy()
        tables = [TouchedTable(each, Steps(rates, schedule.weight_decay), momentum) for each in touched]
    rest = [each for each in weights if id(each) not in owner]
    optimizer = keras.optimizers.AdamW(
        0.0,  # `Group.apply` sets it
        weight_decay=schedule.weight_decay,
        global_clipnorm=None if tables else CLIP,  # where there are tables, `Group.apply` clips
        use_ema=True,
        ema_momentum=momentum,
    )
    optimizer.exclude_from_weight_decay([each for each in rest if len(each.shape) < 2])
    optimizer.build(rest)
    return Group([*rest, *(table.weight for table in tables)], optimizer, rate, pace.start, tables)
