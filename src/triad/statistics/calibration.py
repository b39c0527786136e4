"""Calibration: maps a member's scores to probabilities by one or a few parameters, and keeps their order.

A weak pull toward the identity, worth one row, keeps every fit finite.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_softmax, logit

from triad.arrays import Floats, Ints
from triad.statistics.solving import inside, least

POWERS = tuple(float(power) for power in np.round(np.geomspace(0.4, 2.5, 21), 4))
"""Powers tried for distributions over the catalogue; the middle one is 1."""

LEAST = 1e-12
"""A chance over the catalogue is no smaller, where its logarithm is taken."""
CELLS = 1 << 17
"""Chances raised at once: they stay in the processor's cache."""


def platt(scores: Floats, target: Floats) -> tuple[float, float]:
    """(slope ≥ 0, intercept) of the least log loss of logit(p) → slope · logit(p) + intercept (Platt 1999)."""
    score = logit(inside(scores))

    def loss(theta: Floats) -> tuple[float, Floats]:
        z = theta[0] * score + theta[1]
        wrong = expit(z) - target
        pull = theta - [1, 0]
        total = np.logaddexp(0, z).sum() - target @ z + pull @ pull / 2
        return total / len(target), np.array([wrong @ score + pull[0], wrong.sum() + pull[1]]) / len(target)

    slope, intercept = least(loss, np.array([1.0, 0.0]))
    return float(slope), float(intercept)


def temperature(scores: Floats, target: Ints) -> tuple[float, list[float]]:
    """(slope ≥ 0, bias of each class) of the least log loss of log p → slope · log p + bias, renormalised.

    Temperature scaling with biases (Guo et al. 2017, arXiv:1706.04599).
    """
    log, row = np.log(inside(scores)), np.arange(len(target))

    def loss(theta: Floats) -> tuple[float, Floats]:
        fitted = log_softmax(theta[0] * log + theta[1:], axis=1)
        wrong = np.exp(fitted)
        wrong[row, target] -= 1
        pull = theta - np.eye(len(theta))[0]
        slope = np.r_[(wrong * log).sum(), wrong.sum(axis=0)] + pull
        return (pull @ pull / 2 - fitted[row, target].sum()) / len(target), slope / len(target)

    slope, *bias = least(loss, np.eye(1 + scores.shape[1])[0])
    return float(slope), [float(each) for each in bias]


def sharpness(scores: Floats, target: Ints) -> float:
    """The slope ≥ 0 of least log loss of log p → slope · log p, renormalised: temperature scaling proper."""
    log, row = np.log(inside(scores)), np.arange(len(target))

    def loss(theta: Floats) -> tuple[float, Floats]:
        fitted = log_softmax(theta[0] * log, axis=1)
        pull = theta[0] - 1
        gradient = (np.exp(fitted) * log).sum() - log[row, target].sum() + pull
        return (pull**2 / 2 - fitted[row, target].sum()) / len(target), np.array([gradient / len(target)])

    (slope,) = least(loss, np.ones(1))
    return float(slope)


def log_powers(probabilities: Floats, query: Ints, target: Ints) -> Floats:
    """(targets, len(POWERS)) log probability of each target under each power of its query's distribution.

    Args:
        probabilities: (q, n_items).
        query, target: (targets,) row and column in it.
    """
    normaliser = np.empty((len(probabilities), len(POWERS)))
    highest, step = np.empty(len(probabilities), np.float32), max(1, CELLS // max(probabilities.shape[1], 1))
    for start in range(0, len(probabilities), step):
        part = slice(start, start + step)
        # double precision takes five times as long
        log = np.log(np.maximum(probabilities[part], LEAST, dtype=np.float32))
        highest[part] = log.max(axis=1)
        log -= highest[part, None]
        raised = np.empty_like(log)
        for place, power in enumerate(POWERS):
            np.exp(np.multiply(log, np.float32(power), out=raised), out=raised)
            normaliser[part, place] = np.log(raised.sum(axis=1, dtype=np.float64))
    own = np.log(np.maximum(probabilities[query, target], LEAST, dtype=np.float32)) - highest[query]
    return np.array(POWERS) * own.astype(np.float64)[:, None] - normaliser[query]
