"""Losses beside those of a task's kind, with masks. Pure functions of `keras.ops`; a mask is 1 where a slot counts.

A missing label must be cleaned before it meets a loss: NaN · 0 is NaN, and so is its gradient.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from triad.kinds import KINDS
from triad.models import across


def clean(labels: Any, mask: Any) -> tuple[Any, Any]:
    """Labels with 0 in place of NaN, and the mask of those that were there and count."""
    missing = ops.isnan(labels)
    return ops.where(missing, ops.zeros_like(labels), labels), mask * ops.cast(ops.logical_not(missing), mask.dtype)


def masked_mean(values: Any, mask: Any) -> Any:
    """Mean of `values` where `mask` is 1, over all workers; 0 where it is nowhere."""
    return across.total(ops.sum(values * mask)) / ops.maximum(across.total(ops.sum(mask)), 1)


def product_logit(first: Any, second: Any) -> Any:
    """The logit of σ(first) · σ(second), without leaving log space.

    1/p − 1 = e^−a + e^−b + e^−(a+b). It gives ESMM's p(click) · p(convert | click) (Ma et al. 2018) as one logit,
    so the product is learned by the same loss as any other probability.
    """
    return -ops.logsumexp(ops.stack([-first, -second, -first - second], axis=-1), axis=-1)


PROPENSITY = 0.05
"""No row counts for more than 1 / 0.05 others."""


def inverse_propensity(errors: Any, happened: Any, logits: Any) -> Any:
    """(n,) ESCM²-IPS (Wang et al. 2022): o δ / ô, errors δ where the event o happened, each for those where it did not.

    Its mean over all rows is that of δ as if the event always happened. The propensity ô = σ(logits) is held constant,
    as the loss could else fall by calling everything likely, and is no less than `PROPENSITY`.
    """
    chance = ops.maximum(ops.stop_gradient(ops.sigmoid(logits)), PROPENSITY)
    return happened * errors / chance


def doubly_robust(errors: Any, imputed: Any, happened: Any, logits: Any) -> Any:
    """(n,) ESCM²-DR (Wang et al. 2022): δ̂ + o (δ − δ̂) / ô, and o (δ − δ̂)² / ô, which teaches the imputed errors δ̂.

    Each of the two sums moves what it is for, the other held constant (joint learning, Wang et al. 2019).
    """
    known = ops.stop_gradient(imputed)
    robust = known + inverse_propensity(errors - known, happened, logits)
    return robust + inverse_propensity((ops.stop_gradient(errors) - imputed) ** 2, happened, logits)


def softmax(logits: Any, target: Any) -> Any:
    """(n,) cross-entropy over the whole catalogue, for logits (n, m) and target places (n,)."""
    return KINDS["ranking"].loss(target, logits)


def sampled_softmax(taken: Any, drawn: Any, is_target: Any, log_q: Any) -> Any:
    """(n,) cross-entropy against shared negatives with log-Q correction (Bengio & Senécal 2008; Yi et al. 2019).

    Each negative stands for 1 / (k q) items, so Z ≈ e^s₊ + Σ_k e^s_k / (k q_k) is unbiased for the full sum; the target
    itself, drawn by accident, is left out of it. The positive is no draw, so it bears no correction.

    Args:
        taken: (n,) logits of the targets.
        drawn: (n, k) logits of the draws.
        is_target: (n, k) 1 where a draw is the row's own target.
        log_q: (k,) log probability of each draw.
    """
    count = ops.cast(ops.shape(drawn)[1], "float32")
    drawn = drawn - log_q - ops.log(count) - 1e9 * is_target
    return ops.logsumexp(ops.concatenate([taken[:, None], drawn], axis=1), axis=1) - taken


def gbce(taken: Any, drawn: Any, is_target: Any, *, catalogue: int, calibration: float = 0.75) -> Any:
    """(n,) generalised binary cross-entropy (Petrov & Macdonald 2023, gSASRec) against uniform negatives.

    −log σ(s₊)^β − Σ log(1 − σ(s₋)), with β = α (t (1 − 1/α) + 1/α), α = k / (catalogue − 1), t = `calibration`: the
    exponent takes back the overconfidence that sampling negatives brings. Arguments as `sampled_softmax` has them.
    """
    alpha = min(drawn.shape[1] / max(catalogue - 1, 1), 1.0)
    beta = alpha * (calibration * (1 - 1 / alpha) + 1 / alpha)
    return beta * ops.softplus(-taken) + ops.sum(ops.softplus(drawn) * (1 - is_target), axis=1)
