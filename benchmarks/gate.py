"""How often the gate errs: challenges by a twin of equal quality, and by a model that is truly better.

    python benchmarks/gate.py [--size large] [--challenges 200] [--resamples 300]

A challenge is a test window of five gated tasks as the simulated shop of that size gives them (rows, users, rates of
labels), drawn anew, on which champion and challenger are measured, compared and judged by the pipeline's own functions.

* Both read the same truth through an error that they share, and one of their own: what another seed of the same
  network changes. Part of either error is the user's, part the row's, so that a user's rows hang together.
* The **twin** errs as much as the champion: the same AUC, F1, error and NDCG in expectation.
* The **better** model errs less on clicks, so that its AUC there is 0.005 higher, and is a twin on the other tasks.

Prints the share of PASS, FAIL and INCONCLUSIVE for each, and what kept a better model from passing. NumPy alone.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import expit, softmax

from triad.config.evaluate import EvaluateParams
from triad.evaluation.gate import Comparison, judge
from triad.kinds import KINDS
from triad.ranking import ranking_values
from triad.sources.simulated.sizes import SIZES
from triad.statistics import metrics
from triad.statistics.bootstrap import Draws, Estimate, draw

Array = np.ndarray
Random = np.random.Generator

# the window of nine test days of the shop of size `small`, seed 1, counted
SMALL = {"users": 1746, "exposures": 42_719, "segments": 158, "prices": 1723, "queries": 5763}
RATES = {"click": 0.123, "conversion": 0.0205}
TRUTH = {"click": 1.0, "conversion": 1.35}
"""Spread of the true logits: AUC 0.77 and 0.84, the oracle's on that window."""
SHARED = {"click": 0.42, "conversion": 0.62}
"""Spread of the error that both models share: AUC 0.75 and 0.81, as the fused model's."""
OWN = 0.15
"""Spread of what another seed changes: two seeds' logits then correlate by 0.98."""
BETTER = 0.005
"""AUC."""
COLD = 0.06
"""Share of exposures in each of the two smallest slices, new users and cold items."""


@dataclass(frozen=True)
class Models:
    """Scores of one task by the three models, with what they are judged by."""

    champion: Array
    twin: Array
    better: Array


def noise(random: Random, user: Array, spread: float) -> Array:
    """(n,) an error of which three tenths of the variance are the user's."""
    own = random.normal(size=user.max() + 1)[user]
    return spread * (np.sqrt(0.3) * own + np.sqrt(0.7) * random.normal(size=len(user)))


def read(random: Random, user: Array, truth: Array, shared: float, gain: float) -> Models:
    """The truth as the three models see it; the better one's shared error is `gain` times the others'."""
    error = noise(random, user, shared)
    own = [noise(random, user, OWN) for _ in range(3)]
    return Models(truth + error + own[0], truth + error + own[1], truth + gain * error + own[2])


def binary_task(name: str, gain: float, random: Random, user: Array) -> tuple[Array, Models]:
    """Labels (n,), and each model's calibrated probabilities."""
    truth, kind = noise(random, user, TRUTH[name]), KINDS["binary"]
    start = np.log(RATES[name] / (1 - RATES[name])) - TRUTH[name] ** 2 / 2.6
    labels = (random.random(len(user)) < expit(start + truth)).astype(float)
    seen, fusion = read(random, user, truth, SHARED[name], gain), np.arange(min(len(user), 40_000))

    def probability(score: Array) -> Array:  # calibrated as the fusion does, on rows of another draw of labels
        raw, drawn = expit(start + score), random.random(len(fusion)) < expit(start + truth[fusion])
        return kind.calibrate(kind.fit_calibration(raw[fusion], drawn.astype(float)), raw)

    return labels, Models(*(probability(each) for each in (seen.champion, seen.twin, seen.better)))


def gain_for(name: str, better: float, seed: int = 0) -> float:
    """What the shared error must shrink to for an AUC higher by `better`, by bisection on a million rows."""

    def area(gain: float) -> float:
        random = np.random.default_rng(seed)
        user = np.repeat(np.arange(50_000), 20)
        labels, seen = binary_task(name, gain, random, user)
        return float(metrics.auc(labels > 0.5, seen.better, user, Draws(np.ones((1, 50_000), np.uint8)))[0])

    low, high, wanted = 0.0, 1.0, area(1.0) + better
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if area(middle) < wanted else (middle, high)
    return (low + high) / 2


