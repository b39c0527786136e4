"""Least losses of a few parameters, and probabilities kept from 0 and 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from triad.arrays import Floats

_LEAST = 1e-7


def inside(probability: Floats) -> Floats:
    """Probabilities whose logits and logarithms are finite."""
    return np.clip(probability, _LEAST, 1 - _LEAST)


def least(loss: Any, start: Floats, slopes: int = 1) -> Floats:
    """The parameters of the least convex `loss`, which gives its value and gradient.

    The first `slopes` of them are bounded by 0, so that no score is turned round.
    """
    from scipy.optimize import minimize  # many only ask for `inside`, and do not wait for it

    bounds = [(0.0, None)] * slopes + [(None, None)] * (len(start) - slopes)
    solved = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12, "gtol": 1e-8})
    return np.asarray(solved.x)
