"""Is it worth refitting? Each morning's model answers the day after it, as evaluated and as refitted on all days.

    python benchmarks/freshness.py [--size small | --online-retail] [--seeds 1 2 3] [--days 8]
                                   [--forms continue anew continue:epochs.pretrain=2,rate=0.3] [--horizon 1]
                                   [--set section.key=value …] [--folder runs/freshness]

Rolling origin (Tashman 2000, doi:10.1016/S0169-2070(00)00065-0): for each of the days a whole night runs on the window
that ends there, from nothing, but for `validate`: no row is set aside. `twin` is what the gate judges: its members lack
the days held out. Each form of stage `refit` (its `networks`, and dials after a colon) has them learn those days. All
answer the next day, or the next `--horizon` days, which none has seen: which item comes next, against the whole
catalogue, and click and conversion. UCI Online Retail goes by weeks.

Items are new where their first event lies in the days held out or later. Differences to the twin are paired: 95 %
intervals of a bootstrap over a shop's users, all days pooled and shops averaged, and Student's over the origins.
A second call goes on where the first was killed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from resume import kept_in
from scipy.stats import t

from triad.arrays import Bools, Ints
from triad.cli import ENVIRONMENT
from triad.config.params import Params, merge, parse
from triad.examples.dataset import Dataset
from triad.features.dataset import SPLITS
from triad.features.splits import Windows, split_of
from triad.features.streams import lists
from triad.kinds import KINDS
from triad.kinds.base import Cases
from triad.ranking import ranking_values
from triad.statistics.bootstrap import draw, interval
from triad.tasks import LABELS

if TYPE_CHECKING:
    from triad.features.state import State

ROOT = Path(__file__).resolve().parents[1]
TWIN, RESAMPLES, K = "twin", 1000, 10
SEEDED = ("features", "pretrain", "finetune", "similarity", "profile", "fuse", "refit", "evaluate")
NIGHT = ("champion", "features", "pretrain", "finetune", "similarity", "profile", "fuse")
SHOWN = {"binary": ("auc", "log_loss", "calibration_error"), "ranking": ("ndcg",)}
"""Kind → metrics. Other kinds' labels lie beyond the next day."""

Slice = Callable[[Bools, Ints], Bools]
SLICES: dict[str, Slice] = {
    "all": lambda new, day: day >= 0,
    "first day": lambda new, day: day == 0,
    "new items": lambda new, day: new,
    "known items": lambda new, day: ~new,
}
"""Name → which rows, of whether their item is new and how many days they lie after the night."""

Answers = dict[str, np.ndarray]
"""`<task>.<user, label, score, new, day>` (n,); a ranking's score is (n, 4) as `ranking_values`."""


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


def night(params: Params) -> None:
    """The stages up to `fuse` in this folder, each unless it is done. `validate` sets nothing aside here."""
    from triad.artifacts import ARTIFACTS, INGESTED, TABLES

    if not TABLES.is_dir():
        run_stage("ingest", params)
        TABLES.parent.mkdir(exist_ok=True)
        INGESTED.rename(TABLES)
    for name in NIGHT:
        if not (ARTIFACTS / name).is_dir():
            run_stage(name, params)


def run_stage(name: str, params: Params) -> None:
    """One stage in this folder."""
    getattr(importlib.import_module(f"triad.stages.{name}"), name)(params)


def origin(folder: Path, params: Params, horizon: int, forms: Mapping[str, Mapping]) -> None:
    """One night at `params.ingest.as_of` and its forms' answers on the `horizon` days from then on."""
    from triad.artifacts import ARTIFACTS
    from triad.features.state import State
    from triad.training.runtime import settle

    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    settle(params.runtime, params.refit.seed)  # before the members answer
    night(params)
    since = State.load(ARTIFACTS / "features" / "state").meta.windows["train"][1]
    tables = None
    for form, dials in ({TWIN: {}} | dict(forms)).items():
        target, place = Path(f"{form}.npz"), ARTIFACTS if form == TWIN else Path("refitted") / form
        if target.is_file():
            continue
        began = time.monotonic()
        if form != TWIN and not place.is_dir():
            run_stage("refit", params.model_copy(update={"refit": params.refit.model_copy(update=dict(dials))}))
            place.parent.mkdir(exist_ok=True)
            (ARTIFACTS / "refit").rename(place)
        seconds = time.monotonic() - began
        tables = tables or later_tables(params, horizon)
        state = State.load((ARTIFACTS / "features" if form == TWIN else place) / "state")
        answers = answer(place / "fuse", state, tables, params, horizon, since=since)
        np.savez(f"{form}.part.npz", seconds=seconds, **answers)
        Path(f"{form}.part.npz").rename(target)


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


