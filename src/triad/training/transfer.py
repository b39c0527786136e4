"""Which parts of a pretrained trunk may still change: F_φ = F_θ + Δφ, and the size of Δφ.

`full`: every weight, at `trunk_rate` of the rate. `frozen`: nothing, the trunk is a feature extractor. `gradual`: layer
by layer from the top, each an epoch after the one above it and at `layer_rate` of its rate (gradual unfreezing with
discriminative rates, Howard & Ruder 2018). `delta`: a low-rank sum beside fixed weights (`models/delta.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from triad.config.finetune import FinetuneParams
from triad.models.delta import add_delta
from triad.models.trunk import Trunk
from triad.training.optimizers import Pace


def prepare(trunk: Trunk, params: FinetuneParams | None) -> None:
    """Make room for Δφ where it needs weights of its own; a new trunk (None) needs none."""
    if params is not None and params.transfer == "delta":
        add_delta(trunk, params.delta_rank)


def paces(trunk: Trunk, params: FinetuneParams | None) -> Callable[[Any], Pace]:
    """How a weight of a network on `trunk` learns; those outside it, and all of a new one (None), at the full rate."""
    if params is None:
        return lambda _: Pace()
    by_weight = {id(weight): _pace(params, depth) for weight, depth in _depths(trunk)}
    return lambda weight: by_weight.get(id(weight), Pace())


def sizes(trunk: Trunk, params: FinetuneParams | None) -> dict[str, int]:
    """How many numbers the trunk is made of, and how many learn: some of them, or those of Δφ beside them."""
    pace = paces(trunk, params)
    learned = [weight for weight in trunk.trainable_variables if pace(weight).share > 0]
    factors = [weight for weight in trunk.variables if "lora_" in weight.path]
    return {
        "trunk_parameters": _count(trunk.weights) - _count(factors),
        "trunk_parameters_learned": _count(learned),
    }


def _pace(params: FinetuneParams, depth: int) -> Pace:
    if params.transfer == "gradual":
        return Pace(params.layer_rate**depth, start=depth)
    return Pace({"full": params.trunk_rate, "frozen": 0.0, "delta": 1.0}[params.transfer])


def _depths(trunk: Trunk) -> list[tuple[Any, int]]:
    """The weights that can learn, each with its layer counted from the heads: 1 the top block, last what embeds."""
    top = len(trunk.history.blocks)
    above = {id(weight): top - place for place, block in enumerate(trunk.history.blocks) for weight in block.weights}
    above |= {id(weight): 1 for weight in trunk.history.norm.weights}
    return [(weight, above.get(id(weight), top + 1)) for weight in trunk.trainable_variables]


def _count(weights: list[Any]) -> int:
    return int(sum(np.prod(weight.shape) for weight in weights))
