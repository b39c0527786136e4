"""The network that writes: a GRU that, at each step, takes a word of the language or copies a slot (pointer-generator;
Vinyals et al. 2015, See et al. 2017). It is trained in Keras and asked in NumPy, so that writing needs no framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from triad.arrays import Bools, Floats, Ints
from triad.writing.slots import FEATURES, MOST_LENGTH, MOST_PLACES, WORDS
from triad.writing.tone import LENGTHS

if TYPE_CHECKING:
    import keras

_BIG = 1e9


@dataclass(frozen=True)
class Sizes:
    """Of the network. `words` is the vocabulary with END and START, `keys` the facts' keys with one for the rest."""

    words: int
    keys: int
    genres: int
    dim: int = 64
    state: int = 128


def built(sizes: Sizes, dropout: float = 0.2) -> keras.Model:
    """The network.

    Inputs: `slots` (b, n, FEATURES), `mask` (b, n), `brand`, `genre` and `length` (b, 1), `before` (b, t), the step
    before, `used` and `next` (b, t, n). Output: (b, t, words + n) log-probabilities.
    """
    import keras
    from keras import layers, ops

    rows = {"word": WORDS, "key": sizes.keys, "sort": 6, "place": MOST_PLACES, "length": MOST_LENGTH, "shape": 6}
    slots = keras.Input((None, len(FEATURES)), dtype="int32", name="slots")
    given = {name: keras.Input((1,), dtype="int32", name=name) for name in ("brand", "genre", "length")}
    mask = keras.Input((None,), name="mask")
    before = keras.Input((None,), dtype="int32", name="before")
    flags = {name: keras.Input((None, None), name=name) for name in ("used", "next")}

    seen = layers.Add()(
        [
            layers.Embedding(rows[name], sizes.dim, name=f"slot_{name}")(slots[:, :, at])
            for at, name in enumerate(FEATURES)
        ]
    )
    near = layers.Conv1D(sizes.dim, 3, padding="same", activation="relu", name="near")(seen * mask[:, :, None])
    encoded = layers.Add()([seen, near])
    encoded = layers.Dropout(dropout)(encoded)
    mean = ops.sum(encoded * mask[:, :, None], axis=1) / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)
    about = [
        layers.Embedding(count, sizes.dim, name=name)(given[name.removesuffix("_of")])[:, 0]
        for name, count in (("brand_of", WORDS), ("genre_of", sizes.genres), ("length_of", len(LENGTHS)))
    ]
    start = layers.Dense(sizes.state, activation="tanh", name="start")(layers.Concatenate()([mean, *about]))

    table = layers.Embedding(sizes.words, sizes.dim, name="said")
    said = table(ops.minimum(before, sizes.words - 1))
    place = ops.maximum(before - sizes.words, 0)
    copied = ops.take_along_axis(encoded, place[:, :, None], axis=1)
    is_copy = ops.cast(before >= sizes.words, "float32")[:, :, None]
    read = said * (1 - is_copy) + copied * is_copy
    states = layers.GRU(sizes.state, return_sequences=True, name="gru")(
        layers.Dropout(dropout)(read), initial_state=start
    )

    query = layers.Dense(sizes.dim, name="query")(states)
    match = ops.matmul(query, ops.transpose(layers.Dense(sizes.dim, name="keyed")(encoded), (0, 2, 1)))
    weight = layers.Dense(3, name="flags")(states)
    pointer = match / sizes.dim**0.5 + weight[:, :, :1] * flags["used"] + weight[:, :, 1:2] * flags["next"]
    pointer = pointer + weight[:, :, 2:] - _BIG * (1 - mask[:, None, :])
    context = ops.matmul(ops.softmax(pointer), encoded)
    hidden = layers.Dense(sizes.state, activation="tanh", name="hidden")(layers.Concatenate()([states, context]))
    words = layers.Dense(sizes.words, name="words")(layers.Dropout(dropout)(hidden))
    output = ops.log_softmax(ops.concatenate([words, pointer], axis=-1))
    return keras.Model([slots, mask, *given.values(), before, *flags.values()], output)


