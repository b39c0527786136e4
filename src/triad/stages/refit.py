"""Stage `refit`: the model that serves. Every member is fitted on all days, with what the evaluated ones chose.

It runs before the verdict and reads none, so that one verdict says all: the gate judges the evaluated twin on days that
it never saw, and lets it serve as refitted only if the refitted one answers alike (`evaluation/refit_health.py`).

In a full night it also rehearses: members that learned the days before a window are asked about its lists, and the
re-ranker learns their order anew. In a light night it goes on from what the last full night refitted, re-ranker
included, and the twin is that night's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from triad.artifacts import ARTIFACTS, TABLES, need, read_json, replacing, write_json
from triad.evaluation import newest_days
from triad.evaluation.refit_health import Side, doubts, figures
from triad.examples import dataset
from triad.features import build
from triad.features.champion import FUSE, REFIT, STATE, Champion, origins
from triad.features.splits import Windows, last_train_day, windows
from triad.features.state import State
from triad.features.stores import store
from triad.fusion import rehearsal
from triad.fusion.fused import Fused
from triad.members.bench import Bench
from triad.members.sequence import Sequence
from triad.spark.engine import log_of
from triad.tables import connect
from triad.texts import Texts
from triad.training.again import STAGE, Again, Evaluated, in_turn
from triad.training.checkpoints import forget
from triad.training.runtime import Runtime, settle
from triad.training.warm import initial_model

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from triad.config.params import Params
    from triad.examples.dataset import Dataset

OUTPUT = ARTIFACTS / "refit"
CHAMPION = ARTIFACTS / "champion"

log = logging.getLogger("triad.refit")


@dataclass(frozen=True)
class Start:
    """The model that is taught all days, and its evaluated twin."""

    state: State
    fused: Fused
    sequence: Path  # the pretrained network
    judged: State
    twin: Fused
    rows: Callable[[duckdb.DuckDBPyConnection], Dataset]  # as the twin reads the tables


def refit(params: Params) -> None:
    """artifacts/features + artifacts/fuse + the tables → artifacts/refit: `state/`, `fuse/`, `health.json`.

    A light night reads artifacts/champion in place of the first two. `pretrain/` is the network whose item vectors the
    members read, for the next light night.

    Raises:
        TriadError: an artifact is missing, or the device asked for is not there.
    """
    started = time.monotonic()
    runtime = settle(params.runtime, params.refit.seed)
    sections = params.refit, params.similarity, params.profile, params.text, params.images
    log.info("%s · %s · %s · %s · %s · %s", *sections, runtime)
    light = params.retraining.night == "light"
    window = (params.ingest.as_of - timedelta(days=params.ingest.window_days), params.ingest.as_of)
    start = _light(windows(*window, params.features.split_days)) if light else _full()
    continues = light or params.refit.networks == "continue"  # what trains anew is a full night's
    grown = Champion(0, start.state.meta, start.state.vocabularies)
    read = [*window, params.features, params.tasks, asdict(grown)]
    with replacing(OUTPUT) as folder, store("refit", TABLES, read) as kept:
        with connect(TABLES, also=[kept]) as session:
            with log_of(params, session, TABLES, kept) as events:
                data, fresh = build.fit(
                    *(session, params.features, params.tasks, window, grown),
                    hold_out=False,
                    like=start.state,
                    store=kept,
                    vectors=lambda _: start.state.vectors,  # those that the networks know
                    log=events,
                )
            twin = Side(start.twin, start.rows(session), Texts.of(sorted(start.judged.warm_items)))
        fresh.save(folder / "state")
        anew = {} if continues else _chosen(params, data, folder / "state")
        rows = origins(start.state.vocabularies, fresh.vocabularies)
        since = start.state.meta.windows["train"][1]
        evaluated = Evaluated(lambda: Sequence.load(need(start.sequence)), since, rows, continues, **anew)
        fused, taught = start.fused, None
        if params.refit.rehearse and continues and not light and fused.reranker is not None:
            fused, taught = _rehearsed(start, twin.data, data, params, runtime=runtime, evaluated=evaluated)
        networks = Again(data, params, runtime, evaluated, taught)
        bench = _bench(data, params, networks)
        keeps = params.refit.light_keeps if light else ()
        refitted = _refitted(fused, bench, keeps)
        refitted.save(folder / "fuse")
        if networks.taught is not None:
            networks.taught.save(folder / "pretrain")
        served = Side(refitted, data, Texts.of(sorted(fresh.warm_items)))
        health = figures(twin, served, params.tasks, params.refit.health, params.refit.seed)
        unfit = doubts(health, params.refit.health)
        newest = newest_days.agreement(data.streams, since, fresh.meta.windows["train"][1]) if light else {}
        unfit += newest_days.doubts(newest, params.refit.health.min_days_agreement)
        days = {"evaluated": last_train_day(start.judged.meta.windows), "refitted": last_train_day(fresh.meta.windows)}
        told = {"figures": health, "newest_days": newest, "doubts": unfit, "learned_until": days}
        write_json(folder / "health.json", told)
    forget(STAGE)
    log.info("%s · %.1f s · %s", "; ".join(unfit) or "healthy", time.monotonic() - started, OUTPUT)


def _refitted(fused: Fused, bench: Bench, keeps: Collection[str]) -> Fused:
    """`fused` with the members that serve fitted again, but for those it `keeps`."""
    needed = fused.kept()
    taught = replace(fused, members={name: fused.members[name] for name in needed if name not in keeps}).refit(bench)
    return replace(taught, members={name: taught.members.get(name) or fused.members[name] for name in needed})


def _rehearsed(
    start: Start, held_out: Dataset, data: Dataset, params: Params, *, runtime: Runtime, evaluated: Evaluated
) -> tuple[Fused, Sequence | None]:
    """The fusion whose re-ranker learned anew, and the pretrained network, which learned all days on the way.

    Each window's lists are asked of members that know the days before it, so the network learns a window at a time.
    """
    fused, spans = start.fused, start.judged.meta.windows
    assert fused.reranker is not None
    params = in_turn(params)
    read = replace(fused, members={name: fused.members[name] for name in fused.reranker.members})
    limits = params.fuse.max_queries, params.fuse.seed
    lists, on = [rehearsal.asked(read, held_out, *limits)], evaluated
    for split in ("fusion", "test"):
        known = rehearsal.before(data, *spans[split])
        networks = Again(known, params, runtime, on)
        read = read.refit(_bench(known, params, networks))
        lists.append(rehearsal.asked(read, known, *limits))
        if networks.taught is not None:
            on = on.later(networks.taught, spans[split][0], data)
    whole = None if on is evaluated else Again(data, params, runtime, on).pretrained()
    return rehearsal.relearned(fused, lists, params.fuse), whole


def _bench(data: Dataset, params: Params, networks: Again) -> Bench:
    """What members are fitted on again."""
    return Bench(data, params, lambda: networks.pretrained().scorer.items(data), networks=networks)


def _full() -> Start:
    """Tonight's evaluated model."""
    features = ARTIFACTS / "features"
    state, fused = State.load(need(features / "state")), Fused.load(need(ARTIFACTS / "fuse"))
    return Start(state, fused, ARTIFACTS / "pretrain", state, fused, lambda _: dataset.load(features))


