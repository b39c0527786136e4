"""Nights of a shop, one after another, and what each night's models answer of the days that follow it.

A full night runs the stages up to `fuse` from nothing, but for `validate`: no row is set aside; then `refit`. A light
night goes on from the last full one, as the stage `refit` does in the product. Or a workspace of the pipeline is the
evaluated model, and the nights are those of its test days, which it never saw. All lie below one folder, so that a
killed run goes on. What nights are worth is measured elsewhere (`freshness.py`).
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from triad.arrays import Bools, Floats, Ints
from triad.config.members import RECIPES
from triad.config.params import Params, parse
from triad.examples.dataset import Dataset
from triad.features.dataset import SPLITS
from triad.features.splits import Windows, split_of
from triad.features.streams import lists
from triad.kinds import KINDS
from triad.ranking import ranking_values, target_ranks
from triad.tasks import LABELS

if TYPE_CHECKING:
    from triad.evaluation.window import Window
    from triad.features.state import State
    from triad.fusion.candidates import Queries
    from triad.fusion.fused import Fused

TWIN, LEFT, STALE, NIGHT, K = "twin", "left", "stale", "night.json", 10
MADE = ("champion", "features", "pretrain", "finetune", "similarity", "profile", "fuse")

Answers = dict[str, np.ndarray]
"""`<task>.<user, label, score, new, night>` (n,); a ranking's score is (n, 4) as `ranking_values`, beside its `shown`,
the share of the first ten places that new items have."""


@dataclass(frozen=True)
class Night:
    """One night of a shop."""

    folder: Path
    base: Path  # the folder with the evaluated model; the night's own, if it is to be made here
    start: Path  # the folder of the night whose refitted model this one goes on from; its own: from the evaluated one
    params: Params
    number: int  # nights since that full one, 0 for itself

    @property
    def held_out(self) -> int:
        """µs before `as_of` in which an item is new: the days that a full night's members do not learn."""
        days = self.params.features.split_days
        return (days.validation + days.fusion + days.test) * 86_400_000_000


def load_night(folder: Path) -> Night:
    """The night that `make` made in `folder`."""
    told = json.loads((folder / NIGHT).read_text())
    params = parse(told["params"], str(folder))
    return Night(folder, Path(told["base"]), Path(told["start"]), params, told["number"])


def run_stage(name: str, params: Params) -> None:
    """One stage in this folder."""
    getattr(importlib.import_module(f"triad.stages.{name}"), name)(params)


def make(night: Night, horizon: int, forms: Mapping[str, Mapping]) -> None:
    """The night, its forms of refit, and what they and the twin answer of the `horizon` days from `as_of` on.

    Two forms are no refit. `left`: what the first form made in the full night still serves. `stale`: the twin answers
    as it did at the end of its train days, of customers and sales as they were then.
    """
    from triad.artifacts import ARTIFACTS
    from triad.features.state import State
    from triad.training.runtime import settle

    night.folder.mkdir(parents=True, exist_ok=True)
    params = json.loads(night.params.model_dump_json(by_alias=True, exclude_defaults=True))
    told = {"base": str(night.base), "start": str(night.start), "number": night.number, "params": params}
    (night.folder / NIGHT).write_text(json.dumps(told))
    os.chdir(night.folder)
    settle(night.params.runtime, night.params.refit.seed)  # before the members answer
    _tables(night.params)
    if night.base == night.folder:
        full(night.params)
    tables, asked = None, {TWIN: dict[str, Any]()} | {form: dict(dials) for form, dials in forms.items()}
    for form, dials in asked.items():
        target, place = Path(f"{form}.npz"), Path("refitted") / form
        if target.is_file():
            continue
        began = time.monotonic()
        if form in (TWIN, STALE):
            state, fuse = night.base / ARTIFACTS / "features" / "state", night.base / ARTIFACTS / "fuse"
        else:
            if form == LEFT:
                place = night.start / "refitted" / next(iter(forms))
            if not place.is_dir():
                refit(night, form, dials)
            state, fuse = place / "state", place / "fuse"
        seconds = time.monotonic() - began
        tables = tables or later_tables(night.params, horizon)
        answers = answer(fuse, State.load(state), tables, night, horizon, is_stale=form == STALE)
        arrays: dict[str, Any] = {"seconds": seconds} | answers
        np.savez(f"{form}.part.npz", **arrays)
        Path(f"{form}.part.npz").rename(target)


