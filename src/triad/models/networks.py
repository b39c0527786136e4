"""The network of the source task (the trunk alone), and saving and loading of all networks."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
from keras import ops

from triad.encoders.base import PACKAGE
from triad.encoders.history import read_states
from triad.errors import TriadError
from triad.models.own_items import OwnLogits
from triad.models.trend import TrendLogits
from triad.models.trunk import Trunk

APART = "apart"
"""Folder of the networks that learned one unit alone, beside the one that several share."""


@keras.saving.register_keras_serializable(PACKAGE)
class SequenceNetwork(keras.Model):
    """The trunk on the source task: a state's logits over items are its products with the tower's outputs.

    Args:
        trunk: what the trunk is made from.
        own_items: last interactions whose items have a logit of their own besides (`own_items.py`); 0: no such term.
        trend: spans of days whose takings add to all logits (`trend.py`); of none, no such term.
    """

    def __init__(self, trunk: dict[str, Any], own_items: int = 0, trend: Sequence[int] = (), **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.trunk_config, self.own_items, self.spans = dict(trunk), own_items, tuple(trend)
        self.trunk = Trunk(**self.trunk_config, name="trunk")
        self.trunk.build()
        self.own = OwnLogits(self.trunk.dim, name="own") if own_items else None
        if self.own is not None:
            self.own.build()
        self.trend = TrendLogits(self.trunk.dim, len(self.spans), name="trend") if self.spans else None
        if self.trend is not None:
            self.trend.build()
        self.built = True

    def call(self, batch: Any, training: bool = False) -> tuple[Any, Any]:
        """(slots, dim) states read, and (items, dim) vectors of the batch's items."""
        states, items = self.trunk(batch, training=training)
        return read_states(states, batch), items

    def logits(self, batch: Any, training: bool = False) -> Any:
        """(slots, columns) of the items that the batch ranks: those at its `columns`, or its whole list."""
        states, items = self(batch, training=training)
        vectors = ops.take(items, batch["columns"], axis=0) if "columns" in batch else items
        logits = ops.cast(ops.matmul(states, ops.transpose(vectors)), "float32")
        if self.own is not None and "own_column" in batch:  # of what is masked, the user's own items would tell
            logits = logits + self.own(states, vectors, batch)
        if self.trend is not None and "taken_lately" in batch:
            logits = logits + self.trend(states, batch["taken_lately"])
        return logits

    def get_config(self) -> dict[str, Any]:
        return {"trunk": self.trunk_config, "own_items": self.own_items, "trend": list(self.spans), "name": self.name}


def save_network(network: keras.Model, path: Path) -> None:
    """Write `network` to `path`: the same weights give the same bytes, so that a repeated training changes nothing.

    Keras puts the time into its archive.
    """
    network.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    about = json.loads(parts["metadata.json"])
    parts["metadata.json"] = json.dumps({name: about[name] for name in about if name != "date_saved"}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name), data)  # dated 1980, as nothing else is said


def load_network(path: Path) -> Any:
    """The network saved at `path`.

    Raises:
        TriadError: there is none, or it was cut short.
    """
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, OSError) as error:
        raise TriadError(
            f"not a saved network: {error}", where=str(path), mend="run the stage that writes it"
        ) from error
