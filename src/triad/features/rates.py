"""Smoothed rates as log lifts: how much more often than expected an item, a user, or a pair of them takes a step.

What is expected of an impression is the click rate of its place; of any later step, the shop's rate of that step. Each
lift is shrunk toward a broader one (user → user × category → user × narrower category → user × brand) by gamma-Poisson
empirical Bayes: (taken + s · prior) / (expected + s), where s = 1 / Var(lift) is fitted by moments on the train days
(Clayton and Kaldor, Biometrics 43, 1987).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from triad.arrays import Floats, Ints
from triad.features.signals import IMPRESSION, Funnel, plural
from triad.features.sql import MICRO
from triad.schema import EVENT_KINDS

Counts = Mapping[str, Floats]
Strengths = dict[str, float]

WEAKEST, STRONGEST = 0.5, 100.0
"""Bounds of s: no rate is taken at its word after one event, and none is left without a say."""


@dataclass(frozen=True)
class Step:
    """From one kind of event to another, with the `strengths` of its lifts by entity, and the shop's (n,) rate."""

    kinds: tuple[int, int]
    rate: Floats

    @property
    def name(self) -> str:
        return EVENT_KINDS[self.kinds[1]]

    def taken(self, counts: Counts) -> Floats:
        return counts[plural(self.kinds[1])]

    def trials(self, counts: Counts) -> Floats:
        return counts[plural(self.kinds[0])]

    def expected(self, counts: Counts) -> Floats:
        at_place = self.kinds[0] == IMPRESSION
        return counts["expected"] / MICRO if at_place else self.trials(counts) * self.rate

    def lift(self, counts: Counts, strength: float, prior: Floats | float = 0.0) -> Floats:
        """Log of taken over expected, shrunk toward `prior` (a log) as if by `strength` expected events."""
        return np.log((self.taken(counts) + strength * np.exp(prior)) / (self.expected(counts) + strength))


def steps(funnel: Funnel, overall: Counts) -> list[Step]:
    """The funnel's steps at the shop's (n,) rates so far."""
    return [Step(kinds, (overall[plural(kinds[1])] + 1) / (overall[plural(kinds[0])] + 20)) for kinds in funnel.steps]


def lifts(step: Step, attributes: list[str], sums: Mapping[str, Counts], strengths: Strengths) -> dict[str, Floats]:
    """(n,) log lift of each entity, by `<entity>_<kind>_lift`, and of user and item together as `match`.

    Args:
        attributes: of items, broad to narrow, the brand last.
        sums: the counts of every entity, see `signals.daily_sums`.
        strengths: s by name, see `learn`.
    """
    log_lifts: dict[str, Floats] = {}

    def lift(entity: str, prior: Floats | float = 0.0) -> Floats:
        name = f"{entity}_{step.name}_lift"
        log_lifts[name] = step.lift(sums[entity], strengths[name], prior)
        return log_lifts[name]

    own: dict[str, Floats] = {}
    for name in attributes:
        own[name] = lift(name, _broader(name, own))
    item = lift("item", np.nan_to_num(own[attributes[-2]]))
    together = lift("user")
    for level, name in enumerate(attributes):
        start = together + np.nan_to_num(own[name] - (own[attributes[level - 1]] if level else 0.0))
        pair = lift(f"user_{name}", start)
        together = np.where(np.isfinite(pair), pair, start)
    log_lifts[f"match_{step.name}_lift"] = together + np.nan_to_num(item - own["brand"])
    lift("user_item", log_lifts[f"match_{step.name}_lift"])
    return log_lifts


def learn(step: Step, attributes: list[str], sums: Mapping[str, Counts], entities: Mapping[str, Ints]) -> Strengths:
    """s of each lift, from counts at the end of train; `entities` number what each row's counts are of."""
    strengths: Strengths = {}

    def variance(entity: str, prior: Floats | float = 0.0) -> float:
        once = np.unique(entities[entity], return_index=True)[1]
        mean = step.expected(sums[entity]) * np.exp(prior)
        return variance_of(step.taken(sums[entity])[once], mean[once], step.trials(sums[entity])[once])

    def lift(entity: str, excess: float, prior: Floats | float = 0.0) -> Floats:
        strength = float(1 / np.clip(excess, 1 / STRONGEST, 1 / WEAKEST))
        strengths[f"{entity}_{step.name}_lift"] = strength
        return step.lift(sums[entity], strength, prior)

    own: dict[str, Floats] = {}
    for name in attributes:
        prior = _broader(name, own)
        own[name] = lift(name, variance(name, prior), prior)
    narrow = np.nan_to_num(own[attributes[-2]])
    own["item"] = lift("item", variance("item", narrow), narrow)
    # a user's mean is made of the very counts below it: what a level adds is the whole variance less the one before
    before = variance("user")
    lift("user", before)
    for name, values in own.items():
        whole = variance(f"user_{name}", np.nan_to_num(values))
        lift(f"user_{name}", whole - before)
        before = max(whole, before)
    return strengths


def variance_of(taken: Floats, mean: Floats, trials: Floats) -> float:
    """Var(lift) by moments: (taken - mean)² exceeds what chance alone brings by Var(lift) · mean².

    Weights 1 / (1 + mean · Var)² keep the few that were shown most from speaking for all; a few rounds settle them.
    """
    known = np.isfinite(mean) & (mean > 0)
    taken, mean, trials = (values[known].astype(np.float64) for values in (taken, mean, trials))
    if not taken.sum():
        return 0.0
    chance = mean * (1 - min(taken.sum() / max(trials.sum(), 1.0), 1.0))
    mean = mean * (taken.sum() / mean.sum())
    variance = 1.0
    for _ in range(20):
        weight = 1 / (1 + mean * variance) ** 2
        variance = max(float((weight * ((taken - mean) ** 2 - chance)).sum() / (weight * mean**2).sum()), 0.0)
    return variance


def _broader(name: str, own: Mapping[str, Floats]) -> Floats | float:
    """What an attribute of items is shrunk toward: a category toward the one around it."""
    return 0.0 if name == "brand" or not own else list(own.values())[-1]
