"""Stage `profile`: boosted trees on a user's history and the pretrained item vectors.

With `profile.informed` it also fits trees that read the similarity member's scores.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from triad.artifacts import ARTIFACTS, replacing
from triad.examples.dataset import load
from triad.members.pretrained import item_vectors
from triad.members.stacked_trees import Informed
from triad.members.trees import Profile

if TYPE_CHECKING:
    from triad.config.params import Params

log = logging.getLogger("triad.profile")


def profile(params: Params) -> None:
    """artifacts/features + artifacts/pretrain → artifacts/profile."""
    log.info("%s", params.profile)
    started, target = time.monotonic(), ARTIFACTS / "profile"
    data = load(ARTIFACTS / "features")
    vectors = item_vectors(ARTIFACTS / "pretrain", data)
    member, sister = Profile.fit(data, vectors, params.tasks, params.profile), None
    if params.profile.informed:
        sister = Informed.fit(data, vectors, params.tasks, params.profile, params.similarity)
    with replacing(target) as folder:
        member.save(folder)
        if sister is not None:
            sister.save(folder / "informed")
    log.info("tasks %s · %.1f s · %s", ", ".join(member.tasks), time.monotonic() - started, target)
