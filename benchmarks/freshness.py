"""Is it worth refitting? Each morning's model answers the day after it, as evaluated and as refitted on all days.

    python benchmarks/freshness.py [--size small | --online-retail | --workspaces FOLDER …] [--seeds 1 2 3 4 5]
                                   [--days 8] [--full-every 8] [--tasks next click conversion]
                                   [--forms continue anew continue:epochs.pretrain=2,rate=0.3 left stale]
                                   [--horizon 1] [--set section.key=value …] [--folder runs/freshness]

Rolling origin (Tashman 2000, doi:10.1016/S0169-2070(00)00065-0): on each day a night runs on the window that ends
there (`rolling.py`). One in `--full-every` is full, those between are light nights, which go on from it; 1 makes each
full, and costs several times as much. `twin` is what the last full night evaluated: its members lack the days held out,
and those since. Each form of stage `refit` (its `networks`, and dials after a colon) has them learn these days; `left`,
named after another, is what that one made in the full night, and nobody touched since; `stale` is the twin with all
that it reads as of the end of its train days, sales and customers' histories too, for lists alone. All answer the next
day, or the next `--horizon` days, which none has seen: which item comes next, against the whole catalogue, and click
and conversion. UCI Online Retail goes by weeks, and is asked for the next item alone by default.

Items are new where their first event lies in as many days as are held out, or later. Differences to the twin are
paired: 95 % intervals of a bootstrap over a shop's users, all days pooled and shops averaged, and Student's over the
origins. A workspace of the pipeline (`--workspaces`) costs least: its evaluated model is the twin, and the mornings are
those of its test days, which the twin never saw. A shop's figures are written to `<seed>/figures.json`; a second call
goes on where the first was killed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import rolling
import yaml
from resume import kept_in
from rolling import LEFT, STALE, TWIN, Answers, Night
from scipy.stats import t

from triad.arrays import Bools, Ints
from triad.config.members import RECIPES
from triad.config.params import Params, load, merge, parse
from triad.environment import ENVIRONMENT
from triad.kinds import KINDS
from triad.kinds.base import Cases
from triad.statistics.bootstrap import draw, interval

ROOT = Path(__file__).resolve().parents[1]
RESAMPLES = 1000
SEEDED = ("features", "pretrain", "finetune", "similarity", "profile", "fuse", "refit", "evaluate")
SHOWN = {"binary": ("auc", "log_loss", "calibration_error"), "ranking": ("ndcg",)}
"""Kind → metrics. Other kinds' labels lie beyond the next day."""

Slice = Callable[[Bools, Ints], Bools]
SLICES: dict[str, Slice] = {
    "all": lambda new, night: night >= 0,
    "after full nights": lambda new, night: night == 0,
    "after light nights": lambda new, night: night > 0,
    "new items": lambda new, night: new,
    "known items": lambda new, night: ~new,
}
"""Name → which rows, of whether their item is new and how many nights after a full one they were answered."""


def nights_of(asked: argparse.Namespace, seed: int | Path, root: Path) -> list[Night]:
    """A shop's nights, in order."""
    made: list[Night] = []
    folder = root / (f"{seed}" if isinstance(seed, int) else seed.name)
    for step, params in enumerate(origins_of(asked, seed)):
        number = step % asked.full_every
        place = folder / f"{params.ingest.as_of}"
        start = made[step - number].folder if number else place
        made.append(Night(place, seed if isinstance(seed, Path) else start, start, params, number))
    return made


