"""Classes from a picture: an image network transferred to products, against the same heads from scratch. Fashion.

    python benchmarks/pictures.py WEIGHTS.pth [--cache FOLDER] [--parts frozen text delta scratch] [--seeds 1 2 3 4 5]

Of 12,000 pictures, test is md5(id) mod 5 = 4, validation 3, train the rest. One network with a shared layer learns all
classes. `frozen` reads vectors of the frozen EfficientNet-lite0 and counts of colours; `text` reads titles beside them
(words, pairs and letters); `delta` teaches the network's last blocks too; `scratch` is a small convolutional network
that starts from nothing. `--shares` are shares of train. Intervals: 1,000 resamples of products, of means over seeds.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from sklearn.decomposition import TruncatedSVD
from sklearn.metrics import f1_score, recall_score

from triad.images.colours import colours
from triad.images.decoding import Fault, decode
from triad.images.encoder import SIZE
from triad.images.lite import TAPS, folded, network, scaled
from triad.images.torch_file import load_arrays
from triad.text.bags import Bag
from triad.text.terms import plain

TASKS = ("articleType", "baseColour", "gender", "subCategory", "masterCategory", "season", "usage")
SHOWN = ("articleType", "baseColour", "gender")
FIRST = 11
"""The block from which `delta` teaches: the last stage, of 16 blocks."""


class Fashion:
    """The rows that have a picture."""

    def __init__(self) -> None:
        folder = Path(os.environ["TRIAD_DATASETS"]) / "fashion"
        self.pictures = zipfile.ZipFile(folder / "images_60x80.zip")
        names = set(self.pictures.namelist())
        with gzip.open(folder / "styles.csv.gz", "rt", encoding="utf-8") as file:
            self.rows = [row for row in csv.DictReader(file) if f"{row['id']}.jpg" in names]
        part = np.array([int(hashlib.md5(row["id"].encode()).hexdigest(), 16) % 5 for row in self.rows])
        self.train, self.validation, self.test = (np.flatnonzero(each) for each in (part < 3, part == 3, part == 4))
        self.label = {}
        for task in TASKS:
            names = sorted({row[task] for row in self.rows})
            self.label[task] = np.array([names.index(row[task]) for row in self.rows])

    def decoded(self, start: int, stop: int) -> np.ndarray:
        """(n, SIZE, SIZE, 3) uint8."""
        made = [decode(self.pictures.read(f"{row['id']}.jpg"), SIZE) for row in self.rows[start:stop]]
        assert not any(isinstance(each, Fault) for each in made)
        return np.stack(made)


def vectors(data: Fashion, weights: Path, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """(n, dim) as `images.encoder: lite0` makes them, and (n, 10, 10, 112) maps of the block before FIRST."""
    if (cache / "vectors.npy").is_file():
        return np.load(cache / "vectors.npy"), np.load(cache / "maps.npy", mmap_mode="r")
    cache.mkdir(parents=True, exist_ok=True)
    model, made = network(folded(load_arrays(weights)), size=SIZE), []
    shape = len(data.rows), *model.output["block10"].shape[1:]
    maps = np.lib.format.open_memmap(cache / "maps.npy", "w+", np.float16, shape)
    for start in range(0, len(data.rows), 64):
        pictures = data.decoded(start, start + 64)
        found = model.predict_on_batch(scaled(pictures.astype(np.float32)))
        means = [found[name].mean(axis=(1, 2)) for name in (*(f"block{number}" for number in TAPS), "head")]
        made.append(np.concatenate([*map(_unit, means), colours(pictures)], axis=1))
        maps[start : start + len(pictures)] = found["block10"]
    np.save(cache / "vectors.npy", np.concatenate(made))
    return np.concatenate(made), maps


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def standard(rows: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and deviation 1 on train; outliers are cut."""
    mean, deviation = rows[train].mean(axis=0), rows[train].std(axis=0) + 1e-6
    return np.clip((rows - mean) / deviation, -6, 6).astype(np.float32)


def heads(x: Any, data: Fashion, hidden: int, drop: float) -> dict[str, Any]:
    """A shared layer, and one head a task."""
    x = layers.Dropout(drop)(layers.Dense(hidden, activation="relu", name="shared")(x))
    return {task: layers.Dense(int(data.label[task].max()) + 1, name=task)(x) for task in TASKS}


def taught(model: keras.Model, inputs: Any, data: Fashion, rows: np.ndarray, *, epochs: int, rate: float) -> None:
    """Cross-entropy of all tasks with smoothed labels, a rate that falls as a cosine."""
    steps = epochs * -(-len(rows) // 128)
    losses = {task: keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05) for task in TASKS}
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=1e-2), loss=losses, jit_compile=False)
    labels = {task: np.eye(each.max() + 1, dtype=np.float32)[each[rows]] for task, each in data.label.items()}
    held = {name: each[np.sort(rows)] for name, each in inputs.items()}
    order = np.argsort(np.argsort(rows))  # a memory-mapped array is read in order
    model.fit({name: each[order] for name, each in held.items()}, labels, batch_size=128, epochs=epochs, verbose=0)


def frozen(inputs: dict[str, np.ndarray], data: Fashion, rows: np.ndarray, epochs: int) -> keras.Model:
    """A head on vectors."""
    width = inputs["vectors"].shape[1]
    x = keras.Input((width,), name="vectors")
    model = keras.Model({"vectors": x}, heads(layers.Dropout(0.3)(x), data, 512, 0.5))
    taught(model, inputs, data, rows, epochs=epochs, rate=1e-3)
    return model