def window(random: Random, size: float, gain: float, params: EvaluateParams) -> dict[str, list[Comparison]]:
    """One challenge: the five gated tasks' evidence, of the twin and of the better model."""
    users = int(SMALL["users"] * size)
    draws = draw(users, params.bootstrap, int(random.integers(1 << 31)))
    found: dict[str, list[Comparison]] = {"twin": [], "better": []}

    def add(task: str, metric: str, of: Callable[[Array, Array | None], Estimate], seen: Models, slices: bool) -> None:
        parts = {"all": None} | ({n: random.random(len(seen.twin)) < COLD for n in ("new", "cold")} if slices else {})
        champion = {part: of(seen.champion, rows) for part, rows in parts.items()}
        twin = {part: of(seen.twin, rows) - champion[part] for part, rows in parts.items()}
        better = twin
        if seen.better is not seen.twin:
            better = {part: of(seen.better, rows) - champion[part] for part, rows in parts.items()}
        for who, difference in (("twin", twin), ("better", better)):
            rest = {part: value for part, value in difference.items() if part != "all"}
            found[who].append(Comparison(task, metric, difference["all"], None, rest))

    lively = random.gamma(1.2, size=users) + 0.02  # some visit once, some daily
    user = np.sort(random.choice(users, size=int(SMALL["exposures"] * size), p=lively / lively.sum()))
    for name in ("click", "conversion"):
        labels, seen = binary_task(name, gain if name == "click" else 1.0, random, user)
        if name != "click":
            seen = Models(seen.champion, seen.twin, seen.twin)

        def area(scores: Array, rows: Array | None, labels: Array = labels) -> Estimate:
            kept = slice(None) if rows is None else rows
            return metrics.auc(labels[kept] > 0.5, scores[kept], user[kept], draws)

        add(name, "AUC", area, seen, True)

    owner = random.permutation(users)[: int(SMALL["segments"] * size)]
    truth = 1.2 * random.normal(size=(len(owner), 4)) + [0.9, 0.3, 0.0, -0.9]
    segment = (softmax(truth, axis=1).cumsum(axis=1) < random.random(len(owner))[:, None]).sum(axis=1).clip(max=3)
    error = 0.9 * random.normal(size=truth.shape)
    champion, twin = (softmax(truth + error + OWN * random.normal(size=truth.shape), axis=1) for _ in range(2))
    f1 = lambda scores, _: metrics.multiclass(segment, scores, owner, draws)["macro_f1"]  # noqa: E731
    add("profile", "macro F1", f1, Models(champion, twin, twin), False)

    item = np.repeat(np.arange(int(SMALL["prices"] * size / 2)), 2)
    by_item = draw(item.max() + 1, params.bootstrap, int(random.integers(1 << 31)))
    move = 0.06 * random.normal(size=item.max() + 1)[item] + 0.1 * random.normal(size=len(item))
    error = 0.03 * random.normal(size=len(item))
    champion, twin = (0.6 * move + error + 0.01 * random.normal(size=len(item)) for _ in range(2))
    removed = lambda scores, _: metrics.regression(move, scores, 0 * move, item, by_item)["relative_gain"]  # noqa: E731
    add("price", "share of the naive error removed", removed, Models(champion, twin, twin), False)

    asked = np.sort(random.choice(users, size=min(int(SMALL["queries"] * size), params.max_queries)))
    strength = 4.5 + noise(random, asked, 2.0)
    champion, twin = (np.exp(np.maximum(strength + noise(random, asked, 0.3), 0)).astype(int) for _ in range(2))
    query = np.arange(len(asked))

    def ndcg(ranks: Array, rows: Array | None) -> Estimate:
        return metrics.ranking(ranking_values(ranks, query, len(query), params.k), asked, draws)["ndcg"]

    add("next", "NDCG", ndcg, Models(champion, twin, twin), False)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=[name for name in SIZES if name != "tiny"], default="large")
    parser.add_argument("--challenges", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=EvaluateParams().bootstrap)
    parser.add_argument("--first", type=int, default=0, help="seed of the first challenge")
    asked = parser.parse_args()
    params = EvaluateParams(bootstrap=asked.resamples)
    size, gain = SIZES[asked.size].customers / SIZES["small"].customers, gain_for("click", BETTER)
    print(f"{asked.size}: {int(SMALL['exposures'] * size):,} exposures; shared error × {gain:.3f} is +{BETTER} AUC")
    outcomes: dict[str, Counter[str]] = {"twin": Counter(), "better": Counter()}
    doubts: Counter[str] = Counter()
    gains, errors, start = [], [], time.monotonic()
    judged = partial(judge, limits=params, champion=True)
    for challenge in range(asked.first, asked.first + asked.challenges):
        found = window(np.random.default_rng(challenge), size, gain, params)
        gains.append(float(found["better"][0].difference[0]))
        errors.append(float(np.std(found["better"][0].difference[1:], ddof=1)))
        for who, comparisons in found.items():
            verdict = judged(comparisons)
            outcomes[who][verdict.outcome] += 1
            if who == "better":
                doubts.update(each.split(":")[0] for each in (*verdict.harms, *verdict.doubts))
        if (challenge + 1) % 10 == 0:
            print(f"{challenge + 1} · {time.monotonic() - start:.0f} s · {outcomes}", flush=True)
    print(f"better: click AUC {np.mean(gains):+.4f} on average, standard error {np.mean(errors):.4f}")
    for who, counts in outcomes.items():
        shares = ", ".join(f"{name} {counts[name] / asked.challenges:.1%}" for name in ("PASS", "INCONCLUSIVE", "FAIL"))
        print(f"{who}: {shares} of {asked.challenges}")
    print(f"what kept the better one from passing: {dict(doubts)}")


if __name__ == "__main__":
    main()
