"""How the scores of members are combined: a convex mixture, one mixture per segment, or a stacked logistic regression.

| combine | y | weights |
|---|---|---|
| convex | Σ wₘ fₘ | w ≥ 0, Σ w = 1: the least loss, exactly |
| convex, by segment | Σ wₘ(s) fₘ, s by how long the history is | each segment's own, drawn toward the whole's |
| stacked | σ(Σ wₘ logit fₘ + b); softmax(Σ wₘ log fₘ + b) over classes, and without b over the catalogue | w ≥ 0 |

The last is stacking by logistic regression (Wolpert 1992; Ting & Witten 1999), for many classes the log-linear pool. A
regression has no logistic: it stays convex. A pull toward the members' mean, worth one row, keeps every fit finite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logit, softmax

from triad.features.dataset import Floats, Ints
from triad.statistics.calibration import Kind
from triad.statistics.weights import absolute_weights, mixture_weights

PULL = 200.0
"""Rows of the whole window that a segment's weights are drawn by."""

_LEAST = 1e-7


@dataclass(frozen=True)
class Blend:
    """`weights` of each member, a segment; segment s begins at a history of `edges[s - 1]` interactions."""

    weights: tuple[dict[str, float], ...]
    edges: tuple[int, ...] = ()
    bias: tuple[float, ...] | None = None  # stacked: () for a ranking, one number for a binary task, one a class

    @property
    def is_plain(self) -> bool:
        """Whether it is one convex mixture for all."""
        return self.bias is None and len(self.weights) == 1

    def overall(self, history: Ints) -> dict[str, float]:
        """The weights on average over rows."""
        share = np.bincount(self.segment(history), minlength=len(self.weights)) / max(len(history), 1)
        return {name: float(sum(share * [part[name] for part in self.weights])) for name in self.weights[0]}

    def segment(self, history: Ints) -> Ints:
        """(n,) each row's segment."""
        return np.searchsorted(self.edges, history, side="right")

    def mix(self, kind: Kind, scores: Mapping[str, Floats], history: Ints) -> Floats:
        """Scores shaped as each member's, of calibrated scores; members that `scores` lacks have no weight."""
        if self.bias is None:
            table = np.array([[part[name] for name in scores] for part in self.weights])
            of_row = table[self.segment(history)].T  # (members, n)
            parts = [
                (weight if values.ndim == 1 else weight[:, None]).astype(values.dtype) * values
                for weight, values in zip(of_row, scores.values(), strict=True)
                if weight.any()
            ]
            return np.sum(parts, axis=0)
        slopes = self.weights[0]
        if kind == "binary":
            total = sum(slopes[name] * logit(_inside(values)) for name, values in scores.items() if slopes[name])
            return expit(total + self.bias[0])
        total = sum(slopes[name] * np.log(np.maximum(values, 1e-12)) for name, values in scores.items() if slopes[name])
        if kind == "multiclass":
            return softmax(total + np.array(self.bias), axis=1)
        possible = np.any([values > 0 for values in scores.values()], axis=0)  # what all leave out stays out
        return softmax(np.where(possible, total, -np.inf), axis=1)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Blend:
        """What JSON gives back of `asdict`."""
        bias = raw["bias"]
        return cls(tuple(raw["weights"]), tuple(raw["edges"]), None if bias is None else tuple(bias))


def convex_weights(
    kind: Kind, contributions: Floats, target: Floats, counts: Floats, *, segment: Ints, segments: int
) -> Floats:
    """(segments, m) weights on the simplex with the least loss.

    Args:
        contributions: (n, m) probability that each member gave to what happened; for a regression its prediction.
        target, counts: (n,) labels, and each row's weight.
        segment: (n,) each row's segment; one without rows has the whole's weights.
    """
    members = contributions.shape[1]
    if members == 1:
        return np.ones((segments, 1))
    if kind == "regression":
        whole = absolute_weights(contributions, target)
        enough = [np.count_nonzero(segment == s) >= PULL for s in range(segments)]
        return np.stack(
            [
                absolute_weights(contributions[segment == s], target[segment == s]) if known else whole
                for s, known in enumerate(enough)
            ]
        )
    whole = mixture_weights(contributions, counts)
    if segments == 1:
        return whole[None]
    return np.stack(
        [
            mixture_weights(contributions[segment == s], counts[segment == s], toward=whole, pull=PULL)
            if (segment == s).any()
            else whole
            for s in range(segments)
        ]
    )


