"""One process of a training that several share, for test_workers.py: python train_together.py NETWORK FOLDER RESULT."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from make_dataset import make_dataset

from triad.config.finetune import FinetuneParams
from triad.config.pretrain import PretrainParams, TrunkParams
from triad.config.runtime import RuntimeParams
from triad.config.tasks import TaskParams
from triad.training.finetuning import finetune_network
from triad.training.pretraining import pretrain_network
from triad.training.runtime import settle

TRUNK = TrunkParams(dim=16, layers=1, max_steps=16, dropout=0.0, id_dropout=0.0)
TASKS = {
    "click": TaskParams(kind="binary", label="clicked"),
    "conversion": TaskParams(kind="binary", label="purchased", given="click"),
    "profile": TaskParams(kind="multiclass", label="user_attribute", column="segment"),
    "price": TaskParams(kind="regression", label="price_move", horizon_days=3),
}


def main(network: str, folder: str, result: str) -> None:
    tables = "touched" if network == "touched" else "auto"
    runtime = settle(RuntimeParams(device="cpu", workers=2, tables=tables, xla="off"), seed=1, shared=True)
    data, at = make_dataset(users=40, pages=5), Path(folder) / "checkpoint"
    if network == "finetune":
        dials = FinetuneParams(
            tasks=tuple(TASKS), batch_exposures=64, experts=2, dropout=0.0, max_epochs=2, checkpoint_steps=2
        )
        member, history = finetune_network(data, TASKS, dials, runtime, trunk=TRUNK, folder=at)
    else:
        pre = PretrainParams(
            trunk=TRUNK, loss="sampled_softmax", negatives=16, batch_targets=64, max_epochs=3, checkpoint_steps=2
        )
        member, history = pretrain_network(data, pre, runtime, at)
    weights = {f"weight_{place:03d}": value for place, value in enumerate(member.network.get_weights())}
    losses = {name: np.array([row[name] for row in history]) for name in history[0]}
    np.savez(result, **weights, **losses)


if __name__ == "__main__":
    main(*sys.argv[1:])
