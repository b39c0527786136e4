"""A study's outcomes as plain numbers: what the pages show. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from triad.ablations.compare import Difference, status
from triad.ablations.evidence import Evidence, Outcomes
from triad.ablations.spec import ALONE, Claim, Study
from triad.evaluation.assess import FUSED, NAIVE, ORACLE
from triad.kinds import KINDS
from triad.statistics.multiple import holm

Rows = list[dict[str, Any]]

DIAGNOSES = {
    "cosine": "Cosine of two tasks' gradients",
    "conflict": "How often two tasks' gradients point apart",
    "experts": "What a task hears of each expert",
}


def results(study: Study, outcomes: Outcomes) -> dict[str, Any]:
    """All of a study's numbers, fit for JSON.

    Raises:
        TriadError: a claim names a model or metric that there is not.
    """
    evidence = Evidence(study, outcomes)
    return {
        "about": study.about,
        "reference": study.reference,
        "confidence": evidence.confidence,
        "seeds": sorted({unit.seed for unit in outcomes}),
        "variants": evidence.variants(),
        "claims": claims(evidence),
        "figures": figures(evidence),
        "against_reference": against_reference(evidence),
        "transfer": negative_transfer(evidence),
        "curve": curve(evidence),
        "without": without(evidence),
        "diversity": diversity(evidence),
        "cost": cost(evidence),
        "history": histories(evidence),
        "diagnoses": diagnoses(evidence),
        "missing": sorted(unit.name for unit in study.units(_name(outcomes)) if unit not in outcomes),
    }


def _name(outcomes: Outcomes) -> str:
    """The study's name, as its units bear it."""
    return next((unit.study for unit in outcomes), "")


def claims(evidence: Evidence) -> Rows:
    """Each claim with its difference, the corrected p and whether it holds."""
    explicit = evidence.study.claims
    judged = [claim for claim in evidence.study.judged if claim in explicit or evidence.answers(claim)]
    with_metric = [(claim, _metric(evidence, claim)) for claim in judged]
    differences = [evidence.between(c.better, c.than, str(c.task), metric, c.share) for c, metric in with_metric]
    rows = [{**c.model_dump(), "metric": metric} for c, metric in with_metric]
    return _corrected(rows, differences, evidence.confidence)


def _metric(evidence: Evidence, claim: Claim) -> str:
    kind = evidence.study.settings(claim.better.partition("/")[0]).tasks[str(claim.task)].kind
    return claim.metric or KINDS[kind].metrics[0].name


def _corrected(rows: Rows, differences: Sequence[Difference | None], confidence: float) -> Rows:
    p = holm([math.nan if each is None else each.p for each in differences]).tolist()
    values = [0.0 if each is None else each.value for each in differences]
    verdicts = [status(value, q, confidence) for value, q in zip(values, p, strict=True)]
    return [
        {**row, **_plain(each), "p_holm": _number(q), "status": verdict}
        for row, each, q, verdict in zip(rows, differences, p, verdicts, strict=True)
    ]


def figures(evidence: Evidence) -> Rows:
    """variant, share, task, metric, model: the primary metric of every model, over seeds."""
    rows = []
    for variant, share, task, model, metric in _primary(evidence):
        row = {"variant": variant, "share": share, "task": task, "metric": metric, "model": model}
        rows.append({**row, **_plain(evidence.alone(variant, task, model, metric, share))})
    return rows


def _primary(evidence: Evidence) -> Iterable[tuple[str, float, str, str, str]]:
    for variant in evidence.variants():
        for share in evidence.study.shares:
            units = evidence.units(variant, share)
            for task, answers in evidence.outcome(units[0]).tasks.items() if units else ():
                for model in answers.scores:
                    yield variant, share, task, model, KINDS[answers.kind].metrics[0].name


def against_reference(evidence: Evidence) -> Rows:
    """Each variant's fused answers less the reference's, on each task that both learn."""
    rows, differences = [], []
    for variant, share, task, model, metric in _primary(evidence):
        if model != FUSED or variant == evidence.study.reference or ALONE in variant:
            continue
        reference = evidence.units(evidence.study.reference, share)
        if reference and task in evidence.outcome(reference[0]).tasks:
            rows.append({"variant": variant, "share": share, "task": task, "metric": metric})
            differences.append(evidence.between(variant, evidence.study.reference, task, metric, share))
    return _corrected(rows, differences, evidence.confidence)