def _tables(params: Params) -> None:
    from triad.artifacts import INGESTED, TABLES

    if not TABLES.is_dir():
        run_stage("ingest", params)
        TABLES.parent.mkdir(exist_ok=True)
        INGESTED.rename(TABLES)


def full(params: Params) -> None:
    """The stages up to `fuse`, each unless it is done, or no member is of it."""
    from triad.artifacts import ARTIFACTS
    from triad.members.registry import of_use

    needed = {RECIPES[name].stage for name in of_use(params.fuse.members, params.tasks)}
    for name in MADE:
        is_asked = name not in ("finetune", "similarity", "profile") or name in needed
        if is_asked and not (ARTIFACTS / name).is_dir():
            run_stage(name, params)


def refit(night: Night, form: str, dials: Mapping) -> None:
    """`refitted/<form>`: a full night's own; else what goes on from the evaluated model, or from an earlier refit."""
    from triad.artifacts import ARTIFACTS
    from triad.features.champion import FUSE, REFIT, STATE

    refit, made = night.params.refit.model_copy(update=dict(dials)), night.base / ARTIFACTS
    changes: dict[str, Any] = {"refit": refit}
    if night.base != night.folder:
        changes["retraining"] = night.params.retraining.model_copy(update={"night": "light"})
        champion = ARTIFACTS / "champion"
        shutil.rmtree(champion, ignore_errors=True)
        champion.mkdir(parents=True)
        parts = {STATE: made / "features" / "state", FUSE: made / "fuse", REFIT: night.start / "refitted" / form}
        if night.start == night.folder:
            changes["refit"] = refit.model_copy(update={"light_keeps": ()})  # as a full night does
            del parts[REFIT]
            taught = {"state": parts[STATE], "fuse": parts[FUSE], "pretrain": made / "pretrain"}
            parts |= {f"{REFIT}/{name}": part for name, part in taught.items()}
            (champion / REFIT).mkdir()
        for name, part in parts.items():
            (champion / name).symlink_to(part)
    run_stage("refit", night.params.model_copy(update=changes))
    Path("refitted").mkdir(exist_ok=True)
    (ARTIFACTS / "refit").rename(Path("refitted") / form)


