"""Are the deeds that explain a score those that carry it? Deletion curves, other seeds, and a network's own gradients.

    python benchmarks/explanations.py [FOLDER] [--customers 150] [--seeds 3] [--network-seeds 2]

FOLDER is a checkout with a finished night. Of each customer's first listed item, deeds are taken away one by one: by
their share, largest first, and in random order, and latest first. What counts is how far the score has fallen on
average over the curve, as a share of the whole score (AOPC: Samek et al. 2017, arXiv:1509.06321). Intervals are over
customers. `--seeds` fits the member `trees` anew and compares shares by rank; `--network-seeds` trains the
fine-tuned network anew. Integrated gradients (Sundararajan et al.
2017, arXiv:1703.01365) name the steps that the fine-tuned network's own output rests on; their completeness gap is what
they leave of the difference to a history of empty steps.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.stats import spearmanr

from triad.config.params import load
from triad.examples import dataset
from triad.members.network import NetworkScorer
from triad.members.sequence import Sequence
from triad.members.trees import BoostedTrees
from triad.models.unit_batches import UnitBatches
from triad.serving import asking, deeds
from triad.serving.night import Night, Visit
from triad.serving.without import without
from triad.tracking.serving import ServingModel
from triad.training.apart import finetune_units
from triad.training.runtime import settle

LUCK, RANDOM, RESAMPLES = 0, 10, 2_000
CASES, OWN = "deeds taken away by", "click"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path())
    parser.add_argument("--customers", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=3, help="of the trees")
    parser.add_argument("--network-seeds", type=int, default=0, help="of the fine-tuned network, each trained anew")
    parser.add_argument("--only-seeds", action="store_true", help="leave out curves and cost")
    asked = parser.parse_args()
    work = asked.folder / "artifacts"
    params = load(asked.folder / "params.yaml")
    model = ServingModel.load(work / "refit/state", work / "refit/fuse", "1")
    night = Night.of(model, work / "validate/tables", params.recommend)
    visits = [each for each in _visits(night) if len(_named(each)) >= deeds.MOST][: asked.customers]
    task = str(night.settings.order_by)
    print(f"{len(visits)} customers with {deeds.MOST} items or more in their history; task {task}\n")
    if not asked.only_seeds:
        _curves(night, visits, task, _gradients(night))
        _cost(night, visits)
    if asked.seeds > 1:
        _seeds(work, params, visits[:60], asked.seeds)
    if asked.network_seeds > 1:
        _networks(work, params, visits[:60], asked.network_seeds)


def _visits(night: Night) -> list[Visit]:
    users = np.random.default_rng(LUCK).permutation(night.guest)
    return [night.visit(int(user), [], night.moment) for user in users]


def _named(visit: Visit) -> set[int]:
    return set(deeds._of_streams(visit, "item").tolist())


def _first(visit: Visit) -> Any:
    return asking.recommend(visit, 1).items


def _explained(visit: Visit, items: Any, task: str) -> tuple[np.ndarray, np.ndarray]:
    """(MOST,) shares of the first item's score, and (steps,) the deed of each step."""
    _, player = deeds._players(visit, items)
    kept = deeds.coalitions(deeds.MOST)[:, player]
    rows = visit.rows(items[:1], [1], [visit.night.surface])
    scores = visit.night.model.fused.predict(without(visit, rows, kept), np.arange(len(kept)), [task])[task]
    return deeds.shares(np.asarray(scores)), player


def _fall(visit: Visit, items: Any, task: str, player: np.ndarray, orders: list[np.ndarray]) -> np.ndarray:
    """(orders,) mean fall of the score as deeds go in each order, as a share of the score."""
    gone = [np.isin(player, order[:count]) for order in orders for count in range(deeds.MOST + 1)]
    rows = visit.rows(items[:1], [1], [visit.night.surface])
    data = without(visit, rows, ~np.stack(gone))
    scores = visit.night.model.fused.predict(data, np.arange(len(gone)), [task])[task].reshape(len(orders), -1)
    return np.asarray(((scores[:, :1] - scores[:, 1:]) / scores[:, :1]).mean(axis=1))


