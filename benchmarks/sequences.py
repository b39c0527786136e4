"""Next item on Amazon Beauty and Toys: what each member is worth alone, what weights add, and what re-ranking adds.

    TRIAD_DATASETS=… python benchmarks/sequences.py [beauty toys] [--seeds 1] [--folder runs/sequences] [--members …]

Leave-one-out, the full catalogue ranked, items of the history masked. Everything is chosen before the test item:
members on one half of the users' last item but one; calibrations, weights and trees on the other half, re-rankers also
on lists of the first, each user judged by trees that did not see it; then every member is fitted again on all but the
last item, with what was chosen (`triad.datasets.sequences`), the Transformer by going on as a night's refit does. Lists
are made by the functions that a night uses (`fusion.ranker`). Seeds are the Transformer's: its first gives weights and
trees. The rest is the same each time.

Fitted members lie in the folder, so that a second call goes on where the first was stopped. Prints Markdown: intervals
are 95 %, over users of the mean over seeds; `±` is the standard deviation between them.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
from resume import kept_in
from scipy.sparse import csr_array

from triad.config.fuse import FuseParams
from triad.config.pretrain import PretrainParams, TrunkParams
from triad.config.refit import RefitParams
from triad.config.runtime import RuntimeParams
from triad.config.similarity import LinearParams, SimilarityParams
from triad.datasets.sequences import SequencesForm, read, read_refit
from triad.examples.dataset import Dataset
from triad.fusion.candidates import lists_of as asked_of
from triad.fusion.crossfit import solve
from triad.fusion.fitting import ranking_question
from triad.fusion.question import Answer, Trial
from triad.fusion.ranker import Ranker
from triad.fusion.signals import Reading
from triad.kinds import KINDS
from triad.members.chances import Dense
from triad.members.linear import WEIGHTS, Linear
from triad.members.mask_seen import MaskSeen
from triad.members.pairs import item_neighbours
from triad.members.popularity import Popularity
from triad.members.protocol import Member
from triad.members.registry import load_member
from triad.progress import Progress
from triad.ranking import target_ranks
from triad.statistics.bootstrap import Draws, draw, interval

K = 10
LINEAR = LinearParams()
SIMILARITY = SimilarityParams(shrink=10, neighbours=200, linear=LINEAR)
LAST = SIMILARITY.model_copy(update={"recent": (1,), "half_life_days": (1.0,)})
FEW = LINEAR.model_copy(update={"shrink": 5.0})
"""Pairs are believed sooner."""
ITEM_ITEM: dict[str, tuple[Callable[[Dataset], csr_array], SimilarityParams]] = {
    "item_knn": (lambda data: item_neighbours(data, neighbours=200, shrink=SIMILARITY.shrink), SIMILARITY),
    "ease": (lambda data: WEIGHTS["ease"](data, LINEAR), SIMILARITY),
    "successors": (lambda data: WEIGHTS["successors"](data, LINEAR), SIMILARITY),
    "transitions": (lambda data: WEIGHTS["transitions"](data, LINEAR), SIMILARITY),
    "followers": (
        lambda data: WEIGHTS["transitions"](data, FEW.model_copy(update={"reach": 1, "backward": 0.0})),
        SIMILARITY,
    ),
    "kindred": (lambda data: WEIGHTS["kindred"](data, FEW), SIMILARITY),
    "attributes": (lambda data: WEIGHTS["attributes"](data, LINEAR), SIMILARITY),
    "like_the_last": (lambda data: WEIGHTS["attributes"](data, LINEAR), LAST),
}
"""Members by their item-item weights, and how far back they may look. All are the product's, some by other dials."""
MEMBERS = ("popularity", *ITEM_ITEM, "pretrain")
ASKED = tuple(name for name in MEMBERS if name not in ("ease", "successors"))
"""By default without the two that invert a matrix: some minutes each, and no weight."""
REFIT = RefitParams(rate=0.25)
FUSE = FuseParams(mask_seen=True, max_queries=20_000, candidates=20, trees=(200, 400, 800), pairs=300_000)
WEIGHED = 4000
"""Lists of the fusion window by which convex weights are fitted: they are few numbers."""
PRETRAIN = PretrainParams(
    trunk=TrunkParams(dim=64, layers=1, max_steps=20, dropout=0.2, id_dropout=0.0),
    own_items=0,  # what the user took is masked
    learning_rate=4e-3,
    weight_decay=0.2,
    max_epochs=10,
    patience=4,
)
BARS = {"beauty": 0.072, "toys": 0.079}
"""NDCG@K."""
FLOORS = {"beauty": (0.0750, 0.0461), "toys": (0.0928, 0.0577)}
"""Of item-kNN with recency decay, as published with the data."""


