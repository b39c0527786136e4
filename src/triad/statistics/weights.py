"""Weights with w ≥ 0 and Σ w = 1 of the least loss. Both problems are convex and solved to a known gap."""

from __future__ import annotations

import numpy as np
import scipy  # whose parts are imported when they are first asked for: most only read weights

from triad.arrays import Floats
from triad.errors import TriadError

LENGTHS = (1.0, 0.5, 0.25, 0.1, 0.01)
"""Shares of the way to the expansion's optimum that are tried."""
PULL = 200.0
"""Rows of the whole window that a segment's weights are drawn by."""

NEAR = 1e-6
"""Nats from the least loss that are near enough."""


def mixture_weights(
    likelihood: Floats,
    counts: Floats | None = None,
    *,
    toward: Floats | None = None,
    pull: float = 0.0,
    steps: int = 5000,
) -> Floats:
    """(m,) weights that minimise -Σ counts · log(likelihood @ w) / Σ counts, by Newton's steps among w ≥ 0.

    EM of mixture proportions climbs monotonically (Dempster, Laird and Rubin 1977), but slowly where members are alike.
    So a step goes to the optimum of the loss's second-order expansion (as mix-SQP: Kim et al. 2020,
    doi:10.1080/10618600.2019.1689985), or as far toward it as climbs further than EM. The greatest slope,
    max_m E[likelihood_m / mixture] - 1, bounds how far the loss still is from its least value, and ends the climb.

    Args:
        likelihood: (n, m) probability that each member gave to what happened.
        counts: (n,) weight of each row; 1 where not given.
        toward: (m,) weights that `pull` further rows, as it were, already speak for: a Dirichlet prior (for segments).
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
        if steep.max() - 1 <= NEAR:
            break
        safe = weights * steep
        climbed = height(safe)
        scaled = likelihood * (np.sqrt(share) / (likelihood @ weights))[:, None]
        bend = scaled.T @ scaled + np.diag(prior / np.maximum(weights, 1e-12) ** 2)
        best = _expanded(bend, steep * (1 + prior.sum()), 1 + prior.sum())
        tried = (weights + length * (best - weights) for length in LENGTHS)
        weights = next((each for each in tried if height(each) > climbed), safe)
    weights[weights < 1e-4] = 0  # a member that adds nothing need not be asked
    return weights / weights.sum()


def _expanded(bend: Floats, steep: Floats, total: float) -> Floats:
    """(m,) the optimum of the expansion, inside the simplex.

    Of -Σ share · log(likelihood @ w) - Σ prior · log w + total · Σ w, which is least where Σ w = 1. Its gradient is
    total - steep, and its Hessian `bend` (m, m) times w is steep.
    """
    root = np.linalg.cholesky(bend + 1e-9 * np.trace(bend) * np.eye(len(bend)))
    best, _ = scipy.optimize.nnls(root.T, np.linalg.solve(root, 2 * steep - total), maxiter=10_000)
    best = np.maximum(best, 1e-9)  # never quite zero, so that EM can go on from there
    return np.asarray(best / best.sum())


def absolute_weights(predictions: Floats, target: Floats) -> Floats:
    """(m,) weights that minimise mean |target - predictions @ w|: a linear program, solved in its dual.

    The dual has one constraint a member, whatever the rows: max y·d - t subject to |d| ≤ 1 and predictionsᵀd ≤ t.

    Args:
        predictions: (n, m).
        target: (n,).
    """
    rows, members = predictions.shape
    solved = scipy.optimize.linprog(
        np.r_[-target, 1.0],
        A_ub=np.hstack([predictions.T, -np.ones((members, 1))]),
        b_ub=np.zeros(members),
        bounds=[(-1.0, 1.0)] * rows + [(None, None)],
        method="highs",
    )
    weights = np.maximum(-_marginals(solved, "ineqlin"), 0)
    weights[weights < 1e-4] = 0
    return weights / weights.sum()


def squared_weights(predictions: Floats, target: Floats) -> Floats:
    """(m,) weights of the least squared error of `predictions` (n, m) @ w; Σ w = 1 is a heavy row of its own."""
    heavy = 1e4 * max(float(np.abs(predictions).max(initial=0.0)), 1.0) * np.sqrt(len(target))
    weights, _ = scipy.optimize.nnls(
        np.vstack([predictions, np.full((1, predictions.shape[1]), heavy)]), np.append(target, heavy), maxiter=10_000
    )
    weights[weights < 1e-4] = 0
    return np.asarray(weights / weights.sum())


def absolute_line(prediction: Floats, target: Floats) -> tuple[float, float]:
    """(scale ≥ 0, shift) that minimise mean |target - scale · prediction - shift|, by the same dual."""
    solved = scipy.optimize.linprog(
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
