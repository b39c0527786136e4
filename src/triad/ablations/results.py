"""A study's outcomes as plain numbers: what the pages show. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from triad.ablations.compare import Difference, difference, estimates, holm, oriented, status
from triad.ablations.outcome import Answers, Outcome
from triad.ablations.spec import ALONE, Claim, Study, Unit
from triad.errors import TriadError
from triad.evaluation.assess import FUSED, NAIVE, ORACLE
from triad.statistics.bootstrap import Estimate
from triad.statistics.metrics import PRIMARY

Outcomes = Mapping[Unit, Outcome]
Rows = list[dict[str, Any]]


BEST = "best"
"""In place of a member's name: the one that is best alone on the fusion window, whichever that is with a seed."""

DIAGNOSES = {
    "cosine": "Cosine of two tasks' gradients",
    "conflict": "How often two tasks' gradients point apart",
    "experts": "What a task hears of each expert",
}


class Evidence:
    """A study's outcomes, and the estimates made of them, each once."""

    def __init__(self, study: Study, outcomes: Outcomes) -> None:
        params = study.settings(study.reference).evaluate
        self.study, self._outcomes = study, outcomes
        self.resamples, self.confidence, self.seed = params.bootstrap, params.confidence, params.seed
        self._made: dict[tuple[Unit, str, str, str], Estimate] = {}

    def units(self, variant: str, share: float = 1.0) -> list[Unit]:
        """Its units that were run, by seed."""
        return sorted(unit for unit in self._outcomes if (unit.variant, unit.share) == (variant, share))

    def outcome(self, unit: Unit) -> Outcome:
        """What the unit gave."""
        return self._outcomes[unit]

    def variants(self) -> list[str]:
        """Those with outcomes, in the study's order, each followed by its twins taught a task alone."""
        order = list(dict.fromkeys(unit.variant for unit in self.study.units("")))
        here = {unit.variant for unit in self._outcomes}
        return [name for name in order if name in here]

    def answers(self, claim: Claim) -> bool:
        """Whether both sides, as far as they were run, answer the claim's task."""
        return all(
            claim.task in (tasks := self.outcome(unit).tasks) and (model == BEST or model in tasks[claim.task].scores)
            for variant, model in sides(claim.better, claim.than)
            for unit in self.units(variant, claim.share)
        )

    def estimate(self, unit: Unit, task: str, model: str, metric: str) -> Estimate:
        """Turned so that more is better."""
        if model == BEST:
            model = self.outcome(unit).facts["record"][task]["best"]
        key = unit, task, model, metric
        if key not in self._made:
            found = estimates(self._answers(unit, task), model, metric, self.resamples, self.seed)
            self._made[key] = oriented(metric, found)
        return self._made[key]

    def _answers(self, unit: Unit, task: str) -> Answers:
        answers = self.outcome(unit).tasks
        if task not in answers:
            raise TriadError(f"{unit.variant} does not learn {task!r}", where="claims", mend="name another task")
        return answers[task]

    def alone(self, variant: str, task: str, model: str, metric: str, share: float = 1.0) -> Difference:
        """The metric itself, over seeds."""
        found = [self.estimate(unit, task, model, metric) for unit in self.units(variant, share)]
        return difference(found, self.confidence, self.seed)

    def between(self, better: str, than: str, task: str, metric: str, share: float = 1.0) -> Difference | None:
        """`variant/model` less `variant/model` over the seeds that both have; None where there is none."""
        (left, ours), (right, theirs) = sides(better, than)
        by_seed = {unit.seed: unit for unit in self.units(right, share)}
        pairs = [(unit, by_seed[unit.seed]) for unit in self.units(left, share) if unit.seed in by_seed]
        if not pairs:
            return None
        found = [self.estimate(a, task, ours, metric) - self.estimate(b, task, theirs, metric) for a, b in pairs]
        return difference(found, self.confidence, self.seed)


