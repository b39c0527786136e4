"""Teaches the network from a catalogue's texts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from triad.arrays import Ints
from triad.writing.derivation import END, START, Step, derive
from triad.writing.language import MOST_STEPS, Language
from triad.writing.network import Sizes, Weights, built
from triad.writing.product import GENRES, Product
from triad.writing.slots import Slot, features, hashed
from triad.writing.tokens import cut

LOG = logging.getLogger("triad.writing")
STEPS, BATCH, RATE, ALIKE = 2_000, 64, 2e-3, 4
"""Steps, rows a step, the first learning rate, and how many slots that say the same are credited."""


@dataclass(frozen=True)
class Row:
    """A text and what it was derived from."""

    slots: list[Slot]
    seen: Ints  # (slots, FEATURES)
    brand: int
    genre: int
    length: int
    steps: list[Step]


def rows_of(products: Sequence[Product], language: Language) -> list[Row]:
    """One row a text that says at least one fact."""
    places, codes, rows = language.places, language.key_codes, list[Row]()
    for product in products:
        slots = language.slots(product)
        if not slots:
            continue
        seen = features(slots, codes)
        for genre, text in sorted(product.texts.items()):
            steps = derive(cut(text), slots, places, len(language.words))[: MOST_STEPS - 1]
            if any(step.taken >= len(language.words) for step in steps):
                rows.append(Row(slots, seen, hashed(product.brand.casefold()), GENRES.index(genre), 0, steps))
    return _with_lengths(rows)


def _with_lengths(rows: list[Row]) -> list[Row]:
    """Each with its third among the texts of its genre."""
    bounds = {
        genre: np.quantile([len(row.steps) for row in rows if row.genre == genre], (1 / 3, 2 / 3))
        for genre in {row.genre for row in rows}
    }
    return [replace(row, length=1 + int(np.searchsorted(bounds[row.genre], len(row.steps)))) for row in rows]


def batch(rows: Sequence[Row], words: int, free: Any) -> tuple[dict[str, Any], Ints]:
    """The network's inputs, and (b, t, ALIKE) right steps, -1 where there is none. `free` rows are told no length."""
    wide, long = max(len(row.slots) for row in rows), max(len(row.steps) for row in rows) + 1
    count = len(rows)
    slots = np.zeros((count, wide, rows[0].seen.shape[1]), np.int32)
    mask = np.zeros((count, wide), np.float32)
    used, following = np.zeros((2, count, long, wide), np.float32)
    before, right = np.full((count, long), START, np.int32), np.full((count, long, ALIKE), -1, np.int32)
    for at, row in enumerate(rows):
        slots[at, : len(row.slots)], mask[at, : len(row.slots)] = row.seen, 1
        starts, ends = bounds(row.slots)
        gone = np.zeros(len(row.slots), bool)
        for place, step in enumerate(row.steps):
            before[at, place + 1] = step.taken
            alike = step.alike[:ALIKE]
            right[at, place, : len(alike)] = alike
            after = np.zeros(len(gone), bool)
            if step.taken >= words:
                taken = row.slots[step.taken - words]
                gone |= (starts < taken.end) & (ends > taken.start)
                after = starts == taken.end
            used[at, place + 1, : len(gone)], following[at, place + 1, : len(gone)] = gone, after
        right[at, len(row.steps), 0] = END
    lengths = np.where(free, 0, [row.length for row in rows])
    column = {"brand": [row.brand for row in rows], "genre": [row.genre for row in rows], "length": lengths}
    inputs = {"slots": slots, "mask": mask, "before": before, "used": used, "next": following}
    return inputs | {name: np.asarray(values, np.int32)[:, None] for name, values in column.items()}, right


def bounds(slots: Sequence[Slot]) -> tuple[Ints, Ints]:
    """(n,) first places of slots and (n,) the places after their last."""
    return np.array([slot.start for slot in slots]), np.array([slot.end for slot in slots])


def trained(
    rows: list[Row], language: Language, seed: int, *, sizes: Sizes | None = None, steps: int = STEPS
) -> Weights:
    """The network, taught `rows` in about `steps` steps, however many they are.

    Batches hold texts of like length, in an order drawn anew each epoch.
    """
    import keras
    from keras import ops

    keras.utils.set_random_seed(seed)
    words = len(language.words)
    model = built(sizes or Sizes(words, len(language.known) + 3, len(GENRES)))
    batches = -(-len(rows) // BATCH)
    epochs = -(-steps // batches)

    def loss(right: Any, said: Any) -> Any:
        exists = ops.cast(right >= 0, "float32")
        chances = ops.take_along_axis(said, ops.cast(ops.maximum(right, 0), "int32"), axis=2)
        met = ops.logsumexp(chances - 1e9 * (1 - exists), axis=2)
        told = exists[:, :, 0]
        return -ops.sum(met * told) / ops.sum(told)

    rate = keras.optimizers.schedules.CosineDecay(RATE, epochs * batches)
    model.compile(optimizer=keras.optimizers.Adam(rate, clipnorm=1.0), loss=loss)
    draw = np.random.default_rng(seed)
    for epoch in range(epochs):
        order = np.argsort([len(row.steps) + draw.random() for row in rows], kind="stable")
        losses: list[float] = []
        for number in draw.permutation(batches):
            part = [rows[int(at)] for at in order[number * BATCH : (number + 1) * BATCH]]
            inputs, right = batch(part, words, draw.random(len(part)) < 0.5)
            losses.append(model.train_on_batch(inputs, right))
        LOG.info("epoch %d of %d: %.3f nats a step", epoch + 1, epochs, float(np.mean(losses[-batches:])))
    return Weights.of(model)
