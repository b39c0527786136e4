"""Triad's MMoE as a contender of `speed.py`: learned from nothing by the stage's own loop, dials of params.yaml.

    python speed_triad.py [--tasks click conversion] [--xla off]

Runs in the folder whose `artifacts/features` it reads. Without `--tasks` it learns all that exposures have.
"""

from __future__ import annotations

import argparse

import keras
import numpy as np
from sklearn.metrics import roc_auc_score
from turns import Turns

from triad.artifacts import ARTIFACTS
from triad.config.params import load as load_params
from triad.examples.dataset import load
from triad.kinds import KINDS
from triad.members.network import NetworkScorer
from triad.models.multitask import multi_task
from triad.models.trunk import trunk_config
from triad.training.feeds import UnitFeed
from triad.training.finetuning import make_loss
from triad.training.loop import fit
from triad.training.optimizers import schedule
from triad.training.runtime import settle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+")
    parser.add_argument("--xla", choices=["auto", "on", "off"], default="auto")
    asked, params, turns = parser.parse_args(), load_params(), Turns()
    chosen = params.finetune.model_copy(update={"init": "scratch", "patience": params.finetune.max_epochs})
    runtime = settle(params.runtime.model_copy(update={"xla": asked.xla}), chosen.seed)
    data = load(ARTIFACTS / "features")
    names = tuple(name for name in data.meta.tasks["exposures"] if asked.tasks is None or name in asked.tasks)
    chosen = chosen.model_copy(update={"tasks": names})
    keras.utils.set_random_seed(chosen.seed)
    network = multi_task(data, trunk_config(data, params.pretrain.trunk), chosen, params.tasks)
    scorer, feed = NetworkScorer(network), UnitFeed(data, chosen, network.trunk.max_steps, {"exposures": names})
    rows = data.rows("validation", "exposures")
    events = [name for name in names if KINDS[params.tasks[name].kind].is_event]
    labels = {name: np.asarray(data.labels(name))[rows] for name in events}

    def validate() -> dict[str, float]:
        turns.stop()
        network.after_epoch()
        said = scorer.predict(data, rows, events)
        auc = {name: float(roc_auc_score(labels[name], said[name])) for name in events}
        turns.tell(feed.examples, auc)
        turns.begin()
        return {"loss": -float(np.mean([*auc.values()]))}

    turns.begin()
    rates = schedule(chosen, warm=False, epochs=None)
    fit(network, make_loss(network), feed, validate, rates, runtime=runtime)


if __name__ == "__main__":
    main()