def delta(inputs: dict[str, np.ndarray], data: Fashion, rows: np.ndarray, epochs: int, weights: Path) -> keras.Model:
    """The last blocks and a head on them and on the frozen vectors."""
    last = network(folded(load_arrays(weights)), size=inputs["maps"].shape[1], first=FIRST)
    maps = keras.Input(inputs["maps"].shape[1:], name="maps")
    side = keras.Input((inputs["vectors"].shape[1],), name="vectors")
    seen = layers.GlobalAveragePooling2D()(last(layers.RandomFlip("horizontal")(maps))["head"])
    x = layers.Concatenate()([layers.Dropout(0.3)(side), layers.Dropout(0.3)(seen)])
    model = keras.Model({"maps": maps, "vectors": side}, heads(x, data, 512, 0.5))
    taught(model, inputs, data, rows, epochs=epochs, rate=5e-4)
    return model


def scratch(inputs: dict[str, np.ndarray], data: Fashion, rows: np.ndarray, epochs: int) -> keras.Model:
    """Four convolutions on the picture at 40 × 40, and the same heads."""
    x = pictures = keras.Input(inputs["small"].shape[1:], name="small")
    for filters in (32, 64, 96, 128):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D()(layers.ReLU()(layers.BatchNormalization()(x)))
    x = layers.Flatten()(x)
    model = keras.Model({"small": pictures}, heads(layers.Dropout(0.3)(x), data, 512, 0.5))
    taught(model, inputs, data, rows, epochs=epochs, rate=1e-3)
    return model


def probabilities(model: keras.Model, inputs: Any, rows: np.ndarray) -> dict[str, np.ndarray]:
    """(n, classes) of each task."""
    found = model.predict({name: each[rows] for name, each in inputs.items()}, batch_size=256, verbose=0)
    return {task: np.asarray(ops.softmax(each)) for task, each in found.items()}


def figures(data: Fashion, task: str, rows: np.ndarray, seeds: list[np.ndarray]) -> dict[str, float]:
    """Means over seeds of what each alone gets, the interval of the accuracy, and the accuracy of their mean."""
    label, chosen = data.label[task][rows], [each.argmax(axis=1) for each in seeds]
    right = np.mean([each == label for each in chosen], axis=0)
    draws = np.random.default_rng(0).integers(0, len(right), (1_000, len(right)))
    low, high = np.quantile(right[draws].mean(axis=1), [0.025, 0.975])
    known = np.unique(label)
    return {
        "accuracy": float(right.mean()),
        "low": float(low),
        "high": float(high),
        "macro_f1": float(
            np.mean([f1_score(label, each, labels=known, average="macro", zero_division=0) for each in chosen])
        ),
        "macro_recall": float(
            np.mean([recall_score(label, each, labels=known, average="macro", zero_division=0) for each in chosen])
        ),
        "together": float((np.mean(seeds, axis=0).argmax(axis=1) == label).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("weights", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("runs/pictures"))
    parser.add_argument("--parts", nargs="+", default=["frozen", "text", "delta", "scratch"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0])
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--final", action="store_true", help="teach train and validation, show test; else validation")
    choice = parser.parse_args()
    data = Fashion()
    made, maps = vectors(data, choice.weights, choice.cache)
    learned = np.concatenate([data.train, data.validation]) if choice.final else data.train
    judged = data.test if choice.final else data.validation
    for part in choice.parts:
        for share in choice.shares:
            seeds: dict[str, list[np.ndarray]] = {task: [] for task in TASKS}
            for seed in choice.seeds:
                keras.utils.set_random_seed(seed)
                rows = np.random.default_rng(seed).permutation(learned)[: round(share * len(learned))]
                inputs = {"vectors": standard(made, rows)}
                if part == "text":
                    inputs["vectors"] = np.concatenate([inputs["vectors"], _titles(data, rows, seed)], axis=1)
                if part == "scratch":
                    inputs = {"small": _small(data, choice.cache)}
                    model = scratch(inputs, data, rows, choice.epochs)
                elif part == "delta":
                    inputs["maps"] = maps
                    model = delta(inputs, data, rows, max(1, choice.epochs // 4), choice.weights)
                else:
                    model = frozen(inputs, data, rows, choice.epochs)
                for task, each in probabilities(model, inputs, judged).items():
                    seeds[task].append(each)
            for task in TASKS:
                found = figures(data, task, judged, seeds[task])
                print(json.dumps({"part": part, "share": share, "task": task} | found), flush=True)


def _titles(data: Fashion, rows: np.ndarray, seed: int) -> np.ndarray:
    """(n, 300) of titles, fitted on `rows`."""
    said = [plain(row["productDisplayName"]) for row in data.rows]
    bag = Bag.fit([said[row] for row in rows])
    matrix = bag.matrix(said)
    size = min(300, len(rows) - 1)
    return standard(TruncatedSVD(size, n_iter=2, random_state=seed).fit(matrix[rows]).transform(matrix), rows)


def _small(data: Fashion, cache: Path) -> np.ndarray:
    """(n, 40, 40, 3) between −1 and 1; made once."""
    if not (cache / "small.npy").is_file():
        parts = [
            data.decoded(start, start + 512).reshape(-1, 40, 4, 40, 4, 3).mean(axis=(2, 4))
            for start in range(0, len(data.rows), 512)
        ]
        np.save(cache / "small.npy", (np.concatenate(parts) / 127.5 - 1).astype(np.float16))
    return np.load(cache / "small.npy")


if __name__ == "__main__":
    main()
