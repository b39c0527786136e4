"""Two networks whose answers are mixed: the frozen one, and one of which most blocks learn from the picture alone.

The second's first blocks, which know edges, stay as they are. Its heads learn first, on what it saw before (Kumar et
al. 2022, arXiv:2202.10054), then heads and blocks on pictures that are mirrored, moved and resized. Asked, it gives the
mean of what it says of a picture and of its mirror image. How much it counts is chosen a task, on products that neither
learned from: where titles say what is asked, that may be nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from triad.arrays import Bools, Floats
from triad.artifacts import read_json, write_json
from triad.images.lite import folded, network, scaled
from triad.images.taught import HEAD_EPOCHS, RATES, Heads, Pace, Side, heads_on, teach
from triad.images.torch_file import load_arrays

SIZE = 112
"""Pixels of a side that it reads."""
FIRST = 4
"""Block of 16 from which it learns."""
MOVED, RESIZED = 0.05, 0.1
"""Of a side, at most."""
PACE = Pace(epochs=12, rate=5e-4, batch=64, warm=0.5)
SHARES = np.linspace(0, 1, 21)
"""Of the second network, that are tried."""
_LEAST, _AT_ONCE = 1e-9, 128
FOLDER, FILE = "deep", "shares.json"


@dataclass(frozen=True)
class Deep:
    """Both networks.

    Args:
        frozen: reads vectors.
        moved: reads pictures; None where it counts nowhere.
        share: task → how much `moved` counts, 0 to 1.
    """

    frozen: Heads
    moved: Heads | None
    share: Mapping[str, float]

    @classmethod
    def fit(
        cls,
        known: Side,
        labels: Mapping[str, Floats],
        classes: Mapping[str, int],
        share: Mapping[str, float] | None,
        *,
        weights: Path,
        seed: int = 1,
    ) -> Deep:
        """Of all rows of `known`, as `Heads.fit`; the second of those with a picture, from −1 to 1 in `known.maps`.

        Args:
            share: how much the second counts; None: not known yet, see `weighed`. All 0: it is not taught.
            weights: the file of the network whose blocks are taught.
        """
        frozen = Heads.fit(Side(known.vector), labels, classes, "frozen", seed=seed)
        counts = share is None or any(share.values())
        moved = picture_heads(known, labels, classes, weights=weights, seed=seed) if counts else None
        return cls(frozen, moved, dict(share or {}))

    def weighed(self, known: Side, labels: Mapping[str, Floats]) -> Deep:
        """With the shares that fit `labels` best; `known` has not been learned from."""
        there = pictured(known)
        shown = known.part(np.flatnonzero(there))
        one, other = self.frozen.predict(Side(shown.vector)), self._moved(shown)
        share = {task: best_share(one[task], other[task], labels[task][there]) for task in one}
        return replace(self, share=share, moved=self.moved if any(share.values()) else None)

    def predict(self, known: Side) -> dict[str, Floats]:
        """(n, classes) probabilities of each task. Where there is no picture, the frozen network answers alone."""
        there, said = pictured(known), self.frozen.predict(Side(known.vector))
        if self.moved is not None and any(self.share.values()):
            for task, each in self._moved(known).items():
                share = self.share[task] * there[:, None]
                said[task] = (1 - share) * said[task] + share * each
        return said

    def _moved(self, known: Side) -> dict[str, Floats]:
        assert self.moved is not None and known.maps is not None
        return self.moved.predict(Side(known.maps))

    def save(self, folder: Path) -> None:
        """Keras's own files, and the shares."""
        self.frozen.save(folder)
        if self.moved is not None:
            self.moved.save(folder / FOLDER)
        write_json(folder / FILE, dict(self.share))

    @classmethod
    def load(cls, folder: Path) -> Deep:
        """What `save` wrote."""
        moved = Heads.load(folder / FOLDER) if (folder / FOLDER).is_dir() else None
        return cls(Heads.load(folder), moved, read_json(folder / FILE))


def pictured(known: Side) -> Bools:
    """(n,) whether there is a picture."""
    assert known.maps is not None
    return np.asarray(known.maps.any(axis=(1, 2, 3)))


