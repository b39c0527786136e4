"""A low-rank Δφ over a fixed θ (LoRA, Hu et al. 2022): a trunk's matrices W become W + A B, and only A and B learn.

Saving merges the two, so what is saved, carried on and served is a plain trunk again.
"""

from __future__ import annotations

from typing import Any

from triad.encoders.base import Table
from triad.models.trunk import Trunk


def add_delta(trunk: Trunk, rank: int) -> None:
    """Fix all weights of `trunk`, and give its tables, dense layers and attention the factors of a Δφ that is zero.

    A matrix that is itself no larger than its factors (the price's column) gets none.
    """
    for weight in trunk.trainable_variables:  # and no layer: one that is frozen would hide its factors
        weight.trainable = False
    layers: list[Any] = [layer for layer in trunk._flatten_layers() if hasattr(layer, "enable_lora")]
    for layer in layers:
        matrix = layer.weight if isinstance(layer, Table) else layer.kernel
        if _is_worth_it(matrix.shape, rank):
            layer.enable_lora(rank)


def _is_worth_it(shape: tuple[int, ...], rank: int) -> bool:
    """Whether the factors (…, rank) and (rank, last) are fewer numbers than the matrix of `shape`."""
    rows = 1
    for size in shape[:-1]:
        rows *= size
    return rank * (rows + shape[-1]) < rows * shape[-1]
