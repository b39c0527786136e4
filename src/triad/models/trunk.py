"""The shared trunk: the item tower, and the causal Transformer that reads a stream once."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from triad.encoders.base import PACKAGE, Block, Table
from triad.models.batches import GAPS
from triad.schema import EVENT_KINDS


@keras.saving.register_keras_serializable(PACKAGE)
class ItemTower(keras.layers.Layer):
    """What an item is, from its side features: a mapping of (n, …) arrays (`batches.item_features`) → (n, dim).

    The catalogue is an input and no weight: ids keep their rows while items come, go and change price.

    Args:
        rows: rows of the tables `item`, `category`, `brand`, `token`.
        price_mean, price_std: of log1p(cents) over the catalogue the tower was made on.
    """

    def __init__(self, rows: dict[str, int], dim: int, price_mean: float, price_std: float, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.rows, self.dim, self.price_mean, self.price_std = dict(rows), dim, price_mean, price_std
        self.tables = [Table(rows[name], dim, name=name) for name in ("item", "category", "brand", "token")]
        self.price = keras.layers.Dense(dim, name="price")

    def build(self, _: Any = None) -> None:
        for table in self.tables:
            table.build()
        self.price.build((None, 1))
        self.built = True

    def call(self, items: Any) -> Any:
        item, category, brand, token = self.tables
        words = ops.sum(token(items["tokens"]), axis=1)
        count = ops.sum(ops.cast(items["tokens"] > 0, words.dtype), axis=1, keepdims=True)
        price = ops.cast((items["log_price"] - self.price_mean) / self.price_std, self.compute_dtype)
        return (
            item(items["vocabulary_row"])
            + ops.sum(category(items["category"]), axis=1)
            + brand(items["brand"])
            + words / ops.maximum(count, 1)
            + self.price(price[:, None])
        )

    def get_config(self) -> dict[str, Any]:
        own = {"rows": self.rows, "dim": self.dim, "price_mean": self.price_mean, "price_std": self.price_std}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(PACKAGE)
class Trunk(keras.layers.Layer):
    """States of streams (SASRec, Kang & McAuley 2018, with a start token that carries the user's attributes).

    Called with a batch (see `batches.Batches`) it gives `states` (segments, steps + 1, dim), of which the one at step t
    has seen t interactions, and `items` (items, dim), the tower's output for the batch's own list of items.

    Where the batch holds `hidden` (segments, steps), the items so marked are left out and every step hears every other
    one, as BERT4Rec reads (Sun et al. 2019): the state at step t then tells what the t-th item may have been. Which way
    a trunk is read is no part of its weights (Dong et al. 2019, UniLM), so one that learned so is read causally later.

    Args:
        rows: rows of every embedding table; those beside the item tower's are user attributes, in the batch's order.
    """

    def __init__(
        self,
        *,
        rows: dict[str, int],
        dim: int,
        layers: int,
        heads: int,
        max_steps: int,
        dropout: float,
        price_mean: float,
        price_std: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        sizes = {"dim": dim, "layers": layers, "heads": heads, "max_steps": max_steps, "dropout": dropout}
        self._config = {"rows": dict(rows), **sizes, "price_mean": price_mean, "price_std": price_std}
        own = {name: rows[name] for name in ("item", "category", "brand", "token")}
        self.dim, self.max_steps = dim, max_steps
        self.tower = ItemTower(own, dim, price_mean, price_std, name="tower")
        # one more row than an attribute has: 0 is its "unknown", which deserves a weight
        self.attributes = [Table(1 + count, dim, name=name) for name, count in rows.items() if name not in own]
        self.kind = Table(len(EVENT_KINDS), dim, name="kind")
        self.gap = Table(GAPS, dim, name="gap")
        self.place = Table(2 + max_steps, dim, name="place")
        self.drop = keras.layers.Dropout(dropout)
        self.blocks = [Block(dim, heads, dropout, name=f"block_{depth}") for depth in range(layers)]
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5)

    def build(self, _: Any = None) -> None:
        parts: list[Any] = [self.tower, *self.attributes, self.kind, self.gap, self.place, *self.blocks]
        for part in parts:
            part.build()
        self.drop.build((None, None, self.dim))
        self.norm.build((None, None, self.dim))
        self.built = True

    def call(self, batch: Any, training: bool = False) -> tuple[Any, Any]:
        items = self.tower(batch["items"])
        taken, heard = ops.take(items, batch["item"], axis=0), None
        if "hidden" in batch:
            taken = ops.where(batch["hidden"][..., None], ops.zeros_like(taken), taken)
            real = batch["kind"] > 0
            heard = ops.concatenate([ops.ones_like(real[:, :1]), real], axis=1)[:, None]
        events = taken + self.kind(batch["kind"]) + self.gap(batch["gap"])
        start = ops.expand_dims(self.user(batch["attributes"]), 1)
        states = ops.concatenate([start, events], axis=1) + self.place(ops.arange(1, self.max_steps + 2))
        states = self.drop(states, training=training)
        for block in self.blocks:
            states = block(states, heard, training=training)
        return self.norm(states), items

    def user(self, attributes: Any) -> Any:
        """(n, attributes) rows → (n, dim)."""
        start = ops.zeros((ops.shape(attributes)[0], self.dim), self.compute_dtype)
        return sum((table(1 + attributes[:, place]) for place, table in enumerate(self.attributes)), start)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._config}


def read_states(states: Any, batch: Any) -> Any:
    """(slots, dim): the state each slot reads of `states` (segments, steps + 1, dim)."""
    width, dim = ops.shape(states)[1], ops.shape(states)[2]
    return ops.take(ops.reshape(states, (-1, dim)), batch["segment"] * width + batch["step"], axis=0)
