"""Items without history in the lists of the pretrained network, by what its item tower reads.

`python benchmarks/cold_items.py --variant VARIANT … [--seeds N] [--id-dropout P …]` in a folder whose stage `ingest`
ran. A variant is `ids` (neither words nor vectors), `words` (titles' words, as by default), or an encoder beside the
words: `minilm`, `scratch`, `images`, or a folder with an encoder's files. Each makes its own features, trains on the
train days and is asked on `--split`. An item is *cold* if train has no interaction of it and *new* if the log has none
before the split. For interactions of cold, new and all items it prints the share in the first 10 and the first 100 of
the catalogue, and the mean cross-entropy, each with a 95 % interval over users of the mean over seeds, and less the
first variant, paired.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np

from triad.artifacts import TABLES
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
CUTS = (10, 100)


def examples(params: Params, variant: str) -> Dataset:
    """The night's, as `variant` reads them."""
    window = (params.ingest.as_of - timedelta(days=params.ingest.window_days), params.ingest.as_of)
    names = () if variant in PLAIN else ("image",) if variant == "images" else ("text",)
    text = params.text.model_copy(update={"encoder": variant})
    with connect(TABLES) as session:
        chosen = partial(ItemVectors.chosen, names, text, params.images)
        data, _ = fit(session, params.features, params.tasks, window, vectors=chosen)
    if variant == "ids":
        data = data.replaced(items=_without_words(data.items))
    return data


def _without_words(items):
    from dataclasses import replace

    return replace(items, tokens=np.zeros_like(items.tokens))


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", nargs="+", default=["words"])
    parser.add_argument("--id-dropout", nargs="+", type=float, default=[0.0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--split", default="validation", choices=SPLITS[1:])
    asked = parser.parse_args()
    params = load(Path("params.yaml"))
    runtime = settle(RuntimeParams(), 1)
    first: dict[str, np.ndarray] = {}
    for variant in asked.variant:
        data = examples(params, variant)
        wanted = targets(data, asked.split)
        began = data.meta.windows[asked.split][0]
        count = len(data.items.item_id)
        in_train = np.bincount(data.streams.item[np.asarray(data.streams.split) == 0], minlength=count)
        before = np.bincount(data.streams.item[np.asarray(data.streams.time) < began], minlength=count)
        parts = {"cold": in_train == 0, "new": before == 0, "all": before >= 0}
        for dropout in asked.id_dropout:
            trunk = params.pretrain.trunk.model_copy(update={"id_dropout": dropout})
            told = []
            start = time.monotonic()
            for seed in range(1, asked.seeds + 1):
                epochs = asked.epochs or params.pretrain.max_epochs
                changed = {"trunk": trunk, "seed": seed, "max_epochs": epochs}
                dials = params.pretrain.model_copy(update=changed)
                member, _ = pretrain_network(data, dials, runtime)
                place, loss = map(np.concatenate, zip(*places(member, data, wanted), strict=True))
                told.append([*(place <= cut for cut in CUTS), loss])
            values = np.mean(told, axis=0)
            name = Path(variant).name if variant not in PLAIN else variant
            print(f"{name}, id_dropout {dropout:g}, {asked.seeds} seeds, {time.monotonic() - start:.0f} s", flush=True)
            for part, among in parts.items():
                rows = among[wanted.item]
                if not rows.any():
                    continue
                user = wanted.user[rows]
                print(f"  {part}: {rows.sum():,} interactions of {len(np.unique(user)):,} users")
                for nth, figure in enumerate((*(f"in the first {cut}" for cut in CUTS), "cross-entropy")):
                    own = values[nth][rows]
                    key = f"{part} {figure}"
                    less = "" if key not in first else f", less the first variant {shown(own - first[key], user)}"
                    first.setdefault(key, own)
                    print(f"    {figure} {shown(own, user)}{less}", flush=True)


if __name__ == "__main__":
    main()