def best_share(one: Floats, other: Floats, label: Floats) -> float:
    """Of `other` (n, classes), beside `one`, by the likelihood of `label` (n,), NaN where unknown; 0 if all are."""
    told = np.flatnonzero(~np.isnan(label))
    place = label[told].astype(np.int64)
    right, rival = (each[told, place][:, None] for each in (one, other))
    if not len(told):
        return 0.0
    fits = np.log((1 - SHARES) * right + SHARES * rival + _LEAST).mean(axis=0)
    return round(float(SHARES[fits.argmax()]), 2)


def picture_heads(
    known: Side, labels: Mapping[str, Floats], classes: Mapping[str, int], *, weights: Path, seed: int = 1
) -> Heads:
    """The second network: (n, side, side, 3) pictures → each task's logarithms of probabilities."""
    assert known.maps is not None
    keras.utils.set_random_seed(seed)
    rows = np.flatnonzero(pictured(known))
    rows = rows if len(rows) else np.arange(len(known.maps))  # of no picture it says nothing, and counts nowhere
    pictures = known.maps[rows]
    places = {name: np.where(np.isnan(each), -1, each)[rows].astype(np.int32) for name, each in labels.items()}
    eye, shape = _eye(weights), pictures.shape[1:]
    before = Side(_seen(eye, pictures))
    alone, heads = heads_on(before, classes), heads_on(before, classes)  # what was compiled is not read within another
    teach(alone, before, places, Pace(HEAD_EPOCHS, RATES["frozen"]), seed)
    heads.set_weights(alone.get_weights())
    teach(_varied(eye, heads, shape), Side(pictures), places, PACE, seed + 1)
    return Heads(_mirrored(eye, heads, shape))


def _eye(weights: Path) -> keras.Model:
    """Pictures (n, SIZE, SIZE, 3) from −1 to 1 → (n, dim) means of the network's maps."""
    pictures = keras.Input((SIZE, SIZE, 3))
    model = network(folded(load_arrays(weights)), size=SIZE)
    fixed = ("stem", *(f"block{number}_" for number in range(FIRST)))
    for layer in model.layers:
        layer.trainable = not layer.name.startswith(fixed)
    maps = model(scaled((pictures + 1.0) * 127.5))
    means = [layers.GlobalAveragePooling2D()(maps[name]) for name in sorted(maps)]
    return keras.Model(pictures, layers.Concatenate()(means), name="eye")


def _seen(eye: keras.Model, pictures: Floats) -> Floats:
    large = layers.Resizing(SIZE, SIZE)
    starts = range(0, len(pictures), _AT_ONCE)
    parts = [eye.predict_on_batch(large(pictures[start : start + _AT_ONCE].astype(np.float32))) for start in starts]
    return np.concatenate([np.asarray(each) for each in parts])


def _varied(eye: keras.Model, heads: keras.Model, shape: tuple[int, ...]) -> keras.Model:
    """What learns: each picture is another each time."""
    pictures = keras.Input(shape, name="vector")
    x = layers.RandomFlip("horizontal")(layers.Resizing(SIZE, SIZE)(pictures))
    x = layers.RandomTranslation(MOVED, MOVED, fill_mode="nearest")(x)
    x = layers.RandomZoom((-RESIZED, RESIZED), (-RESIZED, RESIZED), fill_mode="nearest")(x)
    return keras.Model({"vector": pictures}, heads({"vector": eye(x)}))


def _mirrored(eye: keras.Model, heads: keras.Model, shape: tuple[int, ...]) -> keras.Model:
    """What is asked: logarithms of the mean of both views."""
    pictures = keras.Input(shape, name="vector")
    large = layers.Resizing(SIZE, SIZE)(pictures)
    one, other = (heads({"vector": eye(each)}) for each in (large, ops.flip(large, axis=2)))
    mean = {name: (ops.softmax(one[name]) + ops.softmax(other[name])) / 2 for name in one}
    return keras.Model({"vector": pictures}, {name: ops.log(each + _LEAST) for name, each in mean.items()})
