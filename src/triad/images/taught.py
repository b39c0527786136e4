"""One network with a head for each thing asked of a product, on its vector and on a map of its picture.

How much of the pictures' network learns: `frozen`, nothing, its vectors are read as they are; `delta`, a low-rank
change of its last blocks (Hu et al. 2021, arXiv:2106.09685, here of 1 × 1 convolutions); `full`, all weights of these
blocks; `scratch`, four convolutions that start from nothing. The heads learn first, on the vector alone. What the map
adds to their shared layer starts at 0, so that a taught network starts as the frozen one and changes from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from triad.arrays import Floats, Ints
from triad.config.images import DELTA, FROZEN, SCRATCH
from triad.images.encoder import FIRST
from triad.images.lite import folded, network
from triad.images.torch_file import load_arrays

HIDDEN, RANK, SMOOTHING, DECAY = 512, 16, 0.05, 1e-2
FROZEN_EPOCHS, HEAD_EPOCHS, TAUGHT_EPOCHS = 20, 8, 8
"""Epochs of a frozen network; of the heads alone before the map is taught; and with the map."""
SCRATCH_EPOCHS = 20
LEAST_STEPS = 200
"""Of few products more epochs are made, until there were as many steps."""
RATES = {FROZEN: 1e-3, DELTA: 1e-3, "full": 3e-4, SCRATCH: 1e-3}
OUTLIER = 6.0
"""Standard deviations beyond which a column's value is cut."""
NETWORK = "heads.keras"


@dataclass(frozen=True)
class Pace:
    """How long a network learns, at which highest rate, how many products make a step at most, and its warm-up.

    Args:
        warm: epochs in which the rate rises; 0: it starts at its highest.
    """

    epochs: int
    rate: float
    batch: int = 128
    warm: float = 0.0


@dataclass(frozen=True)
class Side:
    """What is known of products: (n, dim) vectors or whole pictures, and (n, height, width, channels) maps, or None."""

    vector: Floats
    maps: Floats | None = None

    def part(self, rows: Ints) -> Side:
        """Of `rows` alone."""
        return Side(self.vector[rows], None if self.maps is None else self.maps[rows])

    def of(self, rows: Ints) -> dict[str, Floats]:
        """The inputs of `rows`."""
        return {"vector": self.vector[rows]} | ({} if self.maps is None else {"maps": self.maps[rows]})


