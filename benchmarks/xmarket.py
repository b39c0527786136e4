"""Markets that help a market: XMarket (WSDM Cup 2022), pretrained on s1, s2, s3, fine-tuned on t1, judged on its run.

    TRIAD_DATASETS=… python benchmarks/xmarket.py networks [--seeds 1 2 3 4 5] [--task next] [--set key=value …]
                                                           [--keep FOLDER]
    TRIAD_DATASETS=… python benchmarks/xmarket.py lists [--networks FOLDER] [--seeds 1 2 3 4 5] [--without NAME …]
    TRIAD_DATASETS=… python benchmarks/xmarket.py fused [--seeds 1 2 3]

`networks` trains the causal Transformer on t1 alone (`scratch`) and from a network of the source markets
(`pretrained`), the same budget and seed, and prints NDCG@10 over the 100 candidates a user of t1's `valid_run`, the
paired difference by user with its 95 % interval, and the same on users of few steps and on cold items (none in train).
What the networks say lies in `--keep`, so that a killed run goes on; other dials want another folder.

`lists` puts the candidates in order by LightGBM (lambdarank) on features of similarity, popularity by market and, with
`--networks`, the networks' scores. It learns from lists made of the train ratings alone: of every user one step is held
out and stands among 99 sampled items, as in the run; whole users are held out of the fit to decide how long it runs.
Each member alone stands beside it.

`fused` puts the candidates in order by the fusion of a night (`fuse.combine: reranked`): members of popularity and
item-item weights, of each market and of all. It learns of lists made of train ratings alone: of some users one step is
held out and stands among 99 sampled items, as in the run. Members are chosen and fused where every user lacks a step;
then the re-ranker rehearses, as in `fusion/rehearsal.py`, on lists of members that lack a step of every second user:
trees and the network's weight are those that are best there out of fold. The members that answer the run know all
steps. Each member alone stands beside it.

`--judge choose` prints all figures on the lists made of train ratings instead: settings are chosen there, and
`valid_qrel` is read only for what is reported.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import lightgbm
import numpy as np
import yaml
from resume import kept_in

from triad.artifacts import replacing, replacing_file
from triad.config.fuse import FuseParams
from triad.config.pretrain import PretrainParams
from triad.config.runtime import RuntimeParams
from triad.config.similarity import SimilarityParams
from triad.config.tasks import TaskParams
from triad.datasets.markets import MarketsForm, read
from triad.datasets.markets.features import list_features
from triad.datasets.markets.joined import initial_rows, together
from triad.datasets.markets.lists import Candidates, run_of, sampled
from triad.datasets.markets.weights import market_weights
from triad.datasets.streams import DAY, LAST_DAY
from triad.evaluation.source import judge_source
from triad.examples.dataset import Dataset
from triad.fusion.candidates import lists_of as rows_of
from triad.fusion.fitting import fit_fusion
from triad.fusion.lists import Lists
from triad.fusion.reranking import Lesson
from triad.kinds import KINDS
from triad.members.given import Given
from triad.members.linear import Linear
from triad.members.pairs import keep_largest
from triad.members.popularity import Popularity
from triad.members.sequence import Sequence
from triad.models.warm_start import InitialModel
from triad.training.pretraining import pretrain_network
from triad.training.runtime import settle

FOLDER = Path(os.environ.get("TRIAD_DATASETS", "datasets")) / "xmarket"
SOURCES, TARGET, ALL = ("s1", "s2", "s3"), "t1", ("s1", "s2", "s3", "t2", "t1")
NETWORK = {
    "trunk": {"dim": 64, "layers": 1, "heads": 2, "max_steps": 16, "dropout": 0.3, "id_dropout": 0.0},
    "own_items": 0,  # no candidate is one
    "batch_targets": 1024,
    "learning_rate": 0.002,
    "max_epochs": 30,
    "warm_epochs": 30,
    "warm_rate": 1.0,
    "patience": 4,
}
RANKER = {
    "objective": "lambdarank",
    "eval_at": [10],
    "lambdarank_truncation_level": 20,
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "verbosity": -1,
    "num_threads": 1,
}
FOLDS, ROUNDS = 5, 400
SIMILARITY = SimilarityParams(recent=(1000,), half_life_days=(1e6,))
"""Ratings hold no times: all that a user took counts alike."""
NEIGHBOURS, FLOOR = 500, 0.02
"""Weights kept per item, and a member's share of popularity. Chosen over the whole catalogue it were 0.2: between 100
candidates that costs 0.005 to 0.018 of a member's NDCG on the lists of train ratings.
"""
FUSE = FuseParams(
    combine="reranked",
    loss="lambdarank",
    candidates=100,
    trees=(100, 150, 220, 320),
    pairs=2_000_000,
    network=(0.0, 0.1, 0.2, 0.3),
)
TASKS = {"next": TaskParams(kind="ranking", label="next_item")}
HOLD, WINDOWS = 0.5, tuple(range(1, 13))
"""Of the lists that the re-ranker learns of: so few users lack a step that members know what those of the test know.
Each window holds other users' steps; with 8 in place of 4 its lists of train ratings gain 0.004.
"""
SOURCE = {"max_epochs": 8}
"""Of NETWORK, for the source markets, whose epoch takes five times as long."""


def form(hold: float, seed: int = 1) -> MarketsForm:
    """XMarket; of the share `hold` of t1's users a step is held out."""
    markets: dict[str, dict[str, Any]] = {}
    for name in ALL:  # what others' runs are asked about is as good as their train
        files = ["train.tsv.gz", "train_5core.tsv.gz", *(["valid_qrel.tsv.gz"] if name != TARGET else [])]
        markets[name] = {"ratings": [f"{name}/{file}" for file in files if (FOLDER / name / file).is_file()]}
    markets[TARGET] |= {
        "asked": "t1/train_5core.tsv.gz",
        "run": "t1/valid_run.tsv.gz",
        "qrel": "t1/valid_qrel.tsv.gz",
        "hold": hold,
    }
    return MarketsForm.model_validate({"form": "markets", "markets": markets, "seed": seed})


