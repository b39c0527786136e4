"""Loss weighting: the λ of L = Σ λᵢLᵢ. This file: weightings that need only the losses.

Every way is one formula for λ, so each goes with every body. What a way remembers are weights of its layer, which a
checkpoint holds like any other. `weighting_gradients.py` has the ways that look at the tasks' gradients.

A task that no slot of a batch is labelled for adds nothing, and what is remembered of it stays. A batch holds rows of
one unit, so each unit has a weighting of its own, which compares its tasks in a batch; an epoch compares those of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from triad.encoders.base import PACKAGE
from triad.kinds import KINDS

EPSILON = 1e-8


@keras.saving.register_keras_serializable(PACKAGE)
class Fixed(keras.layers.Layer):
    """λ = 1, times each task's own weight, as in every other way.

    Args:
        kinds: each task's kind.
        weights: each task's own weight.
    """

    uses_gradients = False
    looks_back = False  # whether it wants the losses after the step, too

    def __init__(self, kinds: Sequence[str], weights: Sequence[float], **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.kinds, self.own = list(kinds), list(weights)

    def build(self, _: Any = None) -> None:
        self.recent = self._state("recent", "ones")
        self.built = True

    def start(self, naive: Sequence[float]) -> None:
        """Begin from each task's loss under its best constant."""

    def _state(self, name: str, initial: str = "zeros", *, trainable: bool = False) -> Any:
        """A number a task."""
        return self.add_weight((len(self.kinds),), initializer=initial, trainable=trainable, name=name, dtype="float32")

    def total(self, loss: Any, count: Any, gram: Any = None) -> Any:
        """The batch's loss, and one step of what is remembered.

        Args:
            loss: (tasks,) mean loss of each.
            count: (tasks,) labelled slots of each.
            gram: (tasks, tasks) products of the tasks' gradients, where `uses_gradients`.
        """
        own = ops.convert_to_tensor(self.own, "float32")
        present = ops.cast(count > 0, "float32")
        loss = own * loss
        if gram is not None:
            gram = gram * own[:, None] * own[None]
        scale = ops.stop_gradient(self.scales(ops.stop_gradient(loss), present, gram))
        self.recent.assign_add(0.02 * present * (scale - self.recent))
        return ops.sum(present * scale * loss)

    def scales(self, loss: Any, present: Any, gram: Any) -> Any:
        """(tasks,) λ of a batch."""
        return ops.ones_like(loss)

    def after_step(self, loss: Any, count: Any) -> None:
        """Learn from the same batch's losses after the step, where `looks_back`."""

    @classmethod
    def after_epoch(cls, weightings: Sequence[Any]) -> None:
        """Learn from an epoch, of all `weightings` of a network, one a unit."""

    def shown(self) -> Any:
        """(tasks,) λ, averaged over about the last 50 steps, with the tasks' own weights."""
        return np.array(self.own) * ops.convert_to_numpy(self.recent)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kinds": self.kinds, "weights": self.own}


@keras.saving.register_keras_serializable(PACKAGE)
class Uncertainty(Fixed):
    """λ = 1 / σ² of a task's own noise, learned with the network (Kendall et al. 2018): `Kind.uncertainty`.

    At the network's rate log σ² moves by less than one in some hundreds of steps, so that a task of rare events, whose
    loss is small, would hardly be heard: it starts where the best constant's loss asks for it.
    """

    def build(self, _: Any = None) -> None:
        self.log_scale = self._state("log_scale", trainable=True)
        self.built = True

    def start(self, naive: Sequence[float]) -> None:
        settled = [
            KINDS[kind].settled_log_scale(max(loss, EPSILON)) for kind, loss in zip(self.kinds, naive, strict=True)
        ]
        self.log_scale.assign(settled)

    def total(self, loss: Any, count: Any, gram: Any = None) -> Any:
        parts = [
            weight * KINDS[kind].uncertainty(loss[place], self.log_scale[place])
            for place, (kind, weight) in enumerate(zip(self.kinds, self.own, strict=True))
        ]
        return ops.sum(ops.cast(count > 0, "float32") * ops.stack(parts))

    def shown(self) -> Any:
        return np.array(self.own) * np.exp(-ops.convert_to_numpy(self.log_scale))


