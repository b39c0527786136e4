"""`triad pretrain`: train the trunk on the source task. Writes the network, the catalogue's embeddings and metrics."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import numpy as np

from triad.artifacts import ARTIFACTS, replacing, write_json
from triad.evaluation.source import judge_source
from triad.examples.dataset import load
from triad.models.trunk import reading, reads_vectors
from triad.training import workers
from triad.training.checkpoints import checkpoint_folder, fingerprint, forget
from triad.training.history import write_history
from triad.training.pretraining import chosen_by, held_out, item_losses, pretrain_network, ranking
from triad.training.runtime import settle
from triad.training.warm import initial_model

if TYPE_CHECKING:
    from triad.config.params import Params

log = logging.getLogger("triad.pretrain")


def pretrain(params: Params) -> None:
    """Read the examples, train, write `artifacts/pretrain`.

    Raises:
        TriadError: there is nothing to learn from, what it starts from does not fit, or the device is not there.
    """
    began = time.monotonic()
    runtime = settle(params.runtime, params.pretrain.seed, shared=True)
    log.info("%s · %s", params.pretrain, runtime)
    data = load(ARTIFACTS / "features")
    initial = initial_model(params.pretrain.init, "pretrain", ARTIFACTS, data)
    meaning, start = ([initial.meaning], initial.arrays) if initial else ([], [])
    name = fingerprint(data, params.pretrain.model_dump(), str(runtime), *meaning, arrays=start)
    member, history = pretrain_network(data, params.pretrain, runtime, checkpoint_folder("pretrain", name), initial)
    of_vectors: dict[str, float] = {}
    if params.pretrain.vectors_gate and reads_vectors(data):  # the twin differs in what it reads alone
        blind = reading(data, {"item": {}})
        beside = checkpoint_folder("pretrain", f"{name}-without")
        twin, its_history = pretrain_network(blind, params.pretrain, runtime, beside, initial)
        asked = held_out(data, params.pretrain)
        masked = params.pretrain.task == "masked"
        without = item_losses(twin, blind, asked, masked=masked)
        having = item_losses(member, data, asked, masked=masked)
        gain = judge_source(without, having, asked.user, seed=params.pretrain.seed)
        log.info("%s: vectors of items are %s", gain, "read" if gain.helps else "left out")
        of_vectors = {"vectors_gain": gain.value, "vectors_gain_low": gain.low, "vectors_gain_high": gain.high}
        if not gain.helps:
            member, history, data = twin, its_history, blind
    best = min(history, key=lambda row: row[f"validation_{chosen_by(params.pretrain, data)}"])
    metrics = {
        "best_epoch": best["epoch"],
        "validation_loss": best["validation_loss"],
        **ranking(member, data, "validation"),
        **of_vectors,
    }
    if not workers.is_first():
        return
    target = ARTIFACTS / "pretrain"
    with replacing(target) as folder:
        member.save(folder)
        np.save(folder / "embeddings.npy", member.scorer.items(data), allow_pickle=False)
        write_json(folder / "metrics.json", metrics)
        write_history(folder / "history.csv", history)
    forget("pretrain")
    log.info("%s · %d epochs · %.0f s · %s", metrics, len(history), time.monotonic() - began, target)
