"""A week of nights: what does starting from the champion cost and earn against training from nothing?

    python benchmarks/warm_start.py [--nights 7] [--every 1] [--size small] [--window 56] [--seed 1]
                                    [--arms scratch warm] [--set section.key=value …]

Each night is a day later in the same simulated shop. Every arm pretrains and fine-tunes on the night's tables alone:
`scratch` from nothing; `warm` from what it trained the night before, vocabularies grown, trunk and heads carried over;
`trunk` pretrains like `warm`, and fine-tunes fresh heads on that trunk. The first night has no champion and is the same
in all arms, so it is no part of the means. Networks only: no fusion and no gate, so every night's network is taken as
promoted. `--every 2` trains `scratch` every second night only; the arms are compared on those nights.

Prints a table a night, and means over the nights compared, with 95 % intervals of the paired difference to `scratch`
from a bootstrap over users (a user's rows of all nights are drawn together).
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from dataclasses import dataclass
from datetime import timedelta

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from shop_params import shop_params

from triad.config.params import Params
from triad.examples.dataset import Dataset
from triad.features.build import fit
from triad.features.champion import Champion, origins
from triad.features.state import State
from triad.members.network import NetworkScorer
from triad.members.sequence import Sequence
from triad.models.warm_start import InitialModel
from triad.ranking import ranking_values, target_ranks
from triad.sources.simulated import simulate
from triad.statistics import metrics
from triad.statistics.bootstrap import Draws, draw, interval
from triad.tables import connect
from triad.training.feeds import UnitFeed
from triad.training.finetuning import finetune_network
from triad.training.pretraining import pretrain_network
from triad.training.pretraining_feeds import TargetFeed
from triad.training.runtime import Runtime, settle

ARMS = {"scratch": ("scratch", "pretrain"), "warm": ("champion", "champion"), "trunk": ("champion", "pretrain")}
"""Arm → (pretrain.init, finetune.init)."""

SPLITS, K, RESAMPLES = ("validation", "test"), 10, 1000


@dataclass(frozen=True)
class Night:
    """What one arm made of a night.

    Attributes:
        losses: of validation, by stage and epoch.
        rows: (metric, split) → what its estimate is made from, users by id.
    """

    state: State
    sequence: Sequence
    ranker: NetworkScorer
    seconds: float
    steps: tuple[int, int]
    losses: dict[str, float]
    rows: dict[tuple[str, str], tuple[np.ndarray, ...]]


def train(params: Params, tables: dict, runtime: Runtime, inits: tuple[str, str], before: Night | None) -> Night:
    """Features, pretraining and fine-tuning of one night."""
    window = (params.ingest.as_of - timedelta(days=params.ingest.window_days), params.ingest.as_of)
    warm = before is not None and inits[0] == "champion"
    champion = Champion(1, before.state.meta, before.state.vocabularies) if warm else None
    with connect(tables) as session:
        data, state = fit(session, params.features, params.tasks, window, champion)

    def initial(network) -> InitialModel:
        return InitialModel(network, origins(champion.vocabularies, state.vocabularies))

    began = time.perf_counter()
    start = initial(before.sequence.network) if warm else None
    sequence, history = pretrain_network(data, params.pretrain, runtime, None, start)
    steps = len(history) * len(TargetFeed(data, params.pretrain).plan(0))
    losses = {f"pretrain {row['epoch']:.0f}": row["validation_loss"] for row in history}
    heads = initial(before.ranker.network) if warm and inits[1] == "champion" else None
    ranker, history = finetune_network(
        data,
        params.tasks,
        params.finetune,
        runtime,
        trunk=params.pretrain.trunk,
        pretrained=None if heads else sequence.network,
        initial=heads,
    )
    seconds = time.perf_counter() - began
    more = len(history) * len(
        UnitFeed(data, params.finetune, params.pretrain.trunk.max_steps, {"exposures": params.tasks}).plan(0)
    )
    losses |= {f"finetune {row['epoch']:.0f}": row["validation_loss"] for row in history}
    return Night(state, sequence, ranker, seconds, (steps, more), losses, measured(data, sequence, ranker))


def measured(data: Dataset, sequence: Sequence, ranker: NetworkScorer) -> dict[tuple[str, str], tuple[np.ndarray, ...]]:
    """What the metrics need of a night: labels and scores of exposures, values of queries, each with its user's id."""
    found: dict[tuple[str, str], tuple[np.ndarray, ...]] = {}
    ids = np.asarray(data.users.user_id)
    for split in SPLITS:
        rows = data.rows(split)
        scores = ranker.predict(data, rows)
        for task in ("click", "conversion"):
            labels = data.labels(task)[rows]
            known = np.isfinite(labels)
            found[f"{task} AUC", split] = (
                ids[data.exposures.user[rows]][known],
                labels[known] > 0,
                scores[task][known],
            )
        asked = data.rows(split, "lists")
        queries, count = data.lists, np.diff(data.lists.offsets)
        values = []
        for start in range(0, len(asked), 2048):
            part = asked[start : start + 2048]
            logits = sequence.logits(data, queries.user[part], queries.history[part])
            place = np.repeat(np.arange(len(part)), count[part])
            target = np.concatenate([queries.target[queries.offsets[row] : queries.offsets[row + 1]] for row in part])
            ranks = target_ranks(logits, place, target)
            values.append(ranking_values(ranks, place, len(part), K))
        found[f"next NDCG@{K}", split] = (ids[queries.user[asked]], np.concatenate(values))
    return found