@keras.saving.register_keras_serializable(PACKAGE)
class DWA(Fixed):
    """Dynamic weight average (Liu et al. 2019): more for the task whose loss falls slower.

    λᵢ = K softmax(rᵢ / T), rᵢ = Lᵢ(t − 1) / Lᵢ(t − 2), L(t) an epoch's mean over labelled slots; 1 in the first two
    epochs. T = 2, as in the paper.
    """

    temperature = 2.0

    def build(self, _: Any = None) -> None:
        super().build()
        self.scale = self._state("scale", "ones")
        self.sums, self.counts, self.last = (self._state(name) for name in ("sums", "counts", "last"))

    def total(self, loss: Any, count: Any, gram: Any = None) -> Any:
        self.sums.assign_add(ops.stop_gradient(loss) * count)
        self.counts.assign_add(count)
        return super().total(loss, count, gram)

    def scales(self, loss: Any, present: Any, gram: Any) -> Any:
        return ops.convert_to_tensor(self.scale)

    @classmethod
    def after_epoch(cls, weightings: Sequence[DWA]) -> None:
        """The λ of all units' tasks, beside one another."""

        def joined(name: str) -> Any:
            return np.concatenate([ops.convert_to_numpy(getattr(each, name)) for each in weightings])

        def assign(name: str, values: Any) -> None:
            for each, own in zip(weightings, np.split(values, ends), strict=True):
                getattr(each, name).assign(own)

        ends = np.cumsum([len(each.kinds) for each in weightings])[:-1]
        sums, counts, last = (joined(name) for name in ("sums", "counts", "last"))
        now = np.where(counts > 0, sums / np.maximum(counts, 1), last)
        both = (now > 0) & (last > 0)
        pace = np.exp(np.where(both, now / np.where(both, last, 1), 1) / cls.temperature)
        if both.any():
            assign("scale", len(pace) * pace / pace.sum())
        assign("last", now)
        assign("sums", np.zeros_like(sums))
        assign("counts", np.zeros_like(counts))


@keras.saving.register_keras_serializable(PACKAGE)
class FAMO(Fixed):
    """Fast adaptive multitask optimization (Liu et al. 2023): every task's loss falls by about the same share.

    The step is one on c Σ zᵢ log Lᵢ, z = softmax(ξ), c = 1 / Σ zᵢ / Lᵢ, so λᵢ = c zᵢ / Lᵢ; here times the number of
    tasks, so that λ is 1 on average as elsewhere. Then ξ takes a step of Adam on Jᵀδ + γ ξ, with the Jacobian J of
    softmax and δᵢ = log Lᵢ(θ) − log Lᵢ(θ′) of the same batch before and after. The rate is that of the authors' code.
    """

    looks_back = True
    rate, decay = 0.025, 0.001

    def build(self, _: Any = None) -> None:
        super().build()
        self.logit, self.before = self._state("logit"), self._state("before")
        self.moment, self.square = self._state("moment"), self._state("square")
        self.steps = self.add_weight((), initializer="zeros", trainable=False, name="steps", dtype="float32")

    def scales(self, loss: Any, present: Any, gram: Any) -> Any:
        self.before.assign(loss)
        pull = present * ops.softmax(self.logit) / (loss + EPSILON)
        return ops.sum(present) * pull / ops.maximum(ops.sum(pull), EPSILON)

    def after_step(self, loss: Any, count: Any) -> None:
        own = ops.convert_to_tensor(self.own, "float32")
        fall = ops.log(self.before + EPSILON) - ops.log(own * loss + EPSILON)
        fall = ops.where(count > 0, fall, ops.zeros_like(fall))
        share = ops.softmax(self.logit)
        slope = share * (fall - ops.sum(share * fall)) + self.decay * self.logit
        self.steps.assign_add(1.0)
        self.moment.assign(0.9 * self.moment + 0.1 * slope)
        self.square.assign(0.999 * self.square + 0.001 * slope**2)
        moment, square = self.moment / (1 - 0.9**self.steps), self.square / (1 - 0.999**self.steps)
        self.logit.assign_sub(self.rate * moment / (ops.sqrt(square) + EPSILON))
