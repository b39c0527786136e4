"""The pretrained network as a member: it predicts the next item from a state."""

from __future__ import annotations

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
from triad.members.chances import Blocks, Chances, Dense, Opens
from triad.members.nearest import Near, Nearest
from triad.models.batches import Batches, HiddenBatches
from triad.models.networks import SequenceNetwork, load_network, save_network
from triad.models.own_items import OwnItems
from triad.models.scoring import MANY, Scorer, slots_for

NETWORK = "network.keras"
MEMBERS = Recipe("pretrain", "Sequence", ("Retriever",), stage="pretrain", reads=("pretrain",))


class Sequence:
    """Orders the catalogue by the causal Transformer's next-item distribution."""

    def __init__(self, network: SequenceNetwork) -> None:
        self.network = network
        self.scorer = Scorer(network, read=lambda outputs: tf.cast(outputs[0], tf.float32))
        self._read: tuple[Dataset, OwnItems] | None = None
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
        self, data: Dataset, users: Ints, history: Ints, items: Floats | None = None, *, masked: Ints | None = None
    ) -> Floats:
        """(q, n_items) unnormalised log probabilities of the next item, or of the last where it is `masked`."""
        items = self.scorer.items(data) if items is None else items
        if not len(users):
            return np.zeros((0, len(items)), np.float32)
        states = self.states(data, users, history, masked=masked)
        return states @ items.T if masked is not None else self._logits(data, users, history, states, items)

    def _logits(self, data: Dataset, users: Ints, history: Ints, states: Floats, items: Floats) -> Floats:
        """(q, n_items) of the next item, from `states` (q, dim)."""
        logits = states @ items.T
        if self.network.own is not None and len(users):
            row, item, added = self._own_logits(data, users, history, states, items)
            logits[row, item] += added
        return logits

    def _own_logits(
        self, data: Dataset, users: Ints, history: Ints, states: Floats, items: Floats
    ) -> tuple[Ints, Ints, Floats]:
        """(n,) query, item and what the user's own items add, of a network that knows of them."""
        assert self.network.own is not None
        pairs: tuple[Ints, Ints, Floats] = self.network.own.pairs(
            states, items, self._own_items(data).of(users, history)
        )
        return pairs

    def _own_items(self, data: Dataset) -> OwnItems:
        """The reader of `data`, made once: queries come in blocks."""
        if self._read is None or self._read[0] is not data:
            self._read = data, OwnItems(data, self.network.own_items)
        return self._read[1]

    def rank(self, data: Dataset, users: Ints, history: Ints) -> Floats:
        """(q, n_items) probabilities of the next item from each user's first `history` interactions; rows sum to 1."""
        return self.open(data, users, history)(slice(None)).table()

    def open(self, data: Dataset, users: Ints, history: Ints) -> Blocks:
        """States and items are computed once."""
        kept = self._kept
        items = kept[1] if kept is not None and kept[0] is data.items else self.scorer.items(data)
        return self._open(data, users, history, items)

    def indexed(self, data: Dataset) -> Opens:
        """With an index over the items' vectors."""
        items = self.scorer.items(data)
        return partial(self._open, items=items, nearest=Nearest.of(items))

    def _open(self, data: Dataset, users: Ints, history: Ints, items: Floats, nearest: Nearest | None = None) -> Blocks:
        states = self.states(data, users, history) if len(users) else np.zeros((0, items.shape[1]), np.float32)

        def whole(part: slice) -> Dense:
            logits = self._logits(data, users[part], history[part], states[part], items)
            for row in logits:  # each stays in the processor's cache
                np.exp(row - row.max(), out=row)
                np.divide(row, row.sum(), out=row)
            return Dense(logits)

        def block(part: slice) -> Chances:
            if nearest is None:
                return whole(part)
            inside = csr_array((len(states[part]), len(items)), dtype=np.float32)
            if self.network.own is not None and inside.shape[0]:
                row, item, added = self._own_logits(data, users[part], history[part], states[part], items)
                inside = csr_array((added, (row, item)), shape=inside.shape)
                inside.sort_indices()
            return Near(nearest, states[part], inside, np.ones(inside.shape[0]), None, partial(whole, part))

        return block

    def keep(self, data: Dataset) -> None:
        """The items' vectors."""
        self._kept = data.items, self.scorer.items(data)

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