@dataclass
class Fitted:
    """Members for choosing and fitted again, with the seconds that the second took."""

    chosen: dict[str, Member]
    refit: dict[str, Member]
    seconds: dict[str, float]


def kept(path: Path, name: str, fit: Callable[[], Member]) -> tuple[Member, float]:
    """The member saved under `path`, or fitted and saved there; and the seconds that fitting took."""
    if not (path / "seconds.json").is_file():
        start = time.monotonic()
        member = fit()
        member.save(path)
        (path / "seconds.json").write_text(json.dumps(time.monotonic() - start))
    return load_member(name, path), json.loads((path / "seconds.json").read_text())


def fit_linear(data: Dataset, again: Dataset, folder: Path, names: list[str]) -> Fitted:
    """Those members of `names` that need no network."""
    found = Fitted({}, {}, {})
    for name in names:
        if name == "pretrain":
            continue
        saved = "popularity" if name == "popularity" else "transitions"  # whose class reads it back
        if name == "popularity":
            fits = [lambda part=part: Popularity.fit(part, {}, half_life_days=1e9) for part in (data, again)]
        else:
            weights, look = ITEM_ITEM[name]
            fits = [
                lambda weights=weights, look=look: Linear.fit(data, weights(data), look),
                lambda name=name, weights=weights: found.chosen[name].relearned(again, weights(again)),
            ]
        found.chosen[name], _ = kept(folder / "chosen" / name, saved, fits[0])
        found.refit[name], found.seconds[name] = kept(folder / "refit" / name, saved, fits[1])
        print(f"{name}: {found.seconds[name]:.0f} s", flush=True)
    return found


def fit_transformer(data: Dataset, folder: Path, params: PretrainParams) -> tuple[Member, float]:
    """The network of the source task."""

    def fit() -> Member:
        from triad.training.pretraining import pretrain_network
        from triad.training.runtime import settle

        folder.mkdir(parents=True, exist_ok=True)
        member, history = pretrain_network(data, params, settle(RuntimeParams(), params.seed), folder / "checkpoint")
        (folder / "history.json").write_text(json.dumps(history))
        return member

    return kept(folder, "pretrain", fit)


def go_on(member: Member, data: Dataset, again: Dataset, folder: Path, params: PretrainParams) -> tuple[Member, float]:
    """`member`, which was fitted on `data`, taught what `again` knows beside: as a night's refit by default."""

    def fit() -> Member:
        from triad.models.warm_start import InitialModel
        from triad.training.pretraining import pretrain_network
        from triad.training.refit import Refit
        from triad.training.runtime import settle

        rows = {table: np.arange(count) for table, count in again.meta.vocabulary_rows.items()}
        rows["item"][again.items.vocabulary_row] = data.items.vocabulary_row
        rules = Refit(REFIT.epochs.pretrain, data.meta.windows["train"][1], REFIT.replay, params.seed)
        dials = params.model_copy(update={"warm_rate": REFIT.rate})
        initial = InitialModel(member.network, rows)
        return pretrain_network(again, dials, settle(RuntimeParams(), params.seed), None, initial, refit=rules)[0]

    return kept(folder, "pretrain", fit)


def answers(data: Dataset, members: Mapping[str, Member]) -> dict[str, Answer]:
    """Convex weights, and the order that a night's re-ranker learns upon them; both fitted on the fusion window."""
    retrievers, kind = dict(members), KINDS["ranking"]
    found = {}
    for combine, most in (("convex", WEIGHED), ("reranked", FUSE.max_queries)):
        params = FUSE.model_copy(update={"combine": combine, "max_queries": most})
        question = ranking_question(data, retrievers, "next", kind, params)
        trial = Trial(params.folds, params.bootstrap, params.confidence, params.seed, combine=params.combine)
        found[combine] = solve(question, trial)
    return found