def answer(
    fuse: Path, state: State, tables: Mapping[str, pa.Table], params: Params, horizon: int, *, since: int
) -> Answers:
    """What one model says of the days after `as_of`, with what then happened.

    A question counts as new where the first of its targets in catalogue order is.
    """
    from triad.evaluation.window import rank_targets, window
    from triad.features.build import transform
    from triad.features.sql import DAY
    from triad.fusion.fused import Fused
    from triad.tables import connect

    first = (params.ingest.as_of - date(1970, 1, 1)).days * DAY
    last = first + horizon * DAY
    with connect(until(tables, last)) as session:
        data = next_days(transform(session, state), first, last)
    fused, asked = Fused.load(fuse), window(data, "test", params.evaluate.max_queries, params.evaluate.seed)
    is_new, ids = first_seen(data) >= since, np.asarray(list(data.users.user_id))
    names = [name for name, task in params.tasks.items() if KINDS[task.kind].is_event]
    names = [name for name in names if LABELS[params.tasks[name].label].unit == "exposures"]
    answers: Answers = {}
    for name, scores in fused.predict(data, asked.rows, names).items():
        answers |= {
            f"{name}.user": ids[np.asarray(data.exposures.user)[asked.rows]],
            f"{name}.label": np.asarray(data.labels(name))[asked.rows],
            f"{name}.score": scores,
            f"{name}.new": is_new[np.asarray(data.exposures.item)[asked.rows]],
            f"{name}.day": (np.asarray(data.exposures.time)[asked.rows] - first) // DAY,
        }
    if fused.ranking is not None:
        count = len(asked.queries)
        first_target = asked.target[np.searchsorted(asked.query, np.arange(count))]
        answers |= {
            f"{fused.ranking}.user": ids[np.asarray(data.lists.user)[asked.queries]],
            f"{fused.ranking}.label": np.zeros(count),
            f"{fused.ranking}.score": ranking_values(rank_targets(fused, data, asked), asked.query, count, K),
            f"{fused.ranking}.new": is_new[first_target],
            f"{fused.ranking}.day": (np.asarray(data.lists.time)[asked.queries] - first) // DAY,
        }
    return answers


def check_same_rows(twin: Answers, answers: Answers, form: str) -> None:
    """Differences are paired: both must have answered the same rows, in one order."""
    for name, values in twin.items():
        if name.endswith((".user", ".label", ".day")):
            np.testing.assert_array_equal(answers[name], values, err_msg=f"{form}: {name}")


def pooled(parts: Sequence[Answers], task: str) -> tuple[np.ndarray, ...]:
    """user, label, score, new, day of all `parts`, those with a known label."""
    names = ("user", "label", "score", "new", "day")
    arrays = [np.concatenate([part[f"{task}.{name}"] for part in parts]) for name in names]
    known = np.isfinite(arrays[1])
    return tuple(array[known] for array in arrays)


def measured(parts: Sequence[Answers], task: str, kind: str, of: Slice, *, resamples: int, seed: int) -> dict:
    """Metric → estimate, of the rows of a slice; nothing where they are too few to tell."""
    user, label, score, new, day = pooled(parts, task)
    rows = np.flatnonzero(of(new, day))
    users, cluster = np.unique(user, return_inverse=True)
    if not len(rows) or not (KINDS[kind].ranks or KINDS[kind].enough(label[rows])):
        return {}
    cases = Cases(label, score, cluster, draw(len(users), resamples, seed))
    return dict(KINDS[kind].measure(cases[rows], score[rows]))


def students(values: Sequence[float]) -> str:
    """Mean and 95 % interval."""
    known = np.array([value for value in values if np.isfinite(value)])
    if len(known) < 2:
        return "–"
    half = t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known))
    return f"{known.mean():+.4f} [{known.mean() - half:+.4f}, {known.mean() + half:+.4f}] ({len(known)})"


def report(shops: Mapping[int, list[dict[str, Answers]]], tasks: Mapping[str, str], forms: Sequence[str]) -> None:
    """The table. `shops` are seed → origins → form → answers; `tasks` name → kind."""
    print("\n| Task | Of | Rows | Metric | Form | Value | Less twin, over users | Less twin, over origins (n) |")
    print("|---|---|---|---|---|---|---|---|")
    for task, kind in tasks.items():
        for name, of in SLICES.items():
            found = {
                (form, seed): measured([each[form] for each in origins], task, kind, of, resamples=RESAMPLES, seed=seed)
                for seed, origins in shops.items()
                for form in forms
            }
            alone = {
                (form, seed, at): measured([each[form]], task, kind, of, resamples=0, seed=seed)
                for seed, origins in shops.items()
                for at, each in enumerate(origins)
                for form in forms
            }
            rows = sum(int(of(*pooled([each[TWIN]], task)[3:]).sum()) for origins in shops.values() for each in origins)
            for metric in SHOWN[kind] if name == "all" else SHOWN[kind][:1]:
                for form in forms:
                    own, twin = ([found[each, seed].get(metric) for seed in shops] for each in (form, TWIN))
                    if any(estimate is None for estimate in own):
                        print(f"| {task} | {name} | {rows:,} | {metric} | {form} | too few | | |")
                        continue
                    value, difference = np.mean(own, axis=0), np.mean(own, axis=0) - np.mean(twin, axis=0)
                    low, high = interval(difference, 0.95)
                    versus = f"{difference[0]:+.4f} [{low:+.4f}, {high:+.4f}]"
                    nan = np.array([np.nan])
                    apart = [
                        alone[form, *key].get(metric, nan)[0] - alone[TWIN, *key].get(metric, nan)[0]
                        for key in dict.fromkeys(key[1:] for key in alone)
                    ]
                    cells = ("", "") if form == TWIN else (versus, students(apart))
                    print(f"| {task} | {name} | {rows:,} | {metric} | {form} | {value[0]:.4f} | {' | '.join(cells)} |")


