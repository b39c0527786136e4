"""Calibration: maps a member's scores to probabilities by one or a few parameters, and keeps their order.

| kind | map | fitted by |
|---|---|---|
| binary | logit(p) → slope · logit(p) + intercept, slope ≥ 0 (Platt 1999) | log loss |
| multiclass | log p → slope · log p + bias, renormalised (Guo et al. 2017, arXiv:1706.04599) | log loss |
| regression | x → scale · x + shift, scale ≥ 0 | absolute error |
| ranking | p → p^power, renormalised | log loss of what followed |

A weak pull toward the identity, worth one row, keeps every fit finite. A calibration is plain numbers, fit for JSON;
None is the identity.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logit

from triad.arrays import Floats, Ints
from triad.statistics.weights import absolute_line

Kind = Literal["binary", "multiclass", "regression", "ranking"]
Calibration = dict[str, Any] | None

POWERS = tuple(float(power) for power in np.round(np.geomspace(0.4, 2.5, 21), 4))
"""Powers tried for rankings; the middle one is 1."""

_LEAST = 1e-7


def fit_calibration(kind: Kind, scores: Floats, target: Floats) -> Calibration:
    """The map of `scores` that fits `target` best.

    Args:
        scores: as `Member.predict` returns them; for rankings the table of `log_powers`.
        target: labels; for rankings the weight of each target.
    """
    if kind == "binary":
        return _fit_binary(scores, target)
    if kind == "multiclass":
        return _fit_multiclass(scores, target.astype(int))
    if kind == "regression":
        scale, shift = absolute_line(scores, target)
        return {"scale": scale, "shift": shift}
    return {"power": POWERS[int(np.argmax(target @ scores))]}


def calibrate(kind: Kind, calibration: Calibration, scores: Floats) -> Floats:
    """`scores` mapped; same shape. Rankings are (q, n_items) probabilities here."""
    if calibration is None:
        return scores
    if kind == "binary":
        return expit(calibration["slope"] * logit(_inside(scores)) + calibration["intercept"])
    if kind == "multiclass":
        return np.exp(
            log_softmax(calibration["slope"] * np.log(_inside(scores)) + np.array(calibration["bias"]), axis=1)
        )
    if kind == "regression":
        return calibration["scale"] * scores + calibration["shift"]
    if calibration["power"] == 1:
        return scores
    with np.errstate(divide="ignore"):  # what is impossible stays so
        return np.exp(log_softmax(calibration["power"] * np.log(scores), axis=1))


def log_powers(probabilities: Floats, query: Ints, target: Ints) -> Floats:
    """(targets, len(POWERS)) log probability of each target under each power of its query's distribution.

    Args:
        probabilities: (q, n_items).
        query, target: (targets,) row and column in it.
    """
    log = np.log(np.maximum(probabilities, 1e-12, dtype=np.float32))  # double precision takes five times as long
    log -= log.max(axis=1, keepdims=True)
    own, columns = log[query, target].astype(np.float64), []
    for power in POWERS:
        normaliser = np.log(np.exp(np.float32(power) * log).sum(axis=1, dtype=np.float64))
        columns.append(power * own - normaliser[query])
    return np.stack(columns, axis=1)


def _inside(probability: Floats) -> Floats:
    return np.clip(probability, _LEAST, 1 - _LEAST)


def _fit_binary(scores: Floats, target: Floats) -> Calibration:
    score = logit(_inside(scores))

    def loss(theta: Floats) -> tuple[float, Floats]:
        z = theta[0] * score + theta[1]
        wrong = expit(z) - target
        pull = theta - [1, 0]
        total = np.logaddexp(0, z).sum() - target @ z + pull @ pull / 2
        return total / len(target), np.array([wrong @ score + pull[0], wrong.sum() + pull[1]]) / len(target)

    slope, intercept = _least(loss, np.array([1.0, 0.0]))
    return {"slope": slope, "intercept": intercept}


def _fit_multiclass(scores: Floats, target: Floats) -> Calibration:
    log, row = np.log(_inside(scores)), np.arange(len(target))

    def loss(theta: Floats) -> tuple[float, Floats]:
        found = log_softmax(theta[0] * log + theta[1:], axis=1)
        wrong = np.exp(found)
        wrong[row, target] -= 1
        pull = theta - np.eye(len(theta))[0]
        slope = np.r_[(wrong * log).sum(), wrong.sum(axis=0)] + pull
        return (pull @ pull / 2 - found[row, target].sum()) / len(target), slope / len(target)

    slope, *bias = _least(loss, np.eye(1 + scores.shape[1])[0])
    return {"slope": slope, "bias": bias}


def _least(loss: Any, start: Floats) -> list[float]:
    """Both losses are convex; only the slope is bounded."""
    bounds = [(0.0, None)] + [(None, None)] * (len(start) - 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12, "gtol": 1e-8})
    return [float(value) for value in found.x]
