"""Stacking by logistic regression (Wolpert 1992; Ting & Witten 1999), for many classes the log-linear pool.

A pull toward the members' mean, worth one row, keeps every fit finite.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_softmax, logit

from triad.arrays import Floats, Ints
from triad.statistics.solving import inside, least


def stacked_binary(probabilities: Floats, target: Floats) -> tuple[Floats, tuple[float, ...]]:
    """(m,) slopes and the bias of a logistic regression on the members' logits, of probabilities (n, m)."""
    logits, members = logit(inside(probabilities)), probabilities.shape[1]
    start = np.r_[np.full(members, 1 / members), 0.0]

    def loss(theta: Floats) -> tuple[float, Floats]:
        z = logits @ theta[:-1] + theta[-1]
        wrong = expit(z) - target
        pull = theta - start
        slope = np.r_[logits.T @ wrong, wrong.sum()] + pull
        return (np.logaddexp(0, z).sum() - target @ z + pull @ pull / 2) / len(target), slope / len(target)

    theta = least(loss, start, members)
    return theta[:-1], (float(theta[-1]),)


def stacked_classes(log: Floats, target: Ints) -> tuple[Floats, tuple[float, ...]]:
    """(m,) slopes and (classes,) biases of a softmax regression on members' log probabilities (n, classes, m)."""
    members, classes = log.shape[2], log.shape[1]
    start = np.r_[np.full(members, 1 / members), np.zeros(classes)]
    row = np.arange(len(target))

    def loss(theta: Floats) -> tuple[float, Floats]:
        chances = log_softmax(log @ theta[:members] + theta[members:], axis=1)
        wrong = np.exp(chances)
        wrong[row, target] -= 1
        pull = theta - start
        slope = np.r_[np.einsum("ncm,nc->m", log, wrong), wrong.sum(axis=0)] + pull
        return (pull @ pull / 2 - chances[row, target].sum()) / len(target), slope / len(target)

    theta = least(loss, start, members)
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
        chances = log_choices(log, slopes)
        wrong = np.exp(chances)
        wrong[:, 0] -= 1
        wrong *= counts[:, None]
        pull = slopes - start
        slope = np.einsum("ncm,nc->m", known, wrong) + pull
        return (pull @ pull / 2 - counts @ chances[:, 0]) / len(log), slope / len(log)

    return least(loss, start, members)


def log_choices(log: Floats, slopes: Floats) -> Floats:
    """(n, candidates) log probability of each candidate under the pool of `log` (n, candidates, members)."""
    real = np.isfinite(log)
    return log_softmax(np.where(real[:, :, 0], np.where(real, log, 0) @ slopes, -np.inf), axis=1)