def origins_of(asked: argparse.Namespace, seed: int | Path) -> list[Params]:
    """The params of each morning: of a workspace those of its test days; of Online Retail the last ones of its log."""
    if isinstance(seed, Path):
        params = load(seed / "params.yaml")
        first, days = (
            -params.features.split_days.test,
            min(asked.days, params.features.split_days.test // asked.horizon),
        )
    else:
        params, days = shop(asked, seed), asked.days
        first = -days * asked.horizon if asked.online_retail else 0
    is_file = params.ingest.source == "files"
    return [at_origin(params, first + step * asked.horizon, is_file) for step in range(days)]


def run_shop(nights: Sequence[Night], horizon: int, forms: Mapping[str, Mapping]) -> None:
    """All nights of a shop that are not done, in this process."""
    for night in nights:
        began = time.monotonic()
        if not all((night.folder / f"{form}.npz").is_file() for form in (TWIN, *forms)):
            rolling.make(night, horizon, forms)
            print(f"{night.folder.parent.name}, {night.folder.name}: {time.monotonic() - began:.0f} s", file=sys.stderr)


def check_same_rows(twin: Answers, answers: Answers, form: str) -> None:
    """Differences are paired: both must have answered the same rows, in one order."""
    for name, values in twin.items():
        if name.endswith((".user", ".label", ".new")) and (form != STALE or name in answers):
            np.testing.assert_array_equal(answers[name], values, err_msg=f"{form}: {name}")


def pooled(parts: Iterable[Answers], task: str) -> tuple[np.ndarray, ...]:
    """user, label, score, new, night of all `parts`, those with a known label."""
    names = ("user", "label", "score", "new", "night")
    arrays = [np.concatenate([part[f"{task}.{name}"] for part in parts]) for name in names]
    known = np.isfinite(arrays[1])
    return tuple(array[known] for array in arrays)


def measured(parts: Sequence[Answers], task: str, kind: str, of: Slice, *, resamples: int, seed: int) -> dict:
    """Metric → estimate, of the rows of a slice; nothing where they are too few to tell."""
    if any(f"{task}.score" not in part for part in parts):  # not asked
        return {}
    user, label, score, new, night = pooled(parts, task)
    rows = np.flatnonzero(of(new, night))
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


Found = dict[str, dict[str, dict[str, dict[str, np.ndarray]]]]
"""task → slice → form → metric → estimate (1 + resamples,)."""


def figures(origins: Sequence[Mapping[str, Answers]], tasks: Mapping[str, str], forms: Sequence[str]) -> Found:
    """Of one shop, its origins pooled."""
    return {
        task: {
            name: {
                form: measured([each[form] for each in origins], task, kind, of, resamples=RESAMPLES, seed=1)
                for form in forms
            }
            for name, of in SLICES.items()
        }
        for task, kind in tasks.items()
    }


def shares(origins: Sequence[Mapping[str, Answers]], task: str, form: str) -> tuple[float, float]:
    """Of lists' first ten places those that new items have, and of what was taken then that which is new."""
    place = np.concatenate([each[form][f"{task}.shown"] for each in origins])
    return float(place.mean()), float(np.concatenate([each[form][f"{task}.new"] for each in origins]).mean())


def written(found: Found, path: Path) -> None:
    """A shop's figures with their intervals, and the differences to the twin, as JSON."""

    def of(values: np.ndarray) -> dict[str, float]:
        low, high = interval(values, 0.95)
        return {"value": float(values[0]), "low": float(low), "high": float(high)}

    told = {
        task: {
            name: {
                form: {
                    metric: {"is": of(values), "less_twin": of(values - by_form[TWIN][metric])}
                    for metric, values in by_metric.items()
                    if metric in by_form[TWIN]
                }
                for form, by_metric in by_form.items()
            }
            for name, by_form in slices.items()
        }
        for task, slices in found.items()
    }
    path.write_text(json.dumps(told, indent=1) + "\n")


def report(
    shops: Mapping[str, list[dict[str, Answers]]],
    of_shops: Mapping[str, Found],
    tasks: Mapping[str, str],
    forms: Sequence[str],
) -> None:
    """The table. `shops` are shop → origins → form → answers; `of_shops` their `figures`; `tasks` name → kind."""
    print("\n| Task | Of | Rows | Metric | Form | Value | Less twin, over users | Less twin, over origins (n) |")
    print("|---|---|---|---|---|---|---|---|")
    every = [each for origins in shops.values() for each in origins]
    for task, kind in tasks.items():
        for name, of in SLICES.items():
            alone = [{f: measured([each[f]], task, kind, of, resamples=0, seed=1) for f in forms} for each in every]
            rows = sum(int(of(*pooled([each[TWIN]], task)[3:]).sum()) for each in every)
            for metric in SHOWN[kind] if name == "all" else SHOWN[kind][:1]:
                for form in forms:
                    both = [(each[task][name][form], each[task][name][TWIN]) for each in of_shops.values()]
                    if not all(metric in estimates for pair in both for estimates in pair):
                        print(f"| {task} | {name} | {rows:,} | {metric} | {form} | too few | | |")
                        continue
                    own, twin = ([pair[which][metric] for pair in both] for which in (0, 1))
                    value, difference = np.mean(own, axis=0), np.mean(own, axis=0) - np.mean(twin, axis=0)
                    low, high = interval(difference, 0.95)
                    part = f" ({difference[0] / value_of(twin):+.1%})" if metric == "ndcg" else ""
                    versus = f"{difference[0]:+.4f} [{low:+.4f}, {high:+.4f}]{part}"
                    nan = np.array([np.nan])
                    apart = [each[form].get(metric, nan)[0] - each[TWIN].get(metric, nan)[0] for each in alone]
                    cells = ("", "") if form == TWIN else (versus, students(apart))
                    print(f"| {task} | {name} | {rows:,} | {metric} | {form} | {value[0]:.4f} | {' | '.join(cells)} |")
        if KINDS[kind].ranks:
            for form in forms:
                place, due = shares(every, task, form)
                print(f"{task}, {form}: new items have {place:.2%} of the first ten places, {due:.2%} of what is taken")


def value_of(estimates: Sequence[np.ndarray]) -> float:
    """The mean over shops, at least a little."""
    return max(float(np.mean(estimates, axis=0)[0]), 1e-9)


def dials(form: str) -> dict[str, Any]:
    """`networks[:dial=value,…]` as the dials of stage `refit`."""
    networks, _, more = form.partition(":")
    found: dict[str, Any] = {"networks": networks}
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


def shop(asked: argparse.Namespace, seed: int) -> Params:
    """A shop's parameters."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    own = {"ingest": {"simulated": {"size": asked.size, "seed": seed}}}
    if asked.online_retail:
        own = yaml.safe_load(os.path.expandvars((ROOT / "configs" / "online_retail.yaml").read_text()))
    for overlay in (own, {name: {"seed": seed} for name in SEEDED}, *map(change, asked.set)):
        values = merge(values, overlay)
    values["tasks"] = {name: values["tasks"][name] for name in asked.tasks}
    if all(KINDS[task["kind"]].ranks for task in values["tasks"].values()):
        members = values["fuse"]["members"]
        values["fuse"]["members"] = [name for name in members if "Retriever" in RECIPES[name].protocols]
    if values["recommend"]["order_by"] not in asked.tasks:
        values["recommend"]["order_by"] = None
    return parse(values, "benchmark")


def at_origin(params: Params, days: int, first_day: bool) -> Params:
    """`params` on another morning; of a file (`first_day`) the window's first day stays, since nothing lies before."""
    ingest = params.ingest
    length = ingest.window_days + (days if first_day else 0)
    moved = {"as_of": ingest.as_of + timedelta(days=days), "window_days": length}
    return params.model_copy(update={"ingest": ingest.model_copy(update=moved)})


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="small", choices=["tiny", "small", "large"])
    parser.add_argument("--online-retail", action="store_true", help="weeks of UCI Online Retail; --days counts them")
    parser.add_argument("--workspaces", type=Path, nargs="+", default=[], help="in place of seeds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--days", type=int, default=8, help="origins of each shop")
    parser.add_argument("--full-every", type=int, default=8, help="origins from one full night to the next")
    parser.add_argument("--tasks", nargs="+", help="that are learned and asked about")
    parser.add_argument("--horizon", type=int, help="days that each model answers, and between origins")
    parser.add_argument("--forms", nargs="+", default=["continue"])
    parser.add_argument("--set", nargs="*", default=[], metavar="section.key=value")
    parser.add_argument("--folder", type=Path, default=Path("runs/freshness"))
    asked = parser.parse_args()
    asked.horizon = asked.horizon or (7 if asked.online_retail else 1)
    asked.tasks = asked.tasks or (["next"] if asked.online_retail else ["next", "click", "conversion"])
    return asked


