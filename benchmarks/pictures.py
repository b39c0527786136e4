"""Classes from a picture: an image network transferred to products, and the same heads from scratch. Fashion.

    TRIAD_DATASETS=… python benchmarks/pictures.py WEIGHTS.pth [--products 4000] [--shares 0.05 0.2 1] [--final]

Of 12,000 pictures, test is md5(id) mod 5 = 4, validation 3, train the rest. One network with a shared layer learns
seven classes, as the member `product_network` does (`triad.images.taught`): `frozen` reads EfficientNet-lite0 vectors
and counts of colours; `delta` and `full` also teach its last blocks; `scratch` reads the same counts and teaches four
convolutions that start from nothing; `words` is `frozen` with titles. `deep_alone` teaches most blocks on moved and
mirrored pictures (`triad.images.deep`); `deep` mixes it with `frozen`, and `words_deep` with `words`, by shares that
are chosen on validation, also with `--final`. `--products` are drawn once, `--shares` of them a seed. Without
`--final`, train teaches and validation is shown; with it, both teach and test is shown. Intervals: 1,000 resamples of
products, of means over seeds; `above` is the gain over each rival among the parts, paired. Vectors are computed once
and kept in `--store`; what a network said is kept in `--values` and not asked again.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.metrics import f1_score

from triad.arrays import Floats, Ints
from triad.images.deep import best_share, picture_heads
from triad.images.encoder import encoder_of
from triad.images.taught import Heads, Side
from triad.images.vectors import Vectors
from triad.text.bags import Bag
from triad.text.terms import plain

TASKS = ("articleType", "baseColour", "gender", "subCategory", "masterCategory", "season", "usage")
PARTS = ("scratch", "frozen", "delta", "full", "words", "deep_alone", "deep", "words_deep")
MIXED = {"deep": "frozen", "words_deep": "words"}
"""What `deep_alone` is mixed with."""
RIVALS = {"frozen": ("scratch",), "delta": ("scratch",), "full": ("scratch",), "words_deep": ("words",)}
RIVALS |= dict.fromkeys(("deep_alone", "deep"), ("scratch", "frozen"))
DIRECTIONS, RESAMPLES = 128, 1_000


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
        self.label, self.classes = {}, {}
        for task in TASKS:
            known = sorted({row[task] for row in self.rows})
            self.classes[task] = len(known)
            self.label[task] = np.array([known.index(row[task]) for row in self.rows], np.float64)

    def contents(self, rows: Ints) -> list[bytes]:
        """Files' bytes."""
        return [self.pictures.read(f"{self.rows[row]['id']}.jpg") for row in rows]

    def side(self, rows: Ints, weights: Path, transfer: str, store: Path) -> Side:
        """What a network reads of `rows`."""
        encoder = encoder_of(str(weights), "delta" if transfer in ("frozen", "words") else transfer)  # encoded once
        vectors, _ = Vectors(encoder, store).of(self.contents(rows))
        assert encoder.maps is not None
        size = int(np.prod(encoder.maps))
        maps = None if transfer in ("frozen", "words") else vectors[:, -size:].reshape(-1, *encoder.maps)
        return Side(vectors[:, :-size], None if maps is None else maps.astype(np.float16))


def figures(label: Floats, seeds: list[Floats], rivals: dict[str, list[Floats]]) -> dict[str, Any]:
    """Means over seeds of what each alone gets, with intervals; the gain over `rivals`; what the seeds get together."""
    right = np.mean([each.argmax(axis=1) == label for each in seeds], axis=0)
    draws = np.random.default_rng(0).integers(0, len(right), (RESAMPLES, len(right)))

    def held(values: Floats) -> list[float]:
        return [float(values.mean()), *map(float, np.quantile(values[draws].mean(axis=1), [0.025, 0.975]))]

    macro = [
        f1_score(label, e.argmax(axis=1), labels=np.unique(label), average="macro", zero_division=0) for e in seeds
    ]
    told: dict[str, Any] = {"accuracy": held(right), "macro_f1": float(np.mean(macro))}
    told["together"] = float((np.mean(seeds, axis=0).argmax(axis=1) == label).mean())
    above = {rival: np.mean([each.argmax(axis=1) == label for each in them], axis=0) for rival, them in rivals.items()}
    return told | ({"above": {rival: held(right - each) for rival, each in above.items()}} if above else {})


