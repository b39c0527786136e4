"""A unit: fits one variant with one seed on a study's data and scores the test split."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from triad.ablations.data import summary, taught, thinned
from triad.ablations.members import Workshop
from triad.ablations.outcome import Answers, Outcome
from triad.ablations.params import StudyParams
from triad.ablations.spec import Study, Unit
from triad.arrays import Floats
from triad.evaluation.assess import NAIVE, ORACLE
from triad.evaluation.oracle import oracle
from triad.evaluation.scoring import score_members, score_naive
from triad.evaluation.window import Scored, Window, window
from triad.examples.dataset import Dataset, load
from triad.fusion.fitting import fit_fusion
from triad.kinds import KINDS
from triad.members.protocol import Member, Retriever
from triad.members.registry import of_use
from triad.models.multitask import MultiTaskNetwork
from triad.ranking import ranking_values
from triad.tasks import LABELS
from triad.training.diagnostics import cosines, expert_use, gradient_grams
from triad.training.runtime import settle

DIAGNOSED = 8192
"""Validation rows that a network's gradients and experts are looked at on."""


def run(study: Study, unit: Unit, folder: Path, shelf: Path) -> Outcome:
    """Fit `unit` on the data that `data.prepare` wrote to `folder`, and ask it about the test split.

    Raises:
        TriadError: a member finds nothing to learn from, or the device asked for is not there.
    """
    start, share = time.monotonic(), unit.share
    params = study.settings(unit.variant).seeded(unit.seed)
    params = params.model_copy(update={"finetune": params.finetune.at_share(share)})
    runtime = settle(params.runtime, unit.seed)
    data = thinned(taught(load(folder / study.market), params.tasks), share, unit.seed)
    shop = Workshop(
        data,
        params,
        runtime,
        shelf,
        key=summary(folder)[study.market]["digest"],
        cut=f"{share:g} {unit.seed if share < 1 else 0}",
        beside=folder,
    )
    members: dict[str, Member] = {name: shop.member(name) for name in of_use(params.fuse.members, params.tasks)}
    # networks alone are asked nothing that they cannot answer
    if not any(isinstance(member, Retriever) for member in members.values()):
        pointwise = {name: task for name, task in params.tasks.items() if not KINDS[task.kind].ranks}
        params = params.model_copy(update={"tasks": pointwise})
    fused = fit_fusion(data, members, params.tasks, params.fuse)
    tested = window(data, "test", params.evaluate.max_queries, params.evaluate.seed)
    began = time.monotonic()
    models = score_members(fused, data, tested)
    scoring = time.monotonic() - began
    models[NAIVE] = score_naive(fused, data, params.tasks, tested)
    best = oracle(folder / "oracle", data, params.tasks, tested)
    if best is not None:
        models[ORACLE] = best
    network = getattr(fused.members.get("finetune"), "network", None)
    facts = {
        "diagnosis": diagnosis(network, data) if study.diagnose and network is not None else None,
        "seconds": shop.seconds,
        "seconds_of_scoring": scoring,
        "seconds_in_all": time.monotonic() - start,
        "parameters": shop.parameters,
        "history": shop.histories,
        "weights": fused.weights,
        "record": fused.record,
    }
    return Outcome(_answers(data, params, tested, models), facts)


def diagnosis(network: MultiTaskNetwork, data: Dataset) -> dict[str, Any] | None:
    """Cosines between tasks' gradients, how often they conflict, and expert use, on validation rows; None for one task.

    Lists of lists in the order of `tasks`; None where undefined.
    """
    if len(network.tasks) < 2:
        return None
    rows = {unit: data.rows("validation", unit)[:DIAGNOSED] for unit in network.units}
    experts: list[list[float | None]] = []
    for unit, heads in network.units.items():
        if hasattr(heads.body, "mix"):
            experts += _plain(expert_use(network, data, unit, rows[unit]))
    return {
        "tasks": list(network.tasks),
        **{name: _plain(values) for name, values in cosines(gradient_grams(network, data, rows)).items()},
        "experts": experts or None,
    }


def _plain(values: Floats) -> list[list[float | None]]:
    return [[float(value) if np.isfinite(value) else None for value in row] for row in values]


def _answers(data: Dataset, params: StudyParams, tested: Window, models: dict[str, Scored]) -> dict[str, Answers]:
    answers = {}
    for name, task in params.tasks.items():
        if KINDS[task.kind].ranks:
            count, k = len(tested.queries), params.evaluate.k
            ranks = {model: scored.ranks for model, scored in models.items() if scored.ranks is not None}
            lists = {model: ranking_values(places, tested.query, count, k) for model, places in ranks.items()}
            answers[name] = Answers(task.kind, np.zeros(0), tested.query_user, lists)
            continue
        labels = np.asarray(data.labels(name), np.float64)[tested.of(LABELS[task.label].unit)]
        known = np.isfinite(labels)
        cluster = tested.cluster(data, LABELS[task.label].unit, LABELS[task.label].cluster)
        scores = {model: scored.tasks[name][known] for model, scored in models.items() if name in scored.tasks}
        answers[name] = Answers(task.kind, labels[known], cluster[known], scores)
    return answers