@dataclass(frozen=True)
class Heads:
    """A network that has learned."""

    model: Any

    @classmethod
    def fit(
        cls,
        known: Side,
        labels: Mapping[str, Floats],
        classes: Mapping[str, int],
        transfer: str,
        *,
        weights: Path | None = None,
        seed: int = 1,
    ) -> Heads:
        """Of all rows of `known`.

        Args:
            labels: task → (n,) places of classes, NaN where none is known.
            classes: task → how many there are.
            weights: the file of the network whose last blocks are taught.
        """
        keras.utils.set_random_seed(seed)
        places = {name: np.where(np.isnan(each), -1, each).astype(np.int32) for name, each in labels.items()}
        if transfer == FROZEN:
            model = heads_on(known, classes)
            teach(model, known, places, Pace(FROZEN_EPOCHS, RATES[FROZEN]), seed)
            return cls(model)
        assert known.maps is not None, transfer
        shape = known.maps.shape[1:]
        body = _convolutions(shape) if transfer == SCRATCH else _last_blocks(shape, str(weights), transfer)
        alone = heads_on(known, classes)
        teach(alone, Side(known.vector), places, Pace(HEAD_EPOCHS, RATES[FROZEN]), seed)
        model = heads_on(known, classes, body)
        for layer in alone.layers:
            model.get_layer(layer.name).set_weights(layer.get_weights())
        epochs = SCRATCH_EPOCHS if transfer == SCRATCH else TAUGHT_EPOCHS
        teach(model, known, places, Pace(epochs, RATES[transfer]), seed + 1)
        return cls(model)

    def predict(self, known: Side, batch: int = 256) -> dict[str, Floats]:
        """(n, classes) probabilities of each task."""
        parts: list[dict[str, Floats]] = []
        count = len(known.vector)
        for start in range(0, count, batch):
            rows = np.arange(start, min(start + batch, count))
            outputs = self.model.predict_on_batch(known.of(rows))
            parts.append({name: np.asarray(ops.softmax(each), np.float64) for name, each in outputs.items()})
        return {
            name: np.concatenate([each[name] for each in parts]) if parts else np.zeros((0, int(one.shape[-1])))
            for name, one in self.model.output.items()
        }

    def save(self, folder: Path) -> None:
        """Keras's own file; a low-rank change is added to what it changes."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save(folder / NETWORK)

    @classmethod
    def load(cls, folder: Path) -> Heads:
        """What `save` wrote."""
        return cls(keras.models.load_model(folder / NETWORK, compile=False, safe_mode=True))


def heads_on(known: Side, classes: Mapping[str, int], body: keras.Model | None = None) -> keras.Model:
    """A shared layer and one head a task. `body` reads the maps."""
    mean, deviation = known.vector.mean(axis=0), known.vector.std(axis=0) + 1e-6
    vector = keras.Input((known.vector.shape[1],), name="vector")
    x = layers.Normalization(mean=mean, variance=deviation**2, name="scaled")(vector)
    x = layers.Dropout(0.3, name="forgotten")(ops.clip(x, -OUTLIER, OUTLIER))
    x, inputs = layers.Dense(HIDDEN, name="shared")(x), {"vector": vector}
    if body is not None:
        maps = keras.Input(body.input.shape[1:], name="maps")
        # Of pixels this is the flipped picture; of a later block's maps only near to what a flipped picture gives.
        seen = body(layers.RandomFlip("horizontal", name="flipped")(maps))
        x = x + layers.Dense(HIDDEN, use_bias=False, kernel_initializer="zeros", name="from_maps")(seen)
        inputs["maps"] = maps
    x = layers.Dropout(0.5, name="dropped")(ops.relu(x))
    return keras.Model(inputs, {name: layers.Dense(size, name=f"head_{name}")(x) for name, size in classes.items()})


def _last_blocks(shape: tuple[int, ...], weights: str, transfer: str) -> keras.Model:
    model = network(folded(load_arrays(Path(weights))), size=shape[0], first=FIRST)
    if transfer == DELTA:
        for layer in model.layers:
            if isinstance(layer, layers.Conv2D) and layer.kernel_size == (1, 1):
                layer.enable_lora(RANK)
            elif isinstance(layer, layers.DepthwiseConv2D):
                layer.trainable = False
    seen = layers.GlobalAveragePooling2D()(model.output["head"])
    return keras.Model(model.input, layers.Dropout(0.3)(seen), name="last_blocks")


def _convolutions(shape: tuple[int, ...]) -> keras.Model:
    x = pictures = keras.Input(shape)
    for filters in (32, 64, 96, 128):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D()(layers.ReLU()(layers.BatchNormalization()(x)))
    return keras.Model(pictures, layers.Dropout(0.3)(layers.Flatten()(x)), name="convolutions")


def teach(model: keras.Model, known: Side, places: Mapping[str, Ints], pace: Pace, seed: int) -> None:
    """Cross-entropy with smoothed labels, of the tasks whose label a row has; the rate falls as a cosine."""
    count = len(known.vector)
    batch = int(np.clip(count // 40, 16, pace.batch))
    epochs = max(pace.epochs, -(-LEAST_STEPS * batch // count))
    batches = -(-count // batch)
    warm = int(pace.warm * batches)
    cosine = keras.optimizers.schedules.CosineDecay
    schedule = cosine(pace.rate, epochs * batches)
    if warm:
        schedule = cosine(0.0, epochs * batches - warm, warmup_target=pace.rate, warmup_steps=warm)
    losses = {name: _loss(int(each.shape[-1])) for name, each in model.output.items()}
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=DECAY), loss=losses, jit_compile=False)
    draw = np.random.default_rng(seed)
    for _ in range(epochs):
        for rows in _batches(draw.permutation(count), batch):
            model.train_on_batch(known.of(rows), {name: each[rows] for name, each in places.items()})


def _batches(order: Ints, size: int) -> Iterator[Ints]:
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _loss(classes: int) -> Any:
    def loss(place: Any, logits: Any) -> Any:
        place = ops.reshape(place, (-1,))
        told = ops.cast(place >= 0, "float32")
        wanted = ops.one_hot(ops.maximum(place, 0), classes) * (1 - SMOOTHING) + SMOOTHING / classes
        return -ops.sum(wanted * ops.log_softmax(logits), axis=-1) * told

    return loss
