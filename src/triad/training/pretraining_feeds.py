"""Batches of the source tasks: the interactions to predict, and the items they are ranked among."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.config.pretrain import PretrainParams
from triad.examples.dataset import Dataset
from triad.features.dataset import SPLITS
from triad.features.sql import DAY
from triad.models.batches import Batch, Batches, HiddenBatches, padded
from triad.models.own_items import OwnItems
from triad.models.trend import Trend
from triad.training.refit import Refit
from triad.training.workers import ALONE, Shares


@dataclass(frozen=True)
class Targets:
    """Interactions to predict, each from the user's state strictly before its moment; (n,) each."""

    user: Ints
    history: Ints
    item: Ints
    time: Ints  # µs

    def take(self, places: Ints | slice) -> Targets:
        """Those at `places`."""
        return Targets(self.user[places], self.history[places], self.item[places], self.time[places])


def targets(data: Dataset, split: str, *, masked: bool = False) -> Targets:
    """The interactions of the target kind in `split`; those of one moment share the state before that moment.

    Masked ones are read at their own place in the stream.
    """
    streams = data.streams
    offsets, time = np.asarray(streams.offsets), np.asarray(streams.time)
    user = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    place = np.arange(len(time))
    fresh = np.ones(len(time), bool)
    fresh[1:] = (time[1:] != time[:-1]) | (user[1:] != user[:-1])
    moment = np.maximum.accumulate(np.where(fresh, place, 0))  # first interaction of the same moment
    event = np.asarray(streams.kind)
    rows = np.flatnonzero((streams.split == SPLITS.index(split)) & (event == data.meta.target_kind))
    state = (place + 1 if masked else moment) - offsets[user]
    return Targets(user[rows], state[rows], np.asarray(streams.item)[rows], time[rows])


def proposal(data: Dataset, item: Ints, loss: str) -> Floats:
    """(n_items,) probabilities negatives are drawn with: half popularity, half uniform; for gBCE uniform."""
    count = np.bincount(item, minlength=len(data.items.item_id)).astype(np.float64)
    uniform = np.full(len(count), 1 / len(count))
    return uniform if loss == "gbce" else (count / count.sum() + uniform) / 2


def not_yet_there(data: Dataset, params: PretrainParams) -> Bools:
    """(n_items,) items that came after the train days, where ids are hidden; else none.

    Nobody could take them, so they are no negatives: the loss would teach that what they say is never taken.
    """
    known = np.zeros(len(data.items.item_id), bool)
    known[np.asarray(data.streams.item)[np.asarray(data.streams.split) == SPLITS.index("train")]] = True
    later = np.asarray(data.items.available_from) >= data.meta.windows["train"][1]
    return later & ~known & (params.trunk.id_dropout > 0)


def days(data: Dataset, time: Ints) -> Floats:
    """`time` (n,) µs as days after the train window's end, in single precision: seconds in years."""
    return ((np.asarray(time) - data.meta.windows["train"][1]) / DAY).astype(np.float32)


class TargetFeed:
    """Batches of train targets. If the loss needs negatives, each step draws new ones.

    Masked, each epoch hides others: a `hidden_share` of all interactions. Of `refit`, only what it takes is learned;
    with `on_shelf` a batch says in `moment` when its targets were taken, in `days`.
    """

    def __init__(
        self,
        data: Dataset,
        params: PretrainParams,
        *,
        masked: bool = False,
        refit: Refit | None = None,
        shares: Shares = ALONE,
    ) -> None:
        interactions = targets(data, "train", masked=masked)
        if refit is not None:
            interactions = interactions.take(refit.rows(interactions.time))
        self._share = params.hidden_share if masked else 1.0
        self.examples = round(self._share * len(interactions.item))
        self._whole = np.arange(len(data.items.item_id))
        loss = params.loss_for(len(self._whole))
        self._seed, self._sampled = params.seed, loss != "softmax"
        self._negatives = params.negatives
        self._probability = np.zeros(0)
        if self.examples:
            drawn = proposal(data, interactions.item, loss) * ~not_yet_there(data, params)
            self._probability = drawn / drawn.sum()
        self._cumulated = np.cumsum(self._probability)
        self._cumulated /= self._cumulated[-1:]
        self._own = OwnItems(data, params.own_items) if params.own_items and not masked else None
        self._trend = Trend(data, params.trend) if params.trend and not masked else None
        self.asked = interactions
        self._batches = (HiddenBatches if masked else Batches)(
            data,
            interactions.user,
            interactions.history,
            interactions.item,
            max_steps=params.trunk.max_steps,
            slots=max(min(params.batch_targets, self.examples) // shares.count, 1),
            together=shares.together,
            columns={"moment": days(data, interactions.time)} if refit is not None and refit.on_shelf else {},
            extra_items=params.negatives if self._sampled else len(self._whole),
            density=self._share,
        )
        self._shares, self.examples = shares, shares.of(self.examples)

    def plan(self, epoch: int) -> list[Any]:
        return self._shares.own(self._batches.pack((self._seed, epoch), self._share))

    def build(self, planned: tuple[Ints, Ints], epoch: int, step: int) -> tuple[int, Batch]:
        chosen, rows = planned
        if not self._sampled:
            columns = self._whole
            batch = self._batches.build(chosen, rows, columns)
        else:
            random = np.random.default_rng((self._seed, epoch, step))
            # what `random.choice` draws, without a sum over the catalogue each time
            drawn = np.searchsorted(self._cumulated, random.random(self._negatives), side="right")
            batch = self._batches.build(chosen, rows, drawn)
            columns = np.unique(np.r_[drawn, padded(self.asked.item[rows], self._batches.slots - len(rows))])
            batch |= _ranked(batch) | {"log_q": np.log(self._probability[drawn]).astype(np.float32)}
        if self._own is not None:
            asked = self.asked.take(rows)
            batch |= self._own.batch(asked.user, asked.history, columns, self._batches.slots)
        if self._trend is not None:
            day = padded(self._trend.day(self.asked.time[rows], len(rows)), self._batches.slots - len(rows))
            ranked = padded(columns, len(batch["columns"]) - len(columns)) if self._sampled else columns
            batch |= {"taken_lately": self._trend.batch(day, ranked)}
        return len(rows), batch


def _ranked(batch: Batch) -> Batch:
    """The items that a batch of a sampled loss ranks, and its targets and draws by their place among them."""
    wanted = {name: batch[name] for name in ("candidate", "negatives")}
    columns = np.unique(np.concatenate(list(wanted.values())))
    places = {name: np.searchsorted(columns, values).astype(np.int32) for name, values in wanted.items()}
    return {"columns": padded(columns, sum(map(len, wanted.values())) - len(columns)), **places}


class InTurn:
    """Batches of both source tasks, the masked ones spread evenly among the others."""

    def __init__(self, data: Dataset, params: PretrainParams, **rules: Any) -> None:
        self._feeds = [TargetFeed(data, params, masked=masked, **rules) for masked in (False, True)]
        self.examples = sum(feed.examples for feed in self._feeds)

    def plan(self, epoch: int) -> list[tuple[int, tuple[Ints, Ints]]]:
        plans = [feed.plan(epoch) for feed in self._feeds]
        placed = [((at + 0.5) / len(plan), number, at) for number, plan in enumerate(plans) for at in range(len(plan))]
        return [(number, plans[number][at]) for _, number, at in sorted(placed)]

    def build(self, planned: tuple[int, tuple[Ints, Ints]], epoch: int, step: int) -> tuple[int, Batch]:
        number, batch = planned
        return self._feeds[number].build(batch, epoch, step)