def _curves(night: Night, visits: list[Visit], task: str, gradients: Any) -> None:
    luck = np.random.default_rng(LUCK)
    falls, apart, gaps = [], [], []
    for visit in visits:
        items = _first(visit)
        share, player = _explained(visit, items, task)
        chance = [luck.permutation(deeds.MOST) for _ in range(RANDOM)]
        latest = np.argsort([-np.flatnonzero(player == p).max(initial=-1) for p in range(deeds.MOST)], kind="stable")
        fall = _fall(visit, items, task, player, [np.argsort(-share), latest, *chance])
        falls.append([fall[0], fall[1], fall[2:].mean()])
        if gradients:
            apart.append(_apart(visit, items, gradients, chance, gaps))
    print(f"| Score of {task}, {CASES} | Mean fall of the score | more than at random |\n|---|---|---|")
    _rows(np.array(falls), ("share, largest first", "latest first", "random order"))
    if apart:
        print(f"\n| The network's own output for {OWN}, {CASES} | Mean fall | more than at random |\n|---|---|---|")
        _rows(np.array(apart), ("deeds' shares", "integrated gradients", "random order"))
        for points, values in zip(POINTS, np.array(gaps).T, strict=True):
            print(
                f"gap of integrated gradients, {points} points: median {np.median(values):.3f} of the difference, "
                f"p90 {np.quantile(values, 0.9):.3f}"
            )


def _rows(falls: np.ndarray, names: tuple[str, ...]) -> None:
    drawn = np.random.default_rng(LUCK).integers(0, len(falls), (RESAMPLES, len(falls)))
    for at, name in enumerate(names):
        gain = falls[:, at] - falls[:, -1]
        low, high = np.quantile(gain[drawn].mean(axis=1), [0.025, 0.975])
        more = "" if at == len(names) - 1 else f"{gain.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
        print(f"| {name} | {falls[:, at].mean():.3f} | {more} |")


POINTS = (8, 32)


def _gradients(night: Night) -> list[Gradients]:
    """Of the fine-tuned network, each with so many points of the path; none where it does not serve."""
    member = night.model.fused.members.get("finetune")
    return [Gradients(member, OWN, points) for points in POINTS] if member is not None else []


@dataclass(frozen=True)
class Read:
    """A trunk that has read the history already."""

    trunk: Any
    states: Any

    def __call__(self, batch: Any, training: bool = False) -> Any:
        return self.states

    def user(self, batch: Any) -> Any:
        return self.trunk.user(batch)


class Gradients:
    """Shares of a history's steps in a network's output for one row, in log odds."""

    def __init__(self, member: NetworkScorer, task: str, points: int) -> None:
        self._network, self._task = member.network, task
        place, weight = np.polynomial.legendre.leggauss(points)
        self._path = list(zip(((place + 1) / 2).tolist(), (weight / 2).tolist(), strict=True))
        self._of = tf.function(self._integrated, autograph=False)

    def of(self, data: Any) -> tuple[np.ndarray, float, float]:
        """(steps read,) shares of row 0, latest last; the output less that of empty steps; what shares leave of it."""
        batches = UnitBatches(data, "exposures", np.array([0]), max_steps=self._network.trunk.max_steps, slots=1)
        ((_, batch),) = batches()
        shares, whole = (value.numpy() for value in self._of(batch))
        kept = shares[0, : int(batch["exposures"]["step"][0])].astype(np.float64)
        return kept, float(whole[0]), float(whole[0] - kept.sum())

    def _integrated(self, batch: Any) -> Any:
        heads, arrays = self._network.of(batch)
        trunk = self._network.trunk
        items = trunk.tower(arrays["items"])
        events, user = tf.gather(items, arrays["item"]), trunk.user(arrays)

        def output(part: Any) -> Any:
            states = trunk.history(part, user, arrays, training=False), items
            return heads.entire_space(heads.outputs(heads.represent(Read(trunk, states), arrays), arrays)[0])[
                self._task
            ]

        total = tf.zeros_like(events)
        for place, weight in self._path:
            part = events * place
            with tf.GradientTape() as tape:
                tape.watch(part)
                value = tf.reduce_sum(output(part))
            total += tape.gradient(value, part) * weight
        return tf.reduce_sum(total * events, axis=-1), output(events) - output(tf.zeros_like(events))


def _apart(visit: Visit, items: Any, gradients: Any, chance: list[np.ndarray], gaps: list[Any]) -> list[float]:
    """Mean falls of the network's own output: by deeds' shares of it, by integrated gradients, at random."""
    fused = visit.night.model.fused
    alone = replace(fused, weights={OWN: {"finetune": 1.0}}, blends={}, corrections={}, given={})
    only = replace(visit.night, model=replace(visit.night.model, fused=alone))
    own = replace(visit, night=only)
    share, player = _explained(own, items, OWN)
    data = own.exposures(items[:1], [1], [own.night.surface])
    found = [way.of(data) for way in gradients]
    gaps.append([abs(gap) / max(abs(whole), 1e-6) for _, whole, gap in found])
    steps = found[-1][0]
    by_deed = np.bincount(player[len(player) - len(steps) :], steps, minlength=deeds.MOST)
    fall = _fall(own, items, OWN, player, [np.argsort(-share), np.argsort(-by_deed), *chance])
    return [fall[0], fall[1], float(fall[2:].mean())]