class Answers:
    """What networks say of the judged products. Each is taught once, and what it said is kept."""

    def __init__(self, data: Fashion, choice: argparse.Namespace) -> None:
        self.data, self.choice = data, choice

    def rows(self, final: bool) -> tuple[Ints, Ints]:
        """Products that teach, and those that are judged."""
        data = self.data
        learned = np.concatenate([data.train, data.validation]) if final else data.train
        learned = np.random.default_rng(0).permutation(learned)[: self.choice.products]
        return learned, data.test if final else data.validation

    def of(self, part: str, share: float, seed: int, final: bool) -> tuple[dict[str, Floats], float]:
        """(n, classes) of each task, and the processor's seconds."""
        if part in MIXED:
            (one, first), (other, second) = (self.of(each, share, seed, final) for each in (MIXED[part], "deep_alone"))
            counts = self.shares(MIXED[part], share, seed)
            mixed = {task: (1 - counts[task]) * one[task] + counts[task] * other[task] for task in TASKS}
            return mixed, first + second
        learned, judged = self.rows(final)
        name = f"{part}-{share}-of-{len(learned)}-seed-{seed}-{'test' if final else 'validation'}.npz"
        if not (self.choice.values / name).is_file():
            drawn = np.random.default_rng(seed).permutation(len(learned))[: round(share * len(learned))]
            scores, seconds = self._taught(part, learned[drawn], judged, seed)
            self.choice.values.mkdir(parents=True, exist_ok=True)
            np.savez(self.choice.values / name, seconds=seconds, **scores)
        with np.load(self.choice.values / name) as kept:
            return {task: kept[task] for task in TASKS}, float(kept["seconds"])

    def shares(self, part: str, share: float, seed: int) -> dict[str, float]:
        """Of `deep_alone` beside `part`, by validation."""
        one, other = (self.of(each, share, seed, False)[0] for each in (part, "deep_alone"))
        judged = self.data.validation
        return {task: best_share(one[task], other[task], self.data.label[task][judged]) for task in TASKS}

    def _taught(self, part: str, learned: Ints, judged: Ints, seed: int) -> tuple[dict[str, Floats], float]:
        data, weights = self.data, self.choice.weights
        labels = {task: each[learned] for task, each in data.label.items()}
        transfer = {"words": "frozen", "deep_alone": "deep"}.get(part, part)
        taught, shown = (data.side(rows, weights, transfer, self.choice.store) for rows in (learned, judged))
        started = time.process_time()
        if part == "words":
            taught, shown = _with_titles(data, (taught, shown), (learned, judged))
        if part == "deep_alone":
            shown = Side(shown.maps)
            heads = picture_heads(taught, labels, data.classes, weights=weights, seed=seed)
        else:
            heads = Heads.fit(taught, labels, data.classes, transfer, weights=weights, seed=seed)
        return heads.predict(shown), time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--store", type=Path, default=Path("runs/pictures"))
    parser.add_argument("--values", type=Path, default=Path("runs/picture_scores"), help="what networks said, kept")
    parser.add_argument("--parts", nargs="+", default=list(PARTS[:4]), choices=PARTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--products", type=int, default=4_000, help="that teach, at most")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.05, 0.2, 1.0])
    parser.add_argument("--final", action="store_true", help="teach train and validation, show test; else validation")
    choice = parser.parse_args()
    data = Fashion()
    answers = Answers(data, choice)
    learned, judged = answers.rows(choice.final)
    for part in sorted(choice.parts, key=PARTS.index):
        for share in choice.shares:
            seeds, spent = zip(*(answers.of(part, share, seed, choice.final) for seed in choice.seeds), strict=True)
            rivals = {
                rival: [answers.of(rival, share, seed, choice.final)[0] for seed in choice.seeds]
                for rival in RIVALS.get(part, ())
                if rival in choice.parts
            }
            for task in TASKS:
                others = {rival: [each[task] for each in them] for rival, them in rivals.items()}
                told = figures(data.label[task][judged], [each[task] for each in seeds], others)
                head = {"part": part, "share": share, "products": round(share * len(learned)), "task": task}
                tail: dict[str, Any] = {}
                if part in MIXED:
                    tail["counts"] = [answers.shares(MIXED[part], share, seed)[task] for seed in choice.seeds]
                print(json.dumps(head | told | tail | {"processor_seconds": round(spent[-1])}), flush=True)


def _with_titles(data: Fashion, sides: tuple[Side, Side], rows: tuple[Ints, Ints]) -> list[Side]:
    """With the main directions of titles, fitted on the first."""
    said = [[plain(data.rows[row]["productDisplayName"]) for row in each] for each in rows]
    bag = Bag.fit(said[0])
    svd = TruncatedSVD(min(DIRECTIONS, len(said[0]) - 1), n_iter=3, random_state=1).fit(bag.matrix(said[0]))
    parts = [np.asarray(svd.transform(bag.matrix(each)), np.float32) for each in said]
    return [Side(np.concatenate([side.vector, part], axis=1)) for side, part in zip(sides, parts, strict=True)]


if __name__ == "__main__":
    main()
