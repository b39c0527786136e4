"""What a report says beside its figures: the data judged, where they come from, and what the source gate found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from triad.evaluation.source import Gain
from triad.evaluation.window import Window
from triad.examples.dataset import Dataset
from triad.features.dataset import SPLITS


def notes(data: Dataset, window: Window, *, is_simulated: bool) -> list[str]:
    """What the reader must know of the data, a sentence or two each."""
    users, items = len(data.users.user_id), len(data.items.item_id)
    spans = ", ".join(f"{name} {_day(data, name, 0)} to {_day(data, name, 1)}" for name in SPLITS)
    sentences = [
        f"{len(data.exposures.user):,} exposures of {items:,} products to {users:,} customers. The days: {spans}. "
        f"Only the test days are judged here: {len(window.rows):,} exposures of "
        f"{len(np.unique(window.user)):,} customers and {len(window.queries):,} lists; no model learned from them.",
    ]
    if data.meta.negatives_sampled:
        sentences.append(
            "The source does not record what was shown and not taken. Products drawn at random stand for it, so the "
            "figures say how well taken products are told from random ones, and probabilities are not those of a page."
        )
    if is_simulated:
        sentences.append("This shop is simulated, so its true probabilities are known and stand beside each figure.")
    return sentences


def source_gate(finetuned: Mapping[str, float]) -> str:
    """What the source gate said, from fine-tuning's metrics, or how it is asked."""
    if "source_gain" not in finetuned:
        return (
            "What a start from it is worth against a start from nothing takes a second training, which this night "
            "did not do (finetune.source_gate)."
        )
    gain = Gain(*(finetuned[f"source_gain{end}"] for end in ("", "_low", "_high")))
    kept = "It was kept." if gain.helps else "That shows no help: the network that learned from nothing took its place."
    return (
        f"Fine-tuning was tried from nothing too. Against that, what it started from takes {gain.value:.4f} "
        f"[{gain.low:.4f}, {gain.high:.4f}] of the best constant's loss off in the validation days. {kept}"
    )


def lineage(data: Dataset, window: Window, code: Mapping[str, Any], seed: int) -> dict[str, str]:
    """What the figures come from, as shown; `code` has the git `commit` and whether it is `dirty`."""
    commit = "no git commit" if code["commit"] is None else code["commit"][:12]
    return {
        "Code": commit + (" with uncommitted changes" if code["dirty"] else ""),
        "Window": f"{_day(data, 'train', 0)} to {_day(data, 'test', 1)}",
        "Test exposures": f"{len(window.rows):,}",
        "Out-of-vocabulary rate": f"{data.meta.oov_rate:.1%}",
        "Seed of resampling": str(seed),
    }


SETTLED = ("on_gpu", "in_half_precision", "deterministic")
"""Of fine-tuning's metrics, what `runtime` came to."""


def trained(finetuned: Mapping[str, float]) -> dict[str, str]:
    """How the networks were trained, as shown; nothing where fine-tuning did not say."""
    if not finetuned.keys() >= set(SETTLED):
        return {}
    on_gpu, in_half, repeats = (bool(finetuned[name]) for name in SETTLED)
    repeated = "repeatable bit for bit" if repeats else "not repeatable (runtime.determinism: off)"
    return {"Training": f"on a {'GPU' if on_gpu else 'CPU'}, {'mixed bfloat16' if in_half else 'float32'}, {repeated}"}


def _day(data: Dataset, split: str, end: int) -> str:
    return str(np.datetime64(data.meta.windows[split][end] - end, "us").astype("datetime64[D]"))