def lists_of(one: MarketsForm, data: Dataset, judge: str) -> Candidates:
    """The run's lists, or those made of train ratings."""
    if judge == "test":
        return run_of(one, TARGET, FOLDER, data)
    parts = [sampled(one, TARGET, FOLDER, data, split) for split in ("validation", "fusion")]
    return Candidates(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("query", "item", "wanted"))
    )


def scores(member: Sequence, data: Dataset, lists: Candidates) -> np.ndarray:
    """(q, width) logits of the candidates."""
    users, history = data.lists.user[lists.query], data.lists.history[lists.query]
    items = member.scorer.items(data)
    return np.einsum("qd,qwd->qw", member.states(data, users, history), items[lists.item])


def networks(asked: argparse.Namespace) -> None:
    """Scratch against pretrained, seed by seed."""
    keep = kept_in(asked.keep, asked.task, asked.changes)
    runtime = settle(RuntimeParams(), asked.seeds[0])
    one = form(0.5 if asked.judge == "test" else 1.0)  # a tenth would leave 139 lists to tell the best epoch by
    markets = read(one, FOLDER)
    target = markets[TARGET]
    source_data = together({name: markets[name] for name in SOURCES}, SOURCES[-1], hold_all=True)
    lists = lists_of(one, target, asked.judge)
    user, length = target.lists.user[lists.query], target.lists.history[lists.query]
    known = np.isin(np.arange(len(target.items.item_id)), target.streams.item[target.streams.split == 0])
    slices = {
        "all": np.ones(len(user), bool),
        "users of < 4 steps": length < 4,
        "cold items": ~known[(lists.item * lists.wanted).sum(axis=1)],
    }
    gains: dict[str, list[np.ndarray]] = {"scratch": [], "pretrained": []}
    for seed in asked.seeds:
        files = {name: keep / f"{asked.judge}-{name}-{seed}.npy" for name in gains}
        if not all(path.is_file() for path in files.values()):
            params = PretrainParams.model_validate({**NETWORK, **asked.changes, "task": asked.task, "seed": seed})
            if not (keep / f"source-{seed}").is_dir():
                began = time.perf_counter()
                source, history = pretrain_network(source_data, params.model_copy(update=SOURCE), runtime)
                print(f"seed {seed} source: {told(history)}, {time.perf_counter() - began:.0f} s", flush=True)
                with replacing(keep / f"source-{seed}") as folder:
                    source.save(folder)
            source = Sequence.load(keep / f"source-{seed}")
            starts = {
                "scratch": None,
                "pretrained": InitialModel(source.network, initial_rows(one, target, source_data)),
            }
            for name, path in files.items():
                began = time.perf_counter()
                member, history = pretrain_network(target, params, runtime, initial=starts[name])
                with replacing_file(path) as fresh:
                    np.save(fresh, scores(member, target, lists))
                print(f"seed {seed} {name}: {told(history)}, {time.perf_counter() - began:.0f} s", flush=True)
        for name, path in files.items():
            gains[name].append(lists.ndcg(np.load(path)))
        print(f"seed {seed}: " + ", ".join(f"{name} {each[-1].mean():.4f}" for name, each in gains.items()), flush=True)
    for cut, inside in slices.items():
        mean = {name: np.mean(values, axis=0)[inside] for name, values in gains.items()}
        gain = judge_source(-mean["scratch"], -mean["pretrained"], user[inside], seed=1)
        figures = ", ".join(f"{name} {values.mean():.4f}" for name, values in mean.items())
        print(f"{cut} ({inside.sum()} lists): {figures}; gain {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]")
    for name, values in gains.items():
        by_seed = np.array([each.mean() for each in values])
        print(f"{name}: {by_seed.mean():.4f} ± {by_seed.std(ddof=1) if len(by_seed) > 1 else 0:.4f} over seeds")


