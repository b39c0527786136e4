"""How the scores of members are combined: a convex mixture, one mixture per segment, or a stacked logistic regression.

| combine | y | weights |
|---|---|---|
| convex | Σ wₘ fₘ | w ≥ 0, Σ w = 1: the least loss, exactly |
| convex, by segment | Σ wₘ(s) fₘ, s by how long the history is | each segment's own, drawn toward the whole's |
| stacked | σ(Σ wₘ logit fₘ + b); softmax(Σ wₘ log fₘ + b) over classes, and without b over the catalogue | w ≥ 0 |

A regression has no logistic: it stays convex. The fits are those of the task's kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from triad.arrays import Floats, Ints
from triad.kinds.base import Kind


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

    def weighs(self, name: str) -> bool:
        """Whether the member `name` has a part in it."""
        return any(part.get(name, 0) > 0 for part in self.weights)

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
        assert kind.stacking is not None
        return kind.stacking.pool(scores, self.weights[0], self.bias)

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
        contributions: (n, m) as `Kind.contribution` gives them.
        target, counts: (n,) labels, and each row's weight.
        segment: (n,) each row's segment; one without rows has the whole's weights.
    """
    members = contributions.shape[1]
    if members == 1:
        return np.ones((segments, 1))
    whole = kind.convex_weights(contributions, target, counts)
    if segments == 1:
        return whole[None]
    parts = [segment == s for s in range(segments)]
    return np.stack([kind.convex_weights(contributions[p], target[p], counts[p], toward=whole) for p in parts])
