"""Several processes train one network: each computes its share of every batch, and all take the same step.

A step's batch is cut into `runtime.workers` shares. `TF_CONFIG`, which the operator sets on each machine, tells which
processes there are (https://www.tensorflow.org/guide/distributed_training#setting_up_the_tf_config_environment_variable);
each takes as many shares as the others. Without it one process takes all of them, so what is learned does not depend on
how many processes learn it, but for rounding and dropout. All hold the same weights: they begin alike, and apply the
mean of all gradients. The first one writes; all read its checkpoint, so they need one disk. Where a process dies, all
end, and go on from the checkpoint when they are started again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from triad.arrays import Ints
from triad.errors import TriadError
from triad.models import across

VARIABLE = "TF_CONFIG"


@dataclass(frozen=True)
class Shares:
    """Of a step's batch, cut into `count` shares, those from `first` on, `together` of them, are this process's."""

    count: int = 1
    first: int = 0
    together: int = 1

    def own(self, packed: Sequence[tuple[Ints, ...]]) -> list[tuple[Ints, ...]]:
        """Of `packed`, shares in order, this process's part of each step; shares that fill no step are left out."""
        steps = range(0, len(packed) - self.count + 1, self.count)
        parts = [packed[step + self.first : step + self.first + self.together] for step in steps]
        return [tuple(map(np.concatenate, zip(*part, strict=True))) for part in parts]

    def of(self, examples: int) -> int:
        """Of so many examples an epoch, this process's."""
        return examples * self.together // self.count


ALONE = Shares()


@dataclass(frozen=True)
class Cluster:
    """The processes that train together."""

    count: int
    rank: int
    strategy: Any

    def sums(self, values: list[Any]) -> list[Any]:
        """Each of `values` (tensors, or slices of rows) summed over the processes, which all must ask for it."""

        def exchange() -> Any:
            placed = tf.nest.map_structure(tf.identity, values, expand_composites=True)  # on this replica's device
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, placed)

        return [self.strategy.experimental_local_results(each)[0] for each in self.strategy.run(exchange)]

    def means(self, gradients: list[Any]) -> list[Any]:
        """The mean of each gradient over the processes; one that is None is so in all of them."""
        there = [place for place, each in enumerate(gradients) if each is not None]
        summed = self.sums([gradients[place] for place in there])
        means = list(gradients)
        for place, each in zip(there, summed, strict=True):
            means[place] = _divided(each, self.count)
        return means

    def sharing(self) -> AbstractContextManager[None]:
        """Inside, sums that a loss is made of are those over all processes."""
        return across.workers(self.count, lambda value: self.sums([value])[0])

    def check_place(self, place: dict[str, Any]) -> None:
        """Refuse to train from another place than the first process.

        Raises:
            TriadError: the checkpoint of this process is not that of the first one.
        """
        own = {name: float(place[name]) for name in ("epoch", "step")}
        if (first := self.agreed(own)) != own:
            raise TriadError(
                f"this process would go on from {own}, the first one from {first}",
                where=VARIABLE,
                mend="start all processes in the same folder, on one disk, with the same code and params",
            )

    def agreed(self, values: dict[str, float]) -> dict[str, float]:
        """The first process's `values`, in all of them: what is decided by them is decided alike."""
        own = np.array([values[name] for name in sorted(values)]) * (self.rank == 0)
        [shared] = tf.function(lambda: self.sums([tf.constant(own, tf.float64)]))()
        return {**values, **dict(zip(sorted(values), map(float, shared.numpy()), strict=True))}


def _divided(gradient: Any, count: int) -> Any:
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(gradient.values / count, gradient.indices, gradient.dense_shape)
    return gradient / count


_JOINED: list[Cluster] = []


def join(workers: int) -> None:
    """Meet the other processes that `TF_CONFIG` names, if it names any. Before TensorFlow is used for anything else.

    Raises:
        TriadError: `TF_CONFIG` cannot be read, or its processes cannot share the batches evenly.
    """
    processes, rank = named()
    if processes == 1 or _JOINED:
        return
    if workers % processes:
        raise TriadError(
            f"{workers} shares of a batch cannot be dealt evenly to the {processes} processes of {VARIABLE}",
            where="runtime.workers",
            mend="make it a multiple of the number of processes",
        )
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    if strategy.num_replicas_in_sync != processes:
        raise TriadError(
            f"{processes} processes see {strategy.num_replicas_in_sync} devices",
            where=VARIABLE,
            mend="start a process for each GPU, and let it see no other: CUDA_VISIBLE_DEVICES=0, 1, …",
        )
    _JOINED.append(Cluster(processes, rank, strategy))


def named() -> tuple[int, int]:
    """How many processes `TF_CONFIG` names, and which of them this one is."""
    try:
        config = json.loads(os.environ.get(VARIABLE, "{}"))
        named = config.get("cluster", {}).get("worker", [])
        return max(len(named), 1), int(config["task"]["index"]) if named else 0
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise TriadError(
            f"names no processes: {error!r}",
            where=VARIABLE,
            mend='write {"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}',
        ) from error


def check_helper() -> None:
    """Refuse a helper that `TF_CONFIG` makes no other than the first process, which is the stage's own.

    Raises:
        TriadError: it is the first one, or alone.
    """
    if named()[1] == 0:
        raise TriadError(
            "this is the first process, or the only one",
            where=VARIABLE,
            mend="give helpers an index from 1 on; the stage itself, or the night, runs with index 0",
        )


def cluster() -> Cluster | None:
    """The processes that this one trains with; None where it is alone."""
    return _JOINED[0] if _JOINED else None


def is_first() -> bool:
    """Whether this process writes what was learned."""
    return not _JOINED or _JOINED[0].rank == 0


def shares(workers: int) -> Shares:
    """This process's shares of a batch that is cut into `workers`."""
    if not _JOINED:
        return Shares(workers, 0, workers)
    together = workers // _JOINED[0].count
    return Shares(workers, _JOINED[0].rank * together, together)