def lists_of(data: Dataset, members: Mapping[str, Member], fusions: Mapping[str, Answer], split: str = "test"):
    """Each query's rank of its item by every member and fusion, and the members' lists of K."""
    rows, queries, kind = data.rows(split, "lists"), data.lists, KINDS["ranking"]
    target = np.asarray(queries.target)[rows]
    ranks: dict[str, list] = {name: [] for name in (*members, *fusions)}
    lists: dict[str, list] = {name: [] for name in members}
    reading = Reading.of(data)
    rankers = {
        name: Ranker(data, members, kind, each.calibrations, each.blend, tuple(members), each.reranker, True, reading)
        for name, each in fusions.items()
    }
    block = max(1, 4_000_000 // len(data.items.item_id))
    with Progress("rank", len(rows), "queries") as progress:
        for start in range(0, len(rows), block):
            part = rows[start : start + block]
            asked = asked_of(data, part)
            scores = {n: MaskSeen(member).rank(data, asked.users, asked.history) for n, member in members.items()}
            said = {name: Dense(values) for name, values in scores.items()}
            fused = {name: ranker.mix(asked, said) for name, ranker in rankers.items()}
            for name, values in {**scores, **fused}.items():
                ranks[name].append(target_ranks(values, np.arange(len(part)), target[start : start + block]))
            for name, values in scores.items():
                lists[name].append(np.argpartition(-values, K, axis=1)[:, :K].copy())  # a view would hold them all
            progress.advance(len(part))
    return {name: np.concatenate(found) for name, found in ranks.items()}, {
        name: np.concatenate(found) for name, found in lists.items()
    }


def worth(ranks: np.ndarray) -> np.ndarray:
    """(q, 2) HIT@K and NDCG@K of one target a query."""
    hit = ranks <= K
    return np.stack([hit, hit / np.log2(ranks + 1)], axis=1)


@cache
def users_drawn(users: int) -> Draws:
    """The same resamples of users for every figure of as many."""
    return draw(users, 1000, 1)


def shown(by_seed: list[np.ndarray], place: int) -> str:
    """The mean over seeds of users' values (q, 2) with its interval over users, and the spread between seeds."""
    values = np.mean(by_seed, axis=0)[:, place]
    sums = users_drawn(len(values)).totals(np.arange(len(values)), np.stack([values, np.ones(len(values))], axis=1))
    means = sums[:, 0] / sums[:, 1]
    low, high = interval(means, 0.95)
    spread = f" ± {np.std([v[:, place].mean() for v in by_seed], ddof=1):.4f}" if len(by_seed) > 1 else ""
    return f"{means[0]:.4f} [{low:.4f}, {high:.4f}]{spread}"


def run(name: str, seeds: list[int], folder: Path, names: list[str]) -> None:
    """One data set, from its files to its tables."""
    form = SequencesForm(
        form="sequences", path=f"sequences/{name}.txt", attributes=f"sequences/{name}_item_attributes.json"
    )
    root = Path(os.environ["TRIAD_DATASETS"])
    data, again = read(form, root), read_refit(form, root)
    fitted = fit_linear(data, again, folder, names)
    refits = []
    if "pretrain" in names:
        for seed in reversed(seeds):  # the first gives the weights
            params = PRETRAIN.model_copy(update={"seed": seed})
            chosen, _ = fit_transformer(data, folder / f"chosen/pretrain_{seed}", params)
            member, fitted.seconds["pretrain"] = go_on(chosen, data, again, folder / f"refit/pretrain_{seed}", params)
            fitted.chosen["pretrain"] = chosen
            refits.insert(0, member)
    fusions = answers(data, fitted.chosen)

    by_seed: dict[str, list[np.ndarray]] = {}
    lists: dict[str, np.ndarray] = {}
    for refit in refits or [None]:
        members = dict(fitted.refit) if refit is None else {**fitted.refit, "pretrain": refit}
        ranks, lists = lists_of(again, members, fusions)
        for each, found in ranks.items():
            by_seed.setdefault(each, []).append(worth(found))
    report(name, by_seed, lists, fusions, fitted)
    chosen, _ = lists_of(data, fitted.chosen, {}, "validation")
    print(f"\nNDCG@{K} where members are chosen, {len(data.rows('validation', 'lists')):,} users:")
    print("; ".join(f"{member} {shown([worth(found)], 1)}" for member, found in chosen.items()), flush=True)
    if "pretrain" in names:
        print(marks(json.loads((folder / f"chosen/pretrain_{seeds[0]}" / "history.json").read_text())), flush=True)


def marks(history: list[dict[str, float]]) -> str:
    """What the loss and the lists call the best epoch, and how good the lists are there (nothing masked)."""
    best = [min(history, key=lambda row: row[f"validation_{mark}"]) for mark in ("loss", "missed")]
    told = [f"epoch {row['epoch']:.0f}, NDCG@{K} {1 - row['validation_missed']:.4f}" for row in best]
    return f"the Transformer's best epoch on validation: by its loss {told[0]}; by its lists {told[1]}"


def report(
    name: str, by_seed: dict[str, list], lists: dict[str, np.ndarray], fusions: dict[str, Answer], fitted: Fitted
) -> None:
    """The tables of one data set."""
    runs, weights = next(iter(by_seed.values())), fusions["convex"].weights
    print(f"\n### {name.title()}: {len(runs[0]):,} users, {len(runs)} seed(s)\n")
    print(f"| | HIT@{K} | NDCG@{K} | convex weight | fit, s |")
    print("|---|---|---|---|---|")
    if name in BARS:
        print(f"| bar | | {BARS[name]:.4f} | | |")
        print("| item-kNN with recency decay, published with the data | {:.4f} | {:.4f} | | |".format(*FLOORS[name]))
    for member in lists:
        figures = shown(by_seed[member], 0), shown(by_seed[member], 1)
        print(f"| {member} | {' | '.join(figures)} | {weights[member]:.2f} | {fitted.seconds[member]:.0f} |")
    for fusion in fusions:
        print(f"| {fusion} | {shown(by_seed[fusion], 0)} | {shown(by_seed[fusion], 1)} | | |")
    best = fusions["reranked"].record["best"]
    print(f"\nRe-ranked less another, the same users' HIT@{K} and NDCG@{K} ({best}: the best on the fusion window):")
    for other in ("convex", best):
        less = [a - b for a, b in zip(by_seed["reranked"], by_seed[other], strict=True)]
        print(f"* {other}: {shown(less, 0)}; {shown(less, 1)}")
    print(f"\nGain over the best member, NDCG@{K}, out of fold on the fusion window:")
    for fusion, answer in fusions.items():
        value, low, high = answer.record["gain"].values()
        print(f"* {fusion}: {value:+.4f} [{low:+.4f}, {high:+.4f}]; left out: {answer.record['left_out']}")
    learned = fusions["reranked"].record["reranked"]
    print(f"\nre-ranker: {json.dumps({**learned, 'shares': dict(list(learned.get('shares', {}).items())[:20])})}")
    print(f"\nItems that two members' lists of {K} share, and the correlation of their NDCG@{K} over users:\n")
    print("| | | shared | correlation |\n|---|---|---|---|")
    for a, b in combinations(lists, 2):
        shared = (lists[a][:, :, None] == lists[b][:, None, :]).sum(axis=(1, 2)).mean()
        related = np.corrcoef(by_seed[a][-1][:, 1], by_seed[b][-1][:, 1])[0, 1]
        print(f"| {a} | {b} | {shared:.1f} | {related:.2f} |")
    print(f"\nchosen: {json.dumps({member: _numbers(fitted.chosen[member]) for member in lists})}", flush=True)


def _numbers(member: Member) -> dict:
    names = ("power", "floor", "half_life_days")
    return {name: getattr(member, name) for name in names if hasattr(member, name)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", default=list(BARS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--folder", type=Path, default=Path("runs/sequences"))
    parser.add_argument("--members", nargs="+", default=list(ASKED), choices=MEMBERS)
    asked = parser.parse_args()
    folder = kept_in(asked.folder)
    for name in asked.data:
        run(name, asked.seeds, folder / name, asked.members)


if __name__ == "__main__":
    main()