def _light(tonight: Windows) -> Start:
    """What the last full night refitted. Its twin is asked about tonight's test days."""
    served, judged = need(CHAMPION / REFIT), State.load(need(CHAMPION / STATE))
    asked = replace(judged, meta=replace(judged.meta, windows=tonight))
    return Start(
        *(State.load(served / "state"), Fused.load(served / "fuse"), served / "pretrain"),
        *(judged, Fused.load(CHAMPION / FUSE), lambda session: build.transform(session, asked)),
    )


def _chosen(params: Params, data: Dataset, folder: Path) -> dict[str, Any]:
    """How tonight's networks were trained, to train them so again."""
    finetuned, ends = ARTIFACTS / "finetune" / "metrics.json", "best_epoch"
    metrics = read_json(finetuned) if finetuned.is_file() else {}
    by_unit = {name.removesuffix(ends).rstrip("_"): value for name, value in metrics.items() if name.endswith(ends)}
    pretrained = read_json(need(ARTIFACTS / "pretrain" / "metrics.json"))
    inits = {"pretrain": params.pretrain.init, "finetune": params.finetune.init}
    return {
        "epochs": {"pretrain": {"": pretrained[ends]}, "finetune": by_unit},
        "learned_from_source": bool(metrics.get("learned_from_source")),
        "initial": lambda stage: initial_model(inits[stage], stage, ARTIFACTS, data, folder),
    }