@dataclass(frozen=True)
class Weights:
    """The trained arrays by layer, as `writes` reads them."""

    arrays: Mapping[str, Floats]

    @classmethod
    def of(cls, model: keras.Model) -> Weights:
        """Those of a trained network."""
        named = {
            f"{layer.name}_{number}": np.asarray(values, np.float32)
            for layer in model.layers
            for number, values in enumerate(layer.get_weights())
        }
        return cls(named)

    def dense(self, name: str, values: Any) -> Any:
        """A dense layer's output."""
        return values @ self.arrays[f"{name}_0"] + self.arrays[f"{name}_1"]


@dataclass(frozen=True)
class Reading:
    """A product as the network sees it: (n, dim) encoded slots, their keys for matching, the (state,) start."""

    encoded: Floats
    keyed: Floats
    start: Floats


def reading(weights: Weights, slots: Ints, brand: int, genre: int, length: int) -> Reading:
    """What the network makes of a product's (n, FEATURES) slots."""
    rows = weights.arrays
    seen = np.sum([rows[f"slot_{name}_0"][slots[:, at]] for at, name in enumerate(FEATURES)], axis=0)
    padded = np.pad(seen, ((1, 1), (0, 0)))
    kernel, bias = rows["near_0"], rows["near_1"]
    near = sum((padded[at : at + slots.shape[0]] @ kernel[at] for at in range(3)), bias)
    encoded = seen + np.maximum(near, 0)
    mean = encoded.mean(axis=0) if len(encoded) else np.zeros(kernel.shape[1], np.float32)
    about = np.concatenate([mean, rows["brand_of_0"][brand], rows["genre_of_0"][genre], rows["length_of_0"][length]])
    return Reading(encoded, weights.dense("keyed", encoded), np.tanh(weights.dense("start", about)))


def step(
    weights: Weights, read: Reading, state: Floats, before: Ints, flags: tuple[Bools, Bools]
) -> tuple[Floats, Floats]:
    """(beams, state) states and (beams, words + n) log-probabilities after `before`, one step a beam.

    `flags`: (beams, n) slots that are used, and those that follow the last one.
    """
    rows, words = weights.arrays, weights.arrays["said_0"].shape[0]
    values = np.where(
        (before < words)[:, None],
        rows["said_0"][np.minimum(before, words - 1)],
        read.encoded[np.maximum(before - words, 0)] if len(read.encoded) else 0,
    )
    state = _gru(rows, values, state)
    weight = weights.dense("flags", state)
    pointer = weights.dense("query", state) @ read.keyed.T / read.keyed.shape[1] ** 0.5
    pointer = pointer + weight[:, :1] * flags[0] + weight[:, 1:2] * flags[1] + weight[:, 2:]
    context = _softmax(pointer) @ read.encoded if len(read.encoded) else np.zeros_like(values)
    hidden = np.tanh(weights.dense("hidden", np.concatenate([state, context], axis=1)))
    logits = np.concatenate([weights.dense("words", hidden), pointer], axis=1)
    top = logits.max(axis=1, keepdims=True)
    return state, logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))


def _gru(rows: Mapping[str, Floats], values: Floats, state: Floats) -> Floats:
    inside, outside = values @ rows["gru_0"] + rows["gru_2"][0], state @ rows["gru_1"] + rows["gru_2"][1]
    (xz, xr, xh), (sz, sr, sh) = np.split(inside, 3, axis=1), np.split(outside, 3, axis=1)
    keep, reset = _sigmoid(xz + sz), _sigmoid(xr + sr)
    return np.asarray(keep * state + (1 - keep) * np.tanh(xh + reset * sh))


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(values / 2)))  # no overflow


def _softmax(values: Floats) -> Floats:
    grown = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))