def later_tables(params: Params, horizon: int) -> dict[str, pa.Table]:
    """The same shop's tables up to `horizon` days after the night, and as long after as labels take to be known."""
    from triad.artifacts import INGESTED
    from triad.tables import connect, present

    days = horizon - (-params.features.attribution_hours // 24)
    longer = {
        "as_of": params.ingest.as_of + timedelta(days=days),
        "window_days": params.ingest.window_days + days,
    }
    run_stage("ingest", params.model_copy(update={"ingest": params.ingest.model_copy(update=longer)}))
    with connect(INGESTED) as session:
        return {name: session.sql(f"SELECT * FROM {name}").to_arrow_table() for name in present(INGESTED)}


def until(tables: Mapping[str, pa.Table], end: int) -> dict[str, pa.Table]:
    """`tables` without the items that come on the shelf at `end` µs or later, and without what names them."""
    items = tables["items"]
    items = items.filter(pc.less(items["available_from"], pa.scalar(end, pa.timestamp("us", tz="UTC"))))
    of_items = {
        name: table.filter(pc.is_in(table["item_id"], items["item_id"]))
        for name, table in tables.items()
        if "item_id" in table.column_names
    }
    return {**tables, **of_items}


def next_days(data: Dataset, first: int, last: int) -> Dataset:
    """`data` whose split "test" is what happened in [first, last) µs, its lists' questions included.

    What is earlier keeps its split in the streams and is left out elsewhere; what is later is in no split.
    """
    begin = min(start for start, _ in data.meta.windows.values())
    spans: Windows = {split: (first if place else begin, first) for place, split in enumerate(SPLITS)}
    spans[SPLITS[-1]] = (first, last)
    rows, streams = data.exposures, data.streams
    user = np.repeat(np.arange(len(streams.offsets) - 1), np.diff(streams.offsets))
    at = split_of(np.asarray(rows.time), spans)
    is_later = np.asarray(streams.time) >= first
    return data.replaced(
        exposures=replace(rows, split=np.where(at > 0, at, -1).astype(np.int8)),
        streams=replace(streams, split=np.where(is_later, len(SPLITS) - 1, streams.split).astype(np.int8)),
        lists=lists(streams, user, data.meta.target_kind, spans),
    )


def first_seen(data: Dataset) -> Ints:
    """(n_items,) µs of each item's first exposure or interaction; the largest number where there is none."""
    first = np.full(len(data.items.item_id), np.iinfo(np.int64).max)
    for part in (data.exposures, data.streams):
        np.minimum.at(first, np.asarray(part.item), np.asarray(part.time))
    return first


def as_at(data: Dataset, queries: Queries, cut: int) -> Queries:
    """`queries` as they would have been at `cut` µs: nothing since is known."""
    streams = data.streams
    before = np.r_[0, np.cumsum(np.asarray(streams.time) < cut)][np.asarray(streams.offsets)]
    known = np.diff(before)[queries.users]
    return replace(queries, history=np.minimum(queries.history, known), moment=np.minimum(queries.moment, cut))


def ranked(fused: Fused, data: Dataset, asked: Window, is_new: Bools, *, is_stale: bool = False) -> tuple[Ints, Floats]:
    """(targets,) place of each target among all items; (queries,) share of the first ten that new items have."""
    from triad.evaluation.window import ranking_blocks
    from triad.fusion.candidates import lists_of

    ranker, queries = fused.ranker(data), lists_of(data, asked.queries)
    if is_stale:
        queries = as_at(data, queries, data.meta.windows["train"][1])
    blocks = ranker.open(queries, ranker.needed)
    ranks: list[Ints] = [np.zeros(0, np.int64)]
    shares: list[Floats] = [np.zeros(0)]
    for part, query, target in ranking_blocks(data, asked):
        table = ranker.mix(queries[part], blocks(part))
        ranks.append(target_ranks(table, query, target))
        top = np.argpartition(-table, min(K, table.shape[1]) - 1, axis=1)[:, :K]
        shares.append(is_new[top].mean(axis=1))
    return np.concatenate(ranks), np.concatenate(shares)


def answer(
    fuse: Path, state: State, tables: Mapping[str, pa.Table], night: Night, horizon: int, *, is_stale: bool = False
) -> Answers:
    """What one model says of the days after `as_of`, with what then happened. Stale, it is asked for lists alone.

    A question counts as new where the first of its targets in catalogue order is.
    """
    from triad.evaluation.window import window
    from triad.features.build import transform
    from triad.features.sql import DAY
    from triad.fusion.fused import Fused
    from triad.tables import connect

    params = night.params
    first = (params.ingest.as_of - date(1970, 1, 1)).days * DAY
    with connect(until(tables, first + horizon * DAY)) as session:
        data = next_days(transform(session, state), first, first + horizon * DAY)
    fused, asked = Fused.load(fuse), window(data, "test", params.evaluate.max_queries, params.evaluate.seed)
    is_new, ids = first_seen(data) >= first - night.held_out, np.asarray(list(data.users.user_id))
    names = [name for name, task in params.tasks.items() if KINDS[task.kind].is_event]
    names = [name for name in names if LABELS[params.tasks[name].label].unit == "exposures" and not is_stale]
    answers: Answers = {}
    for name, scores in (fused.predict(data, asked.rows, names) if names else {}).items():
        answers |= {
            f"{name}.user": ids[np.asarray(data.exposures.user)[asked.rows]],
            f"{name}.label": np.asarray(data.labels(name))[asked.rows],
            f"{name}.score": scores,
            f"{name}.new": is_new[np.asarray(data.exposures.item)[asked.rows]],
            f"{name}.night": np.full(len(asked.rows), night.number),
        }
    if fused.ranking is not None:
        count = len(asked.queries)
        ranks, shown = ranked(fused, data, asked, is_new, is_stale=is_stale)
        answers |= {
            f"{fused.ranking}.user": ids[np.asarray(data.lists.user)[asked.queries]],
            f"{fused.ranking}.label": np.zeros(count),
            f"{fused.ranking}.score": ranking_values(ranks, asked.query, count, K),
            f"{fused.ranking}.new": is_new[asked.target[np.searchsorted(asked.query, np.arange(count))]],
            f"{fused.ranking}.night": np.full(count, night.number),
            f"{fused.ranking}.shown": shown,
        }
    return answers
