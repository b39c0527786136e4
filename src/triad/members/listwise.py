"""A small network that orders the candidates of a list: a softmax over them is to give what was taken (ListNet, Cao
2007, doi:10.1145/1273496.1273513).

It reads the columns that the re-ranker's trees read, the network's word for each item among them. What it makes of them
is smooth where trees make steps, so the two err in other places. Keras trains it; it answers in NumPy, so serving needs
no Keras.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from triad.arrays import Bools, Floats, Ints

HIDDEN, DROPOUT, DECAY, RATE = (64, 32), 0.2, 1e-3, 2e-3
EPOCHS, BATCH, DRAWN = 8, 64, 32
"""Of `DRAWN` candidates of a list at a time, drawn anew in each epoch, the first of them taken."""
ROWS, OUTLIER = 20_000, 4.0
"""Candidates whose columns' means and deviations are taken, of lists that it learns from; and how many of these
deviations a value may be away."""
LEAST = 1e-6


@dataclass(frozen=True)
class Listwise:
    """A network of one hidden layer or more."""

    mean: Floats  # (columns,)
    deviation: Floats  # (columns,)
    layers: tuple[tuple[Floats, Floats], ...]  # (in, out) weights and (out,) what is added, in order

    @classmethod
    def fit(cls, columns: Floats, taken: Bools, start: Ints, lists: Ints, seed: int) -> Listwise:
        """Learned of lists; the same for the same seed.

        Args:
            columns: (p, columns) `signals` of candidates, list after list; NaN where nothing is known.
            taken: (p,).
            start: (q + 1,) where lists begin.
            lists: places of those that it learns from; of each a candidate was taken.
        """
        random = np.random.default_rng(seed)
        drawn = np.sort(random.choice(lists, ROWS))
        sample = columns[start[drawn] + _below(random, np.diff(start)[drawn, None], 1)[:, 0]]
        network, many = cls(*_moments(sample), ()), min(BATCH, len(lists))
        model = _model(columns.shape[1], EPOCHS * (len(lists) // many), seed)
        first = np.flatnonzero(taken)
        hits = np.searchsorted(first, start)  # where each list's taken candidates begin
        for _ in range(EPOCHS):
            shuffled = random.permutation(lists)
            for batch in shuffled[: len(lists) // many * many].reshape(-1, many):
                rows = start[batch, None] + _below(random, np.diff(start)[batch, None], DRAWN)
                rows[:, :1] = first[hits[batch, None] + _below(random, np.diff(hits)[batch, None], 1)]
                hit = taken[rows].astype(np.float32)
                model.train_on_batch(network.scaled(columns[rows]), hit / hit.sum(axis=1, keepdims=True))
        learned = [np.asarray(each, np.float32) for each in model.get_weights()]
        return cls(network.mean, network.deviation, tuple(zip(learned[::2], learned[1::2], strict=True)))

    def scaled(self, columns: Floats) -> Floats:
        """(…, columns) deviations from the mean, as far as `OUTLIER`; 0 for NaN."""
        scaled = np.clip((columns - self.mean) / self.deviation, -OUTLIER, OUTLIER, dtype=np.float32)
        return np.nan_to_num(scaled, copy=False)

    def scores(self, columns: Floats) -> Floats:
        """(p,) of `columns` (p, columns); higher stands further up."""
        return self._passed(self.scaled(columns))[-1][:, 0].astype(np.float64)

    def contributions(self, columns: Floats) -> Floats:
        """(p, columns + 1) what each column adds to the score of one whose columns are all at their means, the last.

        By the rescale rule of DeepLIFT (Shrikumar 2017, arXiv:1704.02685): a row's sum is its score.
        """
        inputs = self.scaled(columns)
        at, base = self._passed(inputs), self._passed(np.zeros_like(inputs[:1]))
        times: Floats = np.ones((len(inputs), 1), np.float32)
        for place in reversed(range(len(self.layers))):
            if place < len(self.layers) - 1:
                before, after = at[place] - base[place], np.maximum(at[place], 0) - np.maximum(base[place], 0)
                near = np.abs(before) < LEAST
                times = times * np.where(near, at[place] > 0, after / np.where(near, 1, before)).astype(np.float32)
            times = times @ self.layers[place][0].T
        return np.concatenate([times * inputs, np.broadcast_to(base[-1], (len(inputs), 1))], axis=1, dtype=np.float64)

    def save(self, path: Path) -> None:
        """As an npz file."""
        arrays = [each for layer in self.layers for each in layer]
        np.savez(path, self.mean, self.deviation, *arrays)

    @classmethod
    def load(cls, path: Path) -> Listwise:
        """What `save` wrote."""
        with np.load(path) as file:
            mean, deviation, *arrays = (file[f"arr_{n}"] for n in range(len(file.files)))
        return cls(mean, deviation, tuple(zip(arrays[::2], arrays[1::2], strict=True)))

    def _passed(self, inputs: Floats) -> list[Floats]:
        """What each layer makes of `inputs` (p, in), before its activation."""
        passed: list[Floats] = []
        for weights, added in self.layers:
            passed.append((np.maximum(passed[-1], 0) if passed else inputs) @ weights + added)
        return passed


def _moments(rows: Floats) -> tuple[Floats, Floats]:
    """(columns,) mean and deviation of what is known of each; 0 and 1 of a column that says nothing."""
    known = np.isfinite(rows)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, rows, 0).sum(axis=0, dtype=np.float64) / count
    deviation = np.sqrt((np.where(known, rows - mean, 0) ** 2).sum(axis=0) / count)
    return mean.astype(np.float32), np.where(deviation > LEAST, deviation, 1).astype(np.float32)


def _model(columns: int, steps: int, seed: int) -> Any:
    """A Keras model: (lists, candidates, columns) → (lists, candidates) scores."""
    import keras  # which takes seconds, and only who learns needs it
    from keras import layers

    stack = [keras.Input((None, columns))]
    for place, width in enumerate((*HIDDEN, 1)):
        if place:
            stack.append(layers.Dropout(DROPOUT, seed=seed + place))
        drawn = keras.initializers.GlorotUniform(seed + place)
        stack.append(layers.Dense(width, "relu" if place < len(HIDDEN) else None, kernel_initializer=drawn))
    model = keras.Sequential([*stack, layers.Reshape((-1,))])
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=DECAY)
    model.compile(optimizer, keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=False)
    return model


def _below(random: np.random.Generator, limit: Ints, many: int) -> Ints:
    """(q, many) whole numbers from 0 up to, and without, `limit` (q, 1)."""
    return (random.random((len(limit), many)) * limit).astype(np.int64)
