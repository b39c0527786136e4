"""A unit: one variant with one seed fitted on a study's data, and its answers on the test split."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from triad.artifacts import read_json, replacing, write_json
from triad.evaluation.assess import NAIVE, ORACLE
from triad.evaluation.oracle import oracle
from triad.evaluation.scoring import score_members, score_naive
from triad.evaluation.window import Scored, Window, window
from triad.features.dataset import Dataset, Floats, Ints, load
from triad.fusion.fitting import fit_fusion
from triad.ranking import ranking_values
from triad.studies.data import summary, taught, thinned
from triad.studies.members import Workshop
from triad.studies.spec import Study, StudyParams, Unit
from triad.training.runtime import settle


@dataclass(frozen=True)
class Answers:
    """What is known of one task's test rows, and what each model said of them."""

    kind: str
    labels: Floats  # (n,); empty for a ranking
    cluster: Ints  # (n,) who is drawn together: users, for moves of a price items
    scores: dict[str, Floats]  # model → (n,) or (n, classes); of a ranking (n, 4) values of each query's list


@dataclass(frozen=True)
class Outcome:
    """What a unit gives. `facts` are plain: the data's digest, seconds, parameters, losses by epoch, the fusion."""

    tasks: dict[str, Answers]
    facts: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """One file of arrays, one of facts."""
        arrays: dict[str, Any] = {}
        for task, found in self.tasks.items():
            arrays |= {f"{task}/labels": found.labels, f"{task}/cluster": found.cluster}
            arrays |= {f"{task}/scores/{model}": scores for model, scores in found.scores.items()}
        with replacing(folder) as fresh:
            np.savez_compressed(fresh / "answers.npz", **arrays)
            write_json(fresh / "facts.json", self.facts | {"kinds": {t: a.kind for t, a in self.tasks.items()}})

    @classmethod
    def load(cls, folder: Path) -> Outcome:
        """What `save` wrote."""
        facts = read_json(folder / "facts.json")
        with np.load(folder / "answers.npz", allow_pickle=False) as file:
            arrays = dict(file)
        tasks = {}
        for task, kind in facts.pop("kinds").items():
            start = f"{task}/scores/"
            scores = {name.removeprefix(start): values for name, values in arrays.items() if name.startswith(start)}
            tasks[task] = Answers(kind, arrays[f"{task}/labels"], arrays[f"{task}/cluster"], scores)
        return cls(tasks, facts)


def run(study: Study, unit: Unit, folder: Path, shelf: Path) -> Outcome:
    """Fit `unit` on the data that `data.prepare` wrote to `folder`, and ask it about the test split.

    Raises:
        TriadError: a member finds nothing to learn from, or the device asked for is not there.
    """
    whole = load(folder / study.market)
    return fit_and_ask(
        whole,
        study.settings(unit.variant).seeded(unit.seed),
        key=summary(folder)[study.market]["digest"],
        shelf=shelf,
        share=unit.share,
        seed=unit.seed,
        truth=folder / "oracle",
    )


def fit_and_ask(
    whole: Dataset, params: StudyParams, *, key: str, shelf: Path, share: float, seed: int, truth: Path
) -> Outcome:
    """Members, fusion and answers under `params`; `truth` is the folder of a simulated shop's oracle."""
    start = time.monotonic()
    runtime = settle(params.runtime, seed)
    data = thinned(taught(whole, params.tasks), share, seed)
    shop = Workshop(data, params, runtime, shelf, key, cut=f"{share:g} {seed if share < 1 else 0}")
    fused = fit_fusion(data, {name: shop.member(name) for name in params.fuse.members}, params.tasks, params.fuse)
    asked = window(data, "test", params.evaluate.max_queries, params.evaluate.seed)
    began = time.monotonic()
    models = score_members(fused, data, asked)
    scoring = time.monotonic() - began
    models[NAIVE] = score_naive(fused, data, params.tasks, asked)
    best = oracle(truth, data, params.tasks, asked)
    if best is not None:
        models[ORACLE] = best
    facts = {
        "seconds": shop.seconds,
        "seconds_of_scoring": scoring,
        "seconds_in_all": time.monotonic() - start,
        "parameters": shop.parameters,
        "history": shop.histories,
        "weights": fused.weights,
        "record": fused.record,
    }
    return Outcome(_answers(data, params, asked, models), facts)


def _answers(data: Dataset, params: StudyParams, asked: Window, models: dict[str, Scored]) -> dict[str, Answers]:
    found = {}
    for name, task in params.tasks.items():
        if task.kind == "ranking":
            count, k = len(asked.queries), params.evaluate.k
            ranks = {model: scored.ranks for model, scored in models.items() if scored.ranks is not None}
            lists = {model: ranking_values(places, asked.query, count, k) for model, places in ranks.items()}
            found[name] = Answers(task.kind, np.zeros(0), asked.query_user, lists)
            continue
        labels = np.asarray(data.labels(name), np.float64)[asked.rows]
        known = np.isfinite(labels)
        cluster = asked.item if task.label == "price_move" else asked.user
        scores = {model: scored.tasks[name][known] for model, scored in models.items() if name in scored.tasks}
        found[name] = Answers(task.kind, labels[known], cluster[known], scores)
    return found