def told(history: list[dict[str, float]]) -> str:
    return f"{len(history)} epochs, loss {min(row['validation_loss'] for row in history):.4f}"


def features(asked: argparse.Namespace, judge: str, seed: int) -> tuple[dict[str, np.ndarray], Candidates, np.ndarray]:
    """The lists of `judge`, what is known of each candidate, and each list's user."""
    one = form(0.02 if judge == "test" else 1.0, seed)
    markets = read(one, FOLDER)
    joined = together(markets, TARGET)
    lists = lists_of(one, markets[TARGET], judge)
    found = list_features(joined, markets, TARGET, lists)
    if asked.networks:
        for name in ("scratch", "pretrained"):
            files = sorted(asked.networks.glob(f"{judge}-{name}-*.npy"))
            found[f"network {name}"] = np.mean([np.load(file) for file in files], axis=0)
    return found, lists, joined.users.user_id[joined.lists.user[lists.query]]


def table(found: Mapping[str, np.ndarray], without: list[str]) -> tuple[np.ndarray, list[str]]:
    """(q, width, columns) each feature, its score and its rank within the list."""
    columns, names = [], []
    for name, values in found.items():
        if any(name.startswith(each) for each in without):
            continue
        spread = values.std(axis=1, keepdims=True)
        standard = (values - values.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
        rank = (values[:, None, :] > values[:, :, None]).sum(axis=2)
        columns += [values, standard, rank]
        names += [name, f"{name}, standard", f"{name}, rank"]
    return np.stack(columns, axis=2).astype(np.float32), names


def lists(asked: argparse.Namespace) -> None:
    """Fit on lists of train ratings; print the members alone and the fusion."""
    made = [features(asked, "choose", seed) for seed in ([1] if asked.networks else (1, 2, 3))]
    judged, own, user = features(asked, "test", 1) if asked.judge == "test" else made[0]
    alone = {name: float(own.ndcg(values).mean()) for name, values in judged.items()}
    print("alone: " + ", ".join(f"{name} {value:.4f}" for name, value in alone.items()), flush=True)
    x, names = table(judged, asked.without)
    inputs = [(table(found, asked.without)[0], these.wanted, users) for found, these, users in made]
    everyone = np.unique(np.concatenate([users for *_, users in inputs]))
    gains = []
    for seed in asked.seeds:
        fold = dict(
            zip(everyone.tolist(), np.random.default_rng(seed).integers(FOLDS, size=len(everyone)), strict=True)
        )
        total, rounds = np.zeros(own.item.shape), []
        for number in range(FOLDS):
            train, watch = ([], [])
            for columns, wanted, users in inputs:
                held = np.array([fold[each] == number for each in users.tolist()])
                train.append((columns[~held], wanted[~held]))
                watch.append((columns[held], wanted[held]))
            model = rank_model(train, watch[:1], seed)
            found = model.predict(x.reshape(-1, x.shape[2])).reshape(own.item.shape)
            rounds.append(model.best_iteration)
            if asked.judge == "test":
                total += found
            else:  # a user's list is judged by the model that has not seen the user
                mine = np.array([fold[each] == number for each in user.tolist()])
                total[mine] = found[mine]
        gains.append(own.ndcg(total))
        print(f"seed {seed}: {gains[-1].mean():.4f}, rounds {rounds}", flush=True)
    best = max(alone, key=lambda name: alone[name])
    mean, by_seed = np.mean(gains, axis=0), np.array([each.mean() for each in gains])
    gain = judge_source(-own.ndcg(judged[best]), -mean, np.arange(len(mean)), seed=1)
    level = judge_source(np.zeros(len(mean)), -mean, np.arange(len(mean)), seed=1)
    print(f"fused {mean.mean():.4f} [{level.low:.4f}, {level.high:.4f}], ± {by_seed.std(ddof=1):.4f} over seeds")
    print(f"over {best}: {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]")
    weight = sorted(zip(model.feature_importance("gain"), names, strict=True), reverse=True)[:12]
    print("most used: " + ", ".join(name for _, name in weight))


def rank_model(train: list, watch: list, seed: int) -> lightgbm.Booster:
    """LightGBM on whole lists, stopped by those of other users."""

    def packed(parts: list, reference: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
        columns = np.concatenate([each.reshape(-1, each.shape[2]) for each, _ in parts])
        wanted = np.concatenate([each.reshape(-1) for _, each in parts]).astype(int)
        group = np.full(sum(len(each) for each, _ in parts), parts[0][0].shape[1])
        return lightgbm.Dataset(columns, wanted, group=group, reference=reference)

    first = packed(train)
    stop = lightgbm.early_stopping(30, verbose=False)
    return lightgbm.train({**RANKER, "seed": seed}, first, ROUNDS, [packed(watch, first)], callbacks=[stop])


def held_out(hold: float, seed: int, sources: Mapping[str, Dataset]) -> tuple[dict[str, Dataset], MarketsForm]:
    """All markets; of the share `hold` of t1's users a step is held out."""
    whole = form(hold, seed)
    own = whole.model_copy(update={"markets": {TARGET: whole.markets[TARGET]}})
    return {**sources, **read(own, FOLDER)}, own


def members_of(markets: Mapping[str, Dataset], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Popularity and item-item weights of each market and of all; what `chosen` chose stays."""
    data = markets[TARGET]
    weights, shares = market_weights(markets, together(markets, TARGET), TARGET)
    order = data.items.item_id.order()
    members: dict[str, Any] = {name: Popularity(data.items.item_id[order], x[order], {}) for name, x in shares.items()}
    for name, each in weights.items():
        kept = keep_largest(each, NEIGHBOURS)
        whole = chosen[name] if chosen else replace(Linear.fit(data, kept, SIMILARITY), power=1.0, floor=FLOOR)
        members[name] = whole.relearned(data, kept)
    return members


def given(members: Mapping[str, Any], data: Dataset, lists: Candidates) -> dict[str, Any]:
    """Each member, asked about the lists' candidates alone."""
    user, history = data.lists.user[lists.query], data.lists.history[lists.query]
    return {name: Given.of(member, user, history, lists.item) for name, member in members.items()}


def windows_of(sources: Mapping[str, Dataset], chosen: Mapping[str, Any]) -> tuple[list[Lists], list[Candidates]]:
    """Lists of train ratings, whose members know all of them but the steps held out; and the same as candidates."""
    windows, parts = [], []
    for seed in WINDOWS:
        markets, own = held_out(HOLD, seed, sources)
        data = markets[TARGET]
        parts.append(lists_of(own, data, "choose"))
        members = given(members_of(markets, chosen), data, parts[-1])
        windows.append(Lists(data, members, parts[-1].query, KINDS["ranking"]))
    return windows, parts


def worth(members: Mapping[str, Any], data: Dataset, lists: Candidates) -> dict[str, np.ndarray]:
    """Member → (q,) NDCG@10 of its lists."""
    users, history = data.lists.user[lists.query], data.lists.history[lists.query]
    row = np.arange(len(users))[:, None]
    return {name: lists.ndcg(of.rank(data, users, history)[row, lists.item]) for name, of in members.items()}


def fused(asked: argparse.Namespace) -> None:
    """Fuse the members as a night does; print each alone and the fusion."""
    sources = {name: data for name, data in read(form(0.5), FOLDER).items() if name != TARGET}
    markets, own = held_out(1.0, 1, sources)
    data = markets[TARGET]
    chosen = members_of(markets, {})
    fusion = fit_fusion(data, given(chosen, data, lists_of(own, data, "choose")), TASKS, FUSE)
    record = fusion.record["next"]
    print(f"{record['rows']} lists decide: best member {record['best']}, re-ranked {record['reranked']}", flush=True)
    windows, parts = windows_of(sources, chosen)
    lesson = Lesson.of(windows, FUSE)
    users = np.unique(lesson.user)
    fold = np.random.default_rng(FUSE.seed).permutation(len(users)) % FUSE.folds
    folds = dict(zip(users.tolist(), fold.tolist(), strict=True))
    judged = replace(lesson, judged=len(lesson.user)).judge(folds, FUSE.k)
    assert judged is not None
    order = f"{judged.trees} trees, network {judged.network}"
    print(f"{len(lesson.user)} lists: {order}, {judged.values.mean():.4f} out of fold", flush=True)
    if asked.judge == "choose":
        of_window = [worth(each.members, each.data, part) for each, part in zip(windows, parts, strict=True)]
        alone = {name: np.concatenate([each[name] for each in of_window]) for name in chosen}
        report(alone, [judged.values], lesson.user)
        return
    markets, own = held_out(1e-9, 1, sources)  # nobody's step is held out
    data = markets[TARGET]
    run = run_of(own, TARGET, FOLDER, data)
    members = given(members_of(markets, chosen), data, run)
    # on the day of the steps held out in train: what sold until then is counted alike
    queries = replace(rows_of(data, run.query), moment=np.full(len(run.query), LAST_DAY * DAY))
    row, everybody, by_seed = np.arange(len(run.query))[:, None], np.ones(len(lesson.user), bool), []
    for seed in asked.seeds:
        reranker = None
        if record["reranked"]["serves"]:
            reranker = replace(lesson, seed=seed).fit(everybody, judged.trees, judged.network)
        scores = replace(fusion, reranker=reranker, members=members).ranker(data).rank(queries)
        by_seed.append(run.ndcg(scores[row, run.item]))
        print(f"seed {seed}: {by_seed[-1].mean():.4f}", flush=True)
    report(worth(members, data, run), by_seed, queries.users)


def report(alone: Mapping[str, np.ndarray], by_seed: list[np.ndarray], user: np.ndarray) -> None:
    """The members alone, the fusion, and its gain over the best of them, with 95 % intervals over users."""
    print("alone: " + ", ".join(f"{name} {values.mean():.4f}" for name, values in alone.items()))
    best = max(alone, key=lambda name: alone[name].mean())
    mean, spread = np.mean(by_seed, axis=0), [each.mean() for each in by_seed]
    gain = judge_source(-alone[best], -mean, user, seed=1)
    level = judge_source(np.zeros(len(mean)), -mean, user, seed=1)
    over_seeds = f", ± {np.std(spread, ddof=1):.4f} over seeds" if len(spread) > 1 else ""
    print(f"fused {mean.mean():.4f} [{level.low:.4f}, {level.high:.4f}]{over_seeds}")
    print(f"over {best}: {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["networks", "lists", "fused"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--judge", choices=["test", "choose"], default="test")
    parser.add_argument("--task", default="next", choices=["next", "masked", "both"])
    parser.add_argument("--keep", type=Path, default=Path("runs/xmarket"), help="where `networks` keeps its scores")
    parser.add_argument("--networks", type=Path, help="such a folder, for `lists` to read")
    parser.add_argument("--without", nargs="*", default=[], help="features left out, by the start of their names")
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value", help="of pretraining")
    asked = parser.parse_args()
    asked.changes = {key: yaml.safe_load(text) for key, _, text in (each.partition("=") for each in asked.set)}
    print(f"{asked} · {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    {"networks": networks, "lists": lists, "fused": fused}[asked.what](asked)


if __name__ == "__main__":
    main()
