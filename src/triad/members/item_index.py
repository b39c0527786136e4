"""Maps what a member learned by item id to the catalogue of another night."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from triad.arrays import Floats, Ints
from triad.examples.dataset import Dataset
from triad.features.dataset import Items
from triad.members.narrow import narrow


def align_share(place: Ints, share: Floats) -> Floats:
    """(n_items,) popularity of the asked items, summing to 1; an unknown item has the least that a known one has."""
    lowest = share.min() if len(share) else 1.0
    aligned = np.append(share, lowest)[place]
    return aligned / aligned.sum()


def align_vectors(place: Ints, vectors: Floats, items: Items) -> Floats:
    """(n_items, dim) unit vectors of the asked items.

    An unknown item stands where the known ones of its narrowest known category stand on average, or all of them.
    """
    known = place >= 0
    dim = vectors.shape[1]
    aligned = np.zeros((len(place), dim), np.float32)
    aligned[known] = _unit(vectors)[place[known]]
    if known.any() and not known.all():
        aligned[~known] = aligned[known].mean(axis=0)
        for level in np.asarray(items.category).T:
            size = int(level.max()) + 1
            total = np.zeros((size, dim), np.float32)
            np.add.at(total, level[known], aligned[known])
            count = np.bincount(level[known], minlength=size)
            meets = ~known & (count[level] > 0)
            aligned[meets] = total[level[meets]] / count[level[meets], None]
    return _unit(aligned)


def align_weights(place: Ints, weights: csr_array) -> csr_array:
    """(n_items, n_items) weights between the asked items, `narrow`; an unknown item has none."""
    if len(place) == weights.shape[0] and (place == np.arange(len(place))).all():
        return narrow(weights)
    to = np.full(weights.shape[0], -1)
    known = np.flatnonzero(place >= 0)
    to[place[known]] = known
    pairs = weights.tocoo()
    row, column = to[pairs.row], to[pairs.col]
    both = (row >= 0) & (column >= 0)
    return narrow(csr_array((pairs.data[both], (row[both], column[both])), shape=(len(place), len(place))))


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), np.float32)


class Aligning(ABC):
    """A member that can keep what it aligned with a catalogue (`protocol.Keeper`). A copy of it has kept nothing."""

    @abstractmethod
    def align(self, data: Dataset) -> Any:
        """What was learned, in the catalogue rows of `data`."""

    def keep(self, data: Dataset) -> None:
        """Align once for all questions on the catalogue of `data`."""
        self.__dict__["kept"] = data.items, self.align(data)  # no field, so that fields alone are copied and saved

    def aligned(self, data: Dataset) -> Any:
        """As `align`, which is not done again where it was kept."""
        kept = self.__dict__.get("kept")
        return kept[1] if kept is not None and kept[0] is data.items else self.align(data)