def negative_transfer(evidence: Evidence) -> Rows:
    """Each task learned with the others less its twin learned alone, the network's own answers."""
    rows, differences = [], []
    for name in evidence.variants():
        variant, _, task = name.partition(ALONE)
        if not task or not evidence.units(variant):
            continue
        answers = evidence.outcome(evidence.units(name)[0]).tasks[task]
        model = "finetune" if "finetune" in answers.scores else FUSED
        metric = KINDS[answers.kind].metrics[0].name
        rows.append({"variant": variant, "task": task, "metric": metric, "model": model})
        differences.append(evidence.between(f"{variant}/{model}", f"{name}/{model}", task, metric))
    return _corrected(rows, differences, evidence.confidence)


def curve(evidence: Evidence) -> Rows:
    """The fused answers by share of the train rows; empty where the study has one share."""
    if len(evidence.study.shares) < 2:
        return []
    return [row for row in figures(evidence) if row["model"] == FUSED and ALONE not in row["variant"]]


def without(evidence: Evidence) -> Rows:
    """What leaving a member out costs on the fusion window, out of fold, and its weight; means over seeds."""
    rows = []
    for variant in evidence.variants():
        units = evidence.units(variant)
        records = [evidence.outcome(unit).facts["record"] for unit in units]
        for task, first in records[0].items() if records else ():
            for member in first["members"] if len(first["members"]) > 1 else ():
                entries = [record[task]["members"][member] for record in records]
                row = {"variant": variant, "task": task, "member": member, "loss": first["loss"]}
                cost = np.array([entry["cost_of_leaving_out"] for entry in entries])
                row |= {"cost": float(cost.mean()), "spread": _spread(cost)}
                rows.append(row | {"weight": float(np.mean([entry["weight"] for entry in entries]))})
    return rows


def diversity(evidence: Evidence) -> Rows:
    """Rank correlation of two members' answers on the test rows, of the reference: 1 is no diversity at all."""
    units, rows = evidence.units(evidence.study.reference), []
    for task, answers in evidence.outcome(units[0]).tasks.items() if units else ():
        members = [name for name in answers.scores if name not in (FUSED, NAIVE, ORACLE)]
        for one, other in combinations(members, 2):
            alike = [_alike(evidence.outcome(u).tasks[task].scores, one, other, answers.kind) for u in units]
            if np.isfinite(alike).all():
                rows.append({"task": task, "one": one, "other": other, "correlation": float(np.mean(alike))})
    return rows


def _alike(scores: Mapping[str, Any], one: str, other: str, kind: str) -> float:
    a, b = (KINDS[kind].alike(scores[name]) for name in (one, other))
    return float(spearmanr(a, b).statistic) if np.ptp(a) > 0 and np.ptp(b) > 0 else math.nan


def cost(evidence: Evidence) -> Rows:
    """Seconds of fitting and parameters of each member, means over seeds."""
    rows = []
    for variant in evidence.variants():
        facts = [evidence.outcome(unit).facts for unit in evidence.units(variant)]
        for member in facts[0]["seconds"] if facts else ():
            seconds = np.array([each["seconds"][member] for each in facts])
            row = {"variant": variant, "member": member, "seconds": float(seconds.mean()), "spread": _spread(seconds)}
            rows.append(row | {"parameters": facts[0]["parameters"].get(member)})
    return rows


def histories(evidence: Evidence) -> Rows:
    """variant, epoch, and each column of the network's losses and λ: means over the seeds that got so far."""
    epochs: Rows = []
    for variant in evidence.variants():
        runs = [evidence.outcome(unit).facts["history"].get("finetune", []) for unit in evidence.units(variant)]
        for epoch in range(max(map(len, runs), default=0)):
            rows = [run[epoch] for run in runs if len(run) > epoch]
            epochs.append({"variant": variant, **{key: float(np.mean([row[key] for row in rows])) for key in rows[0]}})
    return epochs


def diagnoses(evidence: Evidence) -> Rows:
    """variant, title, columns, rows (name → figures): what tasks do to one another, means over seeds."""
    shown: Rows = []
    for variant in evidence.variants():
        facts = [evidence.outcome(unit).facts.get("diagnosis") for unit in evidence.units(variant)]
        known = [each for each in facts if each is not None]
        for key, title in DIAGNOSES.items():
            tables = [np.array(each[key], np.float64) for each in known if each[key] is not None]
            if not tables or len({table.shape for table in tables}) > 1:
                continue
            tasks, mean = known[0]["tasks"], np.mean(tables, axis=0)
            columns = tasks if key != "experts" else [f"expert {place + 1}" for place in range(mean.shape[1])]
            by_task = {task: [_number(float(value)) for value in row] for task, row in zip(tasks, mean, strict=True)}
            shown.append({"variant": variant, "title": title, "columns": columns, "rows": by_task})
    return shown


def _plain(difference: Difference | None) -> dict[str, Any]:
    if difference is None:
        return {"value": None, "low": None, "high": None, "p": None, "spread": None, "seeds": 0}
    return {key: _number(value) for key, value in asdict(difference).items()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _spread(values: Any) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
