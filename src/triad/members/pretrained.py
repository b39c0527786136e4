"""The item vectors of the stage `pretrain`, for the other members."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from triad.arrays import Floats
from triad.errors import TriadError
from triad.examples.dataset import Dataset


def item_vectors(folder: Path, data: Dataset) -> Floats:
    """(n_items, dim) pretrained vectors in the catalogue rows of `data`.

    Raises:
        TriadError: the file is missing, or holds no finite vector for each item of this catalogue.
    """
    path = folder / "embeddings.npy"
    mend = "run the stages features and pretrain again, in this order"
    if not path.is_file():
        raise TriadError("no such file", where=str(path), mend=mend)
    vectors = np.asarray(np.load(path, allow_pickle=False))
    items = len(data.items.item_id)
    if vectors.ndim != 2 or len(vectors) != items or not np.isfinite(vectors).all():
        raise TriadError(
            f"expected {items} finite item vectors, found shape {vectors.shape}", where=str(path), mend=mend
        )
    return vectors.astype(np.float32)
