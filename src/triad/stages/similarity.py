"""Stage `similarity`: items near a user's history, from train interactions and the pretrained item vectors."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from triad.artifacts import ARTIFACTS, replacing
from triad.examples.dataset import load
from triad.members.item_similarity import Similarity
from triad.members.linear import WEIGHTS, Linear
from triad.members.pretrained import item_vectors

if TYPE_CHECKING:
    from triad.config.params import Params

log = logging.getLogger("triad.similarity")


def similarity(params: Params) -> None:
    """artifacts/features + artifacts/pretrain → artifacts/similarity."""
    log.info("%s", params.similarity)
    started, target = time.monotonic(), ARTIFACTS / "similarity"
    data = load(ARTIFACTS / "features")
    member = Similarity.fit(data, item_vectors(ARTIFACTS / "pretrain", data), params.tasks, params.similarity)
    linear = {
        name: Linear.fit(data, WEIGHTS[name](data, params.similarity.linear), params.similarity)
        for name in params.similarity.linear.members
    }
    with replacing(target) as folder:
        member.save(folder)
        for name, sister in linear.items():
            sister.save(folder / name)
    log.info(
        "%d items, %d neighbours, %s, tasks %s · %.1f s · %s",
        *(len(member.item_id), member.neighbours.nnz, member.blend, ", ".join(member.tasks)),
        *(time.monotonic() - started, target),
    )