def answered(night: Night, forms: Sequence[str]) -> dict[str, Answers]:
    """Form → what it answered after the night; says which may not serve."""
    answers = {}
    for form in (TWIN, *forms):
        with np.load(night.folder / f"{form}.npz") as arrays:
            answers[form] = dict(arrays)
        check_same_rows(answers[TWIN], answers[form], form)
        if form not in (TWIN, LEFT, STALE):
            doubts = json.loads((night.folder / "refitted" / form / "health.json").read_text())["doubts"]
            if doubts:
                print(f"{night.folder}, {form} may not serve: {doubts}", file=sys.stderr)
    return answers


def main() -> None:
    asked = arguments()
    shape = asked.size, asked.online_retail, asked.horizon, asked.full_every, asked.tasks, asked.set
    root, forms = kept_in(asked.folder.resolve(), *shape), {form: dials(form) for form in asked.forms}
    os.environ.update(ENVIRONMENT)  # the processes below start with it
    shops: dict[str, list[dict[str, Answers]]] = {}
    of_shops: dict[str, Found] = {}
    tasks: dict[str, str] = {}
    for seed in [each.resolve() for each in asked.workspaces] or asked.seeds:
        nights = nights_of(asked, seed, root)
        place = nights[0].folder.parent
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:  # none inherits another's memory
            pool.submit(run_shop, nights, asked.horizon, forms).result()
        origins = [answered(night, asked.forms) for night in nights]
        of_params = nights[0].params.tasks
        tasks = {name: task.kind for name, task in of_params.items() if f"{name}.score" in origins[0][TWIN]}
        shops[place.name], of_shops[place.name] = origins, figures(origins, tasks, (TWIN, *forms))
        written(of_shops[place.name], place / "figures.json")
    shown = "workspaces" if asked.workspaces else "UCI Online Retail" if asked.online_retail else asked.size
    count = max(map(len, shops.values()))
    print(
        f"{shown}, {', '.join(shops)}: {count} origins each, one in {asked.full_every} full, "
        f"horizon {asked.horizon} d, {os.cpu_count()} cores, Python {platform.python_version()}; 95 % intervals"
    )
    for form in forms:
        seconds = [float(each[form]["seconds"]) for origins in shops.values() for each in origins]
        print(f"refit {form}: {np.mean(seconds):.0f} s (mean; {min(seconds):.0f} to {max(seconds):.0f})")
    report(shops, of_shops, tasks, (TWIN, *forms))


if __name__ == "__main__":
    main()