def sides(better: str, than: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """(variant, model) of each, written `variant/model` or `variant`, which means its fused answers.

    A twin taught alone has no member but the network, so that beside it `variant` means the network's.
    """
    left, right = better.partition("/"), than.partition("/")
    model = "finetune" if ALONE in left[0] + right[0] else FUSED
    return (left[0], left[2] or model), (right[0], right[2] or model)


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
    asked = [(claim, _metric(evidence, claim)) for claim in judged]
    found = [evidence.between(c.better, c.than, str(c.task), metric, c.share) for c, metric in asked]
    rows = [{**c.model_dump(), "metric": metric} for c, metric in asked]
    return _corrected(rows, found, evidence.confidence)


def _metric(evidence: Evidence, claim: Claim) -> str:
    kind = evidence.study.settings(claim.better.partition("/")[0]).tasks[str(claim.task)].kind
    return claim.metric or PRIMARY[kind]


def _corrected(rows: Rows, found: Sequence[Difference | None], confidence: float) -> Rows:
    p = holm([math.nan if each is None else each.p for each in found])
    verdicts = [status(0.0 if each is None else each.value, q, confidence) for each, q in zip(found, p, strict=True)]
    return [
        {**row, **_plain(each), "p_holm": _number(q), "status": verdict}
        for row, each, q, verdict in zip(rows, found, p, verdicts, strict=True)
    ]


def figures(evidence: Evidence) -> Rows:
    """variant, share, task, metric, model: the primary metric of every model, over seeds."""
    found = []
    for variant, share, task, model, metric in _asked(evidence):
        row = {"variant": variant, "share": share, "task": task, "metric": metric, "model": model}
        found.append({**row, **_plain(evidence.alone(variant, task, model, metric, share))})
    return found


def _asked(evidence: Evidence) -> Iterable[tuple[str, float, str, str, str]]:
    for variant in evidence.variants():
        for share in evidence.study.shares:
            units = evidence.units(variant, share)
            for task, answers in evidence.outcome(units[0]).tasks.items() if units else ():
                for model in answers.scores:
                    yield variant, share, task, model, PRIMARY[answers.kind]


def against_reference(evidence: Evidence) -> Rows:
    """Each variant's fused answers less the reference's, on each task that both learn."""
    rows, found = [], []
    for variant, share, task, model, metric in _asked(evidence):
        if model != FUSED or variant == evidence.study.reference or ALONE in variant:
            continue
        reference = evidence.units(evidence.study.reference, share)
        if reference and task in evidence.outcome(reference[0]).tasks:
            rows.append({"variant": variant, "share": share, "task": task, "metric": metric})
            found.append(evidence.between(variant, evidence.study.reference, task, metric, share))
    return _corrected(rows, found, evidence.confidence)


def negative_transfer(evidence: Evidence) -> Rows:
    """Each task learned with the others less its twin learned alone, the network's own answers."""
    rows, found = [], []
    for name in evidence.variants():
        variant, _, task = name.partition(ALONE)
        if not task or not evidence.units(variant):
            continue
        answers = evidence.outcome(evidence.units(name)[0]).tasks[task]
        model = "finetune" if "finetune" in answers.scores else FUSED
        metric = PRIMARY[answers.kind]
        rows.append({"variant": variant, "task": task, "metric": metric, "model": model})
        found.append(evidence.between(f"{variant}/{model}", f"{name}/{model}", task, metric))
    return _corrected(rows, found, evidence.confidence)


def curve(evidence: Evidence) -> Rows:
    """The fused answers by share of the train rows; empty where the study has one share."""
    if len(evidence.study.shares) < 2:
        return []
    return [row for row in figures(evidence) if row["model"] == FUSED and ALONE not in row["variant"]]


def without(evidence: Evidence) -> Rows:
    """What leaving a member out costs on the fusion window, out of fold, and its weight; means over seeds."""
    found = []
    for variant in evidence.variants():
        units = evidence.units(variant)
        records = [evidence.outcome(unit).facts["record"] for unit in units]
        for task, first in records[0].items() if records else ():
            for member in first["members"] if len(first["members"]) > 1 else ():
                entries = [record[task]["members"][member] for record in records]
                row = {"variant": variant, "task": task, "member": member, "loss": first["loss"]}
                cost = np.array([entry["cost_of_leaving_out"] for entry in entries])
                row |= {"cost": float(cost.mean()), "spread": _spread(cost)}
                found.append(row | {"weight": float(np.mean([entry["weight"] for entry in entries]))})
    return found


def diversity(evidence: Evidence) -> Rows:
    """Rank correlation of two members' answers on the test rows, of the reference: 1 is no diversity at all."""
    units, found = evidence.units(evidence.study.reference), []
    for task, answers in evidence.outcome(units[0]).tasks.items() if units else ():
        members = [name for name in answers.scores if name not in (FUSED, NAIVE, ORACLE)]
        for one, other in combinations(members, 2):
            alike = [_alike(evidence.outcome(u).tasks[task].scores, one, other, answers.kind) for u in units]
            if np.isfinite(alike).all():
                found.append({"task": task, "one": one, "other": other, "correlation": float(np.mean(alike))})
    return found


def _alike(scores: Mapping[str, Any], one: str, other: str, kind: str) -> float:
    # of a ranking the reciprocal rank of what followed, of classes all their probabilities
    a, b = ((scores[name][:, 3] if kind == "ranking" else scores[name].ravel()) for name in (one, other))
    return float(spearmanr(a, b).statistic) if np.ptp(a) > 0 and np.ptp(b) > 0 else math.nan


def cost(evidence: Evidence) -> Rows:
    """Seconds of fitting and parameters of each member, means over seeds."""
    found = []
    for variant in evidence.variants():
        facts = [evidence.outcome(unit).facts for unit in evidence.units(variant)]
        for member in facts[0]["seconds"] if facts else ():
            seconds = np.array([each["seconds"][member] for each in facts])
            row = {"variant": variant, "member": member, "seconds": float(seconds.mean()), "spread": _spread(seconds)}
            found.append(row | {"parameters": facts[0]["parameters"].get(member)})
    return found


def histories(evidence: Evidence) -> Rows:
    """variant, epoch, and each column of the network's losses and λ: means over the seeds that got so far."""
    found: Rows = []
    for variant in evidence.variants():
        runs = [evidence.outcome(unit).facts["history"].get("finetune", []) for unit in evidence.units(variant)]
        for epoch in range(max(map(len, runs), default=0)):
            rows = [run[epoch] for run in runs if len(run) > epoch]
            found.append({"variant": variant, **{key: float(np.mean([row[key] for row in rows])) for key in rows[0]}})
    return found


def diagnoses(evidence: Evidence) -> Rows:
    """variant, title, columns, rows (name → figures): what tasks do to one another, means over seeds."""
    found: Rows = []
    for variant in evidence.variants():
        facts = [evidence.outcome(unit).facts.get("diagnosis") for unit in evidence.units(variant)]
        known = [each for each in facts if each is not None]
        for key, title in DIAGNOSES.items():
            tables = [np.array(each[key], np.float64) for each in known if each[key] is not None]
            if not tables or len({table.shape for table in tables}) > 1:
                continue
            tasks, mean = known[0]["tasks"], np.mean(tables, axis=0)
            columns = tasks if key != "experts" else [f"expert {place + 1}" for place in range(mean.shape[1])]
            rows = {task: [_number(float(value)) for value in row] for task, row in zip(tasks, mean, strict=True)}
            found.append({"variant": variant, "title": title, "columns": columns, "rows": rows})
    return found


def _plain(found: Difference | None) -> dict[str, Any]:
    if found is None:
        return {"value": None, "low": None, "high": None, "p": None, "spread": None, "seeds": 0}
    return {key: _number(value) for key, value in asdict(found).items()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _spread(values: Any) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
