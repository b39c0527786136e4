"""A study's examples for the peers: the same rows, splits and labels, as plain arrays.

    python benchmarks/peers/export.py STUDY FILE.npz

Of each exposure: `dense` (n, context) raw with NaN where unknown, `sparse` (n, columns) rows of vocabularies (the
user's attributes, the item and its category, brand and price bin), the place of its split, its user, and the labels of
the binary tasks. Run it from the checkout after `triad ablations run STUDY`.
"""

from __future__ import annotations

import numpy as np
from asked import FOLDER, asked

from triad.ablations.spec import Study
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


def export(study: Study, data: Dataset) -> dict[str, np.ndarray]:
    """All arrays of the file."""
    tasks = [
        name for name, task in study.tasks.items() if KINDS[task.kind].is_event and name in data.meta.tasks["exposures"]
    ]
    given = [study.tasks[name].given or "" for name in tasks]
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
    found = export(study, load(FOLDER / "data" / name / study.market))
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez(target, **found)
    print({name: array.shape for name, array in found.items()})


if __name__ == "__main__":
    main()
