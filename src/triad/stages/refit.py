"""Stage `refit`: the model that serves. Every member is fitted on all days, with what the evaluated ones chose.

It runs before the verdict and reads none, so that one verdict says all: the gate judges the evaluated twin on days that
it never saw, and lets it serve as refitted only if the refitted one answers alike (`evaluation/refit_health.py`).
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triad.artifacts import ARTIFACTS, TABLES, need, read_json, replacing, write_json
from triad.evaluation.refit_health import Side, doubts, figures
from triad.examples import dataset
from triad.features import build
from triad.features.champion import Champion, origins
from triad.features.splits import last_train_day
from triad.features.state import State
from triad.fusion.fused import Fused
from triad.members.bench import Bench
from triad.members.sequence import Sequence
from triad.tables import connect
from triad.texts import Texts
from triad.training.again import STAGE, Again, Evaluated
from triad.training.checkpoints import forget
from triad.training.runtime import settle
from triad.training.warm import initial_model

if TYPE_CHECKING:
    from triad.config.params import Params

OUTPUT = ARTIFACTS / "refit"

log = logging.getLogger("triad.refit")


def refit(params: Params) -> None:
    """artifacts/features + artifacts/fuse + the tables → artifacts/refit: `state/`, `fuse/`, `health.json`.

    Raises:
        TriadError: an artifact is missing, or the device asked for is not there.
    """
    started = time.monotonic()
    runtime = settle(params.runtime, params.refit.seed)
    log.info("%s · %s · %s · %s", params.refit, params.similarity, params.profile, runtime)
    state, twin = State.load(need(ARTIFACTS / "features" / "state")), Fused.load(need(ARTIFACTS / "fuse"))
    window = (params.ingest.as_of - timedelta(days=params.ingest.window_days), params.ingest.as_of)
    with connect(TABLES) as session:
        grown = Champion(0, state.meta, state.vocabularies)
        data, fresh = build.fit(session, params.features, params.tasks, window, grown, hold_out=False)
    with replacing(OUTPUT) as folder:
        fresh.save(folder / "state")
        evaluated = _evaluated(params, data, state, fresh, folder / "state")
        networks = Again(data, params, runtime, evaluated)
        bench = Bench(data, params, lambda: networks.sequence(evaluated.sequence).scorer.items(data), networks=networks)
        refitted = twin.refit(bench)
        refitted.save(folder / "fuse")
        sides = (
            Side(twin, dataset.load(ARTIFACTS / "features"), Texts.of(sorted(state.warm_items))),
            Side(refitted, data, Texts.of(sorted(fresh.warm_items))),
        )
        found = figures(*sides, params.tasks, params.refit.health, params.refit.seed)
        unfit = doubts(found, params.refit.health)
        days = {"evaluated": last_train_day(state.meta.windows), "refitted": last_train_day(fresh.meta.windows)}
        write_json(folder / "health.json", {"figures": found, "doubts": unfit, "learned_until": days})
    forget(STAGE)
    log.info("%s · %.1f s · %s", "; ".join(unfit) or "healthy", time.monotonic() - started, OUTPUT)


def _evaluated(params: Params, data: dataset.Dataset, state: State, fresh: State, folder: Path) -> Evaluated:
    finetuned = ARTIFACTS / "finetune" / "metrics.json"
    metrics = read_json(finetuned) if finetuned.is_file() else {}
    ends = "best_epoch"
    by_unit = {name.removesuffix(ends).rstrip("_"): value for name, value in metrics.items() if name.endswith(ends)}
    pretrained = read_json(need(ARTIFACTS / "pretrain" / "metrics.json"))
    inits = {"pretrain": params.pretrain.init, "finetune": params.finetune.init}

    def initial(stage: str) -> Any:
        return initial_model(inits[stage], stage, ARTIFACTS, data, folder)

    return Evaluated(
        sequence=Sequence.load(need(ARTIFACTS / "pretrain")),
        since=state.meta.windows["train"][1],
        rows=origins(state.vocabularies, fresh.vocabularies),
        epochs={"pretrain": {"": pretrained["best_epoch"]}, "finetune": by_unit},
        learned_from_source=bool(metrics.get("learned_from_source")),
        initial=initial,
    )
