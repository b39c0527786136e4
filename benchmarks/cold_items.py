"""Items without history in the lists of the pretrained network, by what its item tower reads.

`python benchmarks/cold_items.py --variant VARIANT[:P] … [--seeds N …]` in a folder whose stage `ingest` ran. A variant
is `ids` (neither words nor vectors), `words` (titles' words, as by default), or an encoder beside the words: `minilm`,
`scratch`, `images`, or a folder with an encoder's files; P is `pretrain.trunk.id_dropout`. Each makes its own features,
trains on the train days and is asked on `--splits`. An item is *cold* if train has no interaction of it and *new* if
the log has none before the split. For interactions of cold, new and all items it prints the share in the first 10 and
the first 100 of the catalogue, and the mean cross-entropy, each with a 95 % interval over users of the mean over seeds,
and less the first variant, paired. What a network gave is kept in `--values` and not made again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from triad.artifacts import ARTIFACTS
from triad.config.params import Params, load
from triad.config.runtime import RuntimeParams
from triad.examples.dataset import Dataset
from triad.features.build import fit
from triad.features.dataset import SPLITS
from triad.features.vectors import ItemVectors
from triad.members.sequence import Sequence
from triad.statistics.bootstrap import draw, interval
from triad.tables import connect
from triad.training.pretraining import BLOCK, pretrain_network
from triad.training.pretraining_feeds import Targets, targets
from triad.training.runtime import settle

PLAIN = ("ids", "words")
KNOWN = (*PLAIN, "minilm", "scratch", "images")
CUTS = (10, 100)


def examples(params: Params, variant: str) -> Dataset:
    """The night's, as `variant` reads them."""
    window = (params.ingest.as_of - timedelta(days=params.ingest.window_days), params.ingest.as_of)
    names = () if variant in PLAIN else ("image",) if variant == "images" else ("text",)
    text = params.text.model_copy(update={"encoder": variant})
    with connect(ARTIFACTS / "ingest" / "tables") as session:
        chosen = partial(ItemVectors.chosen, names, text, params.images)
        data, _ = fit(session, params.features, params.tasks, window, vectors=chosen)
    if variant == "ids":
        data = data.replaced(items=replace(data.items, tokens=np.zeros_like(data.items.tokens)))
    return data


def places(member: Sequence, data: Dataset, asked: Targets) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of blocks of `asked`: the place of the item in the list, from 1, ties against it, and its cross-entropy."""
    items = member.scorer.items(data)
    for start in range(0, len(asked.item), BLOCK):
        part = slice(start, start + BLOCK)
        logits = member.logits(data, asked.user[part], asked.history[part], items)
        own = logits[np.arange(len(logits)), asked.item[part]]
        most = logits.max(axis=1)
        total = most + np.log(np.exp(logits - most[:, None]).sum(axis=1))
        yield (logits >= own[:, None]).sum(axis=1), total - own


def shown(values: np.ndarray, user: np.ndarray) -> str:
    """The mean of `values` (n,) with its interval over users."""
    _, cluster = np.unique(user, return_inverse=True)
    sums = draw(int(cluster.max()) + 1, 1000, 1).totals(cluster, np.stack([values, np.ones(len(values))], axis=1))
    low, high = interval(sums[:, 0] / np.maximum(sums[:, 1], 1), 0.95)
    return f"{values.mean():.4f} [{low:.4f}, {high:.4f}]"


def answers(member: Sequence, data: Dataset, wanted: Targets) -> np.ndarray:
    """(figures, n) of `wanted`."""
    place, loss = map(np.concatenate, zip(*places(member, data, wanted), strict=True))
    return np.stack([*(place <= cut for cut in CUTS), loss])


def trained(params: Params, data: Dataset, runtime: Any, kept: dict[str, Path]) -> dict[str, np.ndarray]:
    """Split → what a network of these params answers; read where it was `kept`."""
    if all(path.is_file() for path in kept.values()):
        return {split: np.load(path) for split, path in kept.items()}
    start = time.process_time()
    member, _ = pretrain_network(data, params.pretrain, runtime)
    print(f"{time.process_time() - start:.0f} s of the processor", flush=True)
    found = {split: answers(member, data, targets(data, split)) for split in kept}
    for split, path in kept.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, found[split])
    return found


def tell(data: Dataset, split: str, values: np.ndarray, first: dict[str, np.ndarray]) -> None:
    """Print the figures of `values` (figures, n) and what they are less those of the first variant."""
    wanted, time_, count = targets(data, split), np.asarray(data.streams.time), len(data.items.item_id)
    in_train = np.bincount(data.streams.item[np.asarray(data.streams.split) == 0], minlength=count)
    before = np.bincount(data.streams.item[time_ < data.meta.windows[split][0]], minlength=count)
    for part, among in {"cold": in_train == 0, "new": before == 0, "all": before >= 0}.items():
        rows = among[wanted.item]
        if not rows.any():
            continue
        user = wanted.user[rows]
        print(f"  {part}: {rows.sum():,} interactions of {len(np.unique(user)):,} users")
        for nth, figure in enumerate((*(f"in the first {cut}" for cut in CUTS), "cross-entropy")):
            own, key = values[nth][rows], f"{split} {part} {figure}"
            less = "" if key not in first else f", less the first variant {shown(own - first[key], user)}"
            first.setdefault(key, own)
            print(f"    {figure} {shown(own, user)}{less}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", nargs="+", default=["words"], help="VARIANT[:P], P the share of hidden ids")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--splits", nargs="+", default=["validation"], choices=SPLITS[1:])
    parser.add_argument("--values", type=Path, default=Path("runs/cold_items"))
    asked = parser.parse_args()
    params, runtime = load(Path("params.yaml")), settle(RuntimeParams(), 1)
    epochs = asked.epochs or params.pretrain.max_epochs
    first: dict[str, np.ndarray] = {}
    for each in asked.variant:
        variant, _, hidden = each.partition(":")
        data = examples(params, variant)
        trunk = params.pretrain.trunk.model_copy(update={"id_dropout": float(hidden or 0)})
        name = f"{variant if variant in KNOWN else 'folder'}, id_dropout {float(hidden or 0):g}"
        told = []
        for seed in asked.seeds:
            dials = params.pretrain.model_copy(update={"trunk": trunk, "seed": seed, "max_epochs": epochs})
            kept = {s: asked.values / f"{s}, {name}, {epochs} epochs, seed {seed}.npy" for s in ("validation", "test")}
            told.append(trained(params.model_copy(update={"pretrain": dials}), data, runtime, kept))
        for split in asked.splits:
            print(f"{split}, {name}, seeds {asked.seeds}", flush=True)
            tell(data, split, np.mean([one[split] for one in told], axis=0), first)


if __name__ == "__main__":
    main()
