"""The report: one self-contained HTML page. It shows the numbers of `figures.py` and computes none. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from markupsafe import Markup

from triad.config.evaluate import EvaluateParams
from triad.config.tasks import TaskParams
from triad.evaluation import charts, wording
from triad.evaluation.assess import CHAMPION, FUSED, NAIVE, ORACLE
from triad.evaluation.figures import Rows
from triad.evaluation.pages import template
from triad.examples import UNITS
from triad.kinds import KINDS
from triad.kinds.base import Metric
from triad.tasks import LABELS

_SHOWN = {FUSED: "fused", NAIVE: "naive", ORACLE: "best possible", CHAMPION: "champion"}


@dataclass(frozen=True)
class Evidence:
    """All that the page shows, as plain values."""

    tasks: Mapping[str, TaskParams]
    params: EvaluateParams
    metrics: Mapping[str, Any]  # as metrics.json
    verdict: Mapping[str, Any]  # as verdict.json
    models: Rows
    slices: Rows
    calibration: Rows
    ranking: Rows
    fusion: Mapping[str, Any]  # record and weights, as fusion.json
    validation: Mapping[str, Any]  # as result.json
    lineage: Mapping[str, Any]  # name → text
    examples: Sequence[Mapping[str, Any]] = ()
    pretrain: Mapping[str, float] = field(default_factory=dict)
    source: str = ""  # what fine-tuning gained by what it started from
    refitted: Mapping[str, Any] = field(default_factory=dict)  # as health.json of the stage refit
    importance: Mapping[str, Any] = field(default_factory=dict)  # as `importance.importance`
    notes: Sequence[str] = ()  # what the reader must know of the data


def render(evidence: Evidence) -> str:
    """The page's HTML; the same text for the same evidence."""
    k = evidence.params.k
    headline, why = wording.verdict_words(evidence.verdict)
    return template("triad.evaluation", "report.html.j2").render(
        headline=headline,
        why=why,
        verdict=evidence.verdict,
        confidence=f"{evidence.params.confidence:.0%}",
        params=evidence.params,
        tasks=[_task(name, evidence) for name in evidence.metrics],
        metrics=evidence.metrics,
        validation=_validation(evidence.validation),
        lineage=evidence.lineage,
        notes=evidence.notes,
        examples=evidence.examples,
        pretrain=evidence.pretrain,
        source=evidence.source,
        refitted=evidence.refitted,
        glossary=wording.GLOSSARY,
        has_oracle=any(ORACLE in entry for entry in evidence.metrics.values()),
        k=k,
        number=wording.number,
        signed=wording.signed,
    )


def _task(name: str, evidence: Evidence) -> dict[str, Any]:
    task, figures, k = evidence.tasks[name], evidence.metrics[name], evidence.params.k
    kind = KINDS[task.kind]
    first, primary = kind.metrics[0], kind.metrics[0].name
    members, fused = _members(name, primary, evidence), evidence.fusion["record"].get(name, {})
    signals = set(order := _order(fused)) - {member["name"] for member in members}
    return {
        "name": name,
        "task": task,
        "kind": kind,
        "primary": primary,
        "heading": first.heading(k),
        "meaning": wording.meaning(task),
        "sentence": wording.sentence(task, figures, k),
        "judged": UNITS[LABELS[task.label].unit].judged,
        "figures": figures,
        "headings": {metric.name: metric.heading(k) for metric in kind.metrics if metric.name in figures},
        "beside": [model for model in (NAIVE, ORACLE, CHAMPION) if model in figures],
        "members": members,
        "fusion": fused or None,
        "order": order,
        "others": [(word, share) for word, share in order.items() if word in signals][:6],
        "best": fused.get("best"),
        "charts": _charts(name, first, evidence),
        "importance": evidence.importance.get(name),
        "slices": [row for row in evidence.slices if row["task"] == name],
    }


def _members(name: str, primary: str, evidence: Evidence) -> list[dict[str, Any]]:
    alone = {row["model"]: row for row in evidence.models if row["task"] == name and row["metric"] == primary}
    fused = evidence.fusion["record"].get(name, {})
    record, order = fused.get("members", {}), _order(fused)
    return [
        {
            "name": member,
            "weight": order.get(member, 0.0) if order else weight,
            "alone": alone.get(member),
            "cost": None if order else record.get(member, {}).get("cost_of_leaving_out"),
        }
        for member, weight in evidence.fusion["weights"].get(name, {}).items()
    ]


def _order(record: Mapping[str, Any]) -> dict[str, float]:
    """What the order of re-ranked lists rests on, a member's score or another signal → its share, largest first."""
    shares: dict[str, float] = {}
    for column, share in record.get("reranked", {}).get("shares", {}).items():
        about, _, member = column.partition("_")
        name = member if about in ("log", "place") else column.replace("_", " ")
        shares[name] = shares.get(name, 0.0) + share
    return dict(sorted(shares.items(), key=lambda each: -each[1]))


def _charts(name: str, primary: Metric, evidence: Evidence) -> list[dict[str, Any]]:
    label, drawn = primary.heading(evidence.params.k), []
    rows = [row for row in evidence.models if row["task"] == name and row["metric"] == primary.name]
    if rows:
        ordered = sorted(rows, key=lambda row: (row["model"] != FUSED, -row["value"]))
        named = [{**row, "name": _SHOWN.get(row["model"], row["model"])} for row in ordered]
        svg = charts.forest(named, label, FUSED, f"{name}: every model")
        drawn.append({"title": f"Every model: {label}, more is better", "svg": Markup(svg)})
    points = [row for row in evidence.calibration if row["task"] == name]
    if len(points) > 1:
        svg = charts.calibration(
            [row["predicted"] for row in points], [row["observed"] for row in points], f"{name}: calibration"
        )
        drawn.append({"title": "Does what is promised come true? Points on the dashed line do", "svg": Markup(svg)})
    lists = [row for row in evidence.ranking if row["task"] == name]
    if lists:
        lines = {
            _SHOWN.get(model, model): ([row["k"] for row in part], [row["hit"] for row in part])
            for model, part in ((m, list(p)) for m, p in groupby(lists, key=lambda row: row["model"]))
        }
        svg = charts.curves(lines, FUSED, f"{name}: hits by length")
        drawn.append({"title": "How long a list must be to hold the next item", "svg": Markup(svg)})
    return drawn


def _validation(result: Mapping[str, Any]) -> dict[str, Any]:
    checks = result.get("checks", [])
    return {"checks": len(checks), "warnings": [c for c in checks if not c["passed"] and c["severity"] != "info"]}
