"""Loss weighting by the tasks' gradients: by their lengths (GradNorm) or their angles (PCGrad, CAGrad).

What PCGrad and CAGrad make of the tasks' gradients is a sum Σ λᵢgᵢ whose λ follow from the products G = ⟨gᵢ, gⱼ⟩ alone.
So they are loss weightings too, and cost what G costs: a backward pass a task through the heads, none through the
trunk (`training/gradients.py` says where g is taken). The λ then act on all weights; in those of one task's own head,
where the papers leave gᵢ as it is, that is a length, which Adam takes out again.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from triad.encoders.base import PACKAGE
from triad.models.weighting import EPSILON, Fixed


@keras.saving.register_keras_serializable(PACKAGE)
class GradNorm(Fixed):
    """Gradient normalisation (Chen et al. 2018): tasks that learn slower get longer gradients.

    λ takes a step down Σᵢ |λᵢnᵢ − m rᵢ^α| / m, the target m rᵢ^α held constant: n are the gradients' lengths, m is the
    mean of λᵢnᵢ, rᵢ = Lᵢ / Lᵢ(0) over its own mean. Then Σ λ is the number of tasks again. Dividing by m frees the rate
    of a unit; α = 1.5 as in the paper's experiments with unequal tasks.
    """

    uses_gradients = True
    rate, asymmetry = 0.025, 1.5

    def build(self, _: Any = None) -> None:
        super().build()
        self.scale, self.first = self._state("scale", "ones"), self._state("first")

    def scales(self, loss: Any, present: Any, gram: Any) -> Any:
        now = 1.0 * self.scale  # as it was before the step
        first = ops.where(self.first > 0, self.first, present * loss)
        self.first.assign(first)
        length = ops.sqrt(ops.diagonal(gram))
        mean = _mean(now * length, present) + EPSILON
        pace = loss / (first + EPSILON)
        target = mean * (pace / (_mean(pace, present) + EPSILON)) ** self.asymmetry
        slope = present * length / mean * ops.sign(now * length - target)
        moved = ops.maximum(now - self.rate * slope, 0.01)
        self.scale.assign(moved * len(self.kinds) / ops.sum(moved))
        return now


@keras.saving.register_keras_serializable(PACKAGE)
class PCGrad(Fixed):
    """Projecting conflicting gradients (Yu et al. 2020).

    Each gᵢ, in random order of the others, loses its part along every gⱼ that points against it:
    gᵢ ← gᵢ − ⟨gᵢ, gⱼ⟩ / ‖gⱼ‖² gⱼ where the product is negative. One random order a step serves every i.
    """

    uses_gradients = True

    def build(self, _: Any = None) -> None:
        super().build()
        self.order = keras.random.SeedGenerator()

    def scales(self, loss: Any, present: Any, gram: Any) -> Any:
        drawn = keras.random.uniform((len(self.kinds),), seed=self.order)
        # each draw's place among all; a sort in an XLA program slows all else in it down (a step on a CPU: sevenfold)
        order = ops.sum(ops.cast(drawn[None] < drawn[:, None], "int32"), axis=1)
        return ops.sum(project(gram, order), axis=0)


def project(gram: Any, order: Any) -> Any:
    """(tasks, tasks) PCGrad's gradients, each a row of coefficients of the original ones.

    Args:
        order: (tasks,) in which the others are gone through.
    """
    count = gram.shape[0]
    coefficients = ops.eye(count, dtype=gram.dtype)
    for step in range(count):
        other = ops.one_hot(order[step], count, dtype=gram.dtype)
        along = ops.matmul(gram, other)
        product = ops.matmul(coefficients, along)  # of each row's present gradient with the other task's
        taken = ops.minimum(product, 0) / ops.maximum(ops.sum(along * other), EPSILON**2)
        coefficients = coefficients - (taken * (1 - other))[:, None] * other[None]
    return coefficients


@keras.saving.register_keras_serializable(PACKAGE)
class CAGrad(Fixed):
    """Conflict-averse gradient descent (Liu et al. 2021): the best worst task within a ball around the mean gradient.

    d = g₀ + c‖g₀‖ g_w / ‖g_w‖, with w on the simplex least in ⟨g_w, g₀⟩ + c‖g₀‖‖g_w‖; here times the number of tasks
    present, so that c = 0 is λ = 1. c = 0.4 as in the paper.
    """

    uses_gradients = True
    radius = 0.4

    def scales(self, loss: Any, present: Any, gram: Any) -> Any:
        count = ops.maximum(ops.sum(present), 1)
        mean = present / count
        weights = averse(gram, mean, self.radius)
        longer = ops.sqrt(_product(mean, gram) / (_product(weights, gram) + EPSILON**2))
        return present + count * self.radius * longer * weights


def averse(gram: Any, mean: Any, radius: float) -> Any:
    """(tasks,) the weights w of `CAGrad`, by exponentiated gradients: they start as `mean`, and stay on the simplex."""
    gram = gram / (ops.max(ops.diagonal(gram)) + EPSILON**2)
    toward = ops.matmul(gram, mean)
    reach = radius * ops.sqrt(_product(mean, gram))

    def step(_: Any, weights: Any) -> Any:
        along = ops.matmul(gram, weights)
        slope = toward + reach * along / ops.sqrt(ops.sum(weights * along) + EPSILON)
        weights = weights * ops.exp(-4 * (slope - ops.min(slope)))
        return weights / ops.maximum(ops.sum(weights), EPSILON**2)

    return ops.fori_loop(0, 100, step, mean)


def _mean(values: Any, present: Any) -> Any:
    return ops.sum(values * present) / ops.maximum(ops.sum(present), 1)


def _product(weights: Any, gram: Any) -> Any:
    """‖Σ wᵢgᵢ‖²."""
    return ops.maximum(ops.sum(weights * ops.matmul(gram, weights)), 0)