def dials(form: str) -> dict[str, object]:
    """`networks[:dial=value,…]` as the dials of stage `refit`."""
    networks, _, more = form.partition(":")
    found: dict[str, object] = {"networks": networks}
    for pair in more.split(",") if more else ():
        found = merge(found, change(pair))
    return found


def change(dial: str) -> dict:
    """`section.key=value` as an overlay of params."""
    path, _, value = dial.partition("=")
    overlay = yaml.safe_load(value)
    for key in reversed(path.split(".")):
        overlay = {key: overlay}
    return overlay


def shop(seed: int, size: str | None, changes: Sequence[dict]) -> Params:
    """The parameters of a shop; without a `size` UCI Online Retail's."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    own = {"ingest": {"simulated": {"size": size, "seed": seed}}}
    if size is None:
        own = yaml.safe_load(os.path.expandvars((ROOT / "configs" / "online_retail.yaml").read_text()))
    for overlay in (own, {name: {"seed": seed} for name in SEEDED}, *changes):
        values = merge(values, overlay)
    return parse(values, "benchmark")


def at_origin(params: Params, days: int, first_day: bool) -> Params:
    """`params` on another morning; of a file (`first_day`) the window's first day stays, since nothing lies before."""
    ingest = params.ingest
    length = ingest.window_days + (days if first_day else 0)
    moved = {"as_of": ingest.as_of + timedelta(days=days), "window_days": length}
    return params.model_copy(update={"ingest": ingest.model_copy(update=moved)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="small", choices=["tiny", "small", "large"])
    parser.add_argument("--online-retail", action="store_true", help="weeks of UCI Online Retail; --days counts them")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--days", type=int, default=8)
    parser.add_argument("--horizon", type=int, help="days that each model answers, and between origins")
    parser.add_argument("--forms", nargs="+", default=["continue", "anew"])
    parser.add_argument("--set", nargs="*", default=[], metavar="section.key=value")
    parser.add_argument("--folder", type=Path, default=Path("runs/freshness"))
    asked = parser.parse_args()
    size = None if asked.online_retail else asked.size
    horizon = asked.horizon or (7 if asked.online_retail else 1)
    changes = [change(dial) for dial in asked.set]
    root = kept_in(asked.folder.resolve(), size, horizon, changes)
    forms = {form: dials(form) for form in asked.forms}
    os.environ.update(ENVIRONMENT)  # the processes below start with it
    shops: dict[int, list[dict[str, Answers]]] = {}
    for seed in asked.seeds:
        params, shops[seed] = shop(seed, size, changes), []
        steps = range(-asked.days, 0) if asked.online_retail else range(asked.days)
        for step in steps:
            tonight = at_origin(params, step * horizon, asked.online_retail)
            folder, began = root / f"{seed}" / f"{tonight.ingest.as_of}", time.monotonic()
            if not all((folder / f"{form}.npz").is_file() for form in (TWIN, *forms)):
                context = multiprocessing.get_context("spawn")
                with ProcessPoolExecutor(1, context) as pool:  # a process an origin: none inherits another's memory
                    pool.submit(origin, folder, tonight, horizon, forms).result()
                print(f"seed {seed}, {tonight.ingest.as_of}: {time.monotonic() - began:.0f} s", file=sys.stderr)
            answers = {}
            for form in (TWIN, *forms):
                with np.load(folder / f"{form}.npz") as arrays:
                    answers[form] = dict(arrays)
            shops[seed].append(answers)
            for form in forms:
                check_same_rows(answers[TWIN], answers[form], form)
                doubts = json.loads((folder / "refitted" / form / "health.json").read_text())["doubts"]
                if doubts:
                    print(f"seed {seed}, {tonight.ingest.as_of}, {form} may not serve: {doubts}", file=sys.stderr)
    shown = size or "UCI Online Retail"
    print(
        f"{shown}, seeds {asked.seeds}, {asked.days} origins each, horizon {horizon} d, {os.cpu_count()} cores, ",
        end="",
    )
    print(f"Python {platform.python_version()}; 95 % intervals")
    for form in forms:
        seconds = [float(each[form]["seconds"]) for origins in shops.values() for each in origins]
        print(f"refit {form}: {np.mean(seconds):.0f} s (mean; {min(seconds):.0f} to {max(seconds):.0f})")
    tasks = {name: task.kind for name, task in params.tasks.items() if f"{name}.score" in shops[seed][0][TWIN]}
    report(shops, tasks, (TWIN, *forms))


if __name__ == "__main__":
    main()
