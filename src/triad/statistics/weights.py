"""Weights with w ≥ 0 and Σ w = 1 of the least loss. Both problems are convex and solved to a known gap."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from triad.arrays import Floats
from triad.errors import TriadError

PULL = 200.0
"""Rows of the whole window that a segment's weights are drawn by."""


def mixture_weights(
    likelihood: Floats,
    counts: Floats | None = None,
    *,
    toward: Floats | None = None,
    pull: float = 0.0,
    gap: float = 1e-6,
    steps: int = 5000,
) -> Floats:
    """(m,) weights that minimise -Σ counts · log(likelihood @ w) / Σ counts, by expectation and maximisation.

    EM of mixture proportions climbs monotonically (Dempster, Laird and Rubin 1977), but slowly where members are alike.
    So each two steps are followed by a leap along them, which is taken where it climbs further (SQUAREM: Varadhan and
    Roland 2008, doi:10.1111/j.1467-9469.2007.00585.x). The greatest slope, max_m E[likelihood_m / mixture] - 1,
    bounds how far the loss still is from its least value, and ends the climb.

    Args:
        likelihood: (n, m) probability that each member gave to what happened.
        counts: (n,) weight of each row; 1 where not given.
        toward: (m,) weights that `pull` further rows, as it were, already speak for: a Dirichlet prior (for segments).
        gap: distance from the least loss, in nats, that is near enough.
    """
    rows, members = likelihood.shape
    share = np.full(rows, 1 / rows) if counts is None else counts / counts.sum()
    likelihood = np.maximum(likelihood, 1e-12)
    weights = np.full(members, 1 / members)
    prior = np.zeros(members) if toward is None else toward * pull / (rows if counts is None else counts.sum())

    def slope(weights: Floats) -> Floats:
        """(m,) by which a step multiplies `weights`; 1 on average."""
        raised = likelihood.T @ (share / (likelihood @ weights)) + prior / np.maximum(weights, 1e-300)
        return raised / (1 + prior.sum())

    def height(weights: Floats) -> float:
        return float(share @ np.log(likelihood @ weights) + prior @ np.log(np.maximum(weights, 1e-300)))

    for _ in range(steps):
        steep = slope(weights)
        if steep.max() - 1 <= gap:
            break
        first = weights * steep
        second = first * slope(first)
        leap = _leap(weights, first, second)
        weights = leap if height(leap) > height(second) else second
    weights[weights < 1e-4] = 0  # EM only approaches zero; a member that adds nothing need not be asked
    return weights / weights.sum()


def _leap(start: Floats, first: Floats, second: Floats) -> Floats:
    """Where two steps lead if they go on, kept inside the simplex."""
    step, bend = first - start, second - 2 * first + start
    length = max(float(np.linalg.norm(step)) / max(float(np.linalg.norm(bend)), 1e-300), 1.0)
    beyond = np.maximum(start + 2 * length * step + length**2 * bend, 1e-3 * second)
    return beyond / beyond.sum()


def absolute_weights(predictions: Floats, target: Floats) -> Floats:
    """(m,) weights that minimise mean |target - predictions @ w|: a linear program, solved in its dual.

    The dual has one constraint a member, whatever the rows: max y·d - t subject to |d| ≤ 1 and predictionsᵀd ≤ t.

    Args:
        predictions: (n, m).
        target: (n,).
    """
    rows, members = predictions.shape
    solved = linprog(
        np.r_[-target, 1.0],
        A_ub=np.hstack([predictions.T, -np.ones((members, 1))]),
        b_ub=np.zeros(members),
        bounds=[(-1.0, 1.0)] * rows + [(None, None)],
        method="highs",
    )
    weights = np.maximum(-_marginals(solved, "ineqlin"), 0)
    weights[weights < 1e-4] = 0
    return weights / weights.sum()


def absolute_line(prediction: Floats, target: Floats) -> tuple[float, float]:
    """(scale ≥ 0, shift) that minimise mean |target - scale · prediction - shift|, by the same dual."""
    solved = linprog(
        -target,
        A_ub=prediction[None, :],
        b_ub=np.zeros(1),
        A_eq=np.ones((1, len(target))),
        b_eq=np.zeros(1),
        bounds=(-1.0, 1.0),
        method="highs",
    )
    return max(float(-_marginals(solved, "ineqlin")[0]), 0.0), float(-_marginals(solved, "eqlin")[0])


def _marginals(solved, constraints: str) -> Floats:  # type: ignore[no-untyped-def]  # SciPy's result has no type
    if not solved.success:
        raise TriadError(
            f"least absolute error has no solution: {solved.message}",
            where="fuse, a regression task",
            mend="look for infinite labels or predictions",
        )
    return np.asarray(getattr(solved, constraints).marginals)
