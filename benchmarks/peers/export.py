"""A study's examples for the peers: the same rows, splits and labels, as plain arrays.

    python benchmarks/peers/export.py STUDY FILE.npz

Of each exposure: `dense` (n, context) raw with NaN where unknown, `sparse` (n, columns) rows of vocabularies (the
user's attributes, the item and its category, brand and price bin), the place of its split, its user, and the labels of
the binary tasks. Run it from the checkout after `triad ablations run STUDY`. `speed.py` also writes `history`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from asked import FOLDER, asked

from triad.config.tasks import TaskParams
from triad.examples.dataset import Dataset, load
from triad.features.dataset import SPLITS
from triad.kinds import KINDS

PRICES = 20
"""Equal-mass bins of the catalogue's prices."""


def columns(data: Dataset) -> dict[str, np.ndarray]:
    """(n,) the rows of vocabularies that an exposure names."""
    user, item = np.asarray(data.exposures.user), np.asarray(data.exposures.item)
    known = data.items
    price = np.asarray(known.log_price)
    found = {
        "item": np.asarray(known.vocabulary_row)[item],
        "brand": np.asarray(known.brand)[item],
        "price": np.searchsorted(np.quantile(price, np.linspace(0, 1, PRICES + 1)[1:-1]), price)[item],
    }
    found |= {f"category_{level}": rows[item] for level, rows in enumerate(np.asarray(known.category).T)}
    return found | {f"attribute_{place}": rows[user] for place, rows in enumerate(np.asarray(data.users.attributes).T)}


def history(data: Dataset, steps: int) -> np.ndarray:
    """(n, steps, 2) of the interactions before an exposure, the last of them at the end: the item's row of its
    vocabulary and the kind of event; 0 where there were fewer."""
    user, count = np.asarray(data.exposures.user), np.asarray(data.exposures.history)
    place = count[:, None] + np.arange(-steps, 0)
    at = np.where(place >= 0, np.asarray(data.streams.offsets)[user][:, None] + place, 0)
    rows = np.asarray(data.items.vocabulary_row)[np.asarray(data.streams.item)]
    read = np.stack([rows[at], np.asarray(data.streams.kind)[at]], axis=2).astype(np.int32)
    return np.where(place[:, :, None] >= 0, read, 0)


def export(known: Mapping[str, TaskParams], data: Dataset) -> dict[str, np.ndarray]:
    """All arrays of the file but `history`."""
    tasks = [name for name, task in known.items() if KINDS[task.kind].is_event and name in data.meta.tasks["exposures"]]
    given = [known[name].given or "" for name in tasks]
    sparse = columns(data)
    return {
        "dense": np.asarray(data.exposures.context, np.float32),
        "sparse": np.stack([*sparse.values()], axis=1).astype(np.int32),
        "sparse_names": np.array([*sparse]),
        "split": np.asarray(data.exposures.split),
        "user": np.asarray(data.exposures.user),
        "labels": np.stack([data.labels(name) for name in tasks], axis=1).astype(np.float32),
        "tasks": np.array(tasks),
        "given": np.array(given),
        "splits": np.array(SPLITS),
    }


def main() -> None:
    name, study, target = asked(__doc__, "target")
    found = export(study.tasks, load(FOLDER / "data" / name / study.market))
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez(target, **found)
    print({name: array.shape for name, array in found.items()})


if __name__ == "__main__":
    main()
