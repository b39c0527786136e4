"""The last evaluation for a terminal: one line per task, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triad.artifacts import need, read_json
from triad.evaluation.wording import heading, number, verdict_words

_HEAD = ("task", "metric", "model", "naive", "best possible", "share", "gain of fusing")


def summarise(folder: Path) -> str:
    """The table and the verdict that `folder` (artifacts/evaluate) holds, and where the report lies.

    Raises:
        TriadError: nothing was evaluated there yet.
    """
    for path in (folder / "metrics.json", folder / "report" / "verdict.json"):
        need(path)
    verdict = read_json(folder / "report" / "verdict.json")
    paragraphs = [summary(read_json(folder / "metrics.json"), verdict)]
    refitted = folder.parent / "refit" / "health.json"
    if refitted.is_file():
        until = read_json(refitted)["learned_until"]
        paragraphs.append(f"learned up to {until['refitted']}; what was judged, up to {until['evaluated']}")
    published = folder.parent / "publish" / "published.json"
    name = verdict.get("experiment")
    if name and published.is_file() and (made := read_json(published)).get("experiment") == name:
        promote = f"; `triad promote {made['version']}` lets it serve" if made["verdict"] == "PASS" else ""
        paragraphs.append(f"registered as version {made['version']} of {made['model']}, not promoted{promote}")
    return "\n\n".join([*paragraphs, f"report: {folder / 'report' / 'report.html'}"])


def summary(metrics: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    """One line a task: primary metric, naive, oracle, share of its gain, gain of fusing; then the verdict and why."""
    rows = [_HEAD, *(_row(name, metrics[name], verdict["tasks"][name]) for name in verdict["order"])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("─" * width for width in widths))
    headline, why = verdict_words(verdict)
    reasons = [f"  · {reason}" for reason in verdict["reasons"]]
    return "\n".join([*lines, "", f"{verdict['verdict']}: {headline} {why}", *reasons])


def _row(name: str, figures: Mapping[str, Any], judged: Mapping[str, Any]) -> tuple[str, ...]:
    metric = judged["metric"]

    def beside(model: str) -> str:
        return number(metric, figures[model][metric]) if metric in figures.get(model, {}) else "–"

    own, share, gain = figures.get(metric), figures.get("oracle_share"), figures.get("gain_over_best_member")
    return (
        name,
        heading(metric, judged["k"]),
        _interval(metric, own) if own else "too few cases",
        beside("naive"),
        beside("oracle"),
        f"{share['value']:.0%}" if share else "–",
        _gain(gain) if gain else "–",
    )


def _gain(estimate: Mapping[str, float]) -> str:
    if estimate["lo"] == estimate["hi"] == 0:
        return "none: one member serves"
    return f"{estimate['value']:+.4f} [{estimate['lo']:+.4f}, {estimate['hi']:+.4f}]"


def _interval(metric: str, estimate: Mapping[str, float]) -> str:
    return f"{number(metric, estimate['value'])} [{number(metric, estimate['lo'])}, {number(metric, estimate['hi'])}]"