def estimate(name: str, rows: tuple[np.ndarray, ...], users: np.ndarray, draws: Draws) -> np.ndarray:
    """(1 + resamples,) of one metric."""
    cluster = np.searchsorted(users, rows[0])
    if name.startswith("next"):
        return metrics.ranking(rows[1], cluster, draws)["ndcg"]
    return metrics.auc(rows[1], rows[2], cluster, draws)


def shown(values: np.ndarray, sign: str = "") -> str:
    low, high = interval(values, 0.95)
    return f"{values[0]:{sign}.4f} [{low:{sign}.4f}, {high:{sign}.4f}]"


def report(weeks: dict[str, dict[int, Night]], seed: int) -> None:
    """The table of the nights on which all arms trained, and the means over all of these but the first."""
    compared = sorted(set.intersection(*(set(nights) for nights in weeks.values())))
    cells = list(weeks["scratch"][0].rows)
    users = np.unique(np.concatenate([rows[0] for at in compared for rows in weeks["scratch"][at].rows.values()]))
    draws = draw(len(users), RESAMPLES, seed)
    found = {
        (arm, at, cell): estimate(cell[0], nights[at].rows[cell], users, draws)
        for arm, nights in weeks.items()
        for at in compared
        for cell in cells
    }
    names = " | ".join(f"{name}, {split}" for name, split in cells)
    print(f"\n| Night | Arm | s | steps (pretrain + finetune) | {names} |\n|---|---|---|---|" + "---|" * len(cells))
    for at in compared:
        for arm, nights in weeks.items():
            values = " | ".join(f"{found[arm, at, cell][0]:.4f}" for cell in cells)
            steps = "{} + {}".format(*nights[at].steps)
            print(f"| {at + 1} | {arm} | {nights[at].seconds:.0f} | {steps} | {values} |")
    if len(compared) < 2:
        return
    print(f"\n| Mean | s | steps | {names} |\n|---|---|---|" + "---|" * len(cells))
    for arm, nights in weeks.items():
        seconds = np.mean([nights[at].seconds for at in compared[1:]])
        steps = np.mean([sum(nights[at].steps) for at in compared[1:]])
        means = {cell: np.mean([found[arm, at, cell] for at in compared[1:]], axis=0) for cell in cells}
        against = {cell: np.mean([found["scratch", at, cell] for at in compared[1:]], axis=0) for cell in cells}
        if arm == "scratch":
            values = " | ".join(shown(means[cell]) for cell in cells)
        else:
            values = " | ".join(shown(means[cell] - against[cell], "+") for cell in cells)
        print(f"| {arm + ' − scratch' * (arm != 'scratch')} | {seconds:.0f} | {steps:.0f} | {values} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=7)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--size", default="small")
    parser.add_argument("--window", type=int, default=56)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--arms", nargs="+", default=["scratch", "warm"], choices=list(ARMS))
    parser.add_argument("--set", nargs="*", default=[], metavar="section.key=value")
    asked = parser.parse_args()
    params = shop_params(asked.size, asked.window, asked.seed, asked.set)
    runtime = settle(params.runtime, asked.seed)
    print(f"{asked} · {os.cpu_count()} cores, Python {platform.python_version()}, {runtime}", flush=True)
    weeks: dict[str, dict[int, Night]] = {arm: {} for arm in asked.arms}
    for at in range(asked.nights):
        ingest = params.ingest.model_copy(update={"as_of": params.ingest.as_of + timedelta(days=at)})
        tonight = params.model_copy(update={"ingest": ingest})
        tables = simulate(ingest).whole()[0]
        for arm, nights in weeks.items():
            if arm == "scratch" and at % asked.every:
                continue
            if at == 0 and arm != "scratch":
                nights[0] = weeks["scratch"][0]
                continue
            nights[at] = train(tonight, tables, runtime, ARMS[arm], nights.get(at - 1))
            told = {name: f"{score:.4f}" for name, score in nights[at].losses.items()}
            print(f"{ingest.as_of} {arm}: {nights[at].seconds:.0f} s, steps {nights[at].steps}, {told}", flush=True)
        if at % asked.every == 0:
            report(weeks, asked.seed)


if __name__ == "__main__":
    main()
