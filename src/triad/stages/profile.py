"""Stage `profile`: boosted trees on a user's history and the pretrained item vectors.

With `profile.stacked` it also fits trees that read the similarity member's scores.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from triad.artifacts import ARTIFACTS, replacing
from triad.config.members import RECIPES
from triad.examples.dataset import load
from triad.members.bench import Bench
from triad.members.pretrained import item_vectors
from triad.members.registry import make_members

if TYPE_CHECKING:
    from triad.config.params import Params

log = logging.getLogger("triad.profile")


def profile(params: Params) -> None:
    """artifacts/features + artifacts/pretrain → artifacts/profile."""
    log.info("%s", params.profile)
    started, target = time.monotonic(), ARTIFACTS / "profile"
    data = load(ARTIFACTS / "features")
    members = make_members("profile", Bench(data, params, partial(item_vectors, ARTIFACTS / "pretrain", data)))
    with replacing(target) as folder:
        for name, member in members.items():
            member.save(folder / RECIPES[name].folder)
    log.info("%s · %.1f s · %s", ", ".join(members), time.monotonic() - started, target)
