"""Next item on Amazon Beauty and Toys: what each member is worth alone, and what fusing them adds.

    TRIAD_DATASETS=… python benchmarks/sequences.py [beauty toys] [--seeds 1 2 3 4 5] [--folder runs/sequences]

Leave-one-out, the full catalogue ranked, items of the history masked. Everything is chosen before the test item:
members on one half of the users' last item but one, calibrations and weights on the other half; then every member is
fitted again on all but the last item, with what was chosen (`triad.datasets.sequences`). Seeds are the Transformer's:
its first seed gives the weights, and every seed is fitted again. The rest is the same each time.

Fitted members lie in the folder, so that a second call goes on where the first was stopped. Prints Markdown: intervals
are 95 %, over users of the mean over seeds; `seeds` is the standard deviation between them.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
from resume import kept_in

from triad.config.fuse import FuseParams
from triad.config.pretrain import PretrainParams, TrunkParams
from triad.config.runtime import RuntimeParams
from triad.config.similarity import LinearParams, SimilarityParams
from triad.datasets.sequences import SequencesForm, read, read_refit
from triad.examples.dataset import Dataset
from triad.fusion.crossfit import solve
from triad.fusion.fitting import ranking_question
from triad.fusion.question import Answer, Question, Trial
from triad.kinds import KINDS
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
MEMBERS = ("popularity", "item_knn", *WEIGHTS, "pretrain")
LINEAR = LinearParams()
SIMILARITY = SimilarityParams(shrink=10, neighbours=200, linear=LINEAR)
FUSE = FuseParams(mask_seen=True, max_queries=4000)
PRETRAIN = PretrainParams(
    trunk=TrunkParams(dim=64, layers=1, max_steps=20, dropout=0.2, id_dropout=0.0),
    own_items=0,  # what the user took is masked
    learning_rate=4e-3,
    weight_decay=0.2,
    max_epochs=10,
    patience=4,
)
BLENDS = {"convex": {}, "by history": {"edges": (5, 10, 20)}, "stacked": {"combine": "stacked"}}
BARS = {"beauty": (0.085, 0.050), "toys": (0.105, 0.062)}
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


def weights_of(name: str, data: Dataset):
    """Item-item weights; `item_knn` is the cosine of baskets."""
    if name == "item_knn":
        return item_neighbours(data, neighbours=SIMILARITY.neighbours, shrink=SIMILARITY.shrink)
    return WEIGHTS[name](data, LINEAR)


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
            fits = [
                lambda name=name: Linear.fit(data, weights_of(name, data), SIMILARITY),
                lambda name=name: found.chosen[name].relearned(again, weights_of(name, again)),
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

        runtime = settle(RuntimeParams(), params.seed)
        folder.mkdir(parents=True, exist_ok=True)
        member, history = pretrain_network(data, params, runtime, folder / "checkpoint")
        (folder / "history.json").write_text(json.dumps(history))
        return member

    return kept(folder, "pretrain", fit)


def answers(question: Question, names: list[str]) -> dict[str, Answer]:
    """Each blend of all members, and the convex one without each; fitted on the fusion window."""
    trial = Trial(FUSE.folds, FUSE.bootstrap, FUSE.confidence, FUSE.seed)
    found = {name: solve(question, replace(trial, **dials)) for name, dials in BLENDS.items()}
    for out in names:
        rest = {name: values for name, values in question.scores.items() if name != out}
        found[f"without {out}"] = solve(replace(question, scores=rest, judge=None, candidates=None), trial)
    return found


def lists_of(data: Dataset, members: Mapping[str, Member], fusions: Mapping[str, Answer], split: str = "test"):
    """Each query's rank of its item by every member and fusion, and the members' lists of K."""
    rows, queries = data.rows(split, "lists"), data.lists
    target = np.asarray(queries.target)[rows]
    ranks: dict[str, list] = {name: [] for name in (*members, *fusions)}
    lists: dict[str, list] = {name: [] for name in members}
    block = max(1, 4_000_000 // len(data.items.item_id))
    with Progress("rank", len(rows), "queries") as progress:
        for start in range(0, len(rows), block):
            part = rows[start : start + block]
            user, history = queries.user[part], queries.history[part]
            scores = {name: MaskSeen(member).rank(data, user, history) for name, member in members.items()}
            fused = {}
            for name, answer in fusions.items():
                kind = KINDS["ranking"]
                shown = {each: kind.calibrate(how, scores[each]) for each, how in answer.calibrations.items()}
                fused[name] = answer.blend.mix(kind, shown, history)
            for name, values in {**scores, **fused}.items():
                ranks[name].append(target_ranks(values, np.arange(len(part)), target[start : start + block]))
            for name, values in scores.items():
                lists[name].append(np.argpartition(-values, K, axis=1)[:, :K])
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
        params = PRETRAIN.model_copy(update={"seed": seeds[0]})
        fitted.chosen["pretrain"], _ = fit_transformer(data, folder / "chosen" / "pretrain", params)
        for seed in seeds:
            params = PRETRAIN.model_copy(update={"seed": seed})
            member, fitted.seconds["pretrain"] = fit_transformer(again, folder / f"refit/pretrain_{seed}", params)
            refits.append(member)
    masked = {each: MaskSeen(member) for each, member in fitted.chosen.items()}
    question = ranking_question(data, masked, "next", KINDS["ranking"], FUSE.model_copy(update={"combine": "stacked"}))
    fusions = answers(question, list(masked))

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
        print(marks(json.loads((folder / "chosen" / "pretrain" / "history.json").read_text())), flush=True)


def marks(history: list[dict[str, float]]) -> str:
    """What the loss and the lists call the best epoch, and how good the lists are there (nothing masked)."""
    best = [min(history, key=lambda row: row[f"validation_{mark}"]) for mark in ("loss", "missed")]
    told = [f"epoch {row['epoch']:.0f}, NDCG@{K} {1 - row['validation_missed']:.4f}" for row in best]
    return f"the Transformer's best epoch on validation: by its loss {told[0]}; by its lists {told[1]}"


def report(
    name: str, by_seed: dict[str, list], lists: dict[str, np.ndarray], fusions: dict[str, Answer], fitted: Fitted
) -> None:
    """The tables of one data set."""
    best = max(BLENDS, key=lambda blend: fusions[blend].record["gain"]["value"])
    runs = next(iter(by_seed.values()))
    print(f"\n### {name.title()}: {len(runs[0]):,} users, {len(runs)} seed(s)\n")
    print(f"| | HIT@{K} | NDCG@{K} | weight, {best} | fused without it, NDCG@{K} | fit, s |")
    print("|---|---|---|---|---|---|")
    for label, (hit, ndcg) in {"bar": BARS[name], "floor: item-kNN with recency decay": FLOORS[name]}.items():
        print(f"| {label} | {hit:.4f} | {ndcg:.4f} | | | |")
    for member in lists:
        figures = shown(by_seed[member], 0), shown(by_seed[member], 1)
        rest, weight = shown(by_seed[f"without {member}"], 1), fusions[best].weights[member]
        print(f"| {member} | {' | '.join(figures)} | {weight:.2f} | {rest} | {fitted.seconds[member]:.0f} |")
    for blend in BLENDS:
        mark = ", chosen" if blend == best else ""
        print(f"| fused, {blend}{mark} | {shown(by_seed[blend], 0)} | {shown(by_seed[blend], 1)} | | | |")
    print(f"\nGain of each blend over the best member, NDCG@{K}, out of fold on the fusion window:")
    for blend in BLENDS:
        record = fusions[blend].record
        value, low, high = record["gain"].values()
        served = f"; {record['best']} serves alone" if record["fallback"] else ""
        print(f"* {blend}: {value:+.4f} [{low:+.4f}, {high:+.4f}]{served}")
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
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--folder", type=Path, default=Path("runs/sequences"))
    parser.add_argument("--members", nargs="+", default=list(MEMBERS), choices=MEMBERS)
    asked = parser.parse_args()
    folder = kept_in(asked.folder)
    for name in asked.data:
        run(name, asked.seeds, folder / name, asked.members)


if __name__ == "__main__":
    main()
