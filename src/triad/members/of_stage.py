"""The members of a stage: made of what the night has learned before, and written."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from triad.artifacts import ARTIFACTS, replacing
from triad.config.members import RECIPES
from triad.examples.dataset import load
from triad.members.bench import Bench
from triad.members.pretrained import item_vectors
from triad.members.protocol import Member

if TYPE_CHECKING:
    from triad.config.params import Params


def write_members(stage: str, params: Params, make: Callable[[Bench], Mapping[str, Member]]) -> None:
    """artifacts/features + artifacts/pretrain → artifacts/STAGE, a folder a member."""
    started, target = time.monotonic(), ARTIFACTS / stage
    data = load(ARTIFACTS / "features")
    members = make(Bench(data, params, partial(item_vectors, ARTIFACTS / "pretrain", data)))
    with replacing(target) as folder:
        for name, member in members.items():
            member.save(folder / RECIPES[name].folder)
    log = logging.getLogger(f"triad.{stage}")
    log.info("%s · %.1f s · %s", ", ".join(members), time.monotonic() - started, target)
