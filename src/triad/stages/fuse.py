"""Stage `fuse`: calibrate the members, fit their weights on the fusion window, and pack them into one model."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from triad.artifacts import ARTIFACTS, replacing
from triad.config.members import RECIPES
from triad.errors import TriadError
from triad.examples.dataset import load
from triad.fusion.fitting import fit_fusion
from triad.members.bench import Bench
from triad.members.pretrained import item_vectors
from triad.members.protocol import Member
from triad.members.registry import load_member, make_member, of_use

if TYPE_CHECKING:
    from triad.config.params import Params

log = logging.getLogger("triad.fuse")


def fuse(params: Params) -> None:
    """artifacts/features + the members' folders → artifacts/fuse."""
    log.info("%s · %s · %s", params.fuse, params.text, params.images)
    started, target = time.monotonic(), ARTIFACTS / "fuse"
    data = load(ARTIFACTS / "features")
    bench = Bench(data, params, partial(item_vectors, ARTIFACTS / "pretrain", data), _made)
    members = {
        name: make_member(name, bench) if RECIPES[name].stage == "fuse" else _made(name)
        for name in of_use(params.fuse.members, params.tasks)
    }
    fused = fit_fusion(data, members, params.tasks, params.fuse)
    with replacing(target) as folder:
        fused.save(folder)
    for task, record in fused.record.items():
        weights = " ".join(f"{name} {weight:.2f}" for name, weight in fused.weights[task].items() if weight)
        gain, serves = record["gain"], "the best alone serves" if record["fallback"] else "the fusion serves"
        if record.get("reranked", {}).get("serves"):
            serves = "re-ranked lists serve"
        if record.get("corrected", {}).get("serves"):
            serves = "the corrected fusion serves"
        log.info(
            "%s: %s · %s %.5f · gain in %s over %s %.5f [%.5f, %.5f] · %s",
            *(task, weights, record["loss"], record["served"], record["judged_by"], record["best"]),
            *(gain["value"], gain["low"], gain["high"], serves),
        )
    log.info("%d members, %d tasks · %.1f s · %s", len(members), len(fused.record), time.monotonic() - started, target)


def _made(name: str) -> Member:
    """The member called `name`, which another stage made."""
    recipe = RECIPES[name]
    path = ARTIFACTS / recipe.stage / recipe.folder
    if not path.is_dir():
        mend = f"run the stage {recipe.stage} first"
        raise TriadError(f"member {name!r} was not fitted", where=str(path), mend=mend)
    return load_member(name, path)
