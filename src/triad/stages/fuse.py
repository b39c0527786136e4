"""Stage `fuse`: calibrate the members, fit their weights on the fusion window, and pack them into one model."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from triad.artifacts import ARTIFACTS, replacing
from triad.errors import TriadError
from triad.examples.dataset import load
from triad.fusion.fitting import fit_fusion
from triad.members.item_similarity import Similarity
from triad.members.linear import WEIGHTS
from triad.members.logistic import Logistic
from triad.members.popularity import Popularity
from triad.members.protocol import Member
from triad.members.registry import load_member

if TYPE_CHECKING:
    from triad.config.params import Params

log = logging.getLogger("triad.fuse")
ASKED_FOR: dict[str, str] = dict.fromkeys(WEIGHTS, "name it in similarity.linear.members")
ASKED_FOR["informed"] = "set profile.informed"
"""Members in a folder of their own below their stage's, and what makes them."""
MADE_BY: dict[str, str] = {"item_knn": "similarity", "informed": "profile"} | dict.fromkeys(WEIGHTS, "similarity")
"""Stages that are not called as the member."""


def fuse(params: Params) -> None:
    """artifacts/features + the members' folders → artifacts/fuse."""
    log.info("%s", params.fuse)
    started, target = time.monotonic(), ARTIFACTS / "fuse"
    data = load(ARTIFACTS / "features")
    members: dict[str, Member] = {}
    for name in params.fuse.members:
        if name == "popularity":
            members[name] = Popularity.fit(data, params.tasks)
            continue
        if name == "logistic":
            members[name] = Logistic.fit(data, params.tasks)
            continue
        stage = MADE_BY.get(name, name)
        path = ARTIFACTS / stage / name if name in ASKED_FOR else ARTIFACTS / stage
        if not path.is_dir():
            wanted = f"run the stage {stage} first"
            mend = f"{ASKED_FOR[name]}; {wanted}" if name in ASKED_FOR else wanted
            raise TriadError(f"member {name!r} was not fitted", where=str(path), mend=mend)
        members[name] = Similarity.load(path).item_knn() if name == "item_knn" else load_member(name, path)
    fused = fit_fusion(data, members, params.tasks, params.fuse)
    with replacing(target) as folder:
        fused.save(folder)
    for task, record in fused.record.items():
        weights = " ".join(f"{name} {weight:.2f}" for name, weight in fused.weights[task].items() if weight)
        gain, serves = record["gain"], "the best alone serves" if record["fallback"] else "the fusion serves"
        log.info(
            "%s: %s · %s %.5f · gain in %s over %s %.5f [%.5f, %.5f] · %s",
            *(task, weights, record["loss"], record["served"], record["judged_by"], record["best"]),
            *(gain["value"], gain["low"], gain["high"], serves),
        )
    log.info("%d members, %d tasks · %.1f s · %s", len(members), len(fused.record), time.monotonic() - started, target)
