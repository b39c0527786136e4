"""Stage `profile`: boosted trees on a user's history and the pretrained item vectors.

With `profile.stacked` it also fits trees that read the similarity member's scores.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from triad.members.of_stage import write_members
from triad.members.registry import make_members

if TYPE_CHECKING:
    from triad.config.params import Params

log = logging.getLogger("triad.profile")


def profile(params: Params) -> None:
    """artifacts/features + artifacts/pretrain → artifacts/profile."""
    log.info("%s", params.profile)
    write_members("profile", params, lambda bench: make_members("profile", bench))
