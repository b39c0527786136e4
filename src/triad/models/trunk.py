"""The shared trunk: the item tower, and the causal Transformer that reads a stream once."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

import keras
from keras import ops

from triad.arrays import Ints
from triad.config.pretrain import TrunkParams
from triad.encoders import ENCODERS, inputs_of
from triad.encoders.base import PACKAGE
from triad.encoders.history import History
from triad.encoders.user import User
from triad.examples.dataset import Dataset
from triad.features.dataset import VECTORS, Items, without_vectors

Config = dict[str, Any]


def trunk_config(data: Dataset, sizes: TrunkParams) -> Config:
    """What a `Trunk` for `data` is made from."""
    return {
        "item": {name: ENCODERS[name].config(data, sizes) for name in inputs_of(data.items)},
        "user": User.config(data, sizes),
        "history": History.config(data, sizes),
    }


def rescaled_trunk(config: Config, theirs: Mapping[str, Any]) -> Config:
    """`config` with the scales that the weights of a trunk made from `theirs` know."""
    item = {
        name: ENCODERS[name].rescaled(own, theirs["item"][name]) if name in theirs["item"] else own
        for name, own in config["item"].items()
    }
    return {**config, "item": item}


def item_arrays(items: Items, rows: Ints | slice = slice(None)) -> dict[str, Any]:
    """What the item tower reads of catalogue `rows`."""
    return {key: value for name in inputs_of(items) for key, value in ENCODERS[name].arrays(items, rows).items()}


def reading(data: Dataset, trunk: Mapping[str, Any]) -> Dataset:
    """`data` with those of the items' vectors alone that a trunk made from `trunk` reads."""
    unread = [array for name, array in VECTORS.items() if name not in trunk["item"]]
    none: dict[str, Any] = without_vectors(len(data.items.item_id))
    return data.replaced(items=replace(data.items, **{name: none[name] for name in unread}))


def reads_vectors(data: Dataset) -> bool:
    """Whether items have vectors of what they say or show."""
    return any(getattr(data.items, name).shape[1] for name in VECTORS.values())


@keras.saving.register_keras_serializable(PACKAGE)
class ItemTower(keras.layers.Layer):
    """What an item is: the sum of its inputs, a mapping of (n, …) arrays (`item_arrays`) → (n, dim).

    The catalogue is an input and no weight: ids keep their rows while items come, go and change price.

    Args:
        inputs: encoder → what it is made from.
    """

    def __init__(self, inputs: Mapping[str, Config], **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self._config = {name: dict(config) for name, config in inputs.items()}
        self.inputs: dict[str, Any] = {name: ENCODERS[name](**own, name=name) for name, own in inputs.items()}

    def build(self, _: Any = None) -> None:
        for encoder in self.inputs.values():
            encoder.build()
        self.built = True

    def call(self, arrays: Any, training: bool = False) -> Any:
        return reduce(operator.add, [encoder(arrays) for encoder in self.inputs.values()])

    def warm_start(self, theirs: ItemTower, origins: Mapping[str, Ints]) -> list[str]:
        """Take the function of an earlier tower, in which an input that is new has no say yet; returns what is new."""
        new = []
        for name, encoder in self.inputs.items():
            if name in theirs.inputs:
                new += encoder.warm_start(theirs.inputs[name], origins)
                continue
            new.append(f"input {name}")
            for weight in encoder.weights:
                weight.assign(ops.zeros_like(weight))
        return new

    def get_config(self) -> Config:
        return {**super().get_config(), "inputs": self._config}


@keras.saving.register_keras_serializable(PACKAGE)
class Trunk(keras.layers.Layer):
    """The states of streams, and what they are of.

    Called with a batch (see `batches.Batches`) it gives `states` (segments, steps + 1, dim), as `History` does, and
    `items` (items, dim), the tower's output for the batch's own list of items.

    Args:
        item: of the tower's inputs, encoder → what it is made from.
        user, history: what these two are made from.
    """

    def __init__(self, item: Mapping[str, Config], user: Config, history: Config, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self._config = {"item": dict(item), "user": dict(user), "history": dict(history)}
        self.dim, self.max_steps = history["dim"], history["max_steps"]
        self.tower = ItemTower(item, name="tower")
        self.user = User(**user, name="user")
        self.history = History(**history, name="history")

    def build(self, _: Any = None) -> None:
        for part in (self.tower, self.user, self.history):
            part.build()
        self.built = True

    def call(self, batch: Any, training: bool = False) -> tuple[Any, Any]:
        items = self.tower(batch["items"], training=training)
        events = ops.take(items, batch["item"], axis=0)
        return self.history(events, self.user(batch), batch, training=training), items

    def warm_start(self, theirs: Trunk, origins: Mapping[str, Ints]) -> list[str]:
        """Take the function of an earlier trunk of the same sizes; returns what is new, by name."""
        pairs = (self.tower, theirs.tower), (self.user, theirs.user), (self.history, theirs.history)
        return [name for ours, other in pairs for name in ours.warm_start(other, origins)]

    def get_config(self) -> Config:
        return {**super().get_config(), **self._config}
