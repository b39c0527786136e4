"""The pretrained network as a member: it predicts the next item from a state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_array

from triad.arrays import Floats, Ints
from triad.config.members import Recipe
from triad.examples.dataset import Dataset
from triad.features.dataset import Items
from triad.members.bench import Bench
from triad.members.chances import Blocks, Chances, Dense, Opens, bands
from triad.members.nearest import Near, Nearest
from triad.models.batches import Batches, HiddenBatches
from triad.models.networks import SequenceNetwork, load_network, save_network
from triad.models.own_items import OwnItems
from triad.models.scoring import MANY, Scorer, slots_for
from triad.models.trend import Trend

NETWORK = "network.keras"
MEMBERS = Recipe("pretrain", "Sequence", ("Retriever",), stage="pretrain", reads=("pretrain",))


@dataclass(frozen=True)
class Asked:
    """Queries (q): who, after how many interactions, and when."""

    users: Ints
    history: Ints
    moment: Ints | None  # µs; of None, after all that is known

    def part(self, rows: slice) -> Asked:
        """Some of them."""
        return Asked(self.users[rows], self.history[rows], None if self.moment is None else self.moment[rows])


@dataclass(frozen=True)
class Side:
    """Queries `rows` of one day, whose logits are the products of `states` and `items`, but for own items."""

    day: int
    rows: Ints
    states: Floats
    items: Floats


class Sequence:
    """Orders the catalogue by the causal Transformer's next-item distribution."""

    def __init__(self, network: SequenceNetwork) -> None:
        self.network = network
        self.scorer = Scorer(network, read=lambda outputs: tf.cast(outputs[0], tf.float32))
        self._read: tuple[Dataset, OwnItems, Trend | None] | None = None
        self._kept: tuple[Items, Floats] | None = None

    def states(self, data: Dataset, users: Ints, history: Ints, *, masked: Ints | None = None) -> Floats:
        """(q, dim) states after each user's first `history` interactions, of which the last is hidden if `masked`.

        Args:
            masked: (q,) the items to hide.
        """
        batches = (Batches if masked is None else HiddenBatches)(
            data,
            users,
            history,
            np.zeros(len(users), np.int32) if masked is None else masked,
            max_steps=self.network.trunk.max_steps,
            slots=min(slots_for(len(users)), MANY),  # streams of like length are read together
            trimmed=len(users) > MANY,
        )
        states: Floats = self.scorer.outputs(batches)
        return states

    def logits(
        self,
        data: Dataset,
        users: Ints,
        history: Ints,
        items: Floats | None = None,
        *,
        moment: Ints | None = None,
        masked: Ints | None = None,
    ) -> Floats:
        """(q, n_items) unnormalised log probabilities of the item next taken, or of the last where it is `masked`.

        Args:
            moment: (q,) µs, when it is taken; of None, after all that `data` holds.
        """
        items = self.scorer.items(data) if items is None else items
        if not len(users):
            return np.zeros((0, len(items)), np.float32)
        states = self.states(data, users, history, masked=masked)
        if masked is not None:
            return np.asarray(states @ items.T)
        return self._logits(data, Asked(users, history, moment), states, items)

    def _logits(self, data: Dataset, asked: Asked, states: Floats, items: Floats) -> Floats:
        """(q, n_items) of the next item, from `states` (q, dim)."""
        sides = self._sides(data, asked, states, items)
        if len(sides) == 1:
            logits = sides[0].states @ sides[0].items.T
        else:
            logits = np.empty((len(states), len(items)), np.float32)
            for side in sides:
                logits[side.rows] = side.states @ side.items.T
        if self.network.own is not None and len(states):
            row, item, added = self._own_logits(data, asked, states, items)
            logits[row, item] += added
        return logits

    def _sides(self, data: Dataset, asked: Asked, states: Floats, items: Floats) -> list[Side]:
        """Of each day that is asked about: of one that knows no trend all at once."""
        trend = None if self.network.trend is None else self._reader(data)[2]
        if self.network.trend is None or trend is None:
            return [Side(-1, np.arange(len(states)), states, items)]
        day = trend.day(asked.moment, len(states))
        wide = np.hstack([states, self.network.trend.weights_of(states)])
        days = np.unique(day)
        rows = [np.flatnonzero(day == each) for each in days]
        return [
            Side(int(each), row, wide[row], np.hstack([items, taken]))
            for each, row, taken in zip(days, rows, trend.of(days), strict=True)
        ]

    def _own_logits(self, data: Dataset, asked: Asked, states: Floats, items: Floats) -> tuple[Ints, Ints, Floats]:
        """(n,) query, item and what the user's own items add, of a network that knows of them."""
        assert self.network.own is not None
        pairs: tuple[Ints, Ints, Floats] = self.network.own.pairs(
            states, items, self._reader(data)[1].of(asked.users, asked.history)
        )
        return pairs

    def _reader(self, data: Dataset) -> tuple[Dataset, OwnItems, Trend | None]:
        """The readers of `data`, made once: queries come in blocks."""
        if self._read is None or self._read[0] is not data:
            trend = Trend(data, self.network.spans) if self.network.spans else None
            self._read = data, OwnItems(data, self.network.own_items), trend
        return self._read

    def rank(self, data: Dataset, users: Ints, history: Ints) -> Floats:
        """(q, n_items) probabilities of the next item from each user's first `history` interactions; rows sum to 1."""
        return self.open(data, users, history)(slice(None)).table()

    def open(self, data: Dataset, users: Ints, history: Ints) -> Blocks:
        """States and items are computed once."""
        return self.open_at(data, users, history, None)

    def open_at(self, data: Dataset, users: Ints, history: Ints, moment: Ints | None) -> Blocks:
        """As `open`; `moment` (q,) µs says when each is asked: of None, after all that `data` holds."""
        kept = self._kept
        items = kept[1] if kept is not None and kept[0] is data.items else self._items(data)
        return self._open(data, Asked(users, history, moment), items)

    def indexed(self, data: Dataset) -> Opens:
        """With an index over the items' vectors; where it knows a trend, one for each day that is asked about."""
        items, indices = self.scorer.items(data), dict[int, Nearest]()
        return lambda data, *asked: self._open(data, Asked(*asked), items, indices)

    def _open(self, data: Dataset, asked: Asked, items: Floats, indices: dict[int, Nearest] | None = None) -> Blocks:
        count = len(asked.users)
        states = self.states(data, asked.users, asked.history) if count else np.zeros((0, items.shape[1]), np.float32)
        if self.network.own is not None or self.network.trend is not None:
            self._reader(data)  # once, before anybody asks

        def whole(part: slice) -> Dense:
            logits = self._logits(data, asked.part(part), states[part], items)
            for rows in (logits[band] for band in bands(*logits.shape)):
                np.subtract(rows, rows.max(axis=1, keepdims=True), out=rows)
                np.exp(rows, out=rows)
                np.divide(rows, rows.sum(axis=1, keepdims=True), out=rows)
            return Dense(logits)

        sides = [] if indices is None else self._sides(data, asked, states, items)
        if indices is None or len(sides) != 1:  # no index serves several days
            return whole
        (side,) = sides
        if side.day not in indices:
            indices[side.day] = Nearest.of(side.items)

        def near(part: slice) -> Chances:
            inside = csr_array((len(states[part]), len(items)), dtype=np.float32)
            if self.network.own is not None and inside.shape[0]:
                row, item, added = self._own_logits(data, asked.part(part), states[part], items)
                inside = csr_array((added, (row, item)), shape=inside.shape)
                inside.sort_indices()
            ones = np.ones(inside.shape[0])
            return Near(indices[side.day], side.states[part], inside, ones, None, partial(whole, part))

        return near

    def keep(self, data: Dataset) -> None:
        """The items' vectors."""
        self._kept = data.items, self._items(data)

    def _items(self, data: Dataset) -> Floats:
        """(n_items, dim) the items' vectors, column by column: products with all of them read these soonest."""
        return np.asfortranarray(self.scorer.items(data))

    def refit(self, bench: Bench, name: str) -> Sequence:
        """Trained on all days."""
        again: Sequence = bench.train().sequence(self)
        return again

    def save(self, folder: Path) -> None:
        """Write the network into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        save_network(self.network, folder / NETWORK)

    @classmethod
    def load(cls, folder: Path) -> Sequence:
        """The member that `save` wrote."""
        return cls(load_network(folder / NETWORK))
