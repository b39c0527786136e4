"""`triad finetune`: train every task's head on the pretrained trunk. Writes the network and its validation metrics."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from triad.artifacts import ARTIFACTS, replacing, write_json
from triad.evaluation.source import judge_source
from triad.examples.dataset import load
from triad.members.sequence import Sequence
from triad.models.trunk import reading, reads_vectors
from triad.tasks import are_lists
from triad.training import workers
from triad.training.apart import finetune_units
from triad.training.checkpoints import checkpoint_folder, fingerprint, forget
from triad.training.history import write_history
from triad.training.runtime import settle
from triad.training.sourcing import clusters, validation_rows
from triad.training.transfer import sizes
from triad.training.warm import initial_model

if TYPE_CHECKING:
    from triad.config.params import Params

log = logging.getLogger("triad.finetune")


def finetune(params: Params) -> None:
    """Read the examples and what `finetune.init` starts from, train, write `artifacts/finetune`.

    Where lists are the only task there is no row to learn from, and no network is written.

    Raises:
        TriadError: a task has no labels, what it starts from does not fit, or the device asked for is not there.
    """
    began = time.monotonic()
    runtime = settle(params.runtime, params.finetune.seed, shared=True)
    log.info("%s · %s · %s", params.finetune, params.tasks, runtime)
    if are_lists(params.tasks):
        if workers.is_first():
            with replacing(ARTIFACTS / "finetune") as folder:
                write_json(folder / "metrics.json", {})
        log.info("no network: lists are the only task, and have no rows of their own")
        return
    data = load(ARTIFACTS / "features")
    init, pretrained = params.finetune.init, None
    if reads_vectors(data):  # what the source task was no better for is not read here either
        data = reading(data, Sequence.load(ARTIFACTS / "pretrain").network.trunk_config)
    initial = initial_model(init, "finetune", ARTIFACTS, data)
    if init != "scratch" and initial is None:
        pretrained = Sequence.load(ARTIFACTS / "pretrain").network
    dials = [params.finetune.model_dump(), params.pretrain.trunk.model_dump(), str(params.tasks), str(runtime)]
    if initial is not None:
        name = fingerprint(data, *dials, initial.meaning, arrays=initial.arrays)
    else:
        name = fingerprint(data, *dials, arrays=pretrained.get_weights() if pretrained is not None else [])
    inputs: dict[str, Any] = {
        "trunk": params.pretrain.trunk,
        "pretrained": pretrained,
        "initial": initial,
        "folder": checkpoint_folder("finetune", name),
    }
    ranker, histories = finetune_units(data, params.tasks, params.finetune, runtime, **inputs)
    has_learned, of_source = init != "scratch", {}
    if params.finetune.source_gate and (pretrained is not None or init == "market"):
        # the twin differs in its start alone
        inputs |= {"pretrained": None, "initial": None, "folder": checkpoint_folder("finetune", f"{name}-scratch")}
        twin, its_histories = finetune_units(data, params.tasks, params.finetune, runtime, **inputs)
        losses = validation_rows(twin, data), validation_rows(ranker, data)
        gain = judge_source(*losses, clusters(ranker, data), seed=params.finetune.seed)
        log.info(
            "%s: the source is %s", gain, "kept" if gain.helps else "refused; what was learned from nothing serves"
        )
        of_source = {"source_gain": gain.value, "source_gain_low": gain.low, "source_gain_high": gain.high}
        if not gain.helps:
            ranker, histories, has_learned = twin, its_histories, False
    metrics: dict[str, Any] = {}
    for unit, history in histories.items():
        best = min(history, key=lambda row: row["validation_loss"])
        named = {"best_epoch": best["epoch"], **{name: best[name] for name in best if name.startswith("validation_")}}
        metrics |= {f"{unit}_{name}" if unit else name: value for name, value in named.items()}
    metrics["learned_from_source"] = float(has_learned)
    metrics |= runtime.figures | of_source | sizes(ranker.network.trunk, params.finetune if has_learned else None)
    if not workers.is_first():
        return
    target = ARTIFACTS / "finetune"
    with replacing(target) as folder:
        ranker.save(folder)
        write_json(folder / "metrics.json", metrics)
        for unit, history in histories.items():
            write_history(folder / (f"history_{unit}.csv" if unit else "history.csv"), history)
    forget("finetune")
    log.info("%s · %d epochs · %.0f s · %s", metrics, len(histories[""]), time.monotonic() - began, target)