def _cost(night: Night, visits: list[Visit]) -> None:
    times = {False: [], True: []}
    for visit in visits[:60]:
        for why in (False, True):
            begun = time.process_time()
            asking.recommend(visit, 20, why=why)
            times[why].append(1000 * (time.process_time() - begun))
    plain, told = (np.median(times[why]) for why in (False, True))
    print(f"\na list of 20, medians of processor time: {plain:.1f} ms, explained {told:.1f}, {told - plain:.1f} more")


def _seeds(work: Path, params: Any, visits: list[Visit], seeds: int) -> None:
    """Ranks of deeds' shares where the trees were fitted by other seeds, on the rows that the night's trees saw."""
    data, task = dataset.load(work / "features"), str(params.recommend.order_by)
    tasks = {name: params.tasks[name] for name in _chain(params, task)}
    vectors, members = np.load(work / "pretrain/embeddings.npy"), []
    for seed in range(1, seeds + 1):
        members.append(BoostedTrees.fit(data, vectors, tasks, params.profile.model_copy(update={"seed": seed})))
    _compared(work, params, visits, members, name="trees")


def _networks(work: Path, params: Any, visits: list[Visit], seeds: int) -> None:
    """Likewise of the fine-tuned network: trained by other seeds from the night's trunk, and from nothing."""
    data = dataset.load(work / "features")
    runtime = settle(params.runtime, params.finetune.seed)
    for pretrained in (Sequence.load(work / "pretrain").network, None):
        members = []
        for seed in range(1, seeds + 1):
            begun, dials = time.process_time(), params.finetune.model_copy(update={"seed": seed})
            member, history = finetune_units(
                data, params.tasks, dials, runtime, trunk=params.pretrain.trunk, pretrained=pretrained
            )
            members.append(member)
            print(f"seed {seed}: {len(history[''])} epochs, {time.process_time() - begun:.0f} s of processor time")
        start = "from nothing" if pretrained is None else "from the night's trunk"
        _compared(work, params, visits, members, name="finetune", how=start)


def _chain(params: Any, task: str) -> list[str]:
    return [name for name in (task, params.tasks[task].given) if name is not None]


def _compared(
    work: Path, params: Any, visits: list[Visit], members: list[Any], *, name: str, how: str = "of other luck"
) -> None:
    """Of `members`, each of which stands alone for the fusion's member `name`: how alike their deeds' shares are."""
    twin, shares = ServingModel.load(work / "features/state", work / "fuse", "1"), []
    tasks = _chain(params, str(params.recommend.order_by))
    weights = {task: {name: 1.0} for task in tasks}
    calibrated = {task: {name: twin.fused.calibrations[task][name]} for task in tasks}
    night, items = None, [_first(visit) for visit in visits]
    for member in members:
        alone = {"members": {name: member}, "weights": weights, "calibrations": calibrated}
        fused = replace(twin.fused, **alone, blends={}, corrections={}, reranker=None)
        own = replace(twin, fused=fused)
        night = Night.of(own, work / "validate/tables", params.recommend) if night is None else night
        shown = replace(night, model=own)
        both = [shown.visit(visit.user, [], shown.moment) for visit in visits]
        shares.append([_explained(each, item, tasks[0])[0] for each, item in zip(both, items, strict=True)])
    pairs = [(first, second) for first in range(len(members)) for second in range(first + 1, len(members))]
    ranks = np.array(
        [spearmanr(a, b).statistic for one, two in pairs for a, b in zip(shares[one], shares[two], strict=True)]
    )
    same = [np.argmax(a) == np.argmax(b) for one, two in pairs for a, b in zip(shares[one], shares[two], strict=True)]
    print(
        f"\n{len(members)} seeds of {name} {how}, {len(visits)} customers: rank correlation of deeds' shares, mean "
        f"{np.nanmean(ranks):.2f}, a tenth below {np.nanquantile(ranks, 0.1):.2f}; the same deed first: "
        f"{np.mean(same):.0%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