def stacked_binary(probabilities: Floats, target: Floats) -> tuple[Floats, tuple[float, ...]]:
    """(m,) slopes and the bias of a logistic regression on the members' logits, of probabilities (n, m)."""
    logits, members = logit(_inside(probabilities)), probabilities.shape[1]
    start = np.r_[np.full(members, 1 / members), 0.0]

    def loss(theta: Floats) -> tuple[float, Floats]:
        z = logits @ theta[:-1] + theta[-1]
        wrong = expit(z) - target
        pull = theta - start
        slope = np.r_[logits.T @ wrong, wrong.sum()] + pull
        return (np.logaddexp(0, z).sum() - target @ z + pull @ pull / 2) / len(target), slope / len(target)

    theta = _least(loss, start, members)
    return theta[:-1], (float(theta[-1]),)


def stacked_classes(log: Floats, target: Ints) -> tuple[Floats, tuple[float, ...]]:
    """(m,) slopes and (classes,) biases of a softmax regression on members' log probabilities (n, classes, m)."""
    members, classes = log.shape[2], log.shape[1]
    start = np.r_[np.full(members, 1 / members), np.zeros(classes)]
    row = np.arange(len(target))

    def loss(theta: Floats) -> tuple[float, Floats]:
        found = log_softmax(log @ theta[:members] + theta[members:], axis=1)
        wrong = np.exp(found)
        wrong[row, target] -= 1
        pull = theta - start
        slope = np.r_[np.einsum("ncm,nc->m", log, wrong), wrong.sum(axis=0)] + pull
        return (pull @ pull / 2 - found[row, target].sum()) / len(target), slope / len(target)

    theta = _least(loss, start, members)
    return theta[:members], tuple(float(b) for b in theta[members:])


def stacked_ranking(log: Floats, counts: Floats) -> Floats:
    """(m,) slopes of the conditional logit (McFadden 1974) that chooses place 0 among candidates.

    Args:
        log: (n, candidates, m) members' log probabilities; a padded candidate is −inf in every member.
        counts: (n,) each choice's weight.
    """
    members = log.shape[2]
    start = np.full(members, 1 / members)
    known = np.where(np.isfinite(log), log, 0)

    def loss(slopes: Floats) -> tuple[float, Floats]:
        found = log_choices(log, slopes)
        wrong = np.exp(found)
        wrong[:, 0] -= 1
        wrong *= counts[:, None]
        pull = slopes - start
        slope = np.einsum("ncm,nc->m", known, wrong) + pull
        return (pull @ pull / 2 - counts @ found[:, 0]) / len(log), slope / len(log)

    return _least(loss, start, members)


def log_choices(log: Floats, slopes: Floats) -> Floats:
    """(n, candidates) log probability of each candidate under the pool of `log` (n, candidates, members)."""
    real = np.isfinite(log)
    return log_softmax(np.where(real[:, :, 0], np.where(real, log, 0) @ slopes, -np.inf), axis=1)


def _least(loss: Any, start: Floats, members: int) -> Floats:
    """All three losses are convex; slopes are bounded by 0, so that no member is turned round."""
    bounds = [(0.0, None)] * members + [(None, None)] * (len(start) - members)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12, "gtol": 1e-8})
    return np.asarray(found.x)


def _inside(probability: Floats) -> Floats:
    return np.clip(probability, _LEAST, 1 - _LEAST)
