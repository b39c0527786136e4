"""Stage `similarity`: items near a user's history, from train interactions and the pretrained item vectors."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from triad.members.of_stage import write_members
from triad.members.registry import make_members

if TYPE_CHECKING:
    from triad.config.params import Params

log = logging.getLogger("triad.similarity")


def similarity(params: Params) -> None:
    """artifacts/features + artifacts/pretrain → artifacts/similarity."""
    log.info("%s", params.similarity)
    write_members("similarity", params, lambda bench: make_members("similarity", bench))
